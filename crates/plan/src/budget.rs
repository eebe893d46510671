//! How much a target may delete by itself, and what a person said may go beyond that.
//!
//! Enters: the deletions that a plan would make, how many members the target has, and what was approved. Leaves: the deletions as they
//! were, or all of them held: a commit that takes out half of an application by a slip deletes nothing of it. Absent: how
//! an approval is given and how long it is remembered; what all targets of a repository may delete together, which is
//! [`crate::overdraft`]'s.

use crate::planning::{Action, Reason, Step};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use trueup_model::ObjectId;

/// Bytes of the code of a set of objects.
const BYTES: usize = 5;

/// So many of something at once: of a target's objects that are deleted without anybody being asked, of clusters that are under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budget {
    /// So many.
    Objects(u32),
    /// So many of a hundred members, rounded up as a `PodDisruptionBudget` rounds its `maxUnavailable`.
    Percent(u8),
}

impl Budget {
    /// How many of so many.
    pub fn of(self, all: usize) -> usize {
        match self {
            Self::Objects(most) => most as usize,
            Self::Percent(most) => (all * usize::from(most)).div_ceil(100),
        }
    }

    fn allows(self, deletions: usize, members: usize) -> bool {
        deletions <= self.of(members)
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Objects(most) => most.fmt(f),
            Self::Percent(most) => write!(f, "{most}%"),
        }
    }
}

impl FromStr for Budget {
    type Err = String;

    /// Reads `5` or `10%`; `10 %` too.
    fn from_str(text: &str) -> Result<Self, String> {
        let unreadable =
            || format!("{text:?} is neither a number of objects such as 5 nor a share such as 10%");
        match text.trim().strip_suffix('%') {
            Some(share) => match share.trim_end().parse() {
                Ok(share @ 0..=100) => Ok(Self::Percent(share)),
                Ok(_) => Err(format!("{text:?} is more than 100%")),
                Err(_) => Err(unreadable()),
            },
            None => text.trim().parse().map(Self::Objects).map_err(|_| unreadable()),
        }
    }
}

impl Serialize for Budget {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Objects(most) => serializer.serialize_u32(*most),
            Self::Percent(_) => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Budget {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(i64),
            Text(String),
        }
        let read = match Written::deserialize(deserializer)? {
            Written::Number(number) => number.to_string().parse(),
            Written::Text(text) => text.parse(),
        };
        read.map_err(serde::de::Error::custom)
    }
}

/// What a person said may be deleted although it is more than the budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Approval {
    /// Exactly the deletions that have this code, or one of these, which commas stand between: several targets may be approved at once.
    Code(String),
    /// These objects: what the code stood for when it was first compared.
    Objects(BTreeSet<ObjectId>),
}

impl Approval {
    fn covers(&self, deletions: &BTreeSet<ObjectId>) -> bool {
        match self {
            Self::Code(approved) => {
                let code = code(deletions);
                approved.split(',').any(|approved| approved.trim() == code)
            }
            Self::Objects(approved) => deletions.is_subset(approved),
        }
    }

    /// What is left of the approval after a plan: the objects that it goes on to delete, as some may take several turns; none where
    /// nothing of it is planned.
    #[must_use]
    pub fn after(self, steps: &[Step]) -> Option<Self> {
        let deletions = deletions(steps);
        (!deletions.is_empty() && self.covers(&deletions)).then_some(Self::Objects(deletions))
    }
}

/// Stands for a set of objects, or of what people know by a name: who approves their deletion names what they saw.
pub(crate) fn code(things: impl IntoIterator<Item = impl fmt::Display>) -> String {
    let mut hash = Sha256::new();
    for thing in things {
        hash.update(thing.to_string());
        hash.update([0]);
    }
    let start = hash.finalize().iter().take(BYTES).fold(0_u64, |start, byte| start << 8 | u64::from(*byte));
    format!("{start:0width$x}", width = 2 * BYTES)
}

/// Whether a step deletes an object because it left Git, which a budget counts.
pub fn deletes(step: &Step) -> bool {
    step.action == Action::Delete && step.reason == Reason::NotInGit
}

/// The objects that steps delete because they left Git.
pub fn deletions(steps: &[Step]) -> BTreeSet<ObjectId> {
    steps.iter().filter(|step| deletes(step)).map(|step| step.id.clone()).collect()
}

/// Holds all deletions where they are more than the budget and nobody approved exactly them.
pub(crate) fn hold(
    steps: &mut [Step],
    target: &str,
    members: usize,
    budget: Option<Budget>,
    approval: Option<&Approval>,
) {
    let Some(budget) = budget else { return };
    let deletions = deletions(steps);
    if budget.allows(deletions.len(), members) || approval.is_some_and(|approval| approval.covers(&deletions))
    {
        return;
    }
    let exceeded = Exceeded {
        target: target.to_owned(),
        deletions: deletions.len(),
        members,
        budget,
        code: code(&deletions),
    };
    for step in steps.iter_mut().filter(|step| deletes(step)) {
        step.action = Action::Hold;
        step.reason = Reason::OverBudget(exceeded.clone());
    }
}

/// Why deletions are held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Exceeded {
    /// The target.
    pub target: String,
    /// How many members would be deleted.
    pub deletions: usize,
    /// How many it has.
    pub members: usize,
    /// How many it may delete.
    pub budget: Budget,
    /// What approves exactly these deletions.
    pub code: String,
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, deletions, members, budget, code } = self;
        write!(
            f,
            "{deletions} of {members} objects would be deleted, which is more than maxPrune allows ({budget}), so none is; look at them with `trueup diff {target}`, then bring them back in Git, or approve with `trueup sync {target} --confirm-prune {code}`"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::stage;
    use trueup_model::Origin;

    fn budget(text: &str) -> Budget {
        text.parse().unwrap()
    }

    fn leaving(names: &[&str]) -> Vec<Step> {
        let step = |name: &&str| Step {
            id: ObjectId::new("", "ConfigMap", "shop", *name),
            action: Action::Delete,
            reason: Reason::NotInGit,
            phase: (0, stage("", "ConfigMap")),
            precondition: None,
            origin: Origin::default(),
        };
        names.iter().map(step).collect()
    }

    /// The code that the plan asks for; none where it deletes.
    fn asked(names: &[&str], members: usize, text: &str, approval: Option<&Approval>) -> Option<String> {
        let mut steps = leaving(names);
        hold(&mut steps, "web@staging", members, Some(budget(text)), approval);
        let held = |step: &Step| match &step.reason {
            Reason::OverBudget(exceeded) if step.action == Action::Hold => Some(exceeded.code.clone()),
            _ => None,
        };
        let codes: Vec<Option<String>> = steps.iter().map(held).collect();
        assert!(codes.windows(2).all(|two| two[0] == two[1]), "all are held, or none");
        codes.into_iter().flatten().next()
    }

    #[test]
    fn a_share_is_rounded_up_so_that_a_small_target_can_lose_an_object() {
        for (text, deletions, members, allowed) in [
            ("10%", 1, 3, true),
            ("10%", 2, 3, false),
            ("10%", 10, 100, true),
            ("10%", 11, 100, false),
            ("100%", 7, 7, true),
            ("0%", 1, 100, false),
            ("0", 1, 100, false),
            ("0", 0, 100, true),
            ("5", 5, 5, true),
            ("5", 6, 1000, false),
        ] {
            assert_eq!(budget(text).allows(deletions, members), allowed, "{deletions} of {members}, {text}");
        }
    }

    #[test]
    fn a_budget_is_a_number_or_a_share() {
        for (text, read) in
            [("5", Budget::Objects(5)), ("10%", Budget::Percent(10)), ("10 %", Budget::Percent(10))]
        {
            assert_eq!(text.parse(), Ok(read));
            assert_eq!(serde_json::from_value::<Budget>(serde_json::to_value(read).unwrap()).unwrap(), read);
        }
        assert_eq!(serde_json::from_str::<Budget>("7").unwrap(), Budget::Objects(7));
        for text in ["", "%", "-1", "ten", "1.5%", "101%", "300%"] {
            let refused = text.parse::<Budget>().unwrap_err();
            assert!(refused.contains(&format!("{text:?}")), "{refused}");
        }
        assert!(serde_json::from_str::<Budget>("-3").is_err());
    }

    #[test]
    fn what_exceeds_the_budget_is_held_until_exactly_that_is_approved() {
        let code = asked(&["a", "b", "c"], 10, "2", None).unwrap();
        assert_eq!(asked(&["a", "b"], 10, "2", None), None);
        let approval = Approval::Code(code.clone());
        assert_eq!(asked(&["a", "b", "c"], 10, "2", Some(&approval)), None);
        let other = asked(&["a", "b", "d"], 10, "2", Some(&approval)).unwrap();
        assert_ne!(other, code);
        assert!(asked(&["a", "b", "c", "d"], 10, "2", Some(&approval)).is_some());
        let several = Approval::Code(format!("0123456789,{code}"));
        assert_eq!(asked(&["a", "b", "c"], 10, "2", Some(&several)), None);
    }

    #[test]
    fn an_approval_lasts_until_all_of_it_is_gone() {
        let code = asked(&["a", "b", "c", "d"], 10, "1", None).unwrap();
        let approval = Approval::Code(code).after(&leaving(&["a", "b", "c", "d"])).unwrap();
        assert_eq!(asked(&["c", "d"], 8, "1", Some(&approval)), None, "two were slow");
        assert!(asked(&["c", "e"], 8, "1", Some(&approval)).is_some());
        assert_eq!(approval.clone().after(&[]), None);
        assert_eq!(Approval::Code("else".to_owned()).after(&leaving(&["a"])), None);
    }
}

//! What all targets of a repository may delete together, within an hour, and what is held where that is more.
//!
//! Enters: the deletions of a target's plan, and what other targets of the repository deleted or wait to delete. Leaves: the deletions held,
//! and what people are told about it. Absent: who counts over all targets, which is the reconciler's; the budget that a target has by itself,
//! which is [`crate::budget`]'s.

use crate::budget::{Budget, code, deletes, deletions};
use crate::planning::{Action, Reason, Step};
use crate::record::TargetStatus;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// How long a deletion counts.
pub const WINDOW: SignedDuration = SignedDuration::from_hours(1);

/// What a target would delete, held because the targets of its repository would delete too much together. It stays held until a person
/// approves it, or nothing of it is to be deleted any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeldDeletions {
    /// The repository.
    pub repository: String,
    /// How much its targets may delete within an hour.
    pub budget: Budget,
    /// How many objects of the target wait.
    pub deletions: usize,
    /// What approves exactly these.
    pub code: String,
    /// Since when.
    pub since: Timestamp,
}

impl fmt::Display for HeldDeletions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { repository, budget, deletions, code, .. } = self;
        write!(
            f,
            "{deletions} to be deleted here are held: with them, what repository {repository} is applied by would delete more within an hour than its maxPrune allows ({budget}); bring them back in Git, or approve these with `--confirm-prune {code}`, or all that is held with the code that `trueup status` shows"
        )
    }
}

/// So many objects that were deleted together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pruned {
    /// When.
    pub at: Timestamp,
    /// How many.
    pub objects: usize,
}

/// Notes that so many objects were deleted, and forgets what counts no more.
pub fn note(pruned: &mut Vec<Pruned>, objects: usize, now: Timestamp) {
    if objects > 0 {
        pruned.retain(|one| counts(one.at, now));
        pruned.push(Pruned { at: now, objects });
    }
}

/// How many of these count.
pub fn recent(pruned: &[Pruned], now: Timestamp) -> usize {
    pruned.iter().filter(|one| counts(one.at, now)).map(|one| one.objects).sum()
}

/// Whether what happened then counts. What a clock that was put back says is in the future does.
pub fn counts(at: Timestamp, now: Timestamp) -> bool {
    now.duration_since(at) < WINDOW
}

/// Holds the deletions of a plan.
pub fn hold(steps: &mut [Step], repository: &str, budget: Budget, since: Timestamp) -> Option<HeldDeletions> {
    let wanted = deletions(steps);
    if wanted.is_empty() {
        return None;
    }
    let (repository, deletions, code) = (repository.to_owned(), wanted.len(), code(&wanted));
    let held = HeldDeletions { repository, budget, deletions, code, since };
    for step in steps.iter_mut().filter(|step| deletes(step)) {
        (step.action, step.reason) = (Action::Hold, Reason::Overdrawn(held.clone()));
    }
    Some(held)
}

/// Leaves the deletions of a plan for later.
pub fn postpone(steps: &mut [Step], why: &str) {
    for step in steps.iter_mut().filter(|step| deletes(step)) {
        (step.action, step.reason) = (Action::Wait, Reason::Leaving(why.to_owned()));
    }
}

/// What is held of a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RepositoryHold {
    /// The repository.
    pub repository: String,
    /// How much its targets may delete within an hour.
    pub budget: Budget,
    /// How many objects are held.
    pub deletions: usize,
    /// What approves the deletions of each target, by its name.
    pub targets: BTreeMap<String, String>,
    /// What approves all of them.
    pub code: String,
}

impl fmt::Display for RepositoryHold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { budget, deletions, targets, code, .. } = self;
        write!(
            f,
            "{deletions} objects of {} targets are held, since more would be deleted within an hour than maxPrune allows ({budget}); look at them with `trueup diff`, then bring them back in Git, or approve with `trueup sync --confirm-prune {code}`",
            targets.len()
        )
    }
}

/// What is held of each repository, by its name.
pub fn holds<'s>(statuses: impl IntoIterator<Item = &'s TargetStatus>) -> Vec<RepositoryHold> {
    let mut of: BTreeMap<&str, RepositoryHold> = BTreeMap::new();
    for status in statuses {
        let Some(held) = &status.held else { continue };
        let together = of.entry(&held.repository).or_insert_with(|| RepositoryHold {
            repository: held.repository.clone(),
            budget: held.budget,
            deletions: 0,
            targets: BTreeMap::new(),
            code: String::new(),
        });
        together.deletions += held.deletions;
        together.targets.insert(status.target.clone(), held.code.clone());
    }
    let with_code = |hold: RepositoryHold| {
        let code = code(hold.targets.iter().map(|(target, code)| format!("{target} {code}")));
        RepositoryHold { code, ..hold }
    };
    of.into_values().map(with_code).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Approval;
    use crate::order::stage;
    use crate::planning::Plan;
    use trueup_model::{ObjectId, Origin};

    fn at(minutes: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes)
    }

    fn step(name: &str, action: Action, reason: Reason) -> Step {
        Step {
            id: ObjectId::new("", "ConfigMap", "shop", name),
            action,
            reason,
            phase: (0, stage("", "ConfigMap")),
            precondition: None,
            origin: Origin::default(),
        }
    }

    fn held(target: &str, names: &[&str]) -> TargetStatus {
        let mut steps: Vec<Step> =
            names.iter().map(|name| step(name, Action::Delete, Reason::NotInGit)).collect();
        let held = hold(&mut steps, "config", Budget::Percent(5), at(0));
        TargetStatus { target: target.to_owned(), held, ..TargetStatus::default() }
    }

    #[test]
    fn only_what_left_git_is_held_and_nothing_is_lost_of_the_rest() {
        let mut steps = vec![
            step("new", Action::Create, Reason::Missing),
            step("old", Action::Delete, Reason::NotInGit),
            step("hook", Action::Delete, Reason::HookDone),
        ];
        let held = hold(&mut steps, "config", Budget::Objects(0), at(3)).unwrap();
        assert_eq!((held.deletions, held.since), (1, at(3)));
        let plan = Plan { steps, unchanged: 0 };
        assert_eq!(plan.writes().map(|step| &*step.id.name).collect::<Vec<_>>(), ["new", "hook"]);
        assert!(plan.steps[1].prunes() && !plan.steps[1].is_problem());
        let text = plan.steps[1].reason.to_string();
        assert!(text.contains("repository config") && text.contains(&held.code), "{text}");
        assert_eq!(hold(&mut [], "config", Budget::Objects(0), at(3)), None);
    }

    #[test]
    fn what_is_postponed_waits_and_is_still_to_be_pruned() {
        let mut steps = vec![step("old", Action::Delete, Reason::NotInGit)];
        postpone(&mut steps, "another replica is asked");
        assert!(steps[0].action == Action::Wait && steps[0].prunes());
    }

    #[test]
    fn what_was_deleted_counts_for_an_hour() {
        let mut pruned = Vec::new();
        note(&mut pruned, 0, at(0));
        note(&mut pruned, 3, at(0));
        note(&mut pruned, 2, at(40));
        assert_eq!([recent(&pruned, at(59)), recent(&pruned, at(60)), recent(&pruned, at(100))], [5, 2, 0]);
        note(&mut pruned, 1, at(70));
        assert_eq!(pruned.len(), 2, "what counts no more is forgotten");
    }

    #[test]
    fn a_repository_is_approved_as_somebody_saw_it() {
        let [web, api] = [held("web@a", &["x", "y"]), held("api@b", &["x"])];
        let all = holds([&web, &api, &TargetStatus::default()]);
        let [hold] = &all[..] else { panic!("{all:?}") };
        assert_eq!((&*hold.repository, hold.deletions, hold.targets.len()), ("config", 3, 2));
        let other = &holds([&web])[0];
        assert_ne!(other.code, hold.code);
        let code = web.held.unwrap().code;
        assert_eq!(hold.targets["web@a"], code);
        let steps = ["x", "y"].map(|name| step(name, Action::Delete, Reason::NotInGit));
        assert!(Approval::Code(code).after(&steps).is_some(), "it approves what the target would delete");
    }
}

//! Which Apps of an AppSet may go: those that are gone from its source, up to a budget, or as a person confirmed.
//!
//! Enters: the Apps that were made before, and those that are asked for now. Leaves: the Apps that there are from now on. What is new
//! or changed is always taken; what would go beyond the budget stays, all of it, as it was. Absent: what becomes of an App that goes.

use crate::config::AppSpec;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use trueup_plan::budget::Budget;

/// Apps, by name.
pub type Apps = BTreeMap<String, AppSpec>;

/// Characters of a code.
const CODE: usize = 10;

/// The Apps that there are from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Those that are asked for, and those that are held.
    pub apps: Apps,
    /// Why Apps are held, if they are.
    pub held: Option<Held>,
}

/// Apps that would go, and are more than may go without anybody being asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Their names.
    pub names: BTreeSet<String>,
    /// How many Apps there are with them.
    pub all: usize,
    /// How many may go.
    pub budget: Budget,
}

impl Held {
    /// What confirms that exactly these go.
    pub fn code(&self) -> String {
        let mut hash = Sha256::new();
        for name in &self.names {
            hash.update(name);
            hash.update([0]);
        }
        let mut code = crate::hex::hex(&hash.finalize());
        code.truncate(CODE);
        code
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 5;
        let mut shown: Vec<&str> = self.names.iter().take(SHOWN).map(String::as_str).collect();
        let more = self.names.len().saturating_sub(SHOWN);
        let more = if more > 0 { format!("{more} more") } else { String::new() };
        shown.extend((!more.is_empty()).then_some(more.as_str()));
        write!(
            f,
            "{} of {} Apps would go ({}), which is more than maxRemoved allows ({}), so none does; bring them back in the source, or confirm with the annotation `{}: {}`",
            self.names.len(),
            self.all,
            shown.join(", "),
            self.budget,
            crate::config::CONFIRM_REMOVAL,
            Quoted(&self.code()),
        )
    }
}

/// A code as YAML takes it for a text: one of digits alone would be a number.
struct Quoted<'c>(&'c str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

/// What there is from now on, after `before`, where `asked` is asked for. Whoever confirms names what they saw.
pub fn settle(before: &Apps, asked: Apps, budget: Budget, confirmed: Option<&str>) -> Settled {
    let names: BTreeSet<String> = before.keys().filter(|name| !asked.contains_key(*name)).cloned().collect();
    let held = Held { names, all: before.len(), budget };
    if held.names.len() <= budget.of(held.all) || confirmed == Some(held.code().as_str()) {
        return Settled { apps: asked, held: None };
    }
    let mut apps = asked;
    let stay = held.names.iter().filter_map(|name| Some((name.clone(), before.get(name)?.clone())));
    apps.extend(stay);
    Settled { apps, held: Some(held) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn apps(names: &str) -> Apps {
        let spec = json!({"repository": "config", "path": "a", "environments": ["test"]});
        let spec: AppSpec = serde_json::from_value(spec).unwrap();
        names.split_whitespace().map(|name| (name.to_owned(), spec.clone())).collect()
    }

    /// The names of the Apps that there are then, with a `!` where some of them are held.
    fn check(before: &str, asked: &str, budget: &str, confirmed: Option<&str>) -> String {
        let settled = settle(&apps(before), apps(asked), budget.parse().unwrap(), confirmed);
        let names: Vec<&str> = settled.apps.keys().map(String::as_str).collect();
        format!("{}{}", names.join(" "), if settled.held.is_some() { " !" } else { "" })
    }

    #[test]
    fn an_app_goes_within_the_budget_and_beyond_it_none_does() {
        assert_eq!(check("a b c", "a b", "10%", None), "a b");
        assert_eq!(check("a b c", "a", "10%", None), "a b c !");
        assert_eq!(check("a b c", "a d", "10%", None), "a b c d !", "what is new comes all the same");
        assert_eq!(check("a b c", "", "10%", None), "a b c !");
        assert_eq!(check("a b c", "a b", "0", None), "a b c !");
        assert_eq!(check("a b c", "", "100%", None), "");
        assert_eq!(check("", "a", "10%", None), "a");
        assert_eq!(check("a", "b", "10%", None), "b", "one is renamed");
    }

    #[test]
    fn exactly_what_somebody_saw_is_confirmed() {
        let held = settle(&apps("a b c"), apps("a"), Budget::Percent(10), None).held.unwrap();
        let code = held.code();
        assert!(
            held.to_string()
                .contains(&format!("confirm with the annotation `trueup.dev/confirm-removal: \"{code}\"`")),
            "{held}"
        );
        assert!(held.to_string().starts_with("2 of 3 Apps would go (b, c), "), "{held}");
        assert_eq!(check("a b c", "a", "10%", Some(&code)), "a");
        assert_eq!(check("a b c", "b", "10%", Some(&code)), "a b c !");
        assert_eq!(check("a b c", "", "10%", Some(&code)), "a b c !");
    }
}

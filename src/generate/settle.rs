//! Which Apps of an AppSet may go: those that are gone from its source, up to a budget, or as a person confirmed.
//!
//! Enters: the Apps that were made before, and those that are asked for now. Leaves: the Apps that there are from now on, and those that have something
//! to prune on their way out. What is new or changed is always taken; what would go beyond the budget stays, all of it, as it was. Absent: the pruning.

use super::pulls::Remembered;
use crate::config::{AppSpec, DeletionPolicy};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use trueup_plan::budget::Budget;

/// Apps, by name.
pub type Apps = BTreeMap<String, AppSpec>;

/// What an AppSet has made, as it is kept where a start finds it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Made {
    /// The Apps that there are.
    pub apps: Apps,
    /// Those that there are no more, and that prune what they applied before they are forgotten.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub leaving: Apps,
    /// What is remembered of pull requests.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pulls: Remembered,
}

impl Made {
    /// The Apps of pull requests that are known to have none any more.
    pub fn apps_of(&self, gone: &BTreeSet<String>) -> BTreeSet<String> {
        gone.iter().filter_map(|key| self.pulls.get(key)).flat_map(|seen| seen.apps.iter().cloned()).collect()
    }

    /// What is remembered of pull requests once these Apps are there: of all that were seen now, and of those that were not seen while they have an App.
    pub fn still_remembered(&self, seen: Remembered, apps: &Apps) -> Remembered {
        let mut all = self.pulls.clone();
        for one in all.values_mut() {
            one.apps.retain(|app| apps.contains_key(app));
        }
        all.retain(|_, one| !one.apps.is_empty());
        for (key, mut one) in seen {
            one.apps.retain(|app| apps.contains_key(app));
            all.insert(key, one);
        }
        all
    }

    /// As one text, for a status. What has nothing on its way out is the Apps alone, as it always was.
    pub fn to_text(&self) -> String {
        let text = if self.leaving.is_empty() && self.pulls.is_empty() {
            serde_json::to_string(&self.apps)
        } else {
            serde_json::to_string(self)
        };
        text.unwrap_or_default()
    }

    /// From such a text; nothing where it is none.
    pub fn from_text(text: &str) -> Option<Self> {
        let alone = || serde_json::from_str(text).ok().map(|apps| Self { apps, ..Self::default() });
        serde_json::from_str(text).ok().or_else(alone)
    }
}

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

    /// What is told of it to people, of the AppSet of this name.
    pub fn told(&self, set: &str) -> String {
        const SHOWN: usize = 5;
        let mut shown: Vec<&str> = self.names.iter().take(SHOWN).map(String::as_str).collect();
        let more = self.names.len().saturating_sub(SHOWN);
        let more = if more > 0 { format!("{more} more") } else { String::new() };
        shown.extend((!more.is_empty()).then_some(more.as_str()));
        let code = self.code();
        format!(
            "{} of {} Apps would go ({}), which is more than maxRemoved allows ({}), so none does; bring them back in the source, or confirm with `trueup confirm {set} {code}` or the annotation `{}: {}`",
            self.names.len(),
            self.all,
            shown.join(", "),
            self.budget,
            crate::config::CONFIRM_REMOVAL,
            Quoted(&code),
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

/// What there is from now on, after `before`, where `asked` is asked for. Those that are known to be `done` go without being counted. Whoever confirms names what they saw.
pub fn settle(
    before: &Apps,
    asked: Apps,
    done: &BTreeSet<String>,
    budget: Budget,
    confirmed: &[&str],
) -> Settled {
    let goes = |name: &&String| !asked.contains_key(*name) && !done.contains(*name);
    let names: BTreeSet<String> = before.keys().filter(goes).cloned().collect();
    let held = Held { names, all: before.len(), budget };
    if held.names.len() <= budget.of(held.all) || confirmed.contains(&held.code().as_str()) {
        return Settled { apps: asked, held: None };
    }
    let mut apps = asked;
    let stay = held.names.iter().filter_map(|name| Some((name.clone(), before.get(name)?.clone())));
    apps.extend(stay);
    Settled { apps, held: Some(held) }
}

/// The Apps that are on their way out once these are there: those that were, and those that went now and say that what they applied goes
/// with them. What the template says now holds for all of them, so that a person can end it. One of a name that somebody
/// has otherwise is handed over, with all that it applied.
pub fn leaving(before: &Made, now: &Apps, template: &AppSpec, is_taken: impl Fn(&str) -> bool) -> Apps {
    let prunes = |spec: &AppSpec| spec.deletion_policy == DeletionPolicy::Delete && !spec.suspend;
    if !prunes(template) {
        return Apps::new();
    }
    let gone = before.leaving.iter().chain(&before.apps);
    let gone = gone.filter(|(name, spec)| prunes(spec) && !now.contains_key(*name) && !is_taken(name));
    gone.map(|(name, spec)| (name.clone(), spec.clone())).collect()
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
        let confirmed: Vec<&str> = confirmed.into_iter().collect();
        let settled =
            settle(&apps(before), apps(asked), &BTreeSet::new(), budget.parse().unwrap(), &confirmed);
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
        let held =
            settle(&apps("a b c"), apps("a"), &BTreeSet::new(), Budget::Percent(10), &[]).held.unwrap();
        let code = held.code();
        let told = held.told("shop");
        let way = format!(
            "confirm with `trueup confirm shop {code}` or the annotation `trueup.dev/confirm-removal: \"{code}\"`"
        );
        assert!(told.starts_with("2 of 3 Apps would go (b, c), ") && told.ends_with(&way), "{told}");
        assert_eq!(check("a b c", "a", "10%", Some(&code)), "a");
        assert_eq!(check("a b c", "b", "10%", Some(&code)), "a b c !");
        assert_eq!(check("a b c", "", "10%", Some(&code)), "a b c !");
    }

    #[test]
    fn an_app_that_goes_prunes_where_it_said_so_and_nobody_has_its_name() {
        let pruning = |names: &str| {
            let mut apps = apps(names);
            for app in apps.values_mut() {
                app.deletion_policy = DeletionPolicy::Delete;
            }
            apps
        };
        let template = &pruning("t")["t"];
        let check = |before: &Made, now: &str, template: &AppSpec, taken: &str| {
            let leaving = leaving(before, &apps(now), template, |name| name == taken);
            leaving.into_keys().collect::<Vec<_>>().join(" ")
        };
        let before = Made { apps: pruning("a b"), leaving: pruning("c"), ..Made::default() };
        assert_eq!(check(&before, "a", template, ""), "b c");
        assert_eq!(check(&before, "a c", template, ""), "b", "one comes back");
        assert_eq!(check(&before, "a", template, "b"), "c", "one is handed over");
        assert_eq!(check(&before, "a", &apps("t")["t"], ""), "", "nothing is pruned any more");
        let mut suspended = template.clone();
        suspended.suspend = true;
        assert_eq!(check(&before, "a", &suspended, ""), "");
        let orphans = Made { apps: apps("a b"), ..Made::default() };
        assert_eq!(check(&orphans, "a", template, ""), "", "it said so before");
    }

    #[test]
    fn what_was_kept_before_apps_could_leave_is_read() {
        let before = json!({"apps": apps("a")});
        let made = Made { apps: apps("a"), ..Made::default() };
        assert_eq!(serde_json::from_value::<Made>(before.clone()).unwrap(), made);
        assert_eq!(serde_json::to_value(&made).unwrap(), before);
        let alone = serde_json::to_string(&apps("a")).unwrap();
        assert_eq!(made.to_text(), alone);
        let both = Made { leaving: apps("b"), ..made.clone() };
        for made in [made, both, Made { apps: apps("apps leaving"), ..Made::default() }] {
            assert_eq!(Made::from_text(&made.to_text()), Some(made));
        }
        assert_eq!(Made::from_text("{"), None);
    }
}

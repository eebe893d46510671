//! When an App that somebody has deleted can go: pure, from what it has to prune and how far that is.
//!
//! Enters: the App's targets, and of each what is left to do. Leaves: what is waited for, or what is left behind. A cluster that
//! does not answer is waited for only so long, and one that is gone not at all.

use crate::config::Leaving;
use std::collections::BTreeMap;
use std::time::Duration;

/// How far a target is whose App is being deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Departure {
    /// There is more to do, or to wait for.
    UnderWay(String),
    /// Its cluster cannot be asked.
    OutOfReach {
        /// For so long.
        silent: Duration,
        /// Why.
        why: String,
    },
    /// Nothing more is to be done.
    Gone {
        /// What stays, and why.
        left: Vec<String>,
    },
}

/// What becomes of an App that is being deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It waits for this.
    Waits(String),
    /// It can go.
    Goes {
        /// What was left behind against the word of the App, and why.
        left: Vec<String>,
    },
}

/// What becomes of an App that is being deleted. Of a target it is known whether nothing more is to be done and what is left of it;
/// or else why not, and for how long its cluster has not answered. That is waited for no longer than `patience`.
pub fn fate(leaving: &Leaving, departures: &BTreeMap<String, Departure>, patience: Duration) -> Fate {
    let longest = humantime::format_duration(patience);
    let mut waits = leaving.waits.clone();
    let gone = leaving.gone.iter();
    let mut left: Vec<String> =
        gone.map(|target| format!("{target}: its Cluster or its Environment is gone")).collect();
    for target in &leaving.targets {
        match departures.get(&target.name) {
            None => waits.push(format!("{}: nobody has looked at it yet", target.name)),
            Some(Departure::UnderWay(why)) => waits.push(format!("{}: {why}", target.name)),
            Some(Departure::OutOfReach { silent, why }) if *silent < patience => {
                waits.push(format!("{}: {why}; this is waited for no longer than {longest}", target.name));
            }
            Some(Departure::OutOfReach { why, .. }) => left.push(format!("{}: {why}", target.name)),
            Some(Departure::Gone { left: objects }) => {
                left.extend(objects.iter().map(|object| format!("{}: {object}", target.name)));
            }
        }
    }
    match (waits.first(), waits.len()) {
        (None, _) => Fate::Goes { left },
        (Some(first), 1) => Fate::Waits(first.clone()),
        (Some(first), all) => Fate::Waits(format!("{first} (and {} more)", all - 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DeletionPolicy;
    use crate::config::custom::read;
    use serde_json::{Value, json};

    fn resources() -> Vec<Value> {
        [
            ("Repository", "config", json!({"url": "https://example.com/config.git"})),
            ("Cluster", "here", json!({"inCluster": true})),
            ("Environment", "test", json!({"cluster": "here", "namespace": "shop"})),
            ("App", "web", json!({"repository": "config", "path": "web", "environments": ["test"]})),
        ]
        .map(|(kind, name, spec)| json!({"kind": kind, "metadata": {"name": name}, "spec": spec}))
        .into()
    }

    fn check(departure: Option<Departure>, expected: &Fate) {
        let targets = read(resources(), "ops", &[]).config.targets().to_vec();
        let leaving = Leaving { policy: DeletionPolicy::Delete, targets, ..Leaving::default() };
        let departures = departure.map(|departure| ("web@test".to_owned(), departure)).into_iter().collect();
        assert_eq!(fate(&leaving, &departures, Duration::from_mins(10)), *expected);
    }

    fn waits(why: &str) -> Fate {
        Fate::Waits(why.to_owned())
    }

    fn goes(left: &[&str]) -> Fate {
        Fate::Goes { left: left.iter().map(|one| (*one).to_owned()).collect() }
    }

    #[test]
    fn an_app_goes_when_nothing_of_it_is_left_to_do() {
        check(None, &waits("web@test: nobody has looked at it yet"));
        let under_way = Departure::UnderWay("ConfigMap shop/a: is being deleted".to_owned());
        check(Some(under_way), &waits("web@test: ConfigMap shop/a: is being deleted"));
        check(Some(Departure::Gone { left: Vec::new() }), &goes(&[]));
        let kept = Departure::Gone { left: vec!["Secret shop/a: its annotation keeps it".to_owned()] };
        check(Some(kept), &goes(&["web@test: Secret shop/a: its annotation keeps it"]));
    }

    #[test]
    fn a_cluster_that_does_not_answer_is_waited_for_only_so_long() {
        let silent = |minutes| {
            let silent = Duration::from_mins(minutes);
            Some(Departure::OutOfReach { silent, why: "cluster here: no answer".to_owned() })
        };
        let patient = "web@test: cluster here: no answer; this is waited for no longer than 10m";
        check(silent(9), &waits(patient));
        check(silent(10), &goes(&["web@test: cluster here: no answer"]));
    }

    #[test]
    fn what_cannot_be_found_any_more_is_left_at_once_and_what_cannot_be_told_is_waited_for() {
        let leaving = Leaving { gone: vec!["web@test".to_owned()], ..Leaving::default() };
        let fate_of = |leaving: &Leaving| fate(leaving, &BTreeMap::new(), Duration::ZERO);
        assert_eq!(fate_of(&leaving), goes(&["web@test: its Cluster or its Environment is gone"]));
        let leaving = Leaving { waits: vec!["one".to_owned(), "two".to_owned()], ..leaving };
        assert_eq!(fate_of(&leaving), waits("one (and 1 more)"));
        assert_eq!(fate_of(&Leaving::orphans()), goes(&[]));
    }
}

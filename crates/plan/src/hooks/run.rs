//! What is known of a run of hooks, and what two records of it say together.
//!
//! Enters: what the store and the cluster kept, of which either may be behind: a store that was torn, a record that could not be
//! written. Leaves: what counts. Absent: what a run makes of a plan, which is in [`super::settle`].

use super::Occasion;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use trueup_model::ObjectId;

/// What is known of the hooks of one state that a target should have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Run {
    /// What the hooks are run for.
    pub id: String,
    /// Counts the runs of a target: one that began later has a larger one, and so has one of which hooks are tried again.
    pub number: u64,
    /// Why.
    pub occasion: Occasion,
    /// What became of each, by its object.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub hooks: BTreeMap<String, Ended>,
    /// The uid of each that was made for it and has not ended well. An apply for an earlier run that was thought lost may come through later
    /// and say of such a one, in its own annotation, that it is from that run; and one that is to run once more is told by it from the one that
    /// did.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub made: BTreeMap<String, String>,
}

/// How a hook ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "result", content = "message")]
pub enum Ended {
    /// Well.
    Succeeded,
    /// Not: why.
    Failed(String),
    /// Not, and it is to run once more.
    Retried,
}

impl Run {
    /// The one after another, or the first one.
    pub fn begin(id: &str, occasion: Occasion, before: Option<&Self>) -> Self {
        let number = before.map_or(0, |before| before.number) + 1;
        Self { id: id.to_owned(), number, occasion, hooks: BTreeMap::new(), made: BTreeMap::new() }
    }

    /// Notes that a hook is there that was made for this run, and has not ended.
    pub fn note_made(&mut self, hook: &ObjectId, uid: &str) {
        let hook = hook.to_string();
        self.hooks.remove(&hook);
        self.made.insert(hook, uid.to_owned());
    }

    /// Nothing but how many there were: what came of it was about another place. One that begins there is later all the same.
    #[must_use]
    pub fn emptied(self) -> Self {
        Self { number: self.number, occasion: self.occasion, ..Self::default() }
    }

    /// Whether the hook with this uid is known to have been made for this run.
    pub(super) fn has_made(&self, hook: &ObjectId, uid: &str) -> bool {
        self.made.get(&hook.to_string()).is_some_and(|made| made == uid)
    }

    /// Whether the hook with this uid is the one that is to run once more, as far as anybody knows: no other that was made since.
    pub(super) fn is_spent(&self, hook: &ObjectId, uid: &str) -> bool {
        self.made.get(&hook.to_string()).is_none_or(|made| made == uid)
    }

    /// Whether a hook is known to have ended well.
    pub(super) fn has_succeeded(&self, hook: &ObjectId) -> bool {
        self.hooks.get(&hook.to_string()) == Some(&Ended::Succeeded)
    }

    /// Notes that a hook ended, the one with this uid where one is there.
    pub(super) fn end(&mut self, hook: &ObjectId, uid: Option<&str>, ended: Ended) {
        let hook = hook.to_string();
        match (&ended, uid) {
            (Ended::Succeeded, _) => drop(self.made.remove(&hook)),
            (Ended::Failed(_) | Ended::Retried, Some(uid)) => {
                self.made.insert(hook.clone(), uid.to_owned());
            }
            (Ended::Failed(_) | Ended::Retried, None) => {}
        }
        self.hooks.insert(hook, ended);
    }

    /// Forgets what is known of a hook: it is not there.
    pub(super) fn forget(&mut self, hook: &ObjectId) {
        let hook = hook.to_string();
        self.made.remove(&hook);
        self.hooks.remove(&hook);
    }

    /// Has the hooks that failed run once more.
    pub fn retry_failed(&mut self) {
        let mut failed = self.hooks.values_mut().filter(|ended| matches!(ended, Ended::Failed(_))).peekable();
        if failed.peek().is_some() {
            self.number += 1;
        }
        failed.for_each(|ended| *ended = Ended::Retried);
    }

    /// What counts of two records, of which either may be behind. Of different runs it is the later one: a state that came back is
    /// another run than before, and what ended in the earlier one is no outcome of it. Where neither is later, though they are about different
    /// states, this one counts. Of one run it is all that either knows.
    #[must_use]
    pub fn joined(self, other: Self) -> Self {
        match self.number.cmp(&other.number) {
            Ordering::Greater => self,
            Ordering::Less => other,
            Ordering::Equal if self.id != other.id => self,
            Ordering::Equal => self.united(other),
        }
    }

    fn united(mut self, mut other: Self) -> Self {
        let all = [&self, &other].into_iter().flat_map(|run| run.hooks.keys().chain(run.made.keys()));
        let all: BTreeSet<String> = all.cloned().collect();
        for hook in all {
            let is_behind = progress(self.hooks.get(&hook)).cmp(&progress(other.hooks.get(&hook)));
            if is_behind == Ordering::Less {
                self.hooks.remove(&hook);
                self.made.remove(&hook);
                self.hooks.extend(other.hooks.remove_entry(&hook));
            }
            if is_behind != Ordering::Greater && !self.made.contains_key(&hook) {
                self.made.extend(other.made.remove_entry(&hook));
            }
        }
        self
    }
}

/// How far a hook is, by what a record says of how it ended: what comes later is larger. One that is to run once more is known to until it is
/// made; who does not know it any more is further.
fn progress(ended: Option<&Ended>) -> u8 {
    match ended {
        Some(Ended::Retried) => 0,
        None => 1,
        Some(Ended::Failed(_)) => 2,
        Some(Ended::Succeeded) => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run as `A3 x=ok y=failed z=again` says it.
    fn run(text: &str) -> Run {
        let mut words = text.split(' ');
        let (id, number) = words.next().unwrap().split_at(1);
        let ended = |word: &str| match word {
            "ok" => Ended::Succeeded,
            "again" => Ended::Retried,
            why => Ended::Failed(why.to_owned()),
        };
        let hooks = words.map(|word| word.split_once('=').unwrap());
        let hooks = hooks.map(|(hook, how)| (hook.to_owned(), ended(how))).collect();
        Run { id: id.to_owned(), number: number.parse().unwrap(), hooks, ..Run::default() }
    }

    #[track_caller]
    fn check(one: &str, other: &str, expected: &str) {
        assert_eq!(run(one).joined(run(other)), run(expected), "{one} and {other}");
        assert_eq!(run(other).joined(run(one)), run(expected), "{other} and {one}");
    }

    #[test]
    fn two_records_of_one_run_say_together_what_either_knows() {
        check("A3", "A3 x=ok", "A3 x=ok");
        check("A3 x=ok", "A3 y=failed", "A3 x=ok y=failed");
        check("A3 x=failed", "A3 x=ok", "A3 x=ok");
    }

    #[test]
    fn a_hook_that_was_made_is_known_from_either_record_until_it_has_ended() {
        let made = |text: &str, uid: Option<&str>| {
            let made = uid.map(|uid| ("x".to_owned(), uid.to_owned()));
            Run { made: made.into_iter().collect(), ..run(text) }
        };
        assert_eq!(made("A3", None).joined(made("A3", Some("u"))), made("A3", Some("u")));
        assert_eq!(made("A3", Some("new")).joined(made("A3", Some("old"))), made("A3", Some("new")));
        assert_eq!(made("A3 x=ok", None).joined(made("A3", Some("u"))), made("A3 x=ok", None));
        assert_eq!(made("A3", Some("u")).joined(made("A3 x=ok", None)), made("A3 x=ok", None));
        assert_eq!(made("A3", Some("u")).joined(made("B4", None)), made("B4", None));
    }

    #[test]
    fn of_a_hook_that_is_tried_again_the_one_that_was_made_last_is_known_from_either_record() {
        let made =
            |text: &str, uid: &str| Run { made: [("x".to_owned(), uid.to_owned())].into(), ..run(text) };
        let (again, under_way) = (made("A4 x=again", "old"), made("A4", "new"));
        let (failed, through) = (made("A4 x=failed", "new"), run("A4 x=ok"));
        for (behind, further) in
            [(&again, &under_way), (&again, &failed), (&under_way, &failed), (&failed, &through)]
        {
            assert_eq!(behind.clone().joined(further.clone()), *further);
            assert_eq!(further.clone().joined(behind.clone()), *further);
        }
        assert_eq!(run("A4 x=failed").joined(failed.clone()), failed, "of an earlier trueup");
    }

    #[test]
    fn a_hook_that_was_to_run_once_more_did_so_where_another_record_is_further() {
        check("A4 x=again", "A4 x=failed", "A4 x=failed");
        check("A4 x=again", "A4 x=ok", "A4 x=ok");
        check("A4 x=again y=ok", "A4 y=ok", "A4 y=ok");
        check("A4 x=again", "A4 x=again", "A4 x=again");
    }

    #[test]
    fn of_two_runs_the_later_one_counts_and_nothing_of_the_earlier_one() {
        check("A3 x=ok", "B4", "B4");
        check("A3 x=ok", "A5", "A5");
        check("A3 x=failed y=ok", "A4 x=again y=ok", "A4 x=again y=ok");
        assert_eq!(run("A3 x=ok").joined(run("B3 y=ok")), run("A3 x=ok"), "neither is later");
    }

    #[test]
    fn what_began_at_another_place_is_earlier_and_nothing_of_it_is_known() {
        let before = run("A7 x=ok");
        let begun = Run::begin("A", Occasion::Upgrade, Some(&before.clone().emptied()));
        assert_eq!(begun, run("A8"));
        assert_eq!(begun.clone().joined(before), begun, "a store that is behind");
    }

    #[test]
    fn runs_are_counted_and_a_retry_counts_where_something_failed() {
        let mut first = Run::begin("A", Occasion::Install, None);
        assert_eq!((first.number, Run::begin("B", Occasion::Upgrade, Some(&first)).number), (1, 2));
        first.hooks.insert("x".to_owned(), Ended::Succeeded);
        first.retry_failed();
        assert_eq!(first.number, 1);
        first.hooks.insert("y".to_owned(), Ended::Failed(String::new()));
        first.retry_failed();
        assert_eq!(
            (first.number, &first.hooks["y"], &first.hooks["x"]),
            (2, &Ended::Retried, &Ended::Succeeded)
        );
    }
}

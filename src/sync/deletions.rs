//! What the targets of a repository may delete together: who was granted how much of it, and what becomes of a plan that is not.
//!
//! Enters: a target's plan, and how the other targets of its repository stand. Leaves: the plan with its deletions as they were, held until a
//! person approves them, or left for later. What was granted is remembered here; what was deleted and what is held stands in the targets'
//! statuses, so that a start, and another replica, go on with it. Absent: the budget that a target has by itself, which is the plan's.

use super::target::{TargetSpec, TargetState};
use super::turn::Context;
use crate::ambient;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use trueup_plan::budget::{self, Budget};
use trueup_plan::overdraft;
use trueup_plan::planning::Plan;
use trueup_plan::record::{Outcome, OutcomeResult, TargetStatus};

/// Whether a target may delete what it wants to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Ruling {
    /// It may.
    Go,
    /// That is not known yet: why.
    Wait(String),
    /// A person has to approve it.
    Hold,
}

/// What was granted within the last hour: by repository and target, which objects, and when.
#[derive(Default)]
pub struct Grants(Mutex<BTreeMap<String, BTreeMap<String, Granted>>>);

type Granted = BTreeMap<String, Timestamp>;

/// A target that wants to delete objects.
#[derive(Clone, Copy, Debug)]
pub struct Plea<'p> {
    /// Its repository.
    pub repository: &'p str,
    /// The target.
    pub target: &'p str,
    /// What to delete.
    pub objects: &'p BTreeSet<String>,
}

impl Grants {
    /// Whether the target may delete these objects: with them, and with what else was deleted or granted within the hour and what is held, the
    /// targets of the repository stay within the budget.
    pub fn ask<'s>(
        &self,
        plea: Plea<'_>,
        budget: Budget,
        statuses: impl IntoIterator<Item = &'s TargetStatus>,
        now: Timestamp,
    ) -> Ruling {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of = all.entry(plea.repository.to_owned()).or_default();
        for granted in of.values_mut() {
            granted.retain(|_, at| overdraft::counts(*at, now));
        }
        of.retain(|_, granted| !granted.is_empty());
        let own = of.get(plea.target);
        if own.is_some_and(|own| plea.objects.iter().all(|object| own.contains_key(object))) {
            return Ruling::Go;
        }
        let new =
            plea.objects.iter().filter(|object| own.is_none_or(|own| !own.contains_key(*object))).count();
        let mut granted: BTreeMap<&str, usize> =
            of.iter().map(|(target, granted)| (&**target, granted.len())).collect();
        *granted.entry(plea.target).or_default() += new;
        let (mut members, mut spent) = (0, 0);
        for status in statuses {
            let deleted = overdraft::recent(&status.pruned, now);
            members += status.objects + status.prune_pending.len() + deleted;
            let is_own = status.target == plea.target;
            let wanted = if is_own { plea.objects.len() } else { 0 };
            // A grant becomes a deletion, and is one thing with it. Which comes first to be known is open.
            spent += granted.remove(&*status.target).unwrap_or_default().max(deleted + wanted);
            spent += status.held.as_ref().filter(|_| !is_own).map_or(0, |held| held.deletions);
        }
        spent += granted.values().sum::<usize>();
        if spent > budget.of(members) {
            return Ruling::Hold;
        }
        let own = of.entry(plea.target.to_owned()).or_default();
        own.extend(plea.objects.iter().map(|object| (object.clone(), now)));
        Ruling::Go
    }
}

/// Leaves in a plan what the target may delete as far as the budget of its repository is concerned, and remembers what is held. What was
/// held before stays so until it is approved.
pub(super) fn settle(
    context: &Context<'_>,
    spec: &TargetSpec,
    state: &mut TargetState,
    plan: &mut Plan,
    may_write: bool,
) {
    let held = state.status.held.take().filter(|held| held.repository == spec.repository);
    let Some(budget) = spec.repository_budget.filter(|_| state.approval.is_none()) else { return };
    let wanted = budget::deletions(&plan.steps);
    if wanted.is_empty() {
        return;
    }
    let since = match held {
        Some(held) => held.since,
        None if may_write => match (context.delete)(&wanted) {
            Ruling::Go => return,
            Ruling::Wait(why) => return overdraft::postpone(&mut plan.steps, &why),
            Ruling::Hold => ambient::now(),
        },
        None => return,
    };
    state.status.held = overdraft::hold(&mut plan.steps, &spec.repository, budget, since);
}

/// Notes what was deleted without anybody being asked.
pub(super) fn note(spec: &TargetSpec, state: &mut TargetState, plan: &Plan, outcomes: &[Outcome]) {
    if spec.repository_budget.is_none() || state.approval.is_some() {
        return;
    }
    let done = plan
        .steps
        .iter()
        .zip(outcomes)
        .filter(|(step, outcome)| budget::deletes(step) && outcome.result == OutcomeResult::Done);
    overdraft::note(&mut state.status.pruned, done.count(), ambient::now());
}

/// Takes over what a target's record says of its deletions, where less is known here: another replica may have kept it since.
pub(super) fn recall(status: &mut TargetStatus, recorded: &TargetStatus) {
    let now = ambient::now();
    if status.held.is_none() {
        status.held.clone_from(&recorded.held);
    }
    if overdraft::recent(&recorded.pruned, now) > overdraft::recent(&status.pruned, now) {
        status.pruned.clone_from(&recorded.pruned);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;
    use trueup_plan::overdraft::{HeldDeletions, Pruned};

    fn at(minutes: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes)
    }

    /// Targets of ten objects each, whose repository may lose a tenth of them.
    struct Fleet {
        grants: Grants,
        statuses: Vec<TargetStatus>,
        now: Timestamp,
    }

    impl Fleet {
        fn of(targets: usize) -> Self {
            let status = |index| TargetStatus {
                target: format!("web@{index}"),
                objects: 10,
                ..TargetStatus::default()
            };
            Self { grants: Grants::default(), statuses: (0..targets).map(status).collect(), now: at(0) }
        }

        fn ask(&self, target: usize, objects: &[&str]) -> Ruling {
            let objects = objects.iter().map(|object| (*object).to_owned()).collect();
            let target = format!("web@{target}");
            let plea = Plea { repository: "config", target: &target, objects: &objects };
            self.grants.ask(plea, Budget::Percent(10), &self.statuses, self.now)
        }

        fn has_deleted(&mut self, target: usize, objects: usize) {
            let status = &mut self.statuses[target];
            status.objects -= objects;
            status.pruned.push(Pruned { at: self.now, objects });
        }

        fn holds(&mut self, target: usize, deletions: usize) {
            self.statuses[target].held = Some(HeldDeletions {
                repository: "config".to_owned(),
                budget: Budget::Percent(10),
                deletions,
                code: String::new(),
                since: self.now,
            });
        }
    }

    #[test]
    fn all_targets_together_delete_no_more_than_the_budget() {
        let fleet = Fleet::of(3);
        assert_eq!(fleet.ask(0, &["a", "b"]), Ruling::Go);
        assert_eq!(fleet.ask(1, &["a", "b"]), Ruling::Hold, "four of thirty");
        assert_eq!(fleet.ask(1, &["a"]), Ruling::Go, "what was refused is not counted");
        assert_eq!(fleet.ask(2, &["a"]), Ruling::Hold);
    }

    #[test]
    fn what_was_granted_is_granted_once_however_often_it_is_asked_for() {
        let mut fleet = Fleet::of(3);
        for _ in 0..3 {
            assert_eq!(fleet.ask(0, &["a", "b", "c"]), Ruling::Go);
        }
        fleet.has_deleted(0, 2);
        assert_eq!(fleet.ask(0, &["c"]), Ruling::Go, "one was slow");
        assert_eq!(fleet.ask(1, &["a"]), Ruling::Hold);
    }

    #[test]
    fn what_was_deleted_counts_for_who_comes_anew_and_for_an_hour_only() {
        let mut fleet = Fleet::of(3);
        fleet.has_deleted(0, 3);
        assert_eq!(fleet.ask(1, &["a"]), Ruling::Hold);
        assert_eq!(fleet.ask(0, &["d"]), Ruling::Hold, "its own, too");
        fleet.now = at(60);
        assert_eq!(fleet.ask(1, &["a"]), Ruling::Go);
        fleet.now = at(120);
        assert_eq!(fleet.ask(0, &["d", "e", "f"]), Ruling::Go);
    }

    #[test]
    fn what_is_held_counts_and_a_small_deletion_beside_it_waits_as_well() {
        let mut fleet = Fleet::of(3);
        fleet.holds(0, 8);
        assert_eq!(fleet.ask(1, &["a"]), Ruling::Hold);
        fleet.statuses[0].held = None;
        assert_eq!(fleet.ask(1, &["a"]), Ruling::Go);
    }

    #[test]
    fn what_a_target_was_granted_that_is_gone_counts_on() {
        let mut fleet = Fleet::of(3);
        assert_eq!(fleet.ask(2, &["a", "b"]), Ruling::Go);
        fleet.statuses.pop();
        assert_eq!(fleet.ask(0, &["a"]), Ruling::Hold, "three of twenty");
    }

    #[test]
    fn a_record_tells_what_a_start_does_not_know() {
        let mut fleet = Fleet::of(1);
        fleet.now = ambient::now();
        fleet.has_deleted(0, 3);
        fleet.holds(0, 2);
        let mut known = TargetStatus::default();
        recall(&mut known, &fleet.statuses[0]);
        assert_eq!((known.held.is_some(), known.pruned.len()), (true, 1));
        recall(&mut known, &TargetStatus::default());
        assert_eq!((known.held.is_some(), known.pruned.len()), (true, 1));
    }
}

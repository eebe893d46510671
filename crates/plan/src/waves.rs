//! What of a plan may be carried out now: a wave waits until the ones before it are in place and well, and nothing is deleted
//! while something is still waited for.
//!
//! Waiting is a step like any other; nobody is parked for it. The health of the objects that are waited for makes the next
//! turn, which plans anew. Absent: an order of kinds within a wave, which the phases of the plan have.

use crate::desired::Desired;
use crate::health::HealthStatus;
use crate::observed::Observed;
use crate::planning::{Action, Plan, Reason, Step};
use std::collections::{BTreeMap, BTreeSet};
use trueup_model::ObjectId;

/// The plan with all that has to wait turned into waiting. Nothing waits for what is `settled`.
///
/// Drift of later waves is repaired all the same: those objects were in place already.
pub fn due(mut plan: Plan, desired: &Desired, observed: &Observed, settled: &BTreeSet<ObjectId>) -> Plan {
    if let Some((wave, object, why)) = first_unready(&plan, desired, observed, settled) {
        for step in &mut plan.steps {
            if step.phase.0 > wave && step.writes() && !step.prunes() && !is_repair(step) {
                step.action = Action::Wait;
                step.reason = Reason::EarlierWave(wave, object.clone(), why.clone());
            }
        }
    }
    wait_with_needs(&mut plan, desired);
    let waits = plan.steps.iter().any(|step| step.action == Action::Wait && is_to_come(&step.reason));
    for step in plan.steps.iter_mut().filter(|step| waits && step.action == Action::Delete) {
        step.action = Action::Wait;
    }
    plan
}

// What needs an object whose kind is still to come waits with it.
fn wait_with_needs(plan: &mut Plan, desired: &Desired) {
    let is_unserved = |step: &&Step| matches!(step.reason, Reason::Unserved(_));
    let awaited: BTreeSet<ObjectId> =
        plan.steps.iter().filter(is_unserved).map(|step| step.id.clone()).collect();
    for step in plan.steps.iter_mut().filter(|step| step.writes() && !step.prunes()) {
        let mut needs = desired.objects.get(&step.id).into_iter().flat_map(|want| &want.needs);
        if let Some(need) = needs.find(|need| awaited.contains(need)) {
            step.action = Action::Wait;
            step.reason = Reason::Unserved(format!("needs {need}, whose kind is still to come"));
        }
    }
}

fn is_repair(step: &Step) -> bool {
    matches!(step.reason, Reason::Drifted(_))
}

fn is_to_come(reason: &Reason) -> bool {
    matches!(reason, Reason::EarlierWave(_, _, _) | Reason::Unserved(_))
}

// The lowest wave that is not the last, with an object that is not as Git says or not well.
fn first_unready(
    plan: &Plan,
    desired: &Desired,
    observed: &Observed,
    settled: &BTreeSet<ObjectId>,
) -> Option<(i32, ObjectId, String)> {
    let last = desired.objects.values().map(|want| want.wave).max()?;
    let misplaced = desired.refused.iter().filter(|(_, refused)| refused.wave < last);
    let misplaced =
        misplaced.map(|(id, refused)| (refused.wave, id.clone(), format!("is held: {}", refused.why)));
    let steps: BTreeMap<&ObjectId, &Step> =
        plan.steps.iter().filter(|step| !step.prunes()).map(|step| (&step.id, step)).collect();
    let early = desired.objects.values().filter(|want| want.wave < last && !settled.contains(&want.id));
    let unready = early.filter_map(|want| {
        let why = match (steps.get(&want.id), observed.members.get(&want.id)) {
            (Some(step), _) if !is_drift(step) => match step.action {
                Action::Wait if matches!(step.reason, Reason::HookRuns(_)) => {
                    format!("is not done: {}", step.reason)
                }
                Action::Hold if matches!(step.reason, Reason::HookFailed(_)) => "failed".to_owned(),
                Action::Hold | Action::Wait => format!("is held: {}", step.reason),
                Action::Create | Action::Update | Action::TakeOver | Action::Recreate | Action::Delete => {
                    "is being applied".to_owned()
                }
            },
            (_, None) => "is not in the cluster".to_owned(),
            (_, Some(live)) => match live.health.status {
                HealthStatus::Healthy | HealthStatus::Suspended => return None,
                status if live.health.message.is_empty() => format!("is {status}"),
                status => format!("is {status}: {}", live.health.message),
            },
        };
        Some((want.wave, want.id.clone(), why))
    });
    misplaced.chain(unready).min_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)))
}

// Drift does not undo a wave: the object is there in the version that Git has.
fn is_drift(step: &Step) -> bool {
    matches!(step.reason, Reason::Drifted(_) | Reason::Contested(_))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]

    use super::*;
    use crate::planning::tests::{Situation, text};
    use expect_test::{Expect, expect};

    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "expect! makes a value")]
    fn check(situation: &str, expected: Expect) {
        let situation = Situation::new(situation);
        expected.assert_eq(&text(&due(
            situation.plan(),
            &situation.desired,
            &situation.observed,
            &BTreeSet::new(),
        )));
    }

    #[test]
    fn a_wave_waits_until_the_earlier_ones_are_applied() {
        check(
            "in git: cm/a(wave=-1) cm/b deploy/c(wave=3)",
            expect![[r#"
            create    cm/a (not in the cluster)
            --
            wait      cm/b (waits for wave -1: ConfigMap shop/a is being applied)
            --
            wait      deploy/c (waits for wave -1: ConfigMap shop/a is being applied)
        "#]],
        );
    }

    #[test]
    fn a_wave_waits_for_the_health_of_the_earlier_ones_and_a_suspended_object_is_well() {
        check(
            "in git: deploy/a deploy/s cm/b(wave=1) | member: deploy/a(health=1/2) deploy/s(health=suspended) | applied: deploy/a deploy/s",
            expect![[r#"
                wait      cm/b (waits for wave 0: Deployment.apps shop/a is Progressing: 1/2)
                unchanged: 2
            "#]],
        );
        check(
            "in git: deploy/a cm/b(wave=1) | member: deploy/a | applied: deploy/a",
            expect![[r#"
                create    cm/b (not in the cluster)
                unchanged: 1
            "#]],
        );
    }

    #[test]
    fn what_cannot_be_applied_stops_the_waves_after_it() {
        check(
            "in git: cm/b(wave=1) | not placed: cm/a",
            expect![[r#"
            hold      cm/a (it names no namespace)
            --
            wait      cm/b (waits for wave 0: ConfigMap shop/a is held: it names no namespace)
        "#]],
        );
        check(
            "in git: cm/b | not placed: cm/a(wave=1)",
            expect![[r#"
            create    cm/b (not in the cluster)
            --
            hold      cm/a (it names no namespace)
        "#]],
        );
    }

    #[test]
    fn drift_of_a_later_wave_is_repaired_whatever_the_health_of_the_earlier() {
        check(
            "in git: deploy/a cm/b(wave=1) | member: deploy/a(health=1/2) cm/b(changed) | applied: deploy/a cm/b",
            expect![[r#"
                update    cm/b (changed in the cluster)
                unchanged: 1
            "#]],
        );
    }

    #[test]
    fn nothing_is_deleted_while_a_wave_or_a_kind_is_waited_for() {
        check(
            "in git: deploy/a cm/b(wave=1) | member: deploy/a(health=1/2) cm/gone | applied: deploy/a",
            expect![[r#"
                wait      cm/b (waits for wave 0: Deployment.apps shop/a is Progressing: 1/2)
                --
                wait      cm/gone (not in Git any more)
                unchanged: 1
            "#]],
        );
        check(
            "in git: cm/a | member: cm/a cm/gone | applied: cm/a | not placed: widget/w(unserved) | awaited: widget",
            expect![[r#"
                wait      widget/w (widget is still to come)
                --
                wait      cm/gone (not in Git any more)
                unchanged: 1
            "#]],
        );
    }
}

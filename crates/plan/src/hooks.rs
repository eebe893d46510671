//! Hooks: objects that are put there at certain moments of a sync, run to their end, and then count for nothing.
//!
//! Enters: the annotations of Helm and Argo CD; a plan that was made as if hooks were objects like any others; and what is known
//! of the hooks' present run. Leaves: the plan as it is with hooks, and what is known of the run then. Hooks run once for each
//! state that a target should have: what they are run for is a hash of all that is wanted, which their own annotation names. Their
//! order is that of waves: hooks before a sync have waves before all others, those after it behind all others.
//!
//! Absent: doing anything, and waiting. A hook that runs is looked at when it changes.

use crate::desired::Desired;
use crate::health::HealthStatus;
use crate::observed::{Ledger, Live, Observed, Stranger};
use crate::order::{Stage, stage};
use crate::planning::{Action, Plan, Precondition, Reason, Step, exactly};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use trueup_merge::compare::Change;
use trueup_model::{Manifest, ObjectId};

mod run;

pub use run::{Ended, Run};

/// On a hook, by trueup: what it was run for.
pub const RUN_ANNOTATION: &str = "trueup.dev/hook-run";

const HELM: &str = "helm.sh/hook";
const ARGO: &str = "argocd.argoproj.io/hook";
/// The wave of the first hook before a sync; the others follow. Foundations come one wave before it.
pub const BEFORE: i32 = -1_000_000_000;
/// The wave of the first hook after a sync.
pub const AFTER: i32 = 1_000_000_000;

/// What an object is by its annotations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// One that stays.
    Object,
    /// A hook.
    Hook(Hook),
    /// A hook of a moment that never comes in a sync: a test, a deletion, a rollback.
    LeftOut,
}

/// When an object is put there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// On which occasions, and whether it is before, with or after the objects that stay then.
    pub moments: BTreeMap<Occasion, Moment>,
    /// The wave that it has on each occasion; its own annotation's where there is none.
    pub waves: BTreeMap<Occasion, i32>,
    /// Hooks of one moment go in this order.
    pub weight: i64,
    /// Whether it is deleted once it succeeded.
    pub deleted_after: bool,
}

/// Why there is a sync.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Occasion {
    /// The target was never synced in full.
    Install,
    /// It was.
    #[default]
    Upgrade,
}

/// When in a sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    /// Before all objects that stay.
    Before,
    /// Among them.
    With,
    /// When they are healthy.
    After,
}

/// A plan with hooks in it.
#[derive(Debug)]
pub struct Hooked {
    /// The plan.
    pub plan: Plan,
    /// Hooks that nothing is to be done about, and nothing waits for.
    pub settled: BTreeSet<ObjectId>,
    /// Whether some of them are to go once it is recorded that they ended well.
    pub is_behind: bool,
    /// What is known of the run now; none where there never were hooks.
    pub run: Option<Run>,
}

/// Says what an object is.
///
/// Sources: Helm's "Chart Hooks", Argo CD's "Sync Phases and Waves". Where an object says both, Argo CD's counts, as there.
///
/// # Errors
/// An annotation that is not understood.
pub fn role(manifest: &Manifest) -> Result<Role, String> {
    if let Some(moments) = words(manifest, ARGO) {
        return argo(&moments, manifest);
    }
    match words(manifest, HELM) {
        Some(events) => helm(&events, manifest),
        None => Ok(Role::Object),
    }
}

fn words(manifest: &Manifest, annotation: &str) -> Option<Vec<String>> {
    let text = manifest.annotation(annotation)?;
    Some(text.split(',').map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect())
}

fn helm(events: &[String], manifest: &Manifest) -> Result<Role, String> {
    let mut found: BTreeSet<(Moment, Occasion)> = BTreeSet::new();
    for event in events {
        found.extend(match event.to_lowercase().as_str() {
            "pre-install" => Some((Moment::Before, Occasion::Install)),
            "pre-upgrade" => Some((Moment::Before, Occasion::Upgrade)),
            "post-install" => Some((Moment::After, Occasion::Install)),
            "post-upgrade" => Some((Moment::After, Occasion::Upgrade)),
            // As Helm 3 treats what Helm 2 put there first.
            "crd-install" => return Ok(Role::Object),
            "test" | "test-success" | "test-failure" | "pre-delete" | "post-delete" | "pre-rollback"
            | "post-rollback" => None,
            _ => return Err(format!("the annotation {HELM} names no moment that Helm knows: {event:?}")),
        });
    }
    if found.is_empty() {
        return Ok(Role::LeftOut);
    }
    let mut moments = BTreeMap::new();
    for (moment, occasion) in found {
        // One that is for both moments of an occasion would be two objects of one name; the first counts.
        moments.entry(occasion).or_insert(moment);
    }
    let name = "helm.sh/hook-weight";
    let weight = match manifest.annotation(name).map(str::trim).filter(|text| !text.is_empty()) {
        Some(text) => {
            text.parse().map_err(|_| format!("the annotation {name} is no whole number: {text:?}"))?
        }
        None => 0,
    };
    Ok(Role::Hook(Hook {
        moments,
        waves: BTreeMap::new(),
        weight,
        deleted_after: deletes(manifest, "helm.sh/hook-delete-policy", "hook-succeeded"),
    }))
}

fn argo(moments: &[String], manifest: &Manifest) -> Result<Role, String> {
    let mut found: BTreeSet<Moment> = BTreeSet::new();
    for moment in moments {
        found.extend(match moment.as_str() {
            "PreSync" => Some(Moment::Before),
            "Sync" => Some(Moment::With),
            "PostSync" => Some(Moment::After),
            "SyncFail" | "PostDelete" | "PreDelete" | "Skip" => None,
            _ => return Err(format!("the annotation {ARGO} names no moment that Argo CD knows: {moment:?}")),
        });
    }
    let Some(moment) = found.first().copied() else { return Ok(Role::LeftOut) };
    Ok(Role::Hook(Hook {
        moments: [(Occasion::Install, moment), (Occasion::Upgrade, moment)].into(),
        waves: BTreeMap::new(),
        weight: crate::place::wave(manifest)?.into(),
        deleted_after: deletes(manifest, "argocd.argoproj.io/hook-delete-policy", "HookSucceeded"),
    }))
}

fn deletes(manifest: &Manifest, annotation: &str, policy: &str) -> bool {
    words(manifest, annotation).into_iter().flatten().any(|word| word.eq_ignore_ascii_case(policy))
}

/// Gives the hooks their waves, and what they are run for.
pub(crate) fn arrange(desired: &mut Desired, write: impl Fn(&mut Desired, &ObjectId, &str)) {
    if desired.hooks.is_empty() {
        return;
    }
    let all = desired.objects.values().map(|want| format!("{} {}\n", want.id, want.digest));
    let run = trueup_merge::token::digest(all.collect::<String>().as_bytes(), "", "", 0).to_string();
    let has_early = desired.hooks.values().any(|hook| hook.moments.values().any(|of| *of == Moment::Before));
    for want in desired.objects.values_mut() {
        if has_early && want.stage() == Stage::Foundations && !desired.hooks.contains_key(&want.id) {
            Arc::make_mut(want).wave = BEFORE - 1;
        }
    }
    for occasion in [Occasion::Upgrade, Occasion::Install] {
        for (id, wave) in waves(desired, occasion) {
            if let Some(hook) = desired.hooks.get_mut(&id) {
                hook.waves.insert(occasion, wave);
            }
            if let Some(want) = desired.objects.get_mut(&id) {
                Arc::make_mut(want).wave = wave;
            }
        }
    }
    let ids: Vec<ObjectId> = desired.hooks.keys().cloned().collect();
    for id in &ids {
        write(desired, id, &run);
    }
    desired.run = run;
}

/// The waves of the hooks of an occasion that are before or after all others: each has its own.
fn waves(desired: &Desired, occasion: Occasion) -> Vec<(ObjectId, i32)> {
    let mut order: Vec<(Moment, i64, Stage, &ObjectId)> = desired
        .hooks
        .iter()
        .filter_map(|(id, hook)| {
            Some((*hook.moments.get(&occasion)?, hook.weight, stage(&id.group, &id.kind), id))
        })
        .collect();
    order.sort();
    let wave = |(place, (moment, _, _, id)): (i32, (Moment, i64, Stage, &ObjectId))| match moment {
        Moment::Before => Some((id.clone(), BEFORE + place)),
        Moment::With => None,
        Moment::After => Some((id.clone(), AFTER + place)),
    };
    (0..).zip(order).filter_map(wave).collect()
}

/// What is wanted, with the hooks in the waves that they have on the run's occasion.
pub fn on_occasion(desired: &Arc<Desired>, run: Option<&Run>) -> Arc<Desired> {
    let Some(run) = run else { return desired.clone() };
    let moved = |(id, hook): (&ObjectId, &Hook)| {
        let wave = *hook.waves.get(&run.occasion)?;
        desired.objects.get(id).filter(|want| want.wave != wave).map(|_| (id.clone(), wave))
    };
    let moved: Vec<(ObjectId, i32)> = desired.hooks.iter().filter_map(moved).collect();
    if moved.is_empty() {
        return desired.clone();
    }
    let mut desired = Desired::clone(desired);
    for (id, wave) in moved {
        if let Some(want) = desired.objects.get_mut(&id) {
            Arc::make_mut(want).wave = wave;
        }
    }
    Arc::new(desired)
}

/// The run that is due: the one that is known, or a new one on this occasion. A state without hooks that comes after one with hooks is a run
/// as well, of none: a record that is behind would count for the later one otherwise, once there are hooks again.
pub fn due(desired: &Desired, known: Option<&Run>, occasion: Occasion) -> Option<Run> {
    match known {
        None if desired.hooks.is_empty() => None,
        Some(run) if run.id == desired.run => Some(run.clone()),
        Some(_) | None => Some(Run::begin(&desired.run, occasion, known)),
    }
}

/// The hooks of which something older is remembered than what is there: a trueup that ended before it could write down what it applied
/// last, or a store that could not be written. That Git wants something else than what is remembered says nothing of those; only the
/// server can say of which run they are.
pub fn outlived(desired: &Desired, observed: &Observed, ledger: &Ledger) -> Vec<ObjectId> {
    let is_outlived = |id: &&ObjectId| {
        let both = (desired.objects.get(*id), observed.members.get(*id), ledger.get(*id));
        let (Some(want), Some(live), Some(known)) = both else { return false };
        known.digest != want.digest && live.token != Some(known.token)
    };
    desired.hooks.keys().filter(is_outlived).cloned().collect()
}

/// Makes of a plan in which hooks are objects like any others one in which they are hooks. A hook goes only where the run as it is `recorded`
/// says that it ended well: once it is gone, nothing else does.
pub fn settle(
    mut plan: Plan,
    desired: &Desired,
    observed: &Observed,
    run: Option<Run>,
    recorded: Option<&Run>,
) -> Hooked {
    let (mut settled, mut is_behind) = (BTreeSet::new(), false);
    let Some(mut run) = run else { return Hooked { plan, settled, is_behind, run: None } };
    let recorded = recorded.filter(|recorded| recorded.id == run.id);
    for (id, hook) in desired.hooks.iter().filter(|(id, _)| desired.objects.contains_key(id)) {
        let at = plan.steps.iter().position(|step| step.id == *id && !step.prunes());
        let member = observed.members.get(id).map(|live| Found::Member(live));
        let found = member.or_else(|| observed.strangers.get(id).map(Found::Stranger));
        let standing = stands(hook, id, at.map(|at| &plan.steps[at]), found, &run);
        match &standing {
            Standing::Ended(ended, live) => run.end(id, live.map(|live| &*live.uid), ended.clone()),
            Standing::Runs(live, _) => run.note_made(id, &live.uid),
            // What failed is gone, and nothing of it is left to say.
            Standing::New => run.forget(id),
            Standing::Idle
            | Standing::Spent(_)
            | Standing::Again(_)
            | Standing::AgainAfter(_)
            | Standing::Doubtful
            | Standing::AsPlanned => {}
        }
        let base = || blank(desired, id);
        let step = match standing {
            Standing::AsPlanned | Standing::Ended(Ended::Retried, _) => continue,
            Standing::Idle | Standing::Ended(Ended::Succeeded, _) => {
                settled.insert(id.clone());
                None
            }
            Standing::Spent(_) if !recorded.is_some_and(|recorded| recorded.has_succeeded(id)) => {
                settled.insert(id.clone());
                is_behind = true;
                None
            }
            Standing::Spent(live) => {
                settled.insert(id.clone());
                Some(Step {
                    action: Action::Delete,
                    reason: Reason::HookDone,
                    precondition: Some(exactly(live)),
                    ..base()
                })
            }
            Standing::Ended(Ended::Failed(why), _) => {
                Some(Step { action: Action::Hold, reason: Reason::HookFailed(why), ..base() })
            }
            Standing::Runs(_, how) => {
                Some(Step { action: Action::Wait, reason: Reason::HookRuns(how), ..base() })
            }
            Standing::Again(live) => Some(Step {
                action: Action::Recreate,
                reason: Reason::HookAgain,
                precondition: Some(exactly(live)),
                ..base()
            }),
            Standing::AgainAfter(stranger) => Some(Step {
                action: Action::Recreate,
                reason: Reason::HookAgain,
                precondition: Some(Precondition {
                    uid: stranger.uid.clone(),
                    resource_version: String::new(),
                }),
                ..base()
            }),
            Standing::New => Some(Step { action: Action::Create, reason: Reason::Missing, ..base() }),
            Standing::Doubtful => Some(Step { action: Action::Wait, reason: Reason::Unproven, ..base() }),
        };
        put(&mut plan, at, step);
    }
    Hooked { plan, settled, is_behind, run: Some(run) }
}

/// A step about a hook that says nothing yet.
fn blank(desired: &Desired, id: &ObjectId) -> Step {
    let want = desired.objects.get(id);
    Step {
        id: id.clone(),
        action: Action::Wait,
        reason: Reason::HookAgain,
        phase: want.map_or((0, stage(&id.group, &id.kind)), |want| (want.wave, want.stage())),
        precondition: None,
        origin: want.map(|want| want.origin.clone()).unwrap_or_default(),
    }
}

/// Puts a step in the place of the one that was planned; where none was, in its order.
fn put(plan: &mut Plan, at: Option<usize>, step: Option<Step>) {
    match (at, step) {
        (Some(at), Some(step)) => plan.steps[at] = step,
        (Some(at), None) => {
            plan.steps.remove(at);
            plan.unchanged += 1;
        }
        (None, Some(step)) => {
            plan.unchanged = plan.unchanged.saturating_sub(1);
            let behind = |other: &Step| other.prunes() || (other.phase, &other.id) > (step.phase, &step.id);
            let place = plan.steps.iter().position(behind).unwrap_or(plan.steps.len());
            plan.steps.insert(place, step);
        }
        (None, None) => {}
    }
}

/// How a hook stands.
enum Standing<'l> {
    /// Nothing is to be done about it.
    Idle,
    /// It ended well some time ago, and is to go.
    Spent(&'l Live),
    /// It ended, this one where it is still there.
    Ended(Ended, Option<&'l Live>),
    /// It is under way: how far.
    Runs(&'l Live, String),
    /// It is there from an earlier run.
    Again(&'l Live),
    /// It is there from a run of another tool's.
    AgainAfter(&'l Stranger),
    /// It is there, and nobody could say of which run.
    Doubtful,
    /// It is not there.
    New,
    /// What was planned is right.
    AsPlanned,
}

/// A hook that is there.
#[derive(Clone, Copy)]
enum Found<'l> {
    Member(&'l Live),
    Stranger(&'l Stranger),
}

fn stands<'l>(
    hook: &Hook,
    id: &ObjectId,
    step: Option<&Step>,
    found: Option<Found<'l>>,
    run: &Run,
) -> Standing<'l> {
    let live = match found {
        Some(Found::Member(live)) => Some(live),
        Some(Found::Stranger(_)) | None => None,
    };
    if !hook.moments.contains_key(&run.occasion) {
        return Standing::Idle;
    }
    match (run.hooks.get(&id.to_string()), live) {
        (Some(Ended::Succeeded), Some(live)) if hook.deleted_after && !live.deleting => {
            return Standing::Spent(live);
        }
        (Some(Ended::Succeeded), _) => return Standing::Idle,
        (Some(failed @ Ended::Failed(_)), _) => return Standing::Ended(failed.clone(), None),
        // One that was made since may be there already: whoever made it ended before it could write that down.
        (Some(Ended::Retried), Some(live)) if !live.deleting && run.is_spent(id, &live.uid) => {
            return Standing::Again(live);
        }
        (Some(Ended::Retried) | None, _) => {}
    }
    let Some(live) = live else {
        return match (step.map(|step| (step.action, &step.reason)), found) {
            (Some((_, Reason::Deleted | Reason::Missing)), _) => Standing::New,
            // What another tool ran has ended, and a Job cannot be changed.
            (Some((Action::TakeOver, Reason::OwnedBy(_))), Some(Found::Stranger(stranger))) => {
                Standing::AgainAfter(stranger)
            }
            (Some(_) | None, _) => Standing::AsPlanned,
        };
    };
    match step.map(|step| &step.reason) {
        None => ended(live),
        // Whatever was written over it since, its annotation included.
        Some(
            Reason::Unproven
            | Reason::ChangedInGit
            | Reason::Differs(_)
            | Reason::Drifted(_)
            | Reason::Contested(_)
            | Reason::Immutable(_)
            | Reason::Replaced(_),
        ) if run.has_made(id, &live.uid) => ended(live),
        // What differs could not be found out.
        Some(Reason::Unproven) => Standing::Doubtful,
        Some(Reason::Drifted(changes) | Reason::Contested(changes)) if changes.is_empty() => {
            Standing::Doubtful
        }
        // What differs may only be what somebody changed since: also where nothing is remembered of it. One that is there from an earlier run,
        // though this one made it already, came back with a backup.
        Some(Reason::Differs(changes) | Reason::Drifted(changes) | Reason::Contested(changes))
            if !changes.iter().any(is_of_the_run) =>
        {
            ended(live)
        }
        Some(
            Reason::ChangedInGit
            | Reason::Differs(_)
            | Reason::Drifted(_)
            | Reason::Contested(_)
            | Reason::Immutable(_)
            | Reason::Replaced(_),
        ) => Standing::Again(live),
        Some(_) => Standing::AsPlanned,
    }
}

/// Whether a change is that of what a hook was run for.
fn is_of_the_run(change: &Change) -> bool {
    let annotation = change.pointer.strip_prefix("/metadata/annotations/");
    annotation.is_some_and(|name| name.replace("~1", "/") == RUN_ANNOTATION)
}

fn ended(live: &Live) -> Standing<'_> {
    match live.health.status {
        HealthStatus::Healthy => Standing::Ended(Ended::Succeeded, Some(live)),
        HealthStatus::Degraded => Standing::Ended(Ended::Failed(live.health.message.clone()), Some(live)),
        HealthStatus::Progressing
        | HealthStatus::Suspended
        | HealthStatus::Missing
        | HealthStatus::Unknown => Standing::Runs(live, live.health.message.clone()),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]

    use super::*;
    use crate::planning::tests::{Situation, text};
    use crate::waves;
    use expect_test::{Expect, expect};
    use serde_json::json;
    use trueup_model::Origin;

    fn said(annotations: &[(&str, &str)]) -> String {
        let annotations: BTreeMap<&str, &str> = annotations.iter().copied().collect();
        let value = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a", "annotations": annotations}});
        match role(&Manifest { value: value.into(), origin: Origin::default() }) {
            Ok(Role::Object) => "an object".to_owned(),
            Ok(Role::LeftOut) => "left out".to_owned(),
            Ok(Role::Hook(Hook { moments, weight, deleted_after, .. })) => {
                format!("{moments:?} {weight} {}", if deleted_after { "then goes" } else { "stays" })
            }
            Err(why) => why,
        }
    }

    #[test]
    fn annotations_of_helm_and_argo_say_what_a_hook_is() {
        for (annotations, expected) in [
            (&[][..], "an object"),
            (&[("helm.sh/hook", "pre-install, pre-upgrade")], "{Install: Before, Upgrade: Before} 0 stays"),
            (
                &[
                    ("helm.sh/hook", "post-upgrade"),
                    ("helm.sh/hook-weight", "-5"),
                    ("helm.sh/hook-delete-policy", "before-hook-creation,hook-succeeded"),
                ],
                "{Upgrade: After} -5 then goes",
            ),
            (&[("helm.sh/hook", "test")], "left out"),
            (
                &[("helm.sh/hook", "post-delete,post-install,pre-upgrade")],
                "{Install: After, Upgrade: Before} 0 stays",
            ),
            (&[("helm.sh/hook", "crd-install")], "an object"),
            (
                &[("helm.sh/hook", "before-all")],
                "the annotation helm.sh/hook names no moment that Helm knows: \"before-all\"",
            ),
            (
                &[("helm.sh/hook", "post-install"), ("helm.sh/hook-weight", "late")],
                "the annotation helm.sh/hook-weight is no whole number: \"late\"",
            ),
            (
                &[
                    ("helm.sh/hook", "post-install"),
                    ("argocd.argoproj.io/hook", "PreSync"),
                    ("argocd.argoproj.io/sync-wave", "3"),
                    ("argocd.argoproj.io/hook-delete-policy", "HookSucceeded"),
                ],
                "{Install: Before, Upgrade: Before} 3 then goes",
            ),
            (&[("argocd.argoproj.io/hook", "SyncFail")], "left out"),
        ] {
            assert_eq!(said(annotations), expected, "{annotations:?}");
        }
    }

    /// What is planned where `deploy/pre` and `deploy/post` are hooks, and what is known of the run then.
    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "expect! makes a value")]
    fn check(situation: &str, known: &[(&str, Ended)], expected: Expect) {
        let mut situation = Situation::new(situation);
        for id in situation.desired.objects.keys().filter(|id| id.kind == "Deployment") {
            let moment = if id.name == "pre" { Moment::Before } else { Moment::After };
            let moments = [(Occasion::Upgrade, moment)].into();
            let hook = Hook { moments, waves: BTreeMap::new(), weight: 0, deleted_after: id.name == "post" };
            situation.desired.hooks.insert(id.clone(), hook);
        }
        situation.desired.run = "r".to_owned();
        let hooks = known.iter().map(|(name, ended)| (format!("Deployment.apps shop/{name}"), ended.clone()));
        let known = Run { hooks: hooks.collect(), ..Run::begin("r", Occasion::Upgrade, None) };
        let run = due(&situation.desired, Some(&known), Occasion::Upgrade);
        let hooked = settle(situation.plan(), &situation.desired, &situation.observed, run, Some(&known));
        let plan = waves::due(hooked.plan, &situation.desired, &situation.observed, &hooked.settled);
        let ended = hooked.run.unwrap().hooks;
        let ended = ended.iter().map(|(id, ended)| format!("{id}: {ended:?}\n"));
        expected.assert_eq(&format!("{}{}", text(&plan), ended.collect::<String>()));
    }

    const ALL: &str = "deploy/pre(wave=-9) cm/a deploy/post(wave=9)";

    #[test]
    fn what_comes_after_a_hook_waits_until_it_ended_well() {
        check(
            &format!("in git: {ALL}"),
            &[],
            expect![[r#"
            create    deploy/pre (not in the cluster)
            --
            wait      cm/a (waits for wave -9: Deployment.apps shop/pre is being applied)
            --
            wait      deploy/post (waits for wave -9: Deployment.apps shop/pre is being applied)
        "#]],
        );
        check(
            &format!("in git: {ALL} | member: deploy/pre(health=0/1) | applied: deploy/pre"),
            &[],
            expect![[r#"
                wait      deploy/pre (the hook runs: 0/1)
                --
                wait      cm/a (waits for wave -9: Deployment.apps shop/pre is not done: the hook runs: 0/1)
                --
                wait      deploy/post (waits for wave -9: Deployment.apps shop/pre is not done: the hook runs: 0/1)
            "#]],
        );
        check(
            &format!("in git: {ALL} | member: deploy/pre | applied: deploy/pre"),
            &[],
            expect![[r#"
            create    cm/a (not in the cluster)
            --
            wait      deploy/post (waits for wave 0: ConfigMap shop/a is being applied)
            unchanged: 1
            Deployment.apps shop/pre: Succeeded
        "#]],
        );
    }

    #[test]
    fn a_hook_of_an_earlier_run_is_made_anew_and_one_that_ended_is_passed_over() {
        check(
            &format!("in git: {ALL} | member: deploy/pre cm/a | applied: cm/a deploy/pre(otherwise)"),
            &[],
            expect![[r#"
                recreate  deploy/pre (the hook runs again, since what is wanted changed)
                --
                wait      deploy/post (waits for wave -9: Deployment.apps shop/pre is being applied)
                unchanged: 1
            "#]],
        );
        check(
            &format!("in git: {ALL} | member: cm/a | applied: cm/a | stranger: deploy/pre(by=helm)"),
            &[],
            expect![[r#"
                recreate  deploy/pre (the hook runs again, since what is wanted changed)
                --
                wait      deploy/post (waits for wave -9: Deployment.apps shop/pre is being applied)
                unchanged: 1
            "#]],
        );
        let ended = [("pre", Ended::Succeeded), ("post", Ended::Succeeded)];
        check(
            &format!("in git: {ALL} | member: cm/a | applied: cm/a"),
            &ended,
            expect![[r#"
            unchanged: 3
            Deployment.apps shop/post: Succeeded
            Deployment.apps shop/pre: Succeeded
        "#]],
        );
        check(
            &format!("in git: {ALL} | member: cm/a deploy/post | applied: cm/a deploy/post"),
            &ended,
            expect![[r#"
                delete    deploy/post (the hook succeeded)
                unchanged: 2
                Deployment.apps shop/post: Succeeded
                Deployment.apps shop/pre: Succeeded
            "#]],
        );
    }

    #[test]
    fn a_hook_of_which_nothing_is_remembered_is_made_anew_only_if_it_says_that_it_was_run_for_something_else()
    {
        let before = "in git: deploy/pre(wave=-9) cm/a | member: deploy/pre cm/a | applied: cm/a | dry run: deploy/pre";
        check(
            &format!("{before}(differs=metadata/annotations/trueup.dev~1hook-run)"),
            &[],
            expect![[r#"
                recreate  deploy/pre (the hook runs again, since what is wanted changed)
                unchanged: 1
            "#]],
        );
        check(
            &format!("{before}(differs=metadata/labels/by)"),
            &[],
            expect![[r#"
                unchanged: 2
                Deployment.apps shop/pre: Succeeded
            "#]],
        );
        // It came back with a backup: this run made it already, and what is there is of an earlier one.
        let back = "in git: deploy/pre(wave=-9) cm/a | member: deploy/pre(changed) cm/a | applied: cm/a deploy/pre | dry run: deploy/pre";
        check(
            &format!("{back}(differs=metadata/annotations/trueup.dev~1hook-run)"),
            &[],
            expect![[r#"
                recreate  deploy/pre (the hook runs again, since what is wanted changed)
                unchanged: 1
            "#]],
        );
        check(
            "in git: deploy/pre(wave=-9) cm/a | member: deploy/pre(changed) cm/a | applied: cm/a deploy/pre",
            &[],
            expect![[r#"
                wait      deploy/pre (not known to be as in Git)
                unchanged: 1
            "#]],
        );
        check(
            &format!("{back}(differs=metadata/labels/by)"),
            &[],
            expect![[r#"
                unchanged: 2
                Deployment.apps shop/pre: Succeeded
            "#]],
        );
        check(
            "in git: deploy/pre(wave=-9) cm/a | member: deploy/pre",
            &[],
            expect![[r#"
                wait      deploy/pre (not known to be as in Git)
                --
                wait      cm/a (waits for wave -9: Deployment.apps shop/pre is held: not known to be as in Git)
            "#]],
        );
    }

    /// A situation whose first object is a hook before an upgrade, for the run `r`.
    fn with_hook(situation: &str, deleted_after: bool) -> (Situation, ObjectId) {
        let mut situation = Situation::new(situation);
        let id = situation.desired.objects.keys().next().unwrap().clone();
        let moments = [(Occasion::Upgrade, Moment::Before)].into();
        let hook = Hook { moments, waves: BTreeMap::new(), weight: 0, deleted_after };
        situation.desired.hooks.insert(id.clone(), hook);
        situation.desired.run = "r".to_owned();
        (situation, id)
    }

    #[test]
    fn a_hook_that_this_run_made_is_of_this_run_whatever_a_late_write_of_an_earlier_one_says() {
        let applied =
            "in git: deploy/pre | member: deploy/pre(changed) | applied: deploy/pre | dry run: deploy/pre";
        let text = format!("{applied}(differs=metadata/annotations/trueup.dev~1hook-run)");
        let (situation, id) = with_hook(&text, false);
        let uid = situation.observed.members[&id].uid.clone();
        let steps = |made: Option<&str>| {
            let mut run = Run::begin("r", Occasion::Upgrade, None);
            if let Some(uid) = made {
                run.note_made(&id, uid);
            }
            let hooked = settle(situation.plan(), &situation.desired, &situation.observed, Some(run), None);
            (hooked.plan.steps.len(), hooked.run.unwrap())
        };
        assert_eq!(steps(None).0, 1, "its annotation says that it was run for something else");
        assert_eq!(steps(Some("another")).0, 1, "it is not the one that this run made");
        let (left, run) = steps(Some(&uid));
        assert_eq!((left, run.hooks[&id.to_string()].clone()), (0, Ended::Succeeded));
        assert!(run.made.is_empty(), "it has ended");
    }

    #[test]
    fn a_hook_that_ran_once_more_before_a_record_says_so_is_not_run_again() {
        let (mut situation, id) =
            with_hook("in git: deploy/pre | member: deploy/pre | applied: deploy/pre", false);
        let uid = situation.observed.members[&id].uid.clone();
        let settled = |failed: Option<&str>, ended: Ended| {
            let mut run = Run::begin("r", Occasion::Upgrade, None);
            run.end(&id, failed, ended);
            run.retry_failed();
            let hooked = settle(situation.plan(), &situation.desired, &situation.observed, Some(run), None);
            (hooked.plan.steps.len(), hooked.run.unwrap().hooks[&id.to_string()].clone())
        };
        let failed = || Ended::Failed("no luck".to_owned());
        assert_eq!(settled(Some(&uid), failed()), (1, Ended::Retried), "it is the one that failed");
        assert_eq!(settled(None, failed()), (1, Ended::Retried), "of an earlier trueup");
        assert_eq!(settled(Some("the one before"), failed()), (0, Ended::Succeeded));
        // It is under way: what failed is not to run again any more.
        let live = Arc::make_mut(situation.observed.members.get_mut(&id).unwrap());
        live.health.status = HealthStatus::Progressing;
        let mut run = Run::begin("r", Occasion::Upgrade, None);
        run.end(&id, Some("the one before"), failed());
        run.retry_failed();
        for _ in 0..2 {
            let hooked = settle(situation.plan(), &situation.desired, &situation.observed, Some(run), None);
            assert!(matches!(hooked.plan.steps[0].reason, Reason::HookRuns(_)));
            run = hooked.run.unwrap();
            assert!(run.hooks.is_empty() && run.has_made(&id, &uid));
        }
    }

    #[test]
    fn a_hook_that_ended_well_goes_once_that_is_recorded() {
        let (situation, id) =
            with_hook("in git: deploy/pre | member: deploy/pre | applied: deploy/pre", true);
        let begun = Run::begin("r", Occasion::Upgrade, None);
        let of_another = Run { id: "q".to_owned(), ..begun.clone() };
        let ended = |mut run: Run| {
            run.end(&id, None, Ended::Succeeded);
            run
        };
        let steps = |recorded: Option<Run>| {
            let run = Some(ended(begun.clone()));
            let (desired, observed) = (&situation.desired, &situation.observed);
            let hooked = settle(situation.plan(), desired, observed, run, recorded.as_ref());
            (hooked.plan.steps.len(), hooked.is_behind, hooked.settled.len())
        };
        assert_eq!(steps(None), (0, true, 1));
        assert_eq!(steps(Some(begun.clone())), (0, true, 1), "what is recorded has it under way");
        assert_eq!(steps(Some(ended(of_another))), (0, true, 1));
        assert_eq!(steps(Some(ended(begun.clone()))), (1, false, 1));
    }

    #[test]
    fn a_hook_that_failed_stops_the_rest_until_it_is_to_run_once_more() {
        let failed = [("pre", Ended::Failed("no luck".to_owned()))];
        check(
            &format!("in git: {ALL} | member: deploy/pre | applied: deploy/pre"),
            &failed,
            expect![[r#"
                hold      deploy/pre (the hook failed, and the sync stops here: no luck; a commit that changes the target, or a sync that somebody asks for, runs it again)
                --
                wait      cm/a (waits for wave -9: Deployment.apps shop/pre failed)
                --
                wait      deploy/post (waits for wave -9: Deployment.apps shop/pre failed)
                Deployment.apps shop/pre: Failed("no luck")
            "#]],
        );
        let again = [("pre", Ended::Retried)];
        check(
            &format!("in git: {ALL} | member: deploy/pre | applied: deploy/pre"),
            &again,
            expect![[r#"
            recreate  deploy/pre (the hook runs again, since what is wanted changed)
            --
            wait      cm/a (waits for wave -9: Deployment.apps shop/pre is being applied)
            --
            wait      deploy/post (waits for wave -9: Deployment.apps shop/pre is being applied)
            Deployment.apps shop/pre: Retried
        "#]],
        );
        check(
            &format!("in git: {ALL}"),
            &again,
            expect![[r#"
            create    deploy/pre (not in the cluster)
            --
            wait      cm/a (waits for wave -9: Deployment.apps shop/pre is being applied)
            --
            wait      deploy/post (waits for wave -9: Deployment.apps shop/pre is being applied)
        "#]],
        );
    }

    #[test]
    fn what_is_remembered_of_a_hook_counts_only_for_the_one_that_is_there() {
        let situation = "in git: deploy/pre | member: deploy/pre | applied: deploy/pre(otherwise)";
        let mut situation = Situation::new(situation);
        let id = situation.desired.objects.keys().next().unwrap().clone();
        let outlived = |situation: &Situation| {
            outlived(&situation.desired, &situation.observed, &situation.ledger).len()
        };
        assert_eq!(outlived(&situation), 0, "it is no hook");
        let moments = [(Occasion::Upgrade, Moment::Before)].into();
        let hook = Hook { moments, waves: BTreeMap::new(), weight: 0, deleted_after: false };
        situation.desired.hooks.insert(id.clone(), hook);
        assert_eq!(outlived(&situation), 1, "somebody has applied it since, perhaps for this very run");
        let known = situation.ledger.get_mut(&id).unwrap();
        known.token = situation.observed.members[&id].token.unwrap();
        assert_eq!(outlived(&situation), 0, "it is as it was applied last, which was for another run");
        let mut edited = Situation::new("in git: deploy/pre | member: deploy/pre");
        edited.desired.hooks.clone_from(&situation.desired.hooks);
        assert_eq!(outlived(&edited), 0, "nothing is remembered");
    }

    #[test]
    fn a_hook_of_another_occasion_is_passed_over_and_a_change_begins_a_new_run() {
        let mut desired = Situation::new("in git: deploy/pre").desired;
        assert_eq!(due(&desired, None, Occasion::Install), None);
        let hook = Hook {
            moments: [(Occasion::Upgrade, Moment::Before)].into(),
            waves: [(Occasion::Upgrade, -9)].into(),
            weight: 0,
            deleted_after: false,
        };
        desired.hooks.insert(desired.objects.keys().next().unwrap().clone(), hook);
        desired.run = "r".to_owned();
        let first = due(&desired, None, Occasion::Install).unwrap();
        assert_eq!(first.occasion, Occasion::Install);
        let now = due(&desired, Some(&first), Occasion::Upgrade);
        assert_eq!(now.as_ref(), Some(&first), "it was begun as an install");
        let hooked = settle(Plan::default(), &desired, &Observed::default(), Some(first.clone()), None);
        assert!(hooked.plan.steps.is_empty() && hooked.settled.len() == 1);
        desired.run = "other".to_owned();
        assert_eq!(due(&desired, Some(&first), Occasion::Upgrade).unwrap().occasion, Occasion::Upgrade);
    }

    #[test]
    fn a_state_without_hooks_is_a_run_that_a_record_from_before_it_does_not_undo() {
        let mut desired = Situation::new("in git: deploy/pre").desired;
        let without = desired.clone();
        let moments = [(Occasion::Upgrade, Moment::Before)].into();
        let hook = Hook { moments, waves: BTreeMap::new(), weight: 0, deleted_after: false };
        desired.hooks.insert(desired.objects.keys().next().unwrap().clone(), hook);
        desired.run = "r".to_owned();
        let first = due(&desired, None, Occasion::Upgrade).unwrap();
        let second =
            due(&desired, Some(&due(&without, Some(&first), Occasion::Upgrade).unwrap()), Occasion::Upgrade);
        let third = due(&without, second.as_ref(), Occasion::Upgrade).unwrap();
        assert_eq!((third.number, third.id.as_str()), (4, ""));
        assert_eq!(
            due(&without, Some(&third), Occasion::Upgrade).as_ref(),
            Some(&third),
            "one of many commits"
        );
        assert_eq!(third.clone().joined(first), third, "of a store that is behind");
        assert_eq!(
            settle(Plan::default(), &without, &Observed::default(), Some(third.clone()), None).run,
            Some(third)
        );
    }

    #[test]
    fn a_hook_may_be_behind_all_others_at_first_and_before_them_from_then_on() {
        let mut desired = Situation::new("in git: deploy/a cm/b").desired;
        let id = desired.objects.keys().find(|id| id.kind == "Deployment").unwrap().clone();
        let moments = [(Occasion::Install, Moment::After), (Occasion::Upgrade, Moment::Before)].into();
        let hook = Hook { moments, waves: BTreeMap::new(), weight: 0, deleted_after: false };
        desired.hooks.insert(id.clone(), hook);
        arrange(&mut desired, |_, _, _| {});
        let desired = Arc::new(desired);
        let on = |occasion| {
            let run = Run::begin(&desired.run, occasion, None);
            on_occasion(&desired, Some(&run)).objects[&id].wave
        };
        assert_eq!((on(Occasion::Install), on(Occasion::Upgrade)), (AFTER, BEFORE));
        assert_eq!(desired.run.len(), 32);
    }
}

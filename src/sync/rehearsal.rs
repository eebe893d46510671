//! Tries a plan out before any of it is carried out: all or nothing, for an App that is `atomic`.
//!
//! Enters: the plan. Leaves: nothing where the server would take every object, otherwise what became of each step, so
//! that the status names every object that would be refused. Nothing is written either way.

use super::carry::Carried;
use super::target::{TargetSpec, TargetState};
use crate::bounded::in_order;
use crate::cluster::{ApiError, ApiErrorClass, Apply, Cluster, Mode};
use futures::FutureExt as _;
use std::collections::BTreeSet;
use trueup_model::ObjectId;
use trueup_plan::desired::{Desired, Want};
use trueup_plan::planning::{Action, Plan, Reason, Step};
use trueup_plan::record::{Outcome, OutcomeResult};

/// Dry runs under way at once. The cluster's own limit may be lower.
const IN_FLIGHT: usize = 32;

/// Whether the objects of a target are applied all or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Atomic {
    /// Each object for itself.
    #[default]
    Each,
    /// All, or none.
    All,
}

/// What a rehearsal says of a plan.
#[derive(Debug)]
pub enum Rehearsed {
    /// It may be carried out.
    Passed,
    /// It may not: what became of its steps. Empty where what stands in the way is known from before.
    Stopped(Carried),
}

/// Dry-runs every object that would be written.
pub async fn rehearse(
    cluster: &Cluster,
    spec: &TargetSpec,
    state: &TargetState,
    desired: &Desired,
    plan: &Plan,
) -> Rehearsed {
    if plan.steps.iter().any(|step| step.is_problem() && is_remembered(step, state, desired)) {
        return Rehearsed::Stopped(Carried::default());
    }
    let new: BTreeSet<&ObjectId> =
        plan.steps.iter().filter(|step| step.action == Action::Create).map(|step| &step.id).collect();
    let tries = plan.steps.iter().map(|step| attempt(cluster, spec, desired, step, &new).boxed());
    let refusals: Vec<Option<ApiError>> = in_order(tries, IN_FLIGHT).await;
    // A hook that runs was taken already.
    let waits = |step: &Step| step.action == Action::Wait && !matches!(step.reason, Reason::HookRuns(_));
    let held = |step: &Step| step.is_problem() || (waits(step) && !step.prunes());
    if refusals.iter().all(Option::is_none) && !plan.steps.iter().any(held) {
        return Rehearsed::Passed;
    }
    let mut stopped = Carried::default();
    for (step, refusal) in plan.steps.iter().zip(refusals) {
        let (result, message) = match &refusal {
            Some(error) => (OutcomeResult::Failed, error.to_string()),
            None if step.writes() => (
                OutcomeResult::Skipped,
                "the App is atomic, and not all of its objects can be applied".to_owned(),
            ),
            None => (OutcomeResult::Held, step.reason.to_string()),
        };
        if let Some(ApiError { class: ApiErrorClass::Immutable(fields), .. }) = refusal {
            stopped.immutable.insert(step.id.clone(), fields);
        }
        stopped.outcomes.push(Outcome::new(&step.id, step.action, result, message, &step.origin));
    }
    Rehearsed::Stopped(stopped)
}

// It was refused before and it is not time to ask again: the other objects were asked about then.
fn is_remembered(step: &Step, state: &TargetState, desired: &Desired) -> bool {
    let Some(want) = desired.objects.get(&step.id) else { return false };
    state.refusals.get(&step.id).is_some_and(|refusal| refusal.digest == want.digest)
        || state.immutable.get(&step.id).is_some_and(|(digest, _)| *digest == want.digest)
}

async fn attempt(
    cluster: &Cluster,
    spec: &TargetSpec,
    desired: &Desired,
    step: &Step,
    new: &BTreeSet<&ObjectId>,
) -> Option<ApiError> {
    let want = desired.objects.get(&step.id)?;
    match step.action {
        Action::Create | Action::Update | Action::TakeOver => {}
        // Nothing is applied by those; and what is deleted, to be made anew or because a hook is done, would be refused as it is.
        Action::Hold | Action::Wait | Action::Delete | Action::Recreate => return None,
    }
    let request = Apply {
        id: &want.id,
        api_version: &want.api_version,
        body: &want.body,
        mode: Mode::DryRun,
        force: spec.force,
    };
    cluster.apply(&request).await.err().filter(|error| !comes_with_the_plan(error, spec, want, new))
}

// What cannot be tried because its kind or its namespace comes with the same plan can only be hoped for.
fn comes_with_the_plan(error: &ApiError, spec: &TargetSpec, want: &Want, new: &BTreeSet<&ObjectId>) -> bool {
    let needs_new = want.needs.iter().any(|need| new.contains(need));
    // The target's own namespace is made before the first apply.
    let is_home = want.id.namespace == spec.parent_namespace();
    (error.class == ApiErrorClass::NoSuchKind && needs_new)
        || (error.class == ApiErrorClass::NotFound && (needs_new || is_home))
}

#[cfg(test)]
mod tests {
    use super::super::target::tests::spec;
    use super::*;
    use crate::cluster::lossy::Lossy;
    use std::sync::Arc;
    use trueup_merge::token::digest;
    use trueup_model::Origin;
    use trueup_plan::order::Stage;

    /// Objects of a hook's name that are tried when this is to be done with it.
    async fn tried(action: Action, reason: Reason) -> usize {
        let lossy = Lossy::new();
        let cluster = lossy.cluster().await;
        cluster.discover().await.unwrap();
        let id = ObjectId::new("", "ConfigMap", "shop", "hook");
        let body = br#"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "hook", "namespace": "shop"}}"#;
        let want = Want {
            id: id.clone(),
            api_version: "v1".to_owned(),
            body: body.to_vec().into(),
            digest: digest(b"", "", "", 0),
            extract: digest(b"", "", "", 0),
            origin: Origin::default(),
            wave: 0,
            recreate: false,
            needs: Vec::new(),
            leave: Vec::new(),
        };
        let desired = Desired { objects: [(id.clone(), Arc::new(want))].into(), ..Desired::default() };
        let step = Step {
            id,
            action,
            reason,
            phase: (0, Stage::Configuration),
            precondition: None,
            origin: Origin::default(),
        };
        let plan = Plan { steps: vec![step], unchanged: 0 };
        let rehearsed = rehearse(&cluster, &spec("web@test"), &TargetState::default(), &desired, &plan).await;
        assert!(matches!(rehearsed, Rehearsed::Passed));
        lossy.count("PATCH", "/hook")
    }

    #[tokio::test]
    async fn what_is_deleted_is_not_tried_as_if_it_were_applied() {
        assert_eq!(tried(Action::Create, Reason::Missing).await, 1);
        assert_eq!(tried(Action::Delete, Reason::HookDone).await, 0);
        assert_eq!(tried(Action::Recreate, Reason::ChangedInGit).await, 0);
    }
}

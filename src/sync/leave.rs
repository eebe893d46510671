//! One turn of a target whose App somebody has deleted: what is there of it is pruned, and then its record.
//!
//! Enters: the target, and what its record and the cluster say of it; no commit, and no rendering. Leaves: how it stands, and how far
//! it is. What the safety rules of pruning keep is left, with the record that names it: only members of the set are deleted, what
//! cannot be listed is waited for, what another target wants is handed over, and a namespace or a definition that holds
//! something of another target stays. Absent: the budget for deletions, since somebody asked for this one; when to give up, which is
//! [`crate::config::custom`]'s.

use super::carry::{Orders, carry};
use super::desire::catalog;
use super::look::{View, look_at_all};
use super::membership;
use super::target::{Presence, TargetSpec, TargetState};
use super::turn::{BLOCKED, Context, Done, Ending, LOOK_AGAIN, Trouble, base_status, go_on};
use crate::ambient;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use trueup_model::{GroupKind, ObjectId};
use trueup_plan::desired::Desired;
use trueup_plan::health::HealthStatus;
use trueup_plan::planning::{
    Action, Drift, Empty, Plan, Policy, Prune, Reason, Recreate, Step, TakeOver, plan,
};
use trueup_plan::record::{Outcome, OutcomeResult, SyncStatus, TargetStatus};

/// Everything that is there of the target may go.
const POLICY: Policy = Policy {
    prune: Prune::Delete,
    drift: Drift::Report,
    take_over: TakeOver::Hold,
    recreate: Recreate::Refuse,
    empty: Empty::Allow,
    max_prune: None,
};

/// How far a target is that is on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// There is more to do, or to wait for: what, and which targets are to take objects over.
    UnderWay {
        /// What.
        why: String,
        /// Who wants objects of it.
        heirs: BTreeSet<String>,
    },
    /// Its cluster could not be asked: why.
    OutOfReach(String),
    /// Nothing more is to be done: what stays, and why.
    Gone {
        /// What, and why.
        left: Vec<String>,
    },
}

/// Prunes what can be pruned now, and looks at what is left.
pub(super) async fn leave(
    context: &Context<'_>,
    spec: &TargetSpec,
    state: &mut TargetState,
) -> Result<(Done, Progress), Ending> {
    catalog(context).await?;
    let desired = Arc::new(Desired {
        target: spec.name.clone(),
        revision: state.status.revision.clone(),
        ..Desired::default()
    });
    // From now on others may take over what they want as well.
    context.directory.claim(&spec.name, &spec.cluster, &desired);
    (state.rendering, state.calm) = (None, None);
    if state.parent.is_none() && state.former.is_empty() {
        // Without a record of its own nothing is known to be the target's, whatever labels say.
        return Ok(gone(base_status(spec, state), Vec::new()));
    }
    if let Some(why) = &context.waits_for {
        return Ok(under_way(spec, state, why.clone(), &[]));
    }
    // A cluster that was put back to a backup has another record than the one that was read.
    membership::confirm(context.cluster, state).await.map_err(Trouble::unknown)?;
    let mut view = look_at_all(context, spec, state, &desired).await?;
    go_on(context)?;
    if state.confirmed != Some(context.cluster.interruptions()) {
        return Ok(under_way(spec, state, "what is known of the cluster is read again".to_owned(), &[]));
    }
    let leaving = hold_what_holds_others(context, spec, state, &mut view).await?;
    let plan = plan(&desired, &view.observed, &state.ledger, &POLICY);
    let outcomes = if plan.writes().next().is_some() {
        let stop = context.stop;
        let interruptions = state.confirmed.unwrap_or_default();
        let (force, mask) = (spec.force, context.mask);
        let orders = Orders { force, migrate: &BTreeSet::new(), mask, stop, interruptions };
        carry(context.cluster, &desired, &plan, &orders).await
    } else {
        super::carry::Carried::default()
    };
    let outcomes = outcomes.outcomes;
    forget(state, &outcomes);
    // Those of other targets do not matter.
    let kinds = membership::kinds(&desired, state);
    let unknown = view.observed.unknown.iter().filter(|(kind, _)| kinds.contains(kind));
    let pending = pending(spec, unknown, &plan, &leaving);
    if !pending.is_empty() {
        if state.parent.is_some() && outcomes.iter().any(|outcome| outcome.result == OutcomeResult::Done) {
            // Others may wait until nothing of theirs is held by this one any more.
            let members = context.cluster.members(&[spec.set()]).members;
            let status = base_status(spec, state);
            membership::settle(context.cluster, spec, state, &desired, &members, &status).await;
        }
        let failed = outcomes.iter().find(|outcome| outcome.result == OutcomeResult::Failed);
        let (mut done, progress) = match failed {
            Some(failed) => under_way(spec, state, failed.to_string(), &plan.steps),
            None => under_way(spec, state, said(&pending), &plan.steps),
        };
        if let Some(failed) = failed {
            state.attempts += 1;
            done.status.sync = SyncStatus::Failed;
            done.status.errors = vec![failed.to_string()];
            done.again = spec.retry.pause(state.attempts, ambient::fraction());
        }
        done.status.objects = view.observed.members.len();
        done.status.prune_pending = pending.into_keys().collect();
        done.outcomes = outcomes;
        return Ok((done, progress));
    }
    if context.cluster.awaits_lost_writes() {
        let why = "a write got no answer and may still come through, for ten minutes at most";
        return Ok(under_way(spec, state, why.to_owned(), &[]));
    }
    finish(context, spec, state, &view, &plan).await
}

/// What is there goes no further: the record goes, too, or stays with what it names.
async fn finish(
    context: &Context<'_>,
    spec: &TargetSpec,
    state: &mut TargetState,
    view: &View,
    plan: &Plan,
) -> Result<(Done, Progress), Ending> {
    let kept: Vec<&Step> = plan.steps.iter().filter(|step| !spec.is_itself(&step.id)).collect();
    let left: Vec<String> = kept.iter().map(|step| format!("{}: {}", step.id, stays(&step.reason))).collect();
    let status = TargetStatus {
        sync: SyncStatus::Synced,
        health: HealthStatus::Healthy,
        objects: kept.len(),
        drifted: 0,
        drift: Vec::new(),
        prune_pending: Vec::new(),
        unhealthy: Vec::new(),
        message: if left.is_empty() {
            "deleted".to_owned()
        } else {
            format!("deleted, but for {}", left.join(", "))
        },
        ..base_status(spec, state)
    };
    if left.is_empty() {
        for parent in state.parent.iter().chain(&state.former) {
            if let Err(why) = membership::vacant(context.cluster, parent).await {
                return Ok(under_way(spec, state, why, &[]));
            }
            if let Err(error) = context.cluster.delete_parent(parent).await {
                let why =
                    format!("its record {}/{} could not be deleted: {error}", parent.namespace, parent.name);
                return Ok(under_way(spec, state, why, &[]));
            }
        }
        (state.parent, state.former, state.ledger) = (None, Vec::new(), Arc::default());
    } else if state.parent.is_some() {
        let desired = Desired::default();
        membership::settle(context.cluster, spec, state, &desired, &view.observed.members, &status).await;
        membership::let_go(context.cluster, state).await;
    }
    tracing::info!(target = spec.name, left = left.len(), "nothing more is to be pruned of the deleted App");
    Ok(gone(status, left))
}

fn gone(status: TargetStatus, left: Vec<String>) -> (Done, Progress) {
    let done = Done { status, outcomes: Vec::new(), again: None, drift: Vec::new(), unwell: Vec::new() };
    (done, Progress::Gone { left })
}

/// A namespace or a definition holds what others applied: their records say so, also those of other installations and of targets
/// that this process has not looked at yet. Gives the targets among them that are on their way out themselves.
async fn hold_what_holds_others(
    context: &Context<'_>,
    spec: &TargetSpec,
    state: &TargetState,
    view: &mut View,
) -> Result<BTreeMap<ObjectId, String>, Ending> {
    let observed = &mut view.observed;
    observed.foundations.clone_from(&spec.made_of);
    let is_holder = |id: &ObjectId| matches!(&*id.kind, "Namespace" | "CustomResourceDefinition");
    if !observed.members.keys().any(is_holder) {
        return Ok(BTreeMap::new());
    }
    let own: BTreeSet<String> =
        std::iter::once(spec.set()).chain(state.former.iter().map(|parent| parent.id.clone())).collect();
    let others = context.cluster.parents(|parent| !own.contains(&parent.id)).await;
    let others =
        others.map_err(|error| Trouble::unknown(format!("cluster {}: {error}", context.cluster.name())))?;
    let mut leaving = BTreeMap::new();
    for parent in others {
        let target = parent.field(membership::TARGET);
        let within =
            parent.namespaces.iter().map(|namespace| ObjectId::new("", "objects", namespace, target));
        let of_kinds =
            parent.kinds.iter().map(|kind| ObjectId::new(kind.group.clone(), kind.kind.clone(), "", target));
        for object in within.chain(of_kinds) {
            if (context.is_leaving)(target) {
                leaving.insert(object.clone(), target.to_owned());
            }
            observed.foundations.insert(object);
        }
    }
    Ok(leaving)
}

/// What the turn leaves to be waited for, with what to say of it.
fn pending<'u>(
    spec: &TargetSpec,
    unknown: impl Iterator<Item = (&'u GroupKind, &'u String)>,
    plan: &Plan,
    leaving: &BTreeMap<ObjectId, String>,
) -> BTreeMap<ObjectId, String> {
    let waits = |step: &Step| match (&step.action, &step.reason) {
        _ if spec.is_itself(&step.id) => None,
        (Action::Hold, Reason::StillHolds(object)) => {
            leaving.get(object).map(|target| format!("waits until {target} is gone, too"))
        }
        (Action::Hold, Reason::Kept | Reason::Foundation) => None,
        (Action::Delete, _) => Some("is being deleted".to_owned()),
        (_, reason) => Some(reason.to_string()),
    };
    let mut pending: BTreeMap<ObjectId, String> =
        plan.steps.iter().filter_map(|step| Some((step.id.clone(), waits(step)?))).collect();
    pending.extend(unknown.map(|(kind, why)| {
        (ObjectId::new(kind.group.clone(), kind.kind.clone(), "", ""), format!("cannot be listed: {why}"))
    }));
    pending
}

fn said(pending: &BTreeMap<ObjectId, String>) -> String {
    let Some((id, why)) = pending.first_key_value() else { return String::new() };
    match pending.len() - 1 {
        0 => format!("{id}: {why}"),
        more => format!("{id}: {why} (and {more} more)"),
    }
}

// In the words of a plan it is about what left Git.
fn stays(reason: &Reason) -> String {
    match reason {
        Reason::Kept => "its annotation keeps it".to_owned(),
        Reason::Foundation => "the App is made of it".to_owned(),
        Reason::StillHolds(object) => format!("{object} would go with it"),
        other => other.to_string(),
    }
}

fn forget(state: &mut TargetState, outcomes: &[Outcome]) {
    let done = outcomes.iter().filter(|outcome| outcome.result == OutcomeResult::Done);
    for outcome in done {
        Arc::make_mut(&mut state.ledger).remove(&outcome.id);
    }
}

fn under_way(spec: &TargetSpec, state: &TargetState, why: String, steps: &[Step]) -> (Done, Progress) {
    let heirs = steps.iter().filter_map(|step| match &step.reason {
        Reason::MovedTo(target) => Some(target.clone()),
        _ => None,
    });
    let heirs = heirs.collect();
    let status = TargetStatus {
        sync: SyncStatus::Syncing,
        message: format!("is being deleted: {why}"),
        drift: Vec::new(),
        drifted: 0,
        ..base_status(spec, state)
    };
    let again = if steps.is_empty() { BLOCKED } else { LOOK_AGAIN };
    let done =
        Done { status, outcomes: Vec::new(), again: Some(again), drift: Vec::new(), unwell: Vec::new() };
    (done, Progress::UnderWay { why, heirs })
}

impl TargetSpec {
    /// Whether somebody deleted its App.
    pub fn is_leaving(&self) -> bool {
        match self.presence {
            Presence::Wanted => false,
            Presence::Leaving => true,
        }
    }
}

//! How a target stands after a turn: pure, from the plan, its outcomes and what is observed.

use std::collections::BTreeMap;
use std::sync::Arc;
use trueup_model::ObjectId;
use trueup_plan::health::{Health, HealthStatus};
use trueup_plan::observed::Live;
use trueup_plan::planning::{Action, Plan, Reason, Step};
use trueup_plan::record::{DriftedField, ObjectStatus, Outcome, OutcomeResult, SyncStatus};

/// Objects and messages that a status lists at most.
pub(super) const LISTED: usize = 20;

/// What a turn found out about a target's standing.
#[derive(Debug, Default)]
pub struct Standing {
    /// How it stands to Git.
    pub sync: SyncStatus,
    /// Why it is not Synced.
    pub message: String,
    /// All that went wrong.
    pub errors: Vec<String>,
    /// Fields that others changed and that were not put back.
    pub drift: Vec<DriftedField>,
    /// How many objects those are in.
    pub drifted: usize,
    /// Objects that should go and are still there.
    pub prune_pending: Vec<ObjectId>,
}

/// How a target stands to Git when its plan was carried out (or, with no outcomes, only made).
pub fn standing(plan: &Plan, outcomes: &[Outcome]) -> Standing {
    let carried_out = !outcomes.is_empty();
    let errors: Vec<String> = outcomes
        .iter()
        .filter(|outcome| matches!(outcome.result, OutcomeResult::Failed))
        .map(ToString::to_string)
        .chain(plan.steps.iter().filter(|step| step.is_problem()).map(problem))
        .collect();
    let skipped = outcomes.iter().find(|outcome| outcome.result == OutcomeResult::Skipped);
    let drifting: Vec<&Step> =
        plan.steps.iter().filter(|step| step.action == Action::Hold && is_drift(step)).collect();
    let held = plan.steps.iter().find(|step| step.action == Action::Hold && is_difference(step));
    let waiting = plan.steps.iter().find(|step| step.action == Action::Wait);
    let recreated = plan.steps.iter().find(|step| step.action == Action::Recreate);
    let pending = (!carried_out).then(|| plan.writes().next()).flatten();

    let (sync, message) = if let Some(first) = errors.first() {
        (SyncStatus::Failed, summary(first, errors.len()))
    } else if let Some(skipped) = skipped {
        (SyncStatus::OutOfSync, skipped.to_string())
    } else if let Some(step) = held.or(pending) {
        (SyncStatus::OutOfSync, format!("{}: {}", step.id, step.reason))
    } else if let Some(step) = recreated.filter(|_| carried_out) {
        (SyncStatus::Syncing, format!("{}: deleted, and created anew as soon as it is gone", step.id))
    } else if let Some(step) = waiting {
        (SyncStatus::Syncing, format!("{}: {}", step.id, step.reason))
    } else {
        (SyncStatus::Synced, String::new())
    };
    Standing {
        sync,
        message,
        errors: errors.into_iter().take(LISTED).collect(),
        drifted: drifting.len(),
        drift: drifting.iter().flat_map(|step| drifted_fields(step)).take(LISTED).collect(),
        prune_pending: plan
            .steps
            .iter()
            .filter(|step| is_pending_prune(step, outcomes))
            .map(|s| s.id.clone())
            .collect(),
    }
}

fn summary(first: &str, count: usize) -> String {
    match count {
        1 => first.to_owned(),
        _ => format!("{first} (and {} more)", count - 1),
    }
}

fn problem(step: &Step) -> String {
    if step.origin.path.is_empty() {
        format!("{}: {}", step.id, step.reason)
    } else {
        format!("{} ({}): {}", step.id, step.origin, step.reason)
    }
}

fn is_drift(step: &Step) -> bool {
    matches!(step.reason, Reason::Drifted(_) | Reason::Contested(_) | Reason::Deleted)
}

// An object that is kept on purpose is as its owner wants it.
fn is_difference(step: &Step) -> bool {
    !matches!(step.reason, Reason::Kept | Reason::Foundation)
}

fn is_pending_prune(step: &Step, outcomes: &[Outcome]) -> bool {
    let done = |outcome: &Outcome| outcome.id == step.id && outcome.result == OutcomeResult::Done;
    step.prunes() && is_difference(step) && !outcomes.iter().any(done)
}

fn drifted_fields(step: &Step) -> Vec<DriftedField> {
    let field = |field: String, manager: Option<String>, since: Option<String>| DriftedField {
        object: step.id.clone(),
        field,
        manager,
        since,
    };
    match &step.reason {
        Reason::Drifted(changes) | Reason::Contested(changes) if !changes.is_empty() => {
            changes.iter().map(|c| field(c.field.clone(), c.manager.clone(), c.since.clone())).collect()
        }
        _ => vec![field(String::new(), None, None)],
    }
}

/// The health of a target: as bad as its worst object; an object that is not there is Missing. Gives the unwell ones,
/// the worst first.
pub fn health<'i>(
    objects: impl Iterator<Item = &'i ObjectId>,
    members: &BTreeMap<ObjectId, Arc<Live>>,
) -> (HealthStatus, Vec<ObjectStatus>) {
    let mut worst = HealthStatus::Healthy;
    let mut unhealthy = Vec::new();
    for id in objects {
        let found = members.get(id).map_or_else(
            || Health::new(HealthStatus::Missing, "is not in the cluster"),
            |live| live.health.clone(),
        );
        worst = worst.max(found.status);
        if found.status != HealthStatus::Healthy {
            unhealthy.push(ObjectStatus { id: id.clone(), health: found });
        }
    }
    unhealthy.sort_by(|a, b| (b.health.status, &a.id).cmp(&(a.health.status, &b.id)));
    (worst, unhealthy)
}

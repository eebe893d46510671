//! Carries a plan out, phase by phase; makes no choices.
//!
//! Enters: the plan, the bodies of its objects, a cluster. Leaves: one outcome a step, and what is now known of the
//! objects that were applied. A step whose needs failed is skipped; deletions wait for a turn in which every apply went through.

use crate::bounded::in_order;
use crate::cluster::{ApiErrorClass, Apply, Cluster, Deletion, Force, Mode};
use futures::FutureExt as _;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use trueup_merge::rewrite::Rewritten;
use trueup_merge::secrets::MaskKey;
use trueup_model::ObjectId;
use trueup_plan::desired::{Desired, Want};
use trueup_plan::observed::Known;
use trueup_plan::planning::{Action, Plan, Step};
use trueup_plan::record::{Outcome, OutcomeResult};

/// Steps of one phase that are under way at once. The cluster's own limit may be lower.
const IN_FLIGHT: usize = 64;
/// How long the objects of a new kind may wait for the API server to serve it.
const ESTABLISHED: Duration = Duration::from_secs(20);

/// Why a turn writes no more once the server may have been put back to a backup: its record may not name what is about to be applied.
const CUT_OFF: &str = "watches were cut off, and the target's record has to be read again";

/// What came of a plan.
#[derive(Debug, Default)]
pub struct Carried {
    /// One outcome a step, in the plan's order.
    pub outcomes: Vec<Outcome>,
    /// Digest and token of each object that was applied.
    pub known: Vec<(ObjectId, Known)>,
    /// The uid of each hook that was applied.
    pub hooks: Vec<(ObjectId, String)>,
    /// What admission made of fields of the objects that were applied; an empty list where it left them alone.
    pub rewritten: Vec<(ObjectId, Vec<Rewritten>)>,
    /// Objects that the server will never change as asked: their immutable fields.
    pub immutable: BTreeMap<ObjectId, Vec<String>>,
}

/// Who may overrule whom, and who may end the turn early.
pub struct Orders<'a> {
    /// Whether conflicts with other managers are forced.
    pub force: Force,
    /// Objects that other client-side managers own and that are handed over first.
    pub migrate: &'a BTreeSet<ObjectId>,
    /// By which values of Secrets are hashed where they are told.
    pub mask: &'a MaskKey,
    /// Ends the turn between two steps.
    pub stop: &'a CancellationToken,
    /// [`Cluster::interruptions`] when the target's record was read: another one ends the turn, too.
    pub interruptions: u64,
}

/// Carries the plan out.
pub async fn carry(cluster: &Cluster, desired: &Desired, plan: &Plan, orders: &Orders<'_>) -> Carried {
    let mut carried = Carried::default();
    let mut failed: BTreeSet<ObjectId> = BTreeSet::new();
    for phase in plan.phases() {
        let steps = phase.iter().map(|step| finish(cluster, desired, step, orders, &failed).boxed());
        let results = in_order(steps, IN_FLIGHT).await;
        for (step, finished) in phase.iter().zip(results) {
            match finished.outcome.result {
                OutcomeResult::Failed | OutcomeResult::Skipped => drop(failed.insert(step.id.clone())),
                OutcomeResult::Held if step.is_problem() => drop(failed.insert(step.id.clone())),
                OutcomeResult::Held | OutcomeResult::Done => {}
            }
            carried.known.extend(finished.known.map(|known| (finished.outcome.id.clone(), known)));
            carried.rewritten.extend(finished.rewritten.map(|fields| (finished.outcome.id.clone(), fields)));
            if desired.hooks.contains_key(&step.id) {
                carried.hooks.extend(finished.uid.map(|uid| (step.id.clone(), uid)));
            }
            if let Some(fields) = finished.immutable {
                carried.immutable.insert(finished.outcome.id.clone(), fields);
            }
            carried.outcomes.push(finished.outcome);
        }
        if phase.iter().any(|step| step.id.kind == "CustomResourceDefinition" && step.writes()) {
            await_kinds(cluster, desired, &failed).await;
        }
    }
    carried
}

struct Finished {
    outcome: Outcome,
    known: Option<Known>,
    /// Of what was applied.
    uid: Option<String>,
    rewritten: Option<Vec<Rewritten>>,
    immutable: Option<Vec<String>>,
}

impl Finished {
    /// What has nothing to tell but how it ended.
    fn with(outcome: Outcome) -> Self {
        Self { outcome, known: None, uid: None, rewritten: None, immutable: None }
    }
}

async fn finish(
    cluster: &Cluster,
    desired: &Desired,
    step: &Step,
    orders: &Orders<'_>,
    failed: &BTreeSet<ObjectId>,
) -> Finished {
    let ended = |result, message: String| {
        Finished::with(Outcome::new(&step.id, step.action, result, message, &step.origin))
    };
    if !step.writes() {
        return ended(OutcomeResult::Held, step.reason.to_string());
    }
    if orders.stop.is_cancelled() {
        return ended(OutcomeResult::Skipped, "the turn was ended by something newer".to_owned());
    }
    if cluster.interruptions() != orders.interruptions {
        return ended(OutcomeResult::Skipped, CUT_OFF.to_owned());
    }
    if step.prunes() {
        if !failed.is_empty() {
            return ended(
                OutcomeResult::Skipped,
                "nothing is deleted until every apply goes through".to_owned(),
            );
        }
        return ended_deletion(cluster, step).await;
    }
    let Some(want) = desired.objects.get(&step.id) else {
        return ended(OutcomeResult::Skipped, "it is no longer wanted".to_owned());
    };
    if let Some(need) = want.needs.iter().find(|need| failed.contains(need)) {
        return ended(OutcomeResult::Skipped, format!("it needs {need}, which failed"));
    }
    if matches!(step.action, Action::Recreate | Action::Delete) {
        return ended_deletion(cluster, step).await;
    }
    let is_hook = desired.hooks.contains_key(&step.id);
    write(cluster, want, is_hook, step, orders).await
}

async fn write(cluster: &Cluster, want: &Want, is_hook: bool, step: &Step, orders: &Orders<'_>) -> Finished {
    let outcome = |result, message| Outcome::new(&step.id, step.action, result, message, &step.origin);
    if orders.migrate.contains(&step.id)
        && let Err(error) = cluster.migrate(&step.id).await
    {
        let message = format!("its client-side ownership could not be taken over: {error}");
        let outcome = outcome(OutcomeResult::Failed, message);
        return Finished::with(outcome);
    }
    let request = Apply {
        id: &want.id,
        api_version: &want.api_version,
        body: &want.body,
        mode: Mode::Write,
        force: orders.force,
    };
    // Of before the answer: what changes meanwhile is then noticed as a change.
    let epoch = cluster.epoch(&want.api_version);
    // A hook is told from that of an earlier run by its annotation: what is sent for one run never goes over that of another, however late.
    let applied = if is_hook && step.action == Action::Create {
        cluster.create(&request, want.extract).await
    } else {
        cluster.apply(&request).await.map(Some)
    };
    match applied {
        Ok(None) => {
            let message = "another one is there already; it is looked at again".to_owned();
            Finished::with(outcome(OutcomeResult::Skipped, message))
        }
        Ok(Some(applied)) => Finished {
            outcome: outcome(OutcomeResult::Done, step.reason.to_string()),
            known: applied.live.token.map(|token| want.known(token, epoch)),
            uid: Some(applied.live.uid.clone()),
            rewritten: Some(applied.rewritten(&want.body, want.extract, orders.mask)),
            immutable: None,
        },
        Err(error) if error.class == ApiErrorClass::CutOff => {
            Finished::with(outcome(OutcomeResult::Skipped, CUT_OFF.to_owned()))
        }
        Err(error) => {
            let immutable = match &error.class {
                ApiErrorClass::Immutable(fields) => Some(fields.clone()),
                _ => None,
            };
            let outcome = outcome(OutcomeResult::Failed, error.to_string());
            Finished { immutable, ..Finished::with(outcome) }
        }
    }
}

async fn ended_deletion(cluster: &Cluster, step: &Step) -> Finished {
    let (uid, version) = step.precondition.as_ref().map_or(("", None), |precondition| {
        (precondition.uid.as_str(), Some(precondition.resource_version.as_str()))
    });
    let (result, message) = match cluster.delete(&step.id, uid, version).await {
        Ok(Deletion::Gone | Deletion::Started) => (OutcomeResult::Done, step.reason.to_string()),
        Ok(Deletion::Changed) => (
            OutcomeResult::Skipped,
            "it changed after the decision to delete it; it is looked at again".to_owned(),
        ),
        Err(error) => (OutcomeResult::Failed, error.to_string()),
    };
    Finished::with(Outcome::new(&step.id, step.action, result, message, &step.origin))
}

// The objects of a new kind cannot be applied before the API server serves it, and it says so only when asked.
async fn await_kinds(cluster: &Cluster, desired: &Desired, failed: &BTreeSet<ObjectId>) {
    let deadline = tokio::time::Instant::now() + ESTABLISHED;
    let mut pause = Duration::from_millis(50);
    loop {
        let _ = cluster.discover().await;
        let catalog = cluster.catalog();
        let missing = desired.objects.values().any(|want| {
            let version =
                want.api_version.rsplit_once('/').map_or(&*want.api_version, |(_, version)| version);
            catalog.resource(&want.id.group, version, &want.id.kind).is_none()
                && !want.needs.iter().any(|need| failed.contains(need))
        });
        if !missing || tokio::time::Instant::now() >= deadline {
            return;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(1));
    }
}

//! Asks the cluster about the objects of which nothing is proven, and only about them.

use super::target::{TargetSpec, TargetState};
use crate::bounded::in_order;
use crate::cluster::{ApiErrorClass, Apply, Cluster, MANAGER, Mode};
use futures::FutureExt as _;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;
use trueup_merge::compare::{Change, changes};
use trueup_merge::secrets::MaskKey;
use trueup_merge::token::token;
use trueup_model::ObjectId;
use trueup_plan::desired::{Desired, Want};
use trueup_plan::observed::{Known, Live, Observed, Verdict};
use trueup_plan::planning::Drift;
use trueup_plan::record::Trigger;

const IN_FLIGHT: usize = 32;
/// Drifted objects of a turn whose changes are looked up before they are repaired; beyond it they are only repaired.
const ATTRIBUTED: usize = 50;

/// What asking gave: verdicts for the plan, tokens for the ledger, and when a spaced-out repair is due.
#[derive(Default)]
pub struct Judgement {
    /// What is now known of objects of which nothing was.
    pub verdicts: BTreeMap<ObjectId, Verdict>,
    /// Objects that proved to be as they should be.
    pub proven: Vec<(ObjectId, Known)>,
    /// When a held repair is worth another look.
    pub again: Option<Duration>,
}

/// Judges the wanted objects that live, where ledger and tokens leave a doubt.
pub async fn judge(
    cluster: &Cluster,
    spec: &TargetSpec,
    state: &TargetState,
    desired: &Desired,
    observed: &Observed,
    mask: &MaskKey,
    trigger: Trigger,
) -> Judgement {
    let mut judgement = remembered(state, desired, trigger);
    for (id, known) in evident(state, desired, observed) {
        judgement.verdicts.insert(id.clone(), Verdict::Same);
        judgement.proven.push((id, known));
    }
    let doubts: Vec<Doubt<'_>> = desired
        .objects
        .values()
        .filter(|want| {
            !judgement.verdicts.contains_key(&want.id)
                && !observed.unknown.contains_key(&want.id.group_kind())
        })
        .filter_map(|want| doubt(want, observed.members.get(&want.id)?, state))
        .collect();
    let drifted = doubts.iter().filter(|doubt| doubt.is_drift).count();
    let repaired_unseen = drifted > ATTRIBUTED && spec.policy.drift == Drift::Repair;
    let asked: Vec<&Doubt<'_>> = doubts.iter().filter(|doubt| !(doubt.is_drift && repaired_unseen)).collect();
    let questions = asked.iter().map(|doubt| ask(cluster, spec, doubt, mask).boxed()).collect();
    for (doubt, answer) in asked.iter().zip(in_order(questions, IN_FLIGHT).await) {
        let id = &doubt.want.id;
        match answer {
            Some(Answer::Same(known)) => {
                judgement.verdicts.insert(id.clone(), Verdict::Same);
                judgement.proven.push((id.clone(), known));
            }
            Some(Answer::Verdict(Verdict::Differs(found))) => {
                let verdict = contest(doubt, found, state, trigger, &mut judgement.again);
                judgement.verdicts.insert(id.clone(), verdict);
            }
            Some(Answer::Verdict(verdict)) => drop(judgement.verdicts.insert(id.clone(), verdict)),
            None => {}
        }
    }
    judgement
}

/// What earlier turns were told and what still holds. A person's request asks anew.
fn remembered(state: &TargetState, desired: &Desired, trigger: Trigger) -> Judgement {
    let mut judgement = Judgement::default();
    let now = Instant::now();
    for (id, (digest, fields)) in &state.immutable {
        if desired.objects.get(id).is_some_and(|want| want.digest == *digest) {
            judgement.verdicts.insert(id.clone(), Verdict::Immutable(fields.clone()));
        }
    }
    if trigger == Trigger::Manual {
        return judgement;
    }
    for (id, refusal) in &state.refusals {
        let same = desired.objects.get(id).is_some_and(|want| want.digest == refusal.digest);
        if same && let Some(wait) = refusal.again.checked_duration_since(now).filter(|wait| !wait.is_zero()) {
            judgement.verdicts.entry(id.clone()).or_insert_with(|| Verdict::Refused(refusal.message.clone()));
            judgement.again = Some(judgement.again.map_or(wait, |again| again.min(wait)));
        }
    }
    judgement
}

/// What needs no question although nothing is remembered of it, as after a start: the live object is its own proof.
fn evident(state: &TargetState, desired: &Desired, observed: &Observed) -> Vec<(ObjectId, Known)> {
    let unremembered = desired.objects.iter().filter(|(id, _)| !state.ledger.contains_key(id));
    unremembered
        .filter(|(id, _)| !observed.unknown.contains_key(&id.group_kind()))
        .filter_map(|(id, want)| Some((id.clone(), want.proof(observed.members.get(id)?)?)))
        .collect()
}

struct Doubt<'a> {
    want: &'a Want,
    live: &'a Live,
    is_drift: bool,
}

// An object that Git changed is applied without asking; one that is as it was is not asked about.
fn doubt<'a>(want: &'a Want, live: &'a Live, state: &TargetState) -> Option<Doubt<'a>> {
    if live.deleting {
        return None;
    }
    match state.ledger.get(&want.id) {
        None => Some(Doubt { want, live, is_drift: false }),
        Some(known) if known.digest != want.digest => None,
        Some(known) if live.token == Some(known.token) => None,
        Some(_) => Some(Doubt { want, live, is_drift: true }),
    }
}

enum Answer {
    Same(Known),
    Verdict(Verdict),
}

async fn ask(cluster: &Cluster, spec: &TargetSpec, doubt: &Doubt<'_>, mask: &MaskKey) -> Option<Answer> {
    let want = doubt.want;
    let request = Apply {
        id: &want.id,
        api_version: &want.api_version,
        body: &want.body,
        mode: Mode::DryRun,
        force: spec.force,
    };
    match cluster.apply(&request).await {
        Ok(applied) => match (applied.live.token, doubt.live.token) {
            (Some(predicted), Some(live)) if predicted == live => {
                Some(Answer::Same(Known { digest: want.digest, token: live }))
            }
            (_, _) => {
                // In the version that the object is written in: two readings can only be compared in one version.
                let live = cluster.get_in(&want.id, &want.api_version).await.ok().flatten()?;
                if let (Some(predicted), Some(seen)) = (applied.live.token, doubt.live.token)
                    && token(&live, MANAGER) == Some(predicted)
                {
                    return Some(Answer::Same(Known { digest: want.digest, token: seen }));
                }
                let found = applied
                    .object
                    .map(|predicted| changes(&live, &predicted, MANAGER, mask))
                    .unwrap_or_default();
                Some(Answer::Verdict(Verdict::Differs(found)))
            }
        },
        Err(error) => match error.class {
            ApiErrorClass::Immutable(fields) => Some(Answer::Verdict(Verdict::Immutable(fields))),
            ApiErrorClass::Unreachable | ApiErrorClass::Timeout | ApiErrorClass::Throttled => None,
            _ => Some(Answer::Verdict(Verdict::Refused(error.to_string()))),
        },
    }
}

fn contest(
    doubt: &Doubt<'_>,
    found: Vec<Change>,
    state: &TargetState,
    trigger: Trigger,
    again: &mut Option<Duration>,
) -> Verdict {
    let wait = state.fights.wait(&doubt.want.id, Instant::now());
    match wait {
        Some(wait) if doubt.is_drift && trigger != Trigger::Manual => {
            *again = Some(again.map_or(wait, |again| again.min(wait)));
            Verdict::Contested(found)
        }
        _ => Verdict::Differs(found),
    }
}

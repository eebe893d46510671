//! Asks the cluster about the objects of which nothing is proven, and only about them.

use super::look::View;
use super::target::{TargetSpec, TargetState};
use crate::ambient;
use crate::bounded::in_order;
use crate::cluster::{ApiErrorClass, Apply, Cluster, MANAGER, Mode};
use futures::FutureExt as _;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;
use trueup_merge::compare::{Change, changes};
use trueup_merge::rewrite::Rewritten;
use trueup_merge::secrets::MaskKey;
use trueup_merge::token::token;
use trueup_model::ObjectId;
use trueup_plan::desired::{Desired, Standing, Want};
use trueup_plan::observed::{Known, Live, Observed, Verdict};
use trueup_plan::planning::Drift;
use trueup_plan::record::Trigger;

const IN_FLIGHT: usize = 32;
/// When objects that the rules of the cluster concern are looked at again that may not be asked about yet.
const REVIEW_AGAIN: Duration = Duration::from_secs(5);
/// Drifted objects of a turn whose changes are looked up before they are repaired; beyond it they are only repaired.
const ATTRIBUTED: usize = 50;

/// What asking gave: verdicts for the plan, tokens for the ledger, and when a spaced-out repair is due.
#[derive(Default)]
pub struct Judgement {
    /// What is now known of objects of which nothing was.
    pub verdicts: BTreeMap<ObjectId, Verdict>,
    /// Objects that proved to be as they should be.
    pub proven: Vec<(ObjectId, Known)>,
    /// What admission makes of fields of those that were asked about; an empty list where it leaves them alone.
    pub rewritten: Vec<(ObjectId, Vec<Rewritten>)>,
    /// The time that it is of.
    pub at: Option<Timestamp>,
    /// The last object that was asked about because the rules changed.
    pub reviewed: Option<ObjectId>,
    /// When a held repair is worth another look.
    pub again: Option<Duration>,
}

/// Judges the wanted objects of a view that live, where ledger and tokens leave a doubt.
pub async fn judge(
    cluster: &Cluster,
    spec: &TargetSpec,
    state: &TargetState,
    view: &View,
    mask: &MaskKey,
    trigger: Trigger,
) -> Judgement {
    let now = ambient::now();
    let (desired, observed) = (&*view.desired, &view.observed);
    // Times come for all objects alike: they are kept by looking at all of them.
    let is_whole = view.is_whole();
    let mut judgement = Judgement { at: is_whole.then_some(now), ..remembered(state, desired, trigger) };
    let audit = spec.audit.among(cluster.objects());
    let audited = |id: &ObjectId| is_whole && audit.is_due(id, state.audited, now);
    let mut doubts = doubts(cluster, state, desired, observed, audited, &mut judgement);
    let reviews = |wanted: usize| if wanted == 0 { 0 } else { cluster.reviews(wanted) };
    pace(reviews, state.reviewed.as_ref(), &mut doubts, &mut judgement);
    let drifted = doubts.iter().filter(|doubt| doubt.why == Why::Drifted).count();
    if drifted > ATTRIBUTED && spec.policy.drift == Drift::Repair {
        doubts.retain(|doubt| doubt.why != Why::Drifted);
    }
    let asker = Asker { cluster, spec, state, mask, trigger };
    // Some objects are asked about first: what is said of a place in them holds for the others that look as wanted.
    let mut asked_for = BTreeSet::new();
    let (first, others): (Vec<_>, Vec<_>) = doubts.into_iter().partition(|doubt| {
        let (kind, version) = (doubt.want.id.group_kind(), &doubt.want.api_version);
        let is_new = |place: u64| {
            !cluster.is_familiar(&kind, version, &[place])
                && asked_for.insert((kind.clone(), version.clone(), place))
        };
        let places = doubt.live.shape.iter().flat_map(|shape| shape.iter().copied());
        // Each new place is noted, not only the first.
        doubt.likely.is_none() || places.map(is_new).fold(false, |any, is_new| any | is_new)
    });
    asker.ask_all(&first, &mut judgement).await;
    let (settled, open): (Vec<_>, Vec<_>) = others.into_iter().partition(|doubt| doubt.is_familiar(cluster));
    for (doubt, known) in settled.iter().filter_map(|doubt| Some((doubt, doubt.likely?))) {
        judgement.prove(&doubt.want.id, known);
    }
    asker.ask_all(&open, &mut judgement).await;
    judgement
}

/// Leaves for later what may not be asked yet; `allowed` says how many of so many may be. Until then, what was proven by the old
/// rules stands. It goes on behind the object that was reviewed `last`: those that the server refuses to answer for stay in doubt
/// and must not keep the others from their turn.
fn pace(
    allowed: impl FnOnce(usize) -> usize,
    last: Option<&ObjectId>,
    doubts: &mut Vec<Doubt<'_>>,
    judgement: &mut Judgement,
) {
    let reviewed = |doubt: &Doubt<'_>| doubt.why == Why::Rules;
    let waiting: Vec<&ObjectId> =
        doubts.iter().filter(|doubt| reviewed(doubt)).map(|doubt| &doubt.want.id).collect();
    let allowed = allowed(waiting.len());
    let begin = waiting.iter().position(|id| last.is_none_or(|last| *id > last)).unwrap_or_default();
    let turns: Vec<&ObjectId> =
        waiting.iter().copied().cycle().skip(begin).take(allowed.min(waiting.len())).collect();
    judgement.reviewed = turns.last().copied().or(last).cloned();
    if turns.len() < waiting.len() {
        let turns: BTreeSet<&ObjectId> = turns.into_iter().collect();
        judgement.look_again(REVIEW_AGAIN);
        doubts.retain(|doubt| !reviewed(doubt) || turns.contains(&doubt.want.id));
    }
}

impl Judgement {
    fn look_again(&mut self, wait: Duration) {
        self.again = Some(self.again.map_or(wait, |again| again.min(wait)));
    }

    fn prove(&mut self, id: &ObjectId, known: Known) {
        self.verdicts.insert(id.clone(), Verdict::Same);
        self.proven.push((id.clone(), known));
    }
}

/// The objects of which nothing is proven; what needs no question goes into the judgement. After a start, when nothing is
/// remembered, a live object can be its own proof.
fn doubts<'a>(
    cluster: &Cluster,
    state: &TargetState,
    desired: &'a Desired,
    observed: &'a Observed,
    audited: impl Fn(&ObjectId) -> bool,
    judgement: &mut Judgement,
) -> Vec<Doubt<'a>> {
    let mut doubts = Vec::new();
    let (rules, mut epochs) = (cluster.rules(), BTreeMap::new());
    for want in desired.objects.values() {
        let id = &want.id;
        let Some(live) =
            observed.members.get(id).filter(|_| !observed.unknown.contains_key(&id.group_kind()))
        else {
            continue;
        };
        let known = state.ledger.get(id);
        let told = judgement.verdicts.contains_key(id);
        let version = want.api_version.as_str();
        let epoch = *epochs.entry(version).or_insert_with(|| rules.of(version));
        let standing = want.standing(live, known, epoch);
        match standing {
            Standing::Evident(known) => judgement.prove(id, known),
            Standing::AsApplied if !told && !live.deleting && audited(id) => {
                doubts.push(Doubt { want, live, why: Why::Audit, likely: None });
            }
            Standing::AsApplied | Standing::ChangedInGit => {}
            Standing::Likely(_) | Standing::Doubtful | Standing::Outdated if told || live.deleting => {}
            Standing::Outdated => doubts.push(Doubt { want, live, why: Why::Rules, likely: None }),
            Standing::Likely(known) => {
                let doubt = Doubt { want, live, why: Why::Unknown, likely: Some(known) };
                if doubt.is_familiar(cluster) {
                    judgement.prove(id, known);
                } else {
                    doubts.push(doubt);
                }
            }
            Standing::Doubtful => {
                let why = if known.is_some() { Why::Drifted } else { Why::Unknown };
                doubts.push(Doubt { want, live, why, likely: None });
            }
        }
    }
    doubts
}

/// Who asks, and for what reason.
struct Asker<'a> {
    cluster: &'a Cluster,
    spec: &'a TargetSpec,
    state: &'a TargetState,
    mask: &'a MaskKey,
    trigger: Trigger,
}

impl Asker<'_> {
    async fn ask_all(&self, doubts: &[Doubt<'_>], judgement: &mut Judgement) {
        let questions = doubts.iter().map(|doubt| ask(self.cluster, self.spec, doubt, self.mask).boxed());
        for (doubt, answer) in doubts.iter().zip(in_order(questions, IN_FLIGHT).await) {
            let id = &doubt.want.id;
            match answer {
                Some(Answer::Same(known, rewritten)) => {
                    if let (Some(_), Some(shape)) = (doubt.likely, &doubt.live.shape) {
                        self.cluster.confirm(&id.group_kind(), &doubt.want.api_version, shape, known.epoch);
                    }
                    judgement.prove(id, known);
                    judgement.rewritten.push((id.clone(), rewritten));
                }
                Some(Answer::Verdict(Verdict::Differs(found))) => {
                    let verdict = contest(doubt, found, self.state, self.trigger, judgement);
                    judgement.verdicts.insert(id.clone(), verdict);
                }
                Some(Answer::Verdict(verdict)) => drop(judgement.verdicts.insert(id.clone(), verdict)),
                None => {}
            }
        }
    }
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
            judgement.look_again(wait);
        }
    }
    judgement
}

/// Why an object is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// Nothing is remembered of it.
    Unknown,
    /// It is not as our last apply left it.
    Drifted,
    /// It is, but by rules that have changed since.
    Rules,
    /// It is, and its time has come.
    Audit,
}

struct Doubt<'a> {
    want: &'a Want,
    live: &'a Live,
    why: Why,
    /// What is known of it if its shape is one that the server confirmed.
    likely: Option<Known>,
}

impl Doubt<'_> {
    fn is_familiar(&self, cluster: &Cluster) -> bool {
        let (want, shape) = (self.want, self.live.shape.as_ref());
        self.likely.is_some()
            && shape.is_some_and(|shape| cluster.is_familiar(&want.id.group_kind(), &want.api_version, shape))
    }
}

enum Answer {
    Same(Known, Vec<Rewritten>),
    Verdict(Verdict),
}

async fn ask(cluster: &Cluster, spec: &TargetSpec, doubt: &Doubt<'_>, mask: &MaskKey) -> Option<Answer> {
    let want = doubt.want;
    let epoch = cluster.epoch(&want.api_version);
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
                let rewritten = applied.rewritten(&want.body, want.extract, mask);
                Some(Answer::Same(want.known(live, epoch), rewritten))
            }
            (_, _) => {
                // In the version that the object is written in: two readings can only be compared in one version.
                let live = cluster.get_in(&want.id, &want.api_version).await.ok().flatten()?;
                if let (Some(predicted), Some(seen)) = (applied.live.token, doubt.live.token)
                    && token(&live, MANAGER) == Some(predicted)
                {
                    let rewritten = applied.rewritten(&want.body, want.extract, mask);
                    return Some(Answer::Same(want.known(seen, epoch), rewritten));
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
    judgement: &mut Judgement,
) -> Verdict {
    let wait = state.fights.wait(&doubt.want.id, Instant::now());
    match wait {
        Some(wait) if doubt.why == Why::Drifted && trigger != Trigger::Manual => {
            judgement.look_again(wait);
            Verdict::Contested(found)
        }
        _ => Verdict::Differs(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trueup_model::Origin;
    use trueup_plan::health::Health;

    fn want(index: usize) -> Want {
        let id = ObjectId::new("", "ConfigMap", "shop", format!("c-{index:05}"));
        let digest = trueup_merge::token::digest(id.name.as_bytes(), "", "", 0);
        Want {
            id,
            api_version: "v1".to_owned(),
            body: (*b"{}").into(),
            digest,
            extract: digest,
            origin: Origin::default(),
            wave: 0,
            recreate: false,
            needs: Vec::new(),
            leave: Vec::new(),
        }
    }

    fn live() -> Live {
        Live {
            uid: String::new(),
            resource_version: String::new(),
            token: None,
            extract: None,
            shape: None,
            health: Health::healthy(),
            deleting: false,
            keep: false,
        }
    }

    /// Ten thousand objects by changed rules, and as many that drifted. In each turn so many may be reviewed; the server answers
    /// for all but the first `refused`. Gives the number of turns until each of the others was asked about.
    fn turns_until_reviewed(allowed: usize, refused: usize) -> usize {
        let (wants, live): (Vec<Want>, Live) = ((0..20_000).map(want).collect(), live());
        let (outdated, drifted) = wants.split_at(10_000);
        let mut open: BTreeSet<&ObjectId> = outdated.iter().map(|want| &want.id).collect();
        let refused: BTreeSet<&ObjectId> = outdated.iter().take(refused).map(|want| &want.id).collect();
        let mut last = None;
        for turn in 1.. {
            let rules = outdated.iter().filter(|want| open.contains(&want.id)).map(|want| (want, Why::Rules));
            let all = rules.chain(drifted.iter().map(|want| (want, Why::Drifted)));
            let mut doubts: Vec<Doubt<'_>> =
                all.map(|(want, why)| Doubt { want, live: &live, why, likely: None }).collect();
            let mut judgement = Judgement::default();
            pace(|wanted| allowed.min(wanted), last.as_ref(), &mut doubts, &mut judgement);
            let asked: Vec<&ObjectId> =
                doubts.iter().filter(|doubt| doubt.why == Why::Rules).map(|doubt| &doubt.want.id).collect();
            assert_eq!(doubts.len() - asked.len(), drifted.len(), "what drifted is never left for later");
            assert_eq!(asked.len(), allowed.min(open.len()));
            let expected = (asked.len() < open.len()).then_some(REVIEW_AGAIN);
            assert_eq!(judgement.again, expected, "a turn that left some looks again");
            open.retain(|id| refused.contains(id) || !asked.contains(id));
            last = judgement.reviewed;
            if open.len() == refused.len() {
                return turn;
            }
        }
        unreachable!("the turns do not end by themselves")
    }

    #[test]
    fn new_rules_are_reviewed_little_by_little_until_each_object_was() {
        assert_eq!(turns_until_reviewed(10_000, 0), 1);
        assert_eq!(turns_until_reviewed(500, 0), 20);
        assert_eq!(turns_until_reviewed(125, 0), 80);
    }

    #[test]
    fn objects_that_the_server_refuses_keep_no_other_from_its_review() {
        assert_eq!(turns_until_reviewed(125, 125), 80);
        assert_eq!(turns_until_reviewed(125, 5000), 80);
    }

    #[test]
    fn where_nothing_may_be_reviewed_yet_what_was_proven_stands_and_the_place_is_kept() {
        let (wants, live): (Vec<Want>, Live) = ((0..3).map(want).collect(), live());
        let mut doubts: Vec<Doubt<'_>> =
            wants.iter().map(|want| Doubt { want, live: &live, why: Why::Rules, likely: None }).collect();
        let mut judgement = Judgement::default();
        pace(|_| 0, Some(&wants[1].id), &mut doubts, &mut judgement);
        assert!(doubts.is_empty() && judgement.again == Some(REVIEW_AGAIN));
        assert_eq!(judgement.reviewed.as_ref(), Some(&wants[1].id));
    }
}

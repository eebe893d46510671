//! What a turn looks at: all of a target, or only what changed since a turn that left nothing to do.
//!
//! Enters: what Git wants, and on what the last turn rests. Leaves: a [`View`] for judging and planning. A part of a target only
//! ever holds objects that Git wants, so nothing is pruned by it; what else a plan depends on - the rendering, the settings, the
//! rules of the cluster, what other targets want, every kind being watched, all other objects being well - is known to be as it
//! was. Where any of that moved, and once in the target's interval, all of it is looked at. An object of the last wave may be
//! unwell, since nothing waits for it; it is counted into the target's health each time.

use super::membership;
use super::target::{TargetSpec, TargetState};
use super::turn::{Context, Trouble};
use crate::cluster::{Cluster, Epochs, Found, Mark, Touched};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use trueup_model::{GroupKind, ObjectId};
use trueup_plan::desired::Desired;
use trueup_plan::observed::{Live, Observed, Stranger};
use trueup_plan::record::{SyncStatus, TargetStatus, Trigger};

/// How long a turn waits for the first list of a kind.
const FIRST_LIST: Duration = Duration::from_secs(15);

/// What a turn rested on that left nothing to do.
pub struct Calm {
    desired: Arc<Desired>,
    spec: TargetSpec,
    ground: Ground,
    /// Objects that are unwell, all of them.
    unwell: Vec<ObjectId>,
    /// When all of the target was looked at.
    since: Instant,
}

/// What is true of a cluster and of the other targets, besides the objects themselves.
struct Ground {
    rules: Arc<Epochs>,
    /// The version of the directory.
    claims: u64,
    /// The kinds that are watched for the target.
    kinds: BTreeSet<GroupKind>,
    /// When the members were looked at.
    mark: Mark,
}

/// Wanted objects, and what is known of them.
pub struct View {
    /// What Git wants of what is looked at.
    pub desired: Arc<Desired>,
    /// What is there.
    pub observed: Observed,
    /// Objects of which client-side ownership has to be handed over.
    pub migrate: BTreeSet<ObjectId>,
    /// Hooks that nothing is to be done about.
    pub settled: BTreeSet<ObjectId>,
    /// Whether some of what is wanted was installed by Helm, and is not the target's yet.
    pub released: bool,
    ground: Ground,
    part_of: Option<Whole>,
}

/// What a part is a part of.
struct Whole {
    /// All that Git wants.
    desired: Arc<Desired>,
    /// Objects beside the part that were unwell and are as they were.
    unwell: Vec<ObjectId>,
    /// When all of it was looked at.
    since: Instant,
}

/// How a turn ended, as far as it decides whether all is calm.
pub struct End<'a> {
    /// The status.
    pub status: &'a TargetStatus,
    /// Whether everything that was planned was done, and nothing more is to come of it.
    pub all_done: bool,
    /// Whether somebody asked for another look.
    pub looks_again: bool,
    /// All objects that are unwell.
    pub unwell: Vec<ObjectId>,
}

impl View {
    /// Whether all of the target is looked at.
    pub fn is_whole(&self) -> bool {
        self.part_of.is_none()
    }

    /// All that Git wants.
    pub fn whole(&self) -> &Arc<Desired> {
        self.part_of.as_ref().map_or(&self.desired, |whole| &whole.desired)
    }

    /// The wanted objects that the target's health depends on: all others are well, or hooks that are done.
    pub fn maybe_unwell(&self) -> impl Iterator<Item = &ObjectId> {
        let beside = self.part_of.iter().flat_map(|whole| &whole.unwell);
        self.desired.objects.keys().chain(beside).filter(|id| !self.settled.contains(*id))
    }

    /// What is known by now of the members that are looked at, and of those that are unwell.
    pub fn members(&self, cluster: &Cluster, set: String) -> BTreeMap<ObjectId, Arc<Live>> {
        if self.is_whole() {
            cluster.members(&[set]).members
        } else {
            cluster.members_among(&set, self.maybe_unwell())
        }
    }

    /// What the next turn may rest on.
    pub fn calm(self, spec: &TargetSpec, state: &TargetState, end: End<'_>) -> Option<Calm> {
        let whole = self.whole().clone();
        let is_as_wanted = end.all_done
            && !end.looks_again
            && end.status.sync == SyncStatus::Synced
            && nothing_waits_for(&end.unwell, &whole)
            && end.status.prune_pending.is_empty();
        let nothing_is_special = whole.refused.is_empty()
            && whole.unserved.is_empty()
            && whole.loose.is_empty()
            && self.observed.claims.is_empty()
            && self.observed.unknown.keys().all(|kind| !self.ground.kinds.contains(kind))
            && state.refusals.is_empty()
            && state.immutable.is_empty()
            && state.awaiting.is_empty()
            && state.former.is_empty();
        let since = self.part_of.map_or_else(Instant::now, |whole| whole.since);
        (is_as_wanted && nothing_is_special).then(|| Calm {
            desired: whole,
            spec: spec.clone(),
            ground: self.ground,
            unwell: end.unwell,
            since,
        })
    }
}

// Only a later wave would wait for what is unwell.
fn nothing_waits_for(unwell: &[ObjectId], whole: &Desired) -> bool {
    if unwell.is_empty() {
        return true;
    }
    let last = whole.objects.values().map(|want| want.wave).max();
    unwell.iter().all(|id| whole.objects.get(id).map(|want| want.wave) == last)
}

impl Calm {
    /// Whether this is what Git wanted then.
    pub fn is_of(&self, desired: &Arc<Desired>) -> bool {
        Arc::ptr_eq(&self.desired, desired)
    }

    /// What changed since, if nothing else did.
    fn touched(
        &self,
        context: &Context<'_>,
        spec: &TargetSpec,
        desired: &Arc<Desired>,
        trigger: Trigger,
    ) -> Option<Touched> {
        let is_no_more_than_that = match trigger {
            Trigger::Drift | Trigger::Commit => true,
            Trigger::Manual | Trigger::Configuration | Trigger::Retry | Trigger::Timer => false,
        };
        let stands = is_no_more_than_that
            && self.since.elapsed() < spec.interval
            && Arc::ptr_eq(&self.desired, desired)
            && Arc::ptr_eq(&self.ground.rules, &context.cluster.rules())
            && self.ground.claims == context.directory.version(&spec.cluster)
            && context.waits_for.is_none()
            && self.spec == *spec;
        let mut touched = stands
            .then(|| context.cluster.touched(&spec.set(), self.ground.mark, &self.ground.kinds))
            .flatten()?;
        touched.objects.retain(|id, live| live.is_some() || desired.objects.contains_key(id));
        touched.objects.keys().all(|id| desired.objects.contains_key(id)).then_some(touched)
    }

    fn view(mut self, touched: Touched) -> View {
        self.unwell.retain(|id| !touched.objects.contains_key(id));
        let whole = self.desired;
        let wanted = touched.objects.keys().filter_map(|id| whole.objects.get_key_value(id));
        let desired = Desired {
            target: whole.target.clone(),
            revision: whole.revision.clone(),
            objects: wanted.map(|(id, want)| (id.clone(), want.clone())).collect(),
            hooks: whole.hooks.clone(),
            run: whole.run.clone(),
            ..Desired::default()
        };
        let members = touched.objects.into_iter().filter_map(|(id, live)| Some((id, live?))).collect();
        View {
            desired: Arc::new(desired),
            observed: Observed { members, ..Observed::default() },
            migrate: BTreeSet::new(),
            settled: BTreeSet::new(),
            released: false,
            ground: Ground { mark: touched.mark, ..self.ground },
            part_of: Some(Whole { desired: whole, unwell: self.unwell, since: self.since }),
        }
    }
}

/// Looks at what changed of a target, or at all of it.
pub(super) async fn look(
    context: &Context<'_>,
    spec: &TargetSpec,
    state: &mut TargetState,
    desired: &Arc<Desired>,
    trigger: Trigger,
) -> Result<View, Trouble> {
    // What a turn did not get to the end of is nothing to rest on.
    if let Some(calm) = state.calm.take()
        && let Some(touched) = calm.touched(context, spec, desired, trigger)
    {
        let mut view = calm.view(touched);
        look_around(context, spec, &[spec.set()], &mut view).await;
        return Ok(view);
    }
    let view = look_at_all(context, spec, state, desired).await?;
    // What was read of its records before anything of the cluster was followed may be of before a backup.
    if state.confirmed.is_some() || context.cluster.is_new() {
        return Ok(view);
    }
    let sets = sets(spec, state);
    membership::find_again(context.cluster, spec, state).await.map_err(Trouble::unknown)?;
    if membership::kinds(desired, state) == view.ground.kinds && self::sets(spec, state) == sets {
        return Ok(view);
    }
    look_at_all(context, spec, state, desired).await
}

/// The target's set, and those that it moved away from.
fn sets(spec: &TargetSpec, state: &TargetState) -> Vec<String> {
    let former = state.former.iter().map(|parent| parent.id.clone());
    std::iter::once(spec.set()).chain(former).collect()
}

/// What the cluster holds of the target, and which strangers' client-side ownership has to be handed over.
pub(super) async fn look_at_all(
    context: &Context<'_>,
    spec: &TargetSpec,
    state: &TargetState,
    desired: &Arc<Desired>,
) -> Result<View, Trouble> {
    let cluster = context.cluster;
    let kinds = membership::kinds(desired, state);
    let (rules, claims) = (cluster.rules(), context.directory.version(&spec.cluster));
    cluster.scope(&membership::namespaces(spec, desired, state));
    cluster.watch(&kinds);
    cluster.settled(&kinds, FIRST_LIST).await;
    let sets = sets(spec, state);
    let (found, mark) = cluster.follow_members(&sets);
    // Kinds of other targets may be unknown as well, which is no matter of this one.
    let why = kinds.first().and_then(|kind| found.unknown.get(kind)).cloned();
    if let Some(why) = why
        && kinds.iter().all(|kind| found.unknown.contains_key(kind))
    {
        return Err(Trouble::unknown(format!("cluster {}: {why}", cluster.name())));
    }
    let mut view = View {
        desired: desired.clone(),
        observed: Observed { members: found.members, unknown: found.unknown, ..Observed::default() },
        migrate: BTreeSet::new(),
        settled: BTreeSet::new(),
        released: false,
        ground: Ground { rules, claims, kinds, mark },
        part_of: None,
    };
    look_around(context, spec, &sets, &mut view).await;
    Ok(view)
}

/// Looks for wanted objects outside of the target's sets, and for who else wants them.
async fn look_around(context: &Context<'_>, spec: &TargetSpec, sets: &[String], view: &mut View) {
    let observed = &mut view.observed;
    let missing: Vec<ObjectId> = view
        .desired
        .objects
        .keys()
        .filter(|id| !observed.members.contains_key(id) && !observed.unknown.contains_key(&id.group_kind()))
        .cloned()
        .collect();
    if !missing.is_empty() {
        let strangers = context.cluster.strangers(&missing).await;
        for (kind, error) in strangers.failed {
            observed.unknown.insert(kind, error.to_string());
        }
        for (id, found) in strangers.found {
            if found.part_of.as_ref().is_some_and(|set| sets.contains(set)) {
                // It is a member of which the watch has not told yet.
                match context.cluster.refresh(&id).await {
                    Ok(Some(live)) => drop(observed.members.insert(id, live)),
                    Ok(None) => {}
                    Err(error) => drop(observed.unknown.insert(id.group_kind(), error.to_string())),
                }
                continue;
            }
            if found.migrate {
                view.migrate.insert(id.clone());
            }
            view.released |= found.release.is_some();
            let part_of = found.part_of.map(|set| context.directory.owner(&spec.cluster, &set));
            let Found { uid, managers, deleting, .. } = found;
            observed.strangers.insert(id, Stranger { uid, managers, part_of, deleting });
        }
    }
    let claimed = view.desired.objects.keys().chain(observed.members.keys());
    observed.claims = context.directory.other_claims(&spec.name, &spec.cluster, claimed);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::status::health;
    use crate::sync::target::tests::spec;
    use proptest::prelude::*;
    use trueup_merge::token::{Digest, token};
    use trueup_model::Value;
    use trueup_plan::desired::Want;
    use trueup_plan::health::HealthStatus;
    use trueup_plan::observed::Ledger;
    use trueup_plan::planning::plan;
    use trueup_plan::waves;

    /// What may have become of an object since all was calm.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Fate {
        Untouched,
        /// Untouched, and unwell ever since.
        Unwell,
        Seen,
        Edited,
        Sick,
        Leaving,
        Gone,
    }

    fn fate() -> impl Strategy<Value = Fate> {
        prop_oneof![
            20 => Just(Fate::Untouched),
            2 => Just(Fate::Unwell),
            2 => Just(Fate::Seen),
            4 => Just(Fate::Edited),
            1 => Just(Fate::Sick),
            1 => Just(Fate::Leaving),
            2 => Just(Fate::Gone),
        ]
    }

    const KINDS: [(&str, &str, &str); 4] = [
        ("", "v1", "Namespace"),
        ("", "v1", "ConfigMap"),
        ("apps", "v1", "Deployment"),
        ("apiextensions.k8s.io", "v1", "CustomResourceDefinition"),
    ];

    fn object(index: usize, data: &str) -> Value {
        let (group, version, kind) = KINDS[index % KINDS.len()];
        let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
        serde_json::json!({"apiVersion": api_version, "kind": kind, "data": {"a": data},
            "metadata": {"name": format!("o-{index}"), "namespace": "shop", "uid": "u", "resourceVersion": "7",
                "managedFields": [{"manager": "trueup", "operation": "Apply", "apiVersion": api_version,
                    "fieldsV1": {"f:data": {"f:a": {}}}}]}})
    }

    fn want(index: usize, wave: i32) -> Want {
        let id = ObjectId::of(&object(index, ""));
        let digest: Digest = trueup_merge::token::digest(id.name.as_bytes(), "", "", 0);
        let needs = (index > 3).then(|| ObjectId::of(&object(index % 4, ""))).into_iter().collect();
        Want {
            id,
            api_version: "v1".to_owned(),
            body: (*b"{}").into(),
            digest,
            extract: digest,
            origin: trueup_model::Origin::default(),
            wave,
            recreate: false,
            needs,
            leave: Vec::new(),
        }
    }

    fn live(index: usize, fate: Fate) -> Option<Arc<Live>> {
        let data = if fate == Fate::Edited { "edited" } else { "as written" };
        let mut live = Live::of(&object(index, data), "trueup");
        live.health = match fate {
            Fate::Sick | Fate::Unwell => trueup_plan::health::Health::new(HealthStatus::Degraded, "is sick"),
            _ => trueup_plan::health::Health::healthy(),
        };
        live.deleting = fate == Fate::Leaving;
        (fate != Fate::Gone).then(|| Arc::new(live))
    }

    proptest! {
        /// What is planned of what changed is what would be planned of all.
        #[test]
        fn a_part_is_planned_as_the_whole_is(objects in prop::collection::vec((fate(), 0..3_i32), 1..60), report: bool) {
            let wants: Vec<Want> = objects.iter().enumerate().map(|(index, (_, wave))| want(index, *wave)).collect();
            let ledger: Ledger = wants.iter().enumerate().map(|(index, want)| {
                let token = token(&object(index, "as written"), "trueup").unwrap();
                (want.id.clone(), want.known(token, 0))
            }).collect();
            let desired = Arc::new(Desired {
                objects: wants.iter().map(|want| (want.id.clone(), Arc::new(want.clone()))).collect(),
                ..Desired::default()
            });
            let mut policy = spec("app@test").policy;
            if report {
                policy.drift = trueup_plan::planning::Drift::Report;
            }
            let all = |index: usize, fate: Fate| Some((wants[index].id.clone(), live(index, fate)?));
            let last = objects.iter().map(|(_, wave)| *wave).max();
            let fates = objects.iter().map(|(fate, wave)| {
                if *fate == Fate::Unwell && Some(*wave) != last { Fate::Untouched } else { *fate }
            });
            let fates: Vec<Fate> = fates.collect();
            let members = fates.iter().enumerate().filter_map(|(index, fate)| all(index, *fate)).collect();
            let observed = Observed { members, ..Observed::default() };
            let whole = waves::due(plan(&desired, &observed, &ledger, &policy), &desired, &observed, &BTreeSet::new());

            let named = |wanted: fn(Fate) -> bool| {
                let found = fates.iter().enumerate().filter(move |(_, fate)| wanted(**fate));
                found.map(|(index, fate)| (wants[index].id.clone(), *fate, index))
            };
            let unwell: Vec<ObjectId> = named(|fate| fate == Fate::Unwell).map(|(id, _, _)| id).collect();
            prop_assert!(nothing_waits_for(&unwell, &desired));
            let touched = named(|fate| !matches!(fate, Fate::Untouched | Fate::Unwell));
            let touched = touched.map(|(id, fate, index)| (id, live(index, fate))).collect();
            let ground = Ground { rules: Arc::default(), claims: 0, kinds: BTreeSet::new(), mark: Mark::default() };
            let calm = Calm { desired: desired.clone(), spec: spec("app@test"), ground, unwell, since: Instant::now() };
            let view = calm.view(Touched { mark: Mark::default(), objects: touched });
            let part = waves::due(plan(&view.desired, &view.observed, &ledger, &policy), &view.desired, &view.observed, &BTreeSet::new());
            prop_assert_eq!(&part.steps, &whole.steps);
            let (worst, _) = health(view.maybe_unwell(), &observed.members);
            prop_assert_eq!(worst, health(desired.objects.keys(), &observed.members).0);
            prop_assert!(!view.is_whole() && Arc::ptr_eq(view.whole(), &desired));
        }
    }
}

//! The parent of a target's `ApplySet`: it grows before objects are applied and shrinks after they are gone, and keeps the last
//! record, so that what was applied can be answered from the cluster alone.

use super::target::{TargetSpec, TargetState};
use crate::cluster::{ApiErrorClass, Apply, Cluster, Force, Mode, Parent, Place};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use trueup_model::{GroupKind, ObjectId};
use trueup_plan::desired::Desired;
use trueup_plan::observed::Live;
use trueup_plan::record::TargetStatus;

/// The parent's data field with the target's name.
pub const TARGET: &str = "target";
/// The parent's data field with the repository's address.
pub const REPOSITORY: &str = "repository";
/// The parent's data field with the name of the installation of trueup that keeps it.
pub const INSTALLATION: &str = "installation";
/// The parent's data field with the last status, as `status -o json` shows it.
const STATUS: &str = "status";
/// How far apart two writes of the record are at least that only say how the target stands, while nothing is done.
const STORY_PAUSE: Duration = Duration::from_secs(15);
/// After how long it is looked again whether a record can let go of what may still be there.
const LOOK_AGAIN: Duration = Duration::from_secs(15);
/// When the record is to be written: now.
pub const AT_ONCE: Option<Duration> = Some(Duration::ZERO);

// Objects come by kind and namespace: most have those of the one before.
fn kinds_of<'i>(ids: impl Iterator<Item = &'i ObjectId>) -> BTreeSet<GroupKind> {
    let mut kinds = BTreeSet::new();
    let mut last: Option<&ObjectId> = None;
    for id in ids {
        if last.is_none_or(|last| (&last.group, &last.kind) != (&id.group, &id.kind)) {
            kinds.insert(id.group_kind());
        }
        last = Some(id);
    }
    kinds
}

fn namespaces_of<'i>(ids: impl Iterator<Item = &'i ObjectId>) -> BTreeSet<String> {
    let mut namespaces = BTreeSet::new();
    let mut last: Option<&ObjectId> = None;
    for id in ids {
        if last.is_none_or(|last| last.namespace != id.namespace) {
            namespaces.insert(id.namespace.clone());
        }
        last = Some(id);
    }
    namespaces
}

/// The kinds that a target has or had: what has to be watched.
pub fn kinds(desired: &Desired, state: &TargetState) -> BTreeSet<GroupKind> {
    let mut kinds = kinds_of(desired.objects.keys());
    for parent in state.parent.iter().chain(&state.former) {
        kinds.extend(parent.kinds.iter().cloned());
    }
    kinds
}

/// The namespaces that a target has or had objects in, its parent's own included.
pub fn namespaces(spec: &TargetSpec, desired: &Desired, state: &TargetState) -> BTreeSet<String> {
    let mut namespaces = namespaces_of(desired.objects.keys());
    for parent in state.parent.iter().chain(&state.former) {
        namespaces.extend(parent.namespaces.iter().cloned());
        namespaces.insert(parent.namespace.clone());
    }
    namespaces.insert(spec.parent_namespace().to_owned());
    namespaces.remove("");
    namespaces
}

/// Reads the parent once more before something is written, if the cluster may have been put back to a backup since it was read: watches
/// were cut off, or had not begun yet.
pub async fn confirm(cluster: &Cluster, state: &mut TargetState) -> Result<(), String> {
    let interruptions = cluster.interruptions();
    if let Some(parent) = state.parent.as_ref().filter(|_| state.confirmed != Some(interruptions)) {
        let (name, namespace) = (&parent.name, &parent.namespace);
        let read = cluster.reread_parent(parent).await;
        state.parent = read
            .map_err(|error| format!("the target's record {namespace}/{name} could not be read: {error}"))?;
    }
    state.confirmed = Some(interruptions);
    Ok(())
}

/// Reads the records of a target, its former ones included, once more, where the cluster may have been put back to a backup since they were
/// read and nobody could hear of that: nothing of it was followed then.
pub async fn find_again(cluster: &Cluster, spec: &TargetSpec, state: &mut TargetState) -> Result<(), String> {
    let (interruptions, set) = (cluster.interruptions(), spec.set());
    let is_its = |parent: &Parent| {
        let keeper = (parent.field(INSTALLATION), parent.field(TARGET));
        parent.id == set || keeper == (&state.installation, &spec.name)
    };
    let found = cluster.parents(is_its).await;
    let found = found.map_err(|error| format!("cluster {}: {error}", cluster.name()))?;
    let (own, former): (Vec<Parent>, Vec<Parent>) = found.into_iter().partition(|parent| parent.id == set);
    (state.parent, state.former) = (own.into_iter().next(), former);
    state.confirmed = Some(interruptions);
    Ok(())
}

/// Makes sure that the parent names all kinds and namespaces that are about to be applied.
pub async fn grow(
    cluster: &Cluster,
    spec: &TargetSpec,
    state: &mut TargetState,
    desired: &Desired,
) -> Result<(), String> {
    let kinds = kinds(desired, state);
    let namespaces = namespaces(spec, desired, state);
    let known = state.parent.as_ref();
    if known.is_some_and(|parent| kinds.is_subset(&parent.kinds) && namespaces.is_subset(&parent.namespaces))
    {
        return Ok(());
    }
    let mut data = known.map(|parent| parent.data.clone()).unwrap_or_default();
    data.extend(identity(spec, state));
    let parent = Parent {
        name: spec.parent_name(),
        namespace: spec.parent_namespace().to_owned(),
        id: spec.set(),
        kinds,
        namespaces,
        data,
        uid: known.map(|parent| parent.uid.clone()).unwrap_or_default(),
        version: known.map(|parent| parent.version.clone()).unwrap_or_default(),
    };
    let written = match cluster.write_parent(&parent).await {
        Err(error) if matches!(error.class, ApiErrorClass::NotFound) => {
            create_namespace(cluster, &parent.namespace, state, desired).await?;
            cluster.write_parent(&parent).await
        }
        result => result,
    };
    match written {
        Ok(parent) => {
            state.parent = Some(parent);
            Ok(())
        }
        Err(error) => Err(format!(
            "the target's record {}/{} could not be written: {error}",
            parent.namespace, parent.name
        )),
    }
}

fn identity(spec: &TargetSpec, state: &TargetState) -> [(String, String); 6] {
    [
        (TARGET, &spec.name),
        (INSTALLATION, &state.installation),
        ("app", &spec.app),
        ("environment", &spec.environment),
        (REPOSITORY, &spec.repository_url),
        ("path", &spec.request.path),
    ]
    .map(|(key, value)| (key.to_owned(), value.clone()))
}

// The record lives in the target's namespace, so that comes first: as Git has it, if it does.
async fn create_namespace(
    cluster: &Cluster,
    name: &str,
    state: &mut TargetState,
    desired: &Desired,
) -> Result<(), String> {
    let id = ObjectId::new("", "Namespace", "", name);
    let want = desired.objects.get(&id);
    let bare =
        serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}).to_string();
    let body = want.map_or(bare.as_bytes(), |want| &want.body);
    let request = Apply { id: &id, api_version: "v1", body, mode: Mode::Write, force: Force::No };
    let applied = cluster
        .apply(&request)
        .await
        .map_err(|error| format!("namespace {name} does not exist and could not be created: {error}"))?;
    tracing::info!(namespace = name, "created the namespace of a target");
    if let (Some(want), Some(token)) = (want, applied.live.token) {
        Arc::make_mut(&mut state.ledger).insert(id, want.known(token, cluster.epoch("v1")));
    }
    Ok(())
}

/// How the target stood when its record was written; `None` where that cannot be read.
pub fn recorded_status(parent: &Parent) -> Option<TargetStatus> {
    serde_json::from_str(parent.data.get(STATUS)?).ok()
}

/// In how long the parent's record has to be written, at once as a rule; `None` where it tells the same story as the status. Where all
/// it has wrong is the commit, and that one changed nothing of the target, it is left so for an interval: a repository with hundreds of
/// targets would cost each of them a write at each commit. After a start, or a write that failed, nobody knows what that commit changed.
/// Where an object can be read now and then, what is told goes to and fro each second: the record follows a few times a minute.
pub fn behind(
    spec: &TargetSpec,
    state: &mut TargetState,
    desired: &Desired,
    status: &TargetStatus,
) -> Option<Duration> {
    let Some(parent) = &state.parent else {
        return AT_ONCE.filter(|_| !desired.objects.is_empty() && !status.revision.is_empty());
    };
    let recorded = recorded_status(parent).unwrap_or_default();
    let is_told = (recorded.sync, recorded.objects) == (status.sync, status.objects);
    let is_needed = (&recorded.run, &recorded.held) != (&status.run, &status.held);
    if is_needed || !is_told && !state.is_recorded {
        return AT_ONCE;
    }
    if !is_told {
        let now = Instant::now();
        let pause = state.told.map_or(Duration::ZERO, |told| STORY_PAUSE.saturating_sub(now - told));
        state.told = if pause.is_zero() { Some(now) } else { state.told };
        return Some(pause);
    }
    if recorded.revision == status.revision {
        (state.behind, state.is_recorded) = (None, true);
        return None;
    }
    if !state.is_recorded {
        return AT_ONCE;
    }
    let since = *state.behind.get_or_insert_with(Instant::now);
    let is_due =
        recorded.revision.is_empty() || spec.asks_about_commits() || since.elapsed() >= spec.interval;
    AT_ONCE.filter(|_| is_due)
}

/// After how long the record can perhaps be let go of what stays in it only because something may still be or come to be there; `None`
/// where nothing does.
pub fn lingers(state: &TargetState) -> Option<Duration> {
    state.lingers.map(|until| until.saturating_duration_since(Instant::now()))
}

/// Writes the record where it says something else by now, and takes kinds and namespaces out that no member is in any more; false
/// where that failed.
pub async fn settle(
    cluster: &Cluster,
    spec: &TargetSpec,
    state: &mut TargetState,
    desired: &Desired,
    members: &BTreeMap<ObjectId, Arc<Live>>,
    status: &TargetStatus,
) -> bool {
    let mut kinds = kinds_of(desired.objects.keys().chain(members.keys()));
    let mut namespaces = namespaces_of(desired.objects.keys().chain(members.keys()));
    namespaces.insert(spec.parent_namespace().to_owned());
    namespaces.remove("");
    // A kind or namespace that could not be looked at may still hold members.
    let unknown = cluster.members(&[spec.set()]).unknown;
    state.lingers = None;
    if let Some(parent) = &state.parent {
        kinds.extend(parent.kinds.iter().filter(|kind| unknown.contains_key(kind)).cloned());
        if !unknown.is_empty() {
            namespaces.extend(parent.namespaces.iter().cloned());
        }
        state.lingers = occupied_until(cluster, parent, &kinds, &namespaces).await;
        if state.lingers.is_some() {
            kinds.extend(parent.kinds.iter().cloned());
            namespaces.extend(parent.namespaces.iter().cloned());
        }
    }
    let mut data: BTreeMap<String, String> = identity(spec, state).into();
    let recorded = TargetStatus { unhealthy: Vec::new(), ..status.clone() };
    data.insert(STATUS.to_owned(), serde_json::to_string(&recorded).unwrap_or_default());
    data.insert("revision".to_owned(), status.revision.clone());
    let parent = Parent {
        name: spec.parent_name(),
        namespace: spec.parent_namespace().to_owned(),
        id: spec.set(),
        kinds,
        namespaces,
        data,
        uid: state.parent.as_ref().map(|parent| parent.uid.clone()).unwrap_or_default(),
        version: state.parent.as_ref().map(|parent| parent.version.clone()).unwrap_or_default(),
    };
    state.is_recorded = true;
    if state.parent.as_ref() == Some(&parent) {
        state.behind = None;
        return true;
    }
    match cluster.write_parent(&parent).await {
        Ok(parent) => (state.parent, state.behind) = (Some(parent), None),
        Err(error) => {
            tracing::warn!(target = spec.name, %error, "the target's record could not be written");
            // It may have been written all the same: what was to go from it may be gone.
            if let Some(known) = &mut state.parent {
                known.kinds.retain(|kind| parent.kinds.contains(kind));
                known.namespaces.retain(|namespace| parent.namespaces.contains(namespace));
            }
            state.is_recorded = false;
        }
    }
    state.is_recorded
}

/// Where a record is to name only these kinds and namespaces and something may still be or come to be in others that it names: when to
/// look again.
async fn occupied_until(
    cluster: &Cluster,
    parent: &Parent,
    kinds: &BTreeSet<GroupKind>,
    namespaces: &BTreeSet<String>,
) -> Option<Instant> {
    let left = parent.kinds.difference(kinds).map(|kind| (kind.clone(), String::new()));
    let emptied = parent.namespaces.difference(namespaces);
    let within = emptied.flat_map(|namespace| kinds.iter().map(|kind| (kind.clone(), namespace.clone())));
    let places: BTreeSet<Place> = left.chain(within).collect();
    if places.is_empty() {
        return None;
    }
    // A write may still come to be in any of them that was thought lost.
    let late = cluster.late_until(&parent.id);
    if late.is_some() {
        return late;
    }
    let why = cluster.vacant(&parent.id, &places).await.err()?;
    let Parent { name, namespace, .. } = parent;
    tracing::debug!(
        why,
        "the record {namespace}/{name} names more than the target is known to have, and stays so"
    );
    Some(Instant::now() + LOOK_AGAIN)
}

/// Makes sure that nothing is there of what a record names, before it goes.
///
/// # Errors
/// Why something may be.
pub async fn vacant(cluster: &Cluster, parent: &Parent) -> Result<(), String> {
    let everywhere = parent.kinds.iter().map(|kind| (kind.clone(), String::new()));
    cluster.vacant(&parent.id, &everywhere.collect()).await
}

/// Lets go of parents that the target moved away from, once they are empty; false where that failed.
pub async fn let_go(cluster: &Cluster, state: &mut TargetState) -> bool {
    let (mut kept, mut failed) = (Vec::new(), false);
    for former in std::mem::take(&mut state.former) {
        let left = cluster.members(std::slice::from_ref(&former.id));
        let is_empty = left.members.is_empty() && left.unknown.is_empty();
        let occupied = if is_empty {
            occupied_until(cluster, &former, &BTreeSet::new(), &BTreeSet::new()).await
        } else {
            None
        };
        state.lingers = state.lingers.max(occupied);
        if is_empty && occupied.is_none() {
            match cluster.delete_parent(&former).await {
                Ok(()) => continue,
                Err(_) => failed = true,
            }
        }
        kept.push(former);
    }
    state.former = kept;
    !failed
}

#[cfg(test)]
mod tests {
    use super::super::target;
    use super::super::target::tests::spec;
    use super::*;
    use crate::cluster::lossy::{Fate, Lossy, Versions};
    use trueup_plan::apply_set::GROUP_KINDS;
    use trueup_plan::desired::Want;
    use trueup_plan::record::SyncStatus;

    const RECORD: &str = "/api/v1/namespaces/shop/configmaps/trueup.web.test";

    fn desired(kinds: &[&str]) -> Desired {
        let want = |kind: &&str| {
            let id = ObjectId::new("", *kind, "shop", "x");
            let body = serde_json::json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "x", "namespace": "shop",
                "labels": {trueup_plan::apply_set::PART_OF: spec("web@test").set()}}});
            let want = Want {
                id: id.clone(),
                api_version: "v1".to_owned(),
                body: body.to_string().into_bytes().into(),
                digest: trueup_merge::token::digest(b"", "", "", 0),
                extract: trueup_merge::token::digest(b"", "", "", 0),
                origin: trueup_model::Origin::default(),
                wave: 0,
                recreate: false,
                needs: Vec::new(),
                leave: Vec::new(),
            };
            (id, Arc::new(want))
        };
        Desired { objects: kinds.iter().map(want).collect(), ..Desired::default() }
    }

    async fn settled(cluster: &Cluster, state: &mut TargetState, desired: &Desired) {
        let status = TargetStatus::default();
        settle(cluster, &spec("web@test"), state, desired, &BTreeMap::new(), &status).await;
    }

    fn named(lossy: &Lossy) -> String {
        lossy.get(RECORD).unwrap()["metadata"]["annotations"][GROUP_KINDS].as_str().unwrap().to_owned()
    }

    fn known(state: &TargetState) -> Vec<String> {
        state.parent.iter().flat_map(|parent| &parent.kinds).map(ToString::to_string).collect()
    }

    /// A target of which the record names kinds, begun on this cluster.
    async fn begun(lossy: &Lossy, kinds: &[&str]) -> (Cluster, TargetState) {
        let cluster = lossy.cluster().await;
        cluster.discover().await.unwrap();
        let mut state = TargetState::default();
        grow(&cluster, &spec("web@test"), &mut state, &desired(kinds)).await.unwrap();
        (cluster, state)
    }

    #[tokio::test(start_paused = true)]
    async fn a_commit_that_changes_nothing_of_a_target_is_recorded_an_interval_later() {
        let lossy = Lossy::new();
        let (cluster, mut state) = begun(&lossy, &["ConfigMap"]).await;
        let mut spec = spec("web@test");
        let desired = desired(&["ConfigMap"]);
        let at = |revision: &str| TargetStatus { revision: revision.to_owned(), ..TargetStatus::default() };
        assert_eq!(behind(&spec, &mut state, &desired, &at("1")), AT_ONCE);
        settle(&cluster, &spec, &mut state, &desired, &BTreeMap::new(), &at("1")).await;
        assert!(behind(&spec, &mut state, &desired, &at("1")).is_none());
        // Commits go on: it counts from the first.
        for commit in 2..12 {
            assert!(behind(&spec, &mut state, &desired, &at(&commit.to_string())).is_none());
            tokio::time::sleep(spec.interval / 10).await;
        }
        assert_eq!(behind(&spec, &mut state, &desired, &at("12")), AT_ONCE);
        settle(&cluster, &spec, &mut state, &desired, &BTreeMap::new(), &at("12")).await;
        assert!(behind(&spec, &mut state, &desired, &at("13")).is_none());
        lossy.next("PATCH", "trueup.web.test", Fate::Lost);
        assert!(!settle(&cluster, &spec, &mut state, &desired, &BTreeMap::new(), &at("13")).await);
        let lost = behind(&spec, &mut state, &desired, &at("13"));
        assert_eq!(lost, AT_ONCE, "what could not be written is not left so");
        assert!(settle(&cluster, &spec, &mut state, &desired, &BTreeMap::new(), &at("12")).await);
        assert!(behind(&spec, &mut state, &desired, &at("13")).is_none());
        let parent = state.parent.take();
        let mut begun_again = TargetState { parent: parent.clone(), ..TargetState::default() };
        let left = behind(&spec, &mut begun_again, &desired, &at("13"));
        assert_eq!(left, AT_ONCE, "nor what another process left");
        assert!(behind(&spec, &mut begun_again, &desired, &at("12")).is_none());
        assert!(behind(&spec, &mut begun_again, &desired, &at("13")).is_none());
        state.parent = parent;
        assert_eq!(behind(&spec, &mut state, &desired, &TargetStatus { objects: 2, ..at("13") }), AT_ONCE);
        spec.mode = target::Mode::Manual;
        assert_eq!(behind(&spec, &mut state, &desired, &at("13")), AT_ONCE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_story_that_goes_to_and_fro_is_written_a_few_times_a_minute() {
        let lossy = Lossy::new();
        let (cluster, mut state) = begun(&lossy, &["ConfigMap"]).await;
        let (spec, desired) = (spec("web@test"), desired(&["ConfigMap"]));
        let stands = |sync| TargetStatus { sync, revision: "1".to_owned(), ..TargetStatus::default() };
        settled(&cluster, &mut state, &desired).await;
        let before = lossy.count("PATCH", "trueup.web.test");
        for second in 0..50 {
            let status = stands(if second % 2 == 0 { SyncStatus::Failed } else { SyncStatus::OutOfSync });
            if behind(&spec, &mut state, &desired, &status) == AT_ONCE {
                settle(&cluster, &spec, &mut state, &desired, &BTreeMap::new(), &status).await;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(lossy.count("PATCH", "trueup.web.test") - before, 4);
        // What is told last is not left out.
        let last = stands(SyncStatus::Synced);
        let pause = behind(&spec, &mut state, &desired, &last).unwrap();
        assert!(!pause.is_zero() && pause <= STORY_PAUSE, "{pause:?}");
        tokio::time::sleep(pause).await;
        assert_eq!(behind(&spec, &mut state, &desired, &last), AT_ONCE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_record_that_says_all_already_is_not_written() {
        let lossy = Lossy::new();
        let (cluster, mut state) = begun(&lossy, &["ConfigMap"]).await;
        let written = || lossy.count("PATCH", "trueup.web.test");
        settled(&cluster, &mut state, &desired(&["ConfigMap"])).await;
        let before = written();
        settled(&cluster, &mut state, &desired(&["ConfigMap"])).await;
        assert_eq!(written(), before);
        let told = TargetStatus { message: "refused".to_owned(), ..TargetStatus::default() };
        let (spec, desired) = (spec("web@test"), desired(&["ConfigMap"]));
        settle(&cluster, &spec, &mut state, &desired, &BTreeMap::new(), &told).await;
        assert_eq!(written(), before + 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_record_that_was_put_back_before_anything_was_watched_is_read_again_before_the_first_write() {
        let lossy = Lossy::new();
        let (cluster, mut state) = begun(&lossy, &["ConfigMap"]).await;
        let found = state.parent.clone().unwrap();
        // It was found when it named a Secret, and the cluster was put back then.
        let kinds = kinds_of(desired(&["ConfigMap", "Secret"]).objects.keys());
        state.parent = Some(Parent { kinds, ..found });
        state.confirmed = None;
        confirm(&cluster, &mut state).await.unwrap();
        let both = desired(&["ConfigMap", "Secret"]);
        grow(&cluster, &spec("web@test"), &mut state, &both).await.unwrap();
        assert_eq!(named(&lossy), "ConfigMap,Secret");
        let asked = lossy.count("GET", "trueup.web.test");
        confirm(&cluster, &mut state).await.unwrap();
        assert_eq!(lossy.count("GET", "trueup.web.test"), asked, "once is enough");
    }

    #[tokio::test(start_paused = true)]
    async fn a_former_record_that_came_back_with_a_backup_before_anything_was_watched_is_found() {
        let lossy = Lossy::new();
        for namespace in ["before", "elsewhere"] {
            let object =
                serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
            lossy.post("/api/v1/namespaces", &object);
        }
        let (cluster, mut state) = begun(&lossy, &["ConfigMap"]).await;
        state.installation = "ours".to_owned();
        let mine = spec("web@test");
        let place = |namespace: &str| TargetSpec { namespace: namespace.to_owned(), ..spec("web@test") };
        assert_eq!(cluster.parents(|_| true).await.unwrap().len(), 1);
        // The cluster is put back to when the target was in another namespace; there is a record of another trueup, too.
        let another = lossy.cluster().await;
        for (namespace, installation) in [("before", "ours"), ("elsewhere", "theirs")] {
            let mut state = TargetState { installation: installation.to_owned(), ..TargetState::default() };
            grow(&another, &place(namespace), &mut state, &desired(&["Secret"])).await.unwrap();
        }
        cluster.watch(&kinds(&desired(&["ConfigMap"]), &state));
        state.confirmed = None;
        find_again(&cluster, &mine, &mut state).await.unwrap();
        let former: Vec<&str> = state.former.iter().map(|parent| parent.namespace.as_str()).collect();
        assert_eq!((former, known(&state)), (vec!["before"], vec!["ConfigMap".to_owned()]));
        assert_eq!(state.confirmed, Some(cluster.interruptions()));
        let listed = lossy.count("GET", "/configmaps");
        find_again(&cluster, &mine, &mut state).await.unwrap();
        assert_eq!(lossy.count("GET", "/configmaps"), listed, "targets that begin together share a list");
        cluster.stop();
    }

    #[tokio::test(start_paused = true)]
    async fn a_record_lets_go_of_a_kind_as_soon_as_no_object_is_of_it() {
        let lossy = Lossy::new();
        let (cluster, mut state) = begun(&lossy, &["ConfigMap", "Secret"]).await;
        settled(&cluster, &mut state, &desired(&["ConfigMap"])).await;
        assert_eq!(named(&lossy), "ConfigMap");
        assert_eq!(lingers(&state), None);
    }

    const SECRET: &str = "/api/v1/namespaces/shop/secrets/x";

    /// Waits until the target is known to have so many objects.
    async fn members(cluster: &Cluster, there: usize) {
        while cluster.members(&[spec("web@test").set()]).members.len() != there {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn secret() -> serde_json::Value {
        serde_json::json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x",
            "labels": {trueup_plan::apply_set::PART_OF: spec("web@test").set()}}})
    }

    #[tokio::test(start_paused = true)]
    async fn a_record_names_a_kind_that_came_back_with_a_backup_before_its_watch_tells_of_it() {
        let lossy = Lossy::new();
        let (cluster, mut state) = begun(&lossy, &["ConfigMap", "Secret"]).await;
        cluster.watch(&kinds(&desired(&["ConfigMap", "Secret"]), &state));
        lossy.post("/api/v1/namespaces/shop/secrets", &secret());
        members(&cluster, 1).await;
        let restore = lossy.restore_to_before(Versions::Bumped, |lossy| lossy.remove(SECRET));
        members(&cluster, 0).await;
        lossy.next("GET", "/api/v1/secrets", Fate::Hangs);
        let breaks = cluster.breaks();
        restore(&lossy);
        while cluster.breaks() == breaks {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        confirm(&cluster, &mut state).await.unwrap();
        settled(&cluster, &mut state, &desired(&["ConfigMap"])).await;
        assert_eq!(named(&lossy), "ConfigMap,Secret");
        let left = lingers(&state).unwrap();
        assert!(!left.is_zero(), "it is not asked over and over");
        // It is pruned, and then the record is written once more.
        members(&cluster, 1).await;
        lossy.remove(SECRET);
        members(&cluster, 0).await;
        tokio::time::sleep(left).await;
        assert_eq!(lingers(&state), Some(Duration::ZERO));
        settled(&cluster, &mut state, &desired(&["ConfigMap"])).await;
        assert_eq!((named(&lossy).as_str(), lingers(&state)), ("ConfigMap", None));
        cluster.stop();
    }

    #[tokio::test(start_paused = true)]
    async fn a_former_record_stays_while_something_of_what_it_names_may_be_there() {
        let lossy = Lossy::new();
        let (cluster, mut state) = begun(&lossy, &["ConfigMap", "Secret"]).await;
        lossy.post("/api/v1/namespaces/shop/secrets", &secret());
        state.former.extend(state.parent.take());
        assert!(let_go(&cluster, &mut state).await);
        assert_eq!((state.former.len(), lingers(&state).is_some()), (1, true), "nothing was watched yet");
        lossy.remove(SECRET);
        assert!(let_go(&cluster, &mut state).await);
        assert!(state.former.is_empty() && lossy.get(RECORD).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_record_may_have_let_go_of_in_a_write_without_an_answer_is_not_relied_on() {
        let lossy = Lossy::new();
        let (cluster, mut state) = begun(&lossy, &["ConfigMap", "Secret"]).await;
        lossy.next("PATCH", "trueup.web.test", Fate::AnswerLost);
        settled(&cluster, &mut state, &desired(&["ConfigMap"])).await;
        assert_eq!((named(&lossy).as_str(), known(&state)), ("ConfigMap", vec!["ConfigMap".to_owned()]));
        // So the next object of that kind is noted before it is applied.
        grow(&cluster, &spec("web@test"), &mut state, &desired(&["ConfigMap", "Secret"])).await.unwrap();
        assert_eq!(named(&lossy), "ConfigMap,Secret");
    }

    #[tokio::test(start_paused = true)]
    async fn a_record_names_a_kind_as_long_as_an_object_of_it_may_come_from_a_write_that_was_given_up() {
        let lossy = Lossy::new();
        let (cluster, mut state) = begun(&lossy, &["ConfigMap", "Secret"]).await;
        let desired_first = desired(&["ConfigMap", "Secret"]);
        let id = ObjectId::new("", "Secret", "shop", "x");
        let want = &desired_first.objects[&id];
        let (body, mode) = (&want.body, Mode::Write);
        let request = Apply { id: &id, api_version: "v1", body, mode, force: Force::No };
        lossy.next("PATCH", "/secrets/x", Fate::Late);
        cluster.apply(&request).await.unwrap();
        // It was tried again, deleted and is wanted no more: the first try is still on its way.
        cluster.watch(&kinds(&desired_first, &state));
        members(&cluster, 1).await;
        lossy.remove(SECRET);
        members(&cluster, 0).await;
        settled(&cluster, &mut state, &desired(&["ConfigMap"])).await;
        assert_eq!(named(&lossy), "ConfigMap,Secret");
        let left = lingers(&state).unwrap();
        assert!(left > Duration::from_mins(9), "{left:?}");
        tokio::time::sleep(left).await;
        assert_eq!(lingers(&state), Some(Duration::ZERO));
        settled(&cluster, &mut state, &desired(&["ConfigMap"])).await;
        assert_eq!(named(&lossy), "ConfigMap");
        assert_eq!(lingers(&state), None);
        cluster.stop();
    }

    #[tokio::test(start_paused = true)]
    async fn a_record_that_was_found_names_its_kinds_as_long_as_an_earlier_process_may_have_written() {
        let lossy = Lossy::new();
        let (_, state) = begun(&lossy, &["ConfigMap", "Secret"]).await;
        let cluster = lossy.cluster().await;
        cluster.discover().await.unwrap();
        let mut state = TargetState { parent: state.parent, ..TargetState::default() };
        settled(&cluster, &mut state, &desired(&["ConfigMap"])).await;
        assert_eq!(named(&lossy), "ConfigMap,Secret");
        tokio::time::sleep(lingers(&state).unwrap()).await;
        settled(&cluster, &mut state, &desired(&["ConfigMap"])).await;
        assert_eq!(named(&lossy), "ConfigMap");
    }
}

//! One object: applied as trueup applies it, written to by others, and looked at after each write from both sides.

use super::definitions::{GROUP, definition};
use super::random::{Random, disturb, places};
use super::server::Server;
use super::writers::{Subject, WAYS, Way, write};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use trueup::cluster::{Access, Apply, Cluster, Force, MANAGER, Mode, Via};
use trueup_merge::fields::{FieldSet, element};
use trueup_merge::managed::Operation;
use trueup_model::{GroupKind, Manifest, Origin, Segment};
use trueup_plan::desired::{Standing, Want};
use trueup_plan::observed::{Known, Live};
use trueup_plan::place::{Placement, Scope, Served, place};
use trueup_testkit::ControlPlane;

const NAMESPACE: &str = "proof";
/// Writes of others in the life of an object.
const WRITES: usize = 8;

/// What came of the comparisons.
#[derive(Default)]
pub(super) struct Tally {
    /// By what was written before: comparisons, those of them in which the server would change something, and dry runs that
    /// were needless by token and by proof.
    by_way: BTreeMap<Way, [usize; 4]>,
    kinds: BTreeMap<String, usize>,
    /// Needless dry runs of the structural proof, by kind.
    unproven: BTreeMap<String, usize>,
    refused: usize,
    /// What must not be.
    pub(super) wrong: Vec<String>,
}

impl Tally {
    pub(super) fn comparisons(&self) -> usize {
        self.by_way.values().map(|row| row[0]).sum()
    }

    fn sum(&self, column: usize) -> usize {
        self.by_way.values().map(|row| row[column]).sum()
    }

    #[expect(clippy::cast_precision_loss, reason = "a share")]
    pub(super) fn needless_share(&self) -> f64 {
        self.sum(2) as f64 / self.comparisons().max(1) as f64
    }

    pub(super) fn add(&mut self, other: Self) {
        for (way, row) in other.by_way {
            let mine = self.by_way.entry(way).or_default();
            for (sum, more) in mine.iter_mut().zip(row) {
                *sum += more;
            }
        }
        for (kinds, more) in [(&mut self.kinds, other.kinds), (&mut self.unproven, other.unproven)] {
            for (kind, count) in more {
                *kinds.entry(kind).or_default() += count;
            }
        }
        self.refused += other.refused;
        self.wrong.extend(other.wrong);
    }

    #[expect(clippy::cast_precision_loss, reason = "rates for people to read")]
    pub(super) fn report(&self, took: Duration) -> String {
        let all = self.comparisons();
        let share = |count: usize| 100.0 * count as f64 / all.max(1) as f64;
        let mut lines = vec![format!(
            "{all} comparisons of {} kinds in {:.0} s ({:.0}/s): in {} the server would change something; wrong {}; \
             needless dry runs: by token {} ({:.2} %), by structure alone {} ({:.2} %); {} writes were refused",
            self.kinds.len(),
            took.as_secs_f64(),
            all as f64 / took.as_secs_f64(),
            self.sum(1),
            self.wrong.len(),
            self.sum(2),
            share(self.sum(2)),
            self.sum(3),
            share(self.sum(3)),
            self.refused,
        )];
        lines.extend(self.by_way.iter().map(|(way, [all, differs, warm, cold])| {
            format!(
                "  {:20} {all:6} differs {differs:6} needless {warm:4} unproven {cold:5}",
                format!("{way:?}")
            )
        }));
        lines.push(format!("  unproven by kind: {:?}", self.unproven));
        lines.join("\n")
    }
}

pub(super) struct Prover {
    server: Server,
    cluster: Cluster,
}

/// An object in the middle of its life.
struct Subjected {
    want: Want,
    wanted: Value,
    set: String,
    path: String,
    other: Option<(String, String)>,
    known: Option<Known>,
}

impl Prover {
    pub(super) async fn new(plane: &ControlPlane) -> Self {
        let access = Access {
            name: "proof".to_owned(),
            via: Via::Kubeconfig { path: Some(plane.kubeconfig().to_owned()), context: None },
            in_flight: None,
        };
        let cluster = Cluster::connect(&access, Arc::new(|_, _| {}), Arc::new(|_| {})).await.unwrap();
        let server = Server(plane.api().client());
        let namespace =
            serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
        let made = server.send("POST", "/api/v1/namespaces", "application/json", Some(&namespace)).await;
        assert_eq!(made.0, 201, "{}", made.1);
        Self { server, cluster }
    }

    /// Makes a kind of ours, and waits until it is served.
    pub(super) async fn define(&self, kind: &str, spec: &Value) {
        let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        let made = self.server.send("POST", path, "application/json", Some(&definition(kind, spec))).await;
        assert_eq!(made.0, 201, "{}", made.1);
        for _ in 0..200 {
            let catalog = self.cluster.discover().await.unwrap();
            if catalog.resource(GROUP, "v1beta1", kind).is_some() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{kind} is not served");
    }

    /// Watches all kinds that are written to.
    pub(super) async fn watch_all(&self) {
        let mut manifests = super::kinds::manifests(&mut Random::new(0));
        manifests.push(super::definitions::manifest("Proof", &mut Random::new(0)));
        let kinds: BTreeSet<GroupKind> = manifests
            .iter()
            .map(|manifest| {
                let api_version = manifest["apiVersion"].as_str().unwrap();
                let group = api_version.split_once('/').map_or("", |(group, _)| group);
                GroupKind::new(group, manifest["kind"].as_str().unwrap())
            })
            .collect();
        self.cluster.discover().await.unwrap();
        self.cluster.watch(&kinds);
        self.cluster.settled(&kinds, Duration::from_secs(30)).await;
    }

    fn want(&self, manifest: &Value, set: &str) -> Option<Want> {
        let catalog = self.cluster.catalog();
        let served = |group: &str, version: &str, kind: &str| match catalog.resource(group, version, kind) {
            Some(resource) if resource.scope == trueup::cluster::Scope::Cluster => {
                Served::Yes(Scope::Cluster)
            }
            Some(_) => Served::Yes(Scope::Namespaced),
            None => Served::No,
        };
        let placement = Placement {
            target: "proof@here",
            revision: "0",
            namespace: NAMESPACE,
            set,
            manager: MANAGER,
            ignore: &[],
            served: &served,
        };
        let manifest = Manifest { value: manifest.clone(), origin: Origin::default() };
        place(vec![manifest], &placement).objects.into_values().next()
    }

    /// Applies an object, lets others write to it several times, and compares after each write.
    pub(super) async fn life_of(
        &self,
        mut manifest: Value,
        name: &str,
        random: &mut Random,
        tally: &mut Tally,
    ) {
        manifest["metadata"]["name"] = name.into();
        if manifest["metadata"].get("annotations").is_none() && random.one_in(2) {
            manifest["metadata"]["annotations"] = serde_json::json!({});
        }
        let set = format!("applyset-{name}-v1");
        let Some(want) = self.want(&manifest, &set) else { return };
        let (path, other) = self.paths(&want);
        let wanted: Value = serde_json::from_slice(&want.body).unwrap();
        let mut subject = Subjected { want, wanted, set, path, other, known: None };
        if !self.apply(&mut subject).await {
            tally.refused += 1;
            return;
        }
        self.compare(&mut subject, Way::Nothing, random, tally).await;
        for _ in 0..WRITES {
            let way = *random.pick(&WAYS);
            let live = self.server.get(&subject.path).await;
            if live.is_null() {
                return;
            }
            if way == Way::Nothing {
                self.commit(&mut subject, random, tally).await;
                continue;
            }
            let other = subject.other.as_ref().map(|(path, version)| (path.as_str(), version.as_str()));
            let written = write(
                &self.server,
                &Subject { wanted: &subject.wanted, live: &live, path: &subject.path, other },
                way,
                random,
            )
            .await;
            match written {
                Some(status) if status < 300 => self.compare(&mut subject, way, random, tally).await,
                Some(_) => tally.refused += 1,
                None => {}
            }
        }
    }

    fn paths(&self, want: &Want) -> (String, Option<(String, String)>) {
        let catalog = self.cluster.catalog();
        let path = |version: &str| {
            let resource = catalog.resource(&want.id.group, version, &want.id.kind).unwrap();
            let root = if want.id.group.is_empty() {
                format!("/api/{version}")
            } else {
                format!("/apis/{}/{version}", want.id.group)
            };
            let root = if want.id.namespace.is_empty() {
                root
            } else {
                format!("{root}/namespaces/{}", want.id.namespace)
            };
            (format!("{root}/{}/{}", resource.plural, want.id.name), resource.api_version())
        };
        let own = want.api_version.rsplit_once('/').map_or(&*want.api_version, |(_, version)| version);
        let versions = catalog.versions(&want.id.group_kind());
        (path(own).0, versions.iter().find(|version| *version != own).map(|version| path(version)))
    }

    fn request(subject: &Subjected, mode: Mode) -> Apply<'_> {
        let want = &subject.want;
        Apply { id: &want.id, api_version: &want.api_version, body: &want.body, mode, force: Force::Yes }
    }

    fn epoch(&self, subject: &Subjected) -> u64 {
        self.cluster.epoch(&subject.want.api_version)
    }

    async fn apply(&self, subject: &mut Subjected) -> bool {
        let applied = self.cluster.apply(&Self::request(subject, Mode::Write)).await;
        if let Ok(applied) = &applied {
            subject.known = applied.live.token.map(|token| subject.want.known(token, self.epoch(subject)));
        }
        applied.is_ok()
    }

    /// Git changes the object; nothing is written yet. What the live object proves has to hold all the same.
    async fn commit(&self, subject: &mut Subjected, random: &mut Random, tally: &mut Tally) {
        let mut changed = subject.wanted.clone();
        let Some(place) = random.any(&places(&changed)) else { return };
        disturb(&mut changed, &place, random);
        let Some(want) = self.want(&changed, &subject.set) else { return };
        let before = std::mem::replace(&mut subject.want, want);
        let known = subject.known;
        self.compare(subject, Way::Nothing, random, tally).await;
        if random.one_in(2) {
            subject.want = before;
            subject.known = known;
        } else {
            subject.wanted = serde_json::from_slice(&subject.want.body).unwrap();
        }
    }

    /// The live member as the watch shows it, in the version that the server has.
    async fn observed(&self, subject: &Subjected) -> (Value, Option<Live>) {
        let live = self.server.get(&subject.path).await;
        let version = live.pointer("/metadata/resourceVersion").and_then(Value::as_str).unwrap_or_default();
        let is_member = live
            .pointer("/metadata/labels")
            .and_then(|labels| labels.get(trueup_plan::apply_set::PART_OF)?.as_str())
            == Some(&subject.set);
        for _ in 0..2000 {
            let members = self.cluster.members(std::slice::from_ref(&subject.set)).members;
            match members.get(&subject.want.id) {
                Some(seen) if seen.resource_version == version => return (live, Some(Live::clone(seen))),
                None if !is_member => return (live, None),
                Some(_) | None => tokio::time::sleep(Duration::from_millis(2)).await,
            }
        }
        panic!("the watch does not show {} at {version}", subject.want.id);
    }

    async fn compare(&self, subject: &mut Subjected, way: Way, random: &mut Random, tally: &mut Tally) {
        let (live, seen) = self.observed(subject).await;
        // What is no member is taken over by an apply in any case: there is nothing to be wrong about.
        let Some(seen) = seen.filter(|seen| !seen.deleting) else {
            self.apply(subject).await;
            return;
        };
        let Ok(dry) = self.cluster.apply(&Self::request(subject, Mode::DryRun)).await else {
            tally.refused += 1;
            return;
        };
        let predicted = dry.object.expect("a dry run gives the object");
        let differs = comparable(&live) != comparable(&predicted);
        let row = tally.by_way.entry(way).or_default();
        row[0] += 1;
        row[1] += usize::from(differs);
        *tally.kinds.entry(subject.want.id.kind.clone()).or_default() += 1;
        let (warm, cold) = (
            subject.want.standing(&seen, subject.known.as_ref(), self.epoch(subject)),
            subject.want.standing(&seen, None, self.epoch(subject)),
        );
        let (kind, api_version) = (subject.want.id.group_kind(), subject.want.api_version.clone());
        let by_structure = match cold {
            Standing::Likely(_, shape) => self.cluster.is_familiar(&kind, &api_version, shape),
            Standing::Evident(_)
            | Standing::AsApplied
            | Standing::Outdated
            | Standing::ChangedInGit
            | Standing::Doubtful => cold.is_proven(),
        };
        let by_answer = dry.live.token == seen.token && seen.token.is_some();
        if let (Standing::Likely(_, shape), true) = (cold, by_answer) {
            self.cluster.confirm(&kind, &api_version, shape);
        }
        for (how, proven) in
            [("token", warm.is_proven()), ("structure", by_structure), ("a dry run's token", by_answer)]
        {
            if differs && proven {
                let mut told = Vec::new();
                tell(&comparable(&live), &comparable(&predicted), "", &mut told);
                tally.wrong.push(format!(
                    "{} in {} after {way:?}, proven by {how}: {}",
                    subject.want.id,
                    subject.want.api_version,
                    told.join("; "),
                ));
            }
        }
        if !differs && warm == Standing::Doubtful {
            row[2] += 1;
        }
        if !differs && !by_structure {
            row[3] += 1;
            *tally.unproven.entry(subject.want.id.kind.clone()).or_default() += 1;
        }
        if !differs {
            // What trueup learns from the answer.
            subject.known = seen.token.map(|token| subject.want.known(token, self.epoch(subject)));
        } else if random.one_in(2) {
            self.apply(subject).await;
        }
    }
}

/// An object without what changes by being written: its version and the times of its books. Of the books of others, what
/// they own of fields that are not there is left out, and of two entries of one manager the last counts: that is how the
/// server reads what the scale subresource of a custom resource leaves, and any write tidies it up.
fn comparable(object: &Value) -> Value {
    let mut object = object.clone();
    let entries = trueup_merge::managed::entries(&object);
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return object };
    metadata.remove("resourceVersion");
    // It counts writes: where no field differs, it moves because the server keeps an empty list in two ways, each time.
    metadata.remove("generation");
    metadata.remove("managedFields");
    let mut books: BTreeMap<String, FieldSet> = BTreeMap::new();
    for entry in entries {
        let ours = entry.manager == MANAGER && entry.operation == Operation::Apply;
        let mut fields = entry.fields;
        if !ours {
            for leaf in fields.leaves().iter().filter(|leaf| is_missing(&object, &leaf.0)) {
                let elements: Vec<String> = leaf.0.iter().map(element).collect();
                fields.remove(&elements.iter().map(String::as_str).collect::<Vec<_>>());
            }
        }
        let who =
            format!("{} {:?} {} {}", entry.manager, entry.operation, entry.subresource, entry.api_version);
        books.insert(who, fields);
    }
    books.retain(|_, fields| !fields.is_empty());
    object["books"] = books.into_iter().map(|(who, fields)| (who, fields.to_json())).collect();
    object
}

/// Whether a path of plain fields leads nowhere.
fn is_missing(object: &Value, path: &[Segment]) -> bool {
    let mut at = Some(object);
    for segment in path {
        match segment {
            Segment::Field(name) => at = at.and_then(|value| value.get(name)),
            Segment::Key(_) | Segment::Value(_) | Segment::Index(_) => return false,
        }
    }
    at.is_none()
}

/// Says in which places two values differ.
fn tell(one: &Value, other: &Value, at: &str, told: &mut Vec<String>) {
    match (one, other) {
        (Value::Object(a), Value::Object(b)) => {
            for name in a.keys().chain(b.keys().filter(|name| !a.contains_key(*name))) {
                let null = Value::Null;
                let (a, b) = (a.get(name).unwrap_or(&null), b.get(name).unwrap_or(&null));
                tell(a, b, &format!("{at}/{name}"), told);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).enumerate().for_each(|(i, (a, b))| tell(a, b, &format!("{at}/{i}"), told));
        }
        (a, b) if a != b => told.push(format!("{at}: {a} -> {b}")),
        (_, _) => {}
    }
}

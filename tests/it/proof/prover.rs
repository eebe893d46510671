//! Objects: applied as trueup applies it, written to by others, and looked at after each write from both sides.

use super::admission::LABEL;
use super::causes;
use super::oracle::{self, Answer};
use super::random::{Random, disturb, places};
use super::server::Server;
use super::tally::{Row, Tally};
use super::writers::{Subject, WAYS, Way, write};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use trueup::cluster::{Access, Apply, Cluster, Force, MANAGER, Mode, Via};
use trueup_merge::rewrite::Rewritten;
use trueup_model::{GroupKind, Manifest, Origin};
use trueup_plan::desired::{Standing, Want};
use trueup_plan::observed::{Known, Live};
use trueup_plan::place::{Placement, Scope, Served, place};
use trueup_testkit::ControlPlane;

const NAMESPACE: &str = "proof";
/// Writes of others in the life of an object.
const WRITES: usize = 8;

pub(super) struct Prover {
    server: Server,
    cluster: Cluster,
}

/// An object in the middle of its life.
pub(super) struct Subjected {
    want: Want,
    wanted: Value,
    set: String,
    path: String,
    other: Option<(String, String)>,
    known: Option<Known>,
    /// The object as the last answer showed it; none where it was written to since, or its rules may be other ones.
    live: Option<Value>,
    /// What is said to have been rewritten on admission when it was applied last.
    rewritten: Vec<Rewritten>,
    /// Whether it is one as people write it, with nothing odd about it.
    ordinary: bool,
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

    /// Makes a kind of ours, or changes its schema, and waits until it is served.
    pub(super) async fn define(&self, definition: &Value) {
        let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        let group = definition["spec"]["group"].as_str().unwrap();
        let kind = definition["spec"]["names"]["kind"].as_str().unwrap();
        let name = definition["metadata"]["name"].as_str().unwrap();
        let path = format!("{path}/{name}?fieldManager=definer&force=true");
        let (status, answer) =
            self.server.send("PATCH", &path, "application/apply-patch+yaml", Some(definition)).await;
        assert!(status < 300, "{answer}");
        for _ in 0..200 {
            let catalog = self.cluster.discover().await.unwrap();
            if catalog.resource(group, "v1beta1", kind).is_some() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{kind} is not served");
    }

    /// Plain requests to the same server.
    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    /// The number of the rules that are in force for an API version.
    pub(super) fn rules(&self, api_version: &str) -> u64 {
        self.cluster.epoch(api_version)
    }

    /// Watches these kinds.
    pub(super) async fn watch(&self, manifests: &[Value]) {
        let kind = |manifest: &Value| {
            let api_version = manifest["apiVersion"].as_str().unwrap();
            let group = api_version.split_once('/').map_or("", |(group, _)| group);
            GroupKind::new(group, manifest["kind"].as_str().unwrap())
        };
        let kinds: BTreeSet<GroupKind> = manifests.iter().map(kind).collect();
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
            earlier: None,
        };
        let manifest = Manifest { value: manifest.clone().into(), origin: Origin::default() };
        place(vec![manifest], &placement).objects.into_values().next().map(Arc::unwrap_or_clone)
    }

    /// Applies an object for the first time; none where the server refuses it.
    pub(super) async fn begin(&self, mut manifest: Value, name: &str, ordinary: bool) -> Option<Subjected> {
        manifest["metadata"]["name"] = name.into();
        let set = format!("applyset-{name}-v1");
        let want = self.want(&manifest, &set)?;
        let (path, other) = self.paths(&want);
        let wanted: Value = serde_json::from_slice(&want.body).unwrap();
        let mut subject = Subjected {
            want,
            wanted,
            set,
            path,
            other,
            known: None,
            live: None,
            rewritten: Vec::new(),
            ordinary,
        };
        self.apply(&mut subject).await.then_some(subject)
    }

    /// Applies an object, lets others write to it several times, and compares after each write.
    pub(super) async fn life_of(
        &self,
        manifest: Value,
        name: &str,
        ordinary: bool,
        random: &mut Random,
        tally: &mut Tally,
    ) {
        let asks = manifest.pointer("/metadata/labels").is_some_and(|labels| labels.get(LABEL).is_some());
        let Some(mut subject) = self.begin(manifest, name, ordinary).await else {
            tally.refused += 1;
            return;
        };
        if !asks && !subject.rewritten.is_empty() {
            tally.wrong.push(format!("{} is said to be rewritten: {:?}", subject.want.id, subject.rewritten));
        }
        self.compare(&mut subject, Way::Nothing, random, tally).await;
        subject.ordinary = false;
        for _ in 0..WRITES {
            if !self.write_and_compare(&mut subject, random, tally).await {
                return;
            }
        }
    }

    /// Lets somebody write, and compares; false where the object is gone.
    pub(super) async fn write_and_compare(
        &self,
        subject: &mut Subjected,
        random: &mut Random,
        tally: &mut Tally,
    ) -> bool {
        let way = *random.pick(&WAYS);
        let live = self.live(subject).await;
        if live.is_null() {
            return false;
        }
        if way == Way::Commit {
            self.commit(subject, random, tally).await;
            return true;
        }
        subject.live = None;
        let other = subject.other.as_ref().map(|(path, version)| (path.as_str(), version.as_str()));
        let what = Subject { wanted: &subject.wanted, live: &live, path: &subject.path, other };
        match write(&self.server, &what, way, random).await {
            Some((status, answer)) if status < 300 => {
                // A subresource and another version answer with something else.
                let is_it = ["apiVersion", "kind"].iter().all(|name| answer[name] == live[name]);
                subject.live = is_it.then_some(answer);
                self.compare(subject, way, random, tally).await;
            }
            Some(_) => tally.refused += 1,
            None => subject.live = Some(live),
        }
        true
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
        subject.live = None;
        let applied = self.cluster.apply(&Self::request(subject, Mode::Write)).await;
        if let Ok(applied) = &applied {
            subject.rewritten = applied.rewritten(&subject.want.body, subject.want.extract, &[0; 32]);
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
        self.compare(subject, Way::Commit, random, tally).await;
        if random.one_in(2) {
            subject.want = before;
            subject.known = known;
        } else {
            subject.wanted = serde_json::from_slice(&subject.want.body).unwrap();
        }
    }

    /// The object as the server has it.
    async fn live(&self, subject: &mut Subjected) -> Value {
        match subject.live.take() {
            Some(live) => live,
            None => self.server.get(&subject.path).await,
        }
    }

    /// The live member as the watch shows it, in the version that the server has.
    async fn observed(&self, subject: &mut Subjected) -> (Value, Option<Live>) {
        let live = self.live(subject).await;
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

    /// What trueup would learn by asking now.
    pub(super) async fn learn(&self, subject: &mut Subjected) {
        let (_, Some(seen)) = self.observed(subject).await else { return };
        let epoch = self.epoch(subject);
        if let Ok(dry) = self.cluster.apply(&Self::request(subject, Mode::DryRun)).await
            && let (Some(predicted), Some(token)) = (dry.live.token, seen.token)
            && predicted == token
        {
            subject.known = Some(subject.want.known(token, epoch));
        }
    }

    pub(super) async fn compare(
        &self,
        subject: &mut Subjected,
        way: Way,
        random: &mut Random,
        tally: &mut Tally,
    ) {
        let (live, seen) = self.observed(subject).await;
        // What is no member is taken over by an apply in any case: there is nothing to be wrong about.
        let Some(seen) = seen.filter(|seen| !seen.deleting) else {
            self.apply(subject).await;
            return;
        };
        let epoch = self.epoch(subject);
        let Ok(dry) = self.cluster.apply(&Self::request(subject, Mode::DryRun)).await else {
            tally.refused += 1;
            return;
        };
        let predicted = dry.object.expect("a dry run gives the object");
        let sent = serde_json::from_slice(&subject.want.body).unwrap();
        let answer = oracle::ask(&self.server, &subject.path, &sent, &live, &predicted).await;
        let warm = subject.want.standing(&seen, subject.known.as_ref(), epoch);
        let by_answer = dry.live.token == seen.token && seen.token.is_some();
        let by_structure = self.by_structure(subject, &seen, epoch, by_answer);
        let same = match &answer {
            Answer::Same(exempt) => {
                tally.note_exempt(exempt);
                true
            }
            Answer::Change(how) => {
                let proofs = [
                    ("token", warm.is_proven()),
                    ("structure", by_structure),
                    ("a dry run's token", by_answer),
                ];
                for (by, _) in proofs.iter().filter(|(_, proven)| *proven) {
                    let (id, version) = (&subject.want.id, &subject.want.api_version);
                    tally.wrong.push(format!("{id} in {version} after {way:?}, proven by {by}: {how}"));
                }
                false
            }
        };
        let row = Row {
            comparisons: 1,
            differs: usize::from(!same),
            needless: usize::from(same && warm == Standing::Doubtful),
            unproven: usize::from(same && !by_structure),
        };
        tally.note(way, &subject.want.id.kind, row);
        if row.unproven > 0 {
            tally.note_unproven(&subject.want.id.kind, &causes::cause(&sent, &live));
        }
        if subject.ordinary && way == Way::Nothing {
            tally.note_ordinary(&format!("{} {}", subject.want.api_version, subject.want.id.kind), row);
        }
        if same {
            // What trueup learns from the answer.
            subject.known = seen.token.map(|token| subject.want.known(token, epoch));
        } else if random.one_in(2) {
            self.apply(subject).await;
            return;
        }
        subject.live = Some(live);
    }

    /// Other rules are in force: the object may read otherwise.
    pub(super) fn forget(subject: &mut Subjected) {
        subject.live = None;
    }

    /// Whether the live object alone is proof, after what was confirmed of its like. What the server says now is learnt.
    fn by_structure(&self, subject: &Subjected, seen: &Live, epoch: u64, confirmed: bool) -> bool {
        let (kind, api_version) = (subject.want.id.group_kind(), &subject.want.api_version);
        let standing = subject.want.standing(seen, None, epoch);
        match standing {
            Standing::Likely(_) => seen.shape.as_ref().is_some_and(|shape| {
                let is_familiar = self.cluster.is_familiar(&kind, api_version, shape);
                if confirmed {
                    self.cluster.confirm(&kind, api_version, shape, epoch);
                }
                is_familiar
            }),
            Standing::Evident(_)
            | Standing::AsApplied
            | Standing::Outdated
            | Standing::ChangedInGit
            | Standing::Doubtful => standing.is_proven(),
        }
    }
}

//! Which target wants which object, and whose `ApplySet` is whose: what targets must know of each other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use trueup_model::{GroupKind, ObjectId};
use trueup_plan::desired::Desired;
use trueup_plan::observed::SetOwner;

/// Shared by all targets of a reconciler. Each cluster is by itself: what one target wants is news on its own cluster only.
#[derive(Debug, Default)]
pub struct Directory(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    clusters: BTreeMap<String, OfCluster>,
    /// Target to the cluster that its claims are on.
    places: BTreeMap<Arc<str>, String>,
}

/// What is known of the targets of one cluster.
#[derive(Debug, Default)]
struct OfCluster {
    /// Moves with all that a target may learn here of others.
    version: u64,
    /// Object, and each target that wants it. The names are shared: there is an entry for every object of all.
    claims: BTreeSet<(ObjectId, Arc<str>)>,
    /// Target to the objects that it wants, so that its old claims can be taken back.
    wanted: BTreeMap<Arc<str>, Vec<ObjectId>>,
    /// Kind to the targets that define it.
    brings: BTreeMap<GroupKind, BTreeSet<Arc<str>>>,
    /// Set id to the configured target that it belongs to. An app has the same set in each of its clusters.
    sets: BTreeMap<String, String>,
    /// Set id to the target that its parent names, where that is not configured any more but was ours.
    removed: BTreeMap<String, String>,
}

impl Directory {
    /// Says what a target wants now.
    pub fn claim(&self, target: &str, cluster: &str, desired: &Desired) {
        let mut entries = self.lock();
        if entries.places.get(target).is_some_and(|place| place != cluster) {
            entries.release(target);
        }
        let target: Arc<str> = target.into();
        let place = entries.clusters.entry(cluster.to_owned()).or_default();
        if !place.wanted.get(&target).is_some_and(|ids| ids.iter().eq(desired.objects.keys())) {
            place.version += 1;
            place.release_objects(&target);
            let ids: Vec<ObjectId> = desired.objects.keys().cloned().collect();
            place.claims.extend(ids.iter().map(|id| (id.clone(), target.clone())));
            place.wanted.insert(target.clone(), ids);
        }
        place.release_kinds(&target);
        for kind in &desired.defines {
            place.brings.entry(kind.clone()).or_default().insert(target.clone());
        }
        entries.places.insert(target, cluster.to_owned());
    }

    /// Forgets what a target wants: somebody else keeps it now.
    pub fn forget(&self, target: &str) {
        self.lock().release(target);
    }

    /// A number that stays while no target of the cluster wants other objects than before, and the same targets are configured there.
    pub fn version(&self, cluster: &str) -> u64 {
        self.lock().clusters.get(cluster).map_or(0, |place| place.version)
    }

    /// Another target of the cluster whose objects define the kind.
    pub fn bringer(&self, target: &str, cluster: &str, kind: &GroupKind) -> Option<String> {
        let entries = self.lock();
        let targets = entries.clusters.get(cluster)?.brings.get(kind)?;
        targets.iter().find(|other| &***other != target).map(ToString::to_string)
    }

    /// Those of the objects of a cluster that another target wants: which, the first by name.
    pub fn other_claims<'a>(
        &self,
        target: &str,
        cluster: &str,
        ids: impl Iterator<Item = &'a ObjectId>,
    ) -> BTreeMap<ObjectId, String> {
        let least: Arc<str> = "".into();
        let entries = self.lock();
        let Some(place) = entries.clusters.get(cluster) else { return BTreeMap::new() };
        let other = |id: &ObjectId| {
            let from = (id.clone(), least.clone());
            let of_object = place.claims.range(from..).take_while(|claim| claim.0 == *id);
            of_object.map(|(_, other)| other).find(|other| &***other != target).map(ToString::to_string)
        };
        ids.filter_map(|id| Some((id.clone(), other(id)?))).collect()
    }

    /// Sets which targets are configured, by their clusters and the ids of their sets.
    pub fn configure(&self, sets: BTreeMap<(String, String), String>) {
        let mut entries = self.lock();
        let targets: BTreeSet<&str> = sets.values().map(String::as_str).collect();
        let is_gone = |target: &&Arc<str>| !targets.contains(&***target);
        let gone: Vec<Arc<str>> = entries.places.keys().filter(is_gone).cloned().collect();
        for target in gone {
            entries.release(&target);
        }
        let mut of_clusters: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for ((cluster, set), target) in sets {
            of_clusters.entry(cluster).or_default().insert(set, target);
        }
        for (cluster, place) in &mut entries.clusters {
            place.configure(of_clusters.remove(cluster).unwrap_or_default());
        }
        for (cluster, sets) in of_clusters {
            entries.clusters.entry(cluster).or_default().configure(sets);
        }
    }

    /// Notes the set of a target that is configured no longer.
    pub fn note_removed(&self, cluster: &str, set: &str, target: &str) {
        let mut entries = self.lock();
        let place = entries.clusters.entry(cluster.to_owned()).or_default();
        place.removed.insert(set.to_owned(), target.to_owned());
    }

    /// Whose a set is.
    pub fn owner(&self, cluster: &str, set: &str) -> SetOwner {
        let entries = self.lock();
        let place = entries.clusters.get(cluster);
        if let Some(target) = place.and_then(|place| place.sets.get(set)) {
            SetOwner::Former(target.clone())
        } else if let Some(target) = place.and_then(|place| place.removed.get(set)) {
            SetOwner::Removed(target.clone())
        } else {
            SetOwner::Foreign(set.to_owned())
        }
    }

    /// The configured target of a set.
    pub fn target_of(&self, cluster: &str, set: &str) -> Option<String> {
        self.lock().clusters.get(cluster)?.sets.get(set).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    /// Takes back all that a target wanted.
    fn release(&mut self, target: &str) {
        let Some(cluster) = self.places.remove(target) else { return };
        let Some(place) = self.clusters.get_mut(&cluster) else { return };
        place.version += 1;
        place.release_objects(target);
        place.release_kinds(target);
    }
}

impl OfCluster {
    fn configure(&mut self, sets: BTreeMap<String, String>) {
        if self.sets != sets {
            self.version += 1;
            self.sets = sets;
        }
    }

    fn release_kinds(&mut self, target: &str) {
        self.brings.retain(|_, targets| {
            targets.remove(target);
            !targets.is_empty()
        });
    }

    fn release_objects(&mut self, target: &str) {
        let Some((target, ids)) = self.wanted.remove_entry(target) else { return };
        for id in ids {
            self.claims.remove(&(id, target.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use trueup_model::{Manifest, Origin};
    use trueup_plan::place::{Placement, Scope, Served, place};

    fn wants(names: &[&str]) -> Desired {
        let manifest = |name: &&str| Manifest {
            value: json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}).into(),
            origin: Origin::default(),
        };
        let served = |_: &str, _: &str, _: &str| Served::Yes(Scope::Namespaced);
        let placement = Placement {
            target: "",
            revision: "",
            namespace: "shop",
            set: "",
            manager: "trueup",
            ignore: &[],
            served: &served,
            earlier: None,
        };
        place(names.iter().map(manifest).collect(), &placement)
    }

    #[test]
    fn a_claim_is_seen_by_the_other_targets_of_the_cluster_until_it_is_given_up() {
        let directory = Directory::default();
        let ids: Vec<ObjectId> =
            ["a", "b", "c"].iter().map(|name| ObjectId::new("", "ConfigMap", "shop", *name)).collect();
        let others = |target: &str, cluster: &str| -> Vec<(String, String)> {
            let found = directory.other_claims(target, cluster, ids.iter());
            found.into_iter().map(|(id, other)| (id.name.clone(), other)).collect()
        };
        let told = |name: &str, target: &str| (name.to_owned(), target.to_owned());
        directory.claim("one", "here", &wants(&["a", "b"]));
        assert_eq!(others("one", "here"), []);
        assert_eq!(others("two", "here"), [told("a", "one"), told("b", "one")]);
        assert_eq!(others("two", "elsewhere"), []);
        directory.claim("two", "here", &wants(&["b", "c"]));
        assert_eq!(others("one", "here"), [told("b", "two"), told("c", "two")]);
        assert_eq!(others("three", "here"), [told("a", "one"), told("b", "one"), told("c", "two")]);
        directory.claim("one", "here", &wants(&["a"]));
        assert_eq!(others("three", "here"), [told("a", "one"), told("b", "two"), told("c", "two")]);
        directory.configure(BTreeMap::from([(("here".to_owned(), "set".to_owned()), "two".to_owned())]));
        assert_eq!(others("three", "here"), [told("b", "two"), told("c", "two")]);
    }

    #[test]
    fn what_is_news_on_one_cluster_is_none_on_another() {
        let directory = Directory::default();
        let sets = |clusters: &[&str]| {
            let set = |cluster: &&str| (((*cluster).to_owned(), "set".to_owned()), format!("web@{cluster}"));
            clusters.iter().map(set).collect()
        };
        directory.configure(sets(&["a", "b"]));
        let before = (directory.version("a"), directory.version("b"));
        directory.claim("web@a", "a", &wants(&["x"]));
        directory.configure(sets(&["a", "b", "c"]));
        assert!(directory.version("a") > before.0);
        assert_eq!(directory.version("b"), before.1);
        directory.claim("web@a", "b", &wants(&["x"]));
        assert!(directory.version("b") > before.1, "the target moved");
        assert!(directory.other_claims("web@b", "a", wants(&["x"]).objects.keys()).is_empty());
        assert_eq!(directory.other_claims("web@b", "b", wants(&["x"]).objects.keys()).len(), 1);
    }
}

//! Which target wants which object, and whose `ApplySet` is whose: what targets must know of each other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use trueup_model::{GroupKind, ObjectId};
use trueup_plan::desired::Desired;
use trueup_plan::observed::SetOwner;

/// Shared by all targets of a reconciler.
#[derive(Debug, Default)]
pub struct Directory(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    /// Moves with all that a target may learn here of others.
    version: u64,
    /// Cluster, object, and each target that wants it. The names are shared: there is an entry for every object of all.
    claims: BTreeSet<(Arc<str>, ObjectId, Arc<str>)>,
    /// Target to the objects that it wants, so that its old claims can be taken back.
    wanted: BTreeMap<Arc<str>, (Arc<str>, Vec<ObjectId>)>,
    /// (cluster, kind) to the targets that define it.
    brings: BTreeMap<(String, GroupKind), BTreeSet<String>>,
    /// (cluster, set id) to the configured target that it belongs to. An app has the same set in each of its clusters.
    sets: BTreeMap<(String, String), String>,
    /// (cluster, set id) to the target that its parent names, where that is not configured any more but was ours.
    removed: BTreeMap<(String, String), String>,
}

impl Directory {
    /// Says what a target wants now.
    pub fn claim(&self, target: &str, cluster: &str, desired: &Desired) {
        let mut entries = self.lock();
        let is_known = entries
            .wanted
            .get(target)
            .is_some_and(|(known, ids)| **known == *cluster && ids.iter().eq(desired.objects.keys()));
        if !is_known {
            entries.version += 1;
            entries.release_objects(target);
            let (target, cluster): (Arc<str>, Arc<str>) = (target.into(), cluster.into());
            let ids: Vec<ObjectId> = desired.objects.keys().cloned().collect();
            entries.claims.extend(ids.iter().map(|id| (cluster.clone(), id.clone(), target.clone())));
            entries.wanted.insert(target, (cluster, ids));
        }
        entries.release_kinds(target);
        for kind in &desired.defines {
            let key = (cluster.to_owned(), kind.clone());
            entries.brings.entry(key).or_default().insert(target.to_owned());
        }
    }

    /// A number that stays while no target wants other objects than before, and the same targets are configured.
    pub fn version(&self) -> u64 {
        self.lock().version
    }

    /// Another target of the cluster whose objects define the kind.
    pub fn bringer(&self, target: &str, cluster: &str, kind: &GroupKind) -> Option<String> {
        let entries = self.lock();
        let targets = entries.brings.get(&(cluster.to_owned(), kind.clone()))?;
        targets.iter().find(|other| *other != target).cloned()
    }

    /// Those of the objects of a cluster that another target wants: which, the first by name.
    pub fn other_claims<'a>(
        &self,
        target: &str,
        cluster: &str,
        ids: impl Iterator<Item = &'a ObjectId>,
    ) -> BTreeMap<ObjectId, String> {
        let (cluster, least): (Arc<str>, Arc<str>) = (cluster.into(), "".into());
        let entries = self.lock();
        let other = |id: &ObjectId| {
            let from = (cluster.clone(), id.clone(), least.clone());
            let of_object =
                entries.claims.range(from..).take_while(|claim| claim.0 == cluster && claim.1 == *id);
            of_object.map(|(_, _, other)| other).find(|other| &***other != target).map(ToString::to_string)
        };
        ids.filter_map(|id| Some((id.clone(), other(id)?))).collect()
    }

    /// Sets which targets are configured, by their clusters and the ids of their sets.
    pub fn configure(&self, sets: BTreeMap<(String, String), String>) {
        let mut entries = self.lock();
        let targets: BTreeSet<String> = sets.values().cloned().collect();
        let gone: Vec<String> = entries
            .wanted
            .keys()
            .filter(|target| !targets.contains(&***target))
            .map(ToString::to_string)
            .collect();
        for target in gone {
            entries.release_objects(&target);
            entries.release_kinds(&target);
        }
        entries.sets = sets;
        entries.version += 1;
    }

    /// Notes the set of a target that is configured no longer.
    pub fn note_removed(&self, cluster: &str, set: &str, target: &str) {
        self.lock().removed.insert((cluster.to_owned(), set.to_owned()), target.to_owned());
    }

    /// Whose a set is.
    pub fn owner(&self, cluster: &str, set: &str) -> SetOwner {
        let entries = self.lock();
        let key = (cluster.to_owned(), set.to_owned());
        if let Some(target) = entries.sets.get(&key) {
            SetOwner::Former(target.clone())
        } else if let Some(target) = entries.removed.get(&key) {
            SetOwner::Removed(target.clone())
        } else {
            SetOwner::Foreign(set.to_owned())
        }
    }

    /// The configured target of a set.
    pub fn target_of(&self, cluster: &str, set: &str) -> Option<String> {
        self.lock().sets.get(&(cluster.to_owned(), set.to_owned())).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn release_kinds(&mut self, target: &str) {
        self.brings.retain(|_, targets| {
            targets.remove(target);
            !targets.is_empty()
        });
    }

    fn release_objects(&mut self, target: &str) {
        let Some((target, (cluster, ids))) = self.wanted.remove_entry(target) else { return };
        for id in ids {
            self.claims.remove(&(cluster.clone(), id, target.clone()));
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
}

//! Which target wants which object, and whose `ApplySet` is whose: what targets must know of each other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use trueup_model::{GroupKind, ObjectId};
use trueup_plan::desired::Desired;
use trueup_plan::observed::SetOwner;

/// Shared by all targets of a reconciler.
#[derive(Debug, Default)]
pub struct Directory(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    /// (cluster, object) to the targets that want it.
    claims: BTreeMap<(String, ObjectId), BTreeSet<String>>,
    /// Target to the objects that it wants, so that its old claims can be taken back.
    wanted: BTreeMap<String, (String, Vec<ObjectId>)>,
    /// (cluster, kind) to the targets that define it.
    brings: BTreeMap<(String, GroupKind), BTreeSet<String>>,
    /// (cluster, set id) to the configured target that it belongs to. An app has the same set in each of its clusters.
    sets: BTreeMap<(String, String), String>,
    /// (cluster, set id) to the target that its parent names, where that is not configured any more but was ours.
    removed: BTreeMap<(String, String), String>,
}

impl Directory {
    /// Says what a target wants now; gives the wanted objects and members that another target wants too, with its name.
    pub fn claim(&self, target: &str, cluster: &str, desired: &Desired) {
        let mut entries = self.lock();
        entries.release(target);
        let ids: Vec<ObjectId> = desired.objects.keys().cloned().collect();
        for id in &ids {
            entries.claims.entry((cluster.to_owned(), id.clone())).or_default().insert(target.to_owned());
        }
        entries.wanted.insert(target.to_owned(), (cluster.to_owned(), ids));
        for kind in &desired.defines {
            let key = (cluster.to_owned(), kind.clone());
            entries.brings.entry(key).or_default().insert(target.to_owned());
        }
    }

    /// Another target of the cluster whose objects define the kind.
    pub fn bringer(&self, target: &str, cluster: &str, kind: &GroupKind) -> Option<String> {
        let entries = self.lock();
        let targets = entries.brings.get(&(cluster.to_owned(), kind.clone()))?;
        targets.iter().find(|other| *other != target).cloned()
    }

    /// The first other target that wants an object of the cluster.
    pub fn other_claim(&self, target: &str, cluster: &str, id: &ObjectId) -> Option<String> {
        let entries = self.lock();
        let claims = entries.claims.get(&(cluster.to_owned(), id.clone()))?;
        claims.iter().find(|other| *other != target).cloned()
    }

    /// Sets which targets are configured, by their clusters and the ids of their sets.
    pub fn configure(&self, sets: BTreeMap<(String, String), String>) {
        let mut entries = self.lock();
        let targets: BTreeSet<String> = sets.values().cloned().collect();
        let gone: Vec<String> =
            entries.wanted.keys().filter(|target| !targets.contains(*target)).cloned().collect();
        for target in gone {
            entries.release(&target);
        }
        entries.sets = sets;
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
    fn release(&mut self, target: &str) {
        self.brings.retain(|_, targets| {
            targets.remove(target);
            !targets.is_empty()
        });
        let Some((cluster, ids)) = self.wanted.remove(target) else { return };
        for id in ids {
            let key = (cluster.clone(), id);
            if let Some(claims) = self.claims.get_mut(&key) {
                claims.remove(target);
                if claims.is_empty() {
                    self.claims.remove(&key);
                }
            }
        }
    }
}

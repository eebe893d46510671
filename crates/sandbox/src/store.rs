//! The objects, and what happened to them: every change has a number, and the last ones are remembered for watches.

use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// How many changes are remembered. A watch from before them is told that it comes too late.
const REMEMBERED: usize = 10_000;

/// Group and name in paths: what objects are stored under.
pub type Resource = (String, String);

/// Namespace (empty for none) and name.
pub type Key = (String, String);

/// All objects.
#[derive(Default)]
pub struct Store {
    objects: BTreeMap<Resource, BTreeMap<Key, Arc<Value>>>,
    changes: VecDeque<Arc<Change>>,
    revision: u64,
    uids: u64,
    forgotten: u64,
}

/// One change of one object.
#[derive(Debug)]
pub struct Change {
    /// The number of the change.
    pub revision: u64,
    /// What the object is stored under.
    pub resource: Resource,
    /// The object before; `None` when it was created.
    pub before: Option<Arc<Value>>,
    /// The object after; `None` when it was deleted.
    pub after: Option<Arc<Value>>,
}

/// Why changes cannot be told any more.
#[derive(Debug, PartialEq, Eq)]
pub struct TooOld {
    /// The first change that is still remembered.
    pub oldest: u64,
}

impl Store {
    /// The number of the last change.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// An object.
    pub fn get(&self, resource: &Resource, key: &Key) -> Option<&Arc<Value>> {
        self.objects.get(resource)?.get(key)
    }

    /// The objects of a kind, by namespace and name.
    pub fn all<'s>(
        &'s self,
        resource: &Resource,
    ) -> impl Iterator<Item = (&'s Key, &'s Arc<Value>)> + use<'s> {
        self.objects.get(resource).into_iter().flatten()
    }

    /// What there are objects of.
    pub fn resources(&self) -> impl Iterator<Item = &Resource> {
        self.objects.keys()
    }

    /// A uid that no other object has.
    pub fn uid(&mut self) -> String {
        self.uids += 1;
        // SplitMix64, so that uids look as different as they are.
        let mix = |seed: u64| {
            let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        };
        let (high, low) = (mix(self.uids.wrapping_mul(2)), mix(self.uids.wrapping_mul(2) + 1));
        format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            low >> 52,
            low & 0xffff_ffff_ffff
        )
    }

    /// The number that the next change will have.
    pub fn next(&self) -> u64 {
        self.revision + 1
    }

    /// Keeps an object, or with `None` forgets it. The object carries the number of the change already.
    pub fn put(&mut self, resource: &Resource, key: &Key, after: Option<Arc<Value>>) {
        self.revision += 1;
        let objects = self.objects.entry(resource.clone()).or_default();
        let before = match &after {
            Some(object) => objects.insert(key.clone(), object.clone()),
            None => objects.remove(key),
        };
        let change = Change { revision: self.revision, resource: resource.clone(), before, after };
        self.changes.push_back(Arc::new(change));
        while self.changes.len() > REMEMBERED {
            self.forgotten = self.changes.pop_front().map_or(self.forgotten, |change| change.revision);
        }
    }

    /// The changes after a number.
    pub fn since(&self, revision: u64) -> Result<impl Iterator<Item = &Arc<Change>>, TooOld> {
        if revision < self.forgotten {
            return Err(TooOld { oldest: self.forgotten });
        }
        let first = self.changes.partition_point(|change| change.revision <= revision);
        Ok(self.changes.range(first..))
    }

    /// Forgets all changes, as an API server does that was restarted or compacted.
    pub fn compact(&mut self) {
        self.changes.clear();
        self.forgotten = self.revision;
    }
}

//! The objects, and what happened to them: every change has a number, and the last ones are remembered for watches.

use crate::restore::Versions;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// How many changes are remembered. A watch from before them is told that it comes too late.
const REMEMBERED: usize = 10_000;
/// How far versions are bumped where a backup is brought back.
const BUMP: u64 = 1_000_000;

/// Group and name in paths: what objects are stored under.
pub type Resource = (String, String);

/// Namespace (empty for none) and name.
pub type Key = (String, String);

/// All objects.
#[derive(Clone, Default)]
pub struct Store {
    objects: BTreeMap<Resource, BTreeMap<Key, Arc<Value>>>,
    changes: VecDeque<Arc<Change>>,
    owned: BTreeMap<String, BTreeSet<(Resource, Key)>>,
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

    /// The objects of a kind in a namespace, by name.
    pub fn all_in<'s>(
        &'s self,
        resource: &Resource,
        namespace: &str,
    ) -> impl Iterator<Item = (&'s Key, &'s Arc<Value>)> + use<'s> {
        let first = (namespace.to_owned(), String::new());
        let inside = self.objects.get(resource).map(|objects| objects.range(first.clone()..));
        inside.into_iter().flatten().take_while(move |(key, _)| key.0 == first.0)
    }

    /// All objects, by kind, namespace and name.
    pub fn every(&self) -> impl Iterator<Item = &Arc<Value>> {
        self.objects.values().flat_map(BTreeMap::values)
    }

    /// What is in a namespace.
    pub fn inside<'s>(
        &'s self,
        namespace: &'s str,
    ) -> impl Iterator<Item = (&'s Resource, &'s Key, &'s Arc<Value>)> {
        let first = (namespace.to_owned(), String::new());
        self.objects.iter().flat_map(move |(resource, objects)| {
            let inside = objects.range(first.clone()..).take_while(move |(key, _)| key.0 == namespace);
            inside.map(move |(key, object)| (resource, key, object))
        })
    }

    /// What names the object with this uid as an owner.
    pub fn owned_by(&self, uid: &str) -> impl Iterator<Item = (&Resource, &Key, &Arc<Value>)> {
        let owned = self.owned.get(uid).into_iter().flatten();
        owned.filter_map(|(resource, key)| Some((resource, key, self.get(resource, key)?)))
    }

    /// Whether there is an object with this uid among those that a reference may mean.
    pub fn has_owner(&self, reference: &Value, namespace: &str) -> bool {
        let kind = reference["kind"].as_str().unwrap_or_default();
        let group = reference["apiVersion"].as_str().and_then(|version| version.split_once('/'));
        let group = group.map_or("", |(group, _)| group);
        let name = reference["name"].as_str().unwrap_or_default();
        self.objects.iter().filter(|(resource, _)| resource.0 == group).any(|(_, objects)| {
            [namespace, ""].into_iter().any(|namespace| {
                let found = objects.get(&(namespace.to_owned(), name.to_owned()));
                found.is_some_and(|found| {
                    found["kind"] == kind && found["metadata"]["uid"] == reference["uid"]
                })
            })
        })
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
        let owners = |object: &Value| -> Vec<String> {
            let references = object["metadata"]["ownerReferences"].as_array().into_iter().flatten();
            references.filter_map(|owner| owner["uid"].as_str()).map(str::to_owned).collect()
        };
        let place = (resource.clone(), key.clone());
        for uid in self.get(resource, key).map(|before| owners(before)).unwrap_or_default() {
            if let Some(owned) = self.owned.get_mut(&uid) {
                owned.remove(&place);
            }
        }
        for uid in after.as_ref().map(|after| owners(after)).unwrap_or_default() {
            self.owned.entry(uid).or_default().insert(place.clone());
        }
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

    /// The objects of a kind as they were after a change.
    pub fn all_at(&self, resource: &Resource, revision: u64) -> Result<BTreeMap<Key, Arc<Value>>, TooOld> {
        let mut objects = self.objects.get(resource).cloned().unwrap_or_default();
        let changes: Vec<&Arc<Change>> =
            self.since(revision)?.filter(|change| change.resource == *resource).collect();
        for change in changes.into_iter().rev() {
            let text = |object: &Value, field: &str| {
                object["metadata"][field].as_str().unwrap_or_default().to_owned()
            };
            let Some(either) = change.before.as_ref().or(change.after.as_ref()) else { continue };
            let key = (text(either, "namespace"), text(either, "name"));
            match &change.before {
                Some(before) => drop(objects.insert(key, before.clone())),
                None => drop(objects.remove(&key)),
            }
        }
        Ok(objects)
    }

    /// Puts all objects back to what they were.
    pub fn roll_back(&mut self, earlier: &Self, versions: Versions) {
        // What was given out since is never given out again: uids are random in truth.
        let revision = match versions {
            Versions::Repeated => earlier.revision,
            Versions::Bumped => self.revision + BUMP,
        };
        *self = Self { uids: self.uids, revision, ..earlier.clone() };
        self.compact();
    }

    /// Forgets all changes, as an API server does that was restarted or compacted.
    pub fn compact(&mut self) {
        self.changes.clear();
        self.forgotten = self.revision;
    }
}

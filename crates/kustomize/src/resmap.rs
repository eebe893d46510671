//! The resources of a folder in their order, found by what they are or were called.
//!
//! Each name is looked up through an index that is made once and kept until a name changes, so that the
//! build stays linear in the number of resources and of patches.

use crate::id::Id;
use crate::resource::Resource;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher};
use std::ops::{Deref, DerefMut};
use trueup_model::folding::MANY;

/// Takes a key that is a hash already as it is.
#[derive(Clone, Copy, Debug, Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

/// An index from an id's key to the resources of that id, in their order. Never iterated.
#[derive(Clone, Debug, Default)]
struct Index {
    first: HashMap<u64, usize, BuildHasherDefault<Hashed>>,
    /// The next entry of the same key, beside the resource's position.
    entries: Vec<(usize, Option<usize>)>,
}

impl Index {
    fn insert(&mut self, key: u64, position: usize) {
        let entry = self.entries.len();
        // Entries are chained newest first; readers turn them around.
        let next = self.first.insert(key, entry);
        self.entries.push((position, next));
    }

    fn positions(&self, key: u64) -> Vec<usize> {
        let mut found = Vec::new();
        let mut entry = self.first.get(&key).copied();
        while let Some((position, next)) = entry.and_then(|index| self.entries.get(index)) {
            found.push(*position);
            entry = *next;
        }
        found.reverse();
        found.dedup();
        found
    }
}

/// A resource that somebody works at.
pub(crate) struct Opened<'r> {
    resource: &'r mut Resource,
    after: After,
}

/// What becomes of a resource when the work is done.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    Folded,
    Open,
}

impl Deref for Opened<'_> {
    type Target = Resource;

    fn deref(&self) -> &Resource {
        self.resource
    }
}

impl DerefMut for Opened<'_> {
    fn deref_mut(&mut self) -> &mut Resource {
        self.resource
    }
}

impl Drop for Opened<'_> {
    fn drop(&mut self) {
        if self.after == After::Folded {
            self.resource.value.fold();
        }
    }
}

/// Resources in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct ResMap {
    list: Vec<Resource>,
    by_current: Option<Index>,
    by_any: Option<Index>,
    by_name: Option<Index>,
    /// No two are called the same: that was looked at.
    distinct: bool,
}

fn name_key(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

impl ResMap {
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Resource> {
        self.list.iter()
    }

    pub(crate) fn get(&self, position: usize) -> &Resource {
        &self.list[position]
    }

    /// The resources, for changes that may touch what they are called.
    pub(crate) fn all_mut(&mut self) -> &mut Vec<Resource> {
        self.by_current = None;
        self.by_any = None;
        self.by_name = None;
        self.distinct = false;
        &mut self.list
    }

    /// The resources one after the other, for changes that may touch what they are called.
    pub(crate) fn each_mut(&mut self) -> impl Iterator<Item = Opened<'_>> {
        self.all_mut();
        self.contents_mut()
    }

    /// The resources one after the other, for changes that leave kind, name and namespace as they are.
    pub(crate) fn contents_mut(&mut self) -> impl Iterator<Item = Opened<'_>> {
        let after = self.after();
        self.list.iter_mut().map(move |resource| Opened { resource, after })
    }

    fn after(&self) -> After {
        if self.list.len() < MANY { After::Open } else { After::Folded }
    }

    /// One resource, for a change that leaves kind, name and namespace as they are.
    pub(crate) fn content_mut(&mut self, position: usize) -> &mut Resource {
        &mut self.list[position]
    }

    pub(crate) fn into_list(self) -> Vec<Resource> {
        self.list
    }

    /// Puts the resources into another order, given as their positions now, each of them once.
    pub(crate) fn rearrange(&mut self, order: &[usize]) {
        let mut list: Vec<Option<Resource>> = std::mem::take(self.all_mut()).into_iter().map(Some).collect();
        self.list = order.iter().filter_map(|position| list[*position].take()).collect();
    }

    /// Keeps the resources for which `keep` holds.
    pub(crate) fn retain(&mut self, keep: impl FnMut(&Resource) -> bool) {
        self.all_mut().retain(keep);
    }

    /// Adds a resource at the end.
    ///
    /// # Errors
    /// The resource, when one of the same id is there already, with that one's position.
    pub(crate) fn append(&mut self, mut resource: Resource) -> Result<(), Box<(Resource, usize)>> {
        let key = resource.id().key();
        if let Some(position) = self.with_current_id(&resource.id()).first().copied() {
            return Err(Box::new((resource, position)));
        }
        let position = self.list.len();
        if let Some(index) = &mut self.by_current {
            index.insert(key, position);
        }
        if let Some(index) = &mut self.by_any {
            for id in resource.previous_ids() {
                index.insert(id.key(), position);
            }
            index.insert(key, position);
        }
        self.by_name = None;
        if self.after() == After::Folded {
            resource.value.fold();
        }
        self.list.push(resource);
        Ok(())
    }

    /// What two are called, if there are two.
    pub(crate) fn doubled(&mut self) -> Option<String> {
        if self.distinct {
            return None;
        }
        let mut seen = HashMap::with_capacity(self.list.len());
        for (position, resource) in self.list.iter().enumerate() {
            let id = resource.id();
            let first = *seen.entry(id.key()).or_insert(position);
            if first != position && self.list[first].id() == id {
                return Some(id.to_string());
            }
        }
        self.distinct = true;
        None
    }

    /// Changes one resource; whether it is still called the same is found out.
    pub(crate) fn change<T>(&mut self, position: usize, change: impl FnOnce(&mut Resource) -> T) -> T {
        let after = self.after();
        let mut resource = Opened { resource: &mut self.list[position], after };
        let before = resource.id().key();
        let result = change(&mut resource);
        let is_renamed = resource.id().key() != before;
        drop(resource);
        if is_renamed {
            self.all_mut();
        }
        result
    }

    /// The positions of the resources that are or once were of this name, in whatever kind and namespace.
    pub(crate) fn with_name(&mut self, name: &str) -> Vec<usize> {
        let list = &self.list;
        let index = self.by_name.get_or_insert_with(|| {
            let mut index = Index::default();
            for (position, resource) in list.iter().enumerate() {
                let mut names: Vec<&str> = resource.previous.iter().map(|was| was.name.as_str()).collect();
                names.push(resource.name());
                names.sort_unstable();
                names.dedup();
                for name in names {
                    index.insert(name_key(name), position);
                }
            }
            index
        });
        let mut found = index.positions(name_key(name));
        found.retain(|position| {
            let resource = &list[*position];
            resource.name() == name || resource.previous.iter().any(|was| was.name == name)
        });
        found
    }

    /// The positions of the resources that are called so now.
    pub(crate) fn with_current_id(&mut self, id: &Id<'_>) -> Vec<usize> {
        let list = &self.list;
        let index = self.by_current.get_or_insert_with(|| {
            let mut index = Index::default();
            for (position, resource) in list.iter().enumerate() {
                index.insert(resource.id().key(), position);
            }
            index
        });
        let mut found = index.positions(id.key());
        found.retain(|position| list[*position].id() == *id);
        found
    }

    /// The positions of the resources that are or once were called so.
    pub(crate) fn with_any_id(&mut self, id: &Id<'_>) -> Vec<usize> {
        let list = &self.list;
        let index = self.by_any.get_or_insert_with(|| {
            let mut index = Index::default();
            for (position, resource) in list.iter().enumerate() {
                for id in resource.previous_ids() {
                    index.insert(id.key(), position);
                }
                index.insert(resource.id().key(), position);
            }
            index
        });
        let mut found = index.positions(id.key());
        found.retain(|position| {
            let resource = &list[*position];
            resource.id() == *id || resource.previous_ids().any(|was| was == *id)
        });
        found
    }

    /// Puts a resource in the place of another.
    pub(crate) fn replace(&mut self, position: usize, resource: Resource) -> Resource {
        std::mem::replace(&mut self.all_mut()[position], resource)
    }
}

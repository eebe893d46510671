//! What a rendering looked at, so that a later commit can prove that it would render the same.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use trueup_model::{ContentId, Entry, EntryKind, Tree, TreeError};

/// The paths that were asked for and what was found there; absence counts.
///
/// It stays as long as what was rendered, and may be of tens of thousands of paths: lists, in the order of the paths, hold
/// them in half the memory of maps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    entries: Box<[(Box<str>, Found)]>,
    listings: Box<[(Box<str>, u64)]>,
}

/// What stood at a path. Of a folder only that it is one: what counts in it is traced by itself.
type Found = Option<(EntryKind, Option<ContentId>)>;

impl Trace {
    /// Whether nothing was looked at.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.listings.is_empty()
    }

    /// Whether all that was looked at is the same in another tree.
    pub fn holds_in(&self, tree: &dyn Tree) -> bool {
        self.entries.iter().all(|(path, was)| tree.entry(path).is_ok_and(|entry| summary(entry) == *was))
            && self.listings.iter().all(|(path, was)| tree.list(path).is_ok_and(|list| names(&list) == *was))
    }
}

fn summary(entry: Option<Entry>) -> Found {
    entry.map(|entry| (entry.kind, (entry.kind != EntryKind::Folder).then_some(entry.id)))
}

fn names(list: &[(String, Entry)]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for (name, entry) in list {
        (name, entry.kind).hash(&mut hasher);
    }
    hasher.finish()
}

/// A tree that notes what is asked of it.
pub(super) struct TracedTree {
    inner: Arc<dyn Tree>,
    notes: Mutex<Notes>,
}

#[derive(Default)]
struct Notes {
    entries: BTreeMap<Box<str>, Found>,
    /// The names and kinds in a folder that was listed, hashed.
    listings: BTreeMap<Box<str>, u64>,
    /// Files that were to be read, and whose content has not been fetched.
    absent: BTreeSet<String>,
}

impl TracedTree {
    pub(super) fn new(inner: Arc<dyn Tree>) -> Self {
        Self { inner, notes: Mutex::default() }
    }

    /// What was asked of it until now; it begins anew.
    pub(super) fn take_trace(&self) -> Trace {
        let notes = std::mem::take(&mut *self.notes());
        Trace { entries: notes.entries.into_iter().collect(), listings: notes.listings.into_iter().collect() }
    }

    /// What was to be read of it and has not been fetched.
    pub(super) fn absent(&self) -> BTreeSet<String> {
        self.notes().absent.clone()
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tree for TracedTree {
    fn entry(&self, path: &str) -> Result<Option<Entry>, TreeError> {
        let entry = self.inner.entry(path)?;
        let mut notes = self.notes();
        if !notes.entries.contains_key(path) {
            notes.entries.insert(path.into(), summary(entry));
        }
        Ok(entry)
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, TreeError> {
        // The id of what is read is what the trace keeps; asking for it here covers readers that never called `entry`.
        self.entry(path)?;
        let content = self.inner.read(path);
        if let Err(TreeError::Absent(path)) = &content {
            self.notes().absent.insert(path.clone());
        }
        content
    }

    fn list(&self, path: &str) -> Result<Vec<(String, Entry)>, TreeError> {
        let list = self.inner.list(path)?;
        self.notes().listings.insert(path.into(), names(&list));
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trueup_model::MemoryTree;

    #[test]
    fn a_trace_holds_until_something_that_was_looked_at_changes() {
        let files = [("a/one.yaml", "1"), ("a/sub/two.yaml", "2"), ("b/three.yaml", "3")];
        let tree = MemoryTree::from_iter(files);
        let traced = TracedTree::new(Arc::new(tree.clone()));
        traced.list("a").unwrap();
        traced.read("a/one.yaml").unwrap();
        traced.entry("a/none.yaml").unwrap();
        let trace = traced.take_trace();

        let check = |edit: fn(&mut MemoryTree), holds: bool| {
            let mut edited = tree.clone();
            edit(&mut edited);
            assert_eq!(trace.holds_in(&edited), holds);
        };
        check(|_| {}, true);
        check(|tree| tree.insert("b/three.yaml", "changed"), true);
        check(|tree| tree.insert("a/sub/two.yaml", "changed"), true);
        check(|tree| tree.insert("a/one.yaml", "changed"), false);
        check(|tree| tree.insert("a/none.yaml", "there now"), false);
        check(|tree| tree.insert("a/four.yaml", "new in the listing"), false);
    }
}

//! What a rendering looked at, so that a later commit can prove that it would render the same.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use trueup_model::tree::parent;
use trueup_model::{ContentId, Entry, EntryKind, Tree, TreeError};

/// The paths that were asked for and what was found there; absence counts.
///
/// It stays as long as what was rendered, and may be of tens of thousands of paths: lists, in the order of the paths, hold
/// them in half the memory of maps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    entries: Box<[(Box<str>, Found)]>,
    listings: Box<[(Box<str>, u64)]>,
    /// The folders above several of those, as they were: where one is the same, so is all below it.
    folders: Box<[(Box<str>, ContentId)]>,
}

/// What stood at a path. Of a folder only that it is one: what counts in it is traced by itself.
type Found = Option<(EntryKind, Option<ContentId>)>;

impl Trace {
    /// Whether nothing was looked at.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.listings.is_empty()
    }

    /// Whether all that was looked at is the same in another tree. Takes as long as there is where it differs.
    pub fn holds_in(&self, tree: &dyn Tree) -> bool {
        let mut same = HashSet::new();
        for (path, was) in &self.folders {
            if above(path, &same).is_none() && tree.entry(path).is_ok_and(|entry| is_as(entry, *was)) {
                same.insert(&**path);
            }
        }
        unproven(&self.entries, &same)
            .all(|(path, was)| tree.entry(path).is_ok_and(|entry| summary(entry) == *was))
            && unproven(&self.listings, &same)
                .all(|(path, was)| tree.list(path).is_ok_and(|list| names(&list) == *was))
    }
}

fn is_as(entry: Option<Entry>, was: ContentId) -> bool {
    entry.is_some_and(|entry| entry.kind == EntryKind::Folder && entry.id == was)
}

/// The folder among `folders` that is `path` or above it.
fn above<'f>(path: &str, folders: &HashSet<&'f str>) -> Option<&'f str> {
    std::iter::once(path).chain(ancestors(path)).find_map(|folder| folders.get(folder).copied())
}

/// The folders above a path, up to the root.
fn ancestors<'p>(path: &'p str) -> impl Iterator<Item = &'p str> {
    let up = |path: &&'p str| (!path.is_empty()).then(|| parent(path));
    std::iter::successors(Some(path).filter(|path| !path.is_empty()).map(parent), up)
}

/// What of a list, which is in the order of its paths, is in none of the folders.
fn unproven<'t, T>(
    mut list: &'t [(Box<str>, T)],
    folders: &HashSet<&'t str>,
) -> impl Iterator<Item = &'t (Box<str>, T)> {
    std::iter::from_fn(move || {
        loop {
            let (next, rest) = list.split_first()?;
            let Some(folder) = above(&next.0, folders) else {
                list = rest;
                return Some(next);
            };
            // What is in one folder stands together, but for the folder itself.
            let inside = rest.partition_point(|(path, _)| is_inside(path, folder));
            list = &rest[inside..];
        }
    })
}

fn is_inside(path: &str, folder: &str) -> bool {
    folder.is_empty() || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
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
        let folders = self.folders(&notes);
        let (entries, listings) = (notes.entries.into_iter().collect(), notes.listings.into_iter().collect());
        Trace { entries, listings, folders }
    }

    /// The folders above more than one of the notes; one alone is looked up as fast as its folder.
    fn folders(&self, notes: &Notes) -> Box<[(Box<str>, ContentId)]> {
        let mut below: BTreeMap<&str, usize> = BTreeMap::new();
        for path in notes.entries.keys().chain(notes.listings.keys()) {
            ancestors(path).for_each(|folder| *below.entry(folder).or_default() += 1);
        }
        let several = below.into_iter().filter(|(_, count)| *count > 1);
        let found = several.filter_map(|(folder, _)| match self.inner.entry(folder) {
            Ok(Some(Entry { kind: EntryKind::Folder, id })) => Some((folder.into(), id)),
            Ok(_) | Err(_) => None,
        });
        found.collect()
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

    #[test]
    fn of_folders_that_are_as_they_were_nothing_else_is_asked() {
        let files: Vec<String> = (0..100).map(|index| format!("a/deep/{index}.yaml")).collect();
        let others = ["a/one.yaml", "a/two.yaml", "a-b/three.yaml", "a-b/four.yaml", "a.yaml"];
        let all = || files.iter().map(String::as_str).chain(others);
        let tree: MemoryTree = all().map(|path| (path, path)).collect();
        let traced = TracedTree::new(Arc::new(tree.clone()));
        all().for_each(|path| drop(traced.read(path).unwrap()));
        for folder in ["a/deep", "a-b"] {
            traced.list(folder).unwrap();
        }
        let trace = traced.take_trace();

        let asked_after = |path: &str| {
            let mut edited = tree.clone();
            edited.insert(path, "changed");
            let counted = TracedTree::new(Arc::new(edited));
            let holds = trace.holds_in(&counted);
            let notes = counted.notes();
            (holds, notes.entries.len() + notes.listings.len())
        };
        let (holds, asked) = asked_after("elsewhere.yaml");
        assert!(holds && asked <= 6, "the root, its two folders and a.yaml: {asked}");
        let (holds, asked) = asked_after("a/three.yaml");
        assert!(holds && asked <= 9, "a's own files as well: {asked}");
        for path in all() {
            assert!(!asked_after(path).0, "{path}");
        }
        assert!(!asked_after("a/deep/new.yaml").0 && !asked_after("a-b/new.yaml").0, "listings");
    }
}

//! Which files of a commit are worth fetching. Enters: paths that were asked for, or a commit before and what of it is here.
//! Leaves: ids of files that are not here. Asks nobody.

use std::collections::{BTreeSet, HashSet};

use gix::ObjectId;
use trueup_model::EntryKind;

use super::objects::{Objects, ReadError};

/// What lies below a folder is needed with it, unless it is more files than this.
const FEW: usize = 1_000;
/// Files that are fetched at once.
pub(super) const MOST: usize = 50_000;

/// The files at, beside and below `paths` that are not here.
pub(super) fn around(
    objects: &Objects,
    root: ObjectId,
    paths: &BTreeSet<String>,
) -> Result<Vec<ObjectId>, ReadError> {
    let mut folders = BTreeSet::new();
    for path in paths {
        folders.insert(folder_of(objects, root, path)?);
    }
    let mut files = BTreeSet::new();
    for folder in folders {
        add_folder(objects, folder, &mut files)?;
    }
    let mut lacking = objects.lacking(files);
    lacking.truncate(MOST);
    Ok(lacking)
}

/// The files of the commit with the root `new` that are not here, in folders of which the commit with the root `old` has some.
pub(super) fn alike(
    (before, old): (&Objects, ObjectId),
    (objects, new): (&Objects, ObjectId),
) -> Result<Vec<ObjectId>, ReadError> {
    let is_same_place = before.git_dir() == objects.git_dir();
    let mut pending = vec![(old, new)];
    let mut files = BTreeSet::new();
    while let Some((old, new)) = pending.pop() {
        if old == new && is_same_place {
            continue;
        }
        let (was, is) = (before.folder(old)?, objects.folder(new)?);
        let old_files: Vec<ObjectId> =
            was.iter().filter(|(_, entry, _)| is_file(entry.kind)).map(|(_, _, id)| *id).collect();
        let is_used = before.lacking(old_files.iter().copied()).len() < old_files.len();
        for (name, entry, id) in is.iter() {
            let earlier = was.binary_search_by(|(other, _, _)| other.cmp(name)).ok().map(|at| &was[at]);
            match (entry.kind, earlier) {
                (EntryKind::Folder, Some((_, earlier, old))) if earlier.kind == EntryKind::Folder => {
                    pending.push((*old, *id));
                }
                (EntryKind::Folder, _) if is_used => add_folder(objects, *id, &mut files)?,
                (EntryKind::File | EntryKind::Link, _) if is_used => drop(files.insert(*id)),
                (EntryKind::Folder | EntryKind::File | EntryKind::Link | EntryKind::Submodule, _) => {}
            }
        }
    }
    let mut lacking = objects.lacking(files);
    lacking.truncate(MOST);
    Ok(lacking)
}

fn is_file(kind: EntryKind) -> bool {
    match kind {
        EntryKind::File | EntryKind::Link => true,
        EntryKind::Folder | EntryKind::Submodule => false,
    }
}

/// The deepest folder on the way to `path`: itself, or the one that it would be in.
fn folder_of(objects: &Objects, root: ObjectId, path: &str) -> Result<ObjectId, ReadError> {
    let mut here = root;
    for part in path.split('/').filter(|part| !part.is_empty()) {
        let folder = objects.folder(here)?;
        match folder.binary_search_by(|(name, _, _)| name.as_str().cmp(part)) {
            Ok(at) if folder[at].1.kind == EntryKind::Folder => here = folder[at].2,
            Ok(_) | Err(_) => break,
        }
    }
    Ok(here)
}

/// Adds the files below a folder, or those in it alone where there are many below.
fn add_folder(objects: &Objects, id: ObjectId, files: &mut BTreeSet<ObjectId>) -> Result<(), ReadError> {
    let (mut pending, mut seen) = (vec![id], HashSet::from([id]));
    let (mut own, mut below) = (Vec::new(), Vec::new());
    while let Some(folder) = pending.pop() {
        for (_, entry, child) in objects.folder(folder)?.iter() {
            match entry.kind {
                EntryKind::Folder if seen.insert(*child) => pending.push(*child),
                EntryKind::File | EntryKind::Link if folder == id => own.push(*child),
                EntryKind::File | EntryKind::Link => below.push(*child),
                EntryKind::Folder | EntryKind::Submodule => {}
            }
        }
        if own.len() + below.len() > FEW {
            below.clear();
            break;
        }
    }
    files.extend(own);
    files.extend(below);
    Ok(())
}

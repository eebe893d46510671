//! A Git object database that many threads read, and the trees of commits in it.
//!
//! Nothing is checked out. Tree objects are kept parsed and shared by all commits (their ids say what
//! they are); blobs are read when asked for and their content is checked against the id, so that a bit
//! that fell over never reaches a cluster.
//!
//! A database may be partial: of its commits all folders are there, and of their files those that were asked for. That another
//! one is not there is no damage.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gix::objs::Kind;
use gix::objs::tree::EntryKind as GitKind;
use trueup_model::{ContentId, Entry, EntryKind, Tree, TreeError};

use super::Commit;

/// Larger files are no configuration.
pub(super) const MAX_FILE: u64 = 64 << 20;
/// Parsed trees that are kept; a repository of this many folders is read without parsing anything twice.
const MAX_CACHED_TREES: usize = 16_384;

/// The file that says that a Git directory of ours is partial.
pub(super) const PARTIAL: &str = "partial";

/// Folders that are remembered to be whole, 32 bytes each.
const MAX_WHOLE: usize = 1 << 17;

pub(super) type Folder = Arc<[(String, Entry, gix::ObjectId)]>;

/// A Git directory, opened for reading by any thread.
pub(super) struct Objects {
    repository: gix::ThreadSafeRepository,
    idle: Mutex<Vec<gix::Repository>>,
    folders: Mutex<HashMap<gix::ObjectId, Folder>>,
    /// Folders of which all is known to be there: commits share most of theirs.
    whole: Mutex<HashSet<gix::ObjectId>>,
    damaged: AtomicBool,
    partial: AtomicBool,
    /// Locked as shared while this folder is in use, so that nobody removes it. Absent for folders that are not ours.
    _lease: Option<std::fs::File>,
}

/// Why an object could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error("object {0} is missing")]
    Missing(gix::ObjectId),
    #[error("object {0} was not needed so far")]
    Absent(gix::ObjectId),
    #[error("object {id} is a {found}, not a {wanted}")]
    OtherKind { id: gix::ObjectId, found: Kind, wanted: Kind },
    #[error("object {id} is broken: {cause}")]
    Broken { id: gix::ObjectId, cause: String },
}

impl Objects {
    pub(super) fn open(git_dir: &Path, lease: Option<std::fs::File>) -> gix::Result<Self> {
        let repository = gix::open_opts(git_dir, options())?.into_sync();
        let partial = AtomicBool::new(git_dir.join(PARTIAL).exists());
        Ok(Self {
            partial,
            repository,
            idle: Mutex::default(),
            folders: Mutex::default(),
            whole: Mutex::default(),
            damaged: AtomicBool::new(false),
            _lease: lease,
        })
    }

    /// Whether a read has found a broken or missing object.
    pub(super) fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }

    /// Whether files may be absent.
    pub(super) fn is_partial(&self) -> bool {
        self.partial.load(Ordering::Relaxed)
    }

    /// Says that no file is absent any more.
    pub(super) fn mark_whole(&self) -> std::io::Result<()> {
        match std::fs::remove_file(self.git_dir().join(PARTIAL)) {
            // Another process may have been first.
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        self.whole.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.partial.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Those of `ids` that are not here. Many are looked up at the price of one look at the disk.
    pub(super) fn lacking(&self, ids: impl IntoIterator<Item = gix::ObjectId>) -> Vec<gix::ObjectId> {
        self.with(|repository| {
            let mut known = repository.objects.clone();
            known.refresh_never();
            let is_unknown = |id: &gix::ObjectId| !gix::objs::Exists::exists(&known, id);
            let mut lacking: Vec<_> = ids.into_iter().filter(is_unknown).collect();
            if let Some(first) = lacking.first() {
                // This looks at the disk for what came since the last look.
                let _ = repository.try_find_header(*first);
                lacking.retain(is_unknown);
            }
            lacking
        })
    }

    pub(super) fn mark_damaged(&self) {
        self.damaged.store(true, Ordering::Relaxed);
    }

    pub(super) fn git_dir(&self) -> &Path {
        self.repository.git_dir()
    }

    /// Runs `f` with a repository of this thread's own.
    pub(super) fn with<T>(&self, f: impl FnOnce(&gix::Repository) -> T) -> T {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let repository = idle.unwrap_or_else(|| {
            let mut repository = self.repository.to_thread_local();
            repository.object_cache_size_if_unset(1 << 20);
            repository
        });
        let result = f(&repository);
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(repository);
        result
    }

    /// The content of an object of the wanted kind, checked against its id.
    pub(super) fn read(&self, id: gix::ObjectId, wanted: Kind) -> Result<Vec<u8>, ReadError> {
        let found = self.with(|repository| match repository.try_find_object(id) {
            Ok(Some(object)) if object.kind == wanted => Ok(object.detach().data),
            Ok(Some(object)) => Err(ReadError::OtherKind { id, found: object.kind, wanted }),
            Ok(None) => Err(self.not_here(id, wanted)),
            Err(error) => Err(ReadError::Broken { id, cause: text(&error) }),
        });
        let checked = found.and_then(|data| match gix::objs::compute_hash(id.kind(), wanted, &data) {
            Ok(computed) if computed == id => Ok(data),
            Ok(computed) => {
                Err(ReadError::Broken { id, cause: format!("its content has the id {computed}") })
            }
            Err(error) => Err(ReadError::Broken { id, cause: error.to_string() }),
        });
        checked.inspect_err(|error| self.note(error))
    }

    /// A wrong kind is the asker's mistake; anything else is ours.
    fn note(&self, error: &ReadError) {
        match error {
            ReadError::Missing(_) | ReadError::Broken { .. } => self.mark_damaged(),
            ReadError::OtherKind { .. } | ReadError::Absent(_) => {}
        }
    }

    fn not_here(&self, id: gix::ObjectId, kind: Kind) -> ReadError {
        if kind == Kind::Blob && self.is_partial() { ReadError::Absent(id) } else { ReadError::Missing(id) }
    }

    pub(super) fn folder(&self, id: gix::ObjectId) -> Result<Folder, ReadError> {
        if let Some(folder) = self.folders.lock().unwrap_or_else(PoisonError::into_inner).get(&id) {
            return Ok(folder.clone());
        }
        let data = self.read(id, Kind::Tree)?;
        let folder = parse(id, &data).inspect_err(|_| self.mark_damaged())?;
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        if folders.len() >= MAX_CACHED_TREES {
            folders.clear();
        }
        folders.insert(id, folder.clone());
        Ok(folder)
    }

    /// Checks that all that the tree `root` needs is there, in a partial database its folders. Blobs are looked up, not read. What was found whole before is
    /// not looked into again, so this takes as long as the commit is large, and not the repository.
    fn verify(&self, root: gix::ObjectId) -> Result<(), ReadError> {
        let lock = || self.whole.lock().unwrap_or_else(PoisonError::into_inner);
        let mut pending = vec![root];
        let mut seen = HashSet::from([root]);
        let mut found = Vec::new();
        while let Some(id) = pending.pop() {
            if lock().contains(&id) {
                continue;
            }
            found.push(id);
            for (_, entry, child) in self.folder(id)?.iter() {
                if !seen.insert(*child) {
                    continue;
                }
                match entry.kind {
                    EntryKind::Folder => pending.push(*child),
                    EntryKind::File | EntryKind::Link if !self.is_partial() => {
                        self.size(*child)?;
                    }
                    EntryKind::File | EntryKind::Link | EntryKind::Submodule => {}
                }
            }
        }
        let mut whole = lock();
        if whole.len() + found.len() > MAX_WHOLE {
            whole.clear();
        }
        whole.extend(found);
        Ok(())
    }

    /// The size of a file.
    fn size(&self, id: gix::ObjectId) -> Result<u64, ReadError> {
        let found = self.with(|repository| match repository.try_find_header(id) {
            Ok(Some(header)) => Ok(header.size()),
            Ok(None) => Err(self.not_here(id, Kind::Blob)),
            Err(error) => Err(ReadError::Broken { id, cause: text(&error) }),
        });
        found.inspect_err(|error| self.note(error))
    }
}

/// A gix error and its causes in one line.
pub(super) fn text(error: &gix::Error) -> String {
    let causes: Vec<String> = error.iter_errors().map(ToString::to_string).collect();
    causes.join(": ").replace('\n', " ")
}

/// The commit `id`, whose tree reads from `objects`.
pub(super) fn commit(objects: &Arc<Objects>, id: gix::ObjectId) -> Result<Commit, ReadError> {
    let data = objects.read(id, Kind::Commit)?;
    let broken = |cause: String| ReadError::Broken { id, cause };
    let commit =
        gix::objs::CommitRef::from_bytes(&data, id.kind()).map_err(|error| broken(error.to_string()))?;
    let author = commit.author().map_err(|error| broken(error.to_string()))?;
    let email = author.email.to_string();
    let seconds =
        commit.committer().ok().and_then(|committer| committer.time().ok()).map_or(0, |time| time.seconds);
    let root = commit.tree();
    objects.folder(root)?;
    Ok(Commit {
        revision: id.to_string(),
        author: author.name.to_string(),
        email: (!email.is_empty()).then_some(email),
        time: jiff::Timestamp::from_second(seconds).unwrap_or_default(),
        subject: commit.message().summary().to_string(),
        tree: Arc::new(GitTree::new(objects.clone(), root)),
        rest: None,
    })
}

/// The folder that the commit `id` has at its root.
pub(super) fn root(objects: &Objects, id: gix::ObjectId) -> Result<gix::ObjectId, ReadError> {
    let data = objects.read(id, Kind::Commit)?;
    let commit = gix::objs::CommitRef::from_bytes(&data, id.kind())
        .map_err(|error| ReadError::Broken { id, cause: error.to_string() })?;
    Ok(commit.tree())
}

/// Checks that the whole tree of the commit `id` is there.
pub(super) fn verify(objects: &Objects, id: gix::ObjectId) -> Result<(), ReadError> {
    objects.verify(root(objects, id)?)
}

/// Nothing of the user's or system's Git configuration counts: what is read depends on the repository alone.
pub(super) fn options() -> gix::open::Options {
    // Packs that come while the database is open need a place each; gix counts places only once.
    let places = gix::odb::store::init::Slots::AsNeededByDiskState { multiplier: 2.0, minimum: 256 };
    gix::open::Options::isolated()
        .with(gix::sec::Trust::Full)
        .object_store_slots(places)
        .lossy_config(true)
        .strict_config(false)
}

fn parse(id: gix::ObjectId, data: &[u8]) -> Result<Folder, ReadError> {
    let tree = gix::objs::TreeRef::from_bytes(data, id.kind())
        .map_err(|error| ReadError::Broken { id, cause: error.to_string() })?;
    let mut folder: Vec<_> = tree
        .entries
        .iter()
        .map(|entry| {
            let kind = match entry.mode.kind() {
                GitKind::Tree => EntryKind::Folder,
                GitKind::Blob | GitKind::BlobExecutable => EntryKind::File,
                GitKind::Link => EntryKind::Link,
                GitKind::Commit => EntryKind::Submodule,
            };
            let name = String::from_utf8_lossy(entry.filename).into_owned();
            let id = ContentId::from_hash(entry.oid.as_bytes());
            (name, Entry { kind, id }, entry.oid.to_owned())
        })
        .collect();
    folder.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(folder.into())
}

/// The tree of a commit, read from the object database.
pub(super) struct GitTree {
    objects: Arc<Objects>,
    root: gix::ObjectId,
}

impl GitTree {
    pub(super) fn new(objects: Arc<Objects>, root: gix::ObjectId) -> Self {
        Self { objects, root }
    }

    /// What stands at `path`, with the id to read it by.
    fn find(&self, path: &str) -> Result<Option<(Entry, gix::ObjectId)>, TreeError> {
        let root = Entry { kind: EntryKind::Folder, id: ContentId::from_hash(self.root.as_bytes()) };
        let mut found = (root, self.root);
        for part in path.split('/').filter(|part| !part.is_empty()) {
            if found.0.kind != EntryKind::Folder {
                return Ok(None);
            }
            let folder = self.objects.folder(found.1).map_err(|error| store(path, error))?;
            match folder.binary_search_by(|(name, _, _)| name.as_str().cmp(part)) {
                Ok(at) => found = (folder[at].1, folder[at].2),
                Err(_) => return Ok(None),
            }
        }
        Ok(Some(found))
    }
}

/// The error for a file of `size` bytes that is more than is ever read.
pub(super) fn too_large(path: &str, size: u64) -> TreeError {
    let cause = format!("it has {} MiB, more than the {} MiB that are read", size >> 20, MAX_FILE >> 20);
    TreeError::Store { path: path.to_owned(), source: cause.into() }
}

fn store(path: &str, error: ReadError) -> TreeError {
    match error {
        ReadError::Absent(_) => TreeError::Absent(path.to_owned()),
        ReadError::Missing(_) | ReadError::OtherKind { .. } | ReadError::Broken { .. } => {
            TreeError::Store { path: path.to_owned(), source: error.into() }
        }
    }
}

impl Tree for GitTree {
    fn entry(&self, path: &str) -> Result<Option<Entry>, TreeError> {
        Ok(self.find(path)?.map(|(entry, _)| entry))
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, TreeError> {
        let (entry, id) = self.find(path)?.ok_or_else(|| TreeError::Missing(path.to_owned()))?;
        match entry.kind {
            EntryKind::File | EntryKind::Link => {
                let size = self.objects.size(id).map_err(|error| store(path, error))?;
                if size > MAX_FILE {
                    return Err(too_large(path, size));
                }
                Ok(self.objects.read(id, Kind::Blob).map_err(|error| store(path, error))?.into())
            }
            EntryKind::Folder => Err(TreeError::NotAFile(path.to_owned())),
            EntryKind::Submodule => Err(TreeError::Submodule(path.to_owned())),
        }
    }

    fn list(&self, path: &str) -> Result<Vec<(String, Entry)>, TreeError> {
        let (entry, id) = self.find(path)?.ok_or_else(|| TreeError::Missing(path.to_owned()))?;
        match entry.kind {
            EntryKind::Folder => {
                let folder = self.objects.folder(id).map_err(|error| store(path, error))?;
                Ok(folder.iter().map(|(name, entry, _)| (name.clone(), *entry)).collect())
            }
            EntryKind::File | EntryKind::Link => Err(TreeError::NotAFolder(path.to_owned())),
            EntryKind::Submodule => Err(TreeError::Submodule(path.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trueup_testkit::GitRepo;

    #[test]
    fn a_commit_is_checked_by_the_folders_that_it_brings() {
        let repo = GitRepo::create().unwrap();
        let files: Vec<String> = (0..40).map(|number| format!("folder-{number}/inner/file.yaml")).collect();
        let files: Vec<(&str, &str)> = files.iter().map(|path| (path.as_str(), path.as_str())).collect();
        let first = repo.commit(&files, "first").unwrap();
        let second = repo.commit(&[("folder-7/inner/file.yaml", "changed")], "second").unwrap();
        let objects = Objects::open(repo.bare_path(), None).unwrap();
        let looked_into = |commit: &str| {
            let before = objects.whole.lock().unwrap().len();
            verify(&objects, gix::ObjectId::from_hex(commit.as_bytes()).unwrap()).unwrap();
            objects.whole.lock().unwrap().len() - before
        };
        assert_eq!(looked_into(&first), 81, "the root, and two folders for each file");
        assert_eq!(looked_into(&second), 3, "the root, and the two above the file");
        assert_eq!(looked_into(&first), 0);
    }
}

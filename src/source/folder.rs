//! A folder as a tree: the files as they are, under the ids that Git would give them.
//!
//! A scan takes note of every file's id; what is read later is checked against it, so a tree is one
//! moment of the folder although its files stay where they are. Links are content, never followed. Left
//! out are `.git`, what `.gitignore` ignores (unless Git tracks it all the same), and what is neither file,
//! folder nor link.

use std::collections::HashMap;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gix::bstr::ByteSlice;
use gix::hash::Kind as HashKind;
use gix::objs::Kind;
use gix::worktree::stack::state::ignore::Source as IgnoreSource;
use trueup_model::{ContentId, Entry, EntryKind, Tree, TreeError};

use super::{Commit, SourceError, objects};

/// More than this many files are no config repository, but a home or a root folder by mistake.
const MAX_FILES: usize = 200_000;
/// A file that changed this short a time before the scan may change again without its time showing it.
const UNSETTLED: Duration = Duration::from_millis(100);

/// The content of a folder at one moment.
pub(super) struct FolderTree {
    root: PathBuf,
    hash: HashKind,
    id: gix::ObjectId,
    nodes: HashMap<String, (Entry, gix::ObjectId)>,
    folders: HashMap<String, Vec<(String, Entry)>>,
    stamps: HashMap<String, (Stamp, gix::ObjectId)>,
    newest: SystemTime,
}

/// What of a file's metadata changes when the file does.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: (i64, i64),
    changed: (i64, i64),
    size: u64,
    inode: u64,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            size: metadata.size(),
            inode: metadata.ino(),
        }
    }

    fn settled(&self, now: SystemTime) -> bool {
        let (seconds, nanos) = self.changed;
        let since = Duration::new(u64::try_from(seconds).unwrap_or(0), u32::try_from(nanos).unwrap_or(0));
        now.duration_since(UNIX_EPOCH + since).is_ok_and(|age| age > UNSETTLED)
    }
}

impl FolderTree {
    /// Looks at all files below `root`; those unchanged since `before` are not read again.
    pub(super) fn scan(root: &Path, before: Option<&Self>) -> Result<Self, SourceError> {
        if !root.is_dir() {
            return Err(SourceError::NotFound {
                location: root.display().to_string(),
                cause: "the folder does not exist".into(),
            });
        }
        let root = root.canonicalize().map_err(|error| SourceError::io("read", root, error))?;
        let repository = gix::discover::upwards(&root).ok().and_then(|(found, _)| {
            let (git_dir, worktree) = found.into_repository_and_work_tree_directories();
            let repository = gix::open_opts(git_dir, objects::options()).ok()?;
            Some((worktree?.canonicalize().ok()?, repository))
        });
        let Some((worktree, repository)) = &repository else {
            return Scan::new(root, HashKind::Sha1, before, None).run();
        };
        let above = root.strip_prefix(worktree).unwrap_or(Path::new("")).to_owned();
        let failed = |error: gix::Error| SourceError::Damaged {
            location: root.display().to_string(),
            cause: objects::text(&error),
        };
        let index = repository.index_or_empty().map_err(failed)?;
        let ignored = repository
            .excludes(&index, None, IgnoreSource::WorktreeThenIdMappingIfNotSkipped)
            .map_err(failed)?;
        let mut rules = Rules { above, index: &index, ignored };
        // Whoever points at an ignored folder wants what is in it.
        let ignored = rules.left_out("", EntryKind::Folder);
        let ignored = ignored.map_err(|error| SourceError::io("read", &root, error))?;
        let rules = if ignored { None } else { Some(rules) };
        Scan::new(root, repository.object_hash(), before, rules).run()
    }

    /// `worktree-` and the first 12 hex digits of the root's tree id.
    pub(super) fn revision(&self) -> String {
        format!("worktree-{}", self.id.to_hex_with_len(12))
    }

    pub(super) fn into_commit(self: Arc<Self>) -> Commit {
        Commit {
            revision: self.revision(),
            author: String::new(),
            email: None,
            time: jiff::Timestamp::try_from(self.newest).unwrap_or_default(),
            subject: format!("working tree of {}", self.root.display()),
            tree: self,
            rest: None,
        }
    }
}

/// What Git says about files in its working tree.
struct Rules<'a> {
    /// From the working tree's root to the scanned folder.
    above: PathBuf,
    index: &'a gix::index::State,
    ignored: gix::AttributeStack<'a>,
}

impl Rules<'_> {
    fn tracked(&self, path: &Path, kind: EntryKind) -> bool {
        let path = path.as_os_str().as_bytes();
        match kind {
            EntryKind::Folder => {
                let prefix = [path, b"/"].concat();
                self.index.prefixed_entries(prefix.as_bstr()).is_some_and(|entries| !entries.is_empty())
            }
            EntryKind::File | EntryKind::Link | EntryKind::Submodule => {
                self.index.entry_by_path(path.as_bstr()).is_some()
            }
        }
    }

    fn left_out(&mut self, path: &str, kind: EntryKind) -> std::io::Result<bool> {
        let path = if path.is_empty() { self.above.clone() } else { self.above.join(path) };
        if path.as_os_str().is_empty() {
            return Ok(false);
        }
        let mode = match kind {
            EntryKind::Folder | EntryKind::Submodule => gix::index::entry::Mode::DIR,
            EntryKind::File => gix::index::entry::Mode::FILE,
            EntryKind::Link => gix::index::entry::Mode::SYMLINK,
        };
        let asked = self.ignored.at_path(&path, Some(mode)).map_err(std::io::Error::other)?;
        let ignored = asked.is_excluded();
        Ok(ignored && !self.tracked(&path, kind))
    }

    /// The commit that the index notes for a submodule.
    fn submodule(&self, path: &str) -> Option<gix::ObjectId> {
        let path = self.above.join(path);
        let entry = self.index.entry_by_path(path.as_os_str().as_bytes().as_bstr())?;
        (entry.mode == gix::index::entry::Mode::COMMIT).then_some(entry.id)
    }
}

struct Scan<'a> {
    before: Option<&'a FolderTree>,
    rules: Option<Rules<'a>>,
    started: SystemTime,
    tree: FolderTree,
}

/// An entry of a Git tree object before it is written.
struct Line {
    name: Vec<u8>,
    mode: &'static str,
    id: gix::ObjectId,
}

impl Line {
    /// Git sorts folders as if their names ended with a slash.
    fn sort_key(&self) -> Vec<u8> {
        let mut key = self.name.clone();
        if self.mode == "40000" {
            key.push(b'/');
        }
        key
    }
}

impl<'a> Scan<'a> {
    fn new(root: PathBuf, hash: HashKind, before: Option<&'a FolderTree>, rules: Option<Rules<'a>>) -> Self {
        let tree = FolderTree {
            root,
            hash,
            id: hash.null(),
            nodes: HashMap::new(),
            folders: HashMap::new(),
            stamps: HashMap::new(),
            newest: UNIX_EPOCH,
        };
        Self { before, rules, started: SystemTime::now(), tree }
    }

    fn run(mut self) -> Result<FolderTree, SourceError> {
        let root = self.tree.root.clone();
        let empty = gix::ObjectId::empty_tree(self.tree.hash);
        self.tree.id = self.folder("", &root)?.unwrap_or(empty);
        Ok(self.tree)
    }

    /// Scans a folder; gives the id of its tree, or nothing for a folder that Git would not keep.
    fn folder(&mut self, path: &str, full: &Path) -> Result<Option<gix::ObjectId>, SourceError> {
        let failed = |error| SourceError::io("read", full, error);
        let mut children: Vec<_> =
            std::fs::read_dir(full).map_err(failed)?.collect::<Result<_, _>>().map_err(failed)?;
        children.sort_by_key(std::fs::DirEntry::file_name);
        let mut lines = Vec::new();
        let mut listed = Vec::new();
        for child in children {
            let name = child.file_name();
            if name == ".git" {
                continue;
            }
            let shown = name.to_string_lossy().into_owned();
            let below = if path.is_empty() { shown.clone() } else { format!("{path}/{shown}") };
            let Some((kind, mode, id)) = self.child(&below, &child.path())? else { continue };
            let entry = Entry { kind, id: ContentId::from_hash(id.as_bytes()) };
            self.tree.nodes.insert(below, (entry, id));
            if self.tree.nodes.len() > MAX_FILES {
                return Err(SourceError::Invalid {
                    location: self.tree.root.display().to_string(),
                    cause: format!("has more than {MAX_FILES} files; choose the folder of the configuration"),
                });
            }
            listed.push((shown, entry));
            lines.push(Line { name: name.as_bytes().to_vec(), mode, id });
        }
        if lines.is_empty() {
            return Ok(None);
        }
        listed.sort_by(|a, b| a.0.cmp(&b.0));
        self.tree.folders.insert(path.to_owned(), listed);
        lines.sort_by_key(Line::sort_key);
        let mut data = Vec::new();
        for line in lines {
            data.extend_from_slice(line.mode.as_bytes());
            data.push(b' ');
            data.extend_from_slice(&line.name);
            data.push(0);
            data.extend_from_slice(line.id.as_bytes());
        }
        self.hash(Kind::Tree, &data, full).map(Some)
    }

    /// What stands at `path`, the mode that Git has for it, and its id; nothing if it is left out.
    fn child(
        &mut self,
        path: &str,
        full: &Path,
    ) -> Result<Option<(EntryKind, &'static str, gix::ObjectId)>, SourceError> {
        let failed = |error| SourceError::io("read", full, error);
        let metadata = match full.symlink_metadata() {
            Ok(metadata) => metadata,
            // It went between the listing and now.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let kind = if metadata.is_symlink() {
            EntryKind::Link
        } else if metadata.is_file() {
            EntryKind::File
        } else if metadata.is_dir() && self.is_submodule(path, full) {
            EntryKind::Submodule
        } else if metadata.is_dir() {
            EntryKind::Folder
        } else {
            return Ok(None);
        };
        if let Some(rules) = &mut self.rules
            && rules.left_out(path, kind).map_err(failed)?
        {
            return Ok(None);
        }
        Ok(match kind {
            EntryKind::Link => {
                let target = full.read_link().map_err(failed)?;
                Some((kind, "120000", self.hash(Kind::Blob, target.as_os_str().as_bytes(), full)?))
            }
            EntryKind::File => {
                let mode = if metadata.mode() & 0o100 == 0 { "100644" } else { "100755" };
                Some((kind, mode, self.file(path, full, &metadata)?))
            }
            EntryKind::Folder => self.folder(path, full)?.map(|id| (kind, "40000", id)),
            EntryKind::Submodule => Some((kind, "160000", self.submodule(path, full))),
        })
    }

    fn file(&mut self, path: &str, full: &Path, metadata: &Metadata) -> Result<gix::ObjectId, SourceError> {
        let stamp = Stamp::of(metadata);
        self.tree.newest = self.tree.newest.max(metadata.modified().unwrap_or(UNIX_EPOCH));
        let known = self.before.and_then(|before| before.stamps.get(path));
        let id = match known {
            Some((before, id)) if *before == stamp => *id,
            Some(_) | None => hash_file(self.tree.hash, full, stamp.size)
                .map_err(|error| SourceError::io("read", full, error))?,
        };
        if stamp.settled(self.started) {
            self.tree.stamps.insert(path.to_owned(), (stamp, id));
        }
        Ok(id)
    }

    /// A repository of its own, or the empty place of one that was not checked out.
    fn is_submodule(&self, path: &str, full: &Path) -> bool {
        full.join(".git").symlink_metadata().is_ok()
            || self.rules.as_ref().is_some_and(|rules| rules.submodule(path).is_some())
    }

    fn submodule(&self, path: &str, full: &Path) -> gix::ObjectId {
        let checked_out = || Some(gix::open_opts(full, objects::options()).ok()?.head_id().ok()?.detach());
        let noted = self.rules.as_ref().and_then(|rules| rules.submodule(path));
        noted.or_else(checked_out).unwrap_or_else(|| self.tree.hash.null())
    }

    fn hash(&self, kind: Kind, data: &[u8], full: &Path) -> Result<gix::ObjectId, SourceError> {
        gix::objs::compute_hash(self.tree.hash, kind, data)
            .map_err(|error| SourceError::io("hash", full, std::io::Error::other(error)))
    }
}

fn hash_file(hash: HashKind, full: &Path, size: u64) -> std::io::Result<gix::ObjectId> {
    let mut file = std::fs::File::open(full)?;
    let (progress, interrupt) = (&mut gix::progress::Discard, AtomicBool::new(false));
    gix::objs::compute_stream_hash(hash, Kind::Blob, &mut file, size, progress, &interrupt)
        .map_err(std::io::Error::other)
}

impl FolderTree {
    fn content(&self, path: &str, entry: Entry) -> std::io::Result<Vec<u8>> {
        let full = self.root.join(path);
        match entry.kind {
            EntryKind::Link => Ok(full.read_link()?.as_os_str().as_bytes().to_vec()),
            EntryKind::File | EntryKind::Folder | EntryKind::Submodule => std::fs::read(full),
        }
    }
}

impl Tree for FolderTree {
    fn entry(&self, path: &str) -> Result<Option<Entry>, TreeError> {
        if path.is_empty() {
            let id = ContentId::from_hash(self.id.as_bytes());
            return Ok(Some(Entry { kind: EntryKind::Folder, id }));
        }
        Ok(self.nodes.get(path).map(|(entry, _)| *entry))
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, TreeError> {
        let failed = |error: std::io::Error| TreeError::Store { path: path.to_owned(), source: error.into() };
        let Some((entry, id)) = self.nodes.get(path) else {
            return Err(match path {
                "" => TreeError::NotAFile(path.to_owned()),
                _ => TreeError::Missing(path.to_owned()),
            });
        };
        match entry.kind {
            EntryKind::Folder => return Err(TreeError::NotAFile(path.to_owned())),
            EntryKind::Submodule => return Err(TreeError::Submodule(path.to_owned())),
            EntryKind::File | EntryKind::Link => {}
        }
        let size = self.root.join(path).symlink_metadata().map_err(failed)?.len();
        if size > objects::MAX_FILE {
            return Err(objects::too_large(path, size));
        }
        let content = self.content(path, *entry).map_err(failed)?;
        match gix::objs::compute_hash(self.hash, Kind::Blob, &content) {
            Ok(computed) if computed == *id => Ok(content.into()),
            Ok(_) => Err(failed(std::io::Error::other("it changed while the folder was being read"))),
            Err(error) => Err(failed(std::io::Error::other(error))),
        }
    }

    fn list(&self, path: &str) -> Result<Vec<(String, Entry)>, TreeError> {
        match self.entry(path)? {
            Some(Entry { kind: EntryKind::Folder, .. }) => {
                Ok(self.folders.get(path).cloned().unwrap_or_default())
            }
            Some(Entry { kind: EntryKind::File | EntryKind::Link, .. }) => {
                Err(TreeError::NotAFolder(path.to_owned()))
            }
            Some(Entry { kind: EntryKind::Submodule, .. }) => Err(TreeError::Submodule(path.to_owned())),
            None => Err(TreeError::Missing(path.to_owned())),
        }
    }
}

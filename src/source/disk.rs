//! The file system as a tree: read where it is asked, and nowhere else.
//!
//! For looking at a folder as it is: unlike a [`super::folder`] nothing is left out, and nothing is frozen. It keeps note of
//! how far its readers went, so that whoever names files can name them from there.

use std::fs::{File, Metadata, OpenOptions};
use std::io::Read as _;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{Dir, FileType, Mode, OFlags};
use sha2::{Digest, Sha256};
use trueup_model::{ContentId, Entry, EntryKind, Tree, TreeError, tree};

use super::objects;

/// Files and folders below a root, as they are when they are asked for.
///
/// Files are known by their place, size and times, not by what is in them; a folder's id says nothing of what lies deeper.
/// That is enough to share what was parsed within one rendering, and not enough for a trace.
#[derive(Debug)]
pub struct DiskTree {
    root: PathBuf,
    /// The folder that holds all that was read or missed; `None` before anything was.
    reach: Mutex<Option<String>>,
}

impl DiskTree {
    /// The tree below `root`, an absolute path without links.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), reach: Mutex::default() }
    }

    /// The lowest folder that holds all that was read, listed, or looked for and missing.
    pub fn reach(&self) -> PathBuf {
        let reach = self.reach.lock().unwrap_or_else(PoisonError::into_inner);
        self.root.join(reach.as_deref().unwrap_or(""))
    }

    fn metadata(&self, path: &str) -> Result<Option<Metadata>, TreeError> {
        use std::io::ErrorKind::{NotADirectory, NotFound};
        match self.root.join(path).symlink_metadata() {
            Ok(metadata) => Ok(Some(metadata)),
            Err(error) if matches!(error.kind(), NotFound | NotADirectory) => Ok(None),
            Err(error) => Err(failed(path)(error)),
        }
    }

    fn note(&self, folder: &str) {
        let mut reach = self.reach.lock().unwrap_or_else(PoisonError::into_inner);
        let mut common = reach.take().unwrap_or_else(|| folder.to_owned());
        while !is_within(folder, &common) {
            common.truncate(tree::parent(&common).len());
        }
        *reach = Some(common);
    }

    /// What a folder holds, by name, with what is told of each from the folder's full path, its name and what the folder says that it is;
    /// what is told nothing of is left out.
    fn named<T>(
        &self,
        path: &str,
        tell: impl Fn(&Path, &str, FileType) -> std::io::Result<Option<T>>,
    ) -> Result<Vec<(String, T)>, TreeError> {
        self.note(path);
        let full = self.root.join(path);
        let mut named = Vec::new();
        for child in self.folder(path, &full)? {
            let child = child.map_err(|error| failed(path)(error.into()))?;
            // A name that is no text cannot be written in a kustomization either.
            let Ok(name) = child.file_name().to_str() else { continue };
            if matches!(name, "." | ".." | ".git") {
                continue;
            }
            match tell(&full, name, child.file_type()) {
                Ok(told) => named.extend(told.map(|told| (name.to_owned(), told))),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed(path)(error)),
            }
        }
        named.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Ok(named)
    }

    /// The folder there, opened: the system looks it up once only, and says by itself where it is none.
    fn folder(&self, path: &str, full: &Path) -> Result<Dir, TreeError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let refused = match rustix::fs::open(full, flags, Mode::empty()).and_then(Dir::new) {
            Ok(folder) => return Ok(folder),
            Err(refused) => refused,
        };
        match self.metadata(path)? {
            None => {
                self.note(tree::parent(path));
                Err(TreeError::Missing(path.to_owned()))
            }
            Some(metadata) if !metadata.is_dir() => Err(TreeError::NotAFolder(path.to_owned())),
            Some(_) => Err(failed(path)(refused.into())),
        }
    }

    /// Where a link points, from the folder that it is in; an absolute path is taken from the root.
    fn target(&self, path: &str, full: &Path) -> std::io::Result<Vec<u8>> {
        let target = full.read_link()?;
        let Ok(below) = target.strip_prefix(&self.root) else {
            return Ok(target.into_os_string().into_vec());
        };
        let up = Path::new(tree::parent(path)).components().map(|_| "..").collect::<PathBuf>();
        Ok(up.join(below).into_os_string().into_vec())
    }
}

/// Whether `path` is `folder` or below it.
fn is_within(path: &str, folder: &str) -> bool {
    folder.is_empty()
        || path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What stands there, unless it is nothing that holds manifests: a socket, a device.
fn kind(of: FileType) -> Option<EntryKind> {
    match of {
        FileType::Symlink => Some(EntryKind::Link),
        FileType::Directory => Some(EntryKind::Folder),
        FileType::RegularFile => Some(EntryKind::File),
        _ => None,
    }
}

fn file_type(metadata: &Metadata) -> FileType {
    FileType::from_raw_mode(metadata.mode())
}

fn entry(metadata: &Metadata) -> Option<Entry> {
    let kind = kind(file_type(metadata))?;
    let mut hash = Sha256::new();
    for part in [metadata.dev(), metadata.ino(), metadata.size()] {
        hash.update(part.to_le_bytes());
    }
    for time in [metadata.mtime(), metadata.mtime_nsec(), metadata.ctime(), metadata.ctime_nsec()] {
        hash.update(time.to_le_bytes());
    }
    Some(Entry { kind, id: ContentId::from_hash(&hash.finalize()) })
}

/// What is in the plain file there, which the system looks up once only; `None` for all that is something else.
fn plain(full: &Path, path: &str) -> Option<Result<Arc<[u8]>, TreeError>> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(full).ok()?;
    let metadata = file.metadata().ok().filter(Metadata::is_file)?;
    let size = metadata.len();
    if size > objects::MAX_FILE {
        return Some(Err(objects::too_large(path, size)));
    }
    Some(content(file, size).map(Into::into).map_err(failed(path)))
}

/// What is in a file of that size. The system is not asked for the size again, nor, behind it, whether there is more; but of a file
/// that is made while it is read nobody knows the size.
fn content(file: File, size: u64) -> std::io::Result<Vec<u8>> {
    let most = if size == 0 { objects::MAX_FILE } else { size };
    let mut content = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
    file.take(most).read_to_end(&mut content)?;
    Ok(content)
}

fn failed(path: &str) -> impl FnOnce(std::io::Error) -> TreeError {
    |error| TreeError::Store { path: path.to_owned(), source: error.into() }
}

impl Tree for DiskTree {
    fn entry(&self, path: &str) -> Result<Option<Entry>, TreeError> {
        let found = self.metadata(path)?.as_ref().and_then(entry);
        if found.is_none() {
            self.note(tree::parent(path));
        }
        Ok(found)
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, TreeError> {
        self.note(tree::parent(path));
        let full = self.root.join(path);
        if let Some(read) = plain(&full, path) {
            return read;
        }
        let metadata = self.metadata(path)?;
        match metadata.as_ref().and_then(|metadata| kind(file_type(metadata))) {
            // It could not be opened, or has become one since.
            Some(EntryKind::File) => {
                let read = File::open(&full).and_then(|file| content(file, 0));
                Ok(read.map_err(failed(path))?.into())
            }
            Some(EntryKind::Link) => Ok(self.target(path, &full).map_err(failed(path))?.into()),
            Some(EntryKind::Folder | EntryKind::Submodule) => Err(TreeError::NotAFile(path.to_owned())),
            None => Err(TreeError::Missing(path.to_owned())),
        }
    }

    fn list(&self, path: &str) -> Result<Vec<(String, Entry)>, TreeError> {
        self.named(path, |folder, name, _| {
            folder.join(name).symlink_metadata().map(|metadata| entry(&metadata))
        })
    }

    fn kinds(&self, path: &str) -> Result<Vec<(String, EntryKind)>, TreeError> {
        self.named(path, |folder, name, told| match told {
            // Some file systems leave it to whoever asks of the file itself.
            FileType::Unknown => {
                folder.join(name).symlink_metadata().map(|metadata| kind(file_type(&metadata)))
            }
            told => Ok(kind(told)),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn written(files: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for (path, text) in files {
            let full = root.join(path);
            std::fs::create_dir_all(full.parent().unwrap()).unwrap();
            std::fs::write(full, text).unwrap();
        }
        (folder, root)
    }

    #[test]
    fn what_was_read_or_missed_says_how_far_up_a_reader_went() {
        let (_folder, root) = written(&[("a/b/one.yaml", ""), ("a/c/two.yaml", ""), ("d/three.yaml", "")]);
        let tree = DiskTree::new(&root);
        tree.read("a/b/one.yaml").unwrap();
        assert_eq!(tree.reach(), root.join("a/b"));
        tree.entry("a/c").unwrap().unwrap();
        assert_eq!(tree.reach(), root.join("a/b"), "to pass through a folder is not to read it");
        assert!(tree.entry("a/c/missing.yaml").unwrap().is_none());
        assert_eq!(tree.reach(), root.join("a"));
        tree.list("d").unwrap();
        assert_eq!(tree.reach(), root);
    }

    #[test]
    fn links_are_followed_wherever_they_point_below_the_root() {
        let (_folder, root) = written(&[("a/real.yaml", "kind: A\n"), ("b/c/x", "")]);
        std::os::unix::fs::symlink(root.join("a/real.yaml"), root.join("b/c/absolute.yaml")).unwrap();
        std::os::unix::fs::symlink("../../a", root.join("b/c/relative")).unwrap();
        std::os::unix::fs::symlink("/elsewhere", root.join("b/c/outside")).unwrap();
        let tree = DiskTree::new(&root);
        assert_eq!(tree::read_text(&tree, "b/c/absolute.yaml").unwrap(), "kind: A\n");
        assert_eq!(tree::read_text(&tree, "b/c/relative/real.yaml").unwrap(), "kind: A\n");
        let refused = tree::read_text(&tree, "b/c/outside").unwrap_err();
        assert!(matches!(refused, TreeError::Escapes { .. }), "{refused}");
    }

    #[test]
    fn a_folder_is_listed_by_name_without_gits_own() {
        let (_folder, root) =
            written(&[("b.yaml", ""), ("a.yaml", ""), (".git/config", ""), ("c/d.yaml", "")]);
        let listed = DiskTree::new(&root).list("").unwrap();
        let listed: Vec<_> = listed.iter().map(|(name, entry)| (name.as_str(), entry.kind)).collect();
        let wanted = [("a.yaml", EntryKind::File), ("b.yaml", EntryKind::File), ("c", EntryKind::Folder)];
        assert_eq!(listed, wanted);
    }

    #[test]
    fn what_a_folder_says_of_its_files_is_what_they_say_themselves() {
        let (_folder, root) = written(&[("b.yaml", ""), ("c/d.yaml", "")]);
        std::os::unix::fs::symlink("c", root.join("link")).unwrap();
        let socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
        let tree = DiskTree::new(&root);
        let kinds = tree.kinds("").unwrap();
        let listed: Vec<_> =
            tree.list("").unwrap().into_iter().map(|(name, entry)| (name, entry.kind)).collect();
        assert_eq!(kinds, listed);
        let names: Vec<_> = kinds.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["b.yaml", "c", "link"]);
        drop(socket);
    }

    #[test]
    fn what_is_no_folder_is_not_listed() {
        let (_folder, root) = written(&[("a/b.yaml", "")]);
        std::os::unix::fs::symlink("a", root.join("link")).unwrap();
        let tree = DiskTree::new(&root);
        assert!(matches!(tree.kinds("a/b.yaml"), Err(TreeError::NotAFolder(path)) if path == "a/b.yaml"));
        assert!(matches!(tree.kinds("link"), Err(TreeError::NotAFolder(path)) if path == "link"));
        assert!(matches!(tree.kinds("a/c"), Err(TreeError::Missing(path)) if path == "a/c"));
        assert!(matches!(tree.kinds("a/b.yaml/c"), Err(TreeError::Missing(path)) if path == "a/b.yaml/c"));
    }
}

//! A tree of files, as rendering sees it: a commit's tree in the object database, a folder, or memory.
//!
//! Paths are relative to the tree's root, separated by `/`, without `.` and `..`; the root is the
//! empty path. A [`Tree`] reports what stands at a path without following links; [`resolve`] follows
//! them and never leaves the tree.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// What a file's or folder's content is known by: a Git object id, or a hash of the content.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentId([u8; 32]);

impl ContentId {
    /// From the bytes of a hash of at most 32 bytes; shorter ones are padded with zeros.
    pub fn from_hash(hash: &[u8]) -> Self {
        let mut bytes = [0; 32];
        let len = hash.len().min(32);
        bytes[..len].copy_from_slice(&hash[..len]);
        Self(bytes)
    }

    /// The bytes of the id, padded with zeros to 32.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..8].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What kind of thing stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntryKind {
    /// A regular file, executable or not.
    File,
    /// A folder.
    Folder,
    /// A symbolic link; its content is the path that it points to.
    Link,
    /// A Git submodule, whose content is in another repository.
    Submodule,
}

/// What stands at a path of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entry {
    /// File, folder, link or submodule.
    pub kind: EntryKind,
    /// Changes when, and only when, the content below the path changes.
    pub id: ContentId,
}

/// Why a path of a tree could not be read.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// Nothing stands at the path.
    #[error("{0}: there is no such file or folder in the repository")]
    Missing(String),
    /// A file was asked for and something else stands there.
    #[error("{0}: is not a file")]
    NotAFile(String),
    /// A folder was asked for and something else stands there.
    #[error("{0}: is not a folder")]
    NotAFolder(String),
    /// A path or link points outside the tree.
    #[error("{path}: points to {target}, outside the repository")]
    Escapes {
        /// Where it stands.
        path: String,
        /// Where it points.
        target: String,
    },
    /// Links point at each other.
    #[error("{0}: too many symbolic links")]
    LinkLoop(String),
    /// The content is in another repository.
    #[error(
        "{0}: is a submodule; trueup does not read submodules yet, add the repository as its own Repository"
    )]
    Submodule(String),
    /// The file is there, and its content has not been fetched: it was not needed so far.
    #[error("{0}: its content has not been fetched")]
    Absent(String),
    /// The file is not UTF-8 text.
    #[error("{0}: is not UTF-8 text")]
    NotText(String),
    /// The store under the tree failed.
    #[error("{path}: cannot be read")]
    Store {
        /// What was being read.
        path: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Read access to a tree of files. Links are not followed here; see [`resolve`].
pub trait Tree: Send + Sync {
    /// What stands at `path`, or `None`. A path below a file or a link is `None`.
    fn entry(&self, path: &str) -> Result<Option<Entry>, TreeError>;

    /// The content of the file at `path`, or the target of the link there.
    fn read(&self, path: &str) -> Result<Arc<[u8]>, TreeError>;

    /// The names in the folder at `path` with what they are, sorted by name.
    fn list(&self, path: &str) -> Result<Vec<(String, Entry)>, TreeError>;

    /// As [`list`](Self::list), for who asks for no ids: where a file's id takes work of its own, this is faster.
    fn kinds(&self, path: &str) -> Result<Vec<(String, EntryKind)>, TreeError> {
        Ok(self.list(path)?.into_iter().map(|(name, entry)| (name, entry.kind)).collect())
    }
}

/// Joins a path written in `folder` to it and takes out `.` and `..`.
///
/// # Errors
/// [`TreeError::Escapes`] when the result is above the root or absolute.
pub fn join(folder: &str, written: &str) -> Result<String, TreeError> {
    let escapes = || TreeError::Escapes { path: folder.to_owned(), target: written.to_owned() };
    if written.starts_with('/') {
        return Err(escapes());
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    for part in written.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop().ok_or_else(escapes)?;
            }
            name => parts.push(name),
        }
    }
    Ok(parts.join("/"))
}

/// The folder that holds `path`; the root for a path of one part.
pub fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

const MAX_LINKS: usize = 32;

/// Follows symbolic links in every part of `path`; gives the real path and what stands there, which is never a link.
///
/// # Errors
/// A link that leaves the tree, loops, or a submodule on the way.
pub fn resolve(tree: &dyn Tree, path: &str) -> Result<Option<(String, Entry)>, TreeError> {
    let mut pending: Vec<String> =
        path.split('/').filter(|p| !p.is_empty()).rev().map(str::to_owned).collect();
    let mut real = String::new();
    let mut here = tree.entry("")?;
    let mut links = 0;
    while let Some(part) = pending.pop() {
        let next = join(&real, &part)?;
        let Some(entry) = tree.entry(&next)? else { return Ok(None) };
        match entry.kind {
            EntryKind::Link => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(TreeError::LinkLoop(path.to_owned()));
                }
                let target = tree.read(&next)?;
                let target = String::from_utf8_lossy(&target).into_owned();
                let joined = join(&real, &target)
                    .map_err(|_| TreeError::Escapes { path: next.clone(), target: target.clone() })?;
                pending.extend(joined.split('/').filter(|p| !p.is_empty()).rev().map(str::to_owned));
                real.clear();
                here = tree.entry("")?;
            }
            EntryKind::Submodule => return Err(TreeError::Submodule(next)),
            EntryKind::File | EntryKind::Folder => {
                real = next;
                here = Some(entry);
            }
        }
    }
    Ok(here.map(|entry| (real, entry)))
}

/// The text of the file at `path`, links followed, with the path it really stands at.
///
/// # Errors
/// Missing, not a file, not UTF-8, or a link that leaves the tree.
pub fn read_text(tree: &dyn Tree, path: &str) -> Result<String, TreeError> {
    let (real, entry) = resolve(tree, path)?.ok_or_else(|| TreeError::Missing(path.to_owned()))?;
    if entry.kind != EntryKind::File {
        return Err(TreeError::NotAFile(path.to_owned()));
    }
    let bytes = tree.read(&real)?;
    std::str::from_utf8(&bytes).map(str::to_owned).map_err(|_| TreeError::NotText(path.to_owned()))
}

/// A tree held in memory, for tests and for content that comes from elsewhere than Git.
#[derive(Clone, Debug, Default)]
pub struct MemoryTree {
    files: BTreeMap<String, Held>,
    /// The ids of all folders, made when the first one is asked for.
    folders: OnceLock<BTreeMap<String, ContentId>>,
}

#[derive(Clone, Debug)]
struct Held {
    entry: Entry,
    content: Arc<[u8]>,
}

impl MemoryTree {
    /// An empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a file at `path`; folders come to be as needed.
    pub fn insert(&mut self, path: &str, content: impl AsRef<[u8]>) {
        self.put(path, EntryKind::File, content.as_ref());
    }

    /// Puts a symbolic link at `path`.
    pub fn link(&mut self, path: &str, target: &str) {
        self.put(path, EntryKind::Link, target.as_bytes());
    }

    fn put(&mut self, path: &str, kind: EntryKind, content: &[u8]) {
        use sha2::{Digest, Sha256};
        let entry = Entry { kind, id: ContentId::from_hash(&Sha256::digest(content)) };
        self.files.insert(path.trim_matches('/').to_owned(), Held { entry, content: content.into() });
        self.folders = OnceLock::new();
    }

    /// The ids of all folders, from the names and ids of the files below.
    fn folders(&self) -> &BTreeMap<String, ContentId> {
        use sha2::{Digest, Sha256};
        self.folders.get_or_init(|| {
            let mut hashes = BTreeMap::from([(String::new(), Sha256::new())]);
            for (path, held) in &self.files {
                let mut folder = parent(path);
                loop {
                    let skip = if folder.is_empty() { 0 } else { folder.len() + 1 };
                    let hash = hashes.entry(folder.to_owned()).or_default();
                    hash.update(&path.as_bytes()[skip..]);
                    hash.update(held.entry.id.as_bytes());
                    if folder.is_empty() {
                        break;
                    }
                    folder = parent(folder);
                }
            }
            hashes.into_iter().map(|(path, hash)| (path, ContentId::from_hash(&hash.finalize()))).collect()
        })
    }

    fn below<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a str> {
        let skip = if path.is_empty() { 0 } else { path.len() + 1 };
        let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
        self.files
            .range(prefix.clone()..)
            .take_while(move |(name, _)| name.starts_with(&prefix))
            .map(move |(name, _)| &name[skip..])
    }
}

impl<P: AsRef<str>, C: AsRef<[u8]>> FromIterator<(P, C)> for MemoryTree {
    fn from_iter<I: IntoIterator<Item = (P, C)>>(files: I) -> Self {
        let mut tree = Self::new();
        for (path, content) in files {
            tree.insert(path.as_ref(), content);
        }
        tree
    }
}

impl Tree for MemoryTree {
    fn entry(&self, path: &str) -> Result<Option<Entry>, TreeError> {
        if let Some(held) = self.files.get(path) {
            return Ok(Some(held.entry));
        }
        Ok(self.folders().get(path).map(|id| Entry { kind: EntryKind::Folder, id: *id }))
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, TreeError> {
        match self.files.get(path) {
            Some(held) => Ok(held.content.clone()),
            None if self.below(path).next().is_some() => Err(TreeError::NotAFile(path.to_owned())),
            None => Err(TreeError::Missing(path.to_owned())),
        }
    }

    fn list(&self, path: &str) -> Result<Vec<(String, Entry)>, TreeError> {
        if self.files.contains_key(path) {
            return Err(TreeError::NotAFolder(path.to_owned()));
        }
        let mut names: Vec<&str> =
            self.below(path).map(|name| name.split('/').next().unwrap_or(name)).collect();
        names.sort_unstable();
        names.dedup();
        names
            .into_iter()
            .map(|name| {
                let full = join(path, name)?;
                let entry = self.entry(&full)?.ok_or_else(|| TreeError::Missing(full.clone()))?;
                Ok((name.to_owned(), entry))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_followed_inside_the_tree_and_refused_outside_of_it() {
        let mut tree = MemoryTree::from_iter([("base/a.yaml", "a")]);
        tree.link("overlay/base", "../base");
        tree.link("overlay/out", "../../etc");
        tree.link("loop", "loop");
        assert_eq!(read_text(&tree, "overlay/base/a.yaml").unwrap(), "a");
        assert!(matches!(resolve(&tree, "overlay/out"), Err(TreeError::Escapes { .. })));
        assert!(matches!(resolve(&tree, "loop"), Err(TreeError::LinkLoop(_))));
        assert!(resolve(&tree, "overlay/none").unwrap().is_none());
    }

    #[test]
    fn a_path_never_climbs_above_the_root() {
        assert_eq!(join("a/b", "../c/./d").unwrap(), "a/c/d");
        assert_eq!(join("", ".").unwrap(), "");
        assert!(join("a", "../../b").is_err());
        assert!(join("a", "/etc").is_err());
    }
}

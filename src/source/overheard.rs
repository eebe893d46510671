//! Commits of which somebody else hears what is read of them.

use super::{Commit, Spec};
use std::fmt;
use std::sync::Arc;
use trueup_model::tree::{Entry, EntryKind, Tree, TreeError};

/// Told of what is read.
pub type Ear = dyn Fn(&Heard<'_>) + Send + Sync;

/// What was read of a repository.
#[derive(Clone, Copy, Debug)]
pub struct Heard<'h> {
    /// The repository's address, without credentials.
    pub location: &'h str,
    /// What of it is followed, as [`Reference`](super::Reference) prints itself.
    pub followed: &'h str,
    /// The commit.
    pub revision: &'h str,
    /// What was read of it.
    pub part: Part<'h>,
}

/// A part of a commit.
#[derive(Clone, Copy, Debug)]
pub enum Part<'h> {
    /// The commit itself, when it was fetched.
    Whole,
    /// That a file with this content stands at a path.
    File(&'h str, &'h [u8; 32]),
    /// Its content.
    Content(&'h str, &'h [u8; 32], &'h [u8]),
}

/// Who hears; nobody, mostly.
#[derive(Clone, Default)]
pub(super) struct Listening(pub(super) Option<Arc<Ear>>);

impl fmt::Debug for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "overheard" } else { "alone" })
    }
}

impl Listening {
    /// The commit as it is read from now on.
    pub(super) fn to(&self, commit: Commit, spec: &Spec) -> Commit {
        let Some(ear) = self.0.clone() else { return commit };
        let (location, followed) = (spec.location.to_string(), spec.reference.to_string());
        let revision = commit.revision.clone();
        let tree = Arc::new(Overheard { tree: commit.tree.clone(), ear, location, followed, revision });
        tree.tell(Part::Whole);
        Commit { tree, ..commit }
    }
}

struct Overheard {
    tree: Arc<dyn Tree>,
    ear: Arc<Ear>,
    location: String,
    followed: String,
    revision: String,
}

impl Overheard {
    fn tell(&self, part: Part<'_>) {
        let Self { location, followed, revision, .. } = self;
        (self.ear)(&Heard { location, followed, revision, part });
    }

    fn tell_of(&self, path: &str, entry: &Entry) {
        if entry.kind == EntryKind::File {
            self.tell(Part::File(path, entry.id.as_bytes()));
        }
    }
}

impl Tree for Overheard {
    fn entry(&self, path: &str) -> Result<Option<Entry>, TreeError> {
        let entry = self.tree.entry(path)?;
        if let Some(entry) = &entry {
            self.tell_of(path, entry);
        }
        Ok(entry)
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, TreeError> {
        let content = self.tree.read(path)?;
        if let Ok(Some(entry)) = self.tree.entry(path) {
            self.tell(Part::Content(path, entry.id.as_bytes(), &content));
        }
        Ok(content)
    }

    fn list(&self, path: &str) -> Result<Vec<(String, Entry)>, TreeError> {
        let entries = self.tree.list(path)?;
        for (name, entry) in &entries {
            let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
            self.tell_of(&path, entry);
        }
        Ok(entries)
    }
}

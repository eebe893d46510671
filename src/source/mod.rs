//! Sources: from a Repository to a commit and its tree.
//!
//! What enters: a [`Spec`] of plain values (secrets read, variables replaced). What leaves: the [`Head`]
//! that a reference names now, and the [`Commit`] with its tree, read from the object database of a bare
//! mirror, of a local repository, or from a folder. Charts have sources of their own: [`charts`].
//!
//! Deliberately absent: when to ask (triggers are `sync`'s), what is in the files, retries and backoff.
//! Git itself is gix, and nothing outside this module sees it; only ssh is a program that is started.
//!
//! Every action is bounded in time, runs on a bounded number of threads, and its errors say what to do
//! and never hold a credential.

mod cache;
pub mod charts;
mod disk;
mod error;
mod file;
mod folder;
pub mod forge;
mod http;
mod limits;
mod local;
mod mirror;
mod needed;
mod objects;
mod origin;
pub mod overheard;
mod packed;
mod partial;
mod receive;
mod reference;
mod spec;
mod ssh;
mod threads;
mod watch;
mod wire;

use std::fmt;
use std::sync::Arc;

use trueup_model::Tree;

pub use cache::{Cache, Source};
pub use disk::DiskTree;
pub use error::{ErrorClass, SourceError};
pub use origin::{Find, Origin, Reach};
use partial::Rest;
pub use spec::{ChartUrl, Credentials, FileUrl, HttpUrl, Location, Reference, Secret, Spec, SshUrl};
pub use watch::{Watch, watch};

/// What a reference names at the moment of asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The commit as 40 (or 64) hex digits, or `worktree-<12 hex digits>` of a folder's content;
    /// of a file behind a URL the hash of its content; of a chart `1.2.3@sha256:<64 hex digits>`.
    pub revision: String,
    /// The name of the reference, such as `refs/heads/main` or `refs/tags/v1.2.0`.
    pub reference: String,
    /// The object that the server offers under the reference: the commit, or a tag of it.
    advertised: Option<gix::ObjectId>,
}

/// A commit whose tree can be read.
#[derive(Clone)]
pub struct Commit {
    /// As in [`Head::revision`].
    pub revision: String,
    /// The author's name.
    pub author: String,
    /// The author's address, if there is one.
    pub email: Option<String>,
    /// When it was committed; for a folder, when its newest file was written.
    pub time: jiff::Timestamp,
    /// The first line of the message.
    pub subject: String,
    /// The files.
    pub tree: Arc<dyn Tree>,
    /// How contents of files are had that have not been fetched; nothing where all have been.
    rest: Option<Arc<Rest>>,
}

impl Commit {
    /// A commit of which all files are there, by somebody, of the epoch.
    pub fn of(revision: &str, tree: Arc<dyn Tree>) -> Self {
        Self {
            revision: revision.to_owned(),
            author: String::new(),
            email: None,
            time: jiff::Timestamp::UNIX_EPOCH,
            subject: String::new(),
            tree,
            rest: None,
        }
    }
}

impl fmt::Debug for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Commit")
            .field("revision", &self.revision)
            .field("author", &self.author)
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}

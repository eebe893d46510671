//! Repositories that are somewhere else than in the network or on the disk.

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;

use super::overheard::Ear;
use super::{Commit, Location, Reference, SourceError};

/// Finds the repository at a location.
pub type Find = dyn Fn(&Location) -> Arc<dyn Origin> + Send + Sync;

/// Where repositories are.
#[derive(Clone, Default)]
pub enum Reach {
    /// Where their locations say.
    #[default]
    Network,
    /// In this process.
    Here(Arc<Find>),
    /// Where their locations say, and somebody hears what is read of them.
    Overheard(Arc<Ear>),
}

impl fmt::Debug for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Network => "network",
            Self::Here(_) => "here",
            Self::Overheard(_) => "overheard",
        })
    }
}

/// A repository in this process. Its answers may come late, and may be errors.
pub trait Origin: Send + Sync {
    /// The commit that a reference names now.
    fn poll(&self, reference: &Reference) -> BoxFuture<'_, Result<String, SourceError>>;

    /// A commit, with its tree.
    fn fetch(&self, revision: &str) -> BoxFuture<'_, Result<Commit, SourceError>>;

    /// A commit that was fetched before; nobody is asked for it.
    fn kept(&self, revision: &str) -> Option<Commit>;
}

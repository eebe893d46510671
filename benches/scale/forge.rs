//! Git: a repository in memory, whose server answers at once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use trueup::source::{Commit, Origin, Reference, SourceError};
use trueup_model::tree::MemoryTree;

const LOCATION: &str = "https://git.example.com/fleet.git";

/// A repository with one branch.
#[derive(Default)]
pub(crate) struct Forge {
    /// Newest last. Older ones are of no use to anybody.
    commits: Mutex<Vec<(String, Arc<MemoryTree>)>>,
}

impl Forge {
    /// Makes a commit; gives its revision.
    pub(crate) fn commit(&self, tree: MemoryTree) -> String {
        let mut commits = self.lock();
        let number = commits.last().map_or(0, |(last, _)| u64::from_str_radix(last, 16).unwrap_or(0)) + 1;
        let revision = format!("{number:040x}");
        commits.push((revision.clone(), Arc::new(tree)));
        if commits.len() > 3 {
            commits.remove(0);
        }
        revision
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(String, Arc<MemoryTree>)>> {
        self.commits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Origin for Forge {
    fn poll(&self, _: &Reference) -> BoxFuture<'_, Result<String, SourceError>> {
        let head = self.lock().last().map(|(revision, _)| revision.clone());
        let missing = || SourceError::RefMissing {
            location: LOCATION.to_owned(),
            wanted: "branch main".to_owned(),
            near: Vec::new(),
        };
        std::future::ready(head.ok_or_else(missing)).boxed()
    }

    fn fetch(&self, revision: &str) -> BoxFuture<'_, Result<Commit, SourceError>> {
        let missing =
            || SourceError::CommitMissing { location: LOCATION.to_owned(), revision: revision.to_owned() };
        let found = self.kept(revision).ok_or_else(missing);
        std::future::ready(found).boxed()
    }

    fn kept(&self, revision: &str) -> Option<Commit> {
        let commits = self.lock();
        let (_, tree) = commits.iter().find(|(known, _)| known == revision)?;
        let mut commit = Commit::of(revision, tree.clone());
        "someone".clone_into(&mut commit.author);
        "a change".clone_into(&mut commit.subject);
        Some(commit)
    }
}

//! Large repositories: of their commits all folders are fetched, and of the files those that are needed.
//!
//! A mirror finds out by its first fetch that its repository is large, and remembers it in `git/<key>/measure`. What a rendering
//! turns out to need is fetched by the ids of the files, many at once; a new commit comes with the files of those folders
//! that were needed before.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use super::limits::Limits;
use super::mirror::{self, Mirror};
use super::objects::{self, Objects, ReadError};
use super::receive::{Ask, Content, Depth};
use super::threads::Threads;
use super::wire::{FetchError, Next, Remote, Session};
use super::{Commit, SourceError, needed};

/// What is known of a repository's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Measure {
    Unknown,
    /// Parts of it are fetched.
    Large,
    /// It is fetched whole, whatever its size: the server does not give out files by their ids.
    Whole,
}

/// Where the contents of a commit's files come from that have not been fetched.
pub(super) struct Rest {
    pub(super) remote: Arc<Remote>,
    pub(super) mirror: Arc<Mirror>,
    pub(super) objects: Arc<Objects>,
    pub(super) commit: gix::ObjectId,
    pub(super) threads: Threads,
    pub(super) bound: Duration,
}

/// The last time that files were asked for.
pub(super) struct Last {
    ended: Instant,
    commit: gix::ObjectId,
    paths: BTreeSet<String>,
    /// Where the server is that could not be reached, and why.
    failed: Option<(String, String)>,
}

/// Whether a path or a folder above it is among `paths`.
fn covers(paths: &BTreeSet<String>, path: &str) -> bool {
    let mut at = path;
    while !paths.contains(at) {
        if at.is_empty() {
            return false;
        }
        at = trueup_model::tree::parent(at);
    }
    true
}

impl Commit {
    /// Fetches the files at, beside and below `paths`, as far as they have not been: all at once, and nothing where a
    /// folder holds too many. Who then meets an absent file says so by calling again.
    ///
    /// # Errors
    /// See [`SourceError`].
    pub async fn supply(&self, paths: BTreeSet<String>) -> Result<(), SourceError> {
        let Some(rest) = self.rest.clone() else { return Ok(()) };
        let mirror = rest.mirror.clone();
        let asked = Instant::now();
        let _turn = mirror.turn.lock().await;
        if let Some(result) = mirror.supplied_since(asked, rest.commit, &paths) {
            return result;
        }
        let (location, threads, bound) = (rest.remote.location(), rest.threads.clone(), rest.bound);
        let work = move |limits: &Limits| {
            let supplied = rest.mirror.supply(&rest.remote, &rest.objects, rest.commit, &paths, limits);
            rest.mirror.note(rest.commit, paths, &supplied);
            supplied
        };
        threads.run(&location, bound, work).await
    }
}

impl Mirror {
    /// What was found out about the repository's size.
    pub(super) fn measure(&self) -> Measure {
        match std::fs::read_to_string(self.folder.join("measure")).unwrap_or_default().trim() {
            "large" => Measure::Large,
            "whole" => Measure::Whole,
            _ => Measure::Unknown,
        }
    }

    pub(super) fn set_measure(&self, measure: Measure) -> Result<(), SourceError> {
        let text = match measure {
            Measure::Unknown => "",
            Measure::Large => "large\n",
            Measure::Whole => "whole\n",
        };
        let path = self.folder.join("measure");
        std::fs::write(&path, text).map_err(|error| SourceError::io("write", &path, error))
    }

    /// What came of it when others asked for the same while this one waited for its turn.
    fn supplied_since(
        &self,
        asked: Instant,
        commit: gix::ObjectId,
        paths: &BTreeSet<String>,
    ) -> Option<Result<(), SourceError>> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let last = last.as_ref().filter(|last| last.ended > asked)?;
        match &last.failed {
            Some((location, cause)) => {
                Some(Err(SourceError::Unreachable { location: location.clone(), cause: cause.clone() }))
            }
            None => (last.commit == commit && paths.iter().all(|path| covers(&last.paths, path)))
                .then_some(Ok(())),
        }
    }

    fn note(&self, commit: gix::ObjectId, paths: BTreeSet<String>, result: &Result<(), SourceError>) {
        let failed = match result {
            Ok(()) => None,
            Err(SourceError::Unreachable { location, cause }) => Some((location.clone(), cause.clone())),
            Err(SourceError::Timeout { location, .. }) => {
                Some((location.clone(), "it did not answer in time".to_owned()))
            }
            // What is wrong with one commit says nothing of another.
            Err(_) => return,
        };
        let last = Last { ended: Instant::now(), commit, paths, failed };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
    }

    fn supply(
        &self,
        remote: &Arc<Remote>,
        objects: &Arc<Objects>,
        commit: gix::ObjectId,
        paths: &BTreeSet<String>,
        limits: &Limits,
    ) -> Result<(), SourceError> {
        let _lock = self.lock(remote, limits)?;
        let lacking = || {
            let root = objects::root(objects, commit)?;
            if objects.is_partial() { needed::around(objects, root, paths) } else { Ok(Vec::new()) }
        };
        let damaged = |cause: String| SourceError::Damaged { location: remote.location(), cause };
        let wants = lacking().map_err(|error| damaged(error.to_string()))?;
        if wants.is_empty() {
            return Ok(());
        }
        mirror::tidy(objects.git_dir());
        if mirror::is_full(objects.git_dir()) {
            // The next look at the repository begins a generation.
            objects.mark_damaged();
            return Err(damaged("it has gathered too many packs, and is cloned anew".to_owned()));
        }
        let fetched =
            remote.converse(limits, |()| Next::Later, |session| files(objects, session, wants.clone()));
        match fetched {
            Ok(()) => match objects.lacking(wants).first() {
                None => Ok(()),
                Some(id) => Err(damaged(format!("the server was asked for {id}, and did not send it"))),
            },
            Err(FetchError::Source(error)) => Err(error),
            Err(FetchError::NotOffered) => self.complete(remote, objects, commit, limits),
            Err(FetchError::Large) => {
                Err(damaged("files were asked for, and something large came".to_owned()))
            }
            Err(FetchError::Unusable(cause)) => {
                objects.mark_damaged();
                Err(damaged(cause))
            }
        }
    }

    /// For a server that sends parts, but not by their ids: the commit is fetched whole, and so are all after it.
    fn complete(
        &self,
        remote: &Arc<Remote>,
        objects: &Arc<Objects>,
        commit: gix::ObjectId,
        limits: &Limits,
    ) -> Result<(), SourceError> {
        let location = remote.location();
        tracing::info!(
            repository = location,
            "the server does not give out files by their ids; all are fetched"
        );
        self.set_measure(Measure::Whole)?;
        let ask = Ask { wants: vec![commit], haves: Vec::new(), depth: Depth::One, content: Content::Whole };
        let whole = |session: &mut Session| objects.with(|repository| session.fetch(repository, &ask));
        let fetched = remote.converse(limits, |()| Next::Later, whole);
        let damaged = |cause: String| SourceError::Damaged { location: location.clone(), cause };
        fetched.map_err(|error| match error {
            FetchError::Source(error) => error,
            FetchError::NotOffered => {
                SourceError::CommitMissing { location: location.clone(), revision: commit.to_string() }
            }
            FetchError::Large => damaged("a commit was asked for, and something large came".to_owned()),
            FetchError::Unusable(cause) => damaged(cause),
        })?;
        // Of the others files may still be absent.
        mirror::keep_only(objects.git_dir(), commit);
        objects.mark_whole().map_err(|error| SourceError::io("write", objects.git_dir(), error))?;
        objects::verify(objects, commit).map_err(|error| damaged(error.to_string()))
    }
}

/// Fetches of a new commit the files of those folders that were needed of the one before. What fails here is fetched when
/// a rendering needs it.
pub(super) fn fetch_alike(
    (before, old): (&Objects, gix::ObjectId),
    (objects, new): (&Arc<Objects>, gix::ObjectId),
    session: &mut Session,
) {
    let wants = || -> Result<Vec<gix::ObjectId>, ReadError> {
        needed::alike((before, objects::root(before, old)?), (objects, objects::root(objects, new)?))
    };
    let fetched = match wants() {
        Ok(wants) if wants.is_empty() => return,
        Ok(wants) => files(objects, session, wants).map_err(|error| format!("{error:?}")),
        Err(error) => Err(error.to_string()),
    };
    if let Err(cause) = fetched {
        tracing::debug!(
            repository = session.location(),
            cause,
            "files could not be fetched with their commit"
        );
    }
}

/// Fetches files by their ids.
fn files(objects: &Objects, session: &mut Session, wants: Vec<gix::ObjectId>) -> Result<(), FetchError> {
    let ask = Ask { wants, haves: Vec::new(), depth: Depth::All, content: Content::Whole };
    objects.with(|repository| session.fetch(repository, &ask))
}

//! Bare mirrors of remote repositories, below the cache folder.
//!
//! `git/<key>/g<N>` is a bare repository; the highest N counts. `refs/trueup/<commit>` says that all
//! objects of the commit have arrived, so what was cut off half-way is never taken for whole. A mirror
//! that is damaged, or has gathered too many packs, is cloned anew into the next generation; the one
//! before goes away when no tree of it is held any more, by this or another process.

use crate::hex::hex;
use std::collections::HashSet;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::limits::Limits;
use super::objects::{self, Objects, ReadError};
use super::partial::{Last, Measure, fetch_alike};
use super::receive::{Ask, Content, Depth};
use super::wire::{FetchError, Next, Remote, Session};
use super::{Commit, SourceError};

/// Every fetch adds a pack, and every pack makes looking for an object slower.
const MANY_PACKS: usize = 50;
/// More than this the object database has no places for.
const MAX_PACKS: usize = 200;
/// A large repository is not cloned anew for a few small packs: only when they make up this part of it.
const WORTH_A_CLONE: u64 = 4;
/// Commits that the server is told of; the newest are the likeliest to be shared.
const MAX_HAVES: usize = 16;
const FETCHED: &str = "refs/trueup";

/// The mirror of one repository, shared by all sources with its URL and scope.
pub(super) struct Mirror {
    pub(super) folder: PathBuf,
    /// Whoever fetches holds it, so that others of this process wait without a thread.
    pub(super) turn: tokio::sync::Mutex<()>,
    current: Mutex<Option<Arc<Objects>>>,
    verified: Mutex<HashSet<gix::ObjectId>>,
    pub(super) last: Mutex<Option<Last>>,
}

/// The commit that is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Want {
    pub(super) commit: gix::ObjectId,
    /// What the server offers for it; nothing for a commit that is only known by its id.
    pub(super) advertised: Option<gix::ObjectId>,
}

/// A commit, and where it was found.
pub(super) struct Found {
    pub(super) commit: Commit,
    pub(super) objects: Arc<Objects>,
    pub(super) id: gix::ObjectId,
}

/// The folder name of a mirror.
pub(super) fn key(scope: &str, location: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(scope.as_bytes());
    hash.update([0]);
    hash.update(location.as_bytes());
    hex(&hash.finalize()[..16])
}

impl Mirror {
    pub(super) fn open(folder: PathBuf, location: &str) -> Result<Self, SourceError> {
        std::fs::create_dir_all(&folder).map_err(|error| SourceError::io("create", &folder, error))?;
        let note = folder.join("url");
        std::fs::write(&note, format!("{location}\n"))
            .map_err(|error| SourceError::io("write", &note, error))?;
        Ok(Self {
            folder,
            turn: tokio::sync::Mutex::default(),
            current: Mutex::default(),
            verified: Mutex::default(),
            last: Mutex::default(),
        })
    }

    /// Whether the generation that counts was found damaged, and not replaced yet.
    pub(super) fn is_damaged(&self) -> bool {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().is_some_and(|objects| objects.is_damaged())
    }

    /// Whether the commit has been fetched, as far as can be said without looking into it.
    pub(super) fn has(&self, id: gix::ObjectId) -> bool {
        self.current().is_some_and(|objects| is_marked(objects.git_dir(), id))
    }

    /// The commit, if all of it is here and whole.
    pub(super) fn present(&self, id: gix::ObjectId) -> Option<Found> {
        let objects = self.current()?;
        if !is_marked(objects.git_dir(), id) {
            return None;
        }
        self.checked(&objects, id).ok()
    }

    /// The only commit here whose id starts with `digits`.
    pub(super) fn resolve(&self, digits: &str) -> Option<gix::ObjectId> {
        let objects = self.current()?;
        let starts = |id: &gix::ObjectId| digits.len() >= 4 && id.to_string().starts_with(digits);
        let mut found = fetched(objects.git_dir()).into_iter().filter(starts);
        let first = found.next();
        if found.next().is_some() { None } else { first }
    }

    /// Fetches the wanted commit, or finds it here.
    pub(super) fn fetch(
        &self,
        remote: &Arc<Remote>,
        want: Want,
        limits: &Limits,
    ) -> Result<Found, SourceError> {
        let _lock = self.lock(remote, limits)?;
        if let Some(commit) = self.present(want.commit) {
            return Ok(commit);
        }
        let once = |_: &Found| Next::Later;
        if let Some(objects) = self.current().filter(|objects| !is_worn(objects.git_dir())) {
            match remote.converse(limits, once, |session| self.extend(&objects, session, want)) {
                Ok(commit) => return Ok(commit),
                Err(FetchError::Source(error)) => return Err(error),
                Err(FetchError::NotOffered) if want.advertised.is_some() => {
                    return Err(missing(remote, want));
                }
                Err(FetchError::NotOffered) => return self.clone_all(remote, want, limits),
                // The server cannot send parts any more.
                Err(FetchError::Large) => {}
                Err(FetchError::Unusable(cause)) => {
                    tracing::warn!(repository = remote.location(), cause, "mirror is damaged, cloning anew");
                    objects.mark_damaged();
                }
            }
        }
        let wants = vec![want.advertised.unwrap_or(want.commit)];
        let clone = |session: &mut Session| {
            let depth = if session.can_be_shallow() { Depth::One } else { Depth::All };
            let content = match self.measure() {
                _ if !session.can_be_partial() => Content::Whole,
                Measure::Unknown => Content::WholeIfSmall,
                Measure::Large => Content::Folders,
                Measure::Whole => Content::Whole,
            };
            self.clone_anew(session, &Ask { wants: wants.clone(), haves: Vec::new(), depth, content }, want)
        };
        let mut cloned = remote.converse(limits, once, clone);
        if matches!(cloned, Err(FetchError::Large)) {
            tracing::info!(
                repository = remote.location(),
                "the repository is large; of its files those that are needed are fetched"
            );
            self.set_measure(Measure::Large)?;
            cloned = remote.converse(limits, once, clone);
        }
        match cloned {
            Err(FetchError::NotOffered) if want.advertised.is_none() => self.clone_all(remote, want, limits),
            cloned => cloned.map_err(|error| failed(remote, want, error)),
        }
    }

    /// For servers that give out nothing but their references: all of those, with their history.
    fn clone_all(&self, remote: &Arc<Remote>, want: Want, limits: &Limits) -> Result<Found, SourceError> {
        let all = ["refs/heads/".to_owned(), "refs/tags/".to_owned()];
        let cloned = remote.converse(
            limits,
            |_| Next::Later,
            |session| {
                let mut wants: Vec<_> =
                    session.list(&all)?.into_iter().map(|listed| listed.advertised).collect();
                wants.sort_unstable();
                wants.dedup();
                let ask = Ask { wants, haves: Vec::new(), depth: Depth::All, content: Content::Whole };
                self.clone_anew(session, &ask, want)
            },
        );
        cloned.map_err(|error| failed(remote, want, error))
    }

    /// Adds the wanted commit to the mirror as it is.
    fn extend(&self, objects: &Arc<Objects>, session: &mut Session, want: Want) -> Result<Found, FetchError> {
        let git_dir = objects.git_dir().to_owned();
        tidy(&git_dir);
        let mut haves = fetched(&git_dir);
        haves.truncate(MAX_HAVES);
        let depth = if git_dir.join("shallow").exists() { Depth::One } else { Depth::All };
        let content = if !objects.is_partial() {
            Content::Whole
        } else if session.can_be_partial() {
            Content::Folders
        } else {
            return Err(FetchError::Large);
        };
        let before = haves.first().copied();
        let wants = vec![want.advertised.unwrap_or(want.commit)];
        let ask = Ask { wants, haves, depth, content };
        objects.with(|repository| session.fetch(repository, &ask))?;
        if let Some(before) = before.filter(|_| objects.is_partial()) {
            fetch_alike((objects, before), (objects, want.commit), session);
        }
        let commit = self.checked(objects, want.commit).map_err(|error| unusable(session, &error))?;
        mark(&git_dir, want.commit)?;
        Ok(commit)
    }

    /// Clones into the next generation and makes it the one that counts.
    fn clone_anew(&self, session: &mut Session, ask: &Ask, want: Want) -> Result<Found, FetchError> {
        self.sweep();
        let before = self.current();
        let building = self.folder.join("building");
        let failed = |error: gix::Error| FetchError::Unusable(objects::text(&error));
        {
            let create = gix::create::Options {
                object_hash: (session.hash() == gix::hash::Kind::Sha256).then_some(gix::hash::Kind::Sha256),
                ..gix::create::Options::default()
            };
            let kind = gix::create::Kind::Bare;
            let repository =
                gix::ThreadSafeRepository::init_opts(&building, kind, create, objects::options())
                    .map_err(|error| {
                        SourceError::io("create", &building, io::Error::other(objects::text(&error)))
                    })?
                    .to_thread_local();
            session.fetch(&repository, ask)?;
            match repository.try_find_header(want.commit) {
                Ok(Some(found)) if found.kind() == gix::objs::Kind::Commit => {}
                Ok(Some(found)) => return Err(not_a_commit(session, want.commit, found.kind())),
                Ok(None) => return Err(FetchError::NotOffered),
                Err(error) => return Err(failed(error)),
            }
        }
        if ask.content == Content::Folders {
            let note = building.join(objects::PARTIAL);
            std::fs::write(&note, "").map_err(|error| SourceError::io("write", &note, error))?;
        }
        mark(&building, want.commit)?;
        let next = generations(&self.folder).last().map_or(1, |(number, _)| number + 1);
        let place = self.folder.join(format!("g{next}"));
        std::fs::rename(&building, &place).map_err(|error| SourceError::io("rename", &building, error))?;
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.verified.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let objects =
            self.current().ok_or_else(|| FetchError::Unusable("the new mirror cannot be opened".into()))?;
        let commit = self.checked(&objects, want.commit).map_err(|error| unusable(session, &error))?;
        if let Some(before) = before.filter(|before| before.is_partial() && objects.is_partial())
            && let Some(earlier) = fetched(before.git_dir()).first()
        {
            fetch_alike((&before, *earlier), (&objects, want.commit), session);
        }
        self.sweep();
        Ok(commit)
    }

    /// The commit, after all of its tree was found to be there once.
    fn checked(&self, objects: &Arc<Objects>, id: gix::ObjectId) -> Result<Found, ReadError> {
        let commit = objects::commit(objects, id)?;
        let known = self.verified.lock().unwrap_or_else(PoisonError::into_inner).contains(&id);
        if !known {
            objects::verify(objects, id)?;
            self.verified.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
        }
        Ok(Found { commit, objects: objects.clone(), id })
    }

    /// The generation that counts, unless it is damaged or there is none.
    fn current(&self) -> Option<Arc<Objects>> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let (number, place) = generations(&self.folder).pop()?;
        match &*current {
            Some(objects) if objects.git_dir() == place => {}
            Some(_) | None => {
                let lease = lease(&place).ok()?;
                let opened = Objects::open(&place, Some(lease)).inspect_err(|error| {
                    let cause = objects::text(error);
                    tracing::warn!(generation = number, cause, "mirror cannot be opened, cloning anew");
                });
                let objects = opened.ok()?;
                *current = Some(Arc::new(objects));
                self.verified.lock().unwrap_or_else(PoisonError::into_inner).clear();
            }
        }
        current.clone().filter(|objects| !objects.is_damaged())
    }

    /// Removes what was left half-built and the generations that nobody reads. The lock must be held.
    fn sweep(&self) {
        let mut old = generations(&self.folder);
        old.pop();
        for (number, place) in old {
            // First out of the way, then gone: nobody opens what is half removed.
            let doomed = self.folder.join(format!("removed-{number}"));
            if !is_read(&place) && std::fs::rename(&place, &doomed).is_ok() {
                let _ = std::fs::remove_dir_all(&doomed);
            }
        }
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return };
        for entry in entries.filter_map(Result::ok) {
            let name = entry.file_name();
            if name == "building" || name.to_string_lossy().starts_with("removed-") {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
    }

    /// Waits for its turn among processes. The lock goes with the process, however that ends.
    pub(super) fn lock(&self, remote: &Remote, limits: &Limits) -> Result<File, SourceError> {
        let path = self.folder.join("lock");
        let failed = |error| SourceError::io("lock", &path, error);
        // Another process may have found the mirror unused, and removed it, a moment ago.
        std::fs::create_dir_all(&self.folder).map_err(failed)?;
        let file = File::options().create(true).append(true).open(&path).map_err(failed)?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(error)) => return Err(failed(error)),
                Err(TryLockError::WouldBlock) => {
                    if limits.wait(tokio::time::sleep(Duration::from_millis(20))).is_err() {
                        return Err(SourceError::Timeout {
                            location: remote.location(),
                            doing: "waiting for another process that fetches",
                            after: limits.after,
                        });
                    }
                }
            }
        }
    }
}

/// Removes the mirror in `folder` when it was opened longer ago than `unused` and nobody reads it.
pub(super) fn remove_if_unused(folder: &Path, unused: Duration) {
    let opened = std::fs::metadata(folder.join("url")).and_then(|metadata| metadata.modified());
    let recent = opened.is_ok_and(|opened| opened.elapsed().is_ok_and(|age| age < unused));
    let Ok(lock) = File::options().create(true).append(true).open(folder.join("lock")) else { return };
    if recent || lock.try_lock().is_err() || generations(folder).iter().any(|(_, place)| is_read(place)) {
        return;
    }
    let doomed = folder.with_extension("removed");
    if std::fs::rename(folder, &doomed).is_ok() {
        let _ = std::fs::remove_dir_all(&doomed);
    }
}

/// The generations of a mirror by number.
fn generations(folder: &Path) -> Vec<(u64, PathBuf)> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<_> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let number = entry.file_name().to_str()?.strip_prefix('g')?.parse().ok()?;
            Some((number, entry.path()))
        })
        .collect();
    found.sort_unstable();
    found
}

/// Whether somebody has a lease of a generation. Without a lease file nobody can.
fn is_read(place: &Path) -> bool {
    File::open(place.join("lease")).is_ok_and(|lease| lease.try_lock().is_err())
}

fn missing(remote: &Remote, want: Want) -> SourceError {
    SourceError::CommitMissing { location: remote.location(), revision: want.commit.to_string() }
}

fn failed(remote: &Remote, want: Want, error: FetchError) -> SourceError {
    match error {
        FetchError::Source(error) => error,
        FetchError::NotOffered => missing(remote, want),
        FetchError::Large => SourceError::Damaged {
            location: remote.location(),
            cause: "the server said that it can send parts, and then not".to_owned(),
        },
        FetchError::Unusable(cause) => SourceError::Damaged { location: remote.location(), cause },
    }
}

fn not_a_commit(session: &Session, id: gix::ObjectId, kind: gix::objs::Kind) -> FetchError {
    let cause = format!("{id} is a {kind}, not a commit");
    SourceError::Invalid { location: session.location().to_owned(), cause }.into()
}

fn unusable(session: &Session, error: &ReadError) -> FetchError {
    match error {
        ReadError::OtherKind { id, found, .. } => not_a_commit(session, *id, *found),
        ReadError::Missing(_) | ReadError::Absent(_) | ReadError::Broken { .. } => {
            FetchError::Unusable(error.to_string())
        }
    }
}

/// Takes part in the use of a generation.
fn lease(place: &Path) -> io::Result<File> {
    let path = place.join("lease");
    let file = File::options().create(true).append(true).open(&path)?;
    file.try_lock_shared().map_err(|error| match error {
        TryLockError::Error(error) => error,
        TryLockError::WouldBlock => io::ErrorKind::ResourceBusy.into(),
    })?;
    // Between opening and locking somebody may have moved it away to remove it.
    if path.exists() { Ok(file) } else { Err(io::ErrorKind::NotFound.into()) }
}

fn is_marked(git_dir: &Path, id: gix::ObjectId) -> bool {
    git_dir.join(FETCHED).join(id.to_string()).exists()
}

/// Notes that all of a commit is here.
fn mark(git_dir: &Path, id: gix::ObjectId) -> Result<(), SourceError> {
    let folder = git_dir.join(FETCHED);
    let (path, draft) = (folder.join(id.to_string()), folder.join(format!("{id}.lock")));
    std::fs::create_dir_all(&folder)
        .and_then(|()| std::fs::write(&draft, format!("{id}\n")))
        .and_then(|()| std::fs::rename(&draft, &path))
        .map_err(|error| SourceError::io("write", &path, error))
}

/// Forgets all commits but one.
pub(super) fn keep_only(git_dir: &Path, commit: gix::ObjectId) {
    for other in fetched(git_dir).into_iter().filter(|other| *other != commit) {
        let _ = std::fs::remove_file(git_dir.join(FETCHED).join(other.to_string()));
    }
}

/// The commits that have arrived in full, newest first.
pub(super) fn fetched(git_dir: &Path) -> Vec<gix::ObjectId> {
    let Ok(entries) = std::fs::read_dir(git_dir.join(FETCHED)) else { return Vec::new() };
    let mut found: Vec<_> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let id = gix::ObjectId::from_hex(entry.file_name().to_str()?.as_bytes()).ok()?;
            Some((entry.metadata().ok()?.modified().ok()?, id))
        })
        .collect();
    found.sort_unstable();
    found.into_iter().rev().map(|(_, id)| id).collect()
}

/// Removes what a fetch that was cut off has left. The lock must be held.
pub(super) fn tidy(git_dir: &Path) {
    let _ = std::fs::remove_file(git_dir.join("shallow.lock"));
    let Ok(entries) = std::fs::read_dir(git_dir.join("objects/pack")) else { return };
    for entry in entries.filter_map(Result::ok) {
        let path = entry.path();
        let whole = ["pack", "idx"].iter().any(|part| path.extension() == Some(part.as_ref()));
        if !whole || !path.with_extension("pack").exists() {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Whether a clone costs less than going on with what was gathered.
fn is_worn(git_dir: &Path) -> bool {
    let sizes = packs(git_dir);
    let (largest, all) = (sizes.iter().max().copied().unwrap_or_default(), sizes.iter().sum::<u64>());
    sizes.len() >= MAX_PACKS || (sizes.len() >= MANY_PACKS && (all - largest) * WORTH_A_CLONE >= largest)
}

/// Whether there is no place for another pack.
pub(super) fn is_full(git_dir: &Path) -> bool {
    packs(git_dir).len() >= MAX_PACKS
}

/// The sizes of the packs.
fn packs(git_dir: &Path) -> Vec<u64> {
    let Ok(entries) = std::fs::read_dir(git_dir.join("objects/pack")) else { return Vec::new() };
    let packs =
        entries.filter_map(Result::ok).filter(|entry| entry.path().extension() == Some("pack".as_ref()));
    packs.filter_map(|entry| Some(entry.metadata().ok()?.len())).collect()
}

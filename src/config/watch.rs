//! Loads a configuration again when its files change.
//!
//! What is watched is the folder and not the file, because editors write a new file and rename it over the old one,
//! and a mounted ConfigMap swaps the link `..data`. Events are only hints: what counts is what loading gives. A slow
//! poll covers file systems that send none.

use super::{Config, Problems, load};
use anyhow::Context;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

/// Changes that follow each other within this time are read once.
const QUIET: Duration = Duration::from_millis(150);
/// After this time a change is read even if others still follow.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often files are read without an event.
const POLL: Duration = Duration::from_secs(30);
/// How often the thread looks whether anybody still listens.
const TICK: Duration = Duration::from_secs(1);

/// New versions of a configuration. Watching ends when this is dropped.
#[derive(Debug)]
pub struct Watch {
    results: tokio::sync::mpsc::Receiver<Result<Config, Problems>>,
    hints: Sender<Hint>,
}

#[derive(Debug)]
enum Hint {
    /// Something in the folder changed.
    Changed,
    /// Somebody wants to know the state, changed or not.
    Asked,
}

/// Watches the configuration at `path`, a file or a folder. The first result is the state at this moment.
///
/// # Errors
/// The folder cannot be watched.
pub fn watch(path: &Path) -> anyhow::Result<Watch> {
    let (hints, received) = mpsc::channel();
    let events = hints.clone();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading the files is an event too; it must not lead to reading them again.
        let reading = event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_)));
        if !reading {
            // The thread has ended when nobody listens; there is nothing to tell then.
            let _ = events.send(Hint::Changed);
        }
    })
    .context("cannot watch files")?;
    for (folder, mode) in folders(path) {
        watcher.watch(&folder, mode).with_context(|| format!("cannot watch {}", folder.display()))?;
    }
    let (sender, results) = tokio::sync::mpsc::channel(1);
    let follower = Follower { path: path.to_owned(), last: None, sender, _watcher: watcher };
    std::thread::Builder::new()
        .name("config-watch".to_owned())
        .spawn(move || follower.follow(&received))
        .context("cannot start a thread")?;
    Ok(Watch { results, hints })
}

/// The folders whose changes can change the configuration: for a file its own folder, and the one that it really
/// stands in if it is a link.
fn folders(path: &Path) -> BTreeSet<(PathBuf, RecursiveMode)> {
    if path.is_dir() {
        return BTreeSet::from([(path.to_owned(), RecursiveMode::Recursive)]);
    }
    let parent = |path: &Path| match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        Some(_) | None => PathBuf::from("."),
    };
    let real = path.canonicalize().ok();
    let paths = [Some(path.to_owned()), real];
    paths.iter().flatten().map(|path| (parent(path), RecursiveMode::NonRecursive)).collect()
}

impl Watch {
    /// The next result that differs from the one before; `None` when watching has failed for good.
    ///
    /// An error is a new version that cannot be used; whoever asks keeps the one that they have.
    pub async fn next(&mut self) -> Option<Result<Config, Problems>> {
        self.results.recv().await
    }

    /// Asks for the state now, changed or not, as on SIGHUP. It comes through [`Watch::next`].
    pub fn reload(&self) {
        // If the thread has ended, `next` says so.
        let _ = self.hints.send(Hint::Asked);
    }
}

struct Follower {
    path: PathBuf,
    /// The last result: a fingerprint or problems.
    last: Option<Result<String, Problems>>,
    sender: tokio::sync::mpsc::Sender<Result<Config, Problems>>,
    /// Keeps events coming.
    _watcher: RecommendedWatcher,
}

impl Follower {
    fn follow(mut self, hints: &Receiver<Hint>) {
        let mut asked = true;
        loop {
            if self.deliver(asked).is_err() {
                return;
            }
            asked = match self.wait(hints) {
                Some(Hint::Asked) => true,
                Some(Hint::Changed) => false,
                None => return,
            };
        }
    }

    /// Waits until something may have changed and is quiet again; `None` when nobody listens any more.
    fn wait(&self, hints: &Receiver<Hint>) -> Option<Hint> {
        let start = Instant::now();
        let first = loop {
            match hints.recv_timeout(TICK) {
                Ok(hint) => break hint,
                Err(RecvTimeoutError::Timeout) if self.sender.is_closed() => return None,
                Err(RecvTimeoutError::Timeout) if start.elapsed() >= POLL => return Some(Hint::Changed),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        };
        let mut asked = matches!(first, Hint::Asked);
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            match hints.recv_timeout(QUIET) {
                Ok(hint) => asked |= matches!(hint, Hint::Asked),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        Some(if asked { Hint::Asked } else { Hint::Changed })
    }

    fn deliver(&mut self, asked: bool) -> Result<(), ()> {
        let result = load(&self.path);
        let seen = result.as_ref().map(Config::fingerprint).map_err(Clone::clone);
        if asked || self.last.as_ref() != Some(&seen) {
            self.last = Some(seen);
            self.sender.blocking_send(result).map_err(|_| ())?;
        }
        Ok(())
    }
}

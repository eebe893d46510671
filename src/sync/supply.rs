//! Contents of files that a rendering needs and that were not fetched with their commit: see `source::Commit::supply`.
//!
//! Enters: what a target's rendering met. Leaves: a word to the target when it is there, or cannot be had. No turn waits for it.

use super::repositories::chain;
use crate::source::Commit;
use crate::web::metrics::{Ended, Metrics};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The pause before what could not be fetched is tried again.
const AGAIN: Duration = Duration::from_secs(15);

/// What a commit lacks for a rendering.
pub struct Lack {
    /// The commit.
    pub commit: Arc<Commit>,
    /// Files of it that were to be read, and folders that will be.
    pub paths: BTreeSet<String>,
}

/// What is being fetched for targets, and what could not be.
pub struct Supplies {
    moved: Arc<dyn Fn(&str) + Send + Sync>,
    metrics: Metrics,
    known: Arc<Mutex<BTreeMap<Key, State>>>,
}

/// A target and a revision of it.
type Key = (String, String);

#[derive(Default)]
struct State {
    under_way: bool,
    /// Why the last try failed, and when.
    failed: Option<(String, Instant)>,
}

impl Supplies {
    /// Fetches nothing yet; `moved` is called with a target's name when something came of what it asked for.
    pub fn new(metrics: Metrics, moved: Arc<dyn Fn(&str) + Send + Sync>) -> Self {
        Self { moved, metrics, known: Arc::default() }
    }

    /// Fetches for a target at a revision what is lacking. Says why it could not be fetched when it was last tried.
    pub fn ask(&self, target: &str, revision: &str, lacks: Vec<Lack>) -> Option<String> {
        let key = (target.to_owned(), revision.to_owned());
        let mut known = lock(&self.known);
        known.retain(|other, state| state.under_way || other.0 != key.0 || *other == key);
        let state = known.entry(key.clone()).or_default();
        let failed = state.failed.clone();
        let is_due = failed.as_ref().is_none_or(|(_, at)| at.elapsed() >= AGAIN);
        if !state.under_way && is_due {
            state.under_way = true;
            let (known, metrics, moved) = (self.known.clone(), self.metrics.clone(), self.moved.clone());
            tokio::spawn(async move {
                let result = all(lacks).await;
                metrics.git_request(if result.is_ok() { Ended::Success } else { Ended::Failure });
                conclude(key, result, &known, &*moved).await;
            });
        }
        failed.map(|(why, _)| why)
    }
}

async fn conclude(
    key: Key,
    result: Result<(), String>,
    known: &Mutex<BTreeMap<Key, State>>,
    moved: &(dyn Fn(&str) + Send + Sync),
) {
    let Err(why) = result else {
        lock(known).remove(&key);
        moved(&key.0);
        return;
    };
    tracing::warn!(target = key.0, error = why, "files could not be fetched");
    let failed = Some((why, Instant::now()));
    lock(known).insert(key.clone(), State { under_way: false, failed });
    moved(&key.0);
    tokio::time::sleep(AGAIN).await;
    moved(&key.0);
}

/// Fetches what is lacking, in order; says what could not be fetched first.
pub async fn all(lacks: Vec<Lack>) -> Result<(), String> {
    for Lack { commit, paths } in lacks {
        commit.supply(paths).await.map_err(|error| chain(&error))?;
    }
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

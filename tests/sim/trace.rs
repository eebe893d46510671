//! What happened, line by line, with the time in the simulation; and what must not have happened.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use trueup::ambient;

/// Shared by all that take part in a run.
#[derive(Clone, Debug)]
pub(crate) struct Trace(Arc<Mutex<Notes>>);

#[derive(Debug)]
struct Notes {
    detail: Detail,
    lines: Vec<String>,
    digest: DefaultHasher,
    violations: Vec<String>,
}

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Only what is wrong: many seeds are tried.
    Violations,
    /// What is wrong, and a number for all that happened: two ways to do the same are compared.
    Digest,
    /// Everything: one seed is looked at.
    All,
}

impl Trace {
    pub(crate) fn new(detail: Detail) -> Self {
        let notes = Notes { detail, lines: Vec::new(), digest: DefaultHasher::new(), violations: Vec::new() };
        Self(Arc::new(Mutex::new(notes)))
    }

    /// Notes what happened.
    pub(crate) fn note(&self, line: impl FnOnce() -> String) {
        let mut notes = self.lock();
        let text = || format!("{} {}", ambient::now().strftime("%H:%M:%S%.3f"), line());
        match notes.detail {
            Detail::Violations => {}
            Detail::Digest => text().hash(&mut notes.digest),
            Detail::All => notes.lines.push(text()),
        }
    }

    /// Notes what must not happen.
    pub(crate) fn violation(&self, what: String) {
        self.note(|| format!("VIOLATION {what}"));
        self.lock().violations.push(what);
    }

    pub(crate) fn violations(&self) -> Vec<String> {
        self.lock().violations.clone()
    }

    /// A number for all that was noted.
    pub(crate) fn digest(&self) -> u64 {
        self.lock().digest.finish()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.lock().lines.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

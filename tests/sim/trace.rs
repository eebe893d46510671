//! What happened, line by line, with the time in the simulation; and what must not have happened.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use trueup::ambient;

/// Shared by all that take part in a run.
#[derive(Clone, Debug)]
pub(crate) struct Trace(Arc<Mutex<Notes>>);

#[derive(Debug)]
struct Notes {
    detail: Detail,
    lines: Vec<String>,
    violations: Vec<String>,
}

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Only what is wrong: many seeds are tried.
    Violations,
    /// Everything: one seed is looked at.
    All,
}

impl Trace {
    pub(crate) fn new(detail: Detail) -> Self {
        Self(Arc::new(Mutex::new(Notes { detail, lines: Vec::new(), violations: Vec::new() })))
    }

    /// Notes what happened.
    pub(crate) fn note(&self, line: impl FnOnce() -> String) {
        let mut notes = self.lock();
        if notes.detail == Detail::All {
            let line = format!("{} {}", ambient::now().strftime("%H:%M:%S%.3f"), line());
            notes.lines.push(line);
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

    pub(crate) fn lines(&self) -> Vec<String> {
        self.lock().lines.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

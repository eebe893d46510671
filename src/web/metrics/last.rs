//! What was said last, kept until a scrape makes series of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// It, for all who hold a clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Last<T>(Arc<Mutex<T>>);

impl<T: Clone> Last<T> {
    /// Takes what is said now; gives what was said before.
    pub(super) fn replace(&self, now: T) -> T {
        std::mem::replace(&mut *self.lock(), now)
    }

    pub(super) fn get(&self) -> T {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

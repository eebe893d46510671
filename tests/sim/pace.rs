//! How often each object is written while nobody commits. Whoever writes one over and over fights with itself.

use std::collections::HashMap;
use std::sync::Mutex;

/// Writes of one object within a step that are too many: within the longest, of six minutes, a target that fails all the time is tried
/// ten times, and each try may note before and after it what the set has.
const TOO_MANY: u32 = 40;

/// Counts the writes of a step, or of a commit within it, by cluster and path.
#[derive(Default)]
pub(crate) struct Pace(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    commits: usize,
    writes: HashMap<(String, String), u32>,
}

impl Pace {
    /// Counts one, after so many commits that trueup got; what is wrong with that, once.
    pub(crate) fn count(&self, cluster: &str, path: &str, commits: usize) -> Option<String> {
        let mut counts = self.0.lock().unwrap();
        if counts.commits != commits {
            *counts = Counts { commits, ..Counts::default() };
        }
        let count = counts.writes.entry((cluster.to_owned(), path.to_owned())).or_default();
        *count += 1;
        (*count == TOO_MANY).then(|| format!("{path} is written {TOO_MANY} times without a pause"))
    }

    /// A step begins.
    pub(crate) fn begin(&self) {
        self.0.lock().unwrap().writes.clear();
    }
}

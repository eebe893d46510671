//! Who was refused for a secret that is perhaps not the last one: whoever rotates a secret tells one of its two ends first.
//!
//! Enters: refusals, noted by those who refuse. Leaves: what they were for, to whoever reads Secrets again. Absent: the secrets. What is noted is named by the
//! configuration, so strangers cannot make it grow.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// What somebody was refused for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Guarded {
    /// The seat of the agent of a Cluster.
    Agent(String),
    /// Webhooks of a Repository.
    Repository(String),
    /// Webhooks of the pull requests of an AppSet.
    AppSet(String),
}

/// Refusals since they were last taken. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Refusals(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    noted: Mutex<BTreeSet<Guarded>>,
    some: Notify,
}

impl Refusals {
    /// Notes one.
    pub fn note(&self, guarded: Guarded) {
        self.0.noted.lock().unwrap_or_else(PoisonError::into_inner).insert(guarded);
        self.0.some.notify_one();
    }

    /// Waits until there is one, perhaps of those that were taken.
    pub async fn some(&self) {
        self.0.some.notified().await;
    }

    /// Those since this was last asked.
    pub fn take(&self) -> BTreeSet<Guarded> {
        std::mem::take(&mut *self.0.noted.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_refusal_wakes_whoever_waits_and_is_told_once() {
        let refusals = Refusals::default();
        let (waiting, agent) = (refusals.clone(), Guarded::Agent("edge".to_owned()));
        let waiting = tokio::spawn(async move {
            waiting.some().await;
            waiting.take()
        });
        refusals.note(agent.clone());
        refusals.note(agent.clone());
        assert_eq!(waiting.await.unwrap(), BTreeSet::from([agent]));
        assert_eq!(refusals.take(), BTreeSet::new());
    }
}

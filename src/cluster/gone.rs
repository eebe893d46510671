//! Objects that are gone, for as long as an answer from before that may be on its way: it must not bring them back.

use super::rest::ANSWER;
use std::collections::{HashMap, VecDeque};
use tokio::time::Instant;
use trueup_model::ObjectId;

/// In which version objects went that went lately.
#[derive(Default)]
pub(super) struct Gone {
    versions: HashMap<ObjectId, (u64, Instant)>,
    /// The same in the order in which they went.
    order: VecDeque<(Instant, ObjectId)>,
}

impl Gone {
    /// Notes that an object went in a version.
    pub(super) fn note(&mut self, id: &ObjectId, version: u64) {
        let now = Instant::now();
        let is_over = |since: Instant| now.duration_since(since) > ANSWER;
        while let Some((since, id)) = self.order.pop_front_if(|(since, _)| is_over(*since)) {
            // It may have gone once more since.
            if self.versions.get(&id).is_some_and(|(_, last)| *last == since) {
                self.versions.remove(&id);
            }
        }
        self.versions.insert(id.clone(), (version, now));
        self.order.push_back((now, id.clone()));
    }

    /// In which version an object went.
    pub(super) fn version(&self, id: &ObjectId) -> Option<u64> {
        self.versions.get(id).map(|(version, _)| *version)
    }

    /// Forgets them all.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn objects_are_remembered_for_as_long_as_an_answer_may_take() {
        let id = |name: &str| ObjectId::new("", "ConfigMap", "a", name);
        let mut gone = Gone::default();
        gone.note(&id("x"), 1);
        gone.note(&id("y"), 2);
        tokio::time::advance(ANSWER).await;
        gone.note(&id("y"), 3);
        assert_eq!((gone.version(&id("x")), gone.version(&id("y"))), (Some(1), Some(3)));
        tokio::time::advance(ANSWER).await;
        gone.note(&id("z"), 4);
        assert_eq!((gone.version(&id("x")), gone.version(&id("y"))), (None, Some(3)));
        tokio::time::advance(ANSWER * 2).await;
        gone.note(&id("z"), 5);
        assert_eq!((gone.version(&id("y")), gone.versions.len(), gone.order.len()), (None, 1, 1));
    }
}

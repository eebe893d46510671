//! Writes that may still come through although nobody waits for them any more.
//!
//! Enters: that a write was given up without a word from the server, and which sets were begun by this process. Leaves: up to
//! when something that was sent earlier may still create an object of a set. Absent: which write that was. A request that is
//! thought lost stands in a queue on the way, or in a server that answers no more; who reads the clusters afterwards does not see
//! what it is about to do.

use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;

/// After how long a write that was given up is over. API servers end a request after one minute; connections and proxies that
/// hold one up do so for some.
pub(super) const OVER: Duration = Duration::from_mins(10);

/// What is known of writes without an answer.
pub(super) struct Late {
    began: Instant,
    /// Sets that had no record before: nobody wrote anything of theirs earlier.
    begun: BTreeSet<String>,
    given_up: Option<Instant>,
}

impl Late {
    /// Nothing is known of what was sent before `now`.
    pub(super) fn new(now: Instant) -> Self {
        Self { began: now, begun: BTreeSet::new(), given_up: None }
    }

    /// The record of a set was created.
    pub(super) fn begin(&mut self, set: &str) {
        self.begun.insert(set.to_owned());
    }

    /// Another process wrote here until now. It is as if this one had just begun; what it gave up itself earlier stays given up.
    pub(super) fn succeed(&mut self, now: Instant) {
        self.began = now;
        self.begun.clear();
    }

    /// A write was given up.
    pub(super) fn give_up(&mut self, now: Instant) {
        self.given_up = Some(now);
    }

    /// Whether a write that this process gave up may still come through.
    pub(super) fn is_awaited(&self, now: Instant) -> bool {
        self.given_up.is_some_and(|at| at + OVER > now)
    }

    /// Up to when objects of a set may be created by a write of which nobody knows any more; `None` where that time is over.
    pub(super) fn until(&self, set: &str, now: Instant) -> Option<Instant> {
        let earlier = (!self.begun.contains(set)).then_some(self.began);
        let last = earlier.into_iter().chain(self.given_up).max()?;
        Some(last + OVER).filter(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_earlier_process_or_a_lost_request_wrote_may_come_for_ten_minutes() {
        let start = Instant::now();
        let at = |minutes| start + Duration::from_mins(minutes);
        let mut late = Late::new(start);
        assert_eq!(late.until("found", at(1)), Some(at(10)));
        assert_eq!(late.until("found", at(10)), None);
        late.begin("begun");
        assert_eq!(late.until("begun", at(1)), None);
        late.give_up(at(2));
        assert_eq!(late.until("begun", at(3)), Some(at(12)));
        assert_eq!(late.until("found", at(3)), Some(at(12)));
        assert_eq!(late.until("begun", at(12)), None);
        assert!(late.is_awaited(at(3)) && !late.is_awaited(at(12)));
        assert!(!Late::new(start).is_awaited(at(1)), "nothing was given up yet");
    }

    #[test]
    fn what_another_process_sent_until_lately_is_heeded_like_what_an_earlier_one_sent() {
        let start = Instant::now();
        let at = |minutes| start + Duration::from_mins(minutes);
        let mut late = Late::new(start);
        late.begin("begun");
        late.succeed(at(20));
        assert_eq!(late.until("begun", at(21)), Some(at(30)));
        assert_eq!(late.until("found", at(21)), Some(at(30)));
        assert!(!late.is_awaited(at(21)), "this process has given up nothing");
        late.give_up(at(22));
        late.succeed(at(23));
        assert!(late.is_awaited(at(24)));
    }
}

//! The one queue: which target is looked at next.
//!
//! An entry is a target and why it should be looked at; there is no payload, and a target is there at most once. What a
//! person asked for goes first, then drift, then commits, then the rest; within one urgency the order is that of arrival, so no
//! target can hold up another. A target that is being looked at is not handed out again until that turn is over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;
use trueup_plan::record::Trigger;

/// A queue of targets, shared by those that fill it and those that work it off.
#[derive(Clone, Default)]
pub struct Queue {
    state: Arc<Mutex<State>>,
    wake: Arc<Notify>,
}

/// A target that is due.
#[derive(Debug, PartialEq, Eq)]
pub struct Due {
    /// Its name.
    pub target: String,
    /// The most urgent reason.
    pub trigger: Trigger,
    /// How long it waited after it was due.
    pub waited: Duration,
}

#[derive(Default)]
struct State {
    ready: BTreeSet<(Trigger, u64, String)>,
    delayed: BTreeSet<(Instant, String)>,
    entries: BTreeMap<String, Entry>,
    running: BTreeSet<String>,
    sequence: u64,
}

#[derive(Clone, Copy)]
struct Entry {
    trigger: Trigger,
    place: Place,
    since: Instant,
}

#[derive(Clone, Copy)]
enum Place {
    Ready(u64),
    Delayed(Instant),
    /// Asked for while it runs: it becomes ready when the turn is over.
    Parked,
}

impl Queue {
    /// Asks for a look at a target as soon as possible.
    pub fn push(&self, target: &str, trigger: Trigger) {
        self.push_at(target, trigger, Instant::now());
    }

    /// Asks for a look at a target after a while; an earlier request stands.
    pub fn push_after(&self, target: &str, trigger: Trigger, delay: Duration) {
        self.push_at(target, trigger, Instant::now() + delay);
    }

    fn push_at(&self, target: &str, trigger: Trigger, at: Instant) {
        self.lock().push(target, trigger, at);
        self.wake.notify_one();
    }

    /// The next target that is due; waits until there is one. [`Queue::done`] must follow.
    pub async fn next(&self) -> Due {
        loop {
            let woken = self.wake.notified();
            let sleep = {
                let mut state = self.lock();
                state.ripen(Instant::now());
                if let Some(due) = state.take() {
                    if !state.ready.is_empty() {
                        self.wake.notify_one();
                    }
                    return due;
                }
                state.delayed.first().map(|(at, _)| *at)
            };
            match sleep {
                Some(at) => tokio::select! { () = woken => {}, () = tokio::time::sleep_until(at) => {} },
                None => woken.await,
            }
        }
    }

    /// Says that the turn of a target is over.
    pub fn done(&self, target: &str) {
        self.lock().done(target);
        self.wake.notify_one();
    }

    /// Forgets all targets but these.
    pub fn retain(&self, keep: impl Fn(&str) -> bool) {
        self.lock().retain(keep);
    }

    /// How many targets are due and wait.
    pub fn depth(&self) -> usize {
        self.lock().ready.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn push(&mut self, target: &str, trigger: Trigger, at: Instant) {
        let now = Instant::now();
        let old = self.entries.remove(target);
        let trigger = old.map_or(trigger, |old| old.trigger.min(trigger));
        let since = old.map_or(at, |old| old.since.min(at));
        match old.map(|old| (old.place, old.trigger)) {
            Some((Place::Ready(sequence), urgency)) => {
                self.ready.remove(&(urgency, sequence, target.to_owned()));
            }
            Some((Place::Delayed(old_at), _)) => {
                self.delayed.remove(&(old_at, target.to_owned()));
            }
            Some((Place::Parked, _)) | None => {}
        }
        let place = if since > now {
            self.delayed.insert((since, target.to_owned()));
            Place::Delayed(since)
        } else if self.running.contains(target) {
            Place::Parked
        } else {
            // A target that waits already keeps its place in line.
            let sequence = match old.map(|old| old.place) {
                Some(Place::Ready(sequence)) => sequence,
                Some(Place::Delayed(_) | Place::Parked) | None => {
                    self.sequence += 1;
                    self.sequence
                }
            };
            self.ready.insert((trigger, sequence, target.to_owned()));
            Place::Ready(sequence)
        };
        self.entries.insert(target.to_owned(), Entry { trigger, place, since });
    }

    fn ripen(&mut self, now: Instant) {
        while let Some((at, target)) = self.delayed.first().cloned() {
            if at > now {
                break;
            }
            if let Some(entry) = self.entries.get(&target).copied() {
                self.push(&target, entry.trigger, at);
            }
            self.delayed.remove(&(at, target));
        }
    }

    fn take(&mut self) -> Option<Due> {
        let (trigger, _, target) = self.ready.pop_first()?;
        let entry = self.entries.remove(&target)?;
        self.running.insert(target.clone());
        Some(Due { target, trigger, waited: entry.since.elapsed() })
    }

    fn done(&mut self, target: &str) {
        self.running.remove(target);
        if let Some(entry) = self.entries.get(target).copied()
            && matches!(entry.place, Place::Parked)
        {
            self.push(target, entry.trigger, entry.since);
        }
    }

    fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.ready.retain(|(_, _, target)| keep(target));
        self.delayed.retain(|(_, target)| keep(target));
        self.entries.retain(|target, _| keep(target));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_person_goes_before_drift_and_drift_before_a_commit() {
        let queue = Queue::default();
        queue.push("commit", Trigger::Commit);
        queue.push("drift", Trigger::Drift);
        queue.push("person", Trigger::Manual);
        let mut order = Vec::new();
        for _ in 0..3 {
            order.push(queue.next().await.target);
        }
        assert_eq!(order, ["person", "drift", "commit"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_target_is_there_once_and_never_handed_out_twice_at_a_time() {
        let queue = Queue::default();
        queue.push("a", Trigger::Commit);
        queue.push("a", Trigger::Drift);
        assert_eq!(queue.next().await.trigger, Trigger::Drift);
        queue.push("a", Trigger::Commit);
        queue.push("b", Trigger::Timer);
        assert_eq!(queue.next().await.target, "b");
        let waiting = tokio::time::timeout(Duration::from_mins(1), queue.next()).await;
        assert!(waiting.is_err(), "a is still running");
        queue.done("a");
        assert_eq!(queue.next().await.target, "a");
    }

    #[tokio::test(start_paused = true)]
    async fn a_delay_is_kept_unless_something_more_urgent_comes() {
        let queue = Queue::default();
        let start = Instant::now();
        queue.push_after("later", Trigger::Retry, Duration::from_secs(10));
        queue.push_after("sooner", Trigger::Retry, Duration::from_secs(10));
        queue.push_after("sooner", Trigger::Retry, Duration::from_secs(2));
        assert_eq!(queue.next().await.target, "sooner");
        assert_eq!(start.elapsed().as_secs(), 2);
        assert_eq!(queue.next().await.target, "later");
        assert_eq!(start.elapsed().as_secs(), 10);
    }
}

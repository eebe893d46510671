//! The one queue: which target is looked at next.
//!
//! An entry is a target and why it should be looked at; there is no payload, and a target is there at most once. Each entry
//! has a deadline, which is when it became due and a patience that its reason has; the earliest deadline goes first. So a
//! person goes before drift, drift before a commit, a commit before a timer, and still nobody waits for ever: what became due
//! much later cannot pass, however urgent it is.
//!
//! Turns under way are limited so that those who are slow cannot hold up the others. A lane is a cluster: it may have as many
//! turns as are free, so some are always left for others. A target whose last turn was slow shares one place with its like
//! in its lane; a lane that was slow several times in a row has one turn at a time, and all such lanes have half of the places.
//!
//! A target that is being looked at is not handed out again until that turn is over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;
use trueup_plan::record::Trigger;

/// A turn that takes longer is slow.
const SLOW: Duration = Duration::from_secs(10);
/// Slow turns in a row that make a lane ail.
const AILING: u32 = 3;
/// Live objects that changed, as a first measure of how many: beyond it a repair is no small thing that goes before commits.
const FEW: u32 = 20;

/// A queue of targets, shared by those that fill it and those that work it off.
#[derive(Clone)]
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

struct State {
    /// Turns that may be under way at once.
    places: usize,
    lanes: BTreeMap<Arc<str>, Lane>,
    delayed: BTreeSet<(Instant, String)>,
    entries: BTreeMap<String, Entry>,
    running: BTreeMap<String, Running>,
    /// Targets whose last turn was slow.
    slow: BTreeSet<String>,
    sequence: u64,
}

/// Deadline, order of arrival, target.
type Rank = (Instant, u64, String);

/// What is due on one cluster, and what is under way.
#[derive(Default)]
struct Lane {
    quick: BTreeSet<Rank>,
    slow: BTreeSet<Rank>,
    running: usize,
    running_slow: usize,
    slow_in_a_row: u32,
}

struct Running {
    lane: Arc<str>,
    started: Instant,
    was_slow: bool,
}

#[derive(Clone)]
struct Entry {
    lane: Arc<str>,
    trigger: Trigger,
    place: Place,
    since: Instant,
    pushes: u32,
}

#[derive(Clone, Copy)]
enum Place {
    Ready(Instant, u64),
    Delayed(Instant),
    /// Asked for while it runs: it becomes ready when the turn is over.
    Parked,
}

impl Queue {
    /// An empty queue of which `places` turns may be under way at once.
    pub fn new(places: usize) -> Self {
        Self { state: Arc::new(Mutex::new(State::new(places))), wake: Arc::default() }
    }

    /// Asks for a look at a target after a while; an earlier request stands. The lane is the target's cluster.
    pub fn push_after(&self, target: &str, lane: &str, trigger: Trigger, delay: Duration) {
        let now = Instant::now();
        self.lock().push(target, lane, trigger, now + delay, now);
        self.wake.notify_one();
    }

    /// The next target that may be looked at; waits until there is one. [`Queue::done`] must follow.
    pub async fn next(&self) -> Due {
        loop {
            let woken = self.wake.notified();
            let sleep = {
                let mut state = self.lock();
                let now = Instant::now();
                state.ripen(now);
                if let Some(due) = state.take(now) {
                    self.wake.notify_one();
                    return due;
                }
                state.delayed.first().map(|(at, _)| *at)
            };
            match sleep {
                Some(at) => {
                    tokio::select! { biased; () = woken => {}, () = tokio::time::sleep_until(at) => {} }
                }
                None => woken.await,
            }
        }
    }

    /// Says that the turn of a target is over.
    pub fn done(&self, target: &str) {
        self.lock().done(target, Instant::now());
        self.wake.notify_one();
    }

    /// Forgets all targets but these.
    pub fn retain(&self, keep: impl Fn(&str) -> bool) {
        self.lock().retain(keep);
    }

    /// How many targets are due and wait.
    pub fn depth(&self) -> usize {
        self.lock().lanes.values().map(|lane| lane.quick.len() + lane.slow.len()).sum()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long an entry may wait before it is as urgent as a person that asks now.
fn patience(trigger: Trigger, pushes: u32) -> Duration {
    Duration::from_secs(match trigger {
        Trigger::Manual => 0,
        Trigger::Drift if pushes <= FEW => 600,
        Trigger::Commit => 610,
        Trigger::Drift => 615,
        Trigger::Configuration => 620,
        Trigger::Retry => 630,
        Trigger::Timer => 660,
    })
}

impl Entry {
    fn deadline(&self) -> Instant {
        self.since + patience(self.trigger, self.pushes)
    }
}

impl Lane {
    fn is_ailing(&self) -> bool {
        self.slow_in_a_row >= AILING
    }

    /// The first of those that may begin, with `free` places left in all.
    fn first(&self, free: usize) -> Option<&Rank> {
        let has_room = self.running == 0 || (!self.is_ailing() && self.running < free);
        if !has_room {
            return None;
        }
        let slow = self.slow.first().filter(|_| self.running_slow == 0);
        self.quick.first().into_iter().chain(slow).min()
    }

    fn is_idle(&self) -> bool {
        self.quick.is_empty() && self.slow.is_empty() && self.running == 0
    }
}

impl State {
    fn new(places: usize) -> Self {
        Self {
            places,
            lanes: BTreeMap::new(),
            delayed: BTreeSet::new(),
            entries: BTreeMap::new(),
            running: BTreeMap::new(),
            slow: BTreeSet::new(),
            sequence: 0,
        }
    }

    fn push(&mut self, target: &str, lane: &str, trigger: Trigger, at: Instant, now: Instant) {
        let lane = self.lane(lane);
        let old = self.entries.remove(target);
        let entry = match old {
            Some(old) => {
                self.unplace(target, &old);
                let (trigger, since) = (old.trigger.min(trigger), old.since.min(at));
                Entry { lane, trigger, since, pushes: old.pushes.saturating_add(1), place: old.place }
            }
            None => Entry { lane, trigger, since: at, pushes: 1, place: Place::Parked },
        };
        self.place(target, entry, now);
    }

    fn place(&mut self, target: &str, mut entry: Entry, now: Instant) {
        entry.place = if entry.since > now {
            self.delayed.insert((entry.since, target.to_owned()));
            Place::Delayed(entry.since)
        } else if self.running.contains_key(target) {
            Place::Parked
        } else {
            // A target that waits already keeps its place in line.
            let sequence = match entry.place {
                Place::Ready(_, sequence) => sequence,
                Place::Delayed(_) | Place::Parked => {
                    self.sequence += 1;
                    self.sequence
                }
            };
            let deadline = entry.deadline();
            let is_slow = self.slow.contains(target);
            let lane = self.lanes.entry(entry.lane.clone()).or_default();
            let ready = if is_slow { &mut lane.slow } else { &mut lane.quick };
            ready.insert((deadline, sequence, target.to_owned()));
            Place::Ready(deadline, sequence)
        };
        self.entries.insert(target.to_owned(), entry);
    }

    fn unplace(&mut self, target: &str, entry: &Entry) {
        match entry.place {
            Place::Ready(deadline, sequence) => {
                if let Some(lane) = self.lanes.get_mut(&entry.lane) {
                    let rank = (deadline, sequence, target.to_owned());
                    lane.quick.remove(&rank);
                    lane.slow.remove(&rank);
                }
            }
            Place::Delayed(at) => drop(self.delayed.remove(&(at, target.to_owned()))),
            Place::Parked => {}
        }
    }

    fn lane(&mut self, name: &str) -> Arc<str> {
        if let Some((lane, _)) = self.lanes.get_key_value(name) {
            return lane.clone();
        }
        let lane: Arc<str> = name.into();
        self.lanes.insert(lane.clone(), Lane::default());
        lane
    }

    fn ripen(&mut self, now: Instant) {
        while self.delayed.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, target)) = self.delayed.pop_first() else { return };
            if let Some(entry) = self.entries.remove(&target) {
                self.place(&target, entry, now);
            }
        }
    }

    fn take(&mut self, now: Instant) -> Option<Due> {
        let free = self.places.saturating_sub(self.running.len());
        if free == 0 {
            return None;
        }
        let ailing: usize =
            self.lanes.values().filter(|lane| lane.is_ailing()).map(|lane| lane.running).sum();
        let may_ail = ailing < (self.places / 2).max(1);
        let lanes = self.lanes.values().filter(|lane| may_ail || !lane.is_ailing());
        let (_, _, target) = lanes.filter_map(|lane| lane.first(free)).min()?.clone();
        let entry = self.entries.remove(&target)?;
        self.unplace(&target, &entry);
        let was_slow = self.slow.contains(&target);
        let lane = self.lanes.entry(entry.lane.clone()).or_default();
        lane.running += 1;
        lane.running_slow += usize::from(was_slow);
        self.running.insert(target.clone(), Running { lane: entry.lane, started: now, was_slow });
        Some(Due { target, trigger: entry.trigger, waited: now.saturating_duration_since(entry.since) })
    }

    fn done(&mut self, target: &str, now: Instant) {
        let Some(running) = self.running.remove(target) else { return };
        let is_slow = now.saturating_duration_since(running.started) >= SLOW;
        if let Some(lane) = self.lanes.get_mut(&running.lane) {
            lane.running -= 1;
            lane.running_slow -= usize::from(running.was_slow);
            lane.slow_in_a_row = if is_slow { lane.slow_in_a_row.saturating_add(1) } else { 0 };
        }
        if is_slow {
            self.slow.insert(target.to_owned());
        } else {
            self.slow.remove(target);
        }
        if let Some(entry) = self.entries.remove(target) {
            self.unplace(target, &entry);
            self.place(target, entry, now);
        }
    }

    fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        for lane in self.lanes.values_mut() {
            lane.quick.retain(|(_, _, target)| keep(target));
            lane.slow.retain(|(_, _, target)| keep(target));
        }
        self.delayed.retain(|(_, target)| keep(target));
        self.entries.retain(|target, _| keep(target));
        self.slow.retain(|target| keep(target));
        let used: BTreeSet<&Arc<str>> = self.entries.values().map(|entry| &entry.lane).collect();
        self.lanes.retain(|name, lane| !lane.is_idle() || used.contains(name));
    }
}

#[cfg(test)]
mod tests;

//! What happens because time goes by.
//!
//! Enters: the time, with each request and by [`Sandbox::tick`]. Whoever waits for a time is looked at when it has come.

use crate::Sandbox;
use crate::store::{Key, Resource};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

impl Sandbox {
    /// Lets time go by until `now`.
    pub fn tick(&mut self, now: Timestamp) {
        self.pass(now);
        self.settle();
    }

    /// When something happens by itself next, if it does.
    pub fn next_alarm(&self) -> Option<Timestamp> {
        self.alarms.first().map(|(at, _, _)| *at)
    }

    /// Has an object looked at by its controller at a time.
    pub(crate) fn wake(&mut self, at: Timestamp, resource: &Resource, key: &Key) {
        self.alarms.insert((at, resource.clone(), key.clone()));
    }

    /// Moves the clock, which never goes back, and lets those look that waited.
    pub(crate) fn pass(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        while let Some(first) = self.alarms.first().filter(|(at, _, _)| *at <= self.now).cloned() {
            self.alarms.remove(&first);
            let (_, resource, key) = first;
            self.run_workloads(&resource, &key);
            self.settle();
        }
    }
}

/// A time of an object, and some seconds after it.
pub(crate) fn after(time: &Value, seconds: i64) -> Option<Timestamp> {
    let time: Timestamp = time.as_str()?.parse().ok()?;
    time.checked_add(SignedDuration::from_secs(seconds)).ok()
}

//! When to try again what failed, and when to stop fighting over a field.

use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;
use trueup_merge::token::Digest;
use trueup_model::ObjectId;

/// How long an object waits that is not tried again by itself: until it, or what it is made from, changes.
const NEVER: Duration = Duration::from_hours(24 * 365);

/// How what failed is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The pause before the first retry.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// How many retries there are; without end where it says nothing.
    pub limit: Option<u32>,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_secs(1), longest: Duration::from_mins(5), limit: None }
    }
}

impl Backoff {
    /// How long to wait before retry number `attempt` (1 is the first): doubling from the first pause to the longest, then
    /// spread over three quarters to five quarters by `random` (0 to 1) so that targets do not retry in step. `None` where
    /// no retry is left.
    pub fn pause(&self, attempt: u32, random: f64) -> Option<Duration> {
        if self.limit.is_some_and(|limit| attempt > limit) {
            return None;
        }
        let doubled = 2f64.powi(i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX));
        let seconds = (self.first.as_secs_f64() * doubled).min(self.longest.as_secs_f64());
        Some(Duration::from_secs_f64(seconds * (0.75 + random / 2.0)))
    }

    /// The same for one object, whose refusal stands where no retry is left.
    pub fn pause_of_object(&self, attempt: u32, random: f64) -> Duration {
        self.pause(attempt, random).unwrap_or(NEVER)
    }
}

/// How long to wait before attempt number `attempt` where nobody set it: from one second to five minutes, without end.
pub fn delay(attempt: u32, random: f64) -> Duration {
    Backoff::default().pause_of_object(attempt, random)
}

/// An object that the server refused, and when it is worth another try.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// What was refused: another digest is another object.
    pub digest: Digest,
    /// How often in a row.
    pub attempts: u32,
    /// Not before this.
    pub again: Instant,
    /// In the server's words.
    pub message: String,
}

/// Notices turns that come to the same as the one before, and did nothing.
#[derive(Debug, Default)]
pub struct Repeats {
    /// What the last turn came to.
    last: u64,
    in_a_row: u32,
}

impl Repeats {
    /// Notes what a turn came to, as a hash. Gives how long the next one waits at least, where only time asks for it: from the second
    /// repetition on one second and more, up to five minutes.
    pub fn pause(&mut self, came_to: u64) -> Duration {
        self.in_a_row = if self.last == came_to { self.in_a_row.saturating_add(1) } else { 0 };
        self.last = came_to;
        match self.in_a_row {
            0 | 1 => Duration::ZERO,
            many => delay(many - 1, 0.5),
        }
    }

    /// Something was done: whatever comes of the next turn is new.
    pub fn end(&mut self) {
        *self = Self::default();
    }
}

/// In how long the next turn is: as soon as it was asked for, but no sooner than turns that come to the same allow. What is `due` by then does
/// not come later for that, since it has not come to anything yet.
pub fn next(asked: Option<Duration>, pause: Duration, due: Option<Duration>) -> Option<Duration> {
    asked.map(|asked| asked.max(pause)).into_iter().chain(due).min()
}

/// The repairs of one object's drift.
#[derive(Clone, Copy, Debug)]
struct Repairs {
    in_a_row: u32,
    last: Instant,
}

/// Notices objects that somebody changes back again and again.
#[derive(Debug, Default)]
pub struct Fights(BTreeMap<ObjectId, Repairs>);

/// Repairs in a row that are taken for coincidence.
const COINCIDENCE: u32 = 5;
/// A repair that held for this long ends a row.
const PEACE: Duration = Duration::from_mins(1);

impl Fights {
    /// How long a repair of the object should wait; `None` where it may go at once.
    pub fn wait(&self, id: &ObjectId, now: Instant) -> Option<Duration> {
        let repairs = self.0.get(id)?;
        let over = repairs.in_a_row.checked_sub(COINCIDENCE)?;
        let due = repairs.last + delay(over + 4, 0.5);
        due.checked_duration_since(now).filter(|wait| !wait.is_zero())
    }

    /// Notes a repair.
    pub fn repaired(&mut self, id: &ObjectId, now: Instant) {
        let repairs = self.0.entry(id.clone()).or_insert(Repairs { in_a_row: 0, last: now });
        let quiet = PEACE.max(delay(repairs.in_a_row.saturating_sub(COINCIDENCE) + 5, 0.5));
        let fresh = now.duration_since(repairs.last) > quiet;
        repairs.in_a_row = if fresh { 1 } else { repairs.in_a_row + 1 };
        repairs.last = now;
        if self.0.len() > 1000 {
            self.0.retain(|_, repairs| now.duration_since(repairs.last) <= PEACE * 10);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_does_not_wait_because_turns_came_to_the_same() {
        let seconds = |seconds: Option<u64>| seconds.map(Duration::from_secs);
        let next = |asked, pause, due| {
            next(seconds(asked), Duration::from_secs(pause), seconds(due)).map(|next| next.as_secs())
        };
        assert_eq!(next(Some(5), 0, None), Some(5));
        assert_eq!(next(Some(5), 300, None), Some(300));
        assert_eq!(next(Some(5), 300, Some(11)), Some(11));
        assert_eq!(next(None, 300, Some(11)), Some(11));
        assert_eq!(next(None, 300, None), None);
    }

    #[test]
    fn delays_double_and_are_bounded() {
        let seconds: Vec<f64> = (1..12).map(|n| delay(n, 0.5).as_secs_f64()).collect();
        assert_eq!(seconds, [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 300.0, 300.0]);
        assert!(delay(400, 1.0) <= Duration::from_secs(375));
    }

    #[test]
    fn an_app_says_how_its_failures_are_tried_again_and_how_often() {
        let backoff =
            Backoff { first: Duration::from_secs(3), longest: Duration::from_secs(10), limit: Some(4) };
        let pauses: Vec<Option<u64>> =
            (1..6).map(|n| backoff.pause(n, 0.5).map(|pause| pause.as_secs())).collect();
        assert_eq!(pauses, [Some(3), Some(6), Some(10), Some(10), None]);
        assert!(backoff.pause_of_object(5, 0.5) > Duration::from_hours(24));
        let spread = [0.0, 1.0].map(|random| backoff.pause(1, random).unwrap().as_millis());
        assert_eq!(spread, [2250, 3750]);
    }

    #[test]
    fn turns_that_come_to_the_same_again_and_again_grow_rare() {
        let mut repeats = Repeats::default();
        let seconds: Vec<u64> = (0..12).map(|_| repeats.pause(7).as_secs()).collect();
        assert_eq!(seconds, [0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
        assert_eq!(repeats.pause(8), Duration::ZERO);
        let _ = (repeats.pause(8), repeats.pause(8));
        repeats.end();
        assert_eq!(repeats.pause(8), Duration::ZERO);
    }

    #[test]
    fn the_sixth_repair_in_a_row_waits_and_peace_ends_the_row() {
        let id = ObjectId::new("", "ConfigMap", "a", "b");
        let mut fights = Fights::default();
        let start = Instant::now();
        for _ in 0..COINCIDENCE {
            assert_eq!(fights.wait(&id, start), None);
            fights.repaired(&id, start);
        }
        assert!(fights.wait(&id, start).is_some());
        let later = start + Duration::from_mins(10);
        assert_eq!(fights.wait(&id, later), None);
        fights.repaired(&id, later);
        assert_eq!(fights.wait(&id, later), None);
    }
}

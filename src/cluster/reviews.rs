//! How many objects may be asked about because rules changed: that concerns every object of a group at once, changes nothing
//! most of the time, and must not keep an API server busy that has just been given a new rule.

use std::time::Duration;
use tokio::time::Instant;

/// Objects that are asked about at once.
const BURST: u32 = 500;
/// And then this many in a second.
const IN_A_SECOND: u32 = 25;

/// What may be asked yet.
#[derive(Debug)]
pub(super) struct Reviews {
    left: u32,
    since: Instant,
}

impl Reviews {
    pub(super) fn new(now: Instant) -> Self {
        Self { left: BURST, since: now }
    }

    /// Takes as many of so many questions as may be asked now.
    pub(super) fn take(&mut self, wanted: usize, now: Instant) -> usize {
        let each = Duration::from_secs(1) / IN_A_SECOND;
        let come = now.saturating_duration_since(self.since).as_nanos() / each.as_nanos();
        let come = u32::try_from(come).unwrap_or(BURST).min(BURST);
        if come > 0 {
            self.left = (self.left + come).min(BURST);
            // What is left of a part of a second counts next time, unless there was more than enough.
            self.since = if self.left == BURST { now } else { self.since + each * come };
        }
        let taken = u32::try_from(wanted).unwrap_or(BURST).min(self.left);
        self.left -= taken;
        taken as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_objects_are_asked_about_in_a_burst_and_then_evenly() {
        let start = Instant::now();
        let at = |millis: u64| start + Duration::from_millis(millis);
        let mut reviews = Reviews::new(start);
        assert_eq!(reviews.take(10, at(0)), 10);
        assert_eq!(reviews.take(10_000, at(0)), 490);
        assert_eq!(reviews.take(10_000, at(30)), 0);
        assert_eq!(reviews.take(10_000, at(60)), 1, "parts of a second add up");
        assert_eq!(reviews.take(10_000, at(1000)), 24);
        let seconds: usize = (2..100).map(|second| reviews.take(10_000, at(second * 1000))).sum();
        assert_eq!(seconds, 98 * 25);
        assert_eq!(
            reviews.take(10_000, at(10_000_000)),
            500,
            "no more than a burst, however long it was quiet"
        );
    }
}

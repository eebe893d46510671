//! When an object is asked about although nothing has changed: once in a period, each at a time of its own, so that what
//! neither tokens nor the schema epoch can show is found in the end, and never for all objects at once. The more objects a
//! cluster has, the longer the period: what an API server is asked while nothing happens does not grow with them.

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use std::time::Duration;
use trueup_model::ObjectId;

/// How many objects of one cluster are asked about in an hour at most.
const IN_AN_HOUR: u64 = 240;

/// How often each object is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audit(pub Duration);

impl Audit {
    /// The same for a cluster with so many objects.
    #[must_use]
    pub fn among(self, objects: usize) -> Self {
        let each = Duration::from_hours(1).as_millis() / u128::from(IN_AN_HOUR);
        let shortest = each.saturating_mul(objects as u128);
        Self(self.0.max(Duration::from_millis(u64::try_from(shortest).unwrap_or(u64::MAX))))
    }

    /// Whether the object's time lies after `from` and not after `to`. Nothing is due before the first look.
    pub fn is_due(self, id: &ObjectId, from: Option<Timestamp>, to: Timestamp) -> bool {
        let period = i128::try_from(self.0.as_millis()).unwrap_or(i128::MAX).max(1);
        let phase = i128::from(phase(id)) % period;
        let slot = |at: Timestamp| (i128::from(at.as_millisecond()) - phase).div_euclid(period);
        from.is_some_and(|from| slot(from) < slot(to))
    }
}

// By identity, so that the times of objects stay spread over restarts.
fn phase(id: &ObjectId) -> u64 {
    let hash = Sha256::digest(id.to_string());
    hash.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_object_is_due_once_in_a_period_and_not_all_at_once() {
        let id = |number: u32| ObjectId::new("", "ConfigMap", "a", number.to_string());
        let audit = Audit(Duration::from_hours(24));
        let at = |minute: i64| Timestamp::from_second(1_790_000_000 + minute * 60).unwrap();
        let mut times = [0; 500];
        for minute in (0..24 * 60).step_by(10) {
            let due: Vec<u32> =
                (0..500).filter(|n| audit.is_due(&id(*n), Some(at(minute)), at(minute + 10))).collect();
            assert!(due.len() < 20, "{} at once", due.len());
            for n in &due {
                times[*n as usize] += 1;
            }
        }
        assert_eq!(times, [1; 500]);
        assert!(!audit.is_due(&id(1), None, at(0)), "a start asks about nothing");
    }

    #[test]
    fn ten_times_the_objects_are_asked_about_no_more_often_in_all() {
        let audit = Audit(Duration::from_hours(24));
        assert_eq!(audit.among(1000), audit);
        assert_eq!(audit.among(5760), audit);
        assert_eq!(audit.among(10_000).0.as_secs(), 150_000);
        assert_eq!(audit.among(100_000).0.as_secs(), 1_500_000);
    }
}

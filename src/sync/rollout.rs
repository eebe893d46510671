//! How a new commit goes over the clusters of an environment: group after group, and only so many at a time.
//!
//! Enters: a target that has something to apply at a commit, and how its siblings stand, the targets of the same App in the same
//! environment. Leaves: whether it may begin, or why not, and who may be next when one is through. What has begun is
//! remembered here; after a start, who is at the commit and not well yet counts as begun. Absent: what a target does when it may.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use trueup_plan::budget::Budget;
use trueup_plan::health::HealthStatus;
use trueup_plan::record::{SyncStatus, TargetStatus};

/// What every reason begins with that passes by itself.
const WAITS: &str = "waits in the rollout over the clusters: ";

/// By then it is heard how a target stands that has begun. What is known of it before may be from before it began.
pub const HEARD_OF: Duration = Duration::from_secs(10);

/// A target's place in the rollout of its environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The group of clusters that its cluster belongs to; smaller ones go first.
    pub wave: usize,
    /// How many clusters may be under way at once; all of a group where nothing is said.
    pub most: Option<Budget>,
}

/// Another target of the same App and environment, or the target itself.
#[derive(Clone, Copy, Debug)]
pub struct Sibling<'s> {
    /// Its name.
    pub name: &'s str,
    /// The group of its cluster.
    pub wave: usize,
    /// How it stands, as far as that is known.
    pub status: Option<&'s TargetStatus>,
}

/// All rollouts of a reconciler.
#[derive(Default)]
pub struct Rollouts(Mutex<BTreeMap<(String, String), Rollout>>);

#[derive(Default)]
struct Rollout {
    revision: String,
    begun: BTreeMap<String, Instant>,
    waiting: BTreeSet<String>,
}

impl Rollouts {
    /// Lets a target begin with a commit, or says what it waits for. Who may is counted from then on.
    ///
    /// # Errors
    /// Why it may not yet, in words.
    pub fn begin(
        &self,
        (app, environment): (&str, &str),
        target: &str,
        place: Place,
        revision: &str,
        siblings: &[Sibling<'_>],
        now: Instant,
    ) -> Result<(), String> {
        let mut all = self.lock();
        let rollout = all.entry((app.to_owned(), environment.to_owned())).or_default();
        if rollout.revision != revision {
            *rollout = Rollout { revision: revision.to_owned(), ..Rollout::default() };
        }
        let may = rollout.may_begin(target, place, siblings, now);
        match &may {
            Ok(()) => {
                rollout.waiting.remove(target);
                rollout.begun.entry(target.to_owned()).or_insert(now);
            }
            Err(_) => drop(rollout.waiting.insert(target.to_owned())),
        }
        may
    }

    /// Who of those that wait may begin now that a target of the rollout is through.
    pub fn next(
        &self,
        (app, environment): (&str, &str),
        most: Option<Budget>,
        siblings: &[Sibling<'_>],
        now: Instant,
    ) -> Vec<String> {
        let all = self.lock();
        let Some(rollout) = all.get(&(app.to_owned(), environment.to_owned())) else { return Vec::new() };
        let waiting = siblings.iter().filter(|sibling| rollout.waiting.contains(sibling.name));
        let mut free = at_once(most, siblings.len()).saturating_sub(rollout.under_way(siblings, now).count());
        let mut next = Vec::new();
        for sibling in waiting {
            let place = Place { wave: sibling.wave, most };
            if free > 0 && rollout.may_begin(sibling.name, place, siblings, now).is_ok() {
                free -= 1;
                next.push(sibling.name.to_owned());
            }
        }
        next
    }

    /// Who waits in a rollout.
    pub fn waiting(&self, (app, environment): (&str, &str)) -> Vec<String> {
        let all = self.lock();
        let rollout = all.get(&(app.to_owned(), environment.to_owned()));
        rollout.into_iter().flat_map(|rollout| rollout.waiting.iter().cloned()).collect()
    }

    /// Who waits in the rollout of a target that was well, and failed: they may say so.
    pub fn stopped(
        &self,
        rollout: (&str, &str),
        before: Option<&TargetStatus>,
        now: &TargetStatus,
    ) -> Vec<String> {
        if !is_bad(now) || before.is_some_and(is_bad) { Vec::new() } else { self.waiting(rollout) }
    }

    /// Forgets rollouts of what is not configured any more.
    pub fn retain(&self, is_configured: impl Fn(&str, &str) -> bool) {
        self.lock().retain(|(app, environment), _| is_configured(app, environment));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(String, String), Rollout>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a target says that waits in a rollout.
pub fn waits(why: &str) -> String {
    format!("{WAITS}{why}")
}

/// Whether a target that says this waits for others of its rollout, and goes on by itself.
pub fn is_waiting(message: &str) -> bool {
    message.starts_with(WAITS)
}

/// Whether nothing can be seen of a target. One that began, and was lost before it was at the commit, is waited for no more than one
/// that was away before.
pub fn is_away(status: &TargetStatus) -> bool {
    status.sync == SyncStatus::Unknown
}

fn is_bad(status: &TargetStatus) -> bool {
    status.sync == SyncStatus::Failed || status.health == HealthStatus::Degraded
}

/// How many of so many targets may be under way.
pub fn at_once(most: Option<Budget>, siblings: usize) -> usize {
    // None at all would be a rollout that never begins.
    most.map_or(usize::MAX, |most| most.of(siblings).max(1))
}

impl Rollout {
    fn is_at(&self, sibling: &Sibling<'_>) -> bool {
        sibling.status.is_some_and(|status| status.revision == self.revision)
    }

    fn is_through(&self, sibling: &Sibling<'_>) -> bool {
        self.is_at(sibling) && sibling.status.is_some_and(TargetStatus::is_settled)
    }

    fn under_way<'s, 'a>(
        &'s self,
        siblings: &'a [Sibling<'a>],
        now: Instant,
    ) -> impl Iterator<Item = &'a Sibling<'a>> + use<'s, 'a> {
        let begun = move |sibling: &&Sibling<'_>| {
            let begun = self.begun.get(sibling.name);
            let is_new = |at: &Instant| now.saturating_duration_since(*at) < HEARD_OF;
            self.is_at(sibling) || begun.is_some_and(|at| is_new(at) || !sibling.status.is_some_and(is_away))
        };
        siblings.iter().filter(begun).filter(|sibling| !self.is_through(sibling))
    }

    fn may_begin(
        &self,
        target: &str,
        place: Place,
        siblings: &[Sibling<'_>],
        now: Instant,
    ) -> Result<(), String> {
        if self.begun.contains_key(target) {
            return Ok(());
        }
        let others = || siblings.iter().filter(|sibling| sibling.name != target);
        let failed = self.under_way(siblings, now).find(|sibling| sibling.status.is_some_and(is_bad));
        if let Some(Sibling { name, status: Some(status), .. }) = failed {
            let how = if status.sync == SyncStatus::Failed { "Failed" } else { "Degraded" };
            let why = if status.message.is_empty() { String::new() } else { format!(": {}", status.message) };
            return Err(format!(
                "the rollout over the clusters stops, because {name} is {how} at this commit{why}; it goes on when that is Synced and Healthy, or with a commit that mends it"
            ));
        }
        let is_suspended = |sibling: &&Sibling<'_>| sibling.status.is_some_and(|status| status.suspended);
        let earlier = others().filter(|sibling| sibling.wave < place.wave);
        if let Some(first) =
            earlier.filter(|one| !is_suspended(one)).find(|sibling| !self.is_through(sibling))
        {
            return Err(format!("{WAITS}{} has to be Synced and Healthy at this commit first", first.name));
        }
        let (most, count) = (at_once(place.most, siblings.len()), self.under_way(siblings, now).count());
        if count >= most {
            return Err(format!(
                "{WAITS}{count} of {} are under way, and no more than {most} may be",
                siblings.len()
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use HealthStatus::{Degraded, Healthy, Progressing};
    use SyncStatus::{Failed, OutOfSync, Synced};

    const HERE: (&str, &str) = ("web", "fleet");

    /// Clusters of a fleet, with the waves that they are in and how they stand.
    struct Fleet {
        rollouts: Rollouts,
        most: Option<Budget>,
        standing: Vec<(String, usize, TargetStatus)>,
        now: Instant,
    }

    impl Fleet {
        fn new(waves: &[usize], most: &str) -> Self {
            let one = |(index, wave): (usize, &usize)| {
                let status = TargetStatus {
                    revision: "old".to_owned(),
                    sync: Synced,
                    health: Healthy,
                    ..TargetStatus::default()
                };
                (format!("c{index}"), *wave, status)
            };
            Self {
                rollouts: Rollouts::default(),
                most: (!most.is_empty()).then(|| most.parse().unwrap()),
                standing: waves.iter().enumerate().map(one).collect(),
                now: Instant::now(),
            }
        }

        fn siblings(&self) -> Vec<Sibling<'_>> {
            self.standing
                .iter()
                .map(|(name, wave, status)| Sibling { name, wave: *wave, status: Some(status) })
                .collect()
        }

        fn begin(&self, index: usize) -> Result<(), String> {
            self.begin_at(index, "new")
        }

        fn begin_at(&self, index: usize, revision: &str) -> Result<(), String> {
            let (name, wave, _) = &self.standing[index];
            self.rollouts.begin(
                HERE,
                name,
                Place { wave: *wave, most: self.most },
                revision,
                &self.siblings(),
                self.now,
            )
        }

        fn stands(&mut self, index: usize, revision: &str, sync: SyncStatus, health: HealthStatus) {
            let status = &mut self.standing[index].2;
            (status.sync, status.health) = (sync, health);
            revision.clone_into(&mut status.revision);
        }

        fn next(&self) -> Vec<String> {
            self.rollouts.next(HERE, self.most, &self.siblings(), self.now)
        }
    }

    #[test]
    fn the_first_group_is_well_before_the_next_one_begins() {
        let mut fleet = Fleet::new(&[0, 1, 1], "");
        let why = fleet.begin(1).unwrap_err();
        assert!(is_waiting(&why) && why.contains("c0 has to be Synced and Healthy"), "{why}");
        fleet.begin(2).unwrap_err();
        fleet.begin(0).unwrap();
        fleet.stands(0, "new", Synced, Progressing);
        fleet.begin(1).unwrap_err();
        assert!(fleet.next().is_empty());
        fleet.stands(0, "new", Synced, Healthy);
        assert_eq!(fleet.next(), ["c1", "c2"]);
        fleet.begin(1).unwrap();
        fleet.begin(2).unwrap();
    }

    #[test]
    fn no_more_are_under_way_than_may_be() {
        let mut fleet = Fleet::new(&[0; 5], "40%");
        fleet.begin(0).unwrap();
        fleet.begin(3).unwrap();
        let why = fleet.begin(1).unwrap_err();
        assert!(is_waiting(&why) && why.contains("2 of 5 are under way"), "{why}");
        fleet.begin(3).unwrap();
        fleet.stands(3, "new", Synced, Healthy);
        fleet.begin(2).unwrap();
        fleet.begin(4).unwrap_err();
    }

    #[test]
    fn who_is_next_are_as_many_as_there_is_room_for() {
        let mut fleet = Fleet::new(&[0; 5], "2");
        (0..2).for_each(|index| fleet.begin(index).unwrap());
        (2..5).for_each(|index| drop(fleet.begin(index).unwrap_err()));
        assert!(fleet.next().is_empty());
        fleet.stands(0, "new", Synced, Healthy);
        assert_eq!(fleet.next(), ["c2"]);
    }

    #[test]
    fn a_failure_stops_all_that_has_not_begun_until_it_is_mended() {
        for (sync, health) in [(Failed, Healthy), (Synced, Degraded)] {
            let mut fleet = Fleet::new(&[0; 3], "1");
            fleet.begin(0).unwrap();
            fleet.stands(0, if sync == Failed { "old" } else { "new" }, sync, health);
            let why = fleet.begin(1).unwrap_err();
            assert!(!is_waiting(&why) && why.contains("stops, because c0 is"), "{why}");
            fleet.begin(0).unwrap();
            fleet.stands(0, "new", Synced, Healthy);
            fleet.begin(1).unwrap();
        }
        let mut fleet = Fleet::new(&[0; 3], "1");
        fleet.begin(0).unwrap();
        fleet.begin(1).unwrap_err();
        let before = fleet.standing[0].2.clone();
        fleet.stands(0, "old", Failed, Healthy);
        let told = |before| fleet.rollouts.stopped(HERE, before, &fleet.standing[0].2);
        assert_eq!(told(Some(&before)), ["c1"], "who waits looks why");
        assert!(told(Some(&fleet.standing[0].2)).is_empty(), "once");
        fleet.begin(1).unwrap_err();
        fleet.begin_at(1, "mended").unwrap();
    }

    #[test]
    fn a_cluster_that_was_unwell_before_and_has_not_begun_takes_no_place() {
        let mut fleet = Fleet::new(&[0; 3], "1");
        fleet.stands(0, "old", SyncStatus::Unknown, HealthStatus::Unknown);
        fleet.stands(1, "old", OutOfSync, Degraded);
        fleet.begin(2).unwrap();
    }

    #[test]
    fn one_that_is_lost_takes_no_place_unless_it_is_at_the_commit() {
        let mut fleet = Fleet::new(&[0; 3], "1");
        fleet.begin(0).unwrap();
        fleet.begin(1).unwrap_err();
        fleet.stands(0, "old", SyncStatus::Unknown, Healthy);
        assert!(fleet.next().is_empty(), "that may be from before it began");
        fleet.begin(1).unwrap_err();
        fleet.now += HEARD_OF;
        assert_eq!(fleet.next(), ["c1"]);
        fleet.begin(1).unwrap();
        fleet.now += HEARD_OF;
        fleet.stands(1, "new", SyncStatus::Unknown, Progressing);
        fleet.begin(2).unwrap_err();
        fleet.begin(0).unwrap();
    }

    #[test]
    fn a_suspended_one_is_waited_for_by_nobody() {
        let mut fleet = Fleet::new(&[0, 1], "");
        fleet.standing[0].2.suspended = true;
        fleet.begin(1).unwrap();
    }

    #[test]
    fn after_a_start_who_is_at_the_commit_and_not_well_counts_as_begun() {
        let mut fleet = Fleet::new(&[0; 3], "1");
        fleet.stands(0, "new", Synced, Progressing);
        fleet.begin(1).unwrap_err();
        fleet.stands(0, "new", Synced, Healthy);
        fleet.begin(1).unwrap();
    }
}

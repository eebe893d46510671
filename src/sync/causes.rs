//! Why workloads are unwell. A workload says how many pods are missing, its pods say why.
//!
//! Enters: the unwell objects of a target. Leaves: the same with the cause in their message, and when to ask again. What was found
//! is kept for a while, since most turns are about something else; it is asked for again after ever longer pauses, since pods
//! fail later than their workload tells of them. Absent: what makes a pod a cause, which `trueup_plan::health` knows.

use crate::cluster::Cluster;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use trueup_model::ObjectId;
use trueup_plan::health::{HealthStatus, cause_from_pods};
use trueup_plan::observed::Live;
use trueup_plan::record::ObjectStatus;

/// Workloads of a target whose pods are asked: the worst ones.
const EXPLAINED: usize = 3;
/// How long what was found is kept, from one time to the next while the workload says the same.
const KEPT: [Duration; 4] =
    [Duration::from_secs(4), Duration::from_secs(15), Duration::from_mins(1), Duration::from_mins(5)];

/// What is known of the unwell workloads of a target.
#[derive(Debug, Default)]
pub struct Causes(BTreeMap<ObjectId, Asked>);

#[derive(Debug)]
struct Asked {
    /// What the workload said then.
    said: String,
    due: Instant,
    times: usize,
    cause: Option<String>,
}

impl Causes {
    /// Adds the causes to the messages of the worst workloads. Where pods cannot be asked, their workload's word has to do.
    pub async fn explain(
        &mut self,
        cluster: &Cluster,
        members: &BTreeMap<ObjectId, Arc<Live>>,
        unwell: &mut [ObjectStatus],
    ) {
        let workloads =
            unwell.iter_mut().filter(|object| has_pods(object) && members.contains_key(&object.id));
        let workloads: Vec<&mut ObjectStatus> = workloads.take(EXPLAINED).collect();
        self.0.retain(|id, _| workloads.iter().any(|object| object.id == *id));
        for object in workloads {
            if self.is_due(object, Instant::now()) {
                let pods = cluster.pods_of(&object.id).await.unwrap_or_default();
                self.found(object, Instant::now(), cause_from_pods(&pods));
            }
            if let Some(cause) = self.0.get(&object.id).and_then(|asked| asked.cause.as_ref()) {
                object.health.message = format!("{}; {cause}", object.health.message);
            }
        }
    }

    /// After which time to ask again.
    pub fn due_in(&self) -> Option<Duration> {
        let now = Instant::now();
        self.0.values().map(|asked| asked.due.saturating_duration_since(now)).min()
    }

    fn is_due(&mut self, object: &ObjectStatus, now: Instant) -> bool {
        let is_new = !self.0.contains_key(&object.id);
        let (said, due) = (object.health.message.clone(), now + KEPT[0]);
        let asked = self.0.entry(object.id.clone()).or_insert(Asked { said, due, times: 0, cause: None });
        if asked.said != object.health.message {
            asked.said.clone_from(&object.health.message);
            asked.due = asked.due.min(now + KEPT[0]);
            asked.times = 0;
        }
        // A rollout that goes well is over before its pods have anything to say.
        asked.due <= now || (is_new && object.health.status == HealthStatus::Degraded)
    }

    fn found(&mut self, object: &ObjectStatus, now: Instant, cause: Option<String>) {
        if let Some(asked) = self.0.get_mut(&object.id) {
            asked.due = now + KEPT[asked.times.min(KEPT.len() - 1)];
            asked.times += 1;
            asked.cause = cause;
        }
    }
}

fn has_pods(object: &ObjectStatus) -> bool {
    matches!((object.id.group.as_str(), object.id.kind.as_str()), ("apps", _) | ("batch", "Job"))
        && matches!(object.health.status, HealthStatus::Progressing | HealthStatus::Degraded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use trueup_plan::health::Health;

    fn workload(status: HealthStatus, message: &str) -> ObjectStatus {
        let id = ObjectId::new("apps", "Deployment", "shop", "web");
        ObjectStatus { id, health: Health::new(status, message) }
    }

    /// When pods are asked, in seconds, of a workload that says one thing and from `changes` on another.
    fn asked(status: HealthStatus, changes: u64, until: u64) -> Vec<u64> {
        let (mut causes, start) = (Causes::default(), Instant::now());
        let at = |second: u64| start + Duration::from_secs(second);
        let is_asked = |second: &u64| {
            let message = if *second < changes { "0 of 2 are ready" } else { "1 of 2 are ready" };
            let (object, now) = (workload(status, message), at(*second));
            let is_due = causes.is_due(&object, now);
            if is_due {
                causes.found(&object, now, Some("web-1: CrashLoopBackOff".to_owned()));
            }
            is_due
        };
        (0..until).filter(is_asked).collect()
    }

    #[test]
    fn pods_are_asked_ever_more_seldom_while_their_workload_says_the_same() {
        let never = u64::MAX;
        assert_eq!(asked(HealthStatus::Degraded, never, 1000), [0, 4, 19, 79, 379, 679, 979]);
    }

    #[test]
    fn a_rollout_is_given_time_before_its_pods_are_asked() {
        assert_eq!(asked(HealthStatus::Progressing, u64::MAX, 30), [4, 8, 23]);
    }

    #[test]
    fn pods_are_asked_soon_when_their_workload_says_something_else_and_never_each_time() {
        assert_eq!(asked(HealthStatus::Degraded, 100, 130), [0, 4, 19, 79, 104, 108, 123]);
        assert_eq!(asked(HealthStatus::Degraded, 2, 10), [0, 4, 8]);
    }
}

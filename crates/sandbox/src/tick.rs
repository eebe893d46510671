//! What happens because time passes, and not because somebody asks.
//!
//! Enters: the time. Leaves: nothing; `CronJob`s start Jobs, Jobs run out of time or are deleted, rollouts time out. Who serves a
//! sandbox calls it now and then; how often decides only how late things happen.

use crate::jobs::ended;
use crate::store::{Key, Resource};
use crate::{Programs, Sandbox};
use jiff::Timestamp;
use serde_json::Value;

impl Sandbox {
    /// Lets the cluster's own programs see that it is `now`.
    pub fn tick(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        if self.programs == Programs::None {
            return;
        }
        for (group, plural) in [("batch", "cronjobs"), ("batch", "jobs"), ("apps", "deployments")] {
            let resource: Resource = (group.to_owned(), plural.to_owned());
            let waiting = self.store.all(&resource).filter(|(_, object)| waits(plural, object));
            let keys: Vec<Key> = waiting.map(|(key, _)| key.clone()).collect();
            for key in keys {
                self.run_workloads(&resource, &key);
            }
        }
        self.settle();
    }
}

/// Whether time may change something of an object.
fn waits(plural: &str, object: &Value) -> bool {
    let spec = &object["spec"];
    match plural {
        "jobs" if ended(object).is_some() => !spec["ttlSecondsAfterFinished"].is_null(),
        "jobs" => !spec["activeDeadlineSeconds"].is_null(),
        "deployments" => {
            let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
            conditions
                .into_iter()
                .any(|one| one["type"] == "Progressing" && one["reason"] == "ReplicaSetUpdated")
        }
        _ => true,
    }
}

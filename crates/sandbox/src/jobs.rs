//! Jobs run once: one pod, and what becomes of it is what becomes of the Job.
//!
//! Absent: completions and parallelism beyond one, and pods that are tried again: the first that fails is the last.
//!
//! Source: k8s.io/kubernetes `pkg/controller/job` and `pkg/controller/ttlafterfinished`.

use crate::Sandbox;
use crate::clock::after;
use crate::store::{Key, Resource};
use crate::workloads::pods;
use serde_json::{Value, json};
use std::sync::Arc;

fn jobs() -> Resource {
    ("batch".to_owned(), "jobs".to_owned())
}

impl Sandbox {
    pub(crate) fn run_job(&mut self, job: &Value, key: &Key) {
        if has_ended(job) {
            self.clear_away(job, key);
            return;
        }
        if job["spec"]["suspend"] == true {
            return;
        }
        let owned = self.owned(job, &pods());
        let deadline = job["spec"]["activeDeadlineSeconds"]
            .as_i64()
            .and_then(|seconds| after(&job["metadata"]["creationTimestamp"], seconds));
        match deadline {
            Some(deadline) if deadline <= self.now => return self.end_late(job, key, &owned),
            Some(deadline) => self.wake(deadline, &jobs(), key),
            None => {}
        }
        let Some((_, pod)) = owned.first() else {
            let suffix: String = self.store.uid().chars().take(5).collect();
            self.create_pod(job, &job["spec"]["template"], &key.0, &format!("{}-{suffix}", key.1));
            return;
        };
        let start = &job["metadata"]["creationTimestamp"];
        let status = match pod["status"]["phase"].as_str() {
            Some("Succeeded") => {
                let complete =
                    ("True", "CompletionsReached", "Reached expected number of succeeded pods".to_owned());
                let conditions =
                    self.conditions(job, &[("SuccessCriteriaMet", complete.clone()), ("Complete", complete)]);
                json!({"startTime": start, "completionTime": self.time(), "succeeded": 1, "ready": 0,
                    "uncountedTerminatedPods": {}, "conditions": conditions})
            }
            Some("Failed") => {
                self.failed(job, "BackoffLimitExceeded", "Job has reached the specified backoff limit")
            }
            _ => json!({"startTime": start, "active": 1, "ready": 0, "uncountedTerminatedPods": {}}),
        };
        self.set_status(&jobs(), key, status);
    }

    fn failed(&self, job: &Value, reason: &str, message: &str) -> Value {
        let failed = ("True", reason, message.to_owned());
        let conditions = self.conditions(job, &[("FailureTarget", failed.clone()), ("Failed", failed)]);
        json!({"startTime": job["metadata"]["creationTimestamp"], "failed": 1, "ready": 0,
            "uncountedTerminatedPods": {}, "conditions": conditions})
    }

    /// Ends a Job whose time is over, and what it still runs.
    fn end_late(&mut self, job: &Value, key: &Key, owned: &[(Key, Arc<Value>)]) {
        let status = self.failed(job, "DeadlineExceeded", "Job was active longer than specified deadline");
        self.set_status(&jobs(), key, status);
        for (pod, _) in owned {
            self.end(&pods(), pod, None);
        }
    }

    /// Takes a Job away that ended long enough ago, if it says what that is.
    fn clear_away(&mut self, job: &Value, key: &Key) {
        let Some(seconds) = job["spec"]["ttlSecondsAfterFinished"].as_i64() else { return };
        let ended = end_of(job).unwrap_or(&Value::Null);
        match after(ended, seconds) {
            Some(at) if at <= self.now => drop(self.end(&jobs(), key, Some("Foreground"))),
            Some(at) => self.wake(at, &jobs(), key),
            None => {}
        }
    }
}

fn has_ended(job: &Value) -> bool {
    end_of(job).is_some()
}

/// Since when it is over.
fn end_of(job: &Value) -> Option<&Value> {
    let conditions = job["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_end =
        |one: &&Value| (one["type"] == "Complete" || one["type"] == "Failed") && one["status"] == "True";
    conditions.iter().find(is_end).map(|one| &one["lastTransitionTime"])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asked::{ask, ask_at};
    use crate::workloads::Fate;
    use jiff::Timestamp;

    const JOBS: &str = "/apis/batch/v1/namespaces/default/jobs";

    fn job(image: &str) -> Value {
        let spec = json!({"restartPolicy": "Never", "containers": [{"name": "main", "image": image}]});
        json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a"}, "spec": {"template": {"spec": spec}}})
    }

    fn seen(sandbox: &mut Sandbox) -> (String, Vec<String>) {
        let path = "/apis/batch/v1/namespaces/default/jobs/a";
        let job = ask(sandbox, "GET", path, &Value::Null);
        let conditions = job["status"]["conditions"].as_array().into_iter().flatten();
        let conditions = conditions.map(|one| one["type"].as_str().unwrap_or_default().to_owned()).collect();
        let pods = ask(sandbox, "GET", "/api/v1/namespaces/default/pods", &Value::Null);
        (pods["items"][0]["status"]["phase"].as_str().unwrap_or_default().to_owned(), conditions)
    }

    #[test]
    fn a_job_ends_as_it_was_decided_for_its_image_and_then_stays_as_it_is() {
        for (fate, phase, conditions) in [
            (None, "Succeeded", &["SuccessCriteriaMet", "Complete"][..]),
            (Some(Fate::Fails), "Failed", &["FailureTarget", "Failed"]),
            (Some(Fate::Hangs), "Running", &[]),
        ] {
            let mut sandbox = Sandbox::new(Timestamp::UNIX_EPOCH);
            sandbox.decide("shop:1", fate);
            ask(&mut sandbox, "POST", JOBS, &job("shop:1"));
            let conditions: Vec<String> = conditions.iter().map(|&name| name.to_owned()).collect();
            let ended = (phase.to_owned(), conditions);
            assert_eq!(seen(&mut sandbox), ended, "{fate:?}");
            let later = match fate {
                Some(Fate::Hangs) | None => Some(Fate::Fails),
                Some(_) => None,
            };
            sandbox.decide("shop:1", later);
            let then = if fate == Some(Fate::Hangs) {
                ("Failed".to_owned(), vec!["FailureTarget".to_owned(), "Failed".to_owned()])
            } else {
                ended
            };
            assert_eq!(seen(&mut sandbox), then, "{fate:?} and then {later:?}");
        }
    }

    #[test]
    fn a_job_that_takes_too_long_fails_when_its_time_is_over_and_goes_when_that_is_over_too() {
        let mut sandbox = Sandbox::new(Timestamp::UNIX_EPOCH);
        sandbox.decide("shop:1", Some(Fate::Hangs));
        let mut job = job("shop:1");
        job["spec"]["activeDeadlineSeconds"] = 5.into();
        job["spec"]["ttlSecondsAfterFinished"] = 10.into();
        ask(&mut sandbox, "POST", JOBS, &job);
        sandbox.tick(Timestamp::from_second(4).unwrap_or_default());
        assert_eq!(seen(&mut sandbox), ("Running".to_owned(), Vec::new()));
        assert_eq!(sandbox.next_alarm(), Timestamp::from_second(5).ok());
        sandbox.tick(Timestamp::from_second(6).unwrap_or_default());
        let failed = ["FailureTarget", "Failed"].map(str::to_owned).to_vec();
        assert_eq!(seen(&mut sandbox), (String::new(), failed), "its pod is gone");
        let path = format!("{JOBS}/a");
        let ended = ask(&mut sandbox, "GET", &path, &Value::Null);
        assert_eq!(ended["status"]["conditions"][1]["reason"], "DeadlineExceeded");
        assert_eq!(ask_at(&mut sandbox, 15, "GET", &path, &Value::Null)["kind"], "Job");
        assert_eq!(ask_at(&mut sandbox, 16, "GET", &path, &Value::Null)["reason"], "NotFound");
    }
}

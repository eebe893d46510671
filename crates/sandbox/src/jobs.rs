//! The controller of Jobs in small: pods until enough of them have succeeded, too many have failed, or the time is up.
//!
//! Source: k8s.io/kubernetes `pkg/controller/job`, `pkg/controller/ttlafterfinished`. Absent: policies of failures and success, limits by
//! index, and pauses between attempts: what fails is tried again at once.

use crate::Sandbox;
use crate::store::{Key, Resource};
use crate::workloads::{PODS, pods};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

const INDEX: &str = "batch.kubernetes.io/job-completion-index";

pub(crate) fn jobs() -> Resource {
    ("batch".to_owned(), "jobs".to_owned())
}

/// The condition that says how a Job has ended.
pub(crate) fn ended(job: &Value) -> Option<&Value> {
    let conditions = job["status"]["conditions"].as_array()?;
    let is_end =
        |one: &&Value| (one["type"] == "Complete" || one["type"] == "Failed") && one["status"] == "True";
    conditions.iter().find(is_end)
}

/// What a Job's pods have come to.
struct Tally {
    active: Vec<Key>,
    ready: usize,
    succeeded: usize,
    failed: usize,
    /// Indexes that have succeeded, and those that are under way.
    done: BTreeSet<u64>,
    taken: BTreeSet<u64>,
}

impl Tally {
    fn of(pods: &[(Key, Arc<Value>)]) -> Self {
        let mut tally = Self {
            active: Vec::new(),
            ready: 0,
            succeeded: 0,
            failed: 0,
            done: BTreeSet::new(),
            taken: BTreeSet::new(),
        };
        for (key, pod) in pods {
            let index: Option<u64> =
                pod["metadata"]["annotations"][INDEX].as_str().and_then(|index| index.parse().ok());
            match pod["status"]["phase"].as_str() {
                Some("Succeeded") => {
                    tally.succeeded += 1;
                    tally.done.extend(index);
                }
                Some("Failed") => tally.failed += 1,
                Some(_) | None => {
                    tally.active.push(key.clone());
                    tally.taken.extend(index);
                    let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
                    let mut conditions = conditions.filter(|one| one["type"] == "Ready");
                    tally.ready += usize::from(conditions.any(|one| one["status"] == "True"));
                }
            }
        }
        tally
    }
}

fn count(job: &Value, field: &str, otherwise: usize) -> usize {
    let given = job["spec"][field].as_u64().and_then(|count| usize::try_from(count).ok());
    given.unwrap_or(otherwise).min(usize::try_from(PODS).unwrap_or(usize::MAX))
}

impl Sandbox {
    /// Looks after a Job.
    pub(crate) fn run_job(&mut self, job: &Value, key: &Key) {
        if let Some(end) = ended(job) {
            let over = self.is_past(&end["lastTransitionTime"], &job["spec"]["ttlSecondsAfterFinished"]);
            if over {
                self.end(&jobs(), key, Some("Background"));
            }
            return;
        }
        let tally = Tally::of(&self.owned(job, &pods()));
        if job["spec"]["suspend"] == true {
            self.suspend(job, key, &tally);
            return;
        }
        let completions = job["spec"]["completions"].as_u64().map(|_| count(job, "completions", 1));
        // One that works off a queue begins with all its pods, and is done when one of them is and none runs any more.
        let to_begin =
            count(job, "parallelism", 1).saturating_sub(tally.active.len() + tally.succeeded + tally.failed);
        let is_complete = match completions {
            Some(completions) => tally.succeeded >= completions,
            None => tally.succeeded > 0 && tally.active.is_empty() && to_begin == 0,
        };
        let never_again = job["spec"]["template"]["spec"]["restartPolicy"] == "Never";
        let attempts = if never_again { count(job, "backoffLimit", 6) } else { 0 };
        let failure = if tally.failed > attempts {
            Some(("BackoffLimitExceeded", "Job has reached the specified backoff limit"))
        } else if self.is_past(&started(job, &self.time()), &job["spec"]["activeDeadlineSeconds"]) {
            Some(("DeadlineExceeded", "Job was active longer than specified deadline"))
        } else {
            None
        };
        if is_complete {
            let why = ("CompletionsReached", "Reached expected number of succeeded pods");
            self.finish(job, key, &tally, [("SuccessCriteriaMet", why), ("Complete", why)]);
            return;
        }
        if let Some(why) = failure {
            self.finish(job, key, &tally, [("FailureTarget", why), ("Failed", why)]);
            return;
        }
        let wanted = match completions {
            Some(completions) => count(job, "parallelism", 1).min(completions - tally.succeeded),
            None if tally.succeeded > 0 => tally.active.len() + to_begin,
            None => count(job, "parallelism", 1),
        };
        if tally.active.len() < wanted && self.start_pod(job, key, &tally) {
            return;
        }
        if tally.active.len() > wanted {
            // As for a set that becomes smaller, one after the other.
            if let Some(last) = tally.active.last() {
                self.end(&pods(), last, None);
            }
            return;
        }
        let status = self.status_of_job(job, &tally);
        self.set_status(&jobs(), key, status);
    }

    /// Whether so many seconds after a time have passed; never where no number is given.
    fn is_past(&self, since: &Value, seconds: &Value) -> bool {
        let since = since.as_str().and_then(|since| since.parse::<Timestamp>().ok());
        let limit = seconds.as_i64().map(SignedDuration::from_secs);
        since.zip(limit).is_some_and(|(since, limit)| since + limit <= self.now)
    }

    /// Makes one more pod; says whether it could be made.
    fn start_pod(&mut self, job: &Value, key: &Key, tally: &Tally) -> bool {
        let suffix: String = self.store.uid().chars().take(5).collect();
        let mut template = job["spec"]["template"].clone();
        let mut name = format!("{}-{suffix}", key.1);
        if job["spec"]["completionMode"] == "Indexed" {
            let is_free = |index: &u64| !tally.done.contains(index) && !tally.taken.contains(index);
            // One of so many is free.
            let index =
                (0..=tally.done.len() as u64 + tally.taken.len() as u64).find(is_free).unwrap_or_default();
            template["metadata"]["annotations"][INDEX] = index.to_string().into();
            template["metadata"]["labels"][INDEX] = index.to_string().into();
            name = format!("{}-{index}-{suffix}", key.1);
        }
        self.create_pod(job, &template, &key.0, &name).is_ok()
    }

    fn status_of_job(&self, job: &Value, tally: &Tally) -> Value {
        let mut status = json!({"startTime": started(job, &self.time()), "ready": tally.ready,
            "terminating": 0, "uncountedTerminatedPods": {}});
        let counts =
            [("active", tally.active.len()), ("succeeded", tally.succeeded), ("failed", tally.failed)];
        for (name, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
            status[name] = count.into();
        }
        if job["spec"]["completionMode"] == "Indexed" && !tally.done.is_empty() {
            status["completedIndexes"] = ranges(&tally.done).into();
        }
        // What runs again is no longer suspended.
        let suspended = condition(job, "Suspended");
        if let Some(before) = suspended {
            let resumed = if before["status"] == "True" {
                self.condition("Suspended", "False", ("JobResumed", "Job resumed"))
            } else {
                before.clone()
            };
            status["conditions"] = json!([resumed]);
        }
        status
    }

    fn finish(&mut self, job: &Value, key: &Key, tally: &Tally, how: [(&str, (&str, &str)); 2]) {
        for pod in &tally.active {
            self.end(&pods(), pod, None);
        }
        let rest = Tally {
            active: Vec::new(),
            ready: 0,
            done: tally.done.clone(),
            taken: BTreeSet::new(),
            ..*tally
        };
        let mut status = self.status_of_job(job, &rest);
        let failed = rest.failed + tally.active.len();
        if how[1].0 == "Complete" {
            status["completionTime"] = self.time().into();
        } else if failed > 0 {
            // What was stopped has failed.
            status["failed"] = failed.into();
        }
        let mut conditions = status["conditions"].as_array().cloned().unwrap_or_default();
        conditions.extend(how.map(|(name, why)| self.condition(name, "True", why)));
        status["conditions"] = conditions.into();
        self.set_status(&jobs(), key, status);
        if let Some(done) = self.store.get(&jobs(), key).cloned() {
            self.run_job(&done, key);
        }
    }

    fn suspend(&mut self, job: &Value, key: &Key, tally: &Tally) {
        for pod in &tally.active {
            self.end(&pods(), pod, None);
        }
        let rest = Tally {
            active: Vec::new(),
            ready: 0,
            done: tally.done.clone(),
            taken: BTreeSet::new(),
            ..*tally
        };
        let mut status = self.status_of_job(job, &rest);
        if let Some(fields) = status.as_object_mut() {
            fields.remove("startTime");
        }
        let known = condition(job, "Suspended").filter(|known| known["status"] == "True").cloned();
        let condition =
            known.unwrap_or_else(|| self.condition("Suspended", "True", ("JobSuspended", "Job suspended")));
        status["conditions"] = json!([condition]);
        self.set_status(&jobs(), key, status);
    }

    fn condition(&self, name: &str, status: &str, (reason, message): (&str, &str)) -> Value {
        let time = self.time();
        json!({"type": name, "status": status, "reason": reason, "message": message,
            "lastProbeTime": time, "lastTransitionTime": time})
    }
}

fn condition<'o>(job: &'o Value, name: &str) -> Option<&'o Value> {
    job["status"]["conditions"].as_array()?.iter().find(|one| one["type"] == name)
}

/// When a Job began: now, if it has not yet.
fn started(job: &Value, now: &str) -> Value {
    match &job["status"]["startTime"] {
        Value::String(time) => time.as_str().into(),
        _ => now.into(),
    }
}

/// `0,2-4`.
fn ranges(indexes: &BTreeSet<u64>) -> String {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for index in indexes {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *index => *last = *index,
            Some(_) | None => ranges.push((*index, *index)),
        }
    }
    let told = ranges.iter().map(|(first, last)| match last - first {
        0 => first.to_string(),
        1 => format!("{first},{last}"),
        _ => format!("{first}-{last}"),
    });
    told.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::ask;
    use crate::workloads::Fate;

    const PATH: &str = "/apis/batch/v1/namespaces/default/jobs";

    /// The Job of a spec, after it was made.
    fn made(sandbox: &mut Sandbox, spec: &Value, image: &str) -> Value {
        let pod = json!({"restartPolicy": "Never", "containers": [{"name": "main", "image": image}]});
        let mut job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a"},
            "spec": {"template": {"spec": pod}}});
        for (name, value) in spec.as_object().into_iter().flatten() {
            job["spec"][name.as_str()] = value.clone();
        }
        ask(sandbox, "POST", PATH, &job);
        ask(sandbox, "GET", &format!("{PATH}/a"), &Value::Null)
    }

    fn cluster() -> Sandbox {
        let mut sandbox = Sandbox::new(Timestamp::UNIX_EPOCH);
        sandbox.decide("hangs:1", Some(Fate::Hangs));
        sandbox.decide("fails:1", Some(Fate::Fails));
        sandbox
    }

    #[test]
    fn a_job_makes_pods_until_enough_have_succeeded() {
        let job = made(&mut cluster(), &json!({"completions": 5, "parallelism": 2}), "web:1");
        assert_eq!(
            (&job["status"]["succeeded"], ended(&job).unwrap()["type"].as_str()),
            (&json!(5), Some("Complete"))
        );
        let indexed = json!({"completions": 3, "completionMode": "Indexed"});
        assert_eq!(made(&mut cluster(), &indexed, "web:1")["status"]["completedIndexes"], "0-2");
        let queue = made(&mut cluster(), &json!({"parallelism": 3}), "web:1");
        assert_eq!(queue["status"]["succeeded"], 3, "{}", queue["status"]);
    }

    #[test]
    fn so_many_run_at_a_time_as_it_says() {
        let job = made(&mut cluster(), &json!({"completions": 5, "parallelism": 2}), "hangs:1");
        assert_eq!((&job["status"]["active"], ended(&job)), (&json!(2), None));
    }

    #[test]
    fn a_pod_that_fails_is_tried_again_as_often_as_it_says() {
        let job = made(&mut cluster(), &json!({"backoffLimit": 2}), "fails:1");
        assert_eq!(job["status"]["failed"], 3);
        assert_eq!(ended(&job).unwrap()["reason"], "BackoffLimitExceeded");
    }

    #[test]
    fn time_ends_a_job_that_runs_and_deletes_one_that_has_ended() {
        let mut sandbox = cluster();
        made(&mut sandbox, &json!({"activeDeadlineSeconds": 60}), "hangs:1");
        sandbox.tick(Timestamp::from_second(59).unwrap());
        assert_eq!(ended(&ask(&mut sandbox, "GET", &format!("{PATH}/a"), &Value::Null)), None);
        sandbox.tick(Timestamp::from_second(60).unwrap());
        let job = ask(&mut sandbox, "GET", &format!("{PATH}/a"), &Value::Null);
        assert_eq!(ended(&job).unwrap()["reason"], "DeadlineExceeded");
        assert_eq!(
            ask(&mut sandbox, "GET", "/api/v1/namespaces/default/pods", &Value::Null)["items"],
            json!([])
        );
        let mut sandbox = cluster();
        made(&mut sandbox, &json!({"ttlSecondsAfterFinished": 30}), "web:1");
        sandbox.tick(Timestamp::from_second(29).unwrap());
        assert_eq!(ask(&mut sandbox, "GET", &format!("{PATH}/a"), &Value::Null)["kind"], "Job");
        sandbox.tick(Timestamp::from_second(30).unwrap());
        assert_eq!(ask(&mut sandbox, "GET", &format!("{PATH}/a"), &Value::Null)["code"], 404);
    }

    #[test]
    fn a_suspended_job_has_no_pods_and_runs_when_it_may() {
        let mut sandbox = cluster();
        let job = made(&mut sandbox, &json!({"suspend": true}), "web:1");
        let suspended = &job["status"]["conditions"][0];
        assert_eq!((&suspended["type"], &suspended["status"]), (&json!("Suspended"), &json!("True")));
        assert!(job["status"]["startTime"].is_null());
        ask(&mut sandbox, "PATCH", &format!("{PATH}/a"), &json!({"spec": {"suspend": false}}));
        let job = ask(&mut sandbox, "GET", &format!("{PATH}/a"), &Value::Null);
        assert_eq!(ended(&job).unwrap()["type"], "Complete");
    }

    #[test]
    fn indexes_are_told_in_ranges() {
        assert_eq!(ranges(&BTreeSet::from([0, 2, 3, 5, 6, 7])), "0,2,3,5-7");
    }
}

//! The controller of `CronJob`s in small.
//!
//! It works whenever a `CronJob` or one of its Jobs changes, and when it is told that time has passed ([`Sandbox::tick`]).
//!
//! Source: k8s.io/kubernetes `pkg/controller/cronjob`. Absent: events.

use crate::Sandbox;
use crate::cron::Schedule;
use crate::jobs::ended;
use crate::store::{Key, Resource};
use crate::workloads::reference;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::sync::Arc;

pub(crate) fn cron_jobs() -> Resource {
    ("batch".to_owned(), "cronjobs".to_owned())
}

fn jobs() -> Resource {
    ("batch".to_owned(), "jobs".to_owned())
}

fn time_at(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

fn written(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

impl Sandbox {
    /// Looks after a `CronJob`: what has ended, what is due, and how much of the past is kept.
    pub(crate) fn run_cron_job(&mut self, cron: &Value, key: &Key) {
        let mine: Vec<(Key, Arc<Value>)> = self.owned(cron, &jobs());
        if self.forget_old(cron, &mine) {
            // It is looked at again when they are gone.
            return;
        }
        let mut status = seen(cron, &mine);
        if let Some(due) = self.due(cron, &status) {
            self.start(cron, key, due, &mut status);
        }
        self.set_status(&cron_jobs(), key, status);
    }

    /// Deletes Jobs that have ended and are more than are kept; says whether there were any.
    fn forget_old(&mut self, cron: &Value, mine: &[(Key, Arc<Value>)]) -> bool {
        let mut gone = Vec::new();
        for (how, field) in [("Complete", "successfulJobsHistoryLimit"), ("Failed", "failedJobsHistoryLimit")]
        {
            let Some(kept) = cron["spec"][field].as_u64() else { continue };
            let mut all: Vec<&(Key, Arc<Value>)> =
                mine.iter().filter(|(_, job)| ended(job).is_some_and(|end| end["type"] == how)).collect();
            all.sort_by_key(|(key, job)| (time_at(&job["status"]["startTime"]), key.1.clone()));
            let too_many = all.len().saturating_sub(usize::try_from(kept).unwrap_or(usize::MAX));
            gone.extend(all[..too_many].iter().map(|(key, _)| key.clone()));
        }
        for key in &gone {
            self.end(&jobs(), key, Some("Background"));
        }
        !gone.is_empty()
    }

    /// The time of the run that is to be started now.
    fn due(&self, cron: &Value, status: &Value) -> Option<Timestamp> {
        let spec = &cron["spec"];
        if spec["suspend"] == true || cron["metadata"]["deletionTimestamp"].is_string() {
            return None;
        }
        let schedule = Schedule::parse(spec["schedule"].as_str()?).ok()?;
        let deadline = spec["startingDeadlineSeconds"].as_i64().map(SignedDuration::from_secs);
        let last = time_at(&status["lastScheduleTime"]);
        let mut begin = last.or_else(|| time_at(&cron["metadata"]["creationTimestamp"]))?;
        if let Some(earliest) = deadline.and_then(|deadline| self.now.checked_sub(deadline).ok()) {
            begin = begin.max(earliest);
        }
        let due = latest(&schedule, &zone(cron)?, begin, self.now)?;
        let is_late = deadline.is_some_and(|deadline| due + deadline < self.now);
        let is_running = status["active"].as_array().is_some_and(|all| !all.is_empty());
        let waits = spec["concurrencyPolicy"] == "Forbid" && is_running;
        (!is_late && !waits && last != Some(due)).then_some(due)
    }

    fn start(&mut self, cron: &Value, key: &Key, due: Timestamp, status: &mut Value) {
        let name = format!("{}-{}", key.1, due.as_second().div_euclid(60));
        let running = status["active"].as_array().cloned().unwrap_or_default();
        if running.iter().any(|one| one["name"] == name.as_str()) {
            return;
        }
        if cron["spec"]["concurrencyPolicy"] == "Replace" {
            for one in &running {
                let name = one["name"].as_str().unwrap_or_default().to_owned();
                self.end(&jobs(), &(key.0.clone(), name), Some("Background"));
            }
            status["active"] = json!([]);
        }
        let template = &cron["spec"]["jobTemplate"];
        let mut metadata = json!({"name": name, "namespace": key.0, "ownerReferences": [reference(cron)],
            "labels": template["metadata"]["labels"], "annotations": template["metadata"]["annotations"]});
        let local = zone(cron).map_or_else(|| written(due), |zone| shown(due, &zone));
        metadata["annotations"]["batch.kubernetes.io/cronjob-scheduled-timestamp"] = local.into();
        let job =
            json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": template["spec"]});
        // What cannot be made now is tried again when something changes, or time passes.
        if self.create_as("batch", "jobs", &key.0, job).is_err() {
            return;
        }
        let Some(job) = self.store.get(&jobs(), &(key.0.clone(), name)) else { return };
        let made = json!({"apiVersion": "batch/v1", "kind": "Job", "name": job["metadata"]["name"], "namespace": key.0,
            "uid": job["metadata"]["uid"], "resourceVersion": job["metadata"]["resourceVersion"]});
        match status["active"].as_array_mut() {
            Some(active) => active.push(made),
            None => status["active"] = json!([made]),
        }
        status["lastScheduleTime"] = written(due).into();
    }
}

/// The status after what has ended and what has gone.
fn seen(cron: &Value, mine: &[(Key, Arc<Value>)]) -> Value {
    let mut status = if cron["status"].is_object() { cron["status"].clone() } else { json!({}) };
    let runs = |one: &Value| {
        mine.iter().any(|(_, job)| job["metadata"]["uid"] == one["uid"] && ended(job).is_none())
    };
    let mut active = status["active"].as_array().cloned().unwrap_or_default();
    active.retain(runs);
    for (_, job) in mine {
        if ended(job).is_some_and(|end| end["type"] == "Complete") {
            let done = &job["status"]["completionTime"];
            if time_at(done) > time_at(&status["lastSuccessfulTime"]) {
                status["lastSuccessfulTime"] = done.clone();
            }
        }
    }
    match status.as_object_mut() {
        Some(fields) if active.is_empty() => drop(fields.remove("active")),
        _ => status["active"] = active.into(),
    }
    status
}

/// The time zone of a `CronJob`, UTC where it has none; `None` where nobody knows it.
fn zone(cron: &Value) -> Option<TimeZone> {
    match cron["spec"]["timeZone"].as_str() {
        None | Some("") => Some(TimeZone::UTC),
        Some(name) => TimeZone::get(name).ok(),
    }
}

/// A time as it is in a zone: `2026-01-01T00:00:00+01:00`, with `Z` in UTC.
fn shown(time: Timestamp, zone: &TimeZone) -> String {
    let local = time.to_zoned(zone.clone());
    if local.offset().seconds() == 0 {
        return written(time);
    }
    local.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

/// The last time of a schedule after `begin` and not after `now`.
fn latest(schedule: &Schedule, zone: &TimeZone, begin: Timestamp, now: Timestamp) -> Option<Timestamp> {
    let first = schedule.next(begin, zone).filter(|first| *first <= now)?;
    let Some(second) = schedule.next(first, zone).filter(|second| *second <= now) else { return Some(first) };
    let step = second.duration_since(first).as_secs().max(1);
    // As the controller does it: so many steps ahead at once, and then one by one.
    let missed = now.duration_since(first).as_secs() / step + 1;
    let mut at = first + SignedDuration::from_secs((missed - 2) * step);
    let mut last = None;
    while let Some(next) = schedule.next(at, zone).filter(|next| *next <= now) {
        last = Some(next);
        at = next;
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::ask_at;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn ask(sandbox: &mut Sandbox, now: &str, method: &str, path: &str, body: &Value) -> Value {
        ask_at(sandbox, at(now), method, path, body)
    }

    const PATH: &str = "/apis/batch/v1/namespaces/default/cronjobs";

    /// A cluster with a `CronJob` whose Jobs end as its image says.
    fn cluster(spec: &Value, image: &str) -> Sandbox {
        let mut sandbox = Sandbox::new(at("2026-01-01T00:00:00Z"));
        sandbox.decide("hangs:1", Some(crate::workloads::Fate::Hangs));
        sandbox.decide("fails:1", Some(crate::workloads::Fate::Fails));
        let pod = json!({"restartPolicy": "Never", "containers": [{"name": "main", "image": image}]});
        let mut cron = json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "c"},
            "spec": {"schedule": "*/10 * * * *", "jobTemplate": {"spec": {"backoffLimit": 0, "template": {"spec": pod}}}}});
        for (name, value) in spec.as_object().into_iter().flatten() {
            cron["spec"][name.as_str()] = value.clone();
        }
        let made = ask(&mut sandbox, "2026-01-01T00:00:30Z", "POST", PATH, &cron);
        assert_eq!(made["kind"], "CronJob", "{made}");
        sandbox
    }

    fn names(sandbox: &mut Sandbox, now: &str) -> Vec<String> {
        let list = ask(sandbox, now, "GET", "/apis/batch/v1/namespaces/default/jobs", &Value::Null);
        let items = list["items"].as_array().cloned().unwrap_or_default();
        items.iter().map(|job| job["metadata"]["name"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// What a Job that is due at a minute is called.
    fn name(minute: &str) -> String {
        format!("c-{}", at(minute).as_second() / 60)
    }

    #[test]
    fn a_job_is_started_when_it_is_due_and_the_status_tells() {
        let mut sandbox = cluster(&json!({}), "web:1");
        sandbox.tick(at("2026-01-01T00:09:59Z"));
        assert_eq!(names(&mut sandbox, "2026-01-01T00:09:59Z"), [""; 0]);
        sandbox.tick(at("2026-01-01T00:10:01Z"));
        let now = "2026-01-01T00:10:02Z";
        assert_eq!(names(&mut sandbox, now), [name("2026-01-01T00:10:00Z")]);
        let status = ask(&mut sandbox, now, "GET", &format!("{PATH}/c"), &Value::Null)["status"].clone();
        assert_eq!(
            status,
            json!({"lastScheduleTime": "2026-01-01T00:10:00Z", "lastSuccessfulTime": "2026-01-01T00:10:01Z"})
        );
        let job =
            ask(&mut sandbox, now, "GET", "/apis/batch/v1/namespaces/default/jobs", &Value::Null)["items"][0]
                .clone();
        let note = &job["metadata"]["annotations"]["batch.kubernetes.io/cronjob-scheduled-timestamp"];
        assert_eq!(note, "2026-01-01T00:10:00Z");
    }

    #[test]
    fn of_many_runs_that_were_missed_the_last_is_made_up_for_unless_it_is_too_late() {
        let mut sandbox = cluster(&json!({}), "web:1");
        sandbox.tick(at("2026-01-02T12:05:00Z"));
        assert_eq!(names(&mut sandbox, "2026-01-02T12:05:00Z"), [name("2026-01-02T12:00:00Z")]);
        let mut sandbox = cluster(&json!({"startingDeadlineSeconds": 60}), "web:1");
        sandbox.tick(at("2026-01-02T12:05:00Z"));
        assert_eq!(names(&mut sandbox, "2026-01-02T12:05:00Z"), [""; 0]);
        sandbox.tick(at("2026-01-02T12:10:30Z"));
        assert_eq!(names(&mut sandbox, "2026-01-02T12:10:30Z"), [name("2026-01-02T12:10:00Z")]);
    }

    #[test]
    fn the_concurrency_policy_says_what_happens_while_a_job_still_runs() {
        let (first, second) = (name("2026-01-01T00:10:00Z"), name("2026-01-01T00:20:00Z"));
        for (policy, expected) in [
            ("Allow", vec![first.clone(), second.clone()]),
            ("Forbid", vec![first.clone()]),
            ("Replace", vec![second]),
        ] {
            let mut sandbox = cluster(&json!({"concurrencyPolicy": policy}), "hangs:1");
            sandbox.tick(at("2026-01-01T00:10:00Z"));
            sandbox.tick(at("2026-01-01T00:20:00Z"));
            let now = "2026-01-01T00:20:00Z";
            assert_eq!(names(&mut sandbox, now), expected, "{policy}");
            let status = ask(&mut sandbox, now, "GET", &format!("{PATH}/c"), &Value::Null)["status"].clone();
            let active: Vec<&str> =
                status["active"].as_array().unwrap().iter().filter_map(|one| one["name"].as_str()).collect();
            assert_eq!(active, expected, "{policy}");
        }
    }

    #[test]
    fn so_many_jobs_are_kept_as_the_limits_say() {
        for (image, limits, expected) in
            [("web:1", json!({"successfulJobsHistoryLimit": 2}), 2), ("fails:1", json!({}), 1)]
        {
            let mut sandbox = cluster(&limits, image);
            for minute in [10, 20, 30, 40] {
                sandbox.tick(at(&format!("2026-01-01T00:{minute}:00Z")));
            }
            let found = names(&mut sandbox, "2026-01-01T00:40:00Z");
            assert_eq!(found.len(), expected, "{image}: {found:?}");
            assert_eq!(found.last(), Some(&name("2026-01-01T00:40:00Z")));
        }
    }

    #[test]
    fn a_suspended_one_waits_and_a_time_zone_is_kept_to() {
        let mut sandbox = cluster(&json!({"suspend": true}), "web:1");
        sandbox.tick(at("2026-01-01T00:15:00Z"));
        assert_eq!(names(&mut sandbox, "2026-01-01T00:15:00Z"), [""; 0]);
        let zoned = json!({"schedule": "0 8 * * *", "timeZone": "Asia/Tokyo"});
        let mut sandbox = cluster(&zoned, "web:1");
        sandbox.tick(at("2026-01-01T23:05:00Z"));
        let list = ask(
            &mut sandbox,
            "2026-01-01T23:05:00Z",
            "GET",
            "/apis/batch/v1/namespaces/default/jobs",
            &Value::Null,
        );
        let note =
            &list["items"][0]["metadata"]["annotations"]["batch.kubernetes.io/cronjob-scheduled-timestamp"];
        assert_eq!(note, "2026-01-02T08:00:00+09:00");
    }
}

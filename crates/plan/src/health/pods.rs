//! Pods, and what they say about the workload that they belong to.

use super::conditions::{because, is_true};
use super::{Health, HealthStatus, condition, text};
use trueup_model::Value;

// Reasons that a container waits for which time alone does not help.
const STUCK: [&str; 11] = [
    "ImagePullBackOff",
    "ErrImagePull",
    "InvalidImageName",
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "ErrImageNeverPull",
    "ImageInspectError",
    "RegistryUnavailable",
    "PreCreateHookError",
];

pub(super) fn pod(object: &Value) -> Health {
    match text(object, "/status/phase") {
        "Succeeded" => Health::healthy(),
        "Failed" => Health::degraded(failure(object)),
        "Running" if is_true(object, "Ready") => Health::healthy(),
        "Running" | "Pending" | "" => not_ready(object),
        _ => Health::new(HealthStatus::Unknown, "the node of the pod does not answer"),
    }
}

/// The first cause that a workload's pods give for its not being healthy: `pod web-7d9: ImagePullBackOff: …`.
pub fn cause_from_pods(pods: &[Value]) -> Option<String> {
    let bad = |wanted: HealthStatus| {
        pods.iter().find_map(|object| {
            let health = pod(object);
            (health.status == wanted && !health.message.is_empty())
                .then(|| format!("pod {}: {}", text(object, "/metadata/name"), health.message))
        })
    };
    bad(HealthStatus::Degraded).or_else(|| bad(HealthStatus::Progressing))
}

/// The latest warning about a workload that says why it has no pods: `FailedCreate: … exceeded quota …`. `StatefulSet`, `DaemonSet`
/// and Job tell that in events only.
pub fn cause_from_events(events: &[Value]) -> Option<String> {
    const TELLING: [&str; 3] = ["FailedCreate", "FailedScheduling", "FailedMount"];
    let when = |event: &Value| {
        ["/series/lastObservedTime", "/lastTimestamp", "/eventTime", "/metadata/creationTimestamp"]
            .into_iter()
            .map(|pointer| text(event, pointer))
            .find(|time| !time.is_empty())
            .unwrap_or_default()
            .to_owned()
    };
    events
        .iter()
        .filter(|event| text(event, "/type") == "Warning" && TELLING.contains(&text(event, "/reason")))
        .max_by_key(|event| when(event))
        .map(|event| because(text(event, "/reason"), text(event, "/message")))
}

fn not_ready(object: &Value) -> Health {
    if let Some(("False", reason @ "Unschedulable", message)) = condition(object, "PodScheduled") {
        return Health::progressing(because(reason, message));
    }
    for status in containers(object) {
        let waiting = text(status, "/state/waiting/reason");
        if STUCK.contains(&waiting) {
            let message = because(waiting, text(status, "/state/waiting/message"));
            return Health::degraded(match status.pointer("/lastState/terminated") {
                Some(ended) => format!("{message}; it ended with {}", ending(ended)),
                None => message,
            });
        }
    }
    for status in containers(object) {
        let name = text(status, "/name");
        if let Some(waiting) = status.pointer("/state/waiting") {
            return Health::progressing(format!(
                "container {name} waits: {}",
                because(text(waiting, "/reason"), text(waiting, "/message"))
            ));
        }
        if status.get("ready").and_then(Value::as_bool) == Some(false)
            && status.pointer("/state/running").is_some()
        {
            return Health::progressing(format!("container {name} is not ready"));
        }
    }
    Health::progressing("is not ready yet")
}

fn failure(object: &Value) -> String {
    let own = because(text(object, "/status/reason"), text(object, "/status/message"));
    if !own.is_empty() {
        return own;
    }
    containers(object)
        .find_map(|status| {
            let ended = status.pointer("/state/terminated")?;
            (ended.get("exitCode")?.as_i64()? != 0)
                .then(|| format!("container {} ended with {}", text(status, "/name"), ending(ended)))
        })
        .unwrap_or_else(|| "the pod failed".to_owned())
}

// `code 137 (OOMKilled)`. Its last words stay where they are: they may be a log, and logs hold secrets.
fn ending(ended: &Value) -> String {
    let code = ended.get("exitCode").and_then(Value::as_i64).unwrap_or_default();
    match text(ended, "/reason") {
        "" => format!("code {code}"),
        reason => format!("code {code} ({reason})"),
    }
}

fn containers(object: &Value) -> impl Iterator<Item = &Value> {
    ["/status/initContainerStatuses", "/status/containerStatuses"]
        .into_iter()
        .filter_map(|pointer| object.pointer(pointer).and_then(Value::as_array))
        .flatten()
}

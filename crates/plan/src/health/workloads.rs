//! What runs pods.

use super::conditions::{because, or};
use super::{Health, condition, number, text};
use trueup_model::Value;

fn replicas_wanted(object: &Value) -> i64 {
    object.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1)
}

fn replica_failure(object: &Value) -> Option<Health> {
    match condition(object, "ReplicaFailure") {
        Some(("True", reason, message)) => Some(Health::degraded(because(reason, message))),
        _ => None,
    }
}

fn not_seen_yet(object: &Value) -> Option<Health> {
    object
        .pointer("/status/observedGeneration")
        .is_none()
        .then(|| Health::progressing("its controller has not seen it yet"))
}

pub(super) fn deployment(object: &Value) -> Health {
    if object.pointer("/spec/paused").and_then(Value::as_bool) == Some(true) {
        return Health::suspended("its rollout is paused");
    }
    if let Some(health) = not_seen_yet(object).or_else(|| replica_failure(object)) {
        return health;
    }
    if let Some((_, "ProgressDeadlineExceeded", message)) = condition(object, "Progressing") {
        return Health::degraded(because("ProgressDeadlineExceeded", message));
    }
    let wanted = replicas_wanted(object);
    let updated = number(object, "/status/updatedReplicas");
    let total = number(object, "/status/replicas");
    let ready = number(object, "/status/readyReplicas");
    let available = number(object, "/status/availableReplicas");
    if updated < wanted {
        Health::progressing(format!("{updated} of {wanted} pods are of the new version"))
    } else if total > updated {
        Health::progressing(format!("{} pods of the old version are still there", total - updated))
    } else if available < updated {
        Health::progressing(format!("{available} of {updated} pods are available"))
    } else if ready < wanted {
        Health::progressing(format!("{ready} of {wanted} pods are ready"))
    } else {
        Health::healthy()
    }
}

pub(super) fn stateful_set(object: &Value) -> Health {
    if let Some(health) = not_seen_yet(object) {
        return health;
    }
    let wanted = replicas_wanted(object);
    let ready = number(object, "/status/readyReplicas");
    if ready < wanted {
        return Health::progressing(format!("{ready} of {wanted} pods are ready"));
    }
    if number(object, "/status/replicas") > wanted {
        return Health::progressing("pods beyond the wanted number are still there");
    }
    if text(object, "/spec/updateStrategy/type") == "OnDelete" {
        return Health::healthy();
    }
    let partition = number(object, "/spec/updateStrategy/rollingUpdate/partition");
    let updated = number(object, "/status/updatedReplicas");
    if partition > 0 {
        let due = (wanted - partition).max(0);
        return if updated < due {
            Health::progressing(format!("{updated} of {due} pods above the partition are of the new version"))
        } else {
            Health::healthy()
        };
    }
    if text(object, "/status/currentRevision") == text(object, "/status/updateRevision") {
        Health::healthy()
    } else {
        Health::progressing(format!("{updated} of {wanted} pods are of the new version"))
    }
}

pub(super) fn daemon_set(object: &Value) -> Health {
    if let Some(health) = not_seen_yet(object) {
        return health;
    }
    let wanted = number(object, "/status/desiredNumberScheduled");
    let updated = number(object, "/status/updatedNumberScheduled");
    let available = number(object, "/status/numberAvailable");
    if updated < wanted && text(object, "/spec/updateStrategy/type") != "OnDelete" {
        Health::progressing(format!("{updated} of {wanted} pods are of the new version"))
    } else if available < wanted {
        Health::progressing(format!("{available} of {wanted} pods are available"))
    } else {
        Health::healthy()
    }
}

pub(super) fn replica_set(object: &Value) -> Health {
    if let Some(health) = replica_failure(object) {
        return health;
    }
    let wanted = replicas_wanted(object);
    let available = number(object, "/status/availableReplicas");
    if available < wanted {
        Health::progressing(format!("{available} of {wanted} pods are available"))
    } else {
        Health::healthy()
    }
}

pub(super) fn job(object: &Value) -> Health {
    for kind in ["Failed", "FailureTarget"] {
        if let Some(("True", reason, message)) = condition(object, kind) {
            return Health::degraded(because(reason, message));
        }
    }
    match (condition(object, "Complete"), condition(object, "Suspended")) {
        (Some(("True", _, _)), _) => Health::healthy(),
        (_, Some(("True", _, message))) => Health::suspended(or(message, "the job is suspended")),
        (_, _) if object.pointer("/status/startTime").is_none() => {
            Health::progressing("the job has not started yet")
        }
        (_, _) => Health::progressing(format!("{} pods are running", number(object, "/status/active"))),
    }
}

pub(super) fn cron_job(object: &Value) -> Health {
    if object.pointer("/spec/suspend").and_then(Value::as_bool) == Some(true) {
        Health::suspended("the schedule is suspended")
    } else {
        Health::healthy()
    }
}

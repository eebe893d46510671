//! What runs pods.

use super::conditions::{because, is_true};
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
    // A ReplicaSet that cannot create pods (quota, admission) is stricter than kstatus: it waits ten minutes for the
    // deadline, and then names only the deadline.
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
    } else if total > wanted {
        Health::progressing(format!("{} pods beyond the wanted number are still there", total - wanted))
    } else if available < updated {
        Health::progressing(format!("{available} of {updated} pods are available"))
    } else if ready < wanted {
        Health::progressing(format!("{ready} of {wanted} pods are ready"))
    } else {
        rollout(object)
    }
}

// All pods are there: whether the controller calls the rollout done. Without a deadline it does not report progress.
fn rollout(object: &Value) -> Health {
    let has_deadline = object
        .pointer("/spec/progressDeadlineSeconds")
        .and_then(Value::as_i64)
        .is_some_and(|seconds| seconds < i64::from(i32::MAX));
    match (condition(object, "Progressing"), condition(object, "Available")) {
        (Some((status, reason, _)), _)
            if has_deadline && (status, reason) != ("True", "NewReplicaSetAvailable") =>
        {
            Health::progressing("its controller has not called the rollout done yet")
        }
        (_, Some((status, reason, message))) if status != "True" => {
            Health::progressing(because(reason, message))
        }
        (_, _) => Health::healthy(),
    }
}

pub(super) fn stateful_set(object: &Value) -> Health {
    if let Some(health) = not_seen_yet(object) {
        return health;
    }
    let wanted = replicas_wanted(object);
    let ready = number(object, "/status/readyReplicas");
    // For kstatus a set with `OnDelete` is current whatever its pods do. Which version they are of is left to the user there;
    // whether they run is not.
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
    let scheduled = number(object, "/status/currentNumberScheduled");
    let updated = number(object, "/status/updatedNumberScheduled");
    let available = number(object, "/status/numberAvailable");
    let ready = number(object, "/status/numberReady");
    if scheduled < wanted {
        Health::progressing(format!("{scheduled} of {wanted} pods are scheduled"))
    } else if updated < wanted && text(object, "/spec/updateStrategy/type") != "OnDelete" {
        Health::progressing(format!("{updated} of {wanted} pods are of the new version"))
    } else if available < wanted {
        Health::progressing(format!("{available} of {wanted} pods are available"))
    } else if ready < wanted {
        Health::progressing(format!("{ready} of {wanted} pods are ready"))
    } else {
        Health::healthy()
    }
}

pub(super) fn replica_set(object: &Value) -> Health {
    if let Some(health) = replica_failure(object) {
        return health;
    }
    let wanted = replicas_wanted(object);
    let counts = [
        ("labelled", "fullyLabeledReplicas"),
        ("available", "availableReplicas"),
        ("ready", "readyReplicas"),
    ];
    for (word, field) in counts {
        let count = number(object, &format!("/status/{field}"));
        if count < wanted {
            return Health::progressing(format!("{count} of {wanted} pods are {word}"));
        }
    }
    let total = number(object, "/status/replicas");
    if total > wanted {
        Health::progressing(format!("{} pods beyond the wanted number are still there", total - wanted))
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
    if is_true(object, "Complete") {
        return Health::healthy();
    }
    if object.pointer("/spec/suspend").and_then(Value::as_bool) == Some(true) {
        return Health::suspended("the job is suspended");
    }
    // For kstatus a job that runs is current; for us it is on its way, as it is for Argo CD: who waits for a migration
    // waits for its end.
    if object.pointer("/status/startTime").is_none() {
        return Health::progressing("the job has not started yet");
    }
    let active = number(object, "/status/active");
    match number(object, "/status/failed") {
        0 => Health::progressing(format!("{active} pods are running")),
        failed => Health::progressing(format!("{active} pods are running, {failed} failed")),
    }
}

pub(super) fn cron_job(object: &Value) -> Health {
    if object.pointer("/spec/suspend").and_then(Value::as_bool) == Some(true) {
        Health::suspended("the schedule is suspended")
    } else {
        Health::healthy()
    }
}

//! How a live object is doing: one pure function a kind.
//!
//! The rules are those of kstatus (sigs.k8s.io/cli-utils/pkg/kstatus), the words those of Argo CD. Enters: the live object.
//! Leaves: a status and a message that names the cause. Where we are stricter than kstatus the function says why. Absent:
//! waiting, a clock, and any look at other objects, except for those that [`cause_from_pods`] and [`cause_from_events`] get.

mod builtin;
mod conditions;
mod pods;
mod workloads;

pub use pods::{cause_from_events, cause_from_pods};

use conditions::{condition, custom, is_true, standard};
use serde::{Deserialize, Serialize};
use std::fmt;
use trueup_model::{Value, group_of};

/// How an object, or a whole target, is doing. In the order of how bad it is for a target as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum HealthStatus {
    /// It does what it should.
    Healthy,
    /// It was told to pause.
    Suspended,
    /// It is on its way.
    Progressing,
    /// It should exist and does not.
    Missing,
    /// It failed.
    Degraded,
    /// It could not be looked at.
    #[default]
    Unknown,
}

impl fmt::Display for HealthStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Healthy => "Healthy",
            Self::Suspended => "Suspended",
            Self::Progressing => "Progressing",
            Self::Missing => "Missing",
            Self::Degraded => "Degraded",
            Self::Unknown => "Unknown",
        })
    }
}

/// How an object is doing, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The status.
    #[serde(rename = "health")]
    pub status: HealthStatus,
    /// The cause; empty for a healthy object.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

impl Health {
    /// A status with its cause.
    pub fn new(status: HealthStatus, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// Healthy, which needs no cause.
    pub fn healthy() -> Self {
        Self::new(HealthStatus::Healthy, "")
    }

    pub(crate) fn progressing(message: impl Into<String>) -> Self {
        Self::new(HealthStatus::Progressing, message)
    }

    pub(crate) fn degraded(message: impl Into<String>) -> Self {
        Self::new(HealthStatus::Degraded, message)
    }

    pub(crate) fn suspended(message: impl Into<String>) -> Self {
        Self::new(HealthStatus::Suspended, message)
    }
}

/// How a live object is doing.
pub fn health(object: &Value) -> Health {
    if object.pointer("/metadata/deletionTimestamp").is_some() {
        return Health::progressing(deleting(object));
    }
    let api_version = text(object, "/apiVersion");
    let group = group_of(api_version);
    if let Some(health) = generation_lag(object).or_else(|| standard(object)) {
        return health;
    }
    match (group, text(object, "/kind")) {
        ("apps", "Deployment") => workloads::deployment(object),
        ("apps", "StatefulSet") => workloads::stateful_set(object),
        ("apps", "DaemonSet") => workloads::daemon_set(object),
        ("apps", "ReplicaSet") | ("", "ReplicationController") => workloads::replica_set(object),
        ("", "Pod") => pods::pod(object),
        ("batch", "Job") => workloads::job(object),
        ("batch", "CronJob") => workloads::cron_job(object),
        ("", "PersistentVolumeClaim") => builtin::claim(object),
        ("", "Service") => builtin::service(object),
        ("", "Namespace") => builtin::namespace(object),
        ("autoscaling", "HorizontalPodAutoscaler") => builtin::autoscaler(object),
        ("policy", "PodDisruptionBudget") => builtin::disruption_budget(object),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => builtin::definition(object),
        ("apiregistration.k8s.io", "APIService") => builtin::api_service(object),
        // An ingress without an address is as its controller left it: many set none.
        ("networking.k8s.io", "Ingress") => Health::healthy(),
        (_, _) => custom(object),
    }
}

fn generation_lag(object: &Value) -> Option<Health> {
    let wanted = object.pointer("/metadata/generation")?.as_i64()?;
    let seen = object.pointer("/status/observedGeneration")?.as_i64()?;
    (seen < wanted).then(|| Health::progressing(conditions::UNSEEN))
}

fn deleting(object: &Value) -> String {
    let finalizers: Vec<&str> = object
        .pointer("/metadata/finalizers")
        .and_then(Value::as_array)
        .map(|list| list.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    // A namespace says itself what is left in it.
    let remains =
        ["NamespaceFinalizersRemaining", "NamespaceContentRemaining", "NamespaceDeletionContentFailure"]
            .into_iter()
            .find_map(|kind| {
                condition(object, kind)
                    .filter(|(status, _, message)| *status == "True" && !message.is_empty())
            });
    match (remains, finalizers.as_slice()) {
        (Some((_, _, message)), _) => format!("is being deleted: {message}"),
        (None, []) => "is being deleted".to_owned(),
        (None, names) => format!("is being deleted, waiting for finalizer {}", names.join(", ")),
    }
}

fn text<'o>(object: &'o Value, pointer: &str) -> &'o str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn number(object: &Value, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or_default()
}

#[cfg(test)]
mod tests;

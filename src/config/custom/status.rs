//! What resources say of themselves: the shape of their `status`.
//!
//! Conditions are those of kstatus (sigs.k8s.io/cli-utils): `Ready`, `Reconciling` and `Stalled`, each with the generation that it
//! was found for. Everything is bounded, and nothing in it changes while nothing happens.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something that holds of a resource, or does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What: Ready, Reconciling or Stalled.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// Why, as one word.
    pub reason: String,
    /// Why, in a sentence.
    pub message: String,
    /// Since when it holds, or does not.
    pub last_transition_time: String,
    /// The generation of the resource that this was found for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not.
    False,
    /// Nobody knows.
    Unknown,
}

/// How an App stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AppStatus {
    /// The generation of the resource that this was found for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling and Stalled.
    pub conditions: Vec<Condition>,
    /// How the targets stand to Git: the worst of them. `Synced`, `OutOfSync`, `Syncing`, `Failed` or `Unknown`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub sync: String,
    /// How the objects are doing: the worst of them. `Healthy`, `Progressing`, `Degraded`, `Suspended`, `Missing` or `Unknown`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub health: String,
    /// The commit that all targets were last applied at; empty where they differ.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub revision: String,
    /// The beginning of the commit, or how many there are.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub short_revision: String,
    /// The targets, those first that are not as they should be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<TargetSummary>,
    /// How many targets there are besides those that are listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more_targets: Option<u32>,
}

/// How one target of an App stands; `trueup status` tells more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TargetSummary {
    /// The target: web@staging, or web@staging/eu-1.
    pub name: String,
    /// How it stands to Git.
    pub sync: String,
    /// How its objects are doing.
    pub health: String,
    /// The commit that it was last applied at.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub revision: String,
    /// How many objects it has in Git.
    pub objects: u32,
    /// How many of them have drifted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drifted: Option<u32>,
    /// Why it is not Synced and Healthy.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// How an AppSet stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AppSetStatus {
    /// The generation of the resource that this was found for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling and Stalled.
    pub conditions: Vec<Condition>,
    /// How many Apps there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub apps: Option<u32>,
    /// The names of the Apps, the first hundred of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// The Apps, as JSON: what a trueup goes on with that has no state folder of before. Left out where it is very long.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub made: String,
}

/// How a Repository stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RepositoryStatus {
    /// The generation of the resource that this was found for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling and Stalled.
    pub conditions: Vec<Condition>,
    /// The commit that was read last.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub revision: String,
    /// The beginning of the commit.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub short_revision: String,
}

/// How a Cluster stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterStatus {
    /// The generation of the resource that this was found for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling and Stalled.
    pub conditions: Vec<Condition>,
    /// The version of Kubernetes.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
}

/// How an Environment stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct EnvironmentStatus {
    /// The generation of the resource that this was found for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling and Stalled.
    pub conditions: Vec<Condition>,
    /// How many Clusters it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clusters: Option<u32>,
    /// How many targets it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub targets: Option<u32>,
}

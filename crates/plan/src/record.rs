//! What is kept of a turn: the target's status, an entry of its history, the next ledger.

use crate::drift::Drifted;
use crate::health::{Health, HealthStatus};
use crate::hooks::Run;
use crate::ignore::IgnoredField;
use crate::overdraft::{HeldDeletions, Pruned};
use crate::planning::Action;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use trueup_merge::rewrite::Rewritten;
use trueup_model::{ObjectId, Origin};

/// How a target stands to Git. The words are Argo CD's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SyncStatus {
    /// All that Git says is in the cluster, and nothing else of the target.
    Synced,
    /// It is not, and nobody is at it.
    OutOfSync,
    /// It is being made so.
    Syncing,
    /// The last attempt failed, in whole or in part.
    Failed,
    /// Git or the cluster could not be asked.
    #[default]
    Unknown,
}

impl fmt::Display for SyncStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Synced => "Synced",
            Self::OutOfSync => "OutOfSync",
            Self::Syncing => "Syncing",
            Self::Failed => "Failed",
            Self::Unknown => "Unknown",
        })
    }
}

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OutcomeResult {
    /// It was carried out.
    Done,
    /// The server or the network refused it.
    Failed,
    /// It was not tried, because something that it needs failed or the turn was ended.
    Skipped,
    /// The plan said not to act.
    Held,
}

/// One result a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// The object.
    pub id: ObjectId,
    /// What was to be done: `create`, `update`, ….
    pub action: String,
    /// What became of it.
    pub result: OutcomeResult,
    /// Why, in the server's words or ours; the plan's reason where it was carried out.
    pub message: String,
    /// The file that the object came from.
    pub origin: Origin,
}

impl Outcome {
    /// An outcome of `action` on an object.
    pub fn new(
        id: &ObjectId,
        action: Action,
        result: OutcomeResult,
        message: String,
        origin: &Origin,
    ) -> Self {
        Self { id: id.clone(), action: action.to_string(), result, message, origin: origin.clone() }
    }
}

impl fmt::Display for Outcome {
    /// `ConfigMap shop/web (apps/web/config.yaml:3): update failed: …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.id)?;
        if !self.origin.path.is_empty() {
            write!(f, " ({})", self.origin)?;
        }
        match self.result {
            OutcomeResult::Done => write!(f, ": {}: {}", self.action, self.message),
            OutcomeResult::Failed => write!(f, ": {} failed: {}", self.action, self.message),
            OutcomeResult::Skipped => write!(f, ": {} waits: {}", self.action, self.message),
            OutcomeResult::Held => write!(f, ": {}", self.message),
        }
    }
}

/// A field of ours that somebody else changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DriftedField {
    /// The object.
    pub object: ObjectId,
    /// The field's path, as people write it; empty where only the object is known.
    pub field: String,
    /// The manager that wrote it last, if known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub manager: Option<String>,
    /// Since when, as far as managedFields tell.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub since: Option<String>,
}

/// A field of ours that did not become what was sent: a mutating webhook or admission policy rewrites it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RewrittenField {
    /// The object.
    pub object: ObjectId,
    /// The field, what Git says and what became of it.
    #[serde(flatten)]
    pub field: Rewritten,
}

/// One object of a target and how it is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectStatus {
    /// The object.
    #[serde(flatten)]
    pub id: ObjectId,
    /// Its health.
    #[serde(flatten)]
    pub health: Health,
}

/// What a kustomization names outside of its repository, and the commit of it that was rendered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BasePin {
    /// The repository, or the URL of a file.
    pub url: String,
    /// The branch, tag or commit as it is written; empty for the default branch and for files.
    #[serde(rename = "ref", skip_serializing_if = "String::is_empty")]
    pub reference: String,
    /// The commit; of a file a hash of its content.
    pub revision: String,
    /// Why it could not be looked at again, if that is so.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
}

impl fmt::Display for BasePin {
    /// `https://host/org/repo@v1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)?;
        if self.reference.is_empty() { Ok(()) } else { write!(f, "@{}", self.reference) }
    }
}

/// The chart that a target was rendered from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ChartPin {
    /// Its name.
    pub name: String,
    /// The version that was chosen.
    pub version: String,
    /// What names its archive, or its manifest in a registry, for ever; empty for a chart of the App's own repository.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub digest: String,
    /// Why it could not be looked for again, if that is so.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
}

impl fmt::Display for ChartPin {
    /// `web 1.2.3`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.version)
    }
}

/// What a rendering took from its cluster: an object, or all objects of a kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Input {
    /// What for.
    #[serde(rename = "for")]
    pub purpose: Purpose,
    /// `v1`, `apps/v1`.
    pub api_version: String,
    /// The kind.
    pub kind: String,
    /// The namespace; empty where the kind has none, or all of them are meant.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The name; empty where all objects are meant.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// How many there were.
    pub found: usize,
    /// The resourceVersion that was read; empty where there was none, or several.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
}

/// What something of the cluster is taken for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Purpose {
    /// It holds values.
    Values,
    /// A template asked for it.
    #[default]
    Lookup,
}

/// How far a target is whose App is being deleted. Why it is not further is in the message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Parting {
    /// There is more to do, or to wait for.
    UnderWay,
    /// Its cluster cannot be asked.
    OutOfReach {
        /// Since when.
        since: Timestamp,
    },
    /// Nothing more is to be done.
    Gone {
        /// What stays, and why.
        left: Vec<String>,
    },
}

/// How a target stands: what `trueup status` shows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TargetStatus {
    /// `web@staging`, or `web@staging/eu-1`.
    pub target: String,
    /// The app's name.
    pub app: String,
    /// The environment's name.
    pub environment: String,
    /// The cluster's name.
    pub cluster: String,
    /// The commit that the target was last applied at; empty before the first.
    pub revision: String,
    /// The commit that it should be at, where that is another one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub wanted_revision: String,
    /// What its kustomizations name in other repositories.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bases: Vec<BasePin>,
    /// The chart that it is rendered from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chart: Option<ChartPin>,
    /// What its rendering took from the cluster.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<Input>,
    /// What became of its hooks.
    #[serde(rename = "hooks", skip_serializing_if = "Option::is_none")]
    pub run: Option<Run>,
    /// How it stands to Git.
    pub sync: SyncStatus,
    /// How its objects are doing.
    pub health: HealthStatus,
    /// How many objects it has in Git.
    pub objects: usize,
    /// How many of them have drifted.
    pub drifted: usize,
    /// When it was last synced in full.
    pub last_sync: Option<Timestamp>,
    /// Why it is not Synced and Healthy, or what else is worth knowing; empty where nothing is.
    pub message: String,
    /// Whether trueup leaves it alone for now.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub suspended: bool,
    /// How far it is where its App is being deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parting: Option<Parting>,
    /// All that went wrong in the last turn, with object and file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
    /// Fields that others changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub drift: Vec<DriftedField>,
    /// Fields that are left to others as they are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<IgnoredField>,
    /// Fields that admission rewrites each time that they are applied.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rewritten: Vec<RewrittenField>,
    /// Objects that should be deleted and are not: held, or waiting.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prune_pending: Vec<ObjectId>,
    /// What a person has to approve first, because it is more than the targets of its repository may delete together.
    #[serde(rename = "heldDeletions", skip_serializing_if = "Option::is_none")]
    pub held: Option<HeldDeletions>,
    /// What was deleted in the hour before the last deletion because it left Git, where its repository has a budget for that.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pruned: Vec<Pruned>,
    /// Objects that are not healthy, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unhealthy: Vec<ObjectStatus>,
}

impl TargetStatus {
    /// Whether nothing is left to do or to wait for.
    pub fn is_settled(&self) -> bool {
        self.sync == SyncStatus::Synced && self.health == HealthStatus::Healthy
    }
}

/// What made a turn happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Trigger {
    /// A person asked.
    Manual,
    /// A live object changed.
    Drift,
    /// The repository moved.
    Commit,
    /// The configuration changed, or trueup started.
    Configuration,
    /// An earlier turn failed.
    Retry,
    /// Time passed.
    Timer,
}

/// One turn that changed something or tried to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// The target.
    pub target: String,
    /// The commit.
    pub revision: String,
    /// What its kustomizations named in other repositories.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bases: Vec<BasePin>,
    /// The chart that it was rendered from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chart: Option<ChartPin>,
    /// What its rendering took from the cluster.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<Input>,
    /// Its author's name.
    pub author: String,
    /// Its first line.
    pub subject: String,
    /// What made the turn happen.
    pub trigger: Trigger,
    /// When it started.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// `Synced` or `Failed`.
    pub result: SyncStatus,
    /// What became of each step.
    pub outcomes: Vec<Outcome>,
}

/// What a turn leaves behind.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// How the target stands now.
    pub status: TargetStatus,
    /// An entry for the history, where the turn wrote or failed to.
    pub history: Option<HistoryEntry>,
    /// The drift that the turn found.
    pub drift: Vec<Drifted>,
}

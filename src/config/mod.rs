//! What trueup is asked to do: Repositories, Clusters, Environments, Apps and AppSets, from files or custom resources.
//!
//! [`load`] reads files and gives a [`Config`] in which everything fits together, or [`Problems`] that name
//! everything that does not, with file, line and column. [`watch`] loads again when a file changes. [`schema`] is
//! what editors check against. Targets come with their placeholders filled in and their policy decided, so that
//! nobody downstream needs to know the rules of precedence.
//!
//! Absent here: reading Secrets, reaching clusters, anything of Git.

mod agent;
mod app;
pub(crate) mod app_set;
mod check;
mod cluster;
pub mod custom;
mod duration;
mod environment;
mod excerpt;
mod helm;
mod ignore;
mod leave;
mod made;
pub(crate) mod nearest;
mod problem;
mod pull_requests;
mod read;
mod repository;
mod resolve;
mod resource;
mod schema;
mod share;
mod sources;
mod template;
mod watch;
mod webhook;

pub use agent::AgentSpec;
pub use app::{AppSpec, BackoffSpec, DeletionPolicy, KustomizeSpec, LoadRestrictions, RetrySpec, Substitute};
pub use app_set::{AppSetSpec, AppTemplate, CONFIRM_REMOVAL};
pub use cluster::{Access, ClusterSpec, Kubeconfig, KubeconfigSecret};
pub use environment::{ClusterSelection, EnvironmentSpec, LabelSelector, RolloutSpec, SyncPolicy, SyncSpec};
pub use excerpt::Excerpt;
pub use helm::{Chart, Helm, HelmSpec, ValuesFrom, ValuesKind};
pub use ignore::IgnoreSpec;
pub use leave::Leaving;
pub use made::{Expanded, Misfits};
pub use problem::{Finding, Findings, Place, Problem, Problems, Step};
pub use pull_requests::PullRequests;
pub use read::{Written, load, load_written};
pub use repository::{Credentials, Location, Reference, RepositorySpec, Secret, Setting};
pub use resolve::Declarations;
pub use resource::{API_VERSION, Declared, Kind, Metadata, SecretRef, Spec};
pub use schema::schema;
pub use sources::repository_of;
pub use watch::{Watch, watch};
pub use webhook::{SharedSecret, Webhook};

use crate::hex::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use trueup_model::Value;
use trueup_plan::budget::Budget;
use trueup_plan::ignore::IgnoreRule;

/// A configuration in which every reference leads somewhere.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    /// By name.
    pub repositories: BTreeMap<String, Declared<RepositorySpec>>,
    /// By name.
    pub clusters: BTreeMap<String, Declared<ClusterSpec>>,
    /// By name.
    pub environments: BTreeMap<String, Declared<EnvironmentSpec>>,
    /// By name.
    pub apps: BTreeMap<String, Declared<AppSpec>>,
    /// By name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub app_sets: BTreeMap<String, Declared<AppSetSpec>>,
    /// What is declared and cannot be used.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    broken: BTreeSet<(Kind, String)>,
    /// The AppSets of the Apps that nobody wrote.
    #[serde(skip)]
    makers: BTreeMap<String, String>,
    /// By name.
    #[serde(skip)]
    targets: Vec<Target>,
    /// What Apps that are being deleted have to prune.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    leaving: Vec<Target>,
    /// What becomes of each of these Apps, by name.
    #[serde(skip)]
    parting: BTreeMap<String, Leaving>,
    /// The namespace of the custom resources that this was read from.
    #[serde(skip)]
    home: Option<String>,
}

/// One App in one Environment on one Cluster: the unit of reconciliation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "independent switches that users set one by one")]
pub struct Target {
    /// `web@production`, or `web@production/eu-1` where the environment says `clusters`.
    pub name: String,
    /// Name of the App.
    pub app: String,
    /// Name of the Environment.
    pub environment: String,
    /// Name of the Cluster.
    pub cluster: String,
    /// Name of the Repository.
    pub repository: String,
    /// What of the Repository it is made from, where that is not what the Repository follows.
    #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
    /// The folder below the repository's root, without `.` and `..`; empty for the root, and for a chart that goes through
    /// no kustomization.
    pub path: String,
    /// The chart that is rendered.
    pub helm: Option<Helm>,
    /// Whether what is rendered of the chart goes through the kustomization at `path`.
    pub kustomized: bool,
    /// The namespace for objects that name none.
    pub namespace: Option<String>,
    /// Targets on this cluster that come first.
    pub depends_on: Vec<String>,
    /// Its place in the rollout of a commit over the environment's clusters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
    /// The environment's values.
    pub values: BTreeMap<String, Value>,
    /// Which fields are left to others.
    #[serde(skip)]
    pub ignore: Vec<IgnoreRule>,
    /// What happens by itself.
    pub sync: SyncPolicy,
    /// Whether `${name}` is replaced.
    pub substitute: Substitute,
    /// Whether sub-folders of plain manifests are read.
    pub recurse: bool,
    /// Whether an object may be deleted and created anew.
    pub recreate: bool,
    /// Whether objects are applied all or none.
    pub atomic: bool,
    /// Which files a kustomization may load.
    pub load_restrictions: LoadRestrictions,
    /// How a failed sync is tried again.
    pub retry: RetrySpec,
    /// Whether syncing is stopped.
    pub suspend: bool,
}

/// A target's place in the rollout of a commit over the clusters of its environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    /// Which group of clusters it is in; smaller ones go first.
    pub wave: usize,
    /// How many clusters may be under way at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub most: Option<Budget>,
}

impl Config {
    /// All targets, by name.
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// The targets whose Apps are being deleted: what was applied of them has to go.
    pub fn leaving(&self) -> &[Target] {
        &self.leaving
    }

    /// The namespace of the custom resources that this was read from; none where files were.
    pub fn home(&self) -> Option<&str> {
        self.home.as_deref()
    }

    /// The names of those of a kind that are declared and cannot be used.
    pub fn broken(&self, kind: Kind) -> impl Iterator<Item = &str> {
        self.broken.iter().filter(move |(of, _)| *of == kind).map(|(_, name)| name.as_str())
    }

    /// The target of this name.
    pub fn target(&self, name: &str) -> Option<&Target> {
        self.targets.iter().find(|target| target.name == name)
    }

    /// Changes when, and only when, something in the configuration changes; where it is written does not matter.
    pub fn fingerprint(&self) -> String {
        // Maps are sorted and every type has one form, so equal configurations are equal bytes.
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        hex(&Sha256::digest(bytes)[..16])
    }
}

#[cfg(test)]
mod tests;

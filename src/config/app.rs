//! `kind: App`: what runs.

use super::duration;
use super::environment::SyncSpec;
use super::helm::{self, HelmSpec};
use super::ignore::{IgnoreSpec, check_rules};
use super::problem::{Findings, Place};
use super::repository::{IN_A_SECRET, Reference};
use super::resource::{Kind, Spec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::Duration;

/// What runs: a folder of a repository or a chart, rendered and applied in each of its environments.
///
/// `repository`, `ref`, `path` and `namespace` take placeholders: `{app}`, `{environment}`, `{cluster}`, `{namespace}` and
/// `{values.NAME}`; `{{` and `}}` are braces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches that users set one by one")]
pub struct AppSpec {
    /// The name of the Repository.
    pub repository: String,
    /// What of the repository it is made from, instead of what the Repository follows.
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
    /// The folder in the repository: plain manifests, or a kustomization. An App with `helm` needs none; where it has one,
    /// that is a kustomization which the chart's objects go through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// A Helm chart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub helm: Option<HelmSpec>,
    /// The names of the Environments that it goes to.
    pub environments: Vec<String>,
    /// Apps that have to be healthy before a new revision of this one is applied: in each environment that both go to; or,
    /// where they share none, wherever the other is on the same cluster.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
    /// The namespace for objects that name none, instead of the environment's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Whether `${name}` in the rendered text is replaced with the environment's values.
    #[serde(default)]
    pub substitute: Substitute,
    /// Reads the sub-folders of a folder of plain manifests too.
    #[serde(default)]
    pub recurse: bool,
    /// Deletes and creates an object anew when a field changes that cannot be changed.
    #[serde(default)]
    pub recreate: bool,
    /// Applies all changed objects or none: each is tried out first, and one that the server would refuse stops them all.
    #[serde(default)]
    pub atomic: bool,
    /// Deletes what is no longer in Git; short for `sync.prune`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prune: Option<bool>,
    /// What trueup does by itself, where it differs from the environment.
    #[serde(default)]
    pub sync: SyncSpec,
    /// Fields that are left to others where they exist: autoscalers, image updaters, injected values. On top of the environment's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<IgnoreSpec>,
    /// Options for kustomizations.
    #[serde(default)]
    pub kustomize: KustomizeSpec,
    /// How a failed sync is tried again.
    #[serde(default)]
    pub retry: RetrySpec,
    /// Stops syncing; what is applied stays.
    #[serde(default)]
    pub suspend: bool,
    /// What becomes of what was applied when somebody deletes the App as a custom resource, or when an AppSet no longer makes it.
    /// Taking an App out of files deletes nothing, whatever this says.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

/// What becomes of what an App applied when the App is deleted.
///
/// The words are those of Flux and Crossplane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// All of it stays.
    #[default]
    Orphan,
    /// It is pruned, and the App is there until that is done. A suspended App leaves everything as it is.
    Delete,
}

/// Whether `${name}` is replaced in rendered text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Substitute {
    /// The text stays as it is.
    #[default]
    Disabled,
    /// Every `${name}` is replaced; one without a value and a default is an error.
    Strict,
}

/// Options for kustomizations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KustomizeSpec {
    /// Which files a kustomization may load.
    #[serde(default)]
    pub load_restrictions: LoadRestrictions,
}

/// Which files a kustomization may load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum LoadRestrictions {
    /// Files in or below its own folder.
    #[default]
    RootOnly,
    /// Any file of the repository.
    None,
}

/// How a failed sync is tried again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RetrySpec {
    /// How many times, at most, for one commit; without end where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The pause between two attempts, which doubles each time.
    #[serde(default)]
    pub backoff: BackoffSpec,
}

/// The pause between two attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct BackoffSpec {
    /// Before the second attempt.
    #[serde(with = "duration")]
    #[schemars(schema_with = "duration::schema")]
    pub initial: Duration,
    /// At most.
    #[serde(with = "duration")]
    #[schemars(schema_with = "duration::schema")]
    pub max: Duration,
}

impl Default for BackoffSpec {
    fn default() -> Self {
        Self { initial: Duration::from_secs(1), max: Duration::from_mins(5) }
    }
}

impl Spec for AppSpec {
    const KIND: Kind = Kind::App;

    fn check(&self, findings: &mut Findings) {
        check_rules(&self.ignore, findings);
        helm::check(self, findings);
        if self.environments.is_empty() {
            findings.add(Place::spec("environments"), "an app needs at least one environment");
        }
        for (field, names) in [("environments", &self.environments), ("dependsOn", &self.depends_on)] {
            for (index, name) in names.iter().enumerate() {
                if names[..index].contains(name) {
                    findings.add(Place::spec(field).item(index), format!("`{name}` is listed twice"));
                }
            }
        }
        if self.prune.is_some() && self.sync.prune.is_some() {
            findings.add(Place::spec("prune"), "`prune` is short for `sync.prune`: write one of the two");
        }
        // What has placeholders is checked when they are filled in.
        if let Some(reference) = self.reference.as_ref().filter(|one| !one.parts().1.contains(['{', '}']))
            && let Some(wrong) = reference.wrong()
        {
            findings.add(Place::spec("ref").field(reference.parts().0), wrong);
        }
        if self.retry.backoff.initial > self.retry.backoff.max {
            let place = Place::spec("retry").field("backoff").field("initial");
            findings.add(place, "the first pause cannot be longer than `max`");
        }
    }

    fn resolve_paths(&mut self, folder: &Path) {
        if let Some(credentials) = self.helm.as_mut().and_then(|helm| helm.credentials.as_mut()) {
            credentials.resolve_paths(folder);
        }
    }

    fn check_resource(&self, findings: &mut Findings) {
        if self.helm.as_ref().is_some_and(|helm| helm.credentials.is_some()) {
            findings.add(Place::spec("helm").field("credentials"), IN_A_SECRET);
        }
    }

    fn secret_namespaces(&mut self) -> Vec<(Place, &mut Option<String>)> {
        let secret = self.helm.as_mut().and_then(|helm| helm.secret_ref.as_mut());
        let place = || Place::spec("helm").field("secretRef");
        secret.map(|secret| (place(), &mut secret.namespace)).into_iter().collect()
    }
}

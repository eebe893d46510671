//! `kind: Environment`: where things run.

use super::duration;
use super::ignore::{IgnoreSpec, check_rules};
use super::problem::{Findings, Place};
use super::resource::{Kind, Spec};
use super::share;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use trueup_model::Value;
use trueup_plan::budget::Budget;

/// Where things run: one cluster or several, a namespace, and what differs from other environments.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnvironmentSpec {
    /// The name of the Cluster. Either this or `clusters`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Several Clusters, by name or by label. Either this or `cluster`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clusters: Option<ClusterSelection>,
    /// The namespace for objects that name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Values for the placeholders of Apps, `{values.domain}`, and for substitution.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, Value>,
    /// Fields that are left to others where they exist: autoscalers, image updaters, injected values. Those of Apps come on top.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<IgnoreSpec>,
    /// What trueup does by itself here; an App may say otherwise.
    #[serde(default)]
    pub sync: SyncSpec,
    /// How a new commit goes over `clusters`; to all of them at once where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutSpec>,
}

/// Which Clusters an Environment has: those that are named, and those that carry all the labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClusterSelection {
    /// Names of Clusters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// Labels that a Cluster has to carry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
}

/// How a new commit goes over clusters. Each App has a rollout of its own; one that fails on a cluster begins on no other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RolloutSpec {
    /// Groups of clusters that go before the others, one after the other: the next begins when all of the one before are Synced and
    /// Healthy at the commit. The environment's other clusters come last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waves: Vec<ClusterSelection>,
    /// How many clusters may be under way at once: a number such as `5`, or a share of the environment's clusters such as `10%`, rounded
    /// up. Those that are under way have begun with the commit and are not Synced and Healthy yet. All of a group by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "share::schema")]
    pub max_unavailable: Option<Budget>,
}

/// Selects by labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LabelSelector {
    /// Labels with their values; all of them have to fit.
    pub match_labels: BTreeMap<String, String>,
}

impl LabelSelector {
    /// Whether something with these labels is selected.
    pub fn fits(&self, labels: &BTreeMap<String, String>) -> bool {
        self.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
    }
}

/// What trueup does by itself. What is left out is taken from the Environment, and at last from the defaults,
/// which keep the cluster true to Git: everything on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SyncSpec {
    /// Applies new commits without being asked. Default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub automatic: Option<bool>,
    /// Deletes what is no longer in Git. Only ever objects that trueup itself applied. Default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prune: Option<bool>,
    /// Puts back fields that somebody else changed; otherwise they are only reported. Default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub self_heal: Option<bool>,
    /// Takes over fields that another manager owns; otherwise a conflict holds the object. Default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force: Option<bool>,
    /// Deletes all objects of a target that renders to none; otherwise that is taken for a mistake. Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_empty: Option<bool>,
    /// How many objects may be deleted at once without being asked: a number such as `5`, or a share of the target's objects such as
    /// `10%`, rounded up. What exceeds it is held until a person confirms it. No bound by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "share::schema")]
    pub max_prune: Option<Budget>,
    /// How often a target is looked at even though nothing seems to have changed. Default 10m.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "duration::optional")]
    #[schemars(schema_with = "duration::optional::schema")]
    pub interval: Option<Duration>,
    /// How often the API server is asked about each object although nothing seems to have changed. Default 24h.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "duration::optional")]
    #[schemars(schema_with = "duration::optional::schema")]
    pub audit: Option<Duration>,
}

/// What trueup does by itself with a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "independent switches that users set one by one")]
pub struct SyncPolicy {
    /// Applies new commits without being asked.
    pub automatic: bool,
    /// Deletes what is no longer in Git.
    pub prune: bool,
    /// Puts back fields that somebody else changed.
    pub self_heal: bool,
    /// Takes over fields that another manager owns.
    pub force: bool,
    /// Deletes all objects of a target that renders to none.
    pub allow_empty: bool,
    /// How many objects may be deleted at once without being asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_prune: Option<Budget>,
    /// How often a target is looked at without a reason.
    #[serde(with = "duration")]
    pub interval: Duration,
    /// How often the API server is asked about each object without a reason.
    #[serde(with = "duration")]
    pub audit: Duration,
}

impl Default for SyncPolicy {
    /// What the product promises: the cluster is what Git says. Each part can be switched off.
    fn default() -> Self {
        Self {
            automatic: true,
            prune: true,
            self_heal: true,
            force: true,
            allow_empty: false,
            max_prune: None,
            interval: Duration::from_mins(10),
            audit: Duration::from_hours(24),
        }
    }
}

impl SyncPolicy {
    /// This policy with what `spec` says otherwise.
    #[must_use]
    pub fn with(self, spec: &SyncSpec) -> Self {
        Self {
            automatic: spec.automatic.unwrap_or(self.automatic),
            prune: spec.prune.unwrap_or(self.prune),
            self_heal: spec.self_heal.unwrap_or(self.self_heal),
            force: spec.force.unwrap_or(self.force),
            allow_empty: spec.allow_empty.unwrap_or(self.allow_empty),
            max_prune: spec.max_prune.or(self.max_prune),
            interval: spec.interval.unwrap_or(self.interval),
            audit: spec.audit.unwrap_or(self.audit),
        }
    }
}

impl Spec for EnvironmentSpec {
    const KIND: Kind = Kind::Environment;

    fn check(&self, findings: &mut Findings) {
        check_rules(&self.ignore, findings);
        match (&self.cluster, &self.clusters) {
            (Some(_), None) => {}
            (None, Some(selection)) => {
                if selection.names.is_empty() && selection.selector.is_none() {
                    findings.add(Place::spec("clusters"), "needs `names` or a `selector`");
                }
            }
            (Some(_), Some(_)) => {
                let message = "an environment has `cluster` or `clusters`, not both";
                findings.add(Place::spec("clusters"), message);
            }
            (None, None) => findings.add(Place::root("spec"), "an environment needs `cluster` or `clusters`"),
        }
        if let Some(rollout) = &self.rollout {
            let place = Place::spec("rollout");
            if self.clusters.is_none() {
                findings.add(
                    place.clone(),
                    "a rollout goes over `clusters`, and this environment has one `cluster`",
                );
            }
            if matches!(rollout.max_unavailable, Some(Budget::Objects(0) | Budget::Percent(0))) {
                findings.add(
                    place.clone().field("maxUnavailable"),
                    "with none under way at once no rollout ever begins",
                );
            }
            for (index, wave) in rollout.waves.iter().enumerate() {
                if wave.names.is_empty() && wave.selector.is_none() {
                    findings.add(place.clone().field("waves").item(index), "needs `names` or a `selector`");
                }
            }
        }
        if let Some(namespace) = &self.namespace {
            check_namespace(namespace, Place::spec("namespace"), findings);
        }
    }

    fn resolve_paths(&mut self, _folder: &Path) {}

    fn check_resource(&self, _findings: &mut Findings) {}

    fn secret_namespaces(&mut self) -> Vec<(Place, &mut Option<String>)> {
        Vec::new()
    }
}

/// A namespace is an RFC 1123 label.
pub(super) fn check_namespace(name: &str, place: Place, findings: &mut Findings) {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let fits = (1..=63).contains(&name.len())
        && name.chars().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-');
    if !fits {
        let message =
            format!("{name:?} cannot be a namespace: at most 63 lower-case letters, digits and `-`");
        findings.add(place, message);
    }
}

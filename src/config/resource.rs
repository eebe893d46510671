//! What all kinds have in common: how an object is named and where it was declared.

use super::problem::{Findings, Place};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use trueup_model::Origin;

/// The API version of every kind.
pub const API_VERSION: &str = "trueup.dev/v1alpha1";

/// The kinds of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// A Git source.
    Repository,
    /// How to reach a Kubernetes API.
    Cluster,
    /// Where things run.
    Environment,
    /// What runs.
    App,
    /// What follows from folders, files and clusters.
    AppSet,
}

impl Kind {
    /// All kinds, in the order in which they build on each other.
    pub const ALL: [Self; 5] = [Self::Repository, Self::Cluster, Self::Environment, Self::App, Self::AppSet];

    /// The kind as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Repository => "Repository",
            Self::Cluster => "Cluster",
            Self::Environment => "Environment",
            Self::App => "App",
            Self::AppSet => "AppSet",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What makes a type the `spec` of a kind.
pub trait Spec: Serialize + DeserializeOwned + JsonSchema {
    /// The kind.
    const KIND: Kind;

    /// Looks for what the schema cannot say, in this object alone.
    fn check(&self, findings: &mut Findings);

    /// Makes paths on this machine absolute: relative ones are relative to the file that names them.
    fn resolve_paths(&mut self, folder: &Path);

    /// Looks for what a custom resource may not say: anything of the machine that trueup runs on.
    fn check_resource(&self, findings: &mut Findings);

    /// The Secrets that it refers to, each with its place: a custom resource has them in its own namespace.
    fn secret_namespaces(&mut self) -> Vec<(Place, &mut Option<String>)>;
}

/// The name of an object and what is attached to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// The name, unique for its kind: lower-case letters, digits and `-`.
    pub name: String,
    /// The namespace of the custom resource; without meaning in files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Labels, by which Environments select Clusters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations, which trueup leaves alone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// An object of the configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Declared<S> {
    /// Name, labels and annotations.
    pub metadata: Metadata,
    /// What it says.
    pub spec: S,
    /// File and line; empty for a custom resource.
    #[serde(skip)]
    pub origin: Origin,
}

impl<S: Spec> Declared<S> {
    /// Looks for what the schema cannot say, in this object alone.
    pub fn check(&self, findings: &mut Findings) {
        if let Err(message) = check_name(S::KIND, &self.metadata.name) {
            findings.add(Place::root("metadata").field("name"), message);
        }
        self.spec.check(findings);
    }
}

/// Apps and Environments become parts of names in the cluster, where a dot separates them.
fn check_name(kind: Kind, name: &str) -> Result<(), String> {
    let dots = match kind {
        Kind::Repository | Kind::Cluster => true,
        Kind::Environment | Kind::App | Kind::AppSet => false,
    };
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || (dots && c == '.');
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let fits = name.len() <= 63 && name.chars().all(inner) && name.starts_with(edge) && name.ends_with(edge);
    if fits {
        return Ok(());
    }
    let allowed =
        if dots { "lower-case letters, digits, `-` and `.`" } else { "lower-case letters, digits and `-`" };
    Err(format!("{name:?} cannot be a name: at most 63 {allowed}, a letter or digit at both ends"))
}

/// Where the values for reaching something stand in a Kubernetes Secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretRef {
    /// Name of the Secret.
    pub name: String,
    /// Namespace of the Secret; trueup's own where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// Makes a path absolute; `~/` is the home folder.
pub(super) fn absolute(path: &str, folder: &Path) -> String {
    let path = match (path.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        (Some(_) | None, _) => folder.join(path),
    };
    // `components` takes out `.`; `..` stays, because it may follow a symbolic link.
    path.components().collect::<std::path::PathBuf>().to_string_lossy().into_owned()
}

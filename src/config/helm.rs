//! `helm` of an App: a chart, and what it is rendered with.

use super::app::AppSpec;
use super::problem::{Findings, Place};
use super::repository::Credentials;
use super::resource::SecretRef;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use trueup_model::Value;

/// A Helm chart, rendered in place of a folder of manifests; with `path`, its objects go through the kustomization there.
///
/// `chart`, `version`, `releaseName`, `valuesFiles` and the names in `valuesFrom` take the placeholders that `path` takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HelmSpec {
    /// The chart: its folder, or its `.tgz`, in the repository; with `repository`, its name there.
    pub chart: String,
    /// Where the chart comes from, if not from the App's own repository: an `https://` or `http://` URL of a chart
    /// repository, or the path of an OCI registry, `oci://host/path`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// The version, or a range of versions as Helm reads it, such as `^1.2`; the newest release where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The release's name; the App's where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_name: Option<String>,
    /// Files of values in the App's repository; the last one counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values_files: Vec<String>,
    /// Values that go over those of the files.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, Value>,
    /// Each a ConfigMap or Secret of the target's cluster and namespace, with values that go over all others; the last one
    /// counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values_from: Vec<ValuesFrom>,
    /// Leaves out the definitions in the chart's `crds` folders.
    #[serde(default)]
    pub skip_crds: bool,
    /// Takes values that do not fit the chart's `values.schema.json`.
    #[serde(default)]
    pub skip_schema_validation: bool,
    /// API versions and kinds that the chart may count on besides those of the cluster, as `example.com/v1/Widget`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub api_versions: Vec<String>,
    /// A Secret with the credentials for `repository`, under the keys that a Repository's has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
    /// Credentials for `repository` from files or environment variables of this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
    /// Speaks plain http to a registry, and sends credentials over plain http.
    #[serde(default)]
    pub insecure: bool,
}

/// A ConfigMap or Secret with values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ValuesFrom {
    /// What it is.
    pub kind: ValuesKind,
    /// Its name.
    pub name: String,
    /// The key that the values stand under, as YAML.
    #[serde(default = "ValuesFrom::default_key")]
    pub key: String,
    /// Takes what stands under the key as one value, and puts it there: a path as `helm --set` has it, such as `auth.password`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_path: Option<String>,
    /// Goes on without it where it does not exist.
    #[serde(default)]
    pub optional: bool,
}

impl ValuesFrom {
    fn default_key() -> String {
        "values.yaml".to_owned()
    }
}

/// The kinds that values can stand in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ValuesKind {
    /// In the clear.
    ConfigMap,
    /// They are shown as hashes.
    Secret,
}

/// What a target renders of its App's chart, with placeholders filled in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Helm {
    /// Where the chart is.
    pub chart: Chart,
    /// The release's name.
    pub release: String,
    /// Files of values in the repository.
    pub values_files: Vec<String>,
    /// Values that go over those of the files.
    pub values: BTreeMap<String, Value>,
    /// Objects with values that go over those.
    pub values_from: Vec<ValuesFrom>,
    /// Whether definitions in `crds` folders are left out.
    pub skip_crds: bool,
    /// Whether values need not fit the chart's schema.
    pub skip_schema_validation: bool,
    /// API versions besides those of the cluster.
    pub api_versions: Vec<String>,
}

/// Where a chart is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Chart {
    /// In the App's repository: a folder or a packed chart.
    InRepository(String),
    /// In a chart repository or registry.
    Elsewhere {
        /// Its URL.
        repository: String,
        /// The chart's name.
        name: String,
        /// The range of versions; empty for any release.
        version: String,
    },
}

/// Looks for what the schema cannot say of an App's chart.
pub(super) fn check(app: &AppSpec, findings: &mut Findings) {
    let Some(helm) = &app.helm else {
        if app.path.is_none() {
            findings
                .add(Place::root("spec"), "missing field `path` in spec: an app needs a `path`, or `helm`");
        }
        return;
    };
    let place = |field: &str| Place::spec("helm").field(field);
    if helm.chart.trim().is_empty() {
        findings.add(place("chart"), "a chart needs a path in the repository, or a name with `repository`");
    }
    match &helm.repository {
        Some(url) => check_url(url, place("repository"), findings),
        None => check_alone(helm, findings),
    }
    if helm.secret_ref.is_some() && helm.credentials.is_some() {
        let message = "credentials come from `secretRef` or from `credentials`, not from both";
        findings.add(place("credentials"), message);
    }
    if let Some(Credentials { ssh_key: Some(_), .. } | Credentials { known_hosts: Some(_), .. }) =
        &helm.credentials
    {
        findings.add(place("credentials"), "charts are not fetched over ssh");
    }
    check_objects(helm, findings);
    if app.recurse {
        findings.add(Place::spec("recurse"), "is for folders of plain manifests, and this App has a chart");
    }
}

fn check_objects(helm: &HelmSpec, findings: &mut Findings) {
    for (index, from) in helm.values_from.iter().enumerate() {
        let texts =
            [("name", Some(&from.name)), ("key", Some(&from.key)), ("targetPath", from.target_path.as_ref())];
        for (field, _) in texts.iter().filter(|(_, text)| text.is_some_and(|text| text.trim().is_empty())) {
            let place = Place::spec("helm").field("valuesFrom").item(index).field(field);
            findings.add(place, format!("`{field}` is empty"));
        }
    }
}

fn check_url(url: &str, place: Place, findings: &mut Findings) {
    let Some((scheme @ ("https" | "http" | "oci"), rest)) = url.split_once("://") else {
        return findings.add(place, "charts come from `https://`, `http://` or `oci://`");
    };
    let authority = rest.split('/').next().unwrap_or_default();
    if authority.is_empty() || authority.ends_with('@') {
        findings.add(place, "the URL names no host");
    } else if authority.contains('@') && (scheme == "oci" || authority.contains(':')) {
        findings.add(place, "credentials do not belong in the URL: use `secretRef` or `credentials`");
    }
}

/// What says something of a source is for charts that come from one.
fn check_alone(helm: &HelmSpec, findings: &mut Findings) {
    let given = [
        ("version", helm.version.is_some()),
        ("secretRef", helm.secret_ref.is_some()),
        ("credentials", helm.credentials.is_some()),
        ("insecure", helm.insecure),
    ];
    for (field, _) in given.iter().filter(|(_, given)| *given) {
        let message = "is for charts with a `repository`; this one is in the App's own repository";
        findings.add(Place::spec("helm").field(field), message);
    }
}

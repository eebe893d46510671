//! From what templates made to manifests: documents split, hooks told from the rest, all in the order of an installation.

use crate::error::Error;
use crate::metadata::Struct;
use crate::values::READING;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use trueup_model::yaml;

/// How much of the manifests becomes values. Either way all of them are read, and what is no YAML is refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Detail {
    /// All.
    #[default]
    Whole,
    /// At least `apiVersion` and `kind`: for who only wants the texts, several times faster.
    Head,
}

/// A document that a template made.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// The template's path, with those of its charts before it.
    pub template: String,
    /// The document as it was made.
    pub text: String,
    /// What it says, or of that what [`Detail`] asks for; null where it holds nothing but comments.
    pub value: Json,
}

/// A manifest that is for certain moments of a release's life.
#[derive(Debug, Clone, PartialEq)]
pub struct Hook {
    /// What is put there.
    pub manifest: Manifest,
    /// When.
    pub events: Vec<HookEvent>,
    /// Hooks of one moment go in the order of their weights.
    pub weight: i64,
    /// When it is deleted, in Helm's words.
    pub delete_policies: Vec<String>,
    /// When its log is shown, in Helm's words.
    pub output_log_policies: Vec<String>,
}

/// A moment of a release's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "named as Helm names them")]
pub enum HookEvent {
    PreInstall,
    PostInstall,
    PreDelete,
    PostDelete,
    PreUpgrade,
    PostUpgrade,
    PreRollback,
    PostRollback,
    Test,
}

impl HookEvent {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "pre-install" => Self::PreInstall,
            "post-install" => Self::PostInstall,
            "pre-delete" => Self::PreDelete,
            "post-delete" => Self::PostDelete,
            "pre-upgrade" => Self::PreUpgrade,
            "post-upgrade" => Self::PostUpgrade,
            "pre-rollback" => Self::PreRollback,
            "post-rollback" => Self::PostRollback,
            "test" | "test-success" => Self::Test,
            _ => return None,
        })
    }
}

/// The kinds in the order of an installation; what is not among them comes behind.
const INSTALL_ORDER: [&str; 38] = [
    "PriorityClass",
    "Namespace",
    "NetworkPolicy",
    "ResourceQuota",
    "LimitRange",
    "PodSecurityPolicy",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Secret",
    "SecretList",
    "ConfigMap",
    "StorageClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleList",
    "ClusterRoleBinding",
    "ClusterRoleBindingList",
    "Role",
    "RoleList",
    "RoleBinding",
    "RoleBindingList",
    "Service",
    "DaemonSet",
    "Pod",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Job",
    "CronJob",
    "IngressClass",
    "Ingress",
    "APIService",
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
];

/// What of a manifest says where it goes.
const HEAD: [&str; 3] = ["apiVersion", "kind", METADATA];
const METADATA: &str = "metadata";

/// What is applied, and what is put there at certain moments.
pub(crate) struct Sorted {
    pub(crate) manifests: Vec<Manifest>,
    pub(crate) hooks: Vec<Hook>,
    pub(crate) warnings: Vec<String>,
}

/// The documents that a template made, with their annotations.
pub(crate) struct Documents {
    template: String,
    read: Result<Vec<(Manifest, Annotations)>, Error>,
}

type Annotations = BTreeMap<String, String>;

/// Splits and reads what a template made.
pub(crate) fn read(template: String, text: &str, detail: Detail) -> Documents {
    let read = split(text).into_iter().map(|document| manifest(&template, document, detail)).collect();
    Documents { template, read }
}

fn manifest(template: &str, text: &str, detail: Detail) -> Result<(Manifest, Annotations), Error> {
    let refused = |message: String| Error::Manifest { template: template.to_owned(), message };
    let head = match detail {
        Detail::Whole => None,
        Detail::Head => yaml::heads(text, &HEAD, READING),
    };
    let read = head.map_or_else(|| yaml::documents_as(text, READING), Ok);
    let read = read.map_err(|error| refused(error.to_string()))?;
    let mut value = read.into_iter().next().map_or(Json::Null, |document| document.value);
    let annotations = annotations(&value).map_err(refused)?;
    if let (Detail::Head, Json::Object(head)) = (detail, &mut value) {
        head.remove(METADATA);
    }
    Ok((Manifest { template: template.to_owned(), text: text.to_owned(), value }, annotations))
}

/// Sorts what templates made. Of what could not be read, the template that comes first by its path is told of.
pub(crate) fn sort(mut made: Vec<Documents>) -> Result<Sorted, Error> {
    let mut sorted = Sorted { manifests: Vec::new(), hooks: Vec::new(), warnings: Vec::new() };
    made.sort_unstable_by(|one, other| one.template.cmp(&other.template));
    for documents in made {
        for (manifest, annotations) in documents.read? {
            sorted.take(manifest, &annotations);
        }
    }
    sorted.manifests.sort_by_cached_key(|manifest| place(manifest.kind()));
    sorted.hooks.sort_by_cached_key(|hook| place(hook.manifest.kind()));
    Ok(sorted)
}

impl Manifest {
    /// Its kind; empty where it has none.
    pub fn kind(&self) -> &str {
        self.value.get("kind").and_then(Json::as_str).unwrap_or_default()
    }
}

impl Sorted {
    fn take(&mut self, manifest: Manifest, annotations: &Annotations) {
        let Some(events) = annotations.get("helm.sh/hook") else {
            self.manifests.push(manifest);
            return;
        };
        let events: Option<Vec<_>> =
            events.split(',').map(|event| HookEvent::named(&event.trim().to_lowercase())).collect();
        let Some(events) = events else {
            let skipped =
                format!("{}: skipping unknown hooks {}", manifest.template, annotations["helm.sh/hook"]);
            self.warnings.push(skipped);
            return;
        };
        let words = |key: &str| match annotations.get(key) {
            Some(words) => words.split(',').map(|word| word.trim().to_lowercase()).collect(),
            None => Vec::new(),
        };
        let weight = annotations.get("helm.sh/hook-weight").and_then(|weight| weight.parse().ok());
        self.hooks.push(Hook {
            manifest,
            events,
            weight: weight.unwrap_or(0),
            delete_policies: words("helm.sh/hook-delete-policy"),
            output_log_policies: words("helm.sh/hook-output-log-policy"),
        });
    }
}

/// The annotations of a manifest, read as Helm reads the head of one.
fn annotations(value: &Json) -> Result<Annotations, String> {
    let map = match value {
        Json::Null => return Ok(BTreeMap::new()),
        Json::Object(map) => map,
        other => return Err(format!("is {}, where a map was expected", crate::values::kind(other))),
    };
    let mut text = String::new();
    Struct(map).text("apiVersion", &mut text)?;
    Struct(map).text("kind", &mut text)?;
    match Struct(map).get("metadata") {
        None => Ok(BTreeMap::new()),
        Some(Json::Object(metadata)) => {
            Struct(metadata).text("name", &mut text)?;
            Ok(Struct(metadata).texts_by_key("annotations")?.unwrap_or_default())
        }
        Some(other) => Err(format!("metadata: is {}, where a map was expected", crate::values::kind(other))),
    }
}

/// The documents of a text: wherever a line begins with `---`, with whatever behind it.
fn split(text: &str) -> Vec<&str> {
    const SEPARATOR: &str = "---";
    let text = text.trim_start();
    let mut documents = Vec::new();
    let mut rest = text.strip_prefix(SEPARATOR).map_or(text, behind);
    let separators = memchr::memmem::Finder::new("\n---");
    while let Some(at) = separators.find(rest.as_bytes()) {
        documents.push(&rest[..=at]);
        rest = behind(&rest[at + 1 + SEPARATOR.len()..]);
    }
    documents.push(rest);
    documents.into_iter().map(str::trim_start).filter(|document| !document.is_empty()).collect()
}

/// What comes behind a separator and the blanks next to it.
fn behind(separator: &str) -> &str {
    separator.trim_start_matches([' ', '\t'])
}

/// Where a kind stands: by the list, and behind it by name.
fn place(kind: &str) -> (usize, String) {
    match INSTALL_ORDER.iter().position(|known| *known == kind) {
        Some(place) => (place, String::new()),
        None => (INSTALL_ORDER.len(), kind.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_end_where_a_line_begins_with_three_dashes() {
        assert_eq!(split("\n---\na: 1\n--- \n# c\n---b: 2\n---\n \n"), ["a: 1\n", "# c\n", "b: 2\n"]);
    }

    #[test]
    fn kinds_go_in_the_order_of_an_installation_and_others_by_name() {
        let text = ["Widget", "Deployment", "", "Secret", "Gadget"]
            .map(|kind| format!("kind: {kind}\n"))
            .join("---\n");
        let made = vec![read("a".to_owned(), &text, Detail::Whole)];
        let sorted = sort(made).map(|sorted| sorted.manifests).unwrap();
        let kinds: Vec<&str> = sorted.iter().map(Manifest::kind).collect();
        assert_eq!(kinds, ["Secret", "Deployment", "", "Gadget", "Widget"]);
    }
}

//! The definitions of the kinds, as they are applied to a cluster.

use super::status::{AppSetStatus, AppStatus, ClusterStatus, EnvironmentStatus, RepositoryStatus};
use super::{rules, structural::structural};
use crate::config::{
    API_VERSION, AppSetSpec, AppSpec, ClusterSpec, EnvironmentSpec, Kind, RepositorySpec, resource::Spec,
};
use schemars::JsonSchema;
use serde_json::{Value, json};
use trueup_model::yaml;

/// The kinds and their names in paths, in the order in which kinds build on each other.
pub const PLURALS: [(Kind, &str); 5] = [
    (Kind::Repository, "repositories"),
    (Kind::Cluster, "clusters"),
    (Kind::Environment, "environments"),
    (Kind::App, "apps"),
    (Kind::AppSet, "appsets"),
];

/// A column of `kubectl get`.
struct Column {
    name: &'static str,
    path: &'static str,
    kind: &'static str,
    /// Only shown with `-o wide`.
    wide: bool,
}

const fn column(name: &'static str, path: &'static str) -> Column {
    Column { name, path, kind: "string", wide: false }
}

const READY: Column = column("Ready", ".status.conditions[?(@.type=='Ready')].status");
const REVISION: Column = column("Revision", ".status.shortRevision");
const MESSAGE: Column =
    Column { wide: true, ..column("Message", ".status.conditions[?(@.type=='Ready')].message") };
const AGE: Column = Column { kind: "date", ..column("Age", ".metadata.creationTimestamp") };

/// The `CustomResourceDefinition`s of all kinds, in the order of [`Kind::ALL`].
pub fn definitions() -> Vec<Value> {
    let count = |name, path| Column { kind: "integer", ..column(name, path) };
    vec![
        definition::<RepositorySpec, RepositoryStatus>(&[
            column("URL", ".spec.url"),
            READY,
            REVISION,
            AGE,
            MESSAGE,
        ]),
        definition::<ClusterSpec, ClusterStatus>(&[
            READY,
            column("Version", ".status.version"),
            AGE,
            MESSAGE,
        ]),
        definition::<EnvironmentSpec, EnvironmentStatus>(&[
            READY,
            count("Clusters", ".status.clusters"),
            count("Targets", ".status.targets"),
            AGE,
            MESSAGE,
        ]),
        definition::<AppSpec, AppStatus>(&[
            column("Sync", ".status.sync"),
            column("Health", ".status.health"),
            REVISION,
            AGE,
            Column { wide: true, ..READY },
            MESSAGE,
        ]),
        definition::<AppSetSpec, AppSetStatus>(&[READY, count("Apps", ".status.apps"), AGE, MESSAGE]),
    ]
}

/// The definitions as files: a name, and the text.
pub fn to_files() -> Vec<(String, String)> {
    let file = |(definition, (_, plural)): (Value, (Kind, &str))| {
        let text = format!(
            "# As `trueup crds` prints it; a test holds it to the types of src/config.\n{}",
            yaml::to_yaml(&definition)
        );
        (format!("{plural}.yaml"), text)
    };
    definitions().into_iter().zip(PLURALS).map(file).collect()
}

fn definition<S: Spec, T: JsonSchema>(columns: &[Column]) -> Value {
    let kind = S::KIND;
    let plural = PLURALS.iter().find(|(known, _)| *known == kind).map_or("", |(_, plural)| plural);
    let (group, version) = API_VERSION.split_once('/').unwrap_or(("", API_VERSION));
    let spec = structural::<S>();
    let mut status = structural::<T>();
    for (list, keys) in [("conditions", "type"), ("targets", "name")] {
        if let Some(list) =
            status.pointer_mut(&format!("/properties/{list}")).filter(|list| list["type"] == "array")
        {
            list["x-kubernetes-list-type"] = "map".into();
            list["x-kubernetes-list-map-keys"] = json!([keys]);
            // Those of a type that has a value for whatever is left out are none of its keys.
            if list["items"].get("required").is_none() {
                list["items"]["required"] = json!([keys]);
            }
        }
    }
    if let Some(time) = status.pointer_mut("/properties/conditions/items/properties/lastTransitionTime") {
        time["format"] = "date-time".into();
    }
    let mut schema = json!({
        "type": "object",
        "description": spec["description"],
        "required": ["spec"],
        "properties": {
            "apiVersion": { "type": "string" },
            "kind": { "type": "string" },
            "metadata": { "type": "object" },
            "spec": spec,
            "status": status,
        },
    });
    rules::add(kind, &mut schema);
    let columns: Vec<Value> = columns
        .iter()
        .map(|Column { name, path, kind, wide }| {
            json!({ "name": name, "jsonPath": path, "type": kind, "priority": u8::from(*wide) })
        })
        .collect();
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{plural}.{group}"), "labels": { "app.kubernetes.io/name": "trueup" } },
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {
                "kind": kind.as_str(),
                "listKind": format!("{kind}List"),
                "plural": plural,
                "singular": kind.as_str().to_lowercase(),
                "shortNames": [short_name(kind)],
                "categories": ["trueup"],
            },
            "versions": [{
                "name": version,
                "served": true,
                "storage": true,
                "subresources": { "status": {} },
                "additionalPrinterColumns": columns,
                "schema": { "openAPIV3Schema": schema },
            }],
        },
    })
}

fn short_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Repository => "trepo",
        Kind::Cluster => "tcluster",
        Kind::Environment => "tenv",
        Kind::App => "tapp",
        Kind::AppSet => "tappset",
    }
}

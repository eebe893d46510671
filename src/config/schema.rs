//! The JSON schema of the kinds, made from the Rust types. Editors read it, and so does the check of files.

use super::app::AppSpec;
use super::app_set::AppSetSpec;
use super::cluster::ClusterSpec;
use super::environment::EnvironmentSpec;
use super::repository::RepositorySpec;
use super::resource::{API_VERSION, Kind, Metadata, Spec};
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};
use std::sync::LazyLock;

/// The JSON schema (draft 2020-12) of a document of any kind.
pub fn schema() -> &'static Value {
    static SCHEMA: LazyLock<Value> = LazyLock::new(made);
    &SCHEMA
}

fn made() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let kinds = [
        (Kind::Repository, document::<RepositorySpec>(&mut generator)),
        (Kind::Cluster, document::<ClusterSpec>(&mut generator)),
        (Kind::Environment, document::<EnvironmentSpec>(&mut generator)),
        (Kind::App, document::<AppSpec>(&mut generator)),
        (Kind::AppSet, document::<AppSetSpec>(&mut generator)),
    ];
    let mut definitions = generator.take_definitions(true);
    let mut any = Vec::new();
    for (kind, document) in kinds {
        any.push(json!({ "$ref": format!("#/$defs/{kind}") }));
        definitions.insert(kind.to_string(), document);
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "trueup configuration",
        "description": "One document of a trueup configuration file.",
        "oneOf": any,
        "$defs": definitions,
    })
}

fn document<S: Spec>(generator: &mut SchemaGenerator) -> Value {
    let spec = generator.subschema_for::<S>();
    json!({
        "type": "object",
        "description": generator.definitions().get(S::schema_name().as_ref()).and_then(|s| s.get("description")),
        "properties": {
            "apiVersion": { "const": API_VERSION },
            "kind": { "const": S::KIND.as_str() },
            "metadata": generator.subschema_for::<Metadata>(),
            "spec": spec,
        },
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "additionalProperties": false,
    })
}

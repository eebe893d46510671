//! Writes what the sandbox knows of Kubernetes' built-in kinds: asked of a real kube-apiserver, descriptions left out.
//!
//! `cargo run -p trueup-testkit --bin kinds-table > crates/sandbox/tables/kinds.json`
#![allow(clippy::print_stdout, reason = "what it prints is its interface")]

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use trueup_testkit::{Api, Components, ControlPlane, Options};

const GROUP_VERSION_KIND: &str = "x-kubernetes-group-version-kind";

fn main() -> Result<()> {
    let plane = ControlPlane::start(Options { components: Components::ApiOnly, ..Options::default() })?;
    let api = Api::from_kubeconfig(plane.kubeconfig())?;
    let (schemas, names) = schemas(&api)?;
    let kinds = kinds(&api, &names)?;
    println!("{{\"kinds\":[");
    let lines: Vec<String> = kinds.iter().map(Value::to_string).collect();
    println!("{}\n],\"schemas\":{{", lines.join(",\n"));
    let lines: Vec<String> =
        schemas.iter().map(|(name, schema)| format!("{}:{schema}", Value::from(name.as_str()))).collect();
    println!("{}\n}}}}", lines.join(",\n"));
    Ok(())
}

/// The schemas by name, and the name of each kind's schema by `group/version/kind`.
fn schemas(api: &Api) -> Result<(BTreeMap<String, Value>, BTreeMap<String, String>)> {
    let (mut schemas, mut names) = (BTreeMap::new(), BTreeMap::new());
    let index = api.get("/openapi/v3")?;
    for document in index["paths"].as_object().context("an index of documents")?.values() {
        let url = document["serverRelativeURL"].as_str().context("a document's URL")?;
        let document = api.get(url)?;
        for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
            for kind in schema[GROUP_VERSION_KIND].as_array().into_iter().flatten() {
                let part = |name: &str| kind[name].as_str().unwrap_or_default().to_owned();
                names.insert(format!("{}/{}/{}", part("group"), part("version"), part("kind")), name.clone());
            }
            schemas.insert(name.clone(), bare(schema));
        }
    }
    Ok((schemas, names))
}

/// A schema without what merging and defaulting do not need.
fn bare(schema: &Value) -> Value {
    match schema {
        Value::Object(fields) => fields
            .iter()
            .filter(|(name, value)| {
                *name != GROUP_VERSION_KIND && !(*name == "description" && value.is_string())
            })
            .map(|(name, value)| (name.clone(), bare(value)))
            .collect(),
        Value::Array(items) => items.iter().map(bare).collect(),
        other => other.clone(),
    }
}

fn kinds(api: &Api, names: &BTreeMap<String, String>) -> Result<Vec<Value>> {
    let mut versions = vec![("/api/v1".to_owned(), String::new(), "v1".to_owned())];
    for group in api.get("/apis")?["groups"].as_array().context("groups")? {
        let name = group["name"].as_str().unwrap_or_default();
        for version in group["versions"].as_array().into_iter().flatten() {
            let version = version["version"].as_str().unwrap_or_default();
            versions.push((format!("/apis/{name}/{version}"), name.to_owned(), version.to_owned()));
        }
    }
    let mut kinds = Vec::new();
    for (path, group, version) in versions {
        for resource in api.get(&path)?["resources"].as_array().into_iter().flatten() {
            let mut resource = resource.clone();
            if let Some(fields) = resource.as_object_mut() {
                fields.remove("storageVersionHash");
            }
            let kind = resource["kind"].as_str().unwrap_or_default();
            let schema = names.get(&format!("{group}/{version}/{kind}"));
            kinds.push(json!({"group": group, "version": version, "schema": schema, "resource": resource}));
        }
    }
    Ok(kinds)
}

//! From resources to a configuration. What is wrong with one is found of that one, and stops what needs it.
//!
//! Enters: resources as the API server has them, and the targets as they were before. Leaves: the configuration that the good ones
//! make, and of each resource what is known of it. One that is being deleted is no part of the configuration, but for
//! what an App that waits for trueup has to prune.

use super::exchange::settle;
use crate::config::{
    AppSetSpec, AppSpec, CONFIRM_REMOVAL, ClusterSpec, Config, Declarations, Declared, EnvironmentSpec,
    Finding, Findings, Kind, Leaving, Metadata, Place, RepositorySpec, Spec, Target, leave, read::Declare,
};
use serde_json::Value;
use std::collections::BTreeMap;
use trueup_model::Origin;

/// What the resources of a namespace come to.
#[derive(Clone, Debug)]
pub struct Resources {
    /// What can be put to work.
    pub config: Config,
    /// All of them.
    pub all: BTreeMap<(Kind, String), Resource>,
    /// The Apps that somebody has deleted and that wait for trueup to let them go, by name.
    pub leaving: BTreeMap<String, Leaving>,
}

/// The finalizer of an App that prunes what it applied before it goes.
pub const FINALIZER: &str = "trueup.dev/deletion";

impl Resources {
    /// Has the Apps that are being deleted leave everything as it is.
    pub fn orphan_all(&mut self) {
        self.config.leaving.clear();
        self.config.parting.values_mut().for_each(|leaving| *leaving = Leaving::orphans());
        self.leaving.values_mut().for_each(|leaving| *leaving = Leaving::orphans());
    }
}

/// A resource.
#[derive(Clone, Debug)]
pub struct Resource {
    /// As the API server has it.
    pub object: Value,
    /// What is wrong with it.
    pub findings: Vec<Finding>,
}

impl Resource {
    /// Counts its changes.
    pub fn generation(&self) -> Option<i64> {
        self.object.pointer("/metadata/generation").and_then(Value::as_i64)
    }

    /// What it says of itself.
    pub fn status(&self) -> &Value {
        self.object.get("status").unwrap_or(&Value::Null)
    }

    /// Whether somebody has deleted it, and it is still there.
    pub fn is_leaving(&self) -> bool {
        self.object.pointer("/metadata/deletionTimestamp").is_some()
    }

    /// Whether it stays until trueup lets it go.
    pub fn is_held(&self) -> bool {
        let finalizers = self.object.pointer("/metadata/finalizers").and_then(Value::as_array);
        finalizers.is_some_and(|finalizers| finalizers.iter().any(|one| one == FINALIZER))
    }
}

/// Reads the resources of a namespace. `before` are the targets as the resources said last, as far as that is known.
pub fn read(objects: Vec<Value>, namespace: &str, before: &[Target]) -> Resources {
    let mut declarations = Declarations::default();
    let mut all = BTreeMap::new();
    for object in objects {
        let kind = Kind::ALL
            .into_iter()
            .find(|kind| object.get("kind").and_then(Value::as_str) == Some(kind.as_str()));
        let name = object.pointer("/metadata/name").and_then(Value::as_str).map(str::to_owned);
        let (Some(kind), Some(name)) = (kind, name) else { continue };
        let resource = Resource { object, findings: Vec::new() };
        let findings = match kind {
            _ if resource.is_leaving() => Findings::default(),
            Kind::Repository => {
                declare::<RepositorySpec>(&mut declarations, &resource.object, &name, namespace)
            }
            Kind::Cluster => declare::<ClusterSpec>(&mut declarations, &resource.object, &name, namespace),
            Kind::Environment => {
                declare::<EnvironmentSpec>(&mut declarations, &resource.object, &name, namespace)
            }
            Kind::App => declare::<AppSpec>(&mut declarations, &resource.object, &name, namespace),
            Kind::AppSet => declare::<AppSetSpec>(&mut declarations, &resource.object, &name, namespace),
        };
        let finding = |(place, message)| Finding { kind, name: name.clone(), place, message };
        let findings = findings.0.into_iter().map(finding).collect();
        all.insert((kind, name.clone()), Resource { findings, ..resource });
    }
    let leaving: BTreeMap<String, Leaving> = all
        .iter()
        .filter(|((kind, _), resource)| *kind == Kind::App && resource.is_leaving() && resource.is_held())
        .map(|((_, name), resource)| (name.clone(), leaves(&declarations, resource, name, namespace, before)))
        .collect();
    let (mut config, findings) = declarations.resolve_usable();
    config.leaving = leave::in_reverse(&leaving);
    config.parting.clone_from(&leaving);
    config.home = Some(namespace.to_owned());
    for finding in findings {
        if let Some(resource) = all.get_mut(&(finding.kind, finding.name.clone())) {
            resource.findings.push(finding);
        }
    }
    Resources { config, all, leaving }
}

/// What an App has to prune that somebody has deleted.
fn leaves(
    declarations: &Declarations,
    resource: &Resource,
    name: &str,
    namespace: &str,
    before: &[Target],
) -> Leaving {
    let spec: Result<AppSpec, _> =
        serde_json::from_value(resource.object.get("spec").cloned().unwrap_or_default());
    match spec {
        Ok(spec) => {
            let namespace = Some(namespace.to_owned());
            let metadata = Metadata { name: name.to_owned(), namespace, ..Metadata::default() };
            declarations.leaving(&Declared { metadata, spec, origin: Origin::default() }, before)
        }
        Err(error) => Leaving::unknown(format!("spec: {error}; correct it, or set deletionPolicy: Orphan")),
    }
}

/// Takes a good one in; of another one it is known that it is there.
fn declare<S: Spec>(declarations: &mut Declarations, object: &Value, name: &str, namespace: &str) -> Findings
where
    Declarations: Declare<S>,
{
    declarations.known.insert((S::KIND, name.to_owned()));
    let mut findings = Findings::default();
    let spec: Result<S, _> = serde_json::from_value(object.get("spec").cloned().unwrap_or_default());
    let mut spec = match spec {
        Ok(spec) => spec,
        Err(error) => {
            findings.add(Place::root("spec"), error.to_string());
            return findings;
        }
    };
    settle(&mut spec, namespace, &mut findings);
    let texts = |field: &str| -> BTreeMap<String, String> {
        let texts = object.pointer(&format!("/metadata/{field}")).and_then(Value::as_object);
        let text = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
        texts.into_iter().flatten().filter_map(text).collect()
    };
    // Others are no reason to do anything.
    let mut confirmations: BTreeMap<String, String> = texts("annotations");
    confirmations.retain(|name, _| name == CONFIRM_REMOVAL);
    let metadata = Metadata {
        name: name.to_owned(),
        namespace: Some(namespace.to_owned()),
        labels: texts("labels"),
        annotations: confirmations,
    };
    let declared = Declared { metadata, spec, origin: Origin::default() };
    declared.check(&mut findings);
    if findings.0.is_empty() {
        declarations.declare(declared);
    }
    findings
}

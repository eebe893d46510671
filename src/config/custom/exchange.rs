//! Between documents of files and resources, as both are written: what is left out stays so, and there and back is the same.

use crate::config::{
    API_VERSION, AppSetSpec, AppSpec, ClusterSpec, EnvironmentSpec, Finding, Findings, Kind, Metadata, Place,
    RepositorySpec, Spec, Step, Written,
};
use serde_json::{Map, Value, json};

/// Annotations and labels by which tools keep their books; they are of one cluster and no part of a configuration.
const BOOKS: [&str; 2] =
    ["kubectl.kubernetes.io/last-applied-configuration", "applyset.kubernetes.io/part-of"];

/// The resource that a document becomes in a namespace.
///
/// # Errors
/// What of it can only be said in a file.
pub fn resource(written: &Written, namespace: &str) -> Result<Value, NotHere> {
    let checked = match written.kind {
        Kind::Repository => checked::<RepositorySpec>(&written.spec, namespace),
        Kind::Cluster => checked::<ClusterSpec>(&written.spec, namespace),
        Kind::Environment => checked::<EnvironmentSpec>(&written.spec, namespace),
        Kind::App => checked::<AppSpec>(&written.spec, namespace),
        Kind::AppSet => checked::<AppSetSpec>(&written.spec, namespace),
    };
    let (findings, secrets) = checked.unwrap_or_else(|error| {
        let mut findings = Findings::default();
        findings.add(Place::root("spec"), error.to_string());
        (findings, Vec::new())
    });
    if !findings.0.is_empty() {
        let finding = |(place, message)| Finding {
            kind: written.kind,
            name: written.metadata.name.clone(),
            place,
            message,
        };
        return Err(NotHere(findings.0.into_iter().map(finding).collect()));
    }
    let mut spec = written.spec.clone();
    for place in secrets {
        if let Some(secret) = at(&mut spec, &place).and_then(Value::as_object_mut) {
            secret.remove("namespace");
        }
    }
    let metadata = Metadata { namespace: Some(namespace.to_owned()), ..written.metadata.clone() };
    Ok(
        json!({ "apiVersion": API_VERSION, "kind": written.kind.as_str(), "metadata": metadata, "spec": spec }),
    )
}

/// What is wrong with a spec as a resource of a namespace, and where it names Secrets.
fn checked<S: Spec>(spec: &Value, namespace: &str) -> serde_json::Result<(Findings, Vec<Place>)> {
    let mut spec: S = serde_json::from_value(spec.clone())?;
    let mut findings = Findings::default();
    let secrets = settle(&mut spec, namespace, &mut findings);
    Ok((findings, secrets))
}

/// Looks for what a resource may not say, and has its Secrets in its namespace. Gives the places that name Secrets.
pub(super) fn settle<S: Spec>(spec: &mut S, namespace: &str, findings: &mut Findings) -> Vec<Place> {
    spec.check_resource(findings);
    let mut places = Vec::new();
    for (place, of) in spec.secret_namespaces() {
        if of.as_ref().is_some_and(|of| of != namespace) {
            let message = format!("a resource uses Secrets of its own namespace only, which is {namespace}");
            findings.add(place.field("namespace"), message);
        }
        *of = Some(namespace.to_owned());
        places.push(place);
    }
    places
}

/// A place below `spec`.
fn at<'v>(spec: &'v mut Value, place: &Place) -> Option<&'v mut Value> {
    place.0.iter().skip(1).try_fold(spec, |here, step| match step {
        Step::Field(name) => here.get_mut(name),
        Step::Item(index) => here.get_mut(index),
    })
}

/// The document of a file that a resource becomes.
pub fn document(resource: &Value) -> Value {
    let mut metadata = Map::new();
    let from = resource.get("metadata");
    metadata.extend(from.and_then(|from| Some(("name".to_owned(), from.get("name")?.clone()))));
    for field in ["labels", "annotations"] {
        let mut texts = from.and_then(|from| from.get(field)?.as_object()).cloned().unwrap_or_default();
        texts.retain(|name, _| !BOOKS.contains(&name.as_str()));
        if !texts.is_empty() {
            metadata.insert(field.to_owned(), texts.into());
        }
    }
    json!({
        "apiVersion": API_VERSION,
        "kind": resource.get("kind"),
        "metadata": metadata,
        "spec": resource.get("spec"),
    })
}

/// What can only be said in a file. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotHere(pub Vec<Finding>);

impl std::fmt::Display for NotHere {
    /// One a line.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for NotHere {}

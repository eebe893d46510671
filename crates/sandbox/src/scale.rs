//! The scale of an object, as `autoscaling/v1` has it: where its replicas and its selector are.
//!
//! Source: k8s.io/kubernetes `pkg/registry/apps`, and `subresources.scale` of `apiextensions.k8s.io/v1`.

use crate::answer::Cause;
use crate::kinds::{Custom, Kind};
use crate::rules::invalid;
use serde_json::{Map, Value, json};

/// The scale of an object.
pub(crate) fn scale(kind: &Kind, object: &Value) -> Value {
    let metadata: Map<String, Value> = ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"]
        .into_iter()
        .filter_map(|field| Some((field.to_owned(), object["metadata"].get(field)?.clone())))
        .collect();
    let number = |path: &str| path_of(kind, path).and_then(|at| object.pointer(&at).cloned());
    let replicas = number("specReplicasPath");
    let mut spec = Map::new();
    if let Some(replicas) = replicas.filter(|replicas| *replicas != 0) {
        spec.insert("replicas".to_owned(), replicas);
    }
    let mut status = json!({"replicas": number("statusReplicasPath").unwrap_or_else(|| 0.into())});
    let selector = match &kind.custom {
        Some(_) => number("labelSelectorPath").and_then(|text| text.as_str().map(str::to_owned)),
        None => Some(selector(&object["spec"]["selector"])),
    };
    if let Some(selector) = selector.filter(|selector| !selector.is_empty()) {
        status["selector"] = selector.into();
    }
    json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status})
}

/// What the scale of an object needs and the object does not have.
pub(crate) fn missing(kind: &Kind, object: &Value) -> Option<String> {
    let path = kind.custom.as_ref()?.version["subresources"]["scale"]["specReplicasPath"].as_str()?;
    let is_there = object.pointer(&path.replace('.', "/")).is_some();
    (!is_there).then(|| format!("the spec replicas field {path:?} does not exist"))
}

/// Checks that the replicas of a custom resource are a number that can be asked for.
///
/// Source: k8s.io/apiextensions-apiserver `pkg/registry/customresource/validator.go`.
pub(crate) fn check(custom: &Custom, object: &Value, causes: &mut Vec<Cause>) {
    let Some(path) = custom.version["subresources"]["scale"]["specReplicasPath"].as_str() else { return };
    let mut value = object;
    let mut parts = path.split('.').skip(1).peekable();
    let not = |value: &Value, wanted: &str| {
        let why = format!(
            "{path} accessor error: {} is of the type {}, expected {wanted}",
            printed(value),
            go_type(value)
        );
        invalid(path, &0.into(), &why)
    };
    while let Some(part) = parts.next() {
        let Value::Object(fields) = value else {
            causes.push(not(value, "map[string]interface{}"));
            return;
        };
        let Some(below) = fields.get(part) else { return };
        value = below;
        // What is nothing has nothing below it.
        if value.is_null() && parts.peek().is_some() {
            return;
        }
    }
    match value.as_i64().filter(|_| !value.is_f64()) {
        None => causes.push(not(value, "int64")),
        Some(replicas) if replicas < 0 => {
            causes.push(invalid(path, value, "should be a non-negative integer"));
        }
        Some(replicas) if replicas > i64::from(i32::MAX) => {
            let why = format!("should be less than or equal to {}", i32::MAX);
            causes.push(invalid(path, value, &why));
        }
        Some(_) => {}
    }
}

/// A value as Go's `%v` prints it.
fn printed(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(printed).collect::<Vec<_>>().join(" ")),
        Value::Object(fields) => {
            let mut all: Vec<String> =
                fields.iter().map(|(name, value)| format!("{name}:{}", printed(value))).collect();
            all.sort();
            format!("map[{}]", all.join(" "))
        }
    }
}

/// What Go's reflection calls a value's type.
pub(crate) fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// How many replicas an object asks for; none where it does not say.
pub(crate) fn replicas(kind: &Kind, object: &Value) -> i64 {
    path_of(kind, "specReplicasPath").and_then(|at| object.pointer(&at)?.as_i64()).unwrap_or(0)
}

/// Writes replicas where the kind has them.
pub(crate) fn set_replicas(kind: &Kind, object: &mut Value, replicas: &Value) {
    let Some(at) = path_of(kind, "specReplicasPath") else { return };
    let mut place = object;
    for part in at.split('/').skip(1) {
        place = &mut place[part];
    }
    *place = replicas.clone();
}

fn path_of(kind: &Kind, which: &str) -> Option<String> {
    let Some(custom) = &kind.custom else {
        let parent = if which == "statusReplicasPath" { "status" } else { "spec" };
        return Some(format!("/{parent}/replicas"));
    };
    let path = custom.version["subresources"]["scale"][which].as_str()?;
    Some(path.replace('.', "/"))
}

/// A selector in one line.
pub(crate) fn selector(selector: &Value) -> String {
    let labels = selector.get("matchLabels").unwrap_or(selector);
    let labels = labels.as_object().into_iter().flatten();
    let mut parts: Vec<String> =
        labels.filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?))).collect();
    for requirement in selector["matchExpressions"].as_array().into_iter().flatten() {
        let key = requirement["key"].as_str().unwrap_or_default();
        let values: Vec<&str> =
            requirement["values"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        parts.push(match requirement["operator"].as_str() {
            Some("In") => format!("{key} in ({})", values.join(",")),
            Some("NotIn") => format!("{key} notin ({})", values.join(",")),
            Some("DoesNotExist") => format!("!{key}"),
            Some(_) | None => key.to_owned(),
        });
    }
    parts.sort();
    parts.join(",")
}

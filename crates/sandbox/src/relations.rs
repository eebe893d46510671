//! What the API server asks of built-in kinds beyond single fields.
//!
//! Source: k8s.io/kubernetes `pkg/apis/*/validation`.

use crate::answer::Cause;
use crate::kinds::Kind;
use serde_json::{Map, Value};

/// What does not go together in an object.
pub(crate) fn check(kind: &Kind, object: &Value, causes: &mut Vec<Cause>) {
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("apps", "Deployment" | "DaemonSet" | "ReplicaSet" | "StatefulSet") => workload(object, causes),
        ("", "Service") => service(object, causes),
        (_, _) => {}
    }
}

fn invalid(field: &str, shown: &Value, why: &str) -> Cause {
    Cause {
        reason: "FieldValueInvalid",
        message: format!("Invalid value: {shown}: {why}"),
        field: field.to_owned(),
    }
}

fn required(field: &str, why: &str) -> Cause {
    let message = if why.is_empty() { "Required value".to_owned() } else { format!("Required value: {why}") };
    Cause { reason: "FieldValueRequired", message, field: field.to_owned() }
}

fn workload(object: &Value, causes: &mut Vec<Cause>) {
    let empty = Map::new();
    let labels =
        object.pointer("/spec/template/metadata/labels").and_then(Value::as_object).unwrap_or(&empty);
    let selector = &object["spec"]["selector"];
    let wanted = selector["matchLabels"].as_object().unwrap_or(&empty);
    let is_empty = wanted.is_empty() && selector["matchExpressions"].as_array().is_none_or(Vec::is_empty);
    if !is_empty && wanted.iter().any(|(key, value)| labels.get(key) != Some(value)) {
        let shown = if labels.is_empty() { Value::Null } else { Value::Object(labels.clone()) };
        causes.push(invalid(
            "spec.template.metadata.labels",
            &shown,
            "`selector` does not match template `labels`",
        ));
    }
    let policy =
        object.pointer("/spec/template/spec/restartPolicy").and_then(Value::as_str).unwrap_or_default();
    if matches!(policy, "OnFailure" | "Never") {
        causes.push(Cause {
            reason: "FieldValueNotSupported",
            message: format!("Unsupported value: {policy:?}: supported values: \"Always\""),
            field: "spec.template.spec.restartPolicy".to_owned(),
        });
    }
}

fn service(object: &Value, causes: &mut Vec<Cause>) {
    let spec = &object["spec"];
    let is_external = spec["type"] == "ExternalName";
    let ports = spec["ports"].as_array().map(Vec::as_slice).unwrap_or_default();
    if ports.is_empty() && !is_external && spec["clusterIP"] != "None" {
        causes.push(required("spec.ports", ""));
    }
    if is_external && spec["externalName"].as_str().unwrap_or_default().is_empty() {
        causes.push(required("spec.externalName", ""));
    }
    if ports.len() > 1 {
        for (index, port) in ports.iter().enumerate() {
            if port["name"].as_str().unwrap_or_default().is_empty() {
                causes.push(required(&format!("spec.ports[{index}].name"), ""));
            }
        }
    }
}

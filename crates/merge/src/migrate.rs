//! Hands the fields that `kubectl apply` (client-side) owned over to a server-side applier, so that a field that leaves Git
//! really goes instead of staying under the old manager.
//!
//! Source: `csaupgrade` of k8s.io/client-go, and kubernetes/kubernetes#99003.

use crate::fields::FieldSet;
use crate::managed::raw;
use serde_json::json;
use trueup_model::Value;

/// The managers that `kubectl apply` without `--server-side` writes as.
pub const CLIENT_SIDE_MANAGERS: [&str; 2] = ["kubectl-client-side-apply", "before-first-apply"];

/// The annotation in which client-side apply keeps its last manifest.
const LAST_APPLIED: [&str; 3] =
    ["f:metadata", "f:annotations", "f:kubectl.kubernetes.io/last-applied-configuration"];

/// Whether the object has fields under a client-side manager.
pub fn needed(object: &Value) -> bool {
    raw(object).iter().any(is_client_side)
}

/// A JSON patch that moves them to `manager`, bound to the object's resource version and without the last-applied annotation;
/// `None` where there is nothing to move.
pub fn patch(object: &Value, manager: &str) -> Option<Value> {
    if !needed(object) {
        return None;
    }
    let version = object.pointer("/metadata/resourceVersion")?;
    let mut moved = FieldSet::default();
    let mut kept: Vec<Value> = Vec::new();
    let mut ours: Option<Value> = None;
    let mut api_version = Value::Null;
    for entry in raw(object) {
        let fields = || FieldSet::parse(entry.get("fieldsV1").unwrap_or(&Value::Null)).unwrap_or_default();
        if is_client_side(entry) {
            moved = moved.union(&fields());
            api_version = entry.get("apiVersion").cloned().unwrap_or_default();
        } else if entry.get("manager").and_then(Value::as_str) == Some(manager)
            && entry.get("operation").and_then(Value::as_str) == Some("Apply")
        {
            moved = moved.union(&fields());
            ours = Some(entry.clone());
        } else {
            kept.push(entry.clone());
        }
    }
    moved.remove(&LAST_APPLIED);
    let mut entry = ours.unwrap_or_else(|| json!({"apiVersion": api_version, "fieldsType": "FieldsV1"}));
    entry["manager"] = manager.into();
    entry["operation"] = "Apply".into();
    entry["fieldsV1"] = moved.to_json();
    kept.push(entry);
    let mut operations = vec![
        json!({"op": "test", "path": "/metadata/resourceVersion", "value": version}),
        json!({"op": "replace", "path": "/metadata/managedFields", "value": kept}),
    ];
    let annotation = "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration";
    if object.pointer(annotation).is_some() {
        operations.push(json!({"op": "remove", "path": annotation}));
    }
    Some(Value::Array(operations))
}

fn is_client_side(entry: &Value) -> bool {
    let text = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default();
    CLIENT_SIDE_MANAGERS.contains(&text("manager"))
        && text("operation") == "Update"
        && text("subresource").is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_client_side_apply_owned_becomes_ours_but_not_its_annotation() {
        let object = json!({"metadata": {"resourceVersion": "5",
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"},
            "managedFields": [
                {"manager": "kubectl-client-side-apply", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1":
                    {"f:data": {"f:old": {}}, "f:metadata": {"f:annotations": {"f:kubectl.kubernetes.io/last-applied-configuration": {}}}}},
                {"manager": "other", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {"f:x": {}}}}]}});
        let patch = patch(&object, "trueup").unwrap();
        assert_eq!(
            patch[1]["value"],
            json!([
                {"manager": "other", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {"f:x": {}}}},
                {"manager": "trueup", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {"f:old": {}}}}])
        );
        assert_eq!(patch[0]["value"], "5");
        assert_eq!(patch[2]["op"], "remove");
    }

    #[test]
    fn an_object_without_client_side_fields_needs_no_patch() {
        assert_eq!(patch(&json!({"metadata": {"resourceVersion": "5"}}), "trueup"), None);
    }
}

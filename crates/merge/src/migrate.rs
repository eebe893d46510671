//! Hands the fields that `kubectl apply` (client-side) owned over to a server-side applier, so that a field that leaves Git
//! really goes instead of staying under the old manager.
//!
//! Source: `csaupgrade` of k8s.io/client-go and its use in kubectl (kubernetes/kubernetes#99003): a client-side applier is
//! whoever wrote the last-applied annotation by an update. Unlike kubectl, the annotation goes as well: it would be stale
//! from the next commit on.

use crate::fields::FieldSet;
use crate::managed::raw;
use serde_json::json;
use trueup_model::Value;

/// The name that `kubectl apply` writes under unless it is given another.
const CLIENT_SIDE_MANAGER: &str = "kubectl-client-side-apply";

/// The annotation in which client-side apply keeps its last manifest.
const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Its path, as fieldsV1 writes it.
const LAST_APPLIED: [&str; 3] =
    ["f:metadata", "f:annotations", "f:kubectl.kubernetes.io/last-applied-configuration"];

/// Whether the object has fields under a client-side applier.
pub fn needed(object: &Value) -> bool {
    raw(object).iter().any(is_client_side)
}

/// A JSON patch that moves them to `manager` and removes the last-applied annotation; `None` where there is nothing to move.
///
/// The patch is bound to the object's resource version by replacing it with itself: where the object has changed since,
/// the API server answers 409, and a newer object needs a new patch.
pub fn patch(object: &Value, manager: &str) -> Option<Value> {
    let version = object.pointer("/metadata/resourceVersion")?;
    let (moved, mut kept): (Vec<&Value>, Vec<&Value>) =
        raw(object).iter().partition(|entry| is_client_side(entry));
    // The list is sorted with the newest last; that one says which version of the API the fields are in, if we own none.
    let newest = moved.last()?;
    let own = kept.iter().position(|entry| is_apply_of(entry, manager)).map(|place| kept.remove(place));
    let mut entry = own.unwrap_or(newest).clone();
    // Fields of another version of the API mean nothing in this one: their owner goes, as in csaupgrade.
    let same_version = |other: &&&Value| other.get("apiVersion") == entry.get("apiVersion");
    let mut fields = moved
        .iter()
        .filter(same_version)
        .chain(&own)
        .fold(FieldSet::default(), |all, entry| all.union(&fields_of(entry)));
    fields.remove(&LAST_APPLIED);
    entry["manager"] = manager.into();
    entry["operation"] = "Apply".into();
    entry["fieldsV1"] = fields.to_json();
    let entries: Vec<Value> =
        kept.into_iter().cloned().chain((!fields.is_empty()).then_some(entry)).collect();
    let mut operations = vec![
        json!({"op": "replace", "path": "/metadata/resourceVersion", "value": version}),
        json!({"op": "replace", "path": "/metadata/managedFields", "value": entries}),
    ];
    let annotations = object.pointer("/metadata/annotations").and_then(Value::as_object);
    if let Some(mut annotations) = annotations.filter(|all| all.contains_key(ANNOTATION)).cloned() {
        annotations.remove(ANNOTATION);
        // Not `remove`: that fails with 422 where the annotation is gone, before the resource version is looked at.
        operations.push(json!({"op": "add", "path": "/metadata/annotations", "value": annotations}));
    }
    Some(Value::Array(operations))
}

fn is_client_side(entry: &Value) -> bool {
    text(entry, "operation") == "Update"
        && text(entry, "subresource").is_empty()
        && (text(entry, "manager") == CLIENT_SIDE_MANAGER || writes_last_applied(entry))
}

fn writes_last_applied(entry: &Value) -> bool {
    let fields = entry.get("fieldsV1");
    LAST_APPLIED.iter().fold(fields, |fields, element| fields?.get(element)).is_some()
}

pub(crate) fn is_apply_of(entry: &Value, manager: &str) -> bool {
    text(entry, "manager") == manager
        && text(entry, "operation") == "Apply"
        && text(entry, "subresource").is_empty()
}

pub(crate) fn fields_of(entry: &Value) -> FieldSet {
    entry.get("fieldsV1").and_then(|fields| FieldSet::parse(fields).ok()).unwrap_or_default()
}

pub(crate) fn text<'e>(entry: &'e Value, field: &str) -> &'e str {
    entry.get(field).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(manager: &str, operation: &str, version: &str, fields: &Value) -> Value {
        json!({"manager": manager, "operation": operation, "apiVersion": version, "fieldsType": "FieldsV1", "fieldsV1": fields})
    }

    fn object(entries: &[Value]) -> Value {
        json!({"metadata": {"resourceVersion": "5", "annotations": {ANNOTATION: "{}", "a": "b"}, "managedFields": entries}})
    }

    fn last_applied() -> Value {
        json!({"f:metadata": {"f:annotations": {"f:kubectl.kubernetes.io/last-applied-configuration": {}}}})
    }

    #[track_caller]
    fn check(before: &[Value], after: &[Value]) {
        let patch = patch(&object(before), "trueup").unwrap();
        assert_eq!(patch[1]["value"], Value::from(after));
        assert_eq!(patch[0], json!({"op": "replace", "path": "/metadata/resourceVersion", "value": "5"}));
        assert_eq!(patch[2], json!({"op": "add", "path": "/metadata/annotations", "value": {"a": "b"}}));
        assert!(!needed(&object(after)), "what was migrated needs no migration");
    }

    fn kubectl(fields: &Value) -> Value {
        entry("kubectl-client-side-apply", "Update", "v1", fields)
    }

    #[test]
    fn what_client_side_apply_owned_becomes_ours_but_not_its_annotation() {
        let other = entry("other", "Update", "v1", &json!({"f:data": {"f:x": {}}}));
        let mut owned = last_applied();
        owned["f:data"] = json!({"f:old": {}});
        check(
            &[kubectl(&owned), other.clone()],
            &[other, entry("trueup", "Apply", "v1", &json!({"f:data": {"f:old": {}}}))],
        );
    }

    #[test]
    fn what_we_applied_already_stays_ours_beside_it() {
        let ours = entry("trueup", "Apply", "v1", &json!({"f:data": {"f:new": {}}}));
        let all = entry("trueup", "Apply", "v1", &json!({"f:data": {"f:new": {}, "f:old": {}}}));
        check(&[ours, kubectl(&json!({"f:data": {"f:old": {}}}))], &[all]);
    }

    #[test]
    fn a_client_side_applier_of_any_name_is_known_by_its_annotation() {
        let mut owned = last_applied();
        owned["f:data"] = json!({"f:old": {}});
        for name in ["terraform", "before-first-apply"] {
            check(
                &[entry(name, "Update", "v1", &owned)],
                &[entry("trueup", "Apply", "v1", &json!({"f:data": {"f:old": {}}}))],
            );
        }
    }

    #[test]
    fn fields_of_another_version_lose_their_owner() {
        let old = entry("kubectl-client-side-apply", "Update", "v1beta1", &json!({"f:spec": {"f:gone": {}}}));
        check(
            &[old, kubectl(&json!({"f:spec": {"f:here": {}}}))],
            &[entry("trueup", "Apply", "v1", &json!({"f:spec": {"f:here": {}}}))],
        );
    }

    #[test]
    fn other_writers_and_subresources_keep_what_they_own() {
        let scale = json!({"manager": "kubectl-client-side-apply", "operation": "Update", "subresource": "scale",
            "fieldsV1": {"f:spec": {"f:replicas": {}}}});
        let edit = entry("kubectl-edit", "Update", "v1", &json!({"f:data": {"f:x": {}}}));
        assert_eq!(patch(&object(&[scale, edit]), "trueup"), None);
        assert_eq!(patch(&json!({"metadata": {"resourceVersion": "5"}}), "trueup"), None);
    }
}

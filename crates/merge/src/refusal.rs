//! What the API server means by a refusal: which fields are immutable, which manager a conflict is with.
//!
//! Source: the `Status` objects of apimachinery's `validation/field` and of the SSA field manager.

use trueup_model::Value;

// The words in which validation says that a field may never change. There is no code for it: `FieldValueInvalid` and
// `FieldValueForbidden` are used for ordinary mistakes as well.
// Source: `pkg/apis/*/validation` of kubernetes 1.36 and the messages that CRDs usually give their transition rules.
const NEVER: [&str; 13] = [
    "immutable",
    "may not change",
    "may not be changed",
    "may not be updated",
    "must not be changed",
    "must not change",
    "cannot be changed",
    "can not be changed",
    "cannot be updated",
    "cannot be modified",
    "cannot be cleared once set",
    "cannot change roleRef",
    "not allowed to change",
];

/// The immutable fields that a `Status` complains of, sorted; empty where it is about something else.
///
/// Empty as well where it complains of anything else besides: such an object could not be created anew either, so to delete
/// it for the sake of the immutable field would lose it.
pub fn immutable_fields(status: &Value) -> Vec<String> {
    sorted(complaints(status).into_iter().map(|(field, _)| field.to_owned()).collect())
}

/// The same, where the server only says which part of the object may not change: then the fields in that part in which
/// what is wanted differs from what lives. `StatefulSet`, `Pod`, PVC: "updates to spec for fields other than … are forbidden".
pub fn immutable_fields_between(status: &Value, live: &Value, wanted: &Value) -> Vec<String> {
    let narrow = |(field, detail)| narrowed(field, detail, live, wanted);
    sorted(complaints(status).into_iter().flat_map(narrow).collect())
}

fn sorted(mut fields: Vec<String>) -> Vec<String> {
    fields.sort();
    fields.dedup();
    fields
}

// The field and the reason of each complaint, if all of them are about fields that never change.
fn complaints(status: &Value) -> Vec<(&str, &str)> {
    let causes = causes(status);
    let all: Vec<_> = if causes.is_empty() {
        // Without causes (aggregated servers, webhooks) only the whole message is left to read.
        vec![("spec", text(status, "message"))]
    } else {
        causes.iter().map(|cause| (text(cause, "field"), detail(text(cause, "message")))).collect()
    };
    if all.iter().all(|(_, detail)| says_never(detail)) { all } else { Vec::new() }
}

// What is wrong, without the value that it is wrong with: that may say anything. `Invalid value: "…": field is immutable`.
fn detail(message: &str) -> &str {
    let first = message.lines().next().unwrap_or_default();
    match first.strip_prefix("Invalid value: ").and_then(|rest| rest.rsplit_once(": ")) {
        Some((_, detail)) => detail,
        None => first,
    }
}

fn says_never(detail: &str) -> bool {
    let update = detail.contains("updates to ") && detail.contains("forbidden");
    update || NEVER.iter().any(|words| detail.contains(words))
}

fn narrowed(field: &str, detail: &str, live: &Value, wanted: &Value) -> Vec<String> {
    let pointer = format!("/{}", field.replace('.', "/"));
    let broad = detail.contains("other than") || detail.contains("except");
    let (Some(live), Some(wanted), true) = (
        live.pointer(&pointer).and_then(Value::as_object),
        wanted.pointer(&pointer).and_then(Value::as_object),
        broad,
    ) else {
        return vec![field.to_owned()];
    };
    // What may change is listed in the message: 'replicas', `spec.tolerations`.
    let may_change = |name: &str| {
        let quoted =
            [format!("'{name}'"), format!("`{field}.{name}`"), format!(" {name}."), format!(" {name} ")];
        quoted.iter().any(|quoted| detail.contains(quoted))
    };
    let differs = |(name, value): &(&String, &Value)| !may_change(name) && !agrees(live.get(*name), value);
    let found: Vec<String> =
        wanted.iter().filter(differs).map(|(name, _)| format!("{field}.{name}")).collect();
    if found.is_empty() { vec![field.to_owned()] } else { found }
}

// Whether the live value has all that is wanted; what defaults added to it does not count.
fn agrees(live: Option<&Value>, wanted: &Value) -> bool {
    match (live, wanted) {
        (Some(Value::Object(live)), Value::Object(wanted)) => {
            wanted.iter().all(|(name, value)| agrees(live.get(name), value))
        }
        (Some(Value::Array(live)), Value::Array(wanted)) => {
            live.len() == wanted.len()
                && live.iter().zip(wanted).all(|(live, wanted)| agrees(Some(live), wanted))
        }
        // The server leaves out what has no content.
        (None, Value::Null) => true,
        (None, Value::Bool(flag)) => !flag,
        (None, Value::String(text)) => text.is_empty(),
        (None, Value::Number(number)) => number.as_f64() == Some(0.0),
        (None, Value::Array(items)) => items.is_empty(),
        (None, Value::Object(fields)) => fields.values().all(|wanted| agrees(None, wanted)),
        (Some(live), wanted) => live == wanted,
    }
}

fn causes(status: &Value) -> &[Value] {
    status.pointer("/details/causes").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The managers and fields that a 409 of server-side apply names: (manager, field path as [`trueup_model::FieldPath`] shows it).
pub fn conflicts(status: &Value) -> Vec<(String, String)> {
    causes(status)
        .iter()
        .filter(|cause| text(cause, "reason") == "FieldManagerConflict")
        .map(|cause| {
            let manager = text(cause, "message").split('"').nth(1).unwrap_or("another manager").to_owned();
            (manager, readable(text(cause, "field")))
        })
        .collect()
}

// `.spec.containers[name="web"].image` as we write it: without the first dot, and keys without quotes.
fn readable(path: &str) -> String {
    path.trim_start_matches('.').replace("=\"", "=").replace("\"]", "]").replace("\",", ",")
}

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(cause: &Value, fields: &[&str]) {
        assert_eq!(immutable_fields(&json!({"code": 422, "details": {"causes": [cause]}})), fields);
    }

    #[test]
    fn an_immutable_field_is_told_from_a_mistake() {
        check(
            &json!({"reason": "FieldValueInvalid", "field": "spec.selector", "message": "Invalid value: {…}: field is immutable"}),
            &["spec.selector"],
        );
        check(
            &json!({"reason": "FieldValueForbidden", "field": "spec",
                "message": "Forbidden: updates to statefulset spec for fields other than 'replicas', 'template' are forbidden"}),
            &["spec"],
        );
        check(
            &json!({"reason": "FieldValueInvalid", "field": "spec.clusterIPs[0]",
                "message": "Invalid value: [\"10.0.0.1\"]: may not change once set"}),
            &["spec.clusterIPs[0]"],
        );
        check(
            &json!({"reason": "FieldValueInvalid", "field": "spec.replicas", "message": "must be non-negative"}),
            &[],
        );
    }

    #[test]
    fn every_way_of_the_server_to_say_never_is_understood() {
        for message in [
            "Invalid value: {\"matchLabels\":{\"app\":\"b\"}}: field is immutable",
            "Forbidden: field is immutable when `immutable` is set",
            "Invalid value: {\"apiGroup\":\"rbac\"}: cannot change roleRef",
            "Forbidden: updates to parameters are forbidden.",
            "Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n  core.PersistentVolumeClaimSpec{",
            "Forbidden: spec.persistentvolumesource is immutable after creation\n",
            "Forbidden: pod updates may not change fields other than `spec.containers[*].image`\n",
            "Forbidden: may not be changed in an update.",
            "Forbidden: field cannot be modified once set",
            "Invalid value: \"object\": Value is immutable",
        ] {
            check(&json!({"field": "x", "message": message}), &["x"]);
        }
    }

    #[test]
    fn a_mistake_that_quotes_such_words_is_still_a_mistake() {
        for message in [
            "Invalid value: \"immutable: yes\": a lowercase RFC 1123 label must consist of lower case characters",
            "Invalid value: \"field is immutable\": must be no more than 63 characters",
            "Forbidden: may not be specified when strategy `type` is 'Recreate'",
            "Forbidden: field can not be less than status.capacity",
            "Required value: name or generateName is required",
        ] {
            check(&json!({"field": "x", "message": message}), &[]);
        }
    }

    #[test]
    fn a_part_that_may_not_change_is_narrowed_to_the_fields_that_would() {
        let status = json!({"details": {"causes": [{"reason": "FieldValueForbidden", "field": "spec", "message":
            "Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template' are forbidden"}]}});
        let live = json!({"spec": {"replicas": 1, "serviceName": "a", "podManagementPolicy": "OrderedReady",
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"volumeMode": "Filesystem", "storageClassName": "slow"}}]}});
        let wanted = |storage: &str, service: &str| {
            json!({"spec": {"replicas": 3, "serviceName": service,
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"storageClassName": storage}}]}})
        };
        let check = |storage, service, fields: &[&str]| {
            assert_eq!(immutable_fields_between(&status, &live, &wanted(storage, service)), fields);
        };
        check("slow", "b", &["spec.serviceName"]);
        check("fast", "b", &["spec.serviceName", "spec.volumeClaimTemplates"]);
        check("slow", "a", &["spec"]);
    }

    #[test]
    fn what_the_server_leaves_out_does_not_differ() {
        let status = json!({"details": {"causes": [{"field": "spec", "message":
            "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.tolerations`\n@@ -5,7"}]}});
        let live = json!({"spec": {"containers": [{"name": "c", "image": "i"}]}});
        let wanted = json!({"spec": {"containers": [{"name": "c", "image": "i", "command": ["x"]}], "hostNetwork": false,
            "priority": 0, "securityContext": {}, "tolerations": [{"key": "a"}]}});
        assert_eq!(immutable_fields_between(&status, &live, &wanted), ["spec.containers"]);
    }

    #[test]
    fn an_object_that_is_wrong_in_other_ways_as_well_is_not_one_to_create_anew() {
        // What kube-apiserver 1.36 says of a Deployment whose new selector does not match its pods.
        let status = json!({"details": {"causes": [
            {"field": "spec.template.metadata.labels", "message": "Invalid value: {\"a\":\"b\"}: `selector` does not match template `labels`"},
            {"field": "spec.selector", "message": "Invalid value: {\"matchLabels\":{\"a\":\"c\"}}: field is immutable"}]}});
        assert_eq!(immutable_fields(&status), [""; 0]);
    }

    #[test]
    fn a_refusal_without_causes_is_read_by_its_message() {
        let status = |message: &str| json!({"message": message});
        assert_eq!(immutable_fields(&status("admission webhook denied: spec.size is immutable")), ["spec"]);
        assert_eq!(immutable_fields(&status("admission webhook denied: too big")), [""; 0]);
    }

    #[test]
    fn a_conflict_names_the_manager_and_the_field() {
        let status = json!({"details": {"causes": [{"reason": "FieldManagerConflict", "field": ".spec.replicas",
            "message": "conflict with \"kubectl-edit\" using apps/v1"}]}});
        assert_eq!(conflicts(&status), [("kubectl-edit".to_owned(), "spec.replicas".to_owned())]);
        let status = json!({"details": {"causes": [{"reason": "FieldManagerConflict", "field": ".spec.ports[port=80,protocol=\"TCP\"].name",
            "message": "conflict with \"kubectl\" with subresource \"scale\" using v1 at 2026-01-01T00:00:00Z"}]}});
        assert_eq!(
            conflicts(&status),
            [("kubectl".to_owned(), "spec.ports[port=80,protocol=TCP].name".to_owned())]
        );
    }
}

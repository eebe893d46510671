//! What the API server means by a refusal: which fields are immutable, which manager a conflict is with.
//!
//! Source: the `Status` objects of apimachinery's `validation/field` and of the SSA field manager.

use trueup_model::Value;

// The words in which validation says that a field may never change. There is no code for it: `FieldValueInvalid` and
// `FieldValueForbidden` are used for ordinary mistakes as well.
const NEVER: [&str; 7] = [
    "field is immutable",
    "may not be changed",
    "may not change once set",
    "cannot be changed",
    "are forbidden",
    "is immutable after creation",
    "updates to ",
];

/// The immutable fields that a 422 (or 403-like) `Status` complains of; empty where it is about something else.
pub fn immutable_fields(status: &Value) -> Vec<String> {
    let causes = status.pointer("/details/causes").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut fields: Vec<String> = causes
        .iter()
        .filter(|cause| says_never(text(cause, "message")))
        .map(|cause| text(cause, "field").to_owned())
        .collect();
    if fields.is_empty() && causes.is_empty() && says_never(text(status, "message")) {
        fields.push("spec".to_owned());
    }
    fields.sort();
    fields.dedup();
    fields
}

fn says_never(message: &str) -> bool {
    // "updates to statefulset spec for fields other than … are forbidden"; a plain "are forbidden" may be something else.
    let update = message.contains("updates to ") && message.contains("forbidden");
    update
        || NEVER
            .iter()
            .filter(|words| !["are forbidden", "updates to "].contains(words))
            .any(|w| message.contains(w))
}

/// The managers and fields that a 409 of server-side apply names: (manager, field path).
pub fn conflicts(status: &Value) -> Vec<(String, String)> {
    let causes = status.pointer("/details/causes").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    causes
        .iter()
        .filter(|cause| text(cause, "reason") == "FieldManagerConflict")
        .map(|cause| {
            let manager = text(cause, "message").split('"').nth(1).unwrap_or("another manager").to_owned();
            (manager, text(cause, "field").trim_start_matches('.').to_owned())
        })
        .collect()
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
    fn a_conflict_names_the_manager_and_the_field() {
        let status = json!({"details": {"causes": [{"reason": "FieldManagerConflict", "field": ".spec.replicas",
            "message": "conflict with \"kubectl-edit\" using apps/v1"}]}});
        assert_eq!(conflicts(&status), [("kubectl-edit".to_owned(), "spec.replicas".to_owned())]);
    }
}

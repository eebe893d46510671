//! What the CEL rules of a structural schema ask of an object.
//!
//! Source: k8s.io/apiextensions-apiserver `pkg/apiserver/schema/cel`.

use crate::answer::Cause;
use crate::schema_rules::{join, named};
use kube_cel::ErrorKind;
use serde_json::Value;
use std::sync::Arc;

/// The rules of a schema, ready to be asked; `None` where it has none.
pub(crate) fn compiled(schema: &Value) -> Option<Arc<kube_cel::CompiledSchema>> {
    schema
        .to_string()
        .contains("x-kubernetes-validations")
        .then(|| Arc::new(kube_cel::compile_schema(schema)))
}

/// Checks the CEL rules, unless the object is too wrong for that.
pub(crate) fn check(
    rules: &kube_cel::CompiledSchema,
    schema: &Value,
    before: Option<&Value>,
    object: &Value,
    causes: &mut Vec<Cause>,
) {
    let blocks = [
        "FieldValueNotSupported",
        "FieldValueRequired",
        "FieldValueTooLong",
        "FieldValueTooMany",
        "FieldValueTypeInvalid",
    ];
    if causes.iter().any(|cause| blocks.contains(&cause.reason)) {
        causes.push(Cause {
            reason: "FieldValueInvalid",
            message: "Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation".to_owned(),
            field: "<nil>".to_owned(),
        });
        return;
    }
    let Err(failures) = kube_cel::validate_compiled(rules, object, before) else { return };
    for failure in failures.into_vec() {
        let (named_path, of) = walk(&failure.field_path, schema);
        let field = named(&named_path);
        let own = of["x-kubernetes-validations"].as_array().into_iter().flatten();
        // One that names a field of an object is not that field's own.
        let own = own.into_iter().find(|rule| rule["rule"] == failure.rule.as_str());
        let kind = of["type"].as_str().unwrap_or_default();
        match failure.kind {
            ErrorKind::ValidationFailure => {}
            ErrorKind::EvaluationError => {
                let (_, why) = failure.message.split_once("error: ").unwrap_or(("", &failure.message));
                let said = own.and_then(|rule| rule["message"].as_str()).unwrap_or(&failure.rule).trim();
                let message = format!("Invalid value: {kind:?}: {} evaluating rule: {said}", lowered(why));
                causes.push(Cause { reason: "FieldValueInvalid", message, field });
                continue;
            }
            // Whether a rule holds that cannot be read here, only a cluster knows.
            _ => continue,
        }
        let value =
            own.filter(|_| !matches!(kind, "object" | "array")).map(|_| at(object, &failure.field_path));
        let shown =
            value.filter(|value| !value.is_null()).map(|value| format!(" {value}:")).unwrap_or_default();
        let (reason, message) = match failure.reason.as_deref() {
            Some("FieldValueForbidden") => ("FieldValueForbidden", format!("Forbidden: {}", failure.message)),
            Some("FieldValueRequired") => {
                ("FieldValueRequired", format!("Required value: {}", failure.message))
            }
            Some("FieldValueDuplicate") => {
                let shown = shown.trim_end_matches(':');
                let colon = if shown.is_empty() { "" } else { ":" };
                ("FieldValueDuplicate", format!("Duplicate value{colon}{shown}"))
            }
            Some(_) | None => {
                let colon = if shown.is_empty() { ":" } else { "" };
                let shown = if shown.is_empty() { String::new() } else { format!(":{shown}") };
                ("FieldValueInvalid", format!("Invalid value{shown}{colon} {}", failure.message))
            }
        };
        causes.push(Cause { reason, message, field });
    }
}

/// The server's words begin with a small letter.
fn lowered(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

/// What is at a path in an object.
fn at<'o>(object: &'o Value, path: &str) -> &'o Value {
    path.split('.').filter(|part| !part.is_empty()).fold(object, |value, part| {
        let (name, indexes) = part.split_at(part.find('[').unwrap_or(part.len()));
        let numbers = indexes.split(['[', ']']).filter_map(|number| number.parse::<usize>().ok());
        numbers.fold(&value[name], |value, index| &value[index])
    })
}

/// A path as rules are told of, in which what is under a name in a map is in brackets, and the schema that is there.
fn walk<'s>(path: &str, schema: &'s Value) -> (String, &'s Value) {
    let (mut schema, mut all) = (schema, String::new());
    for part in path.split('.') {
        let (name, indexes) = part.split_at(part.find('[').unwrap_or(part.len()));
        match schema["properties"].get(name) {
            Some(below) => {
                all = join(&all, name);
                schema = below;
            }
            None if schema["additionalProperties"].is_object() => {
                all = format!("{all}[{name}]");
                schema = &schema["additionalProperties"];
            }
            None => all = join(&all, name),
        }
        all.push_str(indexes);
        for _ in 0..indexes.matches('[').count() {
            schema = &schema["items"];
        }
    }
    (all, schema)
}

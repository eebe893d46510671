//! Differences that are known and stay, each with its reason; docs/sandbox.md lists them.
//!
//! A reason holds where the two answers are the same but for what it names: it must not hide anything else.

use crate::operation::Operation;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Why a difference stays, if it does. Each reason is one that docs/sandbox.md has.
pub fn reason(operation: &Operation, real: &Value, ours: &Value) -> Option<&'static str> {
    let told = message(real);
    if operation.path.contains("/customresourcedefinitions") && is_same_definition(real, ours) {
        return Some("a controller inside the server writes a definition's status when it comes to it");
    }
    if operation.path.contains("/customresourcedefinitions") && checks_more(real, ours) {
        return Some("definitions are not checked for all that the server checks");
    }
    if told.starts_with("failed to create typed patch object")
        && told.contains("field not declared in schema")
        && tells_part_of_the_same(&told, &message(ours))
    {
        return Some("the server stops at the first field that it does not know, in the order of a Go map");
    }
    if told.contains("\n@@ ") && is_same_but(real, ours, without_comparison) {
        return Some("the server adds how two specs differ, in its internal types");
    }
    if told.contains("RawExtension") || told.contains("in struct") {
        return Some(
            "a strategic merge patch of what has no schema fails in the words of the server's types",
        );
    }
    if is_same_but_a_second(real, ours) {
        return Some("a second ended between the two answers, and with it an age in a table");
    }
    let is_patch = |answer: &Value| answer["body"]["details"]["causes"][0]["field"] == "patch";
    let is_of_a_map = told.contains("Invalid value: \"map[")
        && [": cannot convert ", ": cannot restore "].iter().any(|words| told.contains(words));
    if is_of_a_map && is_patch(real) && is_patch(ours) && real["code"] == ours["code"] {
        return Some(
            "a strategic merge patch with a value of a wrong type fails in the words of Go's reflection",
        );
    }
    if is_patch(real) && is_patch(ours) && is_same_but(real, ours, without_value) {
        return Some("a patch that comes to nothing readable is quoted in the order of the server's types");
    }
    let is_read_otherwise =
        ["/persistentvolumeclaims/", "/jobs/"].iter().any(|part| operation.path.contains(part));
    if is_read_otherwise && is_same_but_its_version(real, ours) {
        return Some("the first write to a claim or a Job stores what was filled in when it was read");
    }
    if is_of_another_version(operation) && is_same_but_what_it_alone_has(real, ours) {
        return Some(
            "what only one version of a definition has comes and goes as the server reads and stores",
        );
    }
    if is_same_but(real, ours, with_null) {
        return Some("an empty list or map that is dropped is shown as if nobody had written it");
    }
    if let Some(why) = of_a_kind(operation, real, ours) {
        return Some(why);
    }
    if told.contains("List\": may have mixed case") && is_same_but(real, ours, without_value) {
        return Some(
            "the kind of a definition's lists, where it follows from a kind that is no name, is told with one List too many",
        );
    }
    if told.starts_with("failed to create manager for existing fields")
        && message(ours).starts_with("failed to create typed live object")
    {
        let why = |text: &str| text.split_once(": .").map(|(_, why)| why.to_owned());
        if why(&told) == why(&message(ours)) {
            return Some(
                "an apply to what was stored with an item without its key is refused at another moment",
            );
        }
    }
    let internal = ["{\"labels\":", "\"Spec\":{\"Volumes\"", "&core.", "map[string]"];
    if internal.iter().any(|word| told.contains(word)) && is_same_but(real, ours, without_value) {
        return Some("a cause prints the server's internal types");
    }
    None
}

/// Whether of the same things that are wrong, each in a line of its own, one message tells all and the other some.
fn tells_part_of_the_same(real: &str, ours: &str) -> bool {
    let parts = |text: &str| {
        let (about, wrong) = text.split_once("): ")?;
        let lines = wrong.trim_start_matches("errors:").lines().map(|line| line.trim().to_owned());
        Some((about.to_owned(), lines.filter(|line| !line.is_empty()).collect::<BTreeSet<_>>()))
    };
    let (Some((real, told)), Some((ours, known))) = (parts(real), parts(ours)) else { return false };
    real == ours && (told.is_subset(&known) || told.len() == 1 && known.len() == 1)
}

/// Reasons that one kind has.
fn of_a_kind(operation: &Operation, real: &Value, ours: &Value) -> Option<&'static str> {
    let is_of = |part: &str| operation.path.contains(part);
    let same_without = |fields: &[&str]| is_same_without(fields, real, ours);
    if is_of("webhookconfigurations") && same_without(&["generation", "resourceVersion"]) {
        return Some("an empty list of webhooks is stored, and counts as a change beside none");
    }
    if is_of("/jobs") && same_without(&["labels", "f:labels", "f:metadata", "resourceVersion"]) {
        return Some("a Job that its status creates has no labels");
    }
    if is_of("/services")
        && same_without(&[
            "clusterIPs",
            "ipFamilies",
            "ipFamilyPolicy",
            "internalTrafficPolicy",
            "f:internalTrafficPolicy",
            "resourceVersion",
        ])
    {
        return Some(
            "a Service that its status creates, or that was one for a name, lacks what is filled in as it is read",
        );
    }
    let is_about_addresses = |answer: &Value| message(answer).contains("spec.clusterIPs");
    if is_of("/services") && (is_about_addresses(real) || is_about_addresses(ours)) {
        return Some("a Service that its status creates is not looked at as others are");
    }
    let is_refused = |answer: &Value| answer["code"] == 422;
    if is_of("/events") && !(is_refused(real) && is_refused(ours)) {
        return Some("the server keeps the Events of both groups in one place");
    }
    if is_of("/apis/fuzz.example.com/")
        && operation.body == Some(json!([]))
        && is_same_but_its_version(real, ours)
    {
        return Some(
            "annotations of which an apply took the last are stored empty, and once more without them",
        );
    }
    None
}

/// Whether two answers are the same but for fields with these names, wherever they are.
fn is_same_without(fields: &[&str], real: &Value, ours: &Value) -> bool {
    let seen = |answer: &Value| {
        let mut answer = answer.clone();
        forget(&mut answer, fields);
        answer
    };
    seen(real) == seen(ours)
}

/// Takes fields away, wherever they are.
fn forget(value: &mut Value, names: &[&str]) {
    match value {
        Value::Object(fields) => {
            for name in names {
                fields.remove(*name);
            }
            fields.values_mut().for_each(|value| forget(value, names));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| forget(item, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The longest text of a refusal.
fn message(answer: &Value) -> String {
    let causes = answer["body"]["details"]["causes"].as_array().into_iter().flatten();
    let texts = causes.map(|cause| &cause["message"]).chain([&answer["body"]["message"]]);
    let texts = texts.filter_map(Value::as_str);
    texts.max_by_key(|text| text.len()).unwrap_or_default().to_owned()
}

/// A text in which an empty list or map is as good as none.
fn with_null(text: &str) -> String {
    let text = ["{}", "[]"]
        .iter()
        .fold(text.to_owned(), |text, empty| text.replace(&format!("value: {empty}: "), "value: null: "));
    text.replace(":[]", ":null").replace(":{}", ":null")
}

/// Whether an operation is about objects in a version that they are not stored in.
fn is_of_another_version(operation: &Operation) -> bool {
    operation.path.starts_with("/apis/fuzz.example.com/v1beta1/")
}

/// Whether two answers are the same but for what follows from the field that only the other version has.
fn is_same_but_what_it_alone_has(real: &Value, ours: &Value) -> bool {
    // Whether it is there when an object is applied depends on what was read before.
    const WORDS: [&str; 2] = [
        ".spec.later: field not declared in schema",
        "spec: Invalid value: \"null\": spec in body must be of type object: \"null\"",
    ];
    if WORDS.iter().any(|words| message(real).ends_with(words) || message(ours).ends_with(words)) {
        return true;
    }
    is_same_without(&["generation", "resourceVersion", "managedFields"], real, ours)
}

/// A text up to where it begins to compare two specs line by line.
fn without_comparison(text: &str) -> String {
    text.split('\n').next().unwrap_or_default().to_owned()
}

/// A text without the value that it is about.
fn without_value(text: &str) -> String {
    let Some((before, rest)) = text.split_once(" value: ") else { return text.to_owned() };
    let after = rest.rsplit_once(": ").map_or("", |(_, after)| after);
    format!("{before} value: …: {after}")
}

/// Whether two refusals are the same with their texts looked at in this way.
fn is_same_but(real: &Value, ours: &Value, seen: impl Fn(&str) -> String) -> bool {
    let looked_at = |answer: &Value| {
        let mut answer = answer.clone();
        let look = |text: &mut Value| {
            let seen = text.as_str().map(&seen);
            seen.map(|seen| *text = seen.into())
        };
        look(&mut answer["body"]["message"]);
        if let Some(causes) = answer["body"]["details"]["causes"].as_array_mut() {
            for cause in causes.iter_mut() {
                look(&mut cause["message"]);
            }
            causes.sort_by_key(ToString::to_string);
        }
        answer
    };
    real["body"]["kind"] == "Status" && looked_at(real) == looked_at(ours)
}

/// Whether two tables are the same but for ages that are a second apart.
fn is_same_but_a_second(real: &Value, ours: &Value) -> bool {
    let rows = |answer: &Value| answer["body"]["rows"].as_array().cloned().unwrap_or_default();
    let seconds = |cell: &Value| cell.as_str()?.strip_suffix('s')?.parse::<i64>().ok();
    let mut seen = ours.clone();
    for (index, row) in rows(real).iter().enumerate() {
        for (column, cell) in row["cells"].as_array().into_iter().flatten().enumerate() {
            let Some(mine) = seen.pointer_mut(&format!("/body/rows/{index}/cells/{column}")) else {
                return false;
            };
            if let (Some(one), Some(other)) = (seconds(cell), seconds(mine))
                && (one - other).abs() <= 1
            {
                *mine = cell.clone();
            }
        }
    }
    !rows(real).is_empty() && *real == seen
}

/// Whether two objects are the same but for the number of their last change.
fn is_same_but_its_version(real: &Value, ours: &Value) -> bool {
    let seen = |answer: &Value| {
        let mut answer = answer.clone();
        answer["body"]["metadata"]["resourceVersion"] = Value::Null;
        for row in answer["body"]["rows"].as_array_mut().into_iter().flatten() {
            row["object"]["metadata"]["resourceVersion"] = Value::Null;
        }
        answer
    };
    real["body"]["metadata"].is_object() && seen(real) == seen(ours)
}

/// Whether two definitions are the same but for what the server's own controllers write.
fn is_same_definition(real: &Value, ours: &Value) -> bool {
    let seen = |answer: &Value| {
        let mut answer = answer.clone();
        let body = &mut answer["body"];
        body["status"] = Value::Null;
        let fields = ["managedFields", "resourceVersion", "finalizers"];
        for field in fields {
            body["metadata"][field] = Value::Null;
        }
        for row in body["rows"].as_array_mut().into_iter().flatten() {
            for field in fields {
                row["object"]["metadata"][field] = Value::Null;
            }
        }
        answer
    };
    let is_one = |answer: &Value| {
        answer["body"]["kind"] == "CustomResourceDefinition" || answer["body"]["rows"].is_array()
    };
    is_one(real) && is_one(ours) && seen(real) == seen(ours)
}

/// Whether all that is wrong with an object here is wrong with it there as well, and something more.
fn checks_more(real: &Value, ours: &Value) -> bool {
    let causes = |answer: &Value| -> Vec<Value> {
        answer["body"]["details"]["causes"].as_array().cloned().unwrap_or_default()
    };
    let (there, here) = (causes(real), causes(ours));
    real["code"] == 422 && here.len() < there.len() && here.iter().all(|cause| there.contains(cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(message: &str) -> Value {
        json!({"code": 422, "body": {"kind": "Status", "message": message}})
    }

    #[test]
    fn a_reason_holds_only_where_nothing_else_differs() {
        let (value, other) = ("x: Invalid value: {\"labels\":{}}: no", "x: Invalid value: {}: no");
        assert!(is_same_but(&refusal(value), &refusal(other), without_value));
        assert!(!is_same_but(&refusal(value), &refusal("x: Invalid value: {}: yes"), without_value));
        assert!(!is_same_but(&refusal(value), &refusal("y: Invalid value: {}: no"), without_value));
        let table = |age: &str| json!({"code": 200, "body": {"rows": [{"cells": ["a", age]}]}});
        assert!(is_same_but_a_second(&table("1s"), &table("0s")));
        assert!(!is_same_but_a_second(&table("3s"), &table("0s")));
        assert!(!is_same_but_a_second(&json!({"code": 200}), &json!({"code": 200})));
        let operation = |path: &str| Operation {
            method: "GET",
            path: path.to_owned(),
            query: Vec::new(),
            accept: crate::operation::JSON,
            media_type: crate::operation::JSON,
            body: None,
        };
        let counted = |generation: u64, name: &str| json!({"code": 200, "body": {"metadata": {"generation": generation, "name": name}}});
        let webhooks = operation("/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/a");
        assert!(of_a_kind(&webhooks, &counted(1, "a"), &counted(2, "a")).is_some());
        assert!(of_a_kind(&webhooks, &counted(1, "a"), &counted(2, "b")).is_none());
        let others = operation("/apis/apps/v1/namespaces/@ns@/deployments/a");
        assert!(of_a_kind(&others, &counted(1, "a"), &counted(2, "a")).is_none());
        let typed = |wrong: &str| format!("failed to create typed patch object (/a; v1, Kind=A): {wrong}");
        let both = typed("errors:\n  .a: field not declared in schema\n  .b: expected string");
        assert!(tells_part_of_the_same(&typed(".a: field not declared in schema"), &both));
        assert!(!tells_part_of_the_same(&typed(".c: field not declared in schema"), &both));
        assert_eq!(without_comparison("spec: Forbidden: no\n@@ a\n-b"), "spec: Forbidden: no");
    }
}

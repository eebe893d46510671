//! Differences that are known and stay, each with its reason; docs/sandbox.md lists them.

use crate::operation::Operation;
use serde_json::Value;

/// Why a difference stays, if it does. Each reason is one that docs/sandbox.md has.
pub fn reason(operation: &Operation, real: &Value, ours: &Value) -> Option<&'static str> {
    let (told, said) = (message(real), message(ours));
    if operation.path.contains("/customresourcedefinitions") {
        return definition(real, ours);
    }
    if told.starts_with("failed to create typed patch object")
        && told.contains("field not declared in schema")
    {
        let about = |text: &str| text.split_once("): ").map(|(about, _)| about.to_owned());
        if about(told) == about(said) {
            return Some(
                "the server stops at the first field that it does not know, in the order of a Go map",
            );
        }
    }
    if told.contains("\n@@ ") && real["code"] == ours["code"] {
        return Some("the server adds how two specs differ, in its internal types");
    }
    if told.contains("RawExtension") || told.contains("in struct") {
        return Some(
            "a strategic merge patch of what has no schema fails in the words of the server's types",
        );
    }
    let is_patch = |answer: &Value| answer["body"]["details"]["causes"][0]["field"] == "patch";
    if is_patch(real) && is_patch(ours) {
        return Some("a patch that comes to nothing readable is quoted in the order of the server's types");
    }
    let blurred = |answer: &Value| {
        let text = answer["body"].to_string();
        ["{}", "[]"]
            .iter()
            .fold(text, |text, empty| text.replace(&format!("value: {empty}: "), "value: null: "))
    };
    if blurred(real) == blurred(ours) && real["code"] == ours["code"] {
        return Some("an empty list or map that is dropped is shown as if nobody had written it");
    }
    let internal = ["{\"labels\":", "\"Spec\":{\"Volumes\"", "&core.", "map[string]"];
    if internal.iter().any(|word| told.contains(word)) && real["code"] == ours["code"] {
        return Some("a cause prints the server's internal types");
    }
    None
}

fn message(answer: &Value) -> &str {
    let body = &answer["body"];
    let cause =
        body["details"]["causes"].as_array().into_iter().flatten().filter_map(|one| one["message"].as_str());
    let long = cause.max_by_key(|message| message.len()).unwrap_or_default();
    let message = body["message"].as_str().unwrap_or_default();
    if message.ends_with("<causes>") { long } else { message }
}

/// A controller writes a definition's status, when it comes to it.
fn definition(real: &Value, ours: &Value) -> Option<&'static str> {
    if real["code"] == ours["code"]
        && real["body"]["kind"] == ours["body"]["kind"]
        && real["body"]["kind"] != "Status"
    {
        return Some("a controller inside the server writes a definition's status when it comes to it");
    }
    (real["code"] == 422).then_some("definitions are not checked for all that the server checks")
}

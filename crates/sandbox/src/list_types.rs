//! Lists of custom resources in which nothing comes twice.
//!
//! Source: k8s.io/apiextensions-apiserver `pkg/apiserver/schema/listtype`.

use crate::answer::Cause;
use serde_json::{Map, Value};

/// What comes twice in the sets and maps of an object.
pub(crate) fn check(value: &Value, schema: &Value, at: &str, causes: &mut Vec<Cause>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let additional = &schema["additionalProperties"];
                if additional.is_object() {
                    check(value, additional, &format!("{at}[{name}]"), causes);
                }
                if let Some(below) = schema["properties"].get(name) {
                    let dot = if at.is_empty() { "" } else { "." };
                    check(value, below, &format!("{at}{dot}{name}"), causes);
                }
            }
        }
        Value::Array(items) => {
            of_list(items, schema, at, causes);
            for (index, item) in items.iter().enumerate() {
                check(item, &schema["items"], &format!("{at}[{index}]"), causes);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn of_list(items: &[Value], schema: &Value, at: &str, causes: &mut Vec<Cause>) {
    let kept: Vec<Value> = match schema["x-kubernetes-list-type"].as_str() {
        Some("set") => items.to_vec(),
        Some("map") => {
            let wrong = items.iter().position(|item| !item.is_null() && !item.is_object());
            if let Some(index) = wrong {
                let why = "must be an object for an array of list-type map";
                causes.push(crate::rules::invalid(&format!("{at}[{index}]"), &items[index], why));
                return;
            }
            let names =
                schema["x-kubernetes-list-map-keys"].as_array().map(Vec::as_slice).unwrap_or_default();
            items.iter().map(|item| Value::Object(keys(item, names))).collect()
        }
        Some(_) | None => return,
    };
    for (index, one) in kept.iter().enumerate() {
        // What is there three times is told once.
        if kept[..index].iter().filter(|other| *other == one).count() == 1 {
            let message = format!("Duplicate value: {one}");
            causes.push(Cause { reason: "FieldValueDuplicate", message, field: format!("{at}[{index}]") });
        }
    }
}

fn keys(item: &Value, names: &[Value]) -> Map<String, Value> {
    let keys = names.iter().filter_map(Value::as_str);
    keys.filter_map(|name| Some((name.to_owned(), item.get(name)?.clone()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_comes_twice_in_a_set_or_under_the_keys_of_a_map_is_told_once() {
        let schema = json!({"properties": {
            "set": {"x-kubernetes-list-type": "set"},
            "map": {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name", "port"]},
            "list": {"x-kubernetes-list-type": "atomic"}}});
        let value = json!({"set": ["a", "b", "a", "a"], "list": [1, 1],
            "map": [{"name": "a"}, {"name": "a", "port": 1, "x": 1}, {"name": "a", "port": 1}]});
        let mut causes = Vec::new();
        check(&value, &schema, "", &mut causes);
        let told: Vec<String> = causes.iter().map(|one| format!("{}: {}", one.field, one.message)).collect();
        assert_eq!(
            told,
            ["map[2]: Duplicate value: {\"name\":\"a\",\"port\":1}", "set[2]: Duplicate value: \"a\""]
        );
    }
}

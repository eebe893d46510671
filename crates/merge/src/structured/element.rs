//! Path elements as fieldsV1 writes them, and the values in them.
//!
//! Two elements are the same when their texts are: a float without a fraction is written as an integer, and strings are
//! escaped as Go's encoder does it, `<`, `>` and `&` included.

use super::schema::{List, Relationship, Schema};
use std::fmt::Write as _;
use trueup_model::Value;

/// Whether two values are the same, where an integer may equal a float.
pub fn is_equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => a == b,
            (_, _) => a.as_f64() == b.as_f64(),
        },
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_equal(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| is_equal(a, b)))
        }
        (a, b) => a == b,
    }
}

/// The items of a list; none of anything else.
pub(super) fn items(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The element of a field.
pub fn field(name: &str) -> String {
    format!("f:{name}")
}

/// The element of an item of an associative list.
pub fn item(schema: &Schema, list: &List, value: &Value) -> Result<String, String> {
    if list.relationship != Relationship::Associative {
        return Err("invalid indexing of non-associative list".to_owned());
    }
    if list.keys.is_empty() { set_item(value) } else { keyed_item(schema, list, value) }
}

fn set_item(value: &Value) -> Result<String, String> {
    match value {
        Value::Object(_) => Err("associative list without keys has an element that's a map type".to_owned()),
        Value::Array(_) => Err("not supported: associative list with lists as elements".to_owned()),
        Value::Null => Err("associative list without keys has an element that's an explicit null".to_owned()),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            let mut text = "v:".to_owned();
            write_json(value, &mut text);
            Ok(text)
        }
    }
}

fn keyed_item(schema: &Schema, list: &List, value: &Value) -> Result<String, String> {
    let object = match value {
        Value::Object(object) => object,
        Value::Null => return Err("associative list with keys may not have a null element".to_owned()),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            return Err("associative list with keys may not have non-map elements".to_owned());
        }
    };
    let mut keys: Vec<(&str, Value)> = Vec::with_capacity(list.keys.len());
    for key in &list.keys {
        match object.get(key) {
            Some(found) => keys.push((key, found.clone())),
            None => keys.extend(default_of(schema, list, key)?.map(|default| (key.as_str(), default))),
        }
    }
    if keys.is_empty() {
        let names: Vec<String> = list.keys.iter().map(|key| format!("{key:?}")).collect();
        return Err(format!(
            "associative list with keys has an element that omits all key fields [{}] (and doesn't have default values for any key fields)",
            names.join(" ")
        ));
    }
    keys.sort_by_key(|(key, _)| *key);
    let mut text = "k:{".to_owned();
    for (index, (key, value)) in keys.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        write_string(key, &mut text);
        text.push(':');
        write_json(value, &mut text);
    }
    text.push('}');
    Ok(text)
}

fn default_of(schema: &Schema, list: &List, key: &str) -> Result<Option<Value>, String> {
    let failed = |why: &str| format!("couldn't find default value for {key}: {why}");
    let atom = schema.resolve(&list.element).ok_or_else(|| failed("invalid elementType for list"))?;
    let map = atom.map.ok_or_else(|| failed("associative list may not have non-map types"))?;
    Ok(map.fields.get(key).and_then(|field| field.default.clone()))
}

fn write_json(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => write_number(number, out),
        Value::String(text) => write_string(text, out),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_json(item, out);
            }
            out.push(']');
        }
        Value::Object(object) => {
            out.push('{');
            for (index, (key, value)) in object.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_string(key, out);
                out.push(':');
                write_json(value, out);
            }
            out.push('}');
        }
    }
}

fn write_number(number: &serde_json::Number, out: &mut String) {
    let written = match (number.as_i64(), number.as_f64()) {
        (None, Some(float)) if float != 0.0 && !(1e-6..1e21).contains(&float.abs()) => {
            // Rust writes `1e21` where Go writes `1e+21`.
            let text = format!("{float:e}");
            let text = match text.split_once('e') {
                Some((digits, exponent)) if !exponent.starts_with('-') => format!("{digits}e+{exponent}"),
                Some(_) | None => text,
            };
            out.write_str(&text)
        }
        (None, Some(float)) => write!(out, "{float}"),
        (_, _) => write!(out, "{number}"),
    };
    debug_assert!(written.is_ok(), "writing to a string does not fail");
}

fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                let written = write!(out, "\\u{:04x}", u32::from(character));
                debug_assert!(written.is_ok(), "writing to a string does not fail");
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_written_as_go_writes_them() {
        for (value, text) in [
            (json!(1.0), "1"),
            (json!(-0.5), "-0.5"),
            (json!(1e21), "1e+21"),
            (json!(1e-7), "1e-7"),
            (json!("a<b>&\u{2028}\u{1}\t"), "\"a\\u003cb\\u003e\\u0026\\u2028\\u0001\\t\""),
            (json!({"b": [null, true], "a": 2}), "{\"a\":2,\"b\":[null,true]}"),
        ] {
            let mut written = String::new();
            write_json(&value, &mut written);
            assert_eq!(written, text);
        }
    }

    #[test]
    fn an_integer_may_equal_a_float() {
        assert!(is_equal(&json!({"a": [1]}), &json!({"a": [1.0]})));
        assert!(!is_equal(&json!(1), &json!("1")));
    }
}

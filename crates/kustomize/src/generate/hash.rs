//! The suffix that names a generated object by its content.
//!
//! Source: kustomize 5.8, `api/hasher`.

use crate::resource::Resource;
use crate::text;
use serde_json::Map;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use trueup_model::Value;

const LENGTH: usize = 10;

/// The suffix of a ConfigMap or Secret; `None` for other kinds, which kustomize does not hash by content.
pub(crate) fn suffix(resource: &Resource) -> Option<String> {
    let encoded = match resource.kind() {
        "ConfigMap" => encoded(resource, "ConfigMap", None, "binaryData"),
        "Secret" => encoded(resource, "Secret", Some("type"), "stringData"),
        _ => return None,
    };
    Some(name_of(&encoded))
}

/// The content as JSON in the way that Go writes it, keys sorted.
fn encoded(resource: &Resource, kind: &str, kind_field: Option<&str>, optional: &str) -> String {
    let value = &resource.value;
    let mut object = Map::new();
    object.insert("kind".to_owned(), kind.into());
    // kustomize looks for the name where it is not, so that it never counts.
    object.insert("name".to_owned(), "".into());
    object.insert("data".to_owned(), scalar_or_map(value.get("data")));
    if let Some(field) = kind_field {
        object.insert(field.to_owned(), scalar_or_map(value.get(field)));
    }
    if let Some(more @ Value::Object(_)) = value.get(optional) {
        object.insert(optional.to_owned(), more.clone());
    }
    escape_as_go(&json(&Value::Object(object)))
}

/// JSON with numbers as Go writes them.
fn json(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let fields =
                fields.iter().map(|(key, value)| format!("{}:{}", Value::from(key.as_str()), json(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(json).collect::<Vec<_>>().join(",")),
        Value::Number(number) if number.is_f64() => number.as_f64().map_or_else(String::new, float),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

/// As encoding/json has it: with an exponent where there are more than 21 digits before the point or 6 zeros behind it.
fn float(number: f64) -> String {
    let size = number.abs();
    if size == 0.0 || (1e-6..1e21).contains(&size) {
        return number.to_string();
    }
    let text = format!("{number:e}");
    if text.contains("e-") { text } else { text.replace('e', "e+") }
}

fn scalar_or_map(value: Option<&Value>) -> Value {
    match value {
        Some(map @ Value::Object(_)) => map.clone(),
        // A list is no data; what is hashed then is null.
        Some(Value::Array(_)) => Value::Null,
        Some(scalar) => Value::String(text::of(scalar).unwrap_or_default().into_owned()),
        None => Value::String(String::new()),
    }
}

/// Go's JSON escapes what HTML gives a meaning, and two line ends of Unicode.
pub(crate) fn escape_as_go(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' => escaped.push_str("\\u003c"),
            '>' => escaped.push_str("\\u003e"),
            '&' => escaped.push_str("\\u0026"),
            '\u{2028}' => escaped.push_str("\\u2028"),
            '\u{2029}' => escaped.push_str("\\u2029"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// The first letters of the SHA-256, without vowels and digits that look like them.
fn name_of(text: &str) -> String {
    let mut hex = String::with_capacity(LENGTH);
    for byte in Sha256::digest(text.as_bytes()).iter().take(LENGTH.div_ceil(2)) {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex.chars()
        .map(|c| match c {
            '0' => 'g',
            '1' => 'h',
            '3' => 'k',
            'a' => 'm',
            'e' => 't',
            c => c,
        })
        .collect()
}

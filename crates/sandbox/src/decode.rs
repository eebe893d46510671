//! Whether an object can be read into its kind's type, and what the server says where it cannot.
//!
//! Enters: an object as it was sent. Leaves: the words of Go's decoder. Absent: what is wrong in the middle of a time.
//!
//! Source: Go's `encoding/json`, `encoding/base64` and `time`; k8s.io/apimachinery `pkg/api/resource`, `pkg/apis/meta/v1/time.go`.

use crate::fields::QUANTITY;
use crate::kinds::Kind;
use crate::shapes::{Part, Place, Shape, each, shape};
use serde_json::Value;

const TIME: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Time";
const MICRO_TIME: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime";

/// Why an object cannot be read into its kind's type, if it cannot.
pub(crate) fn unreadable(kind: &Kind, object: &Value) -> Option<String> {
    let why = why(kind, object)?;
    Some(format!("{} in version {:?} cannot be handled as a {}: {why}", kind.kind, kind.version, kind.kind))
}

/// The same in the decoder's words alone.
pub(crate) fn why(kind: &Kind, object: &Value) -> Option<String> {
    let type_name = kind.type_ref.named.as_deref().filter(|_| kind.custom.is_none())?;
    wrong(object, shape(type_name)?, Place::Root)
}

/// The same for an object that was applied, which is read in another way: texts in base64 are told of as what they are in.
pub(crate) fn why_applied(kind: &Kind, object: &Value) -> Option<String> {
    let why = why(kind, object)?;
    Some(if why.starts_with("illegal base64") { format!("error decoding from json: {why}") } else { why })
}

fn wrong(value: &Value, shape: &'static Shape, at: Place<'_>) -> Option<String> {
    match shape.name {
        QUANTITY => return wrong_quantity(value),
        TIME => return wrong_time(value, "2006-01-02T15:04:05Z07:00"),
        MICRO_TIME => return wrong_time(value, "2006-01-02T15:04:05.000000Z07:00"),
        _ => {}
    }
    shape.fields.as_ref()?;
    each(shape, value.as_object()?).find_map(|(field, value)| {
        let go = field.go.map_or("", |known| known.go);
        below(value, &field.part, go, shape, Place::Field(&at, field.name))
    })
}

/// The same of what stands at a field whose type in Go is `go`, where that is known.
fn below(value: &Value, part: &Part, go: &str, owner: &'static Shape, at: Place<'_>) -> Option<String> {
    if value.is_null() {
        return None;
    }
    let go = go.trim_start_matches('*');
    let cannot = |otherwise: &str| {
        let found = match value {
            Value::String(_) => "string",
            Value::Number(_) => "number",
            Value::Bool(_) => "bool",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
            Value::Null => return None,
        };
        let owner = owner.name.rsplit('.').next().unwrap_or_default();
        // What is called a byte in the sources is a number to Go.
        let go = if go.is_empty() { otherwise.to_owned() } else { go.replace("byte", "uint8") };
        Some(format!("json: cannot unmarshal {found} into Go struct field {owner}.{at} of type {go}"))
    };
    if let Some(name) = part.type_name {
        let shape = part.shape()?;
        return match value {
            Value::Object(_) => wrong(value, shape, at),
            _ if shape.fields.is_some() => cannot(&go_type(name)),
            _ => wrong(value, shape, at),
        };
    }
    let schema = part.schema;
    match (schema["type"].as_str(), value) {
        (Some("string"), Value::String(text)) if schema["format"] == "byte" => {
            let place = wrong_base64(text)?;
            Some(format!("illegal base64 data at input byte {place}"))
        }
        (Some("string"), value) if !value.is_string() && schema["format"] == "byte" => cannot("[]uint8"),
        (Some("string"), value) if !value.is_string() && schema["format"].is_null() => cannot("string"),
        (Some("boolean"), value) if !value.is_boolean() => cannot("bool"),
        (Some("integer"), value) if !value.is_number() => {
            cannot(schema["format"].as_str().unwrap_or("int64"))
        }
        (Some("array"), Value::Array(items)) => {
            let part = part.items.as_deref()?;
            let go = go.strip_prefix("[]").unwrap_or_default();
            items.iter().find_map(|item| below(item, part, go, owner, at))
        }
        (Some("object"), Value::Object(entries)) => {
            let part = part.entries.as_deref()?;
            let go = go.strip_prefix("map[").and_then(|rest| rest.split_once(']')).map_or("", |(_, go)| go);
            entries.values().find_map(|entry| below(entry, part, go, owner, at))
        }
        (Some("array" | "object"), _) if !go.is_empty() => cannot(go),
        (_, _) => None,
    }
}

/// `io.k8s.api.core.v1.PodSpec` as Go has it: `v1.PodSpec`.
fn go_type(name: &str) -> String {
    let mut parts = name.rsplitn(3, '.');
    let (last, version) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    format!("{version}.{last}")
}

fn wrong_quantity(value: &Value) -> Option<String> {
    let is_readable = match value {
        Value::String(text) => trueup_merge::quantity::canonical(text).is_some(),
        Value::Null | Value::Number(_) => true,
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => false,
    };
    (!is_readable).then(|| {
        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
            .to_owned()
    })
}

/// A time that does not even begin with a year, or after which something follows; what is wrong in between is told in as many
/// ways as there are.
fn wrong_time(value: &Value, layout: &str) -> Option<String> {
    const TIME: &str = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)";
    let text = value.as_str()?;
    // Where a time ends: at its zone, for which the last letters are not looked at again.
    let zone = text.find('Z').map(|at| at + 1).filter(|end| *end < text.len());
    if let Some(end) = zone.filter(|end| crate::rules::matches(TIME, &text[..*end])) {
        return Some(format!("parsing time {text:?}: extra text: {:?}", &text[end..]));
    }
    let begins = text.len() >= 4 && text.bytes().take(4).all(|one| one.is_ascii_digit());
    (!begins).then(|| format!("parsing time {text:?} as {layout:?}: cannot parse {text:?} as \"2006\""))
}

/// Where Go's decoder stops, as it counts.
fn wrong_base64(text: &str) -> Option<usize> {
    let bytes: Vec<u8> = text.bytes().collect();
    let is_letter = |one: u8| one.is_ascii_alphanumeric() || one == b'+' || one == b'/';
    let mut held = 0;
    for (place, one) in bytes.iter().enumerate() {
        match one {
            b'\n' | b'\r' => {}
            one if is_letter(*one) => held = (held + 1) % 4,
            b'=' => {
                let rest: Vec<u8> =
                    bytes[place..].iter().copied().filter(|one| !matches!(one, b'\n' | b'\r')).collect();
                return match (held, rest.as_slice()) {
                    (2, b"==") | (3, b"=") => None,
                    (2, [b'=']) => Some(bytes.len()),
                    (2, [b'=', b'=', ..]) => Some(place + 2),
                    (2 | 3, _) => Some(place + 1),
                    (_, _) => Some(place),
                };
            }
            _ => return Some(place),
        }
    }
    (held != 0).then(|| bytes.len() - held)
}

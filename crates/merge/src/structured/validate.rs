//! Whether a value conforms to its type.

use super::element;
use super::schema::{Atom, List, Map, Relationship, Scalar, Schema, TypeRef};
use std::collections::BTreeSet;
use std::fmt;
use trueup_model::Value;

/// One thing that does not conform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidationError {
    /// Where, such as `.spec.ports[port=80].name`; empty for the value itself.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

/// All that does not conform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidationErrors(pub Vec<ValidationError>);

impl fmt::Display for ValidationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.path, self.message)
        }
    }
}

impl fmt::Display for ValidationErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [one] => one.fmt(f),
            all => {
                f.write_str("errors:")?;
                all.iter().try_for_each(|one| write!(f, "\n  {one}"))
            }
        }
    }
}

impl std::error::Error for ValidationErrors {}

/// Whether two items of an associative list may have the same keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duplicates {
    /// They may: in what is stored, which an older schema let in.
    Allowed,
    /// They may not: in what is applied.
    Refused,
}

pub(super) fn one(message: impl Into<String>) -> Vec<ValidationError> {
    vec![ValidationError { path: String::new(), message: message.into() }]
}

/// What is wrong below a place, of which the name is only made where something is.
pub(super) fn below(
    prefix: impl FnOnce() -> String,
    mut errors: Vec<ValidationError>,
) -> Vec<ValidationError> {
    if !errors.is_empty() {
        let prefix = prefix();
        for error in &mut errors {
            error.path.insert_str(0, &prefix);
        }
    }
    errors
}

/// How an element is written in a path that people read.
pub(super) fn readable(element: &str) -> String {
    match element.split_once(':') {
        Some(("f", name)) => format!(".{name}"),
        Some(("v", value)) => format!("[={value}]"),
        Some(("k", keys)) => {
            let keys: serde_json::Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
            let keys: Vec<String> = keys.iter().map(|(key, value)| format!("{key}={value}")).collect();
            format!("[{}]", keys.join(","))
        }
        Some((_, other)) => format!("[{other}]"),
        None => element.to_owned(),
    }
}

/// A path of elements as messages write it: `.spec.ports[port=80].name`.
pub(crate) fn readable_path(path: &[String]) -> String {
    path.iter().map(|element| readable(element)).collect()
}

pub(super) fn unresolved(reference: &TypeRef) -> Vec<ValidationError> {
    let name = reference.named.as_deref().unwrap_or("inlined type");
    one(format!("schema error: no type found matching: {name}"))
}

pub(super) fn no_kind(reference: &TypeRef) -> Vec<ValidationError> {
    let name =
        reference.named.as_ref().map_or_else(|| "inlined".to_owned(), |name| format!("named type: {name}"));
    one(format!("schema error: invalid atom: {name}"))
}

pub(super) fn scalar(kind: Scalar, value: Option<&Value>, prefix: &str) -> Vec<ValidationError> {
    let (fits, expected) = match (kind, value) {
        (_, None | Some(Value::Null)) => return Vec::new(),
        (Scalar::Numeric, Some(value)) => (value.is_number(), "numeric (int or float)"),
        (Scalar::String, Some(value)) => (value.is_string(), "string"),
        (Scalar::Boolean, Some(value)) => (value.is_boolean(), "boolean"),
        (Scalar::Untyped, Some(value)) => (!value.is_array() && !value.is_object(), "any scalar"),
    };
    if fits {
        return Vec::new();
    }
    let got = match (kind, value) {
        // The upstream names the type here, and the value everywhere else.
        (Scalar::Numeric, Some(value)) => type_name(value).to_owned(),
        // It prints what holds the value, for texts in another of Go's ways than for the others.
        (Scalar::Boolean | Scalar::Untyped, Some(value)) => format!("&{{{}}}", printed(value)),
        (_, Some(value)) => format!("&value.valueUnstructured{{Value:{}}}", as_source(value)),
        (_, None) => String::new(),
    };
    one(format!("{prefix}expected {expected}, got {got}"))
}

/// A value as Go's `%v` prints it.
fn printed(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(printed).collect::<Vec<_>>().join(" "))
        }
        Value::Object(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|(name, value)| format!("{name}:{}", printed(value))).collect();
            format!("map[{}]", fields.join(" "))
        }
    }
}

/// A value as Go's `%#v` prints it.
fn as_source(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
        Value::Array(items) => {
            format!("[]interface {{}}{{{}}}", items.iter().map(as_source).collect::<Vec<_>>().join(", "))
        }
        Value::Object(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|(name, value)| format!("{name:?}:{}", as_source(value))).collect();
            format!("map[string]interface {{}}{{{}}}", fields.join(", "))
        }
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

pub(super) fn validate(
    value: &Value,
    schema: &Schema,
    reference: &TypeRef,
    duplicates: Duplicates,
) -> Result<(), ValidationErrors> {
    let errors = Walk { schema, duplicates }.value(value, reference);
    if errors.is_empty() { Ok(()) } else { Err(ValidationErrors(errors)) }
}

struct Walk<'s> {
    schema: &'s Schema,
    duplicates: Duplicates,
}

impl Walk<'_> {
    fn value(&self, value: &Value, reference: &TypeRef) -> Vec<ValidationError> {
        let Some(atom) = self.schema.resolve(reference) else { return unresolved(reference) };
        match atom.deduced(Some(value)) {
            Atom { map: Some(map), .. } => self.map(&map, value),
            Atom { scalar: Some(kind), .. } => scalar(kind, Some(value), ""),
            Atom { list: Some(list), .. } => self.list(&list, value),
            Atom { map: None, scalar: None, list: None } => no_kind(reference),
        }
    }

    fn list(&self, list: &List, value: &Value) -> Vec<ValidationError> {
        let items = match value {
            Value::Null => return Vec::new(),
            Value::Array(items) => items,
            other => return one(format!("expected list, got &{{{}}}", printed(other))),
        };
        let mut errors = Vec::new();
        if list.relationship != Relationship::Associative {
            for (index, value) in items.iter().enumerate() {
                errors.extend(below(|| format!("[{index}]"), self.value(value, &list.element)));
            }
            return errors;
        }
        let mut seen = BTreeSet::new();
        for (index, value) in items.iter().enumerate() {
            let element = match element::item(self.schema, list, value) {
                Ok(element) => element,
                Err(why) => {
                    errors.extend(one(format!("element {index}: {why}")));
                    return errors;
                }
            };
            let wrong = self.value(value, &list.element);
            if self.duplicates == Duplicates::Refused && seen.contains(&element) {
                errors.extend(one(format!("duplicate entries for key {}", readable(&element))));
            }
            errors.extend(below(|| readable(&element), wrong));
            seen.insert(element);
        }
        errors
    }

    fn map(&self, map: &Map, value: &Value) -> Vec<ValidationError> {
        let object = match value {
            Value::Null => return Vec::new(),
            Value::Object(object) => object,
            other => return one(format!("expected map, got &{{{}}}", printed(other))),
        };
        let mut errors = Vec::new();
        for (name, value) in object {
            let reference = map.field_type(name);
            let wrong = if reference.is_nothing() && !map.fields.contains_key(name) {
                one("field not declared in schema")
            } else {
                self.value(value, reference)
            };
            errors.extend(below(|| format!(".{name}"), wrong));
        }
        errors
    }
}

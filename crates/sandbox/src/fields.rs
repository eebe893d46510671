//! The form that the API server gives objects of built-in kinds: what it drops, what it shows although nobody wrote it, and
//! what it fills in.
//!
//! Enters: an object as a client sent it. Leaves: the same as it comes back from the types that the server reads it into.
//! Absent: what depends on more than one field ([`crate::depends`]).
//!
//! Source: `tables/fields.json`, which is what a real API server answered (`cargo run -p trueup-testkit --bin fields-table`), and the
//! defaults of its OpenAPI documents, where `{}`, `""`, `0` and `false` mean that the field is always shown.

use crate::depends;
use crate::kinds::Kind;
use crate::shapes::{Field, Part, Shape, Shown, is_zero, shape, start_of};
use serde_json::{Map, Value, json};

pub(crate) const QUANTITY: &str = "io.k8s.apimachinery.pkg.api.resource.Quantity";

/// What a new object of a kind has in its status, and whether its generations are counted.
pub(crate) fn start(kind: &Kind) -> &'static Value {
    start_of(&kind.group, &kind.kind)
}

/// The object in the server's form, with defaults.
pub(crate) fn complete(kind: &Kind, object: &mut Value) {
    let Some(shape) = kind.type_ref.named.as_deref().and_then(shape) else { return };
    form(object, shape);
    depends::before(kind, object);
    default(object, shape, kind);
    depends::after(kind, object);
    form(object, shape);
}

/// An object of a kind in which nothing was written.
pub(crate) fn nothing(kind: &Kind) -> Value {
    let mut object = json!({"apiVersion": kind.api_version(), "kind": kind.kind, "metadata": {}});
    if let (None, Some(shape)) = (&kind.custom, kind.type_ref.named.as_deref().and_then(shape)) {
        form(&mut object, shape);
    }
    object
}

/// The value as it comes back from the server's types, with no defaults but zero values.
fn form(value: &mut Value, shape: &'static Shape) {
    if shape.name == QUANTITY {
        quantity(value);
        return;
    }
    let (Some(known), Value::Object(fields)) = (&shape.fields, value) else { return };
    fields.retain(|name, value| {
        let Some(field) = shape.field(name).filter(|_| !value.is_null()) else { return false };
        form_below(value, &field.part);
        !is_zero(value) || !field.is_dropped(value)
    });
    for field in known {
        let shown = match &field.shown {
            Shown::Nothing => continue,
            Shown::Null | Shown::Zero(_) if fields.contains_key(field.name) => continue,
            Shown::Null => Value::Null,
            Shown::Zero(zero) => {
                let mut zero = Value::clone(zero);
                form_below(&mut zero, &field.part);
                zero
            }
        };
        fields.insert(field.name.to_owned(), shown);
    }
}

/// What becomes of an object when it is stored: lists with nothing in them come back as none.
pub(crate) fn store(kind: &Kind, object: &mut Value) {
    if kind.group.is_empty() && kind.kind == "Service" {
        crate::services::store(object);
    }
    let type_name = kind.type_ref.named.as_deref().filter(|_| kind.custom.is_none());
    if let Some(shape) = type_name.and_then(shape) {
        empty_lists(object, shape);
    }
}

fn empty_lists(value: &mut Value, shape: &'static Shape) {
    let Value::Object(fields) = value else { return };
    for (name, value) in fields {
        let Some(field) = shape.field(name) else { continue };
        if field.is_shown_as_null && value.as_array().is_some_and(Vec::is_empty) {
            *value = Value::Null;
        } else if let Some(below) = field.part.shape() {
            empty_lists(value, below);
        }
    }
}

fn form_below(value: &mut Value, part: &Part) {
    if part.type_name.is_some() {
        if let Some(shape) = part.shape() {
            form(value, shape);
        }
        return;
    }
    match (value, &part.items, &part.entries) {
        (Value::Array(items), Some(part), _) => items.iter_mut().for_each(|item| form_below(item, part)),
        (Value::Object(entries), _, Some(part)) => {
            for entry in entries.values_mut() {
                // Go reads a null among texts as an empty one.
                if entry.is_null() && part.schema["type"] == "string" {
                    *entry = "".into();
                }
                form_below(entry, part);
            }
        }
        (_, _, _) => {}
    }
}

fn quantity(value: &mut Value) {
    let text = match &*value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return,
    };
    if let Some(canonical) = trueup_merge::quantity::canonical(&text) {
        *value = canonical.into();
    }
}

fn default(value: &mut Value, shape: &'static Shape, kind: &Kind) {
    let (Some(known), Value::Object(fields)) = (&shape.fields, value) else { return };
    if shape.is_meta {
        return;
    }
    depends::on_others(shape.name, fields, kind);
    let is_whole = kind.type_ref.named.as_deref() == Some(shape.name);
    let is_concerned = |field: &&Field| !is_whole || field.name != "status";
    for field in known.iter().filter(is_concerned).filter(|field| !field.is_excluded) {
        if let Some(told) = field.told {
            fill_in(fields, field, told);
        }
    }
    for (name, value) in fields {
        if let Some(field) = shape.field(name).filter(is_concerned) {
            default_below(value, &field.part, kind);
        }
    }
}

fn fill_in(fields: &mut Map<String, Value>, field: &Field, told: &Value) {
    let found = fields.get(field.name);
    let is_open = match found {
        None | Some(Value::Null) => true,
        // A struct that nobody wrote is there already, with nothing in it but zero values.
        Some(Value::Object(held)) => field.schema_default.is_some() && is_nothing(held, field.part.shape()),
        Some(Value::String(text)) => text.is_empty() && !field.is_pointer() && field.known["zero"].is_null(),
        Some(_) => false,
    };
    let is_missing = found.is_none_or(Value::is_null);
    if is_open && !is_zero(told) || is_missing && !told.is_null() {
        fields.insert(field.name.to_owned(), told.clone());
    }
}

/// Whether nothing was written into a struct: of a pointer zero is something.
fn is_nothing(held: &Map<String, Value>, shape: Option<&Shape>) -> bool {
    let is_pointer = |name: &str| shape.and_then(|shape| shape.field(name)).is_some_and(Field::is_pointer);
    held.iter().all(|(name, value)| is_zero(value) && (value.is_null() || !is_pointer(name)))
}

fn default_below(value: &mut Value, part: &Part, kind: &Kind) {
    if part.type_name.is_some() {
        if let Some(shape) = part.shape() {
            default(value, shape, kind);
        }
        return;
    }
    match (value, &part.items, &part.entries) {
        (Value::Array(items), Some(part), _) => {
            for item in items {
                default_below(item, part, kind);
            }
        }
        (Value::Object(entries), _, Some(part)) => {
            for entry in entries.values_mut() {
                default_below(entry, part, kind);
            }
        }
        (_, _, _) => {}
    }
}

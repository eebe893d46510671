//! The form that the API server gives objects of built-in kinds: what it drops, what it shows although nobody wrote it, and
//! what it fills in.
//!
//! Enters: an object as a client sent it. Leaves: the same as it comes back from the types that the server reads it into.
//! Absent: what depends on more than one field ([`crate::depends`]).
//!
//! Source: `tables/fields.json`, which is what a real API server answered (`cargo run -p trueup-testkit --bin fields-table`), and the
//! defaults of its OpenAPI documents, where `{}`, `""`, `0` and `false` mean that the field is always shown.

use crate::depends;
use crate::kinds::{Kind, models};
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

static TABLE: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../tables/fields.json")).unwrap_or_default());

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.";
pub(crate) const QUANTITY: &str = "io.k8s.apimachinery.pkg.api.resource.Quantity";

/// Defaults that are not the types' own, and that nobody owns.
const EXCLUDED: &[(&str, &str)] = &[
    // The samples' own, which follow from what else is in them.
    ("io.k8s.api.core.v1.LimitRange", "spec"),
    ("io.k8s.api.core.v1.LimitRangeItem", "default"),
    ("io.k8s.api.core.v1.LimitRangeItem", "defaultRequest"),
    ("io.k8s.api.core.v1.Node", "spec"),
    ("io.k8s.api.core.v1.NodeSpec", "taints"),
    ("io.k8s.api.core.v1.Namespace", "spec"),
    ("io.k8s.api.core.v1.NamespaceSpec", "finalizers"),
];

/// What is known of a field: its default, what becomes of its zero value, and how wrong values are refused.
pub(crate) fn known(type_name: &str, field: &str) -> &'static Value {
    &TABLE["types"][type_name][field]
}

/// What a new object of a kind has in its status, and whether its generations are counted.
pub(crate) fn start(kind: &Kind) -> &'static Value {
    start_of(&kind.group, &kind.kind)
}

/// The same by group and kind.
pub(crate) fn start_of(group: &str, kind: &str) -> &'static Value {
    &TABLE["starts"][format!("{group}/{kind}")]
}

/// The name of the type that a schema refers to.
pub(crate) fn reference(schema: &Value) -> Option<&str> {
    let path = schema["$ref"].as_str().or_else(|| schema["allOf"][0]["$ref"].as_str())?;
    path.rsplit('/').next()
}

/// The object in the server's form, with defaults.
pub(crate) fn complete(kind: &Kind, object: &mut Value) {
    let Some(type_name) = kind.type_ref.named.as_deref() else { return };
    form(object, type_name);
    depends::before(kind, object);
    default(object, type_name, kind);
    depends::after(kind, object);
    form(object, type_name);
}

/// An object of a kind in which nothing was written.
pub(crate) fn nothing(kind: &Kind) -> Value {
    let mut object = json!({"apiVersion": kind.api_version(), "kind": kind.kind, "metadata": {}});
    if let (None, Some(type_name)) = (&kind.custom, kind.type_ref.named.as_deref()) {
        form(&mut object, type_name);
    }
    object
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(is) => !is,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

/// The value as it comes back from the server's types, with no defaults but zero values.
pub(crate) fn form(value: &mut Value, type_name: &str) {
    if type_name == QUANTITY {
        quantity(value);
        return;
    }
    let Some(properties) = models().get(type_name).and_then(|model| model["properties"].as_object()) else {
        return;
    };
    let Value::Object(fields) = value else { return };
    fields.retain(|name, value| properties.contains_key(name) && !value.is_null());
    let shows_zeros = !type_name.starts_with(META);
    let required = models()[type_name]["required"].as_array();
    for (name, schema) in properties {
        if let Some(value) = fields.get_mut(name) {
            form_below(value, schema);
            if is_zero(value) && is_dropped(type_name, name, schema, value) {
                fields.remove(name);
            }
        }
        if shows_zeros && !fields.contains_key(name) {
            show_zero(fields, type_name, name, schema);
            // What has to be there and has no zero value is shown as null.
            let is_required = required.is_some_and(|all| all.iter().any(|one| one == name.as_str()));
            let is_omitted = type_name.starts_with("io.k8s.api.admissionregistration");
            if is_required && !is_omitted && schema.get("default").is_none() {
                fields.entry(name.clone()).or_insert(Value::Null);
            }
        }
    }
}

/// Whether a list that nobody wrote is shown as null.
fn is_shown_as_null(type_name: &str, field: &str) -> bool {
    // No object can be made that shows it of a status, so it is not in the table.
    let is_told =
        (type_name, field) == ("io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerStatus", "currentMetrics");
    is_told || known(type_name, field).get("default") == Some(&Value::Null)
}

/// What becomes of an object when it is stored: lists with nothing in them come back as none.
pub(crate) fn store(kind: &Kind, object: &mut Value) {
    if let Some(type_name) = kind.type_ref.named.as_deref().filter(|_| kind.custom.is_none()) {
        empty_lists(object, type_name);
    }
}

fn empty_lists(value: &mut Value, type_name: &str) {
    let Value::Object(fields) = value else { return };
    let properties = &models()[type_name]["properties"];
    for (name, value) in fields {
        if value.as_array().is_some_and(Vec::is_empty) && is_shown_as_null(type_name, name) {
            *value = Value::Null;
        } else if let Some(below) = reference(&properties[name.as_str()]) {
            empty_lists(value, below);
        }
    }
}

fn show_zero(fields: &mut Map<String, Value>, type_name: &str, name: &str, schema: &Value) {
    if is_shown_as_null(type_name, name) {
        fields.insert(name.to_owned(), Value::Null);
        return;
    }
    let known = known(type_name, name);
    let Some(zero) = schema.get("default").filter(|default| is_zero(default)) else { return };
    if known["hidden"] == true {
        return;
    }
    let mut zero = zero.clone();
    form_below(&mut zero, schema);
    fields.insert(name.to_owned(), zero);
}

fn form_below(value: &mut Value, schema: &Value) {
    if let Some(name) = reference(schema) {
        return form(value, name);
    }
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| form_below(item, &schema["items"])),
        Value::Object(entries) => {
            entries.values_mut().for_each(|entry| form_below(entry, &schema["additionalProperties"]));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Whether the server leaves the field out when it has its zero value.
fn is_dropped(type_name: &str, field: &str, schema: &Value, value: &Value) -> bool {
    let known = known(type_name, field);
    if known["zero"] == "kept" {
        return false;
    }
    if known["zero"] == "gone" {
        return true;
    }
    let is_shown = schema.get("default").is_some_and(is_zero);
    match value {
        Value::String(_) => !is_shown && known.get("empty") == known.get("absent"),
        Value::Array(_) => !is_shown_as_null(type_name, field),
        Value::Object(_) => reference(schema).is_none(),
        // What the server never showed in a sample, it leaves out.
        Value::Bool(_) => !is_shown && known.is_null(),
        Value::Null | Value::Number(_) => false,
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

fn default(value: &mut Value, type_name: &str, kind: &Kind) {
    let Some(properties) = models().get(type_name).and_then(|model| model["properties"].as_object()) else {
        return;
    };
    let Value::Object(fields) = value else { return };
    if type_name.starts_with(META) {
        return;
    }
    depends::on_others(type_name, fields, kind);
    for (name, schema) in properties {
        if name == "status" && type_name == kind.type_ref.named.as_deref().unwrap_or_default() {
            continue;
        }
        let told = known(type_name, name).get("default");
        let told = told.or_else(|| schema.get("default").filter(|default| !is_zero(default)));
        let is_open = match fields.get(name) {
            None | Some(Value::Null) => true,
            // A struct that nobody wrote is there already, with nothing in it but zero values.
            Some(Value::Object(held)) => held.values().all(is_zero) && schema.get("default").is_some(),
            Some(Value::String(text)) => text.is_empty() && known(type_name, name)["zero"].is_null(),
            Some(_) => false,
        };
        let is_missing = fields.get(name).is_none_or(Value::is_null);
        let is_meant = |told: &&Value| is_open && !is_zero(told) || is_missing && !told.is_null();
        if let Some(told) = told.filter(|_| !EXCLUDED.contains(&(type_name, name))).filter(is_meant) {
            fields.insert(name.clone(), told.clone());
        }
        if let Some(value) = fields.get_mut(name) {
            default_below(value, schema, kind);
        }
    }
}

fn default_below(value: &mut Value, schema: &Value, kind: &Kind) {
    if let Some(name) = reference(schema) {
        return default(value, name, kind);
    }
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| default_below(item, &schema["items"], kind)),
        Value::Object(entries) => {
            entries
                .values_mut()
                .for_each(|entry| default_below(entry, &schema["additionalProperties"], kind));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

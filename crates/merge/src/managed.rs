//! The entries of `metadata.managedFields`: which manager wrote which fields, and when.

use crate::fields::FieldSet;
use crate::release;
use serde::{Deserialize, Serialize};
use trueup_model::{Segment, Value};

/// How an entry's fields came to be owned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Operation {
    /// Server-side apply: the entry is exactly what the manager asked for.
    Apply,
    /// Any other write.
    Update,
}

/// One entry of `managedFields`.
#[derive(Clone, Debug, PartialEq)]
pub struct ManagedEntry {
    /// The field manager's name.
    pub manager: String,
    /// Apply or update.
    pub operation: Operation,
    /// The version of the API that the fields are written in.
    pub api_version: String,
    /// When the entry last changed, RFC 3339; the API server keeps seconds.
    pub time: Option<String>,
    /// `status`, `scale`, or empty for the object itself.
    pub subresource: String,
    /// What is owned.
    pub fields: FieldSet,
}

/// All entries of an object that can be read.
pub fn entries(object: &Value) -> Vec<ManagedEntry> {
    raw(object).iter().filter_map(read).collect()
}

/// The JSON entries of an object's `managedFields`.
pub fn raw(object: &Value) -> &[Value] {
    object.pointer("/metadata/managedFields").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The raw entry of a manager's server-side applies to the object itself.
pub fn applied_by<'o>(object: &'o Value, manager: &str) -> Option<&'o Value> {
    raw(object).iter().find(|entry| {
        text(entry, "manager") == manager
            && text(entry, "operation") == "Apply"
            && text(entry, "subresource").is_empty()
    })
}

/// The managers of an object other than `own`, sorted, without those that only write its status, or that only say which Helm
/// release it is of.
pub fn other_managers(object: &Value, own: &str) -> Vec<String> {
    let mut managers: Vec<String> = raw(object)
        .iter()
        .filter(|entry| text(entry, "manager") != own && text(entry, "subresource") != "status")
        .filter(|entry| !release::only_marks(entry))
        .map(|entry| text(entry, "manager").to_owned())
        .collect();
    managers.sort();
    managers.dedup();
    managers
}

/// The entry, other than `own`'s, that owns a path; the one that wrote last where several do.
pub fn owner_of<'e>(entries: &'e [ManagedEntry], own: &str, path: &[Segment]) -> Option<&'e ManagedEntry> {
    entries
        .iter()
        .filter(|entry| entry.manager != own && entry.fields.touches(path))
        .max_by(|a, b| a.time.cmp(&b.time))
}

fn read(entry: &Value) -> Option<ManagedEntry> {
    Some(ManagedEntry {
        manager: text(entry, "manager").to_owned(),
        operation: if text(entry, "operation") == "Apply" { Operation::Apply } else { Operation::Update },
        api_version: text(entry, "apiVersion").to_owned(),
        time: entry.get("time").and_then(Value::as_str).map(str::to_owned),
        subresource: text(entry, "subresource").to_owned(),
        fields: FieldSet::parse(entry.get("fieldsV1")?).ok()?,
    })
}

fn text<'e>(entry: &'e Value, field: &str) -> &'e str {
    entry.get(field).and_then(Value::as_str).unwrap_or_default()
}

//! Writes one value, or the name of the folder, into fields of selected resources.

use super::complain;
use super::namespace::{self, NamespaceChange, Subjects};
use super::select::Matcher;
use crate::error::{Error, Place};
use crate::path;
use crate::resmap::ResMap;
use crate::text;
use serde_json::Map;
use trueup_model::Value;

/// A field to write to.
pub(crate) struct Target {
    /// All resources when absent.
    pub(crate) select: Option<Matcher>,
    pub(crate) path: String,
    /// Where in a file path the value is put, counted from 1; 0 replaces the field.
    pub(crate) position: usize,
}

/// Writes `value` to each target.
pub(crate) fn add(
    resources: &mut ResMap,
    value: &str,
    targets: &[Target],
    place: &Place,
    errors: &mut Vec<Error>,
) {
    for target in targets {
        let positions = match &target.select {
            Some(matcher) => matcher.select(resources),
            None => (0..resources.len()).collect(),
        };
        for position in positions {
            let result = resources.change(position, |resource| {
                if target.path == "metadata/namespace" {
                    let change = NamespaceChange {
                        namespace: value.to_owned(),
                        fields: Vec::new(),
                        unset_only: false,
                        subjects: Subjects::NamedDefault,
                    };
                    return namespace::set_alone(resource, &change);
                }
                write(&mut resource.value, &path::split(&target.path, '/'), value, target.position)
            });
            if let Err(message) = result {
                errors.push(complain(place, resources.get(position), message));
            }
        }
    }
}

fn write(object: &mut Value, path: &[String], value: &str, position: usize) -> Result<(), String> {
    let mut field = object;
    for part in path {
        if field.is_null() {
            *field = Value::Object(Map::new());
        }
        let Value::Object(fields) = field else {
            return Err(format!("there is no mapping for {part} to stand in"));
        };
        field = fields.entry(part.clone()).or_insert(Value::Null);
    }
    let old = text::or_empty(Some(field)).into_owned();
    if field.is_object() || field.is_array() {
        return Err("the field is not a single value".to_owned());
    }
    let new = if position == 0 { value.to_owned() } else { insert_part(&old, position - 1, value) };
    *field = Value::String(new);
    Ok(())
}

/// Puts `part` into a file path before the part at `index`, or at the end.
fn insert_part(path: &str, index: usize, part: &str) -> String {
    let absolute = path.starts_with('/');
    let mut parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    parts.insert(index.min(parts.len()), part);
    let joined = parts.join("/");
    if absolute { format!("/{joined}") } else { joined }
}

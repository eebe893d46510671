//! Labels and annotations.

use super::complain;
use super::walk::{Make, Selected, visit};
use crate::config::FieldSpec;
use crate::error::{Error, Place};
use crate::resmap::ResMap;
use crate::text;
use serde_json::Map;
use std::collections::BTreeMap;
use trueup_model::Value;

/// Adds the entries to each mapping that the specs lead to; one of the same key is replaced.
pub(crate) fn add_entries(
    resources: &mut ResMap,
    entries: &BTreeMap<String, String>,
    specs: &[FieldSpec],
    place: &Place,
    errors: &mut Vec<Error>,
) {
    if entries.is_empty() {
        return;
    }
    let mut selected = Selected::new(specs);
    let mut set = |value: &mut Value| insert(value, entries);
    for resource in resources.contents_mut() {
        for spec in selected.of(resource).iter() {
            if let Err(message) = visit(&mut resource.value, spec, Make::Map, &mut set) {
                errors.push(complain(place, resource, message));
            }
        }
    }
}

fn insert(value: &mut Value, entries: &BTreeMap<String, String>) -> Result<(), String> {
    if value.is_null() {
        *value = Value::Object(Map::new());
    }
    let Value::Object(object) = value else {
        return Err(format!("must be a mapping, not {}", text::kind_of(value)));
    };
    for (key, entry) in entries {
        object.insert(key.clone(), Value::String(entry.clone()));
    }
    Ok(())
}

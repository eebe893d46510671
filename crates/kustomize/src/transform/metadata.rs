//! Labels and annotations.

use super::complain;
use super::walk::{Make, Selected, visit};
use crate::config::FieldSpec;
use crate::error::{Error, Place};
use crate::resmap::ResMap;
use crate::resource::Resource;
use crate::shared::{self, Written};
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
    let mut made = Vec::new();
    for mut resource in resources.contents_mut() {
        made.clear();
        let specs = selected.of(&resource);
        let mut set = |value: &mut Value| insert(value, entries, &mut made);
        for spec in specs.iter() {
            if let Err(message) = visit(&mut resource.value, spec, Make::Map, &mut set) {
                errors.push(complain(place, &resource, message));
            }
        }
        resource.settle_shared(Written::InPlace);
        share(&mut resource, entries, &specs, &made);
    }
}

/// Sets the entries; `made` notes for each of them in turn whether it was missing.
fn insert(value: &mut Value, entries: &BTreeMap<String, String>, made: &mut Vec<bool>) -> Result<(), String> {
    if value.is_null() {
        *value = Value::Object(Map::new());
    }
    let Value::Object(object) = value else {
        return Err(format!("must be a mapping, not {}", text::kind_of(value)));
    };
    for (key, entry) in entries {
        made.push(object.insert(key.clone(), Value::String(entry.clone())).is_none());
    }
    Ok(())
}

/// Notes which entries were made in more than one place.
fn share(resource: &mut Resource, entries: &BTreeMap<String, String>, specs: &[&FieldSpec], made: &[bool]) {
    let made_often =
        |index: usize| made.iter().skip(index).step_by(entries.len()).filter(|made| **made).count() > 1;
    if made.len() <= entries.len() || !(0..entries.len()).any(made_often) {
        return;
    }
    let places = shared::places(&resource.value, specs);
    for (index, (key, value)) in entries.iter().enumerate() {
        let made = made.iter().skip(index).step_by(entries.len());
        let places = places.iter().zip(made).filter(|(_, made)| **made).map(|(place, _)| place.clone());
        let places = places.collect();
        resource.share(key, value, places);
    }
}

//! Labels and annotations.

use super::complain;
use super::walk::{Make, Selected, visit};
use crate::config::FieldSpec;
use crate::error::{Error, Place};
use crate::resmap::ResMap;
use crate::resource::{Resource, Text};
use crate::shared::{self, Written};
use crate::spelled::{self, Quoted};
use crate::text;
use std::collections::BTreeMap;
use trueup_model::{Value, yaml};

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

/// What stood in the place of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Was {
    Missing,
    /// Something in quotes: they are the entry's now, and with it those of each place where it was missing.
    Quoted,
    /// An empty text, which has quotes in a file and none where it was made.
    Empty,
    Plain,
}

impl Was {
    fn of(old: Option<&Value>) -> Self {
        match old {
            None => Self::Missing,
            Some(Value::String(text)) if text.is_empty() => Self::Empty,
            Some(Value::String(text)) if spelled::needs_quotes(text, yaml::is_old_boolean) => Self::Quoted,
            Some(_) => Self::Plain,
        }
    }
}

/// Sets the entries; `made` notes for each of them in turn what was there.
fn insert(value: &mut Value, entries: &BTreeMap<String, String>, made: &mut Vec<Was>) -> Result<(), String> {
    if value.is_null() {
        // Where it may be made it is a mapping by now; otherwise kustomize writes below what prints as null still.
        made.extend(entries.iter().map(|_| Was::Plain));
        return Ok(());
    }
    let Value::Object(object) = value else {
        return Err(format!("must be a mapping, not {}", text::kind_of(value)));
    };
    for (key, entry) in entries {
        made.push(Was::of(object.insert(key.clone(), Value::String(entry.clone())).as_ref()));
    }
    Ok(())
}

/// Notes which entries were made in more than one place, and which have quotes from another.
fn share(resource: &mut Resource, entries: &BTreeMap<String, String>, specs: &[&FieldSpec], made: &[Was]) {
    let of = |index: usize| made.iter().skip(index).step_by(entries.len());
    let is_missing = |was: &&Was| **was == Was::Missing;
    let matters = |index: usize| {
        let missing = of(index).filter(is_missing).count();
        missing > 1 || of(index).any(|was| *was == Was::Quoted || (missing > 0 && *was == Was::Empty))
    };
    let is_plain = resource.text == Text::Items && made.contains(&Was::Missing);
    if made.is_empty() || !(is_plain || (0..entries.len()).any(matters)) {
        return;
    }
    let places = shared::places(&resource.value, specs);
    for (index, (key, value)) in entries.iter().enumerate() {
        let those = |wanted: Was| {
            let found = places.iter().zip(of(index)).filter(move |(_, was)| **was == wanted);
            found.map(|(place, _)| place.clone()).collect::<Vec<_>>()
        };
        let missing = those(Was::Missing);
        if resource.text == Text::Items {
            resource.plain.extend(missing.iter().filter_map(|place| Quoted::entry(place, key)));
        }
        let last = of(index).rfind(|was| !is_missing(was));
        if matches!(last, Some(Was::Quoted | Was::Empty)) {
            resource.quoted.extend(missing.iter().filter_map(|place| Quoted::entry(place, key)));
        }
        let quoted = those(Was::Quoted);
        resource.quoted.extend(quoted.iter().filter_map(|place| Quoted::entry(place, key)));
        resource.share(key, value, missing);
    }
}

//! Labels and annotations that one transformer wrote in several places of a resource.
//!
//! kustomize puts one and the same node in each place where the entry was missing. Whatever writes to one of them in place later,
//! be it a patch or a label of an overlay, writes to all of them. Places that had the entry before stand for themselves.

use crate::config::{FieldSpec, Step};
use crate::merge::strategic::DIRECTIVE;
use crate::resource::Resource;
use std::rc::Rc;
use trueup_model::Value;

/// One step from the resource down to an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Field(Rc<str>),
    Item(usize),
}

pub(crate) type Place = Rc<[Part]>;

/// The places of one entry that are one.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    key: Rc<str>,
    value: Value,
    /// The mappings that hold the entry.
    places: Vec<Place>,
}

/// How fields were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// Single values in the place of others: all that are one change.
    InPlace,
    /// Whole mappings anew: what was one before is no more.
    Anew,
}

/// The mappings that the specs lead to, in the order in which they are visited.
pub(crate) fn places(value: &Value, specs: &[&FieldSpec]) -> Vec<Place> {
    let mut found = Vec::new();
    for spec in specs {
        walk(value, &spec.steps, &mut Vec::new(), &mut found);
    }
    found
}

fn walk(value: &Value, steps: &[Step], parts: &mut Vec<Part>, found: &mut Vec<Place>) {
    let Some((first, rest)) = steps.split_first() else {
        found.push(parts.as_slice().into());
        return;
    };
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                parts.push(Part::Item(index));
                walk(item, steps, parts, found);
                parts.pop();
            }
        }
        Value::Object(fields) => {
            if let Some(next) = fields.get(&first.field) {
                parts.push(Part::Field(first.field.as_str().into()));
                walk(next, rest, parts, found);
                parts.pop();
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn at<'v>(value: &'v mut Value, place: &Place) -> Option<&'v mut Value> {
    place.iter().try_fold(value, |value, part| match part {
        Part::Field(field) => value.get_mut(&**field),
        Part::Item(index) => value.get_mut(index),
    })
}

/// Whether the patch replaces the mapping at this place, or one around it.
fn is_replaced(patch: &Value, place: &Place) -> bool {
    let mut value = Some(patch);
    for part in place.iter() {
        let replaces = value.and_then(|value| value.get(DIRECTIVE)).is_some_and(|word| word == "replace");
        value = match part {
            _ if replaces => return true,
            Part::Field(field) => value.and_then(|value| value.get(&**field)),
            // Which item of a list is meant, the place does not say.
            Part::Item(_) => None,
        };
    }
    value.and_then(|value| value.get(DIRECTIVE)).is_some_and(|word| word == "replace")
}

impl Resource {
    /// From now on the entry is one in all these places.
    pub(crate) fn share(&mut self, key: &str, value: &str, places: Vec<Place>) {
        if places.len() > 1 {
            self.shared.push(Shared { key: key.into(), value: Value::from(value), places });
        }
    }

    /// Brings the places that are one in line after something was written to some of them.
    pub(crate) fn settle_shared(&mut self, written: Written) {
        if self.shared.is_empty() {
            return;
        }
        let value = &mut self.value;
        self.shared.retain_mut(|shared| {
            let key = &*shared.key;
            let mut new = None;
            shared.places.retain(|place| match at(value, place).and_then(|map| map.get(key)) {
                None | Some(Value::Array(_) | Value::Object(_)) => false,
                Some(found) if *found == shared.value => true,
                Some(found) => {
                    new = (written == Written::InPlace).then(|| found.clone());
                    new.is_some()
                }
            });
            if let Some(new) = new {
                for place in &shared.places {
                    if let Some(entry) = at(value, place).and_then(|map| map.get_mut(key)) {
                        entry.clone_from(&new);
                    }
                }
                shared.value = new;
            }
            shared.places.len() > 1
        });
    }

    /// A patch put its own mappings in the place of some: what stood in those is no more.
    pub(crate) fn unshare_replaced(&mut self, patch: &Value) {
        self.shared.retain_mut(|shared| {
            shared.places.retain(|place| !is_replaced(patch, place));
            shared.places.len() > 1
        });
    }

    /// The annotations were written anew, as they are when a transformer leaves its note in them.
    pub(crate) fn unshare_annotations(&mut self) {
        self.shared.retain_mut(|shared| {
            shared.places.retain(|place| {
                !matches!(&place[..], [Part::Field(metadata), Part::Field(annotations)]
                    if **metadata == *"metadata" && **annotations == *"annotations")
            });
            shared.places.len() > 1
        });
    }
}

//! Walks a value along a field spec's path and hands over what stands at its end.

use crate::bounds;
use crate::config::{FieldSpec, Step};
use crate::id::GvkRef;
use crate::resource::Resource;
use crate::text;
use serde_json::Map;
use std::rc::Rc;
use trueup_model::Value;

/// What is made at the end of a path whose spec says `create`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Make {
    /// Nothing, whatever the spec says.
    Nothing,
    /// An empty text.
    Scalar,
    /// An empty mapping.
    Map,
}

/// Walks `value` along the spec's path; `set` gets each value at its end.
///
/// # Errors
/// Something on the way is neither a list nor a mapping, or `set` refused.
pub(crate) fn visit(
    value: &mut Value,
    spec: &FieldSpec,
    make: Make,
    set: &mut dyn FnMut(&mut Value) -> Result<(), String>,
) -> Result<(), String> {
    let make = if spec.create { make } else { Make::Nothing };
    bounds::check_depth(spec.steps.len())
        .and_then(|()| step(value, &spec.steps, make, set))
        .map_err(|message| format!("the field {} cannot be set: {message}", spec.path))
}

fn step(
    value: &mut Value,
    steps: &[Step],
    make: Make,
    set: &mut dyn FnMut(&mut Value) -> Result<(), String>,
) -> Result<(), String> {
    let Some((first, rest)) = steps.split_first() else { return set(value) };
    match value {
        Value::Null => Ok(()),
        Value::Array(items) => items.iter_mut().try_for_each(|item| step(item, steps, make, set)),
        Value::Object(object) => {
            let Some(next) = field(object, first, rest.is_empty(), make) else { return Ok(()) };
            step(next, rest, make, set)
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            let found = text::kind_of(value);
            Err(format!("{} should stand below {found}, which is neither a mapping nor a list", first.field))
        }
    }
}

/// The field that a step leads to; made when it is missing and may be made, null made what it should be.
fn field<'v>(
    object: &'v mut Map<String, Value>,
    step: &Step,
    last: bool,
    make: Make,
) -> Option<&'v mut Value> {
    let empty = match make {
        Make::Nothing => None,
        Make::Scalar if last => Some(Value::String(String::new())),
        Make::Scalar | Make::Map => Some(Value::Object(Map::new())),
    };
    if step.items {
        let found = object.get_mut(&step.field)?;
        if found.is_null() {
            *found = Value::Array(Vec::new());
        }
        return Some(found);
    }
    let Some(empty) = empty else { return object.get_mut(&step.field) };
    if object.get(&step.field).is_none_or(Value::is_null) {
        object.insert(step.field.clone(), empty);
    }
    object.get_mut(&step.field)
}

/// The specs of a table that concern a resource, remembered for each kind.
pub(crate) struct Selected<'s> {
    specs: &'s [FieldSpec],
    kinds: Vec<(String, String, Rc<[&'s FieldSpec]>)>,
}

impl<'s> Selected<'s> {
    pub(crate) fn new(specs: &'s [FieldSpec]) -> Self {
        Self { specs, kinds: Vec::new() }
    }

    /// The specs for the resource's present kind.
    pub(crate) fn of(&mut self, resource: &Resource) -> Rc<[&'s FieldSpec]> {
        self.for_kind(resource.api_version(), resource.gvk())
    }

    fn for_kind(&mut self, api_version: &str, gvk: GvkRef<'_>) -> Rc<[&'s FieldSpec]> {
        if let Some((.., found)) =
            self.kinds.iter().rev().find(|(version, kind, _)| version == api_version && kind == gvk.kind)
        {
            return Rc::clone(found);
        }
        let found: Rc<[&FieldSpec]> = self.specs.iter().filter(|spec| spec.gvk.selects(gvk)).collect();
        self.kinds.push((api_version.to_owned(), gvk.kind.to_owned(), Rc::clone(&found)));
        found
    }
}

//! Field sets of typed values: which fields a value has, taking fields out of a value, and bringing a set in line with a
//! schema that changed.

use super::schema::{Atom, DEDUCED, List, Map, Relationship, Scalar, Schema, TypeRef};
use super::validate::{ValidationError, ValidationErrors, no_kind, unresolved};
use super::{Typed, element};
use crate::fields::FieldSet;
use std::collections::BTreeMap;
use trueup_model::Value;

impl Typed<'_> {
    /// The set of all leaves and items of the value: what an apply of it owns.
    pub fn field_set(&self) -> Result<FieldSet, ValidationErrors> {
        let mut set = FieldSet::default();
        let errors = collect(self.schema, &self.value, self.type_ref, &mut set);
        set.member = false;
        if errors.is_empty() { Ok(set) } else { Err(ValidationErrors(errors)) }
    }

    /// The value without these fields and items. What is owned whole goes whole; an object or a list that has nothing left
    /// becomes null.
    #[must_use]
    pub fn without(&self, fields: &FieldSet) -> Self {
        self.with(without(self.schema, &self.value, fields, self.type_ref))
    }

    /// The set with each named field that something below is a member of as a member too.
    pub(super) fn with_named(&self, set: &FieldSet) -> FieldSet {
        with_named(self.schema, set, self.type_ref)
    }

    /// A manager's set in line with the schema of this value: where a part is now owned whole, so it is in the set.
    pub(super) fn reconciled(&self, set: &FieldSet) -> Result<FieldSet, ValidationErrors> {
        let mut now_whole = FieldSet::default();
        let errors =
            find_whole(self.schema, Some(set), Whole::No, self.type_ref, &mut Vec::new(), &mut now_whole);
        if errors.is_empty() {
            if now_whole.is_empty() {
                return Ok(set.clone());
            }
            Ok(set.recursive_difference(&now_whole).union(&now_whole))
        } else {
            Err(ValidationErrors(errors))
        }
    }
}

fn collect(schema: &Schema, value: &Value, reference: &TypeRef, set: &mut FieldSet) -> Vec<ValidationError> {
    let Some(atom) = schema.resolve(reference) else { return unresolved(reference) };
    match atom.deduced(Some(value)) {
        Atom { map: Some(map), .. } => collect_map(schema, value, &map, set),
        Atom { scalar: Some(_), .. } => {
            set.member = true;
            Vec::new()
        }
        Atom { list: Some(list), .. } => collect_list(schema, value, &list, set),
        Atom { map: None, scalar: None, list: None } => no_kind(reference),
    }
}

fn collect_map(schema: &Schema, value: &Value, map: &Map, set: &mut FieldSet) -> Vec<ValidationError> {
    if map.relationship == Relationship::Atomic {
        set.member = true;
        return Vec::new();
    }
    let mut errors = Vec::new();
    for (name, value) in value.as_object().into_iter().flatten() {
        let mut below = FieldSet::default();
        errors.extend(collect(schema, value, map.field_type(name), &mut below));
        let is_nothing = value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty);
        below.member |= is_nothing || !map.fields.contains_key(name);
        if !below.is_empty() {
            set.children.insert(element::field(name), below);
        }
    }
    errors
}

fn collect_list(schema: &Schema, value: &Value, list: &List, set: &mut FieldSet) -> Vec<ValidationError> {
    if list.relationship == Relationship::Atomic {
        set.member = true;
        return Vec::new();
    }
    let mut items: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
    for value in value.as_array().into_iter().flatten() {
        if let Ok(element) = element::item(schema, list, value) {
            items.entry(element).or_default().push(value);
        }
    }
    let mut errors = Vec::new();
    for (element, values) in items {
        let mut below = FieldSet { member: true, ..FieldSet::default() };
        if let [value] = values.as_slice() {
            errors.extend(collect(schema, value, &list.element, &mut below));
        }
        below.member = true;
        set.children.insert(element, below);
    }
    errors
}

fn without(schema: &Schema, value: &Value, fields: &FieldSet, reference: &TypeRef) -> Value {
    match schema.resolve(reference).unwrap_or_default().deduced(Some(value)) {
        Atom { map: Some(map), .. } => object_without(schema, value, fields, &map),
        Atom { scalar: Some(_), .. } => value.clone(),
        Atom { list: Some(list), .. } => list_without(schema, value, fields, &list),
        Atom { map: None, scalar: None, list: None } => Value::Null,
    }
}

fn object_without(schema: &Schema, value: &Value, fields: &FieldSet, map: &Map) -> Value {
    if map.relationship == Relationship::Atomic {
        return Value::Null;
    }
    let mut rest = serde_json::Map::new();
    for (name, value) in value.as_object().into_iter().flatten() {
        match fields.children.get(&element::field(name)) {
            Some(below) if below.member => {}
            Some(below) if !below.is_empty() => {
                rest.insert(name.clone(), without(schema, value, below, map.field_type(name)));
            }
            Some(_) | None => {
                rest.insert(name.clone(), value.clone());
            }
        }
    }
    if rest.is_empty() { Value::Null } else { Value::Object(rest) }
}

fn list_without(schema: &Schema, value: &Value, fields: &FieldSet, list: &List) -> Value {
    if list.relationship == Relationship::Atomic {
        return Value::Null;
    }
    let mut rest = Vec::new();
    for value in value.as_array().into_iter().flatten() {
        let below = element::item(schema, list, value).ok().and_then(|element| fields.children.get(&element));
        match below {
            Some(below) if below.member => {}
            Some(below) if !below.is_empty() => rest.push(without(schema, value, below, &list.element)),
            Some(_) | None => rest.push(value.clone()),
        }
    }
    if rest.is_empty() { Value::Null } else { Value::Array(rest) }
}

fn with_named(schema: &Schema, set: &FieldSet, reference: &TypeRef) -> FieldSet {
    let atom = schema.resolve(reference).unwrap_or_default();
    let nothing = TypeRef::default();
    let children = set
        .children
        .iter()
        .map(|(element, below)| {
            let (reference, is_named) = match (element.split_once(':'), &atom) {
                (Some(("f", name)), Atom { map: Some(map), .. }) => {
                    (map.field_type(name), map.fields.contains_key(name))
                }
                (Some(("k", _)), Atom { list: Some(list), .. }) => (&list.element, false),
                (_, _) => (&nothing, false),
            };
            let mut named = with_named(schema, below, reference);
            named.member |= is_named && !below.children.is_empty();
            (element.clone(), named)
        })
        .collect();
    FieldSet { member: set.member, children }
}

/// Whether the set has a part as one value, with nothing below it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whole {
    Yes,
    No,
}

fn find_whole(
    schema: &Schema,
    set: Option<&FieldSet>,
    whole: Whole,
    reference: &TypeRef,
    path: &mut Vec<String>,
    found: &mut FieldSet,
) -> Vec<ValidationError> {
    let Some(atom) = schema.resolve(reference) else { return unresolved(reference) };
    match atom {
        Atom { map: Some(map), .. } => {
            if is_deduced(&map) {
                return Vec::new();
            }
            if whole == Whole::No && map.relationship == Relationship::Atomic {
                if set.is_some_and(|set| !set.children.is_empty()) {
                    found.insert(path);
                }
                return Vec::new();
            }
            let reference_of = |element: &str| {
                let reference = match element.strip_prefix("f:") {
                    Some(name) => map.field_type(name),
                    None => &map.element,
                };
                (!reference.is_nothing()).then_some(reference)
            };
            find_below(schema, set, &reference_of, path, found)
        }
        Atom { scalar: Some(_), .. } => Vec::new(),
        Atom { list: Some(list), .. } => {
            if whole == Whole::No && list.relationship == Relationship::Atomic {
                found.insert(path);
                return Vec::new();
            }
            find_below(schema, set, &|_: &str| Some(&list.element), path, found)
        }
        Atom { map: None, scalar: None, list: None } => no_kind(reference),
    }
}

fn find_below<'t>(
    schema: &Schema,
    set: Option<&FieldSet>,
    reference_of: &dyn Fn(&str) -> Option<&'t TypeRef>,
    path: &mut Vec<String>,
    found: &mut FieldSet,
) -> Vec<ValidationError> {
    let mut errors = Vec::new();
    for (element, below) in set.into_iter().flat_map(|set| &set.children) {
        let Some(reference) = reference_of(element) else { continue };
        let has_children = !below.children.is_empty();
        let whole = if below.member && !has_children { Whole::Yes } else { Whole::No };
        path.push(element.clone());
        errors.extend(find_whole(schema, has_children.then_some(below), whole, reference, path, found));
        path.pop();
    }
    errors
}

/// Whether any field may be there with any value: such objects cannot yet say that they are owned whole.
fn is_deduced(map: &Map) -> bool {
    let is_any = match &map.element.named {
        Some(name) => name == DEDUCED,
        None => map.element.inlined.scalar == Some(Scalar::Untyped),
    };
    is_any && map.fields.is_empty()
}

//! How two values of one type differ, as sets of fields.

use super::schema::{Atom, List, Map, Relationship, Scalar, Schema, TypeRef};
use super::validate::{ValidationError, ValidationErrors, below, no_kind, one, readable, scalar, unresolved};
use super::{Typed, element};
use crate::fields::FieldSet;
use std::collections::{BTreeMap, BTreeSet};
use trueup_model::Value;

/// The fields in which a value differs from the one before. No field is in two of the sets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparison {
    /// Those that are no longer there.
    pub removed: FieldSet,
    /// Those that have another value.
    pub modified: FieldSet,
    /// Those that were not there.
    pub added: FieldSet,
}

impl Comparison {
    /// Leaves out these fields, and all below them.
    #[must_use]
    pub fn without(self, fields: &FieldSet) -> Self {
        Self {
            removed: self.removed.recursive_difference(fields),
            modified: self.modified.recursive_difference(fields),
            added: self.added.recursive_difference(fields),
        }
    }
}

impl Typed<'_> {
    /// What `new` has changed in this value.
    pub fn compare(&self, new: &Self) -> Result<Comparison, ValidationErrors> {
        let mut walk = Walk { schema: self.schema, found: Comparison::default(), path: Vec::new() };
        let errors = walk.value(Some(&self.value), Some(&new.value), self.type_ref);
        if errors.is_empty() { Ok(walk.found) } else { Err(ValidationErrors(errors)) }
    }
}

/// Whether a value was looked into, or taken whole.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    Leaf,
    Descended,
}

struct Walk<'s> {
    schema: &'s Schema,
    found: Comparison,
    path: Vec<String>,
}

impl Walk<'_> {
    fn value(
        &mut self,
        left: Option<&Value>,
        right: Option<&Value>,
        reference: &TypeRef,
    ) -> Vec<ValidationError> {
        // Where both are the same, nothing differs, and nothing is wrong that was not found before.
        if let (Some(left), Some(right)) = (left, right)
            && left == right
        {
            return Vec::new();
        }
        let Some(atom) = self.schema.resolve(reference) else { return unresolved(reference) };
        let (left_atom, right_atom) = (atom.clone().deduced(left), atom.deduced(right));
        let (depth, errors) = if right.is_none() {
            self.kind(&left_atom, left, right, reference)
        } else if left.is_none() || left_atom.is_alike(&right_atom) {
            self.kind(&right_atom, left, right, reference)
        } else {
            let (_, mut errors) = self.kind(&left_atom, left, right, reference);
            let (depth, more) = self.kind(&right_atom, left, right, reference);
            errors.extend(more);
            (depth, errors)
        };
        if depth == Depth::Descended {
            match (left, right) {
                (None, _) => self.found.added.insert(&self.path),
                (_, None) => self.found.removed.insert(&self.path),
                (Some(_), Some(_)) => {}
            }
        }
        errors
    }

    fn kind(
        &mut self,
        atom: &Atom,
        left: Option<&Value>,
        right: Option<&Value>,
        reference: &TypeRef,
    ) -> (Depth, Vec<ValidationError>) {
        match atom {
            Atom { map: Some(map), .. } => self.map(map, left, right),
            Atom { scalar: Some(kind), .. } => self.single(*kind, left, right),
            Atom { list: Some(list), .. } => self.list(list, left, right),
            Atom { map: None, scalar: None, list: None } => (Depth::Descended, no_kind(reference)),
        }
    }

    fn leaf(&mut self, left: Option<&Value>, right: Option<&Value>) -> (Depth, Vec<ValidationError>) {
        match (left, right) {
            (None, _) => self.found.added.insert(&self.path),
            (_, None) => self.found.removed.insert(&self.path),
            (Some(left), Some(right)) if !element::is_equal(left, right) => {
                self.found.modified.insert(&self.path);
            }
            (Some(_), Some(_)) => {}
        }
        (Depth::Leaf, Vec::new())
    }

    fn single(
        &mut self,
        kind: Scalar,
        left: Option<&Value>,
        right: Option<&Value>,
    ) -> (Depth, Vec<ValidationError>) {
        let mut wrong = scalar(kind, left, "lhs: ");
        let also_wrong = scalar(kind, right, "rhs: ");
        if wrong.is_empty() || also_wrong.is_empty() {
            return self.leaf(left, right);
        }
        wrong.extend(also_wrong);
        (Depth::Descended, wrong)
    }

    fn map(
        &mut self,
        map: &Map,
        left: Option<&Value>,
        right: Option<&Value>,
    ) -> (Depth, Vec<ValidationError>) {
        let (before, after) = (left.and_then(Value::as_object), right.and_then(Value::as_object));
        let is_empty =
            before.is_none_or(serde_json::Map::is_empty) && after.is_none_or(serde_json::Map::is_empty);
        if map.relationship == Relationship::Atomic || is_empty {
            return self.leaf(left, right);
        }
        let names: BTreeSet<&String> = [before, after].into_iter().flatten().flat_map(|o| o.keys()).collect();
        let mut errors = Vec::new();
        for name in names {
            let (left, right) = (before.and_then(|o| o.get(name)), after.and_then(|o| o.get(name)));
            errors.extend(self.below(element::field(name), left, right, map.field_type(name)));
        }
        (Depth::Descended, errors)
    }

    fn below(
        &mut self,
        element: String,
        left: Option<&Value>,
        right: Option<&Value>,
        reference: &TypeRef,
    ) -> Vec<ValidationError> {
        self.path.push(element);
        let errors = self.value(left, right, reference);
        let element = self.path.pop().unwrap_or_default();
        below(|| readable(&element), errors)
    }

    fn list(
        &mut self,
        list: &List,
        left: Option<&Value>,
        right: Option<&Value>,
    ) -> (Depth, Vec<ValidationError>) {
        let (before, after) = (element::items(left), element::items(right));
        if list.relationship == Relationship::Atomic || before.is_empty() && after.is_empty() {
            return self.leaf(left, right);
        }
        let mut errors = Vec::new();
        let mut order = Vec::new();
        let before = self.gather(list, before, &mut order, &mut errors);
        let after = self.gather(list, after, &mut order, &mut errors);
        let none = Vec::new();
        for element in order {
            let before = before.get(&element).unwrap_or(&none);
            let after = after.get(&element).unwrap_or(&none);
            errors.extend(self.items(list, element, before, after));
        }
        (Depth::Descended, errors)
    }

    fn gather<'v>(
        &self,
        list: &List,
        items: &'v [Value],
        order: &mut Vec<String>,
        errors: &mut Vec<ValidationError>,
    ) -> BTreeMap<String, Vec<&'v Value>> {
        let mut gathered: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
        for (index, value) in items.iter().enumerate() {
            match element::item(self.schema, list, value) {
                Ok(element) => {
                    if !order.contains(&element) {
                        order.push(element.clone());
                    }
                    gathered.entry(element).or_default().push(value);
                }
                Err(why) => errors.extend(one(format!("element {index}: {why}"))),
            }
        }
        gathered
    }

    /// Compares the items of one key. Several of them are one value, owned by the key alone.
    fn items(
        &mut self,
        list: &List,
        element: String,
        before: &[&Value],
        after: &[&Value],
    ) -> Vec<ValidationError> {
        match (before, after) {
            ([] | [_], [] | [_]) => {
                self.below(element, before.first().copied(), after.first().copied(), &list.element)
            }
            ([_, _, ..], [_, _, ..]) => {
                let same = before.len() == after.len()
                    && before.iter().zip(after).all(|(b, a)| element::is_equal(b, a));
                if !same {
                    insert_below(&mut self.found.modified, &self.path, element);
                }
                Vec::new()
            }
            ([_, _, ..], _) => {
                let errors = match after.first() {
                    Some(now) => self.below(element.clone(), None, Some(now), &list.element),
                    None => Vec::new(),
                };
                insert_below(&mut self.found.removed, &self.path, element);
                errors
            }
            (_, [_, _, ..]) => {
                let errors = match before.first() {
                    Some(once) => self.below(element.clone(), Some(once), None, &list.element),
                    None => Vec::new(),
                };
                insert_below(&mut self.found.added, &self.path, element);
                errors
            }
        }
    }
}

fn insert_below(set: &mut FieldSet, path: &[String], element: String) {
    let mut path = path.to_vec();
    path.push(element);
    set.insert(&path);
}

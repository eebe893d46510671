//! Merging what is applied into what is there: no field is removed, a field that both have becomes as applied.
//!
//! Items of associative lists keep the order of what is there, unless the applied list has another one for the items that
//! both have; new items follow the one that they follow in the applied list.

use super::schema::{Atom, List, Map, Relationship, Scalar, Schema, TypeRef};
use super::validate::{ValidationError, ValidationErrors, below, no_kind, one, readable, scalar, unresolved};
use super::{Typed, element};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use trueup_model::Value;

impl Typed<'_> {
    /// This value with `applied` merged into it.
    pub fn merge(&self, applied: &Self) -> Result<Self, ValidationErrors> {
        let walk = Walk { schema: self.schema };
        let (merged, errors) = walk.value(Some(&self.value), Some(&applied.value), self.type_ref);
        if errors.is_empty() {
            Ok(self.with(merged.unwrap_or(Value::Null)))
        } else {
            Err(ValidationErrors(errors))
        }
    }
}

/// What a merge gives: a value, or nothing where both sides hold nothing; and what is wrong with them.
type Merged = (Option<Value>, Vec<ValidationError>);

struct Walk<'s> {
    schema: &'s Schema,
}

/// The applied value where there is one.
fn leaf(left: Option<&Value>, right: Option<&Value>) -> Option<Value> {
    right.or(left).cloned()
}

impl Walk<'_> {
    fn value(&self, left: Option<&Value>, right: Option<&Value>, reference: &TypeRef) -> Merged {
        let Some(atom) = self.schema.resolve(reference) else { return (None, unresolved(reference)) };
        let (left_atom, right_atom) = (atom.clone().deduced(left), atom.deduced(right));
        if right.is_none() {
            self.kind(&left_atom, left, right, reference)
        } else if left.is_none() || left_atom.is_alike(&right_atom) {
            self.kind(&right_atom, left, right, reference)
        } else {
            let (_, mut errors) = self.kind(&left_atom, left, right, reference);
            let (merged, more) = self.kind(&right_atom, left, right, reference);
            errors.extend(more);
            (merged, errors)
        }
    }

    fn kind(&self, atom: &Atom, left: Option<&Value>, right: Option<&Value>, reference: &TypeRef) -> Merged {
        match atom {
            Atom { map: Some(map), .. } => self.map(map, left, right),
            Atom { scalar: Some(kind), .. } => single(*kind, left, right),
            Atom { list: Some(list), .. } => self.list(list, left, right),
            Atom { map: None, scalar: None, list: None } => (None, no_kind(reference)),
        }
    }

    fn map(&self, map: &Map, left: Option<&Value>, right: Option<&Value>) -> Merged {
        let (before, applied) = (left.and_then(Value::as_object), right.and_then(Value::as_object));
        // With nothing on either side, null and empty are still told apart.
        let is_empty =
            before.is_none_or(serde_json::Map::is_empty) && applied.is_none_or(serde_json::Map::is_empty);
        if map.relationship == Relationship::Atomic || is_empty {
            return (leaf(left, right), Vec::new());
        }
        let names: BTreeSet<&String> =
            [before, applied].into_iter().flatten().flat_map(|o| o.keys()).collect();
        let mut merged = serde_json::Map::new();
        let mut errors = Vec::new();
        for name in names {
            let (left, right) = (before.and_then(|o| o.get(name)), applied.and_then(|o| o.get(name)));
            let (value, wrong) = self.value(left, right, map.field_type(name));
            errors.extend(below(|| format!(".{name}"), wrong));
            if let Some(value) = value {
                merged.insert(name.clone(), value);
            }
        }
        ((!merged.is_empty()).then_some(Value::Object(merged)), errors)
    }

    fn list(&self, list: &List, left: Option<&Value>, right: Option<&Value>) -> Merged {
        let (before, applied) = (element::items(left), element::items(right));
        if list.relationship == Relationship::Atomic || before.is_empty() && applied.is_empty() {
            return (leaf(left, right), Vec::new());
        }
        let mut errors = Vec::new();
        let applied = self.index(list, applied, OnDuplicate::Refuse, &mut errors);
        let before = self.index(list, before, OnDuplicate::Keep, &mut errors);
        if !errors.is_empty() {
            return (None, errors);
        }
        let merged = self.zip(list, &before, &applied);
        ((!merged.is_empty()).then_some(Value::Array(merged)), Vec::new())
    }

    fn index<'v>(
        &self,
        list: &List,
        items: &'v [Value],
        on_duplicate: OnDuplicate,
        errors: &mut Vec<ValidationError>,
    ) -> Items<'v> {
        let mut indexed = Items::default();
        for (index, value) in items.iter().enumerate() {
            let element = match element::item(self.schema, list, value) {
                Ok(element) => element,
                Err(why) => {
                    errors.extend(one(format!("element {index}: {why}")));
                    continue;
                }
            };
            let is_duplicate = indexed.by_element.contains_key(&element);
            if is_duplicate && on_duplicate == OnDuplicate::Refuse {
                errors.extend(one(format!("duplicate entries for key {}", readable(&element))));
                continue;
            }
            // Items of one key cannot be merged with a new value; they stand aside for it.
            indexed.by_element.insert(element.clone(), if is_duplicate { &Value::Null } else { value });
            indexed.in_order.push((element, value));
        }
        indexed
    }

    fn zip(&self, list: &List, before: &Items<'_>, applied: &Items<'_>) -> Vec<Value> {
        let mut shared: VecDeque<&String> = applied
            .in_order
            .iter()
            .map(|(element, _)| element)
            .filter(|element| before.by_element.contains_key(*element))
            .collect();
        let mut next_shared = shared.pop_front();
        let mut done: BTreeSet<&String> = BTreeSet::new();
        let mut merged = Vec::new();
        // Errors within an item were found when the whole value was validated.
        let mut take = |left: Option<&Value>, right: Option<&Value>| {
            merged.extend(self.value(left, right, &list.element).0);
        };
        let (mut l, mut r) = (0, 0);
        while l < before.in_order.len() || r < applied.in_order.len() {
            let (left, right) = (before.in_order.get(l), applied.in_order.get(r));
            if let (Some((element, _)), Some((other, _))) = (left, right) {
                if element == other {
                    done.insert(element);
                    take(before.get(element), applied.get(element));
                    (l, r) = (l + 1, r + 1);
                    next_shared = shared.pop_front();
                    continue;
                }
                if applied.get(element).is_some() && next_shared.is_some_and(|next| next != element) {
                    l += 1;
                    continue;
                }
            }
            if let Some((element, value)) = left {
                if applied.get(element).is_none() {
                    take(Some(value), None);
                    l += 1;
                    continue;
                }
                if done.contains(element) {
                    l += 1;
                }
            }
            if let Some((element, _)) = right {
                done.insert(element);
                take(before.get(element), applied.get(element));
                r += 1;
                if next_shared == Some(element) {
                    next_shared = shared.pop_front();
                }
            }
        }
        merged
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum OnDuplicate {
    Refuse,
    Keep,
}

#[derive(Default)]
struct Items<'v> {
    in_order: Vec<(String, &'v Value)>,
    by_element: BTreeMap<String, &'v Value>,
}

impl Items<'_> {
    fn get(&self, element: &str) -> Option<&Value> {
        self.by_element.get(element).copied()
    }
}

fn single(kind: Scalar, left: Option<&Value>, right: Option<&Value>) -> Merged {
    let mut wrong = scalar(kind, left, "lhs: ");
    let also_wrong = scalar(kind, right, "rhs: ");
    // One side that fits is enough: the other is a value of another of the possible kinds.
    if wrong.is_empty() || also_wrong.is_empty() {
        return (leaf(left, right), Vec::new());
    }
    wrong.extend(also_wrong);
    (None, wrong)
}

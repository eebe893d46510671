//! Strategic merge patches: what an object becomes by one.
//!
//! Enters: an object as it is, and a patch. Leaves: the object as the patch wants it, or why it cannot be. What tells the items of
//! a list apart is the first key of its type, which in the built-in kinds is their patch key. Nothing of the server is looked at.
//!
//! Source: k8s.io/apimachinery `pkg/util/strategicpatch`.

use crate::answer::Refusal;
use crate::kinds::models;
use crate::scale::go_type;
use serde_json::{Map, Value};
use std::cmp::Ordering;
use std::sync::Arc;
use trueup_merge::structured::schema::{Atom, List, Relationship, Schema, TypeRef};

const DIRECTIVE: &str = "$patch";
const RETAINED: &str = "$retainKeys";
const ORDER: &str = "$setElementOrder/";
const DELETED: &str = "$deleteFromPrimitiveList/";

/// Merges as the built-in kinds' patch keys say.
pub(crate) struct StrategicMerge<'s> {
    pub(crate) schema: &'s Schema,
}

impl StrategicMerge<'_> {
    /// What an object of a type becomes.
    pub(crate) fn object(
        &self,
        mut live: Map<String, Value>,
        patch: &Map<String, Value>,
        reference: &TypeRef,
    ) -> Result<Map<String, Value>, Refusal> {
        let atom = &self.schema.resolve(reference).unwrap_or_default();
        match patch.get(DIRECTIVE) {
            None => {}
            Some(how) if how == "replace" => {
                let kept = patch.iter().filter(|(key, _)| *key != DIRECTIVE);
                return Ok(kept.map(|(key, value)| (key.clone(), value.clone())).collect());
            }
            Some(how) if how == "delete" => return Ok(Map::new()),
            Some(how) => return Err(unknown_directive(how, patch)),
        }
        retain(&mut live, patch)?;
        let orders = patch.iter().filter_map(|(key, order)| Some((key.strip_prefix(ORDER)?, order)));
        let orders: Vec<(&str, &Value)> = orders.collect();
        for (field, order) in &orders {
            self.ordered(&mut live, patch, field, order, atom)?;
        }
        for (key, value) in patch {
            if let Some(field) = key.strip_prefix(DELETED) {
                let gone = value.as_array().map(Vec::as_slice).unwrap_or_default();
                if let Some(items) = live.get_mut(field).and_then(Value::as_array_mut) {
                    items.retain(|item| !gone.contains(item));
                }
                continue;
            }
            let is_done = value.is_array() && orders.iter().any(|(field, _)| field == key);
            if key == RETAINED || key.starts_with(ORDER) || is_done {
                continue;
            }
            let merged = match (live.remove(key), value) {
                (_, Value::Null) => None,
                (Some(Value::Object(live)), Value::Object(patch)) => {
                    Some(Value::Object(self.object(live, patch, field_type(atom, key))?))
                }
                (Some(Value::Array(live)), Value::Array(patch)) if !is_replaced(reference, key) => {
                    Some(Value::Array(self.list(live, patch, field_type(atom, key))?))
                }
                (_, value) => without_directives(value),
            };
            if let Some(merged) = merged {
                live.insert(key.clone(), merged);
            }
        }
        Ok(live)
    }

    /// A list of which the patch says in which order its items come, be they in the patch or not.
    fn ordered(
        &self,
        live: &mut Map<String, Value>,
        patch: &Map<String, Value>,
        field: &str,
        order: &Value,
        atom: &Atom,
    ) -> Result<(), Refusal> {
        let order = order.as_array().ok_or_else(|| no_list(order))?;
        let lists = |value: Option<&Value>| match value {
            None => Ok(None),
            Some(Value::Array(items)) => Ok(Some(items.clone())),
            Some(other) => Err(no_list(other)),
        };
        let (before, patched) = (lists(live.get(field))?, lists(patch.get(field))?);
        let reference = field_type(atom, field);
        let key = self.key(reference);
        let key = key.as_deref();
        if let Some(patched) = &patched
            && !order.is_empty()
        {
            // What the patch brings comes in the order that it names.
            let mut named = order.iter();
            let brought = patched.iter().filter(|item| item.get(DIRECTIVE).is_none());
            for item in brought {
                if !named.any(|one| same(one, item, key)) {
                    let message = format!(
                        "The order in patch list:\n{}\n doesn't match $setElementOrder list:\n{}\n",
                        go(&Value::Array(patched.clone())),
                        go(&Value::Array(order.clone()))
                    );
                    return Err(Refusal::internal(message));
                }
            }
        }
        let items = match (before.clone(), &patched) {
            (None, None) => return Ok(()),
            (Some(before), None) => before,
            (None, Some(patched)) => patched.iter().filter_map(without_directives).collect(),
            (Some(before), Some(patched)) => self.list(before, patched, reference)?,
        };
        let items = arranged(items, order, &before.unwrap_or_default(), key);
        live.insert(field.to_owned(), Value::Array(items));
        Ok(())
    }

    fn list(&self, live: Vec<Value>, patch: &[Value], reference: &TypeRef) -> Result<Vec<Value>, Refusal> {
        let Some(list) = self.associative(reference) else { return Ok(patch.to_vec()) };
        if live.is_empty() && patch.is_empty() {
            return Ok(live);
        }
        let Some(key) = list.keys.first() else {
            let new = patch
                .iter()
                .enumerate()
                .filter(|(at, item)| !live.contains(item) && !patch[..*at].contains(item));
            let merged = live.iter().cloned().chain(new.map(|(_, item)| item.clone())).collect();
            return Ok(arranged(merged, patch, &live, None));
        };
        let mut live = live;
        let mut brought = Vec::new();
        let mut replaces = false;
        for item in patch {
            let fields = item.as_object().cloned().unwrap_or_default();
            match fields.get(DIRECTIVE) {
                None => brought.push(item.clone()),
                Some(how) if how == "delete" => {
                    let gone = fields.get(key).ok_or_else(|| no_key(&fields, key))?;
                    live.retain(|item| item.get(key) != Some(gone));
                }
                Some(how) if how == "replace" => replaces = true,
                Some(how) if how == "merge" => {
                    let message = "merging lists cannot yet be specified in the patch";
                    return Err(Refusal::internal(message.to_owned()));
                }
                Some(how) => return Err(unknown_directive(how, &fields)),
            }
        }
        if replaces {
            return Ok(brought);
        }
        let before = live.clone();
        for item in &brought {
            let fields = item.as_object().cloned().unwrap_or_default();
            let meant = fields.get(key).ok_or_else(|| no_key(&fields, key))?;
            match live.iter().position(|live| live.get(key) == Some(meant)) {
                Some(place) => {
                    let item = live[place].as_object_mut().map(std::mem::take).unwrap_or_default();
                    live[place] = Value::Object(self.object(item, &fields, &list.element)?);
                }
                // What is said to a merge within it is taken for its fields.
                None => live.push(item.clone()),
            }
        }
        Ok(arranged(live, &brought, &before, Some(key)))
    }

    fn associative(&self, reference: &TypeRef) -> Option<Arc<List>> {
        let list = self.schema.resolve(reference)?.list.clone()?;
        (list.relationship == Relationship::Associative).then_some(list)
    }

    fn key(&self, reference: &TypeRef) -> Option<String> {
        self.associative(reference)?.keys.first().cloned()
    }
}

fn field_type<'a>(atom: &'a Atom, key: &str) -> &'a TypeRef {
    static NOTHING: std::sync::LazyLock<TypeRef> = std::sync::LazyLock::new(TypeRef::default);
    atom.map.as_ref().map_or(&*NOTHING, |map| map.field_type(key))
}

/// Whether a list of a type is replaced by a patch as a whole, although applies merge it: few lists have no patch strategy and are sets or
/// maps all the same.
fn is_replaced(reference: &TypeRef, field: &str) -> bool {
    let Some(model) = reference.named.as_ref().and_then(|name| models().get(name)) else { return false };
    let said = |what: &str| model["properties"][field][what].as_str().unwrap_or_default();
    matches!(said("x-kubernetes-list-type"), "set" | "map")
        && !said("x-kubernetes-patch-strategy").contains("merge")
}

/// Takes away what is not to be kept, where the patch says what is.
fn retain(live: &mut Map<String, Value>, patch: &Map<String, Value>) -> Result<(), Refusal> {
    let Some(kept) = patch.get(RETAINED) else { return Ok(()) };
    let bad_format = || Refusal::bad_request("invalid patch format of retainKeys");
    let kept = kept.as_array().ok_or_else(bad_format)?;
    let is_kept = |key: &String| kept.iter().any(|one| one == key);
    let is_said = |(key, value): &(&String, &Value)| {
        !value.is_null() && *key != RETAINED && !key.starts_with(DELETED) && !key.starts_with(ORDER)
    };
    if !patch.iter().filter(is_said).all(|(key, _)| is_kept(key)) {
        return Err(bad_format());
    }
    live.retain(|key, _| is_kept(key));
    Ok(())
}

/// Brings items into order: those that `order` names as it names them, the others as they were before. Where both kinds were there
/// before, they stand to each other as they did then; what is new comes before what only the server has.
fn arranged(items: Vec<Value>, order: &[Value], before: &[Value], key: Option<&str>) -> Vec<Value> {
    let place = |among: &[Value], item: &Value| among.iter().position(|one| same(one, item, key));
    let (mut ours, mut theirs): (Vec<Value>, Vec<Value>) =
        items.into_iter().partition(|item| place(order, item).is_some());
    ours.sort_by_key(|item| place(order, item));
    theirs.sort_by(|a, b| match (place(before, a), place(before, b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        (_, _) => Ordering::Equal,
    });
    let mut all = Vec::with_capacity(ours.len() + theirs.len());
    let mut theirs = theirs.into_iter().peekable();
    for item in ours {
        let now = place(before, &item);
        let was_before = |other: &Value| matches!((place(before, other), now), (Some(a), Some(b)) if a < b);
        while let Some(other) = theirs.next_if(was_before) {
            all.push(other);
        }
        all.push(item);
    }
    all.extend(theirs);
    all
}

fn same(one: &Value, other: &Value, key: Option<&str>) -> bool {
    match key {
        Some(key) => one.get(key).is_some() && one.get(key) == other.get(key),
        None => one == other,
    }
}

/// What is new, without what is said to a merge; nothing where that is all that it is.
fn without_directives(value: &Value) -> Option<Value> {
    match value {
        Value::Object(fields) if fields.contains_key(DIRECTIVE) => None,
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(_, value)| !value.is_null());
            let kept = kept.filter_map(|(key, value)| Some((key.clone(), without_directives(value)?)));
            Some(Value::Object(kept.collect()))
        }
        Value::Array(items) => Some(Value::Array(items.iter().filter_map(without_directives).collect())),
        plain => Some(plain.clone()),
    }
}

fn unknown_directive(how: &Value, patch: &Map<String, Value>) -> Refusal {
    let how = how.as_str().map_or_else(|| format!("%!s({})", go(how)), str::to_owned);
    Refusal::internal(format!("unknown patch type: {how} in map: {}", go(&Value::Object(patch.clone()))))
}

fn no_key(item: &Map<String, Value>, key: &str) -> Refusal {
    let item = go(&Value::Object(item.clone()));
    Refusal::internal(format!("map: {item} does not contain declared merge key: {key}"))
}

fn no_list(value: &Value) -> Refusal {
    let found = if value.is_null() { "%!s(<nil>)" } else { go_type(value) };
    Refusal::internal(format!("expected a []interface {{}}, but received a {found}"))
}

/// A value as Go's `%v` prints it.
fn go(value: &Value) -> String {
    let joined = |parts: Vec<String>| parts.join(" ");
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(items) => format!("[{}]", joined(items.iter().map(go).collect())),
        Value::Object(fields) => {
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_by_key(|(key, _)| *key);
            format!(
                "map[{}]",
                joined(sorted.iter().map(|(key, value)| format!("{key}:{}", go(value))).collect())
            )
        }
    }
}

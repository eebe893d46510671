//! Lists that merge by key.
//!
//! Nearly every list has all its keys, each once; such lists are merged directly. The rest goes the long
//! way that kustomize goes for all of them, with the same results for missing and doubled keys.

use super::schema::ShapeId;
use super::strategic::{DIRECTIVE, Directive, Level, Merge, Mismatch, Outcome, directive};
use crate::spelled;
use crate::text;
use std::collections::{HashMap, HashSet};
use trueup_model::Value;

/// Merges `changes` into `items`.
pub(crate) fn merge(
    merge: Merge<'_>,
    items: &mut Vec<Value>,
    changes: &[Value],
    keys: &[String],
    element: Option<ShapeId>,
) -> Result<Outcome, Mismatch> {
    let Some(whole) = whole_directive(changes)? else {
        by_key(merge, items, changes, keys, element)?;
        return Ok(Outcome::Stays);
    };
    let rest = without(changes, whole);
    match whole {
        Directive::Delete => return Ok(Outcome::Goes),
        Directive::Replace => *items = fresh_items(merge, &rest, keys, element)?,
        Directive::Merge => by_key(merge, items, &rest, keys, element)?,
    }
    Ok(Outcome::Stays)
}

/// The directive that stands alone in an item and is about the whole list.
fn whole_directive(changes: &[Value]) -> Result<Option<Directive>, Mismatch> {
    let first =
        changes.iter().find_map(|change| change.as_object().filter(|fields| fields.contains_key(DIRECTIVE)));
    match first {
        // A directive with other fields beside it is about that item.
        Some(fields) if fields.len() == 1 => directive(fields),
        Some(_) | None => Ok(None),
    }
}

fn without(changes: &[Value], whole: Directive) -> Vec<Value> {
    changes.iter().filter(|change| !is_empty(change) && !says(change, whole)).cloned().collect()
}

/// A list that was not there before; `None` when the patch deletes it.
pub(crate) fn fresh(
    merge: Merge<'_>,
    changes: &[Value],
    keys: &[String],
    element: Option<ShapeId>,
    level: Level,
) -> Result<Option<Vec<Value>>, Mismatch> {
    let whole = match level {
        Level::Outer => None,
        Level::Inner => whole_directive(changes)?,
    };
    match whole {
        None => fresh_items(merge, changes, keys, element).map(Some),
        Some(Directive::Delete) => Ok(None),
        Some(whole @ (Directive::Replace | Directive::Merge)) => {
            fresh_items(merge, &without(changes, whole), keys, element).map(Some)
        }
    }
}

fn fresh_items(
    merge: Merge<'_>,
    changes: &[Value],
    keys: &[String],
    element: Option<ShapeId>,
) -> Result<Vec<Value>, Mismatch> {
    if keys.is_empty() {
        check_plain(changes)?;
    }
    if keys.is_empty() || tuples(changes, keys).is_some() {
        let mut seen = HashSet::new();
        let mut list = Vec::with_capacity(changes.len());
        for change in changes {
            if keys.is_empty() && !seen.insert(text::or_empty(Some(change))) {
                continue;
            }
            if let Some(item) = merge.fresh(change, element, Level::Inner)?
                && !is_empty(&item)
            {
                list.push(item);
            }
        }
        return Ok(list);
    }
    let mut items = changes.to_vec();
    long_way(merge, &mut items, changes, keys, element)?;
    Ok(items)
}

/// A list that the patch does not touch.
pub(crate) fn settle(
    merge: Merge<'_>,
    items: &mut Vec<Value>,
    keys: &[String],
    element: Option<ShapeId>,
) -> Result<(), Mismatch> {
    by_key(merge, items, &[], keys, element)
}

fn says(change: &Value, wanted: Directive) -> bool {
    change.as_object().is_some_and(|fields| matches!(directive(fields), Ok(Some(found)) if found == wanted))
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => false,
    }
}

fn by_key(
    merge: Merge<'_>,
    items: &mut Vec<Value>,
    changes: &[Value],
    keys: &[String],
    element: Option<ShapeId>,
) -> Result<(), Mismatch> {
    if keys.is_empty() {
        return plain_values(items, changes);
    }
    let (Some(old), Some(new)) = (tuples(items, keys), tuples(changes, keys)) else {
        return long_way(merge, items, changes, keys, element);
    };
    if changes.is_empty() {
        return items.iter_mut().try_for_each(|item| merge.settle(item, element));
    }
    let places: HashMap<&[String], usize> =
        old.iter().enumerate().map(|(at, tuple)| (&tuple[..], at)).collect();
    let mut old: Vec<Option<Value>> = std::mem::take(items).into_iter().map(Some).collect();
    let mut touched: Vec<Option<usize>> = Vec::with_capacity(changes.len());
    let mut added: Vec<Option<Value>> = Vec::with_capacity(changes.len());
    let mut is_touched = vec![false; old.len()];
    for (change, tuple) in changes.iter().zip(&new) {
        let place = places.get(&tuple[..]).copied();
        touched.push(place);
        added.push(None);
        if let Some((place, item)) = place.and_then(|place| old[place].as_mut().map(|item| (place, item))) {
            is_touched[place] = true;
            if merge_item(merge, item, change, element).map_err(|m| m.below(&tuple.join(",")))?
                == Outcome::Goes
            {
                old[place] = None;
            }
        } else {
            let item = merge.fresh(change, element, Level::Inner)?.filter(|item| !is_empty(item));
            if let Some(last) = added.last_mut() {
                *last = item;
            }
        }
    }
    for (item, _) in old.iter_mut().zip(&is_touched).filter(|(_, touched)| !**touched) {
        if let Some(item) = item {
            merge.settle(item, element)?;
        }
    }
    if keys.len() == 1 {
        for (place, added) in touched.into_iter().zip(added) {
            items.extend(place.and_then(|place| old[place].take()).or(added));
        }
    } else {
        items.extend(added.into_iter().flatten());
    }
    items.extend(old.into_iter().flatten());
    Ok(())
}

/// Merges one item; `$patch: replace` in it changes nothing.
fn merge_item(
    merge: Merge<'_>,
    item: &mut Value,
    change: &Value,
    element: Option<ShapeId>,
) -> Result<Outcome, Mismatch> {
    let replaces = change.as_object().map(directive).transpose()?.flatten() == Some(Directive::Replace);
    if replaces {
        return Ok(Outcome::Stays);
    }
    let outcome = merge.merge(item, change, element)?;
    Ok(if is_empty(item) { Outcome::Goes } else { outcome })
}

/// The key values of each item, when every item has all of them and no two have the same.
fn tuples(items: &[Value], keys: &[String]) -> Option<Vec<Vec<String>>> {
    let mut seen = HashSet::with_capacity(items.len());
    let mut tuples = Vec::with_capacity(items.len());
    for item in items {
        let tuple = tuple(item, keys);
        if tuple.iter().any(String::is_empty) || !seen.insert(tuple.clone()) {
            return None;
        }
        tuples.push(tuple);
    }
    Some(tuples)
}

fn tuple(item: &Value, keys: &[String]) -> Vec<String> {
    keys.iter().map(|key| spelled::unquoted(&text::or_empty(item.get(key))).to_owned()).collect()
}

/// What stands where a list of plain values, or one of mappings, must have something else.
fn misplaced(item: &Value) -> Mismatch {
    Mismatch::new(format!("{item} has no place in a list that merges"))
}

fn check_plain(items: &[Value]) -> Result<(), Mismatch> {
    let wrong = items.iter().find(|item| (item.is_object() || item.is_array()) && !is_empty(item));
    wrong.map_or(Ok(()), |item| Err(misplaced(item)))
}

/// A set of plain values: those of the patch first.
fn plain_values(items: &mut Vec<Value>, changes: &[Value]) -> Result<(), Mismatch> {
    check_plain(items)?;
    // One alone meets no other that it would be compared with.
    if changes.len() > 1 || !items.is_empty() {
        check_plain(changes)?;
    }
    let mut seen: HashSet<String> = HashSet::new();
    let old = std::mem::take(items);
    for item in changes.iter().cloned().chain(old) {
        if !is_empty(&item) && seen.insert(text::or_empty(Some(&item)).into_owned()) {
            items.push(item);
        }
    }
    Ok(())
}

/// Items by number, as a list of kustomize holds them by pointer: the same number is the same item.
type Numbers = Vec<usize>;

/// The state of a merge that cannot be done directly.
struct LongWay<'m, 's> {
    merge: Merge<'s>,
    element: Option<ShapeId>,
    store: Vec<Value>,
    old: Numbers,
    changes: &'m [Value],
}

fn long_way(
    merge: Merge<'_>,
    items: &mut Vec<Value>,
    changes: &[Value],
    keys: &[String],
    element: Option<ShapeId>,
) -> Result<(), Mismatch> {
    let mut tuples: Vec<Vec<String>> = Vec::new();
    let mut seen = HashSet::new();
    for item in changes.iter().chain(items.iter()) {
        let tuple = tuple(item, keys);
        if seen.insert(tuple.clone()) {
            tuples.push(tuple);
        }
    }
    if tuples.is_empty() {
        return Ok(());
    }
    if keys.len() > 1 {
        fill_gaps(&mut tuples);
    }
    let is_used = |index: usize| tuples.iter().any(|tuple| !tuple[index].is_empty());
    let mut used: Vec<usize> = (0..keys.len()).filter(|index| is_used(*index)).collect();
    if used.is_empty() {
        used = (0..keys.len()).collect();
    }
    let names: Vec<&str> = used.iter().map(|index| keys[*index].as_str()).collect();
    let store = std::mem::take(items);
    let old = (0..store.len()).collect();
    let mut way = LongWay { merge, element, store, old, changes };
    let mut merged = Numbers::new();
    for tuple in &tuples {
        let values: Vec<&str> = used.iter().map(|index| tuple[*index].as_str()).collect();
        way.place(&mut merged, &names, &values)?;
    }
    way.add_old(&mut merged, &names)?;
    *items = merged.into_iter().map(|number| way.store[number].clone()).collect();
    Ok(())
}

/// Two tuples that agree in one key and differ only where one of them is empty are the same.
fn fill_gaps(tuples: &mut [Vec<String>]) {
    for one in 0..tuples.len() {
        for two in 0..tuples.len() {
            if let Some(filled) = filled(&tuples[one], &tuples[two]) {
                tuples[one].clone_from(&filled);
                tuples[two] = filled;
            }
        }
    }
}

fn filled(one: &[String], two: &[String]) -> Option<Vec<String>> {
    let mut agree = false;
    let mut filled = Vec::with_capacity(one.len());
    for (a, b) in one.iter().zip(two) {
        if a == b {
            agree = true;
        } else if !a.is_empty() && !b.is_empty() {
            return None;
        }
        filled.push(if a.is_empty() { b.clone() } else { a.clone() });
    }
    agree.then_some(filled)
}

impl LongWay<'_, '_> {
    /// Merges the items of one tuple and puts the result into `merged`.
    fn place(&mut self, merged: &mut Numbers, keys: &[&str], values: &[&str]) -> Result<(), Mismatch> {
        match self.merged_item(keys, values)? {
            None => set_element(&self.store, &mut self.old, keys, values, None)?,
            Some(number) => {
                if let Value::Object(fields) = &mut self.store[number] {
                    for (key, value) in keys.iter().zip(values).filter(|(_, value)| !value.is_empty()) {
                        if !fields.contains_key(*key) {
                            fields.insert((*key).to_owned(), text::plain(value));
                        }
                    }
                }
                set_element(&self.store, merged, keys, values, Some(number))?;
            }
        }
        Ok(())
    }

    fn merged_item(&mut self, keys: &[&str], values: &[&str]) -> Result<Option<usize>, Mismatch> {
        let given: Vec<(&str, &str)> =
            keys.iter().copied().zip(values.iter().copied()).filter(|(_, value)| !value.is_empty()).collect();
        let wanted =
            if given.is_empty() { keys.iter().copied().zip(values.iter().copied()).collect() } else { given };
        let fits = |item: &Value| {
            wanted.iter().all(|(key, value)| {
                item.get(key).is_some_and(|found| text::of(found).is_some_and(|text| text == *value))
            })
        };
        let old = self.old.iter().copied().find(|number| fits(&self.store[*number]));
        let change = self.changes.iter().find(|change| fits(change));
        let number = match (old, change) {
            (None, None) => return Ok(None),
            (Some(number), None) => {
                self.merge.settle(&mut self.store[number], self.element)?;
                number
            }
            (Some(number), Some(change)) => {
                if merge_item(self.merge, &mut self.store[number], change, self.element)? == Outcome::Goes {
                    return Ok(None);
                }
                number
            }
            (None, Some(change)) => {
                let Some(fresh) = self.merge.fresh(change, self.element, Level::Inner)? else {
                    return Ok(None);
                };
                self.store.push(fresh);
                self.store.len() - 1
            }
        };
        Ok((!is_empty(&self.store[number])).then_some(number))
    }

    /// Puts what was there before behind what the patch brought.
    fn add_old(&self, merged: &mut Numbers, keys: &[&str]) -> Result<(), Mismatch> {
        for number in &self.old {
            let item = &self.store[*number];
            if !item.is_object() && !item.is_null() {
                return Err(misplaced(item));
            }
            let mut values: Vec<String> = Vec::with_capacity(keys.len());
            for key in keys {
                match self.store[*number].get(key).and_then(text::of) {
                    Some(value) => values.push(value.into_owned()),
                    None => merged.push(*number),
                }
            }
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            if keys.len() > 1 {
                set_element(&self.store, merged, keys, &values, None)?;
            }
            set_element(&self.store, merged, keys, &values, Some(*number))?;
        }
        Ok(())
    }
}

/// Puts `element` in the place of each item that has the values, or at the end; without one, removes them.
/// An empty value stands for any; where values are missing altogether nothing but `element` is kept.
fn set_element(
    store: &[Value],
    list: &mut Numbers,
    keys: &[&str],
    values: &[&str],
    element: Option<usize>,
) -> Result<(), Mismatch> {
    let by_key =
        keys.first().is_some_and(|key| !key.is_empty()) && values.first().is_some_and(|v| !v.is_empty());
    let mut kept = Numbers::with_capacity(list.len() + 1);
    let mut found = false;
    for number in list.iter().copied() {
        let item = &store[number];
        if is_empty(item) {
            continue;
        }
        if !item.is_object() && by_key {
            kept.push(number);
            continue;
        }
        if !item.is_object() && !values.is_empty() {
            return Err(misplaced(item));
        }
        if !has(item, keys, values) {
            if !values.is_empty() {
                kept.push(number);
            }
            continue;
        }
        found = true;
        kept.extend(element);
    }
    if !found {
        kept.extend(element);
    }
    *list = kept;
    Ok(())
}

fn has(item: &Value, keys: &[&str], values: &[&str]) -> bool {
    let mut last = false;
    for (index, key) in keys.iter().enumerate() {
        if let Some(value) = values.get(index) {
            last = item
                .get(key)
                .is_some_and(|found| value.is_empty() || text::of(found).is_some_and(|text| text == *value));
        }
        if !last {
            return false;
        }
    }
    true
}

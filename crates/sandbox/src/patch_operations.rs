//! JSON patches, as the API server carries them out.
//!
//! Enters: a value and a list of operations. Leaves: the value as they want it, or that they do not go with it. What differs from
//! the standard: an object's field is replaced whether it was there or not, places in lists are also counted from their ends,
//! and where an operation has no `value`, null is meant.
//!
//! Source: RFC 6902; github.com/evanphx/json-patch v4.

use serde_json::{Map, Value};

/// A patch that does not go with what it is for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DoesNotApply;

type Outcome<T> = Result<T, DoesNotApply>;

/// Carries out the operations one after the other. What stands before one that does not apply has been done by then.
pub(crate) fn apply(document: &mut Value, operations: &[Map<String, Value>]) -> Outcome<()> {
    operations.iter().try_for_each(|operation| one(document, operation))
}

fn one(document: &mut Value, operation: &Map<String, Value>) -> Outcome<()> {
    let text = |field: &str| operation.get(field).and_then(Value::as_str).ok_or(DoesNotApply);
    let value = || operation.get("value").cloned().unwrap_or_default();
    let path = text("path")?;
    match text("op")? {
        "add" => add(document, path, value()),
        "remove" => remove(document, path).map(drop),
        "replace" => replace(document, path, value()),
        "move" => {
            let moved = remove(document, text("from")?)?;
            add(document, path, moved)
        }
        "copy" => {
            let copied = found(document, text("from")?)?;
            add(document, path, copied)
        }
        "test" => {
            let there = if path.is_empty() { document.clone() } else { found(document, path)? };
            if there == value() { Ok(()) } else { Err(DoesNotApply) }
        }
        _ => Err(DoesNotApply),
    }
}

/// What holds the last part of a path, and that part.
fn holder<'v>(document: &'v mut Value, path: &str) -> Outcome<(&'v mut Value, String)> {
    let mut parts = path.split('/').skip(1).map(|part| part.replace("~1", "/").replace("~0", "~")).peekable();
    let mut place = document;
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return Ok((place, part));
        }
        place = match place {
            Value::Object(fields) => fields.get_mut(&part).ok_or(DoesNotApply)?,
            Value::Array(items) => {
                let index = index(&part, items.len()).filter(|index| *index < items.len());
                index.map(|index| &mut items[index]).ok_or(DoesNotApply)?
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return Err(DoesNotApply),
        };
    }
    Err(DoesNotApply)
}

/// A place in a list of so many; below zero it is counted from the end.
fn index(part: &str, length: usize) -> Option<usize> {
    match part.parse::<usize>() {
        Ok(index) => Some(index),
        Err(_) => length.checked_sub(part.strip_prefix('-')?.parse().ok()?),
    }
}

fn found(document: &mut Value, path: &str) -> Outcome<Value> {
    let (holder, key) = holder(document, path)?;
    match holder {
        Value::Object(fields) => Ok(fields.get(&key).cloned().unwrap_or_default()),
        Value::Array(items) => {
            index(&key, items.len()).and_then(|index| items.get(index).cloned()).ok_or(DoesNotApply)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Err(DoesNotApply),
    }
}

fn add(document: &mut Value, path: &str, value: Value) -> Outcome<()> {
    let (holder, key) = holder(document, path)?;
    match holder {
        Value::Object(fields) => drop(fields.insert(key, value)),
        Value::Array(items) if key == "-" => items.push(value),
        Value::Array(items) => {
            // The end is a place as well.
            let index = index(&key, items.len() + 1).filter(|index| *index <= items.len());
            items.insert(index.ok_or(DoesNotApply)?, value);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return Err(DoesNotApply),
    }
    Ok(())
}

fn remove(document: &mut Value, path: &str) -> Outcome<Value> {
    let (holder, key) = holder(document, path)?;
    match holder {
        Value::Object(fields) => fields.remove(&key).ok_or(DoesNotApply),
        Value::Array(items) => {
            let index = index(&key, items.len()).filter(|index| *index < items.len());
            Ok(items.remove(index.ok_or(DoesNotApply)?))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Err(DoesNotApply),
    }
}

fn replace(document: &mut Value, path: &str, value: Value) -> Outcome<()> {
    if path.is_empty() {
        if !value.is_object() && !value.is_array() {
            return Err(DoesNotApply);
        }
        *document = value;
        return Ok(());
    }
    let (holder, key) = holder(document, path)?;
    match holder {
        Value::Object(fields) => drop(fields.insert(key, value)),
        Value::Array(items) => {
            let index = index(&key, items.len()).ok_or(DoesNotApply)?;
            *items.get_mut(index).ok_or(DoesNotApply)? = value;
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return Err(DoesNotApply),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn patched(operations: &Value) -> Outcome<Value> {
        let mut document = json!({"a": {"b": [1, 2, 3], "c/d": "x"}, "n": null});
        let operations: Vec<Map<String, Value>> = serde_json::from_value(operations.clone()).unwrap();
        apply(&mut document, &operations).map(|()| document)
    }

    #[test]
    fn a_field_is_replaced_whether_it_was_there_or_not_and_an_item_only_where_it_was() {
        let changed = patched(&json!([{"op": "replace", "path": "/a/new", "value": 1}])).unwrap();
        assert_eq!(changed["a"]["new"], 1);
        assert_eq!(patched(&json!([{"op": "replace", "path": "/a/b/3", "value": 1}])), Err(DoesNotApply));
        assert_eq!(patched(&json!([{"op": "replace", "path": "/a/z/y", "value": 1}])), Err(DoesNotApply));
        assert_eq!(patched(&json!([{"op": "remove", "path": "/a/new"}])), Err(DoesNotApply));
    }

    #[test]
    fn places_in_lists_are_counted_from_both_ends() {
        let list = |operation: Value| patched(&json!([operation])).map(|document| document["a"]["b"].clone());
        assert_eq!(list(json!({"op": "add", "path": "/a/b/-", "value": 4})), Ok(json!([1, 2, 3, 4])));
        assert_eq!(list(json!({"op": "add", "path": "/a/b/3", "value": 4})), Ok(json!([1, 2, 3, 4])));
        assert_eq!(list(json!({"op": "add", "path": "/a/b/-1", "value": 4})), Ok(json!([1, 2, 3, 4])));
        assert_eq!(list(json!({"op": "add", "path": "/a/b/4", "value": 4})), Err(DoesNotApply));
        assert_eq!(list(json!({"op": "remove", "path": "/a/b/-1"})), Ok(json!([1, 2])));
        assert_eq!(list(json!({"op": "replace", "path": "/a/b/0", "value": 9})), Ok(json!([9, 2, 3])));
    }

    #[test]
    fn what_is_moved_copied_and_tested_is_found_by_its_path() {
        let all = json!([
            {"op": "test", "path": "/a/c~1d", "value": "x"},
            {"op": "move", "from": "/a/c~1d", "path": "/e"},
            {"op": "copy", "from": "/a/b/0", "path": "/f"},
            {"op": "test", "path": "/nothing", "value": null}]);
        assert_eq!(patched(&all), Ok(json!({"a": {"b": [1, 2, 3]}, "n": null, "e": "x", "f": 1})));
        assert_eq!(patched(&json!([{"op": "test", "path": "/e", "value": 1}])), Err(DoesNotApply));
        assert_eq!(patched(&json!([{"op": "other", "path": "/e"}])), Err(DoesNotApply));
    }
}

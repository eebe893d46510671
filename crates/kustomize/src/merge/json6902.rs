//! JSON patches.
//!
//! Source: RFC 6902, with the freedoms of the library that kustomize uses (evanphx/json-patch 4): negative
//! indices count from the end, and `replace` of a missing field adds it.

use crate::bounds;
use crate::text;
use serde_json::Map;
use trueup_model::Value;

/// One operation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Operation {
    kind: String,
    path: Option<String>,
    from: Option<String>,
    value: Value,
}

/// Reads the operations of a patch.
///
/// # Errors
/// An operation is not a mapping; in words.
pub(crate) fn operations(items: &[Value]) -> Result<Vec<Operation>, String> {
    let read = |(index, item): (usize, &Value)| {
        let Value::Object(fields) = item else {
            return Err(format!(
                "operation {index} of the JSON patch must be a mapping with op and path, not {}",
                text::kind_of(item)
            ));
        };
        let text = |field: &str| fields.get(field).and_then(Value::as_str).map(str::to_owned);
        Ok(Operation {
            kind: text("op").unwrap_or_default(),
            path: text("path"),
            from: text("from"),
            value: fields.get("value").cloned().unwrap_or(Value::Null),
        })
    };
    items.iter().enumerate().map(read).collect()
}

/// Applies the operations one after the other.
///
/// # Errors
/// The first operation that does not apply, in words. The object is then partly changed.
pub(crate) fn apply(object: &mut Value, operations: &[Operation]) -> Result<(), String> {
    operations.iter().enumerate().try_for_each(|(index, operation)| {
        operation.apply(object).map_err(|message| {
            let path = operation.path.as_deref().unwrap_or_default();
            format!("operation {index} ({} {path}) does not apply: {message}", operation.kind)
        })
    })
}

impl Operation {
    fn apply(&self, object: &mut Value) -> Result<(), String> {
        let path = self.path.as_deref().ok_or("it has no path")?;
        match self.kind.as_str() {
            "add" => add(object, path, self.value.clone()),
            "remove" => remove(object, path).map(drop),
            "replace" => replace(object, path, &self.value),
            "test" => test(object, path, &self.value),
            "move" => {
                let moved = remove(object, self.from()?)?;
                add(object, path, moved)
            }
            "copy" => {
                let (container, key) = find(object, self.from()?)?;
                let copied = get(container, &key)?.cloned().unwrap_or(Value::Null);
                add(object, path, copied)
            }
            other => Err(format!("{other:?} is no operation; use add, remove, replace, move, copy or test")),
        }
    }

    fn from(&self) -> Result<&str, String> {
        self.from.as_deref().ok_or_else(|| "it has no from".to_owned())
    }
}

/// The container that the last part of the path is in, and that part.
fn find<'v>(object: &'v mut Value, path: &str) -> Result<(&'v mut Value, String), String> {
    let parts: Vec<&str> = path.split('/').collect();
    let [_, between @ .., last] = parts.as_slice() else {
        return Err("the path must start with a slash and name a field".to_owned());
    };
    let mut container = object;
    for part in between {
        let key = unescape(part);
        let next = match container {
            Value::Object(fields) => fields.get_mut(&key),
            Value::Array(items) => {
                let index = index_in(&key, items.len())?;
                items.get_mut(index)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        };
        container = next
            .filter(|next| next.is_object() || next.is_array())
            .ok_or_else(|| format!("there is no {key} to go into"))?;
    }
    Ok((container, unescape(last)))
}

fn unescape(part: &str) -> String {
    part.replace("~1", "/").replace("~0", "~")
}

fn number(key: &str) -> Result<i64, String> {
    key.parse().map_err(|_| format!("{key:?} is no index of a list"))
}

/// The position of an item that is there; negative counts from the end.
fn index_in(key: &str, len: usize) -> Result<usize, String> {
    let index = number(key)?;
    let length = i64::try_from(len).unwrap_or(i64::MAX);
    let position = if index < 0 { index + length } else { index };
    usize::try_from(position)
        .ok()
        .filter(|position| *position < len)
        .ok_or_else(|| format!("the list has {len} items, there is no index {index}"))
}

fn get<'v>(container: &'v Value, key: &str) -> Result<Option<&'v Value>, String> {
    match container {
        Value::Object(fields) => Ok(fields.get(key)),
        Value::Array(items) => Ok(items.get(index_in(key, items.len())?)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(None),
    }
}

fn add(object: &mut Value, path: &str, value: Value) -> Result<(), String> {
    bounds::check(&value, path.matches('/').count())?;
    let (container, key) = find(object, path)?;
    match container {
        Value::Object(fields) => {
            fields.insert(key, value);
            Ok(())
        }
        Value::Array(items) if key == "-" => {
            items.push(value);
            Ok(())
        }
        Value::Array(items) => {
            // One past the end is a place to add at.
            let position = index_in(&key, items.len() + 1)?;
            items.insert(position, value);
            Ok(())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            Err("its place is neither a list nor a mapping".to_owned())
        }
    }
}

fn remove(object: &mut Value, path: &str) -> Result<Value, String> {
    let (container, key) = find(object, path)?;
    match container {
        Value::Object(fields) => fields.remove(&key).ok_or_else(|| format!("there is no {key}")),
        Value::Array(items) => Ok(items.remove(index_in(&key, items.len())?)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            Err(format!("there is no {key}"))
        }
    }
}

fn replace(object: &mut Value, path: &str, value: &Value) -> Result<(), String> {
    if path.is_empty() {
        if !value.is_object() {
            return Err("an object can be replaced by a mapping only".to_owned());
        }
        *object = value.clone();
        return Ok(());
    }
    bounds::check(value, path.matches('/').count())?;
    let (container, key) = find(object, path)?;
    match container {
        Value::Object(fields) => {
            fields.insert(key, value.clone());
        }
        Value::Array(items) => {
            let index = index_in(&key, items.len())?;
            items[index] = value.clone();
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            *container = Value::Object(Map::from_iter([(key, value.clone())]));
        }
    }
    Ok(())
}

fn test(object: &mut Value, path: &str, value: &Value) -> Result<(), String> {
    let found = if path.is_empty() {
        object.clone()
    } else {
        let (container, key) = find(object, path)?;
        get(container, &key)?.cloned().unwrap_or(Value::Null)
    };
    if found == *value {
        Ok(())
    } else {
        Err("the value there is another one than the patch expects".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(patch: &Value, wanted: Result<Value, &str>) {
        let mut object = json!({"a": [1, 2], "b": {"c/d": "x"}});
        let operations = operations(patch.as_array().unwrap()).unwrap();
        match (apply(&mut object, &operations), wanted) {
            (Ok(()), Ok(wanted)) => assert_eq!(object, wanted),
            (Err(message), Err(wanted)) => assert!(message.contains(wanted), "{message}"),
            (got, wanted) => panic!("{patch}: {got:?} is not {wanted:?}"),
        }
    }

    #[test]
    fn each_operation_does_what_the_rfc_says() {
        check(
            &json!([{"op": "add", "path": "/a/-", "value": 3}]),
            Ok(json!({"a": [1, 2, 3], "b": {"c/d": "x"}})),
        );
        check(
            &json!([{"op": "add", "path": "/a/2", "value": 3}]),
            Ok(json!({"a": [1, 2, 3], "b": {"c/d": "x"}})),
        );
        check(&json!([{"op": "remove", "path": "/a/-1"}]), Ok(json!({"a": [1], "b": {"c/d": "x"}})));
        check(
            &json!([{"op": "replace", "path": "/b/c~1d", "value": "y"}]),
            Ok(json!({"a": [1, 2], "b": {"c/d": "y"}})),
        );
        check(
            &json!([{"op": "move", "from": "/b", "path": "/c"}]),
            Ok(json!({"a": [1, 2], "c": {"c/d": "x"}})),
        );
        check(
            &json!([{"op": "copy", "from": "/a/0", "path": "/c"}, {"op": "test", "path": "/c", "value": 1}]),
            Ok(json!({"a": [1, 2], "b": {"c/d": "x"}, "c": 1})),
        );
        check(&json!([{"op": "remove", "path": "/x"}]), Err("there is no x"));
        check(&json!([{"op": "add", "path": "/x/y", "value": 1}]), Err("there is no x to go into"));
        check(&json!([{"op": "add", "path": "/a/7", "value": 1}]), Err("no index 7"));
        check(
            &json!([{"op": "test", "path": "/a/0", "value": 2}]),
            Err("another one than the patch expects"),
        );
        check(&json!([{"op": "set", "path": "/a"}]), Err("is no operation"));
    }
}

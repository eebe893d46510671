//! Field paths of replacements: `spec.containers.[name=web].image`, `spec.rules.*.host`, `spec.ports.0`.

use crate::path::{is_bracketed, list_key};
use crate::text;
use regex::Regex;
use serde_json::Map;
use trueup_model::Value;

/// What is made at the end of a path that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Create {
    Never,
    Scalar,
    Map,
    List,
}

/// The one value at a path; list items are found by index, by `-` for the last, or by the exact value of a key.
pub(crate) fn lookup<'v>(value: &'v Value, path: &[String]) -> Result<Option<&'v Value>, String> {
    let mut value = value;
    for part in path.iter().map(|part| part.trim()).filter(|part| !part.is_empty()) {
        let next = match value {
            Value::Null => None,
            Value::Array(items) => item(items, part)?,
            Value::Object(fields) if !is_bracketed(part) => fields.get(part),
            Value::Object(_) | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                return Err(format!("there is nothing for {part} to stand in"));
            }
        };
        match next {
            Some(next) => value = next,
            None => return Ok(None),
        }
    }
    Ok(Some(value))
}

fn item<'v>(items: &'v [Value], part: &str) -> Result<Option<&'v Value>, String> {
    if part == "-" {
        return Ok(items.last());
    }
    if let Ok(index) = part.parse::<usize>() {
        return Ok(items.get(index));
    }
    let (key, wanted) =
        list_key(part).ok_or_else(|| format!("{part} does not say which item of the list is meant"))?;
    let fits = |item: &&Value| {
        let found = if key.is_empty() { Some(*item) } else { item.get(key) };
        found.is_some_and(|found| text::of(found).is_some_and(|text| text == wanted))
    };
    Ok(items.iter().find(fits))
}

/// Hands over each value at a path and whether it was just made; `[key=value]` is an expression here, `*`
/// means every item. Gives the number of values.
pub(crate) fn visit(
    value: &mut Value,
    path: &[String],
    create: Create,
    set: &mut dyn FnMut(&mut Value, bool) -> Result<(), String>,
) -> Result<usize, String> {
    walk(value, path, create, false, set)
}

fn walk(
    value: &mut Value,
    path: &[String],
    create: Create,
    made: bool,
    set: &mut dyn FnMut(&mut Value, bool) -> Result<(), String>,
) -> Result<usize, String> {
    let Some((part, rest)) = path.split_first() else {
        set(value, made)?;
        return Ok(1);
    };
    if let Ok(index) = part.parse::<usize>() {
        let items = items_of(value, part)?;
        if index == items.len() && create != Create::Never {
            items.push(empty(rest, create));
            return walk(&mut items[index], rest, create, true, set);
        }
        let count = items.len();
        let item = items
            .get_mut(index)
            .ok_or_else(|| format!("the list has {count} items, there is no index {index}"))?;
        return walk(item, rest, create, made, set);
    }
    if part == "*" {
        let mut count = 0;
        for item in items_of(value, part)? {
            count += walk(item, rest, create, made, set)?;
        }
        return Ok(count);
    }
    if is_bracketed(part) {
        return keyed(items_of(value, part)?, part, rest, create, set);
    }
    field(value, part, rest, create, set)
}

fn items_of<'v>(value: &'v mut Value, part: &str) -> Result<&'v mut Vec<Value>, String> {
    match value {
        Value::Array(items) => Ok(items),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            Err(format!("{part} asks for a list, and there is none"))
        }
    }
}

fn keyed(
    items: &mut Vec<Value>,
    part: &str,
    rest: &[String],
    create: Create,
    set: &mut dyn FnMut(&mut Value, bool) -> Result<(), String>,
) -> Result<usize, String> {
    let (key, wanted) = list_key(part).ok_or_else(|| format!("{part} must be [field=value]"))?;
    let expression = Regex::new(wanted).map_err(|_| format!("{wanted:?} is not a regular expression"))?;
    let mut count = 0;
    for item in items.iter_mut() {
        let found = if key.is_empty() { Some(&*item) } else { item.get(key) };
        if !found.and_then(text::of).is_some_and(|text| expression.is_match(text.trim())) {
            continue;
        }
        count += if key.is_empty() {
            walk(item, &[], create, false, set)?
        } else {
            walk(item, rest, create, false, set)?
        };
    }
    if count > 0 || create == Create::Never {
        return Ok(count);
    }
    let mut item = text::plain(wanted);
    if !key.is_empty() {
        item = Value::Object(Map::from_iter([(key.to_owned(), item)]));
    }
    items.push(item);
    match items.last_mut() {
        Some(item) => walk(item, if key.is_empty() { &[] } else { rest }, create, false, set),
        None => Ok(0),
    }
}

fn field(
    value: &mut Value,
    part: &str,
    rest: &[String],
    create: Create,
    set: &mut dyn FnMut(&mut Value, bool) -> Result<(), String>,
) -> Result<usize, String> {
    if value.is_null() && create != Create::Never {
        *value = Value::Object(Map::new());
    }
    let fields = match value {
        Value::Null => return Ok(0),
        Value::Object(fields) => fields,
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            return Err(format!("there is no mapping for {part} to stand in"));
        }
    };
    let mut made = false;
    if !fields.contains_key(part) {
        if create == Create::Never {
            return Ok(0);
        }
        made = true;
        fields.insert(part.to_owned(), empty(rest, create));
    }
    let Some(next) = fields.get_mut(part) else { return Ok(0) };
    walk(next, rest, create, made, set)
}

/// What a missing part of a path is made of.
fn empty(rest: &[String], create: Create) -> Value {
    match rest.first() {
        Some(next) if is_bracketed(next) || next.parse::<usize>().is_ok() => Value::Array(Vec::new()),
        Some(_) => Value::Object(Map::new()),
        None => match create {
            Create::Never | Create::Scalar => Value::String(String::new()),
            Create::Map => Value::Object(Map::new()),
            Create::List => Value::Array(Vec::new()),
        },
    }
}

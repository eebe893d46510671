//! Maps. `set`, `unset` and the merges change the map that they are given.

use super::Entry;
use super::convert::{is_empty, kind, text};
use crate::context::Context;
use crate::error::Failure;
use crate::function::Arguments;
use crate::text::Text;
use crate::value::{Map, Type, Value};
use std::collections::BTreeMap;
use std::rc::Rc;

const MERGE: &str = "func(map[string]interface {}, ...map[string]interface {}) interface {}";

pub(super) const TABLE: &[Entry] = &[
    (&["dict"], "func(...interface {}) map[string]interface {}", |_, arguments| {
        let mut entries = BTreeMap::new();
        for pair in arguments.rest(0).chunks(2) {
            entries.insert(text(&pair[0])?, pair.get(1).cloned().unwrap_or_else(|| "".into()));
        }
        Ok(Value::Map(Map::new(Type::map(), entries)))
    }),
    (&["get"], "func(map[string]interface {}, string) interface {}", |_, arguments| {
        Ok(arguments.map(0)?.get(arguments.text(1)?).unwrap_or_else(|| "".into()))
    }),
    (
        &["set"],
        "func(map[string]interface {}, string, interface {}) map[string]interface {}",
        |_, arguments| {
            let map = arguments.map(0)?;
            if map.is_nil() {
                return Err("assignment to entry in nil map".into());
            }
            map.entries_mut().insert(arguments.text(1)?.clone(), arguments.any(2).clone());
            Ok(arguments.any(0).clone())
        },
    ),
    (&["unset"], "func(map[string]interface {}, string) map[string]interface {}", |_, arguments| {
        arguments.map(0)?.entries_mut().remove(&arguments.text(1)?[..]);
        Ok(arguments.any(0).clone())
    }),
    (&["hasKey"], "func(map[string]interface {}, string) bool", |_, arguments| {
        Ok(Value::Bool(arguments.map(0)?.entries().contains_key(&arguments.text(1)?[..])))
    }),
    (&["pluck"], "func(string, ...map[string]interface {}) []interface {}", |_, arguments| {
        let mut found = Vec::new();
        for index in 1..arguments.len() {
            found.extend(arguments.map(index)?.get(arguments.text(0)?));
        }
        Ok(Value::list(found))
    }),
    // Go's order is that of chance; this one is that of the keys.
    (&["keys"], "func(...map[string]interface {}) []string", |_, arguments| {
        let mut keys: Vec<Text> = Vec::new();
        for index in 0..arguments.len() {
            keys.extend(arguments.map(index)?.entries().keys().cloned());
        }
        Ok(Value::texts(keys))
    }),
    (&["values"], "func(map[string]interface {}) []interface {}", |_, arguments| {
        Ok(Value::list(arguments.map(0)?.entries().values().cloned()))
    }),
    (&["pick"], "func(map[string]interface {}, ...string) map[string]interface {}", |_, arguments| {
        let mut picked = BTreeMap::new();
        for index in 1..arguments.len() {
            let key = arguments.text(index)?;
            picked.extend(arguments.map(0)?.get(key).map(|value| (key.clone(), value)));
        }
        Ok(Value::Map(Map::new(Type::map(), picked)))
    }),
    (&["omit"], "func(map[string]interface {}, ...string) map[string]interface {}", |_, arguments| {
        let mut kept = arguments.map(0)?.entries().clone();
        for index in 1..arguments.len() {
            kept.remove(&arguments.text(index)?[..]);
        }
        Ok(Value::Map(Map::new(Type::map(), kept)))
    }),
    (&["merge", "mustMerge"], MERGE, |context, arguments| merge_all(context, arguments, Winner::Target)),
    (&["mergeOverwrite", "mustMergeOverwrite"], MERGE, |context, arguments| {
        merge_all(context, arguments, Winner::Source)
    }),
    (&["dig"], "func(...interface {}) (interface {}, error)", |_, arguments| dig(arguments)),
    (&["split"], "func(string, string) map[string]string", |_, arguments| {
        Ok(numbered(super::strings::split(arguments.text(1)?, arguments.text(0)?, -1)))
    }),
    (&["splitn"], "func(string, int, string) map[string]string", |_, arguments| {
        Ok(numbered(super::strings::split(arguments.text(2)?, arguments.text(0)?, arguments.int(1)?)))
    }),
];

/// Parts by `_0`, `_1`, …
fn numbered(parts: Vec<Text>) -> Value {
    let entries = parts.into_iter().enumerate();
    let entries = entries.map(|(index, part)| (Text::from(format!("_{index}")), Value::Text(part))).collect();
    Value::Map(Map::new(Type::Map(Rc::new(Type::Text)), entries))
}

/// Whose value stays where both have one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Winner {
    Target,
    Source,
}

fn merge_all(context: &mut Context<'_>, arguments: &Arguments, winner: Winner) -> Result<Value, Failure> {
    let mut target = arguments.map(0)?.clone();
    for index in 1..arguments.len() {
        let source = arguments.map(index)?;
        if target.is_nil() && !source.is_nil() {
            target = Map::new(target.type_of().clone(), BTreeMap::new());
        }
        merge(context, &target, source, winner, 0)?;
    }
    Ok(Value::Map(target))
}

/// A map, under whatever name.
fn map_of(value: &Value) -> Option<Map> {
    match value {
        Value::Map(map) => Some(map.clone()),
        Value::Object(object) => object.underlying().as_ref().and_then(map_of),
        _ => None,
    }
}

/// A map that takes any value.
fn open_map(value: Option<&Value>) -> Option<Map> {
    map_of(value?).filter(|map| *map.type_of().element() == Type::Any && !map.is_nil())
}

/// mergo's merge of maps: those that both have are merged in place.
fn merge(
    context: &mut Context<'_>,
    target: &Map,
    source: &Map,
    winner: Winner,
    depth: usize,
) -> Result<(), Failure> {
    if depth > 300 {
        return Err(Failure::limit("maps are nested too deeply to be merged"));
    }
    let entries: Vec<_> = source.entries().iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    for (key, theirs) in entries {
        context.spend(1)?;
        let ours = target.get(&key);
        if matches!(theirs, Value::Nil) {
            if winner == Winner::Source {
                target.entries_mut().insert(key, theirs);
            }
            continue;
        }
        let their_map = map_of(&theirs);
        match (&their_map, &theirs, open_map(ours.as_ref())) {
            (Some(theirs), _, Some(ours)) => merge(context, &ours, theirs, winner, depth + 1)?,
            // A list stays where the target has any entry; where it lacks this one, an empty list is there for a moment.
            (_, Value::List(_), _) if winner == Winner::Source || target.is_empty() => {
                target.entries_mut().insert(key.clone(), theirs.clone());
            }
            _ => {}
        }
        let has_own = ours.as_ref().is_some_and(|ours| !is_empty(ours));
        let both_are_maps = their_map.is_some() && ours.as_ref().and_then(map_of).is_some();
        let of_a_kind = both_are_maps || matches!(theirs, Value::List(_));
        if has_own && of_a_kind {
            continue;
        }
        if winner == Winner::Source || !has_own {
            target.entries_mut().insert(key, theirs);
        }
    }
    Ok(())
}

fn dig(arguments: &Arguments) -> Result<Value, Failure> {
    let all = arguments.rest(0);
    let [keys @ .., default, dict] = all else { return Err("dig needs at least three arguments".into()) };
    if keys.is_empty() {
        return Err("dig needs at least three arguments".into());
    }
    let mut found = as_map(dict)?;
    let mut path = Vec::with_capacity(keys.len());
    for key in keys {
        match key {
            Value::Text(text) => path.push(text.clone()),
            other => return Err(conversion(other, "string")),
        }
    }
    for (index, key) in path.iter().enumerate() {
        match found.get(key) {
            None => return Ok(default.clone()),
            Some(value) if index + 1 == path.len() => return Ok(value),
            Some(value) => found = as_map(&value)?,
        }
    }
    Ok(default.clone())
}

fn as_map(value: &Value) -> Result<Map, Failure> {
    match value {
        Value::Map(map) if *map.type_of() == Type::map() => Ok(map.clone()),
        other => Err(conversion(other, "map[string]interface {}")),
    }
}

/// What Go's type assertion says.
fn conversion(value: &Value, wanted: &str) -> Failure {
    let own = if kind(value) == "invalid" { "nil".to_owned() } else { value.type_name() };
    format!("interface conversion: interface {{}} is {own}, not {wanted}").into()
}

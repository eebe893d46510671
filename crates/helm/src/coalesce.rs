//! Coalescing: the values that each chart of a tree of charts sees.
//!
//! Maps are merged where they stand, as Helm merges them: a map can be part of the values of several charts, and what
//! one of them adds to it the others see. Keys that are null are taken out, unless it is said to keep them.

use crate::unit::Unit;
use crate::values::{copied, empty, part};
use trueup_template::{Map, Text, Value};

/// What becomes of keys that are null.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nulls {
    /// They take the key out.
    Remove,
    /// They stay.
    Keep,
    /// There are none, and nobody asks for the charts' own values again: what nothing stands over is taken from them, not copied.
    None,
}

const GLOBAL: &[u8] = b"global";
/// Tables within tables; what people write is a few deep.
const DEEPEST: usize = 500;
/// Values in all places where they are.
const MOST: usize = 1_000_000;

/// The values of a chart and the charts within it, with `given` over them. `given` is not changed.
pub(crate) fn coalesced(unit: &Unit, given: &Map, nulls: Nulls) -> Result<Map, String> {
    let values = copied(given);
    coalesce(unit, &values, nulls)?;
    Ok(values)
}

fn coalesce(unit: &Unit, values: &Map, nulls: Nulls) -> Result<(), String> {
    own_values(unit, values, nulls);
    for inner in &unit.charts {
        let name = inner.name.as_bytes();
        let own = match values.get(name) {
            None => {
                let own = empty();
                values.entries_mut().insert(name.into(), Value::Map(own.clone()));
                own
            }
            Some(Value::Map(own)) => own,
            Some(other) => return Err(format!("type mismatch on {}: {other:?}", inner.name)),
        };
        globals(&own, values)?;
        coalesce(inner, &own, nulls)?;
    }
    Ok(())
}

/// Gives a chart within another one the globals of that one.
fn globals(own: &Map, outer: &Map) -> Result<(), String> {
    let table = |values: &Map| match values.get(GLOBAL) {
        None => Some(empty()),
        Some(Value::Map(map)) => Some(map),
        Some(_) => None,
    };
    let (Some(own_globals), Some(outer_globals)) = (table(own), table(outer)) else { return Ok(()) };
    let entries: Vec<_> =
        outer_globals.entries().iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    for (key, value) in entries {
        match (value, own_globals.get(&key)) {
            (Value::Map(theirs), ours) => {
                // What is within this map stays shared with the outer chart.
                let ours = match ours {
                    None => None,
                    Some(Value::Map(ours)) => Some(ours),
                    Some(_) => continue,
                };
                let merged = Map::new(theirs.type_of().clone(), theirs.entries().clone());
                if let Some(ours) = ours {
                    tables(&merged, &ours, Nulls::Keep)?;
                }
                own_globals.entries_mut().insert(key, Value::Map(merged));
            }
            (_, Some(Value::Map(_))) => {}
            (value, _) => {
                own_globals.entries_mut().insert(key, value);
            }
        }
    }
    own.entries_mut().insert(GLOBAL.into(), Value::Map(own_globals));
    Ok(())
}

/// Puts the chart's own values below `values`. Of what stands there already nothing is copied.
fn own_values(unit: &Unit, values: &Map, nulls: Nulls) {
    for (key, default) in unit.values.entries().iter() {
        match (values.get(key), default) {
            (Some(Value::Nil), _) if nulls == Nulls::Remove => {
                values.entries_mut().remove(key);
            }
            (Some(Value::Map(over)), Value::Map(below)) => {
                let keeps = || unit.charts.iter().any(|chart| chart.name.as_bytes() == &key[..]);
                defaults(&over, below, if nulls == Nulls::Remove && keeps() { Nulls::Keep } else { nulls });
            }
            (Some(_), _) => {}
            (None, default) => add(values, key, default, nulls),
        }
    }
}

/// Puts defaults below values. Unlike [`tables`] it leaves them as they are: what is taken over is a copy.
fn defaults(values: &Map, defaults_below: &Map, nulls: Nulls) {
    for (key, default) in defaults_below.entries().iter() {
        match (values.get(key), default) {
            (Some(_), Value::Nil) => {}
            (Some(Value::Nil), _) => {
                if nulls == Nulls::Remove {
                    values.entries_mut().remove(key);
                }
            }
            (Some(Value::Map(over)), Value::Map(below)) => defaults(&over, below, nulls),
            (Some(_), _) => {}
            (None, default) => add(values, key, default, nulls),
        }
    }
}

/// Adds a copy of a default that nothing stands over.
fn add(values: &Map, key: &Text, default: &Value, nulls: Nulls) {
    let mut own = default.clone();
    match (&own, nulls) {
        (_, Nulls::None) => {}
        (Value::Nil, Nulls::Remove) => return,
        (Value::Map(map), Nulls::Remove) => own = Value::Map(without_nulls(map)),
        (_, Nulls::Remove | Nulls::Keep) => part(&mut own),
    }
    values.entries_mut().insert(key.clone(), own);
}

/// Merges `below` into `over`, whose values count. `below` is changed too.
///
/// # Errors
/// One of them comes to be within itself.
pub(crate) fn tables(over: &Map, below: &Map, nulls: Nulls) -> Result<(), String> {
    tables_within(over, below, nulls, 0)
}

fn tables_within(over: &Map, below: &Map, nulls: Nulls, depth: usize) -> Result<(), String> {
    if over.is(below) {
        return Ok(());
    }
    if depth > DEEPEST {
        return Err(endless());
    }
    let entries: Vec<_> = below.entries().iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    let unset: Vec<_> = over
        .entries()
        .iter()
        .filter(|(_, value)| matches!(value, Value::Nil))
        .map(|(key, _)| key.clone())
        .collect();
    for key in &unset {
        below.entries_mut().insert(key.clone(), Value::Nil);
    }
    for (key, default) in entries {
        match (over.get(&key), default) {
            (Some(Value::Nil), Value::Nil) => {}
            (Some(Value::Nil), _) => {
                if nulls == Nulls::Remove {
                    over.entries_mut().remove(&key);
                }
            }
            (None, default) => {
                over.entries_mut().insert(key, default);
            }
            (Some(Value::Map(over)), Value::Map(below)) => {
                tables_within(&over, &below, nulls, depth + 1)?;
            }
            (Some(_), _) => {}
        }
    }
    Ok(())
}

/// Refuses values that no one can go through: a map that is shared can come to be within itself, or in so many places that all of them
/// together are without measure.
///
/// # Errors
/// Which of the two it is.
pub(crate) fn check_bounds(values: &Map) -> Result<(), String> {
    let mut left = MOST;
    check_within(values, 0, &mut left)
}

fn check_within(values: &Map, depth: usize, left: &mut usize) -> Result<(), String> {
    if depth > DEEPEST {
        return Err(endless());
    }
    let entries = values.entries();
    *left = left.checked_sub(entries.len()).ok_or_else(|| format!("there are more than {MOST} values"))?;
    for value in entries.values() {
        if let Value::Map(inner) = value {
            check_within(inner, depth + 1, left)?;
        }
    }
    Ok(())
}

fn endless() -> String {
    format!("tables are more than {DEEPEST} deep, as one is within itself")
}

/// A copy of a map without what is null in it and in the maps within it.
fn without_nulls(map: &Map) -> Map {
    let entries = map.entries();
    let kept = entries.iter().filter_map(|(key, value)| {
        let mut own = value.clone();
        match &own {
            Value::Nil => return None,
            Value::Map(map) => own = Value::Map(without_nulls(map)),
            _ => part(&mut own),
        }
        Some((key.clone(), own))
    });
    Map::new(map.type_of().clone(), kept.collect())
}

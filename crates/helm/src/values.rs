//! Values: read from YAML, merged, and turned into what templates compute with.
//!
//! In comes text; out come maps. Numbers of a file are floats, as Go's JSON reads them; those of `--set` are integers.
//! Absent on purpose: what a chart makes of its values, which is [`coalesce`](crate::coalesce).

use std::collections::BTreeMap;
use trueup_model::yaml::{self, Dates, Doubled, Floats, Keys, Reading, Words, YamlError};
use trueup_template::{Map, Text, Type, Value};

/// Values, by their keys: what a file of values holds, or several after another.
pub type Values = serde_json::Map<String, serde_json::Value>;

/// The values are no map, or cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValuesError {
    /// The text is no YAML.
    #[error(transparent)]
    Yaml(#[from] YamlError),
    /// A document is something else than a map.
    #[error("line {line}: values are {found}, where a map was expected")]
    NoMap {
        /// Where the document begins, from 1.
        line: usize,
        /// What it is.
        found: &'static str,
    },
}

/// A key that is written twice counts the last time, as everywhere in Helm.
pub(crate) const READING: Reading = Reading {
    doubled: Doubled::LastCounts,
    words: Words::Yaml11,
    dates: Dates::AsWritten,
    keys: Keys::Words,
    floats: Floats::AsPrinted,
};

/// The values of a file: its documents, merged in their order.
///
/// # Errors
/// Text that is no YAML, or a document that is no map.
pub fn read_values(text: &str) -> Result<Values, ValuesError> {
    let mut values = Values::new();
    for document in yaml::documents_as(text, READING)? {
        match as_json_reads(document.value) {
            serde_json::Value::Object(map) if values.is_empty() => values = map,
            serde_json::Value::Object(map) => merge_values(&mut values, map),
            other => return Err(ValuesError::NoMap { line: document.line, found: kind(&other) }),
        }
    }
    Ok(values)
}

/// Puts values over others: maps are merged, everything else is replaced, null too.
pub fn merge_values(base: &mut Values, over: Values) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(serde_json::Value::Object(below)), serde_json::Value::Object(above)) => {
                merge_values(below, above);
            }
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

/// What a value is, in words.
pub(crate) fn kind(value: &serde_json::Value) -> &'static str {
    match value {
        serde_json::Value::Null => "null",
        serde_json::Value::Bool(_) => "a boolean",
        serde_json::Value::Number(_) => "a number",
        serde_json::Value::String(_) => "a string",
        serde_json::Value::Array(_) => "a list",
        serde_json::Value::Object(_) => "a map",
    }
}

/// All numbers as floats: Go's JSON knows no others.
pub(crate) fn as_json_reads(mut value: serde_json::Value) -> serde_json::Value {
    with_floats(&mut value);
    value
}

fn with_floats(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Number(number) => {
            if let (false, Some(float)) = (number.is_f64(), number.as_f64()) {
                *value = float.into();
            }
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(with_floats),
        serde_json::Value::Object(map) => map.values_mut().for_each(with_floats),
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::String(_) => {}
    }
}

/// The value as templates have it. Nothing is shared with an earlier one.
pub(crate) fn to_template(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::Nil,
        serde_json::Value::Bool(value) => Value::Bool(*value),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(int), _) => Value::int64(int),
            (None, float) => Value::float(float.unwrap_or_default()),
        },
        serde_json::Value::String(text) => Value::text(text.as_str()),
        serde_json::Value::Array(items) => Value::list(items.iter().map(to_template)),
        serde_json::Value::Object(map) => Value::Map(map_to_template(map)),
    }
}

/// As [`to_template`], of a map.
pub(crate) fn map_to_template(map: &Values) -> Map {
    let entries = map.iter().map(|(key, value)| (Text::from(key.as_str()), to_template(value)));
    Map::new(Type::map(), entries.collect())
}

/// An empty map.
pub(crate) fn empty() -> Map {
    Map::new(Type::map(), BTreeMap::new())
}

/// A copy that shares nothing that can change with the original.
pub(crate) fn copied(map: &Map) -> Map {
    let mut entries = map.entries().clone();
    entries.values_mut().for_each(part);
    Map::new(map.type_of().clone(), entries)
}

/// Parts a value from what it shares.
pub(crate) fn part(value: &mut Value) {
    match value {
        Value::Map(map) => *map = copied(map),
        Value::List(list) if !list.is_nil() => {
            let mut items = list.items().clone();
            items.iter_mut().for_each(part);
            *list = trueup_template::List::new(list.type_of().clone(), items);
        }
        Value::Nil
        | Value::Bool(_)
        | Value::Int(..)
        | Value::Uint(..)
        | Value::Float(..)
        | Value::Text(_)
        | Value::List(_)
        | Value::Object(_)
        | Value::Function(_) => {}
    }
}

/// The map at a path of keys with dots between them.
pub(crate) fn table(values: &Map, path: &str) -> Option<Map> {
    path.split('.').try_fold(values.clone(), |here, key| match here.get(key.as_bytes()) {
        Some(Value::Map(map)) => Some(map),
        _ => None,
    })
}

/// What stands at a path of keys with dots between them, if that is no map.
pub(crate) fn leaf(values: &Map, path: &str) -> Option<Value> {
    let (table_path, key) = path.rsplit_once('.').map_or((None, path), |(table, key)| (Some(table), key));
    let here = match table_path {
        Some(path) => table(values, path)?,
        None => values.clone(),
    };
    here.get(key.as_bytes()).filter(|value| !matches!(value, Value::Map(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn documents_are_merged_and_null_replaces() {
        let read = read_values("a: {b: 1, c: 2}\nl: [1]\n---\na: {b: null}\nl: [2]\n").unwrap();
        assert_eq!(serde_json::Value::Object(read), json!({"a": {"b": null, "c": 2.0}, "l": [2.0]}));
    }

    #[test]
    fn a_number_of_a_file_is_a_float() {
        let read = read_values("port: 1000000").unwrap();
        assert_eq!(format!("{:?}", to_template(&read["port"])), "1e+06");
    }

    #[test]
    fn values_that_are_no_map_are_refused_with_their_line() {
        let error = read_values("a: 1\n---\n- b\n").unwrap_err();
        assert_eq!(error.to_string(), "line 3: values are a list, where a map was expected");
    }
}

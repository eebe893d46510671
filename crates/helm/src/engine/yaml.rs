//! YAML and JSON between templates' values and texts, by way of JSON as Helm goes.

use crate::values::{READING, as_json_reads, to_template};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;
use trueup_model::yaml;
use trueup_template::{Map, Type, Uint, Value};

/// How deep values may be nested that become YAML.
const DEEPEST: usize = 250;

/// The value as YAML, without the last line break.
pub(super) fn written(value: &Value) -> Result<String, String> {
    let mut text = yaml::to_yaml(&json(value, 0)?);
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}

/// The value as YAML with the items of lists indented, without the last line break.
pub(super) fn pretty(value: &Value) -> Result<String, String> {
    let mut text = yaml::to_yaml_pretty(&json(value, 0)?);
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}

/// The value as JSON.
pub(super) fn json(value: &Value, depth: usize) -> Result<Json, String> {
    if depth > DEEPEST {
        return Err("a value is nested too deeply".into());
    }
    Ok(match value {
        Value::Nil => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Int(_, int) => Json::from(*int),
        Value::Uint(_, int) => Json::from(*int),
        Value::Float(_, float) => serde_json::Number::from_f64(*float)
            .map(Json::Number)
            .ok_or_else(|| format!("json: unsupported value: {float}"))?,
        Value::Text(text) => Json::String(text.to_string_lossy()),
        Value::List(list) if list.is_nil() => Json::Null,
        Value::List(list) if *list.type_of() == Type::List(Type::Uint(Uint::Uint8).into()) => {
            let items = list.items();
            let bytes = items.iter().filter_map(|item| match item {
                Value::Uint(_, byte) => u8::try_from(*byte).ok(),
                _ => None,
            });
            Json::String(STANDARD.encode(bytes.collect::<Vec<u8>>()))
        }
        Value::List(list) => {
            let items = list.items().iter().map(|item| json(item, depth + 1)).collect::<Result<_, _>>()?;
            Json::Array(items)
        }
        Value::Map(map) if map.is_nil() => Json::Null,
        Value::Map(map) => {
            let entries = map.entries();
            let entries =
                entries.iter().map(|(key, item)| Ok((key.to_string_lossy(), json(item, depth + 1)?)));
            Json::Object(entries.collect::<Result<_, String>>()?)
        }
        Value::Object(object) => match (object.underlying(), object.to_json_text()) {
            (Some(beneath), _) => json(&beneath, depth + 1)?,
            (None, Some(text)) => Json::String(text.to_string_lossy()),
            (None, None) => {
                let fields = object.fields().into_iter();
                let fields = fields.map(|(name, item)| Ok((name.to_string_lossy(), json(&item, depth + 1)?)));
                Json::Object(fields.collect::<Result<_, String>>()?)
            }
        },
        Value::Function(_) => return Err("json: unsupported type".into()),
    })
}

/// What a document is asked to be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Map,
    List,
}

impl Wanted {
    fn type_of(self) -> Type {
        match self {
            Self::Map => Type::map(),
            Self::List => Type::list(),
        }
    }

    /// What a document that holds nothing becomes.
    fn empty(self) -> Value {
        match self {
            Self::Map => Value::Map(crate::values::empty()),
            Self::List => Value::list([]),
        }
    }

    /// What JSON's null becomes.
    pub(super) fn nil(self) -> Value {
        match self {
            Self::Map => Value::Map(Map::nil(Type::map())),
            Self::List => Value::List(trueup_template::List::nil(Type::list())),
        }
    }

    /// How an error is handed to the template that asked.
    pub(super) fn with_error(self, error: &str) -> Value {
        match self {
            Self::Map => Value::map([("Error", Value::text(error))]),
            Self::List => Value::list([Value::text(error)]),
        }
    }

    /// Why JSON of this kind cannot be it.
    pub(super) fn refusal(self, found: &str) -> String {
        format!("json: cannot unmarshal {found} into Go value of type {}", self.type_of())
    }
}

/// The first document of a text, as it is wanted; in its place what is wrong.
pub(super) fn read(text: &str, wanted: Wanted) -> Value {
    let documents = match yaml::documents_as(first_document(text), READING) {
        Ok(documents) => documents,
        Err(error) => {
            let at = error.at.line;
            return wanted
                .with_error(&format!("error converting YAML to JSON: yaml: line {at}: {}", error.message));
        }
    };
    let Some(first) = documents.into_iter().next() else { return wanted.empty() };
    match (wanted, as_json_reads(first.value)) {
        (Wanted::Map, map @ Json::Object(_)) => to_template(&map),
        (Wanted::List, list @ Json::Array(_)) => to_template(&list),
        (_, other) => {
            let found = json_kind(&other);
            let why = format!("error unmarshaling JSON: while decoding JSON: {}", wanted.refusal(found));
            wanted.with_error(&why)
        }
    }
}

/// What Go calls a kind of JSON.
fn json_kind(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "bool",
        Json::Number(_) => "number",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}

/// The text up to where a second document begins: nobody looks at what stands there.
fn first_document(text: &str) -> &str {
    let mut begun = false;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end();
        let separates = bare == "---" || line.starts_with("--- ");
        if separates && begun {
            return &text[..at];
        }
        begun |= !separates && !bare.trim_start().is_empty() && !bare.trim_start().starts_with('#');
        at += line.len();
    }
    text
}

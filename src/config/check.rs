//! Holds a document against its schema and finds everything that does not fit, each with its position.
//!
//! Only the parts of JSON Schema that our types produce are known here. Values are never part of a message where
//! they could be secrets.

use super::duration;
use super::nearest::{nearest, suggestion};
use super::share;
use serde_json::{Map, Value};
use trueup_model::yaml::{Content, Node, Position};

/// Everything in `node` that does not fit the definition `name` of `schema`.
pub(super) fn check(node: &Node, schema: &Value, name: &str) -> Vec<(Position, String)> {
    let empty = Map::new();
    let definitions = schema.get("$defs").and_then(Value::as_object).unwrap_or(&empty);
    let mut check = Check { definitions, found: Vec::new() };
    if let Some(schema) = definitions.get(name) {
        check.node(node, schema, "");
    }
    check.found
}

struct Check<'s> {
    definitions: &'s Map<String, Value>,
    found: Vec<(Position, String)>,
}

impl<'s> Check<'s> {
    fn add(&mut self, at: Position, message: String) {
        self.found.push((at, message));
    }

    fn node(&mut self, node: &Node, schema: &'s Value, place: &str) {
        let schema = self.resolve(schema);
        if schema.get("x-secret") == Some(&Value::Bool(true)) && is_inline_secret(node) {
            let message = format!(
                "{place}: a secret is never written here: say {{env: NAME}} or {{file: PATH}}, or use `secretRef`"
            );
            return self.add(node.at, message);
        }
        if let Some(variants) = schema.get("oneOf").and_then(Value::as_array) {
            if variants.iter().all(|variant| names_of(variant).is_some()) {
                self.one_of_names(node, variants, place);
            } else {
                self.one_of_fields(node, variants, place);
            }
            return;
        }
        if names_of(schema).is_some() {
            return self.one_of_names(node, std::slice::from_ref(schema), place);
        }
        let types: Vec<&str> = match schema.get("type") {
            Some(Value::String(name)) => vec![name],
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            _ => return,
        };
        match &node.content {
            Content::Map(entries) if types.contains(&"object") => self.map(node.at, entries, schema, place),
            Content::List(items) if types.contains(&"array") => {
                let Some(schema) = schema.get("items") else { return };
                for (index, item) in items.iter().enumerate() {
                    self.node(item, schema, &format!("{place}[{index}]"));
                }
            }
            Content::Scalar(value) => self.scalar(node.at, value, &types, schema, place),
            Content::Map(_) | Content::List(_) => self.wrong_type(node, &types, place),
        }
    }

    /// The schema that stands behind references and the `anyOf` of a field that may be left out.
    fn resolve(&self, mut schema: &'s Value) -> &'s Value {
        loop {
            let name = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next());
            let optional = schema.get("anyOf").and_then(Value::as_array).and_then(|variants| {
                variants.iter().find(|variant| variant.get("type").and_then(Value::as_str) != Some("null"))
            });
            match name.and_then(|name| self.definitions.get(name)).or(optional) {
                Some(next) => schema = next,
                None => return schema,
            }
        }
    }

    fn map(&mut self, at: Position, entries: &[(String, Position, Node)], schema: &'s Value, place: &str) {
        let empty = Map::new();
        let properties = schema.get("properties").and_then(Value::as_object);
        let others = schema.get("additionalProperties");
        let mut meant: Vec<&str> = Vec::new();
        for (key, key_at, value) in entries {
            let inner = if place.is_empty() { key.clone() } else { format!("{place}.{key}") };
            match (properties.and_then(|properties| properties.get(key)), others) {
                // A field without a value counts as left out.
                (Some(_), _) if value.is_null() => {}
                (Some(schema), _) | (None, Some(schema @ Value::Object(_))) => {
                    self.node(value, schema, &inner);
                }
                (None, Some(Value::Bool(false))) => {
                    let known = properties.unwrap_or(&empty).keys().map(String::as_str);
                    meant.extend(nearest(key, known.clone()));
                    let near = suggestion(key, known, "there are no fields here");
                    self.add(*key_at, format!("unknown field `{key}`{}{near}", within(place)));
                }
                (None, _) => {}
            }
        }
        for name in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
            let Some(name) = name.as_str() else { continue };
            // A typo in the name of a field is one problem, not two.
            let written = entries.iter().any(|(key, _, value)| key == name && !value.is_null());
            if !written && !meant.contains(&name) {
                self.add(at, format!("missing field `{name}`{}", within(place)));
            }
        }
    }

    fn scalar(&mut self, at: Position, value: &Value, types: &[&str], schema: &Value, place: &str) {
        let fits = match value {
            Value::String(_) => types.contains(&"string"),
            Value::Bool(_) => types.contains(&"boolean"),
            Value::Number(number) => {
                types.contains(&"number") || (types.contains(&"integer") && !number.is_f64())
            }
            Value::Null | Value::Array(_) | Value::Object(_) => false,
        };
        if !fits {
            return self.wrong_type(&Node { at, content: Content::Scalar(value.clone()) }, types, place);
        }
        let read = match (value.as_str(), schema.get("format").and_then(Value::as_str)) {
            (Some(text), Some(duration::FORMAT)) => duration::parse(text).map(drop),
            (Some(text), Some(share::FORMAT)) => share::parse(text).map(drop),
            (_, _) => Ok(()),
        };
        if let Err(message) = read {
            self.add(at, format!("{place}: {message}"));
        }
        if let (Some(number), Some(minimum)) = (value.as_f64(), schema.get("minimum").and_then(Value::as_f64))
            && number < minimum
        {
            self.add(at, format!("{place}: has to be {minimum} or more"));
        }
        let too_large = schema.get("format").and_then(Value::as_str) == Some("uint32")
            && value.as_u64().is_some_and(|number| u32::try_from(number).is_err());
        if too_large {
            self.add(at, format!("{place}: has to be {} or less", u32::MAX));
        }
    }

    fn wrong_type(&mut self, node: &Node, types: &[&str], place: &str) {
        let expected = match types.iter().find(|name| **name != "null") {
            Some(&"object") => "a mapping",
            Some(&"array") => "a list",
            Some(&"string") => "text",
            Some(&"boolean") => "true or false",
            Some(&"integer") => "a whole number",
            Some(_) | None => "a number",
        };
        let (found, advice) = match &node.content {
            Content::Map(_) => ("a mapping", ""),
            Content::List(_) => ("a list", ""),
            Content::Scalar(Value::Null) => ("nothing", ""),
            Content::Scalar(Value::Bool(_)) if expected == "text" => ("a boolean", ", put it in quotes"),
            Content::Scalar(Value::Number(_)) if expected == "text" => ("a number", ", put it in quotes"),
            Content::Scalar(Value::Bool(_)) => ("a boolean", ""),
            Content::Scalar(Value::Number(_)) => ("a number", ""),
            Content::Scalar(Value::String(_) | Value::Array(_) | Value::Object(_)) => ("text", ""),
        };
        let place = if place.is_empty() { "the document" } else { place };
        self.add(node.at, format!("{place}: expected {expected}, found {found}{advice}"));
    }

    /// One of several words.
    fn one_of_names(&mut self, node: &Node, variants: &'s [Value], place: &str) {
        let names: Vec<&str> = variants.iter().filter_map(names_of).flatten().collect();
        match node.as_str() {
            Some(text) if names.contains(&text) => {}
            Some(text) => {
                let near = suggestion(text, names.iter().copied(), "");
                self.add(node.at, format!("{place}: `{text}` is not possible{near}"));
            }
            None => self.add(node.at, format!("{place}: expected one of: {}", names.join(", "))),
        }
    }

    /// A mapping with exactly one of several fields.
    fn one_of_fields(&mut self, node: &Node, variants: &'s [Value], place: &str) {
        let fields: Vec<(&str, &'s Value)> = variants
            .iter()
            .filter_map(|variant| variant.get("properties").and_then(Value::as_object))
            .flatten()
            .map(|(name, schema)| (name.as_str(), schema))
            .collect();
        let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
        let Some(entries) = node.as_map() else {
            let message = format!("{place}: expected a mapping with one of: {}", names.join(", "));
            return self.add(node.at, message);
        };
        let mut found: Option<&str> = None;
        let mut unknown = false;
        for (key, at, value) in entries {
            let Some((name, schema)) = fields.iter().find(|(name, _)| name == key) else {
                unknown = true;
                let near = suggestion(key, names.iter().copied(), "");
                self.add(*at, format!("unknown field `{key}`{}{near}", within(place)));
                continue;
            };
            match found {
                Some(first) => self.add(*at, format!("{place}: `{first}` and `{name}` exclude each other")),
                None => self.node(value, schema, &format!("{place}.{name}")),
            }
            found = found.or(Some(name));
        }
        if found.is_none() && !unknown {
            self.add(node.at, format!("{place}: needs one of: {}", names.join(", ")));
        }
    }
}

/// The words that a schema allows, if it allows only words.
fn names_of(schema: &Value) -> Option<Vec<&str>> {
    match (schema.get("const"), schema.get("enum")) {
        (Some(name), _) => Some(vec![name.as_str()?]),
        (None, Some(names)) => names.as_array()?.iter().map(Value::as_str).collect(),
        (None, None) => None,
    }
}

fn is_inline_secret(node: &Node) -> bool {
    match &node.content {
        Content::Scalar(value) => !value.is_null(),
        Content::Map(entries) => entries.iter().any(|(key, ..)| key == "value"),
        Content::List(_) => false,
    }
}

fn within(place: &str) -> String {
    if place.is_empty() { String::new() } else { format!(" in {place}") }
}

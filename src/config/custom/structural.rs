//! From the JSON schema of a type to the structural schema that a definition wants.
//!
//! Source: "Specifying a structural schema" of Kubernetes' page on custom resource definitions: a type everywhere, no references,
//! no `oneOf` that gives shape, no `additionalProperties: false`. Defaults are left out on purpose: they are the program's, so
//! that an object stays as it was written and a newer trueup may have others; where they say something, the description names them.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// The structural schema of a type.
pub(super) fn structural<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    convert(settings.into_generator().into_root_schema_for::<T>().as_value())
}

fn convert(schema: &Value) -> Value {
    let described = |mut shape: Map<String, Value>| {
        if let Some(text) = description(schema, &shape) {
            shape.insert("description".to_owned(), text.into());
        }
        Value::Object(shape)
    };
    if let Some(inner) = variants(schema, "anyOf").into_iter().find(|inner| kind(inner) != Some("null")) {
        let Value::Object(shape) = convert(inner) else { return json!({}) };
        return described(shape);
    }
    let choices = variants(schema, "oneOf");
    if !choices.is_empty() {
        return described(choice(&choices));
    }
    let mut shape = Map::new();
    match kind(schema) {
        // Either is fine: a number, or a text such as `10%`.
        Some(_) if takes(schema, "integer") && takes(schema, "string") => {
            shape.insert("x-kubernetes-int-or-string".to_owned(), true.into());
            shape.insert("anyOf".to_owned(), json!([{ "type": "integer" }, { "type": "string" }]));
            for keyword in ["pattern", "minimum"] {
                shape.extend(schema.get(keyword).map(|value| (keyword.to_owned(), value.clone())));
            }
        }
        // Any value at all, nothing included.
        None => {
            if let Some(names) = schema.get("enum") {
                shape.insert("type".to_owned(), "string".into());
                shape.insert("enum".to_owned(), names.clone());
            } else {
                shape.insert("x-kubernetes-preserve-unknown-fields".to_owned(), true.into());
                shape.insert("nullable".to_owned(), true.into());
            }
        }
        Some(name) => {
            shape.insert("type".to_owned(), name.into());
            for keyword in ["enum", "pattern", "minimum", "maximum", "required"] {
                if let Some(value) = schema.get(keyword) {
                    shape.insert(keyword.to_owned(), value.clone());
                }
            }
            if schema.get("format").and_then(Value::as_str) == Some("uint32") {
                shape.insert("maximum".to_owned(), u32::MAX.into());
            }
            if let Some(items) = schema.get("items") {
                shape.insert("items".to_owned(), convert(items));
            }
            if let Some(fields) = schema.get("properties").and_then(Value::as_object) {
                let fields = fields.iter().map(|(name, field)| (name.clone(), convert(field)));
                shape.insert("properties".to_owned(), Value::Object(fields.collect()));
            }
            if let Some(values) = schema.get("additionalProperties").filter(|values| **values != json!(false))
            {
                shape.insert("additionalProperties".to_owned(), convert(values));
            }
        }
    }
    described(shape)
}

/// One of several words, or exactly one of several fields.
fn choice(choices: &[&Value]) -> Map<String, Value> {
    let words: Vec<Value> = choices.iter().flat_map(|choice| words(choice)).collect();
    if !words.is_empty() {
        return Map::from_iter([("type".to_owned(), "string".into()), ("enum".to_owned(), words.into())]);
    }
    let mut fields = Map::new();
    for choice in choices {
        for (name, field) in choice.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let mut field = convert(field);
            // What is said of a variant is said of its field.
            if let (Some(shape), Some(text)) = (field.as_object_mut(), description(choice, &Map::new())) {
                shape.insert("description".to_owned(), text.into());
            }
            fields.insert(name.clone(), field);
        }
    }
    Map::from_iter([
        ("type".to_owned(), "object".into()),
        ("properties".to_owned(), fields.into()),
        ("minProperties".to_owned(), 1.into()),
        ("maxProperties".to_owned(), 1.into()),
    ])
}

fn words(choice: &Value) -> Vec<Value> {
    let several = choice.get("enum").and_then(Value::as_array).cloned();
    several.unwrap_or_else(|| choice.get("const").cloned().into_iter().collect())
}

fn variants<'s>(schema: &'s Value, keyword: &str) -> Vec<&'s Value> {
    schema.get(keyword).and_then(Value::as_array).map(|all| all.iter().collect()).unwrap_or_default()
}

/// The type, where one may be left out the other one.
fn kind(schema: &Value) -> Option<&str> {
    match schema.get("type")? {
        Value::Array(names) => names.iter().filter_map(Value::as_str).find(|name| *name != "null"),
        name => name.as_str(),
    }
}

fn takes(schema: &Value, name: &str) -> bool {
    variants(schema, "type").into_iter().any(|one| one == name)
}

/// What is said of it, on one line a paragraph, with the default where there is one that says something.
fn description(schema: &Value, shape: &Map<String, Value>) -> Option<String> {
    let own = schema.get("description").and_then(Value::as_str);
    let text = own.or_else(|| shape.get("description").and_then(Value::as_str))?;
    let paragraphs: Vec<String> =
        text.split("\n\n").map(|paragraph| paragraph.lines().collect::<Vec<_>>().join(" ")).collect();
    let text = paragraphs.join("\n\n");
    let default = match schema.get("default") {
        Some(Value::String(default)) => default.clone(),
        Some(Value::Number(default)) => default.to_string(),
        _ => return Some(text),
    };
    Some(format!("{text} Default {default}."))
}

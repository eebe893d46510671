//! `values.schema.json`: whether values are what a chart says that they should be.
//!
//! Drafts 4 to 2020-12. Nothing is fetched: a reference to `https://…` is refused, one to `urn:…` allows everything, as
//! in Helm. Patterns are those of RE2, and take linear time.

use crate::engine::as_json;
use crate::metadata::shortest;
use crate::unit::Unit;
use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use jsonschema::{PatternOptions, Retrieve, Uri, ValidationError};
use serde_json::Value as Json;
use std::error::Error;
use std::fmt::Write as _;
use trueup_template::{Map, Value};

/// How many refusals are told of one chart.
const MOST_TOLD: usize = 100;

/// Says what of the values does not fit, chart by chart; the text is empty where everything fits.
pub(crate) fn refusals(unit: &Unit<'_>, values: &Map) -> String {
    let mut text = String::new();
    if let Some(schema) = &unit.chart.schema
        && let Err(refusal) = check(schema, values)
    {
        text = format!("{}:\n{refusal}\n", unit.name);
    }
    for inner in &unit.charts {
        match values.get(inner.name.as_bytes()) {
            None | Some(Value::Nil) => {}
            Some(Value::Map(own)) => text.push_str(&refusals(inner, &own)),
            Some(other) => {
                let found = other.type_of().map_or_else(String::new, |own| own.to_string());
                let _ = writeln!(text, "{}:", inner.name);
                let _ = writeln!(text, "invalid type for values: expected object (map), got {found}");
            }
        }
    }
    text
}

fn check(schema: &[u8], values: &Map) -> Result<(), String> {
    let schema: Json =
        serde_json::from_slice(schema).map_err(|error| format!("values.schema.json: {error}"))?;
    let validator = jsonschema::options()
        .with_retriever(Offline)
        .with_base_uri("file:///values.schema.json")
        .with_pattern_options(PatternOptions::regex().size_limit(10 << 20))
        .build(&schema)
        .map_err(|error| format!("values.schema.json: {error}"))?;
    let values = whole_numbers(as_json(&Value::Map(values.clone()))?);
    let mut told: Vec<(String, Told)> = Vec::new();
    for error in validator.iter_errors(&values).take(MOST_TOLD) {
        let at = error.instance_path().to_string();
        match (told.last_mut(), told_of(&error)) {
            (Some((before, Told::Missing(all))), Told::Missing(more)) if *before == at => all.extend(more),
            (_, one) => told.push((at, one)),
        }
    }
    if told.is_empty() {
        return Ok(());
    }
    told.sort_by(|(one, _), (other, _)| one.cmp(other));
    let lines: Vec<String> = told.iter().map(|(at, told)| format!("- at '{at}': {}", told.text())).collect();
    Err(lines.join("\n"))
}

/// Answers references that lead out of the schema.
struct Offline;

impl Retrieve for Offline {
    fn retrieve(&self, uri: &Uri<String>) -> Result<Json, Box<dyn Error + Send + Sync>> {
        if uri.scheme().as_str() == "urn" {
            return Ok(Json::Bool(true));
        }
        Err(format!("{uri} is outside of the chart, and is not read").into())
    }
}

/// What is said of a refusal; properties that are missing are told together.
enum Told {
    Missing(Vec<String>),
    Other(String),
}

impl Told {
    fn text(&self) -> String {
        match self {
            Self::Missing(names) if names.len() == 1 => format!("missing property {}", quoted(names)),
            Self::Missing(names) => format!("missing properties {}", quoted(names)),
            Self::Other(text) => text.clone(),
        }
    }
}

fn told_of(error: &ValidationError<'_>) -> Told {
    if let Kind::Required { property } = error.kind() {
        return Told::Missing(vec![property.as_str().unwrap_or_default().to_owned()]);
    }
    Told::Other(words(error))
}

/// The refusal in the words of Helm's library.
fn words(error: &ValidationError<'_>) -> String {
    let instance = error.instance();
    let got = number(instance);
    match error.kind() {
        Kind::Type { kind } => format!("got {}, want {}", type_of(instance), wanted(kind)),
        Kind::Enum { options } => match options.as_array().map(Vec::as_slice) {
            Some([only]) => format!("value must be {}", shown(only)),
            Some(options) if options.iter().all(is_scalar) => {
                let options: Vec<String> = options.iter().map(shown).collect();
                format!("value must be one of {}", options.join(", "))
            }
            Some(_) | None => "'enum' failed".to_owned(),
        },
        Kind::Constant { expected_value } if is_scalar(expected_value) => {
            format!("value must be {}", shown(expected_value))
        }
        Kind::Constant { .. } => "'const' failed".to_owned(),
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            format!("additional properties {} not allowed", quoted(unexpected))
        }
        Kind::Minimum { limit } => format!("minimum: got {got}, want {}", number(limit)),
        Kind::Maximum { limit } => format!("maximum: got {got}, want {}", number(limit)),
        Kind::ExclusiveMinimum { limit } => format!("exclusiveMinimum: got {got}, want {}", number(limit)),
        Kind::ExclusiveMaximum { limit } => format!("exclusiveMaximum: got {got}, want {}", number(limit)),
        Kind::MultipleOf { multiple_of } => format!("multipleOf: got {got}, want {}", shortest(*multiple_of)),
        Kind::MinLength { limit } => format!("minLength: got {}, want {limit}", length(instance)),
        Kind::MaxLength { limit } => format!("maxLength: got {}, want {limit}", length(instance)),
        Kind::MinItems { limit } => format!("minItems: got {}, want {limit}", length(instance)),
        Kind::MaxItems { limit } => format!("maxItems: got {}, want {limit}", length(instance)),
        Kind::MinProperties { limit } => format!("minProperties: got {}, want {limit}", length(instance)),
        Kind::MaxProperties { limit } => format!("maxProperties: got {}, want {limit}", length(instance)),
        Kind::Pattern { pattern } => format!("{} does not match pattern '{pattern}'", shown(instance)),
        Kind::Format { format } => format!("{} is not valid {format}", shown(instance)),
        Kind::AnyOf { context } => format!("'anyOf' failed{}", causes(context)),
        Kind::OneOfNotValid { context } => format!("'oneOf' failed, none matched{}", causes(context)),
        Kind::OneOfMultipleValid { .. } => "'oneOf' failed, more than one matched".to_owned(),
        Kind::Not { .. } => "'not' failed".to_owned(),
        Kind::FalseSchema => "false schema".to_owned(),
        Kind::PropertyNames { error } => format!("invalid propertyName {}", shown(error.instance())),
        _ => error.to_string(),
    }
}

/// What each of several schemas refuses, a line for each.
fn causes(context: &[Vec<ValidationError<'static>>]) -> String {
    let lines = context.iter().flatten().take(MOST_TOLD).map(|error| {
        let text = told_of(error).text().replace('\n', "\n  ");
        format!("\n  - at '{}': {text}", error.instance_path())
    });
    lines.collect()
}

fn type_of(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(_) => "number",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}

fn wanted(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(one) => one.to_string(),
        TypeKind::Multiple(all) => {
            let names: Vec<String> = all.iter().map(|one| one.to_string()).collect();
            names.join(" or ")
        }
    }
}

fn is_scalar(value: &Json) -> bool {
    !value.is_array() && !value.is_object()
}

fn shown(value: &Json) -> String {
    match value {
        Json::String(text) => format!("'{}'", text.replace('\'', "\\'")),
        Json::Array(_) | Json::Object(_) => "value".to_owned(),
        Json::Null | Json::Bool(_) | Json::Number(_) => value.to_string(),
    }
}

fn quoted(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    names.join(", ")
}

fn number(value: &Json) -> String {
    value.as_f64().map_or_else(|| value.to_string(), shortest)
}

fn length(value: &Json) -> usize {
    match value {
        Json::String(text) => text.chars().count(),
        Json::Array(items) => items.len(),
        Json::Object(map) => map.len(),
        Json::Null | Json::Bool(_) | Json::Number(_) => 0,
    }
}

/// Floats without a fraction as integers: JSON does not tell them apart.
pub(crate) fn whole_numbers(value: Json) -> Json {
    match value {
        Json::Number(number) => {
            let whole = number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0);
            let int = whole.and_then(|float| format!("{float:.0}").parse::<i64>().ok());
            int.map_or(Json::Number(number), Json::from)
        }
        Json::Array(items) => items.into_iter().map(whole_numbers).collect(),
        Json::Object(map) => map.into_iter().map(|(key, value)| (key, whole_numbers(value))).collect(),
        other @ (Json::Null | Json::Bool(_) | Json::String(_)) => other,
    }
}

//! `values.schema.json`: whether values are what a chart says that they should be.
//!
//! Drafts 4 to 2020-12. Nothing is fetched: a reference to `https://…` is refused, one to `urn:…` allows everything, as
//! in Helm. Patterns are those of RE2, and take linear time.

use crate::engine::as_json;
use crate::metadata::shortest;
use crate::refusal::{self, Line, Refusal, Said, quoted};
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
    let refusals =
        validator.iter_errors(&values).take(MOST_TOLD).flat_map(|error| refusals_of(&error, &schema));
    let lines = refusal::lines(refusals.collect(), "", &[]);
    if lines.is_empty() { Ok(()) } else { Err(refusal::text(&lines, 0).trim_end().to_owned()) }
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

fn way(error: &ValidationError<'_>) -> Vec<String> {
    let steps = error.evaluation_path().as_str().split('/').skip(1);
    steps.map(|step| step.replace("~1", "/").replace("~0", "~")).collect()
}

/// What an error refuses: one thing, or each value that nothing else in the schema is for.
fn refusals_of(error: &ValidationError<'_>, schema: &Json) -> Vec<Refusal> {
    let (at, way) = (error.instance_path().to_string(), way(error));
    let each = |names: Vec<String>| {
        let is_forbidden = schema.pointer(error.schema_path().as_str()) == Some(&Json::Bool(false));
        let text = if is_forbidden { "false schema" } else { "does not fit what is left" };
        let said = || Said::Other(text.to_owned(), Vec::new());
        names
            .iter()
            .map(|name| Refusal { at: format!("{at}/{name}"), way: way.clone(), said: said() })
            .collect()
    };
    let said = match error.kind() {
        Kind::UnevaluatedProperties { unexpected } => {
            return each(unexpected.iter().map(|name| name.replace('~', "~0").replace('/', "~1")).collect());
        }
        Kind::UnevaluatedItems { unexpected } => {
            let items = error.instance().as_array().map_or(&[][..], Vec::as_slice).iter().enumerate();
            let found = items.filter(|(_, item)| unexpected.contains(&item.to_string()));
            return each(found.map(|(at, _)| at.to_string()).collect());
        }
        Kind::Required { property } => {
            let name = property.as_str().unwrap_or_default().to_owned();
            let by = asking(error, schema, &name);
            match by {
                Some(other) => Said::MissingFor(other, vec![name]),
                None => Said::Missing(vec![name]),
            }
        }
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
            Said::Other(words(error), causes(context, &at, &way, schema))
        }
        Kind::PropertyNames { error: inner } => {
            let below = refusal::line(refusals_of(inner, schema), "", &self::way(inner));
            let below = below.into_iter().map(|_| Line::new(String::new(), words(inner))).collect();
            Said::Other(words(error), below)
        }
        _ => Said::Other(words(error), Vec::new()),
    };
    vec![Refusal { at, way, said }]
}

/// The property that asks for the one that is missing.
fn asking(error: &ValidationError<'_>, schema: &Json, missing: &str) -> Option<String> {
    let at = error.schema_path().as_str();
    if !at.ends_with("/dependentRequired") && !at.ends_with("/dependencies") {
        return None;
    }
    let wanted =
        |names: &Json| names.as_array().is_some_and(|names| names.iter().any(|name| name == missing));
    let asking = schema.pointer(at)?.as_object()?.iter();
    let mut asking =
        asking.filter(|(name, names)| error.instance().get(name.as_str()).is_some() && wanted(names));
    asking.next().map(|(name, _)| name.clone())
}

/// What each of several schemas refuses.
fn causes(context: &[Vec<ValidationError<'static>>], at: &str, way: &[String], schema: &Json) -> Vec<Line> {
    let one = |(index, errors): (usize, &Vec<ValidationError<'static>>)| {
        let way = [way, &[index.to_string()]].concat();
        let refusals = errors.iter().take(MOST_TOLD).flat_map(|error| refusals_of(error, schema)).collect();
        refusal::line(refusals, at, &way)
    };
    context.iter().enumerate().filter_map(one).collect()
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
        Kind::AdditionalProperties { unexpected } => {
            format!("additional properties {} not allowed", quoted(unexpected))
        }
        Kind::Minimum { limit } => format!("minimum: got {got}, want {}", number(limit)),
        Kind::Maximum { limit } => format!("maximum: got {got}, want {}", number(limit)),
        Kind::ExclusiveMinimum { limit } => format!("exclusiveMinimum: got {got}, want {}", number(limit)),
        Kind::ExclusiveMaximum { limit } => format!("exclusiveMaximum: got {got}, want {}", number(limit)),
        Kind::MultipleOf { multiple_of } => {
            format!("multipleOf: got {got}, want {}", number(&Json::from(*multiple_of)))
        }
        Kind::MinLength { limit } => {
            format!("minLength: got {}, want {}", count(instance), grouped(&limit.to_string()))
        }
        Kind::MaxLength { limit } => {
            format!("maxLength: got {}, want {}", count(instance), grouped(&limit.to_string()))
        }
        Kind::MinItems { limit } => {
            format!("minItems: got {}, want {}", count(instance), grouped(&limit.to_string()))
        }
        Kind::MaxItems { limit } => {
            format!("maxItems: got {}, want {}", count(instance), grouped(&limit.to_string()))
        }
        Kind::MinProperties { limit } => {
            format!("minProperties: got {}, want {}", count(instance), grouped(&limit.to_string()))
        }
        Kind::MaxProperties { limit } => {
            format!("maxProperties: got {}, want {}", count(instance), grouped(&limit.to_string()))
        }
        Kind::Pattern { pattern } => {
            format!("{} does not match pattern {}", shown(instance), quoted(std::slice::from_ref(pattern)))
        }
        Kind::Format { format } => format!("{} is not valid {format}", shown(instance)),
        Kind::AnyOf { .. } => "'anyOf' failed".to_owned(),
        Kind::OneOfNotValid { .. } => "'oneOf' failed, none matched".to_owned(),
        Kind::OneOfMultipleValid { context } => {
            let fitting = context.iter().enumerate().filter(|(_, errors)| errors.is_empty());
            match fitting.map(|(index, _)| index).take(2).collect::<Vec<_>>()[..] {
                [one, other] => format!("'oneOf' failed, subschemas {one}, {other} matched"),
                _ => "'oneOf' failed, more than one matched".to_owned(),
            }
        }
        Kind::AdditionalItems { limit } => {
            format!("last {} additionalItem(s) not allowed", length(instance).saturating_sub(*limit))
        }
        Kind::Contains => "no items match contains schema".to_owned(),
        Kind::UniqueItems => match equal_items(instance) {
            Some((one, other)) => format!("items at {one} and {other} are equal"),
            None => "items are equal".to_owned(),
        },
        Kind::Not { .. } => "'not' failed".to_owned(),
        Kind::FalseSchema => "false schema".to_owned(),
        Kind::PropertyNames { error } => format!("invalid propertyName {}", shown(error.instance())),
        _ => error.to_string(),
    }
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
        Json::Null => "<nil>".to_owned(),
        Json::Bool(_) | Json::Number(_) => value.to_string(),
    }
}

/// The first items that are equal.
fn equal_items(list: &Json) -> Option<(usize, usize)> {
    let items = list.as_array()?;
    // Who has many items is not told which.
    let pairs = (0..items.len().min(1000)).flat_map(|other| (0..other).map(move |one| (one, other)));
    pairs.into_iter().find(|(one, other)| items[*one] == items[*other])
}

/// A number with commas between its thousands.
fn grouped(shown: &str) -> String {
    let (whole, fraction) = shown.split_at(shown.find('.').unwrap_or(shown.len()));
    let digits = whole.trim_start_matches('-').len();
    let mut out = String::with_capacity(shown.len() + digits / 3);
    for (at, c) in whole.chars().enumerate() {
        let left = whole.len() - at;
        if c != '-' && left < digits && left % 3 == 0 {
            out.push(',');
        }
        out.push(c);
    }
    out + fraction
}

/// A number as English has it: `1.5×10⁰⁸`.
fn number(value: &Json) -> String {
    let shown = value.as_f64().map_or_else(|| value.to_string(), shortest);
    let Some((digits, exponent)) = shown.split_once('e') else { return grouped(&shown) };
    let raised = exponent.chars().filter_map(|c| match c {
        '-' => Some('⁻'),
        c => "⁰¹²³⁴⁵⁶⁷⁸⁹".chars().nth(c.to_digit(10)? as usize),
    });
    format!("{digits}×10{}", raised.collect::<String>())
}

fn count(value: &Json) -> String {
    grouped(&length(value).to_string())
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

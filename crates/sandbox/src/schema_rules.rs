//! What a structural schema asks of an object.
//!
//! Enters: an object with its defaults, and the schema of its version. Leaves: what is wrong, in the server's words.
//!
//! Source: k8s.io/kube-openapi `pkg/validation/validate`.

use crate::answer::Cause;
use crate::rules::is_within;
use serde_json::Value;

/// Looks at a whole object.
pub(crate) fn check(object: &Value, schema: &Value, causes: &mut Vec<Cause>) {
    check_value(object, schema, "", causes);
}

/// What is wrong in a value; tells how much of it was looked at, by which the server chooses among several schemas of which none fits.
fn check_value(value: &Value, schema: &Value, at: &str, causes: &mut Vec<Cause>) -> usize {
    if value.is_null() && schema["nullable"] == true {
        check_allowed(value, schema, at, causes);
        return 0;
    }
    // What is of a wrong type is looked at as what it is, but for nothing at all.
    if !is_of_type(value, schema, at, causes) && value.is_null() {
        check_allowed(value, schema, at, causes);
        return 0;
    }
    check_allowed(value, schema, at, causes);
    bounds(value, schema, at, causes);
    check_text(value, schema, at, causes);
    let mut looks = looks(schema, value) + check_several(value, schema, at, causes);
    match value {
        Value::Object(object) => {
            for field in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                if !object.contains_key(field) {
                    causes.push(Cause {
                        reason: "FieldValueRequired",
                        message: "Required value".to_owned(),
                        field: join(at, field),
                    });
                }
            }
            for (name, value) in object {
                let below = schema["properties"].get(name).unwrap_or(&schema["additionalProperties"]);
                if below.is_object() && !(at.is_empty() && name == "metadata") {
                    looks += check_value(value, below, &join(at, name), causes);
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                looks += check_value(item, &schema["items"], &format!("{at}[{index}]"), causes);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    looks
}

/// How many of the server's validators look at a value without what is below it.
fn looks(schema: &Value, value: &Value) -> usize {
    // Two for any value, one for its own kind, one for what several schemas ask, and one for the whole.
    let of_kind = usize::from(!value.is_boolean());
    let is_typed = usize::from(schema["type"].is_string());
    let is_formed = usize::from(value.is_string() && schema["format"].is_string());
    4 + of_kind + is_typed + is_formed
}

fn check_text(value: &Value, schema: &Value, at: &str, causes: &mut Vec<Cause>) {
    let Value::String(text) = value else { return };
    let is_asked = matches!(schema["type"].as_str(), None | Some("string"));
    let format = schema["format"].as_str().filter(|format| is_asked && !crate::formats::has(text, format));
    if let Some(format) = format {
        let message =
            format!("Invalid value: {value}: {} in body must be of type {format}: {value}", named(at));
        causes.push(Cause { reason: "FieldValueTypeInvalid", message, field: named(at) });
    }
    if let Some(pattern) = schema["pattern"].as_str()
        && !is_within(pattern, text)
    {
        let message = format!("Invalid value: {value}: {} in body should match '{pattern}'", named(at));
        causes.push(invalid(at, message));
    }
}

fn invalid(at: &str, message: String) -> Cause {
    Cause { reason: "FieldValueInvalid", message, field: named(at) }
}

/// What several schemas ask of one value together.
fn check_several(value: &Value, schema: &Value, at: &str, causes: &mut Vec<Cause>) -> usize {
    let mut looks = 0;
    let told = |why: &str| Cause {
        reason: "FieldValueInvalid",
        message: format!("Invalid value: \"\": {at:?} {why}"),
        field: named(""),
    };
    let tried = |schemas: &Value| -> Vec<(usize, Vec<Cause>)> {
        let try_one = |schema: &Value| {
            let mut causes = Vec::new();
            (check_value(value, schema, at, &mut causes), causes)
        };
        schemas.as_array().into_iter().flatten().map(try_one).collect()
    };
    for (keyword, most, why) in [
        ("anyOf", usize::MAX, "must validate at least one schema (anyOf)"),
        ("oneOf", 1, "must validate one and only one schema (oneOf). "),
    ] {
        let all = tried(&schema[keyword]);
        let fitting = all.iter().filter(|(_, causes)| causes.is_empty()).count();
        if all.is_empty() {
            continue;
        }
        if fitting == 0 || fitting > most {
            let counted = match (keyword, fitting) {
                ("anyOf", _) => String::new(),
                (_, 0) => "Found none valid".to_owned(),
                (_, count) => format!("Found {count} valid alternatives"),
            };
            causes.push(told(&format!("{why}{counted}")));
        }
        // Of what does not fit, the one is told of of which most was looked at, and the first of several.
        let chosen = all.into_iter().filter(|(_, causes)| fitting == 0 || causes.is_empty());
        let best = chosen.reduce(|best, next| if next.0 > best.0 && fitting == 0 { next } else { best });
        if let Some((counted, wrong)) = best {
            looks += counted;
            causes.extend(wrong);
        }
    }
    let all = tried(&schema["allOf"]);
    let fitting = all.iter().filter(|(_, causes)| causes.is_empty()).count();
    if fitting != all.len() {
        let none = if fitting == 0 { ". None validated" } else { "" };
        causes.push(told(&format!("must validate all the schemas (allOf){none}")));
    }
    for (counted, wrong) in all {
        looks += counted;
        causes.extend(wrong);
    }
    if schema["not"].is_object() {
        let mut wrong = Vec::new();
        check_value(value, &schema["not"], at, &mut wrong);
        if wrong.is_empty() {
            causes.push(told("must not validate the schema (not)"));
        }
    }
    looks
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

// Whether the value is of the schema's type, as far as the server looks at it.
fn is_of_type(value: &Value, schema: &Value, at: &str, causes: &mut Vec<Cause>) -> bool {
    let found = type_of(value);
    let wanted = schema["type"].as_str();
    let fits = match wanted {
        None => true,
        Some("number") => matches!(found, "number" | "integer"),
        Some(wanted) => wanted == found,
    };
    let is_int_or_string = schema["x-kubernetes-int-or-string"] == true;
    let format = schema["format"].as_str();
    if wanted == Some("integer") && found == "number" {
        let told =
            format.map_or_else(|| "(default format)".to_owned(), |format| format!("with format {format}"));
        let message =
            format!("Invalid value: \"\": Checked value must be of type integer {told} in {}", named(at));
        causes.push(Cause { reason: "FieldValueInvalid", message, field: "<nil>".to_owned() });
    }
    // Where there is a format, the server compares that, and lists are never of a wrong one.
    if let (false, Some(format)) = (fits, format) {
        let shown = match found {
            "integer" => "int64",
            "number" => "float64",
            _ => "",
        };
        let is_told = !matches!(found, "null" | "array" | "string");
        if is_told {
            let message = format!(
                "Invalid value: {shown:?}: {} in body must be of type {format}: {shown:?}",
                named(at)
            );
            causes.push(Cause { reason: "FieldValueTypeInvalid", message, field: named(at) });
            return false;
        }
        if found == "array" && matches!(wanted, Some("string")) {
            return false;
        }
    }
    if !fits || is_int_or_string && !matches!(found, "integer" | "string") {
        let wanted = if is_int_or_string { "integer,string" } else { wanted.unwrap_or_default() };
        let shown = Value::from(found);
        let message =
            format!("Invalid value: {shown}: {} in body must be of type {wanted}: {shown}", named(at));
        causes.push(Cause { reason: "FieldValueTypeInvalid", message, field: named(at) });
        return false;
    }
    true
}

fn check_allowed(value: &Value, schema: &Value, at: &str, causes: &mut Vec<Cause>) {
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        let allowed: Vec<String> = allowed.iter().map(Value::to_string).collect();
        let message = format!("Unsupported value: {value}: supported values: {}", allowed.join(", "));
        causes.push(Cause { reason: "FieldValueNotSupported", message, field: named(at) });
    }
}

fn bounds(value: &Value, schema: &Value, at: &str, causes: &mut Vec<Cause>) {
    let wrong = |message: String| invalid(at, message);
    let at = named(at);
    let bound = |name: &str| schema[name].as_f64();
    if let Some(number) = value.as_f64() {
        let shown = &schema["minimum"];
        let is_open = schema["exclusiveMinimum"] == true;
        if bound("minimum").is_some_and(|least| number < least || is_open && number <= least) {
            let words = if is_open { "greater than" } else { "greater than or equal to" };
            causes.push(wrong(format!("Invalid value: {value}: {at} in body should be {words} {shown}")));
        }
        let shown = &schema["maximum"];
        let is_open = schema["exclusiveMaximum"] == true;
        if bound("maximum").is_some_and(|most| number > most || is_open && number >= most) {
            let words = if is_open { "less than" } else { "less than or equal to" };
            causes.push(wrong(format!("Invalid value: {value}: {at} in body should be {words} {shown}")));
        }
    }
    let length = match value {
        Value::String(text) => Some((text.chars().count(), "minLength", "maxLength", "chars long")),
        Value::Array(items) => Some((items.len(), "minItems", "maxItems", "items")),
        Value::Object(fields) => Some((fields.len(), "minProperties", "maxProperties", "properties")),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    };
    if let Some((length, least, most, what)) = length {
        let least = schema[least].as_u64().filter(|least| (length as u64) < *least);
        let most = schema[most].as_u64().filter(|most| (length as u64) > *most);
        let is_text = what == "chars long";
        let verb = if is_text { "should be" } else { "should have" };
        if let Some(least) = least {
            let shown = if is_text { value.clone() } else { length.into() };
            causes
                .push(wrong(format!("Invalid value: {shown}: {at} in body {verb} at least {least} {what}")));
        }
        if let Some(most) = most {
            causes.push(if is_text {
                let unit = if most == 1 { "byte" } else { "bytes" };
                let message = format!("Too long: may not be more than {most} {unit}");
                Cause { reason: "FieldValueTooLong", message, field: at }
            } else {
                let unit = if most == 1 { "item" } else { "items" };
                let message = format!("Too many: {length}: must have at most {most} {unit}");
                Cause { reason: "FieldValueTooMany", message, field: at }
            });
        }
    }
}

/// A place below another one.
pub(crate) fn join(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}

/// A place as causes have it.
pub(crate) fn named(at: &str) -> String {
    if at.is_empty() { "<nil>".to_owned() } else { at.to_owned() }
}

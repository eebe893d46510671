//! Scalars as the text they are written with, and text as the scalar it would be read as.

use serde_json::Number;
use std::borrow::Cow;
use trueup_model::{Value, yaml};

/// The text of a scalar; `None` for a list or a map.
pub(crate) fn of(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::Null => Some(Cow::Borrowed("null")),
        Value::Bool(true) => Some(Cow::Borrowed("true")),
        Value::Bool(false) => Some(Cow::Borrowed("false")),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Array(_) | Value::Object(_) => None,
    }
}

/// The text of a scalar that says something: empty for null, a list, a map and nothing at all.
pub(crate) fn or_empty(value: Option<&Value>) -> Cow<'_, str> {
    match value {
        None | Some(Value::Null) => Cow::Borrowed(""),
        Some(value) => of(value).unwrap_or(Cow::Borrowed("")),
    }
}

/// What kind of value it is, in words. The value itself may be a secret, so errors do not repeat it.
pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

/// What a scalar written without quotes is: null, a boolean, a number, an instant, or the text itself.
pub(crate) fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    if let Some(number) = number(text) {
        return Value::Number(number);
    }
    // Only what starts with digits may be a date.
    let instant = text.starts_with(|c: char| c.is_ascii_digit()).then(|| yaml::instant(text)).flatten();
    Value::String(instant.unwrap_or_else(|| text.to_owned()))
}

fn number(text: &str) -> Option<Number> {
    let first = *text.as_bytes().first()?;
    if !first.is_ascii_digit() && !matches!(first, b'-' | b'+' | b'.') {
        return None;
    }
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    if !digits.bytes().next()?.is_ascii_digit() && !digits.starts_with('.') {
        return None;
    }
    let radix = match digits.get(..2) {
        Some("0x" | "0X") => Some((16, &digits[2..])),
        Some("0o" | "0O") => Some((8, &digits[2..])),
        Some("0b" | "0B") => Some((2, &digits[2..])),
        _ if digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit()) => {
            Some((8, &digits[1..]))
        }
        _ => None,
    };
    if let Some((radix, digits)) = radix {
        return i64::from_str_radix(&format!("{sign}{digits}"), radix).ok().map(Number::from);
    }
    if digits.bytes().all(|b| b.is_ascii_digit()) {
        if let Ok(whole) = format!("{sign}{digits}").parse::<i64>() {
            return Some(whole.into());
        }
        if let Ok(whole) = format!("{sign}{digits}").parse::<u64>() {
            return Some(whole.into());
        }
    }
    if digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-')) {
        let float: f64 = format!("{sign}{digits}").parse().ok()?;
        return whole_or_float(float);
    }
    None
}

/// A float as Kubernetes' JSON writes it: without a fraction when it has none.
#[expect(
    clippy::cast_possible_truncation,
    clippy::float_cmp,
    reason = "only taken when the value is whole and exact"
)]
fn whole_or_float(float: f64) -> Option<Number> {
    if float.trunc() == float && float.abs() < 9_007_199_254_740_992.0 {
        return Some(Number::from(float as i64));
    }
    Number::from_f64(float)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn text_without_quotes_is_what_yaml_reads() {
        for (text, value) in [
            ("8080", json!(8080)),
            ("-1", json!(-1)),
            ("0x1F", json!(31)),
            ("017", json!(15)),
            ("1.50", json!(1.5)),
            ("1e3", json!(1000)),
            ("true", json!(true)),
            ("~", json!(null)),
            ("yes", json!("yes")),
            ("1.2.3", json!("1.2.3")),
            ("-", json!("-")),
            (".", json!(".")),
            ("08:00", json!("08:00")),
        ] {
            assert_eq!(plain(text), value, "{text}");
        }
    }
}

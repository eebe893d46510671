//! What a scalar means: go-yaml v2's reading of YAML 1.1.
//!
//! Source: `resolve.go` of go.yaml.in/yaml/v2 2.4, and `encoding/json` for how numbers come out.

use super::timestamp::is_timestamp;
use crate::Value;
use serde_json::Number;
use std::borrow::Cow;

/// What a scalar turned out to be.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Resolved<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    /// A float that stays one where it has no fraction.
    Kept(f64),
    Text(Cow<'a, str>),
}

/// The tags of the YAML 1.1 type repository that change how a scalar is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ScalarTag {
    Str,
    Bool,
    Int,
    Float,
    Null,
    Timestamp,
    Binary,
}

impl ScalarTag {
    /// From the part behind `tag:yaml.org,2002:`; other tags leave a scalar the text that it is.
    pub(super) fn from_suffix(suffix: &str) -> Option<Self> {
        Some(match suffix {
            "str" => Self::Str,
            "bool" => Self::Bool,
            "int" => Self::Int,
            "float" => Self::Float,
            "null" => Self::Null,
            "timestamp" => Self::Timestamp,
            "binary" => Self::Binary,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Str => "!!str",
            Self::Bool => "!!bool",
            Self::Int => "!!int",
            Self::Float => "!!float",
            Self::Null => "!!null",
            Self::Timestamp => "!!timestamp",
            Self::Binary => "!!binary",
        }
    }
}

/// Reads a scalar that was written without quotes and without a tag.
pub(super) fn plain(text: Cow<'_, str>) -> Resolved<'_> {
    untagged(&text).unwrap_or(Resolved::Text(text))
}

/// Whether go-yaml would read the text as a string if it stood without quotes.
pub(super) fn is_plain_string(text: &str) -> bool {
    untagged(text).is_none() && !is_timestamp(text)
}

/// Reads a scalar with a tag; quotes do not matter then.
pub(super) fn tagged(tag: ScalarTag, text: Cow<'_, str>) -> Result<Resolved<'_>, String> {
    let refuse = |text: &str| Err(format!("{text:?} is not a {}", tag.name()));
    match tag {
        ScalarTag::Str => Ok(Resolved::Text(text)),
        ScalarTag::Binary => match decode_base64(&text) {
            Some(decoded) => Ok(Resolved::Text(Cow::Owned(decoded))),
            None => Err("a !!binary value has to be base64".to_owned()),
        },
        ScalarTag::Timestamp if is_timestamp(&text) => Ok(Resolved::Text(text)),
        ScalarTag::Timestamp => refuse(&text),
        ScalarTag::Bool | ScalarTag::Int | ScalarTag::Float | ScalarTag::Null => {
            match (tag, untagged(&text)) {
                (ScalarTag::Bool, Some(value @ Resolved::Bool(_)))
                | (ScalarTag::Int, Some(value @ (Resolved::Int(_) | Resolved::Uint(_))))
                | (ScalarTag::Float, Some(value @ Resolved::Float(_)))
                | (ScalarTag::Null, Some(value @ Resolved::Null)) => Ok(value),
                #[expect(clippy::cast_precision_loss, reason = "a !!float of a whole number is a float64")]
                (ScalarTag::Float, Some(Resolved::Int(number))) => Ok(Resolved::Float(number as f64)),
                _ => refuse(&text),
            }
        }
    }
}

/// The value of a text that is not a string; `None` for a string.
fn untagged(text: &str) -> Option<Resolved<'static>> {
    let Some(first) = text.bytes().next() else { return Some(Resolved::Null) };
    match first {
        b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' | b'~' => word(text),
        b'.' => match text {
            ".nan" | ".NaN" | ".NAN" => Some(Resolved::Float(f64::NAN)),
            ".inf" | ".Inf" | ".INF" => Some(Resolved::Float(f64::INFINITY)),
            _ => float(&digits_joined(text)?),
        },
        b'+' | b'-' => match text {
            "+.inf" | "+.Inf" | "+.INF" => Some(Resolved::Float(f64::INFINITY)),
            "-.inf" | "-.Inf" | "-.INF" => Some(Resolved::Float(f64::NEG_INFINITY)),
            _ => number(text),
        },
        b'0'..=b'9' => number(text),
        _ => None,
    }
}

/// A word that is a boolean in YAML 1.1 and not in 1.2.
pub(super) fn is_old_boolean(text: &str) -> bool {
    // The longest are `yes` and `off`; `true` and `false` are longer.
    text.len() <= 3 && matches!(word(text), Some(Resolved::Bool(_)))
}

fn word(text: &str) -> Option<Resolved<'static>> {
    if text.len() > "false".len() {
        return None;
    }
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Some(Resolved::Bool(true))
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Some(Resolved::Bool(false))
        }
        "~" | "null" | "Null" | "NULL" => Some(Resolved::Null),
        _ => None,
    }
}

fn number(text: &str) -> Option<Resolved<'static>> {
    let plain: Cow<'_, str> =
        if text.contains('_') { Cow::Owned(text.replace('_', "")) } else { Cow::Borrowed(text) };
    integer(&plain).or_else(|| float(&plain)).or_else(|| {
        // Go's parser reads a sign behind `0b`, which its integer syntax does not have.
        let digits = plain.strip_prefix("0b")?;
        i64::from_str_radix(digits, 2).ok().map(Resolved::Int)
    })
}

/// Go's `strconv.ParseInt` and `ParseUint` with base 0: `0x`, `0o`, `0b` and a leading zero for octal.
fn integer(text: &str) -> Option<Resolved<'static>> {
    let (negative, signed, digits) = match text.as_bytes().first()? {
        b'-' => (true, true, &text[1..]),
        b'+' => (false, true, &text[1..]),
        _ => (false, false, text),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    if !digits.bytes().next()?.is_ascii_alphanumeric() {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, radix).ok()?;
    if negative {
        return 0i64.checked_sub_unsigned(magnitude).map(Resolved::Int);
    }
    match i64::try_from(magnitude) {
        Ok(number) => Some(Resolved::Int(number)),
        Err(_) if signed => None,
        Err(_) => Some(Resolved::Uint(magnitude)),
    }
}

/// Without underscores, as Go's `ParseFloat` allows them: one at a time, between digits.
fn digits_joined(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('_') {
        return Some(Cow::Borrowed(text));
    }
    let between =
        |window: &[u8]| window[1] != b'_' || (window[0].is_ascii_digit() && window[2].is_ascii_digit());
    let joined = !text.ends_with('_') && text.as_bytes().windows(3).all(between);
    joined.then(|| Cow::Owned(text.replace('_', "")))
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`, if it fits a double.
fn float(text: &str) -> Option<Resolved<'static>> {
    let bytes = text.as_bytes();
    let digits = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let mut at = usize::from(matches!(bytes.first(), Some(b'+' | b'-')));
    let whole = digits(at);
    at += whole;
    if bytes.get(at) == Some(&b'.') {
        let fraction = digits(at + 1);
        if whole + fraction == 0 {
            return None;
        }
        at += 1 + fraction;
    } else if whole == 0 {
        return None;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1 + usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        let exponent = digits(at);
        if exponent == 0 {
            return None;
        }
        at += exponent;
    }
    if at != bytes.len() {
        return None;
    }
    text.parse().ok().filter(|number: &f64| number.is_finite()).map(Resolved::Float)
}

impl Resolved<'_> {
    /// The JSON value: whole floats below 1e21 become integers, as Go's JSON prints them.
    pub(super) fn into_value(self) -> Result<Value, String> {
        Ok(match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(value),
            Self::Int(number) => Value::from(number),
            Self::Uint(number) => Value::from(number),
            Self::Text(text) => Value::String(text.into_owned()),
            Self::Float(number) => return finite(number),
            Self::Kept(number) => return kept(number),
        })
    }

    /// The text that sigs.k8s.io/yaml makes of a key.
    pub(super) fn into_key(self) -> Result<String, String> {
        match self {
            Self::Text(text) => Ok(text.into_owned()),
            Self::Bool(value) => Ok(value.to_string()),
            Self::Int(number) => Ok(number.to_string()),
            #[expect(clippy::cast_possible_truncation, reason = "sigs.k8s.io/yaml prints keys as float32")]
            Self::Float(number) | Self::Kept(number) => Ok(go_float(&format!("{:e}", number as f32))),
            Self::Uint(number) => {
                Err(format!("the number {number} is too large for a key, put it in quotes"))
            }
            Self::Null => Err("null cannot be a key, put it in quotes".to_owned()),
        }
    }
}

fn finite(number: f64) -> Result<Value, String> {
    // JSON has a zero below zero, too, and it is no integer.
    let below_zero = number == 0.0 && number.is_sign_negative();
    if !below_zero && number.fract() == 0.0 && number.abs() < 1e21 {
        // Shortest digits, filled with zeros: not the exact value of a large float, but what Go prints.
        let digits = number.to_string();
        if let Ok(whole) = digits.parse::<i64>() {
            return Ok(Value::from(whole));
        }
        if let Ok(whole) = digits.parse::<u64>() {
            return Ok(Value::from(whole));
        }
    }
    kept(number)
}

fn kept(number: f64) -> Result<Value, String> {
    Number::from_f64(number).map(Value::Number).ok_or_else(|| {
        format!("{} cannot be written as JSON, put it in quotes", go_float(&format!("{number:e}")))
    })
}

/// Go's `strconv.FormatFloat(number, 'g', -1, bits)` with YAML's names for what is not finite.
///
/// `shortest` is Rust's `{:e}` of the number, which has the same digits.
pub(super) fn go_float(shortest: &str) -> String {
    let Some((mantissa, exponent)) = shortest.split_once('e') else {
        return match shortest {
            "inf" => ".inf".to_owned(),
            "-inf" => "-.inf".to_owned(),
            _ => ".nan".to_owned(),
        };
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    // strconv turns to an exponent from 1e6 on; only fmt waits for 1e21.
    let (sign, digits) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest.replace('.', "")),
        None => ("", mantissa.replace('.', "")),
    };
    if !(-4..6).contains(&exponent) {
        let mark = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{mark}{:02}", exponent.unsigned_abs());
    }
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let zeros = |number: i32| "0".repeat(usize::try_from(number).unwrap_or(0));
    if exponent < 0 {
        format!("{sign}0.{}{digits}", zeros(-exponent - 1))
    } else if exponent + 1 >= count {
        format!("{sign}{digits}{}", zeros(exponent + 1 - count))
    } else {
        let (whole, fraction) = digits.split_at(usize::try_from(exponent + 1).unwrap_or(0));
        format!("{sign}{whole}.{fraction}")
    }
}

/// Go's base64: line breaks are skipped; bytes that are not UTF-8 become U+FFFD one by one, as in Go's JSON.
fn decode_base64(text: &str) -> Option<String> {
    use base64::Engine;
    use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
    );
    let bytes: Vec<u8> = text.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    let decoded = LENIENT.decode(bytes).ok()?;
    let mut text = String::with_capacity(decoded.len());
    for chunk in decoded.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| '\u{fffd}'));
    }
    Some(text)
}

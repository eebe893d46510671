//! What Sprig makes of values of any type: texts, numbers, emptiness, equality, the names of kinds.

use crate::context::Context;
use crate::error::Failure;
use crate::fmt::sprint;
use crate::number::{parse_float, parse_int};
use crate::text::Text;
use crate::value::{Float, Int, Type, Uint, Value};

/// Texts longer than this are not made of values.
const ROOM: usize = 64 << 20;

/// A value's text: of bytes and objects that have one their own, else as `%v`.
pub(super) fn text(value: &Value) -> Result<Text, Failure> {
    match value {
        Value::Text(text) => Ok(text.clone()),
        Value::List(list) if *list.type_of().underlying() == Type::List(Type::Uint(Uint::Uint8).into()) => {
            let bytes: Vec<u8> = list.items().iter().map(|item| to_int64(item).to_le_bytes()[0]).collect();
            Ok(bytes.into())
        }
        other => sprint(std::slice::from_ref(other), ROOM).map(Text::from),
    }
}

/// The texts of a list's items but nils, or of a single value.
pub(super) fn texts(value: &Value) -> Result<Vec<Text>, Failure> {
    match value.underlying() {
        Value::List(list) => {
            list.items().iter().filter(|item| !matches!(item, Value::Nil)).map(text).collect()
        }
        Value::Nil => Ok(Vec::new()),
        other => Ok(vec![text(&other)?]),
    }
}

/// Go's conversion: what does not fit, and what is no number, is the smallest.
#[allow(clippy::cast_possible_truncation, reason = "checked to be in range")]
fn truncated(float: f64) -> i64 {
    let fits = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&float);
    if fits { float as i64 } else { i64::MIN }
}

/// An `int64`; zero for what is none. A duration is none to Sprig, whatever is beneath its name.
pub(super) fn to_int64(value: &Value) -> i64 {
    match value {
        Value::Int(_, number) => *number,
        Value::Uint(_, number) => number.cast_signed(),
        Value::Float(_, number) => truncated(*number),
        Value::Bool(value) => (*value).into(),
        Value::Text(text) => parse_int(without_zero_decimals(&text.to_string_lossy())).unwrap_or(0),
        Value::Nil | Value::List(_) | Value::Map(_) | Value::Object(_) | Value::Function(_) => 0,
    }
}

/// A `float64`; zero for what is none.
#[allow(clippy::cast_precision_loss, reason = "Go converts so")]
pub(super) fn to_float64(value: &Value) -> f64 {
    match value {
        Value::Int(_, number) => *number as f64,
        Value::Uint(_, number) => *number as f64,
        Value::Float(_, number) => *number,
        Value::Bool(value) => f64::from(u8::from(*value)),
        Value::Text(text) => parse_float(&text.to_string_lossy()).unwrap_or(0.0),
        Value::Nil | Value::List(_) | Value::Map(_) | Value::Object(_) | Value::Function(_) => 0.0,
    }
}

/// `1.00` is read as `1`.
fn without_zero_decimals(text: &str) -> &str {
    let whole = text.trim_end_matches('0');
    match whole.strip_suffix('.') {
        Some(number) if whole.len() < text.len() => number,
        _ => text,
    }
}

/// Whether a value is what Go gives a variable at first, or has nothing in it.
pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(object) if object.underlying().is_none() => false,
        Value::Function(_) => false,
        value => !value.is_true(),
    }
}

/// Go's `reflect.DeepEqual`.
#[allow(clippy::float_cmp, reason = "Go compares so")]
pub(super) fn deep_equal(
    context: &mut Context<'_>,
    left: &Value,
    right: &Value,
    depth: usize,
) -> Result<bool, Failure> {
    if depth > 300 {
        return Err(Failure::limit("values are nested too deeply to be compared"));
    }
    context.spend(1)?;
    if left.type_of() != right.type_of() {
        return Ok(false);
    }
    Ok(match (left, right) {
        (Value::Nil, Value::Nil) => true,
        (Value::Bool(left), Value::Bool(right)) => left == right,
        (Value::Int(_, left), Value::Int(_, right)) => left == right,
        (Value::Uint(_, left), Value::Uint(_, right)) => left == right,
        (Value::Float(_, left), Value::Float(_, right)) => left == right,
        (Value::Text(left), Value::Text(right)) => left == right,
        (Value::List(left), Value::List(right)) => {
            if left.is_nil() != right.is_nil() || left.len() != right.len() {
                return Ok(false);
            }
            for (left, right) in left.items().iter().zip(right.items().iter()) {
                if !deep_equal(context, left, right, depth + 1)? {
                    return Ok(false);
                }
            }
            true
        }
        (Value::Map(left), Value::Map(right)) => {
            if left.is_nil() != right.is_nil() || left.len() != right.len() {
                return Ok(false);
            }
            for ((key, left), (other, right)) in left.entries().iter().zip(right.entries().iter()) {
                if key != other || !deep_equal(context, left, right, depth + 1)? {
                    return Ok(false);
                }
            }
            true
        }
        (Value::Object(left), Value::Object(right)) => {
            std::rc::Rc::ptr_eq(left, right) || left.equals(right.as_ref())
        }
        _ => false,
    })
}

/// The name of Go's `reflect.Kind`.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Nil => "invalid",
        Value::Bool(_) => "bool",
        Value::Int(Int::Int, _) => "int",
        Value::Int(Int::Int8, _) => "int8",
        Value::Int(Int::Int16, _) => "int16",
        Value::Int(Int::Int32, _) => "int32",
        Value::Int(Int::Int64, _) => "int64",
        Value::Uint(Uint::Uint, _) => "uint",
        Value::Uint(Uint::Uint8, _) => "uint8",
        Value::Uint(Uint::Uint16, _) => "uint16",
        Value::Uint(Uint::Uint32, _) => "uint32",
        Value::Uint(Uint::Uint64, _) => "uint64",
        Value::Float(Float::Float32, _) => "float32",
        Value::Float(Float::Float64, _) => "float64",
        Value::Text(_) => "string",
        Value::List(_) => "slice",
        Value::Map(_) => "map",
        Value::Function(_) => "func",
        Value::Object(object) => match object.underlying() {
            Some(beneath) => kind(&beneath),
            None if object.type_name().starts_with('*') => "ptr",
            None => "struct",
        },
    }
}

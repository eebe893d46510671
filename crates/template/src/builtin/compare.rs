//! `eq`, `lt` and their kin, with what Go's types allow.

use crate::error::Failure;
use crate::exec::integer;
use crate::fmt::sprintf;
use crate::value::Value;
use std::rc::Rc;

const INVALID: &str = "invalid type for comparison";

/// What can be compared with what.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bool,
    Int,
    Uint,
    Float,
    Text,
    Other,
}

fn kind(value: &Value) -> Kind {
    match value {
        Value::Bool(_) => Kind::Bool,
        Value::Int(..) => Kind::Int,
        Value::Uint(..) => Kind::Uint,
        Value::Float(..) => Kind::Float,
        Value::Text(_) => Kind::Text,
        Value::Nil | Value::List(_) | Value::Map(_) | Value::Object(_) | Value::Function(_) => Kind::Other,
    }
}

fn incompatible(left: &Value, right: &Value) -> Failure {
    let (left, right) = (left.type_name(), right.type_name());
    Failure::new(format!("incompatible types for comparison: {left} and {right}"))
}

/// Whether `first` equals one of the others.
pub(super) fn eq(first: &Value, others: &[Value]) -> Result<bool, Failure> {
    if others.is_empty() {
        return Err(Failure::new("missing argument for comparison"));
    }
    for other in others {
        if equal(first, other)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn equal(left: &Value, right: &Value) -> Result<bool, Failure> {
    let (bare, other) = (left.underlying(), right.underlying());
    match (&bare, &other) {
        (Value::Bool(left), Value::Bool(right)) => Ok(left == right),
        #[allow(clippy::float_cmp, reason = "Go compares them so")]
        (Value::Float(_, left), Value::Float(_, right)) => Ok(left == right),
        (Value::Text(left), Value::Text(right)) => Ok(left == right),
        (Value::Int(..) | Value::Uint(..), Value::Int(..) | Value::Uint(..)) => {
            Ok(integer(&bare) == integer(&other))
        }
        _ if kind(&bare) != kind(&other) => match (&bare, &other) {
            (Value::Nil, _) | (_, Value::Nil) => Ok(false),
            _ => Err(incompatible(left, right)),
        },
        // A type that is a map or a list under a name of its own is no more comparable than they are.
        (Value::Map(_), Value::Map(_)) | (Value::List(_), Value::List(_))
            if !bare.is_nil() && !other.is_nil() =>
        {
            Err(not_comparable(right)?)
        }
        _ => equal_others(left, right),
    }
}

fn not_comparable(value: &Value) -> Result<Failure, Failure> {
    let shown = sprintf(b"%s", std::slice::from_ref(value), 1 << 20)?;
    let type_name = format!(": {}", value.type_name());
    Ok(Failure::new([b"non-comparable type ", &shown[..], type_name.as_bytes()].concat()))
}

/// Equality of what has no order: nil, lists, maps, objects, functions.
fn equal_others(left: &Value, right: &Value) -> Result<bool, Failure> {
    let shown = |format: &[u8], value: &Value| sprintf(format, std::slice::from_ref(value), 1 << 20);
    let alike = match (left, right) {
        (Value::Nil, _) | (_, Value::Nil) => true,
        (left, right) => std::mem::discriminant(left) == std::mem::discriminant(right),
    };
    if !alike {
        let mut text = b"non-comparable types ".to_vec();
        text.extend_from_slice(&shown(b"%s", left)?);
        text.extend_from_slice(format!(": {}, {}: ", left.type_name(), right.type_name()).as_bytes());
        text.extend_from_slice(&shown(b"%v", right)?);
        return Err(Failure::new(text));
    }
    if left.is_nil() || right.is_nil() {
        return Ok(left.is_nil() == right.is_nil());
    }
    if let (Value::Object(left), Value::Object(right)) = (left, right) {
        let pointer = left.type_name().starts_with('*');
        return Ok(if pointer { Rc::ptr_eq(left, right) } else { left.equals(right.as_ref()) });
    }
    Err(not_comparable(right)?)
}

pub(super) fn lt(left: &Value, right: &Value) -> Result<bool, Failure> {
    let (bare, other) = (left.underlying(), right.underlying());
    if kind(&bare) == Kind::Other || kind(&other) == Kind::Other {
        return Err(Failure::new(INVALID));
    }
    match (&bare, &other) {
        (Value::Bool(_), Value::Bool(_)) => Err(Failure::new(INVALID)),
        (Value::Float(_, left), Value::Float(_, right)) => Ok(left < right),
        (Value::Text(left), Value::Text(right)) => Ok(left < right),
        (Value::Int(..) | Value::Uint(..), Value::Int(..) | Value::Uint(..)) => {
            Ok(integer(&bare) < integer(&other))
        }
        _ => Err(incompatible(left, right)),
    }
}

pub(super) fn le(left: &Value, right: &Value) -> Result<bool, Failure> {
    Ok(lt(left, right)? || equal(left, right)?)
}

//! `index`, `slice` and `len`.

use crate::error::Failure;
use crate::exec::{Slot, prepared};
use crate::value::{List, Type, Uint, Value};

/// Go finds out by a panic of its reflection, whose text is the message.
const NO_VALUE: &str = "reflect: call of reflect.Value.Type on zero Value";

fn int(value: usize) -> Value {
    Value::int(i64::try_from(value).unwrap_or(i64::MAX))
}

pub(super) fn len(item: &Slot) -> Result<Value, Failure> {
    match item.value.underlying() {
        Value::Nil if item.boxed => Err(Failure::new("len of nil pointer")),
        Value::Nil => Err(Failure::new(NO_VALUE)),
        Value::Text(text) => Ok(int(text.len())),
        Value::List(list) => Ok(int(list.len())),
        Value::Map(map) => Ok(int(map.len())),
        other @ (Value::Bool(_)
        | Value::Int(..)
        | Value::Uint(..)
        | Value::Float(..)
        | Value::Object(_)
        | Value::Function(_)) => Err(Failure::new(format!("len of type {}", other.type_name()))),
    }
}

/// An index that is within `end`, which is one more than the last place.
fn place(index: &Value, end: usize) -> Result<usize, Failure> {
    let number = match index {
        Value::Int(_, number) => *number,
        Value::Uint(_, number) => number.cast_signed(),
        Value::Nil => return Err(Failure::new("cannot index slice/array with nil")),
        other => {
            return Err(Failure::new(format!("cannot index slice/array with type {}", other.type_name())));
        }
    };
    usize::try_from(number)
        .ok()
        .filter(|&place| place <= end)
        .ok_or_else(|| Failure::new(format!("index out of range: {number}")))
}

/// `index x 1 "a"` is `x[1]["a"]`.
pub(super) fn index(arguments: &[Slot]) -> Result<Slot, Failure> {
    let Some((first, indexes)) = arguments.split_first() else { return Ok(Slot::plain(Value::Nil)) };
    if matches!(first.value, Value::Nil) {
        return Err(Failure::new("index of untyped nil"));
    }
    let mut item = first.clone();
    for index in indexes {
        item = match item.value.underlying() {
            Value::Nil => return Err(Failure::new("index of nil pointer")),
            Value::Text(text) => {
                let at = place(&index.value, text.len())?;
                let byte = text.get(at).ok_or("reflect: string index out of range")?;
                Slot::plain(Value::Uint(Uint::Uint8, (*byte).into()))
            }
            Value::List(list) => {
                let at = place(&index.value, list.len())?;
                let found = list.get(at).ok_or("reflect: slice index out of range")?;
                Slot::element(found, list.type_of().element())
            }
            Value::Map(map) => {
                let Value::Text(key) = prepared(index.value.clone(), &Type::Text)? else { return Ok(item) };
                let element = map.type_of().element();
                Slot::element(map.get(&key).unwrap_or_else(|| element.zero()), element)
            }
            other @ (Value::Bool(_)
            | Value::Int(..)
            | Value::Uint(..)
            | Value::Float(..)
            | Value::Object(_)
            | Value::Function(_)) => {
                return Err(Failure::new(format!("can't index item of type {}", other.type_name())));
            }
        };
    }
    Ok(item)
}

/// `slice x 1 2` is `x[1:2]`.
pub(super) fn slice(arguments: &[Slot]) -> Result<Value, Failure> {
    let Some((item, indexes)) = arguments.split_first() else { return Ok(Value::Nil) };
    let item = item.value.underlying();
    if matches!(item, Value::Nil) {
        return Err(Failure::new("slice of untyped nil"));
    }
    if indexes.len() > 3 {
        return Err(Failure::new(format!("too many slice indexes: {}", indexes.len())));
    }
    let end = match &item {
        Value::Text(_) if indexes.len() == 3 => return Err(Failure::new("cannot 3-index slice a string")),
        Value::Text(text) => text.len(),
        Value::List(list) => list.len(),
        other => return Err(Failure::new(format!("can't slice item of type {}", other.type_name()))),
    };
    let mut bounds = [0, end, end];
    for (bound, index) in bounds.iter_mut().zip(indexes) {
        // Unlike `index`, this one does not look into an interface.
        if index.boxed {
            return Err(Failure::new(format!("cannot index slice/array with type {}", Type::Any)));
        }
        *bound = place(&index.value, end)?;
    }
    for pair in [[bounds[0], bounds[1]], [bounds[1], bounds[2]]] {
        if pair[0] > pair[1] {
            return Err(Failure::new(format!("invalid slice index: {} > {}", pair[0], pair[1])));
        }
    }
    let range = bounds[0]..bounds[1];
    Ok(match item {
        Value::Text(text) => Value::text(&text[range]),
        Value::List(list) => Value::List(List::new(list.type_of().clone(), list.items()[range].to_vec())),
        other => other,
    })
}

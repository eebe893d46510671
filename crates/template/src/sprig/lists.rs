//! Lists. Each function but `sortAlpha` makes a new list.

use super::convert::{deep_equal, is_empty, kind, text, texts, to_int64};
use super::{Entry, NIL_DEREFERENCE};
use crate::context::Context;
use crate::error::Failure;
use crate::function::Arguments;
use crate::value::{List, Type, Value};
use std::rc::Rc;

pub(super) const TABLE: &[Entry] = &[
    (&["list", "tuple"], "func(...interface {}) []interface {}", |_, arguments| {
        Ok(Value::list(arguments.rest(0).iter().cloned()))
    }),
    (
        &["append", "push", "mustAppend", "mustPush"],
        "func(interface {}, interface {}) []interface {}",
        |_, arguments| {
            let items = items(arguments.any(0), "Cannot push on type")?;
            Ok(Value::list(items.into_iter().chain([arguments.any(1).clone()])))
        },
    ),
    (&["prepend", "mustPrepend"], "func(interface {}, interface {}) []interface {}", |_, arguments| {
        let items = items(arguments.any(0), "Cannot prepend on type")?;
        Ok(Value::list([arguments.any(1).clone()].into_iter().chain(items)))
    }),
    (&["first", "mustFirst"], "func(interface {}) interface {}", |_, arguments| {
        Ok(items(arguments.any(0), "Cannot find first on type")?.first().cloned().unwrap_or(Value::Nil))
    }),
    (&["last", "mustLast"], "func(interface {}) interface {}", |_, arguments| {
        Ok(items(arguments.any(0), "Cannot find last on type")?.pop().unwrap_or(Value::Nil))
    }),
    (&["rest", "mustRest"], "func(interface {}) []interface {}", |_, arguments| {
        let items = items(arguments.any(0), "Cannot find rest on type")?;
        Ok(items.split_first().map_or_else(nil_list, |(_, rest)| Value::list(rest.iter().cloned())))
    }),
    (&["initial", "mustInitial"], "func(interface {}) []interface {}", |_, arguments| {
        let items = items(arguments.any(0), "Cannot find initial on type")?;
        Ok(items.split_last().map_or_else(nil_list, |(_, rest)| Value::list(rest.iter().cloned())))
    }),
    (&["reverse", "mustReverse"], "func(interface {}) []interface {}", |_, arguments| {
        Ok(Value::list(items(arguments.any(0), "Cannot find reverse on type")?.into_iter().rev()))
    }),
    (&["compact", "mustCompact"], "func(interface {}) []interface {}", |_, arguments| {
        let items = items(arguments.any(0), "Cannot compact on type")?;
        Ok(Value::list(items.into_iter().filter(|item| !is_empty(item))))
    }),
    (&["uniq", "mustUniq"], "func(interface {}) []interface {}", |context, arguments| {
        let mut kept = Vec::new();
        for item in items(arguments.any(0), "Cannot find uniq on type")? {
            if !contains(context, &kept, &item)? {
                kept.push(item);
            }
        }
        Ok(Value::list(kept))
    }),
    (
        &["without", "mustWithout"],
        "func(interface {}, ...interface {}) []interface {}",
        |context, arguments| {
            let mut kept = Vec::new();
            for item in items(arguments.any(0), "Cannot find without on type")? {
                if !contains(context, arguments.rest(1), &item)? {
                    kept.push(item);
                }
            }
            Ok(Value::list(kept))
        },
    ),
    (&["has", "mustHas"], "func(interface {}, interface {}) bool", |context, arguments| {
        if matches!(arguments.any(1), Value::Nil) {
            return Ok(Value::Bool(false));
        }
        let items = items(arguments.any(1), "Cannot find has on type")?;
        contains(context, &items, arguments.any(0)).map(Value::Bool)
    }),
    (&["slice", "mustSlice"], "func(interface {}, ...interface {}) interface {}", |_, arguments| {
        slice(arguments)
    }),
    (&["concat"], "func(...interface {}) interface {}", |_, arguments| {
        let mut all = Vec::new();
        for list in arguments.rest(0) {
            let own = |_| match list {
                Value::Nil => Failure::new(NIL_DEREFERENCE),
                other => Failure::new(format!("Cannot concat type {} as list", kind(other))),
            };
            all.append(&mut items(list, "").map_err(own)?);
        }
        Ok(if all.is_empty() { nil_list() } else { Value::list(all) })
    }),
    (&["chunk", "mustChunk"], "func(int, interface {}) [][]interface {}", |_, arguments| {
        let items = items(arguments.any(1), "Cannot chunk type")?;
        if let Some(none) = no_chunks(arguments.int(0)?, items.len()) {
            return Ok(none);
        }
        let size = chunk_size(arguments.int(0)?, items.len())?;
        let chunks = items.chunks(size).map(|chunk| Value::list(chunk.iter().cloned())).collect();
        Ok(Value::List(List::new(Type::List(Rc::new(Type::list())), chunks)))
    }),
    (&["sortAlpha"], "func(interface {}) []string", |_, arguments| sort(arguments.any(0))),
    (&["join"], "func(string, interface {}) string", |context, arguments| {
        let texts = texts(arguments.any(1))?;
        let separator = arguments.text(0)?;
        context.write(texts.iter().map(|text| text.len() + separator.len()).sum())?;
        let parts: Vec<&[u8]> = texts.iter().map(|text| &text[..]).collect();
        Ok(parts.join(&separator[..]).into())
    }),
    (&["toStrings"], "func(interface {}) []string", |_, arguments| match arguments.any(0) {
        list @ Value::List(own) if own.type_of().underlying() == &Type::List(Rc::new(Type::Text)) => {
            Ok(list.clone())
        }
        other => Ok(Value::texts(texts(other)?)),
    }),
    (&["until"], "func(int) []int", |context, arguments| {
        let count = arguments.int(0)?;
        until(context, 0, count, if count < 0 { -1 } else { 1 })
    }),
    (&["untilStep"], "func(int, int, int) []int", |context, arguments| {
        until(context, arguments.int(0)?, arguments.int(1)?, arguments.int(2)?)
    }),
];

fn nil_list() -> Value {
    Value::List(List::nil(Type::list()))
}

/// A negative size gives no chunks where it is larger than what there is.
fn no_chunks(size: i64, count: usize) -> Option<Value> {
    let size = usize::try_from(size.unsigned_abs()).ok().filter(|_| size < 0)?;
    (count > 1 && size >= count - 1)
        .then(|| Value::List(List::new(Type::List(Rc::new(Type::list())), Vec::new())))
}

/// How large chunks are. Sprig computes with floats how many there are, and a negative size can come out as none.
fn chunk_size(size: i64, count: usize) -> Result<usize, Failure> {
    match (usize::try_from(size), count) {
        (Ok(size @ 1..), _) => Ok(size),
        (Err(_), 1) if size < -1 => Ok(1),
        _ => Err("runtime error: makeslice: len out of range".into()),
    }
}

/// The items of a list; else what cannot be done with the kind that it is.
fn items(value: &Value, cannot: &str) -> Result<Vec<Value>, Failure> {
    match value {
        Value::Nil => Err(NIL_DEREFERENCE.into()),
        value => match value.underlying() {
            Value::List(list) => Ok(list.items().clone()),
            _ => Err(format!("{cannot} {}", kind(value)).into()),
        },
    }
}

fn contains(context: &mut Context<'_>, items: &[Value], wanted: &Value) -> Result<bool, Failure> {
    for item in items {
        if deep_equal(context, wanted, item, 0)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn slice(arguments: &Arguments) -> Result<Value, Failure> {
    let list = arguments.any(0);
    let items = items(list, "list should be type of slice or array but")?;
    if items.is_empty() {
        return Ok(Value::Nil);
    }
    let start = if arguments.len() > 1 { to_int64(arguments.any(1)) } else { 0 };
    let end = if arguments.len() > 2 {
        to_int64(arguments.any(2))
    } else {
        i64::try_from(items.len()).unwrap_or(0)
    };
    let (Ok(start), Ok(end)) = (usize::try_from(start), usize::try_from(end)) else {
        return Err("reflect.Value.Slice: slice index out of bounds".into());
    };
    let range = items.get(start..end).ok_or("reflect.Value.Slice: slice index out of bounds")?;
    let type_of = list.underlying().type_of().unwrap_or_else(Type::list);
    Ok(Value::List(List::new(type_of, range.to_vec())))
}

/// A `[]string` is sorted where it is; of anything else the texts are.
fn sort(value: &Value) -> Result<Value, Failure> {
    match value.underlying() {
        Value::List(list) if *list.type_of().underlying() == Type::List(Rc::new(Type::Text)) => {
            list.items_mut().sort_by(|left, right| match (left, right) {
                (Value::Text(left), Value::Text(right)) => left.cmp(right),
                _ => std::cmp::Ordering::Equal,
            });
            Ok(Value::List(list))
        }
        Value::List(_) => {
            let mut texts = texts(value)?;
            texts.sort();
            Ok(Value::texts(texts))
        }
        _ => Ok(Value::texts([text(value)?])),
    }
}

/// The numbers from `start` to `end`, without it.
pub(super) fn numbers(
    context: &mut Context<'_>,
    start: i64,
    end: i64,
    step: i64,
) -> Result<Vec<i64>, Failure> {
    let mut numbers = Vec::new();
    if (end < start) != (step < 0) || step == 0 {
        return Ok(numbers);
    }
    let mut number = start;
    while if step < 0 { number > end } else { number < end } {
        // As much as an item of a list.
        context.spend(8)?;
        numbers.push(number);
        number = match number.checked_add(step) {
            Some(next) => next,
            None => break,
        };
    }
    Ok(numbers)
}

fn until(context: &mut Context<'_>, start: i64, end: i64, step: i64) -> Result<Value, Failure> {
    let numbers = numbers(context, start, end, step)?.into_iter().map(Value::int).collect();
    Ok(Value::List(List::new(Type::List(Rc::new(Type::Int(crate::value::Int::Int))), numbers)))
}

//! Defaults, emptiness, choice, copies.

use super::Entry;
use super::convert::is_empty;
use crate::context::Context;
use crate::error::Failure;
use crate::value::{List, Map, Value};

pub(super) const TABLE: &[Entry] = &[
    (&["default"], "func(interface {}, ...interface {}) interface {}", |_, arguments| {
        let given = arguments.any(1);
        Ok(if is_empty(given) { arguments.any(0) } else { given }.clone())
    }),
    (&["empty"], "func(interface {}) bool", |_, arguments| Ok(Value::Bool(is_empty(arguments.any(0))))),
    (&["coalesce"], "func(...interface {}) interface {}", |_, arguments| {
        Ok(arguments.rest(0).iter().find(|value| !is_empty(value)).cloned().unwrap_or(Value::Nil))
    }),
    (&["all"], "func(...interface {}) bool", |_, arguments| {
        Ok(Value::Bool(!arguments.rest(0).iter().any(is_empty)))
    }),
    (&["any"], "func(...interface {}) bool", |_, arguments| {
        Ok(Value::Bool(!arguments.rest(0).iter().all(is_empty)))
    }),
    (&["ternary"], "func(interface {}, interface {}, bool) interface {}", |_, arguments| {
        Ok(arguments.any(usize::from(!arguments.bool(2)?)).clone())
    }),
    (&["fail"], "func(string) (string, error)", |_, arguments| Err(Failure::new(arguments.text(0)?.clone()))),
    (&["hello"], "func() string", |_, _| Ok("Hello!".into())),
    (&["deepCopy", "mustDeepCopy"], "func(interface {}) interface {}", |context, arguments| match arguments
        .any(0)
    {
        Value::Nil => Err(Failure::new("reflect: call of reflect.Value.Type on zero Value")),
        value => copy(context, value, 0),
    }),
];

/// The same value in lists and maps of its own.
pub(super) fn copy(context: &mut Context<'_>, value: &Value, depth: usize) -> Result<Value, Failure> {
    if depth > 300 {
        return Err(Failure::limit("a value is nested too deeply to be copied"));
    }
    // Parts that are shared are copied as often as they are met, and take memory each time.
    context.spend(16)?;
    Ok(match value {
        Value::List(list) if list.is_nil() => Value::List(List::nil(list.type_of().clone())),
        Value::List(list) => {
            let items =
                list.items().iter().map(|item| copy(context, item, depth + 1)).collect::<Result<_, _>>()?;
            Value::List(List::new(list.type_of().clone(), items))
        }
        Value::Map(map) if map.is_nil() => Value::Map(Map::nil(map.type_of().clone())),
        Value::Map(map) => {
            let entries = map.entries();
            let copies = entries.iter().map(|(key, item)| Ok((key.clone(), copy(context, item, depth + 1)?)));
            Value::Map(Map::new(map.type_of().clone(), copies.collect::<Result<_, Failure>>()?))
        }
        other => other.clone(),
    })
}

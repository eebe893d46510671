//! Go's own functions for templates.

mod compare;
mod escape;
mod index;

use crate::context::Run;
use crate::error::Failure;
use crate::exec::Slot;
use crate::fmt::{sprint, sprintf, sprintln};
use crate::quote::quote;
use crate::value::{Type, Value};

/// What a place in an argument list wants.
#[derive(Clone, Copy)]
pub(crate) enum Wanted<'w> {
    /// Whatever there is: Go's `reflect.Value`.
    Slot,
    /// A value of that type.
    Type(&'w Type),
}

/// One of Go's own functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Builtin {
    And,
    Call,
    Eq,
    Ge,
    Gt,
    Html,
    Index,
    Js,
    Le,
    Len,
    Lt,
    Ne,
    Not,
    Or,
    Print,
    Printf,
    Println,
    Slice,
    Urlquery,
}

impl Builtin {
    pub(crate) fn named(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"and" => Self::And,
            b"call" => Self::Call,
            b"eq" => Self::Eq,
            b"ge" => Self::Ge,
            b"gt" => Self::Gt,
            b"html" => Self::Html,
            b"index" => Self::Index,
            b"js" => Self::Js,
            b"le" => Self::Le,
            b"len" => Self::Len,
            b"lt" => Self::Lt,
            b"ne" => Self::Ne,
            b"not" => Self::Not,
            b"or" => Self::Or,
            b"print" => Self::Print,
            b"printf" => Self::Printf,
            b"println" => Self::Println,
            b"slice" => Self::Slice,
            b"urlquery" => Self::Urlquery,
            _ => return None,
        })
    }

    /// The fixed arguments, and what further ones are.
    pub(crate) fn parameters(self) -> (&'static [Wanted<'static>], Option<Wanted<'static>>) {
        const ANY: Wanted<'static> = Wanted::Type(&Type::Any);
        const ONE: &[Wanted<'static>] = &[Wanted::Slot];
        const TWO: &[Wanted<'static>] = &[Wanted::Slot; 2];
        const FORMAT: &[Wanted<'static>] = &[Wanted::Type(&Type::Text)];
        match self {
            Self::And | Self::Or | Self::Call | Self::Eq | Self::Index | Self::Slice => {
                (ONE, Some(Wanted::Slot))
            }
            Self::Ge | Self::Gt | Self::Le | Self::Lt | Self::Ne => (TWO, None),
            Self::Len | Self::Not => (ONE, None),
            Self::Html | Self::Js | Self::Urlquery | Self::Print | Self::Println => (&[], Some(ANY)),
            Self::Printf => (FORMAT, Some(ANY)),
        }
    }

    /// Runs it, with as many arguments as its parameters ask for.
    pub(crate) fn run(self, arguments: Vec<Slot>, run: &Run<'_>) -> Result<Slot, Failure> {
        match (self, &arguments[..]) {
            (Self::Index, _) => return index::index(&arguments),
            (Self::Slice, _) => return index::slice(&arguments).map(Slot::plain),
            (Self::Len, [item]) => return index::len(item).map(Slot::plain),
            _ => {}
        }
        let values: Vec<Value> = arguments.into_iter().map(|slot| slot.value).collect();
        let text = |made: Vec<u8>| -> Result<Value, Failure> {
            run.write(made.len())?;
            Ok(Value::text(made))
        };
        let value = match (self, &values[..]) {
            (Self::Not, [value]) => Value::Bool(!value.is_true()),
            (Self::Eq, [first, others @ ..]) => Value::Bool(compare::eq(first, others)?),
            (Self::Ne, [_, other]) => Value::Bool(!compare::eq(&values[0], std::slice::from_ref(other))?),
            (Self::Lt, [left, right]) => Value::Bool(compare::lt(left, right)?),
            (Self::Le, [left, right]) => Value::Bool(compare::le(left, right)?),
            (Self::Gt, [left, right]) => Value::Bool(!compare::le(left, right)?),
            (Self::Ge, [left, right]) => Value::Bool(!compare::lt(left, right)?),
            (Self::Html, _) => text(escape::html(&joined(&values, run)?))?,
            (Self::Js, _) => text(escape::js(&joined(&values, run)?))?,
            (Self::Urlquery, _) => text(escape::urlquery(&joined(&values, run)?))?,
            (Self::Print, _) => text(sprint(&values, run.room())?)?,
            (Self::Println, _) => text(sprintln(&values, run.room())?)?,
            (Self::Printf, [Value::Text(format), rest @ ..]) => text(sprintf(format, rest, run.room())?)?,
            _ => return Err(Failure::new("called with arguments that it does not take")),
        };
        Ok(Slot::plain(value))
    }
}

/// The text of arguments that are to be escaped.
fn joined(values: &[Value], run: &Run<'_>) -> Result<Vec<u8>, Failure> {
    let shown: Vec<Value> = values
        .iter()
        .map(|value| match value {
            Value::Nil => Value::text("<no value>"),
            value => pointee(value),
        })
        .collect();
    sprint(&shown, run.room())
}

/// A value as an action prints it.
pub(crate) fn printed(value: &Value, room: usize) -> Result<Vec<u8>, Failure> {
    match value {
        Value::Nil => Ok(b"<no value>".to_vec()),
        value => sprint(&[pointee(value)], room),
    }
}

/// What a pointer points at, for printing.
fn pointee(value: &Value) -> Value {
    match value {
        Value::Object(object) if object.underlying().is_none() => value.underlying(),
        value => value.clone(),
    }
}

pub(crate) fn no_template(name: &[u8], set: &[u8]) -> Vec<u8> {
    [b"template: no template ", &quote(name)[..], b" associated with template ", &quote(set)[..]].concat()
}

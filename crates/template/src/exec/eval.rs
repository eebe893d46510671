//! Pipelines, commands, and the fields and constants in them.

use super::{Executor, Slot};
use crate::error::Error;
use crate::parse::{Command, Located, Number, Operand, OperandKind, Pipe, Span};
use crate::quote::quote;
use crate::templates::MissingKey;
use crate::value::Value;

impl<'t> Executor<'t> {
    /// The value of a pipeline. Variables that it declares stay until the end of the structure that it stands in.
    pub(super) fn pipeline(&mut self, dot: &Slot, pipe: &'t Pipe) -> Result<Value, Error> {
        self.at(pipe);
        let mut value: Option<Slot> = None;
        for command in &pipe.commands {
            // What comes out of an interface is what is in it.
            value = Some(Slot::plain(self.command(dot, command, value)?.value));
        }
        let value = value.map_or(Value::Nil, |slot| slot.value);
        for variable in &pipe.variables {
            if pipe.assign {
                self.set(*variable, Slot::plain(value.clone()))?;
            } else {
                let name = variable.of(&self.tree.text);
                self.variables.push((name, Slot::plain(value.clone())));
            }
        }
        Ok(value)
    }

    pub(super) fn set(&mut self, name: Span, value: Slot) -> Result<(), Error> {
        let name = name.of(&self.tree.text);
        match self.variables.iter_mut().rev().find(|(known, _)| *known == name) {
            Some((_, place)) => {
                *place = value;
                Ok(())
            }
            None => Err(self.undefined(name)),
        }
    }

    fn undefined(&self, name: &[u8]) -> Error {
        self.error([b"undefined variable: ", name].concat())
    }

    fn variable(&self, name: &[u8]) -> Result<Slot, Error> {
        let found = self.variables.iter().rev().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.clone()).ok_or_else(|| self.undefined(name))
    }

    fn command(&mut self, dot: &Slot, command: &'t Command, last: Option<Slot>) -> Result<Slot, Error> {
        self.run.spend(1).map_err(|failure| self.failed(&failure))?;
        let operands = &command.operands[..];
        let Some(first) = operands.first() else { return Ok(Slot::plain(Value::Nil)) };
        match &first.kind {
            OperandKind::Field(_) | OperandKind::Chain(..) | OperandKind::Variable(..) => {
                return self.fields(dot, first, operands, last);
            }
            OperandKind::Identifier(name) => {
                return self.function(dot, first, command, *name, operands, last);
            }
            OperandKind::Pipe(pipe) => {
                self.no_arguments(operands, last.as_ref())?;
                return self.deeper(|executor| executor.pipeline(dot, pipe)).map(Slot::plain);
            }
            OperandKind::Bool(_)
            | OperandKind::Dot
            | OperandKind::Nil
            | OperandKind::Number(_)
            | OperandKind::Text { .. } => {}
        }
        self.at(first);
        self.no_arguments(operands, last.as_ref())?;
        match &first.kind {
            OperandKind::Bool(value) => Ok(Slot::plain(Value::Bool(*value))),
            OperandKind::Dot => Ok(dot.clone()),
            OperandKind::Number(number) => self.number(first, number),
            OperandKind::Text { text, .. } => Ok(Slot::plain(Value::Text(text.clone()))),
            OperandKind::Nil
            | OperandKind::Field(_)
            | OperandKind::Chain(..)
            | OperandKind::Identifier(_)
            | OperandKind::Variable(..)
            | OperandKind::Pipe(_) => Err(self.error("nil is not a command")),
        }
    }

    /// What is no function takes no arguments.
    fn no_arguments(&self, operands: &[Operand], last: Option<&Slot>) -> Result<(), Error> {
        match operands {
            [first, rest @ ..] if !rest.is_empty() || last.is_some() => Err(self.error(
                [b"can't give argument to non-function ", &first.to_bytes(&self.tree.text)[..]].concat(),
            )),
            _ => Ok(()),
        }
    }

    /// A number where nothing tells its type.
    pub(super) fn number(&mut self, operand: &'t Operand, number: &Number) -> Result<Slot, Error> {
        self.at(operand);
        match (number.float, number.int) {
            (Some(float), _) if number.is_ideal_float() => Ok(Slot::plain(Value::float(float))),
            (_, Some(int)) => Ok(Slot::plain(Value::int(int))),
            (_, None) => Err(self.error(format!("{} overflows int", number.text))),
        }
    }

    /// A field, variable or chain, with the arguments that its last field may take.
    pub(super) fn fields(
        &mut self,
        dot: &Slot,
        operand: &'t Operand,
        operands: &'t [Operand],
        last: Option<Slot>,
    ) -> Result<Slot, Error> {
        self.at(operand);
        let source = &self.tree.text;
        let (mut receiver, fields) = match &operand.kind {
            OperandKind::Field(fields) => (dot.clone(), fields),
            OperandKind::Variable(name, fields) => {
                let value = self.variable(name.of(source))?;
                if fields.is_empty() {
                    self.no_arguments(operands, last.as_ref())?;
                    return Ok(value);
                }
                (value, fields)
            }
            OperandKind::Chain(inner, fields) => (self.chain_start(dot, inner)?, fields),
            OperandKind::Bool(_)
            | OperandKind::Dot
            | OperandKind::Nil
            | OperandKind::Identifier(_)
            | OperandKind::Number(_)
            | OperandKind::Text { .. }
            | OperandKind::Pipe(_) => return Err(self.error("no fields")),
        };
        let mut fields = fields.fields(source).peekable();
        while let Some(field) = fields.next() {
            if fields.peek().is_none() {
                return self.field(dot, field, operand, operands, last, receiver);
            }
            receiver = self.field(dot, field, operand, &[], None, receiver)?;
        }
        Ok(receiver)
    }

    fn chain_start(&mut self, dot: &Slot, inner: &'t Operand) -> Result<Slot, Error> {
        self.at(inner);
        match &inner.kind {
            OperandKind::Pipe(pipe) => self.deeper(|executor| executor.pipeline(dot, pipe)).map(Slot::plain),
            OperandKind::Identifier(name) => self.function(dot, inner, inner, *name, &[], None),
            OperandKind::Bool(_)
            | OperandKind::Dot
            | OperandKind::Nil
            | OperandKind::Field(_)
            | OperandKind::Chain(..)
            | OperandKind::Number(_)
            | OperandKind::Text { .. }
            | OperandKind::Variable(..) => self.fields(dot, inner, &[], None),
        }
    }

    /// One field of `receiver`: an object's method or field, or a map's key.
    fn field(
        &mut self,
        dot: &Slot,
        name: &[u8],
        node: &'t dyn Located,
        operands: &'t [Operand],
        last: Option<Slot>,
        receiver: Slot,
    ) -> Result<Slot, Error> {
        if receiver.is_invalid() {
            if self.templates.missing_key() == MissingKey::Error {
                return Err(self.error([b"nil data; no entry for key ", &quote(name)[..]].concat()));
            }
            return Ok(receiver);
        }
        let has_arguments = operands.len() > 1 || last.is_some();
        let refused = |what: &str| [name, what.as_bytes()].concat();
        match &receiver.value {
            Value::Nil => {
                let type_name = receiver.type_name();
                let what = [b"nil pointer evaluating ", type_name.as_bytes(), b".", name].concat();
                return Err(self.error(what));
            }
            Value::Object(object) => {
                let text = String::from_utf8_lossy(name);
                if let Some(method) = object.method(&text) {
                    return self.call_host(dot, &method, node, name, operands, last);
                }
                if let Some(field) = object.field(&text) {
                    if has_arguments {
                        return Err(self.error(refused(" has arguments but cannot be invoked as function")));
                    }
                    let boxed = matches!(field, Value::Nil);
                    return Ok(Slot { value: field, boxed });
                }
                if object.all_fields().iter().any(|(known, _)| known[..] == *name) {
                    let what = format!(" is an unexported field of struct type {}", receiver.type_name());
                    return Err(self.error(refused(&what)));
                }
            }
            Value::Bool(_)
            | Value::Int(..)
            | Value::Uint(..)
            | Value::Float(..)
            | Value::Text(_)
            | Value::List(_)
            | Value::Map(_)
            | Value::Function(_) => {}
        }
        let beneath;
        let map = match &receiver.value {
            Value::Map(map) => Some(map),
            Value::Object(_) => {
                beneath = receiver.value.underlying();
                if let Value::Map(map) = &beneath { Some(map) } else { None }
            }
            Value::Nil
            | Value::Bool(_)
            | Value::Int(..)
            | Value::Uint(..)
            | Value::Float(..)
            | Value::Text(_)
            | Value::List(_)
            | Value::Function(_) => None,
        };
        let Some(map) = map else {
            let type_name = receiver.type_name();
            let what = [b"can't evaluate field ", name, b" in type ", type_name.as_bytes()].concat();
            return Err(self.error(what));
        };
        if has_arguments {
            return Err(self.error(refused(" is not a method but has arguments")));
        }
        let element = map.type_of().element();
        match (map.get(name), self.templates.missing_key()) {
            (Some(value), _) => Ok(Slot::element(value, element)),
            (None, MissingKey::Invalid) => Ok(Slot::plain(Value::Nil)),
            (None, MissingKey::Zero) => Ok(Slot::element(element.zero(), element)),
            (None, MissingKey::Error) => {
                Err(self.error([b"map has no entry for key ", &quote(name)[..]].concat()))
            }
        }
    }
}

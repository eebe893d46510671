//! Calls: arguments are evaluated for what the function wants, then the function runs.

use super::{Executor, Slot};
use crate::builtin::{Builtin, Wanted};
use crate::context::Context;
use crate::error::{Error, ErrorKind, Failure};
use crate::function::Function;
use crate::parse::{Located, Operand, OperandKind, Span};
use crate::quote::quote;
use crate::value::{Type, Value};

/// The steps of an item in a new list or map: it takes memory, of which a step stands for four bytes.
const NEW_ITEM: u64 = 8;

/// What a function takes: the fixed arguments, and what all further ones are.
#[derive(Clone, Copy)]
struct Parameters<'p> {
    fixed: Fixed<'p>,
    variadic: Option<Wanted<'p>>,
}

/// What each of the fixed arguments is.
#[derive(Clone, Copy)]
enum Fixed<'p> {
    Host(&'p [Type]),
    Builtin(&'p [Wanted<'p>]),
}

impl<'p> Parameters<'p> {
    fn of_host(function: &'p Function) -> Self {
        let signature = function.signature();
        match signature.parameters().split_last() {
            Some((more, fixed)) if signature.is_variadic() => {
                Self { fixed: Fixed::Host(fixed), variadic: Some(Wanted::Type(more)) }
            }
            Some(_) | None => Self { fixed: Fixed::Host(signature.parameters()), variadic: None },
        }
    }

    fn of_builtin(builtin: Builtin) -> Self {
        let (fixed, variadic) = builtin.parameters();
        Self { fixed: Fixed::Builtin(fixed), variadic }
    }

    /// How many are fixed.
    fn least(&self) -> usize {
        match self.fixed {
            Fixed::Host(types) => types.len(),
            Fixed::Builtin(wanted) => wanted.len(),
        }
    }

    /// What is wanted at that place.
    fn at(&self, index: usize) -> Option<Wanted<'p>> {
        let fixed = match self.fixed {
            Fixed::Host(types) => types.get(index).map(Wanted::Type),
            Fixed::Builtin(wanted) => wanted.get(index).copied(),
        };
        fixed.or(self.variadic)
    }
}

/// Before the place of the outermost call, in what is said of a bound.
const CALLED: &[u8] = b" (called at ";

impl<'t> Executor<'t> {
    /// A function by its name: the host's, or Go's own.
    pub(super) fn function(
        &mut self,
        dot: &Slot,
        identifier: &'t Operand,
        command: &'t dyn Located,
        name: Span,
        operands: &'t [Operand],
        last: Option<Slot>,
    ) -> Result<Slot, Error> {
        self.at(identifier);
        let name = name.of(&self.tree.text);
        let templates = self.templates;
        if let Some(function) = templates.function(name) {
            return self.call_host(dot, function, command, name, operands, last);
        }
        match Builtin::named(name) {
            Some(builtin) => self.call_builtin(dot, builtin, command, name, operands, last),
            None => Err(self.error([&quote(name)[..], b" is not a defined function"].concat())),
        }
    }

    pub(super) fn call_host(
        &mut self,
        dot: &Slot,
        function: &Function,
        node: &'t dyn Located,
        name: &[u8],
        operands: &'t [Operand],
        last: Option<Slot>,
    ) -> Result<Slot, Error> {
        let parameters = Parameters::of_host(function);
        let values = self.arguments(dot, &parameters, name, operands, last, |slot| slot.value)?;
        // Most functions look at all that they are given.
        let size = values.iter().map(size).sum::<usize>();
        self.run.spend(size as u64 / 16).map_err(|failure| self.failed(&failure))?;
        let result = self.bounded(function, &values).and_then(|()| {
            let mut context = Context::new(self.templates, self.run);
            let result = function.call(&mut context, values)?;
            self.count(&result).map(|()| result)
        });
        self.called(node, name, result).map(|value| Slot::element(value, function.signature().result()))
    }

    /// Refuses arguments of which a function might make more than there is room for.
    fn bounded(&self, function: &Function, arguments: &[Value]) -> Result<(), Failure> {
        /// The most that a function makes of a byte without asking: an escape, or an item of a list.
        const ESCAPE: usize = 8;
        const ITEM: usize = 64;
        let growth = match function.signature().result() {
            Type::List(_) | Type::Map(_) => ITEM,
            Type::Any
            | Type::Bool
            | Type::Text
            | Type::Int(_)
            | Type::Uint(_)
            | Type::Float(_)
            | Type::Named(..)
            | Type::Object(_)
            | Type::Function(_) => ESCAPE,
        };
        let (mut bytes, mut items) = (0_usize, 0_usize);
        for argument in arguments {
            match argument {
                Value::Text(text) => bytes += text.len(),
                Value::List(list) => items += list.len(),
                Value::Map(map) => items += map.len(),
                Value::Nil
                | Value::Bool(_)
                | Value::Int(..)
                | Value::Uint(..)
                | Value::Float(..)
                | Value::Object(_)
                | Value::Function(_) => {}
            }
        }
        self.run.affords(bytes.saturating_mul(growth), (items as u64).saturating_mul(NEW_ITEM))
    }

    /// Charges what a function made: texts by the byte, lists and maps that nobody else holds by the item.
    fn count(&self, made: &Value) -> Result<(), Failure> {
        let items = match made {
            Value::Text(text) => return self.run.write(text.len()),
            Value::List(list) if list.is_unshared() => list.len(),
            Value::Map(map) if map.is_unshared() => map.len(),
            Value::Nil
            | Value::Bool(_)
            | Value::Int(..)
            | Value::Uint(..)
            | Value::Float(..)
            | Value::List(_)
            | Value::Map(_)
            | Value::Object(_)
            | Value::Function(_) => 0,
        };
        self.run.spend((items as u64).saturating_mul(NEW_ITEM))
    }

    /// What a call gave, or its failure with the place of the call.
    fn called<T>(
        &mut self,
        node: &'t dyn Located,
        name: &[u8],
        result: Result<T, Failure>,
    ) -> Result<T, Error> {
        result.map_err(|failure| {
            // Of the whole way to where a bound was met, only its two ends are said.
            if failure.kind == ErrorKind::Limit && failure.text.starts_with(b"template: ") {
                let place = self.tree.location(node.at());
                let met = memchr::memmem::rfind(&failure.text, CALLED).unwrap_or(failure.text.len());
                return Error::new(failure.kind, [&failure.text[..met], CALLED, &place[..], b")"].concat());
            }
            self.at(node);
            self.error_of(failure.kind, &[b"error calling ", name, b": ", &failure.text[..]].concat())
        })
    }

    fn call_builtin(
        &mut self,
        dot: &Slot,
        builtin: Builtin,
        node: &'t dyn Located,
        name: &[u8],
        operands: &'t [Operand],
        last: Option<Slot>,
    ) -> Result<Slot, Error> {
        let parameters = Parameters::of_builtin(builtin);
        match builtin {
            Builtin::And | Builtin::Or => {
                self.check_count(&parameters, name, operands, last.as_ref())?;
                self.short_circuit(dot, builtin == Builtin::Or, operands, last)
            }
            Builtin::Call => {
                let arguments = self.arguments(dot, &parameters, name, operands, last, |slot| slot)?;
                let callee = match operands.get(1) {
                    Some(operand) => operand.to_bytes(&self.tree.text),
                    None => arguments.first().map_or_else(Vec::new, |slot| {
                        format!("<{} Value>", slot.value.type_name()).into_bytes()
                    }),
                };
                let result = self.call_value(&callee, arguments);
                self.called(node, name, result).map(Slot::plain)
            }
            _ => {
                let arguments = self.arguments(dot, &parameters, name, operands, last, |slot| slot)?;
                let result = builtin.run(arguments, self.run);
                self.called(node, name, result)
            }
        }
    }

    /// `and` and `or`: the first argument that decides, or the last.
    fn short_circuit(
        &mut self,
        dot: &Slot,
        decides: bool,
        operands: &'t [Operand],
        last: Option<Slot>,
    ) -> Result<Slot, Error> {
        let mut value = Slot::plain(Value::Nil);
        for operand in operands.get(1..).unwrap_or_default() {
            value = self.argument(dot, Wanted::Slot, operand)?;
            if value.value.is_true() == decides {
                return Ok(value);
            }
        }
        Ok(last.unwrap_or(value))
    }

    fn check_count(
        &self,
        parameters: &Parameters<'_>,
        name: &[u8],
        operands: &[Operand],
        last: Option<&Slot>,
    ) -> Result<(), Error> {
        let written = operands.len().saturating_sub(1);
        let (given, fixed) = (written + usize::from(last.is_some()), parameters.least());
        let why = match parameters.variadic {
            Some(_) if given < fixed => format!(": want at least {fixed} got {written}"),
            None if given != fixed => format!(": want {fixed} got {given}"),
            Some(_) | None => return Ok(()),
        };
        Err(self.error([b"wrong number of args for ", name, why.as_bytes()].concat()))
    }

    /// All arguments; of each what is to be kept.
    fn arguments<T>(
        &mut self,
        dot: &Slot,
        parameters: &Parameters<'_>,
        name: &[u8],
        operands: &'t [Operand],
        last: Option<Slot>,
        kept: impl Fn(Slot) -> T,
    ) -> Result<Vec<T>, Error> {
        self.check_count(parameters, name, operands, last.as_ref())?;
        let mut arguments = Vec::with_capacity(operands.len() + 1);
        for (index, operand) in operands.iter().skip(1).enumerate() {
            let wanted = parameters.at(index).unwrap_or(Wanted::Slot);
            arguments.push(kept(self.argument(dot, wanted, operand)?));
        }
        if let Some(last) = last {
            let wanted = parameters.at(arguments.len()).unwrap_or(Wanted::Slot);
            arguments.push(kept(self.fitting(last, wanted)?));
        }
        Ok(arguments)
    }

    /// One argument, as what is wanted. A constant takes the type that is asked for.
    fn argument(&mut self, dot: &Slot, wanted: Wanted<'_>, operand: &'t Operand) -> Result<Slot, Error> {
        self.at(operand);
        let slot = match &operand.kind {
            OperandKind::Dot => dot.clone(),
            OperandKind::Nil => {
                return match wanted {
                    Wanted::Slot => Ok(Slot::plain(Value::Nil)),
                    Wanted::Type(type_of) if type_of.has_nil() => Ok(Slot::element(type_of.zero(), type_of)),
                    Wanted::Type(type_of) => Err(self.error(format!("cannot assign nil to {type_of}"))),
                };
            }
            OperandKind::Field(_) | OperandKind::Variable(..) | OperandKind::Chain(..) => {
                self.fields(dot, operand, &[], None)?
            }
            OperandKind::Pipe(pipe) => Slot::plain(self.deeper(|executor| executor.pipeline(dot, pipe))?),
            OperandKind::Identifier(name) => self.function(dot, operand, operand, *name, &[], None)?,
            OperandKind::Bool(_) | OperandKind::Number(_) | OperandKind::Text { .. } => {
                return match wanted {
                    Wanted::Slot | Wanted::Type(Type::Any) => self.constant(operand),
                    Wanted::Type(type_of) => self.typed_constant(type_of, operand),
                };
            }
        };
        self.fitting(slot, wanted)
    }

    fn constant(&mut self, operand: &'t Operand) -> Result<Slot, Error> {
        match &operand.kind {
            OperandKind::Bool(value) => Ok(Slot::plain(Value::Bool(*value))),
            OperandKind::Number(number) => self.number(operand, number),
            OperandKind::Text { text, .. } => Ok(Slot::plain(Value::Text(text.clone()))),
            OperandKind::Dot
            | OperandKind::Nil
            | OperandKind::Field(_)
            | OperandKind::Chain(..)
            | OperandKind::Identifier(_)
            | OperandKind::Variable(..)
            | OperandKind::Pipe(_) => Err(self.error("no constant")),
        }
    }

    fn typed_constant(&mut self, wanted: &Type, operand: &'t Operand) -> Result<Slot, Error> {
        #[allow(clippy::cast_possible_truncation, reason = "Go's float32 is as narrow")]
        let value = match (wanted, &operand.kind) {
            (Type::Bool, OperandKind::Bool(value)) => Some(Value::Bool(*value)),
            (Type::Text, OperandKind::Text { text, .. }) => Some(Value::Text(text.clone())),
            (Type::Int(kind), OperandKind::Number(number)) => number.int.map(|int| Value::Int(*kind, int)),
            (Type::Uint(kind), OperandKind::Number(number)) => {
                number.uint.map(|uint| Value::Uint(*kind, uint))
            }
            (Type::Float(kind), OperandKind::Number(number)) => {
                number.float.map(|float| Value::Float(*kind, float))
            }
            _ => None,
        };
        let expected = match wanted {
            Type::Bool => "bool",
            Type::Text => "string",
            Type::Int(_) => "integer",
            Type::Uint(_) => "unsigned integer",
            Type::Float(_) => "float",
            Type::Any
            | Type::List(_)
            | Type::Map(_)
            | Type::Named(..)
            | Type::Object(_)
            | Type::Function(_) => {
                let for_type = format!(" for arg of type {wanted}");
                let what =
                    [b"can't handle ", &operand.to_bytes(&self.tree.text)[..], for_type.as_bytes()].concat();
                return Err(self.error(what));
            }
        };
        value.map(Slot::plain).ok_or_else(|| {
            self.error(
                [b"expected ", expected.as_bytes(), b"; found ", &operand.to_bytes(&self.tree.text)[..]]
                    .concat(),
            )
        })
    }

    /// A value that is no constant, where that is wanted.
    fn fitting(&self, slot: Slot, wanted: Wanted<'_>) -> Result<Slot, Error> {
        let Wanted::Type(type_of) = wanted else { return Ok(slot) };
        if slot.is_invalid() {
            if type_of.has_nil() {
                return Ok(Slot::element(type_of.zero(), type_of));
            }
            return Err(self.error(format!("invalid value; expected {type_of}")));
        }
        if *type_of == Type::Any {
            return Ok(slot);
        }
        if let (Value::Text(_), Type::Text) | (Value::Bool(_), Type::Bool) = (&slot.value, type_of) {
            return Ok(Slot::plain(slot.value));
        }
        if let Some(beneath) = unnamed(&slot.value, type_of) {
            return Ok(Slot::plain(beneath));
        }
        match slot.value.type_of() {
            Some(own) if own.assignable(type_of) => Ok(Slot::plain(slot.value)),
            Some(own) => Err(self.error(format!("wrong type for value; expected {type_of}; got {own}"))),
            None => Err(self.error(format!("wrong type for value; expected {type_of}; got {}", Type::Any))),
        }
    }

    /// The builtin `call`: the first argument is the function.
    fn call_value(&mut self, callee: &[u8], mut arguments: Vec<Slot>) -> Result<Value, Failure> {
        let function = match arguments.remove(0).value {
            Value::Function(function) => function,
            Value::Nil => return Err(Failure::new("call of nil")),
            other => {
                let type_name = other.type_name();
                return Err(Failure::new(
                    [b"non-function ", callee, b" of type ", type_name.as_bytes()].concat(),
                ));
            }
        };
        let parameters = Parameters::of_host(&function);
        let (given, fixed) = (arguments.len(), parameters.least());
        let wrong = match parameters.variadic {
            Some(_) if given < fixed => Some(format!(": got {given} want at least {fixed}")),
            None if given != fixed => Some(format!(": got {given} want {fixed}")),
            Some(_) | None => None,
        };
        if let Some(why) = wrong {
            return Err(Failure::new([b"wrong number of args for ", callee, why.as_bytes()].concat()));
        }
        let mut values = Vec::with_capacity(given);
        for (index, argument) in arguments.into_iter().enumerate() {
            let value = match parameters.at(index) {
                Some(Wanted::Type(type_of)) => prepared(argument.value, type_of)
                    .map_err(|why| Failure::new(format!("arg {index}: {why}")))?,
                Some(Wanted::Slot) | None => argument.value,
            };
            values.push(value);
        }
        function.call(&mut Context::new(self.templates, self.run), values)
    }
}

/// Roughly how much there is to look at.
fn size(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.len() / 16,
        Value::List(list) => list.len(),
        Value::Map(map) => map.len(),
        Value::Nil
        | Value::Bool(_)
        | Value::Int(..)
        | Value::Uint(..)
        | Value::Float(..)
        | Value::Object(_)
        | Value::Function(_) => 0,
    }
}

/// What is beneath an object's name, where a list or map without a name is wanted: Go assigns one to the other.
fn unnamed(value: &Value, wanted: &Type) -> Option<Value> {
    let (Value::Object(object), Type::List(_) | Type::Map(_)) = (value, wanted) else { return None };
    object.underlying().filter(|beneath| beneath.type_of().is_some_and(|own| own.assignable(wanted)))
}

/// A value as an argument of that type; integers are converted.
#[allow(clippy::cast_possible_wrap, clippy::cast_sign_loss, reason = "Go's conversions wrap")]
pub(crate) fn prepared(value: Value, wanted: &Type) -> Result<Value, String> {
    let Some(own) = value.type_of() else {
        return if wanted.has_nil() {
            Ok(wanted.zero())
        } else {
            Err(format!("value is nil; should be of type {wanted}"))
        };
    };
    if own.assignable(wanted) {
        return Ok(value);
    }
    if let Some(beneath) = unnamed(&value, wanted) {
        return Ok(beneath);
    }
    match (&value, wanted) {
        (Value::Int(_, number), Type::Int(kind)) => Ok(Value::Int(*kind, *number)),
        (Value::Int(_, number), Type::Uint(kind)) => Ok(Value::Uint(*kind, *number as u64)),
        (Value::Uint(_, number), Type::Int(kind)) => Ok(Value::Int(*kind, *number as i64)),
        (Value::Uint(_, number), Type::Uint(kind)) => Ok(Value::Uint(*kind, *number)),
        _ => Err(format!("value has type {own}; should be {wanted}")),
    }
}

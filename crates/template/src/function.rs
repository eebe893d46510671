//! Functions that the host gives to templates, with the Go signatures that their arguments are checked by.

use crate::context::Context;
use crate::error::Failure;
use crate::text::Text;
use crate::value::{Float, Int, List, Map, Object, Type, Uint, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use thiserror::Error;

/// A signature that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("no Go function type: {0}")]
pub struct InvalidSignature(String);

/// A Go function type: what a function takes and gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    text: Rc<str>,
    parameters: Vec<Type>,
    variadic: bool,
    result: Type,
}

impl Signature {
    /// Reads `func(string, ...interface {}) (string, error)`. Names of parameters are left out; a type that is none of Go's
    /// own is that of an [`Object`].
    pub fn parse(text: &str) -> Result<Self, InvalidSignature> {
        let invalid = || InvalidSignature(text.to_owned());
        let rest = text.strip_prefix("func(").ok_or_else(invalid)?;
        let (inside, result) = rest.split_once(')').ok_or_else(invalid)?;
        let (mut parameters, mut variadic) = (Vec::new(), false);
        for parameter in inside.split(", ").filter(|parameter| !parameter.is_empty()) {
            if variadic {
                return Err(invalid());
            }
            let element = parameter.strip_prefix("...");
            variadic = element.is_some();
            parameters.push(parse_type(element.unwrap_or(parameter)).ok_or_else(invalid)?);
        }
        let result = result.trim();
        let result =
            result.strip_prefix('(').and_then(|pair| pair.strip_suffix(", error)")).unwrap_or(result);
        let result = parse_type(result).ok_or_else(invalid)?;
        Ok(Self { text: text.into(), parameters, variadic, result })
    }

    /// The type as Go writes it.
    pub fn text(&self) -> &Rc<str> {
        &self.text
    }

    /// The parameters' types; of the last one of a variadic function, that of one argument.
    pub fn parameters(&self) -> &[Type] {
        &self.parameters
    }

    /// Whether the last parameter takes any number of arguments.
    pub fn is_variadic(&self) -> bool {
        self.variadic
    }

    /// The result's type.
    pub fn result(&self) -> &Type {
        &self.result
    }
}

fn parse_type(text: &str) -> Option<Type> {
    if let Some(element) = text.strip_prefix("[]") {
        return parse_type(element).map(|element| Type::List(Rc::new(element)));
    }
    if let Some(element) = text.strip_prefix("map[string]") {
        return parse_type(element).map(|element| Type::Map(Rc::new(element)));
    }
    Some(match text {
        "interface {}" => Type::Any,
        "bool" => Type::Bool,
        "string" => Type::Text,
        "int" => Type::Int(Int::Int),
        "int32" => Type::Int(Int::Int32),
        "int64" => Type::Int(Int::Int64),
        "uint8" => Type::Uint(Uint::Uint8),
        "uint32" => Type::Uint(Uint::Uint32),
        "uint64" => Type::Uint(Uint::Uint64),
        "float64" => Type::Float(Float::Float64),
        _ => {
            let name = text.strip_prefix('*').unwrap_or(text);
            let named =
                name.contains('.') && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
            return named.then(|| Type::Object(text.into()));
        }
    })
}

type Body = dyn Fn(&mut Context<'_>, &Arguments) -> Result<Value, Failure>;

/// A function for templates. It may carry state, and it is given the [`Context`] of the call.
#[derive(Clone)]
pub struct Function {
    signature: Rc<Signature>,
    body: Rc<Body>,
}

impl Function {
    /// A function with that Go signature: arguments are checked by it before `body` is called.
    ///
    /// ```
    /// use trueup_template::{Function, Value};
    ///
    /// let double = Function::new("func(int) int", |_, arguments| Ok(Value::int(arguments.int(0)? * 2)))?;
    /// # Ok::<(), trueup_template::InvalidSignature>(())
    /// ```
    pub fn new(
        signature: &str,
        body: impl Fn(&mut Context<'_>, &Arguments) -> Result<Value, Failure> + 'static,
    ) -> Result<Self, InvalidSignature> {
        Ok(Self { signature: Rc::new(Signature::parse(signature)?), body: Rc::new(body) })
    }

    /// Its signature.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// The same function; `before` is told of each call's arguments first.
    #[must_use]
    pub fn told(&self, before: impl Fn(&Arguments) + 'static) -> Self {
        let body = Rc::clone(&self.body);
        let told = move |context: &mut Context<'_>, arguments: &Arguments| {
            before(arguments);
            body(context, arguments)
        };
        Self { signature: Rc::clone(&self.signature), body: Rc::new(told) }
    }

    pub(crate) fn call(&self, context: &mut Context<'_>, arguments: Vec<Value>) -> Result<Value, Failure> {
        (self.body)(context, &Arguments(arguments))
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.signature.text)
    }
}

/// The arguments of a call, as its signature has them.
#[derive(Debug)]
pub struct Arguments(Vec<Value>);

impl Arguments {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The argument at `index`, nil where there are fewer.
    pub fn any(&self, index: usize) -> &Value {
        self.0.get(index).unwrap_or(&Value::Nil)
    }

    /// Those from `index` on.
    pub fn rest(&self, index: usize) -> &[Value] {
        self.0.get(index..).unwrap_or_default()
    }

    /// A `string`.
    pub fn text(&self, index: usize) -> Result<&Text, Failure> {
        match self.any(index) {
            Value::Text(text) => Ok(text),
            other => Err(unlike(index, other)),
        }
    }

    /// A signed integer of any width.
    pub fn int(&self, index: usize) -> Result<i64, Failure> {
        match self.any(index) {
            Value::Int(_, value) => Ok(*value),
            other => Err(unlike(index, other)),
        }
    }

    /// A `bool`.
    pub fn bool(&self, index: usize) -> Result<bool, Failure> {
        match self.any(index) {
            Value::Bool(value) => Ok(*value),
            other => Err(unlike(index, other)),
        }
    }

    /// A float of any width.
    pub fn float(&self, index: usize) -> Result<f64, Failure> {
        match self.any(index) {
            Value::Float(_, value) => Ok(*value),
            other => Err(unlike(index, other)),
        }
    }

    /// A map.
    pub fn map(&self, index: usize) -> Result<&Map, Failure> {
        match self.any(index) {
            Value::Map(map) => Ok(map),
            other => Err(unlike(index, other)),
        }
    }

    /// A list.
    pub fn list(&self, index: usize) -> Result<&List, Failure> {
        match self.any(index) {
            Value::List(list) => Ok(list),
            other => Err(unlike(index, other)),
        }
    }

    /// An object.
    pub fn object(&self, index: usize) -> Result<&Rc<dyn Object>, Failure> {
        match self.any(index) {
            Value::Object(object) => Ok(object),
            other => Err(unlike(index, other)),
        }
    }
}

/// A function that asks for more than its signature promises.
fn unlike(index: usize, value: &Value) -> Failure {
    Failure::new(format!("argument {index} is of type {}", value.type_name()))
}

/// Functions by their names.
#[derive(Debug, Clone, Default)]
pub struct Functions(BTreeMap<Text, Function>);

impl Functions {
    /// No functions but Go's own.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a function, in the place of an earlier one of that name.
    pub fn insert(&mut self, name: impl Into<Text>, function: Function) {
        self.0.insert(name.into(), function);
    }

    /// Takes a function out.
    pub fn remove(&mut self, name: &str) -> Option<Function> {
        self.0.remove(name.as_bytes())
    }

    /// The function of that name.
    pub fn get(&self, name: &[u8]) -> Option<&Function> {
        self.0.get(name)
    }

    /// The names in their order.
    pub fn names(&self) -> impl Iterator<Item = &Text> {
        self.0.keys()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_read_as_go_writes_it() {
        let read =
            Signature::parse("func(string, []string, ...interface {}) (map[string]interface {}, error)")
                .unwrap();
        assert_eq!(read.parameters(), [Type::Text, Type::List(Rc::new(Type::Text)), Type::Any]);
        assert!(read.is_variadic() && *read.result() == Type::map());
        assert_eq!(*Signature::parse("func() time.Time").unwrap().result(), Type::Object("time.Time".into()));
        for text in ["", "func(", "func(strin) int", "func(...int, int) int", "func()"] {
            assert!(Signature::parse(text).is_err(), "{text}");
        }
    }
}

//! Functions that the host gives to templates, with the Go signatures that their arguments are checked by.

use crate::context::Context;
use crate::error::Failure;
use crate::text::Text;
use crate::value::{Float, Int, List, Map, Object, Type, Uint, Value};
use std::borrow::{Borrow, Cow};
use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::hash::{BuildHasherDefault, Hash, Hasher};
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
        for parameter in
            inside.split(',').map(str::trim_ascii_start).filter(|parameter| !parameter.is_empty())
        {
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

type Entries = HashMap<Name, Entry, BuildHasherDefault<Fnv>>;

/// Functions by their names.
#[derive(Clone, Default)]
pub struct Functions {
    own: Entries,
    /// Those that count where there is no own one of a name.
    below: Option<Rc<Functions>>,
}

/// The FNV-1a hash: names are short, and are not chosen by whoever writes a template.
#[derive(Debug)]
pub(crate) struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn write_usize(&mut self, length: usize) {
        self.0 = (self.0 ^ length as u64).wrapping_mul(0x0100_0000_01b3);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A name that is found by its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Name(Cow<'static, str>);

impl Borrow<[u8]> for Name {
    fn borrow(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.as_bytes().hash(state);
    }
}

/// A function, or what it is made of when it is asked for: of hundreds a template calls a few.
#[derive(Clone)]
enum Entry {
    Made(Function),
    Table { signature: &'static str, body: TableBody, made: OnceCell<Option<Function>> },
    Group(Rc<Group>, &'static str),
}

/// Functions that are made together.
struct Group {
    make: Box<dyn Fn() -> Functions>,
    made: OnceCell<Functions>,
}

/// A function's body in a table.
pub(crate) type TableBody = fn(&mut Context<'_>, &Arguments) -> Result<Value, Failure>;

impl Functions {
    /// No functions but Go's own.
    pub fn new() -> Self {
        Self::default()
    }

    /// No functions but Go's own and those below, which are shared: hundreds of them cost nothing where they are made once.
    pub fn over(below: Rc<Self>) -> Self {
        Self { own: Entries::default(), below: Some(below) }
    }

    /// Adds a function, in the place of an earlier one of that name.
    pub fn insert(&mut self, name: impl Into<Cow<'static, str>>, function: Function) {
        self.own.insert(Name(name.into()), Entry::Made(function));
    }

    /// Adds functions of these names, which are made when one of them is asked for. A name that is not among those that are made is
    /// no function.
    pub fn insert_group(&mut self, names: &[&'static str], make: impl Fn() -> Self + 'static) {
        let group = Rc::new(Group { make: Box::new(make), made: OnceCell::new() });
        for name in names {
            self.own.insert(Name((*name).into()), Entry::Group(Rc::clone(&group), name));
        }
    }

    /// Makes room for that many more.
    pub(crate) fn reserve(&mut self, more: usize) {
        self.own.reserve(more);
    }

    /// Adds a function of a table. One whose signature cannot be read is none.
    pub(crate) fn insert_entry(&mut self, name: &'static str, signature: &'static str, body: TableBody) {
        self.own.insert(Name(name.into()), Entry::Table { signature, body, made: OnceCell::new() });
    }

    /// Adds all of others, in the place of earlier ones with their names.
    pub fn extend(&mut self, others: Self) {
        self.own.extend(others.flat());
    }

    /// The same functions; what is made of each name is told of the arguments of each call first.
    #[must_use]
    pub fn into_told<T: Fn(&Arguments) + 'static>(self, teller: impl Fn(&str) -> T) -> Self {
        let told = self.flat().into_iter().filter_map(|(name, entry)| {
            let function = entry.function()?.told(teller(&name.0));
            Some((name, Entry::Made(function)))
        });
        Self { own: told.collect(), below: None }
    }

    /// Takes a function out. Those below stay.
    pub fn remove(&mut self, name: &str) -> Option<Function> {
        self.own.remove(name.as_bytes()).and_then(|entry| entry.function().cloned())
    }

    /// Whether there is a function of that name.
    pub fn contains(&self, name: &[u8]) -> bool {
        self.own.contains_key(name) || self.below.as_ref().is_some_and(|below| below.contains(name))
    }

    /// The function of that name.
    pub fn get(&self, name: &[u8]) -> Option<&Function> {
        match self.own.get(name) {
            Some(entry) => entry.function(),
            None => self.below.as_ref()?.get(name),
        }
    }

    /// The names in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let mut names = BTreeSet::new();
        let mut layer = Some(self);
        while let Some(here) = layer {
            names.extend(here.own.keys().map(|name| &*name.0));
            layer = here.below.as_deref();
        }
        names.into_iter()
    }

    fn flat(self) -> Entries {
        let Some(below) = self.below else { return self.own };
        let mut all = Rc::unwrap_or_clone(below).flat();
        all.extend(self.own);
        all
    }
}

impl Entry {
    fn function(&self) -> Option<&Function> {
        match self {
            Self::Made(function) => Some(function),
            Self::Table { signature, body, made } => {
                made.get_or_init(|| Function::new(signature, *body).ok()).as_ref()
            }
            Self::Group(group, name) => group.made.get_or_init(&group.make).get(name.as_bytes()),
        }
    }
}

impl fmt::Debug for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_functions_stand_over_those_below() {
        let says = |word: &'static str| Function::new("func() string", move |_, _| Ok(word.into())).unwrap();
        let mut below = Functions::new();
        below.insert("a", says("below"));
        below.insert("b", says("below"));
        let mut functions = Functions::over(Rc::new(below));
        functions.insert("a", says("own"));
        let mut templates = crate::Templates::new("all").with_functions(functions.clone());
        templates.parse("main", "{{a}} {{b}}").unwrap();
        let text = templates.execute("main", Value::Nil, &crate::Limits::default()).unwrap();
        assert_eq!(text, b"own below");
        assert_eq!(functions.names().collect::<Vec<_>>(), ["a", "b"]);
        assert!(functions.remove("b").is_none() && functions.contains(b"b") && !functions.contains(b"c"));
        let mut others = Functions::new();
        others.extend(functions);
        assert_eq!(others.names().count(), 2);
    }

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

//! The values that templates compute with, and the Go types that messages name.

use crate::function::Function;
use crate::text::Text;
use std::cell::{Ref, RefCell, RefMut};
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

/// How wide a signed integer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "named as Go's types are")]
pub enum Int {
    Int,
    Int8,
    Int16,
    Int32,
    Int64,
}

/// How wide an unsigned integer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "named as Go's types are")]
pub enum Uint {
    Uint,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
}

/// How wide a float is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "named as Go's types are")]
pub enum Float {
    Float32,
    Float64,
}

/// A Go type; [`Display`](fmt::Display) writes it as Go's reflection does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// `interface {}`
    Any,
    /// `bool`
    Bool,
    /// `int`, `int64`, …
    Int(Int),
    /// `uint`, `uint64`, …
    Uint(Uint),
    /// `float32`, `float64`
    Float(Float),
    /// `string`
    Text,
    /// `[]T`
    List(Rc<Type>),
    /// `map[string]T`
    Map(Rc<Type>),
    /// A list or map type that has a name, like Helm's `common.Values`.
    Named(Rc<str>, Rc<Type>),
    /// The type of an [`Object`].
    Object(Rc<str>),
    /// A function's type, as Go writes it.
    Function(Rc<str>),
}

impl Type {
    /// `[]interface {}`
    pub fn list() -> Self {
        Self::List(any())
    }

    /// `map[string]interface {}`
    pub fn map() -> Self {
        Self::Map(any())
    }

    pub(crate) fn underlying(&self) -> &Self {
        match self {
            Self::Named(_, underlying) => underlying,
            Self::Any
            | Self::Bool
            | Self::Int(_)
            | Self::Uint(_)
            | Self::Float(_)
            | Self::Text
            | Self::List(_)
            | Self::Map(_)
            | Self::Object(_)
            | Self::Function(_) => self,
        }
    }

    /// Whether a value of this type can be given where `wanted` is asked for.
    pub(crate) fn assignable(&self, wanted: &Self) -> bool {
        if *wanted == Self::Any || self == wanted {
            return true;
        }
        let unnamed = !matches!(self, Self::Named(..)) || !matches!(wanted, Self::Named(..));
        unnamed && self.underlying() == wanted.underlying()
    }

    /// Whether nil is a value of this type.
    pub(crate) fn has_nil(&self) -> bool {
        match self.underlying() {
            Self::Any | Self::List(_) | Self::Map(_) | Self::Function(_) => true,
            Self::Object(name) => name.starts_with('*'),
            Self::Bool | Self::Int(_) | Self::Uint(_) | Self::Float(_) | Self::Text | Self::Named(..) => {
                false
            }
        }
    }

    /// What the elements of a list or map are.
    pub(crate) fn element(&self) -> &Self {
        match self.underlying() {
            Self::List(element) | Self::Map(element) => element,
            _ => &Self::Any,
        }
    }

    /// The value that Go gives a variable of this type at first.
    pub fn zero(&self) -> Value {
        match self.underlying() {
            Self::Bool => Value::Bool(false),
            Self::Int(kind) => Value::Int(*kind, 0),
            Self::Uint(kind) => Value::Uint(*kind, 0),
            Self::Float(kind) => Value::Float(*kind, 0.0),
            Self::Text => Value::Text(Text::default()),
            Self::List(_) => Value::List(List::nil(self.clone())),
            Self::Map(_) => Value::Map(Map::nil(self.clone())),
            Self::Any | Self::Named(..) | Self::Object(_) | Self::Function(_) => Value::Nil,
        }
    }
}

/// The type of what most lists and maps hold: one for all of a thread.
fn any() -> Rc<Type> {
    thread_local! {
        static ANY: Rc<Type> = Rc::new(Type::Any);
    }
    ANY.try_with(Rc::clone).unwrap_or_else(|_| Rc::new(Type::Any))
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("interface {}"),
            Self::Bool => f.write_str("bool"),
            Self::Int(Int::Int) => f.write_str("int"),
            Self::Int(Int::Int8) => f.write_str("int8"),
            Self::Int(Int::Int16) => f.write_str("int16"),
            Self::Int(Int::Int32) => f.write_str("int32"),
            Self::Int(Int::Int64) => f.write_str("int64"),
            Self::Uint(Uint::Uint) => f.write_str("uint"),
            Self::Uint(Uint::Uint8) => f.write_str("uint8"),
            Self::Uint(Uint::Uint16) => f.write_str("uint16"),
            Self::Uint(Uint::Uint32) => f.write_str("uint32"),
            Self::Uint(Uint::Uint64) => f.write_str("uint64"),
            Self::Float(Float::Float32) => f.write_str("float32"),
            Self::Float(Float::Float64) => f.write_str("float64"),
            Self::Text => f.write_str("string"),
            Self::List(element) => write!(f, "[]{element}"),
            Self::Map(element) => write!(f, "map[string]{element}"),
            Self::Named(name, _) | Self::Object(name) | Self::Function(name) => f.write_str(name),
        }
    }
}

/// A value in a template: what Go's reflection would find, in the kinds that templates meet.
#[derive(Clone)]
pub enum Value {
    /// Nothing: a nil, or what a missing key gives.
    Nil,
    /// A bool.
    Bool(bool),
    /// A signed integer.
    Int(Int, i64),
    /// An unsigned integer.
    Uint(Uint, u64),
    /// A float.
    Float(Float, f64),
    /// A string.
    Text(Text),
    /// A list, shared by those who hold it.
    List(List),
    /// A map with text keys, shared by those who hold it.
    Map(Map),
    /// Something that the host brings.
    Object(Rc<dyn Object>),
    /// A function as a value, for `call`.
    Function(Function),
}

impl Value {
    /// Whether it is nil, or a map or list that was never made.
    pub fn is_nil(&self) -> bool {
        match self {
            Self::Nil => true,
            Self::List(list) => list.is_nil(),
            Self::Map(map) => map.is_nil(),
            Self::Bool(_)
            | Self::Int(..)
            | Self::Uint(..)
            | Self::Float(..)
            | Self::Text(_)
            | Self::Object(_)
            | Self::Function(_) => false,
        }
    }

    fn holds_others(&self) -> bool {
        matches!(self, Self::List(_) | Self::Map(_))
    }

    /// A text.
    pub fn text(text: impl Into<Text>) -> Self {
        Self::Text(text.into())
    }

    /// An `int`.
    pub const fn int(value: i64) -> Self {
        Self::Int(Int::Int, value)
    }

    /// An `int64`.
    pub const fn int64(value: i64) -> Self {
        Self::Int(Int::Int64, value)
    }

    /// A `float64`.
    pub const fn float(value: f64) -> Self {
        Self::Float(Float::Float64, value)
    }

    /// A `[]interface {}`.
    pub fn list(items: impl IntoIterator<Item = Self>) -> Self {
        Self::List(List::new(Type::list(), items.into_iter().collect()))
    }

    /// A `[]string`.
    pub fn texts<T: Into<Text>>(items: impl IntoIterator<Item = T>) -> Self {
        let items = items.into_iter().map(|item| Self::Text(item.into())).collect();
        Self::List(List::new(Type::List(Rc::new(Type::Text)), items))
    }

    /// A `map[string]interface {}`.
    pub fn map<K: Into<Text>>(entries: impl IntoIterator<Item = (K, Self)>) -> Self {
        Self::Map(Map::new(
            Type::map(),
            entries.into_iter().map(|(key, value)| (key.into(), value)).collect(),
        ))
    }

    /// The Go type; nil has none.
    pub fn type_of(&self) -> Option<Type> {
        Some(match self {
            Self::Nil => return None,
            Self::Bool(_) => Type::Bool,
            Self::Int(kind, _) => Type::Int(*kind),
            Self::Uint(kind, _) => Type::Uint(*kind),
            Self::Float(kind, _) => Type::Float(*kind),
            Self::Text(_) => Type::Text,
            Self::List(list) => list.type_of().clone(),
            Self::Map(map) => map.type_of().clone(),
            Self::Object(object) => Type::Object(object.type_name()),
            Self::Function(function) => Type::Function(function.signature().text().clone()),
        })
    }

    /// The name of the type, `<nil>` for nil.
    pub(crate) fn type_name(&self) -> String {
        self.type_of().map_or_else(|| "<nil>".to_owned(), |type_of| type_of.to_string())
    }

    /// What `if` takes it for: false for nil, zero and what is empty.
    pub fn is_true(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(value) => *value,
            Self::Int(_, value) => *value != 0,
            Self::Uint(_, value) => *value != 0,
            Self::Float(_, value) => *value != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::List(list) => !list.is_empty(),
            Self::Map(map) => !map.is_empty(),
            Self::Object(object) => object.underlying().is_none_or(|value| value.is_true()),
            Self::Function(_) => true,
        }
    }

    /// The value beneath an object's name, or what a pointer points at, or the value itself.
    #[must_use]
    pub fn underlying(&self) -> Self {
        match self {
            Self::Object(object) => match object.underlying() {
                Some(value) => value,
                None if object.type_name().starts_with('*') => {
                    Self::Object(Rc::new(Pointee(Rc::clone(object))))
                }
                None => self.clone(),
            },
            Self::Nil
            | Self::Bool(_)
            | Self::Int(..)
            | Self::Uint(..)
            | Self::Float(..)
            | Self::Text(_)
            | Self::List(_)
            | Self::Map(_)
            | Self::Function(_) => self.clone(),
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::int(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::float(value)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl From<Vec<u8>> for Value {
    fn from(text: Vec<u8>) -> Self {
        Self::text(text)
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match crate::fmt::sprintf(b"%#v", std::slice::from_ref(self), 10_000) {
            Ok(printed) => f.write_str(&String::from_utf8_lossy(&printed)),
            Err(failure) => write!(f, "<{failure}>"),
        }
    }
}

struct ListData {
    type_of: Type,
    nil: bool,
    items: RefCell<Vec<Value>>,
}

/// A Go slice. Clones share their items.
#[derive(Clone)]
pub struct List(Rc<ListData>);

impl List {
    /// Whether there is no other holder.
    pub(crate) fn is_unshared(&self) -> bool {
        Rc::strong_count(&self.0) == 1
    }

    /// A list of that type, which is a list type.
    pub fn new(type_of: Type, items: Vec<Value>) -> Self {
        Self(Rc::new(ListData { type_of, nil: false, items: RefCell::new(items) }))
    }

    /// The nil slice of that type: empty, and equal to nil.
    pub fn nil(type_of: Type) -> Self {
        Self(Rc::new(ListData { type_of, nil: true, items: RefCell::default() }))
    }

    /// Its type.
    pub fn type_of(&self) -> &Type {
        &self.0.type_of
    }

    /// Whether it is the nil slice.
    pub fn is_nil(&self) -> bool {
        self.0.nil
    }

    /// How many items it has.
    pub fn len(&self) -> usize {
        self.0.items.borrow().len()
    }

    /// Whether it has no items.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The item at `index`.
    pub fn get(&self, index: usize) -> Option<Value> {
        self.0.items.borrow().get(index).cloned()
    }

    /// The items.
    pub fn items(&self) -> Ref<'_, Vec<Value>> {
        self.0.items.borrow()
    }

    /// The items, to change them for all who hold the list.
    pub fn items_mut(&self) -> RefMut<'_, Vec<Value>> {
        self.0.items.borrow_mut()
    }
}

struct MapData {
    type_of: Type,
    nil: bool,
    entries: RefCell<BTreeMap<Text, Value>>,
}

/// A Go map with string keys. Clones share their entries.
#[derive(Clone)]
pub struct Map(Rc<MapData>);

impl Map {
    /// Whether there is no other holder.
    pub(crate) fn is_unshared(&self) -> bool {
        Rc::strong_count(&self.0) == 1
    }

    /// A map of that type, which is a map type.
    pub fn new(type_of: Type, entries: BTreeMap<Text, Value>) -> Self {
        Self(Rc::new(MapData { type_of, nil: false, entries: RefCell::new(entries) }))
    }

    /// The nil map of that type.
    pub fn nil(type_of: Type) -> Self {
        Self(Rc::new(MapData { type_of, nil: true, entries: RefCell::default() }))
    }

    /// Its type.
    pub fn type_of(&self) -> &Type {
        &self.0.type_of
    }

    /// Whether it is the nil map.
    pub fn is_nil(&self) -> bool {
        self.0.nil
    }

    /// How many entries it has.
    pub fn len(&self) -> usize {
        self.0.entries.borrow().len()
    }

    /// Whether it has no entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value at `key`.
    pub fn get(&self, key: &[u8]) -> Option<Value> {
        self.0.entries.borrow().get(key).cloned()
    }

    /// The entries, sorted by their keys' bytes.
    pub fn entries(&self) -> Ref<'_, BTreeMap<Text, Value>> {
        self.0.entries.borrow()
    }

    /// The entries, to change them for all who hold the map.
    pub fn entries_mut(&self) -> RefMut<'_, BTreeMap<Text, Value>> {
        self.0.entries.borrow_mut()
    }

    /// Whether both are one map.
    pub fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

// A value can be nested as deep as a template has patience: it is taken apart in a loop, for a destructor that
// calls itself would run out of stack.
fn dismantle(mut pending: Vec<Value>) {
    while let Some(value) = pending.pop() {
        match value {
            Value::List(List(shared)) => {
                if let Some(data) = Rc::into_inner(shared) {
                    pending.extend(data.items.take().into_iter().filter(Value::holds_others));
                }
            }
            Value::Map(Map(shared)) => {
                if let Some(data) = Rc::into_inner(shared) {
                    pending.extend(data.entries.take().into_values().filter(Value::holds_others));
                }
            }
            Value::Nil
            | Value::Bool(_)
            | Value::Int(..)
            | Value::Uint(..)
            | Value::Float(..)
            | Value::Text(_)
            | Value::Object(_)
            | Value::Function(_) => {}
        }
    }
}

impl Drop for ListData {
    fn drop(&mut self) {
        dismantle(self.items.take().into_iter().filter(Value::holds_others).collect());
    }
}

impl Drop for MapData {
    fn drop(&mut self) {
        dismantle(self.entries.take().into_values().filter(Value::holds_others).collect());
    }
}

/// Something that the host brings: a Go struct, or a pointer to one, with fields and methods.
pub trait Object {
    /// The Go type, like `*chart.Files` or `time.Time`.
    fn type_name(&self) -> Rc<str>;

    /// The exported field of that name.
    fn field(&self, name: &str) -> Option<Value> {
        let _ = name;
        None
    }

    /// The exported fields in their order, for printing.
    fn fields(&self) -> Vec<(Text, Value)> {
        Vec::new()
    }

    /// The method of that name.
    fn method(&self, name: &str) -> Option<Function> {
        let _ = name;
        None
    }

    /// What Go's `String` method gives, where there is one.
    fn to_text(&self) -> Option<Text> {
        None
    }

    /// What the `String` method gives that only a pointer to it has: an action prints that, functions see the fields.
    fn to_text_in_place(&self) -> Option<Text> {
        None
    }

    /// Its fields, with those that have no name outside of their package: printing shows them, too.
    fn all_fields(&self) -> Vec<(Text, Value)> {
        self.fields()
    }

    /// What Go's `GoString` method gives, where there is one: what `%#v` prints.
    fn to_go_text(&self) -> Option<Text> {
        None
    }

    /// What it is in JSON where that is a text, by default that of [`to_text`](Self::to_text).
    fn to_json_text(&self) -> Option<Text> {
        self.to_text()
    }

    /// The fields that JSON shows, by the names that they have there.
    fn json_fields(&self) -> Vec<(Text, Value)> {
        self.fields()
    }

    /// Whether `==` holds for what is no pointer; pointers are equal where they are one.
    fn equals(&self, other: &dyn Object) -> bool {
        let _ = other;
        false
    }

    /// What a named map, list or scalar type is beneath its name; none for a struct or a pointer.
    fn underlying(&self) -> Option<Value> {
        None
    }

    /// For hosts that want their own type back: `Some(self)`.
    fn as_any(&self) -> Option<&dyn std::any::Any> {
        None
    }
}

/// What a pointer points at.
struct Pointee(Rc<dyn Object>);

impl Object for Pointee {
    fn type_name(&self) -> Rc<str> {
        let name = self.0.type_name();
        name.strip_prefix('*').map_or_else(|| Rc::clone(&name), Rc::from)
    }

    fn field(&self, name: &str) -> Option<Value> {
        self.0.field(name)
    }

    fn fields(&self) -> Vec<(Text, Value)> {
        self.0.fields()
    }

    fn all_fields(&self) -> Vec<(Text, Value)> {
        self.0.all_fields()
    }

    fn to_text(&self) -> Option<Text> {
        self.0.to_text()
    }

    fn to_json_text(&self) -> Option<Text> {
        self.0.to_json_text()
    }

    fn json_fields(&self) -> Vec<(Text, Value)> {
        self.0.json_fields()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_a_map_is_seen_by_all_who_hold_it() {
        let Value::Map(map) = Value::map([("a", Value::int(1))]) else { unreachable!() };
        let other = map.clone();
        other.entries_mut().insert("b".into(), Value::Nil);
        assert!(map.is(&other) && map.len() == 2);
    }

    #[test]
    fn a_value_nested_half_a_million_deep_is_dropped() {
        let mut value = Value::Nil;
        for level in 0..500_000 {
            value = if level % 2 == 0 { Value::list([value]) } else { Value::map([("a", value)]) };
        }
        drop(value);
    }

    #[test]
    fn a_named_type_is_assignable_to_the_type_that_it_names() {
        let values = Type::Named("common.Values".into(), Rc::new(Type::map()));
        let other = Type::Named("other.Values".into(), Rc::new(Type::map()));
        assert!(
            values.assignable(&Type::map()) && Type::map().assignable(&values) && !values.assignable(&other)
        );
        assert!(!Type::list().assignable(&Type::map()) && Type::Text.assignable(&Type::Any));
        assert_eq!(Type::List(Rc::new(Type::map())).to_string(), "[]map[string]interface {}");
    }
}

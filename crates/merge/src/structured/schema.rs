//! What a structured merge has to know of a type: which values it may have, how the items of a list are told apart, and what
//! is taken whole.
//!
//! Enters: a schema in the form of sigs.k8s.io/structured-merge-diff (`types: [{name, map: {fields: …}}]`), or built with the
//! types below. Leaves: the atom that a reference means. Absent: unions, which Kubernetes does not use, and reading OpenAPI.

use std::collections::BTreeMap;
use std::sync::Arc;
use trueup_model::Value;

/// Named types.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schema {
    types: BTreeMap<String, Atom>,
}

/// What is wrong with a schema.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SchemaError {
    /// A part has not the form that it should have.
    #[error("schema: {at}: {expected} expected")]
    Form {
        /// Where, as a path of fields.
        at: String,
        /// What should stand there.
        expected: &'static str,
    },
}

/// The possible kinds of value at one place. With none of them, no value is valid.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Atom {
    /// As a single value.
    pub scalar: Option<Scalar>,
    /// As a list.
    pub list: Option<Arc<List>>,
    /// As an object.
    pub map: Option<Arc<Map>>,
}

/// Kinds of single values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// An integer or a float.
    Numeric,
    /// A string.
    String,
    /// A truth value.
    Boolean,
    /// Any of them.
    Untyped,
}

/// How the items of a list or an object belong together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Relationship {
    /// They have nothing to do with each other: what objects are when nothing else is said.
    #[default]
    Separable,
    /// Items of a list that are told apart by their keys or, without keys, by their value.
    Associative,
    /// They are one value, owned whole.
    Atomic,
}

/// An object: named fields, and what any other field has to be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Map {
    /// The fields that have a name.
    pub fields: BTreeMap<String, Field>,
    /// The type of all other fields; a reference to nothing where there may be none.
    pub element: TypeRef,
    /// Whether it is owned whole.
    pub relationship: Relationship,
}

/// A named field of an object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Field {
    /// Its type.
    pub type_ref: TypeRef,
    /// What it is where an item of an associative list leaves it out.
    pub default: Option<Value>,
}

/// A list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct List {
    /// The type of the items.
    pub element: TypeRef,
    /// How its items are told apart, or that they are not.
    pub relationship: Relationship,
    /// The fields of an item that tell it from others; none for a set of values.
    pub keys: Vec<String>,
}

/// A reference to a type: by name, or the type itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TypeRef {
    /// The name of a type of the schema; where there is none, `inlined` is meant.
    pub named: Option<String>,
    /// The type itself.
    pub inlined: Atom,
    /// In place of the relationship that the type has.
    pub relationship: Option<Relationship>,
}

impl TypeRef {
    /// A reference by name.
    pub fn named(name: &str) -> Self {
        Self { named: Some(name.to_owned()), ..Self::default() }
    }

    /// Whether nothing is referred to.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl Map {
    /// The type of a field, named or not.
    pub fn field_type(&self, name: &str) -> &TypeRef {
        self.fields.get(name).map_or(&self.element, |field| &field.type_ref)
    }
}

/// Any value, whose objects are merged by field and whose lists are taken whole.
pub const DEDUCED: &str = "__untyped_deduced_";
/// Any value, taken whole.
pub const ATOMIC: &str = "__untyped_atomic_";

impl Schema {
    /// A schema of these types, and of the two that stand for any value ([`DEDUCED`], [`ATOMIC`]) unless they are among them.
    pub fn new(types: BTreeMap<String, Atom>) -> Self {
        let mut schema = Self { types };
        for (name, map_element, relationship) in
            [(ATOMIC, ATOMIC, Relationship::Atomic), (DEDUCED, DEDUCED, Relationship::Separable)]
        {
            let list = List {
                element: TypeRef::named(ATOMIC),
                relationship: Relationship::Atomic,
                keys: Vec::new(),
            };
            let map = Map { element: TypeRef::named(map_element), relationship, ..Map::default() };
            schema.types.entry(name.to_owned()).or_insert_with(|| Atom {
                scalar: Some(Scalar::Untyped),
                list: Some(Arc::new(list)),
                map: Some(Arc::new(map)),
            });
        }
        schema
    }

    /// Reads the form that structured-merge-diff itself reads, as JSON.
    pub fn read(json: &Value) -> Result<Self, SchemaError> {
        let mut types = BTreeMap::new();
        for (index, one) in array(json.get("types"), "types")?.iter().enumerate() {
            let at = format!("types[{index}]");
            let name = one.get("name").and_then(Value::as_str).ok_or_else(|| form(&at, "a name"))?;
            types.insert(name.to_owned(), read_atom(one, &at)?);
        }
        Ok(Self::new(types))
    }

    /// What a reference means; `None` where it names no type of the schema, or overrides what has no relationship.
    pub fn resolve(&self, reference: &TypeRef) -> Option<Atom> {
        let mut atom = match &reference.named {
            Some(name) => self.types.get(name)?.clone(),
            None => reference.inlined.clone(),
        };
        if let Some(relationship) = reference.relationship {
            // What has it already is not copied for it.
            match (&mut atom.map, &mut atom.list) {
                (Some(map), _) if map.relationship == relationship => {}
                (Some(map), _) => Arc::make_mut(map).relationship = relationship,
                (None, Some(list)) if list.relationship == relationship => {}
                (None, Some(list)) => Arc::make_mut(list).relationship = relationship,
                (None, None) => return None,
            }
        }
        Some(atom)
    }
}

impl Atom {
    /// The one of the possible kinds that a value has. All stay possible for no value, for null, and for a value of none.
    #[must_use]
    pub(super) fn deduced(self, value: Option<&Value>) -> Self {
        match value {
            Some(Value::Bool(_) | Value::Number(_) | Value::String(_)) if self.scalar.is_some() => {
                Self { scalar: self.scalar, ..Self::default() }
            }
            Some(Value::Array(_)) if self.list.is_some() => Self { list: self.list, ..Self::default() },
            Some(Value::Object(_)) if self.map.is_some() => Self { map: self.map, ..Self::default() },
            None | Some(_) => self,
        }
    }

    /// Whether two atoms that were deduced from the same one allow the same kinds.
    pub(super) fn is_alike(&self, other: &Self) -> bool {
        let kinds = |atom: &Self| (atom.scalar.is_some(), atom.list.is_some(), atom.map.is_some());
        kinds(self) == kinds(other)
    }
}

fn form(at: &str, expected: &'static str) -> SchemaError {
    SchemaError::Form { at: at.to_owned(), expected }
}

fn array<'v>(json: Option<&'v Value>, at: &str) -> Result<&'v [Value], SchemaError> {
    match json {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(items)) => Ok(items),
        Some(_) => Err(form(at, "a list")),
    }
}

fn read_atom(json: &Value, at: &str) -> Result<Atom, SchemaError> {
    let scalar = match json.get("scalar").and_then(Value::as_str) {
        None => None,
        Some("numeric") => Some(Scalar::Numeric),
        Some("string") => Some(Scalar::String),
        Some("boolean") => Some(Scalar::Boolean),
        Some("untyped") => Some(Scalar::Untyped),
        Some(_) => return Err(form(&format!("{at}.scalar"), "numeric, string, boolean or untyped")),
    };
    let list = json.get("list").map(|list| read_list(list, &format!("{at}.list"))).transpose()?;
    let map = json.get("map").map(|map| read_map(map, &format!("{at}.map"))).transpose()?;
    Ok(Atom { scalar, list: list.map(Arc::new), map: map.map(Arc::new) })
}

fn read_relationship(json: &Value, at: &str) -> Result<Option<Relationship>, SchemaError> {
    match json.get("elementRelationship").and_then(Value::as_str) {
        None => Ok(None),
        Some("separable") => Ok(Some(Relationship::Separable)),
        Some("associative") => Ok(Some(Relationship::Associative)),
        Some("atomic") => Ok(Some(Relationship::Atomic)),
        Some(_) => Err(form(&format!("{at}.elementRelationship"), "separable, associative or atomic")),
    }
}

fn read_reference(json: Option<&Value>, at: &str) -> Result<TypeRef, SchemaError> {
    let Some(json) = json else { return Ok(TypeRef::default()) };
    let named = json.get("namedType").and_then(Value::as_str).map(str::to_owned);
    Ok(TypeRef { named, inlined: read_atom(json, at)?, relationship: read_relationship(json, at)? })
}

fn read_list(json: &Value, at: &str) -> Result<List, SchemaError> {
    let keys = array(json.get("keys"), &format!("{at}.keys"))?;
    Ok(List {
        element: read_reference(json.get("elementType"), &format!("{at}.elementType"))?,
        relationship: read_relationship(json, at)?
            .ok_or_else(|| form(&format!("{at}.elementRelationship"), "associative or atomic"))?,
        keys: keys.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
    })
}

fn read_map(json: &Value, at: &str) -> Result<Map, SchemaError> {
    let mut fields = BTreeMap::new();
    for (index, field) in array(json.get("fields"), &format!("{at}.fields"))?.iter().enumerate() {
        let at = format!("{at}.fields[{index}]");
        let name = field.get("name").and_then(Value::as_str).ok_or_else(|| form(&at, "a name"))?;
        let type_ref = read_reference(field.get("type"), &format!("{at}.type"))?;
        let default = field.get("default").filter(|default| !default.is_null()).cloned();
        fields.insert(name.to_owned(), Field { type_ref, default });
    }
    Ok(Map {
        fields,
        element: read_reference(json.get("elementType"), &format!("{at}.elementType"))?,
        relationship: read_relationship(json, at)?.unwrap_or_default(),
    })
}

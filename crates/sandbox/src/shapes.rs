//! What is known of the types of built-in kinds, put together once: objects are looked at field by field, and often.
//!
//! Enters: the OpenAPI models, and what a real API server was seen to do (`tables/fields.json`). Leaves: a shape for each type,
//! with all that is looked up for each of its fields. Absent: custom resources, whose schemas come and go.

use crate::go_types::{self, GoField};
use crate::kinds::models;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::fmt;
use std::sync::{LazyLock, OnceLock};

static TABLE: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../tables/fields.json")).unwrap_or_default());

static SHAPES: LazyLock<HashMap<&'static str, Shape>> =
    LazyLock::new(|| models().iter().map(|(name, model)| (name.as_str(), Shape::of(name, model))).collect());

pub(crate) const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.";
const ADMISSION: &str = "io.k8s.api.admissionregistration";

pub(crate) const DEFINITION_NAMES: &str =
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinitionNames";

/// Defaults that are not the types' own, and that nobody owns.
const EXCLUDED: &[(&str, &str)] = &[
    // Only where that is the type.
    ("io.k8s.api.apps.v1.DaemonSetUpdateStrategy", "rollingUpdate"),
    // The samples' own, which follow from what else is in them.
    ("io.k8s.api.core.v1.LimitRange", "spec"),
    ("io.k8s.api.core.v1.LimitRangeItem", "default"),
    ("io.k8s.api.core.v1.LimitRangeItem", "defaultRequest"),
    ("io.k8s.api.core.v1.Node", "spec"),
    ("io.k8s.api.core.v1.NodeSpec", "taints"),
    ("io.k8s.api.core.v1.ReplicationControllerSpec", "selector"),
    ("io.k8s.api.core.v1.Namespace", "spec"),
    ("io.k8s.api.core.v1.NamespaceSpec", "finalizers"),
    (DEFINITION_NAMES, "listKind"),
    (DEFINITION_NAMES, "singular"),
];

/// What a new object of a kind has in its status, and whether its generations are counted.
pub(crate) fn start_of(group: &str, kind: &str) -> &'static Value {
    &TABLE["starts"][format!("{group}/{kind}")]
}

/// The shape of a type; `None` where the type is not known.
pub(crate) fn shape(type_name: &str) -> Option<&'static Shape> {
    SHAPES.get(type_name)
}

/// What is known of a field: its default, what becomes of its zero value, and how wrong values are refused.
fn known(type_name: &str, field: &str) -> &'static Value {
    &TABLE["types"][type_name][field]
}

/// A type.
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    /// Its fields in the order of their names; `None` where it is no object with fields.
    pub(crate) fields: Option<Vec<Field>>,
    /// Whether it is among those that every kind has.
    pub(crate) is_meta: bool,
}

/// A field of a type.
pub(crate) struct Field {
    pub(crate) name: &'static str,
    /// How Go has it.
    pub(crate) go: Option<&'static GoField>,
    /// What a real API server was seen to make of it.
    pub(crate) known: &'static Value,
    /// The same for the items of a list, and for the values of a map.
    pub(crate) known_items: &'static Value,
    pub(crate) known_entries: &'static Value,
    /// What its schema has as the default.
    pub(crate) schema_default: Option<&'static Value>,
    /// What is filled in where nobody wrote it.
    pub(crate) told: Option<&'static Value>,
    /// Whether it has no default of its own.
    pub(crate) is_excluded: bool,
    /// What it is shown as where it is not there.
    pub(crate) shown: Shown,
    /// Whether a list that nobody wrote is shown as null.
    pub(crate) is_shown_as_null: bool,
    pub(crate) part: Part,
}

/// What a field is shown as where it is not there.
pub(crate) enum Shown {
    Nothing,
    Null,
    /// The zero value, in the form that the server gives it.
    Zero(&'static Value),
}

/// What may stand at a place.
pub(crate) struct Part {
    pub(crate) schema: &'static Value,
    /// The type that is referred to.
    pub(crate) type_name: Option<&'static str>,
    /// Its shape, once somebody asked for it.
    shape: OnceLock<Option<&'static Shape>>,
    /// The items of a list, and the values of a map; `None` where the schema has none.
    pub(crate) items: Option<Box<Part>>,
    pub(crate) entries: Option<Box<Part>>,
}

impl Part {
    fn of(schema: &'static Value) -> Self {
        let below = |name: &str| schema.get(name).map(|schema| Box::new(Self::of(schema)));
        Self {
            schema,
            type_name: reference(schema),
            shape: OnceLock::new(),
            items: below("items"),
            entries: below("additionalProperties"),
        }
    }

    /// The shape of the type that is referred to.
    pub(crate) fn shape(&self) -> Option<&'static Shape> {
        *self.shape.get_or_init(|| shape(self.type_name?))
    }
}

/// The name of the type that a schema refers to.
fn reference(schema: &Value) -> Option<&str> {
    let path = schema["$ref"].as_str().or_else(|| schema["allOf"][0]["$ref"].as_str())?;
    path.rsplit('/').next()
}

pub(crate) fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(is) => !is,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

impl Shape {
    fn of(name: &'static str, model: &'static Value) -> Self {
        let required = model["required"].as_array().map(Vec::as_slice).unwrap_or_default();
        let is_required = |field: &str| required.iter().any(|one| one == field);
        let fields = model["properties"].as_object().map(|properties| {
            let field = |(field, schema): (&'static String, &'static Value)| {
                Field::of(name, field, schema, is_required(field))
            };
            properties.iter().map(field).collect()
        });
        Self { name, fields, is_meta: name.starts_with(META) }
    }

    /// A field of this name.
    pub(crate) fn field(&self, name: &str) -> Option<&Field> {
        let fields = self.fields.as_deref()?;
        fields.binary_search_by(|field| field.name.cmp(name)).ok().map(|at| &fields[at])
    }
}

impl Field {
    fn of(type_name: &'static str, name: &'static str, schema: &'static Value, is_required: bool) -> Self {
        let known = known(type_name, name);
        let schema_default = schema.get("default");
        let told = known.get("default");
        // No object can be made that shows it of a status, so it is not in the table.
        let is_status = (type_name, name)
            == ("io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerStatus", "currentMetrics");
        let is_shown_as_null = is_status || told == Some(&Value::Null);
        // What has to be there and has no zero value is shown as null.
        let is_asked = is_required && !type_name.starts_with(ADMISSION) && schema_default.is_none();
        let go = go_types::field(type_name, name);
        let part = Part::of(schema);
        // What JSON leaves out when it is zero is never shown so; a struct is always there.
        let is_left_out = part.type_name.is_none()
            && go.is_some_and(|go| go.is_dropped_when_zero && !go.is_pointer())
            && known["zero"] != "kept";
        let zero =
            schema_default.filter(|default| is_zero(default) && known["hidden"] != true && !is_left_out);
        let shown = match zero {
            _ if type_name.starts_with(META) => Shown::Nothing,
            _ if is_shown_as_null => Shown::Null,
            Some(zero) => Shown::Zero(zero),
            None if is_asked => Shown::Null,
            None => Shown::Nothing,
        };
        Self {
            name,
            go,
            known,
            known_items: self::known(type_name, &format!("{name}[]")),
            known_entries: self::known(type_name, &format!("{name}{{}}")),
            schema_default,
            told: told.or_else(|| schema_default.filter(|default| !is_zero(default))),
            is_excluded: EXCLUDED.contains(&(type_name, name)),
            shown,
            is_shown_as_null,
            part,
        }
    }

    /// Whether nothing written and a zero value are two things.
    pub(crate) fn is_pointer(&self) -> bool {
        self.go.is_some_and(GoField::is_pointer)
    }

    /// Whether the server leaves the field out when it has its zero value.
    pub(crate) fn is_dropped(&self, value: &Value) -> bool {
        let known = self.known;
        if known["zero"] == "kept" {
            return false;
        }
        if known["zero"] == "gone" {
            return true;
        }
        if self.is_pointer() {
            return false;
        }
        if let (Some(go), None) = (self.go, self.part.type_name) {
            return go.is_dropped_when_zero;
        }
        let is_shown = self.schema_default.is_some_and(is_zero);
        match value {
            Value::String(_) => !is_shown && known.get("empty") == known.get("absent"),
            Value::Array(_) => !self.is_shown_as_null,
            Value::Object(_) => self.part.type_name.is_none(),
            // What the server never showed in a sample, it leaves out.
            Value::Bool(_) => !is_shown && known.is_null(),
            Value::Null | Value::Number(_) => false,
        }
    }
}

/// A place in an object, of which the path is only made where something has to be said about it.
#[derive(Clone, Copy)]
pub(crate) enum Place<'a> {
    /// The whole object.
    Root,
    /// A field of what is above.
    Field(&'a Place<'a>, &'a str),
    /// An item of a list.
    Item(&'a Place<'a>, usize),
    /// A value of a map.
    Entry(&'a Place<'a>, &'a str),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Self::Root, name) => f.write_str(name),
            Self::Field(above, name) => write!(f, "{above}.{name}"),
            Self::Item(above, index) => write!(f, "{above}[{index}]"),
            Self::Entry(above, key) => write!(f, "{above}[{key}]"),
        }
    }
}

impl Place<'_> {
    pub(crate) fn is_root(&self) -> bool {
        matches!(self, Self::Root)
    }
}

/// The fields of a value with what is known of them; those that the type does not have are left out.
pub(crate) fn each<'v>(
    shape: &'static Shape,
    fields: &'v Map<String, Value>,
) -> impl Iterator<Item = (&'static Field, &'v Value)> {
    fields.iter().filter_map(|(name, value)| Some((shape.field(name)?, value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_each_type_are_found_by_their_names() {
        let found = SHAPES.values().flat_map(|shape| shape.fields.iter().flatten().map(move |f| (shape, f)));
        let mut count = 0;
        for (shape, field) in found {
            assert!(std::ptr::eq(shape.field(field.name).unwrap(), field), "{} {}", shape.name, field.name);
            count += 1;
        }
        assert!(count > 1000, "{count}");
    }

    #[test]
    fn a_place_is_written_as_the_server_writes_it() {
        let spec = Place::Field(&Place::Root, "spec");
        let ports = Place::Field(&spec, "ports");
        let first = Place::Item(&ports, 0);
        assert_eq!(Place::Field(&first, "name").to_string(), "spec.ports[0].name");
        assert_eq!(Place::Entry(&spec, "a").to_string(), "spec[a]");
    }
}

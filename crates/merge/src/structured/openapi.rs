//! Schemas for merging, from the OpenAPI v3 that an API server publishes or a CRD contains.
//!
//! Enters: named OpenAPI schemas as JSON. Leaves: a [`Schema`] of the same names. Absent: everything about validation
//! (patterns, bounds, required fields), which merging does not look at.
//!
//! Source: k8s.io/kube-openapi `pkg/schemaconv`.

use super::schema::{
    ATOMIC, Atom, DEDUCED, Field, List, Map, Relationship, Scalar, Schema, SchemaError, TypeRef,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use trueup_model::Value;

/// These two are not what their OpenAPI says: a quantity may be a number, and a raw extension is any object, taken whole.
const QUANTITY: &str = "io.k8s.apimachinery.pkg.api.resource.Quantity";
const RAW_EXTENSION: &str = "io.k8s.apimachinery.pkg.runtime.RawExtension";

/// Whether fields that the schema does not have are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownFields {
    /// They are kept, with any value.
    Preserved,
    /// There are none.
    Refused,
}

/// The schema of named OpenAPI schemas, such as `components.schemas` of a document of `/openapi/v3`.
pub fn schema<'m>(
    models: impl IntoIterator<Item = (&'m String, &'m Value)>,
    unknown: UnknownFields,
) -> Result<Schema, SchemaError> {
    let mut types = BTreeMap::new();
    for (name, model) in models {
        if model.get("$ref").is_some() {
            continue;
        }
        let atom = match name.as_str() {
            QUANTITY => Atom { scalar: Some(Scalar::Untyped), ..Atom::default() },
            RAW_EXTENSION => any_whole(),
            _ => Walk { at: name }.atom(model, unknown)?,
        };
        types.insert(name.clone(), atom);
    }
    Ok(Schema::new(types))
}

fn any_whole() -> Atom {
    let element = TypeRef::named(ATOMIC);
    let relationship = Relationship::Atomic;
    Atom {
        scalar: Some(Scalar::Untyped),
        list: Some(Arc::new(List { element: element.clone(), relationship, keys: Vec::new() })),
        map: Some(Arc::new(Map { element, relationship, ..Map::default() })),
    }
}

struct Walk<'n> {
    at: &'n str,
}

impl Walk<'_> {
    fn wrong(&self, expected: &'static str) -> SchemaError {
        SchemaError::Form { at: self.at.to_owned(), expected }
    }

    fn atom(&self, model: &Value, unknown: UnknownFields) -> Result<Atom, SchemaError> {
        // What a schema says of unknown fields holds for all below it.
        let unknown = match model.get("x-kubernetes-preserve-unknown-fields") {
            Some(Value::Bool(true)) => UnknownFields::Preserved,
            Some(_) | None => unknown,
        };
        let scalar = |kind| Atom { scalar: Some(kind), ..Atom::default() };
        Ok(match model.get("type").and_then(Value::as_str) {
            None => Atom {
                scalar: Some(Scalar::Untyped),
                list: Some(Arc::new(self.list(model, unknown)?)),
                map: Some(Arc::new(self.map(model, unknown)?)),
            },
            Some("object") => Atom { map: Some(Arc::new(self.map(model, unknown)?)), ..Atom::default() },
            Some("array") => Atom { list: Some(Arc::new(self.list(model, unknown)?)), ..Atom::default() },
            Some("integer" | "number") => scalar(Scalar::Numeric),
            Some("boolean") => scalar(Scalar::Boolean),
            Some("string") => match model.get("format").and_then(Value::as_str) {
                None | Some("" | "byte") => scalar(Scalar::String),
                // A time may be null, an int-or-string a number.
                Some(_) => scalar(Scalar::Untyped),
            },
            Some(_) => return Err(self.wrong("a type of JSON")),
        })
    }

    fn reference(&self, model: &Value, unknown: UnknownFields) -> Result<TypeRef, SchemaError> {
        // A reference with a description or a default stands in an allOf of its own.
        let alone = model.get("allOf").and_then(Value::as_array).filter(|all| all.len() == 1);
        let target = model.get("$ref").or_else(|| alone?.first()?.get("$ref")).and_then(Value::as_str);
        match target.and_then(|target| target.rsplit('/').next()) {
            Some(name) => Ok(TypeRef { relationship: self.map_relationship(model)?, ..TypeRef::named(name) }),
            None => Ok(TypeRef { inlined: self.atom(model, unknown)?, ..TypeRef::default() }),
        }
    }

    fn map(&self, model: &Value, unknown: UnknownFields) -> Result<Map, SchemaError> {
        let mut fields = BTreeMap::new();
        for (name, member) in model.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let default = member.get("default").filter(|default| !default.is_null()).cloned();
            fields.insert(name.clone(), Field { type_ref: self.reference(member, unknown)?, default });
        }
        let element = match model.get("additionalProperties") {
            None if unknown == UnknownFields::Preserved || fields.is_empty() => TypeRef::named(DEDUCED),
            None | Some(Value::Bool(false)) => TypeRef::default(),
            Some(Value::Bool(true)) => TypeRef::named(DEDUCED),
            Some(element) => self.reference(element, unknown)?,
        };
        Ok(Map { fields, element, relationship: self.map_relationship(model)?.unwrap_or_default() })
    }

    fn map_relationship(&self, model: &Value) -> Result<Option<Relationship>, SchemaError> {
        match model.get("x-kubernetes-map-type").and_then(Value::as_str) {
            None => Ok(None),
            Some("atomic") => Ok(Some(Relationship::Atomic)),
            Some("granular") => Ok(Some(Relationship::Separable)),
            Some(_) => Err(self.wrong("x-kubernetes-map-type: atomic or granular")),
        }
    }

    fn list(&self, model: &Value, unknown: UnknownFields) -> Result<List, SchemaError> {
        let (relationship, keys) = self.list_relationship(model)?;
        let element = match model.get("items") {
            Some(items) => self.reference(items, unknown)?,
            None if model.get("type").is_some() => return Err(self.wrong("items of an array")),
            None => TypeRef::named(ATOMIC),
        };
        Ok(List { element, relationship, keys })
    }

    fn list_relationship(&self, model: &Value) -> Result<(Relationship, Vec<String>), SchemaError> {
        let word = |name: &str| model.get(name).and_then(Value::as_str);
        match (word("x-kubernetes-list-type"), word("x-kubernetes-patch-strategy")) {
            (Some("atomic"), _) | (None, None | Some("retainKeys")) => Ok((Relationship::Atomic, Vec::new())),
            (Some("set"), _) => Ok((Relationship::Associative, Vec::new())),
            (Some("map"), _) => {
                let keys = model.get("x-kubernetes-list-map-keys").and_then(Value::as_array);
                let keys =
                    keys.ok_or_else(|| self.wrong("x-kubernetes-list-map-keys of a list of type map"))?;
                let keys = keys.iter().filter_map(Value::as_str).map(str::to_owned).collect();
                Ok((Relationship::Associative, keys))
            }
            (None, Some("merge" | "merge,retainKeys")) => {
                let key = word("x-kubernetes-patch-merge-key").map(str::to_owned);
                Ok((Relationship::Associative, key.into_iter().collect()))
            }
            (Some(_), _) => Err(self.wrong("x-kubernetes-list-type: atomic, set or map")),
            (None, Some(_)) => Err(self.wrong("x-kubernetes-patch-strategy: merge or retainKeys")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structured::{Duplicates, Typed};
    use serde_json::json;

    #[test]
    fn what_an_apply_owns_follows_from_the_published_schema() {
        let models = json!({
            "Port": {"type": "object", "properties": {"port": {"type": "integer"},
                "protocol": {"type": "string", "default": "TCP"}, "name": {"type": "string"}}},
            "Selector": {"type": "object", "x-kubernetes-map-type": "atomic", "properties": {"a": {"type": "string"}}},
            "Service": {"type": "object", "properties": {
                "ports": {"type": "array", "items": {"allOf": [{"$ref": "#/components/schemas/Port"}], "default": {}},
                    "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port", "protocol"]},
                "externalIPs": {"type": "array", "items": {"type": "string"}},
                "selector": {"$ref": "#/components/schemas/Selector"},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}}}}});
        let schema = schema(models.as_object().unwrap(), UnknownFields::Refused).unwrap();
        let service = TypeRef::named("Service");
        let typed = |value| Typed::new(value, &schema, &service, Duplicates::Refused);
        let value = json!({"ports": [{"port": 80}], "externalIPs": ["a"], "selector": {"a": "b"}, "labels": {"x": "y"}});
        assert_eq!(
            typed(value).unwrap().field_set().unwrap().to_json(),
            json!({"f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}}, "f:externalIPs": {},
                "f:selector": {}, "f:labels": {"f:x": {}}})
        );
        let errors = typed(json!({"ports": [{"port": "80", "protocl": "UDP"}]})).unwrap_err();
        assert_eq!(
            errors.to_string(),
            "errors:\n  .ports[port=\"80\",protocol=\"TCP\"].port: expected numeric (int or float), got string\n  \
             .ports[port=\"80\",protocol=\"TCP\"].protocl: field not declared in schema"
        );
    }
}

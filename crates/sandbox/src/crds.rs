//! Kinds that come and go with their definitions, and what their structural schemas ask of objects.
//!
//! Source: `apiextensions.k8s.io/v1`; k8s.io/apiextensions-apiserver `pkg/apiserver/schema` for pruning and defaulting, and
//! k8s.io/kube-openapi `pkg/validation` for the messages.

use crate::Sandbox;
use crate::answer::{Cause, Refusal};
use crate::autoscaler_versions;
use crate::kinds::{Custom, Kind};
use crate::limit_rules::Status;
use crate::read::versioned;
use crate::request::Target;
use crate::store::{Key, Resource};
use crate::write::metadata;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use trueup_merge::structured::openapi::{self, UnknownFields};
use trueup_merge::structured::schema::TypeRef;

const PRESERVE: &str = "x-kubernetes-preserve-unknown-fields";
const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

fn is_definition(resource: &Resource) -> bool {
    resource.0 == "apiextensions.k8s.io" && resource.1 == "customresourcedefinitions"
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

impl Sandbox {
    /// Serves what a definition that was just stored defines.
    pub(crate) fn defined(&mut self, kind: &Kind, key: &Key) {
        let resource = kind.resource();
        if !is_definition(&resource) {
            return;
        }
        let Some(object) = self.store.get(&resource, key).cloned() else { return };
        let kinds = self.kinds_of(&object, &key.1);
        self.kinds.define(&key.1, kinds);
        let mut object = Value::clone(&object);
        let status = self.established(&object);
        if object["status"] != status {
            object["status"] = status;
            metadata(&mut object).insert("resourceVersion".to_owned(), self.store.next().to_string().into());
            self.store.put(&resource, key, Some(Arc::new(object)));
        }
    }

    /// Serves no longer what a definition defined that is gone, and forgets its objects.
    pub(crate) fn undefined(&mut self, resource: &Resource, key: &Key) {
        if !is_definition(resource) {
            return;
        }
        self.kinds.define(&key.1, Vec::new());
        let Some((plural, group)) = key.1.split_once('.') else { return };
        let custom = (group.to_owned(), plural.to_owned());
        let objects: Vec<Key> = self.store.all(&custom).map(|(key, _)| key.clone()).collect();
        for key in objects {
            self.store.put(&custom, &key, None);
        }
    }

    /// Drops what the version does not have that objects are stored in.
    pub(crate) fn prune_as_stored(&self, kind: &Kind, object: &mut Value) {
        let Some(custom) = kind.custom.as_ref().filter(|custom| custom.storage != kind.version) else {
            return;
        };
        let stored = self.kinds.resource(&kind.group, &custom.storage, &kind.plural);
        if let Some(stored) = stored.as_ref().and_then(|stored| stored.custom.as_ref()) {
            prune(object, &stored.schema, Place::Root);
        }
    }

    fn established(&self, object: &Value) -> Value {
        let known = object["status"]["conditions"].as_array();
        let condition = |name: &str, reason: &str, message: &str| {
            let before = known.and_then(|all| all.iter().find(|one| one["type"] == name)).cloned();
            before.unwrap_or_else(|| {
                json!({"type": name, "status": "True", "reason": reason, "message": message,
                    "lastTransitionTime": self.time()})
            })
        };
        let versions = object["spec"]["versions"].as_array().into_iter().flatten();
        let stored: BTreeSet<String> = versions
            .filter(|version| version["storage"] == true)
            .filter_map(|version| version["name"].as_str())
            .map(str::to_owned)
            .chain(texts(&object["status"]["storedVersions"]))
            .collect();
        json!({
            "acceptedNames": object["spec"]["names"],
            "conditions": [
                condition("NamesAccepted", "NoConflicts", "no conflicts found"),
                condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
            ],
            "storedVersions": stored,
        })
    }

    fn kinds_of(&self, object: &Value, definition: &str) -> Vec<Kind> {
        let spec = &object["spec"];
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let versions = spec["versions"].as_array().map(Vec::as_slice).unwrap_or_default();
        let storage = versions.iter().find(|version| version["storage"] == true);
        let storage = storage.map(|version| word(&version["name"])).unwrap_or_default();
        let names = &spec["names"];
        let served = versions.iter().filter(|version| version["served"] == true);
        served
            .map(|version| {
                let schema = version["schema"]["openAPIV3Schema"].clone();
                let name =
                    format!("{}/{}/{}", word(&spec["group"]), word(&version["name"]), word(&names["kind"]));
                let subresources = version["subresources"].as_object().into_iter().flatten();
                let verbs =
                    ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
                Kind {
                    group: word(&spec["group"]),
                    version: word(&version["name"]),
                    kind: word(&names["kind"]),
                    plural: word(&names["plural"]),
                    singular: word(&names["singular"]),
                    namespaced: spec["scope"] == "Namespaced",
                    short_names: texts(&names["shortNames"]),
                    categories: texts(&names["categories"]),
                    verbs: verbs.map(str::to_owned).into(),
                    subresources: subresources.map(|(name, _)| name.clone()).collect(),
                    schema: Arc::new(self.merge_schema(&name, &schema)),
                    type_ref: TypeRef::named(&name),
                    custom: Some(Arc::new(Custom {
                        storage: storage.clone(),
                        definition: definition.to_owned(),
                        version: version.clone(),
                        rules: crate::cel_rules::compiled(&schema),
                        schema,
                    })),
                }
            })
            .collect()
    }

    /// The schema for merging: the definition's, with the metadata that every object has.
    fn merge_schema(&self, name: &str, schema: &Value) -> trueup_merge::structured::schema::Schema {
        let mut model = schema.clone();
        if !model["properties"].is_object() {
            model["properties"] = json!({});
        }
        for field in ["apiVersion", "kind"] {
            model["properties"][field] = json!({"type": "string"});
        }
        model["properties"]["metadata"] = json!({"$ref": format!("#/components/schemas/{OBJECT_META}")});
        let meta = "io.k8s.apimachinery.pkg.apis.meta.v1.";
        let mut models: Map<String, Value> = self
            .kinds
            .models
            .iter()
            .filter(|(name, _)| name.starts_with(meta))
            .map(|(name, model)| (name.clone(), model.clone()))
            .collect();
        models.insert(name.to_owned(), model);
        openapi::schema(&models, UnknownFields::Refused).unwrap_or_default()
    }
}

/// Fills in what a client may leave out, and drops what the kind does not have.
pub(crate) fn complete(kind: &Kind, object: &mut Value, nulls: Nulls) -> Result<(), Refusal> {
    if let Some(custom) = &kind.custom {
        default(object, &custom.schema, nulls);
        prune(object, &custom.schema, Place::Root);
        return Ok(());
    }
    if kind.group.is_empty() && kind.kind == "Secret" {
        fold_string_data(object)?;
    }
    if let Some(why) = crate::decode::unreadable(kind, object) {
        return Err(Refusal::bad_request(why));
    }
    if kind.kind == "CustomResourceDefinition" {
        crate::definition_rules::empty(object);
    }
    crate::fields::complete(kind, object);
    autoscaler_versions::read(kind, object);
    Ok(())
}

/// Checks an object against its kind, and against what it was before.
pub(crate) fn validate(target: &Target, before: Option<&Value>, object: &Value) -> Result<(), Refusal> {
    if let Some(stored) = autoscaler_versions::stored(&target.kind) {
        let stored = Target { kind: stored.clone(), ..target.clone() };
        let before = before.map(|before| versioned(before, &stored.kind));
        return validate(&stored, before.as_ref(), &versioned(object, &stored.kind));
    }
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    // A status that makes its Service has nobody to have its addresses agree.
    let is_looked_at = target.subresource.is_empty() || before.is_none();
    if target.kind.group.is_empty() && target.kind.kind == "Service" && is_looked_at {
        let causes = crate::services::wrong_addresses(before, object);
        if !causes.is_empty() {
            return Err(Refusal::invalid(target.about_kind(name), causes));
        }
    }
    let mut causes = Vec::new();
    match before {
        None => crate::metadata::check_new(&target.kind, object, &mut causes),
        Some(before) => {
            crate::metadata::check_changed((&target.kind, &target.subresource), before, object, &mut causes);
        }
    }
    if let Some(custom) = &target.kind.custom {
        crate::schema_rules::check(object, &custom.schema, &mut causes);
        crate::scale::check(custom, object, &mut causes);
        check_lists(&custom.schema, before, object, &mut causes);
        if let Some(rules) = &custom.rules {
            crate::cel_rules::check(rules, &custom.schema, before, object, &mut causes);
        }
    } else {
        causes.extend(crate::rules::wrong(&target.kind, before, object));
        check_bounds(target, before, object, &mut causes);
    }
    if let Some(before) = before {
        check_immutable(target, before, object, &mut causes);
        causes.extend(crate::rules::changed(&target.kind, before, object));
    }
    if causes.is_empty() {
        return Ok(());
    }
    Err(Refusal::invalid(target.about_kind(name), causes))
}

/// Looks for what comes twice, unless it did before.
fn check_lists(schema: &Value, before: Option<&Value>, object: &Value, causes: &mut Vec<Cause>) {
    let mut known = Vec::new();
    if let Some(before) = before {
        crate::list_types::check(before, schema, "", &mut known);
    }
    if known.is_empty() {
        crate::list_types::check(object, schema, "", causes);
    }
}

/// A Secret's `stringData` is a way to write `data`.
fn fold_string_data(object: &mut Value) -> Result<(), Refusal> {
    use base64::Engine as _;
    let Some(texts) = object.as_object_mut().and_then(|fields| fields.remove("stringData")) else {
        return Ok(());
    };
    for (key, text) in texts.as_object().into_iter().flatten() {
        let text = text
            .as_str()
            .ok_or_else(|| Refusal::bad_request(format!("stringData.{key}: expected a string")))?;
        object["data"][key] = base64::engine::general_purpose::STANDARD.encode(text).into();
    }
    Ok(())
}

/// What is wrong in what limits a namespace.
fn check_bounds(target: &Target, before: Option<&Value>, object: &Value, causes: &mut Vec<Cause>) {
    let status = if target.subresource == "status" { Status::Written } else { Status::Left };
    match (target.kind.group.as_str(), target.kind.kind.as_str()) {
        ("", "LimitRange") => crate::limit_rules::check_limits(object, causes),
        ("", "ResourceQuota") => crate::limit_rules::check_quota(before, object, status, causes),
        (_, _) => {}
    }
}

fn check_immutable(target: &Target, before: &Value, object: &Value, causes: &mut Vec<Cause>) {
    let is_data = matches!(target.kind.kind.as_str(), "ConfigMap" | "Secret") && target.kind.group.is_empty();
    if is_data && before["immutable"] == true {
        for field in ["data", "binaryData", "immutable"] {
            if before.get(field) != object.get(field) {
                let message = "Forbidden: field is immutable when `immutable` is set".to_owned();
                causes.push(Cause { reason: "FieldValueForbidden", message, field: field.to_owned() });
            }
        }
    }
}

/// Where an object is: the whole one has metadata and a kind, which no schema names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    Inside,
}

fn prune(value: &mut Value, schema: &Value, place: Place) {
    match value {
        Value::Object(object) => {
            let additional = &schema["additionalProperties"];
            let keeps_unknown = schema[PRESERVE] == true || *additional == Value::Bool(true);
            object.retain(|key, value| {
                if place == Place::Root && matches!(key.as_str(), "apiVersion" | "kind" | "metadata") {
                    return true;
                }
                let below = match schema["properties"].get(key) {
                    Some(below) => below,
                    None if additional.is_object() => additional,
                    None => return keeps_unknown,
                };
                prune(value, below, Place::Inside);
                true
            });
        }
        Value::Array(items) => items.iter_mut().for_each(|item| prune(item, &schema["items"], Place::Inside)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What becomes of nulls that a schema does not allow.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nulls {
    /// They are as good as nothing.
    Dropped,
    /// They are what was applied, and wrong.
    Kept,
}

pub(crate) fn default(value: &mut Value, schema: &Value, nulls: Nulls) {
    match value {
        Value::Object(object) => {
            for (name, below) in schema["properties"].as_object().into_iter().flatten() {
                let is_missing = match object.get(name) {
                    None => true,
                    Some(Value::Null) => below["nullable"] != true,
                    Some(_) => false,
                };
                match below.get("default") {
                    Some(default) if is_missing => drop(object.insert(name.clone(), default.clone())),
                    Some(_) | None => {}
                }
                if nulls == Nulls::Dropped
                    && object.get(name) == Some(&Value::Null)
                    && below["nullable"] != true
                {
                    object.remove(name);
                }
            }
            let additional = &schema["additionalProperties"];
            if nulls == Nulls::Dropped && additional.is_object() && additional["nullable"] != true {
                let is_known = |name: &String| schema["properties"].get(name).is_some();
                let has_default = additional.get("default").is_some();
                object.retain(|name, value| !value.is_null() || is_known(name) || has_default);
            }
            for (name, value) in object {
                match schema["properties"].get(name) {
                    Some(below) => default(value, below, nulls),
                    None => default_item(value, additional, nulls),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| default_item(item, &schema["items"], nulls)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The same of what stands in a list or under any name, which has a default only in the place of a null.
fn default_item(value: &mut Value, schema: &Value, nulls: Nulls) {
    if let (true, Some(told)) = (value.is_null() && schema["nullable"] != true, schema.get("default")) {
        *value = told.clone();
    }
    default(value, schema, nulls);
}

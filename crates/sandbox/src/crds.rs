//! Kinds that come and go with their definitions, and what their structural schemas ask of objects.
//!
//! Source: `apiextensions.k8s.io/v1`; k8s.io/apiextensions-apiserver `pkg/apiserver/schema` for pruning and defaulting, and
//! k8s.io/kube-openapi `pkg/validation` for the messages.

use crate::Sandbox;
use crate::answer::{Cause, Refusal};
use crate::kinds::{Custom, Kind};
use crate::limit_rules::Status;
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
                        rules: rules(&schema),
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
    Ok(())
}

/// Checks an object against its kind, and against what it was before.
pub(crate) fn validate(target: &Target, before: Option<&Value>, object: &Value) -> Result<(), Refusal> {
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
        check(object, &custom.schema, "", &mut causes);
        crate::scale::check(custom, object, &mut causes);
        check_lists(&custom.schema, before, object, &mut causes);
        if let Some(rules) = &custom.rules {
            check_rules(rules, &custom.schema, before, object, &mut causes);
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

fn rules(schema: &Value) -> Option<Arc<kube_cel::CompiledSchema>> {
    schema
        .to_string()
        .contains("x-kubernetes-validations")
        .then(|| Arc::new(kube_cel::compile_schema(schema)))
}

/// Checks the CEL rules, unless the object is too wrong for that.
fn check_rules(
    rules: &kube_cel::CompiledSchema,
    schema: &Value,
    before: Option<&Value>,
    object: &Value,
    causes: &mut Vec<Cause>,
) {
    let blocks = [
        "FieldValueNotSupported",
        "FieldValueRequired",
        "FieldValueTooLong",
        "FieldValueTooMany",
        "FieldValueTypeInvalid",
    ];
    if causes.iter().any(|cause| blocks.contains(&cause.reason)) {
        causes.push(Cause {
            reason: "FieldValueInvalid",
            message: "Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation".to_owned(),
            field: "<nil>".to_owned(),
        });
        return;
    }
    let Err(failures) = kube_cel::validate_compiled(rules, object, before) else { return };
    for failure in failures.into_vec() {
        let (reason, word) = match failure.reason.as_deref() {
            Some("FieldValueForbidden") => ("FieldValueForbidden", "Forbidden"),
            Some("FieldValueRequired") => ("FieldValueRequired", "Required value"),
            Some("FieldValueDuplicate") => ("FieldValueDuplicate", "Duplicate value"),
            Some(_) | None => ("FieldValueInvalid", "Invalid value"),
        };
        let message = format!("{word}: {}", failure.message);
        causes.push(Cause { reason, message, field: named(&keyed(&failure.field_path, schema)) });
    }
}

/// A path as rules are told of: what is under a name in a map is in brackets.
fn keyed(path: &str, schema: &Value) -> String {
    let (mut schema, mut all) = (schema, String::new());
    for part in path.split('.') {
        let (name, indexes) = part.split_at(part.find('[').unwrap_or(part.len()));
        match schema["properties"].get(name) {
            Some(below) => {
                all = join(&all, name);
                schema = below;
            }
            None if schema["additionalProperties"].is_object() => {
                all = format!("{all}[{name}]");
                schema = &schema["additionalProperties"];
            }
            None => all = join(&all, name),
        }
        all.push_str(indexes);
        for _ in 0..indexes.matches('[').count() {
            schema = &schema["items"];
        }
    }
    all
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

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn check(value: &Value, schema: &Value, at: &str, causes: &mut Vec<Cause>) {
    let wrong = |message: String| Cause { reason: "FieldValueInvalid", message, field: named(at) };
    if value.is_null() && schema["nullable"] == true {
        check_allowed(value, schema, at, causes);
        return;
    }
    // What is of a wrong type is looked at as what it is, but for nothing at all.
    if !is_of_type(value, schema, at, causes) && value.is_null() {
        check_allowed(value, schema, at, causes);
        return;
    }
    check_allowed(value, schema, at, causes);
    bounds(value, schema, at, causes, &wrong);
    if let (Value::String(text), Some("date-time")) = (value, schema["format"].as_str())
        && text.parse::<jiff::Timestamp>().is_err()
    {
        let message =
            format!("Invalid value: {value}: {} in body must be of type date-time: {value}", named(at));
        causes.push(Cause { reason: "FieldValueTypeInvalid", message, field: named(at) });
    }
    if let (Value::String(text), Some(pattern)) = (value, schema["pattern"].as_str())
        && regex::Regex::new(pattern).is_ok_and(|pattern| !pattern.is_match(text))
    {
        causes.push(wrong(format!("Invalid value: {value}: {} in body should match '{pattern}'", named(at))));
    }
    match value {
        Value::Object(object) => {
            for field in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                if !object.contains_key(field) {
                    let field = if at.is_empty() { field.to_owned() } else { format!("{at}.{field}") };
                    causes.push(Cause {
                        reason: "FieldValueRequired",
                        message: "Required value".to_owned(),
                        field,
                    });
                }
            }
            for (name, value) in object {
                let below = schema["properties"].get(name).unwrap_or(&schema["additionalProperties"]);
                if below.is_object() && !(at.is_empty() && name == "metadata") {
                    check(value, below, &join(at, name), causes);
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                check(item, &schema["items"], &format!("{at}[{index}]"), causes);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

// Whether the value is of the schema's type, as far as the server looks at it.
fn is_of_type(value: &Value, schema: &Value, at: &str, causes: &mut Vec<Cause>) -> bool {
    let found = type_of(value);
    let wanted = schema["type"].as_str();
    let fits = match wanted {
        None => true,
        Some("number") => matches!(found, "number" | "integer"),
        Some(wanted) => wanted == found,
    };
    let is_int_or_string = schema["x-kubernetes-int-or-string"] == true;
    let format = schema["format"].as_str();
    if wanted == Some("integer") && found == "number" {
        let told =
            format.map_or_else(|| "(default format)".to_owned(), |format| format!("with format {format}"));
        let message =
            format!("Invalid value: \"\": Checked value must be of type integer {told} in {}", named(at));
        causes.push(Cause { reason: "FieldValueInvalid", message, field: "<nil>".to_owned() });
    }
    // Where there is a format, the server compares that, and lists are never of a wrong one.
    if let (false, Some(format)) = (fits, format) {
        let shown = match found {
            "integer" => "int64",
            "number" => "float64",
            _ => "",
        };
        let is_told = !matches!(found, "null" | "array" | "string");
        if is_told {
            let message = format!(
                "Invalid value: {shown:?}: {} in body must be of type {format}: {shown:?}",
                named(at)
            );
            causes.push(Cause { reason: "FieldValueTypeInvalid", message, field: named(at) });
            return false;
        }
        if found == "array" && matches!(wanted, Some("string")) {
            return false;
        }
    }
    if !fits || is_int_or_string && !matches!(found, "integer" | "string") {
        let wanted = if is_int_or_string { "integer,string" } else { wanted.unwrap_or_default() };
        let shown = Value::from(found);
        let message =
            format!("Invalid value: {shown}: {} in body must be of type {wanted}: {shown}", named(at));
        causes.push(Cause { reason: "FieldValueTypeInvalid", message, field: named(at) });
        return false;
    }
    true
}

fn check_allowed(value: &Value, schema: &Value, at: &str, causes: &mut Vec<Cause>) {
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        let allowed: Vec<String> = allowed.iter().map(Value::to_string).collect();
        let message = format!("Unsupported value: {value}: supported values: {}", allowed.join(", "));
        causes.push(Cause { reason: "FieldValueNotSupported", message, field: named(at) });
    }
}

fn bounds(value: &Value, schema: &Value, at: &str, causes: &mut Vec<Cause>, wrong: &dyn Fn(String) -> Cause) {
    let at = named(at);
    let bound = |name: &str| schema[name].as_f64();
    if let Some(number) = value.as_f64() {
        let shown = &schema["minimum"];
        let is_open = schema["exclusiveMinimum"] == true;
        if bound("minimum").is_some_and(|least| number < least || is_open && number <= least) {
            let words = if is_open { "greater than" } else { "greater than or equal to" };
            causes.push(wrong(format!("Invalid value: {value}: {at} in body should be {words} {shown}")));
        }
        let shown = &schema["maximum"];
        let is_open = schema["exclusiveMaximum"] == true;
        if bound("maximum").is_some_and(|most| number > most || is_open && number >= most) {
            let words = if is_open { "less than" } else { "less than or equal to" };
            causes.push(wrong(format!("Invalid value: {value}: {at} in body should be {words} {shown}")));
        }
    }
    let length = match value {
        Value::String(text) => Some((text.chars().count(), "minLength", "maxLength", "chars long")),
        Value::Array(items) => Some((items.len(), "minItems", "maxItems", "items")),
        Value::Object(fields) => Some((fields.len(), "minProperties", "maxProperties", "properties")),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    };
    if let Some((length, least, most, what)) = length {
        let least = schema[least].as_u64().filter(|least| (length as u64) < *least);
        let most = schema[most].as_u64().filter(|most| (length as u64) > *most);
        let is_text = what == "chars long";
        let verb = if is_text { "should be" } else { "should have" };
        if let Some(least) = least {
            let shown = if is_text { value.clone() } else { length.into() };
            causes
                .push(wrong(format!("Invalid value: {shown}: {at} in body {verb} at least {least} {what}")));
        }
        if let Some(most) = most {
            causes.push(if is_text {
                let unit = if most == 1 { "byte" } else { "bytes" };
                let message = format!("Too long: may not be more than {most} {unit}");
                Cause { reason: "FieldValueTooLong", message, field: at }
            } else {
                let unit = if most == 1 { "item" } else { "items" };
                let message = format!("Too many: {length}: must have at most {most} {unit}");
                Cause { reason: "FieldValueTooMany", message, field: at }
            });
        }
    }
}

fn join(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}

fn named(at: &str) -> String {
    if at.is_empty() { "<nil>".to_owned() } else { at.to_owned() }
}

//! Kinds of our own with every type of list and map that a schema can have, in two versions: the same in both, or such that a
//! webhook makes one of the other.

use super::random::Random;
use serde_json::{Value, json};

/// The group of the kind whose schema stands still.
pub(super) const GROUP: &str = "proof.trueup.dev";
/// The group of the kind whose versions differ.
pub(super) const CONVERTED: &str = "converted.trueup.dev";
/// The group of the kind whose rules change.
pub(super) const CHANGING: &str = "changing.trueup.dev";

/// The schema of `spec`. What tests change of it is changed in the result.
pub(super) fn spec_schema() -> Value {
    let text = json!({"type": "string"});
    let item = json!({"type": "object", "required": ["name"], "properties": {"name": text, "value": text,
        "mode": {"type": "string", "default": "auto"}, "inner": {"type": "array", "items": text, "x-kubernetes-list-type": "set"}}});
    let port = json!({"type": "object", "required": ["port"], "properties": {"port": {"type": "integer"}, "protocol": {"type": "string", "default": "TCP"}, "name": text}});
    let deep = json!({"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}, "items": {"type": "array", "items": item, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}}});
    json!({"type": "object", "properties": {
        "plain": {"type": "array", "items": text},
        "atomic": {"type": "array", "items": item, "x-kubernetes-list-type": "atomic"},
        "set": {"type": "array", "items": text, "x-kubernetes-list-type": "set"},
        "numbers": {"type": "array", "items": {"type": "integer"}, "x-kubernetes-list-type": "set"},
        "map": {"type": "array", "items": item, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        "ports": {"type": "array", "items": port, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port", "protocol"]},
        "deep": {"type": "array", "items": deep, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["id"]},
        "whole": {"type": "object", "additionalProperties": text, "x-kubernetes-map-type": "atomic"},
        "labels": {"type": "object", "additionalProperties": text},
        "defaulted": {"type": "object", "default": {}, "properties": {"size": {"type": "integer", "default": 3}, "name": text}},
        "level": {"type": "string", "default": "info"},
        "either": {"x-kubernetes-int-or-string": true},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        "embedded": {"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true},
        "nullable": {"type": "string", "nullable": true},
        "nullish": {"type": "object", "nullable": true, "properties": {"a": text}},
        "fraction": {"type": "number"},
        "replicas": {"type": "integer"}
    }})
}

/// The definition of `kind`, served as `v1` (stored) and `v1beta1`, without conversion.
pub(super) fn definition(group: &str, kind: &str, spec: &Value) -> Value {
    defined(group, kind, &[version("v1", spec, "replicas"), version("v1beta1", spec, "replicas")])
}

/// The definition of the kind `Converted`, of whose versions `webhook` makes one of the other as [`converted`] says.
pub(super) fn converting(webhook: &Value) -> Value {
    let (new, mut old) = (spec_schema(), spec_schema());
    rename(&mut old["properties"], &FIELDS);
    rename(&mut old["properties"]["map"]["items"]["properties"], &FIELDS_OF_ITEMS);
    let versions = [version("v1", &new, "replicas"), version("v1beta1", &old, "count")];
    let mut definition = defined(CONVERTED, "Converted", &versions);
    definition["spec"]["conversion"] = json!({"strategy": "Webhook", "webhook": {"clientConfig": webhook, "conversionReviewVersions": ["v1"]}});
    definition
}

fn version(name: &str, spec: &Value, replicas: &str) -> Value {
    let schema = json!({"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}});
    json!({"name": name, "served": true, "storage": name == "v1", "schema": schema,
        "subresources": {"status": {}, "scale": {"specReplicasPath": format!(".spec.{replicas}"), "statusReplicasPath": ".status.replicas"}}})
}

fn defined(group: &str, kind: &str, versions: &[Value; 2]) -> Value {
    let plural = format!("{}s", kind.to_lowercase());
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": format!("{plural}.{group}")},
        "spec": {"group": group, "scope": "Namespaced", "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase(), "listKind": format!("{kind}List")},
            "versions": versions}})
}

/// What fields of `spec` are called in `v1` and in `v1beta1`.
const FIELDS: [(&str, &str); 4] =
    [("level", "degree"), ("labels", "tags"), ("replicas", "count"), ("set", "unordered")];
/// And fields of the items of `map`.
const FIELDS_OF_ITEMS: [(&str, &str); 2] = [("value", "text"), ("inner", "parts")];

/// An object of the kind `Converted` in another version.
pub(super) fn converted(object: &Value, api_version: &str) -> Value {
    let mut object = object.clone();
    if object["apiVersion"] != api_version {
        let turned = |fields: &[(&'static str, &'static str)]| -> Vec<(&'static str, &'static str)> {
            let is_new = api_version.ends_with("/v1");
            fields.iter().map(|(new, old)| if is_new { (*old, *new) } else { (*new, *old) }).collect()
        };
        if let Some(spec) = object.get_mut("spec") {
            rename(spec, &turned(&FIELDS));
            for item in spec.get_mut("map").and_then(Value::as_array_mut).into_iter().flatten() {
                rename(item, &turned(&FIELDS_OF_ITEMS));
            }
        }
        object["apiVersion"] = api_version.into();
    }
    object
}

fn rename(fields: &mut Value, names: &[(&str, &str)]) {
    let Some(fields) = fields.as_object_mut() else { return };
    for (from, to) in names {
        if let Some(value) = fields.remove(*from) {
            fields.insert((*to).to_owned(), value);
        }
    }
}

/// An object of the kind `Converted` in one of its versions.
pub(super) fn converted_manifest(random: &mut Random) -> Value {
    let mut manifest = manifest(CONVERTED, "Converted", random);
    let version = manifest["apiVersion"].take();
    manifest["apiVersion"] = format!("{CONVERTED}/v1").into();
    converted(&manifest, version.as_str().unwrap_or_default())
}

/// An object of `kind` with all that the schema has.
pub(super) fn manifest(group: &str, kind: &str, random: &mut Random) -> Value {
    let version = *random.pick(&["v1", "v1", "v1beta1"]);
    json!({"apiVersion": format!("{group}/{version}"), "kind": kind, "metadata": {"labels": {"a": "b"}, "annotations": {"n": "1"}, "finalizers": ["example.com/a", "example.com/b"]},
        "spec": {
            "plain": ["a", "b", "a"], "atomic": [{"name": "a", "value": "1"}, {"name": "b"}], "set": ["x", "y", "a/<b>&"], "numbers": [3, 1, 2],
            "map": [{"name": "a", "value": "1", "inner": ["p", "q"]}, {"name": "b", "mode": "manual"}, {"name": "é<&>\"\\", "value": ""}],
            "ports": [{"port": 80}, {"port": 80, "protocol": "UDP", "name": "u"}, {"port": 443, "protocol": "TCP"}],
            "deep": [{"id": 1, "items": [{"name": "a"}, {"name": "b", "value": "2", "inner": []}]}, {"id": 2, "items": []}, {"id": 3}],
            "whole": {"a": "1", "b": "2"}, "labels": {"a": "1", "x/y": "~", "": "empty"}, "defaulted": {"name": "n"}, "level": "debug",
            "either": *random.pick(&[1, 2]), "free": {"a": [1, {"b": null}], "c": {"d": 1.5, "e": {}}, "f": []},
            "embedded": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "e", "labels": {"a": "b"}}, "data": {"a": "1"}},
            "nullable": null, "nullish": {"a": "1"}, "fraction": 0.1, "replicas": 1 + random.below(3)}})
}

//! A kind of our own with every type of list and map that a schema can have, in two versions.

use super::random::Random;
use serde_json::{Value, json};

/// The group of the kind whose schema stands still.
pub(super) const GROUP: &str = "proof.trueup.dev";
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
    let plural = format!("{}s", kind.to_lowercase());
    let schema = json!({"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}});
    let version = |name: &str, stored: bool| {
        json!({"name": name, "served": true, "storage": stored, "schema": schema,
            "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}}})
    };
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": format!("{plural}.{group}")},
        "spec": {"group": group, "scope": "Namespaced", "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase(), "listKind": format!("{kind}List")},
            "versions": [version("v1", true), version("v1beta1", false)]}})
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

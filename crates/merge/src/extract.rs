//! What a field manager applied, as far as the live object still shows it, and whether that is what is wanted.
//!
//! Server-side apply records which fields it was given, not their values. The live values at those fields, put together
//! in the shape of the object, are the object that the manager last applied: if they are equal to what is wanted, another
//! apply would change neither a value nor an owner. This is what `ExtractInto` of client-go builds; here only its hash is
//! taken, so that it can be kept beside each watched object without the object.
//!
//! fieldsV1 does not say whether a field that it lists without anything below is one whole (an atomic list or map), or one
//! of which nothing below is owned. That depends on the schema, so [`shape`] says in which places an object leaves it open:
//! whoever knows it of a place in one object of a kind knows it of that place in all of them.
//!
//! What the server normalises (quantities, `stringData`, dropped empty fields) does not come out equal: that proves
//! nothing, and asking the server is the only way to know.

use crate::fields::{has_keys, key_names, segment};
use crate::managed::applied_by;
use crate::token::{Hash128, Hasher};
use serde_json::Map;
use std::collections::BTreeSet;
use std::sync::Arc;
use trueup_model::{Segment, Value};

/// Hash of an object as somebody wrote it: without the fields that only the server sets.
pub type Extract = Hash128;
/// The places of an object at which only its schema says what an apply of it owns, as hashes in order.
pub type Shape = Arc<[u64]>;

// Server-side apply never records these. Source: `stripmeta.go` of k8s.io/apimachinery.
const UNRECORDED: [&str; 9] = [
    "clusterName",
    "creationTimestamp",
    "generation",
    "managedFields",
    "name",
    "namespace",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// The hash of what the manager applied; `None` where it applied nothing, or through another version of the API than the
/// one that the object was read in.
pub fn extracted(live: &Value, manager: &str) -> Option<Extract> {
    let entry = applied_by(live, manager)?;
    let version = entry.get("apiVersion").and_then(Value::as_str)?;
    (live.get("apiVersion").and_then(Value::as_str) == Some(version)).then_some(())?;
    let mut hash = Hasher::default();
    hash.text(version);
    project(&mut hash, Some(live), entry.get("fieldsV1")?.as_object()?, Hollow::Skipped);
    Some(hash.finish())
}

/// The hash of an object as it is wanted: equal to [`extracted`] of the live object where an apply would change nothing.
pub fn wanted(desired: &Value) -> Extract {
    let mut hash = Hasher::default();
    hash.text(desired.get("apiVersion").and_then(Value::as_str).unwrap_or_default());
    hash.object(|hash| {
        for (name, value) in desired.as_object().into_iter().flatten() {
            match (name.as_str(), value.as_object()) {
                ("apiVersion" | "kind", _) => {}
                ("metadata", Some(metadata)) => recorded_metadata(hash, metadata),
                (_, _) => hash.field(name, value),
            }
        }
    });
    hash.finish()
}

/// The places at which only the schema says whether what the manager owns is what an apply would own; `None` where there
/// are none, and the object speaks for itself.
pub fn shape(live: &Value, manager: &str) -> Option<Shape> {
    let fields = applied_by(live, manager)?.get("fieldsV1")?.as_object()?;
    let mut places = BTreeSet::new();
    open_places(Some(live), fields, &mut String::new(), &mut places);
    let number = |place: &String| {
        let mut hash = Hasher::default();
        hash.text(place);
        hash.finish().start()
    };
    (!places.is_empty()).then(|| places.iter().map(number).collect())
}

fn open_places(
    live: Option<&Value>,
    fields: &Map<String, Value>,
    at: &mut String,
    places: &mut BTreeSet<String>,
) {
    let is_whole = fields.keys().all(|element| element == ".");
    if is_whole && live.is_some_and(|value| !is_hollow(value) && (value.is_object() || value.is_array())) {
        places.insert(format!("{at} whole"));
    }
    if !is_whole && fields.contains_key(".") {
        places.insert(format!("{at} itself"));
    }
    let length = at.len();
    for (element, below) in fields.iter().filter(|(element, _)| *element != ".") {
        let Some(below) = below.as_object() else { continue };
        if let Some(name) = element.strip_prefix("f:") {
            at.push('/');
            at.push_str(name);
            open_places(live.and_then(|value| value.get(name)), below, at, places);
            at.truncate(length);
        }
    }
    let first = fields.keys().find(|element| *element != ".").filter(|first| first.starts_with("k:"));
    if let (Some(items), Some(first)) = (live.and_then(Value::as_array), first) {
        let names = key_names(first).unwrap_or_default();
        at.push_str("/*");
        for (index, item) in items.iter().enumerate() {
            let Some(below) = owned_item(item, index, fields, &names) else { continue };
            // An item that was applied is owned itself, whatever else of it is.
            if below.contains_key(".") {
                let below: Map<String, Value> = below
                    .iter()
                    .filter(|(name, _)| *name != ".")
                    .map(|(n, v)| (n.clone(), v.clone()))
                    .collect();
                open_places(Some(item), &below, at, places);
            } else {
                places.insert(format!("{at} in part"));
            }
        }
        at.truncate(length);
    }
}

/// Whether an apply of `desired` is proven to change nothing: neither a value nor an owner.
pub fn covered(desired: &Value, live: &Value, manager: &str) -> bool {
    extracted(live, manager) == Some(wanted(desired))
}

fn recorded_metadata(hash: &mut Hasher, metadata: &Map<String, Value>) {
    let recorded = || metadata.iter().filter(|(name, _)| !UNRECORDED.contains(&name.as_str()));
    if recorded().next().is_some() {
        hash.text("metadata");
        hash.object(|hash| recorded().for_each(|(name, value)| hash.field(name, value)));
    }
}

/// What [`project`] makes of empty lists and maps, which nobody ever owns: server-side apply records no owner of them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hollow {
    /// They are left out.
    Skipped,
    /// They are hashed wherever they stand beside what is owned: they may be ours, and then their loss has to show.
    Hashed,
    /// The same in a whole object, whose status is nobody's wish.
    HashedBesideStatus,
}

/// Whether a value holds nothing but empty lists and maps.
fn is_hollow(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().all(is_hollow),
        Value::Object(fields) => fields.values().all(is_hollow),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn hollow(hash: &mut Hasher, live: Option<&Value>, fields: &Map<String, Value>, empty: Hollow) {
    let passed_over = match empty {
        Hollow::Skipped => return,
        Hollow::Hashed => None,
        Hollow::HashedBesideStatus => Some("status"),
    };
    for (name, value) in live.and_then(Value::as_object).into_iter().flatten() {
        if Some(name.as_str()) != passed_over
            && is_hollow(value)
            && !fields.contains_key(&format!("f:{name}"))
        {
            hash.field(name, value);
        }
    }
}

/// Hashes the live values at the fields of a fieldsV1 tree as if they stood in an object by themselves. Tree and value are
/// walked together, so that no part of either is copied.
pub(crate) fn project(hash: &mut Hasher, live: Option<&Value>, fields: &Map<String, Value>, empty: Hollow) {
    let elements = || fields.iter().filter(|(element, _)| *element != ".");
    let Some((first, _)) = elements().next() else {
        // A leaf, or a subtree that is owned as a whole. The API server takes null for absent, and so do we.
        return hash.value(live.unwrap_or(&Value::Null));
    };
    if !first.starts_with("f:") {
        return match live.and_then(Value::as_array) {
            Some(items) => list(hash, items, fields, first, empty),
            None => hash.value(&Value::Null),
        };
    }
    hash.object(|hash| {
        let inside = if empty == Hollow::Skipped { empty } else { Hollow::Hashed };
        // Where all that is ours of it is a null, it may be there with nothing in it, or not be there.
        if empty != Hollow::Skipped && live.is_none_or(Value::is_null) {
            hash.value(&Value::Null);
        }
        for (element, below) in elements() {
            let name = element.strip_prefix("f:").unwrap_or(element);
            hash.text(name);
            if let Some(below) = below.as_object() {
                project(hash, live.and_then(|value| value.get(name)), below, inside);
            }
        }
        hollow(hash, live, fields, empty);
    });
}

/// Whether all fields of a fieldsV1 tree are there, as far as others than the server write them.
pub(crate) fn finds(live: &Value, fields: &Map<String, Value>) -> bool {
    fields.iter().filter(|(element, _)| *element != ".").all(|(element, below)| {
        let found = match segment(element) {
            Ok(Segment::Field(name)) => live.get(&name),
            Ok(Segment::Key(keys)) => {
                live.as_array().and_then(|items| items.iter().find(|item| has_keys(item, &keys)))
            }
            Ok(Segment::Value(value)) => {
                live.as_array().and_then(|items| items.iter().find(|item| **item == value))
            }
            Ok(Segment::Index(index)) => live.get(index),
            Err(_) => None,
        };
        found.is_some_and(|found| below.as_object().is_some_and(|below| finds(found, below)))
    })
}

// Items are taken in the order of the live list: their order is part of what was applied (containers, env).
fn list(hash: &mut Hasher, items: &[Value], fields: &Map<String, Value>, first: &str, empty: Hollow) {
    let names = key_names(first).unwrap_or_default();
    hash.array(|hash| {
        for (index, item) in items.iter().enumerate() {
            if let Some(below) = owned_item(item, index, fields, &names) {
                project(hash, Some(item), below, empty);
            }
        }
    });
}

fn owned_item<'f>(
    item: &Value,
    index: usize,
    fields: &'f Map<String, Value>,
    names: &[String],
) -> Option<&'f Map<String, Value>> {
    let written = if names.is_empty() {
        fields.get(&format!("v:{item}")).or_else(|| fields.get(&format!("i:{index}")))
    } else {
        let keys: Value =
            names.iter().filter_map(|name| Some((name.clone(), item.get(name)?.clone()))).collect();
        fields.get(&format!("k:{keys}"))
    };
    written.or_else(|| by_meaning(item, fields))?.as_object()
}

// For elements in other words than ours: escapes, numbers, keys that the item leaves to their defaults.
fn by_meaning<'f>(item: &Value, fields: &'f Map<String, Value>) -> Option<&'f Value> {
    let is_meant = |element: &str| match segment(element) {
        Ok(Segment::Key(keys)) => has_keys(item, &keys),
        Ok(Segment::Value(value)) => *item == value,
        Ok(Segment::Field(_) | Segment::Index(_)) | Err(_) => false,
    };
    fields.iter().find(|(element, _)| is_meant(element)).map(|(_, below)| below)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn desired() -> Value {
        json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "shop", "creationTimestamp": null, "labels": {"app": "web"}, "finalizers": ["a/b"]},
            "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"}}, "template": {"spec": {
                "containers": [
                    {"name": "web", "image": "web:1", "args": ["-v"], "ports": [{"containerPort": 80}]},
                    {"name": "log", "image": "log:1", "resources": {}}],
                "volumes": [{"name": "tmp", "emptyDir": {}}]}}}})
    }

    // As kube-apiserver 1.36 answers an apply of the above, with what a second manager and a defaulter added.
    fn live() -> Value {
        json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "shop", "uid": "u", "resourceVersion": "9", "generation": 1,
                "labels": {"app": "web", "theirs": "x"}, "finalizers": ["z/z", "a/b"],
                "managedFields": [{"manager": "trueup", "operation": "Apply", "apiVersion": "apps/v1", "fieldsV1": {
                    "f:metadata": {"f:labels": {"f:app": {}}, "f:finalizers": {"v:\"a/b\"": {}}},
                    "f:spec": {"f:replicas": {}, "f:selector": {}, "f:template": {"f:spec": {
                        "f:containers": {
                            "k:{\"name\":\"log\"}": {".": {}, "f:image": {}, "f:name": {}, "f:resources": {}},
                            "k:{\"name\":\"web\"}": {".": {}, "f:args": {}, "f:image": {}, "f:name": {}, "f:ports":
                                {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}}}},
                        "f:volumes": {"k:{\"name\":\"tmp\"}": {".": {}, "f:emptyDir": {}, "f:name": {}}}}}}}}]},
            "spec": {"replicas": 3, "revisionHistoryLimit": 10, "selector": {"matchLabels": {"app": "web"}}, "template": {"spec": {
                "containers": [
                    {"name": "web", "image": "web:1", "args": ["-v"], "ports": [{"containerPort": 80, "protocol": "TCP"}], "imagePullPolicy": "Always"},
                    {"name": "injected", "image": "proxy"},
                    {"name": "log", "image": "log:1", "resources": {}}],
                "volumes": [{"name": "tmp", "emptyDir": {}}]}}}, "status": {"replicas": 3}})
    }

    #[track_caller]
    fn check(edit: impl FnOnce(&mut Value, &mut Value), proven: bool) {
        let (mut desired, mut live) = (desired(), live());
        edit(&mut desired, &mut live);
        assert_eq!(covered(&desired, &live, "trueup"), proven);
    }

    #[test]
    fn an_object_that_is_as_it_was_applied_needs_no_apply() {
        check(|_, _| {}, true);
        check(|_, live| live["status"] = json!({}), true);
        check(|_, live| live["spec"]["revisionHistoryLimit"] = json!(2), true);
        check(|_, live| live["metadata"]["labels"]["theirs"] = json!("y"), true);
    }

    #[test]
    fn a_value_an_owner_or_an_order_that_differs_is_not_proven() {
        check(|desired, _| desired["spec"]["replicas"] = json!(4), false);
        check(|_, live| live["spec"]["replicas"] = json!(4), false);
        check(|desired, _| desired["spec"]["paused"] = json!(false), false);
        check(|desired, _| drop(desired["spec"].as_object_mut().unwrap().remove("replicas")), false);
        check(|desired, _| drop(desired["metadata"].as_object_mut().unwrap().remove("finalizers")), false);
        check(|_, live| live["spec"]["selector"]["matchLabels"]["more"] = json!("x"), false);
        check(
            |_, live| live["spec"]["template"]["spec"]["containers"].as_array_mut().unwrap().swap(0, 2),
            false,
        );
        check(
            |_, live| drop(live["spec"]["template"]["spec"]["containers"].as_array_mut().unwrap().remove(2)),
            false,
        );
        check(
            |_, live| {
                live["spec"]["template"]["spec"]["volumes"][0]["emptyDir"] = json!({"medium": "Memory"});
            },
            false,
        );
        check(
            |desired, _| {
                desired["spec"]["template"]["spec"]["containers"][0]["ports"][0]["protocol"] = json!("TCP");
            },
            false,
        );
    }

    #[test]
    fn objects_have_places_in_common_whatever_else_they_have() {
        let places = |edit: &dyn Fn(&mut Value)| {
            let mut live = live();
            edit(&mut live);
            shape(&live, "trueup").map_or_else(Vec::new, |shape| shape.to_vec())
        };
        let all = places(&|_| {});
        let fewer = places(&|live| {
            let spec = &mut live["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"];
            drop(spec.as_object_mut().unwrap().remove("f:selector"));
        });
        assert_eq!(all.len(), 2, "the selector, and the arguments");
        assert!(fewer.len() == 1 && all.contains(&fewer[0]));
        let renamed = places(&|live| {
            let text = live.to_string().replace("web", "other");
            *live = serde_json::from_str(&text).unwrap();
        });
        assert_eq!(renamed, all, "the names of items do not count");
    }

    #[test]
    fn an_object_read_or_wanted_in_another_version_is_not_proven() {
        check(|_, live| live["apiVersion"] = json!("apps/v2"), false);
        check(|desired, _| desired["apiVersion"] = json!("apps/v2"), false);
        check(|_, live| live["metadata"]["managedFields"] = json!([]), false);
    }
}

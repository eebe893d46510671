//! Objects of built-in kinds: samples, what comes of crossing two of them, and what comes of changing one.

use crate::random::Random;
use serde_json::{Map, Value, json};

const SAMPLES: &str = include_str!("../../tables/samples.yaml");

/// The samples of one kind.
pub struct Samples {
    pub api_version: String,
    pub kind: String,
    pub objects: Vec<Value>,
}

/// All samples, by kind.
pub fn samples() -> Vec<Samples> {
    let mut kinds: Vec<Samples> = Vec::new();
    for node in trueup_model::yaml::parse(SAMPLES).unwrap() {
        let object = node.into_value();
        let (api_version, kind) = (object["apiVersion"].as_str().unwrap(), object["kind"].as_str().unwrap());
        match kinds.iter_mut().find(|one| one.kind == kind && one.api_version == api_version) {
            Some(samples) => samples.objects.push(object),
            None => kinds.push(Samples {
                api_version: api_version.to_owned(),
                kind: kind.to_owned(),
                objects: vec![object],
            }),
        }
    }
    kinds
}

/// Takes something of `other` into `object`, at a place that both have.
pub fn cross(random: &mut Random, object: &mut Value, other: &Value) {
    let (Value::Object(fields), Value::Object(others)) = (object, other) else { return };
    let keys: Vec<&String> = others
        .keys()
        .filter(|key| !matches!(key.as_str(), "apiVersion" | "kind" | "name" | "metadata"))
        .collect();
    if keys.is_empty() {
        return;
    }
    let key = *random.pick(&keys);
    let value = &others[key];
    match fields.get_mut(key) {
        Some(mine) if mine.is_object() && value.is_object() && !random.percent(15) => {
            cross(random, mine, value);
        }
        Some(_) | None => drop(fields.insert(key.clone(), value.clone())),
    }
}

/// Changes the labels, annotations and other metadata that people write.
pub fn dress(random: &mut Random, object: &mut Value) {
    let values = ["web", "api", "one", "two", ""];
    let metadata = &mut object["metadata"];
    match random.below(12) {
        0..4 => metadata["labels"][*random.pick(&["app", "tier", "team"])] = (*random.pick(&values)).into(),
        4..7 => {
            metadata["annotations"][*random.pick(&["note", "example.com/x"])] =
                (*random.pick(&values)).into();
        }
        7 => drop(metadata.as_object_mut().map(|fields| fields.remove("labels"))),
        8 => drop(metadata.as_object_mut().map(|fields| fields.remove("annotations"))),
        9 => metadata["finalizers"] = json!([random.pick(&["example.com/a", "example.com/b"])]),
        10 => drop(metadata.as_object_mut().map(|fields| fields.remove("finalizers"))),
        _ => {}
    }
}

/// Every place in a value, as pointers; the root is not one.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    let mut below = |key: &str, value: &Value| {
        let at = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
        found.push(at.clone());
        places(value, &at, found);
    };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| below(key, value)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, value)| below(&index.to_string(), value));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn remove(object: &mut Value, place: &str) {
    let Some((parent, key)) = place.rsplit_once('/') else { return };
    match object.pointer_mut(parent) {
        Some(Value::Object(fields)) => drop(fields.remove(&key.replace("~1", "/").replace("~0", "~"))),
        Some(Value::Array(items)) => {
            if let Ok(index) = key.parse::<usize>()
                && index < items.len()
            {
                items.remove(index);
            }
        }
        Some(_) | None => {}
    }
}

/// Changes one place below what the object wants, so that it may no longer be right.
pub fn spoil(random: &mut Random, object: &mut Value) {
    let mut found = Vec::new();
    places(object, "", &mut found);
    found.retain(|place| {
        !matches!(place.as_str(), "/apiVersion" | "/kind")
            && !place.starts_with("/metadata")
            && !is_fixed(place)
    });
    if found.is_empty() {
        return;
    }
    let place = random.pick(&found).clone();
    if random.percent(30) {
        remove(object, &place);
        return;
    }
    let Some(value) = object.pointer_mut(&place) else { return };
    *value = spoiled(random, value);
}

/// Places where a change could reach beyond the sequence.
fn is_fixed(place: &str) -> bool {
    ["/webhooks/0/rules", "/webhooks/0/failurePolicy", "/globalDefault"]
        .iter()
        .any(|fixed| place.starts_with(fixed))
}

fn spoiled(random: &mut Random, value: &Value) -> Value {
    match value {
        Value::String(text) => match random.below(6) {
            0 => "".into(),
            1 => "Bad_Value!".into(),
            2 => format!("{text}x").into(),
            3 => "x".repeat(70).into(),
            4 => "other".into(),
            _ => text.to_uppercase().into(),
        },
        Value::Number(number) => match random.below(4) {
            0 => (-1).into(),
            1 => 0.into(),
            2 => 70_000.into(),
            _ => (number.as_i64().unwrap_or(1) + 1).into(),
        },
        Value::Bool(is) => (!is).into(),
        Value::Array(items) => {
            let mut items = items.clone();
            match random.below(3) {
                0 => items.clear(),
                1 => items.extend(items.first().cloned()),
                _ => drop(items.pop()),
            }
            items.into()
        }
        Value::Object(fields) => {
            let mut fields = fields.clone();
            if random.percent(50) {
                fields.clear();
            } else {
                fields.insert("unknownField".to_owned(), 1.into());
            }
            Value::Object(fields)
        }
        Value::Null => Value::Null,
    }
}

/// The merge patch (RFC 7386) that makes `to` of `from`.
pub fn merge_patch(from: &Value, to: &Value) -> Value {
    let (Value::Object(from), Value::Object(to)) = (from, to) else { return to.clone() };
    let mut patch = Map::new();
    for (key, value) in to {
        match from.get(key) {
            Some(before) if before == value => {}
            Some(before) if before.is_object() && value.is_object() => {
                drop(patch.insert(key.clone(), merge_patch(before, value)));
            }
            Some(_) | None => drop(patch.insert(key.clone(), value.clone())),
        }
    }
    for key in from.keys().filter(|key| !to.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    Value::Object(patch)
}

/// The JSON patch (RFC 6902) that makes `to` of `from`.
pub fn json_patch(from: &Value, to: &Value) -> Value {
    let mut operations = Vec::new();
    fn walk(from: &Value, to: &Value, at: &str, operations: &mut Vec<Value>) {
        let (Value::Object(from), Value::Object(to)) = (from, to) else {
            if from != to {
                operations.push(json!({"op": "replace", "path": at, "value": to}));
            }
            return;
        };
        for (key, value) in to {
            let at = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
            match from.get(key) {
                Some(before) => walk(before, value, &at, operations),
                None => operations.push(json!({"op": "add", "path": at, "value": value})),
            }
        }
        for key in from.keys().filter(|key| !to.contains_key(*key)) {
            let at = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
            operations.push(json!({"op": "remove", "path": at}));
        }
    }
    walk(from, to, "", &mut operations);
    operations.into()
}

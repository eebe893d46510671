//! Random definitions of custom resources, and objects of them.

use crate::operation::NAMESPACE;
use crate::random::Random;
use serde_json::{Map, Value, json};

/// One definition.
pub struct Definition {
    pub object: Value,
    pub versions: Vec<String>,
    pub namespaced: bool,
    pub has_status: bool,
    pub has_scale: bool,
    group: String,
    plural: String,
    kind: String,
}

const GROUP: &str = "fuzz.example.com";
const FIELDS: [&str; 7] = ["alpha", "beta", "gamma", "delta", "count", "items", "mode"];

impl Definition {
    /// A definition that follows from a seed, with a name of its own.
    pub fn random(set: u64, index: usize) -> Self {
        let mut random = Random::new(set.wrapping_mul(1_000_003) + index as u64 + 17);
        let (plural, kind) = (format!("wares{set}x{index}"), format!("Ware{set}x{index}"));
        let (namespaced, has_status, has_scale) =
            (!random.percent(15), random.percent(70), random.percent(25));
        let versions: Vec<String> = if random.percent(35) {
            vec!["v1".to_owned(), "v1beta1".to_owned()]
        } else {
            vec!["v1".to_owned()]
        };
        let spec = object_schema(&mut random, 0);
        let listed: Vec<Value> = versions
            .iter()
            .enumerate()
            .map(|(index, version)| {
                let mut spec = spec.clone();
                if has_scale {
                    spec["properties"]["replicas"] = json!({"type": "integer", "format": "int32", "minimum": 0});
                }
                if index > 0 {
                    spec["properties"]["later"] = json!({"type": "string", "default": "then"});
                }
                let mut schema = json!({"type": "object", "properties": {"spec": spec}});
                schema["properties"]["status"] = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true,
                    "properties": {"replicas": {"type": "integer"}, "phase": {"type": "string"}}});
                if random.percent(20) {
                    schema["required"] = json!(["spec"]);
                }
                let mut subresources = Map::new();
                if has_status {
                    subresources.insert("status".to_owned(), json!({}));
                }
                if has_scale {
                    subresources.insert("scale".to_owned(), json!({"specReplicasPath": ".spec.replicas",
                        "statusReplicasPath": ".status.replicas"}));
                }
                let mut listed = json!({"name": version, "served": true, "storage": index == 0,
                    "schema": {"openAPIV3Schema": schema}, "subresources": subresources});
                if index == 0 {
                    listed["selectableFields"] = json!([{"jsonPath": ".status.phase"}]);
                    listed["additionalPrinterColumns"] = json!([
                        {"name": "Mode", "type": "string", "jsonPath": ".spec.mode"},
                        {"name": "Count", "type": "integer", "jsonPath": ".spec.count", "priority": 1},
                        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}]);
                }
                listed
            })
            .collect();
        let object = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{plural}.{GROUP}")},
            "spec": {"group": GROUP, "scope": if namespaced { "Namespaced" } else { "Cluster" },
                "names": {"plural": plural, "singular": kind.to_lowercase(), "kind": kind, "listKind": format!("{kind}List")},
                "versions": listed}});
        Self { object, versions, namespaced, has_status, has_scale, group: GROUP.to_owned(), plural, kind }
    }

    /// A definition that somebody wrote, in the one version in which its objects are stored.
    pub fn read(mut object: Value) -> Option<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let spec = object["spec"].as_object_mut()?;
        let listed = spec["versions"].as_array()?;
        let stored = listed.iter().find(|one| one["storage"] == true && one["served"] == true)?.clone();
        spec.insert("versions".to_owned(), json!([stored]));
        spec.remove("conversion");
        let versions = vec![text(&stored["name"])?];
        let (group, names) = (text(&spec["group"])?, &spec["names"]);
        let (plural, kind) = (text(&names["plural"])?, text(&names["kind"])?);
        let namespaced = spec["scope"] == "Namespaced";
        let has = |subresource: &str| stored["subresources"][subresource].is_object();
        let (has_status, has_scale) = (has("status"), has("scale"));
        Some(Self { object, versions, namespaced, has_status, has_scale, group, plural, kind })
    }

    /// An object of a definition with a large schema: most of what may be left out is.
    pub fn sparse(&self, random: &mut Random, wild: usize) -> Value {
        let schema = &self.object["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
        let spec = value(random, schema, Taste { wild, share: 40, deeper: 40 });
        json!({"apiVersion": format!("{}/{}", self.group, self.versions[0]), "kind": self.kind, "metadata": {"name": "a"},
            "spec": spec})
    }

    /// The path of its objects in a version.
    pub fn collection(&self, version: usize) -> String {
        let namespace = if self.namespaced { format!("namespaces/{NAMESPACE}/") } else { String::new() };
        format!("/apis/{}/{}/{namespace}{}", self.group, self.versions[version], self.plural)
    }

    /// An object of it; `wild` of a hundred values are wrong.
    pub fn instance(&self, random: &mut Random, version: usize, wild: usize) -> Value {
        let schema =
            &self.object["spec"]["versions"][version]["schema"]["openAPIV3Schema"]["properties"]["spec"];
        let mut object = json!({"apiVersion": format!("{}/{}", self.group, self.versions[version]),
            "kind": self.kind, "metadata": {}});
        if !random.percent(8) {
            object["spec"] = value(random, schema, Taste { wild: wild / 4, share: 55, deeper: 100 });
        }
        object
    }

    /// A status for one.
    pub fn status(random: &mut Random) -> Value {
        json!({"phase": random.pick(&["Ready", "Failed"]), "replicas": random.below(4)})
    }
}

fn object_schema(random: &mut Random, depth: usize) -> Value {
    let mut properties = Map::new();
    let count = 2 + random.below(4);
    for _ in 0..count {
        let name = *random.pick(&FIELDS);
        properties.insert(name.to_owned(), schema(random, depth + 1));
    }
    let mut all = json!({"type": "object"});
    if random.percent(25) {
        let names: Vec<&String> = properties.keys().collect();
        all["required"] = json!([random.pick(&names)]);
    }
    if random.percent(10) {
        all["x-kubernetes-preserve-unknown-fields"] = true.into();
    }
    if depth > 0 && random.percent(10) {
        all["x-kubernetes-map-type"] = "atomic".into();
    }
    let integers: Vec<String> = properties
        .iter()
        .filter(|(_, schema)| schema["type"] == "integer" && schema["nullable"] != true)
        .map(|(name, _)| name.clone())
        .collect();
    if let Some(name) = integers.first().filter(|_| random.percent(50)) {
        // Below lists, what a rule may cost is soon exceeded.
        let rule = match random.below(if depth == 0 { 4 } else { 3 }) {
            0 => json!({"rule": format!("!has(self.{name}) || self.{name} < 5"), "message": "must be small"}),
            1 => json!({"rule": format!("!has(self.{name}) || self.{name} != 3")}),
            2 => {
                json!({"rule": format!("!has(self.{name}) || !has(oldSelf.{name}) || self.{name} >= oldSelf.{name}"),
                "message": "must not shrink"})
            }
            _ => json!({"rule": format!("!has(self.{name}) || self.{name} > 0"),
                "messageExpression": format!("self.{name} < 0 ? 'is negative' : 'is nothing'"), "reason": "FieldValueForbidden", "fieldPath": format!(".{name}")}),
        };
        all["x-kubernetes-validations"] = json!([rule]);
    }
    all["properties"] = Value::Object(properties);
    all
}

fn schema(random: &mut Random, depth: usize) -> Value {
    let mut schema = match random.below(if depth > 2 { 7 } else { 12 }) {
        0 => json!({"type": "string"}),
        1 => json!({"type": "string", "enum": ["red", "green", "blue"]}),
        2 => json!({"type": "string", "maxLength": 5, "minLength": 2}),
        3 => json!({"type": "integer", "minimum": 0, "maximum": 10}),
        4 => json!({"type": "boolean"}),
        5 => json!({"type": "integer"}),
        6 => match random.below(4) {
            0 => json!({"x-kubernetes-int-or-string": true}),
            1 => json!({"type": "string", "pattern": "^[a-z]+$"}),
            2 => json!({"type": "number", "exclusiveMinimum": true, "minimum": 0}),
            _ => json!({"type": "string", "format": "date-time"}),
        },
        7 | 8 => object_schema(random, depth),
        9 => list_schema(random, depth),
        10 => json!({"type": "object", "additionalProperties": schema(random, depth + 1)}),
        _ => json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}),
    };
    if random.percent(10) {
        schema["nullable"] = true.into();
    } else if random.percent(20) {
        let default = match (schema["type"].as_str(), schema["enum"].get(0)) {
            (_, Some(first)) => Some(first.clone()),
            (Some("integer"), _) => Some(3.into()),
            (Some("boolean"), _) => Some(true.into()),
            (Some("string"), _) if schema["format"].is_null() => Some("abc".into()),
            (_, _) => None,
        };
        if let Some(default) = default {
            schema["default"] = default;
        }
    }
    schema
}

fn list_schema(random: &mut Random, depth: usize) -> Value {
    match random.below(4) {
        0 => json!({"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"}),
        1 => json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
            "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"},
                "size": {"type": "integer", "default": 1}, "label": {"type": "string", "maxLength": 6}}}}),
        2 => {
            json!({"type": "array", "items": {"type": "integer", "maximum": 100}, "maxItems": 3, "minItems": 1})
        }
        _ => json!({"type": "array", "items": schema(random, depth + 1), "x-kubernetes-list-type": "atomic"}),
    }
}

/// What values of a schema are like.
#[derive(Clone, Copy)]
struct Taste {
    /// So many of a hundred are wrong.
    wild: usize,
    /// So many of a hundred fields that may be left out are there.
    share: usize,
    /// That share, in hundredths, is left one level below.
    deeper: usize,
}

fn value(random: &mut Random, schema: &Value, taste: Taste) -> Value {
    if random.percent(taste.wild) {
        return random
            .pick(&[
                json!("wrong"),
                json!(-7),
                json!(true),
                json!({"x": 1}),
                json!([1]),
                json!(null),
                json!(99.5),
            ])
            .clone();
    }
    if schema["nullable"] == true && random.percent(25) {
        return Value::Null;
    }
    if let Some(allowed) = schema["enum"].as_array() {
        return random.pick(allowed).clone();
    }
    if schema["x-kubernetes-int-or-string"] == true {
        return if random.percent(50) { 5.into() } else { "50%".into() };
    }
    match schema["type"].as_str() {
        Some("string") if schema["format"] == "date-time" => "2026-01-01T00:00:00Z".into(),
        Some("string") => (*random.pick(&["ab", "abc", "abcd"])).into(),
        Some("integer") => {
            let end = if random.percent(taste.wild) { 20 } else { 5 };
            random.below(end).into()
        }
        Some("number") => (*random.pick(&[json!(1), json!(0.5), json!(2.25)])).clone(),
        Some("boolean") => random.percent(50).into(),
        Some("array") => list(random, schema, taste),
        _ => object(random, schema, taste),
    }
}

fn list(random: &mut Random, schema: &Value, taste: Taste) -> Value {
    let count = random.below(4);
    match schema["x-kubernetes-list-type"].as_str() {
        Some("set") => {
            let mut items: Vec<&str> = ["x", "y", "z"].into_iter().filter(|_| random.percent(60)).collect();
            if random.percent(taste.wild) {
                items.push("x");
            }
            items.into()
        }
        Some("map") => {
            let names: Vec<&str> = ["m", "n", "o"].into_iter().filter(|_| random.percent(60)).collect();
            let mut items = Vec::new();
            for name in names {
                let mut item = value(random, &schema["items"], taste);
                if item.is_object() {
                    item["name"] = name.into();
                }
                items.push(item);
            }
            items.into()
        }
        Some(_) | None => {
            let count = if random.percent(taste.wild) { 5 } else { count.clamp(1, 3) };
            (0..count).map(|_| value(random, &schema["items"], taste)).collect()
        }
    }
}

fn object(random: &mut Random, schema: &Value, taste: Taste) -> Value {
    let below = Taste { share: taste.share * taste.deeper / 100, ..taste };
    let mut fields = Map::new();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let is_required =
            schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name.as_str()));
        if is_required && !random.percent(taste.wild) || random.percent(taste.share) {
            fields.insert(name.clone(), value(random, field, below));
        }
    }
    if schema["additionalProperties"].is_object() {
        for name in ["k1", "k2"] {
            if random.percent(50) {
                continue;
            }
            fields.insert(name.to_owned(), value(random, &schema["additionalProperties"], below));
        }
    }
    if schema["x-kubernetes-preserve-unknown-fields"] == true || random.percent(taste.wild) {
        fields.insert("extra".to_owned(), json!({"deep": [1, "two"]}));
    }
    Value::Object(fields)
}

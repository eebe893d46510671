//! Writes what the sandbox knows of the fields of built-in kinds that no schema tells: defaults, which zero values the server
//! drops, how it refuses wrong values, and which fields never change. Asked of a real kube-apiserver by dry runs: each place
//! of each sample object is left out, emptied and filled with wrong values in turn.
//!
//! `cargo run -p trueup-testkit --bin fields-table > crates/sandbox/tables/fields.json`
#![allow(clippy::print_stdout, reason = "what it prints is its interface")]
#![allow(clippy::print_stderr, reason = "what answers contradict each other in is told to whoever runs it")]

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use http::Method;
use serde_json::{Map, Value, json};
use trueup_model::yaml;
use trueup_testkit::{Api, Components, ControlPlane, Options, Reply};

const SAMPLES: &str = include_str!("../../../sandbox/tables/samples.yaml");
const KINDS: &str = include_str!("../../../sandbox/tables/kinds.json");
const NAMESPACE: &str = "probe";

fn main() -> Result<()> {
    let control = ControlPlane::start(Options { components: Components::ApiOnly, ..Options::default() })?;
    let api = Api::from_kubeconfig(control.kubeconfig())?;
    let kinds: Value = serde_json::from_str(KINDS).context("tables/kinds.json")?;
    api.create("/api/v1/namespaces", &json!({"metadata": {"name": NAMESPACE}}))?;
    let mut probe = Probe {
        api,
        schemas: kinds["schemas"].as_object().context("schemas")?,
        fields: BTreeMap::new(),
        seen: BTreeMap::new(),
        hidden: BTreeSet::new(),
        fixed: BTreeMap::new(),
        starts: BTreeMap::new(),
    };
    let text = SAMPLES.replace("@ns@", NAMESPACE);
    for (number, node) in yaml::parse(&text)?.into_iter().enumerate() {
        let mut sample = node.into_value();
        if sample["kind"] == "IPAddress" {
            continue;
        }
        if sample["kind"] != "CustomResourceDefinition" {
            sample["metadata"]["name"] = format!("probe-{number}").into();
        }
        let place = Place::of(&kinds, &sample).with_context(|| format!("no kind {}", sample["kind"]))?;
        probe.sample(&place, &sample)?;
    }
    probe.print();
    Ok(())
}

/// Where objects of a kind go.
struct Place {
    collection: String,
    schema: String,
    kind: String,
}

impl Place {
    fn of(kinds: &Value, sample: &Value) -> Option<Self> {
        let api_version = sample["apiVersion"].as_str()?;
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let line = kinds["kinds"].as_array()?.iter().find(|line| {
            line["group"] == group
                && line["version"] == version
                && line["resource"]["kind"] == sample["kind"]
                && !line["resource"]["name"].as_str().unwrap_or_default().contains('/')
        })?;
        let root = if group.is_empty() { "/api".to_owned() } else { format!("/apis/{group}") };
        let inside = if line["resource"]["namespaced"] == true {
            format!("namespaces/{NAMESPACE}/")
        } else {
            String::new()
        };
        Some(Self {
            collection: format!("{root}/{version}/{inside}{}", line["resource"]["name"].as_str()?),
            schema: line["schema"].as_str()?.to_owned(),
            kind: format!("{group}/{}", sample["kind"].as_str()?),
        })
    }
}

/// What is asked, and what came of it.
struct Probe<'k> {
    api: Api,
    schemas: &'k Map<String, Value>,
    /// By type and field: what is known.
    fields: BTreeMap<String, BTreeMap<String, Known>>,
    /// By type: which fields its values had, each time that the server showed one.
    seen: BTreeMap<String, BTreeSet<BTreeSet<String>>>,
    /// Types and fields that the server does not show when nobody wrote them, whatever their schemas' defaults.
    hidden: BTreeSet<(String, String)>,
    /// By kind: what was refused because it changed.
    fixed: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
    /// By kind: what a new object has in its status, and whether its generations are counted.
    starts: BTreeMap<String, Value>,
}

/// What is known of a field, by question; several answers contradict each other.
type Known = BTreeMap<&'static str, BTreeSet<String>>;

/// One place of an object.
struct Spot {
    pointer: String,
    path: String,
    type_name: String,
    field: String,
}

impl Probe<'_> {
    fn sample(&mut self, place: &Place, sample: &Value) -> Result<()> {
        let dry = format!("{}?dryRun=All", place.collection);
        let whole = self.send(&Method::POST, &dry, sample)?;
        anyhow::ensure!(whole.status < 300, "{}: {}", place.kind, whole.body["message"]);
        let mut start = Map::new();
        if let Some(status) = whole.body.get("status") {
            start.insert("status".to_owned(), status.clone());
        }
        if whole.body["metadata"]["generation"].is_number() {
            start.insert("counted".to_owned(), true.into());
        }
        let mut spots = Vec::new();
        self.spots(&whole.body, &place.schema, ("", ""), &mut spots);
        self.unshown(&whole.body, &place.schema);
        for spot in &spots {
            let parent = spot.pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
            let is_field = !spot.field.ends_with("[]") && !spot.field.ends_with("{}");
            if let (true, Some(Value::Object(fields))) = (is_field, whole.body.pointer(parent)) {
                let fields = fields.keys().cloned().collect();
                self.seen.entry(spot.type_name.clone()).or_default().insert(fields);
            }
        }
        for spot in &spots {
            self.ask(&dry, sample, &whole.body, spot)?;
        }
        let live = self.send(&Method::POST, &place.collection, sample)?;
        anyhow::ensure!(live.status < 300, "{}: {}", place.kind, live.body["message"]);
        let name = live.body["metadata"]["name"].as_str().unwrap_or_default();
        let path = format!("{}/{name}", place.collection);
        for spot in &spots {
            self.change(place, &path, &live.body, spot)?;
        }
        if self.writes(&path, &live.body, "resourceVersion")? == 422 {
            start.insert("unconditional".to_owned(), false.into());
        }
        let mut other = sample.clone();
        other["metadata"]["name"] = format!("{name}-other").into();
        if self.writes(&format!("{path}-other"), &other, "uid")? == 201 {
            start.insert("creates".to_owned(), true.into());
        }
        let gone = self.send(&Method::DELETE, &path, &Value::Null)?;
        if gone.body["kind"] != "Status" && gone.body["metadata"]["finalizers"].is_null() {
            start.insert("returned".to_owned(), true.into());
        }
        let table = self.api.table(&format!("{}?limit=1", place.collection))?;
        start.insert("columns".to_owned(), table["columnDefinitions"].clone());
        self.starts.insert(place.kind.clone(), start.into());
        Ok(())
    }

    /// How a dry run of an update answers that leaves out one field of the metadata.
    fn writes(&self, path: &str, object: &Value, without: &str) -> Result<u16> {
        let mut body = object.clone();
        if let Some(metadata) = body["metadata"].as_object_mut() {
            metadata.remove(without);
        }
        Ok(self.send(&Method::PUT, &format!("{path}?dryRun=All"), &body)?.status)
    }

    /// Notes which fields a value does not show although their schemas have zero values as defaults.
    fn unshown(&mut self, value: &Value, type_name: &str) {
        let Some(properties) = self.schemas[type_name]["properties"].as_object() else { return };
        let Value::Object(fields) = value else { return };
        for (name, schema) in properties {
            let Some(value) = fields.get(name) else {
                if schema.get("default").is_some() {
                    self.hidden.insert((type_name.to_owned(), name.clone()));
                }
                continue;
            };
            match (reference(schema), reference(&schema["items"]), value) {
                (Some(below), _, value) => self.unshown(value, &below),
                (None, Some(below), Value::Array(items)) => {
                    for item in items {
                        self.unshown(item, &below);
                    }
                }
                (None, _, _) => {}
            }
        }
    }

    fn send(&self, method: &Method, path: &str, body: &Value) -> Result<Reply> {
        self.api.send(method, path, "application/json", Some(body).filter(|body| !body.is_null()))
    }

    /// The places of an object that its kind's schema names, but for those that every object has.
    fn spots(&self, value: &Value, type_name: &str, (pointer, path): (&str, &str), found: &mut Vec<Spot>) {
        let properties = &self.schemas[type_name]["properties"];
        for (field, value) in value.as_object().into_iter().flatten() {
            if pointer.is_empty() && matches!(field.as_str(), "apiVersion" | "kind" | "metadata" | "status") {
                continue;
            }
            let schema = &properties[field];
            if schema.is_null() {
                continue;
            }
            let pointer = format!("{pointer}/{}", field.replace('~', "~0").replace('/', "~1"));
            let path = if path.is_empty() { field.clone() } else { format!("{path}.{field}") };
            found.push(Spot {
                pointer: pointer.clone(),
                path: path.clone(),
                type_name: type_name.to_owned(),
                field: field.clone(),
            });
            self.below(value, schema, (type_name, field), (&pointer, &path), found);
        }
    }

    fn below(
        &self,
        value: &Value,
        schema: &Value,
        (type_name, field): (&str, &str),
        (pointer, path): (&str, &str),
        found: &mut Vec<Spot>,
    ) {
        if let Some(name) = reference(schema) {
            return self.spots(value, &name, (pointer, path), found);
        }
        if let Value::Array(items) = value {
            for (index, item) in items.iter().enumerate() {
                let (pointer, path) = (format!("{pointer}/{index}"), format!("{path}[{index}]"));
                if let Some(name) = reference(&schema["items"]) {
                    self.spots(item, &name, (&pointer, &path), found);
                } else {
                    let field = format!("{field}[]");
                    found.push(Spot { pointer, path, type_name: type_name.to_owned(), field });
                }
            }
        }
        if let (Value::Object(entries), true) = (value, schema["additionalProperties"].is_object()) {
            for key in entries.keys() {
                found.push(Spot {
                    pointer: format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1")),
                    path: format!("{path}[{key}]"),
                    type_name: type_name.to_owned(),
                    field: format!("{field}{{}}"),
                });
            }
        }
    }

    fn ask(&mut self, dry: &str, sample: &Value, whole: &Value, spot: &Spot) -> Result<()> {
        let mut questions: Vec<(&'static str, Option<Value>)> = vec![("absent", None)];
        match whole.pointer(&spot.pointer).unwrap_or(&Value::Null) {
            Value::String(_) => {
                questions.push(("zero", Some("".into())));
                questions.push(("bad", Some("Bad_Value!".into())));
                questions.push(("long", Some("x".repeat(300).into())));
            }
            Value::Number(_) => {
                questions.push(("zero", Some(0.into())));
                questions.push(("negative", Some((-7).into())));
                questions.push(("large", Some(7_000_000.into())));
            }
            Value::Bool(_) => questions.push(("zero", Some(false.into()))),
            Value::Array(_) => questions.push(("zero", Some(json!([])))),
            Value::Object(_) => questions.push(("zero", Some(json!({})))),
            Value::Null => {}
        }
        for (question, value) in questions {
            let mut body = sample.clone();
            if !put(&mut body, &spot.pointer, value.clone()) {
                continue;
            }
            let reply = self.send(&Method::POST, dry, &body)?;
            let answer = if reply.status < 300 {
                let now = reply.body.pointer(&spot.pointer);
                match (now, &value) {
                    (None, _) => json!({"gone": true}),
                    (Some(now), Some(sent)) if now == sent => json!({"kept": true}),
                    (Some(now), _) => json!({"becomes": now}),
                }
            } else {
                let causes = reply.body["details"]["causes"].as_array().cloned().unwrap_or_default();
                let here: Vec<Value> = causes
                    .into_iter()
                    .filter(|cause| cause["field"] == spot.path.as_str())
                    .map(|cause| json!([cause["reason"], cause["message"]]))
                    .collect();
                if here.is_empty() {
                    continue;
                }
                json!({"causes": here})
            };
            let known =
                self.fields.entry(spot.type_name.clone()).or_default().entry(spot.field.clone()).or_default();
            known.entry(question).or_default().insert(answer.to_string());
        }
        Ok(())
    }

    /// Changes a place of an object that is there.
    fn change(&mut self, place: &Place, path: &str, live: &Value, spot: &Spot) -> Result<()> {
        let Some(value) = live.pointer(&spot.pointer) else { return Ok(()) };
        let changed = match value {
            Value::String(text) => Some(format!("{text}x").into()),
            Value::Number(number) => Some((number.as_i64().unwrap_or(1) + 1).into()),
            Value::Bool(is) => Some((!is).into()),
            Value::Array(_) | Value::Object(_) | Value::Null => None,
        };
        for value in [changed, None] {
            let mut body = live.clone();
            put(&mut body, &spot.pointer, value);
            let reply = self.send(&Method::PUT, &format!("{path}?dryRun=All"), &body)?;
            for cause in reply.body["details"]["causes"].as_array().into_iter().flatten() {
                let message = cause["message"].as_str().unwrap_or_default();
                if ["immutable", "orbidden", "may not change", "not be changed"]
                    .iter()
                    .any(|word| message.contains(word))
                {
                    let field = cause["field"].as_str().unwrap_or_default().to_owned();
                    let fields = self.fixed.entry(place.kind.clone()).or_default();
                    fields.entry(field).or_default().insert(format!("{}: {message}", spot.path));
                }
            }
        }
        Ok(())
    }

    fn print(&mut self) {
        let mut types = BTreeMap::new();
        for (type_name, field) in &self.hidden {
            self.fields.entry(type_name.clone()).or_default().entry(field.clone()).or_default();
        }
        for (name, fields) in &self.fields {
            let mut known_fields = BTreeMap::new();
            for (field, known) in fields {
                let mut told = Map::new();
                for (question, answers) in known {
                    let answers: Vec<Value> =
                        answers.iter().filter_map(|answer| serde_json::from_str(answer).ok()).collect();
                    match answers.as_slice() {
                        [one] => tell(question, one, &mut told),
                        several => eprintln!("{name}.{field} {question}: {}", Value::from(several.to_vec())),
                    }
                }
                // What some values do without depends on something else.
                let is_always =
                    self.seen.get(name).is_none_or(|seen| seen.iter().all(|fields| fields.contains(field)));
                let is_said = told.contains_key("default") || told.contains_key("absent");
                if is_said && !is_always && !field.ends_with("[]") && !field.ends_with("{}") {
                    eprintln!(
                        "sometimes: {name}.{field}: {} {}",
                        told.remove("default").unwrap_or_default(),
                        told.remove("absent").unwrap_or_default()
                    );
                }
                if self.hidden.contains(&(name.clone(), field.clone())) {
                    told.insert("hidden".to_owned(), true.into());
                }
                if !told.is_empty() {
                    known_fields.insert(field.clone(), told);
                }
            }
            if !known_fields.is_empty() {
                types.insert(name.clone(), known_fields);
            }
        }
        println!("{{\"types\":{{");
        let lines: Vec<String> =
            types.iter().map(|(name, fields)| format!("{}:{}", json!(name), json!(fields))).collect();
        println!("{}\n}},\"starts\":{}}}", lines.join(",\n"), json!(self.starts));
        for (kind, fields) in &self.fixed {
            for (field, refusals) in fields {
                eprintln!(
                    "fixed: {kind} {field}: {}",
                    refusals.first().map(String::as_str).unwrap_or_default()
                );
            }
        }
    }
}

/// Puts one answer in the form of the table.
fn tell(question: &str, answer: &Value, told: &mut Map<String, Value>) {
    if let Some(value) = answer.get("becomes") {
        if question == "absent" {
            told.insert("default".to_owned(), value.clone());
        }
    } else if answer["gone"] == true && question == "zero" {
        told.insert("zero".to_owned(), "gone".into());
    } else if answer["kept"] == true && question == "zero" {
        told.insert("zero".to_owned(), "kept".into());
    } else if let Some(causes) = answer["causes"].as_array() {
        let sent = match question {
            "bad" => Some(json!("Bad_Value!")),
            "long" => Some("x".repeat(300).into()),
            "negative" => Some((-7).into()),
            "large" => Some(7_000_000.into()),
            _ => None,
        };
        let mut causes: Vec<Value> =
            causes.iter().filter_map(|cause| templated(cause, sent.as_ref())).collect();
        causes.dedup();
        if !causes.is_empty() && told.get("bad") != Some(&Value::from(causes.clone())) {
            told.insert(if question == "zero" { "empty" } else { question }.to_owned(), causes.into());
        }
    }
}

/// A cause with `{}` in the place of the value that was sent; `None` if it tells of another one.
fn templated(cause: &Value, sent: Option<&Value>) -> Option<Value> {
    let (reason, message) = (cause[0].as_str()?, cause[1].as_str()?);
    let reason = reason.strip_prefix("FieldValue").unwrap_or(reason);
    if message.contains("value: {\"") {
        return None;
    }
    let message = match sent {
        Some(sent) if message.contains(": ") && message.contains("value") => {
            if !message.contains(&sent.to_string()) && !reason.starts_with("TooLong") {
                return None;
            }
            message.replace(&sent.to_string(), "{}")
        }
        Some(_) | None => message.to_owned(),
    };
    Some(json!([reason, message]))
}

fn reference(schema: &Value) -> Option<String> {
    let path = schema["$ref"].as_str().or_else(|| schema["allOf"][0]["$ref"].as_str())?;
    path.rsplit('/').next().map(str::to_owned)
}

/// Puts a value at a place of an object; `None` takes it away. Whether there is such a place.
fn put(object: &mut Value, pointer: &str, value: Option<Value>) -> bool {
    let Some((parent, key)) = pointer.rsplit_once('/') else { return false };
    let key = key.replace("~1", "/").replace("~0", "~");
    match object.pointer_mut(parent) {
        Some(Value::Object(fields)) => {
            match value {
                Some(value) => drop(fields.insert(key, value)),
                None => drop(fields.remove(&key)),
            }
            true
        }
        Some(Value::Array(items)) => match (key.parse::<usize>(), value) {
            (Ok(index), Some(value)) if index < items.len() => {
                items[index] = value;
                true
            }
            (_, _) => false,
        },
        Some(_) | None => false,
    }
}

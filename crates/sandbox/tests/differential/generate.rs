//! Sequences of operations that follow from a seed.

use crate::definitions::Definition;
use crate::objects::{self, Samples};
use crate::operation::{APPLY, JSON, JSON_PATCH, MERGE_PATCH, NAMESPACE, Operation, STRATEGIC, TABLE};
use crate::random::Random;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use trueup_sandbox::kinds::Kinds;

/// One of so many sequences is in a namespace with limits.
const LIMITED: u64 = 12;
/// Names in a sequence.
const NAMES: [&str; 3] = ["a", "b", "c"];

/// One kind that a sequence is about.
#[derive(Clone)]
struct Subject<'s> {
    source: Source<'s>,
    /// Up to the collection: `/apis/apps/v1/namespaces/@ns@/deployments`.
    collection: String,
    /// What stands before names.
    prefix: String,
    /// What stands after them.
    suffix: String,
    has_status: bool,
    has_scale: bool,
}

#[derive(Clone, Copy)]
enum Source<'s> {
    BuiltIn(&'s Samples),
    Custom(&'s Definition, usize),
}

/// What sequences are made of.
pub struct Generator {
    samples: Vec<Samples>,
    kinds: Kinds,
}

impl Generator {
    pub fn new() -> Self {
        Self { samples: objects::samples(), kinds: Kinds::built_in() }
    }

    /// The sequence of a seed.
    pub fn sequence(&self, seed: u64, definitions: &[Definition]) -> Vec<Operation> {
        let mut random = Random::new(seed);
        if seed % LIMITED == LIMITED - 5 {
            return crate::limits::sequence(&mut random);
        }
        let count = 1 + random.below(2);
        let subjects: Vec<Subject<'_>> = (0..count).map(|_| self.subject(&mut random, definitions)).collect();
        let wild = *random.pick(&[0, 0, 0, 15, 40]);
        let mut making = Making { random, known: BTreeMap::new(), wild };
        let length = 4 + making.random.below(14);
        (0..length)
            .map(|_| {
                let subject = making.random.pick(&subjects).clone();
                making.operation(&subject)
            })
            .collect()
    }

    fn subject<'s>(&'s self, random: &mut Random, definitions: &'s [Definition]) -> Subject<'s> {
        if random.percent(30) && !definitions.is_empty() {
            let definition = random.pick(definitions);
            let version = random.below(definition.versions.len());
            return Subject {
                source: Source::Custom(definition, version),
                collection: definition.collection(version),
                prefix: if definition.namespaced { String::new() } else { format!("{NAMESPACE}-") },
                suffix: String::new(),
                has_status: definition.has_status,
                has_scale: definition.has_scale,
            };
        }
        let samples = random.pick(&self.samples);
        let (group, version) = samples.api_version.split_once('/').unwrap_or(("", &samples.api_version));
        let kind = self
            .kinds
            .iter()
            .find(|kind| kind.group == group && kind.version == version && kind.kind == samples.kind)
            .unwrap_or_else(|| panic!("no kind {} {}", samples.api_version, samples.kind));
        let root = if group.is_empty() { "/api".to_owned() } else { format!("/apis/{group}") };
        let namespace = if kind.namespaced { format!("namespaces/{NAMESPACE}/") } else { String::new() };
        let is_definition = samples.kind == "CustomResourceDefinition";
        Subject {
            source: Source::BuiltIn(samples),
            collection: format!("{root}/{version}/{namespace}{}", kind.plural),
            prefix: match (kind.namespaced, is_definition) {
                (true, _) => String::new(),
                (false, false) => format!("{NAMESPACE}-"),
                (false, true) => "things.".to_owned(),
            },
            suffix: if is_definition { format!(".{NAMESPACE}.example.com") } else { String::new() },
            has_status: kind.subresources.contains("status"),
            has_scale: kind.subresources.contains("scale"),
        }
    }
}

struct Making {
    random: Random,
    /// What is probably there, by path.
    known: BTreeMap<String, Value>,
    /// How many of a hundred objects are spoiled.
    wild: usize,
}

impl Making {
    fn operation(&mut self, subject: &Subject<'_>) -> Operation {
        let name = format!("{}{}{}", subject.prefix, self.random.pick(&NAMES), subject.suffix);
        let path = format!("{}/{name}", subject.collection);
        let is_there = self.known.contains_key(&path);
        match self.random.below(100) {
            0..20 => self.create(subject, &name),
            20..30 => self.update(subject, &path, &name),
            30..52 if is_there => self.patch(subject, &path, &name),
            30..68 => self.apply(subject, &path, &name),
            68..74 if subject.has_status => self.status(subject, &path, &name),
            68..78 if subject.has_scale => self.scale(&path),
            68..72 => self.read(&path),
            72..85 => self.list(subject),
            85..97 => self.delete(&path),
            _ => self.delete_all(subject),
        }
    }

    fn object(&mut self, subject: &Subject<'_>, name: &str) -> Value {
        let mut object = match subject.source {
            Source::BuiltIn(samples) => {
                let mut object = self.random.pick(&samples.objects).clone();
                if self.random.percent(30) {
                    let other = self.random.pick(&samples.objects);
                    objects::cross(&mut self.random, &mut object, other);
                }
                object
            }
            Source::Custom(definition, version) => definition.instance(&mut self.random, version, self.wild),
        };
        object["metadata"]["name"] = name.into();
        if subject.collection.contains("customresourcedefinitions") {
            object["spec"]["group"] = name.split_once('.').map(|(_, group)| group).unwrap_or_default().into();
        }
        objects::dress(&mut self.random, &mut object);
        if self.random.percent(self.wild) {
            objects::spoil(&mut self.random, &mut object);
        }
        object
    }

    /// What is there, changed.
    fn changed(&mut self, subject: &Subject<'_>, path: &str, name: &str) -> Value {
        let Some(mut object) = self.known.get(path).cloned() else { return self.object(subject, name) };
        match self.random.below(4) {
            0 => objects::dress(&mut self.random, &mut object),
            1 => {
                let other = self.object(subject, name);
                objects::cross(&mut self.random, &mut object, &other);
            }
            2 => object = self.object(subject, name),
            _ if self.wild > 0 => objects::spoil(&mut self.random, &mut object),
            _ => objects::dress(&mut self.random, &mut object),
        }
        object
    }

    fn operation_of(
        &mut self,
        method: &'static str,
        path: &str,
        media_type: &'static str,
        body: Option<Value>,
    ) -> Operation {
        let mut query = Vec::new();
        if method != "GET" && self.random.percent(12) {
            query.push(("dryRun".to_owned(), "All".to_owned()));
        }
        if matches!(method, "POST" | "PUT" | "PATCH") {
            if media_type == APPLY {
                let manager = *self.random.pick(&["one", "two", "three"]);
                query.push(("fieldManager".to_owned(), manager.to_owned()));
                if self.random.percent(40) {
                    query.push(("force".to_owned(), "true".to_owned()));
                }
            } else if self.random.percent(40) {
                let manager = *self.random.pick(&["one", "two"]);
                query.push(("fieldManager".to_owned(), manager.to_owned()));
            }
            if self.random.percent(10) {
                let validation = *self.random.pick(&["Strict", "Warn", "Ignore"]);
                query.push(("fieldValidation".to_owned(), validation.to_owned()));
            }
        }
        let accept = if self.random.percent(4) { TABLE } else { JSON };
        let body = body.filter(|_| method != "GET");
        Operation { method, path: path.to_owned(), query, accept, media_type, body }
    }

    fn keep(&mut self, operation: &Operation, path: &str, object: Value) {
        if operation.query.iter().all(|(key, _)| key != "dryRun") {
            self.known.insert(path.to_owned(), object);
        }
    }

    fn create(&mut self, subject: &Subject<'_>, name: &str) -> Operation {
        let mut object = self.object(subject, name);
        let path = format!("{}/{name}", subject.collection);
        if self.random.percent(8)
            && subject.suffix.is_empty()
            && let Some(metadata) = object["metadata"].as_object_mut()
        {
            metadata.remove("name");
            metadata.insert("generateName".to_owned(), format!("{name}-").into());
            return self.operation_of("POST", &subject.collection, JSON, Some(object));
        }
        if self.random.percent(5) {
            let owner = format!("{}/{}a{}", subject.collection, subject.prefix, subject.suffix);
            let api_version = object["apiVersion"].clone();
            let kind = object["kind"].clone();
            object["metadata"]["ownerReferences"] = json!([{"apiVersion": api_version, "kind": kind,
                "name": format!("{}a{}", subject.prefix, subject.suffix), "uid": format!("$uid:{owner}"), "controller": true}]);
        }
        let operation = self.operation_of("POST", &subject.collection, JSON, Some(object.clone()));
        if !self.known.contains_key(&path) {
            self.keep(&operation, &path, object);
        }
        operation
    }

    fn update(&mut self, subject: &Subject<'_>, path: &str, name: &str) -> Operation {
        let mut object = self.changed(subject, path, name);
        let kept = object.clone();
        match self.random.below(10) {
            0..4 => object["metadata"]["resourceVersion"] = format!("$rv:{path}").into(),
            4 => object["metadata"]["resourceVersion"] = "1".into(),
            5 => object["metadata"]["uid"] = format!("$uid:{path}").into(),
            6 => object["metadata"]["uid"] = "00000000-0000-4000-8000-000000000000".into(),
            _ => {}
        }
        let operation = self.operation_of("PUT", path, JSON, Some(object));
        self.keep(&operation, path, kept);
        operation
    }

    fn patch(&mut self, subject: &Subject<'_>, path: &str, name: &str) -> Operation {
        let before = self.known[path].clone();
        let object = self.changed(subject, path, name);
        let (media_type, body) = match self.random.below(3) {
            0 => (JSON_PATCH, objects::json_patch(&before, &object)),
            1 => (MERGE_PATCH, objects::merge_patch(&before, &object)),
            _ => (STRATEGIC, objects::merge_patch(&before, &object)),
        };
        let operation = self.operation_of("PATCH", path, media_type, Some(body));
        self.keep(&operation, path, object);
        operation
    }

    fn apply(&mut self, subject: &Subject<'_>, path: &str, name: &str) -> Operation {
        let mut object = if self.random.percent(50) {
            self.object(subject, name)
        } else {
            self.changed(subject, path, name)
        };
        if self.random.percent(4) {
            object["metadata"]["resourceVersion"] = format!("$rv:{path}").into();
        }
        let operation = self.operation_of("PATCH", path, APPLY, Some(object.clone()));
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.remove("resourceVersion");
        }
        self.keep(&operation, path, object);
        operation
    }

    fn status(&mut self, subject: &Subject<'_>, path: &str, name: &str) -> Operation {
        let mut object = self.changed(subject, path, name);
        object["status"] = match &subject.source {
            Source::BuiltIn(samples) => match samples.kind.as_str() {
                "Deployment" | "ReplicaSet" | "StatefulSet" => {
                    json!({"replicas": 2, "observedGeneration": 1})
                }
                "ResourceQuota" => json!({"hard": object["spec"]["hard"], "used": {}}),
                "Namespace" | "PersistentVolumeClaim" => json!({"phase": "Pending"}),
                _ => json!({}),
            },
            Source::Custom(..) => Definition::status(&mut self.random),
        };
        let path = format!("{path}/status");
        match self.random.below(3) {
            0 => self.operation_of("PUT", &path, JSON, Some(object)),
            1 => {
                let body = json!({"status": object["status"]});
                self.operation_of("PATCH", &path, MERGE_PATCH, Some(body))
            }
            _ => self.operation_of("PATCH", &path, APPLY, Some(object)),
        }
    }

    fn scale(&mut self, path: &str) -> Operation {
        let path = format!("{path}/scale");
        let replicas = self.random.below(5);
        match self.random.below(3) {
            0 => self.operation_of("GET", &path, JSON, None),
            1 => {
                self.operation_of("PATCH", &path, MERGE_PATCH, Some(json!({"spec": {"replicas": replicas}})))
            }
            _ => {
                let name = path.rsplit('/').nth(1).unwrap_or_default().to_owned();
                let body = json!({"apiVersion": "autoscaling/v1", "kind": "Scale",
                    "metadata": {"name": name, "namespace": NAMESPACE}, "spec": {"replicas": replicas}});
                self.operation_of("PUT", &path, JSON, Some(body))
            }
        }
    }

    fn read(&mut self, path: &str) -> Operation {
        self.operation_of("GET", path, JSON, None)
    }

    fn list(&mut self, subject: &Subject<'_>) -> Operation {
        let mut operation = self.operation_of("GET", &subject.collection, JSON, None);
        let is_namespaced = subject.collection.contains("/namespaces/");
        if !is_namespaced {
            // What other sequences and the cluster itself have there is not looked at.
            operation.query.push(("fieldSelector".to_owned(), format!("metadata.name={NAMESPACE}-a")));
            return operation;
        }
        match self.random.below(6) {
            0 => operation.query.push(("labelSelector".to_owned(), (*self.random.pick(&LABELS)).to_owned())),
            1 => operation.query.push(("fieldSelector".to_owned(), (*self.random.pick(&FIELDS)).to_owned())),
            2 | 3 => operation.query.push(("limit".to_owned(), "1".to_owned())),
            4 => {
                operation.query.push(("limit".to_owned(), "1".to_owned()));
                operation.query.push(("continue".to_owned(), "$continue".to_owned()));
            }
            _ => {}
        }
        operation
    }

    fn delete(&mut self, path: &str) -> Operation {
        if path.contains("/customresourcedefinitions/") {
            // A definition goes when a controller has emptied it, which takes its time.
            return self.read(path);
        }
        let mut options = json!({"apiVersion": "v1", "kind": "DeleteOptions"});
        match self.random.below(8) {
            0 => options["propagationPolicy"] = "Foreground".into(),
            1 => options["propagationPolicy"] = "Orphan".into(),
            2 => options["propagationPolicy"] = "Background".into(),
            3 => options["preconditions"] = json!({"uid": format!("$uid:{path}")}),
            4 => options["preconditions"] = json!({"resourceVersion": "1"}),
            _ => {}
        }
        if self.random.percent(10) {
            options["dryRun"] = json!(["All"]);
        } else {
            self.known.remove(path);
        }
        self.operation_of("DELETE", path, JSON, Some(options))
    }

    fn delete_all(&mut self, subject: &Subject<'_>) -> Operation {
        if !subject.collection.contains("/namespaces/") {
            return self.list(subject);
        }
        let mut operation = self.operation_of("DELETE", &subject.collection, JSON, None);
        if self.random.percent(50) {
            operation.query.push(("labelSelector".to_owned(), (*self.random.pick(&LABELS)).to_owned()));
        }
        operation
    }
}

const LABELS: [&str; 8] =
    ["app=web", "app!=web", "app", "!tier", "app in (web,api)", "tier notin (one)", "app=web,team", "a b"];
const FIELDS: [&str; 5] = [
    "metadata.name=a",
    "metadata.name!=a",
    "metadata.namespace=@ns@",
    "spec.nodeName=x",
    "status.phase!=Ready",
];

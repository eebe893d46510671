//! Carries sequences out on both servers and compares.

use crate::definitions::Definition;
use crate::known;
use crate::normal::{Names, differences};
use crate::operation::{JSON, Memory, Operation};
use crate::servers::{Ours, Real, Reply};
use jiff::{SignedDuration, Timestamp};
use regex::Regex;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// So many sequences in a row have the same definitions.
pub const TOGETHER: u64 = 500;
const DEFINITIONS: usize = 4;
/// So long the real server may take to learn from a watch of its own what limits a namespace.
const LEARNED: Duration = Duration::from_millis(300);
const DEFINE: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// Both servers.
pub struct Run {
    real: Real,
    definitions: Vec<Definition>,
    set: Option<u64>,
    /// Sets that the real server has. They stay: objects with finalizers keep a definition from going.
    defined: BTreeSet<u64>,
    sequences: AtomicU64,
}

/// How much was compared.
#[derive(Clone, Copy, Default)]
pub struct Compared {
    pub operations: u64,
    pub accepted: u64,
}

/// The first operation of a sequence that is answered differently.
pub struct Difference {
    pub known: Option<&'static str>,
    operation: Operation,
    lines: Vec<String>,
}

static NOISE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"wares\d+x\d+|Ware\d+x\d+|s\d+(-[abc])?\b|\[\d+\]").unwrap());

impl Difference {
    /// What differences of one kind have in common.
    pub fn signature(&self) -> String {
        let plural = self
            .operation
            .path
            .split('/')
            .find(|part| part.ends_with('s') && *part != "apis" && *part != "namespaces");
        let first =
            self.lines.first().map(|line| line.chars().take(260).collect::<String>()).unwrap_or_default();
        let text = format!(
            "{} {} {}: {first}",
            self.operation.method,
            plural.unwrap_or_default(),
            self.operation.media_type
        );
        NOISE.replace_all(&text, "*").into_owned()
    }

    pub fn told(&self) -> String {
        let lines: Vec<String> =
            self.lines.iter().take(5).map(|line| line.chars().take(900).collect()).collect();
        format!("differs: {}\n    {}", self.operation, lines.join("\n    "))
    }
}

fn plain(method: &'static str, path: &str, body: Option<Value>) -> Operation {
    Operation { method, path: path.to_owned(), query: Vec::new(), accept: JSON, media_type: JSON, body }
}

impl Run {
    pub fn start() -> Self {
        Self {
            real: Real::start(),
            definitions: Vec::new(),
            set: None,
            defined: BTreeSet::new(),
            sequences: AtomicU64::new(0),
        }
    }

    pub fn definitions(&self) -> &[Definition] {
        &self.definitions
    }

    fn ask(&self, method: &'static str, path: &str, body: Option<Value>) -> Reply {
        self.real.send(&Memory::default().fill(&plain(method, path, body), ""))
    }

    /// Has the definitions that a seed's sequence may use.
    pub fn prepare(&mut self, seed: u64) {
        let set = seed / TOGETHER;
        if self.set == Some(set) {
            return;
        }
        self.definitions = (0..DEFINITIONS).map(|index| Definition::random(set, index)).collect();
        self.set = Some(set);
        if self.defined.insert(set) {
            self.define(&self.definitions);
        }
    }

    /// Both servers, with these definitions.
    pub fn with(definitions: Vec<Definition>) -> Self {
        let run = Self { definitions, ..Self::start() };
        run.define(&run.definitions);
        run
    }

    fn define(&self, definitions: &[Definition]) {
        let give_up = Instant::now() + Duration::from_mins(1);
        for definition in definitions {
            loop {
                let (code, body) = self.ask("POST", DEFINE, Some(definition.object.clone()));
                match code {
                    201 => break,
                    409 if Instant::now() < give_up => sleep(Duration::from_millis(200)),
                    _ => panic!("no definition: {body}\n{}", definition.object),
                }
            }
        }
        for definition in definitions {
            for version in 0..definition.versions.len() {
                let path = definition.collection(version).replace("@ns@", "default");
                while self.ask("GET", &path, None).0 != 200 {
                    assert!(Instant::now() < give_up, "{path} is not served");
                    sleep(Duration::from_millis(50));
                }
            }
        }
        // Requests are also answered by what was known before the definition for a moment.
        sleep(Duration::from_millis(300));
    }

    /// Both servers, with a namespace for a sequence.
    fn both(&self) -> Both<'_> {
        let namespace = format!("s{}", self.sequences.fetch_add(1, Ordering::Relaxed) + 1);
        let mut ours = Ours::begun(Timestamp::now() - SignedDuration::from_secs(2));
        for definition in &self.definitions {
            let (code, body) = ours
                .send(&Memory::default().fill(&plain("POST", DEFINE, Some(definition.object.clone())), ""));
            assert_eq!(code, 201, "{body}");
        }
        let create = plain(
            "POST",
            "/api/v1/namespaces",
            Some(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "@ns@"}})),
        );
        let mut both = Both {
            real: &self.real,
            ours,
            memories: Default::default(),
            names: Default::default(),
            namespace,
            first: Default::default(),
        };
        let begun = both.step(&create);
        for (real, first) in [(true, 0), (false, 1)] {
            let body = if real { &begun.real.1 } else { &begun.ours.1 };
            body["metadata"]["resourceVersion"]
                .as_str()
                .unwrap_or_default()
                .clone_into(&mut both.first[first]);
        }
        both
    }

    /// What both answer to each operation of a sequence.
    pub fn answers(&self, sequence: &[Operation]) -> Vec<[Value; 2]> {
        let mut both = self.both();
        let answers = sequence.iter().map(|operation| both.step(operation).normal).collect();
        both.clean(sequence);
        answers
    }

    /// Carries a sequence out on both.
    pub fn compare(&self, sequence: &[Operation]) -> (Option<Difference>, Compared) {
        let mut both = self.both();
        let mut compared = Compared::default();
        for operation in sequence {
            let step = both.step(operation);
            compared.operations += 1;
            compared.accepted += u64::from(step.real.0 < 300);
            if let Some(difference) = step.difference(operation) {
                both.clean(sequence);
                return (Some(difference), compared);
            }
        }
        let difference = both.watches(sequence);
        both.clean(sequence);
        (difference, compared)
    }

    /// The sequence without what its difference does not need, and the difference.
    pub fn shortest(&self, mut sequence: Vec<Operation>) -> (Vec<Operation>, Difference) {
        let mut kept = self.compare(&sequence).0;
        let mut index = 0;
        while index < sequence.len() {
            let mut shorter = sequence.clone();
            shorter.remove(index);
            match self
                .compare(&shorter)
                .0
                .filter(|found| kept.as_ref().is_none_or(|kept| kept.signature() == found.signature()))
            {
                Some(found) => {
                    kept = Some(found);
                    sequence = shorter;
                }
                None => index += 1,
            }
        }
        let nothing = || Difference {
            known: None,
            operation: plain("GET", "", None),
            lines: vec!["not seen again".to_owned()],
        };
        (sequence, kept.unwrap_or_else(nothing))
    }
}

struct Both<'r> {
    real: &'r Real,
    ours: Ours,
    memories: [Memory; 2],
    names: [Names; 2],
    namespace: String,
    /// The number of the first change on each.
    first: [String; 2],
}

struct Step {
    real: Reply,
    ours: Reply,
    normal: [Value; 2],
}

impl Step {
    fn difference(&self, operation: &Operation) -> Option<Difference> {
        let [real, ours] = &self.normal;
        let lines = differences(real, ours);
        (!lines.is_empty()).then(|| Difference {
            known: known::reason(operation, real, ours),
            operation: operation.clone(),
            lines,
        })
    }
}

impl Both<'_> {
    fn step(&mut self, operation: &Operation) -> Step {
        let filled = self.memories[0].fill(operation, &self.namespace);
        let (real, when, warned) = self.real.send_timed(&filled);
        let is_limit = ["/limitranges", "/resourcequotas"].iter().any(|part| operation.path.contains(part));
        if is_limit && operation.method != "GET" && real.0 < 300 {
            sleep(LEARNED);
        }
        // Both live in the same second, whenever it ends.
        self.ours.now = when;
        let filled = self.memories[1].fill(operation, &self.namespace);
        let ours = self.ours.send(&filled);
        let mut warned = [warned, self.ours.warnings()];
        let mut normal = [Value::Null, Value::Null];
        let prefix = operation.body.as_ref().and_then(|body| body["metadata"]["generateName"].as_str());
        if let Some(prefix) =
            prefix.map(|prefix| prefix.replace(crate::operation::NAMESPACE, &self.namespace))
        {
            self.names.iter_mut().for_each(|names| names.expect_generated(&prefix));
        }
        for (side, (code, body)) in [&real, &ours].into_iter().enumerate() {
            self.memories[side].note(&operation.path, body);
            let mut body = body.clone();
            if operation.is_dry_run() {
                // What is not stored has no number of its own.
                forget_version(&mut body);
            }
            warned[side].sort();
            let warnings = if warned[side].is_empty() { Value::Null } else { warned[side].clone().into() };
            normal[side] =
                json!({"code": code, "body": self.names[side].normal(&body), "warnings": warnings});
        }
        Step { real, ours, normal }
    }

    /// Compares what watches tell that begin where the sequence began.
    fn watches(&mut self, sequence: &[Operation]) -> Option<Difference> {
        let collections: BTreeSet<String> = sequence.iter().filter_map(collection).collect();
        for path in collections {
            let mut told = [Vec::new(), Vec::new()];
            let mut operation = plain("GET", &path, None);
            for side in [1, 0] {
                operation.query = vec![
                    ("watch".to_owned(), "true".to_owned()),
                    ("timeoutSeconds".to_owned(), "5".to_owned()),
                    ("resourceVersion".to_owned(), self.first[side].clone()),
                ];
                let filled = self.memories[side].fill(&operation, &self.namespace);
                told[side] = if side == 1 {
                    self.ours.watch(&filled)
                } else {
                    self.real.watch(&filled, told[1].len())
                };
            }
            let normal = [0, 1].map(|side| self.names[side].normal(&Value::from(told[side].clone())));
            let lines = differences(&normal[0], &normal[1]);
            if !lines.is_empty() {
                return Some(Difference {
                    known: known::reason(&operation, &normal[0], &normal[1]),
                    operation,
                    lines,
                });
            }
        }
        None
    }

    /// Takes away what is in no namespace.
    fn clean(&self, sequence: &[Operation]) {
        let paths: BTreeSet<String> = sequence
            .iter()
            .filter(|operation| !operation.path.contains("/namespaces/@ns@/"))
            .filter_map(|operation| match operation.method {
                "POST" => Some(format!(
                    "{}/{}",
                    operation.path,
                    operation.body.as_ref()?["metadata"]["name"].as_str()?
                )),
                "PATCH" | "PUT" => Some(operation.path.trim_end_matches("/status").to_owned()),
                _ => None,
            })
            .collect();
        for path in paths {
            let finish = json!({"metadata": {"finalizers": null}});
            let mut patch = plain("PATCH", &path, Some(finish));
            patch.media_type = crate::operation::MERGE_PATCH;
            for operation in [plain("DELETE", &path, None), patch] {
                self.real.send(&self.memories[0].fill(&operation, &self.namespace));
            }
        }
    }
}

fn forget_version(body: &mut Value) {
    if let Some(version) = body.pointer_mut("/metadata/resourceVersion") {
        *version = "<not stored>".into();
    }
    for row in body["rows"].as_array_mut().into_iter().flatten() {
        if let Some(version) = row.pointer_mut("/object/metadata/resourceVersion") {
            *version = "<not stored>".into();
        }
    }
}

/// The collection in a namespace that an operation is about.
fn collection(operation: &Operation) -> Option<String> {
    let (before, after) = operation.path.split_once("/namespaces/@ns@/")?;
    let plural = after.split('/').next()?;
    Some(format!("{before}/namespaces/@ns@/{plural}"))
}

//! Answers without what differs from one server to the next: uids, numbers of changes, times, addresses and ports that the
//! server chose, ends of generated names, and tokens. What is the same in one answer and the next stays the same.

use regex::Regex;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::LazyLock;

static UID: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").unwrap());
static TIME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z").unwrap());
static ADDRESS: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\b10\.96\.\d+\.\d+\b").unwrap());
/// Why a rule of CEL cannot be evaluated is told in the words of its evaluator.
static UNREADABLE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\b(no such key: \S+|[a-z][a-z ]*) evaluating rule: ").unwrap());
static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(resource ?[vV]ersion[^0-9]{1,4}|ResourceVersion in [a-z ]+: |ResourceVersion in record \()\d+",
    )
    .unwrap()
});

/// What one server's names are called.
#[derive(Default)]
pub struct Names {
    uids: BTreeMap<String, usize>,
    versions: BTreeMap<String, usize>,
    /// What finds the names that servers made up.
    generated: Vec<Regex>,
}

impl Names {
    fn uid(&mut self, uid: &str) -> String {
        if uid == "00000000-0000-4000-8000-000000000000" {
            return uid.to_owned();
        }
        let next = self.uids.len();
        format!("uid#{}", self.uids.entry(uid.to_owned()).or_insert(next))
    }

    fn version(&mut self, version: &str) -> String {
        if matches!(version, "" | "0" | "1") || version.starts_with('<') {
            return version.to_owned();
        }
        let next = self.versions.len();
        format!("version#{}", self.versions.entry(version.to_owned()).or_insert(next))
    }

    /// From here on names may come up that the server made of this prefix.
    pub fn expect_generated(&mut self, prefix: &str) {
        let ends = Regex::new(&format!("\\b({})[a-z0-9]{{5}}\\b", regex::escape(prefix))).unwrap();
        if self.generated.iter().all(|known| known.as_str() != ends.as_str()) {
            self.generated.push(ends);
        }
    }

    fn text(&mut self, text: &str) -> String {
        let text = &sort_limits(text);
        let text = UID.replace_all(text, |found: &regex::Captures<'_>| self.uid(&found[0]));
        let text = NUMBER.replace_all(&text, "${1}<number>");
        let text = UNREADABLE.replace_all(&text, "<why> evaluating rule: ");
        let text = ADDRESS.replace_all(&text, "<address>");
        let mut text = TIME.replace_all(&text, "<time>").into_owned();
        for ends in &self.generated {
            text = ends.replace_all(&text, "${1}<random>").into_owned();
        }
        text
    }

    /// A document without what differs.
    pub fn normal(&mut self, value: &Value) -> Value {
        self.below(value, "")
    }

    fn below(&mut self, value: &Value, key: &str) -> Value {
        match value {
            Value::Object(fields) => self.object(fields),
            Value::Array(items) => items.iter().map(|item| self.below(item, key)).collect(),
            Value::String(text) => match key {
                "resourceVersion" => self.version(text).into(),
                "continue" if !text.is_empty() => "<token>".into(),
                "clusterIP" | "clusterIPs" if text.starts_with("10.96.") => "<address>".into(),
                _ => self.text(text).into(),
            },
            Value::Number(_) if key == "nodePort" || key == "healthCheckNodePort" => "<port>".into(),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    fn field(&mut self, fields: &Map<String, Value>, key: &str, value: &Value) -> Value {
        // A list has the number of the last change of all, those of other sequences included.
        if key == "metadata" && (fields.contains_key("items") || fields.contains_key("rows")) {
            let mut value = value.clone();
            value["resourceVersion"] = "<list>".into();
            return self.below(&value, key);
        }
        self.below(value, key)
    }

    fn object(&mut self, fields: &Map<String, Value>) -> Value {
        let mut all: Map<String, Value> =
            fields.iter().map(|(key, value)| (self.text(key), self.field(fields, key, value))).collect();
        sort_causes(&mut all);
        Value::Object(all)
    }
}

static LIMIT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r", (minimum|maximum|[a-z.-]+ max limit to request ratio) ").unwrap());

/// The order in which the limits are told that are not kept is that of a Go map.
fn sort_limits(text: &str) -> String {
    let Some((about, told)) = text.split_once(" is forbidden: [") else { return text.to_owned() };
    let Some(told) = told.strip_suffix(']') else { return text.to_owned() };
    let marked = LIMIT.replace_all(told, "\n$1 ");
    let mut lines: Vec<&str> = marked.lines().collect();
    lines.sort_unstable();
    format!("{about} is forbidden: [{}]", lines.join(", "))
}

/// The order in which several things are told that are wrong is not held.
fn sort_causes(status: &mut Map<String, Value>) {
    let Some(causes) =
        status.get_mut("details").and_then(|details| details.get_mut("causes")?.as_array_mut())
    else {
        return;
    };
    if causes.len() < 2 {
        return;
    }
    causes.sort_by_key(ToString::to_string);
    if let Some(message) = status.get("message").and_then(Value::as_str)
        && let Some((about, _)) = message.split_once(" is invalid: ")
    {
        status["message"] = format!("{about} is invalid: <causes>").into();
    }
}

/// Where two documents differ, a line each.
pub fn differences(real: &Value, ours: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare(real, ours, "", &mut found);
    found
}

fn compare(real: &Value, ours: &Value, at: &str, found: &mut Vec<String>) {
    match (real, ours) {
        (Value::Object(real), Value::Object(ours)) => {
            let mut keys: Vec<&String> = real.keys().chain(ours.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let at = format!("{at}.{key}");
                match (real.get(key), ours.get(key)) {
                    (Some(real), Some(ours)) => compare(real, ours, &at, found),
                    (real, ours) => found.push(told(&at, real, ours)),
                }
            }
        }
        (Value::Array(real), Value::Array(ours)) if real.len() == ours.len() => {
            for (index, (real, ours)) in real.iter().zip(ours).enumerate() {
                compare(real, ours, &format!("{at}[{index}]"), found);
            }
        }
        (Value::Array(real), Value::Array(ours)) if at.ends_with("causes") => {
            let (real, ours) = (beyond(real, ours), beyond(ours, real));
            found.push(told(at, Some(&real), Some(&ours)));
        }
        (real, ours) if real != ours => found.push(told(at, Some(real), Some(ours))),
        (_, _) => {}
    }
}

/// The items of a list that another does not have, or has less often.
fn beyond(items: &[Value], others: &[Value]) -> Value {
    let mut others = others.to_vec();
    let mut is_other = |item: &&Value| {
        let place = others.iter().position(|other| other == *item);
        place.map(|place| others.remove(place)).is_none()
    };
    items.iter().filter(|item| is_other(item)).cloned().collect()
}

fn told(at: &str, real: Option<&Value>, ours: Option<&Value>) -> String {
    let shown = |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), Value::to_string);
    format!("{at}\n      real: {}\n      ours: {}", shown(real), shown(ours))
}

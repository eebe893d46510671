//! Fields that are ours by the books and that are not what we sent: somebody rewrites them on their way in.
//!
//! Admission comes after the books are written. What a mutating webhook or policy makes of a field that an apply has just set is
//! kept under the name of who applied it, and the next apply would end in the same: there is nothing to repair, and no drift.
//!
//! What the server itself writes in other words is left out: quantities, times, fields that it completes, and empty values
//! that it fills or drops.

use crate::fields::{FieldSet, has_keys, segment};
use crate::managed::applied_by;
use crate::pattern::FieldPattern;
use crate::quantity;
use crate::secrets::{MaskKey, is_confidential, is_secret, masked};
use serde::{Deserialize, Serialize};
use trueup_model::{FieldPath, Segment, Value};

/// Fields of one object that are told at most.
const TOLD: usize = 10;
/// Characters of a value that are told at most.
const LONGEST: usize = 200;

/// A field that is not what was sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rewritten {
    /// The path, as people write it: `spec.template.spec.containers[name=web].image`.
    pub field: String,
    /// The path, as a rule that leaves it to others has it.
    pub pointer: String,
    /// What was sent. For what a Secret holds, a hash stands here and below.
    pub wanted: Value,
    /// What became of it; `None` where it was taken out.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub found: Option<Value>,
}

/// The fields of `sent` that `manager` owns in `live`, the answer to its apply, with another value than was sent.
pub fn rewritten(sent: &Value, live: &Value, manager: &str, key: &MaskKey) -> Vec<Rewritten> {
    let fields = applied_by(live, manager).and_then(|entry| entry.get("fieldsV1"));
    let Some(owned) = fields.and_then(|fields| FieldSet::parse(fields).ok()) else { return Vec::new() };
    let mut comparison = Comparison { is_secret: is_secret(live), key, found: Vec::new() };
    comparison.owned(&FieldPath::default(), sent, Some(live), &owned);
    comparison.found
}

struct Comparison<'a> {
    is_secret: bool,
    key: &'a MaskKey,
    found: Vec<Rewritten>,
}

impl Comparison<'_> {
    /// Below a place of which parts are owned.
    fn owned(&mut self, at: &FieldPath, sent: &Value, live: Option<&Value>, fields: &FieldSet) {
        if fields.children.is_empty() {
            return self.whole(at, sent, live);
        }
        for (element, below) in &fields.children {
            let Ok(step) = segment(element) else { continue };
            let (sent, live) = (child(sent, &step), live.and_then(|live| child(live, &step)));
            let Some(sent) = sent else { continue };
            let at = at.child(step);
            if live.is_none() {
                self.tell(&at, sent, None);
            } else {
                self.owned(&at, sent, live, below);
            }
        }
    }

    /// Below a place that is owned as a whole. The server may have completed it.
    fn whole(&mut self, at: &FieldPath, sent: &Value, live: Option<&Value>) {
        match (sent, live) {
            (Value::Object(fields), Some(Value::Object(found))) => {
                for (name, sent) in fields {
                    self.whole(&at.child(Segment::Field(name.clone())), sent, found.get(name));
                }
            }
            (Value::Array(items), Some(Value::Array(found))) if items.len() == found.len() => {
                for (index, (sent, live)) in items.iter().zip(found).enumerate() {
                    self.whole(&at.child(Segment::Index(index)), sent, Some(live));
                }
            }
            (_, _) => self.tell(at, sent, live),
        }
    }

    fn tell(&mut self, at: &FieldPath, sent: &Value, live: Option<&Value>) {
        let same = match live {
            Some(live) => same_meaning(sent, live),
            // The server leaves out what is false.
            None => *sent == Value::Bool(false),
        };
        if same || is_empty(sent) || self.found.len() == TOLD {
            return;
        }
        let hidden = self.is_secret && is_confidential(&at.0);
        let shown =
            |value: &Value| if hidden { Value::from(masked(value, self.key)) } else { shortened(value) };
        self.found.push(Rewritten {
            field: at.to_string(),
            pointer: FieldPattern::exactly(at).to_string(),
            wanted: shown(sent),
            found: live.map(shown),
        });
    }
}

// What is told is kept with the status, and shown in a line.
fn shortened(value: &Value) -> Value {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => value.clone(),
    }
}

fn child<'v>(value: &'v Value, step: &Segment) -> Option<&'v Value> {
    let items = || value.as_array().into_iter().flatten();
    match step {
        Segment::Field(name) => value.get(name),
        // A key that an item leaves to its default fits any: another item may be the one that says it.
        Segment::Key(keys) => {
            let is_key = |item: &Value, name: &String, wanted: &Value| {
                // Null is a key that was written as nothing, and completed since.
                wanted.is_null() || item.get(name) == Some(wanted)
            };
            let exact = |item: &&Value| keys.iter().all(|(name, wanted)| is_key(item, name, wanted));
            items().find(exact).or_else(|| items().find(|item| has_keys(item, keys)))
        }
        Segment::Value(wanted) => items().find(|item| *item == wanted),
        Segment::Index(index) => value.get(index),
    }
}

/// Values that stand for nothing: the server leaves them out, or fills them as if they were not there.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(_) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.iter().all(is_empty),
        Value::Object(fields) => fields.values().all(is_empty),
    }
}

fn same_meaning(sent: &Value, live: &Value) -> bool {
    match (sent, live) {
        (Value::String(one), Value::String(other)) => {
            one == other || quantity::equal(one, other) || same_time(one, other)
        }
        (Value::Number(one), Value::String(other)) => quantity::equal(&one.to_string(), other),
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (_, _) => sent == live,
    }
}

/// Whether two texts are one time (RFC 3339, in UTC), with more or fewer digits after the second.
fn same_time(one: &str, other: &str) -> bool {
    let cut = |text: &str| -> Option<(String, String)> {
        let text = text.strip_suffix('Z')?;
        let (second, fraction) = text.split_once('.').unwrap_or((text, ""));
        let is_time = second.len() == 19 && second.as_bytes().get(10) == Some(&b'T');
        is_time.then(|| (second.to_owned(), fraction.trim_end_matches('0').to_owned()))
    };
    cut(one).is_some_and(|time| Some(time) == cut(other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sent() -> Value {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "labels": {"app": "web"}},
            "spec": {"replicas": 2, "paused": false, "selector": {"matchLabels": {"app": "web"}}, "template": {"spec": {"containers": [
                {"name": "web", "image": "web:1", "resources": {"limits": {"cpu": "1000m"}}, "ports": [{"containerPort": 80}]}]}}}})
    }

    #[track_caller]
    fn check(edit: impl FnOnce(&mut Value), expected: &[&str]) {
        let mut live = sent();
        edit(&mut live);
        live["metadata"]["managedFields"] = json!([{"manager": "trueup", "operation": "Apply", "apiVersion": "apps/v1", "fieldsV1": {
            "f:metadata": {"f:labels": {"f:app": {}}},
            "f:spec": {"f:replicas": {}, "f:paused": {}, "f:selector": {}, "f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"web\"}": {
                ".": {}, "f:name": {}, "f:image": {}, "f:resources": {"f:limits": {"f:cpu": {}}},
                "f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}}}}}}}}}]);
        let told: Vec<String> = rewritten(&sent(), &live, "trueup", &[7; 32])
            .iter()
            .map(|field| match &field.found {
                Some(found) => format!("{}: {} -> {found}", field.field, field.wanted),
                None => format!("{}: {} -> gone", field.field, field.wanted),
            })
            .collect();
        assert_eq!(told, expected);
    }

    fn container(live: &mut Value) -> &mut Value {
        &mut live["spec"]["template"]["spec"]["containers"][0]
    }

    #[test]
    fn a_value_that_somebody_rewrote_or_took_out_is_told() {
        check(
            |live| container(live)["image"] = json!("mirror/web:1"),
            &["spec.template.spec.containers[name=web].image: \"web:1\" -> \"mirror/web:1\""],
        );
        check(
            |live| drop(live["metadata"]["labels"].as_object_mut().unwrap().remove("app")),
            &["metadata.labels.app: \"web\" -> gone"],
        );
        check(|live| live["spec"]["paused"] = json!(true), &["spec.paused: false -> true"]);
        check(
            |live| live["spec"]["selector"]["matchLabels"]["app"] = json!("x"),
            &["spec.selector.matchLabels.app: \"web\" -> \"x\""],
        );
    }

    #[test]
    fn what_the_server_completes_or_writes_in_other_words_is_not() {
        check(|_| {}, &[]);
        check(|live| container(live)["resources"]["limits"]["cpu"] = json!("1"), &[]);
        check(|live| container(live)["ports"][0]["protocol"] = json!("TCP"), &[]);
        check(|live| container(live)["imagePullPolicy"] = json!("Always"), &[]);
        check(|live| drop(live["spec"].as_object_mut().unwrap().remove("paused")), &[]);
        check(|live| live["spec"]["selector"]["matchExpressions"] = json!([{"key": "a"}]), &[]);
        assert!(same_meaning(&json!("2026-01-01T00:00:00Z"), &json!("2026-01-01T00:00:00.000000Z")));
        assert!(!same_meaning(&json!("2026-01-01T00:00:00Z"), &json!("2026-01-01T00:00:01Z")));
    }

    #[test]
    fn what_a_secret_holds_never_leaves() {
        let sent = json!({"apiVersion": "v1", "kind": "Secret", "data": {"a": "aHVudGVyMg=="}});
        let live = json!({"apiVersion": "v1", "kind": "Secret", "data": {"a": "czNjcjN0"}, "metadata": {"managedFields": [
            {"manager": "trueup", "operation": "Apply", "apiVersion": "v1", "fieldsV1": {"f:data": {"f:a": {}}}}]}});
        let told = rewritten(&sent, &live, "trueup", &[7; 32]);
        let text = serde_json::to_string(&told).unwrap();
        assert!(told.len() == 1 && !text.contains("aHVudGVyMg") && !text.contains("czNjcjN0"), "{text}");
    }
}

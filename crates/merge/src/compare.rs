//! How two versions of one object differ, field by field, and who made them differ.

use crate::managed::{ManagedEntry, entries, owner_of};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use trueup_model::{FieldPath, Segment, Value};

/// One field that differs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// The path, as people write it: `spec.replicas`.
    pub field: String,
    /// The live value; `None` where the field is not there.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub from: Option<Value>,
    /// The value that an apply would give it; `None` where it would go.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub to: Option<Value>,
    /// The manager that wrote the live value, if known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub manager: Option<String>,
    /// When that manager's entry last changed, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub since: Option<String>,
}

impl fmt::Display for Change {
    /// `spec.replicas (by kubectl-edit since 2026-11-21T10:00:00Z)`. Values are left out: they may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.field)?;
        match (&self.manager, &self.since) {
            (Some(manager), Some(since)) => write!(f, " (by {manager} since {since})"),
            (Some(manager), None) => write!(f, " (by {manager})"),
            (None, _) => Ok(()),
        }
    }
}

/// Fields that the server keeps and that say nothing about what was wanted.
const SERVER_OWNED: [&str; 6] =
    ["managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink"];

/// The fields in which a live object differs from what a dry run of our apply predicts, in the order of their paths.
pub fn changes(live: &Value, predicted: &Value, own_manager: &str) -> Vec<Change> {
    let comparison = Comparison { entries: entries(live), own: own_manager };
    let mut found = Vec::new();
    comparison.fields(&FieldPath::default(), live, predicted, &mut found);
    found
}

/// The object without what the server keeps about it: what a person would compare.
#[must_use]
pub fn without_server_fields(mut object: Value) -> Value {
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
        if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
            for field in SERVER_OWNED {
                metadata.remove(field);
            }
        }
    }
    object
}

struct Comparison<'a> {
    entries: Vec<ManagedEntry>,
    own: &'a str,
}

impl Comparison<'_> {
    fn fields(&self, at: &FieldPath, live: &Value, predicted: &Value, found: &mut Vec<Change>) {
        match (live, predicted) {
            (Value::Object(from), Value::Object(to)) => {
                let mut names: Vec<&String> = from.keys().chain(to.keys()).collect();
                names.sort();
                names.dedup();
                for name in names {
                    if !ignored(at, name) {
                        self.pair(
                            &at.child(Segment::Field(name.clone())),
                            from.get(name),
                            to.get(name),
                            found,
                        );
                    }
                }
            }
            (Value::Array(from), Value::Array(to)) => self.lists(at, from, to, found),
            (from, to) if from != to => found.push(self.change(at, Some(from), Some(to))),
            (_, _) => {}
        }
    }

    fn pair(&self, at: &FieldPath, from: Option<&Value>, to: Option<&Value>, found: &mut Vec<Change>) {
        match (from, to) {
            (Some(from), Some(to)) => self.fields(at, from, to, found),
            (None, None) => {}
            (from, to) => found.push(self.change(at, from, to)),
        }
    }

    fn lists(&self, at: &FieldPath, from: &[Value], to: &[Value], found: &mut Vec<Change>) {
        let Some(names) = key_names(from, to) else {
            if from != to {
                found.push(self.change(at, Some(&Value::from(from)), Some(&Value::from(to))));
            }
            return;
        };
        let mut items: BTreeMap<String, (BTreeMap<String, Value>, Option<&Value>, Option<&Value>)> =
            BTreeMap::new();
        for (side, list) in [from, to].into_iter().enumerate() {
            for item in list {
                let keys: BTreeMap<String, Value> =
                    names.iter().filter_map(|n| Some(((*n).to_owned(), item.get(n)?.clone()))).collect();
                let text = format!("{keys:?}");
                let entry = items.entry(text).or_insert((keys, None, None));
                if side == 0 { entry.1 = Some(item) } else { entry.2 = Some(item) }
            }
        }
        let before = found.len();
        for (keys, from, to) in items.into_values() {
            self.pair(&at.child(Segment::Key(keys)), from, to, found);
        }
        if found.len() == before && from != to {
            found.push(self.change(at, Some(&Value::from(from)), Some(&Value::from(to))));
        }
    }

    fn change(&self, at: &FieldPath, from: Option<&Value>, to: Option<&Value>) -> Change {
        let owner = owner_of(&self.entries, self.own, &at.0);
        Change {
            field: at.to_string(),
            from: from.cloned(),
            to: to.cloned(),
            manager: owner.map(|entry| entry.manager.clone()),
            since: owner.and_then(|entry| entry.time.clone()),
        }
    }
}

fn ignored(at: &FieldPath, name: &str) -> bool {
    match at.0.as_slice() {
        [] => name == "status",
        [Segment::Field(parent)] if parent == "metadata" => SERVER_OWNED.contains(&name),
        _ => false,
    }
}

// The keys of the associative lists of the API, in the order of how telling they are. An item list that no candidate
// tells apart is compared as a whole.
const KEYS: [&[&str]; 8] = [
    &["name"],
    &["containerPort", "protocol"],
    &["port", "protocol"],
    &["key"],
    &["type"],
    &["uid"],
    &["mountPath"],
    &["ip"],
];

fn key_names(from: &[Value], to: &[Value]) -> Option<&'static [&'static str]> {
    KEYS.into_iter().find(|names| {
        [from, to].into_iter().all(|list| {
            let mut seen: Vec<Vec<Option<&Value>>> = Vec::with_capacity(list.len());
            list.iter().all(|item| {
                let keys: Vec<Option<&Value>> = names.iter().map(|name| item.get(name)).collect();
                let fresh = keys[0].is_some() && !seen.contains(&keys);
                seen.push(keys);
                fresh
            })
        }) && !(from.is_empty() && to.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn drift_names_the_field_the_manager_and_since_when() {
        let live = json!({"metadata": {"name": "web", "resourceVersion": "2", "managedFields": [
            {"manager": "trueup", "operation": "Apply", "fieldsV1": {"f:spec": {"f:replicas": {}}}, "time": "2026-01-01T00:00:00Z"},
            {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {"f:spec": {"f:replicas": {}}}, "time": "2026-02-01T00:00:00Z"}]},
            "spec": {"replicas": 5, "containers": [{"name": "web", "image": "a:1"}, {"name": "side", "image": "b"}]}});
        let mut predicted = live.clone();
        predicted["spec"]["replicas"] = json!(3);
        predicted["spec"]["containers"] = json!([{"name": "web", "image": "a:2"}]);
        predicted["metadata"]["resourceVersion"] = json!("3");
        let found: Vec<String> =
            changes(&live, &predicted, "trueup").iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "spec.containers[name=side]",
                "spec.containers[name=web].image",
                "spec.replicas (by kubectl-edit since 2026-02-01T00:00:00Z)",
            ]
        );
    }

    #[test]
    fn equal_objects_do_not_differ_and_order_alone_is_a_difference() {
        let live = json!({"spec": {"args": ["a", "b"], "env": [{"name": "A"}, {"name": "B"}]}});
        assert_eq!(changes(&live, &live, "trueup"), []);
        let reordered = json!({"spec": {"args": ["b", "a"], "env": [{"name": "B"}, {"name": "A"}]}});
        let found: Vec<String> = changes(&live, &reordered, "trueup").into_iter().map(|c| c.field).collect();
        assert_eq!(found, ["spec.args", "spec.env"]);
    }
}

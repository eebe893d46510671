//! How two versions of one object differ, field by field, and who made them differ.

use crate::fields::FieldSet;
use crate::managed::{ManagedEntry, Operation, entries, owner_of};
use crate::pattern::FieldPattern;
use crate::secrets::{MaskKey, is_confidential, is_secret, masked};
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
    /// The path, as a rule that leaves it to others has it: `/spec/replicas`.
    pub pointer: String,
    /// The live value; `None` where the field is not there.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub from: Option<Value>,
    /// The value that an apply would give it; `None` where it would go.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub to: Option<Value>,
    /// The manager that wrote the live value, if known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub manager: Option<String>,
    /// How it wrote it, if known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub operation: Option<Operation>,
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
/// For what a Secret holds, hashes under `key` stand.
pub fn changes(live: &Value, predicted: &Value, own_manager: &str, key: &MaskKey) -> Vec<Change> {
    let secret = is_secret(live) || is_secret(predicted);
    let comparison = Comparison { entries: entries(live), own: own_manager, secret, key };
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
    secret: bool,
    key: &'a MaskKey,
}

// What a list item is told apart by, and the item in the live list and in the predicted one.
type Items<'v> = BTreeMap<String, (Segment, Option<&'v Value>, Option<&'v Value>)>;

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
        let before = found.len();
        for (step, from, to) in self.matched(at, from, to).into_iter().flat_map(BTreeMap::into_values) {
            self.pair(&at.child(step), from, to, found);
        }
        // Items that nothing tells apart, or that stand in another order.
        if found.len() == before && from != to {
            found.push(self.change(at, Some(&Value::from(from)), Some(&Value::from(to))));
        }
    }

    // Pairs the items of both lists by what the server tells them apart by, or else by what the API usually does; `None`
    // where that is not unique.
    fn matched<'v>(&self, at: &FieldPath, from: &'v [Value], to: &'v [Value]) -> Option<Items<'v>> {
        let sets = || self.entries.iter().filter_map(|entry| entry.fields.at(&at.0));
        if sets().any(FieldSet::is_value_set) {
            return pairs(from, to, |item| Some(Segment::Value(item.clone())));
        }
        let recorded = sets().map(FieldSet::key_names).find(|names| !names.is_empty());
        let usual = KEYS.iter().map(|names| names.iter().map(ToString::to_string).collect::<Vec<_>>());
        recorded.into_iter().chain(usual).find_map(|names| pairs(from, to, |item| by_keys(item, &names)))
    }

    fn change(&self, at: &FieldPath, from: Option<&Value>, to: Option<&Value>) -> Change {
        let owner = owner_of(&self.entries, self.own, &at.0);
        let hidden = self.secret && is_confidential(&at.0);
        let shown = |value: &Value| if hidden { Value::from(masked(value, self.key)) } else { value.clone() };
        Change {
            field: at.to_string(),
            pointer: FieldPattern::exactly(at).to_string(),
            from: from.map(shown),
            to: to.map(shown),
            manager: owner.map(|entry| entry.manager.clone()),
            operation: owner.map(|entry| entry.operation),
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

// The keys of the associative lists of the API, for lists that nobody owns items of. In the order of how telling they are.
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

fn pairs<'v>(
    from: &'v [Value],
    to: &'v [Value],
    step: impl Fn(&Value) -> Option<Segment>,
) -> Option<Items<'v>> {
    let mut items = Items::new();
    for item in from {
        let step = step(item)?;
        let twice = items.insert(format!("{step:?}"), (step, Some(item), None));
        twice.is_none().then_some(())?;
    }
    for item in to {
        let step = step(item)?;
        let pair = items.entry(format!("{step:?}")).or_insert((step, None, None));
        pair.2.replace(item).is_none().then_some(())?;
    }
    Some(items)
}

// The first key must be there; the others have defaults (a port's protocol).
fn by_keys(item: &Value, names: &[String]) -> Option<Segment> {
    item.get(names.first()?)?;
    let keys = names.iter().filter_map(|name| Some((name.clone(), item.get(name)?.clone())));
    Some(Segment::Key(keys.collect()))
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
            changes(&live, &predicted, "trueup", &[7; 32]).iter().map(ToString::to_string).collect();
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
        assert_eq!(changes(&live, &live, "trueup", &[7; 32]), []);
        let reordered = json!({"spec": {"args": ["b", "a"], "env": [{"name": "B"}, {"name": "A"}]}});
        let found: Vec<String> =
            changes(&live, &reordered, "trueup", &[7; 32]).into_iter().map(|c| c.field).collect();
        assert_eq!(found, ["spec.args", "spec.env"]);
    }

    #[test]
    fn list_items_are_matched_by_what_the_server_tells_them_apart_by() {
        let entry = |manager: &str, fields: Value| json!({"manager": manager, "operation": "Update", "fieldsV1": fields});
        let port = "k:{\"containerPort\":80,\"protocol\":\"TCP\"}";
        let live = json!({"metadata": {"finalizers": ["a/a", "b/b"], "managedFields": [
                entry("trueup", json!({"f:metadata": {"f:finalizers": {"v:\"a/a\"": {}}}, "f:ports": {port: {"f:name": {}}}})),
                entry("other", json!({"f:metadata": {"f:finalizers": {"v:\"b/b\"": {}}}})),
                entry("renamer", json!({"f:ports": {port: {"f:name": {}}}}))]},
            "ports": [{"name": "web", "containerPort": 80, "protocol": "TCP"}, {"name": "web", "containerPort": 80, "protocol": "UDP"}]});
        let mut predicted = live.clone();
        predicted["metadata"]["finalizers"] = json!(["a/a"]);
        predicted["ports"][0]["name"] = json!("http");
        let found: Vec<String> =
            changes(&live, &predicted, "trueup", &[7; 32]).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "metadata.finalizers[=b/b] (by other)",
                "ports[containerPort=80,protocol=TCP].name (by renamer)"
            ]
        );
    }

    #[test]
    fn a_list_whose_items_nothing_tells_apart_differs_as_a_whole() {
        let (live, predicted) =
            (json!({"rules": [{"a": 1}, {"a": 2}]}), json!({"rules": [{"a": 1}, {"a": 3}]}));
        let found = changes(&live, &predicted, "trueup", &[7; 32]);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].field.as_str(), &found[0].from), ("rules", &Some(json!([{"a": 1}, {"a": 2}]))));
    }

    #[test]
    fn what_a_secret_holds_never_leaves() {
        let live = json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "data": {"password": "aHVudGVyMg=="},
            "metadata": {"labels": {"a": "b"}, "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "aHVudGVyMg=="}}});
        let mut predicted = live.clone();
        predicted["data"] = json!({"password": "czNjcjN0", "token": "czNjcjN0"});
        predicted["metadata"] = json!({"labels": {"a": "c"}});
        let found = changes(&live, &predicted, "trueup", &[7; 32]);
        let fields: Vec<&str> = found.iter().map(|change| change.field.as_str()).collect();
        assert_eq!(fields, ["data.password", "data.token", "metadata.annotations", "metadata.labels.a"]);
        let text = serde_json::to_string(&found).unwrap();
        assert!(!text.contains("aHVudGVyMg") && !text.contains("czNjcjN0"), "{text}");
        assert_eq!(found[3].to, Some(json!("c")), "what is no secret is shown");
        predicted.as_object_mut().unwrap().remove("data");
        let text = serde_json::to_string(&changes(&live, &predicted, "trueup", &[7; 32])).unwrap();
        assert!(!text.contains("aHVudGVyMg"), "{text}");
    }
}

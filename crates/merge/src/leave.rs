//! Leaves fields to others: what is still to be applied of an object when certain fields are not ours to say any more.
//!
//! Server-side apply takes a field away when its only owner no longer sends it. So a field is let go of only where somebody
//! else owns it too, or we do not; where we are its only owner, it is sent on with the value that it has. Whoever writes it
//! next becomes its owner, and then it is let go of.
//!
//! Source: the conflict and ownership rules of server-side apply (KEP-555).

use crate::fields::{FieldSet, has_keys, value_at};
use crate::managed::{ManagedEntry, Operation, entries, owner_of};
use crate::pattern::FieldPattern;
use std::collections::BTreeMap;
use trueup_model::{FieldPath, Segment, Value};

/// Fields that are left to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loose {
    /// Which fields; all where it is left out.
    pub fields: Option<FieldPattern>,
    /// Only those that one of these managers owns; whoever owns them where there are none.
    pub managers: Vec<String>,
}

/// What is to be applied, and what was left out of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    /// The object without the fields that are left to others.
    pub value: Value,
    /// The fields that were left, in the order of the object.
    pub left: Vec<Left>,
}

/// A field that is left as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// The path, as people write it.
    pub field: String,
    /// Who owns it; nobody but us where this is none.
    pub manager: Option<String>,
    /// Which of the rules says so, from 0.
    pub rule: usize,
}

/// What is still to be applied of `wanted`, where `live` is there already. Fields that nobody has written yet are kept as wanted.
pub fn fit(wanted: &Value, live: &Value, manager: &str, rules: &[Loose]) -> Fitted {
    let all = entries(live);
    let is_ours = |entry: &ManagedEntry| {
        entry.manager == manager && entry.operation == Operation::Apply && entry.subresource.is_empty()
    };
    let (ours, others): (Vec<_>, Vec<_>) = all.into_iter().partition(is_ours);
    let ours = ours.into_iter().next().map(|entry| entry.fields).unwrap_or_default();
    let mut fitting = Fitting { ours, others, live, rules, left: Vec::new() };
    let root = FieldPath::default();
    let mut value = fitting.node(&root, wanted, Some(live)).unwrap_or_default();
    fitting.keep_what_only_we_own(&mut value);
    Fitted { value, left: fitting.left }
}

struct Fitting<'a> {
    ours: FieldSet,
    others: Vec<ManagedEntry>,
    live: &'a Value,
    rules: &'a [Loose],
    left: Vec<Left>,
}

impl Fitting<'_> {
    fn node(&mut self, at: &FieldPath, wanted: &Value, live: Option<&Value>) -> Option<Value> {
        match (wanted, live) {
            (Value::Object(fields), Some(Value::Object(found)))
                if !fields.is_empty() && !self.is_whole(at) =>
            {
                let mut kept = serde_json::Map::new();
                for (name, value) in fields {
                    let below = at.child(Segment::Field(name.clone()));
                    if let Some(value) = self.node(&below, value, found.get(name)) {
                        kept.insert(name.clone(), value);
                    }
                }
                (!kept.is_empty()).then_some(Value::Object(kept))
            }
            (Value::Array(items), Some(Value::Array(found))) if self.has_items(at) => {
                let kept = items.iter().filter_map(|item| self.item(at, item, found)).collect::<Vec<_>>();
                (!kept.is_empty() || items.is_empty()).then_some(Value::Array(kept))
            }
            (wanted, live) => self.leaf(at, wanted, live),
        }
    }

    fn item(&mut self, list: &FieldPath, item: &Value, found: &[Value]) -> Option<Value> {
        let Some(segment) = self.segment(list, item) else { return Some(item.clone()) };
        let at = list.child(segment.clone());
        match &segment {
            Segment::Key(keys) => {
                let live = found.iter().find(|other| has_keys(other, keys));
                let mut kept = self.node(&at, item, live)?;
                // What is left of an item still has to say which one it is.
                if let (Some(fields), Some(from)) = (kept.as_object_mut(), item.as_object()) {
                    for (key, value) in from.iter().filter(|(name, _)| keys.contains_key(*name)) {
                        fields.entry(key.clone()).or_insert_with(|| value.clone());
                    }
                }
                Some(kept)
            }
            Segment::Value(value) => self.leaf(&at, item, found.iter().find(|other| *other == value)),
            Segment::Field(_) | Segment::Index(_) => Some(item.clone()),
        }
    }

    fn leaf(&mut self, at: &FieldPath, wanted: &Value, live: Option<&Value>) -> Option<Value> {
        let Some(rule) = self.rule(at) else { return Some(wanted.clone()) };
        let owner = owner_of(&self.others, "", &at.0).map(|entry| entry.manager.clone());
        self.left.push(Left { field: at.to_string(), manager: owner.clone(), rule });
        match owner {
            None if self.ours.touches(&at.0) => live.cloned(),
            None | Some(_) => None,
        }
    }

    /// The rule by which a field is left as it is. What the rule is about has to be there.
    fn rule(&self, at: &FieldPath) -> Option<usize> {
        if is_membership(at) {
            return None;
        }
        self.rules.iter().position(|rule| {
            let depth = rule.fields.as_ref().map_or(Some(at.0.len()), |pattern| pattern.covers(&at.0));
            let by =
                |entry: &ManagedEntry| rule.managers.contains(&entry.manager) && entry.fields.touches(&at.0);
            depth.is_some_and(|depth| value_at(self.live, &at.0[..depth]).is_some())
                && (rule.managers.is_empty() || self.others.iter().any(by))
        })
    }

    /// Fields that are gone from what is wanted, that a rule leaves as they are, and that would go if we let go of them.
    fn keep_what_only_we_own(&mut self, value: &mut Value) {
        for leaf in self.ours.leaves() {
            let Some(rule) = self.rule(&leaf) else { continue };
            let Some(live) = value_at(self.live, &leaf.0) else { continue };
            if owner_of(&self.others, "", &leaf.0).is_some() || value_at(value, &leaf.0).is_some() {
                continue;
            }
            if insert(value, &leaf.0, live) {
                self.left.push(Left { field: leaf.to_string(), manager: None, rule });
            }
        }
    }

    fn sets<'s>(&'s self, at: &'s FieldPath) -> impl Iterator<Item = &'s FieldSet> {
        let others = self.others.iter().filter_map(|entry| entry.fields.at(&at.0));
        self.ours.at(&at.0).into_iter().chain(others)
    }

    // Owned as one, whatever is inside.
    fn is_whole(&self, at: &FieldPath) -> bool {
        self.sets(at).any(|set| set.member && set.children.is_empty())
    }

    fn has_items(&self, at: &FieldPath) -> bool {
        self.sets(at).any(|set| set.is_value_set() || !set.key_names().is_empty())
    }

    // The element of an item, in the words of whoever owns one like it.
    fn segment(&self, list: &FieldPath, item: &Value) -> Option<Segment> {
        let sets = || self.sets(list);
        if sets().any(FieldSet::is_value_set) {
            return Some(Segment::Value(item.clone()));
        }
        let known =
            sets().flat_map(|set| set.children.keys()).filter_map(|key| crate::fields::segment(key).ok());
        let same = known.into_iter().find(|segment| match segment {
            Segment::Key(keys) => has_keys(item, keys),
            Segment::Field(_) | Segment::Value(_) | Segment::Index(_) => false,
        });
        same.or_else(|| {
            let names = sets().map(FieldSet::key_names).find(|names| !names.is_empty())?;
            let keys: BTreeMap<String, Value> =
                names.into_iter().filter_map(|name| Some((name.clone(), item.get(&name)?.clone()))).collect();
            (!keys.is_empty()).then_some(Segment::Key(keys))
        })
    }
}

// Without its label an object would be no member any more.
fn is_membership(at: &FieldPath) -> bool {
    let label = Segment::Field("applyset.kubernetes.io/part-of".to_owned());
    matches!(at.0.as_slice(), [Segment::Field(metadata), Segment::Field(labels), name]
        if metadata == "metadata" && labels == "labels" && *name == label)
}

fn insert(root: &mut Value, path: &[Segment], value: &Value) -> bool {
    let Some((first, rest)) = path.split_first() else {
        *root = value.clone();
        return true;
    };
    let place = match first {
        Segment::Field(name) => {
            if root.is_null() {
                *root = Value::Object(serde_json::Map::new());
            }
            let Some(fields) = root.as_object_mut() else { return false };
            fields.entry(name.clone()).or_insert(Value::Null)
        }
        Segment::Key(_) | Segment::Value(_) => {
            if root.is_null() {
                *root = Value::Array(Vec::new());
            }
            let Some(items) = root.as_array_mut() else { return false };
            let found = items.iter().position(|item| match first {
                Segment::Key(keys) => has_keys(item, keys),
                Segment::Value(value) => item == value,
                Segment::Field(_) | Segment::Index(_) => false,
            });
            let index = found.unwrap_or_else(|| {
                items.push(match first {
                    Segment::Key(keys) => keys.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
                    Segment::Value(_) | Segment::Field(_) | Segment::Index(_) => Value::Null,
                });
                items.len() - 1
            });
            &mut items[index]
        }
        Segment::Index(_) => return false,
    };
    insert(place, rest, value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn wanted() -> Value {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "labels": {"app": "web"}},
            "spec": {"replicas": 2, "template": {"spec": {"containers": [
                {"name": "app", "image": "app:1", "args": ["-v"]}, {"name": "log", "image": "log:1"}]}}}})
    }

    /// Live as wanted, with what others own of it and what they made of it.
    fn live(ours: &Value, theirs: &Value, edit: impl FnOnce(&mut Value)) -> Value {
        let mut live = wanted();
        edit(&mut live);
        live["metadata"]["managedFields"] = json!([
            {"manager": "trueup", "operation": "Apply", "apiVersion": "apps/v1", "fieldsV1": ours},
            {"manager": "them", "operation": "Update", "apiVersion": "apps/v1", "subresource": "scale", "time": "2026-11-21T10:00:00Z", "fieldsV1": theirs}]);
        live
    }

    fn containers(app: &Value) -> Value {
        json!({"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"app\"}": app,
            "k:{\"name\":\"log\"}": {".": {}, "f:image": {}, "f:name": {}}}}}})
    }

    fn all_ours() -> Value {
        let mut spec = containers(&json!({".": {}, "f:args": {}, "f:image": {}, "f:name": {}}));
        spec["f:replicas"] = json!({});
        json!({"f:metadata": {"f:labels": {"f:app": {}}}, "f:spec": spec})
    }

    fn rules(fields: &[&str], managers: &[&str]) -> Vec<Loose> {
        let managers: Vec<String> = managers.iter().map(|&name| name.to_owned()).collect();
        if fields.is_empty() {
            return vec![Loose { fields: None, managers }];
        }
        fields
            .iter()
            .map(|text| Loose { fields: Some(text.parse().unwrap()), managers: managers.clone() })
            .collect()
    }

    #[track_caller]
    fn check(live: &Value, rules: &[Loose], expected: impl FnOnce(&mut Value), left: &[&str]) {
        let mut wanted_now = wanted();
        expected(&mut wanted_now);
        let fitted = fit(&wanted(), live, "trueup", rules);
        assert_eq!(fitted.value, wanted_now);
        let told: Vec<String> = fitted
            .left
            .iter()
            .map(|left| format!("{} {}", left.field, left.manager.as_deref().unwrap_or("-")))
            .collect();
        assert_eq!(told, left);
    }

    fn without_replicas(object: &mut Value) {
        object["spec"].as_object_mut().unwrap().remove("replicas");
    }

    #[test]
    fn a_field_that_another_writes_is_let_go_of() {
        let mut ours = all_ours();
        ours["f:spec"].as_object_mut().unwrap().remove("f:replicas");
        let live =
            live(&ours, &json!({"f:spec": {"f:replicas": {}}}), |live| live["spec"]["replicas"] = json!(7));
        check(&live, &rules(&["/spec/replicas"], &[]), without_replicas, &["spec.replicas them"]);
        check(&live, &rules(&["/spec/replicas"], &["them"]), without_replicas, &["spec.replicas them"]);
        check(&live, &rules(&[], &["them"]), without_replicas, &["spec.replicas them"]);
        check(&live, &rules(&["/spec/replicas"], &["somebody"]), |_| {}, &[]);
        check(&live, &rules(&["/spec/paused"], &[]), |_| {}, &[]);
    }

    #[test]
    fn a_field_that_both_own_is_let_go_of_and_one_that_only_we_own_is_sent_as_it_is() {
        let shared = live(&all_ours(), &json!({"f:spec": {"f:replicas": {}}}), |_| {});
        check(&shared, &rules(&["/spec/replicas"], &[]), without_replicas, &["spec.replicas them"]);
        // To let go of it would be to delete it; to send what Git says would be to change it.
        let alone = live(&all_ours(), &json!({}), |live| live["spec"]["replicas"] = json!(5));
        check(
            &alone,
            &rules(&["/spec/replicas"], &[]),
            |o| o["spec"]["replicas"] = json!(5),
            &["spec.replicas -"],
        );
    }

    #[test]
    fn an_item_is_left_in_part_or_as_a_whole() {
        let image = json!({"f:spec": containers(&json!({"f:image": {}}))});
        let ours = json!({"f:metadata": {"f:labels": {"f:app": {}}}, "f:spec":
            containers(&json!({".": {}, "f:args": {}, "f:name": {}}))});
        let live_image = live(&ours, &image, |live| {
            live["spec"]["template"]["spec"]["containers"][0]["image"] = json!("app:2");
        });
        let field = "spec.template.spec.containers[name=app].image them";
        check(
            &live_image,
            &rules(&["/spec/template/spec/containers/[name=app]/image"], &[]),
            |o| drop(o["spec"]["template"]["spec"]["containers"][0].as_object_mut().unwrap().remove("image")),
            &[field],
        );
        // All of the item, of which the arguments and the name are ours alone.
        let fitted = fit(
            &wanted(),
            &live_image,
            "trueup",
            &rules(&["/spec/template/spec/containers/[name=app]"], &[]),
        );
        assert_eq!(
            fitted.value["spec"]["template"]["spec"]["containers"][0],
            json!({"name": "app", "args": ["-v"]})
        );
        let order: Vec<&Value> = fitted.value["spec"]["template"]["spec"]["containers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| &c["name"])
            .collect();
        assert_eq!(order, ["app", "log"]);
    }

    #[test]
    fn what_does_not_exist_yet_is_set() {
        let live = live(&json!({}), &json!({}), without_replicas);
        check(&live, &rules(&["/spec/replicas"], &[]), |_| {}, &[]);
    }

    #[test]
    fn a_field_that_left_git_is_kept_while_nobody_else_owns_it() {
        let mut wanted = wanted();
        without_replicas(&mut wanted);
        let rule = rules(&["/spec/replicas"], &[]);
        let alone = live(&all_ours(), &json!({}), |live| live["spec"]["replicas"] = json!(5));
        assert_eq!(fit(&wanted, &alone, "trueup", &rule).value["spec"]["replicas"], 5);
        let shared = live(&all_ours(), &json!({"f:spec": {"f:replicas": {}}}), |_| {});
        assert_eq!(fit(&wanted, &shared, "trueup", &rule).value, wanted);
    }

    #[test]
    fn the_label_that_makes_an_object_a_member_is_never_left() {
        let label = "applyset.kubernetes.io/part-of";
        let mut wanted = wanted();
        wanted["metadata"]["labels"][label] = json!("ours");
        let theirs = json!({"f:metadata": {"f:labels": {format!("f:{label}"): {}, "f:app": {}}}});
        let live = live(&json!({}), &theirs, |live| live["metadata"]["labels"][label] = json!("theirs"));
        let fitted = fit(&wanted, &live, "trueup", &rules(&["/metadata/labels"], &[]));
        assert_eq!(fitted.value["metadata"]["labels"], json!({label: "ours"}));
    }
}

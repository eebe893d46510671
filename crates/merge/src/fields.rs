//! Sets of fields, as `fieldsV1` writes them.
//!
//! Source: `fieldpath.Set` of sigs.k8s.io/structured-merge-diff and its JSON serialisation.

use std::collections::BTreeMap;
use trueup_model::{FieldPath, Segment, Value};

/// A set of field paths as a tree: which children there are, and whether the path itself is a member.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FieldSet {
    /// Whether the path that leads here is itself in the set (`.` in fieldsV1, or a leaf).
    pub member: bool,
    /// The children by their element as fieldsV1 writes it (`f:spec`, `k:{"name":"web"}`).
    pub children: BTreeMap<String, FieldSet>,
}

/// What is wrong with a `fieldsV1` value.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FieldsError {
    /// An element has none of the known prefixes.
    #[error("fieldsV1: unknown path element {0:?}")]
    Element(String),
    /// A value is not an object.
    #[error("fieldsV1: {0:?} must hold an object")]
    NotAnObject(String),
}

impl FieldSet {
    /// Reads the JSON under `fieldsV1`.
    pub fn parse(json: &Value) -> Result<Self, FieldsError> {
        let mut set = Self::read(json, "fieldsV1")?;
        set.member = false;
        Ok(set)
    }

    fn read(json: &Value, at: &str) -> Result<Self, FieldsError> {
        let object = json.as_object().ok_or_else(|| FieldsError::NotAnObject(at.to_owned()))?;
        let mut set = Self { member: object.is_empty(), ..Self::default() };
        for (element, below) in object {
            if element == "." {
                set.member = true;
            } else {
                segment(element)?;
                set.children.insert(element.clone(), Self::read(below, element)?);
            }
        }
        Ok(set)
    }

    /// The JSON as the API server writes it.
    pub fn to_json(&self) -> Value {
        let mut object = serde_json::Map::new();
        if self.member && !self.children.is_empty() {
            object.insert(".".to_owned(), Value::Object(serde_json::Map::new()));
        }
        for (element, below) in &self.children {
            object.insert(element.clone(), below.to_json());
        }
        Value::Object(object)
    }

    /// Whether the set holds no path.
    pub fn is_empty(&self) -> bool {
        !self.member && self.children.values().all(Self::is_empty)
    }

    /// The paths that are in either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut children = self.children.clone();
        for (element, below) in &other.children {
            let merged = children.get(element).map_or_else(|| below.clone(), |mine| mine.union(below));
            children.insert(element.clone(), merged);
        }
        Self { member: self.member || other.member, children }
    }

    /// The paths that are in this set and not in the other.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let children = self
            .children
            .iter()
            .map(|(element, below)| {
                let rest = other.children.get(element).map_or_else(|| below.clone(), |b| below.difference(b));
                (element.clone(), rest)
            })
            .filter(|(_, below)| !below.is_empty())
            .collect();
        Self { member: self.member && !other.member, children }
    }

    /// Takes the path with these elements, and all below it, out of the set.
    pub fn remove(&mut self, elements: &[&str]) {
        match elements {
            [] => *self = Self::default(),
            [first, rest @ ..] => {
                if let Some(below) = self.children.get_mut(*first) {
                    below.remove(rest);
                    if below.is_empty() {
                        self.children.remove(*first);
                    }
                }
            }
        }
    }

    /// Whether the path, or a path above it that is taken whole, or one below it, is in the set.
    pub fn touches(&self, path: &[Segment]) -> bool {
        let Some((first, rest)) = path.split_first() else { return !self.is_empty() };
        let below = self.children.iter().find(|(element, _)| segment(element).is_ok_and(|s| s == *first));
        match below {
            Some((_, below)) => (below.member && below.children.is_empty()) || below.touches(rest),
            None => false,
        }
    }

    /// The members that have no members below them.
    pub fn leaves(&self) -> Vec<FieldPath> {
        let mut found = Vec::new();
        self.collect(&FieldPath::default(), &mut found);
        found
    }

    fn collect(&self, at: &FieldPath, found: &mut Vec<FieldPath>) {
        if self.children.is_empty() && self.member {
            found.push(at.clone());
        }
        for (element, below) in &self.children {
            if let Ok(segment) = segment(element) {
                below.collect(&at.child(segment), found);
            }
        }
    }
}

/// Reads one path element: `f:name`, `k:{…}`, `v:…` or `i:0`.
pub fn segment(element: &str) -> Result<Segment, FieldsError> {
    let unknown = || FieldsError::Element(element.to_owned());
    let (kind, text) = element.split_once(':').ok_or_else(unknown)?;
    match kind {
        "f" => Ok(Segment::Field(text.to_owned())),
        "k" => serde_json::from_str(text).map(Segment::Key).map_err(|_| unknown()),
        "v" => serde_json::from_str(text).map(Segment::Value).map_err(|_| unknown()),
        "i" => text.parse().map(Segment::Index).map_err(|_| unknown()),
        _ => Err(unknown()),
    }
}

/// The value that a path element leads to, inside `value`; for a set's member, the member itself.
pub fn step<'v>(value: &'v Value, element: &Segment) -> Option<&'v Value> {
    match element {
        Segment::Field(name) => value.get(name),
        Segment::Key(keys) => value.as_array()?.iter().find(|item| has_keys(item, keys)),
        Segment::Value(wanted) => value.as_array()?.iter().find(|item| *item == wanted),
        Segment::Index(index) => value.get(index),
    }
}

/// Whether a list item is the one with these keys.
pub fn has_keys(item: &Value, keys: &BTreeMap<String, Value>) -> bool {
    // A key that the item leaves to its default (a port's protocol) is not in the item as written.
    keys.iter().all(|(key, wanted)| item.get(key).is_none_or(|found| found == wanted))
        && keys.keys().any(|key| item.get(key).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn set(json: &Value) -> FieldSet {
        FieldSet::parse(json).unwrap()
    }

    #[test]
    fn a_set_is_written_as_it_was_read() {
        let json = json!({"f:metadata": {"f:labels": {".": {}, "f:app": {}}},
            "f:spec": {"f:containers": {"k:{\"name\":\"web\"}": {".": {}, "f:image": {}}}, "f:finalizers": {"v:\"a\"": {}}}});
        assert_eq!(set(&json).to_json(), json);
    }

    #[test]
    fn union_and_difference_undo_each_other_on_disjoint_sets() {
        let a = set(&json!({"f:data": {"f:a": {}}}));
        let b = set(&json!({"f:data": {"f:b": {}}, "f:x": {}}));
        assert_eq!(a.union(&b).difference(&b).to_json(), a.to_json());
        assert!(a.difference(&a).is_empty());
    }

    #[test]
    fn an_owned_subtree_touches_each_path_in_it() {
        let owned = set(
            &json!({"f:spec": {"f:selector": {}, "f:ports": {"k:{\"port\":80}": {".": {}, "f:name": {}}}}}),
        );
        let path = |segments: &[Segment]| owned.touches(segments);
        let field = |name: &str| Segment::Field(name.to_owned());
        assert!(path(&[field("spec"), field("selector"), field("app")]));
        assert!(path(&[field("spec"), field("ports")]));
        assert!(!path(&[field("spec"), field("replicas")]));
    }

    #[test]
    fn an_unknown_element_is_refused() {
        assert!(FieldSet::parse(&json!({"x:y": {}})).is_err());
        assert!(FieldSet::parse(&json!({"f:y": 1})).is_err());
    }
}

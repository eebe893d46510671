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
                // Any name is one of a field.
                if !element.starts_with("f:") {
                    segment(element)?;
                }
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
        let mut both = self.clone();
        both.add(other);
        both
    }

    /// Takes in the paths of another set.
    pub fn add(&mut self, other: &Self) {
        self.member |= other.member;
        for (element, below) in &other.children {
            match self.children.get_mut(element) {
                Some(mine) => mine.add(below),
                None => drop(self.children.insert(element.clone(), below.clone())),
            }
        }
    }

    /// The paths that are in this set and not in the other.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let mut rest = self.clone();
        rest.subtract(other);
        rest
    }

    /// Takes the paths of another set out.
    pub fn subtract(&mut self, other: &Self) {
        self.member &= !other.member;
        for (element, below) in &other.children {
            if let Some(mine) = self.children.get_mut(element) {
                mine.subtract(below);
                if mine.is_empty() {
                    self.children.remove(element);
                }
            }
        }
    }

    /// The paths that are in this set, without those in the other and all that is below them.
    #[must_use]
    pub fn recursive_difference(&self, other: &Self) -> Self {
        let rest = |(element, below): (&String, &Self)| {
            let left = match other.children.get(element) {
                Some(gone) if gone.member => return None,
                Some(gone) => below.recursive_difference(gone),
                None => below.clone(),
            };
            (!left.is_empty()).then(|| (element.clone(), left))
        };
        Self {
            member: self.member && !other.member,
            children: self.children.iter().filter_map(rest).collect(),
        }
    }

    /// Makes the path with these elements a member. The empty path is the object itself, which nobody owns.
    pub fn insert(&mut self, path: &[String]) {
        if !path.is_empty() {
            let leaf =
                path.iter().fold(self, |set, element| set.children.entry(element.clone()).or_default());
            leaf.member = true;
        }
    }

    /// The paths that are in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let children = self
            .children
            .iter()
            .filter_map(|(element, below)| {
                let both = below.intersection(other.children.get(element)?);
                (!both.is_empty()).then(|| (element.clone(), both))
            })
            .collect();
        Self { member: self.member && other.member, children }
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

    /// The part of the set below a path.
    pub fn at(&self, path: &[Segment]) -> Option<&Self> {
        path.iter().try_fold(self, |set, step| set.child(step))
    }

    /// Whether exactly this path is a member.
    pub fn contains(&self, path: &[Segment]) -> bool {
        self.at(path).is_some_and(|set| set.member)
    }

    /// Whether the path, or a path above it that is taken whole, or one below it, is in the set.
    pub fn touches(&self, path: &[Segment]) -> bool {
        let Some((first, rest)) = path.split_first() else { return !self.is_empty() };
        self.child(first)
            .is_some_and(|below| (below.member && below.children.is_empty()) || below.touches(rest))
    }

    fn child(&self, step: &Segment) -> Option<&Self> {
        // The server may write an element in other words (escapes) than we do: then they are compared by meaning.
        self.children.get(&element(step)).or_else(|| match step {
            Segment::Field(_) | Segment::Index(_) => None,
            Segment::Key(_) | Segment::Value(_) => self
                .children
                .iter()
                .find(|(other, _)| segment(other).as_ref() == Ok(step))
                .map(|(_, set)| set),
        })
    }

    /// The names of the keys that tell the items of an associative list apart; empty where this is none.
    pub fn key_names(&self) -> Vec<String> {
        self.children.keys().find_map(|element| key_names(element)).unwrap_or_default()
    }

    /// Whether the children are members of a set of values, such as `finalizers`.
    pub fn is_value_set(&self) -> bool {
        self.children.keys().any(|element| element.starts_with("v:"))
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

/// The names in a `k:` element; `None` for any other element.
pub(crate) fn key_names(element: &str) -> Option<Vec<String>> {
    let keys: BTreeMap<String, Value> = serde_json::from_str(element.strip_prefix("k:")?).ok()?;
    Some(keys.into_keys().collect())
}

/// Writes one path element as fieldsV1 has it.
pub fn element(segment: &Segment) -> String {
    match segment {
        Segment::Field(name) => format!("f:{name}"),
        Segment::Key(keys) => {
            format!("k:{}", keys.iter().map(|(k, v)| (k.clone(), v.clone())).collect::<Value>())
        }
        Segment::Value(value) => format!("v:{value}"),
        Segment::Index(index) => format!("i:{index}"),
    }
}

/// Whether a list item is the one with these keys.
pub fn has_keys(item: &Value, keys: &BTreeMap<String, Value>) -> bool {
    // A key that the item leaves to its default (a port's protocol) is not in the item as written; one that was written as null is
    // in the books as such, and has its default in the item.
    keys.iter().all(|(key, wanted)| wanted.is_null() || item.get(key).is_none_or(|found| found == wanted))
        && keys.keys().any(|key| item.get(key).is_some())
}

/// The value at a path, where there is one.
pub fn value_at<'v>(root: &'v Value, path: &[Segment]) -> Option<&'v Value> {
    path.iter().try_fold(root, |value, segment| match segment {
        Segment::Field(name) => value.get(name),
        Segment::Key(keys) => value.as_array()?.iter().find(|item| has_keys(item, keys)),
        Segment::Value(wanted) => value.as_array()?.iter().find(|item| *item == wanted),
        Segment::Index(index) => value.get(index),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
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
    fn a_path_is_found_however_its_element_is_escaped() {
        let owned =
            set(&json!({"f:env": {"k:{\"name\":\"a\\u003cb\"}": {".": {}, "f:value": {}}, "f:x": {}}}));
        let keys = Segment::Key(BTreeMap::from([("name".to_owned(), json!("a<b"))]));
        let path = [Segment::Field("env".into()), keys];
        assert!(owned.contains(&path));
        assert!(!owned.contains(&path[..1]), "a parent is no member because its child is one");
        assert_eq!(owned.at(&path[..1]).map(FieldSet::key_names), Some(vec!["name".to_owned()]));
    }

    fn any_set() -> impl Strategy<Value = FieldSet> {
        let element = prop_oneof![
            "[a-c]".prop_map(|name| format!("f:{name}")),
            "[a-c]"
                .prop_map(|name| element(&Segment::Key(BTreeMap::from([("name".to_owned(), json!(name))])))),
            (0..3_u8).prop_map(|number| format!("v:{number}")),
        ];
        let leaf = Just(FieldSet { member: true, children: BTreeMap::new() });
        let tree = leaf.prop_recursive(4, 24, 4, move |inner| {
            (any::<bool>(), proptest::collection::btree_map(element.clone(), inner, 1..4))
                .prop_map(|(member, children)| FieldSet { member, children })
        });
        tree.prop_map(|set| FieldSet { member: false, children: set.children })
    }

    proptest! {
        #[test]
        fn any_set_is_written_as_it_was_read(set in any_set()) {
            prop_assert_eq!(FieldSet::parse(&set.to_json()), Ok(set));
        }

        #[test]
        fn sets_obey_the_laws_of_sets(a in any_set(), b in any_set()) {
            let (both, either) = (a.intersection(&b), a.union(&b));
            prop_assert_eq!(&either, &b.union(&a));
            prop_assert_eq!(&both, &b.intersection(&a));
            prop_assert_eq!(a.difference(&b).union(&both), a.clone());
            prop_assert!(a.difference(&b).intersection(&b).is_empty());
            for path in a.leaves() {
                prop_assert!(either.contains(&path.0));
                prop_assert_eq!(both.contains(&path.0), b.contains(&path.0));
            }
        }
    }

    #[test]
    fn an_unknown_element_is_refused() {
        assert!(FieldSet::parse(&json!({"x:y": {}})).is_err());
        assert!(FieldSet::parse(&json!({"f:y": 1})).is_err());
    }
}

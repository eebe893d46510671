//! Hashes that prove that there is nothing to do.
//!
//! [`Digest`] stands for what we want of an object, [`Token`] for what the server holds of it under our name. While both are
//! as they were after our last apply, another apply would change nothing.

use crate::fields::segment;
use crate::managed::applied_by;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use std::fmt;
use trueup_model::{Segment, Value};

/// 128 bits of SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash128([u8; 16]);

/// Hash of an object as wanted, and of all else that decides what an apply of it means.
pub type Digest = Hash128;
/// Hash of what a field manager owns of a live object: uid, its managedFields entry, the values at the paths that it lists.
pub type Token = Hash128;

impl Hash128 {
    fn finish(hash: Sha256) -> Self {
        let full = hash.finalize();
        let mut half = [0; 16];
        half.copy_from_slice(&full[..16]);
        Self(half)
    }
}

impl fmt::Display for Hash128 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash128 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Hash128 {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(text, 16).map(|number| Self(number.to_be_bytes()))
    }
}

impl Serialize for Hash128 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash128 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The digest of an object as it will be sent: its bytes, who sends it, whether conflicts are forced, and the schema epoch
/// of the cluster that it goes to.
pub fn digest(body: &[u8], manager: &str, force: &str, epoch: u64) -> Digest {
    let mut hash = Sha256::new();
    for part in [body, manager.as_bytes(), force.as_bytes(), &epoch.to_be_bytes()] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    Hash128::finish(hash)
}

/// The token of a live object for a field manager; `None` where the manager has applied nothing to it.
pub fn token(live: &Value, manager: &str) -> Option<Token> {
    let entry = applied_by(live, manager)?;
    let mut hash = Sha256::new();
    text(&mut hash, live.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default());
    text(&mut hash, entry.get("apiVersion").and_then(Value::as_str).unwrap_or_default());
    owned(&mut hash, Some(live), entry.get("fieldsV1")?);
    Some(Hash128::finish(hash))
}

// The fieldsV1 tree and the live value are walked together, so that no part of either is copied.
fn owned(hash: &mut Sha256, live: Option<&Value>, fields: &Value) {
    let Some(children) = fields.as_object() else { return };
    if children.keys().all(|element| element == ".") {
        match live {
            Some(value) => whole(hash, value),
            None => hash.update([0]),
        }
        return;
    }
    for (element, below) in children {
        text(hash, element);
        if element == "." {
            continue;
        }
        let child = segment(element).ok().and_then(|s| live.and_then(|value| crate::fields::step(value, &s)));
        owned(hash, child, below);
    }
    if let Some(items) = live.and_then(Value::as_array) {
        order(hash, items, children.keys());
    }
}

// Order matters in associative lists (containers, env): the order in which the owned items stand is part of the token.
fn order<'k>(hash: &mut Sha256, items: &[Value], elements: impl Iterator<Item = &'k String>) {
    let owned: Vec<Segment> = elements.filter_map(|element| segment(element).ok()).collect();
    for item in items {
        let place = owned.iter().position(|element| match element {
            Segment::Key(keys) => crate::fields::has_keys(item, keys),
            Segment::Value(value) => item == value,
            Segment::Field(_) | Segment::Index(_) => false,
        });
        if let Some(place) = place {
            hash.update((place as u64).to_be_bytes());
        }
    }
}

fn whole(hash: &mut Sha256, value: &Value) {
    match value {
        Value::Null => hash.update([1]),
        Value::Bool(value) => hash.update([2, u8::from(*value)]),
        Value::Number(number) => {
            hash.update([3]);
            text(hash, &number.to_string());
        }
        Value::String(value) => {
            hash.update([4]);
            text(hash, value);
        }
        Value::Array(items) => {
            hash.update([5]);
            hash.update((items.len() as u64).to_be_bytes());
            items.iter().for_each(|item| whole(hash, item));
        }
        Value::Object(fields) => {
            hash.update([6]);
            hash.update((fields.len() as u64).to_be_bytes());
            for (name, value) in fields {
                text(hash, name);
                whole(hash, value);
            }
        }
    }
}

fn text(hash: &mut Sha256, text: &str) {
    hash.update((text.len() as u64).to_be_bytes());
    hash.update(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn live() -> Value {
        json!({"metadata": {"uid": "u1", "resourceVersion": "7", "managedFields": [
            {"manager": "trueup", "operation": "Apply", "apiVersion": "v1", "time": "2026-01-01T00:00:00Z", "fieldsV1":
                {"f:data": {"f:a": {}}, "f:list": {"k:{\"name\":\"x\"}": {".": {}, "f:v": {}}, "k:{\"name\":\"y\"}": {".": {}, "f:v": {}}}}}]},
            "data": {"a": "1", "b": "2"}, "list": [{"name": "x", "v": 1}, {"name": "z", "v": 9}, {"name": "y", "v": 2}]})
    }

    #[track_caller]
    fn check(edit: impl FnOnce(&mut Value), same: bool) {
        let mut edited = live();
        edit(&mut edited);
        assert_eq!(token(&edited, "trueup") == token(&live(), "trueup"), same);
    }

    #[test]
    fn what_others_own_does_not_change_the_token() {
        check(|live| live["data"]["b"] = json!("other"), true);
        check(|live| live["metadata"]["resourceVersion"] = json!("8"), true);
        check(|live| live["list"][1]["v"] = json!(10), true);
        check(|live| live["metadata"]["managedFields"][0]["time"] = json!("2027-01-01T00:00:00Z"), true);
    }

    #[test]
    fn what_we_own_changes_the_token_by_value_by_order_by_ownership_and_by_uid() {
        check(|live| live["data"]["a"] = json!("other"), false);
        check(|live| drop(live["data"].as_object_mut().unwrap().remove("a")), false);
        check(|live| live["list"].as_array_mut().unwrap().swap(0, 2), false);
        check(|live| live["list"][0]["v"] = json!("1"), false);
        check(|live| live["metadata"]["uid"] = json!("u2"), false);
        check(
            |live| live["metadata"]["managedFields"][0]["fieldsV1"]["f:data"] = json!({"f:a": {}, "f:b": {}}),
            false,
        );
    }

    #[test]
    fn an_object_that_we_never_applied_has_no_token() {
        assert_eq!(token(&live(), "kubectl"), None);
    }
}

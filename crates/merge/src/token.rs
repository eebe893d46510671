//! Hashes that prove that there is nothing to do.
//!
//! [`Digest`] stands for what we want of an object, [`Token`] for what the server holds of it under our name. While both are
//! as they were after our last apply, another apply would change nothing.

use crate::extract::{Hollow, finds, project};
use crate::managed::applied_by;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use std::fmt;
use trueup_model::Value;

/// 128 bits of SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash128([u8; 16]);

impl Hash128 {
    /// The first half of it.
    pub(crate) fn start(self) -> u64 {
        self.0.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

/// Hash of an object as wanted, and of all else that decides what an apply of it means.
pub type Digest = Hash128;
/// Hash of what a field manager owns of a live object: uid, its managedFields entry, the values at the paths that it lists.
pub type Token = Hash128;

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
        // Exactly what `Display` writes: an empty text stands for a wrong length and is refused as such.
        let digits = if text.len() == 32 && !text.starts_with('+') { text } else { "" };
        u128::from_str_radix(digits, 16).map(|number| Self(number.to_be_bytes()))
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
    let mut hash = Hasher::default();
    for part in [body, manager.as_bytes(), force.as_bytes(), &epoch.to_be_bytes()] {
        hash.bytes(part);
    }
    hash.finish()
}

/// The token of a live object for a field manager; `None` where the manager has applied nothing to it.
///
/// Two tokens can only be compared when both objects were read in the same version of the API.
pub fn token(live: &Value, manager: &str) -> Option<Token> {
    let entry = applied_by(live, manager)?;
    let fields = entry.get("fieldsV1")?;
    let mut hash = Hasher::default();
    hash.text(live.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default());
    hash.text(entry.get("apiVersion").and_then(Value::as_str).unwrap_or_default());
    hash.value(fields);
    let fields = fields.as_object()?;
    project(&mut hash, Some(live), fields, Hollow::HashedBesideStatus);
    // Another version may call fields otherwise. Where some of ours are not to be found, all that anybody wishes counts.
    if entry.get("apiVersion") != live.get("apiVersion") && !finds(live, fields) {
        for (name, value) in live.as_object().into_iter().flatten() {
            if !["metadata", "status"].contains(&name.as_str()) {
                hash.field(name, value);
            }
        }
    }
    Some(hash.finish())
}

/// Hashes JSON so that different values never give the same bytes: each part says what it is and where it ends.
#[derive(Default)]
pub(crate) struct Hasher(Sha256);

impl Hasher {
    pub(crate) fn finish(self) -> Hash128 {
        let full = self.0.finalize();
        let mut half = [0; 16];
        half.copy_from_slice(&full[..16]);
        Hash128(half)
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub(crate) fn object(&mut self, fields: impl FnOnce(&mut Self)) {
        self.0.update([5]);
        fields(self);
        self.0.update([6]);
    }

    pub(crate) fn array(&mut self, items: impl FnOnce(&mut Self)) {
        self.0.update([7]);
        items(self);
        self.0.update([8]);
    }

    pub(crate) fn field(&mut self, name: &str, value: &Value) {
        self.text(name);
        self.value(value);
    }

    pub(crate) fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.0.update([0]),
            Value::Bool(value) => self.0.update([1, u8::from(*value)]),
            Value::Number(number) => {
                self.0.update([3]);
                self.text(&number.to_string());
            }
            Value::String(value) => {
                self.0.update([4]);
                self.text(value);
            }
            Value::Array(items) => self.array(|hash| items.iter().for_each(|item| hash.value(item))),
            Value::Object(fields) => {
                self.object(|hash| fields.iter().for_each(|(name, value)| hash.field(name, value)));
            }
        }
    }
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
    fn an_empty_list_that_nobody_owns_changes_the_token_when_it_goes() {
        let with = |data: &Value| {
            let mut object = live();
            object["data"] = data.clone();
            token(&object, "trueup")
        };
        let (none, empty) = (json!({"a": "1"}), json!({"a": "1", "list": [], "map": {"below": {}}}));
        assert_ne!(with(&none), with(&empty));
        assert_ne!(with(&empty), with(&json!({"a": "1", "list": [], "map": {}})));
        check(|live| live["status"] = json!({}), true);
    }

    #[test]
    fn a_map_of_which_we_own_nothing_but_a_null_changes_the_token_when_it_goes() {
        let with = |spec: &Value| {
            let mut object = live();
            object["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"] =
                json!({"f:overhead": {"f:podFixed": {}}});
            object["spec"] = spec.clone();
            object["apiVersion"] = "v1".into();
            token(&object, "trueup")
        };
        assert_ne!(with(&json!({"overhead": {}})), with(&json!({})));
        assert_eq!(with(&json!({"overhead": null})), with(&json!({})), "null is taken for absent");
        assert_ne!(with(&json!({"overhead": {"podFixed": {"cpu": "1"}}})), with(&json!({"overhead": {}})));
    }

    #[test]
    fn a_hash_is_read_as_it_is_written_and_nothing_else_is() {
        let hash = digest(b"x", "trueup", "force", 1);
        assert_eq!(serde_json::from_value::<Hash128>(serde_json::to_value(hash).unwrap()).unwrap(), hash);
        for wrong in ["", "1", "+0000000000000000000000000000000", &format!("{hash}0")] {
            assert!(wrong.parse::<Hash128>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn an_item_of_a_list_that_is_there_twice_counts_twice() {
        let mut twice = live();
        let again = twice["list"][0].clone();
        twice["list"].as_array_mut().unwrap().push(again);
        let before = token(&twice, "trueup");
        assert_ne!(before, token(&live(), "trueup"));
        twice["list"][3]["v"] = json!(7);
        assert_ne!(before, token(&twice, "trueup"));
    }

    #[test]
    fn what_another_version_calls_otherwise_changes_the_token_all_the_same() {
        let read = |version: &str, spec: &Value| {
            let object = json!({"apiVersion": version, "metadata": {"uid": "u1", "managedFields": [
                {"manager": "trueup", "operation": "Apply", "apiVersion": "x/v1beta1", "fieldsV1":
                    {"f:spec": {"f:map": {"k:{\"name\":\"a\"}": {".": {}, "f:name": {}, "f:text": {}}}, "f:unordered": {"v:1": {}, "v:2": {}}}}}]},
                "spec": spec, "status": {"n": 1}});
            token(&object, "trueup")
        };
        let old = |order: &[u8]| {
            read(
                "x/v1beta1",
                &json!({"map": [{"name": "a", "text": ""}], "unordered": order, "other": order.len()}),
            )
        };
        let new = |order: &[u8]| read("x/v1", &json!({"map": [{"name": "a", "value": ""}], "set": order}));
        assert_ne!(old(&[1, 2]), old(&[2, 1]));
        assert_ne!(new(&[1, 2]), new(&[2, 1]));
        assert_eq!(
            old(&[1, 2]),
            read("x/v1", &json!({"map": [{"name": "a", "text": ""}], "unordered": [1, 2]})),
            "called the same"
        );
    }

    #[test]
    fn an_object_that_we_never_applied_has_no_token() {
        assert_eq!(token(&live(), "kubectl"), None);
    }
}

//! What may be shown of a Secret: which values are equal and which are not, and nothing else.

use sha2::{Digest, Sha256};
use trueup_model::Value;

/// A key for the hashes of one showing. Never stored: hashes of two showings must not be comparable.
pub type MaskKey = [u8; 32];

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Whether the object's values must not be shown.
pub fn is_secret(object: &Value) -> bool {
    object.get("kind").and_then(Value::as_str) == Some("Secret")
        && object.get("apiVersion").and_then(Value::as_str) == Some("v1")
}

/// Replaces each value of a Secret's `data` and `stringData`, and its last-applied annotation, by a short keyed hash.
/// Objects of other kinds stay as they are.
pub fn mask(object: &mut Value, key: &MaskKey) {
    if !is_secret(object) {
        return;
    }
    for field in ["data", "stringData"] {
        match object.get_mut(field) {
            Some(Value::Object(values)) => {
                for value in values.values_mut() {
                    *value = Value::String(masked(value, key));
                }
            }
            Some(other) => *other = Value::String(masked(other, key)),
            None => {}
        }
    }
    let annotations = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut);
    if let Some(value) = annotations.and_then(|annotations| annotations.get_mut(LAST_APPLIED)) {
        *value = Value::String(masked(value, key));
    }
}

/// What is shown instead of a value: `<hash 1f2e3d4c>`; equal values show equal hashes under one key.
pub fn masked(value: &Value, key: &MaskKey) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    // Keyed on both ends, so that no extension of a value has a hash that follows from its own.
    let hash = Sha256::new().chain_update(key).chain_update(text.as_bytes()).chain_update(key).finalize();
    format!("<hash {:02x}{:02x}{:02x}{:02x}>", hash[0], hash[1], hash[2], hash[3])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_secret_shows_hashes_and_other_kinds_show_themselves() {
        let mut secret = json!({"apiVersion": "v1", "kind": "Secret", "data": {"a": "aGk=", "b": "aGk=", "c": "eA=="},
            "metadata": {"annotations": {LAST_APPLIED: "{\"data\":{\"a\":\"aGk=\"}}"}}});
        mask(&mut secret, &[7; 32]);
        assert!(!secret.to_string().contains("aGk="));
        assert_eq!(secret["data"]["a"], secret["data"]["b"]);
        assert_ne!(secret["data"]["a"], secret["data"]["c"]);
        let mut other = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "x"}});
        mask(&mut other, &[7; 32]);
        assert_eq!(other["data"]["a"], "x");
    }

    #[test]
    fn hashes_of_two_keys_cannot_be_compared() {
        assert_ne!(masked(&json!("x"), &[1; 32]), masked(&json!("x"), &[2; 32]));
    }
}

//! What may be shown of a Secret: which values are equal and which are not, and nothing else.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use trueup_model::{Segment, Value};

/// A key for the hashes of one showing. Never stored: hashes of two showings must not be comparable.
pub type MaskKey = [u8; 32];

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Whether the object's values must not be shown.
pub fn is_secret(object: &Value) -> bool {
    object.get("kind").and_then(Value::as_str) == Some("Secret")
        && object.get("apiVersion").and_then(Value::as_str) == Some("v1")
}

/// Whether a field of a Secret holds, or may hold, what must not be shown. Annotations do: client-side apply keeps the whole
/// manifest in one.
pub fn is_confidential(path: &[Segment]) -> bool {
    let names: Vec<Option<&str>> = path
        .iter()
        .map(|segment| match segment {
            Segment::Field(name) => Some(name.as_str()),
            Segment::Key(_) | Segment::Value(_) | Segment::Index(_) => None,
        })
        .collect();
    match names.as_slice() {
        [Some("data" | "stringData"), ..]
        | []
        | [Some("metadata")]
        | [Some("metadata"), Some("annotations")] => true,
        [Some("metadata"), Some("annotations"), annotation, ..] => *annotation == Some(LAST_APPLIED),
        _ => false,
    }
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
    let hash = hmac(key, text.as_bytes());
    format!("<hash {:02x}{:02x}{:02x}{:02x}>", hash[0], hash[1], hash[2], hash[3])
}

/// A text, such as the message of a refusal, without the values of the Secret that it is about, both as they are written and
/// decoded. Values that are too short to be told from ordinary words stay.
pub fn scrubbed(text: &str, secret: &Value, key: &MaskKey) -> String {
    const SHORTEST: usize = 4;
    if !is_secret(secret) {
        return text.to_owned();
    }
    let mut values: Vec<String> = Vec::new();
    for field in ["data", "stringData"] {
        let mut written = Vec::new();
        scalars(secret.get(field).unwrap_or(&Value::Null), &mut written);
        for written in written {
            let plain = STANDARD.decode(&written).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            values.extend(plain.filter(|_| field == "data").map(|plain| plain.trim().to_owned()));
            values.push(written);
        }
    }
    values.retain(|value| value.len() >= SHORTEST);
    // The longest first: one value may be a part of another.
    values.sort_by_key(|value| std::cmp::Reverse(value.len()));
    values
        .iter()
        .fold(text.to_owned(), |text, value| text.replace(value, &masked(&Value::from(value.as_str()), key)))
}

// A Secret that is refused may have any shape, a list where a text belongs.
fn scalars(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.values().for_each(|value| scalars(value, found)),
        Value::Array(items) => items.iter().for_each(|value| scalars(value, found)),
        Value::String(text) => found.push(text.clone()),
        Value::Number(number) => found.push(number.to_string()),
        Value::Bool(_) | Value::Null => {}
    }
}

// HMAC (RFC 2104) over SHA-256; the key is shorter than a block, so it is only padded.
fn hmac(key: &MaskKey, text: &[u8]) -> [u8; 32] {
    const BLOCK: usize = 64;
    let padded = |pad: u8| {
        let mut block = [pad; BLOCK];
        block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
        block
    };
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(text).finalize();
    Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize().into()
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

    #[test]
    fn the_keyed_hash_is_hmac() {
        // Test case 1 of RFC 4231: a key of 20 bytes is the same as one padded with zeros.
        let mut key = [0; 32];
        key[..20].fill(0x0b);
        let hash = hmac(&key, b"Hi There");
        assert_eq!(hash[..8], [0xb0, 0x34, 0x4c, 0x61, 0xd8, 0xdb, 0x38, 0x53]);
    }

    #[test]
    fn a_message_about_a_secret_does_not_quote_it() {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "data": {"a": "aHVudGVyMg=="}, "stringData": {"b": "swordfish", "c": "x"}});
        let text = scrubbed(".data: expected map, got [aHVudGVyMg==, hunter2, swordfish]", &secret, &[1; 32]);
        assert!(text.starts_with(".data: expected map, got [<hash "), "{text}");
        for value in ["aHVudGVyMg", "hunter2", "swordfish"] {
            assert!(!text.contains(value), "{text}");
        }
    }

    #[test]
    fn a_secret_of_the_wrong_shape_is_not_quoted_either() {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "data": ["swordfish", {"a": ["hunter2"]}], "stringData": 123_456});
        let text =
            scrubbed(".data: expected map, got [swordfish map[a:[hunter2]]] and 123456", &secret, &[1; 32]);
        assert!(
            !text.contains("swordfish") && !text.contains("hunter2") && !text.contains("123456"),
            "{text}"
        );
    }
}

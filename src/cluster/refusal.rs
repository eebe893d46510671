//! Makes the refusal of an apply say all that it can and nothing that it must not: the very fields that may not change, and no
//! value of a Secret.

use super::error::{ApiError, ApiErrorClass};
use super::{Apply, Cluster};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::OnceLock;
use trueup_merge::refusal::immutable_fields_between;
use trueup_merge::secrets::{MaskKey, scrubbed};
use trueup_model::Value;

impl Cluster {
    /// The refusal of an apply, as it may be shown.
    pub(super) async fn explained(&self, request: &Apply<'_>, mut error: ApiError) -> ApiError {
        let wanted: Value = serde_json::from_slice(request.body).unwrap_or_default();
        let status = error.status.take();
        // The server may name only the part of the object that is fixed; the live object tells which field of it differs.
        if let (ApiErrorClass::Immutable(named), Some(status)) = (&error.class, status)
            && let Ok(Some(live)) = self.get_in(request.id, request.api_version).await
        {
            let fields = immutable_fields_between(&status, &live, &wanted);
            if !fields.is_empty() && fields != *named {
                error.message = error.message.replacen(
                    &format!("immutable: {}", named.join(", ")),
                    &format!("immutable: {}", fields.join(", ")),
                    1,
                );
                error.class = ApiErrorClass::Immutable(fields);
            }
        }
        error.message = harmless(&error.message, &wanted);
        error
    }
}

/// A message about an object, which quotes no value of it where it is a Secret.
fn harmless(message: &str, wanted: &Value) -> String {
    scrubbed(message, wanted, key())
}

// Hashes of one process can be compared with each other, which tells that a value is still the one that was refused.
fn key() -> &'static MaskKey {
    static KEY: OnceLock<MaskKey> = OnceLock::new();
    KEY.get_or_init(|| {
        let mut key = MaskKey::default();
        for (part, index) in key.chunks_mut(8).zip(0_u8..) {
            part.copy_from_slice(&RandomState::new().hash_one(index).to_be_bytes());
        }
        key
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_refusal_of_a_secret_quotes_none_of_its_values_and_others_stay_as_they_are() {
        let words = "patch Secret a/b: Invalid value: \"swordfish\": must be shorter";
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "stringData": {"password": "swordfish"}});
        let shown = harmless(words, &secret);
        assert!(!shown.contains("swordfish") && shown.contains("must be shorter"), "{shown}");
        assert_eq!(shown, harmless(words, &secret));
        let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"password": "swordfish"}});
        assert_eq!(harmless(words, &config), words);
    }
}

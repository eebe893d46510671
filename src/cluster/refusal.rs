//! Makes the refusal of an apply say all that it can and nothing that it must not: the very fields that may not change, and no
//! value of a Secret.

use super::error::{ApiError, ApiErrorClass};
use super::{Apply, Cluster};
use trueup_merge::refusal::immutable_fields_between;
use trueup_merge::secrets::scrubbed;
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
        error.message = scrubbed(&error.message, &wanted, &self.0.mask);
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_refusal_of_a_secret_quotes_none_of_its_values_and_others_stay_as_they_are() {
        let words = "patch Secret a/b: Invalid value: \"swordfish\": must be shorter";
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "stringData": {"password": "swordfish"}});
        let shown = scrubbed(words, &secret, &[7; 32]);
        assert!(!shown.contains("swordfish") && shown.contains("must be shorter"), "{shown}");
        assert_eq!(shown, scrubbed(words, &secret, &[7; 32]));
        let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"password": "swordfish"}});
        assert_eq!(scrubbed(words, &config, &[7; 32]), words);
    }
}

//! The part of a Repository, or of an AppSet's `pullRequests`, that says what a forge's webhook has to prove.

use super::problem::{Findings, Place};
use super::repository::Secret;
use super::resource::absolute;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A webhook: the secret that is shared with the forge, from `secret` or from `secretRef`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Webhook {
    /// The secret, from a file or an environment variable of this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    /// The secret, from a Secret in the cluster that trueup runs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SharedSecret>,
    /// The URL that the forge knows the repository by, where it is another one than trueup uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// A Secret with what both sides know: the secret of a webhook, the token of an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SharedSecret {
    /// Name of the Secret.
    pub name: String,
    /// Namespace of the Secret; trueup's own where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The key in the Secret; `token` where it is left out, as in Flux's Receivers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

impl SharedSecret {
    /// The key in the Secret.
    pub fn key(&self) -> &str {
        self.key.as_deref().unwrap_or("token")
    }
}

impl Webhook {
    pub(super) fn check(&self, place: Place, findings: &mut Findings) {
        if self.secret.is_some() == self.secret_ref.is_some() {
            let message = "a webhook needs its secret from `secret` or from `secretRef`: one of the two";
            findings.add(place, message);
        }
    }

    pub(super) fn resolve_paths(&mut self, folder: &Path) {
        if let Some(Secret::File(path)) = &mut self.secret {
            *path = absolute(path, folder);
        }
    }
}

//! The part of a Cluster that says who keeps it: an agent within it, which reaches out to this trueup.

use super::problem::{Findings, Place};
use super::repository::Secret;
use super::resource::absolute;
use super::webhook::SharedSecret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The agent of a Cluster: what it proves itself with, from `token` or from `secretRef`. Nothing that reaches the cluster is known here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AgentSpec {
    /// The token, from a file or an environment variable of this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
    /// The token, from a Secret in the cluster that trueup runs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SharedSecret>,
}

impl AgentSpec {
    pub(super) fn check(&self, findings: &mut Findings) {
        if self.token.is_some() == self.secret_ref.is_some() {
            let message =
                "an agent proves itself with a token from `token` or from `secretRef`: one of the two";
            findings.add(Place::spec("agent"), message);
        }
    }

    pub(super) fn check_resource(&self, findings: &mut Findings) {
        if self.token.is_some() {
            let message = "a resource has the token in a Secret of its namespace: use `secretRef`";
            findings.add(Place::spec("agent").field("token"), message);
        }
    }

    pub(super) fn resolve_paths(&mut self, folder: &Path) {
        if let Some(Secret::File(path)) = &mut self.token {
            *path = absolute(path, folder);
        }
    }
}

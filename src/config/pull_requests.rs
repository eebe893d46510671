//! The generator of an AppSet that finds pull requests: which forge is asked, how, and which of the requests count.

use super::duration;
use super::problem::{Findings, Place};
use super::repository::Credentials;
use super::resource::SecretRef;
use super::webhook::Webhook;
use crate::source::forge::{Address, Forge};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;
use std::time::Duration;

/// Open pull requests of a repository on GitHub, GitLab (merge requests) or Gitea: exactly one of the three.
///
/// Requests from forks are left out unless `forks` says otherwise: what somebody pushes who has no right to push to the repository itself
/// would be applied with all rights that trueup has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PullRequests {
    /// A repository on github.com or a GitHub Enterprise Server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub github: Option<OwnedRepository>,
    /// A project on gitlab.com or another GitLab.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gitlab: Option<GitLabProject>,
    /// A repository on a Gitea or Forgejo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gitea: Option<OwnedRepository>,
    /// Labels that a request has to carry, all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Takes requests from forks, too.
    #[serde(default)]
    pub forks: bool,
    /// How many requests have Apps at most: those with the lowest numbers. Others wait, and the status names them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<NonZeroU32>,
    /// How long a request has Apps after the last push to it.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "duration::optional")]
    #[schemars(schema_with = "duration::optional::schema")]
    pub time_to_live: Option<Duration>,
    /// How often the forge is asked.
    #[serde(default = "PullRequests::default_interval", with = "duration")]
    #[schemars(schema_with = "duration::schema")]
    pub interval: Duration,
    /// A Secret with a token under `token`, `bearerToken` or `password`, and an authority under `ca.crt` or `caFile`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
    /// Credentials from files or environment variables of this machine: `bearerToken` or `password`, and `ca`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
    /// The webhook by which the forge says that a request changed. It makes trueup ask at once, and nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Webhook>,
    /// Sends the token over plain http to other machines than this one. Anyone on the way can read it.
    #[serde(default)]
    pub insecure: bool,
}

/// A repository of a user or an organisation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OwnedRepository {
    /// The user or organisation.
    pub owner: String,
    /// The repository.
    pub repo: String,
    /// The address of a server of one's own, such as `https://git.example.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
}

/// A project of GitLab.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GitLabProject {
    /// Its path, such as `group/project`, or its number.
    pub project: String,
    /// The address of a server of one's own, such as `https://gitlab.example.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
}

impl PullRequests {
    /// How often the forge is asked where nothing else is written.
    pub fn default_interval() -> Duration {
        Duration::from_mins(1)
    }

    /// The forge, and the repository on it.
    ///
    /// # Errors
    /// What is wrong, and the field.
    pub fn address(&self) -> Result<Address, (&'static str, String)> {
        match (&self.github, &self.gitlab, &self.gitea) {
            (Some(one), None, None) => owned(Forge::GitHub, "github", one),
            (None, None, Some(one)) => owned(Forge::Gitea, "gitea", one),
            (None, Some(one), None) => {
                Address::new(Forge::GitLab, one.api.as_deref(), &one.project).map_err(|why| ("gitlab", why))
            }
            (_, _, _) => Err(("", "a forge is exactly one of `github`, `gitlab` and `gitea`".to_owned())),
        }
    }

    pub(super) fn check(&self, place: &Place, findings: &mut Findings) {
        if let Err((field, why)) = self.address() {
            let place = if field.is_empty() { place.clone() } else { place.field(field) };
            findings.add(place, why);
        }
        if self.credentials.is_some() && self.secret_ref.is_some() {
            let message = "credentials come from `secretRef` or from `credentials`, not from both";
            findings.add(place.field("credentials"), message);
        }
        if let Some(webhook) = &self.webhook {
            webhook.check(place.field("webhook"), findings);
        }
    }
}

fn owned(
    forge: Forge,
    field: &'static str,
    one: &OwnedRepository,
) -> Result<Address, (&'static str, String)> {
    for part in [&one.owner, &one.repo] {
        if part.is_empty() || part.contains('/') {
            return Err((field, format!("{part:?} is no name of an owner or a repository")));
        }
    }
    let path = format!("{}/{}", one.owner, one.repo);
    Address::new(forge, one.api.as_deref(), &path).map_err(|why| (field, why))
}

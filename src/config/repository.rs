//! `kind: Repository`: a Git source.

use super::duration;
use super::problem::{Findings, Place};
use super::resource::{Kind, SecretRef, Spec, absolute};
use super::share;
use super::webhook::Webhook;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use trueup_plan::budget::Budget;

/// A Git source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RepositorySpec {
    /// Where it is: https, http, ssh (also `git@host:path`), `file://`, or a local folder, which is watched.
    pub url: String,
    /// What of it is followed; the branch that the remote's HEAD names where this is left out.
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
    /// How often the remote is asked for new commits. It is one small request, and answers to webhooks come sooner.
    #[serde(default = "RepositorySpec::default_interval", with = "duration")]
    #[schemars(schema_with = "duration::schema")]
    pub interval: Duration,
    /// How long one request to the remote may take.
    #[serde(default = "RepositorySpec::default_timeout", with = "duration")]
    #[schemars(schema_with = "duration::schema")]
    pub timeout: Duration,
    /// A Secret with the credentials, under the keys that Flux and Argo CD use: `username` and `password`,
    /// `bearerToken`, `identity` and `known_hosts`, `ca.crt` or `caFile`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
    /// Credentials from files or environment variables of this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
    /// The webhook by which a forge says that there is something new. It makes trueup ask at once, and nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Webhook>,
    /// How many objects that came from this repository may be deleted within an hour, on all clusters together, because they left it: a number,
    /// or a share such as `5%`, rounded up. What exceeds it is held until a person confirms it. No bound by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "share::schema")]
    pub max_prune: Option<Budget>,
    /// Reads the working tree instead of the last commit. Only for a local folder.
    #[serde(default)]
    pub worktree: bool,
    /// Sends credentials over plain http to other machines than this one. Anyone on the way can read them.
    #[serde(default)]
    pub insecure: bool,
    /// Stops looking for new commits; what is applied stays.
    #[serde(default)]
    pub suspend: bool,
}

/// What of a repository is followed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Reference {
    /// The head of a branch.
    Branch(String),
    /// A tag.
    Tag(String),
    /// The highest tag in a range of versions, such as `>=1.2, <2`; a leading `v` of tags does not matter.
    Semver(String),
    /// One commit, as 40 (or, with SHA-256, 64) hexadecimal digits.
    Commit(String),
}

impl Reference {
    /// The field that it is written under, and what is written there.
    pub(super) fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::Branch(name) => ("branch", name),
            Self::Tag(name) => ("tag", name),
            Self::Semver(range) => ("semver", range),
            Self::Commit(id) => ("commit", id),
        }
    }

    /// The same with another text.
    pub(super) fn with(&self, text: String) -> Self {
        match self {
            Self::Branch(_) => Self::Branch(text),
            Self::Tag(_) => Self::Tag(text),
            Self::Semver(_) => Self::Semver(text),
            Self::Commit(_) => Self::Commit(text),
        }
    }

    /// Why nothing can be called so.
    pub(super) fn wrong(&self) -> Option<String> {
        match self {
            Self::Branch(name) if !is_ref_name(name) => {
                Some(format!("{name:?} cannot be the name of a branch"))
            }
            Self::Tag(name) if !is_ref_name(name) => Some(format!("{name:?} cannot be the name of a tag")),
            Self::Semver(range) => {
                let error = semver::VersionReq::parse(range).err()?;
                Some(format!("{range:?} is not a range of versions such as `>=1.2, <2`: {error}"))
            }
            Self::Commit(id) if !is_commit_id(id) => {
                Some(format!("{id:?} is not a full commit id of 40 or 64 digits"))
            }
            Self::Branch(_) | Self::Tag(_) | Self::Commit(_) => None,
        }
    }
}

/// Such as `branch/main`.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (field, text) = self.parts();
        write!(f, "{field}/{text}")
    }
}

/// Credentials from this machine. Each says where its value is, secrets are never written here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Credentials {
    /// User name for https and http; `git` where there is only a password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<Setting>,
    /// Password or token that goes with the user name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// Token that is sent as `Authorization: Bearer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer_token: Option<Secret>,
    /// Certificate authority of the server, PEM, in addition to the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<Setting>,
    /// Private key for ssh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh_key: Option<Secret>,
    /// Host keys for ssh, as in `known_hosts`; the user's own file where this is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_hosts: Option<Setting>,
}

/// Where a value is that must not be seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-secret" = true))]
pub enum Secret {
    /// In an environment variable of trueup.
    Env(String),
    /// In a file, whose last line break does not count.
    File(String),
}

/// Where a value is that may be seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Setting {
    /// In an environment variable of trueup.
    Env(String),
    /// In a file.
    File(String),
    /// Right here.
    Value(String),
}

/// Where a repository is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// Behind a URL that Git's transports understand.
    Remote(String),
    /// In a folder of this machine.
    Folder(PathBuf),
}

impl RepositorySpec {
    /// A folder of this machine, with nothing else said about it.
    pub fn local(path: &str) -> Self {
        Self {
            url: path.to_owned(),
            reference: None,
            interval: Self::default_interval(),
            timeout: Self::default_timeout(),
            secret_ref: None,
            credentials: None,
            webhook: None,
            max_prune: None,
            worktree: false,
            insecure: false,
            suspend: false,
        }
    }

    /// How often a remote is asked for new commits where nothing else is written.
    pub fn default_interval() -> Duration {
        Duration::from_secs(30)
    }

    /// How long one request may take where nothing else is written.
    pub fn default_timeout() -> Duration {
        Duration::from_mins(1)
    }

    /// Whether the URL is a remote or a folder of this machine.
    pub fn location(&self) -> Location {
        let url = self.url.as_str();
        let local = url.starts_with(['/', '.', '~']);
        let scp_like = url.split_once(':').is_some_and(|(host, _)| !host.contains('/'));
        if !local && (url.contains("://") || scp_like) {
            Location::Remote(url.to_owned())
        } else {
            Location::Folder(PathBuf::from(url))
        }
    }

    fn check_url(&self, findings: &mut Findings) {
        let place = Place::spec("url");
        if self.url.trim().is_empty() {
            return findings.add(place, "a repository needs a URL or a folder");
        }
        let Some((scheme, rest)) = self.url.split_once("://") else { return };
        if !matches!(scheme, "https" | "http" | "ssh" | "file") {
            let known = ["https", "http", "ssh", "file"];
            let near = super::nearest::suggestion(scheme, known, "");
            return findings.add(place, format!("`{scheme}://` is not a way to reach a repository{near}"));
        }
        let authority = rest.split('/').next().unwrap_or_default();
        if scheme == "file" {
            if !rest.starts_with('/') {
                findings.add(place, "a file:// URL needs an absolute path, such as file:///srv/config.git");
            }
        } else if authority.is_empty() || authority.ends_with('@') {
            findings.add(place, "the URL names no host");
        } else if authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':')) {
            findings.add(
                place,
                "a password does not belong in the URL: use `secretRef`, or `credentials` with {env: NAME} or {file: PATH}",
            );
        }
    }

    fn check_reference(&self, findings: &mut Findings) {
        let Some(reference) = &self.reference else { return };
        if let Some(wrong) = reference.wrong() {
            findings.add(Place::spec("ref").field(reference.parts().0), wrong);
        }
    }
}

impl Spec for RepositorySpec {
    const KIND: Kind = Kind::Repository;

    fn check(&self, findings: &mut Findings) {
        self.check_url(findings);
        self.check_reference(findings);
        if self.worktree {
            match self.location() {
                Location::Remote(_) => {
                    findings.add(Place::spec("worktree"), "only a local folder has a working tree");
                }
                Location::Folder(_) if self.reference.is_some() => {
                    findings
                        .add(Place::spec("worktree"), "a working tree has no `ref`: take one of the two out");
                }
                Location::Folder(_) => {}
            }
        }
        if let Some(webhook) = &self.webhook {
            webhook.check(Place::spec("webhook"), findings);
        }
        if let Some(credentials) = &self.credentials {
            if self.secret_ref.is_some() {
                let message = "credentials come from `secretRef` or from `credentials`, not from both";
                findings.add(Place::spec("credentials"), message);
            }
            if credentials.password.is_some() && credentials.bearer_token.is_some() {
                let message = "a password and a bearer token cannot be used together";
                findings.add(Place::spec("credentials").field("bearerToken"), message);
            }
        }
    }

    fn resolve_paths(&mut self, folder: &Path) {
        if let Location::Folder(_) = self.location() {
            self.url = absolute(&self.url, folder);
        }
        if let Some(webhook) = &mut self.webhook {
            webhook.resolve_paths(folder);
        }
        if let Some(credentials) = &mut self.credentials {
            credentials.resolve_paths(folder);
        }
    }

    fn check_resource(&self, findings: &mut Findings) {
        let local = match self.location() {
            Location::Folder(_) => true,
            Location::Remote(url) => url.starts_with("file://"),
        };
        if local {
            let message = "a resource names no files of the machine that trueup runs on: use https://, http://, ssh:// or user@host:path";
            findings.add(Place::spec("url"), message);
        }
        if self.credentials.is_some() {
            findings.add(Place::spec("credentials"), IN_A_SECRET);
        }
        if self.webhook.as_ref().is_some_and(|webhook| webhook.secret.is_some()) {
            findings.add(Place::spec("webhook").field("secret"), IN_A_SECRET);
        }
    }

    fn secret_namespaces(&mut self) -> Vec<(Place, &mut Option<String>)> {
        let secret = self.secret_ref.as_mut().map(|secret| (Place::spec("secretRef"), &mut secret.namespace));
        let webhook = self.webhook.as_mut().and_then(|webhook| webhook.secret_ref.as_mut());
        let webhook =
            webhook.map(|secret| (Place::spec("webhook").field("secretRef"), &mut secret.namespace));
        secret.into_iter().chain(webhook).collect()
    }
}

/// What is said of credentials that a custom resource has from elsewhere.
pub(super) const IN_A_SECRET: &str =
    "a resource has its credentials in a Secret of its namespace: use `secretRef`";

impl Credentials {
    /// Makes paths on this machine absolute.
    pub(super) fn resolve_paths(&mut self, folder: &Path) {
        for secret in [&mut self.password, &mut self.bearer_token, &mut self.ssh_key] {
            if let Some(Secret::File(path)) = secret {
                *path = absolute(path, folder);
            }
        }
        for setting in [&mut self.username, &mut self.ca, &mut self.known_hosts] {
            if let Some(Setting::File(path)) = setting {
                *path = absolute(path, folder);
            }
        }
    }
}

fn is_commit_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The rules of `git check-ref-format` that people run into.
fn is_ref_name(name: &str) -> bool {
    let forbidden = |c: char| c.is_whitespace() || c.is_control() || "~^:?*[\\".contains(c);
    !(name.is_empty()
        || name.contains(forbidden)
        || name.contains("..")
        || name.contains("//")
        || name.contains("@{")
        || name.starts_with(['-', '/', '.'])
        || name.ends_with(['/', '.'])
        || name.strip_suffix(".lock").is_some())
}

//! The files that the components read: certificates, tokens, kubeconfigs, the audit policy and kwok's stages.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

use crate::audit;
use crate::certificates::{Authority, signing_key};
use crate::control_plane::options::User;

/// The user of the kubeconfig that tests and trueup use.
pub(crate) const ADMINISTRATOR: &str = "admin";

const ADMINISTRATORS: &str = "system:masters";

/// Whom the control plane's own parts are seen as.
const PARTS: [&str; 3] = ["system:kube-controller-manager", "system:kube-scheduler", "system:kwok"];

const STAGES: &str = include_str!("stages.yaml");

/// The folder of one control plane.
#[derive(Debug)]
pub(crate) struct Files {
    folder: PathBuf,
    server: String,
    authority: String,
    users: Vec<User>,
}

impl Files {
    /// Writes everything that is known before the first component starts.
    pub(crate) fn write(folder: &Path, api_port: u16, users: &[User]) -> Result<Self> {
        let authority = Authority::new()?;
        let server = authority.loopback()?;
        let (private, public) = signing_key()?;
        let files = Self {
            folder: folder.to_owned(),
            server: format!("https://127.0.0.1:{api_port}"),
            authority: authority.certificate().to_owned(),
            users: built_in_users().chain(users.iter().cloned()).collect(),
        };
        files.put("ca.crt", authority.certificate())?;
        files.put("apiserver.crt", &server.certificate)?;
        files.put("apiserver.key", &server.key)?;
        files.put("service-accounts.key", &private)?;
        files.put("service-accounts.pub", &public)?;
        files.put("tokens.csv", &files.tokens())?;
        files.put("audit-policy.yaml", audit::POLICY)?;
        files.put("stages.yaml", STAGES)?;
        for user in &files.users {
            files.put(&kubeconfig_name(&user.name), &files.kubeconfig_text(user)?)?;
        }
        Ok(files)
    }

    /// A file of the folder, as a flag's value.
    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// The kubeconfig of one of the users, if there is such a user.
    pub(crate) fn kubeconfig(&self, user: &str) -> Option<PathBuf> {
        let known = self.users.iter().any(|known| known.name == user);
        known.then(|| self.folder.join(kubeconfig_name(user)))
    }

    /// The form of `--token-auth-file`: token, user, uid, groups.
    fn tokens(&self) -> String {
        let line =
            |user: &User| format!("{},{},{},\"{}\"", user.token, user.name, user.name, user.groups.join(","));
        self.users.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// JSON, which is YAML.
    fn kubeconfig_text(&self, user: &User) -> Result<String> {
        let name = "trueup-testkit";
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": name,
            "clusters": [{"name": name, "cluster": {
                "server": self.server,
                "certificate-authority-data": BASE64_STANDARD.encode(&self.authority),
            }}],
            "users": [{"name": user.name, "user": {"token": user.token}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": user.name}}],
        });
        Ok(serde_json::to_string_pretty(&config)?)
    }

    fn put(&self, name: &str, text: &str) -> Result<()> {
        let path = self.folder.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}

fn built_in_users() -> impl Iterator<Item = User> {
    // RBAC's bootstrap roles want the controller manager to use a service account a controller; tests need no such care.
    PARTS
        .into_iter()
        .chain([ADMINISTRATOR])
        .map(|name| User { groups: vec![ADMINISTRATORS.to_owned()], ..User::named(name) })
}

fn kubeconfig_name(user: &str) -> String {
    match user {
        ADMINISTRATOR => "kubeconfig".to_owned(),
        other => format!("{}.kubeconfig", other.replace([':', '/'], "-")),
    }
}

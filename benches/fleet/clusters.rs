//! Clusters that share a few API servers: each is a namespace, an account that has all rights in it and none elsewhere, and a kubeconfig.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use trueup_testkit::{Api, Components, ControlPlane, Options};

use crate::Size;

const ACCOUNT: &str = "trueup";

pub(crate) struct Clusters {
    planes: Vec<ControlPlane>,
    kubeconfigs: Vec<PathBuf>,
    /// Where the kubeconfigs are.
    _folder: TempDir,
}

/// The name of a cluster, and of its namespace.
pub(crate) fn name(index: usize) -> String {
    format!("c-{index:04}")
}

impl Clusters {
    pub(crate) fn start(size: Size) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut planes = Vec::new();
        for _ in 0..size.servers {
            // Without controllers: they would take from the processor what is measured.
            let options = Options { components: Components::ApiOnly, ..Options::default() };
            planes.push(ControlPlane::start(options)?);
        }
        let mut kubeconfigs = Vec::new();
        for index in 0..size.clusters {
            let plane = &planes[index % planes.len()];
            let file = folder.path().join(name(index));
            let kubeconfig = account(plane.api(), plane.kubeconfig(), &name(index))?;
            fs::write(&file, kubeconfig.to_string())?;
            kubeconfigs.push(file);
        }
        Ok(Self { planes, kubeconfigs, _folder: folder })
    }

    pub(crate) fn kubeconfig(&self, index: usize) -> &Path {
        &self.kubeconfigs[index]
    }

    /// The API server of a cluster, seen as its administrator.
    pub(crate) fn api(&self, index: usize) -> &Api {
        self.planes[index % self.planes.len()].api()
    }
}

/// Makes the namespace and its account; gives the kubeconfig.
fn account(api: &Api, kubeconfig: &Path, namespace: &str) -> Result<Value> {
    let made = |path: &str, object: Value| {
        api.create(path, &object).map(drop).with_context(|| format!("{namespace}: {path}"))
    };
    made(
        "/api/v1/namespaces",
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}),
    )?;
    let accounts = format!("/api/v1/namespaces/{namespace}/serviceaccounts");
    made(&accounts, json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT}}))?;
    let rights = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}");
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": ACCOUNT},
        "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}],
    });
    made(&format!("{rights}/roles"), role)?;
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": ACCOUNT},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": ACCOUNT},
        "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": namespace}],
    });
    made(&format!("{rights}/rolebindings"), binding)?;
    api.as_account(kubeconfig, namespace, ACCOUNT)
}

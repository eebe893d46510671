//! `kind: Cluster`: how to reach one Kubernetes API.

use super::problem::{Findings, Place};
use super::resource::{Kind, Spec, absolute};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;
use std::path::Path;

/// How to reach one Kubernetes API: exactly one of `kubeconfig`, `secretRef` and `inCluster`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClusterSpec {
    /// A kubeconfig file of this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubeconfig: Option<Kubeconfig>,
    /// A Secret that holds a kubeconfig, or what Argo CD keeps of a cluster, in the cluster that trueup runs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<KubeconfigSecret>,
    /// `true` for the cluster that trueup itself runs in.
    #[serde(default)]
    pub in_cluster: bool,
    /// How many requests may be under way at once, at most; it adapts to the server by itself below that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_in_flight: Option<NonZeroU32>,
}

/// A kubeconfig file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Kubeconfig {
    /// Path of the file; `KUBECONFIG` or `~/.kube/config` where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The context in it; its current one where this is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
}

/// A Secret with a kubeconfig, as Cluster API and Flux write it, or with `server` and `config`, as Argo CD does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KubeconfigSecret {
    /// Name of the Secret.
    pub name: String,
    /// Namespace of the Secret; trueup's own where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The key of the kubeconfig in the Secret; `value` or `kubeconfig` where it is left out, whichever is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// The one way in which a cluster is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access<'a> {
    /// Through a kubeconfig file.
    Kubeconfig(&'a Kubeconfig),
    /// Through a kubeconfig in a Secret.
    Secret(&'a KubeconfigSecret),
    /// Through the service account that trueup runs as.
    InCluster,
}

impl ClusterSpec {
    /// How the cluster is reached; `None` where none or several ways are written, which a check refuses.
    pub fn access(&self) -> Option<Access<'_>> {
        match (&self.kubeconfig, &self.secret_ref, self.in_cluster) {
            (Some(kubeconfig), None, false) => Some(Access::Kubeconfig(kubeconfig)),
            (None, Some(secret), false) => Some(Access::Secret(secret)),
            (None, None, true) => Some(Access::InCluster),
            (Some(_), Some(_), _) | (Some(_) | None, _, true) | (None, None, false) => None,
        }
    }
}

impl Spec for ClusterSpec {
    const KIND: Kind = Kind::Cluster;

    fn check(&self, findings: &mut Findings) {
        if self.access().is_none() {
            let message =
                "a cluster is reached through exactly one of `kubeconfig`, `secretRef` and `inCluster: true`";
            findings.add(Place::root("spec"), message);
        }
    }

    fn resolve_paths(&mut self, folder: &Path) {
        if let Some(path) = self.kubeconfig.as_mut().and_then(|kubeconfig| kubeconfig.path.as_mut()) {
            *path = absolute(path, folder);
        }
    }

    fn check_resource(&self, findings: &mut Findings) {
        if self.kubeconfig.is_some() {
            let message = "a resource names no files of the machine that trueup runs on: put the kubeconfig in a Secret and use `secretRef`";
            findings.add(Place::spec("kubeconfig"), message);
        }
    }

    fn secret_namespaces(&mut self) -> Vec<(Place, &mut Option<String>)> {
        let secret = self.secret_ref.as_mut();
        secret.map(|secret| (Place::spec("secretRef"), &mut secret.namespace)).into_iter().collect()
    }
}

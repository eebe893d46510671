//! `kind: Cluster`: how to reach one Kubernetes API.

use super::agent::AgentSpec;
use super::problem::{Findings, Place};
use super::resource::{Kind, Spec, absolute};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;
use std::path::Path;

/// How to reach one Kubernetes API: exactly one of `kubeconfig`, `secretRef`, `inCluster` and `agent`.
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
    /// The agent that keeps the cluster from within, and reaches out to this trueup: it is not reached from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentSpec>,
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
    /// Not from here: an agent in it reaches out.
    Agent(&'a AgentSpec),
}

impl ClusterSpec {
    /// The Secret that it refers to: its name and namespace.
    pub fn secret(&self) -> Option<(&str, Option<&str>)> {
        let kubeconfig = self.secret_ref.as_ref().map(|secret| (&*secret.name, secret.namespace.as_deref()));
        let token = self.agent.as_ref().and_then(|agent| agent.secret_ref.as_ref());
        kubeconfig.or(token.map(|secret| (&*secret.name, secret.namespace.as_deref())))
    }

    /// How the cluster is reached; `None` where none or several ways are written, which a check refuses.
    pub fn access(&self) -> Option<Access<'_>> {
        let ways = [
            self.kubeconfig.as_ref().map(Access::Kubeconfig),
            self.secret_ref.as_ref().map(Access::Secret),
            self.in_cluster.then_some(Access::InCluster),
            self.agent.as_ref().map(Access::Agent),
        ];
        let mut ways = ways.into_iter().flatten();
        ways.next().filter(|_| ways.next().is_none())
    }
}

impl Spec for ClusterSpec {
    const KIND: Kind = Kind::Cluster;

    fn check(&self, findings: &mut Findings) {
        if self.access().is_none() {
            let message = "a cluster is reached through exactly one of `kubeconfig`, `secretRef`, `inCluster: true` and `agent`";
            findings.add(Place::root("spec"), message);
        }
        if let Some(agent) = &self.agent {
            agent.check(findings);
        }
    }

    fn resolve_paths(&mut self, folder: &Path) {
        if let Some(path) = self.kubeconfig.as_mut().and_then(|kubeconfig| kubeconfig.path.as_mut()) {
            *path = absolute(path, folder);
        }
        if let Some(agent) = &mut self.agent {
            agent.resolve_paths(folder);
        }
    }

    fn check_resource(&self, findings: &mut Findings) {
        if self.kubeconfig.is_some() {
            let message = "a resource names no files of the machine that trueup runs on: put the kubeconfig in a Secret and use `secretRef`";
            findings.add(Place::spec("kubeconfig"), message);
        }
        if let Some(agent) = &self.agent {
            agent.check_resource(findings);
        }
    }

    fn secret_namespaces(&mut self) -> Vec<(Place, &mut Option<String>)> {
        let secret = self.secret_ref.as_mut().map(|secret| (Place::spec("secretRef"), &mut secret.namespace));
        let token = self.agent.as_mut().and_then(|agent| agent.secret_ref.as_mut());
        let token = token.map(|token| (Place::spec("agent").field("secretRef"), &mut token.namespace));
        secret.into_iter().chain(token).collect()
    }
}

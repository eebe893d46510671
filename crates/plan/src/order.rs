//! In which order kinds are applied; deletion goes the other way.

use serde::{Deserialize, Serialize};

/// A stage of an apply: everything in it may go at once, and everything before it has been written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stage {
    /// Namespaces and CRDs: what others cannot exist without.
    Foundations,
    /// Storage, priority, ingress and runtime classes.
    Classes,
    /// Service accounts, roles and bindings.
    Access,
    /// Config maps, secrets, quotas, limits, network policies, volumes and claims.
    Configuration,
    /// Services, before the workloads that look for them in their environment.
    Services,
    /// What runs pods.
    Workloads,
    /// All else: ingresses, autoscalers, budgets, webhooks, custom resources.
    Rest,
}

/// The stage of a kind, by its API group and kind.
pub fn stage(group: &str, kind: &str) -> Stage {
    match (group, kind) {
        ("", "Namespace") | ("apiextensions.k8s.io", "CustomResourceDefinition") => Stage::Foundations,
        ("storage.k8s.io", "StorageClass" | "CSIDriver")
        | ("scheduling.k8s.io", "PriorityClass")
        | ("networking.k8s.io", "IngressClass")
        | ("gateway.networking.k8s.io", "GatewayClass")
        | ("node.k8s.io", "RuntimeClass") => Stage::Classes,
        ("", "ServiceAccount") | ("rbac.authorization.k8s.io", _) => Stage::Access,
        (
            "",
            "ConfigMap"
            | "Secret"
            | "ResourceQuota"
            | "LimitRange"
            | "PersistentVolume"
            | "PersistentVolumeClaim",
        )
        | ("networking.k8s.io", "NetworkPolicy") => Stage::Configuration,
        ("", "Service" | "Endpoints") => Stage::Services,
        ("", "Pod" | "ReplicationController") | ("apps" | "batch", _) => Stage::Workloads,
        (_, _) => Stage::Rest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_stands_before_the_workload_and_a_custom_resource_after_its_crd() {
        assert!(stage("", "Service") < stage("apps", "Deployment"));
        assert!(stage("apiextensions.k8s.io", "CustomResourceDefinition") < stage("example.com", "Widget"));
        assert!(stage("", "Namespace") < stage("", "ConfigMap"));
    }
}

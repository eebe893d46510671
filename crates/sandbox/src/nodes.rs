//! Where pods go.
//!
//! Enters: what a pod asks of its node. Leaves: a node that takes it, if one does. Absent: resources, affinity and taints; a pod
//! that does not say by `nodeSelector` where it wants to be has its place at once.
//!
//! A cluster without nodes has one all the same: [`OWN`], which is no object.
//!
//! Source: k8s.io/kubernetes `pkg/scheduler/framework/plugins/nodeaffinity`, and the labels that a kubelet gives its node.

use crate::Sandbox;
use crate::store::Key;
use serde_json::{Value, json};

/// The node that is always there.
const OWN: &str = "sandbox";

impl Sandbox {
    /// The node for a pod.
    pub(crate) fn node_for(&self, spec: &Value) -> Option<String> {
        let Some(wanted) = spec["nodeSelector"].as_object().filter(|wanted| !wanted.is_empty()) else {
            return Some(OWN.to_owned());
        };
        let own = json!({"kubernetes.io/hostname": OWN, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"});
        let has_all = |labels: &Value| wanted.iter().all(|(name, value)| labels.get(name) == Some(value));
        if has_all(&own) {
            return Some(OWN.to_owned());
        }
        let nodes = self.store.all(&(String::new(), "nodes".to_owned()));
        let mut nodes = nodes.filter(|(_, node)| has_all(&node["metadata"]["labels"]));
        nodes.next().map(|(key, _)| key.1.clone())
    }

    /// Lets pods look for a place again that found none.
    pub(crate) fn place_pods(&mut self) {
        let pods = (String::new(), "pods".to_owned());
        let waiting: Vec<Key> =
            self.store.all(&pods).filter(|(_, pod)| is_unplaced(pod)).map(|(key, _)| key.clone()).collect();
        for key in waiting {
            self.run_workloads(&pods, &key);
        }
    }

    /// The status of a pod that no node takes.
    pub(crate) fn unplaced(&self, pod: &Value) -> Value {
        let count = self.store.all(&(String::new(), "nodes".to_owned())).count().max(1);
        let message = format!(
            "0/{count} nodes are available: {count} node(s) didn't match Pod's node affinity/selector. no new claims to deallocate, preemption: 0/{count} nodes are available: {count} Preemption is not helpful for scheduling."
        );
        let time = &pod["metadata"]["creationTimestamp"];
        json!({"phase": "Pending", "qosClass": pod["status"]["qosClass"].as_str().unwrap_or("BestEffort"),
            "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                "message": message, "lastProbeTime": null, "lastTransitionTime": time}]})
    }
}

fn is_unplaced(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    conditions.iter().any(|one| one["type"] == "PodScheduled" && one["status"] == "False")
}

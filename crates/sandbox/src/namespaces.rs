//! Namespaces' life, and what every namespace has.

use crate::Sandbox;
use crate::kinds::Kind;
use crate::request::Target;
use crate::store::{Key, Resource};
use crate::write::{Change, metadata};
use serde_json::{Value, json};

/// The namespaces that every cluster has.
const FIRST: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

fn resource() -> Resource {
    (String::new(), "namespaces".to_owned())
}

impl Sandbox {
    /// What is there when a cluster has just started.
    pub(crate) fn begin(&mut self) {
        for name in FIRST {
            let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
            self.create_by("kube-apiserver", "namespaces", None, object);
        }
        self.settle();
    }

    /// Creates an object of the core as one of the cluster's own programs does it.
    pub(crate) fn create_by(&mut self, manager: &str, plural: &str, namespace: Option<&str>, object: Value) {
        let Some(kind) = self.kinds.resource("", "v1", plural) else { return };
        let target =
            Target { kind, namespace: namespace.map(str::to_owned), name: None, subresource: String::new() };
        let change = Change { target: &target, manager: manager.to_owned(), is_dry_run: false };
        // What is there already, or has no place any more, is nothing to worry about.
        let _ = self.create_object(&change, object);
    }

    /// Lets the cluster's own programs work until nothing is left to do.
    pub(crate) fn settle(&mut self) {
        // Each step takes something off; the bound only keeps a mistake from going on for ever.
        for _ in 0..100_000 {
            if !(self.furnish_namespaces() || self.empty_namespaces() || self.collect_garbage()) {
                return;
            }
        }
    }

    fn furnish_namespaces(&mut self) -> bool {
        let missing = |sandbox: &Self, plural: &str, name: &str| -> Option<String> {
            let resource = (String::new(), plural.to_owned());
            let active = |object: &Value| !object["metadata"]["deletionTimestamp"].is_string();
            let mut namespaces = sandbox.store.all(&self::resource());
            namespaces
                .find(|((_, namespace), object)| {
                    active(object)
                        && sandbox.store.get(&resource, &(namespace.clone(), name.to_owned())).is_none()
                })
                .map(|((_, namespace), _)| namespace.clone())
        };
        if let Some(namespace) = missing(self, "serviceaccounts", "default") {
            let object = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": namespace}});
            self.create_by("kube-controller-manager", "serviceaccounts", Some(&namespace), object);
            return true;
        }
        if let Some(namespace) = missing(self, "configmaps", "kube-root-ca.crt") {
            let object = json!({"apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": "kube-root-ca.crt", "namespace": namespace,
                    "annotations": {"kubernetes.io/description": "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters."}},
                "data": {"ca.crt": ""}});
            self.create_by("kube-controller-manager", "configmaps", Some(&namespace), object);
            return true;
        }
        false
    }

    /// Deletes what is in namespaces that are to go, and the namespaces when they are empty.
    fn empty_namespaces(&mut self) -> bool {
        let ending: Vec<String> = self
            .store
            .all(&resource())
            .filter(|(_, object)| object["metadata"]["deletionTimestamp"].is_string())
            .map(|((_, name), _)| name.clone())
            .collect();
        for namespace in ending {
            let inside: Vec<(Resource, Key, bool)> = self
                .store
                .resources()
                .flat_map(|resource| {
                    let objects = self.store.all(resource).filter(|(key, _)| key.0 == namespace);
                    objects.map(|(key, object)| {
                        (resource.clone(), key.clone(), object["metadata"]["deletionTimestamp"].is_string())
                    })
                })
                .collect();
            if inside.is_empty() {
                self.forget(&resource(), &(String::new(), namespace));
                return true;
            }
            if let Some((resource, key, _)) = inside.iter().find(|(_, _, is_ending)| !is_ending) {
                self.end(resource, key, None);
                return true;
            }
        }
        false
    }
}

/// What a new object of a kind starts with.
pub(crate) fn begin_life(kind: &Kind, object: &mut Value) {
    if kind.resource() != resource() {
        return;
    }
    let name = object["metadata"]["name"].clone();
    let labels = metadata(object).entry("labels").or_insert_with(|| json!({}));
    labels["kubernetes.io/metadata.name"] = name;
    object["spec"] = json!({"finalizers": ["kubernetes"]});
    object["status"] = json!({"phase": "Active"});
}

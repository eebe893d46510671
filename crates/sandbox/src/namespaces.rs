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
        if self.programs == crate::Programs::All {
            self.begin_storage();
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

    /// Furnishes a namespace, or empties one that is to go.
    pub(crate) fn look_after_namespace(&mut self, namespace: &Value) {
        let name = namespace["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        if !namespace["metadata"]["deletionTimestamp"].is_string() {
            self.furnish(&name);
            return;
        }
        let inside: Vec<(Resource, Key, bool)> = self
            .store
            .inside(&name)
            .map(|(resource, key, object)| {
                (resource.clone(), key.clone(), object["metadata"]["deletionTimestamp"].is_string())
            })
            .collect();
        if inside.is_empty() {
            self.forget(&resource(), &(String::new(), name));
            return;
        }
        for (resource, key, _) in inside.iter().filter(|(_, _, is_ending)| !is_ending) {
            self.end(resource, key, None);
        }
    }

    fn furnish(&mut self, namespace: &str) {
        let is_there = |sandbox: &Self, plural: &str, name: &str| {
            let key = (namespace.to_owned(), name.to_owned());
            sandbox.store.get(&(String::new(), plural.to_owned()), &key).is_some()
        };
        if !is_there(self, "serviceaccounts", "default") {
            let object = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": namespace}});
            self.create_by("kube-controller-manager", "serviceaccounts", Some(namespace), object);
        }
        if !is_there(self, "configmaps", "kube-root-ca.crt") {
            let object = json!({"apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": "kube-root-ca.crt", "namespace": namespace}, "data": {"ca.crt": ""}});
            self.create_by("kube-controller-manager", "configmaps", Some(namespace), object);
        }
    }
}

/// What a new object of a kind starts with.
pub(crate) fn begin_life(kind: &Kind, object: &mut Value) {
    if !kind.is_stored_under(&resource()) {
        return;
    }
    label(object);
    let mut finalizers = object["spec"]["finalizers"].as_array().cloned().unwrap_or_default();
    if !finalizers.iter().any(|one| one == "kubernetes") {
        finalizers.push("kubernetes".into());
    }
    object["spec"] = json!({"finalizers": finalizers});
    object["status"] = json!({"phase": "Active"});
}

/// Whether an object is a namespace that waits for its controller.
pub(crate) fn is_held(kind: &Kind, object: &Value) -> bool {
    kind.is_stored_under(&resource())
        && object["spec"]["finalizers"].as_array().is_some_and(|all| !all.is_empty())
}

/// What stays of a namespace whatever is written: only `finalize` changes what it waits for.
pub(crate) fn go_on(before: &Value, object: &mut Value) {
    label(object);
    object["spec"] = before["spec"].clone();
}

/// A namespace's name is among its labels.
pub(crate) fn label(object: &mut Value) {
    let name = object["metadata"]["name"].clone();
    let labels = metadata(object).entry("labels").or_insert_with(|| json!({}));
    labels["kubernetes.io/metadata.name"] = name;
}

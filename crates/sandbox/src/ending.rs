//! The end of a definition: its objects go first, then it goes itself, and with it the watches of what it defined.
//!
//! Source: k8s.io/apiextensions-apiserver `pkg/registry/customresourcedefinition/etcd.go`, `pkg/controller/finalizer`.

use crate::Sandbox;
use crate::store::{Key, Resource};
use crate::watch::Watch;
use crate::write::{has_finalizers, metadata};
use serde_json::{Value, json};
use std::sync::Arc;

/// What holds a definition until its objects are gone.
pub(crate) const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";
const PENDING: &str = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon";

/// Marks a definition as one whose objects are to go.
pub(crate) fn mark(definition: &mut Value, time: &str) {
    let finalizers = metadata(definition).entry("finalizers").or_insert_with(|| json!([]));
    if let Some(all) = finalizers.as_array_mut()
        && !all.iter().any(|one| one == CLEANUP)
    {
        all.push(CLEANUP.into());
    }
    let condition = json!({"type": "Terminating", "status": "True", "lastTransitionTime": time,
        "reason": "InstanceDeletionPending", "message": PENDING});
    if let Some(conditions) = definition["status"]["conditions"].as_array_mut() {
        conditions.retain(|one| one["type"] != "Terminating");
        conditions.push(condition);
    }
}

impl Sandbox {
    /// Empties a definition that is to go, and lets it go when it is empty.
    pub(crate) fn look_after_definition(&mut self, resource: &Resource, key: &Key) {
        let Some(definition) = self.store.get(resource, key).cloned() else { return };
        if !definition["metadata"]["deletionTimestamp"].is_string() {
            return;
        }
        let Some((plural, group)) = key.1.split_once('.') else { return };
        let custom = (group.to_owned(), plural.to_owned());
        let left: Vec<(Key, bool)> = self
            .store
            .all(&custom)
            .map(|(key, object)| (key.clone(), object["metadata"]["deletionTimestamp"].is_string()))
            .collect();
        if !left.is_empty() {
            for (key, _) in left.iter().filter(|(_, is_ending)| !is_ending) {
                self.end(&custom, key, None);
            }
            return;
        }
        let mut definition = Value::clone(&definition);
        if let Some(all) = metadata(&mut definition).get_mut("finalizers").and_then(Value::as_array_mut) {
            all.retain(|one| one != CLEANUP);
        }
        if has_finalizers(&definition) {
            let held = self.store.get(resource, key).is_some_and(|stored| **stored == definition);
            if !held {
                let next = self.store.next().to_string();
                metadata(&mut definition).insert("resourceVersion".to_owned(), next.into());
                self.store.put(resource, key, Some(Arc::new(definition)));
            }
            return;
        }
        self.forget(resource, key);
    }

    /// Whether nothing more can come of a watch: what it watches is defined no longer.
    pub fn is_over(&self, watch: &Watch) -> bool {
        let kind = watch.kind();
        kind.custom.is_some() && self.kinds.resource(&kind.group, &kind.version, &kind.plural).is_none()
    }
}

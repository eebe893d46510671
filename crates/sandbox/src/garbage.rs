//! What goes with its owner.
//!
//! Source: the Kubernetes concepts, "garbage collection".

use crate::Sandbox;
use crate::delete::{FOREGROUND, ORPHAN};
use crate::store::{Key, Resource};
use crate::write::{has_finalizers, metadata};
use serde_json::Value;
use std::sync::Arc;

impl Sandbox {
    /// Looks after the dependents of an object that is gone.
    pub(crate) fn collect(&mut self, gone: &Value) {
        let uid = gone["metadata"]["uid"].as_str().unwrap_or_default();
        let dependents: Vec<(Resource, Key)> = self
            .store
            .owned_by(uid)
            .filter(|(_, key, object)| self.is_abandoned(key, object))
            .map(|(resource, key, _)| (resource.clone(), key.clone()))
            .collect();
        for (resource, key) in dependents {
            self.end(&resource, &key, Some("Background"));
        }
        // Owners that wait for their dependents to go first look again.
        let owners: Vec<Value> = gone["metadata"]["ownerReferences"].as_array().cloned().unwrap_or_default();
        let namespace = gone["metadata"]["namespace"].as_str().unwrap_or_default();
        for owner in owners {
            let Some((resource, key)) = self.owner(&owner, namespace) else { continue };
            self.release(&resource, &key);
        }
    }

    fn is_abandoned(&self, key: &Key, object: &Value) -> bool {
        let owners = object["metadata"]["ownerReferences"].as_array().map(Vec::as_slice).unwrap_or_default();
        !owners.is_empty() && !owners.iter().any(|owner| self.store.has_owner(owner, &key.0))
    }

    /// Where the object is that a reference means.
    pub(crate) fn owner(&self, reference: &Value, namespace: &str) -> Option<(Resource, Key)> {
        let (api_version, kind) = (reference["apiVersion"].as_str()?, reference["kind"].as_str()?);
        let kind =
            self.kinds.iter().find(|known| known.kind == kind && known.api_version() == api_version)?;
        let namespace = if kind.namespaced { namespace } else { "" };
        let key = (namespace.to_owned(), reference["name"].as_str()?.to_owned());
        let found = self.store.get(&kind.resource(), &key)?;
        (found["metadata"]["uid"] == reference["uid"]).then(|| (kind.resource(), key))
    }

    /// Lets an object go on that waits for its dependents to go, or to be left behind.
    pub(crate) fn release(&mut self, resource: &Resource, key: &Key) {
        let Some(object) = self.store.get(resource, key).cloned() else { return };
        let has = |finalizer: &str| {
            object["metadata"]["finalizers"]
                .as_array()
                .is_some_and(|all| all.iter().any(|one| one == finalizer))
        };
        if !object["metadata"]["deletionTimestamp"].is_string() || !has(FOREGROUND) && !has(ORPHAN) {
            return;
        }
        let uid = object["metadata"]["uid"].as_str().unwrap_or_default();
        let dependents: Vec<(Resource, Key, Arc<Value>)> = self
            .store
            .owned_by(uid)
            .map(|(resource, key, object)| (resource.clone(), key.clone(), object.clone()))
            .collect();
        if has(ORPHAN) {
            for (resource, key, dependent) in &dependents {
                self.disown(resource, key, dependent, uid);
            }
        } else if !dependents.is_empty() {
            for (resource, key, dependent) in &dependents {
                if !dependent["metadata"]["deletionTimestamp"].is_string() {
                    self.end(resource, key, Some("Foreground"));
                }
            }
            return;
        }
        let mut object = Value::clone(&object);
        if let Some(all) = object["metadata"]["finalizers"].as_array_mut() {
            all.retain(|one| one != FOREGROUND && one != ORPHAN);
        }
        if has_finalizers(&object) {
            self.renumber(resource, key, object);
        } else {
            self.forget(resource, key);
        }
    }

    fn disown(&mut self, resource: &Resource, key: &Key, dependent: &Value, uid: &str) {
        let mut object = dependent.clone();
        if let Some(all) = object["metadata"]["ownerReferences"].as_array_mut() {
            all.retain(|owner| owner["uid"] != uid);
        }
        self.renumber(resource, key, object);
    }

    /// Stores an object as the next change.
    pub(crate) fn renumber(&mut self, resource: &Resource, key: &Key, mut object: Value) {
        metadata(&mut object).insert("resourceVersion".to_owned(), self.store.next().to_string().into());
        self.store.put(resource, key, Some(Arc::new(object)));
    }
}

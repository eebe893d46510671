//! The cluster's own programs: what each change of an object makes them do, until nothing is left to do.
//!
//! They look at what has changed, not at everything, so that a cluster of many objects is as quick as one of few.

use crate::store::{Change, Key};
use crate::{Programs, Sandbox};
use serde_json::Value;
use std::sync::Arc;

/// What a mistake that undoes itself for ever would be stopped by.
const STEPS: usize = 1_000_000;

impl Sandbox {
    /// Lets the cluster's own programs work until nothing is left to do.
    pub(crate) fn settle(&mut self) {
        for _ in 0..STEPS {
            let Ok(mut changes) = self.store.since(self.settled) else {
                self.settled = self.store.revision();
                return;
            };
            let Some(change) = changes.next().cloned() else { return };
            drop(changes);
            self.settled = change.revision;
            self.settle_definition(&change);
            match self.programs {
                Programs::All => {
                    self.react(&change);
                    self.look_after_quotas(&change);
                }
                Programs::None => {}
            }
        }
    }

    /// Looks after definitions, which the API server itself does, whatever else runs.
    fn settle_definition(&mut self, change: &Change) {
        let definitions = ("apiextensions.k8s.io".to_owned(), "customresourcedefinitions".to_owned());
        match &change.after {
            Some(after) if change.resource == definitions => {
                self.look_after_definition(&definitions, &key_of(after));
            }
            Some(_) => {}
            // With the last of its objects a definition may go.
            None => {
                let name = format!("{}.{}", change.resource.1, change.resource.0);
                self.look_after_definition(&definitions, &(String::new(), name));
            }
        }
    }

    fn react(&mut self, change: &Arc<Change>) {
        let Some(after) = &change.after else {
            if let Some(before) = &change.before {
                self.gone(before);
                self.released(&change.resource, before);
                match (change.resource.0.as_str(), change.resource.1.as_str()) {
                    ("", "services") => self.forget_endpoints(before),
                    ("", "pods") => self.run_services_of(before, &key_of(before).0),
                    _ => {}
                }
            }
            return;
        };
        // What has changed again since is looked at then.
        let key = key_of(after);
        let Some(now) = self.store.get(&change.resource, &key).cloned() else { return };
        if !Arc::ptr_eq(&now, after) {
            return;
        }
        if now["metadata"]["deletionTimestamp"].is_string() {
            self.release(&change.resource, &key);
            self.unguard(&change.resource, &key);
        }
        match (change.resource.0.as_str(), change.resource.1.as_str()) {
            ("", "namespaces") => self.look_after_namespace(&now),
            ("", "nodes") => self.place_pods(),
            // There may be room now for what was refused before.
            ("", "limitranges" | "resourcequotas") => self.fill_up(&key.0),
            ("storage.k8s.io", "storageclasses") => self.run_pending_claims(),
            ("apps" | "autoscaling" | "batch" | "" | "policy", _) => {
                self.run_workloads(&change.resource, &key);
            }
            _ => {}
        }
    }

    fn gone(&mut self, object: &Value) {
        self.collect(object);
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
        let namespaces = (String::new(), "namespaces".to_owned());
        let around = self.store.get(&namespaces, &(String::new(), namespace.to_owned())).cloned();
        if let Some(around) = around {
            self.look_after_namespace(&around);
        }
        if let Some(owner) = object["metadata"]["ownerReferences"].get(0)
            && let Some((resource, key)) = self.owner(owner, namespace)
        {
            self.run_workloads(&resource, &key);
        }
    }
}

/// Namespace and name of an object.
pub(crate) fn key_of(object: &Value) -> Key {
    let part = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
    (part("namespace"), part("name"))
}

//! Objects that were read from another cluster, put into this one; all that is in it; and the cluster put back to what it was.

use crate::kinds::Kinds;
use crate::store::Store;
use crate::{Refusal, Request, Sandbox};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;

/// What an object gets from the server that keeps it.
const GIVEN: [&str; 4] = ["uid", "resourceVersion", "creationTimestamp", "generation"];

/// How a backup is brought back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Versions {
    /// Those that were given out since are given out again.
    Repeated,
    /// It goes on far above them, as `etcdutl snapshot restore --bump-revision --mark-compacted` does it.
    Bumped,
}

/// A cluster as it was at some time.
#[derive(Clone)]
pub struct Snapshot {
    kinds: Kinds,
    store: Store,
}

impl Sandbox {
    /// A backup of what the cluster keeps.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot { kinds: self.kinds.clone(), store: self.store.clone() }
    }

    /// Puts the cluster back to what a backup has, as a restored etcd does. Nothing is known of what happened before.
    pub fn roll_back(&mut self, snapshot: &Snapshot, versions: Versions) {
        self.kinds = snapshot.kinds.clone();
        self.store.roll_back(&snapshot.store, versions);
        self.settled = self.store.revision();
    }

    /// Forgets what happened, as a server does that was restarted: watches from before it come too late.
    pub fn compact(&mut self) {
        self.store.compact();
    }

    /// All objects, by kind, namespace and name.
    pub fn objects(&self) -> impl Iterator<Item = &Arc<Value>> {
        self.store.every()
    }

    /// Creates an object as another server had it, with its managed fields and its status, and its namespace if there is none.
    ///
    /// # Errors
    /// A kind that is not known here, and what the server refuses to create.
    pub fn restore(&mut self, now: Timestamp, object: &Value) -> Result<(), Refusal> {
        let text = |field: &Value| field.as_str().unwrap_or_default().to_owned();
        let (api_version, kind) = (text(&object["apiVersion"]), text(&object["kind"]));
        let known = self.kinds.iter().find(|known| known.api_version() == api_version && known.kind == kind);
        let Some(known) = known.cloned() else {
            return Err(Refusal::bad_request(format!(
                "there is no kind {kind} in {api_version}; restore its CustomResourceDefinition first"
            )));
        };
        let (namespace, name) = (text(&object["metadata"]["namespace"]), text(&object["metadata"]["name"]));
        let root = if known.group.is_empty() { "/api" } else { "/apis" };
        let within = if known.namespaced { format!("/namespaces/{namespace}") } else { String::new() };
        let path = format!("{root}/{api_version}{within}/{}", known.plural);
        let namespaces = (String::new(), "namespaces".to_owned());
        if known.namespaced && self.store.get(&namespaces, &(String::new(), namespace.clone())).is_none() {
            let metadata = json!({"name": namespace});
            let new = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata});
            self.send(now, "POST", "/api/v1/namespaces", &new)?;
        }
        let mut object = object.clone();
        if let Some(metadata) = object["metadata"].as_object_mut() {
            for field in GIVEN {
                metadata.remove(field);
            }
        }
        // Every cluster begins with some namespaces, roles and the like.
        match self.send(now, "POST", &path, &object) {
            Err(refusal) if refusal.code == 409 => {
                self.send(now, "PUT", &format!("{path}/{name}"), &object)?;
            }
            done => done?,
        }
        if object.get("status").is_some() && known.subresources.contains("status") {
            self.send(now, "PUT", &format!("{path}/{name}/status"), &object)?;
        }
        Ok(())
    }

    fn send(&mut self, now: Timestamp, method: &str, path: &str, body: &Value) -> Result<(), Refusal> {
        let body = body.to_string().into_bytes();
        let request = Request {
            method,
            path,
            query: "fieldManager=restore",
            accept: "application/json",
            content_type: "application/json",
            user_agent: "restore",
            user: "",
            body: &body,
        };
        self.now = self.now.max(now);
        let answer = self.answer(&request);
        self.settle();
        answer.map(drop)
    }
}

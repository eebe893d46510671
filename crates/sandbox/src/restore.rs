//! Objects that were read from another cluster, put into this one; and all that is in it.

use crate::{Refusal, Request, Sandbox};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;

/// What an object gets from the server that keeps it.
const GIVEN: [&str; 4] = ["uid", "resourceVersion", "creationTimestamp", "generation"];

impl Sandbox {
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

//! What happens, told as it happens: the events of one kind, from a revision on.
//!
//! Source: the Kubernetes API concepts, "efficient detection of changes" and "streaming lists" (KEP-3157).

use crate::answer::Refusal;
use crate::read::versioned;
use crate::request::{Request, Target};
use crate::select::Selector;
use crate::store::{Change, Store};
use crate::{Sandbox, kinds::Kind};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::Arc;

/// A watch under way.
#[derive(Debug)]
pub struct Watch {
    kind: Arc<Kind>,
    namespace: Option<String>,
    name: Option<String>,
    selector: Selector,
    bookmarks: bool,
    revision: u64,
    pending: VecDeque<Value>,
    /// How long it may go on, in seconds, as the client asked.
    pub timeout: Option<u64>,
}

impl Sandbox {
    pub(crate) fn watch(&self, request: &Request<'_>, target: &Target) -> Result<Watch, Refusal> {
        let selector = Selector::of(request, &target.kind)?;
        let asked = request.option("resourceVersion").unwrap_or_default();
        let mut watch = Watch {
            kind: target.kind.clone(),
            namespace: target.namespace.clone(),
            name: target.name.clone(),
            selector,
            bookmarks: request.flag("allowWatchBookmarks"),
            revision: self.store.revision(),
            pending: VecDeque::new(),
            timeout: request.option("timeoutSeconds").and_then(|seconds| seconds.parse().ok()),
        };
        let is_streaming_list = request.flag("sendInitialEvents");
        if is_streaming_list || asked.is_empty() || asked == "0" {
            let objects = self.store.all(&watch.kind.resource()).map(|(_, object)| object);
            let first: VecDeque<Value> = objects
                .filter(|object| watch.sees(object))
                .map(|object| watch.event("ADDED", object))
                .collect();
            watch.pending = first;
            if is_streaming_list {
                watch.pending.push_back(watch.bookmark(watch.revision, true));
            }
        } else {
            let revision = asked
                .parse()
                .map_err(|_| Refusal::bad_request(format!("invalid resource version {asked:?}")))?;
            watch.revision = revision;
            if let Err(too_old) = self.store.since(revision).map(drop) {
                let refusal =
                    Refusal::expired(format!("too old resource version: {revision} ({})", too_old.oldest));
                watch.pending.push_back(json!({"type": "ERROR", "object": refusal.status()}));
            }
        }
        Ok(watch)
    }

    /// The events of a watch that were not told yet; an event of type `ERROR` is its last.
    pub fn events(&self, watch: &mut Watch) -> Vec<Value> {
        watch.events(&self.store)
    }

    /// Tells a watch that asked for it how far it is.
    pub fn bookmark(&self, watch: &Watch) -> Option<Value> {
        // One from before a backup waits until its version comes again.
        let is_due = watch.bookmarks && watch.revision <= self.store.revision();
        is_due.then(|| watch.bookmark(watch.revision, false))
    }
}

impl Watch {
    pub(crate) fn kind(&self) -> &Kind {
        &self.kind
    }

    fn events(&mut self, store: &Store) -> Vec<Value> {
        let mut events: Vec<Value> = self.pending.drain(..).collect();
        if events.last().is_some_and(|event| event["type"] == "ERROR") {
            return events;
        }
        match store.since(self.revision) {
            Ok(changes) => events.extend(changes.filter_map(|change| self.tell(change))),
            Err(too_old) => {
                let refusal = Refusal::expired(format!(
                    "too old resource version: {} ({})",
                    self.revision, too_old.oldest
                ));
                events.push(json!({"type": "ERROR", "object": refusal.status()}));
            }
        }
        self.revision = self.revision.max(store.revision());
        events
    }

    fn tell(&self, change: &Change) -> Option<Value> {
        if !self.kind.is_stored_under(&change.resource) {
            return None;
        }
        let seen = |object: &Option<Arc<Value>>| object.as_ref().filter(|object| self.sees(object)).cloned();
        match (seen(&change.before), seen(&change.after)) {
            (None, None) => None,
            (None, Some(now)) => Some(self.event("ADDED", &now)),
            (Some(_), Some(now)) => Some(self.event("MODIFIED", &now)),
            (Some(before), None) => {
                // It is told as it was last seen, with the number of the change that took it away.
                let mut last = Value::clone(&before);
                last["metadata"]["resourceVersion"] = change.revision.to_string().into();
                Some(self.event("DELETED", &last))
            }
        }
    }

    fn sees(&self, object: &Value) -> bool {
        let is = |field: &str, wanted: &Option<String>| {
            wanted.as_ref().is_none_or(|wanted| object["metadata"][field] == wanted.as_str())
        };
        is("namespace", &self.namespace) && is("name", &self.name) && self.selector.matches(object)
    }

    fn event(&self, what: &str, object: &Value) -> Value {
        json!({"type": what, "object": versioned(object, &self.kind)})
    }

    fn bookmark(&self, revision: u64, ends_list: bool) -> Value {
        let mut metadata = json!({"resourceVersion": revision.to_string()});
        if ends_list {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object =
            json!({"apiVersion": self.kind.api_version(), "kind": self.kind.kind, "metadata": metadata});
        json!({"type": "BOOKMARK", "object": object})
    }
}

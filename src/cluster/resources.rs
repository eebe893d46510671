//! Custom resources that say what trueup has to do: followed as they are, and told how they stand.
//!
//! Enters: a namespace and the collections in it. Leaves: all objects of them, whole, kept current by a list and a watch each; a
//! number that moves with each change. Unlike the index of members this keeps objects: a configuration is small. What
//! could not be listed yet is unknown, and not empty.

use super::error::{ApiError, ApiErrorClass};
use super::parent::{EventKind, LONGEST_NOTE};
use super::rest::{Ask, Listing, encode};
use super::watch::{WATCH_SECONDS, WATCH_SILENCE};
use super::{Cluster, Inner};
use crate::ambient;
use bytes::{Bytes, BytesMut};
use http::Method;
use http_body_util::BodyExt as _;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use trueup_model::Value;

/// Who writes what resources say of themselves: another manager than the one of what they ask for.
const STATUS_MANAGER: &str = "trueup-status";
/// Who writes finalizers.
const FINALIZER_MANAGER: &str = "trueup-deletion";
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The objects of some collections of a namespace. Cheap to clone.
#[derive(Clone)]
pub struct Followed(Arc<Shared>);

struct Shared {
    /// The path up to the collection: `/apis/trueup.dev/v1alpha1/namespaces/ops`.
    root: String,
    /// The labels that the objects have; empty for any.
    selector: &'static str,
    collections: Mutex<BTreeMap<&'static str, Known>>,
    changes: watch::Sender<u64>,
    /// Which doubt the lists have to be newer than.
    doubt: watch::Sender<u64>,
}

#[derive(Default)]
struct Known {
    /// By name; nothing before the first list.
    objects: Option<BTreeMap<String, Value>>,
    /// Why the last request failed, if it did.
    trouble: Option<String>,
    /// The last doubt that was there when the objects were listed.
    doubt: u64,
}

impl Cluster {
    /// Follows collections of a namespace, such as `apps` of `trueup.dev/v1alpha1`, until the cluster is let go: all objects of
    /// them, or those with the labels of `selector`.
    pub fn follow_resources(
        &self,
        api_version: &str,
        namespace: &str,
        collections: impl IntoIterator<Item = &'static str>,
        selector: &'static str,
    ) -> Followed {
        let root = format!("/apis/{api_version}/namespaces/{namespace}");
        let names: Vec<&'static str> = collections.into_iter().collect();
        let known = names.iter().map(|name| (*name, Known::default())).collect();
        let shared = Shared {
            root,
            selector,
            collections: Mutex::new(known),
            changes: watch::Sender::new(0),
            doubt: watch::Sender::new(0),
        };
        let followed = Followed(Arc::new(shared));
        for name in names {
            tokio::spawn(follow(self.0.clone(), followed.clone(), name));
        }
        followed
    }

    /// Says how a resource stands. `body` has its uid and its `status` and nothing else.
    pub async fn write_status(&self, path: &str, body: &Value) -> Result<Value, ApiError> {
        let ask = Ask {
            verb: "patch",
            what: &format!("the status of {path}"),
            method: Method::PATCH,
            uri: format!("{path}/status?fieldManager={STATUS_MANAGER}&force=true"),
            content_type: Some("application/apply-patch+yaml"),
            accept: None,
            body: body.to_string().into(),
        };
        self.0.rest.json(ask).await
    }

    /// Writes who has to let a resource go before it can, if it is still as it is known.
    pub async fn write_finalizers(
        &self,
        path: &str,
        object: &Value,
        finalizers: &[&str],
    ) -> Result<Value, ApiError> {
        let version = &object["metadata"]["resourceVersion"];
        let ask = Ask {
            verb: "patch",
            what: &format!("the finalizers of {path}"),
            method: Method::PATCH,
            uri: format!("{path}?fieldManager={FINALIZER_MANAGER}"),
            content_type: Some("application/merge-patch+json"),
            accept: None,
            body: json!({"metadata": {"resourceVersion": version, "finalizers": finalizers}})
                .to_string()
                .into(),
        };
        self.0.rest.json(ask).await
    }

    /// Whether an object is being deleted; one that is not there is gone.
    pub async fn is_on_its_way_out(&self, path: &str) -> Result<bool, ApiError> {
        match self.0.rest.json(Ask::get("get", &path, path.to_owned())).await {
            Ok(object) => Ok(object.pointer("/metadata/deletionTimestamp").is_some()),
            Err(error) if error.class == ApiErrorClass::NotFound => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// The uid of a namespace, which no other one has, on whatever cluster.
    pub async fn uid_of_namespace(&self, namespace: &str) -> Result<String, ApiError> {
        let path = format!("/api/v1/namespaces/{namespace}");
        let object = self.0.rest.json(Ask::get("get", &path, path.clone())).await?;
        Ok(object.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default().to_owned())
    }

    /// Writes an Event about a resource.
    pub async fn event_about(
        &self,
        resource: &Value,
        kind: EventKind,
        reason: &str,
        message: &str,
    ) -> Result<(), ApiError> {
        let text = |pointer: &str| resource.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let (name, namespace) = (text("/metadata/name"), text("/metadata/namespace"));
        let fits = |(at, letter): &(usize, char)| at + letter.len_utf8() <= LONGEST_NOTE;
        let note: String = message.char_indices().take_while(fits).map(|(_, letter)| letter).collect();
        let event = json!({
            "apiVersion": "events.k8s.io/v1", "kind": "Event",
            "metadata": {"generateName": format!("{name}-"), "namespace": namespace},
            "eventTime": format!("{:.6}", ambient::now()),
            "type": match kind { EventKind::Normal => "Normal", EventKind::Warning => "Warning" },
            "reason": reason, "action": "Reconcile", "note": note,
            "reportingController": "trueup.dev/trueup", "reportingInstance": "trueup",
            "regarding": {
                "apiVersion": text("/apiVersion"), "kind": text("/kind"), "name": name, "namespace": namespace,
                "uid": text("/metadata/uid"),
            },
        });
        let ask = Ask {
            verb: "create",
            what: &"event",
            method: Method::POST,
            uri: format!("/apis/events.k8s.io/v1/namespaces/{namespace}/events"),
            content_type: Some("application/json"),
            accept: None,
            body: event.to_string().into(),
        };
        self.0.rest.json(ask).await.map(drop)
    }
}

impl Followed {
    /// A number that moves with each change.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// The path of an object.
    pub fn path(&self, collection: &str, name: &str) -> String {
        format!("{}/{collection}/{name}", self.0.root)
    }

    /// Whether nothing was heard of some kind yet, neither objects nor why there are none: that is so for a moment at the start.
    pub fn is_unheard(&self) -> bool {
        self.collections().values().any(|known| known.objects.is_none() && known.trouble.is_none())
    }

    /// All objects.
    ///
    /// # Errors
    /// Why some are not known yet.
    pub fn objects(&self) -> Result<Vec<Value>, String> {
        let collections = self.collections();
        let mut all = Vec::new();
        for (name, known) in &*collections {
            match &known.objects {
                Some(objects) => all.extend(objects.values().cloned()),
                None => {
                    return Err(known
                        .trouble
                        .clone()
                        .unwrap_or_else(|| format!("{name} are not listed yet")));
                }
            }
        }
        Ok(all)
    }

    /// Has everything listed again, whatever the watches have shown: they may be behind. Doubts are numbered upwards.
    pub fn doubt(&self, number: u64) {
        self.0.doubt.send_if_modified(|doubt| {
            let is_new = *doubt < number;
            *doubt = number.max(*doubt);
            is_new
        });
    }

    /// The last doubt since which everything was listed.
    pub fn settled_doubt(&self) -> u64 {
        self.collections().values().map(|known| known.doubt).min().unwrap_or_default()
    }

    /// Why they may be out of date.
    pub fn troubles(&self) -> Vec<String> {
        self.collections().values().filter_map(|known| known.trouble.clone()).collect()
    }

    /// Takes in what a write answered, which is newer than what the watch has shown.
    pub fn note(&self, collection: &str, object: Value) {
        let mut collections = self.collections();
        if let Some(objects) = collections.get_mut(collection).and_then(|known| known.objects.as_mut()) {
            put(objects, object);
        }
    }

    fn collections(&self) -> MutexGuard<'_, BTreeMap<&'static str, Known>> {
        self.0.collections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with(&self, collection: &str, change: impl FnOnce(&mut Known)) {
        if let Some(known) = self.collections().get_mut(collection) {
            change(known);
        }
        self.0.changes.send_modify(|changes| *changes += 1);
    }
}

fn version(object: &Value) -> Option<u64> {
    object.pointer("/metadata/resourceVersion")?.as_str()?.parse().ok()
}

/// Puts an object in its place, unless a newer one is there: a watch tells of our own writes later than their answers.
fn put(objects: &mut BTreeMap<String, Value>, mut object: Value) {
    let Some(name) = object.pointer("/metadata/name").and_then(Value::as_str).map(str::to_owned) else {
        return;
    };
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    let known = objects.get(&name).filter(|known| known["metadata"]["uid"] == object["metadata"]["uid"]);
    if known.is_none_or(|known| version(known) <= version(&object)) {
        objects.insert(name, object);
    }
}

async fn follow(cluster: Arc<Inner>, followed: Followed, collection: &'static str) {
    let mut from: Option<String> = None;
    let mut pause = FIRST_PAUSE;
    loop {
        let result = match &from {
            None => list(&cluster, &followed, collection).await.map(Some),
            Some(version) => watch_from(&cluster, &followed, collection, version).await,
        };
        if cluster.stop.is_cancelled() {
            return;
        }
        match result {
            Ok(next) => {
                from = next;
                pause = FIRST_PAUSE;
                continue;
            }
            Err(error) => {
                // A version that is too old is told by an answer or within the watch.
                if matches!(
                    error.class,
                    ApiErrorClass::NotFound | ApiErrorClass::Other | ApiErrorClass::Invalid
                ) {
                    from = None;
                }
                let told = error.to_string();
                followed.with(collection, |known| known.trouble = Some(told));
            }
        }
        if cluster.pause(pause.mul_f64(0.75 + ambient::fraction() / 2.0)).await {
            return;
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn list(cluster: &Inner, followed: &Followed, collection: &'static str) -> Result<String, ApiError> {
    let path = format!("{}/{collection}", followed.0.root);
    let doubt = *followed.0.doubt.borrow();
    let selector = followed.0.selector;
    let listing = Listing { what: &collection, collection: &path, selector, accept: None };
    let mut objects = BTreeMap::new();
    let take = |page: Vec<Value>| {
        for object in page {
            put(&mut objects, object);
        }
        Ok(())
    };
    let version = cluster.rest.list(&listing, take).await?;
    followed.with(collection, |known| *known = Known { objects: Some(objects), trouble: None, doubt });
    Ok(version)
}

/// Follows the events after a version; gives the version to go on from, or nothing where a new list is needed.
async fn watch_from(
    cluster: &Inner,
    followed: &Followed,
    collection: &'static str,
    version: &str,
) -> Result<Option<String>, ApiError> {
    let mut uri = format!(
        "{}/{collection}?watch=true&allowWatchBookmarks=true&resourceVersion={}&timeoutSeconds={WATCH_SECONDS}",
        followed.0.root,
        encode(version)
    );
    if !followed.0.selector.is_empty() {
        uri = format!("{uri}&labelSelector={}", encode(followed.0.selector));
    }
    let mut body = cluster.rest.stream(Ask::get("watch", &collection, uri)).await?;
    if followed.collections().get(collection).is_some_and(|known| known.trouble.is_some()) {
        followed.with(collection, |known| known.trouble = None);
    }
    let mut version = version.to_owned();
    let mut buffer = BytesMut::new();
    let mut doubt = followed.0.doubt.subscribe();
    loop {
        let known = followed.collections().get(collection).map_or(0, |known| known.doubt);
        if *doubt.borrow_and_update() > known {
            return Ok(None);
        }
        let frame = tokio::select! {
            biased;
            () = cluster.stop.cancelled() => return Ok(Some(version)),
            _ = doubt.changed() => continue,
            frame = tokio::time::timeout(WATCH_SILENCE, body.frame()) => frame,
        };
        let data: Bytes = match frame {
            Ok(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
            Ok(None | Some(Err(_))) => return Ok(Some(version)),
            Err(_) => return Ok(None),
        };
        buffer.extend_from_slice(&data);
        while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
            let line = buffer.split_to(end + 1);
            let Ok(mut event) = serde_json::from_slice::<Value>(&line) else { return Ok(None) };
            let object = event.get_mut("object").map(Value::take).unwrap_or_default();
            let newer =
                object.pointer("/metadata/resourceVersion").and_then(Value::as_str).map(str::to_owned);
            match event.get("type").and_then(Value::as_str) {
                Some("ADDED" | "MODIFIED") => followed.with(collection, |known| {
                    put(known.objects.get_or_insert_default(), object);
                }),
                Some("DELETED") => followed.with(collection, |known| {
                    let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
                    known.objects.get_or_insert_default().remove(name);
                }),
                Some("BOOKMARK") => {}
                // The version is forgotten, or something else that only a list can mend.
                _ => return Ok(None),
            }
            version = newer.unwrap_or(version);
        }
    }
}

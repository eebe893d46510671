//! Keeps the index current: a list and a watch a kind, with the `ApplySet` selector, so that the server sends only members.
//!
//! Each event is read, reduced and dropped at once. A lost connection is taken up where it broke; a version that the server
//! has forgotten (410) is listed anew. A kind that may only be listed in some namespaces is watched in each of those.

use super::catalog::{Resource, Scope};
use super::error::{ApiError, ApiErrorClass};
use super::index::{Changed, Index, Progress, identity, slim};
use super::rest::{Ask, encode};
use super::{ClusterEvent, Inner};
use bytes::{Buf, BytesMut};
use http_body_util::BodyExt as _;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use trueup_model::{GroupKind, ObjectId, Value};
use trueup_plan::apply_set::PART_OF;

const PAGE: usize = 500;
/// A watch is asked for this long; the connection may be silent no longer than that and a bit.
const WATCH_SECONDS: u64 = 240;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often a kind that may not be watched is tried again.
const REFUSED_PAUSE: Duration = Duration::from_secs(30);

/// Follows a kind until the cluster is let go.
pub(super) async fn follow(cluster: Arc<Inner>, kind: GroupKind) {
    loop {
        let Some(resource) = served(&cluster, &kind).await else { return };
        match follow_in(&cluster, &resource, &kind, "").await {
            End::Stopped => return,
            End::Gone => {}
            End::Forbidden(error) if resource.scope == Scope::Namespaced => {
                if let End::Stopped = each_namespace(&cluster, &resource, &kind, error).await {
                    return;
                }
            }
            End::Forbidden(error) => {
                cluster.note(&kind, "", Progress::Refused(error.to_string()));
                if cluster.pause(REFUSED_PAUSE).await {
                    return;
                }
            }
        }
    }
}

/// Waits until the kind is served. One that is not has no objects, which is known and not unknown.
async fn served(cluster: &Arc<Inner>, kind: &GroupKind) -> Option<Resource> {
    loop {
        let catalog = cluster.catalog();
        if let Some(resource) = catalog.preferred(kind) {
            return Some(resource.clone());
        }
        match catalog.unknown_group(&kind.group) {
            Some(why) => cluster.note(kind, "", Progress::Refused(why.to_owned())),
            None if catalog.is_empty() => cluster.note(kind, "", Progress::Starting),
            None => {
                cluster.changed(&cluster.with_index(|index| index.retain(kind, "", &BTreeSet::new(), "")));
                cluster.note(kind, "", Progress::Following);
            }
        }
        let discovered = cluster.discovered.notified();
        tokio::select! {
            () = discovered => {}
            () = tokio::time::sleep(Duration::from_secs(5)) => {}
            () = cluster.stop.cancelled() => return None,
        }
    }
}

enum End {
    Stopped,
    /// The kind is not served any more.
    Gone,
    Forbidden(ApiError),
}

/// Watches a kind in each namespace that targets use, because it may not be watched as a whole.
async fn each_namespace(cluster: &Arc<Inner>, resource: &Resource, kind: &GroupKind, error: ApiError) -> End {
    let namespaces = cluster.namespaces();
    if namespaces.is_empty() {
        cluster.note(kind, "", Progress::Refused(error.to_string()));
        return if cluster.pause(Duration::from_secs(5)).await { End::Stopped } else { End::Gone };
    }
    for namespace in &namespaces {
        cluster.note(kind, namespace, Progress::Starting);
    }
    let mut tasks = tokio::task::JoinSet::new();
    for namespace in namespaces.clone() {
        let (cluster, resource, kind) = (cluster.clone(), resource.clone(), kind.clone());
        tasks.spawn(async move {
            loop {
                match follow_in(&cluster, &resource, &kind, &namespace).await {
                    End::Forbidden(error) => {
                        cluster.note(&kind, &namespace, Progress::Refused(error.to_string()));
                        if cluster.pause(REFUSED_PAUSE).await {
                            return;
                        }
                    }
                    End::Stopped | End::Gone => return,
                }
            }
        });
    }
    // Ends when the set of namespaces changes, or the kind goes.
    loop {
        tokio::select! {
            _ = tasks.join_next() => return if cluster.stop.is_cancelled() { End::Stopped } else { End::Gone },
            () = tokio::time::sleep(Duration::from_millis(500)) => {
                if cluster.namespaces() != namespaces {
                    return End::Gone;
                }
            }
        }
    }
}

async fn follow_in(cluster: &Arc<Inner>, resource: &Resource, kind: &GroupKind, namespace: &str) -> End {
    if namespace.is_empty() {
        cluster.start(kind);
    }
    let mut version: Option<String> = None;
    let mut pause = FIRST_PAUSE;
    loop {
        let result = match &version {
            None => list(cluster, resource, kind, namespace).await.map(Some),
            Some(from) => watch(cluster, resource, namespace, from).await,
        };
        if cluster.stop.is_cancelled() {
            return End::Stopped;
        }
        match result {
            Ok(next) => {
                if next.is_some() {
                    cluster.note(kind, namespace, Progress::Following);
                }
                version = next;
                pause = FIRST_PAUSE;
                continue;
            }
            Err(error) => match error.class {
                ApiErrorClass::Forbidden | ApiErrorClass::Unauthorized => return End::Forbidden(error),
                ApiErrorClass::NotFound => {
                    // Discovery decides whether the kind is gone or the server is confused.
                    let _ = cluster.discover().await;
                    if cluster.catalog().preferred(kind).is_none() {
                        return End::Gone;
                    }
                }
                _ => cluster.note(kind, namespace, Progress::Down(Instant::now(), error.to_string())),
            },
        }
        if cluster.pause(pause.mul_f64(0.75 + crate::sync::backoff::jitter() / 2.0)).await {
            return End::Stopped;
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn collection(resource: &Resource, namespace: &str) -> String {
    resource.collection(Some(namespace).filter(|namespace| !namespace.is_empty()))
}

/// Reads all members of a kind, page by page; gives the version to watch from.
async fn list(
    cluster: &Arc<Inner>,
    resource: &Resource,
    kind: &GroupKind,
    namespace: &str,
) -> Result<String, ApiError> {
    let what = resource.name();
    let base = format!("{}?labelSelector={}&limit={PAGE}", collection(resource, namespace), encode(PART_OF));
    let mut listed = BTreeSet::new();
    let mut uri = base.clone();
    loop {
        let mut page = cluster.rest.json(Ask::get("list", &what, uri)).await?;
        let text =
            |pointer: &str| page.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (version, more) = (text("/metadata/resourceVersion"), text("/metadata/continue"));
        let items =
            page.get_mut("items").and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default();
        let mut changed = Changed::new();
        for mut item in items {
            if let Some((set, id, live)) = slim(&mut item, resource) {
                listed.insert(id.clone());
                changed.extend(cluster.with_index(|index| index.put(set, id, live)));
            }
        }
        if more.is_empty() {
            changed.extend(cluster.with_index(|index| index.retain(kind, namespace, &listed, &version)));
            cluster.changed(&changed);
            return Ok(version);
        }
        cluster.changed(&changed);
        uri = format!("{base}&continue={}", encode(&more));
    }
}

/// Follows the events after a version; gives the version to go on from, or `None` where a new list is needed.
async fn watch(
    cluster: &Arc<Inner>,
    resource: &Resource,
    namespace: &str,
    from: &str,
) -> Result<Option<String>, ApiError> {
    let what = resource.name();
    let uri = format!(
        "{}?labelSelector={}&watch=true&allowWatchBookmarks=true&resourceVersion={}&timeoutSeconds={WATCH_SECONDS}",
        collection(resource, namespace),
        encode(PART_OF),
        encode(from)
    );
    let mut version = from.to_owned();
    let ask = Ask::get("watch", &what, uri);
    let mut body = match cluster.rest.stream(ask).await {
        Ok(body) => body,
        Err(error) if error.message.contains("too old resource version") => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut buffer = BytesMut::new();
    let silence = Duration::from_secs(WATCH_SECONDS + 30);
    loop {
        let frame = tokio::select! {
            frame = tokio::time::timeout(silence, body.frame()) => frame,
            () = cluster.stop.cancelled() => return Ok(Some(version)),
        };
        let data = match frame {
            Ok(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
            // The server ended the watch, or the connection broke: the next one goes on from the last version.
            Ok(None | Some(Err(_))) | Err(_) => return Ok(Some(version)),
        };
        buffer.extend_from_slice(&data);
        while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
            let event: Result<Value, _> = serde_json::from_slice(&buffer[..end]);
            buffer.advance(end + 1);
            let Ok(event) = event else { return Ok(None) };
            match take(cluster, resource, event) {
                Some(next) => version = next,
                None => return Ok(None),
            }
        }
    }
}

/// Takes one event in; gives its version, or `None` where the server wants a new list.
fn take(cluster: &Arc<Inner>, resource: &Resource, mut event: Value) -> Option<String> {
    let mut object = event.get_mut("object").map(Value::take)?;
    let version = object.pointer("/metadata/resourceVersion").and_then(Value::as_str)?.to_owned();
    let changed = match event.get("type").and_then(Value::as_str)? {
        "ADDED" | "MODIFIED" => match slim(&mut object, resource) {
            Some((set, id, live)) => cluster.with_index(|index| index.put(set, id, live)),
            None => remove(cluster, &identity(&object, resource)?),
        },
        // Deleted, or without our label any more: the server sends the same event for both.
        "DELETED" => remove(cluster, &identity(&object, resource)?),
        "BOOKMARK" => Changed::new(),
        _ => return None,
    };
    cluster.changed(&changed);
    Some(version)
}

fn remove(cluster: &Arc<Inner>, id: &ObjectId) -> Changed {
    cluster.with_index(|index: &mut Index| index.remove(id))
}

/// Refreshes the catalog when a CRD or an aggregated API changes, and now and then in any case.
pub(super) async fn follow_kinds(cluster: Arc<Inner>) {
    const NOW_AND_THEN: Duration = Duration::from_mins(5);
    const METADATA: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let mut pause = FIRST_PAUSE;
    let mut was_down = false;
    loop {
        let mut ask =
            Ask::get("list", &"customresourcedefinitions.apiextensions.k8s.io", format!("{path}?limit=1"));
        ask.accept = Some(METADATA);
        let version = match cluster.rest.json(ask).await {
            Ok(list) => list.pointer("/metadata/resourceVersion").and_then(Value::as_str).map(str::to_owned),
            Err(_) => None,
        };
        // Discovery comes after the version is known: a change between the two is then seen by the watch.
        let refreshed = cluster.discover().await.is_ok();
        if refreshed && was_down {
            cluster.tell(ClusterEvent::Connection);
        }
        was_down = !refreshed;
        let wait = match version {
            Some(version) if refreshed => {
                let uri =
                    format!("{path}?watch=true&resourceVersion={version}&timeoutSeconds={WATCH_SECONDS}");
                let mut ask = Ask::get("watch", &"customresourcedefinitions.apiextensions.k8s.io", uri);
                ask.accept = Some("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1");
                if let Ok(mut body) = cluster.rest.stream(ask).await {
                    let change = tokio::time::timeout(NOW_AND_THEN, body.frame());
                    tokio::select! { _ = change => {}, () = cluster.stop.cancelled() => return }
                }
                pause = FIRST_PAUSE;
                FIRST_PAUSE
            }
            Some(_) | None if refreshed => NOW_AND_THEN,
            Some(_) | None => {
                pause = (pause * 2).min(LONGEST_PAUSE);
                pause
            }
        };
        if cluster.pause(wait).await {
            return;
        }
    }
}

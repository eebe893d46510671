//! Keeps the index current: a list and a watch a kind, with the `ApplySet` selector, so that the server sends only members.
//!
//! Where the server can, the list is the beginning of the watch (KEP-3157): objects come one by one and none waits for others
//! in memory, here or there. Elsewhere the list is read page by page. Each event is read, reduced and dropped at once. A lost
//! connection is taken up where it broke; a version that the server has forgotten (410) is listed anew. A kind that may only be
//! listed in some namespaces is watched in each of those.

use super::catalog::{Resource, Scope};
use super::error::{ApiError, ApiErrorClass};
use super::index::{Changed, Progress};
use super::reading::{Event, Head, Page, Refusal};
use super::rest::{Ask, METADATA, METADATA_LIST, encode};
use super::{ClusterEvent, Inner};
use bytes::BytesMut;
use http_body_util::BodyExt as _;
use kube::client::Body;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use trueup_model::{GroupKind, ObjectId, Value};
use trueup_plan::apply_set::PART_OF;

const PAGE: usize = 500;
/// A list that comes as a stream may pause no longer than that.
const STREAM_SILENCE: Duration = Duration::from_secs(20);
/// A watch is asked for this long: each new one is a request.
pub(super) const WATCH_SECONDS: u64 = 1500;
/// Bookmarks come about once a minute; a connection that is silent for longer than this is given up and taken up again.
pub(super) const WATCH_SILENCE: Duration = Duration::from_mins(4);
/// A watch that ends sooner was cut off.
const REGULAR: Duration = Duration::from_secs(WATCH_SECONDS - 60);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// What is known of a kind says nothing of the server behind a connection that was cut off once.
const UNHEARD: u64 = 0;
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
                cluster.note(kind, "", Progress::Following(UNHEARD));
            }
        }
        let discovered = cluster.discovered.notified();
        tokio::select! {
            biased;
            () = cluster.stop.cancelled() => return None,
            () = discovered => {}
            () = tokio::time::sleep(Duration::from_secs(5)) => {}
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
            biased;
            _ = tasks.join_next() => return if cluster.stop.is_cancelled() { End::Stopped } else { End::Gone },
            () = tokio::time::sleep(Duration::from_millis(500)) => {
                if cluster.namespaces() != namespaces {
                    return End::Gone;
                }
            }
        }
    }
}

/// How a server gives the first list of a kind.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Listing {
    /// As the beginning of a watch.
    Streamed,
    /// Page by page: it refused the other.
    Paged,
}

async fn follow_in(cluster: &Arc<Inner>, resource: &Resource, kind: &GroupKind, namespace: &str) -> End {
    if namespace.is_empty() {
        cluster.start(kind);
    }
    let mut listing = Listing::Streamed;
    let mut version: Option<String> = None;
    let mut era = cluster.era();
    let seen = AtomicU64::new(0);
    let was_cut = AtomicBool::new(false);
    let mut pause = FIRST_PAUSE;
    loop {
        if era.is_cancelled() {
            (era, version) = (cluster.era(), None);
            seen.store(0, Ordering::SeqCst);
        }
        let place = Place { cluster, resource, kind, namespace, era: &era, seen: &seen, was_cut: &was_cut };
        let result = match (&version, listing) {
            (None, Listing::Paged) => list(&place).await.map(Some),
            (None, Listing::Streamed) => watch(&place, None).await,
            (Some(from), _) => watch(&place, Some(from)).await,
        };
        if result.is_err() {
            was_cut.store(true, Ordering::SeqCst);
        }
        if cluster.stop.is_cancelled() {
            return End::Stopped;
        }
        if era.is_cancelled() {
            continue;
        }
        match result {
            Ok(next) => {
                if next.is_some() {
                    cluster.note(kind, namespace, Progress::Following(UNHEARD));
                }
                version = next;
                pause = FIRST_PAUSE;
                continue;
            }
            Err(error) => match error.class {
                // Who may not watch is told first that they may not list, if that is so.
                ApiErrorClass::Invalid | ApiErrorClass::Timeout | ApiErrorClass::Forbidden
                    if version.is_none() && listing == Listing::Streamed =>
                {
                    listing = Listing::Paged;
                    continue;
                }
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
        if cluster.pause(pause.mul_f64(0.75 + crate::ambient::fraction() / 2.0)).await {
            return End::Stopped;
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// What is followed.
struct Place<'a> {
    cluster: &'a Arc<Inner>,
    resource: &'a Resource,
    kind: &'a GroupKind,
    /// Empty for all namespaces.
    namespace: &'a str,
    /// Ends when the server's history does.
    era: &'a CancellationToken,
    /// The last version of the kind that the server has shown.
    seen: &'a AtomicU64,
    /// Whether the connection was cut off, and nobody has looked since whether the server is still what it was.
    was_cut: &'a AtomicBool,
}

impl Place<'_> {
    fn has_shown(&self, version: &str) {
        if let Ok(version) = version.parse() {
            self.seen.fetch_max(version, Ordering::SeqCst);
        }
    }

    /// Whether a list that ends in this version can come after what the server has shown before, and after objects that are known
    /// in the version `newer`. A server that was put back to a backup gives out versions anew that it gave out already.
    fn is_rewound(&self, version: &str, newer: Option<u64>) -> bool {
        let Ok(version) = version.parse::<u64>() else { return false };
        version < self.seen.load(Ordering::SeqCst) || newer.is_some_and(|newer| newer <= version)
    }

    /// Has everything looked at anew, unless another watch did so since this one began.
    fn rewind(&self) {
        if !self.era.is_cancelled() {
            self.cluster.rewind();
        }
    }

    /// Asks a server whose connections were cut off how far it is. One that was put back to a backup is behind what it has shown. A
    /// watch that goes on from there hears of nothing until the versions in between were given out anew, and then of what comes after
    /// them. Gives whether it may go on.
    async fn is_as_it_was(&self) -> Result<bool, ApiError> {
        if !self.was_cut.load(Ordering::SeqCst) {
            return Ok(true);
        }
        let what = self.resource.name();
        let collection = collection(self.resource, self.namespace);
        let uri = format!("{collection}?labelSelector={}&limit=1", encode(PART_OF));
        let ask = Ask { accept: Some(METADATA_LIST), ..Ask::get("list", &what, uri) };
        let list = match self.cluster.rest.json(ask).await {
            // Who may watch and not list cannot know it.
            Err(error) if error.class == ApiErrorClass::Forbidden => Value::Null,
            answer => answer?,
        };
        let version = list.pointer("/metadata/resourceVersion").and_then(Value::as_str).unwrap_or_default();
        if self.is_rewound(version, None) {
            self.rewind();
            return Ok(false);
        }
        self.has_shown(version);
        self.was_cut.store(false, Ordering::SeqCst);
        Ok(true)
    }
}

fn collection(resource: &Resource, namespace: &str) -> String {
    resource.collection(Some(namespace).filter(|namespace| !namespace.is_empty()))
}

/// Reads all members of a kind, page by page; gives the version to watch from.
async fn list(place: &Place<'_>) -> Result<String, ApiError> {
    let Place { cluster, resource, kind, namespace, .. } = place;
    let what = resource.name();
    let heard = cluster.interruptions();
    let base = format!("{}?labelSelector={}&limit={PAGE}", collection(resource, namespace), encode(PART_OF));
    let mut listed = BTreeSet::new();
    let mut newer = None;
    let mut uri = base.clone();
    loop {
        let bytes = cluster.rest.bytes(Ask::get("list", &what, uri)).await?;
        let page: Page<'_> = serde_json::from_slice(&bytes).map_err(|error| {
            ApiError::new(ApiErrorClass::Other, format!("list {what}: the answer is no list: {error}"))
        })?;
        let mut changed = Changed::new();
        for item in page.items.iter().flatten() {
            if let Some(taken) = cluster.take(item.get().as_bytes(), resource) {
                changed.extend(taken.changed);
                newer = least(newer, taken.newer);
                listed.insert(taken.id);
            }
        }
        let metadata = &page.metadata;
        if metadata.r#continue.is_empty() {
            let version = &metadata.resource_version;
            if place.is_rewound(version, newer) {
                place.rewind();
                return Ok(version.clone().into_owned());
            }
            place.has_shown(version);
            place.was_cut.store(false, Ordering::SeqCst);
            changed.extend(cluster.with_index(|index| index.retain(kind, namespace, &listed, version)));
            cluster.changed(&changed);
            cluster.note(kind, namespace, Progress::Following(heard));
            return Ok(version.clone().into_owned());
        }
        cluster.changed(&changed);
        uri = format!("{base}&continue={}", encode(&metadata.r#continue));
    }
}

fn least(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.into_iter().chain(other).min()
}

/// Follows the events after a version, or begins with a list where there is none; gives the version to go on from, or `None`
/// where a new list is needed.
async fn watch(place: &Place<'_>, from: Option<&str>) -> Result<Option<String>, ApiError> {
    let Place { cluster, resource, namespace, .. } = place;
    let what = resource.name();
    let heard = cluster.interruptions();
    let beginning = match from {
        Some(version) => format!("resourceVersion={}", encode(version)),
        None => "sendInitialEvents=true&resourceVersionMatch=NotOlderThan".to_owned(),
    };
    let uri = format!(
        "{}?labelSelector={}&watch=true&allowWatchBookmarks=true&{beginning}&timeoutSeconds={WATCH_SECONDS}",
        collection(resource, namespace),
        encode(PART_OF),
    );
    let body = match cluster.rest.stream(Ask::get("watch", &what, uri)).await {
        Ok(body) => body,
        Err(error) if error.message.contains("too old resource version") => {
            cluster.note_break();
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    // Asked when the watch has begun: what happens to the server from now on cuts it off.
    if from.is_some() && !place.is_as_it_was().await? {
        return Ok(None);
    }
    let listed = from.is_none().then(BTreeSet::new);
    let version = from.map(str::to_owned);
    let (is_resumed, changed) = (from.is_some(), Changed::new());
    let mut stream = Stream { place, heard, version, listed, newer: None, is_resumed, changed };
    match stream.follow(body).await? {
        Ended::Here if stream.listed.is_none() => Ok(stream.version),
        // Only a complete list can be gone on from.
        Ended::Here => {
            let words = format!("list {what}: the stream ended before the list did");
            Err(ApiError::new(ApiErrorClass::Timeout, words))
        }
        Ended::Forgotten => {
            cluster.note_break();
            Ok(None)
        }
    }
}

/// A watch under way.
struct Stream<'p> {
    place: &'p Place<'p>,
    /// How often connections had been cut off when it was asked for.
    heard: u64,
    /// The last version that was seen.
    version: Option<String>,
    /// What the list at the beginning has shown so far; nothing when it is over, or where there was none.
    listed: Option<BTreeSet<ObjectId>>,
    /// The least version in which objects are known of which the list shows an older one.
    newer: Option<u64>,
    /// Whether it goes on from a version, and the server has not told anything yet.
    is_resumed: bool,
    /// The sets whose members changed, until somebody is told.
    changed: Changed,
}

enum Ended {
    /// The next watch can go on from the last version.
    Here,
    /// The server does not know that version any more.
    Forgotten,
}

impl Stream<'_> {
    async fn follow(&mut self, mut body: Body) -> Result<Ended, ApiError> {
        let cluster = self.place.cluster;
        let begun = Instant::now();
        let mut buffer = BytesMut::new();
        loop {
            let silence = match &self.listed {
                Some(_) => STREAM_SILENCE,
                None => WATCH_SILENCE,
            };
            let frame = tokio::select! {
                biased;
                () = cluster.stop.cancelled() => return Ok(Ended::Here),
                () = self.place.era.cancelled() => return Ok(Ended::Forgotten),
                frame = tokio::time::timeout(silence, body.frame()) => frame,
            };
            let data = match frame {
                Ok(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
                Err(_) if self.listed.is_some() => {
                    let words = format!("list {}: the stream stopped", self.place.resource.name());
                    return Err(ApiError::new(ApiErrorClass::Timeout, words));
                }
                // The server ended the watch, or the connection broke: the next one goes on from the last version.
                Ok(None | Some(Err(_))) => {
                    if begun.elapsed() < REGULAR {
                        self.place.was_cut.store(true, Ordering::SeqCst);
                        cluster.note_loss();
                    }
                    return Ok(Ended::Here);
                }
                // Not even a bookmark came: who knows what has become of that version.
                Err(_) => return Ok(Ended::Forgotten),
            };
            // Only what is new is searched for an end: a large object comes in many frames.
            let searched = buffer.len();
            buffer.extend_from_slice(&data);
            let Some(last) = data.iter().rposition(|byte| *byte == b'\n') else { continue };
            let lines = buffer.split_to(searched + last + 1);
            let ended = self.take_all(&lines);
            cluster.changed(&std::mem::take(&mut self.changed));
            if let Some(ended) = ended? {
                return Ok(ended);
            }
        }
    }

    fn take_all(&mut self, lines: &[u8]) -> Result<Option<Ended>, ApiError> {
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let Ok(event) = serde_json::from_slice::<Event<'_>>(line) else {
                return Ok(Some(Ended::Forgotten));
            };
            if let Some(ended) = self.take(&event)? {
                return Ok(Some(ended));
            }
        }
        Ok(None)
    }

    fn take(&mut self, event: &Event<'_>) -> Result<Option<Ended>, ApiError> {
        let Place { cluster, resource, .. } = self.place;
        let object = event.object.get().as_bytes();
        let Some(head) = Head::of(object) else { return Ok(Some(Ended::Forgotten)) };
        match &*event.kind {
            "ADDED" | "MODIFIED" => {
                if let Some(taken) = cluster.take(object, resource) {
                    self.changed.extend(taken.changed);
                    self.newer = least(self.newer, taken.newer);
                    if let (Some(listed), Some(_)) = (&mut self.listed, taken.live) {
                        listed.insert(taken.id);
                    }
                }
            }
            // Deleted, or without our label any more: the server sends the same event for both.
            "DELETED" => {
                if let Some(id) = head.id(resource) {
                    self.changed.extend(cluster.with_index(|index| index.went(&id, head.version())));
                }
            }
            "BOOKMARK" if head.ends_list() => self.end_list(head.version()),
            "BOOKMARK" => {}
            _ => return self.refused(object),
        }
        if std::mem::take(&mut self.is_resumed) {
            // It may have been down before.
            cluster.note(self.place.kind, self.place.namespace, Progress::Following(self.heard));
        }
        if !head.version().is_empty() && !self.place.era.is_cancelled() {
            if self.listed.is_none() {
                self.place.has_shown(head.version());
            }
            self.version = Some(head.version().to_owned());
        }
        Ok(None)
    }

    fn end_list(&mut self, version: &str) {
        let Place { cluster, kind, namespace, .. } = self.place;
        if let Some(listed) = self.listed.take() {
            if self.place.is_rewound(version, self.newer) {
                return self.place.rewind();
            }
            self.place.was_cut.store(false, Ordering::SeqCst);
            let gone = cluster.with_index(|index| index.retain(kind, namespace, &listed, version));
            self.changed.extend(gone);
            cluster.note(kind, namespace, Progress::Following(self.heard));
        }
    }

    // An error instead of an event: only a forgotten version needs a new list.
    fn refused(&self, status: &[u8]) -> Result<Option<Ended>, ApiError> {
        match serde_json::from_slice::<Refusal>(status) {
            Ok(refusal) if refusal.code >= 500 || refusal.code == 429 => {
                let words = format!("watch {}: {}", self.place.resource.name(), refusal.message);
                Err(ApiError::new(ApiErrorClass::Other, words))
            }
            Ok(_) | Err(_) => Ok(Some(Ended::Forgotten)),
        }
    }
}

/// Refreshes the catalog when a CRD or an aggregated API changes, and now and then in any case.
pub(super) async fn follow_kinds(cluster: Arc<Inner>) {
    const NOW_AND_THEN: Duration = Duration::from_mins(5);
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let mut pause = FIRST_PAUSE;
    let mut was_down = false;
    let mut era = cluster.era();
    let mut seen = 0;
    loop {
        if era.is_cancelled() {
            (era, seen) = (cluster.era(), 0);
        }
        let mut ask =
            Ask::get("list", &"customresourcedefinitions.apiextensions.k8s.io", format!("{path}?limit=1"));
        ask.accept = Some(METADATA_LIST);
        let version = match cluster.rest.json(ask).await {
            Ok(list) => list.pointer("/metadata/resourceVersion").and_then(Value::as_str).map(str::to_owned),
            Err(_) => None,
        };
        // A server that is put back to a backup ends all connections: this is the first that is heard of it.
        if let Some(number) = version.as_ref().and_then(|version| version.parse::<u64>().ok()) {
            if number < seen && !era.is_cancelled() {
                cluster.rewind();
                era = cluster.era();
            }
            seen = number;
        }
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
                ask.accept = Some(METADATA);
                if let Ok(mut body) = cluster.rest.stream(ask).await {
                    let change = tokio::time::timeout(NOW_AND_THEN, body.frame());
                    tokio::select! { biased; () = cluster.stop.cancelled() => return, _ = change => {} }
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
        // However many watches are cut off together, it is looked once.
        let soon = async {
            cluster.lost.notified().await;
            tokio::time::sleep(FIRST_PAUSE).await;
        };
        tokio::select! {
            biased;
            () = cluster.stop.cancelled() => return,
            () = soon => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

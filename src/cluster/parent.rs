//! What a cluster itself keeps of trueup's work: the parents of the `ApplySet`s, events on them, and the Secrets that
//! configuration refers to.

use super::catalog::Scope;
use super::error::{ApiError, ApiErrorClass};
use super::rest::{Ask, Listing};
use super::{Cluster, FRESH, Inner, MANAGER};
use crate::ambient;
use base64::Engine as _;
use bytes::Bytes;
use http::Method;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use tokio::time::Instant;
use trueup_model::{GroupKind, Value};
use trueup_plan::apply_set::{GROUP_KINDS, ID, NAMESPACES, TOOLING};

/// The longest note of an Event that the API takes.
pub(super) const LONGEST_NOTE: usize = 1024;

/// The parent of a target's `ApplySet`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parent {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// The id of the set.
    pub id: String,
    /// The kinds of the members.
    pub kinds: BTreeSet<GroupKind>,
    /// The namespaces of the members.
    pub namespaces: BTreeSet<String>,
    /// The last record.
    pub data: BTreeMap<String, String>,
    /// Its uid; empty before it was written.
    pub uid: String,
    /// Its `resourceVersion` as it was last seen or written; empty before it was written.
    pub version: String,
}

/// The parents that were lately listed.
pub(super) struct Parents {
    since: Instant,
    /// How often connections to the server had been cut off by then: since, it may have been put back to a backup.
    interruptions: u64,
    /// Whether nothing of the cluster was followed yet: what happened to it before something was is not heard of.
    is_blind: bool,
    /// The namespaces that were listed; `None` for all.
    of: Option<BTreeSet<String>>,
    /// By namespace and name.
    all: BTreeMap<(String, String), Parent>,
}

/// Tries of a write that finds that the parent has changed.
const TRIES: u32 = 4;

/// Whether an Event tells of something that is as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// It is.
    Normal,
    /// It is not.
    Warning,
}

/// Whether a version is from before another one. What is no number is never thought older.
fn is_older(version: &str, than: &str) -> bool {
    matches!((version.parse::<u64>(), than.parse::<u64>()), (Ok(version), Ok(than)) if version < than)
}

impl Cluster {
    /// The parents that trueup keeps and that are wanted: over all namespaces, or in those that targets use where more may not be
    /// read. Targets that begin together share a list; what is written here meanwhile is part of it.
    pub async fn parents(&self, wanted: impl Fn(&Parent) -> bool) -> Result<Vec<Parent>, ApiError> {
        let (interruptions, is_blind, namespaces) =
            (self.interruptions(), self.is_new(), self.0.namespaces());
        // Whoever comes while somebody lists waits for that.
        let mut known = self.0.parents.lock().await;
        let parents = match &mut *known {
            Some(parents) if parents.hold(interruptions, &namespaces) && (is_blind || !parents.is_blind) => {
                parents
            }
            _ => {
                let since = Instant::now();
                let (of, listed) = self.list_parents(namespaces).await?;
                let all = listed.into_iter().map(|parent| (parent.place(), parent)).collect();
                self.0.forget_lists_when_old();
                known.insert(Parents { since, interruptions, is_blind, of, all })
            }
        };
        Ok(parents.all.values().filter(|parent| wanted(parent)).cloned().collect())
    }

    /// Lists them; `None` stands for all namespaces.
    async fn list_parents(
        &self,
        namespaces: BTreeSet<String>,
    ) -> Result<(Option<BTreeSet<String>>, Vec<Parent>), ApiError> {
        match self.parents_at("/api/v1/configmaps").await {
            Err(error) if error.class == ApiErrorClass::Forbidden => {
                let mut parents = Vec::new();
                for namespace in &namespaces {
                    let collection = format!("/api/v1/namespaces/{namespace}/configmaps");
                    parents.extend(self.parents_at(&collection).await?);
                }
                Ok((Some(namespaces), parents))
            }
            result => Ok((None, result?)),
        }
    }

    async fn parents_at(&self, collection: &str) -> Result<Vec<Parent>, ApiError> {
        let listing = Listing { what: &"configmaps", collection, selector: ID, accept: None };
        let mut parents = Vec::new();
        let take = |page: Vec<Value>| {
            parents.extend(page.iter().filter_map(read));
            Ok(())
        };
        self.0.rest.list(&listing, take).await?;
        Ok(parents)
    }

    /// Writes a parent as it should be, over the version of it that is known; gives it as it is then.
    ///
    /// A write that was thought lost may still come through, long after others: it must not take members out that were noted
    /// since. So each write names the version that it is made from. Where that is not the last, what the last names stays in.
    pub async fn write_parent(&self, parent: &Parent) -> Result<Parent, ApiError> {
        let written = self.write_over(parent.clone()).await;
        self.0.noted_parent(parent, written.as_ref().ok()).await;
        written
    }

    async fn write_over(&self, mut parent: Parent) -> Result<Parent, ApiError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let is_new = parent.version.is_empty();
            match self.put_parent(&parent).await {
                Ok(written) => {
                    if is_new {
                        self.0.late().begin(&parent.id);
                    }
                    return Ok(Parent {
                        uid: text(&written, "uid"),
                        version: text(&written, "resourceVersion"),
                        ..parent
                    });
                }
                Err(error) if tries < TRIES && has_moved(&error, is_new) => {
                    self.catch_up(&mut parent).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The parent as the cluster has it now, if it does.
    pub async fn reread_parent(&self, parent: &Parent) -> Result<Option<Parent>, ApiError> {
        Ok(self.current_parent(parent).await?.as_ref().and_then(read))
    }

    async fn current_parent(&self, parent: &Parent) -> Result<Option<Value>, ApiError> {
        let what = format!("ConfigMap {}/{}", parent.namespace, parent.name);
        match self.0.rest.json(Ask::get("get", &what, path(parent))).await {
            Ok(current) => {
                // Where watches go on in versions that are given out anew, nothing else tells of it.
                if is_older(&text(&current, "resourceVersion"), &parent.version) {
                    self.0.rewind();
                }
                Ok(Some(current))
            }
            Err(error) if error.class == ApiErrorClass::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn put_parent(&self, parent: &Parent) -> Result<Value, ApiError> {
        let what = format!("ConfigMap {}/{}", parent.namespace, parent.name);
        let mut body = body(parent);
        let mut ask = Ask {
            verb: "patch",
            what: &what,
            method: Method::PATCH,
            uri: format!("{}?fieldManager={MANAGER}&force=true", path(parent)),
            content_type: Some("application/apply-patch+yaml"),
            accept: None,
            body: Bytes::new(),
        };
        if parent.version.is_empty() {
            // An apply would also change one that is there; this creates or is refused.
            ask.verb = "create";
            ask.method = Method::POST;
            ask.uri = format!("/api/v1/namespaces/{}/configmaps?fieldManager={MANAGER}", parent.namespace);
            ask.content_type = Some("application/json");
        } else {
            body["metadata"]["resourceVersion"] = parent.version.as_str().into();
        }
        ask.body = body.to_string().into();
        self.0.rest.json(ask).await
    }

    /// Takes over what the parent in the cluster has that this one does not know of.
    async fn catch_up(&self, parent: &mut Parent) -> Result<(), ApiError> {
        let current = self.current_parent(parent).await?;
        parent.version = current.as_ref().map(|current| text(current, "resourceVersion")).unwrap_or_default();
        if let Some(current) = current.as_ref().and_then(read) {
            parent.kinds.extend(current.kinds);
            parent.namespaces.extend(current.namespaces);
        }
        Ok(())
    }

    /// Deletes a parent, if it is still the one that was meant.
    pub async fn delete_parent(&self, parent: &Parent) -> Result<(), ApiError> {
        let what = format!("ConfigMap {}/{}", parent.namespace, parent.name);
        let ask = Ask {
            verb: "delete",
            what: &what,
            method: Method::DELETE,
            uri: path(parent),
            content_type: Some("application/json"),
            accept: None,
            body: json!({"preconditions": {"uid": parent.uid}}).to_string().into(),
        };
        let deleted = self.0.rest.json(ask).await;
        self.0.noted_parent(parent, None).await;
        match deleted {
            Err(error) if error.class != ApiErrorClass::NotFound => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Posts an Event about a target, on its parent.
    pub async fn event(
        &self,
        parent: &Parent,
        kind: EventKind,
        reason: &str,
        message: &str,
    ) -> Result<(), ApiError> {
        let now = ambient::now();
        let note: String = message.chars().take(LONGEST_NOTE).collect();
        let note: String = note
            .char_indices()
            .take_while(|(at, c)| at + c.len_utf8() <= LONGEST_NOTE)
            .map(|(_, c)| c)
            .collect();
        let event = json!({
            "apiVersion": "events.k8s.io/v1", "kind": "Event",
            "metadata": {"generateName": format!("{}-", parent.name), "namespace": parent.namespace},
            "eventTime": format!("{now:.6}"),
            "type": match kind { EventKind::Normal => "Normal", EventKind::Warning => "Warning" },
            "reason": reason, "action": "Sync", "note": note,
            "reportingController": "trueup.dev/trueup", "reportingInstance": "trueup",
            "regarding": {"apiVersion": "v1", "kind": "ConfigMap", "name": parent.name, "namespace": parent.namespace, "uid": parent.uid},
        });
        let ask = Ask {
            verb: "create",
            what: &"event",
            method: Method::POST,
            uri: format!("/apis/events.k8s.io/v1/namespaces/{}/events", parent.namespace),
            content_type: Some("application/json"),
            accept: None,
            body: event.to_string().into(),
        };
        self.0.rest.json(ask).await.map(drop)
    }

    /// The decoded data of a Secret.
    pub async fn secret(&self, namespace: &str, name: &str) -> Result<BTreeMap<String, Vec<u8>>, ApiError> {
        let what = format!("Secret {namespace}/{name}");
        let uri = format!("/api/v1/namespaces/{namespace}/secrets/{name}");
        let secret = self.0.rest.json(Ask::get("get", &what, uri)).await?;
        let data = secret.get("data").and_then(Value::as_object).into_iter().flatten();
        data.map(|(key, value)| {
            let decoded =
                base64::engine::general_purpose::STANDARD.decode(value.as_str().unwrap_or_default());
            let wrong = |_| {
                ApiError::new(ApiErrorClass::Invalid, format!("{what}: the value of {key} is not base64"))
            };
            decoded.map(|bytes| (key.clone(), bytes)).map_err(wrong)
        })
        .collect()
    }

    /// Whether a kind lives in namespaces, as far as is known.
    pub fn scope_of(&self, kind: &GroupKind) -> Option<Scope> {
        self.catalog().preferred(kind).map(|resource| resource.scope)
    }
}

impl Inner {
    /// Notes what became of a parent in the list that is kept; where that cannot be told, the list goes.
    async fn noted_parent(&self, parent: &Parent, now: Option<&Parent>) {
        let mut known = self.parents.lock().await;
        match (&mut *known, now) {
            (Some(parents), Some(now)) => drop(parents.all.insert(parent.place(), now.clone())),
            (kept, _) => *kept = None,
        }
    }

    pub(super) async fn forget_old_parents(&self) {
        let mut known = self.parents.lock().await;
        if known.as_ref().is_some_and(|parents| parents.since.elapsed() >= FRESH) {
            *known = None;
        }
    }
}

impl Parent {
    /// What it says under a name; empty where it says nothing.
    pub fn field(&self, name: &str) -> &str {
        self.data.get(name).map(String::as_str).unwrap_or_default()
    }

    fn place(&self) -> (String, String) {
        (self.namespace.clone(), self.name.clone())
    }
}

impl Parents {
    fn hold(&self, interruptions: u64, namespaces: &BTreeSet<String>) -> bool {
        let covers = self.of.as_ref().is_none_or(|of| namespaces.is_subset(of));
        covers && self.interruptions == interruptions && self.since.elapsed() < FRESH
    }
}

/// Whether a write was refused because the parent is not what it was thought to be.
fn has_moved(error: &ApiError, is_new: bool) -> bool {
    error.class == ApiErrorClass::Conflict || error.class == ApiErrorClass::NotFound && !is_new
}

fn text(object: &Value, field: &str) -> String {
    object["metadata"][field].as_str().unwrap_or_default().to_owned()
}

fn path(parent: &Parent) -> String {
    format!("/api/v1/namespaces/{}/configmaps/{}", parent.namespace, parent.name)
}

fn body(parent: &Parent) -> Value {
    // KEP-3659 names kinds as `Kind.group`.
    let kinds = parent.kinds.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let others: Vec<&str> = parent
        .namespaces
        .iter()
        .map(String::as_str)
        .filter(|namespace| *namespace != parent.namespace)
        .collect();
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {
            "name": parent.name, "namespace": parent.namespace,
            "labels": {ID: parent.id, "app.kubernetes.io/managed-by": "trueup"},
            "annotations": {TOOLING: "trueup/v1alpha1", GROUP_KINDS: kinds, NAMESPACES: others.join(",")},
        },
        "data": parent.data,
    })
}

fn read(object: &Value) -> Option<Parent> {
    let metadata = object.get("metadata")?;
    let annotation =
        |key: &str| metadata.get("annotations").and_then(|all| all.get(key)?.as_str()).unwrap_or_default();
    if !annotation(TOOLING).starts_with("trueup/") {
        return None;
    }
    let names =
        |text: &str| text.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    let mut namespaces: BTreeSet<String> = names(annotation(NAMESPACES)).into_iter().collect();
    namespaces.insert(text(object, "namespace"));
    Some(Parent {
        name: text(object, "name"),
        namespace: text(object, "namespace"),
        id: metadata.get("labels")?.get(ID)?.as_str()?.to_owned(),
        kinds: names(annotation(GROUP_KINDS))
            .iter()
            .map(|name| {
                name.split_once('.')
                    .map_or(GroupKind::new("", name), |(kind, group)| GroupKind::new(group, kind))
            })
            .collect(),
        namespaces,
        data: object
            .get("data")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect(),
        uid: text(object, "uid"),
        version: text(object, "resourceVersion"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_is_read_as_it_was_written() {
        let parent = Parent {
            name: "trueup.web.staging".into(),
            namespace: "shop".into(),
            id: "applyset-x-v1".into(),
            kinds: BTreeSet::from([GroupKind::new("", "ConfigMap"), GroupKind::new("apps", "Deployment")]),
            namespaces: BTreeSet::from(["shop".into(), "other".into()]),
            data: BTreeMap::from([("target".into(), "web@staging".into())]),
            uid: String::new(),
            version: String::new(),
        };
        assert_eq!(read(&body(&parent)).unwrap(), parent);
    }
}

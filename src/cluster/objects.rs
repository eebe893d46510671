//! Reads and writes of single objects.
//!
//! A write is one server-side apply, with no read before it; its answer goes into the index at once. What may pass by itself
//! (429, a lost connection, a 5xx) is tried again a few times: an apply can be repeated without harm.

use super::catalog::Resource;
use super::error::{ApiError, ApiErrorClass};
use super::index::slim;
use super::reading::whole;
use super::releases::HandedOver;
use super::rest::{Ask, encode};
use super::{Cluster, MANAGER};
use bytes::Bytes;
use http::Method;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use trueup_merge::extract::Extract;
use trueup_merge::migrate;
use trueup_merge::rewrite::{Rewritten, rewritten};
use trueup_merge::secrets::MaskKey;
use trueup_model::{ObjectId, Value};
use trueup_plan::observed::Live;

/// Tries of a write that fails for a passing reason.
const TRIES: u32 = 4;
/// A version that no object has, since etcd begins with it. An apply that names it is refused (409) where an object is there, and creates it
/// where none is.
const NOTHING_THERE: &str = "1";

/// A server-side apply.
#[derive(Clone, Copy, Debug)]
pub struct Apply<'a> {
    /// The object.
    pub id: &'a ObjectId,
    /// The version that it is written in: `apps/v1`.
    pub api_version: &'a str,
    /// The object as JSON.
    pub body: &'a [u8],
    /// For real, or to see what would come of it.
    pub mode: Mode,
    /// What happens to fields of other managers.
    pub force: Force,
}

/// Whether an apply is for real.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It is.
    Write,
    /// It is, and only where nothing is there: what came meanwhile stays as it is, also when this one is late.
    Create,
    /// The server says what would come of it and keeps nothing.
    DryRun,
}

impl Mode {
    fn writes(self) -> bool {
        match self {
            Self::Write | Self::Create => true,
            Self::DryRun => false,
        }
    }
}

/// What happens to fields that other managers own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// They become ours.
    Yes,
    /// The apply is refused.
    No,
}

/// What came of an apply.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The object as it is (or would be) now, in short.
    pub live: Arc<Live>,
    /// The whole of it, for a dry run.
    pub object: Option<Value>,
    answer: Bytes,
}

impl Applied {
    /// The fields that are ours and that did not become what was sent as `body`: admission rewrote them. `extract` is the hash
    /// of what was sent; where the answer has the same, nothing is read again.
    pub fn rewritten(&self, body: &[u8], extract: Extract, mask: &MaskKey) -> Vec<Rewritten> {
        if self.live.extract == Some(extract) {
            return Vec::new();
        }
        let read = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).ok();
        let (Some(sent), Some(live)) = (read(body), read(&self.answer)) else { return Vec::new() };
        rewritten(&sent, &live, MANAGER, mask)
    }
}

/// What came of a deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// The object is gone.
    Gone,
    /// It is on its way: finalizers hold it.
    Started,
    /// It is not the object any more that was meant: nothing was deleted.
    Changed,
}

/// An object as JSON, to be applied where there is none.
fn where_nothing_is(body: &[u8]) -> Bytes {
    let Ok(mut object) = serde_json::from_slice::<Value>(body) else { return Bytes::copy_from_slice(body) };
    object["metadata"]["resourceVersion"] = NOTHING_THERE.into();
    object.to_string().into()
}

impl Cluster {
    /// Applies an object server-side, as field manager `trueup`; unknown fields are refused.
    pub async fn apply(&self, request: &Apply<'_>) -> Result<Applied, ApiError> {
        let resource = self.resource(request.id, request.api_version)?;
        let force = if request.force == Force::Yes { "true" } else { "false" };
        let dry_run = match request.mode {
            Mode::Write | Mode::Create => "",
            Mode::DryRun => "&dryRun=All",
        };
        let uri = format!(
            "{}?fieldManager={MANAGER}&force={force}&fieldValidation=Strict{dry_run}",
            resource.object(request.id)
        );
        let body = match request.mode {
            Mode::Write | Mode::DryRun => Bytes::copy_from_slice(request.body),
            Mode::Create => where_nothing_is(request.body),
        };
        let (era, interruptions) = (self.0.era(), self.interruptions());
        let mut tries = 0;
        loop {
            tries += 1;
            let ask = Ask {
                verb: "patch",
                what: request.id,
                method: Method::PATCH,
                uri: uri.clone(),
                content_type: Some("application/apply-patch+yaml"),
                accept: None,
                body: body.clone(),
            };
            // A server that comes back may have been put back to a backup: whoever asked looks first.
            let is_same = || !request.mode.writes() || self.interruptions() == interruptions;
            let answered = self.0.rest.bytes_while(ask, is_same).await;
            if answered.as_ref().is_err_and(ApiError::is_unanswered) && request.mode.writes() {
                self.0.late().give_up(tokio::time::Instant::now());
            }
            match answered {
                Ok(answer) => return self.applied(request, answer, &resource, &era),
                Err(error) if error.is_passing() && tries < TRIES => {
                    let pause = Duration::from_millis(100 * 2u64.pow(tries));
                    let pause = error.retry_after.unwrap_or(pause).min(Duration::from_secs(10));
                    if self.0.pause(pause).await || !is_same() {
                        return Err(self.explained(request, error).await);
                    }
                }
                Err(error) => return Err(self.explained(request, error).await),
            }
        }
    }

    fn applied(
        &self,
        request: &Apply<'_>,
        answer: Bytes,
        resource: &Resource,
        era: &CancellationToken,
    ) -> Result<Applied, ApiError> {
        let no_object =
            || ApiError::new(ApiErrorClass::Other, format!("patch {}: the answer is no object", request.id));
        if request.mode.writes()
            && !era.is_cancelled()
            && let Some(taken) = self.0.take(&answer, resource)
            && let Some(live) = taken.live
        {
            // Whoever applies knows it; the set that it was in before would hear of it from nobody, since the watch has nothing new to tell.
            if taken.changed.len() > 1 {
                self.0.changed(&taken.changed);
            }
            return Ok(Applied { live, object: None, answer });
        }
        let object = whole(&answer, resource).ok_or_else(no_object)?;
        let live = slim(&object);
        Ok(Applied { live, object: Some(object).filter(|_| request.mode == Mode::DryRun), answer })
    }

    /// Creates an object by an apply that changes nothing that is there, however late it comes. `None` where another one is there. `extract` is the
    /// hash of what is sent: an apply whose answer was lost, and that is sent again, finds what the first one created.
    pub async fn create(&self, request: &Apply<'_>, extract: Extract) -> Result<Option<Applied>, ApiError> {
        let request = Apply { mode: Mode::Create, ..*request };
        let refused = match self.apply(&request).await {
            Err(error) if error.class == ApiErrorClass::Conflict => error,
            applied => return applied.map(Some),
        };
        let (resource, era) = (self.resource(request.id, request.api_version)?, self.0.era());
        match self.0.rest.bytes(Ask::get("get", request.id, resource.object(request.id))).await {
            Ok(answer) => {
                let found = self.applied(&request, answer, &resource, &era)?;
                Ok(Some(found).filter(|found| found.live.extract == Some(extract)))
            }
            // It was refused for something else, or what was there is gone.
            Err(error) if error.class == ApiErrorClass::NotFound => {
                self.apply(&Apply { mode: Mode::Write, ..request }).await.map(Some)
            }
            Err(_) => Err(refused),
        }
    }

    /// The live object, whole, in the version that the server prefers.
    pub async fn get(&self, id: &ObjectId) -> Result<Option<Value>, ApiError> {
        let catalog = self.catalog();
        let resource = catalog
            .preferred(&id.group_kind())
            .ok_or_else(|| ApiError::no_such_kind(&id.group_kind().to_string()))?;
        self.read(id, resource, None).await
    }

    /// The live object, whole, in a version: two readings of an object can only be compared in one version.
    pub async fn get_in(&self, id: &ObjectId, api_version: &str) -> Result<Option<Value>, ApiError> {
        let resource = self.resource(id, api_version)?;
        self.read(id, &resource, None).await
    }

    pub(super) async fn read(
        &self,
        id: &ObjectId,
        resource: &Resource,
        accept: Option<&'static str>,
    ) -> Result<Option<Value>, ApiError> {
        let mut ask = Ask::get("get", id, resource.object(id));
        ask.accept = accept;
        match self.0.rest.json(ask).await {
            Ok(object) => Ok(Some(object)),
            Err(error) if error.class == ApiErrorClass::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Deletes exactly the object of this uid (and, if given, version), its dependents in the background.
    pub async fn delete(
        &self,
        id: &ObjectId,
        uid: &str,
        resource_version: Option<&str>,
    ) -> Result<Deletion, ApiError> {
        let catalog = self.catalog();
        let Some(resource) = catalog.preferred(&id.group_kind()) else { return Ok(Deletion::Gone) };
        let mut preconditions = json!({"uid": uid});
        if let Some(version) = resource_version.filter(|version| !version.is_empty()) {
            preconditions["resourceVersion"] = version.into();
        }
        let options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background", "preconditions": preconditions});
        let ask = Ask {
            verb: "delete",
            what: id,
            method: Method::DELETE,
            uri: resource.object(id),
            content_type: Some("application/json"),
            accept: None,
            body: options.to_string().into(),
        };
        let answered = self.0.rest.bytes(ask).await;
        if !self.0.with_index(|index| index.has(id, uid)) {
            // Who deletes what is in no set has seen it in a list that others are shown for a while.
            self.0.looks.forget(&id.group_kind(), &id.namespace);
        }
        match answered {
            Ok(answer) => {
                let object: Value = serde_json::from_slice(&answer).unwrap_or_default();
                if object.pointer("/metadata/deletionTimestamp").is_some() {
                    // The watch may have told already that it is gone: the answer is older than that then. Where the answer is first, the
                    // watch has nothing new to tell.
                    if let Some(taken) = self.0.take_where(&answer, resource, |index, id| index.has(id, uid))
                    {
                        self.0.changed(&taken.changed);
                    }
                    return Ok(Deletion::Started);
                }
                self.0.with_index(|index| index.remove(id));
                Ok(Deletion::Gone)
            }
            Err(error) if error.class == ApiErrorClass::NotFound => {
                self.0.with_index(|index| index.remove(id));
                Ok(Deletion::Gone)
            }
            Err(error) if error.class == ApiErrorClass::Conflict => {
                // The watch will tell where this cannot be read.
                let _ = self.refresh(id).await;
                Ok(Deletion::Changed)
            }
            Err(error) => Err(error),
        }
    }

    /// Has the index know an object as it is now, where its watch is behind or has fallen silent. Gives it if it is a member of a set.
    pub async fn refresh(&self, id: &ObjectId) -> Result<Option<Arc<Live>>, ApiError> {
        let (catalog, era) = (self.catalog(), self.0.era());
        let Some(resource) = catalog.preferred(&id.group_kind()) else { return Ok(None) };
        let answer = self.0.rest.bytes(Ask::get("get", id, resource.object(id))).await;
        if era.is_cancelled() {
            let words = format!("get {id}: the cluster was put back to an older state meanwhile");
            return Err(ApiError::new(ApiErrorClass::Other, words));
        }
        match answer {
            Ok(answer) => Ok(self.0.take(&answer, resource).and_then(|taken| taken.live)),
            Err(error) if error.class == ApiErrorClass::NotFound => {
                self.0.with_index(|index| index.remove(id));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Hands the fields that `kubectl apply` (client-side) owned over to us.
    pub async fn migrate(&self, id: &ObjectId) -> Result<(), ApiError> {
        self.rewrite_owners(id, |object| migrate::patch(object, MANAGER)).await.map(drop)
    }

    /// Writes who owns what in an object anew: with the patch that is made for it as it is, and again where it changed meanwhile.
    pub(super) async fn rewrite_owners(
        &self,
        id: &ObjectId,
        patch: impl Fn(&Value) -> Option<Value> + Send + Sync,
    ) -> Result<HandedOver, ApiError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let Some(object) = self.get(id).await? else { return Ok(HandedOver::Gone) };
            let Some(patch) = patch(&object) else { return Ok(HandedOver::Before) };
            let catalog = self.catalog();
            let resource =
                catalog.preferred(&id.group_kind()).ok_or_else(|| ApiError::no_such_kind(&id.kind))?;
            let ask = Ask {
                verb: "patch",
                what: id,
                method: Method::PATCH,
                uri: format!("{}?fieldManager={MANAGER}", resource.object(id)),
                content_type: Some("application/json-patch+json"),
                accept: None,
                body: patch.to_string().into(),
            };
            match self.0.rest.json(ask).await {
                Ok(_) => return Ok(HandedOver::Now),
                // The object changed between the read and the patch.
                Err(error)
                    if tries < TRIES
                        && matches!(error.class, ApiErrorClass::Conflict | ApiErrorClass::Invalid) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The pods that a workload selects.
    pub async fn pods_of(&self, workload: &ObjectId) -> Result<Vec<Value>, ApiError> {
        let Some(object) = self.get(workload).await? else { return Ok(Vec::new()) };
        let labels = object.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
        let Some(labels) = labels.filter(|labels| !labels.is_empty()) else { return Ok(Vec::new()) };
        let selector: Vec<String> =
            labels.iter().filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?))).collect();
        let uri = format!(
            "/api/v1/namespaces/{}/pods?limit=50&labelSelector={}",
            workload.namespace,
            encode(&selector.join(","))
        );
        let mut list = self.0.rest.json(Ask::get("list", &"pods", uri)).await?;
        Ok(list.get_mut("items").and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default())
    }

    fn resource(&self, id: &ObjectId, api_version: &str) -> Result<Resource, ApiError> {
        let version = api_version.rsplit_once('/').map_or(api_version, |(_, version)| version);
        self.catalog()
            .resource(&id.group, version, &id.kind)
            .cloned()
            .ok_or_else(|| ApiError::no_such_kind(&format!("{} in version {version}", id.group_kind())))
    }
}

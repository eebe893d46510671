//! Helm releases: what Helm keeps of them, and the ownership of what they installed.
//!
//! Helm keeps each revision of a release in a Secret of the release's namespace, or in a ConfigMap where it was told to.

use super::error::ApiError;
use super::rest::{Ask, METADATA_LIST, encode};
use super::{Cluster, MANAGER};
use trueup_merge::release;
use trueup_model::{ObjectId, Value};

/// Where a record stands in its Secret or ConfigMap.
const RECORD: &str = "release";

/// What comes of asking a server to hand over what Helm owns of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandedOver {
    /// It is ours now.
    Now,
    /// There was nothing left to hand over.
    Before,
    /// The object is not there any more.
    Gone,
}

impl Cluster {
    /// The record of a release's newest revision, as Helm stored it; none where there is no such release.
    pub async fn newest_release(&self, namespace: &str, name: &str) -> Result<Option<Vec<u8>>, ApiError> {
        if let Some(record) = self.newest_record("secrets", namespace, name).await? {
            return Ok(self.secret(namespace, &record).await?.remove(RECORD));
        }
        let Some(record) = self.newest_record("configmaps", namespace, name).await? else { return Ok(None) };
        self.record_in_text(namespace, &record).await
    }

    /// The name of the object that holds the newest revision.
    async fn newest_record(
        &self,
        plural: &str,
        namespace: &str,
        release: &str,
    ) -> Result<Option<String>, ApiError> {
        let selector = encode(&format!("owner=helm,name={release}"));
        let what = format!("the records of Helm release {namespace}/{release} ({plural})");
        let uri = format!("/api/v1/namespaces/{namespace}/{plural}?labelSelector={selector}");
        let mut ask = Ask::get("list", &what, uri);
        // The records themselves are large.
        ask.accept = Some(METADATA_LIST);
        let list = self.0.rest.json(ask).await?;
        let revision = |object: &&Value| {
            let version = object.pointer("/metadata/labels/version").and_then(Value::as_str);
            version.and_then(|version| version.parse::<u64>().ok())
        };
        let all = list.get("items").and_then(Value::as_array).into_iter().flatten();
        let newest = all.max_by_key(revision);
        Ok(newest.and_then(|object| object.pointer("/metadata/name")?.as_str().map(str::to_owned)))
    }

    async fn record_in_text(&self, namespace: &str, name: &str) -> Result<Option<Vec<u8>>, ApiError> {
        let what = format!("ConfigMap {namespace}/{name}");
        let uri = format!("/api/v1/namespaces/{namespace}/configmaps/{name}");
        let object = self.0.rest.json(Ask::get("get", &what, uri)).await?;
        let text = object.pointer(&format!("/data/{RECORD}")).and_then(Value::as_str);
        Ok(text.map(|text| text.as_bytes().to_vec()))
    }

    /// Hands the fields of an object over to us that Helm owns and that `manifest`, by which Helm installed it, says; in one
    /// write, which changes nothing but who owns what.
    pub async fn hand_over(&self, id: &ObjectId, manifest: &Value) -> Result<HandedOver, ApiError> {
        self.rewrite_owners(id, |object| release::patch(object, manifest, MANAGER)).await
    }
}

//! Secrets that trueup itself keeps in a cluster, and what it asks of a cluster for charts.

use super::error::ApiError;
use super::rest::{Ask, encode};
use super::{Catalog, Cluster, MANAGER};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::Method;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use trueup_model::Value;

/// What a cluster can do, as charts ask for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Abilities {
    /// The version of Kubernetes.
    pub version: String,
    /// API versions, and kinds with theirs before them.
    pub api_versions: Arc<[String]>,
}

impl Cluster {
    /// Creates a Secret that is not there yet.
    pub async fn create_secret(
        &self,
        namespace: &str,
        name: &str,
        data: &BTreeMap<&str, Vec<u8>>,
    ) -> Result<(), ApiError> {
        let what = format!("Secret {namespace}/{name}");
        let data: BTreeMap<&str, String> =
            data.iter().map(|(key, value)| (*key, BASE64_STANDARD.encode(value))).collect();
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {"name": name, "namespace": namespace, "labels": {"app.kubernetes.io/managed-by": MANAGER}},
            "data": data,
        });
        let ask = Ask {
            verb: "create",
            what: &what,
            method: Method::POST,
            uri: format!("/api/v1/namespaces/{namespace}/secrets?fieldManager={MANAGER}"),
            content_type: Some("application/json"),
            accept: None,
            body: secret.to_string().into(),
        };
        self.0.rest.json(ask).await.map(drop)
    }

    /// What the cluster can do that serves this catalog. It is asked for its version once a catalog.
    pub async fn abilities(&self, catalog: &Arc<Catalog>) -> Result<Abilities, ApiError> {
        let known = self.0.abilities.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((of, abilities)) = known
            && Arc::ptr_eq(&of, catalog)
        {
            return Ok(abilities);
        }
        let version = self.version().await?;
        let abilities = Abilities { version, api_versions: catalog.api_versions().into() };
        let known = Some((catalog.clone(), abilities.clone()));
        *self.0.abilities.lock().unwrap_or_else(PoisonError::into_inner) = known;
        Ok(abilities)
    }

    /// The version of Kubernetes.
    pub async fn version(&self) -> Result<String, ApiError> {
        let answer =
            self.0.rest.json(Ask::get("get", &"the cluster's version", "/version".to_owned())).await?;
        Ok(answer.get("gitVersion").and_then(Value::as_str).unwrap_or_default().to_owned())
    }

    /// The last lines that a container of a pod wrote; of the only one where none is named.
    pub async fn last_lines(
        &self,
        namespace: &str,
        pod: &str,
        container: Option<&str>,
        lines: u32,
    ) -> Result<Bytes, ApiError> {
        let what = format!("the log of Pod {namespace}/{pod}");
        let container = container.map(|name| format!("&container={}", encode(name))).unwrap_or_default();
        let uri = format!(
            "/api/v1/namespaces/{namespace}/pods/{pod}/log?tailLines={lines}&limitBytes={LONGEST_TAIL}{container}"
        );
        self.0.rest.bytes(Ask::get("get", &what, uri)).await
    }
}

/// Bytes of a log that are read at most.
const LONGEST_TAIL: u32 = 4096;

//! A blocking Kubernetes client for looking at a cluster from a test, and for meddling with it as a user would.
//!
//! The calls run on a runtime of their own, so they work in plain tests, inside `#[tokio::test]` and in `Drop` alike.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use http::{Method, StatusCode};
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// What these calls say they are; [`crate::ControlPlane::requests_since`] leaves them out.
pub const USER_AGENT: &str = "trueup-testkit";

const TIMEOUT: Duration = Duration::from_secs(30);

/// A cluster, as one of its users sees it. Paths are those of the HTTP API: `/api/v1/namespaces/shop/configmaps/web`.
#[derive(Clone)]
pub struct Api {
    client: Client,
}

/// An answer, whatever its status.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The body; a string where it is not JSON.
    pub body: Value,
}

impl Api {
    /// A client for the current context of a kubeconfig file.
    pub fn from_kubeconfig(path: &Path) -> Result<Self> {
        let file = Kubeconfig::read_from(path).with_context(|| format!("cannot read {}", path.display()))?;
        let client = run(async move {
            let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
            anyhow::Ok(Client::try_from(config)?)
        })?
        .with_context(|| format!("cannot use {}", path.display()))?;
        Ok(Self { client })
    }

    /// The kubeconfig of this cluster in a file, with a service account and a token for it in place of the user.
    pub fn as_account(&self, kubeconfig: &Path, namespace: &str, account: &str) -> Result<Value> {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token");
        let request = json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 7200}
        });
        let token = self.create(&path, &request)?["status"]["token"].clone();
        let text = fs::read_to_string(kubeconfig)
            .with_context(|| format!("cannot read {}", kubeconfig.display()))?;
        let mut kubeconfig = trueup_model::yaml::documents(&text)?.swap_remove(0).value;
        kubeconfig["users"][0]["user"] = json!({ "token": token });
        Ok(kubeconfig)
    }

    /// Sends one request. Only a request that got no answer is an error.
    pub fn send(&self, method: &Method, path: &str, media_type: &str, body: Option<&Value>) -> Result<Reply> {
        self.send_as(method, path, (media_type, "application/json"), body)
    }

    /// Reads a collection as the table that `kubectl get` shows.
    pub fn table(&self, path: &str) -> Result<Value> {
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
        self.send_as(&Method::GET, path, ("application/json", table), None)?.accepted(&Method::GET, path)
    }

    /// The media types are those of the body and of the answer.
    fn send_as(
        &self,
        method: &Method,
        path: &str,
        (media_type, accepted): (&str, &str),
        body: Option<&Value>,
    ) -> Result<Reply> {
        let bytes = body.map(serde_json::to_vec).transpose()?.unwrap_or_default();
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header(http::header::USER_AGENT, USER_AGENT)
            .header(http::header::ACCEPT, accepted)
            .header(http::header::CONTENT_TYPE, media_type)
            .body(Body::from(bytes))
            .with_context(|| format!("not a request: {method} {path}"))?;
        let client = self.client.clone();
        let answer = run(async move {
            tokio::time::timeout(TIMEOUT, async {
                let response = client.send(request).await?;
                let status = response.status();
                let bytes = response.into_body().collect_bytes().await?;
                Ok::<_, kube::Error>((status, bytes))
            })
            .await
        })?;
        let (status, bytes) = answer
            .with_context(|| format!("{method} {path}: no answer in {TIMEOUT:?}"))?
            .with_context(|| format!("{method} {path}: no answer"))?;
        let body = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
        Ok(Reply { status: status.as_u16(), body })
    }

    /// Reads; a missing object is an error.
    pub fn get(&self, path: &str) -> Result<Value> {
        self.accepted(&Method::GET, path, "application/json", None)
    }

    /// Reads what may be missing.
    pub fn find(&self, path: &str) -> Result<Option<Value>> {
        let reply = self.send(&Method::GET, path, "application/json", None)?;
        if reply.status == StatusCode::NOT_FOUND.as_u16() {
            return Ok(None);
        }
        reply.accepted(&Method::GET, path).map(Some)
    }

    /// Creates an object in a collection.
    pub fn create(&self, collection: &str, object: &Value) -> Result<Value> {
        self.accepted(&Method::POST, collection, "application/json", Some(object))
    }

    /// Replaces an object.
    pub fn replace(&self, path: &str, object: &Value) -> Result<Value> {
        self.accepted(&Method::PUT, path, "application/json", Some(object))
    }

    /// Applies on the server, by force, as `manager`.
    pub fn apply(&self, path: &str, object: &Value, manager: &str) -> Result<Value> {
        let separator = if path.contains('?') { '&' } else { '?' };
        let path = format!("{path}{separator}fieldManager={manager}&force=true");
        self.accepted(&Method::PATCH, &path, "application/apply-patch+yaml", Some(object))
    }

    /// Patches by JSON merge patch (RFC 7396).
    pub fn merge(&self, path: &str, change: &Value) -> Result<Value> {
        self.accepted(&Method::PATCH, path, "application/merge-patch+json", Some(change))
    }

    /// Patches by JSON patch (RFC 6902).
    pub fn json_patch(&self, path: &str, change: &Value) -> Result<Value> {
        self.accepted(&Method::PATCH, path, "application/json-patch+json", Some(change))
    }

    /// Deletes an object; a missing one is an error.
    pub fn delete(&self, path: &str) -> Result<Value> {
        self.accepted(&Method::DELETE, path, "application/json", None)
    }

    /// The async client below, for what these calls do not cover.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    fn accepted(&self, method: &Method, path: &str, media_type: &str, body: Option<&Value>) -> Result<Value> {
        self.send(method, path, media_type, body)?.accepted(method, path)
    }
}

impl std::fmt::Debug for Api {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Api").finish_non_exhaustive()
    }
}

impl Reply {
    /// The body of a success; an error that carries the server's message otherwise.
    fn accepted(self, method: &Method, path: &str) -> Result<Value> {
        if self.status < 400 {
            return Ok(self.body);
        }
        let message = self.body["message"].as_str().map_or_else(|| self.body.to_string(), str::to_owned);
        bail!("{method} {path}: {} {message}", self.status)
    }
}

/// Runs a future to its end from any thread, also from one that is a runtime's worker itself.
fn run<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> Result<T> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if RUNTIME.get().is_none() {
        let made = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        // Another thread may have been first; a runtime must not be dropped within another one.
        if let Err(second) = RUNTIME.set(made) {
            second.shutdown_background();
        }
    }
    let runtime = RUNTIME.get().context("a runtime was just made")?;
    let (answer, answered) = mpsc::channel();
    runtime.spawn(async move {
        // The receiver waits below for as long as this runs.
        let _ = answer.send(future.await);
    });
    answered.recv().context("the request was abandoned")
}

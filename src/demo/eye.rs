//! The cluster as any other client sees it: a few objects, looked at and changed by hand.

use anyhow::{Context as _, Result};
use http::{Method, Request, StatusCode, header};
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use std::path::Path;

/// A client of the play's own.
pub(super) struct Eye(Client);

impl Eye {
    /// A client for a context of a kubeconfig, each the usual one where none is named.
    pub(super) async fn open(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<Self> {
        let options =
            KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
        let file = match kubeconfig {
            Some(path) => Kubeconfig::read_from(path)?,
            None => Kubeconfig::read()?,
        };
        let config = kube::Config::from_custom_kubeconfig(file, &options).await?;
        Ok(Self(Client::try_from(config)?))
    }

    /// What the API server says that it is.
    pub(super) async fn version(&self) -> Result<String> {
        let version = self.send(Method::GET, "/version", None).await?.context("no API server")?;
        Ok(version["gitVersion"].as_str().unwrap_or("an API server").to_owned())
    }

    /// An object, if it is there.
    pub(super) async fn find(&self, path: &str) -> Result<Option<Value>> {
        self.send(Method::GET, path, None).await
    }

    /// Deletes an object that may be there.
    pub(super) async fn delete(&self, path: &str) -> Result<()> {
        self.send(Method::DELETE, path, None).await.map(drop)
    }

    /// Scales a workload, as `kubectl scale` does.
    pub(super) async fn scale(&self, path: &str, replicas: u32) -> Result<()> {
        let change = json!({"spec": {"replicas": replicas}});
        let answer = self.send(Method::PATCH, &format!("{path}/scale"), Some(&change)).await?;
        answer.map(drop).with_context(|| format!("there is no {path}"))
    }

    /// Sends a request, with a JSON merge patch (RFC 7396) where there is a body; `None` for what is not there.
    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Option<Value>> {
        let mut request = Request::builder().method(method.clone()).uri(path);
        request = request.header(header::USER_AGENT, "trueup-demo");
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/merge-patch+json");
        }
        let bytes = body.map(serde_json::to_vec).transpose()?.unwrap_or_default();
        match self.0.request::<Value>(request.body(bytes)?).await {
            Ok(object) => Ok(Some(object)),
            Err(kube::Error::Api(status)) if status.code == StatusCode::NOT_FOUND.as_u16() => Ok(None),
            Err(error) => Err(error).with_context(|| format!("{method} {path}")),
        }
    }
}

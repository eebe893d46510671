//! One cluster: a sandbox, asked in this process. Requests and the time that they take in it are counted over all clusters.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use axum::body::Body;
use axum::http::{Method, Request};
use axum::response::Response;
use futures::FutureExt as _;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::convert::Infallible;
use tower::ServiceExt as _;
use trueup_sandbox::Sandbox;
use trueup_sandbox::serve::Served;

use crate::usage;

/// The namespace that all targets are in.
pub(crate) const NAMESPACE: &str = "fleet";

/// What all clusters together were asked.
#[derive(Default)]
pub(crate) struct Counts {
    reads: AtomicU64,
    writes: AtomicU64,
    /// CPU time spent in sandboxes, in nanoseconds.
    spent: AtomicU64,
}

/// The same at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counted {
    pub(crate) reads: u64,
    pub(crate) writes: u64,
    pub(crate) spent: Duration,
}

impl Counts {
    pub(crate) fn now(&self) -> Counted {
        Counted {
            reads: self.reads.load(Ordering::Relaxed),
            writes: self.writes.load(Ordering::Relaxed),
            spent: Duration::from_nanos(self.spent.load(Ordering::Relaxed)),
        }
    }
}

/// A cluster.
#[derive(Clone)]
pub(crate) struct Site {
    router: axum::Router,
    counts: Arc<Counts>,
}

impl Site {
    /// A cluster with the one namespace.
    pub(crate) async fn new(counts: &Arc<Counts>) -> Result<Self> {
        let router = Served::new(Sandbox::new(Timestamp::now())).router();
        let site = Self { router, counts: counts.clone() };
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
        site.ask(Method::POST, "/api/v1/namespaces", Some(&namespace)).await?;
        Ok(site)
    }

    /// A client whose requests are counted.
    pub(crate) fn client(&self) -> kube::Client {
        let site = self.clone();
        let service = tower::service_fn(move |request| site.clone().serve(request).boxed());
        kube::Client::new(service, "default")
    }

    async fn serve(self, request: Request<kube::client::Body>) -> Result<Response, Infallible> {
        let counter = if request.method() == Method::GET { &self.counts.reads } else { &self.counts.writes };
        counter.fetch_add(1, Ordering::Relaxed);
        let mut answer = std::pin::pin!(self.router.clone().oneshot(request));
        std::future::poll_fn(|context| {
            let began = usage::of_thread();
            let polled = answer.as_mut().poll(context);
            let took = usage::of_thread().saturating_sub(began);
            self.counts
                .spent
                .fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
            polled
        })
        .await
    }

    /// Asks as somebody else; not counted.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let content_type =
            if method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let request = Request::builder().method(method).uri(path).header("content-type", content_type);
        let request = request.header("user-agent", "kubectl/1.36 (bench)").body(body)?;
        let answer = self.router.clone().oneshot(request).await?;
        let code = answer.status();
        let text = axum::body::to_bytes(answer.into_body(), usize::MAX).await?;
        ensure!(code.is_success(), "{path}: {code}: {}", String::from_utf8_lossy(&text));
        Ok(serde_json::from_slice(&text)?)
    }
}

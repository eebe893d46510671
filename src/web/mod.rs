//! HTTP on one address: probes, metrics, webhooks and the interface of the command line.
//!
//! A request enters, a reading of the [`Handle`] and the [`Store`] leaves. Nothing here decides, and nothing here calls
//! Git or a cluster.
//!
//! Deliberately absent: TLS, and authentication of anything but webhooks and agents. The default address is the machine's own; whoever opens it to others puts
//! a proxy before it. What a browser of another site could send is refused.

mod agents;
pub mod api;
mod hooks;
pub mod metrics;
mod origin;
#[cfg(test)]
pub(crate) mod tests;

use crate::store::Store;
use crate::sync::{Handle, Readiness};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use metrics::{Format, Metrics};
use std::future::{Future, IntoFuture as _};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// What answers are made from.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The reconciler.
    pub handle: Handle,
    /// The history.
    pub store: Store,
    /// The measurements.
    pub metrics: Metrics,
}

/// How long answers that were begun may take when trueup stops.
const GRACE: Duration = Duration::from_secs(3);

/// Answers until `stop` comes, then finishes what was begun, if that does not take long: somebody may be waiting for a
/// turn that does not come any more.
///
/// # Errors
/// The listener fails.
pub async fn serve(
    listener: TcpListener,
    sources: Sources,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let (stopping, stopped) = oneshot::channel();
    let server = axum::serve(listener, router(sources)).with_graceful_shutdown(async {
        stop.await;
        // Nobody waits for this when the server has failed already.
        let _ = stopping.send(());
    });
    let grace = async {
        match stopped.await {
            Ok(()) => tokio::time::sleep(GRACE).await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        ended = server.into_future() => ended,
        () = grace => Ok(()),
    }
}

fn router(sources: Sources) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(scrape))
        .nest("/api/v1", api::router())
        .nest("/agent/v1", agents::router())
        .nest("/hooks", hooks::router())
        .method_not_allowed_fallback(async || {
            api::Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "this address is not asked in this way")
        })
        .fallback(async || api::Refusal::new(StatusCode::NOT_FOUND, "there is nothing at this address"))
        .layer(axum::middleware::from_fn(origin::guard))
        .with_state(sources)
}

async fn ready(State(sources): State<Sources>) -> (StatusCode, Json<Readiness>) {
    let readiness = sources.handle.ready();
    let code = if readiness.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(readiness))
}

async fn scrape(State(sources): State<Sources>, headers: HeaderMap) -> Response {
    // Each replica tells of its own, so that nothing is counted twice.
    sources.metrics.statuses(&sources.handle.kept());
    sources.metrics.app_sets(sources.handle.app_sets());
    sources.metrics.clusters(sources.handle.kept_clusters());
    match sources.store.waiting().await {
        Ok(waiting) => sources.metrics.outbox(waiting),
        Err(error) => {
            tracing::debug!(error = format!("{error:#}"), "what waits for the shared history is not known");
            sources.metrics.outbox(None);
        }
    }
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let format = Format::accepted(accept);
    match sources.metrics.scrape(format) {
        Ok(text) => ([(header::CONTENT_TYPE, format.content_type())], text).into_response(),
        Err(error) => api::Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error).into_response(),
    }
}

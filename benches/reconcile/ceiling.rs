//! The ceiling: the same objects, rendered already, as bare server-side-apply requests over one client, 32 in flight.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures::StreamExt as _;
use http::{Method, Request};
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use trueup_testkit::ControlPlane;

use crate::Extent;
use crate::contender::{Contender, Spread, check, made_by};
use crate::workload::App;

const IN_FLIGHT: usize = 32;
const AGENT: &str = "bare-patches";

pub(crate) fn measure(plane: &ControlPlane, extent: Extent) -> Result<Contender> {
    let runtime = tokio::runtime::Runtime::new()?;
    let mut first = Vec::new();
    let mut change = Vec::new();
    let mut requests = 0;
    for _ in 0..extent.rounds {
        let namespace = plane.namespace("bare")?;
        let app = App { namespace: namespace.name().to_owned(), objects: extent.objects };
        let mark = plane.mark()?;
        // A client of its own a round: connections are part of a first sync.
        let client = runtime.block_on(client(plane))?;
        first.push(runtime.block_on(apply_all(&client, &app))?);
        requests = made_by(&plane.requests_since(mark)?, AGENT).len();
        check(plane.api(), &app)?;
        change.clear();
        for index in 0..extent.changes {
            change.push(runtime.block_on(apply(&client, &app, index, 1))?);
        }
    }
    Ok(Contender {
        name: format!("bare PATCHes, {IN_FLIGHT} in flight"),
        first_sync: Spread::of(first)?.median,
        first_requests: requests,
        change: Some(Spread::of(change)?.median),
        change_writes: Some(1.0),
        ..Contender::default()
    })
}

async fn client(plane: &ControlPlane) -> Result<Client> {
    let file = Kubeconfig::read_from(plane.kubeconfig())?;
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

async fn apply_all(client: &Client, app: &App) -> Result<Duration> {
    let start = Instant::now();
    let mut applied = futures::stream::iter(0..app.objects)
        .map(|index| apply(client, app, index, 0))
        .buffer_unordered(IN_FLIGHT);
    while let Some(result) = applied.next().await {
        result?;
    }
    Ok(start.elapsed())
}

async fn apply(client: &Client, app: &App, index: usize, version: usize) -> Result<Duration> {
    let body = app.rendered(index, version).to_string().into_bytes();
    let start = Instant::now();
    let request = Request::builder()
        .method(Method::PATCH)
        .uri(format!("{}?fieldManager=bench&force=true", app.path(index)))
        .header(http::header::CONTENT_TYPE, "application/apply-patch+yaml")
        .header(http::header::USER_AGENT, AGENT)
        .body(Body::from(body))?;
    let response = client.send(request).await.context("no answer")?;
    let status = response.status();
    response.into_body().collect_bytes().await?;
    ensure!(status.is_success(), "the server answered {status}");
    Ok(start.elapsed())
}

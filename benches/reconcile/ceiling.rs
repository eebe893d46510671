//! The ceiling: the same objects, rendered already, as bare server-side-apply requests over one client, 32 in flight.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures::StreamExt as _;
use http::{Method, Request};
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use trueup_testkit::ControlPlane;

use crate::figures::{Contender, Measured, Tally, Work};
use crate::process;
use crate::workload::App;

const AGENT: &str = "bare-patches";

/// Bare requests.
pub(crate) struct Ceiling<'p> {
    plane: &'p ControlPlane,
    runtime: tokio::runtime::Runtime,
    in_flight: usize,
}

impl<'p> Ceiling<'p> {
    pub(crate) fn new(plane: &'p ControlPlane, in_flight: usize) -> Result<Self> {
        Ok(Self { plane, runtime: tokio::runtime::Runtime::new()?, in_flight })
    }

    pub(crate) fn contender(&self) -> Contender {
        Contender::new(format!("bare PATCHes, {} in flight", self.in_flight))
    }

    /// All objects, over connections that have to be made.
    pub(crate) fn first_sync(&self, apps: &[App]) -> Result<Measured> {
        let bodies: Vec<(String, Vec<u8>)> = apps
            .iter()
            .flat_map(|app| {
                (0..app.objects).map(|index| (app.path(index), app.rendered(index, 0).to_string().into()))
            })
            .collect();
        let mark = self.plane.mark()?;
        let before = process::cpu(std::process::id()).unwrap_or_default();
        let start = Instant::now();
        self.runtime.block_on(async {
            let client = client(self.plane).await?;
            let mut applied = futures::stream::iter(bodies)
                .map(|(path, body)| apply(&client, path, body))
                .buffer_unordered(self.in_flight);
            while let Some(result) = applied.next().await {
                result?;
            }
            anyhow::Ok(())
        })?;
        let took = start.elapsed();
        let cpu = process::cpu(std::process::id()).unwrap_or_default().saturating_sub(before);
        let requests = Tally::of(&self.plane.requests_since(mark)?, AGENT);
        Ok(Measured { times: vec![took], requests, cpu, peak: 0 })
    }

    /// Single objects, one after the other, over a connection that is there.
    pub(crate) fn changes(&self, contender: &mut Contender, app: &App, count: usize) -> Result<()> {
        let client = self.runtime.block_on(client(self.plane))?;
        let mark = self.plane.mark()?;
        let mut times = Vec::new();
        for index in 0..count {
            let body = app.rendered(index, 1).to_string().into_bytes();
            let start = Instant::now();
            self.runtime.block_on(apply(&client, app.path(index), body))?;
            times.push(start.elapsed());
        }
        let requests = Tally::of(&self.plane.requests_since(mark)?, AGENT);
        contender.add(Work::OneObject, Measured { times, requests, cpu: Duration::ZERO, peak: 0 });
        Ok(())
    }
}

async fn client(plane: &ControlPlane) -> Result<Client> {
    let file = Kubeconfig::read_from(plane.kubeconfig())?;
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

async fn apply(client: &Client, path: String, body: Vec<u8>) -> Result<()> {
    let request = Request::builder()
        .method(Method::PATCH)
        .uri(format!("{path}?fieldManager=bench&force=true"))
        .header(http::header::CONTENT_TYPE, "application/apply-patch+yaml")
        .header(http::header::USER_AGENT, AGENT)
        .body(Body::from(body))?;
    let response = client.send(request).await.context("no answer")?;
    let status = response.status();
    let answer = response.into_body().collect_bytes().await?;
    ensure!(status.is_success(), "the server answered {status}: {}", String::from_utf8_lossy(&answer));
    Ok(())
}

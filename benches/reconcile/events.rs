//! Reads a watch, event by event.

use std::ops::ControlFlow;
use std::time::Instant;

use anyhow::{Context as _, Result};
use http::Request;
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::Value;
use trueup_testkit::Api;

/// The agent of whoever only looks or plays a part: its requests are nobody's.
pub(crate) const AGENT: &str = "trueup-testkit";

/// Where a watch of a collection begins that misses nothing from now on.
pub(crate) fn from_now(api: &Api, collection: &str, selector: &str) -> Result<String> {
    let list = api.get(&format!("{collection}?limit=1"))?;
    let version = list["metadata"]["resourceVersion"].as_str().context("a list without a version")?;
    Ok(format!("{collection}?watch=true&resourceVersion={version}&labelSelector={selector}"))
}

/// Gives each event of a watch, and when it came, to `seen`, until that says otherwise or the connection ends.
pub(crate) async fn follow(
    client: &kube::Client,
    uri: &str,
    mut seen: impl FnMut(Instant, &Value) -> ControlFlow<()>,
) -> Result<()> {
    let request = Request::get(uri).header(http::header::USER_AGENT, AGENT).body(Body::empty())?;
    let mut body = client.send(request).await?.into_body();
    let mut buffer: Vec<u8> = Vec::new();
    while let Some(frame) = body.frame().await {
        buffer.extend_from_slice(&frame?.into_data().unwrap_or_default());
        let at = Instant::now();
        while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = buffer.drain(..=end).collect();
            if seen(at, &serde_json::from_slice(&line)?).is_break() {
                return Ok(());
            }
        }
    }
    Ok(())
}

//! One request and its answer; every request that trueup makes of a cluster goes through here and is counted.

use super::error::{ApiError, ApiErrorClass};
use super::fence::{Fence, is_over};
use super::pace::Pace;
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use kube::client::Body;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::sync::Arc;
use std::time::Duration;
use trueup_model::Value;

/// Told of every request: its verb in Kubernetes' words, and the code of the answer (0 where there was none).
pub type Counter = Arc<dyn Fn(&str, u16) + Send + Sync>;

/// The longest that a request may take; a watch is bounded by itself.
pub(super) const ANSWER: Duration = Duration::from_secs(30);

/// Tries of a request that the server refuses because it has too much to do: it has not begun with it then.
const TRIES: u32 = 5;

/// Objects of a list that come at once.
const PAGE: usize = 500;

/// An object without its body.
pub(super) const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
/// A list of objects without their bodies.
pub(super) const METADATA_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/// A connection to one API server.
pub(super) struct Rest {
    clients: Clients,
    counter: Counter,
    pace: Pace,
    fence: Fence,
}

/// The ways to one API server.
pub(super) struct Clients {
    /// To ask.
    pub reader: kube::Client,
    /// To write: its connections end with the right to write.
    pub writer: kube::Client,
}

/// A list that comes in pages.
pub(super) struct Listing<'a> {
    /// What it is of, for errors.
    pub what: &'a (dyn std::fmt::Display + Sync),
    /// The path of the collection.
    pub collection: &'a str,
    /// The labels that the objects have; empty for any.
    pub selector: &'a str,
    /// The media type that is accepted instead of plain JSON.
    pub accept: Option<&'static str>,
}

/// What to ask.
pub(super) struct Ask<'a> {
    /// In Kubernetes' words: `get`, `list`, `watch`, `create`, `patch`, `delete`.
    pub verb: &'static str,
    /// What it is about, for errors: `ConfigMap shop/web`.
    pub what: &'a (dyn std::fmt::Display + Sync),
    pub method: Method,
    /// Path and query.
    pub uri: String,
    /// The content type of the body, and the media type that is accepted instead of plain JSON.
    pub content_type: Option<&'static str>,
    pub accept: Option<&'static str>,
    pub body: Bytes,
}

impl<'a> Ask<'a> {
    pub(super) fn get(verb: &'static str, what: &'a (dyn std::fmt::Display + Sync), uri: String) -> Self {
        Self { verb, what, method: Method::GET, uri, content_type: None, accept: None, body: Bytes::new() }
    }

    /// Whether nothing stays of it.
    fn is_dry_run(&self) -> bool {
        self.uri.split_once('?').is_some_and(|(_, query)| query.split('&').any(|part| part == "dryRun=All"))
    }
}

impl Rest {
    pub(super) fn new(clients: Clients, counter: Counter, pace: Pace, fence: Fence) -> Self {
        Self { clients, counter, pace, fence }
    }

    /// The answer's bytes. A request that the server refuses because it has too much to do is made again when it says.
    pub(super) async fn bytes(&self, ask: Ask<'_>) -> Result<Bytes, ApiError> {
        self.bytes_while(ask, || true).await
    }

    /// The same, as long as it is still wanted: what waits its turn, or was refused, is not sent afterwards.
    pub(super) async fn bytes_while(
        &self,
        ask: Ask<'_>,
        is_wanted: impl Fn() -> bool,
    ) -> Result<Bytes, ApiError> {
        let mut refused = None;
        let mut tries = 0;
        loop {
            tries += 1;
            let permit = self.pace.permit().await;
            if !is_wanted() {
                return Err(refused.take().unwrap_or_else(|| ApiError::cut_off(ask.verb, ask.what)));
            }
            let answer = self.exchange(&ask).await;
            if let Some(permit) = permit {
                self.pace.answered(permit, ask.verb, answer.as_ref().err());
            }
            match answer {
                Err(error) if error.class == ApiErrorClass::Throttled && tries < TRIES => {
                    refused = Some(error);
                }
                answer => return answer,
            }
        }
    }

    async fn exchange(&self, ask: &Ask<'_>) -> Result<Bytes, ApiError> {
        let description = format!("{} {}", ask.verb, ask.what);
        let (verb, sent) = (ask.verb, ask.body.len());
        let reads = matches!(verb, "get" | "list") || ask.is_dry_run();
        let right = self.fence.lost();
        let (client, limit) = if reads {
            (&self.clients.reader, ANSWER)
        } else if let Some(left) = self.fence.left() {
            (&self.clients.writer, left.min(ANSWER))
        } else {
            let message = format!("{description}: this replica's Lease has run out");
            return Err(ApiError::new(ApiErrorClass::Fenced, message));
        };
        let exchange = async {
            let response = loop {
                match client.send(request(ask)?).await {
                    // A connection that is kept from before: nothing was sent, and it is given up with this.
                    Err(error)
                        if is_over(&error) && self.fence.left().is_some() && self.fence.lost() == right => {}
                    answer => break answer.map_err(|error| unreachable(&description, &error))?,
                }
            };
            let (parts, body) = response.into_parts();
            let bytes = body.collect().await.map_err(|error| unreachable(&description, &error))?.to_bytes();
            Ok((parts, bytes))
        };
        let (parts, bytes) = match tokio::time::timeout(limit, exchange).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                (self.counter)(verb, 0);
                return Err(error);
            }
            Err(_) => {
                (self.counter)(verb, 0);
                let message = format!("{description}: no answer within {} seconds", limit.as_secs());
                return Err(ApiError::new(ApiErrorClass::Timeout, message));
            }
        };
        (self.counter)(verb, parts.status.as_u16());
        if parts.status.is_success() {
            return Ok(bytes);
        }
        let retry_after = parts
            .headers
            .get(header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .map(Duration::from_secs);
        Err(ApiError::from_answer(&description, parts.status.as_u16(), &bytes, retry_after, sent))
    }

    /// The answer as JSON.
    pub(super) async fn json(&self, ask: Ask<'_>) -> Result<Value, ApiError> {
        let description = format!("{} {}", ask.verb, ask.what);
        let bytes = self.bytes(ask).await?;
        serde_json::from_slice(&bytes).map_err(|error| {
            ApiError::new(ApiErrorClass::Other, format!("{description}: the answer is not JSON: {error}"))
        })
    }

    /// Lists a collection: `take` is given the items of each page as it comes, and may end it. Gives the version of the list.
    pub(super) async fn list(
        &self,
        listing: &Listing<'_>,
        mut take: impl FnMut(Vec<Value>) -> Result<(), ApiError>,
    ) -> Result<String, ApiError> {
        let mut base = format!("{}?limit={PAGE}", listing.collection);
        if !listing.selector.is_empty() {
            base = format!("{base}&labelSelector={}", encode(listing.selector));
        }
        let mut uri = base.clone();
        loop {
            let ask = Ask { accept: listing.accept, ..Ask::get("list", listing.what, uri) };
            let mut page = self.json(ask).await?;
            let items = page.get_mut("items").and_then(Value::as_array_mut).map(std::mem::take);
            take(items.unwrap_or_default())?;
            match page.pointer("/metadata/continue").and_then(Value::as_str) {
                Some(more) if !more.is_empty() => uri = format!("{base}&continue={}", encode(more)),
                Some(_) | None => {
                    let version = page.pointer("/metadata/resourceVersion").and_then(Value::as_str);
                    return Ok(version.unwrap_or_default().to_owned());
                }
            }
        }
    }

    /// An answer that goes on: the body as it comes.
    pub(super) async fn stream(&self, ask: Ask<'_>) -> Result<Body, ApiError> {
        let description = format!("{} {}", ask.verb, ask.what);
        let verb = ask.verb;
        let sending = self.clients.reader.send(request(&ask)?);
        let response = match tokio::time::timeout(ANSWER, sending).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                (self.counter)(verb, 0);
                return Err(unreachable(&description, &error));
            }
            Err(_) => {
                (self.counter)(verb, 0);
                return Err(ApiError::new(ApiErrorClass::Timeout, format!("{description}: no answer")));
            }
        };
        let status = response.status();
        (self.counter)(verb, status.as_u16());
        if status == StatusCode::OK {
            return Ok(response.into_body());
        }
        let bytes =
            response.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        Err(ApiError::from_answer(&description, status.as_u16(), &bytes, None, 0))
    }
}

fn request(ask: &Ask<'_>) -> Result<Request<Body>, ApiError> {
    let mut builder = Request::builder().method(&ask.method).uri(&ask.uri);
    builder = builder.header(header::ACCEPT, ask.accept.unwrap_or("application/json"));
    builder = builder.header(header::USER_AGENT, concat!("trueup/", env!("CARGO_PKG_VERSION")));
    if let Some(content_type) = ask.content_type {
        builder = builder.header(header::CONTENT_TYPE, content_type);
    }
    builder
        .body(Body::from(ask.body.clone()))
        .map_err(|error| ApiError::new(ApiErrorClass::Invalid, format!("{} {}: {error}", ask.verb, ask.what)))
}

fn unreachable(description: &str, error: &dyn std::error::Error) -> ApiError {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !words.contains(&more) {
            words.push_str(": ");
            words.push_str(&more);
        }
        cause = error.source();
    }
    ApiError::new(ApiErrorClass::Unreachable, format!("{description}: {words}"))
}

/// What RFC 3986 reserves, and all that is not ASCII.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A part of a path or query, percent-encoded.
pub(super) fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

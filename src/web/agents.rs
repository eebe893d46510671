//! `POST /agent/v1/clusters/{cluster}/…`: what the agent of a cluster listens to, tells and asks.
//!
//! A request enters with the agent's token; what is said of its own cluster leaves, and of no other. Where another replica keeps the
//! cluster, the request goes on to that one as it is: an agent knows one address for all of them. Absent: TLS, which a proxy before this has.

use super::Sources;
use super::api::{Refusal, read};
use crate::sync::agents::{Entry, Heard, Listen, Taken, Tell};
use crate::sync::deletions::Ruling;
use crate::sync::replicas::{BeginAnswer, BeginRequest, DeleteRequest, PATIENCE};
use crate::sync::view::By;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::de::DeserializeOwned;
use std::time::Duration;

/// The largest body that is read: how a few hundred targets stand, and what they did.
const LARGEST: usize = 32 << 20;
/// How long another replica may take; it may be waiting for news itself.
const LIMIT: Duration = Duration::from_mins(1);
/// What marks a request that came from another replica.
const PASSED_ON: &str = "trueup-passed-on";

pub(super) fn router() -> Router<Sources> {
    Router::new().route("/clusters/{cluster}/{what}", post(answer)).layer(DefaultBodyLimit::max(LARGEST))
}

async fn answer(
    State(sources): State<Sources>,
    Path((cluster, what)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = token.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    let agents = sources.handle.agents();
    match agents.admit(&cluster, token) {
        Entry::Here => {}
        Entry::There(address) if !headers.contains_key(PASSED_ON) => {
            return pass_on(&sources, &address, (&cluster, &what), token, body).await.into_response();
        }
        Entry::There(_) => {
            let why = format!("cluster {cluster} is between two replicas at this moment");
            return Refusal::new(StatusCode::SERVICE_UNAVAILABLE, why).into_response();
        }
        Entry::Later(why) => return Refusal::new(StatusCode::SERVICE_UNAVAILABLE, why).into_response(),
        // Who may not is not told which agents there are.
        Entry::Refused if sources.handle.hooks().is_none() => {
            return Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "trueup is starting").into_response();
        }
        Entry::Refused => {
            let why = format!("there is no agent for cluster {cluster} with this token");
            return Refusal::new(StatusCode::UNAUTHORIZED, why).into_response();
        }
    }
    let answered = match what.as_str() {
        "listen" => listen(&sources, &cluster, &body).await.map(IntoResponse::into_response),
        "tell" => tell(&sources, &cluster, &body).map(IntoResponse::into_response),
        "begin" => begin(&sources, &cluster, &body).await.map(IntoResponse::into_response),
        "delete" => delete(&sources, &cluster, &body).await.map(IntoResponse::into_response),
        _ => Err(Refusal::new(StatusCode::NOT_FOUND, "there is nothing at this address")),
    };
    answered.unwrap_or_else(IntoResponse::into_response)
}

async fn listen(sources: &Sources, cluster: &str, body: &[u8]) -> Result<Json<Heard>, Refusal> {
    let listen: Listen = said(body)?;
    heard(sources, cluster, &listen.place)?;
    let heard = sources.handle.agents().listen(cluster, &listen).await;
    heard.map(Json).ok_or_else(|| gone(cluster))
}

fn tell(sources: &Sources, cluster: &str, body: &[u8]) -> Result<Json<Taken>, Refusal> {
    let Tell { place, session, version, targets, history, done } = said(body)?;
    heard(sources, cluster, &place)?;
    let now = sources.handle.agents().told(cluster, &version, done).ok_or_else(|| gone(cluster))?;
    if now == session && !(targets.is_empty() && history.is_empty()) {
        let taken = sources.handle.told(cluster, targets, history);
        taken.map_err(|error| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, error))?;
    }
    Ok(Json(Taken { session: now }))
}

async fn begin(sources: &Sources, cluster: &str, body: &[u8]) -> Result<Json<BeginAnswer>, Refusal> {
    let request: BeginRequest = said(body)?;
    is_of(sources, cluster, &request.target)?;
    let answer = sources.handle.may_begin(request, By::Person).await;
    let answer = answer.map_err(|error| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, error))?;
    Ok(Json(BeginAnswer { why: answer.err() }))
}

async fn delete(sources: &Sources, cluster: &str, body: &[u8]) -> Result<Json<Ruling>, Refusal> {
    let request: DeleteRequest = said(body)?;
    is_of(sources, cluster, &request.target)?;
    let ruling = sources.handle.may_delete(request, By::Person).await;
    ruling.map(Json).map_err(|error| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, error))
}

fn said<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    read(Json::from_bytes(body))
}

fn heard(sources: &Sources, cluster: &str, place: &str) -> Result<(), Refusal> {
    let heard = sources.handle.agents().heard(cluster, place);
    heard.map_err(|why| Refusal::new(StatusCode::CONFLICT, why))
}

/// An agent asks for targets of its own cluster.
fn is_of(sources: &Sources, cluster: &str, target: &str) -> Result<(), Refusal> {
    let is_its =
        |status: &trueup_plan::record::TargetStatus| status.target == target && status.cluster == cluster;
    if sources.handle.statuses().iter().any(is_its) {
        return Ok(());
    }
    Err(Refusal::new(StatusCode::FORBIDDEN, format!("there is no target {target} on cluster {cluster}")))
}

fn gone(cluster: &str) -> Refusal {
    Refusal::new(StatusCode::UNAUTHORIZED, format!("there is no agent for cluster {cluster} any more"))
}

/// Has the replica answer that keeps the cluster.
async fn pass_on(
    sources: &Sources,
    address: &str,
    (cluster, what): (&str, &str),
    token: &str,
    body: Bytes,
) -> Result<Response, Refusal> {
    let unreachable = |error: reqwest::Error| {
        Refusal::new(StatusCode::BAD_GATEWAY, format!("another replica cannot be asked: {error}"))
    };
    let client = sources.handle.agents().client();
    let client =
        client.ok_or_else(|| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "this replica is starting"))?;
    let request = client
        .post(format!("http://{address}/agent/v1/clusters/{cluster}/{what}"))
        .bearer_auth(token)
        .header(PASSED_ON, "1")
        .header(header::CONTENT_TYPE, "application/json")
        .timeout(PATIENCE + LIMIT)
        .body(body);
    let answer = request.send().await.map_err(unreachable)?;
    let status = answer.status();
    let bytes = answer.bytes().await.map_err(unreachable)?;
    Ok((status, [(header::CONTENT_TYPE, "application/json")], bytes).into_response())
}

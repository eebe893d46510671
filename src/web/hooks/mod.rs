//! `POST /hooks/{forge}`: a forge says that a repository moved, or that a pull request changed.
//!
//! A delivery enters; a hint to ask the repository, or the forge for its requests, now leaves. It is believed only where it proves that it knows the secret of
//! the webhook of a Repository or of a generator, and even then nothing of it is taken for true: what there is is found out by
//! asking. A delivery that is lost, doubled, late or sent again costs a question at most.
//!
//! Deliberately absent: waiting for what comes of the hint, and any memory of deliveries.

mod address;
mod forge;
mod proof;
#[cfg(test)]
mod tests;

use super::Sources;
use super::api::Refusal;
use super::metrics::Delivered;
use crate::config::repository_of;
use crate::source::Reference;
use crate::sync::hooks::{Followed, Hint, Hook, HookKey, Promise, PullHint};
use crate::sync::refusals::Guarded;
use crate::sync::view::By;
use address::Address;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use bytes::Bytes;
use forge::{Delivery, Event, Forge, Moved};
use proof::Proof;
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// The largest body that is read. A push of thousands of commits is smaller.
const LARGEST: usize = 4 << 20;
/// The largest body that is tried with the secrets of all Repositories, because it names none.
const LARGEST_ABOUT_NOTHING: usize = 64 << 10;
/// Bodies that are read at once; with the above, the memory that deliveries can take.
const AT_ONCE: usize = 4;
/// How long a body may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(10);

/// What a delivery is answered that did not fail.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    /// The Repositories that are asked now.
    repositories: Vec<String>,
    /// The AppSets whose pull requests are asked for now.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    app_sets: BTreeSet<String>,
    /// What came of it, in words.
    message: String,
}

pub(super) fn router() -> Router<Sources> {
    let gate = Arc::new(Semaphore::new(AT_ONCE));
    Router::new().route(
        "/{forge}",
        post(
            async move |State(sources): State<Sources>,
                        Path(name): Path<String>,
                        headers: HeaderMap,
                        body: Body| { respond(&gate, &sources, &name, &headers, body).await },
        ),
    )
}

async fn respond(
    gate: &Semaphore,
    sources: &Sources,
    name: &str,
    headers: &HeaderMap,
    body: Body,
) -> Response {
    let Some(forge) = Forge::named(name) else {
        return refusal(StatusCode::NOT_FOUND, format!("no forge is called {name}")).into_response();
    };
    let result = deliver(gate, sources, forge, headers, body).await;
    let delivered = match &result {
        Ok(answer) if answer.repositories.is_empty() && answer.app_sets.is_empty() => Delivered::Ignored,
        Ok(_) => Delivered::Accepted,
        Err(refusal) => delivered(refusal.code()),
    };
    sources.metrics.delivery(forge.as_str(), delivered);
    match result {
        Ok(answer) => (StatusCode::ACCEPTED, Json(answer)).into_response(),
        Err(refusal) => {
            tracing::debug!(forge = forge.as_str(), error = refusal.error, "a delivery was refused");
            refusal.into_response()
        }
    }
}

fn delivered(code: StatusCode) -> Delivered {
    match code {
        StatusCode::UNAUTHORIZED => Delivered::Unauthorized,
        StatusCode::FORBIDDEN => Delivered::Forbidden,
        StatusCode::NOT_FOUND => Delivered::Unknown,
        StatusCode::PAYLOAD_TOO_LARGE => Delivered::TooLarge,
        StatusCode::SERVICE_UNAVAILABLE => Delivered::Busy,
        _ => Delivered::Invalid,
    }
}

async fn deliver(
    gate: &Semaphore,
    sources: &Sources,
    forge: Forge,
    headers: &HeaderMap,
    body: Body,
) -> Result<Answer, Refusal> {
    // What brings no proof at all is not worth reading.
    let proof = Proof::of(forge, headers).map_err(|header| {
        refusal(StatusCode::UNAUTHORIZED, format!("the delivery proves nothing: there is no {header}"))
    })?;
    let body = read(gate, headers, body).await?;
    let delivery = forge::read(forge, headers, &body).map_err(|why| refusal(StatusCode::BAD_REQUEST, why))?;
    if !delivery.names_a_repository() && body.len() > LARGEST_ABOUT_NOTHING {
        return Err(refusal(StatusCode::PAYLOAD_TOO_LARGE, "the body names no repository and is large"));
    }
    let starting = || refusal(StatusCode::SERVICE_UNAVAILABLE, "trueup is starting; send it again");
    let hooks = sources.handle.hooks().ok_or_else(starting)?;
    let meant = meant(&delivery, &hooks)?;
    let believed = believed(&meant, &proof, &body).inspect_err(|_| {
        for hook in &meant {
            sources.handle.refusals().note(guarded(&hook.followed));
        }
    })?;
    match &delivery.event {
        Event::Push(moved) => {
            push(sources, forge, hints(&believed, moved, delivery.default_branch.as_deref()))
        }
        Event::PullRequest(promise) => pull_request(sources, forge, pull_hints(&meant, &believed, promise)),
        Event::Ping => Ok(ignored("the webhook works")),
        Event::Other(event) => {
            Ok(ignored(&format!("{event} events are of no use here: send pushes and pull requests")))
        }
    }
}

fn push(sources: &Sources, forge: Forge, hints: Vec<Hint>) -> Result<Answer, Refusal> {
    if hints.is_empty() {
        return Ok(ignored("the repository is followed, but at another reference"));
    }
    let repositories: BTreeSet<&str> = hints.iter().map(|hint| repository_of(&hint.repository)).collect();
    let repositories: Vec<String> = repositories.into_iter().map(str::to_owned).collect();
    tracing::debug!(forge = forge.as_str(), ?repositories, "a delivery says that they moved");
    sources.handle.hint(hints, By::Person).map_err(|error| busy(&error))?;
    let message = "the repository is asked now".to_owned();
    Ok(Answer { repositories, app_sets: BTreeSet::new(), message })
}

fn pull_request(sources: &Sources, forge: Forge, hints: Vec<PullHint>) -> Result<Answer, Refusal> {
    if hints.is_empty() {
        return Ok(ignored("no AppSet asks for the pull requests of this repository"));
    }
    let app_sets: BTreeSet<String> = hints.iter().map(|hint| hint.app_set.clone()).collect();
    tracing::debug!(forge = forge.as_str(), ?app_sets, "a delivery says that a pull request changed");
    sources.handle.hint_pulls(hints, By::Person).map_err(|error| busy(&error))?;
    let message = "the forge is asked for its pull requests now".to_owned();
    Ok(Answer { repositories: Vec::new(), app_sets, message })
}

fn busy(error: &anyhow::Error) -> Refusal {
    refusal(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
}

fn refusal(code: StatusCode, why: impl Into<String>) -> Refusal {
    Refusal::new(code, why.into())
}

fn ignored(message: &str) -> Answer {
    Answer { repositories: Vec::new(), app_sets: BTreeSet::new(), message: message.to_owned() }
}

async fn read(gate: &Semaphore, headers: &HeaderMap, body: Body) -> Result<Bytes, Refusal> {
    let too_large =
        || refusal(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {} MiB", LARGEST >> 20));
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: usize| length > LARGEST) {
        return Err(too_large());
    }
    let Ok(_permit) = gate.try_acquire() else {
        return Err(refusal(StatusCode::SERVICE_UNAVAILABLE, "too many deliveries at once; send it again"));
    };
    match tokio::time::timeout(ARRIVAL, to_bytes(body, LARGEST)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) if is_too_large(&error) => Err(too_large()),
        Ok(Err(error)) => Err(refusal(StatusCode::BAD_REQUEST, format!("the body broke off: {error}"))),
        Err(_) => Err(refusal(StatusCode::REQUEST_TIMEOUT, "the body took too long to arrive")),
    }
}

fn is_too_large(error: &axum::Error) -> bool {
    std::error::Error::source(error)
        .is_some_and(<dyn std::error::Error>::is::<http_body_util::LengthLimitError>)
}

/// What the delivery is about; all there is where it is about nothing, as some trials are. A push concerns Repositories; where there is none, it is the push to a
/// repository of which only the pull requests are asked for.
fn meant<'h>(delivery: &Delivery, hooks: &'h [Hook]) -> Result<Vec<&'h Hook>, Refusal> {
    let told: Vec<Address> = delivery.urls.iter().filter_map(|url| Address::of(url)).collect();
    let is_meant = |hook: &&Hook| {
        hook.urls.iter().filter_map(|url| Address::of(url)).any(|address| {
            let by_slug = |(project, name): &(String, String)| address.ends_with(project, name);
            told.contains(&address) || delivery.slug.as_ref().is_some_and(by_slug)
        })
    };
    if !delivery.names_a_repository() {
        return match delivery.event {
            Event::Push(_) => Err(refusal(StatusCode::BAD_REQUEST, "the push names no repository")),
            Event::PullRequest(_) => {
                Err(refusal(StatusCode::BAD_REQUEST, "the pull request names no repository"))
            }
            Event::Ping | Event::Other(_) => Ok(hooks.iter().collect()),
        };
    }
    let meant: Vec<&Hook> = hooks.iter().filter(is_meant).collect();
    if meant.is_empty() {
        let told = told.first().map(ToString::to_string).unwrap_or_default();
        let why = format!(
            "no Repository has the URL {told}, and no AppSet asks for its pull requests; webhook.url says so where trueup uses another one"
        );
        return Err(refusal(StatusCode::NOT_FOUND, why));
    }
    let is_repository = |hook: &&Hook| matches!(hook.followed, Followed::Repository { .. });
    if matches!(delivery.event, Event::Push(_)) && meant.iter().any(is_repository) {
        return Ok(meant.into_iter().filter(is_repository).collect());
    }
    Ok(meant)
}

/// What a delivery was refused for.
fn guarded(followed: &Followed) -> Guarded {
    match followed {
        Followed::Repository { name, .. } => Guarded::Repository(name.clone()),
        Followed::PullRequests { app_set, .. } => Guarded::AppSet(app_set.clone()),
    }
}

/// Those whose secret the delivery knows.
fn believed<'h>(meant: &[&'h Hook], proof: &Proof, body: &[u8]) -> Result<Vec<&'h Hook>, Refusal> {
    // They often share a secret: each is tried once.
    let mut tried: Vec<(&str, bool)> = Vec::new();
    let mut believed = Vec::new();
    for &hook in meant {
        let HookKey::Known(secret) = &hook.key else { continue };
        let secret = secret.expose();
        let before = tried.iter().find(|(other, _)| *other == secret).map(|(_, fits)| *fits);
        let fits = before.unwrap_or_else(|| {
            let fits = proof.knows(secret, body);
            tried.push((secret, fits));
            fits
        });
        if fits {
            believed.push(hook);
        }
    }
    if !believed.is_empty() {
        return Ok(believed);
    }
    if !tried.is_empty() {
        return Err(refusal(StatusCode::UNAUTHORIZED, "the delivery does not know the webhook's secret"));
    }
    let unreadable = meant.iter().any(|hook| matches!(hook.key, HookKey::Unreadable(_)));
    Err(if unreadable {
        refusal(StatusCode::SERVICE_UNAVAILABLE, "the webhook's secret could not be read; the log says why")
    } else {
        refusal(
            StatusCode::FORBIDDEN,
            "no secret is configured for the webhook: set `webhook` of the Repository, or of the pullRequests of the AppSet",
        )
    })
}

fn hints(believed: &[&Hook], moved: &[Moved], default_branch: Option<&str>) -> Vec<Hint> {
    let hint = |hook: &&Hook| {
        let Followed::Repository { name, reference } = &hook.followed else { return None };
        let moved = moved.iter().find(|moved| follows(reference, &moved.reference, default_branch))?;
        Some(Hint { repository: name.clone(), promised: promise(reference, moved) })
    };
    believed.iter().filter_map(hint).collect()
}

/// Whom a delivery about a pull request concerns: all generators of that repository where it knows the secret of a Repository that is the same one, and otherwise
/// those whose own secret it knows.
fn pull_hints(meant: &[&Hook], believed: &[&Hook], promise: &Promise) -> Vec<PullHint> {
    let of_repository = believed.iter().any(|hook| matches!(hook.followed, Followed::Repository { .. }));
    let hint = |hook: &&Hook| {
        let Followed::PullRequests { app_set, place } = &hook.followed else { return None };
        Some(PullHint { app_set: app_set.clone(), place: place.clone(), promised: promise.clone() })
    };
    let concerned = if of_repository { meant } else { believed };
    concerned.iter().filter_map(hint).collect()
}

// A tag may name a tag object, and a range may go on naming another tag.
fn promise(followed: &Reference, moved: &Moved) -> Option<String> {
    match followed {
        Reference::Head | Reference::Branch(_) => moved.to.clone(),
        Reference::Tag(_) | Reference::Semver(_) | Reference::Commit(_) | Reference::Named(_) => None,
    }
}

fn follows(followed: &Reference, moved: &str, default_branch: Option<&str>) -> bool {
    let branch = moved.strip_prefix("refs/heads/");
    let tag = moved.strip_prefix("refs/tags/");
    match followed {
        Reference::Commit(_) => false,
        _ if moved.is_empty() => true,
        Reference::Head => match default_branch {
            Some(default) => branch == Some(default),
            None => branch.is_some(),
        },
        Reference::Branch(name) => branch == Some(name),
        Reference::Tag(name) => tag == Some(name),
        Reference::Named(name) => [branch, tag].contains(&Some(name)),
        Reference::Semver(_) => tag.is_some(),
    }
}

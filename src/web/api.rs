//! `/api/v1`: what the command line asks of a running trueup. All answers are JSON; errors are `{"error": "…"}`.
//!
//! A target's name is one part of a path when its `/` is written `%2F`; two parts are understood as well.

use super::Sources;
use crate::sync::deletions::Ruling;
use crate::sync::hooks::{Hint, PullHint};
use crate::sync::replicas::{BeginAnswer, BeginRequest, DeleteRequest, News, PATIENCE};
use crate::sync::topology::is_meant;
use crate::sync::view::{AppSetStanding, By, ClusterStanding, Confirmation};
use crate::sync::{PlanOptions, Preview, Wait};
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use std::fmt::Display;
use trueup_plan::drift::DriftEntry;
use trueup_plan::ignore::IgnoredField;
use trueup_plan::overdraft::{self, RepositoryHold};
use trueup_plan::record::{HistoryEntry, TargetStatus};

/// Entries of history where nobody says how many.
const HISTORY: usize = 20;

/// `GET /api/v1/targets`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Targets {
    /// All targets, sorted by name.
    pub targets: Vec<TargetStatus>,
    /// All AppSets, sorted by name.
    #[serde(default, rename = "appSets", skip_serializing_if = "Vec::is_empty")]
    pub app_sets: Vec<AppSetStanding>,
    /// All Clusters, sorted by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clusters: Vec<ClusterStanding>,
    /// Repositories whose targets would delete too much together, sorted by name.
    #[serde(default, rename = "heldDeletions", skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<RepositoryHold>,
}

impl Targets {
    /// These targets and AppSets, and what is held of the targets' repositories.
    pub fn new(targets: Vec<TargetStatus>, app_sets: Vec<AppSetStanding>) -> Self {
        Self { held: overdraft::holds(&targets), targets, app_sets, clusters: Vec::new() }
    }
}

/// `GET /api/v1/targets/{target}/history`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// The entries, newest first.
    pub history: Vec<HistoryEntry>,
}

/// `GET /api/v1/drift`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    /// What drifts and what drifted lately: what is there now first, then newest first.
    pub drift: Vec<DriftEntry>,
    /// Fields that are left to others as they are.
    pub ignored: Vec<Ignored>,
}

/// A field of a target that is left to others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ignored {
    /// The target.
    pub target: String,
    /// The field, who owns it and why it is left.
    #[serde(flatten)]
    pub field: IgnoredField,
}

impl Drift {
    /// What is known of these targets; of all where none is named. A name means a target as it does everywhere.
    pub fn of(statuses: &[TargetStatus], drift: Vec<DriftEntry>, named: &[String]) -> Self {
        let is_named = |target: &str| named.is_empty() || named.iter().any(|name| is_meant(target, name));
        let ignored = statuses.iter().filter(|status| is_named(&status.target)).flat_map(|status| {
            let of = |field: &IgnoredField| Ignored { target: status.target.clone(), field: field.clone() };
            status.ignored.iter().map(of)
        });
        Self {
            drift: drift.into_iter().filter(|entry| is_named(&entry.target)).collect(),
            ignored: ignored.collect(),
        }
    }
}

/// `POST /api/v1/sync`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyncRequest {
    /// The targets to look at; all where none is named.
    #[serde(default)]
    pub targets: Vec<String>,
    /// Whether to answer only when the turn of each is over.
    #[serde(default)]
    pub wait: bool,
    /// Approves deletions beyond `maxPrune` that have this code, or one of these, which commas stand between.
    #[serde(default, rename = "confirmPrune", skip_serializing_if = "Option::is_none")]
    pub confirm_prune: Option<String>,
}

/// The answer to a [`SyncRequest`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncAnswer {
    /// The targets that were meant.
    pub targets: Vec<String>,
}

/// The answer to a [`Confirmation`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmed {
    /// The Apps that go.
    pub apps: Vec<String>,
}

/// Why a request gets nothing.
#[derive(Debug, Serialize, Deserialize)]
pub struct Refusal {
    #[serde(skip)]
    code: StatusCode,
    /// In words.
    pub error: String,
}

impl Refusal {
    pub(super) fn new(code: StatusCode, error: impl Display) -> Self {
        Self { code, error: error.to_string() }
    }

    pub(super) fn code(&self) -> StatusCode {
        self.code
    }

    fn internal(error: &anyhow::Error) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}"))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.code, Json(self)).into_response()
    }
}

#[derive(Debug, Deserialize)]
struct HistoryQuery {
    limit: Option<usize>,
}

#[derive(Debug, Deserialize)]
struct DriftQuery {
    target: Option<String>,
}

#[derive(Debug, Deserialize)]
struct PlanQuery {
    revision: Option<String>,
}

pub(super) fn router() -> Router<Sources> {
    Router::new()
        .route("/targets", get(targets))
        .route("/targets/{target}", get(one))
        .route("/targets/{target}/history", get(one_history))
        .route("/targets/{target}/plan", get(one_plan))
        .route("/targets/{target}/{cluster}", get(split))
        .route("/targets/{target}/{cluster}/history", get(split_history))
        .route("/targets/{target}/{cluster}/plan", get(split_plan))
        .route("/drift", get(drift))
        .route("/sync", post(sync))
        .route("/confirm", post(confirm))
        .route("/replica/news", get(news))
        .route("/replica/begin", post(begin))
        .route("/replica/delete", post(delete))
        .route("/replica/sync", post(sync_here))
        .route("/replica/confirm", post(confirm_here))
        .route("/replica/hints", post(hints))
        .route("/replica/pulls", post(pulls))
}

async fn targets(State(sources): State<Sources>) -> Json<Targets> {
    let targets = Targets::new(sources.handle.statuses(), sources.handle.app_sets());
    Json(Targets { clusters: sources.handle.clusters(), ..targets })
}

async fn one(
    State(sources): State<Sources>,
    Path(target): Path<String>,
) -> Result<Json<TargetStatus>, Refusal> {
    find(&sources, &target).map(Json)
}

async fn split(
    State(sources): State<Sources>,
    Path((target, cluster)): Path<(String, String)>,
) -> Result<Json<TargetStatus>, Refusal> {
    find(&sources, &format!("{target}/{cluster}")).map(Json)
}

async fn one_history(
    State(sources): State<Sources>,
    Path(target): Path<String>,
    query: Result<Query<HistoryQuery>, QueryRejection>,
) -> Result<Json<History>, Refusal> {
    history(&sources, &target, query).await
}

async fn split_history(
    State(sources): State<Sources>,
    Path((target, cluster)): Path<(String, String)>,
    query: Result<Query<HistoryQuery>, QueryRejection>,
) -> Result<Json<History>, Refusal> {
    history(&sources, &format!("{target}/{cluster}"), query).await
}

async fn one_plan(
    State(sources): State<Sources>,
    Path(target): Path<String>,
    query: Result<Query<PlanQuery>, QueryRejection>,
) -> Result<Json<Preview>, Refusal> {
    plan(&sources, &target, query).await
}

async fn split_plan(
    State(sources): State<Sources>,
    Path((target, cluster)): Path<(String, String)>,
    query: Result<Query<PlanQuery>, QueryRejection>,
) -> Result<Json<Preview>, Refusal> {
    plan(&sources, &format!("{target}/{cluster}"), query).await
}

fn find(sources: &Sources, target: &str) -> Result<TargetStatus, Refusal> {
    let found = sources.handle.statuses().into_iter().find(|status| status.target == target);
    found.ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, format!("there is no target {target}")))
}

/// Refuses a target that is not there; while not all are known, the reconciler is left to say.
fn exists(sources: &Sources, target: &str) -> Result<(), Refusal> {
    if sources.handle.ready().is_ready() { find(sources, target).map(|_| ()) } else { Ok(()) }
}

async fn history(
    sources: &Sources,
    target: &str,
    query: Result<Query<HistoryQuery>, QueryRejection>,
) -> Result<Json<History>, Refusal> {
    let Query(query) = query.map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, error))?;
    let limit = query.limit.unwrap_or(HISTORY);
    let history = sources.store.history(target, limit).await.map_err(|error| Refusal::internal(&error))?;
    if history.is_empty() {
        // A target that is no longer configured may have left history; one that has none must at least be known.
        find(sources, target)?;
    }
    Ok(Json(History { history }))
}

async fn plan(
    sources: &Sources,
    target: &str,
    query: Result<Query<PlanQuery>, QueryRejection>,
) -> Result<Json<Preview>, Refusal> {
    let Query(query) = query.map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, error))?;
    exists(sources, target)?;
    let options = PlanOptions { revision: query.revision, local: None };
    let preview = sources.handle.plan(target, options).await.map_err(|error| Refusal::internal(&error))?;
    Ok(Json(preview))
}

async fn drift(
    State(sources): State<Sources>,
    query: Result<Query<DriftQuery>, QueryRejection>,
) -> Result<Json<Drift>, Refusal> {
    let Query(query) = query.map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, error))?;
    let statuses = sources.handle.statuses();
    let named: Vec<String> = query.target.into_iter().collect();
    if let Some(name) =
        named.iter().find(|name| !statuses.iter().any(|status| is_meant(&status.target, name)))
    {
        return Err(Refusal::new(StatusCode::NOT_FOUND, format!("there is no target {name}")));
    }
    let drift = sources.store.drift().await.map_err(|error| Refusal::internal(&error))?;
    Ok(Json(Drift::of(&statuses, drift, &named)))
}

#[derive(Debug, Deserialize)]
struct NewsQuery {
    after: u64,
}

/// Answers another replica when there is something new of the targets that this one keeps, or when it has waited for long.
async fn news(
    State(sources): State<Sources>,
    query: Result<Query<NewsQuery>, QueryRejection>,
) -> Result<Json<News>, Refusal> {
    let Query(NewsQuery { after }) = query.map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, error))?;
    let mut shown = sources.handle.subscribe();
    let some = async {
        loop {
            let news = sources.handle.news(after);
            if after == 0 || !news.is_empty() || shown.changed().await.is_err() {
                return news;
            }
        }
    };
    let news = tokio::time::timeout(PATIENCE, some).await;
    Ok(Json(news.unwrap_or_else(|_| sources.handle.news(after))))
}

/// What a request says.
pub(super) fn read<T>(body: Result<Json<T>, JsonRejection>) -> Result<T, Refusal> {
    let Json(read) = body.map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, error.body_text()))?;
    Ok(read)
}

async fn begin(
    State(sources): State<Sources>,
    body: Result<Json<BeginRequest>, JsonRejection>,
) -> Result<Json<BeginAnswer>, Refusal> {
    let request = read(body)?;
    let answer = sources.handle.may_begin(request, By::Replica).await;
    let answer = answer.map_err(|error| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, error))?;
    Ok(Json(BeginAnswer { why: answer.err() }))
}

async fn delete(
    State(sources): State<Sources>,
    body: Result<Json<DeleteRequest>, JsonRejection>,
) -> Result<Json<Ruling>, Refusal> {
    let request = read(body)?;
    let ruling = sources.handle.may_delete(request, By::Replica).await;
    ruling.map(Json).map_err(|error| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, error))
}

async fn sync(
    State(sources): State<Sources>,
    body: Result<Json<SyncRequest>, JsonRejection>,
) -> Result<(StatusCode, Json<SyncAnswer>), Refusal> {
    sync_by(&sources, body, By::Person).await
}

async fn sync_here(
    State(sources): State<Sources>,
    body: Result<Json<SyncRequest>, JsonRejection>,
) -> Result<(StatusCode, Json<SyncAnswer>), Refusal> {
    sync_by(&sources, body, By::Replica).await
}

async fn hints(
    State(sources): State<Sources>,
    body: Result<Json<Vec<Hint>>, JsonRejection>,
) -> Result<StatusCode, Refusal> {
    let hints = read(body)?;
    let taken = sources.handle.hint(hints, By::Replica);
    taken.map_err(|error| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, error))?;
    Ok(StatusCode::ACCEPTED)
}

async fn pulls(
    State(sources): State<Sources>,
    body: Result<Json<Vec<PullHint>>, JsonRejection>,
) -> Result<StatusCode, Refusal> {
    let hints = read(body)?;
    let taken = sources.handle.hint_pulls(hints, By::Replica);
    taken.map_err(|error| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, error))?;
    Ok(StatusCode::ACCEPTED)
}

async fn confirm(
    State(sources): State<Sources>,
    body: Result<Json<Confirmation>, JsonRejection>,
) -> Result<Json<Confirmed>, Refusal> {
    confirm_by(&sources, body, By::Person).await
}

async fn confirm_here(
    State(sources): State<Sources>,
    body: Result<Json<Confirmation>, JsonRejection>,
) -> Result<Json<Confirmed>, Refusal> {
    confirm_by(&sources, body, By::Replica).await
}

async fn confirm_by(
    sources: &Sources,
    body: Result<Json<Confirmation>, JsonRejection>,
    by: By,
) -> Result<Json<Confirmed>, Refusal> {
    let confirmation = read(body)?;
    let answer = sources.handle.confirm(confirmation, by).await;
    let answer = answer.map_err(|error| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, error))?;
    let apps = answer.map_err(|why| Refusal::new(StatusCode::CONFLICT, why))?;
    Ok(Json(Confirmed { apps }))
}

async fn sync_by(
    sources: &Sources,
    body: Result<Json<SyncRequest>, JsonRejection>,
    by: By,
) -> Result<(StatusCode, Json<SyncAnswer>), Refusal> {
    let request = read(body)?;
    for target in &request.targets {
        exists(sources, target)?;
    }
    let (wait, code) =
        if request.wait { (Wait::Turn, StatusCode::OK) } else { (Wait::Queued, StatusCode::ACCEPTED) };
    let answer = sources.handle.sync(request.targets, request.confirm_prune, wait, by).await;
    let targets = answer.map_err(|error| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, error))?;
    Ok((code, Json(SyncAnswer { targets })))
}

//! A running trueup, asked over HTTP.

use crate::sync::view::Confirmation;
use crate::sync::{PlanOptions, Preview};
use crate::web::api::{Confirmed, Drift, History, Refusal, SyncAnswer, SyncRequest, Targets};
use anyhow::{Context as _, Result, anyhow, bail};
use reqwest::{Client, RequestBuilder, Url};
use serde::de::DeserializeOwned;
use std::sync::OnceLock;
use std::time::Duration;
use trueup_plan::record::{HistoryEntry, TargetStatus};

/// How long a server may take to accept: a trueup that runs does so at once.
const CONNECT: Duration = Duration::from_secs(2);
/// How long an answer from memory may take.
const ANSWER: Duration = Duration::from_secs(15);
/// How long a plan may take, which asks clusters.
const PLAN: Duration = Duration::from_mins(5);

/// A server, which may or may not be there.
#[derive(Debug)]
pub(super) struct Remote {
    base: Url,
    client: OnceLock<Client>,
}

/// An answer, or no server.
#[derive(Debug)]
pub(super) enum Reached<T> {
    /// It answered.
    Yes(T),
    /// Nobody listens there: why.
    No(String),
}

impl Remote {
    pub(super) fn new(server: &str) -> Result<Self> {
        let base: Url = server.parse().with_context(|| format!("--server {server}: not a URL"))?;
        if !matches!(base.scheme(), "http" | "https") {
            bail!("--server {server}: must begin with http:// or https://");
        }
        Ok(Self { base, client: OnceLock::new() })
    }

    /// What asks; made when there is something to ask, for it reads all the authorities that this machine trusts.
    fn client(&self) -> Result<&Client> {
        if let Some(made) = self.client.get() {
            return Ok(made);
        }
        let mut client = Client::builder().connect_timeout(CONNECT);
        let local = matches!(self.base.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        if local {
            // A proxy has no way to this machine's own addresses.
            client = client.no_proxy();
        }
        let client = client.build().context("setting up HTTP")?;
        Ok(self.client.get_or_init(|| client))
    }

    pub(super) async fn statuses(&self) -> Result<Reached<Vec<TargetStatus>>> {
        Ok(match self.standing().await? {
            Reached::Yes(answer) => Reached::Yes(answer.targets),
            Reached::No(why) => Reached::No(why),
        })
    }

    /// How targets and AppSets stand.
    pub(super) async fn standing(&self) -> Result<Reached<Targets>> {
        let request = self.client()?.get(self.url(&["targets"])).timeout(ANSWER);
        self.ask(request, |answer| answer).await
    }

    pub(super) async fn history(&self, target: &str, limit: usize) -> Result<Reached<Vec<HistoryEntry>>> {
        let mut url = self.url(&["targets", target, "history"]);
        url.query_pairs_mut().append_pair("limit", &limit.to_string());
        self.ask(self.client()?.get(url).timeout(ANSWER), |answer: History| answer.history).await
    }

    pub(super) async fn drift(&self) -> Result<Reached<Drift>> {
        self.ask(self.client()?.get(self.url(&["drift"])).timeout(ANSWER), |answer| answer).await
    }

    /// What a sync would do. A folder of this machine is nothing that a server can plan.
    pub(super) async fn plan(&self, target: &str, options: &PlanOptions) -> Result<Reached<Preview>> {
        let mut url = self.url(&["targets", target, "plan"]);
        if let Some(revision) = &options.revision {
            url.query_pairs_mut().append_pair("revision", revision);
        }
        self.ask(self.client()?.get(url).timeout(PLAN), |preview| preview).await
    }

    pub(super) async fn sync(
        &self,
        request: &SyncRequest,
        timeout: Duration,
    ) -> Result<Reached<Vec<String>>> {
        let request = self.client()?.post(self.url(&["sync"])).json(request).timeout(timeout);
        self.ask(request, |answer: SyncAnswer| answer.targets).await
    }

    /// Lets the Apps go that an AppSet holds.
    pub(super) async fn confirm(&self, confirmation: &Confirmation) -> Result<Reached<Confirmed>> {
        let request = self.client()?.post(self.url(&["confirm"])).json(confirmation).timeout(ANSWER);
        self.ask(request, |answer| answer).await
    }

    fn url(&self, parts: &[&str]) -> Url {
        let mut url = self.base.clone();
        // Only a URL without a host has no path, and those are refused in the beginning.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["api", "v1"]).extend(parts);
        }
        url
    }

    async fn ask<A: DeserializeOwned, T>(
        &self,
        request: RequestBuilder,
        take: impl FnOnce(A) -> T,
    ) -> Result<Reached<T>> {
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) if error.is_connect() => {
                return Ok(Reached::No(format!("no trueup answers at {}", self.base)));
            }
            Err(error) if error.is_timeout() => bail!("{}: did not answer in time", self.base),
            Err(error) => return Err(error).with_context(|| format!("asking {}", self.base)),
        };
        let code = response.status();
        let body = response.bytes().await.with_context(|| format!("reading the answer of {}", self.base))?;
        if !code.is_success() {
            let refusal = serde_json::from_slice::<Refusal>(&body).map(|refusal| refusal.error);
            let why = refusal.unwrap_or_else(|_| format!("answered {code}; is that a trueup?"));
            return Err(anyhow!(why)).with_context(|| self.base.to_string());
        }
        let answer = serde_json::from_slice(&body);
        let answer = answer.with_context(|| format!("{}: the answer is not one of a trueup", self.base))?;
        Ok(Reached::Yes(take(answer)))
    }
}

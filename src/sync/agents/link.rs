//! The agent's side: it listens to its hub, does what it is asked to, and tells how its targets stand.
//!
//! Enters: what the hub says, and the agent's own board. Leaves: a configuration for the engine, answers and news for the hub. What the hub said last
//! stands while it is away, over a start as well; nothing that is told has to come through, for a session that the hub does not know
//! begins with all there is to tell. Of several agents in a cluster the one that has its Lease speaks.

use super::super::engine::Engine;
use super::super::replicas::{PATIENCE, Share};
use super::super::view::{By, Handle, PlanOptions, Wait};
use super::messages::{Done, Errand, Heard, Listen, Parcel, Taken, Task, Tell};
use super::store;
use crate::cluster::{Access, Cluster};
use crate::store::Store;
use crate::web::api::Refusal;
use anyhow::{Context as _, Result, anyhow, bail};
use jiff::Timestamp;
use reqwest::{Certificate, Client, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use trueup_model::Value;
use trueup_plan::record::HistoryEntry;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long an answer that is not late on purpose may take.
const LIMIT: Duration = Duration::from_secs(20);
/// How soon a hub that does not answer is asked again, at first and at last.
const AGAIN: Duration = Duration::from_secs(1);
const AGAIN_AT_LAST: Duration = Duration::from_secs(15);
/// News that follow each other within this time are told together.
const PACE: Duration = Duration::from_millis(100);
/// How often is looked whether the cluster is this process' to keep.
const TURN: Duration = Duration::from_millis(250);
/// Targets that are told of at once.
const MOST: usize = 200;
/// Entries of a target's history that are told at once.
const HISTORY: usize = 20;

/// The hub of an agent. Clones are the same.
#[derive(Clone, Debug)]
pub struct Hub {
    client: Client,
    /// Where it speaks of the agent's cluster.
    base: Url,
    cluster: String,
    /// The file of the token: it is read each time, so that another one counts at once.
    token: Arc<Path>,
}

impl Hub {
    /// The hub at `url`, for the agent of a cluster that proves itself with what is in the file `token`; `authority` are PEM certificates that are trusted besides the system's.
    ///
    /// # Errors
    /// The address is none, or would show the token to everybody on the way; the certificates are none.
    pub fn new(url: &str, cluster: &str, token: &Path, authority: Option<&str>) -> Result<Self> {
        let mut base = Url::parse(url).with_context(|| format!("{url} is not the URL of a hub"))?;
        let is_here = match base.host_str() {
            Some("localhost" | "[::1]") => true,
            Some(host) => host.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback()),
            None => bail!("{url} is not the URL of a hub"),
        };
        match base.scheme() {
            "https" => {}
            "http" if is_here => {}
            "http" => bail!(
                "{url}: the token and what Secrets say would go over the network for all to read: use https"
            ),
            other => bail!("{url}: a hub is reached through https, not through {other}"),
        }
        let mut builder =
            Client::builder().connect_timeout(CONNECT).redirect(reqwest::redirect::Policy::none());
        if let Some(pem) = authority {
            let authorities =
                Certificate::from_pem_bundle(pem.as_bytes()).context("the authority is not PEM")?;
            if authorities.is_empty() {
                bail!("the authority holds no certificate");
            }
            builder = builder.tls_certs_merge(authorities);
        }
        if is_here {
            builder = builder.no_proxy();
        }
        base.path_segments_mut()
            .map_err(|()| anyhow!("{url} is not the URL of a hub"))?
            .pop_if_empty()
            .extend(["agent", "v1", "clusters", cluster]);
        Ok(Self { client: builder.build()?, base, cluster: cluster.to_owned(), token: token.into() })
    }

    /// Asks the hub.
    ///
    /// # Errors
    /// Why there is no answer, in words.
    pub(in crate::sync) async fn ask<A: DeserializeOwned>(
        &self,
        what: &str,
        request: &impl Serialize,
        limit: Duration,
    ) -> Result<A, String> {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.push(what);
        }
        let said = |error: reqwest::Error| {
            format!("the hub cannot be asked: {:#}", anyhow::Error::from(error.without_url()))
        };
        let token = std::fs::read_to_string(&self.token);
        let token = token.map_err(|error| format!("the token: {}: {error}", self.token.display()))?;
        let request = self.client.post(url).bearer_auth(token.trim_end()).timeout(limit).json(request);
        let answer = request.send().await.map_err(said)?;
        let status = answer.status();
        if status.is_success() {
            return answer.json().await.map_err(|error| {
                format!(
                    "what the hub answered cannot be read, as when one of the two is older: {}",
                    error.without_url()
                )
            });
        }
        let refusal = answer.json::<Refusal>().await.map(|refusal| refusal.error);
        Err(format!(
            "the hub answered {status}: {}",
            refusal.unwrap_or_else(|_| "without saying why".to_owned())
        ))
    }
}

/// An agent and what it works with.
pub(in crate::sync) struct Link {
    pub(in crate::sync) hub: Hub,
    pub(in crate::sync) engine: Engine,
    pub(in crate::sync) share: Share,
    pub(in crate::sync) handle: Handle,
    pub(in crate::sync) history: Store,
    /// What tells its cluster from all others.
    place: String,
    store: store::Store,
    /// What the engine works by.
    parcel: Option<Parcel>,
    /// The fingerprint of what is kept.
    kept: String,
    session: Arc<watch::Sender<String>>,
}

impl Link {
    /// A link that has something to work by: from the hub, or else what was kept. Waits for one of the two.
    pub(in crate::sync) async fn begin(
        hub: Hub,
        engine: Engine,
        share: Share,
        handle: Handle,
        history: Store,
        (access, namespace): (&Access, &str),
    ) -> Result<Self> {
        let cluster = engine.connect_home(access).await.context("the agent's own cluster")?;
        let mut link = Self {
            hub,
            engine,
            share,
            handle,
            history,
            place: String::new(),
            store: store::Store { cluster, namespace: namespace.to_owned() },
            parcel: None,
            kept: String::new(),
            session: Arc::new(watch::Sender::new(String::new())),
        };
        let (mut pause, mut trouble) = (AGAIN, String::new());
        loop {
            match link.first().await {
                Ok(()) => return Ok(link),
                Err(error) => note(&mut trouble, format!("{error:#}"), "there is nothing to work by yet"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(AGAIN_AT_LAST);
        }
    }

    async fn first(&mut self) -> Result<()> {
        if self.place.is_empty() {
            let uid = self.store.cluster.uid_of_namespace(&self.store.namespace).await;
            self.place = uid.context("which cluster this is")?;
        }
        let listen = Listen { place: self.place.clone(), ..Listen::default() };
        let parcel = match self.hub.ask::<Heard>("listen", &listen, LIMIT).await {
            Ok(heard) => heard.parcel,
            Err(why) => {
                let kept = self.store.read().await.context("what the hub said before")?;
                let kept = kept.ok_or_else(|| anyhow!(why.clone()))?;
                tracing::warn!(error = why, "the hub cannot be asked; what it said last is used");
                self.kept.clone_from(&kept.fingerprint);
                Some(kept)
            }
        };
        let parcel = parcel.context("the hub said nothing")?;
        self.engine.is_of(&parcel.installation);
        self.put_to_work(parcel).await
    }

    async fn put_to_work(&mut self, parcel: Parcel) -> Result<()> {
        let secrets = parcel.secrets();
        let config = parcel.configuration.clone().into_config();
        if parcel.configuration.cluster() != self.hub.cluster {
            bail!(
                "the hub speaks of cluster {}, not of {}",
                parcel.configuration.cluster(),
                self.hub.cluster
            );
        }
        self.engine.configure_with(&config, secrets).await?;
        self.parcel = Some(parcel);
        Ok(())
    }

    /// Listens, without end.
    async fn obey(mut self) {
        let mut doubts = self.engine.doubts();
        let (mut pause, mut trouble, mut after) = (AGAIN, String::new(), 0);
        let mut settled = None;
        loop {
            if !self.share.has(&self.hub.cluster) {
                tokio::time::sleep(TURN).await;
                continue;
            }
            self.keep().await;
            let doubt = *doubts.borrow_and_update();
            let listen = Listen {
                place: self.place.clone(),
                session: self.session.borrow().clone(),
                fingerprint: self
                    .parcel
                    .as_ref()
                    .map(|parcel| parcel.fingerprint.clone())
                    .unwrap_or_default(),
                after,
                wait: settled == Some(doubt),
            };
            let heard = tokio::select! {
                biased;
                _ = doubts.changed() => continue,
                heard = self.hub.ask::<Heard>("listen", &listen, PATIENCE + LIMIT) => heard,
            };
            let done = match heard {
                Ok(heard) => self.heard(heard, &mut after).await,
                Err(why) => Err(anyhow!(why)),
            };
            match done {
                Ok(()) => {
                    if !trouble.is_empty() {
                        tracing::info!("the hub is heard again");
                    }
                    (pause, trouble) = (AGAIN, String::new());
                    settled = Some(doubt);
                    self.engine.is_configured_since(doubt);
                }
                Err(error) => {
                    note(
                        &mut trouble,
                        format!("{error:#}"),
                        "the hub is not heard; what it said last stands",
                    );
                    if settled != Some(doubt) && self.recall().await {
                        settled = Some(doubt);
                        self.engine.is_configured_since(doubt);
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(AGAIN_AT_LAST);
                }
            }
        }
    }

    async fn heard(&mut self, heard: Heard, after: &mut u64) -> Result<()> {
        let is_new = self.session.send_if_modified(|session| {
            let is_new = *session != heard.session;
            session.clone_from(&heard.session);
            is_new
        });
        if is_new {
            *after = 0;
        }
        for errand in heard.errands {
            *after = (*after).max(errand.number);
            tokio::spawn(run(self.hub.clone(), self.handle.clone(), self.place.clone(), errand));
        }
        if let Some(parcel) = heard.parcel {
            self.put_to_work(parcel).await.context("what the hub says could not be put to work")?;
            tracing::info!("the configuration changed");
        }
        Ok(())
    }

    /// Keeps what is worked by for when the hub is away.
    async fn keep(&mut self) {
        let Some(parcel) = self.parcel.as_ref().filter(|parcel| parcel.fingerprint != self.kept) else {
            return;
        };
        match self.store.write(parcel).await {
            Ok(()) => self.kept.clone_from(&parcel.fingerprint),
            // It is tried again when something was heard.
            Err(error) => tracing::warn!(
                error = format!("{error:#}"),
                "what the hub says could not be kept for when it is away"
            ),
        }
    }

    /// Another agent may have kept what is newer than what this one heard. Whether that is known now.
    async fn recall(&mut self) -> bool {
        match self.store.read().await {
            Ok(Some(kept)) if self.parcel.as_ref() != Some(&kept) => match self.put_to_work(kept).await {
                Ok(()) => true,
                Err(error) => {
                    tracing::warn!(
                        error = format!("{error:#}"),
                        "what the hub said before could not be put to work"
                    );
                    false
                }
            },
            Ok(_) => true,
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "what the hub said before cannot be read");
                false
            }
        }
    }
}

/// Keeps an agent and its hub in touch, without end.
pub(in crate::sync) async fn keep_up(link: Link) {
    let teller = Teller {
        hub: link.hub.clone(),
        engine: link.engine.clone(),
        share: link.share.clone(),
        handle: link.handle.clone(),
        history: link.history.clone(),
        place: link.place.clone(),
        session: link.session.subscribe(),
        told: BTreeMap::new(),
    };
    tokio::join!(link.obey(), teller.tell());
}

struct Teller {
    hub: Hub,
    engine: Engine,
    share: Share,
    handle: Handle,
    history: Store,
    place: String,
    session: watch::Receiver<String>,
    /// Up to when each target's history was told.
    told: BTreeMap<String, Timestamp>,
}

impl Teller {
    async fn tell(mut self) {
        let mut shown = self.handle.subscribe();
        let (mut session, mut after, mut pause, mut trouble) = (String::new(), 0, AGAIN, String::new());
        loop {
            if !self.share.has(&self.hub.cluster) {
                session.clear();
                tokio::time::sleep(TURN).await;
                continue;
            }
            let now = self.session.borrow_and_update().clone();
            shown.mark_unchanged();
            if now != session {
                (session, after) = (now, 0);
            }
            let news = if session.is_empty() { None } else { Some(self.handle.news(after)) };
            let Some(news) = news.filter(|news| after == 0 || !news.targets.is_empty()) else {
                tokio::select! {
                    changed = shown.changed() => if changed.is_err() { return },
                    changed = self.session.changed() => if changed.is_err() { return },
                    // Its Lease may go to another one meanwhile.
                    () = tokio::time::sleep(AGAIN_AT_LAST) => {}
                }
                continue;
            };
            match self.tell_all(&session, news.targets).await {
                Ok(true) => {
                    (after, pause, trouble) = (news.sequence, AGAIN, String::new());
                    tokio::time::sleep(PACE).await;
                }
                // It hears of the new session before it asks for anything.
                Ok(false) => {
                    let _ = tokio::time::timeout(pause, self.session.changed()).await;
                }
                Err(why) => {
                    if why != trouble {
                        tracing::debug!(error = why, "how targets stand could not be told");
                        trouble = why;
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(AGAIN_AT_LAST);
                }
            }
        }
    }

    /// False where the session is over.
    async fn tell_all(
        &mut self,
        session: &str,
        targets: Vec<super::super::replicas::Told>,
    ) -> Result<bool, String> {
        let cluster = self.engine.clusters().remove(&self.hub.cluster);
        let version = match cluster {
            Some(cluster) => version(&cluster).await,
            None => String::new(),
        };
        // One at least: it says that there is nothing.
        let mut parts: Vec<_> = targets.chunks(MOST).collect();
        if parts.is_empty() {
            parts.push(&[]);
        }
        for targets in parts {
            let mut history = Vec::new();
            for told in targets {
                history.extend(self.history_of(&told.status.target).await);
            }
            let up_to: Vec<(String, Timestamp)> =
                history.iter().map(|entry| (entry.target.clone(), entry.ended)).collect();
            let tell = Tell {
                place: self.place.clone(),
                session: session.to_owned(),
                version: version.clone(),
                targets: targets.to_vec(),
                history,
                done: Vec::new(),
            };
            let taken: Taken = self.hub.ask("tell", &tell, LIMIT).await?;
            if taken.session != session {
                return Ok(false);
            }
            for (target, ended) in up_to {
                let told = self.told.entry(target).or_insert(ended);
                *told = (*told).max(ended);
            }
        }
        Ok(true)
    }

    async fn history_of(&self, target: &str) -> Vec<HistoryEntry> {
        let told = self.told.get(target);
        let mut history = match self.history.history(target, HISTORY).await {
            Ok(history) => history,
            Err(error) => {
                tracing::debug!(target, error = format!("{error:#}"), "its history cannot be told");
                return Vec::new();
            }
        };
        history.retain(|entry| told.is_none_or(|told| entry.ended > *told));
        history.reverse();
        history
    }
}

async fn version(cluster: &Cluster) -> String {
    match cluster.abilities(&cluster.catalog()).await {
        Ok(abilities) => abilities.version,
        Err(error) => {
            tracing::debug!(%error, "the version of the cluster is not known");
            String::new()
        }
    }
}

/// Does what the hub asks for, and says what came of it.
async fn run(hub: Hub, handle: Handle, place: String, errand: Errand) {
    let Errand { number, task } = errand;
    let result = done(&handle, task).await;
    let tell = Tell { place, done: vec![Done { number, result }], ..Tell::default() };
    if let Err(error) = hub.ask::<Taken>("tell", &tell, LIMIT).await {
        tracing::warn!(error, "what came of a request could not be told");
    }
}

async fn done(handle: &Handle, task: Task) -> Result<Value, String> {
    match task {
        Task::Sync(request) => {
            let wait = if request.wait { Wait::Turn } else { Wait::Queued };
            let targets = handle.sync(request.targets, request.confirm_prune, wait, By::Replica).await?;
            Ok(json!(targets))
        }
        Task::Ask(hints) => {
            handle.hint(hints, By::Replica).map_err(|error| format!("{error:#}"))?;
            Ok(Value::Null)
        }
        Task::Plan { target, revision } => {
            let preview = handle.plan(&target, PlanOptions { revision, local: None }).await;
            let preview = preview.map_err(|error| format!("{error:#}"))?;
            serde_json::to_value(preview).map_err(|error| error.to_string())
        }
    }
}

/// Says what is the matter, once.
fn note(trouble: &mut String, why: String, what: &'static str) {
    if *trouble != why {
        tracing::warn!(error = why, "{what}");
        *trouble = why;
    }
}

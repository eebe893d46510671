//! The reconciler that runs until it is stopped: alone by files, as one of several replicas by custom resources, or as the agent of a hub.
//!
//! Enters: where the configuration is. Leaves: nothing; it is put together here - store, board, server, engine - and taken apart in the
//! order in which nothing is lost. Absent: what any of them does.

use super::agents::{Hub, Link, keep_up};
use super::custom::Home;
use super::engine::{Chosen, Ends, Engine, Parts};
use super::governed;
use super::offline::load_written;
use super::presence;
use super::replicas::{self, Keeper, Kin, Share, Terms};
use super::view::{self};
use crate::ambient;
use crate::cluster::{self, Cluster};
use crate::config;
use crate::recording::Recorder;
use crate::source;
use crate::store::{Database, Retention, Store};
use crate::web;
use crate::web::metrics::Metrics;
use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What a running trueup needs to know.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Where the configuration is.
    pub config: Configuration,
    /// The state folder.
    pub state: PathBuf,
    /// Where history and drift are shared, if they are.
    pub database: Option<Database>,
    /// Where HTTP is answered.
    pub listen: std::net::SocketAddr,
    /// The file that keeps what comes in, if that is wanted.
    pub record: Option<PathBuf>,
    /// How long an App that is being deleted waits for a cluster that does not answer.
    pub patience: Duration,
}

/// What several replicas share.
#[derive(Clone, Debug)]
pub struct Shared {
    /// Where their Leases are, and the configuration if it is custom resources.
    pub home: Home,
    /// How long the Lease of a replica lasts without a renewal.
    pub lease: Duration,
    /// Where the other replicas reach this one: a host, at the port that is listened on, or `host:port`.
    pub advertise: Option<String>,
}

/// Where a configuration is.
#[derive(Clone, Debug)]
pub enum Configuration {
    /// In a file or a folder.
    Files(PathBuf),
    /// In custom resources.
    Resources(Shared),
    /// What a hub says; replicas share the work in the cluster that they run in.
    Hub(Hub, Shared),
}

/// Reconciles until a signal ends it.
pub async fn run(options: RunOptions) -> Result<()> {
    let first = match &options.config {
        Configuration::Files(path) => Some(load_written(path)?),
        Configuration::Resources(_) | Configuration::Hub(..) => None,
    };
    let mut ends = options.record.as_deref().map(ends_recorded).transpose()?.unwrap_or_default();
    let mut chosen = Chosen::All;
    let hub = match &options.config {
        Configuration::Files(_) | Configuration::Resources(_) => None,
        Configuration::Hub(hub, _) => Some(hub.clone()),
    };
    let share = Share::under(hub).context("a client for other replicas")?;
    if let Configuration::Resources(shared) | Configuration::Hub(_, shared) = &options.config {
        ends.home = Some(shared.home.access().via);
        chosen = Chosen::Shared(share.clone());
    }
    let store = open_store(&options).await?;
    let listener = TcpListener::bind(options.listen)
        .await
        .with_context(|| format!("listening on {}", options.listen))?;
    let (handle, board, requests) = view::open();
    let metrics = Metrics::new();
    let stop = CancellationToken::new();
    let sources = web::Sources { handle: handle.clone(), store: store.clone(), metrics: metrics.clone() };
    let address = listener.local_addr()?;
    tracing::info!(%address, "listening");
    let server = tokio::spawn(web::serve(listener, sources, stop.clone().cancelled_owned()));
    let patience = options.patience;
    let parts = Parts { board, metrics: metrics.clone(), store: store.clone(), chosen, patience, ends };
    let engine = Engine::new(parts, &options.state).await?;
    if let Some(first) = &first {
        engine.configure(first).await?;
    }
    let worker = tokio::spawn({
        let engine = engine.clone();
        async move { engine.work().await }
    });
    let answers = tokio::spawn({
        let engine = engine.clone();
        async move { engine.answer(requests).await }
    });
    let presence = tokio::spawn(presence::watch_over(engine.clone()));
    let mut part = None;
    let ended = match &options.config {
        Configuration::Files(path) => {
            until_signal(&engine, path, first.map(|first| first.fingerprint()).unwrap_or_default()).await
        }
        Configuration::Resources(shared) => {
            part = Some(Part::take(&engine, share, metrics, shared, &options.state, address).await?);
            until_stopped(&engine, governed::govern(&engine, &shared.home, options.patience)).await
        }
        Configuration::Hub(hub, shared) => {
            let access = shared.home.access();
            let (place, history) = ((&access, &*shared.home.namespace), store.clone());
            let begun = Link::begin(hub.clone(), engine.clone(), share.clone(), handle, history, place);
            let work = async {
                let link = begun.await?;
                part = Some(Part::take(&engine, share, metrics, shared, &options.state, address).await?);
                Box::pin(keep_up(link)).await;
                Ok(())
            };
            Box::pin(until_stopped(&engine, work)).await
        }
    };
    say_why(&ended);
    engine.stop();
    stop.cancel();
    let _ = worker.await;
    if let Some(part) = part {
        part.leave().await;
    }
    let _ = server.await;
    answers.abort();
    presence.abort();
    store.close().await?;
    ended.map(drop)
}

/// Says why trueup ends before it does: ending may take long.
fn say_why(ended: &Result<Option<&'static str>>) {
    match ended {
        Ok(Some(signal)) => tracing::info!(signal, "stopping"),
        Ok(None) => tracing::info!("stopping"),
        Err(error) => tracing::error!(error = format!("{error:#}"), "stopping"),
    }
}

async fn open_store(options: &RunOptions) -> Result<Store> {
    let (state, database) = (options.state.clone(), options.database.clone());
    if let Some(database) = &database {
        tracing::info!(%database, "history and drift are shared");
    }
    tokio::task::spawn_blocking(move || {
        let (retention, now) = (Retention::default(), Timestamp::now());
        match database {
            Some(database) => Store::open_shared(&state, retention, now, database),
            None => Store::open(&state, retention, now),
        }
    })
    .await?
}

/// Where others reach what listens at an address, if that can be told.
fn reached_at(said: Option<&str>, listens: SocketAddr) -> Option<String> {
    match said.map(|said| (said, said.parse::<IpAddr>())) {
        Some((_, Ok(ip))) => Some(SocketAddr::new(ip, listens.port()).to_string()),
        Some((said, Err(_))) if said.contains(':') => Some(said.to_owned()),
        Some((said, Err(_))) => Some(format!("{said}:{}", listens.port())),
        None => (!listens.ip().is_unspecified()).then(|| listens.to_string()),
    }
}

/// This process as one of several replicas.
struct Part {
    keeper: JoinHandle<()>,
    listener: JoinHandle<()>,
    stop: CancellationToken,
}

impl Part {
    async fn take(
        engine: &Engine,
        share: Share,
        metrics: Metrics,
        shared: &Shared,
        state: &Path,
        listens: SocketAddr,
    ) -> Result<Self> {
        let requests = metrics.clone();
        let counter = Arc::new(move |verb: &str, code: u16| requests.kubernetes_request(verb, code));
        // What says how long may be written is not itself kept from writing.
        let cluster = Cluster::connect(&shared.home.access(), counter, Arc::new(|_| {})).await;
        let kin = if share.hub().is_some() { Kin::Agents } else { Kin::Replicas };
        let terms = Terms {
            kin,
            namespace: shared.home.namespace.clone(),
            duration: shared.lease,
            address: reached_at(shared.advertise.as_deref(), listens),
            host: ambient::host(),
            state: state.to_owned(),
        };
        let cluster = cluster.context("the cluster of the Leases")?;
        let keeper = Keeper::new(terms, engine.clone(), share.clone(), metrics, cluster);
        let stop = CancellationToken::new();
        Ok(Self {
            keeper: tokio::spawn(keeper.keep(stop.clone())),
            listener: tokio::spawn(replicas::listen(engine.clone(), share)),
            stop,
        })
    }

    /// Leaves what it has to the others, now that no turn is under way.
    async fn leave(self) {
        self.stop.cancel();
        let _ = self.keeper.await;
        self.listener.abort();
    }
}

/// The ends of the network, and a file that keeps what comes from there.
fn ends_recorded(path: &Path) -> Result<Ends> {
    let recorder = Recorder::begin(path)?;
    tracing::info!(file = %path.display(), "recording what comes in; values of Secrets are hashes in it");
    let (answers, files) = (recorder.clone(), recorder.clone());
    Ok(Ends {
        clusters: cluster::Reach::Overheard(Arc::new(move |heard| answers.answered(heard))),
        repositories: source::Reach::Overheard(Arc::new(move |heard| files.read(heard))),
        recorder: Some(recorder),
        home: None,
    })
}

/// The signals that trueup listens for.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

/// What a signal asks for.
enum Asked {
    /// To end; the signal's name.
    End(&'static str),
    /// To look at everything again.
    Look,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::End("SIGTERM"),
            _ = self.interrupt.recv() => Asked::End("SIGINT"),
            _ = self.hangup.recv() => Asked::Look,
        }
    }
}

/// Works until a signal ends it, or the work itself. Says which signal, if it was one.
async fn until_stopped(
    engine: &Engine,
    work: impl Future<Output = Result<()>>,
) -> Result<Option<&'static str>> {
    let mut signals = Signals::listen()?;
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            asked = signals.next() => match asked {
                Asked::End(name) => return Ok(Some(name)),
                Asked::Look => engine.look_again(),
            },
            ended = &mut work => return ended.map(|()| None),
        }
    }
}

/// Works by the files at `path` until a signal ends it; says which.
async fn until_signal(engine: &Engine, path: &Path, mut fingerprint: String) -> Result<Option<&'static str>> {
    let mut signals = Signals::listen()?;
    let mut watch = config::watch(path)?;
    loop {
        let changed = tokio::select! {
            asked = signals.next() => match asked {
                Asked::End(name) => return Ok(Some(name)),
                Asked::Look => {
                    engine.look_again();
                    watch.reload();
                    continue;
                }
            },
            changed = watch.next() => changed,
        };
        match changed {
            Some(Ok(config)) if config.fingerprint() == fingerprint => {}
            Some(Ok(config)) => {
                fingerprint = config.fingerprint();
                tracing::info!("the configuration changed");
                engine.configure(&config).await?;
            }
            Some(Err(problems)) => {
                tracing::error!(%problems, "the new configuration is broken; the old one stays in force");
            }
            None => bail!("the configuration cannot be watched any more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_are_reached_where_they_say_or_where_they_listen() {
        let at = |said, listens: &str| reached_at(said, listens.parse().unwrap()).unwrap_or_default();
        assert_eq!(at(None, "127.0.0.1:8321"), "127.0.0.1:8321");
        assert_eq!(at(None, "0.0.0.0:8321"), "");
        assert_eq!(at(Some("10.1.2.3"), "0.0.0.0:8321"), "10.1.2.3:8321");
        assert_eq!(at(Some("fd00::7"), "[::]:8321"), "[fd00::7]:8321");
        assert_eq!(at(Some("trueup-0.trueup"), "0.0.0.0:8321"), "trueup-0.trueup:8321");
        assert_eq!(at(Some("edge.example.com:80"), "0.0.0.0:8321"), "edge.example.com:80");
    }
}

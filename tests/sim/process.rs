//! trueup, as a process: it starts on what an earlier one left behind, and can be killed at any point.

use crate::forge::Forge;
use crate::gate::Cluster;
use crate::plan::Layout;
use crate::trace::Trace;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use trueup::ambient::{self, Simulation};
use trueup::cluster;
use trueup::source;
use trueup::store::{Retention, Store};
use trueup::sync::Handle;
use trueup::sync::engine::{Chosen, Ends, Engine, Parts};
use trueup::sync::view;
use trueup::sync::view::{By, Wait};
use trueup::web::metrics::{Format, Metrics};
use trueup_plan::record::TargetStatus;

/// A running trueup, with a runtime of its own: when that goes, all goes.
pub(crate) struct Process {
    runtime: Runtime,
    engine: Engine,
    pub(crate) handle: Handle,
    metrics: Metrics,
    /// What it logged, until somebody looks.
    log: Log,
    simulation: Simulation,
    _logging: tracing::subscriber::DefaultGuard,
}

#[derive(Clone)]
struct Log {
    bytes: Arc<Mutex<Vec<u8>>>,
    trace: Trace,
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        self.trace.note(|| format!("log  {}", String::from_utf8_lossy(bytes).trim_end()));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Process {
    /// Starts trueup with a configuration and a state folder.
    pub(crate) fn start(
        (now, seed): (Timestamp, u64),
        layout: &Layout,
        state: &Path,
        clusters: &[Cluster],
        forge: &Forge,
        trace: &Trace,
    ) -> anyhow::Result<Self> {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build()?;
        let log = Log { bytes: Arc::default(), trace: trace.clone() };
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .without_time()
            .with_ansi(false)
            .with_max_level(tracing::Level::INFO)
            .finish();
        let logging = tracing::subscriber::set_default(subscriber);
        let reachable: BTreeMap<String, Cluster> =
            clusters.iter().map(|cluster| (cluster.name().to_owned(), cluster.clone())).collect();
        let forge = Arc::new(forge.clone());
        let ends = Ends {
            clusters: cluster::Reach::Here(Arc::new(move |name| Some(reachable.get(name)?.client()))),
            repositories: source::Reach::Here(Arc::new(move |_| forge.clone())),
            recorder: None,
            home: None,
        };
        let metrics = Metrics::new();
        let started = runtime.block_on(async {
            let simulation = ambient::simulate(now, seed);
            let store = Store::open(state, Retention::default(), now)?;
            let (handle, board, requests) = view::open();
            let patience = Duration::from_mins(10);
            let parts = Parts { board, metrics: metrics.clone(), store, chosen: Chosen::All, patience, ends };
            let engine = Engine::new(parts, state).await?;
            engine.configure(&layout.config()).await?;
            tokio::spawn({
                let engine = engine.clone();
                async move { engine.work().await }
            });
            tokio::spawn({
                let engine = engine.clone();
                async move { engine.answer(requests).await }
            });
            anyhow::Ok((engine, handle, simulation))
        });
        let (engine, handle, simulation) = started?;
        Ok(Self { runtime, engine, handle, metrics, log, simulation, _logging: logging })
    }

    /// Lets time pass; gives what it is then.
    pub(crate) fn run(&self, time: Duration) -> Timestamp {
        self.runtime.block_on(async {
            tokio::time::sleep(time).await;
            ambient::now()
        })
    }

    /// Puts another configuration to work.
    pub(crate) fn configure(&self, layout: &Layout) -> anyhow::Result<()> {
        self.runtime.block_on(self.engine.configure(&layout.config()))
    }

    /// Lets tasks go on for so many turns, without any time passing.
    pub(crate) fn nudge(&self, turns: u64) {
        self.runtime.block_on(async {
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
        });
    }

    /// Does something within the simulation.
    pub(crate) fn within<T>(&self, work: impl FnOnce() -> T) -> T {
        self.runtime.block_on(async { work() })
    }

    pub(crate) fn set_clock(&self, now: Timestamp) {
        self.within(|| self.simulation.set_clock(now));
    }

    pub(crate) fn statuses(&self) -> BTreeMap<String, TargetStatus> {
        self.engine.statuses()
    }

    /// Asks for a sync of all targets, and waits for nothing.
    pub(crate) fn sync(&self) {
        let handle = self.handle.clone();
        self.runtime.block_on(async {
            tokio::spawn(async move { handle.sync(Vec::new(), None, Wait::Queued, By::Person).await });
        });
    }

    /// All that it has put out since the last look: its log, its metrics and what it shows.
    pub(crate) fn output(&self) -> String {
        let log = std::mem::take(&mut *self.log.bytes.lock().unwrap_or_else(PoisonError::into_inner));
        let log = String::from_utf8_lossy(&log).into_owned();
        let shown = serde_json::to_string(&self.handle.statuses()).unwrap_or_default();
        log + &shown
    }

    pub(crate) fn metrics(&self) -> String {
        self.metrics.scrape(Format::Prometheus).unwrap_or_default()
    }

    /// How many tasks there are.
    pub(crate) fn tasks(&self) -> usize {
        self.runtime.metrics().num_alive_tasks()
    }
}

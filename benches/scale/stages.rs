//! The stages of a reconciler's life, each from what begins it until all is as it should be.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use axum::http::Method;
use jiff::Timestamp;
use serde_json::json;
use tokio::task::JoinHandle;
use trueup::config::{self, Config};
use trueup::store::{Retention, Store};
use trueup::sync::engine::{Chosen, Ends, Engine, Parts};
use trueup::sync::hooks::Hint;
use trueup::sync::view::By;
use trueup::sync::{Handle, view};
use trueup::web::metrics::Metrics;
use trueup::{cluster, source};
use trueup_model::tree::MemoryTree;

use crate::Size;
use crate::fleet;
use crate::forge::Forge;
use crate::site::{Counted, Counts, NAMESPACE, Site};
use crate::usage;

/// For how long nothing happens while that is measured.
const REST: Duration = Duration::from_secs(30);
/// When a stage is given up.
const PATIENCE: Duration = Duration::from_mins(30);
/// For how long nothing was asked when all is said to be done.
const SILENCE: Duration = Duration::from_secs(1);
/// Drifts that are measured, one after the other.
const DRIFTS: usize = 20;

/// The stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Load,
    FirstSync,
    Rest,
    OneTarget,
    Elsewhere,
    Bases,
    Drift,
    Restart,
}

impl Stage {
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Load => "the configuration is read",
            Self::FirstSync => "first sync of all",
            Self::Rest => "nothing changes, a minute",
            Self::OneTarget => "a commit that changes one target",
            Self::Elsewhere => "a commit that changes none",
            Self::Bases => "a commit that changes each object",
            Self::Drift => "a drift repaired",
            Self::Restart => "restart with nothing to do",
        }
    }
}

/// What a stage took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Taken {
    pub(crate) time: Duration,
    /// Of the whole process, without the time in sandboxes.
    pub(crate) cpu: Duration,
    /// In sandboxes.
    pub(crate) sandboxes: Duration,
    pub(crate) reads: u64,
    pub(crate) writes: u64,
    /// Allocated at its end, in bytes, with the clusters.
    pub(crate) allocated: u64,
}

/// What everything took.
#[derive(Clone, Debug, Default)]
pub(crate) struct Measured {
    pub(crate) stages: BTreeMap<Stage, Taken>,
    /// What trueup itself had allocated after the first sync's first restart: bytes.
    pub(crate) own: u64,
    /// Pages of the whole process in memory then.
    pub(crate) resident: u64,
}

/// Measures all stages.
pub(crate) async fn measure(size: Size) -> Result<Measured> {
    let mut measured = Measured::default();
    let counts = Arc::new(Counts::default());
    let mut sites = BTreeMap::new();
    for index in 0..size.clusters {
        sites.insert(fleet::cluster(index), Site::new(&counts).await?);
    }
    let world =
        World { size, counts, sites: Arc::new(sites), forge: Arc::default(), folder: tempfile::tempdir()? };
    let mut note = |stage: Stage, taken: Taken| {
        eprintln!("  {}: {taken:.2?}", stage.words());
        measured.stages.insert(stage, taken);
    };

    let path = world.folder.path().join("trueup.yaml");
    std::fs::write(&path, fleet::configuration(size))?;
    let clock = world.clock()?;
    let config = config::load(&path).map_err(|problems| anyhow::anyhow!("{problems}"))?;
    note(Stage::Load, clock.read(&world)?);

    let mut tree = fleet::tree(size, 0);
    let mut head = world.forge.commit(tree.clone());
    let clock = world.clock()?;
    let running = Running::start(&world, &config).await?;
    running.settled_at(&head).await?;
    note(Stage::FirstSync, clock.read(&world)?);
    world.silence().await;

    let clock = world.clock()?;
    tokio::time::sleep(REST).await;
    let rest = clock.read(&world)?;
    // Told for a minute.
    note(
        Stage::Rest,
        Taken {
            cpu: rest.cpu * 2,
            sandboxes: rest.sandboxes * 2,
            reads: rest.reads * 2,
            writes: rest.writes * 2,
            ..rest
        },
    );

    let (app, index) = (size.apps / 2, size.clusters / 2);
    tree.insert(&fleet::overlay_path(app, index), fleet::overlay(app, index, 1));
    note(Stage::OneTarget, running.commit(&world, &tree, &mut head).await?);
    tree.insert("README.md", "elsewhere\n");
    note(Stage::Elsewhere, running.commit(&world, &tree, &mut head).await?);
    tree = fleet::tree(size, 1);
    note(Stage::Bases, running.commit(&world, &tree, &mut head).await?);
    world.silence().await;
    note(Stage::Drift, drifts(&world).await?);
    world.silence().await;

    measured.resident = usage::resident()?;
    let with = usage::allocated()?;
    running.stop().await?;
    measured.own = with.saturating_sub(usage::allocated()?);

    let clock = world.clock()?;
    let running = Running::start(&world, &config).await?;
    running.settled_at(&head).await?;
    world.silence().await;
    let restart = clock.read(&world)?;
    let restart = Taken { time: restart.time.saturating_sub(SILENCE), ..restart };
    eprintln!("  {}: {restart:.2?}", Stage::Restart.words());
    measured.stages.insert(Stage::Restart, restart);
    running.stop().await?;
    Ok(measured)
}

struct World {
    size: Size,
    counts: Arc<Counts>,
    sites: Arc<BTreeMap<String, Site>>,
    forge: Arc<Forge>,
    folder: tempfile::TempDir,
}

impl World {
    fn clock(&self) -> Result<Clock> {
        Ok(Clock { began: Instant::now(), cpu: usage::cpu()?, counted: self.counts.now() })
    }

    /// Waits until nobody asks for anything.
    async fn silence(&self) {
        loop {
            let before = self.counts.now();
            tokio::time::sleep(SILENCE).await;
            let now = self.counts.now();
            if (before.reads, before.writes) == (now.reads, now.writes) {
                return;
            }
        }
    }

    fn state(&self) -> &Path {
        self.folder.path()
    }
}

struct Clock {
    began: Instant,
    cpu: Duration,
    counted: Counted,
}

impl Clock {
    fn read(&self, world: &World) -> Result<Taken> {
        let (time, cpu, counted) = (self.began.elapsed(), usage::cpu()?, world.counts.now());
        let sandboxes = counted.spent.saturating_sub(self.counted.spent);
        Ok(Taken {
            time,
            cpu: cpu.saturating_sub(self.cpu).saturating_sub(sandboxes),
            sandboxes,
            reads: counted.reads - self.counted.reads,
            writes: counted.writes - self.counted.writes,
            allocated: usage::allocated()?,
        })
    }
}

/// A reconciler at work.
struct Running {
    engine: Engine,
    handle: Handle,
    store: Store,
    targets: usize,
    tasks: Vec<JoinHandle<()>>,
}

impl Running {
    async fn start(world: &World, config: &Config) -> Result<Self> {
        let (sites, forge) = (world.sites.clone(), world.forge.clone());
        let ends = Ends {
            clusters: cluster::Reach::Here(Arc::new(move |name| Some(sites.get(name)?.client()))),
            repositories: source::Reach::Here(Arc::new(move |_| forge.clone())),
            recorder: None,
            home: None,
        };
        let store = Store::open(world.state(), Retention::default(), Timestamp::now())?;
        let (handle, board, requests) = view::open();
        let parts = Parts {
            board,
            metrics: Metrics::new(),
            store: store.clone(),
            chosen: Chosen::All,
            patience: Duration::from_mins(10),
            ends,
        };
        let engine = Engine::new(parts, world.state()).await?;
        engine.configure(config).await?;
        let work = tokio::spawn({
            let engine = engine.clone();
            async move { engine.work().await }
        });
        let answer = tokio::spawn({
            let engine = engine.clone();
            async move { engine.answer(requests).await }
        });
        Ok(Self { engine, handle, store, targets: world.size.targets(), tasks: vec![work, answer] })
    }

    /// Waits until all targets are Synced and Healthy at that commit.
    async fn settled_at(&self, revision: &str) -> Result<()> {
        let began = Instant::now();
        loop {
            let looked = Instant::now();
            let statuses = self.engine.statuses();
            let is_there = |status: &trueup_plan::record::TargetStatus| {
                status.is_settled() && status.revision == revision
            };
            let settled = statuses.values().filter(|status| is_there(status)).count();
            if settled == self.targets {
                return Ok(());
            }
            if began.elapsed() > PATIENCE {
                let odd = statuses.values().find(|status| !is_there(status)).context("too few statuses")?;
                bail!(
                    "{settled} of {} targets are settled; {} is {}: {}",
                    self.targets,
                    odd.target,
                    odd.sync,
                    odd.message
                );
            }
            drop(statuses);
            // To look costs something where there are many.
            tokio::time::sleep((looked.elapsed() * 20).max(Duration::from_millis(5))).await;
        }
    }

    async fn commit(&self, world: &World, tree: &MemoryTree, head: &mut String) -> Result<Taken> {
        let tree = tree.clone();
        let clock = world.clock()?;
        *head = world.forge.commit(tree);
        self.handle.hint(vec![Hint { repository: "fleet".to_owned(), promised: None }], By::Person)?;
        self.settled_at(head).await?;
        clock.read(world)
    }

    async fn stop(self) -> Result<()> {
        let Self { engine, store, tasks, .. } = self;
        engine.stop();
        let mut tasks = tasks.into_iter();
        tasks.next().context("no work")?.await?;
        tasks.for_each(|task| task.abort());
        store.close().await?;
        drop(engine);
        // What was told to end needs a moment for it.
        tokio::time::sleep(Duration::from_secs(2)).await;
        Ok(())
    }
}

/// Somebody edits an object, again and again elsewhere; the time of the one in the middle.
async fn drifts(world: &World) -> Result<Taken> {
    let clock = world.clock()?;
    let mut times = Vec::with_capacity(DRIFTS);
    for turn in 0..DRIFTS {
        let name = fleet::cluster(turn * world.size.clusters / DRIFTS);
        let site = world.sites.get(&name).context("no such cluster")?;
        let path =
            format!("/api/v1/namespaces/{NAMESPACE}/configmaps/{}", fleet::object(turn % world.size.apps, 1));
        let began = Instant::now();
        site.ask(Method::PATCH, &path, Some(&json!({"data": {"level": "debug"}}))).await?;
        while site.ask(Method::GET, &path, None).await?["data"]["level"] != "info" {
            if began.elapsed() > PATIENCE {
                bail!("{name}: {path} is not repaired");
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        times.push(began.elapsed());
    }
    times.sort();
    let taken = clock.read(world)?;
    let each = u32::try_from(DRIFTS)?;
    Ok(Taken {
        time: times[DRIFTS / 2],
        cpu: taken.cpu / each,
        sandboxes: taken.sandboxes / each,
        reads: taken.reads / u64::from(each),
        writes: taken.writes / u64::from(each),
        ..taken
    })
}

//! Runs turns: triggers fill the queue, workers take targets from it.
//!
//! Enters: a configuration and its changes, commits, cluster events, requests of people. Leaves: turns, their records in the
//! store, on the board and in the metrics. A worker is never parked: a turn that has to wait ends, and is asked for again.

use super::directory::Directory;
use super::membership;
use super::queue::{Due, Queue};
use super::repositories::{Follow, Known, Repositories};
use super::target::{TargetSpec, TargetState};
use super::topology::{self, Secrets, select};
use super::turn::{Context, Turned, base_status, turn};
use super::view::{Board, Request, Wait};
use crate::cluster::{Access, Cluster, ClusterEvent, EventKind, Parent, Via};
use crate::config::Config;
use crate::source::{self, Source};
use crate::store::{LedgerChange, Store};
use crate::web::metrics::{Ended, Metrics};
use anyhow::{Context as _, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use trueup_plan::health::HealthStatus;
use trueup_plan::record::{HistoryEntry, OutcomeResult, SyncStatus, TargetStatus, Trigger};

/// Turns under way at once. They wait for the network most of the time.
const TURNS: usize = 64;
/// Changes of members within this time are one reason to look.
const SETTLE: Duration = Duration::from_millis(15);
/// How often what could not be set up (a Secret, a kubeconfig) is tried again.
const REPAIR: Duration = Duration::from_secs(30);
/// How long turns may take to end when trueup stops.
const FAREWELL: Duration = Duration::from_secs(20);

/// A reconciler. Cheap to clone; clones are the same.
#[derive(Clone)]
pub struct Engine(Arc<Core>);

struct Core {
    queue: Queue,
    board: Board,
    metrics: Metrics,
    store: Store,
    directory: Directory,
    cache: source::Cache,
    repositories: Mutex<Repositories>,
    setup: RwLock<Arc<Setup>>,
    states: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<Memory>>>>,
    statuses: Mutex<BTreeMap<String, TargetStatus>>,
    turns: Mutex<BTreeMap<String, CancellationToken>>,
    waiters: Mutex<BTreeMap<String, Vec<oneshot::Sender<()>>>>,
    config: Mutex<Option<Config>>,
    chosen: Chosen,
    stop: CancellationToken,
}

/// A configuration, put to work.
#[derive(Default)]
struct Setup {
    targets: BTreeMap<String, Arc<TargetSpec>>,
    clusters: BTreeMap<String, (Access, Cluster)>,
    /// Clusters and Repositories that could not be set up, and why.
    troubles: BTreeMap<(&'static str, String), String>,
}

#[derive(Default)]
struct Memory {
    state: TargetState,
    loaded: bool,
}

/// All that a reconciler works with.
pub struct Parts {
    /// Where statuses are shown.
    pub board: Board,
    /// Where things are counted.
    pub metrics: Metrics,
    /// Where records are kept.
    pub store: Store,
    /// Which targets have turns.
    pub chosen: Chosen,
}

/// Which targets have turns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// All that are configured.
    All,
    /// These.
    Only(BTreeSet<String>),
}

impl Engine {
    /// A reconciler with nothing to do yet. Mirrors of repositories go below `state`.
    pub async fn new(parts: Parts, state: &Path) -> Result<Self> {
        let cache = source::Cache::new(state).context("the folder of repository mirrors")?;
        let statuses = parts.store.statuses().await?;
        let engine = Arc::new_cyclic(|core: &std::sync::Weak<Core>| {
            let core = core.clone();
            let moved: Arc<dyn Fn(&str) + Send + Sync> = Arc::new(move |name: &str| {
                if let Some(core) = core.upgrade() {
                    core.repository_moved(name);
                }
            });
            Core {
                queue: Queue::default(),
                repositories: Mutex::new(Repositories::new(parts.metrics.clone(), moved)),
                board: parts.board,
                metrics: parts.metrics,
                store: parts.store,
                directory: Directory::default(),
                cache,
                setup: RwLock::default(),
                states: Mutex::default(),
                statuses: Mutex::new(
                    statuses.into_iter().map(|status| (status.target.clone(), status)).collect(),
                ),
                turns: Mutex::default(),
                waiters: Mutex::default(),
                config: Mutex::default(),
                chosen: parts.chosen,
                stop: CancellationToken::new(),
            }
        });
        Ok(Self(engine))
    }

    /// Puts a configuration to work, in place of the one before. Nothing is deleted from a cluster for it.
    pub async fn configure(&self, config: &Config) -> Result<()> {
        self.0.configure(config).await
    }

    /// Works until [`Engine::stop`], then lets running turns end.
    pub async fn work(&self) {
        let permits = Arc::new(Semaphore::new(TURNS));
        tokio::spawn(self.0.clone().repair());
        loop {
            let permit = tokio::select! {
                permit = permits.clone().acquire_owned() => permit,
                () = self.0.stop.cancelled() => break,
            };
            let due = tokio::select! {
                due = self.0.queue.next() => due,
                () = self.0.stop.cancelled() => break,
            };
            let core = self.0.clone();
            tokio::spawn(async move {
                core.take(due).await;
                drop(permit);
            });
        }
        let all = u32::try_from(TURNS).unwrap_or(u32::MAX);
        let _ = tokio::time::timeout(FAREWELL, permits.acquire_many(all)).await;
        lock(&self.0.repositories).stop();
        self.0.setup().clusters.values().for_each(|(_, cluster)| cluster.stop());
    }

    /// Ends [`Engine::work`]; each running turn ends between two writes.
    pub fn stop(&self) {
        self.0.stop.cancel();
        lock(&self.0.turns).values().for_each(CancellationToken::cancel);
    }

    /// Looks at all repositories and all targets again.
    pub fn look_again(&self) {
        lock(&self.0.repositories).poke();
        for target in self.0.setup().targets.keys() {
            self.0.push(target, Trigger::Timer, Duration::ZERO);
        }
    }

    /// Answers what people ask until nobody can ask any more.
    pub async fn answer(&self, mut requests: mpsc::Receiver<Request>) {
        while let Some(request) = requests.recv().await {
            match request {
                Request::Sync { targets, wait, answer } => self.0.sync(&targets, wait, answer),
                Request::Plan { target, options, answer } => {
                    let engine = self.clone();
                    tokio::spawn(async move {
                        let _ = answer.send(engine.preview(&target, &options).await);
                    });
                }
            }
        }
    }

    /// How the targets stand, by name.
    pub fn statuses(&self) -> BTreeMap<String, TargetStatus> {
        let statuses = lock(&self.0.statuses);
        self.0
            .setup()
            .targets
            .keys()
            .filter_map(|name| Some((name.clone(), statuses.get(name)?.clone())))
            .collect()
    }

    /// Asks for a turn of each target, and gives a receiver a target that is told when the turn is over.
    pub fn ask_for_turns(&self, targets: &[String]) -> Vec<oneshot::Receiver<()>> {
        self.0.ask_for_turns(targets)
    }

    /// The targets that are meant by what a person wrote.
    pub fn select(&self, written: &[String]) -> Result<Vec<String>, String> {
        select(self.0.setup().targets.keys().map(String::as_str), written)
    }

    pub(super) fn target(&self, name: &str) -> Option<(Arc<TargetSpec>, Option<Cluster>)> {
        let setup = self.0.setup();
        let spec = setup.targets.get(name)?.clone();
        let cluster = setup.clusters.get(&spec.cluster).map(|(_, cluster)| cluster.clone());
        Some((spec, cluster))
    }

    pub(super) fn source(&self, repository: &str) -> Option<Source> {
        lock(&self.0.repositories).source(repository)
    }

    pub(super) fn cache(&self) -> &source::Cache {
        &self.0.cache
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    pub(super) fn directory(&self) -> &Directory {
        &self.0.directory
    }

    pub(super) fn repository(&self, name: &str) -> Known {
        lock(&self.0.repositories).known(name)
    }

    /// What is remembered of a target, as a copy that a preview can work with.
    pub(super) async fn remembered(&self, spec: &TargetSpec, cluster: &Cluster) -> Result<TargetState> {
        let mut state =
            TargetState { ledger: self.0.store.ledger(&spec.name).await?, ..TargetState::default() };
        self.0.find_parents(spec, cluster, &mut state).await.map_err(anyhow::Error::msg)?;
        Ok(state)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Core {
    fn setup(&self) -> Arc<Setup> {
        self.setup.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn configure(self: &Arc<Self>, config: &Config) -> Result<()> {
        let old = self.setup();
        let mut setup = Setup::default();
        let secrets = Secrets { home: self.home(config, &old).await };
        for name in config.clusters.keys() {
            match self.cluster(config, name, &secrets, &old).await {
                Ok(cluster) => drop(setup.clusters.insert(name.clone(), cluster)),
                Err(error) => drop(setup.troubles.insert(("Cluster", name.clone()), format!("{error:#}"))),
            }
        }
        let mut follow = Vec::new();
        for (name, repository) in &config.repositories {
            if repository.spec.suspend {
                continue;
            }
            match self.follow(config, name, &secrets).await {
                Ok(one) => follow.push(one),
                Err(error) => drop(setup.troubles.insert(("Repository", name.clone()), format!("{error:#}"))),
            }
        }
        setup.targets =
            topology::targets(config).into_iter().map(|(name, spec)| (name, Arc::new(spec))).collect();
        self.put_to_work(&old, Arc::new(setup), follow).await;
        for ((kind, name), why) in &self.setup().troubles {
            tracing::warn!(kind, name, error = why, "part of the configuration does not work yet");
        }
        *lock(&self.config) = Some(config.clone());
        Ok(())
    }

    /// Tries again, now and then, to set up what could not be set up.
    async fn repair(self: Arc<Self>) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(REPAIR) => {}
                () = self.stop.cancelled() => return,
            }
            let config = lock(&self.config).clone();
            if let Some(config) = config.filter(|_| !self.setup().troubles.is_empty())
                && let Err(error) = self.configure(&config).await
            {
                tracing::warn!(error = format!("{error:#}"), "the configuration could not be put to work");
            }
        }
    }

    async fn put_to_work(self: &Arc<Self>, old: &Setup, setup: Arc<Setup>, follow: Vec<Follow>) {
        let set = |spec: &Arc<TargetSpec>| ((spec.cluster.clone(), spec.set()), spec.name.clone());
        let sets = setup.targets.values().map(set).collect();
        self.directory.configure(sets);
        *self.setup.write().unwrap_or_else(PoisonError::into_inner) = setup.clone();
        self.queue.retain(|target| setup.targets.contains_key(target));
        let place = |spec: &Arc<TargetSpec>| (spec.cluster.clone(), spec.set());
        // A target that moved is looked for again: what it left behind is found by its parent.
        lock(&self.states).retain(|target, _| {
            setup
                .targets
                .get(target)
                .is_some_and(|new| old.targets.get(target).map(place) == Some(place(new)))
        });
        self.board.configure(setup.targets.keys().cloned());
        self.forget(&setup).await;
        for (name, (access, cluster)) in &old.clusters {
            if setup.clusters.get(name).is_none_or(|(new, _)| new != access) {
                cluster.stop();
            }
        }
        for spec in setup.targets.values() {
            let shown = lock(&self.statuses).get(&spec.name).cloned();
            self.board.show(shown.unwrap_or_else(|| base_status(spec, &TargetState::default())));
        }
        lock(&self.repositories).follow(follow);
        for (name, spec) in &setup.targets {
            if old.targets.get(name) != Some(spec) || !setup.troubles.is_empty() {
                self.push(name, Trigger::Configuration, Duration::ZERO);
            }
        }
    }

    /// Forgets what is no longer configured, also what left while no trueup ran.
    async fn forget(&self, setup: &Setup) {
        let known: Vec<String> = lock(&self.statuses).keys().cloned().collect();
        for name in known.iter().filter(|name| !setup.targets.contains_key(*name)) {
            tracing::info!(target = name, "the target is no longer configured; its objects stay as they are");
            lock(&self.statuses).remove(name);
            lock(&self.waiters).remove(name);
            if let Err(error) = self.store.forget(name).await {
                tracing::warn!(target = name, error = format!("{error:#}"), "the store still has the target");
            }
        }
    }

    /// The cluster whose Secrets the configuration refers to: the one that trueup runs in, or the only one there is.
    async fn home(self: &Arc<Self>, config: &Config, old: &Setup) -> Result<Cluster, String> {
        let needed = config.repositories.values().any(|repository| repository.spec.secret_ref.is_some())
            || config.clusters.values().any(|cluster| cluster.spec.secret_ref.is_some());
        if !needed {
            return Err("nothing refers to a Secret".to_owned());
        }
        let in_cluster = Access { name: "in-cluster".to_owned(), via: Via::InCluster };
        if let Ok(cluster) = self.connect(&in_cluster).await {
            return Ok(cluster);
        }
        let direct: Vec<&String> = config
            .clusters
            .iter()
            .filter(|(_, c)| c.spec.secret_ref.is_none())
            .map(|(name, _)| name)
            .collect();
        let [name] = direct.as_slice() else {
            return Err("trueup does not run in a cluster, and the configuration has not exactly one Cluster to read it from".into());
        };
        let nothing = Secrets { home: Err("it would be needed to reach itself".to_owned()) };
        let cluster =
            self.cluster(config, name, &nothing, old).await.map_err(|error| format!("{error:#}"))?;
        Ok(cluster.1)
    }

    async fn cluster(
        self: &Arc<Self>,
        config: &Config,
        name: &str,
        secrets: &Secrets,
        old: &Setup,
    ) -> Result<(Access, Cluster)> {
        let access = topology::access(config, name, secrets).await?;
        if let Some((same, cluster)) = old.clusters.get(name)
            && *same == access
        {
            return Ok((access, cluster.clone()));
        }
        let cluster = self.connect(&access).await?;
        Ok((access, cluster))
    }

    async fn connect(self: &Arc<Self>, access: &Access) -> Result<Cluster> {
        let metrics = self.metrics.clone();
        let counter = Arc::new(move |verb: &str, code: u16| metrics.kubernetes_request(verb, code));
        let (core, name) = (Arc::downgrade(self), access.name.clone());
        let listener = Arc::new(move |event: ClusterEvent| {
            if let Some(core) = core.upgrade() {
                core.cluster_changed(&name, &event);
            }
        });
        Cluster::connect(access, counter, listener).await
    }

    async fn follow(&self, config: &Config, name: &str, secrets: &Secrets) -> Result<Follow> {
        let spec = topology::source(config, name, secrets).await?;
        // Credentials print as stars, so a changed secret has to show in another way.
        let secret = |secret: &Option<source::Secret>| secret.as_ref().map(|s| fingerprint(s.expose()));
        let credentials = &spec.credentials;
        let secrets =
            [secret(&credentials.password), secret(&credentials.bearer_token), secret(&credentials.ssh_key)];
        let interval = config.repositories.get(name).map_or(REPAIR, |repository| repository.spec.interval);
        let settings = format!("{spec:?} {secrets:?} {interval:?}");
        let source = self.cache.open(spec).with_context(|| format!("Repository {name}"))?;
        Ok(Follow { name: name.to_owned(), source, settings, interval })
    }

    /// A turn on an older commit is not worth finishing; one on the last that could be read is.
    fn repository_moved(&self, name: &str) {
        let has_trouble = lock(&self.repositories).known(name).trouble.is_some();
        for (target, spec) in &self.setup().targets {
            if spec.repository == name {
                if !has_trouble && let Some(turn) = lock(&self.turns).get(target) {
                    turn.cancel();
                }
                self.push(target, Trigger::Commit, Duration::ZERO);
            }
        }
    }

    fn cluster_changed(&self, cluster: &str, event: &ClusterEvent) {
        match event {
            ClusterEvent::Member { set } => {
                if let Some(target) = self.directory.target_of(cluster, set) {
                    self.push(&target, Trigger::Drift, SETTLE);
                }
            }
            ClusterEvent::Catalog | ClusterEvent::Connection => {
                for (target, spec) in &self.setup().targets {
                    if spec.cluster == cluster {
                        self.push(target, Trigger::Configuration, Duration::ZERO);
                    }
                }
            }
        }
    }

    fn sync(&self, written: &[String], wait: Wait, answer: oneshot::Sender<Result<Vec<String>, String>>) {
        let targets = match select(self.setup().targets.keys().map(String::as_str), written) {
            Ok(targets) => targets,
            Err(why) => {
                let _ = answer.send(Err(why));
                return;
            }
        };
        lock(&self.repositories).poke();
        let turns = self.ask_for_turns(&targets);
        match wait {
            Wait::Queued => drop(answer.send(Ok(targets))),
            Wait::Turn => {
                tokio::spawn(async move {
                    for turn in turns {
                        let _ = turn.await;
                    }
                    let _ = answer.send(Ok(targets));
                });
            }
        }
    }

    fn ask_for_turns(&self, targets: &[String]) -> Vec<oneshot::Receiver<()>> {
        targets
            .iter()
            .map(|target| {
                let (over, told) = oneshot::channel();
                lock(&self.waiters).entry(target.clone()).or_default().push(over);
                self.push(target, Trigger::Manual, Duration::ZERO);
                told
            })
            .collect()
    }

    fn push(&self, target: &str, trigger: Trigger, delay: Duration) {
        let is_chosen = match &self.chosen {
            Chosen::All => true,
            Chosen::Only(targets) => targets.contains(target),
        };
        if is_chosen {
            self.queue.push_after(target, trigger, delay);
        }
    }

    async fn take(self: Arc<Self>, due: Due) {
        self.metrics.queue_depth(i64::try_from(self.queue.depth()).unwrap_or(i64::MAX));
        self.metrics.queue_wait(due.waited);
        let stop = self.stop.child_token();
        lock(&self.turns).insert(due.target.clone(), stop.clone());
        let waiters = lock(&self.waiters).remove(&due.target).unwrap_or_default();
        if let Some(spec) = self.setup().targets.get(&due.target).cloned() {
            let core = self.clone();
            let turn = tokio::spawn(async move { core.turn(&spec, due.trigger, &stop).await });
            if let Err(panic) = turn.await {
                tracing::error!(target = due.target, %panic, "the turn ended unexpectedly; the next begins afresh");
                lock(&self.states).remove(&due.target);
                self.push(&due.target, Trigger::Retry, REPAIR);
            }
        }
        lock(&self.turns).remove(&due.target);
        self.queue.done(&due.target);
        for waiter in waiters {
            let _ = waiter.send(());
        }
    }

    async fn turn(&self, spec: &Arc<TargetSpec>, trigger: Trigger, stop: &CancellationToken) {
        let memory = lock(&self.states).entry(spec.name.clone()).or_default().clone();
        let mut memory = memory.lock().await;
        let setup = self.setup();
        let Some((_, cluster)) = setup.clusters.get(&spec.cluster) else {
            let why = setup.troubles.get(&("Cluster", spec.cluster.clone()));
            self.trouble(spec, &memory.state, why.cloned().unwrap_or_default());
            return;
        };
        if !memory.loaded {
            if let Err(why) = self.load(spec, cluster, &mut memory.state).await {
                self.trouble(spec, &memory.state, why);
                self.push(&spec.name, Trigger::Retry, Duration::from_secs(3));
                return;
            }
            memory.loaded = true;
        }
        let known = lock(&self.repositories).known(&spec.repository);
        let revision = known.commit.as_ref().map(|commit| commit.revision.clone());
        let configured = setup.troubles.get(&("Repository", spec.repository.clone())).cloned();
        let trouble = known.trouble.or(configured);
        let missing = || {
            trouble.clone().unwrap_or_else(|| format!("repository {} has not been read yet", spec.repository))
        };
        let context = Context {
            cluster,
            commit: known.commit.ok_or_else(missing),
            repository_trouble: trouble.clone(),
            directory: &self.directory,
            waits_for: self.waits_for(spec, revision.as_deref()),
            metrics: &self.metrics,
            stop,
            show: &|status| self.show(status),
        };
        let before = memory.state.ledger.clone();
        let turned = turn(&context, spec, &mut memory.state, trigger).await;
        let change = LedgerChange::between(&before, &memory.state.ledger);
        let parent = memory.state.parent.clone();
        drop(memory);
        self.record(spec, cluster, turned, change, parent).await;
    }

    // One of the same repository is first when it is settled at the same commit.
    fn waits_for(&self, spec: &TargetSpec, revision: Option<&str>) -> Option<String> {
        let setup = self.setup();
        let statuses = lock(&self.statuses);
        let settled = |name: &&String| {
            let together = setup.targets.get(*name).is_some_and(|other| other.repository == spec.repository);
            let is_there = |status: &TargetStatus| !together || Some(status.revision.as_str()) == revision;
            statuses.get(*name).is_some_and(|status| is_settled(status) && is_there(status))
        };
        spec.depends_on.iter().find(|name| !settled(name)).cloned()
    }

    /// What the store and the cluster know of a target that this process has not looked at before.
    async fn load(
        &self,
        spec: &TargetSpec,
        cluster: &Cluster,
        state: &mut TargetState,
    ) -> Result<(), String> {
        state.ledger =
            self.store.ledger(&spec.name).await.map_err(|error| format!("the store: {error:#}"))?;
        state.status = lock(&self.statuses).get(&spec.name).cloned().unwrap_or_default();
        self.find_parents(spec, cluster, state).await?;
        if state.status.revision.is_empty()
            && let Some(recorded) =
                state.parent.as_ref().and_then(|parent| parent.data.get(membership::STATUS))
            && let Ok(status) = serde_json::from_str::<TargetStatus>(recorded)
        {
            state.status.revision = status.revision;
            state.status.last_sync = status.last_sync;
        }
        Ok(())
    }

    async fn find_parents(
        &self,
        spec: &TargetSpec,
        cluster: &Cluster,
        state: &mut TargetState,
    ) -> Result<(), String> {
        cluster.scope(&std::iter::once(spec.parent_namespace().to_owned()).collect());
        let parents =
            cluster.parents().await.map_err(|error| format!("cluster {}: {error}", cluster.name()))?;
        let setup = self.setup();
        for parent in parents {
            let target = parent.data.get(membership::TARGET).cloned().unwrap_or_default();
            if parent.id == spec.set() {
                state.parent = Some(parent);
            } else if target == spec.name {
                state.former.push(parent);
            } else if !setup.targets.contains_key(&target)
                && parent.data.get(membership::REPOSITORY) == Some(&spec.repository_url)
            {
                self.directory.note_removed(cluster.name(), &parent.id, &target);
            }
        }
        Ok(())
    }

    fn trouble(&self, spec: &TargetSpec, state: &TargetState, message: String) {
        let status = TargetStatus {
            sync: SyncStatus::Unknown,
            health: HealthStatus::Unknown,
            errors: vec![message.clone()],
            message,
            ..base_status(spec, state)
        };
        self.show(status);
    }

    fn show(&self, status: TargetStatus) {
        lock(&self.statuses).insert(status.target.clone(), status.clone());
        self.board.show(status);
    }

    async fn record(
        &self,
        spec: &TargetSpec,
        cluster: &Cluster,
        turned: Turned,
        change: LedgerChange,
        parent: Option<Parent>,
    ) {
        let Turned { record, again } = turned;
        let was_settled = lock(&self.statuses)
            .get(&spec.name)
            .is_some_and(|before| is_settled(before) && before.revision == record.status.revision);
        let settled = is_settled(&record.status);
        self.show(record.status.clone());
        self.push(
            &spec.name,
            if record.status.sync == SyncStatus::Failed { Trigger::Retry } else { Trigger::Timer },
            again,
        );
        if let Some(entry) = &record.history {
            self.tell(spec, cluster, entry, &record.status, parent.as_ref()).await;
        }
        if let Err(error) = self.store.save(record, change).await {
            tracing::warn!(target = spec.name, error = format!("{error:#}"), "the record could not be kept");
        }
        if settled && !was_settled {
            for (name, other) in &self.setup().targets {
                if other.depends_on.contains(&spec.name) {
                    self.push(name, Trigger::Configuration, Duration::ZERO);
                }
            }
        }
    }

    async fn tell(
        &self,
        spec: &TargetSpec,
        cluster: &Cluster,
        entry: &HistoryEntry,
        status: &TargetStatus,
        parent: Option<&Parent>,
    ) {
        let ended = if entry.result == SyncStatus::Failed { Ended::Failure } else { Ended::Success };
        self.metrics.sync_done(&spec.app, &spec.environment, &spec.cluster, ended);
        let done = entry.outcomes.iter().filter(|outcome| outcome.result == OutcomeResult::Done).count();
        let (kind, reason, message) = match ended {
            Ended::Success => (
                EventKind::Normal,
                "Synced",
                format!("{done} objects written at {}: {}", entry.revision, entry.subject),
            ),
            Ended::Failure => (EventKind::Warning, "Failed", status.message.clone()),
        };
        match ended {
            Ended::Success => {
                tracing::info!(target = spec.name, revision = entry.revision, trigger = ?entry.trigger, written = done, "synced");
            }
            Ended::Failure => {
                tracing::warn!(target = spec.name, revision = entry.revision, trigger = ?entry.trigger, written = done, error = status.message, "sync failed");
            }
        }
        if let Some(parent) = parent
            && let Err(error) = cluster.event(parent, kind, reason, &message).await
        {
            tracing::debug!(target = spec.name, %error, "the event could not be posted");
        }
    }
}

/// Whether nothing is left to do or to wait for.
pub fn is_settled(status: &TargetStatus) -> bool {
    status.sync == SyncStatus::Synced && status.health == HealthStatus::Healthy
}

fn fingerprint(secret: &str) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(secret).iter().take(8).fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

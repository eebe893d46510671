//! Runs turns: triggers fill the queue, workers take targets from it.
//!
//! Enters: a configuration and its changes, commits, cluster events, requests of people. Leaves: turns, their records in the
//! store, on the board and in the metrics. A worker is never parked: a turn that has to wait ends, and is asked for again.

use super::app_sets::{AppSets, Farewell};
use super::bases::Bases;
use super::charts::Charts;
use super::deletions::Grants;
use super::directory::Directory;
use super::leave::Progress;
use super::preview::random_key;
use super::pulls::Pulls;
use super::queue::Queue;
use super::replicas::{Shard, Share, Told};
use super::repositories::{Known, Repositories};
use super::rollout::Rollouts;
use super::secrets::{SecretData, SecretName};
use super::target::{TargetSpec, TargetState};
use super::topology::select;
use super::view::{AppSetStanding, Board, ClusterStanding, ClusterState, Request};
use crate::cluster::{Access, Cluster, ClusterEvent, Reach, Via};
use crate::config::Config;
use crate::config::custom::{Answer, Departure};
use crate::generate::Made;
use crate::recording::Recorder;
use crate::render;
use crate::source::{self, Commit, Source};
use crate::store::{Store, installation};
use crate::web::metrics::Metrics;
use anyhow::{Context as _, Result};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use trueup_merge::secrets::MaskKey;
use trueup_plan::drift::Drifted;
use trueup_plan::record::{TargetStatus, Trigger};

/// Turns under way at once; the queue sees to it that no cluster has them all. They wait for the network most of the time.
const TURNS: usize = 64;
/// Changes of members within this time are one reason to look.
const SETTLE: Duration = Duration::from_millis(15);
/// How often what could not be set up (a Secret, a kubeconfig) is tried again.
const REPAIR: Duration = Duration::from_secs(30);
/// How long turns may take to end when trueup stops.
const FAREWELL: Duration = Duration::from_secs(20);

mod agents;
mod begin;
mod credentials;
mod deletions;
mod errands;
mod generate;
mod part;
mod setup;
mod turns;

use begin::Wish;
use deletions::Asked;
use errands::Errand;
use part::Taken;
use setup::Setup;

/// A reconciler. Cheap to clone; clones are the same.
#[derive(Clone)]
pub struct Engine(Arc<Core>);

struct Core {
    queue: Queue,
    board: Board,
    metrics: Metrics,
    store: Store,
    directory: Directory,
    /// What targets that share bases, and commits that share files, need not read and parse again.
    parsed: render::Parsed,
    cache: source::Cache,
    installation: Mutex<String>,
    /// By which values of Secrets are hashed in what is recorded, as long as this process lives.
    mask: MaskKey,
    repositories: Mutex<Repositories>,
    /// What kustomizations name outside of their repositories.
    bases: Bases,
    /// What Apps take from chart repositories and registries.
    charts: Arc<Charts>,
    setup: RwLock<Arc<Setup>>,
    states: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<Memory>>>>,
    statuses: Mutex<BTreeMap<String, TargetStatus>>,
    turns: Mutex<BTreeMap<String, Running>>,
    waiters: Mutex<BTreeMap<String, Vec<oneshot::Sender<()>>>>,
    /// Codes of deletions that a person approved and that no turn has taken yet.
    approved: Mutex<BTreeMap<String, String>>,
    /// The configuration as it is written: without the Apps that AppSets make.
    config: Mutex<Option<Config>>,
    /// What the Secrets said that the configuration refers to, when it was put to work.
    secrets: Mutex<BTreeMap<SecretName, SecretData>>,
    /// What Secrets say, where a hub says it and no cluster is asked.
    given: Mutex<Option<BTreeMap<SecretName, SecretData>>>,
    /// What AppSets have made, and that somebody should look again.
    app_sets: AppSets,
    generate: Arc<Notify>,
    /// Wakes whoever repairs the configuration, where a part of it could not be set up.
    broken: Notify,
    /// The pull requests that AppSets ask for.
    pulls: Mutex<Pulls>,
    /// How commits go over clusters.
    rollouts: Rollouts,
    /// What targets may delete of what their repositories' budgets allow.
    grants: Grants,
    chosen: Chosen,
    patience: Duration,
    clusters: Reach,
    recorder: Option<Recorder>,
    /// The cluster that trueup is at home in, where it does not run in a pod of it.
    home: Option<Via>,
    /// What the configuration said of each target when it had its last turn.
    turned: Mutex<BTreeMap<String, Arc<TargetSpec>>>,
    /// How far the targets are that are on their way out.
    departures: Mutex<BTreeMap<String, Leave>>,
    /// By what targets of other replicas had their last turns, as these say.
    heard: Mutex<BTreeMap<String, String>>,
    /// What other replicas told of targets that are not known here, or not as theirs: who told it, by target.
    unplaced: Mutex<BTreeMap<String, (String, Told)>>,
    /// When the shards of this replica were taken.
    taken: Mutex<BTreeMap<Shard, Taken>>,
    /// Counts the times when what was read of the configuration came into doubt.
    doubts: watch::Sender<u64>,
    /// The last of them since which the configuration was read anew.
    configured: AtomicU64,
    /// What other replicas are asked for in rollouts, by target.
    wishes: Mutex<BTreeMap<String, Wish>>,
    /// What other replicas are asked about deletions, by target.
    asked: Mutex<BTreeMap<String, Asked>>,
    /// Held by who puts another setup in place.
    configuring: tokio::sync::Mutex<()>,
    stop: CancellationToken,
}

#[derive(Default)]
struct Memory {
    state: TargetState,
    loaded: bool,
    /// [`Cluster::breaks`] when the parent was read.
    breaks: u64,
    /// Whether the store has the status as the last turn left it.
    kept: bool,
    /// The drift that the last turn found.
    drift: Vec<Drifted>,
    /// The commit that a target of a suspended repository stays at.
    held: Option<Arc<Commit>>,
}

/// How far a target is that is on its way out.
struct Leave {
    progress: Progress,
    /// Since when its cluster does not answer.
    silent: Option<Timestamp>,
}

/// A turn under way.
struct Running {
    stop: CancellationToken,
    /// The commit that it works on, once it knows.
    revision: Option<String>,
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
    /// How long an App that an AppSet made and that is on its way out waits for a cluster that does not answer.
    pub patience: Duration,
    /// Where clusters and repositories are.
    pub ends: Ends,
}

/// Where clusters and repositories are: in the network, unless something else is said.
#[derive(Clone, Default)]
pub struct Ends {
    /// API servers.
    pub clusters: Reach,
    /// Repositories.
    pub repositories: source::Reach,
    /// What keeps what comes in, if that is wanted.
    pub recorder: Option<Recorder>,
    /// The cluster that `inCluster` means and that Secrets are read from; the one whose pod this is where nothing is said.
    pub home: Option<Via>,
}

/// Which targets have turns.
#[derive(Clone, Debug)]
pub enum Chosen {
    /// All that are configured.
    All,
    /// These.
    Only(BTreeSet<String>),
    /// Those of the clusters that this replica has.
    Shared(Share),
}

impl Engine {
    /// A reconciler with nothing to do yet. Mirrors of repositories go below `state`.
    pub async fn new(parts: Parts, state: &Path) -> Result<Self> {
        let cache = source::Cache::new(state).context("the folder of repository mirrors")?;
        let cache = cache.reaching(parts.ends.repositories);
        let installation = installation(state)?;
        let statuses = parts.store.statuses().await?;
        let mask = random_key()?;
        let generate = Arc::new(Notify::new());
        if let Chosen::Shared(share) = &parts.chosen {
            parts.board.agents().are_shared(share);
        }
        let engine = Arc::new_cyclic(|core: &std::sync::Weak<Core>| {
            let (core, based, charted) = (core.clone(), core.clone(), core.clone());
            let chart_moved: Arc<dyn Fn(&str) + Send + Sync> = Arc::new(move |target: &str| {
                if let Some(core) = charted.upgrade() {
                    core.push(target, Trigger::Commit, Duration::ZERO);
                }
            });
            let base_moved: Arc<dyn Fn(&str) + Send + Sync> = Arc::new(move |target: &str| {
                if let Some(core) = based.upgrade() {
                    core.push(target, Trigger::Commit, Duration::ZERO);
                }
            });
            let moved: Arc<dyn Fn(&str) + Send + Sync> = Arc::new(move |name: &str| {
                if let Some(core) = core.upgrade() {
                    core.repository_moved(name);
                }
            });
            Core {
                charts: Arc::new(Charts::new(cache.clone(), chart_moved)),
                bases: Bases::new(cache.clone(), parts.metrics.clone(), base_moved),
                queue: Queue::new(TURNS),
                repositories: Mutex::new(Repositories::new(parts.metrics.clone(), moved)),
                board: parts.board,
                metrics: parts.metrics,
                store: parts.store,
                directory: Directory::default(),
                parsed: render::Parsed::default(),
                cache,
                installation: Mutex::new(installation),
                mask,
                setup: RwLock::default(),
                states: Mutex::default(),
                statuses: Mutex::new(
                    statuses.into_iter().map(|status| (status.target.clone(), status)).collect(),
                ),
                turns: Mutex::default(),
                waiters: Mutex::default(),
                approved: Mutex::default(),
                config: Mutex::default(),
                secrets: Mutex::default(),
                given: Mutex::default(),
                app_sets: AppSets::new(state),
                pulls: Mutex::new(Pulls::new(Box::new({
                    let generate = generate.clone();
                    move || generate.notify_one()
                }))),
                generate,
                broken: Notify::new(),
                rollouts: Rollouts::default(),
                grants: Grants::default(),
                chosen: parts.chosen,
                patience: parts.patience,
                clusters: parts.ends.clusters,
                recorder: parts.ends.recorder,
                home: parts.ends.home,
                turned: Mutex::default(),
                departures: Mutex::default(),
                heard: Mutex::default(),
                unplaced: Mutex::default(),
                taken: Mutex::default(),
                doubts: watch::Sender::new(0),
                configured: AtomicU64::new(0),
                wishes: Mutex::default(),
                asked: Mutex::default(),
                configuring: tokio::sync::Mutex::default(),
                stop: CancellationToken::new(),
            }
        });
        Ok(Self(engine))
    }

    /// Puts a configuration to work, in place of the one before. Nothing is deleted from a cluster for it.
    pub async fn configure(&self, config: &Config) -> Result<()> {
        self.0.configure(config).await
    }

    /// The same, with what a hub says that Secrets say: no cluster is asked for them.
    pub async fn configure_with(
        &self,
        config: &Config,
        secrets: BTreeMap<SecretName, SecretData>,
    ) -> Result<()> {
        *lock(&self.0.given) = Some(secrets);
        self.0.configure(config).await
    }

    /// Works until [`Engine::stop`], then lets running turns end.
    pub async fn work(&self) {
        let permits = Arc::new(Semaphore::new(TURNS));
        tokio::spawn(self.0.clone().repair());
        tokio::spawn(self.0.clone().renew());
        tokio::spawn(self.0.clone().generate());
        tokio::spawn(self.0.clone().watch_agents());
        loop {
            let permit = tokio::select! {
                biased;
                () = self.0.stop.cancelled() => break,
                permit = permits.clone().acquire_owned() => permit,
            };
            let due = tokio::select! {
                biased;
                () = self.0.stop.cancelled() => break,
                due = self.0.queue.next() => due,
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
        lock(&self.0.pulls).stop();
        self.0.bases.stop();
        self.0.charts.stop();
        self.0.setup().clusters.values().for_each(|(_, cluster)| cluster.stop());
        self.0.cache.end().await;
    }

    /// Ends [`Engine::work`]; each running turn ends between two writes.
    pub fn stop(&self) {
        self.0.stop.cancel();
        lock(&self.0.turns).values().for_each(|running| running.stop.cancel());
    }

    /// Looks at all repositories and all targets again.
    pub fn look_again(&self) {
        lock(&self.0.repositories).poke();
        lock(&self.0.pulls).poke();
        self.0.bases.poke();
        self.0.charts.poke();
        for target in self.0.setup().targets.keys() {
            self.0.push(target, Trigger::Timer, Duration::ZERO);
        }
    }

    /// Answers what people ask until nobody can ask any more.
    pub async fn answer(&self, mut requests: mpsc::Receiver<Request>) {
        while let Some(request) = requests.recv().await {
            match request {
                Request::Sync { targets, confirm, wait, by, answer } => {
                    self.0.sync(Errand { written: targets, confirm, wait, by }, answer);
                }
                Request::Confirm { confirmation, by, answer } => self.confirm(confirmation, by, answer),
                Request::Ask(hints, by) => self.hint(hints, by),
                Request::AskForge(hints, by) => self.hint_pulls(hints, by),
                Request::Begin { target, revision, by, answer } => {
                    let engine = self.clone();
                    tokio::spawn(async move {
                        let _ = answer.send(engine.may_begin_by(&target, &revision, by).await);
                    });
                }
                Request::Delete { target, objects, by, answer } => {
                    let engine = self.clone();
                    tokio::spawn(async move {
                        let _ = answer.send(engine.may_delete_by(&target, &objects, by).await);
                    });
                }
                Request::Told { cluster, told, history } => self.told_by_agent(&cluster, told, history),
                Request::Plan { target, options, answer } => {
                    let engine = self.clone();
                    tokio::spawn(async move {
                        let _ = answer.send(engine.plan(&target, &options).await);
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

    /// How those targets stand that had a turn since the configuration last said something new of them.
    pub fn current_statuses(&self) -> BTreeMap<String, TargetStatus> {
        let setup = self.0.setup();
        let (turned, statuses) = (lock(&self.0.turned), lock(&self.0.statuses));
        let is_current = |(name, spec): &(&String, &Arc<TargetSpec>)| turned.get(*name) == Some(*spec);
        let targets = setup.targets.iter().filter(is_current);
        targets.filter_map(|(name, _)| Some((name.clone(), statuses.get(name)?.clone()))).collect()
    }

    /// How far the targets are whose Apps are being deleted.
    pub fn departures(&self) -> BTreeMap<String, Departure> {
        self.0.all_departures()
    }

    /// What is known of each Repository: the commit that it is at, and why it could not be asked.
    pub fn repositories(&self) -> BTreeMap<String, Answer> {
        let names: Vec<String> = match &*lock(&self.0.config) {
            Some(config) => config.repositories.keys().cloned().collect(),
            None => return BTreeMap::new(),
        };
        let setup = self.0.setup();
        let answer = |name: String| {
            let known = lock(&self.0.repositories).known(&name);
            let trouble = |kind: &'static str| setup.troubles.get(&(kind, name.clone())).cloned();
            let trouble = trouble("Repository").or(known.trouble).or_else(|| trouble("Webhook"));
            (name, Answer { last: known.commit.map(|commit| commit.revision.clone()), trouble })
        };
        names.into_iter().map(answer).collect()
    }

    /// How the AppSets stand, by name.
    pub fn app_sets(&self) -> BTreeMap<String, AppSetStanding> {
        self.0.app_sets.standings().into_iter().map(|standing| (standing.name.clone(), standing)).collect()
    }

    /// What each AppSet has made.
    pub fn made_apps(&self) -> BTreeMap<String, Made> {
        self.0.app_sets.all()
    }

    /// The Apps of AppSets that went since this was asked last.
    pub(super) fn farewells(&self) -> Vec<Farewell> {
        self.0.app_sets.farewells()
    }

    /// Takes what statuses of AppSets say was made last, where this process has not found out yet.
    pub fn recall_apps(&self, made: BTreeMap<String, Made>) {
        self.0.app_sets.recall(made);
    }

    /// The Clusters that could be set up.
    pub fn clusters(&self) -> BTreeMap<String, Cluster> {
        let setup = self.0.setup();
        setup.clusters.iter().map(|(name, (_, cluster))| (name.clone(), cluster.clone())).collect()
    }

    /// All Clusters of the configuration, and how many targets are there.
    pub(super) fn targets_by_cluster(&self) -> BTreeMap<String, usize> {
        let setup = self.0.setup();
        let count = |name: &String| (name.clone(), setup.of_cluster.get(name).map_or(0, Vec::len));
        let config = lock(&self.0.config);
        config.as_ref().map(|config| config.clusters.keys().map(count).collect()).unwrap_or_default()
    }

    /// Shows how the clusters stand: those of this replica, and the other ones.
    pub(super) fn show_clusters(
        &self,
        kept: BTreeMap<String, ClusterStanding>,
        others: BTreeMap<String, ClusterStanding>,
    ) {
        self.0.board.show_clusters(kept, others);
    }

    /// What clusters of this replica answered when they were asked last.
    pub(super) fn cluster_answers(&self) -> BTreeMap<String, Answer> {
        let answer = |standing: ClusterStanding| match standing.state {
            ClusterState::Pending => None,
            ClusterState::Reachable => {
                Some((standing.name, Answer { last: Some(standing.version), trouble: None }))
            }
            ClusterState::Unreachable => {
                Some((standing.name, Answer { last: None, trouble: Some(standing.message) }))
            }
        };
        self.0.board.kept_clusters().into_iter().filter_map(answer).collect()
    }

    /// What could not be set up of a kind, and why.
    pub fn troubles(&self, kind: &str) -> BTreeMap<String, String> {
        let setup = self.0.setup();
        let of_kind = setup.troubles.iter().filter(|((of, _), _)| *of == kind);
        of_kind.map(|((_, name), why)| (name.clone(), why.clone())).collect()
    }

    /// A counter that moves with each change of a status.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.0.board.subscribe()
    }

    /// A connection to the cluster that trueup is at home in, whose requests are counted like all others.
    pub async fn connect_home(&self, access: &Access) -> Result<Cluster> {
        let metrics = self.0.metrics.clone();
        let counter = Arc::new(move |verb: &str, code: u16| metrics.kubernetes_request(verb, code));
        let fence = self.0.chosen.fence();
        Cluster::reach(&self.0.clusters, access, &fence, counter, Arc::new(|_| {})).await
    }

    /// Asks for a turn of each target, and gives a receiver a target that is told when the turn is over.
    pub fn ask_for_turns(&self, targets: &[String]) -> Vec<oneshot::Receiver<()>> {
        self.0.ask_for_turns(targets)
    }

    /// The next turn of each of these targets may delete beyond the budget what has that code.
    pub fn approve(&self, targets: &[String], code: &str) {
        self.0.approve(targets, code);
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

    pub(super) fn source(&self, source: &str) -> Option<Source> {
        let followed = lock(&self.0.repositories).source(source);
        let setup = self.0.setup();
        followed.or_else(|| setup.suspended.get(source).or_else(|| setup.idle.get(source)).cloned())
    }

    /// The commit that a target of a suspended repository stays at; none where the repository is not suspended.
    pub(super) async fn held(&self, spec: &TargetSpec) -> Result<Option<Arc<Commit>>> {
        let status = lock(&self.0.statuses).get(&spec.name).cloned().unwrap_or_default();
        self.0.held(spec, &status).await.map_err(anyhow::Error::msg)
    }

    /// Why a Cluster or Repository of the configuration is of no use.
    pub(super) fn trouble_of(&self, kind: &'static str, name: &str) -> String {
        let why = self.0.setup().troubles.get(&(kind, name.to_owned())).cloned();
        why.unwrap_or_else(|| format!("the {kind} {name} could not be set up"))
    }

    pub(super) fn cache(&self) -> &source::Cache {
        &self.0.cache
    }

    pub(super) fn bases(&self) -> &Bases {
        &self.0.bases
    }

    pub(super) fn charts(&self) -> &Charts {
        &self.0.charts
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    pub(super) fn parsed(&self) -> &render::Parsed {
        &self.0.parsed
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
            TargetState { ledger: self.0.store.ledger(&spec.name).await?.into(), ..TargetState::default() };
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

    /// A turn on an older commit is not worth finishing; one on the last that could be read is.
    fn repository_moved(&self, name: &str) {
        if self.is_generated_from(name) {
            self.generate_again();
        }
        let known = lock(&self.repositories).known(name);
        let newest = known.commit.filter(|_| known.trouble.is_none()).map(|commit| commit.revision.clone());
        for target in self.setup().of_source.get(name).into_iter().flatten() {
            if let Some(newest) = &newest
                && let Some(running) = lock(&self.turns).get(target)
                && running.revision.as_ref().is_some_and(|revision| revision != newest)
            {
                running.stop.cancel();
            }
            self.push(target, Trigger::Commit, Duration::ZERO);
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
                for target in self.setup().of_cluster.get(cluster).into_iter().flatten() {
                    self.push(target, Trigger::Configuration, Duration::ZERO);
                }
            }
        }
    }

    /// The next turn of each of these targets may delete beyond the budget what has that code.
    fn approve(&self, targets: &[String], code: &str) {
        lock(&self.approved).extend(targets.iter().map(|target| (target.clone(), code.to_owned())));
    }

    fn ask_for_turns(&self, targets: &[String]) -> Vec<oneshot::Receiver<()>> {
        targets
            .iter()
            .map(|target| {
                let (over, told) = oneshot::channel();
                let mut waiters = lock(&self.waiters);
                let waiting = waiters.entry(target.clone()).or_default();
                waiting.retain(|waiter| !waiter.is_closed());
                waiting.push(over);
                drop(waiters);
                self.push(target, Trigger::Manual, Duration::ZERO);
                told
            })
            .collect()
    }

    fn push(&self, target: &str, trigger: Trigger, delay: Duration) {
        let is_chosen = match &self.chosen {
            Chosen::All | Chosen::Shared(_) => true,
            Chosen::Only(targets) => targets.contains(target),
        };
        let setup = self.setup();
        if let Some(spec) = setup.targets.get(target).filter(|spec| is_chosen && self.works_on(&spec.cluster))
        {
            self.queue.push_after(target, &spec.cluster, trigger, delay);
        }
    }
}

//! Puts a configuration to work: clusters are connected, repositories followed, targets asked for.
//!
//! Enters: a configuration, and the setup of the one before. Leaves: a new [`Setup`]; what could not be set up is kept as a
//! trouble and tried again. Absent: deleting anything from a cluster because it left the configuration.

use super::super::bases::Configured;
use super::super::hooks::HookKey;
use super::super::pulls;
use super::super::repositories::{Follow, Hold};
use super::super::secrets::{self, Reading, Secrets};
use super::super::target::{TargetSpec, TargetState};
use super::super::topology;
use super::super::turn::base_status;
use super::{Chosen, Core, REPAIR, lock};
use crate::cluster::{Access, Cluster, ClusterEvent, Via};
use crate::config::{Config, Expanded, Reference, RepositorySpec};
use crate::source::Source;
use anyhow::{Context as _, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use trueup_plan::record::Trigger;

/// After how long what could not be set up is tried again at first; then after twice as long each time, up to [`REPAIR`].
const REPAIR_FIRST: Duration = Duration::from_secs(1);

/// A configuration, put to work.
#[derive(Clone, Default)]
pub(super) struct Setup {
    pub(super) targets: BTreeMap<String, Arc<TargetSpec>>,
    pub(super) clusters: BTreeMap<String, (Access, Cluster)>,
    /// Clusters that agents keep.
    pub(super) agents: BTreeSet<String>,
    /// Repositories that are not followed: their targets stay where they are.
    pub(super) suspended: BTreeMap<String, Source>,
    /// References of Apps that are not followed because no turns are made of those Apps.
    pub(super) idle: BTreeMap<String, Source>,
    /// Clusters and Repositories that could not be set up, and why.
    pub(super) troubles: BTreeMap<(&'static str, String), String>,
    /// The targets of each repository.
    pub(super) of_repository: BTreeMap<String, Vec<String>>,
    /// The targets of each source.
    pub(super) of_source: BTreeMap<String, Vec<String>>,
    /// The targets of each cluster.
    pub(super) of_cluster: BTreeMap<String, Vec<String>>,
    /// The targets that wait for one, by its name.
    pub(super) dependents: BTreeMap<String, Vec<String>>,
    /// The targets of each rollout, by App and environment.
    pub(super) rollouts: BTreeMap<(String, String), Vec<String>>,
}

impl Setup {
    fn index(&mut self) {
        for (name, spec) in &self.targets {
            self.of_repository.entry(spec.repository.clone()).or_default().push(name.clone());
            self.of_source.entry(spec.source.clone()).or_default().push(name.clone());
            self.of_cluster.entry(spec.cluster.clone()).or_default().push(name.clone());
            for first in &spec.depends_on {
                self.dependents.entry(first.clone()).or_default().push(name.clone());
            }
            if spec.rollout.is_some() {
                let of = (spec.app.clone(), spec.environment.clone());
                self.rollouts.entry(of).or_default().push(name.clone());
            }
        }
    }
}

/// A Repository that is deleted together with its Apps still says whose their records are.
fn with_repository(spec: TargetSpec, before: Option<&Arc<TargetSpec>>) -> TargetSpec {
    match before {
        Some(before) if spec.is_leaving() && spec.repository_url.is_empty() => {
            TargetSpec { repository_url: before.repository_url.clone(), ..spec }
        }
        Some(_) | None => spec,
    }
}

impl Core {
    /// Puts a configuration to work as it is written, with the Apps that its AppSets have made so far.
    pub(super) async fn configure(self: &Arc<Self>, written: &Config) -> Result<()> {
        let _one_at_a_time = self.configuring.lock().await;
        let made = match &self.chosen {
            // A command that works alone has asked for itself, and leaves what is remembered to those that follow.
            Chosen::Only(_) => BTreeMap::new(),
            Chosen::All | Chosen::Shared(_) => self.app_sets.made(written).await,
        };
        let Expanded { config, misfits, leaving } = written.with_made(&made, &self.app_sets.before());
        let config = &config;
        self.app_sets.note(misfits);
        let targets = config.targets().iter().chain(config.leaving()).cloned().collect();
        self.app_sets.parts_with(leaving, targets);
        self.board.show_app_sets(self.app_sets.standings());
        let old = self.setup();
        let mut setup = Setup::default();
        let secrets = self.secrets(config, &old).await;
        self.connect_all(config, &secrets, &old, &mut setup).await;
        self.listen(config, written, &secrets, &mut setup).await;
        let (follow, mut configured) = self.sources(config, &secrets, &mut setup).await;
        setup.troubles.extend(self.follow_pulls(written, &secrets).await);
        let charts = topology::charts(config, &secrets).await;
        for (target, wanted) in &charts {
            match wanted {
                Ok(wanted) => {
                    let name = format!("chart of {target}");
                    drop(configured.insert(name, Configured::of_charts(wanted)));
                }
                Err(why) => drop(setup.troubles.insert(("Chart", target.clone()), why.clone())),
            }
        }
        self.seat_agents(config, &secrets, &mut setup).await;
        let Reading { data, stale, .. } = secrets.into_reading();
        *lock(&self.secrets) = data;
        for ((namespace, name), why) in stale {
            setup.troubles.insert(("Secret", format!("{namespace}/{name}")), why);
        }
        self.bases.configure(configured);
        self.charts.configure(charts);
        let spec = |(name, spec): (String, TargetSpec)| {
            let before = old.targets.get(&name);
            (name, Arc::new(with_repository(spec, before)))
        };
        setup.targets = topology::targets(config).into_iter().map(spec).collect();
        setup.index();
        self.put_to_work(&old, Arc::new(setup), follow).await;
        let news = |(part, why): &(&(&'static str, String), &String)| old.troubles.get(*part) != Some(*why);
        for ((kind, name), why) in self.setup().troubles.iter().filter(news) {
            tracing::warn!(kind, name, error = why, "part of the configuration does not work yet");
        }
        if let Some(recorder) = &self.recorder {
            recorder.configuration(config);
        }
        *lock(&self.config) = Some(written.clone());
        self.generate_again();
        Ok(())
    }

    /// What is followed, and what of it is configured as a repository that bases may be on the server of.
    async fn sources(
        &self,
        config: &Config,
        secrets: &Secrets,
        setup: &mut Setup,
    ) -> (Vec<Follow>, BTreeMap<String, Configured>) {
        let (mut follow, mut configured) = (Vec::new(), BTreeMap::new());
        for (name, repository) in &config.sources() {
            let followed = self.follow(name, repository, secrets).await;
            let is_plain = config.repositories.contains_key(name);
            // What a base is on the server of is the same for each reference.
            if let Ok(one) = &followed
                && is_plain
            {
                configured.insert(name.clone(), Configured::of(one));
            }
            match followed {
                Ok(one) if one.hold == Hold::Stays => {
                    drop(setup.suspended.insert(name.clone(), one.source));
                }
                Ok(one) if is_plain || self.has_use_for(config, name) => follow.push(one),
                Ok(one) => drop(setup.idle.insert(name.clone(), one.source)),
                Err(error) => drop(setup.troubles.insert(("Repository", name.clone()), format!("{error:#}"))),
            }
        }
        (follow, configured)
    }

    /// Whether turns are made of a source's targets: a command for a few of them does not fetch a commit for each preview.
    fn has_use_for(&self, config: &Config, source: &str) -> bool {
        match &self.chosen {
            Chosen::All | Chosen::Shared(_) => true,
            Chosen::Only(targets) => {
                let mut made_from = config.targets().iter().filter(|target| target.source() == source);
                made_from.any(|target| targets.contains(&target.name))
            }
        }
    }

    /// Says what there is that webhooks may tell of.
    async fn listen(&self, config: &Config, written: &Config, secrets: &Secrets, setup: &mut Setup) {
        let mut hooks = Vec::new();
        for (name, repository) in &config.sources() {
            let is_derived = !config.repositories.contains_key(name);
            if is_derived && matches!(repository.reference, Some(Reference::Commit(_))) {
                // No push moves it.
                continue;
            }
            let hook = topology::hook(name, repository, secrets).await;
            if let HookKey::Unreadable(why) = &hook.key
                && !is_derived
            {
                setup.troubles.insert(("Webhook", name.clone()), why.clone());
            }
            hooks.push(hook);
        }
        for (name, set) in written.app_sets.iter().filter(|(_, set)| !set.spec.suspend) {
            for (place, requests) in set.spec.pull_requests() {
                let hook = topology::pull_hook(name, &place, requests, secrets).await;
                if let HookKey::Unreadable(why) = &hook.key {
                    setup.troubles.insert(("Webhook of AppSet", name.clone()), why.clone());
                }
                hooks.push(hook);
            }
        }
        self.board.listen(hooks);
    }

    /// Connects the clusters that are reached from here.
    async fn connect_all(
        self: &Arc<Self>,
        config: &Config,
        secrets: &Secrets,
        old: &Setup,
        setup: &mut Setup,
    ) {
        for (name, _) in config.clusters.iter().filter(|(_, cluster)| cluster.spec.agent.is_none()) {
            match self.cluster(config, name, secrets, old).await {
                Ok(cluster) => drop(setup.clusters.insert(name.clone(), cluster)),
                Err(error) => drop(setup.troubles.insert(("Cluster", name.clone()), format!("{error:#}"))),
            }
        }
    }

    /// Follows the pull requests that AppSets ask for; gives why some cannot be.
    async fn follow_pulls(
        &self,
        written: &Config,
        secrets: &Secrets,
    ) -> BTreeMap<(&'static str, String), String> {
        let wanted = pulls::wanted(written, secrets).await;
        let trouble = |((set, place), follow): &((String, String), Result<_, String>)| {
            let why = follow.as_ref().err()?;
            Some((("AppSet", set.clone()), format!("{place}: {why}")))
        };
        let troubles = wanted.iter().filter_map(trouble).collect();
        let mut followed = lock(&self.pulls);
        followed.remember(self.app_sets.remembered(written));
        followed.follow(wanted);
        troubles
    }

    /// Tries again, now and then, to set up what could not be set up.
    pub(super) async fn repair(self: Arc<Self>) {
        let mut pause = REPAIR_FIRST;
        loop {
            let is_whole = self.setup().troubles.is_empty();
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                () = self.broken.notified(), if is_whole => {
                    pause = REPAIR_FIRST;
                    continue;
                }
                () = tokio::time::sleep(pause), if !is_whole => {}
            }
            let Some(config) = lock(&self.config).clone() else { continue };
            pause = (pause * 2).min(REPAIR);
            if let Err(error) = self.configure(&config).await {
                tracing::warn!(error = format!("{error:#}"), "the configuration could not be put to work");
            }
        }
    }

    async fn put_to_work(self: &Arc<Self>, old: &Setup, setup: Arc<Setup>, follow: Vec<Follow>) {
        let set = |spec: &Arc<TargetSpec>| ((spec.cluster.clone(), spec.set()), spec.name.clone());
        let sets = setup.targets.values().map(set).collect();
        self.directory.configure(sets);
        self.rollouts.retain(|app, environment| {
            setup.rollouts.contains_key(&(app.to_owned(), environment.to_owned()))
        });
        *self.setup.write().unwrap_or_else(PoisonError::into_inner) = setup.clone();
        if !setup.troubles.is_empty() {
            self.broken.notify_one();
        }
        self.queue.retain(|target| setup.targets.contains_key(target));
        let place = |spec: &Arc<TargetSpec>| (spec.cluster.clone(), spec.set());
        // A target that moved is looked for again: what it left behind is found by its parent.
        lock(&self.states).retain(|target, _| {
            setup
                .targets
                .get(target)
                .is_some_and(|new| old.targets.get(target).map(place) == Some(place(new)))
        });
        self.begin_to_leave(old, &setup);
        self.bases.retain(|target| setup.targets.contains_key(target));
        lock(&self.wishes).retain(|target, _| setup.targets.contains_key(target));
        lock(&self.asked).retain(|target, _| setup.targets.contains_key(target));
        self.board.configure(setup.targets.keys().cloned());
        self.show_part(&setup);
        self.match_heard(&setup);
        self.forget(old, &setup).await;
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
        // What the cluster said of itself may have come before there was anybody to look at it for the target.
        let is_reached_now = |spec: &TargetSpec| {
            setup.clusters.contains_key(&spec.cluster) && !old.clusters.contains_key(&spec.cluster)
        };
        for (name, spec) in &setup.targets {
            let is_new = old.targets.get(name) != Some(spec) || is_reached_now(spec);
            if is_new || !setup.troubles.is_empty() {
                self.push(name, Trigger::Configuration, Duration::ZERO);
            }
        }
    }

    /// What a target still applies when its App is deleted would have to be pruned again, and the other way round.
    fn begin_to_leave(&self, old: &Setup, setup: &Setup) {
        let is_leaving =
            |setup: &Setup, name: &String| setup.targets.get(name).is_some_and(|target| target.is_leaving());
        let stays_leaving = |name: &String| is_leaving(old, name) && is_leaving(setup, name);
        lock(&self.departures).retain(|name, _| stays_leaving(name));
        for (name, running) in &*lock(&self.turns) {
            if is_leaving(setup, name) != is_leaving(old, name) {
                running.stop.cancel();
            }
        }
    }

    /// Forgets what is no longer configured, also what left while no trueup ran.
    async fn forget(&self, old: &Setup, setup: &Setup) {
        let known: Vec<String> = lock(&self.statuses).keys().cloned().collect();
        for name in known.iter().filter(|name| !setup.targets.contains_key(*name)) {
            let app = lock(&self.statuses).get(name).map(|status| status.app.clone()).unwrap_or_default();
            if self.app_sets.is_leaving(&app) {
                tracing::info!(target = name, "whether the target's App is still meant to go is looked for");
            } else if old.targets.get(name).is_some_and(|target| target.is_leaving()) {
                tracing::info!(target = name, "the target is gone with its App");
            } else {
                tracing::info!(
                    target = name,
                    "the target is no longer configured; its objects stay as they are"
                );
            }
            lock(&self.statuses).remove(name);
            lock(&self.turned).remove(name);
            lock(&self.waiters).remove(name);
            if let Err(error) = self.store.forget(name).await {
                tracing::warn!(target = name, error = format!("{error:#}"), "the store still has the target");
            }
        }
    }

    /// The Secrets that the configuration refers to, and what they said last.
    pub(super) async fn secrets(self: &Arc<Self>, config: &Config, old: &Setup) -> Secrets {
        if let Some(given) = &*lock(&self.given) {
            return Secrets::given(given.clone());
        }
        let home = self.home(config, old).await;
        let before = lock(&self.secrets).clone();
        Secrets::new(home, before)
    }

    /// The cluster whose Secrets the configuration refers to: the one that trueup runs in, or the only one there is.
    async fn home(self: &Arc<Self>, config: &Config, old: &Setup) -> Result<Cluster, String> {
        let home = secrets::home(config)?;
        let via = self.home.clone().unwrap_or(Via::InCluster);
        let in_cluster = Access { name: "in-cluster".to_owned(), via, in_flight: None };
        if let Ok(cluster) = self.connect(&in_cluster).await {
            return Ok(cluster);
        }
        let name = home.name()?;
        let nothing = Secrets::none("it would be needed to reach itself");
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
        let mut access = topology::access(config, name, secrets).await?;
        if let (Via::InCluster, Some(home)) = (&access.via, &self.home) {
            access.via = home.clone();
        }
        if let Some((same, cluster)) = old.clusters.get(name)
            && *same == access
        {
            return Ok((access, cluster.clone()));
        }
        let cluster = self.connect(&access).await?;
        Ok((access, cluster))
    }

    pub(super) async fn connect(self: &Arc<Self>, access: &Access) -> Result<Cluster> {
        let metrics = self.metrics.clone();
        let counter = Arc::new(move |verb: &str, code: u16| metrics.kubernetes_request(verb, code));
        let (core, name) = (Arc::downgrade(self), access.name.clone());
        let listener = Arc::new(move |event: ClusterEvent| {
            if let Some(core) = core.upgrade() {
                core.cluster_changed(&name, &event);
            }
        });
        Cluster::reach(&self.clusters, access, &self.chosen.fence(), counter, listener).await
    }

    async fn follow(&self, name: &str, repository: &RepositorySpec, secrets: &Secrets) -> Result<Follow> {
        let spec = topology::source_of(name, repository, secrets).await?;
        let hold = if repository.suspend { Hold::Stays } else { Hold::Moves };
        let follow = Follow::new(name, spec, repository.interval, &self.cache);
        follow.map(|follow| Follow { hold, ..follow }).with_context(|| format!("Repository {name}"))
    }
}

//! The engine's part of what several replicas share: clusters come and go, and targets of the others are known by what these say.
//!
//! Enters: shards that are taken and let go of, and what other replicas tell. Leaves: turns of the targets of those clusters, or the
//! end of them. A cluster that comes is looked at as if this process had just been started: what was remembered of it is older than what
//! another one did there since, and before its first turn the configuration and the repositories are asked anew: this process may have
//! slept, and what it takes for the newest commit may be older than what is applied. Absent: who has what, which is settled in `sync::replicas`.

use super::super::replicas::{Shard, Share, Told};
use super::super::target::TargetSpec;
use super::super::view::ClusterStanding;
use super::setup::Setup;
use super::{Chosen, Core, Engine, lock};
use crate::cluster::{Cluster, Fence};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::{RwLockReadGuard, watch};
use tokio::time::Instant;
use trueup_plan::record::Trigger;

/// How soon is looked again whether all is known that a first turn needs.
const UNREAD: Duration = Duration::from_millis(100);
/// How often is looked whether the turns of what is let go of are over.
const OVER_YET: Duration = Duration::from_millis(20);
/// How soon is looked again whether turns may be made.
const FENCED: Duration = Duration::from_secs(1);

impl Engine {
    /// Has these shards from now on: nobody else works with their clusters.
    pub(in crate::sync) async fn take_over(&self, shards: &BTreeSet<Shard>) {
        self.0.take_over(shards).await;
    }

    /// Has these shards no more. Returns when nothing of theirs is under way.
    pub(in crate::sync) async fn let_go(&self, shards: &BTreeSet<Shard>) {
        self.0.clone().let_go(shards).await;
    }

    /// Takes in what another replica tells of targets that it keeps as far as `table` says so.
    pub(in crate::sync) fn told(&self, replica: &str, table: &BTreeMap<Shard, String>, told: Vec<Told>) {
        let setup = self.0.setup();
        for told in told {
            self.0.told(&setup, replica, table, told);
        }
        let now = self.0.setup();
        if !Arc::ptr_eq(&now, &setup) {
            self.0.place_heard(&now);
        }
    }

    /// Takes in what another replica tells of clusters that it has.
    pub(in crate::sync) fn told_of_clusters(&self, told: Vec<ClusterStanding>) {
        self.0.board.hear_of_clusters(told);
    }

    /// Whether something of this name is this replica's part; for as long as what is given is held it stays so.
    pub(in crate::sync) async fn hold(&self, name: &str) -> Option<Held<'_>> {
        match &self.0.chosen {
            Chosen::Shared(share) => share.hold(name).await.map(|gate| Held { _gate: Some(gate) }),
            Chosen::All | Chosen::Only(_) => Some(Held { _gate: None }),
        }
    }

    /// Whether a cluster is this replica's part.
    pub(in crate::sync) fn has_cluster(&self, name: &str) -> bool {
        self.0.has(name)
    }

    /// The name of the installation that this process is of.
    pub(in crate::sync) fn installation(&self) -> String {
        lock(&self.0.installation).clone()
    }

    /// Is of this installation, as the other replicas are.
    pub(in crate::sync) fn is_of(&self, installation: &str) {
        installation.clone_into(&mut lock(&self.0.installation));
    }

    /// A number that moves when the configuration has to be read anew.
    pub(in crate::sync) fn doubts(&self) -> watch::Receiver<u64> {
        self.0.doubts.subscribe()
    }

    /// The configuration at work was read after the doubt of this number.
    pub(in crate::sync) fn is_configured_since(&self, doubt: u64) {
        self.0.configured.fetch_max(doubt, Ordering::SeqCst);
    }

    /// Says why this replica keeps nothing at present, if that is so.
    pub(in crate::sync) fn says_of_its_part(&self, why: Option<String>) {
        self.0.board.idle(why);
    }
}

/// When a shard was taken.
#[derive(Clone, Copy)]
pub(super) struct Taken {
    at: Instant,
    /// The doubt about the configuration that came with it.
    doubt: u64,
}

/// That something is this replica's part.
pub(in crate::sync) struct Held<'s> {
    _gate: Option<RwLockReadGuard<'s, ()>>,
}

impl Chosen {
    pub(super) fn fence(&self) -> Fence {
        match self {
            Self::Shared(share) => share.fence().clone(),
            Self::All | Self::Only(_) => Fence::open(),
        }
    }

    fn share(&self) -> Option<&Share> {
        match self {
            Self::Shared(share) => Some(share),
            Self::All | Self::Only(_) => None,
        }
    }
}

impl Core {
    /// Whether a cluster is this replica's part.
    pub(super) fn has(&self, cluster: &str) -> bool {
        self.chosen.share().is_none_or(|share| share.has(cluster))
    }

    /// When a turn may be tried again that may not be made now; nothing where it may.
    pub(super) fn not_yet(&self, target: &str) -> Option<Duration> {
        let share = self.chosen.share()?;
        if share.fence().left().is_none() {
            return Some(FENCED);
        }
        let spec = self.setup().targets.get(target).cloned()?;
        self.is_unread(&spec).then_some(UNREAD)
    }

    /// Whether all was read anew that a target needs whose cluster another replica kept until lately. Where a repository cannot be
    /// read, a turn says so.
    fn is_unread(&self, spec: &TargetSpec) -> bool {
        let Some(taken) = self.taken(spec) else { return false };
        let known = lock(&self.repositories).known(&spec.source);
        self.configured.load(Ordering::SeqCst) < taken.doubt
            || known.commit.is_some() && known.trouble.is_none() && known.looked < Some(taken.at)
    }

    /// Whether the commit that is known of a repository may be older than what another replica applied.
    pub(super) fn may_be_old(&self, spec: &TargetSpec, looked: Option<Instant>) -> bool {
        self.taken(spec).is_some_and(|taken| looked < Some(taken.at))
    }

    /// Whether another replica may have kept the target before.
    pub(super) fn was_taken(&self, spec: &TargetSpec) -> bool {
        self.taken(spec).is_some()
    }

    fn taken(&self, spec: &TargetSpec) -> Option<Taken> {
        lock(&self.taken).get(&Shard::of(&spec.cluster)).copied()
    }

    /// The targets of a setup that are this replica's part.
    pub(super) fn show_part(&self, setup: &Setup) {
        if let Some(share) = self.chosen.share() {
            let held = share.held();
            let ours = setup.targets.values().filter(|spec| held.contains(&Shard::of(&spec.cluster)));
            self.board.keep(ours.map(|spec| spec.name.clone()).collect());
        }
    }

    async fn take_over(&self, shards: &BTreeSet<Shard>) {
        let Some(share) = self.chosen.share() else { return };
        let setup = self.setup();
        for (name, (_, cluster)) in &setup.clusters {
            if shards.contains(&Shard::of(name)) {
                cluster.succeed().await;
            }
        }
        let mut doubt = 0;
        self.doubts.send_modify(|number| {
            *number += 1;
            doubt = *number;
        });
        let taken = Taken { at: Instant::now(), doubt };
        lock(&self.taken).extend(shards.iter().map(|shard| (*shard, taken)));
        lock(&self.repositories).poke();
        self.bases.poke();
        self.charts.poke();
        share.take(shards);
        self.board.agents().begin_anew(|cluster| shards.contains(&Shard::of(cluster)));
        self.show_part(&setup);
        for spec in setup.targets.values().filter(|spec| shards.contains(&Shard::of(&spec.cluster))) {
            lock(&self.turned).remove(&spec.name);
            self.push(&spec.name, Trigger::Configuration, Duration::ZERO);
        }
    }

    async fn let_go(self: Arc<Self>, shards: &BTreeSet<Shard>) {
        let Some(share) = self.chosen.share() else { return };
        share.give_up(shards).await;
        // Who begins a turn notes it first and then looks whether the target is his.
        loop {
            let under_way = {
                let setup = self.setup();
                let turns = lock(&self.turns);
                let theirs = |name: &String| {
                    setup.targets.get(name).is_none_or(|spec| shards.contains(&Shard::of(&spec.cluster)))
                };
                let mut theirs = turns.iter().filter(|(name, _)| theirs(name)).peekable();
                let some = theirs.peek().is_some();
                theirs.for_each(|(_, running)| running.stop.cancel());
                some
            };
            if !under_way {
                break;
            }
            tokio::time::sleep(OVER_YET).await;
        }
        let _one_at_a_time = self.configuring.lock().await;
        let setup = self.setup();
        let mut next = Setup::clone(&setup);
        for spec in setup.targets.values().filter(|spec| shards.contains(&Shard::of(&spec.cluster))) {
            lock(&self.states).remove(&spec.name);
            lock(&self.turned).remove(&spec.name);
            lock(&self.approved).remove(&spec.name);
            lock(&self.departures).remove(&spec.name);
            lock(&self.waiters).remove(&spec.name);
            self.directory.forget(&spec.name);
        }
        let is_theirs = |name: &str| shards.contains(&Shard::of(name));
        self.queue.retain(|name| setup.targets.get(name).is_some_and(|spec| !is_theirs(&spec.cluster)));
        // What is watched of their clusters is for others to watch.
        let watched = |cluster: &Cluster| !cluster.is_new();
        let theirs = setup.clusters.iter().filter(|(name, (_, cluster))| is_theirs(name) && watched(cluster));
        for (name, (access, cluster)) in theirs {
            match self.connect(access).await {
                Ok(fresh) => {
                    next.clusters.insert(name.clone(), (access.clone(), fresh));
                    cluster.stop();
                }
                Err(error) => {
                    tracing::warn!(cluster = name, error = format!("{error:#}"), "it goes on being watched");
                }
            }
        }
        *self.setup.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
        self.show_part(&self.setup());
    }

    fn told(&self, setup: &Setup, replica: &str, table: &BTreeMap<Shard, String>, told: Told) {
        let spec = setup.targets.get(&told.status.target).cloned();
        if spec.as_ref().is_some_and(|spec| self.has(&spec.cluster)) {
            return;
        }
        let is_theirs = |spec: &Arc<TargetSpec>| {
            table.get(&Shard::of(&spec.cluster)).is_some_and(|keeper| keeper == replica)
        };
        let Some(spec) = spec.filter(is_theirs) else {
            // They are ahead with the configuration or the table, and say it once.
            lock(&self.unplaced).insert(told.status.target.clone(), (replica.to_owned(), told));
            return;
        };
        self.heard_of(&spec, told);
    }

    /// What is said of a target by whoever keeps it.
    pub(super) fn heard_of(&self, spec: &Arc<TargetSpec>, told: Told) {
        lock(&self.unplaced).remove(&spec.name);
        let Told { status, of } = told;
        if !of.is_empty() && of == digest(spec) {
            lock(&self.turned).insert(spec.name.clone(), spec.clone());
        } else {
            lock(&self.turned).remove(&spec.name);
        }
        lock(&self.heard).insert(spec.name.clone(), of);
        let before = lock(&self.statuses).get(&spec.name).cloned();
        self.show(status.clone());
        self.spread(spec, before.as_ref(), &status);
    }

    /// What is whose is known anew, or the configuration: what could not be placed may have its place now.
    pub(super) fn place_heard(&self, setup: &Setup) {
        let Some(share) = self.chosen.share() else { return };
        let table = share.others().borrow().table.clone();
        let unplaced = std::mem::take(&mut *lock(&self.unplaced));
        for (replica, told) in unplaced.into_values() {
            if table.values().any(|keeper| *keeper == replica) {
                self.told(setup, &replica, &table, told);
            }
        }
    }

    /// The configuration is another one: what was heard of a target may be about just that.
    pub(super) fn match_heard(&self, setup: &Setup) {
        self.place_heard(setup);
        let mut heard = lock(&self.heard);
        heard.retain(|name, _| setup.targets.contains_key(name));
        for (name, of) in heard.iter().filter(|(_, of)| !of.is_empty()) {
            if let Some(spec) = setup.targets.get(name)
                && !self.works_on(&spec.cluster)
                && lock(&self.turned).get(name) != Some(spec)
                && *of == digest(spec)
            {
                lock(&self.turned).insert(name.clone(), spec.clone());
            }
        }
    }

    /// A target had a turn by what the configuration says of it.
    pub(super) fn note_turn(&self, spec: Arc<TargetSpec>) {
        if self.chosen.share().is_some() {
            self.board.turned(&spec.name, digest(&spec));
        }
        lock(&self.turned).insert(spec.name.clone(), spec);
    }
}

/// A hash of what the configuration says of a target: the same in each replica of a version.
fn digest(spec: &TargetSpec) -> String {
    let digest = Sha256::digest(format!("{spec:?}").as_bytes());
    digest.iter().take(8).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

//! Runs one turn of one target: what is known is loaded, the stages run, the record is kept and told.
//!
//! Enters: a target that is due. Leaves: its status on the board, its record in the store, an Event and a metric, and when to
//! look again. Absent: the stages themselves, which are in `sync::turn`.

use super::super::leave::Progress;
use super::super::queue::Due;
use super::super::repositories::chain;
use super::super::target::{TargetSpec, TargetState};
use super::super::turn::{Context, Turned, Uncommitted, base_status, turn, waits_until};
use super::super::{deletions, hooked, membership};
use super::{Core, Leave, Memory, REPAIR, Running, lock};
use crate::ambient;
use crate::cluster::{Cluster, EventKind, Parent};
use crate::config::custom::Departure;
use crate::source::Commit;
use crate::store::LedgerChange;
use crate::web::metrics::Ended;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use trueup_plan::budget::Approval;
use trueup_plan::health::HealthStatus;
use trueup_plan::hooks::Run;
use trueup_plan::record::{HistoryEntry, OutcomeResult, Parting, Record, SyncStatus, TargetStatus, Trigger};

/// When what the store did not take is given to it again.
const KEEP_AGAIN: Duration = Duration::from_secs(30);

impl Core {
    pub(super) async fn take(self: Arc<Self>, due: Due) {
        if let Some(again) = self.not_yet(&due.target) {
            self.queue.done(&due.target);
            self.push(&due.target, due.trigger, again);
            return;
        }
        self.metrics.queue_depth(i64::try_from(self.queue.depth()).unwrap_or(i64::MAX));
        self.metrics.queue_wait(due.waited);
        let stop = self.stop.child_token();
        lock(&self.turns).insert(due.target.clone(), Running { stop: stop.clone(), revision: None });
        let waiters = lock(&self.waiters).remove(&due.target).unwrap_or_default();
        let spec = self.setup().targets.get(&due.target).cloned();
        if let Some(spec) = spec.filter(|spec| self.works_on(&spec.cluster)) {
            let core = self.clone();
            let (ended, looked_at) = (stop.clone(), spec.clone());
            let turn = tokio::spawn(async move { core.turn(&spec, due.trigger, &stop).await });
            let is_known = turn.await;
            if let Err(panic) = &is_known {
                tracing::error!(target = due.target, %panic, "the turn ended unexpectedly; the next begins afresh");
                lock(&self.states).remove(&due.target);
                self.push(&due.target, Trigger::Retry, REPAIR);
            } else if ended.is_cancelled() && due.trigger == Trigger::Manual {
                // What a person asked for holds for the newer commit, too.
                self.push(&due.target, Trigger::Manual, Duration::ZERO);
            } else if !ended.is_cancelled() && matches!(is_known, Ok(true)) {
                self.note_turn(looked_at);
            }
        }
        lock(&self.turns).remove(&due.target);
        self.queue.done(&due.target);
        for waiter in waiters {
            let _ = waiter.send(());
        }
    }

    /// Runs a turn; says whether it found out how the target stands.
    async fn turn(
        self: &Arc<Self>,
        spec: &Arc<TargetSpec>,
        trigger: Trigger,
        stop: &CancellationToken,
    ) -> bool {
        let memory = lock(&self.states).entry(spec.name.clone()).or_default().clone();
        let mut memory = memory.lock().await;
        let setup = self.setup();
        let Some((_, cluster)) = setup.clusters.get(&spec.cluster) else {
            let why = setup.troubles.get(&("Cluster", spec.cluster.clone())).cloned().unwrap_or_default();
            self.departs(spec, Progress::OutOfReach(why.clone()));
            self.trouble(spec, &memory.state, why);
            return true;
        };
        if let Err(why) = self.recall(spec, cluster, &mut memory).await {
            self.departs(spec, Progress::OutOfReach(why.clone()));
            self.trouble(spec, &memory.state, why);
            self.push(&spec.name, Trigger::Retry, Duration::from_secs(3));
            return true;
        }
        if let Some(code) = lock(&self.approved).remove(&spec.name) {
            memory.state.approval = Some(Approval::Code(code));
        }
        let (commit, trouble) = self.commit(spec, &mut memory).await;
        let revision = commit.as_ref().ok().map(|commit| commit.revision.clone());
        let context = Context {
            cluster,
            commit,
            repository_trouble: trouble,
            bases: &self.bases,
            charts: &self.charts,
            beside: &|| self.paths_of(&spec.source),
            directory: &self.directory,
            waits_for: self.waits_for(spec, revision.as_deref()),
            is_leaving: &|name| setup.targets.get(name).is_some_and(|target| target.is_leaving()),
            begin: &|revision| self.begin(spec, revision),
            delete: &|objects| self.delete(spec, objects),
            metrics: &self.metrics,
            parsed: &self.parsed,
            mask: &self.mask,
            stop,
            show: &|status| self.show(status),
        };
        let (before, ledger) = (memory.state.status.clone(), memory.state.ledger.clone());
        let turned = turn(&context, spec, &mut memory.state, trigger).await;
        let change = if Arc::ptr_eq(&ledger, &memory.state.ledger) {
            LedgerChange::default()
        } else {
            LedgerChange::between(&ledger, &memory.state.ledger)
        };
        let parent = memory.state.parent.clone();
        let is_news = !memory.kept
            || turned.record.history.is_some()
            || turned.record.status != before
            || turned.record.drift != memory.drift
            || !change.is_empty();
        // After a start the record goes on saying how the target stood, until more is known.
        let is_early = turned.is_early;
        let news = (is_news && !is_early).then_some(change);
        memory.drift.clone_from(&turned.record.drift);
        let kept = self.record(spec, cluster, turned, news, parent).await;
        if !kept {
            self.push(&spec.name, Trigger::Timer, KEEP_AGAIN);
        }
        memory.kept = kept && (memory.kept || !is_early);
        !is_early
    }

    /// Where the targets of a source are rendered from.
    fn paths_of(&self, source: &str) -> BTreeSet<String> {
        let setup = self.setup();
        let names = setup.of_source.get(source).into_iter().flatten();
        names.filter_map(|name| setup.targets.get(name)).flat_map(|spec| spec.request.roots()).collect()
    }

    /// The commit that the target should be at, or why there is none; and what is wrong with its repository.
    async fn commit(
        &self,
        spec: &TargetSpec,
        memory: &mut Memory,
    ) -> (Result<Arc<Commit>, Uncommitted>, Option<String>) {
        let known = {
            // Together, so that a commit that comes now either is seen here or sees this turn.
            let mut turns = lock(&self.turns);
            let known = lock(&self.repositories).known(&spec.source);
            if let Some(running) = turns.get_mut(&spec.name) {
                running.revision = known.commit.as_ref().map(|commit| commit.revision.clone());
            }
            known
        };
        let configured = self.setup().troubles.get(&("Repository", spec.source.clone())).cloned();
        let trouble = known.trouble.map(|trouble| format!("repository {}: {trouble}", spec.source));
        let trouble = trouble.or(configured);
        if let Some(commit) = known.commit {
            if self.may_be_old(spec, known.looked) {
                let again =
                    || Uncommitted::Unread(format!("repository {} has not been read again yet", spec.source));
                return (Err(trouble.clone().map_or_else(again, Uncommitted::Trouble)), trouble);
            }
            return (Ok(commit), trouble);
        }
        if memory.held.is_none() {
            match self.held(spec, &memory.state.status).await {
                Ok(held) => memory.held = held,
                Err(why) => return (Err(Uncommitted::Trouble(why)), trouble),
            }
        }
        if let (None, Some(_)) = (&memory.held, &trouble)
            && let Some(commit) = self.last_rendered(spec, &memory.state.status).await
        {
            return (Ok(commit), trouble);
        }
        let unread = || Uncommitted::Unread(format!("repository {} has not been read yet", spec.source));
        let missing = || trouble.clone().map_or_else(unread, Uncommitted::Trouble);
        (memory.held.clone().ok_or_else(missing), trouble)
    }

    /// The commit that a target stays at whose App names a reference that cannot be read: the one that was rendered last.
    async fn last_rendered(&self, spec: &TargetSpec, status: &TargetStatus) -> Option<Arc<Commit>> {
        if spec.source == spec.repository {
            return None;
        }
        let source = lock(&self.repositories).source(&spec.source)?;
        source.kept(last_seen(status)?).await.ok().flatten().map(Arc::new)
    }

    /// The commit that a target of a suspended repository was last seen at; none where the repository is not suspended.
    pub(super) async fn held(
        &self,
        spec: &TargetSpec,
        status: &TargetStatus,
    ) -> Result<Option<Arc<Commit>>, String> {
        let Some(source) = self.setup().suspended.get(&spec.source).cloned() else { return Ok(None) };
        let Some(revision) = last_seen(status) else {
            return Err(format!(
                "repository {} is suspended, and no commit of it was ever applied",
                spec.source
            ));
        };
        let commit = source.commit_at(revision).await;
        commit.map(|commit| Some(Arc::new(commit))).map_err(|error| {
            format!("repository {} is suspended at {revision}: {}", spec.source, chain(&error))
        })
    }

    async fn keep(&self, record: Record, change: LedgerChange) -> bool {
        let target = record.status.target.clone();
        match self.store.save(record, change).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(target, error = format!("{error:#}"), "the record could not be kept");
                false
            }
        }
    }

    /// What a target waits for before it begins with a commit, or before it is pruned.
    fn waits_for(&self, spec: &TargetSpec, revision: Option<&str>) -> Option<String> {
        let setup = self.setup();
        if spec.is_leaving() {
            let is_gone = |name: &String| {
                matches!(self.departure(name), Some(Departure::Gone { .. }))
                    || !setup.targets.contains_key(name)
            };
            let needs_it = spec.depends_on.iter().find(|name| !is_gone(name));
            let needs_it = needs_it.map(|first| format!("waits until {first} is gone, which needs it"));
            return needs_it.or_else(|| {
                let heir = self.unseen_heir(spec)?;
                Some(format!("waits until it is known whether {heir} wants any of it"))
            });
        }
        // One of the same source is first when it is settled at the same commit.
        let statuses = lock(&self.statuses);
        let settled = |name: &&String| {
            let Some(other) = setup.targets.get(*name).filter(|other| !other.is_leaving()) else {
                return false;
            };
            let together = other.source == spec.source;
            let is_there = |status: &TargetStatus| !together || Some(status.revision.as_str()) == revision;
            statuses.get(*name).is_some_and(|status| status.is_settled() && is_there(status))
        };
        spec.depends_on.iter().find(|name| !settled(name)).map(|first| {
            if setup.targets.contains_key(first) {
                waits_until(first)
            } else {
                format!("waits for {first}, which no AppSet makes")
            }
        })
    }

    /// Sees to it that what was read earlier is there, and that the cluster's part of it still holds.
    async fn recall(&self, spec: &TargetSpec, cluster: &Cluster, memory: &mut Memory) -> Result<(), String> {
        let breaks = cluster.breaks();
        if !memory.loaded {
            self.load(spec, cluster, &mut memory.state).await?;
        } else if memory.breaks != breaks {
            // All is looked at, and before that the target's records.
            (memory.state.calm, memory.state.confirmed) = (None, None);
        }
        (memory.loaded, memory.breaks) = (true, breaks);
        Ok(())
    }

    /// What the store and the cluster know of a target that this process has not looked at before.
    async fn load(
        &self,
        spec: &TargetSpec,
        cluster: &Cluster,
        state: &mut TargetState,
    ) -> Result<(), String> {
        // What the store has may be from before another replica kept it: an apply of what that one applied would be one too many.
        if !self.was_taken(spec) {
            let ledger = self.store.ledger(&spec.name).await;
            state.ledger = ledger.map_err(|error| format!("the store: {error:#}"))?.into();
        }
        state.status = lock(&self.statuses).get(&spec.name).cloned().unwrap_or_default();
        self.find_parents(spec, cluster, state).await?;
        let recorded = state.parent.as_ref().and_then(membership::recorded_status);
        if state.parent.is_none() {
            // Nothing was ever applied here: what is known is about another place, or about a cluster that is gone.
            state.ledger = Arc::default();
            state.status.run = state.status.run.take().map(Run::emptied);
            state.status.held = None;
        }
        if let Some(recorded) = recorded {
            deletions::recall(&mut state.status, &recorded);
            hooked::recall(&mut state.status, recorded.run);
            // Another replica may have kept it since this one wrote its store.
            if state.status.revision.is_empty() || recorded.last_sync > state.status.last_sync {
                state.status.revision = recorded.revision;
                state.status.last_sync = recorded.last_sync;
            }
        }
        Ok(())
    }

    pub(super) async fn find_parents(
        &self,
        spec: &TargetSpec,
        cluster: &Cluster,
        state: &mut TargetState,
    ) -> Result<(), String> {
        cluster.scope(&std::iter::once(spec.parent_namespace().to_owned()).collect());
        let (setup, set) = (self.setup(), spec.set());
        // What another installation keeps is never taken for a place that a target of ours moved away from.
        let installation = lock(&self.installation).clone();
        let is_ours = |parent: &Parent| parent.field(membership::INSTALLATION) == installation;
        let is_former = |parent: &Parent| is_ours(parent) && parent.field(membership::TARGET) == spec.name;
        let same_repository = |parent: &Parent| parent.field(membership::REPOSITORY) == spec.repository_url;
        let is_removed = |parent: &Parent| {
            is_ours(parent)
                && same_repository(parent)
                && !setup.targets.contains_key(parent.field(membership::TARGET))
        };
        let concerns = |parent: &Parent| parent.id == set || is_former(parent) || is_removed(parent);
        let parents = cluster.parents(concerns).await;
        let parents = parents.map_err(|error| format!("cluster {}: {error}", cluster.name()))?;
        state.installation.clone_from(&installation);
        (state.parent, state.former) = (None, Vec::new());
        for parent in parents {
            if parent.id == set {
                if !is_ours(&parent) && !same_repository(&parent) {
                    if spec.is_leaving() {
                        // So nothing of it is this one's.
                        continue;
                    }
                    return Err(format!(
                        "{}/{} is the record of another trueup, for the repository {}; rename the App, or delete the record to take its objects over",
                        parent.namespace,
                        parent.name,
                        parent.field(membership::REPOSITORY)
                    ));
                }
                state.parent = Some(parent);
                state.confirmed = None;
            } else if is_former(&parent) {
                state.former.push(parent);
            } else {
                self.directory.note_removed(cluster.name(), &parent.id, parent.field(membership::TARGET));
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

    /// How far a target is whose App is being deleted, as it was found out here, or as the replica says that keeps its cluster.
    pub(super) fn departure(&self, name: &str) -> Option<Departure> {
        let told = || {
            let statuses = lock(&self.statuses);
            let status = statuses.get(name)?;
            Some((status.parting.clone()?, status.message.clone()))
        };
        let (parting, why) = self.parting(name).or_else(told)?;
        Some(match parting {
            Parting::UnderWay => Departure::UnderWay(why),
            Parting::OutOfReach { since } => {
                let silent = Duration::try_from(ambient::now() - since).unwrap_or_default();
                Departure::OutOfReach { silent, why }
            }
            Parting::Gone { left } => Departure::Gone { left },
        })
    }

    /// What was found out of it here, and why it is not further.
    fn parting(&self, name: &str) -> Option<(Parting, String)> {
        let departures = lock(&self.departures);
        let leave = departures.get(name)?;
        Some(match &leave.progress {
            Progress::UnderWay { why, .. } => (Parting::UnderWay, why.clone()),
            Progress::OutOfReach(why) => {
                (Parting::OutOfReach { since: leave.silent.unwrap_or_else(ambient::now) }, why.clone())
            }
            Progress::Gone { left } => (Parting::Gone { left: left.clone() }, String::new()),
        })
    }

    /// Notes how far a target is that is on its way out, and tells those that wait for it.
    fn departs(&self, spec: &TargetSpec, progress: Progress) {
        if !spec.is_leaving() {
            return;
        }
        if matches!(progress, Progress::Gone { .. }) && self.app_sets.is_leaving(&spec.app) {
            self.generate_again();
        }
        let mut told = match &progress {
            Progress::UnderWay { heirs, .. } => heirs.clone(),
            Progress::OutOfReach(_) => BTreeSet::new(),
            Progress::Gone { .. } => {
                self.setup().dependents.get(&spec.name).into_iter().flatten().cloned().collect()
            }
        };
        {
            let mut departures = lock(&self.departures);
            let before = departures.get(&spec.name);
            if before.is_some_and(|leave| leave.progress == progress) {
                told.clear();
            }
            let silent = match &progress {
                Progress::OutOfReach(_) => {
                    before.and_then(|leave| leave.silent).or_else(|| Some(ambient::now()))
                }
                Progress::UnderWay { .. } | Progress::Gone { .. } => None,
            };
            departures.insert(spec.name.clone(), Leave { progress, silent });
        }
        for name in &told {
            self.push(name, Trigger::Configuration, Duration::ZERO);
        }
    }

    pub(super) fn show(&self, mut status: TargetStatus) {
        if let Some((parting, _)) = self.parting(&status.target) {
            status.parting = Some(parting);
        }
        lock(&self.statuses).insert(status.target.clone(), status.clone());
        self.board.show(status);
    }

    /// Shows and tells what came of a turn, and keeps it where there is something to keep; false where it could not be kept.
    async fn record(
        &self,
        spec: &TargetSpec,
        cluster: &Cluster,
        turned: Turned,
        change: Option<LedgerChange>,
        parent: Option<Parent>,
    ) -> bool {
        let Turned { record, again, inquires, leaving, is_early: _ } = turned;
        if let Some(progress) = leaving {
            self.departs(spec, progress);
        }
        let before = lock(&self.statuses).get(&spec.name).cloned();
        if let Some(recorder) = &self.recorder {
            recorder.turn(&record);
        }
        // Who sees a status and asks for the history finds the entry that belongs to it.
        let is_kept = match change {
            Some(change) => self.keep(record.clone(), change).await,
            None => true,
        };
        self.show(record.status.clone());
        self.push(
            &spec.name,
            if record.status.sync == SyncStatus::Failed { Trigger::Retry } else { Trigger::Timer },
            again,
        );
        if let Some(inquires) = inquires {
            // What the cluster says then may be a reason, as a commit is.
            self.push(&spec.name, Trigger::Commit, inquires);
        }
        if let Some(entry) = &record.history {
            self.tell(spec, cluster, entry, &record.status, parent.as_ref()).await;
        }
        self.spread(spec, before.as_ref(), &record.status);
        is_kept
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

/// The commit that a target was to be at when it was last seen, or was at.
fn last_seen(status: &TargetStatus) -> Option<&str> {
    [&*status.wanted_revision, &*status.revision].into_iter().find(|name| !name.is_empty())
}

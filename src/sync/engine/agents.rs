//! The clusters that agents keep: what an agent tells of its targets, asks and is asked.
//!
//! Enters: the configuration, and what agents say. Leaves: seats for them, statuses of their targets as though another replica had told them, and
//! errands. A target of an agent that is not heard is Unknown, and says since when. Absent: turns; none of these targets has any here.

use super::super::agents::{Agents, Ground, SILENCE, Seat, Standing, Task};
use super::super::replicas::{Told, ask_to_begin, ask_to_delete};
use super::super::secrets::Secrets;
use super::super::target::TargetState;
use super::super::turn::base_status;
use super::super::view::{By, PlanOptions};
use super::super::{deletions::Ruling, hooks::Hint, topology};
use super::setup::Setup;
use super::{Core, Engine, begin, deletions, lock};
use crate::config::Config;
use crate::store::LedgerChange;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use trueup_model::Value;
use trueup_plan::health::HealthStatus;
use trueup_plan::record::{HistoryEntry, Parting, Record, SyncStatus, TargetStatus};

/// How often is looked whether an agent has fallen silent.
const LOOK: Duration = Duration::from_secs(5);
/// As long as the command line waits.
const ERRAND: Duration = Duration::from_mins(10);
/// Entries of history that may be told once more.
const KNOWN: usize = 100;

impl Engine {
    /// How it stands with the agents, by their clusters.
    pub fn agents(&self) -> BTreeMap<String, Standing> {
        self.0.board.agents().standings()
    }

    /// Whether a target that another replica or an agent keeps may begin with a commit. An agent knows one address only: what another
    /// replica has to decide is asked there.
    pub(super) async fn may_begin_by(&self, target: &str, revision: &str, by: By) -> Result<(), String> {
        let core = &self.0;
        let spec = core.setup().targets.get(target).cloned();
        match (spec, by) {
            (Some(spec), By::Person) => match core.decider_of(&spec) {
                Some(share) => ask_to_begin(share, &begin::part(&spec), target, revision).await,
                None => self.may_begin(target, revision),
            },
            (None, _) | (_, By::Replica) => self.may_begin(target, revision),
        }
    }

    /// The same, for objects that it would delete.
    pub(super) async fn may_delete_by(&self, target: &str, objects: &BTreeSet<String>, by: By) -> Ruling {
        let core = &self.0;
        let spec = core.setup().targets.get(target).cloned();
        match (spec, by) {
            (Some(spec), By::Person) => {
                let part = deletions::part(&spec);
                match core.decider(&part) {
                    Some(share) => ask_to_delete(share, &part, target, objects).await,
                    None => self.may_delete(target, objects),
                }
            }
            (None, _) | (_, By::Replica) => self.may_delete(target, objects),
        }
    }

    /// Has an agent say what a sync of a target would do; nothing where none keeps the target's cluster.
    pub(in crate::sync) fn ask_agent_to_plan(
        &self,
        target: &str,
        options: &PlanOptions,
    ) -> Option<impl Future<Output = Result<Value, String>> + Send + use<>> {
        let setup = self.0.setup();
        let cluster = &setup.targets.get(target)?.cluster;
        if !setup.agents.contains(cluster) {
            return None;
        }
        let task = Task::Plan { target: target.to_owned(), revision: options.revision.clone() };
        let sent = self.0.agents().send(cluster, task);
        Some(async move { answered(sent?).await })
    }

    /// Takes in what the agent of a cluster tells.
    pub(super) fn told_by_agent(&self, cluster: &str, told: Vec<Told>, history: Vec<HistoryEntry>) {
        let core = &self.0;
        let setup = core.setup();
        let theirs = |target: &str| {
            let spec = setup.targets.get(target).filter(|spec| spec.cluster == cluster)?;
            core.has(cluster).then(|| spec.clone())
        };
        for told in told {
            if let Some(spec) = theirs(&told.status.target) {
                core.board.turned(&spec.name, told.of.clone());
                core.heard_of(&spec, told);
            }
        }
        let history: Vec<_> = history.into_iter().filter(|entry| theirs(&entry.target).is_some()).collect();
        if !history.is_empty() {
            let core = core.clone();
            tokio::spawn(async move { core.keep_history(history).await });
        }
    }
}

impl Core {
    fn agents(&self) -> &Agents {
        self.board.agents()
    }

    /// Whether targets of a cluster have their turns here.
    pub(super) fn works_on(&self, cluster: &str) -> bool {
        self.has(cluster) && !self.setup().agents.contains(cluster)
    }

    /// Has a seat for each agent of the configuration.
    pub(super) async fn seat_agents(&self, config: &Config, secrets: &Secrets, setup: &mut Setup) {
        let mut seats = BTreeMap::new();
        for (name, cluster) in &config.clusters {
            let Some(agent) = &cluster.spec.agent else { continue };
            let token = topology::agent_token(agent, secrets).await.map_err(|error| format!("{error:#}"));
            if let Err(why) = &token {
                setup.troubles.insert(("Agent", name.clone()), why.clone());
            }
            setup.agents.insert(name.clone());
            seats.insert(name.clone(), Seat { token });
        }
        if seats.is_empty() && self.agents().standings().is_empty() {
            return;
        }
        let installation = lock(&self.installation).clone();
        let ground = Ground { config: config.clone(), secrets: secrets.known(), installation };
        self.agents().seat(seats, ground);
    }

    async fn keep_history(&self, history: Vec<HistoryEntry>) {
        let mut known: BTreeMap<String, Vec<HistoryEntry>> = BTreeMap::new();
        for entry in history {
            if !known.contains_key(&entry.target) {
                let before = self.store.history(&entry.target, KNOWN).await.unwrap_or_default();
                known.insert(entry.target.clone(), before);
            }
            let known = known.entry(entry.target.clone()).or_default();
            if known.contains(&entry) {
                continue;
            }
            known.push(entry.clone());
            let Some(status) = lock(&self.statuses).get(&entry.target).cloned() else { continue };
            let target = entry.target.clone();
            let record = Record { status, history: Some(entry), drift: Vec::new() };
            if let Err(error) = self.store.save(record, LedgerChange::default()).await {
                tracing::warn!(target, error = format!("{error:#}"), "the history could not be kept");
            }
        }
    }

    /// Looks for agents that have fallen silent, until the end.
    pub(super) async fn watch_agents(self: Arc<Self>) {
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            for (cluster, since, why) in self.agents().newly_away() {
                if self.has(&cluster) {
                    tracing::warn!(cluster, silent = ?SILENCE, "{why}");
                    self.lose_sight(&cluster, since, &why);
                }
            }
        }
    }

    /// Of the targets of an agent nothing is known any more.
    fn lose_sight(&self, cluster: &str, since: Timestamp, why: &str) {
        let setup = self.setup();
        for name in setup.of_cluster.get(cluster).into_iter().flatten() {
            let Some(spec) = setup.targets.get(name) else { continue };
            let state = TargetState {
                status: lock(&self.statuses).get(name).cloned().unwrap_or_default(),
                ..TargetState::default()
            };
            let before = lock(&self.statuses).get(name).cloned();
            let status = TargetStatus {
                sync: SyncStatus::Unknown,
                health: HealthStatus::Unknown,
                message: why.to_owned(),
                errors: vec![why.to_owned()],
                parting: spec.is_leaving().then_some(Parting::OutOfReach { since }),
                ..base_status(spec, &state)
            };
            lock(&self.turned).insert(name.clone(), spec.clone());
            self.show(status.clone());
            self.spread(spec, before.as_ref(), &status);
        }
    }

    /// Has the agents of these targets do something; gives why one could not, if that is so.
    pub(super) async fn send(
        &self,
        targets: &[String],
        task: impl Fn(Vec<String>) -> Task,
    ) -> Result<Vec<Value>, String> {
        let mut of: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for name in targets {
            if let Some(spec) = self.setup().targets.get(name) {
                of.entry(spec.cluster.clone()).or_default().push(name.clone());
            }
        }
        let mut answers = Vec::new();
        for (cluster, targets) in of {
            answers.push(self.agents().send(&cluster, task(targets))?);
        }
        let mut values = Vec::new();
        for answer in answers {
            values.push(answered(answer).await?);
        }
        Ok(values)
    }

    /// Has the agents ask repositories now, too.
    pub(super) fn pass_hints(&self, hints: &[Hint]) {
        for cluster in &self.setup().agents {
            if self.has(cluster) {
                // Who is away asks when it is back.
                if let Ok(done) = self.agents().send(cluster, Task::Ask(hints.to_vec())) {
                    tokio::spawn(tokio::time::timeout(ERRAND, done));
                }
            }
        }
    }
}

/// What came of an errand.
async fn answered(answer: oneshot::Receiver<Result<Value, String>>) -> Result<Value, String> {
    let answer = tokio::time::timeout(ERRAND, answer).await;
    let answer = answer.map_err(|_| "the agent did not answer in time".to_owned())?;
    answer.map_err(|_| "the agent is gone from the configuration".to_owned())?
}

//! Keeps the Apps that AppSets make at what their repositories say.
//!
//! Enters: that something may have changed, and how far Apps are that are on their way out. Leaves: the configuration put to work anew where there are other Apps than before.

use super::super::target::TargetSpec;
use super::{Chosen, Core, lock};
use crate::config::Config;
use crate::config::custom::Departure;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use trueup_plan::record::SyncStatus;

/// Changes that follow each other within this time are looked at once.
const SETTLE: Duration = Duration::from_millis(50);
/// How often is looked whether Apps are gone that are on their way out.
const LOOK: Duration = Duration::from_secs(1);
/// By then other replicas have heard that a target is gone, unless they cannot be reached.
const UNTIL_HEARD: Duration = Duration::from_secs(20);
/// After how long Apps that could not be put to work are put to work again.
const AGAIN: Duration = Duration::from_secs(5);

impl Core {
    /// Looks again what AppSets ask for, soon.
    pub(super) fn generate_again(&self) {
        self.generate.notify_one();
    }

    /// Whether an AppSet reads a repository.
    pub(super) fn is_generated_from(&self, repository: &str) -> bool {
        let config = lock(&self.config);
        config
            .iter()
            .flat_map(|config| config.app_sets.values())
            .any(|set| set.spec.ones().iter().any(|(_, one)| one.repository() == Some(repository)))
    }

    /// Looks whenever something may have changed, until the end.
    pub(super) async fn generate(self: Arc<Self>) {
        loop {
            let is_told = tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                () = self.generate.notified() => true,
                () = tokio::time::sleep(LOOK), if self.app_sets.are_leaving() => false,
            };
            tokio::time::sleep(SETTLE).await;
            let Some(config) = lock(&self.config).clone() else { continue };
            if config.app_sets.is_empty() {
                continue;
            }
            let mut changed = false;
            if self.app_sets.are_leaving() {
                let departures = self.all_departures();
                changed |= self.app_sets.let_go(&departures, self.patience, self.linger()).await;
            }
            if is_told {
                changed |= self.find_apps(&config).await;
            }
            self.board.show_app_sets(self.app_sets.standings());
            if !changed {
                continue;
            }
            // The configuration may be another one by now; then that is put to work with these Apps.
            let Some(config) = lock(&self.config).clone() else { continue };
            if let Err(error) = self.configure(&config).await {
                tracing::warn!(error = format!("{error:#}"), "the Apps of AppSets could not be put to work");
                tokio::time::sleep(AGAIN).await;
                self.generate_again();
            }
        }
    }

    /// Looks which Apps AppSets ask for; true where there are others than before.
    async fn find_apps(&self, config: &Config) -> bool {
        let troubles = self.setup();
        let known = |name: &str| {
            let mut known = lock(&self.repositories).known(name);
            let trouble = troubles.troubles.get(&("Repository", name.to_owned()));
            known.trouble = known.trouble.or_else(|| trouble.cloned());
            known
        };
        let asked = |set: &str, place: &str| lock(&self.pulls).known(set, place);
        let changed = self.app_sets.look(config, known, asked).await;
        lock(&self.pulls).remember(self.app_sets.remembered(config));
        changed
    }

    /// How far the targets are whose Apps are on their way out.
    pub(super) fn all_departures(&self) -> BTreeMap<String, Departure> {
        let setup = self.setup();
        let leaving = setup.targets.values().filter(|spec| spec.is_leaving());
        leaving.filter_map(|spec| Some((spec.name.clone(), self.departure(&spec.name)?))).collect()
    }

    /// How long what is gone is remembered: until other replicas have heard of it.
    fn linger(&self) -> Duration {
        match &self.chosen {
            Chosen::Shared(share) if !share.others().borrow().addresses.is_empty() => UNTIL_HEARD,
            Chosen::Shared(_) | Chosen::All | Chosen::Only(_) => Duration::ZERO,
        }
    }

    /// Which target has to be looked at before one whose App an AppSet no longer makes is pruned: it may want what that has, by a new name, or since the commit
    /// that took the App away.
    pub(super) fn unseen_heir(&self, spec: &TargetSpec) -> Option<String> {
        if !self.app_sets.is_leaving(&spec.app) {
            return None;
        }
        let setup = self.setup();
        let mut newest: BTreeMap<&str, Option<String>> = BTreeMap::new();
        for other in setup.targets.values() {
            newest.entry(&other.source).or_insert_with(|| {
                let known = lock(&self.repositories).known(&other.source);
                known.commit.filter(|_| known.trouble.is_none()).map(|commit| commit.revision.clone())
            });
        }
        let (turned, statuses) = (lock(&self.turned), lock(&self.statuses));
        let is_seen = |other: &Arc<TargetSpec>| {
            let status = statuses.get(&other.name);
            turned.get(&other.name) == Some(other)
                && status.is_some_and(|status| match (status.sync, newest.get(&*other.source)) {
                    (
                        SyncStatus::Synced | SyncStatus::OutOfSync | SyncStatus::Syncing,
                        Some(Some(newest)),
                    ) => status.revision == *newest || status.wanted_revision == *newest,
                    // What it wants cannot be told.
                    (_, _) => true,
                })
        };
        let beside = setup.of_cluster.get(&spec.cluster).into_iter().flatten();
        let mut wanted =
            beside.filter_map(|name| setup.targets.get(name)).filter(|other| !other.is_leaving());
        wanted.find(|other| !is_seen(other)).map(|other| other.name.clone())
    }
}

//! What people and forges ask for, done here and passed on to the replicas that keep the other targets.
//!
//! Enters: targets to look at now, repositories to ask now, Apps that may go. Leaves: turns, and the same requests to other replicas, which
//! pass nothing on. Absent: who asks, and whether he may.

use super::super::agents::Task;
use super::super::hooks::{Hint, PullHint};
use super::super::replicas::pass_on;
use super::super::topology::select;
use super::super::view::{By, Confirmation, Wait};
use super::{Chosen, Core, Engine, lock};
use crate::web::api::SyncRequest;
use futures::future::join_all;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Targets that somebody wants to be looked at now.
pub(super) struct Errand {
    /// As they were written; all where there are none.
    pub(super) written: Vec<String>,
    /// The code of deletions beyond the budget that are approved.
    pub(super) confirm: Option<String>,
    pub(super) wait: Wait,
    pub(super) by: By,
}

impl Engine {
    /// Has repositories asked now.
    pub(super) fn hint(&self, hints: Vec<Hint>, by: By) {
        lock(&self.0.repositories).hint(&hints);
        self.0.bases.hint(&hints);
        self.0.pass_hints(&hints);
        self.tell_replicas("hints", hints, by);
    }

    /// Has forges asked for pull requests now. Each replica asks for itself; agents ask for none.
    pub(super) fn hint_pulls(&self, hints: Vec<PullHint>, by: By) {
        lock(&self.0.pulls).hint(&hints);
        self.tell_replicas("pulls", hints, by);
    }

    /// Passes on what a forge said, where nobody has passed it on already.
    fn tell_replicas(&self, what: &'static str, hints: impl Serialize + Send + Sync + 'static, by: By) {
        if let (Chosen::Shared(share), By::Person) = (&self.0.chosen, by) {
            let share = share.clone();
            tokio::spawn(async move {
                for (replica, address) in share.addresses() {
                    if let Err(error) = pass_on(&share, &address, what, &hints).await {
                        tracing::debug!(replica, error, "a webhook could not be passed on");
                    }
                }
            });
        }
    }

    /// Lets the Apps go that an AppSet holds. Each replica decides which Apps there are, so each is told.
    pub(super) fn confirm(
        &self,
        confirmation: Confirmation,
        by: By,
        answer: oneshot::Sender<Result<Vec<String>, String>>,
    ) {
        let Confirmation { app_set, code } = &confirmation;
        let confirmed = self.0.app_sets.confirm(app_set, code, by);
        if confirmed.is_ok() {
            self.0.generate_again();
        }
        let (Chosen::Shared(share), By::Person, Ok(apps)) = (&self.0.chosen, by, &confirmed) else {
            drop(answer.send(confirmed));
            return;
        };
        let (share, apps) = (share.clone(), apps.clone());
        tokio::spawn(async move {
            let told = share.addresses().into_iter().map(|(replica, address)| {
                let (share, confirmation) = (&share, &confirmation);
                async move {
                    let told = pass_on(share, &address, "confirm", confirmation).await;
                    told.map_err(|error| {
                        format!("{replica} does not know of it yet; use the annotation: {error}")
                    })
                }
            });
            let told: Result<Vec<()>, String> = join_all(told).await.into_iter().collect();
            let _ = answer.send(told.map(|_| apps));
        });
    }
}

impl Core {
    pub(super) fn sync(
        self: &Arc<Self>,
        errand: Errand,
        answer: oneshot::Sender<Result<Vec<String>, String>>,
    ) {
        let setup = self.setup();
        let targets = match select(setup.targets.keys().map(String::as_str), &errand.written) {
            Ok(targets) => targets,
            Err(why) => {
                let _ = answer.send(Err(why));
                return;
            }
        };
        lock(&self.repositories).poke();
        self.bases.poke();
        self.charts.poke();
        let has = |name: &String| setup.targets.get(name).is_some_and(|spec| self.has(&spec.cluster));
        let (ours, theirs): (Vec<String>, Vec<String>) = targets.iter().cloned().partition(has);
        let is_agents =
            |name: &String| setup.targets.get(name).is_some_and(|spec| setup.agents.contains(&spec.cluster));
        let (agents, ours): (Vec<String>, Vec<String>) = ours.into_iter().partition(is_agents);
        if let Some(code) = &errand.confirm {
            self.approve(&ours, code);
        }
        let turns = self.ask_for_turns(&ours);
        if theirs.is_empty() && agents.is_empty() && errand.wait == Wait::Queued {
            drop(answer.send(Ok(targets)));
            return;
        }
        let core = self.clone();
        tokio::spawn(async move {
            let task = |targets| {
                Task::Sync(SyncRequest {
                    targets,
                    wait: errand.wait == Wait::Turn,
                    confirm_prune: errand.confirm.clone(),
                })
            };
            let (passed, sent) = tokio::join!(core.pass_on(&theirs, &errand), core.send(&agents, task));
            let passed = passed.and(sent.map(drop));
            if errand.wait == Wait::Turn {
                for turn in turns {
                    let _ = turn.await;
                }
            }
            let _ = answer.send(passed.map(|()| targets));
        });
    }

    /// Asks the replicas that keep these targets.
    async fn pass_on(&self, targets: &[String], errand: &Errand) -> Result<(), String> {
        let (Chosen::Shared(share), false) = (&self.chosen, targets.is_empty()) else { return Ok(()) };
        let mut of: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for target in targets {
            let cluster = self.setup().targets.get(target).map(|spec| spec.cluster.clone());
            let keeper = cluster.and_then(|cluster| share.keeper_of(&cluster));
            match (keeper, errand.by) {
                (Some((_, address)), By::Person) => of.entry(address).or_default().push(target.clone()),
                (_, _) => return Err(format!("{target} is between two replicas at this moment; try again")),
            }
        }
        let asked = of.into_iter().map(|(address, targets)| async move {
            let request = SyncRequest {
                targets,
                wait: errand.wait == Wait::Turn,
                confirm_prune: errand.confirm.clone(),
            };
            pass_on(share, &address, "sync", &request).await
        });
        join_all(asked).await.into_iter().collect()
    }
}

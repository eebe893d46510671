//! Whether a target may delete, as far as the budget of its repository is concerned.
//!
//! Enters: what a target would delete. Leaves: yes, no, or not yet. Where several replicas keep the targets of a repository, the one that has the
//! repository counts, and the others ask it: a turn does not wait for the answer, which is a reason for another turn. Absent: the
//! counting, which is in `sync::deletions`.

use super::super::deletions::{Plea, Ruling};
use super::super::replicas::{Share, ask_to_delete};
use super::super::target::TargetSpec;
use super::{Core, Engine, lock};
use crate::ambient;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use trueup_model::ObjectId;
use trueup_plan::record::Trigger;

/// How long an answer holds: what is begun with it is through by then.
const HOLDS: Duration = Duration::from_mins(1);

/// What another replica was asked for a target.
pub(super) struct Asked {
    objects: BTreeSet<String>,
    answer: Option<(Ruling, Instant)>,
}

impl Engine {
    /// Whether a target that another replica keeps may delete these objects.
    pub(super) fn may_delete(&self, target: &str, objects: &BTreeSet<String>) -> Ruling {
        let Some(spec) = self.0.setup().targets.get(target).cloned() else {
            return Ruling::Wait("the replica that counts does not know of the target yet".to_owned());
        };
        match self.0.decider(&part(&spec)) {
            None => self.0.rule(&spec, objects),
            Some(_) => Ruling::Wait("another replica counts by now".to_owned()),
        }
    }
}

impl Core {
    pub(super) fn delete(self: &Arc<Self>, spec: &TargetSpec, wanted: &BTreeSet<ObjectId>) -> Ruling {
        let objects = wanted.iter().map(ToString::to_string).collect();
        match self.decider(&part(spec)) {
            None => self.rule(spec, &objects),
            Some(share) => self.plead(share, spec, objects),
        }
    }

    fn rule(&self, spec: &TargetSpec, objects: &BTreeSet<String>) -> Ruling {
        let Some(budget) = spec.repository_budget else { return Ruling::Go };
        let setup = self.setup();
        let names = setup.of_repository.get(&spec.repository).into_iter().flatten();
        let plea = Plea { repository: &spec.repository, target: &spec.name, objects };
        let statuses = lock(&self.statuses);
        self.grants.ask(plea, budget, names.filter_map(|name| statuses.get(name)), ambient::now())
    }

    fn plead(self: &Arc<Self>, share: &Share, spec: &TargetSpec, objects: BTreeSet<String>) -> Ruling {
        let mut asked = lock(&self.asked);
        if let Some(before) = asked.get(&spec.name).filter(|before| before.objects == objects) {
            match &before.answer {
                None => return waits(),
                Some((Ruling::Go, at)) if at.elapsed() < HOLDS => return Ruling::Go,
                Some((ruling @ (Ruling::Hold | Ruling::Wait(_)), _)) => {
                    let ruling = ruling.clone();
                    asked.remove(&spec.name);
                    return ruling;
                }
                Some((Ruling::Go, _)) => {}
            }
        }
        asked.insert(spec.name.clone(), Asked { objects: objects.clone(), answer: None });
        let (core, share) = (self.clone(), share.clone());
        let (part, target) = (part(spec), spec.name.clone());
        tokio::spawn(async move {
            let ruling = ask_to_delete(&share, &part, &target, &objects).await;
            if let Some(asked) = lock(&core.asked).get_mut(&target).filter(|asked| asked.objects == objects) {
                asked.answer = Some((ruling, Instant::now()));
            }
            core.push(&target, Trigger::Commit, Duration::ZERO);
        });
        waits()
    }
}

fn waits() -> Ruling {
    Ruling::Wait("another replica is asked whether it may be deleted".to_owned())
}

/// What of the work counts over the targets of a repository.
pub(super) fn part(spec: &TargetSpec) -> String {
    format!("Repository {}", spec.repository)
}

//! Whether a target may begin with a commit, as far as a rollout over clusters is concerned.
//!
//! Enters: a target that has something to apply. Leaves: yes, or why not yet. Where several replicas keep the clusters of a
//! rollout, the one that has the App decides, and the others ask it: a turn does not wait for the answer, which is a reason for another
//! turn. Absent: the rules, which are in `sync::rollout`.

use super::super::replicas::{Share, ask_to_begin};
use super::super::rollout::{HEARD_OF, Place, Sibling, at_once, is_away, waits};
use super::super::target::TargetSpec;
use super::{Chosen, Core, Engine, lock};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use trueup_plan::record::{TargetStatus, Trigger};

/// How soon one is asked again who said no, whatever happens.
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// The same, after one of the rollout came through or was lost: that is told to it and to us in no order.
const HEARD: Duration = Duration::from_millis(200);

/// What another replica was asked for a target, and said.
pub(super) struct Wish {
    revision: String,
    state: Asked,
    /// Why the target had to wait when it was said last.
    why: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// There is no answer yet.
    Now,
    /// It may begin.
    Granted,
    /// It may not, which no turn knows of yet.
    Refused,
    /// It might not when it was asked last.
    Before,
}

/// The targets of other clusters whose rollout a target belongs to.
pub(super) fn rollout_of(spec: &TargetSpec) -> (&str, &str) {
    (&spec.app, &spec.environment)
}

impl Engine {
    /// Whether a target that another replica keeps may begin with a commit.
    pub(super) fn may_begin(&self, target: &str, revision: &str) -> Result<(), String> {
        let spec = self.0.setup().targets.get(target).cloned();
        let spec = spec.ok_or_else(|| waits("the replica that decides does not know of it yet"))?;
        match self.0.decider_of(&spec) {
            None => self.0.decide(&spec, revision),
            Some(_) => Err(waits("another replica decides by now")),
        }
    }
}

impl Core {
    pub(super) fn begin(self: &Arc<Self>, spec: &TargetSpec, revision: &str) -> Result<(), String> {
        match self.decider_of(spec) {
            None => self.decide(spec, revision),
            Some(share) => self.ask(share, spec, revision),
        }
    }

    pub(super) fn decider_of(&self, spec: &TargetSpec) -> Option<&Share> {
        spec.rollout.and_then(|_| self.decider(&part(spec)))
    }

    /// By what to find the replica that has a part of the work, if that is another one. An agent decides nothing.
    pub(super) fn decider(&self, part: &str) -> Option<&Share> {
        match &self.chosen {
            Chosen::Shared(share) if share.hub().is_some() || !share.has(part) => Some(share),
            Chosen::Shared(_) | Chosen::All | Chosen::Only(_) => None,
        }
    }

    fn decide(&self, spec: &TargetSpec, revision: &str) -> Result<(), String> {
        let Some(place) = spec.rollout else { return Ok(()) };
        self.among_siblings(spec, |siblings| {
            self.rollouts.begin(rollout_of(spec), &spec.name, place, revision, siblings, Instant::now())
        })
    }

    fn ask(self: &Arc<Self>, share: &Share, spec: &TargetSpec, revision: &str) -> Result<(), String> {
        let mut wishes = lock(&self.wishes);
        let wish = wishes.entry(spec.name.clone()).or_insert_with(|| Wish::of(revision));
        if wish.revision != revision {
            *wish = Wish::of(revision);
        }
        match wish.state {
            Asked::Granted => return Ok(()),
            Asked::Now => {}
            Asked::Refused => {
                wish.state = Asked::Before;
                self.again_later(spec.name.clone(), ASK_AGAIN);
            }
            Asked::Before => {
                wish.state = Asked::Now;
                let (core, share) = (self.clone(), share.clone());
                let (part, target, revision) = (part(spec), spec.name.clone(), revision.to_owned());
                tokio::spawn(async move {
                    let answer = ask_to_begin(&share, &part, &target, &revision).await;
                    core.answered(&target, &revision, answer);
                });
            }
        }
        Err(wish.why.clone())
    }

    fn answered(&self, target: &str, revision: &str, answer: Result<(), String>) {
        if let Some(wish) = lock(&self.wishes).get_mut(target).filter(|wish| wish.revision == revision) {
            match answer {
                Ok(()) => wish.state = Asked::Granted,
                Err(why) => (wish.state, wish.why) = (Asked::Refused, why),
            }
        }
        self.push(target, Trigger::Commit, Duration::ZERO);
    }

    fn again_later(self: &Arc<Self>, target: String, pause: Duration) {
        let core = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            core.push(&target, Trigger::Commit, Duration::ZERO);
        });
    }

    /// Asks for the targets that may go on now that this one stands as it does.
    pub(super) fn spread(&self, spec: &TargetSpec, before: Option<&TargetStatus>, status: &TargetStatus) {
        let was_settled =
            before.is_some_and(|before| before.is_settled() && before.revision == status.revision);
        let is_newly_settled = status.is_settled() && !was_settled;
        if is_newly_settled {
            for name in self.setup().dependents.get(&spec.name).into_iter().flatten() {
                // What it waited with is a commit.
                self.push(name, Trigger::Commit, Duration::ZERO);
            }
        }
        let Some(place) = spec.rollout else { return };
        let rollout = rollout_of(spec);
        let mut next = self.rollouts.stopped(rollout, before, status);
        let is_newly_away = is_away(status) && !before.is_some_and(is_away);
        if is_newly_settled || is_newly_away {
            next.extend(
                self.among_siblings(spec, |all| self.rollouts.next(rollout, place.most, all, Instant::now())),
            );
            for name in self.refused(spec, place) {
                self.push(&name, Trigger::Commit, HEARD);
            }
        }
        for name in &next {
            self.push(name, Trigger::Commit, Duration::ZERO);
        }
        if is_newly_away {
            // It may have begun just now, and is waited for as long as that.
            for name in self.rollouts.waiting(rollout) {
                self.push(&name, Trigger::Commit, HEARD_OF);
            }
        }
    }

    /// Whom to ask for once more, now that one of their rollout takes no place any more: no more than may go on by that, those of
    /// the first group first.
    fn refused(&self, spec: &TargetSpec, place: Place) -> Vec<String> {
        let mut wishes = lock(&self.wishes);
        self.among_siblings(spec, |siblings| {
            let mut refused: Vec<&Sibling<'_>> = siblings
                .iter()
                .filter(|one| wishes.get(one.name).is_some_and(|wish| wish.state.is_refusal()))
                .collect();
            refused.sort_by_key(|one| one.wave);
            refused.truncate(at_once(place.most, siblings.len()));
            for one in &refused {
                if let Some(wish) = wishes.get_mut(one.name) {
                    wish.state = Asked::Before;
                }
            }
            refused.into_iter().map(|one| one.name.to_owned()).collect()
        })
    }

    /// Shows how the targets of the same rollout stand.
    fn among_siblings<T>(&self, spec: &TargetSpec, look: impl FnOnce(&[Sibling<'_>]) -> T) -> T {
        let setup = self.setup();
        let (app, environment) = rollout_of(spec);
        let names = setup.rollouts.get(&(app.to_owned(), environment.to_owned()));
        let statuses: std::sync::MutexGuard<'_, BTreeMap<String, TargetStatus>> = lock(&self.statuses);
        let siblings: Vec<Sibling<'_>> = names
            .into_iter()
            .flatten()
            .filter_map(|name| {
                let wave = setup.targets.get(name)?.rollout?.wave;
                Some(Sibling { name, wave, status: statuses.get(name) })
            })
            .collect();
        look(&siblings)
    }
}

impl Asked {
    fn is_refusal(self) -> bool {
        matches!(self, Self::Refused | Self::Before)
    }
}

impl Wish {
    fn of(revision: &str) -> Self {
        let why = waits("another replica is asked whether it may begin");
        Self { revision: revision.to_owned(), state: Asked::Before, why }
    }
}

/// What of the work decides over the rollouts of an App: its status is written there, too.
pub(super) fn part(spec: &TargetSpec) -> String {
    format!("App {}", spec.app)
}

//! Apps of AppSets that are on their way out: until nothing more of them is to be pruned, they are remembered.
//!
//! Enters: what such Apps have to prune, as the configuration says, and how far their targets are. Leaves: Apps that are forgotten, with what of them was left
//! behind. Absent: the pruning, which is [`crate::sync::leave`]'s; and when to give up, which is [`crate::config::custom`]'s.

use super::{AppSets, Remembered};
use crate::config::custom::{Departure, Fate, fate};
use crate::config::{Leaving, Target};
use std::collections::BTreeMap;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Farewells that nobody has told of yet, at most.
const UNTOLD: usize = 1000;

#[derive(Default)]
pub(super) struct Partings {
    /// What has to be pruned of each App, as the configuration at work says.
    leaving: BTreeMap<String, Leaving>,
    /// The targets of that configuration: an Environment that goes together with its Apps is known by them.
    before: Vec<Target>,
    /// Since when nothing more is to be pruned of an App.
    done: BTreeMap<String, Instant>,
    farewells: Vec<Farewell>,
}

/// An App that went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sync) struct Farewell {
    /// The AppSet that made it.
    pub(in crate::sync) set: String,
    pub(in crate::sync) app: String,
    /// What was left behind against its word, and why.
    pub(in crate::sync) left: Vec<String>,
}

impl AppSets {
    /// Takes what Apps on their way out have to prune, as the configuration says that is put to work, and its targets.
    pub(in crate::sync) fn parts_with(&self, leaving: BTreeMap<String, Leaving>, targets: Vec<Target>) {
        let mut partings = self.partings();
        partings.done.retain(|app, _| leaving.contains_key(app));
        (partings.leaving, partings.before) = (leaving, targets);
    }

    /// The targets of the configuration that was put to work last, also those that were on their way out.
    pub(in crate::sync) fn before(&self) -> Vec<Target> {
        self.partings().before.clone()
    }

    /// Whether Apps are on their way out, also such as wait until it is known again that they are not asked for.
    pub(in crate::sync) fn are_leaving(&self) -> bool {
        self.lock().values().any(|one| !one.made.leaving.is_empty())
    }

    /// Whether an App is on its way out.
    pub(in crate::sync) fn is_leaving(&self, app: &str) -> bool {
        self.lock().values().any(|one| one.made.leaving.contains_key(app))
    }

    /// Forgets the Apps of which nothing more is to be pruned, and has not been for `linger`; true where there were some. A cluster that does not answer is waited for no longer than
    /// `patience`.
    pub(in crate::sync) async fn let_go(
        &self,
        departures: &BTreeMap<String, Departure>,
        patience: Duration,
        linger: Duration,
    ) -> bool {
        let (goes, waits) = self.fates(departures, patience, linger);
        let mut changed = Vec::new();
        let mut farewells = Vec::new();
        for (name, one) in &mut *self.lock() {
            let of_set = |app: &String| one.made.leaving.contains_key(app);
            one.waiting = waits
                .iter()
                .filter(|(app, _)| of_set(app))
                .map(|(app, why)| (app.clone(), why.clone()))
                .collect();
            let gone = goes.iter().filter(|(app, _)| one.made.leaving.remove(*app).is_some());
            let gone =
                gone.map(|(app, left)| Farewell { set: name.clone(), app: app.clone(), left: left.clone() });
            let before = farewells.len();
            farewells.extend(gone);
            if farewells.len() > before {
                changed.push((name.clone(), one.made.clone()));
            }
        }
        for (name, made) in &changed {
            self.keep_or_tell(name, made).await;
        }
        for Farewell { set, app, left } in &farewells {
            if left.is_empty() {
                tracing::info!(app_set = set, app, "the App is gone, with all that it applied");
            } else {
                tracing::warn!(app_set = set, app, ?left, "the App is gone, and left something behind");
            }
        }
        let mut partings = self.partings();
        let room = UNTOLD.saturating_sub(partings.farewells.len());
        partings.farewells.extend(farewells.into_iter().take(room));
        !changed.is_empty()
    }

    /// Which Apps can go, with what they leave behind; and what the others wait for.
    fn fates(
        &self,
        departures: &BTreeMap<String, Departure>,
        patience: Duration,
        linger: Duration,
    ) -> (BTreeMap<String, Vec<String>>, BTreeMap<String, String>) {
        let now = Instant::now();
        let (mut goes, mut waits) = (BTreeMap::new(), BTreeMap::new());
        let mut partings = self.partings();
        let Partings { leaving, done, .. } = &mut *partings;
        for (app, leaving) in leaving {
            match fate(leaving, departures, patience) {
                Fate::Waits(why) => {
                    done.remove(app);
                    waits.insert(app.clone(), why);
                }
                Fate::Goes { left } => {
                    let since = *done.entry(app.clone()).or_insert(now);
                    if now.duration_since(since) >= linger {
                        goes.insert(app.clone(), left);
                    }
                }
            }
        }
        (goes, waits)
    }

    /// The Apps that went since this was asked last.
    pub(in crate::sync) fn farewells(&self) -> Vec<Farewell> {
        std::mem::take(&mut self.partings().farewells)
    }

    fn partings(&self) -> MutexGuard<'_, Partings> {
        self.partings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Remembered {
    /// A message, with what Apps wait for that are on their way out.
    pub(super) fn with_leaving(&self, message: String) -> String {
        let Some((app, why)) = self.waiting.first_key_value() else { return message };
        let more = match self.waiting.len() - 1 {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        let separator = if message.is_empty() { "" } else { "; " };
        format!("{message}{separator}App {app} is being deleted: {why}{more}")
    }
}

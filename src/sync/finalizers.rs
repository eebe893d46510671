//! The finalizers of Apps: set before the first object is applied, and taken away when nothing is left to prune.
//!
//! Enters: the resources, and how far targets are that are on their way out. Leaves: finalizers set and taken away, an Event about each
//! App that goes, and what those wait for that do not go yet. Absent: what is pruned, and how.
//!
//! trueup being taken away is no word about what it applied: where the namespace of the configuration or the definition of Apps is
//! itself being deleted, all Apps go at once and leave everything as it is.

use super::engine::Engine;
use crate::cluster::{ApiError, ApiErrorClass, Cluster, EventKind, Followed};
use crate::config::custom::{self, Departure, FINALIZER, Fate, Resource, Resources};
use crate::config::{DeletionPolicy, Kind};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;

/// How long a finalizer that could not be written rests.
const REST: Duration = Duration::from_secs(20);
/// How often is looked whether the ground of Apps that are being deleted is taken away.
const LOOK: Duration = Duration::from_secs(2);
/// What Apps are collected under.
const APPS: &str = "apps";
const DEFINITION: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/apps.trueup.dev";

/// Where the resources are, and who knows which of them are this replica's part.
pub(super) struct Ground<'g> {
    pub(super) engine: &'g Engine,
    pub(super) cluster: &'g Cluster,
    pub(super) followed: &'g Followed,
    pub(super) namespace: &'g str,
}

impl Ground<'_> {
    /// Whether it is being taken away. Who may not look is not told.
    async fn is_taken_away(&self) -> Result<bool, String> {
        for path in [format!("/api/v1/namespaces/{}", self.namespace), DEFINITION.to_owned()] {
            match self.cluster.is_on_its_way_out(&path).await {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(error) if error.class == ApiErrorClass::Forbidden => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(false)
    }
}

pub(super) struct Finalizers {
    /// How long a cluster that does not answer is waited for.
    patience: Duration,
    /// Apps whose finalizer could not be set, and why.
    unheld: BTreeMap<String, String>,
    /// What Apps that are being deleted wait for.
    waiting: BTreeMap<String, String>,
    /// Until when Apps are left alone whose finalizer could not be written.
    resting: BTreeMap<String, Instant>,
    /// The uids of Apps that were let go, and that the watch may still show.
    gone: BTreeSet<String>,
    /// When is looked again whether the ground is taken away.
    look: Option<Instant>,
}

impl Finalizers {
    pub(super) fn new(patience: Duration) -> Self {
        Self {
            patience,
            unheld: BTreeMap::new(),
            waiting: BTreeMap::new(),
            resting: BTreeMap::new(),
            gone: BTreeSet::new(),
            look: None,
        }
    }

    pub(super) fn unheld(&self) -> &BTreeMap<String, String> {
        &self.unheld
    }

    pub(super) fn waiting(&self) -> &BTreeMap<String, String> {
        &self.waiting
    }

    /// Makes sure, before anything is put to work, that Apps are held that have something to prune when they are deleted, and that
    /// none is pruned of which nobody said so. False where that is not known yet.
    pub(super) async fn settle(&mut self, ground: &Ground<'_>, resources: &mut Resources) -> bool {
        if resources.leaving.values().any(|leaving| leaving.policy == DeletionPolicy::Delete) {
            match ground.is_taken_away().await {
                Ok(true) => resources.orphan_all(),
                Ok(false) => self.look = Some(Instant::now() + LOOK),
                Err(why) => {
                    tracing::warn!(
                        error = why,
                        "Apps are being deleted, and it cannot be told whether trueup is, too"
                    );
                    return false;
                }
            }
        }
        self.hold(ground, resources).await;
        true
    }

    /// Sets the finalizers of Apps that prune what they applied, and takes those of others away.
    async fn hold(&mut self, ground: &Ground<'_>, resources: &mut Resources) {
        let now = Instant::now();
        self.resting.retain(|_, until| *until > now);
        self.unheld.retain(|name, _| resources.config.apps.contains_key(name));
        for (name, app) in &resources.config.apps {
            let Some(resource) = resources.all.get_mut(&(Kind::App, name.clone())) else { continue };
            let wanted = app.spec.deletion_policy == DeletionPolicy::Delete;
            if wanted == resource.is_held() {
                self.unheld.remove(name);
                continue;
            }
            if self.resting.contains_key(name) {
                continue;
            }
            match write(ground, name, resource, wanted).await {
                Ok(object) => {
                    if let Some(object) = object {
                        resource.object = object;
                    }
                    self.unheld.remove(name);
                }
                // Another replica was first, or a person: it is read again.
                Err(error) if error.class == ApiErrorClass::Conflict => {
                    tracing::debug!(app = name, %error, "the finalizer could not be written yet");
                    self.resting.insert(name.clone(), now + LOOK);
                    if wanted {
                        self.unheld.insert(name.clone(), error.to_string());
                    }
                }
                Err(error) => {
                    tracing::warn!(app = name, %error, "the finalizer could not be written");
                    self.resting.insert(name.clone(), now + REST);
                    if wanted {
                        self.unheld.insert(name.clone(), error.to_string());
                    }
                }
            }
        }
    }

    /// Lets Apps go of which nothing more is to be pruned. False where the resources have to be read again: the ground is taken away.
    pub(super) async fn let_go(
        &mut self,
        ground: &Ground<'_>,
        resources: &mut Resources,
        departures: &BTreeMap<String, Departure>,
    ) -> bool {
        let now = Instant::now();
        self.waiting.clear();
        self.resting.retain(|_, until| *until > now);
        if !self.unheld.is_empty() {
            self.hold(ground, resources).await;
        }
        if resources.leaving.is_empty() {
            (self.gone, self.look) = (BTreeSet::new(), None);
            return true;
        }
        if self.look.is_some_and(|look| look <= now) {
            self.look = Some(now + LOOK);
            if ground.is_taken_away().await == Ok(true) {
                return false;
            }
        }
        for (name, leaving) in &resources.leaving {
            let Some(resource) = resources.all.get(&(Kind::App, name.clone())) else { continue };
            if self.gone.contains(uid(resource)) {
                continue;
            }
            let left = match custom::fate(leaving, departures, self.patience) {
                Fate::Waits(why) => {
                    self.waiting.insert(name.clone(), why);
                    continue;
                }
                Fate::Goes { left } => left,
            };
            if self.resting.contains_key(name) {
                continue;
            }
            // The API server takes the last finalizer away as often as it is asked to at a time: one replica does, and tells of it.
            let Some(_held) = ground.engine.hold(&part(Kind::App, name)).await else { continue };
            match write(ground, name, resource, false).await {
                Ok(let_go) => {
                    self.gone.insert(uid(resource).to_owned());
                    // It may have been gone before.
                    if let_go.is_some() {
                        farewell(ground, name, resource, leaving.policy, &left).await;
                    }
                }
                Err(error) => {
                    // Somebody may have changed it meanwhile, which is then read.
                    tracing::debug!(app = name, %error, "the finalizer could not be taken away");
                    self.resting.insert(name.clone(), now + LOOK);
                }
            }
        }
        true
    }
}

/// What a resource is called where replicas share them.
pub(super) fn part(kind: Kind, name: &str) -> String {
    format!("{kind} {name}")
}

fn uid(resource: &Resource) -> &str {
    resource.object.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default()
}

/// Sets our finalizer, or takes it away; gives the App as it is then, or nothing where it is gone already.
async fn write(
    ground: &Ground<'_>,
    name: &str,
    resource: &Resource,
    held: bool,
) -> Result<Option<Value>, ApiError> {
    let written = resource.object.pointer("/metadata/finalizers").and_then(Value::as_array);
    let others = written.into_iter().flatten().filter_map(Value::as_str).filter(|one| *one != FINALIZER);
    let finalizers: Vec<&str> = others.chain(held.then_some(FINALIZER)).collect();
    let path = ground.followed.path(APPS, name);
    match ground.cluster.write_finalizers(&path, &resource.object, &finalizers).await {
        Ok(object) => {
            // The watch tells of one that goes.
            if object.pointer("/metadata/deletionTimestamp").is_none() {
                ground.followed.note(APPS, object.clone());
            }
            Ok(Some(object))
        }
        Err(error) if !held && error.class == ApiErrorClass::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

async fn farewell(
    ground: &Ground<'_>,
    name: &str,
    resource: &Resource,
    policy: DeletionPolicy,
    left: &[String],
) {
    let (kind, reason, message) = match (policy, left) {
        (DeletionPolicy::Orphan, _) => {
            (EventKind::Normal, "Deleted", "deleted; what it applied stays".to_owned())
        }
        (DeletionPolicy::Delete, []) => {
            (EventKind::Normal, "Deleted", "deleted, with all that it applied".to_owned())
        }
        (DeletionPolicy::Delete, left) => {
            (EventKind::Warning, "LeftBehind", format!("deleted; left behind: {}", left.join("; ")))
        }
    };
    match kind {
        EventKind::Normal => tracing::info!(app = name, "the App is {message}"),
        EventKind::Warning => tracing::warn!(app = name, "the App is {message}"),
    }
    if let Err(error) = ground.cluster.event_about(&resource.object, kind, reason, &message).await {
        tracing::debug!(app = name, %error, "the event could not be posted");
    }
}

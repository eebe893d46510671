//! A reconciler whose configuration is custom resources: they are followed, put to work, and told how they stand.
//!
//! Enters: resources of one namespace. Leaves: configurations for the engine, and statuses and Events for those resources whose
//! standing changed. Absent: what a status says, which is [`crate::config::custom`]'s.

use super::agents::Standing;
use super::app_sets::Farewell;
use super::custom::Home;
use super::engine::Engine;
use super::finalizers::{Finalizers, Ground, part};
use crate::ambient;
use crate::cluster::{ApiError, ApiErrorClass, Cluster, EventKind, Followed};
use crate::config::custom::{self, Answer, ConditionStatus, Known, PLURALS, Resources};
use crate::config::{API_VERSION, Kind, Target};
use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// Changes that follow each other within this time are one, and no resource is written more often.
const PACE: Duration = Duration::from_millis(300);
/// How often is looked how things stand although nothing was said.
const LOOK: Duration = Duration::from_secs(2);
/// How long a status that could not be written rests.
const REST: Duration = Duration::from_secs(20);

/// Keeps the engine at what the resources say, and the resources at what the engine knows, without end.
/// An App that is being deleted waits for a cluster that does not answer no longer than `patience`.
pub(super) async fn govern(engine: &Engine, home: &Home, patience: Duration) -> Result<()> {
    let cluster = engine.connect_home(&home.access()).await.context("the cluster of the configuration")?;
    let kinds = PLURALS.map(|(_, plural)| plural);
    let followed = cluster.follow_resources(API_VERSION, &home.namespace, kinds, "");
    tracing::info!(namespace = home.namespace, "the configuration is the custom resources there");
    let (mut changes, mut shown) = (followed.changes(), engine.subscribe());
    let mut doubts = engine.doubts();
    let mut governed = Governed {
        engine,
        cluster,
        followed,
        namespace: &home.namespace,
        resources: None,
        fingerprint: None,
        trouble: String::new(),
        resting: BTreeMap::new(),
        before: Vec::new(),
        finalizers: Finalizers::new(patience),
    };
    // Shards may have been taken already.
    governed.followed.doubt(*doubts.borrow_and_update());
    loop {
        let mut is_new = tokio::select! {
            _ = changes.changed() => true,
            _ = doubts.changed() => {
                governed.followed.doubt(*doubts.borrow_and_update());
                continue;
            }
            _ = shown.changed() => false,
            () = tokio::time::sleep(LOOK) => false,
        };
        tokio::time::sleep(PACE).await;
        is_new |= changes.has_changed().unwrap_or_default();
        changes.mark_unchanged();
        shown.mark_unchanged();
        if is_new || governed.resources.is_none() || governed.fingerprint.is_none() {
            governed.read().await;
        }
        governed.let_go().await;
        governed.tell().await;
        governed.bid_farewell().await;
    }
}

fn is_fenced(error: &anyhow::Error) -> bool {
    error.downcast_ref::<ApiError>().is_some_and(|error| error.class == ApiErrorClass::Fenced)
}

struct Governed<'e> {
    engine: &'e Engine,
    cluster: Cluster,
    followed: Followed,
    namespace: &'e str,
    resources: Option<Resources>,
    /// Of the configuration that is at work.
    fingerprint: Option<String>,
    /// Why the resources could not be read, as it was logged last.
    trouble: String,
    /// Resources whose status could not be written, and until when they are left alone.
    resting: BTreeMap<(Kind, String), Instant>,
    /// The targets, also those that were on their way out, as the resources said last.
    before: Vec<Target>,
    finalizers: Finalizers,
}

impl Governed<'_> {
    /// Reads the resources; puts them to work where they say something new.
    async fn read(&mut self) {
        let settled = self.followed.settled_doubt();
        let objects = match self.followed.objects() {
            Ok(objects) => objects,
            Err(why) => {
                if why != self.trouble {
                    tracing::error!(error = why, "the configuration cannot be read");
                    self.trouble = why;
                }
                return;
            }
        };
        self.trouble.clear();
        let mut resources = custom::read(objects, self.namespace, &self.before);
        let ground = Ground {
            engine: self.engine,
            cluster: &self.cluster,
            followed: &self.followed,
            namespace: self.namespace,
        };
        if !self.finalizers.settle(&ground, &mut resources).await {
            // It is read again.
            self.fingerprint = None;
            return;
        }
        self.engine.recall_apps(custom::made(&resources));
        let fingerprint = resources.config.fingerprint();
        if self.fingerprint.as_ref() != Some(&fingerprint) {
            if self.fingerprint.is_some() {
                tracing::info!("the configuration changed");
            }
            match self.engine.configure(&resources.config).await {
                Ok(()) => self.fingerprint = Some(fingerprint),
                Err(error) => {
                    self.fingerprint = None;
                    tracing::error!(
                        error = format!("{error:#}"),
                        "the configuration could not be put to work"
                    );
                }
            }
        }
        let config = &resources.config;
        self.before = config.targets().iter().chain(config.leaving()).cloned().collect();
        if self.fingerprint.is_some() {
            self.engine.is_configured_since(settled);
        }
        self.resources = Some(resources);
    }

    /// Lets Apps go of which nothing more is to be pruned.
    async fn let_go(&mut self) {
        let Some(resources) = &mut self.resources else { return };
        let ground = Ground {
            engine: self.engine,
            cluster: &self.cluster,
            followed: &self.followed,
            namespace: self.namespace,
        };
        if !self.finalizers.let_go(&ground, resources, &self.engine.departures()).await {
            self.fingerprint = None;
        }
    }

    /// Tells of Apps that an AppSet made and that went, in Events about the AppSet.
    async fn bid_farewell(&mut self) {
        let Some(resources) = &self.resources else { return };
        for Farewell { set, app, left } in self.engine.farewells() {
            let Some(resource) = resources.all.get(&(Kind::AppSet, set.clone())) else { continue };
            let Some(_held) = self.engine.hold(&part(Kind::AppSet, &set)).await else { continue };
            let (kind, reason, note) = if left.is_empty() {
                (EventKind::Normal, "AppDeleted", format!("App {app} is gone, with all that it applied"))
            } else {
                let note = format!("App {app} is gone; left behind: {}", left.join("; "));
                (EventKind::Warning, "LeftBehind", note)
            };
            if let Err(error) = self.cluster.event_about(&resource.object, kind, reason, &note).await {
                tracing::debug!(app_set = set, app, %error, "the event could not be posted");
            }
        }
    }

    fn known(&self) -> Known {
        let mut clusters = self.engine.cluster_answers();
        for (name, trouble) in self.engine.troubles("Cluster") {
            clusters.insert(name, Answer { last: None, trouble: Some(trouble) });
        }
        for (name, Standing { version, trouble }) in self.engine.agents() {
            let last = (!version.is_empty()).then_some(version);
            clusters.insert(name, Answer { last, trouble });
        }
        Known {
            targets: self.engine.current_statuses(),
            repositories: self.engine.repositories(),
            clusters,
            app_sets: self.engine.app_sets(),
            made: self.engine.made_apps(),
            unheld: self.finalizers.unheld().clone(),
            leaving: self.finalizers.waiting().clone(),
        }
    }

    /// Writes the statuses that are others than before.
    async fn tell(&mut self) {
        let Some(resources) = &self.resources else { return };
        let (known, now) = (self.known(), Instant::now());
        self.resting.retain(|_, until| *until > now);
        let mut written = Vec::new();
        for ((kind, name), resource) in &resources.all {
            let is_shown = !resource.is_leaving() || (*kind == Kind::App && known.leaving.contains_key(name));
            if !is_shown || self.resting.contains_key(&(*kind, name.clone())) {
                continue;
            }
            let Some(status) = custom::status(resources, (*kind, name), &known, ambient::now()) else {
                continue;
            };
            // A cluster's status is for who speaks to it. Of the others each replica has its part.
            let part = if *kind == Kind::Cluster { name.clone() } else { part(*kind, name) };
            let Some(_held) = self.engine.hold(&part).await else { continue };
            match self.write(*kind, name, &resource.object, &status).await {
                Ok(object) => written.push(((*kind, name.clone()), object)),
                // It is for later, or for another replica.
                Err(error) if is_fenced(&error) => {}
                Err(error) => {
                    tracing::warn!(%kind, name, error = format!("{error:#}"), "the status could not be written");
                    self.resting.insert((*kind, name.clone()), now + REST);
                }
            }
        }
        let Some(resources) = &mut self.resources else { return };
        for (key, object) in written {
            if let Some(resource) = resources.all.get_mut(&key) {
                resource.object["status"] = object["status"].clone();
            }
        }
    }

    async fn write(&self, kind: Kind, name: &str, object: &Value, status: &Value) -> Result<Value> {
        let plural = PLURALS.iter().find(|(known, _)| *known == kind).map_or("", |(_, plural)| plural);
        let body = json!({
            "apiVersion": API_VERSION,
            "kind": kind.as_str(),
            // Another one of the same name is not the one that this is about.
            "metadata": { "name": name, "namespace": self.namespace, "uid": object["metadata"]["uid"] },
            "status": status,
        });
        let answer = self.cluster.write_status(&self.followed.path(plural, name), &body).await?;
        self.followed.note(plural, answer.clone());
        let before = object.get("status").unwrap_or(&Value::Null);
        if let Some(ready) = custom::news(before, status) {
            let kind = match (ready.status, ready.reason.as_str()) {
                (ConditionStatus::True, _) => Some(EventKind::Normal),
                (ConditionStatus::False, "Progressing" | "Syncing" | "Suspended" | "Deleting")
                | (ConditionStatus::Unknown, _) => None,
                (ConditionStatus::False, _) => Some(EventKind::Warning),
            };
            if let Some(kind) = kind
                && let Err(error) =
                    self.cluster.event_about(&answer, kind, &ready.reason, &ready.message).await
            {
                tracing::debug!(name, %error, "the event could not be posted");
            }
        }
        Ok(answer)
    }
}

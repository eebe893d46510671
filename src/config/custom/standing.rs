//! What resources say of themselves: pure, from what was read of them and what is known of their targets.
//!
//! Enters: resources, and what the reconciler knows. Leaves: a status for each whose status is another than the one that it
//! has. Nothing comes of time alone: while nothing happens, no status changes.

use super::read::{Resource, Resources};
use super::status::{
    AppSetStatus, AppStatus, ClusterStatus, Condition, ConditionStatus, EnvironmentStatus, RepositoryStatus,
    TargetSummary,
};
use crate::config::{Kind, Target};
use crate::generate::Made;
use crate::sync::view::{AppSetStanding, AppSetState};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use trueup_plan::health::HealthStatus;
use trueup_plan::record::{SyncStatus, TargetStatus};

/// Targets that a status lists at most.
const LISTED: usize = 30;
/// Characters of a message at most: of a condition, and of a target.
const LONGEST: usize = 1024;
const LONGEST_OF_TARGET: usize = 256;

/// What the reconciler knows.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// How targets stand, of those that had a turn since their configuration last changed.
    pub targets: BTreeMap<String, TargetStatus>,
    /// Repositories that were asked.
    pub repositories: BTreeMap<String, Answer>,
    /// Clusters that were asked: what they answer is their version.
    pub clusters: BTreeMap<String, Answer>,
    /// AppSets, as far as anybody has looked.
    pub app_sets: BTreeMap<String, AppSetStanding>,
    /// What AppSets have made.
    pub made: BTreeMap<String, Made>,
    /// Apps whose finalizer could not be set, and why.
    pub unheld: BTreeMap<String, String>,
    /// What Apps that are being deleted wait for.
    pub leaving: BTreeMap<String, String>,
}

/// What came of asking something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// What it said last: a commit, a version.
    pub last: Option<String>,
    /// Why it could not be asked, if that is so.
    pub trouble: Option<String>,
}

/// The three conditions, before it is known since when they hold.
struct Verdict {
    ready: ConditionStatus,
    /// Whether somebody is at it.
    reconciling: bool,
    /// Whether it stays like this until somebody changes something.
    stalled: bool,
    reason: &'static str,
    message: String,
}

impl Verdict {
    fn ready(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            ready: ConditionStatus::True,
            reconciling: false,
            stalled: false,
            reason,
            message: message.into(),
        }
    }

    fn at_it(ready: ConditionStatus, reason: &'static str, message: impl Into<String>) -> Self {
        Self { ready, reconciling: true, stalled: false, reason, message: message.into() }
    }

    fn idle(reason: &'static str, message: impl Into<String>) -> Self {
        let ready = ConditionStatus::False;
        Self { ready, reconciling: false, stalled: false, reason, message: message.into() }
    }

    fn stalled(reason: &'static str, message: impl Into<String>) -> Self {
        Self { stalled: true, ..Self::idle(reason, message) }
    }

    /// What is wrong with the resource itself.
    fn of_findings(resource: &Resource) -> Option<Self> {
        const NAMED: usize = 5;
        let findings = &resource.findings;
        let shown =
            findings.iter().take(NAMED).map(|finding| format!("{}: {}", finding.place, finding.message));
        let mut shown: Vec<String> = shown.collect();
        if findings.len() > NAMED {
            shown.push(format!("and {} more", findings.len() - NAMED));
        }
        (!findings.is_empty()).then(|| Self::stalled("Invalid", shown.join("; ")))
    }

    fn conditions(self, resource: &Resource, now: Timestamp) -> Vec<Condition> {
        let before: Vec<Condition> = resource
            .status()
            .get("conditions")
            .and_then(|conditions| serde_json::from_value(conditions.clone()).ok())
            .unwrap_or_default();
        let condition = |kind: &str, status: ConditionStatus| {
            let same = before.iter().find(|one| one.kind == kind && one.status == status);
            let since = same.map_or_else(|| format!("{now:.0}"), |one| one.last_transition_time.clone());
            Condition {
                kind: kind.to_owned(),
                status,
                reason: self.reason.to_owned(),
                // It is said once, and where it holds.
                message: match (kind, status) {
                    ("Ready", _) | (_, ConditionStatus::True) => cut(&self.message, LONGEST),
                    (_, ConditionStatus::False | ConditionStatus::Unknown) => String::new(),
                },
                last_transition_time: since,
                observed_generation: resource.generation(),
            }
        };
        let holds = |holds| if holds { ConditionStatus::True } else { ConditionStatus::False };
        vec![
            condition("Ready", self.ready),
            condition("Reconciling", holds(self.reconciling)),
            condition("Stalled", holds(self.stalled)),
        ]
    }
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

fn short(revision: &str) -> String {
    revision.chars().take(8).collect()
}

/// The status of a resource, where it is another one than the resource has.
pub fn status(
    resources: &Resources,
    (kind, name): (Kind, &str),
    known: &Known,
    now: Timestamp,
) -> Option<Value> {
    let resource = resources.all.get(&(kind, name.to_owned()))?;
    let status = match kind {
        Kind::Repository => json(repository(resources, resource, name, known, now)?),
        Kind::Cluster => json(cluster(resource, name, known, now)?),
        Kind::Environment => json(environment(resources, resource, name, now)),
        Kind::App => json(app(resources, resource, name, known, now)?),
        Kind::AppSet => json(app_set(resource, name, known, now)?),
    };
    (status != *resource.status()).then_some(status)
}

fn json(status: impl Serialize) -> Value {
    serde_json::to_value(status).unwrap_or_default()
}

/// Whether what the resource says of itself is about what it asks for now. It stays until more is known: also over a start.
fn is_told(resource: &Resource) -> bool {
    let observed = resource.status().get("observedGeneration").and_then(Value::as_i64);
    resource.findings.is_empty() && observed.is_some() && observed == resource.generation()
}

fn repository(
    resources: &Resources,
    resource: &Resource,
    name: &str,
    known: &Known,
    now: Timestamp,
) -> Option<RepositoryStatus> {
    let answer = known.repositories.get(name).cloned().unwrap_or_default();
    let suspended = resources.config.repositories.get(name).is_some_and(|repository| repository.spec.suspend);
    let revision = answer.last.unwrap_or_default();
    let verdict = match (Verdict::of_findings(resource), answer.trouble) {
        (Some(verdict), _) => verdict,
        (None, Some(trouble)) => Verdict::at_it(ConditionStatus::False, "FetchFailed", trouble),
        (None, None) if suspended => Verdict::ready("Suspended", "suspended; targets stay at their commits"),
        (None, None) if revision.is_empty() && is_told(resource) => return None,
        (None, None) if revision.is_empty() => {
            Verdict::at_it(ConditionStatus::Unknown, "Progressing", "it has not been read yet")
        }
        (None, None) => Verdict::ready("Fetched", format!("at {revision}")),
    };
    Some(RepositoryStatus {
        observed_generation: resource.generation(),
        conditions: verdict.conditions(resource, now),
        short_revision: short(&revision),
        revision,
    })
}

fn cluster(resource: &Resource, name: &str, known: &Known, now: Timestamp) -> Option<ClusterStatus> {
    let answer = known.clusters.get(name).cloned().unwrap_or_default();
    let version = answer.last.unwrap_or_default();
    let verdict = match (Verdict::of_findings(resource), answer.trouble) {
        (Some(verdict), _) => verdict,
        (None, Some(trouble)) => Verdict::at_it(ConditionStatus::False, "Unreachable", trouble),
        (None, None) if version.is_empty() && is_told(resource) => return None,
        (None, None) if version.is_empty() => {
            Verdict::at_it(ConditionStatus::Unknown, "Progressing", "it has not been asked yet")
        }
        (None, None) => Verdict::ready("Reachable", format!("Kubernetes {version} answers")),
    };
    Some(ClusterStatus {
        observed_generation: resource.generation(),
        conditions: verdict.conditions(resource, now),
        version,
    })
}

fn environment(resources: &Resources, resource: &Resource, name: &str, now: Timestamp) -> EnvironmentStatus {
    let targets = || resources.config.targets().iter().filter(|target| target.environment == name);
    let clusters: BTreeSet<&str> = targets().map(|target| target.cluster.as_str()).collect();
    let count = |number: usize| Some(u32::try_from(number).unwrap_or(u32::MAX));
    let verdict = Verdict::of_findings(resource)
        .unwrap_or_else(|| Verdict::ready("Resolved", format!("targets: {}", targets().count())));
    EnvironmentStatus {
        observed_generation: resource.generation(),
        conditions: verdict.conditions(resource, now),
        clusters: count(clusters.len()),
        targets: count(targets().count()),
    }
}

/// Nothing where nobody has looked yet, and the resource is as it was when its status was written.
fn app_set(resource: &Resource, name: &str, known: &Known, now: Timestamp) -> Option<AppSetStatus> {
    const NAMED: usize = 100;
    // An object has 1.5 MB at most, and this is in it once.
    const LONGEST_OF_APPS: usize = 512 * 1024;
    let unknown = AppSetStanding::default();
    let standing = known.app_sets.get(name).unwrap_or(&unknown);
    let made = known.made.get(name).filter(|made| !made.apps.is_empty() || !made.leaving.is_empty());
    let made = made.map(Made::to_text).unwrap_or_default();
    let message = || standing.message.clone();
    let verdict = match (Verdict::of_findings(resource), standing.state) {
        (Some(verdict), _) => verdict,
        (None, AppSetState::Pending) if is_told(resource) => return None,
        (None, AppSetState::Pending) => {
            Verdict::at_it(ConditionStatus::Unknown, "Progressing", "nobody has looked yet")
        }
        (None, AppSetState::Made) => {
            let more = if standing.message.is_empty() { "" } else { "; " };
            Verdict::ready("Made", format!("{} Apps{more}{}", standing.apps.len(), standing.message))
        }
        (None, AppSetState::Suspended) => Verdict::ready("Suspended", message()),
        (None, AppSetState::Failed) => Verdict::at_it(ConditionStatus::False, "SourceFailed", message()),
        (None, AppSetState::Held) => Verdict::idle("RemovalHeld", message()),
        (None, AppSetState::Misfit) => Verdict::idle("AppsInvalid", message()),
    };
    Some(AppSetStatus {
        observed_generation: resource.generation(),
        conditions: verdict.conditions(resource, now),
        apps: Some(u32::try_from(standing.apps.len()).unwrap_or(u32::MAX)),
        names: standing.apps.iter().take(NAMED).cloned().collect(),
        made: if made.len() <= LONGEST_OF_APPS { made } else { String::new() },
    })
}

/// What each AppSet has made as its status has it, where it has.
pub fn made(resources: &Resources) -> BTreeMap<String, Made> {
    let of_set = |((kind, name), resource): (&(Kind, String), &Resource)| {
        let is_there = *kind == Kind::AppSet && !resource.is_leaving();
        let text = resource.status().get("made").filter(|_| is_there)?.as_str()?;
        Some((name.clone(), Made::from_text(text)?))
    };
    resources.all.iter().filter_map(of_set).collect()
}

/// Nothing where the targets have had no turn yet, and the resource is as it was when its status was written.
fn app(
    resources: &Resources,
    resource: &Resource,
    name: &str,
    known: &Known,
    now: Timestamp,
) -> Option<AppStatus> {
    let targets = resources.config.targets().iter().chain(resources.config.leaving());
    let targets: Vec<&Target> = targets.filter(|target| target.app == name).collect();
    let mut statuses: Vec<&TargetStatus> =
        targets.iter().filter_map(|target| known.targets.get(&target.name)).collect();
    let waiting = targets.len() - statuses.len();
    if waiting > 0 && is_told(resource) && !resource.is_leaving() {
        return None;
    }
    let badness = |status: &TargetStatus| (status.sync, status.health);
    statuses.sort_by(|a, b| (badness(b), &a.target).cmp(&(badness(a), &b.target)));
    let verdict = match Verdict::of_findings(resource) {
        Some(verdict) => verdict,
        None if resource.is_leaving() => {
            let message = known.leaving.get(name).cloned().unwrap_or_default();
            Verdict::at_it(ConditionStatus::False, "Deleting", message)
        }
        None if known.unheld.contains_key(name) => {
            let why = known.unheld.get(name).map_or("", String::as_str);
            let message = format!("the finalizer that deletionPolicy: Delete needs could not be set: {why}");
            Verdict::at_it(ConditionStatus::False, "NoFinalizer", message)
        }
        None if targets.is_empty() => {
            let message = "it has no target: the statuses of its Environments say why";
            Verdict::idle("NoTargets", message)
        }
        None if waiting > 0 => {
            let message = format!("{waiting} of {} targets have had no turn yet", targets.len());
            Verdict::at_it(ConditionStatus::Unknown, "Progressing", message)
        }
        None => standing(&statuses),
    };
    let revisions: BTreeSet<&str> = statuses
        .iter()
        .map(|status| status.revision.as_str())
        .filter(|revision| !revision.is_empty())
        .collect();
    let (revision, short_revision) = match revisions.iter().copied().collect::<Vec<_>>().as_slice() {
        [] => (String::new(), String::new()),
        [revision] => ((*revision).to_owned(), short(revision)),
        several => (String::new(), format!("{} commits", several.len())),
    };
    let worst = |words: Option<String>| words.unwrap_or_default();
    let more = statuses.len().saturating_sub(LISTED);
    Some(AppStatus {
        observed_generation: resource.generation(),
        conditions: verdict.conditions(resource, now),
        sync: worst(statuses.iter().map(|status| status.sync).max().map(|sync| sync.to_string())),
        health: worst(statuses.iter().map(|status| status.health).max().map(|health| health.to_string())),
        revision,
        short_revision,
        targets: statuses.iter().take(LISTED).map(|status| summary(status)).collect(),
        more_targets: (more > 0).then(|| u32::try_from(more).unwrap_or(u32::MAX)),
    })
}

/// What the targets say together: the worst of them speaks. They come the worst first.
fn standing(statuses: &[&TargetStatus]) -> Verdict {
    let all = statuses.len();
    let unsettled = statuses.iter().filter(|status| !status.is_settled()).count();
    let Some(worst) = statuses.iter().find(|status| !status.is_settled()) else {
        return Verdict::ready("Synced", format!("{all} of {all} targets are Synced and Healthy"));
    };
    let others = if unsettled > 1 { format!(" (and {} more)", unsettled - 1) } else { String::new() };
    let why = worst.message.lines().next().unwrap_or_default();
    let message = format!("{}: {} and {}: {why}{others}", worst.target, worst.sync, worst.health);
    if worst.suspended {
        return Verdict::idle("Suspended", message);
    }
    match (worst.sync, worst.health) {
        (SyncStatus::Unknown, _) => Verdict::at_it(ConditionStatus::Unknown, "Unknown", message),
        (SyncStatus::Failed, _) => Verdict::at_it(ConditionStatus::False, "SyncFailed", message),
        (SyncStatus::Syncing, _) => Verdict::at_it(ConditionStatus::False, "Syncing", message),
        (SyncStatus::OutOfSync, _) => Verdict::idle("OutOfSync", message),
        (SyncStatus::Synced, HealthStatus::Unknown) => {
            Verdict::at_it(ConditionStatus::Unknown, "HealthUnknown", message)
        }
        (SyncStatus::Synced, HealthStatus::Degraded) => Verdict::idle("Degraded", message),
        (SyncStatus::Synced, HealthStatus::Suspended) => Verdict::idle("Suspended", message),
        (SyncStatus::Synced, HealthStatus::Progressing | HealthStatus::Missing | HealthStatus::Healthy) => {
            Verdict::at_it(ConditionStatus::False, "Progressing", message)
        }
    }
}

fn summary(status: &TargetStatus) -> TargetSummary {
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    TargetSummary {
        name: status.target.clone(),
        sync: status.sync.to_string(),
        health: status.health.to_string(),
        revision: status.revision.clone(),
        objects: count(status.objects),
        drifted: (status.drifted > 0).then(|| count(status.drifted)),
        message: cut(status.message.lines().next().unwrap_or_default(), LONGEST_OF_TARGET),
    }
}

/// Whether a status says something else than the one before about whether the resource is ready, and why: what an Event tells.
pub fn news(before: &Value, after: &Value) -> Option<Condition> {
    let ready = |status: &Value| -> Option<Condition> {
        let conditions = status.get("conditions")?.as_array()?;
        let ready = conditions.iter().find(|one| one.get("type").is_some_and(|kind| kind == "Ready"))?;
        serde_json::from_value(ready.clone()).ok()
    };
    let (before, after) = (ready(before), ready(after)?);
    let same = before.is_some_and(|before| before.status == after.status && before.reason == after.reason);
    (!same).then_some(after)
}

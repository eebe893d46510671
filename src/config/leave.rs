//! What Apps that are being deleted have to prune, and where that is.
//!
//! Enters: an App as it was written last, what else is declared, and the targets as they were before. Leaves: its targets, with
//! the reasons where some cannot be told, and the names of those that nobody can find any more. Absent: what is there of them.

use super::Target;
use super::app::{AppSpec, DeletionPolicy};
use super::resolve::{Declarations, Resolver, target_name};
use super::resource::{Declared, Kind};
use std::collections::BTreeMap;

/// What becomes of an App that is being deleted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Leaving {
    /// Whether anything is to be pruned.
    pub policy: DeletionPolicy,
    /// The targets that can be found.
    pub targets: Vec<Target>,
    /// Why others cannot be found yet.
    pub waits: Vec<String>,
    /// Names of those that nobody can find any more: their Cluster or Environment is gone.
    pub gone: Vec<String>,
    /// Apps that this one waited for.
    pub depends_on: Vec<String>,
}

impl Leaving {
    /// An App of which it cannot be told what it applied, and why.
    pub fn unknown(why: String) -> Self {
        Self { policy: DeletionPolicy::Delete, waits: vec![why], ..Self::default() }
    }

    /// An App that leaves everything as it is.
    pub fn orphans() -> Self {
        Self::default()
    }
}

impl Declarations {
    /// What has to be pruned for an App that is being deleted. `before` are the targets as the configuration said last: an Environment
    /// that is deleted together with its Apps is known by them.
    pub fn leaving(&self, app: &Declared<AppSpec>, before: &[Target]) -> Leaving {
        if app.spec.deletion_policy == DeletionPolicy::Orphan || app.spec.suspend {
            return Leaving::orphans();
        }
        let mut leaving = Leaving {
            policy: DeletionPolicy::Delete,
            depends_on: app.spec.depends_on.clone(),
            ..Leaving::default()
        };
        let own = |target: &&Target| target.app == app.metadata.name;
        for name in &app.spec.environments {
            let before = before.iter().filter(own).filter(|target| target.environment == *name);
            if self.environments.contains_key(name) {
                self.leave_environment(app, name, before, &mut leaving);
                continue;
            }
            let shown = format!("{}@{name}", app.metadata.name);
            if self.is_broken(Kind::Environment, name) {
                leaving.waits.push(format!("{shown}: {}", unusable(Kind::Environment, name)));
                continue;
            }
            let mut before = before.peekable();
            if before.peek().is_none() {
                leaving.gone.push(shown);
            }
            for target in before {
                self.leave_target(&target.name, &target.cluster, Some(target.clone()), &mut leaving);
            }
        }
        leaving
    }

    fn leave_environment<'b>(
        &self,
        app: &Declared<AppSpec>,
        name: &str,
        before: impl Iterator<Item = &'b Target>,
        leaving: &mut Leaving,
    ) {
        let Some(environment) = self.environments.get(name) else { return };
        // What it renders does not matter any more, and cannot be what is wrong.
        let bare = AppSpec { reference: None, path: None, helm: None, ..app.spec.clone() };
        let bare = Declared { spec: bare, ..app.clone() };
        let mut before: BTreeMap<&str, &Target> =
            before.map(|target| (target.cluster.as_str(), target)).collect();
        let mut resolver = Resolver { declared: self, findings: Vec::new() };
        let mut clusters: Vec<&str> = resolver.clusters(environment);
        let named = environment.spec.clusters.iter().flat_map(|clusters| &clusters.names);
        clusters.extend(named.chain(&environment.spec.cluster).map(String::as_str));
        clusters.sort_unstable();
        clusters.dedup();
        for cluster in clusters {
            let shown = target_name(&app.metadata.name, environment, cluster);
            let target = resolver.target(&bare, environment, cluster);
            let target = target.or_else(|| before.get(cluster).copied().cloned());
            before.remove(cluster);
            self.leave_target(&shown, cluster, target, leaving);
        }
        // A selector chose them, and does not any more because they are not there.
        for (cluster, target) in before {
            if !self.clusters.contains_key(cluster) {
                self.leave_target(&target.name, cluster, None, leaving);
            }
        }
    }

    fn leave_target(&self, shown: &str, cluster: &str, target: Option<Target>, leaving: &mut Leaving) {
        if self.is_broken(Kind::Cluster, cluster) {
            leaving.waits.push(format!("{shown}: {}", unusable(Kind::Cluster, cluster)));
        } else if !self.clusters.contains_key(cluster) {
            leaving.gone.push(shown.to_owned());
        } else if let Some(target) = target {
            // It follows no commit and has no place among other clusters.
            leaving.targets.push(Target { rollout: None, depends_on: Vec::new(), ..target });
        } else {
            let why =
                "it cannot be told in which namespace it is; correct the App, or set deletionPolicy: Orphan";
            leaving.waits.push(format!("{shown}: {why}"));
        }
    }

    fn is_broken(&self, kind: Kind, name: &str) -> bool {
        let is_declared = self.is_declared(kind, name);
        !is_declared && self.known.contains(&(kind, name.to_owned()))
    }
}

fn unusable(kind: Kind, name: &str) -> String {
    format!("{kind} `{name}` cannot be used: its own status says why")
}

/// All targets that leave, those that others waited for after the others: what came first goes last.
pub(super) fn in_reverse(leaving: &BTreeMap<String, Leaving>) -> Vec<Target> {
    let mut targets: Vec<Target> = leaving.values().flat_map(|one| &one.targets).cloned().collect();
    let meets = |one: &Leaving, other: &Leaving| {
        one.targets.iter().any(|a| other.targets.iter().any(|b| a.environment == b.environment))
    };
    for target in &mut targets {
        let Some(own) = leaving.get(&target.app) else { continue };
        let dependents = leaving.values().filter(|one| one.depends_on.contains(&target.app));
        for dependent in dependents {
            let together = meets(own, dependent);
            let goes_first = dependent.targets.iter().filter(|other| {
                other.cluster == target.cluster && (!together || other.environment == target.environment)
            });
            target.depends_on.extend(goes_first.map(|other| other.name.clone()));
        }
    }
    targets.sort_by(|a, b| a.name.cmp(&b.name));
    targets
}

//! What trueup is asked to do: two clusters, two environments, and two apps that come, go and move.

use crate::content::APPS;
use crate::random::Random;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{LazyLock, Mutex};
use trueup::config::{self, Config};
use trueup_plan::apply_set;

/// The namespaces that there are.
pub(crate) const NAMESPACES: [&str; 3] = ["test", "prod", "spare"];

/// A target, as it is known without asking trueup.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) app: &'static str,
    environment: &'static str,
    pub(crate) cluster: &'static str,
    pub(crate) namespace: &'static str,
    /// The name of its record.
    pub(crate) parent: String,
    /// The id of its set.
    pub(crate) set: String,
}

/// All targets that there may be. One that moves is there twice, of which one is configured at most.
pub(crate) static TARGETS: LazyLock<[Target; 5]> = LazyLock::new(|| {
    [
        target("web@test", ["web", "test", "a", "test"]),
        target("web@prod/a", ["web", "prod", "a", "prod"]),
        target("web@prod/b", ["web", "prod", "b", "prod"]),
        target("db@test", ["db", "test", "a", "test"]),
        target("db@test", ["db", "test", "a", "spare"]),
    ]
});

fn target(name: &'static str, [app, environment, cluster, namespace]: [&'static str; 4]) -> Target {
    let parent = apply_set::parent_name(app, environment);
    let set = apply_set::id(&parent, namespace);
    Target { name, app, environment, cluster, namespace, parent, set }
}

/// What the configuration says, as far as it changes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Layout {
    /// The environments that `web` goes to.
    web: BTreeSet<&'static str>,
    /// Whether there is `db`.
    db: bool,
    /// Whether `db` is in a namespace of its own.
    is_moved: bool,
    /// Whether `web` waits for `db`.
    waits: bool,
    suspended: BTreeSet<&'static str>,
    atomic: BTreeSet<&'static str>,
}

impl Layout {
    /// How a run begins: with one target at least, with four at most. Small worlds show as much of what goes wrong between a few things
    /// as large ones do, and more of them can be tried.
    pub(crate) fn first(random: &mut Random) -> Self {
        let web: &[&str] =
            random.weighted(&[(2, &["test"] as &[&str]), (1, &["prod"]), (1, &["test", "prod"])]);
        Self {
            web: web.iter().copied().collect(),
            db: random.happens(500),
            is_moved: false,
            waits: false,
            suspended: BTreeSet::new(),
            atomic: BTreeSet::new(),
        }
    }

    /// Changes something.
    pub(crate) fn change(&mut self, random: &mut Random) {
        let app = *random.pick(&APPS).unwrap_or(&"web");
        match random.below(7) {
            0 => toggle(&mut self.web, if random.happens(500) { "test" } else { "prod" }),
            1 => self.db = !self.db,
            2 => self.is_moved = !self.is_moved,
            3 => self.waits = !self.waits,
            4 => toggle(&mut self.atomic, app),
            _ => toggle(&mut self.suspended, app),
        }
        if self.web.is_empty() {
            self.web.insert("test");
        }
    }

    /// Ends what holds targets up.
    pub(crate) fn resume(&mut self) {
        self.suspended.clear();
    }

    /// Whether `web` waits for `db`.
    pub(crate) fn is_waiting(&self) -> bool {
        self.waits && self.db
    }

    /// Whether the target is configured, in this place.
    pub(crate) fn has(&self, target: &Target) -> bool {
        match target.app {
            "db" => self.db && (target.namespace == "spare") == self.is_moved,
            _ => self.web.contains(target.environment),
        }
    }

    /// Whether the target is configured in another place.
    pub(crate) fn has_moved(&self, target: &Target) -> bool {
        !self.has(target) && TARGETS.iter().any(|other| other.name == target.name && self.has(other))
    }

    fn text(&self) -> String {
        let flags = |app: &str| {
            let is = |set: &BTreeSet<&str>| set.contains(app);
            format!("suspend: {}, atomic: {}", is(&self.suspended), is(&self.atomic))
        };
        let web: Vec<&str> = self.web.iter().copied().collect();
        let waits = if self.waits && self.db { "dependsOn: [db], " } else { "" };
        let mut text = format!(
            "{CONFIG}---\napiVersion: trueup.dev/v1alpha1\nkind: App\nmetadata: {{name: web}}\n\
             spec: {{repository: config, path: apps/web, environments: [{}], {waits}{}}}\n",
            web.join(", "),
            flags("web")
        );
        if self.db {
            let namespace = if self.is_moved { "namespace: spare, " } else { "" };
            let database = format!(
                "---\napiVersion: trueup.dev/v1alpha1\nkind: App\nmetadata: {{name: db}}\n\
                 spec: {{repository: config, path: apps/db, environments: [test], {namespace}{}}}\n",
                flags("db")
            );
            text.push_str(&database);
        }
        text
    }

    /// The configuration. Reading one takes longer than many steps, and there are few.
    pub(crate) fn config(&self) -> Config {
        static LOADED: Mutex<BTreeMap<String, Config>> = Mutex::new(BTreeMap::new());
        let text = self.text();
        let known = LOADED.lock().unwrap().get(&text).cloned();
        known.unwrap_or_else(|| {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("trueup.yaml");
            std::fs::write(&path, &text).unwrap();
            let config = config::load(&path).unwrap();
            LOADED.lock().unwrap().insert(text, config.clone());
            config
        })
    }
}

fn toggle(set: &mut BTreeSet<&'static str>, one: &'static str) {
    if !set.remove(one) {
        set.insert(one);
    }
}

// Nothing is looked at without a reason for so long that a lost reason is noticed.
const CONFIG: &str = "
apiVersion: trueup.dev/v1alpha1
kind: Repository
metadata: {name: config}
spec: {url: 'https://git.sim/config.git', interval: 3s}
---
apiVersion: trueup.dev/v1alpha1
kind: Cluster
metadata: {name: a}
spec: {kubeconfig: {path: /none}}
---
apiVersion: trueup.dev/v1alpha1
kind: Cluster
metadata: {name: b}
spec: {kubeconfig: {path: /none}}
---
apiVersion: trueup.dev/v1alpha1
kind: Environment
metadata: {name: test}
spec: {cluster: a, namespace: test, sync: {interval: 12h}}
---
apiVersion: trueup.dev/v1alpha1
kind: Environment
metadata: {name: prod}
spec: {clusters: {names: [a, b]}, namespace: prod, sync: {interval: 12h}}
";

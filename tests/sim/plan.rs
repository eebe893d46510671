//! What trueup is asked to do in every run: two clusters, two environments, two apps.

use std::sync::LazyLock;
use trueup::config::{self, Config};
use trueup_plan::apply_set;

/// The namespaces that there are.
pub(crate) const NAMESPACES: [&str; 2] = ["test", "prod"];

/// A target, as it is known without asking trueup.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) app: &'static str,
    environment: &'static str,
    pub(crate) cluster: &'static str,
    pub(crate) namespace: &'static str,
}

/// All targets.
pub(crate) const TARGETS: [Target; 4] = [
    Target { name: "web@test", app: "web", environment: "test", cluster: "a", namespace: "test" },
    Target { name: "web@prod/a", app: "web", environment: "prod", cluster: "a", namespace: "prod" },
    Target { name: "web@prod/b", app: "web", environment: "prod", cluster: "b", namespace: "prod" },
    Target { name: "db@test", app: "db", environment: "test", cluster: "a", namespace: "test" },
];

impl Target {
    pub(crate) fn parent(&self) -> String {
        apply_set::parent_name(self.app, self.environment)
    }

    pub(crate) fn set(&self) -> String {
        apply_set::id(&self.parent(), self.namespace)
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
---
apiVersion: trueup.dev/v1alpha1
kind: App
metadata: {name: web}
spec: {repository: config, path: apps/web, environments: [test, prod]}
---
apiVersion: trueup.dev/v1alpha1
kind: App
metadata: {name: db}
spec: {repository: config, path: apps/db, environments: [test]}
";

/// The configuration.
pub(crate) fn config() -> Config {
    static LOADED: LazyLock<Config> = LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trueup.yaml");
        std::fs::write(&path, CONFIG).unwrap();
        config::load(&path).unwrap()
    });
    LOADED.clone()
}

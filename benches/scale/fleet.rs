//! What is configured and what is in Git: apps with a base of ten objects, and an overlay for each cluster.

use std::fmt::Write as _;

use trueup_model::tree::MemoryTree;

use crate::Size;
use crate::site::NAMESPACE;

pub(crate) fn cluster(index: usize) -> String {
    format!("c-{index:04}")
}

/// All clusters form one environment, and each app goes to it.
pub(crate) fn configuration(size: Size) -> String {
    let mut text = format!(
        "apiVersion: trueup.dev/v1alpha1\nkind: Repository\nmetadata: {{name: fleet}}\n\
         spec: {{url: 'https://git.example.com/fleet.git', interval: 10m}}\n---\n\
         apiVersion: trueup.dev/v1alpha1\nkind: Environment\nmetadata: {{name: fleet}}\n\
         spec: {{clusters: {{selector: {{matchLabels: {{fleet: all}}}}}}, namespace: {NAMESPACE}}}\n"
    );
    // Writing to a String cannot fail.
    for index in 0..size.clusters {
        let _ = write!(
            text,
            "---\napiVersion: trueup.dev/v1alpha1\nkind: Cluster\n\
             metadata: {{name: {}, labels: {{fleet: all}}}}\nspec: {{kubeconfig: {{path: /none}}}}\n",
            cluster(index)
        );
    }
    for app in 0..size.apps {
        let _ = write!(
            text,
            "---\napiVersion: trueup.dev/v1alpha1\nkind: App\nmetadata: {{name: app-{app}}}\n\
             spec: {{repository: fleet, path: 'apps/{{app}}/{{cluster}}', environments: [fleet]}}\n"
        );
    }
    text
}

/// All files; `turn` is a value in the base of each app.
pub(crate) fn tree(size: Size, turn: usize) -> MemoryTree {
    let mut tree = MemoryTree::new();
    for app in 0..size.apps {
        tree.insert(&format!("apps/app-{app}/base/kustomization.yaml"), "resources: [all.yaml]\n");
        tree.insert(&format!("apps/app-{app}/base/all.yaml"), base(app, size.objects, turn));
        for index in 0..size.clusters {
            tree.insert(&overlay_path(app, index), overlay(app, index, 0));
        }
    }
    tree
}

pub(crate) fn overlay_path(app: usize, index: usize) -> String {
    format!("apps/app-{app}/{}/kustomization.yaml", cluster(index))
}

/// An overlay with a value of its own.
pub(crate) fn overlay(app: usize, index: usize, turn: usize) -> String {
    format!(
        "resources: [../base]\npatches:\n- patch: |-\n    apiVersion: v1\n    kind: ConfigMap\n    metadata: {{name: {}}}\n    data: {{cluster: {}, turn: '{turn}'}}\n",
        object(app, 0),
        cluster(index)
    )
}

/// The name of an object of an app; the first one is a `ConfigMap`.
pub(crate) fn object(app: usize, index: usize) -> String {
    format!("app-{app}-{index}")
}

/// Five kinds of objects that no controller makes others of.
fn base(app: usize, objects: usize, turn: usize) -> String {
    let mut text = String::new();
    for index in 0..objects {
        let name = object(app, index);
        let (version, kind, rest) = match index % 10 {
            6 => ("v1", "Service", "spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}"),
            7 => ("v1", "ServiceAccount", "automountServiceAccountToken: false"),
            8 => ("v1", "Secret", "stringData: {password: hunter2}"),
            9 => (
                "rbac.authorization.k8s.io/v1",
                "Role",
                "rules: [{apiGroups: [''], resources: [configmaps], verbs: [get, list, watch]}]",
            ),
            _ => ("v1", "ConfigMap", "data: {level: info, retries: '3', url: 'https://api.example.com/v2'}"),
        };
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "---\napiVersion: {version}\nkind: {kind}\nmetadata:\n  name: {name}\n  labels: {{app: web, turn: 't{turn}'}}\n{rest}\n"
        );
    }
    text
}

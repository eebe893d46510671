//! What is in Git and what is configured: apps with a base, and an overlay for each cluster.

use anyhow::Result;
use std::fmt::Write as _;
use trueup_testkit::GitRepo;

use crate::Size;
use crate::clusters::{self, Clusters};

/// All files; `turn` is a value in the base of each app.
pub(crate) fn write(repository: &GitRepo, size: Size) -> Result<()> {
    for app in 0..size.apps {
        repository.write(&format!("apps/app-{app}/base/kustomization.yaml"), b"resources: [all.yaml]\n")?;
        for index in 0..size.clusters {
            repository.write(&overlay_path(app, index), overlay(app, index, 0).as_bytes())?;
        }
    }
    write_bases(repository, size, 0)
}

/// Changes each object of all.
pub(crate) fn write_bases(repository: &GitRepo, size: Size, turn: usize) -> Result<()> {
    for app in 0..size.apps {
        let text = base(app, size.objects, turn);
        repository.write(&format!("apps/app-{app}/base/all.yaml"), text.as_bytes())?;
    }
    Ok(())
}

pub(crate) fn overlay_path(app: usize, index: usize) -> String {
    format!("apps/app-{app}/{}/kustomization.yaml", clusters::name(index))
}

/// An overlay with a value of its own.
pub(crate) fn overlay(app: usize, index: usize, turn: usize) -> String {
    format!(
        "resources: [../base]\npatches:\n- patch: |-\n    apiVersion: v1\n    kind: ConfigMap\n    metadata: {{name: {}}}\n    data: {{cluster: {}, turn: '{turn}'}}\n",
        object(app, 0),
        clusters::name(index)
    )
}

/// The name of an object of an app; the first one is a `ConfigMap`.
pub(crate) fn object(app: usize, index: usize) -> String {
    format!("app-{app}-{index}")
}

/// Five kinds of objects that no controller makes others of, and of which a server has as many as one likes.
fn base(app: usize, objects: usize, turn: usize) -> String {
    let mut text = String::new();
    for index in 0..objects {
        let name = object(app, index);
        let (version, kind, rest) = match index % 10 {
            6 => ("networking.k8s.io/v1", "NetworkPolicy", "spec: {podSelector: {}, policyTypes: [Ingress]}"),
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

/// All clusters form one environment, and each app goes to it, into the namespace of the cluster's name.
pub(crate) fn configuration(repository: &GitRepo, size: Size, clusters: &Clusters) -> String {
    let mut text = format!(
        "apiVersion: trueup.dev/v1alpha1\nkind: Repository\nmetadata: {{name: fleet}}\n\
         spec: {{url: '{}', ref: {{branch: main}}}}\n---\n\
         apiVersion: trueup.dev/v1alpha1\nkind: Environment\nmetadata: {{name: fleet}}\n\
         spec: {{clusters: {{selector: {{matchLabels: {{fleet: all}}}}}}}}\n",
        repository.bare_path().display()
    );
    // Writing to a String cannot fail.
    for index in 0..size.clusters {
        let _ = write!(
            text,
            "---\napiVersion: trueup.dev/v1alpha1\nkind: Cluster\n\
             metadata: {{name: {}, labels: {{fleet: all}}}}\nspec: {{kubeconfig: {{path: '{}'}}}}\n",
            clusters::name(index),
            clusters.kubeconfig(index).display()
        );
    }
    for app in 0..size.apps {
        let _ = write!(
            text,
            "---\napiVersion: trueup.dev/v1alpha1\nkind: App\nmetadata: {{name: app-{app}}}\n\
             spec: {{repository: fleet, path: 'apps/{{app}}/{{cluster}}', environments: [fleet], namespace: '{{cluster}}'}}\n"
        );
    }
    text
}

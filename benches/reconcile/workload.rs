//! The app that everybody applies.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// A kustomization of `ConfigMaps`, a file each.
#[derive(Clone, Debug)]
pub(crate) struct App {
    pub(crate) namespace: String,
    pub(crate) objects: usize,
}

impl App {
    /// The kustomization, and the files that it names.
    pub(crate) fn files(&self) -> Vec<(String, String)> {
        let mut root = format!(
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: {}\nlabels:\n  - pairs:\n      bench: reconcile\nresources:\n",
            self.namespace
        );
        let mut files = Vec::with_capacity(self.objects + 1);
        for index in 0..self.objects {
            // Writing to a String cannot fail.
            let _ = writeln!(root, "  - {}", file(index));
            files.push((file(index), text(index, 0)));
        }
        files.push(("kustomization.yaml".to_owned(), root));
        files
    }

    /// The path of an object in the API.
    pub(crate) fn path(&self, index: usize) -> String {
        format!("/api/v1/namespaces/{}/configmaps/{}", self.namespace, name(index))
    }

    /// An object as kustomize renders it.
    pub(crate) fn rendered(&self, index: usize, version: usize) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name(index), "namespace": self.namespace, "labels": {"bench": "reconcile"}},
            "data": {
                "version": format!("v{version}"),
                "url": format!("https://service-{index}.example.com/"),
                "timeout": "30s",
                "settings.ini": SETTINGS,
            },
        })
    }
}

const SETTINGS: &str = "[cache]\nsize = 512\nttl = 300\n\n[log]\nlevel = info\nformat = json\n";

/// The file of an object.
pub(crate) fn file(index: usize) -> String {
    format!("{}.yaml", name(index))
}

/// The text of that file.
pub(crate) fn text(index: usize, version: usize) -> String {
    let settings = SETTINGS.replace('\n', "\n    ");
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {}\ndata:\n  version: v{version}\n  url: https://service-{index}.example.com/\n  timeout: 30s\n  settings.ini: |\n    {}\n",
        name(index),
        settings.trim_end()
    )
}

fn name(index: usize) -> String {
    format!("settings-{index:05}")
}

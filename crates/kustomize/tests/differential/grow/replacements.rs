//! Replacements with all their options.

use super::{Files, Numbers};
use std::fmt::Write as _;

const FIELDS: &[&str] = &[
    "metadata.name",
    "metadata.labels.app",
    "metadata.namespace",
    "data.a",
    "data.[b.c]",
    "data.b\\.c",
    "spec.replicas",
    "spec.text",
    "spec.template.spec.containers.0.image",
    "spec.template.spec.containers.[name=main].image",
    "spec.template.spec.containers.*.image",
    "spec.list.[name=one].value",
    "spec.list.*.name",
    "spec.ports.0.port",
    "metadata.annotations.[x.y/z]",
    "spec.list.[name=nine].value",
    "kind",
    "spec.list.0",
    "spec.template.metadata.labels",
    "spec.ref",
    "spec.list",
    "spec.list.-.value",
    "data.json.host",
    "data.[inner.yaml].host",
    "data.inner\\.yaml.ports.0",
    "spec.ref.name",
    "spec.derived.x",
    "spec.template.spec.containers.[image=nginx].image",
    "spec.template.spec.containers.*.env.[name=A].value",
    "webhooks.*.clientConfig.service.namespace",
    "subjects.[kind=ServiceAccount].name",
    "metadata.annotations.note",
    "metadata.labels",
    "data",
    "spec.list.5",
    "spec.list.[name=w.*].value",
];

/// A field that objects of the kind have more often than not.
fn likely(kind: &str, n: &mut Numbers) -> &'static str {
    match kind {
        "Deployment" | "StatefulSet" | "DaemonSet" => n.pick(&[
            "spec.replicas",
            "spec.template.spec.containers.[name=main].image",
            "spec.template.metadata.labels.app",
            "spec.template.metadata.labels",
        ]),
        "ConfigMap" => "data.a",
        "Widget" => {
            n.pick(&["spec.text", "spec.list", "spec.list.[name=one].value", "spec.ref.name", "spec.empty"])
        }
        "Service" => n.pick(&["spec.ports.0.port", "spec.selector", "spec.ports.[name=http].protocol"]),
        _ => n.pick(&["metadata.name", "kind", "apiVersion"]),
    }
}

pub(super) fn replacements(n: &mut Numbers, files: &mut Files, path: &str) -> String {
    let mut text = source(n);
    text.push_str("  targets:\n");
    for _ in 0..=n.below(2) {
        text.push_str(&target(n));
    }
    if n.one_in(4) {
        files.insert(format!("{path}/repl.yaml"), text);
        return "replacements:\n- path: repl.yaml\n".to_owned();
    }
    format!("replacements:\n{text}")
}

fn source(n: &mut Numbers) -> String {
    let (_, kind, name) = n.aim();
    let mut text = format!("- source:\n    kind: {kind}\n");
    if !n.one_in(8) {
        let _ = writeln!(text, "    name: {name}");
    }
    if !n.one_in(3) {
        let field = if n.one_in(3) { n.pick(FIELDS) } else { likely(kind, n) };
        let _ = writeln!(text, "    fieldPath: {field}");
    }
    if n.one_in(4) {
        let _ = writeln!(
            text,
            "    options:\n      delimiter: {}\n      index: {}",
            n.pick(&["':'", "'-'", "'.'", "''"]),
            n.pick(&["0", "1", "-1", "5"])
        );
    }
    if n.one_in(12) {
        let _ = writeln!(
            text,
            "    {}",
            n.pick(&["group: apps", "version: v1", "namespace: default", "namespace: prod", "group: ''"])
        );
    }
    if n.one_in(25) {
        text = format!("- sourceValue: {}\n", n.pick(&["plain", "'5'", "a:b"]));
    }
    text
}

fn target(n: &mut Numbers) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "  - select:\n      kind: {}", n.aim().1);
    if n.one_in(3) {
        let _ = writeln!(text, "      name: {}", n.pick(&["web", "db", "w.*"]));
    }
    if n.one_in(8) {
        let _ = writeln!(
            text,
            "      {}",
            n.pick(&[
                "labelSelector: app",
                "annotationSelector: note=blue",
                "namespace: prod",
                "version: v1",
                "group: apps",
                "labelSelector: app!=blue"
            ])
        );
    }
    if n.one_in(4) {
        let _ = writeln!(
            text,
            "    reject:\n    - {}",
            n.pick(&[
                "name: web",
                "name: w.*",
                "name: db",
                "kind: Deployment",
                "labelSelector: app",
                "namespace: prod",
                "kind: Secret\n      name: db"
            ])
        );
    }
    if !n.one_in(8) {
        let field = if n.one_in(2) {
            n.pick(FIELDS)
        } else {
            n.pick(&["metadata.name", "metadata.annotations.made", "spec.made"])
        };
        let _ = writeln!(text, "    fieldPaths:\n    - {field}");
    }
    if !n.one_in(4) {
        let _ = writeln!(text, "    options:");
        let _ = writeln!(
            text,
            "      {}",
            n.pick(&[
                "create: true",
                "create: true",
                "create: true",
                "create: true",
                "delimiter: ':'\n      index: 0",
                "delimiter: '-'\n      index: -1",
                "delimiter: ':'\n      index: 9",
                "create: true\n      delimiter: '.'\n      index: 1",
                "encoding: base64",
                "delimiter: /\n      index: -2",
            ])
        );
    }
    text
}

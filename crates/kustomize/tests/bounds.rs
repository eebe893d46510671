//! Small files that ask for much: each is refused with the reason, in no time, whatever it would have become.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use trueup_kustomize::{Options, build};
use trueup_model::{Entry, MemoryTree, Tree, TreeError};

const SETTINGS: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {k: {v: ";

fn refused(kustomization: &str, reason: &str) {
    let settings = format!("{SETTINGS}{}}}}}\n", "w".repeat(100_000));
    let files = [("kustomization.yaml", kustomization), ("a.yaml", &settings)];
    let tree = MemoryTree::from_iter(files);
    let errors = build(&tree, "", &Options::default()).unwrap_err().to_string();
    assert!(errors.contains(reason), "{errors}");
}

fn patched(operations: impl Iterator<Item = String>) -> String {
    let operations: Vec<String> = operations.collect();
    format!(
        "resources: [a.yaml]\npatches:\n- target: {{kind: ConfigMap}}\n  patch: |-\n    - {}\n",
        operations.join("\n    - ")
    )
}

#[test]
fn copies_of_copies_stay_below_a_size() {
    let copies = (0..60).map(|at| format!("{{op: copy, from: /data, path: /data/c{at}}}"));
    refused(&patched(copies), "MiB");
    let mut text = "resources: [a.yaml]\nreplacements:\n".to_owned();
    for _ in 0..60 {
        let source = "{kind: ConfigMap, fieldPath: data.k.v}";
        let target =
            "{select: {kind: ConfigMap}, fieldPaths: [data.k.v], options: {delimiter: x, index: 99999999}}";
        let _ = write!(text, "- source: {source}\n  targets: [{target}]\n");
    }
    refused(&text, "MiB");
}

#[test]
fn patches_that_nest_each_time_stay_above_a_depth() {
    let mut path = "/data".to_owned();
    let deeper = (0..300).map(|at| {
        let _ = write!(path, "/d{at}");
        format!("{{op: add, path: {path}, value: {{}}}}")
    });
    refused(&patched(deeper), "levels are nested");
}

#[test]
fn a_path_of_a_great_many_parts_is_refused() {
    let path = "a.".repeat(100_000) + "a";
    let select = "{kind: ConfigMap}";
    refused(
        &format!(
            "resources: [a.yaml]\nreplacements:\n- sourceValue: x\n  targets:\n  - select: {select}\n    fieldPaths: ['{path}']\n    options: {{create: true}}\n"
        ),
        "levels are nested",
    );
    let path = path.replace('.', "/");
    refused(
        &format!(
            "resources: [a.yaml]\nlabels:\n- pairs: {{a: b}}\n  fields:\n  - {{path: '{path}', create: true}}\n"
        ),
        "levels are nested",
    );
}

/// Counts how often a file is read.
struct Counted(MemoryTree, AtomicUsize);

impl Tree for Counted {
    fn entry(&self, path: &str) -> Result<Option<Entry>, TreeError> {
        self.0.entry(path)
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, TreeError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.read(path)
    }

    fn list(&self, path: &str) -> Result<Vec<(String, Entry)>, TreeError> {
        self.0.list(path)
    }
}

#[test]
fn a_base_that_is_named_thousands_of_times_is_not_read_as_often() {
    let overlay = format!("resources:\n{}", "- ../base\n".repeat(20_000));
    let tree = MemoryTree::from_iter([
        ("top/kustomization.yaml", overlay.as_str()),
        ("base/kustomization.yaml", "resources: [a.yaml]\n"),
        ("base/a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"),
    ]);
    let counted = Counted(tree, AtomicUsize::new(0));
    let errors = build(&counted, "top", &Options::default()).unwrap_err().to_string();
    assert!(errors.contains("is there already"), "{errors}");
    let reads = counted.1.into_inner();
    assert!(reads < 1000, "{reads} reads");
}

#[test]
fn a_component_that_is_named_thousands_of_times_is_refused() {
    let overlay = format!("resources: [a.yaml]\ncomponents:\n{}", "- ../part\n".repeat(5000));
    let tree = MemoryTree::from_iter([
        ("top/kustomization.yaml", overlay.as_str()),
        ("top/a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"),
        (
            "part/kustomization.yaml",
            "kind: Component\nnamePrefix: a-\nvars: [{name: V, objref: {kind: ConfigMap, name: a}}]\n",
        ),
    ]);
    let errors = build(&tree, "top", &Options::default()).unwrap_err().to_string();
    assert!(errors.contains("names ../part more than"), "{errors}");
}

//! Small files that ask for much: each is refused with the reason, in no time, whatever it would have become.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::fmt::Write as _;
use trueup_kustomize::{Options, build};
use trueup_model::MemoryTree;

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
        let target = format!(
            "{{select: {{kind: ConfigMap}}, fieldPaths: [data.k.v], options: {{delimiter: x, index: 99999999}}}}"
        );
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

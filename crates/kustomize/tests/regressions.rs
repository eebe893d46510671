//! Differences from kustomize that were found once, mostly by random trees, and mended: `regressions` keeps a tree for each,
//! with kustomize's own answer. They need no Go; `differential` holds the answers themselves to kustomize.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

#[path = "differential/case.rs"]
mod case;

use case::{Case, ROOT};
use std::path::Path;
use trueup_kustomize::{Options, build};
use trueup_model::{MemoryTree, yaml};

/// `None` when the case holds, otherwise what is wrong.
fn check(case: &Case) -> Option<String> {
    let tree: MemoryTree = case.files.iter().collect();
    let ours = build(&tree, ROOT, &Options::default());
    let ours = ours.map(|manifests| {
        let printed: Vec<String> = manifests.iter().map(|manifest| yaml::to_yaml(&manifest.value)).collect();
        printed.join("---\n")
    });
    match (ours, case.answer.as_ref()?) {
        (Ok(ours), Ok(wanted)) => (ours != *wanted).then(|| format!("--- wanted\n{wanted}\n--- got\n{ours}")),
        (Ok(ours), Err(error)) => Some(format!("not refused; kustomize says {error}\n--- got\n{ours}")),
        (Err(errors), Ok(_)) => Some(format!("refused: {errors}")),
        (Err(_), Err(_)) => None,
    }
}

#[test]
fn what_once_differed_from_kustomize_is_rendered_or_refused_as_it_does() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/regressions");
    let mut wrong = Vec::new();
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let case = Case::read(&std::fs::read_to_string(&path).unwrap());
        count += 1;
        if let Some(message) = check(&case) {
            wrong.push(format!("{}: {}\n{message}", path.file_stem().unwrap().display(), case.why.trim()));
        }
    }
    assert!(count > 0, "there are no cases");
    wrong.sort();
    assert!(wrong.is_empty(), "{} of {count} cases are wrong:\n\n{}", wrong.len(), wrong.join("\n\n"));
}

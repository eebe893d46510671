//! Runs the cases recorded from kustomize's own test suite: the output must be equal to the byte, and what
//! kustomize refuses must be refused.
//!
//! `unsupported.txt` lists the cases that cannot hold, each with the reason. A listed case that holds fails
//! the test, and so does one that does not hold and is not listed.

#![allow(clippy::print_stdout, reason = "a test says what it compared, and what it lacks for it")]

#[allow(dead_code, reason = "other tests use the rest")]
mod recorded;

use recorded::Case;
use std::collections::BTreeMap;
use trueup_kustomize::build;
use trueup_model::{MemoryTree, yaml};

/// `None` when the case holds, otherwise what is wrong.
fn check(case: &Case) -> Option<String> {
    let tree: MemoryTree = case.files.iter().collect();
    match (build(&tree, &case.root, &case.options), &case.output, &case.error) {
        (Ok(manifests), Some(wanted), _) => {
            let printed: Vec<String> =
                manifests.iter().map(|manifest| yaml::to_yaml(&manifest.value)).collect();
            let printed = printed.join("---\n");
            (printed.trim() != wanted.trim()).then(|| {
                format!("the output differs\n--- wanted\n{}\n--- got\n{}", wanted.trim(), printed.trim())
            })
        }
        (Err(errors), Some(_), _) => Some(format!("refused: {errors}")),
        (Ok(_), None, Some(error)) => Some(format!("not refused; kustomize says: {error}")),
        (Err(_), None, Some(_)) => None,
        (_, None, None) => Some("the case has neither output nor error".to_owned()),
    }
}

#[test]
fn every_case_of_kustomizes_own_suite_holds() {
    let Some(cases) = recorded::chosen() else { return };
    let unsupported: BTreeMap<&str, &str> = include_str!("unsupported.txt")
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| line.split_once(": ").expect("NAME: REASON"))
        .collect();
    let (mut held, mut wrong) = (0, Vec::new());
    for case in cases {
        let name = &case.name;
        match (check(&case), unsupported.get(name.as_str())) {
            (None, None) => held += 1,
            (Some(_), Some(_)) => {}
            (None, Some(_)) => wrong.push(format!("{name}: holds; take it out of unsupported.txt")),
            (Some(message), None) => wrong.push(format!("{name}: {message}")),
        }
    }
    println!("{held} cases hold, {} are listed as unsupported", unsupported.len());
    assert!(wrong.is_empty(), "{} cases are wrong:\n\n{}", wrong.len(), wrong.join("\n\n"));
}

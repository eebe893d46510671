//! Runs the cases recorded from kustomize's own test suite: the output must be equal to the byte, and what
//! kustomize refuses must be refused.
//!
//! `unsupported.txt` lists the cases that cannot hold, each with the reason. A listed case that holds fails
//! the test, and so does one that does not hold and is not listed.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use trueup_kustomize::{LoadRestrictions, Options, Reorder, build};
use trueup_model::{MemoryTree, yaml};

#[derive(Deserialize)]
struct Case {
    root: String,
    load_restrictions: String,
    reorder: String,
    files: BTreeMap<String, String>,
    output: Option<String>,
    error: Option<String>,
}

fn cases_folder() -> PathBuf {
    std::env::var_os("TRUEUP_CONFORMANCE").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance"),
        PathBuf::from,
    )
}

/// `None` when the case holds, otherwise what is wrong.
fn check(case: &Case) -> Option<String> {
    let tree: MemoryTree =
        case.files.iter().map(|(path, text)| (path.trim_start_matches('/'), text)).collect();
    let options = Options {
        load_restrictions: match case.load_restrictions.as_str() {
            "LoadRestrictionsNone" => LoadRestrictions::None,
            _ => LoadRestrictions::RootOnly,
        },
        reorder: match case.reorder.as_str() {
            "none" => Reorder::None,
            "legacy" => Reorder::Legacy,
            _ => Reorder::Unspecified,
        },
    };
    let root = match trueup_model::tree::join("", case.root.trim_start_matches('/')) {
        Ok(root) => root,
        Err(error) => return Some(format!("the case's root cannot be read: {error}")),
    };
    match (build(&tree, &root, &options), &case.output, &case.error) {
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
    let folder = cases_folder().join("kustomize");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        eprintln!("the conformance cases are missing: there is no folder {}", folder.display());
        return;
    };
    let unsupported: BTreeMap<&str, &str> = include_str!("unsupported.txt")
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| line.split_once(": ").expect("NAME: REASON"))
        .collect();
    let only = std::env::var("CASE").ok();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let (mut held, mut wrong) = (0, Vec::new());
    for path in paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "json")) {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if only.as_ref().is_some_and(|only| *only != name) {
            continue;
        }
        let case: Case = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
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

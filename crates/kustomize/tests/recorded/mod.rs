//! The cases recorded from kustomize's own test suite, for the tests that build them.

#![allow(clippy::unwrap_used, reason = "a case that cannot be read is a failed test")]
#![allow(clippy::print_stdout, reason = "a test says what it lacks")]

use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use trueup_kustomize::{LoadRestrictions, Options, Reorder};
use trueup_model::tree;

/// Files, what is built of them and how, and what kustomize made of it.
pub(crate) struct Case {
    pub(crate) name: String,
    /// The folder that is built.
    pub(crate) root: String,
    pub(crate) options: Options,
    pub(crate) files: BTreeMap<String, String>,
    pub(crate) output: Option<String>,
    pub(crate) error: Option<String>,
}

/// A case as its file has it, with absolute paths.
#[derive(Deserialize)]
struct Written {
    root: String,
    load_restrictions: String,
    reorder: String,
    files: BTreeMap<String, String>,
    output: Option<String>,
    error: Option<String>,
}

impl Case {
    fn read(path: &Path) -> Self {
        let written: Written = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let files = written.files.into_iter();
        Self {
            name: path.file_stem().unwrap().to_string_lossy().into_owned(),
            root: tree::join("", written.root.trim_start_matches('/')).unwrap(),
            options: Options {
                load_restrictions: match written.load_restrictions.as_str() {
                    "LoadRestrictionsNone" => LoadRestrictions::None,
                    _ => LoadRestrictions::RootOnly,
                },
                reorder: match written.reorder.as_str() {
                    "none" => Reorder::None,
                    "legacy" => Reorder::Legacy,
                    _ => Reorder::Unspecified,
                },
            },
            files: files.map(|(path, text)| (path.trim_start_matches('/').to_owned(), text)).collect(),
            output: written.output,
            error: written.error,
        }
    }
}

/// All cases by name; `None`, and a word about it, where they are missing.
pub(crate) fn load() -> Option<Vec<Case>> {
    let folder = std::env::var_os("TRUEUP_CONFORMANCE").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance"),
        PathBuf::from,
    );
    let folder = folder.join("kustomize");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("the conformance cases are missing: there is no folder {}", folder.display());
        return None;
    };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    Some(paths.iter().map(|path| Case::read(path)).collect())
}

/// Those that are asked for: all, or the one that `CASE` names.
pub(crate) fn chosen() -> Option<Vec<Case>> {
    let only = std::env::var("CASE").ok();
    let mut cases = load()?;
    cases.retain(|case| only.as_ref().is_none_or(|only| *only == case.name));
    Some(cases)
}

//! What people really write: each object of renderings of real charts, in a trial apply as trueup makes it, is answered by both
//! servers alike.
//!
//! The renderings are no part of the repository: they are looked for beside it, or where `TRUEUP_CONFORMANCE` says.

use crate::definitions::Definition;
use crate::normal::differences;
use crate::operation::{APPLY, JSON, Operation};
use crate::random::Random;
use crate::run::Run;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use trueup_model::yaml::{self, Doubled, Reading};
use trueup_sandbox::kinds::Kinds;

fn renderings() -> Vec<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance");
    let root = std::env::var_os("TRUEUP_CONFORMANCE").map_or_else(beside, PathBuf::from).join("helm");
    let Ok(charts) = std::fs::read_dir(&root) else {
        println!("no charts below {}: nothing was compared", root.display());
        return Vec::new();
    };
    let folders = charts.flatten().map(|entry| entry.path()).filter(|path| path.is_dir());
    let files = folders.flat_map(|folder| std::fs::read_dir(folder).unwrap().flatten());
    let mut files: Vec<PathBuf> = files.map(|file| file.path()).collect();
    files.retain(|file| file.to_string_lossy().ends_with(".expected.yaml"));
    files.sort();
    files
}

/// A trial apply of an object; `None` for kinds that no server has by itself.
fn trial(kinds: &Kinds, mut object: Value) -> Option<Operation> {
    let (api_version, name) = (object["apiVersion"].as_str()?, object["kind"].as_str()?);
    let kind = kinds.iter().find(|kind| kind.kind == name && kind.is_in(api_version))?;
    let root = if kind.group.is_empty() { "/api" } else { "/apis" };
    let place = if kind.namespaced { "/namespaces/@ns@" } else { "" };
    let path =
        format!("{root}/{api_version}{place}/{}/{}", kind.plural, object["metadata"]["name"].as_str()?);
    object["metadata"].as_object_mut()?.remove("namespace");
    Some(trial_of(path, object))
}

fn documents(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap();
    let reading = Reading { doubled: Doubled::LastCounts, ..Reading::default() };
    let read = yaml::documents_as(&text, reading).unwrap_or_default();
    read.into_iter().map(|document| document.value).collect()
}

fn trial_of(path: String, body: Value) -> Operation {
    let query = [("fieldManager", "trueup"), ("dryRun", "All")];
    Operation {
        method: "PATCH",
        path,
        query: query.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        accept: JSON,
        media_type: APPLY,
        body: Some(body),
    }
}

#[test]
fn objects_of_real_charts_are_taken_alike() {
    let (files, kinds, run) = (renderings(), Kinds::built_in(), Run::start());
    let (mut known, mut compared, mut wrong) = (BTreeSet::new(), 0, Vec::new());
    for file in &files {
        let objects = documents(file).into_iter();
        let mut trials: Vec<Operation> = objects.filter_map(|object| trial(&kinds, object)).collect();
        trials.retain(|trial| known.insert(trial.to_string()));
        for (trial, [real, ours]) in trials.iter().zip(run.answers(&trials)) {
            compared += 1;
            let mut lines = differences(&real, &ours);
            // A controller inside the server writes definitions, and more is asked of their schemas.
            if trial.path.contains("customresourcedefinitions") {
                lines.retain(|line| line.starts_with(".code"));
            }
            if !lines.is_empty() {
                let place = file.strip_prefix(file.ancestors().nth(2).unwrap()).unwrap().display();
                wrong.push(format!("{place}: {trial}\n    {}", lines.join("\n    ")));
            }
        }
    }
    println!("{compared} objects of {} renderings", files.len());
    assert!(wrong.is_empty(), "{} are answered differently:\n{}", wrong.len(), wrong.join("\n\n"));
}

/// So many objects of each definition, of which each has more that is wrong than the one before.
const INSTANCES: usize = 6;

#[test]
fn objects_of_real_definitions_are_taken_alike() {
    let mut names = BTreeSet::new();
    let objects = renderings().into_iter().flat_map(|file| documents(&file));
    let definitions = objects.filter(|object| {
        object["kind"] == "CustomResourceDefinition" && names.insert(object["metadata"]["name"].to_string())
    });
    let run = Run::with(definitions.filter_map(Definition::read).collect());
    let (mut random, mut trials, mut wrong) = (Random::new(7), Vec::new(), Vec::new());
    for definition in run.definitions() {
        let objects = (0..INSTANCES).map(|index| definition.sparse(&mut random, index * index));
        // An apply stops at what has a wrong type, in any order; a creation tells all.
        trials.extend(objects.map(|object| Operation {
            method: "POST",
            media_type: JSON,
            ..trial_of(definition.collection(0), object)
        }));
    }
    for (trial, [real, ours]) in trials.iter().zip(run.answers(&trials)) {
        let lines = differences(&real, &ours);
        if !lines.is_empty() {
            wrong.push(format!("{trial}\n    {}", lines.join("\n    ")));
        }
    }
    println!("{} objects of {} definitions", trials.len(), run.definitions().len());
    assert!(wrong.is_empty(), "{} are answered differently:\n{}", wrong.len(), wrong.join("\n\n"));
}

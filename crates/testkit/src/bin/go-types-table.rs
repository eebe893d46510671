//! Writes how Go has the types that the sandbox knows, from the sources of the control plane's own module.
//!
//! `cargo run -p trueup-testkit --bin go-types-table > crates/sandbox/tables/go-types.txt`
#![allow(clippy::print_stdout, reason = "what it prints is its interface")]

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use trueup_testkit::go_types;

/// The modules that have the types; their packages begin with their names.
const MODULES: [&str; 4] =
    ["k8s.io/api", "k8s.io/apimachinery", "k8s.io/apiextensions-apiserver", "k8s.io/kube-aggregator"];

fn main() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let kinds: Value =
        serde_json::from_str(&std::fs::read_to_string(root.join("crates/sandbox/tables/kinds.json"))?)?;
    let schemas = kinds["schemas"].as_object().context("a table of kinds")?;
    let names: BTreeSet<String> = schemas.keys().cloned().collect();
    let folders = folders(&root.join("tests/cluster"))?;
    let release = folders.values().next().map(|(version, _)| version.clone()).unwrap_or_default();
    let table = go_types::table(&names, &release, |package| source(&folders, package))?;
    print!("{table}");
    Ok(())
}

/// The version and the folder of each module.
fn folders(module: &Path) -> Result<BTreeMap<String, (String, PathBuf)>> {
    let listed = Command::new("go")
        .args(["list", "-m", "-f", "{{.Path}} {{.Replace.Version}} {{.Dir}}"])
        .args(MODULES)
        .current_dir(module)
        .env("GOFLAGS", "-mod=readonly")
        .output()
        .context("go, see https://go.dev/doc/install")?;
    ensure!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let text = String::from_utf8(listed.stdout)?;
    let line = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            [name, version, folder] => Some(((*name).to_owned(), ((*version).to_owned(), folder.into()))),
            _ => None,
        }
    };
    Ok(text.lines().filter_map(line).collect())
}

/// The sources of a package's types, one after the other.
fn source(folders: &BTreeMap<String, (String, PathBuf)>, package: &str) -> Result<String> {
    let folder = folders.iter().find_map(|(name, (_, folder))| {
        let inside = package.strip_prefix(name.as_str())?.strip_prefix('/')?;
        Some(folder.join(inside))
    });
    let folder = folder.with_context(|| format!("{package} is in no module"))?;
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(&folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.retain(|file| {
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("types") && file.extension().is_some_and(|end| end == "go")
    });
    files.sort();
    let texts =
        files.iter().map(|file| std::fs::read_to_string(file).with_context(|| file.display().to_string()));
    Ok(texts.collect::<Result<Vec<String>>>()?.concat())
}

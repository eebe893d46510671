//! Writes the table of lists that merge by key, of a real kube-apiserver or of an OpenAPI v2 document in a file.
//!
//! The table that kustomize's results need is of the version that it carries:
//! `cargo run -p trueup-testkit --bin patch-keys FILE "1.21, the version that kustomize 5.8 carries" > crates/kustomize/src/merge/schema.txt`
#![allow(clippy::print_stdout, reason = "what it prints is its interface")]

use anyhow::{Context as _, Result};
use clap::Parser;
use serde_json::Value;
use std::path::PathBuf;
use trueup_testkit::{Api, Components, ControlPlane, Options, patch_keys};

/// Writes which lists of the Kubernetes API merge by key.
#[derive(Parser)]
struct Arguments {
    /// An OpenAPI v2 document; a kube-apiserver is started and asked where none is given
    file: Option<PathBuf>,
    /// What the table says of its version
    #[arg(requires = "file")]
    version: Option<String>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let (document, version): (Value, String) = if let Some(file) = arguments.file {
        let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        (serde_json::from_str(&text)?, arguments.version.unwrap_or_else(|| file.display().to_string()))
    } else {
        let plane = ControlPlane::start(Options { components: Components::ApiOnly, ..Options::default() })?;
        let api = Api::from_kubeconfig(plane.kubeconfig())?;
        let version = api.get("/version")?["gitVersion"].as_str().unwrap_or_default().to_owned();
        (api.get("/openapi/v2")?, version)
    };
    print!("{}", patch_keys::table(&document, &version)?);
    Ok(())
}

//! The table of lists that merge by key is what its program makes of Kubernetes' own documents.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use expect_test::expect_file;
use serde_json::Value;
use trueup_testkit::{patch_keys, played};

const KUSTOMIZE_VERSION: &str = "1.21, the version that kustomize 5.8 carries";

fn kustomize() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../kustomize")
}

fn checked_in() -> Result<String> {
    Ok(std::fs::read_to_string(kustomize().join("src/merge/schema.txt"))?)
}

/// The document that kustomize itself carries, from the Go module that the differential tests are built with.
fn carried() -> Result<Value> {
    let module = Command::new("go")
        .args(["list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kustomize/kyaml"])
        .current_dir(kustomize().join("tests/oracle"))
        .env("GOFLAGS", "-mod=readonly")
        .output()
        .context("go, see https://go.dev/doc/install")?;
    ensure!(module.status.success(), "{}", String::from_utf8_lossy(&module.stderr));
    let module = String::from_utf8(module.stdout)?;
    let file = "openapi/kubernetesapi/data/kubernetes-openapi-union-v1.21.2.bundle-v1.json.gz";
    let unpacked = Command::new("gzip").arg("-dc").arg(Path::new(module.trim()).join(file)).output()?;
    ensure!(unpacked.status.success(), "{}", String::from_utf8_lossy(&unpacked.stderr));
    Ok(serde_json::from_slice(&unpacked.stdout)?)
}

#[test]
fn the_table_is_made_from_the_document_that_kustomize_carries() {
    assert_eq!(patch_keys::table(&carried().unwrap(), KUSTOMIZE_VERSION).unwrap(), checked_in().unwrap());
}

#[test]
fn where_the_real_api_differs_from_the_table_is_written_down() {
    let api = played().unwrap().api();
    let document = api.get("/openapi/v2").unwrap();
    let real = patch_keys::lists(&patch_keys::table(&document, "").unwrap());
    let ours = patch_keys::lists(&checked_in().unwrap());
    let definition = |list: &str| document["definitions"][list.rsplit_once('.').unwrap().0].is_object();
    let mut lines = Vec::new();
    for (list, keys) in &ours {
        match real.get(list) {
            Some(now) if now == keys => {}
            Some(now) => lines.push(format!("{list}: merges by {keys:?} here, by {now:?} there")),
            None if !definition(list) => {}
            None => lines.push(format!("{list}: merges by {keys:?} here, is replaced as a whole there")),
        }
    }
    for (list, keys) in real.iter().filter(|(list, _)| !ours.contains_key(*list)) {
        lines.push(format!("{list}: is replaced as a whole here, merges by {keys:?} there"));
    }
    assert!(real.len() > 20, "the real API has no lists that merge");
    lines.push(String::new());
    expect_file!["patch_keys_of_the_real_api.txt"].assert_eq(&lines.join("\n"));
}

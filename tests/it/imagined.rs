//! `trueup diff --offline`: two commits of the example, compared in clusters in memory.

use std::path::Path;
use std::process::{Command, Output};
use trueup_testkit::GitRepo;

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/gitops-repo");
const BASE: &str = "apps/api/base/kustomization.yaml";
const DEPLOYMENT: &str = "apps/api/base/deployment.yaml";

/// Runs `trueup diff --offline` in a checkout, with nothing at hand but that.
fn diff(checkout: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trueup"));
    for variable in ["TRUEUP_SERVER", "TRUEUP_CONFIG", "TRUEUP_STATE", "KUBECONFIG", "CONFIG_TOKEN"] {
        command.env_remove(variable);
    }
    command.current_dir(checkout).args(["diff", "--offline", "--local", "."]).args(arguments);
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

fn read(repo: &GitRepo, path: &str) -> String {
    std::fs::read_to_string(repo.clone_path().join(path)).unwrap()
}

#[test]
fn what_a_commit_changes_on_the_objects_is_shown_without_a_cluster() {
    let repo = GitRepo::from_folder(Path::new(EXAMPLE)).unwrap();
    let before = read(&repo, BASE);
    let after = before.replace("newTag: 6.8.0", "newTag: 6.99.0").replace("  - network-policy.yaml\n", "");
    assert_ne!(before, after);
    repo.commit(&[(BASE, &after)], "Roll out, and open up").unwrap();
    let (code, out, errors) = diff(repo.clone_path(), &["--from", "HEAD~1", "--to", "HEAD", "api"]);

    assert_eq!((code, errors.as_str()), (Some(1), ""), "{out}");
    for target in ["api@production", "api@staging"] {
        assert!(out.contains(&format!("{target} at ")), "{out}");
    }
    assert_eq!(out.matches("1 to update, 1 to delete, 6 unchanged").count(), 2, "{out}");
    assert_eq!(out.matches("+        image: ghcr.io/stefanprodan/podinfo:6.99.0").count(), 2, "{out}");
    assert!(out.contains("delete NetworkPolicy.networking.k8s.io shop-staging/api: gone from HEAD"), "{out}");
    let (code, out, _) = diff(repo.clone_path(), &["--from", "HEAD", "--to", "HEAD"]);
    assert_eq!(code, Some(0), "{out}");
}

#[test]
fn what_the_api_server_would_refuse_in_the_working_tree_is_said_with_file_and_field() {
    let repo = GitRepo::from_folder(Path::new(EXAMPLE)).unwrap();
    let broken = read(&repo, DEPLOYMENT).replace("revisionHistoryLimit: 3", "revisionHistoryLimit: three");
    repo.write(DEPLOYMENT, broken.as_bytes()).unwrap();
    let (code, _, errors) = diff(repo.clone_path(), &["--from", "HEAD", "api@staging"]);
    assert_eq!(code, Some(2));
    let wanted = "at the working tree: Deployment.apps shop-staging/api (apps/api/base/deployment.yaml:1)";
    assert!(errors.contains(wanted), "{errors}");
    assert!(errors.contains(".spec.revisionHistoryLimit: expected numeric"), "{errors}");
}

#[test]
fn a_snapshot_is_what_the_change_begins_with() {
    let repo = GitRepo::from_folder(Path::new(EXAMPLE)).unwrap();
    let snapshot = tempfile::tempdir().unwrap();
    let live = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: apps/v1\n  kind: Deployment\n  \
                metadata: {name: api, namespace: shop-staging, uid: u, resourceVersion: \"7\"}\n  spec:\n    \
                selector: {matchLabels: {app.kubernetes.io/name: another}}\n    template:\n      \
                metadata: {labels: {app.kubernetes.io/name: another}}\n      \
                spec: {containers: [{name: api, image: old}]}\n";
    std::fs::write(snapshot.path().join("live.yaml"), live).unwrap();
    let folder = snapshot.path().to_str().unwrap();
    let (code, out, errors) = diff(repo.clone_path(), &["--snapshot", folder, "api@staging"]);
    assert_eq!(code, Some(2), "{out}");
    assert!(errors.contains("spec.selector") && errors.contains("field is immutable"), "{errors}");
    assert!(out.contains("create Service shop-staging/api: new in the working tree"), "{out}");

    std::fs::write(snapshot.path().join("live.yaml"), "apiVersion: example.com/v1\nkind: Odd\n").unwrap();
    let (_, _, errors) = diff(repo.clone_path(), &["--snapshot", folder]);
    assert!(errors.contains("live.yaml") && errors.contains("there is no kind Odd"), "{errors}");
}

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

/// A configuration with an AppSet of the folders below `apps`, whose template says this as well.
fn with_set(repo: &GitRepo, more: &str) -> String {
    format!(
        "apiVersion: trueup.dev/v1alpha1\nkind: Repository\nmetadata: {{name: config}}\nspec: {{url: '{}'}}\n---\n\
         apiVersion: trueup.dev/v1alpha1\nkind: Cluster\nmetadata: {{name: here}}\nspec: {{kubeconfig: {{context: nowhere}}}}\n---\n\
         apiVersion: trueup.dev/v1alpha1\nkind: Environment\nmetadata: {{name: test}}\nspec: {{cluster: here, namespace: default}}\n---\n\
         apiVersion: trueup.dev/v1alpha1\nkind: AppSet\nmetadata: {{name: folders}}\nspec:\n  maxRemoved: 1\n  \
         generators: [{{folders: {{repository: config, paths: ['apps/*']}}}}]\n  \
         template: {{metadata: {{name: '{{folder.name}}'}}, spec: {{repository: config, path: '{{folder.path}}', environments: [test]{more}}}}}\n",
        repo.file_url()
    )
}

#[test]
fn apps_of_folders_are_those_of_each_commit() {
    let repo = GitRepo::create().unwrap();
    let app =
        |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{a: b}}\n");
    let configuration = with_set(&repo, "");
    let first = [
        ("trueup.yaml", &*configuration),
        ("apps/one/a.yaml", &app("one")),
        ("apps/two/a.yaml", &app("two")),
    ];
    repo.commit(&first, "two Apps").unwrap();
    repo.write("apps/three/a.yaml", app("three").as_bytes()).unwrap();
    repo.remove(&["apps/two"], "another one, and one less").unwrap();
    let compared = || diff(repo.clone_path(), &["--from", "HEAD~1", "--to", "HEAD"]);
    let (code, out, errors) = compared();
    assert_eq!((code, errors.as_str()), (Some(1), ""), "{out}");
    for words in [
        ": no difference\n",
        ": 1 to create, 0 unchanged; the App is new in HEAD\ncreate ConfigMap default/three: new in HEAD\n",
        ": no difference; the App is gone from HEAD; what it applied stays\n",
    ] {
        assert!(out.contains(words), "{words}: {out}");
    }
    let (code, out, errors) = diff(repo.clone_path(), &["--from", "HEAD~1", "--to", "HEAD", "three"]);
    assert_eq!((code, errors.as_str()), (Some(1), ""), "{out}");
    assert!(out.contains("three@test") && !out.contains("one@test"), "{out}");

    // Where they say that what they applied goes with them, it does.
    repo.write("trueup.yaml", with_set(&repo, ", deletionPolicy: Delete").as_bytes()).unwrap();
    let (code, out, errors) = compared();
    assert_eq!((code, errors.as_str()), (Some(1), ""), "{out}");
    let words = ": 1 to delete, 0 unchanged; the App is gone from HEAD, with what it applied\ndelete ConfigMap default/two: gone from HEAD\n";
    assert!(out.contains(words), "{out}");

    // More than may go are held, in the files as they are.
    std::fs::remove_dir_all(repo.clone_path().join("apps/three")).unwrap();
    let (code, out, errors) = diff(repo.clone_path(), &["--from", "HEAD~1"]);
    assert_eq!((code, errors.as_str()), (Some(1), ""), "{out}");
    assert!(out.contains("two@test: 1 to delete"), "{out}");
    std::fs::rename(repo.clone_path().join("apps/one"), repo.clone_path().join("apps/four")).unwrap();
    let (code, out, errors) = diff(repo.clone_path(), &["--from", "HEAD~1"]);
    // They stay as they were, for what they were rendered from is gone.
    assert_eq!(code, Some(2), "{out}");
    assert!(
        errors.contains("one@test: at the working tree: apps/one")
            && errors.contains("no such file or folder"),
        "{errors}"
    );
    assert_eq!(
        out.matches("2 of 2 Apps would go (one, two), which is more than maxRemoved allows (1)").count(),
        2,
        "{out}"
    );
}

#[test]
fn an_app_with_a_reference_of_its_own_stays_there() {
    let repo = GitRepo::create().unwrap();
    let commit = |value: &str| {
        let config_map = |name: &str| {
            format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{a: {value}}}\n")
        };
        let (free, pinned) = (config_map("free"), config_map("pinned"));
        repo.commit(&[("free/a.yaml", &*free), ("pinned/a.yaml", &*pinned)], value).unwrap()
    };
    let app = |name: &str, more: &str| {
        format!(
            "---\napiVersion: trueup.dev/v1alpha1\nkind: App\nmetadata: {{name: {name}}}\nspec: {{repository: config, path: {name}, environments: [test]{more}}}\n"
        )
    };
    let configuration = with_set(&repo, "");
    let (without_set, _) = configuration.rsplit_once("---\n").unwrap();
    let configuration = without_set.to_owned() + &app("free", "") + &app("pinned", ", ref: {tag: v1}");
    repo.write("trueup.yaml", configuration.as_bytes()).unwrap();
    let first = commit("one");
    repo.tag("v1").unwrap();
    commit("two");
    commit("three");
    let compared = |target: &str| diff(repo.clone_path(), &["--from", "HEAD~1", "--to", "HEAD", target]);
    let (code, out, errors) = compared("free");
    assert_eq!((code, errors.as_str()), (Some(1), ""), "{out}");
    assert!(out.contains("1 to update"), "{out}");
    let (code, out, errors) = compared("pinned");
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{out}");
    assert!(out.contains(&format!("pinned@test at {}: no difference", &first[..8])), "{out}");
}

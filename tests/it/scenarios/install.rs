//! trueup installed and brought up to date as users do it, by the real Helm and the real kubectl: what is configured, how it stands and
//! what was recorded stays.

use super::custom::path;
use super::governed::{Governed, app, as_account, is};
use super::ground::{Cluster, Ground};
use super::harness::{World, config_map};
use super::tools::{helm, kubectl};
use serde_json::{Value, json};
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use trueup_testkit::{Options, wait_until};

fn chart() -> String {
    format!("{}/charts/trueup", env!("CARGO_MANIFEST_DIR"))
}

fn run(mut command: Command) -> String {
    let output = command.output().unwrap();
    said(&output)
}

fn said(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    out.into_owned()
}

fn with_helm(world: &World, words: &[&str]) -> String {
    let mut command = helm();
    command.arg("--kubeconfig").arg(world.kubeconfig()).args(["--namespace", world.namespace.name()]);
    // It keeps what it learns of an API server in the home folder otherwise.
    command.env("HELM_CACHE_HOME", world.path("helm")).env("HELM_CONFIG_HOME", world.path("helm"));
    command.args(words);
    run(command)
}

/// Pipes what trueup prints into kubectl, as the guide has it.
fn piped(world: &World, trueup: &[&str], words: &[&str]) -> Output {
    let printed = world.alone(trueup);
    let printed = said(&printed);
    let mut command = kubectl();
    command.arg("--kubeconfig").arg(world.kubeconfig()).args(words).args(["-f", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(printed.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn served(cluster: &Cluster) {
    for plural in ["repositories", "clusters", "environments", "apps", "appsets"] {
        wait_until("the definitions are served", super::harness::PATIENCE, || {
            let found = cluster.api().find(&format!("/apis/trueup.dev/v1alpha1/{plural}"));
            Ok(found.is_ok_and(|list| list.is_some()).then_some(()))
        })
        .unwrap();
    }
}

fn own_plane() -> Cluster {
    Ground::ApiServer.start(Options::default())
}

/// What an upgrade must leave alone: the resources as they are and stand, and the record of the target.
fn kept(governed: &Governed) -> Vec<Value> {
    let resources =
        [("apps", "app"), ("clusters", "here"), ("environments", "test"), ("repositories", "config")];
    let resource = |(plural, name): (&str, &str)| {
        let mut object = governed.get(plural, name);
        // Storage is none of it.
        object["metadata"]
            .as_object_mut()
            .unwrap()
            .retain(|field, _| ["uid", "generation", "name"].contains(&&**field));
        object
    };
    let mut all: Vec<Value> = resources.into_iter().map(resource).collect();
    all.push(governed.world.api.get(&governed.world.config_map("trueup.app.test")).unwrap());
    all
}

fn ready(governed: &Governed) {
    for (plural, name) in
        [("apps", "app"), ("clusters", "here"), ("environments", "test"), ("repositories", "config")]
    {
        governed.until(plural, name, "Ready", |it| is(it, "Ready", "True"));
    }
}

/// A trueup with the rights that the installation gives.
fn start(governed: &mut Governed) {
    let account = as_account(&governed.world, "trueup").to_str().unwrap().to_owned();
    let namespace = governed.world.namespace.name().to_owned();
    let place = ["--config-from-cluster", "--namespace", &namespace, "--kubeconfig", &account];
    governed.world.start_with(&place);
}

fn deployment(governed: &Governed) -> Value {
    let namespace = governed.world.namespace.name();
    governed.world.api.get(&format!("/apis/apps/v1/namespaces/{namespace}/deployments/trueup")).unwrap()
}

#[test]
fn helm_installs_the_chart_and_an_upgrade_keeps_what_is_there() {
    let plane = own_plane();
    let world = World::on(&plane, "install-helm");
    with_helm(&world, &["install", "trueup", &chart(), "--set", "podLabels.round=first"]);
    served(&plane);
    let mut governed = Governed::in_world(world);
    let first = governed.world.repo.commit(&[("app/a.yaml", &config_map("a", "1"))], "first").unwrap();
    start(&mut governed);
    ready(&governed);
    assert_eq!(governed.get("apps", "app")["status"]["revision"], first);
    governed.world.terminate();
    let before = kept(&governed);

    with_helm(&governed.world, &["upgrade", "trueup", &chart(), "--set", "podLabels.round=second"]);
    assert_eq!(deployment(&governed)["spec"]["template"]["metadata"]["labels"]["round"], "second");
    assert_eq!(kept(&governed), before);
    start(&mut governed);
    let second = governed.world.repo.commit(&[("app/a.yaml", &config_map("a", "2"))], "second").unwrap();
    governed.until("apps", "app", "the next commit", |app| {
        app["status"]["revision"] == second && is(app, "Ready", "True")
    });

    // Helm leaves definitions where they are, and with them everything that is configured.
    governed.world.terminate();
    let before = kept(&governed);
    with_helm(&governed.world, &["uninstall", "trueup"]);
    assert_eq!(kept(&governed), before);
    let namespace = governed.world.namespace.name();
    let gone = format!("/apis/apps/v1/namespaces/{namespace}/deployments/trueup");
    wait_until("the Deployment is gone", super::harness::PATIENCE, || {
        Ok(governed.world.api.find(&gone)?.is_none().then_some(()))
    })
    .unwrap();
}

/// Copies a folder.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let there = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &there);
        } else {
            fs::copy(&path, &there).unwrap();
        }
    }
}

#[test]
fn definitions_that_helm_installed_are_brought_up_to_date_with_objects_in_them() {
    let plane = own_plane();
    let world = World::on(&plane, "install-definitions");
    // A chart of before: Apps had no word about their deletion.
    let old = world.path("chart");
    copy(Path::new(&chart()), &old);
    let file = old.join("crds/apps.yaml");
    let mut apps =
        trueup_model::yaml::documents(&fs::read_to_string(&file).unwrap()).unwrap().remove(0).value;
    let spec = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
    let fields = apps.pointer_mut(spec).unwrap().as_object_mut().unwrap();
    assert!(fields.remove("deletionPolicy").is_some());
    fs::write(&file, apps.to_string()).unwrap();
    with_helm(&world, &["install", "trueup", old.to_str().unwrap()]);
    served(&plane);
    let mut governed = Governed::in_world(world);
    governed.world.repo.commit(&[("app/a.yaml", &config_map("a", "1"))], "first").unwrap();
    start(&mut governed);
    ready(&governed);
    governed.world.terminate();
    let before = kept(&governed);
    let mut pruning = app("app");
    pruning["deletionPolicy"] = json!("Delete");
    let strict =
        format!("{}?fieldValidation=Strict&dryRun=All&fieldManager=t", path(&governed.world, "apps", "app"));
    let set = json!({"spec": pruning});
    assert!(governed.world.api.merge(&strict, &set).is_err(), "the field is not there yet");

    with_helm(&governed.world, &["upgrade", "trueup", &chart()]);
    let upgraded = piped(&governed.world, &["crds"], &["apply", "--server-side", "--force-conflicts"]);
    said(&upgraded);
    assert_eq!(kept(&governed), before);
    wait_until("the field is there", super::harness::PATIENCE, || {
        Ok(governed.world.api.merge(&strict, &set).is_ok().then_some(()))
    })
    .unwrap();
    start(&mut governed);
    governed.apply("apps", "App", "app", &pruning);
    governed.until("apps", "app", "Ready", |app| {
        is(app, "Ready", "True") && app["metadata"]["finalizers"] == json!(["trueup.dev/deletion"])
    });
}

#[test]
fn kubectl_installs_what_trueup_prints_and_takes_it_away_again() {
    let plane = own_plane();
    let world = World::on(&plane, "install-kubectl");
    let namespace = world.namespace.name().to_owned();
    let printed = |round: &str| {
        ["install", "--namespace", &namespace, "--set", &format!("podLabels.round={round}")]
            .map(str::to_owned)
    };
    let install = |world: &World, round: &str, words: &[&str]| {
        let printed = printed(round);
        piped(world, &printed.each_ref().map(String::as_str), words)
    };
    said(&install(&world, "first", &["apply", "--server-side"]));
    served(&plane);
    let mut governed = Governed::in_world(world);
    let elsewhere = plane.namespace("install-elsewhere");
    let environment = json!({"cluster": "here", "namespace": elsewhere.name()});
    governed.apply("environments", "Environment", "test", &environment);
    let mut pruning = app("app");
    pruning["deletionPolicy"] = json!("Delete");
    governed.apply("apps", "App", "app", &pruning);
    governed.world.repo.commit(&[("app/a.yaml", &config_map("a", "1"))], "first").unwrap();
    start(&mut governed);
    ready(&governed);
    let record = format!("/api/v1/namespaces/{}/configmaps/trueup.app.test", elsewhere.name());
    let all = || (governed.get("apps", "app"), governed.world.api.get(&record).unwrap());
    let before = all();
    said(&install(&governed.world, "second", &["apply", "--server-side"]));
    assert_eq!(deployment(&governed)["spec"]["template"]["metadata"]["labels"]["round"], "second");
    assert_eq!(all(), before);

    // Taken away with all that is configured; what was applied stays, and nothing hangs.
    let mut command = kubectl();
    command.arg("--kubeconfig").arg(governed.world.kubeconfig());
    command.args(["delete", "crd", "apps.trueup.dev", "--timeout=100s"]);
    run(command);
    said(&install(&governed.world, "second", &["delete", "--ignore-not-found", "--timeout=100s"]));
    assert!(
        plane
            .api()
            .find("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/apps.trueup.dev")
            .unwrap()
            .is_none()
    );
    for kept in ["a", "trueup.app.test"] {
        let path = format!("/api/v1/namespaces/{}/configmaps/{kept}", elsewhere.name());
        assert!(governed.world.api.find(&path).unwrap().is_some(), "{kept}");
    }
}

//! Apps that are deleted as custom resources: what they applied is pruned or stays, and none of them hangs because a cluster is gone.

use super::custom::{object, path};
use super::governed::{Governed, app, condition, is};
use super::ground::Ground;
use super::harness::{PATIENCE, config_map};
use super::tools::kubectl;
use serde_json::{Value, json};
use std::fs;
use std::time::{Duration, Instant};
use trueup_testkit::{Namespace, Options, wait_until};

const FINALIZER: &str = "trueup.dev/deletion";

/// An App of this path that prunes what it applied.
fn pruning(path: &str) -> Value {
    let mut app = app(path);
    app["deletionPolicy"] = json!("Delete");
    app
}

impl Governed {
    fn find(&self, plural: &str, name: &str) -> Option<Value> {
        self.world.api.find(&path(&self.world, plural, name)).unwrap()
    }

    fn delete(&self, plural: &str, name: &str) {
        self.world.api.delete(&path(&self.world, plural, name)).unwrap();
    }

    fn has(&self, config_map: &str) -> bool {
        self.world.api.find(&self.world.config_map(config_map)).unwrap().is_some()
    }

    fn is_gone(&self, app: &str) {
        self.world.holds(&format!("App {app} is gone"), |_| self.find("apps", app).is_none());
    }

    /// Ready, and held where it prunes.
    fn ready(&self, app: &str) {
        let app = self.until("apps", app, "Ready", |app| is(app, "Ready", "True"));
        let wanted = if app["spec"]["deletionPolicy"] == "Delete" { json!([FINALIZER]) } else { Value::Null };
        assert_eq!(app["metadata"]["finalizers"], wanted);
    }

    /// Waits until an App that is being deleted says that it waits for this.
    fn waits_for(&self, app: &str, words: &str) {
        self.until("apps", app, words, |app| {
            let ready = condition(app, "Ready");
            ready["reason"] == "Deleting" && ready["message"].as_str().unwrap_or_default().contains(words)
        });
    }

    /// The Events about an App with this reason: their types and notes.
    fn told(&self, app: &str, reason: &str) -> Vec<(String, String)> {
        let namespace = self.world.namespace.name();
        let events =
            self.world.api.get(&format!("/apis/events.k8s.io/v1/namespaces/{namespace}/events")).unwrap();
        let about = |event: &&Value| {
            event["regarding"]["kind"] == "App"
                && event["regarding"]["name"] == app
                && event["reason"] == reason
        };
        let text = |event: &Value, field: &str| event[field].as_str().unwrap().to_owned();
        let told = events["items"].as_array().unwrap().iter().filter(about);
        told.map(|event| (text(event, "type"), text(event, "note"))).collect()
    }

    fn kubectl(&self, arguments: &[&str]) -> std::process::Output {
        let mut command = kubectl();
        command.arg("--kubeconfig").arg(self.world.kubeconfig()).args(["-n", self.world.namespace.name()]);
        command.args(arguments).output().unwrap()
    }
}

/// A ConfigMap that somebody else has to let go.
fn held_config_map(name: &str) -> String {
    config_map(name, "1")
        .replace(&format!("{{name: {name}}}"), &format!("{{name: {name}, finalizers: [example.com/hold]}}"))
}

fn let_go(governed: &Governed, name: &str) {
    let free = json!({"metadata": {"finalizers": null}});
    governed.world.api.merge(&governed.world.config_map(name), &free).unwrap();
}

const WORKLOAD: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  replicas: 0\n  selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    spec: {containers: [{name: web, image: example.com/web}]}\n";

#[test]
fn a_deleted_app_is_pruned_in_reverse_order_and_then_goes() {
    let mut governed = Governed::new(Ground::ApiServer, "deletion-prune");
    let files = [("app/a.yaml", &*config_map("a", "1")), ("app/web.yaml", WORKLOAD)];
    governed.world.repo.commit(&files, "first").unwrap();
    let mut spec = pruning("app");
    // Whoever deletes the App has said it: the budget is for what a commit takes out.
    spec["sync"] = json!({"maxPrune": 0});
    governed.apply("apps", "App", "app", &spec);
    governed.start();
    governed.ready("app");
    let plane = trueup_testkit::played().unwrap();
    let mark = plane.mark().unwrap();
    let deleted = governed.kubectl(&["delete", "apps.trueup.dev", "app", "--wait=false"]);
    assert!(deleted.status.success(), "{deleted:?}");
    let waited = governed.kubectl(&["wait", "--for=delete", "apps.trueup.dev/app", "--timeout=100s"]);
    assert!(waited.status.success(), "{waited:?}");
    let requests = plane.requests_since(mark).unwrap();
    let ours = requests.iter().filter(|request| {
        request.namespace == governed.world.namespace.name() && request.user_agent.starts_with("trueup")
    });
    let written: Vec<String> = ours
        .filter(|request| matches!(&*request.verb, "delete" | "patch") && !request.resource.contains('/'))
        .map(|request| format!("{} {} {}", request.verb, request.resource, request.name))
        .collect();
    let at = |words: &str| {
        let found = written.iter().position(|one| one == words);
        found.unwrap_or_else(|| panic!("no {words:?} in {written:?}"))
    };
    let order = [
        "delete deployments web",
        "delete configmaps a",
        "delete configmaps trueup.app.test",
        "patch apps app",
    ];
    assert!(order.map(at).is_sorted(), "{written:?}");
    assert!(!governed.has("a") && !governed.has("trueup.app.test"));
    let told = governed.told("app", "Deleted");
    assert_eq!(told, [("Normal".to_owned(), "deleted, with all that it applied".to_owned())]);
    governed.world.holds("the target is gone", |world| world.status("app@test").is_none());
}

#[test]
fn an_app_without_the_policy_goes_at_once_and_what_it_applied_stays() {
    let mut governed = Governed::new(Ground::ApiServer, "deletion-orphan");
    let files = [("app/a.yaml", &*config_map("a", "1")), ("more/b.yaml", &*config_map("b", "1"))];
    governed.world.repo.commit(&files, "first").unwrap();
    governed.apply("apps", "App", "more", &pruning("more"));
    governed.start();
    governed.ready("app");
    governed.ready("more");
    governed.delete("apps", "app");
    governed.is_gone("app");
    // The word can be taken back, and a suspended App leaves everything as it is.
    governed.apply("apps", "App", "more", &app("more"));
    governed
        .world
        .holds("the finalizer is gone", |_| governed.get("apps", "more")["metadata"]["finalizers"].is_null());
    let mut suspended = pruning("more");
    suspended["suspend"] = json!(true);
    governed.apply("apps", "App", "more", &suspended);
    governed.world.holds("it is held again", |_| {
        governed.get("apps", "more")["metadata"]["finalizers"] == json!([FINALIZER])
    });
    governed.delete("apps", "more");
    governed.is_gone("more");
    governed.world.holds("no target is left", |world| world.status("app@test").is_none());
    for kept in ["a", "trueup.app.test", "b", "trueup.more.test"] {
        assert!(governed.has(kept), "{kept} stays");
    }
    // An App of the same name goes on with what is there.
    governed.world.repo.remove(&["app/a.yaml"], "a leaves").unwrap();
    governed.world.repo.commit(&[("app/c.yaml", &config_map("c", "1"))], "c comes").unwrap();
    governed.apply("apps", "App", "app", &app("app"));
    governed.ready("app");
    governed.world.holds("a is pruned", |_| !governed.has("a"));
    assert!(governed.has("c"));
}

#[test]
fn an_app_whose_cluster_is_gone_is_let_go_and_what_stays_is_named() {
    let far = Ground::ApiServer.start(Options::default());
    let mut governed = Governed::new(Ground::ApiServer, "deletion-far");
    let files = [("one/a.yaml", &*config_map("one", "1")), ("two/b.yaml", &*config_map("two", "1"))];
    governed.world.repo.commit(&files, "first").unwrap();
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "far"},
        "stringData": {"kubeconfig": fs::read_to_string(far.kubeconfig()).unwrap()}});
    let secrets = format!("/api/v1/namespaces/{}/secrets", governed.world.namespace.name());
    governed.world.api.create(&secrets, &secret).unwrap();
    governed.apply("clusters", "Cluster", "far", &json!({"secretRef": {"name": "far"}}));
    governed.apply("environments", "Environment", "far", &json!({"cluster": "far", "namespace": "default"}));
    for name in ["one", "two"] {
        let mut spec = pruning(name);
        spec["environments"] = json!(["far"]);
        governed.apply("apps", "App", name, &spec);
    }
    governed.start_with(&["--deletion-timeout", "4s"]);
    governed.ready("one");
    governed.ready("two");
    far.stop_api_server();

    // It does not answer: only so long.
    let begun = Instant::now();
    governed.delete("apps", "two");
    governed.is_gone("two");
    assert!(begun.elapsed() >= Duration::from_secs(4));
    governed.world.holds("it is told", |_| !governed.told("two", "LeftBehind").is_empty());
    let (kind, note) = governed.told("two", "LeftBehind").remove(0);
    assert!(kind == "Warning" && note.contains("two@far"), "{kind}: {note}");

    // Its resource is gone: at once, also over a restart.
    governed.world.terminate();
    governed.start();
    governed.delete("apps", "one");
    governed.waits_for("one", "one@far");
    governed.delete("clusters", "far");
    governed.is_gone("one");
    governed.world.holds("it is told", |_| !governed.told("one", "LeftBehind").is_empty());
    let (kind, note) = governed.told("one", "LeftBehind").remove(0);
    assert_eq!(kind, "Warning");
    assert_eq!(note, "deleted; left behind: one@far: its Cluster or its Environment is gone");
    far.start_api_server();
    for name in ["one", "two"] {
        assert!(far.api().find(&format!("/api/v1/namespaces/default/configmaps/{name}")).unwrap().is_some());
    }
}

#[test]
fn an_app_that_is_deleted_in_the_middle_of_a_turn_leaves_nothing() {
    const ALL: usize = 400;
    let mut governed = Governed::new(Ground::ApiServer, "deletion-turn");
    let many: String = (0..ALL).map(|n| config_map(&format!("m-{n}"), "1") + "---\n").collect();
    governed.world.repo.commit(&[("app/many.yaml", &many)], "many").unwrap();
    governed.apply("apps", "App", "app", &pruning("app"));
    governed.start();
    let count = || {
        let all = governed.world.api.get(&governed.world.config_map("")).unwrap();
        let ours = |object: &&Value| object["metadata"]["name"].as_str().unwrap().starts_with("m-");
        all["items"].as_array().unwrap().iter().filter(ours).count()
    };
    governed.world.holds("it is at it", |_| count() > 0);
    governed.delete("apps", "app");
    governed.is_gone("app");
    assert_eq!(count(), 0);
    assert!(!governed.has("trueup.app.test"));
}

#[test]
fn a_deletion_goes_on_after_a_restart_and_nobody_takes_it_back_by_an_apply() {
    let mut governed = Governed::new(Ground::ApiServer, "deletion-restart");
    let files = [("app/a.yaml", &*held_config_map("a")), ("app/b.yaml", &*config_map("b", "1"))];
    governed.world.repo.commit(&files, "first").unwrap();
    governed.apply("apps", "App", "app", &pruning("app"));
    governed.start();
    governed.ready("app");
    governed.delete("apps", "app");
    governed.waits_for("app", "ConfigMap");
    governed.world.kill();
    governed.start();
    governed.world.holds("b is pruned", |_| !governed.has("b"));
    // Somebody applies it again: it is still the one that is being deleted.
    let file = governed.world.path("app.yaml");
    fs::write(&file, object("App", "app", &pruning("app")).to_string()).unwrap();
    let applied = governed.kubectl(&["apply", "-f", file.to_str().unwrap()]);
    assert!(applied.status.success(), "{applied:?}");
    governed.waits_for("app", "app@test");
    assert!(!governed.has("b"), "nothing is applied again");
    let uid = governed.get("apps", "app")["metadata"]["uid"].clone();
    let_go(&governed, "a");
    governed.is_gone("app");
    assert!(!governed.has("a") && !governed.has("trueup.app.test"));
    // The next one of its name is another one.
    let applied = governed.kubectl(&["apply", "-f", file.to_str().unwrap()]);
    assert!(applied.status.success(), "{applied:?}");
    governed.ready("app");
    assert!(governed.has("a") && governed.has("b"));
    assert_ne!(governed.get("apps", "app")["metadata"]["uid"], uid);
    // What it waits for need not be waited for.
    governed.delete("apps", "app");
    governed.waits_for("app", "ConfigMap");
    let orphan = json!({"spec": {"deletionPolicy": "Orphan"}});
    governed.world.api.merge(&path(&governed.world, "apps", "app"), &orphan).unwrap();
    governed.is_gone("app");
    assert!(governed.has("a") && governed.has("trueup.app.test"));
    let_go(&governed, "a");
}

#[test]
fn what_others_need_goes_last_and_what_holds_others_stays() {
    let mut governed = Governed::new(Ground::ApiServer, "deletion-order");
    let shared = format!("{}-shared", governed.world.namespace.name());
    let within =
        |name: &str| config_map(name, "1").replace("{name: ", &format!("{{namespace: {shared}, name: "));
    let namespace = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {shared}}}\n");
    let files = [
        ("app/namespace.yaml", &*namespace),
        ("app/a.yaml", &*within("a")),
        ("web/b.yaml", &*within("b")),
        ("third/c.yaml", &*within("c")),
        ("web/held.yaml", &*held_config_map("held")),
    ];
    governed.world.repo.commit(&files, "first").unwrap();
    governed.world.takes_away(format!("/api/v1/namespaces/{shared}"));
    let mut web = pruning("web");
    web["dependsOn"] = json!(["app"]);
    governed.apply("apps", "App", "app", &pruning("app"));
    governed.apply("apps", "App", "web", &web);
    governed.apply("apps", "App", "third", &app("third"));
    governed.start();
    for name in ["app", "web", "third"] {
        governed.ready(name);
    }
    let deleted = governed.kubectl(&["delete", "apps.trueup.dev", "app", "web", "--wait=false"]);
    assert!(deleted.status.success(), "{deleted:?}");
    governed.waits_for("app", "waits until web@test is gone");
    let there = |name: &str| {
        let path = format!("/api/v1/namespaces/{shared}/configmaps/{name}");
        governed.world.api.find(&path).unwrap().is_some()
    };
    governed.world.holds("web is pruned but for what is held", |_| !there("b"));
    assert!(there("a"), "web needed it");
    let_go(&governed, "held");
    governed.is_gone("web");
    governed.is_gone("app");
    // The third is in the namespace, and stays.
    assert!(!there("a") && there("c"));
    governed.world.holds("it is told", |_| !governed.told("app", "LeftBehind").is_empty());
    let (_, note) = governed.told("app", "LeftBehind").remove(0);
    assert!(note.contains(&format!("Namespace {shared}")) && note.contains("third@test"), "{note}");
}

#[test]
fn two_apps_of_a_namespace_that_are_deleted_together_take_it_along() {
    let mut governed = Governed::new(Ground::ApiServer, "deletion-pair");
    let shared = format!("{}-shared", governed.world.namespace.name());
    let within =
        |name: &str| config_map(name, "1").replace("{name: ", &format!("{{namespace: {shared}, name: "));
    let namespace = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {shared}}}\n");
    let files =
        [("app/namespace.yaml", &*namespace), ("app/a.yaml", &*within("a")), ("web/b.yaml", &*within("b"))];
    governed.world.repo.commit(&files, "first").unwrap();
    governed.world.takes_away(format!("/api/v1/namespaces/{shared}"));
    governed.apply("apps", "App", "app", &pruning("app"));
    governed.apply("apps", "App", "web", &pruning("web"));
    governed.start();
    governed.ready("app");
    governed.ready("web");
    // All that they are made of goes as well.
    let all = "apps.trueup.dev,environments.trueup.dev,repositories.trueup.dev";
    let deleted = governed.kubectl(&["delete", all, "--all", "--timeout=100s"]);
    assert!(deleted.status.success(), "{deleted:?}");
    let namespace = format!("/api/v1/namespaces/{shared}");
    wait_until("the namespace is gone", PATIENCE, || {
        Ok(governed.world.api.find(&namespace)?.is_none().then_some(()))
    })
    .unwrap();
    assert!(governed.told("app", "LeftBehind").is_empty() && governed.told("web", "LeftBehind").is_empty());
}

#[test]
fn an_app_of_apps_that_is_deleted_takes_apps_away_only_where_it_says_so() {
    let mut governed = Governed::new(Ground::ApiServer, "deletion-apps");
    let namespace = governed.world.namespace.name().to_owned();
    let manifest = |kind: &str, name: &str, spec: &Value| {
        let mut resource = object(kind, name, spec);
        resource["metadata"]["namespace"] = json!(namespace);
        resource.to_string()
    };
    let url = governed.get("repositories", "config")["spec"]["url"].clone();
    let config = manifest("Repository", "config", &json!({"url": url, "interval": "300ms"}));
    let files = [
        ("app/own.yaml", &*manifest("App", "app", &app("app"))),
        ("app/child.yaml", &*manifest("App", "child", &app("child"))),
        ("app/config.yaml", &*config),
        ("child/b.yaml", &*config_map("b", "1")),
    ];
    governed.world.repo.commit(&files, "apps that bring each other").unwrap();
    governed.start();
    governed.ready("app");
    governed.world.holds("the child is there", |_| governed.find("apps", "child").is_some());
    governed.ready("child");
    // Nobody said that anything goes with it.
    governed.delete("apps", "app");
    governed.is_gone("app");
    std::thread::sleep(Duration::from_secs(3));
    governed.ready("child");

    // Now it is said, of the first of them: its child goes, and what the child applied is another matter.
    let own = manifest("App", "app", &pruning("app"));
    governed.world.repo.commit(&[("app/own.yaml", &own)], "it prunes").unwrap();
    governed.apply("apps", "App", "app", &pruning("app"));
    governed.ready("app");
    governed.delete("apps", "app");
    governed.is_gone("app");
    governed.is_gone("child");
    assert!(governed.has("b"));
    assert!(governed.get("repositories", "config")["metadata"]["deletionTimestamp"].is_null());
    governed.world.holds("it is told", |_| !governed.told("app", "LeftBehind").is_empty());
    let (_, note) = governed.told("app", "LeftBehind").remove(0);
    assert!(note.contains("/config: the App is made of it"), "{note}");
}

#[test]
fn who_takes_trueup_away_takes_nothing_away_that_it_applied() {
    let mut governed = Governed::new(Ground::ApiServer, "deletion-home");
    let elsewhere = Namespace::create(&governed.world.api, "deletion-elsewhere").unwrap();
    let environment = json!({"cluster": "here", "namespace": elsewhere.name()});
    governed.apply("environments", "Environment", "test", &environment);
    governed.world.repo.commit(&[("app/a.yaml", &config_map("a", "1"))], "first").unwrap();
    governed.apply("apps", "App", "app", &pruning("app"));
    governed.start();
    governed.ready("app");
    let namespace = format!("/api/v1/namespaces/{}", governed.world.namespace.name());
    governed.world.api.delete(&namespace).unwrap();
    governed.is_gone("app");
    wait_until("the namespace is gone", PATIENCE, || {
        Ok(governed.world.api.find(&namespace)?.is_none().then_some(()))
    })
    .unwrap();
    let kept = format!("/api/v1/namespaces/{}/configmaps/a", elsewhere.name());
    assert!(governed.world.api.find(&kept).unwrap().is_some());
}

#[test]
fn the_definitions_can_be_deleted_and_nothing_is_pruned_for_it() {
    let plane = Ground::ApiServer.start(Options::default());
    let mut governed = Governed::on(&plane, "deletion-definitions");
    governed.world.repo.commit(&[("app/a.yaml", &config_map("a", "1"))], "first").unwrap();
    governed.apply("apps", "App", "app", &pruning("app"));
    governed.start();
    governed.ready("app");
    let definition = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/apps.trueup.dev";
    plane.api().delete(definition).unwrap();
    wait_until("the definition is gone", PATIENCE, || {
        Ok(plane.api().find(definition)?.is_none().then_some(()))
    })
    .unwrap();
    assert!(governed.has("a") && governed.has("trueup.app.test"));
}

//! A trueup whose configuration is custom resources: what they say is done, and they say how it stands.

use super::custom::{define, install, object, path};
use super::ground::{Cluster, Ground, scenarios};
use super::harness::{PATIENCE, World, config_map};
use serde_json::{Value, json};
use std::fs;
use std::time::Duration;
use trueup_testkit::{Api, GitServer, wait_until};

scenarios![
    resources_are_put_to_work_and_say_how_they_stand,
    a_bad_resource_stops_itself_and_nothing_else,
    the_rights_of_the_chart_are_enough_and_a_missing_one_is_named,
    an_app_of_apps_brings_apps_and_never_takes_itself_away,
    while_nothing_happens_nothing_is_written_also_over_a_restart,
];

/// A world with a repository behind HTTP and resources for `app@test`.
pub(super) struct Governed {
    pub(super) world: World,
    pub(super) server: GitServer,
}

impl Governed {
    pub(super) fn new(ground: Ground, hint: &str) -> Self {
        let world = World::played(ground, hint);
        install(&world.cluster);
        Self::in_world(world)
    }

    /// The same on a cluster of its own.
    pub(super) fn on(cluster: &Cluster, hint: &str) -> Self {
        define(cluster.api());
        Self::in_world(World::on(cluster, hint))
    }

    pub(super) fn in_world(world: World) -> Self {
        let server = GitServer::serve(&world.repo).unwrap();
        let url = server.url("config.git");
        let governed = Self { world, server };
        let namespace = governed.world.namespace.name().to_owned();
        governed.apply("repositories", "Repository", "config", &json!({"url": url, "interval": "300ms"}));
        governed.apply("clusters", "Cluster", "here", &json!({"inCluster": true}));
        governed.apply(
            "environments",
            "Environment",
            "test",
            &json!({"cluster": "here", "namespace": namespace}),
        );
        governed.apply("apps", "App", "app", &app("app"));
        governed
    }

    pub(super) fn apply(&self, plural: &str, kind: &str, name: &str, spec: &Value) {
        self.world.api.apply(&path(&self.world, plural, name), &object(kind, name, spec), "test").unwrap();
    }

    pub(super) fn start(&mut self) {
        self.start_with(&[]);
    }

    pub(super) fn start_with(&mut self, more: &[&str]) {
        let kubeconfig = self.world.kubeconfig().to_str().unwrap().to_owned();
        let namespace = self.world.namespace.name().to_owned();
        let place = ["--config-from-cluster", "--namespace", &namespace, "--kubeconfig", &kubeconfig];
        self.world.start_with(&[&place, more].concat());
    }

    pub(super) fn get(&self, plural: &str, name: &str) -> Value {
        self.world.api.get(&path(&self.world, plural, name)).unwrap()
    }

    /// Waits until a resource is as wanted, and its status of its last generation.
    pub(super) fn until(
        &self,
        plural: &str,
        name: &str,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        let mut last = Value::Null;
        let found = wait_until(what, PATIENCE, || {
            last = self.get(plural, name);
            let is_current = last["status"]["observedGeneration"] == last["metadata"]["generation"];
            Ok((is_current && wanted(&last)).then(|| last.clone()))
        });
        found.unwrap_or_else(|error| {
            let log = fs::read_to_string(self.world.path("log")).unwrap_or_default();
            panic!("{error:#}\nlast: {last:#}\nlog:\n{log}")
        })
    }
}

impl Drop for Governed {
    fn drop(&mut self) {
        // Nobody is there any more who would let them go. They may be gone, and the API server may be.
        self.world.kill();
        let apps = self.world.api.get(&path(&self.world, "apps", "")).unwrap_or_default();
        for app in apps["items"].as_array().into_iter().flatten() {
            let free = json!({"metadata": {"finalizers": null}});
            let path = path(&self.world, "apps", app["metadata"]["name"].as_str().unwrap_or_default());
            let _ = self.world.api.merge(&path, &free);
        }
    }
}

pub(super) fn app(path: &str) -> Value {
    json!({"repository": "config", "path": path, "environments": ["test"]})
}

pub(super) fn condition<'v>(resource: &'v Value, kind: &str) -> &'v Value {
    let conditions = resource["status"]["conditions"].as_array().map_or(&[][..], Vec::as_slice);
    conditions.iter().find(|one| one["type"] == kind).unwrap_or(&Value::Null)
}

pub(super) fn is(resource: &Value, kind: &str, status: &str) -> bool {
    condition(resource, kind)["status"] == status
}

fn resources_are_put_to_work_and_say_how_they_stand(ground: Ground) {
    let mut governed = Governed::new(ground, "governed");
    let first = governed.world.repo.commit(&[("app/a.yaml", &config_map("a", "1"))], "first").unwrap();
    governed.start();
    let app = governed.until("apps", "app", "Ready", |app| is(app, "Ready", "True"));
    let status = &app["status"];
    assert_eq!((&status["sync"], &status["health"]), (&json!("Synced"), &json!("Healthy")), "{status:#}");
    assert_eq!((&status["revision"], &status["shortRevision"]), (&json!(first), &json!(first[..8])));
    assert_eq!(status["targets"][0]["name"], "app@test");
    assert!(is(&app, "Reconciling", "False") && is(&app, "Stalled", "False"), "{status:#}");
    assert_eq!(condition(&app, "Ready")["observedGeneration"], app["metadata"]["generation"]);
    assert_eq!(governed.world.api.get(&governed.world.config_map("a")).unwrap()["data"]["value"], "1");
    let repository = governed.until("repositories", "config", "Ready", |it| is(it, "Ready", "True"));
    assert_eq!(repository["status"]["revision"], json!(first));
    let cluster = governed.until("clusters", "here", "Ready", |it| is(it, "Ready", "True"));
    assert!(cluster["status"]["version"].as_str().unwrap().starts_with("v1."), "{cluster:#}");
    let environment = governed.until("environments", "test", "Ready", |it| is(it, "Ready", "True"));
    assert_eq!(environment["status"]["targets"], 1);
    // The Event is posted after the status is written, and once.
    let path = format!("/apis/events.k8s.io/v1/namespaces/{}/events", governed.world.namespace.name());
    let about_app = |event: &&Value| event["regarding"]["kind"] == "App" && event["reason"] == "Synced";
    let posted = || {
        let events = governed.world.api.get(&path).unwrap();
        events["items"].as_array().unwrap().iter().filter(about_app).count()
    };
    governed.world.holds("an Event tells that the App is Synced", |_| posted() > 0);
    assert_eq!(posted(), 1);

    // A commit is followed, and a spec that leads nowhere is told for its own generation.
    let second = governed.world.repo.commit(&[("app/a.yaml", &config_map("a", "2"))], "second").unwrap();
    governed.until("apps", "app", "at the second commit", |app| {
        app["status"]["revision"] == second && is(app, "Ready", "True")
    });
    governed.apply("apps", "App", "app", &self::app("nowhere"));
    let app = governed.until("apps", "app", "not Ready", |app| is(app, "Ready", "False"));
    assert!(condition(&app, "Ready")["message"].as_str().unwrap().contains("nowhere"), "{app:#}");
    assert_eq!(
        governed.world.api.get(&governed.world.config_map("a")).unwrap()["data"]["value"],
        "2",
        "nothing is deleted for it"
    );
    governed.apply("apps", "App", "app", &self::app("app"));
    governed.until("apps", "app", "Ready again", |app| is(app, "Ready", "True"));
}

fn a_bad_resource_stops_itself_and_nothing_else(ground: Ground) {
    let mut governed = Governed::new(ground, "governed-bad");
    governed
        .world
        .repo
        .commit(
            &[
                ("app/a.yaml", &config_map("a", "1")),
                ("more/b.yaml", &config_map("b", "1")),
                ("second/c.yaml", &config_map("c", "1")),
            ],
            "first",
        )
        .unwrap();
    let mut lost = app("more");
    lost["environments"] = json!(["tset"]);
    governed.apply("apps", "App", "lost", &lost);
    let mut second = app("second");
    second["dependsOn"] = json!(["lost"]);
    governed.apply("apps", "App", "second", &second);
    governed.start();
    governed.until("apps", "app", "Ready", |app| is(app, "Ready", "True"));
    let lost = governed.until("apps", "lost", "Stalled", |app| is(app, "Stalled", "True"));
    let words = condition(&lost, "Ready")["message"].as_str().unwrap();
    assert!(
        words.contains("spec.environments[0]: there is no Environment `tset`, did you mean `test`?"),
        "{words}"
    );
    assert_eq!(condition(&lost, "Ready")["reason"], "Invalid");
    let waiting = governed.until("apps", "second", "Stalled", |app| is(app, "Stalled", "True"));
    let words = condition(&waiting, "Ready")["message"].as_str().unwrap();
    assert!(words.contains("spec.dependsOn[0]: App `lost` comes first"), "{words}");
    assert_eq!(
        governed.world.api.find(&governed.world.config_map("c")).unwrap(),
        None,
        "what it needs is not there"
    );
    governed.apply("apps", "App", "lost", &app("nothing-there"));
    governed.until("apps", "lost", "tried", |app| is(app, "Stalled", "False"));
    governed.apply("apps", "App", "lost", &app("more"));
    for app in ["lost", "second"] {
        governed.until("apps", app, "Ready", |app| is(app, "Ready", "True"));
    }
}

fn while_nothing_happens_nothing_is_written_also_over_a_restart(ground: Ground) {
    let mut governed = Governed::new(ground, "governed-idle");
    governed.world.repo.commit(&[("app/a.yaml", &config_map("a", "1"))], "first").unwrap();
    governed.start();
    for (plural, name) in
        [("apps", "app"), ("clusters", "here"), ("environments", "test"), ("repositories", "config")]
    {
        governed.until(plural, name, "Ready", |it| is(it, "Ready", "True"));
    }
    std::thread::sleep(Duration::from_secs(2));
    let mark = governed.world.cluster.mark();
    std::thread::sleep(Duration::from_secs(5));
    governed.world.terminate();
    // What is not known yet is no news, however long Git takes to answer.
    governed.server.set_delay(Duration::from_secs(3));
    governed.start();
    governed.world.holds("it is started", |world| {
        String::from_utf8_lossy(&world.trueup(&["status"]).stdout).contains("has not been read yet")
    });
    governed.world.holds("it is at work again", |world| world.trueup(&["status"]).status.code() == Some(0));
    std::thread::sleep(Duration::from_secs(5));
    let requests = governed.world.cluster.requests_since(mark);
    let written: Vec<String> = requests
        .iter()
        .filter(|request| {
            request.namespace == governed.world.namespace.name()
                && request.user_agent.starts_with("trueup")
                // That it lives, a replica says all the time.
                && request.resource != "leases"
                && !matches!(request.verb.as_str(), "get" | "list" | "watch")
        })
        .map(|request| format!("{} {} {}", request.verb, request.resource, request.name))
        .collect();
    assert!(written.is_empty(), "{written:?}");
}

/// A kubeconfig of a service account, with a token of its own.
pub(super) fn as_account(world: &World, name: &str) -> std::path::PathBuf {
    let kubeconfig = world.api.as_account(world.kubeconfig(), world.namespace.name(), name).unwrap();
    let file = world.path("account.kubeconfig");
    fs::write(&file, kubeconfig.to_string()).unwrap();
    file
}

/// Applies what `trueup install` prints, but for the namespace and the definitions, which are there.
fn install_chart(world: &mut World, values: &[&str]) {
    let (api, namespace) = (world.api.clone(), world.namespace.name().to_owned());
    for path in apply_chart(world, (&api, &namespace), values) {
        world.takes_away(path);
    }
}

/// Installs the chart into a namespace; gives the paths of what is not in one.
pub(super) fn apply_chart(world: &World, (api, namespace): (&Api, &str), values: &[&str]) -> Vec<String> {
    let words = [&["install", "--namespace", namespace, "-o", "json"], values].concat();
    let mut beside = Vec::new();
    let output = world.alone(&words);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    for object in list["items"].as_array().unwrap() {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let (group, plural) = match text("/kind") {
            "Namespace" | "CustomResourceDefinition" => continue,
            "ServiceAccount" => ("api/v1", "serviceaccounts"),
            "Service" => ("api/v1", "services"),
            "Deployment" => ("apis/apps/v1", "deployments"),
            "PodDisruptionBudget" => ("apis/policy/v1", "poddisruptionbudgets"),
            "NetworkPolicy" => ("apis/networking.k8s.io/v1", "networkpolicies"),
            "Role" => ("apis/rbac.authorization.k8s.io/v1", "roles"),
            "RoleBinding" => ("apis/rbac.authorization.k8s.io/v1", "rolebindings"),
            "ClusterRole" => ("apis/rbac.authorization.k8s.io/v1", "clusterroles"),
            "ClusterRoleBinding" => ("apis/rbac.authorization.k8s.io/v1", "clusterrolebindings"),
            other => panic!("{other} is in the chart and unknown here"),
        };
        let place = match text("/metadata/namespace") {
            "" => String::new(),
            namespace => format!("namespaces/{namespace}/"),
        };
        let path = format!("/{group}/{place}{plural}/{}", text("/metadata/name"));
        api.apply(&path, object, "test").unwrap();
        if place.is_empty() {
            beside.push(path);
        }
    }
    beside
}

fn the_rights_of_the_chart_are_enough_and_a_missing_one_is_named(ground: Ground) {
    let mut governed = Governed::new(ground, "governed-chart");
    let namespace = governed.world.namespace.name().to_owned();
    governed.world.repo.commit(&[("app/a.yaml", &config_map("a", "1"))], "first").unwrap();
    let values = governed.world.path("values.yaml");
    let rules = "{apiGroups: [''], resources: [configmaps]}";
    fs::write(&values, format!("rbac: {{namespaces: [{namespace}], rules: [{rules}]}}\n")).unwrap();
    let values = values.to_str().unwrap().to_owned();
    install_chart(&mut governed.world, &["--values", &values, "--set", "rbac.scope=namespaces"]);
    let kubeconfig = as_account(&governed.world, "trueup").to_str().unwrap().to_owned();
    let arguments = ["--config-from-cluster", "--namespace", &namespace, "--kubeconfig", &kubeconfig];
    governed.world.start_with(&arguments);
    for (plural, name) in
        [("apps", "app"), ("clusters", "here"), ("environments", "test"), ("repositories", "config")]
    {
        governed.until(plural, name, "Ready", |it| is(it, "Ready", "True"));
    }
    assert_eq!(governed.world.api.get(&governed.world.config_map("a")).unwrap()["data"]["value"], "1");
    // A kind that the rights do not reach.
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n";
    governed.world.repo.commit(&[("app/b.yaml", service)], "a service").unwrap();
    governed.until("apps", "app", "the right is named", |app| {
        let words = condition(app, "Ready")["message"].as_str().unwrap_or_default();
        words.contains("services") && words.contains(&namespace) && words.contains("cannot")
    });
    // An App that prunes is held, and let go when nothing is left.
    governed.world.repo.commit(&[("more/b.yaml", &config_map("b", "1"))], "more").unwrap();
    let mut more = app("more");
    more["deletionPolicy"] = json!("Delete");
    governed.apply("apps", "App", "more", &more);
    governed.until("apps", "more", "held and Ready", |app| {
        is(app, "Ready", "True") && app["metadata"]["finalizers"] == json!(["trueup.dev/deletion"])
    });
    governed.world.api.delete(&path(&governed.world, "apps", "more")).unwrap();
    governed.world.holds("it is gone with what it applied", |world| {
        let gone = |path: &str| world.api.find(path).unwrap().is_none();
        gone(&path(world, "apps", "more")) && gone(&world.config_map("b"))
    });
    // A Secret that is not there is named by the repository that needs it.
    let private = json!({"url": "https://git.example.com/private.git", "secretRef": {"name": "gone"}});
    governed.apply("repositories", "Repository", "private", &private);
    governed.until("repositories", "private", "the Secret is named", |it| {
        condition(it, "Ready")["message"].as_str().is_some_and(|words| words.contains("gone"))
    });
}

fn an_app_of_apps_brings_apps_and_never_takes_itself_away(ground: Ground) {
    let mut governed = Governed::new(ground, "governed-apps");
    let manifest = |kind: &str, name: &str, spec: &Value| {
        let mut resource = object(kind, name, spec);
        resource["metadata"]["namespace"] = json!(governed.world.namespace.name());
        resource.to_string()
    };
    let url = governed.get("repositories", "config")["spec"]["url"].clone();
    let own = manifest("App", "app", &app("app"));
    let config = manifest("Repository", "config", &json!({"url": url, "interval": "300ms"}));
    let child = manifest("App", "child", &app("child"));
    let (a, b) = (config_map("a", "1"), config_map("b", "1"));
    let files: [(&str, &str); 5] = [
        ("app/own.yaml", &own),
        ("app/config.yaml", &config),
        ("app/child.yaml", &child),
        ("app/a.yaml", &a),
        ("child/b.yaml", &b),
    ];
    governed.world.repo.commit(&files, "apps that bring each other").unwrap();
    governed.start();
    governed.until("apps", "app", "Ready with itself among its objects", |app| is(app, "Ready", "True"));
    let child = wait_until("the child is there", PATIENCE, || {
        governed.world.api.find(&path(&governed.world, "apps", "child"))
    });
    assert_eq!(child.unwrap()["spec"]["path"], "child");
    governed.until("apps", "child", "Ready", |app| is(app, "Ready", "True"));
    // All configuration leaves Git. The child goes and leaves what it applied; what the App is made of stays.
    governed.world.repo.remove(&["app/own.yaml", "app/config.yaml", "app/child.yaml"], "away").unwrap();
    let gone =
        || Ok(governed.world.api.find(&path(&governed.world, "apps", "child"))?.is_none().then_some(()));
    wait_until("the child is pruned", PATIENCE, gone).unwrap();
    let revision = governed.world.repo.commit(&[("app/a.yaml", &config_map("a", "2"))], "goes on").unwrap();
    governed.until("apps", "app", "still at work", |app| {
        app["status"]["revision"] == revision && is(app, "Ready", "True")
    });
    assert!(governed.get("repositories", "config")["metadata"]["deletionTimestamp"].is_null());
    assert_eq!(governed.world.api.get(&governed.world.config_map("b")).unwrap()["data"]["value"], "1");
}

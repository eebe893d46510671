//! Helm releases become targets without a change to what runs, and Helm can take them back. Helm is the real one.

use super::ground::{Ground, scenarios};
use super::harness::World;
use super::helm::{configure, names, objects};
use serde_json::Value;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use trueup_oracle::Original;
use trueup_testkit::{Components, Options, User};

scenarios![
    a_release_is_adopted_without_touching_what_runs_and_helm_can_take_it_back,
    what_was_synced_over_a_client_side_release_is_adopted_later_and_then_fields_go,
    what_git_does_not_have_is_named_and_left_alone_and_what_cannot_be_adopted_is_refused,
    rights_that_are_missing_are_named_before_anything_is_handed_over,
    a_release_that_helm_keeps_in_config_maps_is_adopted_as_well,
    an_adoption_that_was_killed_is_brought_to_its_end_by_the_next,
];

const CHART: &str = "apiVersion: v2\nname: web\nversion: 1.2.3\n";

const DEPLOYMENT: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels: {app.kubernetes.io/managed-by: '{{ .Release.Service }}', app: web}
  annotations: {{- toYaml .Values.notes | nindent 4 }}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - {name: web, image: registry.example.com/web, ports: [{containerPort: 80}], env: [{name: A, value: b}]}
";

const SERVICE: &str = "\
apiVersion: v1
kind: Service
metadata: {name: web, labels: {app.kubernetes.io/managed-by: '{{ .Release.Service }}'}}
spec: {selector: {app: web}, ports: [{port: 80}]}
";

const SETTINGS: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {{- toYaml .Values.settings | nindent 2 }}\n";

const SECRET: &str =
    "apiVersion: v1\nkind: Secret\nmetadata: {name: web}\nstringData: {password: '{{ .Values.password }}'}\n";

const HOOK: &str = "\
apiVersion: batch/v1
kind: Job
metadata: {name: first-data, annotations: {helm.sh/hook: post-install}}
spec:
  template:
    spec: {restartPolicy: Never, containers: [{name: main, image: registry.example.com/migrate}]}
";

const VALUES: &str = "replicas: 2\nnotes: {stays: here, goes: away}\nsettings: {value: one, goes: away}\npassword: swordfish\n";
const LESS: &str = "replicas: 2\nnotes: {stays: here}\nsettings: {value: two}\npassword: swordfish\n";

/// A chart with all of that.
const FILES: [(&str, &str); 6] = [
    ("Chart.yaml", CHART),
    ("templates/deployment.yaml", DEPLOYMENT),
    ("templates/service.yaml", SERVICE),
    ("templates/settings.yaml", SETTINGS),
    ("templates/secret.yaml", SECRET),
    ("templates/hook.yaml", HOOK),
];

/// The real Helm, built from its Go module.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let of = concat!(env!("CARGO_MANIFEST_DIR"), "/crates/helm");
    PROGRAM.get_or_init(|| Original::of_crate(of).program().unwrap())
}

/// Helm, in a world's namespace, with a chart on disk.
struct Helm<'w> {
    world: &'w World,
    kubeconfig: PathBuf,
    folder: tempfile::TempDir,
    /// In objects of which kind it keeps its releases.
    driver: &'static str,
}

impl<'w> Helm<'w> {
    fn new(world: &'w World, files: &[(&str, &str)]) -> Self {
        let kubeconfig = world.cluster.kubeconfig();
        let helm = Self { world, kubeconfig, folder: tempfile::tempdir().unwrap(), driver: "secret" };
        for (name, text) in files {
            helm.write(&format!("chart/{name}"), text);
        }
        helm
    }

    /// Writes a file and gives its path.
    fn write(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(program());
        command.env("HELM_DRIVER", self.driver);
        // It writes under the name that it is called by.
        command.arg0("helm").args(arguments).args(["--namespace", self.world.namespace.name()]);
        for variable in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            command.env(variable, self.folder.path().join("home"));
        }
        command.env("KUBECONFIG", &self.kubeconfig).output().unwrap()
    }

    /// Installs or upgrades the release `web` from the chart on disk.
    fn puts(&self, verb: &str, values: &str, more: &[&str]) {
        let chart = self.folder.path().join("chart");
        let values = self.write("values.yaml", values);
        let first = [verb, "web", chart.to_str().unwrap(), "--values", &values];
        let arguments = [&first[..], more].concat();
        let output = self.run(&arguments);
        assert!(output.status.success(), "{arguments:?}: {}", told(&output));
    }
}

/// What a program printed.
fn told(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat()
}

/// The same files below `web`, and values beside them, as a repository has them.
fn in_git(files: &[(&str, &str)], values: &str) -> Vec<(String, String)> {
    let chart = files.iter().map(|(name, text)| (format!("web/{name}"), (*text).to_owned()));
    chart.chain([("values.yaml".to_owned(), values.to_owned())]).collect()
}

fn commit(world: &World, files: &[(String, String)]) -> String {
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    world.repo.commit(&files, "a chart").unwrap()
}

const COLLECTIONS: [&str; 6] = [
    "/apis/apps/v1/deployments",
    "/apis/apps/v1/replicasets",
    "/api/v1/pods",
    "/api/v1/services",
    "/api/v1/secrets",
    "/apis/batch/v1/jobs",
];

/// What runs. A Deployment has a new generation also where only annotations change.
const PODS: [&str; 2] = ["/apis/apps/v1/replicasets", "/api/v1/pods"];

/// What must not change: which objects there are, and what they are told to be.
fn running(world: &World, collections: &[&str]) -> Vec<Value> {
    // A namespace is given its certificates at some time.
    let is_other = |name: &str| name.starts_with("trueup.") || name.starts_with("kube-");
    let is_ours = |object: &Value| !is_other(object["metadata"]["name"].as_str().unwrap());
    let all = collections.iter().flat_map(|collection| objects(world, collection)).filter(is_ours);
    all.map(|object| {
        let metadata = &object["metadata"];
        serde_json::json!([
            metadata["name"],
            metadata["uid"],
            metadata["generation"],
            object["spec"],
            object["data"]
        ])
    })
    .collect()
}

/// Waits until the Deployment is as it should be.
fn rolled_out(world: &World) {
    world.holds("the pods run", |world| {
        let all = objects(world, "/apis/apps/v1/deployments");
        all.len() == 1 && all[0]["status"]["availableReplicas"] == 2
    });
}

/// The one object of that name.
fn one(world: &World, collection: &str, name: &str) -> Value {
    let all = objects(world, collection);
    all.iter()
        .find(|object| object["metadata"]["name"] == name)
        .unwrap_or_else(|| panic!("no {name}"))
        .clone()
}

/// The fields that a manager has in an object's books.
fn owned(object: &Value, manager: &str) -> String {
    let entries = object["metadata"]["managedFields"].as_array().unwrap().iter();
    let own = entries.filter(|entry| entry["manager"] == manager && entry["subresource"].is_null());
    own.map(|entry| entry["fieldsV1"].to_string()).collect()
}

const CONFIGURATION: &str = "chart: web, releaseName: web, valuesFiles: [values.yaml]";

fn a_release_is_adopted_without_touching_what_runs_and_helm_can_take_it_back(ground: Ground) {
    let mut world = World::played(ground, "adopt");
    configure(&world, CONFIGURATION);
    let files = in_git(&FILES, VALUES);
    commit(&world, &files);
    let helm = Helm::new(&world, &FILES);
    helm.puts("install", VALUES, &[]);
    rolled_out(&world);
    let before = running(&world, &COLLECTIONS);
    let versions = |world: &World| {
        ["settings"].map(|name| one(world, "/api/v1/configmaps", name)["metadata"]["resourceVersion"].clone())
    };
    let unchanged = versions(&world);

    let shown = world.alone(&["adopt", "helm", "web", "--dry-run"]);
    assert_eq!(shown.status.code(), Some(1), "{}", told(&shown));
    let space = world.namespace.name();
    for object in ["Deployment.apps", "Service", "Secret"] {
        assert!(told(&shown).contains(&format!("adopt {object} {space}/web: ")), "{}", told(&shown));
    }
    assert!(!told(&shown).contains("pods are made anew") && !told(&shown).contains("swordfish"));
    let unasked = world.alone(&["adopt", "helm", "web"]);
    assert!(unasked.status.code() == Some(2) && told(&unasked).contains("--yes"), "{}", told(&unasked));
    assert_eq!(versions(&world), unchanged);
    assert!(running(&world, &COLLECTIONS) == before, "nothing was touched");

    let adopted = world.alone(&["adopt", "helm", "web", "--yes"]);
    assert!(adopted.status.success(), "{}", told(&adopted));
    assert!(running(&world, &COLLECTIONS) == before, "what runs was not touched");
    let settings = one(&world, "/api/v1/configmaps", "settings");
    assert!(owned(&settings, "trueup").contains("f:goes"), "{settings}");
    assert!(!owned(&settings, "helm").contains("f:data"), "{settings}");
    assert_eq!(settings["metadata"]["annotations"]["meta.helm.sh/release-name"], "web");
    assert_eq!(settings["metadata"]["labels"]["app.kubernetes.io/managed-by"], "Helm");
    let again = world.alone(&["adopt", "helm", "web", "--dry-run"]);
    assert!(again.status.success(), "nothing is left to do: {}", told(&again));

    // What leaves Git goes now.
    world_without(&mut world);
    let deployment = one(&world, "/apis/apps/v1/deployments", "web");
    assert_eq!(deployment["metadata"]["annotations"]["stays"], "here");
    assert!(deployment["metadata"]["annotations"]["goes"].is_null(), "{deployment}");
    let settings = one(&world, "/api/v1/configmaps", "settings");
    assert_eq!(settings["data"], serde_json::json!({"value": "two"}));
    assert_eq!(settings["metadata"]["annotations"]["meta.helm.sh/release-name"], "web");
    let pruned = world.repo.remove(&["web/templates/service.yaml"], "no service").unwrap();
    world.synced(&pruned);
    assert_eq!(names(&objects(&world, "/api/v1/services")), Vec::<&str>::new());
    assert_eq!(world.terminate(), Some(0));

    let helm = Helm::new(&world, &FILES);
    helm.puts("upgrade", &VALUES.replace("one", "three"), &["--force-conflicts"]);
    assert_eq!(one(&world, "/api/v1/configmaps", "settings")["data"]["value"], "three");
    assert_eq!(names(&objects(&world, "/api/v1/services")), ["web"]);
    // And once more the other way round.
    let again = world.alone(&["adopt", "helm", "web", "--yes"]);
    assert!(again.status.success(), "{}", told(&again));
    assert_eq!(one(&world, "/api/v1/configmaps", "settings")["data"], serde_json::json!({"value": "two"}));
}

/// Runs trueup, and takes fields out of the values.
fn world_without(world: &mut World) {
    let revision = world.repo.commit(&[("values.yaml", LESS)], "less").unwrap();
    world.start();
    world.synced(&revision);
}

fn what_was_synced_over_a_client_side_release_is_adopted_later_and_then_fields_go(ground: Ground) {
    let mut world = World::played(ground, "adopt-over");
    configure(&world, CONFIGURATION);
    commit(&world, &in_git(&FILES, VALUES));
    let helm = Helm::new(&world, &FILES);
    helm.puts("install", VALUES, &["--server-side=false"]);
    drop(helm);
    rolled_out(&world);
    let before = running(&world, &COLLECTIONS);
    let pods = running(&world, &PODS);
    world_without(&mut world);
    let settings = one(&world, "/api/v1/configmaps", "settings");
    assert_eq!(settings["data"], serde_json::json!({"value": "two", "goes": "away"}), "Helm still owns it");
    assert!(running(&world, &COLLECTIONS) == before, "what runs was not touched");

    let shown = world.trueup(&["adopt", "helm", "web", "--dry-run"]);
    assert!(told(&shown).contains("Git does not have data.goes"), "{}", told(&shown));
    let adopted = world.trueup(&["adopt", "helm", "web", "--yes"]);
    assert!(adopted.status.success(), "{}", told(&adopted));
    world.holds("what Git does not have is gone", |world| {
        let settings = one(world, "/api/v1/configmaps", "settings");
        let deployment = one(world, "/apis/apps/v1/deployments", "web");
        settings["data"] == serde_json::json!({"value": "two"})
            && deployment["metadata"]["annotations"]["goes"].is_null()
    });
    assert!(running(&world, &PODS) == pods, "no pod was made anew");
    assert_eq!(world.terminate(), Some(0));

    let helm = Helm::new(&world, &FILES);
    helm.puts("upgrade", &VALUES.replace("one", "three"), &[]);
    assert_eq!(one(&world, "/api/v1/configmaps", "settings")["data"]["value"], "three");
}

fn config_map(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{value: '1'}}\n")
}

fn what_git_does_not_have_is_named_and_left_alone_and_what_cannot_be_adopted_is_refused(ground: Ground) {
    let mut world = World::new(ground, "adopt-part");
    let (both, old, new) = (config_map("both"), config_map("old"), config_map("new"));
    let helm = Helm::new(
        &world,
        &[("Chart.yaml", CHART), ("templates/both.yaml", &both), ("templates/old.yaml", &old)],
    );
    let text = world.configuration("automatic: false", world.namespace.name());
    world.write_configuration(&text.replace("path: app,", "helm: {chart: web, releaseName: web},"));
    let files = [("Chart.yaml", CHART), ("templates/both.yaml", &both), ("templates/new.yaml", &new)];
    let revision = commit(&world, &in_git(&files, ""));

    let refused = |world: &World, arguments: &[&str], words: &str| {
        let output = world.alone(&[&["adopt", "helm"][..], arguments, &["--yes"]].concat());
        assert_eq!(output.status.code(), Some(2), "{}", told(&output));
        assert!(told(&output).contains(words), "{} instead of {words}", told(&output));
    };
    refused(&world, &["web"], "there is no Helm release web in namespace");
    refused(&world, &["other"], "no target of the configuration renders a chart as release other");

    helm.puts("install", "", &[]);
    // A release that another chart made, and one that Helm itself could not bring to an end.
    let stranger = helm.write("stranger/Chart.yaml", &CHART.replace("web", "stranger"));
    helm.write("stranger/templates/a.yaml", &config_map("strange"));
    let chart = stranger.trim_end_matches("/Chart.yaml");
    assert!(helm.run(&["install", "stranger", chart]).status.success());
    refused(&world, &["stranger", "--target", "app@test"], "renders none of the objects of release");
    helm.write("stranger/templates/a.yaml", &config_map("Not-A-Name"));
    assert!(!helm.run(&["upgrade", "stranger", chart]).status.success());
    refused(&world, &["stranger", "--target", "app@test"], "is failed at revision 2");
    drop(helm);

    // A running trueup that only syncs when it is asked.
    world.start();
    world.until("it is out of sync", |status| status["sync"] == "OutOfSync");
    let adopted = world.trueup(&["adopt", "helm", "web", "--yes"]);
    assert!(adopted.status.success(), "{}", told(&adopted));
    let space = world.namespace.name();
    for line in [
        format!("adopt ConfigMap {space}/both: "),
        format!("left alone ConfigMap {space}/old: "),
        format!("added ConfigMap {space}/new: "),
    ] {
        assert!(told(&adopted).contains(&line), "{line}: {}", told(&adopted));
    }
    world.synced(&revision);
    assert!(owned(&one(&world, "/api/v1/configmaps", "old"), "helm").contains("f:data"), "it is left alone");
    assert!(!owned(&one(&world, "/api/v1/configmaps", "both"), "helm").contains("f:data"));
    assert_eq!(one(&world, "/api/v1/configmaps", "new")["data"]["value"], "1");
}

fn rights_that_are_missing_are_named_before_anything_is_handed_over(ground: Ground) {
    let plane = ground.start(Options {
        components: Components::ApiOnly,
        users: vec![User::named("limited")],
        ..Options::default()
    });
    let world = World::on(&plane, "adopt-rights");
    let rbac = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{}", world.namespace.name());
    let group = "rbac.authorization.k8s.io";
    let role = |verbs: &[&str]| {
        serde_json::json!({"apiVersion": format!("{group}/v1"), "kind": "Role", "metadata": {"name": "r"}, "rules": [
            {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]},
            {"apiGroups": [""], "resources": ["secrets"], "verbs": verbs}]})
    };
    let binding = serde_json::json!({"apiVersion": format!("{group}/v1"), "kind": "RoleBinding", "metadata": {"name": "r"},
        "roleRef": {"apiGroup": group, "kind": "Role", "name": "r"},
        "subjects": [{"apiGroup": group, "kind": "User", "name": "limited"}]});
    world.api.create(&format!("{rbac}/roles"), &role(&["create"])).unwrap();
    world.api.create(&format!("{rbac}/rolebindings"), &binding).unwrap();
    let settings = config_map("settings");
    let files = [("Chart.yaml", CHART), ("templates/a.yaml", &settings), ("templates/secret.yaml", SECRET)];
    commit(&world, &in_git(&files, "password: swordfish\n"));
    Helm::new(&world, &files).puts("install", "password: swordfish\n", &[]);
    let world = world.reached_with(plane.kubeconfig_for("limited"));
    configure(&world, CONFIGURATION);

    let adopt = |words: &str| {
        let output = world.alone(&["adopt", "helm", "web", "--yes"]);
        assert_eq!(output.status.code(), Some(2), "{}", told(&output));
        assert!(told(&output).contains(words), "{} instead of {words}", told(&output));
        let settings = one(&world, "/api/v1/configmaps", "settings");
        assert!(owned(&settings, "helm").contains("f:data") && owned(&settings, "trueup").is_empty());
    };
    adopt("cannot list resource \"secrets\"");
    world.api.replace(&format!("{rbac}/roles/r"), &role(&["get", "list", "watch"])).unwrap();
    world.holds("the right has arrived", |world| {
        !told(&world.alone(&["adopt", "helm", "web", "--dry-run"])).contains("cannot list")
    });
    adopt("cannot patch resource \"secrets\"");
    world.api.replace(&format!("{rbac}/roles/r"), &role(&["*"])).unwrap();
    world.holds("it goes on when it may", |world| {
        world.alone(&["adopt", "helm", "web", "--yes"]).status.success()
    });
    let settings = one(&world, "/api/v1/configmaps", "settings");
    assert!(!owned(&settings, "helm").contains("f:data") && owned(&settings, "trueup").contains("f:data"));
}

fn a_release_that_helm_keeps_in_config_maps_is_adopted_as_well(ground: Ground) {
    let world = World::new(ground, "adopt-configmaps");
    configure(&world, CONFIGURATION);
    let settings = config_map("settings");
    let files = [("Chart.yaml", CHART), ("templates/a.yaml", &*settings)];
    commit(&world, &in_git(&files, ""));
    let helm = Helm { driver: "configmap", ..Helm::new(&world, &files) };
    helm.puts("install", "", &[]);
    helm.puts("upgrade", "", &[]);
    let before = running(&world, &["/api/v1/configmaps"]);

    let adopted = world.alone(&["adopt", "helm", "web", "--yes"]);
    assert!(adopted.status.success(), "{}", told(&adopted));
    let settings = one(&world, "/api/v1/configmaps", "settings");
    assert!(!owned(&settings, "helm").contains("f:data"), "{settings}");
    assert!(owned(&settings, "trueup").contains("f:value"), "{settings}");
    assert!(running(&world, &["/api/v1/configmaps"]) == before, "Helm's own records stay as they are");
}

fn an_adoption_that_was_killed_is_brought_to_its_end_by_the_next(ground: Ground) {
    const OBJECTS: usize = 200;
    let world = World::new(ground, "adopt-killed");
    configure(&world, CONFIGURATION);
    let all: Vec<String> = (0..OBJECTS).map(|index| config_map(&format!("c{index}"))).collect();
    let all = all.join("---\n");
    let files = [("Chart.yaml", CHART), ("templates/all.yaml", &*all)];
    commit(&world, &in_git(&files, ""));
    Helm::new(&world, &files).puts("install", "", &[]);
    let before = running(&world, &["/api/v1/configmaps"]);
    let adopted = |world: &World| {
        let all = objects(world, "/api/v1/configmaps");
        all.iter().filter(|object| owned(object, "trueup").contains("f:value")).count()
    };

    let mut first = world.begin(&["adopt", "helm", "web", "--yes"]);
    world.holds("an object is handed over", |world| adopted(world) > 0);
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(running(&world, &["/api/v1/configmaps"]) == before, "no half of it changed an object");

    let second = world.alone(&["adopt", "helm", "web", "--yes"]);
    assert!(second.status.success(), "{}", told(&second));
    assert_eq!(adopted(&world), OBJECTS);
    assert!(running(&world, &["/api/v1/configmaps"]) == before, "what runs was not touched");
    let nothing = world.alone(&["adopt", "helm", "web", "--dry-run"]);
    assert!(nothing.status.success(), "nothing is left to do: {}", told(&nothing));
}

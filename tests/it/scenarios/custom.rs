//! The configuration as custom resources: definitions that a cluster takes, objects that it refuses, and the way
//! between files and resources.

use super::ground::{Cluster, Ground, scenarios};
use super::harness::World;
use serde_json::{Value, json};
use std::process::Command;
use std::sync::OnceLock;
use trueup_testkit::{Api, wait_until};

scenarios![
    a_wrong_repository_is_refused_where_it_is_wrong,
    a_wrong_cluster_is_refused_where_it_is_wrong,
    a_wrong_environment_is_refused_where_it_is_wrong,
    a_wrong_app_is_refused_where_it_is_wrong,
    a_wrong_app_set_is_refused_where_it_is_wrong,
    names_that_become_parts_of_names_have_no_dots,
    a_configuration_goes_into_a_cluster_and_comes_out_the_same,
];

/// Makes the kinds known to a cluster. They are of all namespaces, so of all tests that share it: once a process then.
pub(crate) fn install(cluster: &Cluster) {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    match cluster {
        Cluster::Shared(plane) => *INSTALLED.get_or_init(|| define(plane.api())),
        Cluster::Own(_) | Cluster::InMemory(_) => define(cluster.api()),
    }
}

/// Makes the kinds known to a cluster.
pub(crate) fn define(api: &Api) {
    let output = Command::new(env!("CARGO_BIN_EXE_trueup")).args(["crds", "-o", "json"]).output().unwrap();
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    for definition in list["items"].as_array().unwrap() {
        let name = definition["metadata"]["name"].as_str().unwrap();
        let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}");
        api.apply(&path, definition, "test").unwrap();
        wait_until("the definition is established", super::harness::PATIENCE, || {
            let live = api.get(&path)?;
            let conditions = live["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let holds = |kind: &str, status: &str| {
                conditions.iter().any(|one| one["type"] == kind && one["status"] == status)
            };
            assert!(!holds("NonStructuralSchema", "True"), "{live}");
            let served = api.find(&format!("/apis/trueup.dev/v1alpha1/{}", name.split('.').next().unwrap()));
            Ok((holds("Established", "True") && served.is_ok_and(|list| list.is_some())).then_some(()))
        })
        .unwrap();
    }
}

/// The path of a resource of the world's namespace, or with an empty name of all of a kind.
pub(crate) fn path(world: &World, plural: &str, name: &str) -> String {
    let slash = if name.is_empty() { "" } else { "/" };
    format!("/apis/trueup.dev/v1alpha1/namespaces/{}/{plural}{slash}{name}", world.namespace.name())
}

/// A resource.
pub(crate) fn object(kind: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "trueup.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

fn world(ground: Ground, hint: &str) -> World {
    let world = World::new(ground, hint);
    install(&world.cluster);
    world
}

/// A resource that is right, and what makes it wrong with the words that the server has to say of it, in parts.
fn refused(world: &World, plural: &str, kind: &str, right: &Value, wrong: &[(Value, &str)]) {
    let collection = format!("{}?fieldValidation=Strict&dryRun=All", path(world, plural, ""));
    world.api.create(&collection, &object(kind, "one", right)).unwrap();
    for (change, words) in wrong {
        let mut spec = right.clone();
        for (field, value) in change.as_object().unwrap() {
            spec[field] = value.clone();
            if value.is_null() {
                spec.as_object_mut().unwrap().remove(field);
            }
        }
        let error = match world.api.create(&collection, &object(kind, "one", &spec)) {
            Ok(_) => panic!("the server takes {kind} {spec}"),
            Err(error) => format!("{error:#}"),
        };
        for words in words.split("| ") {
            assert!(error.contains(words), "{kind} {spec}: {words:?} is not in: {error}");
        }
    }
}

fn a_wrong_repository_is_refused_where_it_is_wrong(ground: Ground) {
    let world = world(ground, "crd-repository");
    let secret = json!({"name": "x", "namespace": "kube-system"});
    refused(
        &world,
        "repositories",
        "Repository",
        &json!({"url": "https://git.example.com/c.git", "ref": {"branch": "main"}, "interval": "1m 30s", "secretRef": {"name": "git"}}),
        &[
            (json!({"url": null}), "spec.url: Required value"),
            (json!({"url": "./config"}), "spec.url: Invalid value: | has to be https://"),
            (json!({"url": "file:///etc/shadow"}), "spec.url: Invalid value: | has to be https://"),
            (
                json!({"url": "https://me:pw@git.example.com/c.git"}),
                "spec.url: Invalid value: | a password does not belong",
            ),
            (json!({"ref": {"branch": "main", "tag": "v1"}}), "spec.ref: Too many: "),
            (json!({"ref": {}}), "spec.ref in body should have at least 1 properties"),
            (
                json!({"ref": {"commit": "abc"}}),
                "spec.ref.commit: Invalid value: | has to be a full commit id",
            ),
            (json!({"interval": "often"}), "spec.interval: Invalid value"),
            (
                json!({"secretRef": secret}),
                "spec.secretRef: Invalid value: | a resource uses Secrets of its own namespace only",
            ),
            (
                json!({"credentials": {"password": {"file": "/etc/shadow"}}}),
                "spec: Invalid value: | a resource has its credentials in a Secret",
            ),
            (
                json!({"webhook": {"secret": {"env": "HOME"}}}),
                "spec.webhook: Invalid value: | a webhook needs its secret",
            ),
            (json!({"worktree": true}), "only a local folder has a working tree"),
            (json!({"intervall": "1m"}), "unknown field \"spec.intervall\""),
        ],
    );
}

fn a_wrong_cluster_is_refused_where_it_is_wrong(ground: Ground) {
    let world = world(ground, "crd-cluster");
    let secret = json!({"name": "x", "namespace": "kube-system"});
    refused(
        &world,
        "clusters",
        "Cluster",
        &json!({"inCluster": true}),
        &[
            (
                json!({"secretRef": {"name": "x"}}),
                "spec: Invalid value: | a cluster is reached through exactly one of",
            ),
            (
                json!({"inCluster": false}),
                "spec: Invalid value: | a cluster is reached through exactly one of",
            ),
            (json!({"kubeconfig": {"path": "/etc/kubeconfig"}}), "put the kubeconfig in a Secret"),
            (
                json!({"inCluster": null, "secretRef": secret}),
                "spec.secretRef: Invalid value: | a resource uses Secrets",
            ),
            (json!({"maxInFlight": 0}), "spec.maxInFlight in body should be greater than or equal to 1"),
        ],
    );
}

fn a_wrong_environment_is_refused_where_it_is_wrong(ground: Ground) {
    let world = world(ground, "crd-environment");
    refused(
        &world,
        "environments",
        "Environment",
        &json!({"cluster": "here", "namespace": "shop", "values": {"a": 1, "b": {"c": [null, "x"]}, "d": null}}),
        &[
            (json!({"cluster": null}), "spec: Invalid value: | an environment has exactly one of"),
            (
                json!({"clusters": {"names": ["here"]}}),
                "spec: Invalid value: | an environment has exactly one of",
            ),
            (
                json!({"cluster": null, "clusters": {}}),
                "spec.clusters: Invalid value: | needs `names` or a `selector`",
            ),
            (
                json!({"cluster": null, "clusters": {"names": ["a", "a"]}}),
                "spec.clusters.names[1]: Duplicate value",
            ),
            (json!({"namespace": "Shop"}), "spec.namespace: Invalid value: | has to be lower-case"),
            (
                json!({"ignore": [{"kind": "Deployment"}]}),
                "spec.ignore[0]: Invalid value: | a rule needs `fields` or `managers`",
            ),
            (
                json!({"rollout": {"maxUnavailable": "10%"}}),
                "spec: Invalid value: | a rollout goes over `clusters`",
            ),
            (
                json!({"cluster": null, "clusters": {"names": ["a"]}, "rollout": {"maxUnavailable": "some"}}),
                "spec.rollout.maxUnavailable: Invalid value",
            ),
            (json!({"sync": {"maxPrune": -1}}), "spec.sync.maxPrune: Invalid value"),
            (json!({"sync": {"prune": "yes"}}), "spec.sync.prune in body must be of type boolean"),
        ],
    );
}

fn a_wrong_app_is_refused_where_it_is_wrong(ground: Ground) {
    let world = world(ground, "crd-app");
    refused(
        &world,
        "apps",
        "App",
        &json!({"repository": "config", "path": "app", "environments": ["test"]}),
        &[
            (json!({"path": null}), "spec: Invalid value: | an app needs a `path`, or `helm`"),
            (json!({"environments": []}), "spec.environments in body should have at least 1 items"),
            (json!({"environments": ["a", "a"]}), "spec.environments[1]: Duplicate value"),
            (json!({"prune": true, "sync": {"prune": false}}), "`prune` is short for `sync.prune`"),
            (
                json!({"substitute": "yes"}),
                "spec.substitute: Unsupported value: \"yes\": supported values: \"disabled\", \"strict\"",
            ),
            (json!({"helm": {"chart": "web"}, "recurse": true}), "this App has a chart"),
            (
                json!({"helm": {"chart": "web", "version": "1"}}),
                "spec.helm: Invalid value: | `version`, `secretRef` and `insecure`",
            ),
            (
                json!({"helm": {"chart": "web", "repository": "file:///x"}}),
                "spec.helm.repository: Invalid value: | charts come from",
            ),
            (
                json!({"retry": {"limit": -1}}),
                "spec.retry.limit in body should be greater than or equal to 0",
            ),
        ],
    );
}

fn a_wrong_app_set_is_refused_where_it_is_wrong(ground: Ground) {
    let world = world(ground, "crd-appset");
    let app = json!({"repository": "config", "path": "{folder.path}", "environments": ["test"]});
    let with = |field: &str, value: Value| {
        let mut app = app.clone();
        app[field] = value;
        app.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        json!({"template": {"metadata": {"name": "{folder.name}"}, "spec": app}})
    };
    let folders = json!({"repository": "config", "paths": ["apps/*"]});
    let mut right = with("suspend", json!(false));
    right["generators"] = json!([
        {"folders": folders},
        {"matrix": [{"clusters": {"selector": {"matchLabels": {"a": "b"}}}}, {"list": [{"a": 1, "b": {"c": [true, null]}}]}]},
    ]);
    right["maxRemoved"] = json!("10%");
    refused(
        &world,
        "appsets",
        "AppSet",
        &right,
        &[
            (json!({"generators": []}), "spec.generators in body should have at least 1 items"),
            (json!({"generators": [{}]}), "spec.generators[0] in body should have at least 1 properties"),
            (
                json!({"generators": [{"folders": folders, "list": []}]}),
                "spec.generators[0]: Too many: 2: must have at most 1 item",
            ),
            (json!({"generators": [{"folder": folders}]}), "unknown field \"spec.generators[0].folder\""),
            (json!({"maxRemoved": "ten"}), "spec.maxRemoved: Invalid value"),
            (with("path", Value::Null), "an app needs a `path`, or `helm`"),
            (with("helm", json!({"chart": "web", "credentials": {}})), "in a Secret of its namespace"),
            (
                with("helm", json!({"chart": "web", "secretRef": {"name": "a", "namespace": "b"}})),
                "uses Secrets of its own namespace only",
            ),
        ],
    );
}

fn names_that_become_parts_of_names_have_no_dots(ground: Ground) {
    let world = world(ground, "crd-names");
    for (plural, kind, spec) in [
        ("apps", "App", json!({"repository": "config", "path": "app", "environments": ["test"]})),
        ("environments", "Environment", json!({"cluster": "here"})),
    ] {
        let dotted = world.api.create(&path(&world, plural, ""), &object(kind, "a.b", &spec));
        let error = format!("{:#}", dotted.unwrap_err());
        assert!(error.contains("a name has at most 63 lower-case letters"), "{error}");
    }
}

fn a_configuration_goes_into_a_cluster_and_comes_out_the_same(ground: Ground) {
    let world = world(ground, "crd-exchange");
    let namespace = world.namespace.name().to_owned();
    let text = "apiVersion: trueup.dev/v1alpha1\nkind: Repository\nmetadata: {name: config, labels: {team: a}}\nspec: {url: 'https://git.example.com/c.git', ref: {semver: '>=1'}, interval: 1m 30s, secretRef: {name: git}}\n---\n\
        apiVersion: trueup.dev/v1alpha1\nkind: Cluster\nmetadata: {name: here, labels: {tier: test}}\nspec: {inCluster: true, maxInFlight: 7}\n---\n\
        apiVersion: trueup.dev/v1alpha1\nkind: Environment\nmetadata: {name: test, annotations: {note: 'x: y'}}\nspec: {clusters: {selector: {matchLabels: {tier: test}}}, namespace: shop, values: {a: 1, b: '1.10', c: [1, 2.5, true, null], d: {e: null}, f: null}}\n---\n\
        apiVersion: trueup.dev/v1alpha1\nkind: App\nmetadata: {name: app}\nspec: {repository: config, environments: [test], helm: {chart: web, values: {image: null, size: 3}}, ignore: [{kind: Deployment, fields: [/spec/replicas]}]}\n";
    world.write_configuration(text);
    let kubeconfig = world.kubeconfig().to_str().unwrap().to_owned();
    let place = ["--namespace", &namespace, "--kubeconfig", &kubeconfig];
    let run = |words: &[&str]| {
        let output = world.alone(&[words, &place].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(run(&["config", "import"]), "Repository config\nCluster here\nEnvironment test\nApp app\n");
    let first = run(&["config", "export"]);
    let printed = run(&["config", "import", "--print", "-o", "json"]);
    // What came out goes in again: nothing changes, and the same comes out.
    world.write_configuration(&first);
    assert_eq!(run(&["config", "import", "--print", "-o", "json"]), printed, "{first}");
    let versions = || {
        ["repositories", "clusters", "environments", "apps"].map(|plural| {
            let list = world.api.get(&path(&world, plural, "")).unwrap();
            list["items"][0]["metadata"]["resourceVersion"].clone()
        })
    };
    let before = versions();
    run(&["config", "import"]);
    assert_eq!(before, versions());
    assert_eq!(run(&["config", "export"]), first);
    // kubectl shows columns of its own.
    let table = world.api.table(&path(&world, "apps", "")).unwrap();
    let columns: Vec<&str> = table["columnDefinitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| column["name"].as_str().unwrap())
        .collect();
    assert_eq!(columns, ["Name", "Sync", "Health", "Revision", "Age", "Ready", "Message"]);
}

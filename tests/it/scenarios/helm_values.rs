//! What charts take from the cluster that they go to: values, and what they look up.

use super::ground::{Ground, scenarios};
use super::harness::World;
use super::helm::{CHART, configure};
use serde_json::{Value, json};

scenarios![
    values_of_the_cluster_go_over_those_of_git_are_followed_and_are_not_shown,
    a_password_that_a_chart_looks_up_in_its_own_secret_stays_over_commits,
    what_a_chart_looks_up_is_asked_for_again_and_lists_are_complete,
];

/// A value that must be shown by nothing but the object that the chart puts it in.
const HUSH: &str = "swordfish-of-the-cluster";

const SETTINGS: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata:\n  value: '{{ .Values.value }}'\n  \
     other: '{{ .Values.other }}'\n  password: '{{ .Values.auth.password }}'\n";

fn secret(name: &str, text: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": text})
}

fn holder(name: &str, text: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"values.yaml": text}})
}

fn path(world: &World, plural: &str, name: &str) -> String {
    format!("/api/v1/namespaces/{}/{plural}/{name}", world.namespace.name())
}

fn create(world: &World, plural: &str, object: &Value) {
    let collection = format!("/api/v1/namespaces/{}/{plural}", world.namespace.name());
    world.api.create(&collection, object).unwrap();
}

fn settings(world: &World) -> Value {
    let found = world.api.find(&world.config_map("settings")).unwrap();
    found.map(|settings| settings["data"].clone()).unwrap_or_default()
}

/// What the status says of one of the rendering's inputs.
fn input<'s>(status: &'s Value, kind: &str, name: &str) -> &'s Value {
    let inputs = status["inputs"].as_array().unwrap_or_else(|| panic!("no inputs: {status:#}"));
    let found = inputs.iter().find(|input| input["kind"] == kind && input["name"] == name);
    found.unwrap_or_else(|| panic!("no {kind} {name}: {status:#}"))
}

fn values_of_the_cluster_go_over_those_of_git_are_followed_and_are_not_shown(ground: Ground) {
    let mut world = World::new(ground, "values");
    configure(
        &world,
        "chart: web, valuesFiles: ['values/{environment}.yaml'], values: {value: inline}, valuesFrom: [\
           {kind: ConfigMap, name: 'platform-{environment}'}, {kind: Secret, name: creds, key: prod.yaml}, \
           {kind: ConfigMap, name: none, optional: true}]",
    );
    let namespace = world.namespace.name().to_owned();
    create(&world, "configmaps", &holder("platform-test", "value: platform\nother: platform\n"));
    let files = [
        ("web/Chart.yaml", CHART),
        ("web/values.yaml", "value: chart\nother: chart\nauth: {password: none}\n"),
        ("web/templates/settings.yaml", SETTINGS),
        ("values/test.yaml", "value: file\nother: file\n"),
    ];
    let revision = world.repo.commit(&files, "a chart").unwrap();
    world.start();
    let missing = world.until("the Secret is missed", |status| status["sync"] == "Failed");
    let message = missing["message"].as_str().unwrap();
    let expected = format!("cluster here: there is no Secret {namespace}/creds to take the key prod.yaml of");
    assert!(message.contains(&expected), "{message}");

    // Somebody makes it: nothing else has to happen.
    let text = format!("other: secret\nauth:\n  password: {HUSH}\n");
    create(&world, "secrets", &secret("creds", &json!({"prod.yaml": text})));
    let status = world.synced(&revision);
    assert_eq!(settings(&world), json!({"value": "platform", "other": "secret", "password": HUSH}));
    let live = world.api.get(&path(&world, "secrets", "creds")).unwrap();
    let used = input(&status, "Secret", "creds");
    assert_eq!((&used["for"], &used["version"]), (&"values".into(), &live["metadata"]["resourceVersion"]));
    assert_eq!(input(&status, "ConfigMap", "none")["found"], 0);

    // As it is shown.
    let shown = world.alone(&["render", "app@test", "--values"]);
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(
        text.contains(&format!("# Secret {namespace}/creds prod.yaml:3")) && text.contains("<hash "),
        "{text}"
    );
    assert!(text.contains(&format!("# ConfigMap {namespace}/platform-test values.yaml:1")), "{text}");
    let rendered = world.alone(&["render", "app@test"]);
    assert!(
        String::from_utf8(rendered.stdout).unwrap().contains(HUSH),
        "manifests are as they would be applied"
    );

    // A change is a reason of its own; one that cannot be read leaves what is there.
    let changed = json!({"data": {"values.yaml": "value: changed\n"}});
    world.api.merge(&path(&world, "configmaps", "platform-test"), &changed).unwrap();
    world.holds("the change is applied", |world| settings(world)["value"] == "changed");
    let broken = json!({"stringData": {"prod.yaml": format!("auth:\n  password: [{HUSH}\n")}});
    world.api.merge(&path(&world, "secrets", "creds"), &broken).unwrap();
    let failed = world.until("it cannot be read", |status| {
        status["sync"] == "Failed" && status["message"].as_str().unwrap().contains("key prod.yaml: line ")
    });
    assert_eq!(settings(&world)["value"], "changed");
    let log = std::fs::read_to_string(world.path("log")).unwrap();
    for (what, told) in [("status", failed.to_string() + &status.to_string()), ("values", text), ("log", log)]
    {
        assert!(!told.contains(HUSH), "the {what} shows the password:\n{told}");
    }

    let mended = json!({"stringData": {"prod.yaml": "auth: {password: another}\n"}});
    world.api.merge(&path(&world, "secrets", "creds"), &mended).unwrap();
    world.synced(&revision);
    assert_eq!(settings(&world), json!({"value": "changed", "other": "file", "password": "another"}));
}

fn a_password_that_a_chart_looks_up_in_its_own_secret_stays_over_commits(ground: Ground) {
    let mut world = World::new(ground, "lookup");
    configure(&world, "chart: web");
    let made = |more: &str| {
        format!(
            "{{{{- $old := lookup \"v1\" \"Secret\" .Release.Namespace \"made\" }}}}\napiVersion: v1\nkind: Secret\nmetadata: {{name: made}}\n\
             data:\n  password: {{{{ if $old }}}}{{{{ $old.data.password }}}}{{{{ else }}}}{{{{ randAlphaNum 16 | b64enc }}}}{{{{ end }}}}\n{more}"
        )
    };
    let files = [("web/Chart.yaml", CHART), ("web/templates/made.yaml", &made(""))];
    let first = world.repo.commit(&files, "a password").unwrap();
    world.start();
    world.synced(&first);
    let of_secret = path(&world, "secrets", "made");
    let password = |world: &World| world.api.get(&of_secret).unwrap()["data"]["password"].clone();
    let before = password(&world);
    let uid = world.api.get(&of_secret).unwrap()["metadata"]["uid"].clone();

    let second = world.repo.commit(&[("web/templates/made.yaml", &made("  more: eA==\n"))], "more").unwrap();
    let status = world.synced(&second);
    assert_eq!(password(&world), before);
    assert_eq!(input(&status, "Secret", "made")["for"], "lookup");
    assert!(!status.to_string().contains(before.as_str().unwrap()), "{status}");

    // It is the cluster that keeps it: neither what trueup remembers, nor what its chance follows from.
    world.kill();
    super::harness::forget(&world.state());
    let kept = path(&world, "secrets", "trueup.app.test");
    if world.api.find(&kept).unwrap().is_some() {
        world.api.delete(&kept).unwrap();
    }
    let third = world.repo.commit(&[("web/templates/made.yaml", &made("  most: eQ==\n"))], "most").unwrap();
    world.start();
    world.synced(&third);
    assert_eq!(password(&world), before);
    assert!(world.trueup(&["sync", "app@test"]).status.success());
    let live = world.api.get(&of_secret).unwrap();
    assert_eq!((&live["data"]["password"], &live["data"]["most"]), (&before, &"eQ==".into()));
    assert_eq!(live["metadata"]["uid"], uid, "it was not made anew");
}

fn what_a_chart_looks_up_is_asked_for_again_and_lists_are_complete(ground: Ground) {
    let mut world = World::new(ground, "followed");
    configure(&world, "chart: web");
    let template = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata:\n  \
        colour: {{ dig \"data\" \"colour\" \"none\" (lookup \"v1\" \"ConfigMap\" .Release.Namespace \"facts\") }}\n  \
        leases: '{{ range (lookup \"coordination.k8s.io/v1\" \"Lease\" .Release.Namespace \"\").items }}{{ .kind }} {{ .metadata.name }},{{ end }}'\n  \
        unserved: '{{ len (lookup \"example.com/v1\" \"Nothing\" \"\" \"x\") }}'\n";
    let files = [("web/Chart.yaml", CHART), ("web/templates/settings.yaml", template)];
    let revision = world.repo.commit(&files, "lookups").unwrap();
    world.start();
    world.synced(&revision);
    assert_eq!(settings(&world), json!({"colour": "none", "leases": "", "unserved": "0"}));

    let facts = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "facts"}, "data": {"colour": "blue"}});
    create(&world, "configmaps", &facts);
    let leases = format!("/apis/coordination.k8s.io/v1/namespaces/{}/leases", world.namespace.name());
    for name in ["a", "b"] {
        let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name}, "spec": {}});
        world.api.create(&leases, &lease).unwrap();
    }
    let wanted = json!({"colour": "blue", "leases": "Lease a,Lease b,", "unserved": "0"});
    world.holds("what came later is found", |world| settings(world) == wanted);
    let status = world.synced(&revision);
    let of_kind = |kind: &str| {
        let inputs = status["inputs"].as_array().unwrap();
        inputs.iter().find(|input| input["kind"] == kind).unwrap().clone()
    };
    assert_eq!(of_kind("Lease")["found"], 2);

    // Of a folder nothing is asked.
    let chart = world.path("chart");
    std::fs::create_dir_all(chart.join("templates")).unwrap();
    std::fs::write(chart.join("Chart.yaml"), CHART).unwrap();
    std::fs::write(chart.join("templates/settings.yaml"), template).unwrap();
    let rendered = world.alone(&["render", chart.to_str().unwrap(), "-o", "json"]);
    let text = String::from_utf8(rendered.stdout).unwrap();
    assert!(text.contains("\"colour\": \"none\""), "{text}{}", String::from_utf8_lossy(&rendered.stderr));
}

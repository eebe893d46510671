//! Fields that others should own are left to them, and what drifts is told: by whom, how often, and which rule would end it.

use super::ground::{Ground, scenarios};
use super::harness::{World, config_map};
use serde_json::{Value, json};
use std::time::Duration;

scenarios![
    replicas_under_an_autoscaler_of_the_same_target_are_its_own,
    an_image_that_another_manager_updates_is_left_to_it_and_the_rest_is_not,
    a_rule_for_a_manager_is_for_what_that_manager_writes,
    a_field_that_always_comes_back_is_counted_and_the_rule_that_ends_it_is_proposed,
    drift_that_is_only_reported_stays_until_somebody_asks_for_a_sync,
    drift_that_is_only_reported_is_not_put_back_by_a_start_without_a_store,
    the_drift_of_a_secret_is_told_by_hashes_alone,
];

fn deployment(replicas: u32, image: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec:\n  replicas: {replicas}\n  selector: {{matchLabels: {{app: web}}}}\n  \
         template:\n    metadata: {{labels: {{app: web}}}}\n    spec: {{containers: [{{name: app, image: '{image}'}}, {{name: log, image: 'log:1'}}]}}\n"
    )
}

const AUTOSCALER: &str = "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: web}\nspec:\n  \
     scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}\n  minReplicas: 3\n  maxReplicas: 5\n";

fn web(world: &World) -> String {
    format!("/apis/apps/v1/namespaces/{}/deployments/web", world.namespace.name())
}

fn live(world: &World) -> Value {
    world.api.find(&web(world)).unwrap().unwrap_or_default()
}

fn image(world: &World) -> Value {
    live(world)["spec"]["template"]["spec"]["containers"][0]["image"].clone()
}

/// A strategic merge patch in the name of another manager.
fn update(world: &World, path: &str, manager: &str, change: &Value) {
    world.api.merge(&format!("{path}?fieldManager={manager}"), change).unwrap();
}

fn drift(world: &World) -> Value {
    let output = world.trueup(&["drift", "-o", "json"]);
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

fn app_with(world: &World, rules: &str) {
    let namespace = world.namespace.name().to_owned();
    let text = world.configuration("", &namespace);
    world.write_configuration(
        &text.replace("environments: [test]}", &format!("environments: [test], ignore: [{rules}]}}")),
    );
}

fn at(world: &World, revision: &str) {
    world.until("at the commit", |status| status["revision"] == revision && status["sync"] == "Synced");
}

fn replicas_under_an_autoscaler_of_the_same_target_are_its_own(ground: Ground) {
    let mut world = World::played(ground, "hpa");
    let files = [("app/web.yaml", deployment(2, "app:1")), ("app/hpa.yaml", AUTOSCALER.to_owned())];
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let first = world.repo.commit(&files, "first").unwrap();
    world.start();
    at(&world, &first);
    update(&world, &format!("{}/scale", web(&world)), "autoscaler", &json!({"spec": {"replicas": 4}}));
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(live(&world)["spec"]["replicas"], 4, "nobody puts it back");
    // A commit that changes the object, and its replicas with it, still leaves them.
    let second = world.repo.commit(&[("app/web.yaml", &deployment(1, "app:2"))], "second").unwrap();
    at(&world, &second);
    assert_eq!((&live(&world)["spec"]["replicas"], &image(&world)), (&json!(4), &json!("app:2")));
    let managers = live(&world)["metadata"]["managedFields"].to_string();
    let told = drift(&world);
    let ignored = &told["ignored"][0];
    assert_eq!(
        (&ignored["field"], &ignored["manager"]),
        (&json!("spec.replicas"), &json!("autoscaler")),
        "{managers}"
    );
    assert_eq!(ignored["why"]["autoscaler"]["kind"], "HorizontalPodAutoscaler", "{told}");
    assert!(
        told["drift"].as_array().unwrap().iter().all(|entry| entry["field"] != "spec.replicas"),
        "{told}"
    );
}

fn an_image_that_another_manager_updates_is_left_to_it_and_the_rest_is_not(ground: Ground) {
    let mut world = World::played(ground, "image");
    app_with(
        &world,
        "{kind: Deployment, name: web, fields: ['/spec/template/spec/containers/[name=app]/image']}",
    );
    let first = world.repo.commit(&[("app/web.yaml", &deployment(0, "app:1"))], "first").unwrap();
    world.start();
    at(&world, &first);
    assert_eq!(image(&world), "app:1", "it is created with what Git says");
    let change = |app: &str, log: &str| json!({"spec": {"template": {"spec": {"containers": [{"name": "app", "image": app}, {"name": "log", "image": log}]}}}});
    update(&world, &web(&world), "keel", &change("app:7", "log:1"));
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(image(&world), "app:7");
    let log = |world: &World| live(world)["spec"]["template"]["spec"]["containers"][1]["image"].clone();
    update(&world, &web(&world), "keel", &change("app:8", "log:9"));
    world.holds("the other container's image is put back", |world| log(world) == "log:1");
    assert_eq!(image(&world), "app:8");
    let second = world.repo.commit(&[("app/web.yaml", &deployment(1, "app:2"))], "second").unwrap();
    at(&world, &second);
    assert_eq!((image(&world), live(&world)["spec"]["replicas"].clone()), (json!("app:8"), json!(1)));
    let ours = live(&world)["metadata"]["managedFields"]
        .as_array()
        .unwrap()
        .iter()
        .find(|entry| entry["manager"] == "trueup")
        .unwrap()["fieldsV1"]
        .to_string();
    assert!(!ours.contains(r#""k:{\"name\":\"app\"}":{".":{},"f:image""#), "{ours}");
    let mark = world.cluster.mark();
    update(&world, &web(&world), "keel", &change("app:10", "log:1"));
    std::thread::sleep(Duration::from_secs(1));
    let requests = world.cluster.requests_since(mark);
    let ours = requests.iter().filter(|request| {
        request.namespace == world.namespace.name() && request.user_agent.starts_with("trueup")
    });
    let writes: Vec<&String> =
        ours.filter(|request| request.is_write()).map(|request| &request.uri).collect();
    assert!(
        writes.is_empty(),
        "a change of a field that is left to others is no reason to write: {writes:?}"
    );
}

fn a_rule_for_a_manager_is_for_what_that_manager_writes(ground: Ground) {
    let mut world = World::played(ground, "manager");
    app_with(&world, "{kind: ConfigMap, managers: [injector]}");
    let two = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {value: git, other: git}\n";
    let first = world.repo.commit(&[("app/a.yaml", two)], "first").unwrap();
    world.start();
    at(&world, &first);
    let path = world.config_map("a");
    update(&world, &path, "injector", &json!({"data": {"value": "injected"}}));
    update(&world, &path, "person", &json!({"data": {"other": "edited"}}));
    let data = |world: &World| world.api.get(&world.config_map("a")).unwrap()["data"].clone();
    world.holds("the person's edit is put back", |world| data(world)["other"] == "git");
    assert_eq!(data(&world)["value"], "injected");
    // Without the rule it is drift again.
    app_with(&world, "");
    world.holds("what was left is taken back", |world| data(world)["value"] == "git");
}

fn a_field_that_always_comes_back_is_counted_and_the_rule_that_ends_it_is_proposed(ground: Ground) {
    let mut world = World::played(ground, "flap");
    let first = world.repo.commit(&[("app/a.yaml", &config_map("a", "git"))], "first").unwrap();
    world.start();
    at(&world, &first);
    let path = world.config_map("a");
    for round in 0..3 {
        update(&world, &path, "flapper", &json!({"data": {"value": format!("theirs-{round}")}}));
        world.holds("it is put back", |world| world.api.get(&path).unwrap()["data"]["value"] == "git");
        let count = round + 1;
        world.holds("it is counted", |world| drift(world)["drift"][0]["count"] == count);
    }
    let told = drift(&world)["drift"][0].clone();
    let expected = json!({"field": "data.value", "pointer": "/data/value", "state": "repaired", "manager": "flapper",
        "operation": "Update", "wanted": "git", "found": "theirs-2"});
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&told[name], value, "{told}");
    }
    let namespace = world.namespace.name().to_owned();
    let rule = told["proposal"].as_str().unwrap().to_owned();
    assert_eq!(
        rule,
        format!(
            "{{kind: ConfigMap, namespace: {namespace}, name: a, fields: [/data/value], managers: [flapper]}}"
        )
    );
    let people = world.trueup(&["drift", "app"]);
    let text = String::from_utf8(people.stdout).unwrap();
    assert!(text.contains("flapper") && text.contains(&rule) && text.contains("in the App app"), "{text}");
    assert_eq!(people.status.code(), Some(0), "nothing drifts now");
    // The rule does what it was proposed for.
    app_with(&world, &rule);
    std::thread::sleep(Duration::from_secs(1));
    update(&world, &path, "flapper", &json!({"data": {"value": "theirs"}}));
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(world.api.get(&path).unwrap()["data"]["value"], "theirs");
    // What was recorded outlives the process.
    world.terminate();
    let alone = world.alone(&["drift", "-o", "name"]);
    assert!(String::from_utf8_lossy(&alone.stdout).contains("app@test ConfigMap"), "{alone:?}");
}

fn drift_that_is_only_reported_stays_until_somebody_asks_for_a_sync(ground: Ground) {
    let mut world = World::played(ground, "warn");
    world.configure("selfHeal: false");
    let files = [("app/a.yaml", config_map("a", "git")), ("app/b.yaml", config_map("b", "git"))];
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let first = world.repo.commit(&files, "first").unwrap();
    world.start();
    at(&world, &first);
    update(&world, &world.config_map("a"), "person", &json!({"data": {"value": "edited"}}));
    world.api.delete(&world.config_map("b")).unwrap();
    world.until("both are reported", |status| status["sync"] == "OutOfSync" && status["drifted"] == 2);
    world.holds("both stand", |world| {
        drift(world)["drift"].as_array().unwrap().iter().filter(|entry| entry["state"] == "standing").count()
            == 2
    });
    assert_eq!(world.trueup(&["drift"]).status.code(), Some(1));
    // A commit brings what it changes, and nothing else.
    let more = world.repo.commit(&[("app/c.yaml", &config_map("c", "new"))], "second").unwrap();
    world.holds("the new object is there", |world| world.api.find(&world.config_map("c")).unwrap().is_some());
    let value = |world: &World| world.api.get(&world.config_map("a")).unwrap()["data"]["value"].clone();
    assert_eq!(value(&world), "edited");
    assert!(world.api.find(&world.config_map("b")).unwrap().is_none());
    let output = world.trueup(&["sync", "app@test"]);
    assert!(output.status.success(), "{output:?}");
    at(&world, &more);
    assert_eq!(value(&world), "git");
    assert!(world.api.find(&world.config_map("b")).unwrap().is_some());
    assert_eq!(drift(&world)["drift"][0]["state"], "repaired");
}

fn drift_that_is_only_reported_is_not_put_back_by_a_start_without_a_store(ground: Ground) {
    let mut world = World::played(ground, "lost");
    world.configure("selfHeal: false");
    let files = [("app/a.yaml", config_map("a", "git")), ("app/b.yaml", config_map("b", "git"))];
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let first = world.repo.commit(&files, "first").unwrap();
    world.start();
    at(&world, &first);
    world.terminate();
    std::fs::remove_file(world.state().join("trueup.db")).unwrap();
    update(&world, &world.config_map("a"), "person", &json!({"data": {"value": "edited"}}));
    world.api.delete(&world.config_map("b")).unwrap();
    world.start();
    world.until("both are reported", |status| status["sync"] == "OutOfSync" && status["drifted"] == 2);
    assert_eq!(world.api.get(&world.config_map("a")).unwrap()["data"]["value"], "edited");
    let second = world.repo.commit(&[("app/a.yaml", &config_map("a", "changed"))], "second").unwrap();
    world.holds("what Git changes is applied", |world| {
        world.api.get(&world.config_map("a")).unwrap()["data"]["value"] == "changed"
    });
    let _ = second;
}

fn the_drift_of_a_secret_is_told_by_hashes_alone(ground: Ground) {
    let mut world = World::new(ground, "secret");
    let secret =
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {password: hunter2-in-git}\n";
    let first = world.repo.commit(&[("app/s.yaml", secret)], "first").unwrap();
    world.start();
    at(&world, &first);
    let path = format!("/api/v1/namespaces/{}/secrets/s", world.namespace.name());
    update(&world, &path, "person", &json!({"stringData": {"password": "swordfish-by-hand"}}));
    world.holds("it is recorded", |world| {
        let told = drift(world);
        told["drift"]
            .as_array()
            .is_some_and(|drift| drift.iter().any(|entry| entry["object"]["kind"] == "Secret"))
    });
    let told = drift(&world);
    let entry = &told["drift"][0];
    let hashes =
        [&entry["wanted"], &entry["found"]].map(|value| value.as_str().unwrap_or_default().to_owned());
    assert!(hashes.iter().all(|hash| hash.starts_with("<hash ")) && hashes[0] != hashes[1], "{told}");
    world.terminate();
    let database = std::fs::read_dir(world.state()).unwrap().filter_map(Result::ok).map(|file| file.path());
    for path in database.filter(|path| path.is_file()) {
        let bytes = std::fs::read(&path).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        for value in ["hunter2-in-git", "swordfish-by-hand", "c3dvcmRmaXNoLWJ5LWhhbmQ", "aHVudGVyMi1pbi1naXQ"]
        {
            assert!(!text.contains(value), "{value} in {}", path.display());
        }
    }
}

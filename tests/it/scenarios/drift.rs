//! Others write as well: what they change is put back, reported, taken over or left alone, as the policy says.

use super::ground::{Ground, scenarios};
use super::harness::{World, config_map};
use serde_json::json;
use std::time::{Duration, Instant};

scenarios![
    a_changed_field_a_taken_label_and_a_deleted_object_are_put_back,
    drift_that_is_not_repaired_is_reported_with_field_manager_and_time,
    two_writers_do_not_fight_for_ever,
    an_object_that_kubectl_applied_is_taken_over_and_its_old_fields_really_go,
    an_object_of_two_targets_is_refused_with_both_names,
    an_immutable_field_is_named_and_changed_only_where_that_is_allowed,
];

fn drifted(ground: Ground) -> World {
    let mut world = World::new(ground, "drift");
    let first = world.repo.commit(&[("app/a.yaml", &config_map("a", "git"))], "first").unwrap();
    world.start();
    world.synced(&first);
    world
}

fn value(world: &World) -> serde_json::Value {
    world
        .api
        .find(&world.config_map("a"))
        .unwrap()
        .map(|live| live["data"]["value"].clone())
        .unwrap_or_default()
}

fn a_changed_field_a_taken_label_and_a_deleted_object_are_put_back(ground: Ground) {
    let world = drifted(ground);
    world.api.merge(&world.config_map("a"), &json!({"data": {"value": "edited"}})).unwrap();
    world.holds("the value is put back", |world| value(world) == "git");
    let label = "applyset.kubernetes.io/part-of";
    world.api.merge(&world.config_map("a"), &json!({"metadata": {"labels": {label: null}}})).unwrap();
    world.holds("the label is put back", |world| {
        world.api.get(&world.config_map("a")).unwrap()["metadata"]["labels"][label].is_string()
    });
    world.api.delete(&world.config_map("a")).unwrap();
    world.holds("the object is put back", |world| value(world) == "git");
    world.api.merge(&world.config_map("a"), &json!({"data": {"other": "theirs"}})).unwrap();
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(
        world.api.get(&world.config_map("a")).unwrap()["data"]["other"],
        "theirs",
        "what is not in Git is not ours"
    );
}

fn drift_that_is_not_repaired_is_reported_with_field_manager_and_time(ground: Ground) {
    let mut world = World::new(ground, "report");
    world.configure("selfHeal: false");
    let first = world.repo.commit(&[("app/a.yaml", &config_map("a", "git"))], "first").unwrap();
    world.start();
    world.synced(&first);
    world.api.merge(&world.config_map("a"), &json!({"data": {"value": "edited"}})).unwrap();
    let status = world.until("the drift is reported", |status| status["sync"] == "OutOfSync");
    assert_eq!(
        (&status["drifted"], &status["drift"][0]["field"]),
        (&json!(1), &json!("data.value")),
        "{status}"
    );
    assert!(status["drift"][0]["manager"].is_string() && status["drift"][0]["since"].is_string(), "{status}");
    assert_eq!(value(&world), "edited");
}

fn two_writers_do_not_fight_for_ever(ground: Ground) {
    let world = drifted(ground);
    let end = Instant::now() + Duration::from_secs(8);
    let (mut edits, mut repairs) = (0, 0);
    while Instant::now() < end {
        if value(&world) == "git" {
            repairs += 1;
            world.api.merge(&world.config_map("a"), &json!({"data": {"value": "theirs"}})).unwrap();
            edits += 1;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(edits > 3 && repairs < 12, "{repairs} repairs in eight seconds");
    let status = world.until("the other writer is named", |status| {
        // The other writer goes on: a fight that has ended is no longer told.
        if value(&world) == "git" {
            world.api.merge(&world.config_map("a"), &json!({"data": {"value": "theirs"}})).unwrap();
        }
        status["message"].as_str().is_some_and(|message| message.contains("changed back after each"))
    });
    assert_eq!(status["drift"][0]["field"], "data.value", "{status}");
}

fn an_object_that_kubectl_applied_is_taken_over_and_its_old_fields_really_go(ground: Ground) {
    let mut world = World::new(ground, "adopt");
    let collection = format!(
        "/api/v1/namespaces/{}/configmaps?fieldManager=kubectl-client-side-apply",
        world.namespace.name()
    );
    let last =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"value": "1", "old": "x"}}).to_string();
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": last}},
        "data": {"value": "1", "old": "x"}});
    world.api.create(&collection, &object).unwrap();
    let first = world.repo.commit(&[("app/a.yaml", &config_map("a", "git"))], "first").unwrap();
    let preview = String::from_utf8(world.alone(&["diff"]).stdout).unwrap();
    assert!(preview.contains("take over") && preview.contains("kubectl-client-side-apply"), "{preview}");
    world.start();
    world.synced(&first);
    let live = world.api.get(&world.config_map("a")).unwrap();
    assert_eq!(live["data"], json!({"value": "git"}), "{live}");
}

fn an_object_of_two_targets_is_refused_with_both_names(ground: Ground) {
    let mut world = World::new(ground, "claim");
    let two = world.configuration("", world.namespace.name()).replace(
        "kind: App\nmetadata: {name: app}",
        "kind: App\nmetadata: {name: other}\nspec: {repository: config, path: other, environments: [test]}\n---\napiVersion: trueup.dev/v1alpha1\nkind: App\nmetadata: {name: app}",
    );
    world.write_configuration(&two);
    let first = world
        .repo
        .commit(&[("app/a.yaml", &config_map("a", "app")), ("other/b.yaml", &config_map("b", "1"))], "first")
        .unwrap();
    world.start();
    world.synced(&first);
    world.repo.commit(&[("other/a.yaml", &config_map("a", "other"))], "claims it too").unwrap();
    world.holds("both names are told", |world| {
        let message =
            world.status("other@test").map(|status| status["message"].to_string()).unwrap_or_default();
        message.contains("app@test") && message.contains("other@test")
    });
    assert_eq!(value(&world), "app");
}

fn an_immutable_field_is_named_and_changed_only_where_that_is_allowed(ground: Ground) {
    let mut world = World::new(ground, "immutable");
    let job = |image: &str, annotations: &str| {
        format!(
            "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: j, annotations: {{{annotations}}}}}\nspec: {{template: {{spec: {{restartPolicy: Never, containers: [{{name: c, image: '{image}'}}]}}}}}}\n"
        )
    };
    let first = world
        .repo
        .commit(&[("app/j.yaml", &job("one", "")), ("app/a.yaml", &config_map("a", "1"))], "first")
        .unwrap();
    world.start();
    world.until("the first sync", |status| status["revision"] == first && status["sync"] == "Synced");
    world
        .repo
        .commit(&[("app/j.yaml", &job("two", "")), ("app/a.yaml", &config_map("a", "2"))], "second")
        .unwrap();
    let status = world.until("the field is named", |status| {
        status["message"].as_str().is_some_and(|message| message.contains("immutable: spec.template"))
    });
    assert_eq!(status["sync"], "Failed");
    assert_eq!(value(&world), "2", "what does not depend on it goes on");
    let third =
        world.repo.commit(&[("app/j.yaml", &job("two", "trueup.dev/recreate: 'true'"))], "third").unwrap();
    world.until("it is recreated", |status| status["revision"] == third && status["sync"] == "Synced");
    let live =
        world.api.get(&format!("/apis/batch/v1/namespaces/{}/jobs/j", world.namespace.name())).unwrap();
    assert_eq!(live["spec"]["template"]["spec"]["containers"][0]["image"], "two");
}

//! The life of a target's objects: they come, change, move and go as Git says.

use super::ground::{Ground, scenarios};
use super::harness::{World, config_map};
use serde_json::json;

scenarios![
    a_commit_becomes_the_state_of_the_cluster_and_each_further_one_too,
    what_leaves_git_is_pruned_unless_it_says_otherwise,
    a_target_that_renders_to_nothing_deletes_nothing,
    deletions_beyond_the_budget_wait_until_exactly_they_are_confirmed,
    a_crd_and_its_object_and_a_namespace_come_in_one_commit,
    a_renamed_app_keeps_its_objects,
    a_target_that_moves_to_another_namespace_leaves_nothing_behind,
    diff_ends_with_0_1_or_2_and_never_shows_a_secret,
];

fn a_commit_becomes_the_state_of_the_cluster_and_each_further_one_too(ground: Ground) {
    let mut world = World::new(ground, "life");
    let kustomization = "namePrefix: shop-\nlabels: [{pairs: {team: shop}}]\nresources: [a.yaml]\n";
    let first = world
        .repo
        .commit(&[("app/kustomization.yaml", kustomization), ("app/a.yaml", &config_map("a", "1"))], "first")
        .unwrap();
    world.start();
    world.synced(&first);
    let live = world.api.get(&world.config_map("shop-a")).unwrap();
    assert_eq!((&live["data"]["value"], &live["metadata"]["labels"]["team"]), (&json!("1"), &json!("shop")));
    let uid = live["metadata"]["uid"].clone();

    let second = world.repo.commit(&[("app/a.yaml", &config_map("a", "2"))], "second").unwrap();
    world.synced(&second);
    let live = world.api.get(&world.config_map("shop-a")).unwrap();
    assert_eq!((&live["data"]["value"], &live["metadata"]["uid"]), (&json!("2"), &uid));

    let parent = world.api.get(&world.config_map("trueup.app.test")).unwrap();
    assert_eq!(parent["data"]["target"], "app@test");
    assert_eq!(parent["data"]["revision"], second);
    assert_eq!(parent["metadata"]["annotations"]["applyset.kubernetes.io/contains-group-kinds"], "ConfigMap");
    assert_eq!(
        parent["metadata"]["labels"]["applyset.kubernetes.io/id"],
        live["metadata"]["labels"]["applyset.kubernetes.io/part-of"]
    );

    let history = String::from_utf8(world.trueup(&["history", "app@test"]).stdout).unwrap();
    assert!(history.contains("second") && history.contains("first"), "{history}");
    let events = format!("/apis/events.k8s.io/v1/namespaces/{}/events", world.namespace.name());
    world.holds("an event on the parent", |world| {
        world.api.get(&events).unwrap().to_string().contains("Synced")
    });
}

fn what_leaves_git_is_pruned_unless_it_says_otherwise(ground: Ground) {
    let mut world = World::new(ground, "prune");
    let kept = format!(
        "{}---\n{}",
        config_map("gone", "1"),
        config_map("kept", "1").replace("name: kept", "name: kept, annotations: {trueup.dev/prune: 'false'}")
    );
    let first = world
        .repo
        .commit(&[("app/a.yaml", &config_map("stays", "1")), ("app/b.yaml", &kept)], "first")
        .unwrap();
    let foreign = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "foreign", "namespace": world.namespace.name()}});
    world.api.create(&format!("/api/v1/namespaces/{}/configmaps", world.namespace.name()), &foreign).unwrap();
    world.start();
    world.synced(&first);
    let second = world.repo.remove(&["app/b.yaml"], "second").unwrap();
    world.synced(&second);
    assert!(world.api.find(&world.config_map("gone")).unwrap().is_none());
    for name in ["stays", "kept", "foreign"] {
        assert!(world.api.find(&world.config_map(name)).unwrap().is_some(), "{name}");
    }
}

fn a_target_that_renders_to_nothing_deletes_nothing(ground: Ground) {
    let mut world = World::new(ground, "empty");
    let first =
        world.repo.commit(&[("app/a.yaml", &config_map("a", "1")), ("app/README.md", "x")], "first").unwrap();
    world.start();
    world.synced(&first);
    world.repo.remove(&["app/a.yaml"], "oops").unwrap();
    let status = world.until("the empty result is reported", |status| status["sync"] == "OutOfSync");
    assert!(status["message"].as_str().unwrap().contains("rendered to no object"), "{status}");
    assert!(world.api.find(&world.config_map("a")).unwrap().is_some());
}

fn deletions_beyond_the_budget_wait_until_exactly_they_are_confirmed(ground: Ground) {
    let mut world = World::new(ground, "budget");
    world.write_configuration(&world.configuration("maxPrune: 40%", world.namespace.name()));
    let names = ["a", "b", "c", "d", "e"];
    let files = names.map(|name| (format!("app/{name}.yaml"), config_map(name, "1")));
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let first = world.repo.commit(&files, "five").unwrap();
    world.start();
    world.synced(&first);
    let is_there = |world: &World, name: &str| world.api.find(&world.config_map(name)).unwrap().is_some();
    let code = |world: &mut World, deletions: &str| {
        let held = world.until("the deletions are held", |status| {
            status["sync"] == "OutOfSync" && status["message"].as_str().unwrap().contains(deletions)
        });
        assert!(held["prunePending"].as_array().unwrap().len() >= 3, "{held}");
        let message = held["message"].as_str().unwrap();
        assert!(message.contains("trueup sync app@test --confirm-prune"), "{message}");
        message.split("--confirm-prune ").nth(1).unwrap().split('`').next().unwrap().to_owned()
    };

    world.repo.remove(&["app/c.yaml", "app/d.yaml", "app/e.yaml"], "a slip").unwrap();
    let of_three = code(&mut world, "3 of 5 objects");
    world.repo.remove(&["app/b.yaml"], "a larger one").unwrap();
    let of_four = code(&mut world, "4 of 5 objects");
    let late = world.trueup(&["sync", "app@test", "--wait", "--timeout", "3s", "--confirm-prune", &of_three]);
    assert_eq!(late.status.code(), Some(1), "what was looked at is not what would go now");
    assert!(names.iter().all(|name| is_there(&world, name)));

    let confirmed = world.trueup(&["sync", "app@test", "--wait", "--confirm-prune", &of_four]);
    assert_eq!(confirmed.status.code(), Some(0), "{}", String::from_utf8_lossy(&confirmed.stdout));
    assert_eq!(names.map(|name| is_there(&world, name)), [true, false, false, false, false]);
}

fn a_crd_and_its_object_and_a_namespace_come_in_one_commit(ground: Ground) {
    let mut world = World::new(ground, "crd");
    let (space, group) =
        (format!("{}-new", world.namespace.name()), format!("{}.example.com", world.namespace.name()));
    let all = format!(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: widgets.{group}}}\nspec:\n  group: {group}\n  scope: Namespaced\n  names: {{kind: Widget, plural: widgets, singular: widget}}\n  versions: [{{name: v1, served: true, storage: true, schema: {{openAPIV3Schema: {{type: object, x-kubernetes-preserve-unknown-fields: true}}}}}}]\n---\n\
         apiVersion: {group}/v1\nkind: Widget\nmetadata: {{name: one, namespace: {space}}}\nspec: {{size: 3}}\n---\n\
         apiVersion: v1\nkind: Namespace\nmetadata: {{name: {space}}}\n"
    );
    let definition = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.{group}");
    world.takes_away(definition.clone());
    world.takes_away(format!("/api/v1/namespaces/{space}"));
    let first = world.repo.commit(&[("app/all.yaml", &all)], "all at once").unwrap();
    world.start();
    world.synced(&first);
    assert_eq!(
        world.api.get(&format!("/apis/{group}/v1/namespaces/{space}/widgets/one")).unwrap()["spec"]["size"],
        3
    );
    let cleanup = world.repo.commit(&[("app/all.yaml", &config_map("rest", "1"))], "and away").unwrap();
    world.synced(&cleanup);
    world.holds("the CRD is gone", |world| world.api.find(&definition).unwrap().is_none());
}

fn a_renamed_app_keeps_its_objects(ground: Ground) {
    let mut world = World::new(ground, "rename");
    let first = world.repo.commit(&[("app/a.yaml", &config_map("a", "1"))], "first").unwrap();
    world.start();
    world.synced(&first);
    let uid = world.api.get(&world.config_map("a")).unwrap()["metadata"]["uid"].clone();
    let renamed = world.configuration("", world.namespace.name()).replace("{name: app}", "{name: shop}");
    world.write_configuration(&renamed);
    world.holds("shop@test is Synced", |world| {
        world.status("shop@test").is_some_and(|status| status["sync"] == "Synced")
    });
    let live = world.api.get(&world.config_map("a")).unwrap();
    let parent = world.api.get(&world.config_map("trueup.shop.test")).unwrap();
    assert_eq!(live["metadata"]["uid"], uid);
    assert_eq!(
        live["metadata"]["labels"]["applyset.kubernetes.io/part-of"],
        parent["metadata"]["labels"]["applyset.kubernetes.io/id"]
    );
}

fn a_target_that_moves_to_another_namespace_leaves_nothing_behind(ground: Ground) {
    let mut world = World::new(ground, "move");
    let other = world.cluster.namespace("moved");
    let first = world.repo.commit(&[("app/a.yaml", &config_map("a", "1"))], "first").unwrap();
    world.start();
    world.synced(&first);
    world.write_configuration(&world.configuration("", other.name()));
    world.holds("the object is in the new namespace only", |world| {
        let there = format!("/api/v1/namespaces/{}/configmaps/a", other.name());
        world.api.find(&there).unwrap().is_some() && world.api.find(&world.config_map("a")).unwrap().is_none()
    });
    world.holds("the old record is gone", |world| {
        world.api.find(&world.config_map("trueup.app.test")).unwrap().is_none()
    });
}

fn diff_ends_with_0_1_or_2_and_never_shows_a_secret(ground: Ground) {
    let world = World::new(ground, "diff");
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {password: hunter2}\n";
    world.repo.commit(&[("app/a.yaml", &config_map("a", "1")), ("app/s.yaml", secret)], "first").unwrap();
    let output = world.alone(&["diff"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("create ConfigMap") && !text.contains("hunter2") && !text.contains("aHVudGVyMg"),
        "{text}"
    );
    let once = world.alone(&["run", "--once", "--timeout", "60s"]);
    assert_eq!(once.status.code(), Some(0), "{}", String::from_utf8_lossy(&once.stderr));
    assert_eq!(world.alone(&["diff"]).status.code(), Some(0));
    world.repo.commit(&[("app/a.yaml", "a: [")], "broken").unwrap();
    assert_eq!(world.alone(&["diff"]).status.code(), Some(2));
    assert_eq!(world.alone(&["run", "--once", "--timeout", "5s"]).status.code(), Some(1));
}

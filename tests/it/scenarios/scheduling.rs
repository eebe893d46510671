//! When a target gets its turn, what it waits for, and what it goes on with.

use super::harness::{World, config_map};
use serde_json::json;

#[test]
fn a_suspended_repository_stays_at_its_last_commit_after_a_restart_too() {
    let mut world = World::new("suspend");
    let first = world.repo.commit(&[("app/a.yaml", &config_map("a", "1"))], "first").unwrap();
    world.start();
    world.synced(&first);
    assert_eq!(world.terminate(), Some(0));
    let suspended = world
        .configuration("", world.namespace.name())
        .replace("interval: 200ms", "interval: 200ms, suspend: true");
    world.write_configuration(&suspended);
    world.repo.commit(&[("app/a.yaml", &config_map("a", "2"))], "not to be seen").unwrap();
    world.api.delete(&world.config_map("a")).unwrap();
    world.start();
    world.holds("the object is as at the first commit", |world| {
        world.api.find(&world.config_map("a")).unwrap().is_some_and(|live| live["data"]["value"] == "1")
    });
    world.synced(&first);
    assert_eq!(world.trueup(&["diff"]).status.code(), Some(0));
}

#[test]
fn an_app_says_how_often_what_fails_is_tried() {
    let mut world = World::new("retry");
    let bad = "apiVersion: v1\nkind: Service\nmetadata: {name: bad}\nspec: {ports: [{port: 99999}]}\n";
    world.repo.commit(&[("app/bad.yaml", bad)], "bad").unwrap();
    let retry = world.configuration("", world.namespace.name()).replace(
        "environments: [test]}",
        "environments: [test], retry: {limit: 2, backoff: {initial: 100ms, max: 200ms}}}",
    );
    world.write_configuration(&retry);
    world.start();
    let failures = |world: &World| {
        let history = String::from_utf8(world.trueup(&["history", "app@test"]).stdout).unwrap();
        history.matches("Failed").count()
    };
    world.holds("three failures: the first and two retries", |world| failures(world) == 3);
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!(failures(&world), 3);
    assert!(world.trueup(&["sync", "app@test", "--wait", "--timeout", "10s"]).status.code() == Some(1));
    world.holds("a person begins anew", |world| failures(world) > 3);
}

#[test]
fn commands_that_work_alone_read_a_repositorys_secret_from_the_one_cluster() {
    let world = World::new("secretref");
    world.repo.commit(&[("app/a.yaml", &config_map("a", "1"))], "first").unwrap();
    let namespace = world.namespace.name();
    let text = world.configuration("", namespace).replace(
        "interval: 200ms",
        &format!("interval: 200ms, secretRef: {{name: git, namespace: {namespace}}}"),
    );
    world.write_configuration(&text);
    for command in [&["render", "app@test"][..], &["diff"]] {
        let refused = world.alone(command);
        let words = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{words}");
        assert!(words.contains("Repository config: secretRef") && words.contains("git"), "{words}");
    }
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "git"}, "stringData": {"username": "u", "password": "p"}});
    world.api.create(&format!("/api/v1/namespaces/{namespace}/secrets"), &secret).unwrap();
    let rendered = world.alone(&["render", "app@test"]);
    assert!(String::from_utf8_lossy(&rendered.stdout).contains("name: a"), "{rendered:?}");
    assert_eq!(world.alone(&["diff"]).status.code(), Some(1));
    assert_eq!(world.alone(&["status"]).status.code(), Some(1));
}

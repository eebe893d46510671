//! trueup as a process: signals, exit codes, and what its commands know when no trueup runs.

use super::ground::{Ground, scenarios};
use super::harness::{World, config_map, forget};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use trueup_testkit::{GitServer, Mark, wait_until};

scenarios![
    a_sync_that_is_told_to_stop_ends_between_two_writes_and_is_gone_on_with,
    a_hangup_makes_it_look_at_the_repository_and_the_configuration_at_once,
    one_run_ends_with_0_1_or_2_and_leaves_what_status_tells_without_a_running_one,
];

const OBJECTS: usize = 400;

fn many(value: &str) -> Vec<(String, String)> {
    (0..OBJECTS).map(|n| (format!("app/{n}.yaml"), config_map(&format!("c{n}"), value))).collect()
}

fn commit(world: &World, files: &[(String, String)], message: &str) -> String {
    let files: Vec<(&str, &str)> = files.iter().map(|(p, t)| (p.as_str(), t.as_str())).collect();
    world.repo.commit(&files, message).unwrap()
}

/// The names of the objects that trueup wrote in the world's namespace since the mark; its record is none of them.
fn written(world: &World, mark: Mark) -> Vec<String> {
    let requests = world.cluster.requests_since(mark);
    let ours = requests.into_iter().filter(|request| {
        request.is_write()
            && request.namespace == world.namespace.name()
            && request.user_agent.starts_with("trueup/")
            && request.resource == "configmaps"
            && !request.name.starts_with("trueup.")
    });
    ours.map(|request| request.name).collect()
}

fn a_sync_that_is_told_to_stop_ends_between_two_writes_and_is_gone_on_with(ground: Ground) {
    let mut world = World::played(ground, "stopped");
    let first = commit(&world, &many("1"), "first");
    let mark = world.cluster.mark();
    world.start();
    let path = format!("/api/v1/namespaces/{}/configmaps", world.namespace.name());
    let ours = |world: &World| {
        let all = world.api.get(&path).unwrap();
        let names = all["items"].as_array().unwrap().iter().map(|item| item["metadata"]["name"].clone());
        names.filter(|name| name.as_str().unwrap().starts_with('c')).count()
    };
    wait_until("the sync is under way", Duration::from_mins(1), || Ok((ours(&world) > 20).then_some(())))
        .unwrap();
    let asked = Instant::now();
    assert_eq!(world.terminate(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(20), "ended only after {:?}", asked.elapsed());
    let before = written(&world, mark);
    assert!(before.len() < OBJECTS, "the sync was over before it could be stopped");
    let unanswered = "each write that was begun was answered before the end";
    assert_eq!(before.len(), ours(&world), "{unanswered}: {before:?}");
    let mark = world.cluster.mark();
    world.start();
    world.synced(&first);
    let after = written(&world, mark);
    assert_eq!(after.len(), OBJECTS - before.len(), "nothing is written twice");
    assert!(after.iter().all(|name| !before.contains(name)));
}

fn a_hangup_makes_it_look_at_the_repository_and_the_configuration_at_once(ground: Ground) {
    let mut world = World::new(ground, "hangup");
    let server = GitServer::serve(&world.repo).unwrap();
    let asked_hourly = |sync: &str| {
        let namespace = world.namespace.name().to_owned();
        let polled = format!("'{}', interval: 200ms", world.repo.file_url());
        let text = world.configuration(sync, &namespace);
        text.replace(&polled, &format!("'{}', interval: 1h", server.url("config.git")))
    };
    world.write_configuration(&asked_hourly(""));
    let first = commit(&world, &[("app/a.yaml".to_owned(), config_map("a", "1"))], "first");
    world.start();
    world.synced(&first);
    let second = commit(&world, &[("app/a.yaml".to_owned(), config_map("a", "2"))], "second");
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(world.status("app@test").unwrap()["revision"], first.as_str(), "it is asked once an hour");
    world.hangup();
    world.synced(&second);
}

fn one_run_ends_with_0_1_or_2_and_leaves_what_status_tells_without_a_running_one(ground: Ground) {
    let world = World::new(ground, "once");
    let first = commit(&world, &[("app/a.yaml".to_owned(), config_map("a", "1"))], "first");
    let once = |timeout: &str| world.alone(&["run", "--once", "--timeout", timeout]).status.code();
    assert_eq!(once("1m"), Some(0));
    let alone = |world: &World| -> (Option<i32>, Value) {
        let output = world.alone(&["status", "-o", "json"]);
        let all: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), all["targets"][0].clone())
    };
    let (code, status) = alone(&world);
    assert_eq!((code, &status["target"], &status["sync"]), (Some(0), &json!("app@test"), &json!("Synced")));
    assert_eq!((&status["revision"], &status["health"]), (&json!(first), &json!("Healthy")));

    forget(&world.state());
    let (_, from_cluster) = alone(&world);
    assert_eq!(from_cluster["revision"], json!(first), "the record in the cluster tells it: {from_cluster}");

    let bad = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\ndata: {value: [not, text]}\n";
    let second = commit(&world, &[("app/b.yaml".to_owned(), bad.to_owned())], "second");
    assert_eq!(once("5s"), Some(1));
    let (code, status) = alone(&world);
    assert_eq!((code, &status["sync"]), (Some(1), &json!("Failed")), "{status}");
    assert_eq!(status["wantedRevision"].as_str().or(status["revision"].as_str()), Some(second.as_str()));
    assert!(status["errors"].to_string().contains("app/b.yaml"), "{status}");

    world.write_configuration(
        "apiVersion: trueup.dev/v1alpha1\nkind: App\nmetadata: {name: app}\nspec: {pth: x}\n",
    );
    assert_eq!(once("5s"), Some(2));
    assert_eq!(alone(&world).0, Some(1), "what was kept is told without a configuration");
    forget(&world.state());
    assert_eq!(world.alone(&["status", "-o", "json"]).status.code(), Some(2));
    std::fs::remove_file(world.path("trueup.yaml")).unwrap();
    assert_eq!(once("5s"), Some(2));
}

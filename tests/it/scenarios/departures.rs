//! Apps that are deleted while two replicas of trueup run: what they applied is pruned on the clusters of both, whoever of them
//! goes meanwhile.

use super::custom::path;
use super::harness::{PATIENCE, config_map};
use super::replicas::{CLUSTERS, LEASE, Shared};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use trueup_testkit::{Mark, played};

/// What is to be waited for beside a Lease that runs out.
const TURNS: Duration = Duration::from_secs(25);

impl Shared {
    /// Has the App prune what it applied when it is deleted.
    fn say_pruning_app(&self) {
        let environments: Vec<String> = (0..CLUSTERS).map(|number| format!("e{number}")).collect();
        let spec = json!({
            "repository": "config", "path": "app/{environment}", "environments": environments, "deletionPolicy": "Delete",
        });
        self.apply("apps", "App", "app", &spec);
    }

    fn delete_app(&self) {
        self.world.api.delete(&path(&self.world, "apps", "app")).unwrap();
    }

    fn app(&self) -> Option<Value> {
        self.world.api.find(&path(&self.world, "apps", "app")).unwrap()
    }

    fn app_is_gone(&self, limit: Duration) {
        self.within(limit, "the App is gone", |shared| shared.app().is_none());
    }

    /// The names of what the App applied, and of its records.
    fn names(&self) -> Vec<String> {
        let list = self.world.api.get(&self.world.config_map("")).unwrap();
        let names =
            list["items"].as_array().unwrap().iter().map(|one| one["metadata"]["name"].as_str().unwrap());
        let ours = names.filter(|name| name.starts_with('e') || name.starts_with("trueup.app."));
        ours.map(str::to_owned).collect()
    }

    /// The notes of Events about the App with this reason.
    fn told(&self, reason: &str) -> Vec<String> {
        let namespace = self.world.namespace.name();
        let events = format!("/apis/events.k8s.io/v1/namespaces/{namespace}/events");
        let events = self.world.api.get(&events).unwrap();
        let about = |event: &&Value| event["regarding"]["kind"] == "App" && event["reason"] == reason;
        let told = events["items"].as_array().unwrap().iter().filter(about);
        told.map(|event| event["note"].as_str().unwrap().to_owned()).collect()
    }

    /// How often each ConfigMap was deleted since the mark, and by whom.
    fn deleted_since(&self, mark: Mark) -> BTreeMap<String, Vec<String>> {
        let mut deleted: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for write in self.writes_since(mark) {
            if write.resource == "configmaps" && write.verb == "delete" {
                deleted.entry(write.name).or_default().push(write.user);
            }
        }
        deleted
    }

    /// The replica that says how the App stands: whose status was the last one since the mark.
    fn keeper(&self, mark: Mark) -> usize {
        let writes = self.writes_since(mark);
        let status = writes.iter().rfind(|write| write.name == "app" && write.uri.contains("/app/status"));
        let status = status.expect("somebody said how the App stands");
        self.replicas.iter().position(|replica| replica.account == status.user).unwrap()
    }
}

#[test]
fn a_deleted_app_is_pruned_on_the_clusters_of_both_replicas_once() {
    let mut shared = Shared::new("departures", 2, 5);
    shared.say_pruning_app();
    shared.start(0);
    shared.start(1);
    shared.shared_by(2);
    let first = shared.commit("1", CLUSTERS);
    shared.ready(&first, CLUSTERS, PATIENCE);
    assert_eq!(shared.names().len(), CLUSTERS * 6, "objects, and a record of each target");

    let mark = played().unwrap().mark().unwrap();
    shared.delete_app();
    shared.app_is_gone(LEASE);
    assert_eq!(shared.names(), Vec::<String>::new());
    let deleted = shared.deleted_since(mark);
    assert_eq!(deleted.len(), CLUSTERS * 6);
    assert!(deleted.values().all(|by| by.len() == 1), "{deleted:#?}");
    let by = |number: usize| deleted.values().filter(|by| by[0] == shared.replicas[number].account).count();
    assert!(by(0) > 0 && by(1) > 0 && by(0) + by(1) == CLUSTERS * 6, "{deleted:#?}");
    shared.within(PATIENCE, "it is told", |shared| !shared.told("Deleted").is_empty());
    for number in 0..2 {
        shared.within(PATIENCE, "no replica knows of a target", |shared| shared.statuses(number).is_empty());
    }

    // One of the same name begins anew, and what was found out of the one before is nothing about it.
    shared.say_pruning_app();
    shared.ready(&first, CLUSTERS, PATIENCE);
    assert_eq!(shared.names().len(), CLUSTERS * 6);
    shared.delete_app();
    shared.app_is_gone(LEASE);
    assert_eq!(shared.names(), Vec::<String>::new());
    shared.within(PATIENCE, "that is told, too", |shared| shared.told("Deleted").len() > 1);
    assert_eq!(shared.told("Deleted"), ["deleted, with all that it applied"; 2], "each App once");
    assert_eq!(shared.told("LeftBehind"), Vec::<String>::new());
}

#[test]
fn an_app_whose_deletion_waits_goes_on_with_the_replica_that_is_left() {
    let mut shared = Shared::new("departures-killed", 2, 2);
    shared.start(0);
    shared.start(1);
    // The first time the one goes that lets the App go, then the other one.
    for round in 0..2 {
        shared.shared_by(2);
        let mark = played().unwrap().mark().unwrap();
        shared.say_pruning_app();
        let files: Vec<(String, String)> = (0..CLUSTERS)
            .map(|number| {
                let name = format!("e{number}-held");
                let named = format!("{{name: {name}}}");
                let held = format!("{{name: {name}, finalizers: [example.com/hold]}}");
                (format!("app/e{number}/held.yaml"), config_map(&name, "1").replace(&named, &held))
            })
            .collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (&**path, &**text)).collect();
        shared.world.repo.commit(&files, "what others hold").unwrap();
        let revision = shared.commit(&format!("round {round}"), CLUSTERS);
        shared.ready(&revision, CLUSTERS, PATIENCE);
        let keeper = shared.keeper(mark);

        shared.delete_app();
        shared.within(PATIENCE, "only what is held is left", |shared| {
            let names = shared.names();
            names.iter().filter(|name| name.ends_with("-held")).count() == CLUSTERS
                && names.iter().all(|name| name.ends_with("-held") || name.starts_with("trueup."))
        });
        let killed = if round == 0 { keeper } else { 1 - keeper };
        shared.signal(killed, "-KILL");
        shared.ended(killed);
        for number in 0..CLUSTERS {
            let held = shared.world.config_map(&format!("e{number}-held"));
            shared.world.api.merge(&held, &json!({"metadata": {"finalizers": null}})).unwrap();
        }
        shared.app_is_gone(LEASE + TURNS);
        assert_eq!(shared.names(), Vec::<String>::new(), "round {round}\n{}", shared.logs());
        assert_eq!(shared.told("LeftBehind"), Vec::<String>::new(), "round {round}");
        shared.start(killed);
    }
}

#[test]
fn a_replica_that_is_killed_while_it_prunes_leaves_the_rest_to_the_other_one() {
    const EACH: usize = 60;
    let mut shared = Shared::new("departures-midst", 2, EACH);
    shared.say_pruning_app();
    shared.start(0);
    shared.start(1);
    shared.shared_by(2);
    let first = shared.commit("1", CLUSTERS);
    shared.ready(&first, CLUSTERS, PATIENCE);
    // A write that got no answer on a busy machine would be waited for by the process that gave it up.
    for number in 0..2 {
        shared.signal(number, "-TERM");
        assert_eq!(shared.ended(number), Some(0));
        shared.start(number);
    }
    shared.shared_by(2);
    shared.ready(&first, CLUSTERS, PATIENCE);
    let all = shared.names().len();
    let begun = Instant::now();
    shared.delete_app();
    shared.within(PATIENCE, "it prunes", |shared| shared.names().len() + 20 < all);
    shared.signal(1, "-KILL");
    shared.ended(1);
    assert!(shared.app().is_some(), "it was to be killed before all was pruned");
    shared.app_is_gone(LEASE + TURNS);
    eprintln!("gone after {:?}", begun.elapsed());
    assert_eq!(shared.names(), Vec::<String>::new());
    assert_eq!(shared.told("LeftBehind"), Vec::<String>::new());
    shared.within(PATIENCE, "it is told", |shared| !shared.told("Deleted").is_empty());
}

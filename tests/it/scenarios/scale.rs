//! Many objects, two clusters, a new start: how much is asked and written, counted at the API server.

use super::ground::{Ground, scenarios};
use super::harness::{World, config_map, forget};
use serde_json::{Value, json};
use std::time::Duration;
use trueup_testkit::{Components, GitServer, Options};

scenarios![
    of_a_thousand_objects_a_commit_writes_the_one_it_changes,
    a_new_start_with_nothing_to_do_writes_nothing_also_without_its_records,
    a_renamed_object_comes_before_the_old_one_goes,
    a_scaled_deployment_is_put_back,
    a_git_server_that_is_gone_for_a_while_changes_nothing_and_is_caught_up_with,
    two_clusters_are_kept_and_the_one_that_was_away_is_caught_up_with,
];

/// Objects that turns compared with Git.
const LOOKED_AT: &str = "trueup_objects_looked_at_total";

fn many(count: usize, changed: Option<usize>) -> Vec<(String, String)> {
    let value = |n: usize| if changed == Some(n) { "changed" } else { "same" };
    (0..count).map(|n| (format!("app/{n:04}.yaml"), config_map(&format!("c{n:04}"), value(n)))).collect()
}

fn commit(world: &World, files: &[(String, String)], message: &str) -> String {
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    world.repo.commit(&files, message).unwrap()
}

/// Trueup's requests about the objects of the target, of which the parent, its events and its reads are none.
fn about_objects(world: &World, mark: trueup_testkit::Mark) -> Vec<String> {
    let requests = world.cluster.requests_since(mark);
    let ours = requests.into_iter().filter(|request| {
        request.user_agent.starts_with("trueup/")
            && request.namespace == world.namespace.name()
            && request.resource == "configmaps"
            && !request.name.is_empty()
            && !request.name.starts_with("trueup.")
    });
    let told = |request: trueup_testkit::Request| match request.status {
        200..300 => format!("{} {}", request.verb, request.name),
        status => format!("{} {}: {status}", request.verb, request.name),
    };
    ours.map(told).collect()
}

fn of_a_thousand_objects_a_commit_writes_the_one_it_changes(ground: Ground) {
    let mut world = World::played(ground, "thousand");
    // Of a thousand objects one in fifteen seconds is asked about without a reason, which would count here.
    world.configure("audit: 8760h");
    let first = commit(&world, &many(1000, None), "first");
    let mark = world.cluster.mark();
    world.start();
    world.synced(&first);
    let mut asked = about_objects(&world, mark);
    asked.sort();
    let once: Vec<String> = (0..1000).map(|n| format!("patch c{n:04}")).collect();
    let more: Vec<&String> = asked.iter().filter(|ask| !once.contains(ask)).collect();
    let twice: Vec<&String> =
        asked.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| &pair[0]).collect();
    assert!(asked == once, "one write an object and nothing else, but {more:?}, and twice {twice:?}");
    std::thread::sleep(Duration::from_secs(2));
    let mark = world.cluster.mark();
    let second = commit(&world, &many(1000, Some(7)), "second");
    world.synced(&second);
    assert_eq!(about_objects(&world, mark), ["patch c0007"]);
    std::thread::sleep(Duration::from_secs(2));
    let (mark, looked_at) = (world.cluster.mark(), world.metric(LOOKED_AT));
    let third = world.repo.commit(&[("elsewhere.txt", "x")], "third").unwrap();
    world.synced(&third);
    assert_eq!(about_objects(&world, mark), Vec::<String>::new());
    world.api.merge(&world.config_map("c0042"), &json!({"data": {"value": "edited"}})).unwrap();
    world.api.delete(&world.config_map("c0099")).unwrap();
    world.holds("an edited object is put back, and a deleted one is there again", |world| {
        let value = |name: &str| {
            world.api.find(&world.config_map(name)).unwrap().map(|found| found["data"]["value"].clone())
        };
        [value("c0042"), value("c0099")] == [Some("same".into()), Some("same".into())]
    });
    world.synced(&third);
    // Not each of the thousand again for it.
    let looked_at = world.metric(LOOKED_AT) - looked_at;
    assert!((2.0..100.0).contains(&looked_at), "{looked_at}");
}

fn a_new_start_with_nothing_to_do_writes_nothing_also_without_its_records(ground: Ground) {
    let mut world = World::played(ground, "again");
    let first = commit(&world, &many(50, None), "first");
    world.start();
    world.synced(&first);
    for lost in [false, true] {
        assert_eq!(world.terminate(), Some(0));
        if lost {
            forget(&world.state());
        }
        let mark = world.cluster.mark();
        world.start();
        world.synced(&first);
        std::thread::sleep(Duration::from_secs(2));
        assert_eq!(about_objects(&world, mark), Vec::<String>::new(), "records lost: {lost}");
    }
}

fn a_renamed_object_comes_before_the_old_one_goes(ground: Ground) {
    let mut world = World::played(ground, "renamed");
    let first = world.repo.commit(&[("app/a.yaml", &config_map("old", "1"))], "first").unwrap();
    world.start();
    world.synced(&first);
    let mark = world.cluster.mark();
    let second = world.repo.commit(&[("app/a.yaml", &config_map("new", "1"))], "second").unwrap();
    world.synced(&second);
    // Whether somebody else has an object of the new name is asked before it is created.
    assert_eq!(about_objects(&world, mark), ["get new: 404", "patch new", "delete old"]);
    assert!(world.api.find(&world.config_map("old")).unwrap().is_none());
}

fn a_scaled_deployment_is_put_back(ground: Ground) {
    let mut world = World::played(ground, "scaled");
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 2, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: x}]}}}\n";
    let first = world.repo.commit(&[("app/d.yaml", deployment)], "first").unwrap();
    world.start();
    world.synced(&first);
    let path = format!("/apis/apps/v1/namespaces/{}/deployments/web", world.namespace.name());
    world.api.merge(&format!("{path}/scale"), &json!({"spec": {"replicas": 5}})).unwrap();
    world.holds("two replicas are wanted again", |world| {
        world.api.get(&path).unwrap()["spec"]["replicas"] == 2
    });
    world.synced(&first);
}

fn a_git_server_that_is_gone_for_a_while_changes_nothing_and_is_caught_up_with(ground: Ground) {
    let mut world = World::new(ground, "gitless");
    let server = GitServer::serve(&world.repo).unwrap();
    let path = world.repo.served_path();
    let name = world.repo.bare_path().strip_prefix(&path).unwrap().to_str().unwrap().to_owned();
    let text =
        world.configuration("", world.namespace.name()).replace(&world.repo.file_url(), &server.url(&name));
    world.write_configuration(&text);
    let first = world.repo.commit(&[("app/a.yaml", &config_map("a", "1"))], "first").unwrap();
    world.start();
    world.synced(&first);
    server.pause().unwrap();
    let second = world.repo.commit(&[("app/a.yaml", &config_map("a", "2"))], "second").unwrap();
    world.until("the status says that the server is gone", |status| {
        status["message"].as_str().is_some_and(|message| message.contains("config"))
    });
    world.api.merge(&world.config_map("a"), &json!({"data": {"value": "edited"}})).unwrap();
    world.holds("drift is repaired all the same", |world| {
        world.api.get(&world.config_map("a")).unwrap()["data"]["value"] == "1"
    });
    server.resume().unwrap();
    world.synced(&second);
}

fn is_up(world: &World, cluster: &str) -> bool {
    world.metric(&format!("trueup_cluster_up{{cluster=\"{cluster}\"}}")) > 0.5
}

fn two_clusters_are_kept_and_the_one_that_was_away_is_caught_up_with(ground: Ground) {
    let far = ground.start(Options { components: Components::ApiOnly, ..Options::default() });
    let mut world = World::new(ground, "near");
    let space = far.namespace("far");
    let text = format!(
        "{}---\napiVersion: trueup.dev/v1alpha1\nkind: Cluster\nmetadata: {{name: away}}\nspec: {{kubeconfig: {{path: '{}'}}}}\n---\napiVersion: trueup.dev/v1alpha1\nkind: Environment\nmetadata: {{name: far}}\nspec: {{cluster: away, namespace: {}}}\n",
        world
            .configuration("", world.namespace.name())
            .replace("environments: [test]", "environments: [test, far]"),
        far.kubeconfig().display(),
        space.name(),
    );
    world.write_configuration(&text);
    let first = world.repo.commit(&[("app/a.yaml", &config_map("a", "1"))], "first").unwrap();
    world.start();
    world.synced(&first);
    let is_seen = |world: &World, state: &str| {
        let output = world.trueup(&["status", "-o", "json"]);
        let all: Value = serde_json::from_slice(&output.stdout).unwrap();
        let find = |name: &str| all["clusters"].as_array()?.iter().find(|one| one["name"] == name).cloned();
        let (Some(here), Some(away)) = (find("here"), find("away")) else { return false };
        here["state"] == "Reachable"
            && away["state"] == state
            && away["targets"] == 1
            && away["version"].as_str().is_some_and(|version| version.starts_with("v1."))
            && (away["message"] == "") == (state == "Reachable")
            && is_up(world, "here")
            && is_up(world, "away") == (state == "Reachable")
    };
    let is_at = |world: &World, revision: &str| {
        world.status("app@far").is_some_and(|status| {
            status["sync"] == "Synced" && status["revision"] == revision && status["cluster"] == "away"
        })
    };
    world.holds("the far one is synced too", |world| is_at(world, &first));
    world.holds("its cluster is there", |world| is_seen(world, "Reachable"));
    far.stop_api_server();
    world.holds("its cluster is lost, and still known", |world| is_seen(world, "Unreachable"));
    let shown = String::from_utf8(world.trueup(&["status"]).stdout).unwrap();
    let line =
        |start: &str| shown.lines().find(|line| line.starts_with(start)).unwrap_or_default().to_owned();
    assert!(line("CLUSTER ").contains("VERSION"), "{shown}");
    assert!(line("here ").contains(" v1."), "{shown}");
    assert!(line("away ").contains(" Unreachable "), "{shown}");
    let second = world.repo.commit(&[("app/a.yaml", &config_map("a", "2"))], "second").unwrap();
    world.synced(&second);
    far.start_api_server();
    world.holds("the far one has caught up", |world| is_at(world, &second));
    world.holds("its cluster is there again", |world| is_seen(world, "Reachable"));
    let path = format!("/api/v1/namespaces/{}/configmaps/a", space.name());
    assert_eq!(far.api().get(&path).unwrap()["data"]["value"], "2");
}

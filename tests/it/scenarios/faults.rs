//! Things break: nothing is lost, nothing is deleted that should not be, and the status says why.

use super::ground::{Ground, scenarios};
use super::harness::{World, config_map, forget};
use super::helm::{CHART, configure};
use serde_json::json;
use std::fmt::Write as _;
use std::time::Duration;
use trueup_testkit::{Components, Options, User};

scenarios![
    a_broken_commit_changes_nothing_and_is_named_with_file_and_line,
    one_bad_object_among_a_hundred_stops_only_itself,
    one_cluster_that_is_down_does_not_hold_up_the_other,
    a_killed_trueup_goes_on_where_it_was_and_a_lost_store_is_no_loss,
    an_api_server_that_goes_away_in_the_middle_is_waited_for,
    missing_rights_are_named_by_verb_and_kind_and_stop_nothing_else,
    a_finalizer_that_hangs_is_named_and_holds_up_nothing,
    a_broken_configuration_leaves_the_old_one_in_force,
    nothing_is_asked_while_nothing_changes,
];

fn a_broken_commit_changes_nothing_and_is_named_with_file_and_line(ground: Ground) {
    let mut world = World::new(ground, "broken");
    let first = world
        .repo
        .commit(&[("app/a.yaml", &config_map("a", "1")), ("app/b.yaml", &config_map("b", "1"))], "first")
        .unwrap();
    world.start();
    world.synced(&first);
    world
        .repo
        .commit(&[("app/a.yaml", "kind: [\n"), ("app/b.yaml", &config_map("b", "2"))], "broken")
        .unwrap();
    let status = world.until("the mistake is reported", |status| status["sync"] == "Failed");
    assert!(status["message"].as_str().unwrap().contains("app/a.yaml: line"), "{status}");
    assert_eq!(status["revision"], first);
    assert_eq!(world.api.get(&world.config_map("b")).unwrap()["data"]["value"], "1");
    let third = world.repo.commit(&[("app/a.yaml", &config_map("a", "3"))], "mended").unwrap();
    world.synced(&third);
}

fn one_bad_object_among_a_hundred_stops_only_itself(ground: Ground) {
    let mut world = World::new(ground, "hundred");
    let mut all = String::new();
    for index in 0..100 {
        writeln!(all, "{}---", config_map(&format!("c{index}"), "1")).unwrap();
    }
    let bad = "apiVersion: v1\nkind: Service\nmetadata: {name: bad}\nspec: {ports: [{port: 99999}]}\n";
    let large = config_map("large", &"x".repeat(1_100_000));
    world
        .repo
        .commit(&[("app/all.yaml", &all), ("app/bad.yaml", bad), ("app/large.yaml", &large)], "first")
        .unwrap();
    world.start();
    let status = world.until("both are reported", |status| {
        status["errors"].as_array().is_some_and(|errors| errors.len() >= 2)
    });
    let errors = status["errors"].to_string();
    assert!(
        errors.contains("Service") && errors.contains("app/bad.yaml:1") && errors.contains("99999"),
        "{errors}"
    );
    assert!(errors.contains("app/large.yaml:1") && errors.contains("bytes"), "{errors}");
    for index in [0, 42, 99] {
        assert!(world.api.find(&world.config_map(&format!("c{index}"))).unwrap().is_some());
    }
}

fn one_cluster_that_is_down_does_not_hold_up_the_other(ground: Ground) {
    let mut world = World::new(ground, "down");
    let dead = world.configuration("", world.namespace.name());
    let away = tempfile::NamedTempFile::new().unwrap();
    let kubeconfig = "apiVersion: v1\nkind: Config\ncurrent-context: x\ncontexts: [{name: x, context: {cluster: x, user: x}}]\nclusters: [{name: x, cluster: {server: 'https://127.0.0.1:9'}}]\nusers: [{name: x, user: {token: t}}]\n";
    std::fs::write(away.path(), kubeconfig).unwrap();
    let two = format!(
        "{}---\napiVersion: trueup.dev/v1alpha1\nkind: Cluster\nmetadata: {{name: away}}\nspec: {{kubeconfig: {{path: '{}'}}}}\n---\napiVersion: trueup.dev/v1alpha1\nkind: Environment\nmetadata: {{name: far}}\nspec: {{cluster: away, namespace: far}}\n",
        dead.replace("environments: [test]", "environments: [test, far]"),
        away.path().display()
    );
    world.write_configuration(&two);
    let first = world.repo.commit(&[("app/a.yaml", &config_map("a", "1"))], "first").unwrap();
    world.start();
    world.synced(&first);
    world.holds("the other says why", |world| {
        world.status("app@far").is_some_and(|status| {
            status["sync"] == "Unknown" && status["message"].as_str().is_some_and(|m| m.contains("away"))
        })
    });
}

fn a_killed_trueup_goes_on_where_it_was_and_a_lost_store_is_no_loss(ground: Ground) {
    let mut world = World::new(ground, "kill");
    let files: Vec<(String, String)> =
        (0..60).map(|n| (format!("app/{n}.yaml"), config_map(&format!("c{n}"), "0"))).collect();
    let commit = |world: &World, round: usize| {
        let files: Vec<(String, String)> =
            files.iter().map(|(p, t)| (p.clone(), t.replace("'0'", &format!("'{round}'")))).collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(p, t)| (p.as_str(), t.as_str())).collect();
        world.repo.commit(&files, &format!("round {round}")).unwrap()
    };
    commit(&world, 0);
    let mut last = String::new();
    for round in 1..=20_u64 {
        last = commit(&world, usize::try_from(round).unwrap());
        world.start();
        // Twenty points of a start and a sync that takes about a second: spread, not chosen.
        std::thread::sleep(Duration::from_millis(100 + (round * 367) % 900));
        world.kill();
    }
    world.start();
    world.synced(&last);
    let uid = world.api.get(&world.config_map("c7")).unwrap()["metadata"]["uid"].clone();
    world.kill();
    forget(&world.state());
    world.start();
    world.synced(&last);
    let members = world
        .api
        .get(&format!(
            "/api/v1/namespaces/{}/configmaps?labelSelector=applyset.kubernetes.io/part-of",
            world.namespace.name()
        ))
        .unwrap();
    assert_eq!(members["items"].as_array().unwrap().len(), 60);
    assert_eq!(world.api.get(&world.config_map("c7")).unwrap()["metadata"]["uid"], uid);
    assert_eq!(world.terminate(), Some(0));
}

fn an_api_server_that_goes_away_in_the_middle_is_waited_for(ground: Ground) {
    let plane = ground.start(Options { components: Components::ApiOnly, ..Options::default() });
    let mut world = World::on(&plane, "restart");
    let files: Vec<(String, String)> =
        (0..300).map(|n| (format!("app/{n}.yaml"), config_map(&format!("c{n}"), "0"))).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(p, t)| (p.as_str(), t.as_str())).collect();
    let first = world.repo.commit(&files, "first").unwrap();
    world.start();
    world.holds("the sync is under way", |world| world.api.find(&world.config_map("c1")).unwrap().is_some());
    plane.stop_api_server();
    std::thread::sleep(Duration::from_secs(2));
    plane.start_api_server();
    world.synced(&first);
    assert!(world.api.find(&world.config_map("c299")).unwrap().is_some());
}

fn missing_rights_are_named_by_verb_and_kind_and_stop_nothing_else(ground: Ground) {
    let plane = ground.start(Options {
        components: Components::ApiOnly,
        users: vec![User::named("limited")],
        ..Options::default()
    });
    let world = World::on(&plane, "rights");
    let space = world.namespace.name().to_owned();
    let rbac = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{space}");
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "r"}, "rules": [
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]}]});
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "r"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "limited"}]});
    world.api.create(&format!("{rbac}/roles"), &role).unwrap();
    world.api.create(&format!("{rbac}/rolebindings"), &binding).unwrap();
    let mut world = world.reached_with(plane.kubeconfig_for("limited"));
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n";
    world.repo.commit(&[("app/a.yaml", &config_map("a", "1")), ("app/s.yaml", secret)], "first").unwrap();
    world.start();
    let status = world.until("the missing right is named", |status| status["sync"] == "Failed");
    let errors = status["errors"].to_string();
    assert!(errors.contains("cannot list") && errors.contains("secrets"), "{errors}");
    assert!(world.api.find(&world.config_map("a")).unwrap().is_some());

    // So are those for what a chart wants to know.
    let looks = "{{ lookup \"v1\" \"Secret\" .Release.Namespace \"s\" | len }}";
    let files = [("web/Chart.yaml", CHART), ("web/templates/b.yaml", &config_map("b", looks))];
    world.repo.commit(&files, "a chart").unwrap();
    for (more, what) in [("", "get Secret"), (", valuesFrom: [{kind: Secret, name: values}]", "values")] {
        configure(&world, &format!("chart: web{more}"));
        let status = world.until("the missing right is named", |status| {
            status["message"]
                .as_str()
                .is_some_and(|message| message.contains("cannot get") && message.contains(what))
        });
        let message = status["message"].as_str().unwrap();
        assert!(message.contains("cluster here: get Secret") && message.contains("secrets"), "{message}");
    }
}

fn a_finalizer_that_hangs_is_named_and_holds_up_nothing(ground: Ground) {
    let mut world = World::new(ground, "finalizer");
    let held = config_map("held", "1").replace("name: held", "name: held, finalizers: [example.com/hold]");
    let first = world
        .repo
        .commit(&[("app/a.yaml", &config_map("a", "1")), ("app/held.yaml", &held)], "first")
        .unwrap();
    world.start();
    world.synced(&first);
    world.repo.remove(&["app/held.yaml"], "away").unwrap();
    world.repo.commit(&[("app/a.yaml", &config_map("a", "2"))], "and more").unwrap();
    world.until("the wait is told", |status| {
        status["sync"] == "Syncing"
            && status["message"]
                .as_str()
                .is_some_and(|m| m.contains("waiting for finalizer example.com/hold"))
    });
    world.holds("the rest goes on", |world| {
        world.api.get(&world.config_map("a")).unwrap()["data"]["value"] == "2"
    });
    world.api.merge(&world.config_map("held"), &json!({"metadata": {"finalizers": null}})).unwrap();
    world.until("it is over", |status| status["sync"] == "Synced");
}

fn a_broken_configuration_leaves_the_old_one_in_force(ground: Ground) {
    let mut world = World::new(ground, "config");
    let first = world.repo.commit(&[("app/a.yaml", &config_map("a", "1"))], "first").unwrap();
    world.start();
    world.synced(&first);
    world.write_configuration("kind: Nonsense\n");
    std::thread::sleep(Duration::from_secs(1));
    let second = world.repo.commit(&[("app/a.yaml", &config_map("a", "2"))], "second").unwrap();
    world.synced(&second);
    assert_eq!(world.terminate(), Some(0));
}

fn nothing_is_asked_while_nothing_changes(ground: Ground) {
    let mut world = World::played(ground, "quiet");
    let files: Vec<(String, String)> =
        (0..200).map(|n| (format!("app/{n}.yaml"), config_map(&format!("c{n}"), "0"))).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(p, t)| (p.as_str(), t.as_str())).collect();
    let first = world.repo.commit(&files, "first").unwrap();
    world.start();
    world.synced(&first);
    std::thread::sleep(Duration::from_secs(2));
    let ours = |request: &trueup_testkit::Request| {
        request.user_agent.starts_with("trueup/") && request.uri.contains(world.namespace.name())
    };
    let mark = world.cluster.mark();
    std::thread::sleep(Duration::from_secs(5));
    let asked: Vec<String> = world
        .cluster
        .requests_since(mark)
        .into_iter()
        .filter(ours)
        .map(|r| format!("{} {}", r.verb, r.uri))
        .collect();
    assert_eq!(asked, Vec::<String>::new());
}

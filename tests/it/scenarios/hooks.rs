//! A push that a forge tells of is synced at once, although nobody would have asked for an hour.

use super::ground::{Ground, scenarios};
use super::harness::{World, config_map};
use std::fs;
use std::time::{Duration, Instant};
use trueup_testkit::GitServer;

scenarios![
    a_push_with_a_webhook_is_synced_at_once_and_a_replay_costs_a_question_at_most,
    a_push_that_is_announced_before_it_can_be_seen_is_not_missed,
    a_repository_is_asked_once_however_many_apps_come_from_it,
];

const SECRET: &str = "shared with the forge";

/// A world whose repository is asked once an hour.
fn asked_hourly(server: &GitServer, world: &World) {
    fs::write(world.path("secret"), format!("{SECRET}\n")).unwrap();
    let namespace = world.namespace.name().to_owned();
    let spec =
        format!("url: '{}', interval: 1h, webhook: {{secret: {{file: secret}}}}", server.url("config.git"));
    let before = format!("url: '{}', interval: 200ms", world.repo.file_url());
    world.write_configuration(&world.configuration("", &namespace).replace(&before, &spec));
}

pub(crate) fn deliver(world: &World, server: &GitServer, revision: &str, secret: &str) -> (u16, Duration) {
    let body = serde_json::json!({"object_kind": "push", "ref": "refs/heads/main", "after": revision,
        "project": {"git_http_url": server.url("config"), "default_branch": "main"}});
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let started = Instant::now();
    let answer = runtime.block_on(async {
        let url = format!("http://{}/hooks/gitlab", world.address());
        let request = reqwest::Client::builder().no_proxy().build().unwrap().post(url);
        let request =
            request.header("content-type", "application/json").header("x-gitlab-event", "Push Hook");
        request.header("x-gitlab-token", secret).body(body.to_string()).send().await.unwrap()
    });
    (answer.status().as_u16(), started.elapsed())
}

fn a_push_with_a_webhook_is_synced_at_once_and_a_replay_costs_a_question_at_most(ground: Ground) {
    let mut world = World::new(ground, "hook");
    let server = GitServer::serve(&world.repo).unwrap();
    asked_hourly(&server, &world);
    let first = world.repo.commit(&[("app/a.yaml", &config_map("a", "1"))], "first").unwrap();
    world.start();
    world.synced(&first);

    let mut times = Vec::new();
    let mut last = first.clone();
    for value in ["2", "3", "4"] {
        last = world.repo.commit(&[("app/a.yaml", &config_map("a", value))], "another").unwrap();
        assert_eq!(deliver(&world, &server, &last, "a guess").0, 401);
        std::thread::sleep(Duration::from_millis(300));
        assert_ne!(world.api.get(&world.config_map("a")).unwrap()["data"]["value"], value, "nobody asked");
        let started = Instant::now();
        let (code, answered) = deliver(&world, &server, &last, SECRET);
        assert_eq!(code, 202);
        world.holds("the push is applied", |world| {
            world.api.get(&world.config_map("a")).unwrap()["data"]["value"] == value
        });
        times.push((answered, started.elapsed()));
    }
    // It would be asked in an hour otherwise; how soon it was is for whoever looks.
    println!("answered and applied after: {times:?}");
    world.synced(&last);

    let before = server.request_count();
    for _ in 0..20 {
        assert_eq!(deliver(&world, &server, &first, SECRET).0, 202, "an old delivery, sent again");
        assert_eq!(deliver(&world, &server, &last, SECRET).0, 202, "the newest one, sent again");
    }
    std::thread::sleep(Duration::from_secs(3));
    let asked = server.request_count() - before;
    assert!(asked < 40, "{asked} requests for 40 replayed deliveries");
    assert_eq!(
        world.status("app@test").unwrap()["revision"],
        last.as_str(),
        "what is applied is what Git says"
    );
}

fn a_push_that_is_announced_before_it_can_be_seen_is_not_missed(ground: Ground) {
    let mut world = World::new(ground, "early");
    let server = GitServer::serve(&world.repo).unwrap();
    asked_hourly(&server, &world);
    // This time the secret is in the cluster.
    let namespace = world.namespace.name().to_owned();
    let secret = serde_json::json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hook"}, "stringData": {"token": SECRET}});
    world.api.create(&format!("/api/v1/namespaces/{namespace}/secrets"), &secret).unwrap();
    let configuration = fs::read_to_string(world.path("trueup.yaml")).unwrap();
    let reference = format!("{{secretRef: {{name: hook, namespace: {namespace}}}}}");
    world.write_configuration(&configuration.replace("{secret: {file: secret}}", &reference));
    let first = world.repo.commit(&[("app/a.yaml", &config_map("a", "1"))], "first").unwrap();
    world.start();
    world.synced(&first);
    let second = world.repo.commit(&[("app/a.yaml", &config_map("a", "2"))], "second").unwrap();
    world.repo.reset(&first).unwrap();
    assert_eq!(deliver(&world, &server, &second, SECRET).0, 202);
    std::thread::sleep(Duration::from_millis(700));
    world.repo.reset(&second).unwrap();
    world.synced(&second);
}

fn a_repository_is_asked_once_however_many_apps_come_from_it(ground: Ground) {
    const APPS: usize = 40;
    let mut world = World::new(ground, "apps");
    let server = GitServer::serve(&world.repo).unwrap();
    asked_hourly(&server, &world);
    let app = |number: usize| {
        format!(
            "---\napiVersion: trueup.dev/v1alpha1\nkind: App\nmetadata: {{name: more-{number}}}\n\
             spec: {{repository: config, path: 'more/{number}', environments: [test]}}\n"
        )
    };
    let configuration = fs::read_to_string(world.path("trueup.yaml")).unwrap();
    let more: String = (0..APPS).map(app).collect();
    world.write_configuration(&(configuration + &more));
    let files: Vec<(String, String)> = (0..APPS)
        .map(|number| (format!("more/{number}/a.yaml"), config_map(&format!("more-{number}"), "1")))
        .chain([("app/a.yaml".to_owned(), config_map("a", "1"))])
        .collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let first = world.repo.commit(&files, "first").unwrap();
    world.start();
    let all = |world: &World, revision: &str| {
        let output = world.trueup(&["status", "-o", "json"]);
        let all: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let targets = all["targets"].as_array().cloned().unwrap_or_default();
        targets.iter().filter(|one| one["revision"] == revision && one["sync"] == "Synced").count()
            == APPS + 1
    };
    world.holds("all are synced", |world| all(world, &first));
    let asked = || {
        let requests = server.requests();
        let lists = requests.iter().filter(|request| request.method == "GET").count();
        (lists, requests.len() - lists)
    };
    // A greeting; a list of one reference, and a fetch.
    assert_eq!(asked(), (1, 2));
    let second = world.repo.commit(&[("app/a.yaml", &config_map("a", "2"))], "second").unwrap();
    assert_eq!(deliver(&world, &server, &second, SECRET).0, 202);
    world.holds("all are at the new commit", |world| all(world, &second));
    assert_eq!(asked(), (1, 4), "the server is not greeted again");
}

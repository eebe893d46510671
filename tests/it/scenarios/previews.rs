//! An environment for each pull request: they come and go with the requests, and stay where nobody knows.

use super::custom::path;
use super::forge::{Failure, Forge, TOKEN, sha};
use super::governed::{Governed, condition, is};
use super::ground::{Ground, scenarios};
use super::harness::{World, config_map};
use serde_json::{Value, json};
use std::cell::Cell;
use std::fs;
use std::time::Duration;

scenarios![
    previews_come_and_go_with_their_requests,
    a_forge_that_fails_takes_no_preview_away_also_over_a_restart,
    what_is_missing_and_not_known_to_be_closed_is_held,
    over_the_quota_requests_wait_and_old_ones_have_none,
    a_request_that_the_forge_tells_of_is_looked_at_at_once,
    the_token_comes_from_a_secret_and_the_resource_says_how_it_stands,
];

/// What a preview is made from: a chart, which says what the request says.
pub(super) const TEMPLATE: &str = "  template:\n    metadata: {name: 'preview-{pull.number}'}\n    spec:\n      repository: config\n      environments: [test]\n      deletionPolicy: Delete\n      helm:\n        chart: charts/preview\n        values: {name: 'p{pull.number}-{pull.branch_slug}', title: '{pull.title}', commit: '{pull.head_sha}'}\n";

/// A world with a forge, and an AppSet of the requests with the label `preview`.
struct Previews {
    world: World,
    forge: Forge,
}

impl Previews {
    fn new(ground: Ground, hint: &str) -> Self {
        let previews = Self { world: World::new(ground, hint), forge: Forge::start() };
        commit_chart(&previews.world);
        fs::write(previews.world.path("token"), TOKEN).unwrap();
        previews.configure("");
        previews
    }

    /// Writes the configuration, with more in the generator.
    fn configure(&self, more: &str) {
        self.configure_asking("200ms", more);
    }

    /// The same for a forge that is asked after each interval.
    fn configure_asking(&self, interval: &str, more: &str) {
        let set = format!(
            "---\napiVersion: trueup.dev/v1alpha1\nkind: AppSet\nmetadata: {{name: previews}}\nspec:\n  generators:\n  - pullRequests:\n      gitea: {{owner: acme, repo: shop, api: '{}'}}\n      \
             labels: [preview]\n      interval: {interval}\n      credentials: {{bearerToken: {{file: token}}}}{more}\n{TEMPLATE}",
            self.forge.url()
        );
        self.world.write_configuration(&(self.world.configuration("", self.world.namespace.name()) + &set));
    }

    fn makes(&self, names: &[&str]) {
        self.world.holds(&format!("the Apps are {names:?}"), |world| world.app_set()["apps"] == json!(names));
    }

    fn data(&self, name: &str) -> Value {
        self.world.api.find(&self.world.config_map(name)).unwrap().unwrap_or_default()["data"].clone()
    }
}

pub(super) fn commit_chart(world: &World) {
    let template = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Values.name }}}\ndata: {title: {{ .Values.title | quote }}, commit: {{ .Values.commit | quote }}}\n";
    let chart = "apiVersion: v2\nname: preview\nversion: 1.0.0\n";
    let files = [
        ("app/a.yaml", &*config_map("a", "1")),
        ("charts/preview/Chart.yaml", chart),
        ("charts/preview/templates/a.yaml", template),
    ];
    world.repo.commit(&files, "first").unwrap();
}

fn previews_come_and_go_with_their_requests(ground: Ground) {
    let mut previews = Previews::new(ground, "previews");
    previews.forge.open(1, "feature/Login", 'a');
    previews.forge.set(1, "/title", json!("It's {{ .Values.x }}\nkind: Secret"));
    previews.world.start();
    previews.world.is_synced("preview-1");
    let wanted = json!({"title": "It's { { .Values.x } } kind: Secret", "commit": sha('a')});
    assert_eq!(previews.data("p1-feature-login"), wanted);

    // More than a page of them; those that are not meant, and one from a fork.
    for number in 2..=4 {
        previews.forge.open(number, "topic", 'b');
    }
    previews.forge.open_from_fork(5);
    previews.forge.open(6, "topic", 'b');
    previews.forge.set(6, "/labels", json!([]));
    previews.makes(&["preview-1", "preview-2", "preview-3", "preview-4"]);
    previews.world.until_set("Made", "#5 from forks, which `forks: true` would allow");
    previews.world.is_synced("preview-4");
    // What did not change is not sent again, once all that changed was.
    let last = Cell::new(previews.forge.answers());
    previews.world.holds("three pages are asked for twice, and none is sent", |_| {
        let (sent, unchanged) = previews.forge.answers();
        if sent != last.get().0 {
            last.set((sent, unchanged));
        }
        unchanged >= last.get().1 + 6
    });

    // A push, and requests that are closed: more of them than maxRemoved would let go.
    previews.forge.push(1, 'c');
    previews
        .world
        .holds("the new commit is there", |_| previews.data("p1-feature-login")["commit"] == json!(sha('c')));
    for number in [2, 3, 4] {
        previews.world.is_synced(&format!("preview-{number}"));
        assert!(previews.world.has(&format!("p{number}-topic")));
    }
    for number in [2, 3, 4] {
        previews.forge.close(number);
    }
    previews.makes(&["preview-1"]);
    previews.world.holds("what they applied is gone", |world| {
        [2, 3, 4].iter().all(|number| !world.has(&format!("p{number}-topic")))
    });
    previews.forge.set(3, "/state", json!("open"));
    previews.makes(&["preview-1", "preview-3"]);
    previews.world.holds("it is there again", |world| world.has("p3-topic"));
    assert!(previews.world.has("p1-feature-login"));

    // A command that works alone asks the forge as well.
    previews.world.terminate();
    let diff = previews.world.alone(&["diff", "preview-1"]);
    assert_eq!(diff.status.code(), Some(0), "{}", String::from_utf8_lossy(&diff.stderr));
}

fn a_forge_that_fails_takes_no_preview_away_also_over_a_restart(ground: Ground) {
    let mut previews = Previews::new(ground, "previews-fail");
    for number in 1..=3 {
        previews.forge.open(number, "topic", 'a');
    }
    previews.world.start();
    let all = ["preview-1", "preview-2", "preview-3"];
    previews.makes(&all);
    for app in all {
        previews.world.is_synced(app);
    }
    let place = "spec.generators[0].pullRequests: ";
    for (failure, words) in [
        (Failure::Status(401), "the server answered 401 Unauthorized; check the token"),
        (Failure::Status(404), "the server answered 404 Not Found"),
        (Failure::Status(500), "the server answered 500 Internal Server Error"),
        (Failure::Malformed, "the answer cannot be read"),
        (Failure::LaterPages, "(page 2): the server answered 502 Bad Gateway"),
    ] {
        previews.forge.fail(Some(failure));
        let message = previews.world.until_set("Failed", words);
        assert!(message.starts_with(place), "{message}");
        assert_eq!(previews.world.app_set()["apps"], json!(all));
        previews.forge.fail(None);
        previews.world.until_set("Made", "");
    }
    previews.forge.fail(Some(Failure::Status(403)));
    previews.world.until_set("Failed", "403 Forbidden");
    previews.world.terminate();
    // What happens while nobody looks.
    previews.forge.close(1);
    previews.forge.close(2);
    previews.world.start();
    previews.world.until_set("Failed", "403 Forbidden");
    assert!(all.iter().all(|app| previews.world.has_target(app)));
    previews.forge.fail(None);
    previews.makes(&["preview-3"]);
    previews.world.holds("their objects are gone", |world| !world.has("p1-topic") && !world.has("p2-topic"));
    assert!(previews.world.has("p3-topic"));
}

fn what_is_missing_and_not_known_to_be_closed_is_held(ground: Ground) {
    let mut previews = Previews::new(ground, "previews-missing");
    for number in 1..=3 {
        previews.forge.open(number, "topic", 'a');
    }
    previews.world.start();
    previews.makes(&["preview-1", "preview-2", "preview-3"]);
    // Another filter, or a token that sees less: nobody said that they are closed.
    previews.forge.set(1, "/labels", json!([]));
    previews.world.holds("one may go", |world| world.app_set()["apps"] == json!(["preview-2", "preview-3"]));
    previews.forge.fail(Some(Failure::Status(500)));
    previews.world.until_set("Failed", "500");
    previews.forge.forget(2);
    previews.forge.set(3, "/labels", json!([{"name": "other"}]));
    previews.forge.fail(None);
    previews.world.until_set("Held", "2 of 2 Apps would go (preview-2, preview-3)");
    assert!(previews.world.has_target("preview-2") && previews.world.has_target("preview-3"));
    // Of one of them it is known now.
    previews.forge.close(3);
    previews.makes(&[]);
}

fn a_request_that_the_forge_tells_of_is_looked_at_at_once(ground: Ground) {
    let mut previews = Previews::new(ground, "previews-told");
    fs::write(previews.world.path("secret"), "shared\n").unwrap();
    previews.configure_asking("1h", "\n      webhook: {secret: {file: secret}}");
    previews.world.start();
    previews.world.until_set("Made", "");
    previews.makes(&[]);
    let answers = previews.forge.answers();

    previews.forge.open(1, "topic", 'a');
    let address = previews.world.address();
    assert_eq!(previews.forge.tell(1, &address, "a guess"), 401);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(previews.forge.answers(), answers, "nobody asked");
    assert_eq!(previews.world.app_set()["apps"], json!([]));
    assert_eq!(previews.forge.tell(1, &address, "shared"), 202);
    previews.makes(&["preview-1"]);
    previews.world.is_synced("preview-1");

    // It is told before the list shows it.
    previews.forge.tell_later(1, &address, "shared", 'b', || std::thread::sleep(Duration::from_millis(1500)));
    previews
        .world
        .holds("the new commit is there", |_| previews.data("p1-topic")["commit"] == json!(sha('b')));

    previews.forge.close(1);
    assert_eq!(previews.forge.tell(1, &address, "shared"), 202);
    previews.makes(&[]);
    previews.world.holds("what it applied is gone", |world| !world.has("p1-topic"));
    // An old delivery costs a question, and says nothing.
    assert_eq!(previews.forge.tell(1, &address, "shared"), 202);
    previews.makes(&[]);
}

fn over_the_quota_requests_wait_and_old_ones_have_none(ground: Ground) {
    let mut previews = Previews::new(ground, "previews-quota");
    previews.configure("\n      quota: 2");
    for number in 1..=4 {
        previews.forge.open(number, "topic", 'a');
    }
    previews.world.start();
    previews.makes(&["preview-1", "preview-2"]);
    previews.world.until_set("Made", "#3, #4 over the quota of 2: waiting until others are closed");
    previews.forge.close(1);
    previews.makes(&["preview-2", "preview-3"]);
    previews.world.until_set("Made", "#4 over the quota of 2");
    previews.world.is_synced("preview-2");

    // Each was pushed to long ago; a push gives another time.
    previews.configure("\n      timeToLive: 7days");
    previews.world.until_set("Made", "#2, #3, #4 without a push for 7days");
    previews.makes(&[]);
    previews
        .world
        .holds("what they applied is gone", |world| !world.has("p2-topic") && !world.has("p3-topic"));
    previews.forge.push(3, 'b');
    previews.forge.set(3, "/updated_at", json!("2100-01-01T00:00:00Z"));
    previews.makes(&["preview-3"]);
    previews.world.holds("it is there again", |_| previews.data("p3-topic")["commit"] == json!(sha('b')));
}

fn the_token_comes_from_a_secret_and_the_resource_says_how_it_stands(ground: Ground) {
    let mut governed = Governed::new(ground, "previews-resource");
    let forge = Forge::start();
    commit_chart(&governed.world);
    forge.open(1, "topic", 'a');
    forge.open(2, "topic", 'a');
    let template = trueup_model::yaml::parse(TEMPLATE).unwrap()[0].to_value()["template"].clone();
    let set = json!({
        "generators": [{"pullRequests": {
            "gitea": {"owner": "acme", "repo": "shop", "api": forge.url()},
            "interval": "300ms",
            "secretRef": {"name": "forge"},
        }}],
        "template": template,
    });
    governed.apply("appsets", "AppSet", "previews", &set);
    governed.start();
    governed.until("appsets", "previews", "the Secret is missing", |set| {
        let ready = condition(set, "Ready");
        ready["reason"] == "SourceFailed" && ready["message"].as_str().unwrap_or_default().contains("forge")
    });
    let secrets = format!("/api/v1/namespaces/{}/secrets", governed.world.namespace.name());
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "forge"}, "stringData": {"token": TOKEN}});
    governed.world.api.create(&secrets, &secret).unwrap();
    let made = governed.until("appsets", "previews", "Ready", |set| is(set, "Ready", "True"));
    assert_eq!(made["status"]["names"], json!(["preview-1", "preview-2"]));
    governed.world.is_synced("preview-1");
    governed.world.is_synced("preview-2");

    // Whoever has no memory of his own knows by the status which requests there were.
    governed.world.terminate();
    super::harness::forget(&governed.world.state());
    forge.close(1);
    forge.close(2);
    governed.start();
    governed.until("appsets", "previews", "both are gone", |set| {
        set["status"]["apps"] == 0 && is(set, "Ready", "True")
    });
    governed.world.holds("with what they applied", |world| !world.has("p1-topic") && !world.has("p2-topic"));
    let elsewhere = json!({"spec": {"generators": [{"pullRequests": {
        "gitea": {"owner": "acme", "repo": "shop", "api": forge.url()},
        "secretRef": {"name": "forge", "namespace": "kube-system"},
    }}]}});
    let refused = governed.world.api.merge(&path(&governed.world, "appsets", "previews"), &elsewhere);
    let why = format!("{:#}", refused.unwrap_err());
    assert!(why.contains("a resource uses Secrets of its own namespace only"), "{why}");
}

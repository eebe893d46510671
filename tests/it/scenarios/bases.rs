//! Kustomizations that name other repositories: pinned, shown, followed, and kept while their server is away.

use super::ground::{Ground, scenarios};
use super::harness::{World, config_map};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use trueup_testkit::{Access, GitRepo, GitServer, Transport};

scenarios![
    a_base_elsewhere_is_pinned_and_rendered_again_when_its_branch_moves,
    a_base_whose_server_is_away_stays_where_it_was_also_over_a_restart,
    a_base_that_cannot_be_read_is_named_with_file_line_and_url_and_changes_nothing,
    a_base_has_the_credentials_of_the_repository_on_its_server_and_is_asked_once_for_all_targets,
    a_folder_a_difference_and_a_single_run_are_rendered_with_their_bases,
    a_file_behind_a_url_is_pinned_by_its_content_and_sent_only_when_it_changed,
    a_base_with_the_url_of_a_suspended_repository_stays_where_it_is_also_over_a_restart,
    a_push_that_a_forge_tells_of_moves_the_bases_with_its_url,
    a_folder_of_the_machine_may_name_another_and_a_base_behind_a_url_may_not,
];

/// A repository with a base `deploy` of one ConfigMap, and the server that gives it out.
struct Elsewhere {
    repo: GitRepo,
    server: GitServer,
}

impl Elsewhere {
    fn new(access: Access) -> Self {
        let repo = GitRepo::create().unwrap();
        let server = GitServer::start(&repo.served_path(), access, Transport::Plain).unwrap();
        Self { repo, server }
    }

    /// Commits the base with a value; gives the commit.
    fn commit(&self, value: &str) -> String {
        let base = "resources: [../common]\nnamePrefix: base-\n";
        let files = [
            ("deploy/kustomization.yaml", base),
            ("common/kustomization.yaml", "resources: [a.yaml]\n"),
            ("common/a.yaml", &config_map("a", value)),
        ];
        self.repo.commit(&files, value).unwrap()
    }

    fn url(&self) -> String {
        self.server.url("config.git")
    }
}

/// Commits `app` as an overlay of the base.
fn overlay(world: &World, base: &str) -> String {
    let kustomization = format!("nameSuffix: -app\nresources:\n- {base}\n");
    world.repo.commit(&[("app/kustomization.yaml", kustomization.as_str())], base).unwrap()
}

fn value(world: &World) -> Value {
    let found = world.api.find(&world.config_map("base-a-app")).unwrap();
    found.map_or(Value::Null, |live| live["data"]["value"].clone())
}

fn pinned(status: &Value, revision: &str) -> bool {
    status["bases"][0]["revision"] == revision && status["sync"] == "Synced"
}

fn a_base_elsewhere_is_pinned_and_rendered_again_when_its_branch_moves(ground: Ground) {
    let mut world = World::new(ground, "bases");
    let elsewhere = Elsewhere::new(Access::Anyone);
    let first = elsewhere.commit("1");
    let commit = overlay(&world, &format!("{}//deploy?ref=main", elsewhere.url()));
    world.start();
    let status = world.synced(&commit);
    assert_eq!(value(&world), "1");
    assert_eq!(status["bases"], json!([{"url": elsewhere.url(), "ref": "main", "revision": first}]));
    let history = world.trueup(&["history", "app@test", "-o", "json"]).stdout;
    let history: Value = serde_json::from_slice(&history).unwrap();
    assert_eq!(history["history"][0]["bases"], status["bases"]);

    let second = elsewhere.commit("2");
    world.until("the branch's new commit is applied", |status| pinned(status, &second));
    assert_eq!(value(&world), "2");

    let before = world.api.get(&world.config_map("base-a-app")).unwrap();
    let third = elsewhere.repo.commit(&[("README.md", "nothing of the base")], "third").unwrap();
    world.until("the pin moves along", |status| pinned(status, &third));
    let after = world.api.get(&world.config_map("base-a-app")).unwrap();
    assert_eq!(before["metadata"]["resourceVersion"], after["metadata"]["resourceVersion"]);
    assert_eq!(world.status("app@test").unwrap()["revision"], commit.as_str());
}

fn a_base_whose_server_is_away_stays_where_it_was_also_over_a_restart(ground: Ground) {
    let mut world = World::new(ground, "bases-away");
    let elsewhere = Elsewhere::new(Access::Anyone);
    let first = elsewhere.commit("1");
    let base = format!("{}//deploy?ref=main", elsewhere.url());
    world.start();
    world.synced(&overlay(&world, &base));
    elsewhere.server.pause().unwrap();
    let says_so = |status: &Value| {
        let message = status["message"].as_str().unwrap_or_default();
        pinned(status, &first)
            && message.contains("stays at")
            && message.contains("cannot reach")
            && status["bases"][0]["message"].as_str().is_some_and(|message| message.contains("cannot reach"))
    };
    world.until("a warning", says_so);
    world.kill();
    let extra =
        "configMapGenerator: [{name: extra, literals: [a=b], options: {disableNameSuffixHash: true}}]\n";
    let kustomization = format!("nameSuffix: -app\nresources:\n- {base}\n{extra}");
    let second = world.repo.commit(&[("app/kustomization.yaml", kustomization.as_str())], "more").unwrap();
    world.start();
    world.synced(&second);
    world.until("the same warning", says_so);
    assert!(world.api.find(&world.config_map("extra-app")).unwrap().is_some());

    let third = elsewhere.commit("3");
    elsewhere.server.resume().unwrap();
    world.until("the new commit, without a warning", |status| {
        pinned(status, &third) && status["message"] == ""
    });
    assert_eq!(value(&world), "3");
}

fn a_base_that_cannot_be_read_is_named_with_file_line_and_url_and_changes_nothing(ground: Ground) {
    let mut world = World::new(ground, "bases-wrong");
    let elsewhere = Elsewhere::new(Access::Anyone);
    elsewhere.commit("1");
    elsewhere.repo.tag("v1.0.0").unwrap();
    let good = overlay(&world, &format!("{}//deploy?ref=v1.0.0", elsewhere.url()));
    world.start();
    world.synced(&good);
    let failed = |wanted: &[&str]| {
        let status = world.until("the error", |status| {
            status["sync"] == "Failed"
                && wanted.iter().all(|text| status["message"].to_string().contains(text))
        });
        assert_eq!((&status["revision"], value(&world)), (&json!(good), json!("1")));
    };
    overlay(&world, &format!("{}//deploy?ref=v1.0.1", elsewhere.url()));
    failed(&[
        "app/kustomization.yaml:3: resources",
        &elsewhere.url(),
        "no tag or branch v1.0.1",
        "near matches: v1.0.0",
    ]);
    overlay(&world, &format!("{}//nowhere?ref=v1.0.0", elsewhere.url()));
    failed(&["app/kustomization.yaml:3: resources", &format!("{}@v1.0.0//nowhere", elsewhere.url())]);
    elsewhere.server.pause().unwrap();
    overlay(&world, &format!("{}//deploy?ref=other", elsewhere.url()));
    failed(&["app/kustomization.yaml:3: resources", &elsewhere.url(), "cannot reach"]);
    overlay(&world, &elsewhere.repo.file_url());
    world.until("a folder of the machine is fine, but has no kustomization", |status| {
        status["message"].to_string().contains("there is no kustomization file")
    });
}

fn a_base_has_the_credentials_of_the_repository_on_its_server_and_is_asked_once_for_all_targets(
    ground: Ground,
) {
    let mut world = World::new(ground, "bases-secret");
    let (user, password) = ("me".to_owned(), "hush".to_owned());
    let elsewhere = Elsewhere::new(Access::Basic { user, password });
    elsewhere.commit("1");
    let commit = overlay(&world, &format!("{}//deploy", elsewhere.url()));
    world.start();
    world.until("no credentials", |status| status["message"].to_string().contains("refuses the credentials"));

    std::fs::write(world.path("password"), "hush\n").unwrap();
    let sibling = elsewhere.server.url("other.git");
    let namespace = world.namespace.name().to_owned();
    let second = "---\napiVersion: trueup.dev/v1alpha1\nkind: App\nmetadata: {name: two}\nspec: {repository: config, path: app, environments: [test]}\n";
    let shared = format!(
        "---\napiVersion: trueup.dev/v1alpha1\nkind: Repository\nmetadata: {{name: sibling}}\nspec: {{url: '{sibling}', interval: 1h, suspend: true, credentials: {{username: {{value: me}}, password: {{file: password}}}}}}\n"
    );
    world.write_configuration(&format!("{}{shared}", world.configuration("", &namespace)));
    world.synced(&commit);
    let before = elsewhere.server.request_count();
    world.write_configuration(&format!("{}{shared}{second}", world.configuration("", &namespace)));
    world.holds("the other target is there, too", |world| {
        world
            .status("two@test")
            .is_some_and(|status| status["bases"] == world.status("app@test").unwrap()["bases"])
    });
    assert_eq!(elsewhere.server.request_count(), before, "it is asked once an hour, and mirrored once");
}

fn a_folder_a_difference_and_a_single_run_are_rendered_with_their_bases(ground: Ground) {
    let world = World::new(ground, "bases-once");
    let elsewhere = Elsewhere::new(Access::Anyone);
    let first = elsewhere.commit("1");
    // A base may be at a fixed commit, and a tag may name the same one.
    let commit = overlay(&world, &format!("{}//deploy?ref={first}", elsewhere.url()));
    elsewhere.commit("2");
    let text = |arguments: &[&str]| {
        let output = world.alone(arguments);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), errors)
    };
    let folder = world.repo.clone_path().join("app");
    let (code, rendered, errors) = text(&["render", folder.to_str().unwrap()]);
    assert!(
        code == Some(0) && rendered.contains("name: base-a-app") && rendered.contains("value: \"1\""),
        "{rendered}{errors}"
    );
    assert_eq!(text(&["render", "app@test"]).1, rendered);
    let (code, difference, errors) = text(&["diff", "app@test"]);
    assert!(code == Some(1) && difference.contains("base-a-app"), "{difference}{errors}");
    assert_eq!(text(&["run", "--once", "--timeout", "1m"]).0, Some(0));
    let (_, status, _) = text(&["status", "-o", "json"]);
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["targets"][0]["revision"], commit.as_str());
    assert_eq!(
        status["targets"][0]["bases"],
        json!([{"url": elsewhere.url(), "ref": first, "revision": first}])
    );
    assert_eq!(value(&world), "1");
}

/// Gives out files over HTTP, each with a tag, and counts how often one was sent.
struct Files {
    address: String,
    held: Arc<Mutex<HashMap<String, (String, usize)>>>,
}

impl Files {
    fn serve() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let held: Arc<Mutex<HashMap<String, (String, usize)>>> = Arc::default();
        let shared = held.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().filter_map(Result::ok) {
                let _ = answer(&stream, &shared);
            }
        });
        Self { address, held }
    }

    fn put(&self, path: &str, content: &str) {
        self.held.lock().unwrap().insert(path.to_owned(), (content.to_owned(), 0));
    }

    fn take(&self, path: &str) {
        self.held.lock().unwrap().remove(path);
    }

    fn sent(&self, path: &str) -> usize {
        self.held.lock().unwrap()[path].1
    }
}

fn answer(mut stream: &TcpStream, held: &Mutex<HashMap<String, (String, usize)>>) -> std::io::Result<()> {
    let lines: Vec<String> =
        BufReader::new(stream).lines().map_while(|line| line.ok().filter(|line| !line.is_empty())).collect();
    let path = lines.first().and_then(|line| line.split(' ').nth(1)).unwrap_or_default();
    let mut held = held.lock().unwrap();
    let Some((content, sent)) = held.get_mut(path) else {
        return write!(stream, "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    };
    let tag = format!("\"{}\"", content.len());
    if lines.contains(&format!("if-none-match: {tag}")) {
        return write!(stream, "HTTP/1.1 304 Not Modified\r\nconnection: close\r\n\r\n");
    }
    *sent += 1;
    write!(
        stream,
        "HTTP/1.1 200 OK\r\netag: {tag}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{content}",
        content.len()
    )
}

fn a_file_behind_a_url_is_pinned_by_its_content_and_sent_only_when_it_changed(ground: Ground) {
    let mut world = World::new(ground, "bases-file");
    let files = Files::serve();
    let (path, url) =
        ("/install.yaml?token=hush", format!("http://{}/install.yaml?token=hush", files.address));
    files.put(path, &config_map("base-a", "1"));
    let first = overlay(&world, &url);
    world.start();
    let status = world.synced(&first);
    let pin = status["bases"][0]["revision"].as_str().unwrap().to_owned();
    assert_eq!((pin.len(), value(&world)), (64, json!("1")));
    assert!(!status.to_string().contains("hush"), "{status}");
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert_eq!(files.sent(path), 1, "it is asked for again and again, and sent once");

    files.put(path, &config_map("base-a", "22"));
    let moved = |status: &Value| status["sync"] == "Synced" && status["bases"][0]["revision"] != pin.as_str();
    world.until("the new content is applied", moved);
    assert_eq!(value(&world), "22");

    files.take(path);
    let says_so = |status: &Value| moved(status) && status["message"].to_string().contains("404");
    world.until("a warning", says_so);
    world.kill();
    let kustomization = format!("nameSuffix: -app\nnamePrefix: ''\nresources: ['{url}']\n");
    let second = world.repo.commit(&[("app/kustomization.yaml", kustomization.as_str())], "again").unwrap();
    world.start();
    world.synced(&second);
    world.until("the same after a restart", says_so);
}

/// A Repository with the URL of a base.
fn beside(world: &World, elsewhere: &Elsewhere, spec: &str) -> String {
    let configuration = world.configuration("", world.namespace.name());
    let url = elsewhere.url();
    format!(
        "{configuration}---\napiVersion: trueup.dev/v1alpha1\nkind: Repository\nmetadata: {{name: beside}}\nspec: {{url: '{url}', {spec}}}\n"
    )
}

fn a_base_with_the_url_of_a_suspended_repository_stays_where_it_is_also_over_a_restart(ground: Ground) {
    let mut world = World::new(ground, "bases-held");
    let elsewhere = Elsewhere::new(Access::Anyone);
    let first = elsewhere.commit("1");
    world.write_configuration(&beside(&world, &elsewhere, "interval: 200ms, suspend: true"));
    let commit = overlay(&world, &format!("{}//deploy?ref=main", elsewhere.url()));
    world.start();
    world.synced(&commit);
    assert_eq!(value(&world), "1", "one that was never read is read once");
    let second = elsewhere.commit("2");
    let synced = |world: &World| {
        assert_eq!(world.trueup(&["sync", "app@test", "--wait", "--timeout", "1m"]).status.code(), Some(0));
        assert!(pinned(&world.status("app@test").unwrap(), &first));
        assert_eq!(value(world), "1");
    };
    synced(&world);
    world.kill();
    world.start();
    world.until("it is where it was", |status| pinned(status, &first));
    synced(&world);

    world.write_configuration(&beside(&world, &elsewhere, "interval: 200ms"));
    world.until("it goes on", |status| pinned(status, &second));
    assert_eq!(value(&world), "2");
    world.write_configuration(&beside(&world, &elsewhere, "interval: 200ms, suspend: true"));
    world.holds("it is suspended", |world| {
        elsewhere.commit("3");
        let asked = elsewhere.server.request_count();
        std::thread::sleep(std::time::Duration::from_secs(1));
        elsewhere.server.request_count() == asked && world.status("app@test").is_some()
    });
}

fn a_push_that_a_forge_tells_of_moves_the_bases_with_its_url(ground: Ground) {
    let mut world = World::new(ground, "bases-hook");
    let elsewhere = Elsewhere::new(Access::Anyone);
    elsewhere.commit("1");
    std::fs::write(world.path("secret"), "shared").unwrap();
    let spec = "interval: 1h, webhook: {secret: {file: secret}}";
    world.write_configuration(&beside(&world, &elsewhere, spec));
    let commit = overlay(&world, &format!("{}//deploy?ref=main", elsewhere.url()));
    world.start();
    world.synced(&commit);
    let second = elsewhere.commit("2");
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert_eq!(value(&world), "1", "nobody asked");
    let (code, _) = super::hooks::deliver(&world, &elsewhere.server, &second, "shared");
    assert_eq!(code, 202);
    world.until("the push is applied", |status| pinned(status, &second));
    assert_eq!(value(&world), "2");
}

fn a_folder_of_the_machine_may_name_another_and_a_base_behind_a_url_may_not(ground: Ground) {
    let mut world = World::new(ground, "bases-nested");
    let (folder, inner) = (GitRepo::create().unwrap(), GitRepo::create().unwrap());
    inner
        .commit(
            &[("kustomization.yaml", "resources: [a.yaml]\n"), ("a.yaml", &config_map("base-a", "1"))],
            "inner",
        )
        .unwrap();
    let outer = format!("resources:\n- {}\n", inner.file_url());
    folder.commit(&[("kustomization.yaml", &outer)], "outer").unwrap();
    let good = overlay(&world, &folder.file_url());
    world.start();
    world.synced(&good);
    assert_eq!(value(&world), "1");
    let two = world.status("app@test").unwrap()["bases"].as_array().unwrap().len();
    assert_eq!(two, 2, "both are pinned");

    let elsewhere = Elsewhere::new(Access::Anyone);
    elsewhere.repo.commit(&[("kustomization.yaml", &outer)], "outer").unwrap();
    overlay(&world, &elsewhere.url());
    let refused = world.until("the error", |status| status["sync"] == "Failed");
    let message = refused["message"].to_string();
    assert!(message.contains(&inner.file_url()) && message.contains("may not name"), "{message}");
    assert_eq!((&refused["revision"], value(&world)), (&json!(good), json!("1")));
}

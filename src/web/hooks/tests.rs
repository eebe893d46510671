//! Real requests, with bodies as the forges document them.

use super::super::tests::{Running, running};
use super::*;
use crate::config::PullRequests;
use crate::source::Secret;
use crate::sync::view::Request;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::Client;
use serde_json::{Value, json};

const NEW: &str = "0d1a26e67d8f5eaf1f6ba5c57fc3c7d91ac0fd1c";
const NONE: &str = "0000000000000000000000000000000000000000";
const SECRET: &str = "It's a Secret to Everybody";

fn hook(repository: &str, url: &str, reference: Reference, key: HookKey) -> Hook {
    let followed = Followed::Repository { name: repository.into(), reference };
    Hook { followed, urls: vec![url.into()], key }
}

/// A generator of an AppSet.
fn generator(app_set: &str, spec: &Value, key: HookKey) -> Hook {
    let spec: PullRequests = serde_json::from_value(spec.clone()).unwrap();
    let followed =
        Followed::PullRequests { app_set: app_set.into(), place: "spec.generators[0].pullRequests".into() };
    Hook { followed, urls: vec![spec.address().unwrap().web_url()], key }
}

fn known() -> HookKey {
    HookKey::Known(Secret::new(SECRET))
}

fn main() -> Reference {
    Reference::Branch("main".into())
}

fn sha256(secret: &str, body: &str) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), body.as_bytes());
    tag.as_ref().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

/// What came of a delivery: status, body, and the hints that the reconciler was given.
async fn post(running: &mut Running, forge: &str, headers: &Headers, body: &str) -> (u16, Value, Vec<Hint>) {
    let (code, body) = deliver(running, forge, headers, body).await;
    let mut hints = Vec::new();
    while let Ok(request) = running.requests.try_recv() {
        let Request::Ask(more, By::Person) = request else { panic!("{request:?}") };
        hints.extend(more);
    }
    (code, body, hints)
}

/// The same of a delivery about a pull request: which AppSets are told what.
async fn post_pull(
    running: &mut Running,
    forge: &str,
    headers: &Headers,
    body: &str,
) -> (u16, Value, Vec<(String, Promise)>) {
    let (code, body) = deliver(running, forge, headers, body).await;
    let mut hints = Vec::new();
    while let Ok(request) = running.requests.try_recv() {
        let Request::AskForge(more, By::Person) = request else { panic!("{request:?}") };
        hints.extend(more.into_iter().map(|hint| (hint.app_set, hint.promised)));
    }
    (code, body, hints)
}

async fn deliver(running: &Running, forge: &str, headers: &Headers, body: &str) -> (u16, Value) {
    let mut request = Client::new().post(format!("{}/hooks/{forge}", running.url)).body(body.to_owned());
    request = request.header("content-type", "application/json; charset=utf-8");
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let answer = request.send().await.unwrap();
    let code = answer.status().as_u16();
    let body = answer.text().await.unwrap();
    let body = serde_json::from_str(&body).unwrap_or_else(|_| panic!("{forge}: {code} {body}"));
    (code, body)
}

fn github_push(reference: &str) -> String {
    json!({"ref": reference, "before": NONE, "after": NEW, "created": false, "deleted": false, "forced": false,
        "repository": {"id": 1, "name": "config", "full_name": "Octo-Org/config", "private": true,
            "html_url": "https://github.com/Octo-Org/config", "url": "https://github.com/Octo-Org/config",
            "git_url": "git://github.com/Octo-Org/config.git", "ssh_url": "git@github.com:Octo-Org/config.git",
            "clone_url": "https://github.com/Octo-Org/config.git", "default_branch": "main"},
        "pusher": {"name": "octocat", "email": "octocat@example.com"}, "sender": {"login": "octocat"},
        "commits": [{"id": NEW, "message": "Change", "added": [], "removed": [], "modified": ["app/a.yaml"]}]})
    .to_string()
}

fn gitea_push() -> String {
    json!({"ref": "refs/heads/main", "before": NONE, "after": NEW, "compare_url": "", "commits": [], "total_commits": 1,
        "repository": {"id": 1, "full_name": "shop/config", "html_url": "https://git.example.com/shop/config",
            "ssh_url": "ssh://git@git.example.com:2222/shop/config.git",
            "clone_url": "https://git.example.com/shop/config.git", "default_branch": "main"},
        "pusher": {"login": "ada"}, "sender": {"login": "ada"}})
    .to_string()
}

fn gitlab_push() -> String {
    json!({"object_kind": "push", "event_name": "push", "before": NONE, "after": NEW, "ref": "refs/heads/main",
        "ref_protected": true, "checkout_sha": NEW, "user_id": 4, "project_id": 15,
        "project": {"id": 15, "name": "config", "web_url": "https://git.example.com/shop/config",
            "git_ssh_url": "git@git.example.com:shop/config.git", "git_http_url": "https://git.example.com/shop/config.git",
            "path_with_namespace": "shop/config", "default_branch": "main"},
        "commits": [], "total_commits_count": 1})
    .to_string()
}

fn bitbucket_cloud_push() -> String {
    json!({"actor": {}, "repository": {"type": "repository", "full_name": "shop/config", "name": "config",
            "links": {"self": {"href": "https://api.bitbucket.org/2.0/repositories/shop/config"},
                "html": {"href": "https://bitbucket.org/shop/config"}, "avatar": {"href": "https://bitbucket.org/x"}}},
        "push": {"changes": [
            {"new": {"type": "branch", "name": "other", "target": {"type": "commit", "hash": NONE}}, "old": null},
            {"new": {"type": "branch", "name": "main", "target": {"type": "commit", "hash": NEW}},
                "old": {"type": "branch", "name": "main", "target": {"hash": NONE}}, "created": false, "closed": false}]}})
    .to_string()
}

fn bitbucket_data_center_push() -> String {
    json!({"eventKey": "repo:refs_changed", "date": "2026-11-21T10:00:00+0000", "actor": {"name": "admin"},
        "repository": {"slug": "config", "id": 84, "name": "config", "scmId": "git", "state": "AVAILABLE",
            "project": {"key": "SHOP-2", "id": 84, "name": "shop", "public": false, "type": "NORMAL"}, "public": false},
        "changes": [{"ref": {"id": "refs/heads/main", "displayId": "main", "type": "BRANCH"}, "refId": "refs/heads/main",
            "fromHash": NONE, "toHash": NEW, "type": "UPDATE"}]})
    .to_string()
}

fn azure_push() -> String {
    json!({"subscriptionId": "00000000-0000-0000-0000-000000000000", "notificationId": 1, "id": "03c164c2",
        "eventType": "git.push", "publisherId": "tfs", "message": {"text": "pushed"},
        "resource": {"commits": [{"commitId": NEW}], "refUpdates": [{"name": "refs/heads/main", "oldObjectId": NONE, "newObjectId": NEW}],
            "repository": {"id": "278d5cd2", "name": "config", "url": "https://dev.azure.com/fabrikam/_apis/git/repositories/278d5cd2",
                "project": {"name": "Shop Floor"}, "defaultBranch": "refs/heads/main",
                "remoteUrl": "https://fabrikam@dev.azure.com/fabrikam/Shop%20Floor/_git/config"}, "pushId": 14},
        "resourceVersion": "1.0"})
    .to_string()
}

/// One Repository at each forge, whose webhooks share a secret.
fn repositories(secret: &str) -> Vec<Hook> {
    let at = |name, url| hook(name, url, main(), HookKey::Known(Secret::new(secret)));
    vec![
        at("github", "git@github.com:octo-org/config.git"),
        at("example", "https://git.example.com/shop/config"),
        at("bitbucket", "https://bitbucket.org/shop/config.git"),
        at("data-center", "ssh://git@bits.example.com:7999/shop-2/config.git"),
        at("azure", "git@ssh.dev.azure.com:v3/fabrikam/Shop%20Floor/config"),
        hook(
            "tags",
            "https://github.com/octo-org/config",
            Reference::Tag("v1".into()),
            HookKey::Known(Secret::new(secret)),
        ),
    ]
}

type Headers = Vec<(&'static str, String)>;

/// Forge, headers, body, and the Repository that is meant.
fn pushes() -> Vec<(&'static str, Headers, String, &'static str)> {
    let hub = |body: &str| format!("sha256={}", sha256(SECRET, body));
    let event = |name, event: &str| (name, event.to_owned());
    let github = github_push("refs/heads/main");
    let generic =
        json!({"repository": "https://git.example.com/shop/config.git", "ref": "main", "after": NEW})
            .to_string();
    let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("trueup:{SECRET}")));
    vec![
        (
            "github",
            vec![event("x-github-event", "push"), ("x-hub-signature-256", hub(&github))],
            github,
            "github",
        ),
        (
            "gitea",
            vec![event("x-gitea-event", "push"), ("x-gitea-signature", sha256(SECRET, &gitea_push()))],
            gitea_push(),
            "example",
        ),
        (
            "gitlab",
            vec![event("x-gitlab-event", "Push Hook"), event("x-gitlab-token", SECRET)],
            gitlab_push(),
            "example",
        ),
        (
            "bitbucket",
            vec![event("x-event-key", "repo:push"), ("x-hub-signature", hub(&bitbucket_cloud_push()))],
            bitbucket_cloud_push(),
            "bitbucket",
        ),
        (
            "bitbucket",
            vec![
                event("x-event-key", "repo:refs_changed"),
                ("x-hub-signature", hub(&bitbucket_data_center_push())),
            ],
            bitbucket_data_center_push(),
            "data-center",
        ),
        ("azure-devops", vec![("authorization", basic)], azure_push(), "azure"),
        ("generic", vec![("authorization", format!("Bearer {SECRET}"))], generic.clone(), "example"),
        ("generic", vec![("x-hub-signature-256", hub(&generic))], generic, "example"),
    ]
}

#[tokio::test]
async fn a_push_of_each_forge_is_a_hint_for_the_repository_that_follows_the_branch() {
    let mut running = running().await;
    running.board.listen(repositories(SECRET));
    for (forge, headers, body, meant) in pushes() {
        let (code, answer, hints) = post(&mut running, forge, &headers, &body).await;
        assert_eq!((code, &answer["repositories"]), (202, &json!([meant])), "{forge}: {answer}");
        assert_eq!(hints, [Hint { repository: meant.into(), promised: Some(NEW.into()) }], "{forge}");
        assert_eq!(
            post(&mut running, forge, &headers, &body).await.2,
            hints,
            "{forge}: sent again, the same hint"
        );
    }
}

#[tokio::test]
async fn a_delivery_that_does_not_know_the_secret_is_refused() {
    let mut running = running().await;
    running.board.listen(repositories("another secret"));
    for (forge, headers, body, _) in pushes() {
        let (code, answer, hints) = post(&mut running, forge, &headers, &body).await;
        assert_eq!((code, hints.len()), (401, 0), "{forge}: {answer}");
        assert!(answer["error"].as_str().unwrap().contains("does not know"), "{forge}: {answer}");
    }
    running.board.listen(repositories(SECRET));
    for (forge, headers, body, _) in pushes() {
        let changed = body.replace(NEW, &NEW.replace('0', "1"));
        let signed = headers.iter().any(|(name, _)| name.ends_with("signature") || name.ends_with("-256"));
        let (code, answer, _) = post(&mut running, forge, &headers, &changed).await;
        assert_eq!(code, if signed { 401 } else { 202 }, "{forge}: a signature is of one body: {answer}");
        let unproven: Headers = headers
            .into_iter()
            .filter(|(name, _)| name.ends_with("event") || name.ends_with("key"))
            .collect();
        let (code, answer, _) = post(&mut running, forge, &unproven, &body).await;
        assert_eq!(code, 401, "{forge}: {answer}");
        assert!(answer["error"].as_str().unwrap().contains("proves nothing"), "{forge}: {answer}");
    }
}

fn github(event: &str, body: &str) -> Headers {
    vec![
        ("x-github-event", event.to_owned()),
        ("x-hub-signature-256", format!("sha256={}", sha256(SECRET, body))),
    ]
}

#[tokio::test]
async fn what_is_not_configured_or_not_understood_is_refused_with_the_reason() {
    let mut running = running().await;
    let url = "https://github.com/octo-org/config";
    let push = github_push("refs/heads/main");
    let (code, answer, _) = post(&mut running, "github", &github("push", &push), &push).await;
    assert_eq!((code, &answer["error"]), (503, &json!("trueup is starting; send it again")));
    let unreadable = || HookKey::Unreadable("a file is missing".into());
    let elsewhere = "https://github.com/octo-org/elsewhere";
    for (hooks, forge, body, code, why) in [
        (
            vec![hook("c", url, main(), HookKey::Missing)],
            "github",
            push.as_str(),
            403,
            "no secret is configured",
        ),
        (vec![hook("c", url, main(), unreadable())], "github", &push, 503, "could not be read"),
        (
            vec![hook("c", elsewhere, main(), known())],
            "github",
            &push,
            404,
            "no Repository has the URL github.com/octo-org/config",
        ),
        (vec![], "github", &push, 404, "no Repository has the URL"),
        (vec![hook("c", url, main(), known())], "gitweb", &push, 404, "no forge is called gitweb"),
        (vec![hook("c", url, main(), known())], "github", "{", 400, "cannot be read"),
        (vec![hook("c", url, main(), known())], "github", "{}", 400, "the push names no ref"),
        (
            vec![hook("c", url, main(), known())],
            "github",
            r#"{"ref":"refs/heads/main"}"#,
            400,
            "names no repository",
        ),
    ] {
        running.board.listen(hooks);
        let (got, answer, hints) = post(&mut running, forge, &github("push", body), body).await;
        assert!(got == code && answer["error"].as_str().unwrap().contains(why), "{why}: {got} {answer}");
        assert!(hints.is_empty(), "{why}");
    }
}

#[tokio::test]
async fn what_concerns_nothing_that_is_followed_is_taken_and_ignored() {
    let mut running = running().await;
    running.board.listen(repositories(SECRET));
    let ping = json!({"zen": "Design for failure.", "hook_id": 1, "repository": {"html_url": "https://github.com/octo-org/config"}}).to_string();
    let organization =
        json!({"zen": "Design for failure.", "organization": {"login": "octo-org"}}).to_string();
    for (event, body, why) in [
        ("push", github_push("refs/heads/feature"), "at another reference"),
        ("push", github_push("refs/tags/main"), "at another reference"),
        ("issues", github_push("refs/heads/main"), "issues events are of no use"),
        ("ping", ping, "the webhook works"),
        ("ping", organization, "the webhook works"),
    ] {
        let (code, answer, hints) = post(&mut running, "github", &github(event, &body), &body).await;
        assert!(code == 202 && hints.is_empty(), "{event}: {code} {answer}");
        assert!(answer["message"].as_str().unwrap().contains(why), "{event}: {answer}");
    }
}

#[test]
fn a_push_concerns_who_follows_the_reference_that_moved() {
    let semver = Reference::Semver(">=1".parse().unwrap());
    for (followed, moved, default, follows_it) in [
        (main(), "refs/heads/main", None, true),
        (main(), "refs/heads/main2", None, false),
        (main(), "refs/tags/main", None, false),
        (main(), "", None, true),
        (Reference::Head, "refs/heads/trunk", Some("trunk"), true),
        (Reference::Head, "refs/heads/main", Some("trunk"), false),
        (Reference::Head, "refs/heads/main", None, true),
        (Reference::Tag("v1".into()), "refs/tags/v1", None, true),
        (Reference::Tag("v1".into()), "refs/tags/v2", None, false),
        (semver.clone(), "refs/tags/v2", None, true),
        (semver, "refs/heads/main", None, false),
        (Reference::Commit(NEW.into()), "refs/heads/main", None, false),
    ] {
        assert_eq!(follows(&followed, moved, default), follows_it, "{followed} {moved}");
    }
}

#[tokio::test]
async fn a_push_to_a_branch_that_only_apps_follow_is_told_with_the_name_of_the_repository() {
    let mut running = running().await;
    let url = "https://github.com/octo-org/config";
    let next = || Reference::Branch("next".into());
    running.board.listen(vec![hook("c", url, main(), known()), hook("c@branch/next", url, next(), known())]);
    let body = github_push("refs/heads/next");
    let (code, answer, hints) = post(&mut running, "github", &github("push", &body), &body).await;
    assert_eq!((code, &answer["repositories"]), (202, &json!(["c"])), "{answer}");
    assert_eq!(hints, [Hint { repository: "c@branch/next".to_owned(), promised: Some(NEW.to_owned()) }]);
}

#[tokio::test]
async fn a_body_has_a_largest_size_and_one_kind() {
    let mut running = running().await;
    running.board.listen(repositories(SECRET));
    let large = format!("{{\"x\": \"{}\"}}", "x".repeat(LARGEST));
    let (code, answer, _) = post(&mut running, "github", &github("push", &large), &large).await;
    assert_eq!(code, 413, "{answer}");
    let nothing = format!("{{\"x\": \"{}\"}}", "x".repeat(LARGEST_ABOUT_NOTHING));
    let (code, answer, _) = post(&mut running, "github", &github("ping", &nothing), &nothing).await;
    assert_eq!(code, 413, "{answer}");
    assert_eq!(without_length(&running.url).await, "HTTP/1.1 413 Payload Too Large");

    let body = github_push("refs/heads/main");
    let form = Client::new()
        .post(format!("{}/hooks/github", running.url))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("payload={body}"));
    let answer = form.send().await.unwrap();
    assert_eq!(answer.status(), 415);
    assert!(answer.text().await.unwrap().contains("application/json"));
    assert_eq!(
        Client::new().get(format!("{}/hooks/github", running.url)).send().await.unwrap().status(),
        405
    );
}

/// The first line of the answer to a body that is larger than its head says, which says nothing.
async fn without_length(url: &str) -> String {
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
    let stream = tokio::net::TcpStream::connect(url.strip_prefix("http://").unwrap()).await.unwrap();
    let (read, mut write) = stream.into_split();
    let head = "POST /hooks/github HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nx-github-event: push\r\n\
                x-hub-signature-256: sha256=00\r\ntransfer-encoding: chunked\r\n\r\n";
    tokio::spawn(async move {
        write.write_all(head.as_bytes()).await.unwrap();
        let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
        // The server stops reading when it has seen enough.
        while write.write_all(chunk.as_bytes()).await.is_ok() {}
    });
    let mut line = String::new();
    BufReader::new(read).read_line(&mut line).await.unwrap();
    line.trim().to_owned()
}

#[tokio::test]
async fn deliveries_are_counted_by_what_became_of_them() {
    let mut running = running().await;
    running.board.listen(repositories(SECRET));
    let (push, other) = (github_push("refs/heads/main"), github_push("refs/heads/other"));
    for (headers, body) in
        [(github("push", &push), &push), (github("push", &other), &other), (github("push", &other), &push)]
    {
        post(&mut running, "github", &headers, body).await;
    }
    let text =
        Client::new().get(format!("{}/metrics", running.url)).send().await.unwrap().text().await.unwrap();
    for result in ["accepted", "ignored", "unauthorized"] {
        let line = format!("trueup_webhook_deliveries_total{{forge=\"github\",result=\"{result}\"}} 1");
        assert!(text.contains(&line), "{line}\n{text}");
    }
}

/// GitHub's event `pull_request`, with what it says of a request.
fn github_pull(action: &str, state: &str) -> String {
    json!({"action": action, "number": 7, "pull_request": {"url": "https://api.github.com/repos/Octo-Org/config/pulls/7", "id": 279, "number": 7,
            "state": state, "locked": false, "title": "Update the README", "user": {"login": "Codertocat"}, "body": null, "merged_at": null,
            "created_at": "2026-11-21T09:00:00Z", "updated_at": "2026-11-21T10:00:00Z", "labels": [{"id": 1, "name": "preview"}],
            "head": {"label": "Codertocat:changes", "ref": "changes", "sha": NEW, "repo": {"id": 2, "full_name": "Codertocat/config", "clone_url": "https://github.com/Codertocat/config.git"}},
            "base": {"label": "Octo-Org:main", "ref": "main", "sha": NONE, "repo": {"id": 1, "full_name": "Octo-Org/config"}}},
        "repository": {"id": 1, "name": "config", "full_name": "Octo-Org/config", "html_url": "https://github.com/Octo-Org/config",
            "ssh_url": "git@github.com:Octo-Org/config.git", "clone_url": "https://github.com/Octo-Org/config.git", "default_branch": "main"},
        "sender": {"login": "Codertocat"}})
    .to_string()
}

fn gitea_pull(host: &str) -> String {
    json!({"action": "synchronized", "number": 7, "pull_request": {"id": 3, "number": 7, "user": {"login": "ada"}, "title": "Change", "state": "open",
            "labels": [], "merged": false, "head": {"label": "topic", "ref": "topic", "sha": NEW, "repo_id": 1},
            "base": {"label": "main", "ref": "main", "sha": NONE, "repo_id": 1},
            "created_at": "2026-11-21T10:00:00+01:00", "updated_at": "2026-11-21T11:00:00+01:00"},
        "requested_reviewer": null, "repository": {"id": 1, "full_name": "shop/config", "html_url": format!("https://{host}/shop/config"),
            "ssh_url": format!("ssh://git@{host}:2222/shop/config.git"), "clone_url": format!("https://{host}/shop/config.git"), "default_branch": "main"},
        "sender": {"login": "ada"}, "commit_id": "", "review": null})
    .to_string()
}

/// GitLab's "Merge request events", with the time in the one way or the other.
fn gitlab_merge(updated: &str) -> String {
    json!({"object_kind": "merge_request", "event_type": "merge_request", "user": {"id": 1, "username": "root"},
        "project": {"id": 15, "name": "config", "web_url": "https://git.example.com/shop/config", "git_ssh_url": "git@git.example.com:shop/config.git",
            "git_http_url": "https://git.example.com/shop/config.git", "path_with_namespace": "shop/config", "default_branch": "main"},
        "object_attributes": {"id": 99, "iid": 7, "target_branch": "main", "source_branch": "topic", "source_project_id": 14, "target_project_id": 15,
            "state": "opened", "action": "update", "created_at": "2026-11-21T09:00:00Z", "updated_at": updated,
            "last_commit": {"id": NEW, "message": "Change", "url": "https://git.example.com/shop/config/commits/0d1a26e6"}},
        "labels": [{"id": 206, "title": "preview"}], "changes": {}})
    .to_string()
}

fn promised(open: bool) -> Promise {
    let updated = Some("2026-11-21T10:00:00Z".parse().unwrap());
    Promise { number: 7, open, head: Some(NEW.into()), updated }
}

/// Generators that ask each forge for the same repository in each way, and for others.
fn generators(key: &HookKey) -> Vec<Hook> {
    let hub = |api: Option<&str>, owner: &str| json!({"owner": owner, "repo": "config", "api": api});
    [
        ("hub", json!({"github": hub(None, "octo-org")})),
        ("hub-api", json!({"github": hub(Some("https://api.github.com"), "Octo-Org")})),
        ("enterprise", json!({"github": hub(Some("https://hub.example.com/api/v3"), "shop")})),
        ("another-owner", json!({"github": hub(None, "octo")})),
        ("gitea", json!({"gitea": hub(Some("https://gitea.example.com"), "shop")})),
        ("gitea-api", json!({"gitea": hub(Some("https://gitea.example.com/api/v1/"), "shop")})),
        ("lab", json!({"gitlab": {"project": "Shop/config", "api": "https://git.example.com"}})),
        ("lab-number", json!({"gitlab": {"project": "15", "api": "https://git.example.com/api/v4"}})),
        ("another-number", json!({"gitlab": {"project": "150", "api": "https://git.example.com"}})),
        ("another-server", json!({"gitlab": {"project": "15"}})),
    ]
    .iter()
    .map(|(name, spec)| generator(name, spec, key.clone()))
    .collect()
}

/// Forge, headers, body, the AppSets that are meant, and what they are told.
fn pull_requests() -> Vec<(&'static str, Headers, String, Vec<&'static str>, Promise)> {
    let gitea = |event: &str, body: &str| {
        vec![("x-gitea-event", event.to_owned()), ("x-gitea-signature", sha256(SECRET, body))]
    };
    let gitlab =
        || vec![("x-gitlab-event", "Merge Request Hook".to_owned()), ("x-gitlab-token", SECRET.to_owned())];
    let mut all = Vec::new();
    for action in ["opened", "synchronize", "reopened", "labeled", "unlabeled", "edited"] {
        let body = github_pull(action, "open");
        all.push(("github", github("pull_request", &body), body, vec!["hub", "hub-api"], promised(true)));
    }
    let body = github_pull("closed", "closed");
    all.push(("github", github("pull_request", &body), body, vec!["hub", "hub-api"], promised(false)));
    let body =
        github_pull("opened", "open").replace("github.com", "hub.example.com").replace("Octo-Org", "shop");
    all.push(("github", github("pull_request", &body), body, vec!["enterprise"], promised(true)));
    for event in ["pull_request", "pull_request_sync", "pull_request_label"] {
        let body = gitea_pull("gitea.example.com");
        all.push(("gitea", gitea(event, &body), body, vec!["gitea", "gitea-api"], promised(true)));
    }
    for updated in ["2026-11-21T10:00:00Z", "2026-11-21 10:00:00 UTC"] {
        all.push(("gitlab", gitlab(), gitlab_merge(updated), vec!["lab", "lab-number"], promised(true)));
    }
    let merged = gitlab_merge("2026-11-21T10:00:00Z").replace("opened", "merged");
    all.push(("gitlab", gitlab(), merged, vec!["lab", "lab-number"], promised(false)));
    all
}

#[tokio::test]
async fn a_pull_request_of_each_forge_is_a_hint_for_the_generators_that_ask_for_it() {
    let mut running = running().await;
    running.board.listen(generators(&known()));
    for (forge, headers, body, meant, promise) in pull_requests() {
        let (code, answer, hints) = post_pull(&mut running, forge, &headers, &body).await;
        assert_eq!((code, &answer["appSets"]), (202, &json!(meant)), "{forge}: {answer}");
        let told: Vec<(String, Promise)> =
            meant.iter().map(|&name| (name.to_owned(), promise.clone())).collect();
        assert_eq!(hints, told, "{forge}: {body}");
    }
}

#[tokio::test]
async fn a_pull_request_that_knows_no_secret_is_refused_and_that_of_the_repository_counts() {
    let mut running = running().await;
    let other = HookKey::Known(Secret::new("another"));
    let body = github_pull("opened", "open");
    let headers = github("pull_request", &body);
    let url = "git@github.com:octo-org/config.git";
    let repository = |key| hook("config", url, Reference::Tag("v1".into()), key);
    let elsewhere = hook("elsewhere", "https://github.com/octo/config", main(), known());
    let spec = json!({"github": {"owner": "octo-org", "repo": "config"}});
    let set = |name, key| generator(name, &spec, key);
    for (hooks, code, told, why) in [
        (vec![set("a", other.clone()), repository(other.clone())], 401, vec![], "does not know"),
        (vec![set("a", HookKey::Missing)], 403, vec![], "no secret is configured"),
        (vec![set("a", HookKey::Missing), elsewhere], 403, vec![], "no secret is configured"),
        (vec![set("a", HookKey::Missing), repository(known())], 202, vec!["a"], "asked"),
        (vec![set("a", other.clone()), set("b", known())], 202, vec!["b"], "asked"),
        (vec![set("a", known()), repository(other.clone())], 202, vec!["a"], "asked"),
        (vec![repository(known())], 202, vec![], "no AppSet asks"),
        (vec![], 404, vec![], "no AppSet asks"),
    ] {
        running.board.listen(hooks);
        let (got, answer, hints) = post_pull(&mut running, "github", &headers, &body).await;
        let said = answer["error"].as_str().or(answer["message"].as_str()).unwrap_or_default().to_owned();
        assert!(got == code && said.contains(why), "{why}: {got} {answer}");
        assert_eq!(hints.into_iter().map(|(app_set, _)| app_set).collect::<Vec<_>>(), told, "{why}");
    }
    // The secret of a generator says nothing of a push to a Repository.
    running.board.listen(vec![set("a", known()), repository(other)]);
    let push = github_push("refs/tags/v1");
    let (code, answer, hints) = post(&mut running, "github", &github("push", &push), &push).await;
    assert!(code == 401 && hints.is_empty(), "{answer}");
    running.board.listen(vec![set("a", known())]);
    let (code, answer, hints) = post(&mut running, "github", &github("push", &push), &push).await;
    assert!(code == 202 && hints.is_empty(), "{answer}");
    let odd = body.replace(r#""number":7"#, r#""number":"7""#);
    let (code, answer, _) = post_pull(&mut running, "github", &github("pull_request", &odd), &odd).await;
    assert_eq!(code, 400, "{answer}");
}

use super::*;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// A server that gives these answers one after the other, and tells what it was asked.
async fn server(answers: Vec<(&str, &str, String)>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let told = asked.clone();
    let mut answers: VecDeque<String> = answers
        .into_iter()
        .map(|(status, headers, body)| {
            format!(
                "HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            )
        })
        .collect();
    tokio::spawn(async move {
        while let Some(answer) = answers.pop_front() {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(stream.read_u8().await.unwrap());
            }
            told.lock().unwrap().push(String::from_utf8(request).unwrap());
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    (address, asked)
}

fn source(forge: Forge, api: &str, path: &str) -> PullSource {
    let credentials =
        Credentials { bearer_token: Some(super::super::Secret::new("t0ken")), ..Credentials::default() };
    PullSource::new(Address::new(forge, Some(api), path).unwrap(), credentials, false)
}

fn hub(number: u64, head_repo: &Value, label: &str) -> Value {
    json!({
        "id": 1, "number": number, "state": "open", "locked": false, "title": "A title",
        "user": {"login": "ann", "id": 1}, "labels": [{"id": 1, "name": "preview", "color": "f29513"}],
        "head": {"label": label, "ref": "topic", "sha": "6dcb09b5b57875f334f61aebed695e2e4193db5e", "repo": head_repo},
        "base": {"label": "acme:main", "ref": "main", "sha": "a".repeat(40), "repo": {"id": 1_296_269, "full_name": "acme/shop"}},
        "created_at": "2011-01-26T19:01:12Z", "updated_at": "2011-01-26T19:01:12Z",
    })
}

fn merge(iid: u64, source_project: &Value, state: &str) -> Value {
    json!({
        "id": 84, "iid": iid, "project_id": 3, "title": "A title", "state": state,
        "created_at": "2017-04-29T08:46:00.000Z", "updated_at": "2017-04-29T08:46:00.000Z",
        "target_branch": "main", "source_branch": "topic", "author": {"id": 1, "username": "ann"},
        "source_project_id": source_project, "target_project_id": 3, "labels": ["preview", "b"],
        "sha": "8888888888888888888888888888888888888888",
    })
}

#[tokio::test]
async fn every_page_of_github_is_read_once_and_then_only_if_it_changed() {
    let own = json!({"id": 1_296_269});
    let first = json!([hub(1, &own, "acme:topic"), hub(2, &json!({"id": 7}), "eve:topic")]).to_string();
    let second = json!([hub(3, &Value::Null, "gone:topic")]).to_string();
    let next = "link: <https://other.example/x?page=2>; rel=\"next\", <https://other.example/x?page=9>; rel=\"last\"\r\n";
    let (api, asked) = server(vec![
        ("200 OK", &format!("{next}etag: W/\"one\"\r\n"), first),
        ("200 OK", "etag: \"two\"\r\n", second),
        ("304 Not Modified", "", String::new()),
        ("304 Not Modified", "x-ratelimit-remaining: 0\r\nx-ratelimit-reset: 99999999999\r\n", String::new()),
    ])
    .await;
    let source = source(Forge::GitHub, &api, "acme/shop");
    let listed = source.list().await.unwrap();
    assert_eq!(listed.rest, Duration::ZERO);
    let pushers = |listed: &Listed| listed.requests.values().map(|one| one.pushed_by).collect::<Vec<_>>();
    assert_eq!(pushers(&listed), [Pushers::Own, Pushers::Others, Pushers::Others]);
    let one = &listed.requests[&1];
    assert_eq!((&*one.branch, &*one.target_branch, &*one.author), ("topic", "main", "ann"));
    assert_eq!(one.labels, ["preview"]);
    assert_eq!(one.updated, Some("2011-01-26T19:01:12Z".parse().unwrap()));
    let again = source.list().await.unwrap();
    assert_eq!(again.requests, listed.requests);
    assert_eq!(again.rest, LONGEST_REST);
    let asked = asked.lock().unwrap().clone();
    let query = "state=open&sort=created&direction=asc&per_page=100";
    for (request, page) in asked.iter().zip([1, 2, 1, 2]) {
        assert!(
            request.starts_with(&format!("GET /api/v3/repos/acme/shop/pulls?{query}&page={page} ")),
            "{request}"
        );
        assert!(request.contains("authorization: Bearer t0ken\r\n"), "{request}");
    }
    assert!(!asked[1].contains("if-none-match"));
    assert!(
        asked[2].contains("if-none-match: W/\"one\"\r\n") && asked[3].contains("if-none-match: \"two\"\r\n")
    );
}

#[tokio::test]
async fn gitlab_says_what_the_next_page_is() {
    let (api, asked) = server(vec![
        ("200 OK", "x-next-page: 2\r\nx-total: 2\r\n", json!([merge(1, &json!(3), "opened")]).to_string()),
        (
            "200 OK",
            "x-next-page: \r\n",
            json!([merge(2, &json!(4), "opened"), merge(3, &json!(3), "closed")]).to_string(),
        ),
        ("200 OK", "", merge(3, &json!(3), "merged").to_string()),
        ("404 Not Found", "", "{}".to_owned()),
    ])
    .await;
    let source = source(Forge::GitLab, &api, "group/sub/shop");
    let listed = source.list().await.unwrap();
    let numbers: Vec<(u64, Pushers)> =
        listed.requests.values().map(|one| (one.number, one.pushed_by)).collect();
    assert_eq!(numbers, [(1, Pushers::Own), (2, Pushers::Others)]);
    assert_eq!(source.one(3).await.unwrap().unwrap().state, State::Closed);
    assert_eq!(source.one(4).await.unwrap(), None);
    let asked = asked.lock().unwrap().clone();
    assert!(
        asked[0].starts_with("GET /api/v4/projects/group%2Fsub%2Fshop/merge_requests?state=opened&"),
        "{}",
        asked[0]
    );
    assert!(
        asked[2].starts_with("GET /api/v4/projects/group%2Fsub%2Fshop/merge_requests/3 "),
        "{}",
        asked[2]
    );
}

#[tokio::test]
async fn a_request_of_gitea_without_a_branch_is_of_anybody() {
    let own = json!({"id": 1_296_269});
    let mut agit = hub(2, &own, "");
    agit["head"]["ref"] = json!("refs/pull/2/head");
    let (api, _) =
        server(vec![("200 OK", "x-total-count: 2\r\n", json!([hub(1, &own, "topic"), agit]).to_string())])
            .await;
    let listed = source(Forge::Gitea, &api, "acme/shop").list().await.unwrap();
    let pushers: Vec<Pushers> = listed.requests.values().map(|one| one.pushed_by).collect();
    assert_eq!(pushers, [Pushers::Own, Pushers::Others]);
}

#[tokio::test]
async fn what_a_real_gitea_answered_is_read() {
    // Gitea 1.24.6 with MAX_RESPONSE_ITEMS = 2: the second and the third page of five requests, of which the fourth is from a fork and the fifth was pushed
    // to refs/for/main.
    let link = |last: &str| {
        format!(
            "link: <http://gitea.example/api/v1/repos/ann/shop/pulls?limit=50&page=3&sort=oldest&state=open>; rel=\"{last}\"\r\nx-total-count: 5\r\n"
        )
    };
    let (api, _) = server(vec![
        ("200 OK", &link("next"), include_str!("recorded/gitea-1.24-page-2.json").to_owned()),
        ("200 OK", &link("prev"), include_str!("recorded/gitea-1.24-page-3.json").to_owned()),
    ])
    .await;
    let listed = source(Forge::Gitea, &api, "ann/shop").list().await.unwrap();
    let told = |one: &PullRequest| (one.number, one.branch.clone(), one.pushed_by, one.author.clone());
    assert_eq!(
        listed.requests.values().map(told).collect::<Vec<_>>(),
        [
            (3, "topic/3".to_owned(), Pushers::Own, "ann".to_owned()),
            (4, "evil".to_owned(), Pushers::Others, "eve".to_owned()),
            (5, "refs/pull/5/head".to_owned(), Pushers::Others, "eve".to_owned()),
        ]
    );
}

async fn refused(status: &str, headers: &str, body: &str) -> String {
    let (api, _) = server(vec![(status, headers, body.to_owned())]).await;
    let error = source(Forge::Gitea, &api, "acme/shop").list().await.err().unwrap();
    error.to_string().replace(&api, "http://forge")
}

#[tokio::test]
async fn what_is_no_list_is_an_error_that_says_why() {
    let url = "http://forge/api/v1/repos/acme/shop/pulls";
    for (status, headers, body, expected) in [
        ("401 Unauthorized", "", "{}", "the server answered 401 Unauthorized; check the token"),
        (
            "403 Forbidden",
            "",
            "{}",
            "the server answered 403 Forbidden; the token may not read pull requests there",
        ),
        (
            "404 Not Found",
            "",
            "{}",
            "the server answered 404 Not Found; check the names, or the token if the server hides what it may not see",
        ),
        ("502 Bad Gateway", "", "", "the server answered 502 Bad Gateway"),
        ("429 Too Many Requests", "", "", "the server answers no more questions for 1m"),
        ("403 Forbidden", "retry-after: 90\r\n", "", "the server answers no more questions for 1m 30s"),
        (
            "200 OK",
            "",
            "[{\"number\": 1",
            "the answer cannot be read: EOF while parsing an object at line 1 column 13",
        ),
        (
            "200 OK",
            "",
            "{}",
            "the answer cannot be read: invalid type: map, expected a sequence at line 1 column 0",
        ),
    ] {
        assert_eq!(refused(status, headers, body).await, format!("{url}: {expected}"));
    }
    let mut odd = hub(1, &json!({"id": 1}), "topic");
    odd["head"]["sha"] = json!("--upload-pack=x");
    let why = refused("200 OK", "", &json!([odd]).to_string()).await;
    assert!(why.ends_with("the answer cannot be read: \"--upload-pack=x\" is no commit"), "{why}");
}

#[tokio::test]
async fn half_of_the_pages_are_none() {
    let full: Vec<Value> = (1..=50).map(|number| hub(number, &json!({"id": 1_296_269}), "topic")).collect();
    let (api, _) = server(vec![
        ("200 OK", "", Value::Array(full).to_string()),
        ("500 Internal Server Error", "", String::new()),
    ])
    .await;
    let error = source(Forge::Gitea, &api, "acme/shop").list().await.err().unwrap().to_string();
    assert!(error.ends_with("/pulls (page 2): the server answered 500 Internal Server Error"), "{error}");
}

#[test]
fn addresses_are_those_of_the_apis() {
    let address = |forge, api: Option<&str>, path: &str| {
        Address::new(forge, api, path).map(|address| address.page(1).to_string())
    };
    let begins = |forge, api: Option<&str>, begin: &str| {
        let page = address(forge, api, "a/b").unwrap();
        assert!(page.starts_with(begin), "{page}");
    };
    begins(Forge::GitHub, None, "https://api.github.com/repos/a/b/pulls?");
    begins(
        Forge::GitHub,
        Some("https://git.example.com/"),
        "https://git.example.com/api/v3/repos/a/b/pulls?",
    );
    begins(
        Forge::GitHub,
        Some("https://git.example.com/api/v3"),
        "https://git.example.com/api/v3/repos/a/b/pulls?",
    );
    begins(Forge::GitLab, None, "https://gitlab.com/api/v4/projects/a%2Fb/merge_requests?");
    begins(Forge::Gitea, Some("https://x.example/git"), "https://x.example/git/api/v1/repos/a/b/pulls?");
    for (api, path) in [
        (None, "a/b"),
        (Some("ftp://x"), "a/b"),
        (Some("https://user:t0ken@x.example"), "a/b"),
        (Some("https://x.example"), "a/../b"),
        (Some("https://x.example"), "a/b c"),
    ] {
        let error = address(Forge::Gitea, api, path).unwrap_err();
        assert!(!error.contains("t0ken"), "{error}");
    }
}

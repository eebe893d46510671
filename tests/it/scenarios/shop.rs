//! A repository at a real forge, and the team that pushes to it, opens requests and closes them.

use serde_json::{Value, json};
use trueup_testkit::{GitRepo, Gitea};

/// The repository `shop` at a Gitea, with a `main` and a label `preview`.
pub(super) struct Shop {
    pub(super) forge: Gitea,
    clone: GitRepo,
    label: Value,
}

impl Shop {
    pub(super) fn open() -> Self {
        let forge = Gitea::start().unwrap();
        let clone = GitRepo::create().unwrap();
        let mut shop = Self { forge, clone, label: Value::Null };
        let wanted = json!({"name": "shop", "default_branch": "main"});
        shop.ask("POST", "/user/repos", &wanted);
        shop.clone.commit(&[("README.md", "A shop\n")], "first").unwrap();
        shop.push("HEAD:refs/heads/main");
        let label = shop.ask("POST", &Self::path("/labels"), &json!({"name": "preview", "color": "#00aabb"}));
        shop.label = label["id"].clone();
        shop
    }

    fn path(below: &str) -> String {
        format!("/repos/{}/shop{below}", Gitea::USER)
    }

    /// Commits a change on top of `main`, or of the branch where it is there already, and pushes the branch; gives the commit.
    pub(super) fn commit(&self, branch: &str, content: &str) -> String {
        self.commit_files(branch, &[("change", content)])
    }

    /// The same with files (path, content).
    pub(super) fn commit_files(&self, branch: &str, files: &[(&str, &str)]) -> String {
        let is_new = self.clone.git(&["rev-parse", "--verify", "--quiet", branch]).is_err();
        let start = if is_new { "main" } else { branch };
        self.clone.git(&["checkout", "--quiet", "-B", branch, start]).unwrap();
        let commit = self.clone.commit(files, "change").unwrap();
        self.push(&format!("HEAD:refs/heads/{branch}"));
        commit
    }

    /// Puts a commit in place of the last one of a branch; gives the new one.
    pub(super) fn rewrite(&self, branch: &str, files: &[(&str, &str)]) -> String {
        self.clone.git(&["checkout", "--quiet", branch]).unwrap();
        let commit = self.clone.amend(files, "rewritten").unwrap();
        self.push(&format!("+HEAD:refs/heads/{branch}"));
        commit
    }

    /// Opens a request for a branch, which gets a commit; gives the request's number.
    pub(super) fn request(&self, branch: &str, title: &str) -> u64 {
        self.commit(branch, branch);
        self.open_request(branch, title)
    }

    /// Opens a request for a branch that is there; gives the request's number.
    pub(super) fn open_request(&self, branch: &str, title: &str) -> u64 {
        let wanted = json!({"head": branch, "base": "main", "title": title});
        self.ask("POST", &Self::path("/pulls"), &wanted)["number"].as_u64().unwrap()
    }

    /// Opens a request without a branch, as everybody may who can read.
    pub(super) fn request_without_a_branch(&self, topic: &str) -> u64 {
        self.clone.git(&["checkout", "--quiet", "-B", topic, "main"]).unwrap();
        self.clone.commit(&[("change", topic)], topic).unwrap();
        self.push(&format!("HEAD:refs/for/main/{topic}"));
        let open = self.ask("GET", &Self::path("/pulls?state=open"), &Value::Null);
        let found = open.as_array().unwrap().iter().find(|request| request["title"] == topic).unwrap();
        found["number"].as_u64().unwrap()
    }

    /// Gives a request the label.
    pub(super) fn label(&self, number: u64) {
        self.ask("POST", &Self::path(&format!("/issues/{number}/labels")), &json!({"labels": [self.label]}));
    }

    pub(super) fn close(&self, number: u64) {
        self.ask("PATCH", &Self::path(&format!("/pulls/{number}")), &json!({"state": "closed"}));
    }

    /// Merges a request; the forge says for a moment that it does not know yet whether that can be done.
    pub(super) fn merge(&self, number: u64) {
        let path = Self::path(&format!("/pulls/{number}"));
        trueup_testkit::wait_until("the request can be merged", super::harness::PATIENCE, || {
            Ok((self.ask("GET", &path, &Value::Null)["mergeable"] == true).then_some(()))
        })
        .unwrap();
        self.ask("POST", &format!("{path}/merge"), &json!({"Do": "merge"}));
    }

    /// The repository's URL.
    pub(super) fn url(&self) -> String {
        format!("{}/{}/shop.git", self.forge.url(), Gitea::USER)
    }

    /// Has the forge tell an address of pushes and requests, signed with a secret.
    pub(super) fn tells(&self, address: &str, secret: &str) {
        let events = ["push", "pull_request", "pull_request_label", "pull_request_sync"];
        let config =
            json!({"url": format!("http://{address}/hooks/gitea"), "content_type": "json", "secret": secret});
        let hook = json!({"type": "gitea", "active": true, "config": config, "events": events});
        self.ask("POST", &Self::path("/hooks"), &hook);
    }

    fn push(&self, what: &str) {
        self.clone.git(&["push", "--quiet", &self.forge.push_url("shop"), what]).unwrap();
    }

    /// Asks the forge's API; gives what it answers.
    pub(super) fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (status, answer) = runtime.block_on(async {
            let url = format!("{}/api/v1{path}", self.forge.url());
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let request = client.request(method.parse().unwrap(), url).bearer_auth(self.forge.token());
            let request = if body.is_null() { request } else { request.json(body) };
            let response = request.send().await.unwrap();
            (response.status(), response.text().await.unwrap())
        });
        assert!(status.is_success(), "{method} {path}: {status}: {answer}");
        serde_json::from_str(&answer).unwrap_or_default()
    }
}

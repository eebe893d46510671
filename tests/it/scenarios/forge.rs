//! A forge for scenarios: it answers as Gitea's API does, with as many pages as are needed, and fails as it is told.

use aws_lc_rs::hmac;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What it wants to hear.
pub(super) const TOKEN: &str = "t0ken";
/// Requests on a page: Gitea gives no more than its `MAX_RESPONSE_ITEMS`, however many are asked for.
const PAGE: usize = 2;

/// How it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// With this status.
    Status(u16),
    /// With something that is no JSON.
    Malformed,
    /// Each page but the first, with 502.
    LaterPages,
}

/// A server with the pull requests of `acme/shop`.
pub(super) struct Forge {
    address: SocketAddr,
    shared: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    requests: Vec<Value>,
    failure: Option<Failure>,
    /// Answers that had a body.
    sent: usize,
    /// Answers that had none because nothing changed.
    unchanged: usize,
    stopped: bool,
}

impl Forge {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Mutex::new(State::default()));
        let state = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if lock(&state).stopped {
                    return;
                }
                // Who goes away in the middle of it asks again.
                let _ = answer(stream, &state);
            }
        });
        Self { address, shared }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Opens a request from a branch of the repository, at a commit of this digit.
    pub(super) fn open(&self, number: u64, branch: &str, digit: char) {
        self.add(number, branch, digit, 1);
    }

    /// Opens one from a fork.
    pub(super) fn open_from_fork(&self, number: u64) {
        self.add(number, "topic", 'f', 2);
    }

    fn add(&self, number: u64, branch: &str, digit: char, repository: u64) {
        let request = json!({
            "id": number + 100, "number": number, "state": "open", "title": format!("Change {number}"),
            "user": {"login": "ann"}, "labels": [{"name": "preview"}], "merged": false,
            "head": {"label": branch, "ref": branch, "sha": sha(digit), "repo_id": repository, "repo": {"id": repository}},
            "base": {"label": "main", "ref": "main", "sha": sha('0'), "repo_id": 1, "repo": {"id": 1}},
            "created_at": "2020-01-01T10:00:00Z", "updated_at": "2020-01-01T10:00:00Z",
        });
        lock(&self.shared).requests.push(request);
    }

    /// Changes a field of a request.
    pub(super) fn set(&self, number: u64, pointer: &str, value: Value) {
        let mut state = lock(&self.shared);
        let request = state.requests.iter_mut().find(|request| request["number"] == number).unwrap();
        *request.pointer_mut(pointer).unwrap() = value;
    }

    pub(super) fn push(&self, number: u64, digit: char) {
        self.set(number, "/head/sha", json!(sha(digit)));
    }

    /// Delivers what a request is now, as a webhook of Gitea with this secret does; gives the answer's status.
    pub(super) fn tell(&self, number: u64, address: &str, secret: &str) -> u16 {
        let request =
            lock(&self.shared).requests.iter().find(|one| one["number"] == number).cloned().unwrap();
        self.deliver(&request, address, secret)
    }

    /// Delivers that a request was pushed to, and shows that in its list after a pause.
    pub(super) fn tell_later(&self, number: u64, address: &str, secret: &str, digit: char, pause: impl Fn()) {
        let request = lock(&self.shared).requests.iter().find(|one| one["number"] == number).cloned();
        let mut request = request.unwrap();
        request["head"]["sha"] = json!(sha(digit));
        assert_eq!(self.deliver(&request, address, secret), 202);
        pause();
        self.push(number, digit);
    }

    fn deliver(&self, request: &Value, address: &str, secret: &str) -> u16 {
        let body = json!({"action": "synchronized", "number": request["number"], "pull_request": request,
            "repository": {"id": 1, "full_name": "acme/shop", "html_url": format!("{}/acme/shop", self.url()),
                "clone_url": format!("{}/acme/shop.git", self.url()), "ssh_url": "git@gitea.example:acme/shop.git", "default_branch": "main"}})
        .to_string();
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), body.as_bytes());
        let signature = tag.as_ref().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let request = reqwest::Client::builder().no_proxy().build().unwrap();
            let request = request.post(format!("http://{address}/hooks/gitea")).body(body);
            let request = request.header("content-type", "application/json");
            let request =
                request.header("x-gitea-event", "pull_request").header("x-gitea-signature", signature);
            request.send().await.unwrap().status().as_u16()
        })
    }

    pub(super) fn close(&self, number: u64) {
        self.set(number, "/state", json!("closed"));
    }

    /// Forgets a request, as though it had never been.
    pub(super) fn forget(&self, number: u64) {
        lock(&self.shared).requests.retain(|request| request["number"] != number);
    }

    pub(super) fn fail(&self, failure: Option<Failure>) {
        lock(&self.shared).failure = failure;
    }

    /// How many answers had a body, and how many had none because nothing changed.
    pub(super) fn answers(&self) -> (usize, usize) {
        let state = lock(&self.shared);
        (state.sent, state.unchanged)
    }
}

impl Drop for Forge {
    fn drop(&mut self) {
        lock(&self.shared).stopped = true;
        let _ = TcpStream::connect(self.address);
    }
}

/// A commit of one digit.
pub(super) fn sha(digit: char) -> String {
    digit.to_string().repeat(40)
}

fn lock(shared: &Mutex<State>) -> MutexGuard<'_, State> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Reply {
    status: u16,
    headers: Vec<String>,
    body: String,
}

impl Reply {
    fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: "{}".to_owned() }
    }
}

fn answer(stream: TcpStream, shared: &Mutex<State>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut reader = BufReader::new(stream.try_clone()?.take(1 << 16));
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        lines.push(line.trim().to_owned());
    }
    let Some(request) = lines.first() else { return Ok(()) };
    let header = |name: &str| {
        let mut headers = lines.iter().filter_map(|line| line.split_once(": "));
        headers.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
    };
    let target = request.split(' ').nth(1).unwrap_or_default();
    let is_known = header("authorization").is_some_and(|given| given == format!("Bearer {TOKEN}"));
    let mut reply = if is_known { lock(shared).reply(target) } else { Reply::status(401) };
    let tag = format!(
        "\"{:x}\"",
        reply.body.bytes().fold(7u64, |hash, byte| hash.wrapping_mul(31) ^ u64::from(byte))
    );
    if reply.status == 200 {
        let is_same = header("if-none-match").is_some_and(|given| given == tag);
        let mut state = lock(shared);
        if is_same {
            state.unchanged += 1;
            reply = Reply { status: 304, headers: Vec::new(), body: String::new() };
        } else {
            state.sent += 1;
            reply.headers.push(format!("etag: {tag}"));
        }
    }
    let headers: String = reply.headers.iter().flat_map(|header| [header.as_str(), "\r\n"]).collect();
    let head = format!(
        "HTTP/1.1 {} Said\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n",
        reply.status,
        reply.body.len()
    );
    let mut stream = stream;
    stream.write_all((head + &reply.body).as_bytes())
}

impl State {
    fn reply(&self, target: &str) -> Reply {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let Some(below) = path.strip_prefix("/api/v1/repos/acme/shop/pulls") else {
            return Reply::status(404);
        };
        match self.failure {
            Some(Failure::Status(status)) => return Reply::status(status),
            Some(Failure::Malformed) => {
                return Reply { body: "<html>".to_owned(), ..Reply::status(200) };
            }
            Some(Failure::LaterPages) | None => {}
        }
        if let Some(number) = below.strip_prefix('/') {
            let found =
                self.requests.iter().find(|request| request["number"].as_u64() == number.parse().ok());
            let body = found.map(Value::to_string);
            return body.map_or_else(|| Reply::status(404), |body| Reply { body, ..Reply::status(200) });
        }
        let page =
            query.split('&').find_map(|pair| pair.strip_prefix("page=")).and_then(|page| page.parse().ok());
        let page: usize = page.unwrap_or(1);
        if self.failure == Some(Failure::LaterPages) && page > 1 {
            return Reply::status(502);
        }
        let open: Vec<&Value> = self.requests.iter().filter(|request| request["state"] == "open").collect();
        let shown: Vec<&&Value> = open.iter().skip((page - 1) * PAGE).take(PAGE).collect();
        let mut headers = vec![format!("x-total-count: {}", open.len())];
        if page * PAGE < open.len() {
            // Where Gitea believes to be, which is often not where it is reached.
            headers.push(format!(
                "link: <http://gitea.example/api/v1/repos/acme/shop/pulls?page={}>; rel=\"next\"",
                page + 1
            ));
        } else if page > 1 {
            headers.push(
                "link: <http://gitea.example/api/v1/repos/acme/shop/pulls?page=1>; rel=\"first\"".to_owned(),
            );
        }
        Reply { status: 200, headers, body: json!(shown).to_string() }
    }
}

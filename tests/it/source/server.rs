//! `git http-backend` behind a small HTTP server that counts what is asked and misbehaves on demand.
//! For servers that behave, see the testkit's.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use tokio::io::AsyncWriteExt;

/// How the server behaves.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Mood {
    #[default]
    Serves,
    /// Takes requests and never answers.
    Hangs,
    /// Answers everything with this status.
    Answers(u16),
    /// Sends everything elsewhere.
    Redirects(String),
    /// Sends the headers and the first bytes of a pack, and then nothing.
    Stalls,
    /// Sends the first bytes of a pack as if they were all.
    CutsOff,
    /// Sends commits, and no file that is wanted by its id.
    RefusesIds,
}

struct Shared {
    root: PathBuf,
    mood: Mutex<Mood>,
    requests: Mutex<Vec<String>>,
    authorizations: Mutex<Vec<Option<String>>>,
    protocol: Mutex<Option<&'static str>>,
}

/// A running server of all repositories below a folder.
pub(crate) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(root: &Path) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shared = Arc::new(Shared {
            root: root.to_owned(),
            mood: Mutex::default(),
            requests: Mutex::default(),
            authorizations: Mutex::default(),
            protocol: Mutex::default(),
        });
        let address = listener.local_addr().unwrap();
        let router = axum::Router::new().fallback(serve).with_state(shared.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, shared, task }
    }

    /// The address of the repository in the folder `config`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/config/.git", self.address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn set(&self, mood: Mood) {
        *self.shared.mood.lock().unwrap() = mood;
    }

    /// Answers as a server that knows only the old protocol.
    pub(crate) fn speak_only(&self, version: &'static str) {
        *self.shared.protocol.lock().unwrap() = Some(version);
    }

    /// What was asked since the last call: `ls-refs`, `fetch` or the method and path.
    pub(crate) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut *self.shared.requests.lock().unwrap())
    }

    /// The `Authorization` headers since the last call.
    pub(crate) fn authorizations(&self) -> Vec<Option<String>> {
        std::mem::take(&mut *self.shared.authorizations.lock().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let text = String::from_utf8_lossy(&body);
    let named = ["ls-refs", "fetch"].iter().find(|name| text.contains(&format!("command={name}")));
    let named = named.map_or_else(|| format!("{method} {}", uri.path()), |name| (*name).to_owned());
    let is_fetch = named == "fetch";
    shared.requests.lock().unwrap().push(named);
    let authorization = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
    shared.authorizations.lock().unwrap().push(authorization.clone());
    let mood = shared.mood.lock().unwrap().clone();
    match mood {
        Mood::Hangs => std::future::pending().await,
        Mood::Answers(status) => return StatusCode::from_u16(status).unwrap().into_response(),
        Mood::Redirects(to) => {
            let to = format!("{to}{}", uri.path_and_query().unwrap());
            return (StatusCode::FOUND, [("location", to)]).into_response();
        }
        Mood::Stalls if is_fetch => {
            let (status, headers, content) = backend(&shared, &method, &uri, &headers, &body).await;
            let half = content.slice(..content.len() / 2);
            let stream = futures::stream::unfold(Some(half), |half| async move {
                match half {
                    Some(half) => Some((Ok::<_, std::io::Error>(half), None)),
                    None => std::future::pending().await,
                }
            });
            return (status, headers, Body::from_stream(stream)).into_response();
        }
        Mood::CutsOff if is_fetch => {
            let (status, headers, content) = backend(&shared, &method, &uri, &headers, &body).await;
            return (status, headers, content.slice(..content.len() / 2)).into_response();
        }
        Mood::RefusesIds if is_fetch && !text.contains("deepen") => {
            let headers = [("content-type", "application/x-git-upload-pack-result")];
            let refused = "ERR upload-pack: not our ref 0123";
            return (headers, format!("{:04x}{refused}", refused.len() + 4)).into_response();
        }
        Mood::Serves | Mood::Stalls | Mood::CutsOff | Mood::RefusesIds => {}
    }
    backend(&shared, &method, &uri, &headers, &body).await.into_response()
}

async fn backend(
    shared: &Shared,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: &Bytes,
) -> (StatusCode, HeaderMap, Bytes) {
    let header = |name: &str| headers.get(name).map_or("", |value| value.to_str().unwrap());
    let asked = header("git-protocol");
    let protocol = shared.protocol.lock().unwrap().unwrap_or(asked).to_owned();
    let mut child = tokio::process::Command::new("git")
        .args(["-c", "safe.directory=*", "http-backend"])
        .env("GIT_PROJECT_ROOT", &shared.root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("REQUEST_METHOD", method.as_str())
        .env("PATH_INFO", uri.path())
        .env("QUERY_STRING", uri.query().unwrap_or(""))
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", protocol)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let body = body.clone();
    let written = tokio::spawn(async move { stdin.write_all(&body).await });
    let output = child.wait_with_output().await.unwrap();
    let _ = written.await.unwrap();
    let split = output.stdout.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let (mut status, mut sent) = (StatusCode::OK, HeaderMap::new());
    for line in String::from_utf8_lossy(&output.stdout[..split]).lines() {
        let (name, value) = line.split_once(": ").unwrap();
        if name == "Status" {
            status = StatusCode::from_bytes(&value.as_bytes()[..3]).unwrap();
        } else {
            sent.insert(axum::http::HeaderName::try_from(name).unwrap(), value.parse().unwrap());
        }
    }
    (status, sent, Bytes::from(output.stdout).slice(split + 4..))
}

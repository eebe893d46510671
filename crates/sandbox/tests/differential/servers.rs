//! The two that are compared: a real API server, and the sandbox.

use crate::operation::Filled;
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use kube::client::Body;
use serde_json::Value;
use std::time::Duration;
use tokio::runtime::Runtime;
use trueup_sandbox::{Answer, Request, Sandbox};
use trueup_testkit::{Api, Components, ControlPlane, Options};

const AGENT: &str = "tester/1.0";

/// A status and a document.
pub type Reply = (u16, Value);

/// A real API server.
pub struct Real {
    runtime: Runtime,
    client: kube::Client,
    _plane: ControlPlane,
}

impl Real {
    pub fn start() -> Self {
        let plane = ControlPlane::start(Options { components: Components::ApiOnly, ..Options::default() })
            .expect("a control plane starts");
        let api = Api::from_kubeconfig(plane.kubeconfig()).unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Self { runtime, client: api.client(), _plane: plane }
    }

    fn request(filled: &Filled) -> http::Request<Body> {
        let uri = if filled.query.is_empty() {
            filled.path.clone()
        } else {
            format!("{}?{}", filled.path, filled.query)
        };
        let builder = http::Request::builder()
            .method(filled.method)
            .uri(uri)
            .header(http::header::USER_AGENT, AGENT)
            .header(http::header::ACCEPT, filled.accept)
            .header(http::header::CONTENT_TYPE, filled.media_type);
        // The administrator may speak for others.
        let builder =
            if filled.user.is_empty() { builder } else { builder.header("Impersonate-User", filled.user) };
        builder.body(Body::from(filled.body.clone())).unwrap()
    }

    pub fn send(&self, filled: &Filled) -> Reply {
        self.send_timed(filled).0
    }

    /// What the server answers, as it is.
    pub fn bytes(&self, filled: &Filled) -> Vec<u8> {
        let request = Self::request(filled);
        self.runtime.block_on(async {
            let response = self.client.send(request).await.expect("the API server answers");
            response.into_body().collect().await.unwrap().to_bytes().to_vec()
        })
    }

    /// The answer, the second in which the server carried the request out, and the fields that it warns of.
    pub fn send_timed(&self, filled: &Filled) -> (Reply, Timestamp, Vec<String>) {
        let request = Self::request(filled);
        self.runtime.block_on(async {
            let response = self.client.send(request).await.expect("the API server answers");
            let code = response.status().as_u16();
            let date = response.headers().get(http::header::DATE).and_then(|date| date.to_str().ok());
            let date =
                date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok()).map(|date| date.timestamp());
            let answered = date.unwrap_or_else(Timestamp::now);
            let warnings = response.headers().get_all(http::header::WARNING).iter();
            let warnings: Vec<String> = warnings
                .filter_map(|value| {
                    Some(
                        value
                            .to_str()
                            .ok()?
                            .strip_prefix("299 - \"")?
                            .strip_suffix('"')?
                            .replace("\\\"", "\""),
                    )
                })
                .filter(|warning| warning.starts_with("unknown field") || warning.contains("duplicate field"))
                .collect();
            let bytes = response.into_body().collect().await.unwrap().to_bytes();
            let body = serde_json::from_slice(&bytes)
                .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
            // The answer may have left in the second after the one that the object's books name.
            let is_written = code < 300 && matches!(filled.method, "POST" | "PUT" | "PATCH");
            let noted = last_noted(&body).filter(|_| is_written);
            ((code, body), noted.unwrap_or(answered), warnings)
        })
    }

    /// The first events of a watch: as many as are expected, and what else comes right after them.
    pub fn watch(&self, filled: &Filled, expected: usize) -> Vec<Value> {
        let request = Self::request(filled);
        self.runtime.block_on(async {
            let response = self.client.send(request).await.expect("the API server answers");
            let (mut body, mut bytes) = (response.into_body(), Vec::new());
            let lines = |bytes: &[u8]| bytes.split(|byte| *byte == b'\n').count() - 1;
            loop {
                let patience = if lines(&bytes) < expected { 1_000 } else { 15 };
                match tokio::time::timeout(Duration::from_millis(patience), body.frame()).await {
                    Ok(Some(Ok(frame))) => {
                        bytes.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
                    }
                    Ok(Some(Err(_)) | None) | Err(_) => break,
                }
            }
            String::from_utf8_lossy(&bytes)
                .lines()
                .filter_map(|line| serde_json::from_str(line).ok())
                .collect()
        })
    }
}

/// The last time in an object's books.
fn last_noted(body: &Value) -> Option<Timestamp> {
    let metadata =
        if body["rows"].is_array() { &body["rows"][0]["object"]["metadata"] } else { &body["metadata"] };
    let books = metadata["managedFields"].as_array().into_iter().flatten();
    books.filter_map(|entry| entry["time"].as_str()?.parse().ok()).max()
}

/// The sandbox.
pub struct Ours {
    pub sandbox: Sandbox,
    /// When the next request comes.
    pub now: Timestamp,
}

impl Ours {
    pub fn start() -> Self {
        Self::begun(Timestamp::now())
    }

    pub fn begun(now: Timestamp) -> Self {
        Self { sandbox: Sandbox::api_only(now), now }
    }

    fn answer(&mut self, filled: &Filled) -> Answer {
        let request = Request {
            method: filled.method,
            path: &filled.path,
            query: &filled.query,
            accept: filled.accept,
            content_type: filled.media_type,
            user_agent: AGENT,
            user: filled.user,
            body: &filled.body,
        };
        self.sandbox.handle(self.now, &request)
    }

    /// The fields that the last answer warns of.
    pub fn warnings(&mut self) -> Vec<String> {
        self.sandbox.take_warnings()
    }

    pub fn send(&mut self, filled: &Filled) -> Reply {
        match self.answer(filled) {
            Answer::Json { code, body, .. } => (code, body),
            Answer::Watch(_) => (200, "a watch".into()),
        }
    }

    pub fn watch(&mut self, filled: &Filled) -> Vec<Value> {
        match self.answer(filled) {
            Answer::Json { body, .. } => vec![body],
            Answer::Watch(mut watch) => self.sandbox.events(&mut watch),
        }
    }
}

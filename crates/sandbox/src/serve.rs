//! The sandbox over HTTP, for kubectl, and for a trueup that does not know that it is one.
//!
//! Enters: a listener. Leaves: nothing until it is stopped. The time is the clock's here.

use crate::accounts::Bearer;
use crate::answer::TEXT;
use crate::limits::BODY;
use crate::watch::Watch;
use crate::{Answer, Refusal, Request, Sandbox};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use serde_json::Value;
use std::convert::Infallible;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// How often a watch that asked for it is told how far it is.
const BOOKMARK: Duration = Duration::from_mins(1);
/// How often what depends on time is looked at.
const TICK: Duration = Duration::from_secs(1);
/// How long a watch goes on when nothing else was asked for.
const WATCH: Duration = Duration::from_mins(30);

/// A sandbox that is served. Cheap to clone; clones are the same.
#[derive(Clone)]
pub struct Served {
    sandbox: Arc<Mutex<Sandbox>>,
    changes: watch::Sender<u64>,
}

impl Served {
    /// Makes a sandbox ready to be served.
    pub fn new(sandbox: Sandbox) -> Self {
        Self { sandbox: Arc::new(Mutex::new(sandbox)), changes: watch::Sender::new(0) }
    }

    /// The same as a service in this process: what `kube::Client::new` takes.
    pub fn router(self) -> Router {
        Router::new().fallback(answer).layer(DefaultBodyLimit::max(BODY)).with_state(self)
    }

    /// Answers requests until `stop` is done.
    pub async fn serve(
        self,
        listener: TcpListener,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        self.serve_behind(listener, std::convert::identity, stop).await
    }

    /// The same behind what looks at requests before the sandbox does, and at its answers.
    pub async fn serve_behind(
        self,
        listener: TcpListener,
        gate: impl FnOnce(Router) -> Router,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        let clock = self.clone();
        let router = gate(self.router());
        // Watches do not end by themselves, so a stop does not wait for them.
        tokio::select! {
            served = axum::serve(listener, router).into_future() => served,
            () = clock.tick() => Ok(()),
            () = stop => Ok(()),
        }
    }

    /// Tells the sandbox again and again what time it is; never ends.
    async fn tick(self) {
        let mut every = tokio::time::interval(TICK);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            let mut sandbox = self.lock();
            let before = sandbox.store.revision();
            sandbox.tick(Timestamp::now());
            if sandbox.store.revision() != before {
                self.changes.send_replace(sandbox.store.revision());
            }
        }
    }

    /// All objects, by kind, namespace and name.
    pub fn objects(&self) -> Vec<Arc<Value>> {
        self.lock().objects().cloned().collect()
    }

    /// Puts an object of another cluster into this one.
    ///
    /// # Errors
    /// As [`Sandbox::restore`].
    pub fn restore(&self, object: &Value) -> Result<(), Refusal> {
        let mut sandbox = self.lock();
        sandbox.restore(Timestamp::now(), object)?;
        self.changes.send_replace(sandbox.store.revision());
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Sandbox> {
        self.sandbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn answer(
    State(served): State<Served>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let body = match body {
        Ok(body) => body,
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            return refused(&Refusal::too_large(BODY));
        }
        Err(rejection) => return refused(&Refusal::bad_request(rejection.body_text())),
    };
    let text = |name: header::HeaderName| {
        headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    };
    let token = text(header::AUTHORIZATION).strip_prefix("Bearer ").unwrap_or_default();
    let user = match served.lock().bearer(Timestamp::now(), token) {
        Bearer::Account(user) => user,
        Bearer::Nobody => return refused(&Refusal::unauthorized()),
        Bearer::Foreign => text(header::HeaderName::from_static("impersonate-user")).to_owned(),
    };
    let request = Request {
        method: method.as_str(),
        path: uri.path(),
        query: uri.query().unwrap_or_default(),
        accept: text(header::ACCEPT),
        content_type: text(header::CONTENT_TYPE),
        user_agent: text(header::USER_AGENT),
        user: &user,
        body: &body,
    };
    let (answer, warnings) = {
        let mut sandbox = served.lock();
        let answer = sandbox.handle(Timestamp::now(), &request);
        served.changes.send_replace(sandbox.store.revision());
        (answer, sandbox.take_warnings())
    };
    match answer {
        Answer::Json { code, body, media_type } => told(code, &body, media_type, &warnings),
        Answer::Watch(watch) => {
            let stream = Stream {
                ends: tokio::time::Instant::now() + watch.timeout.map_or(WATCH, Duration::from_secs),
                changed: served.changes.subscribe(),
                served,
                watch,
                is_over: false,
            };
            let lines = futures::stream::unfold(stream, |mut stream| async move {
                let lines = stream.next().await?;
                Some((Ok::<_, Infallible>(lines), stream))
            });
            ([(header::CONTENT_TYPE, "application/json")], Body::from_stream(lines)).into_response()
        }
    }
}

fn told(code: u16, body: &Value, media_type: &'static str, warnings: &[String]) -> Response {
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let text = match body {
        Value::String(text) if media_type == TEXT => text.clone(),
        body => body.to_string(),
    };
    let mut response = (status, [(header::CONTENT_TYPE, media_type)], text).into_response();
    for warning in warnings {
        // As RFC 9111 had it: a code, an agent that nobody names, and the text in quotes.
        if let Ok(value) = header::HeaderValue::try_from(format!("299 - {warning:?}")) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
    response
}

fn refused(refusal: &Refusal) -> Response {
    told(refusal.code, &refusal.status(), "application/json", &[])
}

struct Stream {
    served: Served,
    watch: Watch,
    changed: watch::Receiver<u64>,
    ends: tokio::time::Instant,
    is_over: bool,
}

impl Stream {
    /// The next events, a line each; `None` when the watch is over.
    async fn next(&mut self) -> Option<String> {
        loop {
            if self.is_over {
                return None;
            }
            self.changed.mark_unchanged();
            let events = self.served.lock().events(&mut self.watch);
            if events.is_empty() && self.served.lock().is_over(&self.watch) {
                return None;
            }
            if !events.is_empty() {
                self.is_over = events.last().is_some_and(|event| event["type"] == "ERROR");
                return Some(lines(&events));
            }
            tokio::select! {
                changed = self.changed.changed() => changed.ok()?,
                () = tokio::time::sleep(BOOKMARK) => {
                    if let Some(bookmark) = self.served.lock().bookmark(&self.watch) {
                        return Some(lines(&[bookmark]));
                    }
                }
                () = tokio::time::sleep_until(self.ends) => return None,
            }
        }
    }
}

fn lines(events: &[Value]) -> String {
    events.iter().map(|event| format!("{event}\n")).collect::<Vec<_>>().concat()
}

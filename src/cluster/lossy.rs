//! A cluster for tests: a sandbox in this process, behind a way on which single requests get lost or come late.

use super::{Access, Cluster, Fence, Listener, Reach, Via};
use axum::body::{Body, Bytes};
use futures::FutureExt as _;
use http::{Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::time::Instant;
pub(crate) use trueup_sandbox::restore::Versions;
use trueup_sandbox::{Answer, Sandbox};

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The connection breaks before it is through.
    Lost,
    /// It breaks when the request has taken effect.
    AnswerLost,
    /// The request is thought lost, and waits for [`Lossy::deliver`].
    Late,
    /// It is refused as if the object had changed meanwhile.
    Conflict,
    /// No answer comes.
    Hangs,
    /// It is refused, and to be sent again after so many seconds.
    Throttled(u64),
}

/// The way to a cluster, and the cluster.
#[derive(Clone)]
pub(crate) struct Lossy(Arc<Mutex<State>>);

struct State {
    sandbox: Sandbox,
    /// What becomes of the next requests whose method and path are these.
    fates: Vec<(String, Fate)>,
    late: Vec<Asked>,
    /// Methods and paths of all requests that came this way.
    asked: Vec<String>,
    /// Moves where all connections end.
    era: u64,
}

struct Asked {
    method: String,
    path: String,
    query: String,
    content_type: String,
    body: Bytes,
}

impl Lossy {
    /// An empty cluster with a namespace `shop`.
    pub(crate) fn new() -> Self {
        let sandbox = Sandbox::new(Timestamp::UNIX_EPOCH);
        let state = State { sandbox, fates: Vec::new(), late: Vec::new(), asked: Vec::new(), era: 0 };
        let lossy = Self(Arc::new(Mutex::new(state)));
        lossy.post(
            "/api/v1/namespaces",
            &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}),
        );
        lossy
    }

    /// trueup's view of it.
    pub(crate) async fn cluster(&self) -> Cluster {
        self.cluster_telling(Arc::new(|_| {})).await
    }

    /// The same, telling where something changed.
    pub(crate) async fn cluster_telling(&self, listener: Listener) -> Cluster {
        let lossy = self.clone();
        let reach = Reach::Here(Arc::new(move |_| {
            let lossy = lossy.clone();
            let service = tower::service_fn(move |request| lossy.clone().serve(request).boxed());
            Some(kube::Client::new(service, "default"))
        }));
        let access = Access { name: "here".to_owned(), via: Via::InCluster, in_flight: None };
        Cluster::reach(&reach, &access, &Fence::open(), Arc::new(|_, _| {}), listener).await.unwrap()
    }

    /// Has this become of the next request of a method to a path with this end.
    pub(crate) fn next(&self, method: &str, end: &str, fate: Fate) {
        self.lock().fates.push((format!("{method} {end}"), fate));
    }

    /// Lets the requests take effect that were late; gives the codes of their answers.
    pub(crate) fn deliver(&self) -> Vec<u16> {
        let mut state = self.lock();
        let late = std::mem::take(&mut state.late);
        late.iter().map(|asked| code(&state.ask(asked))).collect()
    }

    /// Somebody else creates an object.
    pub(crate) fn post(&self, path: &str, body: &Value) {
        let asked = Asked {
            method: "POST".to_owned(),
            path: path.to_owned(),
            query: "fieldManager=somebody".to_owned(),
            content_type: "application/json".to_owned(),
            body: body.to_string().into(),
        };
        assert_eq!(code(&self.lock().ask(&asked)), 201, "{path}");
    }

    /// Somebody else deletes an object.
    pub(crate) fn remove(&self, path: &str) {
        let (method, path) = ("DELETE".to_owned(), path.to_owned());
        let asked =
            Asked { method, path, query: String::new(), content_type: String::new(), body: Bytes::new() };
        assert_eq!(code(&self.lock().ask(&asked)), 200);
    }

    /// How many requests of a method to a path with this end came this way.
    pub(crate) fn count(&self, method: &str, end: &str) -> usize {
        let state = self.lock();
        state.asked.iter().filter(|about| about.starts_with(method) && about.ends_with(end)).count()
    }

    /// The object at a path.
    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        let (method, path) = ("GET".to_owned(), path.to_owned());
        let asked =
            Asked { method, path, query: String::new(), content_type: String::new(), body: Bytes::new() };
        match self.lock().ask(&asked) {
            Answer::Json { code: 200, body, .. } => Some(body),
            Answer::Json { .. } | Answer::Watch(_) => None,
        }
    }

    /// Lets time go back to before `meanwhile`, and all connections end.
    pub(crate) fn restore_to_before(
        &self,
        versions: Versions,
        meanwhile: fn(&Self),
    ) -> impl FnOnce(&Self) + use<> {
        let snapshot = self.lock().sandbox.snapshot();
        meanwhile(self);
        move |lossy| {
            let mut state = lossy.lock();
            state.sandbox.roll_back(&snapshot, versions);
            state.era += 1;
        }
    }

    /// Ends all connections.
    pub(crate) fn disconnect(&self) {
        self.lock().era += 1;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    async fn serve(self, request: Request<kube::client::Body>) -> Result<Response<Body>, std::io::Error> {
        let (parts, body) = request.into_parts();
        let content_type = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let asked = Asked {
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            content_type: content_type.unwrap_or_default().to_owned(),
            body: body.collect().await.map_err(std::io::Error::other)?.to_bytes(),
        };
        match self.clone().meet(asked) {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }

    /// What becomes of a request; nothing where it hangs.
    fn meet(self, asked: Asked) -> Option<Result<Response<Body>, std::io::Error>> {
        let reset = Some(Err(std::io::ErrorKind::ConnectionReset.into()));
        let mut state = self.lock();
        let about = format!("{} {}", asked.method, asked.path);
        let is_meant = |(next, _): &(String, Fate)| {
            next.split_once(' ')
                .is_some_and(|(method, end)| about.starts_with(method) && about.ends_with(end))
        };
        let at = state.fates.iter().position(is_meant);
        state.asked.push(about);
        match at.map(|at| state.fates.remove(at).1) {
            Some(Fate::Lost) => return reset,
            Some(Fate::Hangs) => return None,
            Some(Fate::Late) => {
                state.late.push(asked);
                return reset;
            }
            Some(Fate::Throttled(seconds)) => {
                let response = Response::builder().status(StatusCode::TOO_MANY_REQUESTS);
                let response = response.header(header::RETRY_AFTER, seconds);
                return Some(Ok(response.body(Body::from("{}")).unwrap()));
            }
            Some(Fate::Conflict) => {
                let mut response = Response::new(Body::from(r#"{"reason": "Conflict"}"#));
                *response.status_mut() = StatusCode::CONFLICT;
                return Some(Ok(response));
            }
            Some(Fate::AnswerLost) => {
                state.ask(&asked);
                return reset;
            }
            None => {}
        }
        let era = state.era;
        Some(Ok(match state.ask(&asked) {
            Answer::Json { code, body, .. } => {
                let mut response = Response::new(Body::from(body.to_string()));
                *response.status_mut() = StatusCode::from_u16(code).unwrap();
                response
            }
            Answer::Watch(watch) => Response::new(self.clone().events(watch, era)),
        }))
    }

    fn events(self, mut watch: trueup_sandbox::watch::Watch, era: u64) -> Body {
        let ends = Instant::now() + Duration::from_secs(watch.timeout.unwrap_or(300));
        let next = async move || loop {
            {
                let state = self.lock();
                if state.era != era || Instant::now() > ends {
                    return None;
                }
                let events = state.sandbox.events(&mut watch);
                if !events.is_empty() {
                    let lines: Vec<String> = events.iter().map(|event| format!("{event}\n")).collect();
                    return Some(Ok::<_, std::io::Error>(lines.concat()));
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        Body::from_stream(futures::stream::unfold(next, async |mut next| Some((next().await?, next))))
    }
}

impl State {
    fn ask(&mut self, asked: &Asked) -> Answer {
        let request = trueup_sandbox::Request {
            method: &asked.method,
            path: &asked.path,
            query: &asked.query,
            accept: "application/json",
            content_type: &asked.content_type,
            user_agent: "trueup/test",
            user: "",
            body: &asked.body,
        };
        self.sandbox.handle(Timestamp::UNIX_EPOCH, &request)
    }
}

fn code(answer: &Answer) -> u16 {
    match answer {
        Answer::Json { code, .. } => *code,
        Answer::Watch(_) => 200,
    }
}

//! Clusters: sandboxes behind a way that loses, delays, repeats and cuts what goes over it.
//!
//! Enters: the requests of trueup, over `kube::Client`, and those of others, who are always served. Leaves: answers. Every write of
//! trueup is shown to a [`Witness`] before it takes effect.

use crate::random::Random;
use crate::trace::Trace;
use axum::body::{Body, Bytes};
use futures::FutureExt as _;
use http::{Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use trueup::ambient;
use trueup_sandbox::restore::{Snapshot, Versions};
use trueup_sandbox::workloads;
use trueup_sandbox::{Answer, Sandbox};

/// How often a watch that asked for it is told how far it is.
const BOOKMARK: Duration = Duration::from_mins(1);

/// How late a request may come that was thought lost. trueup waits a little longer than that for it.
const LATEST: Duration = Duration::from_mins(9);

/// A request that everybody thinks lost.
struct Late {
    age: Duration,
    /// When it was sent, where that was in the step that goes on.
    sent: Option<Timestamp>,
    asked: Asked,
}

/// What looks at each write of trueup.
pub(crate) trait Witness: Send + Sync {
    /// Called before anything changes, whoever does it.
    fn look(&self, cluster: &str, sandbox: &Sandbox);

    /// Called before a write takes effect.
    fn write(&self, cluster: &str, sandbox: &Sandbox, asked: &Asked);

    /// Called when a write is sent that takes effect much later, without being looked at again.
    fn delay(&self, cluster: &str, sandbox: &Sandbox, asked: &Asked);
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) accept: String,
    pub(crate) content_type: String,
    pub(crate) user_agent: String,
    pub(crate) body: Bytes,
}

impl Asked {
    pub(crate) fn new(agent: &str, method: &str, path: &str, query: &str, body: &Value) -> Self {
        let content_type =
            if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            accept: "application/json".to_owned(),
            content_type: content_type.to_owned(),
            user_agent: agent.to_owned(),
            body: body.to_string().into_bytes().into(),
        }
    }

    pub(crate) fn is_write(&self) -> bool {
        self.method != "GET" && !self.query.contains("dryRun")
    }

    fn is_watch(&self) -> bool {
        self.query.contains("watch=true")
    }

    fn in_sandbox(&self) -> trueup_sandbox::Request<'_> {
        trueup_sandbox::Request {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            accept: &self.accept,
            content_type: &self.content_type,
            user_agent: &self.user_agent,
            user: "",
            body: &self.body,
        }
    }
}

/// What can happen to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Answered,
    /// The connection breaks before the request is through.
    LostBefore,
    /// It breaks when the request has taken effect.
    LostAfter,
    /// The server has too much to do.
    Throttled,
    /// The server fails, before or after the effect.
    Failed,
    FailedAfter,
    /// Some write came in between.
    Conflict,
    /// The answer ends in its midst.
    Cut,
    /// The same, and nobody says so.
    Truncated,
    /// Something on the way asks twice.
    Repeated,
    /// The request is thought lost, and takes effect much later.
    Late,
    /// No answer comes.
    Hangs,
}

const FATES: [(u64, Fate); 11] = [
    (3, Fate::LostBefore),
    (3, Fate::LostAfter),
    (2, Fate::Throttled),
    (2, Fate::Failed),
    (2, Fate::FailedAfter),
    (1, Fate::Conflict),
    (2, Fate::Cut),
    (1, Fate::Truncated),
    (2, Fate::Repeated),
    (1, Fate::Late),
    (1, Fate::Hangs),
];

/// How the way to a cluster is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Weather {
    /// Requests of a thousand that something happens to.
    pub(crate) faults: u64,
    /// Whether nothing gets through at all.
    pub(crate) is_down: bool,
    /// Whether watches fall silent without an end.
    pub(crate) is_silent: bool,
}

#[derive(Clone)]
pub(crate) struct Cluster(Arc<Inner>);

struct Inner {
    name: String,
    state: Mutex<State>,
    /// Told of each change. Who waits is woken in order, unlike with tokio's `watch`.
    changes: Notify,
    witness: Arc<dyn Witness>,
    trace: Trace,
}

struct State {
    sandbox: Sandbox,
    weather: Weather,
    random: Random,
    /// Requests that will take effect some time.
    late: Vec<Late>,
    /// After so many requests the process is as good as dead: none goes through any more.
    doom: Option<u64>,
    earlier: Option<Snapshot>,
    /// Watches begun before this one are over.
    era: u64,
    /// Moves where the cluster is put back to a backup.
    history: u64,
    /// Whether it is away because it is being put back.
    is_stopped: bool,
    writes: u64,
    watches: u64,
    /// Whether anything may have changed since somebody looked.
    is_news: bool,
}

impl Cluster {
    pub(crate) fn new(
        name: &str,
        seed: u64,
        now: Timestamp,
        witness: Arc<dyn Witness>,
        trace: Trace,
    ) -> Self {
        let about = name.bytes().fold(7, |hash: u64, byte| hash.wrapping_mul(31) + u64::from(byte));
        let state = State {
            sandbox: Sandbox::new(now),
            weather: Weather::default(),
            random: Random::new(seed, about),
            late: Vec::new(),
            doom: None,
            earlier: None,
            era: 0,
            history: 0,
            is_stopped: false,
            writes: 0,
            watches: 0,
            is_news: true,
        };
        let (state, changes) = (Mutex::new(state), Notify::new());
        Self(Arc::new(Inner { name: name.to_owned(), state, changes, witness, trace }))
    }

    /// A client of trueup's.
    pub(crate) fn client(&self) -> kube::Client {
        let cluster = self.clone();
        let service = tower::service_fn(move |request| cluster.clone().serve(request).boxed());
        kube::Client::new(service, "default")
    }

    pub(crate) fn name(&self) -> &str {
        &self.0.name
    }

    pub(crate) fn set_weather(&self, weather: Weather) {
        self.lock().weather = weather;
    }

    pub(crate) fn weather(&self) -> Weather {
        self.lock().weather
    }

    /// Lets somebody else do something; gives the status code and the answer.
    pub(crate) fn act(&self, asked: &Asked) -> (u16, Value) {
        self.act_at(ambient::now(), asked)
    }

    /// The same at a time.
    pub(crate) fn act_at(&self, now: Timestamp, asked: &Asked) -> (u16, Value) {
        let answer = {
            let mut state = self.lock();
            state.is_news = true;
            self.0.witness.look(&self.0.name, &state.sandbox);
            state.sandbox.handle(now, &asked.in_sandbox())
        };
        self.changed();
        match answer {
            Answer::Json { code, body, .. } => (code, body),
            Answer::Watch(_) => (200, Value::Null),
        }
    }

    /// All objects as they are.
    pub(crate) fn objects(&self) -> Vec<Arc<Value>> {
        self.lock().sandbox.objects().cloned().collect()
    }

    /// Says what becomes of Jobs with an image, those included that have not ended.
    pub(crate) fn decide(&self, image: &str, fate: Option<workloads::Fate>) {
        let mut state = self.lock();
        state.sandbox.decide(image, fate);
        state.is_news = true;
        self.0.witness.look(&self.0.name, &state.sandbox);
        drop(state);
        self.changed();
    }

    /// Shows the witness what there is.
    pub(crate) fn show(&self) {
        self.0.witness.look(&self.0.name, &self.lock().sandbox);
    }

    /// Whether objects may be other ones than when this was asked last.
    pub(crate) fn is_news(&self) -> bool {
        std::mem::take(&mut self.lock().is_news)
    }

    /// How many writes of trueup took effect, dry runs and events aside.
    pub(crate) fn writes(&self) -> u64 {
        self.lock().writes
    }

    /// How many watches are under way.
    pub(crate) fn watches(&self) -> u64 {
        self.lock().watches
    }

    pub(crate) fn process_died(&self) {
        let mut state = self.lock();
        (state.watches, state.doom) = (0, None);
    }

    /// Ends all watches, and has the server forget what happened, as after a restart.
    pub(crate) fn restart(&self) {
        let mut state = self.lock();
        state.era += 1;
        state.sandbox.compact();
        drop(state);
        self.changed();
    }

    /// Ends all watches.
    pub(crate) fn disconnect(&self) {
        self.lock().era += 1;
        self.changed();
    }

    pub(crate) fn back_up(&self) {
        let mut state = self.lock();
        let snapshot = state.sandbox.snapshot();
        state.earlier = Some(snapshot);
    }

    /// Stops the server, so that it can be put back to the last backup: all connections end, and nothing gets through. Says whether there
    /// is a backup.
    pub(crate) fn stop(&self) -> bool {
        let mut state = self.lock();
        if state.earlier.is_none() {
            return false;
        }
        state.is_stopped = true;
        state.era += 1;
        state.history += 1;
        // Nothing that is on its way to a server outlives it; a record that knew of such a write is gone with it, too.
        state.late.clear();
        drop(state);
        self.changed();
        true
    }

    /// Starts the server again, as it was at the last backup.
    pub(crate) fn roll_back(&self) {
        let mut state = self.lock();
        state.is_stopped = false;
        let Some(earlier) = state.earlier.take() else { return };
        // Where nobody can hear of it in time, versions that are repeated cannot be told from those of before.
        let versions =
            if state.weather == Weather::default() { Versions::Repeated } else { Versions::Bumped };
        state.sandbox.roll_back(&earlier, versions);
        state.is_news = true;
        drop(state);
        self.changed();
    }

    /// Lets a request take effect that everybody thought lost.
    pub(crate) fn deliver_late(&self) {
        let late = {
            let mut state = self.lock();
            if state.late.is_empty() { None } else { Some(state.late.remove(0)) }
        };
        if let Some(Late { asked, .. }) = late {
            self.0.trace.note(|| format!("{}    late {} {}", self.0.name, asked.method, asked.path));
            self.act(&asked);
        }
    }

    /// Time has passed for requests that are late, up to now; some come too late.
    pub(crate) fn pass(&self, time: Duration, now: Timestamp) {
        let late = &mut self.lock().late;
        for one in late.iter_mut() {
            // The clock may jump between two steps, and not within one.
            one.age += one.sent.take().map_or(time, |sent| now.duration_since(sent).unsigned_abs());
        }
        late.retain(|one| one.age < LATEST);
    }

    /// Ends the process after so many more requests, in its eyes: what it still sends is lost.
    pub(crate) fn doom(&self, after: u64) {
        self.lock().doom = Some(after);
    }

    /// Whether a process is doomed.
    pub(crate) fn is_doomed(&self) -> bool {
        self.lock().doom == Some(0)
    }

    pub(crate) fn lose_late(&self) {
        let mut state = self.lock();
        state.late.clear();
        state.doom = None;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        self.0.changes.notify_waiters();
    }

    async fn serve(self, request: Request<kube::client::Body>) -> Result<Response<Body>, std::io::Error> {
        let (parts, body) = request.into_parts();
        let text = |name: header::HeaderName| {
            parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
        };
        let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
        let asked = Asked {
            method: parts.method.as_str().to_owned(),
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            accept: text(header::ACCEPT),
            content_type: text(header::CONTENT_TYPE),
            user_agent: text(header::USER_AGENT),
            body,
        };
        if self.is_over() {
            return std::future::pending().await;
        }
        let (history, is_stopped) = {
            let state = self.lock();
            (state.history, state.is_stopped)
        };
        let (fate, before, after, yields) = self.fate(&asked);
        for _ in 0..yields {
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(before).await;
        // What is on its way to a server that is put back does not reach it.
        let is_cut = is_stopped || self.lock().history != history;
        let answer = self.meet(if is_cut { Fate::LostBefore } else { fate }, &asked).await;
        if self.is_doomed() {
            return std::future::pending().await;
        }
        if let Some(after) = after {
            tokio::time::sleep(after).await;
        }
        let code = answer.as_ref().map_or(0, |response| response.status().as_u16());
        self.0.trace.note(|| {
            let told = if fate == Fate::Answered { String::new() } else { format!(" {fate:?}") };
            format!("{}    {code} {} {}?{}{told}", self.0.name, asked.method, asked.path, asked.query)
        });
        answer
    }

    /// Counts a request; whether the process has come to its end before it.
    fn is_over(&self) -> bool {
        let mut state = self.lock();
        match &mut state.doom {
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }

    fn fate(&self, asked: &Asked) -> (Fate, Duration, Option<Duration>, u64) {
        let mut state = self.lock();
        let weather = state.weather;
        let random = &mut state.random;
        let yields = random.below(3);
        let slow = if weather.faults > 0 && random.happens(20) { 2_000 } else { 12 };
        let before = Duration::from_millis(random.below(slow));
        let after = random.happens(500).then(|| Duration::from_millis(random.below(slow)));
        let fate = if weather.is_down {
            Fate::LostBefore
        } else if random.happens(weather.faults) {
            match random.weighted(&FATES) {
                Fate::Repeated | Fate::Late | Fate::Conflict | Fate::FailedAfter if asked.method == "GET" => {
                    Fate::Failed
                }
                Fate::Cut | Fate::Truncated if asked.is_watch() => Fate::Answered,
                fate => fate,
            }
        } else {
            Fate::Answered
        };
        (fate, before, after, yields)
    }

    async fn meet(&self, fate: Fate, asked: &Asked) -> Result<Response<Body>, std::io::Error> {
        let reset = || std::io::Error::new(std::io::ErrorKind::ConnectionReset, "connection reset by peer");
        match fate {
            Fate::Answered => Ok(self.effect(asked)),
            Fate::LostBefore => Err(reset()),
            Fate::LostAfter => {
                drop(self.effect(asked));
                Err(reset())
            }
            Fate::Throttled => {
                let mut response = refusal(429, "TooManyRequests", "the server has too much to do");
                response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
                Ok(response)
            }
            Fate::Failed => Ok(refusal(500, "InternalError", "etcdserver: leader changed")),
            Fate::FailedAfter => {
                drop(self.effect(asked));
                Ok(refusal(504, "Timeout", "the request took too long"))
            }
            Fate::Conflict => {
                Ok(refusal(409, "Conflict", "Operation cannot be fulfilled: the object has been modified"))
            }
            Fate::Cut => {
                let whole = self.effect(asked).into_body().collect().await;
                let bytes = whole.map_err(std::io::Error::other)?.to_bytes();
                let half = bytes.slice(..bytes.len() / 2);
                let parts = [Ok(half), Err(std::io::Error::other("unexpected end of file"))];
                Ok(Response::new(Body::from_stream(futures::stream::iter(parts))))
            }
            Fate::Truncated => {
                let (parts, body) = self.effect(asked).into_parts();
                let bytes = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
                Ok(Response::from_parts(parts, Body::from(bytes.slice(..bytes.len() / 2))))
            }
            Fate::Repeated => {
                drop(self.effect(asked));
                Ok(self.effect(asked))
            }
            Fate::Late => {
                let sent = Some(ambient::now());
                let mut state = self.lock();
                if asked.is_write() {
                    self.0.witness.delay(&self.0.name, &state.sandbox, asked);
                }
                state.late.push(Late { age: Duration::ZERO, sent, asked: asked.clone() });
                Err(reset())
            }
            Fate::Hangs => std::future::pending().await,
        }
    }

    /// What a cluster without kinds of its own tells of itself: the same each time, and large.
    fn told_before(&self, asked: &Asked) -> Option<Response<Body>> {
        type Told = BTreeMap<(String, String, String), (u16, &'static str, Bytes)>;
        static TOLD: Mutex<Told> = Mutex::new(BTreeMap::new());
        let is_about_itself =
            asked.path == "/api" || asked.path == "/apis" || asked.path.starts_with("/openapi");
        let mut state = self.lock();
        let is_custom = |object: &Arc<Value>| object["kind"] == "CustomResourceDefinition";
        if !is_about_itself || state.sandbox.objects().any(is_custom) {
            return None;
        }
        let key = (asked.path.clone(), asked.query.clone(), asked.accept.clone());
        let known = TOLD.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        let (code, media_type, body) = match known {
            Some(known) => known,
            None => match state.sandbox.handle(ambient::now(), &asked.in_sandbox()) {
                Answer::Json { code, body, media_type } => {
                    let told = (code, media_type, Bytes::from(body.to_string()));
                    TOLD.lock().unwrap_or_else(PoisonError::into_inner).insert(key, told.clone());
                    told
                }
                Answer::Watch(_) => return None,
            },
        };
        Some(response(code, media_type, Body::from(body)))
    }

    fn effect(&self, asked: &Asked) -> Response<Body> {
        if let Some(told) = self.told_before(asked) {
            return told;
        }
        let answer = {
            let mut state = self.lock();
            if asked.is_write() {
                self.0.witness.look(&self.0.name, &state.sandbox);
                self.0.witness.write(&self.0.name, &state.sandbox, asked);
                state.writes += u64::from(!asked.path.ends_with("/events"));
                state.is_news = true;
            }
            state.sandbox.handle(ambient::now(), &asked.in_sandbox())
        };
        // Whoever only reads changes nothing that a watch would have to be told.
        if asked.is_write() {
            self.changed();
        }
        match answer {
            Answer::Json { code, body, media_type } => json_response(code, media_type, &body),
            Answer::Watch(watch) => {
                let mut state = self.lock();
                state.watches += 1;
                let stream = Stream {
                    ends: tokio::time::Instant::now() + Duration::from_secs(watch.timeout.unwrap_or(1800)),
                    era: state.era,
                    history: state.history,
                    cluster: self.clone(),
                    watch,
                    is_over: false,
                };
                let lines = futures::stream::unfold(stream, |mut stream| async move {
                    let lines = stream.next().await?;
                    Some((lines, stream))
                });
                Response::new(Body::from_stream(lines))
            }
        }
    }
}

fn json_response(code: u16, media_type: &str, body: &Value) -> Response<Body> {
    response(code, media_type, Body::from(serde_json::to_vec(body).unwrap_or_default()))
}

fn response(code: u16, media_type: &str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Ok(value) = header::HeaderValue::from_str(media_type) {
        response.headers_mut().insert(header::CONTENT_TYPE, value);
    }
    response
}

fn refusal(code: u16, reason: &str, message: &str) -> Response<Body> {
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code});
    json_response(code, "application/json", &status)
}

/// A watch under way.
struct Stream {
    cluster: Cluster,
    watch: trueup_sandbox::watch::Watch,
    ends: tokio::time::Instant,
    era: u64,
    history: u64,
    is_over: bool,
}

impl Drop for Stream {
    fn drop(&mut self) {
        let mut state = self.cluster.lock();
        state.watches = state.watches.saturating_sub(1);
    }
}

impl Stream {
    /// A server that is put back to a backup is another process: not even the connections of which nobody hears outlive that.
    async fn until_another_history(&self) {
        loop {
            let changed = self.cluster.0.changes.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.cluster.lock().history != self.history {
                return;
            }
            changed.await;
        }
    }

    /// The next events, a line each; `None` when the watch is over.
    async fn next(&mut self) -> Option<Result<Bytes, std::io::Error>> {
        if self.is_over {
            return None;
        }
        let cluster = self.cluster.clone();
        let bookmark = tokio::time::sleep(BOOKMARK);
        let ends = tokio::time::sleep_until(self.ends);
        tokio::pin!(bookmark, ends);
        loop {
            let changed = cluster.0.changes.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if cluster.weather().is_silent {
                self.until_another_history().await;
                return None;
            }
            match self.tell() {
                Told::Nothing => {}
                Told::Over => return None,
                Told::Reset => return Some(Err(std::io::Error::other("reset"))),
                Told::Lines(lines, lag) => {
                    // What is on its way when a connection ends comes before the end does.
                    tokio::select! {
                        biased;
                        () = tokio::time::sleep(lag) => {}
                        () = self.until_another_history() => {}
                    }
                    return Some(Ok(lines));
                }
            }
            tokio::select! {
                biased;
                () = changed => {}
                () = ends.as_mut() => return None,
                () = bookmark.as_mut() => {
                    bookmark.as_mut().reset(tokio::time::Instant::now() + BOOKMARK);
                    let mut state = cluster.lock();
                    let faults = state.weather.faults;
                    let is_skipped = state.random.happens(faults);
                    if let Some(bookmark) = state.sandbox.bookmark(&self.watch).filter(|_| !is_skipped) {
                        return Some(Ok(format!("{bookmark}\n").into()));
                    }
                }
            }
        }
    }

    /// What is to be told now.
    fn tell(&mut self) -> Told {
        let mut state = self.cluster.lock();
        if state.era != self.era {
            return if state.random.happens(500) { Told::Over } else { Told::Reset };
        }
        let events = state.sandbox.events(&mut self.watch);
        if events.is_empty() {
            return Told::Nothing;
        }
        let faults = state.weather.faults;
        let longest = if faults > 0 && state.random.happens(30) { 3_000 } else { 15 };
        let lag = Duration::from_millis(state.random.below(longest));
        let is_cut = state.random.happens(faults / 4);
        self.is_over = is_cut || events.last().is_some_and(|event| event["type"] == "ERROR");
        let mut lines = Vec::new();
        for event in &events {
            let _ = serde_json::to_writer(&mut lines, event);
            lines.push(b'\n');
        }
        if is_cut {
            // A connection that breaks does so in the midst of an event.
            lines.truncate(lines.len() / 2);
        }
        Told::Lines(lines.into(), lag)
    }
}

/// What a watch tells at a moment.
enum Told {
    /// It waits for something to happen.
    Nothing,
    /// The connection ends.
    Over,
    /// It breaks.
    Reset,
    /// Events, after some time.
    Lines(Bytes, Duration),
}

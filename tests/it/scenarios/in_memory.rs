//! A sandbox that a scenario takes for an API server: served over HTTP, with a kubeconfig that leads to it, its requests counted.
//!
//! Enters: what the cluster is to be like. Leaves: what [`trueup_testkit::ControlPlane`] tells of itself. Absent: everything that is
//! not the sandbox's own; what answers a request is what answers one in the demo.

use super::journal::{Journal, note};
use anyhow::{Result, ensure};
use axum::Router;
use axum::extract::Request as Asked;
use axum::http::{HeaderValue, header};
use axum::middleware::{from_fn_with_state, map_request_with_state};
use jiff::Timestamp;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use trueup_sandbox::Sandbox;
use trueup_sandbox::authorize::Authorization;
use trueup_sandbox::serve::Served;
use trueup_testkit::{Api, Components, Mark, Options, Port, Request, USER_AGENT, User};

const ADMINISTRATOR: &str = "admin";

/// A served sandbox; it ends with the value.
pub(crate) struct InMemory {
    api: Api,
    folder: tempfile::TempDir,
    served: Served,
    users: Arc<Vec<User>>,
    journal: Journal,
    serving: Mutex<Option<Serving>>,
    port: Port,
}

impl InMemory {
    /// Starts one, and returns when it can be asked.
    pub(crate) fn start(options: &Options) -> Result<Self> {
        ensure!(options.api_server_flags.is_empty(), "the sandbox has no flags");
        let mut sandbox = match options.components {
            Components::Full => Sandbox::new(Timestamp::now()),
            Components::ApiOnly => Sandbox::api_only(Timestamp::now()),
        };
        // The administrator, who has no token, may do everything; others have what roles give them.
        sandbox.authorize(Authorization::Roles);
        let (port, folder) = (Port::claim()?, tempfile::tempdir()?);
        let tokens = options.users.iter().map(|user| (user.name.as_str(), user.token.as_str()));
        for (user, token) in tokens.chain([(ADMINISTRATOR, "")]) {
            fs::write(folder.path().join(user), kubeconfig(port.number(), token))?;
        }
        let sandbox = Self {
            api: Api::from_kubeconfig(&folder.path().join(ADMINISTRATOR))?,
            folder,
            served: Served::new(sandbox),
            users: Arc::new(options.users.clone()),
            journal: Journal::default(),
            serving: Mutex::default(),
            port,
        };
        sandbox.go_on();
        Ok(sandbox)
    }

    pub(crate) fn api(&self) -> &Api {
        &self.api
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.kubeconfig_for(ADMINISTRATOR)
    }

    pub(crate) fn kubeconfig_for(&self, user: &str) -> PathBuf {
        self.folder.path().join(user)
    }

    /// A mark between the requests before and after now.
    pub(crate) fn mark(&self) -> Mark {
        self.journal.mark()
    }

    /// The requests that were answered since the mark, but for the tests' own.
    pub(crate) fn requests_since(&self, mark: Mark) -> Vec<Request> {
        let mut requests = self.journal.since(mark);
        requests.retain(|request| !request.user_agent.starts_with(USER_AGENT));
        requests
    }

    /// Ends it as a process ends: no connection is left, and what it keeps is kept.
    pub(crate) fn stop(&self) {
        drop(self.serving().take());
    }

    /// Serves, on the same port and with what was kept.
    pub(crate) fn go_on(&self) {
        let serving = Serving::begin(self).expect("it can be served");
        *self.serving() = Some(serving);
    }

    fn serving(&self) -> std::sync::MutexGuard<'_, Option<Serving>> {
        self.serving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread that serves until this is dropped.
struct Serving {
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Serving {
    /// The thread has a runtime of its own: with it each connection ends.
    fn begin(sandbox: &InMemory) -> Result<Self> {
        let listener = sandbox.port.listen()?;
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let (served, users, journal) =
            (sandbox.served.clone(), sandbox.users.clone(), sandbox.journal.clone());
        let gate = |router: Router| {
            let router = router.layer(map_request_with_state(users, name_user));
            router.layer(from_fn_with_state(journal, note))
        };
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).expect("a listener");
                served.serve_behind(listener, gate, stopped).await.expect("it is served");
            });
        });
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            // It has nothing to tell, not even of a panic.
            let _ = thread.join();
        }
    }
}

/// Puts the name of the user in the place of its token.
async fn name_user(
    axum::extract::State(users): axum::extract::State<Arc<Vec<User>>>,
    mut asked: Asked,
) -> Asked {
    let token = asked.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = token.and_then(|value| value.strip_prefix("Bearer "));
    let user = users.iter().find(|user| Some(user.token.as_str()) == token);
    if let Some(name) = user.and_then(|user| HeaderValue::from_str(&user.name).ok()) {
        asked.headers_mut().insert("impersonate-user", name);
    }
    asked
}

fn kubeconfig(port: u16, token: &str) -> String {
    let user = if token.is_empty() { String::new() } else { format!("token: {token}") };
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: sandbox\n\
         clusters: [{{name: sandbox, cluster: {{server: 'http://127.0.0.1:{port}'}}}}]\n\
         users: [{{name: sandbox, user: {{{user}}}}}]\n\
         contexts: [{{name: sandbox, context: {{cluster: sandbox, user: sandbox}}}}]\n"
    )
}

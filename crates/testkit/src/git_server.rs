//! A Git server over HTTP: `git http-backend` behind a small server on a loopback port, which can ask for credentials, speak
//! TLS, go away and come back.

use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Result, bail};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::certificates::Authority;
use crate::git_http::{Incoming, Outgoing};
use crate::git_repo::GitRepo;
use crate::port::Port;

/// A client that stops in the middle of a request must not keep a thread for ever.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who may use a [`GitServer`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Everyone.
    Anyone,
    /// Who gives this user and password by basic authentication.
    Basic {
        /// The user's name.
        user: String,
        /// The user's password.
        password: String,
    },
    /// Who gives this bearer token.
    Bearer {
        /// The token.
        token: String,
    },
}

/// How a [`GitServer`] is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// `http://`
    Plain,
    /// `https://` with a certificate of an authority made for this server, see [`GitServer::authority`].
    Tls,
}

/// One request that a [`GitServer`] answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitRequest {
    /// The HTTP method.
    pub method: String,
    /// The path: `/config.git/info/refs`, `/config.git/git-upload-pack`.
    pub path: String,
    /// The query: `service=git-upload-pack`.
    pub query: String,
    /// The HTTP status of the answer.
    pub status: u16,
    /// The bytes of the answer's body.
    pub sent: usize,
}

/// A running server; it ends with the value.
#[derive(Debug)]
pub struct GitServer {
    port: Port,
    shared: Arc<Shared>,
    authority: Option<String>,
    listening: Mutex<Option<JoinHandle<()>>>,
}

/// What is below the root.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Content {
    Repositories,
    Files,
}

struct Shared {
    root: PathBuf,
    content: Content,
    tls: Option<Arc<ServerConfig>>,
    access: Mutex<Access>,
    delay: Mutex<Duration>,
    requests: Mutex<Vec<GitRequest>>,
    stop: Mutex<bool>,
}

impl GitServer {
    /// Serves a repository over plain HTTP to everyone.
    pub fn serve(repo: &GitRepo) -> Result<Self> {
        Self::start(&repo.served_path(), Access::Anyone, Transport::Plain)
    }

    /// Serves the bare repositories in the folder `root`.
    pub fn start(root: &Path, access: Access, transport: Transport) -> Result<Self> {
        Self::start_with(root, Content::Repositories, access, transport)
    }

    pub(crate) fn start_with(
        root: &Path,
        content: Content,
        access: Access,
        transport: Transport,
    ) -> Result<Self> {
        let (tls, authority) = match transport {
            Transport::Plain => (None, None),
            Transport::Tls => {
                let authority = Authority::new()?;
                (Some(authority.loopback()?.server_config()?), Some(authority.certificate().to_owned()))
            }
        };
        let shared = Arc::new(Shared {
            root: root.to_owned(),
            content,
            tls,
            access: Mutex::new(access),
            delay: Mutex::default(),
            requests: Mutex::default(),
            stop: Mutex::new(false),
        });
        let server = Self { port: Port::claim()?, shared, authority, listening: Mutex::new(None) };
        server.resume()?;
        Ok(server)
    }

    /// The URL of a repository in the root: `url("config.git")`.
    pub fn url(&self, repository: &str) -> String {
        let scheme = if self.authority.is_some() { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}/{repository}", self.port.number())
    }

    /// The certificate to trust, PEM, where the server speaks TLS.
    pub fn authority(&self) -> Option<&str> {
        self.authority.as_deref()
    }

    /// Changes who may use the server from now on.
    pub fn set_access(&self, access: Access) {
        *lock(&self.shared.access) = access;
    }

    /// How long each answer takes from now on.
    pub fn set_delay(&self, delay: Duration) {
        *lock(&self.shared.delay) = delay;
    }

    /// All requests so far, in the order of their answers.
    pub fn requests(&self) -> Vec<GitRequest> {
        lock(&self.shared.requests).clone()
    }

    /// The number of requests so far.
    pub fn request_count(&self) -> usize {
        lock(&self.shared.requests).len()
    }

    /// Goes away: connections are refused. The port stays claimed.
    pub fn pause(&self) -> Result<()> {
        let Some(thread) = lock(&self.listening).take() else {
            bail!("the server is paused already");
        };
        *lock(&self.shared.stop) = true;
        // The thread waits for a connection; this one lets it look at `stop`.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port.number())));
        if thread.join().is_err() {
            bail!("the server's thread panicked");
        }
        Ok(())
    }

    /// Comes back on the same port.
    pub fn resume(&self) -> Result<()> {
        let mut listening = lock(&self.listening);
        if listening.is_some() {
            bail!("the server is running already");
        }
        let listener = self.port.listen()?;
        *lock(&self.shared.stop) = false;
        let shared = Arc::clone(&self.shared);
        *listening = Some(thread::spawn(move || accept(&listener, &shared)));
        Ok(())
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        // Paused already is as good as stopped.
        let _ = self.pause();
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Shared").field("root", &self.root).finish_non_exhaustive()
    }
}

/// Serves each connection in a thread of its own until it is told to stop.
fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if *lock(&shared.stop) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let shared = Arc::clone(shared);
        // A client that goes away or speaks nonsense gets no answer; the test sees it at the client.
        thread::spawn(move || drop(shared.answer(stream)));
    }
}

impl Shared {
    fn answer(&self, stream: TcpStream) -> Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        match &self.tls {
            None => self.exchange(stream),
            Some(config) => {
                let mut connection = StreamOwned::new(ServerConnection::new(Arc::clone(config))?, stream);
                self.exchange(&mut connection)?;
                connection.conn.send_close_notify();
                connection.conn.write_tls(&mut connection.sock)?;
                Ok(())
            }
        }
    }

    fn exchange(&self, mut stream: impl io::Read + io::Write) -> Result<()> {
        let Some(request) = Incoming::read(&mut stream)? else {
            return Ok(());
        };
        let delay = *lock(&self.delay);
        thread::sleep(delay);
        let answer = self.answer_to(&request)?;
        lock(&self.requests).push(GitRequest {
            method: request.method,
            path: request.path,
            query: request.query,
            status: answer.status,
            sent: answer.body.len(),
        });
        answer.write(&mut stream)
    }

    fn content_for(&self, request: &Incoming) -> Result<Outgoing> {
        match self.content {
            Content::Repositories => Outgoing::of_git(&self.root, request),
            Content::Files => Outgoing::of_file(&self.root, request),
        }
    }

    fn answer_to(&self, request: &Incoming) -> Result<Outgoing> {
        let access = lock(&self.access).clone();
        let (challenge, expected) = match access {
            Access::Anyone => return self.content_for(request),
            Access::Basic { user, password } => {
                let pair = BASE64_STANDARD.encode(format!("{user}:{password}"));
                ("Basic realm=\"testkit\"", format!("Basic {pair}"))
            }
            Access::Bearer { token } => ("Bearer realm=\"testkit\"", format!("Bearer {token}")),
        };
        if request.header("authorization") == Some(expected.as_str()) {
            return self.content_for(request);
        }
        Ok(Outgoing::text(401, &[("WWW-Authenticate", challenge)], "who are you?\n"))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each holder writes one value at once; a panic leaves nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! A conversation with a Git server: what references it has, and the objects of one commit.
//!
//! It begins with a greeting, in which the server says what it can do. A conversation that is over is kept for the next
//! action: over http what the server said holds until something fails, over ssh the process goes on for a moment.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use gix::progress::Discard;
use gix::protocol::handshake::Ref;
use gix::protocol::ls_refs::RefPrefixes;
use gix::protocol::transport::client::blocking_io::{Transport, http::connect_http};
use gix::protocol::transport::client::git::{ConnectMode, blocking_io::Connection};
use gix::protocol::transport::{Protocol, Service};
use gix::protocol::{Handshake, LsRefsCommand};

use super::http::{self, Carrier, ClearText, Clients, Wire};
use super::limits::{Current, GaveUp, Limits};
use super::objects::text;
use super::receive::{Ask, Received, receive};
use super::reference::Listed;
use super::ssh;
use super::{Location, SourceError, Spec};

/// For so long what a server said that it can do is believed.
const BELIEVED: Duration = Duration::from_hours(1);
/// For so long an ssh process waits for the fetch after the question.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server, and how to be let in there.
pub(super) struct Remote {
    location: Location,
    spec: Spec,
    clients: Clients,
    /// The conversation before, which can be gone on with.
    kept: Mutex<Option<Session>>,
}

/// A conversation that has begun.
pub(super) struct Session {
    /// Absent after a failure.
    transport: Option<Box<dyn Transport + Send>>,
    handshake: Handshake,
    ears: Ears,
    location: String,
    limits: Current,
    begun: Instant,
}

/// What is expected to follow an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Another one at once.
    Soon,
    /// Nothing, for now.
    Later,
}

/// Where the reason of a failure is found.
enum Ears {
    Http(Arc<Wire>),
    Ssh(Box<ssh::Process>),
}

impl Ears {
    fn forget_key(&mut self) {
        match self {
            Self::Http(_) => {}
            Self::Ssh(process) => process.forget_key(),
        }
    }
}

/// Why no objects came.
#[derive(Debug)]
pub(super) enum FetchError {
    /// It is the server, the network or the file system.
    Source(SourceError),
    /// The server does not give out that object by its id.
    NotOffered,
    /// It would be large, and the server can send parts.
    Large,
    /// What came did not fit with what is there: the mirror is not to be trusted.
    Unusable(String),
}

impl From<SourceError> for FetchError {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

impl Remote {
    pub(super) fn new(spec: &Spec, clients: &Clients) -> Self {
        Self {
            location: spec.location.clone(),
            spec: spec.clone(),
            clients: clients.clone(),
            kept: Mutex::default(),
        }
    }

    pub(super) fn location(&self) -> String {
        self.location.to_string()
    }

    /// Does `work` in the conversation that was kept, or in a new one. One that was kept may have ended meanwhile, and what
    /// the server said may hold no longer: when it fails, `work` is done once more in a new one.
    pub(super) fn converse<T>(
        self: &Arc<Self>,
        limits: &Limits,
        next: impl Fn(&T) -> Next,
        mut work: impl FnMut(&mut Session) -> Result<T, FetchError>,
    ) -> Result<T, FetchError> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut session) = kept.filter(|session| session.begun.elapsed() < BELIEVED) {
            session.limits.set(limits);
            match work(&mut session) {
                Err(FetchError::Source(_)) if session.transport.is_none() && limits.ended().is_none() => {}
                done => {
                    self.keep(session, done.as_ref().map_or(Next::Later, &next), limits);
                    return done;
                }
            }
        }
        let mut session = self.greet(limits)?;
        let done = work(&mut session);
        self.keep(session, done.as_ref().map_or(Next::Later, &next), limits);
        done
    }

    /// Keeps what can be gone on with: http holds nothing open meanwhile, an ssh process stays for what comes next only.
    fn keep(self: &Arc<Self>, session: Session, next: Next, limits: &Limits) {
        let is_kept = session.transport.is_some()
            && session.handshake.server_protocol_version == Protocol::V2
            && match (&session.ears, next) {
                (Ears::Http(wire), _) => wire.finish(),
                (Ears::Ssh(_), Next::Soon) => true,
                (Ears::Ssh(_), Next::Later) => false,
            };
        if !is_kept {
            session.end();
            return;
        }
        if matches!(session.ears, Ears::Ssh(_)) {
            let (remote, begun) = (self.clone(), session.begun);
            limits.spawn(async move {
                tokio::time::sleep(PATIENCE).await;
                let mut kept = remote.kept.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.as_ref().is_some_and(|session| session.begun == begun) {
                    *kept = None;
                }
            });
        }
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(session);
    }

    /// Connects and shakes hands.
    fn greet(&self, limits: &Limits) -> Result<Session, SourceError> {
        let location = self.location();
        let current = Current::new(limits);
        let (mut transport, mut ears) = self.open(&location, &current)?;
        let shaken = gix::protocol::handshake(
            &mut transport,
            Service::UploadPack,
            // No credential program is ever asked: what the source has is already in the request.
            |_| Ok(None),
            Vec::new(),
            &mut Discard,
        );
        match shaken {
            Ok(handshake) => {
                ears.forget_key();
                let begun = Instant::now();
                Ok(Session { transport: Some(transport), handshake, ears, location, limits: current, begun })
            }
            Err(error) => {
                drop(transport);
                Err(explain(&mut ears, &location, limits, "asking", &error))
            }
        }
    }

    fn open(
        &self,
        location: &str,
        current: &Current,
    ) -> Result<(Box<dyn Transport + Send>, Ears), SourceError> {
        match &self.location {
            Location::Http(url) => {
                let clear_text = if self.spec.insecure { ClearText::Allowed } else { ClearText::Refused };
                let authorization = http::authorization(url, &self.spec.credentials, clear_text)?;
                let client = self.clients.get(url, &self.spec.credentials)?;
                let wire = Arc::new(Wire::new(client, url.clone(), authorization, current.clone()));
                let address = gix::Url::from_bytes(url.url.as_str().into()).map_err(|error| {
                    SourceError::Invalid { location: location.to_owned(), cause: error.to_string() }
                })?;
                let transport = connect_http(Carrier(wire.clone()), address, Protocol::V2, false);
                Ok((Box::new(transport), Ears::Http(wire)))
            }
            Location::Ssh(url) => {
                let (process, (read, write)) = ssh::start(url, location, &self.spec.credentials, current)?;
                let host = None::<(String, Option<u16>)>;
                let path = url.path.as_str();
                let transport =
                    Connection::new(read, write, Protocol::V2, path, host, ConnectMode::Process, false);
                Ok((Box::new(transport), Ears::Ssh(Box::new(process))))
            }
            Location::Folder(_) | Location::File(_) | Location::Chart(_) => {
                let cause = "nobody speaks Git there".into();
                Err(SourceError::Invalid { location: location.to_owned(), cause })
            }
        }
    }
}

impl Session {
    /// The references that start with one of the prefixes.
    pub(super) fn list(&mut self, starts: &[String]) -> Result<Vec<Listed>, SourceError> {
        let refs = match (&self.handshake.refs, &mut self.transport) {
            // An old server lists everything at once.
            (Some(refs), _) => Ok(refs.clone()),
            (None, Some(transport)) => {
                let mut prefixes = RefPrefixes::new();
                prefixes.extend(starts.iter().map(|start| start.as_str().into()));
                LsRefsCommand::new(Some(prefixes), &self.handshake.capabilities, agent()).invoke_blocking(
                    transport,
                    &mut Discard,
                    false,
                )
            }
            (None, None) => Ok(Vec::new()),
        };
        match refs {
            Ok(refs) => {
                let is_wanted = |at: &Listed| starts.iter().any(|start| at.name.starts_with(start.as_str()));
                Ok(refs.iter().filter_map(listed).filter(is_wanted).collect())
            }
            Err(error) => Err(self.explain("asking", &error)),
        }
    }

    pub(super) fn location(&self) -> &str {
        &self.location
    }

    /// Which hash the server's objects have.
    pub(super) fn hash(&self) -> gix::hash::Kind {
        let format = self.handshake.capabilities.capability("object-format");
        match format.and_then(|format| format.value().map(ToString::to_string)).as_deref() {
            Some("sha256") => gix::hash::Kind::Sha256,
            Some(_) | None => gix::hash::Kind::Sha1,
        }
    }

    /// Whether the server can leave history out.
    pub(super) fn can_be_shallow(&self) -> bool {
        match self.handshake.server_protocol_version {
            Protocol::V2 => self.fetch_supports("shallow"),
            Protocol::V0 | Protocol::V1 => self.handshake.capabilities.contains("shallow"),
        }
    }

    /// Whether the server can leave files out, and gives out those that are wanted by their ids.
    pub(super) fn can_be_partial(&self) -> bool {
        match self.handshake.server_protocol_version {
            Protocol::V2 => self.fetch_supports("filter") && self.fetch_supports("shallow"),
            // The old protocol has wants by id as a capability of its own, which few servers have.
            Protocol::V0 | Protocol::V1 => false,
        }
    }

    fn fetch_supports(&self, feature: &str) -> bool {
        let fetch = self.handshake.capabilities.capability("fetch");
        fetch.and_then(|fetch| fetch.supports(feature)).unwrap_or(false)
    }

    /// Receives what is asked for into the object database of `repository`.
    pub(super) fn fetch(&mut self, repository: &gix::Repository, ask: &Ask) -> Result<(), FetchError> {
        let Some(mut transport) = self.transport.take() else { return Ok(()) };
        let error = match receive(&mut transport, &mut self.handshake, repository, ask) {
            Ok(Received::All) => {
                self.transport = Some(transport);
                return Ok(());
            }
            Ok(Received::Large) => return Err(FetchError::Large),
            Err(error) => error,
        };
        drop(transport);
        let said = text(&error);
        if let Some(known) = known(&mut self.ears, &self.location, &self.limits.get(), "fetching") {
            return Err(known.into());
        }
        if said.contains("not our ref") || said.contains("unadvertised object") {
            return Err(FetchError::NotOffered);
        }
        match error.downcast_any_ref::<std::io::Error>().map(std::io::Error::kind) {
            Some(
                kind @ (std::io::ErrorKind::StorageFull
                | std::io::ErrorKind::PermissionDenied
                | std::io::ErrorKind::ReadOnlyFilesystem
                | std::io::ErrorKind::QuotaExceeded),
            ) => Err(SourceError::io("write", repository.git_dir(), kind.into()).into()),
            Some(std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::ConnectionReset) => {
                Err(SourceError::Unreachable { location: self.location.clone(), cause: said }.into())
            }
            Some(_) | None => Err(FetchError::Unusable(said)),
        }
    }

    /// Tells the server that nothing more will be asked.
    fn end(mut self) {
        if let Some(mut transport) = self.transport.take() {
            let _ = gix::protocol::indicate_end_of_interaction(&mut transport, false);
        }
    }

    fn explain(&mut self, doing: &'static str, error: &gix::Error) -> SourceError {
        // ssh ends when its pipes do; only then it has said all.
        self.transport = None;
        explain(&mut self.ears, &self.location, &self.limits.get(), doing, error)
    }
}

pub(super) fn agent() -> gix::protocol::command::Feature {
    ("agent", Some(concat!("git/trueup-", env!("CARGO_PKG_VERSION")).into()))
}

fn listed(found: &Ref) -> Option<Listed> {
    let (name, advertised, commit, target) = match found {
        Ref::Peeled { full_ref_name, tag, object } => (full_ref_name, *tag, *object, None),
        Ref::Direct { full_ref_name, object } => (full_ref_name, *object, *object, None),
        Ref::Symbolic { full_ref_name, target, tag, object } => {
            (full_ref_name, tag.unwrap_or(*object), *object, Some(target.to_string()))
        }
        Ref::Unborn { .. } => return None,
    };
    Some(Listed { name: name.to_string(), commit, advertised, target })
}

/// What the transport or the limits know of a failure.
fn known(ears: &mut Ears, location: &str, limits: &Limits, doing: &'static str) -> Option<SourceError> {
    match limits.ended() {
        Some(GaveUp::TimedOut) => {
            let location = location.to_owned();
            return Some(SourceError::Timeout { location, doing, after: limits.after });
        }
        Some(gave_up @ GaveUp::Abandoned) => {
            let location = location.to_owned();
            return Some(SourceError::Unreachable { location, cause: gave_up.to_string() });
        }
        None => {}
    }
    match ears {
        Ears::Http(wire) => wire.take_failure(),
        Ears::Ssh(process) => process.explain(),
    }
}

fn explain(
    ears: &mut Ears,
    location: &str,
    limits: &Limits,
    doing: &'static str,
    error: &gix::Error,
) -> SourceError {
    if let Some(known) = known(ears, location, limits, doing) {
        return known;
    }
    let cause = text(error);
    let location = location.to_owned();
    if cause.contains("to indicate 'smart' protocol") {
        let cause = "what answers there does not speak Git's smart protocol; check the URL".into();
        return SourceError::NotFound { location, cause };
    }
    let lower = cause.to_lowercase();
    if lower.contains("not found") || lower.contains("does not appear to be a git repository") {
        return SourceError::NotFound { location, cause };
    }
    SourceError::Unreachable { location, cause }
}

//! One conversation with a Git server: what references it has, and the objects of one commit.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError};

use gix::progress::Discard;
use gix::protocol::fetch::negotiate::{Action, Round, one_round};
use gix::protocol::fetch::{Arguments, Context, Negotiate, Options, Response, Shallow, Tags};
use gix::protocol::handshake::Ref;
use gix::protocol::ls_refs::RefPrefixes;
use gix::protocol::transport::client::blocking_io::{Transport, http::connect_http};
use gix::protocol::transport::client::git::{ConnectMode, blocking_io::Connection};
use gix::protocol::transport::{Protocol, Service};
use gix::protocol::{Handshake, LsRefsCommand};

use super::http::{self, Carrier, ClearText, Clients, Failure, Wire};
use super::limits::{GaveUp, Limits};
use super::objects::text;
use super::reference::Listed;
use super::ssh;
use super::{Location, SourceError, Spec};

/// A larger object in a pack is refused before memory is taken for it.
const MAX_OBJECT: usize = 1 << 30;

/// A server, and how to be let in there.
pub(super) struct Remote {
    location: Location,
    spec: Spec,
    clients: Clients,
}

/// A conversation that has begun.
pub(super) struct Session {
    transport: Option<Box<dyn Transport>>,
    handshake: Handshake,
    ears: Ears,
    location: String,
    limits: Limits,
}

/// Where the reason of a failure is found.
enum Ears {
    Http(Failure),
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
        Self { location: spec.location.clone(), spec: spec.clone(), clients: clients.clone() }
    }

    pub(super) fn location(&self) -> String {
        self.location.to_string()
    }

    /// Connects and shakes hands.
    pub(super) fn connect(&self, limits: &Limits) -> Result<Session, SourceError> {
        let location = self.location();
        let (mut transport, mut ears): (Box<dyn Transport>, Ears) = match &self.location {
            Location::Http(url) => {
                let clear_text = if self.spec.insecure { ClearText::Allowed } else { ClearText::Refused };
                let failure = Failure::default();
                let wire = Wire {
                    client: self.clients.get(url, &self.spec.credentials)?,
                    url: url.clone(),
                    authorization: http::authorization(url, &self.spec.credentials, clear_text)?,
                    limits: limits.clone(),
                    failure: failure.clone(),
                    redirected: Arc::default(),
                };
                let address = gix::Url::from_bytes(url.url.as_str().into()).map_err(|error| {
                    SourceError::Invalid { location: location.clone(), cause: error.to_string() }
                })?;
                let transport = connect_http(Carrier(Arc::new(wire)), address, Protocol::V2, false);
                (Box::new(transport), Ears::Http(failure))
            }
            Location::Ssh(url) => {
                let (process, (read, write)) = ssh::start(url, &location, &self.spec.credentials, limits)?;
                let host = None::<(String, Option<u16>)>;
                let path = url.path.as_str();
                let transport =
                    Connection::new(read, write, Protocol::V2, path, host, ConnectMode::Process, false);
                (Box::new(transport), Ears::Ssh(Box::new(process)))
            }
            Location::Folder(_) | Location::File(_) => {
                return Err(SourceError::Invalid { location, cause: "nobody speaks Git there".into() });
            }
        };
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
                let limits = limits.clone();
                Ok(Session { transport: Some(transport), handshake, ears, location, limits })
            }
            Err(error) => {
                drop(transport);
                Err(explain(&mut ears, &location, limits, "asking", &error))
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
        let capabilities = &self.handshake.capabilities;
        match self.handshake.server_protocol_version {
            Protocol::V2 => {
                capabilities.capability("fetch").and_then(|fetch| fetch.supports("shallow")).unwrap_or(false)
            }
            Protocol::V0 | Protocol::V1 => capabilities.contains("shallow"),
        }
    }

    /// Receives `wants` into the object database of `repository`, which has all of `haves`.
    pub(super) fn fetch(
        &mut self,
        repository: &gix::Repository,
        wants: Vec<gix::ObjectId>,
        haves: Vec<gix::ObjectId>,
        depth: Depth,
    ) -> Result<(), FetchError> {
        let Some(mut transport) = self.transport.take() else { return Ok(()) };
        let received = receive(&mut transport, &mut self.handshake, repository, wants, haves, depth);
        let error = match received {
            Ok(()) => {
                let _ = gix::protocol::indicate_end_of_interaction(&mut transport, false);
                return Ok(());
            }
            Err(error) => error,
        };
        drop(transport);
        let said = text(&error);
        if let Some(known) = known(&mut self.ears, &self.location, &self.limits, "fetching") {
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
    pub(super) fn end(mut self) {
        if let Some(mut transport) = self.transport.take() {
            let _ = gix::protocol::indicate_end_of_interaction(&mut transport, false);
        }
    }

    fn explain(&mut self, doing: &'static str, error: &gix::Error) -> SourceError {
        // ssh ends when its pipes do; only then it has said all.
        self.transport = None;
        explain(&mut self.ears, &self.location, &self.limits, doing, error)
    }
}

/// How much of a commit's history is received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    One,
    All,
}

fn agent() -> gix::protocol::command::Feature {
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
        Ears::Http(failure) => failure.lock().unwrap_or_else(PoisonError::into_inner).take(),
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

/// Asks for given objects, saying what is there, in one round.
struct OneRound {
    wants: Vec<gix::ObjectId>,
    haves: Vec<gix::ObjectId>,
}

impl Negotiate for OneRound {
    fn mark_complete_and_common_ref(&mut self) -> gix::Result<Action> {
        Ok(Action::MustNegotiate { remote_ref_target_known: Vec::new() })
    }

    fn add_wants(&mut self, arguments: &mut Arguments, _remote_ref_target_known: &[bool]) -> bool {
        for want in &self.wants {
            arguments.want(want);
        }
        !self.wants.is_empty()
    }

    fn one_round(
        &mut self,
        _state: &mut one_round::State,
        arguments: &mut Arguments,
        _previous_response: Option<&Response>,
    ) -> gix::Result<(Round, bool)> {
        for have in &self.haves {
            arguments.have(have);
        }
        let round = Round {
            haves_sent: self.haves.len(),
            in_vain: 0,
            haves_to_send: 0,
            previous_response_had_at_least_one_in_common: false,
        };
        Ok((round, true))
    }
}

fn receive(
    transport: &mut Box<dyn Transport>,
    handshake: &mut Handshake,
    repository: &gix::Repository,
    wants: Vec<gix::ObjectId>,
    haves: Vec<gix::ObjectId>,
    depth: Depth,
) -> gix::Result {
    let packs = repository.objects.store_ref().path().join("pack");
    let hash = repository.object_hash();
    let bases = repository.objects.clone();
    let shallow = match depth {
        Depth::One => Shallow::DepthAtRemote(std::num::NonZeroU32::MIN),
        Depth::All => Shallow::NoChange,
    };
    let interrupt = AtomicBool::new(false);
    let mut keep = None;
    gix::protocol::fetch(
        &mut OneRound { wants, haves },
        |pack, progress, interrupt| {
            keep = write_pack(pack, &packs, progress, interrupt, bases, hash)?;
            Ok(true)
        },
        Discard,
        &interrupt,
        Context { handshake, transport, user_agent: agent(), trace_packetlines: false },
        Options {
            shallow_file: repository.shallow_file()?,
            shallow: &shallow,
            tags: Tags::None,
            reject_shallow_remote: false,
        },
    )?;
    if let Some(keep) = keep {
        // Nobody collects garbage in a mirror; the marker has no further use.
        let _ = std::fs::remove_file(keep);
    }
    Ok(())
}

fn write_pack(
    pack: &mut dyn std::io::BufRead,
    folder: &Path,
    progress: &mut dyn gix::DynNestedProgress,
    interrupt: &AtomicBool,
    bases: impl gix::objs::Find,
    hash: gix::hash::Kind,
) -> gix::Result<Option<std::path::PathBuf>> {
    let options = gix::odb::pack::bundle::write::Options {
        thread_limit: Some(2),
        iteration_mode: gix::odb::pack::data::input::Mode::Verify,
        alloc_limit_bytes: Some(MAX_OBJECT),
        ..Default::default()
    };
    let written = gix::odb::pack::Bundle::write_to_directory(
        pack,
        Some(folder),
        progress,
        interrupt,
        Some(bases),
        hash,
        options,
    )?;
    Ok(written.keep_path)
}

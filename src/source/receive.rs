//! The objects of a pack, from the server into an object database.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use gix::progress::Discard;
use gix::protocol::Handshake;
use gix::protocol::fetch::negotiate::{Action, Round, one_round};
use gix::protocol::fetch::{Arguments, Context, Negotiate, Options, Response, Shallow, Tags};
use gix::protocol::transport::client::blocking_io::Transport;

use super::wire::agent;

/// A larger object in a pack is refused before memory is taken for it.
const MAX_OBJECT: usize = 1 << 30;
/// A commit of more objects than this,
const MANY_OBJECTS: u32 = 5_000;
/// or of more bytes than this, is large.
const MANY_BYTES: u64 = 16 << 20;

/// What is asked of a server in one round.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    /// These, and what they need.
    pub(super) wants: Vec<gix::ObjectId>,
    /// All that these commits need is here.
    pub(super) haves: Vec<gix::ObjectId>,
    pub(super) depth: Depth,
    pub(super) content: Content,
}

/// How much of a commit's history is received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    One,
    All,
}

/// What of a commit's tree is received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// All of it.
    Whole,
    /// All of it, unless it turns out to be large.
    WholeIfSmall,
    /// Its folders; no file that is not wanted by its id.
    Folders,
}

/// What became of a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Received {
    All,
    /// Nothing: it is large, and was let go of as soon as that was seen.
    Large,
}

/// Asks for given objects, saying what is there, in one round.
struct OneRound<'a>(&'a Ask);

impl Negotiate for OneRound<'_> {
    fn mark_complete_and_common_ref(&mut self) -> gix::Result<Action> {
        Ok(Action::MustNegotiate { remote_ref_target_known: Vec::new() })
    }

    fn add_wants(&mut self, arguments: &mut Arguments, _remote_ref_target_known: &[bool]) -> bool {
        match self.0.content {
            Content::Folders => arguments.filter("blob:none"),
            Content::Whole | Content::WholeIfSmall => {}
        }
        for want in &self.0.wants {
            arguments.want(want);
        }
        !self.0.wants.is_empty()
    }

    fn one_round(
        &mut self,
        _state: &mut one_round::State,
        arguments: &mut Arguments,
        _previous_response: Option<&Response>,
    ) -> gix::Result<(Round, bool)> {
        for have in &self.0.haves {
            arguments.have(have);
        }
        let round = Round {
            haves_sent: self.0.haves.len(),
            in_vain: 0,
            haves_to_send: 0,
            previous_response_had_at_least_one_in_common: false,
        };
        Ok((round, true))
    }
}

pub(super) fn receive(
    transport: &mut impl Transport,
    handshake: &mut Handshake,
    repository: &gix::Repository,
    ask: &Ask,
) -> gix::Result<Received> {
    let packs = repository.objects.store_ref().path().join("pack");
    let hash = repository.object_hash();
    let bases = repository.objects.clone();
    let shallow = match ask.depth {
        Depth::One => Shallow::DepthAtRemote(std::num::NonZeroU32::MIN),
        Depth::All => Shallow::NoChange,
    };
    let interrupt = AtomicBool::new(false);
    let large = AtomicBool::new(false);
    let mut keep = None;
    let fetched = gix::protocol::fetch(
        &mut OneRound(ask),
        |pack, progress, interrupt| {
            keep = match ask.content {
                Content::Whole | Content::Folders => {
                    write_pack(pack, &packs, progress, interrupt, bases, hash)?
                }
                Content::WholeIfSmall => {
                    let mut measured =
                        BufReader::new(Measured { pack, head: Vec::new(), read: 0, large: &large });
                    write_pack(&mut measured, &packs, progress, interrupt, bases, hash)?
                }
            };
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
    );
    if fetched.is_err() && large.load(Ordering::Relaxed) {
        return Ok(Received::Large);
    }
    fetched?;
    if let Some(keep) = keep {
        // Nobody collects garbage in a mirror; the marker has no further use.
        let _ = std::fs::remove_file(keep);
    }
    Ok(Received::All)
}

/// A pack that ends with an error as soon as it is seen to be large: its head says of how many objects it is.
struct Measured<'a> {
    pack: &'a mut dyn BufRead,
    head: Vec<u8>,
    read: u64,
    large: &'a AtomicBool,
}

impl Read for Measured<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = self.pack.read(buf)?;
        self.read += len as u64;
        let lacking = 12_usize.saturating_sub(self.head.len());
        self.head.extend_from_slice(&buf[..len.min(lacking)]);
        let objects =
            self.head.get(8..12).and_then(|four| four.try_into().ok()).map_or(0, u32::from_be_bytes);
        if objects > MANY_OBJECTS || self.read > MANY_BYTES {
            self.large.store(true, Ordering::Relaxed);
            return Err(io::Error::other("the repository is large"));
        }
        Ok(len)
    }
}

fn write_pack(
    pack: &mut dyn BufRead,
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

//! What came in while trueup ran, in a file: commits, answers and events of API servers, the configuration, and when each came.
//! From it a turn can be planned again, on clusters in memory.
//!
//! Enters: what the ends of the network heard. Leaves: lines of JSON, in the order of time ([`Entry`]). Values of Secrets become
//! hashes before they are written, under a key that is gone with the process; credentials, headers and what trueup sends are
//! never heard at all. A recording ends where it has become too large, and says so.

mod replay;
mod state;
mod veil;

pub use replay::{Replayed, replay};

use crate::ambient;
use crate::cluster::overheard::Heard as Answered;
use crate::config::{Config, Kind};
use crate::hex::hex;
use crate::source::overheard::{Heard as Read, Part};
use anyhow::{Context as _, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use trueup_plan::record::{HistoryEntry, Record, TargetStatus};
use veil::Veil;

/// How large a recording becomes.
const MOST: usize = 256 << 20;
/// The shape of the lines.
const VERSION: u32 = 1;

/// A line of a recording.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Line {
    /// When it came.
    pub at: Timestamp,
    /// What came.
    #[serde(flatten)]
    pub entry: Entry,
}

/// What came in.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Entry {
    /// The first line: the shape of the others, and which trueup wrote them.
    Recording {
        /// The shape.
        version: u32,
        /// The version of trueup.
        trueup: String,
    },
    /// A configuration was put to work: its documents.
    Configuration(Vec<Value>),
    /// A commit was fetched.
    Commit {
        /// The repository's address.
        repository: String,
        /// What of it is followed; older recordings do not say it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        followed: Option<String>,
        /// The commit.
        revision: String,
    },
    /// A file of a commit was looked at.
    File {
        /// The repository's address.
        repository: String,
        /// The commit.
        revision: String,
        /// Its path.
        path: String,
        /// What its content is known by.
        content: String,
    },
    /// What a file holds.
    Content {
        /// What it is known by.
        id: String,
        /// Its text; nothing where it is none, or where a Secret may be in it that could not be found.
        text: Option<String>,
    },
    /// What an API server answered to a read or write, or the event of a watch.
    Answer {
        /// The cluster's name.
        cluster: String,
        /// The method of the request.
        method: String,
        /// The path of the request.
        path: String,
        /// The query of the request.
        query: String,
        /// The code.
        code: u16,
        /// The body.
        body: Value,
    },
    /// A turn ended in this way.
    Turn {
        /// How the target stood then.
        status: Box<TargetStatus>,
        /// What was done; nothing where nothing was to be done.
        history: Option<Box<HistoryEntry>>,
    },
    /// The recording ends here: it became too large.
    Full {},
}

/// Writes a recording.
#[derive(Clone)]
pub struct Recorder(Arc<Mutex<Writing>>);

struct Writing {
    file: File,
    left: usize,
    is_over: bool,
    veil: Veil,
    /// Files and contents that were noted: what is read again is not written again.
    noted: BTreeSet<[u8; 32]>,
}

impl Recorder {
    /// Begins a recording in a new file, which only this user can read.
    ///
    /// # Errors
    /// The file is there already, or cannot be made.
    pub fn begin(path: &Path) -> Result<Self> {
        use std::os::unix::fs::OpenOptionsExt as _;
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let file = file.with_context(|| format!("{}: the recording cannot be begun", path.display()))?;
        let veil = Veil::new(ambient::secret().context("random numbers")?);
        let writing = Writing { file, left: MOST, is_over: false, veil, noted: BTreeSet::new() };
        let recorder = Self(Arc::new(Mutex::new(writing)));
        let trueup = env!("CARGO_PKG_VERSION").to_owned();
        recorder.note(Entry::Recording { version: VERSION, trueup });
        Ok(recorder)
    }

    /// Notes a configuration, without addresses' credentials.
    pub fn configuration(&self, config: &Config) {
        let mut documents = Vec::new();
        for kind in Kind::ALL {
            let declared = match kind {
                Kind::Repository => json!(config.repositories),
                Kind::Cluster => json!(config.clusters),
                Kind::Environment => json!(config.environments),
                Kind::App => json!(config.apps),
                // The Apps that they make are among the Apps.
                Kind::AppSet => continue,
            };
            for mut document in declared.as_object().into_iter().flat_map(serde_json::Map::values).cloned() {
                document["apiVersion"] = crate::config::API_VERSION.into();
                document["kind"] = kind.as_str().into();
                veil::strip_credentials(&mut document);
                documents.push(document);
            }
        }
        self.note(Entry::Configuration(documents));
    }

    /// Notes how a turn ended.
    pub fn turn(&self, record: &Record) {
        let (status, history) = (Box::new(record.status.clone()), record.history.clone().map(Box::new));
        self.note(Entry::Turn { status, history });
    }

    /// Notes what an API server said.
    pub fn answered(&self, heard: &Answered<'_>) {
        // What is not JSON tells nothing of objects: a proxy's page, half of an answer.
        let Ok(body) =
            (if heard.body.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(heard.body) })
        else {
            return;
        };
        let mut writing = self.lock();
        let body = writing.veil.answer(heard.path, heard.code, body);
        writing.note(Entry::Answer {
            cluster: heard.cluster.to_owned(),
            method: heard.method.to_owned(),
            path: heard.path.to_owned(),
            query: heard.query.to_owned(),
            code: heard.code,
            body,
        });
    }

    /// Notes what was read of a repository.
    pub fn read(&self, heard: &Read<'_>) {
        let (repository, revision) = (heard.location.to_owned(), heard.revision.to_owned());
        let mut writing = self.lock();
        match heard.part {
            Part::Whole => {
                let followed = Some(heard.followed.to_owned());
                writing.note(Entry::Commit { repository, followed, revision });
            }
            Part::File(path, id) => {
                if writing.is_first(&[&repository, &revision, path]) {
                    writing.note(Entry::File {
                        repository,
                        revision,
                        path: path.to_owned(),
                        content: named(id),
                    });
                }
            }
            Part::Content(path, id, bytes) => {
                let id = named(id);
                if writing.is_first(&[&id]) {
                    let text = writing.veil.file(path, bytes);
                    writing.note(Entry::Content { id, text });
                }
            }
        }
    }

    fn note(&self, entry: Entry) {
        self.lock().note(entry);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Writing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writing {
    fn is_first(&mut self, parts: &[&str]) -> bool {
        use sha2::{Digest as _, Sha256};
        self.noted.insert(Sha256::digest(parts.join("\n")).into())
    }

    fn note(&mut self, entry: Entry) {
        if self.is_over {
            return;
        }
        let at = ambient::now();
        let line = serde_json::to_string(&Line { at, entry }).unwrap_or_default() + "\n";
        let line = if line.len() <= self.left {
            line
        } else {
            self.is_over = true;
            tracing::warn!("the recording is full: what comes from now on is not in it");
            serde_json::to_string(&Line { at, entry: Entry::Full {} }).unwrap_or_default() + "\n"
        };
        self.left = self.left.saturating_sub(line.len());
        // One write a line: a process that is killed leaves whole lines.
        if let Err(error) = self.file.write_all(line.as_bytes()) {
            self.is_over = true;
            tracing::warn!(%error, "the recording cannot be written; it ends here");
        }
    }
}

/// What names a content: all of Git's digits.
fn named(id: &[u8; 32]) -> String {
    hex(&id[..20])
}

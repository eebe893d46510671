//! What trueup remembers: the status of each target, its history, what drifted, and the ledger of what was applied.
//!
//! One SQLite file in the state folder, written by one thread, read by any number of processes. Each write is one
//! transaction, so a process that is killed leaves the last complete one. Losing the file loses history and time, nothing
//! else: what is to be done is found in Git and in the cluster.
//!
//! History and drift can be in a PostgreSQL database as well, where several processes bring theirs together (`shared/`). They are brought there
//! from the file, so that no turn waits for a database, and none is lost while it is away.
//!
//! Deliberately absent: anything that a secret's value could stand in, and any decision.

mod drift;
mod file;
mod ledger;
mod outbox;
mod read;
mod shared;
mod statements;
#[cfg(test)]
mod tests;
mod write;

use crate::ambient;
use anyhow::{Context as _, Result, anyhow};
pub use file::installation;
use jiff::{SignedDuration, Timestamp};
pub use ledger::LedgerChange;
pub use outbox::Waiting;
pub use read::Reader;
pub use shared::Database;
use shared::Sharing;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Notify, mpsc, oneshot};
use trueup_plan::drift::DriftEntry;
use trueup_plan::observed::Ledger;
use trueup_plan::record::{HistoryEntry, Record, TargetStatus};
use write::{Outgoing, Request, Writer};

/// Writes that wait at once; whoever brings more waits for a place.
const QUEUE: usize = 256;

/// How much history is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Entries a target.
    pub entries: usize,
    /// How old an entry may become.
    pub age: SignedDuration,
}

impl Default for Retention {
    fn default() -> Self {
        Self { entries: 100, age: SignedDuration::from_hours(90 * 24) }
    }
}

/// The store of the one trueup that writes a state folder.
#[derive(Clone, Debug)]
pub struct Store {
    writes: mpsc::Sender<Request>,
    reader: Arc<Mutex<Reader>>,
    /// Where history and drift are shared, if they are.
    sharing: Option<Arc<Sharing>>,
}

impl Store {
    /// Takes the state folder and opens the store in it, making both as needed; blocks while it looks the file over.
    ///
    /// A damaged file is moved aside and a new one begun, which the log says.
    ///
    /// # Errors
    /// The folder belongs to another running trueup, cannot be written, or was written by a newer version.
    pub fn open(folder: &Path, retention: Retention, now: Timestamp) -> Result<Self> {
        Self::begin(folder, retention, now, None)
    }

    /// The same, with history and drift in a database that others write to as well. It need not be there yet. To be called within
    /// tokio's runtime.
    ///
    /// # Errors
    /// As for [`Store::open`], or there is no source of random numbers.
    pub fn open_shared(
        folder: &Path,
        retention: Retention,
        now: Timestamp,
        database: Database,
    ) -> Result<Self> {
        let bytes = ambient::secret::<8>().context("random numbers")?;
        let sender = format!("{:016x}", u64::from_be_bytes(bytes));
        let outgoing = Outgoing { sender, wake: Arc::new(Notify::new()) };
        let wake = outgoing.wake.clone();
        let mut store = Self::begin(folder, retention, now, Some(outgoing))?;
        let (reader, writes) = (store.reader.clone(), store.writes.clone());
        store.sharing = Some(Sharing::begin(database, retention, reader, writes, wake));
        Ok(store)
    }

    fn begin(
        folder: &Path,
        retention: Retention,
        now: Timestamp,
        outgoing: Option<Outgoing>,
    ) -> Result<Self> {
        let lock = file::lock(folder)?;
        let connection = file::open_or_begin(folder, now)?;
        let reader =
            Reader::open(folder)?.with_context(|| format!("{}: the store is gone", folder.display()))?;
        let (writes, requests) = mpsc::channel(QUEUE);
        let thread = Writer { connection, retention, outgoing, lock };
        ambient::on_thread("store", thread.run(requests)).context("starting the store's thread")?;
        Ok(Self { writes, reader: Arc::new(Mutex::new(reader)), sharing: None })
    }

    /// Keeps what a turn left behind, and what it changed of the target's ledger, in one transaction.
    pub async fn save(&self, record: Record, ledger: LedgerChange) -> Result<()> {
        self.write(|answer| Request::Save { record: Box::new(record), ledger, answer }).await
    }

    /// Forgets status and ledger of a target that is no longer configured; its history ages out.
    pub async fn forget(&self, target: &str) -> Result<()> {
        let target = target.to_owned();
        self.write(|answer| Request::Forget { target, answer }).await
    }

    /// Finishes all writes, closes the file and leaves the state folder to others.
    pub async fn close(&self) -> Result<()> {
        if let Some(sharing) = &self.sharing {
            sharing.end().await;
        }
        self.write(|answer| Request::Close { answer }).await
    }

    /// The last known status of each target, sorted by name.
    pub async fn statuses(&self) -> Result<Vec<TargetStatus>> {
        self.read(Reader::statuses).await
    }

    /// The last `limit` entries of a target's history, newest first; of all processes that share it.
    pub async fn history(&self, target: &str, limit: usize) -> Result<Vec<HistoryEntry>> {
        if let Some(sharing) = &self.sharing {
            return sharing.history(target, limit).await.context("the shared history");
        }
        let target = target.to_owned();
        self.read(move |reader| reader.history(&target, limit)).await
    }

    /// What drifts and what drifted lately, of all targets: what is there now first, then newest first.
    pub async fn drift(&self) -> Result<Vec<DriftEntry>> {
        if let Some(sharing) = &self.sharing {
            return sharing.drift().await.context("the shared history");
        }
        self.read(Reader::drift).await
    }

    /// What was last known of the target's objects.
    pub async fn ledger(&self, target: &str) -> Result<Ledger> {
        let target = target.to_owned();
        self.read(move |reader| reader.ledger(&target)).await
    }

    /// What waits to be brought to the shared history; nothing where history is not shared.
    pub async fn waiting(&self) -> Result<Option<Waiting>> {
        if self.sharing.is_none() {
            return Ok(None);
        }
        let now = ambient::now();
        self.read(move |reader| reader.waiting_since(now)).await.map(Some)
    }

    async fn write(&self, request: impl FnOnce(oneshot::Sender<Result<()>>) -> Request) -> Result<()> {
        let (answer, answered) = oneshot::channel();
        let closed = || anyhow!("the store is closed");
        self.writes.send(request(answer)).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }

    async fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Reader) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let reader = self.reader.clone();
        let answer = move || question(&reader.lock().unwrap_or_else(PoisonError::into_inner));
        ambient::blocking(answer).await.context("reading the store")?
    }
}

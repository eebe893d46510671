//! History and drift of all replicas together, in a PostgreSQL database.
//!
//! Enters: parcels from the outbox of the state folder. Leaves: the same in the database, each once and in its sender's order, and what
//! anybody asks of all of it. No turn waits for the database, and nothing that a turn decides by is in it: status and ledger stay in the
//! state folder. While it is away, parcels wait; what is asked meanwhile is answered with why it cannot be.

mod address;
mod schema;
mod tables;

use super::outbox::Numbered;
use super::write::Request;
use super::{Reader, Retention};
use crate::ambient;
pub use address::Database;
use anyhow::{Context as _, Result, anyhow};
use sqlx::{ConnectOptions as _, PgConnection};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, SemaphorePermit, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use trueup_plan::drift::DriftEntry;
use trueup_plan::record::HistoryEntry;

/// Connections of a process, at most.
const CONNECTIONS: usize = 3;
/// Parcels that are brought in one transaction, at most.
const BATCH: usize = 64;
/// How long one question or one batch may take.
const LIMIT: Duration = Duration::from_secs(20);
/// How long a question waits for what this process has not brought yet, and how long the end of a process does.
const SOON: Duration = Duration::from_secs(5);
/// After how long what failed is tried again at first; then after twice as long each time, up to [`REST_LONGEST`].
const REST: Duration = Duration::from_millis(200);
const REST_LONGEST: Duration = Duration::from_secs(30);
/// How often is looked whether there is something although nothing was said.
const LOOK: Duration = Duration::from_mins(5);

/// Why the database could not be asked.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error("a row cannot be read: {0}")]
    Row(#[from] serde_json::Error),
    #[error("no answer within {} s", LIMIT.as_secs())]
    Late,
    #[error("{0}")]
    Said(String),
}

impl Failure {
    /// Whether the database will never take what it was given: its classes "data exception", "integrity constraint violation" and
    /// "program limit exceeded".
    fn is_refusal(&self) -> bool {
        let Self::Database(sqlx::Error::Database(error)) = self else { return false };
        error.code().is_some_and(|code| ["22", "23", "54"].iter().any(|class| code.starts_with(class)))
    }
}

/// What a store that shares its history does so with. Held by the store and by the task that brings parcels.
#[derive(Debug)]
pub(super) struct Sharing {
    database: Database,
    retention: Retention,
    idle: Mutex<Vec<PgConnection>>,
    permits: Semaphore,
    reader: Arc<Mutex<Reader>>,
    writes: mpsc::Sender<Request>,
    /// There may be a parcel.
    wake: Arc<Notify>,
    /// Somebody waits: what failed is to be tried at once.
    urge: Notify,
    progress: watch::Sender<Progress>,
    stop: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// How far the parcels are.
#[derive(Clone, Debug, Default)]
struct Progress {
    /// All up to this number are there.
    through: i64,
    /// How often it failed so far, and why it did last.
    failures: u64,
    why: String,
}

/// A connection with its place among the few.
struct Held<'s> {
    connection: PgConnection,
    _permit: SemaphorePermit<'s>,
}

impl Sharing {
    /// Begins to bring parcels. To be called within tokio's runtime.
    pub(super) fn begin(
        database: Database,
        retention: Retention,
        reader: Arc<Mutex<Reader>>,
        writes: mpsc::Sender<Request>,
        wake: Arc<Notify>,
    ) -> Arc<Self> {
        let sharing = Arc::new(Self {
            database,
            retention,
            idle: Mutex::default(),
            permits: Semaphore::new(CONNECTIONS),
            reader,
            writes,
            wake,
            urge: Notify::new(),
            progress: watch::Sender::default(),
            stop: CancellationToken::new(),
            task: Mutex::default(),
        });
        let task = tokio::spawn(sharing.clone().carry());
        *lock(&sharing.task) = Some(task);
        sharing
    }

    /// The last entries of a target's history, newest first, whoever wrote them.
    pub(super) async fn history(&self, target: &str, limit: usize) -> Result<Vec<HistoryEntry>> {
        self.settle().await?;
        for again in [true, false] {
            let asked = async {
                let mut held = self.hold(again).await?;
                let found = tables::history(&mut held.connection, target, limit).await?;
                self.keep(held);
                Ok(found)
            };
            match self.limited(asked).await {
                Err(Failure::Database(_)) if again => {}
                answer => return answer.map_err(|failure| self.database.said(&failure)),
            }
        }
        Err(self.database.said(&"cannot be asked"))
    }

    /// What drifts and what drifted lately, of all targets.
    pub(super) async fn drift(&self) -> Result<Vec<DriftEntry>> {
        self.settle().await?;
        for again in [true, false] {
            let asked = async {
                let mut held = self.hold(again).await?;
                let found = tables::drift(&mut held.connection).await?;
                self.keep(held);
                Ok(found)
            };
            match self.limited(asked).await {
                Err(Failure::Database(_)) if again => {}
                answer => return answer.map_err(|failure| self.database.said(&failure)),
            }
        }
        Err(self.database.said(&"cannot be asked"))
    }

    /// Brings what can be brought soon, and ends. What is left is brought by the next process that has the state folder.
    pub(super) async fn end(&self) {
        let settled = self.settle().await;
        self.stop.cancel();
        let task = lock(&self.task).take();
        if let Some(task) = task {
            let _ = task.await;
        }
        lock(&self.idle).clear();
        if let Err(error) = settled {
            let waiting = self.read(Reader::waiting).await.map_or(0, |(count, _)| count);
            tracing::warn!(
                waiting,
                error = format!("{error:#}"),
                "history stays in the state folder until trueup runs with it again"
            );
        }
    }

    /// Waits until all is there that waits now.
    async fn settle(&self) -> Result<()> {
        let (count, last) = self.read(Reader::waiting).await?;
        if count == 0 {
            return Ok(());
        }
        let mut progress = self.progress.subscribe();
        let failures = progress.borrow().failures;
        self.urge.notify_one();
        let over = progress.wait_for(|now| now.through >= last || now.failures > failures);
        let now = match timeout(SOON, over).await {
            Ok(Ok(now)) => now.clone(),
            Ok(Err(_)) | Err(_) => return Err(self.database.said(&"does not answer in time")),
        };
        if now.through >= last { Ok(()) } else { Err(anyhow!(now.why)) }
    }

    /// Brings parcels until it is told to stop.
    async fn carry(self: Arc<Self>) {
        let (mut size, mut rest) = (BATCH, REST);
        let mut trouble = String::new();
        while !self.stop.is_cancelled() {
            let brought = self.bring(size).await;
            match brought {
                Ok(0) => {
                    (size, rest) = (BATCH, REST);
                    self.until(&self.wake, LOOK).await;
                }
                Ok(_) => {
                    (size, rest) = ((size * 2).min(BATCH), REST);
                    if !trouble.is_empty() {
                        tracing::info!(database = %self.database, "the shared history is reached again");
                        trouble.clear();
                    }
                }
                Err(failure) => {
                    let is_refusal = failure.is_refusal();
                    let why = format!("{:#}", self.database.said(&failure));
                    if is_refusal && size == 1 {
                        self.set_aside(&why).await;
                        continue;
                    }
                    size = (size / 2).max(1);
                    self.progress.send_modify(|progress| {
                        progress.failures += 1;
                        progress.why.clone_from(&why);
                    });
                    if why != trouble {
                        let waiting = self.read(Reader::waiting).await.map_or(0, |(count, _)| count);
                        tracing::warn!(
                            error = why,
                            waiting,
                            "the shared history cannot be written; what is new waits"
                        );
                        trouble = why;
                    }
                    if !is_refusal {
                        self.until(&self.urge, rest.mul_f64(0.5 + ambient::fraction() / 2.0)).await;
                        rest = (rest * 2).min(REST_LONGEST);
                    }
                }
            }
        }
    }

    /// Brings the first parcels; gives how many.
    async fn bring(&self, size: usize) -> Result<usize, Failure> {
        let parcels = self.read(move |reader| reader.outbox(size)).await;
        let parcels: Vec<Numbered> = parcels.map_err(|error| Failure::Said(format!("{error:#}")))?;
        let Some(last) = parcels.last().map(|parcel| parcel.number) else { return Ok(0) };
        let now = ambient::now();
        for again in [true, false] {
            let brought = async {
                let mut held = self.hold(again).await?;
                tables::apply(&mut held.connection, &parcels, self.retention, now).await?;
                self.keep(held);
                Ok(())
            };
            match self.limited(brought).await {
                // One that was idle may have been cut off since. What was done all the same counts once.
                Err(Failure::Database(error)) if again && error.as_database_error().is_none() => {}
                done => {
                    done?;
                    break;
                }
            }
        }
        self.sent(last).await?;
        Ok(parcels.len())
    }

    /// Leaves out the first parcel, which the database never takes.
    async fn set_aside(&self, why: &str) {
        let first =
            self.read(|reader| reader.outbox(1)).await.ok().and_then(|found| found.into_iter().next());
        let Some(first) = first else { return };
        tracing::error!(
            target = first.parcel.target(),
            error = why,
            "an entry is not in the shared history: the database refuses it; the state folder has it"
        );
        if let Err(failure) = self.sent(first.number).await {
            tracing::warn!(error = %failure, "the store could not be written");
            self.until(&self.urge, REST_LONGEST).await;
        }
    }

    /// The database has all up to this number.
    async fn sent(&self, through: i64) -> Result<(), Failure> {
        let (answer, answered) = oneshot::channel();
        let closed = || Failure::Said("the store is closed".to_owned());
        self.writes.send(Request::Sent { through, answer }).await.map_err(|_| closed())?;
        let written = answered.await.map_err(|_| closed())?;
        written.map_err(|error| Failure::Said(format!("{error:#}")))?;
        self.progress.send_modify(|progress| progress.through = through);
        Ok(())
    }

    /// Waits for a sign, but not longer than this, and not when it is to stop.
    async fn until(&self, sign: &Notify, limit: Duration) {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => {}
            _ = timeout(limit, sign.notified()) => {}
        }
    }

    /// A connection: an idle one, if that will do, or a new one.
    async fn hold(&self, idle: bool) -> Result<Held<'_>, Failure> {
        let permit = self.permits.acquire().await.map_err(|error| Failure::Said(error.to_string()))?;
        let known = {
            let mut all = lock(&self.idle);
            if !idle {
                // Where one was cut off, all were.
                all.clear();
            }
            all.pop()
        };
        if let Some(connection) = known {
            return Ok(Held { connection, _permit: permit });
        }
        let mut connection = self.database.options().connect().await?;
        schema::settle(&mut connection).await?;
        Ok(Held { connection, _permit: permit })
    }

    /// Keeps a connection that is well for the next one. One that something failed on is closed.
    fn keep(&self, held: Held<'_>) {
        lock(&self.idle).push(held.connection);
    }

    async fn limited<T>(&self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        timeout(LIMIT, work).await.unwrap_or(Err(Failure::Late))
    }

    async fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Reader) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let reader = self.reader.clone();
        ambient::blocking(move || question(&lock(&reader))).await.context("reading the store")?
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

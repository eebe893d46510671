//! The one thread that writes.

use super::outbox::{self, Parcel};
use super::statements::{self, by_number};
use super::{LedgerChange, Retention, drift};
use crate::ambient;
use anyhow::Result;
use rusqlite::{Connection, Transaction, params};
use std::fs::File;
use std::sync::Arc;
use tokio::sync::{Notify, mpsc, oneshot};
use trueup_plan::record::{HistoryEntry, Record};

/// What is to be written, and who waits for it.
#[derive(Debug)]
pub(super) enum Request {
    Save {
        record: Box<Record>,
        ledger: LedgerChange,
        answer: oneshot::Sender<Result<()>>,
    },
    Forget {
        target: String,
        answer: oneshot::Sender<Result<()>>,
    },
    /// The shared history has all parcels up to this number.
    Sent {
        through: i64,
        answer: oneshot::Sender<Result<()>>,
    },
    Close {
        answer: oneshot::Sender<Result<()>>,
    },
}

/// What a store that shares its history needs to put parcels into the outbox.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// This process.
    pub(super) sender: String,
    /// Told when there is one.
    pub(super) wake: Arc<Notify>,
}

pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) retention: Retention,
    pub(super) outgoing: Option<Outgoing>,
    /// Held as long as this thread may write.
    pub(super) lock: File,
}

impl Writer {
    /// Writes until the store is closed or nobody can ask any more. Whoever has stopped waiting for an answer is no
    /// reason to stop.
    pub(super) async fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        let closing = loop {
            match requests.recv().await {
                Some(Request::Save { record, ledger, answer }) => {
                    let _ = answer.send(self.save(&record, &ledger));
                }
                Some(Request::Forget { target, answer }) => {
                    let _ = answer.send(self.forget(&target));
                }
                Some(Request::Sent { through, answer }) => {
                    let _ = answer.send(outbox::sent(&self.connection, through));
                }
                Some(Request::Close { answer }) => break Some(answer),
                None => break None,
            }
        };
        drop(requests);
        let closed = self.close();
        if let Some(answer) = closing {
            let _ = answer.send(closed);
        }
    }

    /// Brings the log into the file, which SQLite by itself leaves undone while a reader looks on, and gives the folder
    /// back.
    fn close(self) -> Result<()> {
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        self.connection.close().map_err(|(_, error)| error)?;
        drop(self.lock);
        Ok(())
    }

    fn save(&mut self, record: &Record, change: &LedgerChange) -> Result<()> {
        let target = &record.status.target;
        let transaction = self.connection.transaction()?;
        transaction
            .prepare_cached(
                "INSERT INTO status (target, status) VALUES (?1, ?2)
                   ON CONFLICT (target) DO UPDATE SET status = excluded.status WHERE status <> excluded.status",
            )?
            .execute(params![target, serde_json::to_string(&record.status)?])?;
        if let Some(entry) = &record.history {
            append(&transaction, entry, self.retention)?;
        }
        let now = ambient::now();
        drift::note(&transaction, target, &record.drift, self.retention, now)?;
        change_ledger(&transaction, target, change)?;
        post(&transaction, self.outgoing.as_ref(), || Parcel::turn(record, now))?;
        transaction.commit()?;
        self.posted();
        Ok(())
    }

    fn forget(&mut self, target: &str) -> Result<()> {
        let transaction = self.connection.transaction()?;
        transaction.execute("DELETE FROM status WHERE target = ?1", [target])?;
        transaction.execute("DELETE FROM ledger WHERE target = ?1", [target])?;
        transaction.execute(statements::FORGET_DRIFT, [target])?;
        let at = Some(ambient::now());
        post(&transaction, self.outgoing.as_ref(), || Parcel::Forget { target: target.to_owned(), at })?;
        transaction.commit()?;
        self.posted();
        Ok(())
    }

    fn posted(&self) {
        if let Some(outgoing) = &self.outgoing {
            outgoing.wake.notify_one();
        }
    }
}

/// Puts a parcel into the outbox, where history is shared.
fn post(
    transaction: &Transaction<'_>,
    outgoing: Option<&Outgoing>,
    parcel: impl FnOnce() -> Parcel,
) -> Result<()> {
    let Some(outgoing) = outgoing else { return Ok(()) };
    let lost = outbox::put(transaction, &outgoing.sender, &parcel())?;
    if lost > 0 {
        tracing::error!(
            lost,
            "history that waited for the shared database too long is not brought there any more"
        );
    }
    Ok(())
}

fn append(transaction: &Transaction<'_>, entry: &HistoryEntry, retention: Retention) -> Result<()> {
    transaction.prepare_cached(statements::APPEND)?.execute(params![
        entry.target,
        entry.ended.as_millisecond(),
        serde_json::to_string(entry)?
    ])?;
    transaction
        .prepare_cached(by_number::BOUND)?
        .execute(params![entry.target, i64::try_from(retention.entries).unwrap_or(i64::MAX)])?;
    let oldest =
        entry.ended.as_millisecond().saturating_sub(retention.age.as_millis().try_into().unwrap_or(i64::MAX));
    transaction.prepare_cached(statements::AGE)?.execute([oldest])?;
    Ok(())
}

fn change_ledger(transaction: &Transaction<'_>, target: &str, change: &LedgerChange) -> Result<()> {
    let mut put = transaction.prepare_cached(
        "INSERT OR REPLACE INTO ledger (target, api_group, kind, namespace, name, known) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    for (id, known) in &change.known {
        put.execute(params![
            target,
            id.group,
            id.kind,
            id.namespace,
            id.name,
            serde_json::to_string(known)?
        ])?;
    }
    let mut remove = transaction.prepare_cached(
        "DELETE FROM ledger WHERE target = ?1 AND api_group = ?2 AND kind = ?3 AND namespace = ?4 AND name = ?5",
    )?;
    for id in &change.forgotten {
        remove.execute(params![target, id.group, id.kind, id.namespace, id.name])?;
    }
    Ok(())
}

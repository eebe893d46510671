//! The one thread that writes.

use super::{LedgerChange, Retention, drift};
use crate::ambient;
use anyhow::Result;
use rusqlite::{Connection, Transaction, params};
use std::fs::File;
use tokio::sync::{mpsc, oneshot};
use trueup_plan::record::{HistoryEntry, Record};

/// What is to be written, and who waits for it.
#[derive(Debug)]
pub(super) enum Request {
    Save { record: Box<Record>, ledger: LedgerChange, answer: oneshot::Sender<Result<()>> },
    Forget { target: String, answer: oneshot::Sender<Result<()>> },
    Close { answer: oneshot::Sender<Result<()>> },
}

pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) retention: Retention,
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
        drift::note(&transaction, target, &record.drift, self.retention, ambient::now())?;
        change_ledger(&transaction, target, change)?;
        Ok(transaction.commit()?)
    }

    fn forget(&mut self, target: &str) -> Result<()> {
        let transaction = self.connection.transaction()?;
        transaction.execute("DELETE FROM status WHERE target = ?1", [target])?;
        transaction.execute("DELETE FROM ledger WHERE target = ?1", [target])?;
        transaction.execute("DELETE FROM drift WHERE target = ?1", [target])?;
        Ok(transaction.commit()?)
    }
}

fn append(transaction: &Transaction<'_>, entry: &HistoryEntry, retention: Retention) -> Result<()> {
    transaction
        .prepare_cached("INSERT INTO history (target, ended, entry) VALUES (?1, ?2, ?3)")?
        .execute(params![entry.target, entry.ended.as_millisecond(), serde_json::to_string(entry)?])?;
    transaction
        .prepare_cached(
            "DELETE FROM history WHERE target = ?1 AND id <=
               (SELECT id FROM history WHERE target = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
        )?
        .execute(params![entry.target, i64::try_from(retention.entries).unwrap_or(i64::MAX)])?;
    let oldest =
        entry.ended.as_millisecond().saturating_sub(retention.age.as_millis().try_into().unwrap_or(i64::MAX));
    transaction.prepare_cached("DELETE FROM history WHERE ended < ?1")?.execute([oldest])?;
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

//! What is to be brought to the shared history and is not there yet: in the file of the state folder, in the order in which it came.
//!
//! A parcel is written in the transaction of the record that it is about, and goes when the shared history has it. So neither a
//! process that is killed nor a database that is away loses one, and the shared history knows by sender and number what it has. A process
//! is a sender of its own: a state folder that is put back to a backup gives numbers out again.

use super::Reader;
use anyhow::{Context as _, Result};
use jiff::Timestamp;
use rusqlite::{Connection, Transaction, params};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use trueup_plan::drift::Drifted;
use trueup_plan::record::{HistoryEntry, Record};

/// Parcels that may wait. The oldest go first, which the log says.
const BOUND: i64 = 50_000;

/// Something for the shared history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(super) enum Parcel {
    /// What a turn left behind.
    Turn {
        target: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        history: Option<Box<HistoryEntry>>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        drift: Vec<Drifted>,
        at: Timestamp,
    },
    /// The target is no longer configured.
    Forget {
        target: String,
        /// Since when it waits; not known of one that an earlier version wrote.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<Timestamp>,
    },
}

impl Parcel {
    pub(super) fn turn(record: &Record, at: Timestamp) -> Self {
        Self::Turn {
            target: record.status.target.clone(),
            history: record.history.clone().map(Box::new),
            drift: record.drift.clone(),
            at,
        }
    }

    pub(super) fn target(&self) -> &str {
        match self {
            Self::Turn { target, .. } | Self::Forget { target, .. } => target,
        }
    }

    /// Since when it waits.
    fn since(&self) -> Option<Timestamp> {
        match self {
            Self::Turn { at, .. } => Some(*at),
            Self::Forget { at, .. } => *at,
        }
    }
}

/// A parcel with whose it is, and its number, which no other one in the file ever has.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Numbered {
    pub(super) number: i64,
    pub(super) sender: String,
    pub(super) parcel: Parcel,
}

/// What waits to be brought to the shared history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// How many parcels.
    pub parcels: usize,
    /// For how long the oldest of them has waited.
    pub oldest: Duration,
}

/// Puts a parcel with the others; gives how many had to go for it.
pub(super) fn put(transaction: &Transaction<'_>, sender: &str, parcel: &Parcel) -> Result<usize> {
    transaction
        .prepare_cached("INSERT INTO outbox (sender, parcel) VALUES ($1, $2)")?
        .execute(params![sender, serde_json::to_string(parcel)?])?;
    let oldest = transaction.last_insert_rowid() - BOUND;
    Ok(transaction.prepare_cached("DELETE FROM outbox WHERE number <= $1")?.execute([oldest])?)
}

/// The shared history has all up to this number.
pub(super) fn sent(connection: &Connection, through: i64) -> Result<()> {
    connection.prepare_cached("DELETE FROM outbox WHERE number <= $1")?.execute([through])?;
    Ok(())
}

impl Reader {
    /// The first parcels that wait.
    pub(super) fn outbox(&self, limit: usize) -> Result<Vec<Numbered>> {
        let mut rows = self
            .connection
            .prepare_cached("SELECT number, sender, parcel FROM outbox ORDER BY number LIMIT $1")?;
        let found = rows.query_map([i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get::<_, String>(2)?))
        })?;
        let numbered = |(number, sender, text): (i64, String, String)| {
            let parcel = serde_json::from_str(&text).context("a parcel of the store cannot be read")?;
            Ok(Numbered { number, sender, parcel })
        };
        found.map(|row| numbered(row?)).collect()
    }

    /// How many wait, and the number of the last one.
    pub(super) fn waiting(&self) -> Result<(usize, i64)> {
        let mut row =
            self.connection.prepare_cached("SELECT count(*), coalesce(max(number), 0) FROM outbox")?;
        let (count, last): (i64, i64) = row.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok((usize::try_from(count).unwrap_or_default(), last))
    }

    /// How many wait, and since when the oldest does.
    pub(super) fn waiting_since(&self, now: Timestamp) -> Result<Waiting> {
        let (parcels, _) = self.waiting()?;
        let first = self.outbox(1)?.pop().and_then(|first| first.parcel.since());
        let oldest = first.and_then(|since| Duration::try_from(now - since).ok()).unwrap_or_default();
        Ok(Waiting { parcels, oldest })
    }
}

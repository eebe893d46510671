//! Reading, also beside a running trueup and after a killed one.

use super::{file, statements};
use anyhow::{Context as _, Result};
use rusqlite::{Connection, params};
use serde::de::DeserializeOwned;
use std::path::Path;
use trueup_model::ObjectId;
use trueup_plan::observed::Ledger;
use trueup_plan::record::{HistoryEntry, TargetStatus};

/// A store that is only read. All calls block.
#[derive(Debug)]
pub struct Reader {
    pub(super) connection: Connection,
}

impl Reader {
    /// The store in a state folder; `None` where no trueup has written one.
    ///
    /// # Errors
    /// The file cannot be read, or is of another version.
    pub fn open(folder: &Path) -> Result<Option<Self>> {
        Ok(file::open_to_read(folder)?.map(|connection| Self { connection }))
    }

    /// The last known status of each target, sorted by name.
    pub fn statuses(&self) -> Result<Vec<TargetStatus>> {
        let mut rows = self.connection.prepare_cached("SELECT status FROM status ORDER BY target")?;
        let texts = rows.query_map([], |row| row.get::<_, String>(0))?;
        texts.map(|text| from_json(&text?)).collect()
    }

    /// The last `limit` entries of a target's history, newest first.
    pub fn history(&self, target: &str, limit: usize) -> Result<Vec<HistoryEntry>> {
        let mut rows = self.connection.prepare_cached(statements::by_number::HISTORY)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let texts = rows.query_map(params![target, limit], |row| row.get::<_, String>(0))?;
        texts.map(|text| from_json(&text?)).collect()
    }

    /// What was last known of the target's objects.
    pub fn ledger(&self, target: &str) -> Result<Ledger> {
        let mut rows = self
            .connection
            .prepare_cached("SELECT api_group, kind, namespace, name, known FROM ledger WHERE target = ?1")?;
        let entries = rows.query_map([target], |row| {
            let id = ObjectId::new(
                row.get::<_, String>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, String>(2)?,
                row.get::<_, String>(3)?,
            );
            Ok((id, row.get::<_, String>(4)?))
        })?;
        entries
            .map(|entry| {
                let (id, text) = entry?;
                Ok((id, from_json(&text)?))
            })
            .collect()
    }
}

fn from_json<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).context("a row of the store cannot be read")
}

//! Drift as it is kept: one row a field and writer, with how often and when last.

use super::{Reader, Retention};
use anyhow::{Context as _, Result};
use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Transaction, params};
use trueup_plan::drift::{DriftEntry, DriftState, Drifted};

/// Rows a target. The oldest go first.
const ROWS: i64 = 500;

/// Notes the drift of one turn. What stood before and is not among it has gone away by itself.
pub(super) fn note(
    transaction: &Transaction<'_>,
    target: &str,
    drift: &[Drifted],
    retention: Retention,
    now: Timestamp,
) -> Result<()> {
    let seen: Vec<(String, &Drifted)> = drift.iter().map(|one| (one.object.to_string(), one)).collect();
    let is_seen = |entry: &DriftEntry| {
        seen.iter().any(|(_, one)| {
            one.object == entry.drifted.object
                && one.field == entry.drifted.field
                && one.manager == entry.drifted.manager
        })
    };
    let standing = {
        let mut rows =
            transaction.prepare_cached("SELECT entry FROM drift WHERE target = ?1 AND there = 1")?;
        let texts = rows.query_map([target], |row| row.get::<_, String>(0))?;
        texts.map(|text| read(&text?)).collect::<Result<Vec<_>>>()?
    };
    for mut entry in standing.into_iter().filter(|entry| !is_seen(entry)) {
        entry.drifted.state = DriftState::Gone;
        put(transaction, &entry)?;
    }
    if seen.is_empty() {
        return Ok(());
    }
    for (object, one) in seen {
        let before = transaction
            .prepare_cached(
                "SELECT entry FROM drift WHERE target = ?1 AND object = ?2 AND field = ?3 AND writer = ?4",
            )?
            .query_row(params![target, object, one.field, writer(one)], |row| row.get::<_, String>(0))
            .optional()?;
        let before = before.map(|text| read(&text)).transpose()?;
        put(transaction, &DriftEntry::after(before, target, one.clone(), now))?;
    }
    transaction
        .prepare_cached(
            "DELETE FROM drift WHERE target = ?1 AND there = 0 AND last <=
               (SELECT last FROM drift WHERE target = ?1 ORDER BY last DESC LIMIT 1 OFFSET ?2)",
        )?
        .execute(params![target, ROWS])?;
    let oldest =
        now.as_millisecond().saturating_sub(retention.age.as_millis().try_into().unwrap_or(i64::MAX));
    transaction.prepare_cached("DELETE FROM drift WHERE last < ?1")?.execute([oldest])?;
    Ok(())
}

fn put(transaction: &Transaction<'_>, entry: &DriftEntry) -> Result<()> {
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO drift (target, object, field, writer, last, there, entry) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            entry.target,
            entry.drifted.object.to_string(),
            entry.drifted.field,
            writer(&entry.drifted),
            entry.last_seen.as_millisecond(),
            entry.drifted.state.is_there(),
            serde_json::to_string(entry)?
        ])?;
    Ok(())
}

fn writer(drifted: &Drifted) -> &str {
    drifted.manager.as_deref().unwrap_or_default()
}

fn read(text: &str) -> Result<DriftEntry> {
    serde_json::from_str(text).context("a row of the store cannot be read")
}

impl Reader {
    /// What drifts and what drifted lately, of all targets: what is there now first, then newest first.
    pub fn drift(&self) -> Result<Vec<DriftEntry>> {
        let mut rows = self.connection.prepare_cached(
            "SELECT entry FROM drift ORDER BY there DESC, last DESC, target, object, field",
        )?;
        let texts = rows.query_map([], |row| row.get::<_, String>(0))?;
        texts.map(|text| read(&text?)).collect()
    }
}

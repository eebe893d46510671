//! Drift as it is kept: one row a field and writer, with how often and when last.

use super::{Reader, Retention, statements};
use anyhow::{Context as _, Result};
use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Transaction, params};
use trueup_plan::drift::{DriftEntry, DriftState, Drifted};

/// Rows a target. The oldest go first.
pub(super) const ROWS: i64 = 500;

/// Notes the drift of one turn. What stood before and is not among it has gone away by itself.
pub(super) fn note(
    transaction: &Transaction<'_>,
    target: &str,
    drift: &[Drifted],
    retention: Retention,
    now: Timestamp,
) -> Result<()> {
    let standing = {
        let mut rows = transaction.prepare_cached(statements::STANDING)?;
        let texts = rows.query_map([target], |row| row.get::<_, String>(0))?;
        texts.map(|text| read(&text?)).collect::<Result<Vec<_>>>()?
    };
    for entry in gone(standing, drift) {
        put(transaction, &entry)?;
    }
    if drift.is_empty() {
        return Ok(());
    }
    for one in drift {
        let before = transaction
            .prepare_cached(statements::DRIFT_OF)?
            .query_row(params![target, one.object.to_string(), one.field, writer(one)], |row| {
                row.get::<_, String>(0)
            })
            .optional()?;
        let before = before.map(|text| read(&text)).transpose()?;
        put(transaction, &DriftEntry::after(before, target, one.clone(), now))?;
    }
    transaction.prepare_cached(statements::BOUND_DRIFT)?.execute(params![target, ROWS])?;
    let oldest =
        now.as_millisecond().saturating_sub(retention.age.as_millis().try_into().unwrap_or(i64::MAX));
    transaction.prepare_cached(statements::AGE_DRIFT)?.execute([oldest])?;
    Ok(())
}

/// What stood before a turn and was not seen in it, as it is then.
pub(super) fn gone(standing: Vec<DriftEntry>, seen: &[Drifted]) -> impl Iterator<Item = DriftEntry> {
    let is_seen = |entry: &DriftEntry| {
        seen.iter().any(|one| {
            one.object == entry.drifted.object
                && one.field == entry.drifted.field
                && one.manager == entry.drifted.manager
        })
    };
    standing.into_iter().filter(move |entry| !is_seen(entry)).map(|mut entry| {
        entry.drifted.state = DriftState::Gone;
        entry
    })
}

fn put(transaction: &Transaction<'_>, entry: &DriftEntry) -> Result<()> {
    transaction.prepare_cached(statements::PUT_DRIFT)?.execute(params![
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

pub(super) fn writer(drifted: &Drifted) -> &str {
    drifted.manager.as_deref().unwrap_or_default()
}

fn read(text: &str) -> Result<DriftEntry> {
    serde_json::from_str(text).context("a row of the store cannot be read")
}

impl Reader {
    /// What drifts and what drifted lately, of all targets: what is there now first, then newest first.
    pub fn drift(&self) -> Result<Vec<DriftEntry>> {
        let mut rows = self.connection.prepare_cached(statements::DRIFT)?;
        let texts = rows.query_map([], |row| row.get::<_, String>(0))?;
        texts.map(|text| read(&text?)).collect()
    }
}

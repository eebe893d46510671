//! History and drift in PostgreSQL: parcels in, entries out.

use super::Failure;
use crate::store::outbox::{Numbered, Parcel};
use crate::store::statements::{self, by_time};
use crate::store::{Retention, drift};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use sqlx::{Connection as _, PgConnection};
use std::borrow::Cow;
use std::fmt::Write as _;
use trueup_plan::drift::{DriftEntry, Drifted};
use trueup_plan::record::HistoryEntry;

/// The longest text that stands in a key, in bytes: keys are in indexes, whose rows are bounded.
const LONGEST: usize = 512;

// One process with a wrong clock is not to take away what others brought.
const AGE_HISTORY: &str =
    "DELETE FROM history WHERE ended < least($1, (extract(epoch FROM now()) * 1000)::bigint) - $2";
const AGE_DRIFT: &str =
    "DELETE FROM drift WHERE last < least($1, (extract(epoch FROM now()) * 1000)::bigint) - $2";
const AGE_SENDERS: &str =
    "DELETE FROM sender WHERE seen < least($1, (extract(epoch FROM now()) * 1000)::bigint) - $2";

/// Applies parcels, each once: what is there already by its sender's number is left out.
pub(super) async fn apply(
    connection: &mut PgConnection,
    parcels: &[Numbered],
    retention: Retention,
    now: Timestamp,
) -> Result<(), Failure> {
    let mut transaction = connection.begin().await?;
    for of_sender in parcels.chunk_by(|one, next| one.sender == next.sender) {
        let (Some(first), Some(last)) = (of_sender.first(), of_sender.last()) else { continue };
        sqlx::query(
            "INSERT INTO sender (name, applied, seen) VALUES ($1, 0, $2) ON CONFLICT (name) DO NOTHING",
        )
        .bind(&first.sender)
        .bind(now.as_millisecond())
        .execute(&mut *transaction)
        .await?;
        let applied: i64 = sqlx::query_scalar("SELECT applied FROM sender WHERE name = $1 FOR UPDATE")
            .bind(&first.sender)
            .fetch_one(&mut *transaction)
            .await?;
        for one in of_sender.iter().filter(|one| one.number > applied) {
            take(&mut transaction, &one.parcel, retention).await?;
        }
        sqlx::query("UPDATE sender SET applied = greatest(applied, $2), seen = $3 WHERE name = $1")
            .bind(&first.sender)
            .bind(last.number)
            .bind(now.as_millisecond())
            .execute(&mut *transaction)
            .await?;
    }
    age(&mut transaction, parcels, retention).await?;
    transaction.commit().await?;
    Ok(())
}

async fn take(connection: &mut PgConnection, parcel: &Parcel, retention: Retention) -> Result<(), Failure> {
    match parcel {
        Parcel::Turn { target, history, drift, at } => {
            if let Some(entry) = history {
                append(connection, entry, retention).await?;
            }
            note(connection, target, drift, *at).await
        }
        Parcel::Forget { target, .. } => {
            sqlx::query(statements::FORGET_DRIFT).bind(key(target)).execute(connection).await?;
            Ok(())
        }
    }
}

async fn append(
    connection: &mut PgConnection,
    entry: &HistoryEntry,
    retention: Retention,
) -> Result<(), Failure> {
    sqlx::query(statements::APPEND)
        .bind(key(&entry.target))
        .bind(entry.ended.as_millisecond())
        .bind(serde_json::to_string(entry)?)
        .execute(&mut *connection)
        .await?;
    sqlx::query(by_time::BOUND)
        .bind(key(&entry.target))
        .bind(i64::try_from(retention.entries).unwrap_or(i64::MAX))
        .execute(connection)
        .await?;
    Ok(())
}

/// Notes the drift of one turn, as in the file of a state folder.
async fn note(
    connection: &mut PgConnection,
    target: &str,
    seen: &[Drifted],
    at: Timestamp,
) -> Result<(), Failure> {
    let standing: Vec<String> =
        sqlx::query_scalar(statements::STANDING).bind(key(target)).fetch_all(&mut *connection).await?;
    for entry in drift::gone(read(&standing)?, seen) {
        put(connection, &entry).await?;
    }
    for one in seen {
        let before: Option<String> = sqlx::query_scalar(statements::DRIFT_OF)
            .bind(key(target))
            .bind(key(&one.object.to_string()))
            .bind(key(&one.field))
            .bind(key(drift::writer(one)))
            .fetch_optional(&mut *connection)
            .await?;
        let before = before.map(|text| serde_json::from_str(&text)).transpose()?;
        put(connection, &DriftEntry::after(before, target, one.clone(), at)).await?;
    }
    if !seen.is_empty() {
        sqlx::query(statements::BOUND_DRIFT).bind(key(target)).bind(drift::ROWS).execute(connection).await?;
    }
    Ok(())
}

async fn put(connection: &mut PgConnection, entry: &DriftEntry) -> Result<(), Failure> {
    sqlx::query(statements::PUT_DRIFT)
        .bind(key(&entry.target))
        .bind(key(&entry.drifted.object.to_string()))
        .bind(key(&entry.drifted.field))
        .bind(key(drift::writer(&entry.drifted)))
        .bind(entry.last_seen.as_millisecond())
        .bind(i32::from(entry.drifted.state.is_there()))
        .bind(serde_json::to_string(entry)?)
        .execute(connection)
        .await?;
    Ok(())
}

/// Takes away what is older than it may become by what came last, or by the database's clock where that is behind it.
async fn age(
    connection: &mut PgConnection,
    parcels: &[Numbered],
    retention: Retention,
) -> Result<(), Failure> {
    let turns = parcels.iter().filter_map(|one| match &one.parcel {
        Parcel::Turn { history, at, .. } => Some((history.as_ref().map(|entry| entry.ended), *at)),
        Parcel::Forget { .. } => None,
    });
    let (ended, at): (Vec<_>, Vec<_>) = turns.unzip();
    let (ended, at) = (ended.into_iter().flatten().max(), at.into_iter().max());
    for (statement, newest) in [(AGE_HISTORY, ended), (AGE_DRIFT, at), (AGE_SENDERS, at)] {
        let Some(newest) = newest else { continue };
        sqlx::query(statement)
            .bind(newest.as_millisecond())
            .bind(i64::try_from(retention.age.as_millis()).unwrap_or(i64::MAX))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

pub(super) async fn history(
    connection: &mut PgConnection,
    target: &str,
    limit: usize,
) -> Result<Vec<HistoryEntry>, Failure> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let texts: Vec<String> =
        sqlx::query_scalar(by_time::HISTORY).bind(key(target)).bind(limit).fetch_all(connection).await?;
    read(&texts)
}

pub(super) async fn drift(connection: &mut PgConnection) -> Result<Vec<DriftEntry>, Failure> {
    let texts: Vec<String> = sqlx::query_scalar(statements::DRIFT).fetch_all(connection).await?;
    read(&texts)
}

fn read<T: DeserializeOwned>(texts: &[String]) -> Result<Vec<T>, Failure> {
    texts.iter().map(|text| Ok(serde_json::from_str(text)?)).collect()
}

/// A text as it may stand in a key of PostgreSQL: no NUL, and not longer than an index takes. Equal ones stay equal, others different.
fn key(text: &str) -> Cow<'_, str> {
    if text.len() <= LONGEST && !text.contains('\0') {
        return Cow::Borrowed(text);
    }
    let end = (0..=LONGEST.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    let mut kept = text.get(..end).unwrap_or_default().replace('\0', "\u{fffd}");
    for byte in Sha256::digest(text.as_bytes()).iter().take(8) {
        let _ = write!(kept, "{byte:02x}");
    }
    Cow::Owned(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_short_and_without_nul_and_as_different_as_what_they_are_of() {
        assert_eq!(key("web@staging"), "web@staging");
        let (long, longer) = ("ä".repeat(400), "ä".repeat(401));
        assert!(key(&long).len() <= LONGEST + 16 && key(&long) != key(&longer));
        assert!(!key("a\0b").contains('\0') && key("a\0b") != key("a\u{fffd}b"));
    }
}

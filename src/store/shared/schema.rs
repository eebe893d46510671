//! The shape of the tables: made by whoever comes first, brought up to date by whoever is newer.
//!
//! A lock of the database sees to it that one process does so at a time. A newer shape than this version knows is left alone.

use super::Failure;
use sqlx::{Connection as _, Executor as _, PgConnection};

/// What leads from each shape to the next; the number of those applied stands in `trueup_shape`.
const MIGRATIONS: &[&str] = &["
    CREATE TABLE history (
        id     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        target TEXT NOT NULL,
        ended  BIGINT NOT NULL,          -- milliseconds since 1970
        entry  TEXT NOT NULL             -- JSON, outcomes included
    );
    CREATE INDEX history_by_target ON history (target, ended, id);
    CREATE INDEX history_by_end ON history (ended);
    CREATE TABLE drift (
        target TEXT NOT NULL,
        object TEXT NOT NULL,            -- as people write it
        field  TEXT NOT NULL,            -- empty where the object as a whole is meant
        writer TEXT NOT NULL,            -- the field manager, where it is known
        last   BIGINT NOT NULL,          -- milliseconds since 1970
        there  INTEGER NOT NULL,         -- whether it is there still
        entry  TEXT NOT NULL,            -- JSON; values of Secrets are hashes
        PRIMARY KEY (target, object, field, writer)
    );
    CREATE INDEX drift_by_time ON drift (target, last);
    CREATE TABLE sender (
        name    TEXT PRIMARY KEY,        -- a process of trueup
        applied BIGINT NOT NULL,         -- the number of its last parcel that is in the tables
        seen    BIGINT NOT NULL          -- when that was, in milliseconds since 1970
    );
"];

/// Any number, as long as all versions have the same.
const LOCK: i64 = 0x0074_7275_6575_7001;

/// Makes sure that the tables are as this version knows them.
pub(super) async fn settle(connection: &mut PgConnection) -> Result<(), Failure> {
    if shape(connection).await? == MIGRATIONS.len() {
        return Ok(());
    }
    let mut transaction = connection.begin().await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *transaction).await?;
    // Somebody else may have done it meanwhile.
    let found = shape(&mut transaction).await?;
    if found > MIGRATIONS.len() {
        let known = MIGRATIONS.len();
        return Err(Failure::Said(format!(
            "its tables are of a newer trueup (shape {found}, this one knows {known}): use that version, or another database"
        )));
    }
    if found == 0 {
        transaction
            .execute(sqlx::raw_sql(
                "CREATE TABLE trueup_shape (shape INTEGER NOT NULL); INSERT INTO trueup_shape VALUES (0)",
            ))
            .await?;
    }
    for migration in MIGRATIONS.iter().skip(found) {
        transaction.execute(sqlx::raw_sql(*migration)).await?;
    }
    let known = i32::try_from(MIGRATIONS.len()).unwrap_or(i32::MAX);
    sqlx::query("UPDATE trueup_shape SET shape = $1").bind(known).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(())
}

async fn shape(connection: &mut PgConnection) -> Result<usize, Failure> {
    // Looked up in the table of tables: `to_regclass` goes by what the connection remembers, also that there was none before it waited.
    let is_there: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_tables WHERE tablename = 'trueup_shape' AND schemaname = ANY (current_schemas(false)))",
    )
    .fetch_one(&mut *connection)
    .await?;
    if !is_there {
        return Ok(0);
    }
    let shape: i32 = sqlx::query_scalar("SELECT shape FROM trueup_shape").fetch_one(connection).await?;
    Ok(usize::try_from(shape).unwrap_or_default())
}

//! The file itself: who may write it, whether it is whole, and which shape it has.

use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const NAME: &str = "trueup.db";
const LOCK: &str = "trueup.lock";
const INSTALLATION: &str = "installation";
/// How long a connection waits for another one.
const BUSY: Duration = Duration::from_secs(10);
/// How long a trueup that ends may still hold the folder.
const SOON: Duration = Duration::from_secs(1);

/// What leads from each shape of the file to the next; the number of those applied is its `user_version`.
const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE status (
        target TEXT PRIMARY KEY,
        status TEXT NOT NULL             -- JSON, as the command line shows it
    ) WITHOUT ROWID;
    CREATE TABLE history (
        id     INTEGER PRIMARY KEY,      -- grows with time
        target TEXT NOT NULL,
        ended  INTEGER NOT NULL,         -- milliseconds since 1970
        entry  TEXT NOT NULL             -- JSON, outcomes included
    );
    CREATE INDEX history_by_target ON history (target, id);
    CREATE INDEX history_by_end ON history (ended);
    CREATE TABLE ledger (
        target    TEXT NOT NULL,
        api_group TEXT NOT NULL,
        kind      TEXT NOT NULL,
        namespace TEXT NOT NULL,
        name      TEXT NOT NULL,
        known     TEXT NOT NULL,         -- JSON: digest and token
        PRIMARY KEY (target, api_group, kind, namespace, name)
    ) WITHOUT ROWID;
",
    "
    CREATE TABLE drift (
        target TEXT NOT NULL,
        object TEXT NOT NULL,            -- as people write it
        field  TEXT NOT NULL,            -- empty where the object as a whole is meant
        writer TEXT NOT NULL,            -- the field manager, where it is known
        last   INTEGER NOT NULL,         -- milliseconds since 1970
        there  INTEGER NOT NULL,         -- whether it is there still
        entry  TEXT NOT NULL,            -- JSON; values of Secrets are hashes
        PRIMARY KEY (target, object, field, writer)
    ) WITHOUT ROWID;
    CREATE INDEX drift_by_time ON drift (target, last);
",
    "
    CREATE TABLE outbox (
        number INTEGER PRIMARY KEY AUTOINCREMENT,    -- never given out twice
        sender TEXT NOT NULL,                        -- the process that wrote it
        parcel TEXT NOT NULL                         -- JSON
    );
",
];

/// The name of this installation of trueup: random, made once a state folder. What another installation left in a cluster is
/// told apart by it.
///
/// # Errors
/// The folder cannot be written, or there is no source of random numbers.
pub fn installation(folder: &Path) -> Result<String> {
    let path = folder.join(INSTALLATION);
    if let Ok(name) = std::fs::read_to_string(&path)
        && !name.trim().is_empty()
    {
        return Ok(name.trim().to_owned());
    }
    make_folder(folder).with_context(|| format!("{}: cannot be made", folder.display()))?;
    let mut random = [0; 8];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut random))
        .context("random numbers")?;
    let name = format!("{:016x}", u64::from_be_bytes(random));
    // Written aside and renamed, so that a crash leaves no half of a name.
    let aside = folder.join(format!("{INSTALLATION}.new"));
    std::fs::write(&aside, &name)
        .and_then(|()| std::fs::rename(&aside, &path))
        .with_context(|| path.display().to_string())?;
    Ok(name)
}

/// Makes the folder where it is missing, and takes it for this process; it is given back when the file closes.
pub(super) fn lock(folder: &Path) -> Result<File> {
    make_folder(folder).with_context(|| format!("{}: cannot be made", folder.display()))?;
    let path = folder.join(LOCK);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .with_context(|| format!("{}: cannot be written", path.display()))?;
    match lock_soon(&file) {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // Only a courtesy to the reader of the message: an unreadable number is left out.
            let _ = file.read_to_string(&mut holder);
            let holder = if holder.trim().is_empty() {
                String::new()
            } else {
                format!(" (process {})", holder.trim())
            };
            bail!(
                "{}: another trueup{holder} works with this state folder; stop it, or give this one another --state",
                folder.display()
            );
        }
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("{}: cannot be locked", path.display()));
        }
    }
    file.set_len(0)?;
    write!(file, "{}", std::process::id())?;
    Ok(file)
}

/// Takes the lock, and waits a moment for one that is about to go: a process that was started from this one holds what this
/// one held until it runs its own program.
fn lock_soon(file: &File) -> Result<(), TryLockError> {
    let end = Instant::now() + SOON;
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < end => std::thread::sleep(SOON / 50),
            done => return done,
        }
    }
}

#[cfg(unix)]
fn make_folder(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    // What is deployed where is nobody else's business.
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn make_folder(folder: &Path) -> std::io::Result<()> {
    fs::create_dir_all(folder)
}

/// Opens the file for writing; a damaged one is moved aside first.
pub(super) fn open_or_begin(folder: &Path, now: Timestamp) -> Result<Connection> {
    let path = folder.join(NAME);
    match open_whole(&path) {
        Ok(connection) => migrate(connection, &path),
        Err(error) if is_damage(&error) => {
            let aside = move_aside(&path, now)?;
            tracing::warn!(
                file = %path.display(),
                moved_to = %aside.display(),
                %error,
                "the store is damaged: it was moved aside and a new one begun; history before now is in the old file"
            );
            let connection =
                open_whole(&path).with_context(|| format!("{}: cannot be made", path.display()))?;
            migrate(connection, &path)
        }
        Err(error) => Err(error).with_context(|| format!("{}: cannot be opened", path.display())),
    }
}

/// Opens the file for reading, beside whoever writes it; `None` where there is none.
pub(super) fn open_to_read(folder: &Path) -> Result<Option<Connection>> {
    let path = folder.join(NAME);
    if !path.exists() {
        return Ok(None);
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || -> rusqlite::Result<_> {
        let connection = Connection::open_with_flags(&path, flags)?;
        connection.busy_timeout(BUSY)?;
        let version = version(&connection)?;
        Ok((connection, version))
    };
    let (connection, version) = open().with_context(|| format!("{}: cannot be read", path.display()))?;
    if version != MIGRATIONS.len() {
        bail!(
            "{}: was written by another version of trueup (shape {version}, this one knows {})",
            path.display(),
            MIGRATIONS.len()
        );
    }
    Ok(Some(connection))
}

fn open_whole(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    // With a write-ahead log this survives the end of the process at any point; only a machine that loses power may
    // lose the last writes, and those are found in Git and in the cluster.
    connection.pragma_update(None, "synchronous", "normal")?;
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
        return Err(rusqlite::Error::SqliteFailure(code, Some(verdict)));
    }
    Ok(connection)
}

fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
}

/// Renames the file, and its log with it: a new file must not be read together with the log of an old one.
fn move_aside(path: &Path, now: Timestamp) -> Result<PathBuf> {
    let suffix = format!(".damaged-{}", now.as_millisecond());
    let with = |end: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    for part in ["-wal", "-shm", ""] {
        let from = with(part);
        if from.exists() {
            fs::rename(&from, with(&format!("{suffix}{part}")))
                .with_context(|| format!("{}: is damaged and cannot be moved aside", from.display()))?;
        }
    }
    Ok(with(&suffix))
}

fn migrate(mut connection: Connection, path: &Path) -> Result<Connection> {
    let found = version(&connection)?;
    if found > MIGRATIONS.len() {
        bail!(
            "{}: was written by a newer trueup (shape {found}, this one knows {}); use that version, or another --state",
            path.display(),
            MIGRATIONS.len()
        );
    }
    for (index, migration) in MIGRATIONS.iter().enumerate().skip(found) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "user_version", u32::try_from(index + 1)?)?;
        transaction.commit().with_context(|| format!("{}: cannot be brought up to date", path.display()))?;
    }
    Ok(connection)
}

fn version(connection: &Connection) -> rusqlite::Result<usize> {
    connection
        .query_row("PRAGMA user_version", [], |row| row.get::<_, u32>(0))
        .map(|version| version as usize)
}

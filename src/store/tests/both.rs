//! What holds of a store wherever its history is: in the file of the state folder, and in PostgreSQL.

use super::*;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use trueup_plan::drift::{DriftState, Drifted};
use trueup_testkit::Postgres;

/// The server of all tests of this process.
pub(super) fn server() -> &'static Postgres {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    SERVER.get_or_init(|| Postgres::start().unwrap())
}

/// The URL of a new database.
pub(super) fn database() -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("store{}", COUNT.fetch_add(1, Ordering::SeqCst));
    server().database(&name).unwrap()
}

/// A place for a store, and the way to open it.
pub(super) struct Place {
    pub(super) folder: tempfile::TempDir,
    database: Option<Database>,
    retention: Retention,
}

impl Place {
    fn file() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), database: None, retention: Retention::default() }
    }

    pub(super) fn shared() -> Self {
        Self::of(&database())
    }

    pub(super) fn of(url: &str) -> Self {
        let database = Some(Database::parse(url).unwrap());
        Self { folder: tempfile::tempdir().unwrap(), database, retention: Retention::default() }
    }

    pub(super) fn open(&self) -> Store {
        match self.database.clone() {
            None => Store::open(self.folder.path(), self.retention, now()).unwrap(),
            Some(database) => {
                Store::open_shared(self.folder.path(), self.retention, now(), database).unwrap()
            }
        }
    }
}

macro_rules! both {
    ($($name:ident,)*) => {
        mod in_a_file {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::Place::file()).await;
            })*
        }
        mod in_postgresql {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(super::Place::shared()).await;
            })*
        }
    };
}

both![
    what_was_saved_is_there_after_a_restart,
    a_forgotten_target_keeps_its_history_and_nothing_else,
    history_is_bounded_by_entries_of_each_target_and_by_age,
    drift_is_counted_by_field_and_what_is_not_seen_any_more_has_gone,
    the_drift_of_a_target_is_bounded,
];

pub(super) fn drifted(name: &str, field: &str, state: DriftState) -> Drifted {
    Drifted {
        object: config_map(name),
        field: field.into(),
        pointer: format!("/data/{field}"),
        wanted: Some("git".into()),
        found: Some("theirs".into()),
        manager: Some("person".into()),
        operation: None,
        since: None,
        state,
        message: String::new(),
    }
}

pub(super) async fn save_drift(store: &Store, target: &str, drift: Vec<Drifted>) {
    let record = Record { drift, ..record(target, "1111", now()) };
    store.save(record, LedgerChange::default()).await.unwrap();
}

pub(super) async fn told(store: &Store) -> Vec<String> {
    let entries = store.drift().await.unwrap();
    let tell = |entry: &DriftEntry| {
        format!("{} {} {} {}", entry.target, entry.drifted.field, entry.drifted.state, entry.count)
    };
    entries.iter().map(tell).collect()
}

async fn what_was_saved_is_there_after_a_restart(place: Place) {
    let store = place.open();
    let ledger = Ledger::from([(config_map("a"), known("a")), (config_map("b"), known("b"))]);
    let saved = record("web@staging", "1111", now());
    store.save(saved.clone(), LedgerChange::between(&Ledger::new(), &ledger)).await.unwrap();
    store.close().await.unwrap();

    let store = place.open();
    assert_eq!(store.statuses().await.unwrap(), [saved.status]);
    assert_eq!(store.history("web@staging", 10).await.unwrap(), [saved.history.unwrap()]);
    assert_eq!(store.ledger("web@staging").await.unwrap(), ledger);
    assert_eq!(store.ledger("web@production").await.unwrap(), Ledger::new());
}

async fn a_forgotten_target_keeps_its_history_and_nothing_else(place: Place) {
    let store = place.open();
    let ledger = Ledger::from([(config_map("a"), known("a"))]);
    for target in ["web@staging", "web@production"] {
        let change = LedgerChange::between(&Ledger::new(), &ledger);
        store.save(record(target, "1111", now()), change).await.unwrap();
    }
    store.forget("web@staging").await.unwrap();
    let left: Vec<String> = store.statuses().await.unwrap().into_iter().map(|status| status.target).collect();
    assert_eq!(left, ["web@production"]);
    assert_eq!(store.ledger("web@staging").await.unwrap(), Ledger::new());
    assert_eq!(store.ledger("web@production").await.unwrap(), ledger);
    assert_eq!(revisions(&store, "web@staging").await, ["1111"]);
}

async fn history_is_bounded_by_entries_of_each_target_and_by_age(mut place: Place) {
    place.retention = Retention { entries: 3, age: SignedDuration::from_hours(24) };
    let store = place.open();
    store.save(record("db@staging", "old", now()), LedgerChange::default()).await.unwrap();
    for hour in 1..=5 {
        let ended = now() + SignedDuration::from_hours(hour);
        store.save(record("web@staging", &hour.to_string(), ended), LedgerChange::default()).await.unwrap();
    }
    assert_eq!(revisions(&store, "web@staging").await, ["5", "4", "3"]);
    assert_eq!(revisions(&store, "db@staging").await, ["old"]);
    assert_eq!(store.history("web@staging", 1).await.unwrap().len(), 1);

    let next_day = now() + SignedDuration::from_hours(28);
    store.save(record("web@staging", "6", next_day), LedgerChange::default()).await.unwrap();
    assert_eq!(revisions(&store, "web@staging").await, ["6", "5", "4"]);
    assert_eq!(revisions(&store, "db@staging").await, Vec::<String>::new());
}

async fn drift_is_counted_by_field_and_what_is_not_seen_any_more_has_gone(place: Place) {
    let store = place.open();
    let (repaired, standing) = (DriftState::Repaired, DriftState::Standing);
    save_drift(&store, "web@staging", vec![drifted("a", "x", repaired), drifted("a", "y", standing)]).await;
    save_drift(&store, "web@staging", vec![drifted("a", "x", repaired), drifted("a", "y", standing)]).await;
    save_drift(&store, "db@staging", vec![drifted("a", "x", standing)]).await;
    let mut all = told(&store).await;
    all.sort();
    assert_eq!(all, ["db@staging x standing 1", "web@staging x repaired 2", "web@staging y standing 1"]);
    save_drift(&store, "web@staging", Vec::new()).await;
    assert_eq!(told(&store).await[0], "db@staging x standing 1", "what is there comes first");
    assert!(told(&store).await.contains(&"web@staging y gone 1".to_owned()));
    store.forget("db@staging").await.unwrap();
    assert!(told(&store).await.iter().all(|line| line.starts_with("web@staging")));
}

async fn the_drift_of_a_target_is_bounded(place: Place) {
    let store = place.open();
    for round in 0..6 {
        let fields = (0..150).map(|field| drifted("a", &format!("{round}-{field}"), DriftState::Repaired));
        save_drift(&store, "web@staging", fields.collect()).await;
        tokio::time::sleep(std::time::Duration::from_millis(3)).await;
    }
    let told = told(&store).await;
    assert!(told.len() <= 600, "{}", told.len());
    assert!(
        told.iter().any(|line| line.contains(" 5-149 ")) && !told.iter().any(|line| line.contains(" 0-0 "))
    );
}

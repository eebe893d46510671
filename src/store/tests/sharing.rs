//! Several stores that share their history, and a database that goes away and comes back.

use super::both::{Place, database, drifted, save_drift, server, told};
use super::*;
use std::time::Duration;
use trueup_plan::drift::DriftState;
use trueup_testkit::Postgres;

#[tokio::test(flavor = "multi_thread")]
async fn each_store_tells_what_all_brought_and_a_target_that_changes_hands_goes_on() {
    let url = database();
    let (one, other) = (Place::of(&url), Place::of(&url));
    // Both come to an empty database at once.
    let (first, second) = (one.open(), other.open());
    let at = |minute| now() + SignedDuration::from_mins(minute);
    let (a, b) = tokio::join!(
        first.save(record("web@staging", "1", at(1)), LedgerChange::default()),
        second.save(record("db@staging", "1", at(1)), LedgerChange::default()),
    );
    a.and(b).unwrap();
    save_drift(&first, "web@staging", vec![drifted("a", "x", DriftState::Standing)]).await;
    assert!(told(&first).await.contains(&"web@staging x standing 1".to_owned()));
    second.save(record("web@staging", "2", at(2)), LedgerChange::default()).await.unwrap();
    assert!(told(&second).await.contains(&"web@staging x gone 1".to_owned()), "the new keeper saw none");
    for store in [&first, &second] {
        let found = revisions(store, "web@staging").await;
        assert_eq!((&found[0], found.len()), (&"2".to_owned(), 3));
        assert_eq!(revisions(store, "db@staging").await, ["1"]);
    }
    // Status and ledger are of the state folder.
    let known: Vec<String> =
        first.statuses().await.unwrap().into_iter().map(|status| status.target).collect();
    assert_eq!(known, ["web@staging"]);
    // What came later is newer, whoever brought it last.
    first.save(record("db@staging", "0", now()), LedgerChange::default()).await.unwrap();
    assert_eq!(revisions(&first, "db@staging").await, ["1", "0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_while_the_database_is_killed_under_load() {
    const STORES: usize = 3;
    const EACH: usize = 150;
    let mut server = Postgres::start().unwrap();
    let url = server.database("load").unwrap();
    let places: Vec<Place> = (0..STORES).map(|_| Place::of(&url)).collect();
    let mut work = Vec::new();
    for (number, place) in places.iter().enumerate() {
        let store = place.open();
        work.push(tokio::spawn(async move {
            for revision in 0..EACH {
                let ended = now() + SignedDuration::from_secs(i64::try_from(revision).unwrap());
                let target = format!("web@{number}-{}", revision % 3);
                store
                    .save(record(&target, &revision.to_string(), ended), LedgerChange::default())
                    .await
                    .unwrap();
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            store
        }));
    }
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(600)).await;
        tokio::task::block_in_place(|| {
            server.kill().unwrap();
            std::thread::sleep(Duration::from_millis(300));
            server.revive().unwrap();
        });
    }
    for (number, one) in work.into_iter().enumerate() {
        let store = one.await.unwrap();
        for part in 0..3 {
            let mut found = revisions(&store, &format!("web@{number}-{part}")).await;
            found.reverse();
            let all: Vec<String> =
                (0..EACH).filter(|one| one % 3 == part).map(|one| one.to_string()).collect();
            assert_eq!(found, all, "of store {number}");
        }
        store.close().await.unwrap();
    }
    assert_eq!(server.ask("load", "SELECT count(*) FROM history").unwrap(), (STORES * EACH).to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_brought_waits_in_the_state_folder_over_a_restart() {
    let mut server = Postgres::start().unwrap();
    let place = Place::of(&server.database("later").unwrap());
    let store = place.open();
    store.save(record("web@staging", "1", now()), LedgerChange::default()).await.unwrap();
    assert_eq!(revisions(&store, "web@staging").await, ["1"]);
    assert_eq!(store.waiting().await.unwrap(), Some(Waiting::default()));
    tokio::task::block_in_place(|| server.kill().unwrap());
    let begun = std::time::Instant::now();
    store.save(record("web@staging", "2", now()), LedgerChange::default()).await.unwrap();
    let error = format!("{:#}", store.history("web@staging", 5).await.unwrap_err());
    assert!(error.contains("the shared history") && error.contains("postgres://trueup@127.0.0.1"), "{error}");
    assert!(!error.contains(server.password()) && !error.contains("p%40ss"), "{error}");
    store.forget("web@production").await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    let waiting = store.waiting().await.unwrap().unwrap();
    assert_eq!(waiting.parcels, 2);
    assert!(waiting.oldest >= Duration::from_millis(20) && waiting.oldest <= begun.elapsed(), "{waiting:?}");
    store.close().await.unwrap();

    let store = place.open();
    store.save(record("web@staging", "3", now()), LedgerChange::default()).await.unwrap();
    tokio::task::block_in_place(|| server.revive().unwrap());
    assert_eq!(revisions(&store, "web@staging").await, ["3", "2", "1"]);
    assert_eq!(Reader::open(place.folder.path()).unwrap().unwrap().waiting().unwrap().0, 0);
    assert_eq!(store.waiting().await.unwrap(), Some(Waiting::default()));
    store.close().await.unwrap();

    // A folder that is put back to a backup gives numbers out again.
    let backup = place.folder.path().join("trueup.db");
    let bytes = fs::read(&backup).unwrap();
    let store = place.open();
    store.save(record("web@staging", "4", now()), LedgerChange::default()).await.unwrap();
    store.close().await.unwrap();
    fs::write(&backup, &bytes).unwrap();
    let store = place.open();
    store.save(record("web@staging", "5", now()), LedgerChange::default()).await.unwrap();
    assert_eq!(revisions(&store, "web@staging").await, ["5", "4", "3", "2", "1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_encrypted_as_the_url_says() {
    let server = server();
    let url = server.database("tls").unwrap();
    let with = |mode: &str| format!("{url}?sslmode={mode}&sslrootcert={}", server.authority().display());
    for mode in ["disable", "require", "verify-ca", "verify-full"] {
        let store = Place::of(&with(mode)).open();
        store.save(record("web@staging", mode, now()), LedgerChange::default()).await.unwrap();
        assert_eq!(revisions(&store, "web@staging").await[0], mode);
        let question = "SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'trueup' AND datname = 'tls'";
        let expected = if mode == "disable" { "f" } else { "t" };
        assert_eq!(server.ask("tls", question).unwrap(), expected, "{mode}");
        store.close().await.unwrap();
    }
    // An authority that is not the server's: nothing is said to it.
    let stranger = tempfile::NamedTempFile::new().unwrap();
    fs::write(stranger.path(), trueup_testkit::Authority::new().unwrap().certificate()).unwrap();
    let place = Place::of(&format!("{url}?sslmode=verify-full&sslrootcert={}", stranger.path().display()));
    let store = place.open();
    store.save(record("web@staging", "stranger", now()), LedgerChange::default()).await.unwrap();
    let error = format!("{:#}", store.history("web@staging", 5).await.unwrap_err());
    assert!(error.to_lowercase().contains("certificate"), "{error}");
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_a_newer_trueup_are_left_alone_and_what_is_new_waits() {
    let server = server();
    let place = Place::of(&server.database("newer").unwrap());
    let store = place.open();
    store.save(record("web@staging", "1", now()), LedgerChange::default()).await.unwrap();
    assert_eq!(revisions(&store, "web@staging").await, ["1"]);
    store.close().await.unwrap();
    server.ask("newer", "UPDATE trueup_shape SET shape = 99").unwrap();
    let store = place.open();
    store.save(record("web@staging", "2", now()), LedgerChange::default()).await.unwrap();
    let error = format!("{:#}", store.history("web@staging", 5).await.unwrap_err());
    assert!(error.contains("newer trueup (shape 99"), "{error}");
    assert_eq!(server.ask("newer", "SELECT count(*) FROM history").unwrap(), "1");
    server.ask("newer", "UPDATE trueup_shape SET shape = 1").unwrap();
    assert_eq!(revisions(&store, "web@staging").await, ["2", "1"]);
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_database_refuses_for_ever_holds_up_nothing_else() {
    let server = server();
    let place = Place::of(&server.database("refused").unwrap());
    let store = place.open();
    store.save(record("web@staging", "1", now()), LedgerChange::default()).await.unwrap();
    assert_eq!(revisions(&store, "web@staging").await, ["1"]);
    let rule = "ALTER TABLE history ADD CONSTRAINT few CHECK (entry NOT LIKE '%refuse me%')";
    server.ask("refused", rule).unwrap();
    for revision in ["2", "refuse me", "3"] {
        store.save(record("web@staging", revision, now()), LedgerChange::default()).await.unwrap();
    }
    wait_for(&store, &["3", "2", "1"]).await;
    // Long keys and characters that PostgreSQL does not know are no such thing.
    save_drift(&store, "web@staging", vec![drifted("a", &"ä".repeat(5000), DriftState::Standing)]).await;
    save_drift(&store, "web@staging", vec![drifted("a", "nul\0", DriftState::Standing)]).await;
    let fields: Vec<String> = told(&store).await;
    assert_eq!(fields.len(), 2, "{fields:?}");
    assert!(fields.iter().any(|line| line.contains("nul\0")), "{fields:?}");
    store.close().await.unwrap();
}

/// A question asked while something is being set aside may be told of it.
async fn wait_for(store: &Store, wanted: &[&str]) {
    for _ in 0..100 {
        if let Ok(found) = store.history("web@staging", 10).await
            && found.iter().map(|entry| entry.revision.as_str()).eq(wanted.iter().copied())
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(revisions(store, "web@staging").await, wanted);
}

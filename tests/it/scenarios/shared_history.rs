//! Two replicas of trueup whose history is together in PostgreSQL, which is killed and comes back while they work, and so is one of them.

use super::harness::PATIENCE;
use super::replicas::{CLUSTERS, Shared};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use trueup_testkit::Postgres;

impl Shared {
    /// The commits in a target's history, as one replica tells it, oldest first.
    fn history(&self, number: usize, target: &str) -> Result<Vec<String>, String> {
        let output = self.ask(number, &["history", target, "-n", "1000", "-o", "json"]);
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        let entries = told["history"].as_array().unwrap().iter().rev();
        Ok(entries.map(|entry| entry["revision"].as_str().unwrap().to_owned()).collect())
    }

    /// How often each target drifted, as one replica tells it.
    fn drift(&self, number: usize) -> BTreeMap<String, u64> {
        let output = self.ask(number, &["drift", "-o", "json", "--exit-zero"]);
        let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let entries = told["drift"].as_array().cloned().unwrap_or_default();
        let of =
            |entry: &Value| (entry["target"].as_str().unwrap().to_owned(), entry["count"].as_u64().unwrap());
        entries.iter().map(of).collect()
    }
}

#[test]
fn a_database_that_is_killed_under_load_misses_no_entry_and_has_none_twice() {
    let mut postgres = Postgres::start().unwrap();
    let mut shared = Shared::new("history", 2, 2);
    shared.store = Some(postgres.database("history").unwrap());
    shared.start(0);
    shared.start(1);
    shared.shared_by(2);
    let mut commits = Vec::new();
    let mut round = |shared: &Shared| {
        let revision = shared.commit(&format!("{:03}", commits.len()), CLUSTERS);
        shared.ready(&revision, CLUSTERS, PATIENCE);
        commits.push(revision);
    };
    round(&shared);
    // Killed while entries are on their way, and back while more come.
    for _ in 0..3 {
        postgres.kill().unwrap();
        round(&shared);
        postgres.revive().unwrap();
        round(&shared);
    }
    // Away while a replica is killed that has not brought what it has.
    postgres.kill().unwrap();
    round(&shared);
    let refusal = shared.history(0, "app@e0").unwrap_err();
    assert!(refusal.contains("the shared history"), "{refusal}");
    shared.signal(1, "-KILL");
    shared.ended(1);
    shared.shared_by(1);
    round(&shared);
    postgres.revive().unwrap();
    shared.start(1);
    shared.shared_by(2);
    round(&shared);

    for environment in 0..CLUSTERS {
        let target = format!("app@e{environment}");
        for number in 0..2 {
            shared.within(PATIENCE, "the history has each commit", |shared| {
                shared.history(number, &target).is_ok_and(|found| found.len() >= commits.len())
            });
            assert_eq!(shared.history(number, &target).unwrap(), commits, "{target} by replica {number}");
        }
    }
    let rows = postgres.ask("history", "SELECT count(*) FROM history").unwrap();
    assert_eq!(rows, (commits.len() * CLUSTERS).to_string());

    // Drift of each target, whoever keeps it.
    for environment in 0..CLUSTERS {
        let object = shared.world.config_map(&format!("e{environment}-0"));
        shared.world.api.merge(&object, &json!({"data": {"value": "a person's"}})).unwrap();
    }
    for number in 0..2 {
        shared.within(PATIENCE, "each replica tells of all drift", |shared| {
            let drift = shared.drift(number);
            drift.len() == CLUSTERS && drift.values().all(|count| *count == 1)
        });
    }

    let logs = shared.logs();
    assert!(
        logs.contains("history and drift are shared") && logs.contains("the shared history is reached again")
    );
    for secret in [postgres.password(), "p%40ss"] {
        assert!(!logs.contains(secret), "{logs}");
    }
}

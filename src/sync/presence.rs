//! Whether each cluster is there, and which Kubernetes runs in it.
//!
//! Enters: the clusters that this replica has. Leaves: how each of them stands, on the board. A cluster that answers is asked for its
//! version once a minute, and at once where its watches were cut off; nobody waits for any of them, and none is asked twice at once.
//! Absent: what follows of it. Turns find out by themselves what they cannot reach.

use super::engine::Engine;
use super::view::{ClusterStanding, ClusterState};
use crate::ambient;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How often is looked whether a cluster should be asked.
const LOOK: Duration = Duration::from_secs(1);
/// How often a cluster is asked whether it is there; and one that was not, or whose watches were cut off since.
const ASK: Duration = Duration::from_mins(1);
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// Keeps the board at how the clusters stand, without end.
pub(super) async fn watch_over(engine: Engine) {
    let mut asked = BTreeMap::new();
    let answers = Arc::new(Answers::default());
    loop {
        ask(&engine, &mut asked, &answers);
        show(&engine, &answers);
        tokio::select! {
            () = answers.news.notified() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// When a cluster was asked last, and how often it had been interrupted then.
type Asked = BTreeMap<String, (Instant, u64)>;

#[derive(Default)]
struct Answers {
    known: Mutex<BTreeMap<String, ClusterStanding>>,
    under_way: Mutex<BTreeSet<String>>,
    news: Notify,
}

impl Answers {
    /// Takes what a cluster answered, or why it did not.
    fn take(&self, name: String, answer: Result<String, String>) {
        lock(&self.under_way).remove(&name);
        let mut known = lock(&self.known);
        let before = known.remove(&name);
        known.insert(name.clone(), stands(name, before, answer));
        drop(known);
        self.news.notify_one();
    }
}

/// How a cluster stands after it was asked: since when, and with the version that it told last.
fn stands(name: String, before: Option<ClusterStanding>, answer: Result<String, String>) -> ClusterStanding {
    let before = before.unwrap_or_default();
    let (state, version, message) = match answer {
        Ok(version) => (ClusterState::Reachable, version, String::new()),
        Err(why) => (ClusterState::Unreachable, before.version, why),
    };
    let since = before.since.filter(|_| before.state == state).or_else(|| Some(ambient::now()));
    ClusterStanding { name, state, version, since, message, targets: 0 }
}

fn ask(engine: &Engine, asked: &mut Asked, answers: &Arc<Answers>) {
    let now = Instant::now();
    let mut clusters = engine.clusters();
    clusters.retain(|name, _| engine.has_cluster(name));
    asked.retain(|name, _| clusters.contains_key(name));
    let troubles = engine.troubles("Cluster");
    let agents = engine.agents();
    lock(&answers.known).retain(|name, _| {
        clusters.contains_key(name) || troubles.contains_key(name) || agents.contains_key(name)
    });
    for (name, cluster) in clusters {
        let interruptions = cluster.interruptions();
        if let Some((at, before)) = asked.get(&name) {
            let is_well =
                lock(&answers.known).get(&name).is_some_and(|known| known.state == ClusterState::Reachable);
            let pause = if is_well && *before == interruptions { ASK } else { ASK_AGAIN };
            if *at + pause > now {
                continue;
            }
        }
        if !lock(&answers.under_way).insert(name.clone()) {
            continue;
        }
        asked.insert(name.clone(), (now, interruptions));
        let answers = answers.clone();
        tokio::spawn(async move {
            let answer = cluster.version().await.map_err(|error| error.to_string());
            answers.take(name, answer);
        });
    }
    // These are not asked: nothing is there to be asked, or an agent tells by itself.
    let told = agents.into_iter().filter_map(|(name, agent)| match agent.trouble {
        Some(why) => Some((name, Err(why))),
        None => (!agent.version.is_empty()).then_some((name, Ok(agent.version))),
    });
    let unset = troubles.into_iter().map(|(name, why)| (name, Err(why)));
    for (name, answer) in unset.chain(told).filter(|(name, _)| engine.has_cluster(name)) {
        let mut known = lock(&answers.known);
        let before = known.remove(&name);
        known.insert(name.clone(), stands(name, before, answer));
    }
}

fn show(engine: &Engine, answers: &Answers) {
    let (mut kept, mut others) = (BTreeMap::new(), BTreeMap::new());
    for (name, targets) in engine.targets_by_cluster() {
        let known = lock(&answers.known).get(&name).cloned();
        let known = known.unwrap_or_else(|| ClusterStanding { name: name.clone(), ..Default::default() });
        let part = if engine.has_cluster(&name) { &mut kept } else { &mut others };
        part.insert(name, ClusterStanding { targets, ..known });
    }
    engine.show_clusters(kept, others);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn stood(state: ClusterState, version: &str) -> ClusterStanding {
        let since = Some(Timestamp::UNIX_EPOCH);
        ClusterStanding {
            name: "eu-1".into(),
            state,
            version: version.into(),
            since,
            ..ClusterStanding::default()
        }
    }

    #[test]
    fn a_cluster_keeps_its_version_while_it_is_away_and_the_time_since_when_it_is() {
        let there = stood(ClusterState::Reachable, "v1.35.1");
        let lost = stands("eu-1".into(), Some(there.clone()), Err("refused".into()));
        assert_eq!((lost.state, &*lost.version), (ClusterState::Unreachable, "v1.35.1"));
        assert!(lost.since > there.since);
        let still = stands("eu-1".into(), Some(lost.clone()), Err("no answer".into()));
        assert_eq!((still.since, &*still.message), (lost.since, "no answer"));
        let back = stands("eu-1".into(), Some(still), Ok("v1.36.0".into()));
        assert_eq!((back.state, &*back.version, &*back.message), (ClusterState::Reachable, "v1.36.0", ""));
        assert!(back.since >= lost.since);
        assert_eq!(stands("eu-1".into(), Some(there.clone()), Ok("v1.35.1".into())), there);
    }
}

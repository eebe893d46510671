//! How clusters stand, as the board shows it: those of this replica as it finds them, the others as other replicas tell.

use super::{Board, Handle, Shown};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How a cluster stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterStanding {
    /// Its name.
    pub name: String,
    /// Whether it answers.
    pub state: ClusterState,
    /// The version of Kubernetes that it told last; empty where it never did.
    pub version: String,
    /// How many targets are there.
    pub targets: usize,
    /// Since when it stands so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Why it cannot be reached.
    pub message: String,
}

/// Whether a cluster answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClusterState {
    /// Nobody has asked yet, or the replica that has it has not told.
    #[default]
    Pending,
    /// It does.
    Reachable,
    /// It does not.
    Unreachable,
}

/// What is shown of clusters.
#[derive(Debug, Default)]
pub(super) struct Clusters {
    /// Those that this replica has.
    kept: BTreeMap<String, ClusterStanding>,
    /// The other ones that are configured, with nothing but how many targets are there.
    others: BTreeMap<String, ClusterStanding>,
    /// What other replicas told of theirs.
    heard: BTreeMap<String, ClusterStanding>,
    /// By cluster, when something new was told last.
    told: BTreeMap<String, u64>,
}

impl Shown {
    /// What is new of this replica's clusters since an earlier answer.
    pub(super) fn clusters_after(&self, after: u64) -> Vec<ClusterStanding> {
        let clusters = &self.clusters;
        let is_new = |name: &String| clusters.told.get(name) > Some(&after);
        clusters.kept.values().filter(|standing| is_new(&standing.name)).cloned().collect()
    }
}

impl Board {
    /// Says how the clusters stand that this replica has, and which other ones there are.
    pub fn show_clusters(
        &self,
        kept: BTreeMap<String, ClusterStanding>,
        others: BTreeMap<String, ClusterStanding>,
    ) {
        let mut shown = self.shown();
        if shown.clusters.kept == kept && shown.clusters.others == others {
            return;
        }
        for (name, standing) in &kept {
            if shown.clusters.kept.get(name) != Some(standing) {
                shown.sequence += 1;
                let sequence = shown.sequence;
                shown.clusters.told.insert(name.clone(), sequence);
            }
        }
        shown.clusters.told.retain(|name, _| kept.contains_key(name));
        // What others say of a cluster that they do not have any more is old.
        shown.clusters.heard.retain(|name, _| !kept.contains_key(name));
        shown.clusters.kept = kept;
        shown.clusters.others = others;
        drop(shown);
        self.changed();
    }

    /// How those stand that this replica has.
    pub fn kept_clusters(&self) -> Vec<ClusterStanding> {
        self.shown().clusters.kept.values().cloned().collect()
    }

    /// Takes in what another replica tells of its clusters.
    pub fn hear_of_clusters(&self, told: Vec<ClusterStanding>) {
        if told.is_empty() {
            return;
        }
        let told = told.into_iter().map(|standing| (standing.name.clone(), standing));
        self.shown().clusters.heard.extend(told);
        self.changed();
    }
}

impl Handle {
    /// How all clusters stand, sorted by name.
    pub fn clusters(&self) -> Vec<ClusterStanding> {
        let shown = self.board.shown();
        let clusters = &shown.clusters;
        let heard = clusters.others.iter().map(|(name, other)| {
            let heard = clusters.heard.get(name).cloned().unwrap_or_else(|| other.clone());
            (name, ClusterStanding { targets: other.targets, ..heard })
        });
        let kept = clusters.kept.iter().map(|(name, standing)| (name, standing.clone()));
        kept.chain(heard).collect::<BTreeMap<_, _>>().into_values().collect()
    }

    /// How those stand that this replica has.
    pub fn kept_clusters(&self) -> Vec<ClusterStanding> {
        self.board.kept_clusters()
    }
}

#[cfg(test)]
mod tests {
    use super::super::open;
    use super::*;

    fn stands(name: &str, state: ClusterState) -> (String, ClusterStanding) {
        let standing = ClusterStanding { name: name.into(), state, targets: 2, ..ClusterStanding::default() };
        (name.to_owned(), standing)
    }

    #[test]
    fn each_replica_tells_the_others_what_is_new_of_its_clusters() {
        let (there, its_board, _requests) = open();
        let (here, board, _requests) = open();
        let pass = |after| {
            let news = there.news(after);
            let names: Vec<_> = news.clusters.iter().map(|standing| standing.name.clone()).collect();
            board.hear_of_clusters(news.clusters);
            (names, news.sequence)
        };
        let shown = || here.clusters().into_iter().map(|one| (one.name, one.state)).collect::<Vec<_>>();
        board.show_clusters(
            [stands("a", ClusterState::Reachable)].into(),
            [stands("b", ClusterState::Pending)].into(),
        );
        assert_eq!(shown(), [("a".into(), ClusterState::Reachable), ("b".into(), ClusterState::Pending)]);

        let others = || [stands("a", ClusterState::Pending)].into();
        its_board.show_clusters([stands("b", ClusterState::Reachable)].into(), others());
        let (names, sequence) = pass(0);
        assert_eq!(names, ["b"]);
        assert_eq!(shown()[1].1, ClusterState::Reachable);
        assert_eq!(pass(sequence).0, Vec::<String>::new());
        its_board.show_clusters([stands("b", ClusterState::Unreachable)].into(), others());
        assert_eq!(pass(sequence).0, ["b"]);
        assert_eq!(shown()[1].1, ClusterState::Unreachable);

        // It is taken over here: what was heard of it counts no more, nor does it once it is gone.
        let both = [stands("a", ClusterState::Reachable), stands("b", ClusterState::Reachable)];
        board.show_clusters(both.into(), BTreeMap::new());
        assert_eq!(shown()[1].1, ClusterState::Reachable);
        board.show_clusters([stands("a", ClusterState::Reachable)].into(), BTreeMap::new());
        assert_eq!(shown(), [("a".into(), ClusterState::Reachable)]);
        assert_eq!(here.kept_clusters().len(), 1);
    }
}

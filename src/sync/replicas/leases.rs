//! The Leases of replicas and the table of shards: how they are written, and what is read from them.
//!
//! Enters: Leases as the API server has them. Leaves: a [`View`]. Absent: time; whether a Lease has run out is for who watches it.

use super::shards::{Shard, Table};
use crate::cluster::Lease;
use std::collections::{BTreeMap, BTreeSet};
use trueup_model::Value;

const REPLICA: &str = "replica";
const TABLE: &str = "shards";
/// Where a replica answers the others.
const ADDRESS: &str = "trueup.dev/address";
/// Which shards each replica has.
const SHARDS: &str = "trueup.dev/shards";
/// The name of the installation that all replicas are.
const INSTALLATION: &str = "trueup.dev/installation";

/// Whose Leases they are. Those of agents are for themselves: an agent may stand in the namespace of a trueup that is not its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kin {
    /// Replicas of a trueup with a configuration of its own.
    Replicas,
    /// Agents of a cluster.
    Agents,
}

impl Kin {
    /// What marks its Leases, and those of replicas among them.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Replicas => "trueup.dev/lease",
            Self::Agents => "trueup.dev/agent-lease",
        }
    }

    /// The name of the table's Lease.
    fn table(self) -> &'static str {
        match self {
            Self::Replicas => "trueup-shards",
            Self::Agents => "trueup-agent-shards",
        }
    }

    /// The name of a replica's Lease.
    pub(super) fn name_of(self, replica: &str) -> String {
        match self {
            Self::Replicas => format!("trueup-replica-{replica}"),
            Self::Agents => format!("trueup-agent-{replica}"),
        }
    }

    fn labels(self, part: &str) -> BTreeMap<String, String> {
        [("app.kubernetes.io/name", "trueup"), (self.label(), part)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    }
}

/// What the Leases say.
#[derive(Debug, Default)]
pub(super) struct View {
    /// The Leases of replicas, by the replica's name.
    pub(super) replicas: BTreeMap<String, Lease>,
    /// The table, if it is there.
    pub(super) table: Option<Lease>,
}

impl View {
    pub(super) fn of(kin: Kin, objects: &[Value]) -> Self {
        let mut view = Self::default();
        for object in objects {
            let lease = Lease::read(object);
            match lease.labels.get(kin.label()).map(String::as_str) {
                Some(REPLICA) => drop(view.replicas.insert(lease.holder.clone(), lease)),
                Some(TABLE) if lease.name == kin.table() => view.table = Some(lease),
                Some(_) | None => {}
            }
        }
        view
    }
}

/// The Lease of a replica, before it is written.
pub(super) fn of_replica(kin: Kin, replica: &str, seconds: i64, address: Option<&str>, now: &str) -> Lease {
    Lease {
        name: kin.name_of(replica),
        labels: kin.labels(REPLICA),
        annotations: address.map(|address| (ADDRESS.to_owned(), address.to_owned())).into_iter().collect(),
        holder: replica.to_owned(),
        seconds: Some(seconds),
        acquired: Some(now.to_owned()),
        renewed: Some(now.to_owned()),
        ..Lease::default()
    }
}

/// Where a replica answers.
pub(super) fn address(lease: &Lease) -> Option<&String> {
    lease.annotations.get(ADDRESS)
}

/// The table in which no shard is anybody's yet.
pub(super) fn empty_table(kin: Kin, installation: &str) -> Lease {
    Lease {
        name: kin.table().to_owned(),
        labels: kin.labels(TABLE),
        annotations: [(INSTALLATION.to_owned(), installation.to_owned())].into(),
        ..Lease::default()
    }
}

/// What is to be said of a Lease of the table's name that is not marked as one.
pub(super) fn unmarked(kin: Kin, namespace: &str) -> String {
    let (name, label) = (kin.table(), kin.label());
    format!(
        "there is a Lease {name} without the label {label}={TABLE}, so whose it is is not known: if it is this trueup's, `kubectl label lease {name} --namespace {namespace} {label}={TABLE}`; otherwise delete it"
    )
}

/// The installation that the table is of.
pub(super) fn installation(table: &Lease) -> Option<&String> {
    table.annotations.get(INSTALLATION).filter(|name| !name.is_empty())
}

/// What the table says. What cannot be read is nobody's.
pub(super) fn shards(table: &Lease) -> Table {
    let of: BTreeMap<String, BTreeSet<Shard>> =
        table.annotations.get(SHARDS).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let each = |(replica, shards): (String, BTreeSet<Shard>)| {
        shards.into_iter().map(move |shard| (shard, replica.clone()))
    };
    of.into_iter().flat_map(each).collect()
}

/// The table as it is to be, made from the one that was seen.
pub(super) fn with_shards(table: &Lease, shards: &Table, now: &str) -> Lease {
    let before = self::shards(table);
    let moved = Shard::all().filter(|shard| before.get(shard) != shards.get(shard)).count();
    let mut of: BTreeMap<&str, BTreeSet<Shard>> = BTreeMap::new();
    for (shard, replica) in shards {
        of.entry(replica).or_default().insert(*shard);
    }
    let mut table = table.clone();
    table.annotations.insert(SHARDS.to_owned(), serde_json::to_string(&of).unwrap_or_default());
    table.transitions += i64::try_from(moved).unwrap_or_default();
    table.renewed = Some(now.to_owned());
    table
}

#[cfg(test)]
mod tests {
    use super::super::shards::shared_out;
    use super::*;

    #[test]
    fn the_table_says_what_was_written_into_it() {
        let replicas = ["a-1", "b-2"].map(str::to_owned).into();
        let shared = shared_out(&Table::new(), &replicas);
        let empty = empty_table(Kin::Replicas, "home");
        assert_eq!((shards(&empty), installation(&empty)), (Table::new(), Some(&"home".to_owned())));
        let table = with_shards(&empty, &shared, "2026-11-22T10:00:00.000000Z");
        assert_eq!((shards(&table), table.transitions), (shared.clone(), 64));
        let mut without = shared;
        without.retain(|_, replica| replica == "a-1");
        assert_eq!(with_shards(&table, &without, "").transitions, 96);
    }
}

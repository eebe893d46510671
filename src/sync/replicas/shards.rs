//! Which replica is to keep which clusters: by shards, of which there is a fixed number.
//!
//! Enters: which shard is whose, and which replicas there are. Leaves: whose each shard is to be. Everybody who knows the same comes
//! to the same. Shards are shared out evenly, and no more of them move than that takes. Absent: whoever moves them.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// How many there are. It can never be another number: replicas that count otherwise would both keep a cluster.
const SHARDS: u8 = 64;

/// A part of all that replicas share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Shard(u8);

/// Shards and their replicas. What is in no shard's place is nobody's.
pub(super) type Table = BTreeMap<Shard, String>;

impl Shard {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..SHARDS).map(Self)
    }

    /// The one that something of this name is in, today and in every version.
    pub fn of(name: &str) -> Self {
        let shard = hash(name) % u64::from(SHARDS);
        Self(u8::try_from(shard).unwrap_or_default())
    }

    /// How much a replica is the right one for it.
    fn affinity(self, replica: &str) -> u64 {
        hash(&format!("{replica} {}", self.0))
    }
}

fn hash(text: &str) -> u64 {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(8).fold(0, |hash, byte| hash << 8 | u64::from(*byte))
}

/// Whose each shard is to be, when it is as in `table` now. Each replica keeps what it has, but for what is more than its part.
pub(super) fn shared_out(table: &Table, replicas: &BTreeSet<String>) -> Table {
    let mut has: BTreeMap<&str, Vec<Shard>> =
        replicas.iter().map(|replica| (replica.as_str(), Vec::new())).collect();
    for (shard, replica) in table {
        if let Some(has) = has.get_mut(replica.as_str()) {
            has.push(*shard);
        }
    }
    let Some(least) = usize::from(SHARDS).checked_div(replicas.len()) else { return Table::new() };
    let more = usize::from(SHARDS) % replicas.len();
    // Who has most may have one more than others where it does not come out even.
    let mut order: Vec<&str> = has.keys().copied().collect();
    order.sort_by_key(|replica| (Reverse(has.get(replica).map_or(0, Vec::len)), *replica));
    let mut result = Table::new();
    let mut room: BTreeMap<&str, usize> = BTreeMap::new();
    for (place, replica) in order.into_iter().enumerate() {
        let part = least + usize::from(place < more);
        let mut keeps = has.remove(replica).unwrap_or_default();
        keeps.sort_by_key(|shard| Reverse(shard.affinity(replica)));
        keeps.truncate(part);
        room.insert(replica, part - keeps.len());
        result.extend(keeps.into_iter().map(|shard| (shard, replica.to_owned())));
    }
    for shard in Shard::all() {
        if result.contains_key(&shard) {
            continue;
        }
        let free = room.iter_mut().filter(|(_, room)| **room > 0);
        if let Some((replica, room)) = free.max_by_key(|(replica, _)| shard.affinity(replica)) {
            *room -= 1;
            result.insert(shard, (*replica).to_owned());
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn replicas(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn moved(before: &Table, after: &Table) -> usize {
        before.iter().filter(|(shard, replica)| after.get(shard) != Some(replica)).count()
    }

    fn sizes(table: &Table, replicas: &BTreeSet<String>) -> Vec<usize> {
        replicas.iter().map(|one| table.values().filter(|other| *other == one).count()).collect()
    }

    #[test]
    fn a_name_is_in_the_same_shard_for_ever() {
        let of = |names: &[&str]| names.iter().map(|name| Shard::of(name).0).collect::<Vec<_>>();
        // Replicas of two versions have to agree, so these numbers may never change.
        assert_eq!(of(&["eu-1", "us-1", "App web"]), [51, 41, 46]);
    }

    #[test]
    fn one_more_replica_takes_its_part_and_nothing_else_moves() {
        let two = shared_out(&Table::new(), &replicas(&["a", "b"]));
        assert_eq!(sizes(&two, &replicas(&["a", "b"])), [32, 32]);
        let three = shared_out(&two, &replicas(&["a", "b", "c"]));
        assert_eq!(sizes(&three, &replicas(&["a", "b", "c"])), [22, 21, 21]);
        assert_eq!(moved(&two, &three), 21);
        let without_b = shared_out(&three, &replicas(&["a", "c"]));
        assert_eq!(sizes(&without_b, &replicas(&["a", "c"])), [32, 32]);
        assert_eq!(moved(&three, &without_b), 21, "those of the one that went");
        assert_eq!(shared_out(&three, &BTreeSet::new()), Table::new());
    }

    proptest! {
        #[test]
        fn all_shards_are_somebodys_and_nobody_has_two_more_than_another(
            names in proptest::collection::btree_set("[a-z]{1,3}", 1..9),
            holders in proptest::collection::vec(proptest::option::of("[a-z]{1,3}"), usize::from(SHARDS)),
        ) {
            let table: Table =
                Shard::all().zip(holders).filter_map(|(shard, holder)| Some((shard, holder?))).collect();
            let result = shared_out(&table, &names);
            prop_assert_eq!(result.len(), usize::from(SHARDS));
            let sizes = sizes(&result, &names);
            prop_assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1);
            // Who has it all settled stays as it is.
            prop_assert_eq!(shared_out(&result, &names), result);
        }
    }
}

//! Several replicas of one trueup: each keeps its part of the clusters, and no cluster has two.
//!
//! Enters: the Leases of the namespace that the configuration is in. Leaves: which shards this replica has, a fence that closes before
//! anybody else may take them, and how the targets of the others stand. Absent: turns, which know of all this only whether a target
//! is theirs.
//!
//! Each replica renews one Lease, whatever it keeps. One more object, the table, says which shard is whose, and is only written when
//! that changes. A replica whose Lease was not renewed in time loses it: somebody deletes that Lease as he has seen it, and what the table
//! says of a replica without a Lease counts no more. So a replica that still renews has all that the table says it has, and one that
//! was thought gone finds out when it renews. See docs/decisions/0054.

mod keeper;
mod leases;
mod peers;
mod shards;
mod share;

pub use keeper::{Keeper, Terms};
pub use leases::Kin;
pub(crate) use peers::PATIENCE;
pub use peers::{BeginAnswer, BeginRequest, DeleteRequest, News, Told};
pub(in crate::sync) use peers::{ask_to_begin, ask_to_delete, listen, pass_on};
pub(in crate::sync) use shards::Shard;
pub use share::Share;

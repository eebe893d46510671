//! The words that every part of trueup shares: what a Git tree looks like from outside ([`tree`]),
//! what a Kubernetes object is ([`object`]), where a field stands in it ([`path`]) and where it was written
//! ([`provenance`]), YAML as Kubernetes reads it ([`yaml`]), and values that are many ([`folding`], [`packed`]).
//!
//! Nothing in here knows of Git, of a cluster, of the file system or of time.

pub mod folding;
pub mod object;
pub mod packed;
pub mod path;
pub mod provenance;
pub mod tree;
pub mod yaml;

pub use folding::Folding;
pub use object::{GroupKind, Identity, Manifest, ObjectId, Origin, group_of};
pub use path::{FieldPath, Segment};
pub use tree::{ContentId, Entry, EntryKind, MemoryTree, Tree, TreeError};

/// A JSON value; object keys are kept sorted, so equal values print equal bytes.
pub type Value = serde_json::Value;

//! The kinds as custom resources: their definitions, made from the types that files are read by, and what differs there.
//!
//! Enters: the types; a document of a file; a resource as the API server has it. Leaves: definitions to apply; the resource that
//! a document becomes, and the document that a resource becomes; declared objects. Absent: any request.
//!
//! A resource is written by whoever has rights in its namespace, perhaps not by the people who run trueup. So it says nothing
//! of the machine that trueup runs on: no paths, no environment variables, and Secrets of its own namespace only.

mod definition;
mod exchange;
mod parting;
mod read;
mod rules;
mod standing;
mod status;
mod structural;
#[cfg(test)]
mod tests;

pub use definition::{PLURALS, definitions, to_files};
pub use exchange::{NotHere, document, resource};
pub use parting::{Departure, Fate, fate};
pub use read::{FINALIZER, Resource, Resources, read};
pub use standing::{Answer, Known, made, news, status};
pub use status::{
    AppSetStatus, AppStatus, ClusterStatus, Condition, ConditionStatus, EnvironmentStatus, RepositoryStatus,
    TargetSummary,
};

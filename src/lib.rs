//! trueup keeps Kubernetes clusters true to Git.
//!
//! The code map: [`sync`] is the reconciler; [`store`] keeps what it did; [`web`] answers HTTP; [`cli`] is one file a
//! command.

pub mod cli;
pub mod store;
pub mod sync;
pub mod web;

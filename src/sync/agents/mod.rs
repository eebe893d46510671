//! Agents: each keeps the cluster that it runs in, by what another trueup - the hub - tells it.
//!
//! An agent reaches out, and only it does: it listens for its part of the configuration and for what it is asked to do, tells how its targets stand,
//! and asks what only the hub can decide. The hub has a seat for each agent, and nothing that leads to its cluster. To everything else of the hub the
//! targets of an agent are as those that another replica keeps. Absent: who is let in, which is for `web`; what the hub makes of what it is
//! told, which is for the engine. See docs/decisions/0067.

mod link;
mod messages;
mod seats;
mod store;

pub use link::Hub;
pub(in crate::sync) use link::{Link, keep_up};
pub use messages::{Done, Errand, Given, Heard, Listen, Parcel, Taken, Task, Tell};
pub use seats::{Agents, Entry, Standing};
pub(in crate::sync) use seats::{Ground, SILENCE, Seat};

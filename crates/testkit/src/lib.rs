//! Real servers for trueup's tests, benches and demo; development only.
//!
//! Enters: nothing but the programs of `tests/cluster` (built when they are missing) and `git`. Leaves: Kubernetes control
//! planes, Git servers over HTTP and SSH, a forge, PostgreSQL, and the few calls a test needs to look at them. Everything listens on loopback
//! ports that are claimed for as long as they are used, writes to a fresh temporary folder, and is gone when its owner is,
//! whether the owner returned, panicked or was killed (see [`ControlPlane`](crate::ControlPlane#how-it-ends)).
//!
//! Deliberately absent: doubles. What is spoken to here is what trueup speaks to in production, except for the nodes,
//! which kwok plays.

mod admission;
mod api;
mod audit;
mod certificates;
mod control_plane;
mod file_server;
mod git_http;
mod git_repo;
mod git_server;
mod gitea;
pub mod go_types;
mod namespace;
pub mod patch_keys;
mod port;
mod postgres;
mod registry;
mod ssh_server;
mod supervise;
mod tls_front;
mod wait;

pub use admission::{AdmissionWebhook, ConversionWebhook};
pub use api::{Api, Reply, USER_AGENT};
pub use audit::{Mark, Request};
pub use certificates::{Authority, Identity};
pub use control_plane::options::{Audit, Components, Options, User};
pub use control_plane::{ControlPlane, played, shared};
pub use file_server::FileServer;
pub use git_repo::GitRepo;
pub use git_server::{Access, GitRequest, GitServer, Transport};
pub use gitea::Gitea;
pub use namespace::Namespace;
pub use port::Port;
pub use postgres::Postgres;
pub use registry::{Registry, RegistryAccess};
pub use ssh_server::SshServer;
pub use tls_front::TlsFront;
pub use wait::wait_until;

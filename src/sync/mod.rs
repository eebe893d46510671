//! The reconciler: the only place that puts the stages in order.
//!
//! Data flows one way: a trigger puts a target's name in the [`queue`]; the [`engine`] takes it out and runs a [`turn`], which
//! renders, observes, judges, plans, [`carry`]s out and records; [`view`] is how the command line and HTTP see it.

pub mod adopt;
pub mod agents;
mod app_sets;
pub mod audit;
pub mod awaited;
pub mod backoff;
pub mod bases;
pub mod carry;
pub mod causes;
pub mod charts;
pub mod custom;
pub mod deletions;
mod desire;
pub mod directory;
pub mod engine;
mod finalizers;
pub mod given;
mod governed;
pub mod hooked;
pub mod hooks;
pub mod ignore;
pub mod imagined;
pub mod inquiries;
pub mod judge;
pub mod leave;
pub mod look;
pub mod membership;
pub mod offline;
mod presence;
pub mod preview;
mod pulls;
pub mod queue;
pub mod refusals;
pub mod rehearsal;
pub mod replicas;
pub mod repositories;
pub mod rollout;
pub mod running;
pub mod secrets;
pub mod seed;
pub mod status;
pub mod supply;
pub mod target;
pub mod topology;
pub mod turn;
pub mod view;

pub use view::{Handle, PlanOptions, Preview, PreviewStep, Readiness, Wait};

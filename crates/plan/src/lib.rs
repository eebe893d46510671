//! Decides what to do, and what to remember of what was done. Pure: values in, values out.
//!
//! [`Desired`] (what Git says) and [`Observed`] (what the cluster says) go in; an immutable, ordered
//! [`Plan`] comes out, with a reason for each step. What carrying it out gave comes back as
//! [`Outcome`]s and becomes a [`Record`].
//!
//! Deliberately absent: any call to a cluster, a clock (time is an argument) and retries.

pub mod apply_set;
pub mod budget;
pub mod desired;
pub mod drift;
pub mod health;
pub mod hooks;
pub mod ignore;
pub mod observed;
pub mod order;
pub mod overdraft;
pub mod place;
pub mod planning;
pub mod record;
pub mod waves;

pub use desired::{Desired, Want};
pub use health::{Health, HealthStatus};
pub use observed::{Live, Observed, Seen, Stranger, Verdict};
pub use order::Stage;
pub use planning::{Action, Plan, Policy, Reason, Step, plan};
pub use record::{Outcome, OutcomeResult, Record, SyncStatus};

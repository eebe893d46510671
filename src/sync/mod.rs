//! The reconciler.

pub mod offline;
pub mod view;

pub use view::{Handle, PlanOptions, Preview, PreviewStep, Readiness, Wait};

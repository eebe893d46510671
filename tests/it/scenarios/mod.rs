//! What a platform engineer trusts trueup with, on a real API server: one test a scenario, one namespace a test.

mod adopt;
mod bases;
mod drift;
mod faults;
mod ground;
pub(crate) mod harness;
mod helm;
mod helm_values;
mod hooks;
mod ignore;
mod in_memory;
mod journal;
mod large;
mod life;
mod mutation;
mod process;
mod recording;
mod rollout;
mod scale;
mod scheduling;
mod wire;

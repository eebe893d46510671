//! What a platform engineer trusts trueup with, on a real API server and in the sandbox.

mod adopt;
mod bases;
mod custom;
mod deletion;
mod drift;
mod faults;
mod governed;
mod ground;
pub(crate) mod harness;
mod helm;
mod helm_values;
mod hooks;
mod ignore;
mod in_memory;
mod install;
mod journal;
mod large;
mod life;
mod mutation;
mod process;
mod recording;
mod replicas;
mod rollout;
mod scale;
mod scheduling;
mod tools;
mod wire;

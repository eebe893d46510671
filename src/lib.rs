//! trueup keeps Kubernetes clusters true to Git.
//!
//! The code map, in the direction that data flows: [`config`] says what to do; [`source`] turns a repository into a
//! commit and its tree; [`render`] turns the tree into objects; [`cluster`] observes and applies them; [`sync`] is the
//! only place that puts these stages in order; [`store`] keeps what was done; [`web`] and [`cli`] show it; [`demo`] plays
//! with all of it, on a [`sandbox`] where there is no cluster; [`ambient`] is time, randomness and threads;
//! [`generate`] makes Apps of folders, files and clusters;
//! [`recording`] keeps what came in, and plans it again. Decisions are made in the crates `trueup-plan` and
//! `trueup-merge`, which touch nothing.

pub mod ambient;
mod bounded;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod demo;
pub mod generate;
mod hex;
pub mod recording;
pub mod render;
pub mod sandbox;
pub mod source;
pub mod store;
pub mod sync;
pub mod web;

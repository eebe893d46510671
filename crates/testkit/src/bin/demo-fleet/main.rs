//! A fleet on this machine: a hub and three leaf clusters, each with an API server of its own, and two replicas of trueup that were
//! installed in the hub. It shows a rollout over the fleet, a replica that is killed, and a cluster that is cut off and comes back.
//!
//! Enters: the programs `trueup` and `kubectl`. Leaves: what they said, and exit code 0 if all of it held. Nothing stays on the machine.
//!
//! Deliberately absent: containers. kwok plays the nodes, so the pods of the Deployment run in name only; the arguments of each are
//! taken to start a process for it, which has the pod's service account.
#![allow(clippy::print_stdout, reason = "what it prints is what it is for")]

mod fleet;
mod play;
mod replica;

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;

/// Plays trueup over a fleet of real API servers.
#[derive(Debug, Parser)]
struct Arguments {
    /// The program that is installed and asked.
    #[arg(long)]
    trueup: PathBuf,
    /// The kubectl that a user would have.
    #[arg(long, default_value = "kubectl")]
    kubectl: PathBuf,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    play::give(&arguments.trueup, &arguments.kubectl)
}

//! `trueup agent`: keep one cluster from within, for a hub.

use super::Verdict;
use super::config::Place;
use super::run::lease_duration;
use super::session::Session;
use crate::sync::agents::Hub;
use crate::sync::running::{self, Configuration, RunOptions, Shared};
use anyhow::{Context as _, Result};
use clap::Args;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Keep one cluster from within, by what another trueup says
///
/// The other one - the hub - has a Cluster of this name with `agent` in its spec. The agent reaches out to it: nothing has to reach the
/// agent, and nothing that leads to its cluster is known to the hub. While the hub is away, what it said last stands.
#[derive(Debug, Args)]
pub(super) struct Agent {
    /// Where the hub answers; its path /agent/v1 has to be open to agents
    #[arg(long, env = "TRUEUP_HUB", value_name = "URL")]
    hub: String,
    /// The name of the Cluster at the hub
    #[arg(long, env = "TRUEUP_CLUSTER", value_name = "NAME")]
    cluster: String,
    /// The file with the token that the hub knows for this Cluster; it is read anew each time
    #[arg(long, env = "TRUEUP_TOKEN_FILE", value_name = "FILE")]
    token_file: PathBuf,
    /// PEM certificates of authorities that are trusted besides the system's
    #[arg(long, env = "TRUEUP_HUB_CA", value_name = "FILE")]
    hub_ca: Option<PathBuf>,
    /// Where HTTP is answered: probes, metrics and the command line
    #[arg(long, default_value = "127.0.0.1:8321", env = "TRUEUP_LISTEN", value_name = "ADDRESS")]
    listen: SocketAddr,
    #[command(flatten)]
    place: Place,
    /// How long the Lease of one of several agents of a cluster lasts without a renewal
    #[arg(long, default_value = "30s", value_name = "TIME", value_parser = lease_duration)]
    lease_duration: Duration,
    /// Where the other agents of the cluster reach this one [default: what --listen says, if that is one address]
    #[arg(long, env = "TRUEUP_ADVERTISE", value_name = "HOST[:PORT]")]
    advertise: Option<String>,
}

impl Agent {
    pub(super) async fn run(&self, session: &Session) -> Result<Verdict> {
        let read = |path: &PathBuf| {
            std::fs::read_to_string(path).with_context(|| format!("the authority: {}", path.display()))
        };
        let authority = self.hub_ca.as_ref().map(read).transpose()?;
        let hub = Hub::new(&self.hub, &self.cluster, &self.token_file, authority.as_deref())?;
        let shared =
            Shared { home: self.place.home(), lease: self.lease_duration, advertise: self.advertise.clone() };
        running::run(RunOptions {
            config: Configuration::Hub(hub, shared),
            state: session.state.clone(),
            database: None,
            listen: self.listen,
            record: None,
            // The hub gives up Apps.
            patience: Duration::MAX,
        })
        .await?;
        Ok(Verdict::Fine)
    }
}

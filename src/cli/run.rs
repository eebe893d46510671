//! `trueup run`: reconcile.

use super::Verdict;
use super::config::Place;
use super::progress::Progress;
use super::session::Session;
use super::status;
use crate::store::Database;
use crate::sync::offline::{self, Until};
use crate::sync::running::{self, Configuration, RunOptions, Shared};
use anyhow::{Context as _, Result, bail};
use clap::Args;
use jiff::Timestamp;
use std::fmt;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use trueup_plan::record::TargetStatus;

/// Keep the clusters of the configuration true to Git
///
/// Runs until it is told to stop (SIGTERM, SIGINT); SIGHUP makes it look at everything again. With --once, syncs all
/// targets, waits until they are healthy, and exits with 0 if they are, with 1 if they are not.
#[derive(Debug, Args)]
pub(super) struct Run {
    /// Sync all targets once, wait for their health, and end
    #[arg(long)]
    once: bool,
    /// How long to wait for health with --once
    #[arg(long, default_value = "5m", value_name = "TIME", value_parser = humantime::parse_duration, requires = "once")]
    timeout: Duration,
    /// Where HTTP is answered: probes, metrics and the command line
    #[arg(long, default_value = "127.0.0.1:8321", env = "TRUEUP_LISTEN", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Read the configuration from the custom resources of a namespace instead of files, and tell them how they stand
    #[arg(long, conflicts_with = "once")]
    config_from_cluster: bool,
    /// How long an App that is being deleted waits for a cluster that does not answer; then it goes, and what is there is left
    #[arg(long, default_value = "10m", value_name = "TIME", value_parser = humantime::parse_duration)]
    deletion_timeout: Duration,
    #[command(flatten)]
    place: Place,
    /// How long this replica's Lease lasts without a renewal: so long nothing is done for the clusters of one that died
    #[arg(long, default_value = "30s", value_name = "TIME", value_parser = lease_duration, requires = "config_from_cluster")]
    lease_duration: Duration,
    /// Where the other replicas reach this one [default: what --listen says, if that is one address]
    #[arg(long, env = "TRUEUP_ADVERTISE", value_name = "HOST[:PORT]", requires = "config_from_cluster")]
    advertise: Option<String>,
    /// Bring history and drift together with those of other replicas in PostgreSQL; the URL begins with postgres://
    // What a URL says is a secret: it is in no help text, and in no message of clap's.
    #[arg(long, env = "TRUEUP_STORE", hide_env_values = true, value_name = "URL", conflicts_with = "once")]
    store: Option<StoreUrl>,
    /// Keep what comes in (commits, answers of API servers, the time) in a new file, for `trueup replay`
    #[arg(long, value_name = "FILE", conflicts_with = "once")]
    record: Option<PathBuf>,
}

/// A URL that may have a password in it.
#[derive(Clone)]
struct StoreUrl(String);

impl From<String> for StoreUrl {
    fn from(url: String) -> Self {
        Self(url)
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreUrl")
    }
}

/// Whole seconds, as Leases have them, and enough of them to renew it in time.
pub(super) fn lease_duration(text: &str) -> Result<Duration, String> {
    let given = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    let (least, most) = (Duration::from_secs(3), Duration::from_mins(10));
    if given.subsec_nanos() != 0 || !(least..=most).contains(&given) {
        return Err("it has to be whole seconds, from 3s to 10m".to_owned());
    }
    Ok(given)
}

impl Run {
    pub(super) async fn run(&self, session: &Session, out: &mut dyn Write) -> Result<Verdict> {
        if self.config_from_cluster {
            let shared = Shared {
                home: self.place.home(),
                lease: self.lease_duration,
                advertise: self.advertise.clone(),
            };
            return self.reconcile(session, Configuration::Resources(shared)).await;
        }
        if !session.config.exists() {
            bail!("there is no configuration at {} (--config)", session.config.display());
        }
        if self.once {
            return self.once(session, out).await;
        }
        self.reconcile(session, Configuration::Files(session.config.clone())).await
    }

    async fn reconcile(&self, session: &Session, config: Configuration) -> Result<Verdict> {
        let (state, record) = (session.state.clone(), self.record.clone());
        let patience = self.deletion_timeout;
        let given = self.store.as_ref().filter(|url| !url.0.is_empty());
        let database = given.map(|url| Database::parse(&url.0)).transpose();
        let database = database.context("--store is not the URL of a PostgreSQL database")?;
        running::run(RunOptions { config, state, database, listen: self.listen, record, patience }).await?;
        Ok(Verdict::Fine)
    }

    async fn once(&self, session: &Session, out: &mut dyn Write) -> Result<Verdict> {
        let progress = Progress::start(session, "syncing");
        let until = Until::Healthy(self.timeout);
        let statuses = offline::sync(&session.config, &session.state, &[], None, until).await?;
        drop(progress);
        status::write(out, session.output, &statuses, Timestamp::now())?;
        Ok(Verdict::fine_if(statuses.iter().all(TargetStatus::is_settled)))
    }
}

//! `trueup sync`: look at targets now.

use super::Verdict;
use super::progress::Progress;
use super::remote::Reached;
use super::session::Session;
use super::status::{self, read_all, select};
use crate::sync::offline::{self, Until};
use crate::web::api::SyncRequest;
use anyhow::{Result, bail};
use clap::Args;
use jiff::Timestamp;
use std::io::Write;
use std::time::{Duration, Instant};
use trueup_plan::overdraft;
use trueup_plan::record::{SyncStatus, TargetStatus};

const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long it may take to put targets into the queue.
const QUEUE: Duration = Duration::from_secs(15);

/// Sync targets now, without waiting for the next commit or interval
///
/// Asks the running trueup; without one, syncs from the configuration by itself. Exits with 0 if all is well, with 1 if
/// the targets are not Synced (with --wait: and Healthy).
#[derive(Debug, Args)]
pub(super) struct Sync {
    /// Targets: web@production/eu-1, all clusters of web@production, or all of web; all targets where none is named
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// Wait until the targets are Synced and Healthy
    #[arg(long, short)]
    wait: bool,
    /// Delete what exceeds maxPrune, if it is exactly what this code stands for; status and diff tell it. The code of a repository is for all
    /// targets of it that wait; that of a target needs the target
    #[arg(long, value_name = "CODE")]
    confirm_prune: Option<String>,
    /// How long to wait
    #[arg(long, default_value = "5m", value_name = "TIME", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

impl Sync {
    /// Syncs a target and waits until it is Synced and Healthy.
    pub(super) fn waiting(target: String, timeout: Duration) -> Self {
        Self { targets: vec![target], wait: true, confirm_prune: None, timeout }
    }

    pub(super) async fn run(&self, session: &Session, out: &mut dyn Write) -> Result<Verdict> {
        let known = match session.remote.statuses().await? {
            Reached::Yes(known) => known,
            Reached::No(why) => {
                let alone = session.alone(why)?;
                session.config_or(&alone)?;
                return self.alone(session, out).await;
            }
        };
        let (targets, confirm_prune) = self.meant(known)?;
        if self.wait {
            return self.wait(session, out, targets, confirm_prune).await;
        }
        let request = SyncRequest { targets, wait: false, confirm_prune };
        for target in reached(session.remote.sync(&request, QUEUE).await?)? {
            writeln!(out, "{target} queued")?;
        }
        Ok(Verdict::Fine)
    }

    /// The targets that are meant, and the codes of what they may delete. The code of a repository stands for those of all its targets that
    /// are held.
    fn meant(&self, known: Vec<TargetStatus>) -> Result<(Vec<String>, Option<String>)> {
        let hold = self
            .confirm_prune
            .as_ref()
            .and_then(|code| overdraft::holds(&known).into_iter().find(|hold| hold.code == code.trim()));
        let targets = select(known, &self.targets)?.into_iter().map(|status| status.target);
        match hold {
            Some(hold) => {
                let targets: Vec<String> = targets.filter(|name| hold.targets.contains_key(name)).collect();
                let codes: Vec<&str> = targets.iter().map(|name| &*hold.targets[name]).collect();
                Ok((targets, Some(codes.join(","))))
            }
            None => match &self.confirm_prune {
                Some(code) if self.targets.is_empty() => bail!(
                    "no repository has deletions held under the code {code}: if other ones would be deleted by now, `trueup status` has another code; for the code of a target, name the target"
                ),
                confirm_prune => Ok((targets.collect(), confirm_prune.clone())),
            },
        }
    }

    async fn alone(&self, session: &Session, out: &mut dyn Write) -> Result<Verdict> {
        let until = if self.wait { Until::Healthy(self.timeout) } else { Until::Applied };
        let (targets, confirm_prune) = match &self.confirm_prune {
            Some(_) => self.meant(read_all(session).await?.0.targets)?,
            None => (self.targets.clone(), None),
        };
        let progress = Progress::start(session, "syncing");
        let (config, state) = (&session.config, &session.state);
        let statuses = offline::sync(config, state, &targets, confirm_prune.as_deref(), until).await?;
        drop(progress);
        status::write(out, session.output, &statuses, Timestamp::now())?;
        let well = |status: &TargetStatus| match until {
            Until::Applied => status.sync == SyncStatus::Synced,
            Until::Healthy(_) => status.is_settled(),
        };
        Ok(Verdict::fine_if(statuses.iter().all(well)))
    }

    async fn wait(
        &self,
        session: &Session,
        out: &mut dyn Write,
        targets: Vec<String>,
        confirm_prune: Option<String>,
    ) -> Result<Verdict> {
        let progress = Progress::start(session, "syncing");
        let end = Instant::now() + self.timeout;
        let request = SyncRequest { targets: targets.clone(), wait: true, confirm_prune };
        // The limit of the request itself is out of the way: time that runs out is not an error but a result.
        let turn = session.remote.sync(&request, self.timeout + QUEUE);
        if let Ok(answer) = tokio::time::timeout(self.timeout, turn).await {
            reached(answer?)?;
        }
        let statuses = loop {
            let statuses = select(reached(session.remote.statuses().await?)?, &targets)?;
            progress.targets(&statuses);
            let failed = statuses.iter().any(|status| status.sync == SyncStatus::Failed);
            if failed || statuses.iter().all(TargetStatus::is_settled) || Instant::now() >= end {
                break statuses;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        };
        drop(progress);
        status::write(out, session.output, &statuses, Timestamp::now())?;
        Ok(Verdict::fine_if(statuses.iter().all(TargetStatus::is_settled)))
    }
}

fn reached<T>(answer: Reached<T>) -> Result<T> {
    match answer {
        Reached::Yes(value) => Ok(value),
        Reached::No(why) => bail!(why),
    }
}

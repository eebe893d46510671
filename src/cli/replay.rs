//! `trueup replay`: what a recorded trueup would have decided.

use super::output::{self, Format};
use super::session::Session;
use super::{Verdict, diff};
use crate::recording::{self, Replayed};
use anyhow::Result;
use clap::Args;
use jiff::Timestamp;
use std::io::Write;
use std::path::PathBuf;

/// Plan again what `trueup run --record FILE` saw
///
/// The clusters of the recording are put into memory as they were known at the moment asked for, the repositories as they were
/// read, and each target's turn is planned on them. Nobody is asked for anything, and no credentials are needed. Values of
/// Secrets are hashes in the recording. Exits with 0 if there was nothing to do, with 1 if there was, with 2 on an error.
#[derive(Debug, Args)]
pub(super) struct Replay {
    /// The recording
    #[arg(value_name = "FILE")]
    recording: PathBuf,
    /// Targets: web@production/eu-1, all clusters of web@production, or all of web
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// The moment, such as 2026-11-21T10:00:00Z; the end of the recording if there is none
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
}

impl Replay {
    pub(super) async fn run(&self, session: &Session, out: &mut dyn Write) -> Result<Verdict> {
        let replayed = recording::replay(&self.recording, self.at, &self.targets).await?;
        for caveat in &replayed.caveats {
            tracing::warn!("{caveat}");
        }
        match session.output {
            Format::Table | Format::Wide => tell(out, &replayed)?,
            Format::Json | Format::Yaml | Format::Name => {}
        }
        diff::write(out, session.output, &replayed.previews)?;
        diff::fail_on_errors(out, &replayed.previews)?;
        Ok(Verdict::fine_if(!replayed.previews.iter().any(crate::sync::Preview::differs)))
    }
}

fn tell(out: &mut dyn Write, replayed: &Replayed) -> Result<()> {
    writeln!(out, "as of {:.0}", replayed.at)?;
    for preview in &replayed.previews {
        let Some(status) = replayed.recorded.get(&preview.target) else { continue };
        let message = output::harmless(&status.message);
        let revision = output::short(&status.revision);
        writeln!(
            out,
            "{} was {:?} and {:?} at {revision}. {message}",
            preview.target, status.sync, status.health
        )?;
    }
    Ok(())
}

//! `trueup confirm`: let the Apps go that an AppSet holds.

use super::Verdict;
use super::output::{self, Format};
use super::remote::Reached;
use super::session::Session;
use crate::sync::view::Confirmation;
use anyhow::{Result, bail};
use clap::Args;
use std::io::Write;

/// Let the Apps go that an AppSet holds because they are more than its maxRemoved
///
/// Asks the running trueup. The code stands for exactly the Apps that `trueup status` names: where others would go by now,
/// nothing is confirmed. What becomes of what an App applied is said by its deletionPolicy.
#[derive(Debug, Args)]
pub(super) struct Confirm {
    /// The AppSet
    #[arg(value_name = "APPSET")]
    app_set: String,
    /// What trueup status tells
    #[arg(value_name = "CODE")]
    code: String,
}

impl Confirm {
    pub(super) async fn run(&self, session: &Session, out: &mut dyn Write) -> Result<Verdict> {
        let confirmation = Confirmation { app_set: self.app_set.clone(), code: self.code.clone() };
        let confirmed = match session.remote.confirm(&confirmation).await? {
            Reached::Yes(confirmed) => confirmed,
            Reached::No(why) => {
                bail!(
                    "{why}; without a running trueup, the annotation `{}` on the AppSet says the same",
                    crate::config::CONFIRM_REMOVAL
                )
            }
        };
        match session.output {
            Format::Json => output::json(out, &confirmed)?,
            Format::Yaml => output::yaml(out, &confirmed)?,
            Format::Table | Format::Wide => {
                confirmed.apps.iter().try_for_each(|app| writeln!(out, "App {app} goes"))?;
            }
            Format::Name => confirmed.apps.iter().try_for_each(|app| writeln!(out, "{app}"))?,
        }
        Ok(Verdict::Fine)
    }
}

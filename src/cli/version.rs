//! `trueup version`: which build this is.

use super::Verdict;
use super::output::{self, Format};
use super::session::Session;
use anyhow::Result;
use clap::Args;
use serde::Serialize;
use std::io::Write;

/// What `--version` says after the name.
pub(super) const LINE: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (commit ",
    env!("TRUEUP_COMMIT"),
    ", built ",
    env!("TRUEUP_BUILD_DATE"),
    ")"
);

/// Print version, commit and build date
#[derive(Debug, Args)]
pub(super) struct Version {}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Build {
    version: &'static str,
    commit: &'static str,
    built: &'static str,
}

const BUILD: Build = Build {
    version: env!("CARGO_PKG_VERSION"),
    commit: env!("TRUEUP_COMMIT"),
    built: env!("TRUEUP_BUILD_DATE"),
};

impl Version {
    // A command like the others, though it has no options.
    #[allow(clippy::unused_self)]
    pub(super) fn run(&self, session: &Session, out: &mut dyn Write) -> Result<Verdict> {
        match session.output {
            Format::Json => output::json(out, &BUILD)?,
            Format::Yaml => output::yaml(out, &BUILD)?,
            Format::Table | Format::Wide => writeln!(out, "trueup {LINE}")?,
            Format::Name => writeln!(out, "{}", BUILD.version)?,
        }
        Ok(Verdict::Fine)
    }
}

//! `trueup schema`: the shape of the configuration.

use super::Verdict;
use super::output;
use crate::sync::offline;
use anyhow::Result;
use clap::Args;
use std::io::Write;

/// Print the JSON schema of the configuration
///
/// An editor that knows YAML language servers uses it when the first line of a file says
/// "# yaml-language-server: $schema=PATH".
#[derive(Debug, Args)]
pub(super) struct Schema {}

impl Schema {
    // A command like the others, though it has no options.
    #[allow(clippy::unused_self)]
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Verdict> {
        output::json(out, offline::schema())?;
        Ok(Verdict::Fine)
    }
}

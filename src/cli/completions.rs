//! `trueup completions`: for shells.

use super::{Arguments, Verdict};
use anyhow::Result;
use clap::{Args, CommandFactory as _};
use clap_complete::Shell;
use std::io::Write;

/// Print a script that completes commands and options
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Verdict> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Arguments::command(), "trueup", &mut script);
        out.write_all(&script)?;
        Ok(Verdict::Fine)
    }
}

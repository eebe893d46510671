//! What the global options come to.

use super::Global;
use super::output::Format;
use super::remote::Remote;
use anyhow::{Result, bail};
use std::path::PathBuf;

const SERVER: &str = "http://127.0.0.1:8321";
const CONFIG: &str = "trueup.yaml";

/// The places that a command works with.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) config: PathBuf,
    pub(super) state: PathBuf,
    pub(super) remote: Remote,
    pub(super) output: Format,
    pub(super) quiet: bool,
    /// The server was named, so nothing else will do.
    server_named: bool,
}

/// Where a command gets its answer from when no trueup runs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Alone {
    /// Why there is no server, in words.
    pub(super) why: String,
}

impl Session {
    pub(super) fn new(global: &Global) -> Result<Self> {
        Ok(Self {
            config: global.config.clone().unwrap_or_else(|| PathBuf::from(CONFIG)),
            state: global.state.clone().unwrap_or_else(default_state),
            remote: Remote::new(global.server.as_deref().unwrap_or(SERVER))?,
            output: global.output,
            quiet: global.quiet,
            server_named: global.server.is_some(),
        })
    }

    /// A session whose server stands at an address that nobody named.
    #[cfg(test)]
    pub(super) fn unnamed(global: &Global, server: &str) -> Result<Self> {
        Ok(Self { remote: Remote::new(server)?, server_named: false, ..Self::new(global)? })
    }

    /// Says why the command has to do without a server.
    ///
    /// # Errors
    /// The server was named on the command line or in the environment.
    pub(super) fn alone(&self, why: String) -> Result<Alone> {
        if self.server_named {
            bail!("{why}");
        }
        tracing::debug!(%why, "working without a running trueup");
        Ok(Alone { why })
    }

    /// The configuration, which must exist.
    ///
    /// # Errors
    /// It does not; the message says what else was tried.
    pub(super) fn config_or(&self, alone: &Alone) -> Result<&PathBuf> {
        if !self.config.exists() {
            bail!("{}, and there is no configuration at {} (--config)", alone.why, self.config.display());
        }
        Ok(&self.config)
    }
}

/// `$XDG_STATE_HOME/trueup`, `~/.local/state/trueup`, or `.trueup` here for a user without a home.
fn default_state() -> PathBuf {
    let given = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home =
        || std::env::home_dir().filter(|path| path.is_absolute()).map(|home| home.join(".local/state"));
    given.or_else(home).map_or_else(|| PathBuf::from(".trueup"), |state| state.join("trueup"))
}

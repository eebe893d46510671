//! What the command line does without a running trueup. PLACEHOLDER: to be replaced by the reconciler's own.

#![allow(clippy::unused_async)]

use super::{PlanOptions, Preview};
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use std::time::Duration;
use trueup_model::Manifest;
use trueup_plan::record::TargetStatus;

/// How the statuses are found where neither a server nor a state folder is there: from the sets' parents.
pub async fn statuses(config: &Path) -> Result<Vec<TargetStatus>> {
    bail!("{}: the clusters cannot be asked yet", config.display())
}

/// Plans `targets` (all of them if there are none named); touches nothing.
pub async fn plans(config: &Path, targets: &[String], options: &PlanOptions) -> Result<Vec<Preview>> {
    let _ = (targets, options);
    bail!("{}: plans cannot be made yet", config.display())
}

/// Syncs `targets` (all of them if there are none named) once and gives how they stand.
pub async fn sync(
    config: &Path,
    state: &Path,
    targets: &[String],
    until: Until,
) -> Result<Vec<TargetStatus>> {
    let _ = (state, targets, until);
    bail!("{}: targets cannot be synced yet", config.display())
}

/// When a sync is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// After one turn of each target.
    Applied,
    /// When all targets are healthy, or after this time.
    Healthy(Duration),
}

/// The manifests of one target.
pub async fn render(config: &Path, target: &str, revision: Option<&str>) -> Result<Vec<Manifest>> {
    let _ = revision;
    bail!("{}: {target} cannot be rendered yet", config.display())
}

/// The manifests of a folder on disk.
pub async fn render_folder(folder: &Path) -> Result<Vec<Manifest>> {
    bail!("{}: folders cannot be rendered yet", folder.display())
}

/// What a running trueup needs to know.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// The configuration: a file or a folder.
    pub config: PathBuf,
    /// The state folder.
    pub state: PathBuf,
    /// Where HTTP is answered.
    pub listen: std::net::SocketAddr,
}

/// Reconciles until a signal ends it.
pub async fn run(options: RunOptions) -> Result<()> {
    bail!("{}: cannot be run yet", options.config.display())
}

/// The JSON schema of the configuration.
pub fn schema() -> Result<trueup_model::Value> {
    bail!("there is no schema yet")
}

//! `trueup demo`: a play to look at.

use super::Verdict;
use crate::demo::{self, Options, Place, Then};
use anyhow::Result;
use clap::Args;
use std::path::PathBuf;

/// Show trueup at work, in a cluster in memory or in one of yours
///
/// A config repository is synced to staging and production; then a rollout, drift, a broken commit and a removal are played and
/// checked. After that all of it goes on, for you to play with, until Ctrl-C. Nothing outside of a temporary folder is
/// touched; with --context or --kubeconfig, two namespaces and a CRD that the cluster must not have yet, which are
/// deleted at the end.
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Play in the cluster of this context of your kubeconfig
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// Play in the cluster of this kubeconfig
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// End after the play
    #[arg(long)]
    once: bool,
}

impl Demo {
    pub(super) async fn run(&self) -> Result<Verdict> {
        let (kubeconfig, context) = (self.kubeconfig.clone(), self.context.clone());
        let place = if kubeconfig.is_none() && context.is_none() {
            Place::Sandbox
        } else {
            Place::Cluster { kubeconfig, context }
        };
        let then = if self.once { Then::End } else { Then::Stay };
        demo::run(&Options { place, then }).await?;
        Ok(Verdict::Fine)
    }
}

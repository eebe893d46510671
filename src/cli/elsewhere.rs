//! Charts that `trueup render` takes from a repository, a registry or a URL: the flags of `helm template` for them.

use crate::source::{Credentials, Secret};
use crate::sync::offline::ChartAddress;
use anyhow::{Context as _, Result};
use clap::Args;
use std::path::PathBuf;

/// Any version, also one that is no release.
const ANY: &str = ">0.0.0-0";

/// Where a chart is that is no file here, and how to be let in.
#[derive(Debug, Args)]
#[command(next_help_heading = "For charts from elsewhere")]
pub(super) struct ElsewhereFlags {
    /// The chart repository that CHART is a name in; an oci:// or https:// URL of a chart needs none
    #[arg(long, value_name = "URL")]
    repo: Option<String>,
    /// The range of versions, as Helm reads it [default: the newest release]
    #[arg(long, value_name = "RANGE")]
    version: Option<String>,
    /// Without --version: the newest, be it a release or not
    #[arg(long)]
    devel: bool,
    /// The name to be let in by
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    /// The password or token
    #[arg(long, value_name = "TEXT")]
    password: Option<String>,
    /// Authorities of servers to trust besides the system's, in PEM
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Speak http to a registry, and give passwords to servers that speak it
    #[arg(long)]
    plain_http: bool,
}

impl ElsewhereFlags {
    /// Whether `chart` is the name of something elsewhere.
    pub(super) fn apply_to(&self, chart: &str) -> bool {
        let schemes = ["oci://", "https://", "http://"];
        self.repo.is_some() || schemes.iter().any(|scheme| chart.starts_with(scheme))
    }

    /// Whether there are any.
    pub(super) fn are_given(&self) -> bool {
        let texts = [&self.repo, &self.version, &self.username, &self.password];
        texts.iter().any(|text| text.is_some()) || self.ca_file.is_some() || self.devel || self.plain_http
    }

    /// Where the chart is.
    pub(super) fn address(&self, chart: &str) -> Result<ChartAddress> {
        let read = |path: &PathBuf| std::fs::read_to_string(path).with_context(|| path.display().to_string());
        let credentials = Credentials {
            username: self.username.clone(),
            password: self.password.as_ref().map(Secret::new),
            ca_pem: self.ca_file.as_ref().map(read).transpose()?,
            ..Credentials::default()
        };
        let newest = if self.devel { ANY } else { "" };
        Ok(ChartAddress {
            repository: self.repo.clone(),
            chart: chart.to_owned(),
            version: self.version.clone().unwrap_or_else(|| newest.to_owned()),
            credentials,
            insecure: self.plain_http,
        })
    }
}

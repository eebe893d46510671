//! `trueup config`: the configuration between files and custom resources. `trueup crds`: what a cluster has to know of them.

use super::Verdict;
use super::output::{self, Format};
use super::session::Session;
use crate::cluster::Force;
use crate::config::{self, custom};
use crate::sync::custom::{self as resources, Home};
use anyhow::{Result, anyhow};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::io::Write;
use std::path::PathBuf;

/// Move the configuration between files and custom resources
#[derive(Debug, Args)]
pub(super) struct Config {
    #[command(subcommand)]
    way: Way,
}

#[derive(Debug, Subcommand)]
enum Way {
    Export(Export),
    Import(Import),
}

/// Print the custom resources of a namespace as a configuration file
///
/// What is printed says what the resources say and nothing more: `trueup run --config` does the same with it, and
/// `trueup config import` makes the same resources of it.
#[derive(Debug, Args)]
struct Export {
    #[command(flatten)]
    place: Place,
}

/// Write the configuration into a cluster as custom resources
///
/// The whole configuration is checked first. Paths, environment variables and local folders are of one machine and are
/// refused; Secrets are of the resources' namespace. Resources that the configuration does not have are left alone.
#[derive(Debug, Args)]
struct Import {
    #[command(flatten)]
    place: Place,
    /// Print the resources instead, for `kubectl apply` or a config repository
    #[arg(long)]
    print: bool,
    /// Take over fields that somebody else wrote
    #[arg(long, conflicts_with = "print")]
    force: bool,
}

/// Where custom resources are.
#[derive(Clone, Debug, Args)]
pub(super) struct Place {
    /// The namespace of the custom resources
    #[arg(long, short, default_value = "trueup-system", env = "TRUEUP_NAMESPACE", value_name = "NAMESPACE")]
    namespace: String,
    /// The kubeconfig of their cluster [default: in a pod its own cluster, elsewhere as kubectl]
    #[arg(long, value_name = "PATH")]
    kubeconfig: Option<PathBuf>,
    /// The context in it [default: its current one]
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
}

impl Place {
    pub(super) fn home(&self) -> Home {
        let Self { namespace, kubeconfig, context } = self.clone();
        Home { kubeconfig, context, namespace }
    }
}

impl Config {
    pub(super) async fn run(&self, session: &Session, out: &mut dyn Write) -> Result<Verdict> {
        match &self.way {
            Way::Export(export) => export.run(session.output, out).await,
            Way::Import(import) => import.run(session, out).await,
        }
    }
}

impl Export {
    async fn run(&self, format: Format, out: &mut dyn Write) -> Result<Verdict> {
        let documents: Vec<Value> =
            resources::read(&self.place.home()).await?.iter().map(custom::document).collect();
        write(out, format, &documents)?;
        Ok(Verdict::Fine)
    }
}

impl Import {
    async fn run(&self, session: &Session, out: &mut dyn Write) -> Result<Verdict> {
        let written = config::load_written(&session.config).map_err(|problems| anyhow!("{problems}"))?;
        let (mut made, mut refused) = (Vec::new(), Vec::new());
        for document in &written {
            match custom::resource(document, &self.place.namespace) {
                Ok(resource) => made.push(resource),
                Err(why) => refused.push(why.to_string()),
            }
        }
        if !refused.is_empty() {
            return Err(anyhow!("{}", refused.join("\n")));
        }
        if self.print {
            write(out, session.output, &made)?;
            return Ok(Verdict::Fine);
        }
        let force = if self.force { Force::Yes } else { Force::No };
        for name in resources::write(&self.place.home(), &made, force).await? {
            writeln!(out, "{name}")?;
        }
        Ok(Verdict::Fine)
    }
}

/// Print the definitions of the custom resources
///
/// `trueup crds | kubectl apply --server-side -f -` makes them known to a cluster, or brings them up to date.
#[derive(Debug, Args)]
pub(super) struct Crds {}

impl Crds {
    // A command like the others, though it has no options.
    #[allow(clippy::unused_self)]
    pub(super) fn run(&self, session: &Session, out: &mut dyn Write) -> Result<Verdict> {
        write(out, session.output, &custom::definitions())?;
        Ok(Verdict::Fine)
    }
}

/// Documents as YAML, or as a List in JSON.
pub(super) fn write(out: &mut dyn Write, format: Format, documents: &[Value]) -> Result<()> {
    match format {
        Format::Table | Format::Wide | Format::Yaml => {
            for (index, document) in documents.iter().enumerate() {
                if index > 0 {
                    writeln!(out, "---")?;
                }
                output::yaml(out, document)?;
            }
            Ok(())
        }
        Format::Json => output::json(out, &json!({"apiVersion": "v1", "kind": "List", "items": documents})),
        Format::Name => documents.iter().try_for_each(|document| {
            let text = |pointer: &str| document.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            Ok(writeln!(out, "{} {}", text("/kind"), text("/metadata/name"))?)
        }),
    }
}

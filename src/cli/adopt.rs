//! `trueup adopt`: takes over what another tool installed.

use super::Verdict;
use super::diff;
use super::output::{self, Format};
use super::progress::Progress;
use super::remote::Reached;
use super::session::Session;
use super::status::select;
use super::sync::Sync;
use crate::sync::adopt::{Adopted, Adopting, Adoption, Asked};
use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use std::io::{self, IsTerminal as _, Write};
use std::time::Duration;

/// Take over what another tool installed
#[derive(Debug, Args)]
pub(super) struct Adopt {
    #[command(subcommand)]
    tool: Tool,
}

#[derive(Debug, Subcommand)]
enum Tool {
    Helm(Helm),
}

/// Take a Helm release over into a target, without touching what runs
///
/// Shows first what is taken over and what a sync would change, and asks. Then each field that Helm owns becomes trueup's, so that it
/// goes when it leaves Git, and the target is synced. Objects that Git does not have are named and left alone; what
/// says which release an object is of stays, and so does Helm's own record of the release. Can be run again at any point. Needs the
/// configuration. Exits with 0 if the target is Synced and Healthy in the end; with --dry-run if nothing is left to do.
#[derive(Debug, Args)]
struct Helm {
    /// The release's name
    #[arg(value_name = "RELEASE")]
    release: String,
    /// The release's namespace [default: the target's]
    #[arg(long, short, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// The target that takes it over [default: the one whose chart has this release name]
    #[arg(long, value_name = "TARGET")]
    target: Option<String>,
    /// Only show what would be done
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// How long to wait for the target
    #[arg(long, default_value = "5m", value_name = "TIME", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

impl Adopt {
    pub(super) async fn run(&self, session: &Session, out: &mut dyn Write) -> Result<Verdict> {
        match &self.tool {
            Tool::Helm(helm) => helm.run(session, out).await,
        }
    }
}

impl Helm {
    async fn run(&self, session: &Session, out: &mut dyn Write) -> Result<Verdict> {
        let asked = Asked {
            release: self.release.clone(),
            namespace: self.namespace.clone(),
            target: self.target.clone(),
        };
        let progress = Progress::start(session, "planning");
        let adopting = Adopting::examine(&session.config, &asked).await?;
        drop(progress);
        let adoption = adopting.adoption.clone();
        write(out, session.output, &adoption)?;
        out.flush()?;
        if self.dry_run {
            adopting.leave().await?;
            return Ok(Verdict::fine_if(!adoption.differs()));
        }
        // Whoever syncs has to know the target, before anything is handed over.
        match session.remote.statuses().await? {
            Reached::Yes(known) => drop(select(known, std::slice::from_ref(&adoption.target))?),
            Reached::No(why) => drop(session.alone(why)?),
        }
        if !self.yes && !confirmed()? {
            adopting.leave().await?;
            return Ok(Verdict::Difference);
        }
        let progress = Progress::start(session, "handing over");
        let handed = adopting.hand_over().await?;
        drop(progress);
        if session.output == Format::Table || session.output == Format::Wide {
            writeln!(out, "{handed} objects handed over")?;
        }
        Sync::waiting(adoption.target, self.timeout).run(session, out).await
    }
}

/// Asks whoever sits there.
fn confirmed() -> Result<bool> {
    if !io::stdin().is_terminal() {
        bail!("nobody is there to be asked; --yes goes on without a question");
    }
    anstream::eprint!("Go on? [y/N] ");
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

fn write(out: &mut dyn Write, format: Format, adoption: &Adoption) -> Result<()> {
    match format {
        Format::Json => output::json(out, adoption),
        Format::Yaml => output::yaml(out, adoption),
        Format::Name => adoption.adopted.iter().try_for_each(|one| Ok(writeln!(out, "{}", one.object)?)),
        Format::Table | Format::Wide => {
            let release = &adoption.release;
            writeln!(
                out,
                "release {}/{} at revision {} ({} {}) becomes {}",
                release.namespace,
                release.name,
                release.revision,
                output::harmless(&release.chart),
                output::harmless(&release.version),
                adoption.target
            )?;
            adoption.adopted.iter().try_for_each(|one| write_adopted(out, one))?;
            let others = [
                ("left alone", &adoption.left, "the release has it, Git does not"),
                ("added", &adoption.added, "Git has it, the release does not"),
            ];
            for (word, objects, why) in others {
                for id in objects {
                    writeln!(out, "{word} {id}: {why}")?;
                }
            }
            diff::write(out, format, std::slice::from_ref(&adoption.plan))
        }
    }
}

fn write_adopted(out: &mut dyn Write, adopted: &Adopted) -> Result<()> {
    let Adopted { object, fields, lost, restarts } = adopted;
    match fields {
        0 => write!(out, "adopted {object}: nothing of it is Helm's any more")?,
        1 => write!(out, "adopt {object}: 1 field")?,
        fields => write!(out, "adopt {object}: {fields} fields")?,
    }
    if *restarts {
        write!(out, "; {}", output::bad("its pods are made anew"))?;
    }
    if !lost.is_empty() {
        write!(out, "; Git does not have {}", output::harmless(&lost.join(", ")))?;
    }
    Ok(writeln!(out)?)
}

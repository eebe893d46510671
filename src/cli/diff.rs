//! `trueup diff`: what a sync would change.

use super::Verdict;
use super::output::{self, BAD, Format, GOOD, PLACE};
use super::progress::Progress;
use super::remote::Reached;
use super::session::Session;
use super::status::select;
use crate::sync::imagined::{self, Change};
use crate::sync::{PlanOptions, Preview, PreviewStep, offline};
use anyhow::{Result, bail};
use clap::Args;
use clap::builder::styling::Style;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use similar::TextDiff;
use std::io::Write;
use std::path::PathBuf;
use trueup_model::yaml::to_yaml;
use trueup_model::{ObjectId, Value};

/// Lines around a change.
const CONTEXT: usize = 3;
/// Plans that are asked for at once.
const AT_ONCE: usize = 8;

/// Show what a sync would change, object by object
///
/// The API servers are asked what an apply would come to (a server-side dry run); nothing is changed. Values of Secrets
/// are shown as hashes. Needs no running trueup. Exits with 0 if there is no difference, with 1 if there is one, with 2 on
/// an error.
///
/// With --offline no cluster is asked: two commits are applied to clusters in memory, one after the other, and compared.
#[derive(Debug, Args)]
pub(super) struct Diff {
    /// Targets: web@production/eu-1, all clusters of web@production, or all of web
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// A branch, tag or commit instead of the configured one
    #[arg(long, value_name = "REV", conflicts_with = "local")]
    revision: Option<String>,
    /// A folder on this machine instead of the repository
    #[arg(long, value_name = "DIR")]
    local: Option<PathBuf>,
    /// Compare two commits in clusters in memory; with --local they are those of a checkout
    #[arg(long, conflicts_with = "revision")]
    offline: bool,
    /// The commit before; may be left out with --snapshot
    #[arg(long, value_name = "REV", requires = "offline")]
    from: Option<String>,
    /// The commit after; by default the configured revision, or with --local the files as they are
    #[arg(long, value_name = "REV", requires = "offline")]
    to: Option<String>,
    /// A folder of live objects (kubectl get -o yaml) to begin with; those below a cluster's name are that cluster's
    #[arg(long, value_name = "DIR", requires = "offline")]
    snapshot: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Plans<'a> {
    plans: &'a [Preview],
}

impl Diff {
    pub(super) async fn run(&self, session: &Session, out: &mut dyn Write) -> Result<Verdict> {
        let progress = Progress::start(session, "planning");
        let previews = self.plans(session).await?;
        drop(progress);
        write(out, session.output, &previews)?;
        fail_on_errors(out, &previews)?;
        Ok(Verdict::fine_if(!previews.iter().any(Preview::differs)))
    }

    async fn plans(&self, session: &Session) -> Result<Vec<Preview>> {
        if self.offline {
            let change = Change {
                from: self.from.clone(),
                to: self.to.clone(),
                local: self.local.clone(),
                snapshot: self.snapshot.clone(),
            };
            if change.from.is_none() && change.snapshot.is_none() {
                bail!(
                    "--offline compares two states: name the first with --from REV, --snapshot DIR or both"
                );
            }
            return imagined::previews(&session.config, &self.targets, &change).await;
        }
        let options = PlanOptions { revision: self.revision.clone(), local: self.local.clone() };
        if options.local.is_some() {
            // Only this process can read a folder of this machine.
            return offline::plans(&session.config, &self.targets, &options).await;
        }
        let statuses = match session.remote.statuses().await? {
            Reached::Yes(statuses) => select(statuses, &self.targets)?,
            Reached::No(why) => {
                let alone = session.alone(why)?;
                return offline::plans(session.config_or(&alone)?, &self.targets, &options).await;
            }
        };
        let previews = statuses.into_iter().map(|status| plan(session, status.target, &options));
        stream::iter(previews).buffered(AT_ONCE).try_collect().await
    }
}

/// One target's plan from the server. That it cannot be planned is no reason to say nothing of the others.
async fn plan(session: &Session, target: String, options: &PlanOptions) -> Result<Preview> {
    match session.remote.plan(&target, options).await {
        Ok(Reached::Yes(preview)) => Ok(preview),
        Ok(Reached::No(why)) => bail!(why),
        Err(error) => Ok(Preview { target, errors: vec![format!("{error:#}")], ..Preview::default() }),
    }
}

/// Ends with what could not be compared, if there is such.
pub(super) fn fail_on_errors(out: &mut dyn Write, previews: &[Preview]) -> Result<()> {
    let errors: Vec<String> = previews.iter().flat_map(errors).collect();
    if !errors.is_empty() {
        out.flush()?;
        bail!("not all could be compared:\n  {}", errors.join("\n  "));
    }
    Ok(())
}

fn errors(preview: &Preview) -> impl Iterator<Item = String> + '_ {
    preview.errors.iter().map(|error| format!("{}: {error}", preview.target))
}

pub(super) fn write(out: &mut dyn Write, format: Format, previews: &[Preview]) -> Result<()> {
    match format {
        Format::Json => output::json(out, &Plans { plans: previews }),
        Format::Yaml => output::yaml(out, &Plans { plans: previews }),
        Format::Table | Format::Wide => previews.iter().try_for_each(|preview| write_preview(out, preview)),
        Format::Name => {
            let steps =
                previews.iter().flat_map(|preview| preview.steps.iter().map(move |step| (preview, step)));
            for (preview, step) in steps.filter(|(_, step)| step.differs) {
                writeln!(out, "{} {}", preview.target, path(&step.object))?;
            }
            Ok(())
        }
    }
}

fn write_preview(out: &mut dyn Write, preview: &Preview) -> Result<()> {
    let bold = Style::new().bold();
    let revision = if preview.revision.is_empty() {
        String::new()
    } else {
        format!(" at {}", output::short(&preview.revision))
    };
    let steps = &preview.steps;
    let note = if preview.note.is_empty() {
        String::new()
    } else {
        format!("; {}", output::harmless(&preview.note))
    };
    if steps.is_empty() && preview.errors.is_empty() {
        return Ok(writeln!(out, "{bold}{}{revision}{bold:#}: no difference{note}", preview.target)?);
    }
    writeln!(out, "{bold}{}{revision}{bold:#}: {}{note}", preview.target, summary(preview))?;
    for step in steps {
        write_step(out, step)?;
    }
    Ok(())
}

/// `1 to create, 2 to update, 9 unchanged`.
fn summary(preview: &Preview) -> String {
    let mut counts: Vec<(String, usize)> = Vec::new();
    for step in &preview.steps {
        let action = step.action.to_string();
        match counts.iter_mut().find(|(name, _)| *name == action) {
            Some((_, count)) => *count += 1,
            None => counts.push((action, 1)),
        }
    }
    let counts = counts.into_iter().map(|(action, count)| format!("{count} to {action}"));
    let all: Vec<String> = counts.chain([format!("{} unchanged", preview.unchanged)]).collect();
    all.join(", ")
}

fn write_step(out: &mut dyn Write, step: &PreviewStep) -> Result<()> {
    let origin = if step.origin.path.is_empty() { String::new() } else { format!(" ({})", step.origin) };
    let reason = output::harmless(&step.reason);
    writeln!(out, "{} {}{origin}: {reason}", step.action, step.object)?;
    for line in unified(step).lines() {
        let style = match line.as_bytes().first() {
            _ if line.starts_with("+++ ") || line.starts_with("--- ") => Style::new().bold(),
            Some(b'+') => GOOD,
            Some(b'-') => BAD,
            Some(b'@') => PLACE,
            _ => Style::new(),
        };
        writeln!(out, "{style}{line}{style:#}")?;
    }
    Ok(())
}

/// Both sides of the object as a unified diff; nothing where they are not known or equal.
fn unified(step: &PreviewStep) -> String {
    let text = |side: &Option<Value>| side.as_ref().map(to_yaml).unwrap_or_default();
    let name = |side: &Option<Value>, root: &str| match side {
        Some(_) => format!("{root}/{}", path(&step.object)),
        None => "/dev/null".to_owned(),
    };
    let (live, wanted) = (text(&step.live), text(&step.wanted));
    let header = (name(&step.live, "live"), name(&step.wanted, "git"));
    TextDiff::from_lines(&live, &wanted)
        .unified_diff()
        .context_radius(CONTEXT)
        .header(&header.0, &header.1)
        .to_string()
}

/// `Deployment.apps/shop/web`, `Namespace/shop`.
fn path(object: &ObjectId) -> String {
    let kind = object.group_kind();
    if object.namespace.is_empty() {
        format!("{kind}/{}", object.name)
    } else {
        format!("{kind}/{}/{}", object.namespace, object.name)
    }
}

//! `trueup drift`: what others change, how often, and which rule would end it.

use super::Verdict;
use super::output::{self, Cell, Format, GOOD, UNSURE};
use super::remote::Reached;
use super::session::Session;
use super::status;
use crate::store::Reader;
use crate::web::api;
use anyhow::{Result, bail};
use clap::Args;
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::io::Write;
use trueup_model::Value;
use trueup_plan::drift::DriftEntry;

/// Show what others change in the cluster, now and lately
///
/// Asks the running trueup; without one, reads the state folder. For what always comes back, the narrowest `ignore` rule is
/// proposed that leaves it to whoever writes it. Exits with 1 where something drifts now.
#[derive(Debug, Args)]
pub(super) struct Drift {
    /// Targets: web, web@production, web@production/eu-1; all where none is named
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
}

impl Drift {
    pub(super) async fn run(&self, session: &Session, out: &mut dyn Write) -> Result<Verdict> {
        let (known, found) = match session.remote.drift().await? {
            Reached::Yes(found) => match session.remote.statuses().await? {
                Reached::Yes(statuses) => (statuses, found),
                Reached::No(why) => bail!("{why}"),
            },
            Reached::No(why) => {
                let alone = session.alone(why)?;
                let Some(reader) = Reader::open(&session.state)? else {
                    bail!("{}, and there is nothing in {} (--state)", alone.why, session.state.display());
                };
                let statuses = reader.statuses()?;
                let found = api::Drift::of(&statuses, reader.drift()?, &[]);
                (statuses, found)
            }
        };
        let named: BTreeSet<String> =
            status::select(known, &self.targets)?.into_iter().map(|status| status.target).collect();
        let is_named = |target: &String| named.contains(target);
        let found = api::Drift {
            drift: found.drift.into_iter().filter(|entry| is_named(&entry.target)).collect(),
            ignored: found.ignored.into_iter().filter(|field| is_named(&field.target)).collect(),
        };
        write(out, session.output, &found, Timestamp::now())?;
        Ok(Verdict::fine_if(!found.drift.iter().any(|entry| entry.drifted.state.is_there())))
    }
}

pub(super) fn write(out: &mut dyn Write, format: Format, found: &api::Drift, now: Timestamp) -> Result<()> {
    match format {
        Format::Json => output::json(out, found),
        Format::Yaml => output::yaml(out, found),
        Format::Name => {
            for entry in &found.drift {
                let line = format!("{} {} {}", entry.target, entry.drifted.object, entry.drifted.field);
                writeln!(out, "{}", output::harmless(line.trim_end()))?;
            }
            Ok(())
        }
        Format::Table => people(out, found, now, &[]),
        Format::Wide => people(out, found, now, &["OPERATION", "SINCE", "FIRST"]),
    }
}

fn people(out: &mut dyn Write, found: &api::Drift, now: Timestamp, more: &[&str]) -> Result<()> {
    if found.drift.is_empty() {
        writeln!(out, "Nothing drifts, and nothing did lately.")?;
    } else {
        let header = ["TARGET", "OBJECT", "FIELD", "STATE", "TIMES", "LAST", "BY", "IN GIT", "FOUND"];
        let header: Vec<&str> = header.iter().chain(more).copied().collect();
        let rows: Vec<_> = found.drift.iter().map(|entry| row(entry, now, more)).collect();
        output::table(out, &header, &rows)?;
    }
    ignored(out, found)?;
    proposals(out, found)
}

fn row(entry: &DriftEntry, now: Timestamp, more: &[&str]) -> Vec<Cell> {
    let drifted = &entry.drifted;
    let style = if drifted.state.is_there() { UNSURE } else { GOOD };
    let field = if drifted.field.is_empty() { &drifted.message } else { &drifted.field };
    let mut cells = vec![
        Cell::new(&entry.target),
        Cell::new(&drifted.object),
        Cell::new(field),
        Cell::styled(drifted.state, style),
        Cell::new(entry.count),
        Cell::new(format!("{} ago", output::age(now.duration_since(entry.last_seen)))),
        Cell::new(drifted.manager.as_deref().unwrap_or("-")),
        Cell::new(shown(drifted.wanted.as_ref())),
        Cell::new(shown(drifted.found.as_ref())),
    ];
    if !more.is_empty() {
        let operation =
            drifted.operation.map_or_else(|| "-".to_owned(), |operation| format!("{operation:?}"));
        cells.push(Cell::new(operation));
        cells.push(Cell::new(drifted.since.as_deref().unwrap_or("-")));
        cells.push(Cell::new(format!("{} ago", output::age(now.duration_since(entry.first_seen)))));
    }
    cells
}

/// A value in one short line.
fn shown(value: Option<&Value>) -> String {
    const WIDTH: usize = 32;
    let text = match value {
        None => return "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    match text.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn ignored(out: &mut dyn Write, found: &api::Drift) -> Result<()> {
    if found.ignored.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nLeft to others:")?;
    let rows: Vec<_> = found
        .ignored
        .iter()
        .map(|one| {
            vec![
                Cell::new(&one.target),
                Cell::new(&one.field.object),
                Cell::new(&one.field.field),
                Cell::new(one.field.manager.as_deref().unwrap_or("nobody yet")),
                Cell::new(&one.field.why),
            ]
        })
        .collect();
    output::table(out, &["TARGET", "OBJECT", "FIELD", "BY", "WHY"], &rows)
}

fn proposals(out: &mut dyn Write, found: &api::Drift) -> Result<()> {
    let mut proposed: Vec<(&str, &str)> = found
        .drift
        .iter()
        .filter_map(|entry| Some((entry.target.as_str(), entry.proposal.as_deref()?)))
        .collect();
    proposed.sort_unstable();
    for of_target in proposed.chunk_by(|a, b| a.0 == b.0) {
        let app = of_target[0].0.split('@').next().unwrap_or_default();
        writeln!(
            out,
            "\nThis always comes back. To leave it to whoever writes it, in the App {}:",
            output::harmless(app)
        )?;
        writeln!(out, "  ignore:")?;
        for (_, rule) in of_target {
            writeln!(out, "  - {}", output::harmless(rule))?;
        }
    }
    Ok(())
}

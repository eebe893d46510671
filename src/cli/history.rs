//! `trueup history`: what was done to a target, and why.

use super::Verdict;
use super::output::{self, BAD, Cell, Format, GOOD};
use super::remote::Reached;
use super::session::Session;
use crate::store::Reader;
use crate::web::api;
use anyhow::{Result, bail};
use clap::Args;
use jiff::Timestamp;
use std::io::Write;
use trueup_plan::OutcomeResult;
use trueup_plan::record::{HistoryEntry, SyncStatus, Trigger};

/// Show what was done to a target, newest first
///
/// Asks the running trueup; without one, reads the state folder. With -o wide, each object's outcome stands below.
#[derive(Debug, Args)]
pub(super) struct History {
    /// The target: web@production, web@production/eu-1
    #[arg(value_name = "TARGET")]
    target: String,
    /// How many entries
    #[arg(long, short = 'n', default_value_t = 20, value_name = "N")]
    limit: usize,
}

impl History {
    pub(super) async fn run(&self, session: &Session, out: &mut dyn Write) -> Result<Verdict> {
        let entries = match session.remote.history(&self.target, self.limit).await? {
            Reached::Yes(entries) => entries,
            Reached::No(why) => {
                let alone = session.alone(why)?;
                match Reader::open(&session.state)? {
                    Some(reader) => self.read(&reader)?,
                    None => bail!(
                        "{}, and there is no history in {} (--state)",
                        alone.why,
                        session.state.display()
                    ),
                }
            }
        };
        write(out, session.output, &entries, Timestamp::now())?;
        Ok(Verdict::Fine)
    }

    fn read(&self, reader: &Reader) -> Result<Vec<HistoryEntry>> {
        let entries = reader.history(&self.target, self.limit)?;
        if entries.is_empty() && !reader.statuses()?.iter().any(|status| status.target == self.target) {
            bail!("there is no target {}", self.target);
        }
        Ok(entries)
    }
}

pub(super) fn write(
    out: &mut dyn Write,
    format: Format,
    entries: &[HistoryEntry],
    now: Timestamp,
) -> Result<()> {
    let document = || api::History { history: entries.to_vec() };
    match format {
        Format::Json => output::json(out, &document()),
        Format::Yaml => output::yaml(out, &document()),
        Format::Name => Ok(entries.iter().try_for_each(|entry| writeln!(out, "{}", entry.revision))?),
        Format::Table => table(out, entries, now),
        Format::Wide => {
            for entry in entries {
                table(out, std::slice::from_ref(entry), now)?;
                for pin in &entry.bases {
                    writeln!(out, "  {}", output::harmless(&format!("{pin} at {}", pin.revision)))?;
                }
                if let Some(chart) = &entry.chart {
                    writeln!(out, "  {}", output::harmless(&format!("chart {chart} {}", chart.digest)))?;
                }
                for outcome in &entry.outcomes {
                    writeln!(out, "  {}", output::harmless(&outcome.to_string()))?;
                }
            }
            Ok(())
        }
    }
}

fn table(out: &mut dyn Write, entries: &[HistoryEntry], now: Timestamp) -> Result<()> {
    let header = ["AGO", "RESULT", "REVISION", "TRIGGER", "TOOK", "OBJECTS", "AUTHOR", "SUBJECT"];
    let rows: Vec<_> = entries.iter().map(|entry| row(entry, now)).collect();
    output::table(out, &header, &rows)
}

fn row(entry: &HistoryEntry, now: Timestamp) -> Vec<Cell> {
    let style = if entry.result == SyncStatus::Synced { GOOD } else { BAD };
    let took = entry.ended.duration_since(entry.started);
    vec![
        Cell::new(output::age(now.duration_since(entry.ended))),
        Cell::styled(entry.result, style),
        Cell::new(output::short(&entry.revision)),
        Cell::new(trigger(entry.trigger)),
        Cell::new(format!("{:.1}s", took.as_secs_f64())),
        Cell::new(objects(entry)),
        Cell::new(&entry.author),
        Cell::new(&entry.subject),
    ]
}

fn trigger(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Manual => "manual",
        Trigger::Drift => "drift",
        Trigger::Commit => "commit",
        Trigger::Configuration => "configuration",
        Trigger::Retry => "retry",
        Trigger::Timer => "timer",
    }
}

/// `12 done, 1 failed`.
fn objects(entry: &HistoryEntry) -> String {
    let results = [
        (OutcomeResult::Done, "done"),
        (OutcomeResult::Failed, "failed"),
        (OutcomeResult::Skipped, "skipped"),
        (OutcomeResult::Held, "held"),
    ];
    let counts =
        results.map(|(result, word)| (entry.outcomes.iter().filter(|o| o.result == result).count(), word));
    let words: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}

//! How results are written: tables for people, documents for scripts.

use anyhow::Result;
use clap::ValueEnum;
use clap::builder::styling::{AnsiColor, Style};
use jiff::SignedDuration;
use serde::Serialize;
use std::fmt::Display;
use std::io::Write;

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    #[default]
    Table,
    /// For people with wide screens
    Wide,
    /// For scripts
    Json,
    /// For scripts that like it better
    Yaml,
    /// Names only, one a line
    Name,
}

/// When colours are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum ColorWhen {
    /// On a terminal, unless `NO_COLOR` is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl ColorWhen {
    pub(super) fn apply(self) {
        match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::AlwaysAnsi,
            Self::Never => anstream::ColorChoice::Never,
        }
        .write_global();
    }
}

/// Writes a value as one JSON document.
pub(super) fn json(out: &mut dyn Write, value: &impl Serialize) -> Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    Ok(writeln!(out)?)
}

/// Writes a value as one YAML document.
pub(super) fn yaml(out: &mut dyn Write, value: &impl Serialize) -> Result<()> {
    Ok(out.write_all(trueup_model::yaml::to_yaml(&serde_json::to_value(value)?).as_bytes())?)
}

/// A text of a table, and how it is coloured.
#[derive(Clone, Debug, Default)]
pub(super) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    pub(super) fn new(text: impl Display) -> Self {
        Self::styled(text, Style::new())
    }

    pub(super) fn styled(text: impl Display, style: Style) -> Self {
        Self { text: harmless(&text.to_string()), style }
    }
}

/// Writes columns as wide as their widest cell, two spaces apart, the last one as it comes.
pub(super) fn table(out: &mut dyn Write, header: &[&str], rows: &[Vec<Cell>]) -> Result<()> {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.text.chars().count());
        cells.chain([header[column].chars().count()]).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let header: Vec<Cell> = header.iter().map(|name| Cell::styled(name, Style::new().bold())).collect();
    for row in std::iter::once(&header).chain(rows) {
        // What is empty up to the end of the line needs no spaces.
        let used = row.iter().rposition(|cell| !cell.text.is_empty()).map_or(0, |last| last + 1);
        for (column, Cell { text, style }) in row.iter().take(used).enumerate() {
            write!(out, "{style}{text}{style:#}")?;
            if column + 1 < used {
                let missing = widths[column] - text.chars().count() + 2;
                write!(out, "{:missing$}", "")?;
            }
        }
        writeln!(out)?;
    }
    Ok(())
}

/// The text without characters that would steer a terminal: commits and servers may say anything.
pub(super) fn harmless(text: &str) -> String {
    let replaced = |letter: char| if letter.is_control() { char::REPLACEMENT_CHARACTER } else { letter };
    text.chars().map(replaced).collect()
}

pub(super) const GOOD: Style = AnsiColor::Green.on_default();
pub(super) const UNSURE: Style = AnsiColor::Yellow.on_default();
pub(super) const BAD: Style = AnsiColor::Red.on_default();
pub(super) const PLACE: Style = AnsiColor::Cyan.on_default();

/// A text in the colour of errors.
pub(super) fn bad(text: &str) -> String {
    let style = BAD.bold();
    format!("{style}{text}{style:#}")
}

/// The beginning of a commit's id, as people know it; of a chart its version.
pub(super) fn short(revision: &str) -> &str {
    match revision.split_once("@sha256:") {
        Some((version, _)) => version,
        None => revision.get(..8).unwrap_or(revision),
    }
}

/// A span of time in its largest unit: `5s`, `12m`, `3h`, `9d`.
pub(super) fn age(span: SignedDuration) -> String {
    let seconds = span.as_secs().max(0);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

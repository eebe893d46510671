//! How the play is told: titles, what is typed, what held.
//!
//! That nobody listens any more is no error: what was made in a cluster is taken away all the same.

use clap::builder::styling::{AnsiColor, Style};
use std::fmt::Display;
use std::io::Write as _;

fn say(style: Style, text: impl Display) {
    let _ = writeln!(anstream::stdout(), "{style}{text}{style:#}");
}

/// The name of an act.
pub(super) fn title(text: impl Display) {
    note("");
    say(Style::new().bold(), format_args!("== {text}"));
}

/// Something to know.
pub(super) fn note(text: impl Display) {
    say(Style::new(), text);
}

/// A command as a person would type it.
pub(super) fn typed(text: impl Display) {
    say(Style::new().dimmed(), format_args!("$ {text}"));
}

/// What was shown to hold.
pub(super) fn good(text: impl Display) {
    say(AnsiColor::Green.on_default(), format_args!("✓ {text}"));
}

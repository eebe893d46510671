//! A sign of life for long work, on a terminal only.

use super::session::Session;
use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;
use trueup_plan::record::TargetStatus;

/// A spinner with a text; it goes when it is dropped.
#[derive(Debug)]
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// Shows `text` on standard error, if that is a terminal and nobody asked for quiet.
    pub(super) fn start(session: &Session, text: &str) -> Self {
        let bar = if session.quiet { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
            bar.set_style(style);
        }
        bar.set_message(text.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(bar)
    }

    /// Says how far the targets are.
    pub(super) fn targets(&self, statuses: &[TargetStatus]) {
        let settled = statuses.iter().filter(|status| status.is_settled()).count();
        let open = statuses.iter().find(|status| !status.is_settled());
        let open =
            open.map(|status| format!(", waiting for {}: {}", status.target, first_line(&status.message)));
        self.0.set_message(format!(
            "{settled} of {} synced and healthy{}",
            statuses.len(),
            open.unwrap_or_default()
        ));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

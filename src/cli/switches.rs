//! `--flag=true` and `--flag=false` for flags that take nothing: scripts for kubectl and Helm have them.

use clap::{ArgAction, Command};
use std::collections::BTreeSet;
use std::ffi::OsString;

/// The words without `=true`, and without flags that are `=false`. What no flag of the command is stays as it is.
pub(super) fn without_true(
    command: impl FnOnce() -> Command,
    words: impl IntoIterator<Item = OsString>,
) -> Vec<OsString> {
    let words: Vec<OsString> = words.into_iter().collect();
    let is_told = |word: &OsString| {
        word.to_str().is_some_and(|word| word.ends_with("=true") || word.ends_with("=false"))
    };
    if !words.iter().any(is_told) {
        return words;
    }
    let mut command = command();
    command.build();
    let mut words = words.into_iter();
    let mut kept: Vec<OsString> = words.next().into_iter().collect();
    let mut known = switches(&command);
    let mut named = false;
    while let Some(word) = words.next() {
        let Some(text) = word.to_str() else {
            kept.push(word);
            continue;
        };
        if text == "--" {
            kept.push(word);
            kept.extend(words);
            break;
        }
        if !named && let Some(inner) = command.find_subcommand(text) {
            named = true;
            known = switches(inner);
        }
        match text.split_once('=') {
            Some((flag, "true")) if known.contains(flag) => kept.push(flag.into()),
            Some((flag, "false")) if known.contains(flag) => {}
            Some(_) | None => kept.push(word),
        }
    }
    kept
}

/// The flags of a command that take nothing.
fn switches(command: &Command) -> BTreeSet<String> {
    let taking_nothing =
        command.get_arguments().filter(|flag| matches!(flag.get_action(), ArgAction::SetTrue));
    taking_nothing.filter_map(|flag| Some(format!("--{}", flag.get_long()?))).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn kept(line: &str) -> String {
        let words = line.split(' ').map(OsString::from);
        let kept = without_true(crate::cli::Arguments::command, words);
        kept.into_iter().map(|word| word.into_string().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_flag_that_takes_nothing_may_be_told_so() {
        for (given, wanted) in [
            ("trueup render web --include-crds=true --no-hooks=false", "trueup render web --include-crds"),
            (
                "trueup render web --set=a=true --hide-notes=true",
                "trueup render web --set=a=true --hide-notes",
            ),
            (
                "trueup render --exit-zero=true web --dry-run=true",
                "trueup render --exit-zero web --dry-run=true",
            ),
            ("trueup status --include-crds=true", "trueup status --include-crds=true"),
            ("trueup render web -- --no-hooks=true", "trueup render web -- --no-hooks=true"),
            ("trueup --exit-zero=false status", "trueup status"),
        ] {
            assert_eq!(kept(given), wanted);
        }
    }
}

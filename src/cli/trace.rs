//! Where the log goes: standard error, as text or as JSON, one line an event.

use super::Global;
use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// For people
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

/// What a command logs when nobody says anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Usual {
    /// What happens: for a service.
    Info,
    /// What is wrong: for a command that works for a while.
    Warnings,
    /// What nobody else tells: for a question, whose answer says what is wrong.
    Errors,
}

/// Starts the log. `RUST_LOG` says more exactly than the options what is wanted.
pub(super) fn start(global: &Global, usual: Usual) {
    let level = match (global.quiet, global.verbose, usual) {
        (true, _, _) | (false, 0, Usual::Errors) => LevelFilter::ERROR,
        (false, 0, Usual::Warnings) => LevelFilter::WARN,
        (false, 0, Usual::Info) | (false, 1, Usual::Warnings | Usual::Errors) => LevelFilter::INFO,
        (false, 1, Usual::Info) | (false, 2, Usual::Warnings | Usual::Errors) => LevelFilter::DEBUG,
        (false, _, _) => LevelFilter::TRACE,
    };
    // What libraries say in detail is only wanted by those who ask for it by name. kube logs each answer that is an
    // error, without what was asked; trueup tells those itself.
    let default = format!("{},kube_client=off,trueup={level}", level.min(LevelFilter::WARN));
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second start, in tests, leaves the first one's log in place.
    let _ = match global.log_format {
        LogFormat::Text => {
            let choice = anstream::AutoStream::choice(&std::io::stderr());
            log.with_ansi(choice != anstream::ColorChoice::Never).with_target(false).try_init()
        }
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
}

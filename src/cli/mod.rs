//! The command line: one file a command.
//!
//! A command asks a running trueup, or reads the state folder, or asks [`crate::sync`] to work from the configuration; it
//! never calls Git or a cluster by itself. Exit codes: 0 fine or no difference, 1 a difference or not converged, 2 an error.

#![allow(clippy::print_stdout, clippy::print_stderr)] // This is where trueup speaks.

mod adopt;
mod agent;
mod completions;
mod config;
mod confirm;
mod demo;
mod diff;
mod drift;
mod elsewhere;
mod helm_flags;
mod history;
mod install;
mod output;
mod output_dir;
mod progress;
mod remote;
mod render;
mod render_chart;
mod replay;
mod run;
mod schema;
mod session;
mod status;
mod switches;
mod sync;
#[cfg(test)]
mod tests;
mod trace;
mod version;

use anyhow::{Context as _, Result};
use clap::{ArgAction, Args, CommandFactory as _, Parser, Subcommand};
use output::{ColorWhen, Format};
use session::Session;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::runtime::{Builder, Runtime};
use trace::LogFormat;

/// Keeps Kubernetes clusters true to Git
#[derive(Debug, Parser)]
#[command(name = "trueup", version = version::LINE, propagate_version = true, max_term_width = 110, after_help = EXIT_CODES)]
struct Arguments {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

const SERVER_HELP: &str = "Where a running trueup answers [default: http://127.0.0.1:8321]";
const STATE_HELP: &str = "The state folder [default: trueup below $XDG_STATE_HOME or ~/.local/state]";
const EXIT_CODES: &str = "Exit codes: 0 fine or no difference, 1 a difference or not converged, 2 an error.";

/// What every command understands.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
struct Global {
    /// The configuration: a file or a folder [default: ./trueup.yaml]
    #[arg(long, short, global = true, env = "TRUEUP_CONFIG", value_name = "PATH")]
    config: Option<PathBuf>,
    // Not clap's default value: whether a server was named decides what happens when it does not answer.
    #[arg(long, global = true, env = "TRUEUP_SERVER", value_name = "URL", help = SERVER_HELP)]
    server: Option<String>,
    #[arg(long, global = true, env = "TRUEUP_STATE", value_name = "DIR", help = STATE_HELP)]
    state: Option<PathBuf>,
    /// How results are written
    #[arg(long, short, global = true, value_enum, default_value_t)]
    output: Format,
    /// Exit with 0 instead of 1 where there is a difference
    #[arg(long, global = true)]
    exit_zero: bool,
    /// When to use colours
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    color: ColorWhen,
    /// Log more; twice for everything
    #[arg(long, short, global = true, action = ArgAction::Count)]
    verbose: u8,
    /// Log only errors, and show no progress
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// How the log is written
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Run),
    Agent(agent::Agent),
    Status(status::Status),
    Diff(diff::Diff),
    Render(Box<render::Render>),
    Sync(sync::Sync),
    Confirm(confirm::Confirm),
    Adopt(adopt::Adopt),
    Drift(drift::Drift),
    History(history::History),
    Replay(replay::Replay),
    Config(config::Config),
    Crds(config::Crds),
    Install(install::Install),
    Schema(schema::Schema),
    Version(version::Version),
    Completions(completions::Completions),
    Demo(demo::Demo),
}

/// How a command ended, when it ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// All is as it should be.
    Fine,
    /// There is a difference, or something has not converged.
    Difference,
}

impl Verdict {
    fn fine_if(fine: bool) -> Self {
        if fine { Self::Fine } else { Self::Difference }
    }
}

const FINE: u8 = 0;
const DIFFERENCE: u8 = 1;
const ERROR: u8 = 2;

/// Reads the arguments, does what they say and gives the exit code.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse_from(switches::without_true(Arguments::command, std::env::args_os()));
    let global = arguments.global.clone();
    global.color.apply();
    let result = execute(arguments);
    let code = exit_code(&result, &global);
    if let (Err(error), ERROR) = (&result, code) {
        anstream::eprintln!("{}: {error:#}", output::bad("error"));
    }
    ExitCode::from(code)
}

fn exit_code(result: &Result<Verdict>, global: &Global) -> u8 {
    match result {
        Ok(Verdict::Fine) => FINE,
        Ok(Verdict::Difference) if global.exit_zero => FINE,
        Ok(Verdict::Difference) => DIFFERENCE,
        Err(error) if is_closed_pipe(error) => FINE,
        Err(_) => ERROR,
    }
}

/// Whoever reads the output, `head` for one, has had enough: that is no error.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let io = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        let json = || cause.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind);
        io.or_else(json) == Some(io::ErrorKind::BrokenPipe)
    })
}

fn execute(arguments: Arguments) -> Result<Verdict> {
    let Arguments { global, command } = arguments;
    trace::start(&global, command.usual_log());
    let session = Session::new(&global)?;
    let runtime = command.runtime().context("starting the runtime")?;
    let mut out = command.output();
    let verdict = runtime.block_on(command.run(&session, &mut *out))?;
    out.flush()?;
    Ok(verdict)
}

impl Command {
    /// Where the result goes. Manifests go there byte by byte: what steers a terminal is in them only where they say so.
    fn output(&self) -> Box<dyn Write> {
        match self {
            Self::Render(_) | Self::Config(_) | Self::Crds(_) | Self::Install(_) => {
                Box::new(io::BufWriter::new(io::stdout().lock()))
            }
            Self::Run(_)
            | Self::Agent(_)
            | Self::Status(_)
            | Self::Diff(_)
            | Self::Sync(_)
            | Self::Confirm(_)
            | Self::Adopt(_)
            | Self::Drift(_)
            | Self::History(_)
            | Self::Replay(_)
            | Self::Schema(_)
            | Self::Version(_)
            | Self::Completions(_)
            | Self::Demo(_) => Box::new(anstream::stdout().lock()),
        }
    }

    /// Threads take time to start and to end: what is done by itself, in a moment, does without.
    fn runtime(&self) -> io::Result<Runtime> {
        let is_short = match self {
            Self::Render(render) => render.is_of_chart(),
            Self::Crds(_) | Self::Install(_) | Self::Schema(_) | Self::Version(_) | Self::Completions(_) => {
                true
            }
            Self::Run(_)
            | Self::Agent(_)
            | Self::Status(_)
            | Self::Diff(_)
            | Self::Sync(_)
            | Self::Confirm(_)
            | Self::Adopt(_)
            | Self::Drift(_)
            | Self::History(_)
            | Self::Replay(_)
            | Self::Config(_)
            | Self::Demo(_) => false,
        };
        if is_short {
            return Builder::new_current_thread().enable_all().build();
        }
        // Charts are rendered on these threads, again and again. Of a stack only what was touched takes memory.
        Builder::new_multi_thread().enable_all().thread_stack_size(2 * trueup_helm::STACK).build()
    }

    fn usual_log(&self) -> trace::Usual {
        match self {
            Self::Run(_) | Self::Agent(_) => trace::Usual::Info,
            Self::Sync(_) | Self::Adopt(_) | Self::Demo(_) | Self::Replay(_) => trace::Usual::Warnings,
            Self::Status(_)
            | Self::Diff(_)
            | Self::Render(_)
            | Self::Confirm(_)
            | Self::Drift(_)
            | Self::History(_)
            | Self::Config(_)
            | Self::Crds(_)
            | Self::Install(_)
            | Self::Schema(_)
            | Self::Version(_)
            | Self::Completions(_) => trace::Usual::Errors,
        }
    }

    async fn run(&self, session: &Session, out: &mut dyn Write) -> Result<Verdict> {
        match self {
            Self::Run(run) => run.run(session, out).await,
            Self::Agent(agent) => agent.run(session).await,
            Self::Replay(replay) => replay.run(session, out).await,
            Self::Status(status) => status.run(session, out).await,
            Self::Diff(diff) => diff.run(session, out).await,
            Self::Render(render) => render.run(session, out).await,
            Self::Sync(sync) => sync.run(session, out).await,
            Self::Confirm(confirm) => confirm.run(session, out).await,
            Self::Adopt(adopt) => adopt.run(session, out).await,
            Self::Drift(drift) => drift.run(session, out).await,
            Self::History(history) => history.run(session, out).await,
            Self::Config(config) => config.run(session, out).await,
            Self::Crds(crds) => crds.run(session, out),
            Self::Install(install) => install.run(session, out),
            Self::Schema(schema) => schema.run(out),
            Self::Version(version) => version.run(session, out),
            Self::Completions(completions) => completions.run(out),
            Self::Demo(demo) => demo.run().await,
        }
    }
}

//! `trueup demo`: trueup at work, to look at and then to take over.
//!
//! Enters: where the play is given, a cluster in this process or one of the user's. Leaves: a story on standard output, each step
//! of which is checked; a step that does not hold is an error. Everything is in a temporary folder and gone at the end.
//!
//! | module | subject |
//! |---|---|
//! | `shop` | the config repository: the example, embedded, and commits to it |
//! | `stage` | cluster, folder and a trueup that runs as anybody's would |
//! | `eye` | the cluster as any other client sees it |
//! | `play` | the acts |
//! | `teller` | how it is told |

mod eye;
mod play;
mod shop;
mod stage;
mod teller;

use anyhow::{Result, anyhow};
use stage::Stage;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// Where the play is given and how it ends.
#[derive(Clone, Debug)]
pub struct Options {
    /// The cluster.
    pub place: Place,
    /// Whether it stays for the person who looks on.
    pub then: Then,
}

/// A cluster to play in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// One in memory, which is there at once and gone at the end.
    Sandbox,
    /// One of the user's.
    Cluster {
        /// The kubeconfig; the usual one where none is named.
        kubeconfig: Option<PathBuf>,
        /// The context; the current one where none is named.
        context: Option<String>,
    },
}

/// What comes after the last act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// The end.
    End,
    /// All of it goes on until it is interrupted, and how to play with it is told.
    Stay,
}

impl Then {
    /// How long a person is given to read an act.
    fn pause(self) -> Duration {
        match self {
            Self::End => Duration::ZERO,
            Self::Stay => Duration::from_secs(2),
        }
    }

    /// What a signal means: for a person the usual end, for a script a play that did not come to its own.
    fn interrupted(self) -> Result<()> {
        match self {
            Self::End => Err(anyhow!("interrupted before the end of the play")),
            Self::Stay => Ok(()),
        }
    }
}

/// Gives the play.
pub async fn run(options: &Options) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // The terminal was closed. The trueup of the play takes that as a wish to look again, and would go on alone.
    let mut hangup = signal(SignalKind::hangup())?;
    let mut stage = Stage::set(&options.place).await?;
    let play = async {
        play::give(&mut stage, options.then).await?;
        if options.then == Then::Stay {
            stage.tell_how_to_go_on();
            std::future::pending::<()>().await;
        }
        anyhow::Ok(())
    };
    let played = tokio::select! {
        played = play => played,
        _ = terminate.recv() => options.then.interrupted(),
        _ = interrupt.recv() => options.then.interrupted(),
        _ = hangup.recv() => options.then.interrupted(),
    };
    let log = if played.is_err() { stage.end_of_log() } else { Vec::new() };
    let cleared = stage.clear().await;
    if !log.is_empty() {
        let _ = writeln!(anstream::stderr(), "the end of trueup's log:\n{}", log.join("\n"));
    }
    played.and(cleared)
}

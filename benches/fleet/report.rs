//! The table, and the page that it is kept on.

use std::fmt::Write as _;
use std::time::Duration;

use crate::Size;
use crate::machine::{machine, today};
use crate::stages::Taken;

/// A line a stage.
pub(crate) fn table(measured: &[Taken]) -> String {
    let mut text = String::from(
        "| stage | time | CPU of trueup | memory then | the most so far |\n|---|---|---|---|---|\n",
    );
    for Taken { stage, time, cpu, memory, peak } in measured {
        let time = time.map(words).unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "| {stage} | {time} | {} | {} | {} |",
            words(*cpu),
            megabytes(*memory),
            megabytes(*peak)
        );
    }
    text
}

fn megabytes(kibibytes: u64) -> String {
    format!("{} MB", kibibytes * 1024 / 1_000_000)
}

fn words(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds if seconds >= 10.0 => format!("{seconds:.0} s"),
        seconds if seconds >= 1.0 => format!("{seconds:.1} s"),
        seconds => format!("{:.0} ms", seconds * 1000.0),
    }
}

/// The page in docs/.
pub(crate) fn page(size: Size, measured: &[Taken]) -> String {
    format!(
        "# One trueup for a fleet of real API servers

What `make bench-fleet` measured on {}, on {}: {size}. Each cluster is a kubeconfig of its own, of an account that has all rights
in one namespace and none elsewhere; to trueup they have nothing in common. The API servers with their etcd are on the same machine and share its cores with trueup, so
times are mostly theirs. Each target is an overlay over the base of its app; each app goes to all clusters.

{}
- *A commit that changes each object* changes the base of each app: all objects are applied.
- *Memory* is what is resident; after the restart it is that of a new process.
- Of what is measured several times, the time is the median, and CPU is that of one.
- The repository is a folder of the same machine, so that nobody waits for a commit to be noticed.

How one process grows with the number of clusters, without the API servers: [One process for many clusters](scale.md).
",
        today(),
        machine(),
        table(measured)
    )
}

//! The table, and the page that it is kept on.

use std::fmt::Write as _;
use std::time::Duration;

use crate::Size;
use crate::machine::{machine, today};
use crate::stages::{Measured, Stage, Taken};

const STAGES: [Stage; 8] = [
    Stage::Load,
    Stage::FirstSync,
    Stage::Rest,
    Stage::OneTarget,
    Stage::Elsewhere,
    Stage::Bases,
    Stage::Drift,
    Stage::Restart,
];

/// A line a stage and size, with how it grew from the size before; then memory.
pub(crate) fn table(measured: &[(Size, Measured)]) -> String {
    let mut text = String::from(
        "| stage | clusters | time | CPU of trueup | in the sandboxes | reads | writes | times the CPU of a tenth | allocated then, with the clusters |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    // Writing to a String cannot fail.
    for stage in STAGES {
        let mut before: Option<Taken> = None;
        for (size, measured) in measured {
            let Some(taken) = measured.stages.get(&stage) else { continue };
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
                stage.words(),
                size.clusters,
                if stage == Stage::Rest { String::new() } else { time(taken.time) },
                time(taken.cpu),
                time(taken.sandboxes),
                taken.reads,
                taken.writes,
                before.map_or_else(String::new, |before| growth(taken.cpu, before.cpu)),
                megabytes(taken.allocated),
            );
            before = Some(*taken);
        }
    }
    text.push_str(
        "\n| memory at rest | trueup's own | a target | an object | the whole process, with the clusters |\n|---|---|---|---|---|\n",
    );
    for (size, measured) in measured {
        let share = |count: usize| kilobytes(measured.own / u64::try_from(count.max(1)).unwrap_or(1));
        let _ = writeln!(
            text,
            "| {size} | {} | {} | {} | {} |",
            megabytes(measured.own),
            share(size.targets()),
            share(size.objects()),
            megabytes(measured.resident),
        );
    }
    text
}

fn growth(now: Duration, before: Duration) -> String {
    // What is measured in hundredths of a second says nothing when there are few of them.
    if before < Duration::from_millis(50) {
        return String::new();
    }
    format!("{:.1}", now.as_secs_f64() / before.as_secs_f64())
}

pub(crate) fn time(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds if seconds >= 10.0 => format!("{seconds:.0} s"),
        seconds if seconds >= 1.0 => format!("{seconds:.1} s"),
        seconds => format!("{:.0} ms", seconds * 1000.0),
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{} MB", (bytes + 500_000) / 1_000_000)
}

fn kilobytes(bytes: u64) -> String {
    format!("{} KB", (bytes + 500) / 1000)
}

/// The page in docs/.
pub(crate) fn page(measured: &[(Size, Measured)]) -> String {
    format!(
        "# One process for many clusters

What `make bench-scale` measured on {}, each size after the other in one process, on {}. The clusters are sandboxes in that process, one
namespace each: what is measured is trueup and nothing that a network or an API server adds. Each target is an overlay over the base of its app, of ten
objects of five kinds; each app goes to all clusters.

![What a stage takes, by the number of clusters](images/scale.svg)

{}
- *CPU of trueup* is that of the whole process without the time that requests spent in the sandboxes. What they spend on events of watches, and
  what the encoding and decoding of JSON takes, is in it.
- *Times the CPU of a tenth*: 10 is linear in the number of clusters, targets and objects.
- *A commit that changes each object* changes the base of each app. All times are until each target is Synced and Healthy at that commit, which also
  for a commit that changes none takes a look at each target.
- *Restart* is with its records, until nobody asks for anything any more.
- *Trueup's own* memory is what was allocated less when it had ended and the clusters were still there.
",
        today(),
        machine(),
        table(measured)
    )
}

//! The table, and the page that it is kept on.

use std::fmt::Write as _;
use std::process::Command;
use std::time::Duration;

use crate::Extent;
use crate::contender::{Contender, Quiet};

const HEADER: &str = "\
| | first sync | times the ceiling | requests | a commit that changes one object | writes for it | nothing changed | drift repaired (median, p95) | peak memory |
|---|---|---|---|---|---|---|---|---|
";

/// A row a contender. The first one is the ceiling.
pub(crate) fn table(contenders: &[Contender], extent: Extent) -> String {
    let mut text = format!("One app of {} ConfigMaps through kustomize:\n\n{HEADER}", extent.objects);
    let ceiling = contenders.first().map_or(Duration::ZERO, |first| first.first_sync);
    for contender in contenders {
        let cells = [
            contender.name.clone(),
            seconds(contender.first_sync),
            format!("{:.2}", contender.first_sync.as_secs_f64() / ceiling.as_secs_f64()),
            contender.first_requests.to_string(),
            contender.change.map(seconds).unwrap_or_default(),
            contender.change_writes.map(|writes| format!("{writes:.1}")).unwrap_or_default(),
            contender.quiet.as_ref().map(quiet).unwrap_or_default(),
            contender.drift.map(|d| format!("{}, {}", seconds(d.median), seconds(d.p95))).unwrap_or_default(),
            contender.peak_memory.map(|kib| format!("{} MB", kib / 1000)).unwrap_or_default(),
        ];
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text
}

fn quiet(quiet: &Quiet) -> String {
    match quiet {
        Quiet::Run(took, requests) => format!("{} and {requests} requests each time", seconds(*took)),
        Quiet::During(time, requests) => {
            format!("{requests} requests in {}", humantime::format_duration(*time))
        }
    }
}

fn seconds(time: Duration) -> String {
    if time < Duration::from_millis(995) {
        format!("{:.0} ms", time.as_secs_f64() * 1000.0)
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}

/// `docs/measurements.md`.
pub(crate) fn page(table: &str, extent: Extent) -> String {
    format!(
        "# Measurements

What `make bench` measured (`cargo bench --bench reconcile -- --write`), all of it in one run, one contender after the other,
on {machine}. One kube-apiserver with etcd on the same machine, without fsync and with an audit log, by which requests are
counted.

{table}
- *First sync*: for bare PATCHes, from the first request to the last answer, the objects being rendered already. For kubectl, the
  whole run. For trueup, from the start of the process until it says Synced: reading the configuration, fetching, rendering,
  discovery and the first lists included. The median of {rounds}, each in a new namespace; one for kubectl.
- *A commit that changes one object*: for trueup, from the start of `git push` into a repository on the same machine until the
  object is changed in the cluster; the median of {changes}. For bare PATCHes, one PATCH.
- *Drift repaired*: from the API server's answer to somebody else's write until the object is as Git says again.
- *Peak memory*: the most that was ever resident (`VmHWM`).
",
        machine = machine(),
        rounds = extent.rounds,
        changes = extent.changes,
    )
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = Command::new("uname").arg("-sm").output().map(|output| output.stdout).unwrap_or_default();
    let kernel = String::from_utf8_lossy(&kernel).trim().to_owned();
    format!("a machine with {cores} cores ({kernel})")
}

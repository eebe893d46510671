//! The tables, and the page that they are kept on.

use std::fmt::Write as _;
use std::time::Duration;

use crate::machine::{machine, today};
use crate::measure::{Fleet, Run, Speed};
use crate::workload::thousands;

/// One folder, rendered by both.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) title: String,
    pub(crate) ours: Run,
    pub(crate) theirs: Option<Run>,
    pub(crate) in_process: Duration,
}

/// A row a folder.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut text = "\
| one overlay | `trueup render` | `kustomize build` | times faster | in process | peak memory | kustomize's |
|---|---|---|---|---|---|---|
"
    .to_owned();
    for row in rows {
        let cells = [
            row.title.clone(),
            time(row.ours.took),
            row.theirs.map(|run| time(run.took)).unwrap_or_default(),
            row.theirs
                .map(|run| format!("{:.0}", run.took.as_secs_f64() / row.ours.took.as_secs_f64()))
                .unwrap_or_default(),
            time(row.in_process),
            memory(row.ours.peak),
            row.theirs.map(|run| memory(run.peak)).unwrap_or_default(),
        ];
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text
}

/// What one resource takes where there are more and more of them: equal times mean that the whole is linear.
pub(crate) fn steps(steps: &[(usize, [Duration; 3])]) -> String {
    let mut text = "\
| in process, a resource | ConfigMaps | a patch each | a replacement each |
|---|---|---|---|
"
    .to_owned();
    for (count, times) in steps {
        let cells = times.map(|time| {
            let each = time / u32::try_from(*count).unwrap_or(u32::MAX);
            format!("{:.1} µs", each.as_secs_f64() * 1e6)
        });
        let _ = writeln!(text, "| of {} | {} |", thousands(*count), cells.join(" | "));
    }
    text
}

/// The fleet's table.
pub(crate) fn fleet(count: usize, fleet: Fleet, theirs: Option<Duration>) -> String {
    let build = theirs
        .map(|one| {
            format!(" One `kustomize build` of one of them takes {}, process start included.", time(one))
        })
        .unwrap_or_default();
    format!(
        "| {count} overlays over one base, in process | |\n|---|---|\n| all | {} |\n| after a change to one overlay | {} |\n| after a change to the base | {} |\n\n{}\n",
        time(fleet.all),
        time(fleet.after_one),
        time(fleet.after_base),
        build.trim()
    )
}

/// The table of YAML by itself.
pub(crate) fn yaml(speed: Speed) -> String {
    let rate = |bytes: f64| format!("{:.0} MB/s", bytes / 1e6);
    format!(
        "| YAML by itself, 1,000 Deployments | |\n|---|---|\n| read into values | {} |\n| the events of granit-parser alone, nothing made of them | {} |\n| written | {} |\n",
        rate(speed.read),
        rate(speed.library),
        rate(speed.written)
    )
}

fn memory(kib: Option<u64>) -> String {
    kib.map(|kib| format!("{} MB", kib / 1000)).unwrap_or_default()
}

fn time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        _ if seconds < 0.000_995 => format!("{:.2} ms", seconds * 1e3),
        _ if seconds < 0.1 => format!("{:.1} ms", seconds * 1e3),
        _ if seconds < 0.995 => format!("{:.0} ms", seconds * 1e3),
        _ => format!("{seconds:.1} s"),
    }
}

/// `docs/benchmarks-render.md`.
pub(crate) fn page(tables: &str) -> String {
    format!(
        "# How fast trueup renders

What `make bench-render` measured (`cargo bench --bench render -- --write`) on {}, all of it in one run, on {}. `kustomize build` is
v5.8.2, built from its Go module by `scripts/kustomize.sh`.

{tables}
- *`trueup render`* and *`kustomize build`*: the whole process, from its start until all that it prints is read. The median of
  several runs; what takes kustomize longer than a minute is run once.
- *In process*: reading from memory, rendering and printing, without the start of a process and without a file system.
- *A resource*: the same, divided by the number of resources.
- *Peak memory*: the most that the process ever had resident.
- *After a change*: each overlay's trace is held against the new tree, and those that it touched are rendered again, on all cores.
",
        today(),
        machine()
    )
}

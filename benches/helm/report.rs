//! The tables, and the page that they are kept on.

use std::fmt::Write as _;
use std::time::Duration;

use crate::machine::{machine, today};
use crate::measure::{Inner, Sides, TURN, Times};

/// One chart, rendered by both.
pub(crate) struct Row {
    pub(crate) title: String,
    pub(crate) processes: Sides,
    pub(crate) inner: Inner,
}

/// All tables.
pub(crate) fn tables(rows: &[Row], start: &Sides) -> String {
    let mut text = "\
| the whole process | `trueup render` | `helm template` | times faster | peak memory | Helm's |
|---|---|---|---|---|---|
"
    .to_owned();
    let mut process = |title: &str, sides: &Sides| {
        let cells = [
            title.to_owned(),
            spread(&sides.ours.times),
            spread(&sides.theirs.times),
            ratio(&sides.ours.times, &sides.theirs.times),
            memory(sides.ours.peak),
            memory(sides.theirs.peak),
        ];
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    };
    for row in rows {
        process(&row.title, &row.processes);
    }
    process("`version`: the start alone", start);
    text.push_str(
        "
| in process | trueup-helm | Helm's Go packages | times faster | the first of a turn |
|---|---|---|---|---|
",
    );
    for row in rows {
        let Inner { all: [ours, theirs], first: [our_first, their_first] } = &row.inner;
        let cells = [
            row.title.clone(),
            spread(ours),
            spread(theirs),
            ratio(ours, theirs),
            ratio(our_first, their_first),
        ];
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text
}

/// `12.3 ms (11.0 to 19.8)`; with two decimals below a millisecond.
fn spread(times: &Times) -> String {
    let decimals = if times.median() < Duration::from_millis(1) { 2 } else { 1 };
    let bare = |time: Duration| format!("{:.decimals$}", time.as_secs_f64() * 1e3);
    format!("{} ms ({} to {})", bare(times.median()), bare(times.least()), bare(times.most()))
}

fn ratio(ours: &Times, theirs: &Times) -> String {
    format!("{:.1}", theirs.median().as_secs_f64() / ours.median().as_secs_f64())
}

fn memory(kib: Option<u64>) -> String {
    kib.map(|kib| format!("{} MB", kib / 1000)).unwrap_or_default()
}

/// `docs/benchmarks-helm.md`.
pub(crate) fn page(tables: &str) -> String {
    format!(
        "# How fast trueup renders charts

What `make bench-helm` measured (`cargo bench --bench helm -- --write`) on {}, all of it in one run, on {}. Helm is v4.3.1, built from its
Go module. Both print the same bytes, which is checked.

{tables}
- *The whole process*: from its start until all that it prints is read; the two programs in turns, `--include-crds` on both sides.
- *In process*: loading the chart from disk, rendering and printing, without the start of a process; the two libraries in turns of {TURN}
  renderings, ours with the program's allocator.
- *The first of a turn*: how many times faster the first of these is, for which another process has just had the processor and its caches. A
  trueup that renders one target after the other is as fast as the rest.
- Times are medians, with the least and the most in brackets; the ratio is that of the medians.
- *Peak memory*: the most that the process ever had resident, in a run of its own.
",
        today(),
        machine()
    )
}

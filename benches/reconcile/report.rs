//! The tables, and the page that they are kept on.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::figures::{Contender, Measured, Spread, Work};
use crate::machine::{machine, today};
use crate::{Extent, Shape};

/// One line on one work.
pub(crate) fn short(measured: &Measured) -> Result<String> {
    let spread = measured.spread()?;
    Ok(format!(
        "{} (p99 {}), CPU {} each, {}, peak {}",
        range(spread),
        time(spread.p99),
        time(measured.cpu / u32::try_from(measured.times.len()).unwrap_or(1)),
        measured.requests.by_verb(),
        megabytes(measured.peak)
    ))
}

/// First syncs of all contenders, and what else each can do. The first contender is the ceiling.
pub(crate) fn tables(shape: Shape, contenders: &[Contender]) -> Result<String> {
    let ceiling = contenders.first().context("nothing was measured")?;
    let objects = shape.apps * shape.objects;
    let mut text = format!(
        "## First sync of {shape}\n\n\
        | | time: median (least to most) | times the ceiling | requests an object | requests | CPU | peak memory |\n\
        |---|---|---|---|---|---|---|\n"
    );
    for contender in contenders {
        let Some(first) = contender.measured.get(&Work::FirstSync) else { continue };
        let per_object = first.each(first.requests.total()) / f64::from(u32::try_from(objects)?);
        let cells = [
            contender.name.clone(),
            range(first.spread()?),
            format!("{:.2}", times_the_ceiling(ceiling, first)?),
            format!("{per_object:.3}"),
            each_by_verb(first),
            time(first.cpu / u32::try_from(first.times.len())?),
            memory(first.peak),
        ];
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text.push_str(
        "\nWhat comes after it:\n\n\
        | | | time: median (least to most) | 99th percentile | writes each | requests each, besides the record | CPU each | peak memory until then |\n\
        |---|---|---|---|---|---|---|---|\n",
    );
    for contender in contenders {
        for (work, measured) in contender.measured.iter().filter(|(work, _)| **work != Work::FirstSync) {
            let spread = measured.spread()?;
            let cpu = match work {
                Work::Idle | Work::StatusChurn => format!("{:.2} % of a core", measured.load() * 100.0),
                _ => time(measured.cpu / u32::try_from(measured.times.len())?),
            };
            let cells = [
                work.words().to_owned(),
                contender.name.clone(),
                range(spread),
                if measured.times.len() > 1 { time(spread.p99) } else { String::new() },
                count(measured.each(measured.requests.writes())),
                count(measured.each(measured.requests.besides_the_record())),
                cpu,
                memory(measured.peak),
            ];
            let _ = writeln!(text, "| {} |", cells.join(" | "));
        }
    }
    Ok(text)
}

/// The median of the rounds' ratios: what disturbs one round disturbs both sides of it.
pub(crate) fn times_the_ceiling(ceiling: &Contender, measured: &Measured) -> Result<f64> {
    let base = ceiling.measured.get(&Work::FirstSync).context("no ceiling")?;
    let mut ratios: Vec<f64> = measured
        .times
        .iter()
        .zip(&base.times)
        .map(|(took, bare)| took.as_secs_f64() / bare.as_secs_f64())
        .collect();
    ratios.sort_by(f64::total_cmp);
    ratios.get(ratios.len() / 2).copied().context("nothing was measured")
}

fn each_by_verb(measured: &Measured) -> String {
    let rounds = measured.times.len().max(1);
    let mut each = measured.requests.clone();
    each.0.values_mut().for_each(|count| *count /= rounds);
    each.0.retain(|_, count| *count > 0);
    each.by_verb()
}

fn count(count: f64) -> String {
    if count.fract() == 0.0 { format!("{count}") } else { format!("{count:.2}") }
}

fn range(spread: Spread) -> String {
    if spread.least == spread.most {
        return time(spread.median);
    }
    format!("{} ({} to {})", time(spread.median), time(spread.least), time(spread.most))
}

fn time(time: Duration) -> String {
    if time < Duration::from_millis(9) {
        format!("{:.1} ms", time.as_secs_f64() * 1000.0)
    } else if time < Duration::from_millis(995) {
        format!("{:.0} ms", time.as_secs_f64() * 1000.0)
    } else {
        format!("{:.2} s", time.as_secs_f64())
    }
}

fn memory(kib: u64) -> String {
    if kib == 0 { String::new() } else { megabytes(kib) }
}

fn megabytes(kib: u64) -> String {
    format!("{} MB", (kib * 1024).div_ceil(1_000_000))
}

/// The page with these tables.
pub(crate) fn page(tables: &str, extent: Extent) -> String {
    format!(
        "# Benchmarks

What `make bench` measured on {date}, all of it in one run, on {machine}: ratios within the run say more than the times. One kube-apiserver with etcd on the same machine, without fsync and with an audit log, by
which requests are counted; no controllers but one that says of each Deployment that it is as it should be. Bare requests and trueup take turns, {rounds} rounds, each in a namespace of its own that is emptied afterwards; kubectl
runs once.

![First syncs, as multiples of bare requests](images/benchmarks.svg)

Where time and memory go that fall short of what was hoped for is told in [where it goes](where-it-goes.md).

{tables}
- *The ceiling* is bare server-side applies of objects that are rendered already, {in_flight} in flight over one client, from the
  first connection to the last answer. *Times the ceiling* is the median of the rounds' ratios.
- *First sync* of trueup is from the start of the process until all is Synced: reading the configuration, fetching, rendering,
  discovery and the first lists included. For kubectl it is the whole run.
- *A commit that …* is from the end of `git push` into a repository on the same machine until the last object is changed in the
  cluster, as a watch shows it. For bare requests it is one PATCH, for kubectl a run.
- *Drift* is from the API server's answer to somebody else's write until the object is as Git says again.
- *Restart* is from the start of the process until each target had a turn; *API server restarted* is from its first answer and a
  foreign write until that drift is repaired.
- *The record* is what a target's parent object in the cluster keeps, and the event about a sync.
- *Peak memory* is the most that was ever resident (`VmHWM`).
",
        date = today(),
        machine = machine(),
        rounds = extent.rounds,
        in_flight = extent.in_flight,
    )
}

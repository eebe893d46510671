//! How long both take: as processes in turns, and by themselves.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use serde_json::json;
use trueup::source::DiskTree;
use trueup_helm::{Chart, Crds, Detail, Options, Release, Values, render};
use trueup_oracle::Oracle;

use crate::workload::Subject;

/// What a number of runs took, sorted.
#[derive(Clone, Debug)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    fn new(mut times: Vec<Duration>) -> Self {
        times.sort();
        Self(times)
    }

    pub(crate) fn median(&self) -> Duration {
        self.0[self.0.len() / 2]
    }

    pub(crate) fn least(&self) -> Duration {
        self.0[0]
    }

    pub(crate) fn most(&self) -> Duration {
        self.0[self.0.len() - 1]
    }
}

/// One program.
pub(crate) struct Side {
    /// From its start until all that it prints is read.
    pub(crate) times: Times,
    /// The most memory that was ever resident, in KiB.
    pub(crate) peak: Option<u64>,
    pub(crate) printed: Vec<u8>,
}

/// Both programs.
pub(crate) struct Sides {
    pub(crate) ours: Side,
    pub(crate) theirs: Side,
}

/// Runs both in turns, so that what else the machine does meets both.
pub(crate) fn sides(
    ours: &Path,
    our_arguments: &[&str],
    theirs: &Path,
    their_arguments: &[&str],
    rounds: usize,
) -> Result<Sides> {
    // The first run of each reads the program from disk.
    let (mut printed, mut times) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for round in 0..=rounds {
        for (side, (program, arguments)) in
            [(ours, our_arguments), (theirs, their_arguments)].into_iter().enumerate()
        {
            let (took, text) = once(program, arguments)?;
            if round > 0 {
                times[side].push(took);
            }
            printed[side] = text;
        }
    }
    let [our_times, their_times] = times.map(Times::new);
    let [our_text, their_text] = printed;
    Ok(Sides {
        ours: Side { times: our_times, peak: peak(ours, our_arguments)?, printed: our_text },
        theirs: Side { times: their_times, peak: peak(theirs, their_arguments)?, printed: their_text },
    })
}

fn once(program: &Path, arguments: &[&str]) -> Result<(Duration, Vec<u8>)> {
    let started = Instant::now();
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.with_context(|| program.display().to_string())?;
    let took = started.elapsed();
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr);
        bail!("{} {}: {told}", program.display(), arguments.join(" "));
    }
    Ok((took, output.stdout))
}

/// A run of its own, since what tells the peak takes time itself.
fn peak(program: &Path, arguments: &[&str]) -> Result<Option<u64>> {
    let time = Path::new("/usr/bin/time");
    if !time.exists() {
        return Ok(None);
    }
    let output = Command::new(time).args(["-f", "peak %M"]).arg(program).args(arguments).output()?;
    let told = String::from_utf8_lossy(&output.stderr);
    Ok(told.lines().find_map(|line| line.strip_prefix("peak ")).and_then(|peak| peak.parse().ok()))
}

/// How often one library renders before it is the other's turn.
pub(crate) const TURN: usize = 10;

/// Loading, rendering and printing, again and again in one process.
pub(crate) struct Inner {
    /// All renderings: ours, theirs.
    pub(crate) all: [Times; 2],
    /// The first ones of each turn, which find the machine as the other process left it.
    pub(crate) first: [Times; 2],
}

/// Renders a chart with both libraries in so many turns.
pub(crate) fn in_process(oracle: &mut Oracle, subject: &Subject, turns: usize) -> Result<Inner> {
    let path = subject.chart.to_str().context("the chart's path is not UTF-8")?;
    let (mut all, mut first) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for turn in 0..=turns {
        let (mut ours, mut text) = (Vec::new(), String::new());
        for _ in 0..TURN {
            let started = Instant::now();
            text = rendered(&subject.chart)?;
            ours.push(started.elapsed());
        }
        let answers = oracle.ask(&json!([{"chart": path, "values": "", "times": TURN}]))?;
        let answer = &answers[0];
        if let Some(error) = answer["error"].as_str() {
            bail!("helm: {error}");
        }
        if answer["text"].as_str() != Some(text.as_str()) {
            bail!("the two libraries print something else");
        }
        let spent = answer["spent"].as_array().into_iter().flatten();
        let theirs: Vec<_> = spent.filter_map(|spent| spent.as_u64().map(Duration::from_nanos)).collect();
        if theirs.len() != TURN {
            bail!("helm does not say how long each rendering took");
        }
        // The first turn finds nothing warm.
        if turn > 0 {
            for (side, times) in [ours, theirs].into_iter().enumerate() {
                first[side].push(times[0]);
                all[side].extend(times);
            }
        }
    }
    Ok(Inner { all: all.map(Times::new), first: first.map(Times::new) })
}

fn rendered(path: &Path) -> Result<String> {
    let chart = if path.is_file() {
        Chart::from_archive(&std::fs::read(path)?, &path.display().to_string())?
    } else {
        Chart::from_tree(&DiskTree::new(path), "")?
    };
    let random = Arc::new(|bytes: &mut [u8]| bytes.fill(4));
    let mut options = Options::new(Release::install("rel", "ns1"), Timestamp::UNIX_EPOCH, random);
    options.detail = Detail::Head;
    Ok(render(&chart, &Values::new(), &options)?.to_text(Crds::Skipped))
}

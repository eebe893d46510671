//! How long rendering takes: as a process, and in this one.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use trueup::render::{self, Parsed, Rendered, Request};
use trueup_model::{MemoryTree, yaml};

use crate::workload::{Files, fleet, in_memory, overlay};

/// What a process took from its start to its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) took: Duration,
    /// The most memory that was ever resident, in KiB.
    pub(crate) peak: Option<u64>,
    /// How much it printed, in bytes.
    pub(crate) printed: usize,
}

/// Runs a command that often; the median counts. All of its output is read.
pub(crate) fn process(program: &Path, arguments: &[&str], rounds: usize) -> Result<Run> {
    let mut runs = (0..rounds).map(|_| once(program, arguments)).collect::<Result<Vec<_>>>()?;
    runs.sort_by_key(|run| run.took);
    Ok(runs[runs.len() / 2])
}

fn once(program: &Path, arguments: &[&str]) -> Result<Run> {
    let started = Instant::now();
    // GNU time tells the peak; without it, only the time is known.
    let measured = Path::new("/usr/bin/time").exists();
    let mut command = if measured {
        let mut command = Command::new("/usr/bin/time");
        command.args(["-f", "peak %M"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    let mut child = command
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| program.display().to_string())?;
    let mut printed = Vec::new();
    child.stdout.take().context("no output")?.read_to_end(&mut printed)?;
    let output = child.wait_with_output()?;
    let took = started.elapsed();
    let told = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("{} {}: {told}", program.display(), arguments.join(" "));
    }
    let peak = told.lines().find_map(|line| line.strip_prefix("peak ")).and_then(|peak| peak.parse().ok());
    Ok(Run { took, peak, printed: printed.len() })
}

/// The median time of rendering and printing a folder in this process.
pub(crate) fn in_process(files: &Files, path: &str, rounds: usize) -> Result<Duration> {
    let tree: Arc<MemoryTree> = Arc::new(in_memory(files));
    let request = Request { path: path.to_owned(), ..Request::default() };
    let mut times = Vec::new();
    for _ in 0..rounds {
        let started = Instant::now();
        let rendered = render::build(Arc::clone(&tree) as _, &request)?;
        let text: usize =
            rendered.manifests.iter().map(|manifest| yaml::to_yaml(&manifest.value).len()).sum();
        times.push(started.elapsed());
        std::hint::black_box(text);
    }
    times.sort();
    Ok(times[times.len() / 2])
}

/// How long a fleet of overlays takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fleet {
    pub(crate) all: Duration,
    pub(crate) after_one: Duration,
    pub(crate) after_base: Duration,
}

/// Renders all overlays, then those that a change to one overlay and a change to the base touch.
pub(crate) fn fleet_of(count: usize) -> Result<Fleet> {
    let tree = |base: &str, first: &str| Arc::new(in_memory(&fleet(count, base, first)));
    let (before, one, base) = (tree("info", "warn"), tree("info", "error"), tree("debug", "warn"));
    let started = Instant::now();
    let rendered = parallel(&before, &(0..count).collect::<Vec<_>>())?;
    let all = started.elapsed();
    let rerender = |tree: &Arc<MemoryTree>| -> Result<(Duration, usize)> {
        let started = Instant::now();
        let touched: Vec<usize> =
            (0..count).filter(|index| !rendered[*index].trace.holds_in(tree.as_ref())).collect();
        let touched_count = touched.len();
        parallel(tree, &touched)?;
        Ok((started.elapsed(), touched_count))
    };
    let (after_one, touched) = rerender(&one)?;
    if touched != 1 {
        bail!("a change to one overlay touched {touched}");
    }
    let (after_base, touched) = rerender(&base)?;
    if touched != count {
        bail!("a change to the base touched {touched} of {count}");
    }
    Ok(Fleet { all, after_one, after_base })
}

/// Renders overlays of one commit on all cores; files are parsed once.
fn parallel(tree: &Arc<MemoryTree>, wanted: &[usize]) -> Result<Vec<Rendered>> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let parsed = Parsed::default();
    let share = wanted.len().div_ceil(cores).max(1);
    std::thread::scope(|scope| {
        let workers: Vec<_> = wanted
            .chunks(share)
            .map(|chunk| {
                scope.spawn(|| {
                    chunk
                        .iter()
                        .map(|index| {
                            let request = Request { path: overlay(*index), ..Request::default() };
                            Ok(render::build_with(Arc::clone(tree) as _, &request, &parsed)?)
                        })
                        .collect::<Result<Vec<Rendered>>>()
                })
            })
            .collect();
        let mut all = Vec::with_capacity(wanted.len());
        for worker in workers {
            all.extend(worker.join().map_err(|_| anyhow!("a worker panicked"))??);
        }
        Ok(all)
    })
}

/// Reading and writing of YAML by itself, in bytes a second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Speed {
    pub(crate) read: f64,
    pub(crate) library: f64,
    pub(crate) written: f64,
}

/// Measures reading with our reader and with the bare parser library's events, and writing.
pub(crate) fn yaml_speed(text: &str) -> Result<Speed> {
    let documents = yaml::documents(text)?;
    let printed: usize = documents.iter().map(|document| yaml::to_yaml(&document.value).len()).sum();
    let read = rate(text.len(), || Ok(yaml::documents(text)?.len()))?;
    let library = rate(text.len(), || {
        let mut events = granit_parser::Parser::new_from_str(text);
        let mut count = 0;
        while let Some(event) = events.next_event() {
            event.map_err(|error| anyhow!("{}", error.info()))?;
            count += 1;
        }
        Ok(count)
    })?;
    let written =
        rate(printed, || Ok(documents.iter().map(|document| yaml::to_yaml(&document.value).len()).sum()))?;
    Ok(Speed { read, library, written })
}

fn rate(bytes: usize, work: impl Fn() -> Result<usize>) -> Result<f64> {
    let mut best = Duration::MAX;
    for _ in 0..7 {
        let started = Instant::now();
        std::hint::black_box(work()?);
        best = best.min(started.elapsed());
    }
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let bytes = bytes as f64;
    Ok(bytes / best.as_secs_f64())
}

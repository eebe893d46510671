//! Charts of several sizes, rendered by `trueup render` and by `helm template`, as processes and in this one, all in one run.
//!
//!     cargo bench --bench helm                          # prints the tables
//!     cargo bench --bench helm -- --write               # and writes docs/benchmarks-helm.md
//!
//! Helm is v4.3.1, built from its Go module by the tests of `trueup-helm`. Real charts are no part of the repository: they are looked
//! for beside it, or where `TRUEUP_CONFORMANCE` says.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the tables are for whoever runs this")]

#[path = "../common/machine.rs"]
mod machine;
mod measure;
mod report;
mod workload;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Parser;
use trueup_oracle::Original;

use measure::Sides;
use report::Row;
use workload::Subject;

/// What is measured in process allocates as the program does.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Compares rendering of charts with Helm's.
#[derive(Debug, Parser)]
struct Arguments {
    /// How often each is run, one after the other in turns.
    #[arg(long, default_value_t = 11)]
    rounds: usize,
    /// How many turns of renderings each gets in process.
    #[arg(long, default_value_t = 21)]
    turns: usize,
    /// Only subjects with this in their title.
    #[arg(long, default_value = "")]
    only: String,
    /// Write docs/benchmarks-helm.md.
    #[arg(long)]
    write: bool,
    /// What cargo passes to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Does something on a thread as trueup renders on.
fn on_a_thread<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let done = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(2 * trueup_helm::STACK);
        Ok::<_, std::io::Error>(thread.spawn_scoped(scope, work)?.join())
    });
    done?.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let original = Original::of_crate(&root().join("crates/helm").to_string_lossy());
    let helm = original.program().context("Helm is built from its Go module")?;
    let mut oracle = original.start()?;
    let folder = tempfile::tempdir()?;
    let mut rows = Vec::new();
    for subject in workload::subjects(&conformance(), folder.path())? {
        if !subject.title.contains(&arguments.only) {
            continue;
        }
        eprintln!("{}", subject.title);
        let chart = subject.chart.to_str().context("the chart's path is not UTF-8")?;
        let processes =
            processes(&helm, chart, arguments.rounds.max(1)).with_context(|| subject.title.clone())?;
        let turns = arguments.turns.max(1);
        let inner = on_a_thread(|| measure::in_process(&mut oracle, &subject, turns))
            .with_context(|| subject.title.clone())?;
        let Subject { title, .. } = subject;
        rows.push(Row { title, processes, inner });
    }
    if rows.is_empty() {
        bail!("there is no such subject");
    }
    let start = measure::sides(&program(), &["version"], &helm, &["version"], arguments.rounds.max(1))?;
    let tables = report::tables(&rows, &start);
    println!("{tables}");
    if arguments.write {
        let path = root().join("docs/benchmarks-helm.md");
        std::fs::write(&path, report::page(&tables))?;
        eprintln!("wrote {}", path.display());
    }
    Ok(())
}

/// Both programs on one chart, which have to print the same.
fn processes(helm: &Path, chart: &str, rounds: usize) -> Result<Sides> {
    let ours = ["render", chart, "--release-name", "rel", "--namespace", "ns1", "--include-crds"];
    let theirs = ["template", "rel", chart, "--namespace", "ns1", "--include-crds"];
    let sides = measure::sides(&program(), &ours, helm, &theirs, rounds)?;
    if sides.ours.printed != sides.theirs.printed {
        bail!("helm printed {} bytes, trueup {}", sides.theirs.printed.len(), sides.ours.printed.len());
    }
    Ok(sides)
}

fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_trueup"))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn conformance() -> PathBuf {
    let beside = || root().join("../shared/conformance");
    std::env::var_os("TRUEUP_CONFORMANCE").map_or_else(beside, PathBuf::from).join("helm")
}

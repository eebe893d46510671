//! One app of 1,000 `ConfigMaps`, rendered by kustomize, on a real API server: what is possible at all, what kubectl takes, and
//! what trueup takes. All in one run, one after the other, since only then the numbers can be compared.
//!
//!     cargo bench --bench reconcile                      # prints a table
//!     cargo bench --bench reconcile -- --write           # and writes docs/measurements.md
//!     cargo bench --bench reconcile -- --objects 100 --rounds 1 --idle 10s
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the table is for whoever runs this")]

mod ceiling;
mod contender;
mod kubectl;
mod report;
mod trueup;
mod workload;

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use trueup_testkit::{Audit, Components, ControlPlane, Options};

use contender::Contender;

/// Measures first sync, a commit that changes one object, a quiet minute, drift repair and memory.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many objects the app has.
    #[arg(long, default_value_t = 1000)]
    objects: usize,
    /// How often a first sync is measured, each in a namespace of its own; the median counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How many single changes and drifts are measured; the median counts.
    #[arg(long, default_value_t = 20)]
    changes: usize,
    /// How long requests are counted while nothing changes.
    #[arg(long, default_value = "60s", value_parser = humantime::parse_duration)]
    idle: Duration,
    /// Write docs/measurements.md.
    #[arg(long)]
    write: bool,
    /// What cargo passes to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
struct Extent {
    objects: usize,
    rounds: usize,
    changes: usize,
    idle: Duration,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let extent = Extent {
        objects: arguments.objects,
        rounds: arguments.rounds.max(1),
        changes: arguments.changes.clamp(1, arguments.objects),
        idle: arguments.idle,
    };
    eprintln!("starting an API server");
    // Without controllers: they would write while nothing changes.
    let options = Options { components: Components::ApiOnly, audit: Audit::Requests, ..Options::default() };
    let plane = ControlPlane::start(options)?;
    eprintln!("bare patches");
    let ceiling = ceiling::measure(&plane, extent)?;
    eprintln!("kubectl");
    let kubectl = kubectl::measure(&plane, extent)?;
    eprintln!("trueup");
    let trueup = trueup::measure(&plane, extent)?;
    let contenders: Vec<Contender> = [Some(ceiling), kubectl, Some(trueup)].into_iter().flatten().collect();
    let text = report::table(&contenders, extent);
    println!("{text}");
    if arguments.write {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/measurements.md");
        std::fs::write(&path, report::page(&text, extent))?;
        eprintln!("wrote {}", path.display());
    }
    Ok(())
}

//! Apps on a real API server: what is possible at all, what kubectl takes, and what trueup takes. All in one run, one after the
//! other and round by round, since only then the numbers can be compared.
//!
//!     cargo bench --bench reconcile                      # 1,000 ConfigMaps; prints a table
//!     cargo bench --bench reconcile -- --write           # and writes docs/measurements.md
//!     cargo bench --bench reconcile -- --quick           # everything once, for whoever works on it
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the table is for whoever runs this")]

mod ceiling;
mod eye;
mod figures;
mod kubectl;
mod phases;
mod process;
mod report;
mod trueup;
mod workload;

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use trueup_testkit::{Audit, Components, ControlPlane, Namespace, Options};

use ceiling::Ceiling;
use eye::Eye;
use figures::{Contender, Work};
use trueup::Trueup;
use workload::{App, Mix};

/// Measures first syncs, commits, drift, quiet and restarts: time, requests, CPU and memory.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many objects the app has.
    #[arg(long, default_value_t = 1000)]
    objects: usize,
    /// How often a first sync is measured, each in a namespace of its own.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How many commits of one object are measured.
    #[arg(long, default_value_t = 20)]
    changes: usize,
    /// How many drifts are measured.
    #[arg(long, default_value_t = 50)]
    drifts: usize,
    /// How long requests are counted while nothing changes.
    #[arg(long, default_value = "60s", value_parser = humantime::parse_duration)]
    idle: Duration,
    /// How many bare requests are in flight at once.
    #[arg(long, default_value_t = 32)]
    in_flight: usize,
    /// Leave kubectl out, which takes minutes.
    #[arg(long)]
    without_kubectl: bool,
    /// Everything in short, without kubectl: for looking at one's own work, not for a table.
    #[arg(long, env = "TRUEUP_BENCH_QUICK")]
    quick: bool,
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
    rounds: usize,
    changes: usize,
    drifts: usize,
    idle: Duration,
    in_flight: usize,
}

fn main() -> Result<()> {
    let mut arguments = Arguments::parse();
    if arguments.quick {
        arguments = Arguments {
            rounds: arguments.rounds.min(3),
            changes: 5,
            drifts: 10,
            idle: Duration::from_secs(5),
            without_kubectl: true,
            ..arguments
        };
    }
    let extent = Extent {
        rounds: arguments.rounds.max(1),
        changes: arguments.changes.clamp(1, arguments.objects / 4),
        drifts: arguments.drifts.clamp(1, arguments.objects / 4),
        idle: arguments.idle,
        in_flight: arguments.in_flight,
    };
    eprintln!("starting an API server");
    // Without controllers: they would write while nothing changes.
    let options = Options { components: Components::ApiOnly, audit: Audit::Requests, ..Options::default() };
    let plane = ControlPlane::start(options)?;
    let mut contenders = plain(&plane, arguments.objects, extent)?;
    if !arguments.without_kubectl {
        eprintln!("kubectl");
        let namespace = plane.namespace("kubectl")?;
        contenders.extend(kubectl::measure(&plane, &app(&namespace, arguments.objects))?);
    }
    let text = report::tables(&contenders, arguments.objects)?;
    println!("{text}");
    if arguments.write {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/measurements.md");
        std::fs::write(&path, report::page(&text, extent))?;
        eprintln!("wrote {}", path.display());
    }
    Ok(())
}

fn app(namespace: &Namespace, objects: usize) -> App {
    App { namespace: namespace.name().to_owned(), name: "settings".to_owned(), objects, mix: Mix::ConfigMaps }
}

/// One app of `ConfigMap`s.
fn plain(plane: &ControlPlane, objects: usize, extent: Extent) -> Result<Vec<Contender>> {
    let ceiling = Ceiling::new(plane, extent.in_flight)?;
    let mut bare = ceiling.contender();
    let mut ours = Contender::new("trueup");
    for round in 1..=extent.rounds {
        let namespace = plane.namespace("bare")?;
        let bare_app = app(&namespace, objects);
        let measured = ceiling.first_sync(std::slice::from_ref(&bare_app))?;
        eprintln!("round {round}: bare PATCHes {:.2?} ({:.2?} CPU)", measured.times[0], measured.cpu);
        bare.add(Work::FirstSync, measured);
        workload::check(plane.api(), bare_app.mix, &bare_app.namespace, objects)?;
        if round == extent.rounds {
            ceiling.changes(&mut bare, &bare_app, extent.changes)?;
        }
        workload::clear(plane.api(), bare_app.mix, &bare_app.namespace)?;

        let namespace = plane.namespace("trueup")?;
        let our_app = app(&namespace, objects);
        let mut trueup = Trueup::prepare(plane, vec![our_app.clone()])?;
        let measured = trueup.first_sync()?;
        eprintln!(
            "round {round}: trueup {:.2?} ({:.2?} CPU), {} KiB, {}; stages {}",
            measured.times[0],
            measured.cpu,
            measured.peak,
            measured.requests.by_verb(),
            trueup.stages()?,
        );
        ours.add(Work::FirstSync, measured);
        workload::check(plane.api(), our_app.mix, &our_app.namespace, objects)?;
        if round == extent.rounds {
            everything_else(&mut ours, &mut trueup, extent)?;
        }
        drop(trueup);
        workload::clear(plane.api(), our_app.mix, &our_app.namespace)?;
    }
    Ok(vec![bare, ours])
}

fn everything_else(ours: &mut Contender, trueup: &mut Trueup<'_>, extent: Extent) -> Result<()> {
    let first = trueup.apps[0].clone();
    let collections = workload::collections(first.mix, &first.namespace);
    let mut note = |work: Work, measured: figures::Measured| {
        eprintln!("  {}: {}", work.words(), report::short(&measured)?);
        ours.add(work, measured);
        anyhow::Ok(())
    };
    let eye = Eye::open(trueup.plane, &collections)?;
    note(Work::OneObject, phases::changes(trueup, &eye, extent.changes)?)?;
    note(Work::OnePercent, phases::change_many(trueup, &eye, (first.objects / 100).max(1))?)?;
    note(Work::Elsewhere, phases::elsewhere(trueup, extent.changes.min(5))?)?;
    note(Work::Drift, phases::drifts(trueup, &eye, extent.drifts)?)?;
    note(Work::ManyDrifts, phases::many_drifts(trueup, &eye, 100.min(first.objects / 4))?)?;
    note(Work::Idle, phases::idle(trueup, extent.idle)?)?;
    trueup.stop();
    note(Work::WarmStart, trueup.restart()?)?;
    trueup.stop();
    trueup.lose_records()?;
    note(Work::ColdStart, trueup.restart()?)?;
    eprintln!("  {} KiB resident after that", trueup.memory_now());
    Ok(())
}

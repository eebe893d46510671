//! Apps on a real API server: what is possible at all, what kubectl takes, and what trueup takes. All in one run, one after the
//! other and round by round, since only then the numbers can be compared.
//!
//!     cargo bench --bench reconcile                      # 1,000 ConfigMaps; prints a table
//!     cargo bench --bench reconcile -- --all --write     # all shapes, and docs/benchmarks.md
//!     cargo bench --bench reconcile -- --quick           # in short, for whoever works on it
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the table is for whoever runs this")]

mod ceiling;
mod chart;
mod events;
mod eye;
mod figures;
mod kubectl;
#[path = "../common/machine.rs"]
mod machine;
mod phases;
#[path = "../common/process.rs"]
mod process;
mod report;
mod steward;
mod trueup;
mod workload;

use std::fmt;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use trueup_testkit::{Audit, Components, ControlPlane, Namespace, Options};

use ceiling::Ceiling;
use eye::Eye;
use figures::{Contender, Work};
use steward::Steward;
use trueup::Trueup;
use workload::{App, Mix};

/// Measures first syncs, commits, drift, quiet and restarts: time, requests, CPU and memory.
#[derive(Debug, Parser)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag")]
struct Arguments {
    /// How many objects an app has.
    #[arg(long, default_value_t = 1000)]
    objects: usize,
    /// How many apps there are.
    #[arg(long, default_value_t = 1)]
    apps: usize,
    /// Many kinds of objects instead of `ConfigMap`s.
    #[arg(long)]
    wide: bool,
    /// The shapes that docs/benchmarks.md shows: up to 10,000 objects, many kinds, 200 apps, 500 overlays.
    #[arg(long)]
    all: bool,
    /// How often a first sync is measured, each in a namespace of its own.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How many commits of one object are measured.
    #[arg(long, default_value_t = 20)]
    changes: usize,
    /// How many drifts are measured.
    #[arg(long, default_value_t = 50)]
    drifts: usize,
    /// How long requests are counted while nothing changes, and while only statuses do; ten times as long at 10,000 objects.
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
    /// Write the page in docs/, after each shape anew.
    #[arg(long, requires = "all")]
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
    churn: Duration,
    idle: Duration,
    in_flight: usize,
}

/// How many apps of what are measured.
#[derive(Clone, Copy, Debug)]
struct Shape {
    mix: Mix,
    apps: usize,
    /// Of each app.
    objects: usize,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mix, apps, objects } = self;
        match apps {
            1 => f.write_str("one app of ")?,
            apps => write!(f, "{apps} apps of ")?,
        }
        match mix {
            Mix::ConfigMaps => write!(f, "{objects} ConfigMaps"),
            Mix::Wide => write!(f, "{objects} objects of seven kinds"),
            Mix::Overlays => write!(f, "{objects} ConfigMaps, overlays of one base among 50,000 files"),
        }
    }
}

impl Shape {
    fn apps(self, namespace: &Namespace) -> Vec<App> {
        let Self { mix, apps, objects } = self;
        let app = |index: usize| App {
            namespace: namespace.name().to_owned(),
            name: if apps == 1 { "settings".to_owned() } else { format!("app-{index:03}") },
            objects,
            mix,
        };
        (0..apps).map(app).collect()
    }
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
        changes: arguments.changes.max(1),
        drifts: arguments.drifts.max(1),
        churn: arguments.idle,
        idle: arguments.idle,
        in_flight: arguments.in_flight,
    };
    eprintln!("starting an API server");
    // Without controllers: they would write while nothing changes.
    let options = Options { components: Components::ApiOnly, audit: Audit::Requests, ..Options::default() };
    let plane = ControlPlane::start(options)?;
    workload::define_routes(plane.api())?;
    let _steward = Steward::begin(&plane)?;
    let mut measured = Vec::new();
    for (shape, extent) in shapes(&arguments, extent) {
        eprintln!("{shape}");
        let mut contenders = compare(&plane, shape, extent)?;
        if !arguments.without_kubectl && shape.mix == Mix::ConfigMaps && shape.apps == 1 {
            eprintln!("kubectl");
            let namespace = plane.namespace("kubectl")?;
            for app in shape.apps(&namespace) {
                contenders.extend(kubectl::measure(&plane, &app)?);
                workload::clear(plane.api(), app.mix, &app.namespace)?;
            }
        }
        println!("{}", report::tables(shape, &contenders)?);
        measured.push((shape, contenders));
        // After each of them: what was measured in half an hour is not lost with the last.
        if arguments.write {
            write(&measured, extent)?;
        }
    }
    Ok(())
}

fn shapes(arguments: &Arguments, extent: Extent) -> Vec<(Shape, Extent)> {
    if !arguments.all {
        let mix = if arguments.wide { Mix::Wide } else { Mix::ConfigMaps };
        return vec![(Shape { mix, apps: arguments.apps, objects: arguments.objects }, extent)];
    }
    // Whether quiet depends on the number of objects shows where there are many.
    let patient = Extent { idle: 10 * extent.idle, ..extent };
    vec![
        (Shape { mix: Mix::ConfigMaps, apps: 1, objects: 1000 }, extent),
        (Shape { mix: Mix::Wide, apps: 1, objects: 1000 }, extent),
        (Shape { mix: Mix::Wide, apps: 1, objects: 10_000 }, patient),
        (Shape { mix: Mix::Wide, apps: 200, objects: 50 }, extent),
        (Shape { mix: Mix::Overlays, apps: 500, objects: 2 }, extent),
    ]
}

fn write(measured: &[(Shape, Vec<Contender>)], extent: Extent) -> Result<()> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let mut tables = String::new();
    for (shape, contenders) in measured {
        tables.push_str(&report::tables(*shape, contenders)?);
        tables.push('\n');
    }
    std::fs::write(docs.join("images/benchmarks.svg"), chart::draw(measured)?)?;
    let path = docs.join("benchmarks.md");
    std::fs::write(&path, report::page(&tables, extent))?;
    eprintln!("wrote {}", path.display());
    Ok(())
}

fn compare(plane: &ControlPlane, shape: Shape, extent: Extent) -> Result<Vec<Contender>> {
    let ceiling = Ceiling::new(plane, extent.in_flight)?;
    let mut bare = ceiling.contender();
    let mut ours = Contender::new("trueup");
    let objects = shape.apps * shape.objects;
    for round in 1..=extent.rounds {
        let namespace = plane.namespace("bare")?;
        let apps = shape.apps(&namespace);
        let measured = ceiling.first_sync(&apps)?;
        eprintln!("  round {round}: bare PATCHes {:.2?} ({:.2?} CPU)", measured.times[0], measured.cpu);
        bare.add(Work::FirstSync, measured);
        workload::check(plane.api(), shape.mix, &namespace, objects)?;
        if round == extent.rounds {
            ceiling.changes(&mut bare, &apps[0], extent.changes.min(shape.objects))?;
        }
        workload::clear(plane.api(), shape.mix, &namespace)?;

        let namespace = plane.namespace("trueup")?;
        let mut trueup = Trueup::prepare(plane, shape.apps(&namespace))?;
        let measured = trueup.first_sync()?;
        eprintln!(
            "  round {round}: trueup {:.2?} ({:.2?} CPU), {} KiB, {}; stages {}",
            measured.times[0],
            measured.cpu,
            measured.peak,
            measured.requests.by_verb(),
            trueup.stages()?,
        );
        ours.add(Work::FirstSync, measured);
        workload::check(plane.api(), shape.mix, &namespace, objects)?;
        if round == extent.rounds {
            everything_else(&mut ours, &mut trueup, shape, extent)?;
        }
        drop(trueup);
        workload::clear(plane.api(), shape.mix, &namespace)?;
    }
    Ok(vec![bare, ours])
}

fn everything_else(
    ours: &mut Contender,
    trueup: &mut Trueup<'_>,
    shape: Shape,
    extent: Extent,
) -> Result<()> {
    let objects = shape.apps * shape.objects;
    let namespace = trueup.apps[0].namespace.clone();
    let mut note = |work: Work, measured: figures::Measured| {
        eprintln!("  {}: {}", work.words(), report::short(&measured)?);
        ours.add(work, measured);
        anyhow::Ok(())
    };
    let eye = Eye::open(trueup.plane, &workload::collections(shape.mix, &namespace))?;
    note(Work::OneObject, phases::changes(trueup, &eye, extent.changes.min(objects / 4))?)?;
    match shape.mix {
        Mix::ConfigMaps | Mix::Wide => {
            note(Work::OnePercent, phases::change_many(trueup, &eye, (objects / 100).max(1))?)?;
        }
        Mix::Overlays => note(Work::Base, phases::change_base(trueup, &eye, extent.rounds)?)?,
    }
    note(Work::Elsewhere, phases::elsewhere(trueup, extent.changes.min(5))?)?;
    note(Work::Drift, phases::drifts(trueup, &eye, extent.drifts.min(objects / 4))?)?;
    note(Work::ManyDrifts, phases::many_drifts(trueup, &eye, 100.min(objects / 4))?)?;
    match shape.mix {
        // Nobody writes a status to these.
        Mix::ConfigMaps => note(Work::Prune, phases::prune(trueup, &eye)?)?,
        Mix::Wide => {
            note(Work::Prune, phases::prune(trueup, &eye)?)?;
            note(Work::StatusChurn, phases::status_churn(trueup, extent.churn)?)?;
        }
        // One base for all: a tenth of an app cannot go by itself.
        Mix::Overlays => {}
    }
    note(Work::Idle, phases::idle(trueup, extent.idle)?)?;
    drop(eye);
    note(Work::ServerRestart, phases::server_restart(trueup)?)?;
    trueup.stop();
    note(Work::WarmStart, trueup.restart()?)?;
    trueup.stop();
    trueup.lose_records()?;
    note(Work::ColdStart, trueup.restart()?)?;
    eprintln!("  {} KiB resident after that", trueup.memory_now());
    Ok(())
}

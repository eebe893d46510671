//! Folders of many sizes, rendered by `trueup render` and by `kustomize build`, as processes and in this one, all in one run.
//!
//!     cargo bench --bench render                          # prints the tables
//!     cargo bench --bench render -- --write               # and writes docs/benchmarks-render.md
//!     cargo bench --bench render -- --largest 1000 --kustomize ""
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the tables are for whoever runs this")]

#[path = "../common/machine.rs"]
mod machine;
mod measure;
mod report;
mod workload;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Parser;

use report::Row;
use workload::Shape;

/// How many resources, patches and replacements show whether time is linear in them.
const STEPS: [usize; 4] = [1000, 2000, 4000, 8000];

/// Compares rendering with kustomize's.
#[derive(Debug, Parser)]
struct Arguments {
    /// The most resources in one overlay; kustomize takes minutes for 10,000.
    #[arg(long, default_value_t = 10_000)]
    largest: usize,
    /// How many overlays stand over one base.
    #[arg(long, default_value_t = 500)]
    overlays: usize,
    /// How often a process is run.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// The kustomize to compare with; built by scripts/kustomize.sh where none is given, left out where it is empty.
    #[arg(long)]
    kustomize: Option<PathBuf>,
    /// Write docs/benchmarks-render.md.
    #[arg(long)]
    write: bool,
    /// What cargo passes to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let kustomize = kustomize(&arguments)?;
    let sizes = [10, 1000, 10_000].map(Shape::Plain);
    let heavy = [100, 1000].into_iter().flat_map(|count| [Shape::Patches(count), Shape::Replacements(count)]);
    let mut rows = Vec::new();
    for shape in sizes.into_iter().chain(heavy) {
        let (Shape::Plain(count) | Shape::Patches(count) | Shape::Replacements(count)) = shape;
        if count <= arguments.largest {
            eprintln!("{}", shape.title());
            rows.push(row(shape, count, kustomize.as_deref(), arguments.rounds.max(1))?);
        }
    }
    let steps = STEPS.map(|step| {
        let shapes = [Shape::Plain(step), Shape::Patches(step), Shape::Replacements(step)];
        eprintln!("{step} resources in process");
        let times = shapes.map(|shape| measure::in_process(&shape.files(), "overlay", 7));
        let [plain, patches, replacements] = times;
        Ok((step, [plain?, patches?, replacements?]))
    });
    let steps = steps.into_iter().collect::<Result<Vec<_>>>()?;
    eprintln!("{} overlays over one base", arguments.overlays);
    let fleet = measure::fleet_of(arguments.overlays)?;
    let text = deployments(1000)?;
    let theirs =
        kustomize.as_deref().map(|program| one_of_the_fleet(program, arguments.overlays)).transpose()?;
    let tables = [
        report::table(&rows),
        report::steps(&steps),
        report::fleet(arguments.overlays, fleet, theirs),
        report::yaml(measure::yaml_speed(&text)?),
    ]
    .join("\n");
    println!("{tables}");
    if arguments.write {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/benchmarks-render.md");
        std::fs::write(&path, report::page(&tables))?;
        eprintln!("wrote {}", path.display());
    }
    Ok(())
}

fn kustomize(arguments: &Arguments) -> Result<Option<PathBuf>> {
    if let Some(given) = &arguments.kustomize {
        return Ok(Some(given.clone()).filter(|path| !path.as_os_str().is_empty()));
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/kustomize.sh");
    let output = Command::new(&script).output().with_context(|| script.display().to_string())?;
    if !output.status.success() {
        bail!("{}: {}", script.display(), String::from_utf8_lossy(&output.stderr));
    }
    Ok(Some(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())))
}

fn row(shape: Shape, count: usize, kustomize: Option<&Path>, rounds: usize) -> Result<Row> {
    let files = shape.files();
    let folder = tempfile::tempdir()?;
    workload::on_disk(&files, folder.path())?;
    let overlay = folder.path().join("overlay");
    let overlay = overlay.to_str().context("the temporary folder's name is not UTF-8")?;
    let ours = measure::process(Path::new(env!("CARGO_BIN_EXE_trueup")), &["render", overlay], rounds)?;
    let theirs = kustomize
        .map(|program| {
            let rounds = if count > 1000 { 1 } else { rounds.min(3) };
            measure::process(program, &["build", overlay], rounds)
        })
        .transpose()?;
    if let Some(theirs) = theirs
        && theirs.printed != ours.printed
    {
        bail!("{}: kustomize printed {} bytes, trueup {}", shape.title(), theirs.printed, ours.printed);
    }
    let in_process = measure::in_process(&files, "overlay", if count > 1000 { 5 } else { 21 })?;
    Ok(Row { title: shape.title(), ours, theirs, in_process })
}

fn one_of_the_fleet(kustomize: &Path, overlays: usize) -> Result<std::time::Duration> {
    let folder = tempfile::tempdir()?;
    workload::on_disk(&workload::fleet(overlays, "info", "warn"), folder.path())?;
    let overlay = folder.path().join(workload::overlay(0));
    let overlay = overlay.to_str().context("the temporary folder's name is not UTF-8")?;
    Ok(measure::process(kustomize, &["build", overlay], 5)?.took)
}

fn deployments(count: usize) -> Result<String> {
    let files = Shape::Patches(count).files();
    let base = files.into_iter().find(|(path, _)| path == "base/all.yaml").context("no base")?;
    Ok(base.1)
}

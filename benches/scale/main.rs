//! One process for many clusters, targets and objects: what each stage takes as they grow tenfold and tenfold again. The clusters are
//! sandboxes in the same process, so that nothing but trueup and they cost anything; what they cost is told apart.
//!
//!     cargo bench --features heap --bench scale                # up to 1,000 clusters, 10,000 targets, 100,000 objects
//!     cargo bench --features heap --bench scale -- --write     # the same, and docs/scale.md
//!     cargo bench --features heap --bench scale -- --quick     # the two smaller ones
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the table is for whoever runs this")]

mod chart;
mod fleet;
mod forge;
#[path = "../common/machine.rs"]
mod machine;
mod report;
mod site;
mod stages;
mod usage;

use std::fmt;
use std::path::Path;

use anyhow::Result;
use clap::Parser;

use stages::Measured;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Measures all stages of a reconciler's life with many clusters and targets.
#[derive(Debug, Parser)]
struct Arguments {
    /// Leave out the largest size.
    #[arg(long)]
    quick: bool,
    /// Only as many clusters as this, and the targets and objects that belong to them.
    #[arg(long)]
    clusters: Option<usize>,
    /// Write the page in docs/.
    #[arg(long, conflicts_with_all = ["quick", "clusters"])]
    write: bool,
    /// What cargo passes to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

/// How much there is of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) clusters: usize,
    /// Apps of each cluster; each of them is a target there.
    pub(crate) apps: usize,
    /// Objects of each target.
    pub(crate) objects: usize,
}

impl Size {
    fn of_clusters(clusters: usize) -> Self {
        Self { clusters, apps: 10, objects: 10 }
    }

    pub(crate) fn targets(self) -> usize {
        self.clusters * self.apps
    }

    pub(crate) fn objects(self) -> usize {
        self.targets() * self.objects
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} clusters, {} targets, {} objects", self.clusters, self.targets(), self.objects())
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let clusters = match (arguments.clusters, arguments.quick) {
        (Some(clusters), _) => vec![clusters],
        (None, true) => vec![10, 100],
        (None, false) => vec![10, 100, 1000],
    };
    let mut measured: Vec<(Size, Measured)> = Vec::new();
    for size in clusters.into_iter().map(Size::of_clusters) {
        eprintln!("{size}");
        // Each size has a runtime of its own: nothing of one is left when the next begins.
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        measured.push((size, runtime.block_on(stages::measure(size))?));
        drop(runtime);
    }
    println!("{}", report::table(&measured));
    if arguments.write {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
        std::fs::write(docs.join("images/scale.svg"), chart::draw(&measured))?;
        let path = docs.join("scale.md");
        std::fs::write(&path, report::page(&measured))?;
        eprintln!("wrote {}", path.display());
    }
    Ok(())
}

//! Many clusters on real API servers: what a commit to all of them takes, what one to one of them does, and what nothing does.
//!
//!     cargo bench --bench fleet                        # 500 clusters, 5,000 targets, 50,000 objects; prints a table
//!     cargo bench --bench fleet -- --write             # and docs/fleet.md
//!     cargo bench --bench fleet -- --clusters 20       # in short, for whoever works on it
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the table is for whoever runs this")]

mod clusters;
#[path = "../common/machine.rs"]
mod machine;
#[path = "../common/process.rs"]
mod process;
mod report;
mod repository;
mod stages;

use anyhow::Result;
use clap::Parser;
use std::fmt;
use std::path::Path;

use clusters::Clusters;

/// Measures a fleet: time, CPU and memory of one trueup for many clusters.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many clusters there are, each a kubeconfig of its own.
    #[arg(long, default_value_t = 500)]
    clusters: usize,
    /// How many apps go to each of them.
    #[arg(long, default_value_t = 10)]
    apps: usize,
    /// How many objects an app has.
    #[arg(long, default_value_t = 10)]
    objects: usize,
    /// How many API servers the clusters share.
    #[arg(long, default_value_t = 2)]
    servers: usize,
    /// Write the page in docs/.
    #[arg(long)]
    write: bool,
    /// What cargo passes to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

/// How large the fleet is.
#[derive(Clone, Copy, Debug)]
struct Size {
    clusters: usize,
    apps: usize,
    objects: usize,
    servers: usize,
}

impl Size {
    fn targets(self) -> usize {
        self.clusters * self.apps
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { clusters, objects, servers, .. } = self;
        let targets = self.targets();
        write!(
            f,
            "{clusters} clusters on {servers} API servers, {targets} targets, {} objects",
            targets * objects
        )
    }
}

fn main() -> Result<()> {
    let Arguments { clusters, apps, objects, servers, write, bench: _ } = Arguments::parse();
    let size = Size { clusters, apps, objects, servers: servers.max(1) };
    eprintln!("{size}");
    let clusters = Clusters::start(size)?;
    let measured = stages::measure(size, &clusters)?;
    println!("{}", report::table(&measured));
    if write {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/fleet.md");
        std::fs::write(&path, report::page(size, &measured))?;
        eprintln!("wrote {}", path.display());
    }
    Ok(())
}

//! A control plane in the foreground, for the demo and for trying things by hand.
#![allow(clippy::print_stdout, reason = "what it prints is its interface")]

use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::{fs, thread};

use anyhow::{Context as _, Result};
use clap::{Parser, ValueEnum};
use trueup_testkit::{Audit, Components, ControlPlane, Options};

/// Starts etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kwok, writes DIR/kubeconfig, prints its path and
/// then `ready`, and runs until it is terminated.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where the kubeconfig goes.
    #[arg(long)]
    dir: PathBuf,
    /// Which components to start.
    #[arg(long, value_enum, default_value_t = Which::Full)]
    components: Which,
    /// Stop also when standard input ends, for a caller that may be killed.
    #[arg(long)]
    until_eof: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Which {
    Full,
    ApiOnly,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let components = match arguments.components {
        Which::Full => Components::Full,
        Which::ApiOnly => Components::ApiOnly,
    };
    let plane = ControlPlane::start(Options { components, audit: Audit::Off, ..Options::default() })?;
    let dir = &arguments.dir;
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let kubeconfig = dir.join("kubeconfig");
    fs::copy(plane.kubeconfig(), &kubeconfig)
        .with_context(|| format!("cannot write {}", kubeconfig.display()))?;
    println!("{}\nready", kubeconfig.display());
    io::stdout().flush()?;
    if arguments.until_eof {
        io::copy(&mut io::stdin().by_ref(), &mut io::sink())?;
        return Ok(());
    }
    // A signal ends the process, and that ends the control plane: its components hang on a pipe from here.
    loop {
        thread::park();
    }
}

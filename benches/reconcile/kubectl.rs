//! `kubectl apply --server-side -k`, run again for each change, as a script in a pipeline would.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use trueup_testkit::ControlPlane;

use crate::figures::{Contender, Measured, Tally, Work};
use crate::process;
use crate::workload::{self, App};

const AGENT: &str = "kubectl";

/// One round of each; nothing where there is no kubectl. It takes most of a minute, and varies by less than what it is
/// compared with.
pub(crate) fn measure(plane: &ControlPlane, app: &App) -> Result<Option<Contender>> {
    let Some(version) = version() else {
        eprintln!("  there is no kubectl on the PATH: left out");
        return Ok(None);
    };
    let mut contender = Contender::new(format!("kubectl {version} apply --server-side -k"));
    let folder = tempfile::tempdir()?;
    let root = folder.path().join(&app.name);
    fs::create_dir(&root)?;
    for (name, text) in app.files() {
        fs::write(folder.path().join(name), text)?;
    }
    contender.add(Work::FirstSync, apply(plane, &root)?);
    workload::check(plane.api(), app.mix, &app.namespace, app.objects)?;
    fs::write(folder.path().join(app.file(0)), app.text(0, 1))?;
    contender.add(Work::OneObject, apply(plane, &root)?);
    contender.add(Work::Elsewhere, apply(plane, &root)?);
    Ok(Some(contender))
}

fn version() -> Option<String> {
    let output = Command::new("kubectl").args(["version", "--client"]).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let version = text.lines().next()?.rsplit_once(": v")?.1;
    Some(version.split('-').next().unwrap_or(version).trim().to_owned())
}

fn apply(plane: &ControlPlane, folder: &Path) -> Result<Measured> {
    let mark = plane.mark()?;
    let start = Instant::now();
    let mut child = Command::new("kubectl")
        .arg("--kubeconfig")
        .arg(plane.kubeconfig())
        .args(["apply", "--server-side", "--force-conflicts", "-k"])
        .arg(folder)
        .stdout(Stdio::null())
        .spawn()?;
    let (mut peak, mut cpu) = (0, Duration::ZERO);
    let status = loop {
        peak = process::peak_memory(child.id()).unwrap_or(peak);
        cpu = process::cpu(child.id()).unwrap_or(cpu);
        if let Some(status) = child.try_wait()? {
            break status;
        }
        thread::sleep(Duration::from_millis(10));
    };
    ensure!(status.success(), "kubectl ended with {status}");
    let took = start.elapsed();
    let requests = Tally::of(&plane.requests_since(mark)?, AGENT);
    Ok(Measured { times: vec![took], requests, cpu, peak })
}

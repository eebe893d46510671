//! `kubectl apply --server-side -k`, run again for each change, as a script in a pipeline would.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use trueup_testkit::ControlPlane;

use crate::Extent;
use crate::contender::{Contender, Quiet, Spread, check, made_by, peak_memory};
use crate::workload::{self, App};

const AGENT: &str = "kubectl";

/// Nothing where there is no kubectl.
pub(crate) fn measure(plane: &ControlPlane, extent: Extent) -> Result<Option<Contender>> {
    let Some(version) = version() else {
        eprintln!("there is no kubectl on the PATH: left out");
        return Ok(None);
    };
    let namespace = plane.namespace("kubectl")?;
    let app = App { namespace: namespace.name().to_owned(), objects: extent.objects };
    let folder = tempfile::tempdir()?;
    for (name, text) in app.files() {
        fs::write(folder.path().join(name), text)?;
    }
    // One round of each: it takes most of a minute, and varies by less than what it is compared with.
    let mark = plane.mark()?;
    let (first_sync, mut peak) = apply(plane, folder.path())?;
    let first_requests = made_by(&plane.requests_since(mark)?, AGENT).len();
    check(plane.api(), &app)?;

    fs::write(folder.path().join(workload::file(0)), workload::text(0, 1))?;
    let mark = plane.mark()?;
    let (change, memory) = apply(plane, folder.path())?;
    let writes =
        made_by(&plane.requests_since(mark)?, AGENT).iter().filter(|request| request.is_write()).count();
    peak = peak.max(memory);

    let mark = plane.mark()?;
    let (again, _) = apply(plane, folder.path())?;
    let requests = made_by(&plane.requests_since(mark)?, AGENT).len();
    Ok(Some(Contender {
        name: format!("kubectl {version} apply --server-side -k"),
        first_sync,
        first_requests,
        change: Some(Spread::of(vec![change])?.median),
        change_writes: u32::try_from(writes).ok().map(f64::from),
        quiet: Some(Quiet::Run(again, requests)),
        drift: None,
        peak_memory: Some(peak),
    }))
}

fn version() -> Option<String> {
    let output = Command::new("kubectl").args(["version", "--client"]).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let version = text.lines().next()?.rsplit_once(": v")?.1;
    Some(version.split('-').next().unwrap_or(version).trim().to_owned())
}

/// Runs it; gives how long it took, and the most memory that it had.
fn apply(plane: &ControlPlane, folder: &Path) -> Result<(Duration, u64)> {
    let start = Instant::now();
    let mut child = Command::new("kubectl")
        .arg("--kubeconfig")
        .arg(plane.kubeconfig())
        .args(["apply", "--server-side", "--force-conflicts", "-k"])
        .arg(folder)
        .stdout(Stdio::null())
        .spawn()?;
    let mut peak = 0;
    let status = loop {
        peak = peak.max(peak_memory(child.id()).unwrap_or_default());
        if let Some(status) = child.try_wait()? {
            break status;
        }
        thread::sleep(Duration::from_millis(10));
    };
    ensure!(status.success(), "kubectl ended with {status}");
    Ok((start.elapsed(), peak))
}

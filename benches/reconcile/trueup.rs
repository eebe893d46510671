//! trueup itself, as a process of its own, following a repository on this machine.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use tempfile::TempDir;
use trueup_testkit::{ControlPlane, GitRepo, Namespace, Port, Request};

use crate::Extent;
use crate::contender::{Contender, Quiet, Spread, check, made_by, peak_memory};
use crate::workload::{self, App};

const AGENT: &str = "trueup/";
const PATIENCE: Duration = Duration::from_mins(5);

pub(crate) fn measure(plane: &ControlPlane, extent: Extent) -> Result<Contender> {
    let mut first = Vec::new();
    for _ in 1..extent.rounds {
        first.push(Running::start(plane, extent)?.synced_after);
    }
    let running = Running::start(plane, extent)?;
    first.push(running.synced_after);
    let first_requests = running.first_requests;
    let (change, writes) = running.change(plane, extent.changes)?;
    eprintln!("  nothing changes");
    let quiet = quiet(plane, extent.idle)?;
    eprintln!("  drift");
    let drift = running.drift(plane, extent.changes)?;
    Ok(Contender {
        name: "trueup".to_owned(),
        first_sync: Spread::of(first)?.median,
        first_requests,
        change: Some(Spread::of(change)?.median),
        change_writes: Some(writes),
        quiet: Some(quiet),
        drift: Some(Spread::of(drift)?),
        peak_memory: peak_memory(running.process.0.id()),
    })
}

/// A trueup that has synced the app. The process ends when this is dropped.
struct Running {
    process: Process,
    app: App,
    repository: GitRepo,
    port: Port,
    folder: TempDir,
    synced_after: Duration,
    first_requests: usize,
    _namespace: Namespace,
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    fn start(plane: &ControlPlane, extent: Extent) -> Result<Self> {
        let namespace = plane.namespace("trueup")?;
        let app = App { namespace: namespace.name().to_owned(), objects: extent.objects };
        let repository = GitRepo::create()?;
        for (name, text) in app.files() {
            repository.write(&format!("app/{name}"), text.as_bytes())?;
        }
        repository.commit(&[], "The app")?;
        let folder = tempfile::tempdir()?;
        let config = folder.path().join("trueup.yaml");
        fs::write(&config, configuration(plane, &repository, &app))?;
        let port = Port::claim()?;
        let log = File::create(folder.path().join("log"))?;
        let mark = plane.mark()?;
        let start = Instant::now();
        let process = Command::new(env!("CARGO_BIN_EXE_trueup"))
            .arg("run")
            .arg("--config")
            .arg(&config)
            .arg("--state")
            .arg(folder.path().join("state"))
            .args(["--listen", &format!("127.0.0.1:{}", port.number())])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        let mut running = Self {
            process: Process(process),
            app,
            repository,
            port,
            folder,
            synced_after: Duration::ZERO,
            first_requests: 0,
            _namespace: namespace,
        };
        running.wait_until_synced()?;
        running.synced_after = start.elapsed();
        running.first_requests = made_by(&plane.requests_since(mark)?, AGENT).len();
        check(plane.api(), &running.app)?;
        Ok(running)
    }

    fn wait_until_synced(&mut self) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        loop {
            let status = self.status();
            if status.as_ref().is_ok_and(|status| status["sync"] == "Synced") {
                return Ok(());
            }
            if self.process.0.try_wait()?.is_some() || Instant::now() > end {
                let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                let tail: Vec<&str> = log.lines().rev().take(20).collect();
                bail!(
                    "trueup did not sync; {status:?}\n{}",
                    tail.into_iter().rev().collect::<Vec<_>>().join("\n")
                );
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The one target's status, asked over HTTP.
    fn status(&self) -> Result<Value> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port.number()))?;
        stream.write_all(b"GET /api/v1/targets HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (_, body) = answer.split_once("\r\n\r\n").context("not an answer")?;
        let targets: Value = serde_json::from_str(body)?;
        targets.pointer("/targets/0").cloned().context("no target yet")
    }

    /// From the start of `git push` until the object is as the commit says; and the writes for each.
    fn change(&self, plane: &ControlPlane, count: usize) -> Result<(Vec<Duration>, f64)> {
        let mut took = Vec::new();
        let mark = plane.mark()?;
        for index in 0..count {
            self.repository
                .write(&format!("app/{}", workload::file(index)), workload::text(index, 1).as_bytes())?;
            self.repository.git(&["commit", "--quiet", "--all", "-m", &format!("Change {index}")])?;
            let start = Instant::now();
            self.repository.git(&["push", "--quiet", "origin", "HEAD"])?;
            self.until(plane, index, "v1")?;
            took.push(start.elapsed());
        }
        let requests = plane.requests_since(mark)?;
        let writes = made_by(&requests, AGENT).iter().filter(|request| is_write_to_app(request)).count();
        Ok((took, ratio(writes, count)))
    }

    /// From the answer to somebody else's write until the object is as Git says. Each time another object, so that no fight
    /// is suspected.
    fn drift(&self, plane: &ControlPlane, count: usize) -> Result<Vec<Duration>> {
        let mut took = Vec::new();
        for index in 0..count {
            plane.api().merge(&self.app.path(index), &json!({"data": {"version": "drifted"}}))?;
            let start = Instant::now();
            self.until(plane, index, "v1")?;
            took.push(start.elapsed());
            thread::sleep(Duration::from_millis(50));
        }
        Ok(took)
    }

    fn until(&self, plane: &ControlPlane, index: usize, version: &str) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        while plane.api().get(&self.app.path(index))?["data"]["version"] != version {
            if Instant::now() > end {
                bail!("{} did not become {version}; {:?}", self.app.path(index), self.status());
            }
        }
        Ok(())
    }
}

fn quiet(plane: &ControlPlane, idle: Duration) -> Result<Quiet> {
    // What follows on the last change is not part of the quiet.
    thread::sleep(Duration::from_secs(3));
    let mark = plane.mark()?;
    thread::sleep(idle);
    Ok(Quiet::During(idle, made_by(&plane.requests_since(mark)?, AGENT).len()))
}

/// The parent's record aside, which is written after a turn.
fn is_write_to_app(request: &Request) -> bool {
    request.is_write() && request.resource == "configmaps" && !request.name.starts_with("trueup.")
}

#[allow(clippy::cast_precision_loss, reason = "small counts")]
fn ratio(writes: usize, changes: usize) -> f64 {
    writes as f64 / changes as f64
}

fn configuration(plane: &ControlPlane, repository: &GitRepo, app: &App) -> String {
    let documents = [
        json!({"kind": "Repository", "metadata": {"name": "config"}, "spec": {"url": repository.bare_path(), "ref": {"branch": "main"}}}),
        json!({"kind": "Cluster", "metadata": {"name": "bench"}, "spec": {"kubeconfig": {"path": plane.kubeconfig()}}}),
        json!({"kind": "Environment", "metadata": {"name": "bench"}, "spec": {"cluster": "bench", "namespace": app.namespace}}),
        json!({"kind": "App", "metadata": {"name": "settings"}, "spec": {"repository": "config", "path": "app", "environments": ["bench"]}}),
    ];
    // JSON is YAML.
    let texts = documents.map(|mut document| {
        document["apiVersion"] = "trueup.dev/v1alpha1".into();
        document.to_string()
    });
    texts.join("\n---\n")
}

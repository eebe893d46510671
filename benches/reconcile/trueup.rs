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
use trueup_testkit::{ControlPlane, GitRepo, Port};

use crate::figures::{Measured, Tally};
use crate::process;
use crate::workload::{self, App};

const AGENT: &str = "trueup/";
const PATIENCE: Duration = Duration::from_mins(5);

/// A repository with apps, a configuration that follows it, and the process that does, if it runs. The process ends when
/// this is dropped.
pub(crate) struct Trueup<'p> {
    pub(crate) plane: &'p ControlPlane,
    pub(crate) apps: Vec<App>,
    pub(crate) repository: GitRepo,
    port: Port,
    folder: TempDir,
    process: Option<Process>,
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl<'p> Trueup<'p> {
    pub(crate) fn prepare(plane: &'p ControlPlane, apps: Vec<App>) -> Result<Self> {
        let repository = GitRepo::create()?;
        let mix = apps.first().map(|app| app.mix);
        let files = apps.iter().flat_map(App::files).chain(mix.into_iter().flat_map(workload::elsewhere));
        for (path, text) in files {
            repository.write(&path, text.as_bytes())?;
        }
        repository.commit(&[], "The apps")?;
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("trueup.yaml"), configuration(plane, &repository, &apps))?;
        Ok(Self { plane, apps, repository, port: Port::claim()?, folder, process: None })
    }

    /// From the start of the process until all is Synced.
    pub(crate) fn first_sync(&mut self) -> Result<Measured> {
        let mark = self.plane.mark()?;
        let start = Instant::now();
        self.start()?;
        self.wait("everything is Synced", |trueup| {
            let targets = trueup.targets()?;
            let synced = targets.iter().filter(|target| target["sync"] == "Synced").count();
            Ok(synced == trueup.apps.len())
        })?;
        self.measured(start.elapsed(), mark, Duration::ZERO)
    }

    /// From the start of the process until each target had a turn.
    pub(crate) fn restart(&mut self) -> Result<Measured> {
        let mark = self.plane.mark()?;
        let start = Instant::now();
        self.start()?;
        self.wait("each target had a turn", |trueup| {
            let turns = trueup.metric("trueup_stage_duration_seconds_count{stage=\"health\"}")?;
            Ok(turns >= trueup.apps.len())
        })?;
        self.measured(start.elapsed(), mark, Duration::ZERO)
    }

    fn start(&mut self) -> Result<()> {
        let log = File::create(self.folder.path().join("log"))?;
        let process = Command::new(env!("CARGO_BIN_EXE_trueup"))
            .arg("run")
            .arg("--config")
            .arg(self.folder.path().join("trueup.yaml"))
            .arg("--state")
            .arg(self.folder.path().join("state"))
            .args(["--listen", &format!("127.0.0.1:{}", self.port.number())])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        self.process = Some(Process(process));
        Ok(())
    }

    pub(crate) fn stop(&mut self) {
        self.process = None;
    }

    /// Loses what trueup remembers, its mirrors included.
    pub(crate) fn lose_records(&self) -> Result<()> {
        Ok(fs::remove_dir_all(self.folder.path().join("state"))?)
    }

    /// Measures what goes on while `work` runs, which gives how long each of its parts took.
    pub(crate) fn during(&self, work: impl FnOnce(&Self) -> Result<Vec<Duration>>) -> Result<Measured> {
        let mark = self.plane.mark()?;
        let before = self.cpu();
        let times = work(self)?;
        let measured = self.measured(Duration::ZERO, mark, before)?;
        Ok(Measured { times, ..measured })
    }

    fn measured(&self, took: Duration, mark: trueup_testkit::Mark, before: Duration) -> Result<Measured> {
        let cpu = self.cpu().saturating_sub(before);
        let requests = Tally::of(&self.plane.requests_since(mark)?, AGENT);
        Ok(Measured { times: vec![took], requests, cpu, peak: self.peak() })
    }

    /// Commits and pushes what was written to the clone; gives when the push was over.
    pub(crate) fn push(&self, message: &str) -> Result<Instant> {
        self.repository.git(&["add", "--all"])?;
        self.repository.git(&["commit", "--quiet", "-m", message])?;
        self.repository.git(&["push", "--quiet", "origin", "HEAD"])?;
        Ok(Instant::now())
    }

    pub(crate) fn write(&self, app: &App, index: usize, version: usize) -> Result<()> {
        self.repository.write(&app.file(index), app.text(index, version).as_bytes())
    }

    /// Waits until it follows Git and nothing is under way.
    pub(crate) fn settle(&self) -> Result<()> {
        let head = self.repository.head()?;
        self.wait("everything is at the last commit", |trueup| {
            let targets = trueup.targets()?;
            Ok(targets.iter().all(|target| target["sync"] == "Synced" && target["revision"] == head))
        })?;
        thread::sleep(Duration::from_millis(500));
        Ok(())
    }

    fn wait(&self, what: &str, done: impl Fn(&Self) -> Result<bool>) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        loop {
            let is_done = done(self);
            if matches!(is_done, Ok(true)) {
                return Ok(());
            }
            if Instant::now() > end || self.id().is_some_and(|id| process::cpu(id).is_none()) {
                let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                let tail: Vec<&str> = log.lines().rev().take(20).collect();
                let tail = tail.into_iter().rev().collect::<Vec<_>>().join("\n");
                bail!("trueup: not {what}; {is_done:?}; {:?}\n{tail}", self.targets());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn targets(&self) -> Result<Vec<Value>> {
        let body: Value = serde_json::from_str(&self.http("/api/v1/targets")?)?;
        Ok(body["targets"].as_array().cloned().unwrap_or_default())
    }

    /// A counter as `/metrics` shows it; 0 where there is none yet.
    fn metric(&self, name: &str) -> Result<usize> {
        let text = self.http("/metrics")?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(line.map(str::parse).transpose()?.unwrap_or_default())
    }

    /// The stages' durations so far, for whoever looks for where the time goes.
    pub(crate) fn stages(&self) -> Result<String> {
        let text = self.http("/metrics")?;
        let sums = text.lines().filter_map(|line| line.strip_prefix("trueup_stage_duration_seconds_sum"));
        Ok(sums.collect::<Vec<_>>().join(" "))
    }

    fn http(&self, path: &str) -> Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port.number()))?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (_, body) = answer.split_once("\r\n\r\n").context("not an answer")?;
        Ok(body.to_owned())
    }

    fn id(&self) -> Option<u32> {
        self.process.as_ref().map(|process| process.0.id())
    }

    fn cpu(&self) -> Duration {
        self.id().and_then(process::cpu).unwrap_or_default()
    }

    /// In KiB.
    pub(crate) fn peak(&self) -> u64 {
        self.id().and_then(process::peak_memory).unwrap_or_default()
    }

    /// In KiB.
    pub(crate) fn memory_now(&self) -> u64 {
        self.id().and_then(process::memory_now).unwrap_or_default()
    }
}

fn configuration(plane: &ControlPlane, repository: &GitRepo, apps: &[App]) -> String {
    let namespace = apps.first().map(|app| app.namespace.as_str()).unwrap_or_default();
    let mut documents = vec![
        json!({"kind": "Repository", "metadata": {"name": "config"}, "spec": {"url": repository.bare_path(), "ref": {"branch": "main"}}}),
        json!({"kind": "Cluster", "metadata": {"name": "bench"}, "spec": {"kubeconfig": {"path": plane.kubeconfig()}}}),
        json!({"kind": "Environment", "metadata": {"name": "bench"}, "spec": {"cluster": "bench", "namespace": namespace}}),
    ];
    documents.extend(apps.iter().map(|app| {
        json!({"kind": "App", "metadata": {"name": app.name}, "spec": {"repository": "config", "path": app.name, "environments": ["bench"]}})
    }));
    // JSON is YAML.
    let texts = documents.into_iter().map(|mut document| {
        document["apiVersion"] = "trueup.dev/v1alpha1".into();
        document.to_string()
    });
    texts.collect::<Vec<_>>().join("\n---\n")
}

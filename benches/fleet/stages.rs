//! What happens to a fleet, each from what begins it until all is as it should be.

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use trueup_testkit::{GitRepo, Port};

use crate::Size;
use crate::clusters::{self, Clusters};
use crate::process;
use crate::repository;

/// When a stage is given up.
const PATIENCE: Duration = Duration::from_mins(30);
/// How often is looked how all targets stand; it takes its part of the processor.
const LOOK: Duration = Duration::from_millis(500);
/// How often is looked at one object.
const GLANCE: Duration = Duration::from_millis(5);
/// For how long nothing happens while that is measured.
const REST: Duration = Duration::from_mins(1);
/// Commits and drifts that are measured, one after the other.
const TIMES: usize = 10;

/// What a stage took.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub(crate) stage: &'static str,
    /// Until all was done; of several times the median.
    pub(crate) time: Option<Duration>,
    /// Of trueup, in all; of several times for one.
    pub(crate) cpu: Duration,
    /// Resident at the end, in KiB.
    pub(crate) memory: u64,
    /// The most that was resident so far, in KiB.
    pub(crate) peak: u64,
}

pub(crate) fn measure(size: Size, clusters: &Clusters) -> Result<Vec<Taken>> {
    let repo = GitRepo::create()?;
    repository::write(&repo, size)?;
    let first = repo.commit(&[], "all")?;
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("trueup.yaml"), repository::configuration(&repo, size, clusters))?;
    let mut trueup = Trueup { folder, port: Port::claim()?, running: None, size };
    let mut all = Vec::new();
    let mut note = |taken: Taken| {
        eprintln!("  {}: {:.2?}, {:.2?} CPU, {} KiB", taken.stage, taken.time, taken.cpu, taken.memory);
        all.push(taken);
    };

    note(trueup.stage("first sync of all", |trueup| {
        trueup.start()?;
        trueup.synced_at(&first)
    })?);
    thread::sleep(Duration::from_secs(5));
    let rest = trueup.stage("nothing changes, a minute", |_| {
        thread::sleep(REST);
        Ok(())
    })?;
    note(Taken { time: None, ..rest });

    let (app, index) = (size.apps / 2, size.clusters / 2);
    let one = |turn: usize| (repository::overlay_path(app, index), repository::overlay(app, index, turn));
    note(trueup.stages("a commit that changes one target, until its object is there", |turn| {
        let (path, text) = one(turn + 1);
        push(&repo, &[(&path, &text)])?;
        let begun = Instant::now();
        is_there(clusters, app, index, "turn", &(turn + 1).to_string())?;
        Ok(begun.elapsed())
    })?);
    trueup.synced_at(&repo.head()?)?;
    let elsewhere = [("README.md", "elsewhere\n")];
    note(trueup.stage("a commit that changes none, until all have looked at it", |trueup| {
        trueup.synced_at(&push(&repo, &elsewhere)?)
    })?);
    repository::write_bases(&repo, size, 1)?;
    note(trueup.stage("a commit that changes each object", |trueup| trueup.synced_at(&push(&repo, &[])?))?);
    thread::sleep(Duration::from_secs(5));
    note(trueup.stages("a drift repaired", |turn| {
        // Whoever changes the same object again and again is a writer that trueup does not fight with.
        let index = (index + turn) % size.clusters;
        let begun = Instant::now();
        clusters.api(index).merge(&object(app, index), &json!({"data": {"level": "drift"}}))?;
        is_there(clusters, app, index, "level", "info")?;
        Ok(begun.elapsed())
    })?);
    trueup.stop();
    let head = repo.head()?;
    note(trueup.stage("restart with nothing to do", |trueup| {
        trueup.start()?;
        trueup.looked_at_all(&head)
    })?);
    Ok(all)
}

fn push(repo: &GitRepo, files: &[(&str, &str)]) -> Result<String> {
    for (path, text) in files {
        repo.write(path, text.as_bytes())?;
    }
    repo.commit(&[], "a change")
}

fn object(app: usize, index: usize) -> String {
    format!("/api/v1/namespaces/{}/configmaps/{}", clusters::name(index), repository::object(app, 0))
}

fn is_there(clusters: &Clusters, app: usize, index: usize, key: &str, value: &str) -> Result<()> {
    let end = Instant::now() + PATIENCE;
    while clusters.api(index).get(&object(app, index))?["data"][key] != value {
        if Instant::now() > end {
            bail!("{} never had {key}: {value}", object(app, index));
        }
        thread::sleep(GLANCE);
    }
    Ok(())
}

struct Trueup {
    folder: TempDir,
    port: Port,
    running: Option<Child>,
    size: Size,
}

impl Drop for Trueup {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Trueup {
    fn start(&mut self) -> Result<()> {
        let log = File::create(self.folder.path().join("log"))?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_trueup"));
        command.arg("run").arg("--config").arg(self.folder.path().join("trueup.yaml"));
        command.arg("--state").arg(self.folder.path().join("state"));
        command.args(["--listen", &format!("127.0.0.1:{}", self.port.number())]);
        self.running = Some(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()?);
        Ok(())
    }

    fn stop(&mut self) {
        if let Some(mut child) = self.running.take() {
            // It may have ended by itself; then there is nothing to end.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Measures a stage.
    fn stage(&mut self, stage: &'static str, work: impl FnOnce(&mut Self) -> Result<()>) -> Result<Taken> {
        let (before, begun) = (self.cpu(), Instant::now());
        work(self).with_context(|| stage)?;
        let time = Some(begun.elapsed());
        Ok(Taken {
            stage,
            time,
            cpu: self.cpu().saturating_sub(before),
            memory: self.memory(),
            peak: self.peak(),
        })
    }

    /// Measures a stage several times, of which `work` says how long it took.
    fn stages(
        &mut self,
        stage: &'static str,
        mut work: impl FnMut(usize) -> Result<Duration>,
    ) -> Result<Taken> {
        let before = self.cpu();
        let mut times =
            (0..TIMES).map(|turn| work(turn).with_context(|| stage)).collect::<Result<Vec<_>>>()?;
        times.sort_unstable();
        let cpu = self.cpu().saturating_sub(before) / u32::try_from(TIMES)?;
        Ok(Taken {
            stage,
            time: times.get(TIMES / 2).copied(),
            cpu,
            memory: self.memory(),
            peak: self.peak(),
        })
    }

    /// Waits until all targets are Synced and Healthy at a commit.
    fn synced_at(&self, revision: &str) -> Result<()> {
        self.wait("all are Synced", |target| target["sync"] == "Synced" && target["revision"] == revision)
    }

    /// Waits until all targets had a turn after a start.
    fn looked_at_all(&self, revision: &str) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        while self.turns().unwrap_or_default() < self.size.targets() {
            if Instant::now() > end {
                bail!("not all had a turn: {:?}", self.turns());
            }
            thread::sleep(LOOK);
        }
        self.synced_at(revision)
    }

    fn turns(&self) -> Result<usize> {
        const NAME: &str = "trueup_stage_duration_seconds_count{stage=\"health\"} ";
        let text = self.http("/metrics")?;
        let line = text.lines().find_map(|line| line.strip_prefix(NAME));
        Ok(line.map(str::parse).transpose()?.unwrap_or_default())
    }

    fn wait(&self, what: &str, is_done: impl Fn(&Value) -> bool) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        loop {
            let targets = self.targets().unwrap_or_default();
            let open: Vec<&Value> = targets.iter().filter(|target| !is_done(target)).collect();
            if targets.len() == self.size.targets() && open.is_empty() {
                return Ok(());
            }
            let has_ended = self.id().is_none_or(|id| process::cpu(id).is_none());
            if Instant::now() > end || has_ended {
                let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                let tail: Vec<&str> = log.lines().rev().take(20).collect();
                bail!(
                    "not {what}: {} targets, {} open, the first {:#?}\n{}",
                    targets.len(),
                    open.len(),
                    open.first(),
                    tail.join("\n")
                );
            }
            thread::sleep(LOOK);
        }
    }

    fn targets(&self) -> Result<Vec<Value>> {
        let mut body: Value = serde_json::from_str(&self.http("/api/v1/targets")?)?;
        Ok(body["targets"].as_array_mut().map(std::mem::take).unwrap_or_default())
    }

    fn http(&self, path: &str) -> Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port.number()))?;
        let request = format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (_, body) = answer.split_once("\r\n\r\n").context("not an answer")?;
        Ok(body.to_owned())
    }

    fn id(&self) -> Option<u32> {
        self.running.as_ref().map(Child::id)
    }

    fn cpu(&self) -> Duration {
        self.id().and_then(process::cpu).unwrap_or_default()
    }

    fn peak(&self) -> u64 {
        self.id().and_then(process::peak_memory).unwrap_or_default()
    }

    fn memory(&self) -> u64 {
        self.id().and_then(process::memory_now).unwrap_or_default()
    }
}

//! What is measured of one contender, and the arithmetic of it.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use trueup_testkit::{Api, Request};

use crate::workload::App;

/// The results of one contender; `None` where it has nothing of the kind.
#[derive(Debug, Default)]
pub(crate) struct Contender {
    pub(crate) name: String,
    pub(crate) first_sync: Duration,
    /// Requests of one first sync.
    pub(crate) first_requests: usize,
    pub(crate) change: Option<Duration>,
    /// Writes to the cluster for one changed object.
    pub(crate) change_writes: Option<f64>,
    pub(crate) quiet: Option<Quiet>,
    pub(crate) drift: Option<Spread>,
    /// In KiB, as the kernel counts the most that was ever resident.
    pub(crate) peak_memory: Option<u64>,
}

/// What is asked of the API server while nothing changes.
#[derive(Debug)]
pub(crate) enum Quiet {
    /// A program that is run again: how long, and how many requests each time.
    Run(Duration, usize),
    /// A program that runs: how many requests in how long.
    During(Duration, usize),
}

/// The middle and the far end of many measurements.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) median: Duration,
    pub(crate) p95: Duration,
}

impl Spread {
    /// Of at least one measurement.
    pub(crate) fn of(mut measured: Vec<Duration>) -> Result<Self> {
        measured.sort();
        let at = |percent: usize| measured.get((measured.len().saturating_sub(1)) * percent / 100).copied();
        let (Some(median), Some(p95)) = (at(50), at(95)) else { anyhow::bail!("nothing was measured") };
        Ok(Self { median, p95 })
    }
}

/// The requests that a contender made, by its user agent.
pub(crate) fn made_by<'r>(requests: &'r [Request], agent: &str) -> Vec<&'r Request> {
    requests.iter().filter(|request| request.user_agent.starts_with(agent)).collect()
}

/// The most memory that a process ever had, in KiB; nothing once it has ended.
pub(crate) fn peak_memory(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// Makes sure that the cluster holds what the app says: a contender that left objects out was not fast.
pub(crate) fn check(api: &Api, app: &App) -> Result<()> {
    let list =
        api.get(&format!("/api/v1/namespaces/{}/configmaps?labelSelector=bench%3Dreconcile", app.namespace))?;
    let found = list["items"].as_array().context("not a list")?.len();
    ensure!(found == app.objects, "{} of {} objects are there", found, app.objects);
    Ok(())
}

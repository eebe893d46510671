//! What this process has used.
//!
//! Source: `proc(5)`, `clock_gettime(2)`, and the statistics that jemalloc keeps.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::time::{ClockId, clock_gettime};
use tikv_jemalloc_ctl::{epoch, stats};

/// `USER_HZ`, which is 100 on every architecture.
const TICK: Duration = Duration::from_millis(10);

/// User and system time so far.
pub(crate) fn cpu() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit_once(')').context("/proc/self/stat")?.1.split_whitespace().collect();
    let ticks =
        |field: usize| -> Result<u32> { Ok(fields.get(field - 3).context("/proc/self/stat")?.parse()?) };
    Ok(TICK * (ticks(14)? + ticks(15)?))
}

/// User and system time of this thread so far.
pub(crate) fn of_thread() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Pages that are in memory, in bytes.
pub(crate) fn resident() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    let pages: u64 = line.trim().strip_suffix("kB").context("VmRSS")?.trim().parse()?;
    Ok(pages * 1024)
}

/// Bytes that are allocated.
pub(crate) fn allocated() -> Result<u64> {
    let counted = || -> Result<usize, tikv_jemalloc_ctl::Error> {
        epoch::advance()?;
        stats::allocated::read()
    };
    let bytes = counted().map_err(|error| anyhow::anyhow!("jemalloc's statistics: {error}"))?;
    Ok(u64::try_from(bytes)?)
}

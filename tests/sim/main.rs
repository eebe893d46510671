//! trueup's loop as in production, in a world that follows from one number: its clusters, its repository, its users, its clock and
//! its faults. docs/simulation.md tells more.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "tests")]

mod content;
mod forge;
mod gate;
mod held;
mod hooks;
mod invariants;
mod pace;
mod plan;
mod process;
mod random;
mod run;
mod trace;

use run::run;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use trace::Detail;

/// A run is made of small allocations: the system's allocator makes it take a quarter longer.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// How long the seeds of a run of all tests may take together. They are the same ones each time; `make sim` tries others.
const BUDGET: Duration = Duration::from_secs(15);
/// And how many there are at most.
const FEW: u64 = 12;
const STEPS: u64 = 200;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// What came of many seeds.
#[derive(Default)]
struct Tally {
    tried: u64,
    writes: u64,
    kills: u64,
    /// The runs' digests, in any order.
    digest: u64,
    failed: Vec<u64>,
}

impl Tally {
    fn count(&mut self, seed: u64, outcome: &run::Outcome) {
        if !outcome.violations.is_empty() {
            println!("seed {seed}: {}", outcome.violations.join("\n    "));
            self.failed.push(seed);
        }
        self.tried += 1;
        self.writes += outcome.writes;
        self.kills += outcome.kills;
        self.digest ^= outcome.digest.rotate_left(u32::try_from(seed % 64).unwrap_or(0));
    }
}

#[test]
fn whatever_happens_nothing_is_lost_and_all_comes_right_in_the_end() {
    let first = number("TRUEUP_SIM_SEED").unwrap_or(1);
    let seeds = number("TRUEUP_SIM_SEEDS");
    let steps = number("TRUEUP_SIM_STEPS").unwrap_or(STEPS);
    let enough = number("TRUEUP_SIM_FAILURES").unwrap_or(5);
    let detail = if number("TRUEUP_SIM_DIGEST") == Some(1) { Detail::Digest } else { Detail::Violations };
    let began = Instant::now();
    let (next, tally) = (AtomicU64::new(0), Mutex::new(Tally::default()));
    // Each seed is a world of its own, on one thread.
    std::thread::scope(|scope| {
        for _ in 0..number("TRUEUP_SIM_THREADS").unwrap_or(1) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let goes_on = seeds.map_or(at < FEW && began.elapsed() < BUDGET, |seeds| at < seeds);
                    if !goes_on || tally.lock().unwrap().failed.len() as u64 >= enough {
                        return;
                    }
                    let outcome = run(first + at, steps, detail);
                    tally.lock().unwrap().count(first + at, &outcome);
                }
            });
        }
    });
    let Tally { tried, writes, kills, digest, mut failed } = tally.into_inner().unwrap();
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{tried} seeds from {first}, {steps} steps each: {writes} writes, {kills} kills, {:.1} seeds a second",
        f64::from(u32::try_from(tried).unwrap_or(u32::MAX)) / seconds
    );
    if detail == Detail::Digest {
        println!("digest {digest:016x}");
    }
    failed.sort_unstable();
    if let Some(seed) = failed.first() {
        if number("TRUEUP_SIM_TRACE") != Some(0) {
            run(*seed, steps, Detail::All).lines.iter().for_each(|line| println!("{line}"));
        }
        panic!("seeds {failed:?} failed; `make sim SEED={seed} SEEDS=1 STEPS={steps}` does it again");
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in [1, 2, 3] {
        let (one, other) = (run(seed, 60, Detail::All).lines, run(seed, 60, Detail::All).lines);
        if let Some(at) = one.iter().zip(&other).position(|(one, other)| one != other) {
            panic!("seed {seed}, line {at}: {} and then {}", one[at], other[at]);
        }
        assert_eq!(one.len(), other.len());
    }
}

#[test]
fn the_deliberate_mistakes_fit_the_code() {
    let root = env!("CARGO_MANIFEST_DIR");
    let git = std::process::Command::new("git")
        .args(["apply", "--check", "tests/sim/bugs.patch"])
        .current_dir(root)
        .output()
        .expect("git is needed to look whether tests/sim/bugs.patch fits: install it");
    let said = String::from_utf8_lossy(&git.stderr);
    assert!(
        git.status.success(),
        "make tests/sim/bugs.patch anew, so that `make sim-bugs` can be run: {said}"
    );
}

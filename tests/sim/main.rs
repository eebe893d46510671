//! trueup's loop as in production, in a world that follows from one number: its clusters, its repository, its users, its clock and
//! its faults. docs/simulation.md tells more.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "tests")]

mod content;
mod forge;
mod gate;
mod invariants;
mod plan;
mod process;
mod random;
mod run;
mod trace;

use run::run;
use std::time::{Duration, Instant};
use trace::Detail;

/// How long the seeds of a run of all tests may take together. They are the same ones each time; `make sim` tries others.
const BUDGET: Duration = Duration::from_secs(15);
/// And how many there are at most.
const FEW: u64 = 12;
const STEPS: u64 = 200;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn whatever_happens_nothing_is_lost_and_all_comes_right_in_the_end() {
    let first = number("TRUEUP_SIM_SEED").unwrap_or(1);
    let seeds = number("TRUEUP_SIM_SEEDS");
    let steps = number("TRUEUP_SIM_STEPS").unwrap_or(STEPS);
    let enough = number("TRUEUP_SIM_FAILURES").unwrap_or(5);
    let began = Instant::now();
    let (mut tried, mut writes, mut kills, mut failed) = (0, 0, 0, Vec::new());
    let goes_on = |tried: u64| seeds.map_or(tried < FEW && began.elapsed() < BUDGET, |seeds| tried < seeds);
    while goes_on(tried) && (failed.len() as u64) < enough {
        let seed = first + tried;
        let outcome = run(seed, steps, Detail::Violations);
        if !outcome.violations.is_empty() {
            println!("seed {seed}: {}", outcome.violations.join("\n    "));
            failed.push(seed);
        }
        (tried, writes, kills) = (tried + 1, writes + outcome.writes, kills + outcome.kills);
    }
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "seeds {first} to {}, {steps} steps each: {writes} writes, {kills} kills, {:.1} seeds a second",
        first + tried - 1,
        f64::from(u32::try_from(tried).unwrap_or(u32::MAX)) / seconds
    );
    if let Some(seed) = failed.first() {
        let outcome = run(*seed, steps, Detail::All);
        for line in &outcome.lines {
            println!("{line}");
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

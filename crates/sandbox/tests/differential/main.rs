//! Held to the original: random sequences of operations, on some forty built-in kinds and on random definitions of custom
//! resources, are carried out on a real API server and on the sandbox, which must answer alike: status codes, refusals word
//! for word, objects with their `managedFields`, lists, tables, and the events of watches.
//!
//! `TRUEUP_FUZZ_SEED` says where to begin, `TRUEUP_FUZZ_SEQUENCES` how many there are; `TRUEUP_FUZZ_SEEDS` names them one by one
//! instead, with commas between them. A sequence follows from its seed. One that is answered differently is made as short as it can be, and printed; `TRUEUP_FUZZ_SHOWN` says how many are, and with
//! `TRUEUP_FUZZ_TELL` each is told as it was found.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on stops where it is")]
#![allow(clippy::print_stdout, reason = "a test says how much it compared")]
#![allow(missing_docs, unreachable_pub, clippy::items_after_statements, reason = "nothing leaves this test")]

mod authorization;
mod cases;
mod charts;
mod definitions;
mod generate;
mod known;
mod limits;
mod metadata;
mod normal;
mod objects;
mod operation;
mod protobuf;
mod random;
mod run;
mod servers;
mod sizes;

use generate::Generator;
use run::{Difference, Run, TOGETHER};
use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// How many sequences a test run compares when nothing else was asked for.
const SHORT: u64 = 150;
/// How many kinds of differences are made short and shown.
const SHOWN: usize = 20;

/// The seeds of the short run whose sequences still end at a difference.
fn remaining() -> BTreeSet<u64> {
    let lines = include_str!("remaining.txt").lines();
    lines.filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect()
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().and_then(|text| text.parse().ok())
}

/// The seeds that were asked for by name.
fn named_seeds() -> Option<Vec<u64>> {
    let named = env::var("TRUEUP_FUZZ_SEEDS").ok()?;
    Some(named.split(',').filter_map(|seed| seed.trim().parse().ok()).collect())
}

/// So many sequences are under way at a time.
const LANES: usize = 6;

/// What a run found.
#[derive(Default)]
struct Findings {
    operations: u64,
    accepted: u64,
    /// Sequences that end at a difference that `remaining.txt` lists.
    listed: u64,
    /// Sequences that end at a difference that stays, by its reason.
    known: BTreeMap<&'static str, u64>,
    /// Sequences that end at any other, by what the differences have in common.
    found: BTreeMap<String, Vec<u64>>,
}

/// Compares the sequences of some seeds, several at a time.
fn compare(
    run: &Run,
    generator: &Generator,
    seeds: &[u64],
    remaining: &BTreeSet<u64>,
    findings: &Mutex<Findings>,
) {
    let next = AtomicUsize::new(0);
    let is_told = env::var_os("TRUEUP_FUZZ_TELL").is_some();
    let work = || {
        loop {
            let Some(&seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) else { return };
            let sequence = generator.sequence(seed, run.definitions());
            let (difference, told) = run.compare(&sequence);
            // An age, or the order of managers, shows a second that ended between the two answers; such a difference does not stay.
            let is_listed = remaining.contains(&seed);
            let stays = |one: &Difference| {
                one.known.is_some() || is_listed || (0..2).all(|_| run.compare(&sequence).0.is_some())
            };
            let difference = difference.filter(stays);
            // A second that ended between the two servers' answers shows in the order of managers.
            let difference =
                difference.filter(|one| one.known.is_some() || run.compare(&sequence).0.is_some());
            let mut findings = findings.lock().unwrap();
            findings.operations += told.operations;
            findings.accepted += told.accepted;
            match difference {
                None => {}
                Some(Difference { known: Some(why), .. }) => *findings.known.entry(why).or_default() += 1,
                Some(_) if is_listed => findings.listed += 1,
                Some(difference) => {
                    if is_told {
                        println!("\n{seed} {}", difference.told());
                    }
                    findings.found.entry(difference.signature()).or_default().push(seed);
                }
            }
        }
    };
    std::thread::scope(|scope| (0..LANES).for_each(|_| drop(scope.spawn(work))));
}

#[test]
fn random_sequences_are_answered_as_the_real_api_server_answers_them() {
    let first = number("TRUEUP_FUZZ_SEED").unwrap_or(0);
    let count = number("TRUEUP_FUZZ_SEQUENCES").unwrap_or(SHORT);
    let seeds = named_seeds().unwrap_or_else(|| (first..first + count).collect());
    let generator = Generator::new();
    let mut run = Run::start();
    // A run that begins elsewhere looks for all differences.
    let remaining: BTreeSet<u64> = if first == 0 && count <= SHORT { remaining() } else { BTreeSet::new() };
    let findings = Mutex::default();
    let begun = Instant::now();
    for together in seeds.chunk_by(|one, next| one / TOGETHER == next / TOGETHER) {
        run.prepare(together[0]);
        compare(&run, &generator, together, &remaining, &findings);
    }
    let Findings { operations, accepted, listed, known, found } = findings.into_inner().unwrap();
    println!("{listed} sequences end at a difference that tests/differential/remaining.txt lists");
    println!(
        "{} sequences from seed {} in {} s: {operations} operations, {accepted} of them accepted; {} differ, in {} ways",
        seeds.len(),
        seeds.first().copied().unwrap_or(first),
        begun.elapsed().as_secs(),
        found.values().map(Vec::len).sum::<usize>(),
        found.len()
    );
    for (why, times) in &known {
        println!("known: {times} sequences end where {why}");
    }
    for (seed, signature) in
        found.iter().flat_map(|(signature, seeds)| seeds.iter().map(move |seed| (seed, signature)))
    {
        println!("differs: {seed} {}", signature.replace('\n', " ").chars().take(150).collect::<String>());
    }
    show(&mut run, &generator, &found);
    assert!(
        found.is_empty(),
        "the sandbox answers differently; TRUEUP_FUZZ_SEED=<seed> TRUEUP_FUZZ_SEQUENCES=1 runs one again"
    );
}

/// Prints the most frequent kinds of differences, each by a sequence as short as it can be.
fn show(run: &mut Run, generator: &Generator, found: &BTreeMap<String, Vec<u64>>) {
    let most = number("TRUEUP_FUZZ_SHOWN").and_then(|most| usize::try_from(most).ok()).unwrap_or(SHOWN);
    let mut all: Vec<(&String, &Vec<u64>)> = found.iter().collect();
    all.sort_by_key(|(_, seeds)| std::cmp::Reverse(seeds.len()));
    for (signature, seeds) in all.iter().take(most) {
        println!("\n{} sequences: {signature}", seeds.len());
        run.prepare(seeds[0]);
        let sequence = generator.sequence(seeds[0], run.definitions());
        let (shortest, difference) = run.shortest(sequence);
        println!("  seed {}", seeds[0]);
        for operation in &shortest {
            println!("    {operation}");
        }
        println!("    {}", difference.told());
    }
}

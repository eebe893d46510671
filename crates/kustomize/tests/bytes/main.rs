//! Whatever the bytes are, a build gives manifests or errors: it never panics, overflows its stack, hangs or grows
//! without bound.
//!
//! Files of the conformance cases and of random trees are damaged (`damage`) and built by worker processes, so that
//! what would bring the test itself down is noticed as well. Each input is made from its number alone:
//!
//! - `TRUEUP_BYTES_SEED`, `TRUEUP_BYTES_INPUTS`: the first number and how many; `TRUEUP_BYTES_MINUTES` goes on that long;
//! - `TRUEUP_BYTES_SHOW=1` prints the files of each input before it is built.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on stops where it is")]
#![allow(clippy::print_stdout, reason = "a worker tells its parent what it is at, a test what it did")]

#[path = "../differential/case.rs"]
#[allow(dead_code, reason = "the differential test uses the rest")]
mod case;
mod corpus;
mod damage;
#[path = "../differential/grow/mod.rs"]
#[allow(dead_code, reason = "the differential test uses the rest")]
mod grow;
#[path = "../recorded/mod.rs"]
#[allow(dead_code, reason = "the conformance test uses the rest")]
mod recorded;

use corpus::Input;
use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};
use trueup_kustomize::{LoadRestrictions, Options, Parsed, Reorder, build, build_with};
use trueup_model::{MemoryTree, yaml};

/// Tells a worker its first input; it goes on until it is ended, or until [`LAST`].
const FIRST: &str = "TRUEUP_BYTES_WORKER_FIRST";
const LAST: &str = "TRUEUP_BYTES_WORKER_LAST";
/// How long a processor may work on one input, without optimisation.
const LIMIT: Duration = Duration::from_secs(20);
/// How long one input may take when the machine has other things to do, or the worker waits for what never comes.
const PATIENCE: Duration = Duration::from_mins(10);
/// How much memory a worker may ever have, in KiB.
const MEMORY: u64 = 1 << 20;
/// How many inputs that fail are looked for before the test gives up.
const FAILURES: usize = 10;

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().filter(|text| !text.is_empty()).map(|text| text.parse().expect("a number"))
}

/// Builds the input and holds what comes of it to what holds for every build. Gives whether it was not refused.
fn run(input: &Input) -> bool {
    let tree: MemoryTree = input.files.iter().collect();
    let options = Options {
        load_restrictions: if input.variant & 1 == 0 {
            LoadRestrictions::RootOnly
        } else {
            LoadRestrictions::None
        },
        reorder: [Reorder::Unspecified, Reorder::None, Reorder::Legacy][input.variant / 2 % 3],
    };
    let built = build(&tree, &input.root, &options);
    if input.variant.is_multiple_of(8) {
        let again = build_with(&tree, &input.root, &options, &Parsed::default());
        assert_eq!(built, again, "shared files change nothing");
    }
    match built {
        Err(errors) => {
            assert!(!errors.to_string().is_empty(), "a refusal says why");
            false
        }
        Ok(manifests) => {
            for manifest in manifests {
                let printed = yaml::to_yaml(&manifest.value);
                let read = yaml::documents(&printed).unwrap_or_else(|error| panic!("{error} in\n{printed}"));
                assert!(
                    read.len() == 1 && read[0].value == manifest.value,
                    "{} is read back otherwise:\n{printed}",
                    *manifest.value
                );
            }
            true
        }
    }
}

/// Builds one input after the other, and says before each which one it is.
fn work(first: u64, last: u64) {
    let corpus = corpus::load();
    let show = env::var_os("TRUEUP_BYTES_SHOW").is_some();
    let mut out = std::io::stdout();
    for seed in first..=last {
        // The parent may be gone; then nobody wants to know.
        if writeln!(out, "input {seed}").and_then(|()| out.flush()).is_err() {
            return;
        }
        let input = damage::input(&corpus, seed);
        if show {
            for (path, bytes) in &input.files {
                println!("## {path}\n{}", String::from_utf8_lossy(bytes));
            }
        }
        if run(&input) && writeln!(out, "built").is_err() {
            return;
        }
        if seed % 64 == 0 {
            let peak = peak();
            assert!(peak < MEMORY, "{peak} KiB of memory up to input {seed}");
        }
    }
}

/// The most memory that this process ever had, in KiB; 0 where the system does not tell.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// How long processors have worked for a process; `None` where the system does not tell.
fn worked(process: u32) -> Option<Duration> {
    /// proc(5) counts in ticks, whose length Linux has fixed for all programs.
    const TICK: Duration = Duration::from_millis(10);
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u32>().ok();
    Some(TICK * (ticks()? + ticks()?))
}

/// How a worker ended: at which input, and what it said, if it was not done.
struct Ended {
    at: u64,
    /// How many inputs were not refused.
    built: u64,
    why: Option<String>,
}

fn watch(first: u64, last: u64, until: Option<Instant>) -> Ended {
    let mut worker = Command::new(env::current_exe().unwrap())
        .args(["--exact", "no_bytes_bring_a_build_down", "--nocapture"])
        .env(FIRST, first.to_string())
        .env(LAST, last.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a worker");
    let (lines, told) = mpsc::channel();
    let output = BufReader::new(worker.stdout.take().unwrap());
    let reader = thread::spawn(move || {
        let mut built = 0;
        for line in output.lines().map_while(Result::ok) {
            built += u64::from(line == "built");
            if let Some(at) = line.strip_prefix("input ").and_then(|text| text.parse::<u64>().ok()) {
                // The parent may have had enough already.
                let _ = lines.send(at);
            }
        }
        built
    });
    let mut errors = worker.stderr.take().unwrap();
    let errors = thread::spawn(move || {
        let mut said = Vec::new();
        let _ = errors.read_to_end(&mut said);
        String::from_utf8_lossy(&said).into_owned()
    });
    let spent = |worker: &Child| worked(worker.id()).unwrap_or_default();
    let mut at = first;
    let (mut since, mut before) = (Instant::now(), spent(&worker));
    let why = loop {
        match told.recv_timeout(LIMIT) {
            Ok(now) => {
                at = now;
                (since, before) = (Instant::now(), spent(&worker));
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {
                let busy = spent(&worker).saturating_sub(before);
                if busy >= LIMIT || since.elapsed() >= PATIENCE {
                    worker.kill().unwrap();
                    break Some(format!("took {:?}, {busy:?} of it at work", since.elapsed()));
                }
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => break None,
        }
        if until.is_some_and(|until| Instant::now() > until) {
            worker.kill().unwrap();
            worker.wait().unwrap();
            return Ended { at, built: reader.join().unwrap(), why: None };
        }
    };
    let status = worker.wait().unwrap();
    let built = reader.join().unwrap();
    let said = errors.join().unwrap();
    let why = why.or_else(|| (!status.success()).then(|| format!("{status}\n{}", said.trim())));
    Ended { at, built, why }
}

#[test]
fn no_bytes_bring_a_build_down() {
    if let Some((first, last)) = number(FIRST).zip(number(LAST)) {
        return work(first, last);
    }
    let first = number("TRUEUP_BYTES_SEED").unwrap_or(0);
    let minutes = number("TRUEUP_BYTES_MINUTES");
    let until = minutes.map(|minutes| Instant::now() + Duration::from_secs(60 * minutes));
    let count = number("TRUEUP_BYTES_INPUTS").unwrap_or(1500);
    let last = if minutes.is_some() { u64::MAX } else { first + count.max(1) - 1 };
    let mut failed = Vec::new();
    let (mut from, mut built) = (first, 0);
    let at = loop {
        let ended = watch(from, last, until);
        built += ended.built;
        let Some(why) = ended.why else { break ended.at };
        println!("input {}: {why}", ended.at);
        failed.push(format!("input {}: {why}", ended.at));
        from = ended.at + 1;
        if failed.len() == FAILURES || from > last {
            break ended.at;
        }
    };
    let all = at - first + 1;
    println!("{all} inputs from {first} on: {built} built, {} failed, the rest refused", failed.len());
    assert!(all < 100 || (built > 0 && built < all), "some damage breaks a build and some does not");
    assert!(
        failed.is_empty(),
        "run again with TRUEUP_BYTES_SEED and TRUEUP_BYTES_INPUTS=1:\n{}",
        failed.join("\n")
    );
}

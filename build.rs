//! Tells the binary which commit it was built from and when.
//!
//! `TRUEUP_COMMIT` and `TRUEUP_BUILD_DATE` reach the code through `env!`. A source archive without a repository says
//! `unknown`; `SOURCE_DATE_EPOCH` makes builds of equal sources equal. A debug build says `development`: it is not made anew for
//! each commit.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
    println!("cargo::rerun-if-env-changed=TRUEUP_COMMIT");
    let is_debug = std::env::var("PROFILE").as_deref() == Ok("debug");
    let commit = std::env::var("TRUEUP_COMMIT").ok().unwrap_or_else(|| {
        if is_debug {
            return "development".to_owned();
        }
        watch_head();
        commit().unwrap_or_else(|| "unknown".to_owned())
    });
    println!("cargo::rustc-env=TRUEUP_COMMIT={commit}");
    stand_at_a_fixed_address();
    println!("cargo::rustc-env=TRUEUP_BUILD_DATE={}", build_date());
}

/// A program that can stand anywhere has addresses to set right on hundreds of pages, each time it starts: decision 0045.
/// One that is linked without a loader sets them itself, and there the linker has its own way.
fn stand_at_a_fixed_address() {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let is_static = variable("CARGO_CFG_TARGET_FEATURE").split(',').any(|feature| feature == "crt-static");
    if variable("CARGO_CFG_TARGET_OS") == "linux" && variable("CARGO_CFG_TARGET_ENV") == "gnu" && !is_static {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}

/// A new commit on the branch, or another branch, makes the build look again. In a linked worktree `.git` is a file.
fn watch_head() {
    let names = ["HEAD", "logs/HEAD"];
    for path in names.iter().filter_map(|name| git(&["rev-parse", "--git-path", name])) {
        if Path::new(&path).exists() {
            println!("cargo::rerun-if-changed={path}");
        }
    }
}

/// The commit, if the repository is that of this very package: an archive unpacked inside of another repository is not.
fn commit() -> Option<String> {
    let top = git(&["rev-parse", "--show-toplevel"])?;
    let here = std::env::var("CARGO_MANIFEST_DIR").ok()?;
    let same = Path::new(&top).canonicalize().ok()? == Path::new(&here).canonicalize().ok()?;
    if same { git(&["rev-parse", "HEAD"]) } else { None }
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

/// Today, or the day of `SOURCE_DATE_EPOCH`, as `2026-11-21` in UTC.
fn build_date() -> String {
    let given = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|seconds| seconds.trim().parse().ok());
    let now = || std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
    civil(given.unwrap_or_else(now) / 86_400)
}

/// The calendar day that is `days` after 1 January 1970.
fn civil(mut days: u64) -> String {
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while days >= lengths[month] {
        days -= lengths[month];
        month += 1;
    }
    format!("{year}-{:02}-{:02}", month + 1, days + 1)
}

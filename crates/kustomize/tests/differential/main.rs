//! Held to the original: random trees through kustomize v5.8.2 (a small Go program, `tests/oracle`) and through this
//! crate must give the same documents in the same order, or be refused by both.
//!
//! `TRUEUP_FUZZ_TREES` says how many, `TRUEUP_FUZZ_SEED` where to begin. What differs is made small and printed as a
//! case in the form of the conformance cases.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on stops where it is")]
#![allow(clippy::print_stdout, reason = "a test says how much it compared")]

mod case;
mod grow;
mod oracle;
mod prune;
mod shrink;
mod texts;

use case::{Case, Files, ROOT};
use grow::Numbers;
use oracle::Oracle;
use serde_json::Value;
use std::env;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use trueup_kustomize::{Options, build};
use trueup_model::{MemoryTree, yaml};

/// What this crate refuses on purpose though kustomize takes it: words of the refusal, and why.
const ON_PURPOSE: &[(&str, &str)] = &[
    (
        "cannot be written as JSON",
        "kustomize refuses .inf and .nan only where they are printed; here they are refused where they stand",
    ),
    (
        "is already set in this mapping",
        "kustomize refuses a doubled key of a resource only where it is printed; here it is refused where it stands",
    ),
    ("is not a !!", "kustomize refuses a value that is not what its tag says only where it is printed"),
    ("a key must be a text here", "kustomize refuses a number as a key only where it is printed"),
    (
        "can be named by their content",
        "a generated object of another kind is named by what kustomize's parser notes about its text, lines and columns included",
    ),
];

/// How two answers stand to each other; the texts are for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    BothRefuse,
    EqualBytes,
    EqualValues,
    OnlyWeRefuse,
    OnlyTheyRefuse,
    Differ,
}

impl Verdict {
    fn differs(self) -> bool {
        match self {
            Self::BothRefuse | Self::EqualBytes | Self::EqualValues => false,
            Self::OnlyWeRefuse | Self::OnlyTheyRefuse | Self::Differ => true,
        }
    }
}

fn ours(files: &Files) -> Result<String, String> {
    let tree: MemoryTree = files.iter().collect();
    let manifests = build(&tree, ROOT, &Options::default()).map_err(|errors| errors.to_string())?;
    let printed: Vec<String> = manifests.iter().map(|manifest| yaml::to_yaml(&manifest.value)).collect();
    Ok(printed.join("---\n"))
}

fn verdict(ours: &Result<String, String>, theirs: &Result<String, String>) -> Verdict {
    match (ours, theirs) {
        (Err(_), Err(_)) => Verdict::BothRefuse,
        (Err(_), Ok(_)) => Verdict::OnlyWeRefuse,
        (Ok(_), Err(_)) => Verdict::OnlyTheyRefuse,
        (Ok(ours), Ok(theirs)) if ours == theirs => Verdict::EqualBytes,
        (Ok(ours), Ok(theirs)) => {
            let values = |text: &str| -> Option<Vec<Value>> {
                Some(yaml::documents(text).ok()?.into_iter().map(|document| document.value).collect())
            };
            let (ours, theirs) = (values(ours), values(theirs));
            if ours.is_some() && ours == theirs { Verdict::EqualValues } else { Verdict::Differ }
        }
    }
}

fn number(name: &str, otherwise: u64) -> u64 {
    env::var(name).ok().map_or(otherwise, |text| text.parse().expect("a number"))
}

fn printed(files: &Files, oracle: &mut Oracle) -> String {
    let answer = oracle.build(files, ROOT);
    let case = Case { why: String::new(), files: files.clone(), answer: Some(answer) };
    let ours = ours(files).unwrap_or_else(|error| format!("refused: {error}"));
    format!("{}---- ours\n{ours}\n", case.written())
}

/// What came out of a run.
#[derive(Default)]
struct Counts {
    refused: u64,
    pruned: u64,
    bytes: u64,
    values: u64,
    on_purpose: u64,
    comparisons: u64,
    /// How long this crate and kustomize took.
    ours: Duration,
    theirs: Duration,
}

/// The end of a refusal: enough to tell one reason from another, without the way that led there.
fn reason(answer: &Result<String, String>) -> Option<&str> {
    let text = answer.as_ref().err()?.trim_end();
    text.char_indices().rev().nth(40).map_or(Some(text), |(start, _)| text.get(start..))
}

/// Compares trees with kustomize.
struct Comparison {
    oracle: Oracle,
    counts: Counts,
}

impl Comparison {
    /// How the two answers stand; a refusal on purpose counts as one by both.
    fn compare(&mut self, files: &Files) -> Verdict {
        self.counts.comparisons += 1;
        let began = Instant::now();
        let ours = ours(files);
        self.counts.ours += began.elapsed();
        let began = Instant::now();
        let theirs = self.oracle.build(files, ROOT);
        self.counts.theirs += began.elapsed();
        if let (Err(reason), true) = (&theirs, env::var_os("TRUEUP_FUZZ_REASONS").is_some()) {
            println!("refused {}", &reason[reason.len().saturating_sub(100)..].replace('\n', " "));
        }
        let found = verdict(&ours, &theirs);
        let on_purpose = ours.is_err_and(|error| ON_PURPOSE.iter().any(|(words, _)| error.contains(words)));
        if found == Verdict::OnlyWeRefuse && on_purpose {
            self.counts.on_purpose += 1;
            return Verdict::BothRefuse;
        }
        found
    }

    /// The tree made small, as long as it differs for the same reason, and both answers.
    fn small(&mut self, found: Verdict, files: &Files) -> String {
        let mut difference = |files: &Files| {
            let (ours, theirs) = (ours(files), self.oracle.build(files, ROOT));
            let reasons = (reason(&ours).map(str::to_owned), reason(&theirs).map(str::to_owned));
            (verdict(&ours, &theirs), reasons)
        };
        let (_, reasons) = difference(files);
        let small = shrink::shrink(files, &mut |files| difference(files) == (found, reasons.clone()));
        printed(&small, &mut self.oracle)
    }

    /// Compares a tree and, where it is refused, what is left of it without what makes it so. Gives a tree that differs.
    fn tree(&mut self, files: Files) -> Option<(Verdict, Files)> {
        let mut found = self.compare(&files);
        if found == Verdict::BothRefuse {
            let pruned = prune::prune(&files, &mut |files| ours(files).is_ok());
            for refused in pruned.refused {
                // What another part was needed for may be taken once that is there.
                let found = self.compare(&refused);
                if found.differs() {
                    return Some((found, refused));
                }
            }
            if let Some(taken) = pruned.taken {
                self.counts.pruned += 1;
                found = self.compare(&taken);
                if found.differs() {
                    return Some((found, taken));
                }
            }
        }
        match found {
            Verdict::BothRefuse => self.counts.refused += 1,
            Verdict::EqualBytes => self.counts.bytes += 1,
            Verdict::EqualValues => self.counts.values += 1,
            Verdict::OnlyWeRefuse | Verdict::OnlyTheyRefuse | Verdict::Differ => return Some((found, files)),
        }
        None
    }
}

#[test]
fn random_trees_are_rendered_or_refused_as_kustomize_does() {
    let mut comparison = Comparison { oracle: Oracle::start(), counts: Counts::default() };
    let (first, count) = (number("TRUEUP_FUZZ_SEED", 0), number("TRUEUP_FUZZ_TREES", 300));
    let shown = number("TRUEUP_FUZZ_SHOW", 5);
    let mut all = 0;
    for seed in first..first + count {
        let files = grow::tree(&mut Numbers::new(seed));
        if let Some((found, files)) = comparison.tree(files) {
            println!("\nseed {seed}: {found:?}");
            all += 1;
            if all <= shown {
                println!("{}", comparison.small(found, &files));
            }
        }
        if (seed - first + 1).is_multiple_of(500) {
            println!("{} trees so far", seed - first + 1);
        }
    }
    let Counts { refused, pruned, bytes, values, on_purpose, comparisons, ours, theirs } = comparison.counts;
    println!(
        "{count} trees: {bytes} equal to the byte, {values} in their values ({pruned} of them once what kustomize refuses was left out), {refused} refused by both, {all} differ; {comparisons} comparisons, {on_purpose} refused here on purpose; {ours:.1?} here, {theirs:.1?} in kustomize"
    );
    assert!(all == 0, "{all} of {count} trees differ");
}

/// Charts are rendered by Helm itself, which kustomize calls. Recorded as the other cases are.
#[test]
fn the_recorded_charts_say_what_kustomize_and_helm_say() {
    let helm = concat!(env!("CARGO_MANIFEST_DIR"), "/../helm");
    let helm = trueup_oracle::Original::of_crate(helm).program().unwrap();
    let mut oracle = Oracle::start();
    let mut wrong = Vec::new();
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/charts")).unwrap() {
        let path = entry.unwrap().path();
        let mut case = Case::read(&std::fs::read_to_string(&path).unwrap());
        let theirs = oracle.build_with_charts(&case.files, ROOT, &helm);
        if case.says(&theirs) {
            continue;
        }
        if env::var_os("TRUEUP_RECORD").is_some() {
            case.answer = Some(theirs);
            std::fs::write(&path, case.written()).unwrap();
        }
        wrong.push(path.display().to_string());
    }
    assert!(wrong.is_empty(), "not as recorded:\n{}", wrong.join("\n"));
}

/// With `TRUEUP_RECORD` the answers are written anew: a new case needs no more than its files. `TRUEUP_RECORD` may also
/// name a folder of cases, to see how they stand.
#[test]
fn the_recorded_cases_say_what_kustomize_says() {
    let record = env::var_os("TRUEUP_RECORD").map(PathBuf::from);
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/regressions");
    let folder = record.clone().filter(|folder| folder.is_dir()).unwrap_or(own);
    let mut oracle = Oracle::start();
    let mut wrong = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let mut case = Case::read(&text);
        let theirs = oracle.build(&case.files, ROOT);
        if case.says(&theirs) {
            continue;
        }
        if record.is_some() {
            let found = verdict(&ours(&case.files), &theirs);
            println!("{found:?} {}\n{}", path.display(), printed(&case.files, &mut oracle));
            case.answer = Some(theirs);
            std::fs::write(&path, case.written()).unwrap();
        } else {
            wrong.push(format!("{}: kustomize says {theirs:?}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

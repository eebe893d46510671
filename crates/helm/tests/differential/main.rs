//! Held to the original: random charts through Helm's own engine (a small Go program, `tests/oracle`) and through this
//! crate give the same text, or both refuse them. What once differed stands in `found`.
//!
//! `TRUEUP_FUZZ_TEMPLATES` and `TRUEUP_FUZZ_CHARTS` say how many, `TRUEUP_FUZZ_SEED` where to begin.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on stops where it is")]
#![allow(clippy::print_stdout, reason = "a test says how much it compared")]

mod calls;
mod found;
mod grow;
mod nested;
mod oracle;
mod texts;

use oracle::{Case, Oracle, Outcome};

/// How many are asked at a time.
const BATCH: usize = 250;

/// What was compared, and what was different.
#[derive(Debug, Default)]
struct Compared {
    equal: usize,
    refused: usize,
    endless: usize,
    /// Equal but for quotes around keys `<<`.
    merge_keys: usize,
    /// With halves of a character, which are read as JSON has them: Helm's reader of YAML refuses them.
    halves: usize,
    other_words: usize,
    different: Vec<String>,
}

impl Compared {
    /// Both on many cases, each with what it is called.
    fn of(cases: &[(String, Case)]) -> Self {
        let mut compared = Self::default();
        let mut oracle = Oracle::start();
        for batch in cases.chunks(BATCH) {
            // Go has no bounds: where ours are met it may not come back.
            let ours = batch.iter().map(|(name, case)| (name, case, case.ours()));
            let ours: Vec<_> = ours.filter(|(_, _, ours)| *ours != Outcome::Endless).collect();
            compared.endless += batch.len() - ours.len();
            let asked: Vec<_> = ours.iter().map(|(_, case, _)| (*case).clone()).collect();
            for ((name, case, ours), theirs) in ours.iter().zip(oracle.theirs(&asked)) {
                compared.take(name, case, ours, &theirs);
            }
        }
        compared
    }

    fn take(&mut self, name: &str, case: &Case, ours: &Outcome, theirs: &Outcome) {
        match (ours, theirs) {
            (_, Outcome::Endless) | (Outcome::Endless, _) => self.endless += 1,
            (Outcome::Refused(ours), Outcome::Refused(theirs)) => {
                self.refused += 1;
                self.other_words += usize::from(ours != theirs);
                if std::env::var_os("TRUEUP_FUZZ_WORDS").is_some() && ours != theirs {
                    println!("{name}\n  theirs {theirs}\n  ours   {ours}");
                }
            }
            (Outcome::Output(ours), Outcome::Output(theirs)) if ours == theirs => self.equal += 1,
            (Outcome::Output(ours), Outcome::Output(theirs)) if bare(ours) == bare(theirs) => {
                self.merge_keys += 1;
            }
            (Outcome::Output(_), Outcome::Output(_)) if has_halves(case) => self.halves += 1,
            (ours, theirs) => self.different.push(format!(
                "{name}\n  theirs  {theirs:?}\n  ours    {ours:?}\n  text    {}\n  values  {}\n  partial {}\n",
                String::from_utf8_lossy(&case.text),
                case.values,
                String::from_utf8_lossy(&case.partial),
            )),
        }
    }

    fn assert_equal(&self) {
        println!(
            "{} equal, {} but for keys <<, {} with halves of characters, {} refused by both ({} in other words), {} endless, {} different",
            self.equal,
            self.merge_keys,
            self.halves,
            self.refused,
            self.other_words,
            self.endless,
            self.different.len()
        );
        assert!(
            self.different.is_empty(),
            "{}",
            self.different.iter().take(200).cloned().collect::<String>()
        );
    }
}

/// The text without quotes around keys `<<`. They are written with quotes here, since go-yaml reads what it prints of them
/// as something else.
fn bare(text: &str) -> String {
    text.replace(r#"\"<<\":"#, "<<:").replace(r#""<<":"#, "<<:")
}

fn has_halves(case: &Case) -> bool {
    case.text.windows(4).any(|bytes| bytes == br"\ud8")
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

#[test]
fn random_templates_give_what_helm_gives() {
    let (count, first) = (number("TRUEUP_FUZZ_TEMPLATES", 500), number("TRUEUP_FUZZ_SEED", 0));
    let cases: Vec<_> =
        (first..first + count).map(|seed| (format!("seed {seed}"), grow::case(seed))).collect();
    Compared::of(&cases).assert_equal();
}

#[test]
fn random_charts_within_charts_give_what_helm_gives() {
    let (count, first) = (number("TRUEUP_FUZZ_CHARTS", 150), number("TRUEUP_FUZZ_SEED", 0));
    let (mut equal, mut refused, mut different) = (0, 0, Vec::new());
    let mut helm = oracle::original().start().unwrap();
    for seed in first..first + count {
        let grown = nested::grown(seed);
        match (grown.ours(), grown.theirs(&mut helm)) {
            (Ok(ours), Ok(theirs)) if ours == theirs => equal += 1,
            (Err(_), Err(_)) => refused += 1,
            (ours, theirs) => {
                different.push(format!("seed {seed}\n{grown}\n  theirs {theirs:?}\n  ours   {ours:?}\n"));
            }
        }
    }
    println!("{equal} equal, {refused} refused by both, {} different", different.len());
    assert!(different.is_empty(), "{}", different.iter().take(20).cloned().collect::<String>());
}

//! What is measured, and the arithmetic of it.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use trueup_testkit::Request;

/// The work that a contender does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Work {
    FirstSync,
    OneObject,
    OnePercent,
    Base,
    Elsewhere,
    Drift,
    ManyDrifts,
    Prune,
    StatusChurn,
    Idle,
    WarmStart,
    ColdStart,
    ServerRestart,
}

impl Work {
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::FirstSync => "first sync",
            Self::OneObject => "a commit that changes one object",
            Self::OnePercent => "a commit that changes 1 % of the objects",
            Self::Base => "a commit that changes the base of all apps",
            Self::Elsewhere => "a commit that changes nothing of it",
            Self::Drift => "one drift repaired",
            Self::ManyDrifts => "100 drifts at once repaired",
            Self::Prune => "a commit that removes 10 % of the objects",
            Self::StatusChurn => "50 status updates a second",
            Self::Idle => "idle",
            Self::WarmStart => "restart, nothing to do",
            Self::ColdStart => "restart without its records, nothing to do",
            Self::ServerRestart => "API server restarted",
        }
    }
}

/// What one kind of work took: repeated, where it is not long by itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Measured {
    /// How long, each time; for work that goes on until it is ended, how long that was.
    pub(crate) times: Vec<Duration>,
    /// The requests of all times together.
    pub(crate) requests: Tally,
    /// CPU time of the process, all times together.
    pub(crate) cpu: Duration,
    /// The most memory that the process had until its end, in KiB.
    pub(crate) peak: u64,
}

impl Measured {
    pub(crate) fn spread(&self) -> Result<Spread> {
        Spread::of(&self.times)
    }

    #[allow(clippy::cast_precision_loss, reason = "small counts")]
    pub(crate) fn each(&self, count: usize) -> f64 {
        count as f64 / self.times.len().max(1) as f64
    }

    /// The share of one core.
    pub(crate) fn load(&self) -> f64 {
        self.cpu.as_secs_f64() / self.times.iter().sum::<Duration>().as_secs_f64()
    }
}

/// The results of one contender.
#[derive(Clone, Debug)]
pub(crate) struct Contender {
    pub(crate) name: String,
    pub(crate) measured: BTreeMap<Work, Measured>,
}

impl Contender {
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), measured: BTreeMap::new() }
    }

    /// Adds one more time of a work.
    pub(crate) fn add(&mut self, work: Work, more: Measured) {
        let all = self.measured.entry(work).or_default();
        all.times.extend(more.times);
        all.requests.add(&more.requests);
        all.cpu += more.cpu;
        all.peak = all.peak.max(more.peak);
    }
}

/// The middle and the ends of several measurements.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) least: Duration,
    pub(crate) median: Duration,
    pub(crate) p99: Duration,
    pub(crate) most: Duration,
}

impl Spread {
    /// Of at least one measurement.
    pub(crate) fn of(measured: &[Duration]) -> Result<Self> {
        let mut sorted = measured.to_vec();
        sorted.sort();
        let at = |percent: usize| {
            let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
            sorted.get(place).copied().context("nothing was measured")
        };
        Ok(Self { least: at(0)?, median: at(50)?, p99: at(99)?, most: at(100)? })
    }
}

/// Requests by verb and resource.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally(pub(crate) BTreeMap<(String, String), usize>);

impl Tally {
    /// The requests of one user agent.
    pub(crate) fn of(requests: &[Request], agent: &str) -> Self {
        let mut tally = Self::default();
        for request in requests.iter().filter(|request| request.user_agent.starts_with(agent)) {
            let verb = if request.uri.contains("dryRun=") { "dry-run" } else { request.verb.as_str() };
            // The record of a target and the event about it are no objects of an app.
            let resource = match request.resource.as_str() {
                "" => "discovery",
                "configmaps" if request.name.starts_with("trueup.") => "record",
                "events" => "event",
                other => other,
            };
            *tally.0.entry((verb.to_owned(), resource.to_owned())).or_default() += 1;
        }
        tally
    }

    fn add(&mut self, other: &Self) {
        for (key, count) in &other.0 {
            *self.0.entry(key.clone()).or_default() += count;
        }
    }

    pub(crate) fn total(&self) -> usize {
        self.0.values().sum()
    }

    /// Besides the record of a target and the event about it.
    pub(crate) fn besides_the_record(&self) -> usize {
        self.count(|_, resource| resource != "record" && resource != "event")
    }

    /// Writes to objects.
    pub(crate) fn writes(&self) -> usize {
        self.count(|verb, resource| {
            matches!(verb, "create" | "update" | "patch" | "delete" | "deletecollection")
                && resource != "record"
                && resource != "event"
        })
    }

    fn count(&self, counts: impl Fn(&str, &str) -> bool) -> usize {
        self.0.iter().filter(|((verb, resource), _)| counts(verb, resource)).map(|(_, count)| count).sum()
    }

    /// By verb: `1000 patch, 3 list`.
    pub(crate) fn by_verb(&self) -> String {
        let mut verbs: BTreeMap<&str, usize> = BTreeMap::new();
        for ((verb, resource), count) in &self.0 {
            let word = match resource.as_str() {
                "record" | "event" | "discovery" => resource.as_str(),
                _ => verb.as_str(),
            };
            *verbs.entry(word).or_default() += count;
        }
        if verbs.is_empty() {
            return "none".to_owned();
        }
        let mut words: Vec<(usize, &str)> = verbs.into_iter().map(|(verb, count)| (count, verb)).collect();
        words.sort_by(|a, b| b.cmp(a));
        words.iter().map(|(count, verb)| format!("{count} {verb}")).collect::<Vec<_>>().join(", ")
    }
}

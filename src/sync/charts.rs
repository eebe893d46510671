//! Charts that Apps name in chart repositories and registries, followed beside the turns.
//!
//! Enters: which chart each target is rendered from, and how it is asked for. Leaves: the archive with its version and digest,
//! or why there is none; and a word to each target whose chart is another one now. Targets with the same chart share a task. A
//! version that is named exactly is fetched once and never asked for again.

use super::backoff;
use super::repositories::chain;
use crate::ambient;
use crate::render::Packed;
use crate::source::charts::{self, Chart, ChartSpec};
use crate::source::{Cache, SourceError};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

/// A chart, and how it is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// Where it is.
    pub spec: ChartSpec,
    /// Its name there.
    pub name: String,
    /// The range of versions; empty for any release.
    pub version: String,
    /// How often a range is asked for.
    pub interval: Duration,
}

/// What is known of a chart.
#[derive(Clone, Default)]
pub struct Known {
    /// The last one that could be fetched.
    pub chart: Option<Arc<Packed>>,
    /// Why the last look failed, if it did.
    pub trouble: Option<String>,
}

/// The charts of all targets.
pub struct Charts {
    cache: Cache,
    state: Mutex<State>,
    moved: Arc<dyn Fn(&str) + Send + Sync>,
    tell: Arc<watch::Sender<u64>>,
}

#[derive(Default)]
struct State {
    /// By target.
    wanted: BTreeMap<String, Result<Wanted, String>>,
    followed: Vec<Arc<Followed>>,
}

struct Followed {
    wanted: Wanted,
    known: Mutex<Known>,
    nudge: Notify,
    stop: CancellationToken,
}

impl Wanted {
    /// Fetches it now.
    pub async fn fetch(&self, cache: &Cache) -> Result<Packed, SourceError> {
        cache.charts(&self.spec).fetch(&self.name, &self.version).await.map(packed)
    }

    /// Whether there is only one version that it can be.
    fn is_exact(&self) -> bool {
        charts::is_exact(&self.spec.location, &self.version)
    }
}

fn packed(chart: Chart) -> Packed {
    Packed { version: chart.version, digest: chart.digest, bytes: chart.bytes }
}

impl Charts {
    /// Follows nothing yet; `moved` is called with the name of a target whose chart is another one, or cannot be had.
    pub fn new(cache: Cache, moved: Arc<dyn Fn(&str) + Send + Sync>) -> Self {
        let (tell, _) = watch::channel(0);
        Self { cache, state: Mutex::default(), moved, tell: Arc::new(tell) }
    }

    /// Follows the charts of these targets and no others; what did not change is not disturbed.
    pub fn configure(self: &Arc<Self>, wanted: BTreeMap<String, Result<Wanted, String>>) {
        let mut state = lock(&self.state);
        let is_wanted = |one: &Wanted| wanted.values().flatten().any(|other| other == one);
        state.followed.retain(|followed| {
            let keep = is_wanted(&followed.wanted);
            if !keep {
                followed.stop.cancel();
            }
            keep
        });
        for one in wanted.values().flatten() {
            if state.followed.iter().all(|followed| followed.wanted != *one) {
                let followed = Arc::new(Followed {
                    wanted: one.clone(),
                    known: Mutex::default(),
                    nudge: Notify::new(),
                    stop: CancellationToken::new(),
                });
                state.followed.push(followed.clone());
                tokio::spawn(self.clone().follow(followed));
            }
        }
        state.wanted = wanted;
        drop(state);
        self.tell.send_modify(|count| *count += 1);
    }

    /// What is known of a target's chart; nothing where it has none, or none from elsewhere.
    pub fn known(&self, target: &str) -> Known {
        let state = lock(&self.state);
        match state.wanted.get(target) {
            None => Known::default(),
            Some(Err(why)) => Known { chart: None, trouble: Some(why.clone()) },
            Some(Ok(wanted)) => {
                let followed = state.followed.iter().find(|followed| followed.wanted == *wanted);
                followed.map(|followed| lock(&followed.known).clone()).unwrap_or_default()
            }
        }
    }

    /// Counts what is heard of any chart; for those who have no turn that would be asked for.
    pub fn news(&self) -> watch::Receiver<u64> {
        self.tell.subscribe()
    }

    /// Looks at all charts now that may have moved.
    pub fn poke(&self) {
        lock(&self.state).followed.iter().for_each(|followed| followed.nudge.notify_one());
    }

    /// Ends all tasks.
    pub fn stop(&self) {
        lock(&self.state).followed.iter().for_each(|followed| followed.stop.cancel());
    }

    async fn follow(self: Arc<Self>, followed: Arc<Followed>) {
        let source = self.cache.charts(&followed.wanted.spec);
        let mut failures = 0;
        loop {
            let fetched = tokio::select! {
                biased;
                () = followed.stop.cancelled() => return,
                fetched = source.fetch(&followed.wanted.name, &followed.wanted.version) => fetched,
            };
            failures = if fetched.is_ok() { 0 } else { failures + 1 };
            self.note(&followed, fetched.map(packed));
            let pause = match failures {
                0 if followed.wanted.is_exact() => return,
                0 => followed.wanted.interval,
                n => {
                    let longest = followed.wanted.interval.max(Duration::from_secs(1));
                    backoff::delay(n, ambient::fraction()).min(longest)
                }
            };
            tokio::select! {
                biased;
                () = followed.stop.cancelled() => return,
                () = followed.nudge.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    fn note(&self, followed: &Followed, fetched: Result<Packed, SourceError>) {
        let before = lock(&followed.known).clone();
        let known = match fetched {
            Ok(packed) => match before.chart.clone() {
                Some(chart) if *chart == packed => Known { chart: Some(chart), trouble: None },
                Some(_) | None => {
                    let Wanted { spec, name, .. } = &followed.wanted;
                    tracing::info!(repository = %spec.location, chart = name, version = packed.version, "a new chart");
                    Known { chart: Some(Arc::new(packed)), trouble: None }
                }
            },
            Err(error) => Known { chart: before.chart.clone(), trouble: Some(chain(&error)) },
        };
        if known.trouble != before.trouble
            && let Some(why) = &known.trouble
        {
            tracing::warn!(chart = followed.wanted.name, error = why, "the chart could not be fetched");
        }
        let is_news = known.chart != before.chart || known.trouble != before.trouble;
        *lock(&followed.known) = known;
        if is_news {
            self.tell.send_modify(|count| *count += 1);
            self.targets(followed).iter().for_each(|target| (self.moved)(target));
        }
    }

    fn targets(&self, followed: &Followed) -> Vec<String> {
        let state = lock(&self.state);
        let with = state.wanted.iter().filter(|(_, wanted)| wanted.as_ref() == Ok(&followed.wanted));
        with.map(|(target, _)| target.clone()).collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! Follows pull requests: one task for each generator that asks for some.
//!
//! Enters: which generators there are, with their credentials read; and which requests are remembered. Leaves: the requests that are open, which of the remembered ones are closed,
//! and why it is not known. Absent: which requests count, and what becomes of them, which is [`crate::generate`]'s.

use super::backoff;
use super::hooks::{Promise, PullHint};
use super::repositories::chain;
use super::secrets::Secrets;
use super::topology;
use crate::ambient;
use crate::config::{Config, PullRequests};
use crate::generate::pulls::Listing;
use crate::source::forge::{ForgeError, PullRequest, PullSource, State};
use crate::source::{Credentials, Secret};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Remembered requests that are asked for one by one at a time; the others have their turn at the next look.
const SINGLE: usize = 30;
/// Between two looks that somebody wishes for.
const BREATH: Duration = Duration::from_secs(1);
/// How often the breath before a hint is followed doubles while hints bring nothing new: to 4 s.
const DOUBLINGS: u32 = 2;
/// The pause before a change that was promised is looked for again; it doubles.
const FIRST_AGAIN: Duration = Duration::from_secs(1);
/// How often it is looked for.
const PATIENCE: u32 = 5;
/// Requests of which changes are looked for at once; of others the next look tells.
const PROMISED: usize = 100;

/// A generator: the AppSet, and the place in it.
type Key = (String, String);

/// What is known of the pull requests that a generator asks for.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// As they were when they could be read last.
    pub(super) listing: Option<Arc<Listing>>,
    /// Why the last look failed, if it did.
    pub(super) trouble: Option<String>,
}

/// What is known of all pull requests, and the tasks that find it out.
pub(super) struct Pulls {
    shared: Arc<Shared>,
    tasks: BTreeMap<Key, Task>,
}

struct Shared {
    known: Mutex<BTreeMap<Key, Known>>,
    /// Numbers of requests that are remembered, by repository.
    remembered: Mutex<BTreeMap<String, BTreeSet<u64>>>,
    moved: Box<dyn Fn() + Send + Sync>,
}

struct Task {
    follow: Follow,
    nudge: Arc<Nudge>,
    stop: CancellationToken,
}

/// Something that makes a task ask before its time.
#[derive(Default)]
struct Nudge {
    /// Somebody wants to know.
    now: Notify,
    /// Somebody says that a request changed.
    hinted: Notify,
    /// How somebody says that requests are, and how often that was looked for, by number.
    promised: Mutex<BTreeMap<u64, (Promise, u32)>>,
}

/// Why a forge is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reason {
    /// It is time, or somebody wants to know.
    Due,
    /// Somebody says that a request changed.
    Hint,
}

/// What came of a question.
#[derive(Clone, Copy, PartialEq, Eq)]
enum News {
    Some,
    None,
}

impl Nudge {
    /// Waits until somebody wants a question, and lets a breath pass between it and the one before.
    async fn waited(&self, asked: Instant, breath: Duration, breath_of_hints: Duration) -> Reason {
        let wish = async {
            self.now.notified().await;
            tokio::time::sleep_until(asked + breath).await;
            Reason::Due
        };
        let hint = async {
            tokio::time::sleep_until(asked + breath_of_hints).await;
            self.hinted.notified().await;
            Reason::Hint
        };
        tokio::select! {
            biased;
            reason = wish => reason,
            reason = hint => reason,
        }
    }

    /// When to look again for a change that was promised and is not there yet.
    fn is_owed(&self, listing: Option<&Listing>) -> Option<Duration> {
        let mut promised = lock(&self.promised);
        promised.retain(|_, (promise, tries)| {
            *tries += 1;
            *tries <= PATIENCE && !listing.is_some_and(|listing| promise.is_kept(&listing.open))
        });
        promised.values().map(|(_, tries)| FIRST_AGAIN * 2u32.pow(*tries - 1)).min()
    }
}

/// Pull requests to follow.
#[derive(Clone, PartialEq)]
pub(super) struct Follow {
    key: Key,
    spec: PullRequests,
    credentials: Credentials,
}

impl Follow {
    fn source(&self) -> Result<PullSource, String> {
        let address = self.spec.address().map_err(|(_, why)| why)?;
        Ok(PullSource::new(address, self.credentials.clone(), self.spec.insecure))
    }

    fn repository(&self) -> String {
        self.spec.address().map(|address| address.path).unwrap_or_default()
    }
}

/// The generators of a configuration that ask for pull requests, with their credentials; or why these cannot be read.
pub(super) async fn wanted(config: &Config, secrets: &Secrets) -> Vec<(Key, Result<Follow, String>)> {
    let mut all = Vec::new();
    for (name, set) in config.app_sets.iter().filter(|(_, set)| !set.spec.suspend) {
        for (place, spec) in set.spec.pull_requests() {
            let key = (name.clone(), place.to_string());
            let credentials = topology::forge_credentials(spec, secrets).await;
            let follow = credentials
                .map(|credentials| {
                    // Deliveries are no part of asking.
                    let spec = PullRequests { webhook: None, ..spec.clone() };
                    Follow { key: key.clone(), spec, credentials }
                })
                .map_err(|error| format!("{error:#}"));
            all.push((key, follow));
        }
    }
    all
}

/// All open pull requests of a configuration as they are now, for a command that works alone.
pub(super) async fn once(config: &Config, secrets: &Secrets) -> anyhow::Result<Listings> {
    let mut listings = Listings::new();
    for ((set, place), follow) in wanted(config, secrets).await {
        let read = async {
            let listed = follow?.source()?.list().await.map_err(|error| chain(&error))?;
            Ok(Listing { open: listed.requests, closed: BTreeSet::new() })
        };
        let listing = read.await.map_err(|why: String| anyhow::anyhow!("AppSet {set}: {place}: {why}"))?;
        listings.entry(set).or_default().insert(place, Arc::new(listing));
    }
    Ok(listings)
}

/// Pull requests by AppSet, and by the place of the generator in it.
pub(super) type Listings = BTreeMap<String, BTreeMap<String, Arc<Listing>>>;

impl Pulls {
    /// Follows nothing yet; `moved` is called after each look that may change something.
    pub(super) fn new(moved: Box<dyn Fn() + Send + Sync>) -> Self {
        let shared = Shared { known: Mutex::default(), remembered: Mutex::default(), moved };
        Self { shared: Arc::new(shared), tasks: BTreeMap::new() }
    }

    /// What is known of what a generator asks for.
    pub(super) fn known(&self, set: &str, place: &str) -> Known {
        let key = (set.to_owned(), place.to_owned());
        lock(&self.shared.known).get(&key).cloned().unwrap_or_default()
    }

    /// Follows these and no others; what did not change is not disturbed.
    pub(super) fn follow(&mut self, wanted: Vec<(Key, Result<Follow, String>)>) {
        let keys: BTreeSet<Key> = wanted.iter().map(|(key, _)| key.clone()).collect();
        self.tasks.retain(|key, task| {
            let keep = keys.contains(key);
            if !keep {
                task.stop.cancel();
            }
            keep
        });
        lock(&self.shared.known).retain(|key, _| keys.contains(key));
        for (key, follow) in wanted {
            let follow = match follow {
                Ok(follow) => follow,
                Err(why) => {
                    // It is tried again with the rest of what could not be set up.
                    if let Some(task) = self.tasks.remove(&key) {
                        task.stop.cancel();
                    }
                    lock(&self.shared.known).entry(key).or_default().trouble = Some(why);
                    continue;
                }
            };
            match self.tasks.remove(&key) {
                Some(same) if same.follow == follow => drop(self.tasks.insert(key, same)),
                other => {
                    if let Some(old) = other {
                        old.stop.cancel();
                        // Another repository's requests would be taken for this one's.
                        lock(&self.shared.known).remove(&key);
                    }
                    self.start(follow);
                }
            }
        }
    }

    /// The requests that are remembered of each repository: those of them that are not open are asked for.
    pub(super) fn remember(&self, remembered: BTreeMap<String, BTreeSet<u64>>) {
        *lock(&self.shared.remembered) = remembered;
    }

    /// Looks at all of them now.
    pub(super) fn poke(&self) {
        self.tasks.values().for_each(|task| task.nudge.now.notify_one());
    }

    /// Looks at those of which somebody says that a request changed, and again where the forge does not show it yet.
    pub(super) fn hint(&self, hints: &[PullHint]) {
        for hint in hints {
            let key = (hint.app_set.clone(), hint.place.clone());
            let Some(task) = self.tasks.get(&key) else { continue };
            let mut promised = lock(&task.nudge.promised);
            let number = hint.promised.number;
            if promised.len() < PROMISED || promised.contains_key(&number) {
                promised.insert(number, (hint.promised.clone(), 0));
            }
            task.nudge.hinted.notify_one();
        }
    }

    /// Ends all tasks.
    pub(super) fn stop(&self) {
        self.tasks.values().for_each(|task| task.stop.cancel());
    }

    fn start(&mut self, follow: Follow) {
        let (nudge, stop) = (Arc::new(Nudge::default()), CancellationToken::new());
        match follow.source() {
            Ok(source) => {
                let follower = Follower { follow: follow.clone(), source, shared: self.shared.clone() };
                tokio::spawn(follower.run(nudge.clone(), stop.clone()));
            }
            Err(why) => lock(&self.shared.known).entry(follow.key.clone()).or_default().trouble = Some(why),
        }
        self.tasks.insert(follow.key.clone(), Task { follow, nudge, stop });
    }
}

struct Follower {
    follow: Follow,
    source: PullSource,
    shared: Arc<Shared>,
}

impl Follower {
    async fn run(self, nudge: Arc<Nudge>, stop: CancellationToken) {
        let (mut failures, mut vain_hints) = (0, 0);
        let mut reason = Reason::Due;
        loop {
            let asked = Instant::now();
            let looked = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                looked = self.look() => looked,
            };
            let interval = self.follow.spec.interval;
            let (pause, rest) = match &looked {
                Ok((_, rest)) => {
                    failures = 0;
                    (interval.max(*rest), *rest)
                }
                Err(ForgeError::Limited { rest, .. }) => (interval.max(*rest), *rest),
                Err(_) => {
                    failures += 1;
                    let pause = backoff::delay(failures, ambient::fraction());
                    (pause.min(interval.max(Duration::from_secs(1))), Duration::ZERO)
                }
            };
            // A task that was stopped meanwhile has nothing to say.
            if stop.is_cancelled() {
                return;
            }
            let again = nudge.is_owed(looked.as_ref().ok().map(|(listing, _)| listing));
            let news = self.tell(looked.map(|(listing, _)| listing));
            vain_hints = match (news, reason) {
                (News::Some, _) => 0,
                (News::None, Reason::Hint) => DOUBLINGS.min(vain_hints + 1),
                (News::None, Reason::Due) => vain_hints,
            };
            let pause = again.map_or(pause, |again| again.max(rest).min(pause));
            let (breath, breath_of_hints) = (BREATH.max(rest), (BREATH * 2u32.pow(vain_hints)).max(rest));
            reason = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                reason = nudge.waited(asked, breath, breath_of_hints) => reason,
                () = tokio::time::sleep(pause) => Reason::Due,
            };
        }
    }

    /// All that are open; and of those that are remembered and not among them, what became of them. One that is open after all was on no page because another
    /// one was closed between two of them.
    async fn look(&self) -> Result<(Listing, Duration), ForgeError> {
        let listed = self.source.list().await?;
        let mut listing = Listing { open: listed.requests, closed: BTreeSet::new() };
        let remembered = lock(&self.shared.remembered).get(&self.follow.repository()).cloned();
        let missing: Vec<u64> = remembered
            .into_iter()
            .flatten()
            .filter(|number| !listing.open.contains_key(number))
            .take(SINGLE)
            .collect();
        for number in missing {
            match self.source.one(number).await? {
                Some(request) if request.state == State::Open => {
                    drop::<Option<PullRequest>>(listing.open.insert(number, request));
                }
                Some(_) => drop(listing.closed.insert(number)),
                None => {}
            }
        }
        Ok((listing, listed.rest))
    }

    fn tell(&self, looked: Result<Listing, ForgeError>) -> News {
        let before = lock(&self.shared.known).get(&self.follow.key).cloned().unwrap_or_default();
        let (set, repository) = (&self.follow.key.0, self.follow.repository());
        let known = match looked {
            Ok(listing) => Known { listing: Some(Arc::new(listing)), trouble: None },
            Err(error) => {
                let trouble = chain(&error);
                if before.trouble.as_ref() != Some(&trouble) {
                    tracing::warn!(
                        app_set = set,
                        repository,
                        error = trouble,
                        "the pull requests could not be read"
                    );
                }
                Known { trouble: Some(trouble), listing: before.listing.clone() }
            }
        };
        let is_news = before.trouble != known.trouble || before.listing != known.listing;
        lock(&self.shared.known).insert(self.follow.key.clone(), known);
        if is_news || self.follow.spec.time_to_live.is_some() {
            (self.shared.moved)();
        }
        if is_news { News::Some } else { News::None }
    }
}

/// A token from a Secret as a forge takes it: whatever it is called there, it is the bearer's.
pub(super) fn bearer(mut credentials: Credentials, token: Option<String>) -> Credentials {
    let token = token.map(|token| Secret::new(token.trim()));
    let token = token.or(credentials.bearer_token.take()).or(credentials.password.take());
    Credentials { bearer_token: token, username: None, password: None, ..credentials }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

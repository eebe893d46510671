//! Follows repositories, those of the configuration and those that kustomizations name: one task a repository and
//! reference, whatever the number of targets.

use super::hooks::Hint;
use crate::ambient;
use crate::hex::hex;
use crate::source::{Cache, Commit, Secret, Source, SourceError, Spec};
use crate::web::metrics::{Ended, Metrics, Stage};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Between two questions to a repository, whoever asks for them.
const BREATH: Duration = Duration::from_millis(100);
/// How often the breath before a hint is followed doubles while hints bring nothing new: to 0.8 s, so that deliveries that
/// are replayed cost little and a true one among them is still followed within a second.
const DOUBLINGS: u32 = 3;
/// The pause before a commit that was promised is looked for again; it doubles.
const FIRST_AGAIN: Duration = Duration::from_millis(500);
/// How often it is looked for.
const PATIENCE: u32 = 5;
/// Commits that a repository was at, by which an old promise is known.
const REMEMBERED: usize = 32;

/// What is known of a repository.
#[derive(Clone, Default)]
pub struct Known {
    /// The last commit that could be fetched.
    pub commit: Option<Arc<Commit>>,
    /// Why the last look failed, if it did.
    pub trouble: Option<String>,
    /// When the last look began that went well.
    pub looked: Option<Instant>,
}

/// What is known of all repositories, and the tasks that find it out.
pub struct Repositories {
    known: Arc<Mutex<BTreeMap<String, Known>>>,
    tasks: BTreeMap<String, Task>,
    metrics: Metrics,
    moved: Arc<dyn Fn(&str) + Send + Sync>,
}

struct Task {
    source: Source,
    settings: String,
    interval: Duration,
    hold: Hold,
    nudge: Arc<Nudge>,
    stop: CancellationToken,
}

/// Whether new commits are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// They are.
    Moves,
    /// It stays at the commit that is known; where none is, at the first that can be read.
    Stays,
}

/// Something that makes a task ask before its time.
#[derive(Default)]
struct Nudge {
    /// Somebody wants to know.
    now: Notify,
    /// Somebody says that it moved.
    hinted: Notify,
    /// A commit that somebody said the repository is at, and how often it was looked for.
    promised: Mutex<Option<(String, u32)>>,
}

/// Why a repository is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reason {
    /// It is time, or its folder changed.
    Time,
    /// Somebody wants to know.
    Wish,
    /// Somebody says that it moved.
    Hint,
}

/// What came of a question.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Looked {
    Moved,
    AsBefore,
    Failed,
}

impl Nudge {
    /// Waits until somebody wants a question that comes right after another one, and lets a breath pass between them. What
    /// is left in the middle is not lost.
    async fn waited(&self, breath_of_hints: Duration) -> Reason {
        let asked = tokio::time::Instant::now();
        let wish = async {
            self.now.notified().await;
            tokio::time::sleep_until(asked + BREATH).await;
            Reason::Wish
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
}

/// A repository to follow.
pub struct Follow {
    /// The Repository's name.
    pub name: String,
    /// Where it is.
    pub source: Source,
    /// All that the source was made from, as text: what is known stays known while it is the same.
    pub settings: String,
    /// How often to ask.
    pub interval: Duration,
    /// The commit to stay at while the repository cannot be asked, where its mirror has it.
    pub pinned: Option<String>,
    /// Whether it goes on from there.
    pub hold: Hold,
}

impl Follow {
    /// Follows what `spec` says, under a name.
    pub fn new(name: &str, spec: Spec, interval: Duration, cache: &Cache) -> Result<Self, SourceError> {
        // Credentials print as stars, so a changed secret has to show in another way.
        let secret = |secret: &Option<Secret>| secret.as_ref().map(|secret| fingerprint(secret.expose()));
        let credentials = &spec.credentials;
        let secrets =
            [secret(&credentials.password), secret(&credentials.bearer_token), secret(&credentials.ssh_key)];
        let settings = format!("{spec:?} {secrets:?}");
        let source = cache.open(spec)?;
        Ok(Self { name: name.to_owned(), source, settings, interval, pinned: None, hold: Hold::Moves })
    }
}

fn fingerprint(secret: &str) -> String {
    use sha2::Digest as _;
    hex(&sha2::Sha256::digest(secret)[..8])
}

impl Repositories {
    /// Follows nothing yet; `moved` is called with a repository's name when it has a new commit or new trouble.
    pub fn new(metrics: Metrics, moved: Arc<dyn Fn(&str) + Send + Sync>) -> Self {
        Self { known: Arc::default(), tasks: BTreeMap::new(), metrics, moved }
    }

    /// What is known of a repository.
    pub fn known(&self, name: &str) -> Known {
        lock(&self.known).get(name).cloned().unwrap_or_default()
    }

    /// Those that could not be asked when they were asked last.
    pub fn troubled(&self) -> BTreeSet<String> {
        let known = lock(&self.known);
        known.iter().filter(|(_, known)| known.trouble.is_some()).map(|(name, _)| name.clone()).collect()
    }

    /// The source of a repository.
    pub fn source(&self, name: &str) -> Option<Source> {
        self.tasks.get(name).map(|task| task.source.clone())
    }

    /// Follows these repositories and no others; what did not change is not disturbed.
    pub fn follow(&mut self, repositories: Vec<Follow>) {
        let names: Vec<String> = repositories.iter().map(|follow| follow.name.clone()).collect();
        self.tasks.retain(|name, task| {
            let keep = names.contains(name);
            if !keep {
                task.stop.cancel();
            }
            keep
        });
        lock(&self.known).retain(|name, _| names.contains(name));
        for follow in repositories {
            if let Some(task) = self.tasks.get(&follow.name) {
                let is_same = task.settings == follow.settings;
                if is_same && task.interval == follow.interval && task.hold == follow.hold {
                    continue;
                }
                task.stop.cancel();
                if !is_same {
                    lock(&self.known).remove(&follow.name);
                }
            }
            self.start(follow);
        }
    }

    /// Looks at all repositories now.
    pub fn poke(&self) {
        self.tasks.values().for_each(|task| task.nudge.now.notify_one());
    }

    /// Looks at those now whose source is meant.
    pub fn poke_where(&self, is_meant: impl Fn(&Source) -> bool) {
        for task in self.tasks.values().filter(|task| is_meant(&task.source)) {
            task.nudge.now.notify_one();
        }
    }

    /// Looks at the repositories that somebody says have moved. However many hints come, a repository is asked by one
    /// task; one that is known to be where the hint says is not asked.
    pub fn hint(&self, hints: &[Hint]) {
        for hint in hints {
            let Some(task) = self.tasks.get(&hint.repository) else { continue };
            let known = self.known(&hint.repository);
            let is_there =
                known.commit.is_some_and(|commit| Some(&commit.revision) == hint.promised.as_ref());
            if is_there && known.trouble.is_none() {
                continue;
            }
            *lock(&task.nudge.promised) = hint.promised.clone().map(|commit| (commit, 0));
            task.nudge.hinted.notify_one();
        }
    }

    /// Ends all tasks.
    pub fn stop(&self) {
        self.tasks.values().for_each(|task| task.stop.cancel());
    }

    fn start(&mut self, follow: Follow) {
        let (nudge, stop) = (Arc::new(Nudge::default()), CancellationToken::new());
        let follower = Follower {
            name: follow.name.clone(),
            source: follow.source.clone(),
            interval: follow.interval,
            known: self.known.clone(),
            metrics: self.metrics.clone(),
            moved: self.moved.clone(),
            been: VecDeque::new(),
            pinned: follow.pinned,
            hold: follow.hold,
        };
        tokio::spawn(follower.run(nudge.clone(), stop.clone()));
        let Follow { name, source, settings, interval, hold, .. } = follow;
        let task = Task { source, settings, interval, hold, nudge, stop };
        self.tasks.insert(name, task);
    }
}

struct Follower {
    name: String,
    source: Source,
    interval: Duration,
    known: Arc<Mutex<BTreeMap<String, Known>>>,
    metrics: Metrics,
    moved: Arc<dyn Fn(&str) + Send + Sync>,
    /// Where the repository has been lately, newest last.
    been: VecDeque<String>,
    /// The commit to begin with where the repository cannot be asked.
    pinned: Option<String>,
    hold: Hold,
}

impl Follower {
    async fn run(mut self, nudge: Arc<Nudge>, stop: CancellationToken) {
        let mut watch = match self.source.watch() {
            Ok(watch) => watch,
            Err(error) => {
                tracing::warn!(repository = self.name, %error, "the folder cannot be watched; it is polled instead");
                None
            }
        };
        let (mut failures, mut vain_hints) = (0, 0);
        let mut reason = Reason::Time;
        loop {
            let looked = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                looked = self.look() => looked,
            };
            failures = if looked == Looked::Failed { failures + 1 } else { 0 };
            vain_hints = match (looked, reason) {
                (Looked::Moved, _) => 0,
                (Looked::AsBefore | Looked::Failed, Reason::Hint) => DOUBLINGS.min(vain_hints + 1),
                (Looked::AsBefore | Looked::Failed, Reason::Time | Reason::Wish) => vain_hints,
            };
            // A server that is gone is asked sooner than a quiet one, but not in step with all others.
            let pause = match failures {
                0 => self.interval,
                n => super::backoff::delay(n, ambient::fraction())
                    .min(self.interval.max(Duration::from_secs(1))),
            };
            let pause = self.is_owed(&nudge).map_or(pause, |sooner| sooner.min(pause));
            let changed = async {
                match &mut watch {
                    Some(watch) => watch.changed().await,
                    None => std::future::pending().await,
                }
            };
            reason = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                reason = nudge.waited(BREATH * 2u32.pow(vain_hints)) => reason,
                () = changed => Reason::Time,
                () = tokio::time::sleep(pause) => Reason::Time,
            };
        }
    }

    /// When to look again for a commit that was promised and is not there yet. A repository that has been there already has
    /// moved on: the promise was an old one.
    fn is_owed(&mut self, nudge: &Nudge) -> Option<Duration> {
        let now = lock(&self.known).get(&self.name).and_then(|known| known.commit.clone());
        if let Some(commit) = now
            && self.been.back() != Some(&commit.revision)
        {
            self.been.push_back(commit.revision.clone());
            if self.been.len() > REMEMBERED {
                self.been.pop_front();
            }
        }
        let mut promised = lock(&nudge.promised);
        let (commit, tries) = promised.as_mut()?;
        *tries += 1;
        if self.been.contains(commit) || *tries > PATIENCE {
            *promised = None;
            return None;
        }
        Some(FIRST_AGAIN * 2u32.pow(*tries - 1))
    }

    async fn look(&self) -> Looked {
        let clock = Instant::now();
        let before = lock(&self.known).get(&self.name).cloned().unwrap_or_default();
        let result = match (self.hold, &before.commit, &self.pinned) {
            (Hold::Stays, Some(_), _) if !self.source.is_damaged() => {
                if before.trouble.is_some() {
                    lock(&self.known).insert(self.name.clone(), Known { trouble: None, ..before });
                    (self.moved)(&self.name);
                }
                return Looked::AsBefore;
            }
            (Hold::Stays, Some(commit), _) => self.source.commit_at(&commit.revision).await.map(Some),
            (Hold::Stays, None, Some(pinned)) => self.source.commit_at(pinned).await.map(Some),
            (Hold::Moves | Hold::Stays, commit, _) => self.latest(commit.as_ref()).await,
        };
        self.metrics.git_request(if result.is_ok() { Ended::Success } else { Ended::Failure });
        let (known, looked) = match result {
            Ok(None) => (Known { trouble: None, looked: Some(clock), ..before.clone() }, Looked::AsBefore),
            Ok(Some(commit)) => {
                self.metrics.stage(Stage::Fetch, clock.elapsed());
                tracing::info!(repository = self.name, revision = commit.revision, "a new commit");
                let commit = Some(Arc::new(commit));
                (Known { commit, trouble: None, looked: Some(clock) }, Looked::Moved)
            }
            Err(error) => {
                let trouble = chain(&error);
                if before.trouble.as_ref() != Some(&trouble) {
                    tracing::warn!(
                        repository = self.name,
                        error = trouble,
                        "the repository could not be read"
                    );
                }
                let commit = match (&before.commit, &self.pinned) {
                    (None, Some(pinned)) => self.source.kept(pinned).await.ok().flatten().map(Arc::new),
                    (commit, _) => commit.clone(),
                };
                (Known { trouble: Some(trouble), commit, looked: before.looked }, Looked::Failed)
            }
        };
        let revision = |known: &Known| known.commit.as_ref().map(|commit| commit.revision.clone());
        let changed = revision(&before) != revision(&known) || before.trouble != known.trouble;
        lock(&self.known).insert(self.name.clone(), known);
        if changed {
            (self.moved)(&self.name);
        }
        looked
    }

    async fn latest(&self, before: Option<&Arc<Commit>>) -> Result<Option<Commit>, SourceError> {
        let head = self.source.poll().await?;
        if before.is_some_and(|commit| commit.revision == head.revision) && !self.source.is_damaged() {
            return Ok(None);
        }
        self.source.fetch(&head).await.map(Some)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An error and its causes in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

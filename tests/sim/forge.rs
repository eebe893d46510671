//! Git: a repository in memory whose users commit, and whose server is not always there.

use crate::content::Content;
use crate::random::Random;
use crate::trace::Trace;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use trueup::source::{Commit, Origin, Reference, SourceError};
use trueup_model::tree::{Entry, MemoryTree, Tree, TreeError};

/// Commits that trueup may still be at work on when newer ones have come.
const RECENT: usize = 3;
/// The same for those that came no longer ago than this: a request that hangs is made again a few times.
const RECENTLY: Duration = Duration::from_mins(5);

#[derive(Clone)]
pub(crate) struct Forge(Arc<Mutex<State>>);

struct State {
    commits: BTreeMap<String, (Arc<MemoryTree>, Arc<Content>)>,
    /// What the branch pointed to, newest last.
    branch: Vec<String>,
    weather: Weather,
    random: Random,
    trace: Trace,
    /// What trueup got, newest last.
    delivered: VecDeque<Delivered>,
    /// The targets that there are.
    targets: BTreeSet<&'static str>,
    fetched: Vec<String>,
    /// All that it ever got or took up again, in order.
    history: Vec<Arc<Content>>,
}

/// A commit that trueup got.
struct Delivered {
    at: Instant,
    revision: String,
    /// Whether it can be rendered, so that the ones before it are in force no longer.
    is_sound: bool,
    /// The targets that were seen at it. One that is suspended, or in a long turn, stays with what it had.
    taken_up: BTreeSet<&'static str>,
}

/// How the server is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Weather {
    /// It answers.
    #[default]
    Fair,
    /// It does not.
    Down,
    /// It answers now and then, slowly, sometimes from a replica that is behind, and the objects of some commits do not come.
    Flaky,
    /// What was fetched cannot be read.
    Rotten,
}

impl State {
    /// Whether nobody goes by the first of what trueup got any more: what a target goes by while nothing later can be rendered is what
    /// it took up last.
    fn is_first_over(&self) -> bool {
        let later = || self.delivered.iter().skip(1).filter(|later| later.is_sound);
        later().next().is_some()
            && self.targets.iter().all(|target| later().any(|one| one.taken_up.contains(target)))
    }
}

impl Forge {
    pub(crate) fn new(seed: u64, trace: Trace) -> Self {
        let state = State {
            commits: BTreeMap::new(),
            branch: Vec::new(),
            weather: Weather::Fair,
            random: Random::new(seed, 1),
            trace,
            delivered: VecDeque::new(),
            targets: BTreeSet::new(),
            fetched: Vec::new(),
            history: Vec::new(),
        };
        Self(Arc::new(Mutex::new(state)))
    }

    pub(crate) fn set_weather(&self, weather: Weather) {
        let mut state = self.lock();
        state.weather = weather;
        if weather == Weather::Rotten
            && let Some(last) = state.delivered.back_mut()
        {
            last.is_sound = false;
        }
    }

    pub(crate) fn commit(&self, content: Content) -> String {
        let mut state = self.lock();
        let number = state.commits.len() as u64 + 1;
        let mut hash = Random::new(number, 99);
        let revision = format!("{:016x}{:016x}{:08x}", hash.next(), hash.next(), hash.next() >> 32);
        let tree: MemoryTree = content.files().into_iter().collect();
        state.commits.insert(revision.clone(), (Arc::new(tree), Arc::new(content)));
        state.branch.push(revision.clone());
        revision
    }

    /// Points the branch to what it was some commits ago; gives the content there.
    pub(crate) fn force_back(&self, by: usize) -> Option<Content> {
        let mut state = self.lock();
        let at = state.branch.len().checked_sub(by + 1)?;
        let revision = state.branch.get(at)?.clone();
        state.branch.truncate(at + 1);
        Some(Content::clone(&state.commits.get(&revision)?.1))
    }

    /// Nobody is at work on what was fetched before.
    pub(crate) fn process_died(&self) {
        self.lock().delivered.clear();
    }

    /// The commit at the head of the branch.
    pub(crate) fn head(&self) -> Option<(String, Arc<Content>)> {
        let state = self.lock();
        let head = state.branch.last()?;
        Some((head.clone(), state.commits.get(head)?.1.clone()))
    }

    /// What a commit has.
    pub(crate) fn content(&self, revision: &str) -> Option<Arc<Content>> {
        Some(self.lock().commits.get(revision)?.1.clone())
    }

    /// What trueup may be at work on: the last commits that it got.
    pub(crate) fn recent(&self) -> Vec<Arc<Content>> {
        let state = self.lock();
        let known = |delivered: &Delivered| Some(state.commits.get(&delivered.revision)?.1.clone());
        state.delivered.iter().rev().filter_map(known).collect()
    }

    /// Which targets there are, and the commit that each says it is at, or is on its way to.
    pub(crate) fn stand<'s>(&self, targets: impl Iterator<Item = (&'static str, Option<&'s str>)>) {
        let mut state = self.lock();
        state.targets.clear();
        for (target, revision) in targets {
            state.targets.insert(target);
            let mut delivered = state.delivered.iter_mut();
            if let Some(at) = delivered.find(|one| revision == Some(one.revision.as_str())) {
                at.taken_up.insert(target);
            }
        }
    }

    /// How many commits trueup has got so far, those counted that it took up again.
    pub(crate) fn delivered(&self) -> usize {
        self.lock().history.len()
    }

    /// What an app was in the commits that trueup has got since there were so many, the last one before them included.
    pub(crate) fn states_since(&self, app: &str, count: usize) -> BTreeSet<Option<u64>> {
        let state = self.lock();
        state.history.iter().skip(count.saturating_sub(1)).map(|content| content.state(app)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pause(&self) -> Duration {
        let mut state = self.lock();
        let longest = if state.weather == Weather::Flaky { 5_000 } else { 40 };
        Duration::from_millis(state.random.below(longest))
    }

    fn named(&self) -> Result<String, SourceError> {
        let mut state = self.lock();
        let weather = state.weather;
        let behind = match weather {
            Weather::Down => return Err(unreachable("connection refused")),
            Weather::Flaky if state.random.happens(400) => return Err(unreachable("timed out")),
            Weather::Flaky => usize::try_from(state.random.below(2)).unwrap_or(0),
            Weather::Fair | Weather::Rotten => 0,
        };
        let at = state.branch.len().saturating_sub(1 + behind);
        let named = state.branch.get(at).cloned();
        named.ok_or_else(|| SourceError::RefMissing {
            location: LOCATION.to_owned(),
            wanted: "branch main".to_owned(),
            near: Vec::new(),
        })
    }

    fn found(&self, revision: &str) -> Result<Commit, SourceError> {
        let mut state = self.lock();
        let weather = state.weather;
        if weather == Weather::Down || weather == Weather::Flaky && state.random.happens(400) {
            return Err(unreachable("the remote end hung up unexpectedly"));
        }
        let Some((tree, content)) = state.commits.get(revision).cloned() else {
            let (location, revision) = (LOCATION.to_owned(), revision.to_owned());
            return Err(SourceError::CommitMissing { location, revision });
        };
        let tree = Arc::new(Fetched { tree: tree.clone(), forge: self.clone() });
        state.fetched.push(revision.to_owned());
        state.history.push(content.clone());
        let at = Instant::now();
        let is_sound = weather != Weather::Rotten && !content.is_broken();
        let taken_up = BTreeSet::new();
        state.delivered.push_back(Delivered { at, revision: revision.to_owned(), is_sound, taken_up });
        while state.delivered.len() > RECENT
            && state.delivered.front().is_some_and(|first| at - first.at > RECENTLY)
            && state.is_first_over()
        {
            state.delivered.pop_front();
        }
        state.trace.note(|| format!("git  fetched {}", &revision[..8]));
        Ok(commit(revision, tree))
    }
}

const LOCATION: &str = "https://git.sim/config.git";

fn unreachable(cause: &str) -> SourceError {
    SourceError::Unreachable { location: LOCATION.to_owned(), cause: cause.to_owned() }
}

fn commit(revision: &str, tree: Arc<dyn Tree>) -> Commit {
    let mut commit = Commit::of(revision, tree);
    "someone".clone_into(&mut commit.author);
    "change".clone_into(&mut commit.subject);
    commit
}

impl Origin for Forge {
    fn poll(&self, _: &Reference) -> BoxFuture<'_, Result<String, SourceError>> {
        async {
            tokio::time::sleep(self.pause()).await;
            self.named()
        }
        .boxed()
    }

    fn fetch(&self, revision: &str) -> BoxFuture<'_, Result<Commit, SourceError>> {
        let revision = revision.to_owned();
        async move {
            tokio::time::sleep(self.pause()).await;
            self.found(&revision)
        }
        .boxed()
    }

    fn kept(&self, revision: &str) -> Option<Commit> {
        let mut state = self.lock();
        state.fetched.iter().find(|fetched| *fetched == revision)?;
        let (tree, content) = state.commits.get(revision).cloned()?;
        state.history.push(content);
        Some(commit(revision, Arc::new(Fetched { tree, forge: self.clone() })))
    }
}

/// A tree as it was fetched, on a disk that may fail.
struct Fetched {
    tree: Arc<MemoryTree>,
    forge: Forge,
}

impl Fetched {
    fn check(&self, path: &str) -> Result<(), TreeError> {
        let mut state = self.forge.lock();
        if state.weather == Weather::Rotten && state.random.happens(500) {
            let source = std::io::Error::other("an object is missing");
            return Err(TreeError::Store { path: path.to_owned(), source: source.into() });
        }
        Ok(())
    }
}

impl Tree for Fetched {
    fn entry(&self, path: &str) -> Result<Option<Entry>, TreeError> {
        self.check(path)?;
        self.tree.entry(path)
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, TreeError> {
        self.check(path)?;
        self.tree.read(path)
    }

    fn list(&self, path: &str) -> Result<Vec<(String, Entry)>, TreeError> {
        self.check(path)?;
        self.tree.list(path)
    }
}

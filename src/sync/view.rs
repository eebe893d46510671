//! How the rest of trueup sees the reconciler, and asks things of it.
//!
//! A [`Handle`] reads a [`Board`] that the reconciler writes, and puts [`Request`]s in the reconciler's inbox. What
//! leaves here is fit to be shown: a [`Preview`] never carries a secret's value.
//!
//! Deliberately absent: any decision, and any call to Git or a cluster.

mod clusters;

pub use clusters::{ClusterStanding, ClusterState};

use super::agents::Agents;
use super::deletions::Ruling;
use super::hooks::{Hint, Hook, PullHint};
use super::refusals::Refusals;
use super::replicas::{BeginRequest, DeleteRequest, News, Told};
use anyhow::{Context as _, Result, anyhow};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{mpsc, oneshot, watch};
use trueup_merge::compare::without_server_fields;
use trueup_merge::secrets::{MaskKey, mask};
use trueup_model::{ObjectId, Origin, Value};
use trueup_plan::planning::{Action, Reason, Step};
use trueup_plan::record::{HistoryEntry, SyncStatus, TargetStatus};

/// Requests that wait at once; more are told to come back.
const INBOX: usize = 64;

/// What to plan other than the revision that the target should be at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanOptions {
    /// A branch, tag or commit instead of the configured one.
    pub revision: Option<String>,
    /// A folder on disk instead of the repository.
    pub local: Option<PathBuf>,
}

/// What would be done to one object, with both of its sides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PreviewStep {
    /// The object.
    pub object: ObjectId,
    /// What would be done.
    pub action: Action,
    /// Why.
    pub reason: String,
    /// Whether the cluster is other than Git says; false for an object that is kept on purpose.
    pub differs: bool,
    /// The file that the object came from; empty for one that is no longer in Git.
    pub origin: Origin,
    /// The live object; none where there is none, or it does not matter.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub live: Option<Value>,
    /// The object as an apply would leave it; none where it would be gone.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub wanted: Option<Value>,
}

impl PreviewStep {
    /// A step as it is shown, with both sides of its object: values of Secrets become hashes under `key`, and what the
    /// server keeps for itself goes.
    pub fn new(step: &Step, live: Option<Value>, wanted: Option<Value>, key: &MaskKey) -> Self {
        let made = Self::between(step.id.clone(), step.action, step.reason.to_string(), [live, wanted], key);
        let differs = !matches!(step.reason, Reason::Kept | Reason::Foundation);
        Self { differs, origin: step.origin.clone(), ..made }
    }

    /// A difference between the two sides of an object, live first, shown in the same way.
    pub fn between(
        object: ObjectId,
        action: Action,
        reason: String,
        sides: [Option<Value>; 2],
        key: &MaskKey,
    ) -> Self {
        let [live, wanted] = sides.map(|side| {
            side.map(|mut object| {
                mask(&mut object, key);
                without_server_fields(object)
            })
        });
        Self { object, action, reason, differs: true, origin: Origin::default(), live, wanted }
    }
}

/// What a sync of a target would do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Preview {
    /// The target.
    pub target: String,
    /// The commit that was planned; empty for a folder on disk.
    pub revision: String,
    /// One entry an object that is not as it should be, in the order of the plan.
    pub steps: Vec<PreviewStep>,
    /// How many objects are as they should be.
    pub unchanged: usize,
    /// What is to be said of the target as a whole: that its App is new, or gone.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub note: String,
    /// What could not be found out.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub errors: Vec<String>,
}

impl Preview {
    /// Whether the cluster is other than Git says.
    pub fn differs(&self) -> bool {
        self.steps.iter().any(|step| step.differs)
    }
}

/// When a request to sync is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// When the targets are in the queue.
    Queued,
    /// When the turn of each is over.
    Turn,
}

/// That a person lets the Apps go that an AppSet holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Confirmation {
    /// The AppSet.
    pub app_set: String,
    /// What stands for exactly these Apps.
    pub code: String,
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// A person, or a forge: what concerns other replicas is passed on to them.
    Person,
    /// Another replica, which was asked itself.
    Replica,
}

/// A thing that somebody asks of the reconciler.
#[derive(Debug)]
pub enum Request {
    /// Look at these targets now; all of them where none is named.
    Sync {
        /// The targets.
        targets: Vec<String>,
        /// The codes of deletions beyond the budget that are approved, with commas between them.
        confirm: Option<String>,
        /// When to answer.
        wait: Wait,
        /// Who asks.
        by: By,
        /// The targets that were meant, or why not.
        answer: oneshot::Sender<Result<Vec<String>, String>>,
    },
    /// Let the Apps go that an AppSet holds, if the code stands for exactly those.
    Confirm {
        /// The AppSet and the code.
        confirmation: Confirmation,
        /// Who asks.
        by: By,
        /// The Apps, or why not.
        answer: oneshot::Sender<Result<Vec<String>, String>>,
    },
    /// Ask these repositories now.
    Ask(Vec<Hint>, By),
    /// Ask for these pull requests now.
    AskForge(Vec<PullHint>, By),
    /// Say whether a target that another replica keeps may begin with a commit.
    Begin {
        /// The target.
        target: String,
        /// The commit.
        revision: String,
        /// Who asks: an agent counts as a person.
        by: By,
        /// Why it may not, if that is so.
        answer: oneshot::Sender<Result<(), String>>,
    },
    /// Say whether a target that another replica keeps may delete objects.
    Delete {
        /// The target.
        target: String,
        /// The objects.
        objects: BTreeSet<String>,
        /// Who asks: an agent counts as a person.
        by: By,
        /// Whether it may.
        answer: oneshot::Sender<Ruling>,
    },
    /// Take in what the agent of a cluster tells.
    Told {
        /// The cluster.
        cluster: String,
        /// Its targets.
        told: Vec<Told>,
        /// What they did.
        history: Vec<HistoryEntry>,
    },
    /// Say what a sync would do.
    Plan {
        /// The target.
        target: String,
        /// What to plan.
        options: PlanOptions,
        /// The plan, or why there is none.
        answer: oneshot::Sender<Result<Preview>>,
    },
}

/// How an AppSet stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AppSetStanding {
    /// Its name.
    pub name: String,
    /// Whether its Apps are those that it asks for.
    pub state: AppSetState,
    /// The Apps that there are.
    pub apps: Vec<String>,
    /// Those that there are no more, and that prune what they applied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leaving: Vec<String>,
    /// Those that would go, and that wait until a person confirms it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<String>,
    /// What confirms exactly these.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub code: String,
    /// Why they are not those that it asks for.
    pub message: String,
}

/// Whether the Apps of an AppSet are those that it asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AppSetState {
    /// Nobody has looked yet; what was made before is there.
    #[default]
    Pending,
    /// They are.
    Made,
    /// They are those of before, and are to stay so.
    Suspended,
    /// They are those of before: what it asks for is not known.
    Failed,
    /// Some are there that it does not ask for any more, and wait for a person.
    Held,
    /// Some that it asks for do not fit the configuration.
    Misfit,
}

impl AppSetState {
    /// Whether nobody has to do anything.
    pub fn is_fine(self) -> bool {
        match self {
            Self::Made | Self::Suspended => true,
            Self::Pending | Self::Failed | Self::Held | Self::Misfit => false,
        }
    }
}

/// Whether the reconciler knows all that it should show.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readiness {
    /// What is not known yet, in words; empty when ready.
    pub missing: Vec<String>,
}

impl Readiness {
    /// Whether nothing is missing.
    pub fn is_ready(&self) -> bool {
        self.missing.is_empty()
    }
}

// A turn that cannot find out says why.
fn had_no_turn(status: &TargetStatus) -> bool {
    status.sync == SyncStatus::Unknown && status.message.is_empty()
}

/// The front of a reconciler.
#[derive(Clone, Debug)]
pub struct Handle {
    board: Board,
    inbox: mpsc::Sender<Request>,
}

/// What the reconciler shows of its targets.
#[derive(Clone, Debug)]
pub struct Board {
    shown: Arc<Mutex<Shown>>,
    generation: Arc<watch::Sender<u64>>,
    agents: Agents,
    refusals: Refusals,
}

#[derive(Debug, Default)]
struct Shown {
    configured: Option<BTreeSet<String>>,
    statuses: BTreeMap<String, TargetStatus>,
    hooks: Option<Arc<[Hook]>>,
    app_sets: Vec<AppSetStanding>,
    clusters: clusters::Clusters,
    /// The targets that this replica keeps; all where there is no other one.
    kept: Option<BTreeSet<String>>,
    /// Why this replica keeps nothing at present, if that is so.
    idle: Option<String>,
    /// Counts what is told to other replicas, and by target when that was last something new.
    sequence: u64,
    told: BTreeMap<String, u64>,
    /// A hash of what the configuration said of each target at its last turn.
    turned: BTreeMap<String, String>,
}

impl Shown {
    fn tell(&mut self, target: &str) {
        self.sequence += 1;
        self.told.insert(target.to_owned(), self.sequence);
    }

    fn keeps(&self, target: &str) -> bool {
        self.kept.as_ref().is_none_or(|kept| kept.contains(target))
    }
}

/// A handle, the board that it reads, and the inbox that it writes to.
pub fn open() -> (Handle, Board, mpsc::Receiver<Request>) {
    let generation = Arc::new(watch::Sender::new(0));
    let refusals = Refusals::default();
    let agents = Agents::new(refusals.clone());
    let board = Board { shown: Arc::default(), generation, agents, refusals };
    let (inbox, requests) = mpsc::channel(INBOX);
    (Handle { board: board.clone(), inbox }, board, requests)
}

impl Board {
    /// Says which targets are configured; the statuses of others are forgotten.
    pub fn configure(&self, targets: impl IntoIterator<Item = String>) {
        let mut shown = self.shown();
        let targets: BTreeSet<String> = targets.into_iter().collect();
        shown.statuses.retain(|target, _| targets.contains(target));
        shown.told.retain(|target, _| targets.contains(target));
        shown.turned.retain(|target, _| targets.contains(target));
        shown.configured = Some(targets);
        drop(shown);
        self.changed();
    }

    /// Says what is followed, and what webhooks have to prove that tell of it.
    pub fn listen(&self, hooks: Vec<Hook>) {
        self.shown().hooks = Some(hooks.into());
    }

    /// Shows how the AppSets stand.
    pub fn show_app_sets(&self, app_sets: Vec<AppSetStanding>) {
        let mut shown = self.shown();
        if shown.app_sets == app_sets {
            return;
        }
        shown.app_sets = app_sets;
        drop(shown);
        self.changed();
    }

    /// The seats of agents.
    pub fn agents(&self) -> &Agents {
        &self.agents
    }

    /// Who was refused for want of the right secret.
    pub fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// A counter that moves with each change of a status.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    /// Shows how a target stands.
    pub fn show(&self, status: TargetStatus) {
        let mut shown = self.shown();
        if shown.statuses.get(&status.target) == Some(&status) {
            return;
        }
        shown.tell(&status.target);
        shown.statuses.insert(status.target.clone(), status);
        drop(shown);
        self.changed();
    }

    /// Says which targets are this replica's.
    pub fn keep(&self, targets: BTreeSet<String>) {
        let mut shown = self.shown();
        let new: Vec<String> = targets.iter().filter(|target| !shown.keeps(target)).cloned().collect();
        for target in new {
            shown.tell(&target);
        }
        shown.kept = Some(targets);
        drop(shown);
        self.changed();
    }

    /// Says why this replica keeps nothing at present, if that is so.
    pub fn idle(&self, why: Option<String>) {
        self.shown().idle = why;
    }

    /// Says by what a target had its last turn.
    pub fn turned(&self, target: &str, of: String) {
        let mut shown = self.shown();
        if shown.turned.get(target) == Some(&of) {
            return;
        }
        shown.turned.insert(target.to_owned(), of);
        shown.tell(target);
        drop(shown);
        self.changed();
    }

    fn changed(&self) {
        self.generation.send_modify(|generation| *generation += 1);
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Handle {
    /// How each known target stands, sorted by name.
    pub fn statuses(&self) -> Vec<TargetStatus> {
        self.board.shown().statuses.values().cloned().collect()
    }

    /// How the AppSets stand, sorted by name.
    pub fn app_sets(&self) -> Vec<AppSetStanding> {
        self.board.shown().app_sets.clone()
    }

    /// How those stand that this replica keeps.
    pub fn kept(&self) -> Vec<TargetStatus> {
        let shown = self.board.shown();
        shown.statuses.values().filter(|status| shown.keeps(&status.target)).cloned().collect()
    }

    /// What is new of the targets that this replica keeps, since an earlier answer; all of it after 0.
    pub fn news(&self, after: u64) -> News {
        let shown = self.board.shown();
        let is_new = |target: &&String| shown.keeps(target) && shown.told.get(*target) > Some(&after);
        let told = shown.statuses.iter().filter(|(target, _)| is_new(target)).map(|(target, status)| Told {
            status: status.clone(),
            of: shown.turned.get(target).cloned().unwrap_or_default(),
        });
        // Who has heard of nothing yet asks after 0.
        News {
            targets: told.collect(),
            clusters: shown.clusters_after(after),
            sequence: shown.sequence.max(1),
        }
    }

    /// What is followed, as webhooks see it; none before the configuration is loaded.
    pub fn hooks(&self) -> Option<Arc<[Hook]>> {
        self.board.shown().hooks.clone()
    }

    /// Where is noted who was refused for want of the right secret.
    pub fn refusals(&self) -> &Refusals {
        self.board.refusals()
    }

    /// Has repositories asked now; waits for nothing.
    pub fn hint(&self, hints: Vec<Hint>, by: By) -> Result<()> {
        self.ask(Request::Ask(hints, by))
    }

    /// Has forges asked for pull requests now; waits for nothing.
    pub fn hint_pulls(&self, hints: Vec<PullHint>, by: By) -> Result<()> {
        self.ask(Request::AskForge(hints, by))
    }

    /// A counter that moves with each change of a status.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.board.generation.subscribe()
    }

    /// Whether the configuration and the first status of every target are known.
    pub fn ready(&self) -> Readiness {
        let shown = self.board.shown();
        let missing = match &shown.configured {
            None => vec!["the configuration is not loaded yet".to_owned()],
            Some(targets) => targets
                .iter()
                .filter(|target| shown.keeps(target))
                .filter(|target| shown.statuses.get(*target).is_none_or(had_no_turn))
                .map(|target| format!("the status of {target} is not known yet"))
                .chain(shown.idle.clone())
                .collect(),
        };
        Readiness { missing }
    }

    /// Asks for a turn of these targets, all where none is named, with what deletions beyond the budget are approved; gives the
    /// targets that were meant.
    pub async fn sync(
        &self,
        targets: Vec<String>,
        confirm: Option<String>,
        wait: Wait,
        by: By,
    ) -> Result<Vec<String>, String> {
        let (answer, answered) = oneshot::channel();
        self.ask(Request::Sync { targets, confirm, wait, by, answer }).map_err(|error| error.to_string())?;
        answered.await.map_err(|_| "trueup is stopping".to_owned())?
    }

    /// Lets the Apps go that an AppSet holds; gives their names. The inner error is why not.
    pub async fn confirm(&self, confirmation: Confirmation, by: By) -> Result<Result<Vec<String>, String>> {
        let (answer, answered) = oneshot::channel();
        self.ask(Request::Confirm { confirmation, by, answer })?;
        answered.await.context("trueup is stopping")
    }

    /// Asks what a sync of the target would do.
    pub async fn plan(&self, target: &str, options: PlanOptions) -> Result<Preview> {
        let (answer, answered) = oneshot::channel();
        self.ask(Request::Plan { target: target.to_owned(), options, answer })?;
        answered.await.context("trueup is stopping")?
    }

    /// Asks whether a target that another replica keeps may begin with a commit; the inner error is why it may not.
    pub async fn may_begin(&self, wish: BeginRequest, by: By) -> Result<Result<(), String>> {
        let (answer, answered) = oneshot::channel();
        self.ask(Request::Begin { target: wish.target, revision: wish.revision, by, answer })?;
        answered.await.context("trueup is stopping")
    }

    /// Asks whether a target that another replica keeps may delete objects.
    pub async fn may_delete(&self, wish: DeleteRequest, by: By) -> Result<Ruling> {
        let (answer, answered) = oneshot::channel();
        self.ask(Request::Delete { target: wish.target, objects: wish.objects, by, answer })?;
        answered.await.context("trueup is stopping")
    }

    /// The seats of agents.
    pub fn agents(&self) -> &Agents {
        &self.board.agents
    }

    /// Takes in what the agent of a cluster tells.
    pub fn told(&self, cluster: &str, told: Vec<Told>, history: Vec<HistoryEntry>) -> Result<()> {
        self.ask(Request::Told { cluster: cluster.to_owned(), told, history })
    }

    fn ask(&self, request: Request) -> Result<()> {
        self.inbox.try_send(request).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => anyhow!("too many requests wait already; try again"),
            mpsc::error::TrySendError::Closed(_) => anyhow!("trueup is stopping"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(target: &str, sync: SyncStatus) -> TargetStatus {
        TargetStatus { target: target.into(), sync, ..TargetStatus::default() }
    }

    #[test]
    fn the_generation_moves_only_when_something_else_is_shown() {
        let (handle, board, _requests) = open();
        let mut generation = handle.subscribe();
        board.show(status("web@staging", SyncStatus::Syncing));
        assert!(generation.has_changed().unwrap());
        generation.mark_unchanged();
        board.show(status("web@staging", SyncStatus::Syncing));
        assert!(!generation.has_changed().unwrap());
        board.show(status("web@staging", SyncStatus::Synced));
        assert!(generation.has_changed().unwrap());
    }

    #[test]
    fn a_target_that_is_not_configured_any_more_is_forgotten() {
        let (handle, board, _requests) = open();
        for target in ["web@staging", "db@staging"] {
            board.show(status(target, SyncStatus::Synced));
        }
        board.configure(["web@staging".to_owned(), "api@staging".to_owned()]);
        assert_eq!(handle.statuses(), [status("web@staging", SyncStatus::Synced)]);
        assert_eq!(handle.ready().missing, ["the status of api@staging is not known yet"]);
    }

    #[test]
    fn other_replicas_are_told_what_is_new_of_the_targets_that_are_kept_here() {
        let (handle, board, _requests) = open();
        let told = |after| {
            let news = handle.news(after);
            let words = news.targets.iter().map(|told| format!("{} {}", told.status.target, told.of));
            (words.collect::<Vec<_>>(), news.sequence)
        };
        board.configure(["api@staging", "web@staging"].map(str::to_owned));
        board.keep(BTreeSet::new());
        for target in ["api@staging", "web@staging"] {
            board.show(status(target, SyncStatus::Synced));
        }
        let (nothing, sequence) = told(0);
        assert_eq!((nothing, handle.kept(), handle.ready().missing), (Vec::new(), Vec::new(), Vec::new()));
        board.keep(["web@staging".to_owned()].into());
        let (taken_over, sequence) = (told(sequence).0, told(sequence).1);
        assert_eq!(taken_over, ["web@staging "]);
        assert_eq!(told(sequence).0, Vec::<String>::new());
        board.turned("web@staging", "1f".to_owned());
        board.show(status("api@staging", SyncStatus::Failed));
        assert_eq!(told(sequence).0, ["web@staging 1f"]);
        board.idle(Some("this replica has no Lease".to_owned()));
        assert_eq!(handle.ready().missing, ["this replica has no Lease"]);
    }

    #[tokio::test]
    async fn more_requests_than_the_inbox_holds_are_told_to_come_back() {
        let (handle, _board, requests) = open();
        let waiting: Vec<_> = (0..INBOX)
            .map(|_| {
                let handle = handle.clone();
                tokio::spawn(async move { handle.sync(Vec::new(), None, Wait::Queued, By::Person).await })
            })
            .collect();
        while requests.len() < INBOX {
            tokio::task::yield_now().await;
        }
        let error = handle.plan("web@staging", PlanOptions::default()).await.unwrap_err().to_string();
        assert!(error.contains("too many requests"), "{error}");
        drop(requests);
        for answer in waiting {
            assert_eq!(answer.await.unwrap(), Err("trueup is stopping".to_owned()));
        }
    }
}

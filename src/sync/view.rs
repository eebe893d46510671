//! How the rest of trueup sees the reconciler, and asks things of it.
//!
//! A [`Handle`] reads a [`Board`] that the reconciler writes, and puts [`Request`]s in the reconciler's inbox. What
//! leaves here is fit to be shown: a [`Preview`] never carries a secret's value.
//!
//! Deliberately absent: any decision, and any call to Git or a cluster.

use super::hooks::{Hint, Hook};
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
use trueup_plan::record::{SyncStatus, TargetStatus};

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

/// A thing that somebody asks of the reconciler.
#[derive(Debug)]
pub enum Request {
    /// Look at these targets now; all of them where none is named.
    Sync {
        /// The targets.
        targets: Vec<String>,
        /// The code of deletions beyond the budget that are approved.
        confirm: Option<String>,
        /// When to answer.
        wait: Wait,
        /// The targets that were meant, or why not.
        answer: oneshot::Sender<Result<Vec<String>, String>>,
    },
    /// Ask these repositories now.
    Ask(Vec<Hint>),
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
}

#[derive(Debug, Default)]
struct Shown {
    configured: Option<BTreeSet<String>>,
    statuses: BTreeMap<String, TargetStatus>,
    hooks: Option<Arc<[Hook]>>,
}

/// A handle, the board that it reads, and the inbox that it writes to.
pub fn open() -> (Handle, Board, mpsc::Receiver<Request>) {
    let board = Board { shown: Arc::default(), generation: Arc::new(watch::Sender::new(0)) };
    let (inbox, requests) = mpsc::channel(INBOX);
    (Handle { board: board.clone(), inbox }, board, requests)
}

impl Board {
    /// Says which targets are configured; the statuses of others are forgotten.
    pub fn configure(&self, targets: impl IntoIterator<Item = String>) {
        let mut shown = self.shown();
        let targets: BTreeSet<String> = targets.into_iter().collect();
        shown.statuses.retain(|target, _| targets.contains(target));
        shown.configured = Some(targets);
        drop(shown);
        self.changed();
    }

    /// Says which Repositories there are, and what their webhooks have to prove.
    pub fn listen(&self, hooks: Vec<Hook>) {
        self.shown().hooks = Some(hooks.into());
    }

    /// A counter that moves with each change of a status.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    /// Shows how a target stands.
    pub fn show(&self, status: TargetStatus) {
        let before = self.shown().statuses.insert(status.target.clone(), status.clone());
        if before != Some(status) {
            self.changed();
        }
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

    /// The Repositories, as webhooks see them; none before the configuration is loaded.
    pub fn hooks(&self) -> Option<Arc<[Hook]>> {
        self.board.shown().hooks.clone()
    }

    /// Has repositories asked now; waits for nothing.
    pub fn hint(&self, hints: Vec<Hint>) -> Result<()> {
        self.ask(Request::Ask(hints))
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
                .filter(|target| shown.statuses.get(*target).is_none_or(had_no_turn))
                .map(|target| format!("the status of {target} is not known yet"))
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
    ) -> Result<Vec<String>, String> {
        let (answer, answered) = oneshot::channel();
        self.ask(Request::Sync { targets, confirm, wait, answer }).map_err(|error| error.to_string())?;
        answered.await.map_err(|_| "trueup is stopping".to_owned())?
    }

    /// Asks what a sync of the target would do.
    pub async fn plan(&self, target: &str, options: PlanOptions) -> Result<Preview> {
        let (answer, answered) = oneshot::channel();
        self.ask(Request::Plan { target: target.to_owned(), options, answer })?;
        answered.await.context("trueup is stopping")?
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

    #[tokio::test]
    async fn more_requests_than_the_inbox_holds_are_told_to_come_back() {
        let (handle, _board, requests) = open();
        let waiting: Vec<_> = (0..INBOX)
            .map(|_| {
                let handle = handle.clone();
                tokio::spawn(async move { handle.sync(Vec::new(), None, Wait::Queued).await })
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

//! One turn of one target: the stages in order, and nothing else that orders them.
//!
//! Enters: the target, what is remembered of it, the commit that it should be at. Leaves: how it stands, what to remember,
//! and when to look again. Every error ends in the status; nothing that could not be read is taken for absent.

use super::awaited::awaited;
use super::backoff::{self, Refusal};
use super::bases::Bases;
use super::carry::{Carried, Orders, carry};
use super::charts::Charts;
use super::deletions::{self, Ruling};
use super::desire::{Undesired, desire};
use super::directory::Directory;
use super::given;
use super::hooked;
use super::ignore;
use super::judge::{Judgement, judge};
use super::leave::{Progress, leave};
use super::look::{End, View, look};
use super::membership;
use super::rehearsal::{Atomic, Rehearsed, rehearse};
use super::seed;
use super::status::{LISTED, Standing, health, standing};
use super::target::{Mode, Presence, TargetSpec, TargetState};
use crate::ambient;
use crate::cluster::Cluster;
use crate::render::Parsed;
use crate::source::Commit;
use crate::web::metrics::{Metrics, Stage};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use trueup_merge::rewrite::Rewritten;
use trueup_merge::secrets::MaskKey;
use trueup_model::ObjectId;
use trueup_plan::desired::Desired;
use trueup_plan::drift::{Drifted, drifted};
use trueup_plan::observed::{Observed, Verdict};
use trueup_plan::planning::{Action, Drift, Plan, Policy, Reason, Step, plan};
use trueup_plan::record::{
    BasePin, ChartPin, HistoryEntry, Outcome, OutcomeResult, Record, RewrittenField, SyncStatus,
    TargetStatus, Trigger,
};
use trueup_plan::waves;

/// How soon a turn looks again at what is on its way out.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How soon after a wave the next one is tried: most objects are well as soon as they are written.
const NEXT_WAVE: Duration = Duration::from_millis(20);
/// How soon a target that waits for another one looks whether it still has to.
pub(super) const BLOCKED: Duration = Duration::from_secs(5);
/// The same in a rollout: who is next is told.
const HELD_BACK: Duration = Duration::from_mins(1);
/// How soon a record is tried again that could not be written.
const RECORD_AGAIN: Duration = Duration::from_secs(5);
/// Fields that are left to others, or rewritten, and that a status lists at most.
const FIELDS_LISTED: usize = 50;

/// What a turn needs besides the target itself.
pub struct Context<'a> {
    /// The target's cluster.
    pub cluster: &'a Cluster,
    /// The commit, or why there is none.
    pub commit: Result<Arc<Commit>, Uncommitted>,
    /// What is wrong with the repository, if a commit is known all the same.
    pub repository_trouble: Option<String>,
    /// What is known of remote bases.
    pub bases: &'a Bases,
    /// What is known of charts from elsewhere.
    pub charts: &'a Charts,
    /// Where other targets of the same repository are rendered from.
    pub beside: &'a (dyn Fn() -> BTreeSet<String> + Send + Sync),
    /// What other targets want and own.
    pub directory: &'a Directory,
    /// What it waits for before it begins with a commit, or before it is pruned, if anything: a sentence for people.
    pub waits_for: Option<String>,
    /// Whether a target is on its way out.
    pub is_leaving: &'a (dyn Fn(&str) -> bool + Send + Sync),
    /// Whether the target may begin with a commit, as far as a rollout over clusters is concerned; why not.
    pub begin: &'a (dyn Fn(&str) -> Result<(), String> + Send + Sync),
    /// Whether the target may delete these objects, as far as the budget of its repository is concerned.
    pub delete: &'a (dyn Fn(&BTreeSet<ObjectId>) -> Ruling + Send + Sync),
    /// Where durations are counted.
    pub metrics: &'a Metrics,
    /// The files that were parsed for other targets and for earlier commits.
    pub parsed: &'a Parsed,
    /// By which values of Secrets are hashed where a difference is told.
    pub mask: &'a MaskKey,
    /// Ends the turn early.
    pub stop: &'a CancellationToken,
    /// Shows a status while the turn goes on.
    pub show: &'a (dyn Fn(TargetStatus) + Send + Sync),
}

/// What a turn leaves.
pub struct Turned {
    /// Status and history.
    pub record: Record,
    /// When to look again without any other reason.
    pub again: Duration,
    /// When to ask the cluster again for what the rendering took from it.
    pub inquires: Option<Duration>,
    /// How far it is, where it is on its way out.
    pub leaving: Option<Progress>,
    /// Whether it ended before its sources were read for the first time: it says nothing of the target, and comes again.
    pub is_early: bool,
}

/// Why there is no commit.
#[derive(Clone, Debug)]
pub enum Uncommitted {
    /// The repository has not been read yet. When it is, or cannot be, the target is asked for again.
    Unread(String),
    /// Something is wrong.
    Trouble(String),
}

/// Runs one turn.
pub async fn turn(
    context: &Context<'_>,
    spec: &TargetSpec,
    state: &mut TargetState,
    trigger: Trigger,
) -> Turned {
    let started = ambient::now();
    forget_attempts(context, state, trigger);
    let (mut leaving, mut is_early) = (None, false);
    let result = match spec.presence {
        Presence::Wanted => stages(context, spec, state, trigger).await,
        Presence::Leaving => leave(context, spec, state).await.map(|(done, progress)| {
            leaving = Some(progress);
            done
        }),
    };
    let (mut status, outcomes, again, drift) = match result {
        Ok(done) => (done.status, done.outcomes, done.again, done.drift),
        Err(Ending::Superseded) => {
            let unheard = state.status.target.is_empty();
            let status = if unheard { base_status(spec, state) } else { state.status.clone() };
            return Turned {
                record: Record { status, history: None, drift: Vec::new() },
                again: spec.interval,
                inquires: inquires(spec, state),
                leaving: None,
                is_early: false,
            };
        }
        Err(Ending::Trouble { trouble, is_early: early }) => {
            is_early = early;
            state.attempts += 1;
            let mut status = base_status(spec, state);
            status.sync = trouble.sync;
            status.message.clone_from(&trouble.message);
            leaving = spec.is_leaving().then(|| Progress::OutOfReach(trouble.message.clone()));
            status.errors = vec![trouble.message];
            (status, Vec::new(), spec.retry.pause(state.attempts, ambient::fraction()), Vec::new())
        }
    };
    if let Some(rendering) = &state.rendering {
        status.bases = context.bases.pins(&rendering.bases);
        status.chart = given::chart_pin(context, spec, rendering);
        status.inputs = given::inputs(rendering);
    }
    if status.message.is_empty()
        && !spec.is_leaving()
        && let Some(trouble) = context
            .repository_trouble
            .clone()
            .or_else(|| base_trouble(&status))
            .or_else(|| given::chart_trouble(&status))
    {
        status.message = trouble;
    }
    let history = history_entry(context, spec, &status, outcomes, trigger, started);
    if history.as_ref().is_some_and(|entry| entry.result == SyncStatus::Synced)
        || status.sync == SyncStatus::Synced
    {
        state.attempts = 0;
    }
    state.status = status.clone();
    Turned {
        record: Record { status, history, drift },
        again: again.unwrap_or(spec.interval).min(spec.interval),
        inquires: inquires(spec, state),
        leaving,
        is_early,
    }
}

// Nobody asks for a target that has no turns.
fn inquires(spec: &TargetSpec, state: &TargetState) -> Option<Duration> {
    match (spec.presence, spec.mode) {
        (Presence::Wanted, Mode::Automatic | Mode::Manual) => {
            state.inquiries.due_in(spec.inquire, Instant::now())
        }
        (Presence::Leaving, _) | (_, Mode::Suspended) => None,
    }
}

// A base that cannot be looked at again stays as it is.
fn base_trouble(status: &TargetStatus) -> Option<String> {
    let pin = status.bases.iter().find(|pin| !pin.message.is_empty())?;
    Some(format!("the base {pin} stays at {}: {}", short(&pin.revision), pin.message))
}

// Another commit, or a person who asks, is a new beginning.
fn forget_attempts(context: &Context<'_>, state: &mut TargetState, trigger: Trigger) {
    let revision = context.commit.as_ref().map(|commit| commit.revision.as_str()).unwrap_or_default();
    if trigger == Trigger::Manual {
        state.kept.doubt();
        if let Some(run) = &mut state.status.run {
            run.retry_failed();
        }
    }
    if trigger == Trigger::Manual || state.attempted != revision {
        state.attempts = 0;
        state.inquiries.doubt();
        revision.clone_into(&mut state.attempted);
    }
}

/// Why a turn ended before it could plan.
pub(super) struct Trouble {
    pub(super) sync: SyncStatus,
    pub(super) message: String,
}

impl Trouble {
    pub(super) fn unknown(message: String) -> Self {
        Self { sync: SyncStatus::Unknown, message }
    }

    pub(super) fn into_error(self) -> anyhow::Error {
        anyhow::Error::msg(self.message)
    }
}

/// Why a turn has nothing to conclude.
pub(super) enum Ending {
    Trouble {
        trouble: Trouble,
        /// Whether it is only that a source has not been read yet.
        is_early: bool,
    },
    /// Something newer is in the queue already.
    Superseded,
}

impl From<Undesired> for Ending {
    fn from(undesired: Undesired) -> Self {
        match undesired {
            Undesired::Trouble(trouble) => trouble.into(),
            Undesired::Unread(message) => {
                Self::Trouble { trouble: Trouble::unknown(message), is_early: true }
            }
        }
    }
}

impl From<Uncommitted> for Ending {
    fn from(uncommitted: Uncommitted) -> Self {
        match uncommitted {
            Uncommitted::Unread(message) => {
                Self::Trouble { trouble: Trouble::unknown(message), is_early: true }
            }
            Uncommitted::Trouble(message) => Trouble::unknown(message).into(),
        }
    }
}

impl From<Trouble> for Ending {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble { trouble, is_early: false }
    }
}

// Between two stages a turn makes way for a newer commit.
pub(super) fn go_on(context: &Context<'_>) -> Result<(), Ending> {
    if context.stop.is_cancelled() { Err(Ending::Superseded) } else { Ok(()) }
}

pub(super) struct Done {
    pub(super) status: TargetStatus,
    pub(super) outcomes: Vec<Outcome>,
    pub(super) again: Option<Duration>,
    pub(super) drift: Vec<Drifted>,
    /// All objects that are not well.
    pub(super) unwell: Vec<ObjectId>,
}

impl Done {
    /// Says what kept the target from being at the commit, if something did: it cannot be rendered, or has to wait.
    fn hindered_by(&mut self, broken: Option<String>, blocked: Option<(String, Duration)>, commit: &Commit) {
        if let Some(message) = broken {
            self.status.sync = SyncStatus::Failed;
            self.status.errors.insert(0, message.clone());
            self.status.message = message;
            self.status.wanted_revision.clone_from(&commit.revision);
        } else if let Some((why, again)) = blocked {
            self.status.sync = SyncStatus::OutOfSync;
            self.status.message = why;
            self.again = Some(again);
        }
    }
}

async fn stages(
    context: &Context<'_>,
    spec: &TargetSpec,
    state: &mut TargetState,
    trigger: Trigger,
) -> Result<Done, Ending> {
    if spec.mode == Mode::Suspended {
        let status =
            TargetStatus { suspended: true, message: "suspended".to_owned(), ..base_status(spec, state) };
        return Ok(Done { status, outcomes: Vec::new(), again: None, drift: Vec::new(), unwell: Vec::new() });
    }
    let commit = context.commit.clone()?;
    let (desired, broken) = desire(context, spec, state, &commit).await?;
    if state.calm.as_ref().is_none_or(|calm| !calm.is_of(&desired)) {
        context.directory.claim(&spec.name, &spec.cluster, &desired);
    }
    go_on(context)?;

    let clock = Instant::now();
    let mut view = look(context, spec, state, &desired, trigger).await?;
    context.metrics.stage(Stage::Observe, clock.elapsed());
    context.metrics.looked_at(view.desired.objects.len());
    go_on(context)?;

    view.observed.applied.clone_from(&state.status.revision);
    let (desired, unread) = ignore::fit(context.cluster, state, &view.desired, &view.observed).await;
    view.desired = desired;
    hooked::place(state, &mut view);
    let judgement = judge(context.cluster, spec, state, &view, context.mask, trigger).await;
    go_on(context)?;
    let awaited = awaited(spec, state, &view.desired, context.directory, Instant::now());
    let again = [judgement.again, awaited.again];
    learn(state, &mut view.observed, judgement, unread);
    view.observed.awaited = awaited.kinds;
    view.observed.approval.clone_from(&state.approval);
    view.observed.foundations.clone_from(&spec.made_of);
    let clock = Instant::now();
    let mut plan = plan(&view.desired, &view.observed, &state.ledger, &policy(spec, trigger));
    state.approval = state.approval.take().and_then(|approval| approval.after(&plan.steps));
    let before = state.ledger.clone();
    let (planned, next) = hooked::settle(context.cluster, state, &mut view, plan).await;
    plan = planned;
    context.metrics.stage(Stage::Plan, clock.elapsed());

    let revision = desired_revision(state, &commit, broken.as_ref());
    let may_write = may_write(spec, state, trigger, &revision);
    let blocked = blocked(context, state, &plan, &revision, may_write);
    let may_write = may_write && blocked.is_none();
    deletions::settle(context, spec, state, &mut plan, may_write);
    let stopped = if may_write { rehearsed(context, spec, state, &view.desired, &plan).await } else { None };
    plan = waves::due(plan, &view.desired, &view.observed, &view.settled);
    let outcomes = match stopped {
        Some(outcomes) => outcomes,
        None if may_write && plan.writes().next().is_some() => {
            write(context, spec, state, &view, &plan, &revision).await?
        }
        None => Vec::new(),
    };
    deletions::note(spec, state, &plan, &outcomes);
    let drift = drifted(&plan, &outcomes, &before);
    let pause = pause(state, &plan, &outcomes, next == hooked::Next::Moved);
    state.asked_for = (may_write && goes_on(&plan, &outcomes)).then(|| revision.clone());
    let all_done = outcomes.len() == plan.steps.len()
        && outcomes.iter().all(|outcome| outcome.result == OutcomeResult::Done)
        && !goes_on(&plan, &outcomes);
    let mut done = conclude(context, spec, state, &view, &plan, outcomes, &revision).await;
    if next != hooked::Next::Nothing {
        // What ended is deleted once that is recorded.
        done.again = done.again.into_iter().chain([NEXT_WAVE]).min();
    }
    done.drift = drift;
    let is_held = broken.is_some() || blocked.is_some();
    done.hindered_by(broken, blocked, &commit);
    done.again = again.into_iter().chain([done.again]).flatten().min();
    let unwell = std::mem::take(&mut done.unwell);
    let end = End { status: &done.status, all_done, looks_again: is_held || done.again.is_some(), unwell };
    state.calm = view.calm(spec, state, end);
    let asked = [done.again, state.causes.due_in()].into_iter().flatten().min();
    done.again = backoff::next(asked, pause, membership::lingers(state));
    Ok(done)
}

/// How long to wait at least for a turn that nothing but time asks for: longer and longer while turns come to the same.
fn pause(state: &mut TargetState, plan: &Plan, outcomes: &[Outcome], hooks_moved: bool) -> Duration {
    if hooks_moved || outcomes.iter().any(|outcome| outcome.result == OutcomeResult::Done) {
        state.repeats.end();
        return Duration::ZERO;
    }
    let mut came_to = DefaultHasher::new();
    for step in &plan.steps {
        (&step.id, step.action as u8).hash(&mut came_to);
    }
    for outcome in outcomes {
        (outcome.result as u8).hash(&mut came_to);
    }
    state.repeats.pause(came_to.finish())
}

/// Why a target may not begin with a commit yet, and when to look whether it may.
fn blocked(
    context: &Context<'_>,
    state: &TargetState,
    plan: &Plan,
    revision: &str,
    may_write: bool,
) -> Option<(String, Duration)> {
    if state.status.revision == revision {
        return None;
    }
    if let Some(why) = &context.waits_for {
        return Some((why.clone(), BLOCKED));
    }
    // Who has nothing to write waits for nobody.
    let begins = may_write && plan.writes().next().is_some();
    if begins { (context.begin)(revision).err().map(|why| (why, HELD_BACK)) } else { None }
}

// A person's request holds until the sync that it began is through.
fn may_write(spec: &TargetSpec, state: &TargetState, trigger: Trigger, revision: &str) -> bool {
    match spec.mode {
        Mode::Automatic => true,
        Mode::Manual => trigger == Trigger::Manual || state.asked_for.as_deref() == Some(revision),
        Mode::Suspended => false,
    }
}

fn desired_revision(state: &TargetState, commit: &Commit, broken: Option<&String>) -> String {
    match (&state.rendering, broken) {
        (Some(rendering), Some(_)) => rendering.revision.clone(),
        (_, _) => commit.revision.clone(),
    }
}

/// The status as it was, with the target's names: what a turn starts from.
pub(super) fn base_status(spec: &TargetSpec, state: &TargetState) -> TargetStatus {
    TargetStatus {
        target: spec.name.clone(),
        app: spec.app.clone(),
        environment: spec.environment.clone(),
        cluster: spec.cluster.clone(),
        errors: Vec::new(),
        message: String::new(),
        suspended: false,
        parting: None,
        ..state.status.clone()
    }
}

/// What a target says that waits for another.
pub(super) fn waits_until(other: &str) -> String {
    format!("waits until {other} is Synced and Healthy")
}

/// The first eight digits of a revision; of a chart its version.
pub(super) fn short(revision: &str) -> &str {
    match revision.split_once("@sha256:") {
        Some((version, _)) => version,
        None => revision.get(..8).unwrap_or(revision),
    }
}

/// Whoever asks for a sync wants the cluster as Git has it, also where drift is only reported otherwise.
pub(super) fn policy(spec: &TargetSpec, trigger: Trigger) -> Policy {
    match trigger {
        Trigger::Manual => Policy { drift: Drift::Repair, ..spec.policy },
        Trigger::Drift | Trigger::Commit | Trigger::Configuration | Trigger::Retry | Trigger::Timer => {
            spec.policy
        }
    }
}

pub(super) fn learn(
    state: &mut TargetState,
    observed: &mut Observed,
    judgement: Judgement,
    unread: BTreeMap<ObjectId, Verdict>,
) {
    note_rewritten(&mut state.status, &judgement.rewritten);
    observed.verdicts = judgement.verdicts;
    observed.verdicts.extend(unread);
    if !judgement.proven.is_empty() {
        Arc::make_mut(&mut state.ledger).extend(judgement.proven);
    }
    state.audited = judgement.at.or(state.audited);
    state.reviewed = judgement.reviewed;
}

/// Notes what admission makes of fields of objects of which this is known now.
fn note_rewritten(status: &mut TargetStatus, found: &[(ObjectId, Vec<Rewritten>)]) {
    for (id, fields) in found {
        status.rewritten.retain(|field| field.object != *id);
        let room = FIELDS_LISTED.saturating_sub(status.rewritten.len());
        let named = |field: &Rewritten| RewrittenField { object: id.clone(), field: field.clone() };
        status.rewritten.extend(fields.iter().take(room).map(named));
    }
}

/// What became of the plan of an atomic target that cannot be carried out in full.
async fn rehearsed(
    context: &Context<'_>,
    spec: &TargetSpec,
    state: &mut TargetState,
    desired: &Desired,
    plan: &Plan,
) -> Option<Vec<Outcome>> {
    if spec.atomic == Atomic::Each || plan.writes().next().is_none() {
        return None;
    }
    match rehearse(context.cluster, spec, state, desired, plan).await {
        Rehearsed::Passed => None,
        Rehearsed::Stopped(carried) => {
            remember(spec, state, desired, plan, &carried);
            Some(carried.outcomes)
        }
    }
}

async fn write(
    context: &Context<'_>,
    spec: &TargetSpec,
    state: &mut TargetState,
    view: &View,
    plan: &Plan,
    revision: &str,
) -> Result<Vec<Outcome>, Trouble> {
    let desired = &view.desired;
    let failed = |message: String| Trouble { sync: SyncStatus::Failed, message };
    // What failed before and is tried again goes on to say why, until it is known to be better.
    let is_retry = state.status.sync == SyncStatus::Failed && state.status.wanted_revision == revision;
    if !is_retry {
        (context.show)(TargetStatus {
            sync: SyncStatus::Syncing,
            wanted_revision: revision.to_owned(),
            objects: view.whole().objects.len(),
            ..base_status(spec, state)
        });
    }
    membership::confirm(context.cluster, state).await.map_err(failed)?;
    membership::grow(context.cluster, spec, state, desired).await.map_err(failed)?;
    seed::keep(context.cluster, spec, state).await.map_err(failed)?;
    let clock = Instant::now();
    let orders = Orders {
        force: spec.force,
        migrate: &view.migrate,
        mask: context.mask,
        stop: context.stop,
        interruptions: state.confirmed.unwrap_or_default(),
    };
    let carried = carry(context.cluster, desired, plan, &orders).await;
    context.metrics.stage(Stage::Apply, clock.elapsed());
    remember(spec, state, desired, plan, &carried);
    Ok(carried.outcomes)
}

fn remember(spec: &TargetSpec, state: &mut TargetState, desired: &Desired, plan: &Plan, carried: &Carried) {
    let now = Instant::now();
    for (step, outcome) in plan.steps.iter().zip(&carried.outcomes) {
        let digest = desired.objects.get(&step.id).map(|want| want.digest);
        match (outcome.result, digest) {
            (OutcomeResult::Failed, Some(digest)) if !carried.immutable.contains_key(&step.id) => {
                let attempts =
                    state.refusals.get(&step.id).filter(|r| r.digest == digest).map_or(0, |r| r.attempts) + 1;
                let again = now + spec.retry.pause_of_object(attempts, ambient::fraction());
                let message = outcome.message.clone();
                state.refusals.insert(step.id.clone(), Refusal { digest, attempts, again, message });
            }
            (OutcomeResult::Done, _) => {
                state.refusals.remove(&step.id);
                state.immutable.remove(&step.id);
                if matches!(step.reason, Reason::Drifted(_)) {
                    state.fights.repaired(&step.id, now);
                }
                if matches!(step.action, Action::Delete | Action::Recreate) {
                    Arc::make_mut(&mut state.ledger).remove(&step.id);
                }
            }
            (_, _) => {}
        }
    }
    if !carried.known.is_empty() {
        Arc::make_mut(&mut state.ledger).extend(carried.known.iter().cloned());
    }
    if let Some(run) = &mut state.status.run {
        carried.hooks.iter().for_each(|(id, uid)| run.note_made(id, uid));
    }
    note_rewritten(&mut state.status, &carried.rewritten);
    for (id, fields) in &carried.immutable {
        if let Some(want) = desired.objects.get(id) {
            state.immutable.insert(id.clone(), (want.digest, fields.clone()));
        }
    }
}

async fn conclude(
    context: &Context<'_>,
    spec: &TargetSpec,
    state: &mut TargetState,
    view: &View,
    plan: &Plan,
    outcomes: Vec<Outcome>,
    revision: &str,
) -> Done {
    let clock = Instant::now();
    let desired = view.whole();
    let Standing { sync, message, errors, drift, drifted, prune_pending } = standing(plan, &outcomes);
    let members = view.members(context.cluster, spec.set());
    if view.is_whole() {
        state.forget(desired, plan);
    }
    let (health, mut unhealthy) = health(view.maybe_unwell().filter(|id| !spec.is_itself(id)), &members);
    let unwell = unhealthy.iter().map(|object| object.id.clone()).collect();
    state.causes.explain(context.cluster, &members, &mut unhealthy).await;
    unhealthy.truncate(LISTED);
    let mut status = base_status(spec, state);
    if sync == SyncStatus::Synced {
        if status.revision != revision || !outcomes.is_empty() || status.last_sync.is_none() {
            status.last_sync = Some(ambient::now());
        }
        revision.clone_into(&mut status.revision);
        status.wanted_revision.clear();
    } else {
        status.wanted_revision =
            if status.revision == revision { String::new() } else { revision.to_owned() };
    }
    status.rewritten.retain(|field| desired.objects.contains_key(&field.object));
    status.message = if !message.is_empty() {
        message
    } else if let Some(unwell) = unhealthy.first() {
        format!("{}: {}", unwell.id, unwell.health.message)
    } else {
        rewritten_message(&status.rewritten)
    };
    status.sync = sync;
    status.errors = errors;
    status.drift = drift;
    status.drifted = drifted;
    status.prune_pending = prune_pending;
    status.health = health;
    status.objects = desired.objects.len();
    status.ignored = state.fits.ignored().take(FIELDS_LISTED).cloned().collect();
    status.unhealthy = unhealthy;
    context.metrics.stage(Stage::Health, clock.elapsed());
    let has_lingered = membership::lingers(state).is_some_and(|left| left.is_zero());
    let behind = if !outcomes.is_empty() || has_lingered {
        membership::AT_ONCE
    } else {
        membership::behind(spec, state, desired, &status)
    };
    let has_news = behind == membership::AT_ONCE;
    let is_recorded =
        !has_news || membership::settle(context.cluster, spec, state, desired, &members, &status).await;
    let has_let_go = membership::let_go(context.cluster, state).await;
    let failed = outcomes
        .iter()
        .any(|outcome| matches!(outcome.result, OutcomeResult::Failed | OutcomeResult::Skipped));
    let again = if failed {
        state.attempts += 1;
        let now = Instant::now();
        // One that could have been tried and was not waits for something else.
        let later = state.refusals.values().filter(|refusal| refusal.again > now);
        let refused = later.map(|refusal| refusal.again.duration_since(now)).min();
        [spec.retry.pause(state.attempts, ambient::fraction()), refused].into_iter().flatten().min()
    } else if recreated(plan, &outcomes) || !has_let_go {
        Some(LOOK_AGAIN)
    } else {
        plan.steps.iter().filter_map(|step| look_again(step, &outcomes)).min()
    };
    let record_again = if has_news { (!is_recorded).then_some(RECORD_AGAIN) } else { behind };
    let again = again.into_iter().chain(record_again).min();
    Done { status, outcomes, again, drift: Vec::new(), unwell }
}

// The cluster is as Git says, as far as it lets itself be: that is Synced, and worth a word.
fn rewritten_message(fields: &[RewrittenField]) -> String {
    let Some(first) = fields.first() else { return String::new() };
    let more = match fields.len() - 1 {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    format!("{}: {} is rewritten on admission{more}", first.object, first.field.field)
}

// What is waited for comes as a trigger of its own; only what may have come already is looked for at once.
fn look_again(step: &Step, outcomes: &[Outcome]) -> Option<Duration> {
    let is_wave = matches!(step.reason, Reason::EarlierWave(_, _, _));
    if step.action != Action::Wait
        || matches!(step.reason, Reason::Unserved(_) | Reason::NotInGit | Reason::HookRuns(_))
    {
        None
    } else if is_wave {
        (!outcomes.is_empty()).then_some(NEXT_WAVE)
    } else {
        Some(LOOK_AGAIN)
    }
}

// Whether the sync that was begun has further turns to come.
fn goes_on(plan: &Plan, outcomes: &[Outcome]) -> bool {
    let comes_later = |step: &Step| {
        matches!(
            step.reason,
            Reason::EarlierWave(_, _, _) | Reason::Unserved(_) | Reason::BeingDeleted | Reason::HookRuns(_)
        )
    };
    recreated(plan, outcomes) || plan.steps.iter().any(comes_later)
}

fn recreated(plan: &Plan, outcomes: &[Outcome]) -> bool {
    plan.steps.iter().any(|step| step.action == Action::Recreate && !outcomes.is_empty())
}

fn history_entry(
    context: &Context<'_>,
    spec: &TargetSpec,
    status: &TargetStatus,
    outcomes: Vec<Outcome>,
    trigger: Trigger,
    started: Timestamp,
) -> Option<HistoryEntry> {
    // A turn that something newer ended before it wrote anything has no story of its own.
    if !outcomes.iter().any(|outcome| matches!(outcome.result, OutcomeResult::Done | OutcomeResult::Failed)) {
        return None;
    }
    let commit = context.commit.as_ref().ok()?;
    let result = if status.sync == SyncStatus::Failed { SyncStatus::Failed } else { SyncStatus::Synced };
    Some(HistoryEntry {
        target: spec.name.clone(),
        revision: commit.revision.clone(),
        bases: status.bases.iter().map(|pin| BasePin { message: String::new(), ..pin.clone() }).collect(),
        chart: status.chart.clone().map(|pin| ChartPin { message: String::new(), ..pin }),
        inputs: status.inputs.clone(),
        author: commit.author.clone(),
        subject: commit.subject.clone(),
        trigger,
        started,
        ended: ambient::now(),
        result,
        outcomes,
    })
}

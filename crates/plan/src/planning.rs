//! The decision: desired against observed, one step an object that is not as it should be.
//!
//! Equal inputs give an equal plan, in the same order. Nothing is decided about an object or kind that could not be
//! looked at, other than to hold it.

use crate::budget::{self, Budget, Exceeded};
use crate::desired::{Desired, Want};
use crate::observed::{Known, Ledger, Live, Observed, Seen, SetOwner, Stranger, Verdict};
use crate::order::{Stage, stage};
use crate::overdraft::HeldDeletions;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use trueup_merge::compare::Change;
use trueup_model::{ObjectId, Origin};

/// What the target's owner allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Objects that left Git are deleted.
    pub prune: Prune,
    /// What is done about fields of ours that others changed.
    pub drift: Drift,
    /// What is done about objects that other managers own.
    pub take_over: TakeOver,
    /// Whether immutable fields may be changed by deleting and creating.
    pub recreate: Recreate,
    /// Whether a target that renders to nothing may delete all that it had.
    pub empty: Empty,
    /// How much may be deleted at once without being asked; without a bound where there is none.
    pub max_prune: Option<Budget>,
}

/// What happens to members that are no longer in Git.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prune {
    /// They are deleted.
    Delete,
    /// They stay, and are reported.
    Keep,
}

/// What happens to drift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drift {
    /// It is repaired at once.
    Repair,
    /// It is reported.
    Report,
}

/// What happens to objects of other managers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakeOver {
    /// The fields in Git become ours.
    Force,
    /// The object is held until a person decides.
    Hold,
}

/// What happens when an immutable field changes in Git.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recreate {
    /// The object is deleted and created anew.
    Allow,
    /// The change is refused, unless the object's own annotation allows it.
    Refuse,
}

/// What happens when a target with members renders to no object at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Empty {
    /// The members are pruned like any others.
    Allow,
    /// Nothing is pruned: an empty result is more often a mistake.
    Refuse,
}

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// Apply an object that is not there.
    Create,
    /// Apply an object that differs.
    Update,
    /// Apply an object that other managers own.
    TakeOver,
    /// Delete the object, so that the next turn can create it.
    Recreate,
    /// Delete an object that is no longer in Git.
    Delete,
    /// Do nothing, and say why: a person or another event must act first.
    Hold,
    /// Do nothing yet: what is waited for comes by itself.
    Wait,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::TakeOver => "take over",
            Self::Recreate => "recreate",
            Self::Delete => "delete",
            Self::Hold => "hold",
            Self::Wait => "wait",
        })
    }
}

/// Why a step is there.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", tag = "why", content = "detail")]
pub enum Reason {
    /// It is in Git and not in the cluster.
    Missing,
    /// It is in Git, was applied, and somebody deleted it.
    Deleted,
    /// Git changed it since the last apply.
    ChangedInGit,
    /// Fields that we own were changed by others.
    Drifted(Vec<Change>),
    /// Fields that we own are changed by others each time they are repaired.
    Contested(Vec<Change>),
    /// Nothing is known of an earlier apply, and these fields differ.
    Differs(Vec<Change>),
    /// Nothing is known of an earlier apply.
    Unproven,
    /// These field managers own it now.
    OwnedBy(Vec<String>),
    /// It belonged to a target that does not hold it any more.
    MovedFrom(String),
    /// Two targets want this object: both names.
    ClaimedBy(String, String),
    /// It belongs to the `ApplySet` of somebody else.
    ForeignSet(String),
    /// Another target wants this member now.
    MovedTo(String),
    /// It is a member and not in Git.
    NotInGit,
    /// It is not in Git, and pruning is off for the target.
    PruneOff,
    /// It is not in Git, and its annotation keeps it.
    Kept,
    /// It is not in Git, and the target is made of it.
    Foundation,
    /// The target rendered to nothing.
    NothingRendered,
    /// It is not in Git, and too many others are not either.
    OverBudget(Exceeded),
    /// It is not in Git, and too much else of its repository is not either.
    Overdrawn(HeldDeletions),
    /// It is not in Git, but its deletion would take this object with it, which stays.
    StillHolds(ObjectId),
    /// These fields cannot be changed, and nobody allowed to do it by deleting.
    Immutable(Vec<String>),
    /// These fields cannot be changed in place.
    Replaced(Vec<String>),
    /// It, or its kind, could not be looked at.
    Unknown(String),
    /// The server, or trueup, refuses the object as written.
    Refused(String),
    /// The cluster does not serve its kind yet: what is waited for.
    Unserved(String),
    /// Objects of an earlier wave are not ready: which wave, the first of them, and why it is not.
    EarlierWave(i32, ObjectId, String),
    /// It is being deleted.
    BeingDeleted,
    /// It is not in Git any more and on its way out: what it waits for.
    Leaving(String),
    /// A hook that is under way: how far.
    HookRuns(String),
    /// A hook that did not end well: why.
    HookFailed(String),
    /// A hook that ended well and is to go then.
    HookDone,
    /// A hook that is there from what was wanted before.
    HookAgain,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("not in the cluster"),
            Self::Deleted => f.write_str("deleted in the cluster"),
            Self::ChangedInGit => f.write_str("changed in Git"),
            Self::Drifted(changes) if changes.is_empty() => f.write_str("changed in the cluster"),
            Self::Drifted(changes) => write!(f, "changed in the cluster: {}", list(changes)),
            Self::Contested(changes) => write!(
                f,
                "changed back after each of several repairs, so repairs are spaced out now: {}; make the other writer stop, or take the field out of Git",
                list(changes)
            ),
            Self::Differs(changes) => write!(f, "differs: {}", list(changes)),
            Self::Unproven => f.write_str("not known to be as in Git"),
            Self::OwnedBy(managers) if managers.is_empty() => f.write_str("exists already"),
            Self::OwnedBy(managers) => write!(f, "exists already, written by {}", managers.join(", ")),
            Self::MovedFrom(target) => write!(f, "moved here from {target}"),
            Self::ClaimedBy(this, other) => {
                write!(f, "both {this} and {other} want this object; take it out of one of the two")
            }
            Self::ForeignSet(id) => write!(f, "belongs to {id}, which is not a set of this trueup"),
            Self::MovedTo(target) => write!(f, "not in Git here any more, and wanted by {target}: it will take it over"),
            Self::NotInGit => f.write_str("not in Git any more"),
            Self::PruneOff => f.write_str("not in Git any more; pruning is off for this target"),
            Self::Kept => f.write_str("not in Git any more; its annotation keeps it"),
            Self::Foundation => f.write_str(
                "not in Git any more; the target is made of it, so a person has to delete it",
            ),
            Self::NothingRendered => {
                f.write_str("the target rendered to no object at all, which deletes nothing; set sync.allowEmpty if that is meant")
            }
            Self::OverBudget(exceeded) => write!(f, "not in Git any more; {exceeded}"),
            Self::Overdrawn(held) => write!(f, "not in Git any more; {held}"),
            Self::Immutable(fields) => write!(
                f,
                "immutable: {}; annotate the object with trueup.dev/recreate: \"true\", or set recreate on the App, to delete and create it",
                fields.join(", ")
            ),
            Self::StillHolds(object) => write!(f, "not in Git any more, but {object} would go with it"),
            Self::Replaced(fields) => write!(f, "immutable: {}", fields.join(", ")),
            Self::Unknown(why) | Self::Refused(why) | Self::Unserved(why) => f.write_str(why),
            Self::EarlierWave(wave, object, why) if *wave < crate::hooks::BEFORE => {
                write!(f, "waits for what hooks need: {object} {why}")
            }
            Self::EarlierWave(wave, object, why) if *wave < crate::hooks::BEFORE / 2 || *wave >= crate::hooks::AFTER => {
                write!(f, "waits for a hook: {object} {why}")
            }
            Self::EarlierWave(wave, object, why) => write!(f, "waits for wave {wave}: {object} {why}"),
            Self::Leaving(why) => write!(f, "not in Git any more; {why}"),
            Self::HookRuns(how) if how.is_empty() => f.write_str("the hook runs"),
            Self::HookRuns(how) => write!(f, "the hook runs: {how}"),
            Self::HookFailed(why) => write!(f, "the hook failed, and the sync stops here: {why}; a commit that changes the target, or a sync that somebody asks for, runs it again"),
            Self::HookDone => f.write_str("the hook succeeded"),
            Self::HookAgain => f.write_str("the hook runs again, since what is wanted changed"),
            Self::BeingDeleted => f.write_str("is being deleted; it is applied again when it is gone"),
        }
    }
}

fn list(changes: &[Change]) -> String {
    const SHOWN: usize = 3;
    let shown = changes.iter().take(SHOWN).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match changes.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// One thing to do about one object, and why.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// The object.
    pub id: ObjectId,
    /// What to do.
    pub action: Action,
    /// Why.
    pub reason: Reason,
    /// The wave and stage that it belongs to; equal ones may go at once.
    pub phase: (i32, Stage),
    /// The uid and resource version that a deletion is bound to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precondition: Option<Precondition>,
    /// The file that the object came from; empty for one that is no longer in Git.
    pub origin: Origin,
}

/// The exact object that a deletion was decided for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Precondition {
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.resourceVersion`; empty where any version of the object will do.
    pub resource_version: String,
}

/// An immutable, ordered list of steps. Writes come first, by wave and stage; deletions after them, in reverse.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// How many wanted objects need no step.
    pub unchanged: usize,
}

impl Plan {
    /// The steps that change the cluster.
    pub fn writes(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| step.writes())
    }

    /// The steps in groups whose members may be carried out at once.
    pub fn phases(&self) -> impl Iterator<Item = &[Step]> {
        self.steps.chunk_by(|a, b| a.phase == b.phase && a.prunes() == b.prunes())
    }
}

impl Step {
    /// Whether the step changes the cluster.
    pub fn writes(&self) -> bool {
        match self.action {
            Action::Create | Action::Update | Action::TakeOver | Action::Recreate | Action::Delete => true,
            Action::Hold | Action::Wait => false,
        }
    }

    /// Whether the step is about an object that is no longer in Git.
    pub fn prunes(&self) -> bool {
        match self.reason {
            Reason::NotInGit
            | Reason::Leaving(_)
            | Reason::PruneOff
            | Reason::Kept
            | Reason::Foundation
            | Reason::NothingRendered
            | Reason::OverBudget(_)
            | Reason::Overdrawn(_)
            | Reason::StillHolds(_)
            | Reason::MovedTo(_) => true,
            Reason::Missing
            | Reason::Deleted
            | Reason::ChangedInGit
            | Reason::Drifted(_)
            | Reason::Contested(_)
            | Reason::Differs(_)
            | Reason::Unproven
            | Reason::OwnedBy(_)
            | Reason::MovedFrom(_)
            | Reason::ClaimedBy(_, _)
            | Reason::ForeignSet(_)
            | Reason::Immutable(_)
            | Reason::Replaced(_)
            | Reason::Unknown(_)
            | Reason::Refused(_)
            | Reason::Unserved(_)
            | Reason::EarlierWave(_, _, _)
            | Reason::HookRuns(_)
            | Reason::HookFailed(_)
            | Reason::HookDone
            | Reason::HookAgain
            | Reason::BeingDeleted => false,
        }
    }

    /// Whether the step holds an object that is in Git and that cannot be as Git says before a person has acted.
    pub fn is_problem(&self) -> bool {
        self.action == Action::Hold
            && match self.reason {
                Reason::ClaimedBy(_, _)
                | Reason::ForeignSet(_)
                | Reason::Immutable(_)
                | Reason::Unknown(_)
                | Reason::HookFailed(_)
                | Reason::Refused(_) => true,
                Reason::NotInGit
                | Reason::Leaving(_)
                | Reason::PruneOff
                | Reason::Kept
                | Reason::Foundation
                | Reason::NothingRendered
                | Reason::OverBudget(_)
                | Reason::Overdrawn(_)
                | Reason::StillHolds(_)
                | Reason::MovedTo(_)
                | Reason::Missing
                | Reason::Deleted
                | Reason::ChangedInGit
                | Reason::Drifted(_)
                | Reason::Contested(_)
                | Reason::Differs(_)
                | Reason::Unproven
                | Reason::OwnedBy(_)
                | Reason::MovedFrom(_)
                | Reason::Replaced(_)
                | Reason::Unserved(_)
                | Reason::EarlierWave(_, _, _)
                | Reason::HookRuns(_)
                | Reason::HookDone
                | Reason::HookAgain
                | Reason::BeingDeleted => false,
            }
    }
}

/// Decides what to change; touches nothing.
pub fn plan(desired: &Desired, observed: &Observed, ledger: &Ledger, policy: &Policy) -> Plan {
    let mut writes = Vec::new();
    let mut unchanged = 0;
    let recorded = is_recorded(desired, observed, *policy);
    for want in desired.objects.values() {
        let claimed = claimed(want, desired, observed);
        match claimed.or_else(|| wanted(want, observed, ledger.get(&want.id), *policy, recorded)) {
            Some((action, reason, precondition)) => {
                writes.push(Step {
                    id: want.id.clone(),
                    action,
                    reason,
                    phase: (want.wave, want.stage()),
                    precondition,
                    origin: want.origin.clone(),
                });
            }
            None => unchanged += 1,
        }
    }
    writes.extend(desired.refused.iter().map(|(id, refused)| {
        let awaited = observed.awaited.get(&id.group_kind()).filter(|_| desired.unserved.contains(id));
        let (action, reason) = match awaited {
            Some(what) => (Action::Wait, Reason::Unserved(what.clone())),
            None => (Action::Hold, Reason::Refused(refused.why.clone())),
        };
        let phase = (refused.wave, stage(&id.group, &id.kind));
        Step { id: id.clone(), action, reason, phase, precondition: None, origin: refused.origin.clone() }
    }));
    writes.sort_by(|a, b| (a.phase, &a.id).cmp(&(b.phase, &b.id)));

    let mut prunes: Vec<Step> = observed
        .members
        .iter()
        .filter(|(id, _)| !desired.objects.contains_key(id) && !is_refused(id, desired))
        .map(|(id, live)| prune(id, live, desired, observed, *policy))
        .collect();
    budget::hold(
        &mut prunes,
        &desired.target,
        observed.members.len(),
        policy.max_prune,
        observed.approval.as_ref(),
    );
    prunes.sort_by(|a, b| (b.phase, &b.id).cmp(&(a.phase, &a.id)));
    writes.extend(prunes);
    Plan { steps: writes, unchanged }
}

type Decision = Option<(Action, Reason, Option<Precondition>)>;

// An object that two targets want stays with the one that has it; where neither has it, neither gets it.
fn claimed(want: &Want, desired: &Desired, observed: &Observed) -> Decision {
    let other = observed.claims.get(&want.id)?;
    match observed.seen(&want.id) {
        Seen::Live(_) | Seen::Unknown(_) => None,
        Seen::Stranger(_) | Seen::Absent => {
            Some((Action::Hold, Reason::ClaimedBy(desired.target.clone(), other.clone()), None))
        }
    }
}

/// Whether the objects were applied as they are wanted, although nothing is known of it here any more. Where drift is only reported,
/// a trueup that lost its store must not take it for a change in Git.
fn is_recorded(desired: &Desired, observed: &Observed, policy: Policy) -> bool {
    policy.drift == Drift::Report && !observed.applied.is_empty() && observed.applied == desired.revision
}

fn wanted(
    want: &Want,
    observed: &Observed,
    known: Option<&Known>,
    policy: Policy,
    recorded: bool,
) -> Decision {
    let verdict = observed.verdicts.get(&want.id);
    if let Some(Verdict::Refused(why)) = verdict {
        return Some((Action::Hold, Reason::Refused(why.clone()), None));
    }
    let was_applied = known.is_some_and(|known| known.digest == want.digest) || recorded;
    match observed.seen(&want.id) {
        Seen::Unknown(why) => Some((Action::Hold, Reason::Unknown(why.to_owned()), None)),
        Seen::Stranger(Stranger { deleting: true, .. }) => Some((Action::Wait, Reason::BeingDeleted, None)),
        Seen::Stranger(stranger) => Some(adopt(stranger, policy)),
        Seen::Live(live) if live.deleting => Some((Action::Wait, Reason::BeingDeleted, None)),
        Seen::Live(live) => match (known, verdict) {
            (None, Some(Verdict::Differs(changes))) if recorded => {
                Some((Action::Hold, Reason::Drifted(changes.clone()), None))
            }
            (_, _) => update(want, live, known, verdict, policy),
        },
        Seen::Absent if was_applied => Some((repair(policy, Action::Create), Reason::Deleted, None)),
        Seen::Absent => Some((Action::Create, Reason::Missing, None)),
    }
}

fn adopt(stranger: &Stranger, policy: Policy) -> (Action, Reason, Option<Precondition>) {
    let owned_by = || Reason::OwnedBy(stranger.managers.clone());
    let (action, reason) = match (&stranger.part_of, policy.take_over) {
        (Some(SetOwner::Foreign(id)), _) => (Action::Hold, Reason::ForeignSet(id.clone())),
        (Some(SetOwner::Former(target) | SetOwner::Removed(target)), _) => {
            (Action::TakeOver, Reason::MovedFrom(target.clone()))
        }
        (None, TakeOver::Force) => (Action::TakeOver, owned_by()),
        (None, TakeOver::Hold) => (Action::Hold, owned_by()),
    };
    (action, reason, None)
}

fn update(
    want: &Want,
    live: &Live,
    known: Option<&Known>,
    verdict: Option<&Verdict>,
    policy: Policy,
) -> Decision {
    let changed_in_git = known.is_some_and(|known| known.digest != want.digest);
    let proven = known.is_some_and(|known| known.digest == want.digest && live.token == Some(known.token));
    match verdict {
        Some(Verdict::Same) => None,
        Some(Verdict::Refused(why)) => Some((Action::Hold, Reason::Refused(why.clone()), None)),
        Some(Verdict::Contested(changes)) => Some((Action::Hold, Reason::Contested(changes.clone()), None)),
        Some(Verdict::Immutable(fields)) => Some(immutable(want, live, fields, policy)),
        None if proven || (known.is_none() && want.proof(live, 0).is_some()) => None,
        Some(Verdict::Differs(_)) | None if changed_in_git => {
            Some((Action::Update, Reason::ChangedInGit, None))
        }
        Some(Verdict::Differs(changes)) if known.is_none() => {
            Some((Action::Update, Reason::Differs(changes.clone()), None))
        }
        None if known.is_none() => Some((Action::Update, Reason::Unproven, None)),
        Some(Verdict::Differs(changes)) => {
            Some((repair(policy, Action::Update), Reason::Drifted(changes.clone()), None))
        }
        None => Some((repair(policy, Action::Update), Reason::Drifted(Vec::new()), None)),
    }
}

fn repair(policy: Policy, action: Action) -> Action {
    match policy.drift {
        Drift::Repair => action,
        Drift::Report => Action::Hold,
    }
}

fn immutable(
    want: &Want,
    live: &Live,
    fields: &[String],
    policy: Policy,
) -> (Action, Reason, Option<Precondition>) {
    let (action, reason) = if want.recreate || policy.recreate == Recreate::Allow {
        (Action::Recreate, Reason::Replaced(fields.to_vec()))
    } else {
        (Action::Hold, Reason::Immutable(fields.to_vec()))
    };
    (action, reason, Some(exactly(live)))
}

pub(crate) fn exactly(live: &Live) -> Precondition {
    Precondition { uid: live.uid.clone(), resource_version: live.resource_version.clone() }
}

// A refused object may lack the namespace that it would have had: any object of its kind and name is taken for it.
fn is_refused(id: &ObjectId, desired: &Desired) -> bool {
    desired.refused.keys().any(|refused| {
        refused.name == id.name
            && refused.kind == id.kind
            && refused.group == id.group
            && (refused.namespace == id.namespace || refused.namespace.is_empty())
    })
}

// An object that the deletion of a namespace or a CRD would take along, and that is not to be deleted itself.
fn contents<'o>(id: &ObjectId, desired: &'o Desired, observed: &'o Observed) -> Option<&'o ObjectId> {
    let within = |object: &&ObjectId| match (id.group.as_str(), id.kind.as_str()) {
        ("", "Namespace") => object.namespace == id.name,
        ("apiextensions.k8s.io", "CustomResourceDefinition") => defines(&id.name, object),
        (_, _) => false,
    };
    let stays = |(object, live): &(&ObjectId, &Arc<Live>)| {
        live.keep
            || observed.claims.contains_key(object)
            || observed.unknown.contains_key(&object.group_kind())
    };
    let staying = observed.members.iter().filter(stays).map(|(object, _)| object);
    desired
        .objects
        .keys()
        .chain(desired.refused.keys())
        .chain(staying)
        .chain(&observed.foundations)
        .find(within)
}

// A CRD is named by its plural, which starts as its kind does; where that errs, a CRD stays that could have gone.
fn defines(definition: &str, object: &ObjectId) -> bool {
    let kind = object.kind.to_lowercase();
    let mut stem = kind.chars();
    stem.next_back();
    definition
        .split_once('.')
        .is_some_and(|(plural, group)| group == object.group && plural.starts_with(stem.as_str()))
}

fn leaving(live: &Live) -> String {
    let told = &live.health.message;
    if told.is_empty() { "is being deleted".to_owned() } else { told.clone() }
}

fn prune(id: &ObjectId, live: &Live, desired: &Desired, observed: &Observed, policy: Policy) -> Step {
    let empty = desired.objects.is_empty() && policy.empty == Empty::Refuse;
    let (action, reason) = if let Some(why) = observed.unknown.get(&id.group_kind()) {
        (Action::Hold, Reason::Unknown(why.clone()))
    } else if live.deleting {
        (Action::Wait, Reason::Leaving(leaving(live)))
    } else if let Some(target) = observed.claims.get(id) {
        (Action::Wait, Reason::MovedTo(target.clone()))
    } else if live.keep {
        (Action::Hold, Reason::Kept)
    } else if observed.foundations.contains(id) {
        (Action::Hold, Reason::Foundation)
    } else if empty {
        (Action::Hold, Reason::NothingRendered)
    } else {
        match (policy.prune, contents(id, desired, observed)) {
            (Prune::Keep, _) => (Action::Hold, Reason::PruneOff),
            (Prune::Delete, Some(object)) => (Action::Hold, Reason::StillHolds(object.clone())),
            (Prune::Delete, None) => (Action::Delete, Reason::NotInGit),
        }
    };
    Step {
        id: id.clone(),
        action,
        reason,
        phase: (0, stage(&id.group, &id.kind)),
        precondition: Some(exactly(live)),
        origin: Origin::default(),
    }
}

#[cfg(test)]
pub(crate) mod tests;

//! A target: what the configuration says of it, and what is remembered of it between turns.

use super::audit::Audit;
use super::backoff::{Backoff, Fights, Refusal, Repeats};
use super::causes::Causes;
use super::ignore::Fits;
use super::inquiries::Inquiries;
use super::look::Calm;
use super::rehearsal::Atomic;
use super::rollout::Place;
use super::seed::Kept;
use crate::cluster::{Catalog, Force, Parent};
use crate::render::{Called, Identity, Needed, Remote, Request, Trace, Used};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use trueup_merge::token::Digest;
use trueup_model::{GroupKind, ObjectId};
use trueup_plan::apply_set;
use trueup_plan::budget::{Approval, Budget};
use trueup_plan::desired::Desired;
use trueup_plan::ignore::IgnoreRule;
use trueup_plan::observed::Ledger;
use trueup_plan::planning::{Drift, Plan, Policy};
use trueup_plan::record::TargetStatus;

/// What the configuration says of a target, with placeholders filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetSpec {
    /// `web@production`, or `web@production/eu-1`.
    pub name: String,
    /// The app's name.
    pub app: String,
    /// The environment's name.
    pub environment: String,
    /// The cluster's name.
    pub cluster: String,
    /// The name of the Repository.
    pub repository: String,
    /// What it is made from: the name of the Repository, with a reference of its own where the App names one.
    pub source: String,
    /// The address of the Repository, without credentials: recorded, so that a renamed target is recognised.
    pub repository_url: String,
    /// What to render and how.
    pub request: Request,
    /// The namespace of objects that name none; empty where there is none.
    pub namespace: String,
    /// Which fields are left to others.
    pub ignore: Vec<IgnoreRule>,
    /// What is allowed.
    pub policy: Policy,
    /// Whether new commits are applied without being asked for.
    pub mode: Mode,
    /// Whether conflicts are forced.
    pub force: Force,
    /// Targets that must be Synced and Healthy first.
    pub depends_on: Vec<String>,
    /// Its place in the rollout of a commit over the clusters, where there is one.
    pub rollout: Option<Place>,
    /// How often to look without a reason.
    pub interval: Duration,
    /// How often what its rendering takes from the cluster is asked for again.
    pub inquire: Duration,
    /// How often each object is asked about without a reason.
    pub audit: Audit,
    /// How what failed is tried again.
    pub retry: Backoff,
    /// Whether objects are applied all or none.
    pub atomic: Atomic,
    /// How much all targets of the repository may delete within an hour; without a bound where there is none.
    pub repository_budget: Option<Budget>,
    /// The custom resources that say all this; none where files do. They may be among its objects, and are never pruned by it.
    pub made_of: BTreeSet<ObjectId>,
    /// Whether it is wanted, or on its way out.
    pub presence: Presence,
}

/// Whether a target is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is to be as Git has it.
    Wanted,
    /// Somebody deleted its App and wants nothing of it to be left.
    Leaving,
}

/// What makes a target change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Commits and drift, by themselves.
    Automatic,
    /// A person's `sync` only.
    Manual,
    /// Nothing: it is suspended.
    Suspended,
}

impl TargetSpec {
    /// Whether somebody decides what becomes of each commit: then the cluster alone has to tell which one was applied last.
    pub fn asks_about_commits(&self) -> bool {
        self.mode == Mode::Manual || self.policy.drift == Drift::Report
    }

    /// The namespace that the target's parent object lives in.
    pub fn parent_namespace(&self) -> &str {
        if self.namespace.is_empty() { apply_set::SYSTEM_NAMESPACE } else { &self.namespace }
    }

    /// The name of the target's parent object.
    pub fn parent_name(&self) -> String {
        apply_set::parent_name(&self.app, &self.environment)
    }

    /// Whether it is the target's own App: that is well when the target is, and not the other way round.
    pub fn is_itself(&self, id: &ObjectId) -> bool {
        id.kind == "App" && self.made_of.contains(id)
    }

    /// The id of the target's `ApplySet`.
    pub fn set(&self) -> String {
        apply_set::id(&self.parent_name(), self.parent_namespace())
    }
}

/// What is remembered of a target between turns. All of it can be lost: Git and the cluster tell it again.
#[derive(Default)]
pub struct TargetState {
    /// The installation of trueup that keeps the target.
    pub installation: String,
    /// What earlier applies left behind.
    pub ledger: Arc<Ledger>,
    /// The last rendering that went well.
    pub rendering: Option<Rendering>,
    /// What the last rendering asked for outside of the repository.
    pub needs: BTreeSet<Needed>,
    /// What chance is made of in its chart.
    pub kept: Kept,
    /// What its rendering takes from the cluster.
    pub inquiries: Inquiries,
    /// The last rendering that did not, and why.
    pub broken: Option<(String, String)>,
    /// Objects that leave fields to others.
    pub fits: Fits,
    /// Objects that the server refused, until they change or it is time again.
    pub refusals: BTreeMap<ObjectId, Refusal>,
    /// Turns that come to the same as the ones before.
    pub repeats: Repeats,
    /// Objects whose immutable fields Git changes.
    pub immutable: BTreeMap<ObjectId, (Digest, Vec<String>)>,
    /// The commit that a person asked for, while its sync goes on: waves and what is made anew take several turns.
    pub asked_for: Option<String>,
    /// What a person said may be deleted beyond the budget.
    pub approval: Option<Approval>,
    /// Kinds that the cluster does not serve, and since when they are waited for.
    pub awaiting: BTreeMap<GroupKind, Instant>,
    /// Why workloads are unwell.
    pub causes: Causes,
    /// Who changes things back.
    pub fights: Fights,
    /// Up to when objects were asked about whose time had come.
    pub audited: Option<Timestamp>,
    /// The last object that was asked about because the rules of the cluster changed: the next ones are those behind it.
    pub reviewed: Option<ObjectId>,
    /// Failed turns in a row.
    pub attempts: u32,
    /// The commit that they were at: another one is tried at once.
    pub attempted: String,
    /// The parent object as the cluster has it.
    pub parent: Option<Parent>,
    /// [`Cluster::interruptions`](crate::cluster::Cluster::interruptions) when the parent was last read or written; none where nothing of
    /// the cluster was followed by then, or its history may be another one since.
    pub confirmed: Option<u64>,
    /// Parents of the same target elsewhere: it moved from there.
    pub former: Vec<Parent>,
    /// Where the parent names kinds or namespaces only because something may still be or come to be there, or former ones stay for that:
    /// when to look again.
    pub lingers: Option<Instant>,
    /// Since when the parent's record names an older commit and is right in all else.
    pub behind: Option<Instant>,
    /// When the parent's record was last written only to say how the target stands.
    pub told: Option<Instant>,
    /// Whether the record told all there was to tell when this process last looked at it or wrote it.
    pub is_recorded: bool,
    /// How it stood after the last turn.
    pub status: TargetStatus,
    /// What the last turn rests on, if it left nothing to do.
    pub calm: Option<Calm>,
}

impl TargetState {
    /// Whether something in the last rendering was made of chance or of the time.
    pub(super) fn uses_chance(&self) -> bool {
        self.rendering.as_ref().is_some_and(|rendering| !rendering.calls.is_empty())
    }

    /// Lets go of what is remembered of objects that are not in Git any more, or not as they were. What a plan of the whole target does
    /// not mention is as Git has it, whatever the server said when it was asked for that.
    pub(super) fn forget(&mut self, desired: &Desired, plan: &Plan) {
        if !self.ledger.keys().all(|id| desired.objects.contains_key(id)) {
            Arc::make_mut(&mut self.ledger).retain(|id, _| desired.objects.contains_key(id));
        }
        let is_wanted =
            |id: &ObjectId, digest: Digest| desired.objects.get(id).is_some_and(|want| want.digest == digest);
        self.immutable.retain(|id, (digest, _)| is_wanted(id, *digest));
        if !self.refusals.is_empty() {
            let planned: BTreeSet<&ObjectId> = plan.steps.iter().map(|step| &step.id).collect();
            self.refusals.retain(|id, refusal| planned.contains(id) && is_wanted(id, refusal.digest));
        }
    }
}

/// A rendering, and what makes it still valid.
pub struct Rendering {
    /// The commit that it is known to hold for.
    pub revision: String,
    /// What was asked, without what the cluster answered.
    pub request: Request,
    /// The rules that it was placed with.
    pub ignore: Vec<IgnoreRule>,
    /// The kinds of the cluster that it was placed by.
    pub catalog: Arc<Catalog>,
    /// What was looked at.
    pub trace: Trace,
    /// What of other repositories was used.
    pub bases: BTreeMap<Remote, Used>,
    /// The chart.
    pub chart: Option<Identity>,
    /// The functions of chance that it called.
    pub calls: Vec<Called>,
    /// The result.
    pub desired: Arc<Desired>,
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use trueup_model::Origin;
    use trueup_plan::desired::Want;
    use trueup_plan::order::stage;
    use trueup_plan::planning::{Action, Empty, Prune, Reason, Recreate, Step, TakeOver};

    #[test]
    fn what_the_server_refused_is_forgotten_once_it_is_not_wanted_or_nothing_is_to_be_done_about_it() {
        let id = |name: &str| ObjectId::new("", "ConfigMap", "shop", name);
        let digest = |text: &str| trueup_merge::token::digest(text.as_bytes(), "", "", 0);
        let mut desired = Desired::default();
        for name in ["planned", "well", "changed"] {
            let want = Want {
                id: id(name),
                api_version: "v1".to_owned(),
                body: Arc::default(),
                digest: digest("new"),
                extract: digest(""),
                origin: Origin::default(),
                wave: 0,
                recreate: false,
                needs: Vec::new(),
                leave: Vec::new(),
            };
            desired.objects.insert(id(name), Arc::new(want));
        }
        let step = |name: &str| Step {
            id: id(name),
            action: Action::Create,
            reason: Reason::Missing,
            phase: (0, stage("", "ConfigMap")),
            precondition: None,
            origin: Origin::default(),
        };
        let plan = Plan { steps: vec![step("planned"), step("changed")], unchanged: 1 };
        let mut state = TargetState::default();
        for (name, of) in [("planned", "new"), ("well", "new"), ("changed", "old"), ("gone", "new")] {
            let refusal =
                Refusal { digest: digest(of), attempts: 1, again: Instant::now(), message: String::new() };
            state.refusals.insert(id(name), refusal);
            state.immutable.insert(id(name), (digest(of), Vec::new()));
        }
        state.forget(&desired, &plan);
        let names = |ids: Vec<&ObjectId>| ids.iter().map(|id| id.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(state.refusals.keys().collect()), ["planned"]);
        assert_eq!(names(state.immutable.keys().collect()), ["planned", "well"]);
    }

    /// A target on the cluster `here` with all defaults.
    pub(crate) fn spec(name: &str) -> TargetSpec {
        let (app, environment) = name.split_once('@').unwrap();
        TargetSpec {
            name: name.to_owned(),
            app: app.to_owned(),
            environment: environment.to_owned(),
            cluster: "here".to_owned(),
            repository: "config".to_owned(),
            source: "config".to_owned(),
            repository_url: String::new(),
            request: Request::default(),
            namespace: "shop".to_owned(),
            policy: Policy {
                prune: Prune::Delete,
                drift: Drift::Repair,
                take_over: TakeOver::Force,
                recreate: Recreate::Refuse,
                empty: Empty::Refuse,
                max_prune: None,
            },
            mode: Mode::Automatic,
            force: Force::Yes,
            depends_on: Vec::new(),
            rollout: None,
            interval: Duration::from_mins(10),
            inquire: Duration::from_secs(30),
            audit: Audit(Duration::from_hours(24)),
            retry: Backoff::default(),
            atomic: Atomic::Each,
            repository_budget: None,
            made_of: BTreeSet::new(),
            presence: Presence::Wanted,
            ignore: Vec::new(),
        }
    }
}

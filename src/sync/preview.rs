//! What a sync would do, with both sides of each object: the stages of a turn, without the writes.

use super::deletions::Ruling;
use super::desire::{Undesired, desire};
use super::engine::Engine;
use super::look::look_at_all;
use super::repositories::chain;
use super::target::{TargetSpec, TargetState};
use super::turn::{Context, learn};
use super::view::{PlanOptions, Preview, PreviewStep};
use super::{hooked, ignore, judge, membership, turn};
use crate::ambient;
use crate::bounded::in_order;
use crate::cluster::{Apply, Cluster, Mode};
use crate::source::{Commit, Location, Spec};
use anyhow::{Context as _, Result, anyhow, bail};
use futures::FutureExt as _;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use trueup_merge::secrets::MaskKey;
use trueup_model::Value;
use trueup_plan::desired::Desired;
use trueup_plan::hooks;
use trueup_plan::planning::{Action, Plan, Step, plan};
use trueup_plan::record::Trigger;

const IN_FLIGHT: usize = 16;

impl Engine {
    /// Says what a sync of a target would do, or has the agent say it that keeps the target's cluster.
    pub(super) async fn plan(&self, name: &str, options: &PlanOptions) -> Result<Preview> {
        let Some(answer) = self.ask_agent_to_plan(name, options) else {
            return self.preview(name, options).await;
        };
        let value = answer.await.map_err(anyhow::Error::msg)?;
        serde_json::from_value(value).context("what the agent answered")
    }

    /// Says what a sync of a target would do.
    pub async fn preview(&self, name: &str, options: &PlanOptions) -> Result<Preview> {
        self.examine(name, options).await.map(|(preview, _)| preview)
    }

    /// The same, and what Git wants.
    pub(super) async fn examine(&self, name: &str, options: &PlanOptions) -> Result<(Preview, Arc<Desired>)> {
        let (spec, cluster) = self.target(name).with_context(|| format!("there is no target {name}"))?;
        let cluster = cluster.with_context(|| self.trouble_of("Cluster", &spec.cluster))?;
        if spec.is_leaving() {
            bail!("App {} is being deleted, and all that is there of {name} is pruned", spec.app);
        }
        let mut state = self.remembered(&spec, &cluster).await?;
        recall_run(&mut state);
        let commit = self.commit(&spec, options).await?;
        let (stop, mask) = (CancellationToken::new(), random_key()?);
        let context = Context {
            cluster: &cluster,
            commit: Ok(commit.clone()),
            repository_trouble: None,
            bases: self.bases(),
            charts: self.charts(),
            beside: &BTreeSet::new,
            directory: self.directory(),
            waits_for: None,
            is_leaving: &|_| false,
            begin: &|_| Ok(()),
            delete: &|_| Ruling::Go,
            metrics: self.metrics(),
            parsed: self.parsed(),
            mask: &mask,
            stop: &stop,
            show: &|_| {},
        };
        let (desired, broken) = settled(&context, &spec, &mut state, &commit).await?;
        if let Some(message) = broken {
            return Err(anyhow!(message));
        }
        let (desired, plan, errors) = self.plan_only(&context, &spec, &mut state, &desired).await?;
        let steps = show(&cluster, &spec, &desired, &plan, &mask).await;
        let revision = if options.local.is_some() { String::new() } else { commit.revision.clone() };
        let (target, unchanged, note) = (name.to_owned(), plan.unchanged, String::new());
        let preview = Preview { target, revision, steps, unchanged, note, errors };
        Ok((preview, desired))
    }

    async fn plan_only(
        &self,
        context: &Context<'_>,
        spec: &TargetSpec,
        state: &mut TargetState,
        desired: &Arc<Desired>,
    ) -> Result<(Arc<Desired>, Plan, Vec<String>)> {
        let mut view = look_at_all(context, spec, state, desired).await.map_err(turn::Trouble::into_error)?;
        let (desired, unread) = ignore::fit(context.cluster, state, desired, &view.observed).await;
        view.desired = desired;
        hooked::place(state, &mut view);
        let desired = view.desired.clone();
        let asked = Trigger::Manual;
        let judgement = judge::judge(context.cluster, spec, state, &view, context.mask, asked).await;
        learn(state, &mut view.observed, judgement, unread);
        view.observed.foundations.clone_from(&spec.made_of);
        let plan = plan(&desired, &view.observed, &state.ledger, &turn::policy(spec, asked));
        let run = hooked::due(state, &view);
        let recorded = run.clone();
        let plan = hooks::settle(plan, &desired, &view.observed, run, recorded.as_ref()).plan;
        let errors = plan.steps.iter().filter(|step| step.is_problem());
        let errors = errors.map(|step| format!("{}: {}", step.id, step.reason)).collect();
        Ok((desired, plan, errors))
    }

    async fn commit(&self, spec: &TargetSpec, options: &PlanOptions) -> Result<Arc<Commit>> {
        if let Some(folder) = &options.local {
            return local(self, folder).await;
        }
        if options.revision.is_none()
            && let Some(commit) = self.repository(&spec.source).commit
        {
            return Ok(commit);
        }
        if options.revision.is_none()
            && let Some(commit) = self.held(spec).await?
        {
            return Ok(commit);
        }
        let source =
            self.source(&spec.source).with_context(|| self.trouble_of("Repository", &spec.source))?;
        let head = match &options.revision {
            Some(revision) => source.resolve(revision).await,
            None => source.poll().await,
        };
        let head = head.map_err(|error| anyhow!("repository {}: {}", spec.source, chain(&error)))?;
        let commit = source.fetch(&head).await;
        commit.map(Arc::new).map_err(|error| anyhow!("repository {}: {}", spec.source, chain(&error)))
    }
}

/// What the cluster recorded of the target's hooks.
fn recall_run(state: &mut TargetState) {
    if let Some(status) = state.parent.as_ref().and_then(membership::recorded_status) {
        (state.status.run, state.status.revision) = (status.run, status.revision);
    }
}

/// What is wanted, when all remote bases are read.
async fn settled(
    context: &Context<'_>,
    spec: &TargetSpec,
    state: &mut TargetState,
    commit: &Arc<Commit>,
) -> Result<(Arc<Desired>, Option<String>)> {
    let (mut news, mut charts) = (context.bases.news(), context.charts.news());
    loop {
        news.mark_unchanged();
        charts.mark_unchanged();
        match desire(context, spec, state, commit).await {
            Ok(desired) => return Ok(desired),
            Err(Undesired::Trouble(trouble)) => return Err(trouble.into_error()),
            Err(Undesired::Unread(_)) => tokio::select! {
                changed = news.changed() => changed.context("remote bases")?,
                changed = charts.changed() => changed.context("charts")?,
            },
        }
    }
}

/// The files of a folder as they are, as if they were a commit.
async fn local(engine: &Engine, folder: &Path) -> Result<Arc<Commit>> {
    let folder = std::path::absolute(folder).with_context(|| folder.display().to_string())?;
    let mut spec = Spec::new(Location::Folder(folder.clone()));
    spec.worktree = true;
    let source = engine.cache().open(spec)?;
    let read = async { source.fetch(&source.poll().await?).await };
    read.await.map(Arc::new).map_err(|error| anyhow!("{}: {}", folder.display(), chain(&error)))
}

async fn show(
    cluster: &Cluster,
    spec: &TargetSpec,
    desired: &Desired,
    plan: &Plan,
    key: &MaskKey,
) -> Vec<PreviewStep> {
    let looks = plan.steps.iter().map(|step| sides(cluster, spec, desired, step).boxed());
    let shown = plan.steps.iter().zip(in_order(looks, IN_FLIGHT).await);
    shown.map(|(step, (live, wanted))| PreviewStep::new(step, live, wanted, key)).collect()
}

async fn sides(
    cluster: &Cluster,
    spec: &TargetSpec,
    desired: &Desired,
    step: &Step,
) -> (Option<Value>, Option<Value>) {
    let want = desired.objects.get(&step.id);
    let live = match (step.action, want) {
        (Action::Create, _) => None,
        (_, Some(want)) => cluster.get_in(&step.id, &want.api_version).await.ok().flatten(),
        (_, None) => cluster.get(&step.id).await.ok().flatten(),
    };
    let Some(want) = want.filter(|_| !step.prunes()) else { return (live, None) };
    let request = Apply {
        id: &want.id,
        api_version: &want.api_version,
        body: &want.body,
        mode: Mode::DryRun,
        force: spec.force,
    };
    // What the server cannot say yet (the namespace or the kind comes with the same commit), Git says.
    let predicted = match cluster.apply(&request).await {
        Ok(applied) => applied.object,
        Err(_) => serde_json::from_slice(&want.body).ok(),
    };
    (live, predicted)
}

pub(super) fn random_key() -> Result<MaskKey> {
    ambient::secret().context("random numbers")
}

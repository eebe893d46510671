//! What a target's chart takes from outside of the repository: its archive, what the cluster can do and has, and a seed of chance.
//!
//! Enters: what is said of the chart. Leaves: what is to be rendered, complete; or why it cannot be. What has not been fetched yet
//! ends the turn. Absent: rendering itself, and kustomizations' bases, which rendering asks for as it finds them.

use super::bases::Asked;
use super::charts::Known;
use super::desire::{Undesired, Unmade, rendered as render};
use super::inquiries::{self, Unanswered};
use super::seed;
use super::target::{Rendering, TargetSpec, TargetState};
use super::turn::{Context, Trouble};
use crate::cluster::Catalog;
use crate::render::{Answer, Answers, Given, Place, Query, Rendered, Request, Unasked};
use crate::source::Commit;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use trueup_plan::record::{ChartPin, Input, Purpose, TargetStatus};

/// Objects of the cluster that a status lists at most.
const INPUTS: usize = 50;

/// Which chart a rendering is of.
pub(super) fn chart_pin(context: &Context<'_>, spec: &TargetSpec, rendering: &Rendering) -> Option<ChartPin> {
    let chart = rendering.chart.as_ref()?;
    let message = context.charts.known(&spec.name).trouble.unwrap_or_default();
    let (name, version, digest) = (chart.name.clone(), chart.version.clone(), chart.digest.clone());
    Some(ChartPin { name, version, digest, message })
}

/// A chart that cannot be looked for again stays as it is.
pub(super) fn chart_trouble(status: &TargetStatus) -> Option<String> {
    let pin = status.chart.as_ref().filter(|pin| !pin.message.is_empty())?;
    Some(format!("the chart stays at {pin}: {}", pin.message))
}

/// What is to be rendered, with all that a chart takes from outside of the repository; or why it cannot be.
pub(super) async fn request(
    context: &Context<'_>,
    spec: &TargetSpec,
    state: &mut TargetState,
    catalog: &Arc<Catalog>,
) -> Result<Result<Request, String>, Undesired> {
    let Some(helm) = &spec.request.helm else { return kustomized(context, spec, state).await.map(Ok) };
    let chart = match &helm.place {
        Place::Tree(_) => None,
        Place::Elsewhere { shown } => match context.charts.known(&spec.name) {
            Known { chart: Some(chart), .. } => Some(chart),
            Known { chart: None, trouble: Some(why) } => return Ok(Err(why)),
            Known { chart: None, trouble: None } => {
                return Err(Undesired::Unread(format!("the chart {shown} has not been fetched yet")));
            }
        },
    };
    let unknown =
        |why: &dyn std::fmt::Display| Trouble::unknown(format!("cluster {}: {why}", context.cluster.name()));
    let abilities = context.cluster.abilities(catalog).await.map_err(|error| unknown(&error))?;
    let is_used = state.uses_chance();
    if is_used && !state.kept.is_read() {
        seed::read(context.cluster, spec, state).await.map_err(|why| unknown(&why))?;
    }
    let seed = state.kept.seed().map_err(Trouble::unknown)?;
    let wanted = wanted(spec, state);
    let answers = match inquire(context, state, catalog, &wanted, spec.inquire).await? {
        Ok(answers) => answers,
        Err(problem) => return Ok(Err(problem)),
    };
    Ok(Ok(spec.request.with(Given { chart, capabilities: Some(abilities), seed, answers })))
}

/// The same where there is no chart but for those of a kustomization, which are rendered as if there was no cluster: all that
/// they take is chance, and only if it is known that they do.
async fn kustomized(
    context: &Context<'_>,
    spec: &TargetSpec,
    state: &mut TargetState,
) -> Result<Request, Undesired> {
    let is_used = state.uses_chance();
    if is_used && !state.kept.is_read() {
        let unknown = |why: String| Trouble::unknown(format!("cluster {}: {why}", context.cluster.name()));
        seed::read(context.cluster, spec, state).await.map_err(unknown)?;
    }
    if !is_used && !state.kept.is_read() {
        return Ok(spec.request.clone());
    }
    let seed = state.kept.seed().map_err(Trouble::unknown)?;
    Ok(spec.request.with(Given { seed, ..Given::default() }))
}

/// What a rendering needs to know of the cluster, as far as that is known before it.
fn wanted(spec: &TargetSpec, state: &TargetState) -> BTreeSet<Query> {
    let values = spec.request.helm.iter().flat_map(|helm| helm.queries());
    state.inquiries.queries().cloned().chain(values).collect()
}

/// What the cluster has to say, or said within this time; or why it may not be asked.
async fn inquire(
    context: &Context<'_>,
    state: &mut TargetState,
    catalog: &Arc<Catalog>,
    wanted: &BTreeSet<Query>,
    within: Duration,
) -> Result<Result<Answers, String>, Undesired> {
    let place = format!("cluster {}", context.cluster.name());
    match state.inquiries.answers(context.cluster, catalog, wanted, within).await {
        Ok(answers) => Ok(Ok(answers)),
        Err(Unanswered::Refused(why)) => Ok(Err(format!("{place}: {why}"))),
        Err(Unanswered::Unknown(why)) => Err(Trouble::unknown(format!("{place}: {why}")).into()),
    }
}

/// Renders, with nothing that the cluster said before the turn began: the target may have made since what a template asks for. A
/// chart that turns out to ask for something is rendered with the answers, and one that makes something of chance with what is
/// kept for it.
pub(super) async fn rendered(
    context: &Context<'_>,
    spec: &TargetSpec,
    state: &mut TargetState,
    commit: &Arc<Commit>,
    asked: Asked,
    mut request: Request,
    begun: Instant,
) -> Result<Result<(Rendered, Request), String>, Undesired> {
    let mut queries = wanted(spec, state);
    for _ in 0..inquiries::ROUNDS {
        if !queries.is_empty() {
            let catalog = context.cluster.catalog();
            match inquire(context, state, &catalog, &queries, begun.elapsed()).await? {
                Ok(answers) => request.given.answers.extend(answers.into_known()),
                Err(problem) => return Ok(Err(problem)),
            }
        }
        let rendered = match render(context, spec, state, commit, asked.clone(), &request).await? {
            Ok(rendered) => rendered,
            Err(Unmade::Broken(problem)) => return Ok(Err(problem)),
            Err(Unmade::Unasked(Unasked(more))) => {
                queries = more;
                continue;
            }
        };
        queries = BTreeSet::new();
        let seed = if rendered.calls.is_empty() || state.kept.is_read() {
            request.given.seed.clone()
        } else {
            let unknown =
                |why: String| Trouble::unknown(format!("cluster {}: {why}", context.cluster.name()));
            seed::read(context.cluster, spec, state).await.map_err(unknown)?;
            state.kept.seed().map_err(Trouble::unknown)?
        };
        if seed == request.given.seed {
            state.inquiries.retain(&rendered.asked);
            request.given.answers.retain(&rendered.asked);
            return Ok(Ok((rendered, request)));
        }
        request.given.seed = seed;
    }
    Ok(Err(format!(
        "what it asks its cluster for depends on earlier answers more than {} times over",
        inquiries::ROUNDS
    )))
}

/// What a rendering took from the cluster, as far as a status lists it.
pub(super) fn inputs(rendering: &Rendering) -> Vec<Input> {
    let values: BTreeSet<Query> =
        rendering.request.helm.iter().flat_map(|helm| helm.queries().collect::<Vec<_>>()).collect();
    let input = |(query, answer): (&Query, &Answer)| Input {
        purpose: if values.contains(query) { Purpose::Values } else { Purpose::Lookup },
        api_version: query.api_version.clone(),
        kind: query.kind.clone(),
        namespace: query.namespace.clone(),
        name: query.name.clone(),
        found: answer.found(),
        version: answer.version().to_owned(),
    };
    rendering.request.given.answers.iter().take(INPUTS).map(input).collect()
}

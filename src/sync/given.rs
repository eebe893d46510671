//! What a target's chart takes from outside of the repository: its archive, what the cluster can do, and a seed of chance.
//!
//! Enters: what is said of the chart. Leaves: what is to be rendered, complete; or why it cannot be. What has not been fetched yet
//! ends the turn. Absent: rendering itself, and kustomizations' bases, which rendering asks for as it finds them.

use super::bases::Asked;
use super::charts::Known;
use super::desire::{Undesired, rendered as render};
use super::seed;
use super::target::{Rendering, TargetSpec, TargetState};
use super::turn::{Context, Trouble};
use crate::cluster::Catalog;
use crate::render::{Given, Place, Rendered, Request};
use crate::source::Commit;
use std::sync::Arc;
use trueup_plan::record::{ChartPin, TargetStatus};

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
    Ok(Ok(spec.request.with(Given { chart, capabilities: Some(abilities), seed })))
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

/// Renders; a chart that turns out to make something of chance is rendered with what is kept for it.
pub(super) async fn rendered(
    context: &Context<'_>,
    spec: &TargetSpec,
    state: &mut TargetState,
    commit: &Arc<Commit>,
    asked: Asked,
    mut request: Request,
) -> Result<Result<(Rendered, Request), String>, Undesired> {
    let again = asked.clone();
    let first = match render(context, spec, state, commit, asked, &request).await? {
        Ok(rendered) => rendered,
        Err(problem) => return Ok(Err(problem)),
    };
    if first.calls.is_empty() || state.kept.is_read() {
        return Ok(Ok((first, request)));
    }
    let unknown = |why: String| Trouble::unknown(format!("cluster {}: {why}", context.cluster.name()));
    seed::read(context.cluster, spec, state).await.map_err(unknown)?;
    let seed = state.kept.seed().map_err(Trouble::unknown)?;
    if seed == request.given.seed {
        return Ok(Ok((first, request)));
    }
    request.given.seed = seed;
    let second = render(context, spec, state, commit, again, &request).await?;
    Ok(second.map(|rendered| (rendered, request)))
}

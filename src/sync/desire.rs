//! What Git wants of a target now: the last rendering where it still holds, and else a new one.
//!
//! Enters: the commit, what is known of remote bases, what is remembered of the last rendering. Leaves: the wanted objects, with the
//! reason where they are those of an older commit. Absent: what is there, and what to do about it.

use super::bases::{self, Asked};
use super::given;
use super::target::{Rendering, TargetSpec, TargetState};
use super::turn::{Context, Trouble, short};
use crate::ambient;
use crate::cluster::{Catalog, MANAGER, Resource, Scope as ResourceScope};
use crate::render::{self, Base, Rendered, Request, Unasked, Unrendered, Used};
use crate::source::Commit;
use crate::web::metrics::Stage;
use std::sync::Arc;
use tokio::time::Instant;
use trueup_model::GroupKind;
use trueup_plan::desired::Desired;
use trueup_plan::place::{Placement, Scope, Served, place};
use trueup_plan::record::SyncStatus;

/// Why there is nothing that could be wanted.
pub(super) enum Undesired {
    Trouble(Trouble),
    /// A remote base, or files, have not been read yet. When they are, or cannot be, the target is asked for again.
    Unread(String),
}

/// Why a rendering came to nothing.
pub(super) enum Unmade {
    /// Something is wrong with the source.
    Broken(String),
    /// It needs to know these of the cluster.
    Unasked(Unasked),
}

impl From<Trouble> for Undesired {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

/// Renders, or proves that the last rendering still holds. A commit that does not render leaves the last good one in
/// force, with the reason beside it.
pub(super) async fn desire(
    context: &Context<'_>,
    spec: &TargetSpec,
    state: &mut TargetState,
    commit: &Arc<Commit>,
) -> Result<(Arc<Desired>, Option<String>), Undesired> {
    let begun = Instant::now();
    let catalog = catalog(context).await?;
    let asked = context.bases.ask(&spec.name, &spec.repository, &state.needs, &state.status.bases);
    let request = match given::request(context, spec, state, &catalog).await? {
        Ok(request) => request,
        Err(problem) => return last_good(spec, state, commit, &problem),
    };
    if let Some(rendering) = &mut state.rendering
        && rendering.request == request
        && rendering.ignore == spec.ignore
        && Arc::ptr_eq(&rendering.catalog, &catalog)
        && (rendering.revision == commit.revision || rendering.trace.holds_in(&*commit.tree))
        && rendering.bases.iter().all(|(remote, used)| holds(used, asked.known.get(remote)))
    {
        rendering.revision.clone_from(&commit.revision);
        for (remote, used) in &mut rendering.bases {
            if let Some(Ok(base)) = asked.known.get(remote) {
                used.revision.clone_from(&base.revision);
            }
        }
        state.broken = None;
        return Ok((rendering.desired.clone(), None));
    }
    let problem = match given::rendered(context, spec, state, commit, asked, request, begun).await? {
        Ok((rendered, request)) => {
            let set = spec.set();
            let served = |group: &str, version: &str, kind: &str| served(&catalog, group, version, kind);
            let placement = Placement {
                target: &spec.name,
                revision: &commit.revision,
                namespace: &spec.namespace,
                set: &set,
                manager: MANAGER,
                ignore: &spec.ignore,
                served: &served,
                earlier: state.rendering.as_ref().map(|rendering| &*rendering.desired),
            };
            let desired = Arc::new(place(rendered.manifests, &placement));
            state.broken = None;
            state.rendering = Some(Rendering {
                revision: commit.revision.clone(),
                request: request.sealed(),
                ignore: spec.ignore.clone(),
                catalog: catalog.clone(),
                trace: rendered.trace,
                bases: rendered.bases,
                chart: rendered.chart,
                calls: rendered.calls,
                desired: desired.clone(),
            });
            return Ok((desired, None));
        }
        Err(problem) => problem,
    };
    last_good(spec, state, commit, &problem)
}

/// What was wanted before, with the reason why that is not what is wanted now.
fn last_good(
    spec: &TargetSpec,
    state: &mut TargetState,
    commit: &Commit,
    problem: &str,
) -> Result<(Arc<Desired>, Option<String>), Undesired> {
    let message = format!("{} at {}: {problem}", spec.request.shown(), short(&commit.revision));
    state.broken = Some((commit.revision.clone(), message.clone()));
    match &state.rendering {
        Some(rendering) if rendering.request.is_as(&spec.request) => {
            Ok((rendering.desired.clone(), Some(message)))
        }
        Some(_) | None => Err(Trouble { sync: SyncStatus::Failed, message }.into()),
    }
}

// What is not known now proves nothing against what was rendered.
fn holds(used: &Used, base: Option<&Result<Base, String>>) -> bool {
    match base {
        Some(Ok(base)) => used.revision == base.revision || used.trace.holds_in(&*base.tree),
        Some(Err(_)) | None => true,
    }
}

/// Renders, or says what is wrong. What the kustomizations name in other repositories is asked for as it is found.
pub(super) async fn rendered(
    context: &Context<'_>,
    spec: &TargetSpec,
    state: &mut TargetState,
    commit: &Arc<Commit>,
    mut asked: Asked,
    request: &Request,
) -> Result<Result<Rendered, Unmade>, Undesired> {
    for _ in 0..bases::ROUNDS {
        let clock = Instant::now();
        let (tree, request, parsed) = (commit.tree.clone(), request.clone(), context.parsed.clone());
        let work = move || render::build_from(tree, &request, &parsed, &asked.known);
        let built = ambient::blocking(work).await;
        context.metrics.stage(Stage::Render, clock.elapsed());
        let missing = match built {
            Err(panic) => {
                return Ok(Err(Unmade::Broken(format!("rendering ended unexpectedly: {panic}"))));
            }
            Ok(Err(Unrendered::Broken(error))) => return Ok(Err(Unmade::Broken(error.to_string()))),
            Ok(Err(Unrendered::Unasked(unasked))) => return Ok(Err(Unmade::Unasked(unasked))),
            Ok(Err(Unrendered::Missing(missing))) => missing,
            Ok(Err(Unrendered::Absent(absent))) => {
                let mut beside = (context.beside)();
                beside.extend(spec.request.roots());
                return match context.bases.supply(&spec.name, commit, &absent, beside) {
                    Some(why) => Ok(Err(Unmade::Broken(format!("{absent}: {why}")))),
                    None => Err(Undesired::Unread(format!("{absent} yet"))),
                };
            }
            Ok(Ok(rendered)) => {
                state.needs.retain(|needed| rendered.bases.contains_key(&needed.remote));
                context.bases.ask(&spec.name, &spec.repository, &state.needs, &state.status.bases);
                return Ok(Ok(rendered));
            }
        };
        if missing.is_subset(&state.needs) {
            let names: Vec<String> = missing.iter().map(|needed| needed.remote.to_string()).collect();
            return Err(Undesired::Unread(format!("{} has not been read yet", names.join(", "))));
        }
        state.needs.extend(missing);
        if let Some(why) = bases::too_many(&state.needs) {
            return Ok(Err(Unmade::Broken(why)));
        }
        asked = context.bases.ask(&spec.name, &spec.repository, &state.needs, &state.status.bases);
    }
    Ok(Err(Unmade::Broken(bases::too_deep())))
}

pub(super) async fn catalog(context: &Context<'_>) -> Result<Arc<Catalog>, Trouble> {
    let catalog = context.cluster.catalog();
    if !catalog.is_empty() {
        return Ok(catalog);
    }
    context.cluster.discover().await.map_err(|error| Trouble {
        sync: SyncStatus::Unknown,
        message: format!("cluster {}: {error}", context.cluster.name()),
    })
}

pub(super) fn served(catalog: &Catalog, group: &str, version: &str, kind: &str) -> Served {
    let scope = |resource: &Resource| match resource.scope {
        ResourceScope::Namespaced => Scope::Namespaced,
        ResourceScope::Cluster => Scope::Cluster,
    };
    if let Some(resource) = catalog.resource(group, version, kind) {
        return Served::Yes(scope(resource));
    }
    if let Some(why) = catalog.unknown_group(group) {
        return Served::Unknown(why.to_owned());
    }
    match catalog.versions(&GroupKind::new(group, kind)) {
        versions if versions.is_empty() => Served::No,
        versions => Served::Otherwise(versions),
    }
}

//! Hooks of a turn: what the plan is with them, and what the pods of one that failed said.
//!
//! Enters: a plan that was made as if hooks were objects like any others, and what is known of their run. Leaves: the plan as it is with
//! them, and what is known then. Beside a new failure stand the cause that the pods give and the last lines of their logs; what
//! of that cannot be read is left out: the failure itself is known. Absent: every decision, which are those of [`trueup_plan::hooks`].

use super::look::View;
use super::target::TargetState;
use crate::cluster::Cluster;
use std::fmt::Write as _;
use trueup_model::Value;
use trueup_plan::desired::Desired;
use trueup_plan::health::cause_from_pods;
use trueup_plan::hooks::{self, Ended, Occasion, Run};
use trueup_plan::planning::Plan;

/// Lines of a log that are shown.
const LINES: u32 = 5;

/// Puts the hooks in the waves that they have on the occasion of the turn.
pub(super) fn place(state: &TargetState, view: &mut View) {
    let run = due(state, view);
    view.desired = hooks::on_occasion(&view.desired, run.as_ref());
}

/// The run of hooks that is due. What Helm installed is there already, and what was begun as an installation is one until it is
/// through.
pub(super) fn due(state: &TargetState, view: &View) -> Option<Run> {
    let known = state.status.run.as_ref();
    let occasion = match known {
        _ if !state.status.revision.is_empty() => Occasion::Upgrade,
        Some(run) => run.occasion,
        None if view.released => Occasion::Upgrade,
        None => Occasion::Install,
    };
    hooks::due(&view.desired, known, occasion)
}

/// Makes of a plan one with hooks in it. Says whether something is known now that was not before.
pub(super) async fn settle(
    cluster: &Cluster,
    state: &mut TargetState,
    view: &mut View,
    plan: Plan,
) -> (Plan, bool) {
    let run = due(state, view);
    let known = state.status.run.take();
    let mut hooked = hooks::settle(plan, &view.desired, &view.observed, run);
    let has_moved = hooked.run != known;
    if let Some(run) = hooked.run.as_mut().filter(|_| has_moved) {
        add_last_words(cluster, &view.desired, known.as_ref(), run).await;
    }
    state.status.run = hooked.run;
    view.settled = hooked.settled;
    (hooked.plan, has_moved)
}

/// Adds to each hook that failed since what its pods say.
async fn add_last_words(cluster: &Cluster, desired: &Desired, before: Option<&Run>, run: &mut Run) {
    for id in desired.hooks.keys() {
        let key = id.to_string();
        let was_known =
            before.is_some_and(|before| before.id == run.id && before.hooks.get(&key) == run.hooks.get(&key));
        let Some(Ended::Failed(why)) = run.hooks.get_mut(&key).filter(|_| !was_known) else { continue };
        let pods = match id.kind.as_str() {
            "Pod" => cluster.get(id).await.ok().flatten().into_iter().collect(),
            _ => cluster.pods_of(id).await.unwrap_or_default(),
        };
        if let Some(cause) = cause_from_pods(&pods) {
            // Writing to a String cannot fail.
            let _ = write!(why, "; {cause}");
        }
        let newest =
            |pod: &&Value| pod["metadata"]["creationTimestamp"].as_str().unwrap_or_default().to_owned();
        let Some(name) = pods.iter().max_by_key(newest).and_then(|pod| pod["metadata"]["name"].as_str())
        else {
            continue;
        };
        if let Ok(lines) = cluster.last_lines(&id.namespace, name, LINES).await {
            let lines = String::from_utf8_lossy(&lines);
            let lines: Vec<&str> = lines.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
            if !lines.is_empty() {
                let _ = write!(why, "; its last lines: {}", lines.join(" | "));
            }
        }
    }
}

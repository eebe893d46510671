//! Hooks of a turn: what the plan is with them, and what the pods of one that failed said.
//!
//! Enters: a plan that was made as if hooks were objects like any others, and what is known of their run. Leaves: the plan as it is with
//! them, and what is known then. Beside a new failure stand the cause that the pods give and the last lines of their logs; what
//! of that cannot be read is left out: the failure itself is known. Absent: every decision, which are those of [`trueup_plan::hooks`].

use super::look::View;
use super::membership;
use super::target::TargetState;
use crate::cluster::Cluster;
use std::sync::Arc;
use trueup_model::{ObjectId, Value};
use trueup_plan::desired::Desired;
use trueup_plan::health::cause_from_pods;
use trueup_plan::hooks::{self, Ended, Occasion, Run};
use trueup_plan::planning::{Plan, Reason};
use trueup_plan::record::TargetStatus;

/// Lines of a log that are shown.
const LINES: u32 = 5;

/// Joins what the cluster recorded of a target's hooks to what the store kept. Either may be behind the other: a record that could not be
/// written, a store that lost its last writes. A hook that ended well and is gone is known from nowhere else.
pub(super) fn recall(status: &mut TargetStatus, recorded: Option<Run>) {
    status.run = match (status.run.take(), recorded) {
        // The record in the cluster is written first.
        (Some(kept), Some(recorded)) => Some(recorded.joined(kept)),
        (kept, recorded) => kept.or(recorded),
    };
}

/// Puts the hooks in the waves that they have on the occasion of the turn, and forgets of them what is older than what is there.
pub(super) fn place(state: &mut TargetState, view: &mut View) {
    let outlived = hooks::outlived(&view.desired, &view.observed, &state.ledger);
    if !outlived.is_empty() {
        let ledger = Arc::make_mut(&mut state.ledger);
        for hook in &outlived {
            ledger.remove(hook);
        }
    }
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

/// What comes next of a target's hooks by itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing.
    Nothing,
    /// Something is known now that was not before: another look, at once.
    Moved,
    /// Some hooks are to go once their end is recorded.
    Records,
}

/// Makes of a plan one with hooks in it.
pub(super) async fn settle(
    cluster: &Cluster,
    state: &mut TargetState,
    view: &mut View,
    plan: Plan,
) -> (Plan, Next) {
    let run = due(state, view);
    let recorded = recorded(state, view);
    let known = state.status.run.take();
    let mut hooked = hooks::settle(plan, &view.desired, &view.observed, run, recorded.as_ref());
    let has_moved = hooked.run != known;
    if let Some(run) = hooked.run.as_mut().filter(|_| has_moved) {
        add_last_words(cluster, &view.desired, known.as_ref(), run, &mut hooked.plan).await;
    }
    state.status.run = hooked.run;
    view.settled = hooked.settled;
    let next = match (has_moved, hooked.is_behind) {
        (true, _) => Next::Moved,
        (false, true) => Next::Records,
        (false, false) => Next::Nothing,
    };
    (hooked.plan, next)
}

/// What the cluster has recorded of the run. It is read only where a hook is there that may have to go.
fn recorded(state: &TargetState, view: &View) -> Option<Run> {
    let may_go =
        |(id, hook): (&ObjectId, &hooks::Hook)| hook.deleted_after && view.observed.members.contains_key(id);
    view.desired.hooks.iter().any(may_go).then(|| membership::recorded_status(state.parent.as_ref()?)?.run)?
}

/// Adds to each hook that failed since what its pods say, where it is kept and where this turn tells of it.
async fn add_last_words(
    cluster: &Cluster,
    desired: &Desired,
    before: Option<&Run>,
    run: &mut Run,
    plan: &mut Plan,
) {
    for id in desired.hooks.keys() {
        let key = id.to_string();
        let was_known =
            before.is_some_and(|before| before.id == run.id && before.hooks.get(&key) == run.hooks.get(&key));
        let Some(Ended::Failed(why)) = run.hooks.get_mut(&key).filter(|_| !was_known) else { continue };
        why.push_str(&what_its_pods_say(cluster, id).await);
        for step in plan.steps.iter_mut().filter(|step| step.id == *id) {
            if let Reason::HookFailed(told) = &mut step.reason {
                told.clone_from(why);
            }
        }
    }
}

/// The cause that the pods of a hook give, and the last words of the newest one. Nothing where they say nothing.
async fn what_its_pods_say(cluster: &Cluster, id: &ObjectId) -> String {
    let pods = match id.kind.as_str() {
        "Pod" => cluster.get(id).await.ok().flatten().into_iter().collect(),
        _ => cluster.pods_of(id).await.unwrap_or_default(),
    };
    let mut said = String::new();
    let mut say = |text: &str| said.extend(["; ", text]);
    if let Some(cause) = cause_from_pods(&pods) {
        say(&cause);
    }
    let Some(pod) = newest(&pods) else { return said };
    let container = failed(pod).and_then(|status| status["name"].as_str());
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let log = cluster.last_lines(&id.namespace, name, container, LINES).await;
    if let Some(words) = last_words(pod, log.ok().as_deref()) {
        say(&words);
    }
    said
}

/// The pod that was made last: the one of the last attempt.
fn newest(pods: &[Value]) -> Option<&Value> {
    pods.iter().max_by_key(|pod| pod["metadata"]["creationTimestamp"].as_str().unwrap_or_default())
}

/// The status of the container that ended badly, the first one of several; of those that prepare a pod first.
fn failed(pod: &Value) -> Option<&Value> {
    let statuses = ["initContainerStatuses", "containerStatuses"]
        .into_iter()
        .filter_map(|field| pod["status"][field].as_array())
        .flatten();
    let is_bad = |status: &&Value| {
        let ended =
            |state: &str| status[state]["terminated"]["exitCode"].as_i64().is_some_and(|code| code != 0);
        ended("state") || ended("lastState")
    };
    statuses.into_iter().find(is_bad)
}

/// What a pod said last: the end of its log, or, where that cannot be had, what its container left as its last message.
fn last_words(pod: &Value, log: Option<&[u8]>) -> Option<String> {
    let of_log = log.map(String::from_utf8_lossy).map(|log| lines(&log)).filter(|lines| !lines.is_empty());
    if let Some(lines) = of_log {
        return Some(format!("its last lines: {lines}"));
    }
    let status = failed(pod)?;
    let message =
        ["state", "lastState"].into_iter().find_map(|state| status[state]["terminated"]["message"].as_str());
    let said = message.map(lines).filter(|lines| !lines.is_empty())?;
    Some(format!("its last message: {said}"))
}

/// The last lines of a text, in one.
fn lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(LINES as usize)..].join(" | ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(made: &str, status: &Value) -> Value {
        json!({"metadata": {"name": format!("p-{made}"), "creationTimestamp": made}, "status": status})
    }

    fn ended(name: &str, code: i64, message: &str) -> Value {
        json!({"name": name, "state": {"terminated": {"exitCode": code, "reason": "Error", "message": message}}})
    }

    #[test]
    fn a_hook_that_ended_well_is_known_where_either_the_store_or_the_cluster_tells_of_it() {
        let run = |ended: &[&str]| {
            let hooks = ended.iter().map(|hook| ((*hook).to_owned(), Ended::Succeeded));
            Some(Run { hooks: hooks.collect(), ..Run::begin("a", Occasion::Upgrade, None) })
        };
        let recalled = |kept: Option<Run>, recorded: Option<Run>| {
            let mut status = TargetStatus { run: kept, ..TargetStatus::default() };
            recall(&mut status, recorded);
            status.run.map(|run| run.hooks.into_keys().collect::<Vec<_>>())
        };
        // The store was torn: it has a commit, and of the run only how it began.
        assert_eq!(recalled(run(&[]), run(&["job"])), Some(vec!["job".to_owned()]));
        assert_eq!(recalled(run(&["job"]), run(&[])), Some(vec!["job".to_owned()]));
        assert_eq!(recalled(None, run(&["job"])), Some(vec!["job".to_owned()]));
        assert_eq!(recalled(run(&["job"]), None), Some(vec!["job".to_owned()]));
        assert_eq!(recalled(None, None), None);
    }

    #[test]
    fn the_last_words_of_a_hook_are_those_of_its_last_attempt_and_of_the_container_that_failed() {
        let status = json!({
            "initContainerStatuses": [ended("wait", 0, "ready")],
            "containerStatuses": [ended("proxy", 0, "bye"), ended("migrate", 3, "no table")],
        });
        let pods = [
            pod("2026-01-01T00:00:02Z", &status),
            pod("2026-01-01T00:00:01Z", &json!({"containerStatuses": [ended("migrate", 1, "no server")]})),
        ];
        let last = newest(&pods).unwrap();
        assert_eq!(last["metadata"]["name"], "p-2026-01-01T00:00:02Z");
        assert_eq!(failed(last).unwrap()["name"], "migrate");
        let preparing = json!({"initContainerStatuses": [ended("wait", 1, "")], "containerStatuses": []});
        assert_eq!(failed(&pod("x", &preparing)).unwrap()["name"], "wait");
        let again =
            json!({"containerStatuses": [{"name": "main", "lastState": {"terminated": {"exitCode": 2}}}]});
        assert_eq!(failed(&pod("x", &again)).unwrap()["name"], "main");
    }

    #[test]
    fn the_end_of_the_log_is_told_and_without_a_log_what_the_container_left() {
        let pod = pod("x", &json!({"containerStatuses": [ended("main", 3, "a\n\nno such table\n")]}));
        let said = |log: Option<&str>| last_words(&pod, log.map(str::as_bytes));
        assert_eq!(said(Some("begin\n  no: x  \n")).unwrap(), "its last lines: begin | no: x");
        assert_eq!(said(Some("1\n2\n3\n4\n5\n6\n")).unwrap(), "its last lines: 2 | 3 | 4 | 5 | 6");
        for nothing in [None, Some(""), Some(" \n")] {
            assert_eq!(said(nothing).unwrap(), "its last message: a | no such table");
        }
        let silent = json!({"containerStatuses": [ended("main", 3, "")]});
        assert_eq!(last_words(&super::tests::pod("x", &silent), None), None);
    }
}

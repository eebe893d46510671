//! Hooks: what a Job is by its annotations, and what has become of each so far, found out without trueup's code.
//!
//! Enters: what commits have, and the Jobs of the clusters as they come and end. Leaves: what trueup did with hooks that it must not:
//! one that ended well made once more for the same state, one made before what comes before it, and objects put there before the
//! hooks that come before all objects.

use crate::content::{Content, Id, difference, id, text};
use crate::plan::{TARGETS, Target};
use crate::random::Random;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use trueup_plan::hooks::RUN_ANNOTATION;
use trueup_sandbox::workloads::Fate;

/// What the Jobs of hooks run, and what becomes of them.
pub(crate) const IMAGES: [(&str, Option<Fate>); 4] =
    [("hook:quick", None), (SLOW, Some(Fate::Hangs)), (FLAKY, Some(Fate::Fails)), (BAD, Some(Fate::Fails))];
/// Ends when it is let.
pub(crate) const SLOW: &str = "hook:slow";
/// Fails now and then.
pub(crate) const FLAKY: &str = "hook:flaky";
/// Fails until all is calm.
pub(crate) const BAD: &str = "hook:bad";

/// When a hook is put there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Moment {
    Before,
    With,
    After,
}

/// What a Job is by its annotations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hook {
    moment: Moment,
    weight: i64,
    /// Whether it is run whatever was there before.
    pub(crate) is_always: bool,
    /// Whether it goes when it ended well.
    pub(crate) goes: bool,
}

impl Hook {
    /// What an object is, if it is a hook.
    pub(crate) fn of(object: &Value) -> Option<Self> {
        let annotations = &object["metadata"]["annotations"];
        let said = |name: &str| text(&annotations[name]);
        let number = |name: &str| said(name).parse().unwrap_or(0);
        let argo = said("argocd.argoproj.io/hook");
        if !argo.is_empty() {
            let moment = match argo {
                "PreSync" => Moment::Before,
                "PostSync" => Moment::After,
                _ => Moment::With,
            };
            let goes = said("argocd.argoproj.io/hook-delete-policy") == "HookSucceeded";
            let weight = number("argocd.argoproj.io/sync-wave");
            return Some(Self { moment, weight, is_always: true, goes });
        }
        let helm = said("helm.sh/hook");
        let moment = if helm.starts_with("pre-") { Moment::Before } else { Moment::After };
        let goes = said("helm.sh/hook-delete-policy").contains("hook-succeeded");
        let weight = number("helm.sh/hook-weight");
        (!helm.is_empty()).then(|| Self { moment, weight, is_always: helm.contains(','), goes })
    }

    /// Whether this one has to have ended well before another one begins.
    fn is_before(&self, own: &Id, other: &Self, its: &Id) -> bool {
        self.is_always
            && match (self.moment, other.moment) {
                (Moment::Before | Moment::After, its_moment) if its_moment == self.moment => {
                    (self.weight, own) < (other.weight, its)
                }
                (own, other) => own < other,
            }
    }
}

/// A Job that is a hook, as somebody may write one.
pub(crate) fn job(app: &str, number: u64, random: &mut Random) -> Value {
    let annotations = match random.below(8) {
        0 | 1 => json!({"helm.sh/hook": "pre-install,pre-upgrade"}),
        2 | 3 => json!({"helm.sh/hook": "post-install,post-upgrade"}),
        4 => json!({"argocd.argoproj.io/hook": "PreSync"}),
        5 => json!({"argocd.argoproj.io/hook": "PostSync"}),
        6 => json!({"argocd.argoproj.io/hook": "Sync"}),
        _ if random.happens(500) => json!({"helm.sh/hook": "pre-upgrade"}),
        _ => json!({"helm.sh/hook": "post-install"}),
    };
    let mut annotations = annotations;
    let is_argo = annotations.get("helm.sh/hook").is_none();
    let (weight, policy, goes) = if is_argo {
        ("argocd.argoproj.io/sync-wave", "argocd.argoproj.io/hook-delete-policy", "HookSucceeded")
    } else {
        ("helm.sh/hook-weight", "helm.sh/hook-delete-policy", "before-hook-creation,hook-succeeded")
    };
    if random.happens(400) {
        annotations[weight] = format!("{}", random.below(3)).into();
    }
    if random.happens(500) {
        annotations[policy] = goes.into();
    }
    let image = random.weighted(&[(5, "hook:quick"), (4, SLOW), (1, FLAKY), (1, BAD)]);
    let argument = format!("{}", random.below(1000));
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": format!("{app}-hook-{number}"), "annotations": annotations},
        "spec": {"template": {"spec": {"restartPolicy": "Never",
            "containers": [{"name": "main", "image": image, "args": [argument]}]}}}})
}

/// The image that a Job runs.
pub(crate) fn image(object: &Value) -> &str {
    text(&object["spec"]["template"]["spec"]["containers"][0]["image"])
}

/// How a Job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    Runs,
    Well,
    Badly,
}

fn stand(job: &Value) -> Stand {
    let conditions = job["status"]["conditions"].as_array().into_iter().flatten();
    let holds = |one: &&Value| one["status"] == "True";
    let mut ended = conditions.filter(holds).filter_map(|one| match text(&one["type"]) {
        "Complete" => Some(Stand::Well),
        "Failed" => Some(Stand::Badly),
        _ => None,
    });
    ended.next().unwrap_or(Stand::Runs)
}

/// The last run of a hook.
#[derive(Debug)]
struct Past {
    run: String,
    stand: Stand,
    /// How many commits trueup had got when it began, and how often the configuration had changed.
    since: (usize, usize),
}

/// A target by its number, and one of its objects.
type Member = (usize, Id);

/// What has become of hooks so far.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    past: BTreeMap<Member, Past>,
    /// For which run each Job was made, or taken over by a timely apply, by its cluster and uid: what comes late makes it no other one.
    made_for: BTreeMap<(String, String), String>,
    /// Which hook ended well in which run.
    well: BTreeSet<(Member, String)>,
    /// The runs that a state of a target may have been.
    runs: BTreeMap<(usize, u64), BTreeSet<String>>,
    /// What was applied last of each object that stays.
    applied: BTreeMap<Member, Value>,
    /// And all that was ever applied of them.
    ever: BTreeSet<(Member, String)>,
    /// How many hooks were begun.
    pub(crate) begun: u64,
}

/// What a write is looked at with.
pub(crate) struct Look<'a> {
    pub(crate) at: usize,
    pub(crate) target: &'a Target,
    /// What trueup may be at work on.
    pub(crate) recent: &'a [Arc<Content>],
    /// How many commits it has got so far, and how often its configuration has changed.
    pub(crate) now: (usize, usize),
    /// Whether the commits that it got since then say different things of the target.
    pub(crate) has_moved: &'a dyn Fn((usize, usize)) -> bool,
    /// What is there.
    pub(crate) live: &'a dyn Fn(&Id) -> Option<&'a Arc<Value>>,
}

impl Ledger {
    /// Looks how the Jobs of a cluster stand.
    pub(crate) fn note<'o>(&mut self, cluster: &str, objects: impl Iterator<Item = &'o Arc<Value>>) {
        for job in objects.filter(|object| object["kind"] == "Job") {
            let Some((at, run)) = of_target(cluster, job) else { continue };
            let uid = (cluster.to_owned(), text(&job["metadata"]["uid"]).to_owned());
            let run = self.made_for.entry(uid).or_insert_with(|| run.to_owned()).as_str();
            let member = (at, id(job, ""));
            let stand = stand(job);
            if stand == Stand::Well {
                self.well.insert((member.clone(), run.to_owned()));
            }
            if let Some(past) = self.past.get_mut(&member).filter(|past| past.run == run) {
                past.stand = stand;
            }
        }
    }

    /// Somebody took a hook away, perhaps before trueup could see how it ended: it may be run again.
    pub(crate) fn excuse(&mut self, id: &Id) {
        self.past.retain(|(_, known), _| known != id);
    }

    /// What happened in a cluster since a backup did not happen.
    pub(crate) fn rolled_back(&mut self, cluster: &str) {
        self.past.retain(|(at, _), _| TARGETS[*at].cluster != cluster);
    }

    /// The states that an apply which is sent may be of; a hook's run is one of theirs, also where the apply comes late.
    pub(crate) fn sent(&mut self, look: &Look<'_>, body: &Value, id: &Id) -> Vec<(Arc<Content>, u64)> {
        let of_target = |content: &Arc<Content>| Some((content.clone(), content.state(look.target.app)?));
        let mut states: Vec<(Arc<Content>, u64)> = look.recent.iter().filter_map(of_target).collect();
        states.dedup_by_key(|(_, state)| *state);
        states.retain(|(content, _)| {
            let wanted = content.wanted(look.target.app, look.target.namespace).unwrap_or_default();
            wanted.get(id).is_some_and(|wanted| difference(wanted, body, "").is_none())
        });
        if Hook::of(body).is_some() {
            let run = text(&body["metadata"]["annotations"][RUN_ANNOTATION]);
            for (_, state) in &states {
                self.runs.entry((look.at, *state)).or_default().insert(run.to_owned());
            }
        }
        states
    }

    /// Looks at what is about to be applied; says what is wrong with that.
    pub(crate) fn apply(&mut self, look: &Look<'_>, body: &Value, id: &Id) -> Vec<String> {
        let mut wrong = Vec::new();
        let member = (look.at, id.clone());
        let run = text(&body["metadata"]["annotations"][RUN_ANNOTATION]);
        let states = self.sent(look, body, id);
        let hook = Hook::of(body);
        let live = (look.live)(id).filter(|_| hook.is_some());
        if let Some(live) = live {
            let uid = text(&live["metadata"]["uid"]).to_owned();
            self.made_for.insert((look.target.cluster.to_owned(), uid), run.to_owned());
        }
        let is_made = hook.is_some() && live.is_none();
        if is_made && let Some(past) = self.past.get(&member) {
            let is_again = past.run == run && past.stand != Stand::Badly && !(look.has_moved)(past.since);
            if is_again {
                wrong.push(format!(
                    "the hook {id:?} of {} {:?} in run {run} already, and is made again",
                    look.target.name, past.stand
                ));
            }
        }
        let held_up: Vec<String> = states
            .iter()
            .map(|(content, state)| self.held_up(look, content, *state, id, hook.as_ref(), run))
            .collect();
        let is_early = !held_up.is_empty() && held_up.iter().all(|why| !why.is_empty());
        // A hook that is there already is not begun by what is written over it, and what was there already is repaired whatever is
        // still to come.
        let is_repair = hook.is_none() && self.ever.contains(&(member.clone(), body.to_string()));
        if is_early && id.0 != "CustomResourceDefinition" && !is_repair && (hook.is_none() || is_made) {
            wrong.push(format!(
                "{id:?} of {} is applied too early: {}",
                look.target.name,
                held_up.join(", or ")
            ));
        }
        if is_made {
            self.begun += 1;
            self.past.insert(member, Past { run: run.to_owned(), stand: Stand::Runs, since: look.now });
        } else if hook.is_none() {
            self.ever.insert((member.clone(), body.to_string()));
            self.applied.insert(member, body.clone());
        }
        wrong
    }

    /// What an object of a state should have waited for; nothing where it may be put there.
    fn held_up(
        &self,
        look: &Look<'_>,
        content: &Content,
        state: u64,
        id: &Id,
        hook: Option<&Hook>,
        run: &str,
    ) -> String {
        let wanted = content.wanted(look.target.app, look.target.namespace).unwrap_or_default();
        let unknown = BTreeSet::new();
        let runs = self.runs.get(&(look.at, state)).unwrap_or(&unknown);
        let stays = Hook { moment: Moment::With, weight: 0, is_always: true, goes: false };
        let (own, is_hook) = (hook.unwrap_or(&stays), hook.is_some());
        for (other_id, other) in wanted.iter().filter(|(other, _)| *other != id) {
            let member = (look.at, other_id.clone());
            match Hook::of(other) {
                Some(other) if other.is_before(other_id, own, id) => {
                    let mut these = runs.iter().filter(|one| !is_hook || one.as_str() == run);
                    if !these.any(|run| self.well.contains(&(member.clone(), run.clone()))) {
                        return format!("{other_id:?} has not ended well");
                    }
                }
                None if own.moment == Moment::After => {
                    let is_as_wanted = |found: &Value| difference(other, found, "").is_none();
                    if !self.applied.get(&member).is_some_and(is_as_wanted)
                        && !(look.live)(other_id).is_some_and(|live| is_as_wanted(live))
                    {
                        return format!("{other_id:?} was not applied");
                    }
                }
                Some(_) | None => {}
            }
        }
        String::new()
    }

    /// The hooks of a state that have to have run and have not ended well.
    pub(crate) fn missing(&self, at: usize, content: &Content) -> Vec<Id> {
        let target = &TARGETS[at];
        let (Some(state), Some(wanted)) =
            (content.state(target.app), content.wanted(target.app, target.namespace))
        else {
            return Vec::new();
        };
        let unknown = BTreeSet::new();
        let runs = self.runs.get(&(at, state)).unwrap_or(&unknown);
        let is_through =
            |id: &Id| runs.iter().any(|run| self.well.contains(&((at, id.clone()), run.clone())));
        let hooks = wanted.iter().filter(|(_, object)| Hook::of(object).is_some_and(|hook| hook.is_always));
        hooks.map(|(id, _)| id.clone()).filter(|id| !is_through(id)).collect()
    }
}

/// The target of a hook that is there, and its run.
fn of_target<'o>(cluster: &str, job: &'o Value) -> Option<(usize, &'o str)> {
    let set = text(&job["metadata"]["labels"][trueup_plan::apply_set::PART_OF]);
    let at = TARGETS.iter().position(|target| target.cluster == cluster && target.set == set)?;
    let run = job["metadata"]["annotations"][RUN_ANNOTATION].as_str()?;
    Some((at, run))
}

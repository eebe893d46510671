//! What must hold at every step, whatever happens. Each rule is found out anew here, without trueup's own code.

use crate::content::{self, Content, Id, MARK, MARK_ENCODED, text};
use crate::forge::Forge;
use crate::gate::{Asked, Cluster, Witness};
use crate::hooks::{Hook, Ledger, Look};
use crate::pace::Pace;
use crate::plan::{Layout, TARGETS, Target};
use crate::trace::Trace;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use trueup_plan::apply_set::{GROUP_KINDS, ID, NAMESPACES, PART_OF};
use trueup_sandbox::Sandbox;

/// Looks at each write of trueup before it takes effect.
pub(crate) struct Guard {
    pub(crate) forge: Forge,
    pub(crate) trace: Trace,
    /// The configurations that trueup may be at work on, newest last.
    pub(crate) layouts: Layouts,
    /// How often the configuration has changed.
    pub(crate) changes: AtomicUsize,
    pub(crate) ledger: Mutex<Ledger>,
    pub(crate) pace: Pace,
}

/// Configurations, shared by those who change them and those who look.
pub(crate) type Layouts = Arc<Mutex<Vec<Layout>>>;

impl Witness for Guard {
    fn look(&self, cluster: &str, sandbox: &Sandbox) {
        self.ledger.lock().unwrap().note(cluster, sandbox.objects());
    }

    fn write(&self, cluster: &str, sandbox: &Sandbox, asked: &Asked) {
        self.trace.note(|| format!("{cluster}    effect {} {}", asked.method, asked.path));
        if !asked.user_agent.starts_with("trueup/") {
            return;
        }
        self.check_secrets(cluster, asked);
        if asked.method != "POST"
            && let Some(wrong) = self.pace.count(cluster, &asked.path, self.forge.delivered())
        {
            self.trace.violation(format!("{cluster}: {wrong}"));
        }
        let Some(object) = Named::of(&asked.path) else {
            let is_record = asked.path.ends_with("/configmaps") && asked.method == "POST";
            if !is_record && !asked.path.ends_with("/events") {
                self.trace.violation(format!(
                    "{cluster}: {} {} is no write of one object",
                    asked.method, asked.path
                ));
            }
            return;
        };
        match asked.method.as_str() {
            "DELETE" => self.check_deletion(cluster, sandbox, asked, &object),
            "PATCH" => self.check_apply(cluster, sandbox, asked, &object),
            other => self.trace.violation(format!("{cluster}: an unexpected {other} {}", asked.path)),
        }
    }

    fn delay(&self, cluster: &str, sandbox: &Sandbox, asked: &Asked) {
        let Some(named) = Named::of(&asked.path).filter(|_| asked.method == "PATCH") else { return };
        let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
        let set = text(&body["metadata"]["labels"][PART_OF]);
        let Some(target) = TARGETS.iter().find(|target| target.cluster == cluster && target.set == *set)
        else {
            return;
        };
        let id = content::id(&body, &named.namespace);
        self.at_hooks(sandbox, target, &self.forge.recent(), |ledger, look| {
            drop(ledger.sent(look, &body, &id));
        });
    }
}

impl Guard {
    /// Values of Secrets go into Secrets and nowhere else.
    fn check_secrets(&self, cluster: &str, asked: &Asked) {
        let body = String::from_utf8_lossy(&asked.body);
        if !asked.path.contains("/secrets/") && (body.contains(MARK) || body.contains(MARK_ENCODED)) {
            self.trace
                .violation(format!("{cluster}: a secret's value is in {} {}", asked.method, asked.path));
        }
    }

    /// Nothing is pruned that is not ours, or that Git has.
    fn check_deletion(&self, cluster: &str, sandbox: &Sandbox, asked: &Asked, named: &Named) {
        let live = sandbox.objects().find(|object| named.is(object));
        let Some(live) = live else { return };
        let wanted: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
        if !wanted["preconditions"]["uid"].is_string() {
            self.trace.violation(format!("{cluster}: {} is deleted, whichever object that is", asked.path));
            return;
        }
        if wanted["preconditions"]["uid"] != live["metadata"]["uid"] {
            return;
        }
        let version = &wanted["preconditions"]["resourceVersion"];
        if version.is_string() && *version != live["metadata"]["resourceVersion"] {
            return;
        }
        let id = content::id(live, "");
        if live["metadata"]["labels"][ID].is_string() {
            return self.check_farewell(cluster, sandbox, &id);
        }
        // A hook makes room for its next run, and may go when it has ended; so does one that is there without belonging to anybody.
        if Hook::of(live).is_some() && self.is_hook_in_git(cluster, &id) {
            return;
        }
        let set = content::set_of(live);
        let Some(target) = TARGETS.iter().find(|target| target.cluster == cluster && target.set == *set)
        else {
            self.trace
                .violation(format!("{cluster}: {id:?} is deleted, which is in no set of trueup's: {set:?}"));
            return;
        };
        let recent = self.forge.recent();
        let is_gone = |content: &Arc<Content>| {
            content.wanted(target.app, target.namespace).is_some_and(|wanted| !wanted.contains_key(&id))
        };
        let is_elsewhere = self.layouts.lock().unwrap().iter().any(|layout| layout.has_moved(target));
        if !is_elsewhere && !recent.iter().any(is_gone) {
            self.trace.violation(format!("{cluster}: {id:?} of {} is deleted, and Git has it", target.name));
        }
    }

    /// A record goes when its target is elsewhere and nothing is left in its set.
    fn check_farewell(&self, cluster: &str, sandbox: &Sandbox, id: &Id) {
        let is_its =
            |target: &&Target| target.cluster == cluster && target.parent == id.2 && target.namespace == id.1;
        let layouts = self.layouts.lock().unwrap();
        let target = TARGETS
            .iter()
            .filter(is_its)
            .find(|target| layouts.iter().any(|layout| layout.has_moved(target)));
        let Some(target) = target else {
            return self
                .trace
                .violation(format!("{cluster}: the record {id:?} is deleted, and its target is there"));
        };
        let left = sandbox.objects().find(|object| content::set_of(object) == target.set);
        if let Some(left) = left {
            let left = content::id(left, "");
            self.trace
                .violation(format!("{cluster}: the record {id:?} is deleted, and {left:?} is in its set"));
        }
    }

    /// Nothing is written that Git did not ask for; and the set's record knows of it before it is there.
    fn check_apply(&self, cluster: &str, sandbox: &Sandbox, asked: &Asked, named: &Named) {
        let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
        if asked.content_type != "application/apply-patch+yaml" {
            self.trace.violation(format!("{cluster}: {} is written otherwise than by an apply", asked.path));
            return;
        }
        if body["metadata"]["labels"][ID].is_string() {
            if !TARGETS.iter().any(|target| target.cluster == cluster && named.name == target.parent) {
                self.trace.violation(format!("{cluster}: a record {} of no target", named.name));
            }
            return;
        }
        let set = text(&body["metadata"]["labels"][PART_OF]);
        let Some(target) = TARGETS.iter().find(|target| target.cluster == cluster && target.set == *set)
        else {
            self.trace.violation(format!("{cluster}: {} is applied for no target", asked.path));
            return;
        };
        let id = content::id(&body, &named.namespace);
        let is_asked_for = |content: &Arc<Content>| {
            let wanted = content.wanted(target.app, target.namespace).unwrap_or_default();
            wanted.get(&id).is_some_and(|object| is_part(object, &body))
        };
        let recent = self.forge.recent();
        self.check_hooks(cluster, sandbox, (&id, &body), target, &recent);
        if !recent.iter().any(is_asked_for) {
            self.trace
                .violation(format!("{cluster}: {id:?} of {} is applied as no commit has it", target.name));
        }
        if !record_of(sandbox.objects(), target).is_some_and(|record| covers(record, target, &id)) {
            self.trace
                .violation(format!("{cluster}: {id:?} is applied before {} knows of it", target.parent));
        }
    }
}

impl Guard {
    fn is_hook_in_git(&self, cluster: &str, id: &Id) -> bool {
        let recent = self.forge.recent();
        let mut targets = TARGETS.iter().filter(|target| target.cluster == cluster);
        targets.any(|target| {
            let has = |content: &Arc<Content>| {
                let wanted = content.wanted(target.app, target.namespace).unwrap_or_default();
                wanted.get(id).is_some_and(|object| Hook::of(object).is_some())
            };
            recent.iter().any(has)
        })
    }

    /// Hooks run once, and in their order; a hook that failed stops what comes after it.
    fn check_hooks(
        &self,
        cluster: &str,
        sandbox: &Sandbox,
        (id, body): (&Id, &Value),
        target: &Target,
        recent: &[Arc<Content>],
    ) {
        let wrong = self.at_hooks(sandbox, target, recent, |ledger, look| ledger.apply(look, body, id));
        for wrong in wrong {
            self.trace.violation(format!("{cluster}: {wrong}"));
        }
    }

    fn at_hooks<T>(
        &self,
        sandbox: &Sandbox,
        target: &Target,
        recent: &[Arc<Content>],
        act: impl FnOnce(&mut Ledger, &Look<'_>) -> T,
    ) -> T {
        let now = (self.forge.delivered(), self.changes.load(Ordering::Relaxed));
        let has_moved = |since: (usize, usize)| {
            now.1 != since.1 || self.forge.states_since(target.app, since.0).len() > 1
        };
        let live = |id: &Id| sandbox.objects().find(|object| content::is(object, id));
        let at = TARGETS.iter().position(|one| std::ptr::eq(one, target)).unwrap_or_default();
        let look = Look { at, target, recent, now, has_moved: &has_moved, live: &live };
        act(&mut self.ledger.lock().unwrap(), &look)
    }
}

// What is applied may have more than Git has, such as labels, and nothing else than that.
fn is_part(wanted: &Value, body: &Value) -> bool {
    content::difference(wanted, body, "").is_none()
}

/// An object as a path names it.
struct Named {
    plural: String,
    namespace: String,
    name: String,
}

impl Named {
    fn of(path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        if let ["apis", _, _, plural @ "customresourcedefinitions", name] = parts.as_slice() {
            let (plural, name) = ((*plural).to_owned(), (*name).to_owned());
            return Some(Self { plural, namespace: String::new(), name });
        }
        let at = parts.iter().position(|part| *part == "namespaces")?;
        let [namespace, plural, name] = parts.get(at + 1..)? else { return None };
        Some(Self {
            plural: (*plural).to_owned(),
            namespace: (*namespace).to_owned(),
            name: (*name).to_owned(),
        })
    }

    fn is(&self, object: &Value) -> bool {
        let plural = format!("{}s", text(&object["kind"]).to_lowercase());
        object["metadata"]["name"] == self.name.as_str()
            && text(&object["metadata"]["namespace"]) == self.namespace
            && plural == self.plural
    }
}

/// The record of a target.
fn record_of<'o>(
    mut objects: impl Iterator<Item = &'o Arc<Value>>,
    target: &Target,
) -> Option<&'o Arc<Value>> {
    objects.find(|object| {
        object["kind"] == "ConfigMap"
            && object["metadata"]["name"] == target.parent.as_str()
            && object["metadata"]["namespace"] == target.namespace
    })
}

/// Whether the record of a target says that it has objects like this one.
fn covers(record: &Value, target: &Target, id: &Id) -> bool {
    let named = |annotation: &str| -> BTreeSet<&str> {
        text(&record["metadata"]["annotations"][annotation]).split(',').collect()
    };
    let kind = |name: &str| name.split('.').next() == Some(id.0.as_str());
    named(GROUP_KINDS).into_iter().any(kind)
        && (id.1.is_empty() || id.1 == target.namespace || named(NAMESPACES).contains(id.1.as_str()))
}

/// Membership is never lost: whatever carries the label of a set is found by the set's record.
pub(crate) fn check_membership(cluster: &Cluster, trace: &Trace) {
    let objects = cluster.objects();
    let records = TARGETS.each_ref().map(|target| record_of(objects.iter(), target));
    for object in &objects {
        let set = content::set_of(object);
        let ours = TARGETS.iter().zip(&records);
        let ours =
            ours.into_iter().find(|(target, _)| target.cluster == cluster.name() && target.set == *set);
        if let Some((target, record)) = ours {
            let id = content::id(object, "");
            if !record.is_some_and(|record| covers(record, target, &id)) {
                trace.violation(format!("{}: {id:?} is in no record of {}", cluster.name(), target.name));
            }
        }
    }
}

/// Nothing that trueup shows has a secret's value in it.
pub(crate) fn check_output(what: &str, output: &str, trace: &Trace) {
    for mark in [MARK, MARK_ENCODED] {
        if let Some(at) = output.find(mark) {
            let around: String = output[at.saturating_sub(80)..].chars().take(120).collect();
            trace.violation(format!("a secret's value is in {what}: {around}"));
        }
    }
}

/// What was applied can be answered from the cluster alone: where a record is not what Git and the cluster are. It may name an
/// older commit that has of the target what the last one has.
pub(crate) fn records(clusters: &[Cluster], forge: &Forge, layout: &Layout) -> Vec<String> {
    let Some((revision, head)) = forge.head() else { return Vec::new() };
    let mut found = Vec::new();
    for target in TARGETS.iter().filter(|target| layout.has(target)) {
        let Some(cluster) = clusters.iter().find(|cluster| cluster.name() == target.cluster) else {
            continue;
        };
        let is_record = |object: &&Arc<Value>| {
            content::id(object, "")
                == ("ConfigMap".to_owned(), target.namespace.to_owned(), target.parent.clone())
        };
        let objects = cluster.objects();
        let Some(record) = objects.iter().find(is_record) else {
            found.push(format!("{} has no record", target.name));
            continue;
        };
        let told = text(&record["data"]["revision"]);
        let is_the_same = |told: Arc<Content>| {
            let wanted = told.wanted(target.app, target.namespace);
            wanted.is_some() && wanted == head.wanted(target.app, target.namespace)
        };
        if told != revision && !forge.content(told).is_some_and(is_the_same) {
            found.push(format!("the record of {} tells of {told:?}", target.name));
        }
        let members = objects.iter().filter(|object| content::set_of(object) == target.set);
        let kinds: BTreeSet<&str> = members.map(|object| text(&object["kind"])).collect();
        let named = text(&record["metadata"]["annotations"][GROUP_KINDS]).split(',');
        let named: BTreeSet<&str> = named.filter_map(|kind| kind.split('.').next()).collect();
        if !kinds.is_subset(&named) {
            found.push(format!("the record of {} tells of {named:?} and not of {kinds:?}", target.name));
        }
    }
    found
}

/// How the clusters differ from Git, target by target; nothing where they are equal.
pub(crate) fn differences(clusters: &[Cluster], forge: &Forge, layout: &Layout) -> Vec<String> {
    let Some((_, head)) = forge.head() else { return Vec::new() };
    let mut found = Vec::new();
    // A target that is not configured any more is left as it is.
    for target in TARGETS.iter().filter(|target| layout.has(target) || layout.has_moved(target)) {
        let Some(cluster) = clusters.iter().find(|cluster| cluster.name() == target.cluster) else {
            continue;
        };
        let mut wanted = head.wanted(target.app, target.namespace).unwrap_or_default();
        if !layout.has(target) {
            wanted.clear();
        }
        let objects = cluster.objects();
        let set = target.set.as_str();
        for (id, object) in &wanted {
            // A hook may be there or not when it has ended, as whoever was last.
            if let Some(hook) = Hook::of(object) {
                // What somebody took out of the set is theirs.
                let is_there = |live: &Arc<Value>| content::is(live, id) && content::set_of(live) == set;
                let is_left = hook.goes && hook.is_always && objects.iter().any(is_there);
                found.extend(is_left.then(|| format!("{}: the hook {id:?} is there still", target.name)));
                continue;
            }
            match objects.iter().find(|live| content::is(live, id)) {
                Some(live) if live["metadata"]["labels"][PART_OF] != set => {
                    found.push(format!("{}: {id:?} is not in the set", target.name));
                }
                Some(live) => {
                    let difference = content::difference(object, live, "");
                    found.extend(
                        difference.map(|difference| format!("{}: {id:?}: {difference}", target.name)),
                    );
                }
                None => found.push(format!("{}: {id:?} is missing", target.name)),
            }
        }
        for live in objects.iter().filter(|live| content::set_of(live) == set) {
            let id = content::id(live, "");
            if !wanted.contains_key(&id) {
                found.push(format!("{}: {id:?} is not in Git", target.name));
            }
        }
    }
    found
}

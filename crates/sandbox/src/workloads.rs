//! The controllers of workloads in small, and pods that only seem to run.
//!
//! A pod is scheduled and ready at once, unless its image has another [`Fate`]. A Deployment replaces its pods at once, as far
//! as the new ones become ready.
//!
//! Source: the status fields that k8s.io/kubernetes `pkg/controller` writes.

use crate::Sandbox;
use crate::answer::Refusal;
use crate::kinds::Kind;
use crate::request::Target;
use crate::store::{Key, Resource};
use crate::write::Change;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::sync::Arc;

const MANAGER: &str = "kube-controller-manager";
/// The annotation by which a pod says what becomes of it: the name of a [`Fate`].
pub const FATE: &str = "sandbox.trueup.dev/fate";
/// The condition of a set that cannot make its pods.
const FAILURE: &str = "ReplicaFailure";
const HASH: &str = "pod-template-hash";
/// Which revision of its Deployment a set is, and at which a Deployment is: `kubectl rollout history` and `undo` go by it.
const REVISION: &str = "deployment.kubernetes.io/revision";
/// More pods than these are not made for one workload: they would only cost time.
pub(crate) const PODS: i64 = 1_000;

/// What becomes of a pod whose image has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The image cannot be pulled.
    NoImage,
    /// The container ends again and again.
    Crashes,
    /// The container runs and never becomes ready.
    NeverReady,
    /// A Job's container runs and does not end; any other runs well.
    Hangs,
    /// A Job's container ends with an error, and the Job with it; any other ends again and again.
    Fails,
}

impl Fate {
    /// The fate that an annotation names.
    fn named(name: &str) -> Option<Self> {
        [Self::NoImage, Self::Crashes, Self::NeverReady, Self::Hangs, Self::Fails]
            .into_iter()
            .find(|fate| format!("{fate:?}") == name)
    }

    fn waiting(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::NoImage => Some(("ImagePullBackOff", "Back-off pulling image")),
            Self::Crashes => Some(("CrashLoopBackOff", "back-off 5m0s restarting failed container")),
            Self::NeverReady | Self::Hangs | Self::Fails => None,
        }
    }

    /// What becomes of a container that runs to its end, or of one that does not.
    fn of_container(self, runs_to_end: bool) -> Option<Self> {
        match (self, runs_to_end) {
            (Self::Hangs, false) => None,
            (Self::Fails, false) => Some(Self::Crashes),
            (fate @ (Self::NoImage | Self::Crashes | Self::NeverReady | Self::Hangs | Self::Fails), _) => {
                Some(fate)
            }
        }
    }
}

/// How the containers of a pod are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Pending,
    Running,
    Succeeded,
    Failed,
}

impl Phase {
    fn of(fates: &[Option<Fate>], runs_to_end: bool) -> Self {
        let any = |is: fn(Fate) -> bool| fates.iter().flatten().any(|fate| is(*fate));
        if any(|fate| fate.waiting().is_some()) {
            Self::Pending
        } else if any(|fate| fate == Fate::Fails) {
            Self::Failed
        } else if runs_to_end && !any(|fate| fate == Fate::Hangs) {
            Self::Succeeded
        } else {
            Self::Running
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
        }
    }
}

impl Sandbox {
    /// Says what becomes of pods with an image, from now on; also of those that there are and that have not ended.
    pub fn decide(&mut self, image: &str, fate: Option<Fate>) {
        match fate {
            Some(fate) => drop(self.fates.insert(image.to_owned(), fate)),
            None => drop(self.fates.remove(image)),
        }
        let has_image = |pod: &Value| {
            let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
            containers.into_iter().any(|container| container["image"] == image)
        };
        let concerned: Vec<Key> =
            self.store.all(&pods()).filter(|(_, pod)| has_image(pod)).map(|(key, _)| key.clone()).collect();
        for key in concerned {
            self.run_workloads(&pods(), &key);
        }
        self.settle();
    }

    /// Lets the controller of an object look at it.
    pub(crate) fn run_workloads(&mut self, resource: &Resource, key: &Key) {
        let Some(object) = self.store.get(resource, key).cloned() else { return };
        if object["metadata"]["deletionTimestamp"].is_string() {
            return;
        }
        match (resource.0.as_str(), resource.1.as_str()) {
            ("apps", "deployments") => {
                self.run_deployment(&object, key);
                self.run_autoscalers_of(&object, &key.0);
            }
            ("apps", "replicasets") => self.run_replicas(&object, key),
            ("apps", "statefulsets") => {
                self.run_stateful(&object, key);
                self.run_autoscalers_of(&object, &key.0);
            }
            ("autoscaling", "horizontalpodautoscalers") => self.run_autoscaler(&object, key),
            ("apps", "daemonsets") => self.run_daemons(&object, key),
            ("batch", "jobs") => {
                self.run_job(&object, key);
                self.look_at_owner(&object, key);
            }
            ("batch", "cronjobs") => self.run_cron_job(&object, key),
            ("", "pods") => self.run_pod(&object, key),
            ("", "persistentvolumeclaims") => self.run_claim(&object, key),
            ("", "persistentvolumes") => self.run_volume(&object, key),
            ("", "services") => self.run_service(&object, key),
            ("policy", "poddisruptionbudgets") => {
                let status = json!({"observedGeneration": object["metadata"]["generation"], "currentHealthy": 0,
                    "desiredHealthy": 0, "disruptionsAllowed": 0, "expectedPods": 0});
                self.set_status(resource, key, status);
            }
            _ => {}
        }
    }

    fn run_deployment(&mut self, deployment: &Value, key: &Key) {
        let template = &deployment["spec"]["template"];
        let hash = hash_of(template);
        let name = format!("{}-{hash}", key.1);
        let wanted = deployment["spec"]["replicas"].as_i64().unwrap_or(1);
        let sets = ("apps".to_owned(), "replicasets".to_owned());
        let mine: Vec<(Key, Arc<Value>)> = self.owned(deployment, &sets);
        let last = mine.iter().map(|(_, set)| revision_of(set)).max().unwrap_or(0);
        if !mine.iter().any(|(key, _)| key.1 == name) {
            let mut template = template.clone();
            template["metadata"]["labels"][HASH] = hash.as_str().into();
            let mut selector = deployment["spec"]["selector"].clone();
            selector["matchLabels"][HASH] = hash.as_str().into();
            let next = last + 1;
            let object = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet",
                "metadata": {"name": name, "namespace": key.0, "labels": template["metadata"]["labels"],
                    "annotations": {REVISION: next.to_string()}, "ownerReferences": [reference(deployment)]},
                "spec": {"replicas": wanted, "selector": selector, "template": template}});
            // What cannot be made now is made when something changes again.
            let _ = self.create_as("apps", "replicasets", &key.0, object);
            return;
        }
        let Some((newest, set)) = mine.iter().find(|(key, _)| key.1 == name) else { return };
        // A template that comes back is a new revision of its set.
        if revision_of(set) < last || last == 0 {
            let mut set = Value::clone(set);
            set["metadata"]["annotations"][REVISION] = (last + 1).to_string().into();
            self.rewrite_by(&sets, newest, "", set);
            return;
        }
        let ready = |set: &Value| set["status"]["readyReplicas"].as_i64().unwrap_or(0);
        let is_rolled_out = mine.iter().any(|(key, set)| key.1 == name && ready(set) >= wanted);
        for (key, set) in &mine {
            let size = if key.1 == name {
                wanted
            } else if is_rolled_out {
                0
            } else {
                continue;
            };
            if set["spec"]["replicas"] != size {
                let mut set = Value::clone(set);
                set["spec"]["replicas"] = size.into();
                self.rewrite_by(&sets, key, "", set);
                return;
            }
        }
        let total: i64 = mine.iter().map(|(_, set)| set["status"]["replicas"].as_i64().unwrap_or(0)).sum();
        let all_ready: i64 = mine.iter().map(|(_, set)| ready(set)).sum();
        let updated = mine.iter().find(|(key, _)| key.1 == name);
        let updated_count = updated.and_then(|(_, set)| set["status"]["replicas"].as_i64()).unwrap_or(0);
        let is_available = all_ready >= wanted - wanted / 4;
        let available = if is_available {
            ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.".to_owned())
        } else {
            (
                "False",
                "MinimumReplicasUnavailable",
                "Deployment does not have minimum availability.".to_owned(),
            )
        };
        let progressing = if is_rolled_out {
            ("True", "NewReplicaSetAvailable", format!("ReplicaSet \"{name}\" has successfully progressed."))
        } else if self.is_stuck(deployment, &name) {
            let why = format!("ReplicaSet \"{name}\" has timed out progressing.");
            ("False", "ProgressDeadlineExceeded", why)
        } else {
            ("True", "ReplicaSetUpdated", format!("ReplicaSet \"{name}\" is progressing."))
        };
        let mut conditions =
            self.conditions(deployment, &[("Available", available), ("Progressing", progressing)]);
        conditions.extend(updated.and_then(|(_, set)| condition(set, FAILURE)).cloned());
        let mut status = json!({"observedGeneration": deployment["metadata"]["generation"], "replicas": total,
            "updatedReplicas": updated_count, "readyReplicas": all_ready, "availableReplicas": all_ready,
            "unavailableReplicas": (wanted - all_ready).max(0), "conditions": conditions});
        drop_zeros(&mut status);
        let mut object = deployment.clone();
        object["status"] = status;
        object["metadata"]["annotations"][REVISION] = last.to_string().into();
        if object != *deployment {
            self.rewrite_by(&("apps".to_owned(), "deployments".to_owned()), key, "status", object);
        }
    }

    /// Whether nothing has come of a rollout for longer than it may take.
    fn is_stuck(&self, deployment: &Value, name: &str) -> bool {
        let Some(known) = condition(deployment, "Progressing") else { return false };
        // Of the set before nothing follows for this one.
        if !known["message"].as_str().is_some_and(|message| message.contains(&format!("\"{name}\""))) {
            return false;
        }
        let since = known["lastUpdateTime"].as_str().and_then(|time| time.parse::<Timestamp>().ok());
        let limit = deployment["spec"]["progressDeadlineSeconds"].as_i64().map(SignedDuration::from_secs);
        known["reason"] == "ProgressDeadlineExceeded"
            || since.zip(limit).is_some_and(|(since, limit)| since + limit <= self.now)
    }

    fn run_replicas(&mut self, set: &Value, key: &Key) {
        let wanted = set["spec"]["replicas"].as_i64().unwrap_or(1).clamp(0, PODS);
        let pods = self.owned(set, &pods());
        let count = i64::try_from(pods.len()).unwrap_or(PODS);
        let mut failure = None;
        if count < wanted {
            let suffix: String = self.store.uid().chars().take(5).collect();
            let name = format!("{}-{suffix}", key.1);
            match self.create_pod(set, &set["spec"]["template"], &key.0, &name) {
                Ok(()) => return,
                Err(refusal) => failure = Some(self.failure(set, &refusal)),
            }
        }
        if count > wanted {
            if let Some((key, _)) = pods.last() {
                self.end(&self::pods(), key, None);
            }
            return;
        }
        let ready = count_ready(&pods);
        let mut status = json!({"observedGeneration": set["metadata"]["generation"], "replicas": count,
            "fullyLabeledReplicas": count, "readyReplicas": ready, "availableReplicas": ready});
        drop_zeros(&mut status);
        status["replicas"] = count.into();
        if let Some(failure) = failure {
            status["conditions"] = json!([failure]);
        }
        self.set_status(&("apps".to_owned(), "replicasets".to_owned()), key, status);
        self.look_at_owner(set, key);
    }

    fn run_stateful(&mut self, set: &Value, key: &Key) {
        let wanted = set["spec"]["replicas"].as_i64().unwrap_or(1).clamp(0, PODS);
        let revision = format!("{}-{}", key.1, hash_of(&set["spec"]["template"]));
        let pods = self.owned(set, &pods());
        let old = pods
            .iter()
            .find(|(_, pod)| pod["metadata"]["labels"]["controller-revision-hash"] != revision.as_str());
        let surplus = pods.iter().find(|(key, _)| {
            key.1
                .rsplit_once('-')
                .and_then(|(_, index)| index.parse::<i64>().ok())
                .is_none_or(|index| index >= wanted)
        });
        if let Some((key, _)) = old.or(surplus) {
            self.end(&self::pods(), key, None);
            return;
        }
        let missing = (0..wanted)
            .map(|index| format!("{}-{index}", key.1))
            .find(|name| !pods.iter().any(|(key, _)| key.1 == *name));
        if let Some(name) = missing {
            let mut template = set["spec"]["template"].clone();
            template["metadata"]["labels"]["controller-revision-hash"] = revision.as_str().into();
            self.claim_for(set, &mut template, &key.0, &name);
            if self.create_pod(set, &template, &key.0, &name).is_ok() {
                return;
            }
        }
        let (ready, count) = (count_ready(&pods), pods.len());
        let mut status = json!({"observedGeneration": set["metadata"]["generation"], "replicas": count,
            "readyReplicas": ready, "availableReplicas": ready, "currentReplicas": count, "updatedReplicas": count,
            "currentRevision": revision, "updateRevision": revision, "collisionCount": 0});
        drop_zeros(&mut status);
        status["replicas"] = count.into();
        self.set_status(&("apps".to_owned(), "statefulsets".to_owned()), key, status);
    }

    fn run_daemons(&mut self, set: &Value, key: &Key) {
        let pods = self.owned(set, &pods());
        let hash = hash_of(&set["spec"]["template"]);
        if let Some((key, _)) = pods
            .iter()
            .find(|(_, pod)| pod["metadata"]["labels"]["controller-revision-hash"] != hash.as_str())
        {
            self.end(&self::pods(), key, None);
            return;
        }
        if pods.is_empty() {
            let mut template = set["spec"]["template"].clone();
            template["metadata"]["labels"]["controller-revision-hash"] = hash.as_str().into();
            let suffix: String = self.store.uid().chars().take(5).collect();
            if self.create_pod(set, &template, &key.0, &format!("{}-{suffix}", key.1)).is_ok() {
                return;
            }
        }
        let (ready, count) = (count_ready(&pods), pods.len());
        let status = json!({"observedGeneration": set["metadata"]["generation"], "desiredNumberScheduled": 1,
            "currentNumberScheduled": count, "updatedNumberScheduled": count, "numberMisscheduled": 0,
            "numberReady": ready, "numberAvailable": ready});
        self.set_status(&("apps".to_owned(), "daemonsets".to_owned()), key, status);
    }

    fn run_pod(&mut self, pod: &Value, key: &Key) {
        // What has ended stays as it is.
        if !matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed")) {
            let status = if pod["spec"]["nodeName"].is_string() {
                self.status_of_pod(pod)
            } else if let Some(node) = self.node_for(&pod["spec"]) {
                let mut placed = pod.clone();
                placed["spec"]["nodeName"] = node.into();
                self.renumber(&pods(), key, placed);
                return;
            } else {
                self.unplaced(pod)
            };
            self.set_status(&pods(), key, status);
        }
        self.run_claims_of(pod, &key.0);
        self.run_services_of(pod, &key.0);
        self.look_at_owner(pod, key);
    }

    fn status_of_pod(&self, pod: &Value) -> Value {
        let time = pod["metadata"]["creationTimestamp"].clone();
        let containers = pod["spec"]["containers"].as_array().map(Vec::as_slice).unwrap_or_default();
        let runs_to_end = pod["metadata"]["ownerReferences"][0]["kind"] == "Job";
        let written = pod["metadata"]["annotations"][FATE].as_str().and_then(Fate::named);
        let fate_of = |container: &Value| {
            let decided = container["image"].as_str().and_then(|image| self.fates.get(image)).copied();
            let fate = written.or(decided);
            fate.and_then(|fate| fate.of_container(runs_to_end))
        };
        let fates: Vec<Option<Fate>> = containers.iter().map(fate_of).collect();
        let is_ready = fates.iter().all(Option::is_none);
        let statuses: Vec<Value> = containers
            .iter()
            .zip(&fates)
            .map(|(container, fate)| {
                let ended = |code: u8, reason: &str| {
                    json!({"terminated": {"exitCode": code, "reason": reason, "startedAt": time, "finishedAt": time}})
                };
                let state = match fate.map(|fate| (fate, fate.waiting())) {
                    Some((_, Some((reason, message)))) => {
                        json!({"waiting": {"reason": reason, "message": message}})
                    }
                    Some((Fate::Fails, None)) => ended(1, "Error"),
                    Some((Fate::NoImage | Fate::Crashes | Fate::NeverReady, None)) | None if runs_to_end => {
                        ended(0, "Completed")
                    }
                    Some((Fate::NoImage | Fate::Crashes | Fate::NeverReady | Fate::Hangs, None)) | None => {
                        json!({"running": {"startedAt": time}})
                    }
                };
                let is_up = fate.is_none() && !runs_to_end;
                json!({"name": container["name"], "image": container["image"], "imageID": "", "ready": is_up,
                    "restartCount": 0, "started": is_up, "state": state, "lastState": {}})
            })
            .collect();
        let condition = |name: &str, holds: bool| {
            let status = if holds { "True" } else { "False" };
            json!({"type": name, "status": status, "lastProbeTime": null, "lastTransitionTime": time})
        };
        let is_up = is_ready && !runs_to_end;
        json!({"phase": Phase::of(&fates, runs_to_end).name(), "qosClass": "BestEffort", "startTime": time,
            "podIP": address_of(pod), "podIPs": [{"ip": address_of(pod)}],
            "conditions": [condition("PodScheduled", true), condition("Initialized", true),
                condition("ContainersReady", is_up), condition("Ready", is_up)],
            "containerStatuses": statuses})
    }

    fn look_at_owner(&mut self, object: &Value, key: &Key) {
        if let Some(owner) = object["metadata"]["ownerReferences"].get(0)
            && let Some((resource, key)) = self.owner(owner, &key.0)
        {
            self.run_workloads(&resource, &key);
        }
    }

    pub(crate) fn owned(&self, by: &Value, resource: &Resource) -> Vec<(Key, Arc<Value>)> {
        let uid = by["metadata"]["uid"].as_str().unwrap_or_default();
        let found = self.store.owned_by(uid).filter(|(found, _, object)| {
            *found == resource && !object["metadata"]["deletionTimestamp"].is_string()
        });
        found.map(|(_, key, object)| (key.clone(), object.clone())).collect()
    }

    fn conditions(&self, object: &Value, now: &[(&str, (&str, &str, String))]) -> Vec<Value> {
        let before = object["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
        now.iter()
            .map(|(name, (status, reason, message))| {
                let known = before.iter().find(|one| one["type"] == *name && one["status"] == *status);
                let since = known.map_or_else(|| self.time().into(), |one| one["lastTransitionTime"].clone());
                let same = known.filter(|one| one["reason"] == *reason && one["message"] == message.as_str());
                let updated = same.map_or_else(|| self.time().into(), |one| one["lastUpdateTime"].clone());
                json!({"type": name, "status": status, "reason": reason, "message": message,
                    "lastTransitionTime": since, "lastUpdateTime": updated})
            })
            .collect()
    }

    /// Why a set has fewer pods than it wants; it stays what it was at first.
    fn failure(&self, set: &Value, refusal: &Refusal) -> Value {
        condition(set, FAILURE).cloned().unwrap_or_else(|| {
            json!({"type": FAILURE, "status": "True", "reason": "FailedCreate", "message": refusal.message,
                "lastTransitionTime": self.time()})
        })
    }

    pub(crate) fn create_pod(
        &mut self,
        owner: &Value,
        template: &Value,
        namespace: &str,
        name: &str,
    ) -> Result<(), Refusal> {
        let mut metadata = template["metadata"].clone();
        metadata["name"] = name.into();
        metadata["namespace"] = namespace.into();
        metadata["ownerReferences"] = json!([reference(owner)]);
        let mut spec = template["spec"].clone();
        if let Some(node) = self.node_for(&spec) {
            spec["nodeName"] = node.into();
        }
        let object = json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec});
        self.create_as("", "pods", namespace, object)
    }

    pub(crate) fn create_as(
        &mut self,
        group: &str,
        plural: &str,
        namespace: &str,
        object: Value,
    ) -> Result<(), Refusal> {
        let kind = self.kinds.resource(group, "v1", plural).ok_or_else(Refusal::no_such_path)?;
        let target =
            Target { kind, namespace: Some(namespace.to_owned()), name: None, subresource: String::new() };
        let change = Change { target: &target, manager: MANAGER.to_owned(), is_dry_run: false };
        self.create_object(&change, object).map(drop)
    }

    pub(crate) fn set_status(&mut self, resource: &Resource, key: &Key, status: Value) {
        let Some(object) = self.store.get(resource, key) else { return };
        if object["status"] == status {
            return;
        }
        let mut object = Value::clone(object);
        object["status"] = status;
        self.rewrite_by(resource, key, "status", object);
    }

    pub(crate) fn rewrite_by(&mut self, resource: &Resource, key: &Key, subresource: &str, object: Value) {
        let api_version = object["apiVersion"].as_str().unwrap_or_default();
        let is_of = |kind: &&Arc<Kind>| kind.is_stored_under(resource) && kind.is_in(api_version);
        let Some(kind) = self.kinds.iter().find(is_of).cloned() else { return };
        let Some(live) = self.store.get(resource, key).cloned() else { return };
        let namespace = kind.namespaced.then(|| key.0.clone());
        let target =
            Target { kind, namespace, name: Some(key.1.clone()), subresource: subresource.to_owned() };
        let change = Change { target: &target, manager: MANAGER.to_owned(), is_dry_run: false };
        let _ = self.replace_object(&change, &live, object);
    }
}

/// The condition of this type.
fn condition<'o>(object: &'o Value, name: &str) -> Option<&'o Value> {
    object["status"]["conditions"].as_array()?.iter().find(|one| one["type"] == name)
}

pub(crate) fn pods() -> Resource {
    (String::new(), "pods".to_owned())
}

pub(crate) fn reference(owner: &Value) -> Value {
    json!({"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"], "controller": true, "blockOwnerDeletion": true})
}

fn count_ready(pods: &[(Key, Arc<Value>)]) -> i64 {
    let is_ready = |pod: &Value| {
        let conditions = pod["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
        conditions.iter().any(|one| one["type"] == "Ready" && one["status"] == "True")
    };
    i64::try_from(pods.iter().filter(|(_, pod)| is_ready(pod)).count()).unwrap_or(PODS)
}

/// Which revision of its Deployment a set is; 0 where nobody has said so.
fn revision_of(set: &Value) -> u64 {
    let said = set["metadata"]["annotations"][REVISION].as_str();
    said.and_then(|said| said.parse().ok()).unwrap_or(0)
}

/// Ten letters that follow from a template.
fn hash_of(template: &Value) -> String {
    let bytes = template.to_string().into_bytes();
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}").chars().take(10).collect()
}

/// An address that follows from a pod's uid.
fn address_of(pod: &Value) -> String {
    let hash = hash_of(&pod["metadata"]["uid"]);
    let part =
        |at: usize| hash.get(at..at + 2).and_then(|part| u8::from_str_radix(part, 16).ok()).unwrap_or(1);
    format!("10.{}.{}.{}", part(0) % 90, part(2), part(4).clamp(1, 254))
}

/// Counts that are zero are left out, as Go does it.
fn drop_zeros(status: &mut Value) {
    if let Some(fields) = status.as_object_mut() {
        fields.retain(|name, value| name == "observedGeneration" || *value != 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::ask;

    fn job(image: &str) -> Value {
        let spec = json!({"restartPolicy": "Never", "containers": [{"name": "main", "image": image}]});
        json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a"}, "spec": {"template": {"spec": spec}}})
    }

    fn seen(sandbox: &mut Sandbox) -> (String, Vec<String>) {
        let path = "/apis/batch/v1/namespaces/default/jobs/a";
        let job = ask(sandbox, "GET", path, &Value::Null);
        let conditions = job["status"]["conditions"].as_array().into_iter().flatten();
        let conditions = conditions.map(|one| one["type"].as_str().unwrap_or_default().to_owned()).collect();
        let pods = ask(sandbox, "GET", "/api/v1/namespaces/default/pods", &Value::Null);
        (pods["items"][0]["status"]["phase"].as_str().unwrap_or_default().to_owned(), conditions)
    }

    #[test]
    fn a_job_ends_as_it_was_decided_for_its_image_and_then_stays_as_it_is() {
        for (fate, phase, conditions) in [
            (None, "Succeeded", &["SuccessCriteriaMet", "Complete"][..]),
            (Some(Fate::Fails), "Failed", &["FailureTarget", "Failed"]),
            (Some(Fate::Hangs), "Running", &[]),
        ] {
            let mut sandbox = Sandbox::new(Timestamp::UNIX_EPOCH);
            sandbox.decide("shop:1", fate);
            ask(&mut sandbox, "POST", "/apis/batch/v1/namespaces/default/jobs", &job("shop:1"));
            let conditions: Vec<String> = conditions.iter().map(|&name| name.to_owned()).collect();
            let ended = (phase.to_owned(), conditions);
            assert_eq!(seen(&mut sandbox), ended, "{fate:?}");
            let later = match fate {
                Some(Fate::Hangs) | None => Some(Fate::Fails),
                Some(_) => None,
            };
            sandbox.decide("shop:1", later);
            let then = if fate == Some(Fate::Hangs) {
                ("Failed".to_owned(), vec!["FailureTarget".to_owned(), "Failed".to_owned()])
            } else {
                ended
            };
            assert_eq!(seen(&mut sandbox), then, "{fate:?} and then {later:?}");
        }
    }

    #[test]
    fn each_template_of_a_deployment_is_a_revision_and_one_that_comes_back_is_a_new_one() {
        let mut sandbox = Sandbox::new(Timestamp::UNIX_EPOCH);
        let path = "/apis/apps/v1/namespaces/default/deployments";
        let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {
            "selector": {"matchLabels": {"app": "web"}}, "template": {
            "metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "main", "image": "web:1"}]}}}});
        ask(&mut sandbox, "POST", path, &deployment);
        let mut seen = |image: &str| {
            let template = json!({"spec": {"containers": [{"name": "main", "image": image}]}});
            ask(&mut sandbox, "PATCH", &format!("{path}/web"), &json!({"spec": {"template": template}}));
            let deployment = ask(&mut sandbox, "GET", &format!("{path}/web"), &Value::Null);
            let sets = ask(&mut sandbox, "GET", "/apis/apps/v1/namespaces/default/replicasets", &Value::Null);
            let mut sets: Vec<u64> = sets["items"].as_array().unwrap().iter().map(revision_of).collect();
            sets.sort_unstable();
            (revision_of(&deployment), sets, deployment["metadata"]["generation"].as_u64().unwrap())
        };
        assert_eq!(seen("web:1"), (1, vec![1], 1));
        assert_eq!(seen("web:2"), (2, vec![1, 2], 2));
        assert_eq!(seen("web:1"), (3, vec![2, 3], 3));
    }

    #[test]
    fn a_pod_may_say_itself_what_becomes_of_it_and_a_rollout_that_hangs_times_out() {
        let mut sandbox = Sandbox::new(Timestamp::UNIX_EPOCH);
        let path = "/apis/apps/v1/namespaces/default/deployments";
        let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {
            "progressDeadlineSeconds": 60, "selector": {"matchLabels": {"app": "web"}}, "template": {
            "metadata": {"labels": {"app": "web"}, "annotations": {FATE: "NeverReady"}},
            "spec": {"containers": [{"name": "main", "image": "web:1"}]}}}});
        ask(&mut sandbox, "POST", path, &deployment);
        let progressing = |sandbox: &mut Sandbox| {
            let seen = ask(sandbox, "GET", &format!("{path}/web"), &Value::Null);
            let found = condition(&seen, "Progressing").unwrap();
            (found["status"].as_str().unwrap().to_owned(), found["reason"].as_str().unwrap().to_owned())
        };
        let told = |status: &str, reason: &str| (status.to_owned(), reason.to_owned());
        sandbox.tick(Timestamp::from_second(59).unwrap());
        assert_eq!(progressing(&mut sandbox), told("True", "ReplicaSetUpdated"));
        sandbox.tick(Timestamp::from_second(60).unwrap());
        assert_eq!(progressing(&mut sandbox), told("False", "ProgressDeadlineExceeded"));
        let well = json!({"spec": {"template": {"metadata": {"annotations": {FATE: null}}}}});
        ask(&mut sandbox, "PATCH", &format!("{path}/web"), &well);
        assert_eq!(progressing(&mut sandbox), told("True", "NewReplicaSetAvailable"));
    }
}

//! Claims of storage: each is bound to a volume that fits, or to one that is made for it.
//!
//! A cluster has the `StorageClass` `standard`, which is the default, and makes volumes at once for every class there is, whatever its
//! provisioner. A claim that nothing fits stays `Pending`.
//!
//! Source: k8s.io/kubernetes `pkg/controller/volume/persistentvolume`, `pvcprotection` and `pvprotection`. Absent: resizing, snapshots,
//! topologies, `Recycle`.

use crate::Sandbox;
use crate::amounts::read;
use crate::request::Target;
use crate::select::matches_selector;
use crate::store::{Key, Resource};
use crate::workloads::pods;
use crate::write::{Change, has_finalizers};
use serde_json::{Value, json};
use std::sync::Arc;

const BOUND: &str = "pv.kubernetes.io/bind-completed";
const BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";
const DEFAULT_CLASS: &str = "storageclass.kubernetes.io/is-default-class";
const PROVISIONED: &str = "pv.kubernetes.io/provisioned-by";

pub(crate) fn claims() -> Resource {
    (String::new(), "persistentvolumeclaims".to_owned())
}

fn volumes() -> Resource {
    (String::new(), "persistentvolumes".to_owned())
}

fn classes() -> Resource {
    ("storage.k8s.io".to_owned(), "storageclasses".to_owned())
}

fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

impl Sandbox {
    /// Makes the class that every cluster has.
    pub(crate) fn begin_storage(&mut self) {
        let Some(kind) = self.kinds.resource("storage.k8s.io", "v1", "storageclasses") else { return };
        let target = Target { kind, namespace: None, name: None, subresource: String::new() };
        let change = Change { target: &target, manager: "kube-addon-manager".to_owned(), is_dry_run: false };
        let class = json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
            "metadata": {"name": "standard", "annotations": {DEFAULT_CLASS: "true"}},
            "provisioner": "sandbox.trueup.dev/storage"});
        // A cluster in which it cannot be made has none.
        let _ = self.create_object(&change, class);
    }

    /// Looks after a claim.
    pub(crate) fn run_claim(&mut self, claim: &Value, key: &Key) {
        let known = text(claim, "/spec/volumeName");
        if !known.is_empty() {
            let volume = (String::new(), known.to_owned());
            let was_bound = claim["metadata"]["annotations"][BOUND] == "yes";
            match self.store.get(&volumes(), &volume).cloned() {
                Some(found) if is_free_for(&found, claim) => self.bind(claim, key, &found, &volume),
                Some(_) | None if was_bound => self.set_phase(claim, key, "Lost"),
                Some(_) | None => self.set_phase(claim, key, "Pending"),
            }
            return;
        }
        if claim["spec"]["storageClassName"].is_null()
            && let Some(class) = self.default_class()
        {
            let mut claim = claim.clone();
            claim["spec"]["storageClassName"] = class.into();
            self.rewrite_by(&claims(), key, "", claim);
            return;
        }
        if let Some((volume, found)) = self.smallest_fit(claim) {
            self.bind(claim, key, &found, &volume);
            return;
        }
        let class = (String::new(), text(claim, "/spec/storageClassName").to_owned());
        match self.store.get(&classes(), &class).cloned() {
            Some(class) if class["volumeBindingMode"] != "WaitForFirstConsumer" || self.is_used(key) => {
                self.provision(claim, key, &class);
            }
            Some(_) | None => self.set_phase(claim, key, "Pending"),
        }
    }

    fn default_class(&self) -> Option<String> {
        let classes = classes();
        let mut all = self.store.all(&classes);
        let found = all.find(|(_, class)| class["metadata"]["annotations"][DEFAULT_CLASS] == "true");
        found.map(|(key, _)| key.1.clone())
    }

    fn smallest_fit(&self, claim: &Value) -> Option<(Key, Arc<Value>)> {
        let volumes = volumes();
        let fits = self.store.all(&volumes).filter(|(_, volume)| fits(volume, claim));
        let smallest = fits.min_by_key(|(key, volume)| {
            // One that was kept for this claim comes first.
            let is_kept = !volume["spec"]["claimRef"].is_null();
            (!is_kept, read(&volume["spec"]["capacity"]).get("storage").copied(), (*key).clone())
        });
        smallest.map(|(key, volume)| (key.clone(), volume.clone()))
    }

    /// Whether a pod mounts a claim.
    fn is_used(&self, claim: &Key) -> bool {
        let pods = pods();
        let mut inside = self.store.all_in(&pods, &claim.0);
        inside.any(|(_, pod)| claims_of(pod).any(|name| name == claim.1))
    }

    fn bind(&mut self, claim: &Value, key: &Key, volume: &Value, place: &Key) {
        if volume["spec"]["claimRef"]["uid"] != claim["metadata"]["uid"] {
            let mut volume = volume.clone();
            volume["spec"]["claimRef"] = reference(claim, key);
            volume["metadata"]["annotations"][BY_CONTROLLER] = "yes".into();
            // With that it changes, and both are looked at again.
            self.rewrite_by(&volumes(), place, "", volume);
            return;
        }
        if text(claim, "/spec/volumeName") != place.1 || claim["metadata"]["annotations"][BOUND] != "yes" {
            let mut claim = claim.clone();
            if text(&claim, "/spec/volumeName").is_empty() {
                claim["metadata"]["annotations"][BY_CONTROLLER] = "yes".into();
            }
            claim["spec"]["volumeName"] = place.1.as_str().into();
            claim["metadata"]["annotations"][BOUND] = "yes".into();
            self.rewrite_by(&claims(), key, "", claim);
            return;
        }
        let mut status = claim["status"].clone();
        status["phase"] = "Bound".into();
        status["accessModes"] = volume["spec"]["accessModes"].clone();
        status["capacity"] = volume["spec"]["capacity"].clone();
        self.set_status(&claims(), key, status);
        self.set_volume_phase(place, "Bound");
    }

    fn provision(&mut self, claim: &Value, key: &Key, class: &Value) {
        let name = format!("pvc-{}", text(claim, "/metadata/uid"));
        let policy = class.get("reclaimPolicy").cloned().unwrap_or_else(|| "Delete".into());
        let path = format!("/var/sandbox/{name}");
        let mut volume = json!({"apiVersion": "v1", "kind": "PersistentVolume",
            "metadata": {"name": name, "annotations": {PROVISIONED: class["provisioner"]}},
            "spec": {"accessModes": claim["spec"]["accessModes"], "capacity": claim["spec"]["resources"]["requests"],
                "claimRef": reference(claim, key), "persistentVolumeReclaimPolicy": policy,
                "storageClassName": class["metadata"]["name"], "volumeMode": claim["spec"]["volumeMode"],
                "hostPath": {"path": path, "type": "DirectoryOrCreate"}}});
        if !class["mountOptions"].is_null() {
            volume["spec"]["mountOptions"] = class["mountOptions"].clone();
        }
        self.create_by("kube-controller-manager", "persistentvolumes", None, volume);
    }

    fn set_phase(&mut self, claim: &Value, key: &Key, phase: &str) {
        let mut status = if claim["status"].is_object() { claim["status"].clone() } else { json!({}) };
        status["phase"] = phase.into();
        self.set_status(&claims(), key, status);
    }

    fn set_volume_phase(&mut self, key: &Key, phase: &str) {
        let Some(volume) = self.store.get(&volumes(), key).cloned() else { return };
        if volume["status"]["phase"] != phase {
            let mut status = if volume["status"].is_object() { volume["status"].clone() } else { json!({}) };
            status["phase"] = phase.into();
            status["lastPhaseTransitionTime"] = self.time().into();
            self.set_status(&volumes(), key, status);
        }
    }

    /// Looks after a volume.
    pub(crate) fn run_volume(&mut self, volume: &Value, key: &Key) {
        let claim = &volume["spec"]["claimRef"];
        let place = (text(claim, "/namespace").to_owned(), text(claim, "/name").to_owned());
        let found = self.store.get(&claims(), &place).cloned();
        let uid = text(claim, "/uid");
        match found {
            _ if claim.is_null() => {
                self.set_volume_phase(key, "Available");
                self.run_pending_claims();
            }
            Some(found) if uid.is_empty() || found["metadata"]["uid"] == uid => {
                self.run_claim(&found, &place);
            }
            None if uid.is_empty() => self.set_volume_phase(key, "Available"),
            Some(_) | None if volume["spec"]["persistentVolumeReclaimPolicy"] == "Delete" => {
                self.set_volume_phase(key, "Released");
                self.end(&volumes(), key, None);
            }
            Some(_) | None => self.set_volume_phase(key, "Released"),
        }
    }

    /// Makes the claims of a `StatefulSet`'s pod, and mounts them. They stay when it goes.
    pub(crate) fn claim_for(&mut self, set: &Value, template: &mut Value, namespace: &str, pod: &str) {
        let mut mounted = Vec::new();
        for wanted in set["spec"]["volumeClaimTemplates"].as_array().into_iter().flatten() {
            let name = text(wanted, "/metadata/name");
            let claim = format!("{name}-{pod}");
            mounted.push(json!({"name": name, "persistentVolumeClaim": {"claimName": claim}}));
            if self.store.get(&claims(), &(namespace.to_owned(), claim.clone())).is_some() {
                continue;
            }
            let mut metadata = wanted["metadata"].clone();
            metadata["name"] = claim.into();
            metadata["namespace"] = namespace.into();
            let labels = set["spec"]["selector"]["matchLabels"].as_object().into_iter().flatten();
            for (label, value) in labels {
                metadata["labels"][label.as_str()] = value.clone();
            }
            let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": wanted["spec"]});
            self.create_by("kube-controller-manager", "persistentvolumeclaims", Some(namespace), claim);
        }
        if mounted.is_empty() {
            return;
        }
        let mut volumes = template["spec"]["volumes"].as_array().cloned().unwrap_or_default();
        volumes.retain(|volume| mounted.iter().all(|one| one["name"] != volume["name"]));
        volumes.extend(mounted);
        template["spec"]["volumes"] = volumes.into();
    }

    /// Looks again at the claims that nothing was found for.
    pub(crate) fn run_pending_claims(&mut self) {
        let claims = claims();
        let pending = self.store.all(&claims).filter(|(_, claim)| claim["status"]["phase"] == "Pending");
        let all: Vec<Key> = pending.map(|(key, _)| key.clone()).collect();
        for key in all {
            self.run_workloads(&claims, &key);
        }
    }

    /// Looks at the claims that a pod mounts and that waited for one.
    pub(crate) fn run_claims_of(&mut self, pod: &Value, namespace: &str) {
        let mounted: Vec<Key> = claims_of(pod).map(|name| (namespace.to_owned(), name.to_owned())).collect();
        for key in mounted {
            let is_open = |claim: &Arc<Value>| {
                claim["status"]["phase"] == "Pending" || claim["metadata"]["deletionTimestamp"].is_string()
            };
            if self.store.get(&claims(), &key).is_some_and(is_open) {
                self.run_workloads(&claims(), &key);
                self.unguard(&claims(), &key);
            }
        }
    }

    /// Lets a claim or a volume go that is to be deleted and that nothing uses.
    pub(crate) fn unguard(&mut self, resource: &Resource, key: &Key) {
        let Some(object) = self.store.get(resource, key).cloned() else { return };
        let (guard, is_used) = match resource.1.as_str() {
            "persistentvolumeclaims" => ("kubernetes.io/pvc-protection", self.is_used(key)),
            "persistentvolumes" => ("kubernetes.io/pv-protection", object["status"]["phase"] == "Bound"),
            _ => return,
        };
        let finalizers = object["metadata"]["finalizers"].as_array();
        let has = finalizers.is_some_and(|all| all.iter().any(|one| one == guard));
        if is_used || !has || !object["metadata"]["deletionTimestamp"].is_string() {
            return;
        }
        let mut object = Value::clone(&object);
        if let Some(all) = object["metadata"]["finalizers"].as_array_mut() {
            all.retain(|one| one != guard);
        }
        if has_finalizers(&object) {
            self.renumber(resource, key, object);
        } else {
            self.forget(resource, key);
        }
    }

    /// What becomes of volumes and claims when another object is gone.
    pub(crate) fn released(&mut self, resource: &Resource, object: &Value) {
        let namespace = text(object, "/metadata/namespace").to_owned();
        match (resource.0.as_str(), resource.1.as_str()) {
            ("", "persistentvolumeclaims") => {
                let volume = (String::new(), text(object, "/spec/volumeName").to_owned());
                if let Some(found) = self.store.get(&volumes(), &volume).cloned() {
                    self.run_volume(&found, &volume);
                }
            }
            ("", "persistentvolumes") => {
                let claim = &object["spec"]["claimRef"];
                let place = (text(claim, "/namespace").to_owned(), text(claim, "/name").to_owned());
                self.run_workloads(&claims(), &place);
            }
            ("", "pods") => self.run_claims_of(object, &namespace),
            _ => {}
        }
    }
}

fn claims_of(pod: &Value) -> impl Iterator<Item = &str> {
    let volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
    volumes.filter_map(|volume| volume["persistentVolumeClaim"]["claimName"].as_str())
}

fn reference(claim: &Value, key: &Key) -> Value {
    json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": key.0, "name": key.1,
        "uid": claim["metadata"]["uid"], "resourceVersion": claim["metadata"]["resourceVersion"]})
}

/// Whether a volume is nobody's, or this claim's.
fn is_free_for(volume: &Value, claim: &Value) -> bool {
    let owner = &volume["spec"]["claimRef"];
    let is_named =
        owner["namespace"] == claim["metadata"]["namespace"] && owner["name"] == claim["metadata"]["name"];
    let uid = text(owner, "/uid");
    let is_same = uid.is_empty() || claim["metadata"]["uid"] == uid;
    owner.is_null() || is_named && is_same
}

/// Whether a volume is what a claim asks for.
fn fits(volume: &Value, claim: &Value) -> bool {
    let (has, wants) = (&volume["spec"], &claim["spec"]);
    let size = |list: &Value| read(list).get("storage").copied();
    let modes = has["accessModes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut asked = wants["accessModes"].as_array().into_iter().flatten();
    let mode = |spec: &Value| text(spec, "/volumeMode").replace("Filesystem", "");
    volume["metadata"]["deletionTimestamp"].is_null()
        && is_free_for(volume, claim)
        && text(has, "/storageClassName") == text(wants, "/storageClassName")
        && mode(has) == mode(wants)
        && asked.all(|mode| modes.contains(mode))
        && size(&has["capacity"]) >= size(&wants["resources"]["requests"])
        && (wants["selector"].is_null()
            || matches_selector(&wants["selector"], &volume["metadata"]["labels"]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::ask;
    use jiff::Timestamp;

    const CLAIMS: &str = "/api/v1/namespaces/default/persistentvolumeclaims";
    const VOLUMES: &str = "/api/v1/persistentvolumes";

    fn claim(sandbox: &mut Sandbox, spec: &Value) {
        let mut object = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "c"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
        for (name, value) in spec.as_object().into_iter().flatten() {
            object["spec"][name.as_str()] = value.clone();
        }
        let made = ask(sandbox, "POST", CLAIMS, &object);
        assert_eq!(made["kind"], "PersistentVolumeClaim", "{made}");
    }

    fn volume(sandbox: &mut Sandbox, name: &str, size: &str, policy: &str) {
        let object = json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": {
            "accessModes": ["ReadWriteOnce"], "capacity": {"storage": size}, "storageClassName": "slow",
            "persistentVolumeReclaimPolicy": policy, "hostPath": {"path": "/a"}}});
        let made = ask(sandbox, "POST", VOLUMES, &object);
        assert_eq!(made["kind"], "PersistentVolume", "{made}");
    }

    /// Phase and volume of the claim.
    fn seen(sandbox: &mut Sandbox) -> (String, String) {
        let claim = ask(sandbox, "GET", &format!("{CLAIMS}/c"), &Value::Null);
        (text(&claim, "/status/phase").to_owned(), text(&claim, "/spec/volumeName").to_owned())
    }

    fn phase(sandbox: &mut Sandbox, name: &str) -> String {
        let volume = ask(sandbox, "GET", &format!("{VOLUMES}/{name}"), &Value::Null);
        text(&volume, "/status/phase").to_owned()
    }

    fn pair(phase: &str, volume: &str) -> (String, String) {
        (phase.to_owned(), volume.to_owned())
    }

    #[test]
    fn a_claim_gets_a_volume_of_the_default_class_that_goes_with_it() {
        let mut sandbox = Sandbox::new(Timestamp::UNIX_EPOCH);
        claim(&mut sandbox, &json!({}));
        let (is, name) = seen(&mut sandbox);
        assert_eq!((is.as_str(), phase(&mut sandbox, &name).as_str()), ("Bound", "Bound"));
        let found = ask(&mut sandbox, "GET", &format!("{CLAIMS}/c"), &Value::Null);
        assert_eq!(
            (&found["spec"]["storageClassName"], &found["status"]["capacity"]["storage"]),
            (&json!("standard"), &json!("1Gi"))
        );
        ask(&mut sandbox, "DELETE", &format!("{CLAIMS}/c"), &Value::Null);
        assert_eq!(ask(&mut sandbox, "GET", VOLUMES, &Value::Null)["items"], json!([]));
    }

    #[test]
    fn the_smallest_volume_that_fits_is_taken_and_stays_what_it_was_when_it_is_kept() {
        let mut sandbox = Sandbox::new(Timestamp::UNIX_EPOCH);
        for (name, size) in [("small", "512Mi"), ("large", "4Gi"), ("right", "2Gi")] {
            volume(&mut sandbox, name, size, "Retain");
        }
        claim(&mut sandbox, &json!({"storageClassName": "slow"}));
        assert_eq!(seen(&mut sandbox), pair("Bound", "right"));
        assert_eq!(phase(&mut sandbox, "large"), "Available");
        ask(&mut sandbox, "DELETE", &format!("{CLAIMS}/c"), &Value::Null);
        assert_eq!(phase(&mut sandbox, "right"), "Released");
        claim(&mut sandbox, &json!({"storageClassName": "slow"}));
        assert_eq!(seen(&mut sandbox), pair("Bound", "large"));
    }

    #[test]
    fn a_claim_that_nothing_fits_waits_for_a_volume() {
        let mut sandbox = Sandbox::new(Timestamp::UNIX_EPOCH);
        claim(&mut sandbox, &json!({"storageClassName": "slow"}));
        assert_eq!(seen(&mut sandbox), pair("Pending", ""));
        volume(&mut sandbox, "late", "1Gi", "Delete");
        assert_eq!(seen(&mut sandbox), pair("Bound", "late"));
        ask(&mut sandbox, "DELETE", &format!("{CLAIMS}/c"), &Value::Null);
        assert_eq!(ask(&mut sandbox, "GET", &format!("{VOLUMES}/late"), &Value::Null)["code"], 404);
    }

    #[test]
    fn a_class_that_waits_for_a_pod_makes_its_volume_when_there_is_one_and_a_claim_in_use_stays() {
        let mut sandbox = Sandbox::new(Timestamp::UNIX_EPOCH);
        let class = json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "lazy"},
            "provisioner": "example.com/disk", "volumeBindingMode": "WaitForFirstConsumer"});
        ask(&mut sandbox, "POST", "/apis/storage.k8s.io/v1/storageclasses", &class);
        claim(&mut sandbox, &json!({"storageClassName": "lazy"}));
        assert_eq!(seen(&mut sandbox), pair("Pending", ""));
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {
            "containers": [{"name": "main", "image": "web:1"}],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "c"}}]}});
        ask(&mut sandbox, "POST", "/api/v1/namespaces/default/pods", &pod);
        assert_eq!(seen(&mut sandbox).0, "Bound");
        ask(&mut sandbox, "DELETE", &format!("{CLAIMS}/c"), &Value::Null);
        assert_eq!(seen(&mut sandbox).0, "Bound", "a pod mounts it");
        ask(&mut sandbox, "DELETE", "/api/v1/namespaces/default/pods/p", &Value::Null);
        assert_eq!(ask(&mut sandbox, "GET", &format!("{CLAIMS}/c"), &Value::Null)["code"], 404);
    }

    #[test]
    fn each_pod_of_a_stateful_set_has_claims_of_its_own_which_outlive_it() {
        let mut sandbox = Sandbox::new(Timestamp::UNIX_EPOCH);
        let claim = json!({"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
        let set = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"}, "spec": {"replicas": 2,
            "serviceName": "db", "selector": {"matchLabels": {"app": "db"}}, "volumeClaimTemplates": [claim],
            "template": {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "main", "image": "db:1"}]}}}});
        let path = "/apis/apps/v1/namespaces/default/statefulsets";
        ask(&mut sandbox, "POST", path, &set);
        ask(&mut sandbox, "DELETE", &format!("{path}/db"), &Value::Null);
        let list = ask(&mut sandbox, "GET", CLAIMS, &Value::Null);
        let told: Vec<(&str, &str)> = list["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|claim| (text(claim, "/metadata/name"), text(claim, "/status/phase")))
            .collect();
        assert_eq!(told, [("data-db-0", "Bound"), ("data-db-1", "Bound")]);
    }
}

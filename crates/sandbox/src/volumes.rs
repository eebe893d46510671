//! Claims find their volumes.
//!
//! A claim of no class, or of a class that there is, is given its storage at once, as by a provisioner. One of a class that is only
//! a name waits for a volume that somebody makes.
//!
//! Absent: the volumes that a provisioner would make, classes that wait for a pod, and what becomes of a volume whose claim went
//! but that it is released.
//!
//! Source: k8s.io/kubernetes `pkg/controller/volume/persistentvolume`; k8s.io/component-helpers `storage/volume/pv_helpers.go`.

use crate::Sandbox;
use crate::select::selects;
use crate::store::{Key, Resource};
use serde_json::{Value, json};
use std::cmp::Ordering;
use std::sync::Arc;
use trueup_merge::quantity;

fn claims() -> Resource {
    (String::new(), "persistentvolumeclaims".to_owned())
}

fn volumes() -> Resource {
    (String::new(), "persistentvolumes".to_owned())
}

impl Sandbox {
    /// Binds a claim as far as that is possible now.
    pub(crate) fn run_claim(&mut self, claim: &Value, key: &Key) {
        if claim["status"]["phase"] == "Bound" {
            return;
        }
        let class = claim["spec"]["storageClassName"].as_str();
        let is_provisioned = match class {
            None => true,
            Some(class) => {
                let classes = ("storage.k8s.io".to_owned(), "storageclasses".to_owned());
                self.store.get(&classes, &(String::new(), class.to_owned())).is_some()
            }
        };
        let named = claim["spec"]["volumeName"].as_str().unwrap_or_default();
        if is_provisioned && named.is_empty() {
            let capacity = &claim["spec"]["resources"]["requests"];
            let modes = &claim["spec"]["accessModes"];
            let status = json!({"phase": "Bound", "accessModes": modes, "capacity": capacity});
            self.set_status(&claims(), key, status);
            return;
        }
        let found = self.store.all(&volumes()).filter(|(_, volume)| fits(volume, claim, key));
        let smallest =
            found.min_by(|(_, a), (_, b)| by_size(a, b)).map(|(key, found)| (key.clone(), found.clone()));
        match smallest {
            Some((place, volume)) => self.bind(key, claim, &place, &volume),
            None => self.set_status(&claims(), key, json!({"phase": "Pending"})),
        }
    }

    /// Says how a volume is, and lets claims look that wait for one.
    pub(crate) fn run_volume(&mut self, volume: &Value, key: &Key) {
        let reference = &volume["spec"]["claimRef"];
        let uid = reference["uid"].as_str().unwrap_or_default();
        let place = (text(&reference["namespace"]), text(&reference["name"]));
        let claim = self.store.get(&claims(), &place);
        let is_theirs = claim.is_some_and(|claim| claim["metadata"]["uid"] == uid);
        let phase = match (uid.is_empty(), is_theirs) {
            (true, _) => "Available",
            (false, true) => "Bound",
            (false, false) => "Released",
        };
        self.set_status(&volumes(), key, json!({"phase": phase}));
        let waiting: Vec<(Key, Arc<Value>)> = self
            .store
            .all(&claims())
            .filter(|(_, claim)| claim["status"]["phase"] == "Pending")
            .map(|(key, claim)| (key.clone(), claim.clone()))
            .collect();
        for (key, claim) in waiting {
            self.run_claim(&claim, &key);
        }
    }

    /// Lets a claim or a volume go that is to be deleted, unless it is in use.
    pub(crate) fn unprotect(&mut self, resource: &Resource, key: &Key) {
        let Some(object) = self.store.get(resource, key).cloned() else { return };
        let (finalizer, is_used) = match resource.1.as_str() {
            "persistentvolumeclaims" => ("kubernetes.io/pvc-protection", self.is_mounted(key)),
            "persistentvolumes" => ("kubernetes.io/pv-protection", object["status"]["phase"] == "Bound"),
            _ => return,
        };
        let finalizers = object["metadata"]["finalizers"].as_array().map(Vec::as_slice).unwrap_or_default();
        if is_used || !finalizers.iter().any(|one| one == finalizer) {
            return;
        }
        let rest: Vec<&Value> = finalizers.iter().filter(|one| *one != finalizer).collect();
        if rest.is_empty() {
            self.forget(resource, key);
            return;
        }
        let mut object = Value::clone(&object);
        object["metadata"]["finalizers"] = rest.into_iter().cloned().collect();
        self.renumber(resource, key, object);
    }

    /// What changes for others when a claim is gone, or a pod that had one.
    pub(crate) fn let_go(&mut self, gone: &Value) {
        let namespace = text(&gone["metadata"]["namespace"]);
        match gone["kind"].as_str() {
            Some("PersistentVolumeClaim") => {
                let place = (String::new(), text(&gone["spec"]["volumeName"]));
                if let Some(volume) = self.store.get(&volumes(), &place).cloned() {
                    self.run_volume(&volume, &place);
                    self.unprotect_ending(&volumes(), &place);
                }
            }
            Some("Pod") => {
                for name in claims_of(gone) {
                    self.unprotect_ending(&claims(), &(namespace.clone(), name));
                }
            }
            _ => {}
        }
    }

    fn unprotect_ending(&mut self, resource: &Resource, key: &Key) {
        let object = self.store.get(resource, key);
        if object.is_some_and(|object| object["metadata"]["deletionTimestamp"].is_string()) {
            self.unprotect(resource, key);
        }
    }

    /// Whether a pod that has not ended uses a claim.
    fn is_mounted(&self, claim: &Key) -> bool {
        let pods = self.store.all(&crate::workloads::pods()).filter(|(key, _)| key.0 == claim.0);
        let mut running =
            pods.filter(|(_, pod)| !matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed")));
        running.any(|(_, pod)| claims_of(pod).any(|name| name == claim.1))
    }

    fn bind(&mut self, key: &Key, claim: &Value, place: &Key, volume: &Value) {
        let mut bound = volume.clone();
        bound["spec"]["claimRef"] = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": key.0,
            "name": key.1, "uid": claim["metadata"]["uid"], "resourceVersion": claim["metadata"]["resourceVersion"]});
        if volume["spec"]["claimRef"].is_null() {
            bound["metadata"]["annotations"]["pv.kubernetes.io/bound-by-controller"] = "yes".into();
        }
        self.rewrite_by(&volumes(), place, "", bound);
        let mut bound = claim.clone();
        let annotations = &mut bound["metadata"]["annotations"];
        annotations["pv.kubernetes.io/bind-completed"] = "yes".into();
        if claim["spec"]["volumeName"].as_str().unwrap_or_default().is_empty() {
            annotations["pv.kubernetes.io/bound-by-controller"] = "yes".into();
        }
        bound["spec"]["volumeName"] = place.1.as_str().into();
        self.rewrite_by(&claims(), key, "", bound);
        let status = json!({"phase": "Bound", "accessModes": volume["spec"]["accessModes"],
            "capacity": volume["spec"]["capacity"]});
        self.set_status(&claims(), key, status);
    }
}

/// The names of the claims that a pod mounts.
fn claims_of(pod: &Value) -> impl Iterator<Item = String> {
    let volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
    volumes.filter_map(|volume| volume["persistentVolumeClaim"]["claimName"].as_str().map(str::to_owned))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn fits(volume: &Value, claim: &Value, key: &Key) -> bool {
    let (has, wants) = (&volume["spec"], &claim["spec"]);
    let reference = &has["claimRef"];
    let is_free = reference.is_null()
        || text(&reference["namespace"]) == key.0
            && text(&reference["name"]) == key.1
            && (reference["uid"].is_null() || reference["uid"] == claim["metadata"]["uid"]);
    let named = text(&wants["volumeName"]);
    let is_named = named.is_empty() || volume["metadata"]["name"] == named.as_str();
    let modes = |spec: &Value| spec["accessModes"].as_array().cloned().unwrap_or_default();
    let offered = modes(has);
    let is_large =
        match (has["capacity"]["storage"].as_str(), wants["resources"]["requests"]["storage"].as_str()) {
            (Some(has), Some(wants)) => quantity::compare(has, wants).is_some_and(Ordering::is_ge),
            (_, None) => true,
            (None, Some(_)) => false,
        };
    is_free
        && is_named
        && is_large
        && volume["metadata"]["deletionTimestamp"].is_null()
        && text(&has["storageClassName"]) == text(&wants["storageClassName"])
        && modes(wants).iter().all(|mode| offered.contains(mode))
        && selects(&wants["selector"], &volume["metadata"]["labels"])
}

fn by_size(a: &Value, b: &Value) -> Ordering {
    let size = |volume: &Value| text(&volume["spec"]["capacity"]["storage"]);
    quantity::compare(&size(a), &size(b)).unwrap_or(Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asked::ask;
    use jiff::Timestamp;

    const CLAIMS: &str = "/api/v1/namespaces/default/persistentvolumeclaims";

    fn claim(class: Option<&str>) -> Value {
        let mut claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "disk"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
        if let Some(class) = class {
            claim["spec"]["storageClassName"] = class.into();
        }
        claim
    }

    fn volume(name: &str, size: &str, class: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name},
            "spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": size}, "storageClassName": class,
                "hostPath": {"path": "/tmp"}}})
    }

    fn phase(sandbox: &mut Sandbox, path: &str) -> String {
        text(&ask(sandbox, "GET", path, &Value::Null)["status"]["phase"])
    }

    #[test]
    fn a_claim_waits_for_the_smallest_volume_that_fits_unless_its_class_provides() {
        let mut sandbox = Sandbox::new(Timestamp::UNIX_EPOCH);
        let path = format!("{CLAIMS}/disk");
        ask(&mut sandbox, "POST", CLAIMS, &claim(None));
        assert_eq!(phase(&mut sandbox, &path), "Bound");
        ask(&mut sandbox, "DELETE", &path, &Value::Null);
        assert_eq!(ask(&mut sandbox, "GET", &path, &Value::Null)["reason"], "NotFound");

        ask(&mut sandbox, "POST", CLAIMS, &claim(Some("by-hand")));
        assert_eq!(phase(&mut sandbox, &path), "Pending");
        let volumes = "/api/v1/persistentvolumes";
        for (name, size, class) in [("small", "500Mi", "by-hand"), ("other", "1Gi", "other")] {
            ask(&mut sandbox, "POST", volumes, &volume(name, size, class));
            assert_eq!(phase(&mut sandbox, &format!("{volumes}/{name}")), "Available");
        }
        assert_eq!(phase(&mut sandbox, &path), "Pending");
        ask(&mut sandbox, "POST", volumes, &volume("fits", "2Gi", "by-hand"));
        assert_eq!(phase(&mut sandbox, &format!("{volumes}/fits")), "Bound");
        let bound = ask(&mut sandbox, "GET", &path, &Value::Null);
        assert_eq!(
            [
                &bound["status"]["phase"],
                &bound["spec"]["volumeName"],
                &bound["status"]["capacity"]["storage"]
            ],
            ["Bound", "fits", "2Gi"]
        );
        ask(&mut sandbox, "DELETE", &path, &Value::Null);
        assert_eq!(phase(&mut sandbox, &format!("{volumes}/fits")), "Released");
    }
}

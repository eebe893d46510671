//! What the API server asks of volumes and of claims to them.
//!
//! Source: k8s.io/kubernetes `pkg/apis/core/validation`.

use crate::answer::Cause;
use crate::rules::{forbidden, invalid, required, unsupported};
use serde_json::{Map, Value};

/// What a volume may be.
const VOLUMES: [&str; 22] = [
    "awsElasticBlockStore",
    "azureDisk",
    "azureFile",
    "cephfs",
    "cinder",
    "csi",
    "fc",
    "flexVolume",
    "flocker",
    "gcePersistentDisk",
    "glusterfs",
    "hostPath",
    "iscsi",
    "local",
    "nfs",
    "photonPersistentDisk",
    "portworxVolume",
    "quobyte",
    "rbd",
    "scaleIO",
    "storageos",
    "vsphereVolume",
];

pub(crate) fn check(spec: &Value, causes: &mut Vec<Cause>) {
    let is_one = |spec: &Map<String, Value>| spec.keys().any(|field| VOLUMES.contains(&field.as_str()));
    if !spec.as_object().is_some_and(is_one) {
        causes.push(required("spec", "must specify a volume type"));
    }
    modes(&spec["accessModes"], "spec", causes);
    let Some(capacity) = spec["capacity"].as_object().filter(|capacity| !capacity.is_empty()) else { return };
    if capacity.len() > 1 || !capacity.contains_key("storage") {
        causes.push(unsupported("spec.capacity", &spec["capacity"].to_string(), &["storage"]));
    }
    for (name, size) in capacity {
        size_is_positive(size, &format!("spec.capacity[{name}]"), causes);
    }
}

pub(crate) fn claim(spec: &Value, at: &str, causes: &mut Vec<Cause>) {
    modes(&spec["accessModes"], at, causes);
    let field = format!("{at}.resources[storage]");
    match &spec["resources"]["requests"]["storage"] {
        Value::Null => causes.push(required(&field, "")),
        size => size_is_positive(size, &field, causes),
    }
}

/// What a volume is stays. The server adds how the two differ, in its own types, which are not here.
pub(crate) fn changed_source(before: &Value, object: &Value) -> Option<Cause> {
    let is_other = |field: &str| before["spec"].get(field) != object["spec"].get(field);
    let field = "spec.persistentvolumesource";
    VOLUMES
        .iter()
        .any(|one| is_other(one))
        .then(|| forbidden(field, &format!("{field} is immutable after creation")))
}

fn size_is_positive(size: &Value, at: &str, causes: &mut Vec<Cause>) {
    let text = size.as_str().unwrap_or_default();
    if text == "0" || text.starts_with('-') {
        causes.push(invalid(at, size, "must be greater than zero"));
    }
}

/// How volumes may be mounted.
fn modes(modes: &Value, at: &str, causes: &mut Vec<Cause>) {
    const KNOWN: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
    let field = format!("{at}.accessModes");
    let modes: Vec<&str> = modes.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for mode in modes.iter().filter(|mode| !KNOWN.contains(mode)) {
        causes.push(unsupported(&field, &format!("{mode:?}"), &KNOWN));
    }
    let (alone, others): (Vec<&str>, Vec<&str>) = modes
        .iter()
        .copied()
        .filter(|mode| KNOWN.contains(mode))
        .partition(|mode| *mode == "ReadWriteOncePod");
    if !alone.is_empty() && !others.is_empty() {
        causes.push(forbidden(&field, "may not use ReadWriteOncePod with other access modes"));
    }
}

//! What the API server asks of built-in kinds beyond single fields.
//!
//! Source: k8s.io/kubernetes `pkg/apis/*/validation`.

use crate::answer::Cause;
use crate::kinds::Kind;
use crate::rules::{forbidden, invalid, unsupported};
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

/// What does not go together in an object.
pub(crate) fn check(kind: &Kind, object: &Value, causes: &mut Vec<Cause>) {
    let pod = match kind.kind.as_str() {
        "Pod" => "/spec",
        "CronJob" => "/spec/jobTemplate/spec/template/spec",
        _ => "/spec/template/spec",
    };
    if let Some(spec) = object.pointer(pod).filter(|_| kind.custom.is_none()) {
        let at = pod.trim_start_matches('/').replace('/', ".");
        containers(spec, &object["spec"]["volumeClaimTemplates"], &at, causes);
    }
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("apps", "DaemonSet" | "ReplicaSet") => workload(object, causes),
        ("apps", "Deployment") => {
            workload(object, causes);
            strategy(&object["spec"]["strategy"], causes);
        }
        ("apps", "StatefulSet") => {
            workload(object, causes);
            update_strategy(&object["spec"]["updateStrategy"], causes);
        }
        ("", "ReplicationController") => replication_controller(object, causes),
        ("", "Service") => service(object, causes),
        ("", "PersistentVolume") => {
            let spec = object["spec"].as_object();
            if !spec.is_some_and(|spec| spec.keys().any(|field| VOLUMES.contains(&field.as_str()))) {
                causes.push(required("spec", "must specify a volume type"));
            }
        }
        ("", "PersistentVolumeClaim") => claim(&object["spec"], "spec", causes),
        ("batch", "Job") => job(&object["spec"], "spec", causes),
        ("batch", "CronJob") => job(&object["spec"]["jobTemplate"]["spec"], "spec.jobTemplate.spec", causes),
        ("", "Namespace") => {
            let phase = &object["status"]["phase"];
            if object["metadata"]["deletionTimestamp"].is_null() && *phase != "Active" && !phase.is_null() {
                let why = "may only be 'Active' if `deletionTimestamp` is empty";
                causes.push(invalid("status.Phase", phase, why));
            }
        }
        ("", "Endpoints") => {
            for (index, subset) in object["subsets"].as_array().into_iter().flatten().enumerate() {
                let is_empty = |list: &str| subset[list].as_array().is_none_or(Vec::is_empty);
                if is_empty("addresses") && is_empty("notReadyAddresses") {
                    let why = "must specify `addresses` or `notReadyAddresses`";
                    causes.push(required(&format!("subsets[{index}]"), why));
                }
            }
        }
        ("rbac.authorization.k8s.io", "Role" | "ClusterRole") => policy(object, causes),
        ("networking.k8s.io", "Ingress") => ingress(&object["spec"], causes),
        ("networking.k8s.io", "NetworkPolicy") => peers(&object["spec"], causes),
        ("policy", "PodDisruptionBudget") => budget(&object["spec"], causes),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => role(kind, object, causes),
        ("admissionregistration.k8s.io", _) => webhooks(object, causes),
        (_, _) => {}
    }
}

fn required(field: &str, why: &str) -> Cause {
    let message = if why.is_empty() { "Required value".to_owned() } else { format!("Required value: {why}") };
    Cause { reason: "FieldValueRequired", message, field: field.to_owned() }
}

fn workload(object: &Value, causes: &mut Vec<Cause>) {
    let empty = Map::new();
    let labels =
        object.pointer("/spec/template/metadata/labels").and_then(Value::as_object).unwrap_or(&empty);
    let selector = &object["spec"]["selector"];
    let wanted = selector["matchLabels"].as_object().unwrap_or(&empty);
    // Of no selector at all these make one that selects nothing.
    let is_nothing = selector.is_null() && object["kind"] != "Deployment";
    let is_empty =
        !is_nothing && wanted.is_empty() && selector["matchExpressions"].as_array().is_none_or(Vec::is_empty);
    crate::metadata::check_labels(&Value::Object(labels.clone()), "spec.template.labels", causes);
    if is_nothing || !is_empty && wanted.iter().any(|(key, value)| labels.get(key) != Some(value)) {
        let shown = if labels.is_empty() { Value::Null } else { Value::Object(labels.clone()) };
        causes.push(invalid(
            "spec.template.metadata.labels",
            &shown,
            "`selector` does not match template `labels`",
        ));
    }
    let policy =
        object.pointer("/spec/template/spec/restartPolicy").and_then(Value::as_str).unwrap_or_default();
    if matches!(policy, "OnFailure" | "Never") {
        causes.push(Cause {
            reason: "FieldValueNotSupported",
            message: format!("Unsupported value: {policy:?}: supported values: \"Always\""),
            field: "spec.template.spec.restartPolicy".to_owned(),
        });
    }
}

fn service(object: &Value, causes: &mut Vec<Cause>) {
    let spec = &object["spec"];
    let is_external = spec["type"] == "ExternalName";
    let ports = spec["ports"].as_array().map(Vec::as_slice).unwrap_or_default();
    if ports.is_empty() && !is_external && spec["clusterIP"] != "None" {
        causes.push(required("spec.ports", ""));
    }
    if is_external && spec["clusterIP"].as_str().is_some_and(|address| !address.is_empty()) {
        causes.push(forbidden("spec.clusterIPs", "may not be set for ExternalName services"));
    }
    if is_external && spec["externalName"].as_str().unwrap_or_default().is_empty() {
        causes.push(required("spec.externalName", ""));
    }
    for (index, port) in ports.iter().enumerate() {
        let at = format!("spec.ports[{index}]");
        let name = port["name"].as_str().unwrap_or_default();
        if name.is_empty() && ports.len() > 1 {
            causes.push(required(&format!("{at}.name"), ""));
        }
        if !name.is_empty() && ports[..index].iter().any(|other| other["name"] == name) {
            let message = format!("Duplicate value: {name:?}");
            causes.push(Cause { reason: "FieldValueDuplicate", message, field: format!("{at}.name") });
        }
        if port["targetPort"] == 0 {
            let why = "must be between 1 and 65535, inclusive";
            causes.push(invalid(&format!("{at}.targetPort"), &port["targetPort"], why));
        }
    }
    for (index, address) in spec["clusterIPs"].as_array().into_iter().flatten().enumerate() {
        let text = address.as_str().unwrap_or_default();
        if !is_external && text != "None" && text.parse::<std::net::IpAddr>().is_err() {
            let why = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
            causes.push(invalid(&format!("spec.clusterIPs[{index}]"), address, why));
        }
    }
}

/// Names of containers and of what they mount.
fn containers(pod: &Value, claims: &Value, at: &str, causes: &mut Vec<Cause>) {
    let names = |list: &Value| -> Vec<Value> {
        list.as_array().into_iter().flatten().map(|one| one["name"].clone()).collect()
    };
    let mut volumes = names(&pod["volumes"]);
    volumes.extend(claims.as_array().into_iter().flatten().map(|one| one["metadata"]["name"].clone()));
    for list in ["initContainers", "containers"] {
        let known = names(&pod[list]);
        for (index, container) in pod[list].as_array().into_iter().flatten().enumerate() {
            let at = format!("{at}.{list}[{index}]");
            crate::limit_rules::check_requests(&container["resources"], &format!("{at}.resources"), causes);
            let name = &container["name"];
            if name.is_string() && known[..index].contains(name) {
                let message = format!("Duplicate value: {name}");
                causes.push(Cause { reason: "FieldValueDuplicate", message, field: format!("{at}.name") });
            }
            for (place, mount) in container["volumeMounts"].as_array().into_iter().flatten().enumerate() {
                let name = mount["name"].as_str().unwrap_or_default();
                if !name.is_empty() && !volumes.contains(&mount["name"]) {
                    let field = format!("{at}.volumeMounts[{place}].name");
                    causes.push(Cause {
                        reason: "FieldValueNotFound",
                        message: format!("Not found: {name:?}"),
                        field,
                    });
                }
            }
        }
    }
}

/// Rules about resources name groups and resources.
fn policy(object: &Value, causes: &mut Vec<Cause>) {
    for (index, rule) in object["rules"].as_array().into_iter().flatten().enumerate() {
        let is_empty = |list: &str| rule[list].as_array().is_none_or(Vec::is_empty);
        if !is_empty("nonResourceURLs") {
            continue;
        }
        if is_empty("apiGroups") {
            let why = "resource rules must supply at least one api group";
            causes.push(required(&format!("rules[{index}].apiGroups"), why));
        }
        if is_empty("resources") {
            let why = "resource rules must supply at least one resource";
            causes.push(required(&format!("rules[{index}].resources"), why));
        }
    }
}

fn strategy(strategy: &Value, causes: &mut Vec<Cause>) {
    match strategy["type"].as_str().unwrap_or_default() {
        "Recreate" if strategy["rollingUpdate"].is_object() => causes.push(forbidden(
            "spec.strategy.rollingUpdate",
            "may not be specified when strategy `type` is 'Recreate'",
        )),
        "Recreate" | "RollingUpdate" | "" => {}
        other if strategy["rollingUpdate"].is_null() => {
            let shown = format!("{{\"Type\":{other:?},\"RollingUpdate\":null}}");
            causes.push(unsupported("spec.strategy", &shown, &["Recreate", "RollingUpdate"]));
        }
        _ => {}
    }
}

fn update_strategy(strategy: &Value, causes: &mut Vec<Cause>) {
    let rolling = &strategy["rollingUpdate"];
    let or_null = |name: &str| rolling.get(name).cloned().unwrap_or_default();
    let partition = rolling.get("partition").cloned().unwrap_or_else(|| 0.into());
    let shown = if rolling.is_object() {
        format!("{{\"Partition\":{partition},\"MaxUnavailable\":{}}}", or_null("maxUnavailable"))
    } else {
        "null".to_owned()
    };
    match strategy["type"].as_str().unwrap_or_default() {
        "RollingUpdate" | "" => {}
        "OnDelete" => {
            if rolling.is_object() {
                let why = "only allowed for updateStrategy 'RollingUpdate'";
                causes.push(Cause {
                    reason: "FieldValueInvalid",
                    message: format!("Invalid value: {shown}: {why}"),
                    field: "spec.updateStrategy.rollingUpdate".to_owned(),
                });
            }
        }
        other => causes.push(Cause {
            reason: "FieldValueInvalid",
            message: format!(
                "Invalid value: {{\"Type\":{other:?},\"RollingUpdate\":{shown}}}: must be 'RollingUpdate' or 'OnDelete'"
            ),
            field: "spec.updateStrategy".to_owned(),
        }),
    }
}

fn replication_controller(object: &Value, causes: &mut Vec<Cause>) {
    let empty = Map::new();
    let labels = object.pointer("/spec/template/metadata/labels").and_then(Value::as_object);
    let wanted = object["spec"]["selector"].as_object().unwrap_or(&empty);
    let found = labels.unwrap_or(&empty);
    if wanted.iter().any(|(key, value)| found.get(key) != Some(value)) {
        let shown = labels.map_or(Value::Null, |labels| Value::Object(labels.clone()));
        let why = "`selector` does not match template `labels`";
        causes.push(invalid("spec.template.metadata.labels", &shown, why));
    }
}

fn claim(spec: &Value, at: &str, causes: &mut Vec<Cause>) {
    if spec["resources"]["requests"]["storage"].is_null() {
        causes.push(required(&format!("{at}.resources[storage]"), ""));
    }
}

fn job(spec: &Value, at: &str, causes: &mut Vec<Cause>) {
    let field = format!("{at}.template.spec.restartPolicy");
    match spec["template"]["spec"]["restartPolicy"].as_str() {
        Some("Always") | None => causes.push(required(&field, "valid values: \"OnFailure\", \"Never\"")),
        Some("OnFailure" | "Never") => {}
        Some(other) => {
            let shown = Value::from(other).to_string();
            causes.push(unsupported(&field, &shown, &["Always", "OnFailure", "Never"]));
            causes.push(unsupported(&field, &shown, &["OnFailure", "Never"]));
        }
    }
}

fn ingress(spec: &Value, causes: &mut Vec<Cause>) {
    let rules = spec["rules"].as_array().map(Vec::as_slice).unwrap_or_default();
    if spec["defaultBackend"].is_null() && rules.is_empty() {
        let shown = spec.get("rules").cloned().unwrap_or_default();
        let why = "either `defaultBackend` or `rules` must be specified";
        let cause = invalid("spec", &shown, why);
        if !causes.contains(&cause) {
            causes.push(cause);
        }
    }
    backend(&spec["defaultBackend"], "spec.defaultBackend", causes);
    for (index, rule) in rules.iter().enumerate() {
        for (place, path) in rule["http"]["paths"].as_array().into_iter().flatten().enumerate() {
            let at = format!("spec.rules[{index}].http.paths[{place}].backend");
            backend(&path["backend"], &at, causes);
        }
    }
}

fn backend(backend: &Value, at: &str, causes: &mut Vec<Cause>) {
    let port = &backend["service"]["port"];
    let is_there = |name: &str| !port[name].is_null() && port[name] != 0 && port[name] != "";
    if backend["service"].is_object() && !is_there("number") && !is_there("name") {
        causes.push(required(at, "port name or number is required"));
    }
}

fn peers(spec: &Value, causes: &mut Vec<Cause>) {
    for (list, side) in [("ingress", "from"), ("egress", "to")] {
        for (index, rule) in spec[list].as_array().into_iter().flatten().enumerate() {
            for (place, peer) in rule[side].as_array().into_iter().flatten().enumerate() {
                if peer.as_object().is_some_and(Map::is_empty) {
                    let at = format!("spec.{list}[{index}].{side}[{place}]");
                    causes.push(required(&at, "must specify a peer"));
                }
            }
        }
    }
}

fn budget(spec: &Value, causes: &mut Vec<Cause>) {
    let (least, most) = (&spec["minAvailable"], &spec["maxUnavailable"]);
    if !least.is_null() && !most.is_null() {
        let shown = format!(
            "{{\"MinAvailable\":{least},\"Selector\":{},\"MaxUnavailable\":{most},\"UnhealthyPodEvictionPolicy\":{}}}",
            spec["selector"], spec["unhealthyPodEvictionPolicy"]
        );
        causes.push(Cause {
            reason: "FieldValueInvalid",
            message: format!("Invalid value: {shown}: minAvailable and maxUnavailable cannot be both set"),
            field: "spec".to_owned(),
        });
    }
}

fn role(kind: &Kind, object: &Value, causes: &mut Vec<Cause>) {
    let is_cluster = kind.kind == "ClusterRoleBinding";
    let allowed: &[&str] = if is_cluster { &["ClusterRole"] } else { &["Role", "ClusterRole"] };
    let found = object["roleRef"]["kind"].as_str().unwrap_or_default();
    if !allowed.contains(&found) {
        causes.push(unsupported("roleRef.kind", &format!("{found:?}"), allowed));
    }
}

fn webhooks(object: &Value, causes: &mut Vec<Cause>) {
    let hooks = object["webhooks"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (index, webhook) in hooks.iter().enumerate() {
        let at = format!("webhooks[{index}].admissionReviewVersions");
        let versions = webhook["admissionReviewVersions"].as_array().map(Vec::as_slice).unwrap_or_default();
        for (place, version) in versions.iter().enumerate() {
            if versions[..place].contains(version) {
                causes.push(invalid(&format!("{at}[{place}]"), version, "duplicate version"));
            }
        }
        if !versions.is_empty() && !versions.iter().any(|one| one == "v1" || one == "v1beta1") {
            let why = "must include at least one of v1, v1beta1";
            causes.push(invalid(&at, &versions.to_vec().into(), why));
        }
        let name = webhook["name"].as_str().unwrap_or_default();
        let field = format!("webhooks[{index}].name");
        if !name.is_empty() && name.split('.').filter(|part| !part.is_empty()).count() < 3 {
            let why = "should be a domain with at least three segments separated by dots";
            causes.push(invalid(&field, &name.into(), why));
        }
        if hooks[..index].iter().any(|other| other["name"] == name) {
            causes.push(Cause {
                reason: "FieldValueDuplicate",
                message: format!("Duplicate value: {name:?}"),
                field,
            });
        }
        let service = &webhook["clientConfig"]["service"];
        if service.is_object() && service["name"] == "" {
            causes.push(required(&format!("webhooks[{index}].clientConfig.service.name"), ""));
        }
    }
}

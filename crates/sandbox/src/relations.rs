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
    pods(kind, object, causes);
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("apps", _) => crate::workload_rules::check(kind, object, causes),
        ("", "ReplicationController") => crate::workload_rules::replication_controller(object, causes),
        ("", "Service") => crate::services::check(object, causes),
        ("", "PersistentVolume") => volume(&object["spec"], causes),
        ("", "PersistentVolumeClaim") => claim(&object["spec"], "spec", causes),
        ("batch", "Job") => {
            crate::job_rules::check(&object["spec"], "spec", causes);
            crate::job_rules::selector(&object["spec"], causes);
        }
        ("batch", "CronJob") => {
            crate::job_rules::check(&object["spec"]["jobTemplate"]["spec"], "spec.jobTemplate.spec", causes);
        }
        ("", "Namespace") => namespace(object, causes),
        ("", "Endpoints") => endpoints(object, causes),
        ("discovery.k8s.io", "EndpointSlice") => slice_ports(&object["ports"], causes),
        ("", "Event") => event(object, &object["involvedObject"], causes),
        ("events.k8s.io", "Event") => {
            event(object, &object["regarding"], causes);
            let kind = object["type"].as_str().unwrap_or_default();
            if !matches!(kind, "" | "Normal" | "Warning") {
                causes.push(invalid("type", &"".into(), &format!("has invalid value: {kind}")));
            }
        }
        ("storage.k8s.io", "StorageClass") => provisioner(&object["provisioner"], causes),
        ("networking.k8s.io", "IngressClass") => controller(&object["spec"]["controller"], causes),
        ("rbac.authorization.k8s.io", "Role" | "ClusterRole") => policy(object, causes),
        ("storage.k8s.io", "VolumeAttachment") => {
            driver(&object["spec"]["attacher"], "spec.attacher", causes);
        }
        ("networking.k8s.io", "Ingress") => ingress(&object["spec"], causes),
        ("networking.k8s.io", "NetworkPolicy") => peers(&object["spec"], causes),
        ("policy", "PodDisruptionBudget") => budget(&object["spec"], causes),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => {
            role(kind, object, causes);
            subjects(kind, object, causes);
        }
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding") => {
            actions(&object["spec"]["validationActions"], causes);
        }
        ("admissionregistration.k8s.io", _) => webhooks(object, causes),
        (_, _) => {}
    }
}

/// What is wrong in pods, and in what they are made of.
fn pods(kind: &Kind, object: &Value, causes: &mut Vec<Cause>) {
    let pod = match kind.kind.as_str() {
        "Pod" => "/spec",
        "CronJob" => "/spec/jobTemplate/spec/template/spec",
        "PodTemplate" => "/template/spec",
        _ => "/spec/template/spec",
    };
    if let Some(spec) = object.pointer(pod).filter(|_| kind.custom.is_none()) {
        let at = pod.trim_start_matches('/').replace('/', ".");
        if let Some(template) = pod.strip_suffix("/spec").filter(|_| kind.kind != "Pod") {
            let metadata = object.pointer(template).map_or(&Value::Null, |template| &template["metadata"]);
            let at = at.trim_end_matches(".spec");
            crate::metadata::check_labels(&metadata["labels"], &format!("{at}.labels"), causes);
            crate::metadata::check_annotations(
                &metadata["annotations"],
                &format!("{at}.annotations"),
                causes,
            );
        }
        if spec["dnsPolicy"] == "None" && spec["dnsConfig"].is_null() {
            let why = "must provide `dnsConfig` when `dnsPolicy` is None";
            causes.push(required(&format!("{at}.dnsConfig"), why));
        } else if spec["dnsPolicy"] == "None" && spec["dnsConfig"]["nameservers"].is_null() {
            let why = "must provide at least one DNS nameserver when `dnsPolicy` is None";
            causes.push(required(&format!("{at}.dnsConfig.nameservers"), why));
        }
        containers(spec, &object["spec"]["volumeClaimTemplates"], &at, causes);
        tolerations(spec, &at, causes);
        if kind.kind == "Pod" {
            tokens(spec, causes);
        }
    }
}

/// What a namespace is in follows from whether it is to go.
fn namespace(object: &Value, causes: &mut Vec<Cause>) {
    let phase = &object["status"]["phase"];
    let is_ending = object["metadata"]["deletionTimestamp"].is_string();
    if !is_ending && *phase != "Active" && !phase.is_null() {
        let why = "may only be 'Active' if `deletionTimestamp` is empty";
        causes.push(invalid("status.Phase", phase, why));
    }
    if is_ending && *phase != "Terminating" {
        // What is nothing is filled in first.
        let shown = if phase.is_null() { "Active".into() } else { phase.clone() };
        let why = "may only be 'Terminating' if `deletionTimestamp` is not empty";
        causes.push(invalid("status.Phase", &shown, why));
    }
}

fn endpoints(object: &Value, causes: &mut Vec<Cause>) {
    for (index, subset) in object["subsets"].as_array().into_iter().flatten().enumerate() {
        let is_empty = |list: &str| subset[list].as_array().is_none_or(Vec::is_empty);
        if is_empty("addresses") && is_empty("notReadyAddresses") {
            let why = "must specify `addresses` or `notReadyAddresses`";
            causes.push(required(&format!("subsets[{index}]"), why));
        }
    }
}

/// Ports of a slice are told apart by their names, of which one may be empty.
fn slice_ports(ports: &Value, causes: &mut Vec<Cause>) {
    let mut names = Vec::new();
    for (index, port) in ports.as_array().into_iter().flatten().enumerate() {
        let name = port["name"].as_str().unwrap_or_default();
        if names.contains(&name) {
            let field = format!("ports[{index}].name");
            let message = format!("Duplicate value: {name:?}");
            causes.push(Cause { reason: "FieldValueDuplicate", message, field });
        }
        names.push(name);
    }
}

pub(crate) fn required(field: &str, why: &str) -> Cause {
    let message = if why.is_empty() { "Required value".to_owned() } else { format!("Required value: {why}") };
    Cause { reason: "FieldValueRequired", message, field: field.to_owned() }
}

/// Names of containers and of what they mount.
fn containers(pod: &Value, claims: &Value, at: &str, causes: &mut Vec<Cause>) {
    let names = |list: &Value| -> Vec<Value> {
        list.as_array().into_iter().flatten().map(|one| one["name"].clone()).collect()
    };
    let mut volumes = Vec::new();
    for (index, name) in names(&pod["volumes"]).into_iter().enumerate() {
        let place = format!("{at}.volumes[{index}]");
        if name.is_string() && volumes.contains(&name) {
            let message = format!("Duplicate value: {name}");
            let field = format!("{place}.name");
            causes.push(Cause { reason: "FieldValueDuplicate", message, field });
        } else if !causes.iter().any(|cause| cause.field.starts_with(&place)) {
            // One that is wrong in itself is not there for those who would mount it.
            volumes.push(name);
        }
    }
    volumes.extend(claims.as_array().into_iter().flatten().map(|one| one["metadata"]["name"].clone()));
    for list in ["initContainers", "containers"] {
        let known = names(&pod[list]);
        for (index, container) in pod[list].as_array().into_iter().flatten().enumerate() {
            let at = format!("{at}.{list}[{index}]");
            crate::limit_rules::check_requests(&container["resources"], &format!("{at}.resources"), causes);
            for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
                let handlers = ["exec", "grpc", "httpGet", "tcpSocket"];
                let is_there = |handler: &&str| !container[probe][*handler].is_null();
                if container[probe].is_object() && !handlers.iter().any(is_there) {
                    causes.push(required(&format!("{at}.{probe}"), "must specify a handler type"));
                }
            }
            sources(container, &at, causes);
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

/// Where the environment of a container comes from: each part of it from one place.
fn sources(container: &Value, at: &str, causes: &mut Vec<Cause>) {
    const SEVERAL: &str = "may not have more than one field specified at a time";
    let nothing = Value::from("");
    let count = |of: &Value, names: &[&str]| names.iter().filter(|name| !of[**name].is_null()).count();
    for (index, variable) in container["env"].as_array().into_iter().flatten().enumerate() {
        let names = ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"];
        let why = match count(&variable["valueFrom"], &names) {
            0 => continue,
            _ if variable["value"].as_str().is_some_and(|value| !value.is_empty()) => {
                "may not be specified when `value` is not empty"
            }
            1 => continue,
            _ => SEVERAL,
        };
        causes.push(invalid(&format!("{at}.env[{index}].valueFrom"), &nothing, why));
    }
    for source in container["envFrom"].as_array().into_iter().flatten() {
        let why = match count(source, &["configMapRef", "secretRef"]) {
            0 => "must specify one of: `configMapRef` or `secretRef`",
            1 => continue,
            _ => SEVERAL,
        };
        causes.push(invalid(&format!("{at}.envFrom"), &nothing, why));
    }
}

/// What a pod puts up with.
pub(crate) fn tolerations(pod: &Value, at: &str, causes: &mut Vec<Cause>) {
    for (index, toleration) in pod["tolerations"].as_array().into_iter().flatten().enumerate() {
        let at = format!("{at}.tolerations[{index}]");
        let text = |name: &str| toleration[name].as_str().unwrap_or_default();
        let operator = text("operator");
        if text("key").is_empty() && operator != "Exists" {
            let why =
                "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            causes.push(invalid(&format!("{at}.operator"), &operator.into(), why));
        }
        if !toleration["tolerationSeconds"].is_null() && text("effect") != "NoExecute" {
            let why = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            causes.push(invalid(&format!("{at}.effect"), &text("effect").into(), why));
        }
        let (field, value) = (format!("{at}.operator"), text("value"));
        match operator {
            "" | "Equal" => {
                let wrong = crate::metadata::wrong_label_value(value);
                if !wrong.is_empty() {
                    causes.push(invalid(&field, &value.into(), &wrong.join(";")));
                }
            }
            "Exists" if !value.is_empty() => {
                let why = "value must be empty when `operator` is 'Exists'";
                causes.push(invalid(&field, &value.into(), why));
            }
            // Whether a value is larger than another may be asked only where the server is told so.
            "Gt" | "Lt" => {
                let allowed = ["Equal", "Exists", "Lt", "Gt"];
                causes.push(unsupported(&field, &format!("{operator:?}"), &allowed));
            }
            "Exists" => {}
            _ => causes.push(unsupported(&field, &format!("{operator:?}"), &["Equal", "Exists"])),
        }
    }
}

/// Tokens are those of an account that the pod names.
fn tokens(pod: &Value, causes: &mut Vec<Cause>) {
    if !pod["serviceAccountName"].as_str().unwrap_or_default().is_empty() {
        return;
    }
    for (index, volume) in pod["volumes"].as_array().into_iter().flatten().enumerate() {
        for (place, source) in volume["projected"]["sources"].as_array().into_iter().flatten().enumerate() {
            if source["serviceAccountToken"].is_object() {
                let field = format!("spec.volumes[{index}].projected.sources[{place}].serviceAccountToken");
                causes.push(forbidden(&field, "must not be specified when serviceAccountName is not set"));
            }
        }
    }
}

/// Rules about resources name groups and resources.
fn policy(object: &Value, causes: &mut Vec<Cause>) {
    let selectors = object["aggregationRule"]["clusterRoleSelectors"].as_array();
    for (index, selector) in selectors.into_iter().flatten().enumerate() {
        if !crate::workload_rules::is_readable(selector) {
            let field = format!("aggregationRule.clusterRoleSelectors[{index}]");
            causes.push(invalid(&field, &Value::Null, "invalid label selector."));
        }
    }
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

pub(crate) fn claim(spec: &Value, at: &str, causes: &mut Vec<Cause>) {
    modes(&spec["accessModes"], at, causes);
    let field = format!("{at}.resources[storage]");
    match &spec["resources"]["requests"]["storage"] {
        Value::Null => causes.push(required(&field, "")),
        size => size_is_positive(size, &field, causes),
    }
}

fn volume(spec: &Value, causes: &mut Vec<Cause>) {
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

/// What an event is about is where the event is.
fn event(object: &Value, about: &Value, causes: &mut Vec<Cause>) {
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
    let there = about["namespace"].as_str().unwrap_or_default();
    let is_right = match (there, object["eventTime"].is_null()) {
        ("", true) => namespace == "default",
        ("", false) => matches!(namespace, "default" | "kube-system"),
        (there, true) => there == namespace,
        (_, false) => true,
    };
    if !is_right {
        causes.push(invalid("involvedObject.namespace", &there.into(), "does not match event.namespace"));
    }
}

/// A driver is a domain, whatever its letters.
fn driver(driver: &Value, at: &str, causes: &mut Vec<Cause>) {
    let name = driver.as_str().unwrap_or_default();
    if name.is_empty() {
        return;
    }
    causes.retain(|cause| cause.field != at);
    if name.len() > 63 {
        let message = "Too long: may not be more than 63 bytes".to_owned();
        causes.push(Cause { reason: "FieldValueTooLong", message, field: at.to_owned() });
    }
    for why in crate::metadata::wrong_subdomain(&name.to_lowercase()) {
        causes.push(invalid(at, driver, &why));
    }
}

/// What provisions volumes has a qualified name, whatever its letters.
fn provisioner(provisioner: &Value, causes: &mut Vec<Cause>) {
    let name = provisioner.as_str().unwrap_or_default().to_lowercase();
    if name.is_empty() {
        return;
    }
    causes.retain(|cause| cause.field != "provisioner");
    for why in crate::metadata::wrong_key(&name) {
        causes.push(invalid("provisioner", &name.as_str().into(), &why));
    }
}

/// The controller of an `IngressClass` is a path behind a domain.
fn controller(controller: &Value, causes: &mut Vec<Cause>) {
    const PATH: &str = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+";
    let field = "spec.controller";
    let Some((host, path)) = controller.as_str().and_then(|text| text.split_once('/')) else { return };
    if host.is_empty() || path.is_empty() {
        return;
    }
    for why in crate::metadata::wrong_subdomain(host) {
        causes.push(invalid(field, &host.into(), &why));
    }
    if !crate::rules::matches(PATH, path) {
        let why = format!("Invalid path (regex used for validation is '{PATH}')");
        causes.push(invalid(field, &path.into(), &why));
    }
}

fn subjects(kind: &Kind, object: &Value, causes: &mut Vec<Cause>) {
    for (index, subject) in object["subjects"].as_array().into_iter().flatten().enumerate() {
        let at = format!("subjects[{index}]");
        let text = |name: &str| subject[name].as_str().unwrap_or_default();
        if text("kind") != "ServiceAccount" {
            continue;
        }
        if !text("name").is_empty() {
            for why in crate::metadata::wrong_subdomain(text("name")) {
                causes.push(invalid(&format!("{at}.name"), &subject["name"], &why));
            }
        }
        if !text("apiGroup").is_empty() {
            causes.push(unsupported(&format!("{at}.apiGroup"), &subject["apiGroup"].to_string(), &[""]));
        }
        if kind.kind == "ClusterRoleBinding" && text("namespace").is_empty() {
            causes.push(required(&format!("{at}.namespace"), ""));
        }
    }
}

/// What a policy's binding has done with what is not right.
fn actions(actions: &Value, causes: &mut Vec<Cause>) {
    let field = "spec.validationActions";
    let all = actions.as_array().map(Vec::as_slice).unwrap_or_default();
    for (index, action) in all.iter().enumerate().filter(|(index, action)| all[..*index].contains(action)) {
        let message = format!("Duplicate value: {action}");
        causes.push(Cause { reason: "FieldValueDuplicate", message, field: format!("{field}[{index}]") });
    }
    if ["Deny", "Warn"].iter().all(|one| all.iter().any(|action| action == one)) {
        let why = "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)";
        causes.push(invalid(field, actions, why));
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
            let at = format!("spec.rules[{index}].http.paths[{place}]");
            if path["pathType"].is_null() {
                // Nothing else is looked at then.
                let field = format!("{at}.pathType");
                causes.retain(|cause| !cause.field.starts_with(&at) || cause.field == field);
                continue;
            }
            backend(&path["backend"], &format!("{at}.backend"), causes);
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
            for (place, port) in rule["ports"].as_array().into_iter().flatten().enumerate() {
                let field = format!("spec.{list}[{index}].ports[{place}].endPort");
                last_port(port, &field, causes);
            }
        }
    }
}

/// The last port of a range is not below its first, which is a number.
fn last_port(port: &Value, at: &str, causes: &mut Vec<Cause>) {
    let Some(last) = port["endPort"].as_i64() else { return };
    match &port["port"] {
        Value::Number(first) if first.as_i64() > Some(last) => {
            causes.push(invalid(at, &port["port"], "must be greater than or equal to `port`"));
        }
        Value::Number(_) => {}
        Value::String(_) => {
            let why = "may not be specified when `port` is non-numeric";
            causes.push(invalid(at, &port["endPort"], why));
        }
        _ => {
            let why = "may not be specified when `port` is not specified";
            causes.push(invalid(at, &port["endPort"], why));
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

/// Each part of a service's path is a domain.
fn path(path: &Value, at: &str, causes: &mut Vec<Cause>) {
    let Some(text) = path.as_str().filter(|text| !matches!(*text, "" | "/")) else { return };
    causes.retain(|cause| cause.field != at);
    if text == "//" {
        causes.push(invalid(at, path, "segment[0] may not be empty"));
        return;
    }
    if !text.starts_with('/') {
        causes.push(invalid(at, path, "must start with a '/'"));
    }
    // The first letter is taken for the slash, whatever it is.
    let rest: String = text.chars().skip(1).collect();
    for (index, part) in rest.strip_suffix('/').unwrap_or(&rest).split('/').enumerate() {
        if part.is_empty() {
            causes.push(invalid(at, path, &format!("segment[{index}] may not be empty")));
            continue;
        }
        for why in crate::metadata::wrong_subdomain(part) {
            causes.push(invalid(at, path, &format!("segment[{index}]: {why}")));
        }
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
        if crate::metadata::wrong_subdomain(name).is_empty() && name.split('.').count() < 3 {
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
        // The server confuses the two, and so do its refusals.
        for (field, told) in [("name", "namespace"), ("namespace", "name")] {
            if service.is_object() && service[field].as_str().unwrap_or_default().is_empty() {
                causes.push(required(&format!("webhooks[{index}].clientConfig.service.{told}"), ""));
            }
        }
        path(&service["path"], &format!("webhooks[{index}].clientConfig.service.path"), causes);
    }
}

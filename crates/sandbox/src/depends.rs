//! Defaults of built-in kinds that depend on more than one field, and what admission and the kinds' own strategies add.
//!
//! Source: k8s.io/kubernetes `pkg/apis/*/v1/defaults.go`, `plugin/pkg/admission` and `pkg/registry/*/strategy.go`.

use crate::kinds::Kind;
use crate::write::{metadata, wanted};
use serde_json::{Map, Value, json};

/// What pods put up with on nodes that are not ready, by the plug-in `DefaultTolerationSeconds`.
const TOLERATED: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];

fn is(kind: &Kind, group: &str, name: &str) -> bool {
    kind.group == group && kind.kind == name
}

fn put_new(fields: &mut Map<String, Value>, name: &str, value: Value) {
    if !fields.contains_key(name) {
        fields.insert(name.to_owned(), value);
    }
}

/// What has to be there before defaults are.
pub(crate) fn before(kind: &Kind, object: &mut Value) {
    if is(kind, "", "ReplicationController") {
        let labels = object.pointer("/spec/template/metadata/labels").cloned();
        if let Some(labels) = labels {
            if object["metadata"]["labels"].as_object().is_none_or(Map::is_empty) {
                metadata(object).insert("labels".to_owned(), labels.clone());
            }
            if let Some(spec) = object["spec"].as_object_mut() {
                put_new(spec, "selector", labels);
            }
        }
    }
    if is(kind, "batch", "Job") {
        job(object);
    }
    // A name that the server makes is not there yet, and the label is nobody's then.
    if is(kind, "", "Namespace") && object["metadata"]["name"].is_string() {
        crate::namespaces::label(object);
    }
}

fn job(object: &mut Value) {
    let labels =
        object.pointer("/spec/template/metadata/labels").filter(|labels| !count_is_zero(labels)).cloned();
    if let Some(labels) = labels
        && object["metadata"]["labels"].as_object().is_none_or(Map::is_empty)
    {
        metadata(object).insert("labels".to_owned(), labels);
    }
    let Some(spec) = object["spec"].as_object_mut() else { return };
    if !spec.contains_key("completions") && !spec.contains_key("parallelism") {
        put_new(spec, "completions", 1.into());
    }
    let is_by_index = spec.get("backoffLimitPerIndex").is_some();
    let defaults = json!({"parallelism": 1, "completionMode": "NonIndexed", "manualSelector": false, "suspend": false,
        "podReplacementPolicy": if spec.contains_key("podFailurePolicy") { "Failed" } else { "TerminatingOrFailed" },
        "backoffLimit": if is_by_index { i32::MAX } else { 6 }});
    for (name, value) in defaults.as_object().into_iter().flatten() {
        put_new(spec, name, value.clone());
    }
    if let Some(template) = spec.get_mut("template").and_then(Value::as_object_mut) {
        put_new(template, "metadata", json!({}));
    }
}

/// Defaults of one value that depend on its other fields.
pub(crate) fn on_others(type_name: &str, fields: &mut Map<String, Value>, kind: &Kind) {
    if type_name == crate::shapes::DEFINITION_NAMES {
        return crate::definition_rules::name(fields);
    }
    let Some(name) = type_name.strip_prefix("io.k8s.api.") else { return };
    let text = |fields: &Map<String, Value>, name: &str| {
        fields.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    match name {
        "apps.v1.DeploymentStrategy" | "apps.v1.DaemonSetUpdateStrategy"
            if matches!(text(fields, "type").as_str(), "" | "RollingUpdate") =>
        {
            put_new(fields, "rollingUpdate", json!({}));
        }
        // Of a type that nobody knows the steps are shown as they were written.
        "apps.v1.DeploymentStrategy" | "apps.v1.DaemonSetUpdateStrategy"
            if !matches!(text(fields, "type").as_str(), "Recreate" | "OnDelete") =>
        {
            if let Some(steps) = fields.get_mut("rollingUpdate").and_then(Value::as_object_mut) {
                put_new(steps, "maxUnavailable", 0.into());
                put_new(steps, "maxSurge", 0.into());
            }
        }
        "apps.v1.StatefulSetUpdateStrategy" => {
            let by = text(fields, "type");
            if by.is_empty() {
                put_new(fields, "rollingUpdate", json!({}));
            }
            let steps = fields.get_mut("rollingUpdate").and_then(Value::as_object_mut);
            if let Some(steps) = steps.filter(|_| matches!(by.as_str(), "" | "RollingUpdate")) {
                put_new(steps, "partition", 0.into());
            }
        }
        "autoscaling.v2.HorizontalPodAutoscalerBehavior" => behavior(fields),
        "apps.v1.StatefulSetSpec" => claim_templates(fields),
        "core.v1.Container" => container(fields, kind),
        "core.v1.PodSpec" => pod_spec(fields, kind),
        "core.v1.Volume" if fields.keys().all(|key| key == "name") => {
            fields.insert("emptyDir".to_owned(), json!({}));
        }
        "core.v1.ServicePort" if fields.get("targetPort").is_none_or(|port| *port == 0 || *port == "") => {
            let port = fields.get("port").cloned().unwrap_or_else(|| 0.into());
            fields.insert("targetPort".to_owned(), port);
        }
        "core.v1.ServiceSpec" => service(fields),
        "core.v1.LimitRangeItem" => limits(fields),
        "networking.v1.NetworkPolicySpec"
            if fields.get("policyTypes").and_then(Value::as_array).is_none_or(Vec::is_empty) =>
        {
            let mut types = vec!["Ingress"];
            if fields.get("egress").and_then(Value::as_array).is_some_and(|all| !all.is_empty()) {
                types.push("Egress");
            }
            fields.insert("policyTypes".to_owned(), types.into());
        }
        "rbac.v1.Subject"
            if matches!(text(fields, "kind").as_str(), "User" | "Group")
                && text(fields, "apiGroup").is_empty() =>
        {
            fields.insert("apiGroup".to_owned(), "rbac.authorization.k8s.io".into());
        }
        _ => {}
    }
}

/// How fast an autoscaler goes, where it says so in part.
fn behavior(fields: &mut Map<String, Value>) {
    let percent = json!({"type": "Percent", "value": 100, "periodSeconds": 15});
    let pods = json!({"type": "Pods", "value": 4, "periodSeconds": 15});
    let up = json!({"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": [pods, percent]});
    let down = json!({"selectPolicy": "Max", "policies": [percent]});
    for (direction, defaults) in [("scaleUp", up), ("scaleDown", down)] {
        let rules = fields.entry(direction).or_insert_with(|| json!({}));
        if let (Some(rules), Value::Object(defaults)) = (rules.as_object_mut(), defaults) {
            for (name, value) in defaults {
                put_new(rules, &name, value);
            }
        }
    }
}

fn claim_templates(fields: &mut Map<String, Value>) {
    for claim in fields.get_mut("volumeClaimTemplates").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(claim) = claim.as_object_mut() {
            claim.insert("apiVersion".to_owned(), "v1".into());
            claim.insert("kind".to_owned(), "PersistentVolumeClaim".into());
            claim.insert("status".to_owned(), json!({"phase": "Pending"}));
        }
    }
}

fn container(fields: &mut Map<String, Value>, kind: &Kind) {
    let image = fields.get("image").and_then(Value::as_str).unwrap_or_default();
    let is_latest = crate::images::is_latest(image);
    if fields.get("imagePullPolicy").is_none_or(|policy| policy == "") {
        let policy = if is_latest { "Always" } else { "IfNotPresent" };
        fields.insert("imagePullPolicy".to_owned(), policy.into());
    }
    // Only a pod's own containers ask for what they are limited to.
    if is(kind, "", "Pod")
        && let Some(resources) = fields.get_mut("resources").and_then(Value::as_object_mut)
        && let Some(limits) = resources.get("limits").and_then(Value::as_object).cloned()
    {
        put_new(resources, "requests", json!({}));
        if let Some(requests) = resources["requests"].as_object_mut() {
            for (name, limit) in limits {
                put_new(requests, &name, limit);
            }
        }
    }
}

fn pod_spec(fields: &mut Map<String, Value>, kind: &Kind) {
    if fields.get("restartPolicy").is_none_or(|policy| policy == "") {
        fields.insert("restartPolicy".to_owned(), "Always".into());
    }
    for (from, to) in [("serviceAccountName", "serviceAccount"), ("serviceAccount", "serviceAccountName")] {
        if let Some(account) = fields.get(from).cloned() {
            put_new(fields, to, account);
        }
    }
    if is(kind, "", "Pod") && fields.get("hostNetwork") == Some(&Value::Bool(true)) {
        for list in ["containers", "initContainers"] {
            for container in fields.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
                for port in container["ports"].as_array_mut().into_iter().flatten() {
                    if let Some(port) = port.as_object_mut() {
                        let number = port.get("containerPort").cloned().unwrap_or_default();
                        put_new(port, "hostPort", number);
                    }
                }
            }
        }
    }
    if !is(kind, "", "Pod") {
        return;
    }
    put_new(fields, "enableServiceLinks", true.into());
}

/// What the plug-in `DefaultTolerationSeconds` adds.
fn tolerate(fields: &mut Map<String, Value>) {
    put_new(fields, "tolerations", json!([]));
    if let Some(tolerations) = fields["tolerations"].as_array_mut() {
        for key in TOLERATED {
            let covers = |one: &Value| {
                let effect = one["effect"].as_str().unwrap_or_default();
                let named = one["key"].as_str().unwrap_or_default();
                (named == key || named.is_empty()) && matches!(effect, "NoExecute" | "")
            };
            if !tolerations.iter().any(covers) {
                let one = json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300});
                tolerations.push(one);
            }
        }
    }
}

fn service(fields: &mut Map<String, Value>) {
    let text = |fields: &Map<String, Value>, name: &str, or: &str| {
        let value = fields.get(name).and_then(Value::as_str).filter(|value| !value.is_empty());
        value.unwrap_or(or).to_owned()
    };
    match text(fields, "sessionAffinity", "None").as_str() {
        "None" => drop(fields.remove("sessionAffinityConfig")),
        "ClientIP"
            if fields
                .get("sessionAffinityConfig")
                .is_none_or(|config| config["clientIP"]["timeoutSeconds"].is_null()) =>
        {
            let config = json!({"clientIP": {"timeoutSeconds": 10800}});
            fields.insert("sessionAffinityConfig".to_owned(), config);
        }
        _ => {}
    }
    let kind = text(fields, "type", "ClusterIP");
    if matches!(kind.as_str(), "ClusterIP" | "NodePort" | "LoadBalancer") {
        put_new(fields, "internalTrafficPolicy", "Cluster".into());
    }
    let is_outside = kind == "ClusterIP"
        && fields.get("externalIPs").and_then(Value::as_array).is_some_and(|all| !all.is_empty());
    if is_outside || matches!(kind.as_str(), "NodePort" | "LoadBalancer") {
        put_new(fields, "externalTrafficPolicy", "Cluster".into());
    }
    if kind == "LoadBalancer" {
        put_new(fields, "allocateLoadBalancerNodePorts", true.into());
    }
}

fn limits(fields: &mut Map<String, Value>) {
    if fields.get("type") != Some(&"Container".into()) {
        return;
    }
    for (from, to) in [("max", "default"), ("default", "defaultRequest"), ("min", "defaultRequest")] {
        let Some(given) = fields.get(from).and_then(Value::as_object).cloned() else { continue };
        put_new(fields, to, json!({}));
        if let Some(filled) = fields[to].as_object_mut() {
            for (name, value) in given {
                put_new(filled, &name, value);
            }
        }
    }
}

/// What admission and the server's own forms of a kind add.
pub(crate) fn after(kind: &Kind, object: &mut Value) {
    if is(kind, "apps", "DaemonSet") {
        let annotations = metadata(object).entry("annotations").or_insert_with(|| json!({}));
        if let Some(annotations) = annotations.as_object_mut() {
            put_new(annotations, GENERATION, "0".into());
        }
    }
}

/// Where a `DaemonSet` shows how often its template changed.
pub(crate) const GENERATION: &str = "deprecated.daemonset.template.generation";

/// What the plug-in `StorageObjectInUseProtection` adds.
fn guard(kind: &Kind, object: &mut Value) {
    let guard = match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "PersistentVolumeClaim") => Some("kubernetes.io/pvc-protection"),
        ("", "PersistentVolume") => Some("kubernetes.io/pv-protection"),
        _ => None,
    };
    if let Some(guard) = guard {
        let finalizers = metadata(object).entry("finalizers").or_insert_with(|| json!([]));
        if let Some(all) = finalizers.as_array_mut().filter(|all| !all.iter().any(|one| one == guard)) {
            all.push(guard.into());
        }
    }
}

/// Whose the labels of a new object are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Labels {
    Written,
    /// Nobody wrote any: a Job has those of its template, and whatever is added to them.
    Filled,
}

impl Labels {
    /// Whose they are in what a client sent.
    pub(crate) fn of(object: &Value) -> Self {
        if count_is_zero(&object["metadata"]["labels"]) { Self::Filled } else { Self::Written }
    }
}

/// What a kind gives a new object, which nobody owns.
pub(crate) fn begin(kind: &Kind, object: &mut Value, number: u64, labels: Labels) {
    guard(kind, object);
    if let Some(status) = crate::fields::start(kind).get("status") {
        object["status"] = status.clone();
    }
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("apps", "DaemonSet") => object["metadata"]["annotations"][GENERATION] = "1".into(),
        ("", "Service") => crate::services::begin(object, number),
        ("", "Pod") => {
            object["status"]["qosClass"] = quality(object).into();
            if let Some(spec) = object["spec"].as_object_mut() {
                tolerate(spec);
                put_new(spec, "priority", 0.into());
                put_new(spec, "preemptionPolicy", "PreemptLowerPriority".into());
            }
        }
        ("", "Node") => {
            let taint = json!({"effect": "NoSchedule", "key": "node.kubernetes.io/not-ready"});
            let mut taints = object["spec"]["taints"].as_array().cloned().unwrap_or_default();
            if !taints.contains(&taint) {
                taints.push(taint);
            }
            object["spec"]["taints"] = taints.into();
        }
        ("batch", "Job") => job_selector(object, labels),
        _ => {}
    }
}

/// What a kind makes of a change of an object.
pub(crate) fn go_on(kind: &Kind, before: &Value, object: &mut Value, number: u64) {
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("apps", "DaemonSet") => {
            let known = before["metadata"]["annotations"][GENERATION].as_str();
            let known: u64 = known.and_then(|text| text.parse().ok()).unwrap_or(1);
            let changed = before["spec"]["template"] != object["spec"]["template"];
            object["metadata"]["annotations"][GENERATION] = (known + u64::from(changed)).to_string().into();
        }
        ("", "Service") => crate::services::go_on(before, object, number),
        ("", "Namespace") => crate::namespaces::go_on(before, object),
        ("", "PersistentVolume") => {
            for field in ["phase", "lastPhaseTransitionTime"] {
                let known = before["status"].get(field).cloned();
                if let (Some(known), true) = (known, object["status"][field].is_null()) {
                    object["status"][field] = known;
                }
            }
        }
        ("", "Pod") => {
            if object["status"]["qosClass"].is_null()
                && let Some(known) = before["status"].get("qosClass")
            {
                object["status"]["qosClass"] = known.clone();
            }
            if let Some(spec) = object["spec"].as_object_mut() {
                tolerate(spec);
                for field in ["priority", "preemptionPolicy", "nodeName"] {
                    if let Some(value) = before["spec"].get(field) {
                        put_new(spec, field, value.clone());
                    }
                }
            }
        }
        _ => {}
    }
}

/// The generation of an object after a change, where the kind counts them.
///
/// Source: the strategies' `PrepareForUpdate`.
pub(crate) fn generation(kind: &Kind, before: &Value, object: &Value) -> Option<i64> {
    let known = before["metadata"]["generation"].as_i64();
    let differs = |pointer: &str| before.pointer(pointer) != object.pointer(pointer);
    let counts = crate::write::is_counted(kind);
    let has_changed = match (kind.group.as_str(), kind.kind.as_str()) {
        ("apps", "Deployment") => differs("/spec") || differs("/metadata/annotations"),
        ("discovery.k8s.io", "EndpointSlice") => {
            let is_list = |field: &str| object[field].as_array().is_some_and(|all| !all.is_empty());
            // No ports and an empty list of them are the same.
            let fields = ["addressType", "endpoints", "ports"];
            let has_changed = |field: &str| {
                before.get(field) != object.get(field) && (is_list(field) || !before[field].is_null())
            };
            fields.into_iter().any(has_changed) || differs("/metadata/labels")
        }
        ("scheduling.k8s.io", "PriorityClass") => false,
        // It begins at none, and counts from there.
        ("storage.k8s.io", "CSIDriver") if differs("/spec") => return Some(known.unwrap_or(0) + 1),
        (_, _) => counts && wanted(before) != wanted(object),
    };
    if !counts {
        return known;
    }
    Some(known.unwrap_or(1) + i64::from(has_changed))
}

/// The quality of service that a pod's requests and limits amount to.
pub(crate) fn quality(object: &Value) -> &'static str {
    let all = ["containers", "initContainers"]
        .map(|list| object["spec"][list].as_array().cloned().unwrap_or_default());
    let containers: Vec<Value> = all.into_iter().flatten().collect();
    let amount = |container: &Value, what: &str, name: &str| {
        container["resources"][what][name].as_str().filter(|amount| *amount != "0").map(str::to_owned)
    };
    let is_none = |container: &Value| {
        ["requests", "limits"]
            .iter()
            .all(|what| ["cpu", "memory"].iter().all(|name| amount(container, what, name).is_none()))
    };
    if containers.iter().all(is_none) {
        return "BestEffort";
    }
    let is_full = |container: &Value| {
        ["cpu", "memory"].iter().all(|name| {
            let limit = amount(container, "limits", name);
            limit.is_some() && amount(container, "requests", name) == limit
        })
    };
    if containers.iter().all(is_full) { "Guaranteed" } else { "Burstable" }
}

fn count_is_zero(value: &Value) -> bool {
    value.as_object().is_none_or(Map::is_empty)
}

fn job_selector(object: &mut Value, labels: Labels) {
    if object["spec"]["manualSelector"] == true {
        return;
    }
    let (uid, name) = (object["metadata"]["uid"].clone(), object["metadata"]["name"].clone());
    let own = object["metadata"]["labels"].clone();
    // One whose name the server made is a copy, in which the two go their own ways.
    let generated = object["metadata"]["generateName"].as_str().filter(|start| !start.is_empty());
    let is_named_here = generated.is_none_or(|start| {
        let name = name.as_str().unwrap_or_default();
        !name.starts_with(start) || name.len() != start.len() + 5
    });
    let spec = &mut object["spec"];
    spec["selector"]["matchLabels"]["batch.kubernetes.io/controller-uid"] = uid.clone();
    let template = spec.pointer("/template/metadata/labels").cloned().unwrap_or_default();
    let is_the_same = labels == Labels::Filled && is_named_here && own == template;
    let is_shared = is_the_same || count_is_zero(&own) && count_is_zero(&template);
    let labels = &mut spec["template"]["metadata"]["labels"];
    for prefix in ["batch.kubernetes.io/", ""] {
        labels[format!("{prefix}controller-uid")] = uid.clone();
        labels[format!("{prefix}job-name")] = name.clone();
    }
    if is_shared {
        object["metadata"]["labels"] = labels.clone();
    }
}

//! The cells of tables of those kinds that say in words what they are: events, volumes, claims, nodes, quotas, scalers.
//!
//! Source: k8s.io/kubernetes `pkg/printers/internalversion/printers.go`.

use crate::table::{number, or_none, text};
use serde_json::{Map, Value};

/// The cell of a column; null for other kinds.
pub(crate) fn of(kind: &str, column: &str, object: &Value) -> Value {
    match kind {
        "Event" => event(column, object),
        "PersistentVolume" => volume(column, object),
        "PersistentVolumeClaim" => claim(column, object),
        "Node" => node(column, object),
        "ResourceQuota" => quota(column, object),
        "HorizontalPodAutoscaler" => scaler(column, object),
        "EndpointSlice" => slice(column, object),
        "StorageClass" => storage_class(column, object),
        "CSIDriver" => driver(column, object),
        "ControllerRevision" if column == "Controller" => controller(object),
        "IngressClass" if column == "Parameters" => parameters(object),
        _ => Value::Null,
    }
}

fn event(column: &str, object: &Value) -> Value {
    let about =
        if object["regarding"].is_object() { &object["regarding"] } else { &object["involvedObject"] };
    match column {
        "Type" => text(object, "/type").into(),
        "Reason" => text(object, "/reason").into(),
        "Object" => {
            let (kind, name) = (text(about, "/kind").to_lowercase(), text(about, "/name"));
            Value::from(if name.is_empty() { kind } else { format!("{kind}/{name}") })
        }
        "Subobject" => text(about, "/fieldPath").into(),
        "Source" => source(object).into(),
        "Message" => {
            let message = object.get("note").or_else(|| object.get("message")).and_then(Value::as_str);
            message.unwrap_or_default().trim().into()
        }
        "Count" => {
            let count = number(object, "/count").max(number(object, "/deprecatedCount"));
            count.max(1).into()
        }
        "Name" => text(object, "/metadata/name").into(),
        _ => Value::Null,
    }
}

fn source(event: &Value) -> String {
    let old =
        if event["deprecatedSource"].is_object() { &event["deprecatedSource"] } else { &event["source"] };
    let or = |old: String, new: &str| if old.is_empty() { text(event, new) } else { old };
    let component = or(text(old, "/component"), "/reportingComponent");
    let component = if component.is_empty() { text(event, "/reportingController") } else { component };
    let host = or(text(old, "/host"), "/reportingInstance");
    if host.is_empty() { component } else { format!("{component}, {host}") }
}

fn modes(list: &Value) -> Value {
    let short = |mode: &str| match mode {
        "ReadWriteOnce" => Some("RWO"),
        "ReadOnlyMany" => Some("ROX"),
        "ReadWriteMany" => Some("RWX"),
        "ReadWriteOncePod" => Some("RWOP"),
        _ => None,
    };
    let found: Vec<&str> = list.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let shown = ["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"];
    let shown = shown.into_iter().filter(|mode| found.contains(mode)).filter_map(short);
    shown.collect::<Vec<_>>().join(",").into()
}

fn volume(column: &str, object: &Value) -> Value {
    let is_ending = object["metadata"]["deletionTimestamp"].is_string();
    match column {
        "Capacity" => text(object, "/spec/capacity/storage").into(),
        "Access Modes" => modes(&object["spec"]["accessModes"]),
        "Reclaim Policy" => text(object, "/spec/persistentVolumeReclaimPolicy").into(),
        "Status" if is_ending => "Terminating".into(),
        "Status" => text(object, "/status/phase").into(),
        "Claim" if object["spec"]["claimRef"].is_object() => {
            let claim = &object["spec"]["claimRef"];
            format!("{}/{}", text(claim, "/namespace"), text(claim, "/name")).into()
        }
        "Claim" => "".into(),
        "StorageClass" => text(object, "/spec/storageClassName").into(),
        "VolumeAttributesClass" => unset(object, "/spec/volumeAttributesClassName"),
        "Reason" => text(object, "/status/reason").into(),
        "VolumeMode" => unset(object, "/spec/volumeMode"),
        _ => Value::Null,
    }
}

fn unset(object: &Value, pointer: &str) -> Value {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or("<unset>").into()
}

fn claim(column: &str, object: &Value) -> Value {
    let is_ending = object["metadata"]["deletionTimestamp"].is_string();
    let is_bound = object["spec"]["volumeName"].as_str().is_some_and(|name| !name.is_empty());
    match column {
        "Status" if is_ending => "Terminating".into(),
        "Status" => text(object, "/status/phase").into(),
        "Volume" => text(object, "/spec/volumeName").into(),
        "Capacity" if is_bound => text(object, "/status/capacity/storage").into(),
        "Access Modes" if is_bound => modes(&object["status"]["accessModes"]),
        "Capacity" | "Access Modes" => "".into(),
        "StorageClass" => text(object, "/spec/storageClassName").into(),
        "VolumeAttributesClass" => unset(object, "/spec/volumeAttributesClassName"),
        "VolumeMode" => unset(object, "/spec/volumeMode"),
        _ => Value::Null,
    }
}

fn node(column: &str, object: &Value) -> Value {
    let known = |pointer: &str| {
        let text = text(object, pointer);
        Value::from(if text.is_empty() { "<unknown>".to_owned() } else { text })
    };
    let address = |kind: &str| {
        let all = object["status"]["addresses"].as_array().into_iter().flatten();
        all.filter(|one| one["type"] == kind)
            .find_map(|one| one["address"].as_str())
            .unwrap_or("<none>")
            .into()
    };
    match column {
        "Status" => {
            let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
            let ready =
                conditions.filter(|one| one["type"] == "Ready").map(|one| one["status"] == "True").next();
            let mut words = vec![match ready {
                Some(true) => "Ready",
                Some(false) => "NotReady",
                None => "Unknown",
            }];
            if object["spec"]["unschedulable"] == true {
                words.push("SchedulingDisabled");
            }
            words.join(",").into()
        }
        "Roles" => {
            let labels = object["metadata"]["labels"].as_object().into_iter().flat_map(Map::keys);
            let roles = labels.filter_map(|label| label.strip_prefix("node-role.kubernetes.io/"));
            or_none(roles.filter(|role| !role.is_empty()).collect::<Vec<_>>().join(","))
        }
        "Version" => text(object, "/status/nodeInfo/kubeletVersion").into(),
        "Internal-IP" => address("InternalIP"),
        "External-IP" => address("ExternalIP"),
        "OS-Image" => known("/status/nodeInfo/osImage"),
        "Kernel-Version" => known("/status/nodeInfo/kernelVersion"),
        "Container-Runtime" => known("/status/nodeInfo/containerRuntimeVersion"),
        _ => Value::Null,
    }
}

fn quota(column: &str, object: &Value) -> Value {
    if !matches!(column, "Request" | "Limit") {
        return Value::Null;
    }
    // By name, which is not the order of what is told of each.
    let mut parts: Vec<(&String, String)> = Vec::new();
    for (name, hard) in object["status"]["hard"].as_object().into_iter().flatten() {
        let is_limit = name.starts_with("limits.");
        if is_limit == (column == "Limit") {
            let used = object["status"]["used"][name].as_str().unwrap_or("0");
            parts.push((name, format!("{name}: {used}/{}", hard.as_str().unwrap_or_default())));
        }
    }
    parts.sort();
    parts.into_iter().map(|(_, told)| told).collect::<Vec<_>>().join(", ").into()
}

fn scaler(column: &str, object: &Value) -> Value {
    let spec = &object["spec"];
    match column {
        "Reference" => {
            format!("{}/{}", text(spec, "/scaleTargetRef/kind"), text(spec, "/scaleTargetRef/name")).into()
        }
        "MinPods" => spec["minReplicas"].as_i64().map_or("<unset>".into(), |least| least.to_string().into()),
        "MaxPods" => number(spec, "/maxReplicas").into(),
        "Replicas" => number(object, "/status/currentReplicas").into(),
        "Targets" => targets(object).into(),
        _ => Value::Null,
    }
}

/// So many metrics of an autoscaler are shown.
const SHOWN: usize = 2;

fn targets(object: &Value) -> String {
    let metrics = object["spec"]["metrics"].as_array().map(Vec::as_slice).unwrap_or_default();
    if metrics.is_empty() {
        return "<none>".to_owned();
    }
    let shown = metrics.iter().take(SHOWN).enumerate();
    let shown = shown.map(|(index, metric)| target(metric, &object["status"]["currentMetrics"][index]));
    let shown = shown.collect::<Vec<_>>().join(", ");
    match metrics.len() {
        all if all > SHOWN => format!("{shown} + {} more...", all - SHOWN),
        _ => shown,
    }
}

fn target(metric: &Value, status: &Value) -> String {
    let sources = ["external", "pods", "object", "resource", "containerResource"];
    let Some(source) = sources.into_iter().find(|source| metric[*source].is_object()) else {
        return "<unknown type>".to_owned();
    };
    let (target, current) = (&metric[source]["target"], &status[source]["current"]);
    let known = |field: &str, unit: &str| {
        let shown =
            current.get(field).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        shown.map_or_else(|| "<unknown>".to_owned(), |shown| format!("{shown}{unit}"))
    };
    let average = target["averageValue"].as_str();
    match (source, average) {
        ("external" | "object", Some(wanted)) => format!("{}/{wanted} (avg)", known("averageValue", "")),
        ("external" | "object", None) => format!("{}/{}", known("value", ""), text(target, "/value")),
        ("pods", _) => format!("{}/{}", known("averageValue", ""), average.unwrap_or_default()),
        (_, Some(wanted)) => {
            format!("{}: {}/{wanted}", text(metric, &format!("/{source}/name")), known("averageValue", ""))
        }
        (_, None) => {
            let wanted = target["averageUtilization"].as_i64();
            let wanted = wanted.map_or_else(|| "<auto>".to_owned(), |percent| format!("{percent}%"));
            let name = text(metric, &format!("/{source}/name"));
            format!("{name}: {}/{wanted}", known("averageUtilization", "%"))
        }
    }
}

fn slice(column: &str, object: &Value) -> Value {
    let joined = |all: Vec<String>, none: &str| {
        Value::from(if all.is_empty() { none.to_owned() } else { all.join(",") })
    };
    match column {
        "AddressType" => text(object, "/addressType").into(),
        "Ports" => {
            let ports = object["ports"].as_array().into_iter().flatten();
            joined(
                ports
                    .map(|port| port["port"].as_i64().map_or("*".to_owned(), |port| port.to_string()))
                    .collect(),
                "<unset>",
            )
        }
        "Endpoints" => {
            let endpoints = object["endpoints"].as_array().into_iter().flatten();
            let all = endpoints.flat_map(|one| one["addresses"].as_array().into_iter().flatten());
            joined(all.filter_map(|one| one.as_str().map(str::to_owned)).collect(), "<unset>")
        }
        _ => Value::Null,
    }
}

fn storage_class(column: &str, object: &Value) -> Value {
    match column {
        "Provisioner" => text(object, "/provisioner").into(),
        "ReclaimPolicy" => text(object, "/reclaimPolicy").into(),
        "VolumeBindingMode" => text(object, "/volumeBindingMode").into(),
        "AllowVolumeExpansion" => (object["allowVolumeExpansion"] == true).into(),
        _ => Value::Null,
    }
}

fn driver(column: &str, object: &Value) -> Value {
    let spec = &object["spec"];
    match column {
        "AttachRequired" => (spec["attachRequired"] == true).into(),
        "PodInfoOnMount" => (spec["podInfoOnMount"] == true).into(),
        "StorageCapacity" => (spec["storageCapacity"] == true).into(),
        "RequiresRepublish" => (spec["requiresRepublish"] == true).into(),
        "TokenRequests" => {
            let all = spec["tokenRequests"].as_array().into_iter().flatten();
            let all: Vec<&str> = all.filter_map(|one| one["audience"].as_str()).collect();
            Value::from(if all.is_empty() { "<unset>".to_owned() } else { all.join(",") })
        }
        "Modes" => {
            let all = spec["volumeLifecycleModes"].as_array().into_iter().flatten();
            or_none(all.filter_map(Value::as_str).collect::<Vec<_>>().join(","))
        }
        _ => Value::Null,
    }
}

fn controller(object: &Value) -> Value {
    let owners = object["metadata"]["ownerReferences"].as_array().into_iter().flatten();
    let Some(owner) = owners.into_iter().find(|owner| owner["controller"] == true) else {
        return "<none>".into();
    };
    let (kind, name) = (text(owner, "/kind").to_lowercase(), text(owner, "/name"));
    let api_version = text(owner, "/apiVersion");
    let group = api_version.split_once('/').map(|(group, _)| format!(".{group}")).unwrap_or_default();
    format!("{kind}{group}/{name}").into()
}

fn parameters(object: &Value) -> Value {
    let parameters = &object["spec"]["parameters"];
    if !parameters.is_object() {
        return "<none>".into();
    }
    let (kind, name) = (text(parameters, "/kind"), text(parameters, "/name"));
    let group = parameters["apiGroup"].as_str().map(|group| format!(".{group}")).unwrap_or_default();
    format!("{kind}{group}/{name}").into()
}

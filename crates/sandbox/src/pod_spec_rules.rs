//! What the API server asks of pods, and of the templates of pods.
//!
//! Source: `ValidatePodSpec` of k8s.io/kubernetes `pkg/apis/core/validation`.

use crate::answer::Cause;
use crate::kinds::Kind;
use crate::rules::{forbidden, invalid, required, unsupported};
use serde_json::Value;

/// What is wrong in pods, and in what they are made of.
pub(crate) fn check(kind: &Kind, object: &Value, causes: &mut Vec<Cause>) {
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

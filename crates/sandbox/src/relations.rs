//! What the API server asks of built-in kinds beyond single fields.
//!
//! Source: k8s.io/kubernetes `pkg/apis/*/validation`.

use crate::answer::Cause;
use crate::kinds::Kind;
use crate::rules::{invalid, required, unsupported};
use serde_json::Value;

/// What does not go together in an object.
pub(crate) fn check(kind: &Kind, object: &Value, causes: &mut Vec<Cause>) {
    crate::pod_spec_rules::check(kind, object, causes);
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("apps", _) => crate::workload_rules::check(kind, object, causes),
        ("", "ReplicationController") => crate::workload_rules::replication_controller(object, causes),
        ("", "Service") => crate::services::check(object, causes),
        ("", "PersistentVolume") => crate::volume_rules::check(&object["spec"], causes),
        ("", "PersistentVolumeClaim") => crate::volume_rules::claim(&object["spec"], "spec", causes),
        ("batch", "Job") => {
            crate::job_rules::check(&object["spec"], "spec", causes);
            crate::job_rules::selector(&object["spec"], causes);
        }
        ("batch", "CronJob") => {
            crate::job_rules::check(&object["spec"]["jobTemplate"]["spec"], "spec.jobTemplate.spec", causes);
        }
        ("", "Namespace") => namespace(object, causes),
        ("", "Endpoints") => crate::network_rules::endpoints(object, causes),
        ("discovery.k8s.io", "EndpointSlice") => crate::network_rules::slice_ports(&object["ports"], causes),
        ("", "Event") => event(object, &object["involvedObject"], causes),
        ("events.k8s.io", "Event") => {
            event(object, &object["regarding"], causes);
            let kind = object["type"].as_str().unwrap_or_default();
            if !matches!(kind, "" | "Normal" | "Warning") {
                causes.push(invalid("type", &"".into(), &format!("has invalid value: {kind}")));
            }
        }
        ("storage.k8s.io", "StorageClass") => provisioner(&object["provisioner"], causes),
        ("networking.k8s.io", "IngressClass") => {
            crate::network_rules::controller(&object["spec"]["controller"], causes);
        }
        ("rbac.authorization.k8s.io", "Role" | "ClusterRole") => policy(object, causes),
        ("storage.k8s.io", "VolumeAttachment") => {
            driver(&object["spec"]["attacher"], "spec.attacher", causes);
        }
        ("networking.k8s.io", "Ingress") => crate::network_rules::ingress(&object["spec"], causes),
        ("networking.k8s.io", "NetworkPolicy") => crate::network_rules::peers(&object["spec"], causes),
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

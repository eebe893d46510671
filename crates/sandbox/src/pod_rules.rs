//! What of a pod may change.
//!
//! Absent: pods that wait for gates, of which more may change. The server adds how two specs differ, in its own types, which are
//! not here.
//!
//! Source: `ValidatePodUpdate` of k8s.io/kubernetes `pkg/apis/core/validation`.

use crate::answer::Cause;
use crate::pod_spec_rules::tolerations;
use crate::rules::{forbidden, invalid, required};
use serde_json::Value;

/// What has changed that may not.
pub(crate) fn changed(before: &Value, object: &Value, causes: &mut Vec<Cause>) {
    let (was, is) = (&before["spec"], &object["spec"]);
    for list in ["containers", "initContainers"] {
        let containers = is[list].as_array().map(Vec::as_slice).unwrap_or_default();
        if was[list].as_array().map_or(0, Vec::len) != containers.len() {
            let why = "pod updates may not add or remove containers";
            causes.push(forbidden(&format!("spec.{list}"), why));
            return;
        }
        for (index, container) in containers.iter().enumerate() {
            if container["image"].as_str().unwrap_or_default().is_empty() {
                causes.push(required(&format!("spec.{list}[{index}].image"), ""));
            }
        }
    }
    if is_deadline_wrong(&was["activeDeadlineSeconds"], &is["activeDeadlineSeconds"], causes) {
        return;
    }
    let had = was["tolerations"].as_array().map(Vec::as_slice).unwrap_or_default();
    let has = is["tolerations"].as_array().map(Vec::as_slice).unwrap_or_default();
    if had.iter().any(|one| !has.iter().any(|other| without_seconds(one) == without_seconds(other))) {
        let why = "existing toleration can not be modified except its tolerationSeconds";
        causes.push(forbidden("spec.tolerations", why));
    } else {
        tolerations(is, "spec", causes);
    }
    if fixed(was) != fixed(is) {
        causes.push(forbidden("spec", "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"));
    }
}

/// Tells what is wrong with how long a pod may run, and whether nothing else is looked at then.
fn is_deadline_wrong(was: &Value, is: &Value, causes: &mut Vec<Cause>) -> bool {
    let field = "spec.activeDeadlineSeconds";
    match (was.as_i64(), is.as_i64()) {
        (_, Some(seconds)) if !(0..=i64::from(i32::MAX)).contains(&seconds) => {
            causes.push(invalid(field, is, "must be between 0 and 2147483647, inclusive"));
            true
        }
        (Some(known), Some(seconds)) if known < seconds => {
            causes.push(invalid(field, is, "must be less than or equal to previous value"));
            true
        }
        (Some(_), None) => {
            let why = "must not update from a positive integer to nil value";
            causes.push(invalid(field, &Value::Null, why));
            false
        }
        (_, _) => false,
    }
}

fn without_seconds(toleration: &Value) -> Value {
    let mut toleration = toleration.clone();
    toleration.as_object_mut().and_then(|fields| fields.remove("tolerationSeconds"));
    toleration
}

/// A pod's spec without what may change.
fn fixed(spec: &Value) -> Value {
    let mut spec = spec.clone();
    for list in ["containers", "initContainers"] {
        for container in spec[list].as_array_mut().into_iter().flatten() {
            container.as_object_mut().and_then(|container| container.remove("image"));
        }
    }
    for field in ["activeDeadlineSeconds", "tolerations", "nodeName", "priority", "preemptionPolicy"] {
        spec.as_object_mut().and_then(|spec| spec.remove(field));
    }
    spec
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(was: &Value, is: &Value, expected: &[&str]) {
        let mut causes = Vec::new();
        changed(&json!({"spec": was}), &json!({"spec": is}), &mut causes);
        let told: Vec<String> = causes.iter().map(|one| format!("{}: {}", one.field, one.message)).collect();
        assert_eq!(told.len(), expected.len(), "{told:?}");
        for (told, expected) in told.iter().zip(expected) {
            assert!(told.starts_with(expected), "{told}");
        }
    }

    #[test]
    fn images_may_change_deadlines_shrink_and_tolerations_come() {
        let pod = |image: &str, deadline: u64| json!({"containers": [{"name": "a", "image": image}], "activeDeadlineSeconds": deadline});
        check(&pod("a", 5), &pod("b", 4), &[]);
        let longer =
            "spec.activeDeadlineSeconds: Invalid value: 6: must be less than or equal to previous value";
        check(&pod("a", 5), &pod("a", 6), &[longer]);
        let none = json!({"containers": [{"name": "a", "image": "a"}]});
        let gone = "spec.activeDeadlineSeconds: Invalid value: null: must not update";
        check(&pod("a", 5), &none, &[gone]);
        check(&none, &json!({"containers": []}), &["spec.containers: Forbidden: pod updates may not add"]);
        let mut tolerant = none.clone();
        tolerant["tolerations"] = json!([{"key": "a", "operator": "Exists"}]);
        check(&none, &tolerant, &[]);
        check(&tolerant, &none, &["spec.tolerations: Forbidden: existing toleration can not be modified"]);
    }
}

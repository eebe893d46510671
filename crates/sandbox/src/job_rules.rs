//! What the API server asks of Jobs and of the Jobs that `CronJob`s make, and what of them never changes.
//!
//! Absent: policies of failures and success.
//!
//! Source: k8s.io/kubernetes `pkg/apis/batch/validation`, `pkg/registry/batch/job/strategy.go`.

use crate::answer::Cause;
use crate::rules::{invalid, required, unsupported};
use crate::select::matches_selector;
use serde_json::Value;

/// What is wrong in what a Job wants.
pub(crate) fn check(spec: &Value, at: &str, causes: &mut Vec<Cause>) {
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
    let is_indexed = spec["completionMode"] == "Indexed";
    if is_indexed && spec["completions"].is_null() {
        causes.push(required(&format!("{at}.completions"), "when completion mode is Indexed"));
    }
    for field in ["backoffLimitPerIndex", "maxFailedIndexes"] {
        if !is_indexed && !spec[field].is_null() {
            causes.push(invalid(&format!("{at}.{field}"), &spec[field], "requires indexed completion mode"));
        }
    }
}

/// A Job has a selector, which finds the pods that it makes.
pub(crate) fn selector(spec: &Value, causes: &mut Vec<Cause>) {
    if spec["selector"].is_null() {
        causes.push(required("spec.selector", ""));
    }
    let labels = spec.pointer("/template/metadata/labels").unwrap_or(&Value::Null);
    if spec["selector"].is_null() || !matches_selector(&spec["selector"], labels) {
        let why = "`selector` does not match template `labels`";
        causes.push(invalid("spec.template.metadata.labels", labels, why));
    }
}

/// The labels by which a Job finds its pods, where it did not choose them itself.
pub(crate) fn generated(object: &Value, causes: &mut Vec<Cause>) {
    let spec = &object["spec"];
    if spec["manualSelector"] == true || spec["selector"].is_null() {
        return;
    }
    let labels = spec.pointer("/template/metadata/labels");
    let (uid, name) = (&object["metadata"]["uid"], &object["metadata"]["name"]);
    for prefix in ["", "batch.kubernetes.io/"] {
        for (label, wanted) in [("controller-uid", uid), ("job-name", name)] {
            let key = format!("{prefix}{label}");
            let field = format!("spec.template.metadata.labels[{key}]");
            let why = format!("must be '{}'", wanted.as_str().unwrap_or_default());
            match labels.and_then(|labels| labels.get(&key)) {
                None => causes.push(required(&field, &why)),
                Some(found) if found != wanted => {
                    causes.push(invalid(&field, labels.unwrap_or(&Value::Null), &why));
                }
                Some(_) => {}
            }
        }
    }
}

/// What of a Job has changed that never may.
pub(crate) fn changed(before: &Value, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let (was, is) = (&before["spec"], &object["spec"]);
    let completions = &is["completions"];
    let is_indexed = is["completionMode"] == "Indexed";
    if was["completions"] != *completions {
        if !is_indexed {
            causes.push(invalid("spec.completions", completions, "field is immutable"));
        } else if !completions.is_null() && *completions != is["parallelism"] {
            let why = "can only be modified in tandem with spec.parallelism";
            causes.push(invalid("spec.completions", completions, why));
        }
    }
    if is_template_fixed(before, was, &is["template"]) {
        causes.push(invalid("spec.template", &is["template"], "field is immutable"));
    }
    causes
}

/// Whether a template differs from what it was in more than may change. Of a Job that waits and has not begun, it is more.
fn is_template_fixed(before: &Value, was: &Value, template: &Value) -> bool {
    let known = &was["template"];
    if known == template {
        return false;
    }
    let mut conditions = before["status"]["conditions"].as_array().into_iter().flatten();
    let has_stopped = conditions.any(|one| one["type"] == "Suspended" && one["status"] == "True");
    let is_idle = before["status"]["active"].as_i64().unwrap_or(0) == 0;
    let waits = was["suspend"] == true && is_idle && (before["status"]["startTime"].is_null() || has_stopped);
    if !waits {
        return true;
    }
    let fixed = |template: &Value| {
        let mut spec = template["spec"].clone();
        for field in ["nodeSelector", "tolerations", "schedulingGates"] {
            spec.as_object_mut().and_then(|spec| spec.remove(field));
        }
        spec["affinity"]["nodeAffinity"] = Value::Null;
        for list in ["containers", "initContainers"] {
            for container in spec[list].as_array_mut().into_iter().flatten() {
                container.as_object_mut().and_then(|container| container.remove("resources"));
            }
        }
        spec
    };
    fixed(known) != fixed(template)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(causes: &[Cause]) -> Vec<String> {
        causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect()
    }

    #[test]
    fn what_a_waiting_job_asks_of_nodes_may_change_and_nothing_else_of_its_template() {
        let job = |suspend: bool, image: &str, zone: &str| {
            json!({"spec": {"suspend": suspend, "template": {"spec": {
                "containers": [{"name": "a", "image": image}], "nodeSelector": {"zone": zone}}}}})
        };
        let immutable = |before: &Value, after: &Value| {
            told(&changed(before, after)).iter().any(|one| one.ends_with("field is immutable"))
        };
        assert!(!immutable(&job(true, "a", "x"), &job(false, "a", "y")));
        assert!(immutable(&job(false, "a", "x"), &job(false, "a", "y")));
        assert!(immutable(&job(true, "a", "x"), &job(true, "b", "x")));
    }

    #[test]
    fn completions_change_together_with_parallelism_where_pods_have_indexes() {
        let job = |mode: &str, completions: u8, parallelism: u8| json!({"spec": {"completionMode": mode, "completions": completions, "parallelism": parallelism}});
        assert_eq!(
            told(&changed(&job("NonIndexed", 1, 1), &job("NonIndexed", 2, 2))),
            ["spec.completions: Invalid value: 2: field is immutable"]
        );
        assert_eq!(told(&changed(&job("Indexed", 1, 1), &job("Indexed", 2, 2))), [""; 0]);
        assert_eq!(
            told(&changed(&job("Indexed", 1, 1), &job("Indexed", 2, 1))),
            ["spec.completions: Invalid value: 2: can only be modified in tandem with spec.parallelism"]
        );
    }
}

//! What the API server asks of `HorizontalPodAutoscaler`s, as they are stored.
//!
//! Source: k8s.io/kubernetes `pkg/apis/autoscaling/validation`.

use crate::answer::Cause;
use crate::limit_rules::{not_of_containers, wrong_name};
use crate::rules::{forbidden, invalid, required, unsupported};
use serde_json::Value;
use trueup_merge::quantity::Quantity;

/// What an autoscaler may look at.
const METRICS: [&str; 5] = ["ContainerResource", "External", "Object", "Pods", "Resource"];
/// The same as fields, in the order in which the server looks; the first that is there is looked at closely.
const SOURCES: [&str; 5] = ["object", "external", "pods", "resource", "containerResource"];
const LONGEST_PERIOD: i64 = 1800;
const LONGEST_WINDOW: i64 = 3600;

/// Whether the table's rules of a field count for nothing here: they do not know what they depend on.
fn is_said_here(cause: &Cause) -> bool {
    cause.field.starts_with("spec.metrics[") || cause.field == "spec.scaleTargetRef.apiVersion"
}

pub(crate) fn check(before: Option<&Value>, spec: &Value, causes: &mut Vec<Cause>) {
    causes.retain(|cause| !is_said_here(cause));
    let (least, most) = (&spec["minReplicas"], &spec["maxReplicas"]);
    let metrics = spec["metrics"].as_array().map(Vec::as_slice).unwrap_or_default();
    if least.as_i64() == Some(0)
        && !metrics.iter().any(|metric| metric["type"] == "Object" || metric["type"] == "External")
    {
        let why = "must specify at least one Object or External metric to support scaling to zero replicas";
        causes.push(forbidden("spec.metrics", why));
    }
    if let (Some(few), Some(many)) = (least.as_i64(), most.as_i64())
        && many < few
        && !causes
            .iter()
            .any(|cause| cause.field == "spec.maxReplicas" && cause.message.contains("minReplicas"))
    {
        causes.push(invalid("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`"));
    }
    let target = &spec["scaleTargetRef"];
    let is_old = before.is_some_and(|before| {
        ["apiVersion", "kind"].iter().all(|field| before["scaleTargetRef"][*field] == target[*field])
    });
    if !is_old {
        let may_be_core = target["kind"] == "ReplicationController";
        version(&target["apiVersion"], may_be_core, "spec.scaleTargetRef.apiVersion", causes);
    }
    for (index, one) in metrics.iter().enumerate() {
        metric(one, &format!("spec.metrics[{index}]"), causes);
    }
    for direction in ["scaleUp", "scaleDown"] {
        let rules = &spec["behavior"][direction];
        if rules.is_object() {
            scaling(rules, &format!("spec.behavior.{direction}"), causes);
        }
    }
}

fn version(version: &Value, may_be_core: bool, at: &str, causes: &mut Vec<Cause>) {
    let text = version.as_str().unwrap_or_default();
    let why = match text.matches('/').count() {
        0 if may_be_core => return,
        0 => "apiVersion must specify API group".to_owned(),
        1 => return,
        _ => format!("unexpected GroupVersion string: {text}"),
    };
    causes.push(invalid(at, &text.into(), &why));
}

/// What is wrong in a name that is part of a path.
fn segment(name: &Value, absent: &str, at: &str, causes: &mut Vec<Cause>) {
    let text = name.as_str().unwrap_or_default();
    if text.is_empty() {
        causes.push(required(at, absent));
    }
    if matches!(text, "." | "..") {
        causes.push(invalid(at, name, &format!("may not be '{text}'")));
    }
    for sign in ["/", "%"].iter().filter(|sign| text.contains(**sign)) {
        causes.push(invalid(at, name, &format!("may not contain '{sign}'")));
    }
}

fn metric(metric: &Value, at: &str, causes: &mut Vec<Cause>) {
    let of = metric["type"].as_str().unwrap_or_default();
    let place = |field: &str| format!("{at}.{field}");
    if of.is_empty() {
        causes.push(required(&place("type"), "must specify a metric source type"));
    }
    if !METRICS.contains(&of) {
        // The server says so where it begins to look, and again where it knows no field for it.
        for _ in 0..2 {
            causes.push(unsupported(&place("type"), &format!("{of:?}"), &METRICS));
        }
    }
    let there: Vec<&str> = SOURCES.into_iter().filter(|source| metric[*source].is_object()).collect();
    if let Some(first) = there.first() {
        source(first, &metric[*first], &place(first), causes);
    }
    let mut letters = of.chars();
    let expected: String =
        letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default();
    if METRICS.contains(&of) && !there.contains(&expected.as_str()) {
        causes.push(required(&place(&expected), "must populate information for the given metric source"));
    }
    if there.len() > 1 {
        for other in there.iter().filter(|source| **source != expected) {
            causes.push(forbidden(&place(other), "must populate the given metric source only"));
        }
    }
}

fn source(name: &str, source: &Value, at: &str, causes: &mut Vec<Cause>) {
    let aim = &source["target"];
    let is_there = |field: &str| !aim[field].is_null();
    let place = |field: &str| format!("{at}.target.{field}");
    match name {
        "object" => {
            let object = &source["describedObject"];
            segment(&object["kind"], "", &format!("{at}.describedObject.kind"), causes);
            segment(&object["name"], "", &format!("{at}.describedObject.name"), causes);
            version(&object["apiVersion"], true, &format!("{at}.describedObject.apiVersion"), causes);
        }
        "containerResource" => {
            let name = source["name"].as_str().filter(|name| !name.is_empty());
            if let Some(name) = name {
                wrong_name(name, &format!("{at}.name"), causes);
            }
            if let Some(why) = name.and_then(not_of_containers) {
                causes.push(invalid(&format!("{at}.name"), &source["name"], why));
            }
            if source["container"].as_str().unwrap_or_default().is_empty() {
                causes.push(required(&format!("{at}.container"), "must specify a container"));
            }
        }
        _ => {}
    }
    if matches!(name, "resource" | "containerResource") {
        if source["name"].as_str().unwrap_or_default().is_empty() {
            causes.push(required(&format!("{at}.name"), "must specify a resource name"));
        }
    } else {
        segment(
            &source["metric"]["name"],
            "must specify a metric name",
            &format!("{at}.metric.name"),
            causes,
        );
    }
    target(aim, &place, causes);
    let (field, why) = match name {
        "object" => ("averageValue", "must set either a target value or averageValue"),
        "external" => ("averageValue", "must set either a target value for metric or a per-pod target"),
        "pods" => ("averageValue", "must specify a positive target averageValue"),
        _ => ("averageUtilization", "must set either a target raw value or a target utilization"),
    };
    let other = match name {
        "object" | "external" => "value",
        "pods" => "averageValue",
        _ => "averageUtilization",
    };
    if !is_there("averageValue") && !is_there(other) {
        causes.push(required(&place(field), why));
    }
    if is_there("averageValue") && is_there(other) {
        match name {
            "external" => {
                let why = "may not set both a target value for metric and a per-pod target";
                causes.push(forbidden(&place("value"), why));
            }
            "resource" | "containerResource" => {
                let why = "may not set both a target raw value and a target utilization";
                causes.push(forbidden(&place("averageValue"), why));
            }
            _ => {}
        }
    }
}

fn target(target: &Value, place: &dyn Fn(&str) -> String, causes: &mut Vec<Cause>) {
    let by = target["type"].as_str().unwrap_or_default();
    if by.is_empty() {
        causes.push(required(&place("type"), "must specify a metric target type"));
    }
    if !matches!(by, "Utilization" | "Value" | "AverageValue") {
        let why = "must be either Utilization, Value, or AverageValue";
        causes.push(invalid(&place("type"), &by.into(), why));
    }
    for field in ["value", "averageValue"] {
        let amount = target[field].as_str().and_then(Quantity::parse);
        if amount.is_some_and(|amount| amount.thousandths() <= 0) {
            causes.push(invalid(&place(field), &target[field], "must be positive"));
        }
    }
    if target["averageUtilization"].as_i64().is_some_and(|percent| percent < 1) {
        let why = "must be greater than 0";
        causes.push(invalid(&place("averageUtilization"), &target["averageUtilization"], why));
    }
}

fn scaling(rules: &Value, at: &str, causes: &mut Vec<Cause>) {
    let place = |field: &str| format!("{at}.{field}");
    let window = &rules["stabilizationWindowSeconds"];
    match window.as_i64() {
        Some(..0) => {
            let why = "must be greater than or equal to zero";
            causes.push(invalid(&place("stabilizationWindowSeconds"), window, why));
        }
        Some(seconds) if seconds > LONGEST_WINDOW => {
            let why = format!("must be less than or equal to {LONGEST_WINDOW}");
            causes.push(invalid(&place("stabilizationWindowSeconds"), window, &why));
        }
        Some(_) | None => {}
    }
    if let Some(chosen) =
        rules["selectPolicy"].as_str().filter(|one| !matches!(*one, "Max" | "Min" | "Disabled"))
    {
        let allowed = ["Disabled", "Max", "Min"];
        causes.push(unsupported(&place("selectPolicy"), &format!("{chosen:?}"), &allowed));
    }
    let policies = rules["policies"].as_array().map(Vec::as_slice).unwrap_or_default();
    if policies.is_empty() {
        causes.push(required(&place("policies"), "must specify at least one Policy"));
    }
    for (index, policy) in policies.iter().enumerate() {
        let place = |field: &str| format!("{at}.policies[{index}].{field}");
        let of = policy["type"].as_str().unwrap_or_default();
        if !matches!(of, "Pods" | "Percent") {
            causes.push(unsupported(&place("type"), &format!("{of:?}"), &["Percent", "Pods"]));
        }
        for field in ["value", "periodSeconds"] {
            if policy[field].as_i64().unwrap_or(0) <= 0 {
                let shown = policy[field].as_i64().unwrap_or(0).into();
                causes.push(invalid(&place(field), &shown, "must be greater than zero"));
            }
        }
        if policy["periodSeconds"].as_i64().is_some_and(|seconds| seconds > LONGEST_PERIOD) {
            let why = format!("must be less than or equal to {LONGEST_PERIOD}");
            causes.push(invalid(&place("periodSeconds"), &policy["periodSeconds"], &why));
        }
    }
    if rules["tolerance"].as_str().and_then(Quantity::parse).is_some_and(|amount| amount.thousandths() < 0) {
        let why = "must be greater than or equal to 0";
        causes.push(invalid(&place("tolerance"), &rules["tolerance"], why));
    }
}

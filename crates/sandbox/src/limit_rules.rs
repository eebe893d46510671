//! What the API server asks of `LimitRange`s and `ResourceQuota`s.
//!
//! Source: k8s.io/kubernetes `pkg/apis/core/validation`, `pkg/apis/core/helper`.

use crate::amounts::{Amounts, read};
use crate::answer::Cause;
use crate::metadata::wrong_key;
use crate::rules::{forbidden, invalid};
use serde_json::Value;
use std::collections::BTreeSet;
use trueup_merge::quantity::Quantity;

/// Resources that quotas count in whole numbers.
const COUNTED: [&str; 9] = [
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
];
const COMPUTED: [&str; 6] =
    ["cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"];
const STORED: [&str; 4] =
    ["ephemeral-storage", "requests.ephemeral-storage", "limits.ephemeral-storage", "requests.storage"];

fn is_pages(name: &str) -> bool {
    name.starts_with("hugepages-") || name.starts_with("requests.hugepages-")
}

fn is_of_quota(name: &str) -> bool {
    COUNTED.contains(&name) || COMPUTED.contains(&name) || STORED.contains(&name) || is_pages(name)
}

/// A name that the server does not know.
pub(crate) fn wrong_name(name: &str, at: &str, causes: &mut Vec<Cause>) {
    let wrong = wrong_key(name);
    if wrong.is_empty() {
        if !name.contains('/') && name != "storage" && !is_of_quota(name) {
            let why = "must be a standard resource type or fully qualified";
            causes.push(invalid(at, &name.into(), why));
        }
        return;
    }
    causes.extend(wrong.iter().map(|why| invalid(at, &name.into(), why)));
}

/// Requests of a container that are more than it may have.
pub(crate) fn check_requests(resources: &Value, at: &str, causes: &mut Vec<Cause>) {
    let limits = read(&resources["limits"]);
    for (name, request) in read(&resources["requests"]) {
        let Some(limit) = limits.get(&name) else { continue };
        let is_shared =
            !name.starts_with("hugepages-") && (!name.contains('/') || name.contains("kubernetes.io/"));
        let words = if is_shared { "must be less than or equal to" } else { "must be equal to" };
        if request > *limit || !is_shared && request != *limit {
            let why = format!("{words} {name} limit of {limit}");
            causes.push(invalid(&format!("{at}.requests"), &request.to_string().into(), &why));
        }
    }
}

/// What is wrong in a `LimitRange`.
pub(crate) fn check_limits(object: &Value, causes: &mut Vec<Cause>) {
    let limits = object["spec"]["limits"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (index, limit) in limits.iter().enumerate() {
        let at = format!("spec.limits[{index}]");
        let of = limit["type"].as_str().unwrap_or_default();
        let is_named = wrong_key(of).is_empty();
        if is_named && !of.contains('/') && !matches!(of, "Pod" | "Container" | "PersistentVolumeClaim") {
            let why = "must be a standard limit type or fully qualified";
            causes.push(invalid(&format!("{at}.type"), &of.into(), why));
        }
        if limits[..index].iter().any(|other| other["type"] == limit["type"]) {
            causes.push(Cause {
                reason: "FieldValueDuplicate",
                message: format!("Duplicate value: {of:?}"),
                field: format!("{at}.type"),
            });
        }
        check_limit(limit, of, &at, causes);
    }
}

/// Why containers do not ask for what has this name.
pub(crate) fn not_of_containers(name: &str) -> Option<&'static str> {
    let is_asked = matches!(name, "cpu" | "memory" | "ephemeral-storage") || name.starts_with("hugepages-");
    (!name.contains('/') && !is_asked).then_some("must be a standard resource for containers")
}

fn check_limit(limit: &Value, of: &str, at: &str, causes: &mut Vec<Cause>) {
    let is_given = |field: &str| limit[field].as_object().is_some_and(|all| !all.is_empty());
    let mut names = BTreeSet::new();
    for field in ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"] {
        if of == "Pod" && field.starts_with("default") {
            if is_given(field) {
                causes.push(forbidden(&format!("{at}.{field}"), "may not be specified when `type` is 'Pod'"));
            }
            continue;
        }
        for name in limit[field].as_object().into_iter().flatten().map(|(name, _)| name.as_str()) {
            let at = format!("{at}.{field}[{name}]");
            wrong_name(name, &at, causes);
            if let Some(why) = not_of_containers(name).filter(|_| matches!(of, "Pod" | "Container")) {
                causes.push(invalid(&at, &name.into(), why));
            }
            names.insert(name);
        }
    }
    let has_size = ["min", "max"].iter().any(|field| !limit[*field]["storage"].is_null());
    if of == "PersistentVolumeClaim" && !has_size {
        let why = "either minimum or maximum storage value is required, but neither was provided";
        causes.push(Cause {
            reason: "FieldValueRequired",
            message: format!("Required value: {why}"),
            field: format!("{at}.limits"),
        });
    }
    let amounts = |field: &str| {
        if of == "Pod" && field.starts_with("default") { Amounts::new() } else { read(&limit[field]) }
    };
    let all = ["min", "max", "default", "defaultRequest", "maxLimitRequestRatio"].map(amounts);
    for name in names {
        check_amounts(name, [0, 1, 2, 3, 4].map(|place: usize| all[place].get(name).copied()), at, causes);
    }
}

/// What does not go together among the amounts of one resource: least, most, default, default request and ratio.
fn check_amounts(name: &str, amounts: [Option<Quantity>; 5], at: &str, causes: &mut Vec<Cause>) {
    let [least, most, default, request, ratio] = amounts;
    let mut above = |below: Option<Quantity>,
                     above: Option<Quantity>,
                     field: &str,
                     shown: Option<Quantity>,
                     words: [&str; 2]| {
        if let (Some(low), Some(high)) = (below, above)
            && low > high
        {
            let why = format!("{} {low} is greater than {} {high}", words[0], words[1]);
            let shown = shown.unwrap_or(low).to_string();
            causes.push(invalid(&format!("{at}.{field}[{name}]"), &shown.into(), &why));
        }
    };
    above(least, most, "min", least, ["min value", "max value"]);
    above(least, request, "defaultRequest", request, ["min value", "default request value"]);
    above(request, most, "defaultRequest", request, ["default request value", "max value"]);
    above(request, default, "defaultRequest", request, ["default request value", "default limit value"]);
    above(least, default, "default", least, ["min value", "default value"]);
    above(default, most, "default", most, ["default value", "max value"]);
    let Some(ratio) = ratio else { return };
    let at = format!("{at}.maxLimitRequestRatio[{name}]");
    let shown = Value::from(ratio.to_string());
    if ratio < Quantity::of(1) {
        causes.push(invalid(&at, &shown, &format!("ratio {ratio} is less than 1")));
    }
    if let (Some(least), Some(most)) = (least, most) {
        #[allow(clippy::cast_precision_loss, reason = "the server compares and prints floats")]
        let [widest, ratio_value] =
            [most.thousandths() as f64 / least.thousandths() as f64, ratio.thousandths() as f64 / 1000.0];
        if ratio_value > widest {
            causes.push(invalid(
                &at,
                &shown,
                &format!("ratio {ratio} is greater than max/min = {widest:.6}"),
            ));
        }
    }
}

/// What is wrong in a `ResourceQuota`.
pub(crate) fn check_quota(
    before: Option<&Value>,
    object: &Value,
    is_status: Status,
    causes: &mut Vec<Cause>,
) {
    match is_status {
        Status::Written => {
            for field in ["hard", "used"] {
                check_hard(&object["status"][field], &format!("status.{field}"), causes);
            }
        }
        Status::Left => {
            check_hard(&object["spec"]["hard"], "spec.hard", causes);
            check_scopes(object, causes);
            let scopes = |object: &Value| -> BTreeSet<String> {
                let all = object["spec"]["scopes"].as_array().into_iter().flatten();
                all.map(ToString::to_string).collect()
            };
            if before.is_some_and(|before| scopes(before) != scopes(object)) {
                let shown = object["spec"].get("scopes").cloned().unwrap_or_default();
                causes.push(invalid("spec.scopes", &shown, "field is immutable"));
            }
        }
    }
}

/// Whether a write goes to the status of a quota.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Written,
    Left,
}

fn check_hard(list: &Value, at: &str, causes: &mut Vec<Cause>) {
    for (name, amount) in read(list) {
        let at = format!("{at}[{name}]");
        wrong_name(&name, &at, causes);
        if !name.contains('/') && !is_of_quota(&name) {
            causes.push(invalid(&at, &name.as_str().into(), "must be a standard resource for quota"));
        }
        let shown = Value::from(amount.to_string());
        if amount < Quantity::ZERO {
            causes.push(invalid(&at, &shown, "must be greater than or equal to 0"));
        }
        let is_extended =
            name.contains('/') && !name.contains("kubernetes.io/") && !name.starts_with("requests.");
        let is_qualified = wrong_key(&format!("requests.{name}")).is_empty();
        if (COUNTED.contains(&name.as_str()) || is_extended && is_qualified)
            && amount.thousandths() % 1000 != 0
        {
            causes.push(invalid(&at, &shown, "must be an integer"));
        }
    }
}

fn check_scopes(object: &Value, causes: &mut Vec<Cause>) {
    let spec = &object["spec"];
    let names: Vec<String> = read(&spec["hard"]).into_keys().filter(|name| is_of_quota(name)).collect();
    let scopes: Vec<&str> =
        spec["scopes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let shown = spec.get("scopes").cloned().unwrap_or_default();
    for scope in &scopes {
        if !is_scope(scope) {
            causes.push(invalid("spec.scopes", &shown, "unsupported scope"));
        }
        for _ in names.iter().filter(|name| !is_for(scope, name)) {
            causes.push(invalid("spec.scopes", &shown, "unsupported scope applied to resource"));
        }
    }
    conflicting(&scopes, "spec.scopes", &shown, causes);
    let at = "spec.scopeSelector.matchExpressions";
    let chosen = spec["scopeSelector"]["matchExpressions"].as_array().map(Vec::as_slice).unwrap_or_default();
    for one in chosen {
        check_expression(one, at, causes);
        let scope = one["scopeName"].as_str().unwrap_or_default();
        for _ in names.iter().filter(|name| !is_for(scope, name)) {
            let shown = selector(&spec["scopeSelector"]);
            causes.push(Cause {
                reason: "FieldValueInvalid",
                message: format!("Invalid value: {shown}: unsupported scope applied to resource"),
                field: at.to_owned(),
            });
        }
    }
    let scopes: Vec<&str> = chosen.iter().filter_map(|one| one["scopeName"].as_str()).collect();
    conflicting(&scopes, at, &shown, causes);
}

fn check_expression(one: &Value, at: &str, causes: &mut Vec<Cause>) {
    let (scope, operator) =
        (one["scopeName"].as_str().unwrap_or_default(), one["operator"].as_str().unwrap_or_default());
    if !is_scope(scope) {
        causes.push(invalid(&format!("{at}.scopeName"), &scope.into(), "unsupported scope"));
    }
    let is_plain = is_scope(scope) && !matches!(scope, "PriorityClass" | "VolumeAttributesClass");
    if is_plain && operator != "Exists" {
        let why = "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity";
        causes.push(invalid(&format!("{at}.operator"), &operator.into(), why));
    }
    let has_values = one["values"].as_array().is_some_and(|all| !all.is_empty());
    match operator {
        "In" | "NotIn" if !has_values => {
            let why = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector";
            let message = format!("Required value: {why}");
            causes.push(Cause { reason: "FieldValueRequired", message, field: format!("{at}.values") });
        }
        "Exists" | "DoesNotExist" if has_values => {
            let why = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector";
            causes.push(invalid(&format!("{at}.values"), &one["values"], why));
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        other => {
            causes.push(invalid(&format!("{at}.operator"), &other.into(), "not a valid selector operator"));
        }
    }
}

/// A selector in the form, and in the order, of the server's own types.
fn selector(selector: &Value) -> String {
    let one = |one: &Value| {
        let [scope, operator, values] = ["scopeName", "operator", "values"].map(|field| &one[field]);
        format!("{{\"ScopeName\":{scope},\"Operator\":{operator},\"Values\":{values}}}")
    };
    let all = selector["matchExpressions"].as_array().into_iter().flatten();
    format!("{{\"MatchExpressions\":[{}]}}", all.map(one).collect::<Vec<_>>().join(","))
}

fn is_scope(scope: &str) -> bool {
    matches!(
        scope,
        "Terminating"
            | "NotTerminating"
            | "BestEffort"
            | "NotBestEffort"
            | "PriorityClass"
            | "VolumeAttributesClass"
            | "CrossNamespacePodAffinity"
    )
}

/// Whether a scope goes with a resource.
fn is_for(scope: &str, name: &str) -> bool {
    match scope {
        "BestEffort" => name == "pods",
        "VolumeAttributesClass" => matches!(name, "persistentvolumeclaims" | "requests.storage"),
        known if is_scope(known) => name == "pods" || COMPUTED.contains(&name),
        _ => true,
    }
}

fn conflicting(scopes: &[&str], at: &str, shown: &Value, causes: &mut Vec<Cause>) {
    for pair in [["BestEffort", "NotBestEffort"], ["NotTerminating", "Terminating"]] {
        if pair.iter().all(|scope| scopes.contains(scope)) {
            causes.push(invalid(at, shown, "conflicting scopes"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(causes: &[Cause]) -> Vec<String> {
        causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect()
    }

    #[track_caller]
    fn limits(limit: &Value, expected: &[&str]) {
        let mut causes = Vec::new();
        check_limits(&json!({"spec": {"limits": [limit]}}), &mut causes);
        assert_eq!(told(&causes), expected);
    }

    #[test]
    fn a_container_asks_for_no_more_than_it_may_have() {
        let mut causes = Vec::new();
        let resources = json!({"requests": {"cpu": "2", "memory": "1Gi", "example.com/gpu": "1"},
            "limits": {"cpu": "1500m", "memory": "1024Mi", "example.com/gpu": "2"}});
        check_requests(&resources, "resources", &mut causes);
        assert_eq!(
            told(&causes),
            [
                "resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1500m",
                "resources.requests: Invalid value: \"1\": must be equal to example.com/gpu limit of 2",
            ]
        );
    }

    #[test]
    fn the_amounts_of_a_limit_go_together() {
        limits(
            &json!({"type": "Container", "min": {"cpu": "1"}, "max": {"cpu": "2"}, "default": {"cpu": "2"}}),
            &[],
        );
        limits(
            &json!({"type": "Container", "min": {"cpu": "2"}, "max": {"cpu": "1"}}),
            &["spec.limits[0].min[cpu]: Invalid value: \"2\": min value 2 is greater than max value 1"],
        );
        limits(
            &json!({"type": "Pod", "default": {"cpu": "1"}, "maxLimitRequestRatio": {"cpu": "500m"}}),
            &[
                "spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'",
                "spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: \"500m\": ratio 500m is less than 1",
            ],
        );
        limits(
            &json!({"type": "PersistentVolumeClaim"}),
            &[
                "spec.limits[0].limits: Required value: either minimum or maximum storage value is required, but neither was provided",
            ],
        );
    }

    #[test]
    fn a_quota_limits_what_can_be_counted_and_its_scopes_go_with_that() {
        let quota = |spec: &Value| {
            let mut causes = Vec::new();
            check_quota(None, &json!({"spec": spec}), Status::Left, &mut causes);
            told(&causes)
        };
        assert_eq!(quota(&json!({"hard": {"pods": "1", "count/widgets.example.com": "2"}})), [""; 0]);
        assert_eq!(
            quota(&json!({"hard": {"pods": "1500m"}})),
            ["spec.hard[pods]: Invalid value: \"1500m\": must be an integer"]
        );
        assert_eq!(
            quota(&json!({"hard": {"secrets": "1"}, "scopes": ["BestEffort"]})),
            ["spec.scopes: Invalid value: [\"BestEffort\"]: unsupported scope applied to resource"]
        );
        assert_eq!(
            quota(&json!({"hard": {"apples": "1"}})),
            [
                "spec.hard[apples]: Invalid value: \"apples\": must be a standard resource type or fully qualified",
                "spec.hard[apples]: Invalid value: \"apples\": must be a standard resource for quota",
            ]
        );
    }
}

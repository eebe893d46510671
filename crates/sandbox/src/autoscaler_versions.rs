//! The two versions of `HorizontalPodAutoscaler`s: they are stored in `autoscaling/v2`, and what `autoscaling/v1` has no field for is
//! carried there in annotations.
//!
//! Source: k8s.io/kubernetes `pkg/apis/autoscaling/v1/conversion.go`.

use crate::fields;
use crate::kinds::{Kind, Kinds};
use serde_json::{Map, Value, json};
use std::sync::{Arc, LazyLock};

const FIRST: &str = "autoscaling/v1";
const SECOND: &str = "autoscaling/v2";

const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const CURRENT_METRICS: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";
const CARRIED: [&str; 6] = [
    METRICS,
    CURRENT_METRICS,
    CONDITIONS,
    BEHAVIOR,
    "autoscaling.alpha.kubernetes.io/scale-down-tolerance",
    "autoscaling.alpha.kubernetes.io/scale-up-tolerance",
];

/// The version that autoscalers are stored in.
static STORED: LazyLock<Option<Arc<Kind>>> =
    LazyLock::new(|| Kinds::built_in().resource("autoscaling", "v2", "horizontalpodautoscalers"));

/// The stored version of a kind, where that is another one with other fields.
pub(crate) fn stored(kind: &Kind) -> Option<&'static Arc<Kind>> {
    STORED.as_ref().filter(|stored| kind.is_a_version_of(stored) && kind.version != stored.version)
}

/// All versions in which an object of a kind has other fields.
pub(crate) fn all(kind: &Kind) -> Vec<String> {
    if STORED.as_ref().is_some_and(|stored| kind.is_a_version_of(stored)) {
        return [FIRST, SECOND].map(str::to_owned).to_vec();
    }
    vec![kind.api_version()]
}

/// Gives an object this version of its kind; most differ in nothing but their name.
pub(crate) fn convert(object: &mut Value, kind: &Kind) {
    let is_autoscaler = STORED.as_ref().is_some_and(|stored| kind.is_a_version_of(stored));
    let change = match (object["apiVersion"].as_str(), kind.version.as_str()) {
        (Some(SECOND), "v1") if is_autoscaler => Some(lower as fn(&mut Value)),
        (Some(FIRST), "v2") if is_autoscaler => Some(raise as fn(&mut Value)),
        (_, _) => None,
    };
    object["apiVersion"] = kind.api_version().into();
    if let Some(change) = change {
        change(object);
        fields::complete(kind, object);
    }
}

/// An object as the server has it once it has read it, by way of the stored version.
pub(crate) fn read(kind: &Kind, object: &mut Value) {
    if !STORED.as_ref().is_some_and(|stored| kind.is_a_version_of(stored)) {
        return;
    }
    match stored(kind) {
        Some(stored) => {
            convert(object, stored);
            convert(object, kind);
        }
        None => drop_carried(object),
    }
}

/// From the stored version to the first.
fn lower(object: &mut Value) {
    drop_carried(object);
    let metrics = taken(&mut object["spec"], "metrics");
    let behavior = taken(&mut object["spec"], "behavior");
    let current = taken(&mut object["status"], "currentMetrics");
    let conditions = taken(&mut object["status"], "conditions");
    let is_of_processors =
        |metric: &&Value| metric["type"] == "Resource" && metric["resource"]["name"] == "cpu";
    let utilization = "/resource/target/averageUtilization";
    let is_plain = |metric: &&Value| is_of_processors(metric) && metric.pointer(utilization).is_some();
    let all = items(&metrics);
    if let Some(percent) = all.iter().find(is_plain).and_then(|metric| metric.pointer(utilization)) {
        object["spec"]["targetCPUUtilizationPercentage"] = percent.clone();
    }
    let percents = items(&current).iter().filter(is_of_processors);
    let mut percents = percents.filter_map(|metric| metric.pointer("/resource/current/averageUtilization"));
    if let Some(percent) = percents.next_back() {
        object["status"]["currentCPUUtilizationPercentage"] = percent.clone();
    }
    let others: Vec<Value> =
        all.iter().filter(|metric| !is_plain(metric)).map(|metric| lowered(metric, Role::Target)).collect();
    let current: Vec<Value> = items(&current).iter().map(|metric| lowered(metric, Role::Current)).collect();
    carry(object, METRICS, &others.into());
    carry(object, CURRENT_METRICS, &current.into());
    carry(object, BEHAVIOR, &capitalized(&behavior));
    carry(object, CONDITIONS, &conditions);
}

/// From the first version to the stored one.
fn raise(object: &mut Value) {
    let annotations = object["metadata"]["annotations"].clone();
    let carried = |name: &str| -> Option<Value> { serde_json::from_str(annotations[name].as_str()?).ok() };
    let percent = taken(&mut object["spec"], "targetCPUUtilizationPercentage");
    let current_percent = taken(&mut object["status"], "currentCPUUtilizationPercentage");
    let mut metrics: Vec<Value> = Vec::new();
    if let Some(others) = carried(METRICS) {
        metrics.extend(items(&others).iter().map(|metric| raised(metric, Role::Target)));
    }
    if !percent.is_null() {
        metrics.push(of_processors("target", &json!({"type": "Utilization", "averageUtilization": percent})));
    }
    if metrics.is_empty() {
        metrics.push(of_processors("target", &json!({"type": "Utilization", "averageUtilization": 80})));
    }
    object["spec"]["metrics"] = metrics.into();
    if let Some(behavior) = carried(BEHAVIOR).filter(|behavior| *behavior != json!({})) {
        object["spec"]["behavior"] = uncapitalized(&behavior);
    }
    if !current_percent.is_null() {
        let current = json!({"averageUtilization": current_percent});
        object["status"]["currentMetrics"] = json!([of_processors("current", &current)]);
    }
    if let Some(current) = carried(CURRENT_METRICS) {
        let current: Vec<Value> =
            items(&current).iter().map(|metric| raised(metric, Role::Current)).collect();
        object["status"]["currentMetrics"] = current.into();
    }
    if let Some(conditions) = carried(CONDITIONS) {
        object["status"]["conditions"] = conditions;
    }
    drop_carried(object);
}

fn of_processors(role: &str, value: &Value) -> Value {
    json!({"type": "Resource", "resource": {"name": "cpu", role: value}})
}

fn taken(object: &mut Value, field: &str) -> Value {
    object.as_object_mut().and_then(|fields| fields.remove(field)).unwrap_or_default()
}

fn items(list: &Value) -> &[Value] {
    list.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn drop_carried(object: &mut Value) {
    let Some(metadata) = object["metadata"].as_object_mut() else { return };
    let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) else { return };
    annotations.retain(|name, _| !CARRIED.contains(&name.as_str()));
    if annotations.is_empty() {
        metadata.remove("annotations");
    }
}

fn carry(object: &mut Value, name: &str, value: &Value) {
    let is_nothing = match value {
        Value::Array(items) => items.is_empty(),
        other => other.is_null(),
    };
    if !is_nothing {
        object["metadata"]["annotations"][name] = printed(value).into();
    }
}

#[derive(Clone, Copy)]
enum Role {
    Target,
    Current,
}

/// What becomes of a field that is not there.
#[derive(Clone, Copy)]
enum Absent {
    Dropped,
    Text,
    Amount,
}

/// A field of a metric: its name in the first version, where it is in the stored one, and what it is where it is not there.
type Field = (&'static str, &'static str, Absent);

/// The fields of a metric of one type, in the first version.
fn metric_fields(source: &str, role: Role) -> &'static [Field] {
    use Absent::{Amount, Dropped, Text};
    match (source, role) {
        ("object", Role::Target) => &[
            ("target", "/describedObject", Dropped),
            ("metricName", "/metric/name", Text),
            ("targetValue", "/target/value", Amount),
            ("selector", "/metric/selector", Dropped),
            ("averageValue", "/target/averageValue", Dropped),
        ],
        ("object", Role::Current) => &[
            ("target", "/describedObject", Dropped),
            ("metricName", "/metric/name", Text),
            ("currentValue", "/current/value", Amount),
            ("selector", "/metric/selector", Dropped),
            ("averageValue", "/current/averageValue", Dropped),
        ],
        ("pods", Role::Target) => &[
            ("metricName", "/metric/name", Text),
            ("targetAverageValue", "/target/averageValue", Amount),
            ("selector", "/metric/selector", Dropped),
        ],
        ("pods", Role::Current) => &[
            ("metricName", "/metric/name", Text),
            ("currentAverageValue", "/current/averageValue", Amount),
            ("selector", "/metric/selector", Dropped),
        ],
        ("resource", Role::Target) => &[
            ("name", "/name", Text),
            ("targetAverageUtilization", "/target/averageUtilization", Dropped),
            ("targetAverageValue", "/target/averageValue", Dropped),
        ],
        ("resource", Role::Current) => &[
            ("name", "/name", Text),
            ("currentAverageUtilization", "/current/averageUtilization", Dropped),
            ("currentAverageValue", "/current/averageValue", Amount),
        ],
        ("containerResource", Role::Target) => &[
            ("name", "/name", Text),
            ("targetAverageUtilization", "/target/averageUtilization", Dropped),
            ("targetAverageValue", "/target/averageValue", Dropped),
            ("container", "/container", Text),
        ],
        ("containerResource", Role::Current) => &[
            ("name", "/name", Text),
            ("currentAverageUtilization", "/current/averageUtilization", Dropped),
            ("currentAverageValue", "/current/averageValue", Amount),
            ("container", "/container", Text),
        ],
        ("external", Role::Target) => &[
            ("metricName", "/metric/name", Text),
            ("metricSelector", "/metric/selector", Dropped),
            ("targetValue", "/target/value", Dropped),
            ("targetAverageValue", "/target/averageValue", Dropped),
        ],
        ("external", Role::Current) => &[
            ("metricName", "/metric/name", Text),
            ("metricSelector", "/metric/selector", Dropped),
            ("currentValue", "/current/value", Amount),
            ("currentAverageValue", "/current/averageValue", Dropped),
        ],
        (_, _) => &[],
    }
}

const SOURCES: [&str; 5] = ["object", "pods", "resource", "containerResource", "external"];

/// A metric as the first version has it.
fn lowered(metric: &Value, role: Role) -> Value {
    let mut lower = json!({"type": metric["type"].as_str().unwrap_or_default()});
    for source in SOURCES.iter().filter(|source| metric[**source].is_object()) {
        let mut fields = Map::new();
        for (name, path, absent) in metric_fields(source, role) {
            let value = metric[*source].pointer(path).filter(|value| !value.is_null()).cloned();
            let value = value.or_else(|| match absent {
                Absent::Dropped => None,
                Absent::Text => Some("".into()),
                Absent::Amount => Some("0".into()),
            });
            if let Some(value) = value {
                fields.insert((*name).to_owned(), value);
            }
        }
        lower[*source] = fields.into();
    }
    lower
}

/// A metric of the first version as the stored one has it.
fn raised(metric: &Value, role: Role) -> Value {
    let mut higher = json!({"type": metric["type"].as_str().unwrap_or_default()});
    for source in SOURCES.iter().filter(|source| metric[**source].is_object()) {
        let mut fields = json!({});
        for (name, path, absent) in metric_fields(source, role) {
            let known = metric[*source].get(*name).filter(|value| !value.is_null()).cloned();
            let value = known.or_else(|| matches!(absent, Absent::Amount).then(|| "0".into()));
            let Some(value) = value else { continue };
            let mut place = &mut fields;
            for part in path.split('/').skip(1) {
                place = &mut place[part];
            }
            *place = value;
        }
        if matches!(role, Role::Target) {
            aim(source, &mut fields["target"]);
        }
        higher[*source] = fields;
    }
    higher
}

/// What a target is measured by, which the first version leaves to the fields that are there.
fn aim(source: &str, target: &mut Value) {
    let is_there = |field: &str| !target[field].is_null();
    let by = match source {
        "resource" | "containerResource" if is_there("averageUtilization") => "Utilization",
        "object" if !is_there("averageValue") => "Value",
        "external" if is_there("value") => "Value",
        _ => "AverageValue",
    };
    // The first version cannot leave this out.
    if source == "object" && by == "AverageValue" && target["value"] == "0" {
        taken(target, "value");
    }
    target["type"] = by.into();
}

/// Behaviour as it is carried: in the names of the server's own types, each of which is always there.
fn capitalized(behavior: &Value) -> Value {
    if behavior.is_null() {
        return Value::Null;
    }
    let policy = |policy: &Value| json!({"Type": policy["type"], "Value": policy["value"], "PeriodSeconds": policy["periodSeconds"]});
    let rules = |rules: &Value| {
        if rules.is_null() {
            return Value::Null;
        }
        let policies = rules["policies"].as_array().map(|all| all.iter().map(policy).collect::<Vec<_>>());
        json!({"StabilizationWindowSeconds": rules["stabilizationWindowSeconds"], "SelectPolicy": rules["selectPolicy"],
            "Policies": policies, "Tolerance": rules["tolerance"]})
    };
    json!({"ScaleUp": rules(&behavior["scaleUp"]), "ScaleDown": rules(&behavior["scaleDown"])})
}

/// The reverse; Go does not look at the case of names.
fn uncapitalized(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let lower = |name: &str| {
                let mut letters = name.chars();
                letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
            };
            let known = fields.iter().filter(|(_, value)| !value.is_null());
            Value::Object(known.map(|(name, value)| (lower(name), uncapitalized(value))).collect())
        }
        Value::Array(items) => items.iter().map(uncapitalized).collect(),
        other => other.clone(),
    }
}

/// The order of fields in the server's types.
const ORDER: [&str; 35] = [
    "type",
    "object",
    "pods",
    "resource",
    "containerResource",
    "external",
    "status",
    "lastTransitionTime",
    "reason",
    "message",
    "kind",
    "name",
    "apiVersion",
    "target",
    "metricName",
    "metricSelector",
    "targetValue",
    "currentValue",
    "targetAverageUtilization",
    "currentAverageUtilization",
    "targetAverageValue",
    "currentAverageValue",
    "container",
    "selector",
    "averageValue",
    "matchLabels",
    "matchExpressions",
    "ScaleUp",
    "ScaleDown",
    "StabilizationWindowSeconds",
    "SelectPolicy",
    "Policies",
    "Type",
    "Value",
    "PeriodSeconds",
];

/// JSON as Go prints it.
fn printed(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<(&String, &Value)> = fields.iter().collect();
            fields
                .sort_by_key(|(name, _)| ORDER.iter().position(|known| known == name).unwrap_or(ORDER.len()));
            let shown = fields.into_iter().map(|(name, value)| {
                let value = if name == "matchLabels" { escaped(value) } else { printed(value) };
                format!("{}:{value}", escaped(&name.as_str().into()))
            });
            format!("{{{}}}", shown.collect::<Vec<_>>().join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(printed).collect::<Vec<_>>().join(",")),
        other => escaped(other),
    }
}

/// The same, with the signs that Go escapes for the sake of HTML.
fn escaped(value: &Value) -> String {
    value.to_string().replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e")
}

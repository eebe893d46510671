//! What the API server asks of workloads: selectors that find their pods, and ways to replace these.
//!
//! Absent: Jobs, which have rules of their own.
//!
//! Source: k8s.io/kubernetes `pkg/apis/apps/validation`, `pkg/apis/core/validation`.

use crate::answer::Cause;
use crate::kinds::Kind;
use crate::rules::{forbidden, invalid, required, unsupported};
use crate::volume_rules::claim;
use serde_json::{Map, Value};

/// What does not go together in a workload.
pub(crate) fn check(kind: &Kind, object: &Value, causes: &mut Vec<Cause>) {
    match kind.kind.as_str() {
        "ReplicaSet" => workload(object, causes),
        "DaemonSet" => {
            workload(object, causes);
            let strategy = &object["spec"]["updateStrategy"];
            known_type("spec.updateStrategy", strategy, &["RollingUpdate", "OnDelete"], causes);
            rolling_update(&strategy["rollingUpdate"], causes);
        }
        "Deployment" => {
            workload(object, causes);
            strategy(&object["spec"]["strategy"], causes);
            deadline(&object["spec"], causes);
        }
        "StatefulSet" => {
            workload(object, causes);
            let labels = object.pointer("/spec/template/metadata/labels").unwrap_or(&Value::Null);
            crate::metadata::check_labels(labels, "spec.template.labels", causes);
            update_strategy(&object["spec"]["updateStrategy"], causes);
            for (index, claim) in
                object["spec"]["volumeClaimTemplates"].as_array().into_iter().flatten().enumerate()
            {
                self::claim(&claim["spec"], &format!("spec.volumeClaimTemplates[{index}].spec"), causes);
            }
            claimed_volumes(&object["spec"]["volumeClaimTemplates"], causes);
        }
        _ => {}
    }
}

fn workload(object: &Value, causes: &mut Vec<Cause>) {
    let empty = Map::new();
    let labels =
        object.pointer("/spec/template/metadata/labels").and_then(Value::as_object).unwrap_or(&empty);
    let selector = &object["spec"]["selector"];
    let wanted = selector["matchLabels"].as_object().unwrap_or(&empty);
    // Of no selector at all these make one that selects nothing.
    let is_nothing = selector.is_null();
    let is_empty =
        !is_nothing && wanted.is_empty() && selector["matchExpressions"].as_array().is_none_or(Vec::is_empty);
    if !is_readable(selector) && object["kind"] != "DaemonSet" {
        let words = if object["kind"] == "StatefulSet" { "" } else { ": invalid label selector" };
        // What the template has is not looked at then.
        causes.retain(|cause| !cause.field.starts_with("spec.template."));
        let message = format!("Invalid value: {selector}{words}");
        causes.push(Cause { reason: "FieldValueInvalid", message, field: "spec.selector".to_owned() });
        return;
    }
    let is_found =
        is_readable(selector) && !crate::select::matches_selector(selector, &Value::Object(labels.clone()));
    if is_nothing || !is_empty && is_found {
        let shown = if labels.is_empty() { Value::Null } else { Value::Object(labels.clone()) };
        causes.push(invalid(
            "spec.template.metadata.labels",
            &shown,
            "`selector` does not match template `labels`",
        ));
    }
    let policy =
        object.pointer("/spec/template/spec/restartPolicy").and_then(Value::as_str).unwrap_or_default();
    if matches!(policy, "OnFailure" | "Never") {
        causes.push(Cause {
            reason: "FieldValueNotSupported",
            message: format!("Unsupported value: {policy:?}: supported values: \"Always\""),
            field: "spec.template.spec.restartPolicy".to_owned(),
        });
    }
}

/// Of each template of a claim a volume is made, which stands before the template's own.
fn claimed_volumes(templates: &Value, causes: &mut Vec<Cause>) {
    for (index, template) in templates.as_array().into_iter().flatten().enumerate() {
        let at = format!("spec.template.spec.volumes[{index}]");
        let name = &template["metadata"]["name"];
        if name.as_str().unwrap_or_default().is_empty() {
            causes.push(required(&format!("{at}.name"), ""));
            causes.push(required(&format!("{at}.persistentVolumeClaim.claimName"), ""));
            continue;
        }
        for why in crate::metadata::wrong_dns_label(name.as_str().unwrap_or_default()) {
            causes.push(invalid(&format!("{at}.name"), name, &why));
        }
    }
}

/// Whether a selector is one that labels can be looked at with.
pub(crate) fn is_readable(selector: &Value) -> bool {
    let is_key = |key: &str| crate::metadata::wrong_key(key).is_empty();
    let is_value =
        |value: &Value| crate::metadata::wrong_label_value(value.as_str().unwrap_or_default()).is_empty();
    let mut wanted = selector["matchLabels"].as_object().into_iter().flatten();
    let mut expressions = selector["matchExpressions"].as_array().into_iter().flatten();
    wanted.all(|(key, value)| is_key(key) && is_value(value))
        && expressions.all(|one| {
            let values = one["values"].as_array().map(Vec::as_slice).unwrap_or_default();
            let fits = match one["operator"].as_str().unwrap_or_default() {
                "In" | "NotIn" => !values.is_empty(),
                "Exists" | "DoesNotExist" => values.is_empty(),
                _ => false,
            };
            fits && is_key(one["key"].as_str().unwrap_or_default()) && values.iter().all(is_value)
        })
}

/// A rollout takes longer than a pod has to be ready.
fn deadline(spec: &Value, causes: &mut Vec<Cause>) {
    let deadline = &spec["progressDeadlineSeconds"];
    let at = "spec.progressDeadlineSeconds";
    let is_short =
        deadline.as_i64().is_some_and(|deadline| deadline <= spec["minReadySeconds"].as_i64().unwrap_or(0));
    // The table has it of the values that it was asked with.
    let is_told =
        |cause: &Cause| cause.field == at && cause.message.ends_with("greater than minReadySeconds");
    if is_short && !causes.iter().any(is_told) {
        causes.push(invalid(at, deadline, "must be greater than minReadySeconds"));
    }
}

fn strategy(strategy: &Value, causes: &mut Vec<Cause>) {
    match strategy["type"].as_str().unwrap_or_default() {
        "Recreate" if strategy["rollingUpdate"].is_object() => causes.push(forbidden(
            "spec.strategy.rollingUpdate",
            "may not be specified when strategy `type` is 'Recreate'",
        )),
        _ => known_type("spec.strategy", strategy, &["Recreate", "RollingUpdate"], causes),
    }
}

/// A refusal shows the whole strategy, as the server has it.
fn known_type(at: &str, strategy: &Value, known: &[&str], causes: &mut Vec<Cause>) {
    let name = strategy["type"].as_str().unwrap_or_default();
    if name.is_empty() || known.contains(&name) {
        return;
    }
    let number = |field: &str| strategy["rollingUpdate"].get(field).cloned().unwrap_or_else(|| 0.into());
    let rolling = if strategy["rollingUpdate"].is_object() {
        format!("{{\"MaxUnavailable\":{},\"MaxSurge\":{}}}", number("maxUnavailable"), number("maxSurge"))
    } else {
        "null".to_owned()
    };
    causes.push(unsupported(at, &format!("{{\"Type\":{name:?},\"RollingUpdate\":{rolling}}}"), known));
}

/// A `DaemonSet` takes pods away first or adds them first.
fn rolling_update(rolling: &Value, causes: &mut Vec<Cause>) {
    if !rolling.is_object() {
        return;
    }
    let at = "spec.updateStrategy.rollingUpdate";
    let unavailable = format!("{at}.maxUnavailable");
    // The table has these for the values that it was asked with.
    causes.retain(|cause| {
        let is_none = cause.field == unavailable && cause.message.ends_with("cannot be 0 when maxSurge is 0");
        !is_none && !cause.message.ends_with("may not be set when maxUnavailable is non-zero")
    });
    let is_some = |value: &Value| match value {
        Value::String(text) => text.strip_suffix('%').is_some_and(|number| number.parse() != Ok(0)),
        other => other.as_i64().is_some_and(|number| number != 0),
    };
    match (is_some(&rolling["maxUnavailable"]), is_some(&rolling["maxSurge"])) {
        (true, true) => {
            let why = "may not be set when maxUnavailable is non-zero";
            causes.push(invalid(&format!("{at}.maxSurge"), &rolling["maxSurge"], why));
        }
        (false, false) => causes.push(required(&unavailable, "cannot be 0 when maxSurge is 0")),
        (_, _) => {}
    }
}

fn update_strategy(strategy: &Value, causes: &mut Vec<Cause>) {
    let rolling = &strategy["rollingUpdate"];
    let or_null = |name: &str| rolling.get(name).cloned().unwrap_or_default();
    let partition = rolling.get("partition").cloned().unwrap_or_else(|| 0.into());
    let shown = if rolling.is_object() {
        format!("{{\"Partition\":{partition},\"MaxUnavailable\":{}}}", or_null("maxUnavailable"))
    } else {
        "null".to_owned()
    };
    match strategy["type"].as_str().unwrap_or_default() {
        "RollingUpdate" | "" => {}
        "OnDelete" => {
            if rolling.is_object() {
                let why = "only allowed for updateStrategy 'RollingUpdate'";
                causes.push(Cause {
                    reason: "FieldValueInvalid",
                    message: format!("Invalid value: {shown}: {why}"),
                    field: "spec.updateStrategy.rollingUpdate".to_owned(),
                });
            }
        }
        other => causes.push(Cause {
            reason: "FieldValueInvalid",
            message: format!(
                "Invalid value: {{\"Type\":{other:?},\"RollingUpdate\":{shown}}}: must be 'RollingUpdate' or 'OnDelete'"
            ),
            field: "spec.updateStrategy".to_owned(),
        }),
    }
}

pub(crate) fn replication_controller(object: &Value, causes: &mut Vec<Cause>) {
    let empty = Map::new();
    let labels = object.pointer("/spec/template/metadata/labels").and_then(Value::as_object);
    let wanted = object["spec"]["selector"].as_object().unwrap_or(&empty);
    let found = labels.unwrap_or(&empty);
    if wanted.is_empty() {
        causes.push(required("spec.selector", ""));
        // The table has something else for the one that it was asked with.
        causes.retain(|cause| cause.field != "spec.template.metadata.labels");
    }
    if object["spec"]["template"].is_null() {
        return;
    }
    if wanted.iter().any(|(key, value)| found.get(key) != Some(value)) {
        let shown = labels.map_or(Value::Null, |labels| Value::Object(labels.clone()));
        let why = "`selector` does not match template `labels`";
        causes.push(invalid("spec.template.metadata.labels", &shown, why));
    }
}

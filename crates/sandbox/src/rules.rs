//! What the API server asks of the fields of built-in kinds, and which fields of what is there never change.
//!
//! Enters: an object in the server's form, and what it was before. Leaves: what is wrong, in the server's words.
//!
//! Source: `tables/fields.json`; k8s.io/kubernetes `pkg/apis/*/validation` for what depends on more than one field.

use crate::answer::Cause;
use crate::kinds::Kind;
use crate::shapes::{Field, Part, Place, Shape, shape};
use regex::Regex;
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;

const SELECTOR: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector";

const LABEL_REQUIREMENT: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelectorRequirement";
const NODE_REQUIREMENT: &str = "io.k8s.api.core.v1.NodeSelectorRequirement";

/// What is wrong in an object of a built-in kind.
pub(crate) fn wrong(kind: &Kind, before: Option<&Value>, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    // A change of one is asked for nothing but what may not change.
    if before.is_some() && kind.kind == "PriorityClass" {
        return causes;
    }
    if let Some(shape) = kind.type_ref.named.as_deref().and_then(shape) {
        check(object, shape, Place::Root, &mut causes);
    }
    crate::limits::check_entries(kind, object, &mut causes);
    crate::relations::check(kind, object, &mut causes);
    if kind.group == "autoscaling" {
        crate::autoscaler_rules::check(before.map(|before| &before["spec"]), &object["spec"], &mut causes);
    }
    // They never change, and what was taken once stays.
    if before.is_some() && kind.kind == "StatefulSet" {
        causes.retain(|cause| !cause.field.starts_with("spec.volumeClaimTemplates"));
    }
    let is_kind = |group: &str, name: &str| kind.group == group && kind.kind == name;
    // A volume or a Job that is changed is looked at as a new one first.
    if before.is_some() && (is_kind("", "PersistentVolume") || is_kind("batch", "Job")) {
        causes.extend(causes.clone());
    }
    if is_kind("batch", "Job") {
        crate::job_rules::generated(object, &mut causes);
    }
    if before.is_some() {
        causes.retain(|cause| !is_asked_of_new_ones(kind, object, cause));
    }
    if kind.kind == "CustomResourceDefinition" {
        crate::definition_rules::check(before, object, &mut causes);
    }
    causes
}

/// Whether only a new object is asked for what is wrong.
fn is_asked_of_new_ones(kind: &Kind, object: &Value, cause: &Cause) -> bool {
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("apps", "ControllerRevision") => cause.field == "data",
        ("events.k8s.io", "Event") => {
            let old = ["action", "reason", "reportingController", "reportingInstance"];
            let is_old = object["eventTime"].is_null() && old.contains(&cause.field.as_str());
            is_old || matches!(cause.field.as_str(), "eventTime" | "type")
        }
        (_, _) => false,
    }
}

fn check(value: &Value, shape: &'static Shape, at: Place<'_>, causes: &mut Vec<Cause>) {
    let (Some(known), Value::Object(fields)) = (&shape.fields, value) else { return };
    if shape.name == SELECTOR {
        crate::metadata::check_labels(&value["matchLabels"], &format!("{at}.matchLabels"), causes);
    }
    if matches!(shape.name, LABEL_REQUIREMENT | NODE_REQUIREMENT) {
        requirement(value, shape.name, at, causes);
    }
    for field in known {
        if at.is_root() && matches!(field.name, "metadata" | "status" | "apiVersion" | "kind") {
            continue;
        }
        let place = Place::Field(&at, field.name);
        match fields.get(field.name) {
            None | Some(Value::Null) => {
                let told = field.known.get("absent");
                if told.is_some() && is_asked(shape.name, field.name, fields) {
                    tell(told, None, place, causes);
                }
            }
            Some(value) => {
                if is_judged(shape.name, field.name, fields) {
                    scalar(value, field.known, place, causes);
                }
                below(value, field, place, causes);
            }
        }
    }
}

/// What values go with an operator.
fn requirement(value: &Value, type_name: &str, at: Place<'_>, causes: &mut Vec<Cause>) {
    let values = value["values"].as_array().map_or(0, Vec::len);
    let place = |field: &str| format!("{at}.{field}");
    match value["operator"].as_str().unwrap_or_default() {
        "In" | "NotIn" if values == 0 => {
            let why = "must be specified when `operator` is 'In' or 'NotIn'";
            causes.push(required(&place("values"), why));
        }
        "Exists" | "DoesNotExist" if values > 0 => {
            let why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
            causes.push(forbidden(&place("values"), why));
        }
        "Gt" | "Lt" if type_name == LABEL_REQUIREMENT => {
            causes.push(invalid(&place("operator"), &value["operator"], "not a valid selector operator"));
        }
        "Gt" | "Lt" if values != 1 => {
            let why = "must be specified single value when `operator` is 'Lt' or 'Gt'";
            causes.push(required(&place("values"), why));
        }
        _ => {}
    }
}

fn below(value: &Value, field: &'static Field, at: Place<'_>, causes: &mut Vec<Cause>) {
    let part = &field.part;
    if part.type_name.is_some() {
        if let Some(shape) = part.shape() {
            check(value, shape, at, causes);
        }
        return;
    }
    match value {
        Value::Array(items) => {
            let named = part.items.as_deref().filter(|part| part.type_name.is_some());
            for (index, item) in items.iter().enumerate() {
                // The server says of these files only where their volume is.
                let own = Place::Item(&at, index);
                let at = match at {
                    Place::Field(above, "items") if is_of_files(part) => *above,
                    _ => own,
                };
                match named {
                    Some(part) => {
                        if let Some(shape) = part.shape() {
                            check(item, shape, at, causes);
                        }
                    }
                    None => scalar(item, field.known_items, at, causes),
                }
            }
        }
        Value::Object(entries) => {
            for (key, entry) in entries {
                scalar(entry, field.known_entries, Place::Entry(&at, key), causes);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Whether the items of a list are what a volume tells of its pod.
fn is_of_files(part: &Part) -> bool {
    let items = part.items.as_deref().and_then(|items| items.type_name);
    items == Some("io.k8s.api.core.v1.DownwardAPIVolumeFile")
}

/// Whether a field that some values do without is asked for in this one.
fn is_asked(type_name: &str, field: &str, fields: &Map<String, Value>) -> bool {
    let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    match (type_name.rsplit('.').next().unwrap_or_default(), field) {
        // What these depend on is in other objects than theirs.
        ("LabelSelectorRequirement" | "NodeSelectorRequirement", "values")
        | ("PodDNSConfig", "nameservers") => false,
        ("PriorityLevelConfigurationSpec", "limited") => text("type") == "Limited",
        (_, _) => true,
    }
}

/// Whether what a field holds is looked at in this value.
fn is_judged(type_name: &str, field: &str, fields: &Map<String, Value>) -> bool {
    let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    match (type_name.rsplit('.').next().unwrap_or_default(), field) {
        ("ServiceSpec", "externalName") => text("type") == "ExternalName",
        // Of accounts and of what an event is about the relations say more.
        ("Subject", "apiGroup") => matches!(text("kind"), "User" | "Group"),
        ("ObjectReference", "namespace") => false,
        (_, _) => true,
    }
}

fn scalar(value: &Value, known: &Value, at: Place<'_>, causes: &mut Vec<Cause>) {
    match value {
        Value::String(text) if text.is_empty() => tell(known.get("empty"), None, at, causes),
        Value::String(text) => {
            for cause in known["bad"].as_array().into_iter().flatten() {
                let message = cause[1].as_str().unwrap_or_default();
                if message.contains("expected exactly 5 fields") {
                    if let Err(why) = crate::cron::Schedule::parse(text) {
                        causes.push(invalid(&at.to_string(), value, &why));
                    }
                } else if !fits(text, message) {
                    tell_one(cause, Some(value), at, causes);
                }
                // What is a port's name by its letters may still be none by their order.
                if message.contains("must contain only alpha-numeric characters") {
                    port_name(text, at, causes);
                }
            }
            if !known["long"].is_null() && limit(&known["long"]).is_some_and(|most| text.len() > most) {
                tell(known.get("long"), Some(value), at, causes);
            }
        }
        Value::Number(number) => {
            let number = number.as_f64().unwrap_or_default();
            if number == 0.0 {
                tell(known.get("empty"), None, at, causes);
            } else if number < 0.0 {
                tell(known.get("negative"), Some(value), at, causes);
            } else if limit(&known["large"])
                .and_then(|most| u32::try_from(most).ok())
                .is_some_and(|most| number > f64::from(most))
            {
                tell(known.get("large"), Some(value), at, causes);
            }
        }
        Value::Array(items) if items.is_empty() => tell(known.get("empty"), None, at, causes),
        Value::Object(fields) if fields.is_empty() => tell(known.get("empty"), None, at, causes),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {}
    }
}

/// What else is asked of a port's name.
fn port_name(text: &str, at: Place<'_>, causes: &mut Vec<Cause>) {
    let wrong = [
        (!text.bytes().any(|one| one.is_ascii_lowercase()), "must contain at least one letter (a-z)"),
        (text.contains("--"), "must not contain consecutive hyphens"),
        (text.starts_with('-') || text.ends_with('-'), "must not begin or end with a hyphen"),
    ];
    for (_, why) in wrong.into_iter().filter(|(is_wrong, _)| *is_wrong) {
        causes.push(invalid(&at.to_string(), &text.into(), why));
    }
}

/// Adds the causes that the table has, with the value in its place.
fn tell(told: Option<&Value>, value: Option<&Value>, at: Place<'_>, causes: &mut Vec<Cause>) {
    for cause in told.and_then(Value::as_array).into_iter().flatten() {
        tell_one(cause, value, at, causes);
    }
}

fn tell_one(cause: &Value, value: Option<&Value>, at: Place<'_>, causes: &mut Vec<Cause>) {
    let message = cause[1].as_str().unwrap_or_default();
    let message = match value {
        // The table was asked with a text of its own, which some messages have once more.
        Some(Value::String(text)) => {
            message.replacen("{}", &Value::from(text.as_str()).to_string(), 1).replace("Bad_Value!", text)
        }
        Some(value) => message.replacen("{}", &value.to_string(), 1),
        None => message.to_owned(),
    };
    causes.push(Cause {
        reason: reason(cause[0].as_str().unwrap_or_default()),
        message,
        field: at.to_string(),
    });
}

fn reason(word: &str) -> &'static str {
    match word {
        "Required" => "FieldValueRequired",
        "NotSupported" => "FieldValueNotSupported",
        "Forbidden" => "FieldValueForbidden",
        "Duplicate" => "FieldValueDuplicate",
        "TooLong" => "FieldValueTooLong",
        "NotFound" => "FieldValueNotFound",
        _ => "FieldValueInvalid",
    }
}

/// Whether a text is one that the refusal of a bad one does not mean.
fn fits(text: &str, message: &str) -> bool {
    if let Some((_, allowed)) = message.split_once("supported values: ") {
        return allowed.split(", ").any(|one| one.trim_matches('"') == text);
    }
    if message.contains(": segment[") {
        return true;
    }
    if let Some((_, pattern)) = message.split_once("regex used for validation is '") {
        let part = text.split_once('/').filter(|_| message.contains("name part"));
        let text = part.map_or(text, |(_, name)| name);
        let text =
            if message.contains("may have mixed case") { text.to_lowercase() } else { text.to_owned() };
        return matches(pattern.trim_end_matches("')"), &text);
    }
    if message.contains("must contain only alpha-numeric characters") {
        return text.chars().all(|one| one.is_ascii_lowercase() || one.is_ascii_digit() || one == '-');
    }
    if let Some((_, allowed)) = message.split_once(": must be '") {
        return allowed.split("' or '").any(|one| one.trim_matches('\'') == text);
    }
    if message.contains("not a valid selector operator") {
        return matches!(text, "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt");
    }
    if message.contains("must be a domain-prefixed path") {
        return text.split_once('/').is_some_and(|(domain, path)| !domain.is_empty() && !path.is_empty());
    }
    if let Some((_, allowed)) = message.split_once(": must be either ") {
        return allowed.split(", ").any(|one| one.trim_start_matches("or ") == text);
    }
    if message.contains("must start with a '/'") || message.contains("must be an absolute path") {
        return text.starts_with('/');
    }
    if message.contains("must be a valid IP address") {
        return text.parse::<IpAddr>().is_ok();
    }
    if message.contains("must be a valid CIDR value") {
        return is_block(text);
    }
    if message.contains("unknown time zone") {
        return jiff::tz::TimeZone::get(text).is_ok_and(|zone| zone.iana_name() == Some(text));
    }
    if message.contains("field label not supported") {
        return is_pod_field(text);
    }
    true
}

/// Whether a text is a block of addresses.
fn is_block(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else { return false };
    let most = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    bits.bytes().all(|one| one.is_ascii_digit()) && bits.parse::<u8>().is_ok_and(|bits| bits <= most)
}

/// Whether a text names a field of a pod that containers can be told.
fn is_pod_field(text: &str) -> bool {
    let known = [
        "metadata.annotations",
        "metadata.labels",
        "metadata.name",
        "metadata.namespace",
        "metadata.uid",
        "spec.host",
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "status.hostIP",
        "status.hostIPs",
        "status.phase",
        "status.podIP",
        "status.podIPs",
    ];
    let keyed = text.strip_suffix("']").and_then(|text| text.split_once("['"));
    match keyed {
        Some((field, _)) => matches!(field, "metadata.annotations" | "metadata.labels"),
        None => known.contains(&text),
    }
}

/// Patterns that were asked for; `None` for one that is none.
type Compiled = RefCell<HashMap<String, Option<Regex>>>;

// Of each thread its own: a regex that several share has them wait for each other.
thread_local! {
    static OF_ALL: Compiled = RefCell::default();
    static OF_A_PART: Compiled = RefCell::default();
}

/// Whether all of a text matches a pattern; any matches what is none.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    OF_ALL.with(|compiled| is_match(compiled, pattern, text, || format!("^(?:{pattern})$")))
}

/// Whether something in a text matches a pattern; in any matches what is none.
pub(crate) fn is_within(pattern: &str, text: &str) -> bool {
    OF_A_PART.with(|compiled| is_match(compiled, pattern, text, || pattern.to_owned()))
}

fn is_match(compiled: &Compiled, pattern: &str, text: &str, source: impl FnOnce() -> String) -> bool {
    let mut compiled = compiled.borrow_mut();
    if !compiled.contains_key(pattern) {
        compiled.insert(pattern.to_owned(), Regex::new(&source()).ok());
    }
    compiled.get(pattern).is_none_or(|regex| regex.as_ref().is_none_or(|regex| regex.is_match(text)))
}

/// The largest number or length that the causes for a too large one name.
fn limit(told: &Value) -> Option<usize> {
    let message = told[0][1].as_str()?;
    let words = [
        " no more than ",
        " between 1 and ",
        " between 0 and ",
        "less than or equal to ",
        "may not be more than ",
    ];
    let rest = words.iter().find_map(|word| message.split_once(word)).map(|(_, rest)| rest)?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// Fields that never change: kind, where they are, what the refusal calls them.
const FIXED: &[(&str, &str, &str)] = &[
    ("apps/ControllerRevision", "data", "data"),
    ("apps/DaemonSet", "spec.selector", "spec.selector"),
    ("apps/Deployment", "spec.selector", "spec.selector"),
    ("apps/ReplicaSet", "spec.selector", "spec.selector"),
    ("batch/Job", "spec.backoffLimitPerIndex", "spec.backoffLimitPerIndex"),
    ("batch/Job", "spec.completionMode", "spec.completionMode"),
    ("batch/Job", "spec.managedBy", "spec.managedBy"),
    ("batch/Job", "spec.podFailurePolicy", "spec.podFailurePolicy"),
    ("batch/Job", "spec.selector", "spec.selector"),
    ("batch/Job", "spec.successPolicy", "spec.successPolicy"),
    ("discovery.k8s.io/EndpointSlice", "addressType", "addressType"),
    ("networking.k8s.io/IngressClass", "spec.controller", "spec.controller"),
    ("node.k8s.io/RuntimeClass", "handler", "handler"),
    ("storage.k8s.io/CSIDriver", "spec.attachRequired", "spec.attachedRequired"),
    ("storage.k8s.io/CSIDriver", "spec.volumeLifecycleModes", "spec.volumeLifecycleModes"),
    ("storage.k8s.io/CSIStorageCapacity", "nodeTopology", "nodeTopology"),
    ("storage.k8s.io/CSIStorageCapacity", "storageClassName", "storageClassName"),
    ("storage.k8s.io/StorageClass", "parameters", "parameters"),
    ("storage.k8s.io/StorageClass", "provisioner", "provisioner"),
    ("storage.k8s.io/StorageClass", "reclaimPolicy", "reclaimPolicy"),
    ("storage.k8s.io/StorageClass", "volumeBindingMode", "volumeBindingMode"),
    ("scheduling.k8s.io/PriorityClass", "preemptionPolicy", "preemptionPolicy"),
    ("events.k8s.io/Event", "action", "action"),
    ("events.k8s.io/Event", "eventTime", "eventTime"),
    ("events.k8s.io/Event", "note", "message"),
    // The server looks twice.
    ("events.k8s.io/Event", "reason", "reason"),
    ("events.k8s.io/Event", "reason", "reason"),
    ("events.k8s.io/Event", "reportingController", "reportingController"),
    ("events.k8s.io/Event", "reportingInstance", "reportingInstance"),
    ("events.k8s.io/Event", "type", "type"),
    ("/PersistentVolume", "spec.volumeMode", "volumeMode"),
    ("/PersistentVolumeClaim", "spec.volumeMode", "volumeMode"),
    ("/Secret", "type", "type"),
];

/// What a `StatefulSet`'s spec may change.
const STATEFUL: [&str; 8] = [
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
    "serviceName_",
];

/// What has changed that never may.
pub(crate) fn changed(kind: &Kind, before: &Value, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let name = format!("{}/{}", kind.group, kind.kind);
    for (_, field, told) in FIXED.iter().filter(|(of, _, _)| *of == name) {
        let pointer = format!("/{}", field.replace('.', "/"));
        let (was, is) = (before.pointer(&pointer), object.pointer(&pointer));
        if was != is {
            let shown = match (is, was) {
                (Some(value), _) => value.clone(),
                (None, Some(Value::String(_))) => "".into(),
                (None, _) => Value::Null,
            };
            causes.push(Cause {
                reason: "FieldValueInvalid",
                message: format!("Invalid value: {shown}: field is immutable"),
                field: (*told).to_owned(),
            });
        }
    }
    causes.extend(changed_inside(&name, before, object));
    if name == "/Service" {
        causes.extend(crate::services::changed(before, object));
    }
    match name.as_str() {
        "/Pod" => crate::pod_rules::changed(before, object, &mut causes),
        "/PersistentVolumeClaim" => {
            causes.extend(changed_claim(before, object));
            causes.extend(shrunk_claim(before, object));
        }
        "/PersistentVolume" => causes.extend(crate::volume_rules::changed_source(before, object)),
        _ => {}
    }
    if name == "scheduling.k8s.io/PriorityClass" && before["value"] != object["value"] {
        causes.push(forbidden("value", "may not be changed in an update."));
    }
    if name == "apps/StatefulSet" {
        let fixed = |object: &Value| -> Map<String, Value> {
            let fields = object["spec"].as_object().cloned().unwrap_or_default();
            fields.into_iter().filter(|(name, _)| !STATEFUL.contains(&name.as_str())).collect()
        };
        if fixed(before) != fixed(object) {
            causes.push(forbidden("spec", "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"));
        }
    }
    causes
}

/// What has changed of what the server shows in its own types' form.
fn changed_inside(name: &str, before: &Value, object: &Value) -> Vec<Cause> {
    let text = |value: &Value| Value::from(value.as_str().unwrap_or_default()).to_string();
    let differs = |field: &str| before.get(field) != object.get(field);
    let shown = |field: &str, names: &[(&str, &str)]| {
        let parts = names.iter().map(|(own, name)| format!("\"{own}\":{}", text(&object[field][*name])));
        format!("{{{}}}", parts.collect::<Vec<_>>().join(","))
    };
    let told = |field: &str, shown: &str, why: &str| Cause {
        reason: "FieldValueInvalid",
        message: format!("Invalid value: {shown}: {why}"),
        field: field.to_owned(),
    };
    match name {
        "rbac.authorization.k8s.io/ClusterRoleBinding" | "rbac.authorization.k8s.io/RoleBinding"
            if differs("roleRef") =>
        {
            let names = [("APIGroup", "apiGroup"), ("Kind", "kind"), ("Name", "name")];
            vec![told("roleRef", &shown("roleRef", &names), "cannot change roleRef")]
        }
        "events.k8s.io/Event" if differs("regarding") => {
            let names = [
                ("Kind", "kind"),
                ("Namespace", "namespace"),
                ("Name", "name"),
                ("UID", "uid"),
                ("APIVersion", "apiVersion"),
                ("ResourceVersion", "resourceVersion"),
                ("FieldPath", "fieldPath"),
            ];
            vec![told("involvedObject", &shown("regarding", &names), "field is immutable")]
        }
        "storage.k8s.io/VolumeAttachment" if differs("spec") => {
            let spec = &object["spec"];
            let volume = spec["source"].get("persistentVolumeName").cloned().unwrap_or_default();
            let shown = format!(
                "{{\"Attacher\":{},\"Source\":{{\"PersistentVolumeName\":{volume},\"InlineVolumeSpec\":null}},\"NodeName\":{}}}",
                text(&spec["attacher"]),
                text(&spec["nodeName"])
            );
            vec![told("spec", &shown, "field is immutable")]
        }
        "batch/Job" => crate::job_rules::changed(before, object),
        _ => Vec::new(),
    }
}

/// What a claim's spec may not change; as for pods, the server adds how the two differ.
fn changed_claim(before: &Value, object: &Value) -> Option<Cause> {
    let fixed = |object: &Value| {
        let mut spec = object["spec"].clone();
        let is_bound = before["status"]["phase"] == "Bound";
        if is_bound {
            spec["resources"]["requests"] = Value::Null;
        }
        if let Some(spec) = spec.as_object_mut() {
            spec.remove("volumeAttributesClassName");
            // What is empty may be given once.
            for field in ["volumeName", "storageClassName"] {
                if before["spec"][field].is_null() {
                    spec.remove(field);
                }
            }
        }
        spec
    };
    (fixed(before) != fixed(object)).then(|| {
        forbidden("spec", "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims")
    })
}

/// A claim gets no smaller than what it has.
fn shrunk_claim(before: &Value, object: &Value) -> Option<Cause> {
    let size = |object: &Value, of: &str| {
        crate::amounts::read(&object.pointer(of).cloned().unwrap_or_default()).get("storage").copied()
    };
    let zero = trueup_merge::quantity::Quantity::of(0);
    let wanted = |object: &Value| size(object, "/spec/resources/requests").unwrap_or(zero);
    let has = size(before, "/status/capacity").unwrap_or(zero);
    (wanted(object) < wanted(before) && wanted(object) <= has)
        .then(|| forbidden("spec.resources.requests.storage", "field can not be less than status.capacity"))
}

pub(crate) fn required(field: &str, why: &str) -> Cause {
    let message = if why.is_empty() { "Required value".to_owned() } else { format!("Required value: {why}") };
    Cause { reason: "FieldValueRequired", message, field: field.to_owned() }
}

pub(crate) fn invalid(field: &str, shown: &Value, why: &str) -> Cause {
    Cause {
        reason: "FieldValueInvalid",
        message: format!("Invalid value: {shown}: {why}"),
        field: field.to_owned(),
    }
}

/// `shown` is what the server prints, quotes and all.
pub(crate) fn unsupported(field: &str, shown: &str, allowed: &[&str]) -> Cause {
    let allowed: Vec<String> = allowed.iter().map(|one| format!("{one:?}")).collect();
    Cause {
        reason: "FieldValueNotSupported",
        message: format!("Unsupported value: {shown}: supported values: {}", allowed.join(", ")),
        field: field.to_owned(),
    }
}

pub(crate) fn forbidden(field: &str, why: &str) -> Cause {
    Cause { reason: "FieldValueForbidden", message: format!("Forbidden: {why}"), field: field.to_owned() }
}

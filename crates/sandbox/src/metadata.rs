//! What the API server asks of the metadata that every object has.
//!
//! Enters: an object, and what it was before. Leaves: what is wrong, in the server's words. Absent: which names are taken.
//!
//! Source: k8s.io/apimachinery `pkg/api/validation`, `pkg/util/validation`; k8s.io/kubernetes `pkg/apis/core/validation`.

use crate::answer::Cause;
use crate::kinds::Kind;
use crate::rules::{forbidden, invalid, matches};
use serde_json::{Map, Value};

const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN: &str = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const NAME_PART: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const LABEL_VALUE: &str = "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?";
const SUBDOMAIN_WORDS: &str = r"a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL_WORDS: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const VALUE_WORDS: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const PART_WORDS: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
/// Finalizers of the server's own, which are in nobody's domain.
const STANDARD: [&str; 3] = ["kubernetes", "orphan", "foregroundDeletion"];

/// What is wrong in the metadata of a new object.
pub(crate) fn check_new(kind: &Kind, object: &Value, causes: &mut Vec<Cause>) {
    let metadata = &object["metadata"];
    let name = metadata["name"].as_str().unwrap_or_default();
    for why in wrong_name(kind, name) {
        causes.push(invalid("metadata.name", &name.into(), &why));
    }
    check_written(kind, metadata, causes);
}

/// What is wrong in the metadata of an object that was there before.
pub(crate) fn check_changed(
    (kind, subresource): (&Kind, &str),
    before: &Value,
    object: &Value,
    causes: &mut Vec<Cause>,
) {
    let (was, is) = (&before["metadata"], &object["metadata"]);
    let mut found = Vec::new();
    let looks = looks(kind, subresource);
    // The endpoint looks once at the object and once at its change, and then the kind does as it likes.
    if was != is {
        let mut each = |times: usize, look: fn(&Value, &mut Vec<Cause>)| {
            let mut once = Vec::new();
            look(is, &mut once);
            found.extend(vec![once; times].concat());
        };
        each(2 + looks.at_the_object + looks.at_the_change, check_shared);
        each(1 + looks.at_the_object, check_finalizers);
        if looks.knows_finalizers {
            each(looks.at_the_object + looks.at_the_change, check_whose);
        }
    }
    if was["deletionTimestamp"].is_string() {
        let known = was["finalizers"].as_array().map(Vec::as_slice).unwrap_or_default();
        let new: Vec<String> = is["finalizers"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|one| !known.contains(one))
            .map(Value::to_string)
            .collect();
        if !new.is_empty() {
            let why = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                new.join(", ")
            );
            let cause = forbidden("metadata.finalizers", &why);
            causes.extend(vec![cause; 1 + looks.at_the_change]);
        }
    }
    causes.extend(found);
}

/// How often a kind looks at the metadata of what is changed, and whether it knows which finalizers there are.
struct Looks {
    at_the_object: usize,
    at_the_change: usize,
    knows_finalizers: bool,
}

/// Source: the strategies' `ValidateUpdate`; those with other rules for finalizers have theirs from k8s.io/apimachinery alone.
fn looks(kind: &Kind, subresource: &str) -> Looks {
    let (at_the_object, at_the_change) = match (kind.kind.as_str(), subresource) {
        _ if kind.custom.is_some() => (0, 1),
        ("PodDisruptionBudget", _) | ("CronJob", "status") => (0, 0),
        ("Event", _) if kind.group.is_empty() => (0, 0),
        ("PersistentVolume", "") => (2, 0),
        (
            "CSIStorageCapacity"
            | "ClusterRole"
            | "ClusterRoleBinding"
            | "ConfigMap"
            | "ControllerRevision"
            | "Endpoints"
            | "Ingress"
            | "IngressClass"
            | "Job"
            | "Namespace"
            | "Node"
            | "PersistentVolumeClaim"
            | "Pod"
            | "Role"
            | "RoleBinding"
            | "RuntimeClass"
            | "Secret"
            | "ServiceAccount"
            | "StorageClass",
            "",
        ) => (1, 1),
        (
            "EndpointSlice"
            | "LimitRange"
            | "MutatingWebhookConfiguration"
            | "ValidatingAdmissionPolicyBinding"
            | "ValidatingWebhookConfiguration"
            | "VolumeAttachment",
            _,
        ) => (1, 0),
        _ => (0, 1),
    };
    let knows_finalizers = kind.custom.is_none()
        && !matches!(
            kind.kind.as_str(),
            "CustomResourceDefinition"
                | "Lease"
                | "MutatingWebhookConfiguration"
                | "RuntimeClass"
                | "ValidatingAdmissionPolicyBinding"
                | "ValidatingWebhookConfiguration"
        );
    Looks { at_the_object, at_the_change, knows_finalizers }
}

fn check_written(kind: &Kind, metadata: &Value, causes: &mut Vec<Cause>) {
    check_shared(metadata, causes);
    check_finalizers(metadata, causes);
    if kind.custom.is_none() && kind.kind != "CustomResourceDefinition" {
        check_whose(metadata, causes);
    }
}

/// What is asked of a change as well as of an object.
fn check_shared(metadata: &Value, causes: &mut Vec<Cause>) {
    check_labels(&metadata["labels"], "metadata.labels", causes);
    check_annotations(&metadata["annotations"], "metadata.annotations", causes);
    check_owners(&metadata["ownerReferences"], causes);
}

/// Whether finalizers have the form of a name.
fn check_finalizers(metadata: &Value, causes: &mut Vec<Cause>) {
    for finalizer in metadata["finalizers"].as_array().into_iter().flatten() {
        for why in wrong_key(finalizer.as_str().unwrap_or_default()) {
            causes.push(invalid("metadata.finalizers", finalizer, &why));
        }
    }
}

/// Whether finalizers are somebody's: Kubernetes' own, or with a domain.
fn check_whose(metadata: &Value, causes: &mut Vec<Cause>) {
    for (index, finalizer) in metadata["finalizers"].as_array().into_iter().flatten().enumerate() {
        let text = finalizer.as_str().unwrap_or_default();
        if !text.contains('/') && !STANDARD.contains(&text) {
            let why = "name is neither a standard finalizer name nor is it fully qualified";
            causes.push(invalid(&format!("metadata.finalizers[{index}]"), finalizer, why));
        }
    }
}

/// What is wrong in the references to owners: each says whose it is, and one of them at most controls.
fn check_owners(owners: &Value, causes: &mut Vec<Cause>) {
    const AT: &str = "metadata.ownerReferences";
    let mut controller: Option<String> = None;
    for owner in owners.as_array().into_iter().flatten() {
        let text = |field: &str| owner[field].as_str().unwrap_or_default();
        for field in ["kind", "name", "uid"] {
            if text(field).is_empty() {
                causes.push(invalid(&format!("{AT}.{field}"), &"".into(), "must not be empty"));
            }
        }
        if text("apiVersion").rsplit('/').next().unwrap_or_default().is_empty() {
            let shown = text("apiVersion").into();
            causes.push(invalid(&format!("{AT}.apiVersion"), &shown, "version must not be empty"));
        }
        if text("apiVersion") == "v1" && text("kind") == "Event" {
            let shown = shown_owner(owner);
            let message =
                format!("Invalid value: {shown}: /v1, Kind=Event is disallowed from being an owner");
            causes.push(Cause { reason: "FieldValueInvalid", message, field: AT.to_owned() });
        }
        if owner["controller"] != true {
            continue;
        }
        let name = format!("{}/{}", text("kind"), text("name"));
        match &controller {
            None => controller = Some(name),
            Some(first) => {
                let why = format!(
                    "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {name}"
                );
                let message = format!("Invalid value: {}: {why}", shown_owners(owners));
                causes.push(Cause { reason: "FieldValueInvalid", message, field: AT.to_owned() });
            }
        }
    }
}

/// References as the server prints them, in the order of its type.
fn shown_owners(owners: &Value) -> String {
    let all: Vec<String> = owners.as_array().into_iter().flatten().map(shown_owner).collect();
    format!("[{}]", all.join(","))
}

fn shown_owner(owner: &Value) -> String {
    let mut parts: Vec<String> = ["apiVersion", "kind", "name", "uid"]
        .map(|field| format!("\"{field}\":{}", Value::from(owner[field].as_str().unwrap_or_default())))
        .into();
    for field in ["controller", "blockOwnerDeletion"] {
        if let Some(value) = owner.get(field).filter(|value| !value.is_null()) {
            parts.push(format!("\"{field}\":{value}"));
        }
    }
    format!("{{{}}}", parts.join(","))
}

/// What is wrong in labels.
pub(crate) fn check_labels(labels: &Value, at: &str, causes: &mut Vec<Cause>) {
    for (key, value) in labels.as_object().unwrap_or(&Map::new()) {
        for why in wrong_key(key) {
            causes.push(invalid(at, &key.as_str().into(), &why));
        }
        for why in wrong_label_value(value.as_str().unwrap_or_default()) {
            causes.push(invalid(at, value, &why));
        }
    }
}

/// What is wrong in the value of a label.
pub(crate) fn wrong_label_value(text: &str) -> Vec<String> {
    wrong_text(text, 63, "bytes", LABEL_VALUE, VALUE_WORDS)
}

/// What is wrong in a text that has a form and may be only so long.
fn wrong_text(text: &str, most: usize, unit: &str, form: &str, words: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.len() > most {
        wrong.push(format!("must be no more than {most} {unit}"));
    }
    if !matches(form, text) {
        wrong.push(words.to_owned());
    }
    wrong
}

pub(crate) fn check_annotations(annotations: &Value, at: &str, causes: &mut Vec<Cause>) {
    for key in annotations.as_object().into_iter().flat_map(Map::keys) {
        for why in wrong_key(&key.to_lowercase()) {
            causes.push(invalid(at, &key.as_str().into(), &why));
        }
    }
    crate::limits::check_annotations(annotations, at, causes);
}

/// What is wrong in a qualified name: a name, with a domain before it or none.
pub(crate) fn wrong_key(key: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let name = match key.split('/').collect::<Vec<_>>().as_slice() {
        [name] => *name,
        [prefix, name] => {
            if prefix.is_empty() {
                wrong.push("prefix part must be non-empty".to_owned());
            } else if !matches(SUBDOMAIN, prefix) {
                wrong.push(format!("prefix part {SUBDOMAIN_WORDS}"));
            }
            *name
        }
        _ => {
            return vec![format!(
                "a valid label key {} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
                PART_WORDS.trim_start_matches("name part ")
            )];
        }
    };
    if name.is_empty() {
        wrong.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        wrong.push("name part must be no more than 63 bytes".to_owned());
    }
    if !matches(NAME_PART, name) {
        wrong.push(PART_WORDS.to_owned());
    }
    wrong
}

/// What is wrong in an object's name.
fn wrong_name(kind: &Kind, name: &str) -> Vec<String> {
    let (most, pattern, words) = match (kind.group.as_str(), kind.kind.as_str()) {
        ("rbac.authorization.k8s.io", _) => return wrong_segment(name),
        // Services and definitions have rules of their own beyond a name.
        ("", "Service" | "Event") | ("events.k8s.io" | "apiextensions.k8s.io", _) => return Vec::new(),
        ("", "Namespace") => (63, LABEL, LABEL_WORDS),
        (_, _) => (253, SUBDOMAIN, SUBDOMAIN_WORDS),
    };
    wrong_text(name, most, "bytes", pattern, words)
}

/// What is wrong in a name that begins with a letter.
pub(crate) fn wrong_label(text: &str) -> Vec<String> {
    const WORDS: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
    wrong_text(text, 63, "characters", "[a-z]([-a-z0-9]*[a-z0-9])?", WORDS)
}

/// What is wrong in one part of a domain.
pub(crate) fn wrong_dns_label(text: &str) -> Vec<String> {
    let words = if matches(SUBDOMAIN, text) { "must not contain dots" } else { LABEL_WORDS };
    wrong_text(text, 63, "characters", LABEL, words)
}

/// What is wrong in a domain.
pub(crate) fn wrong_subdomain(text: &str) -> Vec<String> {
    wrong_text(text, 253, "bytes", SUBDOMAIN, SUBDOMAIN_WORDS)
}

/// What is wrong in a name that only has to fit into a path.
fn wrong_segment(name: &str) -> Vec<String> {
    if matches!(name, "." | "..") {
        return vec![format!("may not be '{name}'")];
    }
    let contained = ["/", "%"].into_iter().filter(|one| name.contains(one));
    contained.map(|one| format!("may not contain '{one}'")).collect()
}

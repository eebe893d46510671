//! Label and field selectors.
//!
//! Source: k8s.io/apimachinery `pkg/labels` (equality and set forms) and `pkg/fields`.

use crate::answer::Refusal;
use crate::kinds::Kind;
use crate::request::Request;
use serde_json::Value;

/// What objects have to be to be meant.
#[derive(Clone, Debug, Default)]
pub struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<(String, bool, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Requirement {
    Exists(String),
    Missing(String),
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
}

impl Selector {
    /// Reads both selectors of a request.
    pub fn read(labels: Option<&str>, fields: Option<&str>) -> Result<Self, Refusal> {
        let labels = split(labels.unwrap_or_default())
            .iter()
            .map(|text| requirement(text))
            .collect::<Result<_, _>>()?;
        let fields = fields
            .unwrap_or_default()
            .split(',')
            .filter(|text| !text.is_empty())
            .map(|text| {
                let (name, equal, value) = text
                    .split_once("!=")
                    .map(|(name, value)| (name, false, value))
                    .or_else(|| text.split_once("==").map(|(name, value)| (name, true, value)))
                    .or_else(|| text.split_once('=').map(|(name, value)| (name, true, value)))
                    .ok_or_else(|| {
                        Refusal::bad_request(format!("invalid selector: {text:?}; can't understand {text:?}"))
                    })?;
                Ok((name.to_owned(), equal, value.to_owned()))
            })
            .collect::<Result<_, Refusal>>()?;
        Ok(Self { labels, fields })
    }

    /// Reads both selectors of a request about a kind, which knows only some fields.
    pub(crate) fn of(request: &Request<'_>, kind: &Kind) -> Result<Self, Refusal> {
        let (labels, fields) = (request.option("labelSelector"), request.option("fieldSelector"));
        let selector = Self::read(labels.as_deref(), fields.as_deref())?;
        for (name, _, _) in &selector.fields {
            check_field(kind, name)?;
        }
        Ok(selector)
    }

    /// Whether an object is meant.
    pub fn matches(&self, object: &Value) -> bool {
        let labels = object.pointer("/metadata/labels");
        let label = |key: &str| labels.and_then(|labels| labels.get(key)).and_then(Value::as_str);
        self.labels.iter().all(|requirement| match requirement {
            Requirement::Exists(key) => label(key).is_some(),
            Requirement::Missing(key) => label(key).is_none(),
            Requirement::In(key, values) => {
                label(key).is_some_and(|value| values.iter().any(|one| one == value))
            }
            Requirement::NotIn(key, values) => {
                label(key).is_none_or(|value| values.iter().all(|one| one != value))
            }
        }) && self.fields.iter().all(|(path, equal, wanted)| {
            let found = object.pointer(&format!("/{}", path.replace('.', "/")));
            let found = match found {
                None | Some(Value::Null) => String::new(),
                Some(Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
            };
            (found == *wanted) == *equal
        })
    }
}

/// Fields that can be selected by, beyond name and namespace.
const FIELDS: &[(&str, &[&str])] = &[
    (
        "/Pod",
        &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.podIPs",
            "status.nominatedNodeName",
        ],
    ),
    ("/Node", &["spec.unschedulable"]),
    ("/Namespace", &["status.phase"]),
    ("/Secret", &["type"]),
    ("/ReplicationController", &["status.replicas"]),
    ("/Service", &["spec.clusterIP", "spec.type"]),
    (
        "/Event",
        &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
    ),
    ("apps/ReplicaSet", &["status.replicas"]),
    ("batch/Job", &["status.successful"]),
    ("events.k8s.io/Event", &["regarding.kind", "regarding.name", "reason", "type"]),
];

/// Whether labels are among those that a `LabelSelector` means.
pub(crate) fn matches_selector(selector: &Value, labels: &Value) -> bool {
    let mut wanted = selector["matchLabels"].as_object().into_iter().flatten();
    let mut expressions = selector["matchExpressions"].as_array().into_iter().flatten();
    wanted.all(|(name, value)| labels.get(name) == Some(value))
        && expressions.all(|one| {
            let found = one["key"].as_str().and_then(|key| labels.get(key));
            let is_listed =
                found.is_some_and(|found| one["values"].as_array().is_some_and(|all| all.contains(found)));
            match one["operator"].as_str() {
                Some("In") => is_listed,
                Some("NotIn") => !is_listed,
                Some("Exists") => found.is_some(),
                Some("DoesNotExist") => found.is_none(),
                Some(_) | None => false,
            }
        })
}

/// Whether the version of a definition lets its objects be selected by a field.
fn is_selectable(version: &Value, name: &str) -> bool {
    let fields = version["selectableFields"].as_array().into_iter().flatten();
    let mut paths = fields.filter_map(|field| field["jsonPath"].as_str());
    paths.any(|path| path.strip_prefix('.') == Some(name))
}

fn check_field(kind: &Kind, name: &str) -> Result<(), Refusal> {
    let own = format!("{}/{}", kind.group, kind.kind);
    let own = FIELDS.iter().find(|(of, _)| *of == own).map(|(_, fields)| *fields);
    let is_known = name == "metadata.name"
        || name == "metadata.namespace" && (kind.namespaced || own.is_none())
        || own.is_some_and(|own| own.contains(&name))
        || kind.custom.as_ref().is_some_and(|custom| is_selectable(&custom.version, name));
    if is_known {
        return Ok(());
    }
    let speaks_for_itself = own.is_some() && kind.kind != "ReplicaSet" || kind.custom.is_some();
    if kind.kind == "Job" {
        return Err(Refusal::bad_request(format!("field label {name:?} not supported for Job")));
    }
    Err(Refusal::bad_request(if speaks_for_itself {
        format!("field label not supported: {name}")
    } else {
        format!("{name:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
    }))
}

/// Splits at commas that stand in no parentheses.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_u32, 0);
    for (at, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts.retain(|part| !part.is_empty());
    parts
}

fn requirement(text: &str) -> Result<Requirement, Refusal> {
    let wrong = || Refusal::bad_request(format!("unable to parse requirement: {text:?}"));
    if let Some((key, value)) = text.split_once("!=") {
        return Ok(Requirement::NotIn(key.trim().to_owned(), vec![value.trim().to_owned()]));
    }
    if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return Ok(Requirement::In(key.trim().to_owned(), vec![value.trim().to_owned()]));
    }
    if let Some((key, values)) = text.split_once('(') {
        let values = values.strip_suffix(')').ok_or_else(wrong)?;
        let values = values.split(',').map(|value| value.trim().to_owned()).collect();
        let mut words = key.split_whitespace();
        return match (words.next(), words.next()) {
            (Some(key), Some("in")) => Ok(Requirement::In(key.to_owned(), values)),
            (Some(key), Some("notin")) => Ok(Requirement::NotIn(key.to_owned(), values)),
            (_, _) => Err(wrong()),
        };
    }
    match text.strip_prefix('!') {
        Some(key) => Ok(Requirement::Missing(key.trim().to_owned())),
        None if text.contains(char::is_whitespace) => {
            let second = text.split_whitespace().nth(1).unwrap_or_default();
            Err(Refusal::bad_request(format!(
                "unable to parse requirement: found '{second}', expected: in, notin, =, ==, !=, gt, lt"
            )))
        }
        None => Ok(Requirement::Exists(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn selectors_mean_what_kubectl_users_expect() {
        let object = json!({"metadata": {"name": "a", "labels": {"app": "web", "tier": "front"}}, "status": {"phase": "Running"}});
        for (labels, fields, expected) in [
            ("", "", true),
            ("app", "", true),
            ("!app", "", false),
            ("app=web,tier!=back", "", true),
            ("app in (api, web),tier notin (back)", "", true),
            ("app==api", "", false),
            ("other!=x", "", true),
            ("", "metadata.name=a,status.phase!=Failed", true),
            ("", "metadata.name=b", false),
        ] {
            let selector = Selector::read(Some(labels), Some(fields)).unwrap();
            assert_eq!(selector.matches(&object), expected, "{labels} {fields}");
        }
        assert!(Selector::read(Some("a b"), None).is_err());
    }

    #[test]
    fn a_selector_of_labels_and_expressions_asks_for_all_of_them() {
        let labels = serde_json::json!({"app": "web", "tier": "front"});
        for (selector, expected) in [
            (serde_json::json!({}), true),
            (serde_json::json!({"matchLabels": {"app": "web"}}), true),
            (serde_json::json!({"matchLabels": {"app": "api"}}), false),
            (
                serde_json::json!({"matchExpressions": [{"key": "tier", "operator": "In", "values": ["front", "back"]}]}),
                true,
            ),
            (
                serde_json::json!({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["front"]}]}),
                false,
            ),
            (
                serde_json::json!({"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["a"]}]}),
                true,
            ),
            (serde_json::json!({"matchExpressions": [{"key": "team", "operator": "Exists"}]}), false),
            (serde_json::json!({"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]}), true),
        ] {
            assert_eq!(matches_selector(&selector, &labels), expected, "{selector}");
        }
    }

    #[test]
    fn a_definition_says_by_which_fields_its_objects_are_selected() {
        let version = serde_json::json!({"selectableFields": [{"jsonPath": ".spec.color"}]});
        assert!(is_selectable(&version, "spec.color") && !is_selectable(&version, "spec.size"));
        let red = Selector::read(None, Some("spec.color=red")).unwrap();
        assert!(red.matches(&serde_json::json!({"spec": {"color": "red"}})));
        assert!(!red.matches(&serde_json::json!({"spec": {}})));
    }
}

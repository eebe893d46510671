//! Which fields of which objects are left to others: rules that people write, and autoscalers that say it by being there.

use crate::desired::{Desired, Want};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use trueup_merge::canonical::canonical;
use trueup_merge::extract::wanted;
use trueup_merge::leave::{Loose, fit};
use trueup_merge::pattern::FieldPattern;
use trueup_merge::token::digest;
use trueup_model::{ObjectId, Value, group_of};

/// Leaves fields of objects to others. What is left out of a rule limits nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IgnoreRule {
    /// The API group, empty for the core group.
    pub group: Option<String>,
    /// The kind.
    pub kind: Option<String>,
    /// The object's namespace.
    pub namespace: Option<String>,
    /// The object's name.
    pub name: Option<String>,
    /// The fields; all where there are none.
    pub fields: Vec<FieldPattern>,
    /// Only fields that one of these managers owns; whoever owns them where there are none.
    pub managers: Vec<String>,
}

impl IgnoreRule {
    fn is_about(&self, id: &ObjectId) -> bool {
        let fits =
            |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
        fits(&self.group, &id.group)
            && fits(&self.kind, &id.kind)
            && fits(&self.namespace, &id.namespace)
            && fits(&self.name, &id.name)
    }
}

impl fmt::Display for IgnoreRule {
    /// One line of YAML, as it stands in a configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = |name: &str, value: &Option<String>| {
            value.as_ref().map(|value| format!("{name}: {}", quoted(value)))
        };
        let all = |name: &str, values: Vec<String>| {
            let values: Vec<String> = values.iter().map(|value| quoted(value)).collect();
            (!values.is_empty()).then(|| format!("{name}: [{}]", values.join(", ")))
        };
        let parts = [
            one("group", &self.group),
            one("kind", &self.kind),
            one("namespace", &self.namespace),
            one("name", &self.name),
            all("fields", self.fields.iter().map(ToString::to_string).collect()),
            all("managers", self.managers.clone()),
        ];
        write!(f, "{{{}}}", parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }
}

// What YAML could take for something else is quoted; JSON's strings are YAML's.
fn quoted(text: &str) -> String {
    let plain = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "/-_.".contains(c))
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
            .contains(&text.to_lowercase().as_str());
    if plain { text.to_owned() } else { Value::from(text).to_string() }
}

/// Why a field is left to others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Why {
    /// A rule of the configuration says so.
    Rule(String),
    /// This object of the same target sets it.
    Autoscaler(ObjectId),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(rule) => write!(f, "ignore: {rule}"),
            Self::Autoscaler(id) => write!(f, "set by {id}"),
        }
    }
}

/// Fields of one object that are left to others, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leave {
    /// The fields.
    pub loose: Loose,
    /// Why.
    pub why: Why,
}

/// A field that is left as it is in the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IgnoredField {
    /// The object.
    pub object: ObjectId,
    /// The field's path, as people write it.
    pub field: String,
    /// Who owns it; nobody but trueup yet where this is none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub manager: Option<String>,
    /// Why.
    pub why: Why,
}

/// Notes in each object what of it is left to others.
pub fn loosen(desired: &mut Desired, rules: &[IgnoreRule], scaled: &BTreeMap<ObjectId, ObjectId>) {
    for (id, want) in &mut desired.objects {
        let mut leave: Vec<Leave> = rules.iter().filter(|rule| rule.is_about(id)).flat_map(leaves).collect();
        if let Some(autoscaler) = scaled.get(id) {
            let fields = "/spec/replicas".parse().ok();
            let why = Why::Autoscaler(autoscaler.clone());
            leave.push(Leave { loose: Loose { fields, managers: Vec::new() }, why });
        }
        if !leave.is_empty() {
            desired.loose.insert(id.clone());
        }
        if want.leave != leave {
            Arc::make_mut(want).leave = leave;
        }
    }
}

fn leaves(rule: &IgnoreRule) -> Vec<Leave> {
    let leave = |fields: Option<FieldPattern>| Leave {
        loose: Loose { fields, managers: rule.managers.clone() },
        why: Why::Rule(rule.to_string()),
    };
    match (rule.fields.is_empty(), rule.managers.is_empty()) {
        (true, true) => Vec::new(),
        (true, false) => vec![leave(None)],
        (false, _) => rule.fields.iter().map(|pattern| leave(Some(pattern.clone()))).collect(),
    }
}

/// The object whose `replicas` a manifest sets, where it is an autoscaler.
///
/// Sources: `scaleTargetRef` of `HorizontalPodAutoscaler` (autoscaling/v2) and of KEDA's `ScaledObject`, whose kind and version
/// may be left out.
pub fn scales(id: &ObjectId, manifest: &Value) -> Option<ObjectId> {
    let target = manifest.pointer("/spec/scaleTargetRef")?;
    let text = |field: &str| target.get(field).and_then(Value::as_str);
    let (api_version, kind) = match (id.group.as_str(), id.kind.as_str()) {
        ("autoscaling", "HorizontalPodAutoscaler") => (text("apiVersion")?, text("kind")?),
        ("keda.sh", "ScaledObject") => {
            (text("apiVersion").unwrap_or("apps/v1"), text("kind").unwrap_or("Deployment"))
        }
        (_, _) => return None,
    };
    let group = group_of(api_version);
    Some(ObjectId::new(group, kind, &id.namespace, text("name")?))
}

impl Want {
    /// The object as it is to be applied where `live` is there already, and the fields that are left as they are.
    pub fn fitted(&self, live: &Value, manager: &str) -> (Self, Vec<IgnoredField>) {
        let rules: Vec<Loose> = self.leave.iter().map(|leave| leave.loose.clone()).collect();
        let Ok(written) = serde_json::from_slice::<Value>(&self.body) else {
            return (self.clone(), Vec::new());
        };
        let fitted = fit(&written, live, manager, &rules);
        let ignored = fitted.left.into_iter().filter_map(|left| {
            let why = self.leave.get(left.rule)?.why.clone();
            Some(IgnoredField { object: self.id.clone(), field: left.field, manager: left.manager, why })
        });
        let ignored = ignored.collect();
        if fitted.value == written {
            return (self.clone(), ignored);
        }
        let body = fitted.value.to_string().into_bytes();
        let want = Self {
            digest: digest(&body, manager, "", 0),
            extract: wanted(&canonical(&fitted.value)),
            body: body.into(),
            ..self.clone()
        };
        (want, ignored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn id(group: &str, kind: &str, name: &str) -> ObjectId {
        ObjectId::new(group, kind, "shop", name)
    }

    #[test]
    fn a_rule_is_about_the_objects_that_it_does_not_exclude() {
        let deployment = id("apps", "Deployment", "web");
        let rule = |kind: Option<&str>, name: Option<&str>| IgnoreRule {
            kind: kind.map(str::to_owned),
            name: name.map(str::to_owned),
            ..IgnoreRule::default()
        };
        assert!(rule(None, None).is_about(&deployment));
        assert!(rule(Some("Deployment"), Some("web")).is_about(&deployment));
        assert!(!rule(Some("Deployment"), Some("db")).is_about(&deployment));
        assert!(!rule(Some("StatefulSet"), None).is_about(&deployment));
    }

    #[test]
    fn a_rule_is_shown_as_it_is_written() {
        let rule = IgnoreRule {
            group: Some("apps".into()),
            kind: Some("Deployment".into()),
            namespace: None,
            name: Some("1".into()),
            fields: vec!["/spec/template/spec/containers/[name=app]/image".parse().unwrap()],
            managers: vec!["keel".into()],
        };
        let text = rule.to_string();
        assert_eq!(
            text,
            r#"{group: apps, kind: Deployment, name: "1", fields: ["/spec/template/spec/containers/[name=app]/image"], managers: [keel]}"#
        );
    }

    #[test]
    fn autoscalers_name_what_they_scale() {
        let hpa = json!({"spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db"}}});
        assert_eq!(
            scales(&id("autoscaling", "HorizontalPodAutoscaler", "x"), &hpa),
            Some(id("apps", "StatefulSet", "db"))
        );
        let keda = json!({"spec": {"scaleTargetRef": {"name": "web"}}});
        assert_eq!(scales(&id("keda.sh", "ScaledObject", "x"), &keda), Some(id("apps", "Deployment", "web")));
        assert_eq!(scales(&id("example.com", "Thing", "x"), &hpa), None);
    }
}

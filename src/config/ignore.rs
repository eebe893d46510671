//! `ignore`: fields that are left to others.

use super::problem::{Findings, Place};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use trueup_plan::ignore::IgnoreRule;

/// Fields that are left to others. An object is created with them; where they exist, trueup leaves them as they are. What is
/// left out limits nothing, but `fields` or `managers` there must be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IgnoreSpec {
    /// Only objects of this API group; empty for the core group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Only objects of this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Only objects in this namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Only the object of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Which fields, with all below them: JSON pointers, in which a list item is selected by its keys, as in
    /// `/spec/template/spec/containers/[name=app]/image`, and `*` stands for any one step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    /// Only fields that one of these field managers has written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub managers: Vec<String>,
}

impl IgnoreSpec {
    /// The rule; fields that are no pointers are left out, which a check refuses.
    pub(super) fn rule(&self) -> IgnoreRule {
        IgnoreRule {
            group: self.group.clone(),
            kind: self.kind.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            fields: self.fields.iter().filter_map(|field| field.parse().ok()).collect(),
            managers: self.managers.clone(),
        }
    }
}

pub(super) fn check_rules(rules: &[IgnoreSpec], findings: &mut Findings) {
    for (index, rule) in rules.iter().enumerate() {
        let place = || Place::spec("ignore").item(index);
        if rule.fields.is_empty() && rule.managers.is_empty() {
            findings.add(
                place(),
                "a rule needs `fields` or `managers`: all of an object cannot be left to others",
            );
        }
        for (field, text) in rule.fields.iter().enumerate() {
            if let Err(error) = text.parse::<trueup_merge::pattern::FieldPattern>() {
                findings.add(place().field("fields").item(field), format!("{text:?}: {error}"));
            }
        }
    }
}

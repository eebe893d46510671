//! Replica counts by name.

use super::complain;
use super::walk::{Make, visit};
use crate::config::FieldSpec;
use crate::error::{Error, Place};
use crate::fields::{listed, nearest};
use crate::model::ReplicaCount;
use crate::resmap::ResMap;
use crate::resource::Resource;
use crate::spelled::{self, Spellings};
use serde_json::json;
use std::collections::HashMap;
use trueup_model::Value;

/// As many names are told when none is near the one that was meant.
const FEW: usize = 3;

/// Writes a count; the quotes of a text that was there stay.
fn write(
    resource: &mut Resource,
    spec: &FieldSpec,
    count: &Value,
    spellings: &Spellings<'_>,
) -> Result<(), String> {
    let as_patch =
        spec.steps.iter().rev().fold(count.clone(), |value, step| json!({ step.field.as_str(): value }));
    let marked = spellings.mark_quoted(resource, &as_patch, &[]);
    let mut set = |value: &mut Value| {
        if value.is_object() || value.is_array() {
            return Err("a count must be a number, not a list or a mapping".to_owned());
        }
        *value = if spelled::is_quoted(value) { Value::from(count.to_string()) } else { count.clone() };
        Ok(())
    };
    let result = visit(&mut resource.value, spec, Make::Scalar, &mut set);
    if marked {
        spelled::unmark(&mut resource.value);
    }
    result
}

/// Sets the counts of the resources that have, or once had, their names.
pub(crate) fn set(
    resources: &mut ResMap,
    counts: &[ReplicaCount],
    specs: &[FieldSpec],
    spellings: &Spellings<'_>,
    place: &Place,
    errors: &mut Vec<Error>,
) {
    if counts.is_empty() {
        return;
    }
    let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
    for (position, resource) in resources.iter().enumerate() {
        let mut names: Vec<&str> = resource.previous.iter().map(|was| was.name.as_str()).collect();
        names.push(resource.name());
        names.sort_unstable();
        names.dedup();
        for name in names {
            by_name.entry(name.to_owned()).or_default().push(position);
        }
    }
    for count in counts {
        let mut found = false;
        for spec in specs {
            for position in by_name.get(&count.name).into_iter().flatten() {
                let resource = resources.content_mut(*position);
                let named = resource
                    .previous_ids()
                    .chain([resource.id()])
                    .any(|id| id.name == count.name && spec.gvk.selects(id.gvk));
                if !named {
                    continue;
                }
                found = true;
                if !spec.gvk.selects(resource.gvk()) {
                    continue;
                }
                if let Err(message) = write(resource, spec, &Value::from(count.count), spellings) {
                    errors.push(complain(place, resource, message));
                }
            }
        }
        if !found {
            let kinds: Vec<&str> = specs.iter().map(|spec| spec.gvk.kind.as_str()).collect();
            let scaled = resources.iter().filter(|one| specs.iter().any(|spec| spec.gvk.selects(one.gvk())));
            let names: Vec<&str> = scaled.map(Resource::name).collect();
            let near = match nearest(&count.name, &names) {
                Some(near) => format!(" (there is {near})"),
                None if (1..=FEW).contains(&names.len()) => format!(" (there is {})", listed(&names, "and")),
                None => String::new(),
            };
            errors.push(Error::new(
                &place.at(count.line),
                count.field.as_str(),
                format!(
                    "no {} is called {:?}{near}; correct the name, or remove the entry",
                    listed(&kinds, "or"),
                    count.name
                ),
            ));
        }
    }
}

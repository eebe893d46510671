//! `vars`: values of resources, put in the place of `$(NAME)`.
//!
//! Source: kustomize 5.8, `api/internal/accumulator` and `api/filters/refvar`.

use crate::build::Accumulator;
use crate::error::{Error, Place};
use crate::id::{self, DEFAULT_NAMESPACE};
use crate::kustomization::Kustomization;
use crate::model::Variable;
use crate::path;
use crate::resource::Name;
use crate::text;
use crate::transform::complain;
use crate::transform::select_path::lookup;
use crate::transform::walk::{Make, Selected, visit};
use std::collections::BTreeMap;
use trueup_model::Value;

/// Adds the vars of a kustomization and marks the resources that they take their values from.
pub(crate) fn declare(into: &mut Accumulator, kustomization: &Kustomization, errors: &mut Vec<Error>) {
    for variable in &kustomization.vars {
        let positions: Vec<usize> = into
            .resources
            .with_name(&variable.object)
            .into_iter()
            .filter(|position| {
                let resource = into.resources.get(*position);
                let now = resource.id();
                resource.previous_ids().chain([now]).any(|id| {
                    id.name == variable.object
                        && id.gvk == variable.gvk.as_ref()
                        && (variable.namespace.is_empty()
                            || id.namespace == id::or_default(&variable.namespace))
                })
            })
            .collect();
        match positions.as_slice() {
            [] => {}
            [position] => into.resources.content_mut(*position).variables.push(variable.name.clone()),
            several => {
                let names: Vec<String> =
                    several.iter().map(|at| into.resources.get(*at).id().to_string()).collect();
                errors.push(Error::new(
                    &place(variable),
                    format!("vars {}", variable.name),
                    format!("objref may mean each of {}; add a namespace", names.join(", ")),
                ));
            }
        }
        add(&mut into.variables, variable.clone(), errors);
    }
}

fn place(variable: &Variable) -> Place {
    Place::new(variable.file.clone(), variable.line)
}

/// Adds a var; each name is declared once.
pub(crate) fn add(all: &mut BTreeMap<String, Variable>, variable: Variable, errors: &mut Vec<Error>) {
    if let Some(known) = all.get(&variable.name) {
        errors.push(Error::new(
            &place(&variable),
            format!("vars {}", variable.name),
            format!("is declared already at {}:{}; rename one", known.file, known.line),
        ));
        return;
    }
    all.insert(variable.name.clone(), variable);
}

/// Replaces `$(NAME)` in the fields that may hold it.
pub(crate) fn resolve(all: &mut Accumulator, errors: &mut Vec<Error>) {
    if all.variables.is_empty() {
        return;
    }
    let mut values = BTreeMap::new();
    for variable in all.variables.values() {
        match value_of(all, variable) {
            Ok(value) => {
                values.insert(variable.name.clone(), value);
            }
            Err(message) => {
                errors.push(Error::new(&place(variable), format!("vars {}", variable.name), message));
            }
        }
    }
    let mut selected = Selected::new(&all.config.variables);
    let mut set = |field: &mut Value| expand_field(field, &values);
    for mut resource in all.resources.each_mut() {
        for spec in selected.of(&resource).iter() {
            if let Err(message) = visit(&mut resource.value, spec, Make::Nothing, &mut set) {
                let place = Place::new(resource.origin.path.clone(), resource.origin.line);
                errors.push(complain(&place, &resource, message));
            }
        }
    }
}

fn value_of(all: &Accumulator, variable: &Variable) -> Result<Value, String> {
    let resource =
        all.resources.iter().find(|resource| resource.variables.contains(&variable.name)).ok_or_else(
            || {
                let namespace =
                    if variable.namespace.is_empty() { DEFAULT_NAMESPACE } else { &variable.namespace };
                format!(
                    "there is no {} {} in the namespace {namespace}; compare kind and apiVersion",
                    variable.gvk, variable.object
                )
            },
        )?;
    let path = indices_apart(&variable.path);
    let found = lookup(&resource.value, &path).ok().flatten();
    let untyped = resource.untyped.name == Name::Untyped && path[..] == ["metadata", "name"];
    found
        .map(|value| if untyped { text::plain(resource.name()) } else { value.clone() })
        .ok_or_else(|| format!("{} has no field {}", resource.id(), variable.path))
}

/// `spec.ports[0].port` as `spec`, `ports`, `0`, `port`.
pub(crate) fn indices_apart(path: &str) -> Vec<String> {
    let mut parts = Vec::new();
    for part in path::split_fields(path) {
        let index = part.strip_suffix(']').and_then(|rest| rest.rsplit_once('['));
        match index {
            Some((name, index)) if !index.is_empty() && index.bytes().all(|b| b.is_ascii_digit()) => {
                if !name.is_empty() {
                    parts.push(name.to_owned());
                }
                parts.push(index.to_owned());
            }
            Some(_) | None => parts.push(part),
        }
    }
    parts
}

fn expand_field(field: &mut Value, values: &BTreeMap<String, Value>) -> Result<(), String> {
    match field {
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
        Value::String(written) => {
            if written.contains('$') {
                *field = expand(written, values);
            }
            Ok(())
        }
        Value::Object(fields) => {
            for value in fields.values_mut() {
                if let Value::String(written) = value
                    && written.contains('$')
                {
                    *value = expand(written, values);
                }
            }
            Ok(())
        }
        Value::Array(items) => {
            for item in items {
                let Value::String(written) = item else {
                    return Err(format!("an entry must be a text, not {}", text::kind_of(item)));
                };
                if written.contains('$') {
                    *item = expand(written, values);
                }
            }
            Ok(())
        }
    }
}

/// The text with each `$(NAME)` replaced; `$$` is a dollar. A text that is nothing but one reference takes
/// the value with its type.
fn expand(written: &str, values: &BTreeMap<String, Value>) -> Value {
    let mut text = String::with_capacity(written.len());
    let mut rest = written;
    while let Some(dollar) = rest.find('$') {
        text.push_str(&rest[..dollar]);
        let after = &rest[dollar + 1..];
        let Some(next) = after.chars().next() else {
            text.push('$');
            return Value::String(text);
        };
        if next == '$' {
            text.push('$');
            rest = &after[1..];
        } else if let Some((name, tail)) = after.strip_prefix('(').and_then(|inner| inner.split_once(')')) {
            let value =
                values.get(name).filter(|value| !value.is_object() && !value.is_array() && !value.is_null());
            match value {
                Some(value) if written.len() == name.len() + 3 => return value.clone(),
                Some(value) => text.push_str(&text::or_empty(Some(value))),
                None => {
                    text.push_str("$(");
                    text.push_str(name);
                    text.push(')');
                }
            }
            rest = tail;
        } else {
            text.push('$');
            text.push(next);
            rest = &after[next.len_utf8()..];
        }
    }
    text.push_str(rest);
    Value::String(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn references_are_replaced_and_everything_else_stays() {
        let values = BTreeMap::from([("A".to_owned(), json!("x")), ("N".to_owned(), json!(3))]);
        for (written, wanted) in [
            ("$(A)", json!("x")),
            ("$(N)", json!(3)),
            ("a-$(A)-$(N)", json!("a-x-3")),
            ("$(B)", json!("$(B)")),
            ("$$(A)", json!("$(A)")),
            ("$(A", json!("$(A")),
            ("$5 and $", json!("$5 and $")),
        ] {
            assert_eq!(expand(written, &values), wanted, "{written}");
        }
    }
}

//! `${name}` in rendered objects, strictly: a name that is not set is an error, never an empty text.
//!
//! As Flux has it: `${name}`, `${name:=default}`, `${name:-default}` (also without the colon), `$${name}` for a literal
//! `${name}`; an object annotated or labelled `kustomize.toolkit.fluxcd.io/substitute: disabled` is left alone. A text that is
//! one expression and nothing else takes the type that JSON gives the value (`replicas: ${replicas}` is a number), except
//! where only text is allowed: labels, annotations, the data of a `ConfigMap` or `Secret`, environment variables, arguments.

use super::RenderError;
use std::collections::BTreeMap;
use trueup_model::{Manifest, Tree, Value, tree};

/// The names that can be used, and their values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Variables(pub BTreeMap<String, String>);

const DISABLED: &str = "kustomize.toolkit.fluxcd.io/substitute";
const TEXT_ONLY: [&str; 9] =
    ["labels", "annotations", "matchLabels", "data", "stringData", "binaryData", "args", "command", "value"];

/// Replaces the expressions in all objects; all names that are not set are reported together.
pub(super) fn apply(
    manifests: &mut [Manifest],
    variables: &Variables,
    source: &dyn Tree,
) -> Result<(), RenderError> {
    let mut problems = Vec::new();
    for manifest in manifests {
        let was_folded = manifest.value.is_folded();
        if is_disabled(&manifest.value) {
            continue;
        }
        let mut wrong = Vec::new();
        replace(&mut manifest.value, variables, Typing::ByYaml, &mut wrong);
        for problem in wrong {
            let place = place(&problem, manifest, source);
            problems.push(format!("{place}: {}", problem.message(variables)));
        }
        if was_folded {
            manifest.value.fold();
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(RenderError(problems)) }
}

/// Whether a text that is one expression may become something else than text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Typing {
    ByYaml,
    Text,
}

enum Problem {
    Unset(String),
    Malformed(String),
}

impl Problem {
    fn message(&self, variables: &Variables) -> String {
        match self {
            Self::Unset(name) => {
                let known: Vec<&str> = variables.0.keys().map(String::as_str).collect();
                format!(
                    "${{{name}}} is not set; set it in the environment's values, give it a default as in ${{{name}:=text}}, or write $${{{name}}} to keep it as it is (set here: {})",
                    known.join(", ")
                )
            }
            Self::Malformed(text) => {
                format!("{text:?} is not an expression that trueup knows; write $${{…}} to keep it as it is")
            }
        }
    }

    fn needle(&self) -> &str {
        match self {
            Self::Unset(name) => name,
            Self::Malformed(text) => text.trim_start_matches("${"),
        }
    }
}

// The rendered object no longer knows its lines; the text of its file does.
fn place(problem: &Problem, manifest: &Manifest, source: &dyn Tree) -> String {
    let origin = &manifest.origin;
    let needle = format!("${{{}", problem.needle());
    let text = tree::read_text(source, &origin.path).unwrap_or_default();
    let line = text
        .lines()
        .enumerate()
        .skip(origin.line.saturating_sub(1))
        .find(|(_, line)| line.contains(&needle))
        .map(|(index, _)| index + 1);
    line.map_or_else(|| format!("{origin}: {}", manifest.id()), |line| format!("{}:{line}", origin.path))
}

fn is_disabled(object: &Value) -> bool {
    ["annotations", "labels"].into_iter().any(|field| {
        object
            .pointer(&format!("/metadata/{field}"))
            .and_then(|map| map.get(DISABLED))
            .and_then(Value::as_str)
            == Some("disabled")
    })
}

fn replace(value: &mut Value, variables: &Variables, typing: Typing, problems: &mut Vec<Problem>) {
    match value {
        Value::Object(fields) => {
            for (name, below) in fields.iter_mut() {
                let typing = if TEXT_ONLY.contains(&name.as_str()) { Typing::Text } else { typing };
                replace(below, variables, typing, problems);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, variables, typing, problems)),
        Value::String(text) if text.contains("${") => {
            let whole = is_one_expression(text);
            match expand(text, variables) {
                Ok(expanded) if whole && typing == Typing::ByYaml => *value = typed(expanded),
                Ok(expanded) => *text = expanded,
                Err(wrong) => problems.extend(wrong),
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn is_one_expression(text: &str) -> bool {
    text.starts_with("${") && text.find('}') == Some(text.len() - 1)
}

// Numbers and booleans as JSON writes them: YAML's further ones (`y`, `0o17`) are more often meant as text.
fn typed(text: String) -> Value {
    match serde_json::from_str(&text) {
        Ok(scalar @ (Value::Bool(_) | Value::Number(_))) => scalar,
        Ok(_) | Err(_) => Value::String(text),
    }
}

fn expand(text: &str, variables: &Variables) -> Result<String, Vec<Problem>> {
    let mut out = String::with_capacity(text.len());
    let mut problems = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let escaped = rest[..start].ends_with('$');
        let after = &rest[start + 2..];
        let Some(end) = after.find('}') else {
            problems.push(Problem::Malformed(rest[start..].to_owned()));
            break;
        };
        let expression = &after[..end];
        if escaped {
            out.push_str(&rest[..start - 1]);
            out.push_str("${");
            out.push_str(expression);
            out.push('}');
        } else {
            out.push_str(&rest[..start]);
            match value_of(expression, variables) {
                Ok(value) => out.push_str(value),
                Err(problem) => problems.push(problem),
            }
        }
        rest = &after[end + 1..];
    }
    out.push_str(rest);
    if problems.is_empty() { Ok(out) } else { Err(problems) }
}

fn value_of<'v>(expression: &'v str, variables: &'v Variables) -> Result<&'v str, Problem> {
    let name_end = expression.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.'));
    let (name, operation) = expression.split_at(name_end.unwrap_or(expression.len()));
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !is_name {
        return Err(Problem::Malformed(format!("${{{expression}}}")));
    }
    let set = variables.0.get(name).map(String::as_str);
    // With the colon an empty value counts as not set, as in a shell.
    let filled = set.filter(|value| !value.is_empty());
    if operation.is_empty() {
        set.ok_or_else(|| Problem::Unset(name.to_owned()))
    } else if let Some(default) = operation.strip_prefix(":=").or_else(|| operation.strip_prefix(":-")) {
        Ok(filled.unwrap_or(default))
    } else if let Some(default) = operation.strip_prefix('=').or_else(|| operation.strip_prefix('-')) {
        Ok(set.unwrap_or(default))
    } else {
        Err(Problem::Malformed(format!("${{{expression}}}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use trueup_model::{MemoryTree, Origin};

    fn variables() -> Variables {
        Variables(
            [("domain", "shop.example.com"), ("replicas", "4"), ("empty", "")]
                .map(|(k, v)| (k.into(), v.into()))
                .into(),
        )
    }

    fn check(value: Value, wanted: &Value) {
        let mut manifests = [Manifest { value: value.into(), origin: Origin::default() }];
        apply(&mut manifests, &variables(), &MemoryTree::new()).unwrap();
        assert_eq!(&manifests[0].value, wanted);
    }

    #[test]
    fn names_defaults_and_escapes_are_replaced_as_in_flux() {
        check(
            json!({"host": "www.${domain}", "a": "${none:=x}", "b": "${empty:-y}", "c": "${empty=z}", "d": "$${domain}", "e": "$domain"}),
            &json!({"host": "www.shop.example.com", "a": "x", "b": "y", "c": "", "d": "${domain}", "e": "$domain"}),
        );
    }

    #[test]
    fn a_whole_expression_takes_its_type_except_where_only_text_is_allowed() {
        check(
            json!({"spec": {"replicas": "${replicas}", "on": "${none:=true}"}, "metadata": {"labels": {"n": "${replicas}"}},
                "env": [{"name": "N", "value": "${replicas}"}]}),
            &json!({"spec": {"replicas": 4, "on": true}, "metadata": {"labels": {"n": "4"}}, "env": [{"name": "N", "value": "4"}]}),
        );
    }

    #[test]
    fn every_unset_name_is_an_error_with_file_and_line() {
        let tree = MemoryTree::from_iter([("app/a.yaml", "kind: X\na: 1\nb: ${no}\nc: ${nope}\n")]);
        let mut manifests = [Manifest {
            value: json!({"b": "${no}", "c": "${nope}"}).into(),
            origin: Origin { path: "app/a.yaml".into(), line: 1 },
        }];
        let RenderError(problems) = apply(&mut manifests, &variables(), &tree).unwrap_err();
        assert_eq!(problems.len(), 2);
        assert!(problems[0].starts_with("app/a.yaml:3: ${no} is not set"), "{problems:?}");
        assert!(problems[1].starts_with("app/a.yaml:4: ${nope} is not set"), "{problems:?}");
    }

    #[test]
    fn an_object_can_be_left_alone() {
        let object = json!({"metadata": {"annotations": {DISABLED: "disabled"}}, "a": "${none}"});
        check(object.clone(), &object);
    }
}

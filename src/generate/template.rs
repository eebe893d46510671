//! An AppSet's template filled in for one element.
//!
//! Enters: the template, and the parameters of the element. Leaves: an App. An App has placeholders of its own, which are filled in
//! for each of its targets, so there are three kinds of fields: those in which the App's placeholders stay, those that take none after
//! this, and the values of a chart, whose texts may have any braces: there only a generator's placeholders are seen.

use super::Parameters;
use super::pulls::WRITTEN;
use crate::config::nearest::suggestion;
use crate::config::{AppSpec, AppTemplate, Place, Step};
use serde_json::Value;

/// What names of a generator's placeholders begin with.
const OURS: [&str; 5] = ["folder.", "file.", "item.", "cluster.", "pull."];

/// What becomes of placeholders that are not a generator's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Others {
    /// They are the App's.
    Stay,
    /// There are none.
    Refused,
    /// It is text.
    Text,
}

/// The name and the spec of the App that the template makes of an element.
///
/// # Errors
/// A field, and what is wrong with it.
pub(super) fn fill(
    template: &AppTemplate,
    parameters: &Parameters,
) -> Result<(String, AppSpec), (Place, String)> {
    let at = Place::spec("template");
    let name = text(&template.metadata.name, parameters, Others::Refused);
    let name = name.map_err(|why| (at.field("metadata").field("name"), why))?;
    let place = at.field("spec");
    let mut spec =
        serde_json::to_value(&template.spec).map_err(|error| (place.clone(), error.to_string()))?;
    value(&mut spec, parameters, &place)?;
    let spec = serde_json::from_value(spec).map_err(|error| (place, error.to_string()))?;
    Ok((name, spec))
}

fn value(here: &mut Value, parameters: &Parameters, place: &Place) -> Result<(), (Place, String)> {
    match here {
        Value::String(written) => {
            let others = others(place);
            if let (Others::Text, Some(whole)) = (others, whole(written, parameters)) {
                *here = whole;
            } else {
                *written = text(written, parameters, others).map_err(|why| (place.clone(), why))?;
            }
            Ok(())
        }
        Value::Array(items) => {
            let mut items = items.iter_mut().enumerate();
            items.try_for_each(|(index, item)| value(item, parameters, &place.item(index)))
        }
        Value::Object(fields) => {
            fields.iter_mut().try_for_each(|(name, field)| value(field, parameters, &place.field(name)))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

/// What becomes of other placeholders in a field of the template.
fn others(place: &Place) -> Others {
    // Behind `spec.template.spec`.
    let names: Vec<&str> = place.0[3..]
        .iter()
        .filter_map(|step| match step {
            Step::Field(name) => Some(name.as_str()),
            Step::Item(_) => None,
        })
        .collect();
    match names.as_slice() {
        ["repository" | "path" | "namespace"]
        | ["ref", ..]
        | ["helm", "chart" | "version" | "releaseName" | "valuesFiles"]
        | ["helm", "valuesFrom", "name"] => Others::Stay,
        ["helm", "values", ..] => Others::Text,
        _ => Others::Refused,
    }
}

/// The parameter that a text is, with its type, where it is one placeholder and nothing else.
fn whole(written: &str, parameters: &Parameters) -> Option<Value> {
    let name = written.trim().strip_prefix('{')?.strip_suffix('}')?;
    parameters.get(name.trim()).cloned()
}

fn text(written: &str, parameters: &Parameters, others: Others) -> Result<String, String> {
    let mut filled = String::with_capacity(written.len());
    let mut rest = written;
    while let Some(at) = rest.find(['{', '}']) {
        filled.push_str(&rest[..at]);
        let from = &rest[at..];
        if let Some(brace) = ["{{", "}}"].into_iter().find(|brace| from.starts_with(brace)) {
            filled.push_str(if others == Others::Refused { &brace[..1] } else { brace });
            rest = &from[2..];
            continue;
        }
        let name = from.strip_prefix('{').and_then(|behind| behind.split_once('}'));
        let ours = name.filter(|(name, _)| OURS.iter().any(|ours| name.trim().starts_with(ours)));
        match (ours, name, others) {
            (Some((name, _)), _, Others::Stay | Others::Refused) if WRITTEN.contains(&name.trim()) => {
                return Err(format!(
                    "`{{{}}}` may be any text that somebody wrote: it is for `helm.values` alone; `{{pull.number}}`, `{{pull.branch_slug}}` and `{{pull.head_sha}}` are safe everywhere",
                    name.trim()
                ));
            }
            (Some((name, behind)), _, _) => {
                let found = parameters.get(name.trim()).ok_or_else(|| unknown(name.trim(), parameters))?;
                filled.push_str(&written_as(found, others));
                rest = behind;
            }
            (None, Some((name, _)), Others::Refused) => return Err(unknown(name.trim(), parameters)),
            (None, None, Others::Refused) if from.starts_with('{') => {
                return Err("a `{` without its `}`: write `{{` for the brace itself".to_owned());
            }
            (None, None, Others::Refused) => {
                return Err("a `}` without its `{`: write `}}` for the brace itself".to_owned());
            }
            // What is wrong with it is found when the App's own placeholders are filled in.
            (None, _, Others::Stay | Others::Text) => {
                filled.push_str(&from[..1]);
                rest = &from[1..];
            }
        }
    }
    filled.push_str(rest);
    Ok(filled)
}

/// A parameter as a part of a text. What it says is no placeholder, whatever braces are in it.
fn written_as(parameter: &Value, others: Others) -> String {
    let text = parameter.as_str().map_or_else(|| parameter.to_string(), str::to_owned);
    match others {
        Others::Stay => text.replace('{', "{{").replace('}', "}}"),
        Others::Refused | Others::Text => text,
    }
}

fn unknown(name: &str, parameters: &Parameters) -> String {
    let near = suggestion(name, parameters.keys().map(String::as_str), "there are none here");
    format!("unknown placeholder `{{{name}}}`{near}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parameters() -> Parameters {
        [("folder.name", json!("web")), ("item.size", json!(3)), ("item.odd", json!("a{b}"))]
            .map(|(name, value)| (name.to_owned(), value))
            .into()
    }

    fn check(spec: &Value, expected: &Result<Value, &str>) {
        let template = json!({"metadata": {"name": "shop-{folder.name}"}, "spec": spec});
        let template: AppTemplate = serde_json::from_value(template).unwrap();
        let filled = fill(&template, &parameters()).map_err(|(place, why)| format!("{place}: {why}"));
        let wanted =
            expected.clone().map(|spec| ("shop-web".to_owned(), serde_json::from_value(spec).unwrap()));
        assert_eq!(filled, wanted.map_err(str::to_owned));
    }

    #[test]
    fn a_generators_placeholders_are_filled_and_the_apps_own_stay() {
        check(
            &json!({"repository": "config", "path": "apps/{folder.name}/{environment}/{{x}}", "environments": ["t{item.size}"]}),
            &Ok(
                json!({"repository": "config", "path": "apps/web/{environment}/{{x}}", "environments": ["t3"]}),
            ),
        );
        check(
            &json!({"repository": "config", "path": "{item.odd}", "environments": ["{item.odd}", "{{x}}"]}),
            &Ok(json!({"repository": "config", "path": "a{{b}}", "environments": ["a{b}", "{x}"]})),
        );
    }

    #[test]
    fn in_values_of_a_chart_a_parameter_keeps_its_type_and_other_braces_are_text() {
        let values =
            json!({"replicas": "{item.size}", "text": "{{ .Release.Name }}-{ folder.name }-{x}", "n": 1});
        let filled = json!({"replicas": 3, "text": "{{ .Release.Name }}-web-{x}", "n": 1});
        let app = |values: Value| json!({"repository": "c", "environments": [], "helm": {"chart": "web", "values": values}});
        check(&app(values), &Ok(app(filled)));
    }

    #[test]
    fn an_unknown_placeholder_is_named_with_its_field() {
        let app = |field: &str, text: &str| {
            let mut app = json!({"repository": "c", "path": "p", "environments": ["test"]});
            app[field] = if field == "environments" { json!([text]) } else { json!(text) };
            app
        };
        check(
            &app("path", "{folder.nam}"),
            &Err("spec.template.spec.path: unknown placeholder `{folder.nam}`, did you mean `folder.name`?"),
        );
        check(
            &app("environments", "{environment}"),
            &Err(
                "spec.template.spec.environments[0]: unknown placeholder `{environment}`, known: `folder.name`, `item.odd`, `item.size`",
            ),
        );
        check(
            &app("environments", "a}"),
            &Err(
                "spec.template.spec.environments[0]: a `}` without its `{`: write `}}` for the brace itself",
            ),
        );
        check(&app("path", "{app"), &Ok(app("path", "{app")));
    }
}

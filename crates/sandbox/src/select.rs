//! Label and field selectors.
//!
//! Source: k8s.io/apimachinery `pkg/labels` (equality and set forms) and `pkg/fields`.

use crate::answer::Refusal;
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
        None if text.contains(char::is_whitespace) => Err(wrong()),
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
}

//! Takes what Secrets say out of what is said about a rendering that failed: a template may quote any value.

use super::lookups::Answers;
use super::{RenderError, Unrendered};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use trueup_helm::read_values;
use trueup_model::Value;

/// What is shorter cannot be told from ordinary words, and stays.
const SHORTEST: usize = 4;
/// What is shown instead.
const HIDDEN: &str = "***";

/// The same without the values of the Secrets among the answers.
pub(super) fn scrubbed(unrendered: Unrendered, answers: &Answers) -> Unrendered {
    let Unrendered::Broken(RenderError(mut problems)) = unrendered else { return unrendered };
    let mut words = Vec::new();
    for (_, answer) in answers.iter() {
        if let Some(content) = answer.content() {
            of_object(content, &mut words);
        }
    }
    words.retain(|word| word.len() >= SHORTEST);
    // The longest first: one may be a part of another.
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    for problem in &mut problems {
        for word in &words {
            if problem.contains(word) {
                *problem = problem.replace(word, HIDDEN);
            }
        }
    }
    Unrendered::Broken(RenderError(problems))
}

/// What a Secret, or a list of them, holds: as it is written, as it is, and, where that is YAML, each value in it.
fn of_object(object: &Value, words: &mut Vec<String>) {
    if let Some(items) = object["items"].as_array() {
        for item in items {
            of_object(item, words);
        }
    }
    if object["kind"] != "Secret" {
        return;
    }
    for written in object["data"].as_object().into_iter().flatten().filter_map(|(_, value)| value.as_str()) {
        words.push(written.to_owned());
        let decoded = BASE64_STANDARD.decode(written).ok();
        let Some(text) = decoded.and_then(|bytes| String::from_utf8(bytes).ok()) else { continue };
        words.push(text.trim().to_owned());
        for value in read_values(&text).unwrap_or_default().values() {
            texts(value, words);
        }
    }
}

fn texts(value: &Value, words: &mut Vec<String>) {
    match value {
        Value::String(text) => words.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| texts(item, words)),
        Value::Object(fields) => fields.values().for_each(|field| texts(field, words)),
        Value::Number(number) => words.extend(number.as_f64().map(|number| number.to_string())),
        Value::Null | Value::Bool(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Query;
    use crate::render::lookups::Answer;
    use serde_json::json;

    #[test]
    fn what_secrets_hold_is_taken_out_in_every_form_and_other_words_stay() {
        let encoded = BASE64_STANDARD.encode("db:\n  password: swordfish\n");
        let secret =
            json!({"kind": "Secret", "data": {"values.yaml": encoded, "n": BASE64_STANDARD.encode("abc")}});
        let list = json!({"kind": "SecretList", "items": [{"kind": "Secret", "data": {"k": BASE64_STANDARD.encode("hunter2\n")}}]});
        let config = json!({"kind": "ConfigMap", "data": {"k": "plainly"}});
        let answers = [secret, list, config].into_iter().enumerate().map(|(number, object)| {
            (Query::core("Any", "shop", &number.to_string()), Answer::of(Some(object)))
        });
        let answers = Answers::Known(answers.collect());
        let told = |text: String| match scrubbed(RenderError(vec![text]).into(), &answers) {
            Unrendered::Broken(error) => error.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(told("no swordfish, hunter2".to_owned()), "no ***, ***");
        assert_eq!(told(format!("got {encoded}")), "got ***");
        assert_eq!(told("plainly abc".to_owned()), "plainly abc");
    }
}

//! Changes a field of a JSON or YAML document that a text holds, and leaves the rest of the text alone.

use trueup_model::Value;
use trueup_model::yaml::{self, Content, Node};

/// Stands before a word that is written with the tag of what it takes the place of.
const TAGGED: &str = "\0tagged\0";

/// What a text becomes in the place of a value of another type: in YAML the type stays, written out. `None` for texts and
/// for what is no single value.
pub(crate) fn tagged(old: &Value, new: &str) -> Option<Value> {
    let tag = match old {
        Value::Null => "!!null",
        Value::Bool(_) => "!!bool",
        Value::Number(number) if number.is_f64() => "!!float",
        Value::Number(_) => "!!int",
        Value::String(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    let word = crate::text::plain(new);
    let word = if word.is_string() { yaml::to_yaml(&word).trim_end().to_owned() } else { new.to_owned() };
    Some(Value::from(format!("{TAGGED}{tag} {word}")))
}

/// A scalar as it is written.
fn written(value: &Value) -> String {
    match value.as_str().and_then(|text| text.strip_prefix(TAGGED)) {
        Some(tagged) => tagged.to_owned(),
        None => yaml::to_yaml(value).trim_end().to_owned(),
    }
}

/// Edits the document in `text`. `change` gives the number of fields that it set; `None` when that is none, when
/// the text is no document, or when the change cannot be written back.
pub(crate) fn edit(
    text: &str,
    change: &mut dyn FnMut(&mut Value) -> Result<usize, String>,
) -> Option<String> {
    let node = yaml::parse(text).ok()?.into_iter().next()?;
    let before = node.to_value();
    let mut after = before.clone();
    if change(&mut after).ok()? == 0 {
        return None;
    }
    match text.trim_start().chars().next()? {
        '{' | '[' => Some(as_json(&after, text)),
        _ => as_yaml(text, &node, &after),
    }
}

/// JSON in one line, or with indents where it had some; escaped as Go does.
fn as_json(value: &Value, before: &str) -> String {
    let json = if before.contains('\n') && before.contains("  ") {
        serde_json::to_string_pretty(value).unwrap_or_default()
    } else {
        value.to_string()
    };
    crate::generate::hash::escape_as_go(&json)
}

/// YAML with the changed scalars replaced where they stand; printed anew when more than scalars changed.
fn as_yaml(text: &str, node: &Node, after: &Value) -> Option<String> {
    let mut edits = Vec::new();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    if scalar_edits(node, after, &mut edits) {
        // From the end, so that earlier positions hold.
        edits.sort_by_key(|(line, column, ..)| std::cmp::Reverse((*line, *column)));
        if edits.iter().all(|(line, column, old, new)| replace_scalar(&mut lines, *line, *column, old, new)) {
            if !text.contains(['|', '>']) {
                for line in &mut lines {
                    close_up_comment(line);
                }
            }
            return Some(lines.join("\n").trim().to_owned());
        }
    }
    (!holds_tagged(after)).then(|| yaml::to_yaml(after).trim().to_owned())
}

/// One space before a comment, as a printer has it.
fn close_up_comment(line: &mut String) {
    let mut quote = None;
    let mut before = ' ';
    let mut comment = None;
    for (at, c) in line.char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            None if c == '#' && before == ' ' => {
                comment = Some(at);
                break;
            }
            None if matches!(c, '"' | '\'') && matches!(before, ' ' | '[' | '{' | ',') => quote = Some(c),
            Some(_) | None => {}
        }
        before = c;
    }
    if let Some(at) = comment {
        let content = line[..at].trim_end().len();
        if content > 0 {
            line.replace_range(content..at, " ");
        }
    }
}

fn holds_tagged(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(holds_tagged),
        Value::Object(fields) => fields.values().any(holds_tagged),
        Value::String(text) => text.starts_with(TAGGED),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

type Edit = (usize, usize, Value, Value);

/// Collects the scalars that differ; false when something else does.
fn scalar_edits(node: &Node, after: &Value, edits: &mut Vec<Edit>) -> bool {
    match (&node.content, after) {
        (Content::Scalar(old), new) if old == new => true,
        (Content::Scalar(old), new) if !new.is_object() && !new.is_array() => {
            edits.push((node.at.line, node.at.column, old.clone(), new.clone()));
            true
        }
        (Content::List(items), Value::Array(after)) => {
            items.len() == after.len()
                && items.iter().zip(after).all(|(item, after)| scalar_edits(item, after, edits))
        }
        (Content::Map(entries), Value::Object(after)) => {
            entries.len() == after.len()
                && entries.iter().all(|(key, _, value)| {
                    after.get(key).is_some_and(|after| scalar_edits(value, after, edits))
                })
        }
        (Content::Scalar(_) | Content::List(_) | Content::Map(_), _) => false,
    }
}

/// Replaces a scalar that stands in one line; false when it does not stand there as expected.
fn replace_scalar(lines: &mut [String], line: usize, column: usize, old: &Value, new: &Value) -> bool {
    let Some(text) = line.checked_sub(1).and_then(|index| lines.get_mut(index)) else { return false };
    let Some((start, _)) = text.char_indices().nth(column.saturating_sub(1)) else { return false };
    let rest = &text[start..];
    let old_text = crate::text::or_empty(Some(old)).into_owned();
    let new_text = crate::text::or_empty(Some(new)).into_owned();
    let (written, replacement) = match rest.chars().next() {
        Some(quote @ ('"' | '\'')) => {
            let written = format!("{quote}{old_text}{quote}");
            let plain = !new_text.contains(['"', '\'', '\\', '\n']);
            if !plain {
                return false;
            }
            (written, format!("{quote}{new_text}{quote}"))
        }
        _ => (old_text, written(new)),
    };
    let fits = rest.starts_with(&written) && !replacement.contains('\n');
    if fits {
        text.replace_range(start..start + written.len(), &replacement);
    }
    fits
}

//! What keeps the work of a build in proportion to what is written: patches and replacements may copy what they
//! made before, and would otherwise double it, or nest it deeper, each time.

use trueup_model::Value;
use trueup_model::yaml::MAX_DEPTH;

/// How large a value may be that is copied, in bytes; no API server takes an object that large.
const MAX_COPIED: usize = 4 << 20;
/// What a value counts besides its text.
const NODE: usize = 32;

/// Refuses a value that is too large to be copied, or too deep for its place that many levels down.
pub(crate) fn check(value: &Value, above: usize) -> Result<(), String> {
    if !value.is_object() && !value.is_array() && !value.is_string() {
        return Ok(());
    }
    let (size, depth) = measure(value);
    if size > MAX_COPIED {
        return Err(format!("what is copied there has {} MiB, more than {}", size >> 20, MAX_COPIED >> 20));
    }
    check_depth(above + depth)
}

/// Refuses a path of too many parts.
pub(crate) fn check_depth(depth: usize) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err(format!("{depth} levels are nested in each other then, more than {MAX_DEPTH}"));
    }
    Ok(())
}

/// The size of a value and how many levels of lists and mappings are in it.
fn measure(value: &Value) -> (usize, usize) {
    let add =
        |(size, depth): (usize, usize), (more, below): (usize, usize)| (size + more, depth.max(below + 1));
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => (NODE, 0),
        Value::String(text) => (NODE + text.len(), 0),
        Value::Array(items) => items.iter().map(measure).fold((NODE, 1), add),
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| {
                let (size, depth) = measure(value);
                (size + key.len(), depth)
            })
            .fold((NODE, 1), add),
    }
}

/// How many levels of lists and mappings are in a value.
pub(crate) fn depth(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_value_is_measured_with_its_keys_and_levels() {
        assert_eq!(measure(&json!("abc")), (NODE + 3, 0));
        assert_eq!(measure(&json!({"ab": [1, {}]})), (4 * NODE + 2, 3));
        assert_eq!(depth(&json!({"ab": [1, {}]})), 3);
    }

    #[test]
    fn what_is_too_large_or_too_deep_is_refused() {
        assert!(check(&json!(["x".repeat(MAX_COPIED)]), 0).is_err());
        assert!(check(&json!([[]]), MAX_DEPTH - 2).is_ok());
        assert!(check(&json!([[]]), MAX_DEPTH - 1).is_err());
    }
}

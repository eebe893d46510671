//! Finalizers of somebody else: what has one is there until they are done with it.

use crate::content::text;
use serde_json::{Value, json};

/// The finalizer.
pub(crate) const HOLD: &str = "example.com/hold";

fn finalizers(object: &Value) -> impl Iterator<Item = &Value> {
    object["metadata"]["finalizers"].as_array().into_iter().flatten()
}

/// Whether an object is held.
pub(crate) fn is_held(object: &Value) -> bool {
    finalizers(object).any(|finalizer| text(finalizer) == HOLD)
}

/// The patch that holds an object.
pub(crate) fn hold(object: &Value) -> Value {
    let all: Vec<Value> = finalizers(object).cloned().chain([HOLD.into()]).collect();
    json!({"metadata": {"finalizers": all}})
}

/// The patch that lets it go.
pub(crate) fn release(object: &Value) -> Value {
    let others: Vec<&Value> = finalizers(object).filter(|finalizer| text(finalizer) != HOLD).collect();
    json!({"metadata": {"finalizers": others}})
}

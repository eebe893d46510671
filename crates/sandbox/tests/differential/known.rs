//! Differences that are known and stay, each with its reason; docs/sandbox.md lists them.

use crate::operation::Operation;
use serde_json::Value;

/// Why a difference stays, if it does.
pub fn reason(_operation: &Operation, _real: &Value, _ours: &Value) -> Option<&'static str> {
    None
}

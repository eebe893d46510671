//! What the tests of this crate ask a sandbox with.

use crate::{Answer, Request, Sandbox};
use jiff::Timestamp;
use serde_json::Value;

/// Asks, at the beginning of the epoch; gives the answer's body. A patch is a merge patch, and a deletion has no body.
pub(crate) fn ask(sandbox: &mut Sandbox, method: &str, path: &str, body: &Value) -> Value {
    ask_at(sandbox, Timestamp::UNIX_EPOCH, method, path, body)
}

/// The same at a time.
pub(crate) fn ask_at(sandbox: &mut Sandbox, now: Timestamp, method: &str, path: &str, body: &Value) -> Value {
    let body = if method == "DELETE" { String::new() } else { body.to_string() };
    let request = Request {
        method,
        path,
        query: "",
        accept: "application/json",
        content_type: if method == "PATCH" { "application/merge-patch+json" } else { "application/json" },
        user_agent: "test",
        user: "",
        body: body.as_bytes(),
    };
    match sandbox.handle(now, &request) {
        Answer::Json { body, .. } => body,
        Answer::Watch(_) => Value::Null,
    }
}

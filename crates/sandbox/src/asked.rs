//! Requests as the sandbox's own tests make them.

use crate::{Answer, Request, Sandbox};
use jiff::Timestamp;
use serde_json::Value;

/// The document that a request is answered with, `seconds` after the cluster's start.
pub(crate) fn ask_at(sandbox: &mut Sandbox, seconds: i64, method: &str, path: &str, body: &Value) -> Value {
    let body = if body.is_null() { String::new() } else { body.to_string() };
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
    let now = Timestamp::from_second(seconds).unwrap_or_default();
    match sandbox.handle(now, &request) {
        Answer::Json { body, .. } => body,
        Answer::Watch(_) => Value::Null,
    }
}

/// The same at its start.
pub(crate) fn ask(sandbox: &mut Sandbox, method: &str, path: &str, body: &Value) -> Value {
    ask_at(sandbox, 0, method, path, body)
}

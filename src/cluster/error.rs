//! What the API server, or the way to it, says when it does not do what it was asked.

use std::fmt;
use std::time::Duration;
use trueup_merge::refusal::{conflicts, immutable_fields};
use trueup_model::Value;

/// What a refusal means for what to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiErrorClass {
    /// 403: our rights do not reach; the message names verb and kind.
    Forbidden,
    /// 401: the credentials are wrong or expired.
    Unauthorized,
    /// 404 of an object or of its namespace.
    NotFound,
    /// 409: another manager owns a field, or the object changed meanwhile.
    Conflict,
    /// 400 or 422: the object as written is wrong.
    Invalid,
    /// 422: these fields can never be changed.
    Immutable(Vec<String>),
    /// The object is larger than the server takes.
    TooLarge,
    /// 429: later.
    Throttled,
    /// No connection.
    Unreachable,
    /// No answer in time.
    Timeout,
    /// The server does not serve the kind.
    NoSuchKind,
    /// It was not sent: this process may not write at present.
    Fenced,
    /// It was not sent: connections were cut off while it waited, and what it goes by may not hold any more.
    CutOff,
    /// Anything else, such as a 500.
    Other,
}

/// A request that was not carried out: what was asked, and the answer.
#[derive(Clone, Debug)]
pub struct ApiError {
    /// What it means.
    pub class: ApiErrorClass,
    /// What was asked of what, and the server's words.
    pub message: String,
    /// When the server wants to be asked again.
    pub retry_after: Option<Duration>,
    /// The server's whole answer, for a field that can never be changed.
    pub(super) status: Option<Box<Value>>,
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ApiError {}

impl ApiError {
    pub(super) fn new(class: ApiErrorClass, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), retry_after: None, status: None }
    }

    /// A request that was waited for no longer.
    pub fn unanswered(what: &str, limit: Duration) -> Self {
        Self::new(ApiErrorClass::Timeout, format!("{what}: no answer within {limit:?}"))
    }

    /// A request that waited to be sent, and is not wanted any more.
    pub(super) fn cut_off(verb: &str, what: &dyn fmt::Display) -> Self {
        let words = "connections were cut off while it waited to be sent: the cluster is looked at again";
        Self::new(ApiErrorClass::CutOff, format!("{verb} {what}: {words}"))
    }

    /// An error of a kind that discovery does not know.
    pub(super) fn no_such_kind(what: &str) -> Self {
        Self::new(ApiErrorClass::NoSuchKind, format!("the cluster does not serve {what}"))
    }

    /// Reads an answer with an error code. `what` says what was asked: `apply Deployment.apps shop/web`.
    pub(crate) fn from_answer(
        what: &str,
        code: u16,
        body: &[u8],
        retry_after: Option<Duration>,
        sent: usize,
    ) -> Self {
        let answer: Option<Value> = serde_json::from_slice(body).ok();
        let words = match &answer {
            Some(status) => status.get("message").and_then(Value::as_str).unwrap_or_default().to_owned(),
            // Not the API server's own words: a proxy's, perhaps.
            None => String::from_utf8_lossy(body).trim().chars().take(300).collect(),
        };
        let status = answer.unwrap_or_default();
        let class = classify(code, &status, &words);
        let message = match &class {
            ApiErrorClass::TooLarge => {
                format!("{what}: the object has {sent} bytes, more than the server takes: {words}")
            }
            ApiErrorClass::Immutable(fields) => format!("{what}: immutable: {}: {words}", fields.join(", ")),
            ApiErrorClass::Conflict => {
                let owners: Vec<String> = conflicts(&status)
                    .into_iter()
                    .map(|(manager, field)| format!("{field} of {manager}"))
                    .collect();
                if owners.is_empty() {
                    format!("{what}: {words}")
                } else {
                    format!("{what}: conflict over {}", owners.join(", "))
                }
            }
            _ if words.is_empty() => format!("{what}: the server answered {code}"),
            _ => format!("{what}: {words}"),
        };
        let status = matches!(class, ApiErrorClass::Immutable(_)).then(|| Box::new(status));
        Self { class, message, retry_after, status }
    }

    /// Whether the request may take effect all the same, now or later: nothing was heard of it, or that it took too long.
    pub(super) fn is_unanswered(&self) -> bool {
        match self.class {
            ApiErrorClass::Unreachable | ApiErrorClass::Timeout | ApiErrorClass::Other => true,
            ApiErrorClass::Throttled
            | ApiErrorClass::Forbidden
            | ApiErrorClass::Unauthorized
            | ApiErrorClass::NotFound
            | ApiErrorClass::Conflict
            | ApiErrorClass::Invalid
            | ApiErrorClass::Immutable(_)
            | ApiErrorClass::TooLarge
            | ApiErrorClass::NoSuchKind
            | ApiErrorClass::Fenced
            | ApiErrorClass::CutOff => false,
        }
    }

    /// Whether asking the same again may help without anybody doing anything.
    pub(super) fn is_passing(&self) -> bool {
        self.is_unanswered() || matches!(self.class, ApiErrorClass::Throttled)
    }
}

fn classify(code: u16, status: &Value, words: &str) -> ApiErrorClass {
    let reason = status.get("reason").and_then(Value::as_str).unwrap_or_default();
    let too_large = code == 413
        || words.contains("request is too large")
        || words.contains("etcdserver: request")
        || words.contains("Too long: must have at most")
        || words.contains("trying to send message larger than max");
    match code {
        _ if too_large => ApiErrorClass::TooLarge,
        401 => ApiErrorClass::Unauthorized,
        403 => ApiErrorClass::Forbidden,
        404 => ApiErrorClass::NotFound,
        409 => ApiErrorClass::Conflict,
        429 => ApiErrorClass::Throttled,
        400 | 422 => match immutable_fields(status) {
            fields if fields.is_empty() => ApiErrorClass::Invalid,
            fields => ApiErrorClass::Immutable(fields),
        },
        // The server has no better code for an object that does not fit its schema; asking again changes nothing.
        500 if words.starts_with("failed to create typed ") => ApiErrorClass::Invalid,
        504 => ApiErrorClass::Timeout,
        _ if reason == "Timeout" || reason == "ServerTimeout" => ApiErrorClass::Timeout,
        _ => ApiErrorClass::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(code: u16, status: &Value, class: &ApiErrorClass, words: &str) {
        let error =
            ApiError::from_answer("apply ConfigMap a/b", code, status.to_string().as_bytes(), None, 7);
        assert_eq!((&error.class, error.message.contains(words)), (class, true), "{}", error.message);
    }

    #[test]
    fn answers_are_told_apart_by_what_they_mean() {
        check(
            403,
            &json!({"message": "secrets is forbidden: User \"x\" cannot patch resource \"secrets\""}),
            &ApiErrorClass::Forbidden,
            "cannot patch resource",
        );
        check(
            500,
            &json!({"message": "etcdserver: request is too large"}),
            &ApiErrorClass::TooLarge,
            "7 bytes",
        );
        check(
            422,
            &json!({"message": "invalid", "details": {"causes": [{"field": "spec.selector", "message": "field is immutable"}]}}),
            &ApiErrorClass::Immutable(vec!["spec.selector".into()]),
            "immutable: spec.selector",
        );
        check(
            409,
            &json!({"message": "conflict", "details": {"causes": [{"reason": "FieldManagerConflict", "field": ".data.a",
            "message": "conflict with \"kubectl\" using v1"}]}}),
            &ApiErrorClass::Conflict,
            "conflict over data.a of kubectl",
        );
        check(503, &json!({}), &ApiErrorClass::Other, "the server answered 503");
        check(
            500,
            &json!({"message": "failed to create typed patch object (a/b; v1, Kind=ConfigMap): .dat: field not declared in schema"}),
            &ApiErrorClass::Invalid,
            ".dat: field not declared in schema",
        );
    }
}

//! Answers, and refusals in the API server's words.
//!
//! Source: `metav1.Status`, and k8s.io/apimachinery `pkg/api/errors` for the messages.

use crate::watch::Watch;
use serde_json::{Value, json};
use trueup_merge::field_manager::Conflict;

/// The media type of a text, which is no document although it is kept as one.
pub const TEXT: &str = "text/plain";

/// What a request is answered with.
#[derive(Debug)]
pub enum Answer {
    /// One JSON document.
    Json {
        /// The HTTP status.
        code: u16,
        /// The document.
        body: Value,
        /// Its media type.
        media_type: &'static str,
    },
    /// Events, from here on.
    Watch(Watch),
}

impl Answer {
    /// A document that was asked for.
    pub fn ok(body: Value) -> Self {
        Self::json(200, body)
    }

    /// A text that was asked for, such as a log. It is sent as it is.
    pub fn text(body: String) -> Self {
        Self::Json { code: 200, body: body.into(), media_type: TEXT }
    }

    /// A document with another status than 200.
    pub fn json(code: u16, body: Value) -> Self {
        Self::Json { code, body, media_type: "application/json" }
    }
}

/// Why a request is not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub code: u16,
    /// The reason, in one word.
    pub reason: &'static str,
    /// The message.
    pub message: String,
    /// What it is about.
    pub about: Box<About>,
    /// What is wrong in particular.
    pub causes: Vec<Cause>,
}

/// The object that a refusal is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// The name, where there is one.
    pub name: String,
    /// The API group.
    pub group: String,
    /// The kind, or the resource's name, as the API server has it in the place.
    pub kind: String,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// In one word.
    pub reason: &'static str,
    /// In a sentence.
    pub message: String,
    /// The field.
    pub field: String,
}

impl Refusal {
    fn new(code: u16, reason: &'static str, message: String) -> Self {
        Self { code, reason, message, about: Box::default(), causes: Vec::new() }
    }

    fn about(self, about: About) -> Self {
        Self { about: Box::new(about), ..self }
    }

    /// There is no such object.
    pub fn not_found(about: About) -> Self {
        let message = format!("{} {:?} not found", qualified(&about), about.name);
        Self::new(404, "NotFound", message).about(about)
    }

    /// There is no such path.
    pub fn no_such_path() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource".to_owned())
    }

    /// The object is there already.
    pub fn already_exists(about: About) -> Self {
        let message = format!("{} {:?} already exists", qualified(&about), about.name);
        Self::new(409, "AlreadyExists", message).about(about)
    }

    /// The object is there still, and about to go.
    pub fn ending(about: About) -> Self {
        let refusal = Self::already_exists(about);
        Self { message: format!("object is being deleted: {}", refusal.message), ..refusal }
    }

    /// The request does not fit what is there.
    pub fn conflict(about: About, why: &str) -> Self {
        let message =
            format!("Operation cannot be fulfilled on {} {:?}: {why}", qualified(&about), about.name);
        Self::new(409, "Conflict", message).about(about)
    }

    /// The request is not one that can be understood.
    pub fn bad_request(why: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", why.into())
    }

    /// The object is not as it has to be. `about.kind` is a kind here.
    pub fn invalid(about: About, causes: Vec<Cause>) -> Self {
        let one = |cause: &Cause| format!("{}: {}", cause.field, cause.message);
        let told = match causes.as_slice() {
            [cause] => one(cause),
            all => format!("[{}]", all.iter().map(one).collect::<Vec<_>>().join(", ")),
        };
        let kind = if about.group.is_empty() {
            about.kind.clone()
        } else {
            format!("{}.{}", about.kind, about.group)
        };
        let message = format!("{kind} {:?} is invalid: {told}", about.name);
        Self { causes, ..Self::new(422, "Invalid", message).about(about) }
    }

    /// Nobody knows who asks.
    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized".to_owned())
    }

    /// Nobody may do that now.
    pub fn forbidden(about: About, why: &str) -> Self {
        let message = format!("{} {:?} is forbidden: {why}", qualified(&about), about.name);
        Self::new(403, "Forbidden", message).about(about)
    }

    /// The user may not do that, whatever is there.
    pub fn denied(about: About, why: &str) -> Self {
        let name = if about.name.is_empty() { String::new() } else { format!(" {:?}", about.name) };
        let message = format!("{}{name} is forbidden: {why}", qualified(&about));
        Self::new(403, "Forbidden", message).about(about)
    }

    /// Other managers own what would change.
    pub fn apply_conflict(message: String, conflicts: &[Conflict]) -> Self {
        let causes = conflicts
            .iter()
            .map(|conflict| Cause {
                reason: "FieldManagerConflict",
                message: format!("conflict with {}", conflict.manager),
                field: conflict.field.clone(),
            })
            .collect();
        Self { causes, ..Self::new(409, "Conflict", message) }
    }

    /// A JSON patch does not go with what it is for.
    pub fn refused_patch() -> Self {
        let message = "the server rejected our request due to an error in our request".to_owned();
        Self::new(422, "Invalid", message)
    }

    /// The server cannot do what the request needs.
    pub fn failed(why: &str) -> Self {
        let cause = Cause { reason: "", message: why.to_owned(), field: String::new() };
        let message = format!("Internal error occurred: {why}");
        Self { causes: vec![cause], ..Self::new(500, "InternalError", message) }
    }

    /// What the API server has no better code for.
    pub fn internal(message: String) -> Self {
        Self::new(500, "", message)
    }

    /// The body is of a kind that the endpoint does not take.
    pub fn unsupported_media_type(wanted: &str) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {wanted}"
        );
        Self::new(415, "UnsupportedMediaType", message)
    }

    /// The endpoint answers in none of the forms that the client takes.
    pub fn not_acceptable() -> Self {
        let message = "only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf";
        Self::new(406, "NotAcceptable", message.to_owned())
    }

    /// The body is longer than what is read of one.
    pub fn too_large(most: usize) -> Self {
        let message = format!("Request entity too large: limit is {most}");
        Self::new(413, "RequestEntityTooLarge", message)
    }

    /// The verb does not go with the path.
    pub fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource".to_owned();
        Self::new(405, "MethodNotAllowed", message)
    }

    /// What is asked for is older than what is remembered.
    pub fn expired(message: String) -> Self {
        Self::new(410, "Expired", message)
    }

    /// Some refusals carry details with nothing in them.
    fn has_empty_details(&self) -> bool {
        matches!(self.reason, "NotFound" | "MethodNotAllowed" | "Invalid")
    }

    /// The refusal as a `Status`.
    pub fn status(&self) -> Value {
        let mut details = json!({});
        for (name, value) in
            [("name", &self.about.name), ("group", &self.about.group), ("kind", &self.about.kind)]
        {
            if !value.is_empty() {
                details[name] = value.as_str().into();
            }
        }
        if !self.causes.is_empty() {
            let cause = |cause: &Cause| {
                let mut told = json!({"message": cause.message});
                for (name, text) in [("reason", cause.reason), ("field", cause.field.as_str())] {
                    if !text.is_empty() {
                        told[name] = text.into();
                    }
                }
                told
            };
            details["causes"] = self.causes.iter().map(cause).collect();
        }
        let mut status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "code": self.code});
        if !self.reason.is_empty() {
            status["reason"] = self.reason.into();
        }
        if details.as_object().is_some_and(|details| !details.is_empty()) || self.has_empty_details() {
            status["details"] = details;
        }
        status
    }

    pub(crate) fn into_answer(self) -> Answer {
        Answer::json(self.code, self.status())
    }
}

fn qualified(about: &About) -> String {
    if about.group.is_empty() { about.kind.clone() } else { format!("{}.{}", about.kind, about.group) }
}

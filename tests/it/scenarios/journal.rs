//! What a served sandbox was asked, in the words of an API server's audit log.

use axum::body::{Body, to_bytes};
use axum::extract::{Request as Asked, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;
use serde_json::Value;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use trueup_testkit::{Mark, Request};

/// The requests that were answered, in the order of their answers. Clones are the same one.
#[derive(Clone, Default)]
pub(crate) struct Journal(Arc<Mutex<Vec<Request>>>);

impl Journal {
    /// A mark between the requests before and after now.
    pub(crate) fn mark(&self) -> Mark {
        Mark { offset: u64::try_from(self.requests().len()).unwrap_or(u64::MAX) }
    }

    /// The requests since the mark.
    pub(crate) fn since(&self, mark: Mark) -> Vec<Request> {
        self.requests().iter().skip(usize::try_from(mark.offset).unwrap_or(usize::MAX)).cloned().collect()
    }

    fn requests(&self) -> MutexGuard<'_, Vec<Request>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes a request down when it is answered; a watch, when it begins.
pub(crate) async fn note(State(journal): State<Journal>, mut asked: Asked, next: Next) -> Response {
    let mut request = described(&asked);
    if request.verb == "create" {
        (asked, request.name) = name_in(asked).await;
    }
    let answer = next.run(asked).await;
    request.status = answer.status().as_u16();
    journal.requests().push(request);
    answer
}

/// The name of an object that is to be created, which stands in the body alone.
async fn name_in(asked: Asked) -> (Asked, String) {
    let (head, body) = asked.into_parts();
    let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let object: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    (Asked::from_parts(head, Body::from(bytes)), name)
}

fn described(asked: &Asked) -> Request {
    let uri = asked.uri();
    let text = |name: header::HeaderName| {
        let value = asked.headers().get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let [namespace, resource, name] = about(uri.path());
    let is_watch = uri.query().is_some_and(|query| {
        query.split('&').any(|option| matches!(option, "watch=true" | "watch=1" | "watch"))
    });
    let method = asked.method().as_str();
    let verb = match (method, name.is_empty()) {
        (_, _) if resource.is_empty() => method.to_ascii_lowercase(),
        ("GET", _) if is_watch => "watch".to_owned(),
        ("GET", true) => "list".to_owned(),
        ("POST", _) => "create".to_owned(),
        ("PUT", _) => "update".to_owned(),
        ("DELETE", true) => "deletecollection".to_owned(),
        (_, _) => method.to_ascii_lowercase(),
    };
    let user = text(header::HeaderName::from_static("impersonate-user"));
    let user_agent = text(header::USER_AGENT);
    Request {
        verb,
        resource,
        namespace,
        name,
        user,
        user_agent,
        uri: uri.to_string(),
        status: 0,
        between: Default::default(),
    }
}

/// Namespace, resource and name, each empty where there is none.
fn about(path: &str) -> [String; 3] {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let below = match parts.as_slice() {
        ["api", _, below @ ..] | ["apis", _, _, below @ ..] => below,
        _ => &[],
    };
    let (namespace, below) = match below {
        // A namespace is in itself.
        ["namespaces", name] | ["namespaces", name, "status" | "finalize"] => (*name, below),
        ["namespaces", namespace, below @ ..] => (*namespace, below),
        below => ("", below),
    };
    let (resource, name) = match below {
        [] => (String::new(), ""),
        [resource] => ((*resource).to_owned(), ""),
        [resource, name] => ((*resource).to_owned(), *name),
        [resource, name, subresource, ..] => (format!("{resource}/{subresource}"), *name),
    };
    [namespace.to_owned(), resource, name.to_owned()]
}

//! Keeps the pages of other sites from asking for anything through a user's browser.

use super::api::Refusal;
use axum::extract::Request;
use axum::http::header::{CONTENT_TYPE, HOST, ORIGIN};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Lets reading through, and writing that a page of ours or no page at all asks for.
pub(super) async fn guard(request: Request, next: Next) -> Response {
    match refusal(request.method(), request.headers()) {
        None => next.run(request).await,
        Some(refusal) => refusal.into_response(),
    }
}

fn refusal(method: &Method, headers: &HeaderMap) -> Option<Refusal> {
    if method.is_safe() {
        return None;
    }
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let site = headers.get("sec-fetch-site").map(|value| value.to_str().unwrap_or("?"));
    let same_site = site.is_none_or(|site| matches!(site, "same-origin" | "none"));
    let same_origin = text(ORIGIN).is_none_or(|origin| {
        let host = origin.split_once("://").map(|(_, host)| host);
        host.is_some() && host == text(HOST)
    });
    if !same_site || !same_origin {
        return Some(Refusal::new(StatusCode::FORBIDDEN, "this may not be asked for from another site"));
    }
    // Other sites' forms can send text, but not JSON without asking first.
    let json =
        text(CONTENT_TYPE).and_then(|kind| kind.split(';').next()).map(str::trim) == Some("application/json");
    let why = "the body must be application/json";
    (!json).then(|| Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, why))
}

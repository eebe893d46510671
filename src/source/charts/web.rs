//! One bounded request. Credentials go only to the origin that they were given for.

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, USER_AGENT};
use reqwest::{RequestBuilder, StatusCode, Url};

use super::http_url;
use crate::source::http::{self, ClearText, Clients, Given};
use crate::source::limits::Limits;
use crate::source::{Credentials, SourceError};

const AGENT: &str = concat!("trueup/", env!("CARGO_PKG_VERSION"));

/// How a server is spoken to.
pub(super) struct Way {
    pub(super) clients: Clients,
    pub(super) credentials: Credentials,
    pub(super) clear_text: ClearText,
}

/// What a server answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// The body, where the answer is a success.
    pub(super) bytes: Vec<u8>,
}

impl Way {
    /// A request of `url`, without credentials.
    pub(super) fn request(&self, url: &Url) -> Result<RequestBuilder, SourceError> {
        let client = self.clients.get(&http_url(url), &self.credentials)?;
        Ok(client.get(url.clone()).header(USER_AGENT, AGENT))
    }

    /// What is given to show who asks, where there is anything.
    pub(super) fn authorization(&self, url: &Url) -> Result<Option<HeaderValue>, SourceError> {
        http::authorization(&http_url(url), &self.credentials, self.clear_text)
    }

    /// Asks with the credentials, if `url` is at the origin of `own`.
    pub(super) fn ask(
        &self,
        own: &Url,
        url: &Url,
        headers: HeaderMap,
        most: usize,
        limits: &Limits,
    ) -> Result<Answer, SourceError> {
        let mut request = self.request(url)?.headers(headers);
        let mut given = Given::None;
        if own.origin() == url.origin()
            && let Some(authorization) = self.authorization(url)?
        {
            request = request.header(AUTHORIZATION, authorization);
            given = Given::Some;
        }
        let answer = send(request, url, most, limits)?;
        if answer.status == StatusCode::NOT_MODIFIED {
            return Ok(answer);
        }
        http::refused(&shown(url), answer.status, given).map_or(Ok(answer), Err)
    }
}

/// A URL without what must not be shown.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    // These fail only for URLs without a host, which http URLs have.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.to_string()
}

/// Sends a request and reads its answer, of `most` bytes at most.
pub(super) fn send(
    request: RequestBuilder,
    url: &Url,
    most: usize,
    limits: &Limits,
) -> Result<Answer, SourceError> {
    let location = shown(url);
    let gave_up =
        |_| SourceError::Timeout { location: location.clone(), doing: "asking", after: limits.after };
    let sent = limits.wait(request.send()).map_err(gave_up)?;
    let mut answer = sent.map_err(|error| http::network(&location, error))?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    let mut bytes = Vec::new();
    if !status.is_success() {
        return Ok(Answer { status, headers, bytes });
    }
    while let Some(chunk) =
        limits.wait(answer.chunk()).map_err(gave_up)?.map_err(|error| http::network(&location, error))?
    {
        if bytes.len() + chunk.len() > most {
            let cause = format!("the answer has more than {} KiB", most >> 10);
            return Err(SourceError::Invalid { location, cause });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Answer { status, headers, bytes })
}

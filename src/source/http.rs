//! Git over http: gix speaks the protocol, reqwest carries it.
//!
//! The client is kept between questions, so polling reuses its connection. Credentials go only to the
//! origin that they were given for: not along redirects, and not over plain http to another machine
//! unless the source says `insecure`.

use std::collections::HashMap;
use std::io::{self, BufReader, Cursor, Read, Write};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use gix::protocol::transport::client::blocking_io::http::{
    GetResponse, Http, PostBodyDataKind, PostResponse,
};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode, Url};

use super::SourceError;
use super::error::one_line;
use super::limits::{Current, GaveUp};
use super::spec::{Credentials, HttpUrl};

/// A first connection that takes longer is given up before the whole bound is used.
const CONNECT: Duration = Duration::from_secs(20);
const MAX_REDIRECTS: usize = 5;
const MAX_CLIENTS: usize = 32;

/// Clients by the authorities that they trust. Credentials are not theirs but each request's.
#[derive(Clone, Default)]
pub(super) struct Clients(Arc<Mutex<HashMap<Option<String>, reqwest::Client>>>);

impl Clients {
    pub(super) fn get(
        &self,
        url: &HttpUrl,
        credentials: &Credentials,
    ) -> Result<reqwest::Client, SourceError> {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&credentials.ca_pem) {
            return Ok(client.clone());
        }
        let made = client(url, credentials)?;
        // Authorities are renewed now and then; the clients of old ones are made again if need be.
        if clients.len() >= MAX_CLIENTS {
            clients.clear();
        }
        clients.insert(credentials.ca_pem.clone(), made.clone());
        Ok(made)
    }
}

fn client(url: &HttpUrl, credentials: &Credentials) -> Result<reqwest::Client, SourceError> {
    let invalid = |cause: String| SourceError::Invalid { location: url.url.to_string(), cause };
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("git/2.0 (trueup ", env!("CARGO_PKG_VERSION"), ")"))
        .connect_timeout(CONNECT)
        // Enough for the next polls.
        .pool_max_idle_per_host(4)
        .redirect(reqwest::redirect::Policy::custom(|attempt| {
            let downgrade = attempt.previous().last().is_some_and(|last| last.scheme() == "https")
                && attempt.url().scheme() != "https";
            if downgrade {
                attempt.error("the server redirects from https to http")
            } else if attempt.previous().len() > MAX_REDIRECTS {
                attempt.error("too many redirects")
            } else {
                attempt.follow()
            }
        }));
    if let Some(pem) = &credentials.ca_pem {
        let authorities = reqwest::Certificate::from_pem_bundle(pem.as_bytes())
            .map_err(|error| invalid(format!("the authority (ca.crt) is not PEM: {}", one_line(&error))))?;
        if authorities.is_empty() {
            return Err(invalid("the authority (ca.crt) holds no certificate".into()));
        }
        builder = builder.tls_certs_merge(authorities);
    }
    builder.build().map_err(|error| invalid(format!("no http client: {}", one_line(&error))))
}

/// The `Authorization` header, if the credentials hold one and may be sent there.
pub(super) fn authorization(
    url: &HttpUrl,
    credentials: &Credentials,
    clear_text: ClearText,
) -> Result<Option<HeaderValue>, SourceError> {
    let text = match (&credentials.bearer_token, &credentials.username, &credentials.password) {
        (Some(token), _, _) => format!("Bearer {}", token.expose().trim()),
        (None, None, None) => return Ok(None),
        (None, username, password) => {
            let username = username.as_deref().unwrap_or("git");
            let password = password.as_ref().map_or("", |password| password.expose());
            let pair = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
            format!("Basic {pair}")
        }
    };
    let invalid = |cause: &str| SourceError::Invalid { location: url.url.to_string(), cause: cause.into() };
    if url.url.scheme() == "http" && !is_loopback(&url.url) && clear_text == ClearText::Refused {
        return Err(invalid(
            "credentials would go over the network in clear text; use https, or set `insecure: true` if that is meant",
        ));
    }
    let mut value = HeaderValue::from_str(&text)
        .map_err(|_| invalid("the credentials hold characters that http does not allow"))?;
    value.set_sensitive(true);
    Ok(Some(value))
}

/// Whether credentials may be sent over plain http.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ClearText {
    Allowed,
    Refused,
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// gix's view of http, for one conversation.
pub(super) struct Wire {
    client: reqwest::Client,
    url: HttpUrl,
    authorization: Option<HeaderValue>,
    limits: Current,
    /// Left for whoever explains a failure: gix passes errors on as texts.
    failure: Mutex<Option<SourceError>>,
    redirected: Mutex<Option<String>>,
    /// The request before.
    last: Mutex<Weak<Mutex<Exchange>>>,
}

/// A request that is sent when its response is first looked at: by then its body is complete.
struct Exchange {
    wire: Arc<Wire>,
    method: Method,
    url: String,
    base: String,
    headers: HeaderMap,
    body: Vec<u8>,
    response: Option<reqwest::Response>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Answered,
    Failed,
}

impl Exchange {
    fn send(&mut self) -> io::Result<()> {
        match self.state {
            State::Answered => return Ok(()),
            State::Failed => return Err(io::Error::other("the request has failed before")),
            State::Waiting => {}
        }
        let sent = self.request();
        self.state = if sent.is_ok() { State::Answered } else { State::Failed };
        let response = sent.map_err(|error| self.wire.fail(error))?;
        self.wire.note_redirect(&self.url, &self.base, response.url());
        self.response = Some(response);
        Ok(())
    }

    fn request(&mut self) -> Result<reqwest::Response, SourceError> {
        let wire = self.wire.clone();
        let location = wire.url.url.to_string();
        let unreachable =
            |cause: &str| SourceError::Unreachable { location: location.clone(), cause: cause.into() };
        let url = Url::parse(&self.url).map_err(|_| unreachable("redirected to something that is no URL"))?;
        let mut request = wire.client.request(self.method.clone(), url.clone()).headers(self.headers.clone());
        // After a redirect to another origin the credentials stay behind.
        if let Some(authorization) = &wire.authorization
            && url.origin() == wire.url.url.origin()
        {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        if self.method == Method::POST {
            request = request.body(std::mem::take(&mut self.body));
        }
        match wire.limits.get().wait(request.send()) {
            Ok(Ok(response)) => {
                let given = if wire.authorization.is_some() { Given::Some } else { Given::None };
                refused(&location, response.status(), given).map_or(Ok(response), Err)
            }
            Ok(Err(error)) => Err(network(&location, error)),
            Err(gave_up) => Err(unreachable(&gave_up.to_string())),
        }
    }

    fn header_lines(&mut self) -> io::Result<Vec<u8>> {
        self.send()?;
        let mut lines = Vec::new();
        if let Some(response) = &self.response {
            for (name, value) in response.headers() {
                lines.extend_from_slice(name.as_str().as_bytes());
                lines.push(b':');
                lines.extend_from_slice(value.as_bytes());
                lines.push(b'\n');
            }
        }
        Ok(lines)
    }

    fn chunk(&mut self) -> io::Result<Option<Bytes>> {
        self.send()?;
        let Some(response) = &mut self.response else { return Ok(None) };
        match self.wire.limits.get().wait(response.chunk()) {
            Ok(Ok(chunk)) => Ok(chunk),
            Ok(Err(error)) => Err(self.wire.fail(network(self.wire.url.url.as_str(), error))),
            Err(gave_up @ GaveUp::TimedOut) => Err(io::Error::new(io::ErrorKind::TimedOut, gave_up)),
            Err(gave_up @ GaveUp::Abandoned) => Err(io::Error::other(gave_up)),
        }
    }
}

impl Wire {
    pub(super) fn new(
        client: reqwest::Client,
        url: HttpUrl,
        authorization: Option<HeaderValue>,
        limits: Current,
    ) -> Self {
        let (failure, redirected, last) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { client, url, authorization, limits, failure, redirected, last }
    }

    pub(super) fn take_failure(&self) -> Option<SourceError> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Reads the last answer to its end, so that its connection is free; false where more comes than there should.
    pub(super) fn finish(&self) -> bool {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
        let Some(last) = last else { return true };
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(last.chunk(), Ok(None))
    }

    fn fail(&self, error: SourceError) -> io::Error {
        let text = error.to_string();
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        io::Error::other(text)
    }

    /// A redirected question makes all that follow go to where it ended.
    fn note_redirect(&self, asked: &str, base: &str, answered: &Url) {
        let tail = asked.strip_prefix(base).unwrap_or(asked);
        if answered.as_str() != asked
            && let Some(base) = answered.as_str().strip_suffix(tail)
        {
            *self.redirected.lock().unwrap_or_else(PoisonError::into_inner) = Some(base.to_owned());
        }
    }
}

/// Whether the source has credentials for http.
#[derive(Clone, Copy)]
pub(super) enum Given {
    Some,
    None,
}

/// The error that an http status stands for.
pub(super) fn refused(location: &str, status: StatusCode, credentials: Given) -> Option<SourceError> {
    let location = location.to_owned();
    let answered = format!("the server answered {status}");
    match status {
        status if status.is_success() => None,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            let cause = match credentials {
                Given::Some => answered,
                Given::None => format!("{answered}, and none are given"),
            };
            Some(SourceError::Authentication { location, cause })
        }
        StatusCode::NOT_FOUND | StatusCode::GONE => Some(SourceError::NotFound {
            location,
            cause: format!(
                "{answered}; check the URL, or the credentials if the server hides what they may not see"
            ),
        }),
        _ => Some(SourceError::Unreachable { location, cause: answered }),
    }
}

pub(super) fn network(location: &str, error: reqwest::Error) -> SourceError {
    let cause = one_line(&error.without_url());
    let location = location.to_owned();
    if cause.contains("certificate") || cause.contains("UnknownIssuer") {
        SourceError::TlsCa { location, cause }
    } else {
        SourceError::Unreachable { location, cause }
    }
}

/// The header lines of an exchange, sent for when first read.
pub(super) struct Headers {
    exchange: Arc<Mutex<Exchange>>,
    lines: Option<Cursor<Vec<u8>>>,
}

impl Read for Headers {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.lines.is_none() {
            let lines = self.exchange.lock().unwrap_or_else(PoisonError::into_inner).header_lines()?;
            self.lines = Some(Cursor::new(lines));
        }
        self.lines.as_mut().map_or(Ok(0), |lines| lines.read(buf))
    }
}

/// The body of an exchange's response.
pub(super) struct Body {
    exchange: Arc<Mutex<Exchange>>,
    rest: Bytes,
}

impl Read for Body {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            let mut exchange = self.exchange.lock().unwrap_or_else(PoisonError::into_inner);
            match exchange.chunk()? {
                Some(chunk) => self.rest = chunk,
                None => return Ok(0),
            }
        }
        let len = buf.len().min(self.rest.len());
        buf[..len].copy_from_slice(&self.rest.split_to(len));
        Ok(len)
    }
}

/// The body of an exchange's request; what Git asks is small.
pub(super) struct Upload(Arc<Mutex<Exchange>>);

impl Write for Upload {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).body.extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// [`Wire`] as gix holds it.
pub(super) struct Carrier(pub(super) Arc<Wire>);

impl Carrier {
    fn exchange(
        &self,
        method: Method,
        url: &str,
        base: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> PostResponse<BufReader<Headers>, BufReader<Body>, Upload> {
        let mut map = HeaderMap::new();
        for line in headers {
            if let Some((name, value)) = line.as_ref().split_once(':')
                && let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value.trim()))
                // Ours says which client this is.
                && name != reqwest::header::USER_AGENT
            {
                map.append(name, value);
            }
        }
        let exchange = Arc::new(Mutex::new(Exchange {
            wire: self.0.clone(),
            method,
            url: url.to_owned(),
            base: base.to_owned(),
            headers: map,
            body: Vec::new(),
            response: None,
            state: State::Waiting,
        }));
        *self.0.last.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(&exchange);
        PostResponse {
            post_body: Upload(exchange.clone()),
            headers: BufReader::new(Headers { exchange: exchange.clone(), lines: None }),
            body: BufReader::with_capacity(1 << 16, Body { exchange, rest: Bytes::new() }),
        }
    }
}

impl Http for Carrier {
    type Headers = BufReader<Headers>;
    type ResponseBody = BufReader<Body>;
    type PostBody = Upload;

    fn get(
        &mut self,
        url: &str,
        base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> gix::Result<GetResponse<Self::Headers, Self::ResponseBody>> {
        Ok(self.exchange(Method::GET, url, base_url, headers).into())
    }

    fn post(
        &mut self,
        url: &str,
        base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
        _body: PostBodyDataKind,
    ) -> gix::Result<PostResponse<Self::Headers, Self::ResponseBody, Self::PostBody>> {
        Ok(self.exchange(Method::POST, url, base_url, headers))
    }

    fn configure(&mut self, _config: &dyn std::any::Any) -> gix::Result {
        Ok(())
    }

    fn redirected_base_url(&self) -> Option<String> {
        self.0.redirected.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

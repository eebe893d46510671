//! Pull requests of a repository on a forge: GitHub, GitLab or Gitea.
//!
//! Enters: where the repository is, and a token. Leaves: all requests that are open, or why they are not known; and of single ones whether they are closed.
//! A page that did not change since it was asked for last is not sent again (`ETag`). Half of a list is none: what cannot be read of one page says nothing of the
//! others. Absent: when to ask, and which of the requests count.
//!
//! Shapes and headers are those of the forges' public documentation: GitHub "REST API endpoints for pull requests", GitLab "Merge requests API", Gitea's
//! Swagger (`repoListPullRequests`).

mod shapes;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH, LINK, RETRY_AFTER, USER_AGENT,
};
use reqwest::{StatusCode, Url};

use super::http::{self, ClearText, Clients};
use super::spec::HttpUrl;
use super::{Credentials, SourceError};

const AGENT: &str = concat!("trueup/", env!("CARGO_PKG_VERSION"));
/// Pages of a list at most.
const PAGES: u32 = 100;
/// The largest page that is read.
const LARGEST: usize = 32 << 20;
/// How long a forge may take to answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// For how long a forge is left alone at most, whatever it asks for.
const LONGEST_REST: Duration = Duration::from_hours(24);
/// For how long where it says that there were too many questions, and not until when.
const REST: Duration = Duration::from_mins(1);

/// What kind of server it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forge {
    /// github.com or GitHub Enterprise Server.
    GitHub,
    /// gitlab.com or another GitLab.
    GitLab,
    /// Gitea or Forgejo.
    Gitea,
}

/// A repository on a forge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    forge: Forge,
    base: Url,
    /// As people write it: `owner/name`.
    pub path: String,
}

impl Address {
    /// The repository `path` of the server at `api`; of the forge's public one where it is left out.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(forge: Forge, api: Option<&str>, path: &str) -> Result<Self, String> {
        let public = match forge {
            Forge::GitHub => Some("https://api.github.com"),
            Forge::GitLab => Some("https://gitlab.com"),
            Forge::Gitea => None,
        };
        let written = api.or(public).ok_or("`api` is needed: the address of the server")?;
        let mut base =
            Url::parse(written).map_err(|error| format!("`api` {written:?} is no URL: {error}"))?;
        if !matches!(base.scheme(), "https" | "http") || base.host_str().is_none() {
            return Err(format!("`api` {written:?} is no address that begins with https:// or http://"));
        }
        if !base.username().is_empty() || base.password().is_some() || base.query().is_some() {
            return Err("`api` is the address alone: a token belongs into a Secret".to_owned());
        }
        let below = match forge {
            Forge::GitHub if base.host_str() == Some("api.github.com") => "",
            Forge::GitHub => "/api/v3",
            Forge::GitLab => "/api/v4",
            Forge::Gitea => "/api/v1",
        };
        let own = base.path().trim_end_matches('/').to_owned();
        base.set_path(if own.ends_with(below) { own } else { own + below }.as_str());
        let path = path.trim_matches('/').to_owned();
        let is_odd = |part: &str| part.is_empty() || part == "." || part == "..";
        if path.split('/').any(is_odd) || path.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(format!("{path:?} is no path of a repository"));
        }
        Ok(Self { forge, base, path })
    }

    /// Where people find the repository: what the forge calls it in its deliveries. A project of GitLab that is known by its number is found by that.
    pub fn web_url(&self) -> String {
        let below = match self.forge {
            Forge::GitHub if self.base.host_str() == Some("api.github.com") => {
                return format!("https://github.com/{}", self.path);
            }
            Forge::GitHub => "/api/v3",
            Forge::GitLab => "/api/v4",
            Forge::Gitea => "/api/v1",
        };
        let base = self.base.as_str().trim_end_matches('/');
        let base = base.strip_suffix(below).unwrap_or(base);
        let is_number = self.path.bytes().all(|byte| byte.is_ascii_digit());
        if self.forge == Forge::GitLab && is_number {
            return format!("{base}/projects/{}", self.path);
        }
        format!("{base}/{}", self.path)
    }

    fn url(&self, parts: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.base.clone();
        // Fails only for URLs that cannot have a path, which http URLs can.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty();
            match self.forge {
                // One segment, in which `/` is escaped.
                Forge::GitLab => segments.extend(["projects", &self.path, "merge_requests"]),
                Forge::GitHub | Forge::Gitea => {
                    segments.push("repos").extend(self.path.split('/')).push("pulls")
                }
            };
            segments.extend(parts);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// A page of the open requests, oldest first: so what is new moves nothing to another page.
    fn page(&self, number: u32) -> Url {
        let number = number.to_string();
        let size = self.size().to_string();
        match self.forge {
            Forge::GitHub => self.url(
                &[],
                &[
                    ("state", "open"),
                    ("sort", "created"),
                    ("direction", "asc"),
                    ("per_page", &size),
                    ("page", &number),
                ],
            ),
            Forge::GitLab => self.url(
                &[],
                &[
                    ("state", "opened"),
                    ("order_by", "created_at"),
                    ("sort", "asc"),
                    ("per_page", &size),
                    ("page", &number),
                ],
            ),
            Forge::Gitea => {
                self.url(&[], &[("state", "open"), ("sort", "oldest"), ("limit", &size), ("page", &number)])
            }
        }
    }

    /// How many requests are asked for at once: as many as the forge gives.
    fn size(&self) -> usize {
        match self.forge {
            Forge::GitHub | Forge::GitLab => 100,
            Forge::Gitea => 50,
        }
    }
}

/// A pull request, as its forge tells of it. Its texts are what anybody wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullRequest {
    /// Its number in the repository.
    pub number: u64,
    /// Its title.
    pub title: String,
    /// The branch that it is from.
    pub branch: String,
    /// The branch that it is for.
    pub target_branch: String,
    /// The commit that it is at, in full; none where the forge does not know it yet.
    pub head: Option<String>,
    /// Its labels.
    pub labels: Vec<String>,
    /// The name of who opened it.
    pub author: String,
    /// Who may push to it.
    pub pushed_by: Pushers,
    /// When anything about it last changed.
    pub updated: Option<Timestamp>,
    /// Whether it is still open.
    pub state: State,
}

/// Who may push to a pull request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushers {
    /// Those who may push to the repository itself: its branch is there.
    Own,
    /// Others: it is from a fork, or from none that the forge knows.
    Others,
}

/// Whether a pull request is still open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is.
    Open,
    /// It was closed or merged.
    Closed,
}

/// Why pull requests are not known.
#[derive(Debug, thiserror::Error)]
pub enum ForgeError {
    /// The server was not reached, or its certificate is not trusted, or the settings cannot work.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// It did not answer in time.
    #[error("{location}: no answer after {}", humantime::format_duration(*.after))]
    Timeout {
        /// What was asked for.
        location: String,
        /// The bound.
        after: Duration,
    },
    /// It answered something else than requests.
    #[error("{location}: the server answered {status}{hint}")]
    Refused {
        /// What was asked for.
        location: String,
        /// The answer.
        status: StatusCode,
        /// What to do.
        hint: &'static str,
    },
    /// There were too many questions.
    #[error("{location}: the server answers no more questions for {}", humantime::format_duration(*.rest))]
    Limited {
        /// What was asked for.
        location: String,
        /// For how long.
        rest: Duration,
    },
    /// What it answered cannot be read.
    #[error("{location}: the answer cannot be read: {cause}")]
    Malformed {
        /// What was asked for.
        location: String,
        /// Where it is wrong.
        cause: String,
    },
    /// There are more than anybody would look at.
    #[error("{location}: there are more than {PAGES} pages of pull requests")]
    TooMany {
        /// What was asked for.
        location: String,
    },
}

/// The open pull requests of a repository.
pub struct PullSource {
    address: Address,
    clients: Clients,
    credentials: Credentials,
    clear_text: ClearText,
    pages: Mutex<BTreeMap<u32, Page>>,
}

/// A page as it was when the server called it that.
#[derive(Clone)]
struct Page {
    tag: HeaderValue,
    requests: Vec<PullRequest>,
    more: More,
}

/// Whether there are pages after one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum More {
    Yes,
    No,
}

/// Pull requests, and how long the forge wants to be left alone.
pub struct Listed {
    /// All that are open, by number.
    pub requests: BTreeMap<u64, PullRequest>,
    /// Nothing where it may be asked again at any time.
    pub rest: Duration,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    bytes: Vec<u8>,
}

impl PullSource {
    /// Asks nothing yet.
    pub fn new(address: Address, credentials: Credentials, insecure: bool) -> Self {
        let clear_text = if insecure { ClearText::Allowed } else { ClearText::Refused };
        let (clients, pages) = (Clients::default(), Mutex::default());
        Self { address, clients, credentials, clear_text, pages }
    }

    /// All requests that are open.
    ///
    /// # Errors
    /// Any page cannot be had, or not be read.
    pub async fn list(&self) -> Result<Listed, ForgeError> {
        let mut listed = Listed { requests: BTreeMap::new(), rest: Duration::ZERO };
        for number in 1..=PAGES {
            let url = self.address.page(number);
            let known = self.pages.lock().unwrap_or_else(PoisonError::into_inner).get(&number).cloned();
            let answer = self.ask(&url, known.as_ref().map(|page| &page.tag)).await?;
            listed.rest = listed.rest.max(rest(&answer.headers));
            let (requests, more) = match known {
                Some(page) if answer.status == StatusCode::NOT_MODIFIED => (page.requests, page.more),
                Some(_) | None => {
                    let requests = self.read(&url, &answer, shapes::list)?;
                    let more = more(&answer.headers, requests.len(), self.address.size());
                    let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
                    pages.remove(&number);
                    if let Some(tag) = answer.headers.get(ETAG) {
                        pages.insert(number, Page { tag: tag.clone(), requests: requests.clone(), more });
                    }
                    (requests, more)
                }
            };
            let open = requests.into_iter().filter(|request| request.state == State::Open);
            listed.requests.extend(open.map(|request| (request.number, request)));
            if more == More::No {
                let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
                pages.retain(|page, _| *page <= number);
                return Ok(listed);
            }
        }
        Err(ForgeError::TooMany { location: location(&self.address.page(1)) })
    }

    /// One request, open or not; none where the forge knows of none with this number.
    ///
    /// # Errors
    /// It cannot be had, or not be read.
    pub async fn one(&self, number: u64) -> Result<Option<PullRequest>, ForgeError> {
        let url = self.address.url(&[&number.to_string()], &[]);
        match self.ask(&url, None).await {
            Ok(answer) => self.read(&url, &answer, shapes::one).map(Some),
            Err(ForgeError::Refused { status: StatusCode::NOT_FOUND, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn read<T>(
        &self,
        url: &Url,
        answer: &Answer,
        read: impl Fn(Forge, &[u8]) -> Result<T, String>,
    ) -> Result<T, ForgeError> {
        let malformed = |cause: String| ForgeError::Malformed { location: location(url), cause };
        read(self.address.forge, &answer.bytes).map_err(malformed)
    }

    async fn ask(&self, url: &Url, tag: Option<&HeaderValue>) -> Result<Answer, ForgeError> {
        let timeout = |_| ForgeError::Timeout { location: location(url), after: TIMEOUT };
        tokio::time::timeout(TIMEOUT, self.send(url, tag)).await.map_err(timeout)?
    }

    async fn send(&self, url: &Url, tag: Option<&HeaderValue>) -> Result<Answer, ForgeError> {
        let location = location(url);
        let http_url = HttpUrl { url: url.clone() };
        let mut request = self.clients.get(&http_url, &self.credentials)?.get(url.clone());
        request = request.header(USER_AGENT, AGENT).header(ACCEPT, "application/json");
        if let Some(authorization) = http::authorization(&http_url, &self.credentials, self.clear_text)? {
            request = request.header(AUTHORIZATION, authorization);
        }
        if let Some(tag) = tag {
            request = request.header(IF_NONE_MATCH, tag);
        }
        let mut answer = request.send().await.map_err(|error| http::network(&location, error))?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        if !(status.is_success() || (status == StatusCode::NOT_MODIFIED && tag.is_some())) {
            return Err(refused(location, status, &headers));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| http::network(&location, error))? {
            if bytes.len() + chunk.len() > LARGEST {
                let cause = format!("it has more than {} MiB", LARGEST >> 20);
                return Err(ForgeError::Malformed { location, cause });
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Answer { status, headers, bytes })
    }
}

/// What was asked for, as it is told to people: with the page, without the rest.
fn location(url: &Url) -> String {
    let page = url.query_pairs().find(|(name, _)| name == "page").map(|(_, page)| page.into_owned());
    let mut shown = url.clone();
    shown.set_query(None);
    match page.as_deref() {
        None | Some("1") => shown.to_string(),
        Some(page) => format!("{shown} (page {page})"),
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim)
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    text(headers, name)?.parse().ok()
}

/// Whether there is another page: as the server says in one of three ways, or because this one is full.
fn more(headers: &HeaderMap, got: usize, size: usize) -> More {
    let is_more = if let Some(next) = text(headers, "x-next-page") {
        !next.is_empty()
    } else if let Some(links) = headers.get(LINK).and_then(|links| links.to_str().ok()) {
        links.split(',').any(|link| {
            let mut parts = link.split(';').skip(1).map(str::trim);
            parts.any(|part| {
                part.eq_ignore_ascii_case("rel=\"next\"") || part.eq_ignore_ascii_case("rel=next")
            })
        })
    } else {
        got >= size
    };
    if is_more { More::Yes } else { More::No }
}

/// How long the server wants to be left alone, as its headers say: GitHub's `x-ratelimit-*`, GitLab's `ratelimit-*`, and `retry-after`.
fn rest(headers: &HeaderMap) -> Duration {
    let after = text(headers, RETRY_AFTER.as_str()).and_then(|written| match written.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => until(jiff::fmt::rfc2822::parse(written).ok()?.timestamp()),
    });
    let limits = [("x-ratelimit-remaining", "x-ratelimit-reset"), ("ratelimit-remaining", "ratelimit-reset")];
    let spent = limits.into_iter().find_map(|(left, reset)| {
        let reset = number(headers, reset).filter(|_| number(headers, left) == Some(0))?;
        until(Timestamp::from_second(i64::try_from(reset).ok()?).ok()?)
    });
    after.max(spent).unwrap_or_default().min(LONGEST_REST)
}

fn until(then: Timestamp) -> Option<Duration> {
    Duration::try_from(then.duration_since(crate::ambient::now())).ok()
}

fn refused(location: String, status: StatusCode, headers: &HeaderMap) -> ForgeError {
    let rest = rest(headers);
    let is_limit = status == StatusCode::TOO_MANY_REQUESTS
        || (matches!(status, StatusCode::FORBIDDEN | StatusCode::SERVICE_UNAVAILABLE) && !rest.is_zero());
    if is_limit {
        return ForgeError::Limited { location, rest: if rest.is_zero() { REST } else { rest } };
    }
    let hint = match status {
        StatusCode::UNAUTHORIZED => "; check the token",
        StatusCode::FORBIDDEN => "; the token may not read pull requests there",
        StatusCode::NOT_FOUND => "; check the names, or the token if the server hides what it may not see",
        _ => "",
    };
    ForgeError::Refused { location, status, hint }
}

#[cfg(test)]
mod tests;

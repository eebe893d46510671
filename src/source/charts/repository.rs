//! A chart repository: its index is asked for again only if it changed, its archives once.

use std::sync::{Arc, Mutex, PoisonError};

use reqwest::header::{ETAG, HeaderMap, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};
use reqwest::{StatusCode, Url};

use super::index::{Entry, Index, Unfound, resolve};
use super::store::Store;
use super::web::{self, Way};
use super::{Chart, digest, scoped};
use crate::source::SourceError;
use crate::source::limits::Limits;
use crate::source::spec::HttpUrl;

/// The largest public indexes have 30 MB.
const LARGEST_INDEX: usize = 64 << 20;
/// What Helm itself would refuse to hold in a release is far below.
pub(super) const LARGEST_ARCHIVE: usize = 32 << 20;

pub(super) struct Repository {
    url: Url,
    way: Way,
    store: Store,
    last: Mutex<Option<Known>>,
}

/// The index as it was when the server called it that.
#[derive(Clone)]
struct Known {
    index: Arc<Index>,
    mark: Mark,
}

/// By which a server knows what it gave: what it calls it, and since when it is like that.
#[derive(Clone, Default)]
struct Mark {
    tag: Option<HeaderValue>,
    modified: Option<HeaderValue>,
}

impl Mark {
    fn of(headers: &HeaderMap) -> Self {
        Self { tag: headers.get(ETAG).cloned(), modified: headers.get(LAST_MODIFIED).cloned() }
    }

    fn is_none(&self) -> bool {
        self.tag.is_none() && self.modified.is_none()
    }

    /// Asks for what is another one by now.
    fn asking(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [(IF_NONE_MATCH, &self.tag), (IF_MODIFIED_SINCE, &self.modified)] {
            if let Some(value) = value {
                headers.insert(name, value.clone());
            }
        }
        headers
    }

    /// Two lines, and what is kept with them.
    fn written(&self, rest: &[u8]) -> Vec<u8> {
        let line = |value: &Option<HeaderValue>| {
            value.as_ref().map_or(Vec::new(), |value| value.as_bytes().to_vec())
        };
        [&line(&self.tag), &b"\n"[..], &line(&self.modified), b"\n", rest].concat()
    }

    fn read(note: &[u8]) -> Option<(Self, &[u8])> {
        let mut lines = note.splitn(3, |byte| *byte == b'\n');
        let mut value = || {
            let line = lines.next()?;
            Some(HeaderValue::from_bytes(line).ok().filter(|value| !value.is_empty()))
        };
        let mark = Self { tag: value()?, modified: value()? };
        Some((mark, lines.next()?))
    }
}

impl Repository {
    pub(super) fn new(url: HttpUrl, way: Way, store: Store) -> Self {
        Self { url: url.url, way, store, last: Mutex::default() }
    }

    /// See [`super::ChartSource::fetch`].
    pub(super) fn fetch(&self, name: &str, range: &str, limits: &Limits) -> Result<Chart, SourceError> {
        let index = self.index(limits)?;
        let entry = index.pick(name, range).map_err(|unfound| self.unfound(name, range, unfound))?;
        let promised = entry.digest.as_ref().map(|hex| format!("sha256:{hex}"));
        if let Some(promised) = &promised
            && let Some(bytes) = self.store.get(promised)
        {
            return Ok(Chart {
                bytes: bytes.into(),
                version: entry.version.clone(),
                digest: promised.clone(),
            });
        }
        let bytes = self.archive(name, entry, limits)?;
        let found = digest(&bytes);
        if let Some(promised) = promised.filter(|promised| *promised != found) {
            return Err(SourceError::Damaged {
                location: self.url.to_string(),
                cause: format!(
                    "the archive of {name} {} has the digest {found}, and the index says {promised}",
                    entry.version
                ),
            });
        }
        self.store.put(&bytes)?;
        Ok(Chart { bytes: bytes.into(), version: entry.version.clone(), digest: found })
    }

    /// An archive that was fetched before.
    pub(super) fn kept(&self, digest: &str) -> Option<Vec<u8>> {
        self.store.get(digest)
    }

    /// The archive. Where the index promises no digest, the server says whether it is still the one that is here.
    fn archive(&self, name: &str, entry: &Entry, limits: &Limits) -> Result<Vec<u8>, SourceError> {
        let version = &entry.version;
        let invalid = |cause: String| SourceError::Invalid { location: self.url.to_string(), cause };
        let written = entry
            .url
            .as_ref()
            .ok_or_else(|| invalid(format!("{name} {version} has no address in the index")))?;
        let url =
            resolve(&self.url, written).map_err(|cause| invalid(format!("{name} {version}: {cause}")))?;
        let note = format!("archive-{}", scoped("", url.as_str()));
        let kept = entry.digest.is_none().then(|| self.store.note(&note)).flatten();
        let kept = kept
            .as_deref()
            .and_then(Mark::read)
            .and_then(|(mark, digest)| Some((mark, self.store.get(std::str::from_utf8(digest).ok()?)?)));
        let headers = kept.as_ref().map(|(mark, _)| mark.asking()).unwrap_or_default();
        let answer = match self.way.ask(&self.url, &url, headers, LARGEST_ARCHIVE, limits) {
            Err(SourceError::NotFound { .. }) => {
                let wanted = format!("archive of {name} {version} at {}", web::shown(&url));
                return Err(self.missing(wanted, Vec::new()));
            }
            answer => answer?,
        };
        if let Some((_, bytes)) = kept.filter(|_| answer.status == StatusCode::NOT_MODIFIED) {
            return Ok(bytes);
        }
        let mark = Mark::of(&answer.headers);
        if entry.digest.is_none() && !mark.is_none() {
            self.store.write(&note, &mark.written(digest(&answer.bytes).as_bytes()))?;
        }
        Ok(answer.bytes)
    }

    fn missing(&self, wanted: String, near: Vec<String>) -> SourceError {
        SourceError::RefMissing { location: self.url.to_string(), wanted, near }
    }

    fn unfound(&self, name: &str, range: &str, unfound: Unfound) -> SourceError {
        unfound_in(self.url.as_ref(), name, range, unfound)
    }

    /// The index as it is now.
    fn index(&self, limits: &Limits) -> Result<Arc<Index>, SourceError> {
        let invalid = |cause: String| SourceError::Invalid { location: self.url.to_string(), cause };
        let url = resolve(&self.url, "index.yaml").map_err(invalid)?;
        let known = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let known = known.or_else(|| self.kept_index());
        let headers = known.as_ref().map(|known| known.mark.asking()).unwrap_or_default();
        let answer = match self.way.ask(&self.url, &url, headers, LARGEST_INDEX, limits) {
            Err(SourceError::NotFound { .. }) => return Err(self.missing("index.yaml".into(), Vec::new())),
            answer => answer?,
        };
        let now = match known {
            Some(known) if answer.status == StatusCode::NOT_MODIFIED => known,
            _ => {
                let index = parse(&answer.bytes).map_err(invalid)?;
                let mark = Mark::of(&answer.headers);
                self.keep(&answer.bytes, &mark)?;
                Known { index: Arc::new(index), mark }
            }
        };
        let index = Arc::clone(&now.index);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        Ok(index)
    }

    fn note(&self) -> String {
        format!("index-{}", scoped("", self.url.as_str()))
    }

    /// Keeps the index with what the server knows it by.
    fn keep(&self, bytes: &[u8], mark: &Mark) -> Result<(), SourceError> {
        if mark.is_none() { Ok(()) } else { self.store.write(&self.note(), &mark.written(bytes)) }
    }

    /// The index that was kept before a restart.
    fn kept_index(&self) -> Option<Known> {
        let note = self.store.note(&self.note())?;
        let (mark, text) = Mark::read(&note)?;
        Some(Known { index: Arc::new(parse(text).ok()?), mark })
    }
}

fn parse(bytes: &[u8]) -> Result<Index, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "index.yaml is no text".to_owned())?;
    Index::parse(text).map_err(|why| format!("index.yaml cannot be read: {why}"))
}

/// That there is no version to take, for people.
pub(super) fn unfound_in(location: &str, name: &str, range: &str, unfound: Unfound) -> SourceError {
    let location = location.to_owned();
    let chart = if name.is_empty() { "chart".to_owned() } else { format!("chart {name}") };
    match unfound {
        Unfound::Chart(near) => SourceError::RefMissing { location, wanted: chart, near },
        Unfound::Range(error) => SourceError::Invalid {
            location,
            cause: format!("the version of the {chart} is no range: {error}"),
        },
        Unfound::Version(near) => {
            let range = if range.is_empty() { "*" } else { range };
            SourceError::RefMissing { location, wanted: format!("{chart} with a version in {range}"), near }
        }
    }
}

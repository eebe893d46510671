//! A chart repository: its index is asked for again only if it changed, its archives once.

use std::sync::{Arc, Mutex, PoisonError};

use reqwest::header::{ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH};
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
    tag: Option<HeaderValue>,
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
        let bytes = self.download(name, entry, limits)?;
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

    fn download(&self, name: &str, entry: &Entry, limits: &Limits) -> Result<Vec<u8>, SourceError> {
        let version = &entry.version;
        let invalid = |cause: String| SourceError::Invalid { location: self.url.to_string(), cause };
        let written = entry
            .url
            .as_ref()
            .ok_or_else(|| invalid(format!("{name} {version} has no address in the index")))?;
        let url =
            resolve(&self.url, written).map_err(|cause| invalid(format!("{name} {version}: {cause}")))?;
        match self.way.ask(&self.url, &url, HeaderMap::new(), LARGEST_ARCHIVE, limits) {
            Err(SourceError::NotFound { .. }) => {
                Err(self.missing(format!("archive of {name} {version} at {}", web::shown(&url)), Vec::new()))
            }
            answer => answer.map(|answer| answer.bytes),
        }
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
        let known = known.or_else(|| self.kept());
        let mut headers = HeaderMap::new();
        if let Some(tag) = known.as_ref().and_then(|known| known.tag.clone()) {
            headers.insert(IF_NONE_MATCH, tag);
        }
        let answer = match self.way.ask(&self.url, &url, headers, LARGEST_INDEX, limits) {
            Err(SourceError::NotFound { .. }) => return Err(self.missing("index.yaml".into(), Vec::new())),
            answer => answer?,
        };
        let now = match known {
            Some(known) if answer.status == StatusCode::NOT_MODIFIED => known,
            _ => {
                let index = parse(&answer.bytes).map_err(invalid)?;
                let tag = answer.headers.get(ETAG).cloned();
                self.keep(&answer.bytes, tag.as_ref())?;
                Known { index: Arc::new(index), tag }
            }
        };
        let index = Arc::clone(&now.index);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        Ok(index)
    }

    fn note(&self) -> String {
        format!("index-{}", scoped("", self.url.as_str()))
    }

    /// Keeps the index with what the server calls it: a line, then the text.
    fn keep(&self, bytes: &[u8], tag: Option<&HeaderValue>) -> Result<(), SourceError> {
        let Some(tag) = tag else { return Ok(()) };
        self.store.write(&self.note(), &[tag.as_bytes(), b"\n", bytes].concat())
    }

    /// The index that was kept before a restart.
    fn kept(&self) -> Option<Known> {
        let note = self.store.note(&self.note())?;
        let end = note.iter().position(|byte| *byte == b'\n')?;
        let tag = HeaderValue::from_bytes(&note[..end]).ok()?;
        let index = parse(&note[end + 1..]).ok()?;
        Some(Known { index: Arc::new(index), tag: Some(tag) })
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

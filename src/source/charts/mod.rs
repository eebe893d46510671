//! Where charts come from: HTTP(S) chart repositories and OCI registries.
//!
//! What enters: a [`ChartSpec`] of plain values, the name of a chart and a range of versions as Helm reads it. What
//! leaves: the archive's bytes with the version and the digest that they were found under.
//!
//! Choosing (which version, which address, which layer) is pure and apart from asking: `index` and `oci`. What was
//! downloaded is kept by its digest, so that nothing is transferred twice, and an archive whose digest is not the
//! promised one is refused.
//!
//! Deliberately absent: what is in an archive, `Chart.lock`, charts in the App's own repository, retries.

mod index;
mod oci;
mod registry;
mod repository;
mod store;
mod web;

use crate::hex::hex;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::http::{ClearText, Clients};
use super::spec::{self, HttpUrl, Location};
use super::threads::Threads;
use super::{Credentials, SourceError};

pub use oci::OciReference;
use registry::Registry;
use repository::Repository;
use store::Store;

/// A download may take this many times as long as a question.
const DOWNLOAD_FACTOR: u32 = 10;

/// Where charts are, and how to be let in.
#[derive(Clone, Debug, PartialEq)]
pub struct ChartSpec {
    /// The repository or registry.
    pub location: ChartLocation,
    /// How to be let in: user and password, or a bearer token, and authorities to trust.
    pub credentials: Credentials,
    /// Speaks plain http to a registry, and sends credentials over plain http to any host.
    pub insecure: bool,
    /// The bound of one question; a download may take ten times as long.
    pub timeout: Duration,
    /// Who may share what was downloaded: sources of different scopes never do. See [`super::Spec::scope`].
    pub scope: String,
}

impl ChartSpec {
    /// Charts at `location`, without credentials, 60 seconds to answer.
    pub fn new(location: ChartLocation) -> Self {
        Self {
            location,
            credentials: Credentials::default(),
            insecure: false,
            timeout: Duration::from_mins(1),
            scope: String::new(),
        }
    }
}

/// Where charts are. Prints itself without user information.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChartLocation {
    /// A folder with an `index.yaml`, `http://` or `https://`.
    Repository(HttpUrl),
    /// A registry with the path before a chart's name, or of one chart: `oci://host/path`.
    Registry(OciReference),
}

impl ChartLocation {
    /// Reads an address, and takes the user and password out of an http URL.
    ///
    /// # Errors
    /// It is neither http(s) nor oci, or no reference that registries take.
    pub fn parse(text: &str) -> Result<(Self, Credentials), SourceError> {
        if let Some(rest) = text.strip_prefix("oci://") {
            let reference = OciReference::parse(rest).map_err(|cause| SourceError::Invalid {
                location: format!("oci://{}", rest.rsplit('@').next().unwrap_or(rest)),
                cause,
            })?;
            return Ok((Self::Registry(reference), Credentials::default()));
        }
        let only = || SourceError::Invalid {
            location: "the charts' URL".into(),
            cause: "charts are read from https, http and oci".into(),
        };
        if !text.starts_with("http://") && !text.starts_with("https://") {
            return Err(only());
        }
        match Location::parse(text)? {
            (Location::Http(url), credentials) => Ok((Self::Repository(url), credentials)),
            (Location::Ssh(_) | Location::Folder(_) | Location::File(_) | Location::Chart(_), _) => {
                Err(only())
            }
        }
    }

    /// The URL of the server, with the path below it.
    pub(super) fn web(&self) -> Option<reqwest::Url> {
        match self {
            Self::Repository(url) => Some(url.url.clone()),
            Self::Registry(reference) => reference.web(),
        }
    }
}

/// Whether a range has only one version that it can be.
pub fn is_exact(location: &ChartLocation, range: &str) -> bool {
    let version = range.trim().trim_start_matches(['=', 'v']);
    semver::Version::parse(version).is_ok() || location.to_string().contains("@sha256:")
}

impl std::fmt::Display for ChartLocation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Repository(url) => write!(f, "{}", url.url),
            Self::Registry(reference) => reference.fmt(f),
        }
    }
}

/// A chart as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chart {
    /// The archive: a gzipped tar.
    pub bytes: Arc<[u8]>,
    /// The version that was chosen, as the source writes it.
    pub version: String,
    /// What names these bytes for ever, `sha256:` and 64 hex digits: the archive's own hash for a repository, the
    /// manifest's for a registry.
    pub digest: String,
}

/// Where charts are taken from. Cheap to clone; clones are the same source, and share what they know of it.
#[derive(Clone)]
pub struct ChartSource {
    location: Arc<str>,
    timeout: Duration,
    threads: Threads,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Repository(Arc<Repository>),
    Registry(Arc<Registry>),
}

impl ChartSource {
    /// Makes a source of `spec`, which keeps what it downloads below `folder`. Asks nobody yet.
    pub(super) fn new(spec: &ChartSpec, clients: &Clients, threads: &Threads, folder: &Path) -> Self {
        let clear_text = if spec.insecure { ClearText::Allowed } else { ClearText::Refused };
        let store = Store::new(folder, &spec.scope);
        let way = web::Way { clients: clients.clone(), credentials: spec.credentials.clone(), clear_text };
        let kind = match &spec.location {
            ChartLocation::Repository(url) => {
                Kind::Repository(Arc::new(Repository::new(url.clone(), way, store)))
            }
            ChartLocation::Registry(reference) => {
                Kind::Registry(Arc::new(Registry::new(reference.clone(), way, store)))
            }
        };
        Self {
            location: spec.location.to_string().into(),
            timeout: spec.timeout,
            threads: threads.clone(),
            kind,
        }
    }

    /// The newest version of a chart in `range`, as Helm would choose it. An empty range is any release.
    ///
    /// `name` is the chart's name in a repository. In a registry it follows the path; it is empty where the location is
    /// the chart's own.
    ///
    /// # Errors
    /// See [`SourceError`].
    pub async fn fetch(&self, name: &str, range: &str) -> Result<Chart, SourceError> {
        let (name, range, kind) = (name.to_owned(), range.trim().to_owned(), self.kind.clone());
        let work = move |limits: &super::limits::Limits| match &kind {
            Kind::Repository(repository) => repository.fetch(&name, &range, limits),
            Kind::Registry(registry) => registry.fetch(&name, &range, limits),
        };
        let bound = self.timeout * DOWNLOAD_FACTOR;
        self.threads.run(&self.location, bound, work).await
    }
}

impl ChartSource {
    /// A chart that was fetched before, by its version and digest; nobody is asked.
    pub(super) fn kept(&self, version: &str, digest: &str) -> Option<Chart> {
        let bytes = match &self.kind {
            Kind::Repository(repository) => repository.kept(digest),
            Kind::Registry(registry) => registry.kept(digest),
        }?;
        Some(Chart { bytes: bytes.into(), version: version.to_owned(), digest: digest.to_owned() })
    }
}

/// The name of a folder that only sources of one scope share.
fn scoped(scope: &str, location: &str) -> String {
    super::mirror::key(scope, location)
}

/// Whether a text is a digest that is understood here.
fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
}

/// The digest of these bytes.
fn digest(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    format!("sha256:{}", hex(&sha2::Sha256::digest(bytes)))
}

/// A location for http's own checks.
fn http_url(url: &reqwest::Url) -> HttpUrl {
    spec::HttpUrl { url: url.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_a_repository_or_a_registry_and_prints_no_password() {
        for (text, expected) in [
            ("https://me:pw@charts.example.com/stable", "https://charts.example.com/stable"),
            ("oci://registry.example.com/charts", "oci://registry.example.com/charts"),
            ("oci://localhost:5000/a/b:1.2.3", "oci://localhost:5000/a/b:1.2.3"),
        ] {
            let (location, credentials) = ChartLocation::parse(text).unwrap();
            assert_eq!(location.to_string(), expected);
            assert_eq!(credentials.password.is_some(), text.contains("pw"));
        }
        for text in
            ["git@example.com:a/b", "./charts", "ftp://x/y", "oci://", "oci://host", "oci://Host/UPPER"]
        {
            assert!(ChartLocation::parse(text).is_err(), "{text}");
        }
    }
}

//! An OCI registry, by the distribution specification: tags, manifests, blobs, and the tokens that it wants.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, LINK, WWW_AUTHENTICATE};
use reqwest::{StatusCode, Url};
use serde::Deserialize;

use super::oci::{
    self, CONFIG, Challenge, Content, Descriptor, LIST, MANIFEST, OciReference, Wanted, to_tag,
};
use super::repository::{LARGEST_ARCHIVE, unfound_in};
use super::store::Store;
use super::web::{self, Answer, Way};
use super::{Chart, digest, index, is_digest};
use crate::source::SourceError;
use crate::source::http::{self, ClearText, Given};
use crate::source::limits::Limits;

/// The specification's own bound.
const LARGEST_MANIFEST: usize = 4 << 20;
const LARGEST_PAGE: usize = 4 << 20;
/// Of a thousand tags each.
const MOST_PAGES: usize = 100;
const DIGEST: &str = "docker-content-digest";
/// How long a token holds of which nothing is said.
const TOKEN: Duration = Duration::from_mins(1);
/// A token is not used this short before its end.
const MARGIN: Duration = Duration::from_secs(10);

pub(super) struct Registry {
    reference: OciReference,
    way: Way,
    store: Store,
    /// What let the last question in, and until when. It is for one path: tokens are.
    key: Mutex<Option<Key>>,
}

#[derive(Clone)]
struct Key {
    path: String,
    header: HeaderValue,
    until: Option<Instant>,
}

#[derive(Deserialize)]
struct Tags {
    /// Null where there is none.
    tags: Option<Vec<String>>,
}

/// What a server of tokens answers, under either name.
#[derive(Deserialize)]
struct Granted {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

/// The chart's own version, in what describes it.
#[derive(Deserialize)]
struct Described {
    version: String,
}

/// A manifest that has a chart.
struct Found {
    digest: String,
    config: Descriptor,
    archive: Descriptor,
}

impl Registry {
    pub(super) fn new(reference: OciReference, way: Way, store: Store) -> Self {
        Self { reference, way, store, key: Mutex::default() }
    }

    /// See [`super::ChartSource::fetch`].
    pub(super) fn fetch(&self, name: &str, range: &str, limits: &Limits) -> Result<Chart, SourceError> {
        let invalid = |cause: String| SourceError::Invalid { location: self.reference.to_string(), cause };
        let place = self.reference.join(name).map_err(invalid)?;
        let asking = Asking { registry: self, place: &place, limits };
        let (version, found) = match oci::wanted(&place, range).map_err(invalid)? {
            Wanted::Version(version) => {
                let found = asking.manifest(&to_tag(&version), &version)?;
                (version, found)
            }
            Wanted::Range(range) => {
                let tags = asking.tags()?;
                let version = oci::pick(&tags, &range)
                    .map_err(|unfound| unfound_in(&place.to_string(), "", &range, unfound))?;
                let found = asking.manifest(&to_tag(&version), &version)?;
                (version, found)
            }
            Wanted::Digest(digest, range) => {
                let found = asking.manifest(&digest, &digest)?;
                let version = asking.version(&found)?;
                index::pick(&[&version], &range)
                    .map_err(|unfound| unfound_in(&place.to_string(), "", &range, unfound))?;
                (version, found)
            }
        };
        let bytes = asking.blob(&found.archive, LARGEST_ARCHIVE)?;
        Ok(Chart { bytes: bytes.into(), version, digest: found.digest })
    }

    /// The archive that a manifest of this digest names, if both were fetched before.
    pub(super) fn kept(&self, digest: &str) -> Option<Vec<u8>> {
        match oci::content(&self.store.get(digest)?).ok()? {
            Content::Chart { archive, .. } => self.store.get(&archive.digest),
            Content::Further(_) => None,
        }
    }
}

/// Questions about one chart's place.
struct Asking<'r> {
    registry: &'r Registry,
    place: &'r OciReference,
    limits: &'r Limits,
}

impl Asking<'_> {
    fn location(&self) -> String {
        self.place.to_string()
    }

    fn invalid(&self, cause: String) -> SourceError {
        SourceError::Invalid { location: self.location(), cause }
    }

    fn damaged(&self, cause: String) -> SourceError {
        SourceError::Damaged { location: self.location(), cause }
    }

    fn url(&self, tail: &str) -> Result<Url, SourceError> {
        let scheme = match self.registry.way.clear_text {
            ClearText::Allowed => "http",
            ClearText::Refused => "https",
        };
        let text = format!("{scheme}://{}/v2/{}/{tail}", self.place.server(), self.place.path);
        Url::parse(&text).map_err(|error| self.invalid(format!("it makes no URL: {error}")))
    }

    /// All tags, page by page.
    fn tags(&self) -> Result<Vec<String>, SourceError> {
        let first = self.url("tags/list?n=1000")?;
        let (mut url, mut all) = (first.clone(), Vec::new());
        for _ in 0..MOST_PAGES {
            let answer = self.ask(&url, "application/json", LARGEST_PAGE, "tags")?;
            let page: Tags = serde_json::from_slice(&answer.bytes)
                .map_err(|error| self.invalid(format!("the list of tags is not understood: {error}")))?;
            all.extend(page.tags.unwrap_or_default());
            match next_page(&url, &answer.headers) {
                Some(next) if next.origin() == first.origin() => url = next,
                Some(_) => return Err(self.invalid("the list of tags goes on at another server".into())),
                None => return Ok(all),
            }
        }
        Err(self.invalid(format!("there are more than {MOST_PAGES} pages of tags; name a version")))
    }

    /// The manifest under a tag or a digest. `shown` is what it is called for people.
    fn manifest(&self, under: &str, shown: &str) -> Result<Found, SourceError> {
        let mut under = under.to_owned();
        // A list of manifests may lead to one, which is no list again.
        for _ in 0..2 {
            let (name, bytes) = self.manifest_bytes(&under, shown)?;
            match oci::content(&bytes).map_err(|why| self.invalid(format!("{shown}: {why}")))? {
                Content::Chart { config, archive } => return Ok(Found { digest: name, config, archive }),
                Content::Further(descriptor) => under = descriptor.digest,
            }
        }
        Err(self.invalid(format!("{shown} is a list of lists")))
    }

    fn manifest_bytes(&self, under: &str, shown: &str) -> Result<(String, Vec<u8>), SourceError> {
        if let Some(kept) = self.registry.store.get(under) {
            return Ok((under.to_owned(), kept));
        }
        let url = self.url(&format!("manifests/{under}"))?;
        let accept = format!("{MANIFEST}, {LIST}");
        let answer = self.ask(&url, &accept, LARGEST_MANIFEST, &format!("version {shown}"))?;
        let found = digest(&answer.bytes);
        let said =
            answer.headers.get(DIGEST).and_then(|said| said.to_str().ok()).filter(|said| is_digest(said));
        for promised in said.into_iter().chain(is_digest(under).then_some(under)) {
            if promised != found {
                return Err(self.damaged(format!("the manifest of {shown} is {found}, and not {promised}")));
            }
        }
        self.registry.store.put(&answer.bytes)?;
        Ok((found, answer.bytes))
    }

    /// What has a descriptor's digest.
    fn blob(&self, descriptor: &Descriptor, most: usize) -> Result<Vec<u8>, SourceError> {
        let wanted = &descriptor.digest;
        if let Some(kept) = self.registry.store.get(wanted) {
            return Ok(kept);
        }
        let size = usize::try_from(descriptor.size).ok().filter(|size| *size <= most);
        let size =
            size.ok_or_else(|| self.invalid(format!("it has {} bytes, more than {most}", descriptor.size)))?;
        let url = self.url(&format!("blobs/{wanted}"))?;
        let answer = self.ask(&url, "*/*", size, &format!("blob {wanted}"))?;
        let found = digest(&answer.bytes);
        if found != *wanted {
            return Err(self.damaged(format!("what came for {wanted} has the digest {found}")));
        }
        self.registry.store.put(&answer.bytes)?;
        Ok(answer.bytes)
    }

    fn version(&self, found: &Found) -> Result<String, SourceError> {
        let config = self.blob(&found.config, LARGEST_MANIFEST)?;
        let described: Described = serde_json::from_slice(&config)
            .map_err(|error| self.invalid(format!("{CONFIG} is not understood: {error}")))?;
        Ok(described.version)
    }

    /// Asks, and where the registry wants to know who asks, once more. `what` is what is missing where it is.
    fn ask(&self, url: &Url, accept: &str, most: usize, what: &str) -> Result<Answer, SourceError> {
        let mut key = self.key();
        if key.is_none() && self.registry.way.credentials.bearer_token.is_some() {
            key = self.registry.way.authorization(url)?;
        }
        let mut answer = self.send(url, accept, most, key.as_ref())?;
        if answer.status == StatusCode::UNAUTHORIZED
            && let Some(fresh) = self.answer_challenge(&answer.headers, url)?
        {
            key = Some(fresh);
            answer = self.send(url, accept, most, key.as_ref())?;
        }
        if answer.status == StatusCode::NOT_FOUND {
            return Err(SourceError::RefMissing {
                location: self.location(),
                wanted: what.to_owned(),
                near: Vec::new(),
            });
        }
        let given = if key.is_some() { Given::Some } else { Given::None };
        http::refused(&self.location(), answer.status, given).map_or(Ok(answer), Err)
    }

    fn send(
        &self,
        url: &Url,
        accept: &str,
        most: usize,
        key: Option<&HeaderValue>,
    ) -> Result<Answer, SourceError> {
        let mut request = self.registry.way.request(url)?.header(ACCEPT, accept);
        if let Some(key) = key {
            request = request.header(AUTHORIZATION, key.clone());
        }
        web::send(request, url, most, self.limits)
    }

    /// What let the last question about this place in, if it still does.
    fn key(&self) -> Option<HeaderValue> {
        let key = self.registry.key.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        let holds = key.until.is_none_or(|until| Instant::now() + MARGIN < until);
        (holds && key.path == self.place.path).then_some(key.header)
    }

    /// What the registry wants to be shown; nothing where there is nothing to show.
    fn answer_challenge(&self, headers: &HeaderMap, url: &Url) -> Result<Option<HeaderValue>, SourceError> {
        let wanted =
            headers.get_all(WWW_AUTHENTICATE).iter().find_map(|header| oci::challenge(header.to_str().ok()?));
        let (header, until) = match wanted {
            None => return Ok(None),
            Some(Challenge::Basic) => match self.registry.way.authorization(url)? {
                Some(header) => (header, None),
                None => return Ok(None),
            },
            Some(Challenge::Bearer { realm, service, scope }) => {
                let (header, holds) = self.token(&realm, service.as_deref(), scope.as_deref())?;
                (header, Some(Instant::now() + holds))
            }
        };
        let key = Key { path: self.place.path.clone(), header: header.clone(), until };
        *self.registry.key.lock().unwrap_or_else(PoisonError::into_inner) = Some(key);
        Ok(Some(header))
    }

    /// Asks for a token where the registry says, with the credentials if there are any.
    fn token(
        &self,
        realm: &str,
        service: Option<&str>,
        scope: Option<&str>,
    ) -> Result<(HeaderValue, Duration), SourceError> {
        let realm = Url::parse(realm).ok().filter(|realm| matches!(realm.scheme(), "http" | "https"));
        let mut url =
            realm.ok_or_else(|| self.invalid("tokens are given at something that is no URL".into()))?;
        let own_scope = format!("repository:{}:pull", self.place.path);
        url.query_pairs_mut()
            .extend_pairs(service.map(|service| ("service", service)))
            .append_pair("scope", scope.unwrap_or(&own_scope));
        let mut request = self.registry.way.request(&url)?;
        // A server that gives tokens may be another than the registry; it must be as safe a way to it.
        let authorization = self.registry.way.authorization(&url)?;
        let given = if authorization.is_some() { Given::Some } else { Given::None };
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let answer = web::send(request, &url, LARGEST_MANIFEST, self.limits)?;
        if let Some(error) = http::refused(&self.location(), answer.status, given) {
            return Err(error);
        }
        let unread = |why: String| self.invalid(format!("the token is not understood: {why}"));
        let token: Granted =
            serde_json::from_slice(&answer.bytes).map_err(|error| unread(error.to_string()))?;
        let text = token.token.or(token.access_token).ok_or_else(|| unread("there is none".into()))?;
        let mut header =
            HeaderValue::from_str(&format!("Bearer {text}")).map_err(|error| unread(error.to_string()))?;
        header.set_sensitive(true);
        Ok((header, token.expires_in.map_or(TOKEN, Duration::from_secs)))
    }
}

/// Where a list goes on: `Link: <…>; rel="next"`.
fn next_page(url: &Url, headers: &HeaderMap) -> Option<Url> {
    let link = headers.get(LINK)?.to_str().ok()?;
    let (address, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
    rest.contains("next").then(|| url.join(address).ok()).flatten()
}

//! A single file behind an http(s) URL: asked for whole, unless the server says that it is the same as before.
//!
//! Its revision is the hash of its content, and its tree has nothing but the file. The last content is kept in the cache
//! folder, so that it is there when the server is not.

use crate::hex::hex;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::header::{AUTHORIZATION, ETAG, HeaderValue, IF_NONE_MATCH};
use reqwest::{StatusCode, Url};
use sha2::{Digest, Sha256};
use trueup_model::MemoryTree;

use super::http::{self, ClearText, Clients, Given};
use super::limits::Limits;
use super::spec::{Credentials, FileUrl, HttpUrl};
use super::{Commit, Head, SourceError};

/// A larger file is not read; it cannot be manifests.
const MAX_SIZE: usize = 16 << 20;

/// A file that is a source.
pub(super) struct WebFile {
    /// With its query.
    url: Url,
    /// The name in the tree.
    name: String,
    /// Without it: some hold tokens.
    shown: HttpUrl,
    credentials: Credentials,
    clear_text: ClearText,
    clients: Clients,
    /// Where contents are kept, by their hashes.
    folder: PathBuf,
    last: Mutex<Option<Content>>,
}

#[derive(Clone)]
struct Content {
    revision: String,
    bytes: Arc<[u8]>,
    /// By which the server knows it.
    tag: Option<HeaderValue>,
}

impl WebFile {
    pub(super) fn new(
        file: &FileUrl,
        credentials: &Credentials,
        clear_text: ClearText,
        clients: &Clients,
        folder: PathBuf,
    ) -> Self {
        let mut shown = file.url.clone();
        shown.set_query(None);
        Self {
            url: file.url.clone(),
            name: file.name.clone(),
            shown: HttpUrl { url: shown },
            credentials: credentials.clone(),
            clear_text,
            clients: clients.clone(),
            folder,
            last: Mutex::default(),
        }
    }

    /// Reads the file, and keeps it.
    pub(super) fn poll(&self, limits: &Limits) -> Result<Head, SourceError> {
        let before = self.last();
        let content = match self.get(before.as_ref(), limits)? {
            Some(new) => {
                if before.as_ref().is_none_or(|before| before.revision != new.revision) {
                    self.keep(&new)?;
                }
                *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(new.clone());
                new
            }
            None => before.ok_or_else(|| self.unreachable("the server says that nothing changed".into()))?,
        };
        Ok(Head { reference: self.shown.url.to_string(), revision: content.revision, advertised: None })
    }

    /// The content with the hash `revision`, from here.
    pub(super) fn kept(&self, revision: &str) -> Option<Commit> {
        if let Some(last) = self.last().filter(|last| last.revision == revision) {
            return Some(self.commit(&last));
        }
        let is_hash = revision.len() == 64 && revision.bytes().all(|byte| byte.is_ascii_hexdigit());
        let bytes = std::fs::read(self.folder.join(revision)).ok().filter(|_| is_hash)?;
        let content = Content { revision: hash(&bytes), bytes: bytes.into(), tag: None };
        (content.revision == revision).then(|| self.commit(&content))
    }

    pub(super) fn fetch(&self, revision: &str) -> Result<Commit, SourceError> {
        self.kept(revision).ok_or_else(|| SourceError::CommitMissing {
            location: self.shown.url.to_string(),
            revision: revision.to_owned(),
        })
    }

    fn commit(&self, content: &Content) -> Commit {
        let mut tree = MemoryTree::new();
        tree.insert(&self.name, &content.bytes);
        Commit {
            revision: content.revision.clone(),
            author: String::new(),
            email: None,
            time: jiff::Timestamp::UNIX_EPOCH,
            subject: String::new(),
            tree: Arc::new(tree),
            rest: None,
        }
    }

    fn last(&self) -> Option<Content> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn unreachable(&self, cause: String) -> SourceError {
        SourceError::Unreachable { location: self.shown.url.to_string(), cause }
    }

    /// The content, if it is not what it was `before`.
    fn get(&self, before: Option<&Content>, limits: &Limits) -> Result<Option<Content>, SourceError> {
        let location = self.shown.url.to_string();
        let gave_up =
            |_| SourceError::Timeout { location: location.clone(), doing: "asking", after: limits.after };
        let authorization = http::authorization(&self.shown, &self.credentials, self.clear_text)?;
        let given = if authorization.is_some() { Given::Some } else { Given::None };
        let mut request = self.clients.get(&self.shown, &self.credentials)?.get(self.url.clone());
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        if let Some(tag) = before.and_then(|before| before.tag.clone()) {
            request = request.header(IF_NONE_MATCH, tag);
        }
        let answer = limits.wait(request.send()).map_err(gave_up)?;
        let mut answer = answer.map_err(|error| http::network(&location, error))?;
        if answer.status() == StatusCode::NOT_MODIFIED {
            return Ok(None);
        }
        if let Some(error) = http::refused(&location, answer.status(), given) {
            return Err(error);
        }
        let mut bytes = Vec::new();
        while let Some(chunk) =
            limits.wait(answer.chunk()).map_err(gave_up)?.map_err(|error| http::network(&location, error))?
        {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > MAX_SIZE {
                let cause = format!("the file has more than {} MiB", MAX_SIZE >> 20);
                return Err(SourceError::Invalid { location, cause });
            }
        }
        let tag = answer.headers().get(ETAG).cloned();
        Ok(Some(Content { revision: hash(&bytes), bytes: bytes.into(), tag }))
    }

    /// Writes the content, and takes away the ones before.
    fn keep(&self, content: &Content) -> Result<(), SourceError> {
        let failed = |error| SourceError::io("write", &self.folder, error);
        std::fs::create_dir_all(&self.folder).map_err(failed)?;
        let place = self.folder.join(&content.revision);
        let partial = self.folder.join("partial");
        std::fs::write(&partial, &content.bytes).map_err(failed)?;
        std::fs::rename(&partial, &place).map_err(failed)?;
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return Ok(()) };
        for old in entries.filter_map(Result::ok).filter(|entry| entry.path() != place) {
            let _ = std::fs::remove_file(old.path());
        }
        Ok(())
    }
}

fn hash(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

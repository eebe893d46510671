//! Sources and what they share: the cache folder, mirrors of the same repository, and threads.

use std::collections::HashMap;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use super::charts::{ChartSource, ChartSpec};
use super::file::WebFile;
use super::http::{ClearText, Clients};
use super::limits::Limits;
use super::local::{Local, View};
use super::mirror::{self, Found, Mirror, Want};
use super::origin::{Origin, Reach};
use super::overheard::Listening;
use super::packed::PackedChart;
use super::partial::Rest;
use super::reference::{self, Listed};
use super::spec::{ChartUrl, FileUrl};
use super::threads::Threads;
use super::watch::{self, Watch};
use super::wire::{FetchError, Next, Remote};
use super::{Commit, Head, Location, Reference, SourceError, Spec};

/// A fetch may take this many times as long as a question.
const FETCH_FACTOR: u32 = 10;

/// The folder of mirrors, and the sources' shared bound on threads.
#[derive(Clone)]
pub struct Cache {
    folder: PathBuf,
    threads: Threads,
    mirrors: Arc<Mutex<HashMap<String, Weak<Mirror>>>>,
    clients: Clients,
    reach: Reach,
}

/// One repository and reference that is followed. Cheap to clone; clones are the same source.
#[derive(Clone)]
pub struct Source {
    spec: Arc<Spec>,
    threads: Threads,
    kind: Kind,
    listening: Listening,
}

#[derive(Clone)]
enum Kind {
    Local(Arc<Local>),
    Mirrored(Arc<Remote>, Arc<Mirror>),
    File(Arc<WebFile>),
    Chart(Arc<PackedChart>),
    Here(Arc<dyn Origin>),
}

impl Cache {
    /// Ends the questions and fetches that are under way; for who ends the runtime next.
    pub async fn end(&self) {
        self.threads.end().await;
    }

    /// A cache below `folder`, which comes to be, readable by this user only.
    ///
    /// # Errors
    /// The folder cannot be created.
    pub fn new(folder: &Path) -> Result<Self, SourceError> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|error| SourceError::io("create", folder, error))?;
        Ok(Self {
            folder: folder.to_owned(),
            threads: Threads::new(),
            mirrors: Arc::default(),
            clients: Clients::default(),
            reach: Reach::Network,
        })
    }

    /// The same cache for repositories that may be somewhere else than their locations say.
    #[must_use]
    pub fn reaching(self, reach: Reach) -> Self {
        Self { reach, ..self }
    }

    /// Makes a source of `spec`. Asks nobody yet.
    ///
    /// # Errors
    /// A spec that cannot work: an abbreviated commit, `worktree` of a remote repository or together with
    /// a reference, a mirror folder that cannot be made.
    pub fn open(&self, spec: Spec) -> Result<Source, SourceError> {
        if let Reach::Here(find) = &self.reach {
            let kind = Kind::Here(find(&spec.location));
            let listening = Listening::default();
            return Ok(Source { spec: Arc::new(spec), threads: self.threads.clone(), kind, listening });
        }
        let location = spec.location.to_string();
        let invalid = |cause: &str| SourceError::Invalid { location: location.clone(), cause: cause.into() };
        if let Reference::Commit(id) = &spec.reference
            && gix::ObjectId::from_hex(id.as_bytes()).is_err()
        {
            return Err(invalid("a fixed commit must be written in full (40 hex digits)"));
        }
        let kind = match &spec.location {
            Location::Folder(path) if spec.worktree => {
                if spec.reference != Reference::Head {
                    return Err(invalid(
                        "`worktree: true` takes the files as they are; remove the reference",
                    ));
                }
                Kind::Local(Arc::new(Local::new(path.clone(), View::Worktree)))
            }
            Location::Folder(path) => Kind::Local(Arc::new(Local::new(path.clone(), View::Commits))),
            Location::Http(_) | Location::Ssh(_) | Location::File(_) | Location::Chart(_)
                if spec.worktree =>
            {
                return Err(invalid("`worktree: true` needs a local folder"));
            }
            Location::Http(_) | Location::Ssh(_) => Kind::Mirrored(
                Arc::new(Remote::new(&spec, &self.clients)),
                self.mirror(&spec.scope, &location)?,
            ),
            Location::File(file) => Kind::File(self.file(&spec, file)),
            Location::Chart(chart) => Kind::Chart(self.chart(&spec, chart)),
        };
        let listening = match &self.reach {
            Reach::Overheard(ear) => Listening(Some(ear.clone())),
            Reach::Network | Reach::Here(_) => Listening::default(),
        };
        Ok(Source { spec: Arc::new(spec), threads: self.threads.clone(), kind, listening })
    }

    fn file(&self, spec: &Spec, file: &FileUrl) -> Arc<WebFile> {
        let clear_text = if spec.insecure { ClearText::Allowed } else { ClearText::Refused };
        let folder = self.folder.join("files").join(mirror::key(&spec.scope, file.url.as_str()));
        Arc::new(WebFile::new(file, &spec.credentials, clear_text, &self.clients, folder))
    }

    fn chart(&self, spec: &Spec, chart: &ChartUrl) -> Arc<PackedChart> {
        let Spec { credentials, insecure, timeout, scope, .. } = spec.clone();
        let source =
            ChartSpec { credentials, insecure, timeout, scope, ..ChartSpec::new(chart.location.clone()) };
        Arc::new(PackedChart::new(chart, self.charts(&source)))
    }

    /// Makes a source of charts. Asks nobody yet.
    pub fn charts(&self, spec: &ChartSpec) -> ChartSource {
        ChartSource::new(spec, &self.clients, &self.threads, &self.folder.join("charts"))
    }

    /// Removes the mirrors that no source has asked for since `unused` ago. What is open, here or in
    /// another process, stays.
    ///
    /// # Errors
    /// The cache folder cannot be read.
    pub fn remove_unused(&self, unused: Duration) -> Result<(), SourceError> {
        let folder = self.folder.join("git");
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(SourceError::io("read", &folder, error)),
        };
        // Held, so that nobody opens a mirror that is on its way out.
        let mirrors = self.mirrors.lock().unwrap_or_else(PoisonError::into_inner);
        for entry in entries.filter_map(Result::ok) {
            let open = entry
                .file_name()
                .to_str()
                .and_then(|key| mirrors.get(key))
                .is_some_and(|mirror| mirror.strong_count() > 0);
            if !open {
                mirror::remove_if_unused(&entry.path(), unused);
            }
        }
        Ok(())
    }

    fn mirror(&self, scope: &str, location: &str) -> Result<Arc<Mirror>, SourceError> {
        let key = mirror::key(scope, location);
        let mut mirrors = self.mirrors.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mirror) = mirrors.get(&key).and_then(Weak::upgrade) {
            return Ok(mirror);
        }
        mirrors.retain(|_, mirror| mirror.strong_count() > 0);
        let mirror = Arc::new(Mirror::open(self.folder.join("git").join(&key), location)?);
        mirrors.insert(key, Arc::downgrade(&mirror));
        Ok(mirror)
    }
}

impl Source {
    /// What this source follows.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Asks what the reference names now. Transfers no objects; for a fixed commit nobody is asked.
    ///
    /// # Errors
    /// See [`SourceError`].
    pub async fn poll(&self) -> Result<Head, SourceError> {
        self.ask(self.spec.reference.clone()).await
    }

    /// What `revision` names, as a person writes it: a commit in full, a branch, a tag, or the first
    /// digits of a commit that has been fetched before. A local repository knows all that Git does.
    ///
    /// # Errors
    /// See [`SourceError`].
    pub async fn resolve(&self, revision: &str) -> Result<Head, SourceError> {
        if gix::ObjectId::from_hex(revision.as_bytes()).is_ok() {
            return Ok(fixed(revision));
        }
        // Else it is an expression, such as `HEAD~1`.
        let is_name = gix::validate::reference::name_partial(revision.into()).is_ok();
        let named = [Reference::Branch(revision.to_owned()), Reference::Tag(revision.to_owned())];
        for reference in named.into_iter().filter(|_| is_name) {
            match self.ask(reference).await {
                Err(SourceError::RefMissing { .. }) => {}
                answer => return answer,
            }
        }
        let (kind, digits) = (self.kind.clone(), revision.to_owned());
        let look = move |_: &Limits| {
            Ok(match &kind {
                Kind::Local(local) => local.resolve(&digits),
                Kind::Mirrored(_, mirror) => mirror.resolve(&digits),
                Kind::File(_) | Kind::Chart(_) | Kind::Here(_) => None,
            })
        };
        let found = self.blocking(self.spec.timeout, look).await?;
        found.map(|id| fixed(&id.to_string())).ok_or_else(|| SourceError::RefMissing {
            location: self.spec.location.to_string(),
            wanted: format!("branch, tag or commit {revision}"),
            near: Vec::new(),
        })
    }

    async fn ask(&self, reference: Reference) -> Result<Head, SourceError> {
        match &self.kind {
            Kind::Local(local) => {
                let local = local.clone();
                self.blocking(self.spec.timeout, move |_| local.poll(&reference)).await
            }
            Kind::Mirrored(remote, mirror) => {
                if let Reference::Commit(id) = &reference {
                    return Ok(fixed(id));
                }
                let (remote, mirror) = (remote.clone(), mirror.clone());
                self.blocking(self.spec.timeout, move |limits| ask(&remote, &mirror, &reference, limits))
                    .await
            }
            Kind::File(file) => {
                let file = file.clone();
                self.blocking(self.spec.timeout, move |limits| file.poll(limits)).await
            }
            Kind::Chart(chart) => chart.poll().await,
            Kind::Here(origin) => origin.poll(&reference).await.map(|revision| fixed(&revision)),
        }
    }

    /// The commit that `head` names: from the mirror if it is there, otherwise from the server.
    ///
    /// # Errors
    /// See [`SourceError`].
    pub async fn fetch(&self, head: &Head) -> Result<Commit, SourceError> {
        self.heard(self.obtain(&head.revision, head.advertised).await)
    }

    /// Any commit of the repository by its full id, such as the one before.
    ///
    /// # Errors
    /// See [`SourceError`].
    pub async fn commit_at(&self, revision: &str) -> Result<Commit, SourceError> {
        self.heard(self.obtain(revision, None).await)
    }

    fn heard(&self, commit: Result<Commit, SourceError>) -> Result<Commit, SourceError> {
        commit.map(|commit| self.listening.to(commit, &self.spec))
    }

    /// A commit that is here already; nobody is asked for it.
    ///
    /// # Errors
    /// See [`SourceError`].
    pub async fn kept(&self, revision: &str) -> Result<Option<Commit>, SourceError> {
        let (source, revision) = (self.clone(), revision.to_owned());
        let look = move |_: &Limits| match &source.kind {
            Kind::Local(local) => local.fetch(&revision).map(Some),
            Kind::Mirrored(remote, mirror) => {
                let found =
                    gix::ObjectId::from_hex(revision.as_bytes()).ok().and_then(|id| mirror.present(id));
                Ok(found.map(|found| source.with_rest(remote, mirror, found)))
            }
            Kind::File(file) => Ok(file.kept(&revision)),
            Kind::Chart(chart) => Ok(chart.kept(&revision)),
            Kind::Here(origin) => Ok(origin.kept(&revision)),
        };
        let kept = self.blocking(self.spec.timeout, look).await?;
        Ok(kept.map(|commit| self.listening.to(commit, &self.spec)))
    }

    /// Whether a tree of this source was found damaged. Then [`Self::fetch`] is worth calling although the
    /// reference has not moved: it clones anew.
    pub fn is_damaged(&self) -> bool {
        match &self.kind {
            Kind::Local(local) => local.is_damaged(),
            Kind::Mirrored(_, mirror) => mirror.is_damaged(),
            Kind::File(_) | Kind::Chart(_) | Kind::Here(_) => false,
        }
    }

    /// Tells of changes to a local folder as they happen; nothing for repositories elsewhere.
    ///
    /// # Errors
    /// The folder is missing, or the system has no watches left: then asking at an interval is what remains.
    pub fn watch(&self) -> Result<Option<Watch>, SourceError> {
        if let Kind::Here(_) = self.kind {
            return Ok(None);
        }
        match (&self.spec.location, self.spec.worktree) {
            (Location::Folder(path), true) => watch::worktree(path).map(Some),
            (Location::Folder(path), false) => watch::references(path).map(Some),
            (Location::Http(_) | Location::Ssh(_) | Location::File(_) | Location::Chart(_), _) => Ok(None),
        }
    }

    async fn obtain(&self, revision: &str, advertised: Option<gix::ObjectId>) -> Result<Commit, SourceError> {
        let revision = revision.to_owned();
        let location = self.spec.location.to_string();
        match &self.kind {
            Kind::Local(local) => {
                let local = local.clone();
                self.blocking(self.spec.timeout, move |_| local.fetch(&revision)).await
            }
            Kind::File(file) => {
                let file = file.clone();
                self.blocking(self.spec.timeout, move |_| file.fetch(&revision)).await
            }
            Kind::Chart(chart) => {
                let chart = chart.clone();
                self.blocking(self.spec.timeout, move |_| chart.fetch(&revision)).await
            }
            Kind::Here(origin) => origin.fetch(&revision).await,
            Kind::Mirrored(remote, mirror) => {
                let commit = gix::ObjectId::from_hex(revision.as_bytes()).map_err(|_| {
                    let cause = format!("{revision} is not a full commit id (40 hex digits)");
                    SourceError::Invalid { location, cause }
                })?;
                let want = Want { commit, advertised };
                let there = mirror.clone();
                if let Some(found) =
                    self.blocking(self.spec.timeout, move |_| Ok(there.present(commit))).await?
                {
                    return Ok(self.with_rest(remote, mirror, found));
                }
                let _turn = mirror.turn.lock().await;
                let (server, here) = (remote.clone(), mirror.clone());
                let bound = self.spec.timeout * FETCH_FACTOR;
                let found = self.blocking(bound, move |limits| here.fetch(&server, want, limits)).await?;
                Ok(self.with_rest(remote, mirror, found))
            }
        }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        bound: Duration,
        work: impl FnOnce(&Limits) -> Result<T, SourceError> + Send + 'static,
    ) -> Result<T, SourceError> {
        self.threads.run(&self.spec.location, bound, work).await
    }

    /// Where the files of a commit come from that have not been fetched.
    fn with_rest(&self, remote: &Arc<Remote>, mirror: &Arc<Mirror>, found: Found) -> Commit {
        let Found { commit, objects, id } = found;
        let rest = objects.is_partial().then(|| {
            Arc::new(Rest {
                remote: remote.clone(),
                mirror: mirror.clone(),
                objects,
                commit: id,
                threads: self.threads.clone(),
                bound: self.spec.timeout * FETCH_FACTOR,
            })
        });
        Commit { rest, ..commit }
    }
}

/// A head that needs no asking.
fn fixed(id: &str) -> Head {
    Head { revision: id.to_owned(), reference: id.to_owned(), advertised: None }
}

fn ask(
    remote: &Arc<Remote>,
    mirror: &Mirror,
    reference: &Reference,
    limits: &Limits,
) -> Result<Head, SourceError> {
    // What is not here will be fetched next.
    let next = |found: &Result<Listed, SourceError>| match found {
        Ok(found) if !mirror.has(found.commit) => Next::Soon,
        Ok(_) | Err(_) => Next::Later,
    };
    let asked = remote.converse(limits, next, |session| {
        let listed = session.list(&reference::prefixes(reference))?;
        if let Some(found) = reference::pick(reference, &listed) {
            return Ok(Ok(found.clone()));
        }
        let all = session.list(&reference::wide_prefixes(reference))?;
        Ok(Err(SourceError::RefMissing {
            location: remote.location(),
            wanted: reference.to_string(),
            near: reference::near(reference, &all),
        }))
    });
    let found = asked.map_err(|error| match error {
        FetchError::Source(error) => error,
        FetchError::NotOffered | FetchError::Large | FetchError::Unusable(_) => {
            SourceError::Damaged { location: remote.location(), cause: format!("{error:?}") }
        }
    })??;
    Ok(Head {
        revision: found.commit.to_string(),
        reference: found.target.unwrap_or(found.name),
        advertised: Some(found.advertised),
    })
}

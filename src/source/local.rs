//! A local Git repository, read in place: no mirror, no `git` program, nothing written.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::folder::FolderTree;
use super::objects::{self, Objects};
use super::reference::{self, Listed};
use super::{Commit, Head, Reference, SourceError};

/// A folder that is a source.
pub(super) struct Local {
    path: PathBuf,
    view: View,
    objects: Mutex<Option<Arc<Objects>>>,
    scanned: Mutex<Option<Arc<FolderTree>>>,
}

/// What of a folder is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    Commits,
    Worktree,
}

impl Local {
    pub(super) fn new(path: PathBuf, view: View) -> Self {
        Self { path, view, objects: Mutex::default(), scanned: Mutex::default() }
    }

    pub(super) fn poll(&self, reference: &Reference) -> Result<Head, SourceError> {
        match self.view {
            View::Worktree => {
                let tree = self.scan()?;
                Ok(worktree_head(&tree))
            }
            View::Commits => head_of(&self.path, reference),
        }
    }

    pub(super) fn fetch(&self, revision: &str) -> Result<Commit, SourceError> {
        match self.view {
            View::Worktree => {
                let scanned = self.scanned.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let tree = match scanned {
                    Some(tree) if tree.revision() == revision => tree,
                    Some(_) | None => self.scan()?,
                };
                if tree.revision() != revision {
                    return Err(self.missing(revision));
                }
                Ok(tree.into_commit())
            }
            View::Commits => self.commit(revision),
        }
    }

    /// Whether objects were found missing or broken since the repository was opened.
    pub(super) fn is_damaged(&self) -> bool {
        let objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        objects.as_ref().is_some_and(|objects| objects.is_damaged())
    }

    /// The commit that Git knows as `revision`.
    pub(super) fn resolve(&self, revision: &str) -> Option<gix::ObjectId> {
        let repository = open(&self.path).ok()?;
        let found = repository.rev_parse_single(revision).ok()?;
        Some(found.object().ok()?.peel_to_commit().ok()?.id)
    }

    fn scan(&self) -> Result<Arc<FolderTree>, SourceError> {
        let mut scanned = self.scanned.lock().unwrap_or_else(PoisonError::into_inner);
        let tree = Arc::new(FolderTree::scan(&self.path, scanned.as_deref())?);
        *scanned = Some(tree.clone());
        Ok(tree)
    }

    /// The commit `revision`. A repository that was replaced by another is opened anew.
    fn commit(&self, revision: &str) -> Result<Commit, SourceError> {
        let id = gix::ObjectId::from_hex(revision.as_bytes()).map_err(|_| self.missing(revision))?;
        let opened = self.objects.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(objects) = opened.filter(|objects| !objects.is_damaged())
            && let Ok(commit) = objects::commit(&objects, id)
        {
            return Ok(commit);
        }
        let git_dir = open(&self.path)?.git_dir().to_owned();
        let objects = Objects::open(&git_dir, None).map_err(|error| damaged(&self.path, &error))?;
        let objects = Arc::new(objects);
        *self.objects.lock().unwrap_or_else(PoisonError::into_inner) = Some(objects.clone());
        objects::commit(&objects, id).map_err(|error| match error {
            objects::ReadError::Missing(_) | objects::ReadError::Absent(_) => self.missing(revision),
            objects::ReadError::OtherKind { .. } => {
                SourceError::Invalid { location: self.path.display().to_string(), cause: error.to_string() }
            }
            objects::ReadError::Broken { .. } => SourceError::Damaged {
                location: self.path.display().to_string(),
                cause: format!("{error}; run `git fsck` there"),
            },
        })
    }

    fn missing(&self, revision: &str) -> SourceError {
        SourceError::CommitMissing {
            location: self.path.display().to_string(),
            revision: revision.to_owned(),
        }
    }
}

fn worktree_head(tree: &FolderTree) -> Head {
    Head { revision: tree.revision(), reference: "worktree".into(), advertised: None }
}

fn damaged(path: &Path, error: &gix::Error) -> SourceError {
    SourceError::Damaged {
        location: path.display().to_string(),
        cause: format!("{}; run `git fsck` there", objects::text(error)),
    }
}

/// Opens the repository at exactly `path`; one above is only named in the error.
pub(super) fn open(path: &Path) -> Result<gix::Repository, SourceError> {
    gix::open_opts(path, objects::options()).map_err(|error| {
        let cause = if !path.exists() {
            "the folder does not exist".to_owned()
        } else if path.join(".git").exists() || path.join("HEAD").exists() {
            objects::text(&error)
        } else if let Ok((found, _)) = gix::discover::upwards(path) {
            let (git_dir, worktree) = found.into_repository_and_work_tree_directories();
            let root = worktree.unwrap_or(git_dir);
            format!("its repository is {}; use that, with the App's path below it", root.display())
        } else {
            "it is a plain folder; run `git init` and commit, or set `worktree: true`".to_owned()
        };
        SourceError::NotFound { location: path.display().to_string(), cause }
    })
}

fn head_of(path: &Path, reference: &Reference) -> Result<Head, SourceError> {
    if let Reference::Commit(id) = reference {
        return Ok(Head { revision: id.clone(), reference: id.clone(), advertised: None });
    }
    let repository = open(path)?;
    let listed = list(&repository, &reference::prefixes(reference)).map_err(|error| damaged(path, &error))?;
    let Some(found) = reference::pick(reference, &listed) else {
        let all = list(&repository, &reference::wide_prefixes(reference)).unwrap_or_default();
        return Err(SourceError::RefMissing {
            location: path.display().to_string(),
            wanted: reference.to_string(),
            near: reference::near(reference, &all),
        });
    };
    Ok(Head {
        revision: found.commit.to_string(),
        reference: found.target.clone().unwrap_or_else(|| found.name.clone()),
        advertised: Some(found.advertised),
    })
}

/// The references that start with one of the prefixes.
fn list(repository: &gix::Repository, prefixes: &[String]) -> gix::Result<Vec<Listed>> {
    let mut listed = Vec::new();
    for prefix in prefixes {
        listed.extend(list_one(repository, prefix)?);
    }
    Ok(listed)
}

/// The references that start with `prefix`, which is a full name or ends with `/`.
fn list_one(repository: &gix::Repository, prefix: &str) -> gix::Result<Vec<Listed>> {
    if prefix == "HEAD" {
        let mut head = repository.head()?;
        let target = head.referent_name().map(|name| name.as_bstr().to_string());
        let Some(commit) = head.try_peel_to_id()? else { return Ok(Vec::new()) };
        let commit = commit.detach();
        return Ok(vec![Listed { name: "HEAD".into(), commit, advertised: commit, target }]);
    }
    if !prefix.ends_with('/') {
        let Some(mut found) = repository.try_find_reference(prefix)? else { return Ok(Vec::new()) };
        let name = found.name().as_bstr().to_string();
        let commit = found.peel_to_id()?.detach();
        return Ok(vec![Listed { name, commit, advertised: commit, target: None }]);
    }
    let mut listed = Vec::new();
    for found in repository.references()?.all()? {
        // A broken reference is not ours to judge while another is followed.
        let Ok(mut found) = found else { continue };
        let name = found.name().as_bstr().to_string();
        if name.starts_with(prefix)
            && let Ok(commit) = found.peel_to_id()
        {
            let commit = commit.detach();
            listed.push(Listed { name, commit, advertised: commit, target: None });
        }
    }
    Ok(listed)
}

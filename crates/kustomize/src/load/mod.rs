//! Reads the files of a folder within the load restrictions.

pub(crate) mod documents;

use crate::LoadRestrictions;
use crate::error::{Error, Place, describe};
use std::borrow::Cow;
use std::sync::Arc;
use trueup_model::ContentId;
use trueup_model::tree::{self, Entry, EntryKind, Tree};

/// The names that a kustomization file may have.
pub(crate) const FILE_NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// How many folders may lead to one.
const MAX_DEPTH: usize = 100;

/// A folder with a kustomization, and the folders whose kustomizations led to it.
#[derive(Clone)]
pub(crate) struct Folder<'b> {
    pub(crate) tree: &'b dyn Tree,
    /// The real path: no part of it is a link.
    pub(crate) root: String,
    restrictions: LoadRestrictions,
    parent: Option<&'b Folder<'b>>,
}

/// What a path written in a kustomization leads to.
pub(crate) enum Found {
    /// A file, by its real path.
    File(String),
    /// A folder, by its real path.
    Folder(String),
}

impl<'b> Folder<'b> {
    pub(crate) fn top(tree: &'b dyn Tree, root: &str, restrictions: LoadRestrictions) -> Result<Self, Error> {
        let fail = |message: String| Error::new(&Place::new(root, 0), "", message);
        match tree::resolve(tree, root) {
            Ok(Some((root, Entry { kind: EntryKind::Folder, .. }))) => {
                Ok(Self { tree, root, restrictions, parent: None })
            }
            Ok(Some(_)) => Err(fail("is a file; name the folder that holds the kustomization".to_owned())),
            Ok(None) => Err(fail("there is no such folder".to_owned())),
            Err(error) => Err(fail(describe(&error))),
        }
    }

    /// The folder of a base or component. Its root must not hold any folder that led to it.
    pub(crate) fn enter(&self, root: String) -> Result<Folder<'_>, String> {
        let mut chain = vec![self.root.as_str()];
        let mut above = Some(self);
        while let Some(folder) = above {
            if is_within(&folder.root, &root) {
                chain.reverse();
                chain.push(&root);
                return Err(format!("the folders name each other in a circle: {}", chain.join(" -> ")));
            }
            above = folder.parent;
            if let Some(folder) = above {
                chain.push(&folder.root);
            }
        }
        if chain.len() > MAX_DEPTH {
            return Err(format!("more than {MAX_DEPTH} folders lead to {root}"));
        }
        Ok(Folder { tree: self.tree, root, restrictions: self.restrictions, parent: Some(self) })
    }

    /// What stands at a path written in this folder's kustomization.
    pub(crate) fn find(&self, written: &str) -> Result<Found, String> {
        let path = tree::join(&self.root, written).map_err(|error| remote_or(written, describe(&error)))?;
        match tree::resolve(self.tree, &path) {
            Err(error) => Err(remote_or(written, describe(&error))),
            Ok(None) => Err(remote_or(written, format!("there is no file or folder {path}"))),
            Ok(Some((real, Entry { kind: EntryKind::Folder, .. }))) => Ok(Found::Folder(real)),
            Ok(Some((real, _))) => Ok(Found::File(real)),
        }
    }

    /// The real path of a file that this folder's kustomization may read.
    pub(crate) fn file(&self, written: &str) -> Result<String, String> {
        match self.find(written)? {
            Found::Folder(path) => Err(format!("{path} is a folder; a file is wanted here")),
            Found::File(path) => self.allowed(path),
        }
    }

    /// The file itself when it may be read from here.
    pub(crate) fn allowed(&self, path: String) -> Result<String, String> {
        let allowed = match self.restrictions {
            LoadRestrictions::None => true,
            LoadRestrictions::RootOnly => is_within(&path, &self.root),
        };
        if allowed {
            return Ok(path);
        }
        let root = if self.root.is_empty() { "the repository's root" } else { &self.root };
        Err(format!(
            "{path} is not in or below {root}; move it there, make its folder a base, or allow it with load restrictions none"
        ))
    }

    pub(crate) fn bytes(&self, path: &str) -> Result<Arc<[u8]>, String> {
        self.tree.read(path).map_err(|error| describe(&error))
    }

    /// The id of what stands at a real path.
    pub(crate) fn content_id(&self, path: &str) -> Result<Option<ContentId>, String> {
        self.tree.entry(path).map(|entry| entry.map(|entry| entry.id)).map_err(|error| describe(&error))
    }

    pub(crate) fn text(&self, path: &str) -> Result<String, String> {
        tree::read_text(self.tree, path).map_err(|error| describe(&error))
    }

    /// The path of this folder's kustomization file.
    pub(crate) fn kustomization(&self) -> Result<String, Error> {
        let fail = |message: String| Error::new(&Place::new(self.root.clone(), 0), "", message);
        let mut found = Vec::new();
        for name in FILE_NAMES {
            let path = tree::join(&self.root, name).map_err(|error| fail(describe(&error)))?;
            if let Some((_, Entry { kind: EntryKind::File, .. })) =
                tree::resolve(self.tree, &path).map_err(|error| fail(describe(&error)))?
            {
                found.push(path);
            }
        }
        match found.len() {
            1 => Ok(found.swap_remove(0)),
            0 => Err(fail(format!("there is no kustomization file; add one of {}", FILE_NAMES.join(", ")))),
            _ => Err(fail(format!("there are several kustomization files: {}; keep one", found.join(", ")))),
        }
    }
}

/// True when `path` is `folder` or stands below it.
fn is_within(path: &str, folder: &str) -> bool {
    folder.is_empty()
        || path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What is wrong with a path that leads nowhere: perhaps it was meant for another repository.
fn remote_or(written: &str, message: String) -> String {
    if is_remote(written) {
        return format!(
            "{written} is in another repository; remote bases and files are not read yet, copy it into this one"
        );
    }
    message
}

fn is_remote(written: &str) -> bool {
    written.contains("://")
        || written.contains("?ref=")
        || written.contains(".git//")
        || ["git@", "git::", "gh:", "github.com/", "github.com:"]
            .iter()
            .any(|start| written.starts_with(start))
}

/// `folder` and `path` joined as an origin note shows them: `..` above the start stays.
pub(crate) fn join_note(folder: &str, path: &str) -> String {
    let mut parts: Vec<Cow<'_, str>> = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| last != "..") => {
                parts.pop();
            }
            part => parts.push(Cow::Borrowed(part)),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_within_itself_and_those_above_but_not_in_one_whose_name_it_starts_with() {
        assert!(is_within("a/b", "a"));
        assert!(is_within("a", "a"));
        assert!(is_within("a", ""));
        assert!(!is_within("ab", "a"));
    }

    #[test]
    fn an_origin_keeps_the_way_up() {
        assert_eq!(join_note("../base", "./x.yaml"), "../base/x.yaml");
        assert_eq!(join_note("../base", "../other"), "../other");
        assert_eq!(join_note("..", "../x"), "../../x");
        assert_eq!(join_note("", "a"), "a");
    }
}

//! Reads the files of a folder within the load restrictions, and finds the folders of other repositories among the trees
//! that the build was given.

pub(crate) mod documents;

use crate::LoadRestrictions;
use crate::charts::{Inflate, Inflated, Inflation, Printed, Uninflated};
use crate::error::{Error, Place, describe};
use crate::remote::{self, Needed, Remote, RemoteFolder, Remotes};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use trueup_model::tree::{self, EntryKind, Tree};
use trueup_model::{ContentId, Origin, TreeError};

/// The names that a kustomization file may have.
pub(crate) const FILE_NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// How many folders may lead to one.
const MAX_DEPTH: usize = 100;

/// A folder with a kustomization, and the folders whose kustomizations led to it.
#[derive(Clone)]
pub(crate) struct Folder<'b> {
    reach: &'b Reach<'b>,
    source: Source<'b>,
    /// The real path in its tree: no part of it is a link.
    path: String,
    /// The path as errors show it; the other repository stands before it.
    name: String,
    restrictions: LoadRestrictions,
    parent: Option<&'b Folder<'b>>,
}

/// A tree, and what is written before the paths in it: nothing for the tree that is built, `https://host/org/repo@v1//`
/// for that of another repository.
#[derive(Clone)]
struct Source<'b> {
    tree: &'b dyn Tree,
    label: Rc<str>,
}

/// What a build may read besides its tree, and what it lacked.
pub(crate) struct Reach<'r> {
    remotes: &'r Remotes,
    inflate: Option<&'r Inflate<'r>>,
    missing: RefCell<BTreeSet<Needed>>,
    /// What charts printed, by the names that errors show.
    printed: RefCell<BTreeMap<String, Printed>>,
}

impl<'r> Reach<'r> {
    pub(crate) fn new(remotes: &'r Remotes, inflate: Option<&'r Inflate<'r>>) -> Self {
        Self { remotes, inflate, missing: RefCell::default(), printed: RefCell::default() }
    }

    /// Where an object came from: of what a chart printed, the file that it was made from.
    pub(crate) fn origin(&self, shown: &Origin) -> Option<Origin> {
        self.printed.borrow().get(&shown.path)?.origin(shown.line)
    }

    /// What was asked for and not there.
    pub(crate) fn into_missing(self) -> BTreeSet<Needed> {
        self.missing.into_inner()
    }

    fn tree(&self, remote: Remote, timeout: Option<Duration>) -> Result<&'r dyn Tree, String> {
        match self.remotes.0.get(&remote) {
            Some(Ok(tree)) => Ok(&**tree),
            Some(Err(why)) => Err(format!("{remote} cannot be read: {why}")),
            None => {
                let message = format!("{remote} is outside of the repository, and was not read");
                self.missing.borrow_mut().insert(Needed { remote, timeout });
                Err(message)
            }
        }
    }
}

/// What a path written in a kustomization leads to.
pub(crate) enum Found<'b> {
    File(Located<'b>),
    Folder(Located<'b>),
}

/// A file or folder by its real path.
#[derive(Clone)]
pub(crate) struct Located<'b> {
    source: Source<'b>,
    path: String,
    /// The path as errors and origins show it.
    pub(crate) name: String,
}

impl Located<'_> {
    pub(crate) fn bytes(&self) -> Result<Arc<[u8]>, String> {
        self.source.tree.read(&self.path).map_err(|error| self.source.describe(&error))
    }

    pub(crate) fn text(&self) -> Result<String, String> {
        tree::read_text(self.source.tree, &self.path).map_err(|error| self.source.describe(&error))
    }

    /// A file in this folder, if there is one of that name.
    pub(crate) fn file_within(&self, name: &str) -> Result<Option<Self>, String> {
        let path = tree::join(&self.path, name).map_err(|error| self.source.describe(&error))?;
        Ok(match self.source.find(&path)? {
            Some(Found::File(file)) => Some(file),
            Some(Found::Folder(_)) | None => None,
        })
    }

    /// Its tree, and its path there.
    pub(crate) fn place(&self) -> (&dyn Tree, &str) {
        (self.source.tree, &self.path)
    }

    /// The id of the content.
    pub(crate) fn content_id(&self) -> Result<Option<ContentId>, String> {
        let entry = self.source.tree.entry(&self.path).map_err(|error| self.source.describe(&error))?;
        Ok(entry.map(|entry| entry.id))
    }
}

impl<'b> Source<'b> {
    fn located(&self, path: String) -> Located<'b> {
        Located { source: self.clone(), name: format!("{}{path}", self.label), path }
    }

    fn describe(&self, error: &TreeError) -> String {
        format!("{}{}", self.label, describe(error))
    }

    /// What stands at a path below the tree's root.
    fn find(&self, path: &str) -> Result<Option<Found<'b>>, String> {
        let found = tree::resolve(self.tree, path).map_err(|error| self.describe(&error))?;
        Ok(found.map(|(real, entry)| match entry.kind {
            EntryKind::Folder => Found::Folder(self.located(real)),
            EntryKind::File | EntryKind::Link | EntryKind::Submodule => Found::File(self.located(real)),
        }))
    }
}

impl<'b> Folder<'b> {
    pub(crate) fn top(
        tree: &'b dyn Tree,
        root: &str,
        restrictions: LoadRestrictions,
        reach: &'b Reach<'b>,
    ) -> Result<Self, Error> {
        let fail = |message: String| Error::new(&Place::new(root, 0), "", message);
        let source = Source { tree, label: Rc::from("") };
        match source.find(root) {
            Ok(Some(Found::Folder(Located { source, path, name }))) => {
                Ok(Self { reach, source, path, name, restrictions, parent: None })
            }
            Ok(Some(Found::File(_))) => {
                Err(fail("is a file; name the folder that holds the kustomization".to_owned()))
            }
            Ok(None) => Err(fail("there is no such folder".to_owned())),
            Err(message) => Err(fail(message)),
        }
    }

    /// The folder of a base or component. Its root must not hold any folder that led to it.
    pub(crate) fn enter<'s>(&'s self, folder: Located<'s>) -> Result<Folder<'s>, String> {
        let Located { source, path, name } = folder;
        let mut chain = vec![self.name.as_str()];
        let mut above = Some(self);
        while let Some(folder) = above {
            if is_within(&folder.name, &name) {
                chain.reverse();
                chain.push(&name);
                return Err(format!("the folders name each other in a circle: {}", chain.join(" -> ")));
            }
            above = folder.parent;
            if let Some(folder) = above {
                chain.push(&folder.name);
            }
        }
        if chain.len() > MAX_DEPTH {
            return Err(format!("more than {MAX_DEPTH} folders lead to {name}"));
        }
        // What is in another repository may read its own files only, whatever this one is allowed.
        let is_remote = !source.label.is_empty();
        let restrictions = if is_remote { LoadRestrictions::RootOnly } else { self.restrictions };
        Ok(Folder { reach: self.reach, source, path, name, restrictions, parent: Some(self) })
    }

    /// The last part of the folder's path.
    pub(crate) fn base_name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// What stands at a path or URL written in this folder's kustomization.
    pub(crate) fn find(&self, written: &str) -> Result<Found<'b>, String> {
        if let Some(found) = self.beside(written) {
            return Ok(found);
        }
        if remote::is_manifest_url(written) {
            return self.remote_file(written).map(Found::File);
        }
        let local = self.find_here(written);
        match (local, remote::parse(written)) {
            (Ok(Found::File(file)), _) => Ok(Found::File(file)),
            (_, Some(folder)) if remote::may_be_file(written) => self.remote_either(written, folder),
            (_, Some(folder)) => self.remote_folder(written, folder).map(Found::Folder),
            (Err(_), None) if remote::is_file_url(written) => self.remote_file(written).map(Found::File),
            (local, None) => local,
        }
    }

    /// What a mere name leads to: no part of the way there can be a link, so that one look is enough.
    fn beside(&self, name: &str) -> Option<Found<'b>> {
        if name.contains(['/', ':', '?']) || matches!(name, "" | "." | "..") {
            return None;
        }
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}/{name}", self.path) };
        match self.source.tree.entry(&path).ok()??.kind {
            EntryKind::File => Some(Found::File(self.source.located(path))),
            EntryKind::Folder => Some(Found::Folder(self.source.located(path))),
            EntryKind::Link | EntryKind::Submodule => None,
        }
    }

    fn find_here(&self, written: &str) -> Result<Found<'b>, String> {
        let path = tree::join(&self.path, written).map_err(|error| self.source.describe(&error))?;
        let missing = || format!("there is no file or folder {}{path}", self.source.label);
        self.source.find(&path)?.ok_or_else(missing)
    }

    /// What is behind a URL that may name a repository or a file: a repository unless there is none.
    fn remote_either(&self, written: &str, folder: RemoteFolder) -> Result<Found<'b>, String> {
        let file = Remote::File { url: written.to_owned() };
        if let Some(Ok(_)) = self.reach.remotes.0.get(&file) {
            return self.remote_file(written).map(Found::File);
        }
        let repository = Remote::Repository { url: folder.url.clone(), reference: folder.reference.clone() };
        let Some(Err(why)) = self.reach.remotes.0.get(&repository) else {
            return self.remote_folder(written, folder).map(Found::Folder);
        };
        self.remote_file(written)
            .map(Found::File)
            .map_err(|error| format!("{error}; as a repository, {repository} cannot be read: {why}"))
    }

    fn remote_folder(&self, written: &str, folder: RemoteFolder) -> Result<Located<'b>, String> {
        if let Some(message) = remote::password(written) {
            return Err(message);
        }
        let RemoteFolder { url, reference, path, timeout, submodules: _ } = folder;
        let own = &self.source.label;
        if url.starts_with(remote::FILE_SCHEME) && !own.is_empty() && !own.starts_with(remote::FILE_SCHEME) {
            return Err(format!(
                "{url} is a folder of this machine, which a base of another repository may not name"
            ));
        }
        let remote = Remote::Repository { url, reference };
        let label = Rc::from(format!("{remote}//"));
        let source = Source { tree: self.reach.tree(remote, timeout)?, label };
        let path = tree::join("", &path).map_err(|error| source.describe(&error))?;
        match source.find(&path)? {
            Some(Found::Folder(folder)) => Ok(folder),
            Some(Found::File(file)) => {
                Err(format!("{} is a file; name the folder that holds the kustomization", file.name))
            }
            None => Err(format!("there is no folder {}{path}", source.label)),
        }
    }

    fn remote_file(&self, written: &str) -> Result<Located<'b>, String> {
        if let Some(message) = remote::password(written) {
            return Err(message);
        }
        let remote = Remote::File { url: written.to_owned() };
        let name = remote.to_string();
        let source = Source { label: Rc::from(name.as_str()), tree: self.reach.tree(remote, None)? };
        Ok(Located { source, path: Remote::FILE.to_owned(), name })
    }

    /// The folder of a chart: the one here, or else the one that comes from `elsewhere`.
    pub(crate) fn chart(&self, here: &str, elsewhere: Option<Remote>) -> Result<Located<'b>, String> {
        let path = tree::join(&self.path, here).map_err(|error| self.source.describe(&error))?;
        if let Some(Found::Folder(folder)) = self.source.find(&path)? {
            return Ok(folder);
        }
        let Some(remote) = elsewhere else {
            let label = &self.source.label;
            return Err(format!("there is no chart {label}{path}, and no repo that it could come from"));
        };
        if let Remote::Chart { repository, .. } = &remote
            && let Some(message) = remote::password(repository)
        {
            return Err(message);
        }
        let label = Rc::from(format!("{remote}//"));
        let source = Source { tree: self.reach.tree(remote, None)?, label };
        match source.find("")? {
            Some(Found::Folder(folder)) => Ok(folder),
            Some(Found::File(_)) | None => Err(format!("{} holds no chart", source.label)),
        }
    }

    /// What renders charts.
    pub(crate) fn inflate(&self) -> Result<&'b Inflate<'b>, String> {
        let why = "there is nothing here that renders charts; render the chart as its own App, or commit its output";
        self.reach.inflate.ok_or_else(|| why.to_owned())
    }

    /// What a chart makes.
    pub(crate) fn inflated(
        &self,
        inflate: &Inflate<'_>,
        inflation: &Inflation<'_>,
    ) -> Result<Vec<Inflated>, String> {
        inflate(inflation).map_err(|why| match why {
            Uninflated::Refused(message) => message,
            Uninflated::Missing(missing) => {
                let names: Vec<String> = missing.iter().map(|needed| needed.remote.to_string()).collect();
                self.reach.missing.borrow_mut().extend(missing);
                format!("{} was not read", names.join(", "))
            }
        })
    }

    /// Keeps what a chart printed, for who asks how it was written and where it is from.
    pub(crate) fn keep_printed(&self, name: String, printed: Printed) {
        self.reach.printed.borrow_mut().insert(name, printed);
    }

    /// A file that this folder's kustomization may read.
    pub(crate) fn file(&self, written: &str) -> Result<Located<'b>, String> {
        if remote::is_file_url(written) {
            return self.remote_file(written);
        }
        match self.find_here(written)? {
            Found::Folder(folder) => Err(format!("{} is a folder; a file is wanted here", folder.name)),
            Found::File(file) => self.allowed(file),
        }
    }

    /// The file itself when it may be read from here.
    pub(crate) fn allowed(&self, file: Located<'b>) -> Result<Located<'b>, String> {
        let is_elsewhere = file.source.label != self.source.label;
        let allowed = match self.restrictions {
            LoadRestrictions::None => true,
            LoadRestrictions::RootOnly => is_elsewhere || is_within(&file.path, &self.path),
        };
        if allowed {
            return Ok(file);
        }
        let root = if self.name.is_empty() { "the repository's root" } else { &self.name };
        let allow =
            if self.source.label.is_empty() { ", or allow it with load restrictions none" } else { "" };
        Err(format!("{} is not in or below {root}; move it there, make its folder a base{allow}", file.name))
    }

    /// The text of a file by the name that origins show, whichever tree it is of.
    pub(crate) fn text_by_name(&self, name: &str) -> Option<String> {
        if let Some(printed) = self.reach.printed.borrow().get(name) {
            return Some(printed.text.to_string());
        }
        let elsewhere = self.reach.remotes.0.iter().find_map(|(remote, tree)| {
            let tree = tree.as_ref().ok()?;
            match remote {
                Remote::Repository { .. } => {
                    Some((&**tree, name.strip_prefix(&remote.to_string())?.strip_prefix("//")?))
                }
                Remote::File { .. } => (remote.to_string() == name).then_some((&**tree, Remote::FILE)),
                // What stands in its files is a template.
                Remote::Chart { .. } => None,
            }
        });
        let mut top = self;
        while let Some(above) = top.parent {
            top = above;
        }
        let (tree, path) = elsewhere.unwrap_or((top.source.tree, name));
        tree::read_text(tree, path).ok()
    }

    /// This folder's kustomization file.
    pub(crate) fn kustomization(&self) -> Result<Located<'b>, Error> {
        let fail = |message: String| Error::new(&Place::new(self.name.clone(), 0), "", message);
        let mut found = Vec::new();
        for name in FILE_NAMES {
            let path = tree::join(&self.path, name).map_err(|error| fail(self.source.describe(&error)))?;
            if let Some(Found::File(_)) = self.source.find(&path).map_err(fail)? {
                found.push(self.source.located(path));
            }
        }
        match found.len() {
            1 => Ok(found.swap_remove(0)),
            0 => Err(fail(format!("there is no kustomization file; add one of {}", FILE_NAMES.join(", ")))),
            _ => {
                let names: Vec<&str> = found.iter().map(|file| file.name.as_str()).collect();
                Err(fail(format!("there are several kustomization files: {}; keep one", names.join(", "))))
            }
        }
    }
}

/// True when `path` is `folder` or stands below it.
fn is_within(path: &str, folder: &str) -> bool {
    let ends = |rest: &str| rest.is_empty() || rest.starts_with('/') || folder.ends_with("//");
    folder.is_empty() || path.strip_prefix(folder).is_some_and(ends)
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
}

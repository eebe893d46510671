//! The config repository of the play: the example that trueup comes with, as a Git repository in a folder.
//!
//! Commits are made through gix, so that nobody needs git to look on.

use anyhow::{Context as _, Result, anyhow, bail};
use gix::objs::tree::EntryKind;
use include_dir::{Dir, DirEntry, include_dir};
use std::fs;
use std::path::{Path, PathBuf};

static EXAMPLE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/examples/gitops-repo");

/// The example's own configuration, which names a repository and a cluster that nobody has.
const CONFIGURATION: &str = "trueup.yaml";

/// A repository that people work in: its folder is what they see.
pub(super) struct Shop {
    folder: PathBuf,
    repository: gix::Repository,
}

impl Shop {
    /// Writes the example into a new folder and makes a repository of it, with nothing committed yet.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        write_all(&EXAMPLE, folder)?;
        let repository = gix::init(folder).context("making a Git repository")?;
        Ok(Self { folder: folder.to_owned(), repository })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The documents of the example's configuration, without those that say where the repository and the cluster are.
    pub(super) fn configuration() -> Result<String> {
        let text = EXAMPLE.get_file(CONFIGURATION).and_then(|file| file.contents_utf8());
        let text = text.context("the example has a configuration")?;
        let is_place = |document: &&str| {
            let kind = document.lines().find_map(|line| line.strip_prefix("kind: "));
            !matches!(kind, Some("Repository" | "Cluster"))
        };
        Ok(text.split("---\n").filter(is_place).flat_map(|document| ["---\n", document]).collect())
    }

    /// Changes a file's text; gives the line as it was and as it is.
    pub(super) fn replace(&self, file: &str, old: &str, new: &str) -> Result<(String, String)> {
        let path = self.folder.join(file);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let line = text.lines().find(|line| line.contains(old));
        let line = line.with_context(|| format!("{file} says {old}"))?.to_owned();
        fs::write(&path, text.replacen(old, new, 1)).with_context(|| path.display().to_string())?;
        Ok((line.clone(), line.replace(old, new)))
    }

    /// Takes out the line of a file that says something.
    pub(super) fn take_line(&self, file: &str, said: &str) -> Result<()> {
        let path = self.folder.join(file);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let kept: String = text.split_inclusive('\n').filter(|line| !line.contains(said)).collect();
        fs::write(&path, kept).with_context(|| path.display().to_string())
    }

    /// Deletes a file.
    pub(super) fn remove(&self, file: &str) -> Result<()> {
        let path = self.folder.join(file);
        fs::remove_file(&path).with_context(|| path.display().to_string())
    }

    /// Commits the folder as it is; gives the new commit.
    pub(super) fn commit(&self, message: &str) -> Result<String> {
        let tree = self.write_tree(&self.folder)?;
        let time = format!("{} +0000", jiff::Timestamp::now().as_second());
        let author = gix::actor::SignatureRef {
            name: "Ada Example".into(),
            email: "ada@example.com".into(),
            time: &time,
        };
        let parents = self.repository.head_id().ok().map(gix::Id::detach);
        let commit = self.repository.commit_as(author, author, "HEAD", message, tree, parents);
        let commit = commit.map_err(|error| anyhow!("committing: {error}"))?.detach();
        // What people who go on from here compare their folder with.
        let index = self.repository.index_from_tree(&tree);
        let mut index = index.map_err(|error| anyhow!("the index: {error}"))?;
        index.write(gix::index::write::Options::default()).map_err(|error| anyhow!("the index: {error}"))?;
        Ok(commit.to_string())
    }

    fn write_tree(&self, folder: &Path) -> Result<gix::ObjectId> {
        let mut tree = gix::objs::Tree::empty();
        for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
            let entry = entry?;
            let (name, path) = (entry.file_name(), entry.path());
            if name == ".git" {
                continue;
            }
            let kind = entry.file_type()?;
            let (mode, oid) = if kind.is_dir() {
                (EntryKind::Tree, self.write_tree(&path)?)
            } else if kind.is_file() {
                (EntryKind::Blob, self.write_blob(&path)?)
            } else {
                bail!("{} is neither a file nor a folder", path.display());
            };
            let name = name.into_string().map_err(|name| anyhow!("{}: not UTF-8", name.display()))?;
            tree.entries.push(gix::objs::tree::Entry { mode: mode.into(), filename: name.into(), oid });
        }
        tree.entries.sort();
        let id = self.repository.write_object(&tree).map_err(|error| anyhow!("a tree: {error}"))?;
        Ok(id.detach())
    }

    fn write_blob(&self, path: &Path) -> Result<gix::ObjectId> {
        let bytes = fs::read(path).with_context(|| path.display().to_string())?;
        let id = self.repository.write_blob(bytes).map_err(|error| anyhow!("a blob: {error}"))?;
        Ok(id.detach())
    }
}

fn write_all(from: &Dir<'_>, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| to.display().to_string())?;
    for entry in from.entries() {
        let name = entry.path().file_name().context("an entry of the example has a name")?;
        match entry {
            DirEntry::Dir(folder) => write_all(folder, &to.join(name))?,
            DirEntry::File(file) => {
                let path = to.join(name);
                fs::write(&path, file.contents()).with_context(|| path.display().to_string())?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_of_the_example_is_taken_without_its_repository_and_cluster() {
        let text = Shop::configuration().unwrap();
        assert!(!text.contains("kind: Repository") && !text.contains("kind: Cluster"), "{text}");
        assert!(text.contains("kind: Environment") && text.contains("name: production"), "{text}");
    }

    #[test]
    fn a_commit_holds_the_folder_as_it_is_and_git_sees_nothing_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let shop = Shop::open(&folder.path().join("shop")).unwrap();
        let first = shop.commit("first").unwrap();
        shop.remove("apps/api/base/cleanup.yaml").unwrap();
        let second = shop.commit("second").unwrap();
        let git = |arguments: &[&str]| {
            let output =
                std::process::Command::new("git").arg("-C").arg(shop.folder()).args(arguments).output();
            let output = output.expect("git is on the path: apt-get install git");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap()
        };
        assert_eq!(
            git(&["log", "--format=%H %an %s"]),
            format!("{second} Ada Example second\n{first} Ada Example first\n")
        );
        assert_eq!(git(&["diff", "--name-status", &first, &second]), "D\tapps/api/base/cleanup.yaml\n");
        assert_eq!(git(&["status", "--porcelain"]), "");
        assert_eq!(git(&["fsck", "--strict"]), "");
    }
}

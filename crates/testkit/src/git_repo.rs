//! A Git repository to point trueup at, and the clone of the team that commits to it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

/// A bare repository (what a server serves) and a working clone of it (where commits are made). Each call that changes
/// something pushes it at once.
#[derive(Debug)]
pub struct GitRepo {
    folder: TempDir,
    clone: PathBuf,
    bare: PathBuf,
}

impl GitRepo {
    /// An empty repository called `config.git`, whose default branch is `main`.
    pub fn create() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("trueup-repository-").tempdir()?;
        let clone = folder.path().join("clone");
        let bare = folder.path().join("served/config.git");
        fs::create_dir_all(&bare)?;
        fs::create_dir_all(&clone)?;
        git(&bare, &["init", "--quiet", "--bare", "--initial-branch=main"])?;
        // What common hosts allow: pushes over HTTP, fetches of single commits, partial clones.
        for setting in ["http.receivepack", "uploadpack.allowReachableSHA1InWant", "uploadpack.allowFilter"] {
            git(&bare, &["config", setting, "true"])?;
        }
        git(&clone, &["init", "--quiet", "--initial-branch=main"])?;
        let origin = bare.display().to_string();
        git(&clone, &["remote", "add", "origin", &origin])?;
        Ok(Self { folder, clone, bare })
    }

    /// A repository whose first commit is the content of a folder.
    pub fn from_folder(source: &Path) -> Result<Self> {
        let repo = Self::create()?;
        copy(source, &repo.clone)?;
        repo.commit(&[], "Start")?;
        Ok(repo)
    }

    /// Writes files (path, content), commits all that is changed in the clone and pushes the branch; returns the commit's id.
    /// A commit that changes nothing is made too.
    pub fn commit(&self, files: &[(&str, &str)], message: &str) -> Result<String> {
        for (path, content) in files {
            self.write(path, content.as_bytes())?;
        }
        self.record(message)?;
        self.push()
    }

    /// Removes files or folders, commits and pushes; returns the commit's id.
    pub fn remove(&self, paths: &[&str], message: &str) -> Result<String> {
        for path in paths {
            self.git(&["rm", "-r", "--quiet", "--", path])?;
        }
        self.record(message)?;
        self.push()
    }

    /// Replaces the branch's last commit by one with these files, and forces it on the server; returns the commit's id.
    pub fn amend(&self, files: &[(&str, &str)], message: &str) -> Result<String> {
        for (path, content) in files {
            self.write(path, content.as_bytes())?;
        }
        self.git(&["add", "--all"])?;
        self.git(&["commit", "--quiet", "--amend", "--allow-empty", "-m", message])?;
        self.force_push()
    }

    /// Goes back to an older commit and forces that on the server.
    pub fn reset(&self, commit: &str) -> Result<String> {
        self.git(&["reset", "--quiet", "--hard", commit])?;
        self.force_push()
    }

    /// Writes a file of the clone without committing it.
    pub fn write(&self, path: &str, content: &[u8]) -> Result<()> {
        let path = self.clone.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Tags the current commit, by a lightweight tag, and pushes the tag.
    pub fn tag(&self, name: &str) -> Result<()> {
        self.git(&["tag", "--force", name])?;
        self.git(&["push", "--quiet", "--force", "origin", &format!("refs/tags/{name}")])?;
        Ok(())
    }

    /// Tags the current commit by a tag object with a message, and pushes the tag.
    pub fn annotated_tag(&self, name: &str, message: &str) -> Result<()> {
        self.git(&["tag", "--force", "--annotate", name, "-m", message])?;
        self.git(&["push", "--quiet", "--force", "origin", &format!("refs/tags/{name}")])?;
        Ok(())
    }

    /// Goes to a branch, which is made at the current commit and pushed when it is new.
    pub fn branch(&self, name: &str) -> Result<()> {
        if self.git(&["switch", "--quiet", name]).is_err() {
            self.git(&["switch", "--quiet", "--create", name])?;
        }
        self.push()?;
        Ok(())
    }

    /// Deletes a ref on the server: `refs/heads/feature`, `refs/tags/v1.0.0`.
    pub fn delete_ref(&self, name: &str) -> Result<()> {
        git(&self.bare, &["update-ref", "-d", name])?;
        Ok(())
    }

    /// The id of the clone's current commit.
    pub fn head(&self) -> Result<String> {
        self.git(&["rev-parse", "HEAD"])
    }

    /// The working clone.
    pub fn clone_path(&self) -> &Path {
        &self.clone
    }

    /// The bare repository.
    pub fn bare_path(&self) -> &Path {
        &self.bare
    }

    /// The bare repository as a `file://` URL.
    pub fn file_url(&self) -> String {
        format!("file://{}", self.bare.display())
    }

    /// The folder that holds the bare repository and nothing else: what a server is to serve.
    pub fn served_path(&self) -> PathBuf {
        self.folder.path().join("served")
    }

    /// Runs any git command in the clone; returns what it printed, trimmed.
    pub fn git(&self, arguments: &[&str]) -> Result<String> {
        git(&self.clone, arguments)
    }

    fn record(&self, message: &str) -> Result<()> {
        self.git(&["add", "--all"])?;
        self.git(&["commit", "--quiet", "--allow-empty", "-m", message])?;
        Ok(())
    }

    fn push(&self) -> Result<String> {
        self.git(&["push", "--quiet", "origin", "HEAD"])?;
        self.head()
    }

    fn force_push(&self) -> Result<String> {
        self.git(&["push", "--quiet", "--force", "origin", "HEAD"])?;
        self.head()
    }
}

/// Runs git in `folder`, untouched by the configuration of whoever runs the tests.
fn git(folder: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new("git")
        .args(["-c", "core.autocrlf=false", "-c", "commit.gpgsign=false", "-c", "tag.gpgsign=false"])
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_AUTHOR_NAME", "Ada Example")
        .env("GIT_AUTHOR_EMAIL", "ada@example.com")
        .env("GIT_COMMITTER_NAME", "Ada Example")
        .env("GIT_COMMITTER_EMAIL", "ada@example.com")
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE")
        .output()
        .context("cannot run git")?;
    if !output.status.success() {
        bail!("git {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn copy(source: &Path, target: &Path) -> Result<()> {
    let entries = fs::read_dir(source).with_context(|| format!("cannot read {}", source.display()))?;
    for entry in entries {
        let entry = entry?;
        let to = target.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir_all(&to)?;
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), &to).with_context(|| format!("cannot copy {}", entry.path().display()))?;
        }
    }
    Ok(())
}

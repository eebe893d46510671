//! Sources against real repositories and servers. Each test's name is the rule that it holds to.

pub(crate) mod charts;
mod damage;
mod local;
mod monorepo;
mod partial;
mod remote;
mod repository;
mod server;
mod ssh;

use std::path::Path;

use trueup::source::{Cache, Credentials, Location, Reference, Source, Spec};
use trueup_model::tree::read_text;

use repository::Repository;

/// A cache in a temporary folder and the sources made with it.
struct Bench {
    folder: tempfile::TempDir,
    cache: Cache,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(&folder.path().join("cache")).unwrap();
        Self { folder, cache }
    }

    fn cache_folder(&self) -> std::path::PathBuf {
        self.folder.path().join("cache")
    }

    fn source(&self, url: &str, reference: Reference) -> Source {
        self.cache.open(spec(url, reference)).unwrap()
    }
}

fn spec(url: &str, reference: Reference) -> Spec {
    let (location, credentials) = Location::parse(url).unwrap();
    Spec { reference, credentials, timeout: std::time::Duration::from_secs(20), ..Spec::new(location) }
}

fn basic(username: &str, password: &str) -> Credentials {
    Credentials {
        username: Some(username.into()),
        password: Some(trueup::source::Secret::new(password)),
        ..Credentials::default()
    }
}

fn branch(name: &str) -> Reference {
    Reference::Branch(name.into())
}

/// Polls, fetches, and reads one file.
async fn read(source: &Source, path: &str) -> String {
    let head = source.poll().await.unwrap();
    let commit = source.fetch(&head).await.unwrap();
    assert_eq!(commit.revision, head.revision);
    read_text(&*commit.tree, path).unwrap()
}

fn path_text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A repository with one commit: `a.yaml` holding `one`, and `base/b.yaml`.
fn one_commit() -> Repository {
    let repository = Repository::new();
    repository.write("a.yaml", "one\n");
    repository.write("base/b.yaml", "b\n");
    repository.commit("First");
    repository
}

fn count(asked: &[String], what: &str) -> usize {
    asked.iter().filter(|asked| *asked == what).count()
}

/// The folder of the only mirror's newest generation.
fn generation(bench: &Bench) -> std::path::PathBuf {
    let mirror = only(&bench.cache_folder().join("git"));
    let mut found: Vec<_> = std::fs::read_dir(mirror)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with('g'))
        .collect();
    found.sort();
    found.pop().unwrap()
}

fn only(folder: &Path) -> std::path::PathBuf {
    let mut entries = std::fs::read_dir(folder).unwrap();
    let first = entries.next().unwrap().unwrap().path();
    assert!(entries.next().is_none(), "{} holds more than one", folder.display());
    first
}

/// A text of `count` lines.
fn lines(count: u64, line: impl Fn(u64) -> String) -> String {
    (0..count).map(|number| line(number) + "\n").collect()
}

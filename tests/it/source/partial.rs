//! Large repositories: all folders of a commit are fetched, and of its files those that are needed.

use std::collections::BTreeSet;

use trueup::source::{Commit, Source};
use trueup_model::tree::read_text;
use trueup_model::TreeError;
use trueup_testkit::{GitRepo, GitServer};

use super::monorepo::import;
use super::{Bench, branch};

/// More files than are fetched unasked.
fn large() -> GitRepo {
    let repo = GitRepo::create().unwrap();
    let file = |number: usize| (format!("other/{:03}/{number:05}.txt", number / 100), format!("file {number}\n"));
    let mut files: Vec<(String, String)> = (0..6_000).map(file).collect();
    for (path, text) in [("app/a.yaml", "a\n"), ("app/deep/b.yaml", "b\n"), ("base/c.yaml", "c\n"), ("d.yaml", "d\n")] {
        files.push((path.to_owned(), text.to_owned()));
    }
    import(&repo, &files, "First");
    repo
}

async fn latest(source: &Source) -> Commit {
    let head = source.poll().await.unwrap();
    source.fetch(&head).await.unwrap()
}

fn is_absent(commit: &Commit, path: &str) -> bool {
    match commit.tree.read(path) {
        Ok(_) => false,
        Err(TreeError::Absent(at)) => at == path,
        Err(error) => panic!("{error}"),
    }
}

async fn supply(commit: &Commit, paths: &[&str]) {
    let paths: BTreeSet<String> = paths.iter().map(|path| (*path).to_owned()).collect();
    commit.supply(paths).await.unwrap();
}

#[tokio::test]
async fn of_a_large_repository_the_files_that_are_needed_are_fetched_many_at_once() {
    let repo = large();
    let server = GitServer::serve(&repo).unwrap();
    let bench = Bench::new();
    let source = bench.source(&server.url("config.git"), branch("main"));
    let commit = latest(&source).await;
    assert!(is_absent(&commit, "app/a.yaml"));
    assert_eq!(commit.tree.list("other/001").unwrap().len(), 100, "folders are all there");
    assert!(!source.is_damaged(), "what was not needed is not missing");

    let asked = server.request_count();
    supply(&commit, &["app", "base/c.yaml"]).await;
    assert_eq!(server.request_count() - asked, 1);
    assert_eq!(read_text(&*commit.tree, "app/deep/b.yaml").unwrap(), "b\n");
    assert_eq!(read_text(&*commit.tree, "base/c.yaml").unwrap(), "c\n");
    assert!(is_absent(&commit, "other/001/00100.txt") && is_absent(&commit, "d.yaml"));
    supply(&commit, &["app", "base/c.yaml"]).await;
    assert_eq!(server.request_count() - asked, 1, "what is here is not asked for");
}

//! Large repositories: all folders of a commit are fetched, and of its files those that are needed.

use std::collections::BTreeSet;

use std::time::Duration;

use trueup::source::{Cache, Commit, ErrorClass, Source};
use trueup_model::TreeError;
use trueup_model::tree::read_text;
use trueup_testkit::{GitRepo, GitServer};

use super::monorepo::import;
use super::repository::git_in;
use super::server::{Mood, Server};
use super::{Bench, branch, count, generation, only, spec};

/// More files than are fetched unasked.
pub(crate) fn large() -> GitRepo {
    let repo = GitRepo::create().unwrap();
    let file =
        |number: usize| (format!("other/{:03}/{number:05}.txt", number / 100), format!("file {number}\n"));
    let mut files: Vec<(String, String)> = (0..6_000).map(file).collect();
    for (path, text) in
        [("app/a.yaml", "a\n"), ("app/deep/b.yaml", "b\n"), ("base/c.yaml", "c\n"), ("d.yaml", "d\n")]
    {
        files.push((path.to_owned(), text.to_owned()));
    }
    import(&repo, &files, "First");
    repo
}

pub(crate) fn change(repo: &GitRepo, path: &str, text: &str) {
    import(repo, &[(path.to_owned(), text.to_owned())], "Change");
}

/// Where the misbehaving server has the repository.
fn url(server: &Server) -> String {
    format!("http://{}/config.git", server.address())
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
    supply(&commit, &["d.yaml"]).await;
    assert_eq!(read_text(&*commit.tree, "d.yaml").unwrap(), "d\n");
    assert!(
        is_absent(&commit, "other/001/00100.txt"),
        "what lies below a folder of many files is not asked for with it"
    );
}

#[tokio::test]
async fn a_new_commit_brings_the_files_of_the_folders_that_were_needed_before() {
    let repo = large();
    let server = Server::start(&repo.served_path()).await;
    let bench = Bench::new();
    let source = bench.source(&url(&server), branch("main"));
    supply(&latest(&source).await, &["app", "base/c.yaml"]).await;
    server.requests();

    change(&repo, "other/001/00100.txt", "changed\n");
    let commit = latest(&source).await;
    assert_eq!(server.requests(), ["ls-refs", "fetch"], "no file is needed");
    assert!(is_absent(&commit, "other/001/00100.txt"));

    for (path, text) in
        [("base/c.yaml", "changed\n"), ("app/new.yaml", "new\n"), ("app/below/new.yaml", "below\n")]
    {
        change(&repo, path, text);
        let commit = latest(&source).await;
        assert_eq!(server.requests(), ["ls-refs", "fetch", "fetch"], "{path}");
        assert_eq!(read_text(&*commit.tree, path).unwrap(), text);
    }
}

#[tokio::test]
async fn what_was_fetched_in_part_is_there_after_a_restart_and_the_rest_can_be_had() {
    let repo = large();
    let server = Server::start(&repo.served_path()).await;
    let bench = Bench::new();
    supply(&latest(&bench.source(&url(&server), branch("main"))).await, &["app"]).await;
    server.requests();
    let restarted = Cache::new(&bench.cache_folder()).unwrap();
    let source = restarted.open(spec(&url(&server), branch("main"))).unwrap();
    let commit = latest(&source).await;
    assert_eq!(read_text(&*commit.tree, "app/a.yaml").unwrap(), "a\n");
    assert_eq!(count(&server.requests(), "fetch"), 0);
    supply(&commit, &["base"]).await;
    assert_eq!(read_text(&*commit.tree, "base/c.yaml").unwrap(), "c\n");
    assert_eq!(count(&server.requests(), "fetch"), 1);

    // Another clone knows from the start that the repository is large.
    std::fs::remove_dir_all(generation(&bench)).unwrap();
    let again = Cache::new(&bench.cache_folder()).unwrap().open(spec(&url(&server), branch("main"))).unwrap();
    latest(&again).await;
    assert_eq!(count(&server.requests(), "fetch"), 1);
}

#[tokio::test]
async fn a_file_that_cannot_be_had_says_why_and_can_be_had_later() {
    let repo = large();
    let server = Server::start(&repo.served_path()).await;
    let bench = Bench::new();
    let mut impatient = spec(&url(&server), branch("main"));
    impatient.timeout = Duration::from_millis(200);
    let patient = latest(&bench.source(&url(&server), branch("main"))).await;
    let source = bench.cache.open(impatient).unwrap();
    let commit = source.kept(&patient.revision).await.unwrap().unwrap();
    let wanted = || BTreeSet::from(["app/a.yaml".to_owned()]);
    for (mood, class) in [
        (Mood::Answers(503), ErrorClass::Unreachable),
        (Mood::Answers(401), ErrorClass::Authentication),
        (Mood::CutsOff, ErrorClass::Unreachable),
        (Mood::Hangs, ErrorClass::Timeout),
    ] {
        server.set(mood.clone());
        let error = commit.supply(wanted()).await.unwrap_err();
        assert_eq!(error.class(), class, "{mood:?}: {error}");
        assert!(is_absent(&commit, "app/a.yaml") && !source.is_damaged(), "{mood:?}");
    }
    server.set(Mood::Serves);
    patient.supply(wanted()).await.unwrap();
    assert_eq!(read_text(&*commit.tree, "app/a.yaml").unwrap(), "a\n");
}

#[tokio::test]
async fn a_server_that_sends_no_parts_sends_all() {
    let repo = large();
    git_in(repo.bare_path(), &["config", "uploadpack.allowFilter", "false"]);
    let server = Server::start(&repo.served_path()).await;
    let bench = Bench::new();
    let source = bench.source(&url(&server), branch("main"));
    let commit = latest(&source).await;
    assert_eq!(read_text(&*commit.tree, "app/a.yaml").unwrap(), "a\n");
    assert_eq!(count(&server.requests(), "fetch"), 1);
    supply(&commit, &["other"]).await;
    assert_eq!(count(&server.requests(), "fetch"), 0);
}

#[tokio::test]
async fn a_server_that_ceases_to_send_parts_sends_all() {
    let repo = large();
    let server = Server::start(&repo.served_path()).await;
    let bench = Bench::new();
    let source = bench.source(&url(&server), branch("main"));
    let before = latest(&source).await;
    git_in(repo.bare_path(), &["config", "uploadpack.allowFilter", "false"]);
    change(&repo, "app/a.yaml", "changed\n");
    let restarted = Cache::new(&bench.cache_folder()).unwrap();
    let commit = latest(&restarted.open(spec(&url(&server), branch("main"))).unwrap()).await;
    assert_eq!(read_text(&*commit.tree, "other/001/00100.txt").unwrap(), "file 100\n");
    supply(&before, &["base"]).await;
    assert_eq!(
        read_text(&*before.tree, "base/c.yaml").unwrap(),
        "c\n",
        "the commit before is still of parts"
    );
}

#[tokio::test]
async fn a_server_that_gives_out_no_file_by_its_id_gives_out_the_commit() {
    let repo = large();
    let server = Server::start(&repo.served_path()).await;
    server.set(Mood::RefusesIds);
    let bench = Bench::new();
    let source = bench.source(&url(&server), branch("main"));
    let commit = latest(&source).await;
    supply(&commit, &["app"]).await;
    for path in ["app/a.yaml", "other/001/00100.txt", "d.yaml"] {
        assert!(!is_absent(&commit, path), "{path}");
    }
    server.requests();
    change(&repo, "other/002/00200.txt", "changed\n");
    let commit = latest(&source).await;
    assert_eq!(read_text(&*commit.tree, "other/002/00200.txt").unwrap(), "changed\n");
    assert_eq!(server.requests(), ["ls-refs", "fetch"], "from now on it is fetched whole");
    let restarted = Cache::new(&bench.cache_folder()).unwrap();
    let commit = latest(&restarted.open(spec(&url(&server), branch("main"))).unwrap()).await;
    assert!(!is_absent(&commit, "other/003/00300.txt"));
    git_in(&generation(&bench), &["fsck"]);
}

#[tokio::test]
async fn a_force_push_is_followed_in_part() {
    let repo = large();
    let server = GitServer::serve(&repo).unwrap();
    let bench = Bench::new();
    let source = bench.source(&server.url("config.git"), branch("main"));
    let before = latest(&source).await;
    supply(&before, &["app"]).await;
    git_in(repo.bare_path(), &["update-ref", "-d", "refs/heads/main"]);
    let file = |number: usize| (format!("app/{number:05}.txt"), format!("new {number}\n"));
    let files: Vec<(String, String)> = (0..40).map(file).collect();
    import(&repo, &files, "First");
    git_in(repo.bare_path(), &["gc", "-q", "--prune=now"]);
    let commit = latest(&source).await;
    assert_eq!(read_text(&*commit.tree, "app/00007.txt").unwrap(), "new 7\n");
    assert_eq!(read_text(&*before.tree, "app/a.yaml").unwrap(), "a\n");
    let error = before.supply(BTreeSet::from(["base".to_owned()])).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::NotFound, "it is gone for ever: {error}");
    assert!(!source.is_damaged());
}

/// The packs of the only mirror, oldest first.
fn packs(bench: &Bench) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(generation(bench).join("objects/pack")).unwrap();
    let found = entries.map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = found.filter(|path| path.extension() == Some("pack".as_ref())).collect();
    found.sort_by_key(|path| std::fs::metadata(path).unwrap().modified().unwrap());
    found
}

#[tokio::test]
async fn damage_is_found_in_folders_and_files_that_are_gone_are_fetched_again() {
    let repo = large();
    let server = Server::start(&repo.served_path()).await;
    for (what, number, fetches) in [("folders are gone", 0, 1), ("files are gone", 1, 0)] {
        let bench = Bench::new();
        supply(&latest(&bench.source(&url(&server), branch("main"))).await, &["app"]).await;
        let packs = packs(&bench);
        std::fs::remove_file(&packs[number]).unwrap();
        std::fs::remove_file(packs[number].with_extension("idx")).unwrap();
        server.requests();
        let restarted = Cache::new(&bench.cache_folder()).unwrap();
        let source = restarted.open(spec(&url(&server), branch("main"))).unwrap();
        let commit = latest(&source).await;
        assert_eq!(count(&server.requests(), "fetch"), fetches, "{what}");
        supply(&commit, &["app"]).await;
        assert_eq!(read_text(&*commit.tree, "app/a.yaml").unwrap(), "a\n", "{what}");
    }
}

fn copy_pack(pack: &std::path::Path, times: usize) {
    for number in 0..times {
        let name = format!("pack-{number:040x}");
        for part in ["pack", "idx"] {
            let copy = pack.with_file_name(&name).with_extension(part);
            std::fs::copy(pack.with_extension(part), copy).unwrap();
        }
    }
}

#[tokio::test]
async fn a_mirror_that_is_cloned_anew_has_the_files_that_were_needed_before() {
    let repo = large();
    let server = GitServer::serve(&repo).unwrap();
    let bench = Bench::new();
    let source = bench.source(&server.url("config.git"), branch("main"));
    supply(&latest(&source).await, &["app"]).await;
    let place = generation(&bench);
    // As after many fetches, each of which left a pack.
    copy_pack(&packs(&bench).swap_remove(0), 50);
    change(&repo, "d.yaml", "changed\n");
    let commit = latest(&source).await;
    assert_ne!(generation(&bench), place);
    assert_eq!(read_text(&*commit.tree, "app/a.yaml").unwrap(), "a\n");
    assert!(is_absent(&commit, "base/c.yaml"));

    // Where nothing moves, files are fetched until there is no place for a pack.
    let large = packs(&bench).swap_remove(0);
    copy_pack(&large, 200);
    let error = commit.supply(BTreeSet::from(["base".to_owned()])).await.unwrap_err();
    assert!(source.is_damaged() && error.to_string().contains("cloned anew"), "{error}");
    let commit = latest(&source).await;
    supply(&commit, &["base"]).await;
    assert_eq!(read_text(&*commit.tree, "base/c.yaml").unwrap(), "c\n");
    only(&bench.cache_folder().join("git"));
}

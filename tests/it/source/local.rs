use std::time::Duration;

use trueup::source::{ErrorClass, Reference};
use trueup_model::tree::{read_text, resolve};
use trueup_model::{EntryKind, TreeError};

use super::*;

#[tokio::test]
async fn a_local_repository_is_read_at_its_head_not_at_its_working_tree() {
    let repository = one_commit();
    let first = repository.git(&["rev-parse", "HEAD"]);
    repository.write("a.yaml", "not committed\n");
    let bench = Bench::new();
    let source = bench.source(path_text(&repository.path()), Reference::Head);
    let head = source.poll().await.unwrap();
    assert_eq!((head.revision.as_str(), head.reference.as_str()), (first.as_str(), "refs/heads/main"));
    let commit = source.fetch(&head).await.unwrap();
    assert_eq!(read_text(&*commit.tree, "a.yaml").unwrap(), "one\n");
    assert_eq!((commit.author.as_str(), commit.email.as_deref()), ("Ada", Some("ada@example.com")));
    assert_eq!(
        (commit.subject.as_str(), commit.time.to_string().as_str()),
        ("First", "2026-11-21T10:00:00Z")
    );
}

#[tokio::test]
async fn the_working_tree_has_the_ids_that_git_gives_it() {
    let repository = one_commit();
    repository.write("script.sh", "#!/bin/sh\n");
    repository.write(".gitignore", "ignored\nkept/*\n");
    repository.write("ignored", "x");
    repository.write("kept/tracked.yaml", "tracked although ignored\n");
    repository.write("kept/untracked.yaml", "x");
    repository.git(&["add", "-f", "kept/tracked.yaml"]);
    std::fs::set_permissions(
        repository.path().join("script.sh"),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    std::os::unix::fs::symlink("base/b.yaml", repository.path().join("link.yaml")).unwrap();
    std::fs::create_dir(repository.path().join("empty")).unwrap();
    repository.commit("Everything that has an id");
    let tree = repository.git(&["rev-parse", "HEAD^{tree}"]);

    let bench = Bench::new();
    let mut worktree = spec(path_text(&repository.path()), Reference::Head);
    worktree.worktree = true;
    let worktree = bench.cache.open(worktree).unwrap();
    let head = worktree.poll().await.unwrap();
    assert_eq!(head.revision, format!("worktree-{}", &tree[..12]));
    let commits = bench.source(path_text(&repository.path()), Reference::Head);
    let committed = commits.fetch(&commits.poll().await.unwrap()).await.unwrap();
    let as_is = worktree.fetch(&head).await.unwrap();
    for folder in ["", "base", "kept"] {
        assert_eq!(as_is.tree.list(folder).unwrap(), committed.tree.list(folder).unwrap(), "{folder}");
    }
    assert_eq!(as_is.tree.read("link.yaml").unwrap(), committed.tree.read("link.yaml").unwrap());

    repository.write("a.yaml", "two\n");
    repository.write("new.yaml", "new\n");
    assert_eq!(read(&worktree, "a.yaml").await, "two\n");
    assert_eq!(read(&worktree, "new.yaml").await, "new\n");
    repository.write("a.yaml", "one\n");
    std::fs::remove_file(repository.path().join("new.yaml")).unwrap();
    assert_eq!(
        worktree.poll().await.unwrap().revision,
        head.revision,
        "the same content is the same revision"
    );
}

#[tokio::test]
async fn a_file_that_changes_after_the_scan_is_an_error_not_a_mixture() {
    let repository = one_commit();
    let bench = Bench::new();
    let mut worktree = spec(path_text(&repository.path()), Reference::Head);
    worktree.worktree = true;
    let source = bench.cache.open(worktree).unwrap();
    let commit = source.fetch(&source.poll().await.unwrap()).await.unwrap();
    repository.write("a.yaml", "two\n");
    assert!(matches!(commit.tree.read("a.yaml"), Err(TreeError::Store { .. })));
    assert_eq!(read(&source, "a.yaml").await, "two\n");
}

#[tokio::test]
async fn a_plain_folder_works_as_a_worktree_and_says_what_to_do_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.yaml"), "plain\n").unwrap();
    let bench = Bench::new();
    let mut worktree = spec(path_text(folder.path()), Reference::Head);
    worktree.worktree = true;
    assert_eq!(read(&bench.cache.open(worktree).unwrap(), "a.yaml").await, "plain\n");

    let error = bench.source(path_text(folder.path()), Reference::Head).poll().await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::NotFound);
    assert!(error.to_string().contains("worktree: true"), "{error}");
    let error = bench.source("/does/not/exist", Reference::Head).poll().await.unwrap_err();
    assert!(error.to_string().contains("does not exist"), "{error}");
}

#[tokio::test]
async fn a_folder_inside_a_repository_keeps_its_rules_unless_it_is_ignored_itself() {
    let repository = one_commit();
    repository.write(".gitignore", "*.log\nbuild\n");
    for folder in ["apps", "build"] {
        repository.write(&format!("{folder}/a.yaml"), "a\n");
        repository.write(&format!("{folder}/a.log"), "noise\n");
    }
    let bench = Bench::new();
    for (folder, expected) in [("apps", &["a.yaml"][..]), ("build", &["a.log", "a.yaml"])] {
        let mut spec = spec(path_text(&repository.path().join(folder)), Reference::Head);
        spec.worktree = true;
        let source = bench.cache.open(spec.clone()).unwrap();
        let commit = source.fetch(&source.poll().await.unwrap()).await.unwrap();
        let names: Vec<String> = commit.tree.list("").unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, expected, "{folder}");
        spec.worktree = false;
        let error = bench.cache.open(spec).unwrap().poll().await.unwrap_err();
        let root = repository.path().canonicalize().unwrap();
        assert!(error.to_string().contains(&format!("its repository is {}", root.display())), "{error}");
    }
}

#[tokio::test]
async fn a_link_that_leaves_the_tree_is_an_error_and_one_inside_is_followed() {
    let repository = one_commit();
    std::os::unix::fs::symlink("base", repository.path().join("inside")).unwrap();
    std::os::unix::fs::symlink("/etc", repository.path().join("outside")).unwrap();
    std::os::unix::fs::symlink("../../..", repository.path().join("base/above")).unwrap();
    repository.commit("Links");
    let bench = Bench::new();
    for worktree in [false, true] {
        let mut spec = spec(path_text(&repository.path()), Reference::Head);
        spec.worktree = worktree;
        let source = bench.cache.open(spec).unwrap();
        let commit = source.fetch(&source.poll().await.unwrap()).await.unwrap();
        assert_eq!(read_text(&*commit.tree, "inside/b.yaml").unwrap(), "b\n");
        assert_eq!(commit.tree.entry("outside").unwrap().unwrap().kind, EntryKind::Link);
        assert!(commit.tree.entry("outside/passwd").unwrap().is_none(), "a link is not followed by itself");
        for path in ["outside/passwd", "base/above/etc"] {
            let error = resolve(&*commit.tree, path).unwrap_err();
            assert!(matches!(error, TreeError::Escapes { .. }), "{path}: {error}");
        }
    }
}

#[tokio::test]
async fn a_submodule_is_an_error_that_names_it() {
    let (repository, other) = (one_commit(), one_commit());
    repository.git(&["submodule", "add", "-q", path_text(&other.path()), "vendor/other"]);
    repository.commit("Add a submodule");
    let bench = Bench::new();
    for worktree in [false, true] {
        let mut spec = spec(path_text(&repository.path()), Reference::Head);
        spec.worktree = worktree;
        let source = bench.cache.open(spec).unwrap();
        let commit = source.fetch(&source.poll().await.unwrap()).await.unwrap();
        assert_eq!(commit.tree.entry("vendor/other").unwrap().unwrap().kind, EntryKind::Submodule);
        let error = read_text(&*commit.tree, "vendor/other/a.yaml").unwrap_err();
        assert!(matches!(&error, TreeError::Submodule(path) if path == "vendor/other"), "{error}");
        assert!(matches!(commit.tree.list("vendor/other"), Err(TreeError::Submodule(_))));
    }
    let commits = bench.source(path_text(&repository.path()), Reference::Head);
    let head = commits.poll().await.unwrap();
    let mut spec = spec(path_text(&repository.path()), Reference::Head);
    spec.worktree = true;
    let worktree = bench.cache.open(spec).unwrap().poll().await.unwrap();
    let tree = repository.git(&["rev-parse", &format!("{}^{{tree}}", head.revision)]);
    assert_eq!(worktree.revision, format!("worktree-{}", &tree[..12]));
}

#[tokio::test]
async fn a_branch_tag_range_and_commit_of_a_local_repository_can_be_followed_by_path_and_file_url() {
    let repository = one_commit();
    let first = repository.git(&["rev-parse", "HEAD"]);
    repository.git(&["tag", "-a", "v1.2.0", "-m", "annotated"]);
    repository.write("a.yaml", "two\n");
    let second = repository.commit("Second");
    repository.git(&["tag", "1.3.0"]);
    repository.git(&["branch", "old", &first]);
    let bench = Bench::new();
    for url in [path_text(&repository.path()).to_owned(), format!("file://{}", repository.path().display())] {
        for (reference, expected) in [
            (branch("old"), &first),
            (branch("main"), &second),
            (Reference::Tag("v1.2.0".into()), &first),
            (Reference::Semver("~1.2".parse().unwrap()), &first),
            (Reference::Semver("1".parse().unwrap()), &second),
            (Reference::Commit(first.clone()), &first),
        ] {
            let source = bench.source(&url, reference.clone());
            let head = source.poll().await.unwrap();
            assert_eq!(&head.revision, expected, "{reference}");
            assert_eq!(&source.fetch(&head).await.unwrap().revision, expected, "{reference}");
        }
    }
    let error = bench.source(path_text(&repository.path()), branch("mian")).poll().await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::RefMissing);
    assert!(error.to_string().ends_with("has no branch mian; near matches: main"), "{error}");
}

#[tokio::test]
async fn a_commit_in_a_watched_repository_is_told_of_at_once() {
    let repository = one_commit();
    let bench = Bench::new();
    let source = bench.source(path_text(&repository.path()), Reference::Head);
    let before = source.poll().await.unwrap();
    let mut watch = source.watch().unwrap().unwrap();
    repository.write("a.yaml", "two\n");
    let quiet = tokio::time::timeout(Duration::from_millis(300), watch.changed()).await;
    assert!(quiet.is_err(), "an uncommitted change is no news for HEAD");
    let second = repository.commit("Second");
    tokio::time::timeout(Duration::from_secs(5), watch.changed()).await.unwrap();
    let after = source.poll().await.unwrap();
    assert_ne!(after.revision, before.revision);
    assert_eq!(after.revision, second);
    repository.git(&["checkout", "-q", &before.revision]);
    tokio::time::timeout(Duration::from_secs(5), watch.changed()).await.unwrap();
    assert_eq!(source.poll().await.unwrap().revision, before.revision);
}

#[tokio::test]
async fn a_saved_file_in_a_watched_worktree_is_told_of_at_once() {
    let repository = one_commit();
    let bench = Bench::new();
    let mut spec = spec(path_text(&repository.path()), Reference::Head);
    spec.worktree = true;
    let source = bench.cache.open(spec).unwrap();
    let mut watch = source.watch().unwrap().unwrap();
    for (path, content) in [("a.yaml", "two\n"), ("new/folder/c.yaml", "c\n"), ("new/folder/c.yaml", "d\n")] {
        repository.write(path, content);
        tokio::time::timeout(Duration::from_secs(5), watch.changed()).await.unwrap();
        assert_eq!(read(&source, path).await, content);
    }
}

#[tokio::test]
async fn a_push_into_a_bare_repository_and_a_commit_in_a_linked_working_tree_are_told_of() {
    let repository = one_commit();
    let bare = repository.parent().join("bare.git");
    repository.git(&["clone", "-q", "--bare", ".", path_text(&bare)]);
    let linked = repository.parent().join("linked");
    repository.git(&["worktree", "add", "-q", "-b", "side", path_text(&linked)]);
    let bench = Bench::new();
    let pushed = bench.source(&format!("file://{}", bare.display()), branch("main"));
    let beside = bench.source(path_text(&linked), Reference::Head);
    let mut watches = [pushed.watch().unwrap().unwrap(), beside.watch().unwrap().unwrap()];

    repository.write("a.yaml", "two\n");
    repository.commit("Second");
    repository.git(&["push", "-q", path_text(&bare), "main"]);
    tokio::time::timeout(Duration::from_secs(5), watches[0].changed()).await.unwrap();
    assert_eq!(read(&pushed, "a.yaml").await, "two\n");

    assert_eq!(read(&beside, "a.yaml").await, "one\n");
    std::fs::write(linked.join("a.yaml"), "beside\n").unwrap();
    repository::git_in(&linked, &["commit", "-q", "-a", "-m", "Beside"]);
    tokio::time::timeout(Duration::from_secs(5), watches[1].changed()).await.unwrap();
    assert_eq!(read(&beside, "a.yaml").await, "beside\n");
    assert_eq!(beside.poll().await.unwrap().reference, "refs/heads/side");
}

#[tokio::test]
async fn a_repository_that_is_made_anew_at_the_same_place_is_followed() {
    let repository = one_commit();
    let bench = Bench::new();
    let source = bench.source(path_text(&repository.path()), Reference::Head);
    assert_eq!(read(&source, "a.yaml").await, "one\n");
    std::fs::remove_dir_all(repository.path().join(".git")).unwrap();
    repository.git(&["init", "-q", "-b", "other"]);
    repository.write("a.yaml", "anew\n");
    repository.commit("Anew");
    assert_eq!(read(&source, "a.yaml").await, "anew\n");
}

#[tokio::test]
async fn a_damaged_local_repository_is_left_alone_and_read_again_once_it_was_repaired() {
    let repository = one_commit();
    let blob = repository.git(&["rev-parse", "HEAD:a.yaml"]);
    let object = repository.path().join(".git/objects").join(&blob[..2]).join(&blob[2..]);
    let whole = std::fs::read(&object).unwrap();
    std::fs::remove_file(&object).unwrap();
    let bench = Bench::new();
    let source = bench.source(path_text(&repository.path()), Reference::Head);
    let head = source.poll().await.unwrap();
    let commit = source.fetch(&head).await.unwrap();
    assert!(matches!(read_text(&*commit.tree, "a.yaml"), Err(TreeError::Store { .. })));
    assert!(source.is_damaged());
    assert!(!object.exists());
    std::fs::write(&object, whole).unwrap();
    assert_eq!(read(&source, "a.yaml").await, "one\n");
    assert!(!source.is_damaged());
}

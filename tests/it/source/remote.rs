use std::time::{Duration, Instant};

use trueup::source::{ErrorClass, Reference, Secret, SourceError};
use trueup_model::tree::read_text;
use trueup_testkit::{Access, GitRepo, GitServer, Transport};

use super::server::{Mood, Server};
use super::*;

#[tokio::test]
async fn when_nothing_moved_only_the_references_are_asked_for() {
    let repository = one_commit();
    let server = Server::start(repository.parent()).await;
    let bench = Bench::new();
    let source = bench.source(&server.url(), branch("main"));
    assert_eq!(read(&source, "a.yaml").await, "one\n");
    assert_eq!(count(&server.requests(), "fetch"), 1);
    for _ in 0..3 {
        assert_eq!(read(&source, "a.yaml").await, "one\n");
    }
    let asked = server.requests();
    assert_eq!((count(&asked, "ls-refs"), count(&asked, "fetch"), asked.len()), (3, 0, 3), "{asked:?}");
}

#[tokio::test]
async fn after_a_restart_the_mirror_is_used_and_nothing_is_fetched() {
    let repository = one_commit();
    let server = Server::start(repository.parent()).await;
    let bench = Bench::new();
    read(&bench.source(&server.url(), branch("main")), "a.yaml").await;
    server.requests();
    let again = Cache::new(&bench.cache_folder()).unwrap().open(spec(&server.url(), branch("main"))).unwrap();
    assert_eq!(read(&again, "a.yaml").await, "one\n");
    assert_eq!(count(&server.requests(), "fetch"), 0);
}

#[tokio::test]
async fn a_new_commit_is_fetched_without_history_and_without_what_is_there() {
    let repository = one_commit();
    for number in 0..20 {
        repository.write("big.yaml", &format!("{number}\n").repeat(2000));
        repository.commit("More");
    }
    let server = Server::start(repository.parent()).await;
    let bench = Bench::new();
    let source = bench.source(&server.url(), branch("main"));
    read(&source, "a.yaml").await;
    // One commit, two trees, three files.
    assert_eq!(objects(&bench), 6, "the first fetch is one commit deep");
    repository.write("a.yaml", "two\n");
    repository.commit("Second");
    assert_eq!(read(&source, "a.yaml").await, "two\n");
    assert!(objects(&bench) <= 6 + 4, "a later fetch brings what is new: {} objects", objects(&bench));
}

/// The number of objects in all packs of the only mirror.
fn objects(bench: &Bench) -> usize {
    let listed = repository::git_in(&generation(bench), &["count-objects", "-v"]);
    let number = listed.lines().find_map(|line| line.strip_prefix("in-pack: ")).unwrap();
    number.parse().unwrap()
}

#[tokio::test]
async fn tags_ranges_and_fixed_commits_are_followed_and_annotated_tags_give_their_commit() {
    let repository = one_commit();
    let first = repository.git(&["rev-parse", "HEAD"]);
    repository.git(&["tag", "-a", "v1.2.0", "-m", "annotated"]);
    repository.write("a.yaml", "two\n");
    let second = repository.commit("Second");
    repository.git(&["tag", "1.10.0"]);
    repository.git(&["tag", "v2.0.0-rc.1"]);
    repository.write("a.yaml", "three\n");
    let third = repository.commit("Third");
    let server = Server::start(repository.parent()).await;
    let bench = Bench::new();
    for (reference, commit, content, name) in [
        (Reference::Head, &third, "three\n", "refs/heads/main"),
        (Reference::Tag("v1.2.0".into()), &first, "one\n", "refs/tags/v1.2.0"),
        (Reference::Semver("1".parse().unwrap()), &second, "two\n", "refs/tags/1.10.0"),
        (Reference::Semver(">=2.0.0-rc.0".parse().unwrap()), &second, "two\n", "refs/tags/v2.0.0-rc.1"),
        (Reference::Commit(second.clone()), &second, "two\n", second.as_str()),
    ] {
        let source = bench.source(&server.url(), reference.clone());
        let head = source.poll().await.unwrap();
        assert_eq!((&head.revision, head.reference.as_str()), (commit, name), "{reference}");
        assert_eq!(read(&source, "a.yaml").await, content, "{reference}");
    }
    only(&bench.cache_folder().join("git"));
}

#[tokio::test]
async fn a_fixed_commit_asks_nobody_once_it_is_there() {
    let repository = one_commit();
    let first = repository.git(&["rev-parse", "HEAD"]);
    let server = Server::start(repository.parent()).await;
    let bench = Bench::new();
    let source = bench.source(&server.url(), Reference::Commit(first));
    read(&source, "a.yaml").await;
    server.requests();
    read(&source, "a.yaml").await;
    assert_eq!(server.requests(), Vec::<String>::new());
    let error = bench.cache.open(spec(&server.url(), Reference::Commit("abc123".into()))).err().unwrap();
    assert!(error.to_string().contains("in full"), "{error}");
}

#[tokio::test]
async fn an_earlier_commit_can_be_had_by_its_id() {
    let repository = one_commit();
    let first = repository.git(&["rev-parse", "HEAD"]);
    repository.write("a.yaml", "two\n");
    repository.commit("Second");
    let server = Server::start(repository.parent()).await;
    let bench = Bench::new();
    let source = bench.source(&server.url(), branch("main"));
    assert_eq!(read(&source, "a.yaml").await, "two\n");
    let commit = source.commit_at(&first).await.unwrap();
    assert_eq!(read_text(&*commit.tree, "a.yaml").unwrap(), "one\n");
    let error = source.commit_at(&"1".repeat(40)).await.unwrap_err();
    assert!(matches!(error, SourceError::CommitMissing { .. }), "{error}");
}

#[tokio::test]
async fn a_person_names_a_commit_by_branch_tag_id_or_its_first_digits() {
    let repository = one_commit();
    let first = repository.git(&["rev-parse", "HEAD"]);
    repository.git(&["tag", "-a", "v1.0.0", "-m", "annotated"]);
    repository.write("a.yaml", "two\n");
    let second = repository.commit("Second");
    let server = Server::start(repository.parent()).await;
    let bench = Bench::new();
    for url in [server.url(), path_text(&repository.path()).to_owned()] {
        let source = bench.source(&url, branch("main"));
        read(&source, "a.yaml").await;
        for (written, expected) in
            [("main", &second), ("v1.0.0", &first), (first.as_str(), &first), (&second[..7], &second)]
        {
            let head = source.resolve(written).await.unwrap();
            assert_eq!(&source.fetch(&head).await.unwrap().revision, expected, "{url} {written}");
        }
        let error = source.resolve("nothing").await.unwrap_err();
        assert!(error.to_string().ends_with("has no branch, tag or commit nothing"), "{error}");
    }
}

#[tokio::test]
async fn an_old_server_that_lists_everything_and_gives_out_only_tips_is_enough() {
    let repository = one_commit();
    let first = repository.git(&["rev-parse", "HEAD"]);
    repository.git(&["tag", "-a", "v1.0.0", "-m", "annotated"]);
    repository.write("a.yaml", "two\n");
    repository.commit("Second");
    let server = Server::start(repository.parent()).await;
    server.speak_only("version=0");
    let bench = Bench::new();
    assert_eq!(read(&bench.source(&server.url(), branch("main")), "a.yaml").await, "two\n");
    let tag = bench.source(&server.url(), Reference::Tag("v1.0.0".into()));
    assert_eq!(read(&tag, "a.yaml").await, "one\n");
    repository.git(&["tag", "-d", "v1.0.0"]);
    let bench = Bench::new();
    let fixed = bench.source(&server.url(), Reference::Commit(first));
    assert_eq!(read(&fixed, "a.yaml").await, "one\n", "it is found in the whole history");
    // A pull request's commit is on no branch.
    repository.git(&["checkout", "-q", "--detach"]);
    repository.write("a.yaml", "asked\n");
    let asked = repository.commit("Asked");
    repository.git(&["update-ref", "refs/pull/1/head", "HEAD"]);
    repository.git(&["checkout", "-q", "main"]);
    for bench in [bench, Bench::new()] {
        let request = bench.source(&server.url(), Reference::Commit(asked.clone()));
        assert_eq!(read(&request, "a.yaml").await, "asked\n");
    }
}

#[tokio::test]
async fn a_force_push_is_followed_and_the_tree_held_before_stays_readable() {
    let repository = one_commit();
    let server = Server::start(repository.parent()).await;
    let bench = Bench::new();
    let source = bench.source(&server.url(), branch("main"));
    let before = source.fetch(&source.poll().await.unwrap()).await.unwrap();
    repository.git(&["checkout", "-q", "--orphan", "other"]);
    repository.write("a.yaml", "rewritten\n");
    repository.commit("Rewritten");
    repository.git(&["branch", "-M", "other", "main"]);
    repository.git(&["reflog", "expire", "--expire=now", "--all"]);
    repository.git(&["gc", "-q", "--prune=now"]);
    assert_eq!(read(&source, "a.yaml").await, "rewritten\n");
    assert_eq!(read_text(&*before.tree, "a.yaml").unwrap(), "one\n");
}

#[tokio::test]
async fn a_deleted_branch_is_named_with_its_near_matches_and_comes_back() {
    let repository = one_commit();
    repository.git(&["branch", "release-1.2"]);
    repository.git(&["branch", "release-1.3"]);
    let server = Server::start(repository.parent()).await;
    let bench = Bench::new();
    let source = bench.source(&server.url(), branch("release-1.2"));
    read(&source, "a.yaml").await;
    repository.git(&["branch", "-D", "-q", "release-1.2"]);
    let error = source.poll().await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::RefMissing);
    let said = format!(
        "http://{}/config/.git has no branch release-1.2; near matches: release-1.3",
        server.address()
    );
    assert_eq!(error.to_string(), said);
    repository.git(&["branch", "release-1.2"]);
    assert_eq!(read(&source, "a.yaml").await, "one\n");

    let error =
        bench.source(&server.url(), Reference::Semver("^3".parse().unwrap())).poll().await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::RefMissing);
    assert!(error.to_string().contains("tag in the range ^3"), "{error}");
}

#[tokio::test]
async fn an_empty_repository_has_no_default_branch_yet() {
    let repository = Repository::new();
    let server = Server::start(repository.parent()).await;
    let bench = Bench::new();
    for url in [server.url(), path_text(&repository.path()).to_owned()] {
        let error = bench.source(&url, Reference::Head).poll().await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::RefMissing, "{error}");
    }
}

#[tokio::test]
async fn a_server_that_is_gone_is_unreachable_and_what_was_fetched_stays_readable() {
    let repository = one_commit();
    let server = Server::start(repository.parent()).await;
    let bench = Bench::new();
    let url = server.url();
    let source = bench.source(&url, branch("main"));
    let head = source.poll().await.unwrap();
    source.fetch(&head).await.unwrap();
    drop(server);
    tokio::task::yield_now().await;
    let fresh = Bench::new().source(&url.replace("127.0.0.1", "localhost"), branch("main"));
    let error = fresh.poll().await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unreachable, "{error}");
    assert!(error.to_string().contains("cannot reach"), "{error}");
    let commit = source.fetch(&head).await.unwrap();
    assert_eq!(read_text(&*commit.tree, "a.yaml").unwrap(), "one\n");
}

#[tokio::test]
async fn a_status_of_the_server_becomes_the_right_kind_of_error() {
    let repository = one_commit();
    let server = Server::start(repository.parent()).await;
    let bench = Bench::new();
    let source = bench.source(&server.url(), branch("main"));
    for (status, class) in [
        (401, ErrorClass::Authentication),
        (403, ErrorClass::Authentication),
        (404, ErrorClass::NotFound),
        (429, ErrorClass::Unreachable),
        (500, ErrorClass::Unreachable),
        (503, ErrorClass::Unreachable),
        (204, ErrorClass::NotFound),
    ] {
        server.set(Mood::Answers(status));
        let error = source.poll().await.unwrap_err();
        assert_eq!(error.class(), class, "{status}: {error}");
    }
    server.set(Mood::Serves);
    let error = bench.source(&format!("{}x", server.url()), branch("main")).poll().await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::NotFound, "{error}");
}

#[tokio::test]
async fn a_server_that_never_answers_or_stops_halfway_is_given_up_in_time() {
    let repository = one_commit();
    repository.write("big.yaml", &lines(40_000, |n| n.to_string()));
    repository.commit("Big");
    let server = Server::start(repository.parent()).await;
    let bench = Bench::new();
    let patient = bench.source(&server.url(), branch("main"));
    let head = patient.poll().await.unwrap();
    let mut impatient = spec(&server.url(), branch("main"));
    impatient.timeout = Duration::from_millis(300);
    let source = bench.cache.open(impatient).unwrap();
    for mood in [Mood::Hangs, Mood::Stalls] {
        server.set(mood.clone());
        let start = Instant::now();
        let error = match mood {
            Mood::Hangs => source.poll().await.unwrap_err(),
            _ => source.fetch(&head).await.unwrap_err(),
        };
        assert_eq!(error.class(), ErrorClass::Timeout, "{mood:?}: {error}");
        assert!(start.elapsed() < Duration::from_secs(10), "{mood:?}: {:?}", start.elapsed());
    }
    server.set(Mood::Serves);
    assert_eq!(read(&patient, "a.yaml").await, "one\n");
}

#[tokio::test]
async fn a_pack_that_is_cut_off_is_the_network_s_fault_and_the_mirror_stays() {
    let repository = one_commit();
    let server = Server::start(repository.parent()).await;
    let bench = Bench::new();
    let source = bench.source(&server.url(), branch("main"));
    server.set(Mood::CutsOff);
    let head = source.poll().await.unwrap();
    let error = source.fetch(&head).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unreachable, "{error}");
    server.set(Mood::Serves);
    read(&source, "a.yaml").await;
    let place = generation(&bench);
    server.set(Mood::CutsOff);
    repository.write("a.yaml", &lines(9000, |n| n.to_string()));
    repository.commit("Second");
    let error = source.fetch(&source.poll().await.unwrap()).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unreachable, "{error}");
    server.set(Mood::Serves);
    assert!(read(&source, "a.yaml").await.starts_with("0\n1\n"));
    assert_eq!(generation(&bench), place);
}

#[tokio::test]
async fn whoever_stops_waiting_also_ends_the_work() {
    let repository = one_commit();
    let server = Server::start(repository.parent()).await;
    let bench = Bench::new();
    let source = bench.source(&server.url(), branch("main"));
    server.set(Mood::Hangs);
    for _ in 0..40 {
        // More often than there are threads: if the work went on, the last would wait for the first.
        let gave_up = tokio::time::timeout(Duration::from_millis(20), source.poll()).await;
        assert!(gave_up.is_err());
    }
    server.set(Mood::Serves);
    let answered = tokio::time::timeout(Duration::from_secs(5), source.poll()).await;
    assert!(answered.unwrap().is_ok());
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_never_shown() {
    let repository = GitRepo::create().unwrap();
    repository.commit(&[("a.yaml", "one\n")], "First").unwrap();
    let access = Access::Basic { user: "me".into(), password: "sesame".into() };
    let server = GitServer::start(&repository.served_path(), access, Transport::Plain).unwrap();
    let url = server.url("config.git");
    let bench = Bench::new();
    let mut with = spec(&url, branch("main"));
    with.credentials = basic("me", "sesame");
    assert_eq!(read(&bench.cache.open(with.clone()).unwrap(), "a.yaml").await, "one\n");
    with.credentials = basic("me", "wrong-hush");
    let source = bench.cache.open(with).unwrap();
    let error = source.poll().await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Authentication);
    assert!(!format!("{error} {error:?} {:?}", source.spec()).contains("hush"));
    let in_url = url.replace("http://", "http://me:wrong-hush@");
    let error = bench.source(&in_url, branch("main")).poll().await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
    let right = url.replace("http://", "http://me:sesame@");
    assert_eq!(read(&bench.source(&right, branch("main")), "a.yaml").await, "one\n");
}

#[tokio::test]
async fn a_bearer_token_lets_in() {
    let repository = GitRepo::create().unwrap();
    repository.commit(&[("a.yaml", "one\n")], "First").unwrap();
    let access = Access::Bearer { token: "token-1".into() };
    let server = GitServer::start(&repository.served_path(), access, Transport::Plain).unwrap();
    let bench = Bench::new();
    let mut with = spec(&server.url("config.git"), branch("main"));
    // Tokens from files end with a newline more often than not.
    with.credentials.bearer_token = Some(Secret::new("token-1\n"));
    assert_eq!(read(&bench.cache.open(with).unwrap(), "a.yaml").await, "one\n");
    let error = bench.source(&server.url("config.git"), branch("main")).poll().await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Authentication, "{error}");
    assert!(error.to_string().contains("none are given"), "{error}");
}

#[tokio::test]
async fn credentials_do_not_go_over_plain_http_to_another_machine_unless_asked_to() {
    let bench = Bench::new();
    let mut with = spec("http://git.example.invalid/a.git", branch("main"));
    with.credentials = basic("me", "sesame");
    let error = bench.cache.open(with.clone()).unwrap().poll().await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Invalid);
    assert!(error.to_string().contains("insecure: true"), "{error}");
    with.insecure = true;
    let error = bench.cache.open(with).unwrap().poll().await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unreachable, "{error}");
}

#[tokio::test]
async fn a_redirect_is_followed_and_credentials_stay_with_the_host_they_were_given_for() {
    let repository = one_commit();
    let (front, back) = (Server::start(repository.parent()).await, Server::start(repository.parent()).await);
    front.set(Mood::Redirects(format!("http://{}", back.address())));
    let bench = Bench::new();
    let mut with = spec(&front.url(), branch("main"));
    with.credentials = basic("me", "sesame");
    assert_eq!(read(&bench.cache.open(with).unwrap(), "a.yaml").await, "one\n");
    assert!(front.authorizations().iter().all(Option::is_some));
    let leaked: Vec<_> = back.authorizations().into_iter().flatten().collect();
    assert_eq!(leaked, Vec::<String>::new());
}

#[tokio::test]
async fn a_certificate_counts_when_its_authority_is_given() {
    let repository = GitRepo::create().unwrap();
    repository.commit(&[("a.yaml", "one\n")], "First").unwrap();
    let server = GitServer::start(&repository.served_path(), Access::Anyone, Transport::Tls).unwrap();
    let authority = server.authority().unwrap().to_owned();
    let bench = Bench::new();
    let mut with = spec(&server.url("config.git"), branch("main"));
    let error = bench.cache.open(with.clone()).unwrap().poll().await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::TlsCa, "{error}");
    assert!(error.to_string().contains("ca.crt"), "{error}");
    with.credentials.ca_pem = Some(authority);
    with.credentials.bearer_token = Some(Secret::new("t"));
    assert_eq!(read(&bench.cache.open(with.clone()).unwrap(), "a.yaml").await, "one\n");
    with.credentials.ca_pem = Some("not a certificate".into());
    let error = bench.cache.open(with).unwrap().poll().await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Invalid, "{error}");
}

#[tokio::test]
async fn two_repositories_with_the_same_url_share_a_mirror_and_take_turns() {
    let repository = one_commit();
    let first = repository.git(&["rev-parse", "HEAD"]);
    repository.git(&["branch", "stable"]);
    for number in 0..8 {
        repository.write("a.yaml", &format!("{number}\n"));
        repository.commit("More");
        repository.git(&["branch", &format!("b{number}")]);
    }
    let server = Server::start(repository.parent()).await;
    let bench = Bench::new();
    // A second cache on the same folder is what a second process is.
    let process = Cache::new(&bench.cache_folder()).unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..8 {
        for cache in [&bench.cache, &process] {
            let source = cache.open(spec(&server.url(), branch(&format!("b{number}")))).unwrap();
            tasks.spawn(async move { assert_eq!(read(&source, "a.yaml").await, format!("{number}\n")) });
        }
        let source = bench.source(&server.url(), branch("stable"));
        let first = first.clone();
        tasks.spawn(async move { assert_eq!(source.poll().await.unwrap().revision, first) });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    only(&bench.cache_folder().join("git"));
    assert_eq!(count(&server.requests(), "fetch"), 8, "each commit is fetched once");
}

#[tokio::test]
async fn sources_of_different_scopes_never_share_a_mirror() {
    let repository = one_commit();
    let server = Server::start(repository.parent()).await;
    let bench = Bench::new();
    for scope in ["team-a", "team-b"] {
        let mut spec = spec(&server.url(), branch("main"));
        spec.scope = scope.into();
        read(&bench.cache.open(spec).unwrap(), "a.yaml").await;
    }
    assert_eq!(std::fs::read_dir(bench.cache_folder().join("git")).unwrap().count(), 2);
}

#[tokio::test]
async fn mirrors_that_nobody_uses_any_more_are_removed_and_those_in_use_are_not() {
    let repository = one_commit();
    let server = Server::start(repository.parent()).await;
    let bench = Bench::new();
    let source = bench.source(&server.url(), branch("main"));
    let commit = source.fetch(&source.poll().await.unwrap()).await.unwrap();
    let process = Cache::new(&bench.cache_folder()).unwrap();
    let mirrors = || std::fs::read_dir(bench.cache_folder().join("git")).unwrap().count();
    bench.cache.remove_unused(Duration::ZERO).unwrap();
    process.remove_unused(Duration::ZERO).unwrap();
    assert_eq!(mirrors(), 1, "it is open here");
    drop(source);
    bench.cache.remove_unused(Duration::ZERO).unwrap();
    assert_eq!(mirrors(), 1, "a tree of it is held");
    drop(commit);
    process.remove_unused(Duration::from_hours(1)).unwrap();
    assert_eq!(mirrors(), 1, "it was open a moment ago");
    process.remove_unused(Duration::ZERO).unwrap();
    assert_eq!(mirrors(), 0);
    assert_eq!(read(&bench.source(&server.url(), branch("main")), "a.yaml").await, "one\n");
}

#[tokio::test]
async fn a_repository_with_sha256_ids_is_followed_like_any_other() {
    let repository = Repository::new();
    std::fs::remove_dir_all(repository.path().join(".git")).unwrap();
    repository.git(&["init", "-q", "-b", "main", "--object-format=sha256"]);
    repository.write("a.yaml", "one\n");
    let first = repository.commit("First");
    assert_eq!(first.len(), 64);
    let server = Server::start(repository.parent()).await;
    let bench = Bench::new();
    for url in [server.url(), path_text(&repository.path()).to_owned()] {
        let source = bench.source(&url, branch("main"));
        assert_eq!(source.poll().await.unwrap().revision, first);
        assert_eq!(read(&source, "a.yaml").await, "one\n");
    }
}

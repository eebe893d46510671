use super::*;

/// `repository | folder | reference`, or `-` for what is no remote folder.
fn shown(written: &str) -> String {
    parse(written).map_or_else(
        || "-".to_owned(),
        |found| format!("{} | {} | {}", found.url, found.path, found.reference),
    )
}

#[test]
fn a_url_is_split_where_it_says_so_and_after_two_parts_otherwise() {
    for (written, expected) in [
        ("https://git.example.com/org/repo", "https://git.example.com/org/repo |  | "),
        ("https://git.example.com/org/repo/a/b", "https://git.example.com/org/repo | a/b | "),
        ("https://git.example.com/org/repo/", "https://git.example.com/org/repo |  | "),
        ("https://git.example.com/org/repo//a/b/?ref=v1", "https://git.example.com/org/repo | a/b/ | v1"),
        ("https://example.org/deep/path/repo//a", "https://example.org/deep/path/repo | a | "),
        ("https://example.org/deep/path/repo.git/a", "https://example.org/deep/path/repo.git | a | "),
        ("https://example.org/scm/team/repo.git", "https://example.org/scm/team/repo.git |  | "),
        ("https://h.example.com/c/p/_git/repo", "https://h.example.com/c/p/_git/repo |  | "),
        (
            "https://h.example.com/c/p/_git/repo/a/b?version=v1",
            "https://h.example.com/c/p/_git/repo | a/b | v1",
        ),
        // The part after `_git/` ends at the next slash, so the second of two goes to the folder and from there away.
        (
            "https://me@dev.example.com/o/p/_git/repo//a/b",
            "https://me@dev.example.com/o/p/_git/repo | a/b | ",
        ),
        ("ssh://git.example.com:7999/org/repo/a?ref=main", "ssh://git.example.com:7999/org/repo | a | main"),
        ("ssh://git@example.org/team/repo.git//a?ref=b", "ssh://git@example.org/team/repo.git | a | b"),
        ("ssh://alice@example.com/p/to/repo//a/b", "ssh://alice@example.com/p/to/repo | a/b | "),
        ("git@example.org:team/repo.git//a?ref=b", "git@example.org:team/repo.git | a | b"),
        ("git@example.org:infra/k8s/base.git?ref=v0.1.0", "git@example.org:infra/k8s/base.git |  | v0.1.0"),
        ("git@example.org:team/repo", "git@example.org:team/repo |  | "),
        ("git@example.org/team/repo.git//a", "git@example.org/team/repo.git | a | "),
        ("git@example.org/user:name/repo.git/a", "git@example.org/user:name/repo.git | a | "),
        ("https://authority/org/repo/%-odd/url.Parse", "https://authority/org/repo | %-odd/url.Parse | "),
    ] {
        assert_eq!(shown(written), expected, "{written}");
    }
}

#[test]
fn a_github_address_is_put_in_order() {
    for (host, normal) in [
        ("gitHub.com/", "https://github.com/"),
        ("github.com:", "https://github.com/"),
        ("http://github.com/", "https://github.com/"),
        ("hTTps://github.com/", "https://github.com/"),
        ("git::https://github.com/", "https://github.com/"),
        ("git@github.com:", "git@github.com:"),
        ("git@github.com/", "git@github.com:"),
        ("git::git@github.com:", "git@github.com:"),
        ("ssh://git@github.com/", "git@github.com:"),
        ("ssh://org-12345@github.com/", "org-12345@github.com:"),
        ("org-12345@github.com/", "org-12345@github.com:"),
        // Only the exact host: others keep what is written.
        ("ssh://git@ssh.github.com:443/", "ssh://git@ssh.github.com:443/"),
        ("git@gist.github.com:", "git@gist.github.com:"),
        ("GIT::http://git.example.com/", "http://git.example.com/"),
    ] {
        for (folder, reference) in [("", ""), ("a/b", "v0.1.0"), ("README.md", "group/version")] {
            let slash = if folder.is_empty() { "" } else { "/" };
            let query = if reference.is_empty() { String::new() } else { format!("?ref={reference}") };
            let written = format!("{host}kubernetes/website{slash}{folder}{query}");
            assert_eq!(
                shown(&written),
                format!("{normal}kubernetes/website | {folder} | {reference}"),
                "{written}"
            );
        }
    }
    assert_eq!(shown("https://gist.github.com/bc7947.git"), "https://gist.github.com/bc7947.git |  | ");
}

#[test]
fn all_of_a_file_path_is_the_repository_unless_it_says_otherwise() {
    for (written, expected) in [
        ("file:///srv/a/repo?ref=main", "file:///srv/a/repo |  | main"),
        ("file:///srv/a/repo//deploy?ref=main", "file:///srv/a/repo | deploy | main"),
        ("file://a/b/repo.git/deploy?ref=main", "file://a/b/repo.git | deploy | main"),
        ("file://git@home/p/repo.git//a?ref=b", "file://git@home/p/repo.git | a | b"),
        ("file:///", "file:/// |  | "),
        ("file:////tmp//path/to/whatever", "-"),
    ] {
        assert_eq!(shown(written), expected, "{written}");
    }
}

#[test]
fn what_is_no_address_of_a_repository_is_a_path_of_the_tree() {
    for written in [
        "/tmp",
        "../../base",
        "base",
        "src/github.com/org/repo/path",
        "htxxxtp://github.com/",
        "ssh://git.example.com",
        "git::___",
        "https://host?ref=group/version",
        "https://github.com/org/repo.git//path/../../out",
        "https://github.com/org/repo//..",
        "github.com!org/repo.git//path",
        "gh:org/repo",
        "https://github.com/only-one.yaml",
        "git@scp://github.com/org/repo.git//path",
        "git@ssh://github.com/org/repo.git//path",
        "",
    ] {
        assert_eq!(shown(written), "-", "{written}");
    }
}

#[test]
fn the_query_gives_reference_timeout_and_submodules() {
    let read = |text: &str| {
        let query = query(text);
        (query.reference, query.timeout.map(|timeout| timeout.as_millis()), query.submodules)
    };
    for (text, reference, timeout, submodules) in [
        ("", "", None, true),
        ("ref=v1", "v1", None, true),
        ("version=v1", "v1", None, true),
        ("version=v1&ref=v2", "v2", None, true),
        ("ref=&version=v1", "v1", None, true),
        ("ref=a&ref=b", "a", None, true),
        ("ref=a%2Fb+c", "a/b c", None, true),
        ("ref=a;b", "", None, true),
        ("ref=%zz", "", None, true),
        ("timeout=61", "", Some(61_000), true),
        ("timeout=61s", "", Some(61_000), true),
        ("timeout=1m30.5s", "", Some(90_500), true),
        ("timeout=250ms", "", Some(250), true),
        ("timeout=0", "", None, true),
        ("timeout=-1s", "", None, true),
        ("timeout=1 s", "", None, true),
        ("timeout=s", "", None, true),
        ("submodules=false", "", None, false),
        ("submodules=0&timeout=5&ref=x", "x", Some(5_000), false),
        ("submodules=no", "", None, true),
    ] {
        assert_eq!(read(text), (reference.to_owned(), timeout, submodules), "{text}");
    }
}

#[test]
fn a_url_that_ends_like_a_manifest_is_a_file_unless_it_names_a_repository() {
    for (written, expected) in [
        ("https://example.org/a/b/install.yaml", true),
        ("http://example.org/crds.json?token=x", true),
        ("https://example.org/org/repo.git/deploy.yaml", false),
        ("https://example.org/org/repo//deploy.yaml", false),
        ("https://example.org/org/repo/deploy.yaml?ref=v1", false),
        ("https://example.org/org/repo", false),
        ("ssh://example.org/org/repo.yaml", false),
        ("a/b.yaml", false),
    ] {
        assert_eq!(is_manifest_url(written), expected, "{written}");
    }
}

#[test]
fn a_password_in_a_url_is_complained_of_and_not_repeated() {
    let message = password("https://me:hush@host.example.com/org/repo").unwrap();
    assert!(message.contains("host.example.com") && !message.contains("hush"), "{message}");
    assert_eq!(password("https://me@host.example.com/org/repo"), None);
    assert_eq!(password("git@host.example.com:org/repo"), None);
}

#[test]
fn a_remote_is_shown_without_what_may_be_a_token() {
    let file = Remote::File { url: "https://h/a.yaml?token=hush".to_owned() };
    assert_eq!(file.to_string(), "https://h/a.yaml");
    let repository = |reference: &str| Remote::Repository {
        url: "https://h/a/b".to_owned(),
        reference: reference.to_owned(),
    };
    assert_eq!(repository("v1").to_string(), "https://h/a/b@v1");
    assert_eq!(repository("").to_string(), "https://h/a/b");
}

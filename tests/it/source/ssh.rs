use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use trueup::source::{ErrorClass, Secret};
use trueup_testkit::SshServer;

use super::*;

fn ssh_source(bench: &Bench, url: &str, key: &Path, known_hosts: &str) -> Source {
    let mut spec = spec(url, branch("main"));
    // Secrets lose the newline at the end more often than not; ssh insists on it.
    spec.credentials.ssh_key = Some(Secret::new(text(key).trim_end()));
    spec.credentials.known_hosts = Some(known_hosts.to_owned());
    bench.cache.open(spec).unwrap()
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn over_ssh_the_key_lets_in_and_the_host_key_must_be_the_known_one() {
    let server = SshServer::start().unwrap();
    let repository = one_commit();
    let bench = Bench::new();
    let url = server.url(&repository.path());
    let (key, known) = (server.key_path(), text(&server.known_hosts_path()));

    let source = ssh_source(&bench, &url, &key, &known);
    assert_eq!(read(&source, "a.yaml").await, "one\n");
    repository.write("a.yaml", "two\n");
    repository.commit("Second");
    assert_eq!(read(&source, "a.yaml").await, "two\n");

    let changed = text(&server.wrong_known_hosts().unwrap());
    let stranger = server.strange_key().unwrap();
    let nowhere = format!("{url}x");
    for (url, key, known, class, told) in [
        (&url, &stranger, known.as_str(), ErrorClass::Authentication, "Permission denied"),
        (&url, &key, "", ErrorClass::HostKey, "known_hosts does not have it"),
        (&url, &key, &changed, ErrorClass::HostKey, "not the one in known_hosts"),
        (&nowhere, &key, &known, ErrorClass::NotFound, "does not appear to be a git repository"),
    ] {
        let error = ssh_source(&bench, url, key, known).poll().await.unwrap_err();
        assert_eq!(error.class(), class, "{error}");
        assert!(error.to_string().contains(told), "{error}");
        assert!(!error.to_string().contains("PRIVATE"), "{error}");
    }
    drop(server);
    let error = source.poll().await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unreachable, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_written_for_its_owner_only_and_is_gone_afterwards() {
    let server = SshServer::start().unwrap();
    let repository = one_commit();
    let bench = Bench::new();
    let known = text(&server.known_hosts_path());
    let source = ssh_source(&bench, &server.url(&repository.path()), &server.key_path(), &known);
    let key = text(&server.key_path());
    let done = Arc::new(AtomicBool::new(false));
    let watching = std::thread::spawn({
        let (key, done) = (key.clone(), done.clone());
        move || {
            let mut modes = BTreeSet::new();
            while !done.load(Ordering::Relaxed) {
                modes.extend(modes_of(&key));
                std::thread::sleep(Duration::from_millis(1));
            }
            modes
        }
    });
    for _ in 0..3 {
        source.poll().await.unwrap();
    }
    done.store(true, Ordering::Relaxed);
    assert_eq!(watching.join().unwrap().into_iter().collect::<Vec<_>>(), [(0o700, 0o600)]);
    assert_eq!(modes_of(&key), [], "it is gone with the connection");
}

/// The permissions of each folder and file that holds `key` for ssh.
fn modes_of(key: &str) -> Vec<(u32, u32)> {
    let entries = std::fs::read_dir(std::env::temp_dir()).unwrap();
    let folders = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let holding = |folder: std::path::PathBuf| {
        let file = folder.join("key");
        let mode = |path: &Path| Some(std::fs::metadata(path).ok()?.permissions().mode() & 0o777);
        let held = std::fs::read_to_string(&file).ok()?;
        (held.trim() == key.trim()).then_some((mode(&folder)?, mode(&file)?))
    };
    folders.filter_map(holding).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_and_its_fetch_are_one_login() {
    let server = SshServer::start().unwrap();
    let repo = super::partial::large();
    let bench = Bench::new();
    let known = text(&server.known_hosts_path());
    let source = ssh_source(&bench, &server.url(repo.bare_path()), &server.key_path(), &known);
    let commit = source.fetch(&source.poll().await.unwrap()).await.unwrap();
    // It is large: what was begun is ended, and a part is fetched.
    assert_eq!(server.logins(), 2);
    commit.supply(BTreeSet::from(["app".to_owned()])).await.unwrap();
    assert_eq!(read_text(&*commit.tree, "app/deep/b.yaml").unwrap(), "b\n");
    assert_eq!(server.logins(), 3);

    super::partial::change(&repo, "app/a.yaml", "changed\n");
    let commit = source.fetch(&source.poll().await.unwrap()).await.unwrap();
    assert_eq!(read_text(&*commit.tree, "app/a.yaml").unwrap(), "changed\n");
    assert_eq!(server.logins(), 4, "the question, the folders and the file");
    source.poll().await.unwrap();
    source.poll().await.unwrap();
    assert_eq!(server.logins(), 6, "where nothing is new, nothing stays open");
}

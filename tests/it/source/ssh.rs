use std::path::Path;

use trueup::source::{ErrorClass, Secret};
use trueup_testkit::SshServer;

use super::*;

/// An sshd, or a word on why this machine has none.
fn sshd() -> Option<SshServer> {
    match SshServer::start() {
        Ok(server) => Some(server),
        Err(error) if error.to_string().contains("there is no sshd") => {
            println!("SKIPPED: {error}");
            None
        }
        Err(error) => panic!("{error:#}"),
    }
}

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
    let Some(server) = sshd() else { return };
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
    let Some(server) = sshd() else { return };
    let repository = one_commit();
    let bench = Bench::new();
    let known = text(&server.known_hosts_path());
    let source = ssh_source(&bench, &server.url(&repository.path()), &server.key_path(), &known);
    let watching = std::thread::spawn(|| {
        let mut modes = std::collections::BTreeSet::new();
        for _ in 0..400 {
            for folder in key_folders() {
                for name in ["key", "known_hosts"] {
                    if let Ok(metadata) = std::fs::metadata(folder.join(name)) {
                        modes
                            .insert(std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777);
                    }
                }
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        modes
    });
    for _ in 0..3 {
        source.poll().await.unwrap();
    }
    let modes = watching.join().unwrap();
    assert_eq!(modes.into_iter().collect::<Vec<_>>(), [0o600]);
}

fn key_folders() -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(std::env::temp_dir()).unwrap();
    let entries = entries.filter_map(Result::ok).map(|entry| entry.path());
    entries.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("trueup-ssh-")).collect()
}

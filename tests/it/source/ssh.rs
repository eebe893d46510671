use trueup::source::{ErrorClass, Secret};

use super::ssh_server::SshServer;
use super::*;

fn ssh_source(bench: &Bench, url: &str, key: &str, known_hosts: Option<String>) -> Source {
    let mut spec = spec(url, branch("main"));
    spec.credentials.ssh_key = Some(Secret::new(key));
    spec.credentials.known_hosts = known_hosts;
    bench.cache.open(spec).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn over_ssh_the_key_lets_in_and_the_host_key_must_be_the_known_one() {
    let Some(mut server) = SshServer::start() else { return };
    let repository = one_commit();
    let bench = Bench::new();
    let url = server.url(&repository.path());

    let source = ssh_source(&bench, &url, server.client_key().trim_end(), Some(server.known_hosts()));
    assert_eq!(read(&source, "a.yaml").await, "one\n");
    repository.write("a.yaml", "two\n");
    repository.commit("Second");
    assert_eq!(read(&source, "a.yaml").await, "two\n");

    let stranger = ssh_source(&bench, &url, &server.other_key(), Some(server.known_hosts()));
    let error = stranger.poll().await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Authentication, "{error}");

    let unknown = ssh_source(&bench, &url, &server.client_key(), Some(String::new()));
    let error = unknown.poll().await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::HostKey, "{error}");
    assert!(error.to_string().contains("known_hosts does not have it"), "{error}");

    let gone = ssh_source(&bench, &format!("{url}x"), &server.client_key(), Some(server.known_hosts()));
    let error = gone.poll().await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::NotFound, "{error}");

    server.change_host_key();
    let error = source.poll().await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::HostKey, "{error}");
    assert!(error.to_string().contains("not the one in known_hosts"), "{error}");
    assert!(!error.to_string().contains("PRIVATE"), "{error}");
    drop(server);
    let error = source.poll().await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unreachable, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_written_for_its_owner_only_and_is_gone_afterwards() {
    let Some(server) = SshServer::start() else { return };
    let repository = one_commit();
    let bench = Bench::new();
    let source =
        ssh_source(&bench, &server.url(&repository.path()), &server.client_key(), Some(server.known_hosts()));
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

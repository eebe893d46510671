use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use trueup_testkit::{Access, GitRepo, GitServer, SshServer, Transport};

#[test]
fn what_is_committed_can_be_cloned_over_http() -> Result<()> {
    let repo = GitRepo::create()?;
    let head = repo.commit(&[("apps/web/cm.yaml", "kind: ConfigMap\n")], "Add web")?;
    let server = GitServer::serve(&repo)?;
    let clone = cloned(&server.url("config.git"), &[])?;
    assert_eq!(std::fs::read_to_string(clone.path().join("apps/web/cm.yaml"))?, "kind: ConfigMap\n");
    assert_eq!(git_in(clone.path(), &["rev-parse", "HEAD"])?, head);
    let asked: Vec<_> = server.requests().into_iter().map(|request| (request.path, request.status)).collect();
    assert_eq!(asked[0], ("/config.git/info/refs".to_owned(), 200));
    assert_eq!(asked[1], ("/config.git/git-upload-pack".to_owned(), 200));
    assert_eq!(server.request_count(), asked.len());
    Ok(())
}

#[test]
fn a_push_over_http_reaches_the_repository() -> Result<()> {
    let repo = GitRepo::create()?;
    repo.commit(&[("a", "1")], "One")?;
    let server = GitServer::serve(&repo)?;
    let url = server.url("config.git");
    // Larger than git's http.postBuffer, so that it comes in chunks.
    let noise: Vec<u8> = (0u32..400_000).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
    repo.write("large", &noise)?;
    repo.git(&["add", "--all"])?;
    repo.git(&["commit", "--quiet", "-m", "Large"])?;
    repo.git(&["push", "--quiet", &url, "HEAD:refs/heads/pushed"])?;
    assert_eq!(git_in(repo.bare_path(), &["rev-parse", "pushed"])?, repo.head()?);
    Ok(())
}

#[test]
fn basic_credentials_are_asked_for_and_wrong_ones_refused() -> Result<()> {
    let repo = GitRepo::create()?;
    repo.commit(&[("a", "1")], "One")?;
    let access = Access::Basic { user: "ada".to_owned(), password: "right".to_owned() };
    let server = GitServer::start(&repo.served_path(), access, Transport::Plain)?;
    let with = |user_password: &str| server.url("config.git").replace("//", &format!("//{user_password}@"));
    cloned(&with("ada:right"), &[])?;
    for wrong in [with("ada:wrong"), server.url("config.git")] {
        assert!(cloned(&wrong, &[]).is_err(), "{wrong} was let in");
    }
    assert_eq!(server.requests().last().map(|request| request.status), Some(401));
    server.set_access(Access::Anyone);
    cloned(&server.url("config.git"), &[])?;
    Ok(())
}

#[test]
fn a_bearer_token_opens_and_another_does_not() -> Result<()> {
    let repo = GitRepo::create()?;
    repo.commit(&[("a", "1")], "One")?;
    let access = Access::Bearer { token: "right".to_owned() };
    let server = GitServer::start(&repo.served_path(), access, Transport::Plain)?;
    let header = |token: &str| format!("http.extraHeader=Authorization: Bearer {token}");
    cloned(&server.url("config.git"), &["-c", &header("right")])?;
    assert!(cloned(&server.url("config.git"), &["-c", &header("wrong")]).is_err());
    Ok(())
}

#[test]
fn tls_works_for_those_who_trust_its_authority_only() -> Result<()> {
    let repo = GitRepo::create()?;
    repo.commit(&[("a", "1")], "One")?;
    let server = GitServer::start(&repo.served_path(), Access::Anyone, Transport::Tls)?;
    let folder = tempfile::tempdir()?;
    let authority = folder.path().join("ca.crt");
    std::fs::write(&authority, server.authority().context("no authority")?)?;
    let trust = format!("http.sslCAInfo={}", authority.display());
    cloned(&server.url("config.git"), &["-c", &trust])?;
    assert!(cloned(&server.url("config.git"), &[]).is_err());
    Ok(())
}

#[test]
fn a_paused_server_refuses_and_comes_back_on_its_port() -> Result<()> {
    let repo = GitRepo::create()?;
    repo.commit(&[("a", "1")], "One")?;
    let server = GitServer::serve(&repo)?;
    let url = server.url("config.git");
    cloned(&url, &[])?;
    server.pause()?;
    let refused = cloned(&url, &[]).err().context("a paused server answered")?;
    assert!(refused.to_string().contains("connect"), "{refused}");
    server.resume()?;
    assert_eq!(url, server.url("config.git"));
    cloned(&url, &[])?;
    Ok(())
}

#[test]
fn branches_tags_removals_and_forced_pushes_are_seen_by_a_server() -> Result<()> {
    let repo = GitRepo::create()?;
    let first = repo.commit(&[("a", "1"), ("b/c", "2")], "One")?;
    repo.tag("v1.0.0")?;
    repo.annotated_tag("v1.1.0", "A release")?;
    let second = repo.remove(&["b"], "Drop b")?;
    repo.branch("feature")?;
    let third = repo.commit(&[("d", "3")], "Feature")?;
    repo.branch("main")?;
    let forced = repo.amend(&[("a", "4")], "Other")?;
    assert_ne!(forced, second);
    let served = |name: &str| {
        git_in(repo.bare_path(), &["rev-parse", "--verify", "--quiet", &format!("{name}^{{commit}}")])
    };
    assert_eq!(served("main")?, forced);
    assert_eq!(served("feature")?, third);
    assert_eq!((served("v1.0.0")?, served("v1.1.0")?), (first.clone(), first.clone()));
    assert_eq!(repo.reset(&first)?, first);
    assert_eq!(served("main")?, first);
    repo.delete_ref("refs/heads/feature")?;
    assert!(served("feature").is_err());
    assert_eq!(git_in(repo.bare_path(), &["ls-tree", "-r", "--name-only", "main"])?, "a\nb/c");
    Ok(())
}

#[test]
fn ssh_lets_in_the_key_it_knows_and_shows_its_host_key() -> Result<()> {
    let server = SshServer::start()?;
    let repo = GitRepo::create()?;
    repo.commit(&[("a", "1")], "One")?;
    let url = server.url(repo.bare_path());
    let command = |key: &Path, known: &Path| {
        format!(
            "core.sshCommand=ssh -F /dev/null -o BatchMode=yes -o IdentitiesOnly=yes -o StrictHostKeyChecking=yes -i {} -o UserKnownHostsFile={}",
            key.display(),
            known.display()
        )
    };
    let (key, known) = (server.key_path(), server.known_hosts_path());
    cloned(&url, &["-c", &command(&key, &known)])?;
    let stranger = server.strange_key()?;
    assert!(cloned(&url, &["-c", &command(&stranger, &known)]).is_err(), "a stranger was let in");
    let wrong = server.wrong_known_hosts()?;
    let refused =
        cloned(&url, &["-c", &command(&key, &wrong)]).err().context("the wrong host was trusted")?;
    assert!(refused.to_string().contains("Host key verification failed"), "{refused}");
    Ok(())
}

fn cloned(url: &str, options: &[&str]) -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    let target = folder.path().display().to_string();
    let arguments: Vec<&str> = options.iter().copied().chain(["clone", "--quiet", url, &target]).collect();
    git_in(folder.path(), &arguments)?;
    Ok(folder)
}

fn git_in(folder: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env_remove("GIT_SSL_CAINFO")
        .output()?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

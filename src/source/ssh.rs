//! Git over ssh: the `ssh` program is started, host key checking always on, nothing is ever asked.
//!
//! Key and `known_hosts` go into a folder of their own that only this user can read and that goes away
//! with the connection.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;

use super::SourceError;
use super::limits::{Blocking, Current, Limits};
use super::spec::{Credentials, SshUrl};

/// As much as is kept of what ssh and the server say on the side.
const MAX_SAID: usize = 8 * 1024;

/// A running `ssh` that runs `git-upload-pack` there.
pub(super) struct Process {
    child: Child,
    said: Arc<Mutex<String>>,
    listener: JoinHandle<()>,
    location: String,
    limits: Current,
    /// Holds the key until ssh has read it.
    private: Option<tempfile::TempDir>,
}

/// What gix reads from and writes to.
pub(super) type Pipes = (Blocking<ChildStdout>, Blocking<ChildStdin>);

pub(super) fn start(
    url: &SshUrl,
    location: &str,
    credentials: &Credentials,
    current: &Current,
) -> Result<(Process, Pipes), SourceError> {
    let limits: Limits = current.get();
    let private = tempfile::Builder::new()
        .prefix("trueup-ssh-")
        .permissions(std::fs::Permissions::from_mode(0o700))
        .tempdir()
        .map_err(|error| SourceError::io("create", &std::env::temp_dir(), error))?;
    let mut command = Command::new("ssh");
    command.args(options(private.path(), credentials, limits.after)?);
    if let Some(port) = url.port {
        command.args(["-p", &port.to_string()]);
    }
    if let Some(user) = &url.user {
        command.args(["-l", user]);
    }
    command.args(["--", &url.host, &format!("git-upload-pack {}", quoted(&url.path))]);
    command
        .env("GIT_PROTOCOL", "version=2")
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let _entered = limits.enter();
    let mut child = command.spawn().map_err(|error| SourceError::Invalid {
        location: location.to_owned(),
        cause: format!("cannot start `ssh`: {error}; install the OpenSSH client"),
    })?;
    let (Some(stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(SourceError::Invalid {
            location: location.to_owned(),
            cause: "`ssh` was started without pipes".into(),
        });
    };
    let said = Arc::new(Mutex::new(String::new()));
    let listener = tokio::spawn(listen(stderr, said.clone()));
    let pipes = (Blocking::new(stdout, current.clone()), Blocking::new(stdin, current.clone()));
    let process = Process {
        child,
        said,
        listener,
        location: location.to_owned(),
        limits: current.clone(),
        private: Some(private),
    };
    Ok((process, pipes))
}

async fn listen(stderr: tokio::process::ChildStderr, said: Arc<Mutex<String>>) {
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.len() + line.len() < MAX_SAID {
            said.push_str(line.trim());
            said.push('\n');
        }
    }
}

fn options(private: &Path, credentials: &Credentials, bound: Duration) -> Result<Vec<String>, SourceError> {
    let seconds = bound.as_secs().clamp(1, 20);
    let mut options: Vec<String> = [
        "BatchMode=yes".to_owned(),
        "StrictHostKeyChecking=yes".into(),
        "SendEnv=GIT_PROTOCOL".into(),
        format!("ConnectTimeout={seconds}"),
        "ServerAliveInterval=15".into(),
        "ServerAliveCountMax=3".into(),
        "ForwardAgent=no".into(),
        "ForwardX11=no".into(),
        "ClearAllForwardings=yes".into(),
        "PermitLocalCommand=no".into(),
        "ControlMaster=no".into(),
        "ControlPath=none".into(),
        "UpdateHostKeys=no".into(),
    ]
    .into_iter()
    .flat_map(|option| ["-o".to_owned(), option])
    .collect();
    if let Some(key) = &credentials.ssh_key {
        // ssh insists on the newline at the end that secrets often lose.
        let text = format!("{}\n", key.expose().trim_end());
        let path = write_private(private, "key", &text)?;
        options.extend(["-i".into(), path.display().to_string(), "-o".into(), "IdentitiesOnly=yes".into()]);
    }
    if let Some(known_hosts) = &credentials.known_hosts {
        let path = write_private(private, "known_hosts", &format!("{}\n", known_hosts.trim_end()))?;
        options.extend(["-o".into(), format!("UserKnownHostsFile={}", path.display())]);
        options.extend(["-o".into(), "GlobalKnownHostsFile=/dev/null".into()]);
    }
    Ok(options)
}

fn write_private(folder: &Path, name: &str, text: &str) -> Result<PathBuf, SourceError> {
    let path = folder.join(name);
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written.map(|()| path.clone()).map_err(|error| SourceError::io("write", &path, error))
}

/// `text` as one word for the shell at the other end.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''").replace('!', r"'\!'"))
}

impl Process {
    /// Removes the key. ssh has read it once the server has answered.
    pub(super) fn forget_key(&mut self) {
        self.private = None;
    }

    /// What ended the conversation, by what ssh said. Waits for ssh, which has been left by gix.
    pub(super) fn explain(&mut self) -> Option<SourceError> {
        let Self { child, listener, limits, .. } = self;
        // The other side is silent or gone; a moment is enough to hear why.
        let _ = limits.get().wait(tokio::time::timeout(Duration::from_secs(2), async {
            let _ = child.wait().await;
            let _ = listener.await;
        }));
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner).clone();
        classify(&self.location, &said)
    }
}

/// The error that ssh's or the server's words stand for.
fn classify(location: &str, said: &str) -> Option<SourceError> {
    let location = location.to_owned();
    let has = |text: &str| said.contains(text);
    if has("REMOTE HOST IDENTIFICATION HAS CHANGED") || has("Host key for") && has("has changed") {
        let cause = "it is not the one in known_hosts (the host was set up anew, or somebody is in between)";
        return Some(SourceError::HostKey { location, cause: cause.into() });
    }
    if has("Host key verification failed") || has("host key is known") {
        return Some(SourceError::HostKey { location, cause: "known_hosts does not have it".into() });
    }
    if has("Permission denied (")
        || has("Too many authentication failures")
        || has("invalid format") && has("key")
    {
        return Some(SourceError::Authentication { location, cause: last_line(said) });
    }
    if has("does not appear to be a git repository")
        || has("Repository not found")
        || has("No such file or directory")
    {
        return Some(SourceError::NotFound { location, cause: last_line(said) });
    }
    if has("Connection refused")
        || has("Could not resolve hostname")
        || has("timed out")
        || has("No route to host")
        || has("Connection closed by")
        || has("Connection reset by")
        || has("Network is unreachable")
        || has("not responding")
    {
        return Some(SourceError::Unreachable { location, cause: last_line(said) });
    }
    None
}

/// The line that says most: the last that is not only about the aftermath.
fn last_line(said: &str) -> String {
    let aftermath =
        ["fatal: Could not read from remote", "Please make sure you have", "and the repository exists"];
    said.lines()
        .rev()
        .find(|line| !line.is_empty() && !aftermath.iter().any(|start| line.starts_with(start)))
        .unwrap_or("no reason given")
        .to_owned()
}

impl Drop for Process {
    fn drop(&mut self) {
        // ssh is killed by `kill_on_drop`; the runtime collects it.
        let _: io::Result<()> = self.child.start_kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::ErrorClass;

    #[test]
    fn what_ssh_says_becomes_the_kind_of_error_and_its_telling_line() {
        let aftermath = "fatal: Could not read from remote repository.\n\nPlease make sure you have the correct access rights\nand the repository exists.\n";
        for (said, class, line) in [
            (
                "ssh: Could not resolve hostname nowhere: Name or service not known\r\n",
                ErrorClass::Unreachable,
                "nowhere",
            ),
            ("ssh: connect to host h port 22: Connection timed out\n", ErrorClass::Unreachable, "timed out"),
            ("ERROR: Repository not found.\n", ErrorClass::NotFound, "Repository not found"),
            ("fatal: '/x' does not appear to be a git repository\n", ErrorClass::NotFound, "'/x'"),
            ("git@h: Permission denied (publickey).\n", ErrorClass::Authentication, "publickey"),
            (
                "Load key \"k\": invalid format\ngit@h: Permission denied (publickey).\n",
                ErrorClass::Authentication,
                "publickey",
            ),
            (
                "No ED25519 host key is known for h and you have requested strict checking.\nHost key verification failed.\n",
                ErrorClass::HostKey,
                "does not have it",
            ),
            (
                "@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\nHost key verification failed.\n",
                ErrorClass::HostKey,
                "not the one",
            ),
        ] {
            let error = classify("ssh://h/x", &format!("{said}{aftermath}")).unwrap();
            assert_eq!(error.class(), class, "{said}");
            assert!(error.to_string().contains(line), "{said}: {error}");
        }
        assert!(classify("ssh://h/x", "Welcome!\n").is_none());
    }

    #[test]
    fn a_path_is_one_word_for_the_other_shell() {
        assert_eq!(quoted("/srv/a b"), "'/srv/a b'");
        assert_eq!(quoted("x'; rm -rf /; '"), r"'x'\''; rm -rf /; '\'''");
    }
}

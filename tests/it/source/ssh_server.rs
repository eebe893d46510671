//! A real `sshd` on a free port, with keys of its own.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running sshd that lets one key in.
pub(crate) struct SshServer {
    folder: tempfile::TempDir,
    port: u16,
    child: Child,
}

impl SshServer {
    /// Starts it, or says why this machine cannot.
    pub(crate) fn start() -> Option<Self> {
        let Some(sshd) =
            ["/usr/sbin/sshd", "/usr/bin/sshd"].into_iter().find(|path| Path::new(path).exists())
        else {
            println!("SKIPPED: there is no sshd here; install openssh-server to test ssh");
            return None;
        };
        // sshd insists on it when it runs as root.
        let _ = std::fs::create_dir_all("/run/sshd");
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        key_pair(&folder.path().join("host"));
        key_pair(&folder.path().join("client"));
        let child = spawn(sshd, folder.path(), port, "host");
        let server = Self { folder, port, child };
        server.wait();
        Some(server)
    }

    /// Comes back with another host key, as a host that was set up anew.
    pub(crate) fn change_host_key(&mut self) {
        self.stop();
        key_pair(&self.folder.path().join("other"));
        self.child = spawn("/usr/sbin/sshd", self.folder.path(), self.port, "other");
        self.wait();
    }

    pub(crate) fn url(&self, path: &Path) -> String {
        let user = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
        format!("ssh://{}@127.0.0.1:{}{}", user.trim(), self.port, path.display())
    }

    pub(crate) fn client_key(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("client")).unwrap()
    }

    /// A key that nobody has let in.
    pub(crate) fn other_key(&self) -> String {
        let path = self.folder.path().join("stranger");
        key_pair(&path);
        std::fs::read_to_string(path).unwrap()
    }

    pub(crate) fn known_hosts(&self) -> String {
        let key = std::fs::read_to_string(self.folder.path().join("host.pub")).unwrap();
        format!("[127.0.0.1]:{} {key}", self.port)
    }

    fn wait(&self) {
        let latest = Instant::now() + Duration::from_secs(10);
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < latest, "sshd does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for SshServer {
    fn drop(&mut self) {
        self.stop();
    }
}

fn key_pair(path: &PathBuf) {
    let status =
        Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path).status().unwrap();
    assert!(status.success());
}

fn spawn(sshd: &str, folder: &Path, port: u16, host_key: &str) -> Child {
    let config = folder.join("sshd_config");
    let at = folder.display();
    let text = format!(
        "ListenAddress 127.0.0.1\nPort {port}\nHostKey {at}/{host_key}\nAuthorizedKeysFile {at}/client.pub\n\
         PidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
         AcceptEnv GIT_PROTOCOL\nLogLevel ERROR\nSetEnv GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0=*\n"
    );
    std::fs::write(&config, text).unwrap();
    Command::new(sshd)
        .args(["-D", "-e", "-f"])
        .arg(config)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

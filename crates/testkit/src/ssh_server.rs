//! A Git server over SSH: OpenSSH's own `sshd`, run as the current user on a loopback port.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::port::Port;
use crate::supervise::{Folder, Supervised};
use crate::wait::wait_until;

/// Where `sshd` is, besides the PATH: users other than root seldom have `/usr/sbin` there.
const PLACES: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/sbin"];

/// A running `sshd` with keys of its own. The field order is the order in which they are dropped.
#[derive(Debug)]
pub struct SshServer {
    process: Supervised,
    port: Port,
    user: String,
    folder: Folder,
}

impl SshServer {
    /// Starts `sshd` with a new host key and one key that it lets in.
    pub fn start() -> Result<Self> {
        let program = program()?;
        let folder = Folder::create("sshd")?;
        let port = Port::claim()?;
        make_key(&folder.path().join("host"))?;
        make_key(&folder.path().join("user"))?;
        fs::copy(folder.path().join("user.pub"), folder.path().join("authorized_keys"))?;
        let host = fs::read_to_string(folder.path().join("host.pub"))?;
        let number = port.number();
        fs::write(folder.path().join("known_hosts"), format!("[127.0.0.1]:{number} {host}"))?;
        let config = folder.path().join("sshd_config");
        fs::write(&config, configuration(folder.path(), number))?;
        // As root, sshd insists on this folder; everyone else neither needs it nor may make it.
        let _ = fs::create_dir_all("/run/sshd");
        let arguments =
            ["-D", "-e", "-f"].map(str::to_owned).into_iter().chain([config.display().to_string()]);
        let process = Supervised::spawn("sshd", &program, &arguments.collect::<Vec<_>>(), folder.path())?;
        let mut server = Self { process, port, user: user()?, folder };
        server.wait()?;
        Ok(server)
    }

    /// The URL of a repository by its absolute path.
    pub fn url(&self, repository: &Path) -> String {
        format!("ssh://{}@127.0.0.1:{}{}", self.user, self.port.number(), repository.display())
    }

    /// How often somebody was let in.
    pub fn logins(&self) -> usize {
        self.process.count_of("Accepted publickey")
    }

    /// The private key that the server lets in.
    pub fn key_path(&self) -> PathBuf {
        self.folder.path().join("user")
    }

    /// A `known_hosts` file with the server's host key.
    pub fn known_hosts_path(&self) -> PathBuf {
        self.folder.path().join("known_hosts")
    }

    /// Makes a key that the server does not let in.
    pub fn strange_key(&self) -> Result<PathBuf> {
        let path = self.folder.path().join("stranger");
        if !path.exists() {
            make_key(&path)?;
        }
        Ok(path)
    }

    /// Writes a `known_hosts` file in which the server has another host key, as after an attack.
    pub fn wrong_known_hosts(&self) -> Result<PathBuf> {
        let stranger = self.strange_key()?.with_extension("pub");
        let path = self.folder.path().join("wrong_known_hosts");
        let key = fs::read_to_string(stranger)?;
        fs::write(&path, format!("[127.0.0.1]:{} {key}", self.port.number()))?;
        Ok(path)
    }

    fn wait(&mut self) -> Result<()> {
        let address = (Ipv4Addr::LOCALHOST, self.port.number());
        let served = wait_until("sshd listens", Duration::from_secs(10), || {
            Ok(TcpStream::connect(address).is_ok().then_some(()))
        });
        served.with_context(|| format!("sshd did not start:\n{}", self.process.last_words()))
    }
}

fn program() -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(PLACES.map(PathBuf::from));
    // sshd runs itself anew for each connection and wants its absolute path for that.
    let found = places.map(|place| place.join("sshd")).find(|file| file.is_absolute() && file.is_file());
    found.context("there is no sshd: apt-get install openssh-server")
}

fn make_key(path: &Path) -> Result<()> {
    let output = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "testkit", "-f"])
        .arg(path)
        .output()
        .context("cannot run ssh-keygen: apt-get install openssh-client")?;
    if !output.status.success() {
        bail!("ssh-keygen: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

fn user() -> Result<String> {
    let output = Command::new("id").arg("-un").output().context("cannot run id")?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

fn configuration(folder: &Path, port: u16) -> String {
    let folder = folder.display();
    format!(
        "ListenAddress 127.0.0.1:{port}\n\
         HostKey {folder}/host\n\
         AuthorizedKeysFile {folder}/authorized_keys\n\
         PidFile none\n\
         StrictModes no\n\
         UsePAM no\n\
         PermitRootLogin prohibit-password\n\
         PasswordAuthentication no\n\
         KbdInteractiveAuthentication no\n\
         AcceptEnv GIT_PROTOCOL\n\
         PrintMotd no\n"
    )
}

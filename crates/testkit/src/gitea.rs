//! A forge: Gitea, built from its Go module and run on a loopback port.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::port::Port;
use crate::supervise::{Folder, Supervised};
use crate::wait::wait_until;

const BUILD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/gitea/build.sh");
const PASSWORD: &str = "open sesame";
const STARTS: Duration = Duration::from_mins(1);

/// A running forge, with a user who may do everything. The field order is the order in which they are dropped.
#[derive(Debug)]
pub struct Gitea {
    process: Supervised,
    port: Port,
    token: String,
    _folder: Folder,
}

impl Gitea {
    /// The user's name.
    pub const USER: &str = "ann";

    /// Starts a forge without repositories, which delivers to addresses of this machine; the first time it is built, which takes minutes.
    pub fn start() -> Result<Self> {
        let served = served()?;
        let folder = Folder::create("gitea")?;
        let port = Port::claim()?;
        let settings = folder.path().join("app.ini");
        fs::write(&settings, configuration(&served, folder.path(), port.number()))?;
        let program = served.join("gitea");
        let run = |arguments: &[&str]| -> Result<String> {
            let output = Command::new(&program).arg("--config").arg(&settings).args(arguments).output();
            let output = output.with_context(|| format!("cannot run {}", program.display()))?;
            let printed = String::from_utf8_lossy(&output.stdout).into_owned();
            if !output.status.success() {
                bail!("gitea {}: {printed}{}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
            }
            Ok(printed)
        };
        run(&["migrate"])?;
        let (name, email) = (Self::USER, "ann@example.com");
        let person = ["--username", name, "--password", PASSWORD, "--email", email];
        let free = ["--admin", "--must-change-password=false"];
        run(&[&["admin", "user", "create"][..], &person, &free].concat())?;
        let token =
            ["admin", "user", "generate-access-token", "--username", name, "--scopes", "all", "--raw"];
        let printed = run(&token)?;
        let token = printed.lines().next_back().unwrap_or_default().trim().to_owned();
        let arguments = ["--config".to_owned(), settings.display().to_string(), "web".to_owned()];
        let process = Supervised::spawn("gitea", &program, &arguments, folder.path())?;
        let mut forge = Self { process, port, token, _folder: folder };
        forge.wait()?;
        Ok(forge)
    }

    /// Where it is reached, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port.number())
    }

    /// A token of the user, for its API and as a password for Git.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The URL of a repository of the user's, with what Git needs to push to it.
    pub fn push_url(&self, repository: &str) -> String {
        let name = Self::USER;
        format!("http://{name}:{}@127.0.0.1:{}/{name}/{repository}.git", self.token, self.port.number())
    }

    /// Kills it; nobody listens where it was.
    pub fn stop(&mut self) {
        self.process.stop();
    }

    /// Starts it again after [`stop`](Self::stop), with all that it had.
    pub fn start_again(&mut self) -> Result<()> {
        self.process.revive()?;
        self.wait()
    }

    fn wait(&mut self) -> Result<()> {
        let address = (Ipv4Addr::LOCALHOST, self.port.number());
        let process = &mut self.process;
        let served = wait_until("Gitea listens", STARTS, || {
            if let Some(status) = process.ended()? {
                bail!("it ended: {status}");
            }
            Ok(TcpStream::connect(address).is_ok().then_some(()))
        });
        served.with_context(|| format!("Gitea did not start:\n{}", self.process.last_words()))
    }
}

/// As small as it goes: a database in a file, no mail, no jobs of its own, nothing from elsewhere; and pages of two, so that there are many.
fn configuration(served: &Path, home: &Path, port: u16) -> String {
    let (served, home) = (served.display(), home.display());
    // Gitea refuses to be root without the third line.
    format!(
        "RUN_MODE = prod
WORK_PATH = {home}
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true
[server]
HTTP_ADDR = 127.0.0.1
HTTP_PORT = {port}
ROOT_URL = http://127.0.0.1:{port}/
STATIC_ROOT_PATH = {served}
DISABLE_SSH = true
OFFLINE_MODE = true
[database]
DB_TYPE = sqlite3
PATH = {home}/gitea.db
[security]
INSTALL_LOCK = true
SECRET_KEY = of the tests
[webhook]
ALLOWED_HOST_LIST = loopback
[cron]
ENABLED = false
[api]
MAX_RESPONSE_ITEMS = 2
[log]
LEVEL = Warn
"
    )
}

/// The folder with the program and the files that it reads.
fn served() -> Result<PathBuf> {
    let built = Command::new(BUILD).stderr(Stdio::inherit()).output();
    let built = built.with_context(|| format!("cannot run {BUILD}"))?;
    if !built.status.success() {
        bail!(
            "Gitea could not be built: it takes Go 1.26 or later (https://go.dev/doc/install) and a C compiler"
        );
    }
    Ok(Path::new(String::from_utf8(built.stdout)?.trim()).to_owned())
}

//! A PostgreSQL server: Debian's own, on a loopback port, with a database for whoever asks, which can go away and come back.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::certificates::Authority;
use crate::port::Port;
use crate::supervise::{Folder, Supervised};
use crate::wait::wait_until;

/// Where Debian has the programs of each version.
const VERSIONS: &str = "/usr/lib/postgresql";
/// The user that the server runs as where the tests run as root, which it refuses to be.
const USER: &str = "postgres";
/// The password that it asks for; with letters that a URL cannot have as they are.
const PASSWORD: &str = "p@ss/w:rd";
const STARTS: Duration = Duration::from_secs(30);

/// A running server. The field order is the order in which they are dropped.
#[derive(Debug)]
pub struct Postgres {
    process: Supervised,
    port: Port,
    programs: PathBuf,
    folder: Folder,
}

impl Postgres {
    /// Starts a server with an empty data folder. It speaks TLS, by a certificate of its own authority, with who asks for it.
    pub fn start() -> Result<Self> {
        let programs = programs()?;
        let folder = Folder::create("postgres")?;
        let port = Port::claim()?;
        let home = folder.path();
        fs::write(home.join("password"), PASSWORD)?;
        let authority = Authority::new()?;
        let server = authority.loopback()?;
        fs::write(home.join("authority.crt"), authority.certificate())?;
        fs::write(home.join("server.crt"), &server.certificate)?;
        fs::write(home.join("server.key"), &server.key)?;
        Command::new("chmod").arg("600").arg(home.join("server.key")).status()?;
        if is_root()? {
            let owner = Command::new("chown").arg("-R").arg(USER).arg(home).status()?;
            anyhow::ensure!(owner.success(), "{} cannot be given to the user {USER}", home.display());
        }
        let file = home.join("password").display().to_string();
        let data = home.join("data").display().to_string();
        let init =
            ["-D", &data, "-U", "trueup", "--auth=scram-sha-256", "--no-sync", "-E", "UTF8", "--locale=C"];
        let (program, arguments) = as_user(&programs.join("initdb"), &init)?;
        let output = Command::new(program)
            .args(arguments)
            .arg(format!("--pwfile={file}"))
            .current_dir(home)
            .output()
            .context("cannot run initdb")?;
        if !output.status.success() {
            bail!("initdb: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let number = port.number().to_string();
        let sockets = format!("unix_socket_directories={}", home.display());
        let (certificate, key) = (home.join("server.crt"), home.join("server.key"));
        let certificate = format!("ssl_cert_file={}", certificate.display());
        let key = format!("ssl_key_file={}", key.display());
        let serve = [
            "-D",
            &data,
            "-p",
            &number,
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            &sockets,
            "-c",
            "fsync=off",
            "-c",
            "ssl=on",
            "-c",
            &certificate,
            "-c",
            &key,
            "-c",
            "log_connections=on",
        ];
        let (program, arguments) = as_user(&programs.join("postgres"), &serve)?;
        let process = Supervised::spawn("postgres", &program, &arguments, home)?;
        let postgres = Self { process, port, programs, folder };
        postgres.wait()?;
        Ok(postgres)
    }

    /// Makes a database; gives its URL, with the password.
    pub fn database(&self, name: &str) -> Result<String> {
        self.ask("postgres", &format!("CREATE DATABASE \"{name}\""))?;
        let password = PASSWORD.replace('@', "%40").replace('/', "%2F").replace(':', "%3A");
        Ok(format!("postgres://trueup:{password}@127.0.0.1:{}/{name}", self.port.number()))
    }

    /// The password in the URLs, as it is meant.
    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    /// The certificate of the authority that the server's own is of.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("authority.crt")
    }

    /// What a database answers: a line a row, columns with `|` between them.
    pub fn ask(&self, database: &str, statement: &str) -> Result<String> {
        let output = Command::new(self.programs.join("psql"))
            .args([
                "-X",
                "-A",
                "-t",
                "-v",
                "ON_ERROR_STOP=1",
                "-h",
                "127.0.0.1",
                "-U",
                "trueup",
                "-d",
                database,
            ])
            .args(["-p", &self.port.number().to_string(), "-c", statement])
            .env("PGPASSWORD", PASSWORD)
            .output()
            .context("cannot run psql")?;
        if !output.status.success() {
            bail!("psql: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
    }

    /// Ends it as a crash would, with all that it was about to do.
    pub fn kill(&mut self) -> Result<()> {
        // The lock file names the first one. The processes of connections notice its end by themselves, but answer until then.
        let lock = self.folder.path().join("data/postmaster.pid");
        let process = fs::read_to_string(&lock).with_context(|| lock.display().to_string())?;
        let number = process.lines().next().unwrap_or_default();
        let children =
            Command::new("ps").args(["-o", "pid=", "--ppid", number]).output().context("cannot run ps")?;
        let children = String::from_utf8(children.stdout)?;
        // One that ended meanwhile cannot be killed any more.
        Command::new("kill").args(["-KILL", number]).args(children.split_whitespace()).output()?;
        self.process.stop();
        Ok(())
    }

    /// Starts it again at its address with what it had.
    pub fn revive(&mut self) -> Result<()> {
        // Those of the killed one hold its memory for a moment longer.
        wait_until("postgres starts again", STARTS, || {
            self.process.revive()?;
            std::thread::sleep(Duration::from_millis(200));
            Ok((self.process.ended()?.is_none() && self.ask("postgres", "SELECT 1").is_ok()).then_some(()))
        })
        .with_context(|| self.process.last_words())
    }

    /// How many lines of its log have a text.
    pub fn logged(&self, text: &str) -> usize {
        self.process.count_of(text)
    }

    fn wait(&self) -> Result<()> {
        wait_until("postgres answers", STARTS, || Ok(self.ask("postgres", "SELECT 1").ok()))
            .map(drop)
            .with_context(|| self.process.last_words())
    }
}

/// The folder with the programs of the newest version.
fn programs() -> Result<PathBuf> {
    let versions = fs::read_dir(VERSIONS).into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| {
            let programs = entry.path().join("bin");
            let version = entry.file_name().to_str()?.parse().ok()?;
            programs.join("postgres").is_file().then_some((version, programs))
        })
        .collect();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let elsewhere = std::env::split_paths(&path).filter(|place| place.join("postgres").is_file());
    found.extend(elsewhere.map(|place| (0, place)));
    let newest = found.into_iter().max().map(|(_, programs)| programs);
    newest.context("there is no PostgreSQL server: apt-get install postgresql")
}

/// A program as it is to be run: root runs it as another user.
fn as_user(program: &Path, arguments: &[&str]) -> Result<(PathBuf, Vec<String>)> {
    let arguments = arguments.iter().map(|&one| one.to_owned());
    if !is_root()? {
        return Ok((program.to_owned(), arguments.collect()));
    }
    let options = [format!("--reuid={USER}"), format!("--regid={USER}"), "--clear-groups".to_owned()];
    let program = program.display().to_string();
    Ok((PathBuf::from("setpriv"), options.into_iter().chain([program]).chain(arguments).collect()))
}

fn is_root() -> Result<bool> {
    Ok(fs::metadata("/proc/self").context("/proc")?.uid() == 0)
}

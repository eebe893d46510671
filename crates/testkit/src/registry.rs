//! An OCI registry: the distribution project's own, built from its Go module and run on a loopback port.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::certificates::Authority;
use crate::git_server::Transport;
use crate::port::Port;
use crate::supervise::{Folder, Supervised};
use crate::wait::wait_until;

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/registry");
const BUILD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../oracle/build.sh");

/// Who may use a [`Registry`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegistryAccess {
    /// Everyone.
    Anyone,
    /// Who gives the user and password by basic authentication.
    Basic,
    /// Who has a token, which a server beside it gives to who gives the user and password.
    Token,
}

/// A running registry. The field order is the order in which they are dropped.
#[derive(Debug)]
pub struct Registry {
    process: Supervised,
    port: Port,
    _tokens: Port,
    authority: Option<String>,
    _folder: Folder,
}

impl Registry {
    /// The user that is let in.
    pub const USER: &str = "reader";
    /// The user's password.
    pub const PASSWORD: &str = "open sesame";

    /// Starts an empty registry; the first time it is built, which takes minutes.
    pub fn start(access: RegistryAccess, transport: Transport) -> Result<Self> {
        let program = program()?;
        let folder = Folder::create("registry")?;
        let (port, tokens) = (Port::claim()?, Port::claim()?);
        let authority = match transport {
            Transport::Plain => None,
            Transport::Tls => {
                let authority = Authority::new()?;
                let identity = authority.loopback()?;
                fs::write(folder.path().join("tls.crt"), identity.certificate)?;
                fs::write(folder.path().join("tls.key"), identity.key)?;
                Some(authority.certificate().to_owned())
            }
        };
        let access = match access {
            RegistryAccess::Anyone => "anyone",
            RegistryAccess::Basic => "basic",
            RegistryAccess::Token => "token",
        };
        let arguments = [
            folder.path().display().to_string(),
            format!("127.0.0.1:{}", port.number()),
            access.to_owned(),
            format!("127.0.0.1:{}", tokens.number()),
            Self::USER.to_owned(),
            Self::PASSWORD.to_owned(),
        ];
        let process = Supervised::spawn("registry", &program, &arguments, folder.path())?;
        let mut registry = Self { process, port, _tokens: tokens, authority, _folder: folder };
        registry.wait()?;
        Ok(registry)
    }

    /// The host with its port, as it stands in a reference.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port.number())
    }

    /// The URL of its API.
    pub fn url(&self) -> String {
        let scheme = if self.authority.is_some() { "https" } else { "http" };
        format!("{scheme}://{}/v2", self.host())
    }

    /// The certificate to trust, PEM, where the registry speaks TLS.
    pub fn authority(&self) -> Option<&str> {
        self.authority.as_deref()
    }

    fn wait(&mut self) -> Result<()> {
        let address = (Ipv4Addr::LOCALHOST, self.port.number());
        let process = &mut self.process;
        let served = wait_until("the registry listens", Duration::from_mins(1), || {
            if let Some(status) = process.ended()? {
                bail!("it ended: {status}");
            }
            Ok(TcpStream::connect(address).is_ok().then_some(()))
        });
        served.with_context(|| format!("the registry did not start:\n{}", self.process.last_words()))
    }
}

fn program() -> Result<PathBuf> {
    let built = Command::new(BUILD).arg(SOURCES).stderr(Stdio::inherit()).output();
    let built = built.with_context(|| format!("cannot run {BUILD}"))?;
    if !built.status.success() {
        bail!("the registry is built with Go 1.26 or later, see https://go.dev/doc/install");
    }
    Ok(Path::new(String::from_utf8(built.stdout)?.trim()).to_owned())
}

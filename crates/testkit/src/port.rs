//! Loopback ports that stay ours while a server is stopped and started again.
//!
//! Asking the kernel for a free port and giving it back is a race with every other test and with outgoing connections, and a
//! server that is to come back on its port loses it while it is down. So ports are taken from below the kernel's ephemeral
//! range, and each is claimed by a lock on a file that ends with the process.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::process;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::wait::wait_until;

const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;
/// How long a process that is started may take until it runs its own program.
const STARTING: Duration = Duration::from_secs(5);

/// A claimed TCP port on 127.0.0.1; free for others when dropped.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _claim: File,
}

impl Port {
    /// Claims a port that nobody listens on.
    pub fn claim() -> Result<Self> {
        let owner = std::env::var("USER").unwrap_or_default();
        let folder = std::env::temp_dir().join(format!("trueup-testkit-ports-{owner}"));
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let start = process::id() % u32::from(COUNT);
        for step in 0..u32::from(COUNT) {
            let offset = u16::try_from((start + step * 7) % u32::from(COUNT))?;
            let number = FIRST + offset;
            let file = File::create(folder.join(number.to_string()))
                .with_context(|| format!("cannot claim a port in {}", folder.display()))?;
            if file.try_lock().is_ok() && is_free(number) {
                return Ok(Self { number, _claim: file });
            }
        }
        bail!("every port from {FIRST} to {} is taken", FIRST + COUNT - 1)
    }

    /// The port's number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// Listens on it. Whoever was started while the port was tried, or while a server ended on it, holds the socket until it runs
    /// its own program: that is waited for.
    pub fn listen(&self) -> Result<TcpListener> {
        let number = self.number;
        let listens = wait_until(&format!("port {number} is free"), STARTING, || {
            match TcpListener::bind((Ipv4Addr::LOCALHOST, number)) {
                Err(error) if error.kind() == ErrorKind::AddrInUse => Ok(None),
                listener => Ok(Some(listener?)),
            }
        });
        listens.with_context(|| format!("cannot listen on port {number}"))
    }
}

/// Whether a server could listen on the port now.
pub(crate) fn is_free(number: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok()
}

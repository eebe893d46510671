//! What speaks TLS before a server that does not, as an Ingress does.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Result;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::certificates::Authority;
use crate::port::Port;

/// How long one side is listened to before the other one gets its turn.
const TURN: Duration = Duration::from_millis(5);

/// A front on a loopback port that hands what comes through TLS to a server behind it; it ends with the value.
#[derive(Debug)]
pub struct TlsFront {
    port: Port,
    authority: String,
    stop: Arc<AtomicBool>,
    listening: Option<JoinHandle<()>>,
}

impl TlsFront {
    /// Stands before the server at `behind`, `127.0.0.1:8321` for instance, with a certificate of an authority made for it.
    pub fn start(behind: &str) -> Result<Self> {
        let authority = Authority::new()?;
        let config = authority.loopback()?.server_config()?;
        let (port, stop) = (Port::claim()?, Arc::new(AtomicBool::new(false)));
        let listener = port.listen()?;
        let (behind, over) = (behind.to_owned(), Arc::clone(&stop));
        let listening = thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let (behind, config, over) = (behind.clone(), Arc::clone(&config), Arc::clone(&over));
                // A client that does not trust it, or a server that is away, ends the connection; both sides see that.
                thread::spawn(move || drop(carry(stream, &behind, config, &over)));
            }
        });
        let authority = authority.certificate().to_owned();
        Ok(Self { port, authority, stop, listening: Some(listening) })
    }

    /// Where it is reached.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port.number())
    }

    /// The certificate to trust, PEM.
    pub fn authority(&self) -> &str {
        &self.authority
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // The thread waits for a connection; this one lets it look.
        drop(TcpStream::connect(("127.0.0.1", self.port.number())));
        if let Some(listening) = self.listening.take() {
            let _ = listening.join();
        }
    }
}

/// Carries bytes to and fro until one side ends.
fn carry(front: TcpStream, behind: &str, config: Arc<ServerConfig>, over: &AtomicBool) -> Result<()> {
    let mut server = TcpStream::connect(behind)?;
    for socket in [&front, &server] {
        socket.set_read_timeout(Some(TURN))?;
        socket.set_nodelay(true)?;
    }
    let mut client = StreamOwned::new(ServerConnection::new(config)?, front);
    let mut buffer = [0; 16 * 1024];
    while !over.load(Ordering::SeqCst) {
        if hand_over(&mut client, &mut server, &mut buffer)?
            || hand_over(&mut server, &mut client, &mut buffer)?
        {
            break;
        }
    }
    client.conn.send_close_notify();
    client.conn.write_tls(&mut client.sock)?;
    Ok(())
}

/// Carries what one side has sent so far; true where it ended.
fn hand_over(from: &mut impl Read, to: &mut impl Write, buffer: &mut [u8]) -> Result<bool> {
    match from.read(buffer) {
        Ok(0) => return Ok(true),
        Ok(read) => {
            to.write_all(&buffer[..read])?;
            to.flush()?;
        }
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(false)
}

//! A mutating admission webhook: an HTTPS server that an API server asks before it stores an object.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use crate::certificates::Authority;
use crate::git_http::{Incoming, Outgoing};
use crate::port::Port;

const PATIENCE: Duration = Duration::from_secs(30);

/// Says by the path that was asked (`/` unless a configuration adds to the address) and by an object that is to be stored which
/// JSON patch (RFC 6902) is made of it.
type Change = dyn Fn(&str, &Value) -> Value + Send + Sync;

/// A running webhook; it ends with the value. While it is registered and not running, what it is asked about is refused.
pub struct AdmissionWebhook {
    port: Port,
    authority: String,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl AdmissionWebhook {
    /// Starts a webhook that changes objects as `change` says.
    pub fn start(change: impl Fn(&str, &Value) -> Value + Send + Sync + 'static) -> Result<Self> {
        let authority = Authority::new()?;
        let config = authority.loopback()?.server_config()?;
        let port = Port::claim()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port.number()))
            .with_context(|| format!("cannot listen on port {}", port.number()))?;
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, change) = (Arc::clone(&stop), Arc::new(change));
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let (config, change) = (Arc::clone(&config), Arc::clone(&change));
                // An API server that goes away gets no answer; the test sees it there.
                thread::spawn(move || drop(answer(stream, config, &*change)));
            }
        });
        Ok(Self { port, authority: authority.certificate().to_owned(), stop, thread: Some(thread) })
    }

    /// How an API server reaches the webhook: the `clientConfig` of a webhook configuration.
    pub fn client_config(&self) -> Value {
        json!({"url": format!("https://127.0.0.1:{}/", self.port.number()), "caBundle": BASE64_STANDARD.encode(&self.authority)})
    }
}

impl Drop for AdmissionWebhook {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // The thread waits for a connection; this one lets it look at `stop`.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port.number())));
        if let Some(thread) = self.thread.take() {
            // It has nothing to tell, not even of a panic.
            let _ = thread.join();
        }
    }
}

fn answer(stream: TcpStream, config: Arc<ServerConfig>, change: &Change) -> Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut connection = StreamOwned::new(ServerConnection::new(config)?, stream);
    if let Some(request) = Incoming::read(&mut connection)? {
        let review: Value = serde_json::from_slice(&request.body).context("a review is JSON")?;
        let patch = change(&request.path, &review["request"]["object"]).to_string();
        let response = json!({"uid": review["request"]["uid"], "allowed": true, "patchType": "JSONPatch",
            "patch": BASE64_STANDARD.encode(patch)});
        let review =
            json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response});
        let headers = [("Content-Type", "application/json")];
        Outgoing::text(200, &headers, &review.to_string()).write(&mut connection)?;
    }
    connection.conn.send_close_notify();
    connection.conn.write_tls(&mut connection.sock)?;
    Ok(())
}

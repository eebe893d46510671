//! Webhooks: HTTPS servers that an API server asks before it stores an object (admission), and where it wants one in another
//! version of its kind (conversion).

use std::net::{Ipv4Addr, TcpStream};
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

/// Answers a review that came to a path.
type Respond = dyn Fn(&str, &Value) -> Value + Send + Sync;

/// A running webhook that changes objects; it ends with the value. While it is registered and not running, what it is asked about
/// is refused.
pub struct AdmissionWebhook(Webhook);

/// A running webhook that gives objects in other versions; it ends with the value.
pub struct ConversionWebhook(Webhook);

struct Webhook {
    port: Port,
    authority: String,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl AdmissionWebhook {
    /// Starts a webhook that changes objects as `change` says.
    pub fn start(change: impl Fn(&str, &Value) -> Value + Send + Sync + 'static) -> Result<Self> {
        Webhook::start(move |path, review| admitted(path, review, &change)).map(Self)
    }

    /// How an API server reaches the webhook: the `clientConfig` of a webhook configuration.
    pub fn client_config(&self) -> Value {
        self.0.client_config()
    }
}

impl ConversionWebhook {
    /// Starts a webhook that makes of an object one of the API version that is wanted, as `convert` says.
    pub fn start(convert: impl Fn(&Value, &str) -> Value + Send + Sync + 'static) -> Result<Self> {
        Webhook::start(move |_, review| converted(review, &convert)).map(Self)
    }

    /// How an API server reaches the webhook: the `clientConfig` of a definition's conversion.
    pub fn client_config(&self) -> Value {
        self.0.client_config()
    }
}

fn admitted(path: &str, review: &Value, change: &Change) -> Value {
    let changes = change(path, &review["request"]["object"]).to_string();
    let response = json!({"uid": review["request"]["uid"], "allowed": true, "patchType": "JSONPatch",
        "patch": BASE64_STANDARD.encode(changes)});
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})
}

fn converted(review: &Value, convert: &dyn Fn(&Value, &str) -> Value) -> Value {
    let version = review["request"]["desiredAPIVersion"].as_str().unwrap_or_default();
    let objects = review["request"]["objects"].as_array().into_iter().flatten();
    let objects: Vec<Value> = objects.map(|object| convert(object, version)).collect();
    let response = json!({"uid": review["request"]["uid"], "result": {"status": "Success"},
        "convertedObjects": objects});
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview", "response": response})
}

impl Webhook {
    fn start(respond: impl Fn(&str, &Value) -> Value + Send + Sync + 'static) -> Result<Self> {
        let authority = Authority::new()?;
        let config = authority.loopback()?.server_config()?;
        let port = Port::claim()?;
        let listener = port.listen()?;
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, respond) = (Arc::clone(&stop), Arc::new(respond));
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let (config, respond) = (Arc::clone(&config), Arc::clone(&respond));
                // An API server that goes away gets no answer; the test sees it there.
                thread::spawn(move || drop(answer(stream, config, &*respond)));
            }
        });
        Ok(Self { port, authority: authority.certificate().to_owned(), stop, thread: Some(thread) })
    }

    fn client_config(&self) -> Value {
        json!({"url": format!("https://127.0.0.1:{}/", self.port.number()), "caBundle": BASE64_STANDARD.encode(&self.authority)})
    }
}

impl Drop for Webhook {
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

fn answer(stream: TcpStream, config: Arc<ServerConfig>, respond: &Respond) -> Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut connection = StreamOwned::new(ServerConnection::new(config)?, stream);
    if let Some(request) = Incoming::read(&mut connection)? {
        let review: Value = serde_json::from_slice(&request.body).context("a review is JSON")?;
        let review = respond(&request.path, &review);
        let headers = [("Content-Type", "application/json")];
        Outgoing::text(200, &headers, &review.to_string()).write(&mut connection)?;
    }
    connection.conn.send_close_notify();
    connection.conn.write_tls(&mut connection.sock)?;
    Ok(())
}

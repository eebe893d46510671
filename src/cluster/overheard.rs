//! A client whose answers somebody else hears, too: as they come from the server, watches line by line.
//!
//! Absent: headers and bodies of requests, in which credentials and values of Secrets are.

use axum::body::Bytes;
use futures::FutureExt as _;
use http::Request;
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use std::sync::Arc;

/// Told of each answer.
pub type Ear = dyn Fn(&Heard<'_>) + Send + Sync;

/// What an API server said.
#[derive(Clone, Copy, Debug)]
pub struct Heard<'h> {
    /// The cluster's name in the configuration.
    pub cluster: &'h str,
    /// The request's method.
    pub method: &'h str,
    /// Its path.
    pub path: &'h str,
    /// Its query.
    pub query: &'h str,
    /// The code of the answer.
    pub code: u16,
    /// The whole answer; of a watch one event, or nothing when it begins.
    pub body: &'h [u8],
}

/// What hears one answer as it comes.
struct Listener {
    ear: Arc<Ear>,
    cluster: Arc<str>,
    method: String,
    path: String,
    query: String,
    code: u16,
    is_watch: bool,
    buffer: Vec<u8>,
}

impl Listener {
    fn tell(&self, body: &[u8]) {
        let Self { cluster, method, path, query, code, .. } = self;
        (self.ear)(&Heard { cluster, method, path, query, code: *code, body });
    }

    fn hear(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        if !self.is_watch {
            return;
        }
        while let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.buffer.drain(..=end).collect();
            self.tell(&line);
        }
    }
}

impl Drop for Listener {
    // A body that was read to its end is let go of, and so is one that nobody wanted to read on.
    fn drop(&mut self) {
        if !self.is_watch {
            self.tell(&self.buffer);
        }
    }
}

/// Has somebody hear all that a client is answered.
pub(super) fn overheard(client: Client, cluster: &str, ear: &Arc<Ear>) -> Client {
    let (ear, cluster): (Arc<Ear>, Arc<str>) = (ear.clone(), cluster.into());
    let namespace = client.default_namespace().to_owned();
    let service = tower::service_fn(move |request: Request<Body>| {
        let (client, ear, cluster) = (client.clone(), ear.clone(), cluster.clone());
        async move {
            let query = request.uri().query().unwrap_or_default().to_owned();
            let mut listener = Listener {
                is_watch: query.contains("watch=true"),
                method: request.method().to_string(),
                path: request.uri().path().to_owned(),
                query,
                ear,
                cluster,
                code: 0,
                buffer: Vec::new(),
            };
            let response = client.send(request).await?;
            listener.code = response.status().as_u16();
            if listener.is_watch {
                listener.tell(&[]);
            }
            Ok::<_, kube::Error>(response.map(|body| {
                body.map_frame(move |frame| {
                    if let Some(data) = frame.data_ref() {
                        let data: &Bytes = data;
                        listener.hear(data);
                    }
                    frame
                })
            }))
        }
        .boxed()
    });
    Client::new(service, namespace)
}

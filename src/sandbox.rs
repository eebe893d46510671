//! A Kubernetes API in memory, on a port of this machine, with a kubeconfig that leads to it.

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use std::fs;
use std::path::Path;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use trueup_sandbox::Sandbox;
use trueup_sandbox::serve::Served;

/// A sandbox that is served until this is dropped.
pub struct Running {
    /// What is served.
    pub served: Served,
    _stop: DropGuard,
}

/// Serves an empty sandbox, and says in a kubeconfig where.
pub async fn serve(kubeconfig: &Path) -> Result<Running> {
    let listener = TcpListener::bind("127.0.0.1:0").await.context("a port for the sandbox")?;
    let address = format!("http://{}", listener.local_addr()?);
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: sandbox\n\
         clusters: [{{name: sandbox, cluster: {{server: '{address}'}}}}]\n\
         users: [{{name: sandbox, user: {{}}}}]\n\
         contexts: [{{name: sandbox, context: {{cluster: sandbox, user: sandbox}}}}]\n"
    );
    fs::write(kubeconfig, text).with_context(|| kubeconfig.display().to_string())?;
    let stop = CancellationToken::new();
    let served = Served::new(Sandbox::new(Timestamp::now()));
    tokio::spawn(served.clone().serve(listener, stop.clone().cancelled_owned()));
    Ok(Running { served, _stop: stop.drop_guard() })
}

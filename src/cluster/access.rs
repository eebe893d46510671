//! How to reach an API server.

use super::fence::{Fence, Fenced};
use super::overheard::{Ear, overheard};
use super::rest::Clients;
use anyhow::{Context as _, Result};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kube::Client;
use kube::client::{Body, ConfigExt as _};
use kube::config::{Config, KubeConfigOptions, Kubeconfig, KubeconfigError};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tower::{BoxError, ServiceBuilder};

/// A cluster's name and the way to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Its name in the configuration.
    pub name: String,
    /// The way.
    pub via: Via,
    /// How many requests may be under way at once, at most.
    pub in_flight: Option<NonZeroU32>,
}

/// The way to a cluster.
#[derive(Clone, PartialEq, Eq)]
pub enum Via {
    /// A kubeconfig file: this one, or the one that kubectl would take.
    Kubeconfig {
        /// The file.
        path: Option<PathBuf>,
        /// The context in it; its current one where there is none.
        context: Option<String>,
    },
    /// The text of a kubeconfig.
    KubeconfigText(String),
    /// The service account that trueup runs as.
    InCluster,
}

impl std::fmt::Debug for Via {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Kubeconfig { path, context } => write!(f, "kubeconfig {path:?}, context {context:?}"),
            Self::KubeconfigText(_) => f.write_str("kubeconfig from a Secret"),
            Self::InCluster => f.write_str("in-cluster"),
        }
    }
}

/// Finds a client of the cluster of a name.
pub type Find = dyn Fn(&str) -> Option<Client> + Send + Sync;

/// Where API servers are.
#[derive(Clone, Default)]
pub enum Reach {
    /// Where their accesses say.
    #[default]
    Network,
    /// In this process: asked for a client by the cluster's name.
    Here(Arc<Find>),
    /// Where their accesses say, and somebody hears what they answer.
    Overheard(Arc<Ear>),
}

impl Reach {
    /// Makes clients; asks nobody yet. Where somebody else may write as well, writes have connections of their own.
    pub(super) async fn clients(&self, access: &Access, fence: &Fence) -> Result<Clients> {
        let config = async || config(access).await.with_context(|| format!("Cluster {}", access.name));
        match self {
            Self::Network | Self::Overheard(_) => {
                let reader = self.heard(connect(config().await?, &Fence::open())?, access);
                let writer = if fence.is_open() {
                    reader.clone()
                } else {
                    self.heard(connect(config().await?, fence)?, access)
                };
                Ok(Clients { reader, writer })
            }
            Self::Here(find) => {
                let reader = find(&access.name)
                    .with_context(|| format!("there is no cluster {} here", access.name))?;
                Ok(Clients { writer: reader.clone(), reader })
            }
        }
    }

    fn heard(&self, client: Client, access: &Access) -> Client {
        match self {
            Self::Overheard(ear) => overheard(client, &access.name, ear),
            Self::Network | Self::Here(_) => client,
        }
    }
}

async fn config(access: &Access) -> Result<Config> {
    let mut config = match &access.via {
        Via::Kubeconfig { path, context } => {
            let kubeconfig = match path {
                Some(path) => Kubeconfig::read_from(path)
                    .map_err(in_short)
                    .with_context(|| format!("kubeconfig {}", path.display()))?,
                None => Kubeconfig::read().context("kubeconfig (KUBECONFIG or ~/.kube/config)")?,
            };
            from(kubeconfig, context.clone()).await
        }
        Via::KubeconfigText(text) => {
            from(Kubeconfig::from_yaml(text).context("the kubeconfig in the Secret")?, None).await
        }
        Via::InCluster => Config::incluster().context("trueup does not run in a cluster"),
    }?;
    config.connect_timeout = Some(Duration::from_secs(5));
    // Bounded by each request itself; a watch is silent for minutes.
    config.read_timeout = None;
    config.write_timeout = Some(Duration::from_secs(30));
    // Retries are ours to make and to count, as the server paces them.
    config.default_retry = false;
    Ok(config)
}

// kube's own connector leaves Nagle's algorithm on: the first request of each connection then waits 40 ms for an
// acknowledgement that the server holds back. Ways that need more than a connection (a proxy, certificates from a program)
// stay with kube; there the fence is looked at when a write begins, and not again.
fn connect(config: Config, fence: &Fence) -> Result<Client> {
    if config.proxy_url.is_some() || config.auth_info.exec.is_some() {
        return Ok(Client::try_from(config)?);
    }
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(config.connect_timeout);
    let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .build::<_, Body>(
            config.rustls_https_connector_with_connector(Fenced::new(connector, fence.clone()))?,
        );
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(client);
    Ok(Client::new(service, config.default_namespace))
}

/// kube names the path and the cause a second time.
fn in_short(error: KubeconfigError) -> anyhow::Error {
    match error {
        KubeconfigError::ReadConfig(cause, _) => cause.into(),
        other => other.into(),
    }
}

async fn from(kubeconfig: Kubeconfig, context: Option<String>) -> Result<Config> {
    let options = KubeConfigOptions { context, ..KubeConfigOptions::default() };
    Config::from_custom_kubeconfig(kubeconfig, &options).await.context("kubeconfig")
}

//! How to reach an API server.

use super::overheard::{Ear, overheard};
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
    /// Makes a client; asks nobody yet.
    pub(super) async fn client(&self, access: &Access) -> Result<Client> {
        match self {
            Self::Network => client(access).await,
            Self::Overheard(ear) => Ok(overheard(client(access).await?, &access.name, ear)),
            Self::Here(find) => {
                find(&access.name).with_context(|| format!("there is no cluster {} here", access.name))
            }
        }
    }
}

async fn client(access: &Access) -> Result<Client> {
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
    }
    .with_context(|| format!("Cluster {}", access.name))?;
    config.connect_timeout = Some(Duration::from_secs(5));
    // Bounded by each request itself; a watch is silent for minutes.
    config.read_timeout = None;
    config.write_timeout = Some(Duration::from_secs(30));
    // Retries are ours to make and to count, as the server paces them.
    config.default_retry = false;
    connect(config).with_context(|| format!("Cluster {}", access.name))
}

// kube's own connector leaves Nagle's algorithm on: the first request of each connection then waits 40 ms for an
// acknowledgement that the server holds back. Ways that need more than a connection (a proxy, certificates from a program)
// stay with kube.
fn connect(config: Config) -> Result<Client> {
    if config.proxy_url.is_some() || config.auth_info.exec.is_some() {
        return Ok(Client::try_from(config)?);
    }
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(config.connect_timeout);
    let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .build::<_, Body>(config.rustls_https_connector_with_connector(connector)?);
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

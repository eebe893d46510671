//! The configuration as custom resources of a cluster: written there, and read from there.
//!
//! Enters: where the cluster is, and resources to write. Leaves: the resources of a namespace. What they mean is for
//! [`crate::config`].

use super::topology::connect;
use crate::cluster::{Access, Apply, Catalog, Cluster, Force, Mode, Query, Via};
use crate::config::{API_VERSION, Kind};
use anyhow::{Context as _, Result, anyhow, bail};
use std::path::PathBuf;
use std::sync::Arc;
use trueup_model::{ObjectId, Value};

/// The cluster and the namespace that hold a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    /// A kubeconfig file; in a pod without it, the pod's own cluster, and elsewhere the file that kubectl takes.
    pub kubeconfig: Option<PathBuf>,
    /// A context of it.
    pub context: Option<String>,
    /// The namespace.
    pub namespace: String,
}

impl Home {
    /// How the cluster is reached.
    pub(super) fn access(&self) -> Access {
        let in_pod = std::env::var_os("KUBERNETES_SERVICE_HOST").is_some();
        let via = match (&self.kubeconfig, &self.context) {
            (None, None) if in_pod => Via::InCluster,
            (path, context) => Via::Kubeconfig { path: path.clone(), context: context.clone() },
        };
        Access { name: "home".to_owned(), via, in_flight: None }
    }

    async fn open(&self) -> Result<(Cluster, Arc<Catalog>)> {
        let cluster = connect(&self.access()).await?;
        let catalog = cluster.discover().await?;
        let (group, version) = API_VERSION.split_once('/').unwrap_or_default();
        for kind in Kind::ALL {
            if catalog.resource(group, version, kind.as_str()).is_none() {
                bail!(
                    "the cluster does not serve {kind} of {API_VERSION}: `trueup crds | kubectl apply -f -` adds it"
                );
            }
        }
        Ok((cluster, catalog))
    }
}

/// All resources of the namespace, by kind and name.
pub async fn read(home: &Home) -> Result<Vec<Value>> {
    let (cluster, catalog) = home.open().await?;
    let mut all = Vec::new();
    for kind in Kind::ALL {
        let query = Query {
            api_version: API_VERSION.to_owned(),
            kind: kind.as_str().to_owned(),
            namespace: home.namespace.clone(),
            name: String::new(),
        };
        let mut list = cluster.look_up(&catalog, &query).await?.unwrap_or_default();
        let items = list.get_mut("items").and_then(Value::as_array_mut).map(std::mem::take);
        all.extend(items.unwrap_or_default());
    }
    Ok(all)
}

/// Applies resources; gives what was written, as `App web`. One that is refused does not stop the others.
pub async fn write(home: &Home, resources: &[Value], force: Force) -> Result<Vec<String>> {
    let (cluster, _) = home.open().await?;
    let (mut written, mut refused) = (Vec::new(), Vec::new());
    for resource in resources {
        let text = |pointer: &str| resource.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let (kind, name) = (text("/kind"), text("/metadata/name"));
        let id = ObjectId::new("trueup.dev", kind, text("/metadata/namespace"), name);
        let body = serde_json::to_vec(resource).context("a resource as JSON")?;
        let apply = Apply { id: &id, api_version: API_VERSION, body: &body, mode: Mode::Write, force };
        match cluster.apply(&apply).await {
            Ok(_) => written.push(format!("{kind} {name}")),
            Err(error) => refused.push(error.to_string()),
        }
    }
    if refused.is_empty() { Ok(written) } else { Err(anyhow!("{}", refused.join("\n"))) }
}

//! Plays the controllers: Deployments without replicas are as they should be, and say so. Without it all of them would be in the
//! middle of a rollout for good, and whoever applied them would go on asking why.

use std::ops::ControlFlow;
use std::time::Duration;

use anyhow::Result;
use http::{Request, header};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use trueup_testkit::ControlPlane;

use crate::events;

/// How long after the end of a watch the next one begins.
const AGAIN: Duration = Duration::from_millis(500);
const DEPLOYMENTS: &str = "/apis/apps/v1/deployments";

/// Sees to the Deployments of a cluster until it is dropped.
pub(crate) struct Steward {
    _runtime: Runtime,
}

impl Steward {
    pub(crate) fn begin(plane: &ControlPlane) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        // From version 0 on a watch begins with what is there.
        let uri = format!("{DEPLOYMENTS}?watch=true&resourceVersion=0&labelSelector=bench%3Dreconcile");
        let client = plane.api().client();
        runtime.spawn(async move {
            loop {
                let followed = events::follow(&client, &uri, |_, event| {
                    if let Some(request) = settled(event) {
                        let client = client.clone();
                        // One that is gone again needs no status.
                        tokio::spawn(async move { client.send(request).await.map(drop) });
                    }
                    ControlFlow::Continue(())
                });
                // The API server is restarted now and then.
                drop(followed.await);
                tokio::time::sleep(AGAIN).await;
            }
        });
        Ok(Self { _runtime: runtime })
    }
}

/// What makes the status of a Deployment one of its generation, where it is not.
fn settled(event: &Value) -> Option<Request<Body>> {
    let object = &event["object"];
    let (metadata, generation) = (&object["metadata"], &object["metadata"]["generation"]);
    if event["type"] == "DELETED" || *generation == object["status"]["observedGeneration"] {
        return None;
    }
    let status = json!({"status": {"observedGeneration": generation, "conditions": [
        {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"},
        {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
    ]}});
    let (namespace, name) = (metadata["namespace"].as_str()?, metadata["name"].as_str()?);
    Request::patch(format!("/apis/apps/v1/namespaces/{namespace}/deployments/{name}/status"))
        .header(header::USER_AGENT, events::AGENT)
        .header(header::CONTENT_TYPE, "application/merge-patch+json")
        .body(status.to_string().into_bytes().into())
        .ok()
}

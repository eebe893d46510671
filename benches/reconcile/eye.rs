//! Sees changes in the cluster as they happen: a watch a collection, so that looking costs the API server next to nothing.

use std::ops::ControlFlow;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use trueup_testkit::ControlPlane;

use crate::events;
use crate::workload::VERSION;

const PATIENCE: Duration = Duration::from_mins(3);

/// An event: when it came, and what it says.
#[derive(Debug)]
pub(crate) struct Sight {
    pub(crate) at: Instant,
    pub(crate) name: String,
    /// The version that the object has; nothing when it is gone.
    pub(crate) version: Option<String>,
}

/// Watches collections until it is dropped.
pub(crate) struct Eye {
    sights: Receiver<Sight>,
    _runtime: Runtime,
    _watches: Vec<JoinHandle<()>>,
}

impl Eye {
    pub(crate) fn open(plane: &ControlPlane, collections: &[String]) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (sender, sights) = mpsc::channel();
        let mut watches = Vec::new();
        for collection in collections {
            let uri = events::from_now(plane.api(), collection, "bench%3Dreconcile")?;
            let (client, sender) = (plane.api().client(), sender.clone());
            watches.push(runtime.spawn(async move {
                let followed =
                    events::follow(&client, &uri, |at, event| match sender.send(sight(at, event)) {
                        Ok(()) => ControlFlow::Continue(()),
                        Err(_) => ControlFlow::Break(()),
                    });
                if let Err(error) = followed.await {
                    eprintln!("  the watch of {uri} ended: {error:#}");
                }
            }));
        }
        Ok(Self { sights, _runtime: runtime, _watches: watches })
    }

    /// Waits until an object has a version; gives when.
    pub(crate) fn until(&self, name: &str, version: &str) -> Result<Instant> {
        self.until_all(1, |sight| sight.name == name && sight.version.as_deref() == Some(version))
    }

    /// Waits for so many events of a kind; gives when the last of them came.
    pub(crate) fn until_all(&self, count: usize, wanted: impl Fn(&Sight) -> bool) -> Result<Instant> {
        let end = Instant::now() + PATIENCE;
        let mut left = count;
        loop {
            match self.sights.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(sight) if wanted(&sight) => {
                    left -= 1;
                    if left == 0 {
                        return Ok(sight.at);
                    }
                }
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => bail!("{left} of {count} changes did not come"),
                Err(RecvTimeoutError::Disconnected) => bail!("nobody watches any more"),
            }
        }
    }

    /// Forgets what was seen so far.
    pub(crate) fn blink(&self) {
        while self.sights.try_recv().is_ok() {}
    }
}

fn sight(at: Instant, event: &Value) -> Sight {
    let metadata = &event["object"]["metadata"];
    let gone = event["type"] == "DELETED";
    let version = metadata["annotations"][VERSION].as_str().filter(|_| !gone).map(str::to_owned);
    Sight { at, name: metadata["name"].as_str().unwrap_or_default().to_owned(), version }
}

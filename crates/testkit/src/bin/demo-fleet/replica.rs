//! A pod of trueup, played by a process with the pod's arguments and its service account.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};
use serde_json::Value;
use trueup_testkit::{ControlPlane, Port};

use crate::fleet::NAMESPACE;

/// The account that the chart makes.
const ACCOUNT: &str = "trueup";

/// A process that ends with its value.
pub(crate) struct Replica {
    /// The pod's name.
    pub(crate) pod: String,
    port: Port,
    log: PathBuf,
    process: Child,
}

impl Replica {
    /// Starts what a pod is to run. Its files are in `folder`, which is there.
    pub(crate) fn start(trueup: &Path, hub: &ControlPlane, pod: &Value, folder: &Path) -> Result<Self> {
        let name = pod["metadata"]["name"].as_str().context("the pod has no name")?.to_owned();
        let kubeconfig = folder.join(format!("{name}.kubeconfig"));
        let as_pod = hub.api().as_account(hub.kubeconfig(), NAMESPACE, ACCOUNT)?;
        fs::write(&kubeconfig, as_pod.to_string())?;
        let (port, log) = (Port::claim()?, folder.join(format!("{name}.log")));
        let arguments =
            pod["spec"]["containers"][0]["args"].as_array().context("the pod has no arguments")?;
        let mut command = Command::new(trueup);
        // Two pods have an address and a disk each; two processes share them.
        command.args(arguments.iter().filter_map(Value::as_str).map(
            |argument| match argument.split_once('=') {
                Some(("--listen", _)) => format!("--listen=127.0.0.1:{}", port.number()),
                Some(("--state", _)) => format!("--state={}", folder.join(&name).display()),
                _ => argument.to_owned(),
            },
        ));
        command.arg("--kubeconfig").arg(&kubeconfig).env("TRUEUP_NAMESPACE", NAMESPACE);
        let file = File::create(&log)?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let process = command.spawn().with_context(|| format!("cannot start {}", trueup.display()))?;
        Ok(Self { pod: name, port, log, process })
    }

    /// Where it answers.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port.number())
    }

    /// What it logged last.
    pub(crate) fn last_words(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        format!("--- {}\n{}", self.pod, lines[lines.len().saturating_sub(15)..].join("\n"))
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

//! The control plane's programs and how each is told to run.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::control_plane::files::Files;
use crate::control_plane::options::{Audit, Options};

const BUILD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/cluster/build.sh");

pub(crate) const AUDIT_LOG: &str = "audit.log";

/// The folder of the programs, which are built first where the cache has none for this go.sum.
pub(crate) fn folder() -> Result<PathBuf> {
    let output = Command::new(BUILD)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run {BUILD}"))?;
    if !output.status.success() {
        bail!("{BUILD} failed ({}); what it said is above", output.status);
    }
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
}

pub(crate) fn etcd(data: &Path, client_port: u16, peer_port: u16) -> Vec<String> {
    let client = format!("http://127.0.0.1:{client_port}");
    let peer = format!("http://127.0.0.1:{peer_port}");
    vec![
        format!("--data-dir={}", data.display()),
        // A test's data need not survive a power cut; that the process is killed does no harm to them.
        "--unsafe-no-fsync".to_owned(),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
        "--log-level=warn".to_owned(),
    ]
}

pub(crate) fn api_server(files: &Files, port: u16, etcd_port: u16, options: &Options) -> Vec<String> {
    let mut flags = vec![
        format!("--etcd-servers=http://127.0.0.1:{etcd_port}"),
        format!("--secure-port={port}"),
        "--bind-address=127.0.0.1".to_owned(),
        // Without these a machine that has no network but loopback cannot run it.
        "--advertise-address=127.0.0.1".to_owned(),
        "--endpoint-reconciler-type=none".to_owned(),
        format!("--tls-cert-file={}", files.path("apiserver.crt")),
        format!("--tls-private-key-file={}", files.path("apiserver.key")),
        format!("--cert-dir={}", files.path("certificates")),
        format!("--service-account-key-file={}", files.path("service-accounts.pub")),
        format!("--service-account-signing-key-file={}", files.path("service-accounts.key")),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--token-auth-file={}", files.path("tokens.csv")),
        "--authorization-mode=RBAC".to_owned(),
        "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
        "--allow-privileged=true".to_owned(),
        // Pods would wait for the controller manager to make their service account, which an API-only plane never does.
        "--disable-admission-plugins=ServiceAccount".to_owned(),
        "--profiling=false".to_owned(),
    ];
    match options.audit {
        Audit::Off => {}
        Audit::Requests => {
            flags.push(format!("--audit-policy-file={}", files.path("audit-policy.yaml")));
            flags.push(format!("--audit-log-path={}", files.path(AUDIT_LOG)));
            // In MiB. Without it a log of more than a hundred is put aside, and requests before and after are lost to the count.
            flags.push("--audit-log-maxsize=100000".to_owned());
        }
    }
    flags.extend(options.api_server_flags.iter().cloned());
    flags
}

pub(crate) fn controller_manager(files: &Files, kubeconfig: &Path) -> Vec<String> {
    vec![
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--service-account-private-key-file={}", files.path("service-accounts.key")),
        format!("--root-ca-file={}", files.path("ca.crt")),
        "--leader-elect=false".to_owned(),
        "--secure-port=0".to_owned(),
        // There are no metrics of pods to scale by; kwok's stages play the autoscaler's status instead.
        "--controllers=*,-horizontal-pod-autoscaler-controller".to_owned(),
    ]
}

pub(crate) fn scheduler(kubeconfig: &Path) -> Vec<String> {
    vec![
        format!("--kubeconfig={}", kubeconfig.display()),
        "--leader-elect=false".to_owned(),
        "--secure-port=0".to_owned(),
    ]
}

pub(crate) fn kwok(files: &Files, kubeconfig: &Path) -> Vec<String> {
    vec![
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--config={}", files.path("stages.yaml")),
        "--manage-all-nodes=true".to_owned(),
        "--node-lease-duration-seconds=40".to_owned(),
        "--cidr=10.0.0.1/16".to_owned(),
        "--node-ip=10.0.0.1".to_owned(),
        // It would serve exec and logs on a fixed port of every interface; several planes run at once.
        "--node-port=0".to_owned(),
    ]
}

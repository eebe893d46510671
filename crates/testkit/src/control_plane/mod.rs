//! A Kubernetes control plane of its own for a test, a bench or the demo.

mod files;
pub(crate) mod options;
mod programs;

use std::env;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::json;

use crate::api::Api;
use crate::audit::{self, Mark, Request};
use crate::namespace::Namespace;
use crate::port::{self, Port};
use crate::supervise::{Folder, Supervised};
use crate::wait::wait_until;
use files::{ADMINISTRATOR, Files};
use options::{Audit, Components, Options};

/// Names a kubeconfig of a cluster that the user has; [`shared`] then gives that one.
const KUBECONFIG_VARIABLE: &str = "TRUEUP_TEST_KUBECONFIG";

const START: Duration = Duration::from_secs(90);
const NODES: [&str; 2] = ["node-1", "node-2"];

/// A running control plane.
///
/// # How it ends
/// When the value is dropped, and also when the process that owns it ends in any way (a panic, `exit`, SIGKILL): each
/// component runs under a small shell that kills it as soon as a pipe from the owner closes.
#[derive(Debug)]
pub struct ControlPlane {
    kubeconfig: PathBuf,
    api: Api,
    origin: Origin,
}

/// Where a control plane comes from.
#[derive(Debug)]
enum Origin {
    Started(Box<Started>),
    /// The user's cluster, which is not ours to stop.
    Given,
}

/// The order of the fields is the order in which they are dropped: components first, then their folder.
#[derive(Debug)]
struct Started {
    components: Mutex<Running>,
    files: Files,
    options: Options,
    programs: PathBuf,
    api_port: Port,
    etcd_port: Port,
    peer_port: Port,
    folder: Folder,
}

#[derive(Debug, Default)]
struct Running {
    controllers: Vec<Supervised>,
    api_server: Option<Supervised>,
    etcd: Option<Supervised>,
}

/// The control plane that all tests of a process share, started at the first call: everything runs, requests are logged.
/// With `TRUEUP_TEST_KUBECONFIG` it is the cluster of that kubeconfig.
pub fn shared() -> Result<&'static ControlPlane> {
    static GIVEN: OnceLock<Result<ControlPlane, String>> = OnceLock::new();
    match env::var_os(KUBECONFIG_VARIABLE) {
        Some(path) => kept(&GIVEN, || ControlPlane::given(Path::new(&path))),
        None => played(),
    }
}

/// The control plane for what a user's cluster does not give: its requests are counted, and kwok plays its nodes, so that
/// pods of any image run. The shared one, unless that is a user's cluster.
pub fn played() -> Result<&'static ControlPlane> {
    static STARTED: OnceLock<Result<ControlPlane, String>> = OnceLock::new();
    kept(&STARTED, || ControlPlane::start(Options { audit: Audit::Requests, ..Options::default() }))
}

fn kept(
    place: &'static OnceLock<Result<ControlPlane, String>>,
    make: impl FnOnce() -> Result<ControlPlane>,
) -> Result<&'static ControlPlane> {
    place
        .get_or_init(|| make().map_err(|error| format!("{error:#}")))
        .as_ref()
        .map_err(|error| anyhow!("no control plane: {error}"))
}

impl ControlPlane {
    /// Starts a control plane and returns when it serves; with all components, when its nodes are ready too.
    pub fn start(options: Options) -> Result<Self> {
        let programs = programs::folder()?;
        let folder = Folder::create("control-plane")?;
        let (api_port, etcd_port, peer_port) = (Port::claim()?, Port::claim()?, Port::claim()?);
        let files = Files::write(folder.path(), api_port.number(), &options.users)?;
        let kubeconfig = files.kubeconfig(ADMINISTRATOR).context("the administrator has no kubeconfig")?;
        let api = Api::from_kubeconfig(&kubeconfig)?;
        let started = Started {
            components: Mutex::default(),
            files,
            options,
            programs,
            api_port,
            etcd_port,
            peer_port,
            folder,
        };
        started.start_etcd()?;
        started.start_api_server(&api)?;
        match started.options.components {
            Components::Full => started.start_controllers(&api)?,
            Components::ApiOnly => {}
        }
        Ok(Self { kubeconfig, api, origin: Origin::Started(Box::new(started)) })
    }

    /// Uses a cluster that exists.
    pub fn given(kubeconfig: &Path) -> Result<Self> {
        // Programs under test run in folders of their own.
        let kubeconfig = kubeconfig
            .canonicalize()
            .with_context(|| format!("{KUBECONFIG_VARIABLE} names no file: {}", kubeconfig.display()))?;
        let api = Api::from_kubeconfig(&kubeconfig)?;
        api.get("/version").with_context(|| format!("no API server answers by {}", kubeconfig.display()))?;
        Ok(Self { kubeconfig, api, origin: Origin::Given })
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The kubeconfig of one of the [`Options::users`].
    pub fn kubeconfig_for(&self, user: &str) -> Result<PathBuf> {
        let started = self.started("make users")?;
        started
            .files
            .kubeconfig(user)
            .with_context(|| format!("the control plane was started without a user {user}"))
    }

    /// The cluster, seen as its administrator.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// A new namespace, which is deleted when dropped.
    pub fn namespace(&self, hint: &str) -> Result<Namespace> {
        Namespace::create(&self.api, hint)
    }

    /// Kills the API server. Its port stays claimed, its data stay in etcd, and the controllers go on trying.
    pub fn stop_api_server(&self) -> Result<()> {
        let started = self.started("stop its API server")?;
        match started.running().api_server.take() {
            Some(server) => drop(server),
            None => bail!("the API server is stopped already"),
        }
        Ok(())
    }

    /// Starts the API server again, on the same port and data, and returns when it serves. A controller that ended for want
    /// of it is started again too, as a kubelet would do.
    pub fn start_api_server(&self) -> Result<()> {
        let started = self.started("start its API server")?;
        if started.running().api_server.is_some() {
            bail!("the API server is running already");
        }
        started.start_api_server(&self.api)?;
        started.running().controllers.iter_mut().try_for_each(Supervised::revive)
    }

    /// The folder of its data, keys and logs (`kube-apiserver.log` and so on), which goes when the control plane does.
    pub fn folder(&self) -> Result<&Path> {
        Ok(self.started("show its folder")?.folder.path())
    }

    /// A mark between the requests before and after now, for [`ControlPlane::requests_since`].
    pub fn mark(&self) -> Result<Mark> {
        let log = self.audit_log()?;
        self.settle(&log)
    }

    /// The requests that the API server answered since the mark, in the order of their answers; without those that were made
    /// through [`ControlPlane::api`].
    pub fn requests_since(&self, mark: Mark) -> Result<Vec<Request>> {
        let log = self.audit_log()?;
        self.settle(&log)?;
        audit::requests(&audit::lines_since(&log, mark)?)
    }

    /// Waits until a request of our own is in the log: what was answered before it was asked is there then too. Gives the end
    /// of a line at or after it.
    fn settle(&self, log: &Path) -> Result<Mark> {
        let before = audit::end_of(log).unwrap_or(Mark { offset: 0 });
        let sign = format!("/version?settle={}", before.offset);
        self.api.get(&sign)?;
        wait_until("the audit log is written", Duration::from_secs(10), || {
            let lines = audit::lines_since(log, before)?;
            Ok(lines.contains(&sign).then(|| Mark { offset: before.offset + lines.len() as u64 }))
        })
    }

    fn audit_log(&self) -> Result<PathBuf> {
        let started = self.started("count its requests")?;
        match started.options.audit {
            Audit::Requests => Ok(started.folder.path().join(programs::AUDIT_LOG)),
            Audit::Off => bail!("requests can be counted only with `Audit::Requests` in the options"),
        }
    }

    fn started(&self, wish: &str) -> Result<&Started> {
        match &self.origin {
            Origin::Started(started) => Ok(started),
            Origin::Given => {
                bail!(
                    "cannot {wish}: this is the cluster of {KUBECONFIG_VARIABLE}; unset it to start a control plane"
                )
            }
        }
    }
}

impl Started {
    fn start_etcd(&self) -> Result<()> {
        let data = self.folder.path().join("etcd");
        let flags = programs::etcd(&data, self.etcd_port.number(), self.peer_port.number());
        self.running().etcd = Some(self.spawn("etcd", &flags)?);
        Ok(())
    }

    fn start_api_server(&self, api: &Api) -> Result<()> {
        let port = self.api_port.number();
        // The last connections of a killed server may hold the port for a moment.
        wait_until(&format!("port {port} is free"), Duration::from_secs(10), || {
            Ok(port::is_free(port).then_some(()))
        })?;
        let flags = programs::api_server(&self.files, port, self.etcd_port.number(), &self.options);
        self.running().api_server = Some(self.spawn("kube-apiserver", &flags)?);
        self.wait(Running::servers, "the API server is ready", || api.get("/readyz").map(|_| Some(())))
    }

    fn start_controllers(&self, api: &Api) -> Result<()> {
        let kubeconfig =
            |user| self.files.kubeconfig(user).with_context(|| format!("no kubeconfig for {user}"));
        let manager =
            programs::controller_manager(&self.files, &kubeconfig("system:kube-controller-manager")?);
        let scheduler = programs::scheduler(&kubeconfig("system:kube-scheduler")?);
        let kwok = programs::kwok(&self.files, &kubeconfig("system:kwok")?);
        let controllers =
            [("kube-controller-manager", manager), ("kube-scheduler", scheduler), ("kwok", kwok)];
        for (name, flags) in controllers {
            let process = self.spawn(name, &flags)?;
            self.running().controllers.push(process);
        }
        for name in NODES {
            api.create("/api/v1/nodes", &node(name))?;
        }
        for name in NODES {
            self.wait(Running::all, &format!("node {name} is ready"), || {
                let node = api.get(&format!("/api/v1/nodes/{name}"))?;
                let ready = node["status"]["conditions"].as_array().is_some_and(|all| {
                    all.iter().any(|one| one["type"] == "Ready" && one["status"] == "True")
                });
                Ok((ready && node["spec"]["taints"].is_null()).then_some(()))
            })?;
        }
        Ok(())
    }

    fn spawn(&self, name: &str, flags: &[String]) -> Result<Supervised> {
        Supervised::spawn(name, &self.programs.join(name), flags, self.folder.path())
    }

    /// Waits for what needs those components, unless one of them has ended.
    fn wait(
        &self,
        needed: impl Fn(&mut Running) -> Vec<&mut Supervised>,
        what: &str,
        mut probe: impl FnMut() -> Result<Option<()>>,
    ) -> Result<()> {
        let ended = wait_until(what, START, || {
            for process in needed(&mut self.running()) {
                if process.ended()?.is_some() {
                    let words = process.last_words();
                    return Ok(Some(Err(anyhow!("{} ended before {what}:\n{words}", process.name()))));
                }
            }
            Ok(probe()?.map(Ok))
        });
        ended.with_context(|| {
            format!("the control plane does not start:\n{}", self.running().all_last_words())
        })?
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        // A panic elsewhere leaves the list as it was.
        self.components.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    fn all_last_words(&mut self) -> String {
        let words = |process: &mut Supervised| format!("--- {}\n{}", process.name(), process.last_words());
        self.all().into_iter().map(words).collect::<Vec<_>>().join("\n")
    }

    /// What serves requests.
    fn servers(&mut self) -> Vec<&mut Supervised> {
        self.etcd.iter_mut().chain(&mut self.api_server).collect()
    }

    fn all(&mut self) -> Vec<&mut Supervised> {
        self.etcd.iter_mut().chain(&mut self.api_server).chain(&mut self.controllers).collect()
    }
}

fn node(name: &str) -> serde_json::Value {
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {"kwok.x-k8s.io/node": "fake", "node.alpha.kubernetes.io/ttl": "0"},
            "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"},
        },
        "status": {
            "allocatable": {"cpu": "64", "memory": "256Gi", "pods": "1000"},
            "capacity": {"cpu": "64", "memory": "256Gi", "pods": "1000"},
        },
    })
}

//! What the play is given on: a cluster, a folder with the config repository, and a trueup that runs as anybody's would.

use super::eye::Eye;
use super::shop::Shop;
use super::{Place, teller};
use crate::sandbox;
use crate::web::api::Targets;
use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use trueup_plan::record::TargetStatus;

/// The namespaces of the example's environments.
pub(super) const NAMESPACES: [&str; 2] = ["shop-staging", "shop-production"];
const DEFINITION: &str =
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/featureflags.shop.example.com";
const SYSTEM: &str = "/api/v1/namespaces/trueup-system";
const SYSTEM_RECORD: &str = "/api/v1/namespaces/trueup-system/configmaps/trueup.definitions.shared";

/// How long trueup may take to end what it is at.
const LAST_WORDS: Duration = Duration::from_secs(20);
/// How often it is looked whether something holds.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Lines of the log that are shown where something went wrong.
const LOG_LINES: usize = 25;

/// All that the acts need.
pub(super) struct Stage {
    pub(super) shop: Shop,
    pub(super) eye: Eye,
    place: Place,
    folder: TempDir,
    trueup: Option<Child>,
    address: String,
    http: reqwest::Client,
    /// Whether the cluster had trueup's own namespace before.
    had_system: bool,
    _sandbox: Option<sandbox::Running>,
}

impl Stage {
    /// Starts or finds the cluster and writes the folder. Nothing in the cluster is changed yet.
    pub(super) async fn set(place: &Place) -> Result<Self> {
        let folder =
            tempfile::Builder::new().prefix("trueup-demo.").tempdir().context("a temporary folder")?;
        let mut running = None;
        let eye = match place {
            Place::Sandbox => {
                let kubeconfig = folder.path().join("kubeconfig");
                running = Some(sandbox::serve(&kubeconfig).await?);
                Eye::open(Some(&kubeconfig), None).await?
            }
            Place::Cluster { kubeconfig, context } => {
                Eye::open(kubeconfig.as_deref(), context.as_deref()).await?
            }
        };
        for path in NAMESPACES.map(namespace).iter().map(String::as_str).chain([DEFINITION]) {
            if eye.find(path).await?.is_some() {
                bail!("the cluster has a {path} already, and the demo would change what is in it");
            }
        }
        let had_system = eye.find(SYSTEM).await?.is_some();
        let shop = Shop::open(&folder.path().join("shop"))?;
        shop.commit("Open the shop")?;
        let port = TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port();
        let stage = Self {
            shop,
            eye,
            place: place.clone(),
            trueup: None,
            address: format!("127.0.0.1:{port}"),
            http: reqwest::Client::builder().no_proxy().build()?,
            had_system,
            folder,
            _sandbox: running,
        };
        fs::write(stage.path("trueup.yaml"), stage.configuration()?)?;
        Ok(stage)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn configuration(&self) -> Result<String> {
        let kubeconfig = match &self.place {
            Place::Sandbox => format!("{{path: '{}'}}", self.path("kubeconfig").display()),
            Place::Cluster { kubeconfig, context } => {
                let path = kubeconfig.as_ref().map(|path| {
                    let path = path.canonicalize().unwrap_or_else(|_| path.clone());
                    format!("path: '{}'", path.display())
                });
                let context = context.as_ref().map(|context| format!("context: '{context}'"));
                let parts: Vec<String> = path.into_iter().chain(context).collect();
                format!("{{{}}}", parts.join(", "))
            }
        };
        Ok(format!(
            "apiVersion: trueup.dev/v1alpha1\nkind: Repository\nmetadata: {{name: config}}\nspec: {{url: '{}', interval: 1s}}\n---\n\
             apiVersion: trueup.dev/v1alpha1\nkind: Cluster\nmetadata: {{name: shop}}\nspec: {{kubeconfig: {kubeconfig}}}\n{}",
            self.shop.folder().display(),
            Shop::configuration()?,
        ))
    }

    /// The program that runs this, with what it is to work on in its environment.
    fn program(&self) -> Result<Command> {
        let mut command = Command::new(std::env::current_exe().context("where this program is")?);
        command.env("TRUEUP_SERVER", format!("http://{}", self.address));
        command.env("TRUEUP_CONFIG", self.path("trueup.yaml")).env("TRUEUP_STATE", self.path("state"));
        command.stdin(Stdio::null());
        Ok(command)
    }

    /// Starts `trueup run`; its log goes into a file.
    pub(super) fn start(&mut self) -> Result<()> {
        let log = fs::File::create(self.path("trueup.log"))?;
        let mut command = self.program()?;
        command.args(["run", "--listen", &self.address]).stdout(log.try_clone()?).stderr(log);
        self.trueup = Some(command.kill_on_drop(true).spawn().context("starting trueup")?);
        Ok(())
    }

    /// Shows a command of trueup and what it says; gives its exit code.
    pub(super) async fn show(&self, arguments: &[&str]) -> Result<i32> {
        teller::typed(format_args!("trueup {}", arguments.join(" ")));
        let status = self.program()?.args(arguments).status().await.context("running trueup")?;
        status.code().context("trueup was killed")
    }

    /// How the targets stand; none while trueup does not answer yet.
    pub(super) async fn statuses(&self) -> Vec<TargetStatus> {
        let answer = async {
            let asked = self.http.get(format!("http://{}/api/v1/targets", self.address)).send().await?;
            asked.json::<Targets>().await
        };
        answer.await.map(|answer| answer.targets).unwrap_or_default()
    }

    /// Waits until something holds; gives how long that took.
    pub(super) async fn until(
        &mut self,
        what: &str,
        limit: Duration,
        mut holds: impl AsyncFnMut(&Self) -> Result<bool>,
    ) -> Result<Duration> {
        let began = Instant::now();
        while !holds(self).await? {
            if let Some(status) = self.trueup.as_mut().and_then(|child| child.try_wait().transpose()) {
                bail!("trueup ended by itself: {}", status?);
            }
            if began.elapsed() > limit {
                bail!("{what} did not come true within {}", humantime::format_duration(limit));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(began.elapsed())
    }

    /// Waits until every target is Synced and Healthy at the commit.
    pub(super) async fn settled(&mut self, revision: &str, limit: Duration) -> Result<Duration> {
        self.until("every target, Synced and Healthy,", limit, async |stage| {
            let statuses = stage.statuses().await;
            let is_there = |status: &TargetStatus| status.is_settled() && status.revision == revision;
            Ok(!statuses.is_empty() && statuses.iter().all(is_there))
        })
        .await
    }

    /// How long a rollout may take here.
    pub(super) fn patience(&self) -> Duration {
        match &self.place {
            Place::Sandbox => Duration::from_mins(1),
            // Images are pulled there.
            Place::Cluster { .. } => Duration::from_mins(10),
        }
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// What a person can do now.
    pub(super) fn tell_how_to_go_on(&self) {
        teller::title("Your turn: all of it goes on until Ctrl-C");
        let shop = self.shop.folder().display();
        teller::note(format_args!("in another terminal:\n"));
        teller::note(format_args!("    export TRUEUP_SERVER=http://{}", self.address));
        teller::note("    trueup status --watch          # trueup is this program");
        teller::note(format_args!("    cd {shop}"));
        teller::note("    sed -i 's/6.9.0/6.10.0/' apps/api/base/kustomization.yaml");
        teller::note(format_args!(
            "    trueup diff --config {} --local .",
            self.path("trueup.yaml").display()
        ));
        teller::note("    git commit -am 'Roll out API 6.10.0'");
        if self.place == Place::Sandbox {
            let kubeconfig = self.path("kubeconfig");
            teller::note(format_args!("    export KUBECONFIG={}", kubeconfig.display()));
            teller::note("    kubectl get deployments -A");
            teller::note("    kubectl scale -n shop-staging deployment/api --replicas=7");
        }
        teller::note(format_args!("\ntrueup's log is {}", self.path("trueup.log").display()));
    }

    /// The last lines of trueup's log.
    pub(super) fn end_of_log(&self) -> Vec<String> {
        let log = fs::read_to_string(self.path("trueup.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].iter().map(|line| (*line).to_owned()).collect()
    }

    /// Ends trueup, takes what was made out of a cluster that stays, and deletes the folder.
    pub(super) async fn clear(mut self) -> Result<()> {
        // trueup first: it would put back what is deleted.
        if let Some(mut trueup) = self.trueup.take() {
            if let Some(pid) = trueup.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)) {
                // It may have ended with the same Ctrl-C.
                let _ = kill_process(pid, Signal::TERM);
            }
            if tokio::time::timeout(LAST_WORDS, trueup.wait()).await.is_err() {
                trueup.kill().await.context("ending trueup")?;
            }
            if self.place != Place::Sandbox {
                self.tidy().await?;
            }
        }
        self.folder.close().context("deleting the folder of the demo")
    }

    async fn tidy(&self) -> Result<()> {
        teller::note("\ndeleting what the demo made in the cluster");
        for path in NAMESPACES.map(namespace).iter().map(String::as_str).chain([DEFINITION]) {
            self.eye.delete(path).await?;
        }
        self.eye.delete(if self.had_system { SYSTEM_RECORD } else { SYSTEM }).await
    }
}

fn namespace(name: &str) -> String {
    format!("/api/v1/namespaces/{name}")
}

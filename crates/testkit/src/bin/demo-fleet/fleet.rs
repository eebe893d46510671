//! The hub, the leaves, the config repository, and what is installed and configured in the hub.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use trueup_testkit::{ControlPlane, GitRepo, GitServer, Options, wait_until};

use crate::replica::Replica;

/// Where trueup is installed.
pub(crate) const NAMESPACE: &str = "trueup-system";
/// The leaf clusters; a commit goes to the first of them before the others.
pub(crate) const LEAVES: [&str; 3] = ["canary", "europe", "america"];
/// How long anything may take.
const PATIENCE: Duration = Duration::from_mins(3);
/// So long nothing is done for the clusters of a replica that died.
const LEASE: &str = "10s";

/// All that the acts need. The replicas are the first to go.
pub(crate) struct Fleet {
    pub(crate) replicas: Vec<Replica>,
    trueup: PathBuf,
    kubectl: PathBuf,
    hub: ControlPlane,
    leaves: Vec<ControlPlane>,
    repo: GitRepo,
    server: GitServer,
    folder: TempDir,
}

impl Fleet {
    /// Starts four control planes, side by side.
    pub(crate) fn start(trueup: &Path, kubectl: &Path) -> Result<Self> {
        let mut planes = std::thread::scope(|scope| {
            let starts: Vec<_> =
                (0..=LEAVES.len()).map(|_| scope.spawn(|| ControlPlane::start(Options::default()))).collect();
            let started = |start: std::thread::ScopedJoinHandle<'_, Result<ControlPlane>>| {
                start.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            starts.into_iter().map(started).collect::<Result<Vec<_>>>()
        })?;
        let hub = planes.remove(0);
        let repo = GitRepo::create()?;
        let server = GitServer::serve(&repo)?;
        Ok(Self {
            replicas: Vec::new(),
            trueup: trueup.to_owned(),
            kubectl: kubectl.to_owned(),
            hub,
            leaves: planes,
            repo,
            server,
            folder: tempfile::Builder::new().prefix("trueup-fleet.").tempdir()?,
        })
    }

    pub(crate) fn version(&self) -> Result<String> {
        let version = self.hub.api().get("/version")?;
        Ok(version["gitVersion"].as_str().unwrap_or_default().to_owned())
    }

    /// Runs `trueup install | kubectl apply --server-side -f -`, and a process for each of the pods that the Deployment gets.
    pub(crate) fn install(&mut self) -> Result<()> {
        let printed = Command::new(&self.trueup)
            .args(["install", "--set", &format!("leaseDuration={LEASE}"), "--set", "image.tag=demo"])
            .stderr(Stdio::inherit())
            .output()?;
        ensure!(printed.status.success(), "trueup install ended with {}", printed.status);
        self.apply(&printed.stdout)?;
        let pods = format!("/api/v1/namespaces/{NAMESPACE}/pods?labelSelector=app.kubernetes.io/name=trueup");
        let pods = wait_until("the Deployment has two pods that run", PATIENCE, || {
            let found = self.hub.api().get(&pods)?;
            let found = found["items"].as_array().cloned().unwrap_or_default();
            let run = found.len() == 2 && found.iter().all(|pod| pod["status"]["phase"] == "Running");
            Ok(run.then_some(found))
        })?;
        let start = |pod| Replica::start(&self.trueup, &self.hub, pod, self.folder.path());
        self.replicas = pods.iter().map(start).collect::<Result<_>>()?;
        Ok(())
    }

    /// Configures a Cluster for each leaf, an Environment over all of them, and an App.
    pub(crate) fn configure(&self) -> Result<()> {
        let mut all = Vec::new();
        for (name, leaf) in LEAVES.iter().zip(&self.leaves) {
            let kubeconfig = fs::read_to_string(leaf.kubeconfig())?;
            let secret = format!("{name}-kubeconfig");
            all.push(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": secret},
                "stringData": {"value": kubeconfig}}));
            let role = if *name == LEAVES[0] { "canary" } else { "main" };
            let mut cluster = resource("Cluster", name, &json!({"secretRef": {"name": secret}}));
            cluster["metadata"]["labels"] = json!({"tier": "production", "role": role});
            all.push(cluster);
        }
        let url = self.server.url("config.git");
        all.push(resource("Repository", "config", &json!({"url": url, "interval": "1s"})));
        all.push(resource(
            "Environment",
            "production",
            &json!({
                "clusters": {"selector": {"matchLabels": {"tier": "production"}}},
                "namespace": "shop",
                "rollout": {"waves": [{"selector": {"matchLabels": {"role": "canary"}}}], "maxUnavailable": 1},
            }),
        ));
        all.push(resource(
            "App",
            "web",
            &json!({"repository": "config", "path": "apps/web", "environments": ["production"]}),
        ));
        let list = json!({"apiVersion": "v1", "kind": "List", "items": all});
        self.apply(list.to_string().as_bytes())
    }

    /// Commits the App with an image of this version; gives the commit.
    pub(crate) fn commit(&self, version: &str) -> Result<String> {
        let text = DEPLOYMENT.replace("VERSION", version);
        self.repo.commit(&[("apps/web/deployment.yaml", &text)], &format!("Roll out web {version}"))
    }

    /// Says when each leaf was first seen with the image, and waits until all of these are well at the commit.
    pub(crate) fn reached(
        &self,
        leaves: &[&str],
        version: &str,
        commit: &str,
    ) -> Result<Vec<(String, Duration)>> {
        let began = Instant::now();
        let mut seen: Vec<(String, Duration)> = Vec::new();
        let what = format!("{} have {version}", leaves.join(", "));
        let done = wait_until(&what, PATIENCE, || {
            for leaf in leaves {
                if seen.iter().all(|(name, _)| name != leaf) && self.image(leaf)?.ends_with(version) {
                    seen.push(((*leaf).to_owned(), began.elapsed()));
                }
            }
            let targets = self.targets()?;
            let is_well = |leaf: &&str| {
                let name = format!("web@production/{leaf}");
                let mut all = targets.iter();
                all.any(|one| {
                    one["target"] == name
                        && one["sync"] == "Synced"
                        && one["health"] == "Healthy"
                        && one["revision"] == commit
                })
            };
            Ok((seen.len() == leaves.len() && leaves.iter().all(is_well)).then_some(()))
        });
        self.explained(done)?;
        Ok(seen)
    }

    /// The image of the App in a leaf; empty before it is there.
    fn image(&self, leaf: &str) -> Result<String> {
        let found = self.leaf(leaf)?.api().find("/apis/apps/v1/namespaces/shop/deployments/web")?;
        let image = "/spec/template/spec/containers/0/image";
        let image = found.as_ref().and_then(|object| object.pointer(image)?.as_str());
        Ok(image.unwrap_or_default().to_owned())
    }

    /// A leaf by its name.
    pub(crate) fn leaf(&self, name: &str) -> Result<&ControlPlane> {
        let found = LEAVES.iter().position(|leaf| *leaf == name).context("there is no such leaf")?;
        Ok(&self.leaves[found])
    }

    /// The names of the replicas that have a Lease.
    fn holders(&self) -> Result<Vec<String>> {
        let path = format!("/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases");
        let leases = self.hub.api().get(&path)?;
        let leases = leases["items"].as_array().cloned().unwrap_or_default();
        let holder = |lease: &Value| Some(lease["spec"]["holderIdentity"].as_str()?.to_owned());
        Ok(leases.iter().filter_map(holder).collect())
    }

    /// Waits until so many replicas have a Lease.
    pub(crate) fn shared_by(&self, replicas: usize) -> Result<Duration> {
        let began = Instant::now();
        let done = wait_until(&format!("{replicas} replicas have a Lease"), PATIENCE, || {
            Ok((self.holders()?.len() == replicas).then_some(()))
        });
        self.explained(done)?;
        Ok(began.elapsed())
    }

    fn targets(&self) -> Result<Vec<Value>> {
        let output = self.trueup(&["status", "-o", "json"])?.output()?;
        let said: Value = serde_json::from_slice(&output.stdout).context("trueup status says nothing yet")?;
        Ok(said["targets"].as_array().cloned().unwrap_or_default())
    }

    /// The command line, asking the first replica that is there.
    fn trueup(&self, words: &[&str]) -> Result<Command> {
        let replica = self.replicas.first().context("no replica runs")?;
        let mut command = Command::new(&self.trueup);
        command.args(words).env("TRUEUP_SERVER", replica.url()).env_remove("TRUEUP_CONFIG");
        command.env("TRUEUP_STATE", self.folder.path().join("nobody"));
        Ok(command)
    }

    fn kubectl(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.kubectl);
        command.arg("--kubeconfig").arg(self.hub.kubeconfig());
        // It keeps what it learns of an API server in the home folder otherwise.
        command.arg("--cache-dir").arg(self.folder.path().join("kubectl"));
        command.args(["--namespace", NAMESPACE]).args(words);
        command
    }

    fn apply(&self, manifests: &[u8]) -> Result<()> {
        let mut command = self.kubectl(&["apply", "--server-side", "-f", "-"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        child.stdin.take().context("kubectl takes no input")?.write_all(manifests)?;
        let status = child.wait()?;
        ensure!(status.success(), "kubectl apply ended with {status}");
        Ok(())
    }

    /// Shows what `trueup status` says, whatever it is.
    pub(crate) fn show_status(&self) -> Result<()> {
        crate::play::typed("trueup status");
        self.trueup(&["status"])?.status()?;
        Ok(())
    }

    /// Shows what kubectl says.
    pub(crate) fn show(&self, words: &[&str]) -> Result<()> {
        crate::play::typed(&format!("kubectl {}", words.join(" ")));
        let status = self.kubectl(words).status()?;
        ensure!(status.success(), "kubectl ended with {status}");
        Ok(())
    }

    /// An error with what the replicas logged last.
    fn explained<T>(&self, done: Result<T>) -> Result<T> {
        let Err(error) = done else { return done };
        let logs: Vec<String> = self.replicas.iter().map(Replica::last_words).collect();
        let targets = self.targets().map_or_else(|error| format!("{error:#}"), |all| json!(all).to_string());
        bail!("{error:#}\n{targets}\n{}", logs.join("\n"))
    }
}

fn resource(kind: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "trueup.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

const DEPLOYMENT: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: 'registry.example.com/web:VERSION'}
";

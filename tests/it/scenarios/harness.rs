//! A trueup that runs beside the test: the real program, a real repository, and a cluster on the ground that the scenario is given.

use super::ground::{Cluster, Ground};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use trueup_testkit::{Api, GitRepo, Namespace, Port, wait_until};

/// How long anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// A namespace, a repository whose folder `app` is the target `app@test`, and the files that trueup is given.
pub(crate) struct World {
    pub(crate) repo: GitRepo,
    pub(crate) namespace: Namespace,
    pub(crate) api: Api,
    kubeconfig: PathBuf,
    folder: tempfile::TempDir,
    port: Port,
    running: Option<Child>,
    /// Paths of objects outside the namespace, which go when the world does, also after a failure.
    beside: Vec<String>,
    /// The last to go.
    pub(crate) cluster: Cluster,
}

impl World {
    /// A world in a namespace of its own on a cluster that others may be on as well.
    pub(crate) fn new(ground: Ground, hint: &str) -> Self {
        Self::on(&ground.shared(), hint)
    }

    /// A world where requests are counted and pods of any image run, whatever cluster the tests are given.
    pub(crate) fn played(ground: Ground, hint: &str) -> Self {
        Self::on(&ground.played(), hint)
    }

    pub(crate) fn on(cluster: &Cluster, hint: &str) -> Self {
        let world = Self {
            repo: GitRepo::create().unwrap(),
            namespace: cluster.namespace(hint),
            api: cluster.api().clone(),
            kubeconfig: cluster.kubeconfig(),
            cluster: cluster.clone(),
            folder: tempfile::tempdir().unwrap(),
            port: Port::claim().unwrap(),
            running: None,
            beside: Vec::new(),
        };
        world.configure("");
        world
    }

    /// Reaches the cluster with another kubeconfig from now on.
    pub(crate) fn reached_with(mut self, kubeconfig: PathBuf) -> Self {
        self.kubeconfig = kubeconfig;
        self.configure("");
        self
    }

    /// Writes the configuration of `app@test`, with more in its `sync`, or in the App after a line break.
    pub(crate) fn configure(&self, sync: &str) {
        let namespace = self.namespace.name().to_owned();
        self.write_configuration(&self.configuration(sync, &namespace));
    }

    pub(crate) fn configuration(&self, sync: &str, namespace: &str) -> String {
        format!(
            "apiVersion: trueup.dev/v1alpha1\nkind: Repository\nmetadata: {{name: config}}\nspec: {{url: '{}', interval: 200ms}}\n---\n\
             apiVersion: trueup.dev/v1alpha1\nkind: Cluster\nmetadata: {{name: here}}\nspec: {{kubeconfig: {{path: '{}'}}}}\n---\n\
             apiVersion: trueup.dev/v1alpha1\nkind: Environment\nmetadata: {{name: test}}\nspec: {{cluster: here, namespace: {namespace}, sync: {{{sync}}}}}\n---\n\
             apiVersion: trueup.dev/v1alpha1\nkind: App\nmetadata: {{name: app}}\nspec: {{repository: config, path: app, environments: [test]}}\n",
            self.repo.file_url(),
            self.kubeconfig.display(),
        )
    }

    pub(crate) fn write_configuration(&self, text: &str) {
        fs::write(self.folder.path().join("trueup.yaml"), text).unwrap();
    }

    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// A file beside the configuration.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A service account of the namespace that may do everything; gives its path.
    pub(crate) fn add_administrator(&mut self, name: &str) -> String {
        let namespace = self.namespace.name().to_owned();
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}});
        let accounts = format!("/api/v1/namespaces/{namespace}/serviceaccounts");
        self.api.create(&accounts, &account).unwrap();
        let binding = format!("{namespace}-{name}");
        let bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
        let role = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": binding},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
        });
        self.api.create(bindings, &role).unwrap();
        self.takes_away(format!("{bindings}/{binding}"));
        format!("{accounts}/{name}")
    }

    /// Takes an object outside the namespace away at the end.
    pub(crate) fn takes_away(&mut self, path: String) {
        self.beside.push(path);
    }

    fn program(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trueup"));
        command.env_remove("TRUEUP_SERVER").arg("--config").arg(self.path("trueup.yaml"));
        command.arg("--state").arg(self.path("state"));
        command
    }

    /// Starts `trueup run`.
    pub(crate) fn start(&mut self) {
        self.start_with(&[]);
    }

    /// The same with more arguments.
    pub(crate) fn start_with(&mut self, arguments: &[&str]) {
        let log = fs::File::options().create(true).append(true).open(self.path("log")).unwrap();
        let mut command = self.program();
        command.args(["run", "--listen", &self.address()]).args(arguments);
        let child =
            command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        self.running = Some(child);
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port.number())
    }

    /// The value of one of the running trueup's metrics that has no labels.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let text = runtime.block_on(async {
            let url = format!("http://{}/metrics", self.address());
            let request = reqwest::Client::builder().no_proxy().build().unwrap().get(url);
            request.send().await.unwrap().text().await.unwrap()
        });
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("no metric {name}:\n{text}")).parse().unwrap()
    }

    /// Kills the running trueup, as a crash would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.running.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Asks the running trueup to end; gives its exit code.
    pub(crate) fn terminate(&mut self) -> Option<i32> {
        self.signal("-TERM");
        self.running.take()?.wait().unwrap().code()
    }

    /// Asks the running trueup to look at everything.
    pub(crate) fn hangup(&self) {
        self.signal("-HUP");
    }

    fn signal(&self, signal: &str) {
        let pid = self.running.as_ref().expect("trueup runs").id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// Runs a command of trueup against the running one.
    pub(crate) fn trueup(&self, arguments: &[&str]) -> Output {
        self.program()
            .env("TRUEUP_SERVER", format!("http://{}", self.address()))
            .args(arguments)
            .output()
            .unwrap()
    }

    /// Runs a command of trueup that has no running one to ask.
    pub(crate) fn alone(&self, arguments: &[&str]) -> Output {
        self.program().args(arguments).output().unwrap()
    }

    /// Begins such a command.
    pub(crate) fn begin(&self, arguments: &[&str]) -> Child {
        self.program().args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// How a target stands.
    pub(crate) fn status(&self, target: &str) -> Option<Value> {
        let output = self.trueup(&["status", "-o", "json"]);
        let all: Value = serde_json::from_slice(&output.stdout).ok()?;
        all["targets"].as_array()?.iter().find(|status| status["target"] == target).cloned()
    }

    /// Waits until a target's status is as wanted; the last one is shown where it never is.
    pub(crate) fn until(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut last = None;
        let found = wait_until(what, PATIENCE, || {
            last = self.status("app@test");
            Ok(last.clone().filter(&wanted))
        });
        found.unwrap_or_else(|error| {
            let log = fs::read_to_string(self.path("log")).unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(30).collect();
            panic!("{error:#}\nlast status: {last:#?}\nlog, newest first:\n{}", tail.join("\n"))
        })
    }

    /// Waits until the target is Synced and Healthy at a commit.
    pub(crate) fn synced(&self, revision: &str) -> Value {
        self.until(&format!("Synced and Healthy at {revision}"), |status| {
            status["revision"] == revision && status["sync"] == "Synced" && status["health"] == "Healthy"
        })
    }

    /// The path of a ConfigMap of the namespace.
    pub(crate) fn config_map(&self, name: &str) -> String {
        format!("/api/v1/namespaces/{}/configmaps/{name}", self.namespace.name())
    }

    /// Waits until something holds.
    pub(crate) fn holds(&self, what: &str, check: impl Fn(&Self) -> bool) {
        wait_until(what, PATIENCE, || Ok(check(self).then_some(()))).unwrap_or_else(|error| {
            let log = fs::read_to_string(self.path("log")).unwrap_or_default();
            panic!("{error:#}\nstatus: {:#?}\nlog:\n{log}", self.status("app@test"))
        });
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path("state")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.kill();
        for path in &self.beside {
            // It may be gone, as it should, or the API server may be.
            let _ = self.api.delete(path);
        }
    }
}

/// A ConfigMap as YAML.
pub(crate) fn config_map(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{value: '{value}'}}\n")
}

/// Takes a folder away.
pub(crate) fn forget(folder: &Path) {
    let _ = fs::remove_dir_all(folder);
}

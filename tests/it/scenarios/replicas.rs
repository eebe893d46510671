//! Several replicas of one trueup on a real API server: they share clusters, one goes, is killed or is stopped, and none writes what
//! is another one's.
//!
//! Each replica is a process with a service account of its own, so the audit log tells who wrote what.

use super::custom::{install, object, path};
use super::forge::{Forge, TOKEN};
use super::ground::Ground;
use super::harness::{PATIENCE, World, config_map};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use trueup_testkit::{GitServer, Mark, Port, Request, played, wait_until};

/// How long the Leases last here.
pub(super) const LEASE: Duration = Duration::from_secs(15);
/// Clusters, each with one target; all of them are the same API server by other names.
pub(super) const CLUSTERS: usize = 12;

/// A process of trueup.
pub(super) struct Replica {
    /// Its service account.
    pub(super) account: String,
    kubeconfig: PathBuf,
    port: Port,
    pub(super) running: Option<Child>,
}

/// Replicas that share the clusters `c0` and on, with the App `app` in an environment of each.
pub(super) struct Shared {
    pub(super) world: World,
    pub(super) replicas: Vec<Replica>,
    objects: usize,
    /// The URL of the database where their history is together.
    pub(super) store: Option<String>,
    _server: GitServer,
}

impl Shared {
    pub(super) fn new(hint: &str, replicas: usize, objects: usize) -> Self {
        let world = World::played(Ground::ApiServer, hint);
        install(&world.cluster);
        let server = GitServer::serve(&world.repo).unwrap();
        let url = server.url("config.git");
        let mut shared = Self { world, replicas: Vec::new(), objects, store: None, _server: server };
        shared.apply("repositories", "Repository", "config", &json!({"url": url, "interval": "300ms"}));
        for number in 0..CLUSTERS {
            shared.add_cluster(number);
        }
        shared.say_environments(CLUSTERS);
        for number in 0..replicas {
            shared.add_replica(&format!("replica-{number}"));
        }
        shared
    }

    pub(super) fn apply(&self, plural: &str, kind: &str, name: &str, spec: &Value) {
        self.world.api.apply(&path(&self.world, plural, name), &object(kind, name, spec), "test").unwrap();
    }

    fn add_cluster(&self, number: usize) {
        let namespace = self.world.namespace.name();
        let (cluster, environment) = (format!("c{number}"), format!("e{number}"));
        self.apply("clusters", "Cluster", &cluster, &json!({"inCluster": true}));
        let spec = json!({"cluster": cluster, "namespace": namespace});
        self.apply("environments", "Environment", &environment, &spec);
    }

    /// Has the App go to the first environments.
    fn say_environments(&self, count: usize) {
        let environments: Vec<String> = (0..count).map(|number| format!("e{number}")).collect();
        let spec = json!({"repository": "config", "path": "app/{environment}", "environments": environments});
        self.apply("apps", "App", "app", &spec);
    }

    fn add_replica(&mut self, name: &str) {
        let namespace = self.world.namespace.name().to_owned();
        self.world.add_administrator(name);
        let cluster = played().unwrap().kubeconfig();
        let kubeconfig = self.world.api.as_account(cluster, &namespace, name).unwrap();
        let file = self.world.path(&format!("{name}.kubeconfig"));
        fs::write(&file, kubeconfig.to_string()).unwrap();
        let account = format!("system:serviceaccount:{namespace}:{name}");
        let port = Port::claim().unwrap();
        self.replicas.push(Replica { account, kubeconfig: file, port, running: None });
    }

    pub(super) fn start(&mut self, number: usize) {
        let state = self.world.path(&format!("state-{number}"));
        let log = self.world.path(&format!("log-{number}"));
        let log = fs::File::options().create(true).append(true).open(log).unwrap();
        let namespace = self.world.namespace.name().to_owned();
        let replica = &mut self.replicas[number];
        let mut command = Command::new(env!("CARGO_BIN_EXE_trueup"));
        command.env_remove("TRUEUP_SERVER").arg("--state").arg(state);
        command.args(["run", "--config-from-cluster", "--namespace", &namespace]);
        command.arg("--kubeconfig").arg(&replica.kubeconfig);
        command.args(["--listen", &format!("127.0.0.1:{}", replica.port.number())]);
        command.args(["--lease-duration", &format!("{}s", LEASE.as_secs())]);
        if let Some(store) = &self.store {
            command.env("TRUEUP_STORE", store);
        }
        let spawned = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn();
        replica.running = Some(spawned.unwrap());
    }

    pub(super) fn signal(&self, number: usize, signal: &str) {
        let pid = self.replicas[number].running.as_ref().expect("it runs").id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// Waits for the end of a process.
    pub(super) fn ended(&mut self, number: usize) -> Option<i32> {
        self.replicas[number].running.take()?.wait().unwrap().code()
    }

    fn leases(&self) -> String {
        format!("/apis/coordination.k8s.io/v1/namespaces/{}/leases", self.world.namespace.name())
    }

    /// How many shards each replica has, by its name.
    fn table(&self) -> BTreeMap<String, usize> {
        let table = self.world.api.find(&format!("{}/trueup-shards", self.leases())).unwrap();
        let text = table.as_ref().and_then(|table| {
            table.pointer("/metadata/annotations")?.get("trueup.dev/shards")?.as_str().map(str::to_owned)
        });
        let of: BTreeMap<String, Vec<u64>> =
            text.map(|text| serde_json::from_str(&text).unwrap()).unwrap_or_default();
        of.into_iter().map(|(replica, shards)| (replica, shards.len())).collect()
    }

    /// The names of the replicas that have a Lease.
    fn members(&self) -> BTreeSet<String> {
        let list = self.world.api.get(&self.leases()).unwrap();
        let holders = list["items"].as_array().unwrap().iter();
        holders.filter_map(|lease| lease["spec"]["holderIdentity"].as_str().map(str::to_owned)).collect()
    }

    /// Waits until all shards are shared evenly by so many live replicas.
    pub(super) fn shared_by(&self, replicas: usize) {
        self.within(PATIENCE, &format!("{replicas} replicas share"), |shared| {
            let (table, members) = (shared.table(), shared.members());
            table.len() == replicas
                && table.keys().cloned().collect::<BTreeSet<_>>() == members
                && table.values().all(|shards| (64 / replicas..=64 / replicas + 1).contains(shards))
                && table.values().sum::<usize>() == 64
        });
    }

    pub(super) fn within(&self, limit: Duration, what: &str, check: impl Fn(&Self) -> bool) {
        wait_until(what, limit, || Ok(check(self).then_some(()))).unwrap_or_else(|error| {
            let app = self.world.api.find(&path(&self.world, "apps", "app"));
            let logs = self.logs();
            panic!(
                "{error:#}\ntable: {:?} members: {:?}\napp: {app:#?}\n{logs}",
                self.table(),
                self.members()
            )
        });
    }

    pub(super) fn logs(&self) -> String {
        let log = |number| fs::read_to_string(self.world.path(&format!("log-{number}"))).unwrap_or_default();
        (0..self.replicas.len()).map(log).collect::<Vec<_>>().join("--- the next one's log\n")
    }

    /// Commits objects with a value for the first environments.
    pub(super) fn commit(&self, value: &str, environments: usize) -> String {
        let mut files = Vec::new();
        for environment in 0..environments {
            for number in 0..self.objects {
                let name = format!("e{environment}-{number}");
                files.push((format!("app/e{environment}/{number}.yaml"), config_map(&name, value)));
            }
        }
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (&**path, &**text)).collect();
        self.world.repo.commit(&files, value).unwrap()
    }

    /// Waits until the App is Ready at a commit in so many environments.
    pub(super) fn ready(&self, revision: &str, environments: usize, limit: Duration) {
        self.within(limit, &format!("the App is Ready at {revision}"), |shared| {
            let app = shared.world.api.get(&path(&shared.world, "apps", "app")).unwrap();
            let status = &app["status"];
            let conditions = status["conditions"].as_array().map_or(&[][..], Vec::as_slice);
            let is_ready = conditions.iter().any(|one| one["type"] == "Ready" && one["status"] == "True");
            let listed = status["targets"].as_array().map_or(0, Vec::len);
            is_ready
                && status["revision"] == revision
                && listed == environments
                && status["observedGeneration"] == app["metadata"]["generation"]
        });
    }

    pub(super) fn values(&self) -> BTreeMap<String, usize> {
        let list = self.world.api.get(&self.world.config_map("")).unwrap();
        let mut values = BTreeMap::new();
        for object in list["items"].as_array().unwrap() {
            let name = object["metadata"]["name"].as_str().unwrap();
            if is_of_app(name) {
                let value = object["data"]["value"].as_str().unwrap_or_default().to_owned();
                *values.entry(value).or_default() += 1;
            }
        }
        values
    }

    /// What replicas wrote in the namespace since the mark, in the order of the answers.
    pub(super) fn writes_since(&self, mark: Mark) -> Vec<Request> {
        let mut writes = self.tried_since(mark);
        writes.retain(|write| write.status < 300);
        writes
    }

    /// The same, with what the server refused, or did not come to answer.
    pub(super) fn tried_since(&self, mark: Mark) -> Vec<Request> {
        let mut requests = played().unwrap().requests_since(mark).unwrap();
        let ours = |user: &str| self.replicas.iter().any(|replica| replica.account == user);
        requests.retain(|request| {
            request.namespace == self.world.namespace.name() && request.is_write() && ours(&request.user)
        });
        requests
    }

    /// How often each of the Apps' objects was written, and by how many replicas in all.
    fn applied_since(&self, mark: Mark) -> (BTreeMap<String, usize>, usize) {
        let (mut applied, mut by) = (BTreeMap::new(), BTreeSet::new());
        for write in self.writes_since(mark) {
            if write.resource == "configmaps" && is_of_app(&write.name) {
                *applied.entry(write.name).or_default() += 1;
                by.insert(write.user);
            }
        }
        (applied, by.len())
    }

    /// The writes of these objects, one a line.
    fn writes_of(&self, mark: Mark, names: &[&String]) -> String {
        let writes = self.writes_since(mark);
        let of: Vec<String> =
            writes.iter().filter(|write| names.contains(&&write.name)).map(in_a_line).collect();
        of.join("\n")
    }

    /// Each object was written once since the mark; gives by how many replicas.
    fn applied_once(&self, mark: Mark, environments: usize) -> usize {
        let (applied, by) = self.applied_since(mark);
        let twice = applied.iter().filter(|(_, times)| **times != 1);
        let twice: Vec<&String> = twice.map(|(name, _)| name).take(5).collect();
        let shown = || format!("{}\n{}", self.writes_of(mark, &twice), self.logs());
        assert!(twice.is_empty(), "not once:\n{}", shown());
        assert_eq!(applied.len(), environments * self.objects);
        by
    }

    /// Asks one replica by the command line.
    pub(super) fn ask(&self, number: usize, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_trueup"))
            .env("TRUEUP_SERVER", format!("http://127.0.0.1:{}", self.replicas[number].port.number()))
            .args(arguments)
            .output()
            .unwrap()
    }

    /// What the command line shows, asked of one replica.
    pub(super) fn statuses(&self, number: usize) -> Vec<Value> {
        let output = self.ask(number, &["status", "-o", "json"]);
        let all: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        all["targets"].as_array().cloned().unwrap_or_default()
    }
}

pub(super) fn in_a_line(write: &Request) -> String {
    let [received, answered] = &write.between;
    format!("{received} to {answered}: {} {} by {}: {}", write.status, write.name, write.user, write.uri)
}

pub(super) fn is_of_app(name: &str) -> bool {
    name.starts_with('e') && name.contains('-')
}

impl Drop for Shared {
    fn drop(&mut self) {
        for replica in &mut self.replicas {
            if let Some(mut child) = replica.running.take() {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }
}

#[test]
fn replicas_share_clusters_and_take_over_from_who_goes_or_is_killed() {
    let mut shared = Shared::new("replicas", 3, 4);
    for number in 0..3 {
        shared.start(number);
    }
    shared.shared_by(3);
    let plane = played().unwrap();
    let mark = plane.mark().unwrap();
    let first = shared.commit("1", CLUSTERS);
    shared.ready(&first, CLUSTERS, PATIENCE);
    let by = shared.applied_once(mark, CLUSTERS);
    assert!(by > 1, "by {by} replicas");
    for number in 0..3 {
        shared.within(PATIENCE, "each replica knows of all targets", |shared| {
            let statuses = shared.statuses(number);
            statuses.len() == CLUSTERS && statuses.iter().all(|status| status["revision"] == first)
        });
    }

    // Killed: the others go on with its clusters when its Lease has run out.
    shared.signal(2, "-KILL");
    shared.ended(2);
    let killed = Instant::now();
    let mark = plane.mark().unwrap();
    let second = shared.commit("2", CLUSTERS);
    shared.ready(&second, CLUSTERS, PATIENCE);
    let took = killed.elapsed();
    shared.shared_by(2);
    assert!(took < LEASE + Duration::from_secs(10), "{took:?}");
    shared.applied_once(mark, CLUSTERS);

    // It comes back in the same place and has its part at once, although its old Lease would still last.
    shared.signal(1, "-KILL");
    shared.ended(1);
    shared.start(1);
    shared.start(2);
    shared.shared_by(3);

    // The configuration changes for all.
    shared.add_cluster(CLUSTERS);
    let third = shared.commit("3", CLUSTERS + 1);
    shared.say_environments(CLUSTERS + 1);
    shared.ready(&third, CLUSTERS + 1, PATIENCE);

    // Who goes hands over at once.
    shared.signal(0, "-TERM");
    let asked = Instant::now();
    assert_eq!(shared.ended(0), Some(0));
    shared.shared_by(2);
    let took = asked.elapsed();
    assert!(took < LEASE, "{took:?}");
    let mark = plane.mark().unwrap();
    let fourth = shared.commit("4", CLUSTERS + 1);
    shared.ready(&fourth, CLUSTERS + 1, PATIENCE);
    shared.applied_once(mark, CLUSTERS + 1);
    assert_eq!(shared.values(), [("4".to_owned(), (CLUSTERS + 1) * 4)].into());
}

#[test]
fn a_table_of_shards_that_is_not_marked_is_told_and_taken_up_when_it_is() {
    let mut shared = Shared::new("unmarked", 1, 1);
    let table = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "trueup-shards"}});
    shared.world.api.create(&shared.leases(), &table).unwrap();
    shared.start(0);
    shared.within(PATIENCE, "it is told", |shared| {
        shared.logs().contains("there is a Lease trueup-shards without the label trueup.dev/lease=shards")
    });
    let label = json!({"metadata": {"labels": {"trueup.dev/lease": "shards"}}});
    shared.world.api.merge(&format!("{}/trueup-shards", shared.leases()), &label).unwrap();
    shared.shared_by(1);
    assert!(!shared.logs().contains("are not listed yet"), "{}", shared.logs());
}

#[test]
fn a_replica_that_was_stopped_writes_nothing_when_it_goes_on_after_its_lease() {
    let mut shared = Shared::new("replicas-paused", 2, 60);
    let plane = played().unwrap();
    shared.start(0);
    shared.shared_by(1);
    let first = shared.commit("1", CLUSTERS);
    shared.ready(&first, CLUSTERS, PATIENCE);
    // Stopped in the middle of its writes.
    let mark = plane.mark().unwrap();
    let _second = shared.commit("2", CLUSTERS);
    shared.within(PATIENCE, "it writes", |shared| shared.applied_since(mark).0.len() > 10);
    shared.signal(0, "-STOP");
    let before = shared.values();
    assert!(before.len() == 2, "it was to be stopped half-way: {before:?}");
    shared.start(1);
    shared.shared_by(1);
    let third = shared.commit("3", CLUSTERS);
    shared.ready(&third, CLUSTERS, PATIENCE);
    assert_eq!(shared.values(), [("3".to_owned(), CLUSTERS * 60)].into());

    let mark = plane.mark().unwrap();
    shared.signal(0, "-CONT");
    shared.shared_by(2);
    let fourth = shared.commit("4", CLUSTERS);
    shared.ready(&fourth, CLUSTERS, PATIENCE);
    // Until it has a Lease of its own again, and shards by it, it wrote nothing but that.
    let account = shared.replicas[0].account.clone();
    let writes = shared.writes_since(mark);
    let takes_part = writes.iter().position(|write| write.user == account && write.name == "trueup-shards");
    let takes_part = takes_part.expect("it took shards");
    let early: Vec<_> = writes[..takes_part]
        .iter()
        .filter(|write| write.user == account && write.resource != "leases")
        .map(|write| format!("{} {} {}", write.verb, write.resource, write.name))
        .collect();
    assert!(early.is_empty(), "{early:?}");
    // And nobody wrote any object but for the fourth commit, once.
    assert_eq!(shared.applied_once(mark, CLUSTERS), 2);
}

#[test]
fn a_delivery_about_a_pull_request_is_heard_by_all_replicas() {
    let mut shared = Shared::new("replicas-pulls", 2, 1);
    let forge = Forge::start();
    let secrets = format!("/api/v1/namespaces/{}/secrets", shared.world.namespace.name());
    for (name, token) in [("forge", TOKEN), ("hook", "shared")] {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"token": token}});
        shared.world.api.create(&secrets, &secret).unwrap();
    }
    shared.world.repo.commit(&[("preview/a.yaml", &config_map("preview", "1"))], "preview").unwrap();
    let set = json!({
        "generators": [{"pullRequests": {
            "gitea": {"owner": "acme", "repo": "shop", "api": forge.url()},
            "interval": "1h",
            "secretRef": {"name": "forge"},
            "webhook": {"secretRef": {"name": "hook"}},
        }}],
        "template": {"metadata": {"name": "preview-{pull.number}"},
            "spec": {"repository": "config", "path": "preview", "environments": ["e0"]}},
    });
    shared.apply("appsets", "AppSet", "previews", &set);
    shared.start(0);
    shared.start(1);
    shared.shared_by(2);
    let made = |shared: &Shared, number: usize| {
        let output = shared.ask(number, &["status", "-o", "json"]);
        let all: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        all["appSets"][0].clone()
    };
    for number in 0..2 {
        shared.within(PATIENCE, "it has asked", |shared| {
            let set = made(shared, number);
            set["state"] == "Made" && set["apps"] == json!([])
        });
    }
    forge.open(1, "topic", 'a');
    let address = format!("127.0.0.1:{}", shared.replicas[0].port.number());
    assert_eq!(forge.tell(1, &address, "a guess"), 401);
    assert_eq!(forge.tell(1, &address, "shared"), 202);
    for number in [1, 0] {
        shared.within(PATIENCE, "it has asked again", |shared| {
            made(shared, number)["apps"] == json!(["preview-1"])
        });
    }
    shared.within(PATIENCE, "the preview is there", |shared| shared.world.has("preview"));
}

/// The namespace of a cluster in a rollout.
fn space(world: &World, cluster: &str) -> String {
    format!("{}-{cluster}", world.namespace.name())
}

#[test]
fn a_rollout_goes_over_the_clusters_of_all_replicas_one_by_one() {
    let mut shared = Shared::new("replicas-rollout", 2, 0);
    // So many that hardly ever one replica has all of their shards.
    let clusters: Vec<String> = (0..CLUSTERS).map(|number| format!("c{number}")).collect();
    for cluster in &clusters {
        let name = space(&shared.world, cluster);
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        shared.world.api.create("/api/v1/namespaces", &namespace).unwrap();
        shared.world.takes_away(format!("/api/v1/namespaces/{name}"));
    }
    let fleet = json!({"clusters": {"names": clusters}, "rollout": {"maxUnavailable": 1}});
    shared.apply("environments", "Environment", "fleet", &fleet);
    let namespace = format!("{}-{{cluster}}", shared.world.namespace.name());
    let app =
        json!({"repository": "config", "path": "fleet", "environments": ["fleet"], "namespace": namespace});
    shared.apply("apps", "App", "app", &app);
    for number in 0..2 {
        shared.start(number);
    }
    shared.shared_by(2);
    for round in ["1", "2"] {
        let mark = played().unwrap().mark().unwrap();
        let files: Vec<(String, String)> = (0..3)
            .map(|number| (format!("fleet/{number}.yaml"), config_map(&format!("e-{number}"), round)))
            .collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (&**path, &**text)).collect();
        let revision = shared.world.repo.commit(&files, round).unwrap();
        shared.ready(&revision, clusters.len(), PATIENCE);
        let requests = played().unwrap().requests_since(mark).unwrap();
        let (mut order, mut by) = (Vec::new(), BTreeSet::new());
        for write in requests.iter().filter(|request| request.is_write() && is_of_app(&request.name)) {
            if write.namespace.starts_with(&space(&shared.world, ""))
                && order.last() != Some(&write.namespace)
            {
                order.push(write.namespace.clone());
                by.insert(write.user.clone());
            }
        }
        let each: BTreeSet<&String> = order.iter().collect();
        assert_eq!(
            (order.len(), each.len()),
            (clusters.len(), clusters.len()),
            "one after another: {order:?}"
        );
        assert_eq!(by.len(), 2, "both replicas have some of them");
    }
}

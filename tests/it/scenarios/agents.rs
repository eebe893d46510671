//! An agent keeps a cluster from within, for a hub that has nothing that leads there.
//!
//! The hub and the leaf are two API servers, or two sandboxes. The hub has the configuration; the agent is a process of its own, which
//! knows the hub's address and a token, and the kubeconfig of the leaf.

use super::custom::path;
use super::governed::{Governed, apply_chart, condition, is};
use super::ground::{Cluster, Ground, on_the_api_server_only, scenarios};
use super::harness::{PATIENCE, World, config_map};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use trueup_testkit::{Api, Namespace, Options, Port, TlsFront, wait_until};

scenarios![
    an_agent_keeps_its_cluster_and_says_how_it_stands,
    an_agent_goes_on_while_its_hub_is_away_also_over_a_start,
    an_agent_that_is_not_heard_is_told_of_and_an_app_does_not_wait_for_it_for_ever,
    only_an_agent_with_the_right_token_speaks_for_a_cluster,
    an_agent_asks_its_hub_before_it_begins_or_deletes,
    the_rights_of_the_chart_are_enough_for_an_agent,
    another_agent_goes_on_when_one_is_gone,
    whichever_replica_of_the_hub_is_asked_the_one_that_keeps_the_cluster_hears,
    an_agent_speaks_through_tls_to_a_hub_whose_certificate_it_trusts,
];

on_the_api_server_only![
    "Sandboxes of the same seed give out the same uids, by which clusters are told apart.":
        an_agent_in_the_wrong_cluster_takes_nothing_over;
];

const TOKEN: &str = "an-agent-s-token-of-some-length";

/// A hub with a Cluster `edge`, and the leaf that this is.
struct Edge {
    hub: Governed,
    leaf: Cluster,
    namespace: Namespace,
    /// Where agents find the hub.
    url: String,
    /// What they are told to trust besides the system's authorities, a file with PEM.
    authority: Option<PathBuf>,
    agents: Vec<Agent>,
}

/// An agent.
struct Agent {
    name: String,
    port: Port,
    running: Option<Child>,
}

impl Edge {
    fn new(ground: Ground, hint: &str) -> Self {
        Self::in_two(ground, hint, &ground.start(Options::default()))
    }

    /// With this one as the leaf.
    fn in_two(ground: Ground, hint: &str, leaf: &Cluster) -> Self {
        let hub = Governed::new(ground, hint);
        let namespace = leaf.namespace(hint);
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "edge"}, "stringData": {"token": TOKEN}});
        let secrets = format!("/api/v1/namespaces/{}/secrets", hub.world.namespace.name());
        hub.world.api.create(&secrets, &secret).unwrap();
        hub.apply("clusters", "Cluster", "edge", &json!({"agent": {"secretRef": {"name": "edge"}}}));
        let environment = json!({"cluster": "edge", "namespace": namespace.name()});
        hub.apply("environments", "Environment", "edge", &environment);
        hub.apply("apps", "App", "app", &app(&["edge"]));
        let url = format!("http://{}", hub.world.address());
        Self { hub, leaf: leaf.clone(), namespace, url, authority: None, agents: Vec::new() }
    }

    fn world(&self) -> &World {
        &self.hub.world
    }

    /// Starts an agent; what it works with is its own, and is there again when it is started anew.
    fn start_agent(&mut self, name: &str, token: &str) {
        let (leaf, namespace) = (self.leaf.kubeconfig(), self.namespace.name().to_owned());
        self.start_agent_in(name, token, (&leaf, &namespace));
    }

    fn start_agent_in(&mut self, name: &str, token: &str, (kubeconfig, namespace): (&Path, &str)) {
        if !self.agents.iter().any(|agent| agent.name == name) {
            let port = Port::claim().unwrap();
            self.agents.push(Agent { name: name.to_owned(), port, running: None });
        }
        let file = self.world().path(&format!("{name}.token"));
        fs::write(&file, format!("{token}\n")).unwrap();
        let log = self.world().path(&format!("{name}.log"));
        let log = fs::File::options().create(true).append(true).open(log).unwrap();
        let (hub, authority) = (self.url.clone(), self.authority.clone());
        let state = self.world().path(&format!("{name}.state"));
        let agent = self.agents.iter_mut().find(|agent| agent.name == name).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_trueup"));
        command.env_remove("TRUEUP_SERVER").arg("--state").arg(state);
        command.args(["agent", "--hub", &hub, "--cluster", "edge", "--token-file"]).arg(file);
        command.arg("--kubeconfig").arg(kubeconfig).args(["--namespace", namespace]);
        command.args(["--listen", &format!("127.0.0.1:{}", agent.port.number()), "--lease-duration", "10s"]);
        if let Some(authority) = authority {
            command.arg("--hub-ca").arg(authority);
        }
        let spawned = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn();
        agent.running = Some(spawned.unwrap());
    }

    /// Ends an agent, as a crash would.
    fn kill_agent(&mut self, name: &str) {
        let agent = self.agents.iter_mut().find(|agent| agent.name == name).unwrap();
        agent.kill();
    }

    fn leaf(&self) -> &Api {
        self.leaf.api()
    }

    fn config_map(&self, name: &str) -> String {
        format!("/api/v1/namespaces/{}/configmaps/{name}", self.namespace.name())
    }

    fn value(&self, name: &str) -> Option<String> {
        let found = self.leaf().find(&self.config_map(name)).ok()??;
        found["data"]["value"].as_str().map(str::to_owned)
    }

    fn log(&self, name: &str) -> String {
        fs::read_to_string(self.world().path(&format!("{name}.log"))).unwrap_or_default()
    }

    /// Waits until something holds.
    fn holds(&self, what: &str, check: impl Fn(&Self) -> bool) {
        wait_until(what, PATIENCE, || Ok(check(self).then_some(()))).unwrap_or_else(|error| {
            let logs: Vec<String> = self.agents.iter().map(|agent| self.log(&agent.name)).collect();
            let hub = fs::read_to_string(self.world().path("log")).unwrap_or_default();
            panic!(
                "{error:#}\nstatus: {:#?}\nhub:\n{hub}\nagents:\n{}",
                self.world().status("app@edge"),
                logs.join("\n")
            )
        });
    }

    /// Waits until the target is Synced and Healthy at a commit, as the hub says.
    fn synced(&self, revision: &str) {
        self.holds(&format!("app@edge is Synced at {revision}"), |edge| {
            edge.world().status("app@edge").is_some_and(|status| {
                status["revision"] == revision && status["sync"] == "Synced" && status["health"] == "Healthy"
            })
        });
    }

    fn cluster(&self, what: &str, wanted: impl Fn(&Value) -> bool) {
        self.holds(what, |edge| wanted(&edge.hub.get("clusters", "edge")));
    }
}

impl Agent {
    fn kill(&mut self) {
        if let Some(mut child) = self.running.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        self.agents.iter_mut().for_each(Agent::kill);
    }
}

fn app(environments: &[&str]) -> Value {
    json!({"repository": "config", "path": "app", "environments": environments})
}

fn commit(edge: &Edge, value: &str) -> String {
    edge.world().repo.commit(&[("app/a.yaml", &config_map("a", value))], value).unwrap()
}

fn an_agent_keeps_its_cluster_and_says_how_it_stands(ground: Ground) {
    let mut edge = Edge::new(ground, "agent-life");
    let first = commit(&edge, "1");
    edge.hub.start();
    edge.cluster("the agent is missed", |cluster| {
        condition(cluster, "Ready")["message"]
            .as_str()
            .is_some_and(|message| message.contains("was not heard yet"))
    });
    edge.start_agent("agent", TOKEN);
    edge.synced(&first);
    assert_eq!(edge.value("a").as_deref(), Some("1"));
    assert!(edge.world().api.find(&edge.config_map("a")).unwrap().is_none(), "it is on the leaf alone");
    edge.cluster("the Cluster is Ready with its version", |cluster| {
        is(cluster, "Ready", "True")
            && cluster["status"]["version"].as_str().is_some_and(|version| version.starts_with('v'))
    });
    edge.hub.until("apps", "app", "the App is Ready", |app| is(app, "Ready", "True"));

    let second = commit(&edge, "2");
    edge.synced(&second);
    assert_eq!(edge.value("a").as_deref(), Some("2"));
    edge.leaf().merge(&edge.config_map("a"), &json!({"data": {"value": "drifted"}})).unwrap();
    edge.holds("the drift is put right", |edge| edge.value("a").as_deref() == Some("2"));

    // What people ask of the hub is done by the agent.
    let synced = edge.world().trueup(&["sync", "app@edge"]);
    assert!(synced.status.success(), "{synced:?}");
    let diff = edge.world().trueup(&["diff", "app@edge", "--revision", &first]);
    let shown = String::from_utf8_lossy(&diff.stdout).into_owned();
    assert!(diff.status.code() == Some(1) && shown.contains("ConfigMap"), "{diff:?}");
    edge.holds("the history of both commits is known at the hub", |edge| {
        let history = edge.world().trueup(&["history", "app@edge", "-o", "json"]);
        let told: Value = serde_json::from_slice(&history.stdout).unwrap_or_default();
        let of = |revision: &str| {
            let entries = told["history"].as_array().map_or(&[][..], Vec::as_slice);
            entries
                .iter()
                .filter(|entry| entry["revision"] == revision && entry["trigger"] == "commit")
                .count()
        };
        of(&second) == 1
    });

    // An App that goes takes along what it applied.
    let mut pruned = app(&["edge"]);
    pruned["deletionPolicy"] = json!("Delete");
    edge.hub.apply("apps", "App", "app", &pruned);
    edge.hub.until("apps", "app", "it is held", |app| {
        app["metadata"]["finalizers"].as_array().is_some_and(|all| !all.is_empty())
            && is(app, "Ready", "True")
    });
    edge.world().api.delete(&path(edge.world(), "apps", "app")).unwrap();
    edge.holds("all of it is gone", |edge| {
        edge.value("a").is_none()
            && edge.world().api.find(&path(edge.world(), "apps", "app")).unwrap().is_none()
    });
}

fn an_agent_goes_on_while_its_hub_is_away_also_over_a_start(ground: Ground) {
    let mut edge = Edge::new(ground, "agent-alone");
    let first = commit(&edge, "1");
    edge.hub.start();
    edge.start_agent("agent", TOKEN);
    edge.synced(&first);
    edge.hub.world.kill();

    commit(&edge, "2");
    edge.holds("a commit is applied without the hub", |edge| edge.value("a").as_deref() == Some("2"));
    edge.kill_agent("agent");
    // Another pod has nothing of the former one.
    fs::remove_dir_all(edge.world().path("agent.state")).unwrap();
    commit(&edge, "3");
    edge.start_agent("agent", TOKEN);
    edge.holds("and over a start", |edge| edge.value("a").as_deref() == Some("3"));
    edge.leaf().delete(&edge.config_map("a")).unwrap();
    edge.holds("drift is put right without the hub", |edge| edge.value("a").as_deref() == Some("3"));

    let fourth = commit(&edge, "4");
    edge.hub.start();
    edge.synced(&fourth);
    let history = edge.world().trueup(&["history", "app@edge", "-o", "json"]);
    let told: Value = serde_json::from_slice(&history.stdout).unwrap();
    let entries = told["history"].as_array().unwrap();
    assert!(entries.len() >= 2, "what was done meanwhile is known: {told:#}");
}

fn an_agent_that_is_not_heard_is_told_of_and_an_app_does_not_wait_for_it_for_ever(ground: Ground) {
    let mut edge = Edge::new(ground, "agent-silent");
    let mut pruned = app(&["test", "edge"]);
    pruned["deletionPolicy"] = json!("Delete");
    edge.hub.apply("apps", "App", "app", &pruned);
    let first = commit(&edge, "1");
    edge.hub.start_with(&["--deletion-timeout", "80s"]);
    edge.start_agent("agent", TOKEN);
    edge.synced(&first);
    edge.kill_agent("agent");
    edge.holds("its targets are Unknown", |edge| {
        edge.world().status("app@edge").is_some_and(|status| {
            status["sync"] == "Unknown"
                && status["message"].as_str().is_some_and(|message| message.contains("was last heard at"))
        })
    });
    edge.cluster("its Cluster is not Ready", |cluster| is(cluster, "Ready", "False"));
    let sync = edge.world().trueup(&["sync", "app@edge"]);
    let said = String::from_utf8_lossy(&sync.stderr).into_owned();
    assert!(!sync.status.success() && said.contains("was last heard at"), "{sync:?}");
    assert_eq!(edge.world().status("app@test").unwrap()["sync"], "Synced", "nothing else stops");

    edge.start_agent("agent", TOKEN);
    edge.synced(&first);
    edge.kill_agent("agent");
    edge.world().api.delete(&path(edge.world(), "apps", "app")).unwrap();
    edge.holds("the App goes", |edge| {
        edge.world().api.find(&path(edge.world(), "apps", "app")).unwrap().is_none()
    });
    assert_eq!(edge.value("a").as_deref(), Some("1"), "what could not be pruned is left");
}

fn only_an_agent_with_the_right_token_speaks_for_a_cluster(ground: Ground) {
    let mut edge = Edge::new(ground, "agent-token");
    let first = commit(&edge, "1");
    edge.hub.start();
    edge.start_agent("agent", "not-the-token-of-this-cluster");
    edge.holds("it is refused", |edge| {
        edge.log("agent").contains("there is no agent for cluster edge with this token")
    });
    assert!(edge.value("a").is_none());
    // The token is read anew each time.
    fs::write(edge.world().path("agent.token"), TOKEN).unwrap();
    edge.synced(&first);

    // A rotated token counts at once on both sides.
    let secret = format!("/api/v1/namespaces/{}/secrets/edge", edge.world().namespace.name());
    edge.world()
        .api
        .merge(&secret, &json!({"stringData": {"token": "another-token-of-some-length"}}))
        .unwrap();
    fs::write(edge.world().path("agent.token"), "another-token-of-some-length").unwrap();
    let third = commit(&edge, "3");
    edge.synced(&third);
    let log = fs::read_to_string(edge.world().path("log")).unwrap();
    assert!(!log.contains("was last heard at"), "it was never away: {log}");
}

fn an_agent_speaks_through_tls_to_a_hub_whose_certificate_it_trusts(ground: Ground) {
    let mut edge = Edge::new(ground, "agent-tls");
    let front = TlsFront::start(&edge.world().address()).unwrap();
    edge.url = front.url();
    let first = commit(&edge, "1");
    edge.hub.start();
    edge.start_agent("agent", TOKEN);
    edge.holds("a certificate of an authority that nobody knows is not trusted", |edge| {
        edge.log("agent").contains("the hub cannot be asked") && edge.log("agent").contains("certificate")
    });
    assert!(edge.value("a").is_none());
    assert!(!edge.log("agent").contains(TOKEN), "the token is in no log");
    edge.kill_agent("agent");

    let authority = edge.world().path("hub.ca");
    fs::write(&authority, front.authority()).unwrap();
    edge.authority = Some(authority);
    edge.start_agent("agent", TOKEN);
    edge.synced(&first);
    let second = commit(&edge, "2");
    edge.synced(&second);
    assert_eq!(edge.value("a").as_deref(), Some("2"));

    // What stands before the hub goes away.
    drop(front);
    commit(&edge, "3");
    edge.holds("a commit is applied without the hub", |edge| edge.value("a").as_deref() == Some("3"));
}

fn an_agent_in_the_wrong_cluster_takes_nothing_over(ground: Ground) {
    let mut edge = Edge::new(ground, "agent-stray");
    let first = commit(&edge, "1");
    edge.hub.start();
    edge.start_agent("agent", TOKEN);
    edge.synced(&first);
    // One that was set up for the wrong cluster with the right token takes nothing over.
    let world = &edge.hub.world;
    let (kubeconfig, namespace) = (world.kubeconfig().to_owned(), world.namespace.name().to_owned());
    edge.start_agent_in("stray", TOKEN, (&kubeconfig, &namespace));
    edge.holds("the second one is refused", |edge| {
        edge.log("stray").contains("speaks for edge; this one has")
    });
    let second = commit(&edge, "2");
    edge.synced(&second);
    let stray = format!("/api/v1/namespaces/{namespace}/configmaps/a");
    assert!(edge.world().api.find(&stray).unwrap().is_none());
}

fn an_agent_asks_its_hub_before_it_begins_or_deletes(ground: Ground) {
    let mut edge = Edge::new(ground, "agent-asks");
    // Nobody can reach the cluster that goes first.
    edge.hub.apply("clusters", "Cluster", "first", &json!({"secretRef": {"name": "nowhere"}}));
    let none = json!({"clusters": {"names": ["first", "edge"]}, "namespace": edge.namespace.name()});
    let mut waves = none.clone();
    waves["rollout"] = json!({"waves": [{"names": ["first"]}]});
    edge.hub.apply("environments", "Environment", "all", &waves);
    edge.hub.apply("apps", "App", "app", &app(&["all"]));
    let name = "app@all/edge";
    let status = |edge: &Edge| edge.world().status(name).unwrap_or_default();
    let files = ["a", "b", "c"].map(|name| (format!("app/{name}.yaml"), config_map(name, "1")));
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (&**path, &**text)).collect();
    edge.world().repo.commit(&files, "first").unwrap();
    edge.hub.start();
    edge.start_agent("agent", TOKEN);
    edge.holds("it waits for the cluster that goes first", |edge| {
        let status = status(edge);
        status["sync"] == "OutOfSync"
            && status["message"].as_str().is_some_and(|message| message.contains("first"))
    });
    assert!(edge.value("a").is_none());
    edge.hub.apply("environments", "Environment", "all", &none);
    edge.holds("nothing goes first any more", |edge| {
        status(edge)["sync"] == "Synced" && edge.value("c").is_some()
    });

    let url = edge.hub.server.url("config.git");
    let repository = json!({"url": url, "interval": "300ms", "maxPrune": 1});
    edge.hub.apply("repositories", "Repository", "config", &repository);
    edge.hub.until("repositories", "config", "the budget is known", |one| is(one, "Ready", "True"));
    let second = edge.world().repo.remove(&["app/b.yaml", "app/c.yaml"], "second").unwrap();
    let held = || {
        let shown = edge.world().trueup(&["status", "-o", "json"]).stdout;
        let all: Value = serde_json::from_slice(&shown).unwrap_or_default();
        all["heldDeletions"][0]["code"].as_str().map(str::to_owned)
    };
    edge.holds("both deletions are held", |_| held().is_some());
    assert!(edge.value("b").is_some() && edge.value("c").is_some());
    let confirmed = edge.world().trueup(&["sync", name, "--confirm-prune", &held().unwrap()]);
    assert!(confirmed.status.success(), "{confirmed:?}");
    edge.holds("they are done", |edge| {
        edge.value("b").is_none() && edge.value("c").is_none() && status(edge)["revision"] == second.as_str()
    });
}

fn the_rights_of_the_chart_are_enough_for_an_agent(ground: Ground) {
    let mut edge = Edge::new(ground, "agent-chart");
    let namespace = edge.namespace.name().to_owned();
    let values = edge.world().path("values.yaml");
    let rules = "{apiGroups: [''], resources: [configmaps]}";
    let rbac = format!("rbac: {{scope: namespaces, namespaces: [{namespace}], rules: [{rules}]}}");
    let agent = "agent: {hub: 'https://trueup.example.com', cluster: edge, existingSecret: edge}";
    fs::write(&values, format!("{rbac}\n{agent}\n")).unwrap();
    let beside =
        apply_chart(edge.world(), (edge.leaf(), &namespace), &["--values", values.to_str().unwrap()]);
    assert_eq!(beside, [""; 0], "nothing is outside of the namespace");
    let kubeconfig = edge.leaf().as_account(&edge.leaf.kubeconfig(), &namespace, "trueup").unwrap();
    let file = edge.world().path("agent.kubeconfig");
    fs::write(&file, kubeconfig.to_string()).unwrap();
    let first = commit(&edge, "1");
    edge.hub.start();
    edge.start_agent_in("agent", TOKEN, (&file, &namespace));
    edge.synced(&first);
    edge.hub.world.kill();
    edge.kill_agent("agent");
    commit(&edge, "2");
    edge.start_agent_in("agent", TOKEN, (&file, &namespace));
    edge.holds("what the hub said last was kept", |edge| edge.value("a").as_deref() == Some("2"));
    assert!(!edge.log("agent").contains("forbidden"), "{}", edge.log("agent"));
}

fn another_agent_goes_on_when_one_is_gone(ground: Ground) {
    let mut edge = Edge::new(ground, "agent-two");
    let first = commit(&edge, "1");
    edge.hub.start();
    edge.start_agent("one", TOKEN);
    edge.synced(&first);
    edge.start_agent("two", TOKEN);
    edge.holds("the second one takes part", |edge| edge.log("two").contains("takes part"));
    // All shards but those of the other one may move; the cluster is in one of them, so it moves at most once.
    let second = commit(&edge, "2");
    edge.synced(&second);
    edge.kill_agent("one");
    let third = commit(&edge, "3");
    edge.synced(&third);
    edge.start_agent("one", TOKEN);
    edge.kill_agent("two");
    let fourth = commit(&edge, "4");
    edge.synced(&fourth);
}

fn whichever_replica_of_the_hub_is_asked_the_one_that_keeps_the_cluster_hears(ground: Ground) {
    let mut edge = Edge::new(ground, "agent-replicas");
    let first = commit(&edge, "1");
    edge.hub.start();
    let port = Port::claim().unwrap();
    let other = format!("127.0.0.1:{}", port.number());
    let world = edge.world();
    let log = fs::File::create(world.path("other.log")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_trueup"));
    command.env_remove("TRUEUP_SERVER").arg("--state").arg(world.path("other.state"));
    command.args(["run", "--config-from-cluster", "--listen", &other]);
    command.args(["--namespace", world.namespace.name()]).arg("--kubeconfig").arg(world.kubeconfig());
    let running = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
    // It ends as agents do.
    edge.agents.push(Agent { name: "other".to_owned(), port, running: Some(running) });
    edge.holds("each replica has its part", |edge| edge.log("other").contains("takes shards"));

    edge.start_agent("agent", TOKEN);
    edge.synced(&first);
    edge.kill_agent("agent");
    // One of the two has to pass on what it is told.
    edge.url = format!("http://{other}");
    edge.start_agent("agent", TOKEN);
    let second = commit(&edge, "2");
    edge.synced(&second);
    let synced = edge.world().trueup(&["sync", "app@edge"]);
    assert!(synced.status.success(), "{synced:?}");
    edge.hub.until("apps", "app", "the App is Ready", |app| is(app, "Ready", "True"));
}

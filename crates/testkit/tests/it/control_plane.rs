use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{env, fs};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use trueup_testkit::{Api, Components, ControlPlane, Options, Request, User, played, shared, wait_until};

const LONG: Duration = Duration::from_mins(1);

#[test]
fn two_control_planes_run_side_by_side_and_know_nothing_of_each_other() -> Result<()> {
    let options = || Options { components: Components::ApiOnly, ..Options::default() };
    let (one, two) = (ControlPlane::start(options())?, ControlPlane::start(options())?);
    one.api().create("/api/v1/namespaces/default/configmaps", &config_map("only-in-one"))?;
    let path = "/api/v1/namespaces/default/configmaps/only-in-one";
    assert_eq!(one.api().get(path)?["data"]["key"], "value");
    assert_eq!(two.api().find(path)?, None);
    Ok(())
}

#[test]
fn a_deployment_rolls_out_and_a_job_completes() -> Result<()> {
    let plane = played()?;
    let space = plane.namespace("rollout")?;
    let deployments = format!("/apis/apps/v1/namespaces/{}/deployments", space.name());
    let jobs = format!("/apis/batch/v1/namespaces/{}/jobs", space.name());
    plane.api().create(&deployments, &deployment("web", None))?;
    plane.api().create(&jobs, &job("migrate", None))?;
    reaches(plane.api(), &format!("{deployments}/web"), "/status/readyReplicas", &json!(2))?;
    reaches(plane.api(), &format!("{jobs}/migrate"), "/status/succeeded", &json!(1))
}

#[test]
fn a_pod_meets_the_fate_that_it_is_labelled_with() -> Result<()> {
    let plane = played()?;
    let space = plane.namespace("fates")?;
    let deployments = format!("/apis/apps/v1/namespaces/{}/deployments", space.name());
    let fates =
        [("image-pull", "ImagePullBackOff"), ("crash", "CrashLoopBackOff"), ("hang", "ContainerCreating")];
    for (fate, _) in fates {
        plane.api().create(&deployments, &deployment(fate, Some(fate)))?;
    }
    for (fate, reason) in fates {
        let pods = format!("/api/v1/namespaces/{}/pods?labelSelector=app%3D{fate}", space.name());
        let reason_of = "/items/0/status/containerStatuses/0/state/waiting/reason";
        reaches(plane.api(), &pods, reason_of, &json!(reason))?;
    }
    let jobs = format!("/apis/batch/v1/namespaces/{}/jobs", space.name());
    plane.api().create(&jobs, &job("broken", Some("fail")))?;
    reaches(plane.api(), &format!("{jobs}/broken"), "/status/failed", &json!(1))
}

#[test]
fn load_balancers_and_ingresses_get_an_address_and_autoscalers_a_status() -> Result<()> {
    let plane = played()?;
    let space = plane.namespace("addresses")?;
    let services = format!("/api/v1/namespaces/{}/services", space.name());
    let spec = json!({"type": "LoadBalancer", "selector": {"app": "web"}, "ports": [{"port": 80}]});
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": spec});
    plane.api().create(&services, &service)?;
    let ingresses = format!("/apis/networking.k8s.io/v1/namespaces/{}/ingresses", space.name());
    let backend = json!({"service": {"name": "web", "port": {"number": 80}}});
    let ingress = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "web"},
        "spec": {"defaultBackend": backend}});
    plane.api().create(&ingresses, &ingress)?;
    let scalers = format!("/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers", space.name());
    let scaler = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web"},
        "spec": {"maxReplicas": 5, "minReplicas": 2,
                 "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}}});
    plane.api().create(&scalers, &scaler)?;
    let address = "/status/loadBalancer/ingress/0/ip";
    reaches(plane.api(), &format!("{services}/web"), address, &json!("203.0.113.10"))?;
    reaches(plane.api(), &format!("{ingresses}/web"), address, &json!("203.0.113.20"))?;
    reaches(plane.api(), &format!("{scalers}/web"), "/status/conditions/1/status", &json!("True"))
}

#[test]
fn a_deleted_namespace_goes() -> Result<()> {
    let plane = shared()?;
    let space = plane.namespace("short-lived")?;
    let path = format!("/api/v1/namespaces/{}", space.name());
    drop(space);
    wait_until("the namespace is gone", LONG, || Ok(plane.api().find(&path)?.is_none().then_some(())))
}

#[test]
fn an_api_server_comes_back_on_its_port_with_its_data() -> Result<()> {
    let plane = ControlPlane::start(Options { components: Components::ApiOnly, ..Options::default() })?;
    plane.api().create("/api/v1/namespaces/default/configmaps", &config_map("kept"))?;
    plane.stop_api_server()?;
    assert!(plane.api().get("/version").is_err(), "a stopped API server answers");
    plane.start_api_server()?;
    assert_eq!(plane.api().get("/api/v1/namespaces/default/configmaps/kept")?["data"]["key"], "value");
    Ok(())
}

#[test]
fn the_controllers_go_on_when_the_api_server_has_come_back() -> Result<()> {
    let plane = ControlPlane::start(Options::default())?;
    plane.stop_api_server()?;
    plane.start_api_server()?;
    let deployments = "/apis/apps/v1/namespaces/default/deployments";
    plane.api().create(deployments, &deployment("web", None))?;
    reaches(plane.api(), &format!("{deployments}/web"), "/status/readyReplicas", &json!(2))
}

#[test]
fn a_further_user_has_no_rights_until_they_are_bound() -> Result<()> {
    let users = vec![User::named("deployer")];
    let plane =
        ControlPlane::start(Options { components: Components::ApiOnly, users, ..Options::default() })?;
    let deployer = Api::from_kubeconfig(&plane.kubeconfig_for("deployer")?)?;
    let refused = deployer.get("/api/v1/namespaces/default/configmaps").err().context("it was allowed")?;
    assert!(refused.to_string().contains("deployer"), "{refused}");
    // The aggregated roles (view, edit, admin) are filled by the controller manager, which does not run here.
    let rights = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "deployer"},
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}],
    });
    plane.api().create("/apis/rbac.authorization.k8s.io/v1/clusterroles", &rights)?;
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "deployer"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "deployer"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "deployer"}],
    });
    plane.api().create("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", &binding)?;
    wait_until("the binding is seen", LONG, || {
        deployer.get("/api/v1/namespaces/default/configmaps").map(Some)
    })?;
    Ok(())
}

#[test]
fn requests_are_counted_but_for_our_own() -> Result<()> {
    let plane = played()?;
    let space = plane.namespace("counted")?;
    let path = format!("/api/v1/namespaces/{}/configmaps", space.name());
    let mark = plane.mark()?;
    plane.api().create(&path, &config_map("by-testkit"))?;
    for name in ["a", "b", "c"] {
        create_as_another_client(plane, &path, &config_map(name))?;
    }
    let mut seen: Vec<String> = plane
        .requests_since(mark)?
        .into_iter()
        .filter(|request| request.namespace == space.name() && request.user == "admin")
        .filter(Request::is_write)
        .map(|request| format!("{} {} {} {}", request.verb, request.resource, request.name, request.status))
        .collect();
    seen.sort();
    assert_eq!(seen, ["create configmaps a 201", "create configmaps b 201", "create configmaps c 201"]);
    Ok(())
}

#[test]
fn nothing_is_left_when_the_owner_is_killed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut owner = Command::new(env!("CARGO_BIN_EXE_control-plane"))
        .args(["--components", "api-only", "--dir"])
        .arg(folder.path().join("out"))
        .env("TMPDIR", folder.path())
        .stdout(Stdio::piped())
        .spawn()?;
    let kubeconfig = read_until_ready(&mut owner)?;
    Api::from_kubeconfig(Path::new(&kubeconfig))?.get("/readyz")?;
    assert!(
        !processes_naming(folder.path())?.is_empty(),
        "no process names its folder: this test sees nothing"
    );
    owner.kill()?;
    owner.wait()?;
    wait_until("every process is gone", Duration::from_secs(10), || {
        Ok(processes_naming(folder.path())?.is_empty().then_some(()))
    })?;
    let left = fs::read_dir(folder.path())?
        .filter_map(|entry| entry.ok().and_then(|entry| entry.file_name().into_string().ok()))
        .filter(|name| name.starts_with("trueup-control-plane"))
        .collect::<Vec<_>>();
    assert!(left.is_empty(), "left behind: {left:?}");
    Ok(())
}

#[test]
fn nothing_is_left_when_a_test_panics() -> Result<()> {
    let panicked = std::thread::spawn(|| {
        let plane = ControlPlane::start(Options { components: Components::ApiOnly, ..Options::default() })
            .map_err(|error| format!("{error:#}"))?;
        let folder = plane.folder().map_err(|error| error.to_string())?.to_owned();
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _held = plane;
            panic!("on purpose");
        }))
        .err()
        .ok_or("no panic")?;
        Ok::<_, String>(folder)
    });
    let folder =
        panicked.join().map_err(|_| anyhow::anyhow!("the thread panicked"))?.map_err(anyhow::Error::msg)?;
    assert_eq!(processes_naming(&folder)?, Vec::<String>::new());
    wait_until("the folder is removed", Duration::from_secs(5), || Ok((!folder.exists()).then_some(())))
}

#[test]
fn a_given_cluster_is_used_but_never_stopped() -> Result<()> {
    let own = ControlPlane::start(Options { components: Components::ApiOnly, ..Options::default() })?;
    let given = ControlPlane::given(own.kubeconfig())?;
    let space = given.namespace("theirs")?;
    assert!(own.api().find(&format!("/api/v1/namespaces/{}", space.name()))?.is_some());
    let refused = given.stop_api_server().err().context("it was stopped")?;
    assert!(refused.to_string().contains("TRUEUP_TEST_KUBECONFIG"), "{refused}");
    Ok(())
}

/// Waits until the value at a JSON pointer is `expected`.
fn reaches(api: &Api, path: &str, pointer: &str, expected: &Value) -> Result<()> {
    wait_until(&format!("{pointer} of {path} is {expected}"), LONG, || {
        let object = api.get(path)?;
        let seen = object.pointer(pointer);
        anyhow::ensure!(seen == Some(expected), "{pointer} is {seen:?}; status {}", object["status"]);
        Ok(Some(()))
    })
}

fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"key": "value"}})
}

fn deployment(name: &str, fate: Option<&str>) -> Value {
    let mut labels = json!({"app": name});
    if let Some(fate) = fate {
        labels["testkit.trueup.dev/fate"] = json!(fate);
    }
    let containers = json!([{"name": "main", "image": "registry.example.com/web:1"}]);
    let template = json!({"metadata": {"labels": labels}, "spec": {"containers": containers}});
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": name}}, "template": template}})
}

fn job(name: &str, fate: Option<&str>) -> Value {
    let annotations = fate.map_or(json!({}), |fate| json!({"testkit.trueup.dev/fate": fate}));
    let spec = json!({"restartPolicy": "Never", "containers": [{"name": "main", "image": "registry.example.com/job:1"}]});
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name},
        "spec": {"backoffLimit": 0, "template": {"metadata": {"annotations": annotations}, "spec": spec}}})
}

/// A create by a client that does not say that it is the testkit's.
fn create_as_another_client(plane: &ControlPlane, path: &str, object: &Value) -> Result<()> {
    let client = plane.api().client();
    let request = http::Request::post(path)
        .header("user-agent", "somebody/1.0")
        .header("content-type", "application/json")
        .body(serde_json::to_vec(object)?)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { client.request::<Value>(request).await })?;
    Ok(())
}

/// Reads what the program prints up to `ready`; gives the kubeconfig's path.
fn read_until_ready(owner: &mut Child) -> Result<String> {
    let mut lines = BufReader::new(owner.stdout.take().context("no pipe")?).lines();
    let kubeconfig = lines.next().context("it printed nothing")??;
    let ready = lines.next().context("it was never ready")??;
    assert_eq!(ready, "ready");
    Ok(kubeconfig)
}

/// The command lines of running processes that name a folder.
fn processes_naming(folder: &Path) -> Result<Vec<String>> {
    let name = folder.display().to_string();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").context("this test needs /proc")? {
        // A process may end between being listed and being read.
        let Ok(line) = fs::read(entry?.path().join("cmdline")) else { continue };
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        // The shell that removes the folder names it too, and ends last.
        if line.contains(&name)
            && !line.contains("rm -rf")
            && !line.starts_with(&*env::args().next().unwrap_or_default())
        {
            found.push(line);
        }
    }
    Ok(found)
}

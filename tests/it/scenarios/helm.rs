//! Charts as targets: they are synced, changed by values and versions, put back and pruned; their hooks run; and they come from
//! the App's repository, from a chart repository and from a registry.

use super::ground::{Ground, scenarios};
use super::harness::World;
use crate::source::charts::push;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};
use std::process::Command;
use trueup_testkit::{Access, FileServer, Registry, RegistryAccess, Transport};

scenarios![
    a_web_server_s_chart_lives_as_git_says,
    a_proxy_s_chart_lives_as_git_says,
    an_exporter_s_chart_lives_as_git_says,
    hooks_run_once_for_each_change_at_their_moments_and_a_test_never,
    a_hook_that_fails_stops_its_target_and_says_why,
    a_hook_that_fails_tells_the_last_words_of_its_pod,
    a_chart_of_a_repository_follows_its_range_and_stays_when_the_repository_is_away,
    a_chart_of_a_registry_is_synced_and_a_version_that_is_named_is_asked_for_once,
    what_a_chart_makes_of_chance_stays_until_its_seed_is_taken_away,
    a_kustomization_changes_what_a_chart_makes,
    charts_of_a_kustomization_come_from_the_repository_and_from_elsewhere,
    what_a_chart_asks_for_and_does_not_hold_is_fetched_and_told,
];

/// A configuration whose App has this in its `helm`.
pub(super) fn configure(world: &World, helm: &str) {
    let text = world.configuration("", world.namespace.name());
    world.write_configuration(&text.replace("path: app,", &format!("helm: {{{helm}}},")));
}

/// The objects of a kind in the namespace.
pub(super) fn objects(world: &World, collection: &str) -> Vec<Value> {
    let (root, plural) = collection.rsplit_once('/').unwrap();
    let list = world.api.get(&format!("{root}/namespaces/{}/{plural}", world.namespace.name())).unwrap();
    list["items"].as_array().unwrap().clone()
}

pub(super) fn names(objects: &[Value]) -> Vec<&str> {
    objects.iter().map(|object| object["metadata"]["name"].as_str().unwrap()).collect()
}

/// Where renderings of real charts are, which are no part of this repository.
fn conformance() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/conformance");
    std::env::var_os("TRUEUP_CONFORMANCE").map_or_else(beside, PathBuf::from).join("helm")
}

/// The files of a packed chart, by their paths below `root`.
fn unpacked(archive: &Path, root: &str) -> Vec<(String, String)> {
    let folder = tempfile::tempdir().unwrap();
    let mut tar = Command::new("tar");
    tar.arg("-xzf").arg(archive).args(["--strip-components", "1", "-C"]).arg(folder.path());
    assert!(tar.status().unwrap().success());
    let mut files = Vec::new();
    let mut open = vec![(folder.path().to_owned(), root.to_owned())];
    while let Some((path, shown)) = open.pop() {
        for entry in std::fs::read_dir(path).unwrap().flatten() {
            let name = format!("{shown}/{}", entry.file_name().to_str().unwrap());
            if entry.path().is_dir() {
                open.push((entry.path(), name));
            } else {
                files.push((name, std::fs::read_to_string(entry.path()).unwrap()));
            }
        }
    }
    files
}

fn commit(world: &World, files: &[(String, String)], message: &str) -> String {
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    world.repo.commit(&files, message).unwrap()
}

/// The same files with the chart in another version.
fn of_version(files: &[(String, String)], version: &str) -> Vec<(String, String)> {
    let is_line = |line: &&str| line.starts_with("version:");
    let written = |text: &str| text.lines().find(is_line).unwrap().to_owned();
    let changed = |(path, text): &(String, String)| {
        let text = match path.as_str() {
            "chart/Chart.yaml" => text.replace(&written(text), &format!("version: {version}")),
            _ => text.clone(),
        };
        (path.clone(), text)
    };
    files.iter().map(changed).collect()
}

/// The only Deployment: its replicas, and the chart that its label names.
fn deployed(world: &World) -> (i64, String) {
    let all = objects(world, "/apis/apps/v1/deployments");
    let [deployment] = all.as_slice() else { panic!("{:?}", names(&all)) };
    let chart = deployment["metadata"]["labels"]["helm.sh/chart"].as_str().unwrap().to_owned();
    (deployment["spec"]["replicas"].as_i64().unwrap(), chart)
}

/// The accounts that the chart made.
fn accounts(world: &World) -> usize {
    let all = objects(world, "/api/v1/serviceaccounts");
    names(&all).iter().filter(|name| **name != "default").count()
}

fn lives_as_git_says(ground: Ground, chart: &str) {
    let archive = conformance().join(chart).join("chart.tgz");
    if !archive.is_file() {
        println!("the conformance cases are missing: there is no {}", archive.display());
        return;
    }
    let mut world = World::played(ground, "chart");
    configure(
        &world,
        "chart: chart, releaseName: rel, valuesFiles: ['values/{environment}.yaml'], values: {service: {type: ClusterIP}, resourcesPreset: none}",
    );
    let mut files = unpacked(&archive, "chart");
    files.push(("values/test.yaml".to_owned(), "replicaCount: 1\n".to_owned()));
    let first = commit(&world, &files, "a chart");
    world.start();
    let status = world.synced(&first);
    let version = status["chart"]["version"].as_str().unwrap().to_owned();
    let (replicas, label) = deployed(&world);
    assert!(replicas == 1 && label.ends_with(&version), "{label} is not of {version}");
    let uid = objects(&world, "/apis/apps/v1/deployments")[0]["metadata"]["uid"].clone();
    let with_account = accounts(&world);

    let second = world.repo.commit(&[("values/test.yaml", "replicaCount: 2\n")], "values").unwrap();
    world.synced(&second);
    assert_eq!(deployed(&world), (2, label.clone()));

    let third = commit(&world, &of_version(&files, "99.1.0"), "a version, and the values of before");
    let status = world.synced(&third);
    assert_eq!(status["chart"]["version"], "99.1.0");
    assert!(deployed(&world).0 == 1 && deployed(&world).1.ends_with("-99.1.0"));

    // As a revert would leave them.
    files.pop();
    let fourth = commit(&world, &files, "revert");
    world.synced(&fourth);
    assert_eq!(deployed(&world), (1, label));

    let without = "replicaCount: 1\nserviceAccount: {create: false}\n";
    let fifth = world.repo.commit(&[("values/test.yaml", without)], "no account").unwrap();
    world.synced(&fifth);
    assert_eq!(accounts(&world), with_account - 1, "the account is pruned");
    assert_eq!(
        objects(&world, "/apis/apps/v1/deployments")[0]["metadata"]["uid"],
        uid,
        "nothing was made anew"
    );
}

fn a_web_server_s_chart_lives_as_git_says(ground: Ground) {
    lives_as_git_says(ground, "bitnami_apache");
}

fn a_proxy_s_chart_lives_as_git_says(ground: Ground) {
    lives_as_git_says(ground, "bitnami_haproxy");
}

fn an_exporter_s_chart_lives_as_git_says(ground: Ground) {
    lives_as_git_says(ground, "prometheus-community_prometheus-json-exporter");
}

pub(super) const CHART: &str = "apiVersion: v2\nname: web\nversion: 1.2.3\n";

fn job(name: &str, annotations: &str) -> String {
    format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: {name}\n  annotations: {{{annotations}}}\nspec:\n  \
         template:\n    metadata: {{labels: {{for: '{{{{ .Values.value }}}}'}}}}\n    spec:\n      restartPolicy: Never\n      \
         containers: [{{name: main, image: registry.example.com/migrate}}]\n"
    )
}

const SETTINGS: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {value: '{{ .Values.value }}'}\n";

fn jobs(world: &World) -> Vec<(String, String)> {
    let all = objects(world, "/apis/batch/v1/jobs");
    let text = |job: &Value, field: &str| job["metadata"][field].as_str().unwrap().to_owned();
    all.iter().map(|job| (text(job, "name"), text(job, "uid"))).collect()
}

fn hooks_run_once_for_each_change_at_their_moments_and_a_test_never(ground: Ground) {
    let mut world = World::played(ground, "hooks");
    configure(&world, "chart: web, values: {value: one}");
    let install = job("install", "helm.sh/hook: 'pre-install,pre-upgrade'");
    let after = job("after", "helm.sh/hook: post-upgrade, helm.sh/hook-delete-policy: hook-succeeded");
    let test = job("test", "helm.sh/hook: test");
    let files = [
        ("web/Chart.yaml", CHART),
        ("web/templates/settings.yaml", SETTINGS),
        ("web/templates/install.yaml", &install),
        ("web/templates/after.yaml", &after),
        ("web/templates/test.yaml", &test),
    ];
    let first = world.repo.commit(&files, "hooks").unwrap();
    world.start();
    let status = world.synced(&first);
    let ran = jobs(&world);
    assert_eq!(ran.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["install"], "{status}");
    let settings = world.config_map("settings");
    let written =
        |world: &World, path: &str| world.api.get(path).unwrap()["metadata"]["creationTimestamp"].clone();
    let of_job = format!("/apis/batch/v1/namespaces/{}/jobs/install", world.namespace.name());
    let done = world.api.get(&of_job).unwrap()["status"]["completionTime"].clone();
    assert!(done.as_str() <= written(&world, &settings).as_str(), "the settings waited for the job");

    // A commit that changes nothing of it runs nothing.
    let second = world.repo.commit(&[("README.md", "words")], "words").unwrap();
    world.synced(&second);
    assert_eq!(jobs(&world), ran);

    configure(&world, "chart: web, values: {value: two}");
    world.until("the hooks of the change ran", |status| {
        let ended = &status["hooks"]["hooks"];
        status["sync"] == "Synced"
            && status["health"] == "Healthy"
            && status["hooks"]["occasion"] == "upgrade"
            && ended.as_object().is_some_and(|ended| ended.len() == 2)
    });
    world.holds("the one that succeeded is gone, the other is a new one", |world| {
        let now = jobs(world);
        now.len() == 1 && now[0].0 == "install" && now[0].1 != ran[0].1
    });
    assert_eq!(world.api.get(&settings).unwrap()["data"]["value"], "two");
}

fn a_hook_that_fails_stops_its_target_and_says_why(ground: Ground) {
    let mut world = World::played(ground, "failing");
    configure(&world, "chart: web, values: {value: one}");
    // It has no time at all.
    let failing = job("migrate", "helm.sh/hook: pre-install")
        .replace("spec:\n  template", "spec:\n  activeDeadlineSeconds: 1\n  template")
        .replace("restartPolicy: Never", "restartPolicy: Never\n      nodeSelector: {no: such-node}");
    let files = [
        ("web/Chart.yaml", CHART),
        ("web/templates/settings.yaml", SETTINGS),
        ("web/templates/migrate.yaml", failing.as_str()),
    ];
    world.repo.commit(&files, "a hook that cannot run").unwrap();
    world.start();
    let status = world.until("it failed", |status| status["sync"] == "Failed");
    let message = status["message"].as_str().unwrap();
    assert!(message.contains("migrate") && message.contains("the hook failed"), "{message}");
    assert!(world.api.find(&world.config_map("settings")).unwrap().is_none(), "nothing came after it");

    let without = world.repo.remove(&["web/templates/migrate.yaml"], "without it").unwrap();
    world.synced(&without);
    assert_eq!(world.api.get(&world.config_map("settings")).unwrap()["data"]["value"], "one");
}

fn a_hook_that_fails_tells_the_last_words_of_its_pod(ground: Ground) {
    let mut world = World::played(ground, "words");
    configure(&world, "chart: web, values: {value: one}");
    // No node takes its pod: what becomes of that is said below.
    let failing = job("migrate", "helm.sh/hook: pre-install")
        .replace("spec:\n  template", "spec:\n  backoffLimit: 0\n  template")
        .replace("restartPolicy: Never", "restartPolicy: Never\n      nodeSelector: {no: such-node}");
    let files = [("web/Chart.yaml", CHART), ("web/templates/migrate.yaml", failing.as_str())];
    world.repo.commit(&files, "a hook that fails").unwrap();
    world.start();
    world.holds("the pod is there", |world| !objects(world, "/api/v1/pods").is_empty());
    let pod = objects(&world, "/api/v1/pods")[0]["metadata"]["name"].as_str().unwrap().to_owned();
    let ended = json!({"exitCode": 3, "reason": "Error", "message": "connected\nno such table\n",
        "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:01Z"});
    let container = json!({"name": "main", "image": "registry.example.com/migrate", "imageID": "", "ready": false,
        "restartCount": 0, "state": {"terminated": ended}});
    let failed = json!({"status": {"phase": "Failed", "containerStatuses": [container]}});
    let path = format!("/api/v1/namespaces/{}/pods/{pod}/status", world.namespace.name());
    world.api.merge(&path, &failed).unwrap();
    let status = world.until("it failed", |status| status["sync"] == "Failed");
    let message = status["message"].as_str().unwrap();
    for word in ["migrate", "ended with code 3", "its last message: connected | no such table"] {
        assert!(message.contains(word), "{word}: {message}");
    }
}

/// A packed chart of that version.
fn packed(version: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let chart = folder.path().join("web");
    std::fs::create_dir_all(chart.join("templates")).unwrap();
    std::fs::write(chart.join("Chart.yaml"), CHART.replace("1.2.3", version)).unwrap();
    let settings = SETTINGS.replace("\ndata: {", "\ndata: {version: '{{ .Chart.Version }}', ");
    std::fs::write(chart.join("templates/settings.yaml"), settings).unwrap();
    let archive = folder.path().join("web.tgz");
    let tar = Command::new("tar").arg("-czf").arg(&archive).arg("-C").arg(folder.path()).arg("web").status();
    assert!(tar.unwrap().success());
    std::fs::read(archive).unwrap()
}

fn publish(folder: &Path, versions: &[&str]) {
    let mut index = "apiVersion: v1\nentries:\n  web:\n".to_owned();
    for version in versions {
        let archive = packed(version);
        let name = format!("web-{version}.tgz");
        let digest =
            Sha256::digest(&archive).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        let entry = format!("  - {{name: web, version: {version}, digest: {digest}, urls: [{name}]}}\n");
        index.push_str(&entry);
        std::fs::write(folder.join(name), archive).unwrap();
    }
    std::fs::write(folder.join("index.yaml"), index).unwrap();
}

fn version_applied(world: &World) -> Option<String> {
    let settings = world.api.find(&world.config_map("settings")).unwrap()?;
    settings["data"]["version"].as_str().map(str::to_owned)
}

fn a_chart_of_a_repository_follows_its_range_and_stays_when_the_repository_is_away(ground: Ground) {
    let files = tempfile::tempdir().unwrap();
    publish(files.path(), &["1.0.0", "2.0.0"]);
    let server = FileServer::start(files.path(), Access::Anyone, Transport::Plain).unwrap();
    let mut world = World::new(ground, "fetched");
    configure(
        &world,
        &format!("repository: '{}', chart: web, version: ^1, valuesFiles: [values.yaml]", server.url("")),
    );
    let first = world.repo.commit(&[("values.yaml", "value: one\n")], "values").unwrap();
    world.start();
    let status = world.synced(&first);
    assert_eq!(status["chart"]["version"], "1.0.0");
    assert!(status["chart"]["digest"].as_str().unwrap().starts_with("sha256:"), "{status}");
    assert_eq!(version_applied(&world).as_deref(), Some("1.0.0"));

    publish(files.path(), &["1.0.0", "1.1.0", "2.0.0"]);
    world.until("the new version", |status| {
        status["chart"]["version"] == "1.1.0" && status["sync"] == "Synced"
    });
    assert_eq!(version_applied(&world).as_deref(), Some("1.1.0"));
    let history = world.trueup(&["history", "app@test", "-o", "json"]);
    assert!(String::from_utf8(history.stdout).unwrap().contains("1.1.0"));

    server.pause().unwrap();
    let second = world.repo.commit(&[("values.yaml", "value: two\n")], "other values").unwrap();
    let status = world.synced(&second);
    assert_eq!(status["chart"]["version"], "1.1.0");
    assert_eq!(world.api.get(&world.config_map("settings")).unwrap()["data"]["value"], "two");
}

fn a_chart_of_a_registry_is_synced_and_a_version_that_is_named_is_asked_for_once(ground: Ground) {
    let registry = Registry::start(RegistryAccess::Anyone, Transport::Plain).unwrap();
    let kinds =
        ["application/vnd.cncf.helm.config.v1+json", "application/vnd.cncf.helm.chart.content.v1.tar+gzip"];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let digest = runtime.block_on(push(&registry, "charts/web", "1.2.0", &packed("1.2.0"), kinds));
    let mut world = World::new(ground, "registry");
    configure(
        &world,
        &format!(
            "repository: 'oci://{}/charts', insecure: true, chart: web, version: 1.2.0, values: {{value: one}}",
            registry.host()
        ),
    );
    let first = world.repo.commit(&[("README.md", "words")], "words").unwrap();
    world.start();
    let status = world.synced(&first);
    assert_eq!((&status["chart"]["version"], &status["chart"]["digest"]), (&"1.2.0".into(), &digest.into()));
    assert_eq!(version_applied(&world).as_deref(), Some("1.2.0"));

    drop(registry);
    let second = world.repo.commit(&[("README.md", "other words")], "words").unwrap();
    let status = world.synced(&second);
    assert!(status["chart"]["message"].is_null(), "nobody was asked: {status}");
}

fn what_a_chart_makes_of_chance_stays_until_its_seed_is_taken_away(ground: Ground) {
    let mut world = World::new(ground, "chance");
    configure(&world, "chart: web");
    let secret = |more: &str| {
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: made}}\nstringData:\n  password: '{{{{ randAlphaNum 16 }}}}'\n  \
             id: '{{{{ uuidv4 }}}}'\n  time: '{{{{ now }}}}'\n{more}"
        )
    };
    let files = [("web/Chart.yaml", CHART), ("web/templates/secret.yaml", &secret(""))];
    let first = world.repo.commit(&files, "chance").unwrap();
    world.start();
    world.synced(&first);
    let path = format!("/api/v1/namespaces/{}/secrets/made", world.namespace.name());
    let made = |world: &World| world.api.get(&path).unwrap()["data"].clone();
    let before = made(&world);

    // A trueup that remembers nothing, and a call more.
    world.kill();
    super::harness::forget(&world.state());
    let more = secret("  other: '{{ randAlphaNum 8 }}'\n");
    let second = world.repo.commit(&[("web/templates/secret.yaml", &more)], "one more").unwrap();
    world.start();
    world.synced(&second);
    let after = made(&world);
    for key in ["password", "id", "time"] {
        assert_eq!(after[key], before[key], "{key}");
    }
    assert!(after["other"].is_string());

    let kept = format!("/api/v1/namespaces/{}/secrets/trueup.app.test", world.namespace.name());
    world.api.delete(&kept).unwrap();
    assert!(world.trueup(&["sync", "app@test"]).status.success());
    world.holds("another password", |world| made(world)["password"] != before["password"]);
    world.holds("a new seed", |world| world.api.find(&kept).unwrap().is_some());
}

fn a_kustomization_changes_what_a_chart_makes(ground: Ground) {
    let mut world = World::new(ground, "pass");
    let text = world.configuration("", world.namespace.name());
    let helm = "path: 'overlays/{environment}', helm: {chart: web, values: {value: one}},";
    world.write_configuration(&text.replace("path: app,", helm));
    let files = [
        ("web/Chart.yaml", CHART),
        ("web/templates/settings.yaml", SETTINGS),
        ("overlays/test/kustomization.yaml", "namePrefix: shop-\nresources: [more.yaml]\n"),
        ("overlays/test/more.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: more}\n"),
    ];
    let first = world.repo.commit(&files, "a pass").unwrap();
    world.start();
    world.synced(&first);
    assert_eq!(world.api.get(&world.config_map("shop-settings")).unwrap()["data"]["value"], "one");
    assert!(world.api.find(&world.config_map("shop-more")).unwrap().is_some());
}

/// What a `ConfigMap` of the namespace holds; null where there is none.
fn held(world: &World, name: &str) -> Value {
    world.api.find(&world.config_map(name)).unwrap().map_or(Value::Null, |live| live["data"].clone())
}

fn charts_of_a_kustomization_come_from_the_repository_and_from_elsewhere(ground: Ground) {
    let published = tempfile::tempdir().unwrap();
    publish(published.path(), &["1.0.0", "2.0.0"]);
    let server = FileServer::start(published.path(), Access::Anyone, Transport::Plain).unwrap();
    let mut world = World::new(ground, "inflated");
    let kustomization = format!(
        "namePrefix: k-\nhelmCharts:\n- {{name: web, repo: '{}', version: ^1, releaseName: one, valuesInline: {{value: fetched}}}}\n\
         - {{name: own, releaseName: two, valuesInline: {{value: own}}}}\n",
        server.url("")
    );
    let own = SETTINGS.replace("settings", "'{{ .Release.Name }}'");
    let files = [
        ("app/kustomization.yaml", kustomization.as_str()),
        ("app/charts/own/Chart.yaml", "apiVersion: v2\nname: own\nversion: 0.1.0\n"),
        ("app/charts/own/values.yaml", "value: none\n"),
        ("app/charts/own/templates/settings.yaml", own.as_str()),
    ];
    let first = world.repo.commit(&files, "charts").unwrap();
    world.start();
    let status = world.synced(&first);
    assert_eq!(held(&world, "k-settings"), serde_json::json!({"version": "1.0.0", "value": "fetched"}));
    assert_eq!(held(&world, "k-two")["value"], "own");
    let pin = &status["bases"][0];
    assert_eq!(pin["url"], format!("{}/web", server.url("").trim_end_matches('/')), "{status}");
    assert_eq!(pin["ref"], "^1");
    assert!(pin["revision"].as_str().unwrap().starts_with("1.0.0@sha256:"), "{status}");

    publish(published.path(), &["1.0.0", "1.1.0", "2.0.0"]);
    world.holds("the new version", |world| held(world, "k-settings")["version"] == "1.1.0");

    let other = own.replace("\ndata: {", "\ndata: {more: than before, ");
    let second = world
        .repo
        .commit(&[("app/charts/own/templates/settings.yaml", other.as_str())], "a template")
        .unwrap();
    world.synced(&second);
    assert_eq!(held(&world, "k-two")["more"], "than before");
    let history = world.trueup(&["history", "app@test", "-o", "json"]);
    assert!(String::from_utf8(history.stdout).unwrap().contains("1.1.0@sha256:"));
}

fn what_a_chart_asks_for_and_does_not_hold_is_fetched_and_told(ground: Ground) {
    let published = tempfile::tempdir().unwrap();
    publish(published.path(), &["1.0.0", "2.0.0"]);
    let server = FileServer::start(published.path(), Access::Anyone, Transport::Plain).unwrap();
    let mut world = World::new(ground, "dependencies");
    configure(&world, "chart: charts/shop, values: {site: {value: one}}");
    let chart = |range: &str| {
        format!(
            "apiVersion: v2\nname: shop\nversion: 0.1.0\ndependencies:\n\
             - {{name: web, version: {range}, repository: '{}', alias: site, condition: site.enabled}}\n\
             - {{name: lib, version: '*', repository: 'file://../lib'}}\n",
            server.url("")
        )
    };
    let lib = SETTINGS.replace("settings", "lib");
    let files = [
        ("charts/shop/Chart.yaml", chart("^1")),
        ("charts/lib/Chart.yaml", "apiVersion: v2\nname: lib\nversion: 0.2.0\n".to_owned()),
        ("charts/lib/templates/settings.yaml", lib),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let first = world.repo.commit(&files, "a chart that lacks others").unwrap();
    world.start();
    let status = world.synced(&first);
    assert_eq!(held(&world, "settings"), serde_json::json!({"version": "1.0.0", "value": "one"}));
    assert!(held(&world, "lib").is_object());
    assert!(status["bases"][0]["revision"].as_str().unwrap().starts_with("1.0.0@sha256:"), "{status}");

    publish(published.path(), &["1.0.0", "1.1.0", "2.0.0"]);
    world.holds("the new version", |world| held(world, "settings")["version"] == "1.1.0");

    world.repo.commit(&[("charts/shop/Chart.yaml", chart("^9").as_str())], "no such version").unwrap();
    let status = world.until("the error", |status| status["sync"] == "Failed");
    let message = status["message"].as_str().unwrap();
    for words in ["charts/shop/Chart.yaml: dependency web ^9 of", "near matches: 2.0.0, 1.1.0, 1.0.0"] {
        assert!(message.contains(words), "{message}");
    }
    assert_eq!(held(&world, "settings")["version"], "1.1.0", "the last good rendering stays in force");

    let back = world.repo.commit(&[("charts/shop/Chart.yaml", chart("^1").as_str())], "as before").unwrap();
    world.synced(&back);
    server.pause().unwrap();
    configure(&world, "chart: charts/shop, values: {site: {value: two}}");
    world.holds("other values, without the server", |world| held(world, "settings")["value"] == "two");
}

#[test]
fn a_folder_and_a_chart_on_disk_are_rendered_with_charts_that_are_fetched() {
    let published = tempfile::tempdir().unwrap();
    publish(published.path(), &["1.0.0", "1.1.0", "2.0.0"]);
    let server = FileServer::start(published.path(), Access::Anyone, Transport::Plain).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let render = |what: &str, values: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trueup"));
        let output = command.arg("render").arg(folder.path().join(what)).args(values).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    for below in ["app", "shop"] {
        std::fs::create_dir(folder.path().join(below)).unwrap();
    }
    let url = server.url("");
    let kustomization = format!(
        "nameSuffix: -x\nhelmCharts: [{{name: web, repo: '{url}', version: 1.0.0, valuesInline: {{value: one}}}}]\n"
    );
    std::fs::write(folder.path().join("app/kustomization.yaml"), kustomization).unwrap();
    let (code, text, errors) = render("app", &[]);
    assert_eq!(code, Some(0), "{errors}");
    assert!(
        text.contains("name: settings-x") && text.contains("value: one") && text.contains("version: 1.0.0"),
        "{text}"
    );

    let chart = |range: &str| {
        let text = format!(
            "apiVersion: v2\nname: shop\nversion: 0.1.0\ndependencies: [{{name: web, version: {range}, repository: '{url}', alias: site}}]\n"
        );
        std::fs::write(folder.path().join("shop/Chart.yaml"), text).unwrap();
    };
    chart("^1");
    let (code, text, errors) = render("shop", &["--set", "site.value=two"]);
    assert_eq!(code, Some(0), "{errors}");
    assert!(text.contains("# Source: shop/charts/site/templates/settings.yaml"), "{text}");
    assert!(text.contains("version: '1.1.0'") && text.contains("value: 'two'"), "{text}");
    chart("^3");
    let (code, _, errors) = render("shop", &[]);
    assert!(
        code == Some(2) && errors.contains("dependency web ^3 of") && errors.contains("near matches: 2.0.0"),
        "{errors}"
    );
}

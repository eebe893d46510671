#![expect(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]

use super::*;
use crate::config::{Target, Written, load, load_written};
use expect_test::{Expect, expect};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use trueup_model::yaml;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/trueup/crds")
}

/// `UPDATE_EXPECT=1` writes them, as it does for other expectations.
#[test]
fn the_chart_holds_the_definitions_of_these_types() {
    let files = to_files();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::create_dir_all(folder()).unwrap();
        for (name, text) in &files {
            fs::write(folder().join(name), text).unwrap();
        }
    }
    for (name, text) in &files {
        let found = fs::read_to_string(folder().join(name)).unwrap_or_default();
        assert!(
            found == *text,
            "charts/trueup/crds/{name} is old: UPDATE_EXPECT=1 cargo test --lib the_chart_holds"
        );
    }
    assert_eq!(fs::read_dir(folder()).unwrap().count(), files.len());
}

#[test]
fn every_field_is_described_and_has_a_shape() {
    fn look(schema: &Value, place: &str) {
        if place.contains("spec") || place.contains("status") {
            assert!(
                schema["description"].is_string() || place.ends_with(['*', ']']),
                "{place} is not described"
            );
        }
        let open = schema["x-kubernetes-preserve-unknown-fields"] == true
            || schema["x-kubernetes-int-or-string"] == true;
        assert!(schema["type"].is_string() || open, "{place} has no type: {schema}");
        assert!(schema["additionalProperties"] != false, "{place} is closed");
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            look(field, &format!("{place}.{name}"));
        }
        for (inner, mark) in [("items", "[]"), ("additionalProperties", ".*")] {
            if let Some(inner) = schema.get(inner) {
                look(inner, &format!("{place}{mark}"));
            }
        }
    }
    for definition in definitions() {
        let kind = definition["spec"]["names"]["kind"].as_str().unwrap().to_owned();
        look(&definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"], &kind);
    }
}

/// The documents of a file.
fn written(text: &str) -> Vec<Written> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trueup.yaml");
    fs::write(&path, text).unwrap();
    load_written(&path).unwrap()
}

const WHOLE: &str = "
apiVersion: trueup.dev/v1alpha1
kind: Repository
metadata: {name: config, labels: {a: b}, annotations: {note: 'x: y'}}
spec: {url: 'git@git.example.com:platform/config.git', ref: {semver: '>=1.2, <2'}, interval: 1m 30s, secretRef: {name: git}, webhook: {secretRef: {name: hook, namespace: ops}}}
---
apiVersion: trueup.dev/v1alpha1
kind: Cluster
metadata: {name: eu-1, labels: {tier: production}}
spec: {secretRef: {name: eu-1, key: config}, maxInFlight: 8}
---
apiVersion: trueup.dev/v1alpha1
kind: Environment
metadata: {name: production}
spec:
  clusters: {selector: {matchLabels: {tier: production}}}
  namespace: shop
  values: {replicas: 4, on: true, off: null, deep: {list: [1, 2.5, 'no', null]}, text: '1.10'}
  sync: {prune: false, interval: 1h, audit: null}
---
apiVersion: trueup.dev/v1alpha1
kind: App
metadata: {name: web}
spec:
  repository: config
  ref: {tag: '{values.text}'}
  helm: {chart: web, repository: 'oci://registry.example.com/charts', version: '^1', values: {image: null, size: 3}, secretRef: {name: registry}}
  environments: [production]
  substitute: strict
  ignore: [{kind: Deployment, fields: ['/spec/replicas']}]
";

#[test]
fn a_configuration_becomes_resources_and_the_same_configuration_again() {
    let folder = tempfile::tempdir().unwrap();
    let (before, after) = (folder.path().join("before.yaml"), folder.path().join("after.yaml"));
    fs::write(&before, WHOLE).unwrap();
    let resources: Vec<Value> =
        load_written(&before).unwrap().iter().map(|one| resource(one, "ops").unwrap()).collect();
    assert!(resources.iter().all(|resource| resource["metadata"]["namespace"] == "ops"));
    let documents: Vec<String> = resources.iter().map(|one| yaml::to_yaml(&document(one))).collect();
    fs::write(&after, documents.join("---\n")).unwrap();
    let [before, after] = [&before, &after].map(|path| load_written(path).unwrap());
    // In a file, a Secret without a namespace is in trueup's own.
    let mut expected = before;
    expected[0].spec["webhook"]["secretRef"] = json!({"name": "hook"});
    assert_eq!(expected, after);
    assert_eq!(after[2].spec["values"]["off"], Value::Null, "a null among values is a value");
    assert_eq!(after[2].spec["sync"].get("audit"), None, "a field without a value is left out");
}

fn refuses(kind: &str, spec: &str, expected: &Expect) {
    let text =
        format!("apiVersion: trueup.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: one}}\nspec: {spec}\n");
    let refused = resource(&written(&text)[0], "ops").unwrap_err();
    // Paths are absolute where they are read.
    expected.assert_eq(&format!("{refused}\n"));
}

#[test]
fn what_is_of_this_machine_cannot_be_a_resource() {
    refuses(
        "Repository",
        "{url: ./config, worktree: true}",
        &expect![[r"
            Repository one, spec.url: a resource names no files of the machine that trueup runs on: use https://, http://, ssh:// or user@host:path
        "]],
    );
    refuses(
        "Repository",
        "{url: 'file:///srv/config.git', credentials: {password: {env: PASSWORD}}, webhook: {secret: {file: x}}}",
        &expect![[r"
            Repository one, spec.url: a resource names no files of the machine that trueup runs on: use https://, http://, ssh:// or user@host:path
            Repository one, spec.credentials: a resource has its credentials in a Secret of its namespace: use `secretRef`
            Repository one, spec.webhook.secret: a resource has its credentials in a Secret of its namespace: use `secretRef`
        "]],
    );
    refuses(
        "Repository",
        "{url: 'https://example.com/c.git', secretRef: {name: x, namespace: kube-system}}",
        &expect![[r"
            Repository one, spec.secretRef.namespace: a resource uses Secrets of its own namespace only, which is ops
        "]],
    );
    refuses(
        "Cluster",
        "{kubeconfig: {}}",
        &expect![[r"
            Cluster one, spec.kubeconfig: a resource names no files of the machine that trueup runs on: put the kubeconfig in a Secret and use `secretRef`
        "]],
    );
}

#[test]
fn the_books_of_tools_are_no_part_of_a_document() {
    let annotations = json!({"kubectl.kubernetes.io/last-applied-configuration": "{}", "note": "x"});
    let metadata = json!({"name": "a", "uid": "u", "labels": {"applyset.kubernetes.io/part-of": "x"}, "annotations": annotations});
    let resource =
        json!({"kind": "Cluster", "metadata": metadata, "spec": {"inCluster": true}, "status": {}});
    let expected = json!({"apiVersion": "trueup.dev/v1alpha1", "kind": "Cluster", "metadata": {"name": "a", "annotations": {"note": "x"}}, "spec": {"inCluster": true}});
    assert_eq!(document(&resource), expected);
}

#[test]
fn the_example_is_a_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trueup.yaml");
    fs::write(&path, WHOLE).unwrap();
    assert_eq!(load(&path).unwrap().targets().len(), 1);
}

/// Resources as an API server has them: kind, name and spec, as YAML a line.
fn resources(lines: &[(&str, &str, &str)]) -> Resources {
    let object = |(kind, name, spec): &(&str, &str, &str)| {
        let spec = yaml::documents(spec).unwrap().remove(0).value;
        json!({
            "apiVersion": "trueup.dev/v1alpha1", "kind": kind, "spec": spec,
            "metadata": {"name": name, "namespace": "ops", "uid": name, "generation": 2, "labels": {"name": name}},
        })
    };
    read(lines.iter().map(object).collect(), "ops", &[])
}

/// The same, of which these Apps are being deleted; `before` are the targets before that.
fn without(lines: &[(&str, &str, &str)], apps: &[&str], before: &[Target]) -> Resources {
    let mut objects: Vec<Value> =
        resources(lines).all.into_values().map(|resource| resource.object).collect();
    for object in objects.iter_mut().filter(|object| object["kind"] == "App") {
        if apps.iter().any(|app| object["metadata"]["name"] == *app) {
            object["metadata"]["deletionTimestamp"] = "2026-11-21T10:00:00Z".into();
            object["metadata"]["finalizers"] = json!(["example.com/other", FINALIZER]);
        }
    }
    read(objects, "ops", before)
}

/// What leaves when these Apps are deleted: targets with those that go first, what is waited for, what is gone.
fn leaves(lines: &[(&str, &str, &str)], apps: &[&str], before: &[Target], expected: &Expect) {
    let resources = without(lines, apps, before);
    let mut shown: Vec<String> = resources
        .config
        .leaving()
        .iter()
        .map(|target| format!("{} in {:?} after {:?}", target.name, target.namespace, target.depends_on))
        .collect();
    for (app, leaving) in &resources.leaving {
        shown.push(format!("{app}: {:?}", leaving.policy));
        shown.extend(leaving.waits.iter().map(|why| format!("waits: {why}")));
        shown.extend(leaving.gone.iter().map(|name| format!("gone: {name}")));
    }
    for target in resources.config.targets() {
        shown.push(format!("{} stays", target.name));
    }
    expected.assert_eq(&shown.into_iter().map(|line| line + "\n").collect::<String>());
}

#[test]
fn an_app_that_is_being_deleted_leaves_in_the_reverse_order_of_what_it_waited_for() {
    const API: (&str, &str, &str) =
        ("App", "api", "{repository: config, path: api, environments: [test], deletionPolicy: Delete}");
    const WEB: (&str, &str, &str) = (
        "App",
        "web",
        "{repository: config, path: '{values.gone}', namespace: '{app}', environments: [test], dependsOn: [api], deletionPolicy: Delete}",
    );
    let all = [HERE, CONFIG, TEST, API, WEB];
    leaves(
        &all,
        &["api", "web"],
        &[],
        &expect![[r#"
        api@test in None after ["web@test"]
        web@test in Some("web") after []
        api: Delete
        web: Delete
    "#]],
    );
    leaves(
        &all,
        &["api"],
        &[],
        &expect![[r#"
        api@test in None after []
        api: Delete
    "#]],
    );
    // One that says nothing, or is suspended, leaves everything as it is.
    let quiet = ("App", "quiet", "{repository: config, path: api, environments: [test]}");
    let still = (
        "App",
        "still",
        "{repository: config, path: api, environments: [test], deletionPolicy: Delete, suspend: true}",
    );
    leaves(
        &[HERE, CONFIG, TEST, quiet, still],
        &["quiet", "still"],
        &[],
        &expect![[r#"
        quiet: Orphan
        still: Orphan
    "#]],
    );
}

#[test]
fn a_target_that_nobody_can_find_any_more_is_gone_and_one_that_is_only_wrong_is_waited_for() {
    const APP: (&str, &str, &str) =
        ("App", "web", "{repository: config, path: web, environments: [test, far], deletionPolicy: Delete}");
    const FAR: (&str, &str, &str) =
        ("Environment", "far", "{clusters: {selector: {matchLabels: {name: here}}}}");
    let before = resources(&[HERE, CONFIG, TEST, FAR, APP]).config.targets().to_vec();
    assert_eq!(before.len(), 2);
    leaves(
        &[HERE, CONFIG, TEST, FAR, APP],
        &["web"],
        &[],
        &expect![[r#"
        web@far/here in None after []
        web@test in None after []
        web: Delete
    "#]],
    );
    // Without the Environment it is known from before, or not at all.
    leaves(
        &[HERE, CONFIG, TEST, APP],
        &["web"],
        &before,
        &expect![[r#"
        web@far/here in None after []
        web@test in None after []
        web: Delete
    "#]],
    );
    leaves(
        &[HERE, CONFIG, TEST, APP],
        &["web"],
        &[],
        &expect![[r#"
        web@test in None after []
        web: Delete
        gone: web@far
    "#]],
    );
    // Without the Cluster there is nothing to reach.
    leaves(
        &[CONFIG, TEST, FAR, APP],
        &["web"],
        &before,
        &expect![[r#"
        web: Delete
        gone: web@test
        gone: web@far/here
    "#]],
    );
    leaves(
        &[("Cluster", "here", "{kubeconfig: {}}"), CONFIG, TEST, FAR, APP],
        &["web"],
        &before,
        &expect![[r#"
            web: Delete
            waits: web@test: Cluster `here` cannot be used: its own status says why
            waits: web@far/here: Cluster `here` cannot be used: its own status says why
        "#]],
    );
    leaves(
        &[HERE, CONFIG, ("Environment", "test", "{}"), FAR, APP],
        &["web"],
        &before,
        &expect![[r#"
        web@far/here in None after []
        web: Delete
        waits: web@test: Environment `test` cannot be used: its own status says why
    "#]],
    );
    leaves(
        &[HERE, TEST, FAR, ("App", "web", "{deletionPolicy: Delete}")],
        &["web"],
        &before,
        &expect![[r#"
        web: Delete
        waits: spec: missing field `repository`; correct it, or set deletionPolicy: Orphan
    "#]],
    );
}

const HERE: (&str, &str, &str) = ("Cluster", "here", "{inCluster: true}");
const CONFIG: (&str, &str, &str) =
    ("Repository", "config", "{url: 'https://git.example.com/c.git', secretRef: {name: git}}");
const TEST: (&str, &str, &str) = ("Environment", "test", "{cluster: here}");

/// The targets that are left, and what is found.
fn left(lines: &[(&str, &str, &str)], expected: &Expect) {
    let resources = resources(lines);
    let targets =
        resources.config.targets().iter().map(|target| format!("{} {:?}", target.name, target.depends_on));
    let findings = resources.all.values().flat_map(|resource| &resource.findings).map(ToString::to_string);
    expected.assert_eq(&targets.chain(findings).map(|line| line + "\n").collect::<String>());
}

#[test]
fn a_bad_resource_takes_out_itself_and_what_needs_it() {
    left(
        &[HERE, CONFIG, TEST, ("App", "web", "{repository: config, path: web, environments: [test]}")],
        &expect![[r#"
            web@test []
        "#]],
    );
    // A reference that leads nowhere takes one target out; an unusable Repository all of its own.
    left(
        &[
            HERE,
            CONFIG,
            TEST,
            ("Repository", "bad", "{url: ./here}"),
            ("App", "api", "{repository: bad, path: web, environments: [test]}"),
            ("App", "web", "{repository: config, path: web, environments: [test, tset]}"),
        ],
        &expect![[r#"
            web@test []
            Repository bad, spec.url: a resource names no files of the machine that trueup runs on: use https://, http://, ssh:// or user@host:path
            App api, spec.repository: Repository `bad` cannot be used: its own status says why
            App web, spec.environments[1]: there is no Environment `tset`, did you mean `test`?
        "#]],
    );
    // What waits for something that cannot be is held, and what waits for that.
    left(
        &[
            HERE,
            CONFIG,
            TEST,
            ("App", "a", "{repository: config, path: '{values.x}', environments: [test]}"),
            ("App", "b", "{repository: config, path: b, environments: [test], dependsOn: [a]}"),
            ("App", "c", "{repository: config, path: c, environments: [test], dependsOn: [b]}"),
            ("App", "d", "{repository: config, path: d, environments: [test]}"),
        ],
        &expect![[r#"
            d@test []
            App a, spec.path: unknown placeholder `{values.x}` in environment test, known: `app`, `cluster`, `environment`
            App b, spec.dependsOn[0]: App `a` comes first, and cannot be used in test
            App c, spec.dependsOn[0]: App `b` comes first, and cannot be used in test
        "#]],
    );
    // A circle stops its Apps and no others.
    left(
        &[
            HERE,
            CONFIG,
            TEST,
            ("App", "a", "{repository: config, path: a, environments: [test], dependsOn: [b]}"),
            ("App", "b", "{repository: config, path: b, environments: [test], dependsOn: [a]}"),
            ("App", "c", "{repository: config, path: c, environments: [test]}"),
        ],
        &expect![[r#"
            c@test []
            App a, spec.dependsOn[0]: App `b` comes first, and cannot be used in test
            App b, spec.dependsOn[0]: apps wait for each other in a circle: a -> b -> a
        "#]],
    );
}

#[test]
fn a_bad_cluster_stops_what_it_should_go_before_and_no_other_environment() {
    // A cluster that should go first and cannot holds the others back.
    left(
        &[
            HERE,
            CONFIG,
            ("Cluster", "bad", "{kubeconfig: {}}"),
            (
                "Environment",
                "far",
                "{clusters: {names: [here, bad]}, rollout: {waves: [{names: [bad]}], maxUnavailable: 50%}}",
            ),
            ("App", "a", "{repository: config, path: a, environments: [far]}"),
        ],
        &expect![[r#"
            Cluster bad, spec.kubeconfig: a resource names no files of the machine that trueup runs on: put the kubeconfig in a Secret and use `secretRef`
            Environment far, spec.clusters.names[1]: Cluster `bad` cannot be used: its own status says why
            Environment far, spec.rollout.waves[0].names[0]: Cluster `bad` cannot be used: its own status says why
        "#]],
    );
    // What is not as it should be in one environment does not matter in another.
    left(
        &[
            HERE,
            CONFIG,
            TEST,
            ("Environment", "far", "{clusters: {names: [here, gone]}}"),
            ("App", "a", "{repository: config, path: a, environments: [test, far]}"),
            ("App", "b", "{repository: config, path: b, environments: [test, far], dependsOn: [a]}"),
        ],
        &expect![[r#"
            a@far/here []
            a@test []
            b@test ["a@test"]
            Environment far, spec.clusters.names[1]: there is no Cluster `gone`, known: `here`
            App b, spec.dependsOn[0]: App `a` comes first, and cannot be used in far
        "#]],
    );
}

#[test]
fn secrets_are_of_the_resources_namespace_and_leaving_resources_are_left_out() {
    let mut objects: Vec<Value> =
        resources(&[CONFIG, HERE]).all.into_values().map(|resource| resource.object).collect();
    let all = read(objects.clone(), "ops", &[]);
    let secret = all.config.repositories["config"].spec.secret_ref.clone().unwrap();
    assert_eq!(secret.namespace.as_deref(), Some("ops"));
    objects[0]["metadata"]["deletionTimestamp"] = "2026-11-21T10:00:00Z".into();
    let all = read(objects, "ops", &[]);
    assert!(all.config.repositories.is_empty() && all.config.clusters.contains_key("here"));
}

mod standings {
    use super::*;
    use crate::config::Kind;
    use jiff::Timestamp;
    use std::collections::BTreeMap;
    use trueup_plan::health::HealthStatus;
    use trueup_plan::record::{SyncStatus, TargetStatus};

    const APP: (&str, &str, &str) = ("App", "web", "{repository: config, path: web, environments: [test]}");

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn target(sync: SyncStatus, health: HealthStatus, message: &str) -> Known {
        let status = TargetStatus {
            target: "web@test".into(),
            revision: "0123456789abcdef".into(),
            sync,
            health,
            objects: 3,
            message: message.into(),
            ..TargetStatus::default()
        };
        Known { targets: BTreeMap::from([("web@test".to_owned(), status)]), ..Known::default() }
    }

    /// Ready, Reconciling and Stalled, the reason and the message.
    fn shown(status: &Value) -> String {
        let conditions = status["conditions"].as_array().unwrap();
        let words: Vec<&str> = conditions.iter().map(|one| one["status"].as_str().unwrap()).collect();
        format!(
            "{} {}: {}",
            words.join(" "),
            conditions[0]["reason"].as_str().unwrap(),
            conditions[0]["message"].as_str().unwrap()
        )
    }

    #[test]
    fn an_app_is_ready_when_its_targets_are_settled() {
        let resources = resources(&[HERE, CONFIG, TEST, APP]);
        let now = at("2026-11-21T10:00:00Z");
        let app = |known: &Known| shown(&status(&resources, (Kind::App, "web"), known, now).unwrap());
        for (sync, health, words) in [
            (
                SyncStatus::Synced,
                HealthStatus::Healthy,
                "True False False Synced: 1 of 1 targets are Synced and Healthy",
            ),
            (
                SyncStatus::Synced,
                HealthStatus::Degraded,
                "False False False Degraded: web@test: Synced and Degraded: why",
            ),
            (
                SyncStatus::Synced,
                HealthStatus::Progressing,
                "False True False Progressing: web@test: Synced and Progressing: why",
            ),
            (
                SyncStatus::Failed,
                HealthStatus::Healthy,
                "False True False SyncFailed: web@test: Failed and Healthy: why",
            ),
            (
                SyncStatus::OutOfSync,
                HealthStatus::Healthy,
                "False False False OutOfSync: web@test: OutOfSync and Healthy: why",
            ),
            (
                SyncStatus::Unknown,
                HealthStatus::Unknown,
                "Unknown True False Unknown: web@test: Unknown and Unknown: why",
            ),
        ] {
            assert_eq!(app(&target(sync, health, "why\nand more")), words);
        }
        assert_eq!(
            app(&Known::default()),
            "Unknown True False Progressing: 1 of 1 targets have had no turn yet"
        );
    }

    #[test]
    fn a_status_is_written_once_and_conditions_keep_their_time() {
        let mut all = resources(&[HERE, CONFIG, TEST, APP]);
        let known = target(SyncStatus::Synced, HealthStatus::Healthy, "");
        let (before, now) = (at("2026-11-21T10:00:00Z"), at("2026-11-21T11:00:00Z"));
        for key in all.all.keys().cloned().collect::<Vec<_>>() {
            let first = status(&all, (key.0, &key.1), &known, before).unwrap();
            all.all.get_mut(&key).unwrap().object["status"] = first;
            assert_eq!(status(&all, (key.0, &key.1), &known, now), None, "{} {}", key.0, key.1);
        }
        // Nothing is known of the targets after a start: what was written stays. Of another generation it does not.
        assert_eq!(status(&all, (Kind::App, "web"), &Known::default(), now), None);
        let failed = target(SyncStatus::Failed, HealthStatus::Healthy, "why");
        let after = status(&all, (Kind::App, "web"), &failed, now).unwrap();
        let times: Vec<&str> = after["conditions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["lastTransitionTime"].as_str().unwrap())
            .collect();
        assert_eq!(times, ["2026-11-21T11:00:00Z", "2026-11-21T11:00:00Z", "2026-11-21T10:00:00Z"]);
        let key = (Kind::App, "web".to_owned());
        assert_eq!(news(&all.all[&key].object["status"], &after).unwrap().reason, "SyncFailed");
        all.all.get_mut(&key).unwrap().object["metadata"]["generation"] = 3.into();
        let next = status(&all, (Kind::App, "web"), &Known::default(), now).unwrap();
        assert_eq!(
            (next["observedGeneration"].as_i64(), next["conditions"][1]["status"].as_str()),
            (Some(3), Some("True"))
        );
    }

    #[test]
    fn a_status_of_many_targets_is_bounded_and_names_the_worst() {
        let clusters: Vec<String> = (0..100).map(|n| format!("c{n:03}")).collect();
        let mut lines: Vec<(&str, &str, &str)> =
            clusters.iter().map(|name| ("Cluster", name.as_str(), "{secretRef: {name: x}}")).collect();
        let all = format!("{{clusters: {{names: [{}]}}}}", clusters.join(", "));
        lines.extend([CONFIG, APP, ("Environment", "test", all.as_str())]);
        let resources = resources(&lines);
        let mut known = Known::default();
        for target in resources.config.targets() {
            let failed = target.cluster == "c077";
            let one = TargetStatus {
                target: target.name.clone(),
                sync: if failed { SyncStatus::Failed } else { SyncStatus::Synced },
                health: HealthStatus::Healthy,
                message: if failed { "é".repeat(5000) } else { String::new() },
                ..TargetStatus::default()
            };
            known.targets.insert(target.name.clone(), one);
        }
        let status = status(&resources, (Kind::App, "web"), &known, at("2026-11-21T10:00:00Z")).unwrap();
        assert_eq!(
            (status["targets"].as_array().unwrap().len(), status["moreTargets"].as_u64()),
            (30, Some(70))
        );
        assert_eq!(status["targets"][0]["name"], "web@test/c077");
        assert!(status.to_string().len() < 16_000, "{}", status.to_string().len());
    }

    #[test]
    fn what_is_wrong_with_a_resource_is_in_its_status() {
        let resources = resources(&[
            HERE,
            CONFIG,
            TEST,
            ("App", "web", "{repository: cnfig, path: web, environments: [test]}"),
        ]);
        let status =
            status(&resources, (Kind::App, "web"), &Known::default(), at("2026-11-21T10:00:00Z")).unwrap();
        let words = "False False True Invalid: spec.repository: there is no Repository `cnfig`, did you mean `config`?";
        assert_eq!(shown(&status), words);
    }
}

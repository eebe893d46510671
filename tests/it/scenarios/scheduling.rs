//! When a target gets its turn, what it waits for, and what it goes on with.

use super::ground::{Ground, scenarios};
use super::harness::{World, config_map};
use serde_json::json;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

scenarios![
    a_suspended_repository_stays_at_its_last_commit_after_a_restart_too,
    an_app_says_how_often_what_fails_is_tried,
    commands_that_work_alone_read_a_repositorys_secret_from_the_one_cluster,
    a_wave_waits_for_the_health_of_the_one_before_it,
    an_atomic_app_applies_all_or_nothing_and_names_all_that_is_refused,
    an_object_whose_kind_another_target_brings_waits_for_it_and_never_fails,
    an_object_whose_kind_nobody_brings_is_a_failure_after_a_while,
    a_cluster_that_never_answers_takes_no_place_from_the_others,
    a_refusal_names_the_field_that_cannot_change_and_quotes_no_secret,
    a_newer_commit_replaces_one_that_waits_for_health,
    a_target_that_is_as_it_was_is_not_written_to_the_store,
    a_sync_that_a_person_asked_for_goes_through_all_waves,
];

fn a_suspended_repository_stays_at_its_last_commit_after_a_restart_too(ground: Ground) {
    let mut world = World::new(ground, "suspend");
    let first = world.repo.commit(&[("app/a.yaml", &config_map("a", "1"))], "first").unwrap();
    world.start();
    world.synced(&first);
    assert_eq!(world.terminate(), Some(0));
    let suspended = world
        .configuration("", world.namespace.name())
        .replace("interval: 200ms", "interval: 200ms, suspend: true");
    world.write_configuration(&suspended);
    world.repo.commit(&[("app/a.yaml", &config_map("a", "2"))], "not to be seen").unwrap();
    world.api.delete(&world.config_map("a")).unwrap();
    world.start();
    world.holds("the object is as at the first commit", |world| {
        world.api.find(&world.config_map("a")).unwrap().is_some_and(|live| live["data"]["value"] == "1")
    });
    world.synced(&first);
    assert_eq!(world.trueup(&["diff"]).status.code(), Some(0));
}

fn an_app_says_how_often_what_fails_is_tried(ground: Ground) {
    let mut world = World::new(ground, "retry");
    let bad = "apiVersion: v1\nkind: Service\nmetadata: {name: bad}\nspec: {ports: [{port: 99999}]}\n";
    world.repo.commit(&[("app/bad.yaml", bad)], "bad").unwrap();
    let retry = world.configuration("", world.namespace.name()).replace(
        "environments: [test]}",
        "environments: [test], retry: {limit: 2, backoff: {initial: 100ms, max: 200ms}}}",
    );
    world.write_configuration(&retry);
    world.start();
    let failures = |world: &World| {
        let history = String::from_utf8(world.trueup(&["history", "app@test"]).stdout).unwrap();
        history.matches("Failed").count()
    };
    world.holds("three failures: the first and two retries", |world| failures(world) == 3);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(failures(&world), 3);
    assert!(world.trueup(&["sync", "app@test", "--wait", "--timeout", "10s"]).status.code() == Some(1));
    world.holds("a person begins anew", |world| failures(world) > 3);
}

fn commands_that_work_alone_read_a_repositorys_secret_from_the_one_cluster(ground: Ground) {
    let world = World::new(ground, "secretref");
    world.repo.commit(&[("app/a.yaml", &config_map("a", "1"))], "first").unwrap();
    let namespace = world.namespace.name();
    let text = world.configuration("", namespace).replace(
        "interval: 200ms",
        &format!("interval: 200ms, secretRef: {{name: git, namespace: {namespace}}}"),
    );
    world.write_configuration(&text);
    for command in [&["render", "app@test"][..], &["diff"]] {
        let refused = world.alone(command);
        let words = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{words}");
        assert!(words.contains("Repository config: secretRef") && words.contains("git"), "{words}");
    }
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "git"}, "stringData": {"username": "u", "password": "p"}});
    world.api.create(&format!("/api/v1/namespaces/{namespace}/secrets"), &secret).unwrap();
    let rendered = world.alone(&["render", "app@test"]);
    assert!(String::from_utf8_lossy(&rendered.stdout).contains("name: a"), "{rendered:?}");
    assert_eq!(world.alone(&["diff"]).status.code(), Some(1));
    assert_eq!(world.alone(&["status"]).status.code(), Some(1));
}

fn wave(name: &str, wave: i32, annotation: &str) -> String {
    config_map(name, "1")
        .replace(&format!("name: {name}"), &format!("name: {name}, annotations: {{{annotation}: '{wave}'}}"))
}

fn a_wave_waits_for_the_health_of_the_one_before_it(ground: Ground) {
    let mut world = World::new(ground, "waves");
    let claim = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: disk, annotations: {argocd.argoproj.io/sync-wave: '1'}}\n\
                 spec: {accessModes: [ReadWriteOnce], storageClassName: by-hand, resources: {requests: {storage: 1Gi}}}\n";
    let all = [
        wave("first", -1, "argocd.argoproj.io/sync-wave"),
        config_map("second", "1"),
        claim.to_owned(),
        wave("last", 2, "trueup.dev/wave"),
    ]
    .join("---\n");
    let first = world.repo.commit(&[("app/all.yaml", &all)], "waves").unwrap();
    world.start();
    let status = world.until("the last wave waits", |status| {
        status["message"].as_str().is_some_and(|message| message.contains("waits for wave 1"))
    });
    assert_eq!((&status["sync"], &status["wantedRevision"]), (&json!("Syncing"), &json!(first)));
    assert!(status["message"].as_str().unwrap().contains("PersistentVolumeClaim"), "{status}");
    for (name, is_there) in [("first", true), ("second", true), ("last", false)] {
        assert_eq!(world.api.find(&world.config_map(name)).unwrap().is_some(), is_there, "{name}");
    }
    let volume = json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": format!("{}-disk", world.namespace.name())},
        "spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "storageClassName": "by-hand",
            "hostPath": {"path": "/tmp"}, "claimRef": {"namespace": world.namespace.name(), "name": "disk"}}});
    world.api.create("/api/v1/persistentvolumes", &volume).unwrap();
    world.synced(&first);
    assert!(world.api.find(&world.config_map("last")).unwrap().is_some());
}

fn an_atomic_app_applies_all_or_nothing_and_names_all_that_is_refused(ground: Ground) {
    let mut world = World::new(ground, "atomic");
    let text = world
        .configuration("", world.namespace.name())
        .replace("environments: [test]}", "environments: [test], atomic: true}");
    world.write_configuration(&text);
    let first = world.repo.commit(&[("app/a.yaml", &config_map("a", "1"))], "first").unwrap();
    world.start();
    world.synced(&first);
    let service = |name: &str, port: u32| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{ports: [{{port: {port}}}]}}\n"
        )
    };
    let files = [
        ("app/a.yaml", config_map("a", "2")),
        ("app/b.yaml", config_map("b", "2")),
        ("app/bad.yaml", service("bad", 99_999)),
        ("app/worse.yaml", service("worse", 88_888)),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    world.repo.commit(&files, "two mistakes").unwrap();
    let status = world.until("both mistakes are named", |status| {
        status["sync"] == "Failed" && status["errors"].as_array().is_some_and(|errors| errors.len() == 2)
    });
    let errors = status["errors"].to_string();
    assert!(errors.contains("app/bad.yaml:1") && errors.contains("app/worse.yaml:1"), "{errors}");
    assert_eq!(status["revision"], first);
    let unchanged = |world: &World| {
        let a = world.api.get(&world.config_map("a")).unwrap();
        a["data"]["value"] == "1" && world.api.find(&world.config_map("b")).unwrap().is_none()
    };
    assert!(unchanged(&world));
    // Tries that come later are no other.
    std::thread::sleep(Duration::from_secs(4));
    assert!(unchanged(&world));
    let second = world
        .repo
        .commit(&[("app/bad.yaml", &service("bad", 80)), ("app/worse.yaml", &service("worse", 81))], "mended")
        .unwrap();
    world.synced(&second);
    assert_eq!(world.api.get(&world.config_map("a")).unwrap()["data"]["value"], "2");
}

fn an_object_whose_kind_another_target_brings_waits_for_it_and_never_fails(ground: Ground) {
    let mut world = World::new(ground, "kinds");
    let group = format!("{}.example.com", world.namespace.name());
    world.takes_away(format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/gears.{group}"));
    let definition = format!(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: gears.{group}}}\nspec:\n  group: {group}\n  scope: Namespaced\n  names: {{kind: Gear, plural: gears, singular: gear}}\n  versions: [{{name: v1, served: true, storage: true, schema: {{openAPIV3Schema: {{type: object, x-kubernetes-preserve-unknown-fields: true}}}}}}]\n"
    );
    let object = format!("apiVersion: {group}/v1\nkind: Gear\nmetadata: {{name: one}}\nspec: {{teeth: 3}}\n");
    let text = format!(
        "{}---\napiVersion: trueup.dev/v1alpha1\nkind: App\nmetadata: {{name: kinds}}\nspec: {{repository: config, path: kinds, environments: [test], sync: {{automatic: false}}}}\n",
        world.configuration("", world.namespace.name())
    );
    world.write_configuration(&text);
    let first =
        world.repo.commit(&[("app/a.yaml", &object), ("kinds/crd.yaml", &definition)], "both").unwrap();
    world.start();
    let status = world.until("the object waits", |status| {
        status["message"].as_str().is_some_and(|message| message.contains("which kinds@test brings"))
    });
    assert_eq!(status["sync"], "Syncing", "{status}");
    assert_eq!(world.trueup(&["sync", "kinds@test"]).status.code(), Some(0));
    world.synced(&first);
    let history = String::from_utf8(world.trueup(&["history", "app@test"]).stdout).unwrap();
    assert!(!history.contains("Failed"), "{history}");
}

fn an_object_whose_kind_nobody_brings_is_a_failure_after_a_while(ground: Ground) {
    let mut world = World::new(ground, "nobody");
    let object = "apiVersion: nobody.example.com/v1\nkind: Gear\nmetadata: {name: one}\n";
    world.repo.commit(&[("app/a.yaml", object), ("app/b.yaml", &config_map("b", "1"))], "first").unwrap();
    world.start();
    let status = world.until("it waits", |status| status["sync"] == "Syncing");
    assert!(
        status["message"].as_str().is_some_and(|m| m.is_empty() || m.contains("the kind Gear")),
        "{status}"
    );
    world.holds("the rest is applied", |world| world.api.find(&world.config_map("b")).unwrap().is_some());
    let status = world.until("it failed", |status| status["sync"] == "Failed");
    assert!(status["message"].as_str().unwrap().contains("is its CRD installed?"), "{status}");
}

/// A server that accepts connections and never answers.
fn silent() -> std::net::SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for connection in listener.incoming() {
            open.push(connection);
        }
    });
    address
}

fn a_cluster_that_never_answers_takes_no_place_from_the_others(ground: Ground) {
    let mut world = World::new(ground, "silent");
    let kubeconfig = tempfile::NamedTempFile::new().unwrap();
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: x\ncontexts: [{{name: x, context: {{cluster: x, user: x}}}}]\nclusters: [{{name: x, cluster: {{server: 'http://{}'}}}}]\nusers: [{{name: x, user: {{token: t}}}}]\n",
        silent()
    );
    std::fs::write(kubeconfig.path(), text).unwrap();
    let mut text = format!(
        "{}---\napiVersion: trueup.dev/v1alpha1\nkind: Cluster\nmetadata: {{name: silent}}\nspec: {{kubeconfig: {{path: '{}'}}}}\n---\napiVersion: trueup.dev/v1alpha1\nkind: Environment\nmetadata: {{name: far}}\nspec: {{cluster: silent, namespace: far}}\n",
        world.configuration("", world.namespace.name()),
        kubeconfig.path().display()
    );
    // More targets than there are turns at once, all of which come first in the order of names.
    for n in 0..150 {
        write!(
            text,
            "---\napiVersion: trueup.dev/v1alpha1\nkind: App\nmetadata: {{name: a-{n}}}\nspec: {{repository: config, path: app, environments: [far]}}\n"
        )
        .unwrap();
    }
    world.write_configuration(&text);
    let first = world.repo.commit(&[("app/a.yaml", &config_map("a", "1"))], "first").unwrap();
    let begun = Instant::now();
    world.start();
    world.synced(&first);
    assert!(begun.elapsed() < Duration::from_secs(15), "the first sync took {:?}", begun.elapsed());
    for value in 2..5 {
        let text = config_map("a", &value.to_string());
        let next = world.repo.commit(&[("app/a.yaml", &text)], "next").unwrap();
        let begun = Instant::now();
        world.synced(&next);
        assert!(begun.elapsed() < Duration::from_secs(15), "a commit took {:?}", begun.elapsed());
    }
}

fn a_refusal_names_the_field_that_cannot_change_and_quotes_no_secret(ground: Ground) {
    let mut world = World::new(ground, "refusal");
    let set = |service: &str| {
        format!(
            "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {{name: db}}\nspec:\n  serviceName: {service}\n  replicas: 0\n  selector: {{matchLabels: {{app: db}}}}\n  template: {{metadata: {{labels: {{app: db}}}}, spec: {{containers: [{{name: db, image: db}}]}}}}\n"
        )
    };
    let first = world.repo.commit(&[("app/db.yaml", &set("one"))], "first").unwrap();
    world.start();
    world.synced(&first);
    let secret =
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {password: [hunter2-in-a-list]}\n";
    world.repo.commit(&[("app/db.yaml", &set("two")), ("app/s.yaml", secret)], "both are refused").unwrap();
    let status = world.until("both are reported", |status| {
        status["errors"].as_array().is_some_and(|errors| errors.len() == 2)
    });
    let errors = status["errors"].to_string();
    assert!(errors.contains("immutable: spec.serviceName") && errors.contains("<hash "), "{errors}");
    let history = String::from_utf8(world.trueup(&["history", "app@test", "-o", "json"]).stdout).unwrap();
    for text in [status.to_string(), history] {
        assert!(!text.contains("hunter2") && !text.contains("aHVudGVyMi1p"), "{text}");
    }
}

fn a_newer_commit_replaces_one_that_waits_for_health(ground: Ground) {
    let mut world = World::new(ground, "newer");
    let stuck = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: stuck}\n\
                 spec: {accessModes: [ReadWriteOnce], storageClassName: nobody, resources: {requests: {storage: 1Gi}}}\n";
    let late = wave("late", 1, "trueup.dev/wave");
    world.repo.commit(&[("app/stuck.yaml", stuck), ("app/late.yaml", &late)], "stuck").unwrap();
    world.start();
    world.until("the wave waits", |status| {
        status["message"].as_str().is_some_and(|message| message.contains("waits for wave 0"))
    });
    let second = world.repo.remove(&["app/stuck.yaml"], "without it").unwrap();
    world.synced(&second);
    assert!(world.api.find(&world.config_map("late")).unwrap().is_some());
}

fn a_target_that_is_as_it_was_is_not_written_to_the_store(ground: Ground) {
    let mut world = World::new(ground, "quiet");
    world.configure("interval: 100ms");
    let first = world.repo.commit(&[("app/a.yaml", &config_map("a", "1"))], "first").unwrap();
    world.start();
    world.synced(&first);
    std::thread::sleep(Duration::from_secs(1));
    let log = || std::fs::metadata(world.state().join("trueup.db-wal")).unwrap().modified().unwrap();
    let before = log();
    // About thirty turns.
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(log(), before);
}

fn a_sync_that_a_person_asked_for_goes_through_all_waves(ground: Ground) {
    let mut world = World::new(ground, "person");
    world.configure("automatic: false");
    let waves =
        [wave("one", 1, "trueup.dev/wave"), config_map("zero", "1"), wave("two", 2, "trueup.dev/wave")];
    let first = world.repo.commit(&[("app/all.yaml", &waves.join("---\n"))], "waves").unwrap();
    world.start();
    world.until("it waits for a person", |status| status["sync"] == "OutOfSync");
    assert_eq!(world.trueup(&["sync", "app@test"]).status.code(), Some(0));
    world.synced(&first);
    world.repo.commit(&[("app/all.yaml", &config_map("zero", "2"))], "not asked for").unwrap();
    world.until("it waits again", |status| status["sync"] == "OutOfSync");
    assert!(world.api.find(&world.config_map("two")).unwrap().is_some());
    assert_eq!(world.api.get(&world.config_map("zero")).unwrap()["data"]["value"], "1");
}

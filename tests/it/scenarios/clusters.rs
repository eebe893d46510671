//! Clusters that other tools have declared in Secrets are reached as they are, and what is rotated in Secrets is found.

use super::governed::{Governed, app, condition, is};
use super::ground::{Ground, scenarios};
use super::harness::config_map;
use super::hooks::deliver;
use serde_json::{Value, json};
use std::cell::Cell;
use std::fs;
use trueup_testkit::Access;

scenarios![
    secrets_of_argo_cd_and_cluster_api_are_read_as_they_are,
    credentials_that_are_rotated_under_the_same_name_are_found,
];

fn secrets_of_argo_cd_and_cluster_api_are_read_as_they_are(ground: Ground) {
    let mut governed = Governed::new(ground, "clusters");
    governed
        .world
        .repo
        .commit(&[("app/a.yaml", &config_map("a", "1")), ("b/b.yaml", &config_map("b", "1"))], "first")
        .unwrap();
    let namespace = governed.world.namespace.name().to_owned();
    let text = fs::read_to_string(governed.world.kubeconfig()).unwrap();
    let kubeconfig = trueup_model::yaml::parse(&text).unwrap()[0].to_value();
    let (cluster, user) = (&kubeconfig["clusters"][0]["cluster"], &kubeconfig["users"][0]["user"]);
    let config = |token: &Value| {
        let authority = &cluster["certificate-authority-data"];
        json!({"bearerToken": token, "tlsClientConfig": {"insecure": false, "caData": authority}}).to_string()
    };
    let secrets = format!("/api/v1/namespaces/{namespace}/secrets");
    let argo = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"name": "cluster-eu-1", "labels": {"argocd.argoproj.io/secret-type": "cluster"}},
        "stringData": {"name": "eu-1", "server": cluster["server"], "config": "{"},
    });
    governed.world.api.create(&secrets, &argo).unwrap();
    let capi = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "cluster.x-k8s.io/secret",
        "metadata": {"name": "eu-2-kubeconfig", "labels": {"cluster.x-k8s.io/cluster-name": "eu-2"}},
        "stringData": {"value": text},
    });
    governed.world.api.create(&secrets, &capi).unwrap();
    for (name, secret) in [("eu-1", "cluster-eu-1"), ("eu-2", "eu-2-kubeconfig")] {
        governed.apply("clusters", "Cluster", name, &json!({"secretRef": {"name": secret}}));
        governed.apply(
            "environments",
            "Environment",
            name,
            &json!({"cluster": name, "namespace": namespace}),
        );
    }
    // Each of another cluster, as far as anybody can tell.
    let mut of_argo = app("app");
    of_argo["environments"] = json!(["eu-1"]);
    governed.apply("apps", "App", "app", &of_argo);
    let mut of_capi = app("b");
    of_capi["environments"] = json!(["eu-2"]);
    governed.apply("apps", "App", "b", &of_capi);
    governed.start();

    governed.until("clusters", "eu-2", "eu-2 answers", |cluster| is(cluster, "Ready", "True"));
    governed.until("apps", "b", "b is Ready", |app| is(app, "Ready", "True"));
    let broken = governed.until("clusters", "eu-1", "what is wrong is told", |cluster| {
        let ready = condition(cluster, "Ready");
        ready["reason"] == "Unreachable" && ready["message"].as_str().unwrap_or_default().contains("no JSON")
    });
    let message = condition(&broken, "Ready")["message"].as_str().unwrap();
    assert!(
        message.contains("Secret cluster-eu-1: the key config is no JSON (line 1, column 1)"),
        "{message}"
    );

    let fixed = json!({"stringData": {"config": config(&user["token"])}});
    governed.world.api.merge(&format!("{secrets}/cluster-eu-1"), &fixed).unwrap();
    let ready = governed.until("clusters", "eu-1", "eu-1 answers", |cluster| is(cluster, "Ready", "True"));
    assert!(ready["status"]["version"].as_str().unwrap().starts_with("v1."), "{ready:#}");
    governed.until("apps", "app", "app is Ready", |app| is(app, "Ready", "True"));
    assert!(governed.world.has("a") && governed.world.has("b"));
}

fn credentials_that_are_rotated_under_the_same_name_are_found(ground: Ground) {
    let mut governed = Governed::new(ground, "rotated");
    let namespace = governed.world.namespace.name().to_owned();
    let secrets = format!("/api/v1/namespaces/{namespace}/secrets");
    let say = |governed: &Governed, name: &str, data: &Value| {
        let secret =
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data});
        governed.world.api.apply(&format!("{secrets}/{name}"), &secret, "test").unwrap();
    };
    let kubeconfig = |governed: &Governed, account: &str| {
        let world = &governed.world;
        json!({"value": world.api.as_account(world.kubeconfig(), &namespace, account).unwrap().to_string()})
    };
    let basic = |password: &str| Access::Basic { user: "git".to_owned(), password: password.to_owned() };
    let password = |password: &str| json!({"username": "git", "password": password});
    let old = governed.world.add_administrator("old");
    governed.world.add_administrator("new");
    say(&governed, "far", &kubeconfig(&governed, "old"));
    governed.apply("clusters", "Cluster", "here", &json!({"secretRef": {"name": "far"}}));
    governed.server.set_access(basic("first"));
    say(&governed, "git", &password("first"));
    let url = governed.server.url("config.git");
    let repository = json!({"url": url, "interval": "300ms", "secretRef": {"name": "git"}});
    governed.apply("repositories", "Repository", "config", &repository);
    let is_at = |governed: &Governed, value: &str| {
        governed.world.holds(&format!("{value} is applied"), |world| {
            world
                .api
                .find(&world.config_map("a"))
                .unwrap()
                .is_some_and(|found| found["data"]["value"] == value)
        });
    };
    governed.world.repo.commit(&[("app/a.yaml", &config_map("a", "1"))], "first").unwrap();
    governed.start();
    is_at(&governed, "1");

    // A token of the repository.
    governed.server.set_access(basic("second"));
    governed.world.repo.commit(&[("app/a.yaml", &config_map("a", "2"))], "second").unwrap();
    governed.until("repositories", "config", "it is told", |repository| is(repository, "Ready", "False"));
    say(&governed, "git", &password("second"));
    is_at(&governed, "2");

    // The credentials of the cluster.
    governed.world.api.delete(&old).unwrap();
    // The API server remembers them for a while.
    let value = Cell::new(2);
    governed.world.holds("the old ones are refused", |world| {
        value.set(value.get() + 1);
        let text = config_map("a", &value.get().to_string());
        world.repo.commit(&[("app/a.yaml", &text)], "one more").unwrap();
        world
            .status("app@test")
            .is_some_and(|status| status["sync"] == "Failed" || status["sync"] == "Unknown")
    });
    say(&governed, "far", &kubeconfig(&governed, "new"));
    is_at(&governed, &value.get().to_string());
    governed.until("apps", "app", "app is Ready", |app| is(app, "Ready", "True"));

    // The secret of a webhook, which nothing of trueup's own is in trouble without.
    say(&governed, "hook", &json!({"token": "the first one"}));
    let mut told = repository;
    told["webhook"] = json!({"secretRef": {"name": "hook"}});
    governed.apply("repositories", "Repository", "config", &told);
    let head = governed.world.repo.head().unwrap();
    let answers = |secret: &str, code: u16| {
        governed.world.holds(&format!("{secret} is answered with {code}"), |world| {
            deliver(world, &governed.server, &head, secret).0 == code
        });
    };
    answers("the first one", 202);
    say(&governed, "hook", &json!({"token": "the second one"}));
    answers("the second one", 202);
    answers("the first one", 401);
}

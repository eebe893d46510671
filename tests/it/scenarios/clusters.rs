//! Clusters that other tools have declared in Secrets are reached as they are.

use super::governed::{Governed, app, condition, is};
use super::ground::{Ground, scenarios};
use super::harness::config_map;
use serde_json::{Value, json};
use std::fs;

scenarios![secrets_of_argo_cd_and_cluster_api_are_read_as_they_are];

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

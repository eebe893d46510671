//! Objects that admission changes on their way in: no endless loop, nothing asked while nothing changes, and drift of what
//! admission leaves alone still repaired.

use super::ground::{Cluster, Ground, on_the_api_server_only};
use super::harness::{World, config_map};
use serde_json::{Value, json};
use std::time::Duration;
use trueup_testkit::{AdmissionWebhook, Audit, Components, Options};

on_the_api_server_only! {
    "Nobody changes objects on their way into the sandbox: it calls no webhooks, and policies mean nothing to it.":
        an_object_that_a_webhook_completes_is_synced_and_left_in_peace,
        a_field_that_a_webhook_rewrites_is_named_and_not_fought_over,
        an_object_that_a_policy_completes_is_synced_and_left_in_peace;
}

const REGISTRATION: &str = "/apis/admissionregistration.k8s.io/v1";

/// A cluster of its own: what is registered there would make others on it ask about their objects again.
fn plane(ground: Ground) -> Cluster {
    let options = Options { components: Components::ApiOnly, audit: Audit::Requests, ..Options::default() };
    ground.start(options)
}

fn register(plane: &Cluster, plural: &str, object: &Value) {
    plane.api().create(&format!("{REGISTRATION}/{plural}"), object).unwrap();
}

fn only_in(world: &World) -> Value {
    json!({"matchLabels": {"kubernetes.io/metadata.name": world.namespace.name()}})
}

fn rules() -> Value {
    json!([{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["CREATE", "UPDATE"]}])
}

fn data(world: &World, name: &str) -> Value {
    world.api.get(&world.config_map(name)).unwrap()["data"].clone()
}

/// What trueup asked of the API server about the namespace within some seconds.
fn asked(world: &World, plane: &Cluster) -> Vec<String> {
    std::thread::sleep(Duration::from_secs(2));
    let mark = plane.mark();
    std::thread::sleep(Duration::from_secs(4));
    let ours = |request: &trueup_testkit::Request| {
        request.user_agent.starts_with("trueup/") && request.uri.contains(world.namespace.name())
    };
    let asked = plane.requests_since(mark);
    asked.into_iter().filter(ours).map(|request| format!("{} {}", request.verb, request.uri)).collect()
}

/// What must hold of a world in which admission sets `data.stamp` of every ConfigMap.
fn check(mut world: World, plane: &Cluster) {
    let first = world.repo.commit(&[("app/a.yaml", &config_map("a", "1"))], "first").unwrap();
    world.start();
    world.synced(&first);
    assert_eq!(data(&world, "a"), json!({"value": "1", "stamp": "set"}));
    assert_eq!(asked(&world, plane), Vec::<String>::new());
    world.api.merge(&world.config_map("a"), &json!({"data": {"value": "edited"}})).unwrap();
    world.holds("the edit is put back", |world| data(world, "a")["value"] == "1");
    let second = world.repo.commit(&[("app/a.yaml", &config_map("a", "2"))], "second").unwrap();
    world.synced(&second);
    assert_eq!(data(&world, "a"), json!({"value": "2", "stamp": "set"}));
}

fn an_object_that_a_webhook_completes_is_synced_and_left_in_peace(ground: Ground) {
    let plane = plane(ground);
    let world = World::on(&plane, "webhook");
    let webhook =
        AdmissionWebhook::start(|_, _| json!([{"op": "add", "path": "/data/stamp", "value": "set"}]))
            .unwrap();
    register_webhook(&plane, &world, &webhook);
    check(world, &plane);
}

/// Has the webhook asked about members of the world; gives the registration's name.
fn register_webhook(plane: &Cluster, world: &World, webhook: &AdmissionWebhook) -> String {
    let name = format!("{}.example.com", world.namespace.name());
    let configuration = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": name}, "webhooks": [{"name": name, "clientConfig": webhook.client_config(),
            "rules": rules(), "namespaceSelector": only_in(world), "sideEffects": "None", "admissionReviewVersions": ["v1"],
            "objectSelector": {"matchExpressions": [{"key": "applyset.kubernetes.io/part-of", "operator": "Exists"}]}}]});
    register(plane, "mutatingwebhookconfigurations", &configuration);
    // The API server follows its own configuration with a delay.
    std::thread::sleep(Duration::from_secs(2));
    name
}

fn a_field_that_a_webhook_rewrites_is_named_and_not_fought_over(ground: Ground) {
    let plane = plane(ground);
    let mut world = World::on(&plane, "rewritten");
    let rewrite = |_: &str, object: &Value| match object.pointer("/data/value") {
        Some(_) => json!([{"op": "replace", "path": "/data/value", "value": "theirs"}]),
        None => json!([]),
    };
    let webhook = AdmissionWebhook::start(rewrite).unwrap();
    let name = register_webhook(&plane, &world, &webhook);
    let first = world.repo.commit(&[("app/a.yaml", &config_map("a", "1"))], "first").unwrap();
    world.start();
    let names_it = |world: &World, revision: &str, wanted: &str| {
        let status = world.synced(revision);
        let message = status["message"].as_str().unwrap_or_default();
        assert!(message.ends_with("/a: data.value is rewritten on admission"), "{message}");
        let field = &status["rewritten"][0];
        assert_eq!(
            [&field["field"], &field["pointer"], &field["wanted"], &field["found"]],
            ["data.value", "/data/value", wanted, "theirs"]
        );
        assert_eq!(data(world, "a")["value"], "theirs");
    };
    names_it(&world, &first, "1");
    assert_eq!(asked(&world, &plane), Vec::<String>::new(), "what cannot be won is not fought over");
    let second = world.repo.commit(&[("app/a.yaml", &config_map("a", "2"))], "second").unwrap();
    names_it(&world, &second, "2");
    world.kill();
    world.start();
    names_it(&world, &second, "2");
    assert_eq!(asked(&world, &plane), Vec::<String>::new(), "nor after a restart");
    plane.api().delete(&format!("{REGISTRATION}/mutatingwebhookconfigurations/{name}")).unwrap();
    world.holds("Git is followed as soon as nobody is in the way", |world| data(world, "a")["value"] == "2");
    world.until("nothing is rewritten any more", |status| {
        status["sync"] == "Synced" && status["message"] == "" && status.get("rewritten").is_none()
    });
}

fn an_object_that_a_policy_completes_is_synced_and_left_in_peace(ground: Ground) {
    let plane = plane(ground);
    let world = World::on(&plane, "policy");
    let name = format!("{}.example.com", world.namespace.name());
    let expression = "Object{data: {'stamp': 'set'}}";
    let policy = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": name}, "spec": {"reinvocationPolicy": "Never", "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": rules(), "namespaceSelector": only_in(&world),
                "objectSelector": {"matchExpressions": [{"key": "applyset.kubernetes.io/part-of", "operator": "Exists"}]}},
            "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}]}});
    register(&plane, "mutatingadmissionpolicies", &policy);
    let binding = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": name}, "spec": {"policyName": name}});
    register(&plane, "mutatingadmissionpolicybindings", &binding);
    std::thread::sleep(Duration::from_secs(3));
    check(world, &plane);
}

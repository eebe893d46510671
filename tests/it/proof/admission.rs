//! Whoever changes objects on their way in: a webhook and an admission policy, for objects that ask for it by a label.

use super::random::Random;
use super::server::Server;
use serde_json::{Value, json};
use std::time::Duration;
use trueup_testkit::AdmissionWebhook;

/// On an object: what becomes of it on its way in.
pub(super) const LABEL: &str = "proof.trueup.dev/admission";

/// What its value may be. All but the last are for the webhook.
pub(super) const MODES: [&str; 5] = ["stamp", "inject", "rewrite", "drop", "policy"];

const REGISTRATION: &str = "/apis/admissionregistration.k8s.io/v1";

/// The JSON patch that the webhook answers with: as the path says, or else the object's label. Done twice, it is as done once;
/// of a webhook that is not like that, no dry run can foresee what it does.
pub(super) fn change(path: &str, object: &Value) -> Value {
    let label = || object.pointer("/metadata/labels").and_then(|labels| labels.get(LABEL)?.as_str());
    match path.strip_prefix('/').filter(|mode| !mode.is_empty()).or_else(label) {
        Some("stamp") => stamped(object),
        Some("inject") => injected(object),
        Some("rewrite") => rewritten(object),
        Some("drop") => dropped(object),
        Some(_) | None => json!([]),
    }
}

fn stamped(object: &Value) -> Value {
    let mut annotations = object.pointer("/metadata/annotations").cloned().unwrap_or(json!({}));
    annotations["stamp"] = "set".into();
    json!([{"op": "add", "path": "/metadata/annotations", "value": annotations}])
}

// At the front: what we own keeps its order and not its place.
fn injected(object: &Value) -> Value {
    let lists = ["/spec/template/spec/containers", "/template/spec/containers", "/spec/map", "/spec/ports"];
    let Some(list) = lists.iter().find(|list| object.pointer(list).is_some()) else { return stamped(object) };
    let items = object.pointer(list).and_then(Value::as_array).cloned().unwrap_or_default();
    if items.iter().any(|item| item["name"] == "injected") {
        return json!([]);
    }
    let item = match *list {
        "/spec/ports" => json!({"name": "injected", "port": 9999, "protocol": "TCP"}),
        "/spec/map" => json!({"name": "injected", "value": "x"}),
        _ => json!({"name": "injected", "image": "proxy"}),
    };
    json!([{"op": "add", "path": format!("{list}/0"), "value": item}])
}

fn rewritten(object: &Value) -> Value {
    let places = ["/data/a", "/spec/template/spec/containers/0/image", "/spec/level", "/metadata/labels/app"];
    match places.iter().find(|place| object.pointer(place).is_some_and(Value::is_string)) {
        Some(place) => json!([{"op": "replace", "path": place, "value": "cmV3cml0dGVu"}]),
        None => json!([]),
    }
}

fn dropped(object: &Value) -> Value {
    let places = ["/metadata/annotations/note", "/spec/replicas", "/data/b", "/metadata/labels/b"];
    match places.iter().find(|place| object.pointer(place).is_some()) {
        Some(place) => json!([{"op": "remove", "path": place}]),
        None => json!([]),
    }
}

/// Registers webhook and policy for objects with the label.
pub(super) async fn register(server: &Server, webhook: &AdmissionWebhook) {
    let everything = json!([{"apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"], "operations": ["CREATE", "UPDATE"]}]);
    let selector = |operator: &str| json!({"matchExpressions": [{"key": LABEL, "operator": operator}]});
    let configuration = webhook_of("proof", webhook, &everything, &selector("Exists"));
    create(server, "mutatingwebhookconfigurations", &configuration).await;
    let annotate = json!({"patchType": "ApplyConfiguration", "applyConfiguration":
        {"expression": "Object{metadata: Object.metadata{annotations: {'policy': 'set'}}}"}});
    let rewrite = json!({"patchType": "JSONPatch", "jsonPatch": {"expression":
        "has(object.metadata.labels.app) ? [JSONPatch{op: 'replace', path: '/metadata/labels/app', value: 'policy'}] : []"}});
    let only = json!({"matchLabels": {LABEL: "policy"}});
    for object in policy_of("proof", &everything, &only, &json!([annotate, rewrite])) {
        create(server, plural(&object), &object).await;
    }
}

/// Waits until the server acts by the policy: it follows what is registered with a delay, and what is learnt before then is learnt
/// of a server without it. Rules that change later are the subject of [`super::rules`].
pub(super) async fn in_force(server: &Server) {
    let labels = json!({LABEL: "policy", "app": "before"});
    let probe =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "probe", "labels": labels}});
    let path = "/api/v1/namespaces/default/configmaps?dryRun=All";
    for _ in 0..600 {
        let (status, answer) = server.send("POST", path, "application/json", Some(&probe)).await;
        assert_eq!(status, 201, "{answer}");
        if answer.pointer("/metadata/labels/app").and_then(Value::as_str) == Some("policy") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the policy never takes hold");
}

/// A webhook configuration.
pub(super) fn webhook_of(name: &str, webhook: &AdmissionWebhook, rules: &Value, selector: &Value) -> Value {
    json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration", "metadata": {"name": name},
        "webhooks": [{"name": format!("{name}.example.com"), "clientConfig": webhook.client_config(), "rules": rules,
            "objectSelector": selector, "sideEffects": "None", "admissionReviewVersions": ["v1"]}]})
}

/// A policy and its binding.
pub(super) fn policy_of(name: &str, rules: &Value, selector: &Value, mutations: &Value) -> [Value; 2] {
    [
        json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicy", "metadata": {"name": name},
            "spec": {"reinvocationPolicy": "Never", "failurePolicy": "Fail", "mutations": mutations,
                "matchConstraints": {"resourceRules": rules, "objectSelector": selector}}}),
        json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicyBinding", "metadata": {"name": name},
            "spec": {"policyName": name}}),
    ]
}

/// Where objects of a kind are.
pub(super) fn plural(object: &Value) -> &'static str {
    match object["kind"].as_str() {
        Some("MutatingAdmissionPolicy") => "mutatingadmissionpolicies",
        Some("MutatingAdmissionPolicyBinding") => "mutatingadmissionpolicybindings",
        _ => "mutatingwebhookconfigurations",
    }
}

async fn create(server: &Server, plural: &str, object: &Value) {
    let path = format!("{REGISTRATION}/{plural}");
    let (status, answer) = server.send("POST", &path, "application/json", Some(object)).await;
    assert_eq!(status, 201, "{answer}");
}

/// Makes an object of the rules as given, or takes it away.
pub(super) async fn set(server: &Server, object: &Value, there: bool) {
    let path = format!("{REGISTRATION}/{}/{}", plural(object), object["metadata"]["name"].as_str().unwrap());
    if there {
        let path = format!("{path}?fieldManager=lawmaker&force=true");
        let (status, answer) =
            server.send("PATCH", &path, "application/apply-patch+yaml", Some(object)).await;
        assert!(status < 300, "{answer}");
    } else {
        let (status, answer) = server.send("DELETE", &path, "application/json", None).await;
        assert!(status < 300 || status == 404, "{answer}");
    }
}

/// Has the object ask for some of it.
pub(super) fn request(manifest: &mut Value, random: &mut Random) {
    let labels = &mut manifest["metadata"]["labels"];
    if !labels.is_object() {
        *labels = json!({});
    }
    labels[LABEL] = (*random.pick(&MODES)).into();
}

//! trueup's own chart, rendered here and by Helm itself: the same text for each way to install it, and what it promises.

#![allow(clippy::unwrap_used, reason = "a test")]

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use trueup_helm::{Chart, Crds, Options, Release, read_values, render};
use trueup_model::{MemoryTree, yaml};
use trueup_oracle::Original;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../charts/trueup").canonicalize().unwrap()
}

fn insert(tree: &mut MemoryTree, folder: &Path, below: &str) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let name = format!("{below}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            insert(tree, &entry.path(), &format!("{name}/"));
        } else {
            tree.insert(&name, std::fs::read(entry.path()).unwrap());
        }
    }
}

/// What this crate makes of the chart, as `helm template rel CHART --namespace ns1`.
fn ours(values: &str) -> Result<String, String> {
    let mut tree = MemoryTree::default();
    insert(&mut tree, &folder(), "");
    let chart = Chart::from_tree(&tree, "").map_err(|error| error.to_string())?;
    let random = Arc::new(|bytes: &mut [u8]| bytes.fill(7));
    let options = Options::new(Release::install("rel", "ns1"), jiff::Timestamp::UNIX_EPOCH, random);
    let rendered = render(&chart, &read_values(values).unwrap(), &options);
    Ok(rendered.map_err(|error| error.to_string())?.to_text(Crds::Skipped))
}

const WAYS: [&str; 4] = [
    "",
    "{rbac: {scope: namespaces, namespaces: [shop, blog], rules: [{apiGroups: [apps], resources: [deployments]}, {apiGroups: [''], resources: [configmaps, services]}]}}",
    "{store: {existingSecret: history, port: 6432}, serviceMonitor: {enabled: true, labels: {release: prometheus}}, podDisruptionBudget: {enabled: true}, networkPolicy: {from: [{namespaceSelector: {matchLabels: {name: monitoring}}}], ports: [443]}}",
    "{replicas: 1, image: {tag: v9, pullPolicy: Always}, imagePullSecrets: [{name: pull}], serviceAccount: {create: false, name: own}, arguments: [-v], environment: [{name: HTTPS_PROXY, value: 'http://proxy:3128'}], state: {existingClaim: state}, podLabels: {team: a}, podAnnotations: {note: x}, nodeSelector: {disk: ssd}, tolerations: [{key: a, operator: Exists}], priorityClassName: high, rbac: {create: false}, networkPolicy: {enabled: false}}",
];

#[test]
fn our_engine_and_helm_itself_make_the_same_of_it() {
    let mut helm = Original::of_crate(env!("CARGO_MANIFEST_DIR")).with_variable("TZ", "UTC").start().unwrap();
    let ask = |values: &str| json!({"chart": folder(), "times": 1, "values": values});
    let refused = [
        "{state: {existingClaim: state}}",
        "{replicas: 3, state: {existingClaim: state}}",
        "{networkPolicies: {}}",
        "{rbac: {scope: everywhere}}",
        "{serviceAccount: {create: false}}",
    ];
    let questions: Vec<Value> = WAYS.iter().chain(&refused).map(|values| ask(values)).collect();
    let answers = helm.ask(&questions.into()).unwrap();
    let answers = answers.as_array().unwrap();
    for (values, answer) in WAYS.iter().zip(answers) {
        assert_eq!(answer["error"], Value::Null, "{values}");
        let theirs = answer["text"].as_str().unwrap();
        assert_eq!(ours(values).unwrap().trim_end(), theirs.trim_end(), "{values}");
    }
    for (values, answer) in refused.iter().zip(&answers[WAYS.len()..]) {
        assert!(answer["error"].is_string(), "Helm takes {values}");
        assert!(ours(values).is_err(), "we take {values}");
    }
}

fn objects(values: &str) -> Vec<Value> {
    let documents = yaml::documents(&ours(values).unwrap()).unwrap();
    documents.into_iter().map(|document| document.value).filter(|value| !value.is_null()).collect()
}

fn kinds(values: &str) -> Vec<String> {
    let mut kinds: Vec<String> =
        objects(values).iter().map(|object| object["kind"].as_str().unwrap().to_owned()).collect();
    kinds.sort();
    kinds
}

#[test]
fn the_pod_is_as_restricted_as_pod_security_can_ask() {
    for values in WAYS {
        let all = objects(values);
        let deployment = all.iter().find(|object| object["kind"] == "Deployment").unwrap();
        let pod = &deployment["spec"]["template"]["spec"];
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
        let containers = pod["containers"].as_array().unwrap();
        for container in containers {
            let expected = json!({"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}});
            assert_eq!(container["securityContext"], expected);
        }
        // Two cannot have one folder.
        let (replicas, strategy) =
            if values.contains("existingClaim") { (1, "Recreate") } else { (2, "RollingUpdate") };
        assert_eq!((deployment["spec"]["replicas"].clone(), containers.len()), (json!(replicas), 1));
        assert_eq!(deployment["spec"]["strategy"]["type"], strategy);
    }
}

#[test]
fn the_url_of_the_shared_history_comes_from_a_secret_and_its_port_is_open() {
    let of_kind =
        |values: &str, kind: &str| objects(values).into_iter().find(|object| object["kind"] == kind).unwrap();
    let from = |values: &str| {
        let deployment = of_kind(values, "Deployment");
        let container = deployment["spec"]["template"]["spec"]["containers"][0].clone();
        let variables = container["env"].as_array().unwrap().clone();
        variables.into_iter().find(|one| one["name"] == "TRUEUP_STORE")
    };
    let port = json!({"port": 6432, "protocol": "TCP"});
    let is_open = |values: &str| {
        let policy = of_kind(values, "NetworkPolicy");
        policy["spec"]["egress"][1]["ports"].as_array().unwrap().contains(&port)
    };
    let expected =
        json!({"name": "TRUEUP_STORE", "valueFrom": {"secretKeyRef": {"name": "history", "key": "url"}}});
    assert_eq!((from(WAYS[2]), is_open(WAYS[2])), (Some(expected), true));
    assert_eq!((from(WAYS[0]), is_open(WAYS[0])), (None, false));
}

#[test]
fn rights_outside_of_the_named_namespaces_are_given_for_scope_cluster_only() {
    assert!(kinds(WAYS[0]).contains(&"ClusterRole".to_owned()));
    let namespaced = objects(WAYS[1]);
    assert!(namespaced.iter().all(|object| object["metadata"]["namespace"].is_string()), "{namespaced:#?}");
    let places = |kind: &str| -> Vec<String> {
        let of_kind = namespaced.iter().filter(|object| object["kind"] == kind);
        let mut places: Vec<String> =
            of_kind.map(|object| object["metadata"]["namespace"].as_str().unwrap().to_owned()).collect();
        places.sort();
        places
    };
    assert_eq!((places("Role"), places("RoleBinding")), (places("RoleBinding"), places("Role")));
    assert_eq!(places("Role"), ["blog", "ns1", "shop"]);
    assert!(kinds(WAYS[3]).iter().all(|kind| !kind.contains("Role")));
    // Secrets are read in the configuration's namespace, and where Apps consist of them.
    for object in namespaced
        .iter()
        .filter(|object| object["kind"] == "Role" && object["metadata"]["namespace"] != "ns1")
    {
        assert!(!object["rules"].to_string().contains("secrets"), "{object:#}");
    }
}

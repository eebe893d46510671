//! Sequences in a namespace that has limits: first a `LimitRange`, a `ResourceQuota` or both, then what they may refuse.
//!
//! No controller runs that would put what a quota limits into its status, so the sequence does it.

use crate::operation::{APPLY, JSON, MERGE_PATCH, NAMESPACE, Operation, TABLE};
use crate::random::Random;
use serde_json::{Map, Value, json};

const NAMES: [&str; 3] = ["a", "b", "c"];
const AMOUNTS: [&str; 8] = ["50m", "100m", "250m", "500m", "1", "1500m", "2", "4"];
const SIZES: [&str; 7] = ["1M", "64Mi", "100M", "256Mi", "0.5Gi", "1Gi", "1536Mi"];

/// The sequence of some random numbers.
pub fn sequence(random: &mut Random) -> Vec<Operation> {
    let mut operations = Vec::new();
    let has_range = random.percent(55);
    if has_range {
        operations.push(post("limitranges", &range(random)));
    }
    if !has_range || random.percent(40) {
        operations.extend(quota(random));
    }
    for _ in 0..5 + random.below(9) {
        operations.push(operation(random));
    }
    operations.push(read("resourcequotas/q", JSON));
    operations.push(read("resourcequotas", TABLE));
    operations
}

fn path(rest: &str) -> String {
    format!("/api/v1/namespaces/{NAMESPACE}/{rest}")
}

fn post(plural: &str, object: &Value) -> Operation {
    let body = Some(object.clone());
    Operation { method: "POST", path: path(plural), query: Vec::new(), accept: JSON, media_type: JSON, body }
}

fn read(rest: &str, accept: &'static str) -> Operation {
    Operation { method: "GET", path: path(rest), query: Vec::new(), accept, media_type: JSON, body: None }
}

fn patch(rest: &str, body: Value) -> Operation {
    let body = Some(body);
    Operation {
        method: "PATCH",
        path: path(rest),
        query: Vec::new(),
        accept: JSON,
        media_type: MERGE_PATCH,
        body,
    }
}

fn operation(random: &mut Random) -> Operation {
    let name = *random.pick(&NAMES);
    match random.below(100) {
        0..55 => {
            let (plural, object) = object(random, name);
            let mut operation = post(plural, &object);
            if random.percent(8)
                && let Some(body) = &mut operation.body
            {
                body["metadata"] = json!({"generateName": "some-"});
            }
            if random.percent(10) {
                operation.query.push(("dryRun".to_owned(), "All".to_owned()));
            }
            operation
        }
        55..68 => {
            let (plural, object) = object(random, name);
            let mut operation = patch(&format!("{plural}/{name}"), object);
            operation.media_type = APPLY;
            operation.query.push(("fieldManager".to_owned(), (*random.pick(&["one", "two"])).to_owned()));
            operation
        }
        68..76 => patch(&format!("services/{name}"), json!({"spec": service(random)})),
        76..82 => {
            let plural = *random.pick(&["persistentvolumeclaims", "pods"]);
            patch(&format!("{plural}/{name}"), json!({"metadata": {"labels": {"app": *random.pick(&NAMES)}}}))
        }
        82..86 => {
            patch(&format!("pods/{name}"), json!({"spec": {"activeDeadlineSeconds": 1 + random.below(3)}}))
        }
        86..89 => patch("limitranges/l", json!({"spec": range(random)["spec"]})),
        89..93 => read("resourcequotas/q", JSON),
        _ => {
            let plural = *random.pick(&["pods", "services", "configmaps", "persistentvolumeclaims"]);
            let mut operation = read(&format!("{plural}/{name}"), JSON);
            operation.method = "DELETE";
            operation
        }
    }
}

fn object(random: &mut Random, name: &str) -> (&'static str, Value) {
    let (plural, kind) = *random.pick(&[
        ("pods", "Pod"),
        ("pods", "Pod"),
        ("pods", "Pod"),
        ("persistentvolumeclaims", "PersistentVolumeClaim"),
        ("persistentvolumeclaims", "PersistentVolumeClaim"),
        ("services", "Service"),
        ("configmaps", "ConfigMap"),
        ("secrets", "Secret"),
    ]);
    let mut object = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}});
    match plural {
        "pods" => object["spec"] = pod(random),
        "persistentvolumeclaims" => object["spec"] = claim(random),
        "services" => object["spec"] = service(random),
        _ => {}
    }
    (plural, object)
}

/// Some of the resources, each with an amount.
fn amounts(random: &mut Random, names: &[&str], share: usize) -> Value {
    let mut all = Map::new();
    for name in names {
        if random.percent(share) {
            let is_size = name.contains("memory") || name.contains("storage");
            let amount = if is_size { *random.pick(&SIZES) } else { *random.pick(&AMOUNTS) };
            all.insert((*name).to_owned(), amount.into());
        }
    }
    Value::Object(all)
}

fn range(random: &mut Random) -> Value {
    let mut limits = Vec::new();
    if random.percent(75) {
        let mut limit = json!({"type": "Container"});
        for field in ["min", "max", "default", "defaultRequest"] {
            if random.percent(45) {
                limit[field] = amounts(random, &["cpu", "memory"], 60);
            }
        }
        if random.percent(20) {
            limit["maxLimitRequestRatio"] = json!({"cpu": *random.pick(&["1", "2", "1500m"])});
        }
        limits.push(limit);
    }
    if random.percent(35) {
        let field = *random.pick(&["min", "max", "maxLimitRequestRatio"]);
        let mut limit = json!({"type": "Pod"});
        limit[field] = amounts(random, &["cpu", "memory"], 60);
        limits.push(limit);
    }
    if random.percent(40) {
        let field = *random.pick(&["min", "max"]);
        let mut limit = json!({"type": "PersistentVolumeClaim"});
        limit[field] = amounts(random, &["storage"], 95);
        limits.push(limit);
    }
    json!({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "l"}, "spec": {"limits": limits}})
}

const LIMITED: [&str; 20] = [
    "pods",
    "count/pods",
    "cpu",
    "requests.cpu",
    "limits.cpu",
    "memory",
    "requests.memory",
    "limits.memory",
    "requests.ephemeral-storage",
    "services",
    "services.nodeports",
    "services.loadbalancers",
    "count/services",
    "configmaps",
    "count/configmaps",
    "secrets",
    "persistentvolumeclaims",
    "requests.storage",
    "fast.storageclass.storage.k8s.io/requests.storage",
    "count/deployments.apps",
];

/// A quota, and its status.
fn quota(random: &mut Random) -> Vec<Operation> {
    let mut hard = Map::new();
    for _ in 0..=random.below(4) {
        let name = *random.pick(&LIMITED);
        let amount = if name.contains("storage") || name.contains("memory") {
            *random.pick(&["256Mi", "1Gi", "2Gi", "1G"])
        } else {
            *random.pick(&["0", "1", "2", "3"])
        };
        hard.insert(name.to_owned(), amount.into());
    }
    let mut spec = json!({"hard": hard});
    if random.percent(15) {
        spec["scopes"] =
            json!([*random.pick(&["Terminating", "NotTerminating", "BestEffort", "NotBestEffort"])]);
    }
    if random.percent(10) {
        let (operator, values) = random
            .pick(&[("Exists", json!([])), ("In", json!(["high"])), ("NotIn", json!(["high"]))])
            .clone();
        spec["scopeSelector"] = json!({"matchExpressions": [
            {"scopeName": "PriorityClass", "operator": operator, "values": values}]});
    }
    let mut used: Map<String, Value> = hard.keys().map(|name| (name.clone(), "0".into())).collect();
    if random.percent(8) {
        let first = used.keys().next().cloned();
        first.and_then(|first| used.remove(&first));
    }
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": spec});
    let mut operations = vec![post("resourcequotas", &quota)];
    if random.percent(90) {
        operations.push(patch("resourcequotas/q/status", json!({"status": {"hard": hard, "used": used}})));
    }
    operations
}

fn resources(random: &mut Random) -> Value {
    let names = ["cpu", "memory", "ephemeral-storage"];
    match random.below(5) {
        0 => json!({}),
        1 => json!({"requests": amounts(random, &names, 50)}),
        2 => json!({"limits": amounts(random, &names, 50)}),
        // No request is more than its limit.
        3 => json!({"requests": {"cpu": "100m"}, "limits": {"cpu": *random.pick(&["100m", "200m", "2"])}}),
        _ => {
            json!({"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "500m", "memory": "256Mi"}})
        }
    }
}

fn pod(random: &mut Random) -> Value {
    let container = |random: &mut Random, name: &str| json!({"name": name, "image": "web:1", "resources": resources(random)});
    let mut spec = json!({"containers": [container(random, "main")]});
    if random.percent(30) {
        let second = container(random, "side");
        spec["containers"].as_array_mut().unwrap().push(second);
    }
    if random.percent(25) {
        let mut first = container(random, "first");
        if random.percent(40) {
            first["restartPolicy"] = "Always".into();
        }
        spec["initContainers"] = json!([first]);
    }
    if random.percent(20) {
        spec["activeDeadlineSeconds"] = 60.into();
    }
    spec
}

fn claim(random: &mut Random) -> Value {
    let mut spec = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": *random.pick(&SIZES)}}});
    if random.percent(50) {
        spec["storageClassName"] = "fast".into();
    }
    spec
}

fn service(random: &mut Random) -> Value {
    let kind = *random.pick(&["ClusterIP", "NodePort", "LoadBalancer"]);
    let mut ports = vec![json!({"name": "http", "port": 80})];
    if random.percent(40) {
        ports.push(json!({"name": "https", "port": 443}));
    }
    json!({"type": kind, "ports": ports})
}

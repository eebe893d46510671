//! The endpoints of Services: the pods that a selector means, ready or not, as `Endpoints` and as an `EndpointSlice`.
//!
//! Source: k8s.io/kubernetes `pkg/controller/endpoint`, k8s.io/endpointslice. Absent: slices of more than a hundred endpoints, topology
//! hints, IPv6.

use crate::Sandbox;
use crate::store::{Key, Resource};
use crate::workloads::{pods, reference};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

const SERVICE: &str = "kubernetes.io/service-name";
const BY: &str = "endpointslice.kubernetes.io/managed-by";

pub(crate) fn services() -> Resource {
    (String::new(), "services".to_owned())
}

fn endpoints() -> Resource {
    (String::new(), "endpoints".to_owned())
}

fn slices() -> Resource {
    ("discovery.k8s.io".to_owned(), "endpointslices".to_owned())
}

/// Whether a Service's selector means a pod.
fn is_meant(service: &Value, pod: &Value) -> bool {
    let selector = service["spec"]["selector"].as_object();
    let labels = &pod["metadata"]["labels"];
    selector.is_some_and(|selector| {
        !selector.is_empty() && selector.iter().all(|(name, value)| labels.get(name) == Some(value))
    })
}

impl Sandbox {
    /// Looks after the Services that mean a pod.
    pub(crate) fn run_services_of(&mut self, pod: &Value, namespace: &str) {
        let services = services();
        let meant = self.store.all_in(&services, namespace).filter(|(_, service)| is_meant(service, pod));
        let keys: Vec<Key> = meant.map(|(key, _)| key.clone()).collect();
        for key in keys {
            self.run_workloads(&services, &key);
        }
    }

    /// Looks after the endpoints of a Service.
    pub(crate) fn run_service(&mut self, service: &Value, key: &Key) {
        let has_selector = service["spec"]["selector"].as_object().is_some_and(|all| !all.is_empty());
        if service["spec"]["type"] == "ExternalName" || !has_selector {
            // Who leaves the selector out writes the endpoints.
            return;
        }
        let pods: Vec<Arc<Value>> = self
            .store
            .all_in(&pods(), &key.0)
            .filter(|(_, pod)| is_meant(service, pod) && pod["metadata"]["deletionTimestamp"].is_null())
            .filter(|(_, pod)| pod["status"]["podIP"].is_string() && !has_ended(pod))
            .map(|(_, pod)| pod.clone())
            .collect();
        let mut labels = service["metadata"]["labels"].as_object().cloned().unwrap_or_default();
        if service["spec"]["clusterIP"] == "None" {
            labels.insert("service.kubernetes.io/headless".to_owned(), "".into());
        }
        let mut whole = labels.clone();
        whole.insert("endpoints.kubernetes.io/managed-by".to_owned(), "endpoint-controller".into());
        self.keep_endpoints(key, &whole, &subsets(service, &pods));
        labels.insert(SERVICE.to_owned(), key.1.as_str().into());
        labels.insert(BY.to_owned(), "endpointslice-controller.k8s.io".into());
        self.keep_slice(service, key, &labels, &pods);
    }

    fn keep_endpoints(&mut self, key: &Key, labels: &Map<String, Value>, subsets: &Value) {
        let made = json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": key.1, "namespace": key.0,
            "labels": labels}, "subsets": subsets});
        let Some(known) = self.store.get(&endpoints(), key).cloned() else {
            self.create_by("kube-controller-manager", "endpoints", Some(&key.0), made);
            return;
        };
        let has_none = |value: &Value| value.as_array().is_none_or(Vec::is_empty);
        let is_same = known["subsets"] == *subsets || has_none(&known["subsets"]) && has_none(subsets);
        if !is_same || known["metadata"]["labels"] != made["metadata"]["labels"] {
            let mut object = Value::clone(&known);
            object["metadata"]["labels"] = made["metadata"]["labels"].clone();
            object["subsets"] = subsets.clone();
            self.rewrite_by(&endpoints(), key, "", object);
        }
    }

    fn keep_slice(&mut self, service: &Value, key: &Key, labels: &Map<String, Value>, found: &[Arc<Value>]) {
        let ports = found.first().map_or_else(Vec::new, |pod| ports_of(service, pod));
        let all: Vec<Value> = found.iter().map(|pod| endpoint(pod)).collect();
        let mut mine = self.owned(service, &slices()).into_iter();
        let Some((place, known)) = mine.find(|(_, slice)| slice["metadata"]["labels"][BY] == labels[BY])
        else {
            let suffix: String = self.store.uid().chars().take(5).collect();
            let made = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
                "metadata": {"name": format!("{}-{suffix}", key.1), "generateName": format!("{}-", key.1), "namespace": key.0,
                    "labels": labels, "ownerReferences": [reference(service)]}, "endpoints": all, "ports": ports});
            // What cannot be made now is made when something changes again.
            let _ = self.create_as("discovery.k8s.io", "endpointslices", &key.0, made);
            return;
        };
        let mut object = Value::clone(&known);
        object["metadata"]["labels"] = Value::Object(labels.clone());
        object["endpoints"] = all.into();
        object["ports"] = ports.into();
        // What comes out the same is not stored again.
        self.rewrite_by(&slices(), &place, "", object);
    }

    /// Forgets the endpoints of a Service that is gone.
    pub(crate) fn forget_endpoints(&mut self, service: &Value) {
        let key = crate::settle::key_of(service);
        let is_ours = |known: &Arc<Value>| {
            known["metadata"]["labels"]["endpoints.kubernetes.io/managed-by"] == "endpoint-controller"
        };
        if self.store.get(&endpoints(), &key).is_some_and(is_ours) {
            self.end(&endpoints(), &key, None);
        }
    }
}

fn has_ended(pod: &Value) -> bool {
    matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().any(|one| one["type"] == "Ready" && one["status"] == "True")
}

fn target(pod: &Value) -> Value {
    let metadata = &pod["metadata"];
    json!({"kind": "Pod", "name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"]})
}

fn endpoint(pod: &Value) -> Value {
    let is_ready = is_ready(pod);
    json!({"addresses": [pod["status"]["podIP"]], "nodeName": pod["spec"]["nodeName"], "targetRef": target(pod),
        "conditions": {"ready": is_ready, "serving": is_ready, "terminating": false}})
}

/// A Service's ports as they are in a pod; those that the pod does not name are left out.
fn ports_of(service: &Value, pod: &Value) -> Vec<Value> {
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    let named: BTreeMap<&str, &Value> = containers
        .flat_map(|container| container["ports"].as_array().into_iter().flatten())
        .filter_map(|port| Some((port["name"].as_str()?, &port["containerPort"])))
        .collect();
    let ports = service["spec"]["ports"].as_array().into_iter().flatten();
    let found = ports.filter_map(|port| {
        let number = match &port["targetPort"] {
            Value::String(name) => (*named.get(name.as_str())?).clone(),
            Value::Null => port["port"].clone(),
            number => number.clone(),
        };
        let mut found = json!({"port": number, "protocol": port["protocol"].as_str().unwrap_or("TCP")});
        found["name"] = port["name"].as_str().unwrap_or_default().into();
        if !port["appProtocol"].is_null() {
            found["appProtocol"] = port["appProtocol"].clone();
        }
        Some(found)
    });
    found.collect()
}

/// Pods with the same ports.
#[derive(Default)]
struct Subset {
    ports: Vec<Value>,
    ready: Vec<Value>,
    waiting: Vec<Value>,
}

/// Addresses by the ports that they have in common.
fn subsets(service: &Value, pods: &[Arc<Value>]) -> Value {
    let mut by_ports: BTreeMap<String, Subset> = BTreeMap::new();
    for pod in pods {
        let mut ports = ports_of(service, pod);
        for port in &mut ports {
            // What has no name is not called anything here.
            if port["name"] == ""
                && let Some(fields) = port.as_object_mut()
            {
                fields.remove("name");
            }
        }
        let shared = Value::from(ports.clone()).to_string();
        let subset = by_ports.entry(shared).or_insert_with(|| Subset { ports, ..Subset::default() });
        let address = json!({"ip": pod["status"]["podIP"], "nodeName": pod["spec"]["nodeName"], "targetRef": target(pod)});
        if is_ready(pod) { &mut subset.ready } else { &mut subset.waiting }.push(address);
    }
    let subsets = by_ports.into_values().map(|Subset { ports, mut ready, mut waiting }| {
        let mut subset = json!({});
        for list in [&mut ready, &mut waiting] {
            list.sort_by_key(|address| address["ip"].to_string());
        }
        for (name, list) in [("addresses", ready), ("notReadyAddresses", waiting), ("ports", ports)] {
            if !list.is_empty() {
                subset[name] = list.into();
            }
        }
        subset
    });
    subsets.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::ask;
    use crate::workloads::Fate;
    use jiff::Timestamp;

    const CORE: &str = "/api/v1/namespaces/default";

    fn cluster() -> Sandbox {
        let mut sandbox = Sandbox::new(Timestamp::UNIX_EPOCH);
        let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "labels": {"team": "a"}},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http"}]}});
        ask(&mut sandbox, "POST", &format!("{CORE}/services"), &service);
        let container =
            json!({"name": "main", "image": "web:1", "ports": [{"name": "http", "containerPort": 8080}]});
        let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 2,
            "selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}}});
        ask(&mut sandbox, "POST", "/apis/apps/v1/namespaces/default/deployments", &deployment);
        sandbox
    }

    /// How many addresses are ready, how many wait, and the ports.
    fn seen(sandbox: &mut Sandbox) -> (usize, usize, String) {
        let found = ask(sandbox, "GET", &format!("{CORE}/endpoints/web"), &Value::Null);
        let count = |list: &str| found["subsets"][0][list].as_array().map_or(0, Vec::len);
        (count("addresses"), count("notReadyAddresses"), found["subsets"][0]["ports"].to_string())
    }

    #[test]
    fn a_service_has_the_pods_that_its_selector_means_and_their_ports() {
        let mut sandbox = cluster();
        let ports = r#"[{"port":8080,"protocol":"TCP"}]"#;
        assert_eq!(seen(&mut sandbox), (2, 0, ports.to_owned()));
        let list = ask(
            &mut sandbox,
            "GET",
            "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
            &Value::Null,
        );
        let slice = &list["items"][0];
        assert_eq!(
            (slice["endpoints"].as_array().map(Vec::len), list["items"].as_array().map(Vec::len)),
            (Some(2), Some(1))
        );
        assert_eq!(
            (&slice["metadata"]["labels"][SERVICE], &slice["metadata"]["labels"]["team"]),
            (&json!("web"), &json!("a"))
        );
        let addresses: Vec<&Value> =
            slice["endpoints"].as_array().unwrap().iter().map(|one| &one["addresses"][0]).collect();
        assert_ne!(addresses[0], addresses[1], "each pod has an address of its own");
    }

    #[test]
    fn a_pod_that_is_not_ready_waits_and_one_that_is_gone_is_gone() {
        let mut sandbox = cluster();
        sandbox.decide("web:1", Some(Fate::NeverReady));
        assert_eq!((seen(&mut sandbox).0, seen(&mut sandbox).1), (0, 2));
        sandbox.decide("web:1", None);
        let scale = json!({"spec": {"replicas": 1}});
        ask(&mut sandbox, "PATCH", "/apis/apps/v1/namespaces/default/deployments/web", &scale);
        assert_eq!((seen(&mut sandbox).0, seen(&mut sandbox).1), (1, 0));
        ask(&mut sandbox, "DELETE", &format!("{CORE}/services/web"), &Value::Null);
        assert_eq!(ask(&mut sandbox, "GET", &format!("{CORE}/endpoints/web"), &Value::Null)["code"], 404);
        let list = ask(
            &mut sandbox,
            "GET",
            "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
            &Value::Null,
        );
        assert_eq!(list["items"], json!([]));
    }
}

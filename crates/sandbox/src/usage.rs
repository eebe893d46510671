//! What an object takes of a quota.
//!
//! Source: k8s.io/kubernetes `pkg/quota/v1/evaluator/core`, k8s.io/apiserver `pkg/quota/v1/generic`. Absent: claims of devices.

use crate::amounts::{Amounts, add, of_pod, read};
use crate::store::Resource;
use serde_json::Value;
use trueup_merge::quantity::Quantity;

const BY_CLASS: &str = ".storageclass.storage.k8s.io/";
/// What a pod has to say of each of its containers where a quota limits it.
const ASKED_FOR: [&str; 6] =
    ["cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"];
const POD: [&str; 11] = [
    "count/pods",
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
];

/// How objects of a resource are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meter<'r> {
    Pods,
    Services,
    Claims,
    /// One by one.
    Objects(&'r Resource),
}

impl<'r> Meter<'r> {
    /// How a resource is counted; `None` where no quota ever counts it.
    pub(crate) fn of(resource: &'r Resource) -> Option<Self> {
        match (resource.0.as_str(), resource.1.as_str()) {
            ("", "pods") => Some(Self::Pods),
            ("", "services") => Some(Self::Services),
            ("", "persistentvolumeclaims") => Some(Self::Claims),
            ("" | "events.k8s.io", "events") => None,
            (_, _) => Some(Self::Objects(resource)),
        }
    }

    /// The limits among some that have to do with these objects.
    pub(crate) fn concerned(self, hard: &Amounts) -> Vec<&str> {
        hard.keys().map(String::as_str).filter(|name| self.is_concerned(name)).collect()
    }

    fn is_concerned(self, name: &str) -> bool {
        match self {
            Self::Pods => {
                let is_extended = name.starts_with("requests.") && name.contains('/');
                POD.contains(&name)
                    || name.starts_with("hugepages-")
                    || name.starts_with("requests.hugepages-")
                    || is_extended
            }
            Self::Services => {
                matches!(
                    name,
                    "count/services" | "services" | "services.nodeports" | "services.loadbalancers"
                )
            }
            Self::Claims => {
                let is_by_class = name
                    .split_once(BY_CLASS)
                    .is_some_and(|(_, rest)| matches!(rest, "persistentvolumeclaims" | "requests.storage"));
                matches!(name, "count/persistentvolumeclaims" | "persistentvolumeclaims" | "requests.storage")
                    || is_by_class
            }
            Self::Objects(resource) => names_of(resource).iter().any(|known| known == name),
        }
    }

    /// Whether a change of an object through an endpoint may take more of a quota.
    pub(crate) fn looks_at(self, subresource: &str, before: Option<&Value>, object: &Value) -> bool {
        match (self, subresource, before) {
            (_, "", None) | (Self::Services, "", Some(_)) | (Self::Claims, "" | "status", Some(_)) => true,
            (Self::Pods, "", Some(before)) => is_terminating(before) != is_terminating(object),
            (_, _, _) => false,
        }
    }

    /// What an object lacks that some limits ask for.
    pub(crate) fn lacking(self, limits: &[&str], object: &Value) -> Option<String> {
        let whole = ["requests", "limits"].map(|what| read(&object["spec"]["resources"][what]));
        let is_whole = whole.iter().any(|all| all.contains_key("cpu") || all.contains_key("memory"));
        if self != Self::Pods || is_whole {
            return None;
        }
        let mut asked: Vec<&str> = limits.iter().copied().filter(|name| ASKED_FOR.contains(name)).collect();
        asked.sort_unstable();
        let lists = ["containers", "initContainers"].map(|list| object["spec"][list].as_array());
        let containers: Vec<&Value> = lists.into_iter().flatten().flatten().collect();
        let lacking = asked.into_iter().filter_map(|name| {
            let mut without: Vec<&str> = containers
                .iter()
                .filter(|one| {
                    let resources = &one["resources"];
                    !of_resources(&read(&resources["requests"]), &read(&resources["limits"]))
                        .contains_key(name)
                })
                .filter_map(|one| one["name"].as_str())
                .collect();
            without.sort_unstable();
            without.dedup();
            (!without.is_empty()).then(|| format!("{name} for: {}", without.join(",")))
        });
        let lacking: Vec<String> = lacking.collect();
        (!lacking.is_empty()).then(|| format!("must specify {}", lacking.join("; ")))
    }

    /// Whether an object is one of those that a quota's scopes mean.
    pub(crate) fn is_in_scope(self, quota: &Value, object: &Value) -> bool {
        let spec = &quota["spec"];
        let plain = spec["scopes"].as_array().into_iter().flatten();
        let mut plain = plain.map(|scope| (scope.as_str().unwrap_or_default(), "Exists", &Value::Null));
        let chosen = spec["scopeSelector"]["matchExpressions"].as_array().into_iter().flatten();
        let mut chosen = chosen.map(|one| {
            let text = |field: &str| one[field].as_str().unwrap_or_default();
            (text("scopeName"), text("operator"), &one["values"])
        });
        plain.all(|scope| self.is_in(scope, object)) && chosen.all(|scope| self.is_in(scope, object))
    }

    fn is_in(self, (scope, operator, values): (&str, &str, &Value), object: &Value) -> bool {
        let fits = |names: &[&str]| {
            let is_listed =
                |name: &str| values.as_array().is_some_and(|all| all.iter().any(|one| one == name));
            match operator {
                "Exists" => !names.is_empty(),
                "DoesNotExist" => names.is_empty(),
                "In" => names.iter().any(|name| is_listed(name)),
                "NotIn" => names.is_empty() || names.iter().any(|name| !is_listed(name)),
                _ => false,
            }
        };
        let named = |pointers: &[&str]| -> Vec<&str> {
            let names = pointers.iter().filter_map(|pointer| object.pointer(pointer)?.as_str());
            names.filter(|name| !name.is_empty()).collect()
        };
        match (self, scope) {
            (Self::Pods, "Terminating") => is_terminating(object),
            (Self::Pods, "NotTerminating") => !is_terminating(object),
            (Self::Pods, "BestEffort") => crate::depends::quality(object) == "BestEffort",
            (Self::Pods, "NotBestEffort") => crate::depends::quality(object) != "BestEffort",
            (Self::Pods, "PriorityClass") => fits(&named(&["/spec/priorityClassName"])),
            (Self::Pods, "CrossNamespacePodAffinity") => reaches_out(object),
            (Self::Claims, "VolumeAttributesClass") => fits(&named(&[
                "/spec/volumeAttributesClassName",
                "/status/currentVolumeAttributesClassName",
                "/status/modifyVolumeStatus/targetVolumeAttributesClassName",
            ])),
            (_, _) => false,
        }
    }

    /// What an object takes.
    pub(crate) fn usage(self, object: &Value) -> Amounts {
        let one = Quantity::of(1);
        match self {
            Self::Pods => pod(object),
            Self::Services => service(object),
            Self::Claims => claim(object),
            Self::Objects(resource) => names_of(resource).into_iter().map(|name| (name, one)).collect(),
        }
    }
}

/// What the objects of a resource are counted as.
fn names_of(resource: &Resource) -> Vec<String> {
    let (group, plural) = resource;
    if !group.is_empty() {
        return vec![format!("count/{plural}.{group}")];
    }
    let mut names = vec![format!("count/{plural}")];
    if matches!(plural.as_str(), "configmaps" | "resourcequotas" | "replicationcontrollers" | "secrets") {
        names.push(plural.clone());
    }
    names
}

fn is_terminating(pod: &Value) -> bool {
    pod["spec"]["activeDeadlineSeconds"].as_i64().is_some_and(|seconds| seconds >= 0)
}

/// Whether a pod is to be near, or far from, pods of other namespaces.
fn reaches_out(pod: &Value) -> bool {
    let reaches = |term: &Value| {
        term["namespaces"].as_array().is_some_and(|all| !all.is_empty())
            || !term["namespaceSelector"].is_null()
    };
    ["podAffinity", "podAntiAffinity"].iter().any(|side| {
        let terms = &pod["spec"]["affinity"][side];
        let required = terms["requiredDuringSchedulingIgnoredDuringExecution"].as_array();
        let preferred = terms["preferredDuringSchedulingIgnoredDuringExecution"].as_array();
        required.into_iter().flatten().any(reaches)
            || preferred.into_iter().flatten().any(|one| reaches(&one["podAffinityTerm"]))
    })
}

/// Whether a pod has ended, or should have: it takes nothing more.
fn is_over(pod: &Value) -> bool {
    matches!(pod["status"]["phase"].as_str(), Some("Failed" | "Succeeded"))
        || pod["metadata"]["deletionTimestamp"].is_string()
            && pod["metadata"]["deletionGracePeriodSeconds"] == 0
}

fn pod(pod: &Value) -> Amounts {
    let mut used = Amounts::from([("count/pods".to_owned(), Quantity::of(1))]);
    if is_over(pod) {
        return used;
    }
    let (mut requests, mut limits) = (of_pod(pod, "requests"), of_pod(pod, "limits"));
    let overhead = read(&pod["spec"]["overhead"]);
    add(&mut requests, &overhead);
    let limited = overhead
        .into_iter()
        .filter(|(name, _)| limits.get(name).is_some_and(|limit| *limit != Quantity::ZERO));
    let limited: Amounts = limited.collect();
    add(&mut limits, &limited);
    used.extend(of_resources(&requests, &limits));
    used
}

/// What requests and limits are called in quotas.
fn of_resources(requests: &Amounts, limits: &Amounts) -> Amounts {
    let mut used = Amounts::from([("pods".to_owned(), Quantity::of(1))]);
    for name in ["cpu", "memory", "ephemeral-storage"] {
        if let Some(request) = requests.get(name) {
            used.insert(name.to_owned(), *request);
            used.insert(format!("requests.{name}"), *request);
        }
        if let Some(limit) = limits.get(name) {
            used.insert(format!("limits.{name}"), *limit);
        }
    }
    for (name, request) in requests {
        let is_pages = name.starts_with("hugepages-");
        if is_pages {
            used.insert(name.clone(), *request);
        }
        if is_pages || name.contains('/') && !name.contains("kubernetes.io/") {
            used.insert(format!("requests.{name}"), *request);
        }
    }
    used
}

fn service(service: &Value) -> Amounts {
    let spec = &service["spec"];
    let ports = spec["ports"].as_array().map(Vec::as_slice).unwrap_or_default();
    let chosen = ports.iter().filter(|port| port["nodePort"].as_i64().is_some_and(|port| port != 0)).count();
    let (open, balanced) = match spec["type"].as_str() {
        Some("NodePort") => (ports.len(), 0),
        Some("LoadBalancer") if spec["allocateLoadBalancerNodePorts"] == false => (chosen, 1),
        Some("LoadBalancer") => (ports.len(), 1),
        Some(_) | None => (0, 0),
    };
    [
        ("count/services", 1),
        ("services", 1),
        ("services.nodeports", open),
        ("services.loadbalancers", balanced),
    ]
    .map(|(name, count)| (name.to_owned(), Quantity::of(count)))
    .into()
}

fn claim(claim: &Value) -> Amounts {
    let one = Quantity::of(1);
    let class = claim["metadata"]["annotations"]["volume.beta.kubernetes.io/storage-class"].as_str();
    let class = class.or_else(|| claim["spec"]["storageClassName"].as_str()).unwrap_or_default();
    let mut names = vec![("persistentvolumeclaims", one)];
    if let Some(asked) = read(&claim["spec"]["resources"]["requests"]).get("storage") {
        let given = read(&claim["status"]["allocatedResources"]);
        let size = given.get("storage").map_or(*asked, |given| *asked.max(given));
        names.push(("requests.storage", size.rounded_up()));
    }
    let mut used = Amounts::from([("count/persistentvolumeclaims".to_owned(), one)]);
    for (name, amount) in names {
        used.insert(name.to_owned(), amount);
        if !class.is_empty() {
            used.insert(format!("{class}{BY_CLASS}{name}"), amount);
        }
    }
    used
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amounts::told;
    use serde_json::json;

    #[test]
    fn services_claims_and_other_objects_are_counted_by_what_they_are() {
        let of = |plural: &str, group: &str, object: &Value| {
            told(&Meter::of(&(group.to_owned(), plural.to_owned())).unwrap().usage(object))
        };
        let service = json!({"spec": {"type": "LoadBalancer", "ports": [{"port": 1}, {"port": 2}]}});
        assert_eq!(
            of("services", "", &service),
            "count/services=1,services=1,services.loadbalancers=1,services.nodeports=2"
        );
        let claim =
            json!({"spec": {"storageClassName": "fast", "resources": {"requests": {"storage": "1Gi"}}}});
        assert_eq!(
            of("persistentvolumeclaims", "", &claim),
            "count/persistentvolumeclaims=1,fast.storageclass.storage.k8s.io/persistentvolumeclaims=1,fast.storageclass.storage.k8s.io/requests.storage=1Gi,persistentvolumeclaims=1,requests.storage=1Gi"
        );
        assert_eq!(of("secrets", "", &json!({})), "count/secrets=1,secrets=1");
        assert_eq!(of("widgets", "example.com", &json!({})), "count/widgets.example.com=1");
        assert_eq!(Meter::of(&(String::new(), "events".to_owned())), None);
    }

    #[test]
    fn a_pod_that_has_ended_is_only_counted() {
        let mut pod = json!({"spec": {"containers": [{"name": "a", "resources": {"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}}}]}});
        assert_eq!(
            told(&Meter::Pods.usage(&pod)),
            "count/pods=1,cpu=1,limits.memory=1Gi,pods=1,requests.cpu=1"
        );
        pod["status"]["phase"] = "Succeeded".into();
        assert_eq!(told(&Meter::Pods.usage(&pod)), "count/pods=1");
    }

    #[test]
    fn scopes_choose_among_pods() {
        let pod = json!({"spec": {"priorityClassName": "high", "activeDeadlineSeconds": 5, "containers": [{"name": "a"}]}});
        let quota = |scope: &str, operator: &str, values: &Value| json!({"spec": {"scopeSelector": {"matchExpressions": [{"scopeName": scope, "operator": operator, "values": values}]}}});
        for (scope, operator, values, expected) in [
            ("PriorityClass", "In", json!(["high"]), true),
            ("PriorityClass", "NotIn", json!(["high"]), false),
            ("PriorityClass", "Exists", Value::Null, true),
            ("Terminating", "Exists", Value::Null, true),
            ("NotBestEffort", "Exists", Value::Null, false),
        ] {
            let found = Meter::Pods.is_in_scope(&quota(scope, operator, &values), &pod);
            assert_eq!(found, expected, "{scope} {operator}");
        }
        let plain = json!({"spec": {"scopes": ["NotTerminating"]}});
        assert!(!Meter::Pods.is_in_scope(&plain, &pod));
        assert!(!Meter::Services.is_in_scope(&plain, &json!({})), "scopes are for pods");
    }

    #[test]
    fn containers_that_ask_for_nothing_are_named() {
        let pod = json!({"spec": {"containers": [{"name": "b"}, {"name": "a", "resources": {"requests": {"cpu": "1"}}}]}});
        assert_eq!(
            Meter::Pods.lacking(&["requests.cpu", "limits.memory", "pods"], &pod).as_deref(),
            Some("must specify limits.memory for: a,b; requests.cpu for: b")
        );
    }
}

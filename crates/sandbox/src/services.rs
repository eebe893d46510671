//! Services: what follows from their type, the addresses and ports that they are given, and what goes with what.
//!
//! Enters: a Service with its defaults, and what it was before. Leaves: the same with what the server fills in and takes away, and
//! what is wrong with it. Absent: a second family of addresses, which the cluster does not have, and load balancers.
//!
//! Source: k8s.io/kubernetes `pkg/registry/core/service` (its strategy, `storage/storage.go` and `storage/alloc.go`), and
//! `pkg/apis/core/validation` for Services.

use crate::answer::Cause;
use crate::rules::{forbidden, invalid, required};
use serde_json::{Map, Value, json};

/// The fields of a spec that a Service without addresses does not have.
const FAMILIES: [&str; 2] = ["ipFamilies", "ipFamilyPolicy"];

fn is_external(spec: &Map<String, Value>) -> bool {
    text(spec, "type") == "ExternalName"
}

fn text<'s>(spec: &'s Map<String, Value>, name: &str) -> &'s str {
    spec.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn list<'s>(spec: &'s Map<String, Value>, name: &str) -> &'s [Value] {
    spec.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn is_headless(spec: &Map<String, Value>) -> bool {
    list(spec, "clusterIPs").first().is_some_and(|first| first == "None")
}

fn is_without_pods(spec: &Map<String, Value>) -> bool {
    spec.get("selector").and_then(Value::as_object).is_none_or(Map::is_empty)
}

/// Whether its ports are open on all nodes.
fn is_open(spec: &Map<String, Value>) -> bool {
    match text(spec, "type") {
        "NodePort" => true,
        "LoadBalancer" => spec.get("allocateLoadBalancerNodePorts") != Some(&Value::Bool(false)),
        _ => false,
    }
}

fn is_reachable_from_outside(spec: &Map<String, Value>) -> bool {
    match text(spec, "type") {
        "LoadBalancer" | "NodePort" => true,
        "ClusterIP" => !list(spec, "externalIPs").is_empty(),
        _ => false,
    }
}

/// What a new Service is given. `number` makes what is given differ from what others have.
pub(crate) fn begin(object: &mut Value, number: u64) {
    let Some(spec) = object["spec"].as_object_mut() else { return };
    if list(spec, "clusterIPs").is_empty() && !text(spec, "clusterIP").is_empty() {
        let address = spec["clusterIP"].clone();
        spec.insert("clusterIPs".to_owned(), json!([address]));
    }
    allocate(None, spec, number);
}

/// What becomes of a Service that is changed.
pub(crate) fn go_on(before: &Value, object: &mut Value, number: u64) {
    let Some(had) = before["spec"].as_object() else { return };
    let Some(spec) = object["spec"].as_object_mut() else { return };
    if !is_external(had) && !is_external(spec) {
        for field in ["clusterIP", "clusterIPs"] {
            if is_empty(spec.get(field)) {
                copy(had, spec, field);
            }
        }
    }
    if is_open(had) && is_open(spec) {
        keep_ports(had, spec);
    }
    let health = "healthCheckNodePort";
    if needs_health_check(had) && needs_health_check(spec) && is_empty(spec.get(health)) {
        copy(had, spec, health);
    }
    agree(had, spec);
    allocate(Some(had), spec, number);
    let is_other = |spec: &Map<String, Value>, field: &str| spec.get(field) != had.get(field);
    if !is_external(had) && is_external(spec) {
        // Who changes the type and leaves these as they were means that they go.
        if !is_other(spec, "clusterIP") && !is_other(spec, "clusterIPs") {
            spec.remove("clusterIP");
            spec.remove("clusterIPs");
        }
        for field in FAMILIES {
            if !is_other(spec, field) {
                spec.remove(field);
            }
        }
    }
    let uses_ports = |spec: &Map<String, Value>| matches!(text(spec, "type"), "NodePort" | "LoadBalancer");
    if uses_ports(had) && !uses_ports(spec) {
        let known = node_ports(had);
        if node_ports(spec).iter().all(|port| known.contains(port)) {
            for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
                port.as_object_mut().and_then(|port| port.remove("nodePort"));
            }
        }
    }
    if text(had, "type") == "LoadBalancer" && text(spec, "type") != "LoadBalancer" {
        for field in ["allocateLoadBalancerNodePorts", "loadBalancerClass"] {
            if !is_other(spec, field) {
                spec.remove(field);
            }
        }
    }
    if needs_health_check(had) && !needs_health_check(spec) && !is_other(spec, health) {
        spec.remove(health);
    }
    let policy = "externalTrafficPolicy";
    if is_reachable_from_outside(had) && !is_reachable_from_outside(spec) && !is_other(spec, policy) {
        spec.remove(policy);
    }
}

/// What is kept of a Service but never shown.
pub(crate) fn store(object: &mut Value) {
    if let Some(spec) = object["spec"].as_object_mut().filter(|spec| is_external(spec)) {
        spec.remove("internalTrafficPolicy");
    }
}

fn is_empty(value: Option<&Value>) -> bool {
    value.is_none_or(crate::shapes::is_zero)
}

fn copy(from: &Map<String, Value>, to: &mut Map<String, Value>, field: &str) {
    if let Some(value) = from.get(field) {
        to.insert(field.to_owned(), value.clone());
    }
}

/// Has the two forms in which addresses are written say the same, as far as it is clear what is meant.
fn agree(had: &Map<String, Value>, spec: &mut Map<String, Value>) {
    let is_same = text(had, "clusterIP") == text(spec, "clusterIP");
    if is_same && !list(had, "clusterIPs").is_empty() && list(spec, "clusterIPs").is_empty() {
        copy(had, spec, "clusterIPs");
    }
    // Who changes one of the two means both.
    if !is_same && list(had, "clusterIPs") == list(spec, "clusterIPs") {
        match text(spec, "clusterIP") {
            "" => drop(spec.remove("clusterIPs")),
            address => {
                let all = json!([address]);
                spec.insert("clusterIPs".to_owned(), all);
            }
        }
    }
}

/// Gives addresses, their families, and ports of the nodes, where they are wanted and nobody wrote them.
fn allocate(had: Option<&Map<String, Value>>, spec: &mut Map<String, Value>, number: u64) {
    if is_external(spec) {
        return;
    }
    let is_special = text(spec, "clusterIP") == "None" && is_without_pods(spec);
    if !spec.contains_key("ipFamilyPolicy") {
        let known = had.and_then(|had| had.get("ipFamilyPolicy")).cloned();
        let policy = if is_special { "RequireDualStack" } else { "SingleStack" };
        spec.insert("ipFamilyPolicy".to_owned(), known.unwrap_or_else(|| policy.into()));
    }
    if !clashes(had, spec).is_empty() {
        return;
    }
    if is_empty(spec.get("ipFamilies")) {
        spec.insert("ipFamilies".to_owned(), json!(["IPv4"]));
    }
    if is_special && text(spec, "ipFamilyPolicy") != "SingleStack" && list(spec, "ipFamilies").len() == 1 {
        let other = if list(spec, "ipFamilies")[0] == "IPv4" { "IPv6" } else { "IPv4" };
        let families = json!([list(spec, "ipFamilies")[0], other]);
        spec.insert("ipFamilies".to_owned(), families);
    }
    // One that has none although it could have keeps doing without: its status made it.
    if is_empty(spec.get("clusterIPs")) && had.is_none_or(is_external) {
        let address = Value::from(format!("10.96.{}.{}", (number / 250) % 250, number % 250 + 1));
        spec.insert("clusterIPs".to_owned(), json!([address]));
        spec.insert("clusterIP".to_owned(), address);
    }
    if needs_health_check(spec) && is_empty(spec.get("healthCheckNodePort")) {
        spec.insert("healthCheckNodePort".to_owned(), node_port(number, PORTS - 1));
    }
    if !is_open(spec) {
        return;
    }
    for (index, port) in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten().enumerate()
    {
        if let Some(port) = port.as_object_mut()
            && is_empty(port.get("nodePort"))
        {
            port.insert("nodePort".to_owned(), node_port(number, index as u64));
        }
    }
}

/// So many ports of the nodes are kept for what is written at once.
const PORTS: u64 = 8;

fn node_port(number: u64, index: u64) -> Value {
    (30_000 + (number * PORTS + index) % 2_767).into()
}

/// Whether a port of each node tells whether the Service has pods there.
fn needs_health_check(spec: &Map<String, Value>) -> bool {
    text(spec, "type") == "LoadBalancer" && text(spec, "externalTrafficPolicy") == "Local"
}

/// The ports of the nodes that a Service has.
fn node_ports(spec: &Map<String, Value>) -> Vec<&Value> {
    list(spec, "ports").iter().map(|port| &port["nodePort"]).filter(|port| !is_empty(Some(*port))).collect()
}

/// An update that leaves the ports of the nodes out keeps them, by the names of the Service's own.
fn keep_ports(had: &Map<String, Value>, spec: &mut Map<String, Value>) {
    let now: Vec<Value> = node_ports(spec).into_iter().cloned().collect();
    let used: Vec<&Value> = node_ports(had).into_iter().filter(|port| now.contains(port)).collect();
    for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        let name = port["name"].as_str().unwrap_or_default();
        let known =
            list(had, "ports").iter().rev().find(|old| old["name"].as_str().unwrap_or_default() == name);
        let known = known.map(|old| &old["nodePort"]).filter(|known| !is_empty(Some(*known)));
        if let (true, Some(known)) = (is_empty(port.get("nodePort")), known)
            && !used.contains(&known)
        {
            port["nodePort"] = known.clone();
        }
    }
}

/// What is wrong with the addresses that were written; the server looks at nothing else then.
pub(crate) fn wrong_addresses(before: Option<&Value>, object: &Value) -> Vec<Cause> {
    let had = before.and_then(|before| before["spec"].as_object());
    object["spec"].as_object().map_or_else(Vec::new, |spec| clashes(had, spec))
}

fn clashes(had: Option<&Map<String, Value>>, spec: &Map<String, Value>) -> Vec<Cause> {
    if is_external(spec) {
        return Vec::new();
    }
    let mut causes = related(had, spec);
    if !causes.is_empty() {
        return causes;
    }
    let policy = spec.get("ipFamilyPolicy").cloned().unwrap_or_default();
    let families = list(spec, "ipFamilies");
    let is_special = text(spec, "clusterIP") == "None" && is_without_pods(spec);
    if policy == "SingleStack"
        && families.len() == 2
        && had.is_none_or(|had| list(had, "ipFamilies") != families)
    {
        let why = "must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified";
        causes.push(invalid("spec.ipFamilyPolicy", &policy, why));
    }
    for (index, address) in list(spec, "clusterIPs").iter().enumerate().skip(families.len()) {
        if address.as_str().is_some_and(|address| address.contains(':')) {
            let why = "IPv6 is not configured on this cluster";
            causes.push(invalid(&format!("spec.clusterIPs[{index}]"), &list(spec, "clusterIPs").into(), why));
        }
    }
    if !causes.is_empty() || is_special {
        return causes;
    }
    if policy == "RequireDualStack" {
        let why = "this cluster is not configured for dual-stack services";
        causes.push(invalid("spec.ipFamilyPolicy", &policy, why));
    }
    for (index, family) in families.iter().enumerate().filter(|(_, family)| *family != "IPv4") {
        causes.push(invalid(&format!("spec.ipFamilies[{index}]"), family, "not configured on this cluster"));
    }
    causes
}

/// What is wrong between the fields about addresses.
fn related(had: Option<&Map<String, Value>>, spec: &Map<String, Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    let at = "spec.clusterIPs";
    let (one, all) = (text(spec, "clusterIP"), list(spec, "clusterIPs"));
    let shown = Value::from(all);
    match all.first() {
        None if !one.is_empty() => causes.push(required(at, "")),
        Some(first) if !one.is_empty() && first != one => {
            causes.push(invalid(at, &shown, "first value must match `clusterIP`"));
        }
        Some(_) if one.is_empty() => {
            causes.push(invalid(at, &shown, "must be empty when `clusterIP` is not specified"));
        }
        Some(_) | None => {}
    }
    let known = had.map(|had| list(had, "clusterIPs")).unwrap_or_default();
    let mut is_wrong = false;
    for (index, address) in all.iter().enumerate() {
        let text = address.as_str().unwrap_or_default();
        if index == 0 && text == "None" {
            if all.len() > 1 {
                is_wrong = true;
                causes.push(invalid(at, &shown, "'None' must be the first and only value"));
            }
        } else if text.parse::<std::net::IpAddr>().is_err() && !known.contains(address) {
            is_wrong = true;
            let why = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
            causes.push(invalid(&format!("{at}[{index}]"), address, why));
        }
    }
    if all.len() > 2 {
        causes.push(invalid(at, &shown, "may only hold up to 2 values"));
    }
    if !is_wrong && all.len() > 1 {
        let families: Vec<bool> =
            all.iter().map(|one| one.as_str().is_some_and(|one| one.contains(':'))).collect();
        if !(families.contains(&true) && families.contains(&false)) {
            causes.push(invalid(at, &shown, "may specify no more than one IP for each IP family"));
        }
    }
    causes
}

/// What does not go together in a Service.
pub(crate) fn check(object: &Value, causes: &mut Vec<Cause>) {
    let Some(spec) = object["spec"].as_object() else { return };
    let ports = list(spec, "ports");
    if ports.is_empty() && !is_external(spec) && !is_headless(spec) {
        causes.push(required("spec.ports", ""));
    }
    crate::metadata::check_labels(&object["spec"]["selector"], "spec.selector", causes);
    match text(spec, "type") {
        kind @ ("LoadBalancer" | "NodePort") if is_headless(spec) => {
            let why = format!("may not be set to 'None' for {kind} services");
            causes.push(invalid("spec.clusterIPs[0]", &"None".into(), &why));
        }
        "ExternalName" => external(spec, causes),
        _ => {}
    }
    check_ports(spec, causes);
    let config = "spec.sessionAffinityConfig";
    if text(spec, "sessionAffinity") == "None" && spec.contains_key("sessionAffinityConfig") {
        causes.push(forbidden(config, "must not be set when session affinity is None"));
    }
    if text(spec, "sessionAffinity") == "ClientIP" {
        let timeout = &spec["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"];
        if !timeout.as_i64().is_some_and(|seconds| (1..=86_400).contains(&seconds)) {
            let field = format!("{config}.clientIP.timeoutSeconds");
            causes.push(invalid(&field, timeout, "must be greater than 0 and less than 86400"));
        }
    }
    if text(spec, "type") != "LoadBalancer" && spec.contains_key("allocateLoadBalancerNodePorts") {
        let why = "may only be used when `type` is 'LoadBalancer'";
        causes.push(forbidden("spec.allocateLoadBalancerNodePorts", why));
    }
    if let Some(policy) = spec.get("externalTrafficPolicy").filter(|_| !is_reachable_from_outside(spec)) {
        let why = "may only be set for externally-accessible services";
        causes.push(invalid("spec.externalTrafficPolicy", policy, why));
    }
    let health = spec.get("healthCheckNodePort").filter(|port| !is_empty(Some(*port)));
    if let Some(port) = health.filter(|_| !needs_health_check(spec)) {
        let why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
        causes.push(invalid("spec.healthCheckNodePort", port, why));
    }
}

fn external(spec: &Map<String, Value>, causes: &mut Vec<Cause>) {
    let why = "may not be set for ExternalName services";
    for field in ["clusterIPs", "ipFamilies"] {
        if !list(spec, field).is_empty() {
            causes.push(forbidden(&format!("spec.{field}"), why));
        }
    }
    if spec.contains_key("ipFamilyPolicy") {
        causes.push(forbidden("spec.ipFamilyPolicy", why));
    }
    if text(spec, "externalName").trim_end_matches('.').is_empty() {
        causes.push(required("spec.externalName", ""));
    }
}

fn check_ports(spec: &Map<String, Value>, causes: &mut Vec<Cause>) {
    let ports = list(spec, "ports");
    for (index, port) in ports.iter().enumerate() {
        let at = format!("spec.ports[{index}]");
        let mut twice = |field: String, shown: &str| {
            let message = format!("Duplicate value: {shown}");
            causes.push(Cause { reason: "FieldValueDuplicate", message, field });
        };
        let name = port["name"].as_str().unwrap_or_default();
        if !name.is_empty() && ports[..index].iter().any(|other| other["name"] == name) {
            twice(format!("{at}.name"), &format!("{name:?}"));
        }
        let is_same =
            |other: &Value, field: &str| other["protocol"] == port["protocol"] && other[field] == port[field];
        if !is_empty(port.get("nodePort")) && ports[..index].iter().any(|other| is_same(other, "nodePort")) {
            twice(format!("{at}.nodePort"), &port["nodePort"].to_string());
        }
        if ports[..index].iter().any(|other| is_same(other, "port")) {
            // As Go has the type that the two are compared as.
            let shown = format!(
                "{{\"Name\":\"\",\"Protocol\":{},\"AppProtocol\":null,\"Port\":{},\"TargetPort\":0,\"NodePort\":0}}",
                port["protocol"], port["port"]
            );
            twice(at.clone(), &shown);
        }
        if name.is_empty() && ports.len() > 1 {
            causes.push(required(&format!("{at}.name"), ""));
        }
        if port["targetPort"] == 0 {
            let why = "must be between 1 and 65535, inclusive";
            causes.push(invalid(&format!("{at}.targetPort"), &port["targetPort"], why));
        }
        if text(spec, "type") == "ClusterIP" && !is_empty(port.get("nodePort")) {
            let why = "may not be used when `type` is 'ClusterIP'";
            causes.push(forbidden(&format!("{at}.nodePort"), why));
        }
    }
}

/// What of a Service's addresses has changed that never may.
pub(crate) fn changed(before: &Value, object: &Value) -> Vec<Cause> {
    let (Some(had), Some(spec)) = (before["spec"].as_object(), object["spec"].as_object()) else {
        return Vec::new();
    };
    let mut causes = Vec::new();
    let health = "healthCheckNodePort";
    if needs_health_check(had) && needs_health_check(spec) && had.get(health) != spec.get(health) {
        causes.push(forbidden("spec.healthCheckNodePort", "field is immutable"));
    }
    if is_external(had) || is_external(spec) || is_headless(had) && is_headless(spec) {
        return causes;
    }
    let (was, is) = (list(had, "clusterIPs"), list(spec, "clusterIPs"));
    let shown = Value::from(is);
    let mut told = |place: usize, why: &str| {
        causes.push(invalid(&format!("spec.clusterIPs[{place}]"), &shown, why));
    };
    if was.len() == is.len() {
        let places = was.iter().zip(is).enumerate().filter(|(_, (one, other))| one != other);
        places.for_each(|(place, _)| told(place, "may not change once set"));
    } else if is.is_empty() {
        told(0, "primary clusterIP can not be unset");
    } else if was.first().is_some_and(|first| *first != is[0]) {
        told(0, "may not change once set");
    }
    causes
}

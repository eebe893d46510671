//! What the API server asks of what is between pods and those who call them: ingresses, network policies, endpoints.
//!
//! Source: k8s.io/kubernetes `pkg/apis/networking/validation`, `pkg/apis/discovery/validation`.

use crate::answer::Cause;
use crate::rules::{invalid, required};
use serde_json::{Map, Value};

pub(crate) fn ingress(spec: &Value, causes: &mut Vec<Cause>) {
    let rules = spec["rules"].as_array().map(Vec::as_slice).unwrap_or_default();
    if spec["defaultBackend"].is_null() && rules.is_empty() {
        let shown = spec.get("rules").cloned().unwrap_or_default();
        let why = "either `defaultBackend` or `rules` must be specified";
        let cause = invalid("spec", &shown, why);
        if !causes.contains(&cause) {
            causes.push(cause);
        }
    }
    backend(&spec["defaultBackend"], "spec.defaultBackend", causes);
    for (index, rule) in rules.iter().enumerate() {
        for (place, path) in rule["http"]["paths"].as_array().into_iter().flatten().enumerate() {
            let at = format!("spec.rules[{index}].http.paths[{place}]");
            if path["pathType"].is_null() {
                // Nothing else is looked at then.
                let field = format!("{at}.pathType");
                causes.retain(|cause| !cause.field.starts_with(&at) || cause.field == field);
                continue;
            }
            backend(&path["backend"], &format!("{at}.backend"), causes);
        }
    }
}

fn backend(backend: &Value, at: &str, causes: &mut Vec<Cause>) {
    let port = &backend["service"]["port"];
    let is_there = |name: &str| !port[name].is_null() && port[name] != 0 && port[name] != "";
    if backend["service"].is_object() && !is_there("number") && !is_there("name") {
        causes.push(required(at, "port name or number is required"));
    }
}

/// The controller of an `IngressClass` is a path behind a domain.
pub(crate) fn controller(controller: &Value, causes: &mut Vec<Cause>) {
    const PATH: &str = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+";
    let field = "spec.controller";
    let Some((host, path)) = controller.as_str().and_then(|text| text.split_once('/')) else { return };
    if host.is_empty() || path.is_empty() {
        return;
    }
    for why in crate::metadata::wrong_subdomain(host) {
        causes.push(invalid(field, &host.into(), &why));
    }
    if !crate::rules::matches(PATH, path) {
        let why = format!("Invalid path (regex used for validation is '{PATH}')");
        causes.push(invalid(field, &path.into(), &why));
    }
}

pub(crate) fn peers(spec: &Value, causes: &mut Vec<Cause>) {
    for (list, side) in [("ingress", "from"), ("egress", "to")] {
        for (index, rule) in spec[list].as_array().into_iter().flatten().enumerate() {
            for (place, peer) in rule[side].as_array().into_iter().flatten().enumerate() {
                if peer.as_object().is_some_and(Map::is_empty) {
                    let at = format!("spec.{list}[{index}].{side}[{place}]");
                    causes.push(required(&at, "must specify a peer"));
                }
            }
            for (place, port) in rule["ports"].as_array().into_iter().flatten().enumerate() {
                let field = format!("spec.{list}[{index}].ports[{place}].endPort");
                last_port(port, &field, causes);
            }
        }
    }
}

/// The last port of a range is not below its first, which is a number.
fn last_port(port: &Value, at: &str, causes: &mut Vec<Cause>) {
    let Some(last) = port["endPort"].as_i64() else { return };
    match &port["port"] {
        Value::Number(first) if first.as_i64() > Some(last) => {
            causes.push(invalid(at, &port["port"], "must be greater than or equal to `port`"));
        }
        Value::Number(_) => {}
        Value::String(_) => {
            let why = "may not be specified when `port` is non-numeric";
            causes.push(invalid(at, &port["endPort"], why));
        }
        _ => {
            let why = "may not be specified when `port` is not specified";
            causes.push(invalid(at, &port["endPort"], why));
        }
    }
}

pub(crate) fn endpoints(object: &Value, causes: &mut Vec<Cause>) {
    for (index, subset) in object["subsets"].as_array().into_iter().flatten().enumerate() {
        let is_empty = |list: &str| subset[list].as_array().is_none_or(Vec::is_empty);
        if is_empty("addresses") && is_empty("notReadyAddresses") {
            let why = "must specify `addresses` or `notReadyAddresses`";
            causes.push(required(&format!("subsets[{index}]"), why));
        }
    }
}

/// Ports of a slice are told apart by their names, of which one may be empty.
pub(crate) fn slice_ports(ports: &Value, causes: &mut Vec<Cause>) {
    let mut names = Vec::new();
    for (index, port) in ports.as_array().into_iter().flatten().enumerate() {
        let name = port["name"].as_str().unwrap_or_default();
        if names.contains(&name) {
            let field = format!("ports[{index}].name");
            let message = format!("Duplicate value: {name:?}");
            causes.push(Cause { reason: "FieldValueDuplicate", message, field });
        }
        names.push(name);
    }
}

//! What the API server writes in other words than it was given, for kinds that it is built with: an object as it is wanted, as it
//! will read when it is live.
//!
//! Only for proofs that need no request. What is left out here costs a question, and nothing else: what is said here and is wrong
//! would have to be what the live object shows all the same. Fields that nobody sent and that the server fills in beside are
//! nobody's in the books and need no word; those inside of what is owned as a whole do.
//!
//! Source: the types and `defaults.go` of k8s.io/api, the packages of the API server.

use crate::quantity;
use serde_json::Map;
use std::borrow::Cow;
use trueup_model::Value;

/// The object as the API server will show it, as far as that is known.
pub fn canonical(object: &Value) -> Cow<'_, Value> {
    let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default();
    let work = words_of(text("apiVersion"), text("kind"));
    let metadata = object.get("metadata").and_then(Value::as_object);
    let says_nothing = |field: &Value| {
        (!field.is_null() && is_zero(field))
            || field.as_object().is_some_and(|entries| entries.values().any(Value::is_null))
    };
    if work.is_none() && !metadata.into_iter().flat_map(Map::values).any(says_nothing) {
        return Cow::Borrowed(object);
    }
    let mut object = object.clone();
    // An entry without a value is one with an empty text.
    for map in ["annotations", "labels"] {
        each_of(object.get_mut("metadata").and_then(|metadata| metadata.get_mut(map)), |entry| {
            if entry.is_null() {
                *entry = "".into();
            }
        });
    }
    // Of all kinds: empty maps are named in the books and left out. Empty lists are left out of both where nobody else has
    // items in them, which is not to be seen from here.
    zeros(object.get_mut("metadata"), &["annotations", "labels"]);
    if let Some(work) = work {
        work(&mut object);
    }
    Cow::Owned(object)
}

/// What the server does to objects of a kind.
fn words_of(version: &str, kind: &str) -> Option<fn(&mut Value)> {
    Some(match (version, kind) {
        ("v1", "Pod") => |object| pod(object.get_mut("spec")),
        ("v1", "PodTemplate") => |object| pod(object.pointer_mut("/template/spec")),
        ("v1", "ReplicationController")
        | ("apps/v1", "ReplicaSet" | "Deployment" | "DaemonSet")
        | ("batch/v1", "Job") => |object| {
            zeros(object.get_mut("spec"), &["minReadySeconds", "paused"]);
            pod(object.pointer_mut("/spec/template/spec"));
        },
        ("batch/v1", "CronJob") => |object| pod(object.pointer_mut("/spec/jobTemplate/spec/template/spec")),
        ("apps/v1", "StatefulSet") => |object| {
            zeros(object.get_mut("spec"), &["minReadySeconds"]);
            pod(object.pointer_mut("/spec/template/spec"));
            each(object.pointer_mut("/spec/volumeClaimTemplates"), claim_template);
        },
        ("v1", "PersistentVolumeClaim") => |object| resources(object.pointer_mut("/spec/resources")),
        ("v1", "PersistentVolume") => |object| quantities(object.pointer_mut("/spec/capacity")),
        ("v1", "ResourceQuota") => |object| quantities(object.pointer_mut("/spec/hard")),
        ("v1", "LimitRange") => |object| each(object.pointer_mut("/spec/limits"), limits),
        ("v1", "Endpoints") => {
            |object| each(object.get_mut("subsets"), |subset| ports(subset.get_mut("ports")))
        }
        ("v1", "Service") => |object| zeros(object.get_mut("spec"), &["publishNotReadyAddresses"]),
        ("storage.k8s.io/v1", "CSIDriver") => |object| {
            each(object.pointer_mut("/spec/tokenRequests"), |request| {
                default(request, "audience", "".into());
            });
        },
        ("node.k8s.io/v1", "RuntimeClass") => |object| quantities(object.pointer_mut("/overhead/podFixed")),
        ("networking.k8s.io/v1", "NetworkPolicy") => |object| {
            for direction in ["/spec/ingress", "/spec/egress"] {
                each(object.pointer_mut(direction), |rule| ports(rule.get_mut("ports")));
            }
        },
        ("discovery.k8s.io/v1", "EndpointSlice") => |object| {
            each(object.get_mut("endpoints"), |endpoint| default(endpoint, "conditions", Map::new().into()));
            ports(object.get_mut("ports"));
        },
        ("rbac.authorization.k8s.io/v1", "RoleBinding" | "ClusterRoleBinding") => {
            |object| each(object.get_mut("subjects"), subject)
        }
        ("autoscaling/v2", "HorizontalPodAutoscaler") => {
            |object| each(object.pointer_mut("/spec/metrics"), |metric| each_of(Some(metric), metric_target))
        }
        ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy" | "MutatingAdmissionPolicy") => {
            |object| {
                if let Some(constraints) = object.pointer_mut("/spec/matchConstraints") {
                    default(constraints, "matchPolicy", "Equivalent".into());
                    default(constraints, "namespaceSelector", Map::new().into());
                    default(constraints, "objectSelector", Map::new().into());
                    each(constraints.get_mut("resourceRules"), |rule| default(rule, "scope", "*".into()));
                    each(constraints.get_mut("excludeResourceRules"), |rule| {
                        default(rule, "scope", "*".into());
                    });
                }
            }
        }
        (
            "admissionregistration.k8s.io/v1",
            "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration",
        ) => |object| {
            each(object.get_mut("webhooks"), |webhook| {
                each(webhook.get_mut("rules"), |rule| default(rule, "scope", "*".into()));
            });
        },
        ("scheduling.k8s.io/v1", "PriorityClass") => |object| zeros(Some(object), &["globalDefault"]),
        (_, _) => return None,
    })
}

fn metric_target(source: &mut Value) {
    for field in ["averageValue", "value"] {
        if let Some(target) = source.get_mut("target").and_then(|target| target.get_mut(field)) {
            a_quantity(target);
        }
    }
}

fn limits(limit: &mut Value) {
    for field in ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"] {
        quantities(limit.get_mut(field));
    }
}

fn each(list: Option<&mut Value>, work: impl Fn(&mut Value)) {
    list.and_then(Value::as_array_mut).into_iter().flatten().for_each(work);
}

fn each_of(map: Option<&mut Value>, work: impl Fn(&mut Value)) {
    map.and_then(Value::as_object_mut).into_iter().flatten().for_each(|(_, value)| work(value));
}

fn default(object: &mut Value, field: &str, value: Value) {
    if let Some(fields) = object.as_object_mut()
        && fields.get(field).is_none_or(Value::is_null)
    {
        fields.insert(field.to_owned(), value);
    }
}

/// Fields that the server leaves out where they say nothing. The books name them all the same.
fn zeros(object: Option<&mut Value>, fields: &[&str]) {
    let Some(object) = object.and_then(Value::as_object_mut) else { return };
    for field in fields {
        if let Some(value) = object.get_mut(*field)
            && is_zero(value)
        {
            *value = Value::Null;
        }
    }
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

fn quantities(map: Option<&mut Value>) {
    each_of(map, a_quantity);
}

fn a_quantity(value: &mut Value) {
    let written = match &*value {
        Value::String(text) => quantity::canonical(text),
        Value::Number(number) => quantity::canonical(&number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    if let Some(written) = written {
        *value = written.into();
    }
}

fn resources(resources: Option<&mut Value>) {
    let Some(resources) = resources else { return };
    quantities(resources.get_mut("limits"));
    quantities(resources.get_mut("requests"));
}

fn ports(list: Option<&mut Value>) {
    each(list, |port| default(port, "protocol", "TCP".into()));
}

fn subject(subject: &mut Value) {
    if matches!(subject.get("kind").and_then(Value::as_str), Some("User" | "Group")) {
        default(subject, "apiGroup", "rbac.authorization.k8s.io".into());
    }
}

fn claim_template(claim: &mut Value) {
    default(claim, "apiVersion", "v1".into());
    default(claim, "kind", "PersistentVolumeClaim".into());
    if let Some(spec) = claim.get_mut("spec") {
        default(spec, "volumeMode", "Filesystem".into());
        resources(spec.get_mut("resources"));
    }
    default(claim, "status", serde_json::json!({"phase": "Pending"}));
}

fn pod(spec: Option<&mut Value>) {
    let Some(spec) = spec else { return };
    for list in ["containers", "initContainers"] {
        each(spec.get_mut(list), container);
    }
    zeros(Some(&mut *spec), &["hostNetwork", "hostPID", "hostIPC"]);
    quantities(spec.get_mut("overhead"));
    // Owned as a whole, and written without what says nothing.
    each(spec.get_mut("tolerations"), |toleration| {
        if let Some(fields) = toleration.as_object_mut() {
            fields.retain(|_, value| !value.is_null());
        }
    });
    each(spec.get_mut("volumes"), |volume| {
        if let Some(limit) = volume.pointer_mut("/emptyDir/sizeLimit") {
            a_quantity(limit);
        }
        each(volume.pointer_mut("/downwardAPI/items"), field_refs);
        each(volume.pointer_mut("/projected/sources"), |source| {
            each(source.pointer_mut("/downwardAPI/items"), field_refs);
            if let Some(token) = source.get_mut("serviceAccountToken") {
                default(token, "expirationSeconds", 3600.into());
            }
        });
    });
}

fn container(container: &mut Value) {
    resources(container.get_mut("resources"));
    zeros(Some(&mut *container), &["args", "command", "stdin", "stdinOnce", "tty", "workingDir"]);
    each(container.get_mut("env"), |variable| {
        zeros(Some(&mut *variable), &["value"]);
        if let Some(from) = variable.get_mut("valueFrom") {
            field_refs(from);
        }
    });
    each(container.get_mut("volumeMounts"), |mount| zeros(Some(mount), &["readOnly", "subPath"]));
}

/// References that are owned as a whole.
fn field_refs(holder: &mut Value) {
    if let Some(field) = holder.get_mut("fieldRef") {
        default(field, "apiVersion", "v1".into());
    }
    if let Some(resource) = holder.get_mut("resourceFieldRef") {
        default(resource, "divisor", "0".into());
        if let Some(divisor) = resource.get_mut("divisor") {
            a_quantity(divisor);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(version: &str, kind: &str, wanted: &Value, expected: &Value) {
        let object = |value: &Value| {
            let mut object = value.clone();
            object["apiVersion"] = version.into();
            object["kind"] = kind.into();
            object
        };
        assert_eq!(*canonical(&object(wanted)), object(expected));
    }

    #[test]
    fn an_object_reads_as_the_server_will_write_it() {
        check(
            "v1",
            "Pod",
            &json!({"spec": {"hostNetwork": false, "containers": [{"name": "a", "args": [], "resources": {"limits": {"cpu": 1, "memory": "1024Mi"}},
                "env": [{"name": "E", "value": ""}, {"name": "P", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
                "volumeMounts": [{"name": "v", "mountPath": "/v", "readOnly": false}]}]}}),
            &json!({"spec": {"hostNetwork": null, "containers": [{"name": "a", "args": null, "resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
                "env": [{"name": "E", "value": null}, {"name": "P", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name", "apiVersion": "v1"}}}],
                "volumeMounts": [{"name": "v", "mountPath": "/v", "readOnly": null}]}]}}),
        );
        check(
            "rbac.authorization.k8s.io/v1",
            "RoleBinding",
            &json!({"subjects": [{"kind": "User", "name": "a"}, {"kind": "ServiceAccount", "name": "b"}]}),
            &json!({"subjects": [{"kind": "User", "name": "a", "apiGroup": "rbac.authorization.k8s.io"}, {"kind": "ServiceAccount", "name": "b"}]}),
        );
        check(
            "networking.k8s.io/v1",
            "NetworkPolicy",
            &json!({"spec": {"ingress": [{"ports": [{"port": 80}, {"port": 53, "protocol": "UDP"}]}]}}),
            &json!({"spec": {"ingress": [{"ports": [{"port": 80, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]}]}}),
        );
    }

    #[test]
    fn empty_metadata_reads_alike_in_every_kind() {
        check(
            "example.com/v1",
            "Any",
            &json!({"metadata": {"name": "a", "annotations": {}, "finalizers": [], "labels": {"a": ""}}}),
            &json!({"metadata": {"name": "a", "annotations": null, "finalizers": [], "labels": {"a": ""}}}),
        );
        check(
            "example.com/v1",
            "Any",
            &json!({"metadata": {"name": "a", "annotations": {"a": null, "b": "1"}}, "spec": {"a": null}}),
            &json!({"metadata": {"name": "a", "annotations": {"a": "", "b": "1"}}, "spec": {"a": null}}),
        );
    }

    #[test]
    fn what_looks_like_a_quantity_and_is_none_stays() {
        let data = json!({"data": {"limits": "1000m", "hostNetwork": ""}});
        check("v1", "ConfigMap", &data, &data);
        check("example.com/v1", "Pod", &data, &data);
    }
}

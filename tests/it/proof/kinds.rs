//! Random objects of many built-in kinds: each with what it must have, and a random part of what it may have.

use super::random::Random;
use serde_json::{Value, json};

/// What kinds there are: the manifest of each, complete. [`thin`] takes random parts of it away.
#[allow(clippy::too_many_lines, reason = "a catalogue, one kind after the other")]
pub(super) fn manifests(random: &mut Random) -> Vec<Value> {
    let n = random.below(4);
    let template = pod_template(random);
    let app = json!({"matchLabels": {"app": "x"}});
    let rules = json!([{"apiGroups": ["", "apps"], "resources": ["pods", "deployments"], "verbs": ["get", "list"]},
        {"nonResourceURLs": ["/healthz"], "verbs": ["get"]}]);
    let namespaced_rules = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"], "resourceNames": ["a", "b"]}]);
    let subjects = json!([{"kind": "ServiceAccount", "name": "a", "namespace": "default"}, {"kind": "User", "name": "u", "apiGroup": "rbac.authorization.k8s.io"}, {"kind": "Group", "name": "g"}]);
    let cpu = *random.pick(&["1", "1000m", "0.5", "500m", "1.5"]);
    let memory = *random.pick(&["1Gi", "1024Mi", "0.5Gi", "64M"]);
    let claim = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": memory}}, "storageClassName": "none"});
    vec![
        object(
            "v1",
            "ConfigMap",
            json!({"data": {"a": "1", "b": "x\ny\n", "c": ""}, "binaryData": {"d": "AAEC"}, "immutable": false}),
        ),
        object(
            "v1",
            "Secret",
            json!({"type": "Opaque", "data": {"a": "MQ==", "b": ""}, "stringData": {"c": "text"}}),
        ),
        object(
            "v1",
            "Service",
            json!({"spec": {"type": *random.pick(&["ClusterIP", "NodePort", "LoadBalancer"]), "selector": {"app": "x"}, "sessionAffinity": "ClientIP",
            "ports": [{"name": "a", "port": 80, "targetPort": *random.pick(&["8080", "http"])}, {"name": "b", "port": 80, "protocol": "UDP"}, {"name": "c", "port": 443, "targetPort": 8443, "protocol": "TCP"}],
            "externalIPs": ["198.51.100.7"], "publishNotReadyAddresses": true}}),
        ),
        object(
            "v1",
            "ServiceAccount",
            json!({"automountServiceAccountToken": false, "imagePullSecrets": [{"name": "a"}, {"name": "b"}], "secrets": [{"name": "s"}]}),
        ),
        object("v1", "PersistentVolumeClaim", json!({"spec": claim})),
        object(
            "v1",
            "ResourceQuota",
            json!({"spec": {"hard": {"cpu": cpu, "memory": memory, "pods": "10"}, "scopes": ["NotTerminating"]}}),
        ),
        object(
            "v1",
            "LimitRange",
            json!({"spec": {"limits": [{"type": "Container", "max": {"cpu": "4"}, "default": {"cpu": cpu}, "defaultRequest": {"cpu": "100m"}}]}}),
        ),
        object("v1", "PodTemplate", json!({"template": template})),
        object(
            "v1",
            "ReplicationController",
            json!({"spec": {"replicas": n, "selector": {"app": "x"}, "template": template}}),
        ),
        object(
            "v1",
            "Endpoints",
            json!({"subsets": [{"addresses": [{"ip": "192.0.2.1"}, {"ip": "192.0.2.2", "hostname": "h"}], "ports": [{"name": "a", "port": 80}]}]}),
        ),
        object(
            "v1",
            "Pod",
            json!({"spec": {"nodeName": "nowhere", "containers": [{"name": "a", "image": "a:1"}, {"name": "b", "image": "b"}], "tolerations": [{"operator": "Exists"}]}}),
        ),
        object(
            "v1",
            "PersistentVolume",
            json!({"spec": {"capacity": {"storage": memory}, "accessModes": ["ReadWriteOnce", "ReadOnlyMany"], "hostPath": {"path": "/x"}, "persistentVolumeReclaimPolicy": "Retain",
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "k", "operator": "In", "values": ["a"]}]}]}}}}),
        ),
        // Without `spec.finalizers`, which only its own subresource writes: an apply of them moves nothing but books.
        object("v1", "Namespace", json!({})),
        object(
            "apps/v1",
            "Deployment",
            json!({"spec": {"replicas": n, "selector": app, "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": *random.pick(&["25%", "1"]), "maxUnavailable": 1}},
            "minReadySeconds": 0, "paused": true, "template": template}}),
        ),
        object(
            "apps/v1",
            "StatefulSet",
            json!({"spec": {"replicas": n, "serviceName": "s", "selector": app, "template": template, "podManagementPolicy": "Parallel",
            "volumeClaimTemplates": [{"metadata": {"name": "v"}, "spec": claim}], "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}}}),
        ),
        object(
            "apps/v1",
            "DaemonSet",
            json!({"spec": {"selector": app, "template": template, "updateStrategy": {"type": "OnDelete"}, "revisionHistoryLimit": 3}}),
        ),
        object(
            "apps/v1",
            "ReplicaSet",
            json!({"spec": {"replicas": n, "selector": app, "template": template}}),
        ),
        object(
            "batch/v1",
            "Job",
            json!({"spec": {"parallelism": 1, "completions": 2, "backoffLimit": n, "suspend": true, "template": job_template()}}),
        ),
        object(
            "batch/v1",
            "CronJob",
            json!({"spec": {"schedule": "*/5 * * * *", "suspend": true, "concurrencyPolicy": "Forbid", "successfulJobsHistoryLimit": n, "jobTemplate": {"metadata": {"labels": {"a": "b"}}, "spec": {"template": job_template()}}}}),
        ),
        object(
            "networking.k8s.io/v1",
            "Ingress",
            json!({"spec": {"ingressClassName": "c", "tls": [{"hosts": ["a.example", "b.example"], "secretName": "s"}],
            "defaultBackend": {"service": {"name": "d", "port": {"number": 80}}},
            "rules": [{"host": "a.example", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "s", "port": {"name": "http"}}}}]}}, {"host": "b.example"}]}}),
        ),
        object(
            "networking.k8s.io/v1",
            "IngressClass",
            json!({"spec": {"controller": "example.com/c", "parameters": {"kind": "X", "name": "x", "apiGroup": "example.com", "scope": "Cluster"}}}),
        ),
        object(
            "networking.k8s.io/v1",
            "NetworkPolicy",
            json!({"spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": [{"from": [{"podSelector": {"matchLabels": {"a": "b"}}}], "ports": [{"port": 80}, {"port": "http", "protocol": "TCP"}]}], "egress": [{}]}}),
        ),
        object("rbac.authorization.k8s.io/v1", "Role", json!({"rules": namespaced_rules})),
        object(
            "rbac.authorization.k8s.io/v1",
            "RoleBinding",
            json!({"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"}, "subjects": subjects}),
        ),
        object("rbac.authorization.k8s.io/v1", "ClusterRole", json!({"rules": rules})),
        object(
            "rbac.authorization.k8s.io/v1",
            "ClusterRoleBinding",
            json!({"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "r"}, "subjects": subjects}),
        ),
        object(
            "autoscaling/v2",
            "HorizontalPodAutoscaler",
            json!({"spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}, "minReplicas": 1, "maxReplicas": 4 + n,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}}, {"type": "Resource", "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": memory}}}],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60, "policies": [{"type": "Pods", "value": 1, "periodSeconds": 15}]}}}}),
        ),
        object(
            "autoscaling/v1",
            "HorizontalPodAutoscaler",
            json!({"spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}, "minReplicas": 1, "maxReplicas": 5, "targetCPUUtilizationPercentage": 50 + n}}),
        ),
        object(
            "policy/v1",
            "PodDisruptionBudget",
            json!({"spec": {"maxUnavailable": *random.pick(&["50%", "10%"]), "selector": app, "unhealthyPodEvictionPolicy": "AlwaysAllow"}}),
        ),
        object(
            "scheduling.k8s.io/v1",
            "PriorityClass",
            json!({"value": n, "description": "d", "globalDefault": false, "preemptionPolicy": "Never"}),
        ),
        object(
            "storage.k8s.io/v1",
            "StorageClass",
            json!({"provisioner": "example.com/p", "parameters": {"a": "b"}, "reclaimPolicy": "Retain", "allowVolumeExpansion": true, "mountOptions": ["a", "b"], "volumeBindingMode": "WaitForFirstConsumer"}),
        ),
        object(
            "storage.k8s.io/v1",
            "CSIDriver",
            json!({"spec": {"attachRequired": false, "podInfoOnMount": true, "volumeLifecycleModes": ["Persistent", "Ephemeral"], "tokenRequests": [{"audience": "a"}]}}),
        ),
        object(
            "node.k8s.io/v1",
            "RuntimeClass",
            json!({"handler": "h", "overhead": {"podFixed": {"cpu": cpu, "memory": memory}}, "scheduling": {"nodeSelector": {"a": "b"}, "tolerations": [{"key": "k", "operator": "Exists"}]}}),
        ),
        object(
            "coordination.k8s.io/v1",
            "Lease",
            json!({"spec": {"holderIdentity": "h", "leaseDurationSeconds": 15, "renewTime": "2026-01-01T00:00:00.000000Z"}}),
        ),
        object(
            "discovery.k8s.io/v1",
            "EndpointSlice",
            json!({"addressType": "IPv4", "endpoints": [{"addresses": ["192.0.2.1"], "conditions": {"ready": true}, "zone": "z"}, {"addresses": ["192.0.2.2"]}], "ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81, "protocol": "UDP"}]}),
        ),
        object(
            "admissionregistration.k8s.io/v1",
            "ValidatingAdmissionPolicy",
            json!({"spec": {"failurePolicy": "Ignore", "matchConstraints": {"resourceRules": [{"apiGroups": ["none.example"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["nones"]}]},
            "validations": [{"expression": "true", "message": "m"}], "variables": [{"name": "v", "expression": "1"}]}}),
        ),
    ]
}

fn object(api_version: &str, kind: &str, body: Value) -> Value {
    let mut object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"labels": {"app": "x", "b": "1"}, "annotations": {"note": "1", "example.com/a.b": "x"}, "finalizers": ["example.com/a", "example.com/b"]}});
    if let (Some(object), Value::Object(body)) = (object.as_object_mut(), body) {
        object.extend(body);
    }
    object
}

fn pod_template(random: &mut Random) -> Value {
    let cpu = *random.pick(&["1", "1000m", "0.5", "100m"]);
    json!({"metadata": {"labels": {"app": "x"}, "annotations": {"a": "b"}}, "spec": {
        "containers": [
            {"name": "a", "image": "a:1", "command": ["x", "-v"], "args": [], "env": [{"name": "A", "value": "1"}, {"name": "B"}, {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
             "ports": [{"name": "http", "containerPort": 80}, {"containerPort": 80, "protocol": "UDP"}, {"containerPort": 81, "protocol": "TCP"}],
             "resources": {"requests": {"cpu": cpu}, "limits": {"cpu": "2", "memory": "1Gi"}}, "volumeMounts": [{"name": "v", "mountPath": "/v"}, {"name": "v", "mountPath": "/w", "readOnly": true}],
             "livenessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 5}, "securityContext": {"capabilities": {"add": ["NET_ADMIN"], "drop": ["ALL"]}}},
            {"name": "b", "image": "b@sha256:0000000000000000000000000000000000000000000000000000000000000000", "resources": {}, "imagePullPolicy": "Always"}],
        "initContainers": [{"name": "i", "image": "i"}],
        "volumes": [{"name": "v", "emptyDir": {}}, {"name": "c", "configMap": {"name": "c", "items": [{"key": "a", "path": "a"}]}}, {"name": "p", "projected": {"sources": [{"secret": {"name": "s"}}]}}],
        "nodeSelector": {"n": "1"}, "tolerations": [{"key": "k", "operator": "Exists", "effect": "NoSchedule"}, {"operator": "Exists"}], "serviceAccountName": "a", "hostAliases": [{"ip": "192.0.2.9", "hostnames": ["a", "b"]}],
        "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "t", "whenUnsatisfiable": "DoNotSchedule"}], "imagePullSecrets": [{"name": "x"}],
        "securityContext": {"runAsUser": 1, "sysctls": [{"name": "net.a", "value": "1"}]}, "terminationGracePeriodSeconds": 10}})
}

fn job_template() -> Value {
    json!({"metadata": {"labels": {"j": "1"}}, "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "c", "env": [{"name": "A", "value": "1"}]}]}})
}

/// Takes random parts of a manifest away; what the server then refuses is made anew by the caller.
pub(super) fn thin(manifest: &mut Value, random: &mut Random) {
    for _ in 0..random.below(6) {
        let Some(place) = random.any(&super::random::places(manifest)) else { return };
        let Some((parent, name)) = place.rsplit_once('/') else { return };
        let name = name.replace("~1", "/").replace("~0", "~");
        match manifest.pointer_mut(parent) {
            Some(Value::Object(fields)) if random.one_in(8) => drop(fields.insert(name, Value::Null)),
            Some(Value::Object(fields)) => drop(fields.remove(&name)),
            Some(Value::Array(items)) if !items.is_empty() => drop(items.pop()),
            _ => {}
        }
    }
}

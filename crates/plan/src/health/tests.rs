use super::*;
use serde_json::json;

#[track_caller]
fn check(object: &Value, wanted: &str) {
    let found = health(object);
    assert_eq!(format!("{}: {}", found.status, found.message).trim_end_matches(": "), wanted);
}

fn deployment(status: &Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "generation": 2},
        "spec": {"replicas": 3}, "status": status})
}

#[test]
fn a_deployment_is_healthy_when_every_pod_is_new_and_available() {
    let done = json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3});
    check(&deployment(&done), "Healthy");
    check(&deployment(&json!({})), "Progressing: its controller has not seen it yet");
    check(
        &deployment(&json!({"observedGeneration": 1})),
        "Progressing: its controller has not seen the latest change yet",
    );
    check(
        &deployment(
            &json!({"observedGeneration": 2, "replicas": 4, "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3}),
        ),
        "Progressing: 1 pods of the old version are still there",
    );
    check(
        &deployment(
            &json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 1}),
        ),
        "Progressing: 1 of 3 pods are available",
    );
}

#[test]
fn a_quota_that_stops_a_deployment_is_named() {
    check(
        &deployment(
            &json!({"observedGeneration": 2, "conditions": [{"type": "ReplicaFailure", "status": "True",
            "reason": "FailedCreate", "message": "pods \"web-1\" is forbidden: exceeded quota: small"}]}),
        ),
        "Degraded: FailedCreate: pods \"web-1\" is forbidden: exceeded quota: small",
    );
    check(
        &deployment(
            &json!({"observedGeneration": 2, "conditions": [{"type": "Progressing", "status": "False",
            "reason": "ProgressDeadlineExceeded", "message": "ReplicaSet \"web-1\" has timed out progressing."}]}),
        ),
        "Degraded: ProgressDeadlineExceeded: ReplicaSet \"web-1\" has timed out progressing.",
    );
}

#[test]
fn a_stateful_set_follows_its_partition_and_strategy() {
    let set = |spec: &Value, status: &Value| json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "spec": spec, "status": status});
    check(
        &set(
            &json!({"replicas": 3, "updateStrategy": {"rollingUpdate": {"partition": 2}}}),
            &json!({"observedGeneration": 1, "replicas": 3, "readyReplicas": 3, "updatedReplicas": 1}),
        ),
        "Healthy",
    );
    check(
        &set(
            &json!({"replicas": 2}),
            &json!({"observedGeneration": 1, "replicas": 2, "readyReplicas": 2,
        "updatedReplicas": 1, "currentRevision": "a", "updateRevision": "b"}),
        ),
        "Progressing: 1 of 2 pods are of the new version",
    );
    check(
        &set(&json!({"replicas": 2}), &json!({"observedGeneration": 1, "replicas": 2, "readyReplicas": 1})),
        "Progressing: 1 of 2 pods are ready",
    );
}

#[test]
fn a_job_is_healthy_when_it_is_complete_and_degraded_when_it_failed() {
    let job = |status: &Value| json!({"apiVersion": "batch/v1", "kind": "Job", "status": status});
    check(
        &job(&json!({"startTime": "t", "conditions": [{"type": "Complete", "status": "True"}]})),
        "Healthy",
    );
    check(
        &job(
            &json!({"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "too often"}]}),
        ),
        "Degraded: BackoffLimitExceeded: too often",
    );
    check(&job(&json!({"startTime": "t", "active": 1})), "Progressing: 1 pods are running");
    check(
        &json!({"apiVersion": "batch/v1", "kind": "CronJob", "spec": {"suspend": true}}),
        "Suspended: the schedule is suspended",
    );
}

#[test]
fn a_custom_resource_is_read_by_its_conditions() {
    let custom = |conditions: &Value| json!({"apiVersion": "example.com/v1", "kind": "Widget", "status": {"conditions": conditions}});
    check(&custom(&json!([])), "Healthy");
    check(&custom(&json!([{"type": "Ready", "status": "True"}])), "Healthy");
    check(
        &custom(&json!([{"type": "Ready", "status": "False", "reason": "Waiting", "message": "for parts"}])),
        "Progressing: Waiting: for parts",
    );
    check(
        &custom(&json!([{"type": "Stalled", "status": "True", "reason": "Broken", "message": "no"}])),
        "Degraded: Broken: no",
    );
    check(
        &custom(&json!([{"type": "Reconciling", "status": "True", "reason": "Busy"}])),
        "Progressing: Busy",
    );
}

#[test]
fn what_is_being_deleted_names_its_finalizers() {
    check(
        &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"deletionTimestamp": "t", "finalizers": ["example.com/hold"]}}),
        "Progressing: is being deleted, waiting for finalizer example.com/hold",
    );
}

#[test]
fn small_kinds_have_rules_of_their_own() {
    check(&json!({"apiVersion": "v1", "kind": "ConfigMap"}), "Healthy");
    check(
        &json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "status": {"phase": "Pending"}}),
        "Progressing: no volume is bound yet",
    );
    check(
        &json!({"apiVersion": "v1", "kind": "Service", "spec": {"type": "LoadBalancer"}}),
        "Progressing: the load balancer has no address yet",
    );
    check(&json!({"apiVersion": "v1", "kind": "Service", "spec": {"type": "ClusterIP"}}), "Healthy");
    check(
        &json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "status": {"conditions": [{"type": "Established", "status": "True"}]}}),
        "Healthy",
    );
    check(
        &json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
        "status": {"conditions": [{"type": "Available", "status": "False", "reason": "MissingEndpoints", "message": "none"}]}}),
        "Progressing: MissingEndpoints: none",
    );
}

#[test]
fn the_pod_that_fails_is_named() {
    let pod = json!({"metadata": {"name": "web-7d9"}, "status": {"phase": "Pending", "containerStatuses": [
        {"name": "web", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image \"no/such:1\""}}}]}});
    assert_eq!(
        cause_from_pods(&[json!({"metadata": {"name": "fine"}, "status": {"phase": "Succeeded"}}), pod])
            .unwrap(),
        "pod web-7d9: ImagePullBackOff: Back-off pulling image \"no/such:1\""
    );
}

#[test]
fn a_target_is_as_bad_as_its_worst_object() {
    assert_eq!(
        [HealthStatus::Healthy, HealthStatus::Degraded, HealthStatus::Progressing].iter().max(),
        Some(&HealthStatus::Degraded)
    );
}

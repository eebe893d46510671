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

#[test]
fn a_load_balancer_is_waited_for_where_somebody_makes_one() {
    let service = |spec: &Value, finalizers: &Value, status: &Value| {
        json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"finalizers": finalizers}, "spec": spec, "status": status})
    };
    let (spec, taken) = (
        json!({"type": "LoadBalancer", "clusterIP": "10.0.0.1"}),
        json!(["service.kubernetes.io/load-balancer-cleanup"]),
    );
    check(&service(&json!({"type": "ClusterIP"}), &json!([]), &json!({})), "Healthy");
    check(
        &service(&json!({"type": "LoadBalancer"}), &json!([]), &json!({})),
        "Progressing: it has no cluster address yet",
    );
    check(&service(&spec, &json!([]), &json!({"loadBalancer": {}})), "Healthy");
    check(
        &service(&spec, &taken, &json!({"loadBalancer": {}})),
        "Progressing: the load balancer has no address yet",
    );
    check(&service(&spec, &taken, &json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}})), "Healthy");
}

#[test]
fn a_deployment_is_not_done_before_its_controller_says_so() {
    let counts = json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3});
    let with = |progressing: &str, available: &str| {
        let mut object = deployment(&counts);
        object["spec"]["progressDeadlineSeconds"] = json!(600);
        object["status"]["conditions"] = json!([
            {"type": "Progressing", "status": "True", "reason": progressing},
            {"type": "Available", "status": available, "reason": "MinimumReplicasUnavailable"}]);
        object
    };
    check(&with("NewReplicaSetAvailable", "True"), "Healthy");
    check(
        &with("ReplicaSetUpdated", "True"),
        "Progressing: its controller has not called the rollout done yet",
    );
    check(&with("NewReplicaSetAvailable", "False"), "Progressing: MinimumReplicasUnavailable");
    let mut without_deadline = with("ReplicaSetUpdated", "True");
    without_deadline["spec"]["progressDeadlineSeconds"] = json!(i32::MAX);
    check(&without_deadline, "Healthy");
    let mut scaled_down = deployment(&counts);
    scaled_down["spec"]["replicas"] = json!(1);
    check(&scaled_down, "Progressing: 2 pods beyond the wanted number are still there");
    let mut paused = deployment(&counts);
    paused["spec"]["paused"] = json!(true);
    check(&paused, "Suspended: its rollout is paused");
}

#[test]
fn a_daemon_set_and_a_replica_set_count_their_pods() {
    let daemons = |strategy: &str, status: &Value| {
        json!({"apiVersion": "apps/v1", "kind": "DaemonSet",
        "spec": {"updateStrategy": {"type": strategy}}, "status": status})
    };
    let counts = |scheduled: i64, updated: i64, available: i64, ready: i64| {
        json!({"observedGeneration": 1, "desiredNumberScheduled": 2,
        "currentNumberScheduled": scheduled, "updatedNumberScheduled": updated, "numberAvailable": available, "numberReady": ready})
    };
    check(&daemons("RollingUpdate", &counts(2, 2, 2, 2)), "Healthy");
    check(&daemons("RollingUpdate", &counts(1, 1, 1, 1)), "Progressing: 1 of 2 pods are scheduled");
    check(&daemons("RollingUpdate", &counts(2, 1, 2, 2)), "Progressing: 1 of 2 pods are of the new version");
    check(&daemons("OnDelete", &counts(2, 1, 2, 2)), "Healthy");
    check(&daemons("RollingUpdate", &counts(2, 2, 1, 2)), "Progressing: 1 of 2 pods are available");
    check(&daemons("RollingUpdate", &json!({})), "Progressing: its controller has not seen it yet");

    let set = |status: &Value| json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "spec": {"replicas": 2}, "status": status});
    check(
        &set(&json!({"replicas": 2, "fullyLabeledReplicas": 2, "availableReplicas": 2, "readyReplicas": 2})),
        "Healthy",
    );
    check(
        &set(&json!({"replicas": 2, "fullyLabeledReplicas": 2, "availableReplicas": 1})),
        "Progressing: 1 of 2 pods are available",
    );
    check(
        &set(&json!({"replicas": 3, "fullyLabeledReplicas": 2, "availableReplicas": 2, "readyReplicas": 2})),
        "Progressing: 1 pods beyond the wanted number are still there",
    );
}

#[test]
fn a_stateful_set_with_on_delete_waits_for_its_pods_but_not_for_their_version() {
    let set = |ready: i64| {
        json!({"apiVersion": "apps/v1", "kind": "StatefulSet",
        "spec": {"replicas": 2, "updateStrategy": {"type": "OnDelete"}}, "status": {"observedGeneration": 1, "replicas": 2,
            "readyReplicas": ready, "currentRevision": "a", "updateRevision": "b"}})
    };
    check(&set(2), "Healthy");
    check(&set(1), "Progressing: 1 of 2 pods are ready");
}

#[test]
fn a_job_that_is_suspended_or_fails_says_so() {
    let job = |spec: &Value, status: &Value| json!({"apiVersion": "batch/v1", "kind": "Job", "spec": spec, "status": status});
    check(&job(&json!({"suspend": true}), &json!({})), "Suspended: the job is suspended");
    check(&job(&json!({}), &json!({})), "Progressing: the job has not started yet");
    check(
        &job(&json!({}), &json!({"startTime": "t", "active": 1, "failed": 2})),
        "Progressing: 1 pods are running, 2 failed",
    );
}

#[test]
fn a_budget_and_an_autoscaler_are_not_judged_by_their_pods() {
    let budget =
        |status: &Value| json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "status": status});
    check(&budget(&json!({"observedGeneration": 1, "currentHealthy": 0, "desiredHealthy": 1})), "Healthy");
    check(&budget(&json!({})), "Progressing: its controller has not seen it yet");
    check(
        &budget(
            &json!({"observedGeneration": 1, "conditions": [{"type": "DisruptionAllowed", "status": "False", "reason": "SyncFailed", "message": "two controllers"}]}),
        ),
        "Degraded: SyncFailed: two controllers",
    );
    let autoscaler = |kind: &str, reason: &str| {
        json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "status": {"conditions": [{"type": kind, "status": "False", "reason": reason, "message": "m"}]}})
    };
    check(&autoscaler("ScalingActive", "FailedGetResourceMetric"), "Healthy");
    check(&autoscaler("ScalingActive", "InvalidSelector"), "Degraded: InvalidSelector: m");
    check(&autoscaler("AbleToScale", "FailedGetScale"), "Degraded: FailedGetScale: m");
}

#[test]
fn a_definition_whose_names_are_taken_is_degraded() {
    let definition = |conditions: &Value| {
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "status": {"conditions": conditions}})
    };
    check(&definition(&json!([])), "Progressing: is not established yet");
    check(
        &definition(&json!([{"type": "Established", "status": "False", "reason": "Installing"}])),
        "Progressing: is not established yet",
    );
    check(
        &definition(
            &json!([{"type": "NamesAccepted", "status": "False", "reason": "PluralConflict", "message": "\"widgets\" is in use"},
            {"type": "Established", "status": "False", "reason": "NotAccepted"}]),
        ),
        "Degraded: PluralConflict: \"widgets\" is in use",
    );
}

#[test]
fn the_conditions_of_kstatus_go_before_the_rules_of_any_kind() {
    for (group, kind) in [("v1", "ConfigMap"), ("v1", "PersistentVolumeClaim"), ("example.com/v1", "Widget")]
    {
        let object = |condition: &str| {
            json!({"apiVersion": group, "kind": kind, "status": {"phase": "Bound", "conditions": [
            {"type": "Ready", "status": "True"}, {"type": condition, "status": "True", "reason": "R", "message": "m"}]}})
        };
        check(&object("Stalled"), "Degraded: R: m");
        check(&object("Reconciling"), "Progressing: R: m");
    }
}

#[test]
fn a_condition_about_an_older_generation_proves_nothing() {
    let widget = |seen: i64| {
        json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"generation": 2},
        "status": {"conditions": [{"type": "Ready", "status": "True", "observedGeneration": seen}]}})
    };
    check(&widget(1), "Progressing: its controller has not seen the latest change yet");
    check(&widget(2), "Healthy");
}

#[test]
fn a_namespace_says_what_keeps_it_from_going() {
    check(
        &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"deletionTimestamp": "t"}, "status": {"phase": "Terminating", "conditions": [
            {"type": "NamespaceFinalizersRemaining", "status": "True", "reason": "SomeFinalizersRemain",
             "message": "Some content in the namespace has finalizers remaining: a/b in 1 resource instances"}]}}),
        "Progressing: is being deleted: Some content in the namespace has finalizers remaining: a/b in 1 resource instances",
    );
}

#[test]
fn a_pod_names_the_container_that_keeps_it_and_why() {
    let pod = |phase: &str, status: &Value| {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
        "status": {"phase": phase, "containerStatuses": [status]}})
    };
    check(
        &pod(
            "Running",
            &json!({"name": "web", "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
            "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled", "message": "a log line with a password"}}}),
        ),
        "Degraded: CrashLoopBackOff: back-off 10s; it ended with code 137 (OOMKilled)",
    );
    check(
        &pod("Failed", &json!({"name": "web", "state": {"terminated": {"exitCode": 1, "reason": "Error"}}})),
        "Degraded: container web ended with code 1 (Error)",
    );
    check(
        &pod("Running", &json!({"name": "web", "ready": false, "state": {"running": {}}})),
        "Progressing: container web is not ready",
    );
    check(
        &pod("Pending", &json!({"name": "web", "state": {"waiting": {"reason": "ContainerCreating"}}})),
        "Progressing: container web waits: ContainerCreating",
    );
    check(
        &json!({"apiVersion": "v1", "kind": "Pod", "status": {"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available: 3 Insufficient cpu."}]}}),
        "Progressing: Unschedulable: 0/3 nodes are available: 3 Insufficient cpu.",
    );
}

#[test]
fn the_latest_event_that_tells_why_there_are_no_pods_is_named() {
    let event = |kind: &str, reason: &str, time: &str, message: &str| json!({"type": kind, "reason": reason, "lastTimestamp": time, "message": message});
    let events = [
        event(
            "Warning",
            "FailedCreate",
            "2026-01-01T00:00:02Z",
            "pods \"db-0\" is forbidden: exceeded quota: small",
        ),
        event("Warning", "FailedCreate", "2026-01-01T00:00:01Z", "an older one"),
        event("Warning", "BackOff", "2026-01-01T00:00:04Z", "another matter"),
        event("Normal", "SuccessfulCreate", "2026-01-01T00:00:03Z", "created"),
    ];
    assert_eq!(
        cause_from_events(&events).unwrap(),
        "FailedCreate: pods \"db-0\" is forbidden: exceeded quota: small"
    );
    assert_eq!(cause_from_events(&events[2..]), None);
}

#[test]
fn the_words_are_those_of_argo_cd() {
    let words = ["Healthy", "Suspended", "Progressing", "Missing", "Degraded", "Unknown"];
    let mut read: Vec<HealthStatus> =
        words.iter().map(|word| serde_json::from_value(json!(word)).unwrap()).collect();
    assert_eq!(read.iter().map(ToString::to_string).collect::<Vec<_>>(), words);
    let as_listed = read.clone();
    read.sort();
    assert_eq!(read, as_listed, "from the best to the worst");
}

//! Built-in kinds that run nothing themselves.

use super::conditions::{because, or};
use super::{Health, condition, is_true, text};
use trueup_model::Value;

pub(super) fn claim(object: &Value) -> Health {
    match text(object, "/status/phase") {
        "Bound" => Health::healthy(),
        "Lost" => Health::degraded("the volume that it was bound to is gone"),
        // With `volumeBindingMode: WaitForFirstConsumer` it stays so until a pod uses the claim.
        _ => Health::progressing("no volume is bound yet"),
    }
}

// What cloud controllers put on a Service that they have taken up, before they ask for the load balancer.
const LOAD_BALANCER_FINALIZER: &str = "service.kubernetes.io/load-balancer-cleanup";

pub(super) fn service(object: &Value) -> Health {
    if text(object, "/spec/type") != "LoadBalancer" {
        return Health::healthy();
    }
    if text(object, "/spec/clusterIP").is_empty() {
        return Health::progressing("it has no cluster address yet");
    }
    // kstatus does not wait for the load balancer: many clusters have nobody who would make one. Where somebody has taken
    // the Service up, the address is worth waiting for.
    let finalizers = object.pointer("/metadata/finalizers").and_then(Value::as_array);
    let taken_up = finalizers.is_some_and(|list| list.iter().any(|name| name == LOAD_BALANCER_FINALIZER));
    let addresses = object.pointer("/status/loadBalancer/ingress").and_then(Value::as_array);
    if taken_up && addresses.is_none_or(Vec::is_empty) {
        Health::progressing("the load balancer has no address yet")
    } else {
        Health::healthy()
    }
}

pub(super) fn namespace(object: &Value) -> Health {
    match text(object, "/status/phase") {
        "Terminating" => Health::progressing("is being deleted"),
        _ => Health::healthy(),
    }
}

pub(super) fn autoscaler(object: &Value) -> Health {
    // A metric that is not there yet is how every autoscaler starts, and how it stays on a cluster without a metrics
    // server: kstatus takes it for current, and so do we; what is wrong with the object itself is another matter.
    match condition(object, "AbleToScale") {
        Some(("False", reason, message)) => Health::degraded(because(reason, message)),
        _ => match condition(object, "ScalingActive") {
            Some(("False", reason @ "InvalidSelector", message)) => {
                Health::degraded(because(reason, message))
            }
            _ => Health::healthy(),
        },
    }
}

// How many pods are healthy is told by their workload: a budget for pods that are not there is still as it should be.
pub(super) fn disruption_budget(object: &Value) -> Health {
    match condition(object, "DisruptionAllowed") {
        Some(("False", reason @ "SyncFailed", message)) => Health::degraded(because(reason, message)),
        _ if object.pointer("/status/observedGeneration").is_none() => {
            Health::progressing("its controller has not seen it yet")
        }
        _ => Health::healthy(),
    }
}

pub(super) fn definition(object: &Value) -> Health {
    if let Some(("False", reason, message)) = condition(object, "NamesAccepted") {
        return Health::degraded(because(reason, message));
    }
    match condition(object, "Established") {
        Some(("True", _, _)) => Health::healthy(),
        Some(("False", "Installing", _)) | None => Health::progressing("is not established yet"),
        Some(("False", reason, message)) => Health::degraded(because(reason, message)),
        Some((_, reason, message)) => Health::progressing(because(reason, message)),
    }
}

pub(super) fn api_service(object: &Value) -> Health {
    if is_true(object, "Available") {
        return Health::healthy();
    }
    let (reason, message) =
        condition(object, "Available").map_or(("", ""), |(_, reason, message)| (reason, message));
    Health::progressing(or(&because(reason, message), "the service behind it has not answered yet"))
}

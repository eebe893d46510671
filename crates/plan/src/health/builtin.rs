//! Built-in kinds that run nothing themselves.

use super::conditions::{because, or};
use super::{Health, condition, is_true, number, text};
use trueup_model::Value;

pub(super) fn claim(object: &Value) -> Health {
    match text(object, "/status/phase") {
        "Bound" => Health::healthy(),
        "Lost" => Health::degraded("the volume that it was bound to is gone"),
        _ => Health::progressing("no volume is bound yet"),
    }
}

pub(super) fn service(object: &Value) -> Health {
    if text(object, "/spec/type") != "LoadBalancer" {
        return Health::healthy();
    }
    let addresses = object.pointer("/status/loadBalancer/ingress").and_then(Value::as_array);
    if addresses.is_some_and(|list| !list.is_empty()) {
        Health::healthy()
    } else {
        Health::progressing("the load balancer has no address yet")
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

pub(super) fn disruption_budget(object: &Value) -> Health {
    let current = number(object, "/status/currentHealthy");
    let desired = number(object, "/status/desiredHealthy");
    if object.pointer("/status/observedGeneration").is_none() {
        Health::progressing("its controller has not seen it yet")
    } else if let Some(("False", reason @ "SyncFailed", message)) = condition(object, "DisruptionAllowed") {
        Health::degraded(because(reason, message))
    } else if current < desired {
        Health::progressing(format!("{current} of {desired} pods are healthy"))
    } else {
        Health::healthy()
    }
}

pub(super) fn definition(object: &Value) -> Health {
    if let Some(("False", reason, message)) = condition(object, "NamesAccepted") {
        return Health::degraded(because(reason, message));
    }
    match condition(object, "Established") {
        Some(("True", _, _)) => Health::healthy(),
        Some((_, reason @ ("NotAccepted" | "Failed"), message)) => Health::degraded(because(reason, message)),
        Some((_, reason, message)) => Health::progressing(because(reason, message)),
        None => Health::progressing("is not established yet"),
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

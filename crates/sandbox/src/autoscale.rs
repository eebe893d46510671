//! `HorizontalPodAutoscaler`s, which scale their targets to a load that is written down and not measured.
//!
//! An autoscaler says with an annotation what all pods of its target have to carry together: `sandbox.trueup.dev/load: cpu=240,rps=90`,
//! per cent where its target is a utilization, an amount where it is one. A metric of which nothing is written is where it should be.
//!
//! Source: k8s.io/kubernetes `pkg/controller/podautoscaler`. Absent: behaviour, windows of stabilization, events.

use crate::Sandbox;
use crate::store::{Key, Resource};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use trueup_merge::quantity::Quantity;

/// The annotation of an autoscaler that says what the pods of its target have to carry.
const LOAD: &str = "sandbox.trueup.dev/load";
/// A ratio this near to one asks for nothing, in thousandths.
const TOLERANCE: i128 = 100;

pub(crate) fn autoscalers() -> Resource {
    ("autoscaling".to_owned(), "horizontalpodautoscalers".to_owned())
}

/// What one metric should be, and what it is.
struct Metric {
    name: String,
    /// The average for each pod, or the sum, that is asked for.
    target: Quantity,
    form: Form,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Utilization,
    Amount,
}

impl Sandbox {
    /// Looks after the autoscalers of a workload.
    pub(crate) fn run_autoscalers_of(&mut self, workload: &Value, namespace: &str) {
        let (kind, name) = (&workload["kind"], &workload["metadata"]["name"]);
        let is_meant = |autoscaler: &Value| {
            let target = &autoscaler["spec"]["scaleTargetRef"];
            target["kind"] == *kind && target["name"] == *name
        };
        let autoscalers = autoscalers();
        let found = self.store.all_in(&autoscalers, namespace).filter(|(_, one)| is_meant(one));
        let keys: Vec<Key> = found.map(|(key, _)| key.clone()).collect();
        for key in keys {
            self.run_workloads(&autoscalers, &key);
        }
    }

    /// Looks after an autoscaler.
    pub(crate) fn run_autoscaler(&mut self, autoscaler: &Value, key: &Key) {
        let spec = &autoscaler["spec"];
        let reference = &spec["scaleTargetRef"];
        let Some((resource, target)) = self.target_of(reference, &key.0) else {
            let why = format!(
                "the HPA controller was unable to get the target's current scale: {} \"{}\" not found",
                reference["kind"].as_str().unwrap_or_default(),
                reference["name"].as_str().unwrap_or_default()
            );
            let conditions = self.told(autoscaler, &[("AbleToScale", "False", "FailedGetScale", &why)]);
            let mut status = autoscaler["status"].clone();
            status["conditions"] = conditions.into();
            status["currentReplicas"] = 0.into();
            status["desiredReplicas"] = 0.into();
            self.set_status(&autoscalers(), key, status);
            return;
        };
        let wanted = target["spec"]["replicas"].as_i64().unwrap_or(1);
        let current = target["status"]["replicas"].as_i64().unwrap_or(0);
        let (least, most) =
            (spec["minReplicas"].as_i64().unwrap_or(1), spec["maxReplicas"].as_i64().unwrap_or(1));
        let metrics = metrics(spec);
        let loads = loads(autoscaler);
        // Who scales to nothing switches autoscaling off.
        let is_off = wanted == 0 && least != 0;
        let asked = if is_off { 0 } else { asked(&metrics, &loads, wanted) };
        let desired = if is_off { 0 } else { asked.clamp(least, most) };
        let limited = match asked {
            _ if is_off => None,
            asked if asked > most => Some((
                "True",
                "TooManyReplicas",
                "the desired replica count is more than the maximum replica count",
            )),
            asked if asked < least => Some((
                "True",
                "TooFewReplicas",
                "the desired replica count is less than the minimum replica count",
            )),
            _ => Some(("False", "DesiredWithinRange", "the desired count is within the acceptable range")),
        };
        let scaled = format!("the HPA controller was able to update the target scale to {desired}");
        let able = if desired == wanted {
            ("True", "ReadyForNewScale", "recommended size matches current size")
        } else {
            ("True", "SucceededRescale", scaled.as_str())
        };
        let active = if is_off {
            ("False", "ScalingDisabled", "scaling is disabled since the replica count of the target is zero")
        } else {
            (
                "True",
                "ValidMetricFound",
                "the HPA was able to successfully calculate a replica count from the metrics",
            )
        };
        let mut all =
            vec![("AbleToScale", able.0, able.1, able.2), ("ScalingActive", active.0, active.1, active.2)];
        all.extend(limited.map(|(status, reason, why)| ("ScalingLimited", status, reason, why)));
        let mut status = json!({"observedGeneration": autoscaler["metadata"]["generation"], "currentReplicas": current,
            "desiredReplicas": desired, "conditions": self.told(autoscaler, &all),
            "currentMetrics": current_metrics(&metrics, &loads, current)});
        for field in ["lastScaleTime"].iter().filter(|field| !autoscaler["status"][**field].is_null()) {
            status[*field] = autoscaler["status"][*field].clone();
        }
        if desired != wanted {
            status["lastScaleTime"] = self.time().into();
        }
        self.set_status(&autoscalers(), key, status);
        if desired != wanted {
            let mut target = target;
            target["spec"]["replicas"] = desired.into();
            let place = (key.0.clone(), reference["name"].as_str().unwrap_or_default().to_owned());
            self.rewrite_by(&resource, &place, "scale", target);
        }
    }

    fn target_of(&self, reference: &Value, namespace: &str) -> Option<(Resource, Value)> {
        let (api_version, kind) = (reference["apiVersion"].as_str()?, reference["kind"].as_str()?);
        let is_meant =
            |known: &&std::sync::Arc<crate::kinds::Kind>| known.kind == kind && known.is_in(api_version);
        let kind = self.kinds.iter().find(is_meant).filter(|kind| kind.subresources.contains("scale"))?;
        let key = (namespace.to_owned(), reference["name"].as_str()?.to_owned());
        let found = self.store.get(&kind.resource(), &key)?;
        Some((kind.resource(), Value::clone(found)))
    }

    /// Conditions, with the time since when each is so.
    fn told(&self, object: &Value, now: &[(&str, &str, &str, &str)]) -> Vec<Value> {
        let before = object["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
        let told = now.iter().map(|(name, status, reason, message)| {
            let known = before.iter().find(|one| one["type"] == *name && one["status"] == *status);
            let since = known.map_or_else(|| self.time().into(), |one| one["lastTransitionTime"].clone());
            json!({"type": name, "status": status, "reason": reason, "message": message, "lastTransitionTime": since})
        });
        told.collect()
    }
}

/// What is written of the load, by metric.
fn loads(autoscaler: &Value) -> BTreeMap<String, Quantity> {
    let text = autoscaler["metadata"]["annotations"][LOAD].as_str().unwrap_or_default();
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    pairs.filter_map(|(name, load)| Some((name.trim().to_owned(), Quantity::parse(load.trim())?))).collect()
}

fn metrics(spec: &Value) -> Vec<Metric> {
    let one = |metric: &Value| {
        let source = ["resource", "containerResource", "pods", "object", "external"];
        let source = source.iter().map(|name| &metric[*name]).find(|source| source.is_object())?;
        let name = source["name"].as_str().or_else(|| source["metric"]["name"].as_str())?.to_owned();
        let target = &source["target"];
        if let Some(percent) = target["averageUtilization"].as_u64().and_then(|all| usize::try_from(all).ok())
        {
            return Some(Metric { name, target: Quantity::of(percent), form: Form::Utilization });
        }
        let amount = target["averageValue"].as_str().or_else(|| target["value"].as_str())?;
        Some(Metric { name, target: Quantity::parse(amount)?, form: Form::Amount })
    };
    spec["metrics"].as_array().into_iter().flatten().filter_map(one).collect()
}

/// How many replicas the metric asks for that asks for most.
fn asked(metrics: &[Metric], loads: &BTreeMap<String, Quantity>, wanted: i64) -> i64 {
    let one = |metric: &Metric| {
        let (load, target) = (loads.get(&metric.name)?.thousandths(), metric.target.thousandths());
        if target <= 0 {
            return None;
        }
        // What is near enough stays as it is.
        let held = target * i128::from(wanted.max(1));
        if (load - held).abs() * 1000 <= held * TOLERANCE {
            return Some(wanted);
        }
        i64::try_from(load.div_euclid(target) + i128::from(load.rem_euclid(target) != 0)).ok()
    };
    metrics.iter().filter_map(one).max().unwrap_or(wanted)
}

fn current_metrics(metrics: &[Metric], loads: &BTreeMap<String, Quantity>, replicas: i64) -> Value {
    let one = |metric: &Metric| {
        let load = loads.get(&metric.name).map(|load| load.thousandths() / i128::from(replicas.max(1)));
        let average = load.unwrap_or_else(|| metric.target.thousandths());
        let resource = |current: Value| json!({"type": "Resource", "resource": {"name": metric.name, "current": current}});
        match metric.form {
            Form::Utilization => {
                let percent = i64::try_from(average / 1000).unwrap_or(i64::MAX);
                resource(json!({"averageUtilization": percent, "averageValue": "0"}))
            }
            Form::Amount => {
                let amount = format!("{average}m");
                let amount = Quantity::parse(&amount).map_or(amount, |amount| amount.to_string());
                if matches!(metric.name.as_str(), "cpu" | "memory") {
                    resource(json!({"averageValue": amount}))
                } else {
                    json!({"type": "Pods", "pods": {"metric": {"name": metric.name}, "current": {"averageValue": amount}}})
                }
            }
        }
    };
    metrics.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::ask;
    use jiff::Timestamp;

    const SCALERS: &str = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers";
    const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

    fn cluster(load: &str) -> Sandbox {
        let mut sandbox = Sandbox::new(Timestamp::UNIX_EPOCH);
        let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 2,
            "selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "main", "image": "web:1"}]}}}});
        ask(&mut sandbox, "POST", DEPLOYMENTS, &deployment);
        let scaler = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "web", "annotations": {LOAD: load}}, "spec": {"minReplicas": 2, "maxReplicas": 5,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}]}});
        let made = ask(&mut sandbox, "POST", SCALERS, &scaler);
        assert_eq!(made["kind"], "HorizontalPodAutoscaler", "{made}");
        sandbox
    }

    /// Ready replicas of the target, desired ones, and why they are limited.
    fn seen(sandbox: &mut Sandbox) -> (i64, i64, String) {
        let ready =
            ask(sandbox, "GET", &format!("{DEPLOYMENTS}/web"), &Value::Null)["status"]["readyReplicas"]
                .as_i64();
        let status = ask(sandbox, "GET", &format!("{SCALERS}/web"), &Value::Null)["status"].clone();
        let conditions = status["conditions"].as_array().unwrap().clone();
        let limited = conditions.iter().find(|one| one["type"] == "ScalingLimited").unwrap();
        (
            ready.unwrap(),
            status["desiredReplicas"].as_i64().unwrap(),
            limited["reason"].as_str().unwrap().to_owned(),
        )
    }

    #[test]
    fn a_target_is_scaled_to_its_load_within_its_bounds() {
        for (load, replicas, limited) in [
            ("cpu=160", 2, "DesiredWithinRange"),
            ("cpu=170", 2, "DesiredWithinRange"),
            ("cpu=240", 3, "DesiredWithinRange"),
            ("cpu=900", 5, "TooManyReplicas"),
            ("cpu=10", 2, "TooFewReplicas"),
            ("", 2, "DesiredWithinRange"),
        ] {
            assert_eq!(seen(&mut cluster(load)), (replicas, replicas, limited.to_owned()), "{load}");
        }
    }

    #[test]
    fn the_load_may_change_and_so_may_the_target() {
        let mut sandbox = cluster("cpu=400");
        assert_eq!(seen(&mut sandbox).0, 5);
        let calm = json!({"metadata": {"annotations": {LOAD: "cpu=240"}}});
        ask(&mut sandbox, "PATCH", &format!("{SCALERS}/web"), &calm);
        assert_eq!(seen(&mut sandbox).0, 3);
        ask(&mut sandbox, "PATCH", &format!("{DEPLOYMENTS}/web"), &json!({"spec": {"replicas": 1}}));
        assert_eq!(seen(&mut sandbox).0, 3, "it is scaled back");
    }

    #[test]
    fn an_autoscaler_of_the_first_version_scales_and_shows_there_how_it_stands() {
        const FIRST: &str = "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers";
        let mut sandbox = cluster("cpu=160");
        ask(&mut sandbox, "DELETE", &format!("{SCALERS}/web"), &Value::Null);
        let scaler = json!({"metadata": {"name": "web", "annotations": {LOAD: "cpu=200"}}, "spec": {"maxReplicas": 5,
            "targetCPUUtilizationPercentage": 50, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}}});
        ask(&mut sandbox, "POST", FIRST, &scaler);
        assert_eq!(seen(&mut sandbox).0, 4);
        let shown = ask(&mut sandbox, "GET", &format!("{FIRST}/web"), &Value::Null);
        assert_eq!(shown["spec"]["targetCPUUtilizationPercentage"], 50);
        assert_eq!(shown["status"]["currentCPUUtilizationPercentage"], 50, "{shown}");
        let conditions = &shown["metadata"]["annotations"]["autoscaling.alpha.kubernetes.io/conditions"];
        assert!(conditions.as_str().unwrap().contains("DesiredWithinRange"), "{conditions}");
    }
}

//! `ResourceQuota`s: what they refuse, and how much of them is used.
//!
//! What a quota limits is in its status, where a controller puts it; without one it limits nothing. Admission adds to what is used
//! as it lets objects through, and never takes away; the controller counts anew.
//!
//! Source: k8s.io/apiserver `pkg/admission/plugin/resourcequota`, k8s.io/kubernetes `pkg/controller/resourcequota`. Absent: the
//! admission configuration's `limitedResources`.

use crate::Sandbox;
use crate::amounts::{Amounts, add, among, read, told, written};
use crate::answer::Refusal;
use crate::request::Target;
use crate::store::{Change as Stored, Key, Resource};
use crate::usage::Meter;
use crate::write::Change;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use trueup_merge::quantity::Quantity;

fn quotas() -> Resource {
    (String::new(), "resourcequotas".to_owned())
}

impl Sandbox {
    fn quotas(&self, namespace: &str) -> Vec<(Key, Arc<Value>)> {
        let inside = self.store.all_in(&quotas(), namespace);
        inside.map(|(key, quota)| (key.clone(), quota.clone())).collect()
    }

    /// Refuses what is more than the namespace's quotas allow, and notes what is taken of them.
    pub(crate) fn check_quotas(
        &mut self,
        change: &Change<'_>,
        before: Option<&Value>,
        object: &Value,
    ) -> Result<(), Refusal> {
        let resource = change.target.kind.resource();
        let Some(namespace) = change.target.namespace.clone() else { return Ok(()) };
        let Some(meter) = Meter::of(&resource) else { return Ok(()) };
        if !meter.looks_at(&change.target.subresource, before, object) {
            return Ok(());
        }
        let charged = charges(meter, &self.quotas(&namespace), before, object, &change.target.subresource)
            .map_err(|why| {
                let name = object["metadata"]["name"].as_str().unwrap_or_default();
                Refusal::forbidden(change.target.about(name), &why)
            })?;
        if !change.is_dry_run {
            for (key, used) in charged {
                self.set_used(&key, &used);
            }
        }
        Ok(())
    }

    fn set_used(&mut self, key: &Key, used: &Amounts) {
        let Some(live) = self.store.get(&quotas(), key).cloned() else { return };
        let mut object = Value::clone(&live);
        object["status"]["used"] = written(used);
        let Some(kind) = self.kinds.resource("", "v1", "resourcequotas") else { return };
        let target = Target {
            kind,
            namespace: Some(key.0.clone()),
            name: Some(key.1.clone()),
            subresource: "status".to_owned(),
        };
        let manager = "kube-apiserver".to_owned();
        // What was let through is let through, whether it could be noted or not.
        let _ = self.replace_object(&Change { target: &target, manager, is_dry_run: false }, &live, object);
    }

    /// Counts the quotas of a namespace anew where something came, went or changed that they count.
    pub(crate) fn look_after_quotas(&mut self, change: &Stored) {
        let Some(object) = change.after.as_ref().or(change.before.as_ref()) else { return };
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
        let is_size =
            matches!(Meter::of(&change.resource), Some(Meter::Pods | Meter::Services | Meter::Claims));
        let has_come_or_gone = change.before.is_none() || change.after.is_none();
        if !is_size && !has_come_or_gone && change.resource != quotas() {
            return;
        }
        for (key, quota) in self.quotas(namespace) {
            if quota["metadata"]["deletionTimestamp"].is_null() {
                let status = self.count(&quota, namespace);
                self.set_status(&quotas(), &key, status);
            }
        }
    }

    /// Lets the workloads of a namespace try again what was refused to them.
    pub(crate) fn fill_up(&mut self, namespace: &str) {
        let makes_pods = |resource: &Resource| {
            matches!(
                (resource.0.as_str(), resource.1.as_str()),
                ("apps", "replicasets" | "statefulsets" | "daemonsets") | ("batch", "jobs")
            )
        };
        let inside = self.store.inside(namespace).filter(|(resource, _, _)| makes_pods(resource));
        let all: Vec<(Resource, Key)> =
            inside.map(|(resource, key, _)| (resource.clone(), key.clone())).collect();
        for (resource, key) in all {
            self.run_workloads(&resource, &key);
        }
    }

    fn count(&self, quota: &Value, namespace: &str) -> Value {
        let hard = read(&quota["spec"]["hard"]);
        let mut used = Amounts::new();
        let resources: BTreeSet<Resource> =
            self.kinds.iter().filter(|kind| kind.namespaced).map(|kind| kind.resource()).collect();
        for meter in resources.iter().filter_map(Meter::of) {
            for name in meter.concerned(&hard) {
                used.insert(name.to_owned(), Quantity::ZERO);
            }
        }
        for (resource, _, object) in self.store.inside(namespace) {
            let Some(meter) = Meter::of(resource) else { continue };
            if !meter.concerned(&hard).is_empty() && meter.is_in_scope(quota, object) {
                add(&mut used, &among(&meter.usage(object), &hard));
            }
        }
        json!({"hard": quota["spec"]["hard"], "used": written(&used)})
    }
}

/// What of each quota is used with an object, or why the object is too much.
fn charges(
    meter: Meter<'_>,
    quotas: &[(Key, Arc<Value>)],
    before: Option<&Value>,
    object: &Value,
    subresource: &str,
) -> Result<Vec<(Key, Amounts)>, String> {
    let mut concerned = Vec::new();
    for (key, quota) in quotas {
        let (hard, used) = (read(&quota["status"]["hard"]), read(&quota["status"]["used"]));
        let names: Vec<String> = meter.concerned(&hard).into_iter().map(str::to_owned).collect();
        if names.is_empty() || !meter.is_in_scope(quota, object) {
            continue;
        }
        let limits: Vec<&str> = names.iter().map(String::as_str).collect();
        if let Some(why) = meter.lacking(&limits, object) {
            return Err(format!("failed quota: {}: {why}", key.1));
        }
        if names.iter().any(|name| !used.contains_key(name)) {
            return Err(format!("status unknown for quota: {}, resources: {}", key.1, names.join(",")));
        }
        concerned.push((key, quota, hard, used));
    }
    let usage = meter.usage(object);
    let negative: Vec<&str> =
        usage.iter().filter(|(_, amount)| **amount < Quantity::ZERO).map(|(name, _)| name.as_str()).collect();
    if !negative.is_empty() {
        return Err(format!("quota usage is negative for resource(s): {}", negative.join(",")));
    }
    let mut charged = Vec::new();
    for (key, quota, hard, used) in concerned {
        let known =
            before.filter(|before| meter.is_in_scope(quota, before)).map(|before| meter.usage(before));
        let more = among(&more(&usage, known.as_ref()), &hard);
        let mut sum = used.clone();
        add(&mut sum, &more);
        let exceeded: Amounts = more
            .iter()
            .filter(|(name, _)| sum.get(*name) > hard.get(*name))
            .map(|(name, amount)| (name.clone(), *amount))
            .collect();
        if !exceeded.is_empty() && subresource != "status" {
            return Err(format!(
                "exceeded quota: {}, requested: {}, used: {}, limited: {}",
                key.1,
                told(&exceeded),
                told(&among(&used, &exceeded)),
                told(&among(&hard, &exceeded))
            ));
        }
        if sum != used {
            charged.push((key.clone(), sum));
        }
    }
    Ok(charged)
}

/// What is used that was not before.
fn more(usage: &Amounts, known: Option<&Amounts>) -> Amounts {
    let before = |name: &String| known.and_then(|known| known.get(name)).copied().unwrap_or(Quantity::ZERO);
    let more = usage.iter().map(|(name, amount)| (name.clone(), amount.minus(before(name))));
    more.filter(|(_, amount)| *amount > Quantity::ZERO).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::ask;
    use jiff::Timestamp;

    fn quota(hard: &Value) -> Value {
        json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": hard}})
    }

    const QUOTAS: &str = "/api/v1/namespaces/default/resourcequotas";
    const MAPS: &str = "/api/v1/namespaces/default/configmaps";

    fn used(sandbox: &mut Sandbox) -> Value {
        ask(sandbox, "GET", &format!("{QUOTAS}/q"), &Value::Null)["status"]["used"].clone()
    }

    #[test]
    fn a_quota_counts_what_is_there_and_refuses_what_is_too_much() {
        let mut sandbox = Sandbox::new(Timestamp::UNIX_EPOCH);
        let map = |name: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
        ask(&mut sandbox, "POST", MAPS, &map("a"));
        ask(&mut sandbox, "POST", QUOTAS, &quota(&json!({"configmaps": "3", "count/secrets": "1"})));
        // Each namespace has one of its own.
        assert_eq!(used(&mut sandbox), json!({"configmaps": "2", "count/secrets": "0"}));
        ask(&mut sandbox, "POST", MAPS, &map("b"));
        let refused = ask(&mut sandbox, "POST", MAPS, &map("c"));
        assert_eq!(
            refused["message"],
            "configmaps \"c\" is forbidden: exceeded quota: q, requested: configmaps=1, used: configmaps=3, limited: configmaps=3"
        );
        ask(&mut sandbox, "DELETE", &format!("{MAPS}/a"), &Value::Null);
        assert_eq!(used(&mut sandbox), json!({"configmaps": "2", "count/secrets": "0"}));
        assert_eq!(ask(&mut sandbox, "POST", MAPS, &map("c"))["kind"], "ConfigMap");
    }

    #[test]
    fn without_a_controller_a_quota_limits_nothing() {
        let mut sandbox = Sandbox::api_only(Timestamp::UNIX_EPOCH);
        ask(&mut sandbox, "POST", QUOTAS, &quota(&json!({"configmaps": "0"})));
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
        assert_eq!(ask(&mut sandbox, "POST", MAPS, &map)["kind"], "ConfigMap");
        assert_eq!(used(&mut sandbox), Value::Null);
    }

    #[test]
    fn a_workload_that_is_too_large_says_so_and_goes_on_when_there_is_room() {
        let mut sandbox = Sandbox::new(Timestamp::UNIX_EPOCH);
        ask(&mut sandbox, "POST", QUOTAS, &quota(&json!({"pods": "2"})));
        let path = "/apis/apps/v1/namespaces/default/deployments";
        let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 3,
            "selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "main", "image": "web:1"}]}}}});
        ask(&mut sandbox, "POST", path, &deployment);
        let status = |sandbox: &mut Sandbox| {
            ask(sandbox, "GET", &format!("{path}/web"), &Value::Null)["status"].clone()
        };
        let now = status(&mut sandbox);
        let failure =
            now["conditions"].as_array().unwrap().iter().find(|one| one["type"] == "ReplicaFailure");
        let message = failure.unwrap()["message"].as_str().unwrap().to_owned();
        assert!(
            message.contains("exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2"),
            "{message}"
        );
        assert_eq!((&now["readyReplicas"], &now["replicas"]), (&json!(2), &json!(2)));
        ask(&mut sandbox, "PATCH", &format!("{QUOTAS}/q"), &json!({"spec": {"hard": {"pods": "3"}}}));
        let now = status(&mut sandbox);
        assert_eq!(now["readyReplicas"], 3, "{now}");
        assert!(now["conditions"].as_array().unwrap().iter().all(|one| one["type"] != "ReplicaFailure"));
    }
}

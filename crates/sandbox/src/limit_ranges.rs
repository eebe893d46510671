//! `LimitRange`s: what they fill into new pods, and which pods and claims they refuse.
//!
//! Source: k8s.io/kubernetes `plugin/pkg/admission/limitranger`. Where the server looks at the resources of a list in the order of
//! a Go map, they are looked at by name here.

use crate::Sandbox;
use crate::amounts::{Amounts, of_pod, read};
use crate::answer::Refusal;
use crate::write::Change;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use trueup_merge::quantity::Quantity;

/// Where a pod says what was filled in.
const NOTE: &str = "kubernetes.io/limit-ranger";
/// Amounts above this are compared in whole units, as the server cannot count them finer.
const FINE: i128 = (i64::MAX / 1000) as i128;

impl Sandbox {
    fn limit_ranges(&self, namespace: &str) -> Vec<Arc<Value>> {
        let ranges = (String::new(), "limitranges".to_owned());
        let inside = self.store.all_in(&ranges, namespace);
        inside.map(|(_, range)| range.clone()).collect()
    }

    /// Fills the defaults of the namespace's limits into a new pod.
    pub(crate) fn fill_limits(&self, change: &Change<'_>, object: &mut Value) {
        let Some(namespace) = change.target.namespace.as_deref().filter(|_| is_about(change, "Pod")) else {
            return;
        };
        for range in self.limit_ranges(namespace) {
            fill(&range, object);
        }
    }

    /// Refuses what does not keep to the namespace's limits.
    pub(crate) fn check_limits(
        &self,
        change: &Change<'_>,
        before: Option<&Value>,
        object: &Value,
    ) -> Result<(), Refusal> {
        let Some(namespace) = change.target.namespace.as_deref() else { return Ok(()) };
        let is_pod = is_about(change, "Pod") && before.is_none();
        let is_claim = is_about(change, "PersistentVolumeClaim")
            && before.is_none_or(|before| before["metadata"]["deletionTimestamp"].is_null());
        if !is_pod && !is_claim {
            return Ok(());
        }
        for range in self.limit_ranges(namespace) {
            let wrong = if is_pod { wrong_pod(&range, object) } else { wrong_claim(&range, object) };
            if let Some(why) = aggregate(wrong) {
                let name = object["metadata"]["name"].as_str().unwrap_or_default();
                return Err(Refusal::forbidden(change.target.about(name), &why));
            }
        }
        Ok(())
    }
}

fn is_about(change: &Change<'_>, name: &str) -> bool {
    let kind = &change.target.kind;
    kind.group.is_empty() && kind.kind == name && change.target.subresource.is_empty()
}

/// Several errors as Go tells them, each once.
fn aggregate(wrong: Vec<String>) -> Option<String> {
    let mut told: Vec<String> = Vec::new();
    for one in wrong {
        if !told.contains(&one) {
            told.push(one);
        }
    }
    match told.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        all => Some(format!("[{}]", all.join(", "))),
    }
}

fn limits(range: &Value) -> &[Value] {
    range["spec"]["limits"].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn fill(range: &Value, pod: &mut Value) {
    let defaults = |field: &str| -> Map<String, Value> {
        let of_containers = limits(range).iter().filter(|limit| limit["type"] == "Container");
        let fields = of_containers.filter_map(|limit| limit[field].as_object()).flatten();
        fields.map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    let (requests, limits) = (defaults("defaultRequest"), defaults("default"));
    let mut notes = Vec::new();
    for (list, words) in [("containers", "container"), ("initContainers", "init container")] {
        let listed = pod["spec"].get_mut(list).and_then(Value::as_array_mut);
        for container in listed.into_iter().flatten() {
            let name = container["name"].as_str().unwrap_or_default().to_owned();
            for (what, word, defaults) in [("requests", "request", &requests), ("limits", "limit", &limits)] {
                let filled = fill_one(container, what, defaults);
                if !filled.is_empty() {
                    notes.push(format!("{} {word} for {words} {name}", filled.join(", ")));
                }
            }
        }
    }
    if !notes.is_empty() {
        pod["metadata"]["annotations"][NOTE] = format!("LimitRanger plugin set: {}", notes.join("; ")).into();
    }
}

/// The names of what was filled in.
fn fill_one(container: &mut Value, what: &str, defaults: &Map<String, Value>) -> Vec<String> {
    let known = container["resources"][what].as_object();
    let missing: Vec<(&String, &Value)> =
        defaults.iter().filter(|(name, _)| known.is_none_or(|known| !known.contains_key(*name))).collect();
    let mut names = Vec::new();
    for (name, value) in missing {
        if !container["resources"].is_object() {
            container["resources"] = json!({});
        }
        container["resources"][what][name.as_str()] = value.clone();
        names.push(name.clone());
    }
    names.sort();
    names
}

fn wrong_pod(range: &Value, pod: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    for limit in limits(range) {
        match limit["type"].as_str() {
            Some("Container") => {
                for list in ["containers", "initContainers"] {
                    for container in pod["spec"][list].as_array().into_iter().flatten() {
                        let resources = &container["resources"];
                        let asked = Asked {
                            requests: read(&resources["requests"]),
                            limits: read(&resources["limits"]),
                        };
                        wrong.extend(asked.wrong(limit));
                    }
                }
            }
            Some("Pod") => {
                let asked = Asked { requests: of_pod(pod, "requests"), limits: of_pod(pod, "limits") };
                wrong.extend(asked.wrong(limit));
            }
            Some(_) | None => {}
        }
    }
    wrong
}

fn wrong_claim(range: &Value, claim: &Value) -> Vec<String> {
    let asked = Asked { requests: read(&claim["spec"]["resources"]["requests"]), limits: Amounts::new() };
    let of_claims = limits(range).iter().filter(|limit| limit["type"] == "PersistentVolumeClaim");
    of_claims
        .flat_map(|limit| asked.below_least(limit).into_iter().chain(asked.requested_above_most(limit)))
        .collect()
}

/// What a container, a pod or a claim asks for.
struct Asked {
    requests: Amounts,
    limits: Amounts,
}

impl Asked {
    fn wrong(&self, limit: &Value) -> Vec<String> {
        let mut wrong = self.below_least(limit);
        wrong.extend(self.above_most(limit));
        wrong.extend(self.above_ratio(limit));
        wrong
    }

    fn below_least(&self, limit: &Value) -> Vec<String> {
        let of = limit["type"].as_str().unwrap_or_default();
        let wrong = |(name, least): (&String, &Quantity)| {
            let begin = format!("minimum {name} usage per {of} is {least}");
            let (request, limit) = (self.requests.get(name), self.limits.get(name));
            let Some(request) = request else { return Some(format!("{begin}.  No request is specified")) };
            let [asked, most, least] = compared([Some(request), limit, Some(least)]);
            if asked < least {
                return Some(format!("{begin}, but request is {request}"));
            }
            limit.filter(|_| most < least).map(|limit| format!("{begin}, but limit is {limit}"))
        };
        read(&limit["min"]).iter().filter_map(wrong).collect()
    }

    fn above_most(&self, limit: &Value) -> Vec<String> {
        let of = limit["type"].as_str().unwrap_or_default();
        let wrong = |(name, most): (&String, &Quantity)| {
            let begin = format!("maximum {name} usage per {of} is {most}");
            let (request, limit) = (self.requests.get(name), self.limits.get(name));
            let Some(limit) = limit else { return Some(format!("{begin}.  No limit is specified")) };
            let [asked, limited, most] = compared([request, Some(limit), Some(most)]);
            if limited > most {
                return Some(format!("{begin}, but limit is {limit}"));
            }
            request.filter(|_| asked > most).map(|request| format!("{begin}, but request is {request}"))
        };
        read(&limit["max"]).iter().filter_map(wrong).collect()
    }

    /// The same for what has no limits.
    fn requested_above_most(&self, limit: &Value) -> Vec<String> {
        let of = limit["type"].as_str().unwrap_or_default();
        let wrong = |(name, most): (&String, &Quantity)| {
            let begin = format!("maximum {name} usage per {of} is {most}");
            let Some(request) = self.requests.get(name) else {
                return Some(format!("{begin}.  No request is specified"));
            };
            let [asked, _, most] = compared([Some(request), None, Some(most)]);
            (asked > most).then(|| format!("{begin}, but request is {request}"))
        };
        read(&limit["max"]).iter().filter_map(wrong).collect()
    }

    #[allow(clippy::cast_precision_loss, reason = "the server compares and prints floats")]
    fn above_ratio(&self, limit: &Value) -> Vec<String> {
        let of = limit["type"].as_str().unwrap_or_default();
        let wrong = |(name, ratio): (&String, &Quantity)| {
            let begin = format!("{name} max limit to request ratio per {of} is {ratio}");
            let (request, limit) = (self.requests.get(name), self.limits.get(name));
            let [asked, limited, _] = compared([request, limit, Some(ratio)]);
            if asked == 0 {
                return Some(format!("{begin}, but no request is specified or request is 0"));
            }
            if limited == 0 {
                return Some(format!("{begin}, but no limit is specified or limit is 0"));
            }
            let provided = limited as f64 / asked as f64;
            let most = if ratio.units() <= FINE { ratio.thousandths() as f64 } else { ratio.units() as f64 };
            let shown = if ratio.units() <= FINE { provided * 1000.0 } else { provided };
            (shown > most).then(|| format!("{begin}, but provided ratio is {provided:.6}"))
        };
        read(&limit["maxLimitRequestRatio"]).iter().filter_map(wrong).collect()
    }
}

/// Amounts in units that all of them can be counted in; nothing counts as zero.
fn compared(amounts: [Option<&Quantity>; 3]) -> [i128; 3] {
    let units = amounts.map(|amount| amount.map_or(0, |amount| amount.units()));
    if units.iter().all(|units| *units <= FINE) {
        return amounts.map(|amount| amount.map_or(0, |amount| amount.thousandths()));
    }
    units
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(limit: &Value) -> Value {
        json!({"spec": {"limits": [limit]}})
    }

    fn pod(resources: &Value) -> Value {
        json!({"metadata": {"name": "a"}, "spec": {"containers": [{"name": "main", "resources": resources}]}})
    }

    #[test]
    fn defaults_are_filled_in_where_nothing_was_asked_and_noted() {
        let range = range(
            &json!({"type": "Container", "default": {"cpu": "1", "memory": "1Gi"}, "defaultRequest": {"cpu": "100m"}}),
        );
        let mut pod = pod(&json!({"limits": {"cpu": "2"}}));
        fill(&range, &mut pod);
        assert_eq!(
            pod["spec"]["containers"][0]["resources"],
            json!({"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "100m"}})
        );
        assert!(pod["spec"].get("initContainers").is_none());
        assert_eq!(
            pod["metadata"]["annotations"][NOTE],
            "LimitRanger plugin set: cpu request for container main; memory limit for container main"
        );
        let before = pod.clone();
        fill(&range, &mut pod);
        assert_eq!(pod, before, "what is there is left alone");
    }

    #[track_caller]
    fn check(limit: &Value, resources: &Value, expected: &[&str]) {
        assert_eq!(wrong_pod(&range(limit), &pod(resources)), expected);
    }

    #[test]
    fn what_does_not_keep_to_a_limit_is_told_in_the_servers_words() {
        let bounds = json!({"type": "Container", "min": {"cpu": "100m"}, "max": {"cpu": "1"}});
        check(&bounds, &json!({"requests": {"cpu": "500m"}, "limits": {"cpu": "1"}}), &[]);
        check(
            &bounds,
            &json!({}),
            &[
                "minimum cpu usage per Container is 100m.  No request is specified",
                "maximum cpu usage per Container is 1.  No limit is specified",
            ],
        );
        check(
            &bounds,
            &json!({"requests": {"cpu": "50m"}, "limits": {"cpu": "2"}}),
            &[
                "minimum cpu usage per Container is 100m, but request is 50m",
                "maximum cpu usage per Container is 1, but limit is 2",
            ],
        );
        let ratio = json!({"type": "Pod", "maxLimitRequestRatio": {"cpu": "1500m"}});
        check(
            &ratio,
            &json!({"requests": {"cpu": "300m"}, "limits": {"cpu": "500m"}}),
            &["cpu max limit to request ratio per Pod is 1500m, but provided ratio is 1.666667"],
        );
        check(
            &ratio,
            &json!({"limits": {"cpu": "500m"}}),
            &["cpu max limit to request ratio per Pod is 1500m, but no request is specified or request is 0"],
        );
    }

    #[test]
    fn a_claim_asks_for_no_more_than_it_may() {
        let range = range(
            &json!({"type": "PersistentVolumeClaim", "min": {"storage": "1Gi"}, "max": {"storage": "2Gi"}}),
        );
        for (size, expected) in [
            ("1Gi", None),
            ("3Gi", Some("maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi")),
            ("1M", Some("minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 1M")),
        ] {
            let claim = json!({"spec": {"resources": {"requests": {"storage": size}}}});
            assert_eq!(aggregate(wrong_claim(&range, &claim)).as_deref(), expected, "{size}");
        }
    }
}

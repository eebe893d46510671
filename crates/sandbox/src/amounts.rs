//! Amounts of resources by name, and what a pod asks for.
//!
//! Source: k8s.io/component-helpers `resource`, k8s.io/apiserver `pkg/quota/v1`.

use serde_json::{Map, Value};
use std::collections::BTreeMap;
use trueup_merge::quantity::Quantity;

/// Amounts by the resource's name.
pub(crate) type Amounts = BTreeMap<String, Quantity>;

/// Reads a list of resources; what is no quantity is left out.
pub(crate) fn read(list: &Value) -> Amounts {
    let amount = |value: &Value| match value {
        Value::String(text) => Quantity::parse(text),
        Value::Number(number) => Quantity::parse(&number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    let fields = list.as_object().into_iter().flatten();
    fields.filter_map(|(name, value)| Some((name.clone(), amount(value)?))).collect()
}

/// The list of resources as an object has it.
pub(crate) fn written(amounts: &Amounts) -> Value {
    let fields: Map<String, Value> =
        amounts.iter().map(|(name, amount)| (name.clone(), amount.to_string().into())).collect();
    Value::Object(fields)
}

/// `cpu=1,memory=1Gi`.
pub(crate) fn told(amounts: &Amounts) -> String {
    amounts.iter().map(|(name, amount)| format!("{name}={amount}")).collect::<Vec<_>>().join(",")
}

/// Adds amounts to others.
pub(crate) fn add(to: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        let sum = to.get(name).map_or(*amount, |known| known.plus(*amount));
        to.insert(name.clone(), sum);
    }
}

/// What is more of each.
fn raise(to: &mut Amounts, least: &Amounts) {
    for (name, amount) in least {
        if to.get(name).is_none_or(|known| known < amount) {
            to.insert(name.clone(), *amount);
        }
    }
}

/// Those whose names are among others'.
pub(crate) fn among(amounts: &Amounts, names: &Amounts) -> Amounts {
    amounts
        .iter()
        .filter(|(name, _)| names.contains_key(*name))
        .map(|(name, amount)| (name.clone(), *amount))
        .collect()
}

/// What all containers of a pod ask for together: `requests` or `limits`. Those that run first ask for as much as one of them
/// does, or all those that go on running.
pub(crate) fn of_pod(pod: &Value, what: &str) -> Amounts {
    let spec = &pod["spec"];
    let list = |name: &str| spec[name].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut sum = Amounts::new();
    for container in list("containers") {
        add(&mut sum, &read(&container["resources"][what]));
    }
    let (mut staying, mut first) = (Amounts::new(), Amounts::new());
    for container in list("initContainers") {
        let own = read(&container["resources"][what]);
        if container["restartPolicy"] == "Always" {
            add(&mut sum, &own);
            add(&mut staying, &own);
            raise(&mut first, &staying);
        } else {
            let mut together = own;
            add(&mut together, &staying);
            raise(&mut first, &together);
        }
    }
    raise(&mut sum, &first);
    // What the pod asks for as a whole counts instead.
    let whole = read(&spec["resources"][what]);
    sum.extend(whole.into_iter().filter(|(name, _)| matches!(name.as_str(), "cpu" | "memory")));
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pod_asks_for_its_containers_together_or_for_the_largest_that_runs_before_them() {
        let one = |cpu: &str| json!({"resources": {"requests": {"cpu": cpu}}});
        let staying = |cpu: &str| json!({"restartPolicy": "Always", "resources": {"requests": {"cpu": cpu}}});
        for (containers, first, expected) in [
            (json!([one("100m"), one("200m")]), json!([]), "cpu=300m"),
            (json!([one("100m")]), json!([one("1"), one("2")]), "cpu=2"),
            (json!([one("100m")]), json!([staying("1"), one("2")]), "cpu=3"),
            (json!([one("3")]), json!([staying("1"), one("1")]), "cpu=4"),
        ] {
            let mut pod = json!({"spec": {"containers": containers, "initContainers": first}});
            assert_eq!(told(&of_pod(&pod, "requests")), expected, "{pod}");
            pod["spec"]["resources"] = json!({"requests": {"cpu": "7", "other": "1"}});
            assert_eq!(told(&of_pod(&pod, "requests")), "cpu=7");
        }
    }
}

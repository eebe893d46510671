//! Conditions, and the health of kinds that are known by nothing else.

use super::{Health, text};
use trueup_model::Value;

/// The condition of a type: its status, reason and message.
pub(super) fn condition<'o>(object: &'o Value, kind: &str) -> Option<(&'o str, &'o str, &'o str)> {
    let list = object.pointer("/status/conditions")?.as_array()?;
    let found = list.iter().find(|condition| text(condition, "/type") == kind)?;
    Some((text(found, "/status"), text(found, "/reason"), text(found, "/message")))
}

pub(super) fn is_true(object: &Value, kind: &str) -> bool {
    condition(object, kind).is_some_and(|(status, _, _)| status == "True")
}

/// `Reason: message`, or what of it there is.
pub(super) fn because(reason: &str, message: &str) -> String {
    match (reason.is_empty(), message.is_empty()) {
        (false, false) => format!("{reason}: {message}"),
        (false, true) => reason.to_owned(),
        (true, _) => message.to_owned(),
    }
}

/// The conditions that kstatus asks controllers of all kinds to set; they go before any rule for a kind.
pub(super) fn standard(object: &Value) -> Option<Health> {
    if let Some(("True", reason, message)) = condition(object, "Stalled") {
        return Some(Health::degraded(or(&because(reason, message), "its controller is stalled")));
    }
    match condition(object, "Reconciling") {
        Some(("True", reason, message)) => {
            Some(Health::progressing(or(&because(reason, message), "its controller is at work")))
        }
        _ => None,
    }
}

/// Any kind by the conditions that are common: kstatus knows Ready, its usual relatives are read in the same way.
pub(super) fn custom(object: &Value) -> Health {
    for bad in ["Failed", "Degraded"] {
        if let Some(("True", reason, message)) = condition(object, bad) {
            return Health::degraded(or(&because(reason, message), &format!("its condition {bad} is True")));
        }
    }
    for good in ["Ready", "Available"] {
        match condition(object, good) {
            Some(("True", _, _)) if is_stale(object, good) => return Health::progressing(UNSEEN),
            Some(("True", _, _)) => return Health::healthy(),
            // Ready=False means "not yet" in some projects and "failed" in others: kstatus takes it for "not yet".
            Some((_, reason, message)) => {
                return Health::progressing(or(
                    &because(reason, message),
                    &format!("its condition {good} is not True yet"),
                ));
            }
            None => {}
        }
    }
    match condition(object, "Progressing") {
        Some(("True", reason, message)) => {
            Health::progressing(or(&because(reason, message), "its controller is at work"))
        }
        _ => Health::healthy(),
    }
}

pub(super) const UNSEEN: &str = "its controller has not seen the latest change yet";

// Many controllers note the generation in the condition only.
fn is_stale(object: &Value, kind: &str) -> bool {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    let found = conditions.and_then(|list| list.iter().find(|condition| text(condition, "/type") == kind));
    let seen = found.and_then(|condition| condition.get("observedGeneration")).and_then(Value::as_i64);
    let wanted = object.pointer("/metadata/generation").and_then(Value::as_i64);
    matches!((seen, wanted), (Some(seen), Some(wanted)) if seen < wanted)
}

pub(super) fn or(text: &str, otherwise: &str) -> String {
    if text.is_empty() { otherwise.to_owned() } else { text.to_owned() }
}

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

/// Any kind by the standard conditions: Stalled and Reconciling of kstatus, Ready and its usual relatives.
pub(super) fn custom(object: &Value) -> Health {
    for bad in ["Stalled", "Failed", "Degraded"] {
        if let Some(("True", reason, message)) = condition(object, bad) {
            return Health::degraded(because(reason, message));
        }
    }
    for moving in ["Reconciling", "Progressing"] {
        if let Some(("True", reason, message)) = condition(object, moving)
            && !is_true(object, "Ready")
            && !is_true(object, "Available")
        {
            return Health::progressing(because(reason, message));
        }
    }
    for good in ["Ready", "Available"] {
        match condition(object, good) {
            Some(("True", _, _)) => return Health::healthy(),
            // Ready=False means "not yet" in some projects and "failed" in others: kstatus takes it for "not yet".
            Some((_, reason, message)) => {
                return Health::progressing(or(
                    &because(reason, message),
                    &format!("{good} is not True yet"),
                ));
            }
            None => {}
        }
    }
    Health::healthy()
}

pub(super) fn or(text: &str, otherwise: &str) -> String {
    if text.is_empty() { otherwise.to_owned() } else { text.to_owned() }
}

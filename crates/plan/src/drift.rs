//! What drifted: which field, from what to what, by whom, when and how often, and which rule would end it.
//!
//! Enters: a plan and what came of it. Leaves: one [`Drifted`] a field, which grows into a [`DriftEntry`] as it comes back.

use crate::ignore::IgnoreRule;
use crate::observed::Ledger;
use crate::planning::{Action, Plan, Reason, Step};
use crate::record::{Outcome, OutcomeResult};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use trueup_merge::compare::Change;
use trueup_merge::managed::Operation;
use trueup_model::{ObjectId, Value};

/// Fields of one turn that are recorded; the rest is repaired like them.
const RECORDED: usize = 200;
/// The longest value that is kept; of a longer one, its beginning.
const LONGEST: usize = 400;
/// What came back this often is taken to come back always.
const ALWAYS: u64 = 3;

/// What became of a drift.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DriftState {
    /// It was put back.
    Repaired,
    /// It is there now, and left so: self-healing is off, or the repair failed.
    Standing,
    /// It is there now: it came back after each of several repairs, which are spaced out.
    Contested,
    /// It went away by itself.
    Gone,
}

impl DriftState {
    /// Whether the cluster differs from Git now.
    pub fn is_there(self) -> bool {
        match self {
            Self::Standing | Self::Contested => true,
            Self::Repaired | Self::Gone => false,
        }
    }
}

impl fmt::Display for DriftState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Repaired => "repaired",
            Self::Standing => "standing",
            Self::Contested => "contested",
            Self::Gone => "gone",
        })
    }
}

/// A field of ours that somebody changed, as a turn found it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Drifted {
    /// The object.
    pub object: ObjectId,
    /// The field's path, as people write it; empty where the object as a whole is meant, or nothing more is known.
    pub field: String,
    /// The field's path, as a rule has it; empty where `field` is.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub pointer: String,
    /// The value that Git gives it; a hash where it is secret, none where Git has none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub wanted: Option<Value>,
    /// The value that it was found with.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub found: Option<Value>,
    /// The manager that wrote it last, if known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub manager: Option<String>,
    /// How it wrote it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub operation: Option<Operation>,
    /// When it wrote it, as far as managedFields tell.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub since: Option<String>,
    /// What became of it.
    pub state: DriftState,
    /// What happened to an object as a whole.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub message: String,
}

/// A drift as it is kept: the last time that it was seen, and how often.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DriftEntry {
    /// The target.
    pub target: String,
    /// The last time.
    #[serde(flatten)]
    pub drifted: Drifted,
    /// How often.
    pub count: u64,
    /// When it was first seen.
    pub first_seen: Timestamp,
    /// When it was last seen.
    pub last_seen: Timestamp,
    /// The narrowest rule that leaves the field to whoever writes it, where it always comes back.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub proposal: Option<String>,
}

impl DriftEntry {
    /// The entry after one more turn that saw the drift. What stands as it stood is the same drift still.
    #[must_use]
    pub fn after(before: Option<Self>, target: &str, drifted: Drifted, now: Timestamp) -> Self {
        let Some(before) = before else {
            let proposal = None;
            return Self {
                target: target.to_owned(),
                drifted,
                count: 1,
                first_seen: now,
                last_seen: now,
                proposal,
            };
        };
        let same = before.drifted.state.is_there()
            && before.drifted.found == drifted.found
            && before.drifted.since == drifted.since;
        let count = if same { before.count } else { before.count + 1 };
        let proposal = (count >= ALWAYS).then(|| narrowest(&drifted)).flatten().map(|rule| rule.to_string());
        Self { drifted, count, last_seen: now, proposal, ..before }
    }
}

/// The rule that leaves this field of this object to the manager that writes it, and nothing else.
fn narrowest(drifted: &Drifted) -> Option<IgnoreRule> {
    let fields = vec![drifted.pointer.parse().ok()?];
    let id = &drifted.object;
    Some(IgnoreRule {
        group: (!id.group.is_empty()).then(|| id.group.clone()),
        kind: Some(id.kind.clone()),
        namespace: (!id.namespace.is_empty()).then(|| id.namespace.clone()),
        name: Some(id.name.clone()),
        fields,
        managers: drifted.manager.iter().cloned().collect(),
    })
}

/// The drift of a turn. `before` is the ledger that the turn began with: what it knew of was there.
pub fn drifted(plan: &Plan, outcomes: &[Outcome], before: &Ledger) -> Vec<Drifted> {
    let mut found = Vec::new();
    for step in &plan.steps {
        let state = match (step.action, outcomes.iter().find(|outcome| outcome.id == step.id)) {
            (_, Some(outcome)) if outcome.result == OutcomeResult::Done => DriftState::Repaired,
            (Action::Hold, _) if matches!(step.reason, Reason::Contested(_)) => DriftState::Contested,
            (_, _) => DriftState::Standing,
        };
        found.extend(of_step(step, state, before.contains_key(&step.id)));
        if found.len() >= RECORDED {
            found.truncate(RECORDED);
            break;
        }
    }
    found
}

fn of_step(step: &Step, state: DriftState, was_there: bool) -> Vec<Drifted> {
    let whole = |message: &str| Drifted {
        object: step.id.clone(),
        field: String::new(),
        pointer: String::new(),
        wanted: None,
        found: None,
        manager: None,
        operation: None,
        since: None,
        state,
        message: message.to_owned(),
    };
    match &step.reason {
        Reason::Drifted(changes) | Reason::Contested(changes) if changes.is_empty() => {
            vec![whole("changed in the cluster")]
        }
        Reason::Drifted(changes) | Reason::Contested(changes) => changes
            .iter()
            .map(|change| {
                let Change { field, pointer, from, to, manager, operation, since } = change.clone();
                Drifted {
                    field,
                    pointer,
                    wanted: to.map(shortened),
                    found: from.map(shortened),
                    manager,
                    operation,
                    since,
                    ..whole("")
                }
            })
            .collect(),
        Reason::Deleted => vec![whole("deleted in the cluster")],
        Reason::Missing if was_there => vec![whole("deleted in the cluster")],
        Reason::OwnedBy(_) if was_there => vec![whole("its membership label was taken away")],
        _ => Vec::new(),
    }
}

fn shortened(value: Value) -> Value {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    if text.len() <= LONGEST {
        return value;
    }
    let end = (0..=LONGEST).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    Value::from(format!("{}… ({} bytes)", &text[..end], text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn drift(found: i64, state: DriftState) -> Drifted {
        Drifted {
            object: ObjectId::new("apps", "Deployment", "shop", "web"),
            field: "spec.replicas".into(),
            pointer: "/spec/replicas".into(),
            wanted: Some(json!(3)),
            found: Some(json!(found)),
            manager: Some("kubectl".into()),
            operation: Some(Operation::Update),
            since: None,
            state,
            message: String::new(),
        }
    }

    fn after(drifts: &[Drifted]) -> DriftEntry {
        let now = "2026-11-21T10:00:00Z".parse().unwrap();
        let one_more =
            |before, drift: &Drifted| Some(DriftEntry::after(before, "web@staging", drift.clone(), now));
        drifts.iter().fold(None, one_more).unwrap()
    }

    #[test]
    fn what_comes_back_is_counted_and_the_narrowest_rule_is_proposed() {
        let repaired = |n| vec![drift(5, DriftState::Repaired); n];
        assert_eq!(after(&repaired(2)).proposal, None);
        let entry = after(&repaired(3));
        assert_eq!(entry.count, 3);
        assert_eq!(
            entry.proposal.unwrap(),
            "{group: apps, kind: Deployment, namespace: shop, name: web, fields: [/spec/replicas], managers: [kubectl]}"
        );
    }

    #[test]
    fn what_stands_is_counted_once_until_it_changes() {
        let standing = drift(5, DriftState::Standing);
        assert_eq!(after(&[standing.clone(), standing.clone(), standing.clone()]).count, 1);
        assert_eq!(after(&[standing.clone(), drift(6, DriftState::Standing)]).count, 2);
        assert_eq!(after(&[standing.clone(), drift(6, DriftState::Repaired), standing]).count, 3);
    }

    #[test]
    fn a_long_value_is_kept_in_part() {
        let Value::String(text) = shortened(json!("é".repeat(1000))) else { panic!() };
        assert!(text.len() < LONGEST + 30 && text.ends_with("… (2000 bytes)"), "{text}");
        assert_eq!(shortened(json!({"a": 1})), json!({"a": 1}));
    }
}

//! What a turn changed of a ledger, so that a target of ten thousand objects is not written anew for one of them.

use trueup_model::ObjectId;
use trueup_plan::observed::{Known, Ledger};

/// The difference between two ledgers of a target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LedgerChange {
    /// Objects of which something else is known now.
    pub known: Vec<(ObjectId, Known)>,
    /// Objects of which nothing is known any more.
    pub forgotten: Vec<ObjectId>,
}

impl LedgerChange {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty() && self.forgotten.is_empty()
    }

    /// What leads from `old` to `new`.
    pub fn between(old: &Ledger, new: &Ledger) -> Self {
        let known = new.iter().filter(|(id, known)| old.get(id) != Some(known));
        let forgotten = old.keys().filter(|id| !new.contains_key(id));
        Self {
            known: known.map(|(id, known)| (id.clone(), *known)).collect(),
            forgotten: forgotten.cloned().collect(),
        }
    }
}

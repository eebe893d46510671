//! What an apply or an update makes of an object and of its managers' field sets.
//!
//! Enters: the object as it is, what is applied or written, and the books. Leaves: the object and the books as they are then,
//! or the conflicts. Managers are named by whatever tells them apart: Kubernetes uses name, operation, version and time.

use super::{Comparison, Typed, ValidationErrors, element};
use crate::fields::FieldSet;
use std::collections::BTreeMap;

/// What one manager owns.
#[derive(Clone, Debug, PartialEq)]
pub struct Owned {
    /// Its fields.
    pub set: FieldSet,
    /// The API version that the set is written in.
    pub version: String,
    /// Whether it got them by applying.
    pub applied: bool,
}

/// What each manager owns.
pub type Managers = BTreeMap<String, Owned>;

/// Brings an object into another API version.
pub trait Versions<'s> {
    /// The object in `version`; `None` where there is no such version any more.
    fn convert(&self, object: &Typed<'s>, version: &str) -> Result<Option<Typed<'s>>, String>;
}

/// An object that has one version only: any version is that one.
#[derive(Clone, Copy, Debug)]
pub struct OneVersion;

impl<'s> Versions<'s> for OneVersion {
    fn convert(&self, object: &Typed<'s>, _: &str) -> Result<Option<Typed<'s>>, String> {
        Ok(Some(object.clone()))
    }
}

/// Why an apply or an update came to nothing.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum UpdateError {
    /// Others own fields that the apply would change: by manager.
    #[error("{} managers own fields that would change", .0.len())]
    Conflicts(BTreeMap<String, FieldSet>),
    /// An object does not conform to its type.
    #[error(transparent)]
    Invalid(#[from] ValidationErrors),
    /// An object could not be brought into another version.
    #[error("converting to {version}: {why}")]
    Conversion {
        /// Into which.
        version: String,
        /// What the conversion said.
        why: String,
    },
}

/// Whether an apply may take fields from other managers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// It takes them.
    Yes,
    /// It is refused, with the conflicts.
    No,
}

/// Computes what applies and updates do.
pub struct Updater<'u, 's> {
    /// The conversion between versions.
    pub versions: &'u dyn Versions<'s>,
    /// Fields that nobody owns, by API version: the status where only the main resource is written.
    pub ignored: &'u BTreeMap<String, FieldSet>,
}

impl<'s> Updater<'_, 's> {
    /// What the books are after `new` was written over `live` by `manager`.
    pub fn update(
        &self,
        live: &Typed<'s>,
        new: &Typed<'s>,
        version: &str,
        managers: &Managers,
        manager: &str,
    ) -> Result<Managers, UpdateError> {
        let managers = self.reconciled(live, managers)?;
        let (mut managers, comparison) = self.taken(live, new, version, managers, manager, Force::Yes)?;
        let before = managers.remove(manager).map(|owned| owned.set).unwrap_or_default();
        let set = before.difference(&comparison.removed).union(&comparison.modified).union(&comparison.added);
        let set = self.owned_of(set, version);
        if !set.is_empty() {
            managers.insert(manager.to_owned(), Owned { set, version: version.to_owned(), applied: false });
        }
        Ok(managers)
    }

    /// The object and the books after `manager` applied `config`; no object where it stays as it is.
    pub fn apply(
        &self,
        live: &Typed<'s>,
        config: &Typed<'s>,
        version: &str,
        managers: &Managers,
        manager: &str,
        force: Force,
    ) -> Result<(Option<Typed<'s>>, Managers), UpdateError> {
        let mut managers = self.reconciled(live, managers)?;
        let merged = live.merge(config)?;
        let set = self.owned_of(config.field_set()?, version);
        let last =
            managers.insert(manager.to_owned(), Owned { set, version: version.to_owned(), applied: true });
        let new = self.pruned(merged, &managers, version, last.as_ref())?;
        let (managers, _) = self.taken(live, &new, version, managers, manager, force)?;
        let changed = !element::is_equal(live.value(), new.value());
        Ok((changed.then_some(new), managers))
    }

    fn owned_of(&self, set: FieldSet, version: &str) -> FieldSet {
        match self.ignored.get(version) {
            Some(ignored) => set.recursive_difference(ignored),
            None => set,
        }
    }

    fn convert(&self, object: &Typed<'s>, version: &str) -> Result<Option<Typed<'s>>, UpdateError> {
        self.versions
            .convert(object, version)
            .map_err(|why| UpdateError::Conversion { version: version.to_owned(), why })
    }

    /// Takes from every other manager what `new` changes or removes.
    fn taken(
        &self,
        live: &Typed<'s>,
        new: &Typed<'s>,
        version: &str,
        mut managers: Managers,
        manager: &str,
        force: Force,
    ) -> Result<(Managers, Comparison), UpdateError> {
        let comparison = live.compare(new)?;
        let mut by_version: BTreeMap<String, Option<Comparison>> = BTreeMap::new();
        by_version.insert(version.to_owned(), Some(self.seen(comparison.clone(), version)));
        let mut conflicts = BTreeMap::new();
        let mut gone = Vec::new();
        for (other, owned) in managers.iter().filter(|(other, _)| *other != manager) {
            if !by_version.contains_key(&owned.version) {
                let both = (self.convert(live, &owned.version)?, self.convert(new, &owned.version)?);
                let comparison = match both {
                    (Some(live), Some(new)) => Some(self.seen(live.compare(&new)?, &owned.version)),
                    (_, _) => None,
                };
                by_version.insert(owned.version.clone(), comparison);
            }
            let Some(Some(comparison)) = by_version.get(&owned.version) else {
                gone.push(other.clone());
                continue;
            };
            let conflict = owned.set.intersection(&comparison.modified.union(&comparison.added));
            if !conflict.is_empty() {
                conflicts.insert(other.clone(), conflict);
            }
        }
        if force == Force::No && !conflicts.is_empty() {
            return Err(UpdateError::Conflicts(conflicts));
        }
        managers.retain(|other, _| !gone.contains(other));
        for (other, owned) in managers.iter_mut().filter(|(other, _)| *other != manager) {
            if let Some(conflict) = conflicts.get(other) {
                owned.set = owned.set.difference(conflict);
            }
            if let Some(Some(comparison)) = by_version.get(&owned.version) {
                owned.set = owned.set.difference(&comparison.removed);
            }
        }
        managers.retain(|_, owned| !owned.set.is_empty());
        Ok((managers, by_version.remove(version).flatten().unwrap_or(comparison)))
    }

    fn seen(&self, comparison: Comparison, version: &str) -> Comparison {
        match self.ignored.get(version) {
            Some(ignored) => comparison.without(ignored),
            None => comparison,
        }
    }

    /// Removes what the manager applied before, does not apply now, and nobody else owns.
    fn pruned(
        &self,
        merged: Typed<'s>,
        managers: &Managers,
        version: &str,
        last: Option<&Owned>,
    ) -> Result<Typed<'s>, UpdateError> {
        let Some(last) = last.filter(|last| !last.set.is_empty()) else { return Ok(merged) };
        let Some(merged_then) = self.convert(&merged, &last.version)? else { return Ok(merged) };
        let pruned = merged_then.without(&merged_then.with_named(&last.set));
        let pruned = self.with_owned_items(&merged_then, pruned, &last.version, managers)?;
        let pruned = self.with_dangling_items(&merged_then, &pruned, last)?;
        Ok(self.convert(&pruned, version)?.unwrap_or(merged))
    }

    /// Puts back what any manager owns, the applying one with its new set among them.
    fn with_owned_items(
        &self,
        merged: &Typed<'s>,
        pruned: Typed<'s>,
        pruned_version: &str,
        managers: &Managers,
    ) -> Result<Typed<'s>, UpdateError> {
        let mut by_version: BTreeMap<&str, FieldSet> = BTreeMap::new();
        for owned in managers.values() {
            let set = by_version.entry(&owned.version).or_default();
            *set = set.union(&owned.set);
        }
        // First in the version that was pruned: another may need a field for its conversion that was.
        let first = by_version.remove_entry(pruned_version);
        let (mut merged, mut pruned) = (merged.clone(), pruned);
        for (version, owned) in first.into_iter().chain(by_version) {
            let Some(merged_now) = self.convert(&merged, version)? else { continue };
            merged = merged_now;
            let Some(pruned_now) = self.convert(&pruned, version)? else { continue };
            let all = merged.with_named(&merged.field_set()?);
            let kept = merged.with_named(&pruned_now.field_set()?).union(&merged.with_named(&owned));
            pruned = merged.without(&all.difference(&kept));
        }
        Ok(pruned)
    }

    /// Puts back what nobody owns and the manager did not own either.
    fn with_dangling_items(
        &self,
        merged: &Typed<'s>,
        pruned: &Typed<'s>,
        last: &Owned,
    ) -> Result<Typed<'s>, UpdateError> {
        let Some(pruned) = self.convert(pruned, &last.version)? else { return Ok(merged.clone()) };
        let pruned_set = merged.with_named(&pruned.field_set()?);
        let merged_set = merged.with_named(&merged.field_set()?);
        let last = merged.with_named(&last.set);
        Ok(merged.without(&merged_set.difference(&pruned_set).intersection(&last)))
    }

    fn reconciled(&self, live: &Typed<'s>, managers: &Managers) -> Result<Managers, UpdateError> {
        let mut reconciled = Managers::new();
        for (manager, owned) in managers {
            // A version that is gone takes its managers with it.
            if let Some(live) = self.convert(live, &owned.version)? {
                let set = live.reconciled(&owned.set)?;
                reconciled.insert(manager.clone(), Owned { set, ..owned.clone() });
            }
        }
        Ok(reconciled)
    }
}

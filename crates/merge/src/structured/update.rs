//! What an apply or an update makes of an object and of its managers' field sets.
//!
//! Enters: the object as it is, what is applied or written, and the books. Leaves: the object and the books as they are then,
//! or the conflicts. Managers are named by whatever tells them apart: Kubernetes uses name, operation, version and time.

use super::{Comparison, Typed, ValidationErrors, element};
use crate::fields::FieldSet;
use std::borrow::Cow;
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
    #[error("{why}")]
    Conversion {
        /// Into which.
        version: String,
        /// What was to be done with it, and what the conversion said.
        why: String,
    },
}

impl UpdateError {
    /// Says for what an object was to be brought into another version.
    fn doing(self, what: &str) -> Self {
        match self {
            Self::Conversion { version, why } => Self::Conversion { version, why: format!("{what}: {why}") },
            other @ (Self::Conflicts(_) | Self::Invalid(_)) => other,
        }
    }
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
        let managers = self.reconciled(live, version, managers)?;
        let (mut managers, comparison) = self.taken(live, new, version, managers, manager, Force::Yes)?;
        let before = managers.remove(manager).map(|owned| owned.set).unwrap_or_default();
        let mut set = before;
        set.subtract(&comparison.removed);
        set.add(&comparison.modified);
        set.add(&comparison.added);
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
        let mut managers = self.reconciled(live, version, managers)?;
        let merged = live.merge(config)?;
        let set = self.owned_of(config.field_set()?, version);
        let last =
            managers.insert(manager.to_owned(), Owned { set, version: version.to_owned(), applied: true });
        let new = self
            .pruned(merged, &managers, version, last.as_ref())
            .map_err(|error| error.doing("failed to prune fields"))?;
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

    /// An object that is in the version `own`, in another one.
    fn convert<'o>(
        &self,
        object: &'o Typed<'s>,
        own: &str,
        version: &str,
    ) -> Result<Option<Cow<'o, Typed<'s>>>, UpdateError> {
        // What nothing is left of is for the caller to shape.
        if own == version && !object.value().is_null() {
            return Ok(Some(Cow::Borrowed(object)));
        }
        let converted = self.versions.convert(object, version);
        converted
            .map(|converted| converted.map(Cow::Owned))
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
        let mut by_version: BTreeMap<String, Option<Comparison>> = BTreeMap::new();
        by_version.insert(version.to_owned(), Some(self.seen(live.compare(new)?, version)));
        let mut conflicts = BTreeMap::new();
        let mut gone = Vec::new();
        for (other, owned) in managers.iter().filter(|(other, _)| *other != manager) {
            if !by_version.contains_key(&owned.version) {
                let both = (
                    self.convert(live, version, &owned.version)?,
                    self.convert(new, version, &owned.version)?,
                );
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
            let mut conflict = owned.set.intersection(&comparison.modified);
            conflict.add(&owned.set.intersection(&comparison.added));
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
                owned.set.subtract(conflict);
            }
            if let Some(Some(comparison)) = by_version.get(&owned.version) {
                owned.set.subtract(&comparison.removed);
            }
        }
        managers.retain(|_, owned| !owned.set.is_empty());
        Ok((managers, by_version.remove(version).flatten().unwrap_or_default()))
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
        let merged_then = self
            .convert(&merged, version, &last.version)
            .map_err(|error| error.doing("failed to convert merged object to last applied version"))?;
        let Some(merged_then) = merged_then else { return Ok(merged) };
        let pruned = merged_then.without(&merged_then.with_named(&last.set));
        let (pruned, its_version) = self
            .with_owned_items(&merged_then, pruned, &last.version, managers)
            .map_err(|error| error.doing("failed add back owned items"))?;
        let pruned = self.with_dangling_items(&merged_then, &pruned, its_version, last)?;
        let pruned = self.convert(&pruned, &last.version, version)?.map(Cow::into_owned);
        Ok(pruned.unwrap_or(merged))
    }

    /// Puts back what any manager owns, the applying one with its new set among them.
    /// Gives the version too that it is in then.
    fn with_owned_items<'m>(
        &self,
        merged: &Typed<'s>,
        pruned: Typed<'s>,
        pruned_version: &'m str,
        managers: &'m Managers,
    ) -> Result<(Typed<'s>, &'m str), UpdateError> {
        let mut by_version: BTreeMap<&str, FieldSet> = BTreeMap::new();
        for owned in managers.values() {
            by_version.entry(&owned.version).or_default().add(&owned.set);
        }
        // First in the version that was pruned: another may need a field for its conversion that was.
        let first = by_version.remove_entry(pruned_version);
        let (mut merged, mut its_version) = (Cow::Borrowed(merged), pruned_version);
        let (mut pruned, mut pruned_version) = (pruned, pruned_version);
        for (version, owned) in first.into_iter().chain(by_version) {
            if its_version != version {
                let merged_now = self.convert(&merged, its_version, version).map_err(|error| {
                    error.doing(&format!("failed to convert merged object at version {version}"))
                })?;
                let Some(merged_now) = merged_now else { continue };
                (merged, its_version) = (Cow::Owned(merged_now.into_owned()), version);
            }
            let pruned_now = self.convert(&pruned, pruned_version, version).map_err(|error| {
                error.doing(&format!("failed to convert pruned object at version {version}"))
            })?;
            let Some(pruned_now) = pruned_now else { continue };
            let mut gone = merged.with_named(&merged.field_set()?);
            gone.subtract(&merged.with_named(&pruned_now.field_set()?));
            gone.subtract(&merged.with_named(&owned));
            (pruned, pruned_version) = (merged.without(&gone), version);
        }
        Ok((pruned, pruned_version))
    }

    /// Puts back what nobody owns and the manager did not own either.
    fn with_dangling_items(
        &self,
        merged: &Typed<'s>,
        pruned: &Typed<'s>,
        pruned_version: &str,
        last: &Owned,
    ) -> Result<Typed<'s>, UpdateError> {
        let Some(pruned) = self.convert(pruned, pruned_version, &last.version)? else {
            return Ok(merged.clone());
        };
        let mut gone = merged.with_named(&merged.field_set()?);
        gone.subtract(&merged.with_named(&pruned.field_set()?));
        Ok(merged.without(&gone.intersection(&merged.with_named(&last.set))))
    }

    fn reconciled(
        &self,
        live: &Typed<'s>,
        version: &str,
        managers: &Managers,
    ) -> Result<Managers, UpdateError> {
        let mut reconciled = Managers::new();
        for (manager, owned) in managers {
            // A version that is gone takes its managers with it.
            if let Some(live) = self.convert(live, version, &owned.version)? {
                let (set, applied) = (live.reconciled(&owned.set)?, owned.applied);
                reconciled.insert(manager.clone(), Owned { set, version: owned.version.clone(), applied });
            }
        }
        Ok(reconciled)
    }
}

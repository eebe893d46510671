//! What is followed of Repositories: each at its own reference, and at those that Apps name.
//!
//! Enters: a configuration. Leaves: for each pair of a Repository and a reference one source, with a name. Sources of one Repository
//! differ in nothing but the reference. Absent: following them.

use super::repository::{Reference, RepositorySpec};
use super::{Config, Target};
use std::collections::BTreeMap;

/// Between the name of a Repository and a reference; names have no such character.
const AT: char = '@';

impl Target {
    /// The name of what the target is made from: that of the Repository, and behind an `@` the reference where it is not the
    /// Repository's.
    pub fn source(&self) -> String {
        match &self.reference {
            None => self.repository.clone(),
            Some(reference) => named(&self.repository, reference),
        }
    }
}

fn named(repository: &str, reference: &Reference) -> String {
    format!("{repository}{AT}{reference}")
}

/// The Repository that a source is of.
pub fn repository_of(source: &str) -> &str {
    source.split_once(AT).map_or(source, |(repository, _)| repository)
}

impl Config {
    /// All that is followed, by name: Repositories, and Repositories at the references that Apps name. A Repository that has the
    /// name of such a source stands in for it.
    pub fn sources(&self) -> BTreeMap<String, RepositorySpec> {
        let plain = self.repositories.iter().map(|(name, declared)| (name.clone(), declared.spec.clone()));
        let mut sources: BTreeMap<String, RepositorySpec> = plain.collect();
        for target in &self.targets {
            if let Some(reference) = &target.reference
                && let Some(declared) = self.repositories.get(&target.repository)
            {
                sources.entry(target.source()).or_insert_with(|| RepositorySpec {
                    reference: Some(reference.clone()),
                    worktree: false,
                    ..declared.spec.clone()
                });
            }
        }
        sources
    }
}

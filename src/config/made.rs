//! The configuration with the Apps that AppSets make.
//!
//! Enters: a configuration, and the Apps of each AppSet. Leaves: the same with these Apps, as though they had been written, and of each
//! AppSet what is wrong with its Apps. An App that somebody wrote goes before one of its name that is made.

use super::app_set::named;
use super::{Config, Declarations, Declared, Kind};
use crate::generate::Apps;
use std::collections::BTreeMap;

/// What is wrong with the Apps of AppSets, by AppSet.
pub type Misfits = BTreeMap<String, Vec<String>>;

impl Config {
    /// The configuration with the Apps that AppSets make, and what of those does not fit: it is left out.
    pub fn with_made(&self, made: &BTreeMap<String, Apps>) -> (Self, Misfits) {
        let mut misfits = Misfits::new();
        if made.values().all(BTreeMap::is_empty) {
            return (self.clone(), misfits);
        }
        let mut declarations = Declarations {
            repositories: self.repositories.clone(),
            clusters: self.clusters.clone(),
            environments: self.environments.clone(),
            apps: self.apps.clone(),
            app_sets: self.app_sets.clone(),
            known: self.broken.clone(),
            incomplete: false,
        };
        let mut makers: BTreeMap<String, String> = BTreeMap::new();
        for (set, apps) in made {
            for (name, spec) in apps {
                let is_written =
                    self.apps.contains_key(name) || self.broken.contains(&(Kind::App, name.clone()));
                let why = match makers.get(name) {
                    _ if is_written => {
                        "there is an App of this name already, which somebody wrote".to_owned()
                    }
                    Some(other) => format!("AppSet {other} makes an App of this name as well"),
                    None => {
                        let declared = self.app_sets.get(set);
                        let metadata = declared.map(|set| set.metadata.clone()).unwrap_or_default();
                        let origin = declared.map(|set| set.origin.clone()).unwrap_or_default();
                        let app = Declared { metadata: named(name, &metadata), spec: spec.clone(), origin };
                        declarations.apps.insert(name.clone(), app);
                        makers.insert(name.clone(), set.clone());
                        continue;
                    }
                };
                misfits.entry(set.clone()).or_default().push(format!("App {name}: {why}"));
            }
        }
        let (config, findings) = declarations.resolve_usable();
        for finding in findings.iter().filter(|finding| finding.kind == Kind::App) {
            if let Some(set) = makers.get(&finding.name) {
                let why = format!("App {}: {}: {}", finding.name, finding.place, finding.message);
                misfits.entry(set.clone()).or_default().push(why);
            }
        }
        (Self { leaving: self.leaving.clone(), home: self.home.clone(), makers, ..config }, misfits)
    }

    /// The AppSet that makes an App; none where somebody wrote it.
    pub fn maker(&self, app: &str) -> Option<&str> {
        self.makers.get(app).map(String::as_str)
    }
}

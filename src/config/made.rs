//! The configuration with the Apps that AppSets make.
//!
//! Enters: a configuration, the Apps of each AppSet, and those of them that are on their way out. Leaves: the same with these Apps, as though they had been written
//! and deleted; of each AppSet what is wrong with its Apps, and of each App on its way out what it has to prune. An App that somebody wrote goes before one of its
//! name that is made.

use super::app_set::named;
use super::leave::{Leaving, in_reverse};
use super::{AppSpec, Config, Declarations, Declared, Finding, Kind, Step, Target};
use crate::generate::Made;
use std::collections::BTreeMap;

/// What is wrong with the Apps of AppSets, by AppSet.
pub type Misfits = BTreeMap<String, Vec<String>>;

/// A configuration with the Apps that AppSets make.
#[derive(Clone, Debug)]
pub struct Expanded {
    /// As though somebody had written them.
    pub config: Config,
    /// What of them does not fit: it is left out.
    pub misfits: Misfits,
    /// What has to be pruned of each App that is on its way out.
    pub leaving: BTreeMap<String, Leaving>,
}

impl Config {
    /// The configuration with the Apps that AppSets make. `before` are the targets as the configuration said last.
    pub fn with_made(&self, made: &BTreeMap<String, Made>, before: &[Target]) -> Expanded {
        let mut misfits = Misfits::new();
        if made.values().all(|made| made.apps.is_empty() && made.leaving.is_empty()) {
            return Expanded { config: self.clone(), misfits, leaving: BTreeMap::new() };
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
        for (set, made) in made {
            for (name, spec) in &made.apps {
                let is_written =
                    self.apps.contains_key(name) || self.broken.contains(&(Kind::App, name.clone()));
                let why = match makers.get(name) {
                    _ if self.parting.contains_key(name) => {
                        "an App of this name that somebody wrote is being deleted".to_owned()
                    }
                    _ if is_written => {
                        "there is an App of this name already, which somebody wrote".to_owned()
                    }
                    Some(other) => format!("AppSet {other} makes an App of this name as well"),
                    None => {
                        declarations.apps.insert(name.clone(), self.made_app(set, name, spec));
                        makers.insert(name.clone(), set.clone());
                        continue;
                    }
                };
                misfits.entry(set.clone()).or_default().push(format!("App {name}: {why}"));
            }
        }
        let mut leaving = BTreeMap::new();
        for (set, made) in made {
            for (name, spec) in &made.leaving {
                let is_there = declarations.apps.contains_key(name) || self.parting.contains_key(name);
                if !is_there {
                    let app = self.made_app(set, name, spec);
                    leaving.insert(name.clone(), declarations.leaving(&app, before));
                    makers.insert(name.clone(), set.clone());
                }
            }
        }
        let (config, findings) = declarations.resolve_usable();
        for finding in findings.iter().filter(|finding| finding.kind == Kind::App) {
            if let Some(set) = makers.get(&finding.name).or_else(|| makers.get(config.awaited(finding)?)) {
                let why = format!("App {}: {}: {}", finding.name, finding.place, finding.message);
                misfits.entry(set.clone()).or_default().push(why);
            }
        }
        let mut parting = self.parting.clone();
        parting.extend(leaving.clone());
        let config =
            Self { leaving: in_reverse(&parting), parting, home: self.home.clone(), makers, ..config };
        Expanded { config, misfits, leaving }
    }

    fn made_app(&self, set: &str, name: &str, spec: &AppSpec) -> Declared<AppSpec> {
        let declared = self.app_sets.get(set);
        let metadata = declared.map(|set| set.metadata.clone()).unwrap_or_default();
        let origin = declared.map(|set| set.origin.clone()).unwrap_or_default();
        Declared { metadata: named(name, &metadata), spec: spec.clone(), origin }
    }

    /// The App that another one waits for, where something is wrong with that.
    fn awaited(&self, finding: &Finding) -> Option<&String> {
        let [_, Step::Field(field), Step::Item(index)] = finding.place.0.as_slice() else { return None };
        let spec = &self.apps.get(&finding.name)?.spec;
        if field == "dependsOn" { spec.depends_on.get(*index) } else { None }
    }

    /// Apps that are waited for and that nobody makes, with who waits for them.
    pub fn awaited_in_vain(&self) -> impl Iterator<Item = (&str, &str)> {
        self.apps.iter().flat_map(move |(name, app)| {
            let missing = app.spec.depends_on.iter().filter(move |first| !self.apps.contains_key(*first));
            missing.map(move |first| (name.as_str(), first.as_str()))
        })
    }

    /// The AppSet that makes an App; none where somebody wrote it.
    pub fn maker(&self, app: &str) -> Option<&str> {
        self.makers.get(app).map(String::as_str)
    }
}

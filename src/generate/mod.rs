//! Apps that follow from folders, files, clusters or a list: what the kind `AppSet` asks for.
//!
//! Enters: an AppSet, the trees of the repositories that it reads, and the Clusters. Leaves: Apps by name, as though they stood in the
//! configuration; or the one reason why they are not known. [`settle()`] then decides which of the Apps that were there before may go, and [`leaving`] which of those prune.
//! Pure. Absent: fetching anything, remembering anything, and whether an App fits the rest of the configuration.

mod elements;
pub mod pattern;
mod settle;
mod template;

pub use settle::{Apps, Held, Made, Settled, leaving, settle};

use crate::config::app_set::{One, Parts, named};
use crate::config::{AppSetSpec, ClusterSpec, Declared, Findings, Place};
use std::collections::BTreeMap;
use std::sync::Arc;
use trueup_model::{Tree, Value};

/// Apps of one AppSet at most.
const MOST: usize = 10_000;

/// What placeholders stand for, by their names.
type Parameters = BTreeMap<String, Value>;

/// What an AppSet's elements are found in.
pub struct Ground<'g> {
    /// The trees of the repositories that could be read, by name.
    pub trees: &'g BTreeMap<String, Arc<dyn Tree>>,
    /// By name.
    pub clusters: &'g BTreeMap<String, Declared<ClusterSpec>>,
    /// Clusters that are declared and cannot be used, so that it is not known what they would be.
    pub broken: &'g [String],
}

/// Why it is not known which Apps there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unmade {
    /// Something is wrong.
    Wrong(Place, String),
    /// A file of a repository has not been fetched.
    Absent {
        /// The Repository.
        repository: String,
        /// The file.
        path: String,
    },
}

impl std::fmt::Display for Unmade {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Wrong(place, why) => write!(f, "{place}: {why}"),
            Self::Absent { repository, path } => {
                write!(f, "{path} of the repository {repository} has not been fetched yet")
            }
        }
    }
}

/// The Apps that an AppSet asks for. All of them, or none: what cannot be read, or is wrong, says nothing of any App.
///
/// # Errors
/// See [`Unmade`].
pub fn make(set: &Declared<AppSetSpec>, ground: &Ground<'_>) -> Result<Apps, Unmade> {
    let mut apps = Apps::new();
    let mut made_for: BTreeMap<String, String> = BTreeMap::new();
    for (index, generator) in set.spec.generators.iter().enumerate() {
        let place = Place::spec("generators").item(index);
        let elements = match generator.parts() {
            Parts::One(one) => elements::find(one, &place.field(one.field()), ground)?,
            Parts::Matrix(axes) => matrix(&axes, &place.field("matrix"), ground)?,
        };
        for parameters in elements {
            let (name, spec) = template::fill(&set.spec.template, &parameters)
                .map_err(|(place, why)| Unmade::Wrong(place, format!("{why} (for {})", told(&parameters))))?;
            if let Some(first) = made_for.get(&name) {
                let place = Place::spec("template").field("metadata").field("name");
                let both = format!("{first} and {}", told(&parameters));
                return Err(Unmade::Wrong(place, format!("the name `{name}` comes twice: for {both}")));
            }
            check(set, &name, &spec, &parameters)?;
            made_for.insert(name.clone(), told(&parameters));
            apps.insert(name, spec);
            if apps.len() > MOST {
                return Err(Unmade::Wrong(place, format!("there would be more than {MOST} Apps")));
            }
        }
    }
    Ok(apps)
}

/// Each element of the first with each one of the others.
fn matrix(axes: &[One<'_>], place: &Place, ground: &Ground<'_>) -> Result<Vec<Parameters>, Unmade> {
    let mut all = vec![Parameters::new()];
    for (index, one) in axes.iter().enumerate() {
        let place = place.item(index).field(one.field());
        let more = elements::find(*one, &place, ground)?;
        if all.len().saturating_mul(more.len()) > MOST {
            return Err(Unmade::Wrong(place, format!("there would be more than {MOST} Apps")));
        }
        let mut combined = Vec::with_capacity(all.len() * more.len());
        for (first, second) in all.iter().flat_map(|first| more.iter().map(move |second| (first, second))) {
            if let Some(twice) = second.keys().find(|name| first.contains_key(*name)) {
                let why = format!("`{{{twice}}}` comes from two generators of the matrix");
                return Err(Unmade::Wrong(place, why));
            }
            combined.push(first.clone().into_iter().chain(second.clone()).collect());
        }
        all = combined;
    }
    Ok(all)
}

/// What an App may not say by itself.
fn check(
    set: &Declared<AppSetSpec>,
    name: &str,
    spec: &crate::config::AppSpec,
    parameters: &Parameters,
) -> Result<(), Unmade> {
    let app =
        Declared { metadata: named(name, &set.metadata), spec: spec.clone(), origin: set.origin.clone() };
    let mut findings = Findings::default();
    app.check(&mut findings);
    match findings.0.into_iter().next() {
        None => Ok(()),
        Some((place, why)) => {
            Err(Unmade::Wrong(place.within_template(), format!("{why} (for {})", told(parameters))))
        }
    }
}

/// An element as it is told to people: the first things that it says.
fn told(parameters: &Parameters) -> String {
    const SHOWN: usize = 3;
    let first = ["folder.path", "file.path", "cluster.name"];
    let (named, rest): (Vec<_>, Vec<_>) =
        parameters.iter().partition(|(name, _)| first.contains(&name.as_str()));
    let items = rest.into_iter().filter(|(name, _)| name.starts_with("item."));
    let shown: Vec<String> = named
        .into_iter()
        .chain(items)
        .take(SHOWN)
        .map(|(name, value)| match value.as_str() {
            Some(text) => format!("{name} {text}"),
            None => format!("{name} {value}"),
        })
        .collect();
    if shown.is_empty() { "an element that says nothing".to_owned() } else { shown.join(", ") }
}

#[cfg(test)]
mod tests;

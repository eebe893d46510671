//! Apps that follow from folders, files, clusters, pull requests or a list: what the kind `AppSet` asks for.
//!
//! Enters: an AppSet, the trees of the repositories that it reads, the Clusters, and open pull requests. Leaves: Apps by name, as though they stood in the
//! configuration; or the one reason why they are not known. [`settle()`] then decides which of the Apps that were there before may go, and [`leaving`] which of those prune.
//! Pure. Absent: fetching anything, remembering anything, and whether an App fits the rest of the configuration.

mod elements;
pub mod pattern;
pub mod pulls;
mod settle;
mod template;

pub use settle::{Apps, Held, Made, Settled, leaving, settle};

use pulls::{Listing, Remembered};

use crate::config::app_set::{One, Parts, named};
use crate::config::{AppSetSpec, ClusterSpec, Declared, Findings, Place};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
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
    /// Pull requests by the place of the generator that asks for them.
    pub pulls: &'g BTreeMap<String, Arc<Listing>>,
    /// What is remembered of pull requests.
    pub remembered: &'g Remembered,
    /// The time.
    pub now: Timestamp,
}

/// What an AppSet asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Asked {
    /// All the Apps.
    pub apps: Apps,
    /// Why there are no Apps for pull requests that there could be some for.
    pub notes: Vec<String>,
    /// What to remember of pull requests, with the Apps that are asked for.
    pub seen: Remembered,
    /// Pull requests that are known to have no Apps any more: their Apps are not missing.
    pub gone: BTreeSet<String>,
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

impl Unmade {
    fn name_place() -> Place {
        Place::spec("template").field("metadata").field("name")
    }

    fn is_about_the_name(&self) -> bool {
        matches!(self, Self::Wrong(place, _) if *place == Self::name_place())
    }
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
pub fn make(set: &Declared<AppSetSpec>, ground: &Ground<'_>) -> Result<Asked, Unmade> {
    let mut asked = Asked::default();
    let mut made_for: BTreeMap<String, String> = BTreeMap::new();
    for (index, generator) in set.spec.generators.iter().enumerate() {
        let place = Place::spec("generators").item(index);
        let elements = match generator.parts() {
            Parts::One(one) => elements::find(one, &place.field(one.field()), ground, &mut asked)?,
            Parts::Matrix(axes) => matrix(&axes, &place.field("matrix"), ground, &mut asked)?,
        };
        let (mut made, mut first_wrong) = (0, None);
        for parameters in elements {
            let (name, spec) = template::fill(&set.spec.template, &parameters)
                .map_err(|(place, why)| Unmade::Wrong(place, format!("{why} (for {})", told(&parameters))))?;
            if let Err(wrong) =
                unused(&made_for, &name, &parameters).and_then(|()| check(set, &name, &spec, &parameters))
            {
                // Who opens a pull request may choose its branch: that stops no other one.
                let Some(of) = request(&parameters).filter(|_| wrong.is_about_the_name()) else {
                    return Err(wrong);
                };
                asked.notes.push(format!("#{}: {wrong}", of.1));
                first_wrong.get_or_insert(wrong);
                continue;
            }
            made += 1;
            if let Some((repository, number)) = request(&parameters)
                && let Some(seen) = asked.seen.get_mut(&pulls::key(repository, number))
            {
                seen.apps.insert(name.clone());
            }
            made_for.insert(name.clone(), told(&parameters));
            asked.apps.insert(name, spec);
            if asked.apps.len() > MOST {
                return Err(Unmade::Wrong(place, format!("there would be more than {MOST} Apps")));
            }
        }
        // Then it is the template.
        if let (0, Some(wrong)) = (made, first_wrong) {
            return Err(wrong);
        }
    }
    Ok(asked)
}

/// The pull request that an element is about: its repository, and its number.
fn request(parameters: &Parameters) -> Option<(&str, u64)> {
    Some((parameters.get("pull.repository")?.as_str()?, parameters.get("pull.number")?.as_u64()?))
}

/// That no other element has this name.
fn unused(made_for: &BTreeMap<String, String>, name: &str, parameters: &Parameters) -> Result<(), Unmade> {
    let Some(first) = made_for.get(name) else { return Ok(()) };
    let both = format!("{first} and {}", told(parameters));
    Err(Unmade::Wrong(Unmade::name_place(), format!("the name `{name}` comes twice: for {both}")))
}

/// Each element of the first with each one of the others.
fn matrix(
    axes: &[One<'_>],
    place: &Place,
    ground: &Ground<'_>,
    asked: &mut Asked,
) -> Result<Vec<Parameters>, Unmade> {
    let mut all = vec![Parameters::new()];
    for (index, one) in axes.iter().enumerate() {
        let place = place.item(index).field(one.field());
        let more = elements::find(*one, &place, ground, asked)?;
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
    let first = ["folder.path", "file.path", "cluster.name", "pull.number"];
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

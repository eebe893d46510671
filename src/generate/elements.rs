//! What each kind of generator finds, as the parameters of one element after the other.
//!
//! Enters: a generator, and the trees and Clusters that it looks at. Leaves: parameters. Absent: what is made of them.

use super::pattern::Pattern;
use super::{Asked, Ground, Parameters, Unmade, pulls};
use crate::config::app_set::{Clusters, One};
use crate::config::{ClusterSpec, Declared, Place, PullRequests};
use std::collections::{BTreeMap, BTreeSet};
use trueup_model::tree::{EntryKind, Tree, TreeError, parent, read_text};
use trueup_model::{Value, yaml};

/// The elements that a generator finds, in an order that does not change.
pub(super) fn find(
    one: One<'_>,
    place: &Place,
    ground: &Ground<'_>,
    asked: &mut Asked,
) -> Result<Vec<Parameters>, Unmade> {
    match one {
        One::Folders(folders) => {
            let tree = tree(ground, &folders.repository, place)?;
            let found = paths(tree, EntryKind::Folder, &folders.paths, &folders.exclude, place)?;
            Ok(found.iter().map(|path| folder(path)).collect())
        }
        One::Files(files) => {
            let tree = tree(ground, &files.repository, place)?;
            let found = paths(tree, EntryKind::File, &files.paths, &files.exclude, place)?;
            let said = |path: &String| match said(tree, path) {
                Ok(items) => Ok(items),
                Err(NotSaid::Absent(path)) => {
                    Err(Unmade::Absent { repository: files.repository.clone(), path })
                }
                Err(NotSaid::Wrong(why)) => Err(Unmade::Wrong(place.clone(), format!("{path}: {why}"))),
            };
            let found: Result<Vec<Vec<Parameters>>, Unmade> = found.iter().map(said).collect();
            Ok(found?.concat())
        }
        One::List(items) => Ok(items
            .iter()
            .map(|item| {
                let mut parameters = Parameters::new();
                for (name, value) in item {
                    flatten(&format!("item.{name}"), value, &mut parameters);
                }
                parameters
            })
            .collect()),
        One::Clusters(wanted) => clusters(wanted, place, ground),
        One::PullRequests(wanted) => pull_requests(wanted, place, ground, asked),
    }
}

fn tree<'g>(ground: &'g Ground<'_>, repository: &str, place: &Place) -> Result<&'g dyn Tree, Unmade> {
    ground.trees.get(repository).map(|tree| &**tree).ok_or_else(|| {
        let why = format!("the Repository `{repository}` has not been read");
        Unmade::Wrong(place.field("repository"), why)
    })
}

/// The paths that one of the patterns means, and none of those that exclude.
fn paths(
    tree: &dyn Tree,
    kind: EntryKind,
    wanted: &[String],
    exclude: &[String],
    place: &Place,
) -> Result<BTreeSet<String>, Unmade> {
    let read = |field: &str, patterns: &[String]| -> Result<Vec<Pattern>, Unmade> {
        let patterns = patterns.iter().enumerate();
        let one = |(index, text): (usize, &String)| {
            Pattern::new(text).map_err(|why| Unmade::Wrong(place.field(field).item(index), why))
        };
        patterns.map(one).collect()
    };
    let (wanted, exclude) = (read("paths", wanted)?, read("exclude", exclude)?);
    let mut found = BTreeSet::new();
    for (index, pattern) in wanted.iter().enumerate() {
        pattern
            .find(tree, kind, &mut found)
            .map_err(|error| Unmade::Wrong(place.field("paths").item(index), with_cause(&error)))?;
    }
    found.retain(|path| !exclude.iter().any(|pattern| pattern.matches(path)));
    Ok(found)
}

fn with_cause(error: &TreeError) -> String {
    match error {
        TreeError::Store { source, .. } => format!("{error}: {source}"),
        other => other.to_string(),
    }
}

fn folder(path: &str) -> Parameters {
    let mut parameters = Parameters::new();
    let mut add = |name: &str, text: &str| drop(parameters.insert(format!("folder.{name}"), text.into()));
    add("path", path);
    add("name", path.rsplit('/').next().unwrap_or(path));
    for (index, part) in path.split('/').enumerate() {
        add(&format!("parts.{index}"), part);
    }
    parameters
}

/// Why a file says nothing.
enum NotSaid {
    Absent(String),
    Wrong(String),
}

/// What the file at a path says: one element, or several where it is a list or has several documents.
fn said(tree: &dyn Tree, path: &str) -> Result<Vec<Parameters>, NotSaid> {
    let text = read_text(tree, path).map_err(|error| match error {
        TreeError::Absent(path) => NotSaid::Absent(path),
        other => NotSaid::Wrong(with_cause(&other)),
    })?;
    let documents = yaml::parse(&text)
        .map_err(|error| NotSaid::Wrong(format!("line {}: {}", error.at.line, error.message)))?;
    let mut items = Vec::new();
    for document in documents {
        match document.to_value() {
            Value::Array(several) => items.extend(several),
            Value::Null => {}
            one => items.push(one),
        }
    }
    if items.is_empty() {
        return Err(NotSaid::Wrong("says nothing".to_owned()));
    }
    let element = |item: Value| {
        if !item.is_object() {
            return Err(NotSaid::Wrong("is neither a mapping nor a list of mappings".to_owned()));
        }
        let mut parameters = Parameters::new();
        let name = path.rsplit('/').next().unwrap_or(path);
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        for (field, text) in [("path", path), ("name", stem), ("folder", parent(path))] {
            parameters.insert(format!("file.{field}"), text.into());
        }
        flatten("item", &item, &mut parameters);
        Ok(parameters)
    };
    items.into_iter().map(element).collect()
}

fn clusters(wanted: &Clusters, place: &Place, ground: &Ground<'_>) -> Result<Vec<Parameters>, Unmade> {
    if let Some(name) = ground.broken.first() {
        let why =
            format!("the Cluster `{name}` cannot be used, and it is not known which labels it would have");
        return Err(Unmade::Wrong(place.clone(), why));
    }
    let fits = |cluster: &&Declared<ClusterSpec>| {
        wanted.selector.as_ref().is_none_or(|selector| selector.fits(&cluster.metadata.labels))
    };
    let element = |cluster: &Declared<ClusterSpec>| {
        let mut parameters =
            Parameters::from([("cluster.name".to_owned(), cluster.metadata.name.clone().into())]);
        for (key, value) in &cluster.metadata.labels {
            parameters.insert(format!("cluster.labels.{key}"), value.clone().into());
        }
        parameters
    };
    Ok(ground.clusters.values().filter(fits).map(element).collect())
}

/// Of each request that there are Apps for; what is known of the others is noted.
fn pull_requests(
    wanted: &PullRequests,
    place: &Place,
    ground: &Ground<'_>,
    asked: &mut Asked,
) -> Result<Vec<Parameters>, Unmade> {
    let address = wanted.address().map_err(|(_, why)| Unmade::Wrong(place.clone(), why))?;
    let listing = ground.pulls.get(&place.to_string()).ok_or_else(|| {
        Unmade::Wrong(place.clone(), format!("the pull requests of {} have not been read", address.path))
    })?;
    let chosen = pulls::choose(wanted, &address.path, listing, ground.remembered, ground.now);
    asked.notes.extend(chosen.notes);
    asked.seen.extend(chosen.seen);
    asked.gone.extend(chosen.gone);
    Ok(chosen.elements)
}

/// Texts, numbers and booleans by their names, those within others with dots.
fn flatten(name: &str, value: &Value, parameters: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(field, value)| flatten(&format!("{name}.{field}"), value, parameters));
        }
        Value::String(_) | Value::Bool(_) | Value::Number(_) => {
            parameters.insert(name.to_owned(), value.clone());
        }
        Value::Null | Value::Array(_) => {}
    }
}

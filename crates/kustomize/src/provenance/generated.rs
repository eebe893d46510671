//! The lines of what generators make.

use super::steps::line_of;
use super::{Kept, Recorder, source};
use crate::error::Place;
use crate::generate::sources::{env_entries, key_and_path};
use crate::load::Folder;
use crate::model::MapGenerator;
use crate::resource::Resource;
use crate::steps::By;
use std::collections::BTreeMap;
use trueup_model::Segment;
use trueup_model::provenance::Provenance;
use trueup_model::yaml::Node;

impl Recorder {
    /// Begins the provenance of what a generator made; `at` is the place of the generator.
    pub(crate) fn begin_generated(
        &self,
        resource: &mut Resource,
        generator: &MapGenerator,
        by: &By,
        folder: &Folder<'_>,
    ) {
        let at = Place::new(resource.origin.path.clone(), resource.origin.line);
        let data = data_places(generator, folder, &at);
        let (entry, general) = match by {
            By::Field(field) => {
                let kustomization = self.first(&at.file);
                let list = kustomization.and_then(|node| node.get(field)?.as_list()).unwrap_or_default();
                let entry = list.iter().find(|entry| entry.at.line == at.line);
                (entry, kustomization.and_then(|node| node.get("generatorOptions")))
            }
            By::Plugin(_) => (self.document(&at.file, at.line), None),
        };
        let by = by.name();
        let sources = Provenance::of_value(&resource.value, &mut |change| {
            let fields: Vec<&str> = change.path.iter().filter_map(Segment::as_field).collect();
            let line = match fields.as_slice() {
                ["data" | "binaryData", key] => match data.get(*key) {
                    Some(place) => return source(place, &by),
                    None => None,
                },
                ["metadata", map @ ("labels" | "annotations"), key] => {
                    options(entry, general).find_map(|options| line_of(options.get(map)?, key))
                }
                ["immutable"] => options(entry, general).find_map(|options| line_of(options, "immutable")),
                ["metadata", field] => entry.and_then(|entry| {
                    line_of(entry, field).or_else(|| line_of(entry.get("metadata")?, field))
                }),
                ["type"] => entry.and_then(|entry| line_of(entry, "type")),
                _ => None,
            };
            source(&at.at(line.unwrap_or(at.line)), &by)
        });
        resource.kept = Some(Box::new(Kept::new(&resource.value, sources)));
    }
}

/// Begins the provenance of what a generator made of its configuration as a whole.
pub(crate) fn begin_made(resource: &mut Resource, by: &By) {
    let at = Place::new(resource.origin.path.clone(), resource.origin.line);
    let by = by.name();
    let sources = Provenance::of_value(&resource.value, &mut |_| source(&at, &by));
    resource.kept = Some(Box::new(Kept::new(&resource.value, sources)));
}

/// The generator's own options, and those of all generators.
fn options<'n>(entry: Option<&'n Node>, general: Option<&'n Node>) -> impl Iterator<Item = &'n Node> {
    entry.and_then(|entry| entry.get("options")).into_iter().chain(general)
}

/// Where the value of each key stands: in the generator, on a line of an environment file, or in a file of its own.
fn data_places(generator: &MapGenerator, folder: &Folder<'_>, at: &Place) -> BTreeMap<String, Place> {
    let mut places = BTreeMap::new();
    for env in &generator.sources.envs {
        let Ok(file) = folder.file(&env.value) else { continue };
        let text = file.text().unwrap_or_default();
        for (line, key, _) in env_entries(&text) {
            places.insert(key.to_owned(), Place::new(file.name.clone(), line));
        }
    }
    for literal in &generator.sources.literals {
        let key = literal.value.split_once('=').map_or(literal.value.as_str(), |(key, _)| key);
        places.insert(key.to_owned(), at.at(literal.line));
    }
    for written in &generator.sources.files {
        if let Ok((key, path)) = key_and_path(&written.value)
            && let Ok(file) = folder.file(path)
        {
            places.insert(key.to_owned(), Place::new(file.name, 1));
        }
    }
    places
}

//! What the steps of a kustomization leave behind, one entry of a list at a time, so that each has its own line.

use super::{Kept, Recorder, as_it_was, made_from, observe, source};
use crate::error::{Error, Place};
use crate::model::ReplacementSource;
use crate::resmap::ResMap;
use crate::resource::Resource;
use crate::steps::{By, Context, Step, Work};
use crate::transform::prefix::Affix;
use crate::transform::select_path::lookup;
use crate::transform::{images, replacement, replicas};
use std::slice;
use std::sync::Arc;
use trueup_model::provenance::{Provenance, Source};
use trueup_model::yaml::Node;
use trueup_model::{Segment, Value};

impl Recorder {
    /// Runs a step and follows what it does.
    pub(crate) fn run(
        &self,
        step: &Step,
        resources: &mut ResMap,
        context: &Context<'_>,
        errors: &mut Vec<Error>,
    ) {
        let (by, at) = (&step.by.name(), &step.place);
        match &step.work {
            Work::Images { images, fields } => {
                for (index, image) in images.iter().enumerate() {
                    images::change(resources, slice::from_ref(image), fields, at, errors);
                    let place = self.image_place(step, index);
                    observe(resources, &mut |_, change| made_from(&place, by, change.before));
                }
            }
            Work::Replicas { counts, fields } => {
                for (index, count) in counts.iter().enumerate() {
                    replicas::set(resources, slice::from_ref(count), fields, context.spellings, at, errors);
                    let place = self.replica_place(step, index);
                    observe(resources, &mut |_, _| source(&place, by));
                }
            }
            Work::Replacements(replacements) => {
                for one in replacements {
                    let copied = copied(resources, &one.source);
                    replacement::replace(resources, slice::from_ref(one), context.spellings, at, errors);
                    let place = Place::new(one.file.clone(), one.line);
                    observe(resources, &mut |_, change| {
                        let from = copied.as_ref().and_then(|copied| copied.of(change.after));
                        Source { from: from.map(Arc::new), ..source(&place, by) }
                    });
                }
            }
            Work::Patch(patch) => {
                step.run(resources, context, errors);
                observe(resources, &mut |resource, change| match patch.lines() {
                    Some(lines) => source(&lines.place(resource, change), by),
                    None => source(at, by),
                });
            }
            Work::Entries { entries, .. } => {
                step.run(resources, context, errors);
                observe(resources, &mut |_, change| match change.path.last() {
                    Some(Segment::Field(key)) if entries.contains_key(key) => {
                        source(&self.entry_place(step, key, &entries[key]), by)
                    }
                    Some(_) | None => source(at, by),
                });
            }
            Work::Affix { affix, .. } => {
                step.run(resources, context, errors);
                let place = self.field_place(
                    step,
                    match affix {
                        Affix::Before(_) => &["prefix"],
                        Affix::After(_) => &["suffix"],
                    },
                );
                observe(resources, &mut |_, change| made_from(&place, by, change.before));
            }
            Work::ValueAdd { .. } => {
                step.run(resources, context, errors);
                let place = self.field_place(step, &["value"]);
                observe(resources, &mut |_, change| made_from(&place, by, change.before));
            }
            Work::Namespace(_) => {
                step.run(resources, context, errors);
                let place = self.field_place(step, &["namespace"]);
                observe(resources, &mut |_, _| source(&place, by));
            }
            Work::Hashes | Work::Nothing => {
                step.run(resources, context, errors);
                observe(resources, &mut as_it_was);
            }
        }
    }

    /// What configures a step: its kustomization, or its own document.
    fn configuration_of(&self, step: &Step) -> Option<&Node> {
        match &step.by {
            By::Field(_) => self.first(&step.place.file),
            By::Plugin(_) => self.document(&step.place.file, step.place.line),
        }
    }

    /// The place of the first of `fields` in an entry of a step's list; `own` names the entry in a document of its own.
    fn entry_of(
        &self,
        step: &Step,
        lists: &[&str],
        own: &str,
        index: usize,
        fields: &[&str],
    ) -> Option<Place> {
        let node = self.configuration_of(step)?;
        let entry = match &step.by {
            By::Field(_) => {
                lists.iter().filter_map(|field| node.get(field)?.as_list()).flatten().nth(index)?
            }
            By::Plugin(_) => node.get(own)?,
        };
        let line = fields.iter().find_map(|field| line_of(entry, field));
        Some(step.place.at(line.unwrap_or(entry.at.line)))
    }

    fn image_place(&self, step: &Step, index: usize) -> Place {
        let fields = ["newTag", "digest", "tagSuffix", "newName"];
        let place = self.entry_of(step, &["images", "imageTags"], "imageTag", index, &fields);
        place.unwrap_or_else(|| step.place.clone())
    }

    fn replica_place(&self, step: &Step, index: usize) -> Place {
        let place = self.entry_of(step, &["replicas"], "replica", index, &["count"]);
        place.unwrap_or_else(|| step.place.clone())
    }

    /// The place of the one field that a configuration is about; a kustomization's step stands there already.
    fn field_place(&self, step: &Step, fields: &[&str]) -> Place {
        let line = match &step.by {
            By::Field(_) => None,
            By::Plugin(_) => self.configuration_of(step).and_then(|node| {
                let within = [Some(node), node.get("metadata")];
                fields.iter().find_map(|field| within.iter().flatten().find_map(|node| line_of(node, field)))
            }),
        };
        line.map_or_else(|| step.place.clone(), |line| step.place.at(line))
    }

    /// The place of a label or annotation.
    fn entry_place(&self, step: &Step, key: &str, value: &str) -> Place {
        let line = self.configuration_of(step).and_then(|node| match &step.by {
            By::Field("labels") => {
                let sets = node.get("labels")?.as_list()?.iter();
                sets.filter_map(|set| set.get("pairs"))
                    .find(|pairs| pairs.get(key).is_some_and(|written| written.as_str() == Some(value)))
                    .and_then(|pairs| line_of(pairs, key))
            }
            By::Field(field) => line_of(node.get(field)?, key),
            By::Plugin(_) => {
                ["labels", "annotations"].into_iter().find_map(|field| line_of(node.get(field)?, key))
            }
        });
        step.place.at(line.unwrap_or(step.place.line))
    }
}

/// The line that a key stands on.
pub(super) fn line_of(node: &Node, key: &str) -> Option<usize> {
    node.as_map()?.iter().rev().find(|(name, ..)| name == key).map(|(_, at, _)| at.line)
}

/// A value that is copied elsewhere, and its sources.
pub(super) struct Copied {
    value: Value,
    pub(super) sources: Provenance,
}

impl Copied {
    /// The source of the leaf that became this one; of a part of it, the first.
    fn of(&self, copy: &Value) -> Option<Source> {
        let leaves = self.sources.leaves();
        let same = leaves
            .iter()
            .find(|(path, _)| self.value.pointer(&trueup_model::provenance::pointer(path)) == Some(copy));
        same.or(leaves.first()).map(|(_, source)| (*source).clone())
    }

    pub(super) fn at(resource: &Resource, path: &[String]) -> Option<Self> {
        let path = segments(&resource.value, path)?;
        let value = resource.value.pointer(&trueup_model::provenance::pointer(&path))?.clone();
        let Kept { sources, .. } = resource.kept.as_deref()?;
        Some(Self { value, sources: sources.get(&path)?.clone() })
    }
}

fn copied(resources: &mut ResMap, source: &ReplacementSource) -> Option<Copied> {
    let ReplacementSource::Field { selector, path, .. } = source else { return None };
    let position = replacement::source_resource(resources, selector).ok()?;
    Copied::at(resources.get(position), path)
}

/// A field path of a replacement or var as the fields and positions that it leads through.
fn segments(value: &Value, path: &[String]) -> Option<Vec<Segment>> {
    let mut found = Vec::with_capacity(path.len());
    let mut here = value;
    for part in path.iter().filter(|part| !part.trim().is_empty()) {
        let next = lookup(here, slice::from_ref(part)).ok()??;
        match here {
            Value::Array(items) => {
                let position = items.iter().position(|item| std::ptr::eq(item, next))?;
                found.push(Segment::Index(position));
            }
            Value::Object(_) => found.push(Segment::Field(part.trim().to_owned())),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return None,
        }
        here = next;
    }
    Some(found)
}

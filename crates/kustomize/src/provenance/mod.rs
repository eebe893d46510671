//! Where each field of what is built was written, kept when asked for.
//!
//! In: the files as they are read, and the resources before and after each step. Out: beside each resource the
//! [`Provenance`] of its value. Nothing here changes a value, and without a [`Recorder`] nothing here runs: the steps know
//! nothing of it. What a step did is seen from outside, by comparing each resource with what it was, so a step that sets
//! what is there already leaves no trace.

mod files;
mod finish;
mod generated;
mod patch;
mod steps;

pub(crate) use files::Recorder;
pub(crate) use finish::{Vars, annotated, hashed, renamed};
pub(crate) use generated::begin_made;
pub(crate) use patch::PatchLines;

use crate::error::Place;
use crate::resmap::ResMap;
use crate::resource::Resource;
use std::sync::Arc;
use trueup_model::provenance::{Change, Provenance, Source};
use trueup_model::{Segment, Value};

/// The sources of a resource's value as it was when it was last looked at.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    seen: Value,
    sources: Provenance,
}

impl Kept {
    fn new(value: &Value, sources: Provenance) -> Self {
        Self { seen: value.clone(), sources }
    }
}

/// A value that a step put where it is.
fn source(place: &Place, by: &Arc<str>) -> Source {
    Source { file: place.file.as_str().into(), line: place.line.max(1), by: Some(Arc::clone(by)), from: None }
}

/// The same, made from what stood there before.
fn made_from(place: &Place, by: &Arc<str>, before: Option<(&Value, &Source)>) -> Source {
    Source { from: before.map(|(_, before)| Arc::new(before.clone())), ..source(place, by) }
}

/// Finds the sources of everything that is not what it was when it was last looked at.
fn observe(resources: &mut ResMap, find: &mut dyn FnMut(&Resource, &Change<'_>) -> Source) {
    for mut resource in resources.contents_mut() {
        let Some(kept) = resource.kept.take() else { continue };
        resource.kept = if kept.seen == resource.value {
            Some(kept)
        } else {
            let Kept { seen, sources } = *kept;
            let sources = sources.follow(&seen, &resource.value, &mut |change| find(&resource, change));
            Some(Box::new(Kept::new(&resource.value, sources)))
        };
    }
}

/// What became of a value without anyone's writing it: it stays with its source, or with that of its object.
fn as_it_was(resource: &Resource, change: &Change<'_>) -> Source {
    match change.before {
        Some((_, source)) => source.clone(),
        None => Source::written(&resource.origin.path.as_str().into(), resource.origin.line),
    }
}

/// Follows a generated resource that was merged with, or put in the place of, the one that was there.
pub(crate) fn absorbed(old: &Resource, merged: &mut Resource) {
    let (Some(old), Some(new)) = (&old.kept, merged.kept.take()) else { return };
    let sources = Provenance::of_value(&merged.value, &mut |change| {
        let pointer = trueup_model::provenance::pointer(change.path);
        let from = |kept: &Kept| {
            let same = kept.seen.pointer(&pointer) == Some(change.after);
            same.then(|| kept.sources.leaf(change.path).cloned()).flatten()
        };
        let found = from(old).or_else(|| from(&new)).or_else(|| encoded(old, &new, change));
        found.unwrap_or_else(|| as_it_was(merged, change))
    });
    merged.kept = Some(Box::new(Kept::new(&merged.value, sources)));
}

/// The source of plain text of a Secret that became data when a generator merged something with it.
fn encoded(old: &Kept, new: &Kept, change: &Change<'_>) -> Option<Source> {
    let [Segment::Field(_), key @ Segment::Field(_)] = change.path else { return None };
    let plain = old.sources.leaf(&[Segment::Field("stringData".to_owned()), key.clone()])?;
    let by = new.sources.leaf(&[Segment::Field("kind".to_owned())])?.by.clone();
    Some(Source { by, ..plain.clone() })
}

/// The sources of a finished resource.
pub(crate) fn take(resource: &mut Resource) -> Provenance {
    match resource.kept.take() {
        Some(kept) => kept.sources,
        None => Provenance::of_value(&resource.value, &mut |change| as_it_was(resource, change)),
    }
}

//! What is done once, over the resources of all folders: hashes behind names, references to them, vars, notes.

use super::steps::Copied;
use super::{as_it_was, observe, source};
use crate::config::Config;
use crate::error::Place;
use crate::fields::Text;
use crate::id::{self, GvkRef};
use crate::model::Variable;
use crate::resmap::ResMap;
use crate::resource::Resource;
use crate::variables;
use std::collections::BTreeMap;
use std::sync::Arc;
use trueup_model::Segment;
use trueup_model::provenance::{Change, Source};

/// Follows the names that get a hash behind them: they stay where they were written.
pub(crate) fn hashed(resources: &mut ResMap) {
    observe(resources, &mut as_it_was);
}

/// A resource that others may refer to.
struct Named<'r> {
    resource: &'r Resource,
    /// Where its name and its namespace come from.
    name: Option<Source>,
    namespace: Option<Source>,
}

/// Follows the names of other resources: they stand where they were written, and come from where those get theirs.
pub(crate) fn renamed(resources: &mut ResMap, config: &Config) {
    let by = Arc::from("name reference");
    let before = resources.clone();
    let mut named: BTreeMap<&str, Vec<Named<'_>>> = BTreeMap::new();
    for resource in before.iter().filter(|resource| !resource.previous.is_empty()) {
        let part = |field: &str| {
            let path = [Segment::Field("metadata".to_owned()), Segment::Field(field.to_owned())];
            resource.kept.as_ref()?.sources.leaf(&path).cloned()
        };
        let found = Named { resource, name: part("name"), namespace: part("namespace") };
        named.entry(resource.name()).or_default().push(found);
    }
    observe(resources, &mut |resource, change| {
        let here = as_it_was(resource, change);
        let place = Place::new(here.file.to_string(), here.line);
        let from = target_of(resource, change, config, &named);
        Source { from: from.map(Arc::new), ..source(&place, &by) }
    });
}

/// Where the name or namespace that a field took over comes from; nothing where several may be meant and they differ.
fn target_of(
    resource: &Resource,
    change: &Change<'_>,
    config: &Config,
    named: &BTreeMap<&str, Vec<Named<'_>>>,
) -> Option<Source> {
    let fields: Vec<&str> = change.path.iter().filter_map(Segment::as_field).collect();
    let is_namespace = fields.last() == Some(&"namespace");
    let now = change.after.as_str()?;
    // Of a reference with a namespace, the name tells which resource it is.
    let (parent, _) = change.path.split_at(change.path.len().saturating_sub(1));
    let name = if is_namespace {
        resource.value.pointer(&trueup_model::provenance::pointer(parent))?.get("name")?.as_str()?
    } else {
        now
    };
    let was = change.before.and_then(|(value, _)| value.as_str());
    let targets: Vec<_> = config
        .names
        .iter()
        .filter(|names| {
            names.fields.iter().any(|spec| {
                spec.gvk.selects(resource.original_id().gvk)
                    && spec.steps.len() <= fields.len()
                    && spec.steps.iter().zip(&fields).all(|(step, field)| step.field == *field)
            })
        })
        .map(|names| &names.target)
        .collect();
    let mut meant = named.get(name)?.iter().filter_map(|known| {
        let (group, version) = id::group_version(known.resource.api_version());
        let fits = known.resource.previous.iter().any(|earlier| {
            let same = if is_namespace { &earlier.namespace } else { &earlier.name };
            let gvk = GvkRef { group, version, kind: &earlier.kind };
            was.is_none_or(|was| was == same) && targets.iter().any(|target| target.selects(gvk))
        });
        let source = if is_namespace { &known.namespace } else { &known.name };
        if fits { source.as_ref() } else { None }
    });
    let first = meant.next()?;
    meant.all(|other| other == first).then(|| first.clone())
}

/// The value of each var with its source, before they are put in.
pub(crate) struct Vars(BTreeMap<String, (Place, Option<Source>)>);

impl Vars {
    pub(crate) fn find(resources: &ResMap, all: &BTreeMap<String, Variable>) -> Self {
        let found = all.values().map(|variable| {
            let named = resources.iter().find(|resource| resource.variables.contains(&variable.name));
            let path = variables::indices_apart(&variable.path);
            let value = named.and_then(|resource| Copied::at(resource, &path));
            let source = value.and_then(|value| value.sources.leaf(&[]).cloned());
            (variable.name.clone(), (Place::new(variable.file.clone(), variable.line), source))
        });
        Self(found.collect())
    }

    /// Follows the fields that hold vars.
    pub(crate) fn resolved(&self, resources: &mut ResMap) {
        let by = Arc::from("vars");
        observe(resources, &mut |resource, change| {
            let written = change.before.and_then(|(value, _)| value.as_str()).unwrap_or_default();
            let used =
                self.0.iter().filter_map(|(name, found)| Some((written.find(&format!("$({name})"))?, found)));
            match used.min_by_key(|(at, _)| *at) {
                Some((_, (place, value))) => {
                    Source { from: value.clone().map(Arc::new), ..source(place, &by) }
                }
                None => as_it_was(resource, change),
            }
        });
    }
}

/// Follows what `buildMetadata` adds; `wanted` are its entries.
pub(crate) fn annotated(resources: &mut ResMap, file: &str, wanted: &[Text]) {
    let by = Arc::from("buildMetadata");
    observe(resources, &mut |resource, change| {
        let option = match (change.before, change.path.last()) {
            (None, Some(Segment::Field(key))) => match key.as_str() {
                "app.kubernetes.io/managed-by" => "managedByLabel",
                "config.kubernetes.io/origin" => "originAnnotations",
                "alpha.config.kubernetes.io/transformations" => "transformerAnnotations",
                _ => return as_it_was(resource, change),
            },
            _ => return as_it_was(resource, change),
        };
        let line = wanted.iter().find(|text| text.value == option).map_or(1, |text| text.line);
        source(&Place::new(file, line), &by)
    });
}

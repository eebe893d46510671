//! The transformers of one kustomization as steps, in the order of kustomize.

use crate::build::{Build, Target};
use crate::config::{Config, Conflict, FieldSpec, add_field, merge_fields};
use crate::error::{Error, Place};
use crate::fields::{Reader, Text, Unknown};
use crate::generate::hash;
use crate::kustomization::ReplacementEntry;
use crate::merge::schema::Schema;
use crate::model::{ImageChange, LabelSet, PatchEntry, Replacement, ReplicaCount};
use crate::resmap::ResMap;
use crate::spelled::Spellings;
use crate::trace::TraceNote;
use crate::transform::namespace::{NamespaceChange, Subjects};
use crate::transform::patch::{Patch, Source, Via};
use crate::transform::prefix::Affix;
use crate::transform::{images, metadata, namespace, prefix, replacement, replicas, value_add};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use trueup_model::yaml::{self, Content};

/// What one step does.
pub(crate) enum Work {
    Patch(Box<Patch>),
    Namespace(NamespaceChange),
    Affix { affix: Affix, fields: Vec<FieldSpec> },
    Entries { entries: BTreeMap<String, String>, fields: Vec<FieldSpec> },
    Replicas { counts: Vec<ReplicaCount>, fields: Vec<FieldSpec> },
    Images { images: Vec<ImageChange>, fields: Vec<FieldSpec> },
    Replacements(Vec<Replacement>),
    ValueAdd { value: String, targets: Vec<value_add::Target> },
    Hashes,
    Nothing,
}

/// What steps may look at besides the resources.
pub(crate) struct Context<'c> {
    schema: &'c Schema,
    pub(crate) spellings: &'c Spellings<'c>,
    merged: Cell<bool>,
}

impl<'c> Context<'c> {
    pub(crate) fn new(schema: &'c Schema, spellings: &'c Spellings<'c>) -> Self {
        Self { schema, spellings, merged: Cell::new(false) }
    }

    /// The schema, for a merge.
    pub(crate) fn schema(&self) -> &'c Schema {
        self.merged.set(true);
        self.schema
    }

    /// Whether the schema was asked for.
    pub(crate) fn has_merged(&self) -> bool {
        self.merged.get()
    }
}

/// What asks for a step or a generator.
#[derive(Clone, Debug)]
pub(crate) enum By {
    /// A field of the kustomization.
    Field(&'static str),
    /// A configuration of its own, of this kind.
    Plugin(Rc<str>),
}

impl By {
    pub(crate) fn name(&self) -> Arc<str> {
        match self {
            Self::Field(field) => Arc::from(*field),
            Self::Plugin(kind) => Arc::from(&**kind),
        }
    }
}

/// A transformer, configured.
pub(crate) struct Step {
    pub(crate) work: Work,
    pub(crate) by: By,
    /// What configured it.
    pub(crate) place: Place,
    /// What it leaves on each resource, as often as `times` says.
    pub(crate) note: Option<Rc<TraceNote>>,
    pub(crate) times: usize,
}

impl Step {
    pub(crate) fn run(&self, resources: &mut ResMap, context: &Context<'_>, errors: &mut Vec<Error>) {
        let place = &self.place;
        match &self.work {
            Work::Patch(patch) => patch.apply(resources, context, errors),
            Work::Namespace(change) => namespace::set(resources, change, place, errors),
            Work::Affix { affix, fields } => prefix::add_affix(resources, affix, fields, place, errors),
            Work::Entries { entries, fields } => {
                metadata::add_entries(resources, entries, fields, place, errors);
            }
            Work::Replicas { counts, fields } => {
                replicas::set(resources, counts, fields, context.spellings, place, errors);
            }
            Work::Images { images, fields } => images::change(resources, images, fields, place, errors),
            Work::Replacements(replacements) => {
                replacement::replace(resources, replacements, context.spellings, place, errors);
            }
            Work::ValueAdd { value, targets } => value_add::add(resources, value, targets, place, errors),
            Work::Hashes => add_hashes(resources, errors),
            Work::Nothing => {}
        }
    }

    pub(crate) fn leave_notes(&self, resources: &mut ResMap) {
        let Some(note) = &self.note else { return };
        for mut resource in resources.contents_mut() {
            resource.unshare_annotations();
            for _ in 0..self.times {
                match &resource.source {
                    None => resource.source = Some(Rc::clone(note)),
                    Some(_) => resource.transformations.push(Rc::clone(note)),
                }
            }
        }
    }
}

/// Puts the hash of their content behind the names of generated resources.
pub(crate) fn add_hashes(resources: &mut ResMap, errors: &mut Vec<Error>) {
    if !resources.iter().any(|resource| resource.needs_hash) {
        return;
    }
    for mut resource in resources.each_mut().filter(|resource| resource.needs_hash) {
        match hash::suffix(&resource) {
            Some(suffix) => {
                resource.remember();
                let name = format!("{}-{suffix}", resource.name());
                resource.set_name(&name);
                resource.untype();
            }
            None => errors.push(Error::new(
                &Place::new(resource.origin.path.clone(), resource.origin.line),
                resource.id().to_string(),
                "only ConfigMaps and Secrets can be named by their content; set disableNameSuffixHash",
            )),
        }
    }
}

/// The steps of a kustomization's own fields.
pub(crate) fn configure(build: &mut Build, target: &Target<'_>, config: &Config) -> Vec<Step> {
    let mut steps = Vec::new();
    let kustomization = &target.kustomization;
    let step = |work: Work, field: &'static str, kind: &str, times: usize| Step {
        work,
        by: By::Field(field),
        place: kustomization.place(field),
        note: target.builtin_note(kind),
        times,
    };
    strategic_merges(build, target, &mut steps);
    for entry in &kustomization.patches {
        steps.extend(patch(build, target, entry, &kustomization.file, Via::Patches));
    }
    if !kustomization.namespace.is_empty() {
        let change = NamespaceChange {
            namespace: kustomization.namespace.clone(),
            fields: config.namespace.clone(),
            unset_only: false,
            subjects: Subjects::NamedDefault,
        };
        steps.push(step(Work::Namespace(change), "namespace", "NamespaceTransformer", 1));
    }
    if !kustomization.name_prefix.is_empty() {
        let affix = Affix::Before(kustomization.name_prefix.as_str().into());
        let work = Work::Affix { affix, fields: config.name_prefix.clone() };
        steps.push(step(work, "namePrefix", "PrefixTransformer", 1));
    }
    if !kustomization.name_suffix.is_empty() {
        let affix = Affix::After(kustomization.name_suffix.as_str().into());
        let work = Work::Affix { affix, fields: config.name_suffix.clone() };
        steps.push(step(work, "nameSuffix", "SuffixTransformer", 1));
    }
    labels(build, target, config, &mut steps);
    if !kustomization.common_annotations.is_empty() {
        let work = Work::Entries {
            entries: kustomization.common_annotations.clone(),
            fields: config.common_annotations.clone(),
        };
        steps.push(step(work, "commonAnnotations", "AnnotationsTransformer", 1));
    }
    for entry in &kustomization.patches_json6902 {
        steps.extend(patch(build, target, entry, &kustomization.file, Via::Json6902));
    }
    if !kustomization.replicas.is_empty() {
        let work = Work::Replicas { counts: kustomization.replicas.clone(), fields: config.replicas.clone() };
        steps.push(step(work, "replicas", "ReplicaCountTransformer", kustomization.replicas.len()));
    }
    if !kustomization.images.is_empty() {
        let work = Work::Images { images: kustomization.images.clone(), fields: config.images.clone() };
        steps.push(step(work, "images", "ImageTagTransformer", kustomization.images.len()));
    }
    if !kustomization.replacements.is_empty() {
        let work = Work::Replacements(replacements(build, target, &kustomization.replacements));
        steps.push(step(work, "replacements", "ReplacementTransformer", 1));
    }
    steps
}

fn labels(build: &mut Build, target: &Target<'_>, config: &Config, steps: &mut Vec<Step>) {
    let kustomization = &target.kustomization;
    if kustomization.labels.is_empty() && kustomization.common_labels.is_empty() {
        return;
    }
    let mut push = |entries: &BTreeMap<String, String>, fields: Vec<FieldSpec>, field: &'static str| {
        steps.push(Step {
            work: Work::Entries { entries: entries.clone(), fields },
            by: By::Field(field),
            place: kustomization.place(field),
            note: target.builtin_note("LabelTransformer"),
            times: 1,
        });
    };
    for labels in &kustomization.labels {
        match label_fields(labels, config) {
            Ok(fields) => push(&labels.pairs, fields, "labels"),
            Err(Conflict(message)) => {
                build.errors.push(Error::new(&kustomization.place("labels"), "labels", message));
            }
        }
    }
    push(&kustomization.common_labels, config.common_labels.clone(), "commonLabels");
}

fn label_fields(labels: &LabelSet, config: &Config) -> Result<Vec<FieldSpec>, Conflict> {
    let mut fields = labels.fields.clone();
    merge_fields(&mut fields, &config.labels)?;
    if labels.include_selectors {
        merge_fields(&mut fields, &config.common_labels)?;
        return Ok(fields);
    }
    if labels.include_templates {
        merge_fields(&mut fields, &config.template_labels)?;
    }
    if labels.include_volume_claim_templates {
        merge_fields(&mut fields, &config.volume_claim_template_labels)?;
    }
    add_field(&mut fields, &FieldSpec::of_all("metadata/labels", true))?;
    Ok(fields)
}

/// `patchesStrategicMerge`: one transformer for all of them.
fn strategic_merges(build: &mut Build, target: &Target<'_>, steps: &mut Vec<Step>) {
    let entries = &target.kustomization.patches_strategic_merge;
    let first = steps.len();
    let failed = build.errors.len();
    for (index, entry) in entries.iter().enumerate() {
        let field = format!("patchesStrategicMerge[{index}]");
        steps.extend(strategic_merge(build, target, entry, &target.at(entry.line), &field));
    }
    let empty = steps[first..].iter().all(|step| match &step.work {
        Work::Patch(patch) => patch.is_empty(),
        _ => true,
    });
    if !entries.is_empty() && empty && build.errors.len() == failed {
        build.errors.push(Error::new(
            &target.kustomization.place("patchesStrategicMerge"),
            "patchesStrategicMerge",
            "the patches are empty; write one or remove the field",
        ));
    }
    // The notes of one transformer, however many patches it has.
    for step in steps[first..].iter_mut().rev().skip(1) {
        step.note = None;
    }
}

/// One entry of `patchesStrategicMerge`: a patch, or the path of one.
pub(crate) fn strategic_merge(
    build: &mut Build,
    target: &Target<'_>,
    entry: &Text,
    place: &Place,
    field: &str,
) -> Option<Step> {
    let place = place.clone();
    let inline = entry.value.contains([':', '\n']);
    let (text, at) = if inline {
        (entry.value.clone(), place.clone())
    } else {
        let (file, text) = build.text_of(target, entry, field)?;
        (text, Place::new(file, 0))
    };
    let source = Source { text: &text, at, place: place.clone(), field };
    match Patch::read(&source, None, Via::StrategicMerge) {
        Ok(patch) => Some(Step {
            work: Work::Patch(Box::new(patch.with_lines(build.lines_of(&source)))),
            by: By::Field("patchesStrategicMerge"),
            place,
            note: target.builtin_note("PatchStrategicMergeTransformer"),
            times: 1,
        }),
        Err(errors) => {
            build.errors.extend(errors);
            None
        }
    }
}

/// One entry of `patches` or `patchesJson6902` in `file`.
pub(crate) fn patch(
    build: &mut Build,
    target: &Target<'_>,
    entry: &PatchEntry,
    file: &str,
    via: Via,
) -> Option<Step> {
    let place = Place::new(file, entry.line);
    let (list, kind) = match via {
        Via::Json6902 => ("patchesJson6902", "PatchJson6902Transformer"),
        Via::Patches | Via::StrategicMerge => ("patches", "PatchTransformer"),
    };
    let field = entry.field.as_str();
    let mut fail = |message: &str| build.errors.push(Error::new(&place, field, message));
    if via == Via::Json6902 && entry.target.as_ref().is_none_or(|target| target.name.is_empty()) {
        fail("has no target with a name; add one, such as target: {version: v1, kind: Service, name: web}");
        return None;
    }
    let inline = entry.patch.value.trim();
    let (text, at) = match (inline.is_empty(), entry.path.value.is_empty()) {
        (true, true) => {
            fail("has neither patch nor path; write the patch, or name the file that holds it");
            return None;
        }
        (false, false) => {
            fail("patch and path exclude each other; keep one of them");
            return None;
        }
        (false, true) => (inline.to_owned(), place.at(entry.patch.line)),
        (true, false) => {
            let (file, text) = build.text_of(target, &entry.path, &entry.field)?;
            (text, Place::new(file, 0))
        }
    };
    let source = Source { text: &text, at, place: place.clone(), field };
    match Patch::read(&source, entry.target.as_ref(), via) {
        Ok(patch) => {
            let patch = patch.allow(entry.allow_name_change, entry.allow_kind_change);
            Some(Step {
                work: Work::Patch(Box::new(patch.with_lines(build.lines_of(&source)))),
                by: By::Field(list),
                place,
                note: target.builtin_note(kind),
                times: 1,
            })
        }
        Err(errors) => {
            build.errors.extend(errors);
            None
        }
    }
}

/// The replacements of a list, those in files read.
pub(crate) fn replacements(
    build: &mut Build,
    target: &Target<'_>,
    entries: &[ReplacementEntry],
) -> Vec<Replacement> {
    let mut all = Vec::new();
    for entry in entries {
        match entry {
            ReplacementEntry::Inline(replacement) => all.push(Replacement::clone(replacement)),
            ReplacementEntry::File(path) => {
                let Some((file, text)) = build.text_of(target, path, "replacements") else { continue };
                match yaml::parse(&text) {
                    Err(error) => {
                        build.errors.push(Error::new(&Place::new(file, error.at.line), "", error.message));
                    }
                    Ok(nodes) => {
                        let mut reader =
                            Reader { file: &file, unknown: Unknown::PassOver, errors: &mut build.errors };
                        if nodes.is_empty() {
                            reader.complain(0, "", "holds no replacement; write one, or remove the path");
                        }
                        for node in nodes.iter().take(1) {
                            match &node.content {
                                Content::List(_) => {
                                    all.extend(reader.each(
                                        Some(node),
                                        "replacements",
                                        Replacement::read_node,
                                    ));
                                }
                                Content::Map(_) => all.push(Replacement::read_node(&mut reader, node, "")),
                                Content::Scalar(_) => {
                                    reader.complain(
                                        node.at.line,
                                        "",
                                        "must be a replacement or a list of them",
                                    );
                                }
                            }
                        }
                    }
                }
            }
        }
    }
    all
}

//! Patches, strategic and JSON, with their targets.

use super::complain;
use super::select::Matcher;
use crate::error::{Error, Place};
use crate::load::documents;
use crate::merge::json6902::{self, Operation};
use crate::merge::strategic::{Merge, Outcome};
use crate::model::Selector;
use crate::notes::{self, Kept};
use crate::provenance::PatchLines;
use crate::resmap::ResMap;
use crate::resource::{Resource, Text};
use crate::shared::Written;
use crate::spelled::{self, Brought, Quoted};
use crate::steps::Context;
use crate::text;
use serde_json::Map;
use trueup_model::Value;
use trueup_model::yaml::{self, Document, Reading};

/// What a patch is written as.
enum Content {
    /// Objects that are merged; more than one only without a target.
    Strategic(Vec<Resource>),
    Json(Vec<Operation>),
}

/// Where the patch was configured, which decides some details.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Via {
    /// `patches`, or a `PatchTransformer`.
    Patches,
    /// `patchesStrategicMerge`, or a `PatchStrategicMergeTransformer`.
    StrategicMerge,
    /// `patchesJson6902`, or a `PatchJson6902Transformer`.
    Json6902,
}

/// A patch, read and ready to be applied.
pub(crate) struct Patch {
    content: Content,
    /// Values of a strategic merge that are written otherwise than they print.
    written: Vec<(Value, String)>,
    /// Texts of a strategic merge in quotes.
    quoted: Vec<Quoted>,
    target: Option<Matcher>,
    via: Via,
    allow_name_change: bool,
    allow_kind_change: bool,
    place: Place,
    /// Where it was configured in that file, such as `patches[0]`.
    field: String,
    /// Its lines, in a build that keeps provenance.
    lines: Option<Box<PatchLines>>,
}

/// The text of a patch and where it stands.
pub(crate) struct Source<'s> {
    pub(crate) text: &'s str,
    /// The file and line of the text, for errors in it.
    pub(crate) at: Place,
    /// The place that configured the patch, for errors of applying it.
    pub(crate) place: Place,
    /// The field there.
    pub(crate) field: &'s str,
}

impl Patch {
    /// Reads a patch; a list is a JSON patch, everything else is merged.
    pub(crate) fn read(source: &Source<'_>, target: Option<&Selector>, via: Via) -> Result<Self, Vec<Error>> {
        let target =
            target.map(|selector| Matcher::new(selector, &source.place)).transpose().map_err(|e| vec![e])?;
        let mut content = read_content(source, via)?;
        let (written, quoted) = match &content {
            Content::Strategic(_) => {
                (spelled::odd_scalars(source.text), spelled::quoted_texts(source.text, source.at.line))
            }
            Content::Json(_) => (Vec::new(), Vec::new()),
        };
        if let Content::Strategic(patches) = &mut content {
            for patch in patches {
                write_annotations(&mut patch.value, &written);
            }
        }
        let patch = Self {
            content,
            written,
            quoted,
            target,
            via,
            allow_name_change: false,
            allow_kind_change: false,
            place: source.place.clone(),
            field: source.field.to_owned(),
            lines: None,
        };
        patch.check().map_err(|message| vec![Error::new(&source.place, source.field, message)])?;
        Ok(patch)
    }

    /// Lets the patch change the name or the kind of its targets.
    pub(crate) fn allow(mut self, name_change: bool, kind_change: bool) -> Self {
        self.allow_name_change = name_change;
        self.allow_kind_change = kind_change;
        self
    }

    /// Keeps the lines of the patch.
    pub(crate) fn with_lines(mut self, lines: Option<PatchLines>) -> Self {
        self.lines = lines.map(Box::new);
        self
    }

    /// The lines of the patch, where they are kept.
    pub(crate) fn lines(&self) -> Option<&PatchLines> {
        self.lines.as_deref()
    }

    fn check(&self) -> Result<(), &'static str> {
        match (&self.content, &self.target) {
            (Content::Json(_), None) => Err(
                "a JSON patch needs a target that says what it is for; add one, such as target: {kind: Deployment, name: web}",
            ),
            (Content::Strategic(patches), Some(_)) if patches.len() > 1 => {
                Err("a patch with a target must be one document; split it into several entries")
            }
            (Content::Json(operations), _) if operations.is_empty() && self.via == Via::Json6902 => {
                Err("the patch is empty; add an operation or remove the entry")
            }
            (Content::Json(_) | Content::Strategic(_), _) => Ok(()),
        }
    }

    /// How many documents or operations the patch has.
    pub(crate) fn is_empty(&self) -> bool {
        match &self.content {
            Content::Strategic(patches) => patches.is_empty(),
            Content::Json(operations) => operations.is_empty(),
        }
    }

    /// Applies the patch to its targets.
    pub(crate) fn apply(&self, resources: &mut ResMap, context: &Context<'_>, errors: &mut Vec<Error>) {
        match &self.content {
            Content::Json(operations) => self.apply_json(resources, operations, errors),
            Content::Strategic(patches) => match &self.target {
                Some(target) => {
                    let Some(patch) = patches.first() else { return };
                    let positions = target.select(resources);
                    self.merge_into(resources, &positions, patch, context, errors);
                }
                None => {
                    for patch in patches {
                        match self.named_target(resources, patch) {
                            Ok(position) => self.merge_into(resources, &[position], patch, context, errors),
                            Err(error) => errors.push(error),
                        }
                    }
                }
            },
        }
    }

    /// The one resource that is, or once was, called as the patch is.
    fn named_target(&self, resources: &mut ResMap, patch: &Resource) -> Result<usize, Error> {
        let id = patch.id();
        let found = resources.with_any_id(&id);
        match found.as_slice() {
            [position] => Ok(*position),
            [] => {
                let near = resources.with_name(patch.name());
                let hint = near.first().map_or_else(String::new, |position| {
                    format!(
                        "; there is {}, compare apiVersion, kind and namespace",
                        resources.get(*position).id()
                    )
                });
                Err(self.complain_of(patch, format!("no resource is called {id}{hint}")))
            }
            several => {
                let names: Vec<String> = several.iter().map(|p| resources.get(*p).id().to_string()).collect();
                Err(self.complain_of(
                    patch,
                    format!(
                        "{} resources are or were called {id}: {}; use a target",
                        several.len(),
                        names.join(", ")
                    ),
                ))
            }
        }
    }

    /// A message about a resource, with the entry that it comes from.
    fn named(&self, message: String) -> String {
        if self.field.is_empty() { message } else { format!("{}: {message}", self.field) }
    }

    fn complain_of(&self, patch: &Resource, message: String) -> Error {
        let at = Place::new(patch.origin.path.clone(), patch.origin.line);
        Error::new(if at.file.is_empty() { &self.place } else { &at }, self.field.as_str(), message)
    }

    fn merge_into(
        &self,
        resources: &mut ResMap,
        positions: &[usize],
        patch: &Resource,
        context: &Context<'_>,
        errors: &mut Vec<Error>,
    ) {
        let several = self.target.is_some() || self.via == Via::StrategicMerge;
        let anew: &[&str] = if several {
            &["labels", "annotations"]
        } else if self.allow_name_change || self.allow_kind_change {
            // What is allowed is noted in the annotations, which are written anew for it.
            &["annotations"]
        } else {
            &[]
        };
        let prepared = (!anew.is_empty()).then(|| as_kustomize_copies(&patch.value, anew, &self.written));
        let text = prepared.as_ref().unwrap_or(&patch.value);
        let brought = Brought::new(&self.quoted, patch.origin.line, anew, text);
        let mut goes = false;
        for position in positions {
            let mut value = prepared.as_ref().unwrap_or(&patch.value).clone();
            if several && let Some(fields) = value.as_object_mut() {
                fields.insert("apiVersion".to_owned(), Value::from(resources.get(*position).api_version()));
            }
            let merged = resources.change(*position, |resource| {
                let quotes = brought.parted(&resource.value);
                let outcome = self.merge_one(resource, &value, context);
                resource.note_quotes(quotes);
                outcome
            });
            match merged {
                Ok(Outcome::Stays) => {}
                Ok(Outcome::Goes) => goes = true,
                Err(message) => {
                    let resource = resources.get(*position);
                    let mut error = complain(&self.place, resource, self.named(message));
                    if !patch.origin.path.is_empty() {
                        error.file.clone_from(&patch.origin.path);
                        error.line = patch.origin.line;
                    }
                    errors.push(error);
                }
            }
        }
        if goes {
            resources.retain(|resource| !resource.value.is_null());
        }
        // Who has a target, or several patches, puts the list of resources together anew.
        if several && let Some(id) = resources.doubled() {
            errors.push(Error::new(
                &self.place,
                self.field.as_str(),
                format!("two resources are called {id} then"),
            ));
        }
    }

    fn merge_one(
        &self,
        resource: &mut Resource,
        patch: &Value,
        context: &Context<'_>,
    ) -> Result<Outcome, String> {
        // A kind that is null counts as the word from here on, though it prints as it did.
        let null = resource.value.get("kind").is_some_and(Value::is_null);
        let kind = if null { "null" } else { resource.kind() };
        let kept = [resource.name().to_owned(), resource.namespace().to_owned(), kind.to_owned()];
        if self.allow_name_change || self.allow_kind_change {
            resource.remember();
        }
        resource.quote_made();
        resource.quote_bare();
        let bare = context.spellings.mark_bare(resource);
        let quoted = context.spellings.mark_quoted(resource, patch, &self.written);
        let merge = Merge { schema: context.schema(), bare, written: &self.written };
        if resource.with_notes(|value| merge.object(value, patch), Kept::None)? == Outcome::Goes {
            resource.value = Value::Null.into();
            return Ok(Outcome::Goes);
        }
        if bare || quoted {
            spelled::unmark(&mut resource.value);
        }
        resource.write_identity_as_text();
        resource.unshare_replaced(patch);
        resource.settle_shared(Written::InPlace);
        let [name, namespace, kind] = kept;
        if !self.allow_kind_change && resource.kind() != kind {
            resource.set_kind(&kind);
            resource.untyped.kind |= null;
        }
        if !self.allow_name_change && resource.name() != name {
            resource.set_name(&name);
        }
        if resource.namespace() != namespace {
            resource.set_namespace(&namespace);
        }
        resource.untype();
        resource.check_names()?;
        Ok(Outcome::Stays)
    }

    fn apply_json(&self, resources: &mut ResMap, operations: &[Operation], errors: &mut Vec<Error>) {
        let Some(target) = &self.target else { return };
        for position in target.select(resources) {
            let result = resources.change(position, |resource| {
                if self.via == Via::Patches {
                    resource.remember();
                }
                resource.show_untyped();
                resource.with_notes(|value| json6902::apply(value, operations), Kept::Identity)?;
                notes::write_as_text(&mut resource.value, "annotations", &[]);
                resource.text = Text::Json;
                resource.made.clear();
                resource.quoted.clear();
                resource.bare.clear();
                resource.write_identity_as_text();
                resource.shared.clear();
                resource.check_names()
            });
            if let Err(message) = result {
                errors.push(complain(&self.place, resources.get(position), self.named(message)));
            }
        }
    }
}

/// Annotations are texts in the end, as they are written; null takes one away.
fn write_annotations(patch: &mut Value, written: &[(Value, String)]) {
    let annotations = patch.get_mut("metadata").and_then(|metadata| metadata.get_mut("annotations"));
    for entry in annotations.and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut) {
        if let Some((_, text)) = written.iter().find(|(value, _)| value == entry) {
            *entry = Value::from(text.as_str());
        } else if entry.is_number() || entry.is_boolean() {
            *entry = Value::String(text::or_empty(Some(entry)).into_owned());
        }
    }
}

/// Labels and annotations become text, and empty ones disappear, as when kustomize copies a patch.
fn as_kustomize_copies(patch: &Value, fields: &[&str], written: &[(Value, String)]) -> Value {
    let mut patch = patch.clone();
    for field in fields {
        notes::write_as_text(&mut patch, field, written);
    }
    patch
}

fn read_content(source: &Source<'_>, via: Via) -> Result<Content, Vec<Error>> {
    let first = read_documents(source, documents::RESOURCES)?;
    if !matches!(first.first(), Some(Document { value: Value::Array(_), .. })) {
        if via == Via::Json6902 {
            let message = "a JSON patch is a list of operations, this is none; write one, or use patches";
            return Err(vec![Error::new(&source.at, source.field, message)]);
        }
        return documents::resources_of(first, &source.at).map(Content::Strategic);
    }
    if via == Via::StrategicMerge {
        let message = "a JSON patch belongs in patches, not in patchesStrategicMerge";
        return Err(vec![Error::new(&source.at, source.field, message)]);
    }
    // A text that begins as JSON does is read as JSON, not as YAML in which it would be a flow sequence.
    if source.text.starts_with('[')
        && let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(source.text)
    {
        let at = source.at.at(source.at.line + error.line().saturating_sub(1));
        let message = "a patch that begins with [ is read as JSON, which this is not: use JSON, or YAML with one - an operation";
        return Err(vec![Error::new(&at, source.field, format!("{message} ({error})"))]);
    }
    // Operations are read as kustomize reads its own files, other words being booleans there.
    let operations =
        read_documents(source, documents::OWN_FILES)?.into_iter().next().map(|document| document.value);
    json6902::operations(operations.as_ref().and_then(Value::as_array).map_or(&[][..], Vec::as_slice))
        .map(Content::Json)
        .map_err(|message| vec![Error::new(&source.at, source.field, message)])
}

fn read_documents(source: &Source<'_>, reading: Reading) -> Result<Vec<Document>, Vec<Error>> {
    yaml::documents_as(source.text, reading).map_err(|error| {
        let line = error.at.line + source.at.line.saturating_sub(1);
        vec![Error::new(&source.at.at(line), source.field, error.message)]
    })
}

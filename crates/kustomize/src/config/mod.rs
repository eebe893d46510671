//! Which fields the transformers write to, and which fields hold names: the default tables and what
//! `configurations` and `crds` add to them.
//!
//! Source: kustomize 5.8, `api/internal/plugins/builtinconfig`.

mod tables;

use crate::error::{Error, Place};
use crate::fields::{Reader, Unknown};
use crate::id::{Gvk, GvkRef};
use crate::model::field_spec;
use crate::order::kind_order;
use crate::path;
use std::cmp::Ordering;
use std::sync::Arc;
use trueup_model::yaml::Node;

pub(crate) use tables::defaults;

/// One step of a field spec's path: a field, whose list's items are meant when `items` is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) field: String,
    pub(crate) items: bool,
}

/// A field of objects of some kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FieldSpec {
    pub(crate) gvk: Gvk,
    pub(crate) path: String,
    pub(crate) steps: Vec<Step>,
    /// Make the field where it is missing.
    pub(crate) create: bool,
}

impl FieldSpec {
    pub(crate) fn new(gvk: Gvk, path: &str, create: bool) -> Self {
        let step = |part: String| match part.strip_suffix("[]") {
            Some(field) => Step { field: field.to_owned(), items: true },
            None => Step { field: part, items: false },
        };
        let steps = path::split(path, '/').into_iter().map(step).collect();
        Self { gvk, path: path.to_owned(), steps, create }
    }

    /// A field of every object.
    pub(crate) fn of_all(path: &str, create: bool) -> Self {
        Self::new(Gvk::default(), path, create)
    }
}

/// The fields that name objects of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NameReference {
    /// What is named; may be a kind alone.
    pub(crate) target: Gvk,
    pub(crate) fields: Vec<FieldSpec>,
}

/// All tables. Those of a base and of its overlay are merged on the way up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) name_prefix: Vec<FieldSpec>,
    pub(crate) name_suffix: Vec<FieldSpec>,
    pub(crate) namespace: Vec<FieldSpec>,
    pub(crate) common_labels: Vec<FieldSpec>,
    pub(crate) labels: Vec<FieldSpec>,
    pub(crate) template_labels: Vec<FieldSpec>,
    pub(crate) volume_claim_template_labels: Vec<FieldSpec>,
    pub(crate) common_annotations: Vec<FieldSpec>,
    pub(crate) images: Vec<FieldSpec>,
    pub(crate) replicas: Vec<FieldSpec>,
    pub(crate) variables: Vec<FieldSpec>,
    pub(crate) names: Vec<NameReference>,
}

/// Two tables that give the same field with different `create`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Conflict(pub(crate) String);

impl Config {
    /// Adds what `other` says and this does not.
    pub(crate) fn merge(&mut self, other: &Self) -> Result<(), Conflict> {
        for (mine, theirs) in self.tables_mut().into_iter().zip(other.tables()) {
            merge_fields(mine, theirs)?;
        }
        for reference in &other.names {
            self.add_reference(reference)?;
        }
        self.sort();
        Ok(())
    }

    /// Adds the fields that name objects of a kind.
    pub(crate) fn add_reference(&mut self, reference: &NameReference) -> Result<(), Conflict> {
        if let Some(known) = self.names.iter_mut().find(|known| known.target == reference.target) {
            merge_fields(&mut known.fields, &reference.fields)
        } else {
            self.names.push(reference.clone());
            Ok(())
        }
    }

    fn tables(&self) -> [&Vec<FieldSpec>; 11] {
        [
            &self.name_prefix,
            &self.name_suffix,
            &self.namespace,
            &self.common_labels,
            &self.labels,
            &self.template_labels,
            &self.volume_claim_template_labels,
            &self.common_annotations,
            &self.images,
            &self.replicas,
            &self.variables,
        ]
    }

    fn tables_mut(&mut self) -> [&mut Vec<FieldSpec>; 11] {
        [
            &mut self.name_prefix,
            &mut self.name_suffix,
            &mut self.namespace,
            &mut self.common_labels,
            &mut self.labels,
            &mut self.template_labels,
            &mut self.volume_claim_template_labels,
            &mut self.common_annotations,
            &mut self.images,
            &mut self.replicas,
            &mut self.variables,
        ]
    }

    /// The order that kustomize gives its tables: namespaces and the like first, then by name.
    pub(crate) fn sort(&mut self) {
        for table in self.tables_mut() {
            table.sort_by(|a, b| compare(a.gvk.as_ref(), b.gvk.as_ref()));
        }
        self.names.sort_by(|a, b| compare(a.target.as_ref(), b.target.as_ref()));
    }

    /// Reads a file of `configurations`.
    pub(crate) fn read(file: &str, node: &Node, errors: &mut Vec<Error>) -> Self {
        let mut reader = Reader { file, unknown: Unknown::Refuse, errors };
        let object = reader.object(
            node,
            "",
            &[
                "namePrefix",
                "nameSuffix",
                "namespace",
                "commonLabels",
                "labels",
                "templateLabels",
                "volumeClaimTemplateLabels",
                "commonAnnotations",
                "images",
                "replicas",
                "varReference",
                "nameReference",
            ],
        );
        let mut table = |field: &'static str| reader.each(object.get(field), field, field_spec);
        let mut config = Self {
            name_prefix: table("namePrefix"),
            name_suffix: table("nameSuffix"),
            namespace: table("namespace"),
            common_labels: table("commonLabels"),
            labels: table("labels"),
            template_labels: table("templateLabels"),
            volume_claim_template_labels: table("volumeClaimTemplateLabels"),
            common_annotations: table("commonAnnotations"),
            images: table("images"),
            replicas: table("replicas"),
            variables: table("varReference"),
            names: Vec::new(),
        };
        config.names = reader.each(object.get("nameReference"), "nameReference", name_reference);
        config.sort();
        config
    }
}

fn name_reference(reader: &mut Reader<'_>, node: &Node, field: &str) -> NameReference {
    let object = reader.object(node, field, &["group", "version", "kind", "fieldSpecs"]);
    NameReference {
        target: Gvk {
            group: reader.string(object.get("group"), field),
            version: reader.string(object.get("version"), field),
            kind: reader.string(object.get("kind"), field),
        },
        fields: reader.each(object.get("fieldSpecs"), &format!("{field}.fieldSpecs"), field_spec),
    }
}

/// Adds each field of `theirs` that no field of `mine` covers.
pub(crate) fn merge_fields(mine: &mut Vec<FieldSpec>, theirs: &[FieldSpec]) -> Result<(), Conflict> {
    for field in theirs {
        add_field(mine, field)?;
    }
    Ok(())
}

/// Adds one field unless one of the same path and of a kind that it selects is there.
pub(crate) fn add_field(fields: &mut Vec<FieldSpec>, field: &FieldSpec) -> Result<(), Conflict> {
    match fields.iter().find(|known| known.path == field.path && field.gvk.selects(known.gvk.as_ref())) {
        Some(known) if known.create != field.create => Err(Conflict(format!(
            "the field {} is configured twice, with create and without; decide for one",
            field.path
        ))),
        Some(_) => Ok(()),
        None => {
            fields.push(field.clone());
            Ok(())
        }
    }
}

fn compare(a: GvkRef<'_>, b: GvkRef<'_>) -> Ordering {
    kind_order(a.kind).cmp(&kind_order(b.kind)).then_with(|| stable_name(a).cmp(&stable_name(b)))
}

fn stable_name(gvk: GvkRef<'_>) -> String {
    let or = |text: &str, none: &str| if text.is_empty() { none.to_owned() } else { text.to_owned() };
    format!("{}_{}_{}", or(gvk.group, "~G"), or(gvk.version, "~V"), or(gvk.kind, "~K"))
}

/// A config that may be shared by many folders: merging equal ones costs nothing.
pub(crate) fn merge_shared(into: &mut Arc<Config>, other: &Arc<Config>, place: &Place) -> Result<(), Error> {
    if Arc::ptr_eq(into, other) {
        return Ok(());
    }
    if **into == Config::default() && Arc::ptr_eq(other, &defaults()) {
        // Merging them into nothing gives themselves; merging others does not, for a general field covers a special one.
        *into = Arc::clone(other);
        return Ok(());
    }
    Arc::make_mut(into).merge(other).map_err(|Conflict(message)| Error::new(place, "configurations", message))
}

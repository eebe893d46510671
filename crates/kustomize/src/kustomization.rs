//! A kustomization file as it was written: every field of `Kustomization` and `Component`, typed, with
//! lines; older spellings put in their present place.
//!
//! Source: the types of kustomize 5.8 (`api/types/kustomization.go`).

use crate::charts::{self, HelmChart};
use crate::error::{Error, Place};
use crate::fields::{Object, Reader, Text, Unknown, nearest};
use crate::load::documents::OWN_FILES;
use crate::model::{
    GeneratorOptions, ImageChange, KeyValueSources, LabelSet, MapGenerator, PatchEntry, Replacement,
    ReplicaCount, SortOptions, Variable,
};
use std::collections::BTreeMap;
use trueup_model::yaml::{self, Node};

/// `Kustomization` or `Component`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    #[default]
    Kustomization,
    Component,
}

/// An entry of `replacements`: written out, or in a file of its own.
#[derive(Clone, Debug)]
pub(crate) enum ReplacementEntry {
    Inline(Box<Replacement>),
    File(Text),
}

/// Everything that a kustomization file says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kustomization {
    /// The file's path below the repository's root.
    pub(crate) file: String,
    pub(crate) kind: Kind,
    pub(crate) openapi_path: Option<Text>,
    pub(crate) openapi_version: Option<Text>,
    pub(crate) name_prefix: String,
    pub(crate) name_suffix: String,
    pub(crate) namespace: String,
    pub(crate) common_labels: BTreeMap<String, String>,
    pub(crate) labels: Vec<LabelSet>,
    pub(crate) common_annotations: BTreeMap<String, String>,
    pub(crate) patches_strategic_merge: Vec<Text>,
    pub(crate) patches_json6902: Vec<PatchEntry>,
    pub(crate) patches: Vec<PatchEntry>,
    pub(crate) images: Vec<ImageChange>,
    pub(crate) replacements: Vec<ReplacementEntry>,
    pub(crate) replicas: Vec<ReplicaCount>,
    pub(crate) vars: Vec<Variable>,
    pub(crate) sort_options: Option<SortOptions>,
    pub(crate) resources: Vec<Text>,
    pub(crate) components: Vec<Text>,
    pub(crate) crds: Vec<Text>,
    pub(crate) config_map_generator: Vec<MapGenerator>,
    pub(crate) secret_generator: Vec<MapGenerator>,
    pub(crate) helm_charts: Vec<HelmChart>,
    pub(crate) generator_options: Option<GeneratorOptions>,
    pub(crate) configurations: Vec<Text>,
    pub(crate) generators: Vec<Text>,
    pub(crate) transformers: Vec<Text>,
    pub(crate) validators: Vec<Text>,
    pub(crate) build_metadata: Vec<Text>,
    /// Lines of the fields that stand for one transformer, for errors of that transformer.
    pub(crate) lines: BTreeMap<&'static str, usize>,
}

const FIELDS: &[&str] = &[
    "apiVersion",
    "bases",
    "buildMetadata",
    "commonAnnotations",
    "commonLabels",
    "components",
    "configMapGenerator",
    "configurations",
    "crds",
    "generatorOptions",
    "generators",
    "helmChartInflationGenerator",
    "helmCharts",
    "helmGlobals",
    "imageTags",
    "images",
    "kind",
    "labels",
    "metadata",
    "namePrefix",
    "nameSuffix",
    "namespace",
    "openapi",
    "patches",
    "patchesJson6902",
    "patchesStrategicMerge",
    "replacements",
    "replicas",
    "resources",
    "secretGenerator",
    "sortOptions",
    "transformers",
    "validators",
    "vars",
];

/// Fields that say what the file is, not what it does.
const HEADER: &[&str] = &["apiVersion", "kind"];

impl Kustomization {
    /// Reads the text of a kustomization file. Complaints go to `errors`; `None` when nothing can be made of it. Where
    /// there are any, only what it names is left, so that it can be looked at, too.
    pub(crate) fn parse(file: &str, text: &str, errors: &mut Vec<Error>) -> Option<Self> {
        let node = match yaml::parse_as(text, OWN_FILES) {
            Ok(documents) => documents.into_iter().next(),
            Err(error) => {
                errors.push(Error::new(&Place::new(file, error.at.line), "", error.message));
                return None;
            }
        };
        let Some(node) = node else {
            errors.push(Error::new(&Place::new(file, 0), "", EMPTY));
            return None;
        };
        let known = errors.len();
        let mut reader = Reader { file, unknown: Unknown::Refuse, errors };
        let read = read(&mut reader, &node);
        Some(if errors.len() == known { read } else { read.named() })
    }

    /// The same without what it does.
    fn named(self) -> Self {
        Self {
            file: self.file,
            kind: self.kind,
            openapi_path: self.openapi_path,
            resources: self.resources,
            components: self.components,
            crds: self.crds,
            configurations: self.configurations,
            ..Self::default()
        }
    }

    /// The line of the field that a transformer was configured by.
    pub(crate) fn place(&self, field: &str) -> Place {
        Place::new(self.file.clone(), self.lines.get(field).copied().unwrap_or_default())
    }
}

const EMPTY: &str = "the kustomization is empty; name at least one field, such as resources";

fn read(reader: &mut Reader<'_>, node: &Node) -> Kustomization {
    let object = reader.object(node, "", FIELDS);
    let kind = kind(reader, &object);
    refuse_old_charts(reader, &object);
    let says_something = FIELDS
        .iter()
        .any(|field| !HEADER.contains(field) && object.get(field).is_some_and(|node| !is_nothing(node)));
    if !says_something {
        reader.complain(object.line, "", EMPTY);
    }
    let mut read = Kustomization { file: reader.file.to_owned(), kind, ..Kustomization::default() };
    for field in FIELDS {
        if let Some(line) = object.line_of(field) {
            read.lines.insert(field, line);
        }
    }
    sources(reader, &object, &mut read);
    transformers(reader, &object, &mut read);
    generators(reader, &object, &mut read);
    read
}

/// True for null and for what Go leaves as it was: an empty list keeps a field "set", null does not.
fn is_nothing(node: &Node) -> bool {
    node.is_null() || node.as_str() == Some("")
}

fn kind(reader: &mut Reader<'_>, object: &Object<'_>) -> Kind {
    let written = reader.text(object.get("kind"), "kind");
    let kind = match written.value.as_str() {
        "" | "Kustomization" => Kind::Kustomization,
        "Component" => Kind::Component,
        other => {
            let known = ["Kustomization", "Component"];
            let near =
                nearest(other, &known).map_or_else(String::new, |near| format!("; did you mean {near}?"));
            let message = format!("must be Kustomization or Component, not {other:?}{near}");
            reader.complain(written.line, "kind", message);
            return Kind::Kustomization;
        }
    };
    let wanted = match kind {
        Kind::Kustomization => "kustomize.config.k8s.io/v1beta1",
        Kind::Component => "kustomize.config.k8s.io/v1alpha1",
    };
    let version = reader.text(object.get("apiVersion"), "apiVersion");
    if !version.value.is_empty() && version.value != wanted {
        reader.complain(
            version.line,
            "apiVersion",
            format!("must be {wanted} for this kind, not {:?}", version.value),
        );
    }
    kind
}

/// The older spelling of `helmCharts`, whose fields have other names.
const OLD_CHARTS: &str = "helmChartInflationGenerator";

fn refuse_old_charts(reader: &mut Reader<'_>, object: &Object<'_>) {
    if let (Some(node), Some(line)) = (object.get(OLD_CHARTS), object.line_of(OLD_CHARTS))
        && !is_nothing(node)
    {
        reader.complain(
            line,
            OLD_CHARTS,
            "is not read any more; `kustomize edit fix` writes helmCharts and helmGlobals instead of it",
        );
    }
}

fn helm_charts(reader: &mut Reader<'_>, object: &Object<'_>) -> Vec<HelmChart> {
    let globals = reader.optional(object.get("helmGlobals"), "helmGlobals", |reader, node, field| {
        let object = reader.object(node, field, &["chartHome", "configHome"]);
        charts::read_home(reader, &object, field)
    });
    let home = globals.unwrap_or_default();
    let read = reader.each(object.get("helmCharts"), "helmCharts", HelmChart::read);
    read.into_iter().map(|chart| chart.at_home(&home)).collect()
}

fn sources(reader: &mut Reader<'_>, object: &Object<'_>, read: &mut Kustomization) {
    read.resources = reader.texts(object.get("resources"), "resources");
    read.resources.extend(reader.texts(object.get("bases"), "bases"));
    read.components = reader.texts(object.get("components"), "components");
    read.crds = reader.texts(object.get("crds"), "crds");
    read.configurations = reader.texts(object.get("configurations"), "configurations");
    read.generators = reader.texts(object.get("generators"), "generators");
    read.transformers = reader.texts(object.get("transformers"), "transformers");
    read.validators = reader.texts(object.get("validators"), "validators");
    read.build_metadata = reader.texts(object.get("buildMetadata"), "buildMetadata");
    if let Some(node) = object.get("metadata") {
        let metadata = reader.object(node, "metadata", &["name", "namespace", "labels", "annotations"]);
        reader.string(metadata.get("name"), "metadata.name");
        reader.string(metadata.get("namespace"), "metadata.namespace");
        reader.string_map(metadata.get("labels"), "metadata.labels");
        reader.string_map(metadata.get("annotations"), "metadata.annotations");
    }
    if let Some(node) = object.get("openapi") {
        let openapi = reader.object(node, "openapi", &["path", "version"]);
        read.openapi_path = openapi.get("path").map(|node| reader.text(Some(node), "openapi.path"));
        read.openapi_version = openapi.get("version").map(|node| reader.text(Some(node), "openapi.version"));
    }
}

fn transformers(reader: &mut Reader<'_>, object: &Object<'_>, read: &mut Kustomization) {
    read.name_prefix = reader.string(object.get("namePrefix"), "namePrefix");
    read.name_suffix = reader.string(object.get("nameSuffix"), "nameSuffix");
    read.namespace = reader.string(object.get("namespace"), "namespace");
    read.common_labels = reader.string_map(object.get("commonLabels"), "commonLabels");
    read.labels = reader.each(object.get("labels"), "labels", LabelSet::read);
    read.common_annotations = reader.string_map(object.get("commonAnnotations"), "commonAnnotations");
    read.patches_strategic_merge = reader.texts(object.get("patchesStrategicMerge"), "patchesStrategicMerge");
    read.patches_json6902 = reader.each(object.get("patchesJson6902"), "patchesJson6902", PatchEntry::read);
    read.patches = reader.each(object.get("patches"), "patches", PatchEntry::read);
    read.images = reader.each(object.get("images"), "images", ImageChange::read);
    read.images.extend(reader.each(object.get("imageTags"), "imageTags", ImageChange::read));
    read.replicas = reader.each(object.get("replicas"), "replicas", ReplicaCount::read);
    read.replacements = reader.each(object.get("replacements"), "replacements", replacement_entry);
    read.vars = reader.each(object.get("vars"), "vars", Variable::read);
    read.sort_options = reader.optional(object.get("sortOptions"), "sortOptions", SortOptions::read);
}

/// An entry of `replacements`, in a kustomization or in a `ReplacementTransformer`.
pub(crate) fn replacement_entry(reader: &mut Reader<'_>, node: &Node, field: &str) -> ReplacementEntry {
    let object = reader.object(node, field, &["path", "source", "targets", "sourceValue"]);
    let path = reader.text(object.get("path"), field);
    if path.value.is_empty() {
        return ReplacementEntry::Inline(Box::new(Replacement::read(reader, &object, field)));
    }
    if object.get("source").is_some() || object.get("targets").is_some() {
        reader.complain(
            object.line,
            field,
            "path and an inline replacement exclude each other; keep one of them",
        );
    }
    ReplacementEntry::File(path)
}

fn generators(reader: &mut Reader<'_>, object: &Object<'_>, read: &mut Kustomization) {
    read.generator_options =
        reader.optional(object.get("generatorOptions"), "generatorOptions", GeneratorOptions::read);
    read.config_map_generator =
        reader.each(object.get("configMapGenerator"), "configMapGenerator", MapGenerator::read_config_map);
    read.secret_generator =
        reader.each(object.get("secretGenerator"), "secretGenerator", MapGenerator::read_secret);
    read.helm_charts = helm_charts(reader, object);
    if let Some(options) = &read.generator_options {
        for generator in read.config_map_generator.iter_mut().chain(&mut read.secret_generator) {
            generator.inherit(options);
        }
    }
}

impl KeyValueSources {
    /// The fields of a generator that name where its data comes from.
    pub(crate) fn read(reader: &mut Reader<'_>, object: &Object<'_>, field: &str) -> Self {
        let mut envs = reader.texts(object.get("envs"), field);
        let env = reader.text(object.get("env"), field);
        if !env.value.is_empty() {
            envs.push(env);
        }
        Self {
            literals: reader.texts(object.get("literals"), field),
            files: reader.texts(object.get("files"), field),
            envs,
        }
    }
}

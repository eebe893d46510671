//! The entries of a kustomization's lists: patches, images, generators, replacements and the like. The
//! builtin generators and transformers are configured with the same types.

use crate::config::FieldSpec;
use crate::fields::{Object, Reader, Text};
use crate::id::{Gvk, group_version};
use crate::path;
use crate::resource::Behavior;
use std::collections::BTreeMap;
use trueup_model::yaml::Node;

/// Which resources something applies to. Empty parts select everything; in patches and in the targets of
/// replacements the parts are regular expressions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Selector {
    pub(crate) gvk: Gvk,
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) labels: String,
    pub(crate) annotations: String,
    pub(crate) line: usize,
    /// Where it stands in its file, such as `patches[0].target`.
    pub(crate) field: String,
}

impl Selector {
    pub(crate) fn read(reader: &mut Reader<'_>, node: &Node, field: &str) -> Self {
        let object = reader.object(
            node,
            field,
            &["group", "version", "kind", "name", "namespace", "labelSelector", "annotationSelector"],
        );
        Self {
            gvk: gvk(reader, &object, field),
            name: reader.string(object.get("name"), &below(field, "name")),
            namespace: reader.string(object.get("namespace"), &below(field, "namespace")),
            labels: reader.string(object.get("labelSelector"), &below(field, "labelSelector")),
            annotations: reader.string(object.get("annotationSelector"), &below(field, "annotationSelector")),
            line: object.line,
            field: field.to_owned(),
        }
    }
}

/// A field of a field; what stands at the top of its file has no name.
fn below(field: &str, name: &str) -> String {
    if field.is_empty() { name.to_owned() } else { format!("{field}.{name}") }
}

fn gvk(reader: &mut Reader<'_>, object: &Object<'_>, field: &str) -> Gvk {
    Gvk {
        group: reader.string(object.get("group"), &below(field, "group")),
        version: reader.string(object.get("version"), &below(field, "version")),
        kind: reader.string(object.get("kind"), &below(field, "kind")),
    }
}

/// An entry of `patches` or `patchesJson6902`.
#[derive(Clone, Debug, Default)]
pub(crate) struct PatchEntry {
    pub(crate) path: Text,
    pub(crate) patch: Text,
    pub(crate) target: Option<Selector>,
    pub(crate) allow_name_change: bool,
    pub(crate) allow_kind_change: bool,
    pub(crate) line: usize,
    /// Where it stands in its file, such as `patches[0]`.
    pub(crate) field: String,
}

impl PatchEntry {
    pub(crate) fn read(reader: &mut Reader<'_>, node: &Node, field: &str) -> Self {
        let object = reader.object(node, field, &["path", "patch", "target", "options"]);
        Self::from_fields(reader, &object, field, "patch")
    }

    /// As above, with another name for the field that holds the patch itself.
    pub(crate) fn from_fields(
        reader: &mut Reader<'_>,
        object: &Object<'_>,
        field: &str,
        patch: &str,
    ) -> Self {
        let mut entry = Self {
            path: reader.text(object.get("path"), &below(field, "path")),
            patch: reader.text(object.get(patch), &below(field, patch)),
            target: reader.optional(object.get("target"), &below(field, "target"), Selector::read),
            line: object.line,
            field: field.to_owned(),
            ..Self::default()
        };
        if let Some(node) = object.get("options") {
            let options =
                reader.object(node, &below(field, "options"), &["allowNameChange", "allowKindChange"]);
            entry.allow_name_change =
                reader.flag(options.get("allowNameChange"), &below(field, "options.allowNameChange"));
            entry.allow_kind_change =
                reader.flag(options.get("allowKindChange"), &below(field, "options.allowKindChange"));
        }
        entry
    }
}

/// An entry of `labels`.
#[derive(Clone, Debug, Default)]
pub(crate) struct LabelSet {
    pub(crate) pairs: BTreeMap<String, String>,
    pub(crate) include_selectors: bool,
    pub(crate) include_templates: bool,
    pub(crate) include_volume_claim_templates: bool,
    pub(crate) fields: Vec<FieldSpec>,
}

impl LabelSet {
    pub(crate) fn read(reader: &mut Reader<'_>, node: &Node, field: &str) -> Self {
        let object = reader.object(
            node,
            field,
            &["pairs", "includeSelectors", "includeTemplates", "includeVolumeClaimTemplates", "fields"],
        );
        Self {
            pairs: reader.string_map(object.get("pairs"), &format!("{field}.pairs")),
            include_selectors: reader.flag(object.get("includeSelectors"), field),
            include_templates: reader.flag(object.get("includeTemplates"), field),
            include_volume_claim_templates: reader.flag(object.get("includeVolumeClaimTemplates"), field),
            fields: reader.each(object.get("fields"), &format!("{field}.fields"), field_spec),
        }
    }
}

/// One field of objects of some kind.
pub(crate) fn field_spec(reader: &mut Reader<'_>, node: &Node, field: &str) -> FieldSpec {
    let object = reader.object(node, field, &["group", "version", "kind", "path", "create"]);
    let path = reader.string(object.get("path"), field);
    FieldSpec::new(gvk(reader, &object, field), &path, reader.flag(object.get("create"), field))
}

/// An entry of `images`.
#[derive(Clone, Debug, Default)]
pub(crate) struct ImageChange {
    pub(crate) name: String,
    pub(crate) new_name: String,
    pub(crate) new_tag: String,
    pub(crate) tag_suffix: String,
    pub(crate) digest: String,
}

impl ImageChange {
    pub(crate) fn read(reader: &mut Reader<'_>, node: &Node, field: &str) -> Self {
        if let Some(written) = node.as_str() {
            let (name, tag) = written.rsplit_once(':').unwrap_or((written, "1.2.3"));
            let message = format!(
                "must be a mapping such as {{name: {name}, newTag: {tag:?}}}, not the string {written:?}"
            );
            reader.complain(node.at.line, field, message);
            return Self::default();
        }
        let object = reader.object(node, field, &["name", "newName", "newTag", "tagSuffix", "digest"]);
        Self {
            name: reader.string(object.get("name"), &format!("{field}.name")),
            new_name: reader.string(object.get("newName"), &format!("{field}.newName")),
            new_tag: reader.string(object.get("newTag"), &format!("{field}.newTag")),
            tag_suffix: reader.string(object.get("tagSuffix"), &format!("{field}.tagSuffix")),
            digest: reader.string(object.get("digest"), &format!("{field}.digest")),
        }
    }
}

/// An entry of `replicas`.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReplicaCount {
    pub(crate) name: String,
    pub(crate) count: i64,
    pub(crate) line: usize,
    /// Where it stands in its file, such as `replicas[0]`.
    pub(crate) field: String,
}

impl ReplicaCount {
    pub(crate) fn read(reader: &mut Reader<'_>, node: &Node, field: &str) -> Self {
        let object = reader.object(node, field, &["name", "count"]);
        Self {
            name: reader.string(object.get("name"), &format!("{field}.name")),
            field: field.to_owned(),
            count: reader.whole_number(object.get("count"), &format!("{field}.count")),
            line: object.line,
        }
    }
}

/// `sortOptions`.
#[derive(Clone, Debug, Default)]
pub(crate) struct SortOptions {
    pub(crate) order: String,
    pub(crate) legacy: Option<LegacyOrder>,
    pub(crate) line: usize,
}

/// `sortOptions.legacySortOptions`: kinds that come first and last.
#[derive(Clone, Debug, Default)]
pub(crate) struct LegacyOrder {
    pub(crate) first: Vec<String>,
    pub(crate) last: Vec<String>,
}

impl SortOptions {
    pub(crate) fn read(reader: &mut Reader<'_>, node: &Node, field: &str) -> Self {
        let object = reader.object(node, field, &["order", "legacySortOptions"]);
        Self {
            order: reader.string(object.get("order"), field),
            legacy: reader.optional(object.get("legacySortOptions"), field, |reader, node, field| {
                let object = reader.object(node, field, &["orderFirst", "orderLast"]);
                LegacyOrder {
                    first: reader.strings(object.get("orderFirst"), field),
                    last: reader.strings(object.get("orderLast"), field),
                }
            }),
            line: object.line,
        }
    }
}

/// Where a generator's data comes from.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeyValueSources {
    pub(crate) literals: Vec<Text>,
    pub(crate) files: Vec<Text>,
    pub(crate) envs: Vec<Text>,
}

/// What a generator adds to what it makes.
#[derive(Clone, Debug, Default)]
pub(crate) struct GeneratorOptions {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) disable_name_suffix_hash: bool,
    pub(crate) immutable: bool,
}

impl GeneratorOptions {
    pub(crate) fn read(reader: &mut Reader<'_>, node: &Node, field: &str) -> Self {
        let object =
            reader.object(node, field, &["labels", "annotations", "disableNameSuffixHash", "immutable"]);
        Self {
            labels: reader.string_map(object.get("labels"), &format!("{field}.labels")),
            annotations: reader.string_map(object.get("annotations"), &format!("{field}.annotations")),
            disable_name_suffix_hash: reader.flag(object.get("disableNameSuffixHash"), field),
            immutable: reader.flag(object.get("immutable"), field),
        }
    }
}

/// `ConfigMap` or `Secret`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MapKind {
    ConfigMap,
    /// With its type; empty for `Opaque`.
    Secret(String),
}

/// An entry of `configMapGenerator` or `secretGenerator`.
#[derive(Clone, Debug)]
pub(crate) struct MapGenerator {
    pub(crate) kind: MapKind,
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) behavior: Behavior,
    pub(crate) sources: KeyValueSources,
    pub(crate) options: GeneratorOptions,
    pub(crate) line: usize,
}

impl MapGenerator {
    const FIELDS: &'static [&'static str] =
        &["name", "namespace", "behavior", "literals", "files", "envs", "env", "options", "type", "metadata"];

    pub(crate) fn read_config_map(reader: &mut Reader<'_>, node: &Node, field: &str) -> Self {
        let object = reader.object(
            node,
            field,
            &["name", "namespace", "behavior", "literals", "files", "envs", "env", "options"],
        );
        Self::from_fields(reader, &object, field, MapKind::ConfigMap)
    }

    pub(crate) fn read_secret(reader: &mut Reader<'_>, node: &Node, field: &str) -> Self {
        let object = reader.object(
            node,
            field,
            &["name", "namespace", "behavior", "literals", "files", "envs", "env", "options", "type"],
        );
        let kind = MapKind::Secret(reader.string(object.get("type"), &format!("{field}.type")));
        Self::from_fields(reader, &object, field, kind)
    }

    /// The configuration of a builtin generator: name and namespace may stand in its metadata.
    pub(crate) fn read_plugin(reader: &mut Reader<'_>, node: &Node, is: &str) -> Self {
        let object = reader.object(node, is, Self::FIELDS);
        let kind = if is == "SecretGenerator" {
            MapKind::Secret(reader.string(object.get("type"), "type"))
        } else {
            MapKind::ConfigMap
        };
        let mut generator = Self::from_fields(reader, &object, is, kind);
        if let Some(node) = object.get("metadata") {
            let metadata = reader.object(node, "metadata", &["name", "namespace"]);
            if generator.name.is_empty() {
                generator.name = reader.string(metadata.get("name"), "metadata.name");
            }
            if generator.namespace.is_empty() {
                generator.namespace = reader.string(metadata.get("namespace"), "metadata.namespace");
            }
        }
        generator
    }

    fn from_fields(reader: &mut Reader<'_>, object: &Object<'_>, field: &str, kind: MapKind) -> Self {
        let behavior = reader.text(object.get("behavior"), &format!("{field}.behavior"));
        Self {
            kind,
            name: reader.string(object.get("name"), &format!("{field}.name")),
            namespace: reader.string(object.get("namespace"), &format!("{field}.namespace")),
            behavior: match behavior.value.as_str() {
                "replace" => Behavior::Replace,
                "merge" => Behavior::Merge,
                "create" => Behavior::Create,
                _ => Behavior::Unspecified,
            },
            sources: KeyValueSources::read(reader, object, field),
            options: reader
                .optional(object.get("options"), &format!("{field}.options"), GeneratorOptions::read)
                .unwrap_or_default(),
            line: object.line,
        }
    }

    /// Adds what `generatorOptions` says; what the generator says itself stays.
    pub(crate) fn inherit(&mut self, options: &GeneratorOptions) {
        for (own, general) in [
            (&mut self.options.labels, &options.labels),
            (&mut self.options.annotations, &options.annotations),
        ] {
            for (key, value) in general {
                own.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
        self.options.disable_name_suffix_hash |= options.disable_name_suffix_hash;
        self.options.immutable |= options.immutable;
    }
}

/// How a value is cut out of, or put into, a text.
#[derive(Clone, Debug, Default)]
pub(crate) struct FieldOptions {
    pub(crate) delimiter: String,
    pub(crate) index: i64,
    pub(crate) create: bool,
}

impl FieldOptions {
    fn read(reader: &mut Reader<'_>, node: &Node, field: &str) -> Self {
        let object = reader.object(node, field, &["delimiter", "index", "encoding", "create"]);
        // kustomize reads `encoding` and does nothing with it.
        reader.string(object.get("encoding"), &below(field, "encoding"));
        Self {
            delimiter: reader.string(object.get("delimiter"), &below(field, "delimiter")),
            index: reader.whole_number(object.get("index"), &below(field, "index")),
            create: reader.flag(object.get("create"), &below(field, "create")),
        }
    }
}

/// Where a replacement's value comes from.
#[derive(Clone, Debug)]
pub(crate) enum ReplacementSource {
    /// A field of a resource.
    Field { selector: Box<Selector>, path: Vec<String>, options: FieldOptions },
    /// Written in the replacement itself.
    Value(String),
    /// Not given, or both ways at once.
    Invalid(&'static str),
}

/// Where a replacement's value goes to.
#[derive(Clone, Debug)]
pub(crate) struct ReplacementTarget {
    pub(crate) select: Option<Selector>,
    pub(crate) reject: Vec<Selector>,
    pub(crate) paths: Vec<String>,
    pub(crate) options: FieldOptions,
}

/// One replacement.
#[derive(Clone, Debug)]
pub(crate) struct Replacement {
    pub(crate) source: ReplacementSource,
    pub(crate) targets: Vec<ReplacementTarget>,
    /// The file that it stands in.
    pub(crate) file: String,
    pub(crate) line: usize,
    /// Where it stands in its file, such as `replacements[0]`.
    pub(crate) field: String,
}

const DEFAULT_PATH: &str = "metadata.name";

impl Replacement {
    pub(crate) fn read(reader: &mut Reader<'_>, object: &Object<'_>, field: &str) -> Self {
        let source = reader.optional(object.get("source"), &below(field, "source"), source);
        let value = reader.optional(object.get("sourceValue"), &below(field, "sourceValue"), |r, node, f| {
            r.string(Some(node), f)
        });
        let mut source = match (source, value) {
            (Some(source), None) => source,
            (None, Some(value)) => ReplacementSource::Value(value),
            (None, None) => ReplacementSource::Invalid("needs a source and at least one target"),
            (Some(_), Some(_)) => {
                ReplacementSource::Invalid("source and sourceValue exclude each other; keep one")
            }
        };
        if object.get("targets").is_none_or(Node::is_null) {
            source = ReplacementSource::Invalid("needs a source and at least one target");
        }
        let targets = reader.each(object.get("targets"), &below(field, "targets"), target);
        Self { source, targets, file: reader.file.to_owned(), line: object.line, field: field.to_owned() }
    }

    /// A replacement that is a document of its own.
    pub(crate) fn read_node(reader: &mut Reader<'_>, node: &Node, field: &str) -> Self {
        let object = reader.object(node, field, &["source", "targets", "sourceValue"]);
        Self::read(reader, &object, field)
    }
}

fn source(reader: &mut Reader<'_>, node: &Node, field: &str) -> ReplacementSource {
    let object = reader.object(
        node,
        field,
        &["group", "version", "kind", "name", "namespace", "fieldPath", "options"],
    );
    let selector = Box::new(Selector {
        gvk: gvk(reader, &object, field),
        name: reader.string(object.get("name"), &below(field, "name")),
        namespace: reader.string(object.get("namespace"), &below(field, "namespace")),
        line: object.line,
        field: field.to_owned(),
        ..Selector::default()
    });
    let path = reader.string(object.get("fieldPath"), &below(field, "fieldPath"));
    let path = path::split_fields(if path.is_empty() { DEFAULT_PATH } else { &path });
    let options = reader.optional(object.get("options"), &below(field, "options"), FieldOptions::read);
    let options = options.unwrap_or_default();
    ReplacementSource::Field { selector, path, options }
}

fn target(reader: &mut Reader<'_>, node: &Node, field: &str) -> ReplacementTarget {
    let object = reader.object(node, field, &["select", "reject", "fieldPaths", "options"]);
    let mut paths = reader.strings(object.get("fieldPaths"), field);
    if paths.is_empty() {
        paths.push(DEFAULT_PATH.to_owned());
    }
    ReplacementTarget {
        select: reader.optional(object.get("select"), &format!("{field}.select"), Selector::read),
        reject: reader.each(object.get("reject"), &format!("{field}.reject"), Selector::read),
        paths,
        options: reader
            .optional(object.get("options"), &below(field, "options"), FieldOptions::read)
            .unwrap_or_default(),
    }
}

/// An entry of `vars`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) gvk: Gvk,
    pub(crate) object: String,
    pub(crate) namespace: String,
    pub(crate) path: String,
    /// The file that declares it.
    pub(crate) file: String,
    pub(crate) line: usize,
}

impl Variable {
    pub(crate) fn read(reader: &mut Reader<'_>, node: &Node, field: &str) -> Self {
        let object = reader.object(node, field, &["name", "objref", "fieldref"]);
        let mut read = Self {
            name: reader.string(object.get("name"), field),
            path: DEFAULT_PATH.to_owned(),
            file: reader.file.to_owned(),
            line: object.line,
            ..Self::default()
        };
        if let Some(node) = object.get("objref") {
            let known = &["apiVersion", "group", "version", "kind", "name", "namespace"];
            let objref = reader.object(node, &format!("{field}.objref"), known);
            read.gvk = gvk(reader, &objref, field);
            read.object = reader.string(objref.get("name"), field);
            read.namespace = reader.string(objref.get("namespace"), field);
            let api_version = reader.string(objref.get("apiVersion"), field);
            if !api_version.is_empty() {
                let (group, version) = group_version(&api_version);
                version.clone_into(&mut read.gvk.version);
                if !group.is_empty() {
                    group.clone_into(&mut read.gvk.group);
                }
            }
        }
        if let Some(node) = object.get("fieldref") {
            let known = &["fieldPath", "fieldpath"];
            let fieldref = reader.object(node, &format!("{field}.fieldref"), known);
            let path = reader.string(fieldref.get("fieldPath").or_else(|| fieldref.get("fieldpath")), field);
            if !path.is_empty() {
                read.path = path;
            }
        }
        read
    }
}

//! `generators`, `transformers` and `validators` of the builtin kinds, configured by resources of their own.
//!
//! Everything else that kustomize can run (programs, containers, Starlark, Go plugins) is refused: a build
//! runs nothing but itself.

use crate::build::{Build, Target};
use crate::charts::{self, HelmChart};
use crate::config::FieldSpec;
use crate::error::{Error, Place};
use crate::fields::{Object, Reader, Text, Unknown};
use crate::kustomization::replacement_entry;
use crate::model::{ImageChange, MapGenerator, PatchEntry, ReplicaCount, Selector, field_spec};
use crate::resource::Resource;
use crate::steps::{self, By, Step, Work};
use crate::trace::TraceNote;
use crate::transform::namespace::{NamespaceChange, Subjects};
use crate::transform::patch::Via;
use crate::transform::prefix::Affix;
use crate::transform::select::Matcher;
use crate::transform::value_add;
use serde_json::json;
use std::rc::Rc;
use trueup_model::Value;
use trueup_model::yaml::{self, Node};

/// Runs the generators.
pub(crate) fn generate(build: &mut Build, target: &Target<'_>, configs: Vec<Resource>) -> Vec<Resource> {
    let mut generated = Vec::new();
    for config in configs {
        let place = place_of(&config);
        if let Err(error) = demand_builtin(&config, &place) {
            build.errors.push(error);
            continue;
        }
        let node = build.node_of(&config);
        let made = match config.kind() {
            kind @ ("ConfigMapGenerator" | "SecretGenerator") => {
                let generator =
                    read(build, &place.file, |reader| MapGenerator::read_plugin(reader, &node, kind));
                let by = By::Plugin(kind.into());
                build.generate_map(target, &generator, &place.file, &by).map(|made| vec![made])
            }
            "IAMPolicyGenerator" => {
                iam_policy(build, &node, &config).map(|made| vec![made]).map_err(|error| vec![error])
            }
            kind @ charts::GENERATOR => {
                let known = build.errors.len();
                let chart = read(build, &place.file, |reader| HelmChart::read_plugin(reader, &node, kind));
                if build.errors.len() > known {
                    continue;
                }
                build.inflate(target, &chart, "", &place, &By::Plugin(kind.into()))
            }
            kind => Err(vec![Error::new(&place, kind, "is not a builtin generator")]),
        };
        match made {
            Ok(made) => generated.extend(made.into_iter().map(|mut resource| {
                resource.source = note_of(&config);
                build.begin_made(&mut resource, &config);
                resource
            })),
            Err(errors) => build.errors.extend(errors),
        }
    }
    generated
}

/// Configures the transformers or validators.
pub(crate) fn transformers(build: &mut Build, target: &Target<'_>, configs: Vec<Resource>) -> Vec<Step> {
    let mut all = Vec::new();
    for config in configs {
        let place = place_of(&config);
        if let Err(error) = demand_builtin(&config, &place) {
            build.errors.push(error);
            continue;
        }
        let mut made = works(build, target, &config, &place);
        if made.is_empty() {
            made.push(Work::Nothing);
        }
        let last = made.len() - 1;
        all.extend(made.into_iter().enumerate().map(|(index, work)| Step {
            work,
            by: By::Plugin(config.kind().into()),
            place: place.clone(),
            // One transformer leaves one note, however many steps it takes.
            note: if index == last { note_of(&config) } else { None },
            times: 1,
        }));
    }
    all
}

fn place_of(config: &Resource) -> Place {
    Place::new(config.origin.path.clone(), config.origin.line)
}

fn note_of(config: &Resource) -> Option<Rc<TraceNote>> {
    let source = config.source.as_ref()?;
    let file = match source.as_ref() {
        TraceNote::File(file) | TraceNote::Configured { file, .. } => file.clone(),
    };
    Some(Rc::new(TraceNote::Configured {
        file,
        api_version: config.api_version().to_owned(),
        kind: config.kind().to_owned(),
        name: config.name().to_owned(),
        namespace: config.namespace().to_owned(),
    }))
}

fn demand_builtin(config: &Resource, place: &Place) -> Result<(), Error> {
    if config.api_version() == "builtin" {
        return Ok(());
    }
    Err(Error::new(
        place,
        config.id().to_string(),
        "is a plugin that runs a program or container; only those of apiVersion builtin are allowed",
    ))
}

fn read<T>(build: &mut Build, file: &str, read: impl FnOnce(&mut Reader<'_>) -> T) -> T {
    read(&mut Reader { file, unknown: Unknown::PassOver, errors: &mut build.errors })
}

/// What a transformer's configuration asks for; several steps only for patches.
fn works(build: &mut Build, target: &Target<'_>, config: &Resource, place: &Place) -> Vec<Work> {
    let node = &build.node_of(config);
    let file = place.file.as_str();
    match config.kind() {
        "NamespaceTransformer" => read(build, file, |r| namespace(r, node)).into_iter().collect(),
        "PrefixTransformer" => read(build, file, |r| affix(r, node, "prefix")).into_iter().collect(),
        "SuffixTransformer" => read(build, file, |r| affix(r, node, "suffix")).into_iter().collect(),
        "PrefixSuffixTransformer" => read(build, file, |r| {
            [affix(r, node, "prefix"), affix(r, node, "suffix")].into_iter().flatten().collect()
        }),
        "LabelTransformer" => vec![read(build, file, |r| entries(r, node, "labels"))],
        "AnnotationsTransformer" => vec![read(build, file, |r| entries(r, node, "annotations"))],
        "ReplicaCountTransformer" => vec![read(build, file, |r| replicas(r, node))],
        "ImageTagTransformer" => vec![read(build, file, |r| images(r, node))],
        "ReplacementTransformer" => {
            let entries = read(build, file, |reader| {
                let object = reader.object(node, "", &["replacements"]);
                reader.each(object.get("replacements"), "replacements", replacement_entry)
            });
            vec![Work::Replacements(steps::replacements(build, target, &entries))]
        }
        "PatchTransformer" => patch(build, target, node, file, Via::Patches),
        "PatchJson6902Transformer" => patch(build, target, node, file, Via::Json6902),
        "PatchStrategicMergeTransformer" => strategic_merges(build, target, node, place),
        "ValueAddTransformer" => value_add(build, target, node, place),
        "HashTransformer" => vec![Work::Hashes],
        kind => {
            build.errors.push(Error::new(place, kind, "is not a builtin transformer"));
            Vec::new()
        }
    }
}

fn fields(reader: &mut Reader<'_>, object: &Object<'_>) -> Vec<FieldSpec> {
    reader.each(object.get("fieldSpecs"), "fieldSpecs", field_spec)
}

fn namespace(reader: &mut Reader<'_>, node: &Node) -> Option<Work> {
    let object = reader.object(node, "", &["metadata", "fieldSpecs", "unsetOnly", "setRoleBindingSubjects"]);
    let metadata = object.get("metadata").map(|node| reader.object(node, "metadata", &["namespace"]));
    let namespace = metadata.and_then(|metadata| metadata.get("namespace"));
    let subjects = reader.text(object.get("setRoleBindingSubjects"), "setRoleBindingSubjects");
    let subjects = match subjects.value.as_str() {
        "" | "defaultOnly" => Subjects::NamedDefault,
        "allServiceAccounts" => Subjects::AllServiceAccounts,
        "none" => Subjects::Nobody,
        other => {
            let message = format!("{other:?} must be defaultOnly, allServiceAccounts or none");
            reader.complain(subjects.line, "setRoleBindingSubjects", message);
            return None;
        }
    };
    Some(Work::Namespace(NamespaceChange {
        namespace: reader.string(namespace, "metadata.namespace"),
        fields: fields(reader, &object),
        unset_only: reader.flag(object.get("unsetOnly"), "unsetOnly"),
        subjects,
    }))
}

fn affix(reader: &mut Reader<'_>, node: &Node, field: &'static str) -> Option<Work> {
    let object = reader.object(node, "", &["prefix", "suffix", "fieldSpecs"]);
    let text = reader.string(object.get(field), field);
    if object.get("fieldSpecs").is_none() {
        reader.complain(object.line, "fieldSpecs", "is missing; name the fields, such as metadata/name");
        return None;
    }
    let fields = fields(reader, &object);
    let affix = if field == "prefix" { Affix::Before(text.into()) } else { Affix::After(text.into()) };
    Some(Work::Affix { affix, fields })
}

fn entries(reader: &mut Reader<'_>, node: &Node, field: &'static str) -> Work {
    let object = reader.object(node, "", &["labels", "annotations", "fieldSpecs"]);
    Work::Entries { entries: reader.string_map(object.get(field), field), fields: fields(reader, &object) }
}

fn replicas(reader: &mut Reader<'_>, node: &Node) -> Work {
    let object = reader.object(node, "", &["replica", "fieldSpecs"]);
    let count = reader.optional(object.get("replica"), "replica", ReplicaCount::read);
    Work::Replicas { counts: count.into_iter().collect(), fields: fields(reader, &object) }
}

fn images(reader: &mut Reader<'_>, node: &Node) -> Work {
    let object = reader.object(node, "", &["imageTag", "fieldSpecs"]);
    let image = reader.optional(object.get("imageTag"), "imageTag", ImageChange::read);
    Work::Images { images: image.into_iter().collect(), fields: fields(reader, &object) }
}

fn patch(build: &mut Build, target: &Target<'_>, node: &Node, file: &str, via: Via) -> Vec<Work> {
    let entry = read(build, file, |reader| {
        let object = reader.object(node, "", &["path", "patch", "jsonOp", "target", "options"]);
        PatchEntry::from_fields(reader, &object, "", if via == Via::Json6902 { "jsonOp" } else { "patch" })
    });
    steps::patch(build, target, &entry, file, via).map(|step| step.work).into_iter().collect()
}

fn strategic_merges(build: &mut Build, target: &Target<'_>, node: &Node, place: &Place) -> Vec<Work> {
    let (mut entries, patches) = read(build, &place.file, |reader| {
        let object = reader.object(node, "", &["paths", "patches"]);
        (reader.texts(object.get("paths"), "paths"), reader.text(object.get("patches"), "patches"))
    });
    if !patches.value.is_empty() {
        // Always text and never a path, so that a missing file is not looked for.
        entries.push(Text { value: format!("{}\n", patches.value), line: patches.line });
    }
    if entries.is_empty() {
        build.errors.push(Error::new(place, "paths", "is missing; name a patch, or write it under patches"));
    }
    let read = entries
        .iter()
        .filter_map(|entry| steps::strategic_merge(build, target, entry, &place.at(entry.line), ""));
    let works: Vec<Work> = read.map(|step| step.work).collect();
    works
}

fn value_add(build: &mut Build, target: &Target<'_>, node: &Node, place: &Place) -> Vec<Work> {
    let (value, path, mut targets) = read(build, &place.file, |reader| {
        let object = reader.object(node, "", &["value", "targets", "targetFilePath"]);
        let value = reader.string(object.get("value"), "value").trim().to_owned();
        let path = reader.text(object.get("targetFilePath"), "targetFilePath");
        (value, path, reader.each(object.get("targets"), "targets", value_target))
    });
    if !path.value.is_empty()
        && let Some((file, text)) = build.text_of(target, &path, "targetFilePath")
    {
        match yaml::parse(&text) {
            Err(error) => build.errors.push(Error::new(&Place::new(file, error.at.line), "", error.message)),
            Ok(nodes) => {
                let mut reader =
                    Reader { file: &file, unknown: Unknown::PassOver, errors: &mut build.errors };
                for node in nodes.iter().take(1) {
                    let object = reader.object(node, "", &["targets"]);
                    targets.extend(reader.each(object.get("targets"), "targets", value_target));
                }
            }
        }
    }
    if targets.is_empty() {
        build.errors.push(Error::new(place, "targets", "are missing; name at least one"));
    }
    let value = if value.is_empty() { target.folder.base_name().to_owned() } else { value };
    let mut ready = Vec::with_capacity(targets.len());
    for ValueTarget { selector, path, position, line } in targets {
        let select = match selector.map(|selector| Matcher::new(&selector, place)).transpose() {
            Ok(select) => select,
            Err(error) => {
                build.errors.push(error);
                continue;
            }
        };
        match usize::try_from(position) {
            Ok(position) if !path.is_empty() => ready.push(value_add::Target { select, path, position }),
            Ok(_) => build.errors.push(Error::new(&place.at(line), "fieldPath", "is missing")),
            Err(_) => {
                build.errors.push(Error::new(&place.at(line), "filePathPosition", "must not be negative"));
            }
        }
    }
    vec![Work::ValueAdd { value, targets: ready }]
}

struct ValueTarget {
    selector: Option<Selector>,
    path: String,
    position: i64,
    line: usize,
}

fn value_target(reader: &mut Reader<'_>, node: &Node, field: &str) -> ValueTarget {
    let object = reader.object(node, field, &["selector", "fieldPath", "filePathPosition"]);
    ValueTarget {
        selector: reader.optional(object.get("selector"), &format!("{field}.selector"), Selector::read),
        path: reader.string(object.get("fieldPath"), field),
        position: reader.whole_number(object.get("filePathPosition"), field),
        line: object.line,
    }
}

/// The service account that a workload identity of Google Cloud is bound to.
fn iam_policy(build: &mut Build, node: &Node, config: &Resource) -> Result<Resource, Error> {
    let place = place_of(config);
    let (cloud, name, namespace, account, project) = read(build, &place.file, |reader| {
        let object = reader.object(node, "", &["cloud", "kubernetesService", "serviceAccount"]);
        let cloud = reader.string(object.get("cloud"), "cloud");
        let service = object
            .get("kubernetesService")
            .map(|node| reader.object(node, "kubernetesService", &["name", "namespace"]));
        let account = object
            .get("serviceAccount")
            .map(|node| reader.object(node, "serviceAccount", &["name", "projectId"]));
        let service = |field: &str| service.as_ref().and_then(|service| service.get(field));
        let account = |field: &str| account.as_ref().and_then(|account| account.get(field));
        (
            cloud,
            reader.string(service("name"), "kubernetesService.name"),
            reader.string(service("namespace"), "kubernetesService.namespace"),
            reader.string(account("name"), "serviceAccount.name"),
            reader.string(account("projectId"), "serviceAccount.projectId"),
        )
    });
    if cloud != "gke" {
        return Err(Error::new(&place, "cloud", format!("{cloud:?} is not supported; the only one is gke")));
    }
    let mut value = json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {
            "annotations": {"iam.gke.io/gcp-service-account": format!("{account}@{project}.iam.gserviceaccount.com")},
            "name": name,
        },
    });
    if !namespace.is_empty() {
        value["metadata"]["namespace"] = Value::String(namespace);
    }
    Ok(Resource::new(value, config.origin.clone()))
}

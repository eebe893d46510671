//! The charts of `helmCharts`: where each is looked for, which values it gets, and the resources that it makes.
//!
//! Enters: an entry of `helmCharts`, or the configuration of a `HelmChartInflationGenerator`, and the folder that it stands in.
//! Leaves: resources, as read from what Helm prints. Absent: rendering itself, which the caller gives as an [`Inflate`], and
//! fetching, which it does for whatever it is told is missing.
//!
//! Source: kustomize 5.8, `HelmChartInflationGenerator`.

use crate::Needed;
use crate::build::{Build, Target};
use crate::error::{Error, Place};
use crate::fields::{Object, Reader, Text};
use crate::load::Located;
use crate::load::documents::{self, RESOURCES};
use crate::merge::strategic::{Merge, Outcome};
use crate::provenance;
use crate::remote::Remote;
use crate::resource::Resource;
use crate::steps::By;
use serde_json::Map;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use trueup_model::yaml::{self, Node};
use trueup_model::{Origin, Tree, Value};

/// A chart that a build wants to be rendered, as `helm template` would.
pub struct Inflation<'i> {
    /// The tree that the chart is in.
    pub tree: &'i dyn Tree,
    /// Its folder there.
    pub path: &'i str,
    /// What the folder is called in messages.
    pub shown: &'i str,
    /// The name of the release.
    pub release: ReleaseName<'i>,
    /// The namespace of the release; empty for Helm's default.
    pub namespace: &'i str,
    /// The texts of files of values; the last one counts.
    pub values: Vec<String>,
    /// API versions and kinds besides those that Helm assumes.
    pub api_versions: &'i [String],
    /// The version of Kubernetes; empty for the one that Helm assumes.
    pub kube_version: &'i str,
    /// Whether the files of `crds` folders are wanted.
    pub include_crds: bool,
    /// Whether hooks are left out.
    pub skip_hooks: bool,
    /// Whether hooks that are tests are left out.
    pub skip_tests: bool,
}

/// How a release is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReleaseName<'i> {
    /// Like this.
    Given(&'i str),
    /// As a template of Helm's functions says.
    Template(&'i str),
}

/// A document that a chart made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inflated {
    /// The file that it is from, as Helm shows it: with the chart's name before it.
    pub template: String,
    /// The document.
    pub text: String,
}

/// Why a chart was not rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Uninflated {
    /// These have to be read first.
    Missing(BTreeSet<Needed>),
    /// Something is wrong; all of it.
    Refused(String),
}

/// Renders a chart: the documents leave in the order in which Helm prints them.
pub type Inflate<'r> = dyn Fn(&Inflation<'_>) -> Result<Vec<Inflated>, Uninflated> + 'r;

/// The kind of the configuration that an entry stands for.
pub(crate) const GENERATOR: &str = "HelmChartInflationGenerator";
/// The folder that charts are looked for in.
const HOME: &str = "charts";
/// The name of a release that is given none: Helm has it before it would make one up.
const RELEASE: &str = "release-name";
/// What marks a resource that a chart made, until the end of the build.
const GENERATED: &str = "internal.config.kubernetes.io/helm-generated";

/// How the values of the file and those of the entry come together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ValuesMerge {
    /// Those of the entry count.
    #[default]
    Override,
    /// Those of the file count.
    Merge,
    /// There are only those of the entry.
    Replace,
}

/// An entry of `helmCharts`.
#[derive(Clone, Debug, Default)]
pub(crate) struct HelmChart {
    name: String,
    version: String,
    repository: String,
    release: String,
    name_template: String,
    namespace: String,
    values_file: Text,
    additional_values_files: Vec<Text>,
    values: Map<String, Value>,
    values_merge: ValuesMerge,
    api_versions: Vec<String>,
    kube_version: String,
    skips: Skips,
    /// The folder of charts; empty for the usual one.
    home: String,
    line: usize,
    /// Where it stands in its file, such as `helmCharts[0]`.
    field: String,
}

/// What is left out.
#[derive(Clone, Copy, Debug, Default)]
struct Skips {
    crds: bool,
    hooks: bool,
    tests: bool,
}

impl HelmChart {
    const FIELDS: &'static [&'static str] = &[
        "additionalValuesFiles",
        "apiVersions",
        "debug",
        "devel",
        "includeCRDs",
        "kubeVersion",
        "name",
        "nameTemplate",
        "namespace",
        "releaseName",
        "repo",
        "skipHooks",
        "skipTests",
        "valuesFile",
        "valuesInline",
        "valuesMerge",
        "version",
    ];

    const PLUGIN_FIELDS: &'static [&'static str] = &[
        "additionalValuesFiles",
        "apiVersions",
        "chartHome",
        "configHome",
        "debug",
        "devel",
        "includeCRDs",
        "kubeVersion",
        "name",
        "nameTemplate",
        "namespace",
        "releaseName",
        "repo",
        "skipHooks",
        "skipTests",
        "valuesFile",
        "valuesInline",
        "valuesMerge",
        "version",
    ];

    pub(crate) fn read(reader: &mut Reader<'_>, node: &Node, field: &str) -> Self {
        let object = reader.object(node, field, Self::FIELDS);
        Self::from_fields(reader, &object, field)
    }

    /// The configuration of a builtin generator.
    pub(crate) fn read_plugin(reader: &mut Reader<'_>, node: &Node, is: &str) -> Self {
        let object = reader.object(node, is, Self::PLUGIN_FIELDS);
        let home = read_home(reader, &object, is);
        Self { home, ..Self::from_fields(reader, &object, is) }
    }

    fn from_fields(reader: &mut Reader<'_>, object: &Object<'_>, field: &str) -> Self {
        let below = |name: &str| format!("{field}.{name}");
        let mut text = |name: &str| reader.string(object.get(name), &below(name));
        let [name, mut version, repository, release, name_template, namespace, kube_version] =
            ["name", "version", "repo", "releaseName", "nameTemplate", "namespace", "kubeVersion"]
                .map(&mut text);
        let mut flag = |name: &str| reader.flag(object.get(name), &below(name));
        let skips = Skips { crds: !flag("includeCRDs"), hooks: flag("skipHooks"), tests: flag("skipTests") };
        // What it would print besides is for whoever looks at a program's output.
        flag("debug");
        if flag("devel") && version.is_empty() {
            ">0.0.0-0".clone_into(&mut version);
        }
        let read = Self {
            name,
            version,
            repository,
            release,
            name_template,
            namespace,
            kube_version,
            skips,
            values_file: reader.text(object.get("valuesFile"), &below("valuesFile")),
            additional_values_files: reader
                .texts(object.get("additionalValuesFiles"), &below("additionalValuesFiles")),
            values: values(reader, object.get("valuesInline"), &below("valuesInline")),
            values_merge: values_merge(reader, object.get("valuesMerge"), &below("valuesMerge")),
            api_versions: reader.strings(object.get("apiVersions"), &below("apiVersions")),
            home: String::new(),
            line: object.line,
            field: field.to_owned(),
        };
        read.check(reader);
        read
    }

    fn check(&self, reader: &mut Reader<'_>) {
        let mut complain =
            |name: &str, message: &str| reader.complain(self.line, format!("{}.{name}", self.field), message);
        if self.name.is_empty() {
            complain("name", "is missing; name the chart");
        }
        for (name, value) in [("name", &self.name), ("releaseName", &self.release)] {
            if value.starts_with('-') {
                complain(name, "must not begin with a dash");
            }
        }
        if !self.release.is_empty() && !self.name_template.is_empty() {
            complain("nameTemplate", "and releaseName exclude each other; keep one of them");
        }
        if self.repository.starts_with('@') || self.repository.starts_with("alias:") {
            complain("repo", "is an alias that only a machine's own Helm knows; write the URL");
        }
    }

    /// The same, looked for where the kustomization has its charts.
    pub(crate) fn at_home(self, home: &str) -> Self {
        Self { home: home.to_owned(), ..self }
    }

    /// Where the chart is looked for, below the folder of the kustomization.
    fn beside(&self) -> String {
        let home = if self.home.is_empty() { HOME } else { &self.home };
        match (self.repository.as_str(), self.version.as_str()) {
            ("", _) | (_, "") => format!("{home}/{}", self.name),
            (_, version) => format!("{home}/{0}-{version}/{0}", self.name),
        }
    }

    /// Where it comes from if it is not there.
    fn elsewhere(&self) -> Option<Remote> {
        (!self.repository.is_empty()).then(|| Remote::Chart {
            repository: self.repository.trim_end_matches('/').to_owned(),
            name: self.name.clone(),
            version: self.version.clone(),
        })
    }
}

/// The folder of charts that `helmGlobals` or a generator's configuration names.
pub(crate) fn read_home(reader: &mut Reader<'_>, object: &Object<'_>, field: &str) -> String {
    // Where a machine's own Helm has its settings is of no concern here.
    reader.string(object.get("configHome"), &format!("{field}.configHome"));
    let home = reader.text(object.get("chartHome"), &format!("{field}.chartHome"));
    if home.value.starts_with('/') {
        let message = "is a folder of a machine; name one of the repository, relative to the kustomization";
        reader.complain(home.line, format!("{field}.chartHome"), message);
    }
    home.value
}

fn values(reader: &mut Reader<'_>, node: Option<&Node>, field: &str) -> Map<String, Value> {
    match node.map(Node::to_value) {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(values)) => values,
        Some(_) => {
            let line = node.map(|node| node.at.line).unwrap_or_default();
            reader.complain(line, field, "must be a mapping of values");
            Map::new()
        }
    }
}

fn values_merge(reader: &mut Reader<'_>, node: Option<&Node>, field: &str) -> ValuesMerge {
    let written = reader.text(node, field);
    match written.value.as_str() {
        "" | "override" => ValuesMerge::Override,
        "merge" => ValuesMerge::Merge,
        "replace" => ValuesMerge::Replace,
        other => {
            reader.complain(written.line, field, format!("{other:?} must be merge, override or replace"));
            ValuesMerge::Override
        }
    }
}

impl Build {
    /// The resources that a chart makes. `namespace` is that of a chart that names none; `at` is where it is asked for.
    pub(crate) fn inflate(
        &self,
        target: &Target<'_>,
        chart: &HelmChart,
        namespace: &str,
        at: &Place,
        by: &By,
    ) -> Result<Vec<Resource>, Vec<Error>> {
        let fail = |message: String| vec![Error::new(&at.at(chart.line), chart.field.clone(), message)];
        let inflate = target.folder.inflate().map_err(fail)?;
        let folder = target.folder.chart(&chart.beside(), chart.elsewhere()).map_err(fail)?;
        let values = self.values_of(target, chart, &folder).map_err(fail)?;
        let (tree, path) = folder.place();
        let inflation = Inflation {
            tree,
            path,
            shown: &folder.name,
            release: match (chart.release.as_str(), chart.name_template.as_str()) {
                ("", "") => ReleaseName::Given(RELEASE),
                ("", template) => ReleaseName::Template(template),
                (given, _) => ReleaseName::Given(given),
            },
            namespace: if chart.namespace.is_empty() { namespace } else { &chart.namespace },
            values,
            api_versions: &chart.api_versions,
            kube_version: &chart.kube_version,
            include_crds: !chart.skips.crds,
            skip_hooks: chart.skips.hooks,
            skip_tests: chart.skips.tests,
        };
        let documents = target.folder.inflated(inflate, &inflation).map_err(fail)?;
        let printed = Printed::new(&documents, &folder.name);
        let name = format!("{}:{} {}", at.file, chart.line, chart.field);
        let resources = documents::resources(&printed.text, &Place::new(name.clone(), 0))?;
        target.folder.keep_printed(name, printed);
        Ok(resources.into_iter().map(|resource| self.marked(resource, chart, at, by)).collect())
    }

    fn marked(&self, mut resource: Resource, chart: &HelmChart, at: &Place, by: &By) -> Resource {
        if let Some(metadata) = resource.metadata_mut() {
            let annotations = metadata.entry("annotations").or_insert(Value::Null);
            if annotations.is_null() {
                *annotations = Value::Object(Map::new());
            }
            if let Some(annotations) = annotations.as_object_mut() {
                annotations.insert(GENERATED.to_owned(), "true".into());
            }
        }
        if self.keeps_provenance() {
            // What a chart makes follows from its entry; templates do not tell more.
            let own = Origin { path: at.file.clone(), line: at.at(chart.line).line };
            let printed = std::mem::replace(&mut resource.origin, own);
            provenance::begin_made(&mut resource, by);
            resource.origin = printed;
        }
        resource
    }

    /// The texts of the values that a chart gets besides its own.
    fn values_of(
        &self,
        target: &Target<'_>,
        chart: &HelmChart,
        folder: &Located<'_>,
    ) -> Result<Vec<String>, String> {
        let inline = Value::Object(chart.values.clone());
        let first = match (chart.values.is_empty(), chart.values_merge) {
            (false, ValuesMerge::Replace) => inline.to_string(),
            (true, _) => file_of_values(target, chart, folder)?,
            (false, merge) => {
                let file = read(&file_of_values(target, chart, folder)?)?;
                let (mut below, above) = match merge {
                    ValuesMerge::Merge => (inline, file),
                    ValuesMerge::Override | ValuesMerge::Replace => (file, inline),
                };
                let schema = self.merge_schema();
                let merge = Merge { schema: &schema, bare: false, written: &[] };
                let merged = merge.merge(&mut below, &above, None);
                match merged.map_err(|mismatch| mismatch.told("the values do not fit each other"))? {
                    Outcome::Stays => below.to_string(),
                    Outcome::Goes => String::new(),
                }
            }
        };
        let mut texts = vec![first];
        for file in &chart.additional_values_files {
            texts.push(target.folder.file(&file.value)?.text()?);
        }
        Ok(texts)
    }
}

/// The text of the file that an entry names, or else of the chart's own; empty where that has none.
fn file_of_values(target: &Target<'_>, chart: &HelmChart, folder: &Located<'_>) -> Result<String, String> {
    if !chart.values_file.value.is_empty() {
        return target.folder.file(&chart.values_file.value)?.text();
    }
    match folder.file_within("values.yaml")? {
        None => Ok(String::new()),
        Some(file) => target.folder.allowed(file)?.text(),
    }
}

/// Values as kustomize reads them before it merges them: the first document.
fn read(text: &str) -> Result<Value, String> {
    let documents = yaml::documents_as(text, RESOURCES)
        .map_err(|error| format!("the file of values cannot be read: {error}"))?;
    match documents.into_iter().next().map(|document| document.value) {
        None | Some(Value::Null) => Ok(Value::Object(Map::new())),
        Some(values @ Value::Object(_)) => Ok(values),
        Some(_) => Err("the file of values is no mapping".to_owned()),
    }
}

/// What Helm prints of a chart, and which line is from which file.
pub(crate) struct Printed {
    pub(crate) text: Arc<str>,
    /// The first line of each document, and the file.
    templates: Vec<(usize, String)>,
}

impl Printed {
    fn new(documents: &[Inflated], folder: &str) -> Self {
        let (mut text, mut templates, mut line) = (String::new(), Vec::new(), 1);
        for Inflated { template, text: document } in documents {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "---\n# Source: {template}\n{document}");
            let below = template.split_once('/').map_or(template.as_str(), |(_, below)| below);
            let separator = if folder.is_empty() || folder.ends_with('/') { "" } else { "/" };
            templates.push((line, format!("{folder}{separator}{below}")));
            line += 3 + document.matches('\n').count();
        }
        Self { text: text.into(), templates }
    }

    /// The file that a line is from.
    pub(crate) fn origin(&self, line: usize) -> Option<Origin> {
        let behind = self.templates.partition_point(|(first, _)| *first <= line);
        let (_, file) = self.templates.get(behind.checked_sub(1)?)?;
        Some(Origin { path: file.clone(), line: 0 })
    }
}

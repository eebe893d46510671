//! `kind: AppSet`: Apps that follow from folders, files, clusters, pull requests or a list.

use super::app::AppSpec;
use super::environment::LabelSelector;
use super::problem::{Findings, Place, Step};
use super::pull_requests::PullRequests;
use super::repository::IN_A_SECRET;
use super::resource::{Kind, Metadata, Spec};
use super::share;
use crate::generate::pattern::Pattern;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use trueup_model::Value;
use trueup_plan::budget::Budget;

/// The annotation by which a person lets Apps go that `maxRemoved` holds: it has the code that the AppSet tells.
pub const CONFIRM_REMOVAL: &str = "trueup.dev/confirm-removal";

/// Apps that follow from folders, files, clusters, pull requests or a list: one for each element that a generator finds, made from a template.
///
/// The texts of the template take placeholders: `{folder.path}`, `{folder.name}`, `{folder.parts.0}`, `{file.path}`, `{file.name}`,
/// `{file.folder}`, `{item.NAME}`, `{cluster.name}`, `{cluster.labels.NAME}`, `{pull.number}`, `{pull.branch_slug}` and `{pull.head_sha}`, each where its
/// generator is used; those of an App stay for the App. `{{` and `}}` are braces.
///
/// A generator whose source cannot be read, or is wrong, takes no App away: those that were made last stay as they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AppSetSpec {
    /// What Apps are made for. Each brings Apps of its own.
    pub generators: Vec<Generator>,
    /// What an App is made from.
    pub template: AppTemplate,
    /// How many Apps may go at once without anybody being asked: a number such as `5`, or a share of the Apps such as `10%`, rounded up.
    /// What exceeds it is held until a person confirms it. Default 10%.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "share::schema")]
    pub max_removed: Option<Budget>,
    /// Makes no Apps and takes none away; those that are there go on.
    #[serde(default)]
    pub suspend: bool,
}

impl AppSetSpec {
    /// How many Apps may go at once without anybody being asked.
    pub fn budget(&self) -> Budget {
        self.max_removed.unwrap_or(Budget::Percent(10))
    }
}

/// What Apps are made for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Generator {
    /// Folders of a repository.
    Folders(Folders),
    /// Files of a repository, in YAML or JSON, and what they say.
    Files(Files),
    /// What is written here.
    List(Vec<BTreeMap<String, Value>>),
    /// Clusters.
    Clusters(Clusters),
    /// Open pull requests of a repository.
    PullRequests(Box<PullRequests>),
    /// Each element of the one with each of the others.
    Matrix(Vec<Axis>),
}

/// What is combined in a matrix.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Axis {
    /// Folders of a repository.
    Folders(Folders),
    /// Files of a repository, in YAML or JSON, and what they say.
    Files(Files),
    /// What is written here.
    List(Vec<BTreeMap<String, Value>>),
    /// Clusters.
    Clusters(Clusters),
    /// Open pull requests of a repository.
    PullRequests(Box<PullRequests>),
}

/// Folders of a repository, such as `apps/*`: `*` and `?` stay within one name, `**` is any number of folders. What begins with a dot
/// is left out unless the pattern says it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Folders {
    /// The name of the Repository.
    pub repository: String,
    /// Patterns for folders, from the repository's root.
    pub paths: Vec<String>,
    /// Patterns for folders among them that are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
}

/// Files of a repository, such as `apps/*/app.yaml`. Each says one mapping, or a list of them; its fields are `{item.NAME}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Files {
    /// The name of the Repository.
    pub repository: String,
    /// Patterns for files, from the repository's root.
    pub paths: Vec<String>,
    /// Patterns for files among them that are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
}

/// Clusters that carry all the labels; all Clusters where no labels are named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Clusters {
    /// Labels that a Cluster has to carry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
}

/// What an App is made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AppTemplate {
    /// How the App is called.
    pub metadata: TemplateMetadata,
    /// What the App says.
    pub spec: AppSpec,
}

/// How an App is called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemplateMetadata {
    /// The name, such as `{folder.name}`.
    pub name: String,
}

/// A generator as one that combines with nothing, or as those that it combines.
pub(crate) enum Parts<'g> {
    /// One of them.
    One(One<'g>),
    /// Each element of the one with each of the others.
    Matrix(Vec<One<'g>>),
}

/// What finds elements.
#[derive(Clone, Copy)]
pub(crate) enum One<'g> {
    /// Folders of a repository.
    Folders(&'g Folders),
    /// Files of a repository.
    Files(&'g Files),
    /// What is written.
    List(&'g [BTreeMap<String, Value>]),
    /// Clusters.
    Clusters(&'g Clusters),
    /// Open pull requests.
    PullRequests(&'g PullRequests),
}

impl Generator {
    pub(crate) fn parts(&self) -> Parts<'_> {
        match self {
            Self::Folders(folders) => Parts::One(One::Folders(folders)),
            Self::Files(files) => Parts::One(One::Files(files)),
            Self::List(list) => Parts::One(One::List(list)),
            Self::Clusters(clusters) => Parts::One(One::Clusters(clusters)),
            Self::PullRequests(requests) => Parts::One(One::PullRequests(requests)),
            Self::Matrix(axes) => Parts::Matrix(axes.iter().map(Axis::one).collect()),
        }
    }
}

impl Axis {
    fn one(&self) -> One<'_> {
        match self {
            Self::Folders(folders) => One::Folders(folders),
            Self::Files(files) => One::Files(files),
            Self::List(list) => One::List(list),
            Self::Clusters(clusters) => One::Clusters(clusters),
            Self::PullRequests(requests) => One::PullRequests(requests),
        }
    }
}

impl One<'_> {
    /// The field that it is written under.
    pub(crate) fn field(self) -> &'static str {
        match self {
            Self::Folders(_) => "folders",
            Self::Files(_) => "files",
            Self::List(_) => "list",
            Self::Clusters(_) => "clusters",
            Self::PullRequests(_) => "pullRequests",
        }
    }

    /// The Repository that it reads.
    pub(crate) fn repository(&self) -> Option<&str> {
        match self {
            Self::Folders(folders) => Some(&folders.repository),
            Self::Files(files) => Some(&files.repository),
            Self::List(_) | Self::Clusters(_) | Self::PullRequests(_) => None,
        }
    }

    fn check(self, place: &Place, findings: &mut Findings) {
        let (paths, exclude) = match self {
            Self::Folders(Folders { paths, exclude, .. }) | Self::Files(Files { paths, exclude, .. }) => {
                (paths, exclude)
            }
            Self::PullRequests(requests) => return requests.check(place, findings),
            Self::List(_) | Self::Clusters(_) => return,
        };
        if paths.is_empty() {
            findings.add(place.field("paths"), "needs at least one pattern");
        }
        for (field, patterns) in [("paths", paths), ("exclude", exclude)] {
            for (index, pattern) in patterns.iter().enumerate() {
                if let Err(why) = Pattern::new(pattern) {
                    findings.add(place.field(field).item(index), why);
                }
            }
        }
    }
}

impl AppSetSpec {
    /// Each thing that finds elements, with its place.
    pub(crate) fn ones(&self) -> Vec<(Place, One<'_>)> {
        let mut all = Vec::new();
        for (index, generator) in self.generators.iter().enumerate() {
            let place = Place::spec("generators").item(index);
            match generator.parts() {
                Parts::One(one) => all.push((place.field(one.field()), one)),
                Parts::Matrix(axes) => {
                    let at =
                        |(index, one): (usize, One<'_>)| place.field("matrix").item(index).field(one.field());
                    all.extend(axes.into_iter().enumerate().map(|axis| (at(axis), axis.1)));
                }
            }
        }
        all
    }

    /// The pull requests that it asks for, each with its place.
    pub(crate) fn pull_requests(&self) -> impl Iterator<Item = (Place, &PullRequests)> {
        self.ones().into_iter().filter_map(|(place, one)| match one {
            One::PullRequests(requests) => Some((place, requests)),
            One::Folders(_) | One::Files(_) | One::List(_) | One::Clusters(_) => None,
        })
    }
}

/// The generators of pull requests, each with its place.
fn generators_pull_requests(generators: &mut [Generator]) -> Vec<(Place, &mut PullRequests)> {
    let mut all = Vec::new();
    for (index, generator) in generators.iter_mut().enumerate() {
        let place = Place::spec("generators").item(index);
        match generator {
            Generator::PullRequests(requests) => all.push((place.field("pullRequests"), &mut **requests)),
            Generator::Matrix(axes) => {
                for (index, axis) in axes.iter_mut().enumerate() {
                    if let Axis::PullRequests(requests) = axis {
                        let place = place.field("matrix").item(index).field("pullRequests");
                        all.push((place, &mut **requests));
                    }
                }
            }
            Generator::Folders(_) | Generator::Files(_) | Generator::List(_) | Generator::Clusters(_) => {}
        }
    }
    all
}

impl Spec for AppSetSpec {
    const KIND: Kind = Kind::AppSet;

    fn check(&self, findings: &mut Findings) {
        if self.generators.is_empty() {
            findings.add(Place::spec("generators"), "needs at least one generator");
        }
        for (index, generator) in self.generators.iter().enumerate() {
            if let Generator::Matrix(axes) = generator
                && axes.len() < 2
            {
                let place = Place::spec("generators").item(index).field("matrix");
                findings.add(place, "a matrix combines at least two generators");
            }
        }
        for (place, one) in self.ones() {
            one.check(&place, findings);
        }
        // What has placeholders is checked when they are filled in.
        let mut of_app = Findings::default();
        self.template.spec.check(&mut of_app);
        let written = serde_json::to_value(&self.template.spec).unwrap_or_default();
        for (place, message) in of_app.0 {
            if !has_braces(&place, &written) {
                findings.add(place.within_template(), message);
            }
        }
    }

    fn resolve_paths(&mut self, folder: &Path) {
        for (_, requests) in generators_pull_requests(&mut self.generators) {
            if let Some(credentials) = &mut requests.credentials {
                credentials.resolve_paths(folder);
            }
            if let Some(webhook) = &mut requests.webhook {
                webhook.resolve_paths(folder);
            }
        }
        self.template.spec.resolve_paths(folder);
    }

    fn check_resource(&self, findings: &mut Findings) {
        for (place, _) in self.pull_requests().filter(|(_, requests)| requests.credentials.is_some()) {
            findings.add(place.field("credentials"), IN_A_SECRET);
        }
        let has_secret = |requests: &PullRequests| {
            requests.webhook.as_ref().is_some_and(|webhook| webhook.secret.is_some())
        };
        for (place, _) in self.pull_requests().filter(|(_, requests)| has_secret(requests)) {
            findings.add(place.field("webhook").field("secret"), IN_A_SECRET);
        }
        let mut of_app = Findings::default();
        self.template.spec.check_resource(&mut of_app);
        findings.0.extend(of_app.0.into_iter().map(|(place, message)| (place.within_template(), message)));
    }

    fn secret_namespaces(&mut self) -> Vec<(Place, &mut Option<String>)> {
        let secrets = self.template.spec.secret_namespaces();
        let mut all: Vec<_> =
            secrets.into_iter().map(|(place, namespace)| (place.within_template(), namespace)).collect();
        let of_generators = generators_pull_requests(&mut self.generators).into_iter();
        all.extend(of_generators.flat_map(|(place, requests)| {
            let token = requests.secret_ref.as_mut().map(|secret| &mut secret.namespace);
            let webhook = requests.webhook.as_mut().and_then(|webhook| webhook.secret_ref.as_mut());
            let webhook = webhook.map(|secret| &mut secret.namespace);
            let token = token.map(|namespace| (place.field("secretRef"), namespace));
            token
                .into_iter()
                .chain(webhook.map(|namespace| (place.field("webhook").field("secretRef"), namespace)))
        }));
        all
    }
}

/// Whether what stands at a place of a spec has braces, so that nothing can be said of it yet.
fn has_braces(place: &Place, spec: &Value) -> bool {
    let found = place.0.iter().skip(1).try_fold(spec, |here, step| match step {
        Step::Field(name) => here.get(name),
        Step::Item(index) => here.get(index),
    });
    found.and_then(Value::as_str).is_some_and(|text| text.contains('{'))
}

/// What a made App is declared with.
pub(crate) fn named(name: &str, set: &Metadata) -> Metadata {
    Metadata { name: name.to_owned(), namespace: set.namespace.clone(), ..Metadata::default() }
}

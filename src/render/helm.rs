//! A chart of a tree, or one that was fetched, rendered as a part of a target.
//!
//! Enters: a tree, what is said of the chart, and what is known besides: the archive, what the cluster can do and has, a seed of
//! chance. Leaves: manifests, hooks among them with the annotations that make them hooks, definitions of kinds first. Absent: where
//! charts come from, and what becomes of hooks.

use super::chance::{Chance, Seed};
use super::dependencies::{Around, Incomplete, complete};
use super::lookups::{Answers, Lookups};
use super::values::{ValuesFrom, layers};
use super::{Remote, RenderError, Traced, Unrendered, chart, inflate};
use crate::cluster::{Abilities, Query};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use trueup_helm::{Chart, Crds, KubeVersion, Options, Release, Rendered, Schemas, Values, render};
use trueup_model::{EntryKind, Manifest, Origin, Tree, TreeError, tree, yaml};

/// The namespace of a release that is given none.
pub(super) const DEFAULT_NAMESPACE: &str = "default";

/// What is said of a target's chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Helm {
    /// Where it is.
    pub place: Place,
    /// The release's name.
    pub release: String,
    /// The cluster that it goes to, for messages.
    pub cluster: String,
    /// The namespace that it goes to.
    pub namespace: String,
    /// Files of values in the tree; the last one counts.
    pub values_files: Vec<String>,
    /// Values that go over those of the files.
    pub values: Values,
    /// Objects of the cluster with values that go over those.
    pub values_from: Vec<ValuesFrom>,
    /// Whether the files of `crds` folders are left out.
    pub crds: Crds,
    /// Whether values have to fit the chart's schema.
    pub schemas: Schemas,
    /// API versions and kinds besides those of the cluster.
    pub api_versions: Vec<String>,
    /// What becomes of the objects.
    pub pass: Pass,
}

/// Where a chart is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the tree: a folder, or a packed chart.
    Tree(String),
    /// In a chart repository or registry; it comes with what is [`Given`].
    Elsewhere {
        /// Its URL, and its name.
        shown: String,
    },
}

/// What becomes of a chart's objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// They are applied as they are.
    Straight,
    /// They go through the kustomization at the request's path.
    Kustomization,
}

/// What a rendering takes from outside of the tree.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Given {
    /// The chart, where it is not in the tree.
    pub chart: Option<Arc<Packed>>,
    /// What the cluster can do; where it is not known, what Helm assumes.
    pub capabilities: Option<Abilities>,
    /// What chance and time are made of.
    pub seed: Seed,
    /// What the cluster says to what was asked of it.
    pub answers: Answers,
}

impl Given {
    /// The same, for remembering: without what the cluster said.
    #[must_use]
    pub fn sealed(&self) -> Self {
        Self { answers: self.answers.sealed(), ..self.clone() }
    }
}

/// A chart that was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// Its version.
    pub version: String,
    /// What names it for ever.
    pub digest: String,
    /// The archive.
    pub bytes: Arc<[u8]>,
}

/// What came of a chart.
pub struct Made {
    /// The objects.
    pub manifests: Vec<Manifest>,
    /// Which chart it was.
    pub chart: Identity,
    /// The functions of chance that were called.
    pub calls: Vec<super::chance::Called>,
    /// What the cluster was asked for.
    pub asked: BTreeSet<Query>,
}

/// Which chart was rendered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its digest, where it came from elsewhere.
    pub digest: String,
}

impl Helm {
    /// Where in the tree it reads.
    pub fn roots(&self) -> impl Iterator<Item = &String> {
        let own = match &self.place {
            Place::Tree(path) => Some(path),
            Place::Elsewhere { .. } => None,
        };
        own.into_iter().chain(&self.values_files)
    }

    /// What the target is called by in messages.
    pub fn shown(&self) -> &str {
        match &self.place {
            Place::Tree(path) => path,
            Place::Elsewhere { shown } => shown,
        }
    }
}

/// Renders the chart.
pub(super) fn build(
    source: &dyn Tree,
    helm: &Helm,
    given: &Given,
    bases: &BTreeMap<Remote, Result<Traced, String>>,
) -> Result<Made, Unrendered> {
    let lookups = Lookups::new(&given.answers);
    let made = built(source, helm, given, bases, &lookups);
    // What came of a rendering without them says nothing.
    match lookups.unasked() {
        Some(unasked) => Err(Unrendered::Unasked(unasked)),
        None => made,
    }
}

fn built(
    source: &dyn Tree,
    helm: &Helm,
    given: &Given,
    bases: &BTreeMap<Remote, Result<Traced, String>>,
    lookups: &Lookups,
) -> Result<Made, Unrendered> {
    let chart = load(source, helm, given);
    let values = layers(source, helm, lookups);
    let (mut chart, values) = match (chart, values) {
        (Ok(chart), Ok(values)) => (chart, values),
        (Err(mut errors), Err(more)) => {
            errors.0.extend(more.0);
            return Err(errors.into());
        }
        (Err(errors), Ok(_)) | (Ok(_), Err(errors)) => return Err(errors.into()),
    };
    completed(&mut chart, source, helm, bases)?;
    let chance = Chance::new(&given.seed);
    let mut options = options(helm, given, &chance)?;
    options.lookup = Some(lookups.function());
    let made = render(&chart, values.merged(), &options);
    let made = made.map_err(|error| RenderError(vec![format!("{}: {error}", helm.shown())]))?;
    let identity = Identity {
        name: chart.metadata.name.clone(),
        version: chart.metadata.version.clone(),
        digest: given.chart.as_ref().map(|packed| packed.digest.clone()).unwrap_or_default(),
    };
    let (calls, asked) = (chance.called(), lookups.all());
    Ok(Made { manifests: manifests(helm, made)?, chart: identity, calls, asked })
}

/// Puts the charts in their places that the chart asks for and does not hold.
pub(super) fn completed(
    chart: &mut Chart,
    source: &dyn Tree,
    helm: &Helm,
    bases: &BTreeMap<Remote, Result<Traced, String>>,
) -> Result<(), Unrendered> {
    let around = match &helm.place {
        Place::Tree(path) => Around::Folder(source, path),
        Place::Elsewhere { .. } => Around::Nothing,
    };
    let elsewhere = |remote: &Remote| inflate::elsewhere(bases, remote);
    complete(chart, around, helm.shown(), &elsewhere).map_err(|why| match why {
        Incomplete::Missing(missing) => Unrendered::Missing(missing),
        Incomplete::Refused(problems) => Unrendered::Broken(RenderError(problems)),
    })
}

fn options(helm: &Helm, given: &Given, chance: &Chance) -> Result<Options, RenderError> {
    let namespace = if helm.namespace.is_empty() { DEFAULT_NAMESPACE } else { &helm.namespace };
    let release = Release::install(&helm.release, namespace);
    let mut options = Options::new(release, given.seed.time, chance.random());
    options.calls = Some(chance.calls());
    options.stop = Some(chart::deadline());
    options.schemas = helm.schemas;
    let capabilities = &mut options.capabilities;
    let mut known = capabilities.api_versions.to_vec();
    if let Some(cluster) = &given.capabilities {
        capabilities.kube_version = KubeVersion::parse(&cluster.version)
            .map_err(|error| RenderError(vec![format!("the cluster: {error}")]))?;
        known = cluster.api_versions.to_vec();
    }
    known.extend(helm.api_versions.iter().cloned());
    capabilities.api_versions = known.into();
    Ok(options)
}

pub(super) fn load(source: &dyn Tree, helm: &Helm, given: &Given) -> Result<Chart, RenderError> {
    let refused = |error: trueup_helm::Error| RenderError(vec![super::with_causes(&error)]);
    let path = match (&helm.place, &given.chart) {
        (Place::Tree(path), _) => path,
        (Place::Elsewhere { shown }, Some(packed)) => {
            return Chart::from_archive(&packed.bytes, shown).map_err(refused);
        }
        (Place::Elsewhere { shown }, None) => {
            return Err(RenderError(vec![format!("the chart {shown} has not been fetched")]));
        }
    };
    let (real, entry) = tree::resolve(source, path)?.ok_or_else(|| TreeError::Missing(path.to_owned()))?;
    if entry.kind == EntryKind::File {
        return Chart::from_archive(&source.read(&real)?, path).map_err(refused);
    }
    Chart::from_tree(source, &real).map_err(|error| {
        // All files that have to be fetched are told at once.
        touch(source, &real);
        refused(error)
    })
}

/// Reads all files of a folder, for the tree to note which are not there.
pub(super) fn touch(source: &dyn Tree, folder: &str) {
    for (name, entry) in source.list(folder).unwrap_or_default() {
        let Ok(path) = tree::join(folder, &name) else { continue };
        match entry.kind {
            EntryKind::Folder => touch(source, &path),
            EntryKind::File => drop(source.read(&path)),
            EntryKind::Link | EntryKind::Submodule => {}
        }
    }
}

/// The objects: definitions, what is applied, and hooks.
fn manifests(helm: &Helm, made: Rendered) -> Result<Vec<Manifest>, RenderError> {
    let mut manifests = Vec::new();
    let mut problems = Vec::new();
    if helm.crds == Crds::Included {
        for crd in &made.crds {
            match yaml::documents(&crd.text) {
                Ok(documents) => {
                    for document in documents {
                        let origin = Origin { path: origin(helm, &crd.file), line: document.line };
                        super::plain::open(document.value, &origin, &mut manifests, &mut problems);
                    }
                }
                Err(error) => problems.push(format!("{}: {error}", crd.file)),
            }
        }
    }
    let hooks = made.hooks.into_iter().map(|hook| hook.manifest);
    for manifest in made.manifests.into_iter().chain(hooks).filter(|manifest| !manifest.value.is_null()) {
        let origin = Origin { path: origin(helm, &manifest.template), line: 0 };
        super::plain::open(manifest.value, &origin, &mut manifests, &mut problems);
    }
    if problems.is_empty() { Ok(manifests) } else { Err(RenderError(problems)) }
}

/// A template's path: of a chart in the tree the one in the tree.
fn origin(helm: &Helm, template: &str) -> String {
    match (&helm.place, template.split_once('/')) {
        (Place::Tree(folder), Some((_, below))) => {
            tree::join(folder, below).unwrap_or_else(|_| template.to_owned())
        }
        (Place::Tree(_), None) | (Place::Elsewhere { .. }, _) => template.to_owned(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::render::{Request, Seed, build};
    use trueup_helm::read_values;
    use trueup_model::MemoryTree;

    const CHART: &str = "apiVersion: v2\nname: web\nversion: 1.2.3\n";
    const TEMPLATE: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {v: '{{ .Values.v }} {{ .Values.w }}', \
        k: '{{ .Capabilities.KubeVersion.Version }} {{ .Capabilities.APIVersions.Has \"example.com/v1/Widget\" }}'}\n";

    fn tree() -> MemoryTree {
        MemoryTree::from_iter([
            ("web/Chart.yaml", CHART),
            ("web/values.yaml", "v: chart\nw: chart\n"),
            (
                "web/crds/widgets.yaml",
                "apiVersion: x/v1\nkind: CustomResourceDefinition\nmetadata: {name: w}\n",
            ),
            ("web/templates/a.yaml", TEMPLATE),
            ("values/one.yaml", "v: one\nw: one\n"),
            ("values/two.yaml", "v: two\n"),
            ("other/x.yaml", "x: 1\n"),
        ])
    }

    /// The chart in `web`, with all defaults.
    pub(in crate::render) fn helm() -> Helm {
        Helm {
            place: Place::Tree("web".to_owned()),
            release: "rel".to_owned(),
            cluster: "here".to_owned(),
            namespace: "shop".to_owned(),
            values_files: vec!["values/one.yaml".to_owned(), "values/two.yaml".to_owned()],
            values: Values::new(),
            values_from: Vec::new(),
            crds: Crds::Included,
            schemas: Schemas::Checked,
            api_versions: Vec::new(),
            pass: Pass::Straight,
        }
    }

    fn request(helm: Helm) -> Request {
        Request { helm: Some(Arc::new(helm)), ..Request::default() }
    }

    fn rendered(request: &Request) -> Result<crate::render::Rendered, String> {
        build(Arc::new(tree()), request).map_err(|error| error.to_string())
    }

    #[test]
    fn values_go_over_one_another_in_their_order_and_definitions_come_first() {
        let mut inline = helm();
        inline.values = read_values("w: inline").unwrap();
        let built = rendered(&request(inline)).unwrap();
        let ids: Vec<String> = built.manifests.iter().map(|m| format!("{} {}", m.id(), m.origin)).collect();
        assert_eq!(
            ids,
            ["CustomResourceDefinition.x w web/crds/widgets.yaml:1", "ConfigMap a web/templates/a.yaml"]
        );
        assert_eq!(built.manifests[1].value["data"]["v"], "two inline");
        let without = rendered(&request(Helm { crds: Crds::Skipped, ..helm() })).unwrap();
        assert_eq!(without.manifests.len(), 1);
        assert_eq!(built.chart.unwrap().version, "1.2.3");
    }

    #[test]
    fn a_cluster_says_what_it_can_do_and_the_app_may_add_to_it() {
        let abilities = Abilities { version: "v1.36.3".to_owned(), api_versions: ["v1".to_owned()].into() };
        let given = Given { capabilities: Some(abilities), ..Given::default() };
        let found = |helm: Helm| {
            let built = rendered(&request(helm).with(given.clone())).unwrap();
            built.manifests.last().unwrap().value["data"]["k"].clone()
        };
        assert_eq!(found(helm()), "v1.36.3 false");
        let more = Helm { api_versions: vec!["example.com/v1/Widget".to_owned()], ..helm() };
        assert_eq!(found(more), "v1.36.3 true");
    }

    #[test]
    fn a_commit_that_touches_neither_the_chart_nor_its_values_renders_nothing() {
        let built = rendered(&request(helm())).unwrap();
        for (path, holds) in [
            ("other/x.yaml", true),
            ("values/other.yaml", true),
            ("values/one.yaml", false),
            ("web/templates/a.yaml", false),
            ("web/templates/new.yaml", false),
        ] {
            let mut tree = tree();
            tree.insert(path, "changed: 1\n");
            assert_eq!(built.trace.holds_in(&tree), holds, "{path}");
        }
    }

    #[test]
    fn what_is_asked_for_is_the_same_whatever_is_given() {
        let one = request(helm());
        let other = one.with(Given { seed: Seed { bytes: [1; 32], ..Seed::default() }, ..Given::default() });
        assert!(one != other && one.is_as(&other));
        assert!(!one.is_as(&request(Helm { release: "other".to_owned(), ..helm() })));
    }

    #[test]
    fn all_that_is_missing_is_named() {
        let missing = Helm {
            place: Place::Elsewhere { shown: "oci://h/web".to_owned() },
            values_files: vec!["none.yaml".to_owned(), "nor.yaml".to_owned()],
            ..helm()
        };
        let why = rendered(&request(missing)).unwrap_err();
        assert!(["oci://h/web", "none.yaml", "nor.yaml"].iter().all(|name| why.contains(name)), "{why}");
    }

    #[test]
    fn what_a_chart_looks_up_has_to_be_asked_for_and_is_told() {
        let template = "{{ $one := lookup \"v1\" \"Secret\" \"shop\" \"one\" }}{{ $all := lookup \"v1\" \"Secret\" \"\" \"\" }}\
            {{ if $one }}{{ $_ := lookup \"v1\" \"Secret\" \"shop\" $one.next }}{{ else }}{{ fail \"none\" }}{{ end }}\
            {apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {count: '{{ len (default list $all.items) }}'}}\n";
        let mut tree = tree();
        tree.insert("web/templates/a.yaml", template);
        let tree: Arc<dyn Tree> = Arc::new(tree);
        let build = |answers: &Answers| {
            let given = Given { answers: answers.clone(), ..Given::default() };
            crate::render::build_from(
                tree.clone(),
                &request(helm()).with(given),
                &crate::render::Parsed::default(),
                &crate::render::Bases::new(),
            )
        };
        let secret = |name: &str| Query::core("Secret", "shop", name);
        let unasked = |answers: &Answers| match build(answers) {
            Err(Unrendered::Unasked(unasked)) => unasked.0,
            other => panic!("{other:?}"),
        };
        let mut answers = Answers::Known(std::collections::BTreeMap::new());
        let all = Query::core("Secret", "", "");
        // A template that fails for want of an answer has not failed yet.
        assert_eq!(unasked(&answers), [secret("one"), all.clone()].into());
        let found = |value: serde_json::Value| crate::render::Answer::of(Some(value));
        answers.extend([
            (secret("one"), found(serde_json::json!({"next": "two"}))),
            (all.clone(), found(serde_json::json!({"items": [{}, {}]}))),
        ]);
        assert_eq!(unasked(&answers), [secret("two")].into());
        answers.extend([(secret("two"), crate::render::Answer::of(None))]);
        let rendered = build(&answers).unwrap();
        assert_eq!(rendered.asked, [secret("one"), secret("two"), all].into());
        let made = &rendered.manifests.last().unwrap().value;
        assert_eq!(made["data"]["count"], "2", "{made:?}");
        // Where nobody can be asked, nothing is found.
        let Err(Unrendered::Broken(error)) = build(&Answers::Nobody) else { panic!() };
        assert!(error.to_string().contains("none"), "{error}");
    }
}

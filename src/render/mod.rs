//! From a tree to the objects in it.
//!
//! Enters: a tree, a path in it, and how to render. Leaves: manifests with where they came from, and the trace of all that was
//! looked at, by which a later commit proves that it renders the same. Pure but for reads of the tree.

pub mod chance;
pub mod chart;
mod confidential;
pub mod dependencies;
pub mod helm;
mod inflate;
mod lookups;
mod overlay;
mod plain;
mod provenance;
mod substitute;
mod trace;
pub mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use trueup_kustomize as kustomize;
use trueup_model::{Manifest, Tree, TreeError, tree};

pub use crate::cluster::Query;
pub use chance::{Called, Seed};
pub use helm::{Given, Helm, Identity, Packed, Pass, Place};
pub use lookups::{Answer, Answers, Unasked};
pub use plain::read as plain;
pub use provenance::build_with_provenance;
pub use substitute::Variables;
pub use trace::Trace;
use trace::TracedTree;
pub use trueup_kustomize::{Needed, Parsed, Remote};
pub use values::{Holder, Need, ValuesFrom};

/// How to render a path.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// The folder or file, below the tree's root; of a chart, the kustomization that its objects go through.
    pub path: String,
    /// A chart, which is rendered instead of what stands at the path.
    pub helm: Option<Arc<Helm>>,
    /// What a chart takes from outside of the tree.
    pub given: Given,
    /// Whether a plain folder's sub-folders are read as well.
    pub depth: Depth,
    /// Whether a kustomization may read files outside of its own folder.
    pub load_restrictions: kustomize::LoadRestrictions,
    /// The order of a kustomization's objects where it does not set `sortOptions`.
    pub reorder: kustomize::Reorder,
    /// `Some` replaces `${name}` in the result and refuses names that are not set.
    pub variables: Option<Variables>,
}

impl Request {
    /// Where in the tree it begins to read.
    pub fn roots(&self) -> BTreeSet<String> {
        let Some(helm) = &self.helm else { return BTreeSet::from([self.path.clone()]) };
        let own = (helm.pass == Pass::Kustomization).then_some(&self.path);
        helm.roots().chain(own).cloned().collect()
    }

    /// What it is called by in messages.
    pub fn shown(&self) -> &str {
        self.helm.as_ref().map_or(&*self.path, |helm| helm.shown())
    }

    /// The same with other things given.
    #[must_use]
    pub fn with(&self, given: Given) -> Self {
        Self { given, ..self.clone() }
    }

    /// The same, for remembering: without what a cluster said.
    #[must_use]
    pub fn sealed(&self) -> Self {
        self.with(self.given.sealed())
    }

    /// Whether it asks for the same, whatever is given.
    pub fn is_as(&self, other: &Self) -> bool {
        self.with(Given::default()) == other.with(Given::default())
    }
}

/// How deep a folder of plain manifests is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depth {
    /// The folder's own files.
    #[default]
    Folder,
    /// The files of its sub-folders too.
    Recursive,
}

/// Rendered objects, and what they were rendered from.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// The objects, in the order of their files.
    pub manifests: Vec<Manifest>,
    /// All that was looked at.
    pub trace: Trace,
    /// What of other repositories was used, and what was looked at there.
    pub bases: BTreeMap<Remote, Used>,
    /// The chart that it was rendered from.
    pub chart: Option<Identity>,
    /// The functions of chance that the chart called.
    pub calls: Vec<Called>,
    /// What the cluster was asked for.
    pub asked: BTreeSet<Query>,
}

/// A commit of another repository, or the content behind a URL.
#[derive(Clone)]
pub struct Base {
    /// The commit, or a hash of the content.
    pub revision: String,
    /// The files.
    pub tree: Arc<dyn Tree>,
}

/// What is known of other repositories and URLs: a tree of each, or why there is none.
pub type Bases = BTreeMap<Remote, Result<Base, String>>;

/// What renders a path of a tree: [`build_from`] or [`build_with_provenance`].
pub type Build<T> = fn(Arc<dyn Tree>, &Request, &Parsed, &Bases) -> Result<T, Unrendered>;

/// A [`Base`] that a rendering used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Used {
    /// Its revision.
    pub revision: String,
    /// What was looked at in it.
    pub trace: Trace,
}

/// Why nothing was rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unrendered {
    /// These have to be read first; there may be more after that.
    Missing(BTreeSet<Needed>),
    /// The contents of these files have to be fetched first; there may be more after that.
    Absent(Absent),
    /// These have to be asked of the cluster first; there may be more after that.
    Unasked(Unasked),
    /// Something is wrong with the source.
    Broken(RenderError),
}

/// Files that a rendering needs and whose contents have not been fetched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Absent {
    /// In the tree that is rendered.
    pub own: BTreeSet<String>,
    /// In other repositories.
    pub bases: BTreeMap<Remote, BTreeSet<String>>,
}

impl Absent {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.own.is_empty() && self.bases.is_empty()
    }
}

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.own.len() + self.bases.values().map(BTreeSet::len).sum::<usize>();
        let first = self.own.iter().chain(self.bases.values().flatten()).next();
        let first = first.map_or("", String::as_str);
        match count {
            0 | 1 => write!(f, "{first} has not been fetched"),
            count => write!(f, "{first} and {} other files have not been fetched", count - 1),
        }
    }
}

/// All that is wrong with a source; each entry names a file and, where it can, a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderError(pub Vec<String>);

impl fmt::Display for RenderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for RenderError {}

impl From<TreeError> for RenderError {
    fn from(error: TreeError) -> Self {
        Self(vec![with_causes(&error)])
    }
}

impl From<kustomize::Failure> for Unrendered {
    fn from(failure: kustomize::Failure) -> Self {
        match failure {
            kustomize::Failure::Missing(missing) => Self::Missing(missing),
            kustomize::Failure::Errors(errors) => {
                Self::Broken(RenderError(errors.0.iter().map(ToString::to_string).collect()))
            }
        }
    }
}

impl From<RenderError> for Unrendered {
    fn from(error: RenderError) -> Self {
        Self::Broken(error)
    }
}

impl From<TreeError> for Unrendered {
    fn from(error: TreeError) -> Self {
        Self::Broken(error.into())
    }
}

/// An error and its causes in one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Renders what stands at the request's path: a kustomization, or plain manifests.
pub fn build(source: Arc<dyn Tree>, request: &Request) -> Result<Rendered, RenderError> {
    build_with(source, request, &Parsed::default())
}

/// As [`build`]; what several requests read of one commit is parsed once.
pub fn build_with(
    source: Arc<dyn Tree>,
    request: &Request,
    parsed: &Parsed,
) -> Result<Rendered, RenderError> {
    build_from(source, request, parsed, &Bases::new()).map_err(|unrendered| match unrendered {
        Unrendered::Broken(error) => error,
        Unrendered::Absent(absent) => RenderError(vec![absent.to_string()]),
        Unrendered::Unasked(unasked) => RenderError(vec![unasked.to_string()]),
        Unrendered::Missing(missing) => {
            let unread =
                |needed: &Needed| format!("{} is outside of the repository, and was not read", needed.remote);
            RenderError(missing.iter().map(unread).collect())
        }
    })
}

/// As [`build_with`], for kustomizations that name other repositories and URLs. Whoever is told that some of them are
/// missing calls again with those as well.
pub fn build_from(
    source: Arc<dyn Tree>,
    request: &Request,
    parsed: &Parsed,
    bases: &Bases,
) -> Result<Rendered, Unrendered> {
    let traced = TracedTree::new(source);
    let bases = traced_bases(bases);
    let built = substituted(&traced, request, parsed, &bases);
    all_fetched(&traced, &bases)?;
    let built = built.map_err(|unrendered| confidential::scrubbed(unrendered, &request.given.answers));
    let Built { manifests, chart, calls, asked } = built?;
    let used = bases.into_iter().filter_map(|(remote, base)| {
        let base = base.ok()?;
        let trace = base.tree.take_trace();
        (!trace.is_empty()).then_some((remote, Used { revision: base.revision, trace }))
    });
    let (bases, trace) = (used.collect(), traced.take_trace());
    Ok(Rendered { manifests, trace, bases, chart, calls, asked })
}

/// Objects, and what is told of a chart that made them.
#[derive(Default)]
struct Built {
    manifests: Vec<Manifest>,
    chart: Option<Identity>,
    calls: Vec<Called>,
    asked: BTreeSet<Query>,
}

fn substituted(
    traced: &TracedTree,
    request: &Request,
    parsed: &Parsed,
    bases: &BTreeMap<Remote, Result<Traced, String>>,
) -> Result<Built, Unrendered> {
    let mut built = match &request.helm {
        Some(helm) => of_chart(traced, helm, request, parsed, bases)?,
        None => manifests(traced, request, parsed, bases)?,
    };
    if let Some(variables) = &request.variables {
        substitute::apply(&mut built.manifests, variables, traced)?;
    }
    check(&built.manifests)?;
    Ok(built)
}

fn of_chart(
    traced: &TracedTree,
    helm: &Helm,
    request: &Request,
    parsed: &Parsed,
    bases: &BTreeMap<Remote, Result<Traced, String>>,
) -> Result<Built, Unrendered> {
    let made = helm::build(traced, helm, &request.given, bases)?;
    let Built { manifests, mut calls, .. } = match helm.pass {
        Pass::Straight => Built { manifests: made.manifests, ..Built::default() },
        Pass::Kustomization => kustomized(traced, &made.manifests, request, parsed, bases)?,
    };
    calls.extend(made.calls);
    Ok(Built { manifests, chart: Some(made.chart), calls, asked: made.asked })
}

/// What the kustomization at the request's path makes of a chart's objects.
fn kustomized(
    traced: &TracedTree,
    made: &[Manifest],
    request: &Request,
    parsed: &Parsed,
    bases: &BTreeMap<Remote, Result<Traced, String>>,
) -> Result<Built, Unrendered> {
    let path = tree::join("", &request.path)?;
    let name = kustomize::is_kustomization(traced, &path)?;
    let why = || format!("{path}: there is no kustomization for the chart's objects to go through");
    let name = name.ok_or_else(|| RenderError(vec![why()]))?;
    let overlay = overlay::Overlay::new(traced, &path, &name, made)?;
    let mut built = manifests(&overlay, request, parsed, bases)?;
    for manifest in &mut built.manifests {
        if let Some(origin) = overlay.origin(&manifest.origin) {
            manifest.origin = origin.clone();
        }
    }
    Ok(built)
}

/// What came of a rendering while files were absent says nothing but that.
fn all_fetched(
    traced: &TracedTree,
    bases: &BTreeMap<Remote, Result<Traced, String>>,
) -> Result<(), Unrendered> {
    let of_base = |(remote, base): (&Remote, &Result<Traced, String>)| {
        let absent = base.as_ref().ok()?.tree.absent();
        (!absent.is_empty()).then(|| (remote.clone(), absent))
    };
    let absent = Absent { own: traced.absent(), bases: bases.iter().filter_map(of_base).collect() };
    if absent.is_empty() { Ok(()) } else { Err(Unrendered::Absent(absent)) }
}

fn traced_bases(bases: &Bases) -> BTreeMap<Remote, Result<Traced, String>> {
    let traced = |base: &Result<Base, String>| base.as_ref().map(Traced::of).map_err(Clone::clone);
    bases.iter().map(|(remote, base)| (remote.clone(), traced(base))).collect()
}

/// A base, and a tree that notes what is asked of it.
struct Traced {
    revision: String,
    tree: Arc<TracedTree>,
}

impl Traced {
    fn of(base: &Base) -> Self {
        Self { revision: base.revision.clone(), tree: Arc::new(TracedTree::new(base.tree.clone())) }
    }
}

fn manifests(
    source: &dyn Tree,
    request: &Request,
    parsed: &Parsed,
    bases: &BTreeMap<Remote, Result<Traced, String>>,
) -> Result<Built, Unrendered> {
    let path = tree::join("", &request.path)?;
    if kustomize::is_kustomization(source, &path)?.is_some() {
        let (options, remotes) = (options_of(request), inflate::remotes(bases));
        let charts = inflate::Charts::new(&request.given.seed, bases);
        let inflate = |inflation: &kustomize::Inflation<'_>| charts.inflate(inflation);
        let manifests = kustomize::build_with_charts(source, &path, &options, parsed, &remotes, &inflate)?;
        return Ok(Built { manifests, calls: charts.called(), ..Built::default() });
    }
    let chart = tree::join(&path, "Chart.yaml")?;
    if source.entry(&chart)?.is_some() {
        return Err(RenderError(vec![format!(
            "{chart}: this is a Helm chart: name it in the App's `helm`, not its `path`"
        )])
        .into());
    }
    Ok(Built { manifests: plain::read(source, &path, request.depth)?, ..Built::default() })
}

fn options_of(request: &Request) -> kustomize::Options {
    kustomize::Options { load_restrictions: request.load_restrictions, reorder: request.reorder }
}

// What has no kind or name cannot become an object, whatever engine it came from.
fn check(manifests: &[Manifest]) -> Result<(), RenderError> {
    let problems: Vec<String> = manifests
        .iter()
        .filter_map(|manifest| {
            let missing = match (manifest.api_version(), manifest.kind(), manifest.name()) {
                ("", _, _) => "apiVersion",
                (_, "", _) => "kind",
                (_, _, "") => "metadata.name",
                (_, _, _) => return None,
            };
            Some(format!("{}: the object has no {missing}", manifest.origin))
        })
        .collect();
    if problems.is_empty() { Ok(()) } else { Err(RenderError(problems)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trueup_model::MemoryTree;

    fn render(files: &[(&str, &str)], request: &Request) -> Result<Vec<String>, String> {
        let tree: MemoryTree = files.iter().copied().collect();
        build(Arc::new(tree), request)
            .map(|rendered| rendered.manifests.iter().map(|m| format!("{} {}", m.id(), m.origin)).collect())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_base_that_was_used_is_told_with_its_revision_and_what_was_looked_at() {
        let at = |reference: &str| Remote::Repository {
            url: "https://h/org/repo".to_owned(),
            reference: reference.to_owned(),
        };
        let base = |revision: &str, value: &str| {
            let app = format!("{A}data: {{value: {value}}}\n");
            let files = [("app/kustomization.yaml", "resources: [a.yaml]\n"), ("app/a.yaml", app.as_str())];
            Base { revision: revision.to_owned(), tree: Arc::new(MemoryTree::from_iter(files)) }
        };
        let kustomization = "resources: [https://h/org/repo//app?ref=main]\n";
        let tree: Arc<dyn Tree> = Arc::new(MemoryTree::from_iter([("kustomization.yaml", kustomization)]));
        let build = |bases: &Bases| build_from(tree.clone(), &Request::default(), &Parsed::default(), bases);

        let needed = Needed { remote: at("main"), timeout: None };
        assert_eq!(build(&Bases::new()).unwrap_err(), Unrendered::Missing([needed].into()));
        let bases = [(at("main"), Ok(base("1111", "x"))), (at("other"), Ok(base("2222", "x")))];
        let rendered = build(&bases.into()).unwrap();
        let used: Vec<(&Remote, &str)> =
            rendered.bases.iter().map(|(remote, used)| (remote, used.revision.as_str())).collect();
        assert_eq!(used, [(&at("main"), "1111")]);
        let trace = &rendered.bases[&at("main")].trace;
        assert!(trace.holds_in(&*base("3333", "x").tree), "nothing that was looked at differs");
        assert!(!trace.holds_in(&*base("3333", "y").tree));
    }

    fn at(path: &str) -> Request {
        Request { path: path.to_owned(), ..Request::default() }
    }

    const A: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";

    #[test]
    fn a_plain_folder_is_read_by_file_and_document_and_lists_are_opened() {
        let list = r#"{"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}]}"#;
        let two = format!("{A}---\n# nothing\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: b}}\n");
        let files = [
            ("app/2.json", list),
            ("app/1.yaml", two.as_str()),
            ("app/sub/3.yaml", A),
            ("app/README.md", "x"),
        ];
        assert_eq!(
            render(&files, &at("app")).unwrap(),
            ["ConfigMap a app/1.yaml:1", "ConfigMap b app/1.yaml:7", "Secret s app/2.json:1"]
        );
        let deep = Request { depth: Depth::Recursive, ..at("app") };
        assert_eq!(render(&files, &deep).unwrap().len(), 4);
    }

    #[test]
    fn every_broken_file_is_named_with_its_line() {
        let files = [("app/1.yaml", "a: [\n"), ("app/2.yaml", "a: 1\na: 2\n"), ("app/3.yaml", A)];
        let error = render(&files, &at("app")).unwrap_err();
        assert!(error.contains("app/1.yaml") && error.contains("app/2.yaml: line 2"), "{error}");
    }

    #[test]
    fn an_object_without_a_kind_is_refused_with_its_place() {
        let error =
            render(&[("app/1.yaml", "apiVersion: v1\nmetadata: {name: x}\n")], &at("app")).unwrap_err();
        assert_eq!(error, "app/1.yaml:1: the object has no kind");
    }

    /// A tree of which no file has been fetched but those in `here`.
    struct Sparse(MemoryTree, Vec<&'static str>);

    impl Tree for Sparse {
        fn entry(&self, path: &str) -> Result<Option<trueup_model::Entry>, TreeError> {
            self.0.entry(path)
        }

        fn read(&self, path: &str) -> Result<Arc<[u8]>, TreeError> {
            if self.1.contains(&path) { self.0.read(path) } else { Err(TreeError::Absent(path.to_owned())) }
        }

        fn list(&self, path: &str) -> Result<Vec<(String, trueup_model::Entry)>, TreeError> {
            self.0.list(path)
        }
    }

    #[test]
    fn all_files_that_have_not_been_fetched_are_told_at_once() {
        let files = [
            (
                "app/kustomization.yaml",
                "resources: [../one, ../two, a.yaml, b.yaml]\npatches: [{path: p.yaml}]\n",
            ),
            ("app/a.yaml", A),
            ("app/b.yaml", "x"),
            ("app/p.yaml", A),
            ("one/kustomization.yaml", "resources: [c.yaml]\n"),
            ("two/kustomization.yaml", "resources: [d.yaml]\n"),
            ("plain/1.yaml", A),
            ("plain/sub/2.yaml", A),
        ];
        let absent = |here: &[&'static str], request: &Request| {
            let tree = Arc::new(Sparse(files.into_iter().collect(), here.to_vec()));
            match build_from(tree.clone(), request, &Parsed::default(), &Bases::new()) {
                Err(Unrendered::Absent(absent)) => {
                    let explained =
                        build_with_provenance(tree, request, &Parsed::default(), &Bases::new()).unwrap_err();
                    assert_eq!(explained, Unrendered::Absent(absent.clone()));
                    Vec::from_iter(absent.own).join(" ")
                }
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(absent(&[], &at("app")), "app/kustomization.yaml");
        assert_eq!(
            absent(&["app/kustomization.yaml"], &at("app")),
            "app/a.yaml app/b.yaml app/p.yaml one/kustomization.yaml two/kustomization.yaml"
        );
        let deep = Request { depth: Depth::Recursive, ..at("plain") };
        assert_eq!(absent(&[], &deep), "plain/1.yaml plain/sub/2.yaml");
    }

    #[test]
    fn a_missing_path_is_an_error_and_not_an_empty_result() {
        assert!(
            render(&[("app/1.yaml", A)], &at("other")).unwrap_err().contains("other: there is no such file")
        );
    }
}

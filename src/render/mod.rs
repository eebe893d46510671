//! From a tree to the objects in it.
//!
//! Enters: a tree, a path in it, and how to render. Leaves: manifests with where they came from, and the trace of all that was
//! looked at, by which a later commit proves that it renders the same. Pure but for reads of the tree. Absent: charts, so far.

mod plain;
mod substitute;
mod trace;

use std::fmt;
use std::sync::Arc;
use trueup_kustomize as kustomize;
use trueup_model::{Manifest, Tree, TreeError, tree};

pub use substitute::Variables;
pub use trace::Trace;
use trace::TracedTree;
pub use trueup_kustomize::Parsed;

/// How to render a path.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// The folder or file, below the tree's root.
    pub path: String,
    /// Whether a plain folder's sub-folders are read as well.
    pub depth: Depth,
    /// Whether a kustomization may read files outside of its own folder.
    pub load_restrictions: kustomize::LoadRestrictions,
    /// The order of a kustomization's objects where it does not set `sortOptions`.
    pub reorder: kustomize::Reorder,
    /// `Some` replaces `${name}` in the result and refuses names that are not set.
    pub variables: Option<Variables>,
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
    trace(source, request, None)
}

/// As [`build`]; what several requests read of one commit is parsed once.
pub fn build_with(
    source: Arc<dyn Tree>,
    request: &Request,
    parsed: &Parsed,
) -> Result<Rendered, RenderError> {
    trace(source, request, Some(parsed))
}

fn trace(source: Arc<dyn Tree>, request: &Request, parsed: Option<&Parsed>) -> Result<Rendered, RenderError> {
    let traced = TracedTree::new(source);
    let mut manifests = manifests(&traced, request, parsed)?;
    if let Some(variables) = &request.variables {
        substitute::apply(&mut manifests, variables, &traced)?;
    }
    check(&manifests)?;
    Ok(Rendered { manifests, trace: traced.into_trace() })
}

fn manifests(
    source: &dyn Tree,
    request: &Request,
    parsed: Option<&Parsed>,
) -> Result<Vec<Manifest>, RenderError> {
    let path = tree::join("", &request.path)?;
    if kustomize::is_kustomization(source, &path)?.is_some() {
        let options =
            kustomize::Options { load_restrictions: request.load_restrictions, reorder: request.reorder };
        let built = match parsed {
            Some(parsed) => kustomize::build_with(source, &path, &options, parsed),
            None => kustomize::build(source, &path, &options),
        };
        return built.map_err(|errors| RenderError(errors.0.iter().map(ToString::to_string).collect()));
    }
    let chart = tree::join(&path, "Chart.yaml")?;
    if source.entry(&chart)?.is_some() {
        return Err(RenderError(vec![format!("{chart}: trueup does not render Helm charts yet")]));
    }
    plain::read(source, &path, request.depth)
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

    #[test]
    fn a_missing_path_is_an_error_and_not_an_empty_result() {
        assert!(
            render(&[("app/1.yaml", A)], &at("other")).unwrap_err().contains("other: there is no such file")
        );
    }
}

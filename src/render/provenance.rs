//! As rendering, with the file and line of each field kept.
//!
//! Enters: a tree and how to render. Leaves: manifests, each with the sources of its fields. Nothing of it is on the way of an
//! ordinary rendering.

use super::{
    Bases, Parsed, Remote, RenderError, Request, Traced, TracedTree, Unrendered, all_fetched, check, inflate,
    manifests, options_of, substitute, traced_bases,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use trueup_kustomize as kustomize;
use trueup_model::provenance::{Provenance, Source};
use trueup_model::yaml::{self, Node};
use trueup_model::{Manifest, Tree, Value, tree};

/// What a `${name}` that was replaced is called.
const SUBSTITUTION: &str = "substitution";

#[allow(clippy::needless_pass_by_value, reason = "one of the ways to build, see render::Build")]
/// As [`super::build_from`], and for each field the file and line that it comes from.
pub fn build_with_provenance(
    source: Arc<dyn Tree>,
    request: &Request,
    parsed: &Parsed,
    bases: &Bases,
) -> Result<Vec<(Manifest, Provenance)>, Unrendered> {
    let traced = TracedTree::new(source);
    let bases = traced_bases(bases);
    let built = with_sources(&traced, request, parsed, &bases);
    all_fetched(&traced, &bases)?;
    built
}

fn with_sources(
    source: &dyn Tree,
    request: &Request,
    parsed: &Parsed,
    bases: &BTreeMap<Remote, Result<Traced, String>>,
) -> Result<Vec<(Manifest, Provenance)>, Unrendered> {
    if request.helm.is_some() {
        return Err(RenderError(vec!["charts do not tell where their fields come from".to_owned()]).into());
    }
    let path = tree::join("", &request.path)?;
    let (mut manifests, mut sources): (Vec<Manifest>, Vec<Provenance>) =
        if kustomize::is_kustomization(source, &path)?.is_some() {
            let (options, remotes) = (options_of(request), inflate::remotes(bases));
            let charts = inflate::Charts::new(&request.given.seed, bases);
            let inflate = |inflation: &kustomize::Inflation<'_>| charts.inflate(inflation);
            let built = kustomize::build_with_provenance(source, &path, &options, &remotes, Some(&inflate))?;
            built.into_iter().unzip()
        } else {
            let manifests = manifests(source, request, parsed, &BTreeMap::new())?.manifests;
            let sources = written(source, &manifests)?;
            (manifests, sources)
        };
    if let Some(variables) = &request.variables {
        let before: Vec<Value> = manifests.iter().map(|manifest| Value::clone(&manifest.value)).collect();
        substitute::apply(&mut manifests, variables, source)?;
        let changes = before.iter().zip(&manifests).zip(sources);
        sources = changes.map(|((before, after), sources)| substituted(sources, before, after)).collect();
    }
    check(&manifests)?;
    Ok(manifests.into_iter().zip(sources).collect())
}

/// The sources of plain manifests, which are in the order of their files.
fn written(source: &dyn Tree, manifests: &[Manifest]) -> Result<Vec<Provenance>, RenderError> {
    let mut sources = Vec::with_capacity(manifests.len());
    for of_file in manifests.chunk_by(|one, next| one.origin.path == next.origin.path) {
        let Some(path) = of_file.first().map(|manifest| manifest.origin.path.as_str()) else { continue };
        let text = tree::read_text(source, path)?;
        let documents = yaml::parse(&text).map_err(|error| RenderError(vec![format!("{path}: {error}")]))?;
        let file = Arc::from(path);
        let mut objects = Vec::new();
        for document in &documents {
            open(document, &mut objects);
        }
        sources.extend(objects.into_iter().map(|node| Provenance::of_node(node, &file)));
    }
    Ok(sources)
}

/// The objects in a document, in the order of the manifests that are read from it.
fn open<'n>(node: &'n Node, objects: &mut Vec<&'n Node>) {
    let is_list = node.get("kind").and_then(Node::as_str).is_some_and(|kind| kind.ends_with("List"));
    match node.get("items").and_then(Node::as_list).filter(|_| is_list) {
        Some(items) => {
            for item in items {
                open(item, objects);
            }
        }
        None => objects.push(node),
    }
}

/// A substituted value stands where its expression was written.
fn substituted(sources: Provenance, before: &Value, after: &Manifest) -> Provenance {
    let by: Arc<str> = Arc::from(SUBSTITUTION);
    sources.follow(before, &after.value, &mut |change| {
        let origin = || Source::written(&after.origin.path.as_str().into(), after.origin.line);
        let was = change.before.map_or_else(origin, |(_, was)| was.clone());
        let (file, line) = (Arc::clone(&was.file), was.line);
        // Where the expression stands in the object's own file, that is all there is to say.
        let from = (was.by.is_some() || was.from.is_some()).then(|| Arc::new(was));
        Source { file, line, by: Some(Arc::clone(&by)), from }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::{Depth, Variables};
    use expect_test::{Expect, expect};
    use trueup_model::MemoryTree;
    use trueup_model::provenance::annotated;

    /// Renders `app` with `replicas` and `tag` set; the values must be those of an ordinary rendering.
    fn check(files: &[(&str, &str)], wanted: &Expect) {
        let tree: MemoryTree = files.iter().copied().collect();
        let variables = [("replicas", "4"), ("tag", "v2")].map(|(name, value)| (name.into(), value.into()));
        let request = Request {
            path: "app".to_owned(),
            depth: Depth::Recursive,
            variables: Some(Variables(variables.into())),
            ..Request::default()
        };
        let (tree, parsed): (Arc<dyn Tree>, _) = (Arc::new(tree), Parsed::default());
        let found = build_with_provenance(tree.clone(), &request, &parsed, &Bases::new()).unwrap();
        let manifests: Vec<Manifest> = found.iter().map(|(manifest, _)| manifest.clone()).collect();
        assert_eq!(super::super::build(tree, &request).unwrap().manifests, manifests);
        let texts: Vec<String> =
            found.iter().map(|(manifest, sources)| annotated(&manifest.value, sources)).collect();
        wanted.assert_eq(&texts.join("---\n"));
    }

    #[test]
    fn plain_manifests_have_their_own_lines_also_in_lists_and_several_documents() {
        let list = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Secret\n  metadata:\n    name: s\n";
        let json = r#"{"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "b"},
            "data": {"a": "1"}}"#;
        let two = "# one\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\n\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\n";
        check(
            &[("app/a.yaml", two), ("app/b.json", json), ("app/sub/c.yaml", list)],
            &expect![[r#"
            apiVersion: v1   # app/a.yaml:2
            kind: ConfigMap  # app/a.yaml:3
            metadata:
              name: a        # app/a.yaml:4
            ---
            apiVersion: v1   # app/a.yaml:7
            kind: ConfigMap  # app/a.yaml:8
            metadata:
              name: c        # app/a.yaml:10
            ---
            apiVersion: v1   # app/b.json:1
            data:
              a: "1"         # app/b.json:3
            kind: ConfigMap  # app/b.json:1
            metadata:
              name: b        # app/b.json:2
            ---
            apiVersion: v1  # app/sub/c.yaml:4
            kind: Secret    # app/sub/c.yaml:5
            metadata:
              name: s       # app/sub/c.yaml:7
        "#]],
        );
    }

    #[test]
    fn a_substituted_value_stands_where_its_expression_is() {
        let web = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  replicas: ${replicas}\n  template:\n    spec:\n      containers:\n      - name: web\n        image: web:1\n";
        check(
            &[("app/web.yaml", web)],
            &expect![[r"
            apiVersion: apps/v1   # app/web.yaml:1
            kind: Deployment      # app/web.yaml:2
            metadata:
              name: web           # app/web.yaml:3
            spec:
              replicas: 4         # app/web.yaml:5 substitution
              template:
                spec:
                  containers:
                  - image: web:1  # app/web.yaml:10
                    name: web     # app/web.yaml:9
        "]],
        );
        let kustomization = "resources: [web.yaml]\nimages:\n- name: web\n  newTag: ${tag}\n";
        check(
            &[("app/web.yaml", web), ("app/kustomization.yaml", kustomization)],
            &expect![[r"
            apiVersion: apps/v1    # app/web.yaml:1
            kind: Deployment       # app/web.yaml:2
            metadata:
              name: web            # app/web.yaml:3
            spec:
              replicas: 4          # app/web.yaml:5 substitution
              template:
                spec:
                  containers:
                  - image: web:v2  # app/kustomization.yaml:4 substitution <- app/kustomization.yaml:4 images <- app/web.yaml:10
                    name: web      # app/web.yaml:9
        "]],
        );
    }
}

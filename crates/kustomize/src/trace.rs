//! The notes that `buildMetadata` asks for: where a resource came from and what changed it, written as
//! annotations in the layout of kustomize.

use crate::remote::{self, RemoteFolder};
use crate::resource::Resource;
use crate::spelled::Spellings;
use serde_json::Map;
use std::borrow::Cow;
use std::fmt::Write;
use trueup_model::Value;

const ORIGIN: &str = "config.kubernetes.io/origin";
const TRANSFORMATIONS: &str = "alpha.config.kubernetes.io/transformations";

/// Annotations that belong to a build or a function and never reach the output.
const INTERNAL: &[&str] = &[
    "config.k8s.io/id",
    "config.kubernetes.io/index",
    "config.kubernetes.io/path",
    "internal.config.kubernetes.io/allowKindChange",
    "internal.config.kubernetes.io/allowNameChange",
    "internal.config.kubernetes.io/annotations-migration-resource-id",
    "internal.config.kubernetes.io/generatorBehavior",
    "internal.config.kubernetes.io/helm-generated",
    "internal.config.kubernetes.io/id",
    "internal.config.kubernetes.io/index",
    "internal.config.kubernetes.io/needsHashSuffix",
    "internal.config.kubernetes.io/path",
    "internal.config.kubernetes.io/prefixes",
    "internal.config.kubernetes.io/previousKinds",
    "internal.config.kubernetes.io/previousNames",
    "internal.config.kubernetes.io/previousNamespaces",
    "internal.config.kubernetes.io/refBy",
    "internal.config.kubernetes.io/seqindent",
    "internal.config.kubernetes.io/suffixes",
];

/// Which notes are wanted in the output.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) origins: bool,
    pub(crate) transformations: bool,
}

/// A file or folder as an origin note shows it: below the folder that is built, or below another repository's root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Whereabouts {
    path: String,
    repository: String,
    reference: String,
}

impl Whereabouts {
    /// What a kustomization in this folder names.
    pub(crate) fn below(&self, written: &str) -> Self {
        let Some(RemoteFolder { url, reference, path, .. }) = remote::parse(written) else {
            return Self { path: join(&self.path, written), ..self.clone() };
        };
        // kustomize shows a repository's root as the place where it would have cloned it to.
        let path = if path.is_empty() { "notCloned".to_owned() } else { join("", &path) };
        Self { path, repository: url, reference }
    }

    fn lines(&self) -> impl Iterator<Item = String> {
        let fields = [("repo", &self.repository), ("ref", &self.reference)];
        fields
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(field, value)| format!("{field}: {}", scalar(value)))
    }
}

/// Where something came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TraceNote {
    /// Read from a file, relative to the folder that is built.
    File(Whereabouts),
    /// Made or changed by a generator or transformer.
    Configured {
        /// The file that names it.
        file: Whereabouts,
        api_version: String,
        kind: String,
        name: String,
        namespace: String,
    },
}

impl TraceNote {
    /// A generator or transformer that a field of the kustomization file stands for.
    pub(crate) fn builtin(file: Whereabouts, kind: &str) -> Self {
        Self::Configured {
            file,
            api_version: "builtin".to_owned(),
            kind: kind.to_owned(),
            name: String::new(),
            namespace: String::new(),
        }
    }

    fn lines(&self) -> Vec<String> {
        match self {
            Self::File(file) => {
                std::iter::once(format!("path: {}", scalar(&file.path))).chain(file.lines()).collect()
            }
            Self::Configured { file, api_version, kind, name, namespace } => {
                let mut lines: Vec<String> = file.lines().collect();
                lines.extend([format!("configuredIn: {}", scalar(&file.path)), "configuredBy:".to_owned()]);
                for (field, value) in
                    [("apiVersion", api_version), ("kind", kind), ("name", name), ("namespace", namespace)]
                {
                    if !value.is_empty() {
                        lines.push(format!("  {field}: {}", scalar(value)));
                    }
                }
                lines
            }
        }
    }
}

fn scalar(text: &str) -> String {
    trueup_model::yaml::to_yaml(&Value::String(text.to_owned())).trim_end().to_owned()
}

/// Writes the wanted notes and takes away everything internal; an empty annotations map goes too.
pub(crate) fn finish(resource: &mut Resource, wanted: Wanted, spellings: &Spellings<'_>) {
    let origin = resource.source.take().filter(|_| wanted.origins).map(|note| joined(&note.lines(), "", ""));
    let transformations = std::mem::take(&mut resource.transformations);
    let transformations = (wanted.transformations && !transformations.is_empty()).then(|| {
        transformations.iter().fold(String::new(), |text, note| text + &joined(&note.lines(), "- ", "  "))
    });
    let notes = [(ORIGIN, origin), (TRANSFORMATIONS, transformations)];
    // kustomize looks through the annotations of everything, and makes the place for them.
    resource.metadata_mut();
    let has_annotations = resource.value.get("metadata").is_some_and(|m| m.get("annotations").is_some());
    if !has_annotations && notes.iter().all(|(_, note)| note.is_none()) {
        return;
    }
    spellings.write_annotations(resource);
    let Some(metadata) = resource.metadata_mut() else { return };
    let mut annotations = match metadata.remove("annotations") {
        Some(Value::Object(annotations)) => annotations,
        Some(_) | None => Map::new(),
    };
    annotations.retain(|key, _| INTERNAL.binary_search(&key.as_str()).is_err());
    for (key, note) in notes {
        match note {
            Some(note) => annotations.insert(key.to_owned(), Value::String(note)),
            None => annotations.remove(key),
        };
    }
    if !annotations.is_empty() {
        metadata.insert("annotations".to_owned(), Value::Object(annotations));
    }
}

fn joined(lines: &[String], first: &str, rest: &str) -> String {
    let mut text = String::new();
    for (index, line) in lines.iter().enumerate() {
        let indent = if index == 0 { first } else { rest };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{indent}{line}");
    }
    text
}

/// `folder` and `path` joined as an origin note shows them: `..` above the start stays.
fn join(folder: &str, path: &str) -> String {
    let mut parts: Vec<Cow<'_, str>> = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| last != "..") => {
                parts.pop();
            }
            part => parts.push(Cow::Borrowed(part)),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_keeps_the_way_up() {
        assert_eq!(join("../base", "./x.yaml"), "../base/x.yaml");
        assert_eq!(join("../base", "../other"), "../other");
        assert_eq!(join("..", "../x"), "../../x");
        assert_eq!(join("", "a"), "a");
    }

    #[test]
    fn what_is_in_another_repository_is_shown_below_its_root() {
        let shown = |whereabouts: &Whereabouts| TraceNote::File(whereabouts.clone()).lines().join(" ");
        let base =
            Whereabouts::default().below("../overlay").below("https://h/org/repo//deploy/base/?ref=v1");
        assert_eq!(shown(&base.below("../a.yaml")), "path: deploy/a.yaml repo: https://h/org/repo ref: v1");
        let root = base.below("git@h:org/other.git");
        assert_eq!(shown(&root.below("a.yaml")), "path: notCloned/a.yaml repo: git@h:org/other.git");
    }

    #[test]
    fn the_table_is_sorted_so_that_it_can_be_searched() {
        assert!(INTERNAL.is_sorted());
    }
}

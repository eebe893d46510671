//! The notes that `buildMetadata` asks for: where a resource came from and what changed it, written as
//! annotations in the layout of kustomize.

use crate::resource::Resource;
use crate::text;
use serde_json::Map;
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

/// Where something came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TraceNote {
    /// Read from a file, relative to the folder that is built.
    File(String),
    /// Made or changed by a generator or transformer.
    Configured {
        /// The file that names it.
        file: String,
        api_version: String,
        kind: String,
        name: String,
        namespace: String,
    },
}

impl TraceNote {
    /// A generator or transformer that a field of the kustomization file stands for.
    pub(crate) fn builtin(file: String, kind: &str) -> Self {
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
            Self::File(path) => vec![format!("path: {}", scalar(path))],
            Self::Configured { file, api_version, kind, name, namespace } => {
                let mut lines = vec![format!("configuredIn: {}", scalar(file)), "configuredBy:".to_owned()];
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
pub(crate) fn finish(resource: &mut Resource, wanted: Wanted) {
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
    let Some(metadata) = resource.metadata_mut() else { return };
    let mut annotations = match metadata.remove("annotations") {
        Some(Value::Object(annotations)) => annotations,
        Some(_) | None => Map::new(),
    };
    annotations.retain(|key, _| INTERNAL.binary_search(&key.as_str()).is_err());
    for value in annotations.values_mut().filter(|value| !value.is_string()) {
        *value = Value::String(text::of(value).unwrap_or_default().into_owned());
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_so_that_it_can_be_searched() {
        assert!(INTERNAL.is_sorted());
    }
}

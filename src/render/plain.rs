//! A folder of manifests as they are: YAML and JSON files, several documents a file, `List` kinds opened.

use super::{Depth, RenderError};
use trueup_model::folding::MANY;
use trueup_model::{EntryKind, Folding, Manifest, Origin, Tree, TreeError, Value, tree, yaml};

/// The objects of the files in a folder, or of one file, in the order of their paths.
pub fn read(source: &dyn Tree, path: &str, depth: Depth) -> Result<Vec<Manifest>, RenderError> {
    let (real, entry) = tree::resolve(source, path)?.ok_or_else(|| TreeError::Missing(path.to_owned()))?;
    let mut files = Vec::new();
    match entry.kind {
        EntryKind::Folder => collect(source, &real, depth, &mut files)?,
        EntryKind::File | EntryKind::Link | EntryKind::Submodule => files.push(real),
    }
    let mut manifests = Vec::new();
    let mut problems = Vec::new();
    for file in files {
        let text = match tree::read_text(source, &file) {
            Ok(text) => text,
            Err(error @ TreeError::Absent(_)) => {
                // All that have to be fetched are told at once.
                problems.push(error.to_string());
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        match yaml::documents(&text) {
            Ok(documents) => {
                for document in documents {
                    let origin = Origin { path: file.clone(), line: document.line };
                    open(document.value, &origin, &mut manifests, &mut problems);
                }
            }
            Err(error) => problems.push(format!("{file}: {error}")),
        }
    }
    if problems.is_empty() { Ok(manifests) } else { Err(RenderError(problems)) }
}

fn collect(source: &dyn Tree, folder: &str, depth: Depth, files: &mut Vec<String>) -> Result<(), TreeError> {
    for (name, _) in source.list(folder)? {
        // Hidden files are editors' and tools', never manifests.
        if name.starts_with('.') {
            continue;
        }
        let path = tree::join(folder, &name)?;
        let Some((real, entry)) = tree::resolve(source, &path)? else { continue };
        match entry.kind {
            EntryKind::Folder if depth == Depth::Recursive => collect(source, &real, depth, files)?,
            EntryKind::File if is_manifest(&name) => files.push(path),
            EntryKind::Folder | EntryKind::File | EntryKind::Link | EntryKind::Submodule => {}
        }
    }
    Ok(())
}

fn is_manifest(name: &str) -> bool {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    matches!(extension, Some("yaml" | "yml" | "json"))
}

/// Takes an object in, or those of a list.
pub(super) fn open(value: Value, origin: &Origin, manifests: &mut Vec<Manifest>, problems: &mut Vec<String>) {
    if !value.is_object() {
        problems.push(format!("{origin}: a Kubernetes object is a mapping, this is not"));
        return;
    }
    let is_list = value.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"));
    match value {
        Value::Object(mut fields) if is_list && fields.get("items").is_some_and(Value::is_array) => {
            if let Some(Value::Array(items)) = fields.remove("items") {
                for item in items {
                    open(item, origin, manifests, problems);
                }
            }
        }
        value => {
            let mut value = Folding::from(value);
            // Few are as quick to keep open.
            if manifests.len() >= MANY {
                value.fold();
            }
            manifests.push(Manifest { value, origin: origin.clone() });
        }
    }
}

//! A kustomization over a chart: what the chart makes stands beside the kustomization as one more file of its resources.
//!
//! Enters: a tree, the path of a kustomization, manifests. Leaves: a tree in which that kustomization has them as its first
//! resource, and where each of them came from.

use super::{RenderError, with_causes};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use trueup_model::yaml::{self, to_yaml};
use trueup_model::{ContentId, Entry, EntryKind, Manifest, Origin, Tree, TreeError, Value, tree};

/// The file that the chart's objects stand in.
const FILE: &str = "chart.trueup.yaml";

/// A tree with a chart's objects in it.
pub(super) struct Overlay<'t> {
    below: &'t dyn Tree,
    /// The kustomization, and the file with the objects.
    files: [(String, Arc<[u8]>); 2],
    /// The line that each object begins at, and where it came from.
    origins: Vec<(usize, Origin)>,
}

impl<'t> Overlay<'t> {
    /// Puts `manifests` before the other resources of the kustomization in `folder`, whose file is called `name`.
    pub(super) fn new(
        below: &'t dyn Tree,
        folder: &str,
        name: &str,
        manifests: &[Manifest],
    ) -> Result<Self, RenderError> {
        let place = tree::join(folder, name)?;
        let refused = |why: String| RenderError(vec![format!("{place}: {why}")]);
        let text = tree::read_text(below, &place)?;
        let documents = yaml::documents(&text).map_err(|error| refused(with_causes(&error)))?;
        let mut kustomization = match documents.into_iter().next().map(|document| document.value) {
            None | Some(Value::Null) => Value::Object(serde_json::Map::new()),
            Some(value @ Value::Object(_)) => value,
            Some(_) => return Err(refused("a kustomization is a mapping, this is not".to_owned())),
        };
        match &mut kustomization["resources"] {
            Value::Array(resources) => resources.insert(0, FILE.into()),
            absent @ Value::Null => *absent = Value::Array(vec![FILE.into()]),
            _ => return Err(refused("resources: is no list".to_owned())),
        }
        let (objects, origins) = written(manifests);
        let files = [
            (tree::join("", &place)?, to_yaml(&kustomization).into_bytes().into()),
            (tree::join(folder, FILE)?, objects.into_bytes().into()),
        ];
        Ok(Self { below, files, origins })
    }

    /// Where an object came from, in place of the file of this tree.
    pub(super) fn origin(&self, origin: &Origin) -> Option<&Origin> {
        let (file, _) = &self.files[1];
        let is_here = |(line, _): &&(usize, Origin)| *line == origin.line;
        (origin.path == *file).then(|| self.origins.iter().find(is_here)).flatten().map(|(_, origin)| origin)
    }

    fn file(&self, path: &str) -> Option<&Arc<[u8]>> {
        self.files.iter().find(|(name, _)| name == path).map(|(_, content)| content)
    }
}

/// The objects as one text, and where each begins in it.
fn written(manifests: &[Manifest]) -> (String, Vec<(usize, Origin)>) {
    let (mut text, mut line, mut origins) = (String::new(), 1, Vec::new());
    for manifest in manifests {
        text.push_str("---\n");
        let object = to_yaml(&manifest.value);
        origins.push((line + 1, manifest.origin.clone()));
        line += 1 + object.matches('\n').count();
        text.push_str(&object);
    }
    (text, origins)
}

impl Tree for Overlay<'_> {
    fn entry(&self, path: &str) -> Result<Option<Entry>, TreeError> {
        match self.file(path) {
            Some(content) => {
                let id = ContentId::from_hash(&Sha256::digest(content));
                Ok(Some(Entry { kind: EntryKind::File, id }))
            }
            None => self.below.entry(path),
        }
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, TreeError> {
        self.file(path).map_or_else(|| self.below.read(path), |content| Ok(content.clone()))
    }

    fn list(&self, path: &str) -> Result<Vec<(String, Entry)>, TreeError> {
        self.below.list(path)
    }
}

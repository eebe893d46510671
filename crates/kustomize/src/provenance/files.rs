//! The files of a build with the positions of all that they hold.

use super::{Kept, PatchLines, as_it_was};
use crate::error::Place;
use crate::load::Folder;
use crate::load::documents::{OWN_FILES, RESOURCES, is_empty};
use crate::resource::Resource;
use crate::text;
use std::cell::OnceCell;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use trueup_model::Origin;
use trueup_model::provenance::Provenance;
use trueup_model::yaml::{self, Node};

/// What a build that keeps provenance has read.
#[derive(Default)]
pub(crate) struct Recorder {
    files: BTreeMap<String, File>,
}

struct File {
    text: String,
    /// Read when something in it is looked for.
    nodes: OnceCell<Vec<Node>>,
}

impl File {
    fn nodes(&self) -> &[Node] {
        self.nodes.get_or_init(|| {
            // What neither reader takes is an error of the build already.
            yaml::parse_as(&self.text, RESOURCES)
                .or_else(|_| yaml::parse_as(&self.text, OWN_FILES))
                .unwrap_or_default()
        })
    }
}

impl Recorder {
    /// Keeps the text of a file.
    pub(crate) fn add_file(&mut self, path: &str, text: &str) {
        if !self.files.contains_key(path) {
            let file = File { text: text.to_owned(), nodes: OnceCell::new() };
            self.files.insert(path.to_owned(), file);
        }
    }

    /// The first document of a file: of a kustomization the only one.
    pub(super) fn first(&self, path: &str) -> Option<&Node> {
        self.files.get(path)?.nodes().first()
    }

    /// The document that starts at a line.
    pub(super) fn document(&self, path: &str, line: usize) -> Option<&Node> {
        self.files.get(path)?.nodes().iter().find(|node| node.at.line == line)
    }

    /// The configuration of a generator or transformer as it is written, unless something changed it since.
    pub(crate) fn configuration(&self, config: &Resource) -> Option<&Node> {
        let Origin { path, line } = &config.origin;
        self.document(path, *line).filter(|node| node.to_value() == config.value)
    }

    /// Begins the provenance of resources that were read from one file.
    pub(crate) fn begin(&mut self, folder: &Folder<'_>, resources: &mut [Resource]) {
        let Some(path) = resources.first().map(|resource| resource.origin.path.clone()) else { return };
        if let Some(text) = folder.text_by_name(&path) {
            self.add_file(&path, &text);
        }
        let objects = self.files.get(&path).map(|file| objects(file.nodes())).unwrap_or_default();
        let all_found = objects.len() == resources.len();
        let file: Arc<str> = path.as_str().into();
        for (position, resource) in resources.iter_mut().enumerate() {
            let sources = match objects.get(position) {
                Some(node) if all_found => Provenance::of_node(node, &file),
                Some(_) | None => {
                    Provenance::of_value(&resource.value, &mut |change| as_it_was(resource, change))
                }
            };
            resource.kept = Some(Box::new(Kept::new(&resource.value, sources)));
        }
    }

    /// The text of a patch that begins at a place: the first line of a file, or a line of a kustomization.
    pub(crate) fn lines_of(&self, text: &str, at: &Place) -> PatchLines {
        let last = self.files.get(&at.file).map_or(usize::MAX, |file| file.text.lines().count());
        PatchLines::new(text, at, last.max(1))
    }
}

/// The nodes of the objects in a file, in the order of [`crate::load::documents::resources_of`].
fn objects(documents: &[Node]) -> Vec<&Node> {
    let mut queue: VecDeque<&Node> = documents.iter().filter(|node| !is_nothing(node)).collect();
    let mut found = Vec::with_capacity(queue.len());
    while let Some(node) = queue.pop_front() {
        let kind = node.get("kind").map(Node::to_value);
        let is_list = text::or_empty(kind.as_ref()).ends_with("List");
        match node.get("items").filter(|_| is_list) {
            None => found.push(node),
            Some(items) => {
                queue.extend(items.as_list().unwrap_or_default().iter().filter(|node| !is_nothing(node)));
            }
        }
    }
    found
}

fn is_nothing(node: &Node) -> bool {
    node.is_null() || (node.as_map().is_some_and(<[_]>::is_empty) && is_empty(&node.to_value()))
}

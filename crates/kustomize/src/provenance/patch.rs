//! The lines of a patch.

use crate::error::Place;
use crate::load::documents::{OWN_FILES, RESOURCES};
use crate::resource::Resource;
use trueup_model::provenance::Change;
use trueup_model::yaml::{self, Content, Node};
use trueup_model::{Segment, Value};

/// The text of a patch with its positions.
#[derive(Clone, Debug)]
pub(crate) struct PatchLines {
    /// Where the text begins.
    at: Place,
    /// The last line of the file that it is in.
    last: usize,
    documents: Vec<Node>,
}

impl PatchLines {
    pub(super) fn new(text: &str, at: &Place, last: usize) -> Self {
        let read = yaml::parse_as(text, RESOURCES).or_else(|_| yaml::parse_as(text, OWN_FILES));
        Self { at: at.clone(), last, documents: read.unwrap_or_default() }
    }

    /// The place in the patch that a changed field of a resource comes from; where the field itself is not written there,
    /// the document or the operation that is about it.
    pub(super) fn place(&self, resource: &Resource, change: &Change<'_>) -> Place {
        let line = match self.documents.first().map(|first| &first.content) {
            Some(Content::List(operations)) => operation_line(operations, change),
            Some(Content::Map(_) | Content::Scalar(_)) | None => self.merge_line(resource, change),
        };
        let line = line + self.at.line.saturating_sub(1);
        self.at.at(line.clamp(1, self.last))
    }

    fn merge_line(&self, resource: &Resource, change: &Change<'_>) -> usize {
        let is_about = |node: &Node| {
            let name = node.get("metadata").and_then(|metadata| metadata.get("name")).and_then(Node::as_str);
            let kind = node.get("kind").and_then(Node::as_str);
            kind.is_none_or(|kind| kind == resource.kind())
                && name.is_some_and(|name| {
                    name == resource.name() || resource.previous.iter().any(|was| was.name == name)
                })
        };
        let (near, far): (Vec<&Node>, Vec<&Node>) = self.documents.iter().partition(|node| is_about(node));
        let mut documents = near.iter().chain(&far);
        let written = documents.clone().find_map(|node| line_of(node, &resource.value, change.path));
        written.or_else(|| Some(documents.next()?.at.line)).unwrap_or(1)
    }
}

/// The line of the leaf at `path` of `value` in what was merged into it.
///
/// Items of lists are found by what they hold: one that was merged holds all that the patch says of it.
fn line_of(node: &Node, value: &Value, path: &[Segment]) -> Option<usize> {
    let (first, rest) = path.split_first()?;
    match (first, &node.content) {
        (Segment::Field(name), Content::Map(entries)) => {
            let (_, at, below) = entries.iter().rev().find(|(key, ..)| key == name)?;
            if rest.is_empty() { Some(at.line) } else { line_of(below, value.get(name)?, rest) }
        }
        (Segment::Index(index), Content::List(items)) => {
            let item = value.get(*index)?;
            let below = |node: &Node| {
                if rest.is_empty() { Some(node.at.line) } else { line_of(node, item, rest) }
            };
            let mut parts = items.iter().filter(|node| is_part_of(node, item));
            let mut others = items.iter().filter(|node| agrees(node, item));
            parts.find_map(below).or_else(|| others.find_map(below))
        }
        (_, Content::Scalar(_) | Content::List(_) | Content::Map(_)) => None,
    }
}

/// Whether all that is written is in the value; what is null or a directive is not meant to be.
fn is_part_of(node: &Node, value: &Value) -> bool {
    match (&node.content, value) {
        (Content::Scalar(written), value) => written == value,
        (Content::List(items), Value::Array(values)) => {
            let mut items = items.iter().filter(|node| node.get("$patch").is_none());
            items.all(|node| values.iter().any(|value| is_part_of(node, value)))
        }
        (Content::Map(entries), Value::Object(fields)) => entries.iter().all(|(key, _, node)| {
            node.is_null()
                || key.starts_with('$')
                || fields.get(key).is_some_and(|value| is_part_of(node, value))
        }),
        (Content::List(_) | Content::Map(_), _) => false,
    }
}

/// Whether the scalars of an item are in the value, whatever stands deeper.
fn agrees(node: &Node, value: &Value) -> bool {
    let scalars = node.as_map().unwrap_or_default().iter().filter_map(|(key, _, node)| match &node.content {
        Content::Scalar(written) if !written.is_null() && !key.starts_with('$') => Some((key, written)),
        Content::Scalar(_) | Content::List(_) | Content::Map(_) => None,
    });
    let mut scalars = scalars.peekable();
    scalars.peek().is_some() && scalars.all(|(key, written)| value.get(key) == Some(written))
}

/// How well an operation explains a change; the last of the best ones counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    /// It is about the same fields of another item.
    OtherItem,
    /// It is about the same place.
    Place,
    /// The value is written in it, though its item moved since.
    MovedValue,
    /// The value is written in it.
    Value,
}

fn operation_line(operations: &[Node], change: &Change<'_>) -> usize {
    let fitting = operations.iter().filter_map(|operation| fit(operation, change));
    let best = fitting.max_by_key(|(fit, _)| *fit);
    best.map(|(_, line)| line).or_else(|| Some(operations.first()?.at.line)).unwrap_or(1)
}

fn fit(operation: &Node, change: &Change<'_>) -> Option<(Fit, usize)> {
    let path = operation.get("path")?.as_str()?;
    let parts: Vec<String> =
        path.split('/').skip(1).map(|part| part.replace("~1", "/").replace("~0", "~")).collect();
    if parts.len() > change.path.len() {
        return None;
    }
    let (above, below) = change.path.split_at(parts.len());
    let mut same_item = true;
    for (part, segment) in parts.iter().zip(above) {
        match segment {
            Segment::Field(name) if name == part => {}
            Segment::Index(index) => same_item &= part == "-" || part.parse() == Ok(*index),
            Segment::Field(_) | Segment::Key(_) | Segment::Value(_) => return None,
        }
    }
    let written = operation.as_map()?.iter().find(|(key, ..)| key == "value");
    let line = written.and_then(|(_, at, node)| leaf_line(node, at.line, below, change.after));
    Some(match (line, same_item) {
        (Some(line), true) => (Fit::Value, line),
        (Some(line), false) => (Fit::MovedValue, line),
        (None, true) => (Fit::Place, operation.at.line),
        (None, false) => (Fit::OtherItem, operation.at.line),
    })
}

/// The line of the leaf at a path of what is written, where it is this one.
fn leaf_line(node: &Node, line: usize, path: &[Segment], leaf: &Value) -> Option<usize> {
    let Some((first, rest)) = path.split_first() else {
        return (node.to_value() == *leaf).then_some(line);
    };
    match (first, &node.content) {
        (Segment::Field(name), Content::Map(entries)) => {
            let (_, at, below) = entries.iter().rev().find(|(key, ..)| key == name)?;
            leaf_line(below, at.line, rest, leaf)
        }
        (Segment::Index(index), Content::List(items)) => {
            let item = items.get(*index)?;
            leaf_line(item, item.at.line, rest, leaf)
        }
        (_, Content::Scalar(_) | Content::List(_) | Content::Map(_)) => None,
    }
}

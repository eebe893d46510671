//! How scalars of a resource are written in its file, for the few rules that ask for it.
//!
//! kustomize keeps the text of each scalar until it prints: a replacement copies `1.10` as it is written, and a strategic merge
//! drops a field that has nothing behind its colon but keeps one with `null`. Values do not say that, so where
//! it matters the resource's file is read once more. A resource that came from elsewhere, or that went through JSON, is as
//! its values are.

use crate::load::documents::RESOURCES;
use crate::resource::Resource;
use crate::text;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use trueup_model::yaml::{self, Content, Node};
use trueup_model::{Tree, Value, tree};

/// Stands for null where nothing is written, while a strategic merge is at work. No YAML holds it.
pub(crate) const BARE: &str = "\0";

/// The files that were read once more.
pub(crate) struct Spellings<'t> {
    tree: &'t dyn Tree,
    files: RefCell<HashMap<String, Option<Rc<File>>>>,
}

struct File {
    lines: Vec<String>,
    documents: Vec<Node>,
}

impl<'t> Spellings<'t> {
    pub(crate) fn new(tree: &'t dyn Tree) -> Self {
        Self { tree, files: RefCell::default() }
    }

    fn file(&self, path: &str) -> Option<Rc<File>> {
        self.files
            .borrow_mut()
            .entry(path.to_owned())
            .or_insert_with(|| {
                let text = tree::read_text(self.tree, path).ok()?;
                let documents = yaml::parse_as(&text, RESOURCES).ok()?;
                Some(Rc::new(File { lines: text.lines().map(str::to_owned).collect(), documents }))
            })
            .clone()
    }

    /// What is written for a scalar of the resource, where that is not the text that the value has by itself.
    pub(crate) fn of(&self, resource: &Resource, scalar: &Value) -> Option<String> {
        let asks = match scalar {
            Value::Number(_) | Value::Bool(_) => true,
            // A date without quotes is an instant.
            Value::String(text) => text.ends_with('Z') && text.contains('T'),
            Value::Null | Value::Array(_) | Value::Object(_) => false,
        };
        if !asks || !resource.as_written {
            return None;
        }
        let file = self.file(&resource.origin.path)?;
        let document = file.documents.iter().find(|node| node.at.line == resource.origin.line)?;
        let node = find(&resource.value, document, scalar)?;
        let written = file.token(node)?;
        (node.content == Content::Scalar(scalar.clone()) && !written.starts_with(['"', '\'']))
            .then_some(written)
    }

    /// Marks the fields of the resource that nothing is written for; true when there are any.
    pub(crate) fn mark_bare(&self, resource: &mut Resource) -> bool {
        if !resource.as_written || !has_null(&resource.value) {
            return false;
        }
        let Some(file) = self.file(&resource.origin.path) else { return false };
        let document = file.documents.iter().find(|node| node.at.line == resource.origin.line);
        document.is_some_and(|document| mark(&mut resource.value, document, &file))
    }
}

impl File {
    /// The word at a node's place.
    fn token(&self, node: &Node) -> Option<String> {
        let line = self.lines.get(node.at.line.checked_sub(1)?)?;
        let rest: String = line.chars().skip(node.at.column.saturating_sub(1)).collect();
        let end = rest.find([',', ']', '}', ' ', '\t']).unwrap_or(rest.len());
        Some(rest[..end].to_owned())
    }
}

/// The node of the very value.
fn find<'n>(value: &Value, node: &'n Node, wanted: &Value) -> Option<&'n Node> {
    if std::ptr::eq(value, wanted) {
        return Some(node);
    }
    match (value, &node.content) {
        (Value::Array(items), Content::List(nodes)) => {
            items.iter().zip(nodes).find_map(|(item, node)| find(item, node, wanted))
        }
        (Value::Object(fields), Content::Map(_)) => {
            fields.iter().find_map(|(key, field)| find(field, node.get(key)?, wanted))
        }
        (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_), _)
        | (Value::Array(_), Content::Map(_) | Content::Scalar(_))
        | (Value::Object(_), Content::List(_) | Content::Scalar(_)) => None,
    }
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(has_null),
        Value::Object(fields) => fields.values().any(has_null),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn mark(value: &mut Value, node: &Node, file: &File) -> bool {
    match (value, &node.content) {
        (Value::Array(items), Content::List(nodes)) => {
            items.iter_mut().zip(nodes).fold(false, |any, (item, node)| mark(item, node, file) || any)
        }
        (Value::Object(fields), Content::Map(_)) => fields.iter_mut().fold(false, |any, (key, field)| {
            let Some(node) = node.get(key) else { return any };
            if field.is_null() && node.is_null() {
                let explicit =
                    file.token(node).is_some_and(|word| !word.is_empty() && text::plain(&word).is_null());
                if !explicit {
                    *field = Value::from(BARE);
                }
                return any || !explicit;
            }
            mark(field, node, file) || any
        }),
        (_, Content::Scalar(_) | Content::List(_) | Content::Map(_)) => false,
    }
}

/// True for the mark of a field that nothing is written for.
pub(crate) fn is_bare(value: &Value) -> bool {
    value.as_str() == Some(BARE)
}

/// Puts null in the place of each mark that is left.
pub(crate) fn unmark(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(unmark),
        Value::Object(fields) => fields.values_mut().for_each(unmark),
        Value::String(text) if text == BARE => *value = Value::Null,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

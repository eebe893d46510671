//! Where each field of an object was written: a tree of the object's own shape, with a [`Source`] for each leaf.
//!
//! In: the positions of a file's nodes, and objects before and after a step that changed them. Out: the source of each
//! leaf, in words of files and lines. A leaf is a scalar, or a list or mapping with nothing in it. Pure bookkeeping: which
//! steps there are, and what they change, is known elsewhere.
//!
//! The rule is that a leaf belongs to what *changed* it last. A step that sets what is there already takes nothing over.

mod items;
mod print;

pub use print::annotated;

use crate::path::Segment;
use crate::yaml::{Content, Node};
use crate::{Origin, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Where a value was written, and by what it came to where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Path below the repository's root, with `/`.
    pub file: Arc<str>,
    /// Line in the file, from 1; 0 where there are none.
    pub line: usize,
    /// What put the value where it is: `namePrefix`, `patches`, `configMapGenerator`. `None` where the file is the object's
    /// own.
    pub by: Option<Arc<str>>,
    /// What the value was made from, where a step used another value: the name before its prefix, the field that a
    /// replacement copied.
    pub from: Option<Arc<Source>>,
}

impl Source {
    /// A value that stands where it was written.
    pub fn written(file: &Arc<str>, line: usize) -> Self {
        Self { file: Arc::clone(file), line: line.max(1), by: None, from: None }
    }

    /// The place without its history.
    pub fn place(&self) -> Origin {
        Origin { path: self.file.to_string(), line: self.line }
    }
}

impl fmt::Display for Source {
    /// `overlay/kustomization.yaml:3 namePrefix <- base/deployment.yaml:4`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if let Some(by) = &self.by {
            write!(f, " {by}")?;
        }
        self.from.as_ref().map_or(Ok(()), |from| write!(f, " <- {from}"))
    }
}

/// The sources of a value's leaves, in the shape of the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Provenance {
    /// A scalar, or an empty list or mapping.
    Leaf(Source),
    /// A list that is not empty.
    List(Vec<Provenance>),
    /// A mapping that is not empty.
    Map(BTreeMap<String, Provenance>),
}

/// A leaf that is not what it was before a step.
#[derive(Debug)]
pub struct Change<'c> {
    /// Where it stands now.
    pub path: &'c [Segment],
    /// What it is now.
    pub after: &'c Value,
    /// What stood there, and where that came from.
    pub before: Option<(&'c Value, &'c Source)>,
}

impl Provenance {
    /// Of a value that one file holds, by its positions; a field stands where its key does.
    pub fn of_node(node: &Node, file: &Arc<str>) -> Self {
        Self::of_part(node, node.at.line, file)
    }

    fn of_part(node: &Node, line: usize, file: &Arc<str>) -> Self {
        match &node.content {
            Content::List(items) if !items.is_empty() => {
                Self::List(items.iter().map(|item| Self::of_part(item, item.at.line, file)).collect())
            }
            Content::Map(entries) if !entries.is_empty() => Self::Map(
                entries
                    .iter()
                    .map(|(key, at, value)| (key.clone(), Self::of_part(value, at.line, file)))
                    .collect(),
            ),
            Content::Scalar(_) | Content::List(_) | Content::Map(_) => {
                Self::Leaf(Source::written(file, line))
            }
        }
    }

    /// Of a value whose leaves are found one by one.
    pub fn of_value(value: &Value, find: &mut dyn FnMut(&Change<'_>) -> Source) -> Self {
        fresh(value, &mut Vec::new(), find)
    }

    /// What is at a path.
    pub fn get(&self, path: &[Segment]) -> Option<&Self> {
        let Some((first, rest)) = path.split_first() else { return Some(self) };
        let below = match (self, first) {
            (Self::Map(entries), Segment::Field(name)) => entries.get(name),
            (Self::List(items), Segment::Index(index)) => items.get(*index),
            (Self::Leaf(_) | Self::List(_) | Self::Map(_), _) => None,
        };
        below?.get(rest)
    }

    /// The source of the leaf at a path.
    pub fn leaf(&self, path: &[Segment]) -> Option<&Source> {
        match self.get(path)? {
            Self::Leaf(source) => Some(source),
            Self::List(_) | Self::Map(_) => None,
        }
    }

    /// All leaves with their paths, in the order of the value.
    pub fn leaves(&self) -> Vec<(Vec<Segment>, &Source)> {
        let mut found = Vec::new();
        self.collect(&mut Vec::new(), &mut found);
        found
    }

    fn collect<'p>(&'p self, path: &mut Vec<Segment>, found: &mut Vec<(Vec<Segment>, &'p Source)>) {
        match self {
            Self::Leaf(source) => found.push((path.clone(), source)),
            Self::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    path.push(Segment::Index(index));
                    item.collect(path, found);
                    path.pop();
                }
            }
            Self::Map(entries) => {
                for (key, entry) in entries {
                    path.push(Segment::Field(key.clone()));
                    entry.collect(path, found);
                    path.pop();
                }
            }
        }
    }

    /// The sources after a step that made `after` of `before`, which this belongs to: what is as it was keeps its source,
    /// items of lists take theirs along, and `find` is asked for everything else.
    #[must_use]
    pub fn follow(self, before: &Value, after: &Value, find: &mut dyn FnMut(&Change<'_>) -> Source) -> Self {
        follow(self, before, after, &mut Vec::new(), find)
    }
}

type Find<'f> = dyn FnMut(&Change<'_>) -> Source + 'f;

fn follow(
    provenance: Provenance,
    before: &Value,
    after: &Value,
    path: &mut Vec<Segment>,
    find: &mut Find<'_>,
) -> Provenance {
    if before == after {
        return provenance;
    }
    match (provenance, before, after) {
        (Provenance::Map(mut sources), Value::Object(old), Value::Object(new)) if !new.is_empty() => {
            let mut entries = BTreeMap::new();
            for (key, value) in new {
                path.push(Segment::Field(key.clone()));
                let below = match (sources.remove(key), old.get(key)) {
                    (Some(source), Some(old)) => follow(source, old, value, path, find),
                    (_, _) => fresh(value, path, find),
                };
                path.pop();
                entries.insert(key.clone(), below);
            }
            Provenance::Map(entries)
        }
        (Provenance::List(sources), Value::Array(old), Value::Array(new)) if !new.is_empty() => {
            let mut sources: Vec<Option<Provenance>> = sources.into_iter().map(Some).collect();
            let earlier = items::earlier(old, new);
            let mut items = Vec::with_capacity(new.len());
            for (index, (value, earlier)) in new.iter().zip(earlier).enumerate() {
                path.push(Segment::Index(index));
                let known = earlier.and_then(|at| Some((sources.get_mut(at)?.take()?, old.get(at)?)));
                items.push(match known {
                    Some((source, old)) => follow(source, old, value, path, find),
                    None => fresh(value, path, find),
                });
                path.pop();
            }
            Provenance::List(items)
        }
        (Provenance::Leaf(source), before, after) if is_leaf(after) => {
            let before = Some((before, &source));
            Provenance::Leaf(find(&Change { path, after, before }))
        }
        (_, _, after) => fresh(after, path, find),
    }
}

/// The sources of a value that was not there before.
fn fresh(value: &Value, path: &mut Vec<Segment>, find: &mut Find<'_>) -> Provenance {
    match value {
        Value::Array(items) if !items.is_empty() => {
            let mut sources = Vec::with_capacity(items.len());
            for (index, item) in items.iter().enumerate() {
                path.push(Segment::Index(index));
                sources.push(fresh(item, path, find));
                path.pop();
            }
            Provenance::List(sources)
        }
        Value::Object(entries) if !entries.is_empty() => {
            let mut sources = BTreeMap::new();
            for (key, entry) in entries {
                path.push(Segment::Field(key.clone()));
                sources.insert(key.clone(), fresh(entry, path, find));
                path.pop();
            }
            Provenance::Map(sources)
        }
        value => Provenance::Leaf(find(&Change { path, after: value, before: None })),
    }
}

/// Whether nothing stands in the value.
pub fn is_leaf(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.is_empty(),
    }
}

/// A path of fields and indices as a JSON pointer (RFC 6901).
pub fn pointer(path: &[Segment]) -> String {
    let mut pointer = String::new();
    for segment in path {
        pointer.push('/');
        match segment {
            Segment::Field(name) => pointer.push_str(&name.replace('~', "~0").replace('/', "~1")),
            Segment::Index(index) => pointer.push_str(&index.to_string()),
            // Objects are walked by their own shape, in which there are no others.
            Segment::Key(_) | Segment::Value(_) => {}
        }
    }
    pointer
}

#[cfg(test)]
mod tests;

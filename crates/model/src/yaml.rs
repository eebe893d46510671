//! YAML as Kubernetes reads it (sigs.k8s.io/yaml over go-yaml v2 semantics), with positions.

use crate::Value;

/// Where a node stands in its text; both count from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// What is wrong with a text, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {}, column {}: {message}", at.line, at.column)]
pub struct YamlError {
    /// Where.
    pub at: Position,
    /// What, in a sentence without a period.
    pub message: String,
}

/// A value that knows where it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where the value starts.
    pub at: Position,
    /// The value.
    pub content: Content,
}

/// What a [`Node`] holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// null, a boolean, a number or a string.
    Scalar(Value),
    /// A list.
    List(Vec<Node>),
    /// A mapping in the order it was written: key, where the key stands, value.
    Map(Vec<(String, Position, Node)>),
}

//! What goes wrong: in Go's words.

use crate::text::Text;
use std::fmt;
use thiserror::Error;

/// What part of the work failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// A template cannot be read.
    Parse,
    /// A template cannot be executed.
    Execute,
    /// A bound was met: fuel, depth, output, or the caller's wish to stop.
    Limit,
}

/// A template that failed. Its text is what Go's text/template says, with template, line and column.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text}")]
pub struct Error {
    kind: ErrorKind,
    text: Text,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, text: impl Into<Text>) -> Self {
        Self { kind, text: text.into() }
    }

    /// What part of the work failed.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The text as bytes: it may cite a template that is no UTF-8.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text
    }
}

/// Why a function failed; the error of the execution adds where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub(crate) kind: ErrorKind,
    pub(crate) text: Text,
}

impl Failure {
    /// A failure that says so.
    pub fn new(text: impl Into<Text>) -> Self {
        Self { kind: ErrorKind::Execute, text: text.into() }
    }

    /// What part of the work failed.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// A bound that was met.
    pub fn limit(text: impl Into<Text>) -> Self {
        Self { kind: ErrorKind::Limit, text: text.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

impl std::error::Error for Failure {}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { kind: error.kind, text: error.text }
    }
}

impl From<&str> for Failure {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}
